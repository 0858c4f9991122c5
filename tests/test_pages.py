"""Every page, for every user and in every state of a store, as the script that Streamlit runs."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import streamlit as st
from sqlalchemy import Engine
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.analytics import period
from core.analytics.period import shop_today
from core.auth import accounts, sessions
from core.auth.tickets import digest
from core.config import get_settings
from core.db.engine import shop_session, system_session
from core.db.models import Customer, Shop, SyncRun, SyncState, User
from core.errors import DatabaseUnavailable
from core.sync.connect import ensure_demo_shops
from core.sync.jobs import SyncStatus, sync_status
from core.sync.streams import STREAM
from core.ui import session, states
from tests import factories as make
from tests.demo_http import HARBOR, serve_demo
from tests.still import stop_clock

ROUTER = Path(__file__).parents[1] / "pages" / "_router.py"
ANALYTICS = ("overview.py", "date_filter.py", "customers.py")
PAGES = (
    *ANALYTICS, "sales.py", "orders.py", "products.py", "cohorts.py", "lifetime.py", "forecast.py", "checkouts.py",
    "reconcile.py", "goals.py", "board.py", "views.py", "sync.py", "stores.py", "team.py", "audit.py", "account.py",
)  # fmt: skip
ALICE, BOB, CHARLIE = 1, 2, 3
ALICES, CHARLIES = "alice.myshopify.com", "charlie.myshopify.com"
LONG = "Wolfeschlegelsteinhausenbergerdorff " * 6
NAMES = ("محمد عبد الرحمن", "שרה כהן", "राहुल शर्मा", LONG.strip(), "**bold** [link](https://example.com) $x$", "=1+1")


@pytest.fixture(autouse=True)
def no_cache() -> Iterator[None]:
    """What one test cached must not reach the next."""
    st.cache_data.clear()
    yield
    st.cache_data.clear()


@pytest.fixture
def tables(sqlite: Engine) -> None:
    """Empty tables on SQLite."""


@pytest.fixture
def cast(tables: None) -> None:
    """Alice owns a shop with two orders of 110.00 and 55.00, Bob works for her, Charlie's shop sold for 7,777.00."""
    add_cast()


def add_cast() -> None:
    add_shop(1, ALICES)
    add_shop(2, CHARLIES, currency="EUR", time_zone="Europe/Berlin")
    make.add_user(ALICE, "alice@example.com", 1)
    make.add_user(BOB, "bob@example.com", 1, role="analyst")
    make.add_user(CHARLIE, "charlie@example.com", 2)
    sell(1, 1, "110.00", days_ago=1, tax="10.00")
    sell(1, 2, "55.00", days_ago=2, tax="5.00", customer=2)
    sell(2, 1, "7777.00", days_ago=1)


def add_shop(
    shop_id: int, domain: str, currency: str = "USD", time_zone: str = "America/New_York", **more: Any
) -> None:
    more = {"name": domain.split(".")[0].capitalize(), "personal_data": True, **more}
    make.add_shop(shop_id, currency, time_zone, domain=domain, **more)


def sell(
    shop_id: int, number: int, total: str, days_ago: int, *,
    tax: str = "0.00", customer: int = 1, name: str = "Ada", title: str = "Mug", kind: str = "PRODUCT",
) -> None:  # fmt: skip
    """One order at noon of the shop's day, bought by a customer with a name, and the sync that brought it."""
    with system_session() as session:
        shop = session.get_one(Shop, shop_id)
    day = shop_today(shop.time_zone) - timedelta(days=days_ago)
    noon = datetime.combine(day, time(12), ZoneInfo(shop.time_zone)).astimezone(UTC)
    with shop_session(shop_id, write=True) as session:
        session.merge(Customer(shop_id=shop_id, id=customer, name=name, created_at=noon))
    sale = make.sale(total, tax=tax, line_item=number, currency=shop.currency, line=kind)
    line = make.line_item(number, title=title, currency=shop.currency)
    document = make.order(
        number, noon, make.agreement(noon, sale), customer=customer, lines=[line], currency=shop.currency
    )
    make.store_orders(make.context(shop_id, shop.currency, shop.time_zone), document)
    synced(shop_id, datetime.now(UTC))


