"""The inbox of webhooks: stored before they are acknowledged, then held by one worker a shop until they are settled.

A shop's deliveries are claimed for a while, like its streams are: a worker that was frozen past its lease settles
nothing any more.
"""

import secrets
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from core.db.engine import shop_session, system_session
from core.db.models import Shop, WebhookEvent
from core.db.upsert import chunks
from core.errors import LeaseLost
from core.shopify.webhooks import Delivery

LEASE = timedelta(seconds=60)
AT_ONCE = 200
# After the last of these a delivery is given up until somebody replays it.
RETRY_AFTER = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200))
BULK_FINISHED = "bulk_operations/finish"
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

# Set when this process stored a delivery: its own worker need not wait for its next look.
arrived = threading.Event()
# Whoever waits for another writer inside SQLite sleeps up to a tenth of a second at a time, and a burst would starve.
writing = threading.Lock()


@dataclass(frozen=True)
class Event:
    """A delivery as it was stored; `attempts` counts the claims of it, this one too."""

    webhook_id: str
    topic: str
    domain: str
    body: bytes
    received_at: datetime
    attempts: int


@dataclass(frozen=True)
class Held:
    """Deliveries of one shop, or of none that is known, that this worker holds."""

    shop_id: int | None
    owner: str
    events: tuple[Event, ...]
    renew_at: datetime


@dataclass(frozen=True)
class DeadLetter:
    """A delivery that was given up, and why."""

    webhook_id: str
    topic: str
    about: str
    problem: str
    received_at: datetime
    attempts: int


def receive(deliveries: Sequence[tuple[Delivery, bytes]]) -> None:
    """Store verified deliveries, those that came at once in one transaction; what is there already stays as it is.

    Raises DatabaseUnavailable: then none of them is stored.
    """
    now = datetime.now(UTC)
    named = {delivery.domain for delivery, _ in deliveries}
    with writing, system_session(write=True) as session:
        insert = _INSERT[session.get_bind().dialect.name](WebhookEvent)
        shops = dict(session.exec(select(Shop.domain, Shop.id).where(col(Shop.domain).in_(named))).all())
        rows = [
            {
                "webhook_id": delivery.webhook_id,
                "shop_id": shops.get(delivery.domain),
                "domain": delivery.domain,
                "topic": delivery.topic,
                "triggered_at": delivery.triggered_at,
                "received_at": now,
                "body": body,
                "state": "waiting",
                "due_at": now,
                "attempts": 0,
                "about": "",
            }
            for delivery, body in deliveries
        ]
        session.execute(insert.on_conflict_do_nothing(index_elements=["webhook_id"]), rows)
    arrived.set()


def let_burst_in() -> None:
    """Wait a moment while this process receives one delivery after another: Shopify waits for those, not for us."""
    for _ in range(5):
        if not arrived.is_set():
            return
        arrived.clear()
        time.sleep(0.05)


def claim() -> Held | None:
    """Deliveries of the shop that waits longest and that nobody holds, the oldest first, or None."""
    now = datetime.now(UTC)
    waits = (col(WebhookEvent.state) == "waiting", col(WebhookEvent.due_at) <= now)
    shop_id = col(WebhookEvent.shop_id)
    with system_session() as session:
        shops = session.exec(select(shop_id).where(*waits).group_by(shop_id).order_by(func.min(WebhookEvent.due_at)))
        waiting = list(shops.all())
        held = set(session.exec(select(shop_id).where(*_held(now)))) if waiting else set()
    claims = (_claim(shop, now) for shop in waiting if shop not in held)
    return next((claim for claim in claims if claim is not None), None)


def _held(now: datetime) -> tuple[Any, ...]:
    return col(WebhookEvent.state) == "waiting", col(WebhookEvent.lease_until) > now


def _claim(shop_id: int | None, now: datetime) -> Held | None:
    of_shop = col(WebhookEvent.shop_id).is_(None) if shop_id is None else col(WebhookEvent.shop_id) == shop_id
    waits = (of_shop, col(WebhookEvent.state) == "waiting", col(WebhookEvent.due_at) <= now)
    oldest = select(WebhookEvent).where(*waits).order_by(col(WebhookEvent.received_at)).limit(AT_ONCE)
    owner = secrets.token_hex(8)
    with system_session(write=True) as session:
        # Who claims of this shop waits here for who does: else each would hold a part.
        session.exec(select(Shop.id).where(Shop.id == shop_id).with_for_update()).all()
        if session.exec(select(WebhookEvent.webhook_id).where(of_shop, *_held(now)).limit(1)).first() is not None:
            return None
        rows = session.exec(oldest.with_for_update(skip_locked=True)).all()
        for row in rows:
            row.owner, row.lease_until, row.attempts = owner, now + LEASE, row.attempts + 1
        events = tuple(
            Event(row.webhook_id, row.topic, row.domain, row.body, row.received_at, row.attempts) for row in rows
        )
    return Held(shop_id, owner, events, now + LEASE / 4) if events else None


