"""The page of abandoned checkouts: its figures add up by hand, and strangers' checkouts stay out."""

from datetime import date, timedelta

import pytest
from sqlalchemy import Engine

from core.analytics.frames_checkouts import CHECKOUT_SUMS, checkout_days, left_products
from core.analytics.period import Period, shop_today
from core.db.engine import shop_session
from core.db.models import AbandonedCheckout, AbandonedCheckoutLine
from core.reports.table import csv_text, of_frame
from core.ui.checkouts_view import FIGURES, OF_PRODUCTS, chart
from tests import factories as make
from tests.factories import add_user, at
from tests.test_cohorts_page import read_aloud
from tests.test_pages import ALICE, ALICES, NAMES, add_shop, card, no_cache, open_page, sell, tables, words

__all__ = ["no_cache", "tables"]
NOON = at("2026-06-10T16:00")


def leave(shop_id: int, number: int, day: date, total: int, *lines: tuple[int | None, str, int], back: bool = False):
    """A checkout with lines of (product, title, value)."""
    with shop_session(shop_id, write=True) as session:
        session.add(
            AbandonedCheckout(
                shop_id=shop_id, id=number, name=f"#{number}", created_at=NOON, day=day, updated_at=NOON, total=total,
                completed_at=NOON if back else None, subtotal=total, total_discount=0,
            )
        )  # fmt: skip
        session.flush()
        for place, (product, title, value) in enumerate(lines, 1):
            session.add(
                AbandonedCheckoutLine(
                    shop_id=shop_id, checkout_id=number, id=number * 10 + place, product_id=product, title=title,
                    quantity=2, unit_price=value // 2, total=value,
                )
            )  # fmt: skip


def three_left(shop_id: int, day: date) -> None:
    """Two nobody came back to, of 10.00 and 20.00, and one of 30.00 completed later."""
    leave(shop_id, 1, day, 10_00, (7, "Mug", 10_00))
    leave(shop_id, 2, day, 20_00, (7, "Old mug", 5_00), (None, "Gone", 15_00))
    leave(shop_id, 3, day, 30_00, (8, "Tent", 30_00), back=True)


def test_days_and_products_add_up_and_are_of_one_shop(database: Engine):
    day = date(2026, 6, 10)
    for shop_id in (1, 2):
        make.add_shop(shop_id)
        three_left(shop_id, day)
    leave(2, 9, day, 99_00, (7, "Mug", 99_00))
    leave(1, 4, day - timedelta(days=30), 1_00, (7, "Mug", 1_00))
    period = Period(day - timedelta(days=1), day + timedelta(days=1))
    with shop_session(1) as session:
        days, products = checkout_days(session, period), left_products(session, period, 10)
    assert days[list(CHECKOUT_SUMS)].to_numpy().tolist() == [[0] * 4, [3, 60_00, 1, 30_00], [0] * 4]
    assert products.to_dict("records") == [
        {"product_id": 0, "title": "Gone", "checkouts": 1, "units": 2, "value": 15_00},
        {"product_id": 7, "title": "Old mug", "checkouts": 2, "units": 4, "value": 15_00},
    ]
    text = csv_text(of_frame("Left", products, OF_PRODUCTS), "USD")
    assert text.splitlines()[1] == "0,Gone,1,2,15.00"


@pytest.fixture
def shop(tables: None) -> None:
    add_shop(1, ALICES)
    add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, "10.00", 1)


def test_the_cards_say_how_many_left_and_how_many_came_back(shop: None):
    three_left(1, shop_today("America/New_York") - timedelta(days=3))
    at_page = open_page("checkouts.py", ALICE)
    labels = ("Abandoned", "Their value", "Recovery rate", "Rate by value")
    assert [card(at_page, label) for label in labels] == ["3", "$60.00", "33.3%", "50.0%"]
    assert at_page.dataframe[0].value["Value"].sum() == 30.0


def test_without_checkouts_the_page_says_so(shop: None):
    at_page = open_page("checkouts.py", ALICE)
    assert "No abandoned checkout from" in words(at_page) and not at_page.metric


@pytest.mark.parametrize("name", NAMES)
def test_titles_in_any_script_are_shown_as_they_are(shop: None, name: str):
    leave(1, 1, shop_today("America/New_York"), 0, (7, name, 0))
    at_page = open_page("checkouts.py", ALICE)
    assert at_page.dataframe[0].value["Product"].tolist() == [name]
    assert card(at_page, "Rate by value") == "–"
    assert "nan" not in read_aloud(at_page)


@pytest.mark.parametrize("figure", [*FIGURES, "Nonsense"])
@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_each_figure_over_time_is_drawn_without_nan(tables: None, figure: str, currency: str):
    add_shop(1, ALICES, currency=currency)
    add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, "10", 1)
    three_left(1, shop_today("America/New_York") - timedelta(days=3))
    at_page = open_page("checkouts.py", ALICE, drawn=figure)
    assert not at_page.error and "nan" not in read_aloud(at_page)
    assert "33.3% by count, 50.0% by value." in read_aloud(at_page)


def test_the_bars_and_rates_of_a_bucket_are_its_sums(shop: None):
    today = shop_today("America/New_York")
    three_left(1, today - timedelta(days=3))
    period = Period(today - timedelta(days=6), today)
    with shop_session(1) as session:
        days = checkout_days(session, period)
    (rows,) = chart(days, period, today, "USD", "Value").to_dict()["datasets"].values()
    assert [(row["i"], row["low"], row["value"]) for row in rows if row["value"]] == [(2.6, 0, 30), (2.6, 30, 60)]
    drawn = chart(days, period, today, "USD", "Recovery rate").to_dict()["datasets"].values()
    lines = next(rows for rows in drawn if "series" in rows[0])
    assert [(row["i"], row["series"], row["value"]) for row in lines] == [
        (3, "By count", pytest.approx(1 / 3)), (3, "By value", 0.5),
    ]  # fmt: skip
