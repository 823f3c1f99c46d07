"""DeepMimic's humanoid3d motions: JSON text, a frame of 44 numbers, y up, metres.

The skeleton is not in the file. Names, order, offsets and the knee's and elbow's axis (z) are those of the
character it was made for, humanoid3d.txt of DeepMimic (Peng et al. 2018): x ahead, y up, z right. Feet and
head end where the character's box and sphere end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture, Skeleton
from gait_envs.mocap.formats.npz import check_finite, unit_quaternions
from gait_envs.mocap.formats.text import frame_rate
from gait_envs.reading.text import read_text
from gait_envs.rotations import quat_from_rotvec, quat_slerp

# Name, parent, place from the parent (m), numbers a frame: 4 a quaternion (wxyz), 1 an angle about z.
_JOINTS = (
    ("root", None, (0, 0, 0), 4),
    ("chest", "root", (0, 0.236151, 0), 4),
    ("neck", "chest", (0, 0.223894, 0), 4),
    ("right_hip", "root", (0, 0, 0.084887), 4),
    ("right_knee", "right_hip", (0, -0.421546, 0), 1),
    ("right_ankle", "right_knee", (0, -0.409870, 0), 4),
    ("right_shoulder", "chest", (-0.02405, 0.24350, 0.18311), 4),
    ("right_elbow", "right_shoulder", (0, -0.274788, 0), 1),
    ("left_hip", "root", (0, 0, -0.084887), 4),
    ("left_knee", "left_hip", (0, -0.421546, 0), 1),
    ("left_ankle", "left_knee", (0, -0.409870, 0), 4),
    ("left_shoulder", "chest", (-0.02405, 0.24350, -0.18311), 4),
    ("left_elbow", "left_shoulder", (0, -0.274788, 0), 1),
    ("right_wrist", "right_elbow", (0, -0.258947, 0), 0),
    ("left_wrist", "left_elbow", (0, -0.258947, 0), 0),
    ("neck_end", "neck", (0, 0.2775, 0), 0),
    ("right_ankle_end", "right_ankle", (0.1335, -0.05, 0), 0),
    ("left_ankle_end", "left_ankle", (0.1335, -0.05, 0), 0),
)
_NAMES = tuple(name for name, *_ in _JOINTS)
SKELETON = Skeleton(
    _NAMES,
    np.array([-1 if parent is None else _NAMES.index(parent) for _, parent, *_ in _JOINTS]),
    np.array([offset for _, _, offset, _ in _JOINTS], dtype=float),
)
_WIDTH = 1 + 3 + sum(count for *_, count in _JOINTS)
assert _WIDTH == 44
_SHORTEST, _LONGEST = 1e-5, 10.0  # s a frame
_UNEVEN = 1e-3  # of a frame's duration: rounding
_QUAT_SLACK = 0.5  # published motions have quaternions of length 0.85; DeepMimic makes them unit when it reads them
_LARGEST = 1 << 26  # bytes
_MOST = 2_000_000  # values: 25 minutes at 30 frames a second


def sniff(path: Path) -> bool:
    """Whether a text file begins as JSON does and names Frames, Loop or a joint list early on."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = file.read(4096)
    except OSError:
        return False
    return head.lstrip().startswith("{") and any(f'"{key}"' in head for key in ("Frames", "Loop"))


