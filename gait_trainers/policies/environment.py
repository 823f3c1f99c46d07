"""The environment that a policy acts in: making it, and checking that another one is compatible."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

import gait_envs  # noqa: F401 - registers the environments
from gait_envs.errors import GaitNetError, one_line
from gait_envs.tasks.base import Task
from gait_envs.tasks.config import TaskConfig, TrackConfig
from gait_trainers.config.schema import env_options
from gait_trainers.policies.base import GaussianPolicy, Policy, PolicyError

# How to train is no property of the trained policy; these environment options stay out of bundles and
# evaluations start from their defaults, unless asked otherwise.
TRAINING_KWARGS = (
    "reference", "rsi_probability", "start_noise", "curriculum", "command_interval", "standing_probability",
    "randomize", "distance_rule", "physics_rate",
)  # fmt: skip


class EnvironmentOptionError(GaitNetError, ValueError):
    """An environment that cannot be made with the options given."""


def deployment_kwargs(env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The environment options that a policy needs wherever it acts, without those of its training."""
    return {key: value for key, value in env_kwargs.items() if key not in TRAINING_KWARGS}


def make_env(env_id: str, num_envs: int = 1, **kwargs: Any) -> Any:
    """The vector form of an environment; without automatic resets unless asked for.

    EnvironmentOptionError for an unknown id, and for options that its task does not take.
    """
    options = {"autoreset_mode": AutoresetMode.DISABLED, **kwargs}
    try:
        env = gym.make_vec(env_id, num_envs, vectorization_mode="vector_entry_point", **options)
    except (TypeError, ValueError, gym.error.Error) as error:
        raise EnvironmentOptionError(f"cannot make {env_id}: {error}") from error
    return env.unwrapped


def follows_clips(env_id: str) -> bool:
    """Whether the environment's task is to follow clips, not to obey commands."""
    options = env_options(env_id)
    return options is not None and issubclass(options, TrackConfig)


def in_environment(policy: GaussianPolicy, env_id: str, say: Callable[[str], None] = lambda _: None) -> GaussianPolicy:
    """The policy in another environment with the same observations and the same effect of actions.

    Options that the other one does not know, and the reward's weights, stay behind; `say` is called with which.
    """
    if env_id == policy.env_id:
        return policy
    options = env_options(env_id)
    known = None if options is None else {field.name for field in dataclasses.fields(options)} - {"reward_weights"}
    kept = {key: value for key, value in policy.env_kwargs.items() if known is None or key in known}
    if kept.get("action_base", getattr(options, "action_base", "home")) == "reference":
        kept.pop("action_scale", None)  # of actions about the home pose; `check_task` says what does not go together
    there = make_env(env_id, threads=1, **deployment_kwargs(kept)).core.task
    check_task(policy, there, env_id)
    left = sorted(policy.env_kwargs.keys() - kept.keys())
    if left:
        say(f"{policy.name} in {env_id}: without {', '.join(left)}")
    return dataclasses.replace(policy, env_id=env_id, env_kwargs=kept)


def check_task(policy: Policy, there: Task, env_id: str) -> None:
    """PolicyError unless the task `there`, of environment `env_id`, shows and does what that of the policy does."""
    here = make_env(policy.env_id, threads=1, **deployment_kwargs(policy.env_kwargs)).core.task
    where = f"{policy.name} in {env_id}"
    seen, shown = ([row.name for row in task.layout] for task in (here, there))
    if seen != shown:
        raise PolicyError(f"{where}: it observes {', '.join(seen)}; that environment shows {', '.join(shown)}")
    check_layout(here.layout.table(), there.layout.table(), where)
    if here.action_names != there.action_names:
        moves, moved = (", ".join(task.action_names) for task in (here, there))
        raise PolicyError(f"{where}: its actions move {moves}; in that environment, {moved}")
    bases = [getattr(task.config, "action_base", "home") for task in (here, there)]
    if bases[0] != bases[1]:
        raise PolicyError(f"{where}: its actions correct the {bases[0]} pose, that environment's the {bases[1]} pose")
    check_meaning(here.config, there.config, f"{where}: it was trained with")


def check_meaning(here: TaskConfig, there: TaskConfig, what: str) -> None:
    """PolicyError, which begins with `what`, unless observations and actions mean the same with both options."""
    for key, own in meaning(here).items():
        other = getattr(there, key, own)
        if other != own:
            raise PolicyError(f"{what} {key} {own!r}; that environment has {other!r}")


def acting(env_id: str, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Of an environment's options, or their defaults, those that say what observations and actions mean; none of an id
    from elsewhere."""
    options = env_options(env_id)
    return {} if options is None else meaning(options(**env_kwargs))


def meaning(config: TaskConfig) -> dict[str, Any]:
    """The options that say what observations of the same name, and actions, mean."""
    keys = ["velocity_frame", "heading_gain", "action_filter", "action_scale"]
    if isinstance(config, TrackConfig):
        keys += ["action_gain", "feed_forward"] if config.action_base == "reference" else []
        keys += ["future_frames"] if config.reference_observation == "future" else []
    return {key: getattr(config, key) for key in keys}


def check_layout(found: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]], where: str) -> None:
    """PolicyError unless both tables have the same rows in the same places; only the descriptions may differ."""
    for row, ours in zip(found, expected, strict=False):
        for key in ours.keys() - {"description"}:
            if row.get(key) != ours[key]:
                raise PolicyError(
                    f"{where}: observation row {ours['index']} has {key} {one_line(repr(row.get(key)))}, "
                    f"the environment has {ours[key]!r} ({ours['name']})"
                )
    if len(found) != len(expected):
        names = [row["name"] for row in expected]
        raise PolicyError(f"{where}: observation has {len(found)} rows, the environment has {names}")
