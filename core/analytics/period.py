"""Periods of a shop's calendar: ranges of whole days, their comparisons, buckets and presets.

A day is a date in the shop's time zone, so 23- and 25-hour days need no care here.
"""

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import InputError

Grain = Literal["day", "week", "month"]
GRAINS: tuple[Grain, ...] = get_args(Grain)
Comparison = Literal["Previous period", "Previous year", "Nothing"]
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)

# The day Shopify opened: no store is older.
FIRST_DAY = date(2006, 6, 2)

# Above this many days the points of a line chart crowd.
_MOST_DAYS_BY_DAY = 62
_MOST_DAYS_BY_WEEK = 370


@dataclass(frozen=True)
class Period:
    """The shop days from start to end, both included. Raises InputError if end is before start."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise InputError(f"The period ends on {self.end}, before it starts on {self.start}. Swap the two dates.")

    @property
    def days(self) -> int:
        """How many days the period has, at least 1."""
        return (self.end - self.start).days + 1

    def previous(self) -> "Period":
        """The same number of days just before. Raises InputError before the year 1."""
        try:
            return Period(self.start - timedelta(days=self.days), self.start - timedelta(days=1))
        except OverflowError as error:
            raise InputError(f"No calendar has {self.days} days before {self.start}. Choose a later start.") from error

    def previous_year(self) -> "Period":
        """The same dates one year earlier; 29 February becomes 28 February. Raises InputError before the year 1."""
        return Period(_year_before(self.start), _year_before(self.end))

    def buckets(self, grain: Grain) -> tuple["Bucket", ...]:
        """The days, weeks (from Monday) or months the period touches, in order. Raises InputError for another grain."""
        if grain not in GRAINS:
            raise InputError(f"{grain!r} is no grain. Choose one of {', '.join(GRAINS)}.")
        buckets = []
        day = self.start
        while True:
            first, last = _calendar_span(day, grain)
            part = Period(day, min(last, self.end))
            buckets.append(Bucket(first, part))
            if part.end == self.end:
                return tuple(buckets)
            day = part.end + timedelta(days=1)


@dataclass(frozen=True)
class Bucket:
    """A calendar day, week or month: where it starts, and the part of it inside the period."""

    start: date
    period: Period


@dataclass(frozen=True)
class Preset:
    """A period with a name, relative to the shop's today."""

    slug: str
    label: str
    span: Callable[[date, date], Period]

    def resolve(self, today: date, first_day: date | None = None) -> Period:
        """The period as of `today`; only "all" looks at `first_day`, the first day with data (today if None)."""
        return self.span(today, first_day or today)


def compared(period: Period, how: Comparison) -> Period | None:
    """The period to compare with."""
    if how == "Previous period":
        return period.previous()
    return period.previous_year() if how == "Previous year" else None


def custom(days: Iterable[date], today: date) -> Period:
    """The period between two days of a reader's choice, in either order, or of one, as far as there are such days."""
    known = sorted(min(max(day, FIRST_DAY), today) for day in days)
    return Period(known[0], known[-1])


def shop_today(time_zone: str, now: datetime | None = None) -> date:
    """The calendar day in a shop's IANA time zone, at the aware moment `now`. Raises InputError for an unknown zone."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"The time zone {time_zone!r} is not known here. Update the tzdata package, or sync the shop's settings."
        ) from error
    now = datetime.now(UTC) if now is None else now
    if now.tzinfo is None:
        raise ValueError("a moment needs its zone")
    return now.astimezone(zone).date()


def automatic_grain(period: Period) -> Grain:
    """The grain at which a chart of the period reads well."""
    if period.days <= _MOST_DAYS_BY_DAY:
        return "day"
    return "week" if period.days <= _MOST_DAYS_BY_WEEK else "month"


def _year_before(day: date) -> date:
    if day.year == 1:
        raise InputError(f"No calendar has a year before {day}. Choose a later start.")
    if (day.month, day.day) == (2, 29):
        return date(day.year - 1, 2, 28)
    return day.replace(year=day.year - 1)


def _calendar_span(day: date, grain: Grain) -> tuple[date, date]:
    if grain == "day":
        return day, day
    if grain == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, date.fromordinal(min(monday.toordinal() + 6, date.max.toordinal()))
    return day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1])


def _last_days(days: int) -> Callable[[date, date], Period]:
    return lambda today, _: Period(today - timedelta(days=days - 1), today)


def _quarter_start(day: date) -> date:
    return date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)


def _day_before(day: date) -> date:
    return day - timedelta(days=1)


def _yesterday(today: date, _: date) -> Period:
    return Period(_day_before(today), _day_before(today))


def _last_month(today: date, _: date) -> Period:
    end = _day_before(today.replace(day=1))
    return Period(end.replace(day=1), end)


def _last_quarter(today: date, _: date) -> Period:
    end = _day_before(_quarter_start(today))
    return Period(_quarter_start(end), end)


PRESETS = (
    Preset("today", "Today", _last_days(1)),
    Preset("yesterday", "Yesterday", _yesterday),
    Preset("7d", "Last 7 days", _last_days(7)),
    Preset("30d", "Last 30 days", _last_days(30)),
    Preset("90d", "Last 90 days", _last_days(90)),
    Preset("365d", "Last 365 days", _last_days(365)),
    Preset("week_to_date", "Week to date", lambda today, _: Period(today - timedelta(days=today.weekday()), today)),
    Preset("month_to_date", "Month to date", lambda today, _: Period(today.replace(day=1), today)),
    Preset("quarter_to_date", "Quarter to date", lambda today, _: Period(_quarter_start(today), today)),
    Preset("year_to_date", "Year to date", lambda today, _: Period(date(today.year, 1, 1), today)),
    Preset("last_month", "Last month", _last_month),
    Preset("last_quarter", "Last quarter", _last_quarter),
    Preset("last_year", "Last year", lambda today, _: Period(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31))),
    Preset("all", "All time", lambda today, first_day: Period(min(first_day, today), today)),
)
PRESET: Mapping[str, Preset] = {preset.slug: preset for preset in PRESETS}

# What an address calls days that are none of the presets, days to compare with that are none of COMPARISONS, and the
# five presets that some pages offer as buttons.
CUSTOM, ANOTHER = "Custom", "Another range"
USUAL = {
    "7 days": PRESET["7d"],
    "30 days": PRESET["30d"],
    "90 days": PRESET["90d"],
    "Year to date": PRESET["year_to_date"],
    "12 months": PRESET["365d"],
}
