"""Many rows into one table at once, always of the session's own shop.

Rows are dicts without shop_id: it comes from the session, so a batch cannot reach another shop.
SQLite takes executemany; PostgreSQL takes COPY into a temporary table and one INSERT .. SELECT from there, because
a statement per row costs ten times as much and COPY itself knows no conflicts and no row-level security.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from io import StringIO
from itertools import repeat
from operator import itemgetter
from typing import Any

from sqlalchemy import Table, delete
from sqlmodel import Session, select

from core.db.engine import shop_of
from core.db.models import ShopScoped

Row = dict[str, Any]
_IDS_A_QUERY = 1000


def upsert(
    session: Session,
    model: type[ShopScoped],
    rows: Sequence[Row],
    *,
    newer_by: str | None = None,
    only: Sequence[str] | None = None,
    add: bool = False,
) -> None:
    """Insert rows or overwrite those with the same key.

    With `newer_by`, a newer one is never overwritten with an older one; with `only`, just these columns are; with
    `add`, numbers are added to those that are there. All rows have the same keys; no key may occur twice in one call.
    """
    if not rows:
        return
    table = _table(model)
    keys = [column.name for column in table.primary_key]
    updates = only or [name for name in rows[0] if name not in keys]
    there = f"{_q(table.name)}.{{}} + " if add else ""
    sets = (f"{_q(name)} = {there.format(_q(name))}excluded.{_q(name)}" for name in updates)
    action = f"UPDATE SET {', '.join(sets)}"
    if newer_by:
        stored = f"{_q(table.name)}.{_q(newer_by)}"
        action += f" WHERE {stored} IS NULL OR {stored} <= excluded.{_q(newer_by)}"
    _write(session, table, rows, f"ON CONFLICT ({', '.join(map(_q, keys))}) DO {action}")


def insert(session: Session, model: type[ShopScoped], rows: Sequence[Row], *, missing_only: bool = False) -> None:
    """Insert rows; with `missing_only`, leave those alone that are there already."""
    if rows:
        _write(session, _table(model), rows, "ON CONFLICT DO NOTHING" if missing_only else "")


def delete_where(session: Session, model: type[ShopScoped], column: str, values: Iterable[Any]) -> None:
    """Delete the shop's rows whose column has one of the values."""
    attribute = getattr(model, column)
    for chunk in chunks(values):
        session.execute(delete(model).where(attribute.in_(chunk)), execution_options={"synchronize_session": False})


def fetch(
    session: Session, model: type[ShopScoped], columns: Sequence[str], column: str, values: Iterable[Any]
) -> list[Any]:
    """The named columns of the shop's rows whose `column` has one of the values."""
    attribute = getattr(model, column)
    selected = [getattr(model, name) for name in columns]
    found: list[Any] = []
    for chunk in chunks(values):
        found += session.execute(select(*selected).where(attribute.in_(chunk))).all()
    return found


def chunks(values: Iterable[Any], size: int = _IDS_A_QUERY) -> Iterable[list[Any]]:
    """The values in lists short enough for one IN (...)."""
    every = list(values)
    return (every[start : start + size] for start in range(0, len(every), size))


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


def _q(name: str) -> str:
    return f'"{name}"'


def _write(session: Session, table: Table, rows: Sequence[Row], conflict: str) -> None:
    connection = session.connection()
    names = list(rows[0])
    columns = ", ".join(map(_q, ["shop_id", *names]))
    cursor = connection.connection.cursor()
    try:
        if connection.dialect.name == "sqlite":
            values = _columns(table, names, rows, shop_of(session), connection.dialect)
            marks = ", ".join("?" * (len(names) + 1))
            statement = f"INSERT INTO {_q(table.name)} ({columns}) VALUES ({marks}) {conflict}"
            cursor.executemany(statement, list(zip(*values, strict=True)))
        else:
            stage, target = _q(f"stage_{table.name}"), _q(table.name)
            cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} (LIKE {target}) ON COMMIT DELETE ROWS")
            cursor.execute(f"DELETE FROM {stage}")
            cursor.copy_expert(f"COPY {stage} ({columns}) FROM STDIN", _copy_text(names, rows, shop_of(session)))
            cursor.execute(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {stage} {conflict}")
    finally:
        cursor.close()


def _columns(table: Table, names: list[str], rows: Sequence[Row], shop_id: int, dialect: Any) -> list[Iterable[Any]]:
    """The batch column by column, converted as the driver wants it; moments and days repeat, so results are kept."""
    columns: list[Iterable[Any]] = [repeat(shop_id, len(rows))]
    for name in names:
        values = map(itemgetter(name), rows)
        converter = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        columns.append(map(lru_cache(4096)(converter), values) if converter else values)
    return columns


# COPY's text format: tabs between columns, \\N for null, backslashes before what would be misread.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copy_text(names: list[str], rows: Sequence[Row], shop_id: int) -> StringIO:
    columns = [repeat(str(shop_id), len(rows)), *(map(_copy_value, map(itemgetter(name), rows)) for name in names)]
    return StringIO("".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)))


def _copy_value(value: Any) -> str:
    if value is None:
        return "\\N"
    return value.translate(_ESCAPES) if isinstance(value, str) else str(value)
