"""How the syncs and the inbox stand, in numbers of the whole installation, read from the database at this moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from core.db.engine import system_session
from core.db.models import Shop, SyncRun, SyncState, WebhookEvent
from core.sync.heartbeat import Pulse, pulse


@dataclass(frozen=True)
class StreamGauge:
    """One stream of a shop; `age_s` since its last success, None before the first."""

    shop_id: int
    stream: str
    age_s: float | None
    failures: int
    due: bool


@dataclass(frozen=True)
class RunsGauge:
    """A shop's runs with one outcome: how many, and what they asked of Shopify; `cost` in points of the rate limit."""

    shop_id: int
    outcome: str
    runs: int
    requests: int
    cost: int
    bytes: int


@dataclass(frozen=True)
class Gauges:
    """Everything at one moment; `inbox` by state, `refused` the shops whose token Shopify refuses."""

    shops: int
    refused: tuple[int, ...]
    streams: tuple[StreamGauge, ...]
    runs: tuple[RunsGauge, ...]
    longest_due_s: float
    inbox: Mapping[str, int]
    oldest_waiting_s: float
    webhook_age_s: Mapping[int, float]
    workers: Pulse


def read_gauges(now: datetime | None = None) -> Gauges:
    """Read them all. Raises DatabaseUnavailable."""
    now = now or datetime.now(UTC)
    runs: Any = (
        SyncRun.shop_id, SyncRun.outcome, func.count(), func.sum(SyncRun.requests), func.sum(SyncRun.cost),
        func.sum(SyncRun.bytes),
    )  # fmt: skip
    with system_session() as session:
        shops = session.exec(select(Shop.id, Shop.reauth_since).order_by(col(Shop.id))).all()
        states = session.exec(select(SyncState).order_by(col(SyncState.shop_id), col(SyncState.stream))).all()
        by_outcome = session.execute(select(*runs).group_by(col(SyncRun.shop_id), col(SyncRun.outcome))).all()
        inbox = session.exec(select(WebhookEvent.state, func.count()).group_by(col(WebhookEvent.state))).all()
        oldest = session.exec(
            select(func.min(WebhookEvent.received_at)).where(col(WebhookEvent.state) == "waiting")
        ).one()
        heard = session.exec(
            select(WebhookEvent.shop_id, func.max(WebhookEvent.received_at))
            .where(col(WebhookEvent.shop_id).is_not(None))
            .group_by(col(WebhookEvent.shop_id))
        ).all()
    due = [row.due_at for row in states if _is_due(row, now) and row.due_at is not None]
    return Gauges(
        shops=len(shops),
        refused=tuple(shop_id or 0 for shop_id, since in shops if since is not None),
        streams=tuple(
            StreamGauge(row.shop_id, row.stream, _age_s(row.succeeded_at, now), row.failures, _is_due(row, now))
            for row in states
        ),
        runs=tuple(
            RunsGauge(shop_id, outcome, count, *(int(number or 0) for number in spent))
            for shop_id, outcome, count, *spent in by_outcome
        ),
        longest_due_s=max((_age_s(at, now) or 0.0 for at in due), default=0.0),
        inbox=dict(inbox),
        oldest_waiting_s=_age_s(oldest, now) or 0.0,
        webhook_age_s={shop_id or 0: _age_s(at, now) or 0.0 for shop_id, at in heard},
        workers=pulse(now),
    )


def _is_due(row: SyncState, now: datetime) -> bool:
    """Waiting for a worker: not while one holds it."""
    held = row.lease_until is not None and row.lease_until > now
    return row.due_at is not None and row.due_at <= now and not held


def _age_s(at: datetime | None, now: datetime) -> float | None:
    return max(0.0, (now - at).total_seconds()) if at is not None else None
