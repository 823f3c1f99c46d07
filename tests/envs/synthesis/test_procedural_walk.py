"""The drawn walk: feet on the floor, hips in reach, left and right alike."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from gait_envs.models.mirror import mirror_of
from gait_envs.models.robot import wildrobot
from gait_envs.reference.clip import Clip
from gait_envs.reference.mirror import mirror
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.synthesis.procedural_walk import SHANK, THIGH, leg_angles, natural_gait, walk_clip

SPEEDS = (0.2, 0.4, 0.6, 0.8, 1.0)
SWAPPED = [0, 5, 6, 7, 8, 1, 2, 3, 4]  # joints of the other side
JOINTS = wildrobot().joint_names


@pytest.fixture(params=SPEEDS)
def clip(request: pytest.FixtureRequest) -> Clip:
    return walk_clip(natural_gait(request.param), JOINTS)


def sole_positions(clip: Clip) -> np.ndarray:
    """World positions (T, 2, 3) of the left and right sole centre, by forward kinematics."""
    model = wildrobot().model
    data = mujoco.MjData(model)
    out = []
    for qpos in clip.qpos:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        out.append([data.site(f"{side}_sole").xpos.copy() for side in ("left", "right")])
    return np.array(out)


def test_leg_angles_reach_where_they_are_sent() -> None:
    x, z, pitch = np.array([0.1, -0.05, 0.0]), np.array([-0.34, -0.3, -0.36]), np.array([0.0, 0.2, -0.1])
    hip, knee, ankle = leg_angles(x, z, pitch)
    # Hip flexion swings the leg forward, knee flexion swings the shank back.
    np.testing.assert_allclose(THIGH * np.sin(hip) + SHANK * np.sin(hip - knee), x, atol=1e-12)
    np.testing.assert_allclose(-THIGH * np.cos(hip) - SHANK * np.cos(hip - knee), z, atol=1e-12)
    np.testing.assert_allclose(hip - knee + ankle, pitch)
    assert (knee > 0).all()


def test_a_leg_out_of_reach_is_stretched() -> None:
    hip, knee, _ = leg_angles(np.array([0.0]), np.array([-1.0]), np.array([0.0]))
    assert 0 < knee[0] < 0.1
    assert abs(hip[0]) < 0.05


def test_speed_and_seam(clip: Clip) -> None:
    speed = clip.meta["speed"]
    assert clip.mean_speed == pytest.approx(speed)
    assert clip.fps == 50
    assert clip.loop
    np.testing.assert_allclose(clip.qpos[-1, 1:], clip.qpos[0, 1:], atol=1e-12)  # the last frame is the first
    np.testing.assert_allclose(clip.qvel[-1], clip.qvel[0], atol=1e-9)
    np.testing.assert_allclose(clip.qvel[:, 0], speed, rtol=1e-9)
    assert (clip.frames - 1) % 2 == 0  # a whole number of frames a step


def test_velocities_are_those_of_the_positions(clip: Clip) -> None:
    """Over two frames, positions change by the velocity in between (central differences)."""
    change = clip.qpos[2:, 7:] - clip.qpos[:-2, 7:]
    np.testing.assert_allclose(change * clip.fps / 2, clip.qvel[1:-1, 6:], atol=1e-9)


def test_feet_touch_the_floor_and_do_not_enter_it(clip: Clip) -> None:
    physics = BatchSimulation(wildrobot(), 1, threads=1)
    lowest = np.array([physics.lowest_sole(qpos) for qpos in clip.qpos])
    assert lowest.min() > -0.003
    assert lowest.max() < 0.001  # a walk never flies


def test_the_standing_foot_stays(clip: Clip) -> None:
    gait = natural_gait(clip.meta["speed"])
    left = sole_positions(clip)[:, 0]
    phase = np.arange(clip.frames) / (clip.frames - 1)
    flat = (phase > 0.16 * gait.duty) & (phase < 0.74 * gait.duty)
    assert flat.sum() > 5
    assert np.ptp(left[flat, 0]) < 0.004
    assert np.ptp(left[flat, 1]) < 0.004
    assert np.abs(left[flat, 2]).max() < 0.003
    swing = (phase > gait.duty + 0.1) & (phase < 0.9)
    assert left[swing, 2].min() > 0.01  # and the other is lifted


def test_joint_limits(clip: Clip) -> None:
    """A drawing may ask for a little more than the joints have; tracking it clips."""
    robot = wildrobot()
    assert np.maximum(robot.lower - clip.qpos[:, 7:], clip.qpos[:, 7:] - robot.upper).max() <= 0.3


def test_left_and_right_are_half_a_cycle_apart(clip: Clip) -> None:
    half = (clip.frames - 1) // 2
    later = np.roll(clip.qpos[:-1, 7:], -half, axis=0)[:, SWAPPED]
    later[:, 0] *= -1
    np.testing.assert_allclose(later, clip.qpos[:-1, 7:], atol=1e-12)
    legs = clip.qpos[:, [JOINTS.index("left_hip_pitch") + 7, JOINTS.index("right_hip_pitch") + 7]]
    assert np.corrcoef(legs.T)[0, 1] < -0.5  # legs alternate


def test_the_planned_load_is_the_weight(clip: Clip) -> None:
    assert clip.contacts is not None
    np.testing.assert_allclose(clip.contacts.sum(axis=1), wildrobot().mass * 9.81)
    assert (clip.contacts[:, :2] > 0).all(axis=1).mean() == pytest.approx(
        natural_gait(clip.meta["speed"]).duty, abs=0.06
    )


def test_mirrors(clip: Clip) -> None:
    seen = mirror(clip, mirror_of(wildrobot()))
    twice = mirror(seen, mirror_of(wildrobot()))
    np.testing.assert_array_equal(twice.qpos, clip.qpos)
    np.testing.assert_array_equal(twice.qvel, clip.qvel)
    # The mirrored robot's left sole is where the right one was, on the other side.
    np.testing.assert_allclose(sole_positions(seen)[:, 0], sole_positions(clip)[:, 1] * [1, -1, 1], atol=1e-12)


def test_mirrored_contacts_swap_feet() -> None:
    clip = walk_clip(natural_gait(0.4), JOINTS)
    fields = {name: getattr(clip, name) for name in Clip.__dataclass_fields__}
    forces = np.tile([1.0, 2.0, 3.0, 4.0], (clip.frames, 1))
    seen = mirror(Clip(**fields | {"contacts": forces}), mirror_of(wildrobot()))
    assert seen.contacts is not None
    np.testing.assert_array_equal(seen.contacts[0], [3, 4, 1, 2])
