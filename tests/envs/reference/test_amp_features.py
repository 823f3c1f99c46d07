"""One extractor for the policy's motion and the reference's."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait_envs.models.robot import wildrobot
from gait_envs.reference.amp_features import AMP_LAYOUT, amp_features, clip_features
from gait_envs.reference.clip import Clip
from gait_envs.rotations import quat_from_rotvec, quat_mul, quat_rotate, yaw_quat
from gait_envs.vector_env import GaitVectorEnv

AT = AMP_LAYOUT.slices()


def one(velocity: tuple[float, float, float] = (0.5, 0, 0), yaw: float = 0.0, **changes: np.ndarray) -> np.ndarray:
    """Features (29,) of the home pose turned by `yaw`, moving at `velocity` (world, m/s)."""
    qpos, qvel = wildrobot().home_qpos.copy(), np.zeros(15)
    qpos[3:7], qvel[:3] = yaw_quat(np.array(yaw)), velocity
    state = {"qpos": qpos, "qvel": qvel, "foot_force": np.zeros(4)} | changes
    return amp_features(*(state[k][None] for k in ("qpos", "qvel", "foot_force")))[0]


def test_there_are_29_in_this_order() -> None:
    sizes = {name: s.stop - s.start for name, s in AT.items()}
    assert sizes == {
        "joint_position": 9,
        "joint_velocity": 9,
        "velocity_direction": 3,
        "angular_velocity": 3,
        "height": 1,
        "foot_contact": 4,
    }
    assert AMP_LAYOUT.size == 29
    assert [s.start for s in AT.values()] == [0, 9, 18, 21, 24, 25]


def test_by_hand() -> None:
    qpos, qvel = wildrobot().home_qpos.copy(), np.arange(15.0)
    qvel[:6] = [0.3, 0.0, 0.4, 0.1, 0.2, 0.3]
    found = one(qpos=qpos, qvel=qvel, foot_force=np.array([0.0, 10.0, 33.0, 5.0]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[AT["joint_position"]], [0, 0.2, 0, 0.4147, 0.2147, 0.2, 0, 0.4147, 0.2147])
    np.testing.assert_allclose(found[AT["joint_velocity"]], np.arange(6, 15))
    np.testing.assert_allclose(found[AT["velocity_direction"]], [0.6, 0, 0.8], rtol=1e-6)  # 3-4-5
    np.testing.assert_allclose(found[AT["angular_velocity"]], [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_allclose(found[AT["height"]], [0.469])
    np.testing.assert_allclose(found[AT["foot_contact"]], [0, 0.761594, 0.997283, 0.462117], rtol=1e-5)


def test_only_the_direction_of_travel_is_seen() -> None:
    np.testing.assert_allclose(one((0.2, 0.1, 0)), one((0.8, 0.4, 0)), rtol=1e-6)
    # Below 0.1 m/s a direction is noise.
    np.testing.assert_array_equal(one((0.06, 0.07, 0))[AT["velocity_direction"]], [0, 0, 0])
    assert np.linalg.norm(one((0.08, 0.07, 0))[AT["velocity_direction"]]) == pytest.approx(1, abs=1e-6)


def test_a_tilted_bodys_rates_are_levelled() -> None:
    # The body pitched forward, its own x axis points downward: rolling about it is also turning right.
    qpos, qvel = wildrobot().home_qpos.copy(), np.zeros(15)
    qpos[3:7] = quat_from_rotvec(np.array([0, 1.2, 0]))
    qvel[3] = 2.0
    found = one(qpos=qpos, qvel=qvel)[AT["angular_velocity"]]
    np.testing.assert_allclose(found, [2 * np.cos(1.2), 0, -2 * np.sin(1.2)], atol=1e-6)


@given(st.floats(-np.pi, np.pi), st.integers(0, 2**32 - 1))
def test_turning_and_moving_the_whole_changes_nothing(yaw: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    qpos, qvel, force = rng.normal(size=(3, 16)), rng.normal(size=(3, 15)), rng.uniform(0, 30, (3, 4))
    qpos[:, 3:7] = quat_from_rotvec(rng.uniform(-0.8, 0.8, (3, 3)))
    turn = yaw_quat(np.array(yaw))
    elsewhere, moving = qpos.copy(), qvel.copy()
    elsewhere[:, :2] += 3.0
    elsewhere[:, 3:7] = quat_mul(turn, qpos[:, 3:7])
    moving[:, :3] = quat_rotate(turn, qvel[:, :3])
    np.testing.assert_allclose(
        amp_features(elsewhere, moving, force), amp_features(qpos, qvel, force), atol=2e-6, rtol=1e-5
    )


def test_both_roads_agree_bit_for_bit() -> None:
    """A simulated life's `info["amp_obs"]`, and a clip recorded of the same states."""
    for randomize in (False, True):
        env = GaitVectorEnv(3, autoreset_mode="Disabled", randomize=randomize)
        seen, states = [env.reset(seed=1)[1]["amp_obs"]], [env.core.state]
        for action in np.random.default_rng(0).uniform(-0.4, 0.4, (40, 3, 9)):
            seen.append(env.step(action)[4]["amp_obs"])
            states.append(env.core.state)
        for row in range(3):
            clip = Clip(
                qpos=np.stack([s.qpos[row] for s in states]),
                qvel=np.stack([s.qvel[row] for s in states]),
                contacts=np.stack([s.foot_force[row] for s in states]),
                fps=50.0,
                joint_names=wildrobot().joint_names,
                loop=False,
                model="wildrobot",
                source="recorded",
                license="MIT",
            )
            np.testing.assert_array_equal(clip_features(clip), np.stack([frame[row] for frame in seen]))
        assert np.ptp(np.stack(seen)[..., AT["foot_contact"]], axis=0).min() > 0.5  # feet came and went


def test_the_scalar_form_shows_the_same_row() -> None:
    env = gymnasium.make("GaitNet/WildRobot-v0")
    _, info = env.reset(seed=1)
    np.testing.assert_array_equal(info["amp_obs"], GaitVectorEnv(3).reset(seed=1)[1]["amp_obs"][0])


def test_a_clip_without_contacts_says_what_to_do() -> None:
    qpos = np.tile(wildrobot().home_qpos, (3, 1))
    clip = Clip(qpos, np.zeros((3, 15)), 50.0, wildrobot().joint_names, True, "wildrobot", "", "", name="bare")
    with pytest.raises(ValueError, match="'bare' has no contacts; record it in simulation"):
        clip_features(clip)
