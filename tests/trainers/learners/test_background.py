"""Updates that run beside PPO's: the same result as one after the other, and nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("stable_baselines3")
from helpers.runs import differences, final_state, metrics

from gait_trainers.config.layers import load_config
from gait_trainers.learners.background import BackgroundUpdate
from gait_trainers.rl.train import train

SMALL: dict[str, Any] = {
    "env.num_envs": 4, "env.threads": 1, "ppo.n_steps": 8, "ppo.minibatches": 2, "run.iterations": 3,
    "run.tensorboard": False,
}  # fmt: skip
# Windows of ten frames: after the first rollout there is nothing to learn from yet.
AMP = {"amp.batch_size": 32, "amp.updates": 3, "amp.replay_size": 500}
MUSCLE = {"algorithm": "muscle", "muscle.batch_size": 32, "muscle.updates": 3, "muscle.buffer_size": 500}
MUSCLE |= {"env.id": "GaitNet/MuscleHumanoidImitation-v0", "env.num_envs": 2, "ppo.n_steps": 4}


def test_an_update_is_begun_awaited_and_then_gone() -> None:
    update = BackgroundUpdate()
    assert update.wait() == {}
    update.begin(lambda: {"loss": 2.0})
    assert update.wait() == {"loss": 2.0}
    assert update.wait() == {}


def test_what_an_update_raises_is_raised_where_it_is_awaited() -> None:
    def fails() -> dict[str, float]:
        raise ZeroDivisionError("the update")

    update = BackgroundUpdate()
    update.begin(fails)
    with pytest.raises(ZeroDivisionError, match="the update"):
        update.wait()
    update.begin(dict)  # and the next may begin
    assert update.wait() == {}


def test_a_second_update_does_not_overtake_the_first() -> None:
    update = BackgroundUpdate()
    update.begin(dict)
    with pytest.raises(RuntimeError, match="not been awaited"):
        update.begin(dict)


@pytest.mark.parametrize("preset, settings", [("laptop", AMP), (None, MUSCLE)])
def test_a_training_is_the_same_bit_for_bit_as_with_updates_one_after_the_other(
    preset: str | None, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str) -> Path:
        own = {"run.out": str(tmp_path), "run.name": name}
        return train(load_config(preset=preset, overrides=SMALL | settings | own)).run.path

    def at_once(self: BackgroundUpdate, update: Any) -> None:
        self.found = update()  # type: ignore[attr-defined]

    beside = run("beside")
    monkeypatch.setattr(BackgroundUpdate, "begin", at_once)
    monkeypatch.setattr(BackgroundUpdate, "wait", lambda self: self.__dict__.pop("found", {}))
    in_turn = run("in_turn")
    assert len(metrics(beside)) == 3
    assert metrics(beside) == metrics(in_turn)
    assert not differences(final_state(beside), final_state(in_turn))
