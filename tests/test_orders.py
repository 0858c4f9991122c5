"""Orders become rows: known answers, a ledger for orders that have none, and one bad order never harms another."""

import copy
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.db.engine import get_engine, shop_session
from core.db.models import Product
from core.sync.resources import RESOURCES
from core.sync.resources.customers import store as store_customers
from core.sync.resources.orders import order_rows
from core.sync.resources.products import store as store_products
from core.sync.resources.resource import INCOMPLETE, Counts, ShopContext
from tests.conftest import empty
from tests.demo_sync import quarantined, rows_of
from tests.factories import add_shop, agreement, at, bag, context, line_item, order, sale, stamp, store_orders

NOON = at("2026-06-10T16:00")
LATER = at("2026-06-20T16:00")


def priced(tax: str = "0.0", *, discount: str = "0.0", **fields: Any) -> dict[str, Any]:
    """Line fields: its tax, and its share of discounts."""
    return {
        "taxLines": [{"priceSet": bag(tax)}],
        "discountAllocations": [{"allocatedAmountSet": bag(discount)}],
        **fields,
    }


def without_agreements(*lines: dict[str, Any], total: str, tax: str = "0.0", **fields: Any) -> dict[str, Any]:
    """An order of which only lines, refunds and totals are known."""
    sums = {"originalTotalPriceSet": bag(total), "totalTaxSet": bag(tax)}
    return order(1, NOON, lines=list(lines), **{**sums, **fields})


def booked(document: dict[str, Any], *names: str) -> list[tuple[Any, ...]]:
    """The ledger of a document, in the order it was made."""
    rows = order_rows(document, context()).sales
    return [tuple(row[name] for name in names or ("measure", "total_amount", "tax_amount", "discount")) for row in rows]


def refund(number: int, total: str, **details: Any) -> dict[str, Any]:
    """A refund as `complete` leaves it; without details Shopify no longer tells them."""
    shape = {"refundLineItems": [], "refundShippingLines": [], **details}
    gid = f"gid://shopify/Refund/{number}"
    return {
        "id": gid, "createdAt": stamp(LATER), "processedAt": stamp(LATER), "updatedAt": stamp(LATER),
        "totalRefundedSet": bag(total), "details": {"id": gid, **shape} if details else None,
    }  # fmt: skip


def refunded_line(number: int, quantity: int, subtotal: str, tax: str) -> dict[str, Any]:
    """A line given back."""
    return {
        "quantity": quantity, "lineItem": {"id": f"gid://shopify/LineItem/{number}"},
        "subtotalSet": bag(subtotal), "totalTaxSet": bag(tax),
    }  # fmt: skip


def test_an_order_becomes_its_rows():
    rows = order_rows(
        order(
            7, NOON, agreement(NOON, sale("22.0", tax="2.0", discount="5.0", line_item=70, quantity=2)),
            lines=[line_item(70, product=5, title="Mug", quantity=2)], customer=9, cancelledAt="2026-06-12T00:00:00Z",
            discountCodes=["A", "B"], shippingAddress={"countryCodeV2": "DE"}, billingAddress={"countryCodeV2": "FR"},
            originalTotalPriceSet=bag("22.0"), currentTotalPriceSet=bag("20.5"), refunds=[refund(3, "1.5")],
        ),
        context(),
    )  # fmt: skip
    header = rows.order
    assert (header["id"], header["name"], header["customer_id"], header["buyer_id"]) == (7, "#7", 9, 9)
    assert (header["day"], header["cancelled_at"]) == (date(2026, 6, 10), at("2026-06-12"))
    assert (header["discount_codes"], header["country"]) == ("A, B", "DE")
    assert (header["original_total"], header["current_total"], header["derived"]) == (2200, 2050, False)
    [row] = rows.sales
    assert (row["total_amount"], row["tax_amount"], row["discount"], row["quantity"]) == (2200, 200, 500, 2)
    assert (row["line_item_id"], row["product_id"], row["product_title"]) == (70, 5, "")
    assert [(r["id"], r["total_refunded"], r["processed_at"]) for r in rows.refunds] == [(3, 150, LATER)]


