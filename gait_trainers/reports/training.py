"""The report of a run: training curves, evaluation and gait."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from gait_envs.biomechanics.events import runs, stance, touchdowns
from gait_envs.constants import GRAVITY
from gait_envs.files import replacing
from gait_envs.render import Offscreen, body_rows
from gait_envs.wording import counted
from gait_trainers.evaluation.gait_metrics import STANCE_LOAD, Rollout, heading_velocity
from gait_trainers.evaluation.rollout import record
from gait_trainers.evaluation.walking import Command, show_command
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import make_env
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.evaluation_tables import WALKING, table_rows
from gait_trainers.runs.loggers import read_metrics

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LEFT, RIGHT, INK, FAINT = "#1f77b4", "#e66b26", "#20262e", "#c9d0d8"  # the sides have the robot's own colours
LINES = (LEFT, RIGHT, "#3f9d5a", "#8a63b8")  # of the curves in one panel, at most so many
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#eceff2",
    "xtick.color": "#5b6672",
    "ytick.color": "#5b6672",
    "text.color": INK,
    "lines.linewidth": 1.4,
    "figure.dpi": 130,
    "savefig.bbox": "tight",
}
GAIT_SECONDS = 2.5  # shown of the gait, from the fourth second on


@dataclass(frozen=True)
class Panel:
    """One plot of training: columns of metrics.csv, and the range that is healthy."""

    title: str
    columns: tuple[str, ...]
    healthy: tuple[float, float] | None = None


PANELS = (
    Panel("success rate", ("success_rate",), (0.95, 1.0)),
    Panel("forward velocity, m/s", ("forward_velocity", "command")),
    Panel("episode reward", ("episode_reward",)),
    Panel("style reward", ("amp_reward",), (0.3, 0.8)),
    Panel("discriminator accuracy", ("disc_acc", "disc_acc_noisy")),
    Panel("discriminator score", ("disc_real_mean", "disc_fake_mean", "disc_standing_mean", "disc_flailing_mean")),
    Panel("style with nearness, rank corr.", ("style_rank",), (0.2, 1.0)),
    Panel("torque missed by the muscles, share", ("muscle_residual", "qp_residual"), (0.0, 0.1)),
    Panel("exploration, std of the actions", ("std",)),
    Panel("steps/s", ("steps_per_second",)),
)
NAMES = {
    "disc_real_mean": "reference",
    "disc_fake_mean": "policy",
    "disc_standing_mean": "standing",
    "disc_flailing_mean": "flailing",
    "disc_acc": "clean windows",
    "disc_acc_noisy": "noisy windows",
    "forward_velocity": "reached",
    "muscle_residual": "network",
    "qp_residual": "static optimisation",
}


def write_report(
    run_dir: str | Path,
    evaluations: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    policy: Policy | None = None,
    command: Command = (0.4, 0.0, 0.0),
    videos: Sequence[str | Path] = (),
) -> Path:
    """Write run_dir/report/index.html and its pictures from one evaluation or several; returns the page.

    `policy` is the one whose gait is shown at `command`, by default the run's own.
    """
    run_dir = Path(run_dir)
    results = [evaluations] if isinstance(evaluations, Mapping) else list(evaluations)
    results += [r["stochastic"] for r in results if "stochastic" in r]
    folder = run_dir / "report"
    folder.mkdir(parents=True, exist_ok=True)
    policy = policy or load_policy(run_dir)
    rollout, _ = record(policy, np.array([command]), threads=1)
    pictures = {"gait.png": plot_gait(rollout, joint_names(policy))}
    metrics = run_dir / "metrics.csv"
    if metrics.is_file():
        pictures = {"training.png": plot_training(read_metrics(metrics))} | pictures
    for name, figure in pictures.items():
        figure.savefig(folder / name)
        plt.close(figure)
    try:
        plt.imsave(folder / "strip.png", strip(policy, rollout))
        note = ""
    except RuntimeError as error:  # no rendering on this machine
        note = str(error)
    page = _page(run_dir, results, command, videos, folder, note)
    with replacing(folder / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return folder / "index.html"


# -- pictures ------------------------------------------------------------------------------------------


def plot_training(rows: Sequence[Mapping[str, str]]) -> Any:
    """Curves over environment steps; healthy ranges are shaded."""
    known = {key for row in rows for key, value in row.items() if value}
    panels = [panel for panel in PANELS if known & set(panel.columns)]
    columns = min(4, len(panels))
    with plt.rc_context(STYLE):
        lines = -(-len(panels) // columns)
        figure, axes = plt.subplots(lines, columns, figsize=(2.9 * columns, 2.0 * lines), squeeze=False)
        for axis, panel in zip(axes.flat, panels, strict=False):
            axis.set_title(panel.title)
            if panel.healthy is not None:
                axis.axhspan(*panel.healthy, color="#d9f0e0", lw=0, zorder=0)
            for column, colour in zip(panel.columns, LINES[: len(panel.columns)], strict=True):
                points = [(float(r["steps"]), float(r[column])) for r in rows if r.get(column)]
                if points:
                    steps, values = np.array(points).T
                    axis.plot(steps / 1e6, values, color=colour, label=NAMES.get(column, column))
            if len(panel.columns) > 1:
                axis.legend(frameon=False, fontsize=8)
        for axis in axes.flat[len(panels) :]:
            axis.axis("off")
        for axis in axes.flat[max(0, len(panels) - columns) : len(panels)]:
            axis.set_xlabel("million steps")
        figure.tight_layout()
    return figure


def plot_gait(rollout: Rollout, joints: Sequence[str]) -> Any:
    """When each foot stands, the speed, and the joint angles of both sides, over a few steps."""
    frames = shown_frames(rollout)
    time = frames * rollout.dt
    contact = stance(rollout.foot_force, STANCE_LOAD * rollout.mass * GRAVITY, rollout.valid)[frames, 0]
    force = rollout.foot_force[frames, 0]
    speed = heading_velocity(rollout.qpos, rollout.qvel)[frames, 0, 0]
    angle = np.degrees(rollout.qpos[frames, 0, 7:])
    kinds = [name.removeprefix("left_") for name in joints if name.startswith("left_")]
    heights = [0.55, 0.9, 0.9] + [1.0] * len(kinds)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(heights), 1, figsize=(8.5, 1.15 * sum(heights)), sharex=True, height_ratios=heights
        )
        axes[0].set_title("feet on the ground")
        for row, (colour, side) in enumerate(((LEFT, "left"), (RIGHT, "right"))):
            for start, stop in runs(contact[:, row]):
                axes[0].broken_barh([(time[start], (stop - start) * rollout.dt)], (0.6 - 0.5 * row, 0.4), color=colour)
            axes[0].text(
                1.005, 0.8 - 0.5 * row, side, color=colour, va="center", transform=axes[0].get_yaxis_transform()
            )
        axes[0].set(ylim=(0, 1.1), yticks=[])
        axes[0].grid(False)
        axes[1].set_title("load on each foot, N")
        axes[1].plot(time, force[:, :2].sum(1), color=LEFT)
        axes[1].plot(time, force[:, 2:].sum(1), color=RIGHT)
        axes[2].set_title("forward velocity, m/s (dashed: commanded)")
        axes[2].plot(time, speed, color=INK)
        axes[2].axhline(rollout.command[0, 0], color=INK, ls="--", lw=1)
        axes[2].set_ylim(min(0.0, speed.min()), 1.2 * max(speed.max(), rollout.command[0, 0]))
        for axis, kind in zip(axes[3:], kinds, strict=True):
            axis.set_title(f"{kind.replace('_', ' ')}, °")
            axis.plot(time, angle[:, joints.index(f"left_{kind}")], color=LEFT)
            axis.plot(time, angle[:, joints.index(f"right_{kind}")], color=RIGHT)
        axes[-1].set(xlabel="s", xlim=(time[0], time[-1]))
        figure.align_ylabels(axes)
        figure.tight_layout(h_pad=0.4)
    return figure


def strip(policy: Policy, rollout: Rollout, count: int = 9, size: int = 440) -> np.ndarray:
    """(rows, count · 0.4 size, 3): a stride from one left touchdown to the next, seen from the side."""
    first, last = stride(rollout)
    env = make_env(policy.env_id, threads=1, **policy.env_kwargs)
    view = Offscreen(env.model, size, size, "side")
    columns = slice(size * 3 // 10, size * 7 // 10)
    try:
        frames = np.linspace(first, last, count).round().astype(int)
        rows = body_rows(env.model, rollout.qpos[frames, 0], "side", size)
        return np.concatenate([view.frame(rollout.qpos[i, 0])[rows, columns] for i in frames], axis=1)
    finally:
        view.close()
        env.close()


def stride(rollout: Rollout) -> tuple[int, int]:
    """First and last frame of a stride in the middle of the first episode; a second where there is none."""
    contact = stance(rollout.foot_force, STANCE_LOAD * rollout.mass * GRAVITY, rollout.valid)
    landed = np.flatnonzero(touchdowns(contact, rollout.valid)[:, 0, 0])
    frames = shown_frames(rollout)
    landed = landed[(landed >= frames[0])]
    if len(landed) >= 2:
        return int(landed[0]), int(landed[1])
    return int(frames[0]), int(min(frames[-1], frames[0] + round(1.0 / rollout.dt)))


def shown_frames(rollout: Rollout) -> np.ndarray:
    """Frames of the first episode to show: a while after its start, or its last ones where it ended sooner."""
    length, wanted = int(rollout.valid[:, 0].sum()), round(GAIT_SECONDS / rollout.dt)
    start = max(0, min(round(4.0 / rollout.dt), length - wanted))
    return np.arange(start, min(length, start + wanted))


def joint_names(policy: Policy) -> list[str]:
    """Names of the actuated joints of the robot that the policy was trained on, in the robot's order."""
    env = make_env(policy.env_id, threads=1, **policy.env_kwargs)
    names = list(env.core.robot.joint_names)
    env.close()
    return names


