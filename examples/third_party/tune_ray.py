"""Ray Tune runs trainings with different settings in parallel."""

import argparse

import ray
from ray import tune

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=500_000, help="of each trial")
parser.add_argument("--trials", type=int, default=8)
args = parser.parse_args()


def train(config: dict) -> dict:
    import gymnasium as gym
    import torch
    from stable_baselines3 import PPO

    import gait_envs  # noqa: F401 - registers the ids in this process
    from gait_trainers.rl.sb3_vec import SB3VecEnv

    torch.set_num_threads(1)
    envs = gym.make_vec(
        "GaitNet/WildRobot-v0", 64, vectorization_mode="vector_entry_point", autoreset_mode="same_step", threads=1
    )
    model = PPO("MlpPolicy", SB3VecEnv(envs), n_steps=32, batch_size=512, gamma=0.97, learning_rate=config["lr"])
    model.learn(config["steps"])
    episodes = model.ep_info_buffer
    return {"episode_return": sum(e["r"] for e in episodes) / max(1, len(episodes))}


ray.init(include_dashboard=False)
space = {"lr": tune.loguniform(1e-5, 1e-3), "steps": args.steps}
tuner = tune.Tuner(
    train, param_space=space, tune_config=tune.TuneConfig(metric="episode_return", mode="max", num_samples=args.trials)
)
best = tuner.fit().get_best_result()
print(f"return {best.metrics['episode_return']:.0f} with a learning rate of {best.config['lr']:.1e}")