def test_the_order_of_children_does_not_matter():
    lines = [line_item(1), line_item(2)]
    sales = [sale("1.0", line_item=1, id="gid://shopify/Sale/1"), sale("2.0", line_item=2, id="gid://shopify/Sale/2")]
    one = order(1, NOON, {**agreement(NOON, *sales), "id": "gid://shopify/SalesAgreement/1"}, lines=lines)
    other = copy.deepcopy(one)
    other["lineItems"].reverse()
    other["agreements"][0]["sales"].reverse()
    assert order_rows(one, context()).order["fingerprint"] == order_rows(other, context()).order["fingerprint"]


@pytest.mark.parametrize(
    "change",
    [
        {"displayFinancialStatus": "VOIDED"}, {"currentTotalPriceSet": bag("0.01")}, {"test": True},
        {"lineItems": [line_item(1, title="Cup")]}, {"refunds": [refund(1, "1.0")]},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_change_shows_in_the_fingerprint(change):
    plain = order(1, NOON, agreement(NOON, sale("1.0", line_item=1, id="a")))
    assert (
        order_rows(plain, context()).order["fingerprint"] != order_rows(plain | change, context()).order["fingerprint"]
    )


def test_values_that_shopify_adds_later_are_kept_as_they_are(database: Engine):
    document = order(
        1, NOON, agreement(NOON, sale("5.0", line="HOLOGRAM", action="BARTER"), reason="NEW_REASON"),
        displayFinancialStatus="PAID_IN_KIND", displayFulfillmentStatus="FULFILLMENT_NOT_REQUIRED",
    )  # fmt: skip
    store_orders(add_shop(1), document)
    rows = rows_of(1)
    [row] = rows["order"]
    assert (row["financial_status"], row["fulfillment_status"]) == ("PAID_IN_KIND", "FULFILLMENT_NOT_REQUIRED")
    [row] = rows["sale"]
    assert (row["line_type"], row["action_type"], row["reason"]) == ("HOLOGRAM", "BARTER", "NEW_REASON")
    assert (row["measure"], row["unclassified"]) == ("gross_sales", True)
    assert rows["daily_sales"][0]["unclassified"] == 1


def test_equal_numbers_of_two_kinds_of_sales_are_two_rows():
    document = order(
        1, NOON, agreement(NOON, sale("1.0", id="gid://shopify/ProductSale/5"), sale("2.0", id="gid://shopify/TipSale/5"))
    )  # fmt: skip
    assert [row["total_amount"] for row in order_rows(document, context()).sales] == [100, 200]


def test_sales_without_an_id_are_each_a_row():
    bare = [{**sale("1.0"), "id": None}, {**sale("1.0"), "id": None}]
    assert len(order_rows(order(1, NOON, agreement(NOON, *bare), agreement(LATER, *bare)), context()).sales) == 4


def test_derived_without_tax_in_prices():
    """2 mugs at 50.00 less 20.00, tax 8.00; shipping 10.00 with 0.80 tax; a tip of 3.00: paid 101.80."""
    document = without_agreements(
        line_item(1, quantity=2, total="100.0", **priced("8.0", discount="20.0")),
        total="101.8", tax="8.8", totalShippingPriceSet=bag("10.0"), totalTipReceivedSet=bag("3.0"),
    )  # fmt: skip
    assert booked(document) == [
        ("gross_sales", 8800, 800, 2000),  # net 80.00, gross 100.00
        ("tips", 300, 0, 0),
        ("shipping", 1080, 80, 0),
    ]
    assert booked(document, "quantity", "line_item_id") == [(2, 1), (0, None), (0, None)]
    assert order_rows(document, context()).order["derived"]


def test_derived_with_tax_in_prices():
    """A mug at 119.00 with 19 %, 10 % off: 107.10 paid, 17.10 tax, so 90.00 net and 10.00 discount; shipping 5.95."""
    document = without_agreements(
        line_item(1, total="119.0", **priced("17.1", discount="11.9")),
        total="113.05", tax="18.05", totalShippingPriceSet=bag("5.95"), taxesIncluded=True,
    )  # fmt: skip
    assert booked(document) == [("gross_sales", 10710, 1710, 1000), ("shipping", 595, 95, 0)]


def test_derived_gift_cards_are_no_sales():
    document = without_agreements(
        line_item(1, total="50.0", gift_card=True, product=8), line_item(2, total="10.0", **priced("1.0")),
        total="61.0", tax="1.0",
    )  # fmt: skip
    assert booked(document) == [("gift_card_sales", 5000, 0, 0), ("gross_sales", 1100, 100, 0)]


def test_derived_free_order():
    document = without_agreements(line_item(1, total="10.0", **priced(discount="10.0")), total="0.0")
    assert booked(document) == [("gross_sales", 0, 0, 1000)]


def test_derived_rest_without_shipping_stays_visible():
    document = without_agreements(line_item(1, total="10.0"), total="12.5")
    assert booked(document, "measure", "total_amount", "unclassified") == [
        ("gross_sales", 1000, False),
        ("gross_sales", 250, True),
    ]


def test_derived_refund_with_its_lines_and_shipping():
    """One of two mugs back (40.00 and 4.00 tax), shipping back (10.00 and 0.80), 1.20 for the trouble: 56.00."""
    document = without_agreements(
        line_item(1, quantity=2, total="100.0", **priced("8.0", discount="20.0")), total="98.8", tax="8.8",
        totalShippingPriceSet=bag("10.0"),
        refunds=[
            refund(
                5, "56.0", refundLineItems=[refunded_line(1, 1, "40.0", "4.0")],
                refundShippingLines=[{"subtotalAmountSet": bag("10.0"), "taxAmountSet": bag("0.8")}],
            )
        ],
    )  # fmt: skip
    assert booked(document)[2:] == [
        ("sales_reversals", -4400, -400, 0),
        ("shipping", -1080, -80, 0),
        ("sales_reversals", -120, 0, 0),
    ]
    assert booked(document, "day", "quantity", "reason")[2:] == [
        (date(2026, 6, 20), -1, "REFUND"),
        (date(2026, 6, 20), 0, "REFUND"),
        (date(2026, 6, 20), 0, "REFUND"),
    ]


def test_derived_refund_with_tax_in_prices():
    document = without_agreements(
        line_item(1, total="119.0", **priced("19.0")), total="119.0", tax="19.0", taxesIncluded=True,
        refunds=[refund(5, "119.0", refundLineItems=[refunded_line(1, 1, "119.0", "19.0")])],
    )  # fmt: skip
    assert booked(document) == [("gross_sales", 11900, 1900, 0), ("sales_reversals", -11900, -1900, 0)]


def test_derived_refund_without_details_is_an_adjustment_of_its_day():
    document = without_agreements(line_item(1, total="20.0"), total="20.0", refunds=[refund(5, "7.5")])
    assert booked(document, "measure", "line_type", "total_amount", "day")[1:] == [
        ("sales_reversals", "ADJUSTMENT", -750, date(2026, 6, 20))
    ]


def test_derived_refund_whose_lines_do_not_add_up_to_the_money():
    """Recorded from a real shop: 15.00 given back, the line's subtotal says 0.00."""
    document = without_agreements(
        line_item(1, total="10.0"), total="15.0", totalShippingPriceSet=bag("5.0"),
        refunds=[refund(5, "15.0", refundLineItems=[refunded_line(1, 1, "0.0", "0.0")])],
    )  # fmt: skip
    assert sum(total for (total,) in booked(document, "total_amount")) == 0


CENTS = st.integers(0, 50_000)


@given(
    lines=st.lists(st.tuples(CENTS, st.integers(0, 100), st.integers(0, 25), st.booleans()), max_size=4),
    shipping=CENTS, tip=CENTS, included=st.booleans(), given_back=st.lists(CENTS, max_size=2),
    other=st.integers(-99, 99),
)  # fmt: skip
def test_derived_rows_always_add_up_to_the_original_total_and_the_refunds(
    lines, shipping, tip, included, given_back, other
):
    items, left, taxes = [], 0, 0
    for number, (price, off_percent, tax_percent, gift_card) in enumerate(lines, start=1):
        off = price * off_percent // 100
        tax = (price - off) * tax_percent // 100
        left, taxes = left + price - off + (0 if included else tax), taxes + tax
        fields = priced(f"{tax / 100}", discount=f"{off / 100}")
        items.append(line_item(number, total=f"{price / 100}", gift_card=gift_card, **fields))
    total = max(0, left + shipping + tip + other)
    document = without_agreements(
        *items, total=f"{total / 100}", tax=f"{taxes / 100}", totalShippingPriceSet=bag(f"{shipping / 100}"),
        totalTipReceivedSet=bag(f"{tip / 100}"), taxesIncluded=included,
        refunds=[refund(number, f"{money / 100}") for number, money in enumerate(given_back, start=1)],
    )  # fmt: skip
    rows = order_rows(document, context()).sales
    assert sum(row["total_amount"] for row in rows if row["in_first_agreement"]) == total
    assert -sum(row["total_amount"] for row in rows if not row["in_first_agreement"]) == sum(given_back)
    assert {row["line_item_id"] for row in rows} - {None} == {number for number, _ in enumerate(lines, start=1)}


def test_an_order_is_derived_until_its_agreements_come(database: Engine):
    shop = add_shop(1)
    store_orders(shop, without_agreements(line_item(1, total="10.0"), total="10.0"))
    assert [(row["derived"]) for row in rows_of(1)["order"]] == [True]
    store_orders(shop, order(1, NOON, agreement(NOON, sale("10.0", line_item=1)), originalTotalPriceSet=bag("10.0")))
    rows = rows_of(1)
    assert [row["derived"] for row in rows["order"]] == [False]
    assert len(rows["sale"]) == 1 and rows["daily_sales"][0]["gross_sales"] == 1000


def good(number: int = 2) -> dict[str, Any]:
    return order(number, NOON, agreement(NOON, sale("3.0", line_item=number, id=f"gid://shopify/Sale/{number}")))


def broken(**fields: Any) -> dict[str, Any]:
    return good(1) | fields


MALFORMED = [
    ({"currentTotalPriceSet": bag("12.345")}, "not an amount in USD"),
    ({"currentTotalPriceSet": bag("1e400")}, "not an amount in USD"),
    ({"currentTotalPriceSet": bag("1e999999999")}, "not an amount in USD"),
    ({"currentTotalPriceSet": bag("NaN")}, "not an amount in USD"),
    ({"currentTotalPriceSet": None}, "an amount of money is missing"),
    ({"originalTotalPriceSet": bag("1.0", "EUR")}, "in EUR"),
    ({"processedAt": "2026-06-10T16:00:00"}, "not a moment with its zone"),
    ({"updatedAt": None}, "not a moment with its zone"),
    ({"processedAt": "0001-01-01T00:00:00+00:00"}, "not built as expected"),
    ({"id": None}, "not an id"),
    ({"id": "gid://shopify/Order/99999999999999999999"}, "not an id"),
    ({"test": None}, "test is missing"),
    ({"lineItems": [line_item(1) | {"quantity": 2**40}]}, "quantity is too large"),
    ({"lineItems": [line_item(1) | {"quantity": "2"}]}, "quantity is missing or of the wrong type"),
    ({"lineItems": None}, "not built as expected"),
    ({"refunds": [{"id": "gid://shopify/Refund/1"}]}, "not a moment"),
    ({"agreements": [{"id": "a", "happenedAt": stamp(NOON), "sales": [{"lineType": "TIP"}]}]}, "amount of money"),
    ({INCOMPLETE: "line 7 of it cannot be read"}, "line 7"),
]


@pytest.mark.parametrize(("change", "reason"), MALFORMED, ids=lambda value: str(value)[:40])
def test_a_malformed_order_is_set_aside_with_its_reason_and_the_rest_goes_on(database, change, reason):
    shop = add_shop(1)
    counts = store_orders(shop, broken(**change), good())
    assert (counts.read, counts.inserted, counts.quarantined) == (2, 1, 1)
    assert [row["id"] for row in rows_of(1)["order"]] == [2]
    [found] = quarantined(1).values()
    assert reason in found
    store_orders(shop, good(1))
    assert len(quarantined(1)) == ("id" in change)  # an object without its id cannot be told from another
    assert [row["id"] for row in rows_of(1)["order"]] == [1, 2]


@pytest.mark.parametrize("amount", ["92233720368547758.07", "-92233720368547758.08", "10000000000000.01"])
def test_no_amount_is_so_large_that_sums_overflow(database, amount):
    shop = add_shop(1)
    document = broken(agreements=[agreement(NOON, sale(amount), sale(amount))])
    counts = store_orders(shop, document, good())
    assert (counts.inserted, counts.quarantined) == (1, 1)
    assert "not an amount" in quarantined(1)["orders/1"]


def test_a_malformed_new_version_leaves_the_good_old_one(database: Engine):
    shop = add_shop(1)
    store_orders(shop, good(1))
    before = rows_of(1)
    counts = store_orders(shop, broken(updatedAt=stamp(LATER), currentTotalPriceSet=bag("12.345")))
    assert (counts.quarantined, counts.changed) == (1, False)
    assert rows_of(1) == before
    assert list(quarantined(1)) == ["orders/1"]


def test_the_same_malformed_order_seen_twice_is_set_aside_once(database: Engine):
    shop = add_shop(1)
    for _ in range(2):
        assert store_orders(shop, broken(test=None)).quarantined == 1
    assert list(quarantined(1)) == ["orders/1"]


def test_quarantine_belongs_to_one_shop_and_one_stream(database: Engine):
    alice, charlie = add_shop(1), add_shop(2)
    for shop in (alice, charlie):
        store_orders(shop, broken(test=None))
    with shop_session(1, write=True) as session:
        store_products(session, alice, [product(1)])
    assert list(quarantined(1)) == ["orders/1"]
    store_orders(alice, good(1))
    assert (list(quarantined(1)), list(quarantined(2))) == ([], ["orders/1"])


def product(number: int) -> dict[str, Any]:
    variant = {
        "id": f"gid://shopify/ProductVariant/{number}", "title": "Default", "sku": None, "price": "9.50", "position": 1,
        "createdAt": stamp(NOON), "updatedAt": stamp(NOON),
    }  # fmt: skip
    return {
        "id": f"gid://shopify/Product/{number}", "title": "Mug", "handle": "mug", "status": "ACTIVE",
        "productType": "Mugs", "vendor": "Us", "tags": ["a", "b"], "isGiftCard": False, "createdAt": stamp(NOON),
        "updatedAt": stamp(NOON), "category": {"fullName": "Home > Mugs"}, "variants": [variant],
    }  # fmt: skip


def customer(number: int) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Customer/{number}", "createdAt": stamp(NOON), "updatedAt": stamp(NOON),
        "state": "ENABLED", "displayName": "Ann", "defaultEmailAddress": {"emailAddress": "ann@example.com"},
    }  # fmt: skip


def test_a_variant_that_moves_to_another_product_is_there_once(database: Engine):
    shop = add_shop(1)
    first, second = product(1), product(2)
    with shop_session(1, write=True) as session:
        store_products(session, shop, [first, second])
    moved = {**second, "updatedAt": stamp(LATER), "variants": [*second["variants"], *first["variants"]]}
    emptied = {**first, "updatedAt": stamp(LATER), "variants": []}
    for batch in ([emptied, moved], [emptied], [moved]):
        with shop_session(1, write=True) as session:
            store_products(session, shop, batch)
    assert [(row["id"], row["product_id"]) for row in rows_of(1)["variant"]] == [(1, 2), (2, 2)]


def test_a_customer_known_only_from_an_order_is_filled_by_its_own_sync(database: Engine):
    shop = add_shop(1)
    store_orders(shop, good(1) | {"customer": {"id": "gid://shopify/Customer/9"}})
    assert [(row["id"], row["name"], row["updated_at"]) for row in rows_of(1)["customer"]] == [(9, None, None)]
    with shop_session(1, write=True) as session:
        assert store_customers(session, shop, [customer(9)]).inserted == 1
    assert rows_of(1)["customer"][0]["name"] == "Ann"
    store_orders(shop, good(2) | {"customer": {"id": "gid://shopify/Customer/9"}})
    assert rows_of(1)["customer"][0]["name"] == "Ann"


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from(["\x00", "x\x00y", "-1", "0.005", "9" * 30, "2026-06-10", "9999-12-31T23:59:59-12:00"]),
    st.just([]), st.just({}), st.just([None]), st.just([[]]), st.just({"id": 5}), st.just({"shopMoney": 5}),
)  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, child in children for found in _paths(child, (*path, key)))]