def synced(shop_id: int, when: datetime | None, **columns: Any) -> None:
    """Every stream of the shop last succeeded then, and new figures have to be read."""
    with system_session(write=True) as session:
        for state in session.exec(select(SyncState).where(SyncState.shop_id == shop_id)):
            state.succeeded_at = when
            state.due_at = datetime.now(UTC) + timedelta(hours=1)
            for name, value in columns.items():
                setattr(state, name, value)
        session.get_one(Shop, shop_id).data_version += 1


def add_run(shop_id: int, outcome: str, **columns: Any) -> None:
    """A run of the shop's sync."""
    now = datetime.now(UTC)
    ended = None if outcome == "running" else now
    run = SyncRun(
        shop_id=shop_id, trigger="worker", outcome=outcome, started_at=now, updated_at=now, finished_at=ended, **columns
    )
    with system_session(write=True) as session:
        session.add(run)


def open_page(page: str, user_id: int | None, state: dict[str, Any] | None = None, **query: Any) -> AppTest:
    """The page as this user sees it, with this address."""
    at = AppTest.from_file(ROUTER, default_timeout=120)
    if user_id is not None:
        at.user = {"sid": digest(sessions.start(user_id, None, None))}
    for key, value in (state or {}).items():
        at.session_state[key] = value
    at.query_params.update(query)
    if page == "overview.py":
        at.run()
    else:
        at.switch_page(page).run()
        at.switch_page(page)  # raises ValueError where the page is not in this user's menu
    assert not at.exception, at.exception
    return at


def card(at: AppTest, label: str) -> str:
    """The figure of a card."""
    return next(metric.value for metric in at.metric if metric.label == label)


def words(at: AppTest) -> str:
    """Everything the page says in sentences, without Markdown's escapes."""
    elements = (*at.main, *at.sidebar)
    texts = (str(getattr(element, part, "")) for element in elements for part in ("value", "label", "title"))
    return " | ".join(texts).replace("\\", "")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_on_both_databases(database: Engine, page):
    add_cast()
    at = open_page(page, ALICE)
    assert at.title[0].value
    assert not at.error


def test_the_overview_adds_up_to_the_known_orders(cast):
    at = open_page("overview.py", ALICE)
    assert card(at, "Total sales") == "$165.00"
    assert card(at, "Net sales") == "$150.00"
    assert card(at, "Orders") == "2"
    assert card(at, "Avg. order value") == "$75.00"
    assert card(at, "Customers") == "2"
    assert card(at, "Returning rate") == "0.0%"
    assert list(at.dataframe[0].value["Net sales"]) == [100.0, 50.0]
    assert list(at.dataframe[1].value["Net sales"]) == [150.0]


@pytest.mark.parametrize("page", PAGES)
def test_nobody_opens_a_page_without_signing_in(cast, page):
    at = open_page("overview.py", None, shop=ALICES)
    assert at.title[0].value == "Shoptally" and not at.metric
    with pytest.raises(ValueError, match=page):
        at.switch_page(page)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_run_alone_stops_by_itself(cast, page):
    at = AppTest.from_file(ROUTER.parent / page, default_timeout=120).run()
    assert at.error[0].value == "Sign in to see this page."
    assert not (at.metric or at.dataframe or at.button or at.title)


def everything(at: AppTest) -> str:
    """All that the browser was sent, whatever it shows of it: the protocol's own texts, tables and charts too."""
    sent = [str(element.proto) for element in (*at.main, *at.sidebar)]
    return " | ".join((words(at), *sent, *(table.value.to_string() for table in (*at.dataframe, *at.table))))


