"""Feet of generated walks: offsets against slips by hand, and legs that are bent to them."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from gait_envs.models.robot import humanoid
from gait_envs.models.soles import resized, sole_positions
from gait_envs.reference.refnn.cycles import make_cycles
from gait_envs.reference.refnn.foot_slip import BEND, FOOT, LEG, ROOT, corrections, without_slip
from gait_envs.reference.refnn.network import load_network
from gait_envs.reference.refnn.walks import CYCLE, from_coordinates

PHASE = 2 * np.pi * np.arange(CYCLE) / CYCLE
ROBOT = humanoid()


def soles(slide: float = 0.0, opposed: float = 0.0) -> np.ndarray:
    """Both feet, flat on the floor, that slide ahead and back by `slide` (m) together and by `opposed` in turn."""
    places = np.zeros((2, CYCLE, 2, 3))
    places[..., 1] = [[[0.1]], [[-0.1]]]
    places[..., 0] = [[[0.15, 0.0]]]  # toe and heel
    places[..., 0] += np.array([slide + opposed, slide - opposed])[:, None, None] * np.sin(PHASE)[:, None]
    return places


def test_feet_that_stand_still_are_not_moved() -> None:
    root, feet = corrections(soles(), 0.0)
    np.testing.assert_array_equal(root, 0.0)
    np.testing.assert_array_equal(feet, 0.0)


def test_the_root_takes_what_feet_have_in_common() -> None:
    """And the legs what is opposed. Of a slip that is a sine, every difference is a factor, and so is what remains."""
    q = 2 - 2 * np.cos(2 * np.pi / CYCLE)  # square of the first difference of a sine of one cycle
    of_root, of_foot = BEND * q**2 + ROOT, BEND * q**2 + FOOT
    both = 1 / (1 / of_root + 0.5 / of_foot)  # springs in series: the root's, and that of both feet
    taken = -0.005 * np.sin(PHASE) * 2 * q / (2 * q + both)
    root, feet = corrections(soles(slide=0.005), 0.0)
    np.testing.assert_allclose(root[:, 0], taken * both / of_root, atol=1e-9)
    np.testing.assert_allclose(feet[..., 0], [taken * both / (2 * of_foot)] * 2, atol=1e-9)
    np.testing.assert_allclose(root[:, 1], 0.0, atol=1e-12)
    root, feet = corrections(soles(opposed=0.005), 0.0)
    np.testing.assert_allclose(root, 0.0, atol=1e-12)
    np.testing.assert_allclose(feet[0, :, 0], -0.005 * np.sin(PHASE) * q / (q + of_foot), atol=1e-9)
    np.testing.assert_allclose(feet[1], -feet[0], atol=1e-12)


def test_swinging_feet_are_not_moved() -> None:
    high, fast = soles(slide=0.005), soles()
    high[..., 2] = 0.05 * (np.arange(CYCLE) > 0)[:, None]  # in the air but for one phase
    fast[..., 0] += 0.041 * np.arange(CYCLE)[:, None]  # low, but as fast as the whole body
    for places, stride in ((high, 0.0), (fast, 0.041 * CYCLE)):
        root, feet = corrections(places, stride)
        np.testing.assert_allclose(root, 0.0, atol=1e-12)
        np.testing.assert_allclose(feet, 0.0, atol=1e-12)
    root, _ = corrections(
        0.7 * fast, 0.7 * 0.041 * CYCLE
    )  # strides of less than a metre count as one: no swing any more
    assert np.abs(root).max() < 1e-9  # though its mean cannot be taken out


def walk(noise: float = 0.0) -> tuple[np.ndarray, float]:
    """The humanoid with both feet on the floor, which hips that swing by `noise` (rad) slide to and fro; no stride."""
    coordinates = np.zeros((CYCLE, 56))
    coordinates[:, 2] = ROBOT.home_qpos[2]
    coordinates[:, 6:] = ROBOT.home
    for side, sign in (("left", 1), ("right", -1)):
        hip, knee = (ROBOT.joint_names.index(f"{side}_{name}_flexion") for name in ("hip", "knee"))
        coordinates[:, 6 + hip] += 0.1 + sign * noise * np.sin(PHASE)
        coordinates[:, 6 + knee] += 0.2
    low = sole_positions(ROBOT, from_coordinates(coordinates))[..., 2].min()
    coordinates[:, 2] -= low
    return coordinates, 0.0


def slip(coordinates: np.ndarray, scale: np.ndarray | None = None) -> float:
    places = sole_positions(ROBOT, from_coordinates(coordinates), scale)
    return float(np.abs((np.roll(places, -1, axis=0) - places)[..., :2]).max())


@pytest.mark.parametrize("length", [1.0, 1.15])
def test_legs_are_bent_to_the_offset(length: float) -> None:
    coordinates, stride = walk(noise=0.015)
    scale = None if length == 1.0 else np.full(len(ROBOT.segments.names), length)
    better = without_slip(coordinates, stride, scale)
    assert slip(better, scale) < 0.3 * slip(coordinates, scale)
    legs = [6 + ROBOT.joint_names.index(f"{side}_{name}") for side in ("left", "right") for name in LEG]
    others = np.setdiff1d(np.arange(2, 56), legs)
    np.testing.assert_array_equal(better[:, others], coordinates[:, others])  # arms, trunk, the root's height and turn
    assert np.abs(better - coordinates).max() < 0.1
    feet = [ROBOT.model.geom(f"{side}_heel").bodyid[0] for side in ("left", "right")]
    model, turns = resized(ROBOT, scale), []
    data = mujoco.MjData(model)
    for poses in (coordinates, better):
        turns.append(np.empty((CYCLE, 2, 9)))
        for t, pose in enumerate(from_coordinates(poses)):
            data.qpos[:] = pose
            mujoco.mj_kinematics(model, data)
            turns[-1][t] = data.xmat[feet]
    np.testing.assert_allclose(turns[1], turns[0], atol=0.02)


def test_soles_of_other_lengths() -> None:
    """A body that is a tenth longer all over, its root as much higher, stands on soles as much further apart."""
    pose = ROBOT.home_qpos[None].copy()
    plain = sole_positions(ROBOT, pose)
    longer = pose.copy()
    longer[:, :3] *= 1.1
    scale = np.full(len(ROBOT.segments.names), 1.1)
    np.testing.assert_allclose(sole_positions(ROBOT, longer, scale)[0, :, 1], 1.1 * plain[0, :, 1], atol=0.012)
    assert resized(ROBOT, np.ones(len(scale))) is ROBOT.model
    before = ROBOT.model.body_pos.copy()
    resized(ROBOT, scale)
    np.testing.assert_array_equal(ROBOT.model.body_pos, before)


def test_parts_of_a_sole_stand_only_where_it_is_low() -> None:
    """A heel that is 6 mm higher than the ball, and moves about it, is no slip."""
    places = soles()
    places[:, :, 1, 2] = 0.006
    places[:, :, 1, 0] += 0.01 * np.sin(PHASE)
    root, feet = corrections(places, 0.0)
    np.testing.assert_allclose(root, 0.0, atol=1e-12)
    np.testing.assert_allclose(feet, 0.0, atol=1e-12)


def test_joints_stay_within_their_limits() -> None:
    coordinates, stride = walk(noise=0.015)
    for side in ("left", "right"):  # straight knees, at their limit
        knee = ROBOT.joint_names.index(f"{side}_knee_flexion")
        coordinates[:, 6 + knee] = ROBOT.lower[knee]
    better = without_slip(coordinates, stride)
    assert (better[:, 6:] >= ROBOT.lower - 1e-12).all()
    assert (better[:, 6:] <= ROBOT.upper + 1e-12).all()


@pytest.mark.parametrize("thigh", [1.0, 1.05])
def test_the_bundled_walks_stand(thigh: float) -> None:
    """Median slip of standing soles, which was 10 cm/s; the stride is exactly as the network has it."""
    network = load_network("refnn")
    params = network.params({"stride": 1.18, "cadence": 102.0, "scale.thigh": thigh}, 1)
    cycles = make_cycles(network, params)
    scale = np.array([thigh if name == "thigh" else 1.0 for name in ROBOT.segments.names])
    phase = np.arange(300) / 30 * 102.0 / 120
    coordinates, _ = cycles.at(phase, np.zeros(300, dtype=int))
    places = sole_positions(ROBOT, from_coordinates(coordinates), scale)
    speed = np.linalg.norm(np.gradient(places, 1 / 30, axis=0), axis=-1)
    stands = (places[..., 2] - places[..., 2].min() < 0.02) & (speed < 0.5)
    assert 0.2 < stands.mean() < 0.7
    assert np.median(speed[stands]) < 0.05
    np.testing.assert_allclose(cycles.coordinates[0, 0, :2], 0.0, atol=1e-12)
    there, _ = cycles.at(np.array([1.0]), np.zeros(1, dtype=int))
    assert there[0, 0] == pytest.approx(cycles.stride[0], abs=1e-9)
