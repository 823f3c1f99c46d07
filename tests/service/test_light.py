"""Whoever only simulates or trains loads nothing of the service."""

from __future__ import annotations

import subprocess
import sys

LIBRARIES = {
    "a2wsgi", "alembic", "argon2", "bottle", "fastapi", "httpx", "jinja2", "optuna", "optuna_dashboard", "psutil",
    "psycopg", "sqlalchemy", "starlette", "uvicorn",
}  # fmt: skip


def test_environments_and_trainers_load_no_library_of_the_service() -> None:
    code = (
        "import sys, gait_envs, gait_trainers, gait_trainers.cli, gait_trainers.commands.train, "
        "gait_trainers.policies.loading, gait_trainers.config.layers; print(*{m.split('.')[0] for m in sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(told.split())
    assert "gait_envs" in loaded
    assert not loaded & LIBRARIES


def test_the_web_server_loads_no_learning_library() -> None:
    code = "import sys, gait_trainers.service.serve, gait_trainers.service.jobs.supervisor; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "stable_baselines3", "onnxruntime", "optuna", "optuna_dashboard", "bottle"} & set(told.split())
