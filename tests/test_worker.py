"""python -m core worker: a process that syncs what is due, beside others, and ends when told."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from core.config import get_settings
from core.db.engine import shop_session, system_session
from core.db.models import Shop
from core.db.rollups import rebuild_all
from core.demo.catalogue import DEMO_SHOPS
from core.sync import connect, jobs
from tests.demo_sync import rows_of

ROOT = Path(__file__).parents[1]
PATIENCE_S = 120.0


@contextmanager
def worker(threads: int) -> Iterator[subprocess.Popen[str]]:
    """A worker process with this test's settings; killed at the end if it is still there."""
    settings = get_settings()
    environment = {
        **os.environ, "DATABASE_URL": settings.database_url, "LOG_LEVEL": "WARNING",
        "APP_ENCRYPTION_KEYS": os.environ["APP_ENCRYPTION_KEYS"],
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "core", "worker", "--threads", str(threads)],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(happens: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < give_up_at, "nothing happens"
        time.sleep(0.1)


def young_demo_shops(days: int = 30) -> tuple[int, ...]:
    """The demo shops, opened so many days ago."""
    ids = connect.ensure_demo_shops()
    with system_session(write=True) as session:
        for shop_id in ids:
            session.get_one(Shop, shop_id).opened_on = (datetime.now(UTC) - timedelta(days=days)).date()
    return ids


def test_workers_side_by_side_sync_each_shop_once_and_end_on_sigterm(database: Engine):
    ids = young_demo_shops()
    for shop_id in ids:
        jobs.request_sync(shop_id)
    with worker(2) as first, worker(1) as second:
        wait_until(lambda: all(jobs.sync_status(shop_id).synced_at is not None for shop_id in ids))
        wait_until(lambda: all(jobs.sync_status(shop_id).running is None for shop_id in ids))
        for process in (first, second):
            process.send_signal(signal.SIGTERM)
        said = [process.communicate(timeout=PATIENCE_S)[1] for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], said
    assert all("Ended" in text and "Traceback" not in text for text in said)
    assert len(ids) == len(DEMO_SHOPS)
    for shop_id in ids:
        [run] = jobs.run_history(shop_id)
        assert (run.outcome, run.trigger) == ("ok", "worker")
        rows = rows_of(shop_id)
        assert rows["order"] and rows["abandoned_checkout"] and rows["inventory_item"]
        with shop_session(shop_id, write=True) as session:
            rebuild_all(session)
        assert rows_of(shop_id) == rows


def test_a_worker_that_is_told_to_end_gives_its_shop_back_and_the_next_goes_on(database: Engine):
    ids = young_demo_shops(days=90)  # a sync that lasts long enough to be stopped
    jobs.request_sync(ids[0])
    with worker(1) as process:
        wait_until(lambda: bool(jobs.run_history(ids[0])))  # not that it still runs: who looks may be the slower one
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0, said
    assert jobs.sync_status(ids[0]).running is None
    assert [run.outcome for run in jobs.run_history(ids[0])] in (["interrupted"], ["ok"])
    with worker(1) as process:
        wait_until(lambda: jobs.run_history(ids[0])[0].outcome == "ok")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0, said
