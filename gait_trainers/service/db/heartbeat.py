"""Whether a supervisor lives, so that a page does not say "running" of a process that nobody watches any more.

A supervisor counts its beats up in the database. Nothing is read from a clock on the wall: what counts is whether the
figure has changed since this server first saw it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import Supervisor

SILENT = 20.0  # s without a beat after which a supervisor is not believed


@dataclass
class Heartbeat:
    """What this server has seen of the supervisors."""

    beats: dict[str, int] = field(default_factory=dict)  # of each supervisor, at the last look
    changed: float | None = None  # monotonic s at which one of them was last seen to have moved

    def silent(self, db: Session, now: float | None = None) -> bool:
        """Whether no supervisor has beaten for a while. The first look believes what it finds."""
        now = time.monotonic() if now is None else now
        beats = {row.id: row.beats for row in db.execute(select(Supervisor.id, Supervisor.beats))}
        if beats != self.beats or self.changed is None:
            self.beats, self.changed = beats, now
        return now - self.changed > SILENT
