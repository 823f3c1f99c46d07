"""Standard Gymnasium environments in which characters and robots walk like living things."""

from gymnasium.envs.registration import register, registry

__version__ = "0.1.0"

EPISODE_STEPS = 500  # control steps until the time limit, 10 s
IDS = {"GaitNet/WildRobot-v0": "walk", "GaitNet/WildRobotImitation-v0": "track"}


def register_envs() -> None:
    """Register every `GaitNet/` id; called on import."""
    for name, task in IDS.items():
        if name not in registry:
            register(
                id=name,
                entry_point="gait_envs.env:WildRobotEnv",
                vector_entry_point="gait_envs.vector_env:GaitVectorEnv",
                max_episode_steps=EPISODE_STEPS,
                kwargs={"task": task},
            )


register_envs()
