"""Following reference clips frame by frame: `GaitNet/WildRobotImitation-v0` and `HumanoidImitation-v0`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gait_envs.control.position import servo_target
from gait_envs.layout import Layout
from gait_envs.models.robot import Robot
from gait_envs.reference.library import MotionLibrary
from gait_envs.rotations import heading_frame, quat_conj, quat_mul, quat_rotate, quat_to_rotvec, yaw_quat
from gait_envs.simulation.base import State
from gait_envs.tasks import terms
from gait_envs.tasks.config import TrackConfig
from gait_envs.tasks.layouts import FUTURE_ROWS, observation_layout, reference_rows
from gait_envs.tasks.reference_tables import clip_bodies, clip_commands
from gait_envs.tasks.walk import Start, WalkMemory, WalkTask, numbers_option

# Sharpness of each tracked quantity's kernel, exp(-k·|error|²), summed over its components; the joints' are options.
ROOT, ROOT_VELOCITY, TURN, ENDS, MASSES = 30.0, 6.0, 8.0, 40.0, 10.0


@dataclass(frozen=True)
class TrackMemory(WalkMemory):
    """Walking's memory, the place in the reference, and how far from it the robot is."""

    clip: np.ndarray  # (n,) int
    frame: np.ndarray  # (n,) int, the reference frame that belongs to the current state
    origin: np.ndarray  # (n, 2) m, where the clip's own origin lies in this world
    reference_qpos: np.ndarray  # (n, nq) that frame, in this world
    reference_qvel: np.ndarray  # (n, nv)
    between: np.ndarray  # (n,) frames beyond `frame`, below 1; other than 0 only at a cadence of its own
    walker: np.ndarray  # (n, 2 + segments) stride, cadence and the segments' scales: see `simulation.parameters`
    error: np.ndarray  # (n, bodies, 3) m, of the bodies' origins, world
    velocity_error: np.ndarray  # (n,) m/s, mean over the bodies


