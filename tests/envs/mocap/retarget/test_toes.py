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


def foot(axis: str = "0 -1 0", reach: str = "-0.5 1.0", joints: int = 1, shape: str = "capsule") -> mujoco.MjModel:
    """A root whose toe lies straight ahead of it, on a hinge that raises the tip when it turns about -y."""
    joint = f'<joint type="hinge" axis="{axis}" range="{reach}" />'
    size = f'fromto="0 0 0 {LENGTH} 0 0" size="{RADIUS}"' if shape == "capsule" else 'size="0.01 0.01 0.01"'
    return mujoco.MjModel.from_xml_string(f"""
        <mujoco><compiler angle="radian" autolimits="true" /><worldbody><body><freejoint /><geom size="0.02" />
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
    toe = find_toe(model, "toe")
    bent = bend_toes(pitched(angles, height), model, [toe], 0.0, FPS)
    np.testing.assert_allclose(bent[:, 7], wanted, atol=2e-6)
    np.testing.assert_array_equal(bent[:, :7], pitched(angles, height)[:, :7])
    np.testing.assert_allclose(toe_heights(bent, model, [toe])[2:, 0], 0.0, atol=1e-6)


def test_the_other_way_round() -> None:
    """A hinge about +y raises the toe at negative angles."""
    poses = pitched(np.array([0.3, 0.4]), 0.05)
    one, other = foot(), foot(axis="0 1 0", reach="-1.0 0.5")
    bent = bend_toes(poses, one, [find_toe(one, "toe")], 0.0, FPS)
    np.testing.assert_allclose(
        bend_toes(poses, other, [find_toe(other, "toe")], 0.0, FPS)[:, 7], -bent[:, 7], atol=2e-6
    )
    assert bent[0, 7] > 0.05


def test_it_keeps_from_the_end_of_its_range() -> None:
    model = foot(reach="-0.5 0.2")
    toe = find_toe(model, "toe")
    bent = bend_toes(pitched(np.array([0.45]), 0.05), model, [toe], 0.01, FPS)
    assert bent[0, 7] == pytest.approx(0.19)
    assert toe_heights(bent, model, [toe])[0, 0] < -0.001  # and says what is left


def test_it_returns_slowly() -> None:
    """Raised from the floor in one frame, a toe straightens by exp(-1 / (0.15 s · 30 Hz)) a frame."""
    model = foot()
    poses = np.concatenate([pitched(np.array([0.4]), 0.05), pitched(np.zeros(4), 0.5)])
    bent = bend_toes(poses, model, [find_toe(model, "toe")], 0.0, FPS)[:, 7]
    assert bent[0] > 0.3
    np.testing.assert_allclose(bent[1:] / bent[:-1], np.exp(-1 / 4.5))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (foot(shape="box"), "toe geom 'toe' is not a capsule"),
        (foot(joints=2), "toe geom 'toe' must be on a body with one joint, a hinge with limits"),
    ],
)
def test_what_is_no_toe(model: mujoco.MjModel, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        find_toe(model, "toe")


def test_names_of_toes_are_checked(tmp_path: Path) -> None:
    original = read_description("humanoid").path
    text = original.read_text().replace("model: scene.xml", f"model: {original.parent / 'scene.xml'}")
    for old, new, message in (
        ("[left_big_toe, left_small_toes]", "left_big_toe", r"legs\.left\.toes is 'left_big_toe', expected a list"),
        ("left_small_toes]", "left_middle_toe]", r"legs\.left\.toes: the model has no geom 'left_middle_toe'"),
        ("[left_big_toe,", "[left_heel,", "toe geom 'left_heel' is not a capsule"),
    ):
        path = tmp_path / "retarget.yaml"
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(MotionError, match=message):
            load_body(path)
