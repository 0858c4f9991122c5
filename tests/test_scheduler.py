"""The worker thread: it takes what is due, survives what fails, and stops when told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

import httpx2
import pytest
from sqlalchemy import Engine

from core.sync import jobs, scheduler
from core.sync.scheduler import run_due, start_worker
from tests.demo_sync import ALICE, CHARLIE, Asked, Stage, add_demo_shops, rows_of, stage_demo, state

PATIENCE_S = 120.0


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(scheduler, "TURN_S", 600.0)  # one turn is for all that is due, however slow the machine
    return stage_demo(monkeypatch, opened_on=date(2026, 11, 10))


@contextmanager
def working() -> Iterator[threading.Event]:
    """A worker thread for the time of the block."""
    stop = threading.Event()
    thread = start_worker(stop)
    try:
        yield stop
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def finished(shop_id: int, runs: int) -> bool:
    """Wait until a shop has so many finished runs."""
    for _ in range(int(PATIENCE_S / 0.05)):
        done = [run for run in jobs.run_history(shop_id) if run.outcome != "running"]
        if len(done) >= runs and all(state(s, shop_id).owner is None for s in ("shop", "orders")):
            return True
        threading.Event().wait(0.05)
    return False


def test_the_worker_syncs_what_is_due_and_nothing_else(database: Engine, stage: Stage):
    add_demo_shops()
    jobs.request_sync(ALICE)
    assert jobs.sync_status(ALICE).requested
    with working():
        assert finished(ALICE, 1)
        jobs.request_sync(CHARLIE)
        assert finished(CHARLIE, 1)
    for shop_id in (ALICE, CHARLIE):
        [run] = jobs.run_history(shop_id)
        assert (run.outcome, run.trigger) == ("ok", "worker")
        assert rows_of(shop_id)["order"]


def test_due_shops_are_synced_one_after_another(database: Engine, stage: Stage):
    add_demo_shops()
    jobs.request_sync(CHARLIE)
    jobs.request_sync(ALICE)
    run_due(threading.Event())
    runs = {shop_id: jobs.run_history(shop_id) for shop_id in (ALICE, CHARLIE)}
    assert all([run.outcome for run in found] == ["ok"] for found in runs.values())
    assert runs[CHARLIE][0].run_id < runs[ALICE][0].run_id
    run_due(threading.Event())
    assert len(jobs.run_history(ALICE)) == 1


def test_a_success_is_due_again_later_and_a_failure_sooner(database: Engine, stage: Stage):
    add_demo_shops()
    jobs.request_sync(ALICE)
    stage.instead = lambda asked: httpx2.Response(502) if asked.about("products") else None
    now = datetime.now(UTC)
    run_due(threading.Event())
    orders, products = state("orders").due_at, state("products").due_at
    assert orders is not None and products is not None
    assert now < products < orders


def test_a_failing_job_does_not_stop_the_worker(
    database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    add_demo_shops()
    calls = []

    def sometimes(stop: threading.Event) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("boom")
        run_due(stop)

    monkeypatch.setattr(scheduler, "JOBS", ((1, sometimes),))
    jobs.request_sync(ALICE)
    with working():
        assert finished(ALICE, 1)
    assert len(calls) >= 2


def test_a_stopped_worker_gives_its_work_back_for_the_next_one(database: Engine, stage: Stage):
    add_demo_shops()
    jobs.request_sync(ALICE)
    stop = threading.Event()

    def told_to_stop(asked: Asked) -> httpx2.Response | None:
        if asked.about("customers"):
            stop.set()
        return None

    stage.instead = told_to_stop
    run_due(stop)
    [run] = jobs.run_history(ALICE)
    assert run.outcome == "interrupted" and rows_of()["product"] and not rows_of()["order"]
    assert jobs.sync_status(ALICE).requested, "it is due at once"
    stage.tell_truth()
    run_due(threading.Event())
    assert [run.outcome for run in jobs.run_history(ALICE)] == ["ok", "interrupted"]
    assert rows_of()["order"]


def test_two_workers_never_sync_one_shop_at_once(database: Engine, stage: Stage):
    add_demo_shops()
    at_work: list[int] = []
    most = 0

    def busy(asked: Asked) -> httpx2.Response | None:
        nonlocal most
        if asked.about("Shop"):
            at_work.append(1)
            most = max(most, len(at_work))
            threading.Event().wait(0.05)
            at_work.pop()
        return None

    stage.instead = busy
    for _ in range(4):
        jobs.request_sync(ALICE)
        threads = [threading.Thread(target=run_due, args=(threading.Event(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 1
    assert [run.outcome for run in jobs.run_history(ALICE)] == ["ok"] * 4
