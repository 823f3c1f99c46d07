"""From what was asked for to a configuration, and what it will take."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from gait_envs.reference.library import EMBEDDED_SETS
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import TrainConfig
from gait_trainers.config.section import ConfigError
from gait_trainers.config.stored import check_stored
from gait_trainers.service.db.tables import Motion, TrainingSession, User
from gait_trainers.service.errors import Invalid
from gait_trainers.service.operations.form import algorithm, algorithms, base_config, check, form

__all__ = ["Estimate", "StartRequest", "algorithms", "configuration", "estimate", "form", "placeholder"]

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Line = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True, pattern=PRINTABLE)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
BUNDLED = "bundled:"  # before the name of a set that comes with the package
INFINITE = {"inf": float("inf"), "-inf": float("-inf")}  # JSON has no infinity
MOTION = "motion:"  # before the id of an uploaded motion, where a configuration names a file


class StartRequest(BaseModel):
    """A training that somebody asks for. What is left out is what the preset says."""

    model_config = ConfigDict(extra="forbid")

    name: Line = Field(description="What the training is called in lists.")
    algorithm: Name = Field(default="ppo-amp", description="The command that trains: ppo, ppo-amp, imitate, muscle.")
    preset: Name | None = Field(default=None, description="Preset to begin with.")
    env: Name | None = Field(default=None, description="Environment, and with it the body.")
    motions: list[Name] = Field(
        default_factory=list, max_length=100, description="Ids of motions, or bundled:NAME of a set of the package."
    )
    total_steps: int | None = Field(default=None, ge=1, le=10**12, description="Environment steps, all together.")
    iterations: int | None = Field(default=None, ge=1, le=10**6, description="Rollouts, in place of total_steps.")
    epochs: int | None = Field(default=None, ge=1, le=1000, description="Passes of each update over its rollout.")
    batch_size: int | None = Field(default=None, ge=1, le=10**7, description="Environment steps in a minibatch.")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="Adam step size of the policy.")
    hidden_sizes: list[Annotated[int, Field(ge=1, le=4096)]] | None = Field(
        default=None, min_length=1, max_length=8, description="Hidden layers of the policy and the value network."
    )
    num_envs: int | None = Field(default=None, ge=1, le=16384, description="Environments stepped together.")
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1, description="Seed of every random number.")
    settings: dict[str, Any] = Field(
        default_factory=dict, max_length=200, description="Any other setting, by its dotted key (GET /api/v1/form)."
    )
    timeout_hours: float | None = Field(default=None, gt=0, le=10_000, description="Longest time of the training.")
    tags: list[Line] = Field(default_factory=list, max_length=20, description="Words to find it by.")


@dataclass(frozen=True)
class Estimate:
    """What a training will probably take."""

    seconds: float | None  # None: nothing like it has been trained here
    memory_mb: int
    disk_mb: int
    steps: int
    basis: str


def configuration(db: Session, user: User, request: StartRequest) -> TrainConfig:
    """The whole configuration; files of motions are named by placeholders. Invalid names the field at fault."""
    base = base_config(request.algorithm, request.preset, request.env)
    overrides = check(form(request.algorithm, request.preset, request.env), request.settings)
    named = {
        "ppo.learning_rate": request.learning_rate, "networks.policy": request.hidden_sizes,
        "networks.value": request.hidden_sizes, "env.num_envs": request.num_envs, "run.seed": request.seed,
        "ppo.epochs": request.epochs, "run.iterations": request.iterations,
    }  # fmt: skip
    overrides |= {key: value for key, value in named.items() if value is not None}
    overrides |= _reference(db, user, request)
    envs = overrides.get("env.num_envs", base.env.num_envs)
    rollout = envs * overrides.get("ppo.n_steps", base.ppo.n_steps)
    if request.batch_size is not None:
        if rollout % request.batch_size:
            raise Invalid(f"does not divide a rollout of {rollout} steps", "batch_size")
        overrides["ppo.minibatches"] = rollout // request.batch_size
    if request.total_steps is not None:
        if request.iterations is not None:
            raise Invalid("total_steps and iterations say the same thing twice; give one of them", "total_steps")
        overrides["run.iterations"] = max(1, -(-request.total_steps // rollout))
    overrides |= {"algorithm": algorithm(request.algorithm).learns, "env.id": base.env.id, "run.tensorboard": False}
    try:
        config = load_config(None, request.preset or algorithm(request.algorithm).preset, overrides)
        check_stored(config.env.id, config.env.kwargs, "configuration")
    except ConfigError as error:
        raise Invalid(str(error), _field_of(str(error), overrides)) from None
    return config


def storable(tree: Any) -> Any:
    """A configuration as JSON can hold it."""
    if isinstance(tree, dict):
        return {str(key): storable(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [storable(value) for value in tree]
    return next((name for name, value in INFINITE.items() if value == tree), tree) if isinstance(tree, float) else tree


def _reference(db: Session, user: User, request: StartRequest) -> dict[str, Any]:
    """Which clips, by placeholders for the files of uploaded motions."""
    from gait_trainers.service.operations.visible import sees_motion

    if not request.motions:
        return {}
    names: list[str] = []
    for given in request.motions:
        if given.startswith(BUNDLED):
            name = given.removeprefix(BUNDLED)
            if name not in EMBEDDED_SETS.values():
                raise Invalid(f"bundled sets are {', '.join(EMBEDDED_SETS.values())}", "motions")
            names.append(name)
            continue
        motion = db.get(Motion, given)
        if motion is None or not sees_motion(user, motion):
            raise Invalid("there is no such motion", "motions")
        if motion.state not in ("ready", "accepted"):
            raise Invalid(
                f"{motion.name} is {motion.state}; only what is ready or accepted can be trained on", "motions"
            )
        names.append(placeholder(motion.id))
    clips: str | list[str] = names[0] if len(names) == 1 else names
    found: dict[str, Any] = {"env.kwargs.reference": clips}
    return found | ({"amp.data": clips} if request.algorithm == "ppo-amp" else {})


def placeholder(motion_id: str) -> str:
    """What stands for a motion's file in a configuration until its training starts."""
    return f"{MOTION}{motion_id}"


