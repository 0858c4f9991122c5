"""Orders with their lines, refunds and the sales ledger, the source of every money figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from core.db import ledger
from core.db.models import Customer, LineItem, Order, Refund, Sale
from core.db.rollups import add, take_away
from core.db.upsert import chunks, delete_where, insert, upsert
from core.errors import MalformedRow
from core.shopify import pages, queries
from core.shopify.bulk import MalformedLine
from core.shopify.client import ShopClient
from core.sync.failpoints import reached
from core.sync.resources.derived import derived_agreements
from core.sync.resources.resource import (
    INCOMPLETE,
    Counts,
    Document,
    Resource,
    ShopContext,
    Topic,
    fingerprint,
    gid_number,
    joined,
    linked,
    moment,
    required,
    shop_money,
    sort_batch,
    text_of,
)


@dataclass(frozen=True)
class OrderRows:
    """One order as it is stored: its header, lines, ledger and refunds."""

    order: dict[str, Any]
    line_items: list[dict[str, Any]]
    sales: list[dict[str, Any]]
    refunds: list[dict[str, Any]]


def order_rows(document: Document, shop: ShopContext) -> OrderRows:
    """The rows of one order, with the shop's day on each dated one. Raises MalformedRow."""
    order_id = gid_number(document.get("id"))
    processed_at = moment(document.get("processedAt"))
    local = processed_at.astimezone(shop.zone)
    lines = {line["id"]: line for line in (_line_item(item, order_id) for item in document["lineItems"])}
    refunds = {refund["id"]: refund for refund in (_refund(item, order_id, shop) for item in document["refunds"])}
    derived = not document["agreements"]
    agreements = derived_agreements(document, shop.currency) if derived else document["agreements"]
    customer_id = linked(document, "customer")
    address = document.get("shippingAddress") or document.get("billingAddress") or {}
    order: dict[str, Any] = {
        "id": order_id,
        "name": text_of(document, "name") or "",
        "processed_at": processed_at,
        "day": local.date(),
        "hour": local.hour,
        "created_at": moment(document.get("createdAt")),
        "updated_at": moment(document.get("updatedAt")),
        "cancelled_at": moment(document["cancelledAt"]) if document.get("cancelledAt") else None,
        "test": required(document, "test", bool),
        "customer_id": customer_id,
        "buyer_id": ledger.buyer_id(customer_id, text_of(document, "email")),
        "financial_status": text_of(document, "displayFinancialStatus"),
        "fulfillment_status": text_of(document, "displayFulfillmentStatus"),
        "source": text_of(document, "sourceName"),
        "discount_codes": joined(document.get("discountCodes")),
        "country": text_of(address, "countryCodeV2"),
        "has_goods": any(not line["is_gift_card"] for line in lines.values()),
        "derived": derived,
        "original_total": shop_money(document.get("originalTotalPriceSet"), shop.currency),
        "current_total": shop_money(document.get("currentTotalPriceSet"), shop.currency),
        "deleted_at": None,
    }
    sales = _sales(agreements, order, lines, shop)
    line_items, refund_rows = list(lines.values()), list(refunds.values())
    # Shopify's order of children may differ between a bulk file and a page: sort before the fingerprint.
    children = [sorted(line_items, key=_by_id), sorted(sales, key=_by_id), sorted(refund_rows, key=_by_id)]
    order["fingerprint"] = fingerprint([order, *children])
    return OrderRows(order, line_items, sales, refund_rows)


def _by_id(row: dict[str, Any]) -> str:
    return str(row["id"])


def _line_item(item: Document, order_id: int) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "id": gid_number(item.get("id")),
        "product_id": linked(item, "product"),
        "variant_id": linked(item, "variant"),
        "title": text_of(item, "title") or "",
        "variant_title": text_of(item, "variantTitle"),
        "sku": text_of(item, "sku"),
        "vendor": text_of(item, "vendor"),
        "quantity": required(item, "quantity", int),
        "current_quantity": required(item, "currentQuantity", int),
        "is_gift_card": required(item, "isGiftCard", bool),
    }


def _refund(item: Document, order_id: int, shop: ShopContext) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "id": gid_number(item.get("id")),
        "processed_at": moment(item.get("processedAt") or item.get("createdAt")),
        "total_refunded": shop_money(item.get("totalRefundedSet"), shop.currency),
    }


def _sales(
    agreements: Sequence[Document], order: dict[str, Any], lines: dict[int, dict[str, Any]], shop: ShopContext
) -> list[dict[str, Any]]:
    """The ledger rows of an order.

    The first agreement's rows belong to the order's day (an import is booked long after its sale, and Shopify's
    reports use processedAt), every later row to the day it happened.
    """
    dated = [(moment(agreement.get("happenedAt")), position) for position, agreement in enumerate(agreements)]
    first = min(dated, default=(None, -1))[1]
    rows: dict[str, dict[str, Any]] = {}
    for (happened_at, position), agreement in zip(dated, agreements, strict=True):
        local = happened_at.astimezone(shop.zone)
        day, hour = (order["day"], order["hour"]) if position == first else (local.date(), local.hour)
        for number, sale in enumerate(agreement["sales"]):
            row = _sale(sale, agreement, f"{position}-{number}", lines, shop)
            row |= {
                "order_id": order["id"],
                "happened_at": happened_at,
                "day": day,
                "hour": hour,
                "in_first_agreement": position == first,
            }
            rows[row["id"]] = row
    return list(rows.values())


