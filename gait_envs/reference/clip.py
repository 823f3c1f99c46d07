"""The motion format: an `.npz` without pickle that holds a body's motion frame by frame."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.errors import GaitNetError, one_line
from gait_envs.files import replacing
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive
from gait_envs.reading.foreign import refuse_pickles
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import parse_json
from gait_envs.rotations import quat_conj, quat_mul, quat_to_rotvec

FORMAT_VERSION = 1
MAX_BYTES = 128 << 20  # of a clip's arrays in memory: the humanoid's frames of an hour at 30 Hz
MAX_NUMBER = 1e30  # nothing measured is larger, and its square is still a number
_REQUIRED = ("qpos", "qvel", "fps", "joint_names", "loop", "model", "source", "license", "format_version")


class ClipError(GaitNetError, ValueError):
    """A motion that cannot be used; the message names the file and the key."""


class OtherBodyError(ClipError):
    """A clip whose joints are not this body's."""

    def __init__(self, message: str, model: str) -> None:
        super().__init__(message)
        self.model = model  # that the clip is of


@dataclass(frozen=True)
class Clip:
    """Frames at a constant rate: frame i is at time i / fps, the last at (T - 1) / fps.

    `qpos` is the root's position (m), its quaternion (wxyz) and the joints in `joint_names` order (rad);
    `qvel` follows MuJoCo's free joint: world linear velocity, body-frame angular velocity, joint rates.
    `contacts`, where known, are the normal forces (N) under each named foot geom; `torque`, where known, is what the
    joints need to move so.
    """

    qpos: np.ndarray  # (T, 7 + joints) float64
    qvel: np.ndarray  # (T, 6 + joints) float64
    fps: float
    joint_names: tuple[str, ...]
    loop: bool
    model: str
    source: str
    license: str
    name: str = ""
    contacts: np.ndarray | None = None  # (T, feet) float64
    torque: np.ndarray | None = None  # (T, joints) float64, N·m
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _validate(self)

    @property
    def frames(self) -> int:
        """How many frames it has, T."""
        return len(self.qpos)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return (self.frames - 1) / self.fps

    @property
    def mean_speed(self) -> float:
        """Horizontal distance from the first to the last root position over the duration, m/s."""
        return float(np.linalg.norm(self.qpos[-1, :2] - self.qpos[0, :2])) / self.duration


def _validate(clip: Clip) -> None:
    where = f"clip {clip.name!r}" if clip.name else "clip"
    joints = len(clip.joint_names)
    if clip.qpos.ndim != 2:
        raise ClipError(f"{where}: qpos has shape {clip.qpos.shape}, expected (frames, {7 + joints})")
    shapes = {key: (clip.frames, more + joints) for key, more in (("qpos", 7), ("qvel", 6), ("torque", 0))}
    for key in (*shapes, "contacts"):
        array = getattr(clip, key)
        if array is not None and np.asarray(array).dtype.kind not in "fiu":
            raise ClipError(f"{where}: {key} holds {np.asarray(array).dtype}, expected real numbers")
    for key, shape in shapes.items():
        array = getattr(clip, key)
        if array is not None and array.shape != shape:
            raise ClipError(f"{where}: {key} has shape {array.shape}, expected {shape} for {joints} joints")
    if clip.frames < 2:
        raise ClipError(f"{where}: qpos has {clip.frames} frames, at least 2 are needed")
    if not (np.isfinite(clip.fps) and clip.fps > 0):
        raise ClipError(f"{where}: fps is {clip.fps}, expected a positive number")
    if len(set(clip.joint_names)) != joints:
        raise ClipError(f"{where}: joint_names repeats a name: {one_line(list(clip.joint_names))}")
    if clip.contacts is not None and (clip.contacts.ndim != 2 or len(clip.contacts) != clip.frames):
        raise ClipError(f"{where}: contacts has shape {clip.contacts.shape}, expected ({clip.frames}, feet)")
    for key in ("qpos", "qvel", "contacts", "torque"):
        array = getattr(clip, key)
        if array is not None and not (small := np.abs(array) < MAX_NUMBER).all():
            frame = int(np.argmin(small.all(axis=1)))
            fault = "too large" if np.isfinite(array[frame]).all() else "not finite"
            raise ClipError(f"{where}: {key} is {fault} at frame {frame}")
    norms = np.linalg.norm(clip.qpos[:, 3:7], axis=1)
    if np.abs(norms - 1).max() > 1e-3:
        frame = int(np.argmax(np.abs(norms - 1)))
        raise ClipError(f"{where}: the root quaternion at frame {frame} has length {norms[frame]:.4f}, not 1")


def save_clip(path: str | os.PathLike[str], clip: Clip) -> Path:
    """Write the clip whole or not at all (a temporary file, then a rename)."""
    path = Path(path)
    if path.suffix != ".npz":
        raise ClipError(f"{path}: a clip's name ends in .npz")
    arrays: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "qpos": clip.qpos,
        "qvel": clip.qvel,
        "fps": float(clip.fps),
        "joint_names": np.array(clip.joint_names),
        "loop": bool(clip.loop),
        "model": clip.model,
        "source": clip.source,
        "license": clip.license,
        "meta": json.dumps(clip.meta, sort_keys=True),
    }
    arrays |= {key: getattr(clip, key) for key in ("contacts", "torque") if getattr(clip, key) is not None}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    return path


