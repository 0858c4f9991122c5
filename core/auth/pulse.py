"""Whether an open page is out of date: one row, asked every moment by every open page."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, exists, or_
from sqlmodel import col, select

from core.auth import sessions
from core.db.engine import system_session
from core.db.models import AuthSession, Membership, Shop, SyncState, User


@dataclass(frozen=True)
class Pulse:
    """What a page of a store has to be drawn anew for: the version of its data, the reader's role, a sync at work."""

    data_version: int
    role: str
    busy: bool


def pulse(id_hash: str, shop_id: int) -> Pulse | None:
    """The pulse of a store for a live session that may open it; None once it ended, or the store is out of reach."""
    now = datetime.now(UTC)
    at_work = exists(
        select(SyncState.stream).where(
            SyncState.shop_id == shop_id, or_(col(SyncState.lease_until) > now, col(SyncState.due_at) <= now)
        )
    )
    columns: list[Any] = [AuthSession, User, Shop.data_version, Membership.role, at_work]
    query = (
        select(*columns)
        .select_from(AuthSession)
        .join(User, col(User.id) == AuthSession.user_id)
        .join(Membership, and_(col(Membership.user_id) == col(User.id), col(Membership.shop_id) == shop_id))
        .join(Shop, col(Shop.id) == col(Membership.shop_id))
        .where(AuthSession.id_hash == id_hash, *sessions.alive(now))
        .where(or_(col(User.show_demo), ~col(Shop.is_demo)))
        .where(or_(~col(Shop.needs_second_factor), col(User.totp_secret).is_not(None)))
    )
    with system_session() as session:
        found = session.execute(query).first()
    if found is None or not sessions.may_sign_in(found[1]):
        return None
    sessions.note_seen(sessions.view_of(found[0]))
    return Pulse(found[2], found[3], bool(found[4]))
