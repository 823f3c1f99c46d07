"""`gait-train`: train, resume, evaluate, play, export. Thin: each command calls one function."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from gait_trainers.config import ConfigError, load_config, parse_assignment

# Commands that live in their own module, as the function `command`; the text is for the list of commands.
ELSEWHERE = {
    "evaluate": "Measure how well a policy walks, command by command.",
    "play": "Watch a policy walk, in a window or as a video.",
    "export": "Write a policy bundle: policy.onnx, policy.json and checksums.",
}


class LazyGroup(typer.core.TyperGroup):
    """Imports a command's module only when that command is asked for: torch alone takes seconds."""

    listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *ELSEWHERE]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        super().format_help(ctx, formatter)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        if self.listing:
            return typer.core.TyperCommand(cmd_name, help=ELSEWHERE[cmd_name])
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(importlib.import_module(f"gait_trainers.{cmd_name}").command)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train walking policies, and evaluate, play and export them.",
)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings.", exists=True, dir_okay=False)
]
Preset = Annotated[
    str | None, typer.Option(help="paper (the design document's values), laptop (two cores) or track (follow clips).")
]
Iterations = Annotated[int | None, typer.Option(help="Rollouts, each followed by an update.")]
TotalSteps = Annotated[int | None, typer.Option(help="Environment steps, instead of --iterations.")]
NumEnvs = Annotated[int | None, typer.Option(help="Environments stepped together.")]
Rate = Annotated[float | None, typer.Option("--lr", help="Learning rate of PPO.")]
Seed = Annotated[int | None, typer.Option(help="Decides everything random.")]
Verify = Annotated[bool, typer.Option("--verify", help="Smoke run: two tiny iterations, then read back.")]
Resume = Annotated[Path | None, typer.Option(help="Continue this run folder or checkpoint, bit for bit.")]
Device = Annotated[str | None, typer.Option(help="Of the networks: cpu, cuda, …")]
Threads = Annotated[int | None, typer.Option("--torch-threads", help="More than 1 disturbs the physics threads.")]
Out = Annotated[Path | None, typer.Option(help="Folder that holds run folders.")]
Name = Annotated[str | None, typer.Option(help="Name of the run folder.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", help="dotted.key=value, for any setting.")]
Weight = Annotated[float | None, typer.Option("--amp-weight", help="Weight of the style reward.")]
Data = Annotated[str | None, typer.Option("--amp-data", help="Reference: clip, folder of clips, or set name.")]


@app.command("ppo-amp")
def ppo_amp(
    config: ConfigFile = None,
    preset: Preset = None,
    iterations: Iterations = None,
    total_steps: TotalSteps = None,
    num_envs: NumEnvs = None,
    lr: Rate = None,
    amp_weight: Weight = None,
    amp_data: Data = None,
    seed: Seed = None,
    verify: Verify = False,
    resume: Resume = None,
    device: Device = None,
    torch_threads: Threads = None,
    out: Out = None,
    name: Name = None,
    set_: Assignments = None,
) -> None:
    """Train with PPO and an adversarial motion prior: to walk, and to walk like the reference."""
    named = {
        "run.iterations": iterations,
        "env.num_envs": num_envs,
        "ppo.learning_rate": lr,
        "amp.weight": amp_weight,
        "amp.data": amp_data,
        "env.kwargs.reference": amp_data,  # episodes that start inside the motion start inside the same one
        "run.seed": seed,
        "run.device": device,
        "run.torch_threads": torch_threads,
        "run.out": out and str(out),
        "run.name": name,
    }
    _train("ppo-amp", config, preset, named, set_ or [], total_steps, verify, resume)


@app.command("ppo")
def ppo(
    config: ConfigFile = None,
    preset: Preset = None,
    iterations: Iterations = None,
    total_steps: TotalSteps = None,
    num_envs: NumEnvs = None,
    lr: Rate = None,
    seed: Seed = None,
    verify: Verify = False,
    resume: Resume = None,
    device: Device = None,
    torch_threads: Threads = None,
    out: Out = None,
    name: Name = None,
    set_: Assignments = None,
) -> None:
    """Train with PPO on the task reward alone."""
    named = {
        "run.iterations": iterations,
        "env.num_envs": num_envs,
        "ppo.learning_rate": lr,
        "run.seed": seed,
        "run.device": device,
        "run.torch_threads": torch_threads,
        "run.out": out and str(out),
        "run.name": name,
    }
    _train("ppo", config, preset, named, set_ or [], total_steps, verify, resume)


# What may differ when a run is continued: how long, and on what. Anything else would not be the same run.
RESUMABLE = {"run.iterations", "run.device", "run.torch_threads"}


def _train(
    algorithm: str,
    config_file: Path | None,
    preset: str | None,
    named: dict[str, Any],
    assignments: list[str],
    total_steps: int | None,
    verify: bool,
    resume_from: Path | None,
) -> None:
    overrides = {key: value for key, value in named.items() if value is not None}
    overrides |= dict(parse_assignment(text) for text in assignments)
    if total_steps is not None and "run.iterations" in overrides:
        raise ConfigError("--total-steps and --iterations say the same thing twice; give one of them")
    if resume_from is not None:
        given = {"--config": config_file, "--preset": preset, "--verify": verify or None} | overrides
        fixed = sorted(key for key, value in given.items() if value is not None and key not in RESUMABLE)
        if fixed:
            raise ConfigError(
                f"--resume takes the configuration of the run, so {', '.join(fixed)} cannot be given; "
                f"only {', '.join(sorted(RESUMABLE))} may change"
            )

    # torch and Stable-Baselines3 take seconds to import; --help and wrong options should not wait for them.
    from gait_trainers import train as training

    if resume_from is not None:
        if total_steps is not None:
            run_config = load_config(training.open_run(resume_from)[0].config_file)
            overrides["run.iterations"] = training.iterations_for(total_steps, run_config)
        result = training.resume(resume_from, overrides)
    else:
        overrides = {"algorithm": algorithm} | overrides | (training.SMOKE if verify else {})
        settings = load_config(config_file, preset, overrides)
        if total_steps is not None and not verify:
            overrides["run.iterations"] = training.iterations_for(total_steps, settings)
            settings = load_config(config_file, preset, overrides)
        result = training.verify(settings) if verify else training.train(settings)
    if result.stopped:
        typer.echo(result.stopped)
    typer.echo(f"{result.iterations} iterations, {result.steps:,} steps in {result.seconds:.0f} s: {result.run.path}")


def main() -> None:
    """Entry point: an expected problem is one sentence on stderr and exit status 2, not a traceback."""
    try:
        app()
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        if not type(error).__module__.startswith("gait_"):
            raise
        typer.echo(f"gait-train: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
