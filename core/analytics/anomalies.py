"""Anomalies: days far from what the eight weeks before them would let expect.

A day is expected to be the median of the same weekday in the eight weeks before. The band around it is 3.5 times the
scaled median absolute deviation of the days of those weeks from the median of their own weekday: the modified z-score
of Iglewicz & Hoaglin (1993), How to Detect and Handle Outliers, which a few outliers in those weeks do not widen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from operator import attrgetter

import numpy as np
import pandas as pd

WEEKS = 8
LIMIT = 3.5
_TO_SIGMA = 1.4826  # of a normal distribution, by its median absolute deviation


@dataclass(frozen=True)
class Anomaly:
    """A day outside its band, and the value of the breakdown that explains most of the difference.

    Figures are in the unit of the series, those expected may have halves. `explained_by` is None where no value moved
    the same way; `explained` is that value's own difference from what is `usual` of it (the same rule for it alone), so
    that it may exceed the difference of the day where others moved against it. `of` names the breakdown where several
    were searched.
    """

    day: date
    actual: int
    expected: float
    low: float
    high: float
    explained_by: str | None = None
    explained: float | None = None
    usual: float | None = None
    of: str | None = None

    @property
    def difference(self) -> float:
        """What was more than expected, negative where it was less."""
        return self.actual - self.expected

    @property
    def telling(self) -> float:
        """By how much the value's part of the difference exceeds its usual part of a day, as fractions of 1.

        It is 0 where nothing is explained, and of a value that always is all there is.
        """
        if self.explained is None or self.usual is None:
            return 0.0
        return self.explained / self.difference - (self.usual / self.expected if self.expected else 0.0)


@dataclass(frozen=True)
class Anomalies:
    """Every day with its band, and the days outside.

    `band` is indexed like the series, with columns actual, expected, low, high (objects): the last three are None for
    the first eight weeks, and where most of the eight weeks before a day did not differ from their weekday at all.
    """

    band: pd.DataFrame
    found: tuple[Anomaly, ...]


def anomalies(daily: pd.Series, breakdown: pd.DataFrame | None = None) -> Anomalies:
    """The unusual days of a daily series of ints (counts or minor units), oldest first.

    `daily` has every day in a DatetimeIndex, zeros included, whole days only. `breakdown` has the columns day (date),
    value (what the series is broken down by) and amount (its part of the day); days without a row of a value are 0.
    """
    days = pd.DatetimeIndex(daily.index)
    values = daily.to_numpy(dtype=float)
    expected, reach = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if len(values) > 7 * WEEKS:
        expected[7 * WEEKS :], reach[7 * WEEKS :] = _expected(values)
    expected[reach == 0] = reach[reach == 0] = np.nan  # without any spread nothing says how far is far
    low, high = expected - reach, expected + reach
    columns = {"expected": expected, "low": low, "high": high}
    band = pd.DataFrame(
        {"actual": daily.astype(object)} | {name: _known(each, daily.index) for name, each in columns.items()}
    )
    outside = np.flatnonzero((values < low) | (values > high))
    parts = _parts(breakdown, days) if breakdown is not None and len(outside) else None
    found = []
    for i in outside.tolist():
        reason = (None, None, None) if parts is None else _reason(parts, i, values[i] - expected[i])
        figures = (float(expected[i]), float(low[i]), float(high[i]))
        found.append(Anomaly(days[i].date(), int(daily.iloc[i]), *figures, *reason))
    return Anomalies(band, tuple(found))


def explained(daily: pd.Series, breakdowns: Mapping[str, pd.DataFrame]) -> tuple[Anomaly, ...]:
    """The unusual days with the most telling of several breakdowns: each a frame for anomalies(), by its name.

    Of each breakdown it is the value that moved furthest the same way. Where none tells more than what is usual, none
    is named; of two alike the first is.
    """
    by = {name: anomalies(daily, frame).found for name, frame in breakdowns.items()}
    found = []
    for day, *each in zip(anomalies(daily).found, *by.values(), strict=True):
        named = [replace(one, of=name) for name, one in zip(by, each, strict=True)]
        best = max(named, key=attrgetter("telling"), default=day)
        found.append(best if best.telling > 0 else day)
    return tuple(found)


def _expected(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each day after the first eight weeks what is expected, and how far from it the band reaches."""
    before = np.lib.stride_tricks.sliding_window_view(values[:-1], 7 * WEEKS)
    weeks = before.reshape(-1, WEEKS, 7)  # the first day of each week is a weekday of the day in question
    medians = np.median(weeks, axis=1)
    deviation = np.median(np.abs(weeks - medians[:, None, :]), axis=(1, 2))
    return medians[:, 0], LIMIT * _TO_SIGMA * deviation


def _parts(breakdown: pd.DataFrame, days: pd.DatetimeIndex) -> pd.DataFrame:
    """The amounts by day (rows, as in the series) and value (columns)."""
    known = pd.DatetimeIndex(breakdown["day"].astype("datetime64[s]"))
    summed = breakdown["amount"].astype("int64").groupby([known, breakdown["value"].to_numpy()]).sum()
    return summed.unstack(fill_value=0).reindex(days, fill_value=0)


def _reason(parts: pd.DataFrame, i: int, difference: float) -> tuple[str | None, float | None, float | None]:
    """The value that moved furthest in the direction of the difference, how far, and what is usual of it."""
    if parts.empty:
        return None, None, None
    own = parts.to_numpy()
    usual = np.median(own[i - 7 * WEEKS : i : 7], axis=0)
    moved = own[i] - usual
    most = int(np.argmax(moved * np.sign(difference)))
    if moved[most] * difference <= 0:
        return None, None, None
    return str(parts.columns[most]), float(moved[most]), float(usual[most])


def _known(values: np.ndarray, index: pd.Index) -> pd.Series:
    return pd.Series([None if np.isnan(value) else value for value in values.tolist()], index=index, dtype=object)