def keep(held: Held) -> Held:
    """Renew the lease before the next request, if it is time. Raises LeaseLost once another worker took over."""
    now = datetime.now(UTC)
    if now < held.renew_at:
        return held
    with system_session(write=True) as session:
        if _rows(session, _mine(held).values(lease_until=now + LEASE)) == 0:
            raise LeaseLost("Another worker took these webhooks over.")
    return replace(held, renew_at=now + LEASE / 4)


def settle(
    session: Session, held: Held, ids: Collection[str], state: str = "done", *, about: str = "", problem: str = ""
) -> None:
    """Say in the caller's transaction what became of deliveries: done, ignored or dead. Raises LeaseLost.

    The body goes, except of dead ones, which may be replayed.
    """
    values: dict[str, Any] = {"state": state, "problem": problem or None, "settled_at": datetime.now(UTC)}
    values |= {"due_at": None, "owner": None, "lease_until": None}
    values |= {"about": about} if about else {}
    values |= {} if state == "dead" else {"body": b""}
    settled = sum(_rows(session, _mine(held, chunk).values(**values)) for chunk in chunks(ids))
    if settled != len(ids):
        raise LeaseLost("Another worker took these webhooks over, or the store was deleted meanwhile.")


def postpone(held: Held, events: Sequence[Event], problem: str, *, about: str = "", for_good: bool = False) -> None:
    """Try deliveries again later, each by the number of its attempts; after the last, or `for_good`, they are dead."""
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        for event in events:
            if for_good or event.attempts > len(RETRY_AFTER):
                settle(session, held, [event.webhook_id], "dead", about=about, problem=problem)
                continue
            later = _mine(held, [event.webhook_id]).values(
                due_at=now + RETRY_AFTER[event.attempts - 1], owner=None, lease_until=None, problem=problem, about=about
            )
            _rows(session, later)


def give_back(held: Held) -> None:
    """Let others take what is not settled, now."""
    with system_session(write=True) as session:
        _rows(session, _mine(held).values(owner=None, lease_until=None))


def _mine(held: Held, ids: Collection[str] | None = None) -> Any:
    mine = update(WebhookEvent).where(
        col(WebhookEvent.owner) == held.owner,
        col(WebhookEvent.lease_until).is_not(None),
        col(WebhookEvent.state) == "waiting",
    )
    return mine if ids is None else mine.where(col(WebhookEvent.webhook_id).in_(list(ids)))


def _rows(session: Session, statement: Any) -> int:
    result: Any = session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount)


def adopt(held: Held, event: Event, shop_id: int) -> None:
    """A store that was not known when the delivery came is known now: the delivery is that store's."""
    with system_session(write=True) as session:
        _rows(session, _mine(held, [event.webhook_id]).values(shop_id=shop_id, owner=None, lease_until=None))


def was_told(shop_id: int, topic: str, about: str) -> bool:
    """Whether a delivery of this topic told of this object."""
    told = select(WebhookEvent.webhook_id).where(WebhookEvent.topic == topic, WebhookEvent.about == about).limit(1)
    with shop_session(shop_id) as session:
        return session.exec(told).first() is not None


def counts(shop_id: int) -> dict[str, int]:
    """A shop's deliveries by state: waiting, done, dead, ignored."""
    query = select(WebhookEvent.state, func.count()).group_by(WebhookEvent.state)
    with shop_session(shop_id) as session:
        return dict(session.exec(query).all())


def last_received(shop_id: int) -> dict[str, tuple[datetime, str]]:
    """When each topic was last heard of, and what became of that delivery; only what is still kept."""
    newest = select(WebhookEvent.topic, func.max(WebhookEvent.received_at)).group_by(WebhookEvent.topic)
    with shop_session(shop_id) as session:
        latest = dict(session.exec(newest).all())
        rows = select(WebhookEvent.topic, WebhookEvent.received_at, WebhookEvent.state)
        rows = rows.where(col(WebhookEvent.received_at).in_(list(latest.values())))
        return {topic: (at, state) for topic, at, state in session.exec(rows) if latest.get(topic) == at}


def dead_letters(shop_id: int, limit: int = 200) -> list[DeadLetter]:
    """A shop's deliveries that were given up, the latest first."""
    query = select(WebhookEvent).where(WebhookEvent.state == "dead").order_by(col(WebhookEvent.received_at).desc())
    with shop_session(shop_id) as session:
        return [
            DeadLetter(row.webhook_id, row.topic, row.about, row.problem or "", row.received_at, row.attempts)
            for row in session.exec(query.limit(limit))
        ]


def replay(shop_id: int, ids: Collection[str] | None = None) -> int:
    """Let a shop's dead deliveries, all or these, be tried again now; how many."""
    again = update(WebhookEvent).where(col(WebhookEvent.state) == "dead")
    again = again.values(state="waiting", due_at=datetime.now(UTC), attempts=0, problem=None, settled_at=None)
    with shop_session(shop_id, write=True) as session:
        if ids is None:
            replayed = _rows(session, again)
        else:
            replayed = sum(_rows(session, again.where(col(WebhookEvent.webhook_id).in_(part))) for part in chunks(ids))
    arrived.set()
    return replayed
