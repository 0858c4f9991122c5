"""Requests about personal data that Shopify passes on: which there are, and the file a customer's data goes out in."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from core.auth import audit, members
from core.db.engine import shop_session, system_session
from core.db.models import (
    AbandonedCheckout,
    AbandonedCheckoutLine,
    Customer,
    LineItem,
    Order,
    PrivacyRequest,
    Refund,
    Shop,
)
from core.db.upsert import chunks
from core.errors import InputError


@dataclass(frozen=True)
class Request:
    """One request; `done_at` is None while it waits for somebody, `proof` counts rows by table."""

    request_id: int
    kind: str
    customer_id: int | None
    received_at: datetime
    due_at: datetime
    done_at: datetime | None
    proof: dict[str, int]
    note: str


def requests_of(user_id: int, shop_id: int) -> list[Request]:
    """The requests of a store, open ones first, then the latest. Raises NotPermitted."""
    with system_session() as session:
        rows = session.exec(_of_shop(session, user_id, shop_id)).all()
    found = [
        Request(row.id or 0, row.kind, row.customer_id, row.received_at, row.due_at, row.done_at, row.proof, row.note)
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.done_at is not None, -one.received_at.timestamp()))


def export_customer(user_id: int, shop_id: int, request_id: int, *, address: str | None = None) -> str:
    """What is stored of the customer of a data request, as JSON, to hand on; the request is answered with it.

    Raises NotPermitted, InputError for a request that is none of this store's.
    """
    with system_session() as session:
        wanted = _of_shop(session, user_id, shop_id).where(PrivacyRequest.id == request_id)
        request = session.exec(wanted.where(PrivacyRequest.kind == "customers/data_request")).first()
        actor, _ = members.permit(session, user_id, shop_id, "manage_privacy")
    if request is None or request.customer_id is None:
        raise InputError("There is no such request any more. Open the page again.")
    with shop_session(shop_id) as session:
        data = _data_of(session, request.customer_id, request.order_ids)
    proof = {table: len(rows) for table, rows in data.items()}
    with system_session(write=True) as session:
        row = session.get_one(PrivacyRequest, request_id, with_for_update=True)
        row.done_at, row.proof = row.done_at or datetime.now(UTC), proof
        target = f"customers/data_request {request.customer_id} downloaded"
        audit.record(actor.email, "privacy_request", shop_id=shop_id, target=target, address=address, session=session)
    about = {"customer_id": request.customer_id, "asked_at": request.received_at.isoformat()}
    return json.dumps({"request": about, **data}, ensure_ascii=False, indent=2, default=str) + "\n"


def _of_shop(session: Session, user_id: int, shop_id: int) -> Any:
    members.permit(session, user_id, shop_id, "manage_privacy")
    gid = session.get_one(Shop, shop_id).gid
    return select(PrivacyRequest).where(PrivacyRequest.shop_gid == gid).order_by(col(PrivacyRequest.id).desc())


def _data_of(session: Session, customer_id: int, order_ids: list[int]) -> dict[str, list[dict[str, Any]]]:
    """Rows by table: the customer, their orders with lines and refunds, the checkouts they left.

    Amounts are in minor units. Orders made as a guest are those that Shopify names in the request.
    """
    orders = {row.id: row for row in _rows(session, Order, "customer_id", [customer_id])}
    orders |= {row.id: row for row in _rows(session, Order, "id", order_ids)}
    checkouts = _rows(session, AbandonedCheckout, "customer_id", [customer_id])
    data = {
        "customer": _rows(session, Customer, "id", [customer_id]),
        "order": list(orders.values()),
        "line_item": _rows(session, LineItem, "order_id", orders),
        "refund": _rows(session, Refund, "order_id", orders),
        "abandoned_checkout": checkouts,
        "abandoned_checkout_line": _rows(session, AbandonedCheckoutLine, "checkout_id", [row.id for row in checkouts]),
    }
    return {table: [_plain(row) for row in rows] for table, rows in data.items()}


def _rows(session: Session, model: Any, column: str, values: Iterable[int]) -> list[Any]:
    return [
        row
        for part in chunks(values)
        for row in session.exec(select(model).where(getattr(model, column).in_(part)).order_by(model.id))
    ]


def _plain(row: Any) -> dict[str, Any]:
    told: dict[str, Any] = row.model_dump(exclude={"shop_id", "fingerprint"})
    return told
