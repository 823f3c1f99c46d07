"""What the reference shows beside what is commanded, before AMP begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gait_envs.reference.clip import save_clip, velocities
from gait_envs.reference.library import load_clips
from gait_trainers.config.layers import load_config
from gait_trainers.learners.amp.commands import describe_commands, mismatch
from gait_trainers.learners.amp.reach import beyond_reach
from gait_trainers.rl.build import build
from gait_trainers.rl.train import followed

AHEAD = ((0.2, 0.0, 0.0), (0.8, 0.0, 0.0))
TINY = {"env.num_envs": 2, "env.threads": 1, "amp.hidden": [8], "networks.policy": [8], "networks.value": [8],
        "ppo.n_steps": 8, "ppo.minibatches": 2, "amp.batch_size": 4}  # fmt: skip


def seconds(*speeds: float, left: float = 0.0, turn: float = 0.0) -> np.ndarray:
    return np.array([[speed, left, turn] for speed in speeds])


@pytest.mark.parametrize(
    "shown",
    [seconds(0.3, 0.5, 0.7), seconds(0.5), seconds(0.1, 0.9), seconds(0.3, 0.6, left=0.1, turn=0.2),
     np.concatenate([seconds(0.3, 0.6), seconds(0.5, turn=1.0)])],
)  # fmt: skip
def test_a_reference_that_walks_as_commanded_raises_no_warning(shown: np.ndarray) -> None:
    assert mismatch(shown, *AHEAD) == []


@pytest.mark.parametrize(
    "shown", [seconds(-1.2), seconds(-0.3, -0.4), seconds(0.0, left=0.46), seconds(0.5, turn=1.0), seconds(3.0)]
)
def test_a_reference_that_no_command_asks_for_is_named(shown: np.ndarray) -> None:
    (warning,) = mismatch(shown, *AHEAD)
    assert warning.startswith("0 % of the reference's seconds move as any command asks")
    assert "env.kwargs.command_low" in warning


def test_joints_that_actions_cannot_move_as_the_reference_does_are_named() -> None:
    joints = np.linspace([0.0, -1.0, -0.5], [1.4, 1.0, 0.5], 1001)
    limits = np.array([[0.0, -0.6, -2.0], [1.4, 1.2, 2.0]])
    targets = np.array([[0.0, -0.6, -0.45], [1.1, 1.0, 0.45]])
    # The second stops at its limit, the third nearly does what the reference does.
    (knee,) = beyond_reach(joints, targets, limits, 1.0, ("knee", "hip", "ankle"))
    assert knee.startswith("the reference moves knee to 1.39 rad, actions to 1.10: raise env.kwargs.action_scale")
    backward = beyond_reach(-joints, -targets[::-1], -limits[::-1], 1.0, ("knee", "hip", "ankle"))
    assert [line[:43] for line in backward] == ["the reference moves knee to -1.39 rad, acti"]


@pytest.mark.parametrize(("scale", "warned"), [(1.0, ["left_knee_pitch", "right_knee_pitch"]), (1.5, [])])
def test_a_training_says_what_actions_cannot_reach(tmp_path: Path, scale: float, warned: list[str]) -> None:
    own = {"env.kwargs.action_scale": scale, "run.out": str(tmp_path)}
    learner = build(load_config(preset="laptop", overrides=TINY | own)).learners["amp"]
    found = [line for line in learner.warnings() if "action_scale" in line]
    assert [line.split()[3] for line in found] == warned


def test_commands_beyond_the_reference_are_named() -> None:
    shown = seconds(0.3, 0.4, 0.5)
    (fast,) = mismatch(shown, (0.2, 0.0, 0.0), (1.6, 0.0, 0.0))
    assert fast.startswith("1.6 m/s ahead is commanded, the reference only reaches 0.49")
    back, left = mismatch(shown, (-0.5, 0.0, 0.0), (0.5, 0.5, 0.5))
    assert back.startswith("-0.5 m/s ahead is commanded, the reference only reaches 0.31")
    assert left.startswith("0.5 m/s to the left is commanded, the reference only reaches 0.00")
    assert describe_commands(*AHEAD) == (
        "commanded: 0.2 to 0.8 m/s ahead, 0 to 0 m/s to the left, 0 to 0 rad/s turning left"
    )


@pytest.fixture
def backwards(tmp_path: Path) -> str:
    """An embedded walk played in reverse."""
    clip = next(clip for clip in load_clips("wildrobot_walk") if clip.name == "walk_020_calm_0")
    qpos = clip.qpos[::-1].copy()
    fields = {name: getattr(clip, name) for name in ("fps", "joint_names", "loop", "model", "source", "license")}
    reverse = type(clip)(qpos=qpos, qvel=velocities(qpos, clip.fps), contacts=clip.contacts[::-1], **fields)
    return str(save_clip(tmp_path / "back.npz", reverse))


def test_the_learner_says_both_and_warns(backwards: str) -> None:
    config = load_config(None, "laptop", TINY | {"amp.data": backwards, "env.kwargs.reference": backwards})
    training = build(config)
    try:
        shown, commanded = training.learners["amp"].describe(training.model)
        assert shown.startswith("the reference of the style with mirror images, 2 clips, moves at -0.2")
        assert commanded.startswith("commanded: 0 to 0.9 m/s ahead")
        assert any(
            "of the reference's seconds move as any command asks" in w for w in training.learners["amp"].warnings()
        )
        assert followed(training.base) == []
    finally:
        training.base.close()


def test_presets_raise_no_warning_about_commands() -> None:
    training = build(load_config(None, "laptop", TINY))
    try:
        assert not [w for w in training.learners["amp"].warnings() if "command" in w]
    finally:
        training.base.close()


def test_who_follows_clips_is_told_where_they_lead() -> None:
    changes = {key: value for key, value in TINY.items() if not key.startswith("amp.")}
    training = build(load_config(None, "imitate", changes, {"algorithm": "ppo"}))
    try:
        (line,) = followed(training.base)
        assert line.startswith("the reference that is followed, 48 clips, moves at 0.0")
    finally:
        training.base.close()
