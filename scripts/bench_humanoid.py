"""How fast is the human body? Its environments beside bare physics, and its muscles beside another model's.

    python scripts/bench_humanoid.py                        a table
    python scripts/bench_humanoid.py --json                 the same as one JSON object on the last line
    python scripts/bench_humanoid.py --quick                a minute, for a look
    python scripts/bench_humanoid.py --other-model FILE     and physics alone beside another model with muscles (MJCF)

Contestants, turns and "raw" are those of `bench_env.py`: raw replays what the environment told its physics, activations
included, and ends in the same bits. "Sections" are measured in a turn of their own, with a clock around each, and with
activations found on one thread, so that they add up.
Controller "nn" has random weights, of the size that training gives it: its time does not depend on them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench_env import Tape, machine, ratio, raw_batch, record, same_end, time_raw, time_vector

# isort: split
import mujoco
import numpy as np
from mujoco.batch import Batch

from gait_envs import IDS
from gait_envs.cli import run_script
from gait_envs.control.muscle_network import HIDDEN, save_muscle_network
from gait_envs.models.robot import muscle_humanoid

SIZES = (1, 64)
SETTLE = 10  # control steps before the measured stretch
SIZE = 0.1  # of the actions: some stay up, some fall
CONTROLLERS = {"torque": ("",), "muscle": ("qp", "nn")}
MODEL_SECONDS = 0.25  # simulated, a turn of bare models


class Contestant(NamedTuple):
    env_id: str
    controller: str  # "" without muscles
    n: int

    def __str__(self) -> str:
        return f"{self.env_id.removeprefix('GaitNet/').removesuffix('-v0')} {self.controller}".strip()


def contestants(sizes: list[int]) -> list[Contestant]:
    ids = [env_id for env_id in IDS if "Humanoid" in env_id]
    kinds = {env_id: CONTROLLERS["muscle" if "Muscle" in env_id else "torque"] for env_id in ids}
    return [Contestant(env_id, controller, n) for env_id in ids for controller in kinds[env_id] for n in sizes]


def random_network(folder: str) -> Path:
    muscles, rng = muscle_humanoid().muscles, np.random.default_rng(0)
    assert muscles is not None
    sizes = (len(muscles.entry_dof) + len(muscles.dofs), *HIDDEN, len(muscles.names))
    layers = [(rng.normal(0, i**-0.5, (i, o)), np.zeros(o)) for i, o in itertools.pairwise(sizes)]
    path = Path(folder) / "network.npz"
    save_muscle_network(path, layers, muscles)
    return path


# -- where the time goes ----------------------------------------------------------------------------------


class Clock:
    """Seconds spent in functions by name, less those spent in timed functions that they call."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def around(self, name: str, function: Callable) -> Callable:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - start
                self.seconds[name] += spent - self._inner.pop()
                self._inner[-1] += spent

        return timed


class TimedController:
    """A muscle controller with a clock around it."""

    def __init__(self, controller: Any, clock: Clock) -> None:
        self._controller, self._call = controller, clock.around("controller", controller)

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)


def sections(tape: Tape) -> dict[str, float]:
    """Milliseconds of one control step of all sub-environments, by what they are spent on."""
    clock, core = Clock(), tape.env.core
    physics, task = core.physics, core.task
    places = {
        "mujoco": (physics, "advance"),
        "resets": (core, "reset"),
        "torque map": (physics, "_torque_map"),
        "stable PD": (physics, "_desired_torque"),
        "refresh": (physics, "step"),
        "reading": (physics, "read"),
        "act": (task, "act"),
        "memory": (task, "advance"),
        "reward": (task, "reward"),
        "info": (core, "_info"),
        "observation": (task, "observe"),
    }
    wrapped = [(name, owner, method) for name, (owner, method) in places.items() if hasattr(owner, method)]
    tape.env.set_state(tape.begin)
    controllers, pool = getattr(physics, "controllers", {}), getattr(physics, "_pool", None)
    for name, owner, method in wrapped:
        setattr(owner, method, clock.around(name, getattr(owner, method)))
    if controllers:
        physics.controllers = {name: TimedController(each, clock) for name, each in controllers.items()}
        physics._pool = None
    start = time.perf_counter()
    try:
        for action in tape.actions:
            tape.env.step(action)
        total = time.perf_counter() - start
    finally:
        for _, owner, method in wrapped:
            delattr(owner, method)
        if controllers:
            physics.controllers, physics._pool = controllers, pool
    found = clock.seconds | {"the rest": total - sum(clock.seconds.values())}
    return {name: 1e3 * seconds / len(tape.actions) for name, seconds in found.items()}


# -- bare models ------------------------------------------------------------------------------------------


def make_model_turn(model: mujoco.MjModel, n: int, threads: int) -> Callable[[], float]:
    """Physics steps a second of one turn, from the first keyframe with small random activations."""
    batch = Batch(model, n, threads, persistent=n == 1)
    qpos, ctrl = batch.bind("qpos"), batch.bind("ctrl")
    muscles = model.actuator_ctrladr[model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE]
    excitation = np.random.default_rng(0).uniform(0, 0.2, (n, len(muscles)))
    steps = round(MODEL_SECONDS / model.opt.timestep)

    def turn() -> float:
        batch.reset()
        qpos[:] = model.key_qpos[0] if model.nkey else model.qpos0
        ctrl[:, muscles] = excitation
        batch.forward()
        start = time.perf_counter()
        batch.step(nstep=steps)
        return n * steps / (time.perf_counter() - start)

    return turn


