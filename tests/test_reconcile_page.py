"""The Reconcile page: both sides of every day, what is missing for it, and nobody asks Shopify without pressing."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.analytics.metrics import METRIC
from core.analytics.period import Period, shop_today
from core.analytics.reconcile import MEASURES, our_days
from core.auth.accounts import shops_of
from core.db.engine import shop_session, system_session
from core.db.models import Membership, Order, Shop, SyncState
from core.errors import AccessDenied, NotPermitted, Unreachable
from core.reports.table import csv_text
from core.sync import reconcile
from core.sync.reconcile import Theirs
from core.ui import reconcile_tables, reconcile_view
from tests.factories import add_user
from tests.test_pages import (
    ALICE,
    ALICES,
    BOB,
    CHARLIE,
    add_shop,
    as_charlie,
    cast,
    no_cache,
    open_page,
    sell,
    synced,
    tables,
    words,
)

__all__ = ["cast", "no_cache", "tables"]
PAGE = "reconcile.py"
NEW_YORK = "America/New_York"


class Shopify:
    """Stands in for Shopify: its figures are ours, changed; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, date, date]] = []
        self.changes: dict[tuple[date, str], int] = {}
        self.error: Exception | None = None
        self.lacks: set[date] = set()
        self.names_are_older = False

    def fetch(self, shop_id: int, start: date, end: date) -> Theirs:
        """In the place of core.sync.reconcile.fetch()."""
        self.asked.append((shop_id, start, end))
        if self.error is not None:
            raise self.error
        with system_session() as session:
            shop = session.get_one(Shop, shop_id)
        with shop_session(shop_id) as session:
            ours = our_days(session, Period(start, end))
        days = {
            day: {slug: int(row[slug]) + self.changes.get((day, slug), 0) for slug in MEASURES}
            for day, row in ours.iterrows()
            if day not in self.lacks
        }
        zone = shop.time_zone
        return Theirs(datetime.now(UTC), shop.currency, zone, zone, MEASURES, self.names_are_older, days)


@pytest.fixture
def shopify(cast: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shopify]:
    """Alice's and Charlie's stores, whose tokens may read reports."""
    grant()
    there = Shopify()
    monkeypatch.setattr(reconcile, "fetch", there.fetch)
    yield there


def grant(scopes: str = "read_orders,read_reports", **columns: Any) -> None:
    with system_session(write=True) as session:
        for shop_id in (1, 2):
            if (shop := session.get(Shop, shop_id)) is not None:
                shop.scopes = scopes
        for state in session.exec(select(SyncState)):
            state.synced_until = datetime.now(UTC)
            for name, value in columns.items():
                setattr(state, name, value)


def day_before(days: int) -> date:
    return shop_today(NEW_YORK) - timedelta(days=days)


def press(user_id: int = ALICE, **query: Any) -> AppTest:
    at = open_page(PAGE, user_id, **query)
    at.button(key="ask_shopify").click().run()
    assert not at.exception, at.exception
    return at


def table(at: AppTest) -> Any:
    """The table by day."""
    return next(each.value for each in at.dataframe if "Result" in each.value.columns).set_index("Day")


def test_nothing_is_asked_until_the_button_is_pressed_and_nothing_twice(shopify: Shopify):
    at = open_page(PAGE, ALICE)
    assert shopify.asked == [] and "when you press the button" in words(at)
    at.button(key="ask_shopify").click().run()
    assert "30 of 30 days agree to the cent" in words(at)
    assert "Total sales of these days: $165.00 here, $165.00 at Shopify." in words(at)
    at.run()
    at.selectbox(key="compared_measure").select("Every difference").run()
    assert len(shopify.asked) == 1
    again = open_page(PAGE, ALICE)
    assert "agree to the cent" not in words(again) and len(shopify.asked) == 1, "a reload asks nothing"
    again.button(key="ask_shopify").click().run()
    assert len(shopify.asked) == 1, "what was answered a moment ago is kept"
    again.button(key="ask_shopify").click().run()
    assert len(shopify.asked) == 2, "asking again asks"


def test_every_day_has_both_sides_and_a_difference_its_day_its_measures_and_its_reason(shopify: Shopify):
    shopify.changes = {(day_before(1), "net_sales"): 1250, (day_before(1), "orders"): 1, (day_before(2), "taxes"): -5}
    at = press(compared_measure="Net sales")
    assert "28 of 30 days agree to the cent" in words(at)
    shown = table(at)
    assert len(shown) == 30 and list(shown["Result"]).count("= Agrees") == 28
    row = shown.loc[day_before(1)]
    assert (row["Here"], row["Shopify"], row["Difference"]) == (100.0, 112.5, -12.5)
    assert (row["Result"], row["Differs in"], row["Why"]) == ("\u00d7 Differs", "Orders, Net sales", "Unexplained.")
    assert shown.loc[day_before(2)]["Differs in"] == "Taxes"
    said = words(at)
    assert f"**{reconcile_tables.day_name(day_before(1))}**: Orders -1, Net sales -$12.50" in said
    assert said.count("**Unexplained.**") == 2
    every = table(press(compared_measure="Every difference"))
    assert every.loc[day_before(2)]["Taxes"] == 0.05 and every.loc[day_before(2)]["Net sales"] == 0


