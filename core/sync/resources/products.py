"""Products with their variants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from core.db.models import Product, Variant
from core.db.money import to_minor
from core.db.upsert import delete_where, upsert
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
    sort_batch,
    text_of,
)


@dataclass(frozen=True)
class ProductRows:
    """One product as it is stored."""

    product: dict[str, Any]
    variants: list[dict[str, Any]]


def product_rows(document: Document, shop: ShopContext) -> ProductRows:
    """The rows of one product. Raises MalformedRow."""
    product_id = gid_number(document.get("id"))
    variants: dict[int, dict[str, Any]] = {
        variant_id: {
            "id": variant_id,
            "product_id": product_id,
            "title": text_of(variant, "title") or "",
            "sku": text_of(variant, "sku"),
            "price": to_minor(required(variant, "price", str), shop.currency),
            "position": required(variant, "position", int),
            "inventory_item_id": linked(variant, "inventoryItem"),
            "updated_at": moment(variant.get("updatedAt")),
        }
        for variant in document["variants"]
        for variant_id in (gid_number(variant.get("id")),)
    }
    product = {
        "id": product_id,
        "title": text_of(document, "title") or "",
        "handle": text_of(document, "handle") or "",
        "status": required(document, "status", str),
        "product_type": text_of(document, "productType") or "",
        "vendor": text_of(document, "vendor") or "",
        "category": text_of(document.get("category") or {}, "fullName"),
        "tags": joined(document.get("tags")),
        "is_gift_card": bool(document.get("isGiftCard")),
        "created_at": moment(document.get("createdAt")),
        "updated_at": moment(document.get("updatedAt")),
        "deleted_at": None,
    }
    ordered = sorted(variants.values(), key=lambda variant: variant["id"])
    product["fingerprint"] = fingerprint([product, ordered])
    return ProductRows(product, ordered)


def store(session: Session, shop: ShopContext, documents: Sequence[Document | MalformedLine]) -> Counts:
    """Store a batch of products; the variants of each are replaced as a set."""
    batch = sort_batch(
        session,
        "products",
        Product,
        documents,
        lambda document: product_rows(document, shop),
        lambda rows: rows.product,
    )
    variants = [variant for rows in batch.changed.values() for variant in rows.variants]
    upsert(session, Product, [rows.product for rows in batch.changed.values()], newer_by="updated_at")
    delete_where(session, Variant, "product_id", batch.changed)
    upsert(session, Variant, list({variant["id"]: variant for variant in variants}.values()))
    return batch.counts


PRODUCTS = Resource(
    stream="products",
    label="Products",
    scopes=("read_products",),
    count_query=queries.PRODUCTS_COUNT,
    count_field="productsCount",
    bulk_query=queries.products_bulk,
    connections=queries.PRODUCT_CONNECTIONS,
    pages=pages.product_documents,
    store=store,
    topics=(
        Topic("products/create"),
        Topic("products/update"),
        Topic("products/delete", fields=("id",)),
    ),
    by_id=pages.products_of,
)
