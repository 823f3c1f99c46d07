"""ASF: Acclaim's skeleton file.

A bone starts where its parent ends; its direction and its own axes are given in the world's axes at rest.
A joint of ours is named by the bone and lies where that bone starts: "ltibia" is the knee. A bone without
children also has its tip, `<bone>_end`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.euler import AXES, quat_from_euler
from gait_envs.mocap.capture import Skeleton
from gait_envs.mocap.formats.text import MAX_JOINTS, TextFile

ANGLES = {"deg": np.pi / 180, "rad": 1.0}  # rad a unit
TURNS, SHIFTS = ("rx", "ry", "rz"), ("tx", "ty", "tz")
# The factor VICON writes: an inch is 0.45 units. Other factors do not tell which unit they are of.
_VICON_LENGTH, _VICON_UNIT = 0.45, 0.0254 / 0.45

_ENDLESS = ("inf", "infinity")
_Line = tuple[int, list[str]]  # number and words
_BLANKS = str.maketrans("(),", "   ")  # the format counts these as white space


@dataclass(frozen=True)
class AcclaimSkeleton:
    """A skeleton at rest: the root, then every bone and the tips of those without children."""

    skeleton: Skeleton
    dof: dict[str, tuple[str, ...]]  # of the root and of the bones that move: rx, ry, rz; of the root tx, ty, tz too
    limits: dict[str, np.ndarray]  # (dof, 2) lowest and highest, rad, of the bones that have any; may be infinite
    axes: np.ndarray  # (J, 4) turn to each node's own axes
    position: np.ndarray  # (3,) of the root at rest
    angle: float  # rad a unit
    unit: float | None  # m a unit, where the file says
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Bone:
    line: int
    tip: np.ndarray  # (3,) from its start
    axes: np.ndarray  # (4,)
    dof: tuple[str, ...]
    limits: np.ndarray  # (dof, 2) rad, or (0, 2)


class _Block:
    """Lines of the form `key value...` that belong together, from line `number` on."""

    def __init__(self, file: TextFile, number: int, lines: list[_Line]):
        self.file, self.number = file, number
        self.keys: dict[str, _Line] = {}
        key = ""
        for line, words in lines:
            if key == "limits" and _begins_a_range(words[0]):  # a range a line
                self.keys[key][1].extend(words)
            else:
                key = words[0].lower()
                self.keys[key] = line, words[1:]

    def words(self, key: str, default: str | None = None) -> _Line:
        if key in self.keys:
            return self.keys[key]
        if default is None:
            raise self.file.error(self.number, f"no {key}; there are {', '.join(self.keys) or 'no keys'}")
        return self.number, default.split()

    def numbers(self, key: str, count: int, default: str | None = None) -> np.ndarray:
        line, words = self.words(key, default)
        return np.array(self.file.numbers(line, words, key, count))

    def turn(self, key: str, order: str, angle: float, default: str | None = None) -> np.ndarray:
        """Quaternion (4,) of the angles about x, y and z under `key`, done in `order` about axes that do not move."""
        line, words = self.words(key, default)
        if sorted(order.lower()) != sorted(AXES):
            raise self.file.error(line, f"axis order {order[:40]!r}; expected the letters XYZ in some order")
        angles = np.array(self.file.numbers(line, words, key, 3)) * angle
        return turn_about_fixed_axes(angles[[AXES[axis] for axis in order.lower()]], order.lower())

    def dof(self, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        line, words = self.words(key, "")
        tokens = tuple(word.lower() for word in words)
        for n, token in enumerate(tokens):
            if token not in allowed or token in tokens[:n]:
                fault = "is there twice" if token in allowed else "cannot be read"
                raise self.file.error(line, f"{key}: {token[:40]!r} {fault}; allowed: {', '.join(allowed)}")
        return tokens

    def limits(self, dof: int, angle: float) -> np.ndarray:
        """Lowest and highest of each degree of freedom (dof, 2), rad; (0, 2) where the bone has no limits."""
        line, words = self.words("limits", "")
        ends = [0.0 if word.lower().lstrip("+-") in _ENDLESS else None for word in words]
        finite = iter(self.file.numbers(line, [w for w, end in zip(words, ends, strict=True) if end is None], "limits"))
        values = [next(finite) if end is None else float(word) for word, end in zip(words, ends, strict=True)]
        if "limits" in self.keys and len(values) != 2 * dof:
            raise self.file.error(line, f"limits: {len(values)} numbers; expected {2 * dof}, two for each dof")
        ranges = np.array(values).reshape(-1, 2) * angle
        if not (ranges[:, 0] <= ranges[:, 1]).all():
            raise self.file.error(line, "limits: a lowest is above its highest")
        return ranges


def _begins_a_range(word: str) -> bool:
    return word[:1] in "+-.0123456789" or word.lower() in _ENDLESS


def turn_about_fixed_axes(angles: np.ndarray, axes: str) -> np.ndarray:
    """Quaternions (..., 4) of turns by angles (..., k), rad, about axes that do not move, the first one first."""
    return quat_from_euler(angles[..., ::-1], axes[::-1])


def read_asf(path: str | os.PathLike[str]) -> AcclaimSkeleton:
    """Read a skeleton file; a fault is a `MotionError` that names file and line."""
    file = TextFile(path)
    sections = _sections(file)
    for key in (":root", ":bonedata", ":hierarchy"):
        if key not in sections:
            raise MotionError(f"{file.path}: no {key}; it has {', '.join(sections) or 'nothing'}")
    units = _Block(file, *sections.get(":units", (0, [])))
    line, words = units.words("angle", "deg")
    unit = " ".join(words).lower()
    if unit not in ANGLES:
        raise file.error(line, f"angle {unit[:40]!r}; expected {' or '.join(ANGLES)}")
    length = units.numbers("length", 1, "1")[0]

    at_root = _Block(file, *sections[":root"])
    preset = at_root.turn("orientation", "".join(at_root.words("axis", "xyz")[1]), ANGLES[unit], "0 0 0")
    root = _Bone(at_root.number, np.zeros(3), preset, at_root.dof("order", (*SHIFTS, *TURNS)), np.zeros((0, 2)))
    bones = {"root": root} | _read_bones(file, *sections[":bonedata"], ANGLES[unit])
    skeleton, axes = _assemble(bones, _read_children(file, *sections[":hierarchy"], bones))
    turned = abs(preset[0]) < 1
    return AcclaimSkeleton(
        skeleton,
        {name: bone.dof for name, bone in bones.items() if bone.dof},
        {name: bone.limits for name, bone in bones.items() if len(bone.limits)},
        axes,
        at_root.numbers("position", 3, "0 0 0"),
        ANGLES[unit],
        _VICON_UNIT if length == _VICON_LENGTH else None,
        (f"{file.path.name}: the root rests turned; programs differ in how the motion adds to that",) if turned else (),
    )


def statements(file: TextFile) -> Iterator[_Line]:
    """Number and words of every line that has words, comments left out."""
    for number, line in file.lines():
        words = (line.partition("#")[0] if "#" in line else line).split()
        if words:
            yield number, words


def _sections(file: TextFile) -> dict[str, tuple[int, list[_Line]]]:
    """Where each `:keyword` stands, and the lines that follow it."""
    sections: dict[str, tuple[int, list[_Line]]] = {}
    lines: list[_Line] | None = None
    for number, words in statements(file):
        if words[0].startswith(":"):
            _, lines = sections.setdefault(words[0].lower(), (number, []))
        elif lines is None:
            raise file.error(number, f"expected a :keyword, found {words[0][:40]!r}")
        elif plain := " ".join(words).translate(_BLANKS).split():
            lines.append((number, plain))
    return sections


def _read_bones(file: TextFile, number: int, lines: list[_Line], angle: float) -> dict[str, _Bone]:
    """Bones by name, each between `begin` and `end`."""
    bones: dict[str, _Bone] = {}
    block: list[_Line] | None = None
    for line, words in lines:
        key = words[0].lower()
        if (key == "begin") != (block is None):
            raise file.error(line, f"expected {'begin' if block is None else 'end'}, found {words[0][:40]!r}")
        if key == "begin":
            number, block = line, []
        elif key == "end":
            name, bone = _read_bone(_Block(file, number, block or []), angle)
            if name in bones or name == "root":
                raise file.error(number, f"a second bone {name!r}; every bone has its own name")
            if len(bones) == MAX_JOINTS:
                raise file.error(number, f"more than {MAX_JOINTS} bones")
            bones[name] = bone
            block = None
        elif block is not None:
            block.append((line, words))
    if block is not None:
        raise file.error(number, "this bone has no end")
    return bones


def _read_bone(block: _Block, angle: float) -> tuple[str, _Bone]:
    line, words = block.words("name")
    if len(words) != 1:
        raise block.file.error(line, f"a bone's name is one word, found {' '.join(words)[:40]!r}")
    line, axis = block.words("axis", "0 0 0 xyz")
    block.keys["axis"] = line, axis[:3]
    tip = block.numbers("direction", 3) * block.numbers("length", 1)
    turn, dof = block.turn("axis", " ".join(axis[3:]) or "xyz", angle), block.dof("dof", TURNS)
    return words[0], _Bone(block.number, tip, turn, dof, block.limits(len(dof), angle))


def _read_children(file: TextFile, number: int, lines: list[_Line], bones: dict[str, _Bone]) -> dict[str, list[str]]:
    """Children of every bone; each bone hangs on one parent, and all of them on the root."""
    children: dict[str, list[str]] = {name: [] for name in bones}
    hung = {"root": number}
    for line, words in lines:
        if words[0].lower() in ("begin", "end"):
            continue
        for word in words:
            if word not in bones:
                raise file.error(line, f"no bone {word[:40]!r} in :bonedata; there are {', '.join(bones)}")
        for child in words[1:]:
            if child in hung:
                raise file.error(line, f"{child!r} already hangs in the tree (line {hung[child]})")
            hung[child] = line
        children[words[0]] += words[1:]
    reached = ["root"]
    for name in reached:  # grows meanwhile
        reached += children[name]
    loose = [name for name in bones if name not in set(reached)]
    if loose:
        raise file.error(bones[loose[0]].line, f"the bone {loose[0]!r} does not hang on the root in :hierarchy")
    return children


def _assemble(bones: dict[str, _Bone], children: dict[str, list[str]]) -> tuple[Skeleton, np.ndarray]:
    """The tree, parents first, and each node's own axes (J, 4)."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[np.ndarray] = []
    axes: list[np.ndarray] = []
    waiting = [("root", -1)]
    while waiting:
        name, parent = waiting.pop()
        node = len(names)
        names.append(name)
        parents.append(parent)
        offsets.append(bones[names[parent]].tip if node else np.zeros(3))
        axes.append(bones[name].axes)
        waiting += [(child, node) for child in reversed(children[name])]
        if not children[name]:
            names.append(next(tip for tip in (f"{name}_end{'#' * n}" for n in range(len(bones))) if tip not in bones))
            parents.append(node)
            offsets.append(bones[name].tip)
            axes.append(np.array([1.0, 0.0, 0.0, 0.0]))
    return Skeleton(tuple(names), np.array(parents), np.array(offsets)), np.array(axes)