# -- page ----------------------------------------------------------------------------------------------

CSS = """
body { font: 15px/1.5 system-ui, sans-serif; color: #20262e; max-width: 1080px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p.lead { color: #5b6672; margin-top: .2rem } img, video { max-width: 100%; border-radius: 6px }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; width: 100% }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid #eceff2 }
th { font-weight: 600; vertical-align: bottom } tr:last-child td { font-weight: 600; border-top: 2px solid #c9d0d8 }
td:last-child, th:last-child { text-align: left }
"""


def _page(
    run_dir: Path,
    results: Sequence[Mapping[str, Any]],
    command: Command,
    videos: Sequence[str | Path],
    folder: Path,
    note: str,
) -> str:
    name = html.escape(run_dir.resolve().name)
    parts = [f"<h1>{name}</h1><p class=lead>{html.escape(_training_line(run_dir / 'metrics.csv'))}</p>"]
    for video in videos:
        link = html.escape(os.path.relpath(video, folder))
        parts.append(f"<video controls loop muted autoplay src='{link}'></video><p><a href='{link}'>{link}</a></p>")
    parts += [_table(result) for result in results]
    shown = f"at {html.escape(show_command(command))} m/s"
    parts.append(f"<h2>One stride {shown}</h2>")
    parts.append(f"<p>{html.escape(note)}</p>" if note else "<img src='strip.png' alt='the robot during one stride'>")
    parts.append(f"<h2>The gait {shown}</h2><img src='gait.png' alt='contacts, speed and joint angles over time'>")
    if (folder / "training.png").exists():
        parts.append(
            "<h2>Training</h2><p>Green bands are where a healthy training ends.</p>"
            "<img src='training.png' alt='training curves'>"
        )
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{name}</title>"
    return f"<!doctype html><html lang=en><head>{head}<style>{CSS}</style></head><body>{''.join(parts)}</body></html>\n"


def _training_line(metrics: Path) -> str:
    """How long the training was, in a sentence."""
    rows = read_metrics(metrics) if metrics.is_file() else []
    if not rows:
        return ""
    return f"{int(float(rows[-1]['steps'])):,} steps in {float(rows[-1]['elapsed']) / 60:.1f} minutes of training"


def _table(result: Mapping[str, Any]) -> str:
    headings = ["command m/s", *(heading.replace("-\n", "").replace("\n", " ") for heading, _, _ in WALKING), "falls"]
    row = "<tr>{}</tr>".format
    head = row("".join(f"<th>{html.escape(heading)}</th>" for heading in headings))
    body = "".join(row("".join(f"<td>{html.escape(cell)}</td>" for cell in cells)) for cells in table_rows(result))
    title = f"{result['policy']}: {counted(result['episodes'], 'episode')}, {result['mode']}"
    return f"<h2>{html.escape(title)}</h2><table>{head}{body}</table>"
