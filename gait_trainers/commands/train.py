"""The training commands of `gait-train`: options become one configuration, which the trainer trains or continues."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gait_envs.constants import MOST_SEED, MOST_THREADS
from gait_envs.tasks.config import TrackConfig
from gait_envs.wording import counted
from gait_trainers.commands.options import ReferenceOption, ResumeOption
from gait_trainers.config.layers import load_config, parse_assignment, preset_names
from gait_trainers.config.schema import ConfigError, env_options
from gait_trainers.runs.resumption import RESUMABLE, check_given

IMITATION = "GaitNet/WildRobotImitation-v0"
MUSCLES = "GaitNet/MuscleHumanoidImitation-v0"
# Presets of those that need their own.
IMITATE = {"GaitNet/HumanoidImitation-v0": "imitate_humanoid", MUSCLES: "imitate_humanoid"}

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of settings, applied over the preset.", exists=True, dir_okay=False),
]
Preset = Annotated[str | None, typer.Option(help=f"Preset that comes with the package: {', '.join(preset_names())}.")]
Iterations = Annotated[int | None, typer.Option(min=1, help="Number of rollouts, each followed by an update.")]
TotalSteps = Annotated[int | None, typer.Option(min=1, help="Total environment steps, in place of --iterations.")]
NumEnvs = Annotated[int | None, typer.Option(min=1, help="Number of environments stepped together.")]
Rate = Annotated[float | None, typer.Option("--lr", help="Learning rate of PPO.")]
Seed = Annotated[int | None, typer.Option(min=0, max=MOST_SEED, help="Seed of every random number generator.")]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify", help="Smoke test: train two small iterations, unless options say otherwise, and read back."
    ),
]
Device = Annotated[str | None, typer.Option(help="Torch device of the networks, such as cpu or cuda.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "--torch-threads",
        min=1,
        max=MOST_THREADS,
        help="Threads of torch; more than one slows the physics threads down.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option("--policy", help="Memory of the policy: none, lstm, gru, or frames, a window of past observations."),
]
Init = Annotated[
    Path | None, typer.Option(help="Warm start from the networks of this run folder, checkpoint or bundle.")
]
Encoder = Annotated[
    str | None,
    typer.Option(help="Pre-trained motion model as feature extractor: file, folder or bundled name; see encoder.*."),
]
Out = Annotated[Path | None, typer.Option(help="Folder in which the run folder is created.")]
Name = Annotated[str | None, typer.Option(help="Name of the run folder.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting, as dotted.key=value; may be repeated.")
]
Weight = Annotated[float | None, typer.Option("--amp-weight", help="Weight of the style reward.")]
Followed = Annotated[
    str | None, typer.Option("--env", help=f"Environment that tracks the clips; {IMITATION} by default.")
]
Trained = Annotated[str | None, typer.Option("--env", help="Environment to train in, by its id (gait-train list).")]
Data = Annotated[
    str | None, typer.Option("--amp-data", help="Reference motion: a clip, a folder of clips or the name of a set.")
]


@dataclass(frozen=True)
class Given:
    """What was asked for on the command line of a training."""

    config: Path | None
    preset: str | None
    named: dict[str, Any]  # settings by dotted key; None: not given
    assignments: dict[str, Any]  # those of --set, which win
    total_steps: int | None
    verify: bool
    resume: Path | None

    def also(self, **changes: Any) -> Given:
        """With more of what is named, or something else in place of what was given."""
        return replace(self, **(changes | {"named": self.named | changes.get("named", {})}))

    @property
    def overrides(self) -> dict[str, Any]:
        """Dotted key of the configuration -> value; `--set` wins over an option for the same key."""
        return {key: value for key, value in self.named.items() if value is not None} | self.assignments


def given_options(
    config: ConfigFile = None,
    preset: Preset = None,
    iterations: Iterations = None,
    total_steps: TotalSteps = None,
    num_envs: NumEnvs = None,
    lr: Rate = None,
    seed: Seed = None,
    verify: Verify = False,
    resume: ResumeOption = None,
    device: Device = None,
    torch_threads: Threads = None,
    policy: Memory = None,
    init: Init = None,
    encoder: Encoder = None,
    out: Out = None,
    name: Name = None,
    set_: Assignments = None,
) -> Given:
    """The options that every training has."""
    named = {
        "run.iterations": iterations,
        "env.num_envs": num_envs,
        "ppo.learning_rate": lr,
        "run.seed": seed,
        "run.device": device,
        "run.torch_threads": torch_threads,
        "networks.memory": policy,
        "run.init": init and str(init),
        "encoder.path": encoder,
        "run.out": out and str(out),
        "run.name": name,
    }
    assignments = dict(parse_assignment(text) for text in set_ or ())
    return Given(config, preset, named, assignments, total_steps, verify, resume)


def training_command(function: Callable[..., None]) -> Callable[..., None]:
    """A training command with `given_options` besides its own; `function` gets them as its first argument."""
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    shared = inspect.signature(given_options, eval_str=True).parameters.values()

    @functools.wraps(function)
    def command(**values: Any) -> None:
        mine = {parameter.name: values.pop(parameter.name) for parameter in own}
        function(given_options(**values), **mine)

    command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined] # what typer reads
    return command


@training_command
def ppo_amp(given: Given, env: Trained = None, amp_weight: Weight = None, amp_data: Data = None) -> None:
    """Train with PPO and an adversarial motion prior, to walk in the style of the reference."""
    # Episodes that start inside the motion start inside the same one.
    named = {"env.id": env, "amp.weight": amp_weight, "amp.data": amp_data, "env.kwargs.reference": amp_data}
    _train(given.also(named=named), {"algorithm": "ppo-amp"})


@training_command
def ppo(given: Given, env: Trained = None) -> None:
    """Train with PPO on the task reward alone."""
    _train(given.also(named={"env.id": env}), {"algorithm": "ppo"})


@training_command
def imitate(given: Given, env: Followed = None, reference: ReferenceOption = None) -> None:
    """Train with PPO to track reference clips frame by frame, with the preset imitate unless another is given."""
    clips = reference[0] if reference and len(reference) == 1 else reference
    given = given.also(named={"env.id": env, "env.kwargs.reference": clips})
    _check_follows(given.overrides.get("env.id"))  # first: the preset knows only options of those that do
    if given.resume is None and given.preset is None and given.config is None:
        given = given.also(preset=IMITATE.get(str(given.overrides.get("env.id")), "imitate"))
    usual = {"env.id": IMITATION, "algorithm": "ppo"}
    if given.resume is None:
        _check_follows(load_config(given.config, given.preset, given.overrides, usual).env.id)
    _train(given, {}, usual, imitates=True)


def _check_follows(env_id: Any) -> None:
    """ConfigError for one of our environments that follows no clips."""
    if _follows_none(env_id):
        raise ConfigError(f"env.id {env_id!r} follows no clips; one that does is {IMITATION!r}")


def _follows_none(env_id: Any) -> bool:
    """Whether it is one of our environments that follows no clips."""
    options = env_options(str(env_id))
    return options is not None and not issubclass(options, TrackConfig)


@training_command
def muscle(given: Given, env: Trained = None, reference: ReferenceOption = None) -> None:
    """Train a muscle-driven body and the network that turns desired torques into activations, with the preset muscle
    unless another is given."""
    clips = reference[0] if reference and len(reference) == 1 else reference
    given = given.also(named={"env.id": env, "env.kwargs.reference": clips})
    if given.resume is None and given.preset is None and given.config is None:
        given = given.also(preset="muscle")
    _train(given, {"algorithm": "muscle"}, {"env.id": MUSCLES})


def _train(given: Given, implied: dict[str, Any], usual: dict[str, Any] | None = None, imitates: bool = False) -> None:
    """Train or continue; `implied` are the settings that the command itself stands for, `usual` what it begins from;
    `imitates`: it is the command that tracks clips."""
    overrides = given.overrides
    if given.total_steps is not None and "run.iterations" in overrides:
        raise ConfigError("--total-steps and --iterations say the same thing twice; give one of them")
    if given.resume is not None:
        options = {"--config": given.config, "--preset": given.preset, "--verify": given.verify or None} | overrides
        check_given(options, RESUMABLE)

    # torch and Stable-Baselines3 take seconds to import; --help and wrong options should not wait for them.
    from gait_trainers.rl import train as trainer

    if given.resume is not None:
        run_config = trainer.open_run(given.resume)[0].config()
        another = run_config.algorithm != implied.get("algorithm", run_config.algorithm)
        if another or (imitates and _follows_none(run_config.env.id)):
            typer.echo(f"{given.resume} is a run of gait-train {run_config.algorithm}, and goes on as one", err=True)
        if given.total_steps is not None:
            overrides["run.iterations"] = trainer.iterations_for(given.total_steps, run_config)
        result = trainer.resume(given.resume, overrides, by_command=True)
    else:
        # What is given on the command line wins over what --verify makes small, and that over files and presets.
        overrides = implied | (trainer.smoke_settings() if given.verify else {}) | overrides
        settings = load_config(given.config, given.preset, overrides, usual)
        if given.total_steps is not None:
            overrides["run.iterations"] = trainer.iterations_for(given.total_steps, settings)
            settings = load_config(given.config, given.preset, overrides, usual)
        result = trainer.verify(settings) if given.verify else trainer.train(settings)
    if result.stopped:
        typer.echo(result.stopped)
    trained = f"{counted(result.iterations, 'iteration')}, {result.steps:,} steps in {result.seconds:.0f} s"
    typer.echo(f"{trained}: {result.run.path}")
