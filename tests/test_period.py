"""Periods: comparisons, buckets and presets of a shop's calendar."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analytics.period import GRAINS, PRESETS, Grain, Period, automatic_grain, shop_today
from core.errors import InputError

DATES = st.dates(date(1990, 1, 1), date(2060, 12, 31))
PERIODS = st.builds(lambda start, days: Period(start, start + timedelta(days)), DATES, st.integers(0, 800))
THURSDAY = date(2026, 8, 20)


def preset(slug: str, today: date = THURSDAY, first_day: date | None = None) -> tuple[date, date]:
    (found,) = [preset for preset in PRESETS if preset.slug == slug]
    period = found.resolve(today, first_day)
    return period.start, period.end


def test_a_period_counts_both_ends() -> None:
    assert Period(date(2026, 1, 1), date(2026, 1, 1)).days == 1
    assert Period(date(2024, 2, 1), date(2024, 3, 1)).days == 30


def test_a_period_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(InputError, match="Swap the two dates"):
        Period(date(2026, 1, 2), date(2026, 1, 1))


@given(PERIODS)
def test_previous_has_the_same_length_and_ends_the_day_before(period: Period) -> None:
    previous = period.previous()
    assert previous.days == period.days
    assert previous.end + timedelta(days=1) == period.start


@given(PERIODS)
def test_previous_year_has_the_same_dates_one_year_earlier(period: Period) -> None:
    for now, then in zip((period.start, period.end), vars(period.previous_year()).values(), strict=True):
        assert then.year == now.year - 1
        assert (then.month, then.day) == ((2, 28) if (now.month, now.day) == (2, 29) else (now.month, now.day))


def test_the_year_before_a_leap_day_ends_on_28_february() -> None:
    leap = date(2024, 2, 29)
    assert Period(leap, leap).previous_year() == Period(date(2023, 2, 28), date(2023, 2, 28))
    assert Period(date(2025, 2, 1), date(2025, 2, 28)).previous_year() == Period(date(2024, 2, 1), date(2024, 2, 28))


def test_before_the_first_year_there_is_no_previous_period() -> None:
    period = Period(date(1, 1, 1), date(1, 12, 31))
    with pytest.raises(InputError, match="later start"):
        period.previous()
    with pytest.raises(InputError, match="later start"):
        period.previous_year()


@given(PERIODS, st.sampled_from(GRAINS))
def test_buckets_partition_the_period(period: Period, grain: Grain) -> None:
    buckets = period.buckets(grain)
    assert buckets[0].period.start == period.start
    assert buckets[-1].period.end == period.end
    for one, two in pairwise(buckets):
        assert two.period.start == one.period.end + timedelta(days=1)
        assert one.start < two.start
    assert sum(bucket.period.days for bucket in buckets) == period.days


@given(PERIODS)
def test_a_bucket_lies_in_one_day_week_or_month(period: Period) -> None:
    for bucket in period.buckets("day"):
        assert bucket.start == bucket.period.start == bucket.period.end
    for bucket in period.buckets("week"):
        assert bucket.start.weekday() == 0
        assert bucket.start <= bucket.period.start <= bucket.period.end <= bucket.start + timedelta(days=6)
    for bucket in period.buckets("month"):
        assert bucket.start.day == 1
        months = {(day.year, day.month) for day in (bucket.start, bucket.period.start, bucket.period.end)}
        assert len(months) == 1


def test_weeks_start_on_monday_and_are_cut_at_the_period() -> None:
    buckets = Period(date(2026, 8, 20), date(2026, 8, 31)).buckets("week")
    assert [(bucket.start, bucket.period.start, bucket.period.end) for bucket in buckets] == [
        (date(2026, 8, 17), date(2026, 8, 20), date(2026, 8, 23)),
        (date(2026, 8, 24), date(2026, 8, 24), date(2026, 8, 30)),
        (date(2026, 8, 31), date(2026, 8, 31), date(2026, 8, 31)),
    ]


@pytest.mark.parametrize("grain", GRAINS)
def test_buckets_reach_the_ends_of_the_calendar(grain: Grain) -> None:
    for period in (Period(date.min, date.min), Period(date.max, date.max)):
        (bucket,) = period.buckets(grain)
        assert bucket.period == period


def test_an_unknown_grain_is_refused() -> None:
    with pytest.raises(InputError, match="day, week, month"):
        Period(THURSDAY, THURSDAY).buckets("hour")


@pytest.mark.parametrize(
    ("slug", "start", "end"),
    [
        ("today", date(2026, 8, 20), date(2026, 8, 20)),
        ("yesterday", date(2026, 8, 19), date(2026, 8, 19)),
        ("7d", date(2026, 8, 14), date(2026, 8, 20)),
        ("30d", date(2026, 7, 22), date(2026, 8, 20)),
        ("90d", date(2026, 5, 23), date(2026, 8, 20)),
        ("365d", date(2025, 8, 21), date(2026, 8, 20)),
        ("week_to_date", date(2026, 8, 17), date(2026, 8, 20)),
        ("month_to_date", date(2026, 8, 1), date(2026, 8, 20)),
        ("quarter_to_date", date(2026, 7, 1), date(2026, 8, 20)),
        ("year_to_date", date(2026, 1, 1), date(2026, 8, 20)),
        ("last_month", date(2026, 7, 1), date(2026, 7, 31)),
        ("last_quarter", date(2026, 4, 1), date(2026, 6, 30)),
        ("last_year", date(2025, 1, 1), date(2025, 12, 31)),
    ],
)
def test_presets_on_a_thursday_in_august(slug: str, start: date, end: date) -> None:
    assert preset(slug) == (start, end)


def test_last_month_and_last_quarter_cross_the_new_year() -> None:
    assert preset("last_month", date(2026, 1, 31)) == (date(2025, 12, 1), date(2025, 12, 31))
    assert preset("last_quarter", date(2026, 3, 31)) == (date(2025, 10, 1), date(2025, 12, 31))


def test_all_time_starts_on_the_first_day_with_data() -> None:
    assert preset("all", first_day=date(1997, 1, 1)) == (date(1997, 1, 1), THURSDAY)
    assert preset("all") == (THURSDAY, THURSDAY)
    assert preset("all", first_day=THURSDAY + timedelta(days=3)) == (THURSDAY, THURSDAY)


@given(DATES)
def test_no_preset_reaches_into_the_future(today: date) -> None:
    assert all(preset.resolve(today).end <= today for preset in PRESETS)


def test_preset_slugs_and_labels_are_unique() -> None:
    assert len({preset.slug for preset in PRESETS}) == len({preset.label for preset in PRESETS}) == len(PRESETS)


def test_today_is_the_day_in_the_shops_zone() -> None:
    moment = datetime(2026, 3, 8, 4, 30, tzinfo=UTC)
    assert shop_today("America/New_York", moment) == date(2026, 3, 7)
    assert shop_today("UTC", moment) == date(2026, 3, 8)
    assert shop_today("Pacific/Kiritimati", datetime(2026, 3, 8, 11, tzinfo=UTC)) == date(2026, 3, 9)


def test_today_changes_at_local_midnight_on_the_day_the_clock_jumps() -> None:
    # 8 March 2026 has 23 hours in New York: it begins at 05:00 UTC and ends at 04:00 UTC.
    zone = "America/New_York"
    assert shop_today(zone, datetime(2026, 3, 8, 5, tzinfo=UTC)) == date(2026, 3, 8)
    assert shop_today(zone, datetime(2026, 3, 9, 3, 59, tzinfo=UTC)) == date(2026, 3, 8)
    assert shop_today(zone, datetime(2026, 3, 9, 4, tzinfo=UTC)) == date(2026, 3, 9)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(InputError, match="time zone"):
        shop_today(zone)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        shop_today("UTC", datetime(2026, 1, 1))


@pytest.mark.parametrize(("days", "grain"), [(1, "day"), (62, "day"), (63, "week"), (370, "week"), (371, "month")])
def test_the_grain_coarsens_with_the_length_of_the_period(days: int, grain: Grain) -> None:
    assert automatic_grain(Period(THURSDAY, THURSDAY + timedelta(days - 1))) == grain
