"""Evaluates how well a policy walks, command by command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gait_envs.reference.clip import check_fits
from gait_envs.reference.sources import ClipSource, load_clips
from gait_envs.tasks.config import FASTEST, WalkConfig
from gait_trainers.evaluation.gait_metrics import episode_metrics, followed
from gait_trainers.evaluation.rollout import BATCH, EvaluationError, json_options, record, summary
from gait_trainers.evaluation.style import StyleJudge, walks_straight
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, make_env

GRID = tuple((round(0.1 * i, 1), 0.0, 0.0) for i in range(1, 11))  # forward at 0.1 … 1.0 m/s

Command = tuple[float, float, float]  # forward m/s, leftward m/s, yaw rate rad/s


def evaluate(
    policy: Policy,
    episodes: int = 100,
    commands: Sequence[Command] | None = None,
    stochastic: bool = False,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    threads: int = 0,
    reference: ClipSource | None = None,
) -> dict[str, Any]:
    """`episodes` episodes shared out evenly over `commands`; JSON-able figures, overall and per command.

    Every episode counts once, from its reset to its fall or time-out. A figure is the mean over the episodes
    in which it can be measured and None where there is none. `style_gap` and each command's `style` compare the gait
    with these clips, without `reference` with the robot's embedded ones (see `evaluation.style`). Without `commands`,
    forward speeds in steps of 0.1 m/s as far as the policy's environment commands them.
    """
    commands = list(commands or thinned(default_commands(policy), episodes))
    if episodes < len(commands):
        raise EvaluationError(f"{episodes} episodes are too few for {len(commands)} commands; give at least one each")
    of_command = np.arange(episodes) % len(commands)  # episode -> command, shared out evenly
    wanted = np.asarray(commands, dtype=float)[of_command]
    columns: dict[str, list[np.ndarray]] = {}
    judge, cycles = style_judge(policy, reference), []
    for start in range(0, episodes, BATCH):
        rollout, ends = record(
            policy, wanted[start : start + BATCH],
            stochastic=stochastic, seed=seed + start, env_kwargs=env_kwargs, threads=threads,
        )  # fmt: skip
        if judge is not None:
            judge.watch(rollout)
            cycles += judge.cycles(rollout)
        figures = episode_metrics(rollout)
        is_success = followed(ends["success"], figures["speed_error"], figures["heading_drift_deg"])
        figures |= ends | {"is_success": is_success, "episode_length": ends["steps"] * rollout.dt}
        for name, values in figures.items():
            columns.setdefault(name, []).append(values)
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    per_command = [{"command": list(command), **summary(table, of_command == i)} for i, command in enumerate(commands)]
    for i, row in enumerate(per_command):
        own = [cycle for cycle, k in zip(cycles, of_command, strict=False) if cycle is not None and k == i]
        straight = row["command"][1:] == [0.0, 0.0]
        row["style"] = judge.compare(own, row["command"][0]) if judge is not None and straight else None
    return {
        "policy": policy.name,
        "environment": policy.env_id,
        "env_kwargs": json_options(env_kwargs or {}),
        "style_reference": _shown(reference),
        "mode": "stochastic" if stochastic else "deterministic",
        "seed": seed,
        **summary(table, np.ones(episodes, bool)),
        "style_gap": None if judge is None else judge.gap(),
        "per_command": per_command,
    }


def _shown(reference: ClipSource | None) -> list[str] | None:
    sources = [reference] if isinstance(reference, str | os.PathLike) else reference
    return None if sources is None else [str(source) for source in sources]


def style_judge(policy: Policy, reference: ClipSource | None = None) -> StyleJudge | None:
    """With these clips, which must hold contacts and a walk straight ahead; without any with the embedded ones of the
    policy's robot, and None where that has none."""
    env = make_env(policy.env_id, threads=1, **deployment_kwargs(policy.env_kwargs))
    robot = env.core.robot
    env.close()
    if reference is None:
        return StyleJudge.of(robot)
    clips = list(load_clips(reference))
    for clip in clips:
        check_fits(clip, robot.joint_names, robot.control_rate)
    bare = [clip.name for clip in clips if clip.contacts is None]
    if bare:
        raise EvaluationError(f"--reference: {', '.join(bare[:5])} without contacts; a gait is compared by them too")
    if not any(map(walks_straight, clips)):
        raise EvaluationError("--reference: no clip walks straight ahead, to compare the gait with")
    return StyleJudge(robot, clips)


def default_commands(policy: Policy) -> list[Command]:
    """The forward speeds of GRID within the environment's command range; at least the nearest one."""
    env = make_env(policy.env_id, threads=1, **deployment_kwargs(policy.env_kwargs))
    config = env.core.task.config
    env.close()
    if not isinstance(config, WalkConfig):
        raise EvaluationError(f"{policy.name}: {policy.env_id} draws no commands; it follows clips")
    low, high = config.command_low[0], config.command_high[0]
    within = [command for command in GRID if low - 1e-6 <= command[0] <= high + 1e-6]
    return within or [(low, 0.0, 0.0)]


def thinned(commands: list[Command], most: int) -> list[Command]:
    """At most `most` of the commands, spread evenly."""
    picks = np.linspace(0, len(commands) - 1, min(most, len(commands)))
    return [commands[round(pick)] for pick in picks]


def parse_command(text: str) -> Command:
    """ "0.4" or "0.4,0.1,-0.5" -> (vx, vy, yaw rate)."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not np.abs(numbers).max() <= FASTEST:
        raise EvaluationError(
            f"command {text!r}: expected VX or VX,VY,YAW_RATE in m/s and rad/s, such as 0.4 or 0.4,0,0.5, "
            f"up to {FASTEST:g} m/s and rad/s"
        )
    vx, vy, yaw_rate = (*numbers, 0.0, 0.0)[:3]
    return vx, vy, yaw_rate


def show_command(command: Sequence[float]) -> str:
    """A command (vx, vy, yaw rate) as text: `0.5`, or `0.5, 0, 0.2` unless it is straight ahead."""
    vx, vy, yaw_rate = command
    return f"{vx:g}" if vy == yaw_rate == 0 else f"{vx:g}, {vy:g}, {yaw_rate:g}"
