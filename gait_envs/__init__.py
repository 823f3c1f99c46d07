"""Standard Gymnasium environments in which characters and robots walk like living things."""

from gymnasium.envs.registration import register, registry

__version__ = "0.1.0"

IDS = {
    "GaitNet/WildRobot-v0": "walk",
    "GaitNet/WildRobotImitation-v0": "track",
    "GaitNet/Humanoid-v0": "humanoid_walk",
    "GaitNet/HumanoidImitation-v0": "humanoid_track",
    "GaitNet/MuscleHumanoid-v0": "muscle_walk",
    "GaitNet/MuscleHumanoidImitation-v0": "muscle_track",
}
# Control steps until the time limit, 10 s: WildRobot is controlled at 50 Hz, the humanoid at 30.
EPISODE_STEPS = {
    "walk": 500,
    "track": 500,
    "humanoid_walk": 300,
    "humanoid_track": 300,
    "muscle_walk": 300,
    "muscle_track": 300,
}


def register_envs() -> None:
    """Register every `GaitNet/` id; called on import."""
    for name, task in IDS.items():
        if name not in registry:
            register(
                id=name,
                entry_point="gait_envs.env:GaitEnv",
                vector_entry_point="gait_envs.vector_env:GaitVectorEnv",
                max_episode_steps=EPISODE_STEPS[task],
                kwargs={"task": task},
            )


register_envs()
