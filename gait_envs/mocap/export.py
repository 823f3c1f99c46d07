"""A robot's clip as a skeleton that animation tools read, and back.

Every hinge is a joint of its own, named as in the robot's model, at the hinge's anchor; the root is the free
joint. Joint frames are parallel to the root's where all hinges are at their zero, since a BVH skeleton has no
rest rotations: what turns the model's bodies at rest goes into offsets and axes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.axes import UPRIGHT, upright
from gait_envs.mocap.capture import Skeleton, SkeletonMotion
from gait_envs.mocap.cleaning.signal import continuous_signs, resampled_frames
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.formats.bvh_writer import one_word
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.reference.clip import Clip, check_fits, velocities
from gait_envs.reference.library import MotionLibrary
from gait_envs.reference.licenses import UNKNOWN
from gait_envs.rotations import quat_conj, quat_from_rotvec, quat_mul, quat_rotate

_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
_CLOSE = 1e-3  # of the robot's size, and rad: as near as a file with few decimals comes
_SEEN = 0.05  # rad, a leap at the seam of a loop


@dataclass(frozen=True)
class RobotSkeleton:
    """The joints of a robot's model as a `Skeleton`: the root, the hinges in the model's order, and tips."""

    skeleton: Skeleton
    hinges: np.ndarray  # (joints,) node of each
    axes: np.ndarray  # (joints, 3) unit, in frames parallel to the root's
    zeros: np.ndarray  # (joints,) rad, the model's qpos0


def robot_skeleton(body: Body) -> RobotSkeleton:
    """Joint tree of `body`, m, z up. A last joint of a limb has a tip, at its body's centre of mass."""
    model = body.model
    root = int(model.jnt_bodyid[0])
    at: dict[int, np.ndarray] = {root: np.zeros(3)}  # bodies at rest, in the root's frame
    turned: dict[int, np.ndarray] = {root: _IDENTITY}
    last: dict[int, int] = {root: 0}  # body -> the node that moves it
    names, parents, anchors, axes = [model.joint(0).name or "root"], [-1], [np.zeros(3)], []
    tips: dict[int, np.ndarray] = {}  # node -> centre of mass of the body it moves
    for b in range(root + 1, model.nbody):
        parent = int(model.body_parentid[b])
        if parent not in at:
            continue  # no part of the robot
        at[b] = at[parent] + quat_rotate(turned[parent], model.body_pos[b])
        turned[b] = quat_mul(turned[parent], model.body_quat[b])
        last[b] = last[parent]
        for joint in range(model.body_jntadr[b], model.body_jntadr[b] + model.body_jntnum[b]):
            names.append(model.joint(joint).name)
            parents.append(last[b])
            anchors.append(at[b] + quat_rotate(turned[b], model.jnt_pos[joint]))
            axes.append(quat_rotate(turned[b], model.jnt_axis[joint]))
            last[b] = len(names) - 1
            tips[last[b]] = at[b] + quat_rotate(turned[b], model.body_ipos[b])
    hinges = np.arange(1, len(names))
    for node in sorted(set(tips) - set(parents)):
        names.append(f"{names[node]}_end")
        parents.append(node)
        anchors.append(tips[node])
    offsets = np.array([a - anchors[p] if p >= 0 else a for a, p in zip(anchors, parents, strict=True)])
    return RobotSkeleton(Skeleton(tuple(names), np.array(parents), offsets), hinges, np.array(axes), model.qpos0[7:])


def motion_from_clip(clip: Clip, body: Body) -> SkeletonMotion:
    """The clip on the robot's own skeleton, m, z up. Raises `ClipError` unless the clip is of this robot."""
    check_fits(clip, body.joint_names)
    robot = robot_skeleton(body)
    nodes = len(robot.skeleton.names)
    rotations = np.tile(_IDENTITY, (clip.frames, nodes, 1))
    translations = np.tile(robot.skeleton.offsets, (clip.frames, 1, 1))
    rotations[:, 0], translations[:, 0] = clip.qpos[:, 3:7], clip.qpos[:, :3]
    angles = clip.qpos[:, 7:] - robot.zeros
    rotations[:, robot.hinges] = quat_from_rotvec(angles[..., None] * robot.axes)
    origin = {"source": clip.source, "license": clip.license}
    return SkeletonMotion(
        robot.skeleton, rotations, translations, clip.fps, clip.name, unit=1.0, up="+z", origin=origin,
        history=tuple(clip.meta.get("history", ())),
    )  # fmt: skip


