"""What a discriminator's scores are worth, by hand-made scores."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

import gait_envs  # noqa: F401 - registers the environments
from gait_trainers.learners.amp.diagnostics import EACH, Reservoir, probe_windows, rank_correlation, ranking
from gait_trainers.models.discriminator import Discriminator


def test_rank_correlation_by_hand() -> None:
    """Ranks 0 1 2 3 against 1 0 2 3: 1 - 6 * 2 / (4 * 15) = 0.8."""
    assert rank_correlation(torch.tensor([1.0, 2.0, 30.0, 40.0]), torch.tensor([5.0, 4.0, 6.0, 9.0])) == pytest.approx(
        0.8
    )
    assert rank_correlation(torch.tensor([1.0, 2.0]), torch.tensor([7.0, 3.0])) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation(torch.ones(1), torch.ones(1)))


class Scored(Discriminator):
    """A discriminator whose score is a factor times the first normalised number."""

    factor = 1.0

    def score(self, normalized: torch.Tensor) -> torch.Tensor:
        return self.factor * normalized[:, 0]


def test_a_score_that_falls_with_the_distance_ranks_and_one_that_rises_with_it_does_not() -> None:
    reference = np.array([[-1.0], [0.0], [1.0]], dtype=np.float32)
    windows = np.array([[2.0], [1.5], [5.0], [9.0]], dtype=np.float32)  # 1, 0.5, 4 and 8 beyond the reference
    judge = Scored(reference, hidden=[4])
    assert ranking(judge, windows, reference) == pytest.approx(-1.0)
    judge.factor = -1.0
    assert ranking(judge, windows, reference) == pytest.approx(1.0)


def test_the_reservoir_is_a_uniform_sample_of_all_rollouts_and_resumes() -> None:
    sample = Reservoir(1, seed=0, capacity=200)
    for rollout in range(100):
        sample.add(np.full((50, 1), rollout, dtype=np.float32))
        if rollout == 49:
            other = Reservoir(1, seed=1, capacity=200)
            other.set_state(sample.get_state())
    kept = sample.windows()[:, 0]
    assert len(kept) == 200
    assert sample.offered == 100 * EACH
    assert abs(kept.mean() - 49.5) < 6.2  # three deviations of the mean of 200 uniform draws
    for rollout in range(50, 100):
        other.add(np.full((50, 1), rollout, dtype=np.float32))
    np.testing.assert_array_equal(other.windows(), sample.windows())


def test_every_window_ever_offered_is_kept_with_the_same_probability() -> None:
    """Algorithm R: the k-th window draws its slot out of k, and is kept if that is in the sample."""
    sample, drawn = Reservoir(1, seed=0, capacity=3), []

    class Recorded:
        def integers(self, high: int, size: int | None = None) -> np.ndarray:
            drawn.extend([] if size else [high])
            return np.zeros(size or (), dtype=np.int64)

    sample.rng = Recorded()  # type: ignore[assignment]
    sample.add(np.zeros((1, 1), dtype=np.float32))
    assert drawn == list(range(4, EACH + 1))


def test_probes_stand_and_flail() -> None:
    env = gymnasium.make_vec(
        "GaitNet/WildRobot-v0", 4, vectorization_mode="vector_entry_point", autoreset_mode=AutoresetMode.DISABLED
    )
    found = probe_windows(env, 3, 2)
    env.close()
    assert set(found) == {"standing", "flailing"}
    size = found["standing"].shape[1] // 3
    assert found["standing"].shape[0] == 4 * (75 - 3)  # the first window is complete after 2 * 2 steps
    spread = {
        name: windows.reshape(len(windows), 3, size)[:, -1, :9].std(axis=0).mean() for name, windows in found.items()
    }
    assert spread["flailing"] > 5 * spread["standing"]
    fallen = found["flailing"].reshape(-1, 3, size)[:, 1, 24]  # the root's height in the frame before the last
    assert len(fallen) < 4 * (75 - 3)
    assert fallen.min() > 0.2  # no window goes on after a fall


def test_a_window_longer_than_the_probe_has_no_score() -> None:
    env = gymnasium.make_vec(
        "GaitNet/WildRobot-v0", 2, vectorization_mode="vector_entry_point", autoreset_mode=AutoresetMode.DISABLED
    )
    assert probe_windows(env, 10, 10) == {}  # 91 control steps, of 75
    env.close()
