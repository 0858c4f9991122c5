"""The work queue: sync_state rows, claimed for a while by one worker, with a fencing epoch.

A claim takes every due stream of one shop. Each write of the worker renews its lease in the same
transaction and checks its epoch, so a worker that was frozen past its lease cannot write any more.
"""

import os
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from core.db.engine import system_session
from core.db.models import SyncRun, SyncState
from core.errors import LeaseLost
from core.sync.streams import STREAM, STREAMS

LEASE = timedelta(seconds=60)
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))


@dataclass(frozen=True)
class Claim:
    """A shop whose due streams this worker holds; `epochs` fences each stream, `full` asks for everything anew.

    `asked_by` says who asked, None where a stream was due by itself.
    """

    shop_id: int
    owner: str
    epochs: dict[str, int]
    full: frozenset[str]
    asked_by: str | None = None


def ensure_streams(session: Session, shop_id: int) -> None:
    """Make the queue's rows of a shop that are missing.

    A new shop's are due only when somebody asks. Where a shop is synced already, a stream that is new in this program
    is due at once, or after its interval where nobody would ask for it.
    """
    rows, now = locked(session, shop_id), datetime.now(UTC)
    known, going = {row.stream for row in rows}, any(row.due_at is not None for row in rows)
    for stream in STREAMS:
        if stream.name not in known:
            due_at = now if stream.asked else now + stream.every
            session.add(SyncState(shop_id=shop_id, stream=stream.name, due_at=due_at if going else None))
    session.flush()


def locked(session: Session, shop_id: int) -> list[SyncState]:
    """The queue's rows of a shop, locked; always all of them and in one order, so that no two wait for each other."""
    query = select(SyncState).where(SyncState.shop_id == shop_id).order_by(col(SyncState.stream))
    return list(session.exec(query.with_for_update().execution_options(populate_existing=True)))


def claim(shop_id: int | None = None, *, now: datetime | None = None) -> Claim | None:
    """The due streams of the shop that waits longest (or of this one), or None; a shop that is held is passed over.

    So is one whose rows somebody locks, perhaps a worker frozen in a transaction; this one is waited for.
    """
    now = now or datetime.now(UTC)
    due = col(SyncState.due_at) <= now
    held = select(SyncState.shop_id).where(col(SyncState.lease_until) > now)
    query = select(SyncState.shop_id).where(due, col(SyncState.shop_id).not_in(held)).group_by(col(SyncState.shop_id))
    if shop_id is not None:
        query = query.where(SyncState.shop_id == shop_id)
    with system_session() as session:
        waiting = session.exec(query.order_by(func.min(SyncState.due_at))).all()
    claims = (_claim(candidate, now, wait=shop_id is not None) for candidate in waiting)
    return next((claim for claim in claims if claim is not None), None)


def _claim(shop_id: int, now: datetime, *, wait: bool) -> Claim | None:
    owner = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
    with system_session(write=True) as session:
        if not wait and not _is_free(session, shop_id):
            return None
        ensure_streams(session, shop_id)
        rows = locked(session, shop_id)
        if any(row.lease_until is not None and row.lease_until > now for row in rows):
            return None  # another worker was quicker
        due = [row for row in rows if row.due_at is not None and row.due_at <= now]
        if not due:
            return None
        asked_by = next((row.asked_by for row in due if row.asked_by is not None), None)
        for row in due:
            row.owner, row.lease_until, row.epoch, row.asked_by = owner, now + LEASE, row.epoch + 1, None
        _close_interrupted(session, shop_id, now)
        return Claim(
            shop_id=shop_id,
            owner=owner,
            epochs={row.stream: row.epoch for row in due},
            full=frozenset(row.stream for row in due if row.full or row.synced_until is None),
            asked_by=asked_by,
        )


def _is_free(session: Session, shop_id: int) -> bool:
    """Whether nobody locks the shop's queue: its first row tells, which all lock first; it is locked for us then.

    Of two who asked for all rows at once each could get some of them, and both would pass the shop over.
    """
    first = session.exec(select(func.min(SyncState.stream)).where(SyncState.shop_id == shop_id)).one()
    row = select(SyncState.stream).where(SyncState.shop_id == shop_id, SyncState.stream == first)
    return first is None or session.exec(row.with_for_update(skip_locked=True)).first() is not None


def _close_interrupted(session: Session, shop_id: int, now: datetime) -> None:
    """A run that still says running while nobody holds the shop was cut off: say so in the history."""
    session.execute(
        update(SyncRun)
        .where(col(SyncRun.shop_id) == shop_id, col(SyncRun.outcome) == "running")
        .values(
            outcome="interrupted", problem="The program stopped during this run; the next one went on.", finished_at=now
        )
    )


def hold(session: Session, held: Claim, stream: str, *, synced_until: datetime | None = None) -> None:
    """Renew the lease inside the caller's transaction, and move the cursor with the rows. Raises LeaseLost."""
    mine = {row.stream: row for row in locked(session, held.shop_id) if _is_mine(row, held)}
    if stream not in mine:
        raise LeaseLost("Another worker took this sync over, or the store was disconnected or deleted meanwhile.")
    for row in mine.values():  # the shop's other streams wait for this one: keep them held too
        row.lease_until = datetime.now(UTC) + LEASE
    if synced_until is not None:
        mine[stream].synced_until = synced_until
    session.flush()


def _is_mine(row: SyncState, held: Claim) -> bool:
    return row.epoch == held.epochs.get(row.stream) and row.owner == held.owner


def keep(held: Claim, stream: str) -> None:
    """Renew the lease in a transaction of its own, for waits between writes. Raises LeaseLost."""
    with system_session(write=True) as session:
        hold(session, held, stream)


def release(
    held: Claim,
    stream: str,
    *,
    problem: str | None,
    due_again: timedelta | None,
    succeeded: bool,
    permanent: bool = False,
    left_out: bool = False,
    whole_again: bool = False,
    error_class: str | None = None,
) -> None:
    """Give a stream back: due after its interval, or sooner after a failure; a permanent one waits to be asked.

    The shop's own interval comes before `due_again`. One that is `left_out` did not fail: it may not be read. With
    `whole_again` the next time everything is read, as what was read now lacks something.
    """
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        row = next((row for row in locked(session, held.shop_id) if row.stream == stream), None)
        if row is None or not _is_mine(row, held):
            return
        row.owner, row.lease_until, row.problem, row.error_class = None, None, problem, error_class
        if due_again is not None and row.every_s is not None:
            due_again = STREAM[stream].interval(row.every_s)
        if succeeded:
            asked_meanwhile = row.full and stream not in held.full
            row.full = asked_meanwhile or whole_again
            row.succeeded_at, row.failures = now, 0
            row.due_at = now if asked_meanwhile else now + due_again if due_again is not None else None
        elif left_out:
            row.failures, row.due_at = 0, now + due_again if due_again is not None else None
        elif permanent:
            row.failures += 1
            row.due_at = None
        else:
            row.due_at = now + RETRY_AFTER[min(row.failures, len(RETRY_AFTER) - 1)]
            row.failures += 1


def give_back(held: Claim) -> None:
    """Give every stream back as it was, due at once: the program is about to stop."""
    with system_session(write=True) as session:
        for row in locked(session, held.shop_id):
            if _is_mine(row, held):
                row.owner, row.lease_until = None, None


def read_anew(session: Session, shop_id: int) -> None:
    """Let the next sync of every stream read everything, as what shapes the rows has changed."""
    for row in locked(session, shop_id):
        row.full = True
