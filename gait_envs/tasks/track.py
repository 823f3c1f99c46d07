"""Following reference clips frame by frame: the task of the `...Imitation-v0` environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gait_envs.models.robot import Robot
from gait_envs.reference.refnn.generator import open_generator
from gait_envs.rotations import Array, gravity_direction, heading_frame, quat_conj, quat_mul, quat_to_rotvec
from gait_envs.simulation.checks import is_whole, plain
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.tasks import terms
from gait_envs.tasks.actions import Actions
from gait_envs.tasks.base import Task
from gait_envs.tasks.body import DOWN, body_part, command_part, falls, feet_part, pace_part
from gait_envs.tasks.config import TrackConfig
from gait_envs.tasks.layouts import reference_rows
from gait_envs.tasks.memory import Field, Memory
from gait_envs.tasks.part import Observed, Part, Start
from gait_envs.tasks.player import Player
from gait_envs.tasks.rewards import TRACKING
from gait_envs.tasks.success import success_part
from gait_envs.tasks.view import Settings, View, derived, in_heading_frame
from gait_envs.tasks.walk import load_library, numbers_option, shake, standing

OPTIONS = {"clip": 0, "frame": 0, "command": 1}  # a clip by its name or number, its frame; or the clip nearest a speed


def track(robot: Robot, config: TrackConfig) -> Task:
    """The task of following looping or finite clips of the configured reference."""
    if config.reference is None:
        raise ValueError("tracking needs a reference: a clip, a folder of clips or an embedded set")
    space = ParamSpace(robot, follows=True)
    following = Following(robot, config, space)
    by_clip = config.action_base == "reference"
    actions = Actions(
        robot,
        config,
        scale=config.action_gain * robot.half_range if by_clip else None,
        base=following.base if by_clip else None,
    )
    return Task(
        robot,
        config,
        actions,
        # The reference moves on first: the command that turns the heading is the new frame's.
        (
            following.part,
            command_part(robot.dt),
            body_part(robot, config, falls(config, following.posture)),
            feet_part(robot),
            pace_part(robot.dt),
            success_part(robot.dt, follows=True),
            following.shown,
        ),
        following.start,
        OPTIONS,
        param_space=space,
        library=following.player.clips,
        player=following.player,
    )


class Following:
    """The current frame of a reference clip, the body's distance from it, and what follows from both."""

    def __init__(self, robot: Robot, config: TrackConfig, space: ParamSpace) -> None:
        self.robot, self.config, self.space = robot, config, space
        seen = config.reference_observation == "future" and not config.whole_clips
        library = load_library(robot, config)
        generator = open_generator(config.reference, library.clips, robot.segments.names)
        self.player = Player(robot, library, config.future_frames[-1] if seen else 0, generator)
        self._ends = robot.ends - robot.pelvis
        bodies = self.player.bodies.shape[1]
        self.part = Part(
            fields=(
                *self.player.fields,
                Field("error", (bodies, 3), "m", "of the bodies' origins, world"),
                Field("velocity_error", (), "m/s", "mean over the bodies"),
                Field("velocity_error_squared", (), "m²/s²", "mean over bodies and axes", later=True),
            ),
            before=self.move_on,
            after=self.compare,
            quantities={
                "future": self._future,
                "reference_bodies": lambda v: self.player.reference_bodies(v.memory),
                "planned_load": lambda v: self.player.planned_load(v.memory),
                "end_error": self.end_error,
            },
            failures=(lambda v: self.distance(v.memory) > v.settings.max_distance,),
            endings=(lambda v: self.player.over(v.memory) & (not v.settings.free),),
        )
        # Its observations come after the body's; its reset after that of the actions.
        columns = {**COLUMNS, "time_left": lambda v: self.player.left(v.memory) * robot.dt}
        self.shown = Part(begin=self.begin, observed=self._observed(), terms=TRACKING, columns=columns, costly=COSTLY)

    # -- episodes -------------------------------------------------------------------------------------------

    def start(self, rng: np.random.Generator, level: float, options: Mapping[str, Any], settings: Settings) -> Start:
        """Where one episode begins; `options` of reset override the draw."""
        clips, player = self.player.clips, self.player
        if "clip" in options:
            clip = plain(options["clip"])
            if not isinstance(clip, str) and not is_whole(clip):
                raise ValueError(f"options['clip'] is {clip!r}, expected the name or the number of a clip")
            clip = clips.index(clip)
        elif "command" in options:
            clip = clips.nearest_velocity(numbers_option(options, "command", 3))
        else:
            clip = int(rng.choice(len(clips.clips), p=clips.weights))
        values = self.space.values(options.get("params", self.config.body_params or {}))
        walker = np.concatenate([self.space.of(kind, values[None])[0] for kind in ("stride", "cadence", "scale")])
        last = player.last_start(clip, float(walker[1]))
        frame, inside = 0, "frame" in options
        if inside:
            frame = plain(options["frame"])
            if not is_whole(frame):
                raise ValueError(f"options['frame'] is {frame!r}, expected a whole number")
            frame = int(frame)
        elif rng.random() < self.config.rsi_probability:
            frame, inside = clips.draw_frame(rng, clip, last + 1), True
        if not 0 <= frame <= last:
            raise ValueError(f"options['frame'] is {frame}, clip {clips.clips[clip].name!r} has 0 to {last}")
        # Without a limit on the distance, the others start from standing.
        stands = settings.free and not inside
        if stands:
            qpos, qvel = standing(self.robot, self.config.reset_noise, rng)
        else:
            (qpos,), (qvel,) = player.played(np.array([clip]), np.array([frame]), np.zeros(1), walker[None])
            qpos[:2] = 0.0
            if frame == 0 and self.config.start_noise and not clips.loops[clip]:
                qpos, qvel = shake(self.robot, qpos, qvel, self.config.start_noise, rng)
        qpos[7:] = np.clip(qpos[7:], self.robot.lower, self.robot.upper)
        (command,) = player.paced(player.commands[[clips.starts[clip] + frame]], walker[None])
        return Start(qpos, qvel, command, on_floor=stands, clip=clip, frame=frame, walker=walker)

    def begin(self, memory: Memory, ids: np.ndarray, starts: Sequence[Start]) -> None:
        """The reference frame of the rows just reset, and their bodies' distance from it."""
        memory.clip[ids] = [start.clip for start in starts]
        memory.frame[ids] = [start.frame for start in starts]
        memory.between[ids] = 0.0
        memory.walker[ids] = walker = np.stack([start.walker for start in starts])
        there, qvel = self.player.played(memory.clip[ids], memory.frame[ids], memory.between[ids], walker)
        memory.origin[ids] = np.stack([start.qpos[:2] for start in starts]) - there[:, :2]
        there[:, :2] += memory.origin[ids]
        memory.reference_qpos[ids], memory.reference_qvel[ids] = there, qvel
        # Joints have been clipped to their limits, and soles put onto the floor.
        placed = self.robot.body_positions(np.stack([start.qpos for start in starts]), walker[:, 2:])
        memory.error[ids] = placed - self.player.reference_bodies(memory, ids)
        memory.velocity_error[ids] = memory.velocity_error_squared[ids] = 0.0

    # -- one step -------------------------------------------------------------------------------------------

    def move_on(self, memory: Memory) -> dict[str, Array]:
        """The reference after one control step."""
        at = memory.between + memory.walker[:, 1]
        memory = memory.replace(frame=memory.frame + at.astype(np.int64), between=at % 1.0)
        qpos, qvel = self.player.reference(memory)
        return {
            "frame": memory.frame,
            "between": memory.between,
            "reference_qpos": qpos,
            "reference_qvel": qvel,
            "command": self.player.command(memory),
        }

    def base(self, memory: Memory) -> Array:
        """The target poses (n, nu) rad of an action of zero: the reference's pose.

        A servo that its damping would make lag a moving target gets the target earlier by that lag (`Robot.lead`). With
        `feed_forward` the target is also shifted by the servo's deflection under the clip's own torque.
        """
        base = memory.reference_qpos[:, 7:] + self.robot.lead * memory.reference_qvel[:, 6:]
        if self.config.feed_forward:
            base += self.player.planned_torque(memory) / self.robot.kp
        return base

    def compare(self, view: View) -> dict[str, Array]:
        """Position and velocity errors of the bodies."""
        error = view.state.body_pos - view.quantity("reference_bodies")
        rates = (error - view.memory.error) / self.robot.dt
        return {
            "error": error,
            "velocity_error": np.linalg.norm(error - view.memory.error, axis=-1).mean(axis=-1) / self.robot.dt,
            "velocity_error_squared": terms.mean_square(rates),
        }

    def distance(self, memory: Memory) -> Array:
        """How far the bodies are from the reference, (n,) m, by the rule of the options."""
        distances = np.linalg.norm(memory.error, axis=-1)
        return distances.max(axis=-1) if self.config.distance_rule == "any" else distances.mean(axis=-1)

    def posture(self, view: View) -> tuple[Array, Array]:
        """What a fall is counted from: the clip's own height above home and its tilt, while it must be followed."""
        if view.settings.free:
            return np.zeros(len(view)), DOWN
        root = view.memory.reference_qpos[:, :7]
        return root[:, 2] - self.robot.home_qpos[2], gravity_direction(root[:, 3:])

    def end_error(self, view: View) -> Array:
        """Position errors of the end effectors relative to the root, in its heading frame, (n, ends, 3) m."""
        relative = view.state.body_pos[:, self._ends] - view.state.body_pos[:, :1]
        bodies = view.quantity("reference_bodies")
        desired = bodies[:, self._ends] - bodies[:, :1]
        ours = in_heading_frame(view, relative)
        return ours - heading_frame(view.memory.reference_qpos[:, None, 3:7], desired)

    # -- what is observed -----------------------------------------------------------------------------------

    def _observed(self) -> tuple[Observed, ...]:
        rows, kind = reference_rows(self.robot, self.config), self.config.reference_observation
        if kind == "phase":
            return (Observed(rows[0], self._turned),)
        columns = (self._joints, self._rates, self._way, self._turn)
        return tuple(Observed(row, of) for row, of in zip(rows, columns, strict=True)) if rows else ()

    def _turned(self, view: View) -> Array:
        angle = 2 * np.pi * self.player.phase(view.memory)
        return np.stack([np.sin(angle), np.cos(angle)], axis=1)

    def _future(self, view: View) -> list[tuple[np.ndarray, np.ndarray]]:
        """The observed future frames: positions (n, nq) and velocities (n, nv) of each."""
        return [self.player.reference(view.memory, ahead) for ahead in self.config.future_frames]

    def _joints(self, view: View) -> Array:
        robot = self.robot
        frames = [(qpos[:, 7:] - robot.home) / robot.half_range for qpos, _ in view.quantity("future")]
        return np.concatenate(frames, axis=1)

    def _rates(self, view: View) -> Array:
        return np.concatenate([qvel[:, 6:] for _, qvel in view.quantity("future")], axis=1)

    def _way(self, view: View) -> Array:
        here = view.state.qpos[:, :3]
        frames = [in_heading_frame(view, qpos[:, :3] - here) for qpos, _ in view.quantity("future")]
        return np.concatenate(frames, axis=1)

    def _turn(self, view: View) -> Array:
        back = quat_conj(view.state.qpos[:, 3:7])
        frames = [quat_to_rotvec(quat_mul(back, qpos[:, 3:7])) for qpos, _ in view.quantity("future")]
        return np.concatenate(frames, axis=1)


