"""Failure-driven resampling: the arithmetic by hand, and a training that draws by its failures."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.runs import differences, final_state, metrics
from helpers.still_clips import IMITATION, WALK, still, write

from gait_envs.models.robot import wildrobot
from gait_envs.reference.library import MotionLibrary, load_clips
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError
from gait_trainers.learners.resampling import remembered, start_weights, stretches, worst_third
from gait_trainers.rl.build import build
from gait_trainers.rl.resampling import Resampling
from gait_trainers.rl.train import resume, train


def test_a_failure_counts_for_its_stretch_and_half_for_the_one_before() -> None:
    # One failure in the third of four stretches: 0, 1/2, 1, 0, of which 1 - 0.2 is shared out; 0.2 / 4 to each.
    np.testing.assert_allclose(
        start_weights(np.array([0.0, 0.0, 1.0, 0.0]), 0.2), [0.05, 0.05 + 0.8 / 3, 0.05 + 1.6 / 3, 0.05]
    )
    np.testing.assert_allclose(start_weights(np.zeros(4), 0.2), 0.25)


def test_earlier_failures_are_forgotten_by_halves() -> None:
    np.testing.assert_allclose(remembered(np.array([1.0, 2.0]), np.array([0.0, 1.0]), 0.5), [0.5, 2.0])


def test_stretches_and_the_worst_third() -> None:
    np.testing.assert_array_equal(stretches(np.array([1, 50, 51, 100]), 50), [1, 1, 2, 2])
    assert worst_third(np.array([1.0, 0.0, 1.0, 0.5, 1.0, 1.0])) == 0.25
    assert worst_third(np.array([0.5])) == 0.5


def test_frames_to_begin_at_are_drawn_by_the_weights_of_their_stretches(tmp_path: Path) -> None:
    folder = write(tmp_path, still("one", 10), still("two", 25))
    library = MotionLibrary(load_clips(folder), wildrobot().joint_names, 50.0)
    anywhere = [library.draw_frame(np.random.default_rng(s), 1, 24) for s in range(20)]
    assert anywhere == [int(np.random.default_rng(s).integers(24)) for s in range(20)]
    library.set_starts([np.ones(1), np.array([0.1, 0.7, 0.2])], 10)
    rng = np.random.default_rng(0)
    drawn = np.array([library.draw_frame(rng, 1, 24) for _ in range(4000)])
    np.testing.assert_allclose(np.bincount(drawn // 10) / 4000, [0.1, 0.7, 0.2], atol=0.03)
    assert set(drawn) == set(range(24))
    # Only the first 15 frames may be begun at: the second stretch has five of them.
    some = np.array([library.draw_frame(rng, 1, 15) for _ in range(2000)])
    np.testing.assert_allclose(np.bincount(some // 10) / 2000, [0.125, 0.875], atol=0.03)
    assert some.max() == 14
    with pytest.raises(ValueError, match=r"weights\[1\] is 0"):
        library.set_starts([np.ones(1), np.array([1.0, 0.0, 1.0])], 10)


def settings(out: Path, clips: str, **more: object) -> dict[str, object]:
    return {
        "algorithm": "ppo", "learners": ["resampling"], "env.id": IMITATION, "env.num_envs": 4, "env.threads": 1,
        "env.kwargs.reference": clips, "ppo.n_steps": 16, "ppo.minibatches": 2, "ppo.epochs": 1,
        "networks.policy": [8], "networks.value": [8], "networks.memory": "gru", "networks.memory_size": 4,
        "networks.log_std_init": -3.0, "run.iterations": 5, "run.checkpoint_every": 2, "run.tensorboard": False,
        "run.out": str(out), "run.name": "whole", "resampling.every": 2, "resampling.starts": "failures",
        "resampling.max_distance": 0.2, "resampling.stretch": 0.5,
    } | more  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One that stands and one that glides away at 1 m/s, which no robot can follow."""
    return write(tmp_path_factory.mktemp("clips"), still("glide", 60, speed=1.0), still("stand", 30))


