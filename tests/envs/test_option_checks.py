"""Every option of every id refuses what it cannot be, by its name, before anything is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from gait_envs import IDS
from gait_envs.core import Core
from gait_envs.env import GaitEnv
from gait_envs.forms import autoreset_mode, seeds_of, time_limit
from gait_envs.registry import find_id, make_task
from gait_envs.simulation.checks import INFINITE
from gait_envs.simulation.randomize import RandomizeConfig
from gait_envs.vector_env import GaitVectorEnv

NAN, INF = float("nan"), float("inf")
NO_NUMBER = (NAN, INF, -INF, 1j, "1", None, True, [1.0], 10**400, b"1", np.array([1.0, 2.0]), object())


def wrong(name: str, hint: Any, default: Any) -> Iterator[Any]:
    """Values that an option of this type can never have."""
    kinds = get_args(hint) or (hint,)
    if hint is bool:
        yield from (1, "yes", None, NAN, [True])
    elif hint is float:
        yield from (value for value in NO_NUMBER if not (name in INFINITE and value is INF))
    elif set(kinds) == {float, type(None)}:
        yield from (value for value in NO_NUMBER if value is not None)
    elif hint is int:
        yield from (*NO_NUMBER, 1.5)
    elif isinstance(default, tuple) and default and not isinstance(default[0], str):
        yield from (NAN, "123", None, (), {1: 2})
        for bad in NO_NUMBER:
            yield (bad, *default[1:])
            yield (*default[:-1], bad)
    elif isinstance(default, Mapping):
        yield from (NAN, 1, "text", [("a", 1)])
    elif str in kinds:
        yield from (1, NAN, 1j, True, b"text", {"a": 1})


def options_of(kind: type) -> Iterator[tuple[str, Any]]:
    example, hints = kind(), get_type_hints(kind)
    for field in dataclasses.fields(kind):
        for value in wrong(field.name, hints[field.name], getattr(example, field.name)):
            yield field.name, value


@pytest.mark.parametrize("env_id", sorted(IDS))
def test_every_option_refuses_what_it_cannot_be_by_name(env_id: str) -> None:
    row = find_id(env_id)
    kind = row.options_type()
    tried = {field.name for field in dataclasses.fields(kind)} - {"randomize"}
    for name, value in options_of(kind):
        tried.discard(name)
        if name == "randomize" or (name == "muscle_network" and value is None):
            continue
        with pytest.raises(ValueError, match=rf"^{name}\b") as caught:
            kind(**{name: value})
        assert len(str(caught.value).splitlines()) == 1, (name, value)
        assert len(str(caught.value)) < 300, (name, value)
    assert tried == set()  # no option went by untried


@pytest.mark.parametrize("env_id", sorted(IDS))
def test_every_reward_weight_is_a_finite_number(env_id: str) -> None:
    kind = find_id(env_id).options_type()
    for name, weight in kind().reward_weights.items():
        for bad in (*NO_NUMBER, np.float32("nan")):
            with pytest.raises(ValueError, match="reward_weights"):
                kind(reward_weights={name: bad})
        kind(reward_weights={name: np.float32(weight)})


def test_ranges_of_randomisation_are_possible() -> None:
    tried = set()
    for name, value in options_of(RandomizeConfig):
        tried.add(name)
        with pytest.raises(ValueError, match=rf"randomize\.{name}"):
            find_id("GaitNet/WildRobot-v0").options_type()(randomize={name: value})
    assert tried == {field.name for field in dataclasses.fields(RandomizeConfig)}
    for absurd in ({"latency": (0, 10**9)}, {"mass": (1.0, 1e9)}, {"push_interval": 1e300}, {"push_speed": 1e9}):
        with pytest.raises(ValueError, match=next(iter(absurd))):
            RandomizeConfig(**absurd)
    assert RandomizeConfig(latency=(0, 100)).latency == (0, 100)


def test_what_is_infinite_on_purpose_and_other_spellings_are_taken(reference: str) -> None:
    task = make_task("track", {"max_distance": INF, "reference": Path(reference), "future_frames": [1, 2]})
    assert task.settings.free
    walk = make_task("walk", {"command_low": np.array([0, 0, 0]), "tracking_sharpness": 4, "max_tilt": np.float32(1)})
    assert walk.config.command_low == (0.0, 0.0, 0.0)
    for weights in ({"torque": NAN}, {"torque": "1"}, [1]):
        with pytest.raises(ValueError, match="reward_weights"):
            Core(walk, 1).set_settings(weights)
    for distance in (NAN, "1", True, 0.0):
        with pytest.raises(ValueError, match="max_distance"):
            Core(task, 1).set_settings(max_distance=distance)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("threads", (-1, 1.0, True, "2", None, 10**6)),
        ("num_envs", (0, -1, 2.0, True, "2", None, 10**9)),
        ("max_episode_steps", (0, -2, 1.5, True, "9", NAN, 10**30)),
        ("autoreset_mode", ("sometimes", None, 1)),
        ("render_mode", ("human", "ascii", 1)),
    ],
)
def test_arguments_of_the_vector_form_are_checked_by_name(argument: str, values: tuple) -> None:
    for value in values:
        with pytest.raises(ValueError, match=argument):
            GaitVectorEnv(**{"num_envs": 2, argument: value})


def test_modes_and_limits_by_hand() -> None:
    for text in ("SameStep", "SAME_STEP"):
        assert autoreset_mode(text).value == "SameStep"
    assert (time_limit(None, 500), time_limit(-1, 500), time_limit(np.int64(7), 500)) == (500, None, 7)


@pytest.mark.parametrize("dtype", [complex, object, str])
def test_actions_are_real_numbers(dtype: type) -> None:
    env, envs = GaitEnv(), GaitVectorEnv(2)
    env.reset(seed=0), envs.reset(seed=0)
    with pytest.raises(ValueError, match="action is of type"):
        env.step(np.zeros(9).astype(dtype))
    with pytest.raises(ValueError, match="action is of type"):
        envs.step(np.zeros((2, 9)).astype(dtype))


def test_seeds_may_be_numbers_lists_and_arrays() -> None:
    envs = GaitVectorEnv(3)
    expected = envs.reset(seed=5)[0]
    for seed in ([5, 6, 7], (5, 6, 7), np.array([5, 6, 7]), np.int64(5), np.array(5), np.arange(5, 8, dtype=np.uint8)):
        np.testing.assert_array_equal(envs.reset(seed=seed)[0], expected)
    np.testing.assert_array_equal(GaitEnv().reset(seed=np.int64(5))[0], expected[0])
    assert seeds_of([1, None, 2], 3) == [1, None, 2]
    for bad in (-1, [1, 2], np.zeros(3), np.zeros((3, 2), int), "123", 1.0, True, [1, -1, 2], [1, 2.5, 3], {1, 2, 3}):
        with pytest.raises(ValueError, match="seed"):
            envs.reset(seed=bad)
    for bad in (-1, 1.0, "1", np.array([1, 2])):
        with pytest.raises(ValueError, match="seed"):
            GaitEnv().reset(seed=bad)


@pytest.mark.parametrize("bad", [[NAN, 0, 0], [INF, 0, 0], [1j, 0, 0], ["a", 0, 0], [None, 0, 0], 1.0, [[1.0]]])
def test_reset_options_are_finite_numbers(bad: Any) -> None:
    for env in (GaitEnv(), GaitVectorEnv(2)):
        with pytest.raises(ValueError, match="command"):
            env.reset(seed=0, options={"command": bad})


@pytest.mark.parametrize(
    ("option", "bad"), [("frame", NAN), ("frame", 1.5), ("frame", "1"), ("clip", 0.5), ("clip", 1j)]
)
def test_clips_and_frames_are_whole_numbers(reference: str, option: str, bad: Any) -> None:
    for env in (GaitEnv("track", reference=reference), GaitVectorEnv(2, task="track", reference=reference)):
        with pytest.raises(ValueError, match=rf"options\['{option}'\] is"):
            env.reset(seed=0, options={option: bad})
        env.reset(seed=0, options={"clip": np.int64(1), "frame": np.array(2)})
