"""Figures, days and names as a reader of some language sees them.

Numbers follow the language (a locale as Babel writes it), currencies have the decimals of ISO 4217, and what is unknown
is a dash. Months and sentences are English like the pages.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.numbers import (
    NumberPattern,
    format_compact_currency,
    format_compact_decimal,
    format_decimal,
    format_percent,
    parse_pattern,
)

from core.analytics.metrics import METRIC, Unit, Value
from core.analytics.period import Period
from core.db.money import exponent, from_minor

DASH = "–"
# As many characters as a card on a phone can show of a figure.
_CARD_CHARACTERS = 10


def money(minor: int | None, currency: str, locale: str) -> str:
    """An exact amount of minor units, such as "$1,234.50"; a dash for None."""
    return DASH if minor is None else _money(minor, currency, locale, exponent(currency))


def card_money(minor: int | None, currency: str, locale: str) -> str:
    """An amount short enough for a card: exact, else in whole units, else such as "$12.3M"."""
    full = money(minor, currency, locale)
    if minor is None or _fits(full):
        return full
    whole = _money(minor, currency, locale, 0)
    return whole if _fits(whole) else _compact_money(minor, currency, locale)


def count(number: int | None, locale: str) -> str:
    """A whole number with the reader's separators; a dash for None."""
    return DASH if number is None else format_decimal(number, locale=locale)


def decimal(number: float | None, locale: str) -> str:
    """A number with two decimals; a dash for None."""
    return DASH if number is None else format_decimal(round(number, 2), "#,##0.00", locale=locale)


def short_decimal(number: float, locale: str) -> str:
    """A number with one decimal where it needs it: 12, or 12.5."""
    return format_decimal(round(number, 1), "#,##0.#", locale=locale)


def percent(fraction: float | None, locale: str) -> str:
    """A fraction of 1 as a percentage with one decimal; a dash for None."""
    return DASH if fraction is None else format_percent(fraction, _percent_pattern(locale, 1), locale=locale)


def value(number: Value, unit: Unit, currency: str, locale: str) -> str:
    """Any metric's value in full: money in minor units, percents as fractions of 1; a dash for None."""
    if unit == "percent":
        return percent(number, locale)
    whole = None if number is None else int(number)
    return money(whole, currency, locale) if unit == "money" else count(whole, locale)


def card_value(number: Value, slug: str, currency: str, locale: str) -> str:
    """A metric's value, short enough for a card."""
    unit = METRIC[slug].unit
    if number is None or unit == "percent":
        return percent(number, locale)
    if unit == "money":
        return card_money(int(number), currency, locale)
    full = count(int(number), locale)
    return full if _fits(full) else format_compact_decimal(number, locale=locale, fraction_digits=1)


def axis_value(number: float, unit: Unit, currency: str, locale: str) -> str:
    """A tick of a chart's axis, without decimals it does not need; money in minor units."""
    if unit == "percent":
        return format_percent(number, _percent_pattern(locale, 0), locale=locale)
    if unit == "count":
        return format_compact_decimal(number, locale=locale, fraction_digits=1)
    major = from_minor(round(number), currency)
    if abs(major) >= 1000:
        return _compact_money(round(number), currency, locale)
    return _money(round(number), currency, locale, 0 if major == major.to_integral_value() else exponent(currency))


def change(fraction: float, locale: str) -> str:
    """A change as signed percentage: "+8.4%"; whole above 100 %, and never "+0.0%" for a change that is none."""
    decimals = 0 if abs(fraction) >= 1 else 1
    text = format_percent(abs(fraction), _percent_pattern(locale, decimals), locale=locale)
    if not is_change(fraction):
        return text
    return ("+" if fraction > 0 else "-") + text


def is_change(fraction: float) -> bool:
    """Whether a change shows at one decimal of a percent."""
    return round(abs(fraction), 3) > 0


def day(when: date, *, year: bool = False) -> str:
    """A day as "20 Nov", or "20 Nov 2026"."""
    return f"{when.day} {_MONTHS[when.month - 1]}" + (f" {when.year}" if year else "")


def month(when: date) -> str:
    """The month of a day as "Nov 2026"."""
    return f"{_MONTHS[when.month - 1]} {when.year}"


def period(span: Period, today: date) -> str:
    """A period as "22 Oct to 20 Nov"; years only where one of them is not this year's."""
    year = span.start.year != today.year or span.end.year != today.year
    if span.start == span.end:
        return day(span.start, year=year)
    return f"{day(span.start, year=year and span.start.year != span.end.year)} to {day(span.end, year=year)}"


def moment(when: datetime, time_zone: str) -> str:
    """A moment on the shop's clock: "14:03, 20 Nov (New York)"."""
    local = when.astimezone(ZoneInfo(time_zone))
    return f"{local:%H:%M}, {day(local.date())} ({city(time_zone)})"


def city(time_zone: str) -> str:
    """The place a time zone is named after: "New York"."""
    return time_zone.rsplit("/", 1)[-1].replace("_", " ")


def ago(when: datetime, now: datetime | None = None) -> str:
    """How long ago a moment was, roughly: "2 minutes ago"."""
    seconds = max(0, int(((now or datetime.now(UTC)) - when).total_seconds()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            amount = seconds // size
            return f"{amount} {unit}{'' if amount == 1 else 's'} ago"
    return "just now"


def duration(span: timedelta) -> str:
    """A length of time: "42 s", "3 min 5 s", "1 h 4 min"."""
    seconds = max(0, int(span.total_seconds()))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def plain(text: str) -> str:
    """Text of others made safe for a place that reads Markdown: names cannot become links, icons or formulas."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])", r"\\\1", " ".join(text.split()))


def _fits(text: str) -> bool:
    return len(text.lstrip("-\N{MINUS SIGN}")) <= _CARD_CHARACTERS


def _money(minor: int, currency: str, locale: str, decimals: int) -> str:
    # Babel's own decimals are CLDR's, which differ from ISO 4217 for some currencies.
    pattern = _currency_pattern(locale, decimals)
    return _spaced(pattern.apply(from_minor(minor, currency), locale, currency=currency, currency_digits=False))


def _compact_money(minor: int, currency: str, locale: str) -> str:
    return _spaced(format_compact_currency(from_minor(minor, currency), currency, locale=locale, fraction_digits=1))


def _spaced(amount: str) -> str:
    """CLDR sets a space between a currency's code and the digits; Babel leaves it out."""
    return re.sub(r"([^\W\d_])(?=\d)", "\\1\N{NO-BREAK SPACE}", amount)


@cache
def _currency_pattern(locale: str, decimals: int) -> NumberPattern:
    pattern = parse_pattern(Locale.parse(locale).currency_formats["standard"].pattern)
    pattern.frac_prec = (decimals, decimals)
    return pattern


@cache
def _percent_pattern(locale: str, decimals: int) -> NumberPattern:
    pattern = parse_pattern(Locale.parse(locale).percent_formats[None].pattern)
    pattern.frac_prec = (decimals, decimals)
    return pattern


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
