"""Tracking a reference clip frame by frame: how a drawn or captured motion becomes one that physics can do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gait_envs.control.position import servo_target
from gait_envs.layout import Layout, Row
from gait_envs.models.robot import Robot
from gait_envs.motion.library import EMBEDDED
from gait_envs.physics import State
from gait_envs.rotations import heading_frame, quat_conj, quat_mul, quat_to_rotvec
from gait_envs.tasks import terms
from gait_envs.tasks.config import WalkConfig
from gait_envs.tasks.walk import LOADED, Start, WalkMemory, WalkTask, numbers_option, observation_layout

# Sharpness of each tracked quantity's bell, exp(-k·|error|²), summed over its components.
POSE, POSE_RATE, ROOT, ROOT_VELOCITY, TURN = 3.0, 0.01, 10.0, 6.0, 8.0
TRACK_REWARD = {
    "track_pose": 1.0,
    "track_velocity": 0.2,
    "track_root": 0.4,
    "track_root_velocity": 0.6,
    "track_turn": 0.6,
    "scuff": -0.5,
    "action_rate": -0.1,
    "torque": -0.002,
    "slip": -1.0,
}


@dataclass(frozen=True)
class TrackConfig(WalkConfig):
    """Walking's settings with a reference to follow; commands are the clips' own speeds."""

    reward_weights: Mapping[str, float] = field(default_factory=lambda: dict(TRACK_REWARD))
    reference: str | tuple[str, ...] | None = EMBEDDED
    action_gain: float = 0.5  # share of a joint's half range that an action may correct the reference by
    max_distance: float = 0.5  # m between the root and its reference; more ends the episode


@dataclass(frozen=True)
class TrackMemory(WalkMemory):
    """Walking's memory and the place in the reference."""

    clip: np.ndarray  # (n,) int
    frame: np.ndarray  # (n,) int, the reference frame that belongs to the current state
    origin: np.ndarray  # (n, 2) m, where the clip's own origin lies in this world


