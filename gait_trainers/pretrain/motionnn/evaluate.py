"""Evaluation of a motion model: single-step and rollout errors, growth, stability, long rollouts, beside baselines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gait_envs.reference.clip import ClipError
from gait_envs.reference.sources import ClipSource, open_clips
from gait_trainers.data.activities import activity_kind
from gait_trainers.data.motion_frames import MotionFrames, joined, read_frames, robot_of
from gait_trainers.data.motion_state import ROOT
from gait_trainers.data.windows import Windows, cut_windows
from gait_trainers.models.motion import MotionModel
from gait_trainers.models.motion.encodings import Encoding
from gait_trainers.pretrain.motionnn import baselines
from gait_trainers.pretrain.motionnn.conditioning import conditions_of, straight
from gait_trainers.pretrain.motionnn.figures import (
    HORIZONS,
    errors,
    free_running,
    growth,
    normalized_mse,
    r_squared,
    stability,
)
from gait_trainers.pretrain.motionnn.mean_cycle import MeanCycle

GIVEN = 8  # frames before a rollout, of which memory is filled; the same for every model
STRIDE = 2  # frames from one window to the next
LONG = 300  # frames of the free-running check
MOST_LONG = 64  # windows of it


@dataclass(frozen=True)
class Judged:
    """Test windows of GIVEN + K frames, and what was predicted for the last K."""

    windows: Windows
    clips: list[str]  # of each window
    predicted: np.ndarray  # (n, K, 2 C)
    baselines: dict[str, np.ndarray]
    moving: np.ndarray  # (C,) bool

    @property
    def target(self) -> np.ndarray:
        """What was captured, (n, K, 2 C)."""
        return self.windows.state[:, GIVEN:]


def read_table(
    source: ClipSource, model: MotionModel, kinds: Sequence[str] = (), mirrored: bool = False
) -> tuple[MotionFrames, np.ndarray, list[str]]:
    """Frames of the clips of a source end to end, the row after each one's last, and their names; ClipError where
    they are not of the model's robot, or none is of these kinds of activity."""
    parts: list[MotionFrames] = []
    names: list[str] = []
    shown: set[str] = set()
    for clip in open_clips(source):
        shown.add(activity_kind(clip.meta))
        if kinds and activity_kind(clip.meta) not in kinds:
            continue
        if clip.model != model.spec.robot:
            raise ClipError(f"clip {clip.name!r} is of {clip.model!r}, the model is of {model.spec.robot!r}")
        robot = robot_of(clip)
        for side in (False, True) if mirrored else (False,):
            parts.append(read_frames(clip, robot, side))
            names.append(clip.name)
    if not parts:
        named = source if isinstance(source, str | os.PathLike) else ", ".join(map(str, source))
        raise ClipError(
            f"{named}: no clip shows {' or '.join(kinds) or 'anything'}; they show {', '.join(sorted(shown))}"
        )
    return joined(parts), np.cumsum([len(part) for part in parts]), names


def evaluation_windows(
    frames: MotionFrames, ends: np.ndarray, names: Sequence[str], steps: int
) -> tuple[Windows, list[str]]:
    """Every window of GIVEN + `steps` frames that lies within a clip, STRIDE frames apart, and the name of each one's
    clip; ends and names as of `read_table`. ClipError without any."""
    starts = np.concatenate([[0], ends[:-1]])
    rows = [np.arange(a, b - GIVEN - steps + 1, STRIDE) for a, b in zip(starts, ends, strict=True)]
    start = np.concatenate(rows)
    if not len(start):
        raise ClipError(f"no clip is as long as {GIVEN + steps + 1} frames, a window of the evaluation")
    whose = [name for name, row in zip(names, rows, strict=True) for _ in row]
    return cut_windows(frames, start, GIVEN + steps), whose


