"""MuscleNN before it is built: its settings, its columns, and what it needs of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gait_trainers.config.section import Section, Sizes
from gait_trainers.learners.base import Column, LearnerSpec

if TYPE_CHECKING:
    from gait_trainers.config.schema import TrainConfig


class MuscleConfig(Section):
    """The network that turns desired torques into activations, and its training beside the policy."""

    controller: Literal["nn", "qp"] = Field(
        default="nn",
        description="Muscle controller: nn, the network after static optimisation; qp, static optimisation alone.",
    )
    handover: float = Field(default=0.1, gt=0, description="The network takes control once muscle_gap is at most this.")
    handover_iterations: int = Field(
        default=20, ge=1, description="Iterations over which the network takes over the simulations, one by one."
    )
    hidden: Sizes = Field(default=[1024, 512, 512], description="Hidden layer sizes of the network.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Adam step size of the muscle network.")
    lr_schedule: Literal["constant", "linear"] = Field(
        default="linear", description="Schedule of the step size; linear decays to 0 at the end."
    )
    batch_size: int = Field(default=128, ge=1, description="Number of tuples per minibatch.")
    updates: int = Field(default=64, ge=1, description="Network updates per iteration.")
    effort: float = Field(
        default=0.01, ge=0, description="Weight of effort: loss = |torque error / 100 N·m|^2 + effort * |a|^2."
    )
    swapped: float = Field(
        default=0.5, ge=0, le=1, description="Share of tuples trained with the desired torque of another tuple."
    )
    buffer_size: int = Field(
        default=40_000, ge=100, description="Capacity of the tuple buffer; 1.3 kB per tuple, also in checkpoints."
    )
    held_out: float = Field(default=0.1, gt=0, le=0.5, description="Share of environments held out for validation.")
    policy_frozen: bool = Field(default=False, description="Freeze the policy and train the network alone.")


def check(config: TrainConfig, options: Any) -> None:
    """ValueError unless the environment's muscles follow poses, by static optimisation to begin with."""
    if options is None:
        return
    if getattr(options, "actuation", "none") != "muscle":
        raise ValueError(f"algorithm muscle needs muscles that follow poses, not env.id {config.env.id}")
    if options.muscle_controller != "qp":
        raise ValueError(
            "env.kwargs.muscle_controller: algorithm muscle chooses the controller itself, see "
            "muscle.controller; to continue with a trained network, start from its run or bundle with run.init"
        )


SPEC = LearnerSpec(
    name="muscle",
    section=MuscleConfig,
    make="gait_trainers.learners.muscle.learner:MuscleLearner",
    columns=(
        Column("muscle_residual", "torque missed {:.0%}"),
        Column("qp_residual", "of at least {:.0%}"),
    ),
    smoke={"updates": 4},
    check=check,
    freezes_policy=lambda section: section.policy_frozen,
    artefacts="gait_trainers.learners.muscle.learner:artefacts",
)
