"""Tables of the sync: the queue, the history of runs, what could not be stored."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from core.db.base import Model, ShopScoped, moment


class SyncState(Model, table=True):
    """One stream of one shop: when it is due, who works on it, how far it got.

    The row is the work queue. `epoch` rises with every claim; a worker whose epoch is old is fenced off.
    `asked_by` says what made it due ("button"), if not its interval. `every_s` overrides the stream's own interval
    (0: only when asked). `history_from` is how far back the token could see. The bulk columns remember an operation
    that was submitted, so that a new worker goes on with it.
    """

    __tablename__ = "sync_state"

    shop_id: int = Field(primary_key=True, foreign_key="shop.id")
    stream: str = Field(primary_key=True)
    due_at: datetime | None = moment()
    asked_by: str | None = None
    full: bool = False
    owner: str | None = None
    lease_until: datetime | None = moment()
    epoch: int = 0
    every_s: int | None = None
    synced_until: datetime | None = moment()
    history_from: datetime | None = moment()
    bulk_operation_id: str | None = None
    bulk_query_hash: str | None = None
    bulk_started_at: datetime | None = moment()
    succeeded_at: datetime | None = moment()
    failures: int = 0
    problem: str | None = None
    error_class: str | None = None


class SyncRun(Model, table=True):
    """One run of a shop's sync, while it goes on and afterwards.

    `windows` is by stream: read from and to which moment (ISO; from None is everything).
    """

    __tablename__ = "sync_run"
    __table_args__ = (sa.Index("ix_sync_run_shop_id", "shop_id", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    shop_id: int = Field(foreign_key="shop.id")
    trigger: str
    outcome: str = "running"
    stage: str = ""
    stream: str = ""
    expected: int | None = None
    done: int = 0
    counts: dict[str, dict[str, int]] = Field(default_factory=dict, sa_type=sa.JSON)
    windows: dict[str, list[str | None]] = Field(default_factory=dict, sa_type=sa.JSON)
    problem: str | None = None
    error_class: str | None = None
    requests: int = 0
    cost: int = 0
    bytes: int = Field(default=0, sa_type=sa.BigInteger)
    started_at: datetime = moment(nullable=False)
    updated_at: datetime = moment(nullable=False)
    finished_at: datetime | None = moment()


class WorkerHeartbeat(Model, table=True):
    """A process that syncs what is due: since when, and when it was last seen alive."""

    __tablename__ = "worker_heartbeat"

    worker: str = Field(primary_key=True)
    started_at: datetime = moment(nullable=False)
    seen_at: datetime = moment(nullable=False)


class QuarantinedRow(ShopScoped, Model, table=True):
    """An object of Shopify's that could not be stored, and why; a later good version clears it."""

    __tablename__ = "quarantined_row"

    key: str = Field(primary_key=True)
    stream: str
    reason: str
    payload_hash: str
    seen_at: datetime = moment(nullable=False)
