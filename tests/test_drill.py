"""From a mark of a chart to the rows behind it: what is opened adds up to what was clicked, on both databases."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pandas as pd
import pytest
from sqlalchemy import Engine
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.analytics.breakdowns import BREAKDOWNS
from core.analytics.cohorts import cohorts
from core.analytics.frames_behind import rows_behind
from core.analytics.frames_customers import cohort_cells
from core.analytics.frames_orders import booked_page, first_months, orders_by_day, orders_page
from core.analytics.frames_sales import weekday_hours
from core.analytics.period import Period, shop_today
from core.auth.accounts import shops_of
from core.auth.boards import save_board
from core.db.engine import shop_session
from core.db.filters import EVERYTHING, Filters
from core.db.models import Product
from core.reports import span
from core.ui import behind_view, board_view, cohorts_view, drill, products_view, sales_view
from tests.factories import add_shop, add_user, context, store_orders
from tests.test_cohorts_page import add_one_shop, days_ago
from tests.test_frames_customers import START, store
from tests.test_frames_customers import a_busy_shop as buyers_shop
from tests.test_pages import ALICE, cast, no_cache, open_page, sell, synced, tables, words
from tests.test_sales import PERIOD, a_busy_shop

__all__ = ["cast", "no_cache", "tables"]
Query = Mapping[str, str | list[str]]


def lines_of(query: Query) -> dict[str, list[str]]:
    return {name: [value] if isinstance(value, str) else list(value) for name, value in query.items()}


def days_of(query: Query) -> Period:
    return Period(*(date.fromisoformat(str(query[name])) for name in ("from", "to")))


def wanted_of(query: Query) -> dict[str, str]:
    return {name: str(query[name]) for name in ("weekday", "hour", "first_month") if name in query}


def opened_orders(query: Query, filters: Filters = EVERYTHING) -> pd.DataFrame:
    """The orders of a link, all on one page, of which there are as many as the page says."""
    with shop_session(1, filters) as session:
        found, total = orders_page(session, days_of(query), wanted_of(query), 10_000, 0)
        counted = orders_by_day(session, days_of(query), wanted_of(query))["orders"].sum()
    assert len(found) == total == counted
    return found


def opened_net(query: Query, filters: Filters = EVERYTHING) -> int:
    """What the ledger rows of a link come to, and each of their pages."""
    with shop_session(1, filters) as session:
        asked = (session, days_of(query), str(query["counting"]))
        frame, sums = booked_page(*asked, 10_000, 0, wanted_of(query))
    assert len(frame) == sums["rows"]
    net = int((frame["total_amount"] - frame["tax_amount"]).sum())
    assert net == sums["total_amount"] - sums["tax_amount"]
    return net


def opened_here(query: Query) -> int:
    """What the ledger rows of a link on the page itself come to."""
    (of,), at = lines_of(query)["rows_of"], lines_of(query)["rows_at"]
    with shop_session(1) as session:
        frame, sums = rows_behind(session, behind_view.sales_of(PERIOD, of, at), 10_000, 0)
    assert len(frame) == sums["rows"]
    return int((frame["total_amount"] - frame["tax_amount"]).sum())


@pytest.mark.parametrize("filters", [EVERYTHING, Filters(channel=("web",))], ids=["all", "web"])
def test_each_hour_of_the_week_opens_what_its_cell_says(database: Engine, filters: Filters):
    add_shop(1)
    add_shop(2)
    add_user(ALICE, "alice@example.com", 1)
    for shop_id in (1, 2):
        store_orders(context(shop_id), *a_busy_shop(shop_id))
    (shop,) = shops_of(ALICE)
    with shop_session(1, filters) as session:
        frame = weekday_hours(session, PERIOD)
    by = {slug: sales_view.weekday_hour_ways(shop, PERIOD, frame, slug) for slug in ("orders", "net_sales")}
    cells = frame.index[(frame["orders"] > 0) | (frame["net_sales"] != 0)]
    for cell in (*cells[:: max(1, len(cells) // 12)], frame["orders"].idxmin()):
        assert len(opened_orders(by["orders"][cell].query, filters)) == frame["orders"][cell]
        assert opened_net(by["net_sales"][cell].query, filters) == frame["net_sales"][cell]
    assert len(by["orders"]) == 168 and len(cells) > 5


def began_late(document: dict) -> bool:
    return bool(document["customer"]) and document["customer"]["id"][-1] in "123"


OF_FIRST = (EVERYTHING, Filters(channel=("web",), by_first_order=True))


@pytest.mark.parametrize("filters", OF_FIRST, ids=["all", "by first order"])
def test_each_cell_of_cohorts_opens_the_orders_or_rows_it_counts(database: Engine, filters: Filters):
    bought = [each for each in buyers_shop(4) if not (began_late(each) and each["processedAt"] < "2026-02")]
    store(add_shop(1), [{**each, "sourceName": "pos" if n % 3 else "web"} for n, each in enumerate(bought)])
    add_shop(2)
    store(context(2), buyers_shop(5))
    add_user(ALICE, "alice@example.com", 1)
    (shop,) = shops_of(ALICE)
    with shop_session(1, filters) as session:
        found = cohorts(cohort_cells(session), START + timedelta(days=150))
        assert first_months(session) == [date(2026, 2, 1), date(2026, 1, 1)]
    cells = [(month, k) for month, size, over in zip(found.months, found.sizes, found.complete, strict=True) if size
             for k in range(over)]  # fmt: skip
    for what in cohorts_view.MEASURES:
        ways = cohorts_view.ways(found, found.months, what, shop)
        assert [way.label for way in ways] == [f"{cohorts_view.month_name(month)}, month {k}" for month, k in cells]
        for (month, k), way in zip(cells, ways, strict=True):
            size = found.sizes[found.months.index(month)]
            if what.slug == "ltv":
                opened = opened_net(way.query, filters)
            else:
                orders = opened_orders(way.query, filters)
                opened = orders["buyer_id"].nunique() if what.slug == "retention" else len(orders)
            assert opened / size == getattr(found, what.slug)(month, k)
    assert len(cells) > 4


def add_products(*kinds: str) -> None:
    moment = datetime.now(UTC)
    with shop_session(1, write=True) as session:
        for number, kind in enumerate(kinds, 1):
            facts = {"title": f"Thing {number}", "product_type": kind, "vendor": "Kiln", "handle": "x"}
            facts |= {"status": "ACTIVE", "created_at": moment, "updated_at": moment}
            session.add(Product(shop_id=1, id=number, **facts))


@pytest.mark.parametrize("field", ["product_type", "vendor"])
@pytest.mark.parametrize("most", [3, 10])
def test_each_bar_of_types_and_vendors_opens_the_rows_it_is_the_sum_of(database: Engine, monkeypatch, field, most):
    store(add_shop(1), a_busy_shop(3))  # of four products, of none, and of lines without one
    add_user(ALICE, "alice@example.com", 1)
    add_products("Mugs", "", "Mats")
    with shop_session(1, write=True) as session:
        session.exec(select(Product).where(Product.id == 3)).one().deleted_at = datetime.now(UTC)
    synced(1, datetime.now(UTC))
    monkeypatch.setattr(products_view, "_MOST_BARS", most)
    (shop,) = shops_of(ALICE)
    now = products_view.load_products(shop, PERIOD)
    ways = products_view.group_ways(now, shop, field, PERIOD)
    values, rows = {"product_type": ["", "Mats", "Mugs"], "vendor": ["Kiln"]}, products_view.grouped(now, field)
    assert set(ways) == {label for label, _, _ in rows} and len({way.here for way in ways.values()}) == 2
    for label, net, _ in rows:
        filters = span.filters_of(lines_of(ways[label].query), values, of_buyers=False)
        opened = opened_here(ways[label].query) if ways[label].here else opened_net(ways[label].query, filters)
        assert opened == net and bool(filters) != ways[label].here
    labels = {label for label, _, _ in products_view.groups(now, field)}
    assert {products_view.ADJUSTMENTS, behind_view.UNLISTED} < labels


def test_each_bar_of_my_board_opens_the_rows_it_is_the_sum_of(database: Engine, monkeypatch):
    store(add_shop(1), a_busy_shop(3))
    add_user(ALICE, "alice@example.com", 1)
    add_products("Mugs", "", "Mats")
    synced(1, datetime.now(UTC))
    (shop,) = shops_of(ALICE)
    for of, most in product(BREAKDOWNS, (3, 10)):
        monkeypatch.setattr(board_view, "_MOST_BARS", most)
        view = board_view.View(shop, PERIOD.end, PERIOD, None, "")
        rows = board_view.bar_rows(sales_view.load_breakdown(shop, of, PERIOD, None))
        ways = board_view.bar_ways(view, of)
        assert set(ways) == ({label for label, _ in rows} if of.slug not in ("customer", "variant") else set())
        assert all(opened_here(way.query) == dict(rows)[label] for label, way in ways.items())


def ways_below(at: AppTest, chart: str):
    return next(box for box in at.selectbox if (box.key or "").startswith(chart) and box.key.endswith("_ways"))


def together(at: AppTest) -> str:
    found = re.search(r"Together: net (\S+),", words(at))
    return found[1] if found else ""


def test_the_hour_of_a_cell_stays_in_the_address_and_is_said(cast):
    day = shop_today("America/New_York") - timedelta(days=1)
    at = open_page("sales.py", ALICE, range="Last 7 days")
    ways_below(at, "heat_map_orders").select(f"{day:%A}, 12:00 to 12:59").run()
    assert at.title[0].value == "Orders" and "Orders 1 to 1 of 1" in words(at)
    assert f"Only what was placed on {day:%A}s from 12:00 to 12:59 of the store's clock." in words(at)
    again = open_page("orders.py", ALICE, **{name: at.query_params[name] for name in at.query_params})
    assert "Orders 1 to 1 of 1" in words(again) and again.selectbox(key="at_hour").value == "12:00"
    at = open_page("sales.py", ALICE, range="Last 7 days", heat="Net sales")
    ways_below(at, "heat_map_net_sales").select(f"{day:%A}, 12:00 to 12:59").run()
    assert together(at) == "$100.00"
    assert "No order has all of these values" in words(open_page("orders.py", ALICE, at_hour="11:00"))


def test_a_cell_of_cohorts_opens_its_customers_orders_of_that_month(tables):
    add_one_shop()
    sell(1, 1, "100.00", days_ago(3), customer=1)
    sell(1, 2, "50.00", days_ago(3), customer=2)
    sell(1, 3, "30.00", days_ago(2), customer=1)
    sell(1, 4, "20.00", days_ago(2), customer=3)
    began = cohorts_view.month_name(cohorts_view.months_after(shop_today("America/New_York").replace(day=1), -3))
    for chart in ("heat_map", "lines"):
        at = open_page("cohorts.py", ALICE)
        ways_below(at, chart).select(f"{began}, month 1").run()
        assert at.title[0].value == "Orders" and "Orders 1 to 1 of 1" in words(at)
        assert f"by customers whose first order was in {began}" in words(at)
        assert at.selectbox(key="first_order_in").value == began
    at = open_page("cohorts.py", ALICE, measure="Net sales per customer")
    ways_below(at, "heat_map").select(f"{began}, month 2").run()
    assert together(at) == "$180.00"


def test_a_bar_opens_its_rows_where_the_store_has_one_vendor_only(cast):
    add_products("Mugs")
    sell(1, 9, "-5.00", days_ago=1, kind="ADJUSTMENT")
    at = open_page("products.py", ALICE)
    ways_below(at, "by_vendor").select("Kiln").run()
    assert at.title[0].value == "Orders" and together(at) == "$145.00"
    assert at.multiselect(key="only_vendor").value == ["Kiln"]


def test_what_the_catalogue_does_not_have_opens_its_rows_below_its_bar(cast):
    at = open_page("products.py", ALICE)
    ways_below(at, "by_product_type").select(behind_view.UNLISTED).run()
    assert at.title[0].value == "Products" and together(at) == "$150.00"
    assert "The rows of net sales of product type not in the catalogue" in words(at)
    again = open_page("products.py", ALICE, rows_of="product", rows_at="~Mug")
    assert "No row of the ledger counts" in words(again)
    assert "The rows of" not in words(open_page("products.py", ALICE, rows_of="product", rows_at="#" + "9" * 30))


def test_my_board_opens_rows_as_the_pages_do_and_the_pages_as_it_is_itself(cast):
    save_board(ALICE, 1, ["card:orders", "trend:net_sales", "bars:channel", "top:products"])
    board = {"range": "Last 7 days", "compare": "Previous year"}
    at = open_page("board.py", ALICE, **board)
    days = at.caption[0].value
    ways_below(at, "board_bars_chart_channel").select("Online store").run()
    assert at.title[0].value == "My board" and together(at) == "$150.00"
    box = ways_below(at, "board_trend_chart_net_sales")
    box.select(box.options[-2]).run()
    assert at.title[0].value == "Orders" and "Together: net $" in words(at)
    for item, title in (("bars_channel", "Sales"), ("top_products", "Date filter")):
        at = open_page("board.py", ALICE, **board).button(key=f"board_open_{item}").click().run()
        assert not at.exception and at.title[0].value == title and at.caption[0].value == days
        assert at.selectbox(key="compare").value == "Previous year"


@pytest.mark.parametrize("page, chart", [("products.py", "by_product_type"), ("sales.py", "trend_")])
def test_a_chart_of_a_narrowed_page_opens_its_rows_narrowed_alike(cast, page, chart):
    add_products("Mugs", "Tents")
    at = open_page(page, ALICE, only_product_type="Mugs")
    box = ways_below(at, chart)
    box.select(box.options[-1] if page == "sales.py" else "Mugs").run()
    assert not at.exception and at.title[0].value == "Orders"
    assert at.multiselect(key="only_product_type").value == ["Mugs"]


@pytest.mark.parametrize(
    "query",
    [{"weekday": "7", "hour": "24"}, {"weekday": "", "hour": "x"}, {"first_month": "2026-13-01"}],
)
def test_a_link_to_an_hour_or_month_that_is_none_opens_everything(cast, query):
    (shop,) = shops_of(ALICE)
    today = shop_today("America/New_York")
    at = open_page("orders.py", ALICE, **drill.address(shop, Period(today - timedelta(days=6), today)), **query)
    assert not at.exception and "Orders 1 to 2 of 2" in words(at)
