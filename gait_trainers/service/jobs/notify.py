"""Alerts by mail and webhook: each once, to addresses and URLs that an administrator has set."""

from __future__ import annotations

import datetime
import json
import smtplib
import sys
import urllib.request
from email.message import EmailMessage
from typing import Any

from sqlalchemy import Engine, or_, select

from gait_trainers.service.db.engine import reading, transaction
from gait_trainers.service.db.tables import Alert, User, now
from gait_trainers.service.settings import Mail, Settings

TIMEOUT = 10.0  # s
AT_ONCE = 20
NEWS = datetime.timedelta(days=1)
Work = tuple[Alert, str | None, bool]  # an alert, the address for a mail about it, whether it is posted


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect would lead to where no administrator has pointed."""


def take(engine: Engine, settings: Settings) -> list[Work]:
    """What has not been sent, marked as sent: it is delivered once or, after a crash in between, not at all.

    What was raised days ago, as before there was anybody to tell, or has been acknowledged is news no more.
    """
    if settings.mail is None and not settings.webhooks:
        return []
    due = [] if settings.mail is None else [~Alert.mailed]
    due += [~Alert.posted] if settings.webhooks else []
    is_news = (Alert.created_at > now() - NEWS, Alert.acknowledged_at.is_(None))
    unsent = select(Alert).where(or_(*due), *is_news).order_by(Alert.created_at).limit(AT_ONCE)
    with reading(engine) as db:
        if db.scalar(unsent.limit(1)) is None:
            return []
    with transaction(engine) as db:
        alerts = list(db.scalars(unsent))
        owners = {user.id: user for user in db.scalars(select(User).where(User.id.in_([a.owner_id for a in alerts])))}
        work = [(alert, None if alert.mailed else owners[alert.owner_id].email, not alert.posted) for alert in alerts]
        for alert in alerts:
            alert.mailed = alert.mailed or settings.mail is not None
            alert.posted = alert.posted or bool(settings.webhooks)
    return work


def send(work: list[Work], settings: Settings) -> None:
    """Deliver what was taken."""
    for alert, address, post in work:
        if settings.mail is not None and address:
            _try(lambda a=alert, to=address: send_mail(settings.mail, to, a))  # type: ignore[misc]
        for url in settings.webhooks if post else ():
            _try(lambda a=alert, u=url: send_post(u, a))  # type: ignore[misc]


def _try(action: Any) -> None:
    try:
        action()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        print(f"gait-serve: an alert was not delivered: {error}", file=sys.stderr)


def send_mail(mail: Mail, address: str, alert: Alert) -> None:
    """One alert to one address."""
    message = EmailMessage()
    message["From"], message["To"] = mail.sender, address
    message["Subject"] = f"GaitNet: {' '.join(alert.kind.split())}"
    message.set_content(alert.message)
    with smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT) as server:
        if mail.starttls:
            server.starttls()
        if mail.user and mail.password:
            server.login(mail.user, mail.password)
        server.send_message(message)


def send_post(url: str, alert: Alert) -> None:
    """One alert to one URL, as JSON; redirects are not followed."""
    body = {"id": alert.id, "session": alert.session_id, "kind": alert.kind, "message": alert.message}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    if request.type not in ("http", "https"):
        raise ValueError(f"{url}: a webhook is an http or https address")
    urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT).close()
