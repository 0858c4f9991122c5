"""Figures, days and names as the reader sees them."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analytics.period import Period
from core.ui import formatting

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 19, 3, tzinfo=UTC)
SPACE = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123456, "USD", "$1,234.56"),
        (-1250, "USD", "-$12.50"),
        (0, "USD", "$0.00"),
        (1000, "JPY", "¥1,000"),
        (1234567, "KWD", f"KWD{SPACE}1,234.567"),
        (100, "ISK", f"ISK{SPACE}100"),
        (100, "HUF", f"HUF{SPACE}1.00"),
        (9_007_199_254_740_993, "USD", "$90,071,992,547,409.93"),
        (None, "USD", formatting.DASH),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency_by_iso_4217(minor, currency, text):
    assert formatting.money(minor, currency, "en_US") == text


def test_separators_and_the_place_of_the_symbol_are_the_readers():
    assert formatting.money(123456, "EUR", "de_DE") == f"1.234,56{SPACE}€"
    assert formatting.money(123456, "EUR", "en_US") == "€1,234.56"
    assert formatting.count(1234567, "de_DE") == "1.234.567"
    assert formatting.percent(0.4231, "de_DE") == f"42,3{SPACE}%"


@pytest.mark.parametrize(
    ("minor", "text"),
    [(6641321, "$66,413.21"), (-1009600, "-$10,096.00"), (12345678, "$123,457"), (1234567890, "$12.3M")],
)
def test_a_card_shows_cents_then_whole_units_then_millions(minor, text):
    assert formatting.card_money(minor, "USD", "en_US") == text


@given(st.integers(min_value=-(2**62), max_value=2**62), st.sampled_from(["USD", "JPY", "KWD", "EUR", "CHF"]))
def test_a_card_is_never_wider_than_a_phone_shows(minor, currency):
    assert len(formatting.card_money(minor, currency, "en_US").lstrip("-")) <= 15


@given(st.integers(min_value=-(2**62), max_value=2**62), st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_no_digit_of_an_amount_is_lost(minor, currency):
    shown = formatting.money(minor, currency, "en_US").replace(currency, "")
    assert int("".join(character for character in shown if character.isdigit())) == abs(minor)
    assert ("-" in shown) == (minor < 0)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.084, "+8.4%"), (-0.022, "-2.2%"), (0.0, "0.0%"), (0.0004, "0.0%"), (-0.0004, "0.0%"), (12.5, "+1,250%")],
)
def test_a_change_has_its_sign_unless_it_shows_as_none(fraction, text):
    assert formatting.change(fraction, "en_US") == text


@pytest.mark.parametrize(
    ("number", "unit", "currency", "text"),
    [
        (150_000, "money", "USD", "$1.5K"),
        (50, "money", "USD", "$0.50"),
        (20_000, "money", "USD", "$200"),
        (1_500_000, "money", "KWD", f"KWD{SPACE}1.5K"),
        (0.25, "percent", "", "25%"),
        (1200, "count", "", "1.2K"),
    ],
)
def test_axis_labels_are_short(number, unit, currency, text):
    assert formatting.axis_value(number, unit, currency, "en_US") == text


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (date(2026, 10, 22), TODAY, "22 Oct to 20 Nov"),
        (TODAY, TODAY, "20 Nov"),
        (date(2025, 3, 1), date(2025, 3, 31), "1 Mar to 31 Mar 2025"),
        (date(2025, 12, 1), date(2026, 1, 31), "1 Dec 2025 to 31 Jan 2026"),
        (date(2025, 12, 1), date(2025, 12, 1), "1 Dec 2025"),
    ],
)
def test_a_period_names_the_year_where_it_is_not_this_one(start, end, text):
    assert formatting.period(Period(start, end), TODAY) == text


def test_a_moment_is_on_the_stores_clock():
    assert formatting.moment(NOW, "America/New_York") == "14:03, 20 Nov (New York)"
    assert formatting.moment(NOW, "Asia/Tokyo") == "04:03, 21 Nov (Tokyo)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7260, "2 hours ago"), (86400 * 3, "3 days ago")],
)
def test_ages_are_rough(seconds, text):
    assert formatting.ago(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(("seconds", "text"), [(42, "42 s"), (185, "3 min 5 s"), (3840, "1 h 4 min"), (-1, "0 s")])
def test_lengths_of_time_have_units(seconds, text):
    assert formatting.duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize("tag", ["xx-YY", "", "en_US.UTF-8", "../../etc", "zh-Hant-TW-x-private", "💥"])
def test_a_language_nobody_knows_still_gives_figures(tag):
    assert "1" in formatting.money(100, "USD", formatting._known_locale(tag))


def test_a_browser_language_becomes_babels():
    assert formatting._known_locale("pt-BR") == "pt_BR"
    assert formatting._known_locale("de-XX") == "de"


@given(st.text())
def test_no_markdown_survives_in_a_name(name):
    shown = formatting.plain(name)
    for character in "*_`[]()<>~$:#|!":
        assert shown.count(character) == shown.count("\\" + character)
    assert "\n" not in shown
