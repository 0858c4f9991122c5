"""Unusual days, over series with days put in by hand."""

from datetime import date, timedelta
from statistics import median

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analytics.anomalies import LIMIT, anomalies, explained

START = date(2026, 1, 5)  # a Monday


def series(values: object) -> pd.Series:
    numbers = np.asarray(values, dtype=np.int64)
    return pd.Series(numbers, index=pd.date_range(START, periods=len(numbers), unit="s"))


def usual(days: int, seed: int = 4) -> np.ndarray:
    week = np.array([100, 100, 100, 100, 100, 400, 300])[np.arange(days) % 7] * 100
    return week + np.random.default_rng(seed).integers(-500, 500, days)


def with_days(changes: dict[int, int], days: int = 120) -> np.ndarray:
    values = usual(days)
    for day, value in changes.items():
        values[day] = value
    return values


def test_days_put_in_by_hand_are_found_with_their_band():
    found = anomalies(series(with_days({70: 90_000, 100: 0}))).found
    assert [anomaly.day for anomaly in found] == [START + timedelta(70), START + timedelta(100)]
    high, low = found
    assert (high.actual, low.actual) == (90_000, 0)
    assert high.expected == pytest.approx(10_000, rel=0.05)
    assert high.difference == 90_000 - high.expected > 0 > low.difference
    assert high.low < high.expected < high.high < high.actual


def test_a_weekend_is_as_unusual_as_its_weekday():
    monday, saturday = 7 * 12, 7 * 12 + 5
    found = anomalies(series(with_days({monday: 40_000, saturday: 10_000}))).found
    assert [anomaly.day.weekday() for anomaly in found] == [0, 5]


def test_an_outlier_does_not_hide_the_next_one():
    found = anomalies(series(with_days({63: 9_000_000, 70: 9_000_000, 77: 50_000}))).found
    assert [(anomaly.day - START).days for anomaly in found] == [63, 70, 77]


def slow_band(values: list[int], i: int) -> tuple[float, float]:
    """The middle and the reach of one day's band, one step after the other."""
    before = range(i - 56, i)
    middles = {start % 7: median(values[day] for day in before if day % 7 == start % 7) for start in before}
    reach = LIMIT * 1.4826 * median(abs(values[day] - middles[day % 7]) for day in before)
    return middles[i % 7], reach


@settings(deadline=None)
@given(st.lists(st.integers(-5, 1000), min_size=57, max_size=80))
def test_the_band_equals_a_slow_one(values):
    found = anomalies(series(values))
    outside = []
    for i, row in enumerate(found.band.to_dict("records")):
        assert row["actual"] == values[i]
        middle, reach = slow_band(values, i) if i >= 56 else (0, 0)
        if reach == 0:
            assert (row["expected"], row["low"], row["high"]) == (None, None, None)
            continue
        assert (row["expected"], row["low"], row["high"]) == pytest.approx((middle, middle - reach, middle + reach))
        if abs(values[i] - middle) > reach:
            outside.append(START + timedelta(i))
    assert [anomaly.day for anomaly in found.found] == outside


def breakdown(*rows: tuple[int, str, int]) -> pd.DataFrame:
    made = [(START + timedelta(day), value, amount) for day, value, amount in rows]
    return pd.DataFrame(made, columns=["day", "value", "amount"], dtype=object)


def test_the_value_that_moved_most_the_same_way_explains_a_day():
    values = with_days({70: 90_000, 100: 0})
    usual_days = [(day, int(value) // 2) for day, value in enumerate(values) if day != 70]
    rows = [(day, channel, amount) for day, amount in usual_days for channel in ("web", "pos")]
    party = [(70, "web", 60_000), (70, "pos", 5_000), (70, "fair", 25_000)]
    high, low = anomalies(series(values), breakdown(*rows, *party)).found
    assert high.explained_by == "web"
    assert high.explained == pytest.approx(55_000, rel=0.05)
    assert low.explained_by in ("web", "pos")
    assert low.explained == pytest.approx(-5_000, rel=0.05)
    fair = [(70, "web", -15_000), (70, "pos", 5_000), (70, "fair", 60_000), (70, "fair", 40_000)]
    high, _ = anomalies(series(values), breakdown(*rows, *fair)).found
    assert (high.explained_by, high.explained) == ("fair", 100_000.0)
    assert high.explained > high.difference


def test_a_value_that_moved_the_other_way_explains_nothing_however_far():
    flat = [(day, channel, 5_000) for day in range(120) if day != 70 for channel in ("web", "pos")]
    rows = [*flat, (70, "web", 290_000), (70, "pos", -900_000), (70, "fair", 700_000)]
    (found,) = anomalies(series(with_days({70: 90_000})), breakdown(*rows)).found
    assert (found.explained_by, found.explained) == ("fair", 700_000.0)


def test_a_value_is_measured_by_its_own_weekdays():
    saturday = 7 * 10 + 5
    rows = [(day, "fair", 30_000 if day % 7 == 5 else 100) for day in range(120) if day != saturday]
    (found,) = anomalies(series(with_days({saturday: 90_000})), breakdown(*rows, (saturday, "fair", 80_000))).found
    assert (found.explained_by, found.explained) == ("fair", 50_000.0)


def test_where_no_value_moved_that_way_nothing_explains_the_day():
    values = series(with_days({70: 90_000}))
    flat = breakdown(*((day, "web", 5_000) for day in range(120)))
    for frame in (flat, breakdown()):
        (found,) = anomalies(values, frame).found
        assert (found.explained_by, found.explained) == (None, None)


@pytest.mark.parametrize("values", [[], [5], [0] * 56, [5] * 300, [0] * 200 + [9]])
def test_short_and_unchanging_series_have_no_band_and_no_unusual_day(values):
    found = anomalies(series(values))
    assert found.found == ()
    assert len(found.band) == len(values)
    assert found.band[["expected", "low", "high"]].isna().all(axis=None)
    assert not any(isinstance(each, float) for each in found.band["expected"])


def test_quiet_noise_raises_few_alarms():
    random = np.random.default_rng(6)
    found = anomalies(series(100_000 + 10_000 * random.standard_normal(2000))).found
    assert len(found) < 2000 * 0.02


def test_days_below_zero_are_told_as_such():
    (found,) = anomalies(series(with_days({90: -80_000}))).found
    assert found.actual == -80_000
    assert found.difference < -80_000


def test_of_several_breakdowns_the_one_that_tells_more_than_usual_explains_a_day():
    values = with_days({70: 90_000, 100: 0})
    every = [(day, "web", int(value)) for day, value in enumerate(values)]
    home = [(day, "DE", int(value)) for day, value in enumerate(values) if day != 70]
    channels, countries = breakdown(*every), breakdown(*home, (70, "DE", 20_000), (70, "CA", 70_000))
    high, low = explained(series(values), {"channel": channels, "country": countries})
    assert (high.of, high.explained_by, high.explained, high.telling) == (
        "country",
        "CA",
        70_000.0,
        pytest.approx(7 / 8, 0.02),
    )
    assert (low.of, low.explained_by, low.explained) == (None, None, None), "all of it was less, as always"
    halves = breakdown(
        *[(day, code, int(value) // 2) for day, value in enumerate(values) if day != 70 for code in "AB"],
        (70, "A", 85_000),
        (70, "B", 5_000),
    )
    high, _ = explained(series(values), {"channel": channels, "code": halves, "country": countries})
    assert (high.of, high.explained_by) == ("country", "CA") and high.difference == pytest.approx(80_000, rel=0.02)
    assert [each.day for each in explained(series(values), {})] == [high.day, low.day]
