"""Parameters of a walker: names and ranges, what they do to bodies and muscles, and that they are gone again."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from gait_envs.models.robot import humanoid, muscle_humanoid, wildrobot
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.vector_env import GaitVectorEnv

ROBOT = muscle_humanoid()
MUSCLES = ROBOT.muscles
assert MUSCLES is not None
SPACE = ParamSpace(ROBOT)
SOLEUS = MUSCLES.names.index("left_soleus")
FORCE, LENGTH = 6 + SOLEUS, 98 + SOLEUS  # its places among the parameters


def env_with(n: int = 2, **config: Any) -> GaitVectorEnv:
    return GaitVectorEnv(n, task="muscle_walk", autoreset_mode="Disabled", threads=1, **config)


def test_names_ranges_and_what_is_known() -> None:
    body = ("mass", "scale.thigh", "scale.shank", "scale.foot", "scale.trunk", "scale.arm")
    assert len(SPACE.names) == 6 + 92 + 92
    assert SPACE.names[:6] == body
    assert SPACE.names[FORCE] == "force.left_soleus"
    assert SPACE.names[LENGTH] == "length.left_soleus"
    assert np.flatnonzero(SPACE.known).tolist() == list(range(6))
    follower = ParamSpace(ROBOT, follows=True)
    assert follower.names == ("stride", "cadence", *SPACE.names)
    assert follower.known.sum() == 8
    assert (SPACE.low < SPACE.default).all()
    assert (SPACE.default < SPACE.high).all()
    assert ParamSpace(humanoid()).names == body
    assert ParamSpace(wildrobot()).names == ("mass",)


def test_values_and_their_normal_form() -> None:
    nested = SPACE.values({"mass": 1.2, "force": {"left_soleus": 0.5}})
    np.testing.assert_array_equal(nested, SPACE.values({"mass": 1.2, "force.left_soleus": 0.5}))
    expected = np.ones(190)
    expected[0], expected[FORCE] = 1.2, 0.5
    np.testing.assert_array_equal(nested, expected)  # what is not named is 1, never 0
    normal = SPACE.normalize({"force.left_soleus": 0.1})
    assert normal.dtype == np.float32
    assert normal[0] == pytest.approx((1 - 0.7) / 0.7)
    assert normal[FORCE] == 0.0
    assert normal[LENGTH] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"force": {"left_solus": 0.5}}, r"unknown parameter 'force\.left_solus'; known are force\.right_glut_med1"),
        ({"height": 1.0}, r"unknown parameter 'height'; known are mass, scale\.<segment>, force\.<muscle>"),
        ({"mass": 0.0}, r"parameter mass is 0\.0, allowed is 0\.7 to 1\.4"),
        ({"force.left_soleus": 2}, r"parameter force\.left_soleus is 2, allowed is 0\.1 to 1\.5"),
        ({"length": {"left_soleus": float("nan")}}, r"parameter length\.left_soleus is nan, allowed is 0\.9 to 1\.1"),
        ({"mass": [1.0, 1.1]}, r"parameter mass is \[1\.0, 1\.1\], allowed"),
        ({"mass": "heavy"}, "parameter mass is 'heavy', allowed"),
        ({"mass": None}, "parameter mass is None, allowed"),
        ({"mass": True}, "parameter mass is True, allowed"),
        ({"mass": np.True_}, r"parameter mass is .*True.*, allowed"),
        ({"scale": {"thigh": -1.0}}, r"parameter scale\.thigh is -1\.0, allowed is 0\.85 to 1\.15"),
        ({"scale": {"thigh": 0}}, r"parameter scale\.thigh is 0, allowed is 0\.85 to 1\.15"),
        ({"scale.foot": float("inf")}, r"parameter scale\.foot is inf, allowed"),
        ({"scale.hand": 1.0}, r"unknown parameter 'scale\.hand'; known are scale\.thigh, scale\.shank, scale\.foot, "),
        ({"scale": 1.1}, r"unknown parameter 'scale'; known are scale\.thigh"),
        ({"scale": {"thigh": {"left": 1.1}}}, r"parameter scale\.thigh is {'left': 1\.1}, allowed"),
        ({"scale": {"thigh": 1.1}, "scale.thigh": 1.0}, r"parameter scale\.thigh is given twice"),
        ({"cadence": 1.1}, "unknown parameter 'cadence'; known are mass, .*; stride and cadence are of environments"),
        (None, "params is None, expected a mapping"),
        ([1.0], r"params is \[1\.0\], expected a mapping"),
    ],
)
def test_what_is_not_allowed(params: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SPACE.values(params)


def test_an_impossible_reset_changes_nothing() -> None:
    env = env_with()
    env.reset(seed=0)
    before = env.get_state()["physics"]["rows"].copy()
    with pytest.raises(ValueError, match="parameter mass is 9"):
        env.reset(seed=0, options={"params": {"mass": 9}})
    np.testing.assert_array_equal(env.get_state()["physics"]["rows"], before)
    with pytest.raises(ValueError, match="unknown parameter"):
        env_with(params={"weight": 1.0})
    with pytest.raises(ValueError, match=r"unknown reset option \['params'\]"):
        GaitVectorEnv(1, task="walk").reset(options={"params": {"mass": 1.1}})


def test_a_weak_soleus_gives_half_the_force_and_the_map_knows() -> None:
    env = env_with(3)
    own = [{}, {"force": {"left_soleus": 0.5}}, {"length": {"left_soleus": 0.95}, "mass": 1.2}]
    env.reset(seed=5, options={"params": own})
    physics = env.core.physics
    physics._qpos[:], physics._qvel[:] = ROBOT.home_qpos, 0.0
    physics._act[:] = physics._ctrl[:, MUSCLES.controls] = 1.0
    physics.batch.forward()
    force = physics._force[:, MUSCLES.outputs]
    assert force[1, SOLEUS] == pytest.approx(0.5 * force[0, SOLEUS])
    others = np.arange(92) != SOLEUS
    np.testing.assert_allclose(force[1, others], force[0, others])
    np.testing.assert_allclose(force[2, others], force[0, others])
    # As long as its neighbour's at 1/0.95 of the length, by the curves of the plain muscle.
    curves = physics._curves
    assert curves.optimum[2, SOLEUS] == pytest.approx(0.95 * curves.optimum[0, SOLEUS])
    assert curves.slack[2, SOLEUS] == pytest.approx(0.95 * curves.slack[0, SOLEUS])
    # MuJoCo's torques are those of the controller's map, for each body's own muscles.
    found = physics._torque_map(np.arange(3)).torque(np.ones((3, 92)))
    np.testing.assert_allclose(found, physics._joint_torque[:, MUSCLES.dofs], atol=1e-8)
    mass = physics.fields.own("body_mass").sum(axis=1)
    np.testing.assert_allclose(mass, ROBOT.model.body_mass.sum() * np.array([1.0, 1.0, 1.2]))


def test_parameters_hold_for_an_episode_and_configured_ones_for_all() -> None:
    env = env_with(2)
    env.reset(seed=0, options={"params": {"mass": 1.3}})
    mass = env.core.physics.fields.own("body_mass")
    assert mass[0, 1] == pytest.approx(1.3 * ROBOT.model.body_mass[1])
    env.reset(options={"reset_mask": np.array([True, False])})
    assert mass[0, 1] == ROBOT.model.body_mass[1]
    assert mass[1, 1] == pytest.approx(1.3 * ROBOT.model.body_mass[1])
    always = env_with(1, params={"mass": 0.8})
    for options in (None, {"params": {"mass": 0.9}}, None):
        always.reset(options=options)
        factor = 0.9 if options else 0.8
        assert always.core.physics.fields.own("body_mass")[0, 1] == pytest.approx(factor * ROBOT.model.body_mass[1])


def test_parameters_multiply_what_is_drawn() -> None:
    config = {"randomize": {"mass": (0.9, 1.1), "servo_gain": (0.9, 1.1)}}
    plain, weak = env_with(2, **config), env_with(2, **config)
    for seed in (1, 2):
        plain.reset(seed=seed)
        weak.reset(seed=seed, options={"params": {"mass": 1.2, "force": {"left_soleus": 0.5}}})
        fields = [env.core.physics.fields.own("body_mass") for env in (plain, weak)]
        np.testing.assert_allclose(fields[1], 1.2 * fields[0])
        peaks = [env.core.physics._curves.peak for env in (plain, weak)]
        np.testing.assert_allclose(peaks[1][:, SOLEUS], 0.5 * peaks[0][:, SOLEUS])
        np.testing.assert_allclose(np.delete(peaks[1], SOLEUS, 1), np.delete(peaks[0], SOLEUS, 1))


def test_default_parameters_are_the_plain_body() -> None:
    """Given as 1 or not given at all, bit for bit; and a saved state carries its body."""
    plain, named = env_with(2), env_with(2)
    a, _ = plain.reset(seed=3)
    b, _ = named.reset(seed=3, options={"params": {"mass": 1.0, "force": {"left_soleus": 1.0}}})
    np.testing.assert_array_equal(a, b)
    for _ in range(3):
        np.testing.assert_array_equal(plain.step(np.zeros((2, 50)))[0], named.step(np.zeros((2, 50)))[0])
    named.reset(seed=3, options={"params": {"length": {"left_soleus": 0.95}}})
    state = named.get_state()
    plain.set_state(state)
    np.testing.assert_array_equal(plain.step(np.ones((2, 50)))[0], named.step(np.ones((2, 50)))[0])


def test_the_scalar_form_has_them_too() -> None:
    env = gymnasium.make("GaitNet/MuscleHumanoid-v0").unwrapped
    env.reset(seed=0, options={"params": {"mass": 1.1}})
    assert env.param_space.names == SPACE.names
    np.testing.assert_array_equal(env.normalize_params({"mass": 1.4})[:1], [1.0])
    torque = gymnasium.make("GaitNet/Humanoid-v0").unwrapped
    torque.reset(seed=0, options={"params": {"mass": 1.1}})
    assert torque.core.physics.fields.own("body_mass").sum() == pytest.approx(1.1 * torque.core.robot.mass)
