"""Signed-in browsers: a random secret each, whose hash is looked up on every run. Ended means ended at once."""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, update
from sqlmodel import Session, col, select

from core.auth import audit, tickets
from core.config import get_settings
from core.db.engine import system_session
from core.db.models import AuthSession, AuthTicket, User
from core.errors import DatabaseUnavailable, NotPermitted

LIFETIME = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=1)

XSRF_COOKIE = "_streamlit_xsrf"

# Purposes of the tickets that become a session.
COOKIE_TICKET = "sign-in"
TAB_TICKET = "tab"
# The password was right, the second factor is still asked for.
SECOND_FACTOR_TICKET = "second-factor"


@dataclass(frozen=True)
class SessionView:
    """A live session, as plain values; `id_hash` names it and opens nothing."""

    id_hash: str
    user_id: int
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str | None
    browser: str | None
    tour_over: bool


def start(user_id: int, address: str | None, browser: str | None) -> str:
    """Begin a session of 12 hours; its secret, known to the browser alone. Raises NotPermitted.

    `browser` is the User-Agent header. Sessions that expired are cleared away.
    """
    secret = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        user = session.get(User, user_id)
        if user is None or not may_sign_in(user):
            raise NotPermitted("This account is switched off. Ask an owner of your store to switch it on.")
        session.exec(delete(AuthSession).where(col(AuthSession.expires_at) <= now))
        session.add(
            AuthSession(
                id_hash=tickets.digest(secret),
                user_id=user_id,
                token_version=user.token_version,
                created_at=now,
                seen_at=now,
                expires_at=now + LIFETIME,
                address=address,
                browser=browser[:300] if browser else None,
            )  # fmt: skip
        )
        audit.record(user.email, "sign_in", address=address, session=session)
    return secret


def check(id_hash: str) -> SessionView | None:
    """The session, while it is neither ended nor expired and its user may sign in, else None.

    Notes once a minute at most that it was seen.
    """
    with system_session() as session:
        found = find(session, id_hash)
    if found is None:
        return None
    note_seen(found[0])
    return found[0]


def find(session: Session, id_hash: str) -> tuple[SessionView, User] | None:
    """The same in the caller's transaction, with its user; afterwards note_seen() is due."""
    query = (
        select(AuthSession, User)
        .join(User, col(User.id) == AuthSession.user_id)
        .where(AuthSession.id_hash == id_hash, *alive(datetime.now(UTC)))
    )
    row = session.exec(query).first()
    return (view_of(row[0]), row[1]) if row is not None and may_sign_in(row[1]) else None


def note_seen(view: SessionView) -> None:
    """Write down that a session was seen, once a minute at most."""
    now = datetime.now(UTC)
    if now - view.seen_at >= SEEN_EVERY:
        _saw(view.id_hash, now)


def end_tour(id_hash: str) -> None:
    """Show a session's visitor the tour no more, in any tab; of a demo account others see it still."""
    over = update(AuthSession).where(col(AuthSession.id_hash) == id_hash).values(tour_over_at=datetime.now(UTC))
    with suppress(DatabaseUnavailable), system_session(write=True) as session:  # the open page remembers it anyhow
        session.exec(over)


def end(
    id_hash: str, *, user_id: int | None = None, action: str = "sign_out", address: str | None = None
) -> int | None:
    """End a session, with `user_id` only if it is this user's; whose it was, or None where there was none to end.

    `action` is what the audit says of it, `address` where it was asked from.
    """
    now = datetime.now(UTC)
    ended = (
        update(AuthSession)
        .where(col(AuthSession.id_hash) == id_hash, col(AuthSession.revoked_at).is_(None))
        .where(col(AuthSession.expires_at) > now)
        .values(revoked_at=now)
        .returning(col(AuthSession.user_id))
        .execution_options(synchronize_session=False)
    )
    if user_id is not None:
        ended = ended.where(col(AuthSession.user_id) == user_id)
    with system_session(write=True) as session:
        row = session.exec(ended).first()
        if row is None:
            return None
        whose: int = row.user_id
        audit.record(session.get_one(User, whose).email, action, address=address, session=session)
    return whose


def end_all(user_id: int, *, session: Session | None = None) -> None:
    """End every session of a user, and the sign-ins that are on their way, by raising the token version.

    With `session` it happens when that write session commits.
    """
    raised = update(User).where(col(User.id) == user_id).values(token_version=col(User.token_version) + 1)
    with tickets.writing(session) as transaction:
        transaction.exec(raised)
        transaction.exec(
            delete(AuthTicket).where(
                col(AuthTicket.user_id) == user_id,
                col(AuthTicket.purpose).in_((COOKIE_TICKET, TAB_TICKET, SECOND_FACTOR_TICKET)),
            )
        )


def sign_out_everywhere(user_id: int, *, address: str | None = None) -> None:
    """End every session of a user because the user asks for it."""
    with system_session(write=True) as session:
        end_all(user_id, session=session)
        audit.record(session.get_one(User, user_id).email, "sign_out_everywhere", address=address, session=session)


def sessions_of(user_id: int) -> tuple[SessionView, ...]:
    """The user's live sessions, the one seen last first."""
    query = (
        select(AuthSession)
        .join(User, col(User.id) == AuthSession.user_id)
        .where(AuthSession.user_id == user_id, *alive(datetime.now(UTC)))
        .order_by(col(AuthSession.seen_at).desc(), AuthSession.id_hash)
    )
    with system_session() as session:
        return tuple(map(view_of, session.exec(query)))


def may_sign_in(user: User) -> bool:
    """Whether this user exists for the sign-in: demo users, whose passwords anybody can read, only while DEMO is on."""
    return user.active and (user.demo_password is None or get_settings().demo)


def browser_of(cookie: str | None) -> str | None:
    """What Streamlit's XSRF cookie stands for, random per browser; it is sent under a new mask each time."""
    parts = cookie.split("|") if cookie is not None else []
    try:
        mask, masked = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
        return bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked)).hex()
    except (IndexError, ValueError):
        return None


def alive(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The conditions on a live session and its user; afterwards may_sign_in() is due."""
    return (
        col(AuthSession.revoked_at).is_(None),
        col(AuthSession.expires_at) > now,
        col(User.active).is_(True),
        col(User.token_version) == col(AuthSession.token_version),
    )


def _saw(id_hash: str, now: datetime) -> None:
    seen = (
        update(AuthSession)
        .where(col(AuthSession.id_hash) == id_hash, col(AuthSession.seen_at) <= now - SEEN_EVERY)
        .values(seen_at=now)
    )
    # Behind another writer or on a full disk the page matters more than the note.
    with suppress(DatabaseUnavailable), system_session(write=True) as session:
        session.exec(seen)


def view_of(row: AuthSession) -> SessionView:
    """A session as plain values."""
    times = (row.created_at, row.seen_at, row.expires_at)
    return SessionView(row.id_hash, row.user_id, *times, row.address, row.browser, row.tour_over_at is not None)
