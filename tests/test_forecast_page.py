"""The forecast page: the next days, how good such forecasts were, and days unlike the others."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.analytics.forecast import Forecast
from core.analytics.period import shop_today
from core.auth.accounts import shops_of
from core.ui import forecast_view
from tests import factories as make
from tests.factories import add_user
from tests.test_pages import ALICE, ALICES, add_shop, card, no_cache, open_page, sell, synced, tables, words

__all__ = ["no_cache", "tables"]
pytestmark = pytest.mark.usefixtures("tables")
DAYS, SPIKE = 100, 9


def a_steady_shop(currency: str = "USD", days: int = DAYS, sign: str = "") -> None:
    """An order a day of 10 to 13 by turns, more at the weekend, and one of 900 nine days ago, from Canada."""
    add_shop(1, ALICES, currency, time_zone="Europe/Berlin")
    add_user(ALICE, "alice@example.com", 1)
    zone, documents = ZoneInfo("Europe/Berlin"), []
    for ago in range(days, 0, -1):
        day = shop_today("Europe/Berlin") - timedelta(days=ago)
        noon = datetime.combine(day, time(12), zone).astimezone(UTC)
        amount = 900 if ago == SPIKE else 10 + ago % 4 + (6 if day.weekday() > 4 else 0)
        bought = make.agreement(noon, make.sale(f"{sign}{amount}", line_item=ago, currency=currency))
        address = {"countryCodeV2": "CA" if ago == SPIKE else "DE"}
        documents.append(
            make.order(
                ago, noon, bought, lines=[make.line_item(ago, currency=currency)], currency=currency,
                shippingAddress=address,
            )
        )  # fmt: skip
    make.store_orders(make.context(1, currency, "Europe/Berlin"), *documents)
    synced(1, datetime.now(UTC))


def loaded(slug: str = "net_sales", days: int = 30) -> tuple[Forecast, Any]:
    [shop] = shops_of(ALICE)
    last = shop_today("Europe/Berlin") - timedelta(days=1)
    found = forecast_view.load_forecast(shop, slug, days, last)
    assert isinstance(found, Forecast)
    return found, forecast_view.load_daily(shop, slug, last)


def test_the_card_is_the_sum_of_the_days_and_the_error_stands_beside_the_simplest_forecasts():
    a_steady_shop()
    at = open_page("forecast.py", ALICE)
    found, daily = loaded()
    assert len(daily) == DAYS and daily.iloc[-SPIKE] == 900_00
    assert card(at, "Expected, 30 days") == f"${round(found.by_day['expected'].sum()) / 100:,.2f}"
    assert "repeating the last week, which was off by" in words(at)
    assert "nan" not in words(at).lower()


def test_the_unusual_day_is_found_with_what_explains_it():
    a_steady_shop()
    table = open_page("forecast.py", ALICE, explained_by="By country").dataframe[0].value
    spike = shop_today("Europe/Berlin") - timedelta(days=SPIKE)
    row = table[table["Day"] == spike].iloc[0]
    assert row["Net sales"] == "$900.00" and row["Most of it"] == "CA: $900.00"


def test_all_breakdowns_are_searched_for_what_explains_most():
    a_steady_shop()
    at = open_page("forecast.py", ALICE)
    assert at.selectbox(key="explained_by").value == "What explains most"
    table = at.dataframe[0].value
    spike = shop_today("Europe/Berlin") - timedelta(days=SPIKE)
    assert table[table["Day"] == spike]["Most of it"].tolist() == ["Country, CA: $900.00"]
    assert "exceeds its usual part of a day by most" in words(at) and "product type, vendor." in words(at)
    assert "vendor" not in forecast_view.explained_by("orders"), "only amounts are known by product"


@pytest.mark.parametrize("ahead, days", [("30 days", 30), ("90 days", 90)])
def test_what_is_chosen_is_in_the_address(ahead, days):
    a_steady_shop()
    at = open_page("forecast.py", ALICE, measure="Orders", ahead=ahead)
    assert card(at, f"Expected, {days} days") == str(days)


def test_under_eight_weeks_there_is_no_forecast_but_a_reason():
    a_steady_shop(days=40)
    at = open_page("forecast.py", ALICE)
    assert "A forecast needs 8 weeks of sales; there are 40 days so far." in words(at)
    assert not at.metric


def test_a_first_order_of_today_is_no_whole_day():
    add_shop(1, ALICES)
    add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, "10.00", 0)
    assert "No whole day of sales is known yet." in words(open_page("forecast.py", ALICE))


@pytest.mark.parametrize("currency, sign", [("JPY", ""), ("KWD", ""), ("EUR", "-")])
def test_any_currency_and_nothing_but_refunds_can_be_shown(currency, sign):
    a_steady_shop(currency, sign=sign)
    said = words(open_page("forecast.py", ALICE)).lower()
    assert "nan" not in said and "infinity" not in said


def test_the_unusual_days_are_marked_on_the_line():
    a_steady_shop()
    found, daily = loaded()
    drawn = forecast_view.chart(found, daily, "net_sales", "USD").to_dict()["datasets"].values()
    shown = daily.index[-90:].date.tolist()
    marked = [shown[row["i"]] for rows in drawn for row in rows if row.get("kind") == "Unusual day"]
    assert marked == [day for day in forecast_view.unusual_days(daily) if day in shown] and marked
