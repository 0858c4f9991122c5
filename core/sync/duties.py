"""Webhooks that are no hint about one object: the app's own life in a store, and duties about personal data.

No header is signed, so a store that is named is the one in the body; and a signature has no time, so what takes
something away is done only after Shopify itself said that it is so.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from core.config import get_settings
from core.db import privacy
from core.db.engine import shop_session, system_session
from core.db.isolation import as_owner
from core.db.models import AuditEvent, PrivacyRequest, Shop
from core.errors import AppError, LeaseLost, MalformedRow, ShopNotFound, TokenRejected
from core.sync import connect, inbox, jobs
from core.sync.inbox import Event, Held

DUE_AFTER = timedelta(days=30)  # Shopify's term for each of the three
_SHOPIFY = "Shopify"


class StillInstalled(AppError):
    """Shopify answers with the store's token, though it said that the app was uninstalled."""


def _uninstalled(held: Held, event: Event, body: dict[str, Any], shop: Shop | None) -> None:
    """Forget the token, once Shopify refuses it: an old message must not cut a store off that is connected again."""
    if shop is None or not shop.token:
        _settle(held, event, "ignored", "No such store is connected here.")
        return
    if body.get("id") != shop.gid:
        raise MalformedRow("it names another store than the header")
    if _is_installed(shop):
        if event.attempts < 3:
            raise StillInstalled("Shopify still answers this app for the store. It is asked again in a moment.")
        _settle(held, event, "ignored", "Shopify still answers this app for the store: the message was an old one.")
        return
    shop_id = shop.id or 0
    connect.disconnect_shop(shop_id)
    with shop_session(shop_id, write=True) as session:
        _record(session, "store_disconnect", shop_id, f"{shop.domain}, uninstalled in Shopify")
        inbox.settle(session, held, [event.webhook_id])


def _is_installed(shop: Shop) -> bool:
    try:
        with connect.client_for(shop) as client:
            return connect.read_facts(client).gid == shop.gid
    except (TokenRejected, ShopNotFound, LeaseLost):
        return False


def _look_again(held: Held, event: Event, _: dict[str, Any], shop: Shop | None) -> None:
    """The next sync, at once, asks who the store is and what the token may read."""
    if shop is None or not shop.token:
        _settle(held, event, "ignored", "No such store is connected here.")
        return
    jobs.request_sync(shop.id or 0, ["shop"], asked_by="webhook")
    _settle(held, event)


def _bulk_finished(held: Held, event: Event, body: dict[str, Any], _: Shop | None) -> None:
    """Who waits for this operation looks for the settled delivery: see fetch."""
    _settle(held, event, about=str(body.get("admin_graphql_api_id", ""))[:200])


def _data_request(held: Held, event: Event, body: dict[str, Any], shop: Shop | None) -> None:
    """Note what a customer asks for; an owner downloads it for them."""
    shop_gid, shop = _named(body, shop)
    note = "" if shop is not None else "Nothing of this store is kept here."
    with system_session(write=True) as session:
        _remember(
            session,
            event,
            shop_gid,
            customer_id=_customer(body),
            order_ids=[number for number in body.get("orders_requested") or () if isinstance(number, int)],
            done=shop is None,
            note=note,
        )
        _record(session, "privacy_request", shop.id if shop is not None else None, f"{event.topic} {_customer(body)}")
        inbox.settle(session, held, [event.webhook_id])


def _redact_customer(held: Held, event: Event, body: dict[str, Any], shop: Shop | None) -> None:
    shop_gid, shop = _named(body, shop)
    customer_id = _customer(body)
    email = body["customer"].get("email")
    if shop is None:
        _answer_stranger(held, event, shop_gid, customer_id)
        return
    shop_id, now = shop.id or 0, datetime.now(UTC)
    with shop_session(shop_id, write=True) as session:
        if _is_new(session, event):
            proof = privacy.redact_customer(
                session, customer_id, email=email if isinstance(email, str) else None, now=now
            )
            _remember(session, event, shop_gid, customer_id=customer_id, proof=proof)
            _record(session, "privacy_request", shop_id, f"{event.topic} {customer_id}")
    _settle(held, event)


