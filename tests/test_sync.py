"""A whole sync of the demo shops: every row as the shop shows it, once, whichever path it came by."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.db import engine as db
from core.db.engine import shop_session, system_session
from core.db.migrate import migrate
from core.db.models import Order, Sale, Shop
from core.db.rollups import rebuild_all
from core.demo import server
from core.demo.catalogue import DEMO_SHOPS, DemoShop
from core.sync import connect, engine, fetch, jobs, lease
from tests.conftest import empty
from tests.demo_http import HARBOR, KIOSK, DemoClient, demo_client
from tests.demo_sync import (
    ALICE,
    CHARLIE,
    NOW,
    OPENED_ON,
    TABLES,
    Asked,
    Rows,
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
from tests.factories import context
from tests.kept_shop import add_synced_shop
from tests.test_rollups import recompute, stored

MONEY = "{ shopMoney { amount } }"
PAGED = f"""query($after: String) {{ orders(first: 20, after: $after) {{ nodes {{
  id name createdAt processedAt updatedAt cancelledAt test email sourceName customer {{ id }}
  currentTotalPriceSet {MONEY} originalTotalPriceSet {MONEY}
  refunds {{ id processedAt totalRefundedSet {MONEY} }}
  lineItems(first: 50) {{ nodes {{ id title quantity currentQuantity isGiftCard product {{ id }} }} }}
  agreements(first: 20) {{ nodes {{ id happenedAt reason sales(first: 50) {{ nodes {{
    id actionType lineType quantity totalAmount {MONEY} totalTaxAmount {MONEY} totalDiscountAmountBeforeTaxes {MONEY}
    ... on ProductSale {{ lineItem {{ id }} }} ... on GiftCardSale {{ lineItem {{ id }} }} }} }} }} }}
  }} pageInfo {{ hasNextPage endCursor }} }} }}"""
CUSTOMERS = """query($after: String) { customers(first: 250, after: $after) {
  nodes { id createdAt updatedAt state displayName defaultEmailAddress { emailAddress } }
  pageInfo { hasNextPage endCursor } } }"""
PRODUCTS = """query($after: String) { products(first: 50, after: $after) {
  nodes { id title vendor productType updatedAt variants(first: 100) { nodes { id sku price position } } }
  pageInfo { hasNextPage endCursor } } }"""
SHOPS = ((ALICE, HARBOR), (CHARLIE, KIOSK))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


def truth(shop: DemoShop, query: str, now: datetime = NOW) -> list[dict[str, Any]]:
    """Every object of a shop by plain pages, connections as plain lists."""
    client = demo_client(shop, OPENED_ON, lambda: now)
    return [_plain(node) for node in _walk(client, query)]


def _walk(client: DemoClient, query: str) -> Iterator[dict[str, Any]]:
    after = None
    while True:
        client = demo_client(client.shop, OPENED_ON, client.http._transport._now)
        [page] = client.ask(query, {"after": after}).values()
        yield from page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return _plain(value["nodes"]) if "nodes" in value else {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def number(target: dict[str, Any] | None) -> int | None:
    return int(target["id"].rsplit("/", 1)[1]) if target else None


def cents(bag: dict[str, Any]) -> int:
    return int(Decimal(bag["shopMoney"]["amount"]) * 100)


def at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def in_order(found: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(found, key=repr)


def picked(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return in_order(tuple(row[name] for name in names) for row in rows)


def test_every_row_is_as_the_shop_shows_it(database: Engine, stage: Stage):
    add_demo_shops()
    for shop_id, demo in SHOPS:
        assert sync(shop_id).outcome == "ok"
        rows, orders = rows_of(shop_id), truth(demo, PAGED)
        names = "id", "name", "created_at", "processed_at", "updated_at", "cancelled_at", "test", "customer_id"
        assert picked(rows["order"], *names, "current_total", "original_total", "source") == in_order(
            (
                number(o), o["name"], at(o["createdAt"]), at(o["processedAt"]), at(o["updatedAt"]),
                at(o["cancelledAt"]), o["test"], number(o["customer"]), cents(o["currentTotalPriceSet"]),
                cents(o["originalTotalPriceSet"]), o["sourceName"],
            )
            for o in orders
        )  # fmt: skip
        assert picked(
            rows["line_item"], "order_id", "id", "title", "quantity", "current_quantity", "is_gift_card", "product_id"
        ) == in_order(
            (
                number(o), number(line), line["title"], line["quantity"], line["currentQuantity"], line["isGiftCard"],
                number(line["product"]),
            )
            for o in orders
            for line in o["lineItems"]
        )  # fmt: skip
        names = "order_id", "id", "happened_at", "reason", "action_type", "line_type", "quantity", "line_item_id"
        assert picked(rows["sale"], *names, "total_amount", "tax_amount", "discount") == in_order(
            (
                number(o), s["id"].removeprefix("gid://shopify/"), at(a["happenedAt"]), a["reason"], s["actionType"],
                s["lineType"], s["quantity"] or 0, number(s.get("lineItem")), cents(s["totalAmount"]),
                cents(s["totalTaxAmount"]), cents(s["totalDiscountAmountBeforeTaxes"]),
            )
            for o in orders
            for a in o["agreements"]
            for s in a["sales"]
        )  # fmt: skip
        assert picked(rows["refund"], "order_id", "id", "processed_at", "total_refunded") == in_order(
            (number(o), number(r), at(r["processedAt"]), cents(r["totalRefundedSet"]))
            for o in orders
            for r in o["refunds"]
        )
        assert picked(rows["customer"], "id", "created_at", "updated_at", "state", "name", "email") == in_order(
            (
                number(c), at(c["createdAt"]), at(c["updatedAt"]), c["state"], c["displayName"],
                (c["defaultEmailAddress"] or {}).get("emailAddress"),
            )
            for c in truth(demo, CUSTOMERS)
        )  # fmt: skip
        products = truth(demo, PRODUCTS)
        assert picked(rows["product"], "id", "title", "vendor", "product_type", "updated_at") == in_order(
            (number(p), p["title"], p["vendor"], p["productType"], at(p["updatedAt"])) for p in products
        )
        assert picked(rows["variant"], "product_id", "id", "sku", "price", "position") == in_order(
            (number(p), number(v), v["sku"], int(Decimal(v["price"]) * 100), v["position"])
            for p in products
            for v in p["variants"]
        )
        assert len(orders) > 30 and rows["refund"] and any(row["customer_id"] is None for row in rows["order"])


def test_the_ledger_of_every_order_adds_up_to_its_totals(database: Engine, stage: Stage):
    add_demo_shops()
    for shop_id, _ in SHOPS:
        sync(shop_id)
        current: dict[int, int] = defaultdict(int)
        original: dict[int, int] = defaultdict(int)
        rows = rows_of(shop_id)
        for row in rows["sale"]:
            current[row["order_id"]] += row["total_amount"]
            if row["in_first_agreement"]:
                original[row["order_id"]] += row["total_amount"]
        assert {o["id"]: o["current_total"] for o in rows["order"]} == {
            o["id"]: current[o["id"]] for o in rows["order"]
        }
        assert all(order["original_total"] == original[order["id"]] for order in rows["order"])


def test_daily_sales_equal_a_recompute_from_the_shops_own_documents(database: Engine, stage: Stage):
    add_demo_shops()
    for shop_id, demo in SHOPS:
        sync(shop_id)
        documents = truth(demo, PAGED)
        for document in documents:  # the recompute knows buyers by their customer only
            if document["customer"] is None and document["email"]:
                document["customer"] = {"id": f"guest/{document['email'].lower()}"}
        expected = recompute(documents, context(shop_id, demo.currency, demo.time_zone))
        zone = context(shop_id, demo.currency, demo.time_zone).zone
        for document in documents:
            if not document["test"] and all(line["isGiftCard"] for line in document["lineItems"]):
                day = datetime.fromisoformat(document["processedAt"]).astimezone(zone).date()
                expected[day]["orders_with_goods"] -= 1
        expected = {day: {name: value for name, value in sums.items() if value} for day, sums in expected.items()}
        assert {day: sums for day, sums in stored(shop_id).items() if sums} == {d: s for d, s in expected.items() if s}


def test_sqlite_and_postgresql_give_equal_rows(migrated_postgres: str, stage: Stage, monkeypatch: pytest.MonkeyPatch):
    found: list[list[Rows]] = []
    for url in (None, migrated_postgres):
        if url:
            db.get_engine().dispose()
            monkeypatch.setenv("DATABASE_URL", url)
            db.get_engine.cache_clear()
            config.get_settings.cache_clear()
            empty(db.get_engine())
        else:
            migrate()
        add_demo_shops()
        stage.now = NOW
        for shop_id, _ in SHOPS:
            sync(shop_id)
        stage.now = NOW + timedelta(days=6)
        for shop_id, _ in SHOPS:
            sync(shop_id)
        found.append([rows_of(shop_id) for shop_id, _ in SHOPS])
    assert found[0] == found[1]


def test_syncing_again_changes_no_row_and_lets_caches_live(database: Engine, stage: Stage):
    add_synced_shop(stage)
    add_demo_shop(CHARLIE, KIOSK)
    before, version = rows_of(), shop_row().data_version
    for full in (False, True):
        run = sync(full=full)
        assert run.outcome == "ok"
        assert all(count["inserted"] == count["updated"] == count["quarantined"] == 0 for count in run.counts.values())
        assert rows_of() == before
        assert shop_row().data_version == version


def test_every_batch_that_changes_rows_moves_the_data_version_and_no_other(database: Engine, stage: Stage):
    add_demo_shops()
    versions = [shop_row().data_version]
    changed = []
    for moment in (NOW, NOW, NOW + timedelta(days=1), NOW + timedelta(days=1)):
        stage.now = moment
        before = rows_of()
        sync()
        changed.append(rows_of() != before)
        versions.append(shop_row().data_version)
    assert changed == [True, False, True, False]
    assert [after > before for before, after in pairwise(versions)] == changed


def fresh(shop: DemoShop, stage: Stage) -> Rows:
    """What a first sync by bulk operation stores now, in a shop row of its own; read once on each database."""
    key = (db.get_engine().dialect.name, shop.domain, stage.opened_on, stage.now)
    if key not in _FRESH:
        with system_session(write=True) as session:
            session.exec(select(Shop).where(Shop.id == ALICE)).one().gid = 1
            session.exec(select(Shop).where(Shop.id == ALICE)).one().domain = "elsewhere.myshopify.com"
            session.flush()
        add_demo_shop(9, shop)
        assert sync(9).outcome == "ok"
        _FRESH[key] = living(rows_of(9))
    return {table: [dict(row) for row in rows] for table, rows in _FRESH[key].items()}


_FRESH: dict[tuple[Any, ...], Rows] = {}


@pytest.mark.parametrize("demo", DEMO_SHOPS, ids=lambda demo: demo.name)
def test_pages_of_changes_end_in_the_rows_of_a_fresh_bulk_sync(database: Engine, stage: Stage, demo: DemoShop):
    add_demo_shop(ALICE, demo)
    for days in (0, 1, 2.5, 9, 9.25, 20):
        stage.now = NOW - timedelta(days=20 - days)
        assert sync().outcome == "ok"
    by_pages = rows_of()
    cancelled = [row for row in by_pages["order"] if row["cancelled_at"]]
    assert by_pages["refund"] and (cancelled or demo is KIOSK)
    assert any(row["reason"] == "ORDER_EDIT" for row in by_pages["sale"]) or demo is KIOSK
    sync(full=True)
    assert rows_of() == by_pages
    assert fresh(demo, stage) == living(by_pages)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hours=st.lists(st.integers(0, 30 * 24), min_size=2, max_size=5), full=st.booleans())
def test_whenever_it_is_synced_the_rows_end_up_equal(database: Engine, stage: Stage, hours: list[int], full: bool):
    empty(db.get_engine())
    add_demo_shop(ALICE, HARBOR)
    for hour in sorted(hours):
        stage.now = NOW - timedelta(hours=30 * 24 - hour)
        sync()
    stage.now = NOW
    sync(full=full)
    by_steps = rows_of()
    assert fresh(HARBOR, stage) == living(by_steps)


def test_small_pages_and_tiny_children_give_the_same_rows(
    database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    stage.now = NOW - timedelta(days=4)
    add_synced_shop(stage)
    stage.now = NOW

    def too_much(asked: Asked) -> httpx2.Response | None:
        small = all(asked.variables.get(name, 1) <= 2 for name in ("first", "lines", "agreements", "sales", "variants"))
        if small or not asked.variables.get("first"):
            return None
        message = "Query cost is 1001, which exceeds the single query max cost limit (1000)."
        return httpx2.Response(
            200, json={"errors": [{"message": message, "extensions": {"code": "MAX_COST_EXCEEDED"}}]}
        )

    stage.instead = too_much
    assert sync().outcome == "ok"
    stage.tell_truth()
    by_pages = rows_of()
    assert fresh(HARBOR, stage) == living(by_pages)


def test_another_shop_is_untouched_by_everything_that_happens_to_this_one(database: Engine, stage: Stage):
    add_demo_shops()
    sync(CHARLIE)
    rows, row, streams = rows_of(CHARLIE), shop_row(CHARLIE), [state(s, CHARLIE) for s in lease_streams()]
    sync(ALICE)
    stage.now = NOW + timedelta(days=3)
    sync(ALICE)
    sync(ALICE, full=True)
    stage.instead = lambda asked: httpx2.Response(401, json={"errors": "no"}) if asked.about("Orders") else None
    assert sync(ALICE).outcome == "failed"
    assert (rows_of(CHARLIE), shop_row(CHARLIE), [state(s, CHARLIE) for s in lease_streams()]) == (rows, row, streams)
    assert len(jobs.run_history(CHARLIE)) == 1
    with shop_session(ALICE) as session:
        assert all(model.shop_id == ALICE for table in TABLES for model in session.exec(select(table)))


def lease_streams() -> tuple[str, ...]:
    return ("shop", "products", "customers", "orders")


def test_rollups_of_a_synced_shop_equal_a_rebuild(database: Engine, stage: Stage):
    add_demo_shops()
    for days in (0, 4):
        stage.now = NOW + timedelta(days=days)
        sync()
    before = rows_of()
    with shop_session(ALICE, write=True) as session:
        rebuild_all(session)
    assert rows_of() == before


def test_the_run_says_what_it_did(database: Engine, stage: Stage):
    add_demo_shops()
    run = sync()
    rows = rows_of()
    assert (run.outcome, run.problem, run.stage, run.trigger) == ("ok", None, "", "command line")
    assert {stream: count["inserted"] for stream, count in run.counts.items()} == {
        "shop": 0, "products": len(rows["product"]), "customers": len(rows["customer"]), "orders": len(rows["order"]),
        "checkouts": len(rows["abandoned_checkout"]), "inventory": len(rows["inventory_item"]), "deletes": 0,
    }  # fmt: skip
    assert run.finished_at is not None and run.started_at <= run.finished_at
    status = jobs.sync_status(ALICE)
    assert status.synced_at is not None and status.running is None and not status.requested
    assert all(stream.problem is None and stream.failures == 0 for stream in status.streams)
    assert jobs.sync_status(CHARLIE).synced_at is None
    run = sync(ALICE, "orders", full=True)
    assert run.expected == run.done == len(rows["order"]) and set(run.counts) == {"shop", "orders"}


def test_the_cursor_is_the_newest_change_seen_never_later_than_the_start(database: Engine, stage: Stage):
    add_demo_shops()
    for days in (0, 2):
        stage.now = NOW + timedelta(days=days)
        sync()
        for stream, table in (("orders", "order"), ("customers", "customer"), ("products", "product")):
            newest = max(row["updated_at"] for row in rows_of()[table])
            assert state(stream).synced_until == min(newest, stage.now)


def test_what_changes_while_it_is_read_is_read_again(database: Engine, stage: Stage):
    stage.now = NOW - timedelta(days=20)
    add_synced_shop(stage)
    stage.now = NOW - timedelta(days=5)

    def time_goes_on(_: Asked, response: httpx2.Response) -> httpx2.Response:
        stage.now += timedelta(hours=2)
        return response

    stage.after = time_goes_on
    assert sync().outcome == "ok"
    assert sync(full=True).outcome == "ok"
    stage.tell_truth()
    sync()
    by_pages = rows_of()
    assert fresh(HARBOR, stage) == living(by_pages)


def test_a_change_shown_at_its_old_place_does_not_move_the_cursor_past_the_next_pages(database: Engine, stage: Stage):
    stage.now = NOW - timedelta(days=20)
    add_synced_shop(stage)
    stage.now = NOW
    pages = 0

    def just_changed(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        nonlocal pages
        if not asked.about("Orders("):
            return response
        pages += 1

        def change(body: dict[str, Any]) -> None:
            node = body["data"]["orders"]["nodes"][0]
            node["updatedAt"] = f"{NOW + timedelta(seconds=3):%Y-%m-%dT%H:%M:%SZ}"

        return changed_body(response, change) if pages == 1 else response

    stage.after = just_changed
    stage.instead = lambda asked: (
        httpx2.Response(402, json={"errors": "frozen"}) if asked.about("Orders(") and asked.variables["after"] else None
    )
    assert sync().outcome == "failed"
    assert pages == 1, "the history is long enough for a second page"
    stage.tell_truth()
    stage.now = NOW + timedelta(days=1)
    assert sync().outcome == "ok"
    by_pages = rows_of()
    by_pages, found = living(by_pages), fresh(HARBOR, stage)
    for rows in (by_pages, found):
        for row in rows["order"]:
            del row["updated_at"], row["fingerprint"]  # one was given a wrong time above
    assert found == by_pages


def test_an_empty_page_does_not_move_the_cursor_back(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before = state("orders").synced_until
    stage.now = NOW + timedelta(days=3)

    def last_page_empty(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        if not asked.about("Orders("):
            return response

        def change(body: dict[str, Any]) -> None:
            orders = body["data"]["orders"]
            if asked.variables["after"] == "beyond":
                orders.update(nodes=[], pageInfo={"hasNextPage": False, "endCursor": None})
            elif not orders["pageInfo"]["hasNextPage"]:
                orders["pageInfo"] = {"hasNextPage": True, "endCursor": "beyond"}

        return changed_body(response, change)

    def beyond(asked: Asked) -> httpx2.Response | None:
        if asked.variables.get("after") != "beyond":
            return None
        empty_page = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
        return httpx2.Response(200, json={"data": {"orders": empty_page}})

    stage.after, stage.instead = last_page_empty, beyond
    assert sync().outcome == "ok"
    assert before is not None and (state("orders").synced_until or before) > before
    assert state("orders").synced_until == max(row["updated_at"] for row in rows_of()["order"])


def test_only_what_changed_since_the_cursor_is_asked_for(database: Engine, stage: Stage):
    add_synced_shop(stage)
    stage.asked.clear()
    sync()
    filters = {name: asked.variables["query"] for asked in stage.asked for name in NAMES if asked.about(f"{name}(")}
    reached = {stream: state(stream).synced_until for stream in ("orders", "customers", "products")}
    assert filters["Orders"] == f"updated_at:>='{reached['orders'] - fetch.OVERLAP:%Y-%m-%dT%H:%M:%SZ}'"
    assert (
        filters["Customers"] == f"updated_at:>='{reached['customers']:%Y-%m-%d}T00:00:00Z'"
    )  # Shopify takes whole days
    assert stage.read_by_bulk() == ["inventoryItems"]


NAMES = ("Orders", "Customers", "Products")


def run_until(stop_after: int, *, full: bool = False) -> str:
    """Sync, stopped after so many questions whether to stop."""
    jobs.request_sync(ALICE, full=full)
    claim = lease.claim(ALICE)
    assert claim is not None
    asked = iter(range(10**6))
    return engine.run_claim(claim, trigger="test", stopping=lambda: next(asked) >= stop_after)


@pytest.mark.parametrize("batch", [1000, 30])
def test_wherever_it_is_stopped_what_is_stored_is_whole_and_the_next_sync_completes_it(
    database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch, batch: int
):
    monkeypatch.setattr(fetch, "BATCH", batch)
    monkeypatch.setattr(fetch, "_throttled", lambda action: lambda _: action())
    stage.opened_on = date(2026, 11, 4)
    for stop_after in (0, 9, 17):
        empty(db.get_engine())
        server._PLACES.clear()  # a stopped sync leaves its bulk operation running
        add_demo_shop(ALICE, HARBOR)
        outcome = run_until(stop_after)
        [run] = jobs.run_history(ALICE)
        assert run.outcome == outcome
        if outcome == "interrupted":
            assert "stops" in (run.problem or "") and run.finished_at is not None
        before = rows_of()
        with shop_session(ALICE, write=True) as session:
            rebuild_all(session)
        assert rows_of() == before
        assert jobs.sync_status(ALICE).running is None
        assert sync().outcome == "ok"
        whole = rows_of()
        assert fresh(HARBOR, stage) == living(whole)


def test_a_stopped_read_of_pages_is_completed_by_the_next(database: Engine, stage: Stage):
    stage.now = NOW - timedelta(days=20)
    add_synced_shop(stage)
    stage.now = NOW
    outcomes = [run_until(stop_after) for stop_after in (0, 1, 2, 3, 4)]
    assert outcomes[0] == "interrupted"
    assert sync().outcome == "ok"
    by_pages = rows_of()
    assert fresh(HARBOR, stage) == living(by_pages)


def test_a_stopped_full_read_is_still_full_the_next_time(database: Engine, stage: Stage):
    add_synced_shop(stage)
    stage.asked.clear()
    assert run_until(1, full=True) == "interrupted"
    assert run_until(10**6) == "ok"
    # What was submitted before the stop is gone on with, not submitted again.
    read, checked = stage.read_by_bulk()[:5], stage.read_by_bulk()[5:]
    assert read == ["products", "customers", "orders", "abandonedCheckouts", "inventoryItems"]
    assert checked == ["products", "customers", "orders"]


def test_a_read_that_goes_on_with_an_old_operation_ends_with_the_shop_of_now(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    stage.now = NOW - timedelta(days=5)
    assert run_until(3) == "interrupted"
    stage.now = NOW
    assert sync().outcome == "ok"
    whole = {name: [row for row in rows if row.get("deleted_at") is None] for name, rows in rows_of().items()}
    assert fresh(HARBOR, stage) == whole


def facts_are(**changes: Any) -> Callable[[Asked, httpx2.Response], httpx2.Response]:
    """The shop says something else about itself."""

    def change(body: dict[str, Any]) -> None:
        scopes = changes.pop("scopes", None)
        body["data"]["shop"].update(changes)
        if scopes is not None:
            body["data"]["currentAppInstallation"]["accessScopes"] = [{"handle": scope} for scope in scopes]
            changes["scopes"] = scopes

    return lambda asked, response: changed_body(response, change) if asked.about("Shop") else response


def test_another_store_behind_the_address_is_refused_and_nothing_is_touched(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before, row = rows_of(), shop_row()
    stage.after = facts_are(id="gid://shopify/Shop/4711", name="Somebody else")
    run = sync()
    assert run.outcome == "failed" and "another store" in (run.problem or "")
    assert rows_of() == before and shop_row() == row
    assert state("orders").due_at is None


def test_a_renamed_store_keeps_its_rows(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before = rows_of()
    stage.after = facts_are(name="Harbor & Sons")
    sync()
    assert shop_row().name == "Harbor & Sons" and rows_of() == before


def test_a_new_time_zone_moves_every_day(database: Engine, stage: Stage):
    add_synced_shop(stage)
    in_new_york = {row["id"]: row["day"] for row in rows_of()["order"]}
    stage.after = facts_are(ianaTimezone="Asia/Tokyo")
    assert sync().outcome == "ok"
    zone = context(ALICE, "USD", "Asia/Tokyo").zone
    moved = rows_of()
    assert shop_row().time_zone == "Asia/Tokyo"
    assert {row["id"]: row["day"] for row in moved["order"]} != in_new_york
    assert all(row["day"] == row["processed_at"].astimezone(zone).date() for row in moved["order"])
    with shop_session(ALICE, write=True) as session:
        rebuild_all(session)
    assert rows_of() == moved
    stage.asked.clear()
    sync()
    assert stage.read_by_bulk() == ["inventoryItems"], "the rest is read anew once"


def test_a_new_time_zone_is_noticed_although_only_the_orders_are_due(database: Engine, stage: Stage):
    add_synced_shop(stage)
    with system_session(write=True) as session:
        for row in lease.locked(session, ALICE):
            row.due_at = NOW - timedelta(days=999) if row.stream == "orders" else None
    stage.after = facts_are(ianaTimezone="Asia/Tokyo")
    claim = lease.claim(ALICE)
    assert claim is not None and set(claim.epochs) == {"orders"}
    assert engine.run_claim(claim, trigger="test") == "ok"
    zone = context(ALICE, "USD", "Asia/Tokyo").zone
    assert shop_row().time_zone == "Asia/Tokyo"
    assert all(row["day"] == row["processed_at"].astimezone(zone).date() for row in rows_of()["order"])
    assert state("products").full, "what was not due is read anew when it is"


def test_a_scope_granted_later_fills_what_could_not_be_read_before(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    stage.after = facts_are(scopes=["read_orders"])
    assert sync().outcome == "partial"
    lean = rows_of()
    assert lean["order"] and all(row["product_id"] is None for row in lean["line_item"])
    stage.tell_truth()
    assert sync().outcome == "ok"
    filled = rows_of()
    assert any(row["product_id"] for row in filled["line_item"]) and any(row["customer_id"] for row in filled["order"])
    assert fresh(HARBOR, stage) == living(filled)


def test_personal_data_is_fetched_and_forgotten_as_the_merchant_says(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).personal_data = False
    sync()
    assert not any(row["name"] or row["email"] for row in rows_of()["customer"])
    assert not any("displayName" in asked.query or " email " in asked.query for asked in stage.asked)
    facts = connect.read_facts(connect.client_for(shop_row()))
    for personal in (True, False):
        connect.connect_shop(facts, HARBOR.token, owner_user_id=None, personal_data=personal)
        sync()
        assert any(row["name"] for row in rows_of()["customer"]) is personal
        assert any(row["country"] for row in rows_of()["order"]) is personal


def test_a_day_is_the_shops_day(database: Engine, stage: Stage):
    add_demo_shops()
    for shop_id, demo in SHOPS:
        sync(shop_id)
        with shop_session(shop_id) as session:
            for order in session.exec(select(Order)):
                assert order.day == order.processed_at.astimezone(demo.zone).date()
            days: set[date] = {sale.day for sale in session.exec(select(Sale))}
        assert OPENED_ON in days or len(days) > 20
