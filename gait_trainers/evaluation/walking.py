"""Runs a policy over many episodes and says how well it walks, command by command, or follows clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from rich.console import Console

from gait_envs.tasks.config import WalkConfig
from gait_trainers.commands.options import EnvOption, PhysicsThreads, PolicyArgument, ReferenceOption, StochasticOption
from gait_trainers.evaluation.gait_metrics import episode_metrics
from gait_trainers.evaluation.rollout import BATCH, EvaluationError, json_options, record, summary
from gait_trainers.evaluation.tracking import evaluate_tracking, follows_clips, print_tracking
from gait_trainers.policies.bundle import (
    MANIFEST,
    Policy,
    PolicyError,
    deployment_kwargs,
    in_environment,
    load_bundle,
    make_env,
)
from gait_trainers.reports.tables import figure_cells, figure_table, show_falls

GRID = tuple((round(0.1 * i, 1), 0.0, 0.0) for i in range(1, 11))  # forward at 0.1 … 1.0 m/s

Command = tuple[float, float, float]  # forward m/s, leftward m/s, yaw rate rad/s


def load_policy(path: str | Path, env_id: str | None = None) -> Policy:
    """The policy of a bundle folder, a run folder (its latest checkpoint) or a checkpoint file.

    With `env_id` it acts there instead of where it was trained; what it leaves behind is said on stderr.
    """
    policy = _load_policy(Path(path))
    return policy if env_id is None else in_environment(policy, env_id, lambda text: typer.echo(text, err=True))


def _load_policy(path: Path) -> Policy:
    if (path / MANIFEST).exists():
        return load_bundle(path)
    if path.is_file() or (path / "checkpoints").is_dir():
        from gait_trainers.policies.torch_policy import policy_from_run  # needs torch; a bundle does not

        return policy_from_run(path)
    kinds = "a bundle (policy.json), a run folder (checkpoints/) or a checkpoint file"
    if not path.exists():
        raise PolicyError(f"{path}: no such file or folder; expected {kinds}")
    raise PolicyError(f"{path}: holds {', '.join(sorted(p.name for p in path.iterdir())) or 'nothing'}, not {kinds}")


# -- evaluation ----------------------------------------------------------------------------------------


def evaluate(
    policy: Policy,
    episodes: int = 100,
    commands: Sequence[Command] | None = None,
    stochastic: bool = False,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    threads: int = 0,
) -> dict[str, Any]:
    """`episodes` episodes shared out evenly over `commands`; JSON-able figures, overall and per command.

    Every episode counts once, from its reset to its fall or time-out. A figure is the mean over the episodes
    in which it can be measured and None where there is none. Without `commands`, forward speeds in steps of
    0.1 m/s as far as the policy's environment commands them.
    """
    commands = list(commands or thinned(default_commands(policy), episodes))
    if episodes < len(commands):
        raise EvaluationError(f"{episodes} episodes are too few for {len(commands)} commands; give at least one each")
    of_command = np.arange(episodes) % len(commands)  # episode -> command, shared out evenly
    wanted = np.asarray(commands, dtype=float)[of_command]
    columns: dict[str, list[np.ndarray]] = {}
    for start in range(0, episodes, BATCH):
        rollout, ends = record(
            policy, wanted[start : start + BATCH],
            stochastic=stochastic, seed=seed + start, env_kwargs=env_kwargs, threads=threads,
        )  # fmt: skip
        figures = episode_metrics(rollout) | ends | {"episode_length": ends["steps"] * rollout.dt}
        for name, values in figures.items():
            columns.setdefault(name, []).append(values)
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    per_command = [{"command": list(command), **summary(table, of_command == i)} for i, command in enumerate(commands)]
    return {
        "policy": policy.name,
        "environment": policy.env_id,
        "env_kwargs": json_options(env_kwargs or {}),
        "mode": "stochastic" if stochastic else "deterministic",
        "seed": seed,
        **summary(table, np.ones(episodes, bool)),
        "per_command": per_command,
    }


def default_commands(policy: Policy) -> list[Command]:
    """The forward speeds of GRID within the environment's command range; at least the nearest one."""
    env = make_env(policy.env_id, threads=1, **deployment_kwargs(policy.env_kwargs))
    config = env.core.task.config
    env.close()
    if not isinstance(config, WalkConfig):
        raise EvaluationError(f"{policy.name}: {policy.env_id} draws no commands; it follows clips")
    low, high = config.command_low[0], config.command_high[0]
    within = [command for command in GRID if low - 1e-6 <= command[0] <= high + 1e-6]
    return within or [(low, 0.0, 0.0)]


def thinned(commands: list[Command], most: int) -> list[Command]:
    """At most `most` of the commands, spread evenly."""
    picks = np.linspace(0, len(commands) - 1, min(most, len(commands)))
    return [commands[round(pick)] for pick in picks]