def of_alice(at: AppTest) -> list[str]:
    """What the page tells of Alice's shop."""
    told = everything(at).lower()
    return [mark for mark in ("alice", "bob@", "165.0", "110.0") if mark in told]


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_never_sees_another_shop_whatever_they_send(cast, page):
    state = {"shop": ALICES, "kept_shop_in_address": ALICES, "shop_id": 1, "username": "alice@example.com"}
    at = open_page(page, CHARLIE, state, shop=ALICES)
    assert at.selectbox(key="shop").value == CHARLIES
    assert at.selectbox(key="shop").options == ["Charlie"]
    assert of_alice(at) == []
    if page == "overview.py":
        assert card(at, "Total sales") == "€7,777.00"


@pytest.mark.parametrize("page", PAGES)
def test_what_alices_page_holds_opens_nothing_of_hers_to_charlie(cast, page):
    """Her address, each value of her widgets and her session, in his session and in his address."""
    hers = open_page(page, ALICE)
    assert of_alice(hers), "the marks are there to be seen"
    kept = hers.session_state._state.filtered_state
    widgets = {widget.key for kind in WIDGETS for widget in hers.get(kind) if widget.key}
    names, ours = {*kept, *widgets, *QUERIES}, {name for name in (*kept, *QUERIES) if name not in (*widgets, "shop")}
    for state, query in (
        ({name: value for name, value in kept.items() if name != "shop"}, {}),
        (dict.fromkeys(ours, ALICE), {}),
        (dict.fromkeys(ours, ALICES), {}),
        ({}, dict.fromkeys(names, "1")),
        ({}, dict.fromkeys(names, ALICES)),
        ({}, dict.fromkeys(names, "alice@example.com")),
    ):
        at = as_charlie(page, state, query)
        assert "Signed in as charlie" in words(at)
        assert [mark for mark in of_alice(at) if not _sent_himself(mark, state, query)] == []
        assert not any(metric.value in ("$165.00", "$150.00") for metric in at.metric)


WIDGETS = (
    "text_input", "selectbox", "multiselect", "number_input", "toggle", "checkbox", "button", "date_input",
    "button_group",
)  # fmt: skip
QUERIES = (
    "shop", "shop_id", "user", "user_id", "sid", "range", "dates", "by", "compare", "period", "ranked_by", "top",
    "invite", "reset", "verify", "member", "change_member", "page", "open",
    "customer", "product", "who", "against", "cohorts_by", "list", "counts_as", "counting", "from", "to",
    "order", "find",
)  # fmt: skip


def _sent_himself(mark: str, state: dict[str, Any], query: dict[str, str]) -> bool:
    """A field shows what Charlie typed into it."""
    return any(mark in str(value).lower() for value in (*state.values(), *query.values()))


def as_charlie(page: str, state: dict[str, Any], query: dict[str, str]) -> AppTest:
    """His page with what he forged; a value that no widget takes is an error and shows nothing."""
    at = AppTest.from_file(ROUTER, default_timeout=120)
    at.user = {"sid": digest(sessions.start(CHARLIE, None, None))}
    at.switch_page("account.py" if page != "account.py" else "audit.py").run()  # they cost little; he is signed in then
    at.switch_page(page)
    for key, value in state.items():
        at.session_state[key] = value
    at.query_params.update(query)
    return at.run()


def test_a_link_to_a_store_of_others_says_no_more_than_one_to_a_store_of_nobody(cast):
    theirs = open_page("overview.py", CHARLIE, shop=ALICES).info[0].value
    nobodys = open_page("overview.py", CHARLIE, shop="nobody.myshopify.com").info[0].value
    assert theirs == nobodys == "The link names a store that is not among yours. This is Charlie."


def test_the_team_sees_the_shop_and_whoever_leaves_it_sees_it_no_more(cast):
    at = open_page("overview.py", BOB)
    assert card(at, "Total sales") == "$165.00"
    with system_session(write=True) as session:
        session.get_one(User, BOB).active = False
    at.run()
    assert at.title[0].value == "Shoptally" and not at.metric


