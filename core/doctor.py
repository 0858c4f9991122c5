"""The command that examines this installation: one line for each check, and what to do where it failed.

It changes nothing. Secrets and e-mail addresses are masked in what it says, whoever worded it.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import col, select

from core import mail
from core.config import get_settings
from core.db.engine import system_session
from core.db.models import Shop
from core.db.probe import database_facts, try_isolation
from core.db.vault import closed_secrets, keys_open
from core.errors import AppError
from core.log import mask
from core.sync import connect, subscriptions
from core.sync.gauges import read_gauges

OK, WARNING, FAILED = "ok", "warning", "failed"
_ANSWER_WITHIN_S = 10.0
_GIGABYTE = 1_000_000_000
_LITTLE, _TOO_LITTLE = 2 * _GIGABYTE, _GIGABYTE // 5  # bytes: a first sync of a large store keeps its file for a while
_OFF_S, _FAR_OFF_S = 30.0, 240.0  # sign-ins by code and Shopify's signatures bear a few minutes


@dataclass(frozen=True)
class Finding:
    """One line: ok, warning or failed, about what, and a sentence."""

    state: str
    about: str
    text: str


def run_doctor(_: argparse.Namespace) -> int:
    """Check settings, database, keys, Shopify, webhooks, e-mail, disk and clock; exit 1 when something failed."""
    failed = False
    for finding in examine():
        failed = failed or finding.state == FAILED
        sys.stdout.write(f"{finding.state:9}{finding.about}: {' '.join(mask(finding.text).split())}\n")
        sys.stdout.flush()
    return int(failed)


def examine() -> Iterator[Finding]:
    """Every finding, as it is made; where the database cannot be used, what rests on it is left out."""
    usable = True
    for about, check, needs_database in _CHECKS:
        if needs_database and not usable:
            continue
        for finding in _guarded(about, check):
            yield finding
            usable = usable and (finding.about != "database" or finding.state != FAILED)


def _guarded(about: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except AppError as error:
        yield Finding(FAILED, about, str(error))
    except Exception as error:  # whatever it is, the other checks go on
        yield Finding(FAILED, about, f"An error this program does not know: {type(error).__name__}.")


def _settings() -> Iterator[Finding]:
    settings = get_settings()
    advice = []
    if settings.demo and settings.app_url is not None and settings.app_url.startswith("https://"):
        advice.append("DEMO is on at a public address, and the demo's passwords stand on the sign-in page: set DEMO=0.")
    if settings.shopify_api_secret_old is not None:
        advice.append("SHOPIFY_API_SECRET_OLD is set: take it out an hour after the secret was changed.")
    if settings.fail_at is not None:
        advice.append("FAIL_AT kills the sync: take it out.")
    if settings.smtp_host is not None and settings.app_url is None:
        advice.append("No links go out by e-mail without APP_URL.")
    if settings.smtp_host is not None and settings.smtp_tls == "OFF":
        advice.append("E-mails and the password at the mail server travel unencrypted: set SMTP_TLS.")
    yield from (Finding(WARNING, "settings", text) for text in advice)
    if not advice:
        yield Finding(OK, "settings", "can be read")


def _database() -> Iterator[Finding]:
    facts = database_facts()
    if facts.version == facts.newest:
        yield Finding(OK, "database", f"{facts.program}, tables of version {facts.version}")
        return
    there = f"has tables of version {facts.version}" if facts.version else "has no tables yet"
    yield Finding(
        FAILED,
        "database",
        f"{facts.program} {there}, and this program needs version {facts.newest}. Run: python -m core migrate",
    )


def _isolation() -> Iterator[Finding]:
    found = try_isolation()
    if found:
        text = f"Stores are not kept apart: {'; '.join(found)}. Run: python -m core migrate"
        yield Finding(FAILED, "isolation", text)
    elif get_settings().is_sqlite:
        yield Finding(OK, "isolation", "tried: a store's session reaches no other's; PostgreSQL adds a second lock")
    else:
        yield Finding(OK, "isolation", "tried: row-level security refuses another store's rows, also to plain SQL")


def _keys() -> Iterator[Finding]:
    if not keys_open():
        text = "APP_ENCRYPTION_KEYS are not those of this database. Set the keys it was written with."
        yield Finding(FAILED, "keys", text)
    elif closed := closed_secrets():
        text = f"{closed:,} stored secrets open with none of the keys. Add the older key behind the newer one."
        yield Finding(FAILED, "keys", text)
    else:
        yield Finding(OK, "keys", "open every stored secret")


def _workers() -> Iterator[Finding]:
    gauges = read_gauges()
    waiting = sum(one.due for one in gauges.streams)
    if gauges.workers.alive:
        yield Finding(OK, "workers", f"{gauges.workers.workers} alive, {waiting:,} streams wait")
    else:
        text = f"None gave a sign of late, {waiting:,} streams wait. Start the app, or: python -m core worker"
        yield Finding(WARNING, "workers", text)
    if dead := gauges.inbox.get("dead", 0):
        yield Finding(WARNING, "inbox", f"{dead:,} webhooks were given up. The Sync page says why and replays them.")


def _shops() -> Iterator[Finding]:
    with system_session() as session:
        shops = session.exec(select(Shop).order_by(col(Shop.id))).all()
    if not shops:
        yield Finding(OK, "Shopify", "no store is connected")
    for shop in shops:
        yield from _shop(shop)


def _shop(shop: Shop) -> Iterator[Finding]:
    if not shop.token:
        yield Finding(OK, shop.domain, "disconnected; what was stored stays")
        return
    # Without its waits: a store that does not answer is found out at once.
    quick = {"sleep": lambda _: None, "connect_timeout_s": 5.0, "read_timeout_s": _ANSWER_WITHIN_S}
    try:
        with connect.client_for(shop, **quick) as client:
            facts = connect.read_facts(client)
    except AppError as error:
        yield Finding(FAILED, shop.domain, str(error))
        return
    if facts.gid != shop.gid:
        yield Finding(FAILED, shop.domain, "Another store answers at this address. Connect the store by its new one.")
    elif facts.missing_scopes:
        text = f"The token lacks {', '.join(facts.missing_scopes)}: grant it in Shopify, then sync again."
        yield Finding(FAILED, shop.domain, text)
    else:
        left_out = connect.lacking(facts.scopes)
        rest = f"; without {', '.join(left_out)} some things are left out" if left_out else ""
        yield Finding(WARNING if left_out else OK, shop.domain, f"answers, {len(facts.scopes)} scopes{rest}")
    if not shop.is_demo:
        yield _skew(f"{shop.domain} clock", "Shopify's", facts.asked_at)
        yield from _webhooks(shop)


def _webhooks(shop: Shop) -> Iterator[Finding]:
    if subscriptions.address() is None:
        yield Finding(OK, f"{shop.domain} webhooks", "none: they need APP_URL with https and the app's key and secret")
        return
    missing = [one.topic for one in subscriptions.status(shop.id or 0) if one.state == "missing"]
    if shop.webhooks_problem or missing:
        text = shop.webhooks_problem or f"Not subscribed: {', '.join(missing)}. A worker makes them within minutes."
        yield Finding(WARNING, f"{shop.domain} webhooks", text)
    else:
        yield Finding(OK, f"{shop.domain} webhooks", "subscribed")


def _mail() -> Iterator[Finding]:
    if get_settings().smtp_host is None:
        yield Finding(OK, "e-mail", "no mail server is set: no e-mails are sent")
        return
    mail.check_server()
    yield Finding(OK, "e-mail", "the mail server takes connections and the sign-in; nothing was sent")


def _disk() -> Iterator[Finding]:
    settings = get_settings()
    folders = {"temporary files": Path(tempfile.gettempdir())}
    if settings.is_sqlite:
        folders["DATA_DIR"] = next(each for each in (settings.data_dir, *settings.data_dir.parents) if each.exists())
    for name, folder in folders.items():
        free = shutil.disk_usage(folder).free
        text = f"{free / _GIGABYTE:,.1f} GB free for {name}"
        state = FAILED if free < _TOO_LITTLE else WARNING if free < _LITTLE else OK
        yield Finding(state, "disk", text if state == OK else f"Only {text}: make room.")


def _clock() -> Iterator[Finding]:
    now = database_facts().now
    if now is not None:
        yield _skew("clock", "the database's", now)
    else:
        yield Finding(OK, "clock", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; no other to compare it with")


def _skew(about: str, whose: str, theirs: datetime) -> Finding:
    off_s = (datetime.now(UTC) - theirs).total_seconds()
    if abs(off_s) < _OFF_S:
        return Finding(OK, about, f"the clock agrees with {whose}")
    side = "ahead of" if off_s > 0 else "behind"
    text = f"This machine's clock is {abs(off_s):,.0f} s {side} {whose}: set it by NTP."
    return Finding(FAILED if abs(off_s) > _FAR_OFF_S else WARNING, about, text)


# What it is called, how it is checked, and whether it rests on a database that can be used.
_CHECKS: tuple[tuple[str, Callable[[], Iterator[Finding]], bool], ...] = (
    ("settings", _settings, False),
    ("database", _database, False),
    ("isolation", _isolation, True),
    ("keys", _keys, True),
    ("workers", _workers, True),
    ("Shopify", _shops, True),
    ("clock", _clock, True),
    ("e-mail", _mail, False),
    ("disk", _disk, False),
)
