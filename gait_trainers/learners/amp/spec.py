"""AMP before it is built: its settings, its columns, its health checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gait_trainers.config.section import Section, Sizes
from gait_trainers.learners.base import Check, Column, LearnerSpec

if TYPE_CHECKING:
    from gait_trainers.config.schema import TrainConfig


class AMPConfig(Section):
    """The discriminator and the style reward."""

    weight: float = Field(default=0.5, ge=0, description="Weight of the style reward: reward = task + weight * style.")
    data: str | list[str] | None = Field(
        default=None, description="Reference clips, folders or embedded sets; null uses the environment's reference."
    )
    mirror: bool = Field(default=False, description="Also use the mirror image of each clip as reference.")
    frames: int = Field(default=1, ge=1, le=50, description="Number of frames in a window.")
    dilation: int = Field(default=1, ge=1, le=50, description="Control steps between the frames of a window.")
    mirror_policy: bool = Field(
        default=False, description="Replace each policy window by its mirror image with probability 1/2."
    )
    spare_standing: bool = Field(
        default=False,
        description="While a walker is commanded to stand still, give it the mean style reward of the others and keep "
        "its windows from the discriminator, whose reference shows walking.",
    )
    reward: Literal["clip", "quadratic"] = Field(
        default="clip", description="How the style reward follows from the score."
    )
    hidden: Sizes = Field(default=[1024, 512, 256], description="Hidden layer sizes of the discriminator.")
    spectral_norm: bool = Field(
        default=True,
        description="Spectral normalisation of the hidden layers; without it they have layer normalisation.",
    )
    learning_rate: float = Field(default=1e-4, gt=0, description="Adam step size of the discriminator.")
    batch_size: int = Field(
        default=2048, ge=1, description="Reference windows per minibatch, and as many policy windows."
    )
    updates: int = Field(default=3, ge=1, description="Discriminator updates per iteration.")
    r1_gamma: float = Field(
        default=5.0, ge=0, description="R1 penalty: gamma/2 * |dD/dx|^2 on normalised reference windows x."
    )
    input_noise: float = Field(
        default=0.02, ge=0, description="Standard deviation of the noise on normalised inputs in training."
    )
    input_noise_final: float | None = Field(
        default=None,
        ge=0,
        description="Value of input_noise after input_noise_decay iterations, which it needs; null keeps it constant.",
    )
    input_noise_decay: int = Field(
        default=0, ge=0, description="Iterations over which the noise changes linearly to input_noise_final."
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=0.5, description="Label smoothing s: targets become 1 - s and s."
    )
    accuracy_ceiling: float = Field(
        default=1.0, gt=0.5, le=1, description="Updates are skipped while disc_acc is above this."
    )
    feature_std_floor: float | None = Field(
        default=None,
        gt=0,
        description="Lower bound of the standard deviation a feature is divided by; null takes one that suits its "
        "unit: 0.02 rad, 0.2 rad/s, 5 mm, 0.02.",
    )
    replay_size: int = Field(
        default=100_000, ge=0, description="Capacity of the replay buffer of policy windows; 0 disables it."
    )
    replay_ratio: float = Field(
        default=0.5, ge=0, le=1, description="Share of policy windows drawn from the replay buffer."
    )


def check(config: TrainConfig, options: Any) -> None:
    """ValueError for an input noise that has a last value and no time to reach it in."""
    section: AMPConfig = config.section("amp")
    if section.input_noise_final is not None and section.input_noise_decay == 0:
        raise ValueError("amp.input_noise_final needs amp.input_noise_decay, the iterations that it is reached in")


# An accuracy near 1 is no fault by itself, as long as windows of the policy still score above 0 and get a reward.
SATURATED, UNREWARDED = 0.98, 0.02
RANKS = 0.2  # rank correlation of scores with nearness to the reference, below which the reward does not guide
FLAT = 0.05  # standard deviation of the scores of either side, and half of the distance of their means


def _saturated(row: Mapping[str, float]) -> bool:
    return row.get("disc_acc", 0.5) > SATURATED and row.get("amp_reward", 1.0) < UNREWARDED


def _flat(row: Mapping[str, float]) -> bool:
    if "disc_real_std" not in row:
        return False
    apart = abs(row["disc_real_mean"] - row["disc_fake_mean"])
    return max(row["disc_real_std"], row["disc_fake_std"]) < FLAT and apart < 2 * FLAT


SPEC = LearnerSpec(
    name="amp",
    section=AMPConfig,
    make="gait_trainers.learners.amp.learner:AMPLearner",
    columns=(Column("amp_reward", "style {:.2f}"), Column("disc_acc", "disc {:.2f}")),
    checks=(
        Check(
            "disc_acc stuck at 1",
            _saturated,
            "the discriminator tells every window apart and the style reward is about 0, so that it guides nothing; "
            "raise amp.r1_gamma or amp.input_noise, lower amp.learning_rate or amp.updates, or use a reference "
            "recorded in simulation",
        ),
        Check(
            "disc_acc stuck at 0.5",
            lambda row: "disc_acc" in row and abs(row["disc_acc"] - 0.5) < 0.02,
            "the discriminator learns nothing; raise amp.learning_rate or amp.updates, or lower amp.r1_gamma",
        ),
        Check(
            "the style reward does not rank motions",
            lambda row: row.get("style_rank", 1.0) < RANKS,
            "its scores of windows from the whole training hardly follow their nearness to the reference; lower "
            "amp.r1_gamma or amp.input_noise, use longer windows (amp.frames), or a reference at the commanded speeds",
        ),
        Check(
            "flat discriminator",
            _flat,
            "it scores windows of reference and policy alike, so that the style reward is the same whatever the policy "
            "does; lower amp.r1_gamma or amp.input_noise, or raise amp.learning_rate or amp.updates",
        ),
    ),
    smoke={"batch_size": 64},
    check=check,
    style_weight=lambda section: section.weight,
    artefacts="gait_trainers.learners.amp.learner:artefacts",
)
