"""The forecast, over series whose future is known."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.analytics.forecast import INTERVAL, MOST_ORIGINS, Forecast, forecast
from core.analytics.unknown import Unknown


def series(values: object, start: str = "2024-01-01") -> pd.Series:
    numbers = np.asarray(values, dtype=np.int64)
    return pd.Series(numbers, index=pd.date_range(start, periods=len(numbers), unit="s"))


def weekly(days: int, noise: float = 0.0, yearly: float = 0.0, seed: int = 1) -> np.ndarray:
    """Cents a day: weekends are strong, and a year may swing."""
    n = np.arange(days)
    week = np.array([80, 90, 100, 100, 120, 170, 140])[n % 7] * 1000
    swing = 1 + yearly * np.sin(2 * np.pi * n / 365.25)
    return np.round(week * swing * (1 + noise * np.random.default_rng(seed).standard_normal(days)))


def test_a_week_that_repeats_is_repeated():
    found = forecast(series(weekly(140)), 30)
    assert found.by_day["expected"].tolist() == pytest.approx(weekly(170)[140:].tolist(), rel=0.01)
    assert found.total == pytest.approx(found.by_day["expected"].sum())


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4, 5, 6, 7] * 8, [1, 101] * 45, [5] * 89 + [7], [1] + [0] * 99, [1] * 90 + [10**6] * 10,
        [500] * 20 + [0] * 180, [10**9 if n == 45 else n == 0 for n in range(90)],
    ],
)  # fmt: skip
def test_series_without_chance_have_finite_intervals(values):
    found = forecast(series(values), 90)
    assert np.isfinite(found.by_day.to_numpy()).all()
    assert (found.by_day["low"] <= found.by_day["high"]).all()
    assert found.by_day["expected"].between(0, 2 * max(values)).all()


def test_it_begins_on_the_day_after_the_last():
    found = forecast(series(weekly(60)), 90).by_day
    assert len(found) == 90
    assert found.index[0].date() == date(2024, 3, 1)


def test_the_interval_holds_its_share_of_the_days_to_come():
    inside = []
    for seed in range(12):
        values = weekly(400, noise=0.15, seed=seed)
        by_day = forecast(series(values[:370]), 30).by_day
        inside.append(((by_day["low"] <= values[370:]) & (values[370:] <= by_day["high"])).mean())
    assert np.mean(inside) == pytest.approx(INTERVAL, abs=0.1)


def test_the_back_test_is_near_the_noise_and_better_than_last_week():
    back = forecast(series(weekly(400, noise=0.15)), 30).back_test
    assert (back.days, back.origins) == (30, MOST_ORIGINS)
    assert back.better_than_naive
    assert back.mean_absolute_error < 0.85 * back.naive_error
    assert back.within == pytest.approx(INTERVAL, abs=0.1)
    assert back.typical == pytest.approx(weekly(400).mean(), rel=0.05)


def test_where_repeating_the_last_week_is_closer_the_back_test_says_so():
    old, new = np.array([1, 9, 2, 8, 3, 7, 5]), np.array([9, 1, 8, 2, 7, 3, 5])
    noise = np.random.default_rng(3).integers(0, 2, 120)
    values = np.concatenate([np.resize(old, 77), np.resize(new, 43)]) * 1000 + noise
    back = forecast(series(values), 30).back_test
    assert not back.better_than_naive
    assert back.mean_absolute_error > back.naive_error


def test_the_naive_error_is_that_of_the_last_week_repeated():
    values = weekly(60, noise=0.3, seed=8)
    back = forecast(series(values), 20).back_test
    assert (back.days, back.origins) == (20, 1)
    assert back.naive_error == pytest.approx(np.abs(values[40:] - np.resize(values[33:40], 20)).mean())


@pytest.mark.parametrize("days, yearly", [(729, False), (730, True)])
def test_a_year_is_learned_from_two_full_ones(days, yearly):
    assert forecast(series(weekly(days, noise=0.05)), 30).yearly is yearly


def test_a_yearly_swing_is_continued():
    values = weekly(910, noise=0.03, yearly=0.4)
    found = forecast(series(values[:820]), 90)
    wrong = np.abs(found.by_day["expected"].to_numpy() - values[820:]).mean()
    assert wrong < 0.1 * values[820:].mean()


@pytest.mark.parametrize("values", [[], [5], [0] * 400, weekly(55), [0] * 300 + [7] * 55])
def test_under_eight_weeks_of_sales_there_is_none(values):
    found = forecast(series(values), 30)
    assert isinstance(found, Unknown)
    assert "8 weeks" in found.reason


def test_days_before_the_first_sale_are_not_learned_from():
    late, early = forecast(series([0] * 500 + list(weekly(70)), "2022-08-19"), 30), forecast(series(weekly(70)), 30)
    assert late.by_day.equals(early.by_day.set_axis(late.by_day.index))
    assert not late.yearly


def test_a_series_that_never_changed_stays_as_it_is():
    found = forecast(series([500] * 100), 30)
    assert set(found.by_day.to_numpy().ravel()) == {500.0}
    assert found.back_test.mean_absolute_error == 0


def test_sales_are_not_foretold_below_zero_unless_they_were():
    sparse = np.where(np.random.default_rng(2).random(200) < 0.1, 5000, 0)
    sparse[0] = 1
    assert (forecast(series(sparse), 90).by_day >= 0).all(axis=None)
    refunds = sparse - np.where(np.arange(200) % 9 == 0, 3000, 0)
    assert (forecast(series(refunds), 90).by_day["low"] < 0).any()


def test_a_shop_of_nothing_but_refunds_has_a_forecast_below_zero():
    found = forecast(series(-weekly(100, noise=0.1)), 30)
    assert found.total < 0


def test_a_missing_day_is_refused():
    with pytest.raises(ValueError, match="lacks a day"):
        forecast(series(weekly(100)).drop(pd.Timestamp("2024-02-01")), 30)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(-(10**9), 10**12), min_size=56, max_size=90), st.integers(1, 40))
def test_the_interval_contains_the_point_and_the_same_data_give_the_same_forecast(values, days):
    values[0] = 1
    found, again = (forecast(series(values), days) for _ in range(2))
    assert isinstance(found, Forecast)
    assert np.isfinite(found.by_day.to_numpy()).all()
    assert (found.by_day["low"] <= found.by_day["expected"]).all()
    assert (found.by_day["expected"] <= found.by_day["high"]).all()
    assert found.by_day.equals(again.by_day)
    assert 0 <= found.back_test.within <= 1
