"""The worker: threads that take due shops from the queue, one after another.

`schedule` is only the ticker. What is due stands in the database, so any number of workers may run, in the app and
as processes of their own (python -m core worker).
"""

import gc
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from schedule import Scheduler

from core.db import privacy
from core.sync import engine, events, heartbeat, inbox, lease, subscriptions

log = logging.getLogger(__name__)

TICK_S = 0.5
TURN_S = 30.0  # then the other jobs have their turn, however many shops are due
STOP_WITHIN_S = 60.0
LOOK_EVERY_S = 0.5
Job = tuple[int, Callable[[threading.Event], None]]  # seconds between two runs, and what is run


def start_worker(stop: threading.Event, *, syncs_only: bool = False, more: Sequence[Job] = ()) -> threading.Thread:
    """Start a worker thread with JOBS and `more` of other rooms; it ends soon after `stop`, between two batches."""
    jobs = tuple((seconds, job) for seconds, job in (*JOBS, *more) if not syncs_only or job is run_due)
    return _start(stop, jobs, "sync-worker")


def start_inbox(stop: threading.Event) -> threading.Thread:
    """Start a thread that drains the inbox of webhooks beside the syncs: what a store tells waits for none of them."""
    return _start(stop, INBOX_JOBS, "inbox-worker")


def _start(stop: threading.Event, jobs: Sequence[Job], name: str) -> threading.Thread:
    thread = threading.Thread(target=_work, args=(stop, jobs), name=name, daemon=True)
    thread.start()
    return thread


def work(threads: int, more: Sequence[Job] = ()) -> None:
    """Work with so many threads until the process is told to end (SIGTERM, SIGINT); batches are finished first."""
    gc.freeze()  # looking for garbage among the libraries too would hold all threads up for a fifth of a second
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    workers = [start_inbox(stop), *(start_worker(stop, syncs_only=place > 0, more=more) for place in range(threads))]
    stop.wait()
    give_up_at_s = time.monotonic() + STOP_WITHIN_S
    for worker in workers:
        worker.join(max(0.0, give_up_at_s - time.monotonic()))


def _work(stop: threading.Event, jobs: Sequence[Job]) -> None:
    ticker = Scheduler()
    for seconds, job in jobs:
        if job is heartbeat.beat:
            _guarded(job, stop)
        ticker.every(seconds).seconds.do(_guarded, job, stop)
    while not stop.wait(TICK_S):
        ticker.run_pending()


def _guarded(job: Callable[[threading.Event], None], stop: threading.Event) -> None:
    """Run a job; `schedule` would otherwise run a failing one for ever and starve the rest."""
    try:
        job(stop)
    except Exception:  # whatever a job raises, the others are due too
        log.exception("the job %s failed", job.__name__)


def run_due(stop: threading.Event) -> None:
    """Sync the shops that are due, the longest waiting first."""
    give_way_at_s = time.monotonic() + TURN_S
    while not stop.is_set() and (claim := lease.claim()) is not None:
        engine.run_claim(claim, trigger="worker", stopping=stop.is_set)
        if time.monotonic() >= give_way_at_s:
            return


def forget_old(_: threading.Event) -> None:
    """Forget what is past the days each shop keeps it; by age, so any number of workers may do it."""
    log.info("forgotten by age: %s", privacy.forget_old(datetime.now(UTC)))


def drain_inbox(stop: threading.Event) -> None:
    """Settle webhooks for a while: at once what this process received, half a second later what another one did."""
    give_way_at_s = time.monotonic() + TURN_S
    while not stop.is_set() and time.monotonic() < give_way_at_s:
        inbox.arrived.clear()
        events.drain(stop.is_set)
        inbox.arrived.wait(LOOK_EVERY_S)


# Seconds between two runs. Forgetting is promised nightly: every hour keeps that, also after restarts. A new store has
# its webhooks within minutes, whoever connected it.
JOBS: tuple[Job, ...] = (
    (heartbeat.BEAT_EVERY_S, heartbeat.beat),
    (1, run_due),
    (3600, forget_old),
    (300, subscriptions.ensure_due),
)
# In a thread of their own.
INBOX_JOBS: tuple[Job, ...] = ((1, drain_inbox),)
