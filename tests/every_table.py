"""One row of a shop in every table that has a shop_id, made from its columns: new tables are attacked at once."""

from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlmodel.sql.sqltypes import AutoString

from core.db.models import Model, UtcDateTime

WITH_SHOP = [table for table in Model.metadata.sorted_tables if "shop_id" in table.c]
_VALUES: dict[type, Any] = {int: 1, str: "x", bytes: b"x", bool: False, dict: {}, list: [], date: date(2026, 6, 10)}


def fill(engine: Engine, shop_id: int, user_id: int = 1) -> None:
    """Give a shop a row in every table; its ids are those of every other shop, its texts tell of the shop."""
    with engine.execution_options(writes=True).begin() as connection:
        for table in WITH_SHOP:
            if counted(connection, table, shop_id) == 0:
                row = {name: _value(table, name, shop_id, user_id) for name in _given(table)}
                connection.execute(table.insert(), row)


def counted(connection: Connection, table: sa.Table, shop_id: int) -> int:
    """The rows of a shop in a table."""
    query = sa.select(sa.func.count()).select_from(table).where(table.c.shop_id == shop_id)
    return connection.execute(query).scalar_one()


def counts(engine: Engine, shop_id: int) -> dict[str, int]:
    """The rows of a shop, by table."""
    with engine.connect() as connection:
        return {table.name: counted(connection, table, shop_id) for table in WITH_SHOP}


def _given(table: sa.Table) -> list[str]:
    made = table.autoincrement_column
    return [column.name for column in table.c if column is not made]


def _value(table: sa.Table, name: str, shop_id: int, user_id: int) -> Any:
    kind = table.c[name].type
    if name in ("shop_id", "user_id"):
        return {"shop_id": shop_id, "user_id": user_id}[name]
    if isinstance(kind, UtcDateTime):
        return datetime(2026, 6, 10, 16, tzinfo=UTC)
    if isinstance(kind, sa.JSON):
        return {}
    return f"shop {shop_id}" if isinstance(kind, sa.String | AutoString) else _VALUES[kind.python_type]
