"""A service with something on every page: users, sessions in several states, motions, a model, a study, alerts.

Rows alone: nothing of it has been trained, so that pages can be looked at within a second.
"""

from __future__ import annotations

import csv
import datetime
from typing import Any

from sqlalchemy.orm import Session

from gait_envs.assets import asset_path
from gait_trainers.config.layers import load_config
from gait_trainers.service.db import tables as t

BUNDLED = "policies/wildrobot_walk"  # whose metrics.csv is a real training's
# What the evaluation and the validation of the bundled walker look like, shortened.
EVALUATION: dict[str, Any] = {
    "policy": "walk",
    "episodes": 20,
    "success_rate": 1.0,
    "is_success_rate": 0.95,
    "speed_error": 0.0415,
    "foot_slip": 0.031,
    "cadence": 151.2,
    "step_length": None,
    "cost_of_transport": 0.92,
    "falls": {"forward": 1, "low": 0},
    "per_command": [
        {"command": [0.2, 0.0, 0.0], "episodes": 10, "success_rate": 1.0, "speed_error": 0.031, "flight": None},
        {"command": [0.6, 0.0, 0.0], "episodes": 10, "success_rate": 0.9, "speed_error": 0.052, "flight": None},
    ],
}
VALIDATION: dict[str, Any] = {
    "passed": True,
    "environment": "GaitNet/WildRobot-v0",
    "parity": {"observations": 1000, "largest_difference": 2.2e-08, "tolerance": 1e-05},
    "observations": {"joint_position[0]": [-0.41, 0.39], "gravity[2]": [-1.0, -0.98]},
    "actions": {"waist_yaw": [-0.37, 0.34], "left_hip_pitch": [-0.63, 0.91]},
    "finite": True,
    "latency_ms": {"p50": 0.0423, "p99": 0.0611, "calls": 2000},
    "control_step_ms": 20.0,
    "size_bytes": 182_344,
    "files": {"policy.onnx": 176_000},
}


