"""A run of a shop's sync: what it holds while it goes on, and the row in sync_run it leaves behind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from core.db.engine import system_session
from core.db.models import SyncRun
from core.errors import AppError
from core.shopify.client import ShopClient
from core.sync import lease
from core.sync.lease import Claim
from core.sync.resources.resource import Counts


class Stopped(AppError):
    """The program is about to stop: give the work back."""


@dataclass
class Run:
    """One run while it goes on."""

    claim: Claim
    run_id: int
    client: ShopClient
    stopping: Callable[[], bool]
    on_progress: Callable[[str], None]
    counts: dict[str, Counts]
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    problems: dict[str, str] = field(default_factory=dict)
    error_class: str | None = None  # of the first problem
    windows: dict[str, list[str | None]] = field(default_factory=dict)
    bytes: int = 0

    def stage(self, text: str, **values: object) -> None:
        """Say what happens now: in the run's row, and to whoever listens."""
        note(self.run_id, stage=text, **values)
        self.on_progress(text)

    def spent(self) -> dict[str, Any]:
        """What it took, as the run's row keeps it: requests, points of the rate limit, bytes, windows by stream."""
        client = self.client
        return {
            "requests": client.requests,
            "cost": client.cost,
            "bytes": self.bytes + client.bytes_received,
            "windows": self.windows,
        }

    def check(self, stream: str) -> None:
        """Between two waits: renew the lease. Raises LeaseLost, Stopped."""
        if self.stopping():
            raise Stopped("The program stops; this sync goes on at its next start.")
        lease.keep(self.claim, stream)


def start(shop_id: int, trigger: str) -> int:
    """Open a run; its id."""
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        run = SyncRun(shop_id=shop_id, trigger=trigger, stage="Starting", started_at=now, updated_at=now)
        session.add(run)
        session.flush()
        return run.id or 0


def note(run_id: int, **values: Any) -> None:
    """Write what a run does now: stage, stream, expected, done."""
    with system_session(write=True) as session:
        note_in(session, run_id, **values)


def note_in(session: Session, run_id: int, **values: Any) -> None:
    """The same inside the caller's transaction."""
    run = session.get_one(SyncRun, run_id)
    for name, value in values.items():
        setattr(run, name, value)
    run.updated_at = datetime.now(UTC)


def finish(run_id: int, outcome: str, problem: str | None, counts: dict[str, Counts], **values: Any) -> None:
    """Close a run with its outcome: ok, partial, failed or interrupted; `values` are more columns of its row."""
    note(
        run_id,
        outcome=outcome,
        problem=problem,
        stage="",
        finished_at=datetime.now(UTC),
        counts={stream: vars(count) for stream, count in counts.items()},
        **values,
    )
