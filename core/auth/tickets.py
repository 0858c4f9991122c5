"""One-time secrets: sign-in, invite, reset, verify. Only the SHA-256 is stored, and taken means deleted."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from core.db.engine import system_session
from core.db.models import AuthTicket


@dataclass(frozen=True)
class Ticket:
    """What a secret stood for."""

    purpose: str
    user_id: int | None
    details: dict[str, Any]


def issue(
    purpose: str,
    *,
    user_id: int | None = None,
    details: dict[str, Any] | None = None,
    lifetime: timedelta,
    session: Session | None = None,
) -> str:
    """A new secret of 32 random bytes for one purpose, in URL-safe letters; expired tickets are cleared away.

    With `session` it becomes valid only when that write session commits.
    """
    secret = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    ticket = AuthTicket(
        hash=digest(secret), purpose=purpose, user_id=user_id, details=details or {}, expires_at=now + lifetime
    )
    with writing(session) as transaction:
        transaction.exec(delete(AuthTicket).where(col(AuthTicket.expires_at) <= now))
        transaction.add(ticket)
        transaction.flush()
    return secret


def redeem(secret: str, purpose: str, *, session: Session | None = None) -> Ticket | None:
    """Take the ticket: the first who asks gets it, everybody after that, and whoever comes too late, gets None.

    With `session` the ticket is used up only when that write session commits.
    """
    taken = (
        delete(AuthTicket)
        .where(col(AuthTicket.hash) == digest(secret), col(AuthTicket.purpose) == purpose)
        .where(col(AuthTicket.expires_at) > datetime.now(UTC))
        .returning(col(AuthTicket.user_id), col(AuthTicket.details))
    )
    with writing(session) as transaction:
        row = transaction.exec(taken).first()
    return Ticket(purpose, row.user_id, row.details) if row is not None else None


def peek(secret: str, purpose: str) -> Ticket | None:
    """What redeem() would answer now, without taking it: a link may be opened by a mail scanner first."""
    query = select(AuthTicket).where(
        AuthTicket.hash == digest(secret), AuthTicket.purpose == purpose, AuthTicket.expires_at > datetime.now(UTC)
    )
    with system_session() as session:
        ticket = session.exec(query).first()
    return Ticket(purpose, ticket.user_id, ticket.details) if ticket is not None else None


def withdraw(user_id: int, purpose: str, *, session: Session | None = None) -> None:
    """Void what was issued to this user for this purpose and not taken yet."""
    with writing(session) as transaction:
        transaction.exec(
            delete(AuthTicket).where(col(AuthTicket.user_id) == user_id, col(AuthTicket.purpose) == purpose)
        )


def digest(secret: str) -> str:
    """What is stored of a random secret; it has 256 bits, so nothing slower is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def writing(session: Session | None) -> Iterator[Session]:
    """The write session given, or one of its own."""
    if session is not None:
        yield session
        return
    with system_session(write=True) as own:
        yield own
