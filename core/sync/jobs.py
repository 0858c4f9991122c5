"""What pages and the command line ask of the sync: start one, and say how it goes."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from core.db.engine import shop_session, system_session
from core.db.models import QuarantinedRow, Shop, SyncRun, SyncState
from core.errors import AccessDenied, InputError, LeaseLost
from core.shopify.queries import Grants
from core.sync import connect, engine, lease
from core.sync.streams import NAMES, STREAM, STREAMS, Stream


@dataclass(frozen=True)
class StreamStatus:
    """How one stream of a shop stands.

    `state` is one of ok, running, degraded (fields are withheld), blocked (a scope is missing), retrying, failed
    (until somebody asks), reauth (the token is refused), disconnected, off (only when asked), new.
    """

    stream: str
    label: str
    succeeded_at: datetime | None
    due_at: datetime | None
    failures: int
    problem: str | None
    state: str = "ok"
    synced_until: datetime | None = None
    history_from: datetime | None = None
    every_s: int = 0  # between two runs; 0: only when asked
    sees_days: int | None = None  # how far back the token sees, where it lacks `scope_for_more`
    scope_for_more: str | None = None


@dataclass(frozen=True)
class RunView:
    """One run; `counts` is read, inserted, updated, unchanged, quarantined by stream; `windows` from and to, ISO."""

    run_id: int
    trigger: str
    outcome: str
    stage: str
    stream: str
    expected: int | None
    done: int
    counts: dict[str, dict[str, int]]
    problem: str | None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    error_class: str | None = None
    requests: int = 0
    cost: int = 0
    bytes: int = 0
    windows: dict[str, list[str | None]] = field(default_factory=dict)

    @property
    def elapsed_s(self) -> float:
        """Seconds from the start to the end, or to now."""
        return ((self.finished_at or datetime.now(UTC)) - self.started_at).total_seconds()

    @property
    def rows(self) -> int:
        """Objects received so far, of all streams."""
        return sum(count.get("read", 0) for count in self.counts.values())

    @property
    def rows_per_s(self) -> float:
        """Objects received a second, over the whole run."""
        return self.rows / max(self.elapsed_s, 0.1)


@dataclass(frozen=True)
class SyncStatus:
    """A shop's sync at a glance; `synced_at` is the orders' last success, once products and customers are there."""

    requested: bool
    running: RunView | None
    last: RunView | None
    synced_at: datetime | None
    streams: tuple[StreamStatus, ...]
    reauth_since: datetime | None = None
    disconnected: bool = False
    lacking_scopes: tuple[str, ...] = ()  # which an install asks for; none while nothing is known of them


@dataclass(frozen=True)
class Quarantined:
    """One object that was set aside, and why; `since` is when it was last seen so."""

    stream: str
    key: str
    reason: str
    since: datetime


def label(stream: str) -> str:
    """What a stream is called on a page."""
    return STREAM[stream].label if stream in STREAM else stream


def request_sync(
    shop_id: int, streams: Collection[str] | None = None, *, full: bool = False, asked_by: str | None = None
) -> None:
    """Make a shop's streams due now, all that hold data or only these; with `full`, everything is read anew.

    A worker picks it up. `asked_by` ("button", "command line") is told in the history as what triggered the run.
    Raises InputError for a stream that is not there, or a store that was disconnected.
    """
    if unknown := set(streams or ()) - set(NAMES):
        raise InputError(f"There is no stream {', '.join(sorted(unknown))}. The streams are {', '.join(NAMES)}.")
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        lease.ensure_streams(session, shop_id)
        rows = lease.locked(session, shop_id)
        if _is_disconnected(session, shop_id):
            raise InputError("This store is disconnected, so nothing can be synced. Connect it again under Stores.")
        for row in rows:
            stream = STREAM.get(row.stream)
            if stream is None:
                continue
            if row.stream in streams if streams is not None else stream.asked or (full and row.stream == "sweep"):
                row.due_at, row.asked_by = now, asked_by
                row.full = row.full or full
            elif row.due_at is None and (interval := stream.interval(row.every_s)) is not None and not stream.asked:
                row.due_at = now + interval


def set_schedule(shop_id: int, stream: str, every_s: int | None) -> None:
    """Let a stream run every so many seconds from now on; 0: only when asked, None: as the program has it."""
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        lease.ensure_streams(session, shop_id)
        for row in lease.locked(session, shop_id):
            if row.stream != stream:
                continue
            row.every_s = every_s
            interval = STREAM[stream].interval(every_s)
            asked_for = row.due_at is not None and row.due_at <= now
            if _is_disconnected(session, shop_id):
                row.due_at = None
            elif not asked_for and not row.failures:  # what failed is tried again, or waits to be asked, as before
                row.due_at = max(now, (row.succeeded_at or now) + interval) if interval is not None else None


def _is_disconnected(session: Session, shop_id: int) -> bool:
    return session.exec(select(Shop.token).where(Shop.id == shop_id)).first() == ""


def sync_now(
    shop_id: int,
    streams: Collection[str] | None = None,
    *,
    full: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> RunView:
    """Sync a shop here and now, in this thread; the finished run.

    Raises InputError, LeaseLost when another worker is at it.
    """
    request_sync(shop_id, streams, full=full, asked_by="command line")
    claim = lease.claim(shop_id)
    if claim is None:
        raise LeaseLost("A sync of this store is running already. Wait for it to end, then try again.")
    engine.run_claim(claim, trigger="command line", on_progress=on_progress)
    return run_history(shop_id, limit=1)[0]


def sync_status(shop_id: int) -> SyncStatus:
    """How a shop's sync stands."""
    now = datetime.now(UTC)
    with system_session() as session:
        states = session.exec(select(SyncState).where(SyncState.shop_id == shop_id)).all()
        runs = _runs(session, shop_id, 1)
        shop = session.get_one(Shop, shop_id)
    known = {state.stream: state for state in states}
    held = any(state.lease_until is not None and state.lease_until > now for state in states)
    succeeded = [known[name].succeeded_at if name in known else None for name in _FIGURES]
    last = runs[0] if runs else None
    return SyncStatus(
        requested=not held and any(state.due_at is not None and state.due_at <= now for state in states),
        running=last if last and last.outcome == "running" and held else None,
        last=last,
        synced_at=succeeded[-1] if all(succeeded) else None,
        streams=tuple(
            _stream_status(stream, state, shop, Grants(frozenset(shop.scopes.split(","))), now)
            for stream in STREAMS
            if (state := known.get(stream.name)) is not None
        ),
        reauth_since=shop.reauth_since,
        disconnected=not shop.token,
        lacking_scopes=connect.lacking(shop.scopes.split(",")) if shop.scopes else (),
    )


