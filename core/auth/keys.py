"""API keys: what another program shows instead of a user. Each opens one store, with its user's role of the moment."""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlmodel import col, select

from core.auth import accounts, audit, members
from core.auth.accounts import ShopAccess
from core.auth.tickets import digest
from core.db.engine import system_session
from core.db.models import ApiKey, Shop, User
from core.errors import DatabaseUnavailable, InputError, NotPermitted

# So that who finds one knows what it is, and scanners of public code find it.
PREFIX = "shoptally_"
MOST = 20
USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class KeyView:
    """A key that opens its store, as plain values; `hint` is its last four letters."""

    key_id: int
    name: str
    shop_name: str
    hint: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class KeyAccess:
    """What a key opens: one store, as its user with this role."""

    key_id: int
    user_id: int
    email: str
    shop_id: int
    role: str
    shop: ShopAccess


def make(
    user_id: int, shop_id: int, name: str, *, lifetime: timedelta | None = None, address: str | None = None
) -> str:
    """A new key to a store of the user's; shown once, stored hashed; without a lifetime it opens until it is revoked.

    Raises NotPermitted, InputError.
    """
    name, secret, now = accounts.as_name(name), PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
    with system_session(write=True) as session:
        user, _ = members.permit(session, user_id, shop_id, "make_key")
        if len(session.exec(select(ApiKey.id).where(ApiKey.user_id == user_id, _live())).all()) >= MOST:
            raise InputError(f"You have {MOST} keys already. Revoke one you do not need any more.")
        session.add(
            ApiKey(
                user_id=user_id,
                shop_id=shop_id,
                name=name,
                hash=digest(secret),
                hint=secret[-4:],
                created_at=now,
                expires_at=now + lifetime if lifetime else None,
            )
        )
        audit.record(user.email, "key_made", shop_id=shop_id, target=name, address=address, session=session)
    return secret


def verify(secret: str, address: str | None = None) -> KeyAccess | None:
    """What the key opens now; None if it is unknown, revoked or over, or its user may not see the store any more.

    The first use of a day is told to the audit list, with the network address it came from.
    """
    with system_session() as session:
        key = session.exec(select(ApiKey).where(ApiKey.hash == digest(secret), _live())).first()
        if key is None or key.id is None:
            return None
        try:
            user, role = members.permit(session, key.user_id, key.shop_id, "view")
        except NotPermitted:
            return None
        shop = accounts.access(session.get_one(Shop, key.shop_id), role)
        access = KeyAccess(key.id, key.user_id, user.email, key.shop_id, role, shop)
    if key.used_at is None or datetime.now(UTC) - key.used_at >= USED_EVERY:
        # Behind another writer the answer matters more than the note.
        with suppress(DatabaseUnavailable):
            _note_use(key, user.email, address)
    return access


def _note_use(key: ApiKey, email: str, address: str | None) -> None:
    before, now = key.used_at, datetime.now(UTC)
    with system_session(write=True) as session:
        unchanged = col(ApiKey.used_at).is_(None) if before is None else col(ApiKey.used_at) == before
        noted: Any = session.exec(update(ApiKey).where(col(ApiKey.id) == key.id, unchanged).values(used_at=now))
        if noted.rowcount and (before is None or before.date() < now.date()):
            audit.record(email, "key_used", shop_id=key.shop_id, target=key.name, address=address, session=session)


def keys_of(user_id: int) -> tuple[KeyView, ...]:
    """The user's keys that still open a store, the newest first."""
    query = select(ApiKey, Shop.name).join(Shop, col(Shop.id) == col(ApiKey.shop_id))
    with system_session() as session:
        rows = session.exec(query.where(ApiKey.user_id == user_id, _live()).order_by(col(ApiKey.id).desc())).all()
    return tuple(
        KeyView(key.id or 0, key.name, shop, key.hint, key.created_at, key.used_at, key.expires_at)
        for key, shop in rows
    )


def revoke(user_id: int, key_id: int, *, address: str | None = None) -> None:
    """End one of the user's own keys at once."""
    with system_session(write=True) as session:
        query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id, _live())
        key = session.exec(query).first()
        if key is None:
            return
        key.revoked_at = datetime.now(UTC)
        actor = session.get_one(User, user_id).email
        audit.record(actor, "key_revoked", shop_id=key.shop_id, target=key.name, address=address, session=session)


def _live() -> ColumnElement[bool]:
    lasts = col(ApiKey.expires_at).is_(None) | (col(ApiKey.expires_at) > datetime.now(UTC))
    return col(ApiKey.revoked_at).is_(None) & lasts
