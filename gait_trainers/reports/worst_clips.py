"""A page with the clips that were followed worst: the figures of each, and a film strip beside its reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from gait_envs.files import check_writable, replacing
from gait_envs.reading.outputs import MADE_BY, check_drawing
from gait_envs.render import Offscreen
from gait_trainers.evaluation.rollout import EvaluationError, Recording
from gait_trainers.evaluation.tracking import follow, open_reference, plan_evaluation, worst_first
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import follows_clips
from gait_trainers.reports.video import INK, PAPER

PICTURES, SIZE = 8, 200  # in a strip, and the width of each in pixels; they are 4:3
HEADING = 30  # pixels above each strip


def check_page(path: Path, policy: Policy) -> None:
    """EvaluationError or OSError where no such page can be written, before anything is simulated."""
    if not follows_clips(policy.env_id):
        raise EvaluationError(f"{policy.name} follows no clips, so that there are no worst ones to draw")
    if path.suffix != ".png":
        raise EvaluationError(f"{path}: the page of the worst clips ends in .png")
    check_drawing(path)
    check_writable(path)


def draw_worst(
    policy: Policy,
    evaluation: Mapping[str, Any],
    path: Path,
    *,
    count: int = 10,
    reference: str | Sequence[str] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> list[str]:
    """The worst `count` clips of what `evaluate_tracking` found, each by its worst episode, drawn into a .png.

    The evaluation must be deterministic: sampled actions depend on all episodes that were simulated together.

    `reference` and `env_kwargs` are those of the evaluation. Returns the names of the clips.
    """
    opened = open_reference(policy, reference, env_kwargs)
    library = opened.task.library
    assert library is not None
    chosen = np.array([library.index(row["clip"]) for row in evaluation["per_clip"]])
    plan = plan_evaluation(opened, chosen, evaluation["episodes"], evaluation["seed"])
    rows = worst_first(evaluation["per_clip"])[:count]
    strips = []
    for row in rows:
        found = follow(policy, opened.task, plan, np.array([row["worst_episode"]]), threads=1)
        strips.append(under_heading(film_strip(found), describe(row)))
    signed = PngInfo()
    signed.add_text("Software", MADE_BY)
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(strips)).save(temporary, format="PNG", pnginfo=signed)
    return [row["clip"] for row in rows]


def under_heading(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture below a line of text, which must hide nothing of it."""
    band = Image.new("RGB", (picture.shape[1], HEADING), PAPER)
    ImageDraw.Draw(band).text((8, 5), text, font=ImageFont.load_default(HEADING // 2), fill=INK)
    return np.concatenate([np.asarray(band), picture])


def film_strip(found: Recording) -> np.ndarray:
    """(¾ SIZE, PICTURES · SIZE, 3): moments of an episode, evenly spread from its first to its last frame."""
    view = Offscreen(found.model, SIZE, SIZE * 3 // 4)
    last = int(found.rollout.valid[:, 0].sum()) - 1
    ghosts = found.columns["reference_qpos"][:, 0]
    try:
        moments = np.linspace(0, last, PICTURES).round().astype(int)
        return np.concatenate([view.frame(found.rollout.qpos[i, 0], ghost=ghosts[i]) for i in moments], axis=1)
    finally:
        view.close()


def describe(row: Mapping[str, Any]) -> str:
    """A clip's figures in a line."""
    ends = "followed" if row["success_rate"] == 1 else f"lost after {row['progress']:.0%}"
    errors = " ".join(
        f"{name} {row[key]:.0f} mm" for key, name in (("mpjpe_global", "off"), ("mpjpe_root", "pose")) if row[key]
    )
    return f"{row['clip']}   {ends} of {row['seconds']:.1f} s   {errors}"
