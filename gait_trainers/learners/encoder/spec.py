"""The encoder before it is built: its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gait_trainers.config.section import Section
from gait_trainers.learners.base import LearnerSpec

if TYPE_CHECKING:
    from gait_trainers.config.schema import TrainConfig


class EncoderConfig(Section):
    """A pre-trained motion model as the feature extractor of policy and value network."""

    path: str | None = Field(
        default=None, description="Motion model: file, folder or bundled name, of the encoding observable; null: none."
    )
    observation: Literal["all", "rest"] = Field(
        default="all",
        description="What the networks see beside its features: the whole observation, or what it does not see.",
    )
    random: bool = Field(default=False, description="Replace its trained weights by random ones, as a baseline.")
    unfreeze_at: int | None = Field(
        default=None, ge=0, description="Iteration at which it begins to learn; null keeps it frozen."
    )
    unfreeze_every: int = Field(
        default=0, ge=0, description="Iterations between layers, from the last to the first; 0 unfreezes all at once."
    )
    rate: float = Field(default=0.1, gt=0, description="Step size of the encoder, as a multiple of ppo.learning_rate.")
    critic_warmup: int = Field(
        default=0,
        ge=0,
        description="Iterations at the beginning in which the value network alone learns; not with ppo.lr_schedule kl.",
    )


def check(config: TrainConfig, options: Any) -> None:
    """ValueError for networks that an encoder cannot be part of, and for a learner without a model."""
    if config.section("encoder").path is None:
        raise ValueError("encoder.path is null; the learner encoder needs a motion model")
    if config.section("encoder").critic_warmup and config.ppo.lr_schedule == "kl":
        raise ValueError(
            "encoder.critic_warmup: not with ppo.lr_schedule kl, which would raise the step size as long as the policy "
            "does not change"
        )
    if config.networks.symmetric:
        raise ValueError("networks.symmetric: a policy with an encoder cannot be kept mirror-symmetric")


SPEC = LearnerSpec(
    name="encoder",
    section=EncoderConfig,
    make="gait_trainers.learners.encoder.learner:EncoderLearner",
    enabled=lambda section: section is not None and section.path is not None,
    check=check,
)
