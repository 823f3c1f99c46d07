"""SMPL, SMPL-H and SMPL-X motions: AMASS's `.npz` layout, and the one that PHC's tools write.

The files hold a turn for each joint of a body model and where the model is, but not how long its bones are:
that is in model files under a licence of their own. Here the turns move a generic skeleton instead, with
the joints' names and order of SMPL and lengths of an average adult from published anthropometry. A subject
with longer legs than these therefore slides and sinks a little: by how far the pelvis then is too high or low.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture, Skeleton
from gait_envs.mocap.formats.npz import Archive, archive_keys
from gait_envs.rotations import quat_from_rotvec

STATURE = 1.70  # m
# Name, parent, and where it is from the parent at rest, in statures: x left, y up, z ahead, arms stretched out.
# Right joints mirror the left ones. Thigh, shank, ankle height, shoulder, upper arm, forearm and foot after
# Drillis & Contini (1966) as printed in Winter, Biomechanics and Motor Control of Human Movement; hip centres
# after Bell et al. (1990); levels of the trunk (omphalion, xiphion, suprasternale, cervicale, gonion) and the
# knuckles after de Leva (1996), males. The pelvis's place above the hips, the collars' and the ball's within
# the foot, and the fingers are round numbers of our own.
_TRUNK_AND_LEGS = (
    ("pelvis", None, (0, 0, 0)),
    ("left_hip", "pelvis", (0.050, -0.018, 0)),
    ("right_hip", "pelvis", None),
    ("spine1", "pelvis", (0, 0.066, 0)),
    ("left_knee", "left_hip", (0, -0.245, 0)),
    ("right_knee", "right_hip", None),
    ("spine2", "spine1", (0, 0.062, 0)),
    ("left_ankle", "left_knee", (0, -0.246, 0)),
    ("right_ankle", "right_knee", None),
    ("spine3", "spine2", (0, 0.062, 0)),
    ("left_foot", "left_ankle", (0, -0.024, 0.073)),
    ("right_foot", "right_ankle", None),
    ("neck", "spine3", (0, 0.139, 0)),
    ("left_collar", "spine3", (0.020, 0.098, 0)),
    ("right_collar", "spine3", None),
    ("head", "neck", (0, 0.023, 0)),
    ("left_shoulder", "left_collar", (0.109, -0.017, 0)),
    ("right_shoulder", "right_collar", None),
    ("left_elbow", "left_shoulder", (0.186, 0, 0)),
    ("right_elbow", "right_shoulder", None),
    ("left_wrist", "left_elbow", (0.146, 0, 0)),
    ("right_wrist", "right_elbow", None),
)
_HANDS = (("left_hand", "left_wrist", (0.050, 0, 0)), ("right_hand", "right_wrist", None))
_FACE = (
    ("jaw", "head", (0, -0.010, 0.020)),
    ("left_eye", "head", (0.018, 0.025, 0.045)),
    ("right_eye", "head", None),
)
_KNUCKLES = {  # of the left hand, from the wrist
    "index": (0.052, 0, 0.014),
    "middle": (0.053, 0, 0),
    "pinky": (0.045, 0, -0.025),
    "ring": (0.050, 0, -0.013),
    "thumb": (0.018, -0.005, 0.020),
}
_PHALANX = (0.018, 0, 0)


def _fingers() -> tuple[tuple[str, str | None, tuple[float, ...] | None], ...]:
    joints: list[tuple[str, str | None, tuple[float, ...] | None]] = []
    for side in ("left", "right"):
        for finger, knuckle in _KNUCKLES.items():
            for n in (1, 2, 3):
                parent = f"{side}_wrist" if n == 1 else f"{side}_{finger}{n - 1}"
                offset = None if side == "right" else knuckle if n == 1 else _PHALANX
                joints.append((f"{side}_{finger}{n}", parent, offset))
    return tuple(joints)


# Numbers a frame -> the model, and its joints in the order of the file.
_MODELS = {
    66: ("SMPL's body", _TRUNK_AND_LEGS),
    72: ("SMPL", _TRUNK_AND_LEGS + _HANDS),
    156: ("SMPL-H", _TRUNK_AND_LEGS + _fingers()),
    165: ("SMPL-X", _TRUNK_AND_LEGS + _FACE + _fingers()),
}
_POSES, _PHC_POSES = "poses", "pose_aa"
# Where the turns are: one table, or several that follow one another; those after the second may be missing.
_LAYOUTS = (
    (_PHC_POSES,),
    (_POSES,),
    ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand"),
    ("global_orient", "body_pose"),
)
_PLACES = ("root_trans_offset", "trans", "transl")
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
_SHAPES = ("betas", "beta")


def sniff(path: Path) -> bool:
    """Whether an `.npz` has the poses of SMPL, or is named after one of its rates."""
    keys = set(archive_keys(path) or ())
    return bool(set(_RATES[:2]) & keys) or any(set(layout[:2]) <= keys for layout in _LAYOUTS)


def open_capture(path: str | os.PathLike[str], gaps: bool = False, fps: float | None = None) -> Capture:
    """Open an SMPL motion: z up, metres, each frame a place (3) and the joints' turns, axis times angle.

    The turns are one table `poses` or `pose_aa`, (frames, 66, 72, 156 or 165) or (frames, joints, 3), or several that
    follow one another (`root_orient` and `pose_body`, with hands and face or without; `global_orient` and `body_pose`).
    `fps` is the rate whatever the file says. NaN is an error unless there may be `gaps`. A `MotionError` names the file
    and the key.
    """
    archive = Archive(path)
    keys = next(
        (
            tuple(key for key in layout if key in archive.keys)
            for layout in _LAYOUTS
            if set(layout[:2]) <= set(archive.keys)
        ),
        (_POSES,),
    )
    shapes = [_table(archive, key) for key in keys]
    frames, width = shapes[0][0], sum(columns for _, columns in shapes)
    if width not in _MODELS:
        known = ", ".join(f"{width} ({name})" for width, (name, _) in _MODELS.items())
        raise archive.error(" and ".join(keys), f"its rows have {width} numbers; known: {known}")
    for key, (count, _) in zip(keys, shapes, strict=True):
        if count != frames:
            raise archive.error(key, f"it has {count} frames, {keys[0]} has {frames}")
    place_key = next((key for key in _PLACES if key in archive.keys), "trans")
    archive.member(place_key, (frames, 3))
    rate = archive.rate(*_RATES, given=fps)
    model, joints = _MODELS[width]

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        tables = (archive.blocks(name, size, gaps) for name in (*keys, place_key))
        for *parts, place in zip(*tables, strict=True):
            turns = np.concatenate([part.reshape(len(part), -1, 3) for part in parts], axis=1)
            rotations = quat_from_rotvec(turns)
            translations = np.broadcast_to(skeleton.offsets, (len(turns), *skeleton.offsets.shape)).copy()
            translations[:, 0] = place
            yield rotations, translations

    skeleton = _skeleton(joints)
    return Capture(
        skeleton,
        rate,
        frames,
        blocks,
        name=archive.path.stem,
        notes=tuple(_notes(archive, model)),
        unit=1.0,
        up="+z",
        usual_up="+z",
    )


def _table(archive: Archive, key: str) -> tuple[int, int]:
    """Frames and numbers a frame of a table of turns."""
    shape = archive.shape(key)
    if len(shape) == 3 and shape[2] == 3:
        archive.frames(key, (shape[1], 3))
        return shape[0], 3 * shape[1]
    return archive.frames(key, ("66, 72, 156 or 165",)), shape[1]


def _skeleton(joints: tuple[tuple[str, str | None, tuple[float, ...] | None], ...]) -> Skeleton:
    names = tuple(name for name, _, _ in joints)
    offset = {name: np.array(place, float) for name, _, place in joints if place is not None}
    for name in names:
        if name not in offset:
            offset[name] = offset[name.replace("right", "left")] * [-1, 1, 1]
    parents = np.array([-1 if parent is None else names.index(parent) for _, parent, _ in joints])
    return Skeleton(names, parents, STATURE * np.array([offset[name] for name in names]))


def _notes(archive: Archive, model: str) -> Iterator[str]:
    gender = ""
    if "gender" in archive.keys:
        try:
            gender = archive.text("gender")
        except MotionError:  # pickled or odd; it says nothing about the motion
            gender = "unreadable"
    ignored = [key for key in _SHAPES if key in archive.keys] + ([f"gender ({gender})"] if gender else [])
    yield (
        f"{model} on a generic skeleton of {STATURE:.2f} m"
        + (f"; {' and '.join(ignored)} not used" if ignored else "")
    )  # fmt: skip
    if _PHC_POSES not in archive.keys:
        yield "trans is taken as the pelvis's place; the body model would move it by a constant"
