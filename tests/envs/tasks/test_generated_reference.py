"""Environments that follow a RefNN: one row equals the scalar form, resets, parameters, mirror images."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from helpers.still_refnn import gliding, write_model

from gait_envs.models.mirror import mirror_of
from gait_envs.models.robot import humanoid
from gait_envs.reference.clip import ClipError
from gait_envs.reference.mirror import mirror
from gait_envs.reference.refnn.generator import generated_clips

ID = "GaitNet/HumanoidImitation-v0"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"refnn:{write_model(tmp_path_factory.mktemp('models') / 'gliding', gliding())}"


OWN = [{}, {"stride": 1.1, "cadence": 0.9}, {"scale": {"thigh": 1.05}}]


def test_a_row_is_the_scalar_environment(source: str) -> None:
    options = {"clip": "walk_100", "frame": 3}
    many = gym.make_vec(ID, 3, vectorization_mode="vector_entry_point", reference=source)
    rows, _ = many.reset(seed=5, options=options | {"params": OWN})
    actions = np.random.default_rng(0).uniform(-0.2, 0.2, size=(3, *rows.shape[:1], 50)).astype(np.float32)
    stepped = [many.step(action)[0] for action in actions]
    for i, params in enumerate(OWN):
        one = gym.make(ID, reference=source)
        obs, _ = one.reset(seed=5 + i, options=options | {"params": params})
        np.testing.assert_array_equal(obs, rows[i])
        for action, after in zip(actions, stepped, strict=True):
            np.testing.assert_array_equal(one.step(action[i])[0], after[i])
        one.close()
    many.close()


def test_the_reference_goes_as_it_is_asked_to(source: str) -> None:
    env = gym.make(ID, reference=source).unwrapped
    # 1.2 m in 36 frames, 1.1 times as far and 0.9 times as often: the walk at 1 m/s becomes one at 0.99.
    _, info = env.reset(seed=0, options={"clip": "walk_100", "frame": 0, "params": {"stride": 1.1, "cadence": 0.9}})
    assert info["command"][0] == pytest.approx(0.99, rel=1e-4)
    before = env.core.memory.reference_qpos[0].copy()
    for _ in range(4):
        env.step(np.zeros(50, np.float32))
    after = env.core.memory.reference_qpos[0]
    assert after[0] - before[0] == pytest.approx(4 / 30 * 0.99, rel=1e-4)
    np.testing.assert_allclose(after[7:], before[7:], atol=1e-6)
    with pytest.raises(ValueError, match=r"cadence is 141\.8"):
        env.reset(options={"clip": "walk_120", "params": {"cadence": 1.3}})
    env.close()


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_one_is_the_one(source: str, kind: type) -> None:
    """Torques, contacts and the network's own strides included; and it goes with nothing else."""
    one, listed = (gym.make(ID, reference=reference).unwrapped for reference in (source, kind([source])))
    params = {"stride": 1.1, "cadence": 0.9}
    for env in (one, listed):
        env.reset(seed=3, options={"clip": "walk_100", "frame": 2, "params": params})
    assert listed.core.task.player.generator is not None
    np.testing.assert_array_equal(listed.core.task.library.torque, one.core.task.library.torque)
    action = np.zeros(50, np.float32)
    np.testing.assert_array_equal(listed.step(action)[0], one.step(action)[0])
    with pytest.raises(ClipError, match=r"reference: refnn:.* cannot be one of several; name it alone"):
        gym.make(ID, reference=kind(["human_walk", source]))


def test_a_generated_walk_has_a_mirror_image() -> None:
    tables = mirror_of(humanoid())
    clip = generated_clips(gliding())[0]
    image = mirror(clip, tables)
    bodies = humanoid().body_positions(clip.qpos[:2])
    np.testing.assert_allclose(humanoid().body_positions(image.qpos[:2]), tables.body_positions(bodies), atol=1e-9)
