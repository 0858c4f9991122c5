"""Checkouts that were left, as the shop shows them: all at first, those of the last thirty days again later."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from sqlalchemy import Engine

from core.db.engine import shop_session
from core.errors import MalformedRow
from core.sync import fetch
from core.sync.resources.checkouts import checkout_rows, store
from tests.demo_http import HARBOR, demo_client
from tests.demo_sync import (
    ALICE,
    CHARLIE,
    NOW,
    OPENED_ON,
    Asked,
    Stage,
    add_demo_shop,
    add_demo_shops,
    quarantined,
    rows_of,
    shop_row,
    stage_demo,
    state,
    sync,
)
from tests.factories import add_shop, at, bag, context, stamp

MONEY = "{ shopMoney { amount } }"
TRUTH = f"""query($after: String) {{ abandonedCheckouts(first: 100, after: $after) {{ nodes {{
  id name createdAt updatedAt completedAt customer {{ id }} totalPriceSet {MONEY} totalTaxSet {MONEY}
  subtotalPriceSet {MONEY} totalDiscountSet {MONEY}
  lineItems(first: 20) {{ nodes {{ id quantity product {{ id }} discountedTotalPriceSet {MONEY} }} }} }}
  pageInfo {{ hasNextPage endCursor }} }} }}"""


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch, every_checkout=True)


def truth(now: datetime = NOW) -> list[dict[str, Any]]:
    client, after, found = demo_client(HARBOR, OPENED_ON, lambda: now), None, []
    while True:
        page = client.ask(TRUTH, {"after": after})["abandonedCheckouts"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def number(gid: dict[str, Any] | None) -> int | None:
    return int(gid["id"].rsplit("/", 1)[1]) if gid else None


def cents(money: dict[str, Any]) -> int:
    return int(Decimal(money["shopMoney"]["amount"]) * 100)


def when(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def compare(now: datetime = NOW) -> None:
    """Every checkout and line here is as the shop shows it."""
    checkouts, rows = truth(now), rows_of()
    names = "id", "name", "created_at", "updated_at", "completed_at", "customer_id"
    money = "total", "total_tax", "subtotal", "total_discount"
    assert sorted(tuple(row[name] for name in (*names, *money)) for row in rows["abandoned_checkout"]) == sorted(
        (
            number(c), c["name"], when(c["createdAt"]), when(c["updatedAt"]), when(c["completedAt"]),
            number(c["customer"]), *(cents(c[f"{field}Set"]) for field in ("totalPrice", "totalTax", "subtotalPrice")),
            cents(c["totalDiscountSet"]),
        )
        for c in checkouts
    )  # fmt: skip
    names = "checkout_id", "id", "quantity", "product_id", "total"
    assert sorted(tuple(row[name] for name in names) for row in rows["abandoned_checkout_line"]) == sorted(
        (number(c), number(line), line["quantity"], number(line["product"]), cents(line["discountedTotalPriceSet"]))
        for c in checkouts
        for line in c["lineItems"]["nodes"]
    )


def test_every_checkout_is_as_the_shop_shows_it_and_of_its_day(database: Engine, stage: Stage):
    add_demo_shops()
    assert sync().outcome == "ok"
    compare()
    rows = rows_of()["abandoned_checkout"]
    zone = ZoneInfo(HARBOR.time_zone)
    assert all(row["day"] == row["created_at"].astimezone(zone).date() for row in rows)
    assert 0 < sum(row["completed_at"] is not None for row in rows) < len(rows) / 4
    assert any(row["customer_id"] is None for row in rows) and any(row["country"] for row in rows)
    assert rows_of(CHARLIE)["abandoned_checkout"] == []


def test_later_syncs_find_what_was_recovered_and_change_nothing_else(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    for days in (9, 8, 4, 0):
        stage.now = NOW - timedelta(days=days)
        stage.asked.clear()
        assert sync(ALICE, "checkouts").outcome == "ok"
        compare(stage.now)
        assert (stage.read_by_bulk() == []) is (days != 9)
    before, version = rows_of(), shop_row().data_version
    run = sync(ALICE, "checkouts")
    assert run.counts["checkouts"]["unchanged"] == run.counts["checkouts"]["read"] > 0
    assert (rows_of(), shop_row().data_version) == (before, version)
    sync(ALICE, "checkouts", full=True)
    assert rows_of() == before


def test_a_later_sync_asks_for_the_last_thirty_days_in_order_of_creation(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    sync(ALICE, "checkouts")
    assert state("checkouts").synced_until == NOW
    stage.asked.clear()
    stage.now = NOW + timedelta(days=2)
    sync(ALICE, "checkouts")
    [asked] = [asked for asked in stage.asked if asked.about("AbandonedCheckouts(") and not asked.variables["after"]]
    assert asked.variables["query"] == f"created_at:>='{NOW - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}'"
    assert "sortKey: CREATED_AT" in asked.query and state("checkouts").synced_until == stage.now


def test_the_cursor_stays_when_the_pages_break_off(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    sync(ALICE, "checkouts")
    before = state("checkouts").synced_until
    stage.now = NOW + timedelta(days=2)

    def broken(asked: Asked) -> httpx2.Response | None:
        later = asked.about("AbandonedCheckouts(") and asked.variables["after"]
        return httpx2.Response(502) if later else None

    stage.instead = broken
    assert sync(ALICE, "checkouts").outcome == "failed"
    assert state("checkouts").synced_until == before
    stage.instead = lambda _: None
    assert sync(ALICE, "checkouts").outcome == "ok"
    compare(stage.now)


def test_many_recent_checkouts_are_read_by_bulk(database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch):
    add_demo_shop(ALICE, HARBOR)
    stage.now = NOW - timedelta(days=3)
    sync(ALICE, "checkouts")
    monkeypatch.setattr(fetch, "BULK_ABOVE", 20)
    stage.now = NOW
    stage.asked.clear()
    assert sync(ALICE, "checkouts").outcome == "ok"
    assert stage.read_by_bulk() == ["abandonedCheckouts"]
    compare()


def test_where_the_store_may_not_show_checkouts_the_rest_is_a_whole_sync(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    denied = {
        "data": {"bulkOperationRunQuery": None},
        "errors": [{"message": "Access denied for abandonedCheckouts field.", "extensions": {"code": "ACCESS_DENIED"}}],
    }
    stage.instead = lambda asked: httpx2.Response(200, json=denied) if asked.about("abandonedCheckouts") else None
    assert sync().outcome == "ok"
    assert "Access denied" in (state("checkouts").problem or "") and state("checkouts").error_class == "AccessDenied"
    assert rows_of()["order"] and rows_of()["inventory_item"] and not rows_of()["abandoned_checkout"]


def line(key: int, total: str = "8.0", **fields: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/AbandonedCheckoutLineItem/{key}", "title": "Mug", "variantTitle": None, "sku": "M-1",
        "quantity": 2, "product": {"id": "gid://shopify/Product/5"}, "variant": None,
        "originalUnitPriceSet": bag("5.0"), "discountedTotalPriceSet": bag(total), **fields,
    }  # fmt: skip


def checkout(key: int, created_at: datetime, *lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/AbandonedCheckout/{key}", "name": f"#{key}", "createdAt": stamp(created_at),
        "updatedAt": stamp(created_at), "completedAt": None, "discountCodes": ["A", "B"], "customer": None,
        "subtotalPriceSet": bag("8.0"), "totalDiscountSet": bag("2.0"), "totalTaxSet": None,
        "totalPriceSet": bag("8.0"), "lineItems": list(lines), **fields,
    }  # fmt: skip


def test_a_checkout_in_known_answers():
    left = checkout(3, at("2026-11-02T03:30"), line(1), completedAt="2026-11-04T10:00:00Z")
    rows = checkout_rows(left, context())
    assert rows.checkout["day"].isoformat() == "2026-11-01", "it is still the first in New York"
    wanted = {
        "id": 3, "subtotal": 800, "total_discount": 200, "total": 800, "total_tax": None, "customer_id": None,
        "country": None, "discount_codes": "A, B", "completed_at": at("2026-11-04T10:00"),
    }  # fmt: skip
    assert {name: rows.checkout[name] for name in wanted} == wanted
    [only] = rows.lines
    assert (only["quantity"], only["unit_price"], only["total"], only["product_id"]) == (2, 500, 800, 5)


def test_money_of_another_currency_is_refused():
    with pytest.raises(MalformedRow, match="EUR"):
        checkout_rows(checkout(3, at("2026-11-02"), line(1), totalPriceSet=bag("8.0", "EUR")), context())


def test_lines_are_replaced_as_a_set_and_a_bad_checkout_is_set_aside(database: Engine):
    shop = add_shop(1)
    created_at = at("2026-11-02")

    def put(*documents: dict[str, Any]) -> Any:
        with shop_session(1, write=True) as session:
            return store(session, shop, documents)

    assert put(checkout(1, created_at, line(1), line(2))).inserted == 1
    counts = put(
        checkout(1, created_at, line(2), line(3), updatedAt=stamp(at("2026-11-03"))),
        checkout(2, created_at, line(4, total="many")),
    )
    assert (counts.updated, counts.quarantined) == (1, 1)
    assert sorted(row["id"] for row in rows_of(1)["abandoned_checkout_line"]) == [2, 3]
    assert list(quarantined(1)) == ["checkouts/2"]
    older = checkout(1, created_at, line(1))
    assert put(older).unchanged == 1 and len(rows_of(1)["abandoned_checkout_line"]) == 2
