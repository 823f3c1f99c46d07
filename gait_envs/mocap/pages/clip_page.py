"""One page that shows what a clip is: figures, joints against their limits, contacts, slip, numbers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from gait_envs.errors import MotionError
from gait_envs.files import replacing
from gait_envs.mocap.quality import robot_poses, sliding
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.landmarks import Landmarks
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.reading.outputs import check_drawing, signature
from gait_envs.reference.clip import Clip

_COLORS = {"left": "#1f77b4", "right": "#e66a24", "": "#444444"}
_COLUMNS = 6  # panels of joints side by side
_FIGURES, _SPAN, _APART = 11, 1.2, 0.4  # stick figures, over so many seconds mid-clip, so many metres apart


def write_page(
    path: str | os.PathLike[str],
    clip: Clip,
    body: Body,
    quality: dict[str, float],
    faults: list[str],
    landmarks: Landmarks | None = None,
) -> Path:
    """Draw the page to `path` (its suffix chooses the format); with `landmarks`, the captured body beside it."""
    joints = _joint_groups(clip.joint_names)
    rows = -(-len(joints) // _COLUMNS)
    height, ratios = 8.0 + 1.6 * rows, [2.4, 1.6 * rows, 1.1, 2.9]
    figure = Figure(figsize=(13, height))
    parts = np.array(figure.subfigures(4, 1, height_ratios=ratios), dtype=object)
    heights = height * np.array(ratios) / sum(ratios)  # inches
    poses = robot_poses(clip.qpos, body)
    time = np.arange(clip.frames) / clip.fps
    _draw_figures(parts[0].subplots(gridspec_kw=_margins(heights[0], top=0.85, bottom=0.1)), clip, poses, landmarks)
    panels = (
        parts[1]
        .subplots(
            rows, min(_COLUMNS, len(joints)), squeeze=False, gridspec_kw=_margins(heights[1], rows=rows, wspace=0.25)
        )
        .ravel()
    )
    for axes, (name, members) in zip(panels, joints.items(), strict=False):
        _draw_joint(axes, time, clip, body, name, members)
    for axes in panels[len(joints) :]:
        axes.axis("off")
    _draw_contacts(parts[2].subplots(gridspec_kw=_margins(heights[2], left=0.09)), time, clip, body)
    soles, speed, numbers = parts[3].subplots(
        1, 3, width_ratios=[1, 1, 1.35], gridspec_kw=_margins(heights[3], bottom=0.5, wspace=0.12)
    )
    _draw_soles(soles, time, clip, poses)
    _draw_speed(speed, time, clip)
    _write_numbers(numbers, quality, faults)
    title = f"{clip.name} on {clip.model}: {clip.duration:.2f} s, {quality['speed']:.2f} m/s"
    figure.suptitle(f"{title}\n{clip.source} ({clip.license})", y=1 - 0.15 / height)
    return save_figure(figure, path)


def _margins(
    height: float, *, top: float = 0.3, bottom: float = 0.25, left: float = 0.04, rows: int = 1, wspace: float = 0.2
) -> dict[str, float]:
    """Where the axes of a part lie: `height`, `top` and `bottom` in inches, `left` as a share of the width.

    Fixed, since a layout engine draws the page several times over to find them.
    """
    panel = (height - top - bottom - 0.5 * (rows - 1)) / rows  # half an inch for tick labels and title between rows
    return {
        "left": left,
        "right": 0.985,
        "top": 1 - top / height,
        "bottom": bottom / height,
        "hspace": 0.5 / panel,
        "wspace": wspace,
    }


def check_picture(path: Path) -> None:
    """A `MotionError` unless the file's ending names a format that a figure can be written in; an `OutputError` if
    something else lies there."""
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise MotionError(f"{path}: pictures end in {', '.join(f'.{suffix}' for suffix in sorted(known))}")
    check_drawing(path)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure whole or not at all; the suffix chooses the format."""
    path = Path(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format=path.suffix[1:].lower(), **signature(path))
    return path


def _joint_groups(names: tuple[str, ...]) -> dict[str, list[tuple[str, int]]]:
    """Columns of joints by their name without the side: {"knee_pitch": [("left", 3), ("right", 7)], ...}."""
    groups: dict[str, list[tuple[str, int]]] = {}
    for index, name in enumerate(names):
        side = next((side for side in SIDES if name.startswith(f"{side}_")), "")
        groups.setdefault(name.removeprefix(f"{side}_"), []).append((side, index))
    return groups