@pytest.fixture(scope="module")
def run(clips: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(load_config(overrides=settings(tmp_path_factory.mktemp("runs"), clips))).run.path


def test_clips_that_are_failed_are_drawn_more_often(run: Path) -> None:
    state = final_state(run)["learners"]["resampling"]
    np.testing.assert_allclose(state["failures"], [1.5, 0.0])  # after iterations 2 and 4
    np.testing.assert_allclose(state["weights"], [0.9, 0.1])  # a floor of 0.2, evenly
    assert state["evaluated"] == 4
    assert state["start_failures"].sum() > 0  # the one that glides is lost in training too
    files = sorted((run / "clips").iterdir())
    assert [file.name for file in files] == [f"iteration_{k:06d}.csv" for k in (2, 4, 5)]
    with open(files[1]) as file:
        worst, best = csv.DictReader(file)
    assert (worst["clip"], worst["success_rate"], worst["weight"]) == ("glide", "0.0", "0.9")
    assert (best["clip"], best["success_rate"]) == ("stand", "1.0")
    assert float(best["mpjpe_root"]) < 10 < float(worst["mpjpe_global"])
    rows = metrics(run)
    assert [row["clip_success_rate"] for row in rows] == ["", "0.5", "", "0.5", "0.5"]


def test_the_run_states_the_licences_of_its_clips(run: Path) -> None:
    assert json.loads((run / "provenance.json").read_text())["licenses"] == ["CC0-1.0"]


def test_all_episodes_begin_again_after_it(run: Path, tmp_path: Path) -> None:
    from gait_trainers.runs.checkpoint import load_checkpoint

    state = load_checkpoint(sorted((run / "checkpoints").iterdir())[-2])  # after iteration 4
    assert state["sb3"]["last_episode_starts"].all()
    assert (state["env"]["lengths"] == 0).all()
    assert (state["metrics"]["lengths"] == 0).all()
    assert not state["memory"]["pi"][0].any()


def test_a_failure_on_the_last_frame_is_one_of_the_last_stretch(tmp_path: Path) -> None:
    """Of a clip that ends; one that loops goes on at its beginning."""
    ends, loops = still("ends", 101), still("loops", 101, loop=True)
    folder = write(tmp_path / "clips", ends, loops)
    training = build(load_config(overrides=settings(tmp_path / "runs", folder, **{"resampling.stretch": 1.0})))
    learner = training.learners["resampling"]
    assert isinstance(learner, Resampling)
    assert learner.frames == 50
    learner.count(np.array([0, 0, 1]), np.array([100, 10, 100]))
    # The third stretch of each is its last frame alone, from which no step is left to begin at.
    assert learner.fell.tolist() == [1.0, 1.0, 0.0, 1.0, 0.0, 0.0]


def test_resumed_equals_uninterrupted(run: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(run, tmp_path / "again"))
    sorted((again / "checkpoints").glob("step_*.pt"))[-1].unlink()
    resume(again)
    assert differences(final_state(run), final_state(again)) == []
    assert metrics(run) == metrics(again)


def test_resumed_before_a_resampling_equals_uninterrupted(run: Path, tmp_path: Path) -> None:
    """All episodes begin again at the fourth iteration; their generators go on where they were."""
    again = Path(shutil.copytree(run, tmp_path / "again"))
    *_, second, _, _ = sorted((again / "checkpoints").glob("step_*.pt"))
    assert second.name == f"step_{2 * 64:012d}.pt"
    for later in sorted((again / "checkpoints").glob("step_*.pt"))[-2:]:
        later.unlink()
    resume(again)
    assert differences(final_state(run), final_state(again)) == []
    assert metrics(run) == metrics(again)


def test_clips_that_come_while_it_trains_are_not_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "clips", still("glide", 60, speed=1.0), still("stand", 30))
    opened = Resampling.open

    def then_another(learner: Resampling, model: object) -> None:
        opened(learner, model)
        write(Path(folder), still("other", 30))

    monkeypatch.setattr(Resampling, "open", then_another)
    run = train(load_config(overrides=settings(tmp_path / "runs", folder, **{"run.iterations": 2}))).run.path
    (file,) = (run / "clips").iterdir()
    assert {line.split(",")[0] for line in file.read_text().splitlines()[1:]} == {"glide", "stand"}


def test_it_needs_clips_to_follow(clips: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"resampling needs an environment that follows clips; '{WALK}'"):
        load_config(overrides=settings(tmp_path, clips) | {"env.id": WALK})
