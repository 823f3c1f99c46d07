"""Training in phases: key frames, what lies between them, and a training that follows them, resumed or not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.runs import differences, final_state, metrics
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from stable_baselines3.common.logger import Logger

from gait_trainers.config.layers import dump_yaml, load_config
from gait_trainers.config.schedule import KeyFrame, Settings, at, complete
from gait_trainers.config.schema import ConfigError, TrainConfig, full_schedule
from gait_trainers.rl.build import build
from gait_trainers.rl.reward_schedule import ScheduleCallback
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.checkpoint import load_checkpoint
from gait_trainers.runs.loggers import read_metrics
from gait_trainers.runs.run_folder import Run

START = Settings({"pose": 1.0, "speed": 0.0, "torque": -0.1}, style_weight=0.5, max_distance=0.25)


def frames(*values: dict[str, Any]) -> list[KeyFrame]:
    return [KeyFrame(**value) for value in values]


PHASES = complete(
    frames(
        {"iteration": 10},
        {"iteration": 20, "reward_weights": {"pose": 0.5, "speed": 2.0}, "max_distance": 0.75},
        {"iteration": 24, "reward_weights": {"pose": 0.1}, "style_weight": 2.5},
        {"iteration": 25, "reward_weights": {"pose": 0.0}, "max_distance": math.inf},
    ),
    START,
)


# -- what lies between key frames ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "iteration, pose, speed, style, distance",
    [
        (0, 1.0, 0.0, 0.5, 0.25),  # before the first
        (10, 1.0, 0.0, 0.5, 0.25),
        (11, 0.95, 0.2, 0.5, 0.30),
        (15, 0.75, 1.0, 0.5, 0.50),
        (20, 0.5, 2.0, 0.5, 0.75),
        (23, 0.2, 2.0, 2.0, 0.75),  # a key that is left out stays
        (24, 0.1, 2.0, 2.5, 0.75),
        (25, 0.0, 2.0, 2.5, math.inf),
        (10_000, 0.0, 2.0, 2.5, math.inf),  # after the last
    ],
)
def test_every_number_is_linear_in_the_iteration(
    iteration: int, pose: float, speed: float, style: float, distance: float
) -> None:
    found = at(PHASES, iteration)
    assert list(found.reward_weights) == ["pose", "speed", "torque"]  # the environment's order, whatever the frames'
    assert found.reward_weights == pytest.approx({"pose": pose, "speed": speed, "torque": -0.1})
    assert found.style_weight == pytest.approx(style)
    assert found.max_distance == pytest.approx(distance)


def test_a_limit_is_lifted_and_set_at_its_key_frame() -> None:
    schedule = complete(
        frames({"iteration": 0}, {"iteration": 4, "max_distance": math.inf}, {"iteration": 8, "max_distance": 0.5}),
        START,
    )
    found = [at(schedule, iteration).max_distance for iteration in (0, 3, 4, 7, 8, 9)]
    assert found == [0.25, 0.25, math.inf, math.inf, 0.5, 0.5]


def test_what_cannot_be_scheduled_stays_nothing() -> None:
    schedule = complete(
        frames({"iteration": 0}, {"iteration": 9, "reward_weights": {"pose": 0.0}}), Settings({"pose": 1.0}, None, None)
    )
    assert at(schedule, 3) == Settings({"pose": pytest.approx(2 / 3)}, None, None)  # type: ignore[dict-item]


@given(
    iterations=st.lists(st.integers(0, 1000), min_size=1, max_size=5, unique=True).map(sorted),
    weights=st.lists(st.floats(-10, 10), min_size=5, max_size=5),
    iteration=st.integers(0, 1200),
)
@hypothesis_settings(max_examples=50)
def test_agrees_with_numpys_interpolation(iterations: list[int], weights: list[float], iteration: int) -> None:
    weights = weights[: len(iterations)]
    schedule = complete(
        [
            KeyFrame(iteration=i, style_weight=abs(w), reward_weights={"pose": w})
            for i, w in zip(iterations, weights, strict=True)
        ],
        START,
    )
    found = at(schedule, iteration)
    assert found.reward_weights["pose"] == pytest.approx(np.interp(iteration, iterations, weights), abs=1e-9)
    assert found.style_weight == pytest.approx(np.interp(iteration, iterations, np.abs(weights)), abs=1e-9)
    assert found.max_distance == 0.25
    if iteration in iterations:
        assert found.reward_weights["pose"] == weights[iterations.index(iteration)]  # to the bit


def test_the_log_leaves_out_what_no_plot_can_show() -> None:
    assert at(PHASES, 24).metrics() == pytest.approx(
        {"weight_pose": 0.1, "weight_speed": 2.0, "weight_torque": -0.1, "style_weight": 2.5, "max_distance": 0.75}
    )
    assert set(at(PHASES, 25).metrics()) == {"weight_pose", "weight_speed", "weight_torque", "style_weight"}
    assert Settings({}, None, None).metrics() == {}


# -- configuration ------------------------------------------------------------------------------------------


TRACK = {"env.id": "GaitNet/WildRobotImitation-v0"}
FIRST = {"iteration": 0}


@pytest.mark.parametrize(
    "overrides, schedule, named",
    [
        (
            {},
            [FIRST | {"reward_weights": {"alive": 1}}],
            ["0.reward_weights: 'alive'", "tracking_lin_vel, base_height"],
        ),
        (TRACK, [FIRST | {"reward_weights": {"alive": 1}}], ["0.reward_weights: 'alive'", "which has track_pose"]),
        ({}, [FIRST, FIRST], ["1.iteration: 0 is not after 0"]),
        ({}, [FIRST, {"iteration": 9}, {"iteration": 1}], ["2.iteration: 1 is not after 9"]),
        ({"algorithm": "ppo"}, [FIRST | {"style_weight": 1}], ["0.style_weight: needs algorithm ppo-amp"]),
        ({}, [FIRST | {"max_distance": 1}], ["0.max_distance: needs an environment that follows a reference"]),
        (TRACK, [FIRST | {"max_distance": 0}], ["0.max_distance", "greater than 0"]),
        ({}, [FIRST | {"style_weight": -1}], ["0.style_weight", "greater than or equal to 0"]),
        ({}, [FIRST | {"style_weight": math.inf}], ["0.style_weight", "finite"]),
        ({}, [FIRST | {"reward_weights": {"torque": math.nan}}], ["0.reward_weights.torque", "finite"]),
        ({}, [{"iteration": -1}], ["0.iteration", "greater than or equal to 0"]),
        ({}, [{"style_weight": 1}], ["0.iteration", "required"]),
        ({}, [FIRST | {"styl_weight": 1}], ["0.styl_weight", "did you mean 'style_weight'", "max_distance"]),
        ({}, FIRST, ["list"]),
    ],
)
def test_a_schedule_that_cannot_be(overrides: dict[str, Any], schedule: Any, named: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=overrides | {"schedule": schedule})
    assert "schedule" in str(caught.value)
    for part in named:
        assert part in str(caught.value)


def test_a_schedule_starts_from_what_is_configured_and_reads_back(tmp_path: Path) -> None:
    config = load_config(
        preset="three_phase",
        overrides={"amp.weight": 0.25, "env.kwargs.max_distance": 0.3, "env.kwargs.reward_weights.track_pose": 1.5},
    )
    begin = at(full_schedule(config), 0)
    assert (begin.style_weight, begin.max_distance, begin.reward_weights["track_pose"]) == (0.25, 0.3, 1.5)
    (tmp_path / "config.yaml").write_text(dump_yaml(config))
    again = load_config(tmp_path / "config.yaml")
    assert again == config
    assert full_schedule(again) == full_schedule(config)
    assert full_schedule(load_config()) == []


def test_the_three_phases() -> None:
    """The design document's: full tracking; 1 to 0.5 to 0.1; none, but the task and the style."""
    config = load_config(preset="three_phase")
    schedule, laptop = full_schedule(config), load_config(preset="laptop")
    tracked = [term for term in config.env.kwargs["reward_weights"] if term.startswith("track_") or term == "scuff"]
    assert len(tracked) == 7
    whole = at(schedule, 0)
    for iteration, share in ((0, 1.0), (150, 1.0), (225, 0.5), (299, 0.1), (300, 0.0), (799, 0.0)):
        now = at(schedule, iteration)
        for term in tracked:
            assert now.reward_weights[term] == pytest.approx(share * whole.reward_weights[term]), (iteration, term)
        assert (now.max_distance == math.inf) == (share == 0)
    task = {term: weight for term, weight in now.reward_weights.items() if term not in tracked}
    assert task == laptop.env.kwargs["reward_weights"]
    assert (whole.style_weight, now.style_weight) == (0.0, laptop.amp.weight)
    assert (config.networks, config.ppo) == (laptop.networks, laptop.ppo)


