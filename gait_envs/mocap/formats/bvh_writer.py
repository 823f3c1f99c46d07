"""Write a captured motion as BVH, block by block, so that a file larger than memory converts too.

The writer is our own because bvhio keeps offsets, positions and angles in single precision.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.euler import AXES, euler_from_quat
from gait_envs.files import replacing
from gait_envs.mocap.capture import BLOCK, Capture, Skeleton, SkeletonMotion
from gait_envs.reading.outputs import not_known

ORDER = "zxy"  # Biovision's own, and what most files have
POSITIONS = ("moving", "root", "all")
_WORDS = {"HIERARCHY", "ROOT", "JOINT", "End", "{", "}", "OFFSET", "CHANNELS", "MOTION", "Frames:", "Frame"}
_LONG = 4096  # characters, more than a line of a hierarchy of ours has
_STILL = 1e-10  # of the skeleton's longest offset, and of a quaternion: less is rounding


def write_bvh(
    path: str | os.PathLike[str],
    motion: SkeletonMotion | Capture,
    *,
    order: str = ORDER,
    decimals: int | None = None,
    positions: str = "moving",
) -> Path:
    """Write `motion` whole or not at all; units and axes stay its own.

    `order` is the Euler order of every joint. `decimals` is the number of them in the motion rows; by default
    as many as bring back the same numbers. Besides the root, joints get position channels if their
    translations change ("moving"), never ("root": an error if one does) or all of them ("all").

    Leaves named `<parent>_end` (or `<parent>_end#2` and so on) that do not turn become End Sites. Blanks and
    braces in names become "_", since many readers take a name to be one word; one that comes again gets a number.
    """
    path = Path(path)
    if sorted(order.lower()) != sorted(AXES):
        raise MotionError(f"Euler order {order!r}; expected the letters {''.join(AXES)} in some order")
    if positions not in POSITIONS:
        raise MotionError(f"positions {positions!r}; expected one of {', '.join(POSITIONS)}")
    if decimals is not None and not 0 <= decimals <= 17:
        raise MotionError(f"decimals is {decimals}; expected 0 to 17")
    capture = as_capture(motion)
    layout = _Layout(capture, order.lower(), positions)
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(layout.hierarchy())
        file.write(f"MOTION\nFrames: {capture.frames}\nFrame Time: {1.0 / capture.fps!r}\n")
        written = 0
        for rotations, translations in capture.blocks(BLOCK):
            written += len(rotations)
            file.writelines(_rows(layout.values(rotations, translations), decimals))
        if written != capture.frames:
            raise MotionError(f"{capture.name}: {written} frames came of the {capture.frames} it says it has")
    return path


def as_capture(motion: SkeletonMotion | Capture) -> Capture:
    """A motion in memory as an opened capture."""
    if isinstance(motion, Capture):
        return motion

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, motion.frames, size):
            yield motion.rotations[start : start + size], motion.translations[start : start + size]

    return Capture(
        motion.skeleton, motion.fps, motion.frames, blocks, motion.name, motion.notes, motion.unit, motion.up,
        motion.origin, motion.history,
    )  # fmt: skip


def check_bvh(path: Path) -> None:
    """OutputError if what lies at `path`, if anything, does not look as `write_bvh` writes a BVH.

    A format without a place for a mark: what another program writes with Python's numbers looks the same.
    """
    if path.is_file() and path.stat().st_size and not _is_own(path):
        raise not_known(path)


def _is_own(path: Path) -> bool:
    """Whether a BVH looks as `write_bvh` writes it: its words one blank apart, its numbers as Python writes them.

    What an animation tool saves has other numbers, such as 0.000000, even where it was ours before.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in iter(partial(file.readline, _LONG), ""):
            words = line.strip("\t\n").split(" ")
            numbers = words[1:] if words[0] == "OFFSET" else words[2:] if words[:2] == ["Frame", "Time:"] else ()
            if words[0] not in _WORDS or not all(words) or not all(_is_plain(word) for word in numbers):
                return False
            if words[0] == "Frame":
                return True
    return False


def _is_plain(word: str) -> bool:
    try:
        return repr(float(word)) == word
    except ValueError:
        return False


