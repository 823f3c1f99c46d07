"""What a memory costs: CPU seconds of an iteration, without one, with each kind, and with sb3-contrib's own batches.

    python scripts/bench_memory.py --envs 256 --iterations 3

Processor time of one thread each for the physics and for torch, so that a busy machine does not change the figures.
"""

from __future__ import annotations

import argparse
import time

import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from gait_envs.cli import run_script
from gait_trainers.config.layers import load_config
from gait_trainers.rl.build import build

KINDS = ("none", "frames", "gru", "lstm", "sb3-contrib")


class Clock(BaseCallback):
    """Processor time of rollouts, apart from that of updates."""

    def __init__(self) -> None:
        super().__init__()
        self.rollouts = 0.0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._start = time.process_time()

    def _on_rollout_end(self) -> None:
        self.rollouts += time.process_time() - self._start


def measure(memory: str, args: argparse.Namespace) -> tuple[float, float]:
    """CPU seconds of a rollout and of an update, means over the iterations after the first."""
    padded = memory == "sb3-contrib"
    settings = {
        "algorithm": "ppo", "networks.memory": "lstm" if padded else memory, "networks.memory_size": args.units,
        "env.num_envs": args.envs, "env.threads": 1, "ppo.target_kl": None,
    }  # fmt: skip
    model = build(load_config(preset="laptop", overrides=settings)).model
    if padded:
        model = padding(model)
    model.set_logger(Logger(None, []))
    steps = model.n_steps * args.envs
    model.learn(steps)
    clock, start = Clock(), time.process_time()
    model.learn(args.iterations * steps, callback=clock, reset_num_timesteps=False)
    whole = time.process_time() - start
    model.get_env().close()
    return clock.rollouts / args.iterations, (whole - clock.rollouts) / args.iterations


def padding(model: RecurrentPPO) -> RecurrentPPO:
    """sb3-contrib's algorithm and policy, unchanged, with the settings of a model of ours."""
    policy = model.policy
    return RecurrentPPO(
        "MlpLstmPolicy", model.get_env(), n_steps=model.n_steps, batch_size=model.batch_size, n_epochs=model.n_epochs,
        device="cpu", seed=0,
        policy_kwargs={"net_arch": policy.net_arch, "activation_fn": policy.activation_fn, "log_std_init": -1.6,
                       "lstm_hidden_size": policy.lstm_actor.hidden_size},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=KINDS, choices=KINDS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| memory | rollout, CPU s | update, CPU s | speed relative to the first |\n| --- | --- | --- | --- |")
    base = 0.0
    for memory in args.only:
        rollout, update = measure(memory, args)
        base = base or rollout + update
        print(f"| `{memory}` | {rollout:.2f} | {update:.2f} | {base / (rollout + update):.2f} |", flush=True)


if __name__ == "__main__":
    run_script(main)