def test_who_asks_is_read_once_in_each_run_and_anew_in_the_next(cast, monkeypatch):
    asked = []
    signed_in = accounts.signed_in
    monkeypatch.setattr(accounts, "signed_in", lambda id_hash: asked.append(id_hash) or signed_in(id_hash))
    at = open_page("sync.py", ALICE)
    asked.clear()
    for runs in (1, 2, 3):
        at.run()
        assert len(asked) == runs


def test_a_run_that_streamlit_did_not_begin_anew_reads_again_after_a_second(cast, monkeypatch):
    run = SimpleNamespace(cursors={})
    monkeypatch.setattr(session, "get_script_run_ctx", lambda: run)
    monkeypatch.setattr(session, "session_hash", lambda: digest(cookie))
    cookie = sessions.start(ALICE, None, None)
    assert session.current_user() is not None
    sessions.end_all(ALICE)
    assert session.current_user() is not None, "within one run"
    monkeypatch.setattr(session, "_ONE_RUN_S", 0.0)
    assert session.current_user() is None
    monkeypatch.setattr(session, "_ONE_RUN_S", 1e9)
    cookie = sessions.start(ALICE, None, None)
    assert session.current_user() is not None, "another session is another question"
    sessions.end_all(ALICE)
    run.cursors = {}
    assert session.current_user() is None, "a new run"


def test_a_link_opens_the_same_store(cast):
    add_shop(3, "second.myshopify.com", currency="JPY", time_zone="Asia/Tokyo")
    with system_session(write=True) as session:
        accounts.grant(session, ALICE, 3, "viewer")
    sell(3, 1, "1000", days_ago=1)
    at = open_page("overview.py", ALICE, shop="second.myshopify.com")
    assert card(at, "Total sales") == "¥1,000"
    assert at.query_params["shop"] in ("second.myshopify.com", ["second.myshopify.com"])
    at.selectbox(key="shop").select(ALICES).run()
    assert card(at, "Total sales") == "$165.00"
    assert at.query_params["shop"] in (ALICES, [ALICES])


def test_two_stores_of_one_name_are_told_apart(cast):
    add_shop(3, "alice-two.myshopify.com", name="Alice")
    with system_session(write=True) as session:
        accounts.grant(session, ALICE, 3, "viewer")
    options = open_page("overview.py", ALICE).selectbox(key="shop").options
    assert sorted(options) == ["Alice (alice-two.myshopify.com)", "Alice (alice.myshopify.com)"]


@pytest.mark.parametrize("page", ANALYTICS)
def test_a_store_never_synced_says_so_and_leads_to_the_sync(tables, page):
    add_shop(1, ALICES)
    make.add_user(ALICE, "alice@example.com", 1)
    synced(1, None)
    at = open_page(page, ALICE)
    assert "The first sync brings" in at.info[0].value and at.info[0].title == "Never synced"
    assert not (at.metric or at.dataframe)
    at.button(key="sync_first").click().run()
    assert not at.exception and not [button for button in at.button if button.key == "sync_first"]
    assert sync_status(1).requested


@pytest.mark.parametrize("page", ANALYTICS)
def test_a_store_without_any_order_says_so(tables, page):
    add_shop(1, ALICES)
    make.add_user(ALICE, "alice@example.com", 1)
    synced(1, datetime.now(UTC))
    assert "has no orders" in open_page(page, ALICE).info[0].value


@pytest.mark.parametrize("page", ANALYTICS)
def test_while_the_first_sync_runs_its_progress_is_shown(tables, page):
    add_shop(1, ALICES)
    make.add_user(ALICE, "alice@example.com", 1)
    synced(1, None, lease_until=datetime.now(UTC) + timedelta(minutes=5), owner="worker")
    add_run(1, "running", stage="Storing the orders", stream="orders", expected=1000, done=250)
    at = open_page(page, ALICE)
    assert "fills in by itself" in at.info[0].value
    assert card(at, "Rows of this kind") == "250 of 1,000"


