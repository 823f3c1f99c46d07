"""`gait-train demonstrate`, `bc`, `gail` and `airl`: learning from demonstrations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gait_envs.reading.outputs import check_output
from gait_envs.wording import counted
from gait_trainers.commands.checks import parse_env_set
from gait_trainers.commands.options import (
    EnvSetOption,
    PhysicsThreads,
    PolicyArgument,
    ReferenceOption,
    SeedOption,
)
from gait_trainers.commands.train import Given, training_command
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import (
    FORMAT,
    Demonstrations,
    find_demonstrations,
    load_demonstrations,
    save_demonstrations,
)
from gait_trainers.policies.environment import acting
from gait_trainers.policies.loading import load_policy

INSTALL = "pip install 'gaitnet[train,imitation]' && pip install --no-deps imitation==1.0.1"

DemonstrationsArgument = Annotated[
    Path,
    typer.Argument(metavar="DEMONSTRATIONS", help="Demonstrations: file of gait-train demonstrate, or a bundled name."),
]
Horizon = Annotated[
    str,
    typer.Option(help="Length of an episode: fixed, where a fall does not end it, or variable, which is biased."),
]


def demonstrate_command(
    expert: PolicyArgument,
    out: Annotated[Path, typer.Option(help="File to write, which ends in .npz.")],
    env: Annotated[
        str | None,
        typer.Option("--env", help="Environment to demonstrate for; a policy that tracks clips may serve another."),
    ] = None,
    reference: ReferenceOption = None,
    episodes: Annotated[int, typer.Option(min=1, help="Number of episodes; failed ones are left out.")] = 50,
    env_set: EnvSetOption = None,
    seed: SeedOption = 0,
    threads: PhysicsThreads = 0,
) -> None:
    """Record what an expert observes and does, for behaviour cloning and its relatives."""
    check_output(out, ".npz", "format", format=FORMAT)
    loaded = load_policy(expert)
    usual = {} if env in (None, loaded.env_id) else _usual(env)
    found = demonstrate(
        loaded, env, episodes=episodes, reference=reference, env_kwargs=usual | parse_env_set(env_set or ()),
        seed=seed, threads=threads,
    )  # fmt: skip
    save_demonstrations(out, found)
    typer.echo(
        f"{out}: {len(found.episodes)} of {counted(episodes, 'episode')}, {found.steps:,} steps in {found.env_id}"
    )


@training_command
def bc(
    given: Given,
    demonstrations: DemonstrationsArgument,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the demonstrations.")] = 30,
    critic_iterations: Annotated[
        int, typer.Option(min=0, help="Rollouts to which the critic is fitted afterwards, for a warm start of PPO.")
    ] = 5,
    expert: Annotated[
        Path | None, typer.Option(help="DAgger: the policy that demonstrated, to be asked again in each round.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="DAgger: number of rounds, with --expert.")] = 1,
    reference: ReferenceOption = None,
    noise: Annotated[
        float, typer.Option(min=0.0, help="DAgger: standard deviation of noise on the policy's actions in the rounds.")
    ] = 0.0,
) -> None:
    """Clone an expert's behaviour from demonstrations; the run is a warm start of PPO (ppo --init)."""
    found, config = _prepare(given, demonstrations)
    if rounds > 1 and expert is None:
        raise ConfigError("--rounds is of DAgger, which asks the expert again; give --expert too")
    if rounds == 1 and (expert is not None or reference is not None):
        given_too = "--expert" if expert is not None else "--reference"
        raise ConfigError(f"{given_too} is of DAgger, whose rounds ask the expert again; give --rounds 2 or more too")
    if noise and rounds == 1:
        raise ConfigError("--noise is of DAgger, in whose rounds the policy acts; give --rounds too")
    with _Needed():
        from gait_trainers.imitation.cloning import Cloning, clone, dagger
    settings = Cloning(epochs=epochs, critic_iterations=critic_iterations)
    if given.overrides.get("ppo.learning_rate") is not None:
        settings = Cloning(epochs, learning_rate=config.ppo.learning_rate, critic_iterations=critic_iterations)
    if expert is None:
        run = clone(config, found, settings, typer.echo)
    else:
        run = dagger(
            config, load_policy(expert), found, settings, rounds=rounds, reference=reference, seed=config.run.seed,
            noise=noise, say=typer.echo,
        )  # fmt: skip
    typer.echo(f"{run.path}: begin from it with gait-train ppo --init {run.path}")


@training_command
def gail(given: Given, demonstrations: DemonstrationsArgument, horizon: Horizon = "fixed") -> None:
    """Train by generative adversarial imitation learning (GAIL), without the task's reward."""
    _adversarial("gail", given, demonstrations, horizon)


@training_command
def airl(given: Given, demonstrations: DemonstrationsArgument, horizon: Horizon = "fixed") -> None:
    """Train by adversarial inverse reinforcement learning (AIRL), without the task's reward."""
    _adversarial("airl", given, demonstrations, horizon)


def _adversarial(method: Literal["gail", "airl"], given: Given, demonstrations: Path, horizon: str) -> None:
    if horizon not in ("fixed", "variable"):
        raise ConfigError(f"--horizon {horizon!r}: allowed are fixed and variable")
    found, config = _prepare(given, demonstrations)
    with _Needed():
        from gait_trainers.imitation.adversarial import Adversarial, train_adversarial
    settings = Adversarial(horizon=horizon, batch_size=min(1024, config.rollout_steps, found.steps))  # type: ignore[arg-type]
    run = train_adversarial(method, config, found, settings, typer.echo)
    typer.echo(f"{counted(config.run.iterations, 'iteration')}, {config.total_steps:,} steps: {run.path}")


def _prepare(given: Given, file: Path) -> tuple[Demonstrations, TrainConfig]:
    """The demonstrations, and the configuration of a PPO in their environment."""
    if given.resume is not None:
        raise ConfigError("--resume: learning from demonstrations is not resumed; continue its run with ppo --resume")
    found = load_demonstrations(find_demonstrations(file))
    preset = given.preset or (None if given.config else _preset_of(found.env_id))
    implied: dict[str, Any] = {"algorithm": "ppo", "env.id": found.env_id}
    if given.verify:
        from gait_trainers.rl.train import smoke_settings

        implied |= smoke_settings()
    own = {**acting(found.env_id, found.env_kwargs), **found.env_kwargs}  # rather than the preset's
    usual = {f"env.kwargs.{key}": value for key, value in own.items()}
    overrides = implied | usual | given.overrides
    config = load_config(given.config, preset, overrides)
    if given.total_steps is not None:
        from gait_trainers.rl.train import iterations_for

        config = load_config(
            given.config, preset, overrides | {"run.iterations": iterations_for(given.total_steps, config)}
        )
    return found, config


def _usual(env_id: str) -> dict[str, Any]:
    """What observations and actions mean in the trainings of that environment: by its preset."""
    preset = _preset_of(env_id)
    if preset is None:
        return {}
    config = load_config(preset=preset)
    return acting(env_id, config.env.kwargs) if config.env.id == env_id else {}


def _preset_of(env_id: str) -> str | None:
    from gait_envs.registry import find_id

    row = find_id(env_id)
    return None if row is None else row.preset


class _Needed:
    """Says how to install `imitation`, whose pins shut out the libraries of today, where it is missing."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        missing = getattr(error, "name", None) or ""
        if isinstance(error, ModuleNotFoundError) and missing.split(".")[0] in ("imitation", "tqdm"):
            typer.echo(f"gait-train: this needs the package {missing}; install it with: {INSTALL}", err=True)
            sys.exit(2)
