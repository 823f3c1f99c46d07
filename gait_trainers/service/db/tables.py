"""All tables, by one import."""

from __future__ import annotations

from gait_trainers.service.db.accounts import ROLES, Audit, Login, LoginAttempt, Token, User
from gait_trainers.service.db.base import Base, new_id, now
from gait_trainers.service.db.library import Model, ModelAlias, ModelVersion, Motion
from gait_trainers.service.db.training import (
    ACTIVE,
    AT_REST,
    STATES,
    Alert,
    Idempotency,
    Job,
    Point,
    Series,
    Share,
    Study,
    Supervisor,
    TrainingSession,
)

__all__ = [
    "ACTIVE", "AT_REST", "ROLES", "STATES", "Alert", "Audit", "Base", "Idempotency", "Job", "Login", "LoginAttempt",
    "Model", "ModelAlias", "ModelVersion", "Motion", "Point", "Series", "Share", "Study", "Supervisor", "Token",
    "TrainingSession", "User", "new_id", "now",
]  # fmt: skip
