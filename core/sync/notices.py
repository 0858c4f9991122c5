"""Telling somebody that a shop's sync keeps failing, and that it works again: by e-mail, by webhook, once each."""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from sqlmodel import select

from core.config import get_settings
from core.db.engine import system_session
from core.db.models import Shop, SyncState
from core.errors import MailNotSent
from core.log import mask
from core.mail import send_mail

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Notice:
    """What is told of a shop; `problems` by stream."""

    event: str  # sync_failing or sync_recovered
    shop: str
    name: str
    at: str
    problems: dict[str, str]


def tell(shop_id: int) -> None:
    """After a run: tell what changed, failing or working, if somebody wants to know.

    A shop fails when one of its streams failed as often in a row as the settings say, or its token was refused. What
    cannot be told is logged: a sync never fails for it.
    """
    settings = get_settings()
    if settings.alert_email is None and settings.alert_webhook_url is None:
        return
    try:
        notice = _news(shop_id, settings.alert_after_failures)
        if notice is not None and settings.alert_email is not None:
            _mail(settings.alert_email, notice)
        if notice is not None and settings.alert_webhook_url is not None:
            _post(settings.alert_webhook_url, notice)
    except Exception:  # whatever it is, the sync itself goes on
        log.exception("nobody could be told how the sync of shop %s goes", shop_id)


def _news(shop_id: int, after_failures: int) -> Notice | None:
    """What to tell now; that it was told is committed first, so that no two workers tell it."""
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        shop = session.get_one(Shop, shop_id, with_for_update=True)
        streams = session.exec(select(SyncState).where(SyncState.shop_id == shop_id)).all()
        failing = shop.reauth_since is not None or any(row.failures >= after_failures for row in streams)
        trying = any(row.failures and row.due_at is not None for row in streams)
        if failing == (shop.alerted_at is not None) or (not failing and trying):
            return None
        shop.alerted_at = now if failing else None
        problems = {row.stream: mask(row.problem) for row in streams if row.problem} if failing else {}
        event = "sync_failing" if failing else "sync_recovered"
        return Notice(event, shop.domain, shop.name, now.isoformat(timespec="seconds"), problems)


def _mail(to: str, notice: Notice) -> None:
    if notice.event == "sync_failing":
        subject = f"Shoptally: the sync of {notice.name} keeps failing"
        text = f"The data of {notice.name} ({notice.shop}) is not up to date any more.\n\n"
        text += "\n".join(dict.fromkeys(notice.problems.values()))
        text += "\n\nWhat was stored is kept. The Sync page says more. You get one more message when it works again."
    else:
        subject = f"Shoptally: the sync of {notice.name} works again"
        text = f"The data of {notice.name} ({notice.shop}) is up to date again."
    try:
        send_mail(to, subject, text + "\n")
    except MailNotSent as error:
        log.warning("notice %s of %s: %s", notice.event, notice.shop, error)


def _post(url: str, notice: Notice) -> None:
    """One POST of JSON; a redirect is not followed. The address itself stays out of the log: it may be a secret."""
    parts = urlsplit(url)
    host, kind = parts.hostname or "", HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(host, parts.port, timeout=TIMEOUT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, json.dumps(asdict(notice)), {"Content-Type": "application/json"})
        status = connection.getresponse().status
        if not 200 <= status < 300:
            log.warning("notice %s of %s: %s answered %d", notice.event, notice.shop, host, status)
    except (OSError, HTTPException) as error:
        log.warning("notice %s of %s: %s was not reached (%s)", notice.event, notice.shop, host, type(error).__name__)
    finally:
        connection.close()
