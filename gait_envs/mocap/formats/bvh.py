"""BVH: a hierarchy of joints, then one row of channel values a frame.

The hierarchy parser is our own. bvhio's loops for ever at the end of a truncated file (an empty one, one
without MOTION or without its last brace), keeps offsets in single precision and one end site a joint,
and numbers its error lines from the last joint instead of from the top of the file. Motion rows are read
a block at a time by NumPy's C parser; a row it refuses is then looked up, so that the message names its line.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.euler import AXES, quat_from_euler
from gait_envs.mocap.capture import Capture, Skeleton
from gait_envs.mocap.formats.text import MAX_JOINTS, MAX_NUMBER, TextFile, frame_rate

_CHANNELS = {f"{axis}{kind}": (kind, axis) for axis in AXES for kind in ("position", "rotation")}
_MAX_CHANNELS = len(_CHANNELS)  # of one joint
_KEYS = {"ROOT", "JOINT", "END", "OFFSET", "CHANNELS", "MOTION", "{", "}"}
_LONGEST, _SHORTEST = 10.0, 1e-6  # s a frame


@dataclass
class _Node:
    name: str
    parent: int
    line: int
    offset: list[float] | None = None
    channels: list[tuple[str, str]] = field(default_factory=list)  # ("position" | "rotation", axis)


class _Statements:
    """The hierarchy's statements, each a list of words with the number of its line.

    White space is free there: a statement may go over several lines, and several may share one.
    """

    def __init__(self, file: TextFile):
        self.file = file
        lines = ((number, line.replace("{", " { ").replace("}", " } ").split()) for number, line in file.lines())
        self.rest = ((number, words) for number, words in lines if words)
        self.waiting: list[tuple[int, list[str]]] = []

    def line(self, expected: str) -> tuple[int, list[str]]:
        """The next line, or what is left of one."""
        line = self.waiting.pop() if self.waiting else next(self.rest, None)
        if line is None:
            raise MotionError(f"{self.file.path}: the file ends where {expected} is expected")
        return line

    def push_back(self, number: int, words: list[str]) -> None:
        if words:
            self.waiting.append((number, words))

    def next(self, expected: str) -> tuple[int, list[str]]:
        """The next statement: a keyword or brace with what belongs to it, or a line that begins with neither."""
        number, words = self.line(expected)
        key = words[0].upper()
        if key in ("{", "}", "HIERARCHY", "MOTION"):
            end = 1
        elif key in ("ROOT", "JOINT", "END"):
            if len(words) == 1:
                words = words + self.line("a name")[1]
            end = words.index("{") if "{" in words else len(words)
        elif key in ("OFFSET", "CHANNELS"):
            end = self._complete(words := list(words))
        else:
            end = len(words)
        self.push_back(number, words[end:])
        return number, words[:end]

    def _complete(self, words: list[str]) -> int:
        """Add lines to the words of an OFFSET or CHANNELS until it has its numbers or names; returns where it ends."""
        while True:
            end = next((i for i, word in enumerate(words) if i and word.upper() in _KEYS), len(words))
            needed = 4
            if words[0].upper() == "CHANNELS":
                count = words[1] if len(words) > 1 else "0"
                needed = 2 + min(int(count), _MAX_CHANNELS) if count.isdecimal() and len(count) < 4 else 2
            if end >= needed or end < len(words):
                return end
            try:
                words += self.line("more")[1]
            except MotionError:
                return end


def open_capture(path: str | os.PathLike[str]) -> Capture:
    """Open a BVH file: any Euler order, positions on any joint, any number of end sites.

    Units and axes stay those of the file. Position channels replace a joint's offset. Raises `MotionError`
    naming the file and the line.
    """
    file = TextFile(path)
    lines = _Statements(file)
    nodes = _read_hierarchy(lines)
    head, frames, fps = _read_motion_header(lines)
    width = sum(len(node.channels) for node in nodes)
    if width == 0:
        raise MotionError(f"{file.path}: no joint has channels, so nothing can move")
    notes: list[str] = []
    _check_rows(file, head, frames, notes)
    names = _unique_names(nodes, notes)
    skeleton = Skeleton(names, np.array([node.parent for node in nodes]), np.array([node.offset for node in nodes]))
    channels = _Channels(nodes)

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows = itertools.islice(_rows(file, head), frames)
        while block := list(itertools.islice(rows, size)):
            yield channels.decode(_values(file, block, width), skeleton.offsets)

    return Capture(skeleton, fps, frames, blocks, name=file.path.stem, notes=tuple(notes), usual_up="+y")


def _read_hierarchy(lines: _Statements) -> list[_Node]:
    number, words = lines.next("HIERARCHY")
    if words[0].upper() != "HIERARCHY":
        raise lines.file.error(number, f"expected HIERARCHY, found {words[0][:40]!r}")
    nodes: list[_Node] = []
    open_nodes: list[int] = []  # indices of the blocks not yet closed, innermost last
    while True:
        number, words = lines.next("MOTION" if nodes and not open_nodes else "a joint or a closing brace")
        key = words[0].upper()
        if key in ("ROOT", "JOINT", "END"):
            _open_node(lines, number, words, nodes, open_nodes)
        elif key == "}":
            if not open_nodes:
                raise lines.file.error(number, "one closing brace too many")
            node = nodes[open_nodes.pop()]
            if node.offset is None:
                raise lines.file.error(number, f"joint {node.name!r} (line {node.line}) has no OFFSET")
        elif key == "OFFSET" and open_nodes:
            if len(words) != 4:
                raise lines.file.error(number, f"OFFSET needs 3 numbers, found {len(words) - 1}")
            nodes[open_nodes[-1]].offset = lines.file.numbers(number, words[1:], "OFFSET")
        elif key == "CHANNELS" and open_nodes:
            nodes[open_nodes[-1]].channels = _channels(lines, number, words)
        elif key == "MOTION" or key == "FRAMES:":
            if open_nodes:
                open_node = nodes[open_nodes[-1]]
                raise lines.file.error(
                    number,
                    f"{words[0]} before joint {open_node.name!r} (line {open_node.line}) is closed by a brace",
                )
            if not nodes:
                raise lines.file.error(number, "HIERARCHY holds no ROOT")
            if key != "MOTION":
                raise lines.file.error(number, f"expected MOTION, found {words[0]!r}")
            return nodes
        else:
            allowed = "OFFSET, CHANNELS, JOINT, End Site or }" if open_nodes else "MOTION" if nodes else "ROOT"
            raise lines.file.error(number, f"expected {allowed}, found {words[0][:40]!r}")


def _open_node(lines: _Statements, number: int, words: list[str], nodes: list[_Node], open_nodes: list[int]) -> None:
    """Append the node that `words` begins (ROOT name, JOINT name, End Site) and step into its block."""
    key = words[0].upper()
    if key == "ROOT" and nodes:
        raise lines.file.error(number, f"a second ROOT; {nodes[0].name!r} is the first (line {nodes[0].line})")
    if key != "ROOT" and not open_nodes:
        raise lines.file.error(number, f"{words[0]} outside the ROOT's block")
    parent = open_nodes[-1] if open_nodes else -1
    name = f"{nodes[parent].name}_end" if key == "END" else " ".join(words[1:])
    if not name:
        raise lines.file.error(number, f"{words[0]} without a name")
    brace_line, brace = lines.next("{")
    if brace != ["{"]:
        raise lines.file.error(brace_line, f"expected {{ after {' '.join(words)}, found {brace[0][:40]!r}")
    if len(nodes) == MAX_JOINTS:
        raise lines.file.error(number, f"more than {MAX_JOINTS} joints")
    open_nodes.append(len(nodes))
    nodes.append(_Node(name, parent, number))


def _channels(lines: _Statements, number: int, words: list[str]) -> list[tuple[str, str]]:
    if len(words) < 2 or not words[1].isdecimal():
        raise lines.file.error(number, "CHANNELS needs a count and as many names")
    names = words[2:]
    if lines.file.count(number, words[1], "CHANNELS") != len(names):
        raise lines.file.error(number, f"CHANNELS says {words[1]} and names {len(names)}: {' '.join(names)}")
    unknown = [name for name in names if name.lower() not in _CHANNELS]
    if unknown:
        raise lines.file.error(number, f"unknown channel {unknown[0]!r}; allowed: {', '.join(_CHANNELS)}")
    if len(names) > _MAX_CHANNELS:
        raise lines.file.error(number, f"{len(names)} channels; a joint has {_MAX_CHANNELS} at most")
    return [_CHANNELS[name.lower()] for name in names]


def _read_motion_header(lines: _Statements) -> tuple[int, int, float]:
    """Line of the last header line, frame count and frames a second: `Frames: n` and `Frame Time: s`."""
    number, words = lines.line("Frames:")
    head = next((i for i, word in enumerate(words) if i and word.lower() == "frame"), len(words))
    lines.push_back(number, words[head:])  # both on one line
    text = " ".join(words[:head])
    key, _, value = text.partition(":")
    if key.strip().lower() != "frames" or not value.strip().isdecimal():
        raise lines.file.error(number, f"expected 'Frames: <count>', found {text[:40]!r}")
    frames = lines.file.count(number, value.strip(), "Frames")
    if frames == 0:
        raise lines.file.error(number, "Frames is 0; a motion needs at least one")
    number, words = lines.line("Frame Time:")
    text = " ".join(words)
    key, _, value = text.partition(":")
    if " ".join(key.lower().split()) != "frame time" or len(value.split()) != 1:
        raise lines.file.error(number, f"expected 'Frame Time: <seconds>', found {text[:40]!r}")
    (frame_time,) = lines.file.numbers(number, value.split(), "Frame Time")
    if not _SHORTEST <= frame_time <= _LONGEST:
        raise lines.file.error(
            number,
            f"Frame Time is {frame_time:g} s; expected a positive number of seconds, {_SHORTEST:g} to {_LONGEST:g}",
        )
    return number, frames, frame_rate(frame_time)


def _rows(file: TextFile, head: int) -> Iterator[tuple[int, str]]:
    """The non-blank lines below the header, with their numbers."""
    return ((number, line) for number, line in file.lines(skip=head) if not line.isspace())


def _check_rows(file: TextFile, head: int, frames: int, notes: list[str]) -> None:
    """Raise unless there are as many rows as frames; a note where there are more."""
    rows, last = 0, head
    for last, _ in _rows(file, head):  # noqa: B007
        rows += 1
    if rows < frames:
        raise file.error(last, f"the file ends here after {rows} of {frames} frames")
    if rows > frames:
        notes.append(f"Frames says {frames} and {rows} rows follow; the last {rows - frames} are ignored")


def _values(file: TextFile, rows: list[tuple[int, str]], width: int) -> np.ndarray:
    """Channel values (rows, width)."""
    try:
        values = np.loadtxt([line for _, line in rows], ndmin=2, comments=None)
    except ValueError:
        values = None
    if values is None or values.shape != (len(rows), width) or not (np.abs(values) < MAX_NUMBER).all():
        for number, line in rows:
            words = line.split()
            file.numbers(number, words, "motion row")
            if len(words) != width:
                raise file.error(number, f"the row has {len(words)} values, the channels need {width}")
        raise file.error(rows[0][0], "the motion rows from here on cannot be read")
    return values


def _unique_names(nodes: list[_Node], notes: list[str]) -> tuple[str, ...]:
    """The joints' names, a number added to those that came before."""
    names: dict[str, None] = {}
    for node in nodes:
        name, count = node.name, 1
        while name in names:
            count += 1
            name = f"{node.name}#{count}"
        if count > 1 and not node.name.endswith("_end"):
            notes.append(f"line {node.line}: a second joint {node.name!r}; it is called {name} here")
        names[name] = None
    return tuple(names)


