"""BVH: a hierarchy of joints, then one row of channel values a frame.

The hierarchy parser is our own. bvhio's loops for ever at the end of a truncated file (an empty one, one
without MOTION or without its last brace), keeps offsets in single precision and one end site a joint,
and numbers its error lines from the last joint instead of from the top of the file. Motion rows are read
by NumPy's C parser; a row it refuses is then looked up, so that the message names its line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gait_envs.motion.skeleton import MotionError, Skeleton, SkeletonMotion
from gait_envs.rotations import quat_mul

_AXES = {"x": 0, "y": 1, "z": 2}
_CHANNELS = {f"{axis}{kind}": (kind, i) for axis, i in _AXES.items() for kind in ("position", "rotation")}


@dataclass
class _Node:
    name: str
    parent: int
    line: int
    offset: list[float] | None = None
    channels: list[tuple[str, int]] = field(default_factory=list)  # ("position" | "rotation", axis)


class _Lines:
    """The file's non-blank lines as lists of words, with their numbers; knows how to complain."""

    def __init__(self, path: Path):
        self.path = path
        try:
            text = path.read_bytes().decode("utf-8-sig", errors="replace")
        except FileNotFoundError:
            raise MotionError(f"{path}: no such file") from None
        except OSError as error:
            raise MotionError(f"{path}: cannot be read: {error.strerror}") from None
        self.lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        self.at = 0

    def next(self, expected: str) -> tuple[int, list[str]]:
        if self.at >= len(self.lines):
            raise MotionError(f"{self.path}: the file ends where {expected} is expected")
        number, line = self.lines[self.at]
        self.at += 1
        return number, line.split()

    def push_back(self, number: int, text: str) -> None:
        self.at -= 1
        self.lines[self.at] = (number, text)

    def error(self, number: int, message: str) -> MotionError:
        return MotionError(f"{self.path}, line {number}: {message}")

    def numbers(self, number: int, words: list[str], what: str) -> list[float]:
        try:
            values = [float(word) for word in words]
        except ValueError:
            bad = next(word for word in words if not _is_number(word))
            hint = " (a decimal comma? BVH uses a point)" if _is_number(bad.replace(",", ".")) else ""
            raise self.error(number, f"{what}: {bad!r} is not a number{hint}") from None
        if not np.isfinite(values).all():
            raise self.error(number, f"{what}: {words[int(np.argmin(np.isfinite(values)))]!r} is not finite")
        return values


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def read_bvh(path: str | os.PathLike[str]) -> SkeletonMotion:
    """Read a BVH file: any Euler order, positions on any joint, any number of end sites.

    Units and axes stay those of the file. Position channels replace a joint's offset. Raises `MotionError`
    naming the file and the line.
    """
    lines = _Lines(Path(path))
    nodes = _read_hierarchy(lines)
    frames, fps = _read_motion_header(lines)
    width = sum(len(node.channels) for node in nodes)
    if width == 0:
        raise MotionError(f"{lines.path}: no joint has channels, so nothing can move")
    notes: list[str] = []
    values = _read_rows(lines, frames, width, notes)
    names = _unique_names(nodes, notes)
    offsets = np.array([node.offset for node in nodes])
    parents = np.array([node.parent for node in nodes])
    rotations, translations = _decode(nodes, offsets, values)
    return SkeletonMotion(
        Skeleton(names, parents, offsets), rotations, translations, fps, lines.path.stem, tuple(notes)
    )


def _read_hierarchy(lines: _Lines) -> list[_Node]:
    number, words = lines.next("HIERARCHY")
    if words[0].upper() != "HIERARCHY":
        raise lines.error(number, f"expected HIERARCHY, found {words[0][:40]!r}")
    nodes: list[_Node] = []
    open_nodes: list[int] = []  # indices of the blocks not yet closed, innermost last
    while True:
        number, words = lines.next("MOTION" if nodes and not open_nodes else "a joint or a closing brace")
        key = words[0].upper()
        if key in ("ROOT", "JOINT", "END"):
            _open_node(lines, number, words, nodes, open_nodes)
        elif key == "}":
            if not open_nodes:
                raise lines.error(number, "one closing brace too many")
            node = nodes[open_nodes.pop()]
            if node.offset is None:
                raise lines.error(number, f"joint {node.name!r} (line {node.line}) has no OFFSET")
        elif key == "OFFSET" and open_nodes:
            if len(words) != 4:
                raise lines.error(number, f"OFFSET needs 3 numbers, found {len(words) - 1}")
            nodes[open_nodes[-1]].offset = lines.numbers(number, words[1:], "OFFSET")
        elif key == "CHANNELS" and open_nodes:
            nodes[open_nodes[-1]].channels = _channels(lines, number, words)
        elif key == "MOTION" or key == "FRAMES:":
            if open_nodes:
                open_node = nodes[open_nodes[-1]]
                raise lines.error(
                    number,
                    f"{words[0]} before joint {open_node.name!r} (line {open_node.line}) is closed by a brace",
                )
            if not nodes:
                raise lines.error(number, "HIERARCHY holds no ROOT")
            if key != "MOTION":
                raise lines.error(number, f"expected MOTION, found {words[0]!r}")
            return nodes
        else:
            allowed = "OFFSET, CHANNELS, JOINT, End Site or }" if open_nodes else "MOTION" if nodes else "ROOT"
            raise lines.error(number, f"expected {allowed}, found {words[0][:40]!r}")


