"""The lifetime page: what is expected of customers, and how such a forecast did."""

import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.analytics.frames_customers import repeat_history
from core.analytics.lifetime import Lifetime, lifetime
from core.analytics.period import shop_today
from core.db.engine import shop_session
from core.db.models import Customer
from tests import factories as make
from tests.factories import add_user
from tests.test_cohorts_page import read_aloud
from tests.test_pages import ALICE, ALICES, LONG, add_shop, card, no_cache, open_page, sell, synced, tables, words

__all__ = ["no_cache", "tables"]
pytestmark = pytest.mark.usefixtures("tables")
BUYERS = 160


def a_shop_with_regulars(currency: str = "USD", sign: str = "", **columns: object) -> None:
    """Of 160 customers over 300 days, half order once and the rest up to six times."""
    add_shop(1, ALICES, currency, time_zone="Europe/Berlin", **columns)
    add_user(ALICE, "alice@example.com", 1)
    rng, zone, number, documents = random.Random(5), ZoneInfo("Europe/Berlin"), 0, []
    for buyer in range(1, BUYERS + 1):
        for ago in sorted(rng.sample(range(1, 300), rng.choice((1, 1, 1, 2, 4, 6))), reverse=True):
            number += 1
            day = shop_today("Europe/Berlin") - timedelta(days=ago)
            noon = datetime.combine(day, time(12), zone).astimezone(UTC)
            bought = make.agreement(
                noon, make.sale(f"{sign}{rng.randrange(10, 90)}", line_item=number, currency=currency)
            )
            lines = [make.line_item(number, currency=currency)]
            documents.append(make.order(number, noon, bought, customer=buyer, lines=lines, currency=currency))
    make.store_orders(make.context(1, currency, "Europe/Berlin"), *documents)
    synced(1, datetime.now(UTC))


def test_the_cards_are_sums_over_every_customer():
    a_shop_with_regulars()
    at = open_page("lifetime.py", ALICE)
    last = shop_today("Europe/Berlin") - timedelta(days=1)
    with shop_session(1) as session:
        found = lifetime(repeat_history(session, last), last)
    assert isinstance(found, Lifetime) and found.expected_value is not None
    assert card(at, "Expected sales") == f"${found.buyers['expected_value'].sum() / 100:,.2f}"
    assert card(at, "Customers") == str(BUYERS)
    best = at.dataframe[0].value
    assert len(best) == 100 and best["Expected sales"].is_monotonic_decreasing
    assert "days with an order were expected up to" in words(at)
    assert at.dataframe[1].value["Customers"].sum() <= BUYERS


def test_one_customers_page_says_what_the_models_of_all_expect_of_them():
    a_shop_with_regulars()
    last = shop_today("Europe/Berlin") - timedelta(days=1)
    with shop_session(1) as session:
        found = lifetime(repeat_history(session, last), last)
        alone = repeat_history(session, last, 7)
        assert alone.to_dict("records") == repeat_history(session, last).query("buyer_id == 7").to_dict("records")
    buyers = found.buyers.set_index("buyer_id")
    again, once = (buyers[buyers["repeats"] == many].iloc[0] for many in (3, 0))
    for row in (again, once):
        at = open_page("customers.py", ALICE, customer=str(row.name))
        assert card(at, "Expected sales, 12 months") == f"${row['expected_value'] / 100:,.2f}"
        assert card(at, "Expected orders, 12 months") == f"{row['expected_orders']:.2f}"
        assert card(at, "Still active") == (f"{row['alive']:.1%}" if row["repeats"] else "–")


def test_names_are_shown_where_they_are_known_and_numbers_otherwise():
    a_shop_with_regulars()
    with shop_session(1, write=True) as session:
        for buyer in range(1, BUYERS + 1, 2):
            session.merge(Customer(shop_id=1, id=buyer, name=LONG if buyer == 1 else f"Name {buyer}"))
    shown = set(open_page("lifetime.py", ALICE).dataframe[0].value["Customer"])
    assert shown <= {LONG, *(f"Name {buyer}" for buyer in range(BUYERS)), *(f"Customer {n}" for n in range(BUYERS + 1))}
    assert any(name.startswith("Name") for name in shown) and any(name.startswith("Customer") for name in shown)


def test_with_one_order_there_is_a_reason_instead_of_figures():
    add_shop(1, ALICES)
    add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, "10.00", 3)
    at = open_page("lifetime.py", ALICE)
    assert at.info and not at.metric
    at = open_page("customers.py", ALICE, customer="1")
    assert "unknown. The model learns from at least 100 customers; there are 1 so far." in words(at)


@pytest.mark.parametrize("currency, sign", [("JPY", ""), ("KWD", ""), ("EUR", "-")])
def test_any_currency_and_nothing_but_refunds_can_be_shown(currency, sign):
    a_shop_with_regulars(currency, sign)
    said = read_aloud(open_page("lifetime.py", ALICE))
    assert "nan" not in said and "infinity" not in said
