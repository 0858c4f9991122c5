"""The database: one engine per process, one session per unit of work.

A session belongs to one shop (shop_session) or to none (system_session), and never changes it. Two locks hold it
to that: the guard (core/db/guard.py) on both databases, row-level security (core/db/isolation.py) on PostgreSQL.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, event
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import Session as AnySession
from sqlmodel import Session, create_engine

from core.config import Settings, get_settings
from core.db.filters import EVERYTHING, Filters
from core.db.guard import GuardedSession
from core.db.isolation import APP_ROLE
from core.errors import ConfigError, DatabaseUnavailable, UnscopedQueryError


@cache
def get_engine() -> Engine:
    """The process-wide engine, by the settings. Raises ConfigError, DatabaseUnavailable."""
    return make_engine(get_settings())


def make_engine(settings: Settings) -> Engine:
    """An engine for DATABASE_URL, its data folder made. Raises ConfigError, DatabaseUnavailable."""
    if settings.is_sqlite:
        _make_folder(settings)
    try:
        # hide_parameters: exception texts would otherwise carry customers' rows into the log.
        engine = create_engine(settings.database_url, hide_parameters=True, **_OPTIONS[settings.is_sqlite])
    except (sa_exc.ArgumentError, ValueError) as error:
        raise ConfigError(
            "DATABASE_URL cannot be read. Write sqlite:////absolute/path.db or "
            "postgresql://user:password@host:5432/name, with %40 for an @ in the password."
        ) from error
    if settings.is_sqlite:
        _prepare_sqlite(engine)
    return engine


_SQLITE_WAITS_S = 30
# By whether it is SQLite. On PostgreSQL a client that went away must not keep a query or a lock alive.
_OPTIONS: dict[bool, dict[str, Any]] = {
    # Of statements with a thousand ids each prepared one takes 100 kB, and Python keeps 128 unless told otherwise.
    True: {"connect_args": {"timeout": _SQLITE_WAITS_S, "cached_statements": 32}},
    False: {
        "pool_pre_ping": True,
        "pool_size": 10,
        "connect_args": {
            "connect_timeout": 10,
            "options": "-c timezone=UTC -c statement_timeout=120000 -c lock_timeout=30000"
            " -c idle_in_transaction_session_timeout=120000",
        },
    },
}


def _make_folder(settings: Settings) -> None:
    path = settings.database_url.split(":///", 1)[-1].split("?")[0]
    if not path or path == ":memory:":
        return
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"The data folder {folder} cannot be created ({error.strerror}). "
            "Set DATA_DIR to a folder this process may write to."
        ) from error


# A first sync writes all over its indexes: with SQLite's own 2 MB of cache it took a tenth longer.
_PRAGMAS = ("synchronous=FULL", "foreign_keys=ON", "cache_size=-32000")


def _prepare_sqlite(engine: Engine) -> None:
    """WAL so that pages read while a sync writes; BEGIN IMMEDIATE for writers, else SQLite silently loses updates."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        cursor = connection.cursor()
        _use_wal(cursor)
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Turn WAL on. Where another process does so to the same new file, SQLite refuses at once instead of waiting."""
    give_up_at = time.monotonic() + _SQLITE_WAITS_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up_at:
                raise
            time.sleep(0.02)


def _session(shop_id: int | None, *, write: bool, filters: Filters = EVERYTHING) -> Session:
    engine = get_engine()
    info = {"shop_id": shop_id, "filters": filters}
    return GuardedSession(engine.execution_options(writes=True) if write else engine, info=info, expire_on_commit=False)


@event.listens_for(AnySession, "after_begin")
def _take_role(session: AnySession, _: Any, connection: Connection) -> None:
    """For this transaction only: a pooled connection must carry nothing over to its next user.

    A session that neither shop_session nor system_session made sees no shop's rows at all.
    """
    if connection.dialect.name != "postgresql":
        return
    shop_id = session.info.get("shop_id")
    system = "on" if "shop_id" in session.info and shop_id is None else ""
    try:
        connection.exec_driver_sql(
            "SELECT set_config('role', %s, true), set_config('app.shop_id', %s, true),"
            " set_config('app.system', %s, true)",
            (APP_ROLE, "" if shop_id is None else str(shop_id), system),
        )
    except (sa_exc.ProgrammingError, sa_exc.DataError) as error:
        raise DatabaseUnavailable(
            f"The database does not let this user act as {APP_ROLE}. Run: python -m core migrate"
        ) from error


@contextmanager
def shop_session(shop_id: int, filters: Filters = EVERYTHING, *, write: bool = False) -> Iterator[Session]:
    """A transaction that sees one shop's rows: commits on success, rolls back on error.

    `filters` narrow what is read to some orders and products; who writes has to see everything.
    """
    if write and filters:
        raise ValueError("a session that writes sees everything")
    with _database_errors(), _session(shop_id, write=write, filters=filters) as session, session.begin():
        yield session


@contextmanager
def system_session(*, write: bool = False) -> Iterator[Session]:
    """A transaction for tables that belong to no shop. Touching a ShopScoped table raises UnscopedQueryError."""
    with _database_errors(), _session(None, write=write) as session, session.begin():
        yield session


_NO_ANSWER = (sqlite3.OperationalError, psycopg2.OperationalError, psycopg2.InterfaceError)


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except sa_exc.DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, _NO_ANSWER):
            raise unavailable(error.orig) from error
        raise
    except _NO_ANSWER as error:  # from upsert's own cursor
        raise unavailable(error) from error


def unavailable(error: BaseException | None) -> DatabaseUnavailable:
    """The sentence for the driver's error: a database that does not answer, or cannot write."""
    reason = next(iter(str(error).strip().splitlines()), "no reason given")
    if "readonly" in reason or "unable to open" in reason:
        return DatabaseUnavailable(
            f"The database file cannot be written ({reason}). Set DATA_DIR to a folder this process may write to."
        )
    if "not a database" in reason:
        return DatabaseUnavailable(
            "The database file holds something else. Set DATA_DIR to another folder, or move that file away."
        )
    if "locked" in reason:
        return DatabaseUnavailable("The database is busy with another writer. Try again in a moment.")
    if "full" in reason or "No space left" in reason:
        return DatabaseUnavailable("The disk is full. Free some space; what was stored before is intact.")
    return DatabaseUnavailable(
        f"The database does not answer ({reason}). Check DATABASE_URL and that the server is running."
    )


def shop_of(session: Session) -> int:
    """The shop a session belongs to. Raises UnscopedQueryError in a system session."""
    shop_id = session.info.get("shop_id")
    if not isinstance(shop_id, int):
        raise UnscopedQueryError("this needs a shop_session()")
    return shop_id