def test_the_final_policy_of_three_phases_sees_and_does_what_a_walker_does() -> None:
    config = load_config(preset="three_phase", overrides={"env.num_envs": 2, "env.threads": 1})
    base, walker = build(config).base, build(load_config(preset="laptop", overrides={"env.num_envs": 2})).base
    ours, theirs = (env.env.unwrapped.core.task for env in (base, walker))  # type: ignore[attr-defined]
    assert ours.layout.table() == theirs.layout.table()
    memory = ours.blank_memory(2)
    action = np.random.default_rng(0).uniform(-1, 1, (2, 9))
    np.testing.assert_array_equal(
        ours.actions.target(action, memory), theirs.actions.target(action, theirs.blank_memory(2))
    )


# -- training -------------------------------------------------------------------------------------------------

TINY: dict[str, Any] = {
    "env.num_envs": 8,
    "env.threads": 1,
    "ppo.n_steps": 16,
    "ppo.minibatches": 4,
    "ppo.normalize_reward": True,
    "networks.policy": [16],
    "networks.value": [16],
    "run.iterations": 10,
    "run.checkpoint_every": 1,
    "run.keep_checkpoints": 20,
    "run.tensorboard": False,
}
PHASED = TINY | {
    "env.id": "GaitNet/WildRobotImitation-v0",
    "env.kwargs.reference_observation": "none",
    "env.kwargs.action_base": "home",
    "env.kwargs.rsi_probability": 0.7,
    "env.kwargs.reward_weights": {"track_pose": 1.0, "tracking_lin_vel": 0.0, "torque": -0.001},
    "amp.weight": 0.0,
    "amp.hidden": [16],
    "amp.batch_size": 32,
    "amp.replay_size": 200,
    "schedule": [
        {"iteration": 2},
        {"iteration": 6, "reward_weights": {"track_pose": 0.2, "tracking_lin_vel": 2.0}, "style_weight": 1.0},
        {"iteration": 7, "reward_weights": {"track_pose": 0.0}, "max_distance": math.inf},
    ],
}


