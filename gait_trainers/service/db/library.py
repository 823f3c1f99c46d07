"""Tables of what is kept: motions, and models with their versions."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from gait_trainers.service.db.accounts import User
from gait_trainers.service.db.base import Base, Identified


class Motion(Identified, Base):
    """An uploaded capture, and the clip made of it."""

    __tablename__ = "motions"

    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    format: Mapped[str] = mapped_column(String(16))  # bvh, asf-amc, amass
    state: Mapped[str] = mapped_column(String(16), default="queued")
    message: Mapped[str] = mapped_column(Text, default="")
    size: Mapped[int]  # bytes
    sha256: Mapped[str] = mapped_column(String(64))
    labels: Mapped[list[str]] = mapped_column(default=list)
    license: Mapped[str] = mapped_column(String(200), default="")
    body: Mapped[str] = mapped_column(String(64))
    figures: Mapped[dict[str, Any] | None]  # of the clip's quality
    shared: Mapped[bool] = mapped_column(default=False)
    owner: Mapped[User] = relationship(lazy="joined")


class Model(Identified, Base):
    """A name in the registry."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(String(64), unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    notes: Mapped[str] = mapped_column(Text, default="")
    shared: Mapped[bool] = mapped_column(default=False)
    owner: Mapped[User] = relationship(lazy="joined")


class ModelVersion(Identified, Base):
    """A bundle in the registry; its files never change."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "number"),)

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    number: Mapped[int]
    session_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id", ondelete="SET NULL"))
    notes: Mapped[str] = mapped_column(Text, default="")
    lineage: Mapped[dict[str, Any]] = mapped_column(default=dict)
    files: Mapped[dict[str, Any]] = mapped_column(default=dict)  # name -> {size, sha256}
    deleted_at: Mapped[datetime.datetime | None]
    model: Mapped[Model] = relationship(lazy="joined")


class ModelAlias(Identified, Base):
    """Which version an alias such as `champion` means; older rows of the same alias are its history."""

    __tablename__ = "model_aliases"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    alias: Mapped[str] = mapped_column(String(32))
    number: Mapped[int]
    order: Mapped[int]  # 1, 2, …: the highest counts
