"""Plays reference clips at the frames in memory, adapted to each walker's cadence, stride and segment lengths.

A walker's row holds its stride, its cadence and the scales of its segments (see `gait_envs.simulation.parameters`);
a row of ones plays the clip's frames bit for bit.
"""

from __future__ import annotations

import numpy as np

from gait_envs.models.robot import Robot
from gait_envs.reference.clip import ClipError
from gait_envs.reference.library import MotionLibrary
from gait_envs.reference.packed import some
from gait_envs.reference.refnn.generator import Generator
from gait_envs.rotations import heading_frame, quat_rotate, quat_yaw, yaw_quat
from gait_envs.tasks.memory import Field, Memory

COMMAND_WINDOW = 1.0  # s over which a clip's velocity is averaged into a command: about one stride


class Player:
    """The references of n sub-environments; arrays have one row each."""

    def __init__(self, robot: Robot, clips: MotionLibrary, margin: int, generator: Generator | None = None) -> None:
        """`margin`: control steps before the end of a clip that does not loop at which it counts as over; a clip of no
        more steps is a ClipError.
        `generator`: makes the motion of walkers that step in their own way; None: the clips are adapted to them
        """
        self.robot, self.clips, self.margin, self.generator = robot, clips, margin, generator
        # (frames, bodies, 3) m in each clip's coordinates, and the velocity command that each frame follows.
        self.bodies = clips.derived((robot.model.nbody - robot.pelvis, 3), robot.body_positions)
        # The last frame that is tracked, (clips,); for a looping clip it only limits where an episode may start.
        self.last_frames = clips.lengths - 1 - np.where(clips.loops, 0, margin)
        short = [clips.names[at] for at in np.flatnonzero(self.last_frames < 1)]
        if short:
            raise ClipError(
                f"clips {some(short)}: they end before the farthest observed frame, {margin} frames ahead; leave them "
                "out, or observe nearer future_frames"
            )
        self.commands = clips.derived((3,), lambda qpos: clip_commands(qpos, robot.dt), half_window(robot.dt))
        walker = (2 + len(robot.segments.names),)
        self.fields = (
            Field("clip", (), "", "which clip is followed", int),
            Field("frame", (), "control steps", "the reference frame that belongs to the current state", int),
            Field("origin", (2,), "m", "position of the clip's origin in the world"),
            Field("reference_qpos", (robot.model.nq,), "m, 1, rad", "position at that frame, in the world"),
            Field("reference_qvel", (robot.model.nv,), "m/s, rad/s", "velocity at that frame"),
            Field("between", (), "control steps", "beyond `frame`, below 1; 0 at the clip's cadence", later=True),
            Field("walker", walker, "1", "stride, cadence and the segments' scales", blank=1.0, later=True),
        )

    def reference(self, memory: Memory, ahead: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Reference positions (n, nq) and velocities (n, nv), `ahead` control steps from now, in the world."""
        qpos, qvel = self.played(memory.clip, memory.frame, memory.between, memory.walker, ahead)
        qpos[:, :2] += memory.origin
        return qpos, qvel

    def played(
        self, clip: np.ndarray, frame: np.ndarray, between: np.ndarray, walker: np.ndarray, ahead: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clips adapted to these walkers, in the clips' coordinates; with default parameters, the clip's frames.

        Others play it at their cadence; the joints' angles are the clip's, legs of another length raise the root in
        proportion, and its way is longer by them and by the stride.
        """
        qpos, qvel = self.clips.at(clip, frame + ahead)
        own = np.flatnonzero((walker != 1.0).any(axis=1))
        if len(own):
            stride, cadence = walker[own, :2].T
            leg = self.robot.segments.leg_ratio(walker[own, 2:])
            at = frame[own] + between[own] + ahead * cadence
            if self.generator is not None:
                qpos[own], qvel[own] = self.generator.played(clip[own], at, walker[own], leg)
                return qpos, qvel
            qpos[own], qvel[own] = self.clips.sample(clip[own], at / self.clips.fps)
            size = np.stack([leg * stride, leg * stride, leg], axis=1)
            qpos[own, :3] *= size
            qvel[own, :3] *= size
            qvel[own] *= cadence[:, None]
        return qpos, qvel

    def command(self, memory: Memory) -> np.ndarray:
        """The reference's velocity at the current frame, as a command (n, 3) m/s, m/s, rad/s."""
        return self.paced(self.commands[self._row(memory)], memory.walker)

    def paced(self, command: np.ndarray, walker: np.ndarray) -> np.ndarray:
        """The clips' commands (k, 3) as these walkers follow them."""
        stride, cadence = walker[:, :2].T
        speed = stride * cadence * self.robot.segments.leg_ratio(walker[:, 2:])
        return command * np.stack([speed, speed, cadence], axis=1)

    def reference_bodies(self, memory: Memory, ids: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Reference positions of the bodies of `ids` (None: all), (k, bodies, 3) m, in the world."""
        clip, frame, walker = memory.clip[ids], memory.frame[ids], memory.walker[ids]
        rows = self.clips.index_at(clip, frame)
        # After a lap, a loop is displaced and perhaps turned against its table row: the bodies move with the root.
        relative = self.bodies[rows] - self.clips.qpos[rows, None, :3]
        turned = quat_rotate(yaw_quat(self.clips.turn_at(clip, frame))[:, None], relative)
        bodies = memory.reference_qpos[ids, None, :3] + turned
        own = np.flatnonzero((walker != 1.0).any(axis=1))
        if len(own):  # their poses and lengths are not tabulated
            bodies[own] = self.robot.body_positions(memory.reference_qpos[ids][own], walker[own, 2:])
        return bodies

    def planned_load(self, memory: Memory) -> np.ndarray:
        """The reference's loads on the soles, (n, 4) N; infinite where unknown."""
        return self.clips.contacts[self._row(memory)]

    def planned_torque(self, memory: Memory) -> np.ndarray:
        """The joint torques that the reference needs, (n, joints) N·m; zero where unknown."""
        torque = self.clips.torque[self._row(memory)]
        return np.where(np.isfinite(torque), torque, 0.0)

    def phase(self, memory: Memory) -> np.ndarray:
        """Phase within the clip, (n,): 0 at the first frame, 1 at the last."""
        last = self.clips.lengths[memory.clip] - 1
        at = memory.frame + memory.between
        return np.where(self.clips.loops[memory.clip], at % last, np.minimum(at, last)) / last

    def over(self, memory: Memory) -> np.ndarray:
        """Whether the last frame of a clip that does not loop is reached, (n,)."""
        return self.left(memory) <= 0

    def left(self, memory: Memory) -> np.ndarray:
        """Control steps until then, (n,); infinite for a clip that loops."""
        # A walker at c times the clip's cadence looks c times as far ahead and advances c frames per step.
        cadence = memory.walker[:, 1]
        at = memory.frame + memory.between + self.margin * (cadence - 1.0)
        left = (self.last_frames[memory.clip] - at) / cadence
        return np.where(self.clips.loops[memory.clip], np.inf, left)

    def last_start(self, clip: int, cadence: float) -> int:
        """The last frame that an episode may begin at: a whole control step of the clip must follow."""
        if self.clips.loops[clip] or cadence <= 1.0:
            return int(self.last_frames[clip]) - 1
        return max(0, int(np.floor(self.last_frames[clip] - self.margin * (cadence - 1.0) - cadence + 1e-9)))

    def _row(self, memory: Memory) -> np.ndarray:
        """The table row (n,) of the nearest frame."""
        return self.clips.index_at(memory.clip, memory.frame + (memory.between >= 0.5))


def half_window(dt: float) -> int:
    """Frames of `dt` s to either side of one over which its command is averaged."""
    return max(1, round(0.5 * COMMAND_WINDOW / dt))


def clip_commands(qpos: np.ndarray, dt: float) -> np.ndarray:
    """The velocity command that each frame of a clip follows, (T, 3): forward, leftward m/s, yaw rate rad/s.

    The clip's displacement and turn over `COMMAND_WINDOW` about the frame, in the frame's own heading; at the ends of
    what is given, over what there is of it.
    """
    half = half_window(dt)
    rows = np.arange(len(qpos))
    before, after = np.maximum(rows - half, 0), np.minimum(rows + half, len(qpos) - 1)
    yaw = np.unwrap(quat_yaw(qpos[:, 3:7]))
    way = np.column_stack([qpos[after, :2] - qpos[before, :2], np.zeros(len(qpos))])
    moved = np.column_stack([heading_frame(qpos[:, 3:7], way)[:, :2], yaw[after] - yaw[before]])
    return np.asarray(moved / ((after - before) * dt)[:, None])