def _field_of(message: str, overrides: dict[str, Any]) -> str | None:
    """The key that a message of the configuration names."""
    named = (key for key in overrides if key in message or key.removeprefix("env.kwargs.") in message)
    keys = sorted(named, key=len, reverse=True)
    return keys[0] if keys else None


def estimate(db: Session, user: User, request: StartRequest) -> Estimate:
    """What a training like this took here before, or what its sizes say."""
    config = configuration(db, user, request)
    memory, disk = memory_mb(config), disk_mb(config)
    before = db.execute(
        select(TrainingSession.seconds, TrainingSession.iteration, TrainingSession.rollout_steps)
        .where(
            TrainingSession.algorithm == request.algorithm, TrainingSession.env_id == config.env.id,
            TrainingSession.iteration > 0, TrainingSession.seconds > 0,
        )
        .order_by(TrainingSession.created_at.desc())
        .limit(5)
    ).all()  # fmt: skip
    if not before:
        return Estimate(
            None, memory, disk, config.total_steps, "nothing like it has been trained here yet; time is not known"
        )
    rate = sum(iteration * steps for _, iteration, steps in before) / sum(seconds for seconds, _, _ in before)
    basis = f"{rate:,.0f} steps/s, from {len(before)} earlier trainings of this kind"
    return Estimate(config.total_steps / rate, memory, disk, config.total_steps, basis)


def parameters(config: TrainConfig) -> int:
    """About how many numbers policy and value network have, for inputs and outputs of our bodies."""
    widest = 0
    for sizes in (config.networks.policy, config.networks.value):
        layers = [200 * config.networks.frames, *sizes, 40]
        widest += sum(a * b for a, b in itertools.pairwise(layers))
    return widest


def memory_mb(config: TrainConfig) -> int:
    """About how much memory a training takes: the libraries, the simulations, the rollout, the networks."""
    rollout = config.rollout_steps * 300 * config.networks.frames * 8
    simulations = config.env.num_envs * 200_000
    return int(600 + (rollout + simulations + 16 * 4 * parameters(config)) / 1e6)


def disk_mb(config: TrainConfig) -> int:
    """About how much disk a run folder takes: checkpoints with the optimiser's state, and metrics."""
    checkpoint = 3 * 4 * parameters(config) + config.env.num_envs * 20_000
    return int(5 + (config.run.keep_checkpoints + 1) * checkpoint / 1e6 + config.run.iterations * 600 / 1e6)


def fingerprint(request: BaseModel) -> str:
    """Of what was asked for, to tell a repetition from another request under the same key."""
    return hashlib.sha256(json.dumps(request.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
