"""One page of a motion model's predictions: root, knees and feet of three windows, and how the errors grow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from gait_envs.files import replacing
from gait_envs.models.robot import robot_named
from gait_envs.reading.outputs import signature
from gait_trainers.data.motion_state import Z, poses
from gait_trainers.models.motion import MotionModel
from gait_trainers.pretrain.motionnn.evaluate import Judged
from gait_trainers.reports.training import FAINT, INK, LEFT, RIGHT, STYLE

matplotlib.use("Agg")
import matplotlib.pyplot as plt

WINDOWS = 3
BASELINES = {"repeat": "#8a94a0", "constant_velocity": "#b9c2cb", "mean_pose": "#c9a227", "nearest_window": "#5b8c5a",
             "mean_cycle": "#8a5b8c"}  # fmt: skip


def write_motion_page(path: Path, model: MotionModel, judged: Judged, figures: Mapping[str, Any]) -> None:
    """Write the page, whole or not at all: dashed what was captured, solid what was predicted from the first frame."""
    chosen = np.linspace(0, len(judged.windows.state) - 1, WINDOWS).astype(int)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(WINDOWS + 1, 4, figsize=(13, 2.35 * (WINDOWS + 1)))
        for row, at in zip(axes, chosen, strict=False):
            _draw_window(row, model, judged, int(at))
        for axis, title in zip(
            axes[0], ("root from above (m)", "root height (m)", "knees (rad)", "heels (m)"), strict=True
        ):
            axis.set_title(title, fontsize=9)
        _draw_growth(axes[-1], judged, figures)
        conditions = ", ".join(model.spec.conditions)
        conditioned = f"conditioned on {conditions}" if conditions else "unconditioned"
        figure.suptitle(
            f"{model.spec.network}, {model.spec.encoding}, {conditioned}: predicted (solid) and captured (dashed); "
            "left blue, right orange",
            fontsize=10, x=0.01, ha="left",
        )  # fmt: skip
        figure.tight_layout(h_pad=0.5, rect=(0, 0, 1, 0.985))
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:] or "png", dpi=110, **signature(path))
        plt.close(figure)


def _draw_window(row: Any, model: MotionModel, judged: Judged, at: int) -> None:
    """Root, knees and heels of one window."""
    size = len(model.coordinates)
    fps, names = model.spec.fps, list(model.spec.joint_names)
    time = (np.arange(judged.predicted.shape[1]) + 1) / fps
    robot = robot_named(model.spec.robot)
    bodies = [robot.model.body(name).id - robot.pelvis for name in robot.traits.feet]
    for states, style in ((judged.target[at], "--"), (judged.predicted[at], "-")):
        q = np.asarray(states[:, :size], np.float64)
        row[0].plot(q[:, 0], q[:, 1], style, color=INK, lw=1)
        row[1].plot(time, q[:, Z], style, color=INK, lw=1)
        feet = robot.body_positions(poses(q))[:, bodies, 2]  # (K, 2) m
        for side, colour in (("left", LEFT), ("right", RIGHT)):
            knees = [i for i, name in enumerate(names) if name.startswith(f"{side}_knee")]
            row[2].plot(time, q[:, 6 + knees[0]], style, color=colour, lw=1)
            row[3].plot(time, feet[:, ("left", "right").index(side)], style, color=colour, lw=1)
    row[0].set_aspect("equal", adjustable="datalim")
    row[0].set_ylabel(judged.clips[at], fontsize=8)
    for axis in row[1:]:
        axis.set_xlabel("s")


def _draw_growth(row: Any, judged: Judged, figures: Mapping[str, Any]) -> None:
    """Root mean square errors by frame, of the model and of the baselines."""
    size = judged.target.shape[-1] // 2
    frames = np.arange(judged.target.shape[1]) + 1
    joints = np.flatnonzero(judged.moving[6:]) + 6
    drawn = {**judged.baselines, "model": judged.predicted}
    for name, predicted in drawn.items():
        error = np.asarray(predicted, np.float64) - judged.target
        colour, width = BASELINES.get(name, INK), 2.0 if name == "model" else 1.0
        series = (
            np.sqrt(np.mean(error[..., :size] ** 2, (0, 2))),
            np.sqrt(np.mean(error[..., joints] ** 2, (0, 2))),
            np.linalg.norm(error[..., :2], axis=-1).mean(0),
        )
        for axis, values in zip(row, series, strict=False):
            axis.loglog(frames, np.maximum(values, 1e-5), color=colour, lw=width, label=name.replace("_", " "))
    titles = ("all coordinates, RMSE", "moving joints, RMSE (rad)", "root drift (m)")
    for axis, title in zip(row, titles, strict=False):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("frames")
        axis.grid(color=FAINT, lw=0.5)
    row[0].legend(fontsize=7)
    row[3].axis("off")
    lines = [
        f"MSE at 1: {figures['position_mse']['1']:.2g}, at 60: {figures['position_mse']['60']:.2g}",
        f"R² at 1: {figures['r2']['1']:.2f}, at 60: {figures['r2']['60']:.2f}",
        f"ratio of MSE {figures['mse_ratio']:.0f}, of RMSE {figures['rmse_ratio']:.1f}",
        f"energy at the end {figures['energy_ratio']:.2f}",
    ]
    if (free := figures["free_running"]) is not None:
        lines.append(f"{free['frames']} frames: {free['upright']:.0%} upright, rates {free['joint_rates']:.2f}")
    row[3].text(0.0, 0.95, "\n".join(lines), va="top", fontsize=9, transform=row[3].transAxes)
