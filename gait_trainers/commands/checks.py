"""What several commands of `gait-train` make of their options, and refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from gait_envs.reading.yaml_text import parse_yaml
from gait_envs.tasks.config import WalkConfig
from gait_trainers.config.schema import env_options
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.evaluation.walking import Command, show_command
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, follows_clips

AXES = ("m/s ahead", "m/s to the left", "rad/s")  # of a command


def parse_env_set(assignments: Sequence[str]) -> dict[str, Any]:
    """["reset_noise=0.1"] -> {"reset_noise": 0.1}; values are read as YAML."""
    options = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise EvaluationError(f"--env-set {text!r}: expected key=value, such as randomize=true")
        options[key.strip()] = parse_yaml(value, f"--env-set {text!r}", EvaluationError)
    return options


def stands_still(policy: Policy, env_kwargs: Mapping[str, Any]) -> bool:
    """Whether neither the start nor the policy, by what its bundle says, has a side to begin with."""
    if env_kwargs.get("reset_noise") != 0 or follows_clips(policy.env_id):
        return False
    found: Any = policy.details
    for key in ("training", "config", "networks", "symmetric"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found is True


def refuse_others(policy: Policy, **given: Any) -> None:
    """EvaluationError for an option among command, sweep, reference and clip that is not for such a policy."""
    if follows_clips(policy.env_id):
        does, theirs = "follows clips (--reference, --clip)", ("reference", "clip")
    else:
        does, theirs = "obeys commands (--command)", ("command", "sweep")
    wrong = [f"--{name}" for name, value in given.items() if value and name not in theirs]
    if wrong:
        raise EvaluationError(f"{', '.join(wrong)}: in {policy.env_id} {policy.name} {does}")


def beyond_training(policy: Policy, commands: Sequence[Command]) -> list[str]:
    """A warning for each command that is outside of what the policy was trained to obey, where that is known."""
    options = env_options(policy.env_id)
    if options is None or not issubclass(options, WalkConfig):
        return []
    config = options(**deployment_kwargs(policy.env_kwargs))
    trained = list(zip(AXES, config.command_low, config.command_high, strict=True))
    return [
        f"warning: command {show_command(command)}: {policy.name} was trained for {low:g} to {high:g} {axis}"
        for command in commands
        for value, (axis, low, high) in zip(command, trained, strict=True)
        if not low - 1e-6 <= value <= high + 1e-6
    ]


def warn(texts: Sequence[str]) -> None:
    """Print warnings, on stderr."""
    for text in texts:
        typer.echo(text, err=True)
