"""One period's report: totals, the measures of each bucket, the best customers and products."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from sqlmodel import Session

from core.analytics import frames, frames_counts
from core.analytics.metrics import METRIC, METRICS, Unit, Value, values
from core.analytics.period import Grain, Period
from core.db.money import from_minor


@dataclass(frozen=True)
class Report:
    """A period in numbers. Money is in minor units, percents are fractions of 1, unknown is None.

    `by` has a row per bucket: `start` (the date the calendar bucket begins) and an object column per metric.
    """

    period: Period
    grain: Grain
    totals: dict[str, Value]
    by: pd.DataFrame
    top_customers: pd.DataFrame
    top_products: pd.DataFrame


def report(session: Session, period: Period, grain: Grain = "day", top: int = 10) -> Report:
    """The report of a period by day, week or month, with the `top` best customers and products.

    With a `top` of 0 nobody looks for them: a period that others are compared with shows none.
    """
    whole, by = measured(session, period, grain)
    customers, products = (
        find(session, period, top) if top else pd.DataFrame() for find in (frames.top_customers, frames.top_products)
    )
    return Report(period, grain, whole, by, top_customers=customers, top_products=products)


def measured(session: Session, period: Period, grain: Grain) -> tuple[dict[str, Value], pd.DataFrame]:
    """A report's `totals` and `by`."""
    buckets = period.buckets(grain)
    whole, *rows = _values(session, period, [period, *(bucket.period for bucket in buckets)])
    by = pd.DataFrame(rows, columns=list(METRIC), dtype=object)
    by.insert(0, "start", pd.Series([bucket.start for bucket in buckets], dtype=object))
    return whole, by


def totals(session: Session, period: Period) -> dict[str, Value]:
    """Every metric over the whole period, for a card's comparison with another period."""
    return _values(session, period, [period])[0]


def daily_series(session: Session, slug: str, last: date) -> pd.Series:
    """One additive metric of every day from the first with data to `last`: int64 by day, empty without data."""
    span = frames.data_span(session)
    if span is None or span.start > last:
        return pd.Series(dtype="int64", index=pd.DatetimeIndex([], name="day"))
    days = frames.daily_sales(session, Period(span.start, last))
    return pd.Series([METRIC[slug].compute(row) for row in days.to_dict("records")], days.index, dtype="int64")


def as_json(report: Report, domain: str, currency: str, time_zone: str) -> dict[str, Any]:
    """The report as JSON values: money as decimal strings in shop currency, counts and percents as numbers."""
    return {
        "shop": domain,
        "currency": currency,
        "time_zone": time_zone,
        "from": report.period.start.isoformat(),
        "to": report.period.end.isoformat(),
        "totals": _measures(report.totals, currency),
        "by": [{"day": row["start"].isoformat(), **_measures(row, currency)} for row in report.by.to_dict("records")],
        "top_customers": [
            {
                "id": row["customer_id"],
                "name": row["name"],
                "orders": row["orders"],
                "net_sales": written(row["net_sales"], "money", currency),
            }
            for row in report.top_customers.to_dict("records")
        ],
        "top_products": [
            {
                "id": row["product_id"] or None,
                "title": row["title"],
                "units": row["units"],
                "net_sales": written(row["net_sales"], "money", currency),
            }
            for row in report.top_products.to_dict("records")
        ],
    }


def _values(session: Session, period: Period, parts: list[Period]) -> list[dict[str, Value]]:
    """The metrics of each part; the parts lie within the period."""
    days = frames.daily_sales(session, period)
    # Row i of the running total is the sum of the first i days.
    running = np.vstack([np.zeros((1, len(days.columns)), dtype=np.int64), days.to_numpy().cumsum(axis=0)])
    starts, names = [(part.start - period.start).days for part in parts], list(days.columns)
    ends = [start + part.days for start, part in zip(starts, parts, strict=True)]
    sums = [dict(zip(names, row, strict=True)) for row in (running[ends] - running[starts]).tolist()]
    # Buyers do not add up over days; the rollup knows those of a single day.
    long = [number for number, part in enumerate(parts) if part.days > 1]
    counted = frames_counts.customer_counts(session, [parts[number] for number in long])
    for number, row in zip(long, counted.drop(columns=["start", "end"]).to_dict("records"), strict=True):
        sums[number].update(row)
    return [values(row) for row in sums]


def _measures(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    return {metric.slug: written(row[metric.slug], metric.unit, currency) for metric in METRICS}


def written(value: Value, unit: Unit, currency: str) -> str | int | float | None:
    """A value for JSON: money in minor units as an exact decimal string of the currency."""
    return f"{from_minor(int(value), currency):f}" if unit == "money" and value is not None else value
