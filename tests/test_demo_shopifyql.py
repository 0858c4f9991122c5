"""The demo's own sales report: exact sums of its store, and the refusals of Shopify."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.demo.catalogue import SCOPES, DemoShop
from core.shopify.queries import Grants, orders_bulk
from core.shopify.shopifyql import COLUMNS, SALES_REPORT, question
from tests.demo_http import HARBOR, KIOSK, demo_client

OPENED_ON, NOW = date(2026, 9, 1), datetime(2026, 11, 20, 15, tzinfo=UTC)
TODAY = date(2026, 11, 20)


def report(shop: DemoShop, query: str) -> dict[str, Any]:
    found: dict[str, Any] = demo_client(shop, OPENED_ON, lambda: NOW).ask(SALES_REPORT, {"query": query})
    return dict(found["shopifyqlQuery"])


def rows(shop: DemoShop) -> list[dict[str, str]]:
    answer = report(shop, question(COLUMNS, OPENED_ON, TODAY))
    assert answer["parseErrors"] == []
    found: list[dict[str, str]] = answer["tableData"]["rows"]
    return found


@pytest.mark.parametrize("shop", (HARBOR, KIOSK), ids=lambda shop: shop.name)
def test_every_day_is_there_and_its_measures_add_up(shop: DemoShop):
    days = rows(shop)
    assert [row["day"] for row in days] == [str(OPENED_ON + timedelta(days=i)) for i in range(len(days))]
    assert days[-1]["day"] == str(TODAY)
    for row in days:
        money = {name: Decimal(text) for name, text in row.items() if name != "day"}
        assert money["net_sales"] == money["gross_sales"] + money["discounts"] + money["sales_reversals"]
        assert money["total_sales"] == money["net_sales"] + money["shipping_charges"] + money["taxes"]
        assert money["discounts"] <= 0


@pytest.mark.parametrize("shop", (HARBOR, KIOSK), ids=lambda shop: shop.name)
def test_all_of_it_is_what_the_orders_say_they_come_to_less_tips_and_gift_cards(shop: DemoShop):
    """Summed once more from the bulk file of orders, by their totals and the kinds of their sales."""
    lines = demo_client(shop, OPENED_ON, lambda: NOW).bulk_rows(orders_bulk(Grants(frozenset(SCOPES), True)))
    orders = {row["id"]: row for row in lines if row["id"].startswith("gid://shopify/Order/") and not row["test"]}
    parent = {row["id"]: row.get("__parentId") for row in lines}
    whole = sum(Decimal(order["currentTotalPriceSet"]["shopMoney"]["amount"]) for order in orders.values())
    apart = sum(
        Decimal(row["totalAmount"]["shopMoney"]["amount"])
        for row in lines
        if row.get("lineType") in ("TIP", "GIFT_CARD") and parent[row["__parentId"]] in orders
    )
    zone = ZoneInfo(shop.time_zone)
    processed = [datetime.fromisoformat(o["processedAt"]).astimezone(zone).date() for o in orders.values()]
    assert min(processed) < OPENED_ON, "imports were processed before the store opened"
    early = report(shop, question(COLUMNS, OPENED_ON - timedelta(days=360), OPENED_ON - timedelta(days=1)))
    older = report(shop, question(COLUMNS, OPENED_ON - timedelta(days=720), OPENED_ON - timedelta(days=361)))
    told = Counter[str]()
    for row in (*rows(shop), *early["tableData"]["rows"], *older["tableData"]["rows"]):
        told["total_sales"] += Decimal(row["total_sales"])
        told["orders"] += int(row["orders"])
    assert told["orders"] == len(orders)
    assert told["total_sales"] == whole - apart


@pytest.mark.parametrize(
    "query, error",
    [
        ("FROM sales SHOW gross TIMESERIES day SINCE 2026-11-01 UNTIL 2026-11-02", "Column Not Found: `gross`"),
        ("FROM sales SHOW orders TIMESERIES day SINCE 2026-11-31 UNTIL 2026-12-02", "isn't parsable"),
        ("SELECT 1", "Syntax error"),
    ],
)
def test_what_it_does_not_understand_it_refuses_as_shopify_does(query: str, error: str):
    answer = report(HARBOR, query)
    assert answer["tableData"] is None and error in answer["parseErrors"][0]
