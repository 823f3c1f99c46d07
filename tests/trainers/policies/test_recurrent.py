"""Policies that remember: everyone who runs one keeps its state, and tells it where episodes begin."""

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from helpers.recurrent import Memory, remembering
from helpers.still_clips import IMITATION, WALK, still, write

from gait_trainers.config.layers import validate
from gait_trainers.evaluation.clinical import walk
from gait_trainers.evaluation.record import record_clips
from gait_trainers.evaluation.rollout import EvaluationError, record
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies import export
from gait_trainers.policies.environment import make_env
from gait_trainers.policies.export import observe, parity
from gait_trainers.reports import video, window
from gait_trainers.rl.build import make_vec_env
from gait_trainers.rl.early_stop import check_walk

SHORT = {"max_episode_steps": 12}
COMMANDS = [(0.2, 0.0, 0.0), (0.4, 0.0, 0.0)]


@pytest.fixture(scope="module")
def stills(tmp_path_factory) -> str:
    return write(tmp_path_factory.mktemp("stills"), still("short", 8), still("stand", 16))


def episodes(memory: Memory) -> list[np.ndarray]:
    """The calls of each batch, apart: (T, n) counts of those that began together."""
    batches: list[list[np.ndarray]] = []
    for counts, starts in zip(memory.counts, memory.starts, strict=True):
        if starts.all():
            batches.append([])
        batches[-1].append(counts)
    return [np.array(batch) for batch in batches]


def test_the_state_is_carried_from_step_to_step_and_begins_with_the_episode():
    policy, memory = remembering(WALK)
    rollout, _ = record(policy, np.array(COMMANDS), env_kwargs=SHORT, threads=1)
    trial, walked = episodes(memory)  # the first call tries whether the policy fits
    assert trial.shape == (1, 1)
    np.testing.assert_array_equal(walked, np.tile(np.arange(1, 13)[:, None], 2))
    # The same by hand: what it asks of the servos is what it remembers.
    env = make_env(WALK, 2, threads=1, **SHORT)
    obs, _ = env.reset(seed=0, options={"command": np.array(COMMANDS)})
    total = np.zeros(2)
    for step in range(1, 13):
        total += obs.mean(1)
        action = np.zeros((2, 9), np.float32)
        action[:, 0], action[:, 1] = 0.01 * step, 1e-3 * total / step
        obs, *_ = env.step(action)
    np.testing.assert_array_equal(rollout.qpos[-1], env.core.state.qpos)


def test_nothing_is_carried_from_one_evaluation_to_the_next():
    policy, _ = remembering(WALK)
    first, again = (evaluate(policy, 4, COMMANDS, env_kwargs=SHORT, threads=1) for _ in range(2))
    assert first == again


def test_clips_of_different_lengths_are_followed_each_from_its_own_beginning(stills):
    policy, memory = remembering(IMITATION)
    evaluate_tracking(policy, reference=stills, threads=1)
    walked = episodes(memory)[1]
    # The longer clip has 15 steps; the shorter ended after 7 and is nobody's from then on.
    np.testing.assert_array_equal(walked[:, 0], np.arange(1, 16))
    np.testing.assert_array_equal(walked[:7, 1], np.arange(1, 8))


def test_recordings_are_what_the_remembering_policy_did(stills):
    policy, memory = remembering(IMITATION)
    recorded = record_clips(policy, stills, threads=1)
    assert [clip.frames for clip in recorded.clips] == [8, 16]
    assert max(counts.max() for counts in memory.counts) == 15
    env = make_env(IMITATION, threads=1, reference=stills, whole_clips=True)
    obs, _ = env.reset(seed=0, options={"clip": "short", "frame": 0})
    state, starts = policy.initial_state(1), np.ones(1, bool)
    for _ in range(7):
        action, state = policy.act(obs, state, starts)
        obs, *_ = env.step(action)
        starts = np.zeros(1, bool)
    np.testing.assert_array_equal(recorded.clips[0].qpos[-1, 7:], env.core.state.qpos[0, 7:])


def test_a_film_and_a_window_show_it_remembering(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(video, "film", lambda model, path, rollout, *_, **__: drawn.append(rollout))
    policy, memory = remembering(WALK)
    video.make_video(policy, tmp_path / "a.mp4", seconds=0.2)
    np.testing.assert_array_equal(episodes(memory)[-1][:, 0], np.arange(1, 11))
    assert len(drawn) == 1

    monkeypatch.setattr(window, "has_display", lambda: True)
    made = lambda env_id, render_mode, **kwargs: gymnasium.make(env_id, **kwargs)  # noqa: E731
    monkeypatch.setattr(window, "gym", SimpleNamespace(make=made))
    policy, memory = remembering(WALK)
    window.watch(policy, {"command": (0.4, 0.0, 0.0)}, seconds=0.3, env_kwargs={"max_episode_steps": 6})
    # 15 steps, an episode of 6 after another: it forgets when one begins.
    assert [int(count[0]) for count in memory.counts] == [*range(1, 7), *range(1, 7), 1, 2, 3]


def test_the_gait_laboratory_keeps_its_state(monkeypatch):
    policy, memory = remembering("GaitNet/HumanoidImitation-v0")
    memory.joints = 50
    with pytest.raises(EvaluationError, match="no whole cycle"):
        walk(policy, ["walk_060"], seconds=0.2, settle=0.0, threads=1)
    np.testing.assert_array_equal(episodes(memory)[-1][:, 0], np.arange(1, len(episodes(memory)[-1]) + 1))


class Graph(Memory):
    """Stands in for a graph that remembers."""

    def run(self, names, obs, state, starts):
        assert names == ["action"]
        mean, _, _ = Memory()(obs, state, starts)
        return [mean]


class Endless(Memory):
    """Does not notice that an episode begins."""

    def __call__(self, obs, state, starts):
        return super().__call__(obs, state, np.zeros_like(starts))


def test_parity_is_of_whole_episodes(tmp_path, monkeypatch):
    policy, memory = remembering(WALK, max_episode_steps=9)
    observed = observe(policy, count=240)
    np.testing.assert_array_equal(np.flatnonzero(observed.starts[:, 0]), [0, 10, 20])  # 9 steps, then the reset's own
    np.testing.assert_array_equal(np.array(memory.counts)[8:12, 0], [9, 10, 1, 2])
    graph = Graph()
    monkeypatch.setattr(export, "OnnxNetwork", lambda path: graph)
    assert parity(tmp_path, Memory(), observed) == 0.0
    with pytest.raises(export.ExportError, match="on 240 observations"):
        parity(tmp_path, Endless(), observed)


def test_the_check_whether_it_walks_tells_the_policy_where_episodes_begin():
    env = make_vec_env(validate({"env": {"num_envs": 2, "threads": 1}}, "test"))
    env.env.unwrapped.core.max_episode_steps = 5
    policy, memory = remembering(WALK)
    check_walk(policy, env, 0.4)
    env.close()
    assert [count.tolist() for count in memory.counts] == [[k, k] for k in range(1, 6)]
