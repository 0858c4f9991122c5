"""When each stream is due, what a shop may choose, how far back it goes; nobody waits for somebody else's trouble."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.db import engine as db
from core.db.engine import system_session
from core.db.models import SyncState
from core.errors import InputError
from core.sync import fetch, jobs, lease, scheduler
from core.sync.scheduler import run_due
from core.sync.streams import NAMES, STREAM, STREAMS
from tests.conftest import empty
from tests.demo_http import HARBOR, KIOSK
from tests.demo_sync import (
    ALICE,
    CHARLIE,
    NOW,
    Asked,
    Stage,
    add_demo_shop,
    add_demo_shops,
    changed_body,
    rows_of,
    stage_demo,
    state,
    sync,
)
from tests.factories import add_shop
from tests.kept_shop import add_synced_shop

HOUR = timedelta(hours=1)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


def due_in(stream: str, shop_id: int = ALICE) -> timedelta | None:
    """The time from the last success to the next run."""
    row = state(stream, shop_id)
    return row.due_at - row.succeeded_at if row.due_at is not None and row.succeeded_at is not None else None


def succeed(shop_id: int, *streams: str) -> None:
    """These streams are synced, without any Shopify."""
    jobs.request_sync(shop_id, streams)
    claim = lease.claim(shop_id)
    assert claim is not None
    for name in claim.epochs:
        lease.release(claim, name, problem=None, due_again=STREAM[name].every, succeeded=True)


def due_now(shop_id: int) -> set[str]:
    with system_session() as session:
        due = select(SyncState.stream).where(SyncState.shop_id == shop_id, SyncState.due_at <= datetime.now(UTC))
        return set(session.exec(due))


def test_each_stream_has_its_own_interval(database: Engine):
    add_shop(1)
    succeed(1, *NAMES)
    hours = {stream.name: (due_in(stream.name, 1) or HOUR) / HOUR for stream in STREAMS}
    assert hours == {
        "shop": 12, "products": 12, "customers": 12, "orders": 1, "checkouts": 12, "inventory": 12, "deletes": 1,
        "rescan": 24, "sweep": 168,
    }  # fmt: skip


def test_a_shop_has_its_own_interval_and_another_shop_keeps_the_programs(database: Engine):
    for shop_id in (1, 2):
        add_shop(shop_id)
        succeed(shop_id, *NAMES)
    jobs.set_schedule(1, "orders", 6 * 3600)
    assert (due_in("orders", 1), due_in("orders", 2)) == (6 * HOUR, HOUR)
    succeed(1, "orders")
    assert due_in("orders", 1) == 6 * HOUR and due_in("products", 1) == 12 * HOUR
    jobs.set_schedule(1, "orders", None)
    assert due_in("orders", 1) == HOUR


def test_off_means_only_when_asked(database: Engine):
    add_shop(1)
    succeed(1, *NAMES)
    jobs.set_schedule(1, "orders", 0)
    assert state("orders", 1).due_at is None
    [status] = [one for one in jobs.sync_status(1).streams if one.stream == "orders"]
    assert (status.state, status.every_s) == ("off", 0)
    succeed(1, "orders")
    assert state("orders", 1).due_at is None and state("orders", 1).succeeded_at is not None
    jobs.set_schedule(1, "orders", 3600)
    assert due_in("orders", 1) == HOUR


def test_a_new_interval_does_not_take_back_what_was_asked_for_or_is_to_be_tried_again(database: Engine):
    add_shop(1)
    jobs.request_sync(1, ["orders", "products"])
    asked = state("orders", 1).due_at
    jobs.set_schedule(1, "orders", 0)
    assert state("orders", 1).due_at == asked
    claim = lease.claim(1)
    assert claim is not None
    lease.release(claim, "products", problem="x", due_again=None, succeeded=False)
    again = state("products", 1).due_at
    jobs.set_schedule(1, "products", 7 * 86_400)
    assert state("products", 1).due_at == again is not None


def test_an_interval_that_is_over_already_makes_the_stream_due(database: Engine):
    add_shop(1)
    succeed(1, "products")
    with system_session(write=True) as session:
        session.get_one(SyncState, (1, "products")).succeeded_at = datetime.now(UTC) - 3 * HOUR
    jobs.set_schedule(1, "products", 3600)
    assert due_now(1) == {"products"}


def test_sync_now_asks_for_all_that_holds_data_and_puts_the_checks_on_their_schedule(database: Engine):
    add_shop(1)
    before = datetime.now(UTC)
    jobs.request_sync(1)
    assert due_now(1) == set(NAMES) - {"rescan", "sweep"}
    waits = {name: (state(name, 1).due_at or before) - before for name in ("rescan", "sweep")}
    assert {name: round(wait / HOUR) for name, wait in waits.items()} == {"rescan": 24, "sweep": 168}
    jobs.set_schedule(1, "sweep", 0)
    jobs.request_sync(1)
    assert state("sweep", 1).due_at is None


def test_single_streams_are_synced_alone_and_the_rest_is_untouched(database: Engine, stage: Stage):
    add_synced_shop(stage)
    add_demo_shop(CHARLIE, KIOSK)
    sync(CHARLIE)
    before = {name: state(name) for name in NAMES}
    charlies = [state(name, CHARLIE) for name in NAMES], rows_of(CHARLIE)
    stage.now = NOW + timedelta(days=2)
    run = sync(ALICE, "products", "deletes")
    assert set(run.counts) == {"shop", "products", "deletes"}
    assert {name for name in NAMES if state(name) != before[name]} == {"products", "deletes"}
    assert ([state(name, CHARLIE) for name in NAMES], rows_of(CHARLIE)) == charlies


def test_a_stream_that_is_not_there_is_named_with_those_that_are(database: Engine):
    add_shop(1)
    with pytest.raises(InputError, match="no stream carts.* orders"):
        jobs.request_sync(1, ["carts"])
    assert due_now(1) == set()


def test_a_shop_from_before_gets_the_streams_that_are_new(database: Engine):
    for shop_id in (1, 2):
        add_shop(shop_id)
    succeed(1, *NAMES)
    with system_session(write=True) as session:
        for shop_id in (1, 2):
            for name in ("checkouts", "rescan"):
                session.delete(session.get_one(SyncState, (shop_id, name)))
    jobs.request_sync(1, ["orders"])
    claim = lease.claim()
    assert claim is not None and set(claim.epochs) == {"orders", "checkouts"}
    assert (state("rescan", 1).due_at or datetime.now(UTC)) > datetime.now(UTC) + 23 * HOUR
    assert lease.claim() is None, "nobody asked for the second shop"
    jobs.request_sync(2, [])
    assert state("rescan", 2).due_at is not None and due_now(2) == set()


def test_a_shop_that_always_fails_does_not_keep_the_others_waiting(database: Engine, stage: Stage):
    add_demo_shops()
    stage.instead = lambda asked: httpx2.Response(502) if HARBOR.domain in asked.address else None
    jobs.request_sync(ALICE)
    jobs.request_sync(CHARLIE)
    run_due(threading.Event())
    assert [run.outcome for run in jobs.run_history(ALICE)] == ["failed"]
    assert [run.outcome for run in jobs.run_history(CHARLIE)] == ["ok"]
    assert due_now(ALICE) == set() and state("orders").due_at is not None


def test_other_jobs_have_their_turn_however_many_shops_are_due(
    database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    add_demo_shops()
    monkeypatch.setattr(scheduler, "TURN_S", 0.0)
    jobs.request_sync(ALICE)
    jobs.request_sync(CHARLIE)
    run_due(threading.Event())
    assert [len(jobs.run_history(shop_id)) for shop_id in (ALICE, CHARLIE)] == [1, 0]
    run_due(threading.Event())
    assert [len(jobs.run_history(shop_id)) for shop_id in (ALICE, CHARLIE)] == [1, 1]


def test_the_shop_that_waits_longest_is_next_also_when_a_busy_one_is_due_again(database: Engine):
    for shop_id in (1, 2):
        add_shop(shop_id)
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        for shop_id, stream, waited in ((1, "orders", 1), (1, "products", 90), (2, "orders", 60)):
            session.get_one(SyncState, (shop_id, stream)).due_at = now - timedelta(minutes=waited)
    order = []
    for _ in range(3):
        claim = lease.claim()
        if claim is None:
            break
        order.append((claim.shop_id, set(claim.epochs)))
        for name in claim.epochs:
            lease.release(claim, name, problem=None, due_again=timedelta(0), succeeded=True)
    assert order[:2] == [(1, {"orders", "products"}), (2, {"orders"})]


def test_many_changes_are_read_by_one_file_with_the_same_rows_and_cursor(
    database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    found = []
    for most in (10**6, 3):
        empty(db.get_engine())
        add_demo_shop(ALICE, HARBOR)
        monkeypatch.setattr(fetch, "BULK_ABOVE", 10**6)
        stage.now = NOW - timedelta(days=9)
        sync()
        monkeypatch.setattr(fetch, "BULK_ABOVE", most)
        stage.now = NOW
        stage.asked.clear()
        assert sync().outcome == "ok"
        large = {"orders", "customers", "abandonedCheckouts"}
        assert large & set(stage.read_by_bulk()) == (large if most == 3 else set())
        found.append((rows_of(), [state(name).synced_until for name in ("orders", "customers", "products")]))
    assert found[0] == found[1]


def test_a_window_that_is_read_by_file_sets_a_filter_and_no_order(
    database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    stage.now = NOW - timedelta(days=9)
    add_synced_shop(stage)
    since = state("orders").synced_until
    monkeypatch.setattr(fetch, "BULK_ABOVE", 3)
    stage.now = NOW
    stage.asked.clear()
    sync(ALICE, "orders")
    [query] = [asked.variables["query"] for asked in stage.asked if "bulkOperationRunQuery" in asked.query]
    assert since is not None and "sortKey" not in query
    assert f"orders(query: \"updated_at:>='{since - fetch.OVERLAP:%Y-%m-%dT%H:%M:%SZ}'\")" in query


def test_a_count_that_shopify_refuses_is_no_failure(database: Engine, stage: Stage):
    stage.now = NOW - timedelta(days=9)
    add_synced_shop(stage)
    stage.now = NOW
    refused = {"search": [{"path": ["ordersCount"], "warnings": [{"field": "updated_at", "message": "Invalid."}]}]}
    stage.instead = lambda asked: (
        httpx2.Response(200, json={"data": {"ordersCount": {"count": 9}}, "extensions": refused})
        if asked.about("OrdersCount")
        else None
    )
    stage.asked.clear()
    assert sync(ALICE, "orders").outcome == "ok" and stage.read_by_bulk() == []


def with_scopes(stage: Stage, *scopes: str) -> None:
    def change(body: dict[str, Any]) -> None:
        body["data"]["currentAppInstallation"]["accessScopes"] = [{"handle": scope} for scope in scopes]

    def after(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        return changed_body(response, change) if asked.about("Shop") else response

    stage.after = after


def covered() -> jobs.StreamStatus:
    [status] = [one for one in jobs.sync_status(ALICE).streams if one.stream == "orders"]
    return status


def test_with_every_permission_the_oldest_order_is_how_far_back_it_goes(database: Engine, stage: Stage):
    add_synced_shop(stage)
    assert covered().history_from == min(row["processed_at"] for row in rows_of()["order"])
    assert (covered().scope_for_more, covered().sees_days) == (None, None)


def test_a_token_that_sees_sixty_days_covers_them_until_a_gap_opens(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    with_scopes(stage, "read_orders", "read_customers", "read_products")
    sync()
    assert covered().history_from == NOW - timedelta(days=60)
    assert (covered().scope_for_more, covered().sees_days) == ("read_all_orders", 60)
    stage.now = NOW + timedelta(days=20)
    sync(ALICE, "orders")
    sync(ALICE, "orders", full=True)
    assert covered().history_from == NOW - timedelta(days=60), "what was read then is still here"
    stage.now = NOW + timedelta(days=100)
    sync(ALICE, "orders")
    assert covered().history_from == NOW + timedelta(days=40), "nobody read what came before in time"
    stage.tell_truth()
    sync()
    assert covered().history_from == min(row["processed_at"] for row in rows_of()["order"])
