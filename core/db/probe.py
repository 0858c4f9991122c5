"""What a doctor asks the database: what it is, and whether one store's session really reaches nothing of another's.

The trial writes two stores that no store can be, tries, and rolls everything back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import Session
from sqlmodel import select

from core.db import isolation
from core.db.engine import get_engine, unavailable
from core.db.filters import EVERYTHING
from core.db.guard import GuardedSession
from core.db.migrate import newest_version, stored_version
from core.db.models import QuarantinedRow, Shop

_MINE, _OTHERS = -1, -2


@dataclass(frozen=True)
class DatabaseFacts:
    """The program that keeps the rows, the tables' version and the newest one, and its clock (None: our own)."""

    program: str
    version: str | None
    newest: str
    now: datetime | None


def database_facts() -> DatabaseFacts:
    """Ask the database about itself; nothing is changed. Raises ConfigError, DatabaseUnavailable."""
    try:
        with get_engine().connect() as connection:
            version = stored_version(connection)
            if connection.dialect.name == "sqlite":
                number = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
                return DatabaseFacts(f"SQLite {number}", version, newest_version(), None)
            number = connection.exec_driver_sql("SHOW server_version").scalar_one()
            now: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
            return DatabaseFacts(f"PostgreSQL {str(number).split()[0]}", version, newest_version(), now.astimezone(UTC))
    except sa_exc.DatabaseError as error:
        raise unavailable(error.orig) from error


def try_isolation(engine: Engine | None = None) -> list[str]:
    """What is wrong with keeping stores apart, one clause each; empty when every attempt was refused.

    Raises DatabaseUnavailable.
    """
    try:
        with (engine or get_engine()).execution_options(writes=True).connect() as connection:
            transaction = connection.begin()
            try:
                return isolation.faults(connection) or list(_attempts(connection))
            finally:
                transaction.rollback()
    except sa_exc.OperationalError as error:
        raise unavailable(error.orig) from error


def _attempts(connection: Connection) -> Iterator[str]:
    at = datetime.now(UTC)
    with _acting(connection, None) as session:
        for number in (_MINE, _OTHERS):
            domain = f"probe{number}.invalid"
            names: Any = {"domain": domain, "name": domain, "currency": "USD", "time_zone": "UTC", "token": ""}
            session.add(Shop(id=number, gid=number, created_at=at, **names))
    for number in (_MINE, _OTHERS):
        with _acting(connection, number) as session:
            kept: Any = {"key": "probe", "stream": "", "reason": "", "payload_hash": "", "seen_at": at}
            session.add(QuarantinedRow(shop_id=number, **kept))
    with _acting(connection, _MINE) as session:
        if list(session.scalars(select(QuarantinedRow.shop_id))) != [_MINE]:
            yield "a store's session reads rows of another"
        if list(session.scalars(select(Shop.id))) != [_MINE]:
            yield "a store's session reads another store"
        if connection.dialect.name == "postgresql":
            yield from _around_the_guard(session.connection())
    if connection.dialect.name == "postgresql":
        with _acting(connection, None) as session:
            if _count(session.connection()):
                yield "a session without a store reads rows of stores"


def _around_the_guard(connection: Connection) -> Iterator[str]:
    """Plain SQL of a store's session: row-level security alone is in its way."""
    if _count(connection) != 1:
        yield "SQL of a store's session reads rows of another"
    changed = connection.exec_driver_sql("UPDATE quarantined_row SET reason = 'x' WHERE shop_id = %s", (_OTHERS,))
    if changed.rowcount:
        yield "SQL of a store's session changes rows of another"
    if connection.exec_driver_sql("DELETE FROM quarantined_row WHERE shop_id = %s", (_OTHERS,)).rowcount:
        yield "SQL of a store's session deletes rows of another"
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(
                "INSERT INTO quarantined_row (shop_id, key, stream, reason, payload_hash, seen_at)"
                " VALUES (%s, 'more', '', '', '', now())",
                (_OTHERS,),
            )
        yield "SQL of a store's session writes rows for another"
    except sa_exc.ProgrammingError:
        return


def _count(connection: Connection) -> int:
    query = "SELECT count(*) FROM quarantined_row WHERE shop_id IN (%s, %s)"
    return int(connection.exec_driver_sql(query, (_MINE, _OTHERS)).scalar_one())


@contextmanager
def _acting(connection: Connection, shop_id: int | None) -> Iterator[Session]:
    """A session of the program's own kind, inside the transaction that is rolled back."""
    info = {"shop_id": shop_id, "filters": EVERYTHING}
    with GuardedSession(connection, info=info, join_transaction_mode="create_savepoint") as session:
        yield session
        session.commit()