@loader("clip", ".npz")
def load_clip(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> Clip:
    """Read a clip of at most `limit` bytes in memory; every fault is a `ClipError` that names the file and the key."""
    path = Path(path)
    if not path.is_file():
        raise ClipError(f"{path}: no such clip")
    refuse_pickles(path, ClipError)
    fields: dict[str, Any] = {"name": path.stem}
    with Archive(path, ClipError, limit, f"{path}: not a readable clip") as archive:
        missing = [key for key in _REQUIRED if key not in archive.keys]
        if missing:
            held = one_line(", ".join(sorted(archive.keys)) or "nothing")
            raise ClipError(f"{path}: missing {', '.join(missing)}; it holds {held}")
        for key, (kinds, read) in _READERS.items():
            if key in archive.keys:
                array = archive.array(key, kinds, MAX_TEXT_ARRAY if kinds == "U" else None)
                try:
                    fields[key] = read(array)
                except (TypeError, ValueError, OverflowError) as error:
                    raise ClipError(f"{path}: {key}: {one_line(error)}") from error
    if (found := fields.pop("format_version")) != FORMAT_VERSION:
        raise ClipError(f"{path}: format_version is {found}, this GaitNet reads {FORMAT_VERSION}")
    try:
        return Clip(**fields)
    except ClipError as error:
        raise ClipError(f"{path}: {error}") from error


def read_facts(archive: Archive) -> dict[str, Any]:
    """What a clip's archive says of it beside its frames: meta (empty where it has none), model, source, license."""
    facts = {key: str(archive.array(key, "U", MAX_TEXT_ARRAY)) for key in ("model", "source", "license")}
    meta = archive.array("meta", "U", MAX_TEXT_ARRAY) if "meta" in archive.keys else None
    try:
        return {"meta": {} if meta is None else _json_object(meta), **facts}
    except ValueError as error:
        raise archive.fault("meta", one_line(error)) from None


def _floats(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, dtype=np.float64)


def _flag(array: np.ndarray) -> bool:
    if array.ndim:
        raise ValueError(f"expected true or false, got {array}")
    return bool(array)


def _names(array: np.ndarray) -> tuple[str, ...]:
    if array.ndim != 1:
        raise ValueError(f"expected a row of names, got {array}")
    return tuple(array.tolist())


def _json_object(array: np.ndarray) -> dict[str, Any]:
    value = parse_json(str(array), "JSON", ClipError)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {value}")
    return value


# Key to the kinds of its array (of `np.dtype.kind`), and what is made of it.
_READERS: dict[str, tuple[str, Callable[[np.ndarray], Any]]] = {
    "format_version": ("fiuU", lambda array: int(array.item())),
    "qpos": ("fiu", _floats),
    "qvel": ("fiu", _floats),
    "fps": ("fiu", lambda array: float(array.item())),
    "joint_names": ("U", _names),
    "loop": ("b", _flag),
    "model": ("U", str),
    "source": ("U", str),
    "license": ("U", str),
    "contacts": ("fiu", _floats),
    "torque": ("fiu", _floats),
    "meta": ("U", _json_object),
}


def check_fits(clip: Clip, joint_names: tuple[str, ...], fps: float | None = None) -> None:
    """Raise unless the clip has exactly this body's joints, in order, and the wanted rate."""
    if clip.joint_names != joint_names:
        missing = [name for name in joint_names if name not in clip.joint_names]
        extra = [name for name in clip.joint_names if name not in joint_names]
        detail = f"missing {_few(missing)}, unknown {_few(extra)}" if missing or extra else "their order"
        raise OtherBodyError(
            f"clip {clip.name!r}, of the model {clip.model!r}: joints differ: {detail}; "
            f"the body has {_few(list(joint_names))}",
            clip.model,
        )
    if fps is not None and abs(clip.fps - fps) > 1e-6:
        raise ClipError(
            f"clip {clip.name!r}: fps is {clip.fps:g}, this body is controlled at {fps:g}; "
            f"resample it with: gait-data export CLIP --to clip --fps {fps:g} --out NEW"
        )


def _few(names: list[str], shown: int = 4) -> str:
    rest = len(names) - shown
    return f"{names[:shown]}" + (f" and {rest} more" if rest > 0 else "")


def velocities(qpos: np.ndarray, fps: float) -> np.ndarray:
    """Velocities (T, nv) of positions (T, nq) by central differences (one-sided at the ends).

    MuJoCo's convention: world linear velocity, body-frame angular velocity, joint rates.
    """
    before = np.concatenate([qpos[:1], qpos[:-1]])
    after = np.concatenate([qpos[1:], qpos[-1:]])
    span = np.full((len(qpos), 1), 2.0 / fps)
    span[[0, -1]] = 1.0 / fps
    # The turn from the frame before to the frame after, in the frame before's axes, moved half-way on
    # to this frame's own axes by the symmetric choice q₋⁻¹ q₊ (exact for a constant body rate).
    turn = quat_to_rotvec(quat_mul(quat_conj(before[:, 3:7]), after[:, 3:7]))
    return np.concatenate(
        [(after[:, :3] - before[:, :3]) / span, turn / span, (after[:, 7:] - before[:, 7:]) / span], axis=1
    )