@pytest.mark.parametrize("page", ANALYTICS)
def test_where_the_first_sync_failed_the_reason_is_shown(tables, page):
    add_shop(1, ALICES)
    make.add_user(ALICE, "alice@example.com", 1)
    synced(1, None)
    add_run(1, "failed", problem="The access token is wrong. Connect the store again.")
    assert (
        open_page(page, ALICE).error[0].value.replace("\\", "") == "The access token is wrong. Connect the store again."
    )


def test_figures_that_came_before_the_first_sync_ended_are_said_to_lack_something(cast):
    assert not open_page("sales.py", ALICE).warning
    synced(1, None)  # as where a webhook was quicker
    at = open_page("sales.py", ALICE)
    assert "figures lack what it has not fetched" in at.warning[0].value and at.metric


@pytest.mark.parametrize("page", ANALYTICS)
def test_without_orders_in_the_period_the_last_days_with_data_are_offered(tables, page):
    add_shop(1, ALICES)
    make.add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, "10.00", days_ago=200)
    at = open_page(page, ALICE)
    assert at.info[0].value.replace("\\", "").startswith("No orders from ")
    assert not (at.metric or at.dataframe)


@pytest.mark.parametrize("page", ANALYTICS)
def test_one_order_is_enough_for_every_page(tables, page):
    add_shop(1, ALICES)
    make.add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, "10.00", days_ago=0)
    at = open_page(page, ALICE)
    assert card(at, "Customers") == "1" and not at.error


@pytest.mark.parametrize(("currency", "total", "shown"), [("JPY", "1000", "¥1,000"), ("KWD", "1.234", "KWD\xa01.234")])
@pytest.mark.parametrize("page", ANALYTICS[:2])
def test_currencies_without_and_with_three_decimals(tables, page, currency, total, shown):
    add_shop(1, ALICES, currency=currency)
    make.add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, total, days_ago=1)
    at = open_page(page, ALICE)
    assert card(at, "Net sales") == shown
    assert list(at.dataframe[0].value["Net sales"]) == [float(total)]


def test_prices_that_include_taxes_count_without_them_in_net_sales(tables):
    add_shop(1, ALICES, currency="EUR", time_zone="Europe/Berlin", taxes_included=True)
    make.add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, "119.00", days_ago=1, tax="19.00")
    at = open_page("overview.py", ALICE)
    assert (card(at, "Net sales"), card(at, "Total sales")) == ("€100.00", "€119.00")


@pytest.mark.parametrize("page", ANALYTICS)
def test_names_of_any_script_and_length_are_shown_as_they_are(tables, page):
    add_shop(1, ALICES, name="[Evil](https://example.com) $a$")
    make.add_user(ALICE, "alice@example.com", 1)
    for number, name in enumerate(NAMES, 1):
        sell(1, number, f"{100 - number}.00", days_ago=1, customer=number, name=name, title=name)
    at = open_page(page, ALICE)
    assert list(at.dataframe[0].value["Customer"]) == list(NAMES)
    assert "[Evil]" not in " ".join(caption.value for caption in at.caption)


def test_sales_of_an_unknown_type_are_pointed_out(cast):
    assert not open_page("overview.py", ALICE).warning
    sell(1, 3, "5.00", days_ago=1, kind="SUBSCRIPTION_OF_TOMORROW")
    for page in ANALYTICS[:2]:
        assert open_page(page, ALICE).warning[0].value.startswith("Sales of a type that is new to this app: 1.")


def test_customers_without_a_name_keep_a_number_and_guests_none(cast):
    with shop_session(1, write=True) as session:
        session.get_one(Customer, (1, 1)).name = None
    synced(1, datetime.now(UTC))
    assert list(open_page("customers.py", ALICE).dataframe[0].value["Customer"]) == ["Customer 1", "Ada"]


