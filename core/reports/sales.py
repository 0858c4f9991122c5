"""Sales taken apart as tables: by hour, by one thing that orders have in common, by weekday."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from core.analytics.breakdowns import Breakdown
from core.analytics.metrics import Value
from core.analytics.report import Report
from core.analytics.sales import Hours
from core.reports import overview
from core.reports.table import Column, Table, measure, of_frame

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def hours(found: Hours, totals: Mapping[str, Value], slugs: Sequence[str]) -> Table:
    """A row per hour of the store's clock with its metrics; the total is the whole period's."""
    columns = (Column("day", "date"), Column("hour", "count"), *map(measure, slugs))
    return of_frame("By hour", found.by, columns, ["Total", None, *(totals[slug] for slug in slugs)])


def breakdown(rows: Sequence[Mapping[str, Any]], of: Breakdown) -> Table:
    """A row per value of a breakdown; the last of the rows given is what they add up to."""
    slugs = (*of.columns, "share", "before", "change")
    columns = (
        Column(of.slug, "text", of.label, of.definition),
        *map(measure, of.columns),
        Column("share_of_net_sales", "percent", "Share of net sales", "Unknown where net sales are not above zero."),
        Column("net_sales_before", "money", "Net sales before", "In the compared period."),
        Column("change", "percent", "Change", f"Of net sales. {overview.CHANGE}"),
    )
    *each, total = [[row["name"], *(row[slug] for slug in slugs)] for row in rows]
    return Table(f"By {of.label.lower()}", columns, each, total)


def weekday_hours(frame: pd.DataFrame) -> Table:
    """Orders and net sales of frames_sales.weekday_hours()."""
    columns = (Column("weekday", "text"), Column("hour", "count"), measure("orders"), measure("net_sales"))
    named = frame.assign(weekday=[DAYS[day] for day in frame["weekday"]])
    return of_frame("By weekday and hour", named, columns)


def units_per_order(report: Report, before: Report | None) -> Table:
    """Orders and units sold by bucket, and how many units an order had; unknown without orders."""
    found = overview.compared(report, before, ("orders", "units_sold"))
    at = [each.slug for each in found.columns].index("orders")

    def whole(row: Sequence[Any]) -> list[Any]:
        return [*row, row[at + 1] / row[at] if row[at] else None]

    column = Column("units_per_order", "number", "Units per order", "Units sold divided by orders.")
    return Table(found.title, (*found.columns, column), [whole(row) for row in found.rows], whole(found.total or ()))
