"""Tables as files have them: exact cells with units, every row of them."""

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any, Literal

import numpy as np
import pandas as pd

from core.analytics.metrics import METRIC
from core.db.money import from_minor

# An id is a number that nobody adds up; a number is a plain decimal, such as an average.
Unit = Literal["text", "id", "date", "money", "count", "percent", "number"]
Cell = str | int | float | date | None


@dataclass(frozen=True)
class Column:
    """A column: its name in CSV, the unit of its cells, its title for people and what it means."""

    slug: str
    unit: Unit
    label: str = ""
    definition: str = ""

    @property
    def title(self) -> str:
        """The title for people."""
        return self.label or self.slug.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Measured:
    """A cell whose unit is not its column's: rows of different measures."""

    value: Cell
    unit: Unit


Row = Sequence[Cell | Measured]


@dataclass(frozen=True)
class Table:
    """Rows under columns. Money is in minor units of the shop's currency, percents are fractions of 1, unknown is None.

    `total` is the row that the others add up to; it is not among `rows`.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    total: Row | None = None


def of_frame(title: str, frame: pd.DataFrame, columns: Sequence[Column], total: Row | None = None) -> Table:
    """The columns of a frame by their slugs; what pandas has as missing is unknown."""
    rows = frame[[column.slug for column in columns]].astype(object).itertuples(index=False, name=None)
    return Table(title, tuple(columns), [[_cell(cell) for cell in row] for row in rows], total)


def measure(slug: str) -> Column:
    """The column of one of METRICS."""
    metric = METRIC[slug]
    return Column(slug, metric.unit, metric.label, metric.definition)


def cells(row: Row, columns: Sequence[Column]) -> list[tuple[Cell, Unit]]:
    """The cells of a row, each with its unit."""
    return [
        (cell.value, cell.unit) if isinstance(cell, Measured) else (cell, column.unit)
        for cell, column in zip(row, columns, strict=True)
    ]


def csv_text(table: Table, currency: str) -> str:
    """A table as CSV: exact decimal amounts, percents as fractions of 1, ISO dates, unknown empty; the total is last.

    A text that a spreadsheet would run as a formula gets an apostrophe in front: titles come from outside.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(f"{column.slug} {currency}" if column.unit == "money" else column.slug for column in table.columns)
    for row in chain(table.rows, [table.total] if table.total is not None else []):
        writer.writerow(_written(cell, unit, currency) for cell, unit in cells(row, table.columns))
    return out.getvalue()


def _cell(cell: Any) -> Cell:
    """A value of a frame as plain Python has it."""
    plain = cell.item() if isinstance(cell, np.generic) else cell
    known: Cell = None if plain is pd.NaT or (isinstance(plain, float) and math.isnan(plain)) else plain
    return known


def _written(cell: Cell, unit: Unit, currency: str) -> str:
    if cell is None:
        return ""
    if unit == "money" and isinstance(cell, int):
        return f"{from_minor(cell, currency):f}"
    if isinstance(cell, date):
        return cell.isoformat()
    return harmless(cell) if isinstance(cell, str) else str(cell)


def harmless(text: str) -> str:
    """A text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) and not _NUMBER.fullmatch(text) else text


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
