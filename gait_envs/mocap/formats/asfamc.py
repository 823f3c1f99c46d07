"""ASF/AMC: Acclaim's skeleton file and the motion file that goes with it, as in the CMU database.

With C the turn to a bone's own axes and M the frame's turn about them, the bone turns by C M C⁻¹ against its
parent, both in frames that are the world's at rest. `dof` (of the root: `order`) gives the order of the
values and of the turns, about fixed axes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture
from gait_envs.mocap.formats.asf import (
    ANGLES,
    SHIFTS,
    TURNS,
    AcclaimSkeleton,
    read_asf,
    statements,
    turn_about_fixed_axes,
)
from gait_envs.mocap.formats.text import TextFile
from gait_envs.rotations import quat_conj, quat_mul

CMU_FPS = 120.0  # the CMU database's rate; its files do not say
_ANGLE_KEYS = {":degrees": ANGLES["deg"], ":radians": ANGLES["rad"]}
_RATE_KEY = ":samples-per-second"


def open_capture(
    path: str | os.PathLike[str], asf: str | os.PathLike[str] | None = None, fps: float | None = None
) -> Capture:
    """Open an AMC file with its skeleton, by default the one beside it (see `find_asf`).

    `fps` overrides the file's rate; where neither says, it is CMU's 120. Raises `MotionError` naming the
    file, the line and the frame.
    """
    file = TextFile(path)
    skeleton, notes = (Path(asf), []) if asf is not None else find_asf(file.path)
    body = read_asf(skeleton)
    angle, rate, frames, more = _scan(file)
    notes += more
    rate = rate if fps is None else fps
    if rate is None:
        notes.append(f"the file has no frame rate; {CMU_FPS:g} frames a second are assumed")
        rate = CMU_FPS
    if not 0 < rate < np.inf:
        raise MotionError(f"{file.path}: fps is {rate:g}; expected a positive number")

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows = _rows(file, body, skeleton)
        while block := list(islice(rows, size)):
            yield _decode(body, np.array(block), angle or body.angle)

    return Capture(
        body.skeleton,
        rate,
        frames,
        blocks,
        name=file.path.stem,
        notes=(*body.notes, *notes),
        unit=body.unit,
        usual_up="+y",
    )


def find_asf(path: Path) -> tuple[Path, list[str]]:
    """The skeleton of `02_01.amc` in its folder: `02_01.asf`, else `02.asf`, else the only .asf there, with a note."""
    if not path.is_file():
        raise MotionError(f"{path}: no such file")
    there = {p.stem.lower(): p for p in sorted(path.parent.iterdir()) if p.suffix.lower() == ".asf"}
    stem = path.stem.lower()
    while stem not in there and "_" in stem:
        stem = stem.rpartition("_")[0]
    if stem in there:
        return there[stem], []
    if len(there) == 1:
        only = next(iter(there.values()))
        return only, [f"the skeleton is {only.name}, the only .asf in its folder"]
    found = ", ".join(p.name for p in there.values()) or "none"
    raise MotionError(
        f"{path}: no skeleton for it: name it with --asf (in Python, asf); .asf files in its folder: {found}"
    )


def _scan(file: TextFile) -> tuple[float | None, float | None, int, list[str]]:
    """Radians an angle unit and frames a second, where the file says, the number of frames, and notes."""
    angle: float | None = None
    rate: float | None = None
    notes: list[str] = []
    frames, last = 0, 0
    for number, words in statements(file):
        key = words[0].lower()
        if key.startswith(":"):
            angle = _ANGLE_KEYS.get(key, angle)
            if key == _RATE_KEY:
                (rate,) = file.numbers(number, words[1:], key, 1)
        elif _is_frame(words):
            frame = file.count(number, key, "frame number")
            if frames and frame <= last:
                raise file.error(number, f"frame {frame} follows frame {last}")
            if frames and frame > last + 1 and not notes:
                notes.append(f"line {number}: frame {frame} follows frame {last}; frames are taken as evenly spaced")
            frames, last = frames + 1, frame
        elif not frames:
            raise file.error(number, f"expected a :keyword or a frame number, found {words[0][:40]!r}")
    if not frames:
        raise MotionError(f"{file.path}: the file ends where a frame number is expected")
    return angle, rate, frames, notes


def _is_frame(words: list[str]) -> bool:
    return len(words) == 1 and words[0].isdecimal()


def _rows(file: TextFile, body: AcclaimSkeleton, asf: Path) -> Iterator[list[float]]:
    """Each frame's values in the order of `body.dof`."""
    widths = {name: len(dof) for name, dof in body.dof.items()}
    found: dict[str, list[float]] = {}
    line, frame = 0, ""
    for number, words in statements(file):
        if words[0].startswith(":"):
            continue
        if _is_frame(words):
            if line:
                yield _row(file, line, frame, widths, found)
            line, frame, found = number, words[0], {}
            continue
        name = words[0]
        if name in found:
            raise file.error(number, f"frame {frame} has {name!r} twice")
        if name not in widths and (name not in body.skeleton.names or len(words) > 1):
            fault = "gives it no dof" if name in body.skeleton.names else "has no such bone"
            moved = f"moved: {', '.join(widths)}; it is {asf}"
            raise file.error(number, f"frame {frame}: {name[:40]!r}: the skeleton {fault}; {moved}")
        found[name] = file.numbers(number, words[1:], f"frame {frame}, {name}", widths.get(name, 0))
    if line:
        yield _row(file, line, frame, widths, found)


def _row(file: TextFile, line: int, frame: str, widths: dict[str, int], found: dict[str, list[float]]) -> list[float]:
    missing = [name for name in widths if name not in found]
    if missing:
        raise file.error(line, f"frame {frame} has no values for {', '.join(missing)}")
    return [value for name in widths for value in found[name]]


def _decode(body: AcclaimSkeleton, values: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Values (T, C) to local rotations (T, J, 4) and translations (T, J, 3)."""
    skeleton, frames = body.skeleton, len(values)
    rotations = np.zeros((frames, len(skeleton.names), 4))
    rotations[..., 0] = 1.0
    translations = np.broadcast_to(skeleton.offsets, (frames, *skeleton.offsets.shape)).copy()
    translations[:, 0] = body.position
    rotations[:, 0] = body.axes[0]
    column = 0
    for name, dof in body.dof.items():
        node = skeleton.index(name)
        channels = dict(zip(dof, values.T[column:], strict=False))
        column += len(dof)
        turns = [token for token in dof if token in TURNS]
        angles = np.stack([channels[token] for token in turns], axis=-1) * angle if turns else np.zeros((frames, 0))
        turn = turn_about_fixed_axes(angles, "".join(token[1] for token in turns))
        own = body.axes[node]
        rotations[:, node] = quat_mul(own, quat_mul(turn, quat_conj(own))) if node else quat_mul(turn, own)
        for axis, token in enumerate(SHIFTS):
            translations[:, node, axis] += channels.get(token, 0.0)
    return rotations, translations