class _Layout:
    """What the hierarchy holds, in the order of the file: depth first."""

    def __init__(self, capture: Capture, order: str, positions: str):
        skeleton, self.order = capture.skeleton, order
        if not (skeleton.parents[:1] == -1).all() or (skeleton.parents[1:] < 0).any():
            raise MotionError(f"{capture.name}: BVH holds one tree, with its root first")
        self.skeleton = skeleton
        moves, turns = _what_moves(capture)
        shifted = [skeleton.names[node] for node in np.flatnonzero(moves) if node > 0]
        if positions == "root" and shifted:
            raise MotionError(f"{capture.name}: positions below the root move and would be lost: {', '.join(shifted)}")
        self.tips = {node for node in range(len(moves)) if _is_tip(skeleton, node) and not moves[node] | turns[node]}
        self.placed = {0} | set(range(len(moves)) if positions == "all" else np.flatnonzero(moves))
        self.nodes = [node for node in _depth_first(skeleton) if node not in self.tips]

    def hierarchy(self) -> str:
        """The text up to MOTION."""
        names = _plain_names(self.skeleton, self.nodes)
        lines = ["HIERARCHY"]
        # Nodes to open and, as None, blocks to close; a recursive walk would limit the depth.
        waiting: list[tuple[int | None, int]] = [(0, 0)]
        while waiting:
            node, depth = waiting.pop()
            indent = "\t" * depth
            if node is None:
                lines.append(f"{indent}}}")
                continue
            kind = "End Site" if node in self.tips else f"{'JOINT' if node else 'ROOT'} {names[node]}"
            offset = " ".join(repr(float(x)) for x in self.skeleton.offsets[node])
            lines += [f"{indent}{kind}", f"{indent}{{", f"{indent}\tOFFSET {offset}"]
            if node not in self.tips:
                moved = [f"{axis.upper()}position" for axis in AXES] if node in self.placed else []
                channels = [*moved, *(f"{axis.upper()}rotation" for axis in self.order)]
                lines.append(f"{indent}\tCHANNELS {len(channels)} {' '.join(channels)}")
            waiting.append((None, depth))
            waiting += [(child, depth + 1) for child in reversed(self.skeleton.children(node))]
        return "\n".join(lines) + "\n"

    def values(self, rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
        """Channel values (T, C), degrees and file units, in the order of the file."""
        angles = np.degrees(euler_from_quat(rotations, self.order))
        columns: list[np.ndarray] = []
        for node in self.nodes:
            columns += [translations[:, node]] * (node in self.placed) + [angles[:, node]]
        return np.concatenate(columns, axis=1)


def _what_moves(capture: Capture) -> tuple[np.ndarray, np.ndarray]:
    """Which nodes leave their offset, and which turn from rest, at any frame: (J,) bool each."""
    offsets = capture.skeleton.offsets
    near = _STILL * float(np.abs(offsets).max(initial=1.0))
    moves, turns = np.zeros((2, len(offsets)), dtype=bool)
    first = 0
    for rotations, translations in capture.blocks(BLOCK):
        finite = np.isfinite(translations).all(axis=(1, 2)) & np.isfinite(rotations).all(axis=(1, 2))
        if not finite.all():
            frame = first + int(np.argmin(finite))
            raise MotionError(f"{capture.name}: frame {frame} has gaps; fill them before it is written")
        moves |= (np.abs(translations - offsets) > near).any(axis=(0, 2))
        turns |= (np.abs(rotations[..., 1:]) > _STILL).any(axis=(0, 2))
        first += len(rotations)
    return moves, turns


def _is_tip(skeleton: Skeleton, node: int) -> bool:
    parent = int(skeleton.parents[node])
    if parent < 0 or skeleton.children(node):
        return False
    return re.fullmatch(re.escape(skeleton.names[parent]) + r"_end(#\d+)?", skeleton.names[node]) is not None


def _depth_first(skeleton: Skeleton) -> Iterator[int]:
    waiting = [0]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(skeleton.children(node))


def one_word(name: str) -> str:
    """A name as it is written."""
    return re.sub(r"[\s{}]+", "_", name.strip())


def _plain_names(skeleton: Skeleton, nodes: list[int]) -> dict[int, str]:
    """Names of one word each, no two alike."""
    names: dict[str, int] = {}
    for node in nodes:
        plain = one_word(skeleton.names[node]) or "joint"
        name, count = plain, 1
        while name in names:
            count += 1
            name = f"{plain}#{count}"
        names[name] = node
    return {node: name for name, node in names.items()}


def _rows(values: np.ndarray, decimals: int | None) -> Iterator[str]:
    """One line of text a frame."""
    if decimals is None:
        for row in values.tolist():
            yield " ".join(map(repr, row)) + "\n"
    else:
        form = " ".join([f"%.{decimals}f"] * values.shape[1]) + "\n"
        for row in values.tolist():
            yield form % tuple(row)