def load_other(path: str) -> mujoco.MjModel:
    model = mujoco.MjModel.from_xml_path(path)
    if not (model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE).any():
        raise SystemExit(f"{path} has no actuators with MuJoCo's muscle gain")
    return model


# -- the run ----------------------------------------------------------------------------------------------


def benchmark(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """All contestants in turn; see the module's text."""
    turns, network = 2 if args.quick else args.turns, str(random_network(folder))
    turn_of: dict[tuple, Callable[[], float]] = {}
    tapes, agree = {}, []
    for who in contestants(args.sizes):
        config = {"muscle_controller": who.controller} if who.controller else {}
        config |= {"muscle_network": network} if who.controller == "nn" else {}
        steps = max(6, min(64, round(args.steps / (4 if args.quick else 1) / who.n)))
        tape = record(who.n, steps, args.threads, task=IDS[who.env_id], settle=SETTLE, size=SIZE, **config)
        batch = raw_batch(tape, args.threads)
        tapes[who] = tape
        turn_of["env", who] = lambda tape=tape: time_vector(tape)
        turn_of["raw", who] = lambda tape=tape, batch=batch: time_raw(tape, batch)
        turn_of["env", who](), turn_of["raw", who]()  # warm up
        agree.append(same_end(tape, batch))
    models = {"ours": muscle_humanoid().model} | ({"other": load_other(args.other_model)} if args.other_model else {})
    for name, model in models.items():
        for n in args.sizes:
            turn_of["model", (name, n)] = make_model_turn(model, n, args.threads)

    speeds: dict[tuple, list[float]] = {key: [] for key in turn_of}
    for turn in range(turns):
        for key in list(turn_of)[:: 1 if turn % 2 == 0 else -1]:
            speeds[key].append(turn_of[key]())
    return {
        "machine": machine(args.threads),
        "turns": turns,
        "same_work": all(agree),
        "environments": [
            {
                "id": who.env_id,
                "controller": who.controller or None,
                "n": who.n,
                "steps_per_second": statistics.median(speeds["env", who]),
                "raw_steps_per_second": statistics.median(speeds["raw", who]),
                "of_raw": ratio(speeds["env", who], speeds["raw", who]),
                "sections_ms": sections(tape),
            }
            for who, tape in tapes.items()
        ],
        "models": [
            model_row(name, models[name], n, speeds["model", (name, n)], speeds["model", ("ours", n)])
            for name in models
            for n in args.sizes
        ],
    }


def model_row(name: str, model: mujoco.MjModel, n: int, speeds: list[float], ours: list[float]) -> dict[str, Any]:
    """`muscle_steps_per_second`: physics steps a second times muscles; `of_ours` is the ratio of these."""
    muscles = int((model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE).sum())
    own = int((muscle_humanoid().model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE).sum())
    speed = statistics.median(speeds)
    return {
        "model": name,
        "n": n,
        "muscles": muscles,
        "dofs": model.nv,
        "timestep": model.opt.timestep,
        "steps_per_second": speed,
        "muscle_steps_per_second": speed * muscles,
        "times_real_time": speed * model.opt.timestep,
        "of_ours": ratio(speeds, ours) * muscles / own,
    }


def table(found: dict[str, Any]) -> str:
    """The same for people."""
    about = found["machine"]
    lines = [f"{about['cpu']}, {about['cores']} cores, load {about['load_before']:.1f}; mujoco {about['mujoco']}"]
    lines.append(f"{'control steps/s':32}{'n':>5}{'steps/s':>10}{'raw':>10}{'of raw':>8}")
    for row in found["environments"]:
        label = str(Contestant(row["id"], row["controller"] or "", row["n"]))
        lines.append(
            f"{label:32}{row['n']:5}{row['steps_per_second']:10,.0f}{row['raw_steps_per_second']:10,.0f}"
            f"{row['of_raw']:8.2f}"
        )
        ordered = sorted(row["sections_ms"].items(), key=lambda item: -item[1])
        lines.append("    ms a step of all: " + ", ".join(f"{name} {ms:.2f}" for name, ms in ordered))
    heads = ("n", 5), ("muscles", 9), ("steps/s", 10), ("muscle-steps/s", 16), ("real time", 11), ("of ours", 9)
    lines.append(f"{'bare model':12}" + "".join(f"{name:>{width}}" for name, width in heads))
    for row in found["models"]:
        lines.append(
            f"{row['model']:12}{row['n']:5}{row['muscles']:9}{row['steps_per_second']:10,.0f}"
            f"{row['muscle_steps_per_second']:16,.0f}{row['times_real_time']:10.1f}x{row['of_ours']:9.2f}"
        )
    if not found["same_work"]:
        lines.append("WARNING: raw did not end in the environment's states: the comparison is void")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="sub-environments")
    parser.add_argument("--steps", type=int, default=1024, help="environment steps a turn, at most 64 of each")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="physics threads; 0: one a core")
    parser.add_argument("--other-model", metavar="FILE", help="an MJCF file of another body with muscles")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = benchmark(args, folder)
    print(json.dumps(found) if args.json else table(found))


if __name__ == "__main__":
    run_script(main)