def _with_junk(document: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    path = data.draw(st.sampled_from([path for path in _paths(document) if path]))
    target: Any = changed
    for key in path[:-1]:
        target = target[key]
    if isinstance(target, dict) and data.draw(st.booleans()):
        del target[path[-1]]
    else:
        target[path[-1]] = data.draw(JUNK)
    return changed


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["orders", "orders", "products", "customers"]))
def test_no_object_however_odd_stops_the_others(database: Engine, data: st.DataObject, kind: str):
    empty(get_engine())
    shop = add_shop(1)
    rich = order(
        1, NOON, agreement(NOON, sale("3.0", line_item=1, tax="0.2"), sale("1.0", line="TIP")),
        agreement(LATER, sale("-1.0", action="RETURN", line_item=1)), refunds=[refund(1, "1.0")],
        shippingAddress={"countryCodeV2": "US"}, email="ann@example.com", discountCodes=["A"],
    )  # fmt: skip
    rich["lineItems"][0] |= priced("0.2", discount="1.0")
    make, fine = {
        "orders": (rich if data.draw(st.booleans()) else rich | {"agreements": []}, good(2)),
        "products": (product(1), product(2)),
        "customers": (customer(1), customer(2)),
    }[kind]
    odd = _with_junk(make, data)
    resource = next(resource for resource in RESOURCES if resource.stream == kind)
    counts = _stored(shop, resource.store, odd, fine)
    assert counts.read == 2 == counts.inserted + counts.updated + counts.unchanged + counts.quarantined
    table = kind.removesuffix("s")
    assert 2 in {row["id"] for row in rows_of(1)[table]}
    assert len(quarantined(1)) == counts.quarantined
    assert not _stored(shop, resource.store, odd, fine).changed


