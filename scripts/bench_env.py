"""How fast is it? The vector environment beside bare physics and beside environments in processes.

    python scripts/bench_env.py            a table
    python scripts/bench_env.py --json     the same as one JSON object on the last line
    python scripts/bench_env.py --train    and training end to end with the laptop preset
    python scripts/bench_env.py --quick    a minute, for a look

All in one run. The contestants take turns, several times over, so that whatever else the machine does meets
them alike; figures are medians over the turns. "Raw" is `mujoco.batch` with nothing around it: it replays, from the
same states, the very controls and resets that the environment gave its physics, so both do the same work.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # physics has its own threads

import gymnasium
import mujoco
import numpy as np
from gymnasium.vector import AsyncVectorEnv
from mujoco.batch import Batch

from gait_envs.cli import run_script
from gait_envs.vector_env import GaitVectorEnv

ENV_ID = "GaitNet/WildRobot-v0"
SIZES = (1, 64, 256, 1024)
SCALAR = {"WildRobot-v0": ENV_ID, "Humanoid-v0": "GaitNet/Humanoid-v0", "Humanoid-v5": "Humanoid-v5"}  # side by side
SETTLE = 100  # steps before the measured stretch, by when some have fallen and feet are on the ground
TRAIN_SIZE = 256  # sub-environments of the laptop preset


class Advance(NamedTuple):
    """Some physics steps, and their commands; rows belong to `ids` (None: all simulations)."""

    ids: np.ndarray | None
    steps: int
    ctrl: np.ndarray
    act: np.ndarray


class Restart(NamedTuple):
    """Simulations that began anew, and the controls that they began with."""

    ids: np.ndarray
    qpos: np.ndarray
    qvel: np.ndarray
    ctrl: np.ndarray


class Tape(NamedTuple):
    """A stretch of one environment's life, and the commands of its physics meanwhile."""

    env: GaitVectorEnv
    begin: dict[str, Any]  # the environment's state before the stretch
    actions: np.ndarray  # (steps, n, nu)
    events: list[Advance | Restart]


