"""What is told of: once, as long as it is news, and without keeping a training waiting."""

from __future__ import annotations

import datetime
import threading
import time

import pytest
from sqlalchemy import Engine, select, update

from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Alert, User, now
from gait_trainers.service.jobs import notify, watch
from gait_trainers.service.jobs.supervisor import Loop
from gait_trainers.service.settings import Settings


def kinds(engine: Engine) -> list[str]:
    with transaction(engine) as db:
        return list(db.scalars(select(Alert.kind).order_by(Alert.created_at)))


def acknowledge(engine: Engine) -> None:
    with transaction(engine) as db:
        db.execute(update(Alert).values(acknowledged_at=now()))


def test_a_full_disk_is_told_once_until_it_is_empty_again(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = settings.model_copy(update={"least_disk_mb": 1000})
    free = [1500.0]
    monkeypatch.setattr(watch, "free_mb", lambda _: free[0])
    for _ in range(3):
        watch.machine(engine, small)
        acknowledge(engine)
    assert kinds(engine) == [watch.FULL], "an acknowledgement makes no room"
    for free[0] in (2500.0, 1500.0):
        watch.machine(engine, small)
        watch.machine(engine, small)
    assert kinds(engine) == [watch.WAS_FULL, watch.FULL]
    for free[0] in (2500.0, 1500.0):  # and once more, which nobody has acknowledged
        watch.machine(engine, small)
    assert kinds(engine) == [watch.WAS_FULL, watch.FULL]


def test_only_news_is_delivered(engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who turns on mail or a webhook is not told the past."""
    sent: list[str] = []
    monkeypatch.setattr(notify, "send_post", lambda url, alert: sent.append(alert.kind))
    with transaction(engine) as db:
        owner = db.scalars(select(User.id)).first()
        old, seen = now() - datetime.timedelta(days=2), now()
        db.add_all([
            Alert(owner_id=owner, kind="old", message="", created_at=old),
            Alert(owner_id=owner, kind="seen", message="", acknowledged_at=seen),
            Alert(owner_id=owner, kind="new", message=""),
        ])  # fmt: skip
    told = settings.model_copy(update={"webhooks": ["http://ops.example/hook"]})
    notify.send(notify.take(engine, told), told)
    assert sent == ["new"]
    assert notify.take(engine, told) == []


def test_a_slow_webhook_keeps_no_round_waiting(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, answered = [], threading.Event()
    monkeypatch.setattr(notify, "send_post", lambda url, alert: (answered.wait(60), sent.append(alert.kind)))
    loop = Loop(engine, settings.model_copy(update={"webhooks": ["http://ops.example/hook"]}))
    for kind in ("one", "two"):
        with transaction(engine) as db:
            db.add(Alert(owner_id=db.scalars(select(User.id)).first(), kind=kind, message=""))
        began = time.monotonic()
        loop._notify()
        assert time.monotonic() - began < 30
    assert sent == []
    answered.set()
    loop.courier.join(60)
    loop._notify()
    loop.courier.join(60)
    assert sent == ["one", "two"]
