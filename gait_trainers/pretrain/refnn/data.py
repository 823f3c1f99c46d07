"""Sequences of gait cycles as training rows: what is held out, what a RefNN knows of them, and a stream of rows."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.reference.pose_features import COORDINATES, POSE_LAYOUT, six_dof_to_pose
from gait_envs.reference.refnn.network import Facts
from gait_envs.reference.refnn.walks import (
    CYCLE,
    FORMAT_VERSION,
    SEQUENCE,
    Sequences,
    WalkError,
    check_file,
    load_sequences,
)

DEFAULTS = {"captured": 0.0}  # of a parameter that a file does not have; all others are factors, 1
UNITS = {"stride": "m", "cadence": "steps/min"}
STILL = 1e-4  # rad; a joint that moves by less is held
LEAST_DEVIATION = 1e-3  # 1, m or rad
# Numbers that are balanced as one: where each counted by its own deviation, joints that hardly move would count most.
GROUPS = (slice(0, 6), slice(6, 8), slice(8, 9), slice(9, POSE_LAYOUT.size))
PHASE = np.arange(SEQUENCE) / CYCLE % 1.0  # (60,) of the poses of a sequence


@dataclass(frozen=True)
class DataSet:
    """Files of sequences under one list of parameters, some walkers held out."""

    files: tuple[Path, ...]
    names: tuple[str, ...]  # (P,)
    held_out: frozenset[str]  # walkers
    counts: tuple[int, ...]  # sequences of each file that are not held out
    facts: Facts
    sequences: SequenceFiles

    @property
    def digests(self) -> list[str]:
        """SHA-256 of each file."""
        return [self.sequences.digests[file] for file in self.files]

    def read(self, file: Path) -> Sequences:
        """A file of them; see `SequenceFiles.read`."""
        return self.sequences.read(file)

    def part(self, file: Path, *, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
        """Parameters (B, P) and motions (B, 60, 101) of a file's walkers that are, or are not, held out."""
        sequences = self.read(file)
        params = aligned(sequences, self.names)
        mask = np.array([walker in self.held_out for walker in sequences.walkers]) == held_out
        return params[mask], sequences.motions[mask]

    def whole(self, *, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
        """The same of all files together."""
        parts = [self.part(file, held_out=held_out) for file in self.files]
        params, motions = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return params, motions


@dataclass(frozen=True)
class Version:
    """What tells a file from what it was before, without reading it."""

    size: int  # bytes
    mtime_ns: int
    reader: int = FORMAT_VERSION

    @classmethod
    def of(cls, file: Path) -> Version:
        """That of a file now."""
        check_file(file, "sequences")
        status = file.stat()
        return cls(status.st_size, status.st_mtime_ns)


class SequenceFiles:
    """Files of sequences as they are when they are first read, the last `resident` ones in memory."""

    def __init__(self, resident: int) -> None:
        self.digests: dict[Path, str] = {}  # SHA-256
        self._versions: dict[Path, Version] = {}
        self._cached = functools.lru_cache(maxsize=resident)(self._load)

    def read(self, file: Path) -> Sequences:
        """A file's sequences; WalkError where it has changed since statistics were made of it."""
        version = Version.of(file)
        first = self._versions.setdefault(file, version)
        sequences = self._cached(file, version) if version == first else None
        if sequences is None or Version.of(file) != first:
            raise WalkError(f"{file}: has changed since it was opened; begin a new run with it")
        return sequences

    def _load(self, file: Path, version: Version) -> Sequences:
        with open(file, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if self.digests.setdefault(file, digest) != digest:  # of the same size, and at the same time
            raise WalkError(f"{file}: has changed since it was opened; begin a new run with it")
        return load_sequences(file)


def aligned(sequences: Sequences, names: Sequence[str]) -> np.ndarray:
    """Parameters (B, P) in the order of `names`; those that the sequences do not have are at their defaults."""
    own = {name: i for i, name in enumerate(sequences.names)}
    default = np.ones(len(sequences.params))
    columns = [sequences.params[:, own[name]] if name in own else DEFAULTS.get(name, 1.0) * default for name in names]
    return np.stack(columns, axis=1)


def open_data(sources: Sequence[str | Path], holdout: float, seed: int, balanced: bool, resident: int = 8) -> DataSet:
    """The sequences in files, and in the .npz files of folders; reads each file once.

    Held out are a share of the walkers of each file, so that every source is represented. A parameter that never
    changes is left out of the names.
    """
    files: list[Path] = []
    for source in map(Path, sources):
        files += sorted(source.glob("*.npz")) if source.is_dir() else [source]
    if not files:
        raise WalkError(f"{', '.join(map(str, sources))}: holds no .npz file of sequences")
    rng = np.random.default_rng(seed)
    opened, tables, held_out, counts = SequenceFiles(resident), [], set(), []
    lowest, highest = np.full((2, COORDINATES - 7), np.inf) * np.array([[1.0], [-1.0]])
    total, square, count = np.zeros(POSE_LAYOUT.size), np.zeros(POSE_LAYOUT.size), 0
    for file in files:
        sequences = opened.read(file)
        walkers = np.unique(sequences.walkers)
        chosen = rng.permutation(walkers)[: round(holdout * len(walkers))].tolist()
        held_out.update(chosen)
        tables.append(sequences)
        kept = sequences.motions[[walker not in chosen for walker in sequences.walkers]].astype(np.float64)
        counts.append(len(kept))
        total += kept.sum(axis=(0, 1))
        square += (kept**2).sum(axis=(0, 1))
        count += kept.shape[0] * SEQUENCE
        moved = sequences.motions[aligned(sequences, ["captured"])[:, 0] == 0].astype(np.float64)
        if len(moved):
            joints = six_dof_to_pose(moved)[..., 7:]
            lowest, highest = np.minimum(lowest, joints.min((0, 1))), np.maximum(highest, joints.max((0, 1)))
    if not count:
        raise WalkError("every walker is held out; lower `holdout`")
    every = tuple(dict.fromkeys(name for table in tables for name in table.names))
    params = np.concatenate([aligned(table, every) for table in tables])
    moves = np.ptp(params, axis=0) > 1e-9
    names = tuple(name for name, does in zip(every, moves, strict=True) if does)
    mean = total / count
    deviation = np.ones_like(mean)
    for group in GROUPS:
        variance = float(np.mean(square[group] / count - mean[group] ** 2))  # rounded, and so perhaps below 0
        deviation[group] = max(np.sqrt(max(variance, 0.0)), LEAST_DEVIATION)
    if not balanced:
        mean, deviation = np.zeros_like(mean), np.ones_like(mean)
    return DataSet(
        files=tuple(files),
        names=names,
        held_out=frozenset(held_out),
        counts=tuple(counts),
        facts=facts_of(params[:, moves], names, mean, deviation, held(lowest, highest)),
        sequences=opened,
    )


def held(lowest: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """The angles (50,) rad of joints that do not move between these, infinite where they do or nothing is known."""
    still = highest - lowest < STILL
    return np.where(still, np.round((lowest + highest) / 2, 6), np.inf) if np.isfinite(lowest).all() else lowest


def facts_of(
    params: np.ndarray, names: tuple[str, ...], mean: np.ndarray, deviation: np.ndarray, still: np.ndarray
) -> Facts:
    """What a RefNN knows of walks with these parameters (B, P); raises WalkError without stride or cadence."""
    missing = [name for name in UNITS if name not in names]
    if missing:
        raise WalkError(f"{missing[0]} never changes in these sequences; nothing can be learned of it")
    low, high = params.min(axis=0), params.max(axis=0)
    default = np.array([DEFAULTS.get(name, 1.0) for name in names])
    stride, cadence = (params[:, names.index(name)] for name in UNITS)
    for name, values in (("stride", stride), ("cadence", cadence)):
        default[names.index(name)] = np.median(values)
    simulated = params[:, names.index("captured")] == 0 if "captured" in names else np.ones(len(params), dtype=bool)
    simulated = simulated if simulated.any() else np.ones(len(params), dtype=bool)
    speed = stride * cadence / 120.0
    natural = np.polynomial.polynomial.polyfit(speed[simulated], stride[simulated], 2)
    return Facts(
        names=names,
        units=tuple(UNITS.get(name, "1") for name in names),
        low=low,
        high=high,
        default=np.clip(default, low, high),
        natural=natural,
        speeds=np.percentile(speed[simulated], [5, 95]),
        mean=mean,
        deviation=deviation,
        held=still,
    )


def rows_of(params: np.ndarray, motions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as rows: inputs (B · 60, P + 2) float32, not normalised, and poses (B · 60, 101) float32."""
    phase = np.tile(2 * np.pi * PHASE, len(params))
    inputs = np.column_stack([np.repeat(params, SEQUENCE, axis=0), np.sin(phase), np.cos(phase)])
    return inputs.astype(np.float32), motions.reshape(-1, POSE_LAYOUT.size).astype(np.float32)


class Stream:
    """Batches of shuffled rows, for ever: `scale` batches of `size` rows are read and shuffled together, of
    each file in proportion to its rows.

    Its state is that of the generator before the last reading, and how many batches of it have been given.
    """

    def __init__(self, data: DataSet, size: int, scale: int, seed: int) -> None:
        self.data, self.size, self.scale = data, size, scale
        self.rng = np.random.default_rng(seed)
        self.begun = self.rng.bit_generator.state
        self.given = scale  # nothing has been read yet
        self.pool: list[np.ndarray] = []

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (size, P + 2) and poses (size, 101)."""
        if self.given == self.scale:
            self.begun, self.given = self.rng.bit_generator.state, 0
            self._read()
        at = slice(self.given * self.size, (self.given + 1) * self.size)
        self.given += 1
        inputs, poses = (array[at] for array in self.pool)
        return inputs, poses

    def _read(self) -> None:
        needed, parts = self.size * self.scale, []
        self.pool = []  # before its successor is read: never both in memory
        every = SEQUENCE * sum(self.data.counts)
        while needed > 0:
            lap = min(needed, every)
            for k in self.rng.permutation(len(self.data.files)):
                share = -(-lap * SEQUENCE * self.data.counts[k] // every)  # of each file as of all, rounded up
                if share == 0 or needed == 0:
                    continue
                inputs, poses = rows_of(*self.data.part(self.data.files[k], held_out=False))
                take = self.rng.permutation(len(inputs))[: min(share, needed)]
                parts.append((inputs[take], poses[take]))
                needed -= len(take)
        together = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        order = self.rng.permutation(len(together[0]))
        self.pool = [array[order] for array in together]

    def get_state(self) -> dict[str, Any]:
        """All that its future follows from."""
        return {"begun": _plain(self.begun), "given": self.given, "now": _plain(self.rng.bit_generator.state)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where `get_state` was called, on the same data."""
        self.rng.bit_generator.state = _parsed(state["begun"])
        self.begun, self.given = self.rng.bit_generator.state, state["given"]
        if type(self.given) is not int or not 0 <= self.given <= self.scale:
            raise ValueError(f"given is {self.given!r}, expected 0 to {self.scale} batches")
        if self.given < self.scale or "now" not in state:  # checkpoints of earlier versions have none
            self._read()
        else:  # all of what was read has been given: the next reading begins where that one ended
            self.rng.bit_generator.state = _parsed(state["now"])


def _plain(state: Any) -> dict[str, Any]:
    """A generator's state with its integers of 128 bits as text."""
    return state | {"state": {key: str(value) for key, value in state["state"].items()}}


def _parsed(state: Any) -> dict[str, Any]:
    return dict(state) | {"state": {key: int(value) for key, value in state["state"].items()}}
