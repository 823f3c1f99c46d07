"""The 101-number pose: its order, hand-computed rows, and the way back."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_envs.assets import asset_path
from gait_envs.reference.pose_features import COORDINATES, PARTS, POSE_LAYOUT, pose_to_six_dof, six_dof_to_pose
from gait_envs.rotations import normalize


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(asset_path("humanoid/humanoid.xml")))


def poses(model: mujoco.MjModel, seed: int, frames: int = 8) -> np.ndarray:
    """Random poses within the joints' ranges, their limits among them, with w ≥ 0."""
    rng = np.random.default_rng(seed)
    lower, upper = model.jnt_range[1:].T
    share = rng.uniform(size=(frames, len(lower)))
    share = np.where(rng.uniform(size=share.shape) < 0.2, np.round(share), share)
    quat = normalize(rng.normal(size=(frames, 4)))
    quat[quat[:, 0] < 0] *= -1
    return np.hstack([rng.normal(size=(frames, 3)), quat, lower + share * (upper - lower)])


def test_order_is_gaitnets() -> None:
    slices = POSE_LAYOUT.slices()
    first = {name: part.start for name, part in slices.items()}
    assert POSE_LAYOUT.size == 101
    assert [first[name] for name in ("root_rotation", "root_displacement", "root_height")] == [0, 6, 8]
    expected = {"right_hip": 9, "right_knee": 15, "right_ankle": 16, "right_big_toe": 22, "right_small_toes": 23,
                "left_hip": 24, "left_knee": 30, "left_ankle": 31, "left_big_toe": 37, "left_small_toes": 38,
                "spine": 39, "torso": 45, "neck": 51, "head": 57, "right_shoulder": 63, "right_arm": 69,
                "right_elbow": 75, "right_hand": 76, "left_shoulder": 82, "left_arm": 88, "left_elbow": 94,
                "left_hand": 95}  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    assert sum(len(part.axes) == 3 for part in PARTS) == 14
    assert sum(len(part.axes) == 1 for part in PARTS) == 8


def test_axes_are_the_models(model: mujoco.MjModel) -> None:
    axes = [sign * np.eye(3)["xyz".index(axis)] for part in PARTS for axis, sign in zip(*part[1:], strict=True)]
    np.testing.assert_array_equal(model.jnt_axis[1:], axes)
    owners = [part.name for part in PARTS for _ in part.axes]
    assert all(model.joint(i + 1).name.startswith(owner + "_") for i, owner in enumerate(owners))
    assert model.nq == COORDINATES


def test_rows_by_hand() -> None:
    qpos = np.zeros((2, COORDINATES))
    qpos[:, 3] = 1.0
    qpos[:, :3] = [[1.0, 2.0, 0.9], [1.5, 1.75, 0.8]]
    qpos[:, 7] = np.pi / 2  # the right hip flexed by a quarter turn: about -y, so x goes to z
    qpos[:, 10] = 0.7  # the right knee
    pose = pose_to_six_dof(qpos, before=np.array([0.5, 2.0]))
    np.testing.assert_allclose(pose[0, :9], [1, 0, 0, 0, 1, 0, 0.5, 0.0, 0.9], atol=1e-12)
    np.testing.assert_allclose(pose[1, 6:9], [0.5, -0.25, 0.8], atol=1e-12)
    np.testing.assert_allclose(pose[0, 9:16], [0, 0, -1, 0, 1, 0, 0.7], atol=1e-12)
    np.testing.assert_array_equal(pose_to_six_dof(qpos)[0, 6:8], [0, 0])


def test_rotations_are_what_the_model_shows(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    qpos = poses(model, 3)[0]
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    pose = pose_to_six_dof(qpos[None])[0]
    for row, body in (("right_ankle", "right_talus"), ("left_arm", "left_arm"), ("left_hand", "left_hand")):
        own = data.body(body).xmat.reshape(3, 3)
        above = data.xmat[model.body(model.body(body).parentid[0]).id].reshape(3, 3)
        np.testing.assert_allclose(pose[POSE_LAYOUT.slices()[row]], (above.T @ own)[:2].ravel(), atol=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_there_and_back(model: mujoco.MjModel, seed: int) -> None:
    qpos = poses(model, seed)
    before = np.array([0.3, -4.0])
    np.testing.assert_allclose(six_dof_to_pose(pose_to_six_dof(qpos, before), before), qpos, atol=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_network_may_be_a_little_off(seed: int) -> None:
    pose = np.random.default_rng(seed).normal(size=(3, 101))
    once = six_dof_to_pose(pose)
    np.testing.assert_allclose(np.linalg.norm(once[:, 3:7], axis=1), 1.0, atol=1e-9)
    clean = pose_to_six_dof(once, before=np.zeros(2))
    np.testing.assert_allclose(pose_to_six_dof(six_dof_to_pose(clean), before=np.zeros(2)), clean, atol=1e-6)


def test_batches_are_their_rows(model: mujoco.MjModel) -> None:
    qpos = np.stack([poses(model, seed) for seed in (1, 2)])
    pose = pose_to_six_dof(qpos)
    assert pose.shape == (2, 8, 101)
    np.testing.assert_array_equal(pose[1], pose_to_six_dof(qpos[1]))
    np.testing.assert_array_equal(six_dof_to_pose(pose)[1], six_dof_to_pose(pose[1]))


def test_mirrored_legs_have_mirrored_rows(model: mujoco.MjModel) -> None:
    qpos = poses(model, 5)
    leg = slice(7, 16), slice(16, 25)
    qpos[:, leg[1]] = qpos[:, leg[0]]
    rows = POSE_LAYOUT.slices()
    pose = pose_to_six_dof(qpos)
    mirror = np.array([1, -1, 1, -1, 1, -1])  # of a matrix's rows x and y: entries with one y in them
    for joint in ("hip", "ankle"):
        np.testing.assert_allclose(pose[:, rows[f"left_{joint}"]], mirror * pose[:, rows[f"right_{joint}"]], atol=1e-12)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"qpos has shape \(2, 56\), expected \(..., T, 57\)"):
        pose_to_six_dof(np.zeros((2, 56)))
    with pytest.raises(ValueError, match=r"pose has shape \(101,\), expected \(..., T, 101\)"):
        six_dof_to_pose(np.zeros(101))
