"""Customers; names and e-mails only where the merchant wants them and the token may read them.

A customer who was redacted here stays nameless, whatever Shopify still sends.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from sqlmodel import Session, col, select

from core.db.models import Customer
from core.db.upsert import upsert
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
    moment,
    required,
    sort_batch,
    text_of,
)


def customer_row(document: Document, redacted: Collection[int] = ()) -> dict[str, Any]:
    """The row of one customer, without personal fields where its id is in `redacted`. Raises MalformedRow."""
    customer_id = gid_number(document.get("id"))
    row: dict[str, Any] = {
        "id": customer_id,
        "created_at": moment(document.get("createdAt")),
        "updated_at": moment(document.get("updatedAt")),
        "state": required(document, "state", str),
        "name": text_of(document, "displayName"),
        "email": text_of(document.get("defaultEmailAddress") or {}, "emailAddress"),
        "deleted_at": None,
    }
    if customer_id in redacted:
        row |= {"name": None, "email": None}
    row["fingerprint"] = fingerprint(row)
    return row


def _as_header(row: dict[str, Any]) -> dict[str, Any]:
    return row


def store(session: Session, _: ShopContext, documents: Sequence[Document | MalformedLine]) -> Counts:
    """Store a batch of customers."""
    redacted = set(session.exec(select(Customer.id).where(col(Customer.redacted_at).is_not(None))))
    batch = sort_batch(session, "customers", Customer, documents, partial(customer_row, redacted=redacted), _as_header)
    upsert(session, Customer, list(batch.changed.values()), newer_by="updated_at")
    return batch.counts


CUSTOMERS = Resource(
    stream="customers",
    label="Customers",
    scopes=("read_customers",),
    count_query=queries.CUSTOMERS_COUNT,
    count_field="customersCount",
    bulk_query=queries.customers_bulk,
    connections=queries.CUSTOMER_CONNECTIONS,
    pages=pages.customer_documents,
    store=store,
    whole_days=True,
    topics=(
        Topic("customers/create"),
        Topic("customers/update"),
        Topic("customers/delete", fields=("id",)),
    ),
    by_id=pages.customers_of,
)
