"""The Goals page on a day in June: figures that a slow recompute gives too, what sets a goal, and who may not."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.analytics import period
from core.auth.goals import Target, goals_of, set_goal, targets
from core.db.engine import shop_session, system_session
from core.db.models import Membership, Order, Sale
from core.errors import InputError
from core.ui.goals_form import target_of
from tests import factories as make
from tests.test_pages import (
    ALICE,
    ALICES,
    CHARLIE,
    CHARLIES,
    LONG,
    add_shop,
    card,
    no_cache,
    open_page,
    synced,
    tables,
    words,
)

__all__ = ["no_cache", "tables"]
pytestmark = pytest.mark.usefixtures("tables", "in_june")
BERLIN, TODAY, VIEWER = "Europe/Berlin", date(2026, 6, 20), 9
APRIL, MAY, JUNE, JULY = (date(2026, month, 1) for month in (4, 5, 6, 7))


@pytest.fixture
def in_june(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the 20th of June at every shop."""
    monkeypatch.setattr(period, "shop_today", lambda *_: TODAY)


def a_shop(first: date | None = date(2026, 3, 2), currency: str = "USD", **columns: object) -> None:
    """An order each day from the first to today, more at the weekend, by a new customer each; synced today."""
    add_shop(1, ALICES, currency, time_zone=BERLIN, **columns)
    make.add_user(ALICE, "alice@example.com", 1)
    make.add_user(VIEWER, "vera@example.com", 1, role="viewer")
    if first is not None:
        days = [first + timedelta(days=n) for n in range((TODAY - first).days + 1)]
        sell({day: f"{30 + (day.weekday() > 4) * 25 + day.day % 3}" for day in days}, currency)
    synced(1, noon(TODAY))


def sell(amounts: dict[date, str], currency: str = "USD", shop_id: int = 1, tax: str = "0") -> None:
    documents = []
    for number, (day, amount) in enumerate(amounts.items(), 1):
        bought = make.agreement(noon(day), make.sale(amount, tax=tax, line_item=number, currency=currency))
        line = make.line_item(number, currency=currency)
        documents.append(
            make.order(number, noon(day), bought, customer=number, lines=[line], currency=currency)
        )  # fmt: skip
    make.store_orders(make.context(shop_id, currency, BERLIN), *documents)


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), ZoneInfo(BERLIN)).astimezone(UTC)


def net_sales(first: date, last: date) -> int:
    """From the ledger's own rows."""
    with shop_session(1) as session:
        rows = session.exec(select(Sale)).all()
    return sum(row.total_amount - row.tax_amount for row in rows if first <= row.day <= last)


def said(at: AppTest) -> str:
    assert not at.error and not re.search(r"\b(nan|inf|infinity)\b", words(at).lower())
    return words(at)


def progress(at: AppTest) -> list[str]:
    return [bar.proto.text.replace("\\", "") for bar in at.get("progress")]


def dollars(cents: int) -> str:
    return f"${cents / 100:,.2f}"