def judge(
    model: MotionModel, extras: dict[str, Any], source: ClipSource, kinds: Sequence[str] = (),
    training: ClipSource | None = None, steps: int = HORIZONS[-1],
) -> Judged:  # fmt: skip
    """Predictions of the model and of the baselines for the clips of a source. training: the clips that the nearest
    window is looked for in; None leaves this baseline out."""
    table, ends, names = read_table(source, model, kinds)
    windows, whose = evaluation_windows(table, ends, names, steps)
    with torch.no_grad():
        states = torch.from_numpy(windows.state)
        predicted = model.rollout(states[:, :GIVEN], steps, conditions_of(windows)).numpy()
    last, fps = windows.state[:, GIVEN - 1], model.spec.fps
    found = {
        "repeat": baselines.repeat(last, steps),
        "constant_velocity": baselines.constant_velocity(last, steps, fps),
    }
    if "mean_pose" in extras:
        found["mean_pose"] = baselines.mean_pose(last, steps, np.asarray(extras["mean_pose"]))
    if training is not None:
        frames, stops, _ = read_table(training, model, kinds, mirrored=True)
        nearest = baselines.nearest_window(last, steps, frames, stops, heading_of(model))
        if nearest is not None:
            found["nearest_window"] = nearest
    cycle = MeanCycle.of(extras)
    if cycle is not None and model.spec.conditions:
        after = slice(GIVEN - 1, None)
        found["mean_cycle"] = baselines.mean_cycle(
            cycle, windows.phase[:, after], windows.speed[:, after], windows.path[:, after, 0], fps
        )
    return Judged(windows, whose, predicted, found, model.moving.numpy() > 0)


def heading_of(model: MotionModel) -> Encoding:
    """The encoding in which windows are compared, whatever the model's own."""
    spec = model.spec
    return Encoding("heading", spec.joint_names, spec.home, spec.half_range, spec.axes, spec.balls)


def summary(model: MotionModel, judged: Judged) -> dict[str, Any]:
    """Figures of the model and of the baselines, ready for JSON."""
    target, moving = judged.target, judged.moving
    size = target.shape[-1] // 2
    columns = np.flatnonzero(moving)
    own = errors(judged.predicted, target, moving)
    grown = growth(own["position_mse"])
    alike = explained(judged.predicted, target, columns, uniform=True)
    return {
        "windows": len(target),
        "clips": len(set(judged.clips)),
        "conditions": list(model.spec.conditions),
        "privileged": bool(model.spec.conditions),  # all are read from the whole clip
        **own,
        "velocity_mse_normalized": normalized_mse(judged.predicted, target, size + columns),
        **explained(judged.predicted, target, columns),
        **{f"{key}_uniform": found for key, found in alike.items()},
        **grown,
        **stability(judged.predicted, target, moving, model.spec.fps),
        "baselines": {
            name: errors(predicted, target, moving)
            | explained(predicted, target, columns)
            | growth(errors(predicted, target, moving)["position_mse"])
            for name, predicted in judged.baselines.items()
        },
    }


def explained(
    predicted: np.ndarray, target: np.ndarray, columns: np.ndarray, uniform: bool = False
) -> dict[str, dict[str, float]]:
    """R² of the moving coordinates (their columns), and of the joints among them."""
    of = {"r2": columns, "joints_r2": columns[columns >= len(ROOT)]}
    return {key: r_squared(predicted, target, chosen, uniform=uniform) for key, chosen in of.items()}


def long_rollout(model: MotionModel, judged: Judged, frames: int = LONG) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of rollouts of many frames, and the rollouts (n, frames, 2 C). A conditioned model walks on a straight
    path at the window's mean speed by a constant clock at the window's mean rate."""
    windows, fps = judged.windows, model.spec.fps
    chosen = np.unique(np.linspace(0, len(windows.state) - 1, MOST_LONG).astype(int))
    state, path, phase = windows.state[chosen], windows.path[chosen, :, 0], windows.phase[chosen]
    way = path[:, -1, :2] - path[:, 0, :2]
    seconds = (state.shape[1] - 1) / fps
    cycles = np.unwrap(np.arctan2(phase[..., 0], phase[..., 1]), axis=1) / (2 * np.pi)
    told = straight(
        path[:, 0, :2], np.arctan2(way[:, 1], way[:, 0]), np.linalg.norm(way, axis=1) / seconds,
        cycles[:, 0], (cycles[:, -1] - cycles[:, 0]) / seconds, GIVEN + frames, fps,
    )  # fmt: skip
    told["phase"] *= torch.from_numpy(np.abs(phase).sum((1, 2)) > 0)[:, None, None]  # no clock without a gait
    with torch.no_grad():
        predicted = model.rollout(torch.from_numpy(state[:, :GIVEN]), frames, told).numpy()
    return free_running(predicted, state[:, GIVEN:], judged.moving), predicted


def evaluate_motion(
    model: MotionModel, extras: dict[str, Any], source: ClipSource, kinds: Sequence[str] = (),
    training: ClipSource | None = None, long: int = LONG,
) -> tuple[dict[str, Any], Judged]:  # fmt: skip
    """All figures, ready for JSON, and what they were computed from."""
    judged = judge(model, extras, source, kinds, training)
    figures = summary(model, judged)
    figures["free_running"] = long_rollout(model, judged, long)[0] if long else None
    return figures, judged
