"""The mean gait cycle of one walk of a policy, beside the reference's at the same speed; of any body with two feet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gait_envs.core import Core
from gait_envs.models.robot import Robot
from gait_trainers.evaluation.clinical import ending, rounded
from gait_trainers.evaluation.gait_metrics import Rollout, after_warmup, heading_velocity, masked_mean
from gait_trainers.evaluation.rollout import EvaluationError, record, record_episodes
from gait_trainers.evaluation.style import Cycle, StyleJudge, clip_cycle, compare_cycles, mean_cycle, walks_straight
from gait_trainers.evaluation.tracking import open_reference
from gait_trainers.evaluation.walking import default_commands, show_command
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, follows_clips, make_env

SECONDS = 10.0  # of a walk; its first second is left out


@dataclass(frozen=True)
class JointCycles:
    """A walk, from a left touchdown to the next."""

    name: str  # of the clip, or the command
    joints: tuple[str, ...]
    ours: Cycle
    theirs: Cycle | None  # of the clip, or of the reference at the commanded speed
    speed: float  # m/s, mean forward velocity
    seconds: float  # until the fall, if it fell
    fall: str  # its cause, one of `rollout.CAUSES`; "" without one

    def figures(self) -> dict[str, Any]:
        """What a table and a plot show of it, JSON-able, angles in degrees; None where a figure is undefined."""
        found = None if self.theirs is None else compare_cycles(self.ours, self.theirs, self.joints)
        off: dict[str, float] = {}
        if found is not None:
            lean, cadence = np.degrees(found["trunk_lean_off"]), 100 * found["cadence_off"]
            off = {"trunk_lean_difference_deg": lean, "cadence_difference_percent": cadence}
        own = {"speed": self.speed, "cadence": self.ours.cadence, "trunk_lean_deg": np.degrees(self.ours.lean)}
        return {
            "walk": self.name,
            "seconds": round(self.seconds, 3),
            "fall": self.fall or None,
            **rounded(own | off),
            "curves": {name: self._curve(j, name, found) for j, name in enumerate(self.joints)},
        }

    def _curve(self, j: int, name: str, found: dict[str, Any] | None) -> dict[str, Any]:
        curve: dict[str, Any] = {
            key: None if cycle is None else np.degrees(cycle.joints[:, j]).round(3).tolist()
            for key, cycle in (("mean", self.ours), ("reference", self.theirs))
        }
        if found is not None:
            correlation = found["joint_correlation"][name]
            fit = {"correlation": np.nan if correlation is None else correlation}
            curve |= rounded(fit | {"rms": np.degrees(found["joint_rms"][name])})
        return {"unit": "°"} | curve


def joint_cycles(policy: Policy, *, seconds: float = SECONDS, threads: int = 0) -> JointCycles:
    """One deterministic walk: along the first clip of the policy's that walks straight ahead, or to such a command.

    The command is the middle one of those that the reference has clips for, or of all that the environment draws where
    it has none. EvaluationError says how a walk without two whole cycles ended.
    """
    name, robot, theirs, rollout, ends = (_along_a_clip if follows_clips(policy.env_id) else _to_a_command)(
        policy, seconds, threads
    )
    measured = after_warmup(rollout.valid, rollout.dt)
    rows, fall = measured[:, 0], str(ends["cause"][0])
    lasted = float(ends["steps"][0]) * rollout.dt
    ours = mean_cycle(rollout.qpos[rows, 0], rollout.foot_force[rows, 0], rollout.dt, float(rollout.mass[0]))
    if ours is None:
        raise EvaluationError(f"{policy.name} at {name} {ending(fall, lasted)}: fewer than two whole gait cycles")
    speed = masked_mean(heading_velocity(rollout.qpos, rollout.qvel), measured)[0, 0]
    return JointCycles(name, tuple(robot.joint_names), ours, theirs, float(speed), lasted, fall)


Walked = tuple[str, Robot, Cycle | None, Rollout, dict[str, np.ndarray]]  # name, body, reference, what happened


def _to_a_command(policy: Policy, seconds: float, threads: int) -> Walked:
    env = make_env(policy.env_id, threads=1, **deployment_kwargs(policy.env_kwargs))
    robot = env.core.robot
    env.close()
    judge, commands = StyleJudge.of(robot), default_commands(policy)
    known = [] if judge is None else [command for command in commands if judge.reference_cycle(command[0])]
    command = (known or commands)[len(known or commands) // 2]
    rollout, ends = record(policy, np.array([command]), seconds=seconds, threads=threads)
    theirs = None if judge is None else judge.reference_cycle(command[0])
    return f"{show_command(command)} m/s", robot, theirs, rollout, ends


def _along_a_clip(policy: Policy, seconds: float, threads: int) -> Walked:
    task = open_reference(policy).task
    library, robot = task.library, task.robot
    assert library is not None
    cycles = [None if clip.contacts is None else clip_cycle(clip, robot.mass) for clip in library.clips]
    at = next((i for i, clip in enumerate(library.clips) if cycles[i] is not None and walks_straight(clip)), 0)
    core, options = Core(task, 1, threads=threads), {"clip": np.array([at]), "frame": np.array([0])}
    found = record_episodes(policy, core, [0], options, limits=np.array([round(seconds / robot.dt)]))
    return library.names[at], robot, cycles[at], found.rollout, found.ends
