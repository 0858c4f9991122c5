"""The same door for how many buyers a period had: people, who do not add up over days.

Every function takes a shop_session() first.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Date, Integer, and_, case, column, func, select, union_all, values
from sqlmodel import Session, col

from core.analytics.frames import COUNTED, end_of_month, read, rows
from core.analytics.period import Period
from core.db.models import CustomerTotals, DailySales, DaysBetween, Order
from core.db.narrowed import filters_of, source


def customer_counts(session: Session, periods: Sequence[Period]) -> pd.DataFrame:
    """Distinct buyers of each period, one row per period in the order given.

    Columns: start, end, customers, new_customers (the first order ever is in the period), returning_customers (an
    order in the period is not the first). Without test and deleted orders, and orders of nobody known.
    """
    counts = ["customers", "new_customers", "returning_customers"]
    frame = pd.DataFrame([(period.start, period.end) for period in periods], columns=["start", "end"])
    if frame.empty:
        return frame.assign(**dict.fromkeys(counts, pd.Series(dtype="int64")))
    if filters_of(session):
        found = _counted_anew(session, periods).reindex(frame.index).fillna(0).astype("int64")
        return frame.join(found)[["start", "end", *counts]]
    span = Period(min(frame["start"]), max(frame["end"]))
    of_days = select(col(DailySales.day), *(col(getattr(DailySales, name)) for name in counts))
    summed = np.zeros((span.days + 1, len(counts)), dtype=np.int64)
    for day, *found_on in rows(session, of_days.where(col(DailySales.day).between(span.start, span.end))):
        summed[(day - span.start).days + 1] = found_on
    summed = summed.cumsum(axis=0)  # row i is the sum of the first i days
    first = [(period.start - span.start).days for period in periods]
    after = [(period.end - span.start).days + 1 for period in periods]
    of_periods = dict(zip(counts, (summed[after] - summed[first]).T, strict=True))
    for name, again in _came_again(session, periods).items():
        of_periods[name] = of_periods[name] - again
    return frame.assign(**of_periods)


def _came_again(session: Session, periods: Sequence[Period]) -> dict[str, np.ndarray]:
    """By period, how many buyers its days count who had come on an earlier day of it."""
    names = ("customers", "returning_customers")
    found = {name: np.zeros(len(periods), dtype=np.int64) for name in names}
    by_grain: dict[str, list[int]] = {}
    for number, period in enumerate(periods):
        if period.days > 1:
            by_grain.setdefault(_grain(period), []).append(number)
    for number in by_grain.pop("", ()):
        for name, count in _came_again_long(session, periods[number]).items():
            found[name][number] = count
    for grain, numbers in by_grain.items():
        start, end = min(periods[number].start for number in numbers), max(periods[number].end for number in numbers)
        most = max(periods[number].days for number in numbers)
        columns = (col(DaysBetween.day), col(DaysBetween.before), *(col(getattr(DaysBetween, name)) for name in names))
        near = col(DaysBetween.before) > _days_before(session, col(DaysBetween.day), most)
        statement = select(*columns).where(col(DaysBetween.grain) == grain, near, col(DaysBetween.before) >= start)
        # One by one where there are many days before, so that the key finds them, too.
        every = _every_day(Period(start, end)) if grain == "day" else []
        of_days = col(DaysBetween.day).in_(every) if every else col(DaysBetween.day).between(start, end)
        known = list(zip(*rows(session, statement.where(of_days)), strict=True)) or [()] * 4
        day, before = (np.fromiter(map(date.toordinal, each), np.int64, len(each)) for each in known[:2])
        sums = {name: np.array(each, np.int64) for name, each in zip(names, known[2:], strict=True)}
        for number in numbers:
            period = periods[number]
            inside = (before >= period.start.toordinal()) & (day <= period.end.toordinal())
            for name in names:
                found[name][number] = sums[name][inside].sum()
    return found


def _came_again_long(session: Session, period: Period) -> dict[str, int]:
    """Of one period: by the day they had come on in its first month, and by month after that."""
    within, names = end_of_month(period.start), ("customers", "returning_customers")
    grains = (("day", period.start, within), ("month", within, period.end))
    parts = (
        select(*(func.sum(getattr(DaysBetween, name)).label(name) for name in names)).where(
            col(DaysBetween.grain) == grain,
            col(DaysBetween.day).in_(_every_day(period)),  # one by one, as above
            col(DaysBetween.before).between(first, last),
        )
        for grain, first, last in grains
    )
    found = rows(session, select(*union_all(*parts).subquery().c))
    return {
        name: sum(int(part or 0) for part in each) for name, each in zip(names, zip(*found, strict=True), strict=True)
    }


def _grain(period: Period) -> str:
    """The grain of days_between that knows who came again in a period by its days alone; empty for long ones."""
    if period.start.weekday() == 0 and period.days <= 7:
        return "week"
    if period.start.day == 1 and period.end <= end_of_month(period.start):
        return "month"
    return "day" if period.days <= 31 else ""


def _days_before(session: Session, day: Any, days: int) -> Any:
    return func.date(day, f"-{days} days") if session.get_bind().dialect.name == "sqlite" else day - days


def _counted_anew(session: Session, periods: Sequence[Period]) -> pd.DataFrame:
    """Customer counts from the orders that the session's filters leave in, by the number of the period."""
    wanted = (
        values(column("number", Integer), column("start", Date), column("end", Date), name="wanted")
        .data([(number, period.start, period.end) for number, period in enumerate(periods)])
        .cte("wanted")
    )
    # Grouped before the join with the totals: one look-up per buyer instead of one per order.
    buyers = (
        select(
            wanted.c.number,
            col(Order.buyer_id),
            func.min(col(Order.id)).label("lowest_id"),
            func.max(col(Order.id)).label("highest_id"),
        )
        .select_from(wanted)
        .join(Order, and_(col(Order.day).between(wanted.c.start, wanted.c.end), *COUNTED))
        .group_by(wanted.c.number, col(Order.buyer_id))
        .subquery()
    )
    # Of one buyer's orders only one is the first: two in the period, or one that is not it, make a returning buyer.
    returning = (buyers.c.lowest_id != buyers.c.highest_id) | (buyers.c.lowest_id != col(CustomerTotals.first_order_id))
    ordered = (
        select(
            buyers.c.number,
            func.count().label("customers"),
            func.sum(case((returning, 1), else_=0)).label("returning_customers"),
        )
        .join(CustomerTotals, col(CustomerTotals.buyer_id) == buyers.c.buyer_id)
        .group_by(buyers.c.number)
    )
    # A first order is on one day, so new customers are the one count that adds up over days.
    first, last = min(period.start for period in periods), max(period.end for period in periods)
    days = source(session, DailySales, first, last)
    new = (
        select(wanted.c.number, func.sum(days.new_customers).label("new_customers"))
        .join(days, days.day.between(wanted.c.start, wanted.c.end))
        .group_by(wanted.c.number)
    )
    return read(session, new).set_index("number").join(read(session, ordered).set_index("number"))


def _every_day(period: Period) -> list[date]:
    return [period.start + timedelta(days=number) for number in range(period.days)]
