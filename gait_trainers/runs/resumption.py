"""What may change when a run is resumed, and how it is found out that something else did."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from gait_envs.errors import one_line
from gait_envs.reading.yaml_text import parse_yaml
from gait_trainers.config.layers import validate
from gait_trainers.config.schema import TrainConfig
from gait_trainers.config.section import ConfigError, Section

# How long, and on what. Anything else would not be the same run.
RESUMABLE = frozenset({"run.iterations", "run.minutes", "run.device", "run.torch_threads"})


def check_same_run(config: TrainConfig, trained_with: str, run: Path, checkpoint: Path) -> None:
    """ConfigError where `config` differs in more than `RESUMABLE` from what the checkpoint was trained with (YAML)."""
    if not isinstance(trained_with, str):
        raise ConfigError(f"{checkpoint}: its configuration is no text")
    tree = parse_yaml(trained_with, f"{checkpoint}: its configuration", ConfigError)
    if not isinstance(tree, dict):
        raise ConfigError(f"{checkpoint}: its configuration is no mapping of sections")
    file = run / "config.yaml"
    afresh = f"begin a new run from its networks: --config {file} --init {run} --name NEW"
    check_unchanged(config, validate(tree, str(checkpoint)), RESUMABLE, file, checkpoint, afresh)


def iterations_then(state: Mapping[str, Any], config: TrainConfig) -> int:
    """`run.iterations` when a checkpoint was written; as configured now where it does not say."""
    tree = parse_yaml(state.get("config", ""), "configuration of the checkpoint", ConfigError)
    found = tree.get("run", {}).get("iterations") if isinstance(tree, dict) else None
    return found if isinstance(found, int) else config.run.iterations


def check_unchanged(
    config: Section, recorded: Section, resumable: Collection[str], file: Path | str, checkpoint: Path, afresh: str
) -> None:
    """ConfigError, which names the keys, where a configuration (of `file`, and the command line over it) differs in
    more than `resumable` from the one recorded in a checkpoint; `afresh` is the way to train with it."""
    now, then = flat(config.model_dump()), flat(recorded.model_dump())
    changed = [key for key in {**then, **now} if key not in resumable and not _same(now, then, key)]
    if changed:
        shown = "; ".join(one_line(f"{key} is {now.get(key)!r}, was {then.get(key)!r}", 500) for key in changed)
        raise ConfigError(
            f"{file} is not what {checkpoint.name} was trained with: {shown}. When a run is resumed, only "
            f"{', '.join(sorted(resumable))} may change. Put the old values back, or {afresh}"
        )


def interrupted(command: str, run: Path, saved: str, is_complete: bool = False) -> str:
    """What to say of an interrupted training of `gait-train COMMAND`, whose last checkpoint is of `saved`."""
    if is_complete:
        return f"interrupted; {run} is complete"
    return f"interrupted; from {saved} it goes on with: gait-train {command} --resume {run}"


def complete(run: Path, longer: str | None) -> str:
    """What to say of a run that is resumed with nothing left to do; `longer` is the option that makes it longer, None
    where it is no command that resumes it."""
    return f"{run} is complete: nothing is left to train" + (f"; {longer} makes it longer" if longer else "")


def elsewhere(error: Exception, named: Iterable[str]) -> str:
    """What to add to an error about files that a run names, where one of them may be named from another folder."""
    lost = [name for name in named if name in str(error)]
    if any(not Path(name).is_absolute() and not Path(name).exists() for name in lost):
        return "; relative names in a run are of the folder that it was begun in: resume it from there"
    return ""


def check_given(options: Mapping[str, Any], resumable: Collection[str]) -> None:
    """ConfigError for what a command line gives beside --resume (None: not given) that may not change."""
    fixed = sorted(key for key, value in options.items() if value is not None and key not in resumable)
    if fixed:
        raise ConfigError(
            f"--resume takes the configuration of the run, so {', '.join(fixed)} cannot be given; "
            f"only {', '.join(sorted(resumable))} may change"
        )


def flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Every value by its dotted key; flat({"ppo": {"gamma": 0.98}}) == {"ppo.gamma": 0.98}"""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        values |= flat(value, f"{above}{key}.") if isinstance(value, Mapping) and value else {f"{above}{key}": value}
    return values


def _same(now: Mapping[str, Any], then: Mapping[str, Any], key: str) -> bool:
    """Whether both have the same value, of the same kind: true is not 1."""
    both = key in now and key in then
    return both and repr(now[key]) == repr(then[key])
