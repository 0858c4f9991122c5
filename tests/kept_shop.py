"""Shops that many tests begin with: stored or synced once on each database, then put back row by row."""

import sqlite3
import tempfile
from collections.abc import Callable, Hashable
from contextlib import closing
from functools import cache
from pathlib import Path

from sqlalchemy import Connection
from sqlmodel import select

from core.db.engine import get_engine, system_session
from core.db.models import Model, Shop
from core.db.vault import seal
from core.demo import server, views
from core.demo.catalogue import DemoShop
from tests.demo_http import HARBOR
from tests.demo_sync import ALICE, Stage, add_demo_shop, sync

_TABLES = tuple(Model.metadata.sorted_tables)
_KEPT: dict[tuple[str, Hashable], str] = {}


def add_synced_shop(stage: Stage, shop_id: int = ALICE, demo: DemoShop = HARBOR) -> None:
    """A connected demo shop, synced at the stage's moment; call it before any other row is there.

    What the sync asked for is not in `stage.asked`.
    """

    def first_sync() -> None:
        add_demo_shop(shop_id, demo, opened_on=stage.opened_on)
        assert sync(shop_id).outcome == "ok"
        stage.asked.clear()
        server._PLACES.clear()  # what is put back knows of no bulk operation either

    keep((shop_id, demo.domain, stage.opened_on, stage.now, views.left_on), first_sync)
    with system_session(write=True) as session:  # each test has a key of its own
        session.get_one(Shop, shop_id).token = seal(demo.token, str(demo.number))


def keep(name: Hashable, fill: Callable[[], object]) -> None:
    """Fill empty tables as `fill` does, which runs once for each name and database."""
    key = (get_engine().dialect.name, name)
    with system_session() as session:
        assert session.exec(select(Shop)).first() is None, "what is kept are all rows"
    if key in _KEPT:
        _put_back(_KEPT[key])
        return
    fill()
    _KEPT[key] = _keep(f"kept_{len(_KEPT)}")


def _keep(name: str) -> str:
    """Copy every table; where to is a schema on PostgreSQL and a file on SQLite."""
    engine = get_engine()
    if engine.dialect.name == "sqlite":
        name = str(Path(_folder().name) / name)
        with closing(sqlite3.connect(str(engine.url.database))) as connection:
            connection.execute("VACUUM INTO ?", (name,))
        return name
    with engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        for table in _TABLES:
            connection.exec_driver_sql(f'CREATE TABLE {name}."{table.name}" AS TABLE "{table.name}"')
    return name


def _put_back(name: str) -> None:
    engine = get_engine()
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as connection:
            connection.execute("ATTACH ? AS kept", (name,))
            connection.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                connection.execute(f'INSERT INTO main."{table.name}" SELECT * FROM kept."{table.name}"')
            connection.execute("COMMIT")
        return
    with engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        inserts = (f'INSERT INTO "{table.name}" SELECT * FROM {name}."{table.name}"' for table in _TABLES)
        connection.exec_driver_sql("; ".join(inserts))
        _move_sequences(connection)


def _move_sequences(connection: Connection) -> None:
    for table in _TABLES:
        if table.autoincrement_column is not None:
            column = table.autoincrement_column.name
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('\"{table.name}\"', '{column}'), max({column}))"
                f' FROM "{table.name}" HAVING max({column}) IS NOT NULL'
            )


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="shoptally-kept-", ignore_cleanup_errors=True)