def test_a_day_that_is_not_over_is_left_out_of_the_verdict(shopify: Shopify):
    shopify.changes = {(day_before(0), "orders"): 1}
    at = press()
    assert "29 of 29 days agree to the cent" in words(at) and "Today is not over yet" in words(at)
    assert table(at).loc[day_before(0)]["Result"] == "\u2026 Not over yet"
    assert "both sides still change" in words(at) and not [b for b in at.button if b.key == "read_again"]


def test_a_day_shopify_does_not_answer_is_unknown(shopify: Shopify):
    shopify.lacks = {day_before(4)}
    at = press()
    assert "29 of 30 days agree" in words(at) and "Shopify's answer lacks figures of 1 day." in words(at)
    row = table(at).loc[day_before(4)]
    assert row["Result"] == "? No answer" and row["Here"] == 0 and row["Shopify"] != row["Shopify"]
    assert "$165.00 here, \u2013 at Shopify." in words(at)


def test_old_names_are_said(shopify: Shopify):
    shopify.names_are_older = True
    assert "names from before 2026-04" in words(press())


def test_orders_not_synced_since_explain_a_day(shopify: Shopify):
    shopify.changes = {(day_before(1), "orders"): 1}
    with system_session(write=True) as session:
        session.get_one(SyncState, (1, "orders")).synced_until = datetime.now(UTC) - timedelta(days=3)
    assert "Orders are synced up to" in words(press())


@pytest.mark.parametrize("days_ago, label, stream, full", [
    (1, "Read the last days again", "rescan", False), (9, "Read all orders again", "orders", True),
])  # fmt: skip
def test_what_is_unexplained_can_be_read_again(shopify: Shopify, days_ago: int, label: str, stream: str, full: bool):
    shopify.changes = {(day_before(days_ago), "taxes"): 1}
    at = press()
    assert at.button(key="read_again").label == label
    at.button(key="read_again").click().run()
    with system_session() as session:
        state = session.get_one(SyncState, (1, stream))
    assert state.due_at is not None and state.due_at <= datetime.now(UTC)
    assert state.full is full and state.asked_by == "button"


def test_without_the_scope_the_page_says_what_to_grant_and_how_and_still_checks_every_order(cast: None):
    grant("read_orders")
    at = open_page(PAGE, ALICE)
    assert "read_reports" in words(at) and "protected customer data, level 2" in words(at)
    assert not [button for button in at.button if button.key == "ask_shopify"]
    at.button(key="check_orders").click().run()
    # The orders of these tests say they come to nothing.
    assert "2 of 2 orders do not add up" in words(at)
    assert list(at.dataframe[-1].value["Ledger"]) == ["$110.00", "$55.00"]


def test_where_the_scope_is_not_enough_shopifys_words_are_shown_with_what_to_grant(shopify: Shopify):
    shopify.error = AccessDenied("Access denied for shopifyqlQuery field. Grant the access to the app.")
    at = press()
    assert "Access denied for shopifyqlQuery field" in at.error[0].value.replace("\\", "")
    assert "protected customer data, level 2" in words(at)
    at.run()
    assert at.error and len(shopify.asked) == 1, "a failure is shown until somebody asks again"
    shopify.error = None
    at.button(key="ask_shopify").click().run()
    assert not at.error and "30 of 30 days agree" in words(at)


def test_shopify_out_of_reach_is_said_in_words(shopify: Shopify):
    shopify.error = Unreachable("alice could not be reached (ReadTimeout). Check the connection and try again.")
    at = press()
    assert "could not be reached" in words(at) and "level 2" not in words(at)


@pytest.mark.parametrize("columns", [{"token": ""}, {"reauth_since": datetime.now(UTC)}])
def test_a_store_that_cannot_be_asked_has_no_live_button(shopify: Shopify, columns: dict[str, Any]):
    with system_session(write=True) as session:
        for name, value in columns.items():
            setattr(session.get_one(Shop, 1), name, value)
    at = open_page(PAGE, ALICE)
    assert at.button(key="ask_shopify").disabled and (
        "is disconnected" in words(at) or "no longer accepts" in words(at)
    )


def test_a_viewer_may_not_ask_shopify_whatever_the_browser_sends(shopify: Shopify):
    with system_session(write=True) as session:
        session.get_one(Membership, (BOB, 1)).role = "viewer"
    at = open_page(PAGE, BOB)
    assert at.button(key="ask_shopify").disabled and "for analysts, admins and owners" in words(at)
    key = (1, 2, day_before(29), day_before(0))
    forged = open_page(PAGE, BOB, {"kept_compared": key})
    assert "agree" not in words(forged) and shopify.asked == []
    with pytest.raises(NotPermitted):
        reconcile_view._ask(shops_of(BOB)[0], Period(day_before(1), day_before(0)), again=False)
    assert shopify.asked == []


