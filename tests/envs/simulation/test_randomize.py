"""Domain randomisation: what is drawn, what it does, and that it is gone when switched off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gait_envs.models.robot import wildrobot
from gait_envs.simulation.randomize import down_of
from gait_envs.vector_env import GaitVectorEnv

ROBOT = wildrobot()
NOTHING: dict[str, Any] = {
    "mass": (1, 1),
    "friction": (1, 1),
    "servo_gain": (1, 1),
    "latency": (0, 0),
    "push_interval": 0,
}


def env_with(n: int = 64, **randomize: Any) -> GaitVectorEnv:
    env = GaitVectorEnv(n, randomize=NOTHING | randomize, autoreset_mode="Disabled")
    env.reset(seed=0)
    return env


def factors(env: GaitVectorEnv, field: str) -> np.ndarray:
    """What each simulation's model field was multiplied by, NaN where it is zero."""
    nominal = getattr(ROBOT.model, field)
    with np.errstate(invalid="ignore"):
        return env.core.physics.fields.own(field) / np.where(nominal == 0, np.nan, nominal)


def spread(values: np.ndarray, low: float, high: float) -> None:
    """Inside the range and nearly filling it."""
    margin = 0.1 * (high - low)
    assert low - 1e-9 <= np.nanmin(values) < low + margin
    assert high - margin < np.nanmax(values) <= high + 1e-9


def test_nothing_drawn_is_the_plain_robot_bit_for_bit() -> None:
    """Factors of one: the per-simulation model is the model."""
    drawn, plain = env_with(4), GaitVectorEnv(4, autoreset_mode="Disabled")
    plain.reset(seed=0)
    start = {"qpos": ROBOT.home_qpos, "qvel": np.zeros(15), "command": [0.3, 0, 0]}
    drawn.reset(options=start)
    plain.reset(options=start)
    for action in np.random.default_rng(0).uniform(-0.5, 0.5, (30, 4, 9)):
        np.testing.assert_array_equal(drawn.step(action)[0], plain.step(action)[0])


def test_masses_scale_with_their_inertia() -> None:
    env = env_with(mass=(0.8, 1.2))
    mass, inertia = factors(env, "body_mass"), factors(env, "body_inertia")
    spread(mass[:, 1:], 0.8, 1.2)
    np.testing.assert_allclose(inertia[:, 1:], np.repeat(mass[:, 1:, None], 3, axis=2))
    assert np.ptp(mass[0, 1:]) > 0.05  # each body its own
    # What MuJoCo derives from masses follows: the whole robot's mass.
    total = env.core.physics.fields.own("body_subtreemass")[:, 1]
    np.testing.assert_allclose(total, (mass[:, 1:] * ROBOT.model.body_mass[1:]).sum(1))


def test_a_heavier_robot_weighs_more() -> None:
    env = env_with(1, mass=(1.5, 1.5))
    for _ in range(100):
        env.step(np.zeros((1, 9)))
    loads = [env.step(np.zeros((1, 9))) and env.core.state.foot_force.sum() for _ in range(50)]
    assert np.mean(loads) == pytest.approx(1.5 * ROBOT.mass * 9.81, rel=0.03)


def test_friction_is_that_of_soles_and_floor() -> None:
    env = env_with(friction=(0.3, 1.2))
    friction = env.core.physics.fields.own("geom_friction")[:, :, 0]
    spread(friction[:, ROBOT.soles], 0.3, 1.2)
    np.testing.assert_array_equal(friction[:, ROBOT.soles], np.repeat(friction[:, [ROBOT.floor]], 4, axis=1))
    others = np.delete(np.arange(ROBOT.model.ngeom), [*ROBOT.soles, ROBOT.floor])
    np.testing.assert_array_equal(friction[:, others], np.tile(ROBOT.model.geom_friction[others, 0], (64, 1)))


def test_a_slippery_floor_slides() -> None:
    """Shoved, the robot that stands on ice goes further with its soles."""
    travelled = {}
    for friction in (0.05, 1.0):
        env = env_with(1, friction=(friction, friction))
        env.reset(options={"qpos": ROBOT.home_qpos, "qvel": np.zeros(15)})
        before = env.core.state.foot_pos[0, :, 1].mean()
        env.core.physics.push(np.array([0]), np.array([[0.0, 0.3]]))
        for _ in range(8):
            env.step(np.zeros((1, 9)))
        travelled[friction] = env.core.state.foot_pos[0, :, 1].mean() - before
    assert travelled[0.05] > travelled[1.0] + 0.01


def test_servo_gains_scale_both_terms_of_each_servo() -> None:
    env = env_with(servo_gain=(0.7, 1.3))
    gain, bias = factors(env, "actuator_gainprm")[..., 0], factors(env, "actuator_biasprm")[..., 1:3]
    spread(gain, 0.7, 1.3)
    np.testing.assert_allclose(bias, np.repeat(gain[..., None], 2, axis=2))
    assert np.ptp(gain[0]) > 0.05