def parse_command(text: str) -> Command:
    """ "0.4" or "0.4,0.1,-0.5" -> (vx, vy, yaw rate)."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not np.isfinite(numbers).all():
        raise EvaluationError(
            f"command {text!r}: expected VX or VX,VY,YAW_RATE in m/s and rad/s, such as 0.4 or 0.4,0,0.5"
        )
    vx, vy, yaw_rate = (*numbers, 0.0, 0.0)[:3]
    return vx, vy, yaw_rate


def parse_env_set(assignments: Sequence[str]) -> dict[str, Any]:
    """["reset_noise=0.1"] -> {"reset_noise": 0.1}; values are read as YAML."""
    options = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise EvaluationError(f"--env-set {text!r}: expected key=value, such as randomize=true")
        try:
            options[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise EvaluationError(f"--env-set {text!r}: {value!r} is not a YAML value") from None
    return options


# -- command line --------------------------------------------------------------------------------------

COLUMNS = (  # heading, key, format
    ("success", "success_rate", "{:.0%}"),
    ("speed\nm/s", "forward_velocity", "{:.2f}"),
    ("error\nm/s", "speed_error", "{:.3f}"),
    ("lateral\nm/10 s", "lateral_drift", "{:.2f}"),
    ("heading\n°/10 s", "heading_drift_deg", "{:.1f}"),
    ("slip\nm/s", "foot_slip", "{:.3f}"),
    ("asym-\nmetry", "step_symmetry", "{:.1%}"),
    ("single\nsupport", "single_support", "{:.0%}"),
    ("alter-\nnation", "alternation", "{:.0%}"),
    ("steps\n/min", "cadence", "{:.0f}"),
    ("step\nm", "step_length", "{:.2f}"),
    ("cost of\ntransport", "cost_of_transport", "{:.2f}"),
    ("style", "style_score", "{:.2f}"),
)
WIDE, NARROW_COLUMNS = 140, 6  # characters that all of them take; those shown where there is less room


def show_command(command: Sequence[float]) -> str:
    vx, vy, yaw_rate = command
    return f"{vx:g}" if vy == yaw_rate == 0 else f"{vx:g}, {vy:g}, {yaw_rate:g}"


def table_rows(result: Mapping[str, Any], columns: int = len(COLUMNS)) -> list[list[str]]:
    """The table's cells, one row a command and one for all of them, with the first `columns` figures."""
    rows = [(show_command(row["command"]), row) for row in result["per_command"]]
    return [
        [name, *figure_cells(row, COLUMNS[:columns]), show_falls(row["falls"])]
        for name, row in [*rows, ("all", result)]
    ]


def print_table(result: Mapping[str, Any], console: Console) -> None:
    """The table as wide as the terminal allows: on a narrow one the figures of the gait are left out."""
    columns = len(COLUMNS) if console.width >= WIDE else NARROW_COLUMNS
    title = f"{result['policy']}: {result['episodes']} episodes, {result['mode']}"
    caption = f"gait figures need {WIDE} columns, or --json" if columns < len(COLUMNS) else ""
    headings = ("command\nm/s", *(heading for heading, _, _ in COLUMNS[:columns]), "falls")
    console.print(figure_table(title, headings, table_rows(result, columns), ("falls",), caption))


def command(
    policy: PolicyArgument,
    episodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Total number of episodes, shared out over commands or clips.",
            show_default="100, or each clip once",
        ),
    ] = None,
    command: Annotated[
        list[str] | None, typer.Option(help="Command VX or VX,VY,YAW_RATE, in m/s and rad/s; may be repeated.")
    ] = None,
    sweep: Annotated[bool, typer.Option(help="Evaluate at forward speeds of 0.1, 0.2 … 1.0 m/s.")] = False,
    reference: ReferenceOption = None,
    clip: Annotated[
        list[str] | None, typer.Option(help="Clip of the reference to evaluate, by name; may be repeated.")
    ] = None,
    stochastic: StochasticOption = False,
    both: Annotated[bool, typer.Option(help="Evaluate deterministic, then stochastic actions.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first episode; later episodes count up from it.")] = 0,
    env: EnvOption = None,
    env_set: Annotated[list[str] | None, typer.Option(help="Environment option as key=value; may be repeated.")] = None,
    threads: PhysicsThreads = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on one line.")] = False,
) -> None:
    """Evaluate how well a policy walks at commanded velocities, or how closely it tracks clips."""
    loaded = load_policy(policy, env)
    common: dict[str, Any] = {"seed": seed, "env_kwargs": parse_env_set(env_set or ()), "threads": threads}
    run: Callable[..., dict[str, Any]]
    refuse_others(loaded, command=command, sweep=sweep, reference=reference, clip=clip)
    if follows_clips(loaded.env_id):
        run = partial(evaluate_tracking, loaded, episodes, clip, reference, **common)
    else:
        commands = [*(GRID if sweep else ()), *(parse_command(text) for text in command or ())] or None
        run = partial(evaluate, loaded, episodes or 100, commands, **common)
    results = [run(stochastic=mode) for mode in ((False, True) if both else (stochastic,))]
    if as_json:
        # With --both the deterministic figures lead and carry the others along.
        print(json.dumps(results[0] | ({"stochastic": results[1]} if both else {}), allow_nan=False))
        return
    console = Console(width=None if Console().is_terminal else WIDE)
    for result in results:
        (print_tracking if "per_clip" in result else print_table)(result, console)


def refuse_others(policy: Policy, **given: Any) -> None:
    """EvaluationError for an option among command, sweep, reference and clip that is not for such a policy."""
    if follows_clips(policy.env_id):
        does, theirs = "follows clips (--reference, --clip)", ("reference", "clip")
    else:
        does, theirs = "obeys commands (--command)", ("command", "sweep")
    wrong = [f"--{name}" for name, value in given.items() if value and name not in theirs]
    if wrong:
        raise EvaluationError(f"{', '.join(wrong)}: in {policy.env_id} {policy.name} {does}")