def test_charlie_asks_for_his_own_store_only(shopify: Shopify):
    hers = press()
    kept = {name: value for name, value in hers.session_state._state.filtered_state.items() if name != "shop"}
    at = as_charlie(PAGE, kept, {"shop": ALICES})
    assert "165" not in words(at) and all(shop_id == 1 for shop_id, *_ in shopify.asked)
    at = open_page(PAGE, CHARLIE, shop=ALICES)
    at.button(key="ask_shopify").click().run()
    assert shopify.asked[-1][0] == 2 and "7,777.00" in words(at)


@pytest.mark.parametrize(
    "query, days",
    [
        ({"compared_days": "7 days"}, 7),
        ({"compared_days": "90 days"}, 90),
        ({"compared_days": "Custom"}, 30),
        ({"compared_days": "nonsense"}, 30),
        ({"compared_days": "Custom", "compared_dates": ["2020-01-01", "2026-01-10"]}, reconcile.LONGEST_DAYS),
        ({"compared_days": "Custom", "compared_dates": ["2026-01-10", "2026-01-10"]}, 1),
    ],
)
def test_the_days_are_in_the_address(shopify: Shopify, query: dict[str, Any], days: int):
    press(**query)
    (_, start, end) = shopify.asked[-1]
    assert (end - start).days + 1 == days


def test_dates_to_come_end_today(shopify: Shopify):
    later = str(day_before(-400))
    at = open_page(PAGE, ALICE, compared_days="Custom", compared_dates=[str(day_before(3)), later])
    assert not at.exception
    at.button(key="ask_shopify").click().run()
    assert shopify.asked[-1][2] <= day_before(0)


@pytest.mark.parametrize("currency, shown", [("JPY", "-\u00a5300"), ("KWD", "-KWD 0.300"), ("EUR", "-\u20ac3.00")])
def test_any_currency_can_be_compared(tables: None, monkeypatch: pytest.MonkeyPatch, currency: str, shown: str):
    add_shop(1, ALICES, currency)
    add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, "-5", 1, title="شاي")  # nothing but a refund
    grant()
    there = Shopify()
    there.changes = {(day_before(1), "total_sales"): 300}
    monkeypatch.setattr(reconcile, "fetch", there.fetch)
    at = press()
    said = words(at)
    assert f"Total sales {shown}" in said and "nan" not in said.lower()
    assert ("to the cent" if currency == "EUR" else "exactly") in said


def test_a_store_without_orders_says_so(tables: None):
    add_shop(1, ALICES)
    add_user(ALICE, "alice@example.com", 1)
    synced(1, datetime.now(UTC))
    at = open_page(PAGE, ALICE)
    assert "No orders yet" in words(at) and not [button for button in at.button if button.key == "ask_shopify"]


def test_one_order_that_adds_up_is_said_so(shopify: Shopify):
    with shop_session(1, write=True) as session:
        for number, total in ((1, 11_000), (2, 5_500)):
            row = session.get_one(Order, (1, number))
            row.current_total = row.original_total = total
    at = open_page(PAGE, ALICE)
    at.button(key="check_orders").click().run()
    assert "All 2 orders add up to the totals Shopify gives" in words(at)
    at = open_page(PAGE, ALICE, compared_days="Custom", compared_dates=[str(day_before(9)), str(day_before(8))])
    at.button(key="check_orders").click().run()
    assert "No order was placed on these days" in words(at)
    at = open_page(PAGE, ALICE, compared_days="Custom", compared_dates=[str(day_before(1)), str(day_before(1))])
    at.button(key="check_orders").click().run()
    assert "The one order adds up" in words(at)


def test_the_file_has_every_day_and_measure_exactly(shopify: Shopify):
    shopify.changes = {(day_before(1), "net_sales"): 1}
    at = press(compared_days="7 days")
    (shop,) = shops_of(ALICE)
    found = reconcile_view._found(1, shop.data_version, day_before(6), day_before(0))
    table = reconcile_tables.table_of(found.comparison, found.why, "USD")
    lines = csv_text(table, "USD").splitlines()
    assert len(lines) == 1 + 7 * len(MEASURES)
    assert lines[0] == "day,measure,shopify_column,ours USD,shopify USD,difference,why"
    assert f"{day_before(1)},net_sales,net_sales,100.00,100.01,-0.01," in lines
    assert f"{day_before(1)},shipping,shipping_charges,0.00,0.00,0.00," in lines
    assert at.get("download_button")


def test_each_measure_is_defined_beside_shopifys_column(shopify: Shopify):
    at = open_page(PAGE, ALICE)
    shown = next(each.value for each in at.dataframe if "In Shopify's report" in each.value.columns)
    assert list(shown["Measure"]) == [METRIC[slug].label for slug in MEASURES]
    assert "sales.shipping_charges" in set(shown["In Shopify's report"])
