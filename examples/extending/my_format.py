"""A motion format of one's own in one file: leg angles in degrees over time, as OpenSim's .mot files have them.

    python examples/extending/my_format.py examples/extending/walk.mot

A package offers the same to `gait-data import` and `gait-data retarget` with three lines of its pyproject.toml:
    [project.entry-points."gaitnet.motion_formats"]
    mot = "my_package.my_format:FORMAT"
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gait_envs.cli import run_script
from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture, Skeleton
from gait_envs.mocap.formats import Format, read_capture, register_format
from gait_envs.mocap.formats.text import TextFile, frame_rate
from gait_envs.rotations import quat_from_rotvec

FORMAT = Format("mot", (".mot",), "leg angles over time (OpenSim)", __name__)

# Column -> the joint that it turns, about which axis (x forward, y left, z up), by how much for a positive angle.
TURNS = {
    "pelvis_tilt": ("pelvis", (0.0, -1.0, 0.0)),
    "hip_flexion": ("hip", (0.0, -1.0, 0.0)),
    "knee_flexion": ("knee", (0.0, 1.0, 0.0)),
    "ankle_dorsiflexion": ("ankle", (0.0, -1.0, 0.0)),
}
PLACE = ("pelvis_tx", "pelvis_ty", "pelvis_tz")  # m, x forward, y left, z up
LEG = {"hip": (0.0, 0.09, -0.05), "knee": (0.0, 0.0, -0.42), "ankle": (0.0, 0.0, -0.40), "toe": (0.14, 0.0, -0.05)}


def skeleton() -> Skeleton:
    """Pelvis and two legs of an adult; right is left with y reversed."""
    names, parents, offsets = ["pelvis"], [-1], [(0.0, 0.0, 0.0)]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        above = 0
        for part, (x, y, z) in LEG.items():
            names.append(f"{side}_{part}")
            parents.append(above)
            offsets.append((x, sign * y, z))
            above = len(names) - 1
    return Skeleton(tuple(names), np.array(parents), np.array(offsets))


def open_capture(path: Path) -> Capture:
    """Read the file; its frames come in blocks, and a reader of large files would parse the rows only there."""
    file = TextFile(path)
    lines = [(number, line.split()) for number, line in file.lines() if line.strip()]
    end = next((i for i, (_, words) in enumerate(lines) if words == ["endheader"]), None)
    if end is None or end + 3 > len(lines) - 1:
        raise MotionError(f"{path}: expected 'endheader', the names of the columns, and two rows or more")
    number, columns = lines[end + 1]
    needed = ["time", *PLACE, "pelvis_tilt", *(f"{turn}_{side}" for turn in list(TURNS)[1:] for side in "lr")]
    missing = [name for name in needed if name not in columns]
    if missing:
        raise file.error(number, f"no column {missing[0]!r}; there are {', '.join(columns)}")
    rows = np.array([file.numbers(number, words, "a row", len(columns)) for number, words in lines[end + 2 :]])
    time, body = rows[:, columns.index("time")], skeleton()
    if np.diff(time).min() <= 0:
        raise MotionError(f"{path}: every row must be later than the one before")

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first in range(0, len(rows), size):
            yield pose(rows[first : first + size], columns, body)

    rate = frame_rate((time[-1] - time[0]) / (len(time) - 1))
    return Capture(body, rate, len(rows), blocks, Path(path).stem, unit=1.0, up="+z")


def pose(rows: np.ndarray, columns: list[str], body: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (t, J, 4) and translations (t, J, 3) of rows (t, columns)."""
    rotations = np.tile([1.0, 0.0, 0.0, 0.0], (len(rows), len(body.names), 1))
    translations = np.tile(body.offsets, (len(rows), 1, 1))
    translations[:, 0] = rows[:, [columns.index(name) for name in PLACE]]
    for turn, (joint, axis) in TURNS.items():
        sides = [("", joint)] if joint == "pelvis" else [("_l", f"left_{joint}"), ("_r", f"right_{joint}")]
        for end, name in sides:
            angle = np.radians(rows[:, columns.index(turn + end)])
            rotations[:, body.index(name)] = quat_from_rotvec(angle[:, None] * np.array(axis))
    return rotations, translations


def main() -> None:
    from gait_envs.mocap.retarget.pipeline import retarget
    from gait_envs.mocap.retarget.target_body import load_body

    register_format(FORMAT)
    made = retarget(read_capture(sys.argv[1]), load_body("wildrobot"), source="mine", license="MIT")
    print(f"{made.clip.duration:.2f} s at {made.quality['speed']:.2f} m/s; {made.faults or 'fit'}")


if __name__ == "__main__":
    run_script(main)