def test_new_data_is_read_anew(cast):
    at = open_page("overview.py", ALICE)
    sell(1, 3, "35.00", days_ago=1)
    at.run()
    assert card(at, "Total sales") == "$200.00"


def test_a_link_reopens_the_range_the_grain_and_the_comparison(cast):
    at = open_page(
        "date_filter.py", ALICE, range="Custom", dates=["2025-01-06", "2025-01-19"], by="Week", compare="Previous year"
    )
    assert "6 Jan 2025 to 19 Jan 2025" in words(at) or "6 Jan to 19 Jan 2025" in words(at)
    assert "6 Jan to 19 Jan 2024" in words(at)
    assert at.segmented_control(key="by").value == "Week"


@pytest.mark.parametrize("dates", [["2999-01-01", "2999-02-01"], ["1066-10-14", "1066-10-15"], ["x"], ["2026-02-30"]])
def test_dates_that_cannot_be_are_not_shown(cast, dates):
    at = open_page("date_filter.py", ALICE, range="Custom", dates=dates)
    assert "2999" not in words(at) and "1066" not in words(at)


@pytest.mark.parametrize("query", [{"range": "Nonsense"}, {"by": "Hour"}, {"compare": "Me"}, {"period": "9 days"}])
def test_filters_that_do_not_exist_open_the_usual_view(cast, query):
    for page in ANALYTICS:
        assert card(open_page(page, ALICE, **query), "Customers") == "2"


def test_between_two_clicks_in_the_calendar_the_last_full_range_stays(cast):
    at = open_page("date_filter.py", ALICE, range="Custom")
    today = shop_today("America/New_York")
    full = (today - timedelta(days=1), today)
    at.date_input(key="dates").set_value(full).run()
    assert card(at, "Total sales") == "$110.00"
    at.date_input(key="dates").set_value((today - timedelta(days=9),)).run()
    assert card(at, "Total sales") == "$110.00"
    assert "Pick the last day too" in words(at)


@pytest.mark.parametrize("preset", ["Today", "Yesterday", "Last 7 days", "Last year", "All time"])
def test_presets_resolve_by_the_stores_day(tables, monkeypatch, preset):
    stop_clock(monkeypatch, period, at=make.at("2026-06-10T16:00"))  # what was sold yesterday is not of last year
    add_cast()
    at = open_page("date_filter.py", ALICE, range=preset)
    orders = {"Today": None, "Yesterday": "1", "Last 7 days": "2", "Last year": None, "All time": "2"}[preset]
    if orders is None:
        assert "No orders" in words(at)
    else:
        assert card(at, "Orders") == orders


@pytest.mark.parametrize("grain", ["Automatic", "Day", "Week", "Month"])
def test_the_table_by_bucket_ends_with_the_total(cast, grain):
    at = open_page("date_filter.py", ALICE, by=grain)
    table = at.dataframe[2].value
    assert table.iloc[-1, 0] == "Total"
    assert table.iloc[-1]["Total sales"] == 165.0
    assert table.iloc[:-1]["Total sales"].sum() == 165.0


def test_nothing_to_compare_with_shows_no_change(cast):
    at = open_page("date_filter.py", ALICE, compare="Nothing")
    assert all(metric.delta == "" for metric in at.metric)


def test_customers_are_ranked_by_what_is_asked(cast):
    sell(1, 3, "1.00", days_ago=3, customer=2)
    at = open_page("customers.py", ALICE)
    assert list(at.dataframe[0].value["Orders"]) == [1, 2]
    at.segmented_control(key="ranked_by").set_value("Orders").run()
    assert list(at.dataframe[0].value["Orders"]) == [2, 1]


