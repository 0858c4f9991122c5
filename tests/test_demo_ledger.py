"""The demo's books are exact to the cent, over the whole history of both shops."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.demo.catalogue import SCOPES, DemoShop
from core.demo.ledger import Amounts, divide, price_amounts, share
from core.shopify.queries import Grants, orders_bulk
from tests.demo_http import HARBOR, KIOSK, demo_client

OPENED_ON, NOW = date(2024, 11, 20), datetime(2026, 11, 20, 15, tzinfo=UTC)
both_shops = pytest.mark.parametrize("shop", (HARBOR, KIOSK), ids=lambda shop: shop.name)


def cents(bag: dict[str, Any]) -> int:
    amount = Decimal(bag["shopMoney"]["amount"]) * 100
    assert amount == int(amount)
    return int(amount)


@cache
def orders_of(shop: DemoShop) -> list[dict[str, Any]]:
    """The whole history as read from the bulk file, lines, agreements and sales put under their parents."""
    rows = demo_client(shop, OPENED_ON, lambda: NOW).bulk_rows(orders_bulk(Grants(frozenset(SCOPES), True)))
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        if "__parentId" in row:
            by_id[row["__parentId"]].setdefault(row["id"].split("/")[3], []).append(row)
    return [row for row in rows if "__parentId" not in row]


def sales_of(order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for agreement in order["SalesAgreement"]:
        yield from agreement.get("Sale", [])


@both_shops
def test_all_sales_of_an_order_add_up_to_its_current_total(shop: DemoShop) -> None:
    for order in orders_of(shop):
        assert sum(cents(sale["totalAmount"]) for sale in sales_of(order)) == cents(order["currentTotalPriceSet"])


@both_shops
def test_the_order_rows_of_the_first_agreement_add_up_to_the_original_total(shop: DemoShop) -> None:
    for order in orders_of(shop):
        first = min(order["SalesAgreement"], key=lambda agreement: agreement["happenedAt"])
        assert first["reason"] == "ORDER"
        assert {sale["actionType"] for sale in first["Sale"]} == {"ORDER"}
        assert sum(cents(sale["totalAmount"]) for sale in first["Sale"]) == cents(order["originalTotalPriceSet"])


@both_shops
def test_a_sold_line_is_its_price_less_discounts_with_its_taxes(shop: DemoShop) -> None:
    for order in orders_of(shop):
        sold = {s["lineItem"]["id"]: s for s in sales_of(order) if "lineItem" in s and s["actionType"] == "ORDER"}
        assert sold.keys() == {line["id"] for line in order["LineItem"]}
        for line in order["LineItem"]:
            sale = sold[line["id"]]
            tax = sum(cents(tax_line["priceSet"]) for tax_line in line["taxLines"])
            off = sum(cents(allocation["allocatedAmountSet"]) for allocation in line["discountAllocations"])
            due = cents(line["originalTotalSet"]) - off
            assert cents(sale["totalTaxAmount"]) == tax
            assert cents(sale["totalAmount"]) == (due if shop.taxes_included else due + tax)
            assert sale["quantity"] == line["quantity"]
            assert sale["lineType"] == ("GIFT_CARD" if line["isGiftCard"] else "PRODUCT")
            if shop.taxes_included:
                assert 0 <= cents(sale["totalDiscountAmountBeforeTaxes"]) <= off
            else:
                assert cents(sale["totalDiscountAmountBeforeTaxes"]) == off


@both_shops
def test_returns_are_negative_and_never_more_than_was_sold(shop: DemoShop) -> None:
    for order in orders_of(shop):
        left: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for sale in sales_of(order):
            money = [cents(sale[name]) for name in ("totalAmount", "totalTaxAmount", "totalDiscountAmountBeforeTaxes")]
            if sale["actionType"] == "RETURN" and sale["lineType"] != "ADJUSTMENT":
                assert max(money) <= 0
                assert sale["quantity"] < 0
            key = sale["lineItem"]["id"] if "lineItem" in sale else sale["lineType"]
            left[key] = [a + b for a, b in zip(left[key], [sale["quantity"] or 0, *money], strict=True)]
        for line in order["LineItem"]:
            units, *money = left[line["id"]]
            assert units == line["currentQuantity"] >= 0
            assert min(money) >= 0
            if units == 0:
                assert money == [0, 0, 0]


@both_shops
def test_a_refund_gives_back_what_its_agreement_takes_back(shop: DemoShop) -> None:
    for order in orders_of(shop):
        taken_back = sorted(
            -sum(cents(sale["totalAmount"]) for sale in agreement["Sale"])
            for agreement in order["SalesAgreement"]
            if agreement["reason"] in ("REFUND", "ORDER_EDIT") and agreement["Sale"][0]["actionType"] == "RETURN"
        )
        assert taken_back == sorted(cents(refund["totalRefundedSet"]) for refund in order["refunds"])


@both_shops
def test_a_cancelled_order_ends_at_zero_and_keeps_its_sale(shop: DemoShop) -> None:
    cancelled = [order for order in orders_of(shop) if order["cancelledAt"]]
    assert cancelled
    for order in cancelled:
        assert cents(order["currentTotalPriceSet"]) == 0
        assert {sale["actionType"] for sale in sales_of(order)} == {"ORDER", "RETURN"}


@both_shops
def test_the_history_holds_every_kind_of_sale_a_shop_can_have(shop: DemoShop) -> None:
    orders = orders_of(shop)
    kinds = {(sale["lineType"], sale["actionType"]) for order in orders for sale in sales_of(order)}
    ordered = {(kind, "ORDER") for kind in ("PRODUCT", "SHIPPING", "TIP", "GIFT_CARD")}
    assert ordered | {(kind, "RETURN") for kind in ("PRODUCT", "SHIPPING", "ADJUSTMENT")} <= kinds
    assert any(order["test"] for order in orders)
    assert any(cents(order["originalTotalPriceSet"]) == 0 for order in orders)
    assert any(order["processedAt"] < order["createdAt"] for order in orders)
    assert {(order["customer"] is None, order["email"] is None) for order in orders} == {
        (True, True), (True, False), (False, True), (False, False),
    }  # fmt: skip
    lines = [line for order in orders for line in order["LineItem"]]
    assert {line["title"] for line in lines if line["product"] is None} == {
        {"Harbor & Pine": "Driftwood Frame", "Kiosk Berlin": "Flaschenöffner"}[shop.name]
    }
    edits = [a for order in orders for a in order["SalesAgreement"] if a["reason"] == "ORDER_EDIT"]
    assert {sale["actionType"] for edit in edits for sale in edit["Sale"]} == {"ORDER", "RETURN"}
    assert max(len(order["LineItem"]) for order in orders) > 10  # more than the first page of an order holds
    assert {order["taxesIncluded"] for order in orders} == {shop.taxes_included}


amounts = st.builds(Amounts, *[st.integers(0, 10**9)] * 3)


@given(amounts, st.integers(1, 60), st.data())
def test_the_shares_of_all_units_add_up_to_the_line(line: Amounts, units: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, units), max_size=5)) | {0, units})
    shares = [share(line, start, stop, units) for start, stop in zip(cuts, cuts[1:], strict=False)]
    assert Amounts(*map(sum, zip(*shares, strict=True))) == line


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_a_discount_is_spread_without_losing_a_cent(amount: int, weights: list[int]) -> None:
    parts = divide(amount, weights)
    assert sum(parts) == (amount if sum(weights) else 0)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


def test_a_german_price_contains_its_tax_and_its_discount_does_not() -> None:
    found, tax_lines = price_amounts(11_900, 1_190, (("MwSt", 0.19),), included=True)
    assert found == Amounts(total=10_710, tax=1_710, discount=1_000)
    assert tax_lines == (("MwSt", 0.19, 1_710),)


def test_an_american_price_gets_its_taxes_on_top() -> None:
    found, _ = price_amounts(10_000, 1_000, (("State", 0.04), ("City", 0.045)), included=False)
    assert found == Amounts(total=9_765, tax=765, discount=1_000)
