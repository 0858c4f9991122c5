"""What is forgotten: requests to erase, carried out at once and remembered with their proof; and each store's days."""

from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from core.auth import audit, members
from core.config import get_settings
from core.db import privacy
from core.db.engine import shop_session, system_session
from core.db.isolation import as_owner
from core.db.models import PrivacyRequest, Shop, connected_shop
from core.errors import InputError

DUE_AFTER = timedelta(days=30)  # Shopify's term for customers/redact; shop/redact comes 48 hours after uninstalling

# Fewer days would hide what was done a moment ago, or what could still be repaired; more are no term any more.
AUDIT_DAYS, QUARANTINE_DAYS, PERSONAL_DAYS = (90, 3650), (7, 730), (30, 3650)


@dataclass(frozen=True)
class Retention:
    """For how many days a store's audit events, set-aside objects and idle customers' names are kept; None: always."""

    audit_days: int
    quarantine_days: int
    personal_days: int | None


def retention_of(user_id: int, shop_id: int) -> Retention:
    """How long a store keeps what, for who may change it. Raises NotPermitted."""
    with system_session() as session:
        members.permit(session, user_id, shop_id, "keep_data")
        return _retention(session.get_one(Shop, shop_id))


def set_retention(actor_id: int, shop_id: int, wanted: Retention, *, address: str | None = None) -> None:
    """Change how long a store keeps what; the worker forgets by it within the hour. Raises NotPermitted, InputError."""
    with system_session(write=True) as session:
        actor, _ = members.permit(session, actor_id, shop_id, "keep_data")
        shop = session.get_one(Shop, shop_id, with_for_update=True)
        if shop.is_demo:
            raise InputError("The demo store belongs to everybody here and keeps its data as it is.")
        before = _retention(shop)
        for days, known, (least, most), what in (
            (wanted.audit_days, before.audit_days, AUDIT_DAYS, "The audit list"),
            (wanted.quarantine_days, before.quarantine_days, QUARANTINE_DAYS, "What was set aside"),
            (wanted.personal_days, before.personal_days, PERSONAL_DAYS, "Names and e-mails"),
        ):
            if days is not None and days != known and not least <= days <= most:
                raise InputError(f"{what} can be kept for {least} to {most:,} days. Choose a number between them.")
        if wanted == before:
            return
        shop.keep_audit_days, shop.keep_quarantine_days, shop.keep_personal_days = astuple(wanted)
        changed = [
            f"{name} {asdict(before)[name] or 'always'} to {days or 'always'}"
            for name, days in asdict(wanted).items()
            if days != asdict(before)[name]
        ]
        target = f"kept: {', '.join(changed)}"
        audit.record(actor.email, "store_settings", shop_id=shop_id, target=target, address=address, session=session)


def _retention(shop: Shop) -> Retention:
    return Retention(shop.keep_audit_days, shop.keep_quarantine_days, shop.keep_personal_days)


def redact_customer(
    shop_id: int,
    customer_id: int,
    *,
    email: str | None = None,
    actor: str = "Shopify",
    received_at: datetime | None = None,
) -> dict[str, int]:
    """Blank a customer everywhere, keeping amounts; rows changed, by table. No sync fills the customer again.

    `email` is the address Shopify sends along: it finds what was ordered as a guest. Raises UnknownShop.
    """
    shop, now = _shop(shop_id), datetime.now(UTC)
    with shop_session(shop_id, write=True) as session:
        counts = privacy.redact_customer(session, customer_id, email=email, now=now)
        _remember(session, "customers/redact", shop.gid, counts, received_at or now, customer_id=customer_id)
        audit.record(
            actor, "privacy_request", shop_id=shop_id, target=f"customers/redact {customer_id}", session=session
        )
    return counts


def delete_shop(
    shop_id: int, *, actor: str, kind: str = "shop/redact", received_at: datetime | None = None
) -> dict[str, int]:
    """Delete a store with every row of it, its token and its events; rows deleted, by table.

    A running sync of it ends without storing more. Raises UnknownShop, InputError for a demo store in use.
    """
    shop, now = _shop(shop_id), datetime.now(UTC)
    if shop.is_demo and get_settings().demo:
        raise InputError("The demo store belongs to everybody here. Hide it on the Account page, or start with DEMO=0.")
    with shop_session(shop_id, write=True) as session:
        counts = privacy.erase_shop(session)
        _remember(session, kind, shop.gid, counts, received_at or now)
        with as_owner(session):  # without a shop: there is none any more
            audit.record(actor, "store_delete", target=f"store {shop.gid}", session=session)
    return counts


def _shop(shop_id: int) -> Shop:
    with system_session() as session:
        return connected_shop(session, shop_id)


def _remember(
    session: Session,
    kind: str,
    shop_gid: int,
    proof: dict[str, int],
    received_at: datetime,
    *,
    customer_id: int | None = None,
) -> None:
    session.add(
        PrivacyRequest(
            shop_gid=shop_gid,
            kind=kind,
            customer_id=customer_id,
            received_at=received_at,
            due_at=received_at + DUE_AFTER,
            done_at=datetime.now(UTC),
            proof=proof,
        )
    )
    session.flush()
