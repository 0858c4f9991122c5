"""Bring the database to the newest tables, with isolation in force: at every start, by any number of processes."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy import exc as sa_exc

from core.db import isolation
from core.db.engine import get_engine, unavailable
from core.errors import DatabaseUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_412_025  # any constant number: PostgreSQL's advisory lock for this app's migrations


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def migrate(engine: Engine | None = None) -> None:
    """Apply what is missing, in one transaction behind one lock: the second process finds nothing left to do.

    Raises DatabaseUnavailable: also when the tables are newer than this program, or shops cannot be kept apart.
    """
    engine = engine or get_engine()
    config = alembic_config()
    try:
        # On SQLite the lock is BEGIN IMMEDIATE itself.
        with engine.execution_options(writes=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            config.attributes["connection"] = connection
            if not _has_newest(connection):
                isolation.lift(connection)
                command.upgrade(config, "head")
            isolation.enforce(connection)
            isolation.check(connection)
    except sa_exc.DatabaseError as error:
        if isinstance(error, sa_exc.OperationalError) or "not a database" in str(error.orig):
            raise unavailable(error.orig) from error
        raise
    except CommandError as error:
        raise DatabaseUnavailable(
            "The database was written by a newer version of Shoptally. Update the program, or restore a backup."
        ) from error


def is_current(engine: Engine) -> bool:
    """Whether the database has exactly the newest tables."""
    with engine.connect() as connection:
        return _has_newest(connection)


def stored_version(connection: Connection) -> str | None:
    """The version of the tables that are there; None where there are none of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return version


def newest_version() -> str:
    """The version of the tables that this program needs."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def _has_newest(connection: Connection) -> bool:
    return stored_version(connection) == newest_version()