def _sale(
    sale: Document, agreement: Document, place: str, lines: dict[int, dict[str, Any]], shop: ShopContext
) -> dict[str, Any]:
    total = shop_money(sale.get("totalAmount"), shop.currency)
    tax = shop_money(sale.get("totalTaxAmount"), shop.currency)
    line_type, action_type = required(sale, "lineType", str), required(sale, "actionType", str)
    measure, unclassified = ledger.measure_of(line_type, action_type, total - tax)
    line_item_id = linked(sale, "lineItem")
    line = lines.get(line_item_id) if line_item_id is not None else None
    return {
        "id": _tail(sale) or place,
        "agreement_id": _tail(agreement) or place,
        "reason": text_of(agreement, "reason") or "UNKNOWN",
        "action_type": action_type,
        "line_type": line_type,
        "measure": measure,
        "unclassified": unclassified,
        "line_item_id": line_item_id,
        "product_id": line["product_id"] if line else None,
        "product_title": line["title"] if line and line["product_id"] is None else "",
        "quantity": required(sale, "quantity", int) if sale.get("quantity") is not None else 0,
        "total_amount": total,
        "tax_amount": tax,
        "discount": shop_money(sale.get("totalDiscountAmountBeforeTaxes"), shop.currency),
    }


def _tail(document: Document) -> str:
    """The type and number of a GID: kinds of sales may share numbers."""
    return (text_of(document, "id") or "").removeprefix("gid://shopify/")


def complete(client: ShopClient, documents: Sequence[Document | MalformedLine]) -> None:
    """Fetch what a bulk file cannot hold: the lines of refunds, needed only where an order has no agreements."""
    for document in documents:
        if isinstance(document, dict) and not document.get("agreements") and INCOMPLETE not in document:
            try:
                for refund in document.get("refunds") or ():
                    refund["details"] = pages.refund_details(client, refund["id"])
            except (MalformedRow, TypeError, LookupError) as error:
                document[INCOMPLETE] = f"its refunds cannot be read: {error}"


def store(session: Session, shop: ShopContext, documents: Sequence[Document | MalformedLine]) -> Counts:
    """Store a batch of orders, each with its children replaced as a set, and the rollups following."""
    batch = sort_batch(
        session, "orders", Order, documents, lambda document: order_rows(document, shop), lambda rows: rows.order
    )
    changed = batch.changed
    if not changed:
        return batch.counts
    _keep_redacted(session, batch.updated)
    before = take_away(session, batch.updated)
    customers = {rows.order["customer_id"] for rows in changed.values()} - {None}
    # An order may come before its customer: a placeholder keeps the foreign key, the customer's own sync fills it.
    insert(session, Customer, [{"id": key, "fingerprint": ""} for key in sorted(customers)], missing_only=True)
    upsert(session, Order, [rows.order for rows in changed.values()], newer_by="updated_at")
    for model, children in _CHILDREN:
        delete_where(session, model, "order_id", batch.updated)
        insert(session, model, [row for rows in changed.values() for row in children(rows)])
    reached("during_rollups")
    sales = [sale for rows in changed.values() for sale in rows.sales]
    add(session, before, [rows.order for rows in changed.values()], sales)
    return batch.counts


def _keep_redacted(session: Session, updated: dict[int, OrderRows]) -> None:
    """A guest who was redacted stays so, though Shopify may send the e-mail of the order again."""
    buyer: Any = Order.buyer_id
    for chunk in chunks(updated):
        redacted = select(Order.id, buyer).where(col(Order.id).in_(chunk), buyer < ledger.REDACTED_BELOW)
        for order_id, buyer_id in session.exec(redacted):
            header = updated[order_id].order
            if header["customer_id"] is None:
                header["buyer_id"] = buyer_id


_CHILDREN: tuple[tuple[Any, Callable[[OrderRows], list[dict[str, Any]]]], ...] = (
    (LineItem, lambda rows: rows.line_items),
    (Sale, lambda rows: rows.sales),
    (Refund, lambda rows: rows.refunds),
)


ORDERS = Resource(
    stream="orders",
    label="Orders",
    scopes=("read_orders",),
    count_query=queries.ORDERS_COUNT,
    count_field="ordersCount",
    bulk_query=queries.orders_bulk,
    connections=queries.ORDER_CONNECTIONS,
    pages=pages.order_documents,
    store=store,
    complete=complete,
    limited=("read_all_orders", timedelta(days=60)),  # of creation
    topics=(
        Topic("orders/create"),
        Topic("orders/updated"),
        Topic("orders/edited", key="order_edit.order_id", fields=()),
        Topic("orders/cancelled"),
        Topic("orders/delete", fields=("id",)),
        Topic("refunds/create", key="order_id", fields=("id", "order_id", "created_at")),
    ),
    by_id=pages.orders_of,
    at_once=10,
)
