"""The promise itself: from scratch to walking on two cores. Minutes long, so `make test-slow` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.imitation.from_clips import clone_tracker, track
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import train


@pytest.mark.slow
def test_it_learns_to_walk_from_clips_and_random_networks(tmp_path: Path) -> None:
    begin = clone_tracker(track(tmp_path, "wildrobot_walk"), tmp_path, "wildrobot_walk")
    own = {"run.init": str(begin), "run.out": str(tmp_path), "run.stop_when.command": 0.4, "run.minutes": 20.0}
    result = train(load_config(preset="laptop", overrides=own))
    assert result.walks, result.stopped
    found = evaluate(load_policy(result.run.path), episodes=40, commands=[(0.4, 0.0, 0.0)], seed=7)
    assert found["success_rate"] >= 0.9
    assert found["speed_error"] <= 0.12
