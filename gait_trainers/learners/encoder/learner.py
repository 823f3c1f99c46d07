"""The encoder of a training: unfrozen by iterations, its beginning kept in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from gait_trainers.config.schema import TrainConfig
from gait_trainers.learners.base import Learner
from gait_trainers.learners.encoder.schedule import UnfreezeEncoder, trainable_table
from gait_trainers.rl.sb3_vec import SB3VecEnv


class EncoderLearner(Learner):
    """The policy's optimiser trains the encoder; this says when."""

    def __init__(self, config: TrainConfig, base: SB3VecEnv) -> None:
        section, steps = config.section("encoder"), config.rollout_steps
        at = None if section.unfreeze_at is None else section.unfreeze_at * steps
        self.callback: UnfreezeEncoder = UnfreezeEncoder(
            at, section.unfreeze_every * steps, section.critic_warmup * steps
        )

    def describe(self, model: OnPolicyAlgorithm) -> list[str]:
        """The table of what learns."""
        self.callback.remember(model.policy)
        self.callback.apply(model.policy, model.num_timesteps)
        return trainable_table(model.policy, self.callback.initial)

    def get_state(self) -> dict[str, Any]:
        return {"initial": dict(self.callback.initial)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.callback.initial = dict(state["initial"])