def clip_from_bvh(
    path: str | os.PathLike[str], body: Body, source: str = UNKNOWN, license: str = UNKNOWN, loop: bool = False
) -> Clip:
    """The clip of `body` in a BVH of its own skeleton, as `motion_from_clip` makes it, in any unit, any axis up.

    Unit and vertical axis follow from the offsets. Raises `MotionError` where the skeleton is not the
    robot's, or a joint slides or turns off its hinge's axis.
    """
    motion = read_capture(path, "bvh")
    robot = robot_skeleton(body)
    try:
        nodes = _same_joints(motion.skeleton, robot)
        scale, turn = _fit_axes(motion.skeleton.offsets[nodes], robot)
        translations = quat_rotate(quat_conj(turn), motion.translations[:, nodes]) / scale
        rotations = quat_mul(quat_conj(turn), quat_mul(motion.rotations[:, nodes], turn))
        angles = _hinge_angles(translations[:, 1:], rotations[:, 1:], robot, body)
    except MotionError as error:
        raise MotionError(f"{path}: not a motion of {body.name}: {error}") from None
    qpos = np.concatenate(
        [translations[:, 0], continuous_signs(rotations[:, 0], _IDENTITY), angles + robot.zeros], axis=1
    )
    clip = Clip(
        qpos, velocities(qpos, motion.fps), motion.fps, body.joint_names, False, body.name, source, license,
        name=motion.name, meta={"captured_fps": motion.fps, "history": [f"read from {os.path.basename(path)}"]},
    )  # fmt: skip
    return looped(clip) if loop else clip


def looped(clip: Clip) -> Clip:
    """The clip as a loop: velocities at its ends are those of going on from lap to lap, unless it leaps: `seam`."""
    clip = replace(clip, loop=True)
    if seam(clip) > 0:
        return clip
    ends, qvel = [0, -1], clip.qvel.copy()
    qvel[ends] = velocities(_laps(clip, np.arange(-1, clip.frames + 1)), clip.fps)[1:-1][ends]
    return replace(clip, qvel=qvel)


def seam(clip: Clip) -> float:
    """How much farther a joint leaps from a loop's end to its start than from any frame to the next, rad.

    0 where that is hardly to be seen.
    """
    angles = clip.qpos[:, 7:]
    leap = np.abs(angles[-1] - angles[0]).max(initial=0.0)
    farther = float(leap - np.abs(np.diff(angles, axis=0)).max(initial=0.0))
    return farther if farther > _SEEN else 0.0


def _laps(clip: Clip, frames: np.ndarray) -> np.ndarray:
    """Positions (k, nq) at frames (k,), between two and of other laps too."""
    library = MotionLibrary([clip], clip.joint_names, clip.fps)
    return library.sample(np.zeros(len(frames), dtype=int), frames / clip.fps)[0]


def resampled(clip: Clip, fps: float) -> Clip:
    """The clip at `fps`, over the same time: the root's turns by slerp, all else along straight lines.

    The last frame is the last that the clip's time still holds; a loop's is its end, and its time is stretched to a
    whole number of frames. Of a clip at that rate nothing changes.
    """
    if not 0 < fps < np.inf:
        raise MotionError(f"fps is {fps:g}; expected a positive number")
    if abs(fps - clip.fps) < 1e-6:
        return clip
    wanted = np.arange(resampled_frames(clip.frames, clip.fps, fps))
    if len(wanted) < 2:
        raise MotionError(f"clip {clip.name!r} lasts {clip.duration:.3f} s; at {fps:g} Hz that is less than two frames")

    history = [*clip.meta.get("history", ()), f"resampled from {clip.fps:g} to {fps:g} Hz"]
    stretch = 1.0
    if clip.loop:
        wanted = np.arange(round(clip.duration * fps) + 1)
        stretch = float(wanted[-1]) / fps / clip.duration
        if abs(stretch - 1.0) > 1e-9:
            history.append(f"stretched by {100 * (stretch - 1.0):+.2f} %, so that a lap has whole frames")
    at = wanted * (clip.fps / (fps * stretch))  # frames of the old clip

    def lines(values: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(at, np.arange(clip.frames), column) for column in values.T], axis=1)

    qpos = _laps(clip, at)
    meta = {key: value for key, value in clip.meta.items() if key not in ("quality", "recipe")}  # of the old frames
    out = replace(
        clip, qpos=qpos, qvel=velocities(qpos, fps), fps=float(fps), meta=meta | {"history": history},
        contacts=None if clip.contacts is None else lines(clip.contacts),
        torque=None if clip.torque is None else lines(clip.torque),
    )  # fmt: skip
    return looped(out) if clip.loop else out


