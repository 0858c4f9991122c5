"""How often a sign-in may fail: counted in the database, by account and by address, before any hashing."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import delete, func
from sqlmodel import col, select

from core.db.engine import system_session
from core.db.models import LoginAttempt
from core.errors import TooManyAttempts

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = 5
PER_ADDRESS = 50

_LOCKED = (
    "There were too many sign-ins that failed. Wait 15 minutes and try again, "
    "or ask an owner of your store to reset your password."
)


@dataclass(frozen=True)
class Attempt:
    """A sign-in that counts as failed until it is forgiven; `last` says that a failure locks the account."""

    account_key: str
    ids: tuple[int, ...]
    last: bool


def admit(email: str, address: str | None) -> Attempt:
    """Let a sign-in go on to the password, counted as failed beforehand. Raises TooManyAttempts.

    Counted first and compared afterwards, so that of any number of guesses sent at once only the allowed ones pass.
    Names that nobody has are counted alike. What is refused does not count: a lock ends 15 minutes after the failures.
    """
    limits = {_key("account", email): PER_ACCOUNT}
    if address:
        limits[_key("address", _network(address))] = PER_ADDRESS
    now = datetime.now(UTC)
    rows = [LoginAttempt(key=key, at=now) for key in limits]
    with system_session(write=True) as session:
        session.exec(delete(LoginAttempt).where(col(LoginAttempt.at) <= now - WINDOW))
        session.add_all(rows)
        session.flush()
        ids = tuple(row.id or 0 for row in rows)
    query = select(LoginAttempt.key, func.count()).where(col(LoginAttempt.key).in_(limits)).group_by(LoginAttempt.key)
    with system_session() as session:
        counts = dict(session.exec(query.where(LoginAttempt.at > now - WINDOW)).all())
    if any(counts.get(key, 0) > limit for key, limit in limits.items()):
        with system_session(write=True) as session:
            session.exec(delete(LoginAttempt).where(col(LoginAttempt.id).in_(ids)))
        raise TooManyAttempts(_LOCKED)
    return Attempt(rows[0].key, ids, counts.get(rows[0].key, 0) == PER_ACCOUNT)


def forgive(attempt: Attempt) -> None:
    """It succeeded: forget the account's failures, and of the address's only this one."""
    with system_session(write=True) as session:
        session.exec(
            delete(LoginAttempt).where(
                (col(LoginAttempt.key) == attempt.account_key) | col(LoginAttempt.id).in_(attempt.ids)
            )
        )


def forget(email: str) -> None:
    """Unlock an account, because its password was reset."""
    with system_session(write=True) as session:
        session.exec(delete(LoginAttempt).where(col(LoginAttempt.key) == _key("account", email)))


def _key(kind: str, value: str) -> str:
    """Hashed, because people type passwords into the field for the address."""
    return f"{kind}:{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _network(address: str) -> str:
    """One household or server owns 2^64 addresses of IPv6."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((known, 64), strict=False)) if isinstance(known, IPv6Address) else address
