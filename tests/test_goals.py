"""The pace towards a month's target, over days whose sum is known."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analytics.goals import GOALS, month_sums, pace
from core.analytics.unknown import Unknown
from core.errors import InputError

FIRST = date(2026, 1, 1)
WEEK = (100, 100, 100, 100, 200, 400, 0)  # from Monday; closed on Sundays


def days(until: date, week: tuple[int, ...] = WEEK, start: date = FIRST) -> pd.Series:
    """A shop that brings the same each week, up to and with a day."""
    index = pd.date_range(start, until, unit="s")
    return pd.Series([week[day.weekday()] for day in index], index=index, dtype="int64")


def whole_month(first: date, week: tuple[int, ...] = WEEK) -> int:
    next_month = (first + timedelta(days=32)).replace(day=1)
    return int(days(next_month - timedelta(days=1), week, first).sum())


@pytest.mark.parametrize("today", [date(2026, 5, day) for day in (2, 3, 9, 15, 31)])
def test_a_month_like_the_weeks_before_lands_where_they_did(today):
    found = pace(days(today), 5000, today)
    assert found.landing == pytest.approx(whole_month(date(2026, 5, 1)))
    assert found.by_weekday
    assert found.so_far == days(today - timedelta(1), start=date(2026, 5, 1)).sum()
    assert found.today == WEEK[today.weekday()]


def test_a_month_that_began_with_its_weak_days_is_not_behind():
    today = date(2026, 6, 5)  # a Friday: Monday to Thursday are over
    target = whole_month(date(2026, 6, 1))
    found = pace(days(today), target, today)
    assert found.so_far == 400 < target * 4 / 30
    assert found.due == pytest.approx(400)
    assert found.landing == pytest.approx(target)


def test_a_store_that_began_in_mid_month_lands_where_its_own_days_point_to():
    daily = days(date(2026, 6, 21), week=(100,) * 7, start=date(2026, 6, 16))
    found = pace(daily, 3000, date(2026, 6, 21))
    assert found.so_far == 500 and found.landing == pytest.approx(1500)  # 15 days of 100
    assert found.due == pytest.approx(1000)  # 5 of its 15 days
    assert found.path[14] == 0 and found.path[-1] == pytest.approx(3000)
    assert found.expected[-1] == pytest.approx(1500)
    on_its_first_day = pace(daily[:1], 3000, date(2026, 6, 16))
    assert isinstance(on_its_first_day.landing, Unknown) and on_its_first_day.due == 0


@pytest.mark.parametrize("factor, ahead", [(2, True), (0.5, False)])
def test_twice_the_sales_are_ahead_and_half_behind(factor, ahead):
    today = date(2026, 6, 20)
    daily = days(today)
    daily[daily.index >= "2026-06-01"] = (daily[daily.index >= "2026-06-01"] * factor).astype("int64")
    found = pace(daily, whole_month(date(2026, 6, 1)), today)
    assert found.ahead is ahead
    assert (found.landing > found.target) is ahead


def test_the_days_left_have_to_bring_the_rest():
    found = pace(days(date(2026, 4, 21)), 10_000, date(2026, 4, 21))
    assert found.needed_per_day * 10 + found.so_far == pytest.approx(10_000)
    assert pace(days(date(2026, 4, 21)), 5, date(2026, 4, 21)).needed_per_day == 0


@pytest.mark.parametrize("today", [date(2026, 6, 1), date(2026, 11, 2)])  # after nothing, and after a closed Sunday
def test_before_a_day_that_brings_anything_is_over_the_landing_is_unknown(today):
    found = pace(days(today), 5000, today)
    assert isinstance(found.landing, Unknown)
    assert found.ahead is None
    assert (found.so_far, found.due) == (0, 0)


def test_a_young_shop_counts_every_day_the_same():
    found = pace(days(date(2026, 1, 11), (100,) * 7), 3100, date(2026, 1, 11))
    assert not found.by_weekday
    assert (found.so_far, found.landing, found.due) == (1000, pytest.approx(3100), pytest.approx(1000))
    assert found.ahead


def test_a_month_of_refunds_lands_below_zero():
    daily = days(date(2026, 5, 11))
    daily[daily.index >= "2026-05-01"] = -50
    found = pace(daily, 100, date(2026, 5, 11))
    assert (found.so_far, found.ahead) == (-500, False)
    assert found.landing < -500


@pytest.mark.parametrize("week", [(0,) * 7, (-5,) * 7])
def test_weeks_without_sales_give_no_weights(week):
    found = pace(days(date(2026, 5, 11), week), 100, date(2026, 5, 11))
    assert not found.by_weekday
    assert found.landing == pytest.approx(week[0] * 31)


def test_what_today_has_brought_until_now_changes_no_landing():
    today = date(2026, 5, 14)
    quiet, busy = days(today), days(today)
    busy[pd.Timestamp(today)] = 1_000_000
    assert pace(busy, 5000, today).today == 1_000_000
    assert pace(busy, 5000, today).landing == pace(quiet, 5000, today).landing


def test_no_sales_at_all_and_days_to_come_are_not_read():
    empty = pace(pd.Series(dtype="int64", index=pd.DatetimeIndex([])), 100, date(2026, 5, 11))
    assert (empty.so_far, empty.today, empty.landing, empty.by_weekday) == (0, 0, 0, False)
    today = date(2026, 5, 11)
    assert pace(days(date(2026, 5, 31)), 100, today) == pace(days(today), 100, today)


@pytest.mark.parametrize("target", [0, -100])
def test_a_goal_is_above_zero(target):
    with pytest.raises(InputError, match="above 0"):
        pace(days(date(2026, 5, 11)), target, date(2026, 5, 11))


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=130, max_size=130), st.integers(0, 30), st.integers(1, 10**12))
def test_ahead_is_to_land_at_the_target_or_above(values, day, target):
    today = date(2026, 5, 1) + timedelta(day)
    daily = pd.Series(values, index=pd.date_range(date(2026, 1, 22), periods=130, unit="s"), dtype="int64")
    found = pace(daily, target, today)
    if found.ahead is not None and abs(found.landing - target) > 1e-6 * target:
        assert found.ahead == (found.landing >= target)
    assert 0 <= found.due <= target * (1 + 1e-9)


def test_the_path_ends_at_the_target_and_passes_what_is_due():
    today = date(2026, 6, 20)
    found = pace(days(today), 4242, today)
    assert len(found.path) == 30 and found.path[-1] == 4242
    assert found.path[18] == pytest.approx(found.due)
    assert list(found.path) == sorted(found.path)
    assert found.path[6] == found.path[5], "nothing is due on a closed Sunday, the 7th"


def test_what_is_expected_goes_on_from_what_is_reached_to_the_landing():
    today = date(2026, 6, 20)
    found = pace(days(today), 4242, today)
    assert found.reached == tuple(days(today, start=date(2026, 6, 1)).iloc[:19].cumsum())
    assert found.expected[0] == pytest.approx(found.so_far) and found.expected[-1] == pytest.approx(found.landing)
    assert len(found.reached) + len(found.expected) == 30 + 1
    first = pace(days(date(2026, 6, 1)), 4242, date(2026, 6, 1))
    assert (first.reached, first.expected) == ((), ())


def test_months_are_summed_by_their_first_day():
    daily = days(date(2026, 3, 2))
    assert month_sums(daily) == {
        date(2026, 1, 1): whole_month(date(2026, 1, 1)), date(2026, 2, 1): whole_month(date(2026, 2, 1)),
        date(2026, 3, 1): WEEK[6] + WEEK[0],
    }  # fmt: skip
    assert month_sums(daily.iloc[:0]) == {}


def test_what_can_have_a_goal_is_what_a_merchant_wants_more_of():
    assert [metric.slug for metric in GOALS] == [
        "gross_sales", "net_sales", "total_sales", "orders", "units_sold", "new_customers",
    ]  # fmt: skip
