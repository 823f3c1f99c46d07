"""What one test registers no other sees: run twice, each registers other things under the same names."""

from __future__ import annotations

import gymnasium
import pytest

from gait_envs import registry
from gait_envs.mocap.formats import FORMATS, Format, register_format
from gait_envs.reading.loaders import LOADERS

twice = pytest.mark.parametrize("turn", [10, 20])


@twice
def test_environments(turn: int) -> None:
    row = registry.find("walk")
    mine = registry.Environment("Mine/Walk-v0", "my_walk", row.robot, row.make, row.options, steps=turn)
    registry.register_environment(mine)
    assert gymnasium.spec("Mine/Walk-v0").max_episode_steps == turn


@twice
def test_formats(turn: int) -> None:
    register_format(Format("mine", (f".{turn}",), "mine", "nowhere"))
    assert FORMATS["mine"].suffixes == LOADERS["capture mine"].suffixes == (f".{turn}",)


@twice
def test_learners(turn: int) -> None:
    trainers = pytest.importorskip("gait_trainers.config.registry")
    from gait_trainers.config.section import Section
    from gait_trainers.learners.base import Learner, LearnerSpec

    spec = LearnerSpec("mine", Section, lambda config, base: Learner())
    trainers.register_learner(spec)
    assert trainers.learner_specs()["mine"] is spec
