"""Bundled policies as the beginning of a training, and what their configurations promise of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("stable_baselines3")
from gait_envs.assets import asset_path
from gait_envs.tasks.symmetry import task_mirror
from gait_trainers import load_policy
from gait_trainers.config.layers import load_config
from gait_trainers.config.section import ConfigError
from gait_trainers.imitation.student import leave_run
from gait_trainers.policies.environment import deployment_kwargs, make_env
from gait_trainers.rl.build import build
from gait_trainers.rl.warm_start import begin_from

BUNDLES = sorted(path.parent.name for path in asset_path("policies").glob("*/config.yaml"))


def is_symmetric(name: str) -> bool:
    config = yaml.safe_load((asset_path("policies") / name / "config.yaml").read_text())
    return bool(config["networks"].get("symmetric", False))


@pytest.mark.parametrize("name", [name for name in BUNDLES if is_symmetric(name)])
def test_one_that_is_symmetric_acts_as_its_mirror_image_would(name: str) -> None:
    """Its normaliser too, which a clone of demonstrations that favour a side once was not."""
    policy = load_policy(name)
    env = make_env(policy.env_id, num_envs=4, threads=1, **deployment_kwargs(policy.env_kwargs))
    mirrors = task_mirror(env.core.task)
    obs, _ = env.reset(seed=0)
    state, starts = policy.initial_state(4), np.ones(4, dtype=bool)
    for _ in range(25):
        action, _ = policy.act(obs, state, starts)
        mirrored, _ = policy.act(mirrors.observation(obs).astype(np.float32), state, starts)
        np.testing.assert_allclose(mirrored, mirrors.action(action), atol=1e-4)
        obs, *_ = env.step(action)
    assert np.abs(action).max() > 0.01
    env.close()


def test_a_clones_normaliser_outlives_the_first_resets(tmp_path: Path) -> None:
    """Its bundle was trained for no steps; what it was fitted to is not replaced by one batch of resets."""
    own = {"env.num_envs": 64, "ppo.n_steps": 16, "ppo.minibatches": 2, "run.init": "wildrobot_clone"}
    training = build(load_config(preset="laptop", overrides=own))
    begin_from("wildrobot_clone", training.config, training.model, training.learners)
    assert load_policy("wildrobot_clone").details["training"]["steps"] == 0
    env = training.model.get_env()
    assert env is not None
    before = training.model.get_vec_normalize_env().obs_rms.mean.copy()  # type: ignore[union-attr]
    env.reset()
    after, spread = (getattr(training.model.get_vec_normalize_env().obs_rms, key) for key in ("mean", "var"))
    assert (after != before).any()  # it goes on
    np.testing.assert_array_less(np.abs(after - before), 0.01 * np.sqrt(spread) + 1e-9)
    env.close()


def test_a_symmetric_training_begins_with_no_normaliser_that_favours_a_side(tmp_path: Path) -> None:
    own = {"env.num_envs": 4, "ppo.n_steps": 16, "ppo.minibatches": 2, "run.out": str(tmp_path), "run.name": "lopsided"}
    lopsided = build(load_config(preset="laptop", overrides=own | {"algorithm": "ppo"}))
    statistics = lopsided.model.get_vec_normalize_env().obs_rms  # type: ignore[union-attr]
    statistics.mean += 0.1 * np.arange(len(statistics.mean))
    run = leave_run(lopsided, {"method": "none", "licenses": []})
    training = build(load_config(preset="laptop", overrides=own | {"algorithm": "ppo", "run.init": str(run.path)}))
    with pytest.raises(ConfigError, match=r"networks\.symmetric True, which may be different there"):
        begin_from(str(run.path), training.config, training.model, training.learners)