def _stored(shop: ShopContext, store: Any, *documents: dict[str, Any]) -> Counts:
    with shop_session(shop.shop_id, write=True) as session:
        counts: Counts = store(session, shop, documents)
        return counts


def test_deleted_children_do_not_linger(database: Engine):
    shop = add_shop(1)
    both = [line_item(1), line_item(3)]
    store_orders(shop, good(1) | {"lineItems": both, "refunds": [refund(1, "1.0")]})
    store_orders(shop, good(1) | {"updatedAt": stamp(LATER)})
    rows = rows_of(1)
    assert ([row["id"] for row in rows["line_item"]], rows["refund"]) == ([1], [])


def test_an_older_version_never_overwrites_a_newer_one(database: Engine):
    shop = add_shop(1)
    newer = good(1) | {"updatedAt": stamp(LATER), "displayFinancialStatus": "REFUNDED"}
    store_orders(shop, newer)
    before = rows_of(1)
    assert store_orders(shop, good(1)).unchanged == 1
    assert store_orders(shop, good(1), newer, good(1)).unchanged == 3
    assert rows_of(1) == before


def test_equal_times_with_other_children_are_a_change(database: Engine):
    shop = add_shop(1)
    store_orders(shop, good(1))
    assert store_orders(shop, good(1) | {"refunds": [refund(1, "1.0")]}).updated == 1
    assert len(rows_of(1)["refund"]) == 1


def test_products_are_kept_apart_by_shop(database: Engine):
    for shop_id in (1, 2):
        with shop_session(shop_id, write=True) as session:
            store_products(session, add_shop(shop_id), [product(1)])
    with shop_session(1) as session:
        assert session.get_one(Product, (1, 1)).title == "Mug"
