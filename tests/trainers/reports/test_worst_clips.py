"""The page of the worst clips: which, in which order, and what is drawn of each."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.still_clips import WALK, idle, still, write
from PIL import Image
from typer.testing import CliRunner

from gait_trainers.cli import app
from gait_trainers.evaluation.rollout import EvaluationError, Recording
from gait_trainers.evaluation.tracking import evaluate_tracking, follow, open_reference, plan_evaluation
from gait_trainers.reports import worst_clips
from gait_trainers.reports.worst_clips import HEADING, PICTURES, SIZE, check_page, describe, draw_worst, worst_first


def test_the_worst_are_those_that_failed_the_earliest() -> None:
    rows = [
        {"clip": "close", "success_rate": 1.0, "progress": 1.0, "mpjpe_global": 5.0},
        {"clip": "far", "success_rate": 1.0, "progress": 1.0, "mpjpe_global": 50.0},
        {"clip": "late", "success_rate": 0.0, "progress": 0.9, "mpjpe_global": 20.0},
        {"clip": "early", "success_rate": 0.0, "progress": 0.1, "mpjpe_global": None},
    ]
    assert [row["clip"] for row in worst_first(rows)] == ["early", "late", "far", "close"]


def test_a_page_holds_a_strip_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stills = write(tmp_path, still("glide", 40, speed=1.0), still("stand", 10))
    drawn: list[np.ndarray] = []

    def frame(qpos: np.ndarray, ghost: np.ndarray) -> np.ndarray:
        drawn.append(ghost)
        return np.full((SIZE * 3 // 4, SIZE, 3), 200, np.uint8)

    view = SimpleNamespace(frame=frame, close=lambda: None)
    monkeypatch.setattr(worst_clips, "Offscreen", lambda model, width, height: view)
    found = evaluate_tracking(idle(), reference=stills, threads=1)
    page = tmp_path / "worst.png"
    assert draw_worst(idle(), found, page, reference=stills) == ["glide", "stand"]
    assert len(drawn) == 2 * PICTURES
    assert drawn[0][0] == pytest.approx(0.0)
    assert drawn[PICTURES - 1][0] > 0.2  # where the clip was when it was lost
    with Image.open(page) as image:
        assert image.size == (PICTURES * SIZE, 2 * (HEADING + SIZE * 3 // 4))
        picture = np.asarray(image)
    strip = picture[HEADING : HEADING + SIZE * 3 // 4]
    assert (strip == 200).all()  # the heading hides nothing
    assert np.ptp(picture[:HEADING]) > 100
    told = describe(found["per_clip"][0])
    assert told.startswith("glide   lost after ")
    assert " of 0.8 s   off " in told
    assert draw_worst(idle(), found, page, reference=stills, count=1) == ["glide"]


def test_the_strip_is_of_the_episode_that_was_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight episodes of a gliding loop, each pushed in its own way, the heading tells of the shortest."""
    loop = write(tmp_path, still("loop", 41, speed=0.3, loop=True))
    options = {"max_episode_steps": 60, "max_distance": 0.1, "randomize": {"push_interval": 0.1, "push_speed": 1.0}}
    found = evaluate_tracking(idle(), 8, reference=loop, env_kwargs=options, seed=3, threads=1)
    (row,) = found["per_clip"]
    opened = open_reference(idle(), loop, options)
    plan = plan_evaluation(opened, np.array([0]), 8, 3)
    own = follow(idle(), opened.task, plan, np.arange(8), threads=1).rollout.valid.sum(axis=0)
    assert own[row["worst_episode"]] == own.min() < own.max()
    drawn: list[int] = []

    def film_strip(found: Recording) -> np.ndarray:
        drawn.append(int(found.rollout.valid[:, 0].sum()))
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr(worst_clips, "film_strip", film_strip)
    draw_worst(idle(), found, tmp_path / "worst.png", reference=loop, env_kwargs=options)
    assert drawn == [own.min()]


def test_sampled_episodes_are_not_drawn(tmp_path: Path) -> None:
    words = ["evaluate", "wildrobot_imitation", "--stochastic", "--worst", str(tmp_path / "worst.png")]
    with pytest.raises(EvaluationError, match="--worst draws deterministic episodes"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_drawn_is_said_first(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="follows no clips"):
        check_page(tmp_path / "worst.png", idle(env_id=WALK))
    with pytest.raises(EvaluationError, match=r"ends in \.png"):
        check_page(tmp_path / "worst.pdf", idle())
