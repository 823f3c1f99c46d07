"""Where joints are, and nothing else: `.npz` with positions (T, J, 3), or a table with columns name_x, name_y, name_z.

There are no rotations in such data, so the skeleton has none: every joint keeps its parent's axes, and what
moves is its place from the parent. Forward kinematics then returns the positions as they were.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture, Skeleton
from gait_envs.mocap.formats.npz import MAX_FPS, Archive, archive_keys, check_finite, check_tree
from gait_envs.mocap.formats.text import MAX_JOINTS, TextFile, frame_rate

_TIME = ("time", "t", "seconds", "time_s")
_EVEN = 0.2  # of a frame: how far a rounded time may be from a constant rate


def sniff(path: Path) -> bool:
    """Whether an `.npz` has positions, or a table's first line names x, y and z of a joint."""
    if path.suffix.lower() == ".npz":
        return "positions" in (archive_keys(path) or ())
    try:
        return bool(_columns(_header(TextFile(path))[1]))
    except MotionError:
        return False


def open_capture(path: str | os.PathLike[str], fps: float | None = None, gaps: bool = False) -> Capture:
    """Open positions, in the units and axes of the file.

    An `.npz` holds positions (T, J, 3), names (J,), fps and, if the joints are a tree, parents (J,). A `.csv`
    has a first line of names and, for its rate, a column `time` (s); or else `fps` says it. Missing values
    (NaN, or empty cells) are an error unless there may be `gaps`. Raises `MotionError` naming the file and
    the key, or the line.
    """
    path = Path(path)
    return _open_table(path, fps, gaps) if path.suffix.lower() == ".csv" else _open_npz(path, fps, gaps)


def _open_npz(path: Path, fps: float | None, gaps: bool) -> Capture:
    archive = Archive(path)
    names = archive.names("names")
    _check_count(f"{path}: names", len(names))
    parents = np.r_[-1, np.zeros(len(names) - 1, dtype=int)]
    if "parents" in archive.keys:
        parents = check_tree(archive.array("parents", (len(names),)), len(names), f"{path}: parents")
    frames = archive.frames("positions", (len(names), 3))
    rate = _check_rate(path, fps) if fps is not None else archive.rate("fps")

    def positions(size: int) -> Iterator[np.ndarray]:
        return archive.blocks("positions", size, gaps)

    return _capture(path, names, parents, rate, frames, positions)


def _capture(path: Path, names: tuple[str, ...], parents: np.ndarray, fps: float, frames: int, positions) -> Capture:
    """A capture whose joints, each with its parent's axes, are at the positions (t, J, 3) of the blocks."""

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for block in positions(size):
            rotations = np.zeros((*block.shape[:2], 4))
            rotations[..., 0] = 1.0
            translations = block.copy()
            translations[:, 1:] -= block[:, parents[1:]]
            yield rotations, translations

    # The first block's middle: a frame of its own may have gaps.
    with np.errstate(all="ignore"):
        first = np.ma.median(np.ma.masked_invalid(next(blocks(min(frames, 256)))[1]), axis=0).filled(0.0)
    first[0] = 0.0
    return Capture(Skeleton(names, parents, first), fps, frames, blocks, name=path.stem)


def _check_count(where: str, joints: int) -> None:
    if not 0 < joints <= MAX_JOINTS:
        raise MotionError(f"{where}: {joints} joints; expected 1 to {MAX_JOINTS}")


def _check_rate(path: Path, fps: float) -> float:
    if not 0 < fps < np.inf:
        raise MotionError(f"{path}: fps is {fps:g}; expected a positive number")
    return float(fps)


# -- tables -----------------------------------------------------------------------------------------------


def _open_table(path: Path, fps: float | None, gaps: bool) -> Capture:
    file = TextFile(path)
    number, header = _header(file)
    columns = _columns(header)
    if not columns:
        raise file.error(number, "expected columns name_x, name_y and name_z of at least one joint")
    _check_count(f"{path}, line {number}", len(columns))
    time = next((i for i, word in enumerate(header) if word.lower() in _TIME), None)
    places = np.array([columns[name] for name in columns])  # (J, 3)
    if time is None and fps is None:
        raise file.error(
            number, f"no column {_TIME[0]}; say the captured frames a second with --captured-fps (in Python, fps)"
        )
    frames, rate = _scan(file, number, len(header), time)
    rate = rate if fps is None else _check_rate(path, fps)

    def positions(size: int) -> Iterator[np.ndarray]:
        rows = _rows(file, number, len(header))
        first = 0
        while part := list(islice(rows, size)):
            block = np.array([row for _, row in part])[:, places]
            yield check_finite(block, f"{path}: positions", first, gaps)
            first += len(part)

    return _capture(path, tuple(columns), np.r_[-1, np.zeros(len(columns) - 1, dtype=int)], rate, frames, positions)


def _header(file: TextFile) -> tuple[int, list[str]]:
    """Number and words of the first line that is not blank."""
    for number, line in file.lines():
        if line.strip():
            return number, [word.strip().strip('"') for word in line.split(",")]
    raise MotionError(f"{file.path}: the file is empty; expected a line of column names")


def _columns(header: list[str]) -> dict[str, list[int]]:
    """Columns of x, y and z of every joint that has all three, in the order of the header."""
    place = {word.lower(): i for i, word in enumerate(header)}
    names = [word[:-2] for word in header if word.lower().endswith("_x")]
    found = {name: [f"{name}_{axis}".lower() for axis in "xyz"] for name in names}
    return {name: [place[word] for word in words] for name, words in found.items() if set(words) <= set(place)}


def _rows(file: TextFile, header: int, width: int) -> Iterator[tuple[int, list[float]]]:
    """Line number and values of every row; an empty cell is NaN."""
    for number, line in file.lines(skip=header):
        if not line.strip():
            continue
        words = [word.strip() or "nan" for word in line.split(",")]
        if len(words) != width:
            raise file.error(number, f"the row has {len(words)} cells, the header {width}")
        try:
            yield number, [float(word) for word in words]
        except ValueError:
            wanted = [word for word in words if word.lower() != "nan"]
            file.numbers(number, wanted, "row")  # says which word it is
            raise


def _scan(file: TextFile, header: int, width: int, time: int | None) -> tuple[int, float]:
    """Number of frames and, by the time column, frames a second (else 0); the time must run evenly."""
    if time is None:
        frames = sum(1 for _ in _rows(file, header, width))
        if not frames:
            raise MotionError(f"{file.path}: no frame follows the column names")
        return frames, 0.0
    frames, first, last = 0, 0.0, -np.inf
    for number, values in _rows(file, header, width):
        if not last < values[time] < np.inf:
            raise file.error(number, f"the time {values[time]:g} does not follow {last:g}")
        first, last = values[time] if not frames else first, values[time]
        frames += 1
    if frames < 2:
        raise MotionError(f"{file.path}: {frames} frames; a time column needs two")
    step = (last - first) / (frames - 1)
    if not 1 / MAX_FPS <= step < np.inf:
        raise MotionError(f"{file.path}: the times are {step:g} s apart; expected {1 / MAX_FPS:g} s or more")
    for i, (number, values) in enumerate(_rows(file, header, width)):
        if abs(values[time] - first - i * step) > _EVEN * step:
            raise file.error(number, f"the time {values[time]:g} s is uneven; frames are {step:g} s apart on average")
    return frames, frame_rate(step)