def record(
    n: int, steps: int, threads: int, *, task: str = "walk", settle: int = SETTLE, size: float = 0.5, **config: Any
) -> Tape:
    """Let n bodies flail (actions up to `size`), fall and begin again, and note the commands of their physics."""
    env = GaitVectorEnv(n, task=task, threads=threads, autoreset_mode="SameStep", **config)
    actions = np.random.default_rng(0).uniform(-size, size, (settle + steps, *env.action_space.shape))
    env.reset(seed=0)
    for action in actions[:settle]:
        env.step(action)
    begin = env.get_state()
    physics, events = env.core.physics, []
    advance, reset = physics.advance, physics.reset
    ctrl, act = physics.batch.bind("ctrl"), physics.batch.bind("act")

    def noting_advance(ids: np.ndarray | None, steps: int) -> np.ndarray:
        rows = slice(None) if ids is None else ids
        events.append(Advance(None if ids is None else ids.copy(), steps, ctrl[rows].copy(), act[rows].copy()))
        return advance(ids, steps)

    def noting_reset(ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        reset(ids, qpos, qvel)
        events.append(Restart(ids.copy(), qpos.copy(), qvel.copy(), ctrl[ids].copy()))

    physics.advance, physics.reset = noting_advance, noting_reset  # type: ignore[method-assign]
    for action in actions[settle:]:
        env.step(action)
    del physics.advance, physics.reset
    return Tape(env, begin, actions[settle:], events)


# -- contestants: each returns environment steps a second of one turn -------------------------------------


def time_vector(tape: Tape) -> float:
    tape.env.set_state(tape.begin)
    start = time.perf_counter()
    for action in tape.actions:
        tape.env.step(action)
    return tape.actions.shape[0] * tape.env.num_envs / (time.perf_counter() - start)


def raw_batch(tape: Tape, threads: int) -> Batch:
    return Batch(tape.env.model, tape.env.num_envs, threads)


def time_raw(tape: Tape, batch: Batch) -> float:
    qpos, qvel, ctrl, act = (batch.bind(name) for name in ("qpos", "qvel", "ctrl", "act"))
    batch.state[:] = tape.begin["physics"]["rows"]
    start = time.perf_counter()
    for event in tape.events:
        ids = event.ids
        if isinstance(event, Advance):
            rows = slice(None) if ids is None else ids
            ctrl[rows], act[rows] = event.ctrl, event.act
            batch.step(ids, nstep=event.steps)
        else:
            batch.reset(ids, stage=mujoco.mjtStage.mjSTAGE_NONE)
            qpos[ids], qvel[ids], ctrl[ids] = event.qpos, event.qvel, event.ctrl
            batch.forward(ids)
    return len(tape.actions) * tape.env.num_envs / (time.perf_counter() - start)


def same_end(tape: Tape, batch: Batch) -> bool:
    """Did both do the same work? Their last states must agree bit for bit."""
    return bool(np.array_equal(tape.env.core.physics.batch.qpos, batch.qpos))


def make_scalar() -> gymnasium.Env:
    return gymnasium.make(f"gait_envs:{ENV_ID}")


def time_processes(env: Any, actions: np.ndarray) -> float:
    """Of `AsyncVectorEnv` or `SubprocVecEnv`."""
    start = time.perf_counter()
    for action in actions:
        env.step(action)
    return actions.shape[0] * actions.shape[1] / (time.perf_counter() - start)


def time_scalar(env: gymnasium.Env, actions: np.ndarray) -> float:
    """Of the scalar form, or of one of Gymnasium's own, resets included."""
    start = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return len(actions) / (time.perf_counter() - start)


def time_training(iterations: int) -> dict[str, float]:
    """Steps a second of whole training iterations (collect, discriminator, update), without the first ones."""
    from gait_trainers.config.layers import load_config
    from gait_trainers.rl.train import train
    from gait_trainers.runs.loggers import read_metrics

    with tempfile.TemporaryDirectory() as folder:
        overrides = {"run.out": folder, "run.name": "bench", "run.iterations": iterations, "run.tensorboard": False}
        result = train(load_config(preset="laptop", overrides=overrides))
        rows = read_metrics(result.run.path / "metrics.csv")[2:]
    return {
        key: statistics.median(float(row[key]) for row in rows)
        for key in ("steps_per_second", "physics_seconds", "policy_seconds", "update_seconds")
    }


# -- the run ----------------------------------------------------------------------------------------------


def benchmark(args: argparse.Namespace) -> dict[str, Any]:
    """All contestants in turn; see the module's text."""
    from stable_baselines3.common.vec_env import SubprocVecEnv

    turns = 2 if args.quick else args.turns
    tapes, turn_of, agree = {}, {}, {}
    for n in args.sizes:
        tape = tapes[n] = record(n, max(16, round(args.steps / (4 if args.quick else 1) / n)), args.threads)
        batch = raw_batch(tape, args.threads)
        turn_of["vector", n] = lambda tape=tape: time_vector(tape)
        turn_of["raw", n] = lambda tape=tape, batch=batch: time_raw(tape, batch)
        turn_of["vector", n](), turn_of["raw", n]()  # warm up
        agree[n] = same_end(tape, batch)
    for name, env_id in SCALAR.items():
        alone = gymnasium.make(env_id if "/" not in env_id else f"gait_envs:{env_id}")
        alone.reset(seed=0)
        size = 0.3 * alone.action_space.high  # type: ignore[attr-defined]
        actions = np.random.default_rng(0).uniform(-size, size, (100 if args.quick else 300, len(size)))
        turn_of["scalar", name] = lambda env=alone, actions=actions: time_scalar(env, actions)
        turn_of["scalar", name]()
    n = args.processes
    actions = np.random.default_rng(0).uniform(-0.5, 0.5, (100 if args.quick else 400, n, 9)).astype(np.float32)
    processes = {"async": AsyncVectorEnv([make_scalar] * n), "subproc": SubprocVecEnv([make_scalar] * n)}
    for name, env in processes.items():
        env.reset()
        turn_of[name, n] = lambda env=env: time_processes(env, actions)

    speeds: dict[tuple[str, Any], list[float]] = {key: [] for key in turn_of}
    for turn in range(turns):
        for key in list(turn_of)[:: 1 if turn % 2 == 0 else -1]:
            speeds[key].append(turn_of[key]())
    for env in processes.values():
        env.close()
    if args.train:
        training = time_training(6 if args.quick else args.train_iterations)
        speeds["raw", TRAIN_SIZE] += [turn_of["raw", TRAIN_SIZE]() for _ in range(turns)]
        raw = statistics.median(speeds["raw", TRAIN_SIZE])
        training["of_raw"] = training["steps_per_second"] / raw
    else:
        training = None
    return {
        "machine": machine(args.threads),
        "turns": turns,
        "same_work": all(agree.values()),
        "steps_per_second": {f"{name}_{n}": statistics.median(values) for (name, n), values in speeds.items()},
        "vector_of_raw": {str(n): ratio(speeds["vector", n], speeds["raw", n][:turns]) for n in args.sizes},
        "vector_over_processes": {
            name: ratio(speeds["vector", max(s for s in args.sizes if s <= 256)], speeds[name, args.processes])
            for name in ("async", "subproc")
        },
        "scalar_of_gymnasium": {
            name: ratio(speeds["scalar", name], speeds["scalar", "Humanoid-v5"]) for name in list(SCALAR)[:2]
        },
        "training": training,
    }


def ratio(a: list[float], b: list[float]) -> float:
    """Median over the turns of a / b: both of a turn met the same weather."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def machine(threads: int) -> dict[str, Any]:
    versions = {}
    for package in ("gaitnet", "mujoco", "gymnasium", "numpy", "stable-baselines3", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads or os.cpu_count(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
    }


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def table(found: dict[str, Any], processes: int) -> str:
    """The same for people."""
    speed, lines = found["steps_per_second"], []
    about = found["machine"]
    lines.append(f"{about['cpu']}, {about['cores']} cores, load {about['load_before']:.1f}; mujoco {about['mujoco']}")
    lines.append(f"{'':24}{'steps/s':>12}{'raw':>12}{'of raw':>9}")
    for n, share in found["vector_of_raw"].items():
        lines.append(f"{'vector, n = ' + n:24}{speed[f'vector_{n}']:12,.0f}{speed[f'raw_{n}']:12,.0f}{share:9.2f}")
    for name, label in (("async", "AsyncVectorEnv"), ("subproc", "SubprocVecEnv")):
        times = found["vector_over_processes"][name]
        lines.append(
            f"{f'{label}, {processes}':24}{speed[f'{name}_{processes}']:12,.0f}   the vector form is {times:.1f}x"
        )
    for name, times in found["scalar_of_gymnasium"].items():
        own, theirs = speed[f"scalar_{name}"], speed["scalar_Humanoid-v5"]
        lines.append(f"{f'scalar, {name}':24}{own:12,.0f}   Gymnasium's Humanoid-v5: {theirs:,.0f}, {times:.2f} of it")
    if found["training"]:
        training = found["training"]
        raw = speed[f"raw_{TRAIN_SIZE}"]
        label = "training, laptop preset"
        lines.append(f"{label:24}{training['steps_per_second']:12,.0f}{raw:12,.0f}{training['of_raw']:9.2f}")
    if not found["same_work"]:
        lines.append("WARNING: raw did not end in the environment's states: the comparison is void")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument("--train", action="store_true", help="training end to end as well")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="sub-environments")
    parser.add_argument("--steps", type=int, default=16384, help="environment steps a turn, all together")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0, help="physics threads; 0: one a core")
    parser.add_argument("--processes", type=int, default=8, help="sub-environments of the process-based forms")
    parser.add_argument("--train-iterations", type=int, default=14)
    args = parser.parse_args()
    if args.train and TRAIN_SIZE not in args.sizes:
        parser.error(f"--train compares with raw at n = {TRAIN_SIZE}; add it to --sizes")
    found = benchmark(args)
    print(json.dumps(found) if args.json else table(found, args.processes))


if __name__ == "__main__":
    run_script(main)
