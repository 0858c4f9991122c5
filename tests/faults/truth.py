"""What a shop's tables have to hold, read from the demo store's own shapes past the app's client and mapping.

What points to a product or a customer that is gone at the shop counts as pointing nowhere on both sides: Shopify
changes no order then, so what was read before keeps the old number.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlmodel import select

from core.db.engine import shop_session
from core.db.models import (
    AbandonedCheckout,
    AbandonedCheckoutLine,
    Customer,
    InventoryItem,
    InventoryLevel,
    LineItem,
    Location,
    Order,
    Product,
    Refund,
    Sale,
    Variant,
)
from core.db.rollups import rebuild_all
from core.demo import server
from core.demo.catalogue import DemoShop
from core.demo.views import Reference, Shape, take_snapshot
from tests.demo_sync import rows_of
from tests.faults.store import OPENED_ON

Rows = dict[str, list[tuple[Any, ...]]]
Linked = Callable[[Reference | None], int | None]


def truth(shop: DemoShop, now: datetime) -> Rows:
    """Every object of the shop at a moment."""
    snapshot = take_snapshot(server._place(shop, OPENED_ON).store, now)
    orders = [row.show() for row in snapshot.orders.values()]
    products = [row.show() for row in snapshot.products.values()]
    checkouts = [row.show() for row in snapshot.checkouts.values()]
    stock = [row.show() for row in snapshot.stock.values()]

    def linked(target: Reference | None) -> int | None:
        return target.number if target and snapshot.find(*target) else None

    return _sorted(
        {
            "order": map(_order, orders),
            "line_item": (row for order in orders for row in _lines(order, linked)),
            "sale": (row for order in orders for row in _sales(order)),
            "refund": (row for order in orders for row in _refunds(order)),
            "customer": (_customer(row.show()) for row in snapshot.customers.values()),
            "product": map(_product, products),
            "variant": (_variant(product, variant) for product in products for variant in product["variants"]),
            "abandoned_checkout": (_checkout(checkout, linked) for checkout in checkouts),
            "abandoned_checkout_line": (row for checkout in checkouts for row in _left(checkout, linked)),
            "inventory_item": map(_item, stock),
            "inventory_level": (row for item in stock for row in _levels(item)),
            "location": {_place(level["location"]) for item in stock for level in item["inventoryLevels"]},
        }
    )


def stored(shop_id: int, shop: Rows | None = None) -> Rows:
    """The same of the app's tables; what is marked as deleted is not there, nor what belongs to it.

    With the truth of its shop, what points to something that is gone there points nowhere, and checkouts from before
    the oldest one there are left out.
    """
    found: dict[str, list[tuple[Any, ...]]] = {}
    alive = {name: {row[place] for row in shop[table]} for name, table, place in _LINKS} if shop is not None else {}
    with shop_session(shop_id) as session:
        gone = {
            parent: {row.id for row in session.exec(select(model)) if row.deleted_at is not None}
            for parent, model in (("order_id", Order), ("product_id", Product))
        }
        for model, names in _COLUMNS:
            rows = [row for row in session.exec(select(model)) if getattr(row, "deleted_at", None) is None]
            of_gone = gone.get(names[0], set())
            links = alive if model in _DANGLING else {}
            columns = (tuple(_kept(row, name, links) for name in names) for row in rows)
            found[model.__tablename__] = [row for row in columns if row[0] not in of_gone]
    for table in ("abandoned_checkout", "abandoned_checkout_line"):  # Shopify forgets them, the app does not
        oldest = min((row[0] for row in shop[table]), default=0) if shop is not None else 0
        found[table] = [row for row in found[table] if row[0] >= oldest]
    return _sorted(found)


def _kept(row: Any, name: str, alive: dict[str, set[int]]) -> Any:
    value = getattr(row, name)
    return value if name not in alive or value in alive[name] else None


def rollups_are_whole(shop_id: int) -> bool:
    """Whether the rollups equal a recompute; it is undone by being equal."""
    before = rows_of(shop_id)
    with shop_session(shop_id, write=True) as session:
        rebuild_all(session)
    return rows_of(shop_id) == before


def equals(shop_id: int, shop: DemoShop, now: datetime, *tables: str) -> bool:
    """Whether every table, or these, equal the shop at a moment, row by row, and the rollups a recompute.

    Names what does not.
    """
    expected = truth(shop, now)
    found = stored(shop_id, expected)
    for table, rows in expected.items():
        if tables and table not in tables:
            continue
        lost, odd = set(rows) - set(found[table]), set(found[table]) - set(rows)
        assert found[table] == rows, f"{table}: {len(lost)} lost {sorted(lost)[:2]}, {len(odd)} odd {sorted(odd)[:2]}"
    assert rollups_are_whole(shop_id)
    return bool(expected["order"])


def still_there(shop_id: int, shop: DemoShop, now: datetime) -> set[tuple[str, int]]:
    """What is gone at the shop and not marked as deleted here; stock is no matter of deletions."""
    return {one for one in living_ids(stored(shop_id)) - living_ids(truth(shop, now)) if one[0] != "inventory_item"}


def living_ids(rows: Rows) -> set[tuple[str, int]]:
    """The kinds and ids of what can be gone one day."""
    return {(kind, row[0]) for kind in ("order", "customer", "product", "inventory_item") for row in rows[kind]}


def _sorted(rows: dict[str, Iterable[tuple[Any, ...]]]) -> Rows:
    return {name: sorted(each, key=repr) for name, each in rows.items()}


def _order(order: Shape) -> tuple[Any, ...]:
    return (
        _number(order), order["name"], _at(order["createdAt"]), _at(order["processedAt"]), _at(order["updatedAt"]),
        _at(order["cancelledAt"]), order["test"], _linked(order["customer"]), _cents(order["currentTotalPriceSet"]),
        _cents(order["originalTotalPriceSet"]), order["sourceName"], order["displayFinancialStatus"],
    )  # fmt: skip


def _lines(order: Shape, linked: Linked) -> Iterator[tuple[Any, ...]]:
    for line in order["lineItems"]:
        yield (
            _number(order), _number(line), line["title"], line["sku"], line["quantity"], line["currentQuantity"],
            line["isGiftCard"], linked(line["product"]), linked(line["variant"]),
        )  # fmt: skip


def _sales(order: Shape) -> Iterator[tuple[Any, ...]]:
    for agreement in order["agreements"]:
        for sale in agreement["sales"]:
            line = sale.get("lineItem")
            yield (
                _number(order), sale["id"].removeprefix("gid://shopify/"), _at(agreement["happenedAt"]),
                agreement["reason"], sale["actionType"], sale["lineType"], sale["quantity"] or 0,
                _number(line) if line else None, _cents(sale["totalAmount"]), _cents(sale["totalTaxAmount"]),
                _cents(sale["totalDiscountAmountBeforeTaxes"]),
            )  # fmt: skip


def _refunds(order: Shape) -> Iterator[tuple[Any, ...]]:
    for refund in order["refunds"]:
        yield _number(order), _number(refund), _at(refund["processedAt"]), _cents(refund["totalRefundedSet"])


def _customer(customer: Shape) -> tuple[Any, ...]:
    email = (customer["defaultEmailAddress"] or {}).get("emailAddress")
    at = _at(customer["createdAt"]), _at(customer["updatedAt"])
    return _number(customer), *at, customer["state"], customer["displayName"], email


def _product(product: Shape) -> tuple[Any, ...]:
    at = _at(product["updatedAt"])
    return _number(product), product["title"], product["vendor"], product["productType"], at


def _variant(product: Shape, variant: Shape) -> tuple[Any, ...]:
    price = int(Decimal(variant["price"]) * 100)
    return _number(product), _number(variant), variant["sku"], price, variant["position"]


def _checkout(checkout: Shape, linked: Linked) -> tuple[Any, ...]:
    return (
        _number(checkout), checkout["name"], _at(checkout["createdAt"]), _at(checkout["updatedAt"]),
        _at(checkout["completedAt"]), linked(checkout["customer"]), ", ".join(checkout["discountCodes"]),
        _cents(checkout["subtotalPriceSet"]), _cents(checkout["totalDiscountSet"]), _cents(checkout["totalTaxSet"]),
        _cents(checkout["totalPriceSet"]),
    )  # fmt: skip


def _left(checkout: Shape, linked: Linked) -> Iterator[tuple[Any, ...]]:
    for line in checkout["lineItems"]:
        yield (
            _number(checkout), _number(line), line["title"], line["variantTitle"], line["sku"], line["quantity"],
            linked(line["product"]), linked(line["variant"]), _cents(line["originalUnitPriceSet"]),
            _cents(line["discountedTotalPriceSet"]),
        )  # fmt: skip


def _item(item: Shape) -> tuple[Any, ...]:
    cost = item["unitCost"]
    return _number(item), item["sku"], item["tracked"], int(Decimal(cost["amount"]) * 100) if cost else None


def _levels(item: Shape) -> Iterator[tuple[Any, ...]]:
    for level in item["inventoryLevels"]:
        told = {one["name"]: one["quantity"] for one in level["quantities"]}
        quantities = (told[name] for name in ("available", "on_hand", "committed", "incoming", "reserved"))
        yield _number(item), _number(level["location"]), *quantities


def _place(location: Shape) -> tuple[Any, ...]:
    return _number(location), location["name"]


def _number(shape: Shape) -> int:
    return int(shape["id"].rsplit("/", 1)[1])


def _linked(target: Reference | None) -> int | None:
    return target.number if target else None


def _cents(bag: Shape) -> int:
    return int(Decimal(bag["shopMoney"]["amount"]) * 100)


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


_LINKS = (("product_id", "product", 0), ("variant_id", "variant", 1), ("customer_id", "customer", 0))
_DANGLING = (LineItem, AbandonedCheckout, AbandonedCheckoutLine)
_COLUMNS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (Order, (
        "id", "name", "created_at", "processed_at", "updated_at", "cancelled_at", "test", "customer_id",
        "current_total", "original_total", "source", "financial_status",
    )),
    (LineItem, (
        "order_id", "id", "title", "sku", "quantity", "current_quantity", "is_gift_card", "product_id", "variant_id",
    )),
    (Sale, (
        "order_id", "id", "happened_at", "reason", "action_type", "line_type", "quantity", "line_item_id",
        "total_amount", "tax_amount", "discount",
    )),
    (Refund, ("order_id", "id", "processed_at", "total_refunded")),
    (Customer, ("id", "created_at", "updated_at", "state", "name", "email")),
    (Product, ("id", "title", "vendor", "product_type", "updated_at")),
    (Variant, ("product_id", "id", "sku", "price", "position")),
    (AbandonedCheckout, (
        "id", "name", "created_at", "updated_at", "completed_at", "customer_id", "discount_codes", "subtotal",
        "total_discount", "total_tax", "total",
    )),
    (AbandonedCheckoutLine, (
        "checkout_id", "id", "title", "variant_title", "sku", "quantity", "product_id", "variant_id", "unit_price",
        "total",
    )),
    (InventoryItem, ("id", "sku", "tracked", "unit_cost")),
    (InventoryLevel, (
        "inventory_item_id", "location_id", "available", "on_hand", "committed", "incoming", "reserved",
    )),
    (Location, ("id", "name")),
)  # fmt: skip