def _stream_status(stream: Stream, row: SyncState, shop: Shop, grants: Grants, now: datetime) -> StreamStatus:
    limit = stream.resource.limited if stream.resource is not None else None
    scope, sees = limit if limit is not None and not grants.has(limit[0]) else (None, None)
    interval = stream.interval(row.every_s)
    return StreamStatus(
        stream=stream.name,
        label=stream.label,
        succeeded_at=row.succeeded_at,
        due_at=row.due_at,
        failures=row.failures,
        problem=row.problem,
        state=_state(row, shop, now),
        synced_until=row.synced_until,
        history_from=row.history_from,
        every_s=round(interval.total_seconds()) if interval is not None else 0,
        sees_days=sees.days if sees is not None else None,
        scope_for_more=scope,
    )


def _state(row: SyncState, shop: Shop, now: datetime) -> str:
    if row.lease_until is not None and row.lease_until > now:
        return "running"
    if not shop.token:
        return "disconnected"
    if shop.reauth_since is not None:
        return "reauth"
    if row.error_class == AccessDenied.__name__:
        return "blocked"
    if row.failures:
        return "retrying" if row.due_at is not None else "failed"
    if row.problem is not None:
        return "degraded"
    if row.every_s == 0:
        return "off"
    return "ok" if row.succeeded_at is not None else "new"


def quarantined(shop_id: int, limit: int = 500) -> tuple[dict[str, int], list[Quarantined]]:
    """How many objects are set aside by stream, and the latest of them."""
    query = select(QuarantinedRow).order_by(col(QuarantinedRow.seen_at).desc()).limit(limit)
    with shop_session(shop_id) as session:
        counts = session.exec(select(QuarantinedRow.stream, func.count()).group_by(QuarantinedRow.stream)).all()
        rows = [Quarantined(row.stream, row.key, row.reason, row.seen_at) for row in session.exec(query)]
    return dict(counts), rows


def run_history(shop_id: int, limit: int = 20) -> list[RunView]:
    """A shop's runs, the newest first."""
    with system_session() as session:
        return _runs(session, shop_id, limit)


def _runs(session: Session, shop_id: int, limit: int) -> list[RunView]:
    query = select(SyncRun).where(SyncRun.shop_id == shop_id).order_by(col(SyncRun.id).desc()).limit(limit)
    return [
        RunView(
            run_id=run.id or 0,
            trigger=run.trigger,
            outcome=run.outcome,
            stage=run.stage,
            stream=run.stream,
            expected=run.expected,
            done=run.done,
            counts=run.counts,
            problem=run.problem,
            started_at=run.started_at,
            updated_at=run.updated_at,
            finished_at=run.finished_at,
            error_class=run.error_class,
            requests=run.requests,
            cost=run.cost,
            bytes=run.bytes,
            windows=run.windows,
        )
        for run in session.exec(query)
    ]


_FIGURES = ("products", "customers", "orders")  # what every figure needs
