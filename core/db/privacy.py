"""Forgetting: what is deleted or blanked in the tables, with counts as proof.

Each function works in the caller's transaction. Money stays as it is unless the whole shop goes.
"""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, or_, update
from sqlmodel import Session, col, select

from core.db.engine import shop_of, shop_session, system_session
from core.db.guard import SHARED
from core.db.isolation import KEEP_AUDIT_DAYS, as_owner
from core.db.ledger import buyer_id, redacted_buyer_id
from core.db.models import (
    SHOP_SCOPED,
    AuditEvent,
    AuthSession,
    AuthTicket,
    Customer,
    LoginAttempt,
    Model,
    Order,
    QuarantinedRow,
    Shop,
    SyncState,
    WebhookEvent,
)
from core.db.upsert import chunks, upsert

_KEEP_ATTEMPTS = timedelta(days=1)
_KEEP_WEBHOOKS = timedelta(days=30)  # their ids, to know a repetition; their bodies went when they were settled
_BY_TABLE: dict[str, Any] = {str(getattr(model, "__tablename__", "")): model for model in (*SHOP_SCOPED, *SHARED)}


def redact_customer(session: Session, customer_id: int, *, email: str | None, now: datetime) -> dict[str, int]:
    """Blank a customer's name and e-mail for good, also before the first sync of it; rows changed, by table.

    Orders and amounts stay with the customer's number. With the e-mail, orders made as a guest get a random number
    instead of the one made from it, which later changes of the order keep. What was set aside of these objects is
    forgotten.
    """
    _let_batch_end(session)
    orders = list(session.exec(select(Order.id).where(col(Order.customer_id) == customer_id)))
    blank = {"id": customer_id, "name": None, "email": None, "fingerprint": "", "redacted_at": now}
    upsert(session, Customer, [blank])
    counts = {"customer": 1, "order": 0}
    guest = buyer_id(None, email)
    if guest is not None:
        orders += session.exec(select(Order.id).where(col(Order.buyer_id) == guest)).all()
        somebody = redacted_buyer_id()
        for model in cast("tuple[Any, ...]", SHOP_SCOPED):
            if "buyer_id" in model.model_fields:
                changed = _execute(session, update(model).where(model.buyer_id == guest).values(buyer_id=somebody))
                counts[str(getattr(model, "__tablename__", ""))] = changed
    keys = [f"customers/{customer_id}", *(f"orders/{number}" for number in orders)]
    counts["quarantined_row"] = sum(
        _execute(session, delete(QuarantinedRow).where(col(QuarantinedRow.key).in_(chunk))) for chunk in chunks(keys)
    )
    _bump(session)
    return counts


def erase_shop(session: Session) -> dict[str, int]:
    """Delete every row of the session's shop, `shop` included; rows deleted, by table."""
    shop_id = shop_of(session)
    _let_batch_end(session)
    shop = session.exec(select(Shop).where(Shop.id == shop_id).with_for_update()).one()
    counts: dict[str, int] = {}
    for table in reversed(Model.metadata.sorted_tables):
        model = _BY_TABLE.get(table.name)
        if model is not None and model is not AuditEvent:
            counts[table.name] = _execute(session, delete(model))
    session.delete(shop)
    session.flush()
    counts["shop"] = 1
    with as_owner(session):
        counts["audit_event"] = _execute(session, delete(AuditEvent).where(col(AuditEvent.shop_id) == shop_id))
        tickets = [ticket for ticket in session.exec(select(AuthTicket)) if ticket.details.get("shop_id") == shop_id]
        for ticket in tickets:
            session.delete(ticket)
        session.flush()
    counts["auth_ticket"] = len(tickets)
    return counts


def forget_old(now: datetime) -> dict[str, int]:
    """Forget what is older than each shop wants it kept, and what no sign-in needs any more; rows, by table.

    Safe to run anywhere and twice: it deletes by age. A customer's personal fields go when nothing changed about
    the customer for keep_personal_days; the next change brings them back.
    """
    counts = _forget_sign_ins(now)
    with system_session() as session:
        shops = session.exec(select(Shop)).all()
    for shop in shops:
        with shop_session(shop.id or 0, write=True) as session:
            for table, number in _forget_of(session, shop, now).items():
                counts[table] = counts.get(table, 0) + number
    return counts


def _forget_of(session: Session, shop: Shop, now: datetime) -> dict[str, int]:
    before = now - timedelta(days=shop.keep_quarantine_days)
    counts = {"quarantined_row": _execute(session, delete(QuarantinedRow).where(col(QuarantinedRow.seen_at) < before))}
    if shop.keep_personal_days is not None:
        counts["customer"] = _execute(
            session,
            update(Customer)
            .where(col(Customer.updated_at) < now - timedelta(days=shop.keep_personal_days))
            .where(or_(col(Customer.name).is_not(None), col(Customer.email).is_not(None)))
            .values(name=None, email=None, forgotten_at=now),
        )
        if counts["customer"]:
            _bump(session)
    before = now - timedelta(days=shop.keep_audit_days)
    with as_owner(session):
        old = delete(AuditEvent).where(col(AuditEvent.shop_id) == shop.id, col(AuditEvent.at) < before)
        counts["audit_event"] = _execute(session, old)
    return counts


def _forget_sign_ins(now: datetime) -> dict[str, int]:
    with system_session(write=True) as session:
        counts = {
            "login_attempt": _execute(session, delete(LoginAttempt).where(col(LoginAttempt.at) < now - _KEEP_ATTEMPTS)),
            "auth_ticket": _execute(session, delete(AuthTicket).where(col(AuthTicket.expires_at) < now)),
            "auth_session": _execute(session, delete(AuthSession).where(col(AuthSession.expires_at) < now)),
            "webhook_event": _execute(
                session, delete(WebhookEvent).where(col(WebhookEvent.settled_at) < now - _KEEP_WEBHOOKS)
            ),
        }
        before = now - timedelta(days=KEEP_AUDIT_DAYS)
        with as_owner(session):
            old = delete(AuditEvent).where(col(AuditEvent.shop_id).is_(None), col(AuditEvent.at) < before)
            counts["audit_event"] = _execute(session, old)
    return counts


def _execute(session: Session, statement: Any) -> int:
    """Rows the statement changed."""
    result: Any = session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount)


def _let_batch_end(session: Session) -> None:
    """Wait for the batch a sync is storing, and hold back the next; locked in a sync's own order."""
    session.exec(select(SyncState).order_by(col(SyncState.stream)).with_for_update()).all()


def _bump(session: Session) -> None:
    """Readers keep what they cached until this number moves."""
    shop = session.get_one(Shop, shop_of(session), with_for_update=True)
    shop.data_version += 1
    session.add(shop)
    session.flush()