class _Channels:
    """Which columns turn and move which nodes."""

    def __init__(self, nodes: list[_Node]):
        self.turns: dict[str, tuple[list[int], list[list[int]]]] = {}  # Euler axes -> nodes and their columns
        self.moves: tuple[list[int], list[int], list[int]] = ([], [], [])  # nodes, axes, columns
        columns = itertools.count()
        for n, node in enumerate(nodes):
            axes, turned = "", []
            for (kind, axis), column in zip(node.channels, columns):  # noqa: B905 (columns never end)
                if kind == "rotation":
                    axes += axis
                    turned.append(column)
                else:
                    for values, value in zip(self.moves, (n, AXES[axis], column), strict=True):
                        values.append(value)
            if axes:
                alike = self.turns.setdefault(axes, ([], []))
                alike[0].append(n)
                alike[1].append(turned)

    def decode(self, values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Channel values (T, C), degrees and file units, to local rotations (T, J, 4) and translations (T, J, 3)."""
        rotations = np.zeros((len(values), len(offsets), 4))
        rotations[..., 0] = 1.0
        for axes, (nodes, columns) in self.turns.items():
            rotations[:, nodes] = quat_from_euler(np.radians(values[:, columns]), axes)
        translations = np.broadcast_to(offsets, (len(values), *offsets.shape)).copy()
        nodes, axes_moved, columns_moved = self.moves
        translations[:, nodes, axes_moved] = values[:, columns_moved]
        return rotations, translations
