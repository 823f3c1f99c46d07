"""Toes that bend over the floor, against angles from a drawing of a foot."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from gait_envs.mocap.capture import MotionError
from gait_envs.mocap.retarget.retarget_config import read_description
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.mocap.retarget.toes import bend_toes, find_toe, toe_heights

LENGTH, AHEAD, RADIUS = 0.05, 0.1, 0.01  # m: of the toe, from the root to its joint, of its capsule
FPS = 30.0


def foot(
    axis: str = "0 -1 0", reach: str = "-0.5 1.0", joints: int = 1, shape: str = "capsule", across: bool = False
) -> mujoco.MjModel:
    """A root whose toe lies straight ahead of it, on a hinge that raises the tip when it turns about -y."""
    joint = f'<joint type="hinge" axis="{axis}" range="{reach}" />'
    ends = f"{LENGTH / 2} {-LENGTH} 0 {LENGTH / 2} {LENGTH} 0" if across else f"0 0 0 {LENGTH} 0 0"
    size = f'fromto="{ends}" size="{RADIUS}"' if shape == "capsule" else 'size="0.01 0.01 0.01"'
    return mujoco.MjModel.from_xml_string(f"""
        <mujoco><compiler angle="radian" autolimits="true" />
        <worldbody><body name="foot"><freejoint /><geom size="0.02" />
          <body pos="{AHEAD} 0 0">{joint * joints}<geom name="toe" type="{shape}" {size} /></body>
        </body></worldbody><keyframe><key name="home" qpos="0 0 1 1 0 0 0{" 0" * joints}" /></keyframe></mujoco>""")


def pitched(angles: np.ndarray, height: float) -> np.ndarray:
    """Poses whose root is at `height` and pitched nose down by `angles`."""
    qpos = np.zeros((len(angles), 8))
    qpos[:, 2], qpos[:, 3], qpos[:, 5] = height, np.cos(angles / 2), np.sin(angles / 2)
    return qpos


def test_a_toe_bends_until_its_tip_touches() -> None:
    """Its joint is 0.1·sin(pitch) lower than the root, and its tip must not be lower than its radius."""
    model, height = foot(), 0.05
    angles = np.array([0.0, 0.1, 0.3, 0.4])
    joint = height - AHEAD * np.sin(angles)
    touching = angles - np.arcsin((joint - RADIUS) / LENGTH)  # where the whole toe is pitched by what is left
    wanted = np.where(joint - LENGTH * np.sin(angles) < RADIUS, touching, 0.0)
    assert (wanted > 0).tolist() == [False, False, True, True]
    toe = find_toe(model, "toe", "foot")
    bent = bend_toes(pitched(angles, height), model, [toe], 0.0, FPS)
    np.testing.assert_allclose(bent[:, 7], wanted, atol=2e-6)
    np.testing.assert_array_equal(bent[:, :7], pitched(angles, height)[:, :7])
    np.testing.assert_allclose(toe_heights(bent, model, [toe])[2:, 0], 0.0, atol=1e-6)


def test_the_other_way_round() -> None:
    """A hinge about +y raises the toe at negative angles."""
    poses = pitched(np.array([0.3, 0.4]), 0.05)
    one, other = foot(), foot(axis="0 1 0", reach="-1.0 0.5")
    bent = bend_toes(poses, one, [find_toe(one, "toe", "foot")], 0.0, FPS)
    np.testing.assert_allclose(
        bend_toes(poses, other, [find_toe(other, "toe", "foot")], 0.0, FPS)[:, 7], -bent[:, 7], atol=2e-6
    )
    assert bent[0, 7] > 0.05


def test_it_keeps_from_the_end_of_its_range() -> None:
    model = foot(reach="-0.5 0.2")
    toe = find_toe(model, "toe", "foot")
    bent = bend_toes(pitched(np.array([0.45]), 0.05), model, [toe], 0.01, FPS)
    assert bent[0, 7] == pytest.approx(0.19)
    assert toe_heights(bent, model, [toe])[0, 0] < -0.001  # and says what is left


def test_so_does_one_that_turns_the_other_way() -> None:
    model = foot(axis="0 1 0", reach="-0.2 0.5")
    bent = bend_toes(pitched(np.array([0.45]), 0.05), model, [find_toe(model, "toe", "foot")], 0.01, FPS)
    assert bent[0, 7] == pytest.approx(-0.19)


def test_a_foot_with_its_sole_up_keeps_its_toes() -> None:
    """There bending would press them deeper into the floor."""
    model = foot()
    poses = pitched(np.array([np.pi]), 0.005)
    np.testing.assert_array_equal(bend_toes(poses, model, [find_toe(model, "toe", "foot")], 0.0, FPS), poses)


def test_a_toe_across_the_foot() -> None:
    """Of a foot that rolls, the lower end of a toe across it counts."""
    model = foot(across=True)
    pitch, roll, height = 0.4, 0.2, 0.06
    turned = np.zeros(4)
    pitching = np.array([np.cos(pitch / 2), 0.0, np.sin(pitch / 2), 0.0])
    mujoco.mju_mulQuat(turned, pitching, np.array([np.cos(roll / 2), np.sin(roll / 2), 0.0, 0.0]))
    poses = np.zeros((1, 8))
    poses[0, 2], poses[0, 3:7] = height, turned
    toe = find_toe(model, "toe", "foot")
    # Its middle is half a length ahead of the joint, and an end a length aside.
    lowest = height - (AHEAD + 0.5 * LENGTH) * np.sin(pitch) - LENGTH * np.sin(roll) * np.cos(pitch) - RADIUS
    assert toe_heights(poses, model, [toe])[0, 0] == pytest.approx(lowest, abs=1e-12)
    bent = bend_toes(poses, model, [toe], 0.0, FPS)
    assert bent[0, 7] > 0.1
    assert toe_heights(bent, model, [toe])[0, 0] == pytest.approx(0.0, abs=1e-6)


def test_a_slow_return_does_not_pass_the_limit() -> None:
    model = foot(reach="-0.5 0.5")
    poses = np.concatenate([pitched(np.array([0.4]), 0.05), pitched(np.zeros(2), 0.5)])
    poses[1:, 7] = 0.45  # the toe goes up by itself
    bent = bend_toes(poses, model, [find_toe(model, "toe", "foot")], 0.01, FPS)
    assert bent[1, 7] == pytest.approx(0.49)
    assert 0.45 < bent[2, 7] < 0.49


def test_it_returns_slowly() -> None:
    """Raised from the floor in one frame, a toe straightens by exp(-1 / (0.15 s · 30 Hz)) a frame."""
    model = foot()
    poses = np.concatenate([pitched(np.array([0.4]), 0.05), pitched(np.zeros(4), 0.5)])
    bent = bend_toes(poses, model, [find_toe(model, "toe", "foot")], 0.0, FPS)[:, 7]
    assert bent[0] > 0.3
    np.testing.assert_allclose(bent[1:] / bent[:-1], np.exp(-1 / 4.5))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (foot(shape="box"), "toe geom 'toe' is not a capsule"),
        (foot(joints=2), "toe geom 'toe' must be on a body with one joint, a hinge with limits"),
        (foot(axis="0 0 1"), "toe geom 'toe': its hinge neither raises nor lowers it"),
    ],
)
def test_what_is_no_toe(model: mujoco.MjModel, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        find_toe(model, "toe", "foot")


def test_names_of_toes_are_checked(tmp_path: Path) -> None:
    original = read_description("humanoid").path
    text = original.read_text().replace("model: scene.xml", f"model: {original.parent / 'scene.xml'}")
    for old, new, message in (
        ("[left_big_toe, left_small_toes]", "left_big_toe", r"legs\.left\.toes is 'left_big_toe', expected a list"),
        ("left_small_toes]", "left_middle_toe]", r"legs\.left\.toes: the model has no geom 'left_middle_toe'"),
        ("[left_big_toe,", "[left_heel,", r"legs\.left\.toes: toe geom 'left_heel' is not a capsule"),
        ("[left_big_toe,", "[right_big_toe,", r"'right_big_toe' is on no body that hangs on 'left_talus'"),
        ("[left_big_toe,", "[left_small_toes,", r"legs\.left\.toes: 'left_small_toes' is there twice"),
    ):
        path = tmp_path / "retarget.yaml"
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(MotionError, match=message):
            load_body(path)
