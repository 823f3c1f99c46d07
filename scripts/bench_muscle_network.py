"""How well and how fast does a network command the muscles of a walking body, beside static optimisation?

    python scripts/bench_muscle_network.py POLICY          a bundle, run folder or checkpoint whose network moves a body
    python scripts/bench_muscle_network.py POLICY --json   the same as one JSON object on the last line

The policy walks, deterministic, along every clip of its reference from phases spread over it, and both are asked for
the torques that were desired in states on the way, which no training has seen. Static optimisation is timed as it runs
in an environment, from its last answer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np

from gait_envs.cli import run_script
from gait_envs.control.muscle import TorqueMap
from gait_envs.control.muscle_control import make_muscle_controller
from gait_envs.core import Core
from gait_envs.simulation.muscles import MuscleSimulation, Refresh
from gait_trainers.evaluation.tracking import open_reference, plan_whole, spread_phases
from gait_trainers.learners.muscle.tuples import best_activations, fit, gather, split_rows
from gait_trainers.policies.loading import load_policy

PHASES = 4  # episodes a clip
STEPS = 120  # control steps, 4 s
SETTLE = 30  # of these are not kept
TURNS = 9  # of a timing


def walk(path: str) -> tuple[np.ndarray, list[Refresh], MuscleSimulation]:
    """Tuples (k, row) on the way, one a control step of each body that still walks, and refreshes of one step."""
    policy = load_policy(path)
    opened = open_reference(policy, None)
    task, library = opened.task, opened.task.library
    assert library is not None
    clips = np.repeat(np.arange(len(library.clips)), PHASES)
    plan = spread_phases(plan_whole(opened, clips, 0), library)
    core = Core(task, len(clips))
    if not isinstance(core.physics, MuscleSimulation) or list(core.physics.controllers) != ["nn"]:
        raise SystemExit(f"{path}: no network moves its body")
    core.seed(list(range(len(clips))))
    obs, _ = core.reset(options={"clip": plan.clip, "frame": plan.frame})
    rng, alive, kept = np.random.default_rng(0), np.ones(len(clips), bool), []
    state, starts = policy.initial_state(len(clips)), np.ones(len(clips), bool)
    for step in range(STEPS):
        action, state = policy.act(obs, state, starts)
        obs, _, fell, over, _ = core.step(action)
        starts = fell | over
        alive &= ~(fell | over)
        rows, ids = gather(core.physics.last, rng.integers(len(core.physics.last), size=len(clips)), task.robot.muscles)
        if step >= SETTLE:
            kept.append(rows[alive[ids]])
    print(f"{alive.sum()} of {len(clips)} bodies still walk after {STEPS * task.robot.dt:g} s")
    return np.concatenate(kept), core.physics.last, core.physics


def seconds(controller: Any, refreshes: list[Refresh]) -> float:
    """Median time of a row over consecutive refreshes, from the last answer on."""
    memory = np.zeros((len(refreshes[0].ids), controller.memory_size))
    times = []
    for _ in range(TURNS):
        start = time.perf_counter()
        for refresh in refreshes:
            _, memory = controller(TorqueMap(refresh.state.jta, refresh.state.passive), refresh.demand, memory)
        times.append((time.perf_counter() - start) / (len(refreshes) * len(memory)))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows, refreshes, physics = walk(given.policy)
    muscles, network = physics.muscles, physics.controllers["nn"]
    tuples = split_rows(rows, muscles)
    answers = {
        "network": network.network(tuples.entries, tuples.torque),  # type: ignore[attr-defined]
        "static optimisation": best_activations(tuples, muscles),
    }
    controllers = {"network": network, "static optimisation": make_muscle_controller("qp", muscles)}
    found = {}
    for name, activations in answers.items():
        fits = fit(tuples, activations, muscles)
        found[name] = {
            "residual": fits.residual,
            "energy": fits.energy,
            "lowest": float(activations.min()),
            "highest": float(activations.max()),
            "us_a_row": 1e6 * seconds(controllers[name], refreshes),
        }
        print(
            f"{name:20} misses {fits.residual:.1%} of the torque, squared activation {fits.energy:.3f}, "
            f"{found[name]['lowest']:.2f} to {found[name]['highest']:.2f}, {found[name]['us_a_row']:.0f} µs a row"
        )
    ours, best = found["network"], found["static optimisation"]
    missed, faster = ours["residual"] / best["residual"], best["us_a_row"] / ours["us_a_row"]
    print(f"{len(rows)} tuples: the network misses {missed:.2f} times as much and is {faster:.1f} times as fast")
    if given.json:
        print(json.dumps(found | {"tuples": len(rows)}))


if __name__ == "__main__":
    run_script(main)
