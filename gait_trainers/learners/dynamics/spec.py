"""The learned dynamics model before it is built: its settings, columns and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from gait_trainers.config.section import Section, Sizes
from gait_trainers.learners.base import Check, Column, LearnerSpec

if TYPE_CHECKING:
    from gait_trainers.config.schema import TrainConfig


class DynamicsConfig(Section):
    """A network that predicts the next observation and the reward, and the policy's updates through it."""

    hidden: Sizes = Field(default=[256, 256], description="Hidden layer sizes of the model.")
    horizon: int = Field(
        default=4, ge=1, le=32, description="Steps that the model is unrolled for, in its training and the policy's."
    )
    rollouts: int = Field(default=4, ge=1, description="Latest rollouts that the model is trained on; in checkpoints.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Adam step size of the model.")
    updates: int = Field(default=32, ge=0, description="Updates of the model per iteration.")
    batch_size: int = Field(default=512, ge=1, description="Starting states per update, of the model and the policy.")
    policy_learning_rate: float = Field(
        default=1e-4, gt=0, description="Adam step size of the policy's updates, at first; it follows PPO's schedule."
    )
    policy_updates: int = Field(
        default=8, ge=0, description="Updates of the policy through the model per iteration; 0 trains the model alone."
    )
    start_at: int = Field(
        default=10, ge=0, description="Iteration after which the policy is updated through the model."
    )
    trust: float = Field(
        default=1.0, ge=0, description="Weight of the policy's KL divergence from what it was before these updates."
    )


def check(config: TrainConfig, options: Any) -> None:
    """ValueError unless the policy learns, acts on single observations, and the horizon is within a rollout."""
    section: DynamicsConfig = config.section("dynamics")
    if config.networks.recurrent or config.networks.frames > 1:
        raise ValueError(f"learner dynamics needs a policy without a memory, not --policy {config.networks.memory}")
    if "encoder" in [spec.name for spec in config.specs]:
        raise ValueError("learner dynamics cannot improve a policy with an encoder; leave encoder.path out")
    if config.policy_frozen:
        raise ValueError("learner dynamics improves the policy, which muscle.policy_frozen keeps as it is")
    if section.horizon >= config.ppo.n_steps:
        raise ValueError(
            f"dynamics.horizon is {section.horizon}, allowed is 1 to ppo.n_steps - 1 = {config.ppo.n_steps - 1}"
        )


SPEC = LearnerSpec(
    name="dynamics",
    section=DynamicsConfig,
    make="gait_trainers.learners.dynamics.learner:DynamicsLearner",
    columns=(Column("model_error", "model {:.2f}"),),
    checks=(
        Check(
            "the dynamics model predicts no better than the mean",
            lambda row: row.get("model_error", 0.0) > 0.9,
            "its error on new rollouts is near the variance of what it predicts; raise dynamics.updates or "
            "dynamics.hidden, or normalise observations (ppo.normalize_obs)",
        ),
    ),
    smoke={"updates": 2, "policy_updates": 1, "start_at": 0, "batch_size": 64, "horizon": 2},
    check=check,
)
