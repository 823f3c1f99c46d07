"""Walking to a commanded velocity: `GaitNet/WildRobot-v0`, `Humanoid-v0` and `MuscleHumanoid-v0`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gait_envs.models.robot import SOLES, Robot
from gait_envs.reference.clip import ClipError, check_fits
from gait_envs.reference.library import MotionLibrary, load_clips
from gait_envs.reference.refnn.generator import named_model
from gait_envs.simulation.inverse import walking_torques
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.tasks.actions import Actions
from gait_envs.tasks.base import Task
from gait_envs.tasks.body import body_part, command_part, feet_part, pace_part
from gait_envs.tasks.config import TaskConfig, WalkConfig, check_command
from gait_envs.tasks.memory import Memory
from gait_envs.tasks.part import Part, Start
from gait_envs.tasks.success import above_standing_still, success_part
from gait_envs.tasks.view import Settings

OPTIONS = {"command": 1, "qpos": 1, "qvel": 1}  # of reset, and each value's dimensions


def walk(robot: Robot, config: WalkConfig) -> Task:
    """The task of walking as commanded."""
    commands = Commands(robot, config)
    parts = (
        command_part(robot.dt),
        body_part(robot, config),
        feet_part(robot),
        pace_part(robot.dt),
        success_part(robot.dt),
        Part(redraw=commands.redraw, finish=commands.learn),
    )
    return Task(
        robot,
        config,
        Actions(robot, config),
        parts,
        commands.start,
        OPTIONS,
        param_space=ParamSpace(robot),
        library=commands.library,
    )


class Commands:
    """Draws commands and initial poses: the home pose, or a frame of a clip of similar velocity."""

    def __init__(self, robot: Robot, config: WalkConfig) -> None:
        self.robot, self.config = robot, config
        self.library = None if config.reference is None else load_library(robot, config)

    def start(self, rng: np.random.Generator, level: float, options: Mapping[str, Any], settings: Settings) -> Start:
        """Where one episode begins; `options` of reset override the draw."""
        config, library = self.config, self.library
        command = numbers_option(options, "command", 3) if "command" in options else self.command(rng, level)
        check_command(command, "options['command']")
        clip = frame = 0
        if library is not None and rng.random() < config.rsi_probability:
            clip = library.nearest_velocity(command)
            frame = int(rng.integers(library.lengths[clip]))
            (qpos, qvel), from_reference = library.frame(clip, frame), True
        else:
            (qpos, qvel), from_reference = standing(self.robot, config.reset_noise, rng), False
        if "qpos" in options:
            qvel[:] = 0.0  # the drawn velocities belong to the drawn pose
        for key, value in (("qpos", qpos), ("qvel", qvel)):
            if key in options:
                value[:] = numbers_option(options, key, value.size)
        if abs(np.linalg.norm(qpos[3:7]) - 1) > 1e-3:
            raise ValueError(f"options['qpos'] has the root quaternion {qpos[3:7]}, which is not of length 1")
        return Start(qpos, qvel, command, not from_reference and "qpos" not in options, clip, frame)

    def command(self, rng: np.random.Generator, level: float) -> np.ndarray:
        """A command within the range, or to stand; with a curriculum, the forward range opens with the level."""
        if self.config.standing_probability > 0 and rng.random() < self.config.standing_probability:
            return np.zeros(3)
        return rng.uniform(*self.config.range_of(level))

    def learn(self, memory: Memory, ids: np.ndarray, success: np.ndarray) -> None:
        """Curriculum: the level of `ids` rises by 0.1 after a success, else falls by 0.05.

        A command that standing still would follow does not count.
        """
        change = np.where(success, 0.1, -0.05) * above_standing_still(memory.command[ids])
        memory.level[ids] = np.clip(memory.level[ids] + change, 0.0, 1.0)

    def redraw(self, memory: Memory, rows: np.ndarray, rngs: list[np.random.Generator]) -> None:
        """New commands where one is due, among the sub-environments `rows`."""
        interval = self.config.command_interval
        if interval <= 0:
            return
        period = max(1, round(interval / self.robot.dt))
        for i in rows[memory.steps[rows] % period == 0]:
            memory.command[i] = self.command(rngs[i], float(memory.level[i]))


def load_library(robot: Robot, config: TaskConfig) -> MotionLibrary:
    """The clips of the configured reference, at the robot's control rate; generated ones with the torques they need.

    Raises ClipError where a RefNN is one of several sources: its walks are made to each walker, clips are not.
    """
    sources = config.reference if isinstance(config.reference, list | tuple) else ()
    if len(sources) > 1 and (mixed := [source for source in sources if named_model(source) is not None]):
        raise ClipError(f"reference: {mixed[0]} cannot be one of several; name it alone")
    clips = load_clips(config.reference or ())
    if named_model(config.reference) is not None:
        for clip in clips:
            check_fits(clip, robot.joint_names)
        found = [walking_torques(robot, clip.qpos, clip.qvel) for clip in clips]
        clips = [replace(clip, torque=own[0], contacts=own[1]) for clip, own in zip(clips, found, strict=True)]
    library = MotionLibrary(clips, robot.joint_names, robot.control_rate)
    if (width := library.contacts.shape[1]) != len(SOLES):
        raise ClipError(
            f"reference: its clips, {library.names[0]!r} the first, have contacts of {width} soles; of {robot.name} "
            f"they are {len(SOLES)}, {', '.join(SOLES)}"
        )
    return library


def standing(robot: Robot, noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The home pose (nq,) and its velocities (nv,), with noise on the joints: rad, and ten times that in rad/s."""
    return shake(robot, robot.home_qpos, np.zeros(robot.model.nv), noise, rng)


def shake(
    robot: Robot, qpos: np.ndarray, qvel: np.ndarray, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A state with noise on the joints, within their limits: rad, and ten times that in rad/s."""
    qpos, qvel = qpos.copy(), qvel.copy()
    joints = qpos[7:] + noise * rng.uniform(-1, 1, len(robot.home))
    qpos[7:] = np.clip(joints, robot.lower, robot.upper)
    qvel[6:] += 10 * noise * rng.uniform(-1, 1, len(robot.home))
    return qpos, qvel


def numbers_option(options: Mapping[str, Any], key: str, size: int) -> np.ndarray:
    """A reset option of `size` finite numbers."""
    value = np.array(options[key])
    if value.shape != (size,) or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
        raise ValueError(f"options[{key!r}] must be {size} finite numbers, got {options[key]!r}")
    return value.astype(float)