def _same_joints(skeleton: Skeleton, robot: RobotSkeleton) -> list[int]:
    """Nodes of the robot's root and hinges, which must hang together as the robot's do."""
    names = [one_word(name) for name in robot.skeleton.names[: 1 + len(robot.hinges)]]
    missing = [name for name in names if name not in skeleton.names]
    if missing:
        raise MotionError(f"it lacks {', '.join(missing)}; it has {', '.join(skeleton.names)}")
    nodes = [skeleton.index(name) for name in names]
    for name, node, parent in zip(names, nodes, robot.skeleton.parents, strict=False):
        wanted = nodes[parent] if parent >= 0 else -1
        if skeleton.parents[node] != wanted:
            hangs = skeleton.names[skeleton.parents[node]] if skeleton.parents[node] >= 0 else "nothing"
            raise MotionError(f"{name!r} hangs on {hangs!r}, not on {names[parent] if parent >= 0 else 'nothing'!r}")
    return nodes


def _fit_axes(offsets: np.ndarray, robot: RobotSkeleton) -> tuple[float, np.ndarray]:
    """File units a metre, and the turn from z up to the file's axes, that make the robot's offsets into these."""
    own = robot.skeleton.offsets[1 : len(offsets)]
    scale = float(np.linalg.norm(offsets[1:]) / np.linalg.norm(own))
    if scale == 0:
        raise MotionError("all its joints are in one place")
    turns = [quat_conj(upright(sign + axis)) for sign in "+-" for axis in UPRIGHT]
    gaps = [np.linalg.norm(offsets[1:] / scale - quat_rotate(turn, own), axis=1) for turn in turns]
    best = int(np.argmin([gap.max() for gap in gaps]))
    joint = int(np.argmax(gaps[best]))
    if gaps[best][joint] > _CLOSE * np.linalg.norm(own, axis=1).sum():
        name = robot.skeleton.names[1 + joint]
        raise MotionError(f"{name!r} is {gaps[best][joint]:.3f} m from where it belongs, whatever the unit and axes")
    return scale, turns[best]


def _hinge_angles(translations: np.ndarray, rotations: np.ndarray, robot: RobotSkeleton, body: Body) -> np.ndarray:
    """Angles (T, joints), rad from rest, without jumps, from local poses (T, joints, ...), m, z up."""
    along = np.sum(rotations[..., 1:] * robot.axes, axis=-1)
    across = 2 * np.linalg.norm(rotations[..., 1:] - along[..., None] * robot.axes, axis=-1)  # rad
    slid = np.linalg.norm(translations - robot.skeleton.offsets[robot.hinges], axis=-1)  # m
    size = np.linalg.norm(robot.skeleton.offsets, axis=1).sum()
    for fault, most, what in ((slid, _CLOSE * size, "slides off its place"), (across, _CLOSE, "turns off its axis")):
        frame, joint = np.unravel_index(np.argmax(fault), fault.shape)
        if fault[frame, joint] > most:
            name, by = robot.skeleton.names[1 + joint], fault[frame, joint]
            raise MotionError(f"frame {frame}: {name!r} {what}, by {by:.3g} {'m' if fault is slid else 'rad'}")
    angles = np.unwrap(2 * np.arctan2(along, rotations[..., 0]), axis=0)
    limited = body.model.jnt_limited[1:].astype(bool)
    middle = np.where(limited, body.model.jnt_range[1:].mean(axis=1), 0.0) - robot.zeros
    return angles - 2 * np.pi * np.round((angles[0] - middle) / (2 * np.pi))