def open_capture(path: str | os.PathLike[str], gaps: bool = False) -> Capture:
    """Open a DeepMimic motion. Uneven frame durations are resampled at their median.

    NaN is an error unless there may be `gaps`. Raises `MotionError` naming the file, the key and the frame.
    """
    path = Path(path)
    data = _load(path)
    table = _table(path, data["Frames"], gaps)
    # A frame lasts until the next one; what the last one is given says nothing.
    durations = table[:-1, 0] if len(table) > 1 else table[:, 0]
    lasting = (durations >= _SHORTEST) & (durations <= _LONGEST)
    if not lasting.all():
        frame = int(np.argmin(lasting))
        raise MotionError(
            f"{path}: Frames: the duration of frame {frame} is {durations[frame]:g}; "
            f"expected {_SHORTEST:g} to {_LONGEST:g} s"
        )
    step = float(np.median(durations))
    rotations, place = _decode(path, table)
    notes = ["the motion is meant to loop"] if data.get("Loop") == "wrap" else []
    if np.ptp(durations) > _UNEVEN * step:
        rotations, place = _even(rotations, place, np.concatenate([[0.0], np.cumsum(durations)]), step)
        notes.append(
            f"frames last from {durations.min():.4f} to {durations.max():.4f} s; resampled at {step:.4f} s "
            f"(slerp, linear)"
        )

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(place), size):
            turns = rotations[start : start + size]
            translations = np.broadcast_to(SKELETON.offsets, (len(turns), *SKELETON.offsets.shape)).copy()
            translations[:, 0] = place[start : start + size]
            yield turns.copy(), translations

    return Capture(
        SKELETON,
        frame_rate(step),
        len(place),
        blocks,
        name=path.stem,
        notes=tuple(notes),
        unit=1.0,
        up="+y",
        usual_up="+y",
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path, MotionError, _LARGEST)
    except FileNotFoundError:
        raise MotionError(f"{path}: no such file") from None
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror}") from None
    if text.count(",") + text.count("[") + text.count("{") > _MOST:
        raise MotionError(f"{path}: more than {_MOST} values; a DeepMimic motion is read whole")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MotionError(f"{path}: not a whole JSON text: {error}") from None
    if not isinstance(data, dict) or "Frames" not in data:
        holds = ", ".join(data) if isinstance(data, dict) else type(data).__name__
        raise MotionError(f"{path}: missing Frames; it holds {holds or 'nothing'}")
    return data


def _table(path: Path, frames: Any, gaps: bool) -> np.ndarray:
    """Frames (T, 44), every row checked."""
    if not isinstance(frames, list) or not frames:
        raise MotionError(f"{path}: Frames: expected a list of rows of {_WIDTH} numbers, at least one")
    for frame, row in enumerate(frames):
        if not isinstance(row, list) or len(row) != _WIDTH:
            found = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
            raise MotionError(f"{path}: Frames: frame {frame} has {found}, expected {_WIDTH} numbers")
        wrong = next((value for value in row if type(value) not in (int, float)), None)
        if wrong is not None or None in row:
            raise MotionError(f"{path}: Frames: frame {frame} holds {str(wrong)[:40]!r}, expected numbers")
    try:
        table = np.array(frames, dtype=np.float64)
    except OverflowError:
        raise MotionError(f"{path}: Frames: a number is too large") from None
    check_finite(table[:, :1], f"{path}: Frames: duration", 0, False)
    return check_finite(table, f"{path}: Frames", 0, gaps)


def _decode(path: Path, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local rotations (T, J, 4) and the root's place (T, 3)."""
    rotations = np.zeros((len(table), len(_JOINTS), 4))
    rotations[..., 0] = 1.0
    column = 4
    for j, (name, _, _, count) in enumerate(_JOINTS):
        values = table[:, column : column + count]
        if count == 4:
            rotations[:, j] = unit_quaternions(values, f"{path}: Frames: {name}", 0, _QUAT_SLACK)
        elif count == 1:
            rotations[:, j] = quat_from_rotvec(values * [0.0, 0.0, 1.0])
        column += count
    return rotations, table[:, 1:4]


def _even(rotations: np.ndarray, place: np.ndarray, times: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames at the given times (T,) read every `step` seconds."""
    wanted = np.arange(int(np.floor(times[-1] / step + 1e-6)) + 1) * step
    at = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, len(times) - 2)
    u = np.clip((wanted - times[at]) / (times[at + 1] - times[at]), 0.0, 1.0)
    share = np.broadcast_to(u[:, None], (len(u), rotations.shape[1]))
    turned = quat_slerp(rotations[at], rotations[at + 1], share)
    return turned, place[at] + u[:, None] * (place[at + 1] - place[at])
