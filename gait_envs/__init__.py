"""Standard Gymnasium environments in which characters and robots walk like living things."""

from gymnasium.envs.registration import register, registry

__version__ = "0.1.0"


def register_envs() -> None:
    """Register every `GaitNet/` id; called on import and by Gymnasium's plugin entry point."""
    if "GaitNet/WildRobot-v0" not in registry:
        register(
            id="GaitNet/WildRobot-v0",
            entry_point="gait_envs.env:WildRobotEnv",
            vector_entry_point="gait_envs.vector_env:GaitVectorEnv",
            max_episode_steps=500,
        )


register_envs()
