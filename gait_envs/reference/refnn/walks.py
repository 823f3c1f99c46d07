"""Recorded walks of many walkers, and the two-cycle sequences that a RefNN learns from: both `.npz` without pickle.

Walks, as they were recorded (`gait-train rollout`):

    params   (N, P)      of each walker, in the order of `names` and in the units of `PARAMETERS`
    names    (P,)
    motions  (ΣT, 57)    `COORDINATES` and the phase in [0, 1), the walkers' frames end to end
    lengths  (N,)        frames of each walker
    walkers  (N,)        a name each, by which data are held out
    fps, source, license, format_version

Sequences of two gait cycles (`gait-data augment`):

    params   (B, P)      with measured stride and cadence
    motions  (B, 60, 101)  poses of `gait_envs.reference.pose_features` at the phases i / 30
    names, walkers (B,), source, license, format_version
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.errors import GaitNetError, one_line
from gait_envs.files import replacing
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive
from gait_envs.reading.loaders import loader
from gait_envs.reference.pose_features import POSE_LAYOUT
from gait_envs.rotations import quat_from_rotvec, quat_to_rotvec

FORMAT_VERSION = 1
COORDINATES = 56  # root position m, rotation vector rad, joint angles rad: one a degree of freedom
CYCLE = 30  # poses of a gait cycle; phase 0 is the right foot's touchdown
SEQUENCE = 2 * CYCLE
MAX_BYTES = 1 << 30  # of the arrays of one file in memory
MAX_NUMBER = 1e6  # of any value: metres, radians, factors
MAX_PARAMETERS = 1000


class WalkError(GaitNetError, ValueError):
    """A file of walks or sequences that cannot be used; names the file and the key."""


@dataclass(frozen=True)
class Walks:
    """Recorded walks of N walkers; see the table above."""

    params: np.ndarray  # (N, P) float64
    names: tuple[str, ...]  # (P,)
    motions: np.ndarray  # (ΣT, 57) float64
    lengths: np.ndarray  # (N,) int
    walkers: tuple[str, ...]  # (N,)
    fps: float
    source: str
    license: str

    def walk(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (T, 56) and phase (T,) of walker i."""
        start = int(self.lengths[:i].sum())
        rows = self.motions[start : start + int(self.lengths[i])]
        return rows[:, :COORDINATES], rows[:, COORDINATES]


@dataclass(frozen=True)
class Sequences:
    """B sequences of two gait cycles; see the table above."""

    params: np.ndarray  # (B, P) float64
    names: tuple[str, ...]  # (P,)
    motions: np.ndarray  # (B, 60, 101) float32
    walkers: tuple[str, ...]  # (B,)
    source: str
    license: str


def to_coordinates(qpos: np.ndarray) -> np.ndarray:
    """qpos (..., 57) of the humanoid as one number a degree of freedom (..., 56)."""
    return np.concatenate([qpos[..., :3], quat_to_rotvec(qpos[..., 3:7]), qpos[..., 7:]], axis=-1)


def from_coordinates(coordinates: np.ndarray) -> np.ndarray:
    """The inverse of `to_coordinates`."""
    root = quat_from_rotvec(coordinates[..., 3:6])
    return np.concatenate([coordinates[..., :3], root, coordinates[..., 6:]], axis=-1)


# -- files ------------------------------------------------------------------------------------------------


def save_walks(path: str | os.PathLike[str], walks: Walks) -> Path:
    """Write walks whole or not at all."""
    return _save(path, walks, "walks", ("params", "motions", "lengths", "fps"))


def save_sequences(path: str | os.PathLike[str], sequences: Sequences) -> Path:
    """Write sequences whole or not at all."""
    return _save(path, sequences, "sequences", ("params", "motions"))


def _save(path: str | os.PathLike[str], data: Walks | Sequences, kind: str, numbers: tuple[str, ...]) -> Path:
    path = Path(path)
    if path.suffix != ".npz":
        raise WalkError(f"{path}: a file of {kind} ends in .npz")
    arrays: dict[str, Any] = {key: getattr(data, key) for key in numbers}
    arrays |= {"names": np.array(data.names), "walkers": np.array(data.walkers)}
    arrays |= {"format": f"gaitnet {kind}", "format_version": FORMAT_VERSION}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, source=data.source, license=data.license, **arrays)
    return path


