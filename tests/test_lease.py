"""The queue: one worker a shop, a lease that is renewed, and a fence against a worker that was thought dead."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlmodel import select

from core.db.engine import shop_session, system_session
from core.db.models import Order, SyncRun, SyncState
from core.errors import LeaseLost
from core.sync import engine, jobs, lease, runs
from core.sync.lease import LEASE, RETRY_AFTER, Claim, claim
from core.sync.streams import STREAMS as EVERY_STREAM
from tests.demo_sync import ALICE, CHARLIE, Stage, add_demo_shops, rows_of, stage_demo, state, sync
from tests.factories import add_shop

STREAMS = tuple(stream.name for stream in EVERY_STREAM if stream.asked)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


def claimed(shop_id: int | None = None, now: datetime | None = None) -> Claim:
    found = claim(shop_id, now=now)
    assert found is not None
    return found


def at_once(count: int, action: Callable[[], Claim | None]) -> list[Claim]:
    barrier = threading.Barrier(count)

    def run(_: int) -> Claim | None:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(count) as pool:
        return [found for found in pool.map(run, range(count)) if found is not None]


def test_nothing_is_due_before_somebody_asks(database: Engine):
    add_shop(1)
    assert claim() is None
    jobs.request_sync(1)
    assert set(claimed().epochs) == set(STREAMS)


def test_of_many_claims_at_once_one_gets_the_shop_and_all_of_it(database: Engine):
    add_shop(1)
    for _ in range(8):
        jobs.request_sync(1)
        [only] = at_once(6, claim)
        assert set(only.epochs) == set(STREAMS)
        lease.give_back(only)


def test_many_claims_at_once_share_the_shops_out(database: Engine):
    for shop_id in range(1, 4):
        add_shop(shop_id)
        jobs.request_sync(shop_id)
    found = at_once(6, claim)
    found += [more for _ in range(3) if (more := claim()) is not None]
    assert sorted(each.shop_id for each in found) == [1, 2, 3]
    assert all(set(each.epochs) == set(STREAMS) for each in found)


def test_a_held_shop_is_passed_over_and_the_next_one_taken(database: Engine):
    for shop_id in (1, 2):
        add_shop(shop_id)
        jobs.request_sync(shop_id)
    assert [claimed().shop_id, claimed().shop_id] == [1, 2]
    jobs.request_sync(1)
    assert claim() is None


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_shop_whose_rows_are_locked_keeps_no_worker_from_the_others(database: Engine):
    """As a worker frozen in a transaction does, for as long as the server lets it; on SQLite it locks everything."""
    for shop_id in (1, 2):
        add_shop(shop_id)
        jobs.request_sync(shop_id, ["orders"])
    with system_session(write=True) as frozen:
        lease.locked(frozen, 1)
        found = claim()
        assert found is not None and found.shop_id == 2
        assert claim() is None
    again = claim()
    assert again is not None and again.shop_id == 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_who_got_some_rows_of_a_shop_makes_nobody_pass_it_over(database: Engine):
    """As of two who claimed at once each got some of them: the one with the first row waits for the others."""
    add_shop(1)
    jobs.request_sync(1)
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with ThreadPoolExecutor(1) as pool:
        with database.connect() as other, database.connect() as looker, other.begin():
            other.execute(select(SyncState).where(SyncState.stream == max(STREAMS)).with_for_update())
            claiming = pool.submit(claim)
            while not claiming.done() and not looker.execute(waiting).scalar_one():
                looker.rollback()  # what is seen of others stays the same in a transaction
        found = claiming.result()
    assert found is not None and set(found.epochs) == set(STREAMS)


def test_a_second_sync_of_a_held_shop_says_that_one_is_running(database: Engine):
    add_shop(1)
    jobs.request_sync(1)
    claimed()
    with pytest.raises(LeaseLost, match="running already"):
        jobs.sync_now(1)


def test_a_lease_that_ran_out_is_taken_over_and_the_first_worker_is_fenced_off(database: Engine):
    add_shop(1)
    jobs.request_sync(1)
    first = claimed()
    later = datetime.now(UTC) + LEASE + timedelta(seconds=1)
    second = claimed(now=later)
    assert all(second.epochs[stream] == first.epochs[stream] + 1 for stream in STREAMS)
    with pytest.raises(LeaseLost, match="took this sync over"):
        lease.keep(first, "orders")
    before = state("orders", 1)
    lease.release(first, "orders", problem="late", due_again=None, succeeded=True)
    lease.give_back(first)
    assert state("orders", 1) == before
    lease.keep(second, "orders")


def test_renewing_one_stream_keeps_the_others_too_but_not_those_given_back(database: Engine):
    add_shop(1)
    jobs.request_sync(1)
    mine = claimed(now=datetime.now(UTC))
    lease.release(mine, "shop", problem=None, due_again=timedelta(hours=1), succeeded=True)
    first = state("orders", 1).lease_until
    lease.keep(mine, "products")
    renewed = [state(stream, 1).lease_until for stream in STREAMS if stream != "shop"]
    assert first is not None and all(until is not None and until > first for until in renewed)
    assert state("shop", 1).lease_until is None
    with pytest.raises(LeaseLost):
        lease.keep(mine, "shop")


def test_a_fenced_worker_writes_nothing_and_ends_as_interrupted(database: Engine, stage: Stage):
    add_demo_shops()
    jobs.request_sync(ALICE)
    mine = claimed()

    def overtaken() -> bool:
        with system_session(write=True) as session:
            for row in session.exec(select(SyncState).where(SyncState.shop_id == ALICE, SyncState.stream == "orders")):
                row.epoch += 1
        return False

    assert engine.run_claim(mine, trigger="test", stopping=overtaken) == "interrupted"
    assert all(rows == [] for name, rows in rows_of().items() if name not in ("product", "variant", "customer"))
    assert state("orders").synced_until is None


def test_the_fence_is_checked_in_the_transaction_that_writes(database: Engine):
    shop = add_shop(1)
    jobs.request_sync(1)
    mine = claimed()
    claimed(now=datetime.now(UTC) + 2 * LEASE)
    with pytest.raises(LeaseLost), shop_session(shop.shop_id, write=True) as session:
        session.add(
            Order(
                shop_id=1, id=1, name="#1", processed_at=datetime.now(UTC), day=datetime.now(UTC).date(), hour=12,
                created_at=datetime.now(UTC), updated_at=datetime.now(UTC),
            )
        )  # fmt: skip
        lease.hold(session, mine, "orders", synced_until=datetime.now(UTC))
    assert rows_of(1)["order"] == []
    assert state("orders", 1).synced_until is None


def test_runs_that_were_cut_off_are_closed_at_the_next_claim(database: Engine):
    for shop_id in (1, 2):
        add_shop(shop_id)
        jobs.request_sync(shop_id)
        claimed(shop_id)
        runs.start(shop_id, "test")
    claimed(1, now=datetime.now(UTC) + 2 * LEASE)
    [cut], [going] = jobs.run_history(1), jobs.run_history(2)
    assert cut.outcome == "interrupted" and cut.finished_at is not None and "next one" in (cut.problem or "")
    assert going.outcome == "running"


def test_the_longest_waiting_shop_comes_first(database: Engine):
    for shop_id in (1, 2, 3):
        add_shop(shop_id)
        jobs.request_sync(shop_id)
    with system_session(write=True) as session:
        for row in session.exec(select(SyncState).where(SyncState.shop_id == 2, SyncState.stream == "orders")):
            row.due_at = datetime.now(UTC) - timedelta(hours=1)
    assert claimed().shop_id == 2


def test_failures_wait_longer_each_time_and_a_permanent_one_waits_to_be_asked(database: Engine):
    add_shop(1)
    waits = []
    for _ in range(len(RETRY_AFTER) + 1):
        jobs.request_sync(1)
        mine = claimed(1)
        before = datetime.now(UTC)
        lease.release(mine, "orders", problem="x", due_again=None, succeeded=False)
        lease.give_back(mine)
        waits.append((state("orders", 1).due_at or before) - before)
    assert [round(wait / timedelta(minutes=1)) for wait in waits] == [1, 5, 30, 120, 120]
    jobs.request_sync(1)
    lease.release(claimed(1), "orders", problem="x", due_again=None, succeeded=False, permanent=True)
    assert state("orders", 1).due_at is None


def test_asking_for_everything_while_a_sync_runs_is_not_forgotten(database: Engine):
    add_shop(1)
    with system_session(write=True) as session:
        for row in session.exec(select(SyncState)):
            row.synced_until = datetime.now(UTC)
    jobs.request_sync(1)
    mine = claimed()
    assert mine.full == frozenset()
    jobs.request_sync(1, full=True)
    for stream in STREAMS:
        lease.release(mine, stream, problem=None, due_again=timedelta(hours=1), succeeded=True)
    again = claimed()
    assert again.full == frozenset(STREAMS) | {"sweep"}
    for stream in again.epochs:
        lease.release(again, stream, problem=None, due_again=timedelta(hours=1), succeeded=True)
    assert claim() is None and not state("orders", 1).full


def test_pressing_the_button_while_a_sync_writes_ends_in_no_deadlock(database: Engine):
    add_shop(1)
    jobs.request_sync(1)
    mine = claimed()
    with ThreadPoolExecutor(4) as pool:
        pressed = [pool.submit(jobs.request_sync, 1) for _ in range(40)]
        kept = [pool.submit(lease.keep, mine, stream) for stream in STREAMS * 10]
        for each in (*pressed, *kept):
            each.result()


def test_the_demo_shops_do_not_wait_for_each_other(database: Engine, stage: Stage):
    add_demo_shops()
    jobs.request_sync(CHARLIE)
    claimed(CHARLIE)
    assert sync(ALICE).outcome == "ok"


def test_a_finished_run_is_not_reopened_by_a_claim(database: Engine):
    add_shop(1)
    run_id = runs.start(1, "test")
    runs.finish(run_id, "ok", None, {})
    jobs.request_sync(1)
    claimed()
    with system_session() as session:
        assert session.get_one(SyncRun, run_id).outcome == "ok"
