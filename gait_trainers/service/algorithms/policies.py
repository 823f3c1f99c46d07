"""Policies that are trained in an environment: ppo-amp, ppo, imitate, muscle."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gait_envs.registry import ENVIRONMENTS, find_id
from gait_envs.tasks.config import TrackConfig
from gait_trainers.config.layers import dump_yaml, load_config, preset_names, validate
from gait_trainers.config.registry import learner_specs, learners_of
from gait_trainers.config.schema import TrainConfig
from gait_trainers.config.section import ConfigError
from gait_trainers.config.stored import check_stored
from gait_trainers.runs.monitoring import CHECKS
from gait_trainers.service.algorithms.contract import Algorithm, Command, Plan, invalid
from gait_trainers.service.algorithms.fields import Field, of_environment, of_section
from gait_trainers.service.algorithms.request import StartRequest
from gait_trainers.service.errors import Invalid

# Name: (description, its algorithm in the configuration, preset that it begins with, environment, follows clips).
_OFFERED = {
    "ppo-amp": ("Walk to commands, in the style of the motions.", "ppo-amp", None, "GaitNet/WildRobot-v0", False),
    "ppo": ("Walk to commands, by the task reward alone.", "ppo", None, "GaitNet/WildRobot-v0", False),
    "imitate": ("Track the motions frame by frame.", "ppo", "imitate", "GaitNet/WildRobotImitation-v0", True),
    "muscle": (
        "Track the motions with a muscle-driven body.", "muscle", "muscle", "GaitNet/MuscleHumanoidImitation-v0", True
    ),
}  # fmt: skip


@dataclass(frozen=True)
class PolicyTraining(Algorithm):
    """PPO, alone or beside what learns with it."""

    learns: str = "ppo"  # its algorithm in the configuration

    simple: ClassVar = (
        "run.iterations", "env.num_envs", "ppo.n_steps", "ppo.minibatches", "ppo.epochs", "ppo.learning_rate",
        "networks.policy", "networks.value", "run.seed", "amp.weight", "amp.learning_rate", "muscle.learning_rate",
    )  # fmt: skip
    named: ClassVar = {
        "iterations": ("run.iterations",), "epochs": ("ppo.epochs",), "learning_rate": ("ppo.learning_rate",),
        "hidden_sizes": ("networks.policy", "networks.value"), "num_envs": ("env.num_envs",), "seed": ("run.seed",),
        "total_steps": (), "batch_size": (),
    }  # fmt: skip
    derived: ClassVar = {  # from the size of a rollout
        "total_steps": ("run.iterations",), "batch_size": ("ppo.minibatches",),
    }  # fmt: skip
    unit: ClassVar = "steps"
    follows: ClassVar = ("evaluate", "film")
    extends: ClassVar = True

    def base(self, preset: str | None = None, env: str | None = None) -> TrainConfig:
        """Of a preset and an environment."""
        preset = preset or self.preset
        self.check_choice(preset, env)
        overrides = {"algorithm": self.learns} | ({"env.id": env} if env else {})
        try:
            return load_config(None, preset, overrides, {"env.id": self.env_id})
        except ConfigError as error:
            raise Invalid(str(error), "preset" if preset else "env") from None

    def form(self, preset: str | None = None, env: str | None = None) -> list[Field]:
        """Of the sections of the configuration, and of the environment's options."""
        config = self.base(preset, env)
        learners = {spec.name for spec in learners_of(self.learns)}
        fields: list[Field] = []
        for section in ("run", "env", "ppo", "networks", *sorted(learners)):
            fields += of_section(section, getattr(config, section), self.simple)
        fields += of_environment(config.env.id, config.env.kwargs)
        return sorted(fields, key=lambda field: field.advanced)

    def plan(self, request: StartRequest, clips: Sequence[str]) -> Plan:
        """The clips replace those that a preset names."""
        base, overrides = self.base(request.preset, request.env), self.overrides(request)
        if clips:
            reference = clips[0] if len(clips) == 1 else list(clips)
            overrides["env.kwargs.reference"] = reference
            overrides |= {"amp.data": reference} if self.name == "ppo-amp" else {}
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
        overrides |= {"algorithm": self.learns, "env.id": base.env.id, "run.tensorboard": False}
        try:
            config = load_config(None, request.preset or self.preset, overrides)
            check_stored(config.env.id, config.env.kwargs, "configuration")
        except ConfigError as error:
            raise invalid(error, overrides) from None
        cores = float(config.env.threads or 1)
        return Plan(
            config, config.env.id, config.run.iterations, config.rollout_steps, cores, memory_mb(config),
            disk_mb(config),
        )  # fmt: skip

    def written(self, tree: Mapping[str, Any]) -> str:
        """As `gait-train --config` reads it."""
        return dump_yaml(validate(dict(tree), "the stored configuration"))

    def begun(self, run: Path) -> bool:
        """From its first checkpoint on, or from the start where there is none yet."""
        return (run / "config.yaml").is_file()

    def start(self, run: Path, results: Path, clips: Sequence[str]) -> Command:
        """The configuration names the clips."""
        words = ("--config", str(results / "config.yaml"), "--out", str(run.parent), "--name", run.name)
        return ("gait_trainers", self.name, *words)

    def resume(self, run: Path, results: Path, iterations: int) -> Command:
        """Up to so many iterations."""
        return ("gait_trainers", self.name, "--resume", str(run), "--iterations", str(iterations))

    def after(self, kind: str, run: Path, results: Path) -> Command:
        """Bundle and validation; evaluation; the view in 3D."""
        return ("gait_trainers.service.jobs.finish", kind, str(run), str(results))

    def checks(self) -> list[Any]:
        """Of its learners; those of every training are looked at in any case."""
        specs = learners_of(self.learns) if learner_specs() else []
        known = {check.name for check in CHECKS}
        return [check for spec in specs for check in spec.checks if check.name not in known]


def policies() -> list[Algorithm]:
    """Those that the service offers, each with the environments and presets that it can be trained with."""
    found: list[Algorithm] = []
    for name, (description, learns, preset, env_id, follows) in _OFFERED.items():
        suited = tuple(row.id for row in ENVIRONMENTS.values() if _suits(row.options_type(), follows, name))
        presets = tuple(p for p in preset_names() if _loads(learns, p, env_id, suited))
        found.append(PolicyTraining(name, description, "policy", env_id, suited, preset, presets, follows, learns))
    return found


def _suits(options: type, follows: bool, name: str) -> bool:
    """Whether environments with these options are for an algorithm."""
    muscles = any(field.name == "actuation" and field.default == "muscle" for field in dataclasses.fields(options))
    return issubclass(options, TrackConfig) == follows and (name == "muscle") <= muscles


def _loads(learns: str, preset: str, env_id: str, suited: tuple[str, ...]) -> bool:
    """Whether a preset goes with an algorithm and one of its environments."""
    try:
        config = load_config(None, preset, {"algorithm": learns}, {"env.id": env_id})
    except ConfigError:
        return False
    return config.env.id in suited


def usual_preset(env_id: str) -> str | None:
    """The preset of an environment; None for a body."""
    row = find_id(env_id)
    return None if row is None else row.preset


# -- what it takes ---------------------------------------------------------------------------------------------


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
