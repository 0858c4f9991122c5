"""Migrations make exactly the tables of the models, on both databases."""

import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Connection, Engine, MetaData, event, inspect, select

from core.config import read_settings
from core.db.engine import make_engine
from core.db.migrate import alembic_config, is_current, migrate, stored_version
from core.db.models import Model
from core.errors import DatabaseUnavailable
from tests.test_app import new_database
from tests.test_backup import drop

VERSIONS = [str(one.revision) for one in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]


def test_the_migrated_tables_are_those_of_the_models(database: Engine):
    with database.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Model.metadata) == []


def test_migrating_again_changes_nothing(database: Engine):
    assert is_current(database)
    migrate(database)
    assert is_current(database)


def test_a_new_file_may_be_opened_by_many_at_once(tmp_path: Path):
    """SQLite turns WAL on for one of them, and refuses the others at once."""

    def open_it(number: int) -> None:
        engine = make_engine(read_settings({"DATABASE_URL": f"sqlite:///{tmp_path / str(number)}.db"}))
        together.wait()
        with engine.connect():
            pass
        engine.dispose()

    together = threading.Barrier(8)
    with ThreadPoolExecutor(8) as threads:
        for number in range(60):
            list(threads.map(open_it, [number] * 8))


def test_tables_of_a_newer_program_stop_the_start(database: Engine):
    newest = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with database.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    try:
        assert not is_current(database)
        with pytest.raises(DatabaseUnavailable, match="newer version"):
            migrate(database)
    finally:
        with database.execution_options(writes=True).begin() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{newest}'")


def engine_of(url: str) -> Engine:
    """As the program makes one."""
    return make_engine(read_settings({"DATABASE_URL": url}))


def as_left_by(version: str, engine: Engine) -> None:
    """The tables of an earlier version, with a row in each."""
    config = alembic_config()
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        tables = MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name != "alembic_version":
                connection.execute(table.insert(), {column.name: value_of(column) for column in table.c})


def value_of(column: Column) -> Any:
    """Something that fits; whatever points to something points to number 1."""
    if isinstance(column.type, JSON):
        return {}
    values = {int: 1, str: "x", bytes: b"x", bool: False, date: date(2026, 6, 10)}
    return values.get(column.type.python_type, datetime(2026, 6, 10, 16, tzinfo=UTC))


def rows(connection: Connection, columns: dict[str, list[str]]) -> dict[str, str]:
    """A hash of what these columns of these tables hold."""
    tables = MetaData()
    tables.reflect(connection)
    return {
        name: hashlib.sha256(
            repr(sorted(map(repr, connection.execute(select(*(tables.tables[name].c[one] for one in names)))))).encode()
        ).hexdigest()
        for name, names in columns.items()
    }


def killed(when: str, url: str) -> None:
    """Migrate in a process of its own that is killed after its first step, or when all is done but the commit."""
    pid = os.fork()
    if pid == 0:
        try:
            engine = engine_of(url)

            @event.listens_for(engine, "before_cursor_execute")
            def stepped(_: object, __: object, statement: str, *___: object) -> None:
                if when == "stepped" and statement.startswith("UPDATE alembic_version"):
                    os.kill(os.getpid(), signal.SIGKILL)

            @event.listens_for(engine, "commit")
            def done(_: object) -> None:
                os.kill(os.getpid(), signal.SIGKILL)

            migrate(engine)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.fixture
def fresh(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of one's own."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'earlier.db'}"
    else:
        url = new_database(request.getfixturevalue("postgres_url"))
        try:
            yield url
        finally:
            drop(url)


@pytest.mark.parametrize(
    "kind, version",
    [
        *(("sqlite", version) for version in VERSIONS[:-1]),
        *(("postgresql", version) for version in (VERSIONS[0], VERSIONS[-2])),
        *(pytest.param("postgresql", version, marks=pytest.mark.faults) for version in VERSIONS[1:-2]),
    ],
)
def test_rows_of_every_earlier_version_are_kept_although_the_first_migration_was_killed(
    kind: str, fresh: str, version: str
):
    engine = engine_of(fresh)
    as_left_by(version, engine)
    with engine.connect() as connection:
        found = inspect(connection)
        columns = {
            name: [column["name"] for column in found.get_columns(name)]
            for name in found.get_table_names()
            if name != "alembic_version"
        }
        before = rows(connection, columns)
    for when in ("stepped", "done"):
        killed(when, fresh)
        with engine.connect() as connection:
            assert (stored_version(connection), rows(connection, columns)) == (version, before)
            assert set(inspect(connection).get_table_names()) == {*columns, "alembic_version"}
    migrate(engine)
    with engine.connect() as connection:
        assert rows(connection, columns) == before
        assert compare_metadata(MigrationContext.configure(connection), Model.metadata) == []
    engine.dispose()
