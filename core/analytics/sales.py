"""Sales of a period by bucket and by hour, from the daily and hourly sums alone: no customers, who do not add up."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from sqlmodel import Session

from core.analytics import frames, frames_sales
from core.analytics.metrics import METRIC, Value, values
from core.analytics.period import Grain, Period
from core.analytics.report import Report

_OF_CUSTOMERS = ("customers", "new_customers", "returning_customers", "returning_customer_rate")


@dataclass(frozen=True)
class Hours:
    """A period of few days by the hour of the shop's clock.

    `by` has a row per hour: day (date), hour (0 to 23) and an object column per metric, those of customers None.
    """

    period: Period
    by: pd.DataFrame


def sales_report(session: Session, period: Period, grain: Grain) -> Report:
    """The report of a period without its customers (None) and without best customers and products."""
    buckets = period.buckets(grain)
    days = frames.daily_sales(session, period)[list(frames_sales.HOURLY_SUMS)]
    starts = [(bucket.period.start - period.start).days for bucket in buckets]
    by = pd.DataFrame(_metrics(np.add.reduceat(days.to_numpy(), starts, axis=0)), columns=list(METRIC), dtype=object)
    by.insert(0, "start", pd.Series([bucket.start for bucket in buckets], dtype=object))
    (totals,) = _metrics(days.to_numpy().sum(axis=0, keepdims=True))
    return Report(period, grain, totals, by, top_customers=pd.DataFrame(), top_products=pd.DataFrame())


def sales_hours(session: Session, period: Period) -> Hours:
    """The hours of a period; adds up to the report of the period."""
    sums = frames_sales.hours(session, period)
    by = pd.DataFrame(_metrics(sums.to_numpy()), columns=list(METRIC), dtype=object)
    at: list[tuple[date, int]] = [(day.date(), int(hour)) for day, hour in sums.index]
    by.insert(0, "day", pd.Series([day for day, _ in at], dtype=object))
    by.insert(1, "hour", [hour for _, hour in at])
    return Hours(period, by)


def _metrics(rows: np.ndarray) -> list[dict[str, Value]]:
    """The metrics of rows of HOURLY_SUMS."""
    nobody, unknown = dict.fromkeys(_OF_CUSTOMERS, 0), dict.fromkeys(_OF_CUSTOMERS)
    return [values(dict(zip(frames_sales.HOURLY_SUMS, row, strict=True)) | nobody) | unknown for row in rows.tolist()]
