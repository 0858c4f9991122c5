"""Excel workbooks: a sheet per table, and one that says what they are.

Every number is a number with the unit's format, every text is written as text: Excel runs none of it as a formula.
"""

import io
import math
import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import Any

import xlsxwriter
from sqlmodel import Session

from core.analytics.period import Period, automatic_grain
from core.analytics.report import report
from core.db.money import exponent, from_minor
from core.db.narrowed import filters_of
from core.errors import InputError
from core.reports import overview
from core.reports.about import About, Store
from core.reports.span import filters_by_name
from core.reports.table import Column, Row, Table, Unit, cells

MOST_ROWS = 1_048_575  # a sheet of Excel holds one more, the header
# Excel keeps so many digits of a number; one with more is written as text, so that none is lost.
_MOST_DIGITS = 15
_MOST_WIDTH = 60
_ROWS_FOR_WIDTH = 200


def overview_workbook(session: Session, store: Store, period: Period, against: Period | None) -> bytes:
    """The overview of a period as a workbook. The session is a shop_session() of the store, narrowed or not."""
    grain = automatic_grain(period)
    now = report(session, period, grain)
    before = report(session, against, grain, top=0) if against else None
    return workbook(
        About(store, "Overview", period, against, filters_by_name(filters_of(session))),
        overview.tables(now, before, store.time_zone),
    )


def workbook(about: About, tables: Sequence[Table]) -> bytes:
    """A sheet about the file, then one per table. Raises InputError for a table that Excel cannot hold."""
    for table in tables:
        if len(table.rows) >= MOST_ROWS:
            raise InputError(f"{table.title} has {len(table.rows):,} rows, more than Excel holds. Take it as CSV.")
    out = io.BytesIO()
    # Rows go to a file on disk one by one, so that there may be many.
    with TemporaryDirectory(prefix="shoptally-") as folder:
        book = xlsxwriter.Workbook(out, {"constant_memory": True, "tmpdir": folder})
        book.set_properties({"title": about.title, "company": about.store.name, "comments": "Made by Shoptally"})
        formats = _formats(book, about.store.currency)
        first = book.add_worksheet("About")
        named = list(zip(_sheet_names([table.title for table in tables]), tables, strict=True))
        for name, table in named:
            _fill(book.add_worksheet(name), table, about.store.currency, formats)
        _describe(first, about, named, formats)
        book.close()
    return out.getvalue()


def _fill(sheet: Any, table: Table, currency: str, formats: dict[str, Any]) -> None:
    widths = [len(_header(column, currency)) for column in table.columns]
    for at, column in enumerate(table.columns):
        sheet.write_string(0, at, _header(column, currency), formats["header"])
    for number, row in enumerate(table.rows, start=1):
        if number <= _ROWS_FOR_WIDTH:
            found = cells(row, table.columns)
            sizes = [len(str(cell)) + (4 if unit == "money" else 0) for cell, unit in found]
            widths = [max(pair) for pair in zip(widths, sizes, strict=True)]
        _write(sheet, number, row, table.columns, currency, formats, "")
    last = len(table.rows)
    if table.total is not None:
        _write(sheet, last + 1, table.total, table.columns, currency, formats, "total ")
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, max(last, 1), len(table.columns) - 1)
    for at, width in enumerate(widths):
        sheet.set_column(at, at, min(width + 3, _MOST_WIDTH))


def _write(
    sheet: Any, at: int, row: Row, columns: Sequence[Column], currency: str, formats: dict[str, Any], kind: str
) -> None:
    for number, (cell, unit) in enumerate(cells(row, columns)):
        if cell is None:
            sheet.write_blank(at, number, None, formats[f"{kind}text"])
        elif isinstance(cell, date):
            sheet.write_datetime(at, number, cell, formats[f"{kind}date"])
        elif isinstance(cell, str) or unit in ("text", "id") or not math.isfinite(cell):
            sheet.write_string(at, number, str(cell), formats[f"{kind}text"])
        else:
            exact = from_minor(int(cell), currency) if unit == "money" else Decimal(str(cell))
            if len(exact.normalize().as_tuple().digits) > _MOST_DIGITS and unit in ("money", "count"):
                sheet.write_string(at, number, f"{exact:f}", formats[f"{kind}text"])
            else:
                sheet.write_number(at, number, exact if unit == "money" else cell, formats[f"{kind}{unit}"])


def _describe(sheet: Any, about: About, named: Sequence[tuple[str, Table]], formats: dict[str, Any]) -> None:
    """The sheet in front: what the file is, how many rows each sheet has, what each column means."""
    rows: list[tuple[Sequence[str | int], str]] = [((label, text), "text") for label, text in about.lines()]
    rows += [((), "text"), (("Sheet", "Rows without the header and the total"), "header")]
    rows += [((name, len(table.rows)), "count") for name, table in named]
    rows += [((), "text"), (("Column", "What it means", "Unit"), "header")]
    meanings = {
        column.title: ((column.title, column.definition, _UNITS[column.unit].format(about.store.currency)), "text")
        for _, table in named
        for column in table.columns
        if column.definition
    }
    for at, (texts, kind) in enumerate([*rows, *meanings.values()]):
        for number, text in enumerate(texts):
            if isinstance(text, int):
                sheet.write_number(at, number, text, formats[kind])
            else:
                sheet.write_string(at, number, text, formats["text" if kind == "count" else kind])
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 90)
    sheet.set_column(2, 2, 22)


def _header(column: Column, currency: str) -> str:
    return f"{column.title} ({currency})" if column.unit == "money" else column.title


def _formats(book: Any, currency: str) -> dict[str, Any]:
    decimals = exponent(currency)
    numbers: dict[Unit, str] = {
        "text": "@", "id": "@", "date": "yyyy-mm-dd", "count": "#,##0", "percent": "0.0%", "number": "#,##0.00",
        "money": "#,##0" + (f".{'0' * decimals}" if decimals else ""),
    }  # fmt: skip
    found: dict[str, Any] = {"header": book.add_format({"bold": True, "bottom": 1, "num_format": "@"})}
    for unit, text in numbers.items():
        found[unit] = book.add_format({"num_format": text})
        found[f"total {unit}"] = book.add_format({"num_format": text, "bold": True, "top": 1})
    return found


def _sheet_names(titles: Sequence[str]) -> Iterator[str]:
    """Names Excel takes: at most 31 characters, none of []:*?/\\ and no two alike."""
    taken = {"about", "history"}  # Excel keeps the latter for itself
    for title in titles:
        clean = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", title).strip(" '")[:31] or "Table"
        name, number = clean, 2
        while name.lower() in taken:
            name, number = f"{clean[:27]} {number}", number + 1
        taken.add(name.lower())
        yield name


_UNITS: dict[Unit, str] = {
    "text": "Text", "id": "Number of Shopify's", "date": "Day of the store's calendar", "count": "Count",
    "percent": "Percent", "money": "Money in {}", "number": "Number",
}  # fmt: skip