def test_sync_now_asks_for_a_sync_and_shows_that_it_waits(cast):
    at = open_page("sync.py", ALICE)
    at.button(key="sync_now").click().run()
    assert sync_status(1).requested and not sync_status(2).requested
    assert at.button(key="sync_now").disabled
    assert not at.exception


def test_a_full_refresh_is_asked_for_apart(cast):
    at = open_page("sync.py", ALICE)
    at.button(key="full_refresh").click().run()
    with system_session() as session:
        full = session.exec(select(SyncState.stream).where(SyncState.shop_id == 1, SyncState.full)).all()
        assert set(full) == set(STREAM) - {"rescan"}
        assert not any(session.exec(select(SyncState.full).where(SyncState.shop_id == 2)))


def test_single_streams_are_asked_for_alone(cast):
    at = open_page("sync.py", ALICE)
    assert at.button(key="sync_some").disabled
    at.multiselect(key="refresh_streams").select("orders").run()
    at.button(key="sync_some").click().run()
    with system_session() as session:
        due = select(SyncState.stream).where(SyncState.shop_id == 1, SyncState.due_at <= datetime.now(UTC))
        assert session.exec(due).all() == ["orders"]
        assert not any(session.exec(select(SyncState.full)))
    assert not at.exception


def test_an_owner_sets_how_often_each_stream_runs_and_an_analyst_cannot(cast):
    at = open_page("sync.py", ALICE)
    at.selectbox(key="every_orders_3600").select(0).run()
    assert not at.exception
    with system_session() as session:
        assert session.get_one(SyncState, (1, "orders")).every_s == 0
        assert session.get_one(SyncState, (2, "orders")).every_s is None
    assert at.selectbox(key="every_orders_0").value == 0
    assert not [box for box in open_page("sync.py", BOB).selectbox if (box.key or "").startswith("every_")]


def test_what_the_token_cannot_see_is_said_with_the_permission_that_gives_it(cast):
    synced(1, datetime.now(UTC), history_from=datetime(2026, 9, 21, tzinfo=UTC))
    at = open_page("sync.py", ALICE)
    [told] = [info.value for info in at.info if "read_all_orders" in info.value]
    assert "Orders since 2" in told and "2026" in told and "sees 60 days" in told


def test_a_running_sync_shows_stage_rows_and_time(cast):
    synced(1, datetime.now(UTC), lease_until=datetime.now(UTC) + timedelta(minutes=5), owner="worker")
    add_run(1, "running", stage="Storing the orders", stream="orders", expected=1000, done=250)
    at = open_page("sync.py", ALICE)
    assert card(at, "Now") == "Orders"
    assert card(at, "Rows of this kind") == "250 of 1,000"
    assert {"Rows a second", "Elapsed"} <= {metric.label for metric in at.metric}


@pytest.mark.parametrize(
    ("outcome", "problem", "said"),
    [
        ("ok", None, "Finished at"),
        ("partial", "The scope read_customers is missing.", "The scope read_customers is missing."),
        ("failed", "The access token is wrong.", "The access token is wrong."),
        ("failed", None, "Try again"),
        ("interrupted", None, "Nothing stored was lost"),
    ],
)
def test_how_the_last_sync_ended_is_said_in_a_sentence(cast, outcome, problem, said):
    counts = {"orders": {"read": 2, "inserted": 1, "updated": 1, "unchanged": 0, "quarantined": 0}}
    add_run(1, outcome, problem=problem, counts=counts)
    at = open_page("sync.py", ALICE)
    boxes = " ".join(box.value for box in (*at.success, *at.warning, *at.error)).replace("\\", "")
    assert said in boxes
    assert list(at.dataframe[0].value.iloc[0]) == ["Orders", 2, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("hours", "requested", "said"),
    [(0, False, "Data as of"), (4, False, ":orange[:material/warning: Data as of"), (0, True, "Syncing now")],
)
def test_the_age_of_the_data_is_told_and_warned_about(hours, requested, said):
    now = datetime(2026, 11, 20, 19, 3, tzinfo=UTC)
    status = SyncStatus(requested, None, None, now - timedelta(hours=hours), ())
    assert said in states.freshness(status, "America/New_York", now)