class TrackTask(WalkTask):
    """Follow looping or finite clips of the configured reference."""

    reward_terms: Mapping[str, str] = {
        **WalkTask.reward_terms,
        "track_pose": "kernel of the joint angles' distance to the reference",
        "track_velocity": "kernel of the joint rates' distance",
        "track_end_effector": "kernel of the distance of the feet (hands, head) relative to the root (m)",
        "track_com": "kernel of the distance of the bodies' centre, weighted by their masses (m)",
        "track_root": "kernel of the root's distance (m)",
        "track_root_velocity": "kernel of the root velocity's distance (m/s)",
        "track_turn": "kernel of the root's turn away from the reference (rad)",
        "scuff": "feet that touch the floor while the reference swings them (a cost)",
    }
    # A clip by its name or number, its frame; or the clip nearest a speed.
    option_keys: Mapping[str, int] = {"clip": 0, "frame": 0, "command": 1}
    follows = True
    later_memory = ("between", "walker")

    def __init__(self, robot: Robot, config: TrackConfig) -> None:
        if config.reference is None:
            raise ValueError("tracking needs a reference: a clip, a folder of clips or an embedded set")
        super().__init__(robot, config)
        clips = self.clips
        self.max_distance = config.max_distance  # a schedule may widen it, or lift it: see `free`
        self.layout = Layout((*observation_layout(robot, config), *reference_rows(robot, config)))
        self.bodies = clip_bodies(robot, clips)
        seen = config.reference_observation == "future" and not config.whole_clips
        self._margin = margin = config.future_frames[-1] if seen else 0
        # The last frame that is tracked, (clips,); a looping clip's only bounds where an episode may begin.
        self.last_frames = np.maximum(clips.lengths - 1 - np.where(clips.loops, 0, margin), 1)
        self.commands = clip_commands(clips.qpos, clips.starts, clips.lengths, robot.dt)
        self._ends = robot.ends - robot.pelvis
        masses = robot.model.body_mass[robot.pelvis :]
        self._shares = masses / masses.sum()

    @property
    def clips(self) -> MotionLibrary:
        """The reference, which tracking never lacks."""
        assert self.library is not None
        return self.library

    @property
    def _track_config(self) -> TrackConfig:
        assert isinstance(self.config, TrackConfig)
        return self.config

    @property
    def free(self) -> bool:
        """Whether there is no limit on the distance: clips then only give commands, and poses to begin in."""
        return bool(np.isinf(self.max_distance))

    # -- the reference at the memory's place ------------------------------------------------------------

    def reference(self, memory: TrackMemory, ahead: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Reference positions (n, nq) and velocities (n, nv), `ahead` control steps on, in this world."""
        qpos, qvel = self._played(memory.clip, memory.frame, memory.between, memory.walker, ahead)
        qpos[:, :2] += memory.origin
        return qpos, qvel

    def _played(
        self, clip: np.ndarray, frame: np.ndarray, between: np.ndarray, walker: np.ndarray, ahead: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clips as these walkers go, in the clips' own worlds: a plain one's are the clip's frames, bit for bit.

        Others play it at their cadence; the joints' angles are the clip's, legs of another length raise the root in
        proportion, and its way is longer by them and by the stride.
        """
        qpos, qvel = self.clips.at(clip, frame + ahead)
        own = np.flatnonzero((walker != 1.0).any(axis=1))
        if len(own):
            stride, cadence = walker[own, :2].T
            leg = self.robot.segments.leg_ratio(walker[own, 2:])
            at = frame[own] + between[own] + ahead * cadence
            qpos[own], qvel[own] = self.clips.sample(clip[own], at / self.clips.fps)
            size = np.stack([leg * stride, leg * stride, leg], axis=1)
            qpos[own, :3] *= size
            qvel[own, :3] *= size
            qvel[own] *= cadence[:, None]
        return qpos, qvel

    def _row(self, memory: TrackMemory) -> np.ndarray:
        """The table row (n,) of the frame that is nearest."""
        return self.clips.index_at(memory.clip, memory.frame + (memory.between >= 0.5))

    def _paced(self, command: np.ndarray, walker: np.ndarray) -> np.ndarray:
        """The clips' commands (k, 3) as these walkers follow them."""
        stride, cadence = walker[:, :2].T
        speed = stride * cadence * self.robot.segments.leg_ratio(walker[:, 2:])
        return command * np.stack([speed, speed, cadence], axis=1)

    def reference_bodies(self, memory: TrackMemory, ids: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Where the bodies of `ids` (all) should be, (k, bodies, 3) m, in this world."""
        clip, frame, walker = memory.clip[ids], memory.frame[ids], memory.walker[ids]
        rows = self.clips.index_at(clip, frame)
        # Going round, a loop is elsewhere than its table row, and may be turned: the bodies go with the root.
        relative = self.bodies[rows] - self.clips.qpos[rows, None, :3]
        turned = quat_rotate(yaw_quat(self.clips.turn_at(clip, frame))[:, None], relative)
        bodies = memory.reference_qpos[ids, None, :3] + turned
        own = np.flatnonzero((walker != 1.0).any(axis=1))
        if len(own):  # their poses and lengths are in no table
            bodies[own] = self.robot.body_positions(memory.reference_qpos[ids][own], walker[own, 2:])
        return bodies

    def planned_load(self, memory: TrackMemory) -> np.ndarray:
        """The reference's loads on the soles, (n, 4) N; infinite where it does not know them."""
        return self.clips.contacts[self._row(memory)]

    def planned_torque(self, memory: TrackMemory) -> np.ndarray:
        """The joint torques that the reference needs, (n, joints) N·m; zero where it does not know them."""
        torque = self.clips.torque[self._row(memory)]
        return np.where(np.isfinite(torque), torque, 0.0)

    def phase(self, memory: TrackMemory) -> np.ndarray:
        """How far through its clip each is, (n,): 0 at the first frame, 1 at the last."""
        last = self.clips.lengths[memory.clip] - 1
        at = memory.frame + memory.between
        return np.where(self.clips.loops[memory.clip], at % last, np.minimum(at, last)) / last

    # -- what differs from walking ----------------------------------------------------------------------

    def blank_memory(self, n: int) -> TrackMemory:
        walk = super().blank_memory(n)
        whole, model = np.zeros(n, dtype=np.int64), self.robot.model
        return TrackMemory(
            **{f.name: getattr(walk, f.name) for f in dataclasses.fields(walk)},
            clip=whole.copy(),
            frame=whole.copy(),
            origin=np.zeros((n, 2)),
            reference_qpos=np.zeros((n, model.nq)),
            reference_qvel=np.zeros((n, model.nv)),
            between=np.zeros(n),
            walker=np.ones((n, 2 + len(self.robot.segments.names))),
            error=np.zeros((n, self.bodies.shape[1], 3)),
            velocity_error=np.zeros(n),
        )

    def draw_start(self, rng: np.random.Generator, level: float, options: Mapping[str, Any]) -> Start:
        library = self.clips
        if "clip" in options:
            clip = library.index(options["clip"])
        elif "command" in options:
            clip = library.nearest_speed(float(numbers_option(options, "command", 3)[0]))
        else:
            clip = int(rng.choice(len(library.clips), p=library.weights))
        last = int(self.last_frames[clip]) - 1  # a frame must follow
        frame, inside = 0, "frame" in options
        if inside:
            frame = int(options["frame"])
        elif rng.random() < self.config.rsi_probability:
            frame, inside = int(rng.integers(last + 1)), True
        if not 0 <= frame <= last:
            raise ValueError(f"options['frame'] is {frame}, clip {library.clips[clip].name!r} has 0 to {last}")
        # Without a reference to keep to, the others have to set off by themselves.
        stands = self.free and not inside
        walker = self._walker(self.param_values(options))
        if stands:
            qpos, qvel = self.standing(rng)
        else:
            (qpos,), (qvel,) = self._played(np.array([clip]), np.array([frame]), np.zeros(1), walker[None])
            qpos[:2] = 0.0
        qpos[7:] = np.clip(qpos[7:], self.robot.lower, self.robot.upper)
        (command,) = self._paced(self.commands[[library.starts[clip] + frame]], walker[None])
        return Start(qpos, qvel, command, on_floor=stands, clip=clip, frame=frame, walker=walker)

    def _walker(self, values: np.ndarray) -> np.ndarray:
        """What following depends on of a walker's parameters (P,), as in the memory."""
        return np.concatenate([self.param_space.of(kind, values[None])[0] for kind in ("stride", "cadence", "scale")])

    def begin(self, memory: WalkMemory, ids: np.ndarray, starts: list[Start], lag: np.ndarray) -> None:
        super().begin(memory, ids, starts, lag)
        assert isinstance(memory, TrackMemory)
        if self._track_config.action_base == "reference":
            for rows in (memory.action, memory.previous_action, memory.filtered):
                rows[ids] = 0.0  # no correction yet
        memory.clip[ids] = [start.clip for start in starts]
        memory.frame[ids] = [start.frame for start in starts]
        memory.between[ids] = 0.0
        memory.walker[ids] = walker = np.stack([start.walker for start in starts])
        there, qvel = self._played(memory.clip[ids], memory.frame[ids], memory.between[ids], walker)
        memory.origin[ids] = np.stack([start.qpos[:2] for start in starts]) - there[:, :2]
        there[:, :2] += memory.origin[ids]
        memory.reference_qpos[ids], memory.reference_qvel[ids] = there, qvel
        # Joints have been put within their limits, and soles onto the floor.
        placed = self.robot.body_positions(np.stack([start.qpos for start in starts]), walker[:, 2:])
        memory.error[ids] = placed - self.reference_bodies(memory, ids)
        memory.velocity_error[ids] = 0.0

    def act(self, memory: WalkMemory, action: np.ndarray) -> tuple[np.ndarray, WalkMemory]:
        assert isinstance(memory, TrackMemory)
        at = memory.between + memory.walker[:, 1]
        memory = dataclasses.replace(memory, frame=memory.frame + at.astype(np.int64), between=at % 1.0)
        qpos, qvel = self.reference(memory)
        memory = dataclasses.replace(memory, reference_qpos=qpos, reference_qvel=qvel, command=self._command(memory))
        return super().act(memory, action)

    def _command(self, memory: TrackMemory) -> np.ndarray:
        return self._paced(self.commands[self._row(memory)], memory.walker)

    def target(self, action: np.ndarray, memory: WalkMemory) -> np.ndarray:
        """Servo targets (n, nu) rad: the reference's next pose, or the home pose, corrected by the action.

        A servo whose damping would hold a moving target back is given it that much earlier (`Robot.lead`). With
        `feed_forward` the target also lies ahead by as much as the servo gives way under the clip's own torque.
        """
        assert isinstance(memory, TrackMemory)
        robot, config = self.robot, self._track_config
        if config.action_base == "home":
            return super().target(action, memory)
        base = memory.reference_qpos[:, 7:] + robot.lead * memory.reference_qvel[:, 6:]
        if config.feed_forward:
            base += self.planned_torque(memory) / robot.kp
        scale = config.action_gain * robot.action_scale
        return servo_target(action, base, scale, robot.target_lower, robot.target_upper)

    def advance(self, memory: WalkMemory, state: State) -> WalkMemory:
        """Walking's, and how far the bodies are from where they should be."""
        memory = super().advance(memory, state)
        assert isinstance(memory, TrackMemory)
        error = state.body_pos - self.reference_bodies(memory)
        rate = np.linalg.norm(error - memory.error, axis=-1).mean(axis=-1) / self.robot.dt
        return dataclasses.replace(memory, error=error, velocity_error=rate)

    def resample(self, memory: WalkMemory, rows: np.ndarray, rngs: list[np.random.Generator]) -> None:
        """Commands are the clip's own."""

    def observe(self, state: State, memory: WalkMemory) -> np.ndarray:
        assert isinstance(memory, TrackMemory)
        parts = self.observation_parts(state, memory)
        kind = self._track_config.reference_observation
        if kind == "phase":
            angle = 2 * np.pi * self.phase(memory)
            parts["phase"] = np.stack([np.sin(angle), np.cos(angle)], axis=1)
        elif kind == "future":
            parts |= self._future(state, memory)
        return self.layout.pack(parts)

    def _future(self, state: State, memory: TrackMemory) -> dict[str, np.ndarray]:
        """The observed frames to come, seen from the root as it is now."""
        robot, quat = self.robot, state.qpos[:, 3:7]
        seen = []
        for ahead in self._track_config.future_frames:
            qpos, qvel = self.reference(memory, ahead)
            seen.append(
                (
                    (qpos[:, 7:] - robot.home) / robot.action_scale,
                    qvel[:, 6:],
                    heading_frame(quat, qpos[:, :3] - state.qpos[:, :3]),
                    quat_to_rotvec(quat_mul(quat_conj(quat), qpos[:, 3:7])),
                )
            )
        return {
            name: np.concatenate(columns, axis=1)
            for name, columns in zip(FUTURE_ROWS, zip(*seen, strict=True), strict=True)
        }

    def reward_functions(self, state: State, memory: WalkMemory) -> dict[str, Any]:
        assert isinstance(memory, TrackMemory)
        qpos, qvel, config = memory.reference_qpos, memory.reference_qvel, self._track_config
        turn = lambda: quat_to_rotvec(quat_mul(quat_conj(state.qpos[:, 3:7]), qpos[:, 3:7]))  # noqa: E731
        kernel = lambda error, k: np.exp(-k * terms.squared(error))  # noqa: E731 - seven uses below
        return super().reward_functions(state, memory) | {
            "track_pose": lambda: kernel(state.qpos[:, 7:] - qpos[:, 7:], config.pose_sharpness),
            "track_velocity": lambda: kernel(state.qvel[:, 6:] - qvel[:, 6:], config.rate_sharpness),
            "track_end_effector": lambda: kernel(self._end_error(state, memory).reshape(len(qpos), -1), ENDS),
            "track_com": lambda: kernel((memory.error * self._shares[:, None]).sum(axis=1), MASSES),
            "track_root": lambda: kernel(state.qpos[:, :3] - qpos[:, :3], ROOT),
            "track_root_velocity": lambda: kernel(state.qvel[:, :3] - qvel[:, :3], ROOT_VELOCITY),
            "track_turn": lambda: kernel(turn(), TURN),
            "scuff": lambda: terms.scuff(state.foot_force, self.planned_load(memory), self.robot.traits.loaded),
        }

    def _end_error(self, state: State, memory: TrackMemory) -> np.ndarray:
        """Ends relative to the root in its heading frame, less where the reference has them, (n, ends, 3) m."""
        relative = state.body_pos[:, self._ends] - state.body_pos[:, :1]
        wanted = self.reference_bodies(memory)
        wanted = wanted[:, self._ends] - wanted[:, :1]
        ours, theirs = state.qpos[:, None, 3:7], memory.reference_qpos[:, None, 3:7]
        return heading_frame(ours, relative) - heading_frame(theirs, wanted)

    def fallen(self, state: State, memory: WalkMemory) -> np.ndarray:
        """A fall, or the bodies too far from where they should be."""
        assert isinstance(memory, TrackMemory)
        lost = np.linalg.norm(memory.error, axis=-1).mean(axis=-1) > self.max_distance
        return super().fallen(state, memory) | lost

    def finished(self, memory: WalkMemory) -> np.ndarray:
        """The last frame of a clip that does not loop is reached; who need not follow it goes on with its command."""
        assert isinstance(memory, TrackMemory)
        if self.free:
            return super().finished(memory)
        # At a cadence of its own a walker sees that many times as far ahead.
        at = memory.frame + memory.between + self._margin * (memory.walker[:, 1] - 1.0)
        return ~self.clips.loops[memory.clip] & (at >= self.last_frames[memory.clip])

    def info(self, state: State, memory: WalkMemory) -> dict[str, np.ndarray]:
        """Walking's, the place in the reference and the tracking errors."""
        assert isinstance(memory, TrackMemory)
        reached = state.body_pos
        wanted = reached - memory.error
        return super().info(state, memory) | {
            "clip": memory.clip.copy(),
            "frame": memory.frame.copy(),
            "mpjpe_global": 1e3 * terms.mean_distance(reached, wanted),
            "mpjpe_root": 1e3 * terms.mean_distance(reached - reached[:, :1], wanted - wanted[:, :1]),
            "mpjpe_aligned": 1e3 * terms.mean_distance(terms.procrustes(reached, wanted), wanted),
            "velocity_error": memory.velocity_error.copy(),
        }
