"""Tables of accounts: users, log-ins, tokens, and what they did."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from gait_trainers.service.db.base import Base, Identified

ROLES = ("viewer", "trainer", "administrator")  # each may do what those before it may


class User(Identified, Base):
    """Somebody with a password."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    role: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool] = mapped_column(default=True)
    email: Mapped[str | None] = mapped_column(String(254))
    quota_sessions: Mapped[int | None]
    quota_hours: Mapped[float | None]
    quota_disk_mb: Mapped[int | None]

    def may(self, role: str) -> bool:
        """Whether the user's role is this one or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Login(Identified, Base):
    """A browser that is logged in; the cookie itself is not kept, only its hash."""

    __tablename__ = "logins"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    csrf: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime.datetime]
    user: Mapped[User] = relationship(lazy="joined")


class Token(Identified, Base):
    """A script's key, of which only the hash is kept."""

    __tablename__ = "tokens"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(16))
    expires_at: Mapped[datetime.datetime | None]
    last_used: Mapped[datetime.datetime | None]
    revoked: Mapped[bool] = mapped_column(default=False)
    user: Mapped[User] = relationship(lazy="joined")


class LoginAttempt(Identified, Base):
    """A log-in that failed, for the limit on their rate."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index(None, "address", "created_at"), Index(None, "name", "created_at"))

    address: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))


class Audit(Identified, Base):
    """Who did what, to what, from where."""

    __tablename__ = "audit"

    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(128), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str] = mapped_column(String(64), default="")
    text: Mapped[str] = mapped_column(Text, default="")
