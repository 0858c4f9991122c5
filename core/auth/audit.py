"""Who did what: an append-only list, for owners and admins to read.

The actor is a user's e-mail, or what acted for nobody ("command line", "Shopify", "worker"). Nothing changes an
event; retention forgets it when the shop's keep_audit_days are over (core/db/isolation.py locks the table).
"""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from io import StringIO

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from core.db.engine import system_session
from core.db.models import AuditEvent, Membership, User


@dataclass(frozen=True)
class Event:
    """One event as plain values."""

    at: datetime
    actor: str
    action: str
    target: str
    address: str | None
    result: str


def record(
    actor: str,
    action: str,
    *,
    shop_id: int | None = None,
    target: str = "",
    address: str | None = None,
    result: str = "ok",
    session: Session | None = None,
) -> None:
    """Append an event: in the caller's transaction when given, else in one of its own.

    Inside a writing transaction hand that over: on SQLite a second writer would wait for the first one. A shop's
    session takes events of that shop only. Raises ValueError for an action that is not in ACTIONS.
    """
    if action not in ACTIONS:
        raise ValueError(f"{action} is not an action; add it to ACTIONS")
    event = AuditEvent(
        at=datetime.now(UTC), actor=actor, shop_id=shop_id, action=action, target=target, address=address, result=result
    )
    if session is None:
        with system_session(write=True) as own:
            own.add(event)
        return
    session.add(event)
    session.flush()


def events(
    shop_id: int, *, since: datetime, until: datetime, action: str | None = None, limit: int = 1000
) -> list[Event]:
    """A shop's events from `since` up to before `until`, the newest first, with those of its members' accounts.

    Sign-ins and passwords belong to no shop; here they show as long as their user is a member.
    """
    members = (
        select(User.email)
        .join(Membership, col(Membership.user_id) == col(User.id))
        .where(col(Membership.shop_id) == shop_id)
    )
    query = (
        select(AuditEvent)
        .where(
            or_(
                col(AuditEvent.shop_id) == shop_id,
                and_(col(AuditEvent.shop_id).is_(None), col(AuditEvent.actor).in_(members)),
            )
        )
        .where(col(AuditEvent.at) >= since, col(AuditEvent.at) < until)
        .order_by(col(AuditEvent.id).desc())
        .limit(limit)
    )
    if action is not None:
        query = query.where(col(AuditEvent.action) == action)
    with system_session() as session:
        return [
            Event(row.at, row.actor, row.action, row.target, row.address, row.result) for row in session.exec(query)
        ]


def as_csv(found: Sequence[Event]) -> str:
    """The events as CSV with a header; a text that a spreadsheet would run as a formula gets an apostrophe."""
    file = StringIO()
    writer = csv.writer(file)
    writer.writerow(field.name for field in fields(Event))
    writer.writerows([_cell(value) for value in astuple(event)] for event in found)
    return file.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    text = str(value or "")
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


# action: what a page calls it
ACTIONS: dict[str, str] = {
    "sign_in": "Signed in",
    "sign_in_failed": "Sign-in failed",
    "sign_in_locked": "Sign-in locked",
    "sign_out": "Signed out",
    "sign_out_everywhere": "Signed out everywhere",
    "session_revoked": "Session ended",
    "registered": "Account created",
    "email_verified": "E-mail verified",
    "email_changed": "E-mail changed",
    "password_changed": "Password changed",
    "password_reset": "Password reset",
    "second_factor_on": "Second factor switched on",
    "second_factor_off": "Second factor switched off",
    "user_disabled": "User switched off",
    "user_enabled": "User switched on",
    "invite": "Invited",
    "invite_accepted": "Invitation accepted",
    "role_change": "Role changed",
    "member_removed": "Member removed",
    "store_connect": "Store connected",
    "store_disconnect": "Store disconnected",
    "store_delete": "Store deleted",
    "store_settings": "Store settings changed",
    "sync_settings": "Sync settings changed",
    "dev_store_seeded": "Invented orders made",
    "dev_store_cleaned": "Invented orders deleted",
    "goal_set": "Goal set",
    "export": "Exported",
    "key_made": "API key made",
    "key_used": "API key used",
    "key_revoked": "API key revoked",
    "keys_rotated": "Encryption keys rotated",
    "privacy_request": "Privacy request",
    "view_shared": "View shared",
    "view_unshared": "View not shared any more",
    "view_deleted": "View deleted",
    "report_scheduled": "Report scheduled",
    "report_changed": "Report changed",
    "report_ended": "Report ended",
}