def _draw_figures(axes, clip: Clip, poses, landmarks: Landmarks | None) -> None:
    """Bodies seen from the right, walking to the right, some way apart whatever their speed."""
    span = min(_SPAN, clip.duration)
    middle = clip.duration / 2
    frames = np.round(np.linspace(middle - span / 2, middle + span / 2, _FIGURES) * clip.fps).astype(int)
    scale = clip.meta.get("scale", 1.0)
    for i, frame in enumerate(frames):
        origin = clip.qpos[frame, :3]
        forward = _forward(clip.qpos[frame, 3:7])
        at = np.array([_APART * i, 0.0])

        def project(points, at=at, origin=origin, forward=forward):
            return at + np.stack([(points[..., :2] - origin[:2]) @ forward, points[..., 2]], axis=-1)

        if landmarks is not None:
            shift = np.r_[origin[:2] - landmarks.mid("hip")[frame, :2] * scale, 0.0]
            for side in SIDES:
                chain = [landmarks.points[f"{side}_{part}"][frame] for part in ("hip", "knee", "ankle", "toe")]
                axes.plot(*project(np.array(chain) * scale + shift).T, color="0.75", lw=1.2, zorder=0)
        for k, side in reversed(list(enumerate(SIDES))):
            axes.plot(*project(poses.joints[frame, k]).T, "-o", ms=2.5, lw=2, color=_COLORS[side])
            sole = poses.corners[frame].reshape(2, -1, 3)[k]
            along = project(sole)
            ends = along[[along[:, 0].argmin(), along[:, 0].argmax()]]
            heel_ankle_toe = np.array([ends[0], project(poses.joints[frame, k, 2]), ends[1], ends[0]])
            axes.plot(*heel_ankle_toe.T, lw=1.5, color=_COLORS[side])
        for bone in poses.bones[frame]:
            axes.plot(*project(bone).T, "-o", ms=2, lw=1.5, color="#444444")
        axes.plot(*project(poses.trunk[frame] + np.array([[0, 0, 0], [0, 0, 0.15]])).T, lw=3, color="#444444")
        axes.text(at[0], -0.05, f"{frame / clip.fps:.2f} s", ha="center", fontsize=7)
    axes.axhline(0, color="0.6", lw=0.8)
    axes.set_aspect("equal")
    axes.set_ylim(-0.08, None)
    axes.set_xlim(-0.75 * _APART, (_FIGURES - 0.25) * _APART)
    axes.set_xticks([])
    axes.set_ylabel("height (m)")
    axes.set_title(
        "left blue, right orange" + (", the scaled capture grey" if landmarks is not None else ""), fontsize=9
    )


def _forward(quat: np.ndarray) -> np.ndarray:
    """Unit vector (2,) of a root's heading."""
    w, x, y, z = quat
    forward = np.array([1 - 2 * (y * y + z * z), 2 * (w * z + x * y)])
    return forward / np.linalg.norm(forward)


def _draw_joint(axes, time, clip: Clip, body: Body, name: str, members) -> None:
    for side, index in members:
        axes.plot(time, clip.qpos[:, 7 + index], color=_COLORS[side], lw=1.2)
        for limit in (body.lower[index], body.upper[index]):
            if np.isfinite(limit):
                axes.axhline(limit, color="crimson", lw=0.8, ls="--")
    low, high = clip.qpos[:, [7 + i for _, i in members]].min(), clip.qpos[:, [7 + i for _, i in members]].max()
    axes.set_ylim(low - 0.2, high + 0.2)
    axes.set_title(f"{name} (rad)", fontsize=9)
    axes.tick_params(labelsize=7)


def _draw_contacts(axes, time, clip: Clip, body: Body) -> None:
    if clip.contacts is not None:
        largest = max(float(clip.contacts.max()), 1e-9)
        sides = [side for side in SIDES for _ in body.legs[side].contacts]
        for row, side in enumerate(sides):
            force = clip.contacts[:, row] / largest
            axes.fill_between(time, -row, -row + 0.9 * force, color=_COLORS[side], lw=0)
        axes.set_yticks([-row + 0.4 for row in range(len(body.contact_names))], body.contact_names, fontsize=7)
        axes.set_title(f"force under each sole, full height {largest:.0f} N", fontsize=9)
    axes.set_xlim(0, time[-1])
    axes.tick_params(labelsize=7)


def _draw_soles(axes, time, clip: Clip, poses) -> None:
    """Height of each sole's lowest edge, and how fast a standing box slides."""
    lowest = poses.corners[..., 2].min(axis=2).reshape(clip.frames, 2, -1).min(axis=2)
    for k, side in enumerate(SIDES):
        axes.plot(time, 1e3 * lowest[:, k], color=_COLORS[side], lw=1.2)
    axes.axhline(0, color="0.6", lw=0.8)
    axes.set_title("lowest edge of each sole (mm), slip (black, cm/s)", fontsize=9)
    axes.tick_params(labelsize=7)
    if clip.contacts is not None:
        slip = np.nan_to_num(sliding(poses, clip.contacts > 0, clip.fps)).max(axis=1)
        axes.plot(time[1:], 1e2 * slip, color="black", lw=0.8)


def _draw_speed(axes, time, clip: Clip) -> None:
    axes.plot(time, clip.qvel[:, 0], color="#2a7f3f", lw=1.2, label="forward (m/s)")
    axes.plot(time, clip.qvel[:, 1], color="#8a5fbf", lw=1.2, label="left (m/s)")
    axes.plot(time, clip.qpos[:, 2], color="0.5", lw=1.2, label="height (m)")
    axes.legend(fontsize=7, loc="center right")
    axes.set_title("root", fontsize=9)
    axes.tick_params(labelsize=7)


def _write_numbers(axes, quality: dict[str, float], faults: list[str]) -> None:
    axes.axis("off")
    rows = [f"{key:<30s}{value:8.3g}" for key, value in quality.items()]
    half = (len(rows) + 1) // 2
    for x, part in ((0.0, rows[:half]), (0.5, rows[half:])):
        axes.text(x, 1.0, "\n".join(part), va="top", family="monospace", fontsize=6.3)
    verdict = "unfit: " + "; ".join(faults) if faults else "fit"
    axes.text(0.0, -0.05, verdict, fontsize=8, color="crimson" if faults else "#2a7f3f", wrap=True)
