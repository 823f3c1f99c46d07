"""Demonstrations: where they come from, and that nothing of them is lost."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.core import Core
from gait_envs.reference.clip import load_clip, save_clip
from gait_envs.reference.library import load_clips
from gait_envs.registry import make_task
from gait_envs.rotations import quat_yaw
from gait_trainers import load_policy
from gait_trainers.cli import app
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import (
    DemonstrationError,
    Demonstrations,
    Episode,
    bundled_demonstrations,
    find_demonstrations,
    load_demonstrations,
    save_demonstrations,
)
from gait_trainers.imitation.shared import SHIFT_EVERY, Shared, action_of
from gait_trainers.policies.environment import EnvironmentOptionError, make_env

WALK = "GaitNet/WildRobot-v0"
CLIP = "motions/wildrobot_walk/walk_040_calm_0.npz"


@pytest.fixture(scope="module")
def tracked() -> Demonstrations:
    """A tracker of clips, demonstrating for the walker that obeys commands."""
    tracker = load_policy(asset_path("policies/wildrobot_imitation"))
    clip = str(asset_path(CLIP))
    return demonstrate(tracker, WALK, reference=clip, episodes=2, env_kwargs={"previous_action": "all"})


def same(a: Episode, b: Episode) -> bool:
    arrays = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("obs", "actions", "rewards"))
    kinds = all(getattr(a, name).dtype == getattr(b, name).dtype for name in ("obs", "actions", "rewards"))
    infos = a.info.keys() == b.info.keys() and all(np.array_equal(a.info[key], b.info[key]) for key in a.info)
    return arrays and kinds and infos and (a.terminated, a.truncated) == (b.terminated, b.truncated)


def test_an_action_gives_the_servo_targets_that_it_was_made_from() -> None:
    core = Core(make_task("walk", {}), 3)
    core.reset()
    core.memory.filtered[:] = np.random.default_rng(0).uniform(-0.2, 0.2, (3, 9))
    target = core.robot.home + core.robot.half_range * np.random.default_rng(1).uniform(-0.3, 0.3, (3, 9))
    target = np.clip(target, core.robot.target_lower, core.robot.target_upper)
    controls, _ = core.task.actions.act(core.memory, action_of(core, target))
    np.testing.assert_allclose(controls, target, atol=1e-12)


def test_a_knee_bent_farther_than_usual_actions_reach_is_a_target_of_wider_ones() -> None:
    core = Core(make_task("walk", {"action_scale": 1.5, "action_filter": 1.0}), 1)
    core.reset()
    target = core.robot.home[None].copy()
    target[0, 3] = 1.3
    controls, _ = core.task.actions.act(core.memory, action_of(core, target))
    np.testing.assert_allclose(controls, target, atol=1e-12)


def test_a_tracker_demonstrates_what_the_environments_preset_will_do(tmp_path: Path) -> None:
    """Its actions are those of trainings there (`laptop`), unless told otherwise."""
    for words, scale in (((), 1.5), (("--env-set", "action_scale=1.2"), 1.2)):
        file = tmp_path / f"{scale}.npz"
        wanted = ["demonstrate", "wildrobot_imitation", "--env", WALK, "--episodes", "1", "--reference",
                  str(asset_path(CLIP)), "--out", str(file), *words]  # fmt: skip
        assert CliRunner().invoke(app, wanted, catch_exceptions=False).exit_code == 0
        assert load_demonstrations(file).env_kwargs["action_scale"] == scale


def test_a_tracker_demonstrates_for_a_walker_in_the_walkers_own_layout(tracked: Demonstrations) -> None:
    rows = {row["name"]: row for row in tracked.layout}
    part = {name: slice(row["index"][0], row["index"][0] + row["size"]) for name, row in rows.items()}
    assert tracked.env_id == WALK
    assert "reference_joints" not in rows
    for episode in tracked.episodes:
        assert episode.obs.shape == (len(episode.actions) + 1, 39)
        assert (episode.terminated, episode.truncated) == (False, True)
        # The filtered action that is observed next is 0.7 of the action that was taken and 0.3 of what was before.
        filtered = episode.obs[:, part["previous_action"]]
        np.testing.assert_allclose(filtered[1:], 0.7 * episode.actions + 0.3 * filtered[:-1], atol=1e-6)
        assert abs(episode.info["x_velocity"].mean() - episode.obs[:, part["command"]][:, 0].mean()) < 0.05
        assert abs(episode.info["x_position"][-1] - episode.info["x_position"][0]) > 0.5


def test_command_and_heading_are_held_so_that_they_do_not_tell_the_phase(tracked: Demonstrations) -> None:
    start = next(row["index"][0] for row in tracked.layout if row["name"] == "command")
    for episode in tracked.episodes:
        planar = episode.obs[:, start : start + 2]
        for first in range(0, len(planar), 100):  # two seconds
            assert np.ptp(planar[first : first + 100], axis=0).max() == 0.0
    core = Core(make_env(WALK, num_envs=1, threads=1).core.task, 1, threads=1, max_episode_steps=300, masks=False)
    shared = Shared(load_policy(asset_path("policies/wildrobot_imitation")), str(asset_path(CLIP)), core)
    own, commanded = [], []

    def act(obs: np.ndarray, label: np.ndarray) -> np.ndarray:
        own.append(float(quat_yaw(shared.tracker.memory.reference_qpos[:, 3:7])[0]))
        commanded.append(float(core.memory.heading[0]))
        return label

    shared.run([0], np.arange(1), act)
    assert np.ptp(own) > 0.1  # rad, the pelvis turns with every step
    np.testing.assert_allclose(commanded, 0.0, atol=0.03)  # straight ahead


def test_a_start_is_commanded_from_its_first_step_as_its_clip_says(tmp_path: Path) -> None:
    env_id = "GaitNet/Humanoid-v0"
    tracker = load_policy(asset_path("policies/humanoid_imitation"))
    core = Core(make_env(env_id, num_envs=1, threads=1).core.task, 3, threads=1, max_episode_steps=10, masks=False)
    shared = Shared(tracker, ["human_walk", "human_start"], core)
    names = [clip.name for clip in shared.library.clips]
    chosen = np.array([names.index(name) for name in ("start_080", "walk_120", "start_140")])
    first, walks, last = shared.run([0, 1, 2], chosen, lambda obs, label: label)
    assert walks.info["x_velocity"][0] > 0.8  # as its clip, without noise
    for episode, speed in ((first, 0.8), (last, 1.4)):
        leaning = np.abs(episode.obs[0, :50] * core.robot.half_range).max()  # from the home pose, rad
        assert 0.03 < leaning < 0.07  # stands, as unevenly as the task's own bodies do
        np.testing.assert_allclose(episode.obs[:, 109], speed, atol=1e-6)  # though it hardly moves yet
        assert abs(episode.info["x_velocity"][:9].mean()) < 0.3
    clip = load_clips("human_start")[0]
    for wrong in ([1.0, 0.0], "fast", [1.0, 0.0, float("nan")], [True, 0, 0]):
        file = save_clip(tmp_path / "start.npz", dataclasses.replace(clip, meta={"command": wrong}))
        with pytest.raises(DemonstrationError, match=r"start.*: meta\.command is .*expected \[m/s ahead"):
            Shared(tracker, str(file), core)


def test_the_clip_is_put_where_the_body_is_and_to_the_frame_that_it_is_nearest_to() -> None:
    core = Core(make_env(WALK, num_envs=1, threads=1).core.task, 3, threads=1, max_episode_steps=300, masks=False)
    shared = Shared(load_policy(asset_path("policies/wildrobot_imitation")), str(asset_path(CLIP)), core)
    shared.tracker.seed([0, 1, 2])
    shared.tracker.reset(options={"frame": np.full(3, 40)})  # the bodies are in the pose of frame 40
    memory = shared.tracker.memory
    for taken, expected in ((1, [39, 40, 41]), (SHIFT_EVERY, [40, 40, 40])):
        memory.frame[:], memory.origin[:] = [39, 40, 41], 7.0
        shared._bring_clip_along(taken)
        assert memory.frame.tolist() == expected
        qpos, _ = shared.player.reference(memory)
        np.testing.assert_allclose(qpos[:, :2], core.state.qpos[:, :2], atol=1e-12)


def test_the_clip_stays_with_a_student_that_lags_behind() -> None:
    """One that stands beside a walk of 0.4 m/s is soon metres behind it, which it cannot see; it is still shown."""
    tracker = load_policy(asset_path("policies/wildrobot_imitation"))
    stand = {"choose": lambda obs, label: np.zeros_like(label), "keep_failed": True}
    (episode,) = demonstrate(tracker, WALK, reference=str(asset_path(CLIP)), episodes=1, **stand).episodes
    assert (episode.terminated, episode.truncated) == (False, True)
    assert len(episode.actions) > 250  # of 300; left where it was, the clip is lost after 35
    assert abs(episode.info["x_position"][-1]) < 0.1
    assert episode.actions[100:].std(axis=0).max() > 0.1  # steps, as if it walked


def test_the_expert_sees_the_clip_where_it_has_been_put() -> None:
    core = Core(make_env(WALK, num_envs=1, threads=1).core.task, 2, threads=1, max_episode_steps=12, masks=False)
    tracker = load_policy(asset_path("policies/wildrobot_imitation"))
    shared = Shared(tracker, str(asset_path(CLIP)), core)
    seen: list[np.ndarray] = []

    def act(obs: np.ndarray, *memory: Any) -> Any:
        np.testing.assert_array_equal(obs, shared.tracker.observe())
        seen.append(obs)
        return tracker.act(obs, *memory)

    shared.expert = SimpleNamespace(act=act, initial_state=tracker.initial_state)  # type: ignore[assignment]
    shared.run([0, 1], np.zeros(2, int), lambda obs, label: np.zeros_like(label))
    assert len(seen) == 12


def test_an_expert_demonstrates_in_its_own_environment() -> None:
    found = demonstrate(load_policy(asset_path("policies/wildrobot_walk")), episodes=1)
    (episode,) = found.episodes
    assert len(episode.actions) == 500
    assert bool(episode.info["success"][-1])
    assert episode.rewards[7] == pytest.approx(
        sum(column[7] for name, column in episode.info.items() if name.startswith("reward_"))
    )


def test_a_tracker_follows_what_it_is_told_in_its_own_environment_too(tmp_path: Path) -> None:
    tracker = load_policy(asset_path("policies/wildrobot_imitation"))
    clip = load_clip(asset_path(CLIP))
    save_clip(tmp_path / "mine.npz", dataclasses.replace(clip, license="MY-LICENSE"))
    found = demonstrate(tracker, reference=str(tmp_path), episodes=1)
    assert found.source["reference"] == str(tmp_path)
    assert [row["license"] for row in found.source["clips"]] == ["MY-LICENSE"]
    assert "reference" not in found.env_kwargs  # a folder of this machine is no property of the environment
    own = dataclasses.replace(tracker, reference=str(tmp_path / "nowhere"))
    assert demonstrate(own, episodes=1, env_kwargs={"reference": str(tmp_path)}).source["reference"] == str(tmp_path)
    with pytest.raises(EvaluationError, match="max_episode_steps is -1"):
        demonstrate(tracker, episodes=1, env_kwargs={"max_episode_steps": -1})
    with pytest.raises(EnvironmentOptionError, match="nowhere: neither a clip"):
        demonstrate(tracker, reference=str(tmp_path / "nowhere"), episodes=1)


def test_what_does_not_go_together_is_refused() -> None:
    walker, tracker = (load_policy(asset_path(f"policies/wildrobot_{name}")) for name in ("walk", "imitation"))
    with pytest.raises(DemonstrationError, match="wildrobot_walk obeys commands, in GaitNet/WildRobot-v0; it follows"):
        demonstrate(walker, reference="wildrobot_walk")
    with pytest.raises(DemonstrationError, match="only a policy that tracks clips can demonstrate for GaitNet/Human"):
        demonstrate(walker, "GaitNet/Humanoid-v0")
    with pytest.raises(DemonstrationError, match="drives wildrobot, 9 joints; the target environment has humanoid, 50"):
        demonstrate(tracker, "GaitNet/Humanoid-v0", episodes=1)
    lame = dataclasses.replace(walker, network=_Leaning())
    with pytest.raises(DemonstrationError, match=r"none of 2 episodes .* ended without a failure"):
        demonstrate(lame, episodes=2, env_kwargs={"min_height": 0.44})


class _Leaning:
    """Leans forward until it falls."""

    def initial_state(self, n: int) -> tuple:
        return ()

    def __call__(self, obs: np.ndarray, state: tuple, starts: np.ndarray) -> tuple:
        return np.ones((len(obs), 9), np.float32), np.ones((len(obs), 9), np.float32), state


def test_a_file_holds_everything(tracked: Demonstrations, tmp_path: Path) -> None:
    found = load_demonstrations(save_demonstrations(tmp_path / "walk.npz", tracked))
    assert all(same(*pair) for pair in zip(found.episodes, tracked.episodes, strict=True))
    assert (found.env_id, dict(found.env_kwargs)) == (WALK, {"previous_action": "all"})
    assert list(found.layout) == list(tracked.layout)
    assert dict(found.source)["expert"] == "wildrobot_imitation"
    with pytest.raises(DemonstrationError, match="the limit is 1000 for all arrays together"):
        load_demonstrations(tmp_path / "walk.npz", limit=1000)
    assert load_clip(asset_path(CLIP)).license == "MIT"
    assert found.licenses == tracked.licenses == ["CMU", "MIT"]  # the tracker has learnt from captures
    with pytest.raises(DemonstrationError, match=r"ends in \.npz"):
        save_demonstrations(tmp_path / "walk.zip", tracked)


def test_a_damaged_file_is_refused(tracked: Demonstrations, tmp_path: Path) -> None:
    path = save_demonstrations(tmp_path / "walk.npz", tracked)
    whole = dict(np.load(path))
    for key, value, told in (
        ("lengths", whole["lengths"] + 1, "expected"),
        ("lengths", np.array([-1, 3]), "at least 1 each"),
        ("actions", np.array(1.0), "must be tables"),
        ("terminated", np.array(True), "terminated and truncated"),
        ("obs", np.full(whole["obs"].shape, np.inf, dtype=np.float16), "not finite"),
        ("format", np.array("clip"), "no file of demonstrations"),
        ("rewards", whole["rewards"] * np.nan, "not finite"),
        ("obs", np.full(whole["obs"].shape, 1e300), "not below 1e\\+30"),
        ("meta", np.array("{}"), "env_id is missing"),
        ("meta", np.array(str(whole["meta"]).replace('"clips": [', '"clips": [3, ')), "source.clips must be a list"),
        ("meta", np.array(str(whole["meta"]).replace(WALK, "os:GaitNet/WildRobot-v0")), "cannot make os:GaitNet"),
    ):
        np.savez(tmp_path / "bad.npz", **(whole | {key: value}))
        with pytest.raises(DemonstrationError, match=told) as caught:
            load_demonstrations(tmp_path / "bad.npz")
        assert str(caught.value).startswith(str(tmp_path / "bad.npz"))


def test_trajectories_of_imitation_hold_everything(tracked: Demonstrations) -> None:
    pytest.importorskip("imitation")
    from gait_trainers.imitation.convert import from_trajectory, source_of, to_trajectories, to_trajectory

    for episode in tracked.episodes:
        trajectory = to_trajectory(episode)
        assert (len(trajectory), trajectory.terminal) == (len(episode.actions), True)
        assert same(from_trajectory(trajectory), episode)
    (one, _) = (source_of(trajectory) for trajectory in to_trajectories(tracked))
    assert one == dict(tracked.source)
    assert same(from_trajectory(to_trajectories(tracked)[1]), tracked.episodes[1])
    assert source_of(to_trajectory(tracked.episodes[0])) == {}
    fallen = dataclasses.replace(tracked.episodes[0], terminated=True, truncated=False)
    assert same(from_trajectory(to_trajectory(fallen)), fallen)


def test_demonstrations_state_source_and_licence_of_the_clips_that_they_follow(tmp_path: Path) -> None:
    """Two clips are followed in turn; the licence of a third one, which no episode comes to, is not claimed."""
    clip = load_clip(asset_path(CLIP))
    for name, license in (("a", "CC-BY-4.0"), ("b", "ODbL"), ("c", "secret")):
        save_clip(tmp_path / f"{name}.npz", dataclasses.replace(clip, name=name, license=license, source=f"lab {name}"))
    tracker = load_policy(asset_path("policies/wildrobot_imitation"))
    found = demonstrate(tracker, WALK, reference=str(tmp_path), episodes=2, env_kwargs={"previous_action": "all"})
    assert found.source["clips"] == [
        {"source": "lab a", "license": "CC-BY-4.0", "clips": 1},
        {"source": "lab b", "license": "ODbL", "clips": 1},
    ]
    assert found.source["expert_license"] == "MIT"
    assert found.licenses == found.provenance()["licenses"] == ["CC-BY-4.0", "CMU", "MIT", "ODbL"]  # the tracker's too


def test_a_minari_dataset_states_the_clips(tracked: Demonstrations, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imitation")
    from gait_trainers.imitation.convert import to_minari

    minari, buffers = ModuleType("minari"), ModuleType("minari.data_collector.episode_buffer")
    minari.create_dataset_from_buffers = lambda **given: given  # type: ignore[attr-defined]
    buffers.EpisodeBuffer = lambda **given: given  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "minari", minari)
    monkeypatch.setitem(sys.modules, "minari.data_collector", ModuleType("minari.data_collector"))
    monkeypatch.setitem(sys.modules, "minari.data_collector.episode_buffer", buffers)
    first, source = to_minari(tracked, "walks-v0", description="two walks")["description"].split("\n")
    assert first == "two walks"
    assert json.loads(source)["clips"] == tracked.source["clips"] != []


def test_the_bundled_file_is_found_from_any_folder_and_is_what_its_sources_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundled_demonstrations() == ["wildrobot_walk"]
    found = load_demonstrations(find_demonstrations("wildrobot_walk"))
    assert (found.env_id, found.source["seed"], found.source["expert"]) == (WALK, 0, "wildrobot_walk")
    assert [(len(episode.actions), episode.truncated) for episode in found.episodes] == [(500, True)] * 6
    policy = load_policy("wildrobot_walk")
    state, obs = policy.initial_state(6), np.stack([episode.obs[100] for episode in found.episodes])
    actions, _ = policy.act(obs, state, np.zeros(6, dtype=bool))
    shown = np.stack([episode.actions[100] for episode in found.episodes])
    np.testing.assert_allclose(np.clip(actions, -1, 1), shown, atol=1e-4)
    (tmp_path / "wildrobot_walk").write_text("mine")  # what is really there comes first
    with pytest.raises(DemonstrationError, match="wildrobot_walk"):
        load_demonstrations(find_demonstrations("wildrobot_walk"))
    with pytest.raises(DemonstrationError, match=r"^nothing: no such file; bundled demonstrations are wildrobot_walk$"):
        find_demonstrations("nothing")
