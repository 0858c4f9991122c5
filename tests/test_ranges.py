"""Two ranges of the reader's choice on the Date filter page: whatever their lengths, every measure and what differs."""

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from core.analytics.metrics import METRICS
from core.analytics.period import Period, shop_today
from core.auth.accounts import shops_of
from core.ui import ranges_view
from core.ui.data import load_report
from tests.test_orders_page import one_shop, read_aloud
from tests.test_pages import ALICE, CHARLIE, card, cast, no_cache, open_page, sell, tables, words

__all__ = ["cast", "no_cache", "tables"]


def two_ranges(first: tuple[int, int], second: tuple[int, int], user_id: int = ALICE, **query: str) -> AppTest:
    """The page with both ranges in the address, as days ago in the user's store."""
    today = shop_today("Europe/Berlin" if user_id == CHARLIE else "America/New_York")
    given = {
        name: [(today - timedelta(days=days)).isoformat() for days in ends]
        for name, ends in (("dates", first), ("against", second))
    }
    return open_page("date_filter.py", user_id, range="Custom", compare="Another range", **given, **query)


def side_by_side(at: AppTest) -> dict[str, list[str]]:
    table = next(each.value for each in at.dataframe if "Difference" in each.value)
    return {row[0]: row[1:] for row in table.values.tolist()}


def test_both_ranges_are_in_the_address_with_every_measure_and_its_difference(cast):
    sell(1, 3, "30.00", days_ago=40, customer=1)
    at = two_ranges((2, 1), (45, 36))
    shown = side_by_side(at)
    assert list(shown) == [metric.label for metric in METRICS]
    assert shown["Total sales"] == ["$165.00", "$30.00", "+$135.00", "+450%"]
    assert shown["Orders"] == ["2", "1", "+1", "+100%"]
    assert shown["Taxes"] == ["$15.00", "$0.00", "+$15.00", "–"]
    assert shown["Returning customer rate"] == ["50.0%", "0.0%", "+50 points", "–"]
    assert "The ranges have 2 and 10 days" in words(at)
    assert card(at, "Total sales") == "$165.00"


def test_a_range_without_orders_differs_by_all_and_unknown_stays_a_dash(cast):
    shown = side_by_side(two_ranges((2, 1), (400, 390)))
    assert shown["Orders"] == ["2", "0", "+2", "–"]
    assert shown["Average order value"] == ["$75.00", "–", "–", "–"]


def test_a_range_compared_with_itself_differs_in_nothing(cast):
    shown = side_by_side(two_ranges((2, 1), (2, 1)))
    assert shown["Total sales"] == ["$165.00", "$165.00", "$0.00", "0.0%"]


@pytest.mark.parametrize("against", [["2999-01-01", "2999-02-01"], ["1066-10-14", "1066-10-15"], ["x"], ["2026-02-30"]])
def test_dates_that_cannot_be_compared_with_are_not_shown(cast, against):
    at = open_page("date_filter.py", ALICE, compare="Another range", against=against)
    assert "2999" not in words(at) and "1066" not in words(at) and card(at, "Orders") == "2"


def test_charlie_sees_his_own_store_in_the_ranges_of_alices_link(cast):
    shown = side_by_side(two_ranges((2, 1), (45, 36), CHARLIE))
    assert shown["Total sales"][0] == "€7,777.00"


@pytest.mark.parametrize(("currency", "total"), [("JPY", "1000"), ("KWD", "1.234")])
def test_a_single_day_of_any_currency_against_many_days_is_shown_without_nan(tables, currency, total):
    one_shop(currency=currency)
    sell(1, 1, total, days_ago=0)
    sell(1, 2, f"-{total}", days_ago=0, kind="ADJUSTMENT")
    for figure in ("Total sales", "Average order value"):
        at = two_ranges((0, 0), (9, 0), drawn=figure)
        assert side_by_side(at)["Orders"] == ["2", "2", "0", "0.0%"] and "nan" not in read_aloud(at)


def test_the_lines_begin_together_and_the_longer_one_goes_on(cast):
    (shop,) = shops_of(ALICE)
    today = shop_today(shop.time_zone)
    short, long = (load_report(shop, Period(today - timedelta(days=days), today), "day") for days in (1, 9))
    drawn = ranges_view.lines(short, long, "orders", "USD", today).to_dict()
    rows = next(rows for rows in drawn["datasets"].values() if "series" in rows[0])
    ends = {name: [row["i"] for row in rows if row["series"] == name] for name in {row["series"] for row in rows}}
    assert sorted(map(list, ends.values())) == [[0, 1], list(range(10))]
