"""Whether anybody syncs what is due: each process with a worker says so, and a held stream says it too."""

import os
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func
from sqlmodel import col, select

from core.db.engine import system_session
from core.db.models import SyncState, WorkerHeartbeat

BEAT_EVERY_S = 15
ALIVE_WITHIN = timedelta(minutes=3)  # between two beats a worker may sync for its whole turn
_FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Pulse:
    """How many workers live, and how long ago the last of all gave a sign; None: never."""

    workers: int
    silent_s: float | None

    @property
    def alive(self) -> bool:
        """Whether something syncs what is due."""
        return self.workers > 0


def beat(_: threading.Event | None = None) -> None:
    """Note that this process is alive; forget those that have been silent for a day."""
    worker, now = f"{socket.gethostname()}:{os.getpid()}", datetime.now(UTC)
    with system_session(write=True) as session:
        row = session.get(WorkerHeartbeat, worker)
        if row is None:
            session.add(WorkerHeartbeat(worker=worker, started_at=now, seen_at=now))
        else:
            row.seen_at = now
        old = col(WorkerHeartbeat.seen_at) < now - _FORGOTTEN_AFTER
        session.execute(delete(WorkerHeartbeat).where(old), execution_options={"synchronize_session": False})


def pulse(now: datetime | None = None) -> Pulse:
    """The workers that gave a sign lately; one that is busy with a long sync gives it by its lease."""
    now = now or datetime.now(UTC)
    alive = col(WorkerHeartbeat.seen_at) > now - ALIVE_WITHIN
    with system_session() as session:
        workers = session.exec(select(func.count()).select_from(WorkerHeartbeat).where(alive)).one()
        seen_at = session.exec(select(func.max(WorkerHeartbeat.seen_at))).one()
        held = select(SyncState.owner).where(col(SyncState.lease_until) > now, col(SyncState.owner).is_not(None))
        busy = len(session.exec(held.distinct()).all())
    silent_s = max(0.0, (now - seen_at).total_seconds()) if seen_at is not None else None
    return Pulse(workers or busy, 0.0 if busy else silent_s)
