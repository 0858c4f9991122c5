"""The overview of a period as tables: its figures, its days, its best customers and products."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from core.analytics.metrics import METRIC, METRICS, Value
from core.analytics.report import Report
from core.reports.table import Column, Measured, Row, Table, measure

CARDS = ("total_sales", "net_sales", "orders", "average_order_value", "customers", "returning_customer_rate")


def figures(report: Report, before: Report | None) -> Table:
    """Every metric of the period, of the compared one, and the change."""
    columns: tuple[Column, ...] = (Column("figure", "text"), Column("value", "number"))
    if before is not None:
        columns += (Column("before", "number", "Compared period"), Column("change", "percent", "Change", CHANGE))
    rows: list[Row] = []
    for metric in METRICS:
        now = report.totals[metric.slug]
        row: list[Any] = [metric.label, Measured(now, metric.unit)]
        if before is not None:
            there = before.totals[metric.slug]
            row += [Measured(there, metric.unit), metric.change(now, there)]
        rows.append(row)
    return Table("Figures", columns, rows)


def buckets(report: Report, slugs: Sequence[str] = tuple(METRIC)) -> Table:
    """A row per day, week or month with its metrics; the total is the whole period's."""
    spans = [bucket.period for bucket in report.period.buckets(report.grain)]
    numbers = report.by.to_dict("records")
    title = f"By {report.grain}"
    starts: tuple[Column, ...] = (Column("day", "date", "Day"),)
    if report.grain != "day":
        starts = (Column("from", "date", "From"), Column("to", "date", "To"))
    rows = [
        [*(span.start, span.end)[: len(starts)], *_of(row, slugs)] for span, row in zip(spans, numbers, strict=True)
    ]
    total = ["Total", *[None] * (len(starts) - 1), *_of(report.totals, slugs)]
    return Table(title, (*starts, *map(measure, slugs)), rows, total)


def compared(report: Report, before: Report | None, slugs: Sequence[str]) -> Table:
    """As buckets(), beside the bucket of the same number in the compared period."""
    table = buckets(report, slugs)
    if before is None:
        return table
    there = buckets(before, slugs)
    labelled = [replace(each, slug=f"{each.slug}_before", label=f"{each.title} before") for each in there.columns]
    nothing = [None] * len(labelled)
    rows = [[*row, *(there.rows[i] if i < len(there.rows) else nothing)] for i, row in enumerate(table.rows)]
    total = [*(table.total or ()), *(None if cell == "Total" else cell for cell in there.total or ())]
    return Table(table.title, (*table.columns, *labelled), rows, total)


def customers(frame: pd.DataFrame, time_zone: str) -> Table:
    """Customers as frames.top_customers() ranks them; a name is there only where the store has it fetched."""
    zone = ZoneInfo(time_zone)
    columns = (
        Column("customer_id", "id", "Customer id", "Empty for guests, who have no customer account."),
        Column("name", "text", "Name", "Empty where it is not known or not fetched."),
        measure("orders"),
        measure("net_sales"),
        Column("last_order", "date", "Last order", "The latest of all time, on the store's calendar."),
    )
    rows = [
        [
            row["customer_id"], row["name"], row["orders"], row["net_sales"],
            None if pd.isna(row["last_order_at"]) else row["last_order_at"].astimezone(zone).date(),
        ]
        for row in frame.to_dict("records")
    ]  # fmt: skip
    return Table("Top customers", columns, rows)


def products(frame: pd.DataFrame) -> Table:
    """Products as frames.top_products() ranks them."""
    columns = (
        Column("product_id", "id", "Product id", "Empty where the product is gone."),
        Column("title", "text", "Product"),
        Column("units", "count", "Units", "Sold, before returns."),
        measure("net_sales"),
    )
    rows = [[row["product_id"] or None, *(row[each.slug] for each in columns[1:])] for row in frame.to_dict("records")]
    return Table("Top products", columns, rows)


def tables(report: Report, before: Report | None, time_zone: str) -> tuple[Table, ...]:
    """Everything the overview shows."""
    found = [figures(report, before), buckets(report)]
    if before is not None:
        found.append(Table(f"{found[1].title}, compared", *_columns_and_rows(before)))
    return (*found, customers(report.top_customers, time_zone), products(report.top_products))


def _columns_and_rows(report: Report) -> tuple[tuple[Column, ...], Sequence[Row], Row | None]:
    table = buckets(report)
    return table.columns, table.rows, table.total


def _of(row: Mapping[str, Value], slugs: Sequence[str]) -> list[Value]:
    return [row[slug] for slug in slugs]


CHANGE = "Against the compared period, divided by it; unknown where that was zero. Of what is negative, by its size."