def test_latency_delays_each_in_its_own_measure() -> None:
    env = env_with(latency=(0, 2))
    assert set(env.core.memory.lag) == {0, 1, 2}
    begin = env.core.state.qpos[:, 7:]
    env.reset(seed=0, options={"qpos": ROBOT.home_qpos, "qvel": np.zeros(15)})
    lag, ctrl = env.core.memory.lag, env.core.physics.batch.ctrl
    for step in range(3):
        env.step(np.full((64, 9), 0.5))
        moved = np.abs(ctrl - ROBOT.home).max(axis=1) > 0.1
        np.testing.assert_array_equal(moved, lag <= step)
    assert begin.shape == (64, 9)


def test_shoves_come_when_due_and_no_harder_than_asked() -> None:
    env = env_with(push_interval=0.1, push_speed=0.5)  # every 5 steps
    start = {"qpos": ROBOT.home_qpos, "qvel": np.zeros(15)}
    env.reset(options=start)
    pushes: list[tuple[int, np.ndarray]] = []
    push = env.core.physics.push

    def spy(ids: np.ndarray, velocity: np.ndarray) -> None:
        pushes.append((int(env.core.memory.steps[0]), velocity.copy()))
        assert len(ids) == 64
        push(ids, velocity)

    env.core.physics.push = spy  # type: ignore[method-assign]
    for _ in range(12):
        env.step(np.zeros((64, 9)))
    assert [step for step, _ in pushes] == [5, 10]
    speed = np.linalg.norm(pushes[0][1], axis=1)
    spread(speed, 0.0, 0.5)
    angle = np.arctan2(pushes[0][1][:, 1], pushes[0][1][:, 0])
    assert np.histogram(angle, 4, (-np.pi, np.pi))[0].min() > 5  # from every side
    assert not np.allclose(pushes[0][1], pushes[1][1])


def test_down_on_a_floor_that_rises_ahead_and_to_the_left() -> None:
    np.testing.assert_allclose(down_of(0.1, 0.0), [-0.0998334, 0.0, -0.9950042], atol=1e-7)  # -sin 0.1, 0, -cos 0.1
    np.testing.assert_allclose(down_of(0.1, np.pi / 2), [0.0, -0.0998334, -0.9950042], atol=1e-7)
    np.testing.assert_array_equal(down_of(0.0, 2.0), [0.0, 0.0, -1.0])


def test_slopes_of_every_direction_are_drawn() -> None:
    env = env_with(256, slope=0.2)
    down = env.core.memory.down
    np.testing.assert_allclose(env.core.physics.fields.own("opt.gravity"), 9.81 * down)
    np.testing.assert_allclose(np.linalg.norm(down, axis=1), 1.0)
    spread(np.arccos(-down[:, 2]), 0.0, 0.2)
    spread(np.arctan2(-down[:, 1], -down[:, 0]), -np.pi, np.pi)


def test_on_a_slope_things_fall_aslant_and_gravity_is_observed_so() -> None:
    env = env_with(2, slope=0.3)
    down = env.core.memory.down.copy()
    high, turned = ROBOT.home_qpos + np.eye(16)[2] * 5.0, ROBOT.home_qpos + np.eye(16)[2] * 5.0
    turned[3:7] = [np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)]  # a quarter to the left: what was ahead is on its right
    env.core.physics.reset(np.arange(2), np.stack([high, turned]), np.zeros((2, 15)))
    obs, *_ = env.step(np.zeros((2, 9)))
    np.testing.assert_allclose(env.core.state.qvel[:, :3], 9.81 * 0.02 * down, atol=4e-3)  # the joints give a little
    seen = env.core.task.layout.slices()["gravity"]
    np.testing.assert_allclose(obs[0, seen], down[0], atol=2e-3)
    np.testing.assert_allclose(obs[1, seen], [down[1, 1], -down[1, 0], down[1, 2]], atol=2e-3)


def test_level_floors_are_the_usual_ones() -> None:
    env = env_with(2)
    assert "opt.gravity" not in env.core.physics.fields
    assert "down" not in env.core.memory.arrays()


def test_every_episode_draws_anew_and_seeds_repeat_it() -> None:
    env = env_with(3, mass=(0.5, 1.5))
    first = factors(env, "body_mass").copy()
    env.reset(options={"reset_mask": np.array([False, True, False])})
    second = factors(env, "body_mass").copy()
    np.testing.assert_array_equal(second[[0, 2]], first[[0, 2]])
    assert not np.allclose(second[1, 1:], first[1, 1:])
    env.reset(seed=0)
    np.testing.assert_array_equal(factors(env, "body_mass"), first)


def test_switched_off_it_draws_nothing() -> None:
    """The generator is left as it is without the feature."""
    states = []
    for randomize in (False, {"enabled": False, "mass": (0.1, 9.0)}):
        env = GaitVectorEnv(1, randomize=randomize)
        env.reset(seed=0)
        states.append(env.core.rngs[0].bit_generator.state)
        assert list(env.core.physics.fields) == []
    assert states[0] == states[1]