def phased(out: Path, clip: Path, name: str, **changes: Any) -> TrainConfig:
    own = {"run.out": str(out), "run.name": name, "env.kwargs.reference": str(clip)}
    return load_config(overrides=PHASED | own | {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, reference_clip: Path) -> Path:
    out = tmp_path_factory.mktemp("runs")
    train(phased(out, reference_clip, "whole"))
    return out / "whole"


def test_a_training_follows_its_schedule(whole: Path) -> None:
    rows = read_metrics(whole / "metrics.csv")
    assert [row["iteration"] for row in rows] == [str(i) for i in range(1, 11)]
    column = lambda name: [float(row[name]) if row[name] else None for row in rows]  # noqa: E731
    assert column("weight_track_pose") == pytest.approx([1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0])
    assert column("weight_tracking_lin_vel") == pytest.approx([0, 0, 0, 0.5, 1, 1.5, 2, 2, 2, 2])
    assert column("style_weight") == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1])
    assert column("max_distance") == [0.25] * 7 + [None] * 3
    # What was paid for is what the schedule says.
    for term in ("track_pose", "tracking_lin_vel"):
        paid, weight = (np.array(column(f"{kind}_{term}"), dtype=float) for kind in ("reward", "weight"))
        np.testing.assert_array_equal(paid > 0, weight > 0)


@pytest.mark.parametrize("iterations", [1, 4, 7])
def test_resumed_across_a_key_frame_equals_uninterrupted(
    whole: Path, reference_clip: Path, tmp_path: Path, iterations: int
) -> None:
    """Stopped before, between and at key frames, by a training that knows no more of what is to come."""
    train(phased(tmp_path, reference_clip, "part", run__iterations=iterations))
    resume(tmp_path / "part", {"run.iterations": 10})
    assert differences(final_state(whole), final_state(tmp_path / "part")) == []
    assert metrics(tmp_path / "part") == metrics(whole)


def test_the_schedule_does_change_what_is_learnt(whole: Path, reference_clip: Path, tmp_path: Path) -> None:
    train(phased(tmp_path, reference_clip, "plain", schedule=[]))
    plain, changed = ([load_checkpoint(file)["policy"] for file in Run(run).checkpoints()]
                      for run in (tmp_path / "plain", whole))  # fmt: skip
    same = [differences(a, b) == [] for a, b in zip(plain, changed, strict=True)]
    assert same == [True] * 4 + [False] * 7  # the beginning and three iterations are as they would have been
    assert "weight_track_pose" not in read_metrics(tmp_path / "plain" / "metrics.csv")[0]


def test_settings_reach_environment_and_style(reference_clip: Path, tmp_path: Path) -> None:
    training = build(phased(tmp_path, reference_clip, "parts"))
    callback = ScheduleCallback(
        full_schedule(training.config), training.config.rollout_steps, training.base, training.learners.values()
    )
    training.model.set_logger(Logger(None, []))
    callback.init_callback(training.model)
    core = training.base.env.unwrapped.core  # type: ignore[attr-defined]
    for iteration, pose, style, distance in ((0, 1.0, 0.0, 0.25), (4, 0.6, 0.5, 0.25), (7, 0.0, 1.0, math.inf)):
        training.model.num_timesteps = iteration * training.config.rollout_steps
        callback.on_rollout_start()
        assert core.settings.reward_weights["track_pose"] == pytest.approx(pose)
        assert training.learners["amp"].wrapper.weight == pytest.approx(style)
        assert core.settings.max_distance == distance
    training.base.close()


def test_walking_can_be_scheduled_too(tmp_path: Path) -> None:
    """Plain PPO, an environment that follows nothing: only its weights change."""
    changes = {"algorithm": "ppo", "run.out": str(tmp_path), "run.name": "walk", "run.iterations": 3}
    changes["schedule"] = [{"iteration": 0}, {"iteration": 2, "reward_weights": {"base_height": 1.3}}]
    config = load_config(overrides=TINY | changes)
    rows = read_metrics(train(config).run.metrics_file)
    assert [float(row["weight_base_height"]) for row in rows] == pytest.approx([0.3, 0.8, 1.3])
    assert not {"style_weight", "max_distance"} & set(rows[0])