def fill(db: Session, owner: t.User, text: str = "") -> dict[str, str]:
    """Make the rows, all of `owner`'s; `text` goes into every field that a user writes. Name -> id."""
    config = load_config(None, "laptop", {"ppo.gamma": 0.985}).model_dump(mode="json")
    rows = metrics()
    walk = _session(owner, f"Walk to commands {text}", config, "completed", rows, text)
    walk.evaluation = EVALUATION | {"policy": f"walk {text}"}
    walk.validation = VALIDATION
    running = _session(owner, f"Walk, softer feet {text}", config, "running", rows[: 2 * len(rows) // 3], text)
    failed = _session(owner, f"Walk, wide network {text}", config, "failed", rows[:20], text)
    failed.message = f"exit status 1: the loss is not a number {text}"
    motion = t.Motion(
        owner=owner,
        name=f"Slow walk {text}",
        format="bvh",
        state="ready",
        size=184_320,
        sha256="0123456789abcdef" * 4,
        labels=["walk", f"slow {text}"],
        license=f"CC0 {text}",
        body="wildrobot",
        message=f"{text}",
        figures={
            "frames": 241,
            "duration_s": 4.0,
            "foot_slide_m_s": 0.0213,
            "penetration_mm": 1.4,
            "note": f"good {text}",
        },
    )
    waiting = t.Motion(
        owner=owner,
        name=f"Stairs {text}",
        format="amass",
        state="converting",
        size=2_400_000,
        sha256="ab" * 32,
        labels=[],
        license="",
        body="humanoid",
        message="frame 120 of 480",
    )
    db.add_all([walk, running, failed, motion, waiting])
    db.flush()
    for session, count, scale in ((walk, len(rows), 1.0), (running, 2 * len(rows) // 3, 0.9)):
        _curves(db, session, rows[:count], scale)
    model = t.Model(name="wildrobot-walker", owner=owner, notes=f"The walker of the demo {text}")
    db.add(model)
    db.flush()
    for number in (1, 2):
        db.add(
            t.ModelVersion(
                model_id=model.id,
                number=number,
                session_id=walk.id,
                notes=f"Version {number} {text}",
                lineage={
                    "session": walk.id,
                    "algorithm": "ppo-amp",
                    "preset": "laptop",
                    "seed": 0,
                    "commit": "bf8dccf",
                    "metrics": {"success_rate": 0.975, "speed_error": 0.0415},
                    "environment": {"contract": "9b1f"},
                },
                files={
                    "policy.onnx": {"size": 182_344, "sha256": "cd" * 32},
                    "policy.json": {"size": 5_120, "sha256": "ef" * 32},
                },
            )
        )
    db.add(t.ModelAlias(model_id=model.id, alias="champion", number=2, order=1))
    study = t.Study(
        owner=owner,
        name=f"Learning rate {text}",
        state="running",
        trials=12,
        workers=2,
        message=f"{text}",
        request={
            "name": f"Learning rate {text}",
            "base": {"name": "Walk", "algorithm": "ppo-amp", "preset": "laptop"},
            "space": {"ppo.learning_rate": {"kind": "float", "low": 1e-5, "high": 1e-3, "log": True}},
        },
        best={"trial": 4, "value": 0.93, "params": {"ppo.learning_rate": 4.1e-4}},
    )
    db.add(study)
    db.flush()
    walk.study_id, walk.trial = study.id, 4
    walk.request = walk.request | {"settings": {"ppo.gamma": 0.985, "ppo.learning_rate": 4.1e-4}}
    alert = t.Alert(
        session_id=failed.id,
        owner_id=owner.id,
        kind="diverged",
        message=f"The loss is not a number since iteration 19 {text}",
    )
    token = t.Token(user_id=owner.id, name=f"notebook {text}", token_hash="x" * 64, prefix="gn_abcdef")
    db.add_all(
        [study, alert, token, t.Audit(user_id=owner.id, action="session.start", subject=walk.id, detail={"name": text})]
    )
    db.flush()
    found = {"completed": walk, "running": running, "failed": failed, "motion": motion, "waiting": waiting}
    found |= {"study": study, "alert": alert}
    return {name: row.id for name, row in found.items()} | {"model": model.name}


def metrics() -> list[dict[str, float]]:
    """The metrics of a real training, a row an iteration."""
    with open(asset_path(BUNDLED) / "metrics.csv", newline="", encoding="utf-8") as stream:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(stream)]


def _session(
    owner: Any, name: str, config: dict[str, Any], state: str, rows: list[Any], text: str
) -> t.TrainingSession:
    began = datetime.datetime(2026, 11, 28, 9, 30, tzinfo=datetime.UTC)
    return t.TrainingSession(
        owner=owner,
        name=name[:100],
        algorithm="ppo-amp",
        preset="laptop",
        env_id="GaitNet/WildRobot-v0",
        motions=[],
        tags=["demo", *([text] if text else [])],
        state=state,
        config=config,
        iteration=len(rows),
        iterations=len(metrics()),
        rollout_steps=8192,
        seconds=1.35 * len(rows),
        timeout_s=3600.0,
        latest=rows[-1],
        created_at=began,
        started_at=began,
        request={"name": name[:100], "algorithm": "ppo-amp", "preset": "laptop", "settings": {"ppo.gamma": 0.985}},
    )


def _curves(db: Session, session: t.TrainingSession, rows: list[dict[str, float]], scale: float = 1.0) -> None:
    for name in rows[-1]:
        if name in ("iteration", "steps", "elapsed"):
            continue
        series = t.Series(session_id=session.id, name=name)
        db.add(series)
        db.flush()
        points = [
            t.Point(series_id=series.id, iteration=i, value=scale * row[name])
            for i, row in enumerate(rows, 1)
            if name in row
        ]
        db.add_all(points)
    db.flush()
