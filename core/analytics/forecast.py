"""Forecast of a daily series, with its error in the past beside that of the simplest forecast.

A structural time series model (Harvey 1989; statsmodels' UnobservedComponents): a level that wanders, a week that
changes slowly, noise, and from two full years on a smooth year. It continues no trend: over months that is more often
wrong than right. Its error is measured by forecasting the past from several days (a rolling origin) and set beside a
seasonal naive forecast, which repeats the last week.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from core.analytics.unknown import Unknown

LEAST_DAYS = 56
YEARLY_FROM_DAYS = 730
INTERVAL = 0.8
MOST_ORIGINS = 6
_LEAST_TRAINING_DAYS = 28
_YEAR_WAVES = 3


@dataclass(frozen=True)
class BackTest:
    """The errors of forecasts made in the past: `origins` of them, `days` long each, none overlapping.

    Mean absolute errors are of one day, in the unit of the series. `within` is the part of days that fell into the
    interval, a fraction of 1 that should be near INTERVAL. `typical` is the mean absolute value of those days.
    """

    days: int
    origins: int
    mean_absolute_error: float
    naive_error: float
    within: float
    typical: float

    @property
    def better_than_naive(self) -> bool:
        """Whether the model was closer than repeating the last week."""
        return self.mean_absolute_error < self.naive_error


@dataclass(frozen=True)
class Forecast:
    """The days after the last one of a series.

    `by_day` is indexed by day (datetime64), with float columns expected, low and high: each day is between low and
    high with the probability INTERVAL. Intervals of days do not add up to one of their sum. `total` is the sum of
    expected. `yearly` says whether a yearly season is in it.
    """

    by_day: pd.DataFrame
    total: float
    yearly: bool
    back_test: BackTest


def forecast(daily: pd.Series, days: int) -> Forecast | Unknown:
    """The next `days` of a daily series of counts or money (minor units), as floats of its unit.

    `daily` has every day in a DatetimeIndex, zeros included, and ends with the last whole day; what is before the
    first day that is not 0 is not used. A series that was never negative is not foretold to be. Raises ValueError
    where a day is missing.
    """
    index = pd.DatetimeIndex(daily.index)
    if len(index) > 1 and (np.diff(index.to_numpy()) != np.timedelta64(1, "D")).any():
        raise ValueError("the series lacks a day")
    values = daily.to_numpy(dtype=float)
    started = np.flatnonzero(values)
    values = values[started[0] :] if len(started) else values[:0]
    if len(values) < LEAST_DAYS:
        return Unknown(f"A forecast needs {LEAST_DAYS // 7} weeks of sales; there are {len(values)} days so far.")
    expected, low, high = _ahead(values, days)
    by_day = pd.DataFrame(
        {"expected": expected, "low": low, "high": high},
        index=pd.date_range(index[-1] + pd.Timedelta(days=1), periods=days, unit="s", name="day"),
    )
    return Forecast(by_day, float(expected.sum()), _is_yearly(values), _back_test(values, days))


def _back_test(values: np.ndarray, days: int) -> BackTest:
    span = min(days, len(values) // 3)
    origins = [len(values) - span * n for n in range(1, MOST_ORIGINS + 1)]
    origins = [origin for origin in origins if origin >= _LEAST_TRAINING_DAYS]
    errors, naive, within, actuals = [], [], [], []
    for origin in origins:
        actual = values[origin : origin + span]
        expected, low, high = _ahead(values[:origin], span)
        errors.append(np.abs(actual - expected))
        naive.append(np.abs(actual - np.resize(values[origin - 7 : origin], span)))
        within.append((low <= actual) & (actual <= high))
        actuals.append(np.abs(actual))
    means = [float(np.mean(each)) for each in (errors, naive, within, actuals)]
    return BackTest(span, len(origins), *means)


def _ahead(values: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The next days: expected, low, high."""
    # Here, because importing it takes a second, which every start of the app would pay.
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    middle, spread = float(values.mean()), float(values.std())
    if spread == 0:
        same = np.full(days, middle)
        return same, same, same
    waves = _waves(len(values) + days) if _is_yearly(values) else None
    model = UnobservedComponents(
        (values - middle) / spread,
        level="local level",
        seasonal=7,
        exog=None if waves is None else waves[: len(values)],
        mle_regression=False,
    )
    # Not L-BFGS, the default: its tiny steps go through a threaded library, whose threads wait longer than they work.
    fitted = model.fit(method="bfgs", disp=0, cov_type="none", warn_convergence=False)
    coming = fitted.get_forecast(days, exog=None if waves is None else waves[len(values) :])
    # By hand: where a week repeats exactly, rounding makes a variance of less than 0, of which conf_int() takes a root.
    mean = np.asarray(coming.predicted_mean)
    reach = NormalDist().inv_cdf((1 + INTERVAL) / 2) * np.sqrt(np.maximum(coming.var_pred_mean, 0.0))
    least = 0.0 if values.min() >= 0 else -np.inf
    expected, low, high = (np.maximum(each * spread + middle, least) for each in (mean, mean - reach, mean + reach))
    return expected, low, high


def _is_yearly(values: np.ndarray) -> bool:
    return len(values) >= YEARLY_FROM_DAYS


def _waves(days: int) -> np.ndarray:
    """A year as a few sine waves: shape (days, 2 * _YEAR_WAVES)."""
    turn = 2 * np.pi * np.arange(days) / 365.25
    return np.column_stack([wave(n * turn) for n in range(1, _YEAR_WAVES + 1) for wave in (np.sin, np.cos)])