# -- what is logged -----------------------------------------------------------------------------------------


@derived
def desired_bodies(view: View) -> Array:
    """Reference positions of the bodies, (n, bodies, 3) m, from the error in memory, which is known at a reset too."""
    return view.state.body_pos - view.memory.error


def mpjpe_global(view: View) -> Array:
    """Mean distance of the bodies from the reference, (n,) mm."""
    return 1e3 * terms.mean_distance(view.state.body_pos, desired_bodies(view))


def mpjpe_root(view: View) -> Array:
    """The same relative to the root."""
    ours, theirs = view.state.body_pos, desired_bodies(view)
    return 1e3 * terms.mean_distance(ours - ours[:, :1], theirs - theirs[:, :1])


def mpjpe_aligned(view: View) -> Array:
    """The same once the body is moved, turned and scaled onto the reference."""
    ours, theirs = view.state.body_pos, desired_bodies(view)
    return 1e3 * terms.mean_distance(terms.procrustes(ours, theirs), theirs)


COSTLY = frozenset({"mpjpe_aligned"})
COLUMNS = {
    "clip": lambda v: v.memory.clip.copy(),
    "frame": lambda v: v.memory.frame.copy(),
    "mpjpe_global": mpjpe_global,
    "mpjpe_root": mpjpe_root,
    "mpjpe_aligned": mpjpe_aligned,
    "velocity_error": lambda v: v.memory.velocity_error.copy(),
}