def test_pace_and_landing_are_those_of_a_slow_recompute():
    a_shop()
    set_goal(1, ALICE, "net_sales", JUNE, 1_000_00)
    at = open_page("goals.py", ALICE)
    so_far, now = net_sales(JUNE, date(2026, 6, 19)), net_sales(JUNE, TODAY)
    assert card(at, "Until 19 Jun") == dollars(so_far)
    assert progress(at) == [f"{dollars(now)} of $1,000.00, {now / 1_000_00:.1%}, today included"]
    weights = dict.fromkeys(range(7), 0)
    for day in (TODAY - timedelta(days=n) for n in range(1, 57)):
        weights[day.weekday()] += net_sales(day, day)
    over, whole = (sum(weights[date(2026, 6, day).weekday()] for day in range(1, end)) for end in (20, 31))
    assert card(at, "Expected landing") == dollars(round(so_far * whole / over))
    assert card(at, "Needed per day") == dollars(-(-max(1_000_00 - so_far, 0) // 11))
    due = next(metric.delta for metric in at.metric if metric.label == "Until 19 Jun")
    assert due == f"+{dollars(so_far - round(1_000_00 * over / whole))}"
    assert "On track" in said(at)


def test_each_measure_with_a_goal_has_a_card_and_people_are_counted_once():
    a_shop()
    for slug, target in (("orders", 30), ("new_customers", 40), ("units_sold", 20)):
        set_goal(1, ALICE, slug, JUNE, target)
    at = open_page("goals.py", ALICE)
    with shop_session(1) as session:
        ordered = len(session.exec(select(Order).where(Order.day >= JUNE)).all())
    assert progress(at) == [f"{ordered} of {goal}, {ordered / goal:.1%}, today included" for goal in (30, 20, 40)]
    for name, verdict in (("Orders", "On track"), ("Units sold", "Reached"), ("New customers", "Behind")):
        assert re.search(rf"{name}, Jun 2026[^|]*\|.*?{verdict}", said(at))


def test_months_that_are_over_were_hit_or_missed_by_what_the_ledger_says():
    a_shop()
    april, may = net_sales(APRIL, date(2026, 4, 30)), net_sales(MAY, date(2026, 5, 31))
    set_goal(1, ALICE, "net_sales", APRIL, april)
    set_goal(1, ALICE, "net_sales", MAY, may + 1)
    set_goal(1, ALICE, "net_sales", JUNE, None)
    set_goal(1, ALICE, "orders", JULY, 5)
    at = open_page("goals.py", ALICE)
    table = at.dataframe[0].value
    assert table[["Month", "Reached", "Result"]].to_numpy().tolist() == [
        ["May 2026", dollars(may), "Missed"], ["Apr 2026", dollars(april), "Hit"],
    ]  # fmt: skip
    assert table["Of the goal"].tolist() == [round(may / (may + 1), 3), 1.0]
    assert "No goal is set for this month. Set one above." in said(at)
    assert "From Jul 2026: orders, a goal of 5." in said(at)


def test_a_month_that_was_not_fetched_as_a_whole_is_unknown():
    a_shop()
    set_goal(1, ALICE, "orders", APRIL, 5)
    synced(1, noon(TODAY), history_from=noon(date(2026, 4, 3)))
    table = open_page("goals.py", ALICE).dataframe[0].value
    assert table["Result"].tolist() == ["Hit", "–"]
    assert table["Reached"].tolist() == ["31", "–"] and table["Of the goal"].isna().tolist() == [False, True]


def test_data_of_last_month_says_nothing_of_this_one():
    a_shop()
    set_goal(1, ALICE, "orders", MAY, 5)
    synced(1, noon(date(2026, 5, 30)))
    at = open_page("goals.py", ALICE)
    assert "Nothing of this month was fetched yet." in said(at) and not at.metric
    assert at.dataframe[0].value["Result"].tolist() == ["–"]


def test_on_the_first_day_of_a_month_the_landing_is_unknown(monkeypatch):
    a_shop()
    monkeypatch.setattr(period, "shop_today", lambda *_: JUNE)
    synced(1, noon(JUNE))
    set_goal(1, ALICE, "net_sales", JUNE, 100_00)
    at = open_page("goals.py", ALICE)
    assert card(at, "Until yesterday") == card(at, "Expected landing") == "–"
    assert "Just begun" in said(at)


def save(at: AppTest, text: str, metric: str = "net_sales", button: str = "goal_save") -> AppTest:
    at.selectbox(key="goal_metric").select(metric)
    at.text_input(key="goal_target").set_value(text)
    at.button(key=button).click().run()
    assert not at.exception
    return at


def test_a_goal_is_set_replaced_and_ended_on_the_page():
    a_shop()
    at = save(open_page("goals.py", ALICE), "1,250.50")
    assert at.success[0].value.replace("\\", "") == "Net sales from Jun 2026: $1,250.50."
    assert goals_of(1, JUNE) == {"net_sales": 1250_50} and "of $1,250.50" in progress(at)[0]
    save(at, "$900")
    at.selectbox(key="goal_month").select(JULY)
    save(at, "", button="goal_end")
    assert targets(1) == (Target("net_sales", JUNE, 900_00), Target("net_sales", JULY, None))


@pytest.mark.parametrize("text", ["", "many", "-5", "0", "1.005", "1e99", "NaN", "9" * 40, "$"])
def test_what_is_no_amount_is_answered_with_a_sentence_and_changes_nothing(text):
    a_shop()
    at = save(open_page("goals.py", ALICE), text)
    assert len(at.error) == 1 and at.error[0].value.endswith("\\.")
    assert targets(1) == ()


def test_a_viewer_reads_and_a_stranger_sees_nothing():
    a_shop()
    set_goal(1, ALICE, "net_sales", MAY, 1_234_00)
    hers = open_page("goals.py", VIEWER)
    assert "of $1,234.00" in progress(hers)[0]
    assert not hers.get("download_button") and not [each for each in hers.button if each.key == "goal_save"]
    add_shop(2, CHARLIES, time_zone=BERLIN)
    make.add_user(CHARLIE, "charlie@example.com", 2)
    sell({TODAY: "5"}, shop_id=2)
    at = open_page("goals.py", CHARLIE, shop=ALICES)
    assert not at.get("progress") and "1,234" not in said(at)


def test_who_lost_the_right_while_the_page_was_open_is_refused():
    a_shop()
    at = open_page("goals.py", ALICE)
    at.text_input(key="goal_target").set_value("5")
    with system_session(write=True) as session:
        session.get_one(Membership, (ALICE, 1)).role = "viewer"
    at.button(key="goal_save").click().run()
    assert targets(1) == ()


@pytest.mark.parametrize(
    ("amounts", "currency", "tax"),
    [({}, "USD", "0"), ({TODAY: "5"}, "USD", "0"), ({date(2026, 6, 3): "110"}, "EUR", "10"),
     ({date(2026, 5, 3): "-500", date(2026, 6, 1): "-7"}, "USD", "0"), ({TODAY: "1000"}, "JPY", "0"),
     ({date(2026, 6, 8): "1.234"}, "KWD", "0")],
    ids=["empty", "today only", "tax included", "refunds", "JPY", "KWD"],
)  # fmt: skip
def test_the_page_stands_whatever_was_sold(amounts, currency, tax):
    a_shop(None, currency, taxes_included=True, name=f"متجر {LONG}")
    sell(amounts, currency, tax=tax)
    synced(1, noon(TODAY))
    for slug in ("net_sales", "new_customers"):
        set_goal(1, ALICE, slug, MAY, 1_000)
    text = said(open_page("goals.py", ALICE))
    assert ("has no orders" in text) == (not amounts)


@pytest.mark.parametrize(
    ("text", "unit", "currency", "locale", "minor"),
    [("40,000", "money", "USD", "en_US", 40_000_00), ("40.000,50", "money", "EUR", "de", 40_000_50),
     ("40 000,5", "money", "EUR", "fr", 40_000_50), ("1'000", "money", "CHF", "de_CH", 1_000_00),
     ("¥5,000", "money", "JPY", "en_US", 5_000), ("1.234", "money", "KWD", "en_US", 1_234),
     ("KWD 1", "money", "KWD", "en_US", 1_000), ("250", "count", "USD", "en_US", 250)],
)  # fmt: skip
def test_an_amount_is_read_as_the_reader_writes_it(text, unit, currency, locale, minor):
    assert target_of(text, unit, currency, locale) == minor


@pytest.mark.parametrize(
    ("text", "unit", "currency", "locale", "why"),
    [("1.5", "money", "JPY", "en_US", "decimals"), ("1.2345", "money", "KWD", "en_US", "3 decimals"),
     ("1.5", "count", "USD", "en_US", "whole"), ("40000.50", "money", "EUR", "de", "Write it like"),
     ("1E-400", "money", "USD", "en_US", "decimals"), ("1E+999999", "money", "USD", "en_US", "above 0")],
)  # fmt: skip
def test_an_amount_that_is_not_exact_is_refused(text, unit, currency, locale, why):
    with pytest.raises(InputError, match=why):
        target_of(text, unit, currency, locale)