class TrackTask(WalkTask):
    """Follow looping or finite clips of the configured reference; episodes start on one of their frames."""

    reward_terms: Mapping[str, str] = {
        **WalkTask.reward_terms,
        "track_pose": "bell of the joint angles' distance to the reference",
        "track_velocity": "bell of the joint rates' distance",
        "track_root": "bell of the root's distance (m)",
        "track_root_velocity": "bell of the root velocity's distance (m/s)",
        "scuff": "feet that touch the floor while the reference swings them (a cost)",
        "track_turn": "bell of the root's turn away from the reference (rad)",
    }

    config: TrackConfig
    option_keys = ("clip", "frame", "command")  # a clip by name or index, its frame; or the clip nearest a speed

    def __init__(self, robot: Robot, config: TrackConfig) -> None:
        if config.reference is None:
            raise ValueError("tracking needs a reference: a clip, a folder of clips or an embedded set")
        super().__init__(robot, config)
        joints = len(robot.joint_names)
        self.layout = Layout(
            (
                *observation_layout(robot, config),
                Row("reference_joint_position", joints, "1", "of the next frame, (q - home) / half range", 5.0),
                Row("reference_joint_velocity", joints, "rad/s", "of the next frame", 100.0),
                Row("root_error", 3, "m", "next reference position minus the root's, heading frame", 5.0),
                Row(
                    "turn_error",
                    3,
                    "rad",
                    "rotation vector to the next reference orientation, body frame",
                    4.0,
                ),
            )
        )

    # -- the reference at the memory's place ------------------------------------------------------------

    def reference(self, memory: TrackMemory, ahead: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Reference positions (n, nq) and velocities (n, nv), `ahead` frames on, in this world."""
        library = self.library
        assert library is not None
        qpos, qvel = library.at(memory.clip, memory.frame + ahead)
        qpos[:, :2] += memory.origin
        return qpos, qvel

    def planned_load(self, memory: TrackMemory) -> np.ndarray:
        """The reference's loads on the soles, (n, 4) N; infinite where it does not know them."""
        assert self.library is not None
        return self.library.contacts[self.library.index_at(memory.clip, memory.frame)]

    # -- what differs from walking ----------------------------------------------------------------------

    def blank_memory(self, n: int) -> TrackMemory:
        walk = super().blank_memory(n)
        whole = np.zeros(n, dtype=np.int64)
        return TrackMemory(
            **{f.name: getattr(walk, f.name) for f in dataclasses.fields(walk)},
            clip=whole.copy(),
            frame=whole.copy(),
            origin=np.zeros((n, 2)),
        )

    def draw_start(self, rng: np.random.Generator, level: float, options: Mapping[str, Any]) -> Start:
        library = self.library
        assert library is not None
        if "clip" in options:
            clip = library.index(options["clip"])
        elif "command" in options:
            clip = library.nearest_speed(float(numbers_option(options, "command", 3)[0]))
        else:
            clip = int(rng.integers(len(library.clips)))
        last = int(library.lengths[clip]) - 2  # a frame must follow
        frame = int(options["frame"]) if "frame" in options else int(rng.integers(last + 1))
        if not 0 <= frame <= last:
            raise ValueError(f"options['frame'] is {frame}, clip {library.clips[clip].name!r} has 0 to {last}")
        qpos, qvel = library.frame(clip, frame)
        qpos[7:] = np.clip(qpos[7:], self.robot.lower, self.robot.upper)
        command = np.array([library.speeds[clip], 0.0, 0.0])
        return Start(qpos, qvel, command, on_floor=True, clip=clip, frame=frame)

    def begin(self, memory: WalkMemory, ids: np.ndarray, starts: list[Start], lag: np.ndarray) -> None:
        super().begin(memory, ids, starts, lag)
        assert isinstance(memory, TrackMemory)
        assert self.library is not None
        for rows in (memory.action, memory.previous_action, memory.filtered):
            rows[ids] = 0.0  # no correction yet
        memory.clip[ids] = [start.clip for start in starts]
        memory.frame[ids] = [start.frame for start in starts]
        there, _ = self.library.at(memory.clip[ids], memory.frame[ids])
        memory.origin[ids] = np.stack([start.qpos[:2] for start in starts]) - there[:, :2]

    def act(self, memory: WalkMemory, action: np.ndarray) -> tuple[np.ndarray, WalkMemory]:
        target, memory = super().act(memory, action)
        assert isinstance(memory, TrackMemory)
        return target, dataclasses.replace(memory, frame=memory.frame + 1)

    def target(self, action: np.ndarray, memory: WalkMemory) -> np.ndarray:
        """Servo targets (n, nu) rad: the reference's next pose, corrected by the action."""
        assert isinstance(memory, TrackMemory)
        robot, (qpos, _) = self.robot, self.reference(memory, ahead=1)
        scale = self.config.action_gain * robot.action_scale
        return servo_target(action, qpos[:, 7:], scale, robot.lower, robot.upper)

    def observe(self, state: State, memory: WalkMemory) -> np.ndarray:
        assert isinstance(memory, TrackMemory)
        robot, quat = self.robot, state.qpos[:, 3:7]
        qpos, qvel = self.reference(memory, ahead=1)
        parts = self.observation_parts(state, memory) | {
            "reference_joint_position": (qpos[:, 7:] - robot.home) / robot.action_scale,
            "reference_joint_velocity": qvel[:, 6:],
            "root_error": heading_frame(quat, qpos[:, :3] - state.qpos[:, :3]),
            "turn_error": quat_to_rotvec(quat_mul(quat_conj(quat), qpos[:, 3:7])),
        }
        return self.layout.pack(parts)

    def reward_functions(self, state: State, memory: WalkMemory) -> dict[str, Any]:
        assert isinstance(memory, TrackMemory)
        qpos, qvel = self.reference(memory)
        turn = quat_to_rotvec(quat_mul(quat_conj(state.qpos[:, 3:7]), qpos[:, 3:7]))
        bell = lambda error, k: np.exp(-k * terms.squared(error))  # noqa: E731 - five uses below
        return super().reward_functions(state, memory) | {
            "track_pose": lambda: bell(state.qpos[:, 7:] - qpos[:, 7:], POSE),
            "track_velocity": lambda: bell(state.qvel[:, 6:] - qvel[:, 6:], POSE_RATE),
            "track_root": lambda: bell(state.qpos[:, :3] - qpos[:, :3], ROOT),
            "track_root_velocity": lambda: bell(state.qvel[:, :3] - qvel[:, :3], ROOT_VELOCITY),
            "track_turn": lambda: bell(turn, TURN),
            "scuff": lambda: terms.scuff(state.foot_force, self.planned_load(memory), LOADED),
        }

    def fallen(self, state: State, memory: WalkMemory) -> np.ndarray:
        """A fall, or the root too far from where it should be."""
        assert isinstance(memory, TrackMemory)
        qpos, _ = self.reference(memory)
        lost = terms.squared(state.qpos[:, :3] - qpos[:, :3]) > self.config.max_distance**2
        return super().fallen(state, memory) | lost