def _redact_shop(held: Held, event: Event, body: dict[str, Any], shop: Shop | None) -> None:
    """Erase the store, unless Shopify still answers for it: then it was installed again, and an owner decides."""
    shop_gid, shop = _named(body, shop)
    if shop is None:
        _answer_stranger(held, event, shop_gid, None)
        return
    in_use = shop.is_demo and get_settings().demo
    if in_use or (shop.token and _is_installed(shop)):
        note = "The app is installed in this store, so nothing was erased. To erase it, delete the store under Stores."
        with system_session(write=True) as session:
            _remember(session, event, shop_gid, done=False, note=note)
            _record(session, "privacy_request", shop.id, f"{event.topic}: {note}")
            inbox.settle(session, held, [event.webhook_id])
        return
    with shop_session(shop.id or 0, write=True) as session:
        proof = privacy.erase_shop(session)
        _remember(session, event, shop_gid, proof=proof)
        with as_owner(session):  # without a shop: there is none any more
            _record(session, "store_delete", None, f"store {shop_gid}")


def _named(body: dict[str, Any], by_header: Shop | None) -> tuple[int, Shop | None]:
    """The store in the body, by its number: what the header says must not lead elsewhere. Raises MalformedRow."""
    shop_gid = body.get("shop_id")
    if not isinstance(shop_gid, int) or isinstance(shop_gid, bool):
        raise MalformedRow("it has no shop_id")
    with system_session() as session:
        shop = session.exec(select(Shop).where(Shop.gid == shop_gid)).first()
    if by_header is not None and by_header.gid != shop_gid:
        raise MalformedRow("it names another store than the header")
    return shop_gid, shop


def _customer(body: dict[str, Any]) -> int:
    customer = body.get("customer")
    number = customer.get("id") if isinstance(customer, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise MalformedRow("it has no customer.id")
    return number


def _answer_stranger(held: Held, event: Event, shop_gid: int, customer_id: int | None) -> None:
    with system_session(write=True) as session:
        _remember(session, event, shop_gid, customer_id=customer_id, note="Nothing of this store is kept here.")
        inbox.settle(session, held, [event.webhook_id])


def _is_new(session: Session, event: Event) -> bool:
    known = select(PrivacyRequest.id).where(PrivacyRequest.webhook_id == event.webhook_id)
    return session.exec(known).first() is None


def _remember(
    session: Session,
    event: Event,
    shop_gid: int,
    *,
    customer_id: int | None = None,
    order_ids: list[int] | None = None,
    proof: dict[str, int] | None = None,
    done: bool = True,
    note: str = "",
) -> None:
    if not _is_new(session, event):
        return
    session.add(
        PrivacyRequest(
            shop_gid=shop_gid,
            kind=event.topic,
            customer_id=customer_id,
            received_at=event.received_at,
            due_at=event.received_at + DUE_AFTER,
            done_at=datetime.now(UTC) if done else None,
            proof=proof or {},
            webhook_id=event.webhook_id,
            order_ids=order_ids or [],
            note=note,
        )
    )
    session.flush()


def _record(session: Session, action: str, shop_id: int | None, target: str) -> None:
    """An event of the audit list, whose actor is Shopify."""
    session.add(AuditEvent(at=datetime.now(UTC), actor=_SHOPIFY, shop_id=shop_id, action=action, target=target))
    session.flush()


def _settle(held: Held, event: Event, state: str = "done", problem: str = "", *, about: str = "") -> None:
    with system_session(write=True) as session:
        inbox.settle(session, held, [event.webhook_id], state, problem=problem, about=about)


DUTIES: dict[str, Callable[[Held, Event, dict[str, Any], Shop | None], None]] = {
    "app/uninstalled": _uninstalled,
    "app/scopes_update": _look_again,
    "shop/update": _look_again,
    inbox.BULK_FINISHED: _bulk_finished,
    "customers/data_request": _data_request,
    "customers/redact": _redact_customer,
    "shop/redact": _redact_shop,
}
# What a store is asked to tell; the three duties about personal data are set in the app's own configuration.
APP_TOPICS = ("app/uninstalled", "app/scopes_update", "shop/update", inbox.BULK_FINISHED)
