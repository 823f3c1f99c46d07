"""Fewer physics steps a second: the same body, the same control steps, cheaper."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from gait_envs import registry
from gait_envs.models.robot import Robot, load_robot

SCENES = ("wildrobot/scene.xml", "humanoid/scene.xml", "humanoid/muscle_scene.xml")


def arrays(robot: Robot) -> dict[str, np.ndarray]:
    model = robot.model
    found = {name: getattr(model, name) for name in dir(model) if not name.startswith("_")}
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("scene", SCENES)
def test_the_bodys_own_rate_changes_nothing(scene: str) -> None:
    usual = load_robot(scene)
    asked = load_robot(scene, physics_rate=round(1.0 / usual.model.opt.timestep))
    assert (asked.substeps, asked.dt) == (usual.substeps, usual.dt)
    for name, value in arrays(usual).items():
        np.testing.assert_array_equal(getattr(asked.model, name), value, err_msg=name)


@pytest.mark.parametrize("scene, rate, substeps", [(SCENES[0], 150, 3), (SCENES[1], 120, 4), (SCENES[2], 60, 2)])
def test_a_control_step_is_of_fewer_physics_steps(scene: str, rate: float, substeps: int) -> None:
    usual, asked = load_robot(scene), load_robot(scene, physics_rate=rate)
    assert asked.substeps == substeps
    assert asked.dt == pytest.approx(usual.dt, rel=1e-12)
    assert asked.model.opt.timestep == 1.0 / rate
    assert asked.mass == usual.mass


def test_joints_get_what_stable_pd_takes_off() -> None:
    """At 120 Hz, kp / 120² of the ankle's 1,300 N·m/rad is 0.0903 kg·m², and 0.00694 of the 100 of a toe."""
    usual, asked = load_robot(SCENES[1]), load_robot(SCENES[1], physics_rate=120)
    ankle, toe = (6 + asked.joint_names.index(f"left_{name}") for name in ("ankle_dorsiflexion", "big_toe_extension"))
    assert asked.armature[ankle] == pytest.approx(1.05 * 1300 / 120**2)
    assert asked.armature[toe] == pytest.approx(1.05 * 100 / 120**2)
    # What is left of it in the model is the twentieth more; its law puts the rest back.
    assert asked.model.dof_armature[ankle] == pytest.approx(0.05 * 1300 / 120**2)
    # The elbow's 200 N·m/rad ask for 0.0146 of the 0.006 that it has, at the body's own 480 Hz for 0.0009.
    elbow = 6 + asked.joint_names.index("left_elbow_flexion")
    assert (usual.armature[elbow], asked.armature[elbow]) == (0.006, pytest.approx(0.0145833, rel=1e-5))
    assert (asked.armature >= usual.armature).all()


def test_joints_that_muscles_move_get_nothing() -> None:
    usual, asked = load_robot(SCENES[2]), load_robot(SCENES[2], physics_rate=120)
    ankle, elbow = (6 + asked.joint_names.index(f"left_{name}") for name in ("ankle_dorsiflexion", "elbow_flexion"))
    assert asked.armature[ankle] == usual.armature[ankle] == 0.006
    # Of a servo's, the robot's table leaves out what its law puts back, 200 N·m/rad / 120² here.
    assert asked.armature[elbow] == pytest.approx(0.05 * 200 / 120**2)


def test_wildrobots_own_servos_stay_as_they_are() -> None:
    usual, asked = load_robot(SCENES[0]), load_robot(SCENES[0], physics_rate=150)
    np.testing.assert_array_equal(asked.model.dof_armature, usual.model.dof_armature)


def test_a_body_falls_as_far() -> None:
    """From rest, k steps of h fall g h² k (k + 1) / 2: in 1/30 s, 5.791 mm with 16 of them and 6.812 mm with four."""
    for rate, fallen in ((480, 0.0057906), (120, 0.0068125)):
        env: Any = gymnasium.make("GaitNet/Humanoid-v0", physics_rate=rate).unwrapped
        qpos = env.core.robot.home_qpos.copy()
        qpos[2] += 0.2
        env.reset(seed=0, options={"qpos": qpos, "qvel": np.zeros(env.model.nv)})
        before = env.data.subtree_com[1, 2]
        env.step(np.zeros(env.action_space.shape))
        mujoco.mj_kinematics(env.model, env.data)
        mujoco.mj_comPos(env.model, env.data)
        assert before - env.data.subtree_com[1, 2] == pytest.approx(fallen, rel=1e-3), rate


@pytest.mark.parametrize("env_id", list(registry.IDS))
@pytest.mark.parametrize(
    "rate, told",
    [
        (100.5, "physics_rate is 100.5 Hz, allowed are multiples of the .. Hz of control"),
        (1.0, "physics_rate is 1 Hz, allowed are multiples of the .. Hz of control"),
        (0.0, "physics_rate is 0.0 Hz, allowed is more than 0, to 10000, or None"),
        (-30.0, "physics_rate is -30.0 Hz"),
        (3e5, "physics_rate is 300000.0 Hz"),
        (float("nan"), "physics_rate is nan"),
        ("120", "physics_rate is '120'"),
    ],
)
def test_other_rates_are_refused(env_id: str, rate: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        gymnasium.make(env_id, physics_rate=rate)


def test_muscles_need_an_even_number_of_steps() -> None:
    with pytest.raises(
        ValueError,
        match="150 Hz physics: muscles are updated every 2 physics steps, so that their rate is a multiple of 60 Hz",
    ):
        gymnasium.make("GaitNet/MuscleHumanoid-v0", physics_rate=150.0)