def _open_node(lines: _Lines, number: int, words: list[str], nodes: list[_Node], open_nodes: list[int]) -> None:
    """Append the node that `words` begins (ROOT name, JOINT name, End Site) and step into its block."""
    if words[-1] == "{":  # the brace on the same line
        lines.push_back(number, "{")
        words = words[:-1]
    key = words[0].upper()
    if key == "ROOT" and nodes:
        raise lines.error(number, f"a second ROOT; {nodes[0].name!r} is the first (line {nodes[0].line})")
    if key != "ROOT" and not open_nodes:
        raise lines.error(number, f"{words[0]} outside the ROOT's block")
    parent = open_nodes[-1] if open_nodes else -1
    name = f"{nodes[parent].name}_end" if key == "END" else " ".join(words[1:])
    if not name:
        raise lines.error(number, f"{words[0]} without a name")
    brace_line, brace = lines.next("{")
    if brace != ["{"]:
        raise lines.error(brace_line, f"expected {{ after {' '.join(words)}, found {brace[0][:40]!r}")
    open_nodes.append(len(nodes))
    nodes.append(_Node(name, parent, number))


def _channels(lines: _Lines, number: int, words: list[str]) -> list[tuple[str, int]]:
    if len(words) < 2 or not words[1].isdecimal():
        raise lines.error(number, "CHANNELS needs a count and as many names")
    names = words[2:]
    if int(words[1]) != len(names):
        raise lines.error(number, f"CHANNELS says {words[1]} and names {len(names)}: {' '.join(names)}")
    unknown = [name for name in names if name.lower() not in _CHANNELS]
    if unknown:
        raise lines.error(number, f"unknown channel {unknown[0]!r}; allowed: {', '.join(_CHANNELS)}")
    return [_CHANNELS[name.lower()] for name in names]


def _read_motion_header(lines: _Lines) -> tuple[int, float]:
    """Frame count and frames a second from `Frames: n` and `Frame Time: s`."""
    number, words = lines.next("Frames:")
    text = " ".join(words)
    key, _, value = text.partition(":")
    if key.strip().lower() != "frames" or not value.strip().isdecimal():
        raise lines.error(number, f"expected 'Frames: <count>', found {text[:40]!r}")
    frames = int(value)
    number, words = lines.next("Frame Time:")
    text = " ".join(words)
    key, _, value = text.partition(":")
    if " ".join(key.lower().split()) != "frame time" or len(value.split()) != 1:
        raise lines.error(number, f"expected 'Frame Time: <seconds>', found {text[:40]!r}")
    (frame_time,) = lines.numbers(number, value.split(), "Frame Time")
    if not 0 < frame_time <= 10:
        raise lines.error(number, f"Frame Time is {frame_time:g} s; expected a positive number of seconds")
    if frames == 0:
        raise lines.error(number, "Frames is 0; a motion needs at least one")
    return frames, _frame_rate(frame_time)


def _frame_rate(frame_time: float) -> float:
    """Frames a second; a whole rate where the file's rounded frame time means one (.0083333 is 120)."""
    rate = 1.0 / frame_time
    return float(round(rate)) if round(rate) and abs(rate / round(rate) - 1) < 2e-4 else rate


def _read_rows(lines: _Lines, frames: int, width: int, notes: list[str]) -> np.ndarray:
    """Channel values (frames, width)."""
    rows = lines.lines[lines.at :]
    if len(rows) > frames:
        notes.append(f"Frames says {frames} and {len(rows)} rows follow; the last {len(rows) - frames} are ignored")
        rows = rows[:frames]
    try:
        # Missing rows come last, so a faulty row is named before them.
        values = np.loadtxt([line for _, line in rows], ndmin=2, comments=None) if rows else np.empty((0, width))
    except ValueError:
        values = None
    if values is None or (rows and values.shape[1] != width) or not np.isfinite(values).all():
        for number, line in rows:
            words = line.split()
            lines.numbers(number, words, "motion row")
            if len(words) != width:
                raise lines.error(number, f"the row has {len(words)} values, the channels need {width}")
        raise MotionError(f"{lines.path}: the motion rows cannot be read")
    if len(values) < frames:
        last = rows[-1][0] if rows else lines.lines[-1][0]
        raise lines.error(last, f"the file ends here after {len(values)} of {frames} frames")
    return values


def _unique_names(nodes: list[_Node], notes: list[str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    names = []
    for node in nodes:
        seen[node.name] = seen.get(node.name, 0) + 1
        count = seen[node.name]
        if count > 1 and not node.name.endswith("_end"):
            notes.append(f"line {node.line}: a second joint {node.name!r}; it is called {node.name}#{count} here")
        names.append(node.name if count == 1 else f"{node.name}#{count}")
    return tuple(names)


def _decode(nodes: list[_Node], offsets: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Channel values (T, C), degrees and file units, to local rotations (T, J, 4) and translations (T, J, 3)."""
    frames = len(values)
    rotations = np.zeros((frames, len(nodes), 4))
    rotations[..., 0] = 1.0
    translations = np.broadcast_to(offsets, (frames, len(nodes), 3)).copy()
    column = 0
    for j, node in enumerate(nodes):
        for kind, axis in node.channels:
            if kind == "position":
                translations[:, j, axis] = values[:, column]
            else:  # intrinsic: each turn is about the axes that the turns before it have moved
                rotations[:, j] = quat_mul(rotations[:, j], _axis_quat(np.radians(values[:, column]), axis))
            column += 1
    return rotations, translations


def _axis_quat(angle: np.ndarray, axis: int) -> np.ndarray:
    """Quaternion (T, 4) of a turn by `angle` (T,) about one coordinate axis."""
    q = np.zeros((len(angle), 4))
    q[:, 0] = np.cos(angle / 2)
    q[:, 1 + axis] = np.sin(angle / 2)
    return q