def test_hiding_the_demo_store_takes_it_from_the_list(tables):
    accounts.ensure_demo_users(ensure_demo_shops())
    user_id = accounts.user_id_of(accounts.demo_sign_ins()[0].email)
    at = open_page("stores.py", user_id)
    assert len(at.dataframe) == 1
    at.toggle(key="show_demo").set_value(False).run()
    assert accounts.shops_of(user_id) == () and not at.dataframe
    at.toggle(key="show_demo").set_value(True).run()
    assert len(accounts.shops_of(user_id)) == 1 and len(at.dataframe) == 1


@contextmanager
def a_shopify(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serve_demo(date(2026, 1, 1), lambda: datetime(2026, 11, 20, tzinfo=UTC)) as base_url:
        monkeypatch.setenv("SHOPIFY_BASE_URL", f"{base_url}/{{shop}}")
        get_settings.cache_clear()
        yield


def fill_in(at: AppTest, domain: str, token: str) -> None:
    at.text_input(key="connect_domain").set_value(domain)
    at.text_input(key="connect_token").set_value(token)
    at.button(key="connect_check").click().run()


def test_a_store_is_checked_before_it_is_saved(cast, monkeypatch):
    with a_shopify(monkeypatch):
        at = open_page("stores.py", ALICE)
        fill_in(at, HARBOR.domain, HARBOR.token)
        facts = at.table[0].value.to_string().replace("\\", "")
        assert HARBOR.name in facts and "read_orders" in facts
        assert len(accounts.shops_of(ALICE)) == 1
        at.button(key="connect_save").click().run()
    assert not at.exception and not at.error
    (new,) = (shop for shop in accounts.shops_of(ALICE) if shop.domain == HARBOR.domain)
    assert (new.role, new.personal_data, sync_status(new.shop_id).requested) == ("owner", False, True)
    assert "is connected" in at.success[0].value


def test_a_wrong_token_is_refused_before_anything_is_saved(cast, monkeypatch):
    with a_shopify(monkeypatch):
        at = open_page("stores.py", ALICE)
        fill_in(at, HARBOR.domain, "shpat_wrong")
    assert len(at.error) == 1 and "shpat_wrong" not in at.error[0].value
    with pytest.raises(KeyError):
        at.button(key="connect_save")


def test_another_address_than_the_checked_one_cannot_be_saved(cast, monkeypatch):
    with a_shopify(monkeypatch):
        at = open_page("stores.py", ALICE)
        fill_in(at, HARBOR.domain, HARBOR.token)
        at.text_input(key="connect_domain").set_value("other.myshopify.com").run()
        with pytest.raises(KeyError):
            at.button(key="connect_save")


@pytest.mark.parametrize(("domain", "token"), [("", ""), ("alice.myshopify.com", ""), ("not a store!", "shpat_x")])
def test_an_incomplete_connection_is_answered_with_a_sentence(cast, domain, token):
    at = open_page("stores.py", ALICE)
    fill_in(at, domain, token)
    assert len(at.error) == 1 and not at.exception


def test_an_error_of_ours_is_a_sentence_on_the_page(cast, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("The database does not answer. Try again in a minute.")

    monkeypatch.setattr("core.ui.data.report", fail)
    at = open_page("overview.py", ALICE)
    assert at.error[0].value.replace("\\", "") == "The database does not answer. Try again in a minute."


def test_no_page_shadows_a_module():
    """While the router runs, its folder is first on sys.path."""
    for page in ROUTER.parent.glob("*.py"):
        assert page.stem not in sys.stdlib_module_names
        spec = importlib.util.find_spec(page.stem)
        assert spec is None or Path(spec.origin or "").parent == ROUTER.parent
