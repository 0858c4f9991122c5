"""What is deleted at Shopify stops counting, stays in the tables, and comes back when it comes back there."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.db.engine import shop_session, system_session
from core.db.models import (
    Customer,
    CustomerTotals,
    DailySales,
    LineItem,
    Order,
    QuarantinedRow,
    Refund,
    Sale,
    SyncState,
)
from core.db.rollups import rebuild_all
from core.sync import deletes
from core.sync.jobs import RunView
from tests.demo_http import HARBOR
from tests.demo_sync import (
    ALICE,
    CHARLIE,
    NOW,
    Asked,
    Stage,
    add_demo_shop,
    add_demo_shops,
    changed_body,
    living,
    rows_of,
    shop_row,
    stage_demo,
    state,
    sync,
)
from tests.factories import add_shop, agreement, at, context, order, sale, stamp, store_orders
from tests.kept_shop import add_synced_shop

SUMS = ("daily_sales", "daily_product_sales", "customer_totals")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


def event(kind: str, number: int, when: datetime, **fields: Any) -> dict[str, Any]:
    """An event of a destroyed object."""
    return {
        "id": f"gid://shopify/BasicEvent/{number}9", "action": "destroy", "createdAt": stamp(when),
        "subjectId": f"gid://shopify/{kind}/{number}", "subjectType": kind.upper(), **fields,
    }  # fmt: skip


def tell(stage: Stage, *events: dict[str, Any], ask: str | None = None) -> None:
    """Put events into the answers about their type, or about another one."""

    def after(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        if not asked.about("DeleteEvents"):
            return response
        kind, since = re.findall(r"subject_type:(\w+) created_at:>='([^']+)'", asked.variables["query"])[0]
        wanted = [one for one in events if kind == (ask or one["subjectType"]) and one["createdAt"] >= since]
        return changed_body(response, lambda body: body["data"]["events"]["nodes"].extend(wanted))

    stage.after = after


def deleted(run: RunView) -> int:
    return run.counts["deletes"]["deleted"]


def sums_of(shop_id: int = ALICE) -> dict[str, Any]:
    rows = rows_of(shop_id)
    return {table: rows[table] for table in SUMS}


def recomputed(shop_id: int = ALICE) -> dict[str, Any]:
    with shop_session(shop_id, write=True) as session:
        rebuild_all(session)
    return sums_of(shop_id)


def test_a_destroyed_order_leaves_every_sum_and_stays_in_its_table(database: Engine, stage: Stage):
    add_demo_shops()
    sync(CHARLIE)
    sync()
    charlies, before, version = rows_of(CHARLIE), sums_of(), shop_row().data_version
    gone = next(row for row in rows_of()["order"] if row["buyer_id"] and row["current_total"] and not row["test"])
    tell(stage, event("Order", gone["id"], NOW))
    assert deleted(sync(ALICE, "deletes")) == 1
    [row] = [row for row in rows_of()["order"] if row["id"] == gone["id"]]
    assert row["deleted_at"] == NOW and row["fingerprint"] == "" and row["name"] == gone["name"]
    after = sums_of()
    assert after != before and after == recomputed()
    [day] = [row for row in after["daily_sales"] if row["day"] == gone["day"]] or [{"orders": 0}]
    [day_before] = [row for row in before["daily_sales"] if row["day"] == gone["day"]]
    assert day["orders"] == day_before["orders"] - 1
    assert shop_row().data_version == version + 1
    run = sync(ALICE, "deletes")
    assert (deleted(run), shop_row().data_version, sums_of()) == (0, version + 1, after)
    assert rows_of(CHARLIE) == charlies


def test_an_order_that_is_there_again_counts_again(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before = rows_of()
    tell(stage, event("Order", before["order"][5]["id"], NOW))
    sync(ALICE, "deletes")
    assert rows_of() != before
    stage.tell_truth()
    assert sync(ALICE, "orders", full=True).counts["orders"]["updated"] == 1
    assert rows_of() == before


def test_a_destroyed_customers_orders_go_on_counting(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before = rows_of()
    gone = next(row["customer_id"] for row in before["order"] if row["customer_id"])
    tell(stage, event("Customer", gone, NOW), event("Product", before["product"][0]["id"], NOW))
    assert deleted(sync(ALICE, "deletes")) == 2
    after = rows_of()
    marked = {row["id"] for table in ("customer", "product") for row in after[table] if row["deleted_at"]}
    assert marked == {gone, before["product"][0]["id"]}
    untouched = {table: rows for table, rows in before.items() if table not in ("customer", "product")}
    assert {table: after[table] for table in untouched} == untouched


@pytest.mark.parametrize("fields", [{"action": "update"}, {"subjectType": "PRODUCT"}], ids=str)
def test_events_that_are_about_something_else_delete_nothing(database: Engine, stage: Stage, fields: dict[str, str]):
    add_synced_shop(stage)
    before = rows_of()
    tell(stage, event("Order", before["order"][0]["id"], NOW, **fields), ask="ORDER")
    assert deleted(sync(ALICE, "deletes")) == 0
    assert rows_of() == before


def test_a_test_order_that_is_destroyed_changes_no_sum(database: Engine):
    shop = add_shop(1)
    store_orders(shop, order(1, at("2026-11-01T12"), agreement(at("2026-11-01T12"), sale("10.0"))))
    store_orders(shop, order(2, at("2026-11-01T13"), agreement(at("2026-11-01T13"), sale("7.0")), test=True))
    before = sums_of(1)
    with shop_session(1, write=True) as session:
        assert deletes.soft_delete(session, "orders", {2}, at("2026-11-02")) == 1
    assert sums_of(1) == before == recomputed(1)


def test_without_a_buyers_first_order_the_second_is_the_first(database: Engine):
    shop = add_shop(1)
    for number in (1, 2):
        day = at(f"2026-11-0{number}T12")
        store_orders(shop, order(number, day, agreement(day, sale("10.0")), customer=7))
    with shop_session(1, write=True) as session:
        assert deletes.soft_delete(session, "orders", {1, 99}, at("2026-11-05")) == 1
    with shop_session(1) as session:
        [totals] = session.exec(select(CustomerTotals)).all()
        [day_row] = session.exec(select(DailySales)).all()
    assert (totals.orders, totals.first_order_id, totals.net_sales) == (1, 2, 1000)
    assert (day_row.day.day, day_row.new_customers, day_row.returning_customers) == (2, 1, 0)
    assert sums_of(1) == recomputed(1)


def test_orders_of_merged_customers_count_for_the_one_that_is_left(database: Engine):
    shop = add_shop(1)
    days = [at("2026-11-01T12"), at("2026-11-02T12")]
    documents = [order(n, day, agreement(day, sale("10.0")), customer=n) for n, day in enumerate(days, start=1)]
    store_orders(shop, *documents)
    documents[0] |= {"customer": {"id": "gid://shopify/Customer/2"}, "updatedAt": stamp(at("2026-11-03"))}
    store_orders(shop, documents[0])
    with shop_session(1, write=True) as session:
        deletes.soft_delete(session, "customers", {1}, at("2026-11-03"))
        [totals] = session.exec(select(CustomerTotals)).all()
        new = {row.day.day: (row.new_customers, row.returning_customers) for row in session.exec(select(DailySales))}
    assert (totals.buyer_id, totals.orders, totals.first_order_id) == (2, 2, 1)
    assert new == {1: (1, 0), 2: (0, 1)}
    assert sums_of(1) == recomputed(1)


def test_the_cursor_is_the_newest_event_and_stays_when_a_kind_could_not_be_read(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before, number = state("deletes").synced_until, rows_of()["order"][3]["id"]
    stage.now = NOW + timedelta(hours=2)
    happened = NOW + timedelta(hours=1)
    tell(stage, event("Order", number, happened))

    def fails(asked: Asked) -> bool:
        return asked.about("DeleteEvents") and "PRODUCT" in asked.variables["query"]

    stage.instead = lambda asked: httpx2.Response(502) if fails(asked) else None
    assert sync(ALICE, "deletes").outcome == "failed"
    assert state("deletes").synced_until == before
    stage.instead = lambda _: None
    assert sync(ALICE, "deletes").outcome == "ok"
    assert state("deletes").synced_until == max(happened, before or happened)
    assert [row["id"] for row in rows_of()["order"] if row["deleted_at"] == stage.now] == [number]


def test_a_file_from_before_lets_the_deletions_since_be_looked_for_again(database: Engine, stage: Stage):
    add_synced_shop(stage)
    number = rows_of()["order"][3]["id"]
    tell(stage, event("Order", number, NOW + timedelta(hours=1)))
    stage.now = NOW + timedelta(hours=2)
    sync(ALICE, "deletes")
    stage.now = NOW  # the file that is read now is older than the deletion
    sync(ALICE, "orders", full=True)
    assert not any(row["deleted_at"] for row in rows_of()["order"] if row["id"] == number)
    stage.now = NOW + timedelta(hours=3)
    assert deleted(sync(ALICE, "deletes")) == 1


def test_what_was_destroyed_while_its_scope_was_missing_is_found_when_it_is_granted(database: Engine, stage: Stage):
    add_synced_shop(stage)
    customer = next(row["customer_id"] for row in rows_of()["order"] if row["customer_id"])
    order_number = rows_of()["order"][3]["id"]
    happened = [NOW + timedelta(hours=1), NOW + timedelta(days=2)]
    events = event("Customer", customer, happened[0]), event("Order", order_number, happened[1])
    tell(stage, *events)
    told, lacking = stage.after, scopes("read_orders", "read_all_orders", "read_products")
    stage.after = lambda asked, response: told(asked, lacking(asked, response))
    stage.now = NOW + timedelta(days=3)
    assert deleted(sync(ALICE, "deletes")) >= 1
    assert state("deletes").synced_until == happened[1], "the cursor is past what could not be read"
    tell(stage, *events)
    stage.now = NOW + timedelta(days=4)
    sync(ALICE, "deletes")
    assert customer in {row["id"] for row in rows_of()["customer"] if row["deleted_at"]}
    assert (state("deletes").synced_until or NOW) >= happened[1]


def test_what_the_demo_destroys_is_gone_here_too(database: Engine, stage: Stage):
    stage.now = NOW - timedelta(days=30)
    add_synced_shop(stage)
    known = {row["id"] for row in rows_of()["order"]}
    stage.now = NOW
    run = sync()
    gone = {row["id"] for row in rows_of()["order"] if row["deleted_at"]}
    assert run.outcome == "ok" and gone and gone <= known and deleted(run) >= len(gone)
    assert sums_of() == recomputed()


def add_strangers(*documents: dict[str, Any]) -> None:
    """Orders that Shopify does not have."""
    store_orders(context(ALICE), *documents)


def sold(number: int, when: datetime) -> dict[str, Any]:
    return order(number, when, agreement(when, sale("10.0")), customer=None)


def test_ids_that_shopify_does_not_have_are_marked_as_deleted(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before = living(rows_of())
    add_strangers(sold(1, NOW - timedelta(days=5)), sold(2, NOW - timedelta(days=400)))
    assert sums_of() != {table: before[table] for table in SUMS}
    run = sync(ALICE, "sweep")
    assert (run.outcome, run.counts["sweep"]["deleted"]) == ("ok", 2)
    assert living(rows_of()) == before
    assert sync(ALICE, "sweep").counts["sweep"]["deleted"] == 0


def scopes(*granted: str) -> Callable[[Asked, httpx2.Response], httpx2.Response]:
    """The token has these scopes."""

    def change(body: dict[str, Any]) -> None:
        body["data"]["currentAppInstallation"]["accessScopes"] = [{"handle": scope} for scope in granted]

    return lambda asked, response: changed_body(response, change) if asked.about("Shop") else response


def test_orders_the_token_cannot_see_are_never_called_deleted(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    stage.after = scopes("read_orders", "read_customers", "read_products")
    sync()
    add_strangers(
        sold(1, NOW - timedelta(days=5)), sold(2, NOW - timedelta(days=61)), sold(3, NOW - timedelta(days=400))
    )
    assert sync(ALICE, "sweep").counts["sweep"]["deleted"] == 1
    assert [row["id"] for row in rows_of()["order"] if row["deleted_at"]] == [1]


def test_ids_that_are_missing_here_make_the_stream_read_everything(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before = rows_of()
    number = before["order"][7]["id"]
    with shop_session(ALICE, write=True) as session:
        for model in (LineItem, Sale, Refund):
            for row in session.exec(select(model).where(model.order_id == number)):
                session.delete(row)
        session.flush()
        session.delete(session.get_one(Order, (ALICE, number)))
        session.flush()
        rebuild_all(session)
    sync(ALICE, "sweep")
    assert state("orders").full and (state("orders").due_at or NOW) <= datetime.now(UTC)
    assert not state("products").full and not state("customers").full
    assert sync().outcome == "ok"
    assert rows_of() == before and not state("orders").full


def test_an_order_that_was_set_aside_is_not_missing(database: Engine, stage: Stage):
    add_synced_shop(stage)
    number = next(row["id"] for row in rows_of()["customer"] if not row["deleted_at"])
    with shop_session(ALICE, write=True) as session:
        session.get_one(Customer, (ALICE, number)).updated_at = None  # a placeholder, as an order makes one
        session.add(
            QuarantinedRow(
                shop_id=ALICE, key=f"customers/{number}", stream="customers", reason="x", payload_hash="x", seen_at=NOW
            )
        )
    sync(ALICE, "sweep")
    assert not state("customers").full


def test_the_last_days_are_read_again_whatever_the_cursor_says(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before = rows_of()
    recent = max(before["order"], key=lambda row: row["updated_at"])
    old = min(before["order"], key=lambda row: row["updated_at"])
    with shop_session(ALICE, write=True) as session:
        for row in (recent, old):
            missed = session.get_one(Order, (ALICE, row["id"]))
            missed.name, missed.fingerprint = "missed", "other"
    with system_session(write=True) as session:
        session.get_one(SyncState, (ALICE, "orders")).synced_until = NOW + timedelta(days=1)
    run = sync(ALICE, "rescan")
    assert run.outcome == "ok" and run.counts["rescan"]["updated"] == 1
    assert [row["id"] for row in rows_of()["order"] if row["name"] == "missed"] == [old["id"]]
    assert state("orders").synced_until == NOW + timedelta(days=1)
