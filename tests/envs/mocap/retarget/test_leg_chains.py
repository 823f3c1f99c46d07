"""Legs of rigs whose names say nothing, or something else than usual."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.mocap.capture import MotionError, Skeleton, SkeletonMotion
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.retarget.joint_names import find_joints, match_joints
from gait_envs.mocap.retarget.landmarks import extract_landmarks
from gait_envs.mocap.retarget.leg_chains import find_legs

LEGS = [f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle", "toe")]
WALKER = ("UpLeg", "Leg", "Foot", "ToeBase")
TREE = [f"{side}{part}" for side in ("Left", "Right") for part in WALKER]


def renamed(folder: Path, names: dict[str, str], encoding: str = "utf-8") -> SkeletonMotion:
    """The drawn walker with other names of joints."""
    path = walker_bvh(folder / "walk.bvh", seconds=0.5)
    text = re.sub(r"(ROOT|JOINT) (\w+)", lambda m: f"{m[1]} {names.get(m[2], m[2])}", path.read_text())
    path.write_bytes(text.encode(encoding))
    return read_capture(path)


NAMINGS = {
    "thigh is Leg": ("{S}Leg", "{S}Shin", "{S}Foot", "{S}ToeBase"),
    "German": ("Oberschenkel_{g}", "Unterschenkel_{g}", "Fuss_{g}", "Zehen_{g}"),
    "Japanese": ("{j}足", "{j}ひざ", "{j}足首", "{j}つま先"),
    "letters": ("bip.{l}.limb1", "bip.{l}.limb2", "bip.{l}.limb3", "bip.{l}.limb4"),
    "numbers": ("j{n}1", "j{n}2", "j{n}3", "j{n}4"),
}
FILL = {
    "Left": {"S": "Left", "g": "links", "j": "左", "l": "L", "n": "7"},
    "Right": {"S": "Right", "g": "rechts", "j": "右", "l": "R", "n": "3"},
}


def naming(kind: str) -> dict[str, str]:
    return {
        f"{side}{part}": pattern.format(**FILL[side])
        for side in FILL
        for part, pattern in zip(WALKER, NAMINGS[kind], strict=True)
    } | {"Hips": "node_0", "LeftArm": "a", "RightArm": "b"}


@pytest.mark.parametrize("kind", NAMINGS)
def test_legs_are_told_by_the_shape(tmp_path: Path, kind: str) -> None:
    names = naming(kind)
    motion = renamed(tmp_path, names)
    roles, notes = find_joints(motion.skeleton)
    assert [motion.skeleton.names[roles[role]] for role in LEGS] == [names[joint] for joint in TREE]
    assert len(notes) == 1
    assert notes[0].startswith("the legs were recognised by the shape of the skeleton, not by names: left_hip ")
    assert "use --map" in notes[0]
    assert notes[0] in extract_landmarks(motion).notes


@pytest.mark.parametrize("encoding", ["shift_jis", "gbk"])
def test_names_in_another_encoding_do_not_matter(tmp_path: Path, encoding: str) -> None:
    expected = renamed(tmp_path, {})
    motion = renamed(tmp_path, naming("Japanese"), encoding)
    roles = match_joints(motion.skeleton)
    known = match_joints(expected.skeleton)
    assert [roles[role] for role in LEGS] == [known[role] for role in LEGS]


def test_known_names_decide_before_shapes_do(tmp_path: Path) -> None:
    assert find_joints(renamed(tmp_path, {}).skeleton)[1] == ()
    prefixed = {joint: f"CC_Base_{'LR'[i // 4]}_{part}" for i, (joint, part) in enumerate(
        zip(TREE, ("Thigh", "Calf", "Foot", "ToeBase") * 2, strict=True))}  # fmt: skip
    motion = renamed(tmp_path, prefixed | {"Hips": "CC_Base_Hip"})
    roles, notes = find_joints(motion.skeleton)
    assert notes == ()
    assert [motion.skeleton.names[roles[role]] for role in LEGS] == [prefixed[joint] for joint in TREE]


def body(bones: list[tuple[str, str, tuple[float, float, float]]]) -> Skeleton:
    names = ["root", *(name for name, _, _ in bones)]
    parents = [-1, *(names.index(parent) for _, parent, _ in bones)]
    return Skeleton(tuple(names), np.array(parents), np.array([(0, 0, 0), *(offset for *_, offset in bones)], float))


def leg(name: str, x: float, shank: float = 0.4, toe: bool = True) -> list[tuple[str, str, tuple[float, float, float]]]:
    chain = [(f"{name}1", "root", (x, 0, 0)), (f"{name}2", f"{name}1", (0, -0.42, 0))]
    chain.append((f"{name}3", f"{name}2", (0, -shank, 0)))
    return [*chain, (f"{name}4", f"{name}3", (0, -0.05, 0.13))] if toe else chain


def test_what_has_no_legs_is_given_none() -> None:
    whole = find_legs(body([*leg("p", 0.1), *leg("q", -0.1)]))
    assert (whole["left_hip"], whole["right_toe"]) == (1, 8)  # y up, ahead is +z: left is +x
    assert find_legs(body([*leg("p", -0.1), *leg("q", 0.1)]))["left_hip"] == 5
    assert find_legs(body([*leg("p", 0.1), *leg("q", -0.1, shank=0.3)])) == {}  # not alike
    assert find_legs(body([*leg("p", 0.1), *leg("q", -0.1, toe=False)])) == {}
    assert find_legs(body(leg("p", 0.1))) == {}
    assert find_legs(body([*leg("left", 0.1), *leg("left_b", -0.1)])) == {}  # both say left
    with pytest.raises(MotionError, match="no joint found for left_hip, left_knee"):
        match_joints(body(leg("p", 0.1)))


def test_a_joint_map_is_never_overruled(tmp_path: Path) -> None:
    motion = renamed(tmp_path, naming("numbers"))
    with pytest.raises(MotionError, match="no joint found for left_knee"):
        match_joints(motion.skeleton, {"left_hip": "j71"})
