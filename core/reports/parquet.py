"""Whole tables of a store as Parquet files for a warehouse: complete, in pieces that fit into memory."""

from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any

import pyarrow as pa
from pyarrow.parquet import ParquetWriter
from sqlmodel import Session

from core.analytics.frames_tables import TABLES, pieces
from core.errors import InputError

ROWS_AT_ONCE = 20_000


def write(session: Session, table: str, since: datetime | None, to: IO[bytes], *, personal: bool) -> int:
    """Write a table of TABLES, changed since a moment or all of it, and how many rows that were.

    Money is in minor units of the store's currency (int64), moments in UTC; `personal` says whether customers have
    their names and e-mails. Raises InputError for another table.
    """
    if table not in TABLES:
        raise InputError(f"There is no table {table!r}. Choose one of {', '.join(TABLES)}.")
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in TABLES[table].columns.items()])
    count = 0
    with ParquetWriter(to, schema, compression="zstd") as writer:
        for rows in pieces(session, table, since, ROWS_AT_ONCE, personal=personal):
            writer.write_table(_table(rows, schema))
            count += len(rows)
    return count


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns: Iterator[tuple[Any, ...]] = zip(*rows, strict=True)
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


_TYPES = {
    "whole": pa.int64(), "text": pa.string(), "yes_no": pa.bool_(), "day": pa.date32(),
    "moment": pa.timestamp("us", tz="UTC"),
}  # fmt: skip
