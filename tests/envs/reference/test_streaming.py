"""Streaming libraries: the answers of the whole set, from the clips that are in memory."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn import JOINTS, wander

from gait_envs.reference.clip import ClipError, save_clip
from gait_envs.reference.library import MotionLibrary, open_clips
from gait_envs.reference.packed import PackedClips
from gait_envs.reference.packing import pack
from gait_envs.reference.streaming import StreamingLibrary


@pytest.fixture
def many(tmp_path: Path) -> PackedClips:
    return pack((wander(5 + at, at, loop=at % 2 == 0) for at in range(20)), tmp_path / "many")


def stream(clips: Any, **changes: Any) -> StreamingLibrary:
    return StreamingLibrary(clips, JOINTS, 50.0, **{"resident": 4, "refresh": 100, "seed": 3, **changes})


def test_streaming_answers_like_the_whole_library(many: PackedClips) -> None:
    found, whole = stream(many), MotionLibrary(many, JOINTS, 50.0)
    np.testing.assert_array_equal(found.durations, whole.durations)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(40):
        which, time = found.draw(rng, 50)
        assert len(set(which)) <= 4
        assert len(found.library.clips) <= 8
        seen |= set(which)
        for one, other in zip(found.sample(which, time + 0.3), whole.sample(which, time + 0.3), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(found.at(which, np.full(50, 7))[0], whole.at(which, np.full(50, 7))[0])
        np.testing.assert_array_equal(found.ended(which, time + 0.1), whole.ended(which, time + 0.1))
    assert found.generation == 19  # after each 100 draws, before the next
    assert len(seen) > 15


def test_what_was_drawn_can_be_followed_over_one_refresh(many: PackedClips) -> None:
    found = stream(many)
    first = found.places
    found.refill()
    found.sample(first, np.zeros(4))
    found.refill()
    gone = set(first) - {*found.places, *found.before}
    assert gone
    with pytest.raises(ClipError, match=r"clip 'wander_\d+' is not in memory"):
        found.sample(np.array([gone.pop()]), np.zeros(1))


def test_places_follow_the_weights(many: PackedClips) -> None:
    """Each clip's mean number of places is its share of all of them, and no draw is far from it."""
    found = stream(many, resident=10)
    weights = np.arange(1.0, 21.0)
    found.set_weights(weights)
    counts = []
    for _ in range(200):
        found.refill()
        counts.append(np.bincount(found.places, minlength=20))
    expected = 10 * weights / weights.sum()
    np.testing.assert_allclose(np.mean(counts, axis=0), expected, atol=0.1)
    assert (np.abs(counts - expected) < 1).all()
    # Any two clips may be there together, neighbours too.
    pair, pairs = stream(many, resident=2, seed=0), set()
    for _ in range(60):
        pair.refill()
        pairs.add(int(np.ptp(pair.places)))
    assert {1, 2, 3} < pairs
    # As many places as clips and equal weights: every clip is there.
    everyone = stream(many, resident=20)
    everyone.set_weights(np.ones(20))
    everyone.refill()
    assert sorted(everyone.places) == list(range(20))


def test_a_stream_follows_from_its_seed_and_goes_on_exactly(many: PackedClips) -> None:
    def run(found: StreamingLibrary, seed: int, batches: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return np.stack([np.stack(found.draw(rng, 30)) for _ in range(batches)])

    found = stream(many)
    whole = run(found, 0, 20)
    np.testing.assert_array_equal(whole, run(stream(many), 0, 20))
    assert not np.array_equal(whole, run(stream(many, seed=4), 0, 20))
    found.set_weights(np.arange(1.0, 21.0))
    run(found, 1, 9)
    state = pickle.loads(pickle.dumps(found.get_state()))
    other = stream(many)
    other.set_state(state)
    np.testing.assert_array_equal(run(found, 2, 20), run(other, 2, 20))
    np.testing.assert_array_equal(found.before, other.before)
    with pytest.raises(ClipError, match="the state is of 4 places over 20 clips, this library has 5 over 20"):
        stream(many, resident=5).set_state(state)


def test_files_stream_like_a_packed_set(many: PackedClips, tmp_path: Path) -> None:
    for one in many:
        save_clip(tmp_path / "files" / f"{one.name}.npz", one)
    files = open_clips([tmp_path / "files" / f"{name}.npz" for name in many.names])
    found, other = stream(files), stream(many)
    which, time = found.draw(np.random.default_rng(0), 30)
    np.testing.assert_array_equal(which, other.draw(np.random.default_rng(0), 30)[0])
    np.testing.assert_array_equal(found.sample(which, time)[0], other.sample(which, time)[0])


def test_streams_refuse_what_makes_no_sense(many: PackedClips) -> None:
    for key in ("resident", "refresh"):
        with pytest.raises(ValueError, match=f"{key} is 0, expected 1 or more"):
            stream(many, **{key: 0})
    with pytest.raises(ValueError, match="above 0"):
        stream(many).set_weights(np.zeros(20))
    with pytest.raises(ClipError, match="joints differ"):
        StreamingLibrary(many, ("a", "b"), 50.0, resident=2)
