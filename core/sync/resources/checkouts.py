"""Checkouts that were left, with their lines; recovered ones among them say so by completed_at.

Shopify sorts them by creation only, so a later sync reads those of the last 30 days again: whoever comes back does
so within days. A full refresh reads all that Shopify keeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session

from core.db.models import AbandonedCheckout, AbandonedCheckoutLine
from core.db.upsert import delete_where, insert, upsert
from core.shopify import pages, queries
from core.shopify.bulk import MalformedLine
from core.sync.resources.resource import (
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
    shop_day,
    shop_money,
    sort_batch,
    text_of,
)


@dataclass(frozen=True)
class CheckoutRows:
    """One checkout as it is stored."""

    checkout: dict[str, Any]
    lines: list[dict[str, Any]]


def checkout_rows(document: Document, shop: ShopContext) -> CheckoutRows:
    """The rows of one checkout, dated by the shop's day. Raises MalformedRow."""
    checkout_id = gid_number(document.get("id"))
    created_at = moment(document.get("createdAt"))
    lines = {line["id"]: line for line in (_line(item, checkout_id, shop) for item in document["lineItems"])}
    address = document.get("shippingAddress") or document.get("billingAddress") or {}
    tax = document.get("totalTaxSet")
    checkout: dict[str, Any] = {
        "id": checkout_id,
        "name": text_of(document, "name") or "",
        "created_at": created_at,
        "day": shop_day(created_at, shop.zone),
        "updated_at": moment(document.get("updatedAt")),
        "completed_at": moment(document["completedAt"]) if document.get("completedAt") else None,
        "customer_id": linked(document, "customer"),
        "country": text_of(address, "countryCodeV2"),
        "discount_codes": joined(document.get("discountCodes")),
        "subtotal": shop_money(document.get("subtotalPriceSet"), shop.currency),
        "total_discount": shop_money(document.get("totalDiscountSet"), shop.currency),
        "total_tax": shop_money(tax, shop.currency) if tax is not None else None,
        "total": shop_money(document.get("totalPriceSet"), shop.currency),
    }
    ordered = sorted(lines.values(), key=lambda line: line["id"])
    checkout["fingerprint"] = fingerprint([checkout, ordered])
    return CheckoutRows(checkout, ordered)


def _line(item: Document, checkout_id: int, shop: ShopContext) -> dict[str, Any]:
    return {
        "checkout_id": checkout_id,
        "id": gid_number(item.get("id")),
        "product_id": linked(item, "product"),
        "variant_id": linked(item, "variant"),
        "title": text_of(item, "title") or "",
        "variant_title": text_of(item, "variantTitle"),
        "sku": text_of(item, "sku"),
        "quantity": required(item, "quantity", int),
        "unit_price": shop_money(item.get("originalUnitPriceSet"), shop.currency),
        "total": shop_money(item.get("discountedTotalPriceSet"), shop.currency),
    }


def store(session: Session, shop: ShopContext, documents: Sequence[Document | MalformedLine]) -> Counts:
    """Store a batch of checkouts; the lines of each are replaced as a set."""
    batch = sort_batch(
        session,
        "checkouts",
        AbandonedCheckout,
        documents,
        lambda document: checkout_rows(document, shop),
        lambda rows: rows.checkout,
    )
    upsert(session, AbandonedCheckout, [rows.checkout for rows in batch.changed.values()], newer_by="updated_at")
    delete_where(session, AbandonedCheckoutLine, "checkout_id", batch.updated)
    insert(session, AbandonedCheckoutLine, [line for rows in batch.changed.values() for line in rows.lines])
    return batch.counts


CHECKOUTS = Resource(
    stream="checkouts",
    label="Abandoned checkouts",
    scopes=("read_orders",),
    bulk_query=queries.checkouts_bulk,
    connections=queries.CHECKOUT_CONNECTIONS,
    store=store,
    pages=pages.checkout_documents,
    count_query=queries.CHECKOUTS_COUNT,
    count_field="abandonedCheckoutsCount",
    reread=timedelta(days=30),
    topics=(Topic("checkouts/update"),),
    by_id=pages.checkouts_of,
    at_once=25,
)
