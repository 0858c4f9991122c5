"""Goals: whether a month is on its way to a target.

Days differ in what they bring: a month that began with a weekend is not behind. Each day of the month weighs as much
as its weekday brought on average in the last eight weeks, and the month lands where the days that are over point to.
Days before the shop's first one weigh nothing: a shop that began in mid-month had only the rest of it.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

import numpy as np
import pandas as pd

from core.analytics.metrics import METRICS
from core.analytics.unknown import Unknown
from core.errors import InputError

WEEKS = 8


@dataclass(frozen=True)
class Pace:
    """A month against its target, in the unit of the series; what is expected may have fractions.

    `so_far` is the sum of the days that are over, `today` what today has brought until now, and only shown. `due` is
    what the days that are over would have brought on the way to exactly the target. `by_weekday` is False where every
    day weighs the same, because there are no eight weeks of sales yet. `needed_per_day` is what today and each day
    after it has to bring on average, 0 once the target is reached. `reached` is the sum at the end of each day that
    is over, `path` what it would be at the end of every day of the month on the way to exactly the target.
    """

    month: date
    target: int
    so_far: int
    today: int
    due: float
    landing: float | Unknown
    needed_per_day: float
    by_weekday: bool
    reached: tuple[int, ...]
    path: tuple[float, ...]

    @property
    def expected(self) -> tuple[float, ...]:
        """From the end of the last day that is over to the end of the month, on the way to the landing."""
        if isinstance(self.landing, Unknown):
            return ()
        return tuple(self.landing * due / self.target for due in self.path[len(self.reached) - 1 :])

    @property
    def ahead(self) -> bool | None:
        """Whether the month is at least where it has to be; None before its first day is over."""
        return None if isinstance(self.landing, Unknown) else self.so_far >= self.due


def pace(daily: pd.Series, target: int, today: date) -> Pace:
    """Where the month of the shop's `today` will land, for a series that adds up over days (net sales, orders).

    `daily` is of ints (counts or minor units) with every day up to `today` in a DatetimeIndex, zeros included; it
    starts with the shop's first day. Later days are not read. Raises InputError for a target that is not above 0.
    """
    if target <= 0:
        raise InputError("A goal is a target above 0. Enter what the month is to reach.")
    by_day = {day.date(): int(value) for day, value in zip(pd.DatetimeIndex(daily.index), daily, strict=True)}
    first = today.replace(day=1)
    month = [first + timedelta(days=n) for n in range(monthrange(first.year, first.month)[1])]
    weights, by_weekday = _weights(by_day, today)
    began = min(by_day, default=first)
    running = list(accumulate(weights[day.weekday()] if day >= began else 0.0 for day in month))
    reached = tuple(accumulate(by_day.get(day, 0) for day in month[: today.day - 1]))
    over, whole = running[today.day - 2] if reached else 0.0, running[-1]
    so_far = reached[-1] if reached else 0
    landing: float | Unknown
    if over > 0:
        landing = so_far * whole / over
    else:
        landing = Unknown("No day of this month that usually brings anything is over yet.")
    return Pace(
        month=first,
        target=target,
        so_far=so_far,
        today=by_day.get(today, 0),
        due=target * over / whole,
        landing=landing,
        needed_per_day=max(target - so_far, 0) / (len(month) - today.day + 1),
        by_weekday=by_weekday,
        reached=reached,
        path=tuple(target * part / whole for part in running),
    )


def month_sums(daily: pd.Series) -> dict[date, int]:
    """What each month brought that a series has days of, by its first day."""
    sums = daily.groupby(pd.DatetimeIndex(daily.index).to_period("M")).sum()
    return {month.start_time.date(): int(value) for month, value in sums.items()}


def _weights(by_day: dict[date, int], today: date) -> tuple[list[float], bool]:
    """What each weekday weighs, from Monday, and whether the last eight weeks say so."""
    recent = [today - timedelta(days=n) for n in range(1, 7 * WEEKS + 1)]
    if all(day in by_day for day in recent):
        sums = np.zeros(7)
        for day in recent:
            sums[day.weekday()] += by_day[day]
        sums = np.maximum(sums, 0)  # a weekday of returns brings nothing, but takes no other day's weight
        if sums.sum() > 0:
            return (sums / sums.sum()).tolist(), True
    return [1 / 7] * 7, False


# What can have a goal: it adds up over days, and more of it is better.
GOALS = tuple(metric for metric in METRICS if metric.adds_up and metric.good == "up")