@loader("walks", ".npz")
def load_walks(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> Walks:
    """Read recorded walks; every fault is a `WalkError` that names the file and the key."""
    with _opened(path, "walks", limit) as archive:
        params, names, walkers = _labels(archive)
        motions = _numbers(archive, "motions", (None, COORDINATES + 1))
        lengths = archive.array("lengths", "iu").astype(np.int64)
        if lengths.shape != (len(params),) or (lengths < 1).any() or int(lengths.sum()) != len(motions):
            raise archive.fault("lengths", f"expected {len(params)} numbers above 0 that add up to {len(motions)}")
        fps = _numbers(archive, "fps", ())
        if not fps > 0:
            raise archive.fault("fps", f"it is {fps}, expected a positive number")
        if ((motions[:, -1] < 0) | (motions[:, -1] >= 1)).any():
            raise archive.fault("motions", "the last column, the phase, is not within [0, 1)")
        return Walks(params, names, motions, lengths, walkers, float(fps), *_origin(archive))


@loader("gait sequences", ".npz")
def load_sequences(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> Sequences:
    """Read two-cycle sequences; every fault is a `WalkError` that names the file and the key."""
    with _opened(path, "sequences", limit) as archive:
        params, names, walkers = _labels(archive)
        motions = _numbers(archive, "motions", (len(params), SEQUENCE, POSE_LAYOUT.size))
        return Sequences(params, names, motions.astype(np.float32), walkers, *_origin(archive))


def is_walks(path: str | os.PathLike[str]) -> bool:
    """Whether an archive holds recorded walks, and not a clip or anything else."""
    if not Path(path).is_file():
        return False
    with Archive(path, WalkError, MAX_TEXT_ARRAY, f"{path}: no readable archive") as archive:
        return "lengths" in archive.keys


def check_file(path: str | os.PathLike[str], kind: str) -> None:
    """WalkError unless there is a regular file of this kind: not a pipe, which would be waited for."""
    if not Path(path).is_file():
        raise WalkError(f"{path}: no such file of {kind}")


def _opened(path: str | os.PathLike[str], kind: str, limit: int) -> Archive:
    check_file(path, kind)
    archive = Archive(path, WalkError, limit, f"{path}: no readable {kind}")
    try:
        found = str(archive.array("format", "U", MAX_TEXT_ARRAY)) if "format" in archive.keys else "nothing"
        if found != f"gaitnet {kind}":
            raise archive.fault("format", f"it is {one_line(repr(found))}, expected 'gaitnet {kind}'")
        version = archive.array("format_version", "iu")
        if version.shape or version != FORMAT_VERSION:
            raise archive.fault("format_version", f"it is {one_line(version)}, this GaitNet reads {FORMAT_VERSION}")
    except GaitNetError:
        archive.__exit__()
        raise
    return archive


def _labels(archive: Archive) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Parameters (N, P), their names (P,), and the walkers' names (N,)."""
    names = archive.array("names", "U", MAX_TEXT_ARRAY)
    if names.ndim != 1 or not 0 < len(names) <= MAX_PARAMETERS or len(set(names.tolist())) < len(names):
        raise archive.fault("names", f"expected 1 to {MAX_PARAMETERS} different names")
    params = _numbers(archive, "params", (None, len(names)))
    walkers = archive.array("walkers", "U", MAX_TEXT_ARRAY)
    if walkers.shape != (len(params),):
        raise archive.fault("walkers", f"it has shape {walkers.shape}, expected ({len(params)},)")
    return params, tuple(names.tolist()), tuple(walkers.tolist())


def _numbers(archive: Archive, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    array = archive.array(key, "fiu")
    fits = array.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, array.shape, strict=True))
    if not fits or 0 in array.shape:
        wanted = ", ".join("N" if side is None else f"{side}" for side in shape)
        raise archive.fault(key, f"it has shape {array.shape}, expected ({wanted})")
    array = array.astype(np.float64)
    if not (np.abs(array) < MAX_NUMBER).all():  # NaN is refused too
        raise archive.fault(key, f"a value is not finite, or beyond {MAX_NUMBER:g}")
    return array


def _origin(archive: Archive) -> tuple[str, str]:
    source, license_ = (str(archive.array(key, "U", MAX_TEXT_ARRAY)) for key in ("source", "license"))
    return source, license_
