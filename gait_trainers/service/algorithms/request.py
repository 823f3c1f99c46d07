"""What somebody asks for: the same fields for every algorithm, of which each knows its own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Line = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True, pattern=PRINTABLE)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class StartRequest(BaseModel):
    """A training that somebody asks for. What is left out is what the preset says."""

    model_config = ConfigDict(extra="forbid")

    name: Line = Field(description="What the training is called in lists.")
    algorithm: Name = Field(
        default="ppo-amp", description="The command that trains: ppo, ppo-amp, imitate, muscle, motionnn, refnn."
    )
    preset: Name | None = Field(default=None, description="Preset to begin with.")
    env: Name | None = Field(
        default=None, description="Environment, and with it the body; the body alone for motionnn and refnn."
    )
    motions: list[Name] = Field(
        default_factory=list, max_length=100, description="Ids of motions, or bundled:NAME of a set of the package."
    )
    total_steps: int | None = Field(default=None, ge=1, le=10**12, description="Environment steps, all together.")
    iterations: int | None = Field(
        default=None, ge=1, le=10**6, description="Rollouts, in place of total_steps; updates of motionnn."
    )
    epochs: int | None = Field(default=None, ge=1, le=1000, description="Passes of each update over its rollout.")
    batch_size: int | None = Field(
        default=None, ge=1, le=10**7, description="Environment steps, frames or rows in a minibatch."
    )
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="Adam step size.")
    hidden_sizes: list[Annotated[int, Field(ge=1, le=4096)]] | None = Field(
        default=None, min_length=1, max_length=8, description="Hidden layers of the networks."
    )
    num_envs: int | None = Field(default=None, ge=1, le=16384, description="Environments stepped together.")
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1, description="Seed of every random number.")
    settings: dict[str, Any] = Field(
        default_factory=dict, max_length=200, description="Any other setting, by its dotted key (GET /api/v1/form)."
    )
    timeout_hours: float | None = Field(default=None, gt=0, le=10_000, description="Longest time of the training.")
    tags: list[Line] = Field(default_factory=list, max_length=20, description="Words to find it by.")


NUMBERS = (  # fields that stand for settings, where an algorithm has them
    "total_steps", "iterations", "epochs", "batch_size", "learning_rate", "hidden_sizes", "num_envs", "seed",
)  # fmt: skip
