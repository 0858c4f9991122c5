"""The Orders page: rows that filters and a search leave, one order in full, whatever the store and the address."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.analytics.breakdowns import BREAKDOWN, BREAKDOWNS, broken_down
from core.analytics.frames_orders import booked_page
from core.analytics.period import Period, shop_today
from core.auth.accounts import shops_of
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.ledger import LEDGER_MEASURES
from core.reports.table import csv_text
from core.ui import drill, order_view, orders_charts, orders_files, orders_view, wanted_view
from tests import factories as make
from tests.test_frames_customers import START, a_busy_shop, shop_day, store
from tests.test_pages import (
    ALICE,
    ALICES,
    BOB,
    CHARLIE,
    NAMES,
    add_shop,
    card,
    cast,
    no_cache,
    open_page,
    sell,
    synced,
    tables,
    words,
)

__all__ = ["cast", "no_cache", "tables"]
ZONE = ZoneInfo("America/New_York")


def read_aloud(at: AppTest) -> str:
    """What the browser is sent, but for tables: their empty cells are dashes there."""
    return " ".join(str(part.proto) for part in (*at.main, *at.sidebar) if part.type != "arrow_data_frame").lower()


def one_shop(**columns: Any) -> None:
    add_shop(1, ALICES, **columns)
    make.add_user(ALICE, "alice@example.com", 1)


def listed(at: AppTest) -> pd.DataFrame:
    return next(table.value for table in at.dataframe if "Order" in table.value)


def noon(days_ago: int = 1) -> datetime:
    day: date = shop_today("America/New_York") - timedelta(days=days_ago)
    return datetime(day.year, day.month, day.day, 12, tzinfo=ZONE).astimezone(UTC)


def refunded_order(number: int = 5, current: str = "11.00", name: str = "#1005") -> None:
    """An order of 22.00, half of it given back."""
    moment = noon()
    document = make.order(
        number, moment, make.agreement(moment, make.sale("22.00", tax="2.00", line_item=50, quantity=2)),
        make.agreement(
            moment + timedelta(hours=1),
            make.sale("-11.00", tax="-1.00", action="RETURN", quantity=-1, line_item=50), reason="REFUND",
        ),
        lines=[make.line_item(50, title="Tent", quantity=2)], name=name, currentTotalPriceSet=make.bag(current),
        originalTotalPriceSet=make.bag("22.00"), displayFinancialStatus="PARTIALLY_REFUNDED", sourceName="pos",
        displayFulfillmentStatus="UNFULFILLED",
        refunds=[{"id": "gid://shopify/Refund/9", "createdAt": make.stamp(moment), "processedAt": make.stamp(moment),
                  "totalRefundedSet": make.bag("11.00")}],
    )  # fmt: skip
    make.store_orders(make.context(1), document)
    synced(1, datetime.now(UTC))


def test_the_rows_are_those_of_the_cards(cast):
    at = open_page("orders.py", ALICE)
    shown = listed(at)
    assert (card(at, "Orders"), card(at, "Avg. order value"), card(at, "Units per order")) == ("2", "$75.00", "1.00")
    assert shown["Order"].tolist() == ["#1", "#2"]
    assert shown["Net sales"].tolist() == [100.0, 50.0]
    assert "Orders 1 to 2 of 2, the newest first." in words(at)
    assert "Paid 2 (100.0%)." in words(at)


@pytest.mark.parametrize(
    ("query", "orders"),
    [
        ({"only_channel": "Point of sale"}, ["#1005"]),
        ({"only_channel": "Online store"}, ["#1", "#2"]),
        ({"financial_status": "Partially refunded"}, ["#1005"]),
        ({"only_customer_kind": "New customers"}, ["#1", "#2"]),
        ({"only_customer_kind": "Returning customers"}, ["#1005"]),
        ({"only_channel": "Nonsense"}, ["#1005", "#1", "#2"]),
        ({"find": "1005"}, ["#1005"]),
        ({"find": "#2", "only_channel": "Point of sale"}, ["#2"]),
    ],
)
def test_filters_and_search_in_the_address_leave_their_orders(cast, query, orders):
    refunded_order()
    assert sorted(listed(open_page("orders.py", ALICE, **query))["Order"]) == sorted(orders)


def test_filters_that_no_order_has_together_say_so(cast):
    refunded_order()
    at = open_page("orders.py", ALICE, only_channel="Point of sale", only_customer_kind="New customers")
    assert "No orders that the filters leave in" in words(at)
    at = open_page("orders.py", ALICE, financial_status="Paid", fulfillment_status="Unfulfilled")
    assert "No order has all of these values" in words(at)
    assert not [table for table in at.dataframe if "Order" in table.value]


def test_a_search_without_result_says_so_and_its_text_is_not_markdown(cast):
    at = open_page("orders.py", ALICE, find="**x** [a](b)")
    assert "No order is named **x** [a](b) or has this number." in words(at)
    assert "\\*\\*x" in " ".join(caption.value for caption in at.caption)


def test_one_order_in_full_has_its_lines_refunds_and_ledger_with_the_check(cast):
    refunded_order()
    at = open_page("orders.py", ALICE, order="5")
    lines, refunds, ledger = (table.value for table in at.dataframe[:3])
    assert lines[["Product", "Ordered"]].values.tolist() == [["Tent", 2]]
    assert refunds["Amount"].tolist() == [11.0]
    assert ledger[["Reason", "Action", "Line type", "Counts as", "Total"]].values.tolist()[:2] == [
        ["ORDER", "ORDER", "PRODUCT", "Gross sales", 22.0],
        ["REFUND", "RETURN", "PRODUCT", "Sales reversals", -11.0],
    ]
    assert ledger.iloc[-1][["Day", "Net", "Taxes", "Total"]].tolist() == ["Total", 10.0, 1.0, 11.0]
    told = [box.value.replace("\\", "") for box in at.success]
    assert told == [
        "All rows of the ledger add up to Shopify's current total, $11.00.",
        "The rows of the sale itself add up to Shopify's original total, $22.00.",
    ]
    assert not at.warning


def test_a_difference_to_shopifys_total_is_shown_and_not_smoothed(cast):
    refunded_order(current="12.00")
    at = open_page("orders.py", ALICE, order="5")
    [told] = [box.value.replace("\\", "") for box in at.warning]
    assert "add up to $11.00, Shopify's current total is $12.00: a difference of -$1.00." in told
    assert len(at.success) == 1


def test_closing_an_order_takes_it_out_of_the_address(cast):
    refunded_order()
    at = open_page("orders.py", ALICE, order="5")
    at.button(key="close_order").click().run()
    assert "order" not in at.query_params and not at.success


@pytest.mark.parametrize("asked", ["999", "x", "-1", "²", "9" * 40, "5; DROP TABLE sale"])
def test_an_order_that_is_not_there_is_a_sentence(cast, asked):
    at = open_page("orders.py", ALICE, order=asked)
    assert "names an order that is not in this store" in words(at)
    assert card(at, "Orders") == "2"


def test_nobody_opens_an_order_of_another_store(cast):
    refunded_order()
    at = open_page("orders.py", CHARLIE, order="5", find="#1005")
    assert "names an order that is not in this store" in words(at)
    assert not at.dataframe and "Tent" not in words(at)


def test_names_are_shown_only_where_personal_data_is_on(cast):
    (shop,) = shops_of(BOB)
    row = {"customer_id": 7, "buyer_id": 7, "customer_name": "Ada"}
    assert order_view.customer(row, shop) == "Ada"
    guest = {"customer_id": None, "buyer_id": -5, "customer_name": None}
    assert order_view.customer(guest, shop) == "Guest"
    assert order_view.customer(guest | {"buyer_id": None}, shop) == "No customer"


def test_without_personal_data_a_customer_is_a_number(tables):
    one_shop(personal_data=False)
    sell(1, 1, "10.00", days_ago=1, name="Ada")
    at = open_page("orders.py", ALICE, order="1")
    assert listed(at)["Customer"].tolist() == ["Customer 1"]
    assert "Ada" not in words(at) and "Ada" not in at.table[0].value.to_string()


def test_names_of_any_script_and_length_are_shown_as_they_are(tables):
    one_shop(name="[Evil](https://example.com) $a$")
    for number, name in enumerate(NAMES, 1):
        sell(1, number, "10.00", days_ago=number, customer=number, name=name, title=name)
    assert listed(open_page("orders.py", ALICE))["Customer"].tolist() == list(NAMES)
    for number, name in enumerate(NAMES, 1):
        at = open_page("orders.py", ALICE, order=str(number))
        assert at.dataframe[0].value["Product"].tolist() == [name]
        assert "[link](" not in at.table[0].value.to_string(), "a table reads Markdown"


@pytest.mark.parametrize("figure", ["Orders", "Average order value", "Units per order"])
@pytest.mark.parametrize(("currency", "total"), [("JPY", "1000"), ("KWD", "1.234")])
def test_one_order_in_any_currency_fills_the_page(tables, figure, currency, total):
    one_shop(currency=currency, taxes_included=True)
    sell(1, 1, total, days_ago=0)
    for range in ("Today", "Last 30 days"):
        at = open_page("orders.py", ALICE, range=range, figure=figure, order="1")
        assert listed(at)["Net sales"].tolist() == [float(total)]
        assert not re.search(r"\bnan\b", read_aloud(at))


def test_days_without_orders_have_unknown_units_per_order(tables):
    one_shop()
    sell(1, 1, "10.00", days_ago=40)
    sell(1, 2, "-10.00", days_ago=40, kind="ADJUSTMENT")
    at = open_page("orders.py", ALICE, range="Last 90 days", figure="Units per order")
    assert not re.search(r"\bnan\b", read_aloud(at))
    assert orders_charts.units_per_order(0, 3) is None


def test_more_orders_than_a_page_has_are_on_further_pages(tables):
    one_shop()
    moment = noon()
    numbers = range(1, 4 + orders_view.PER_PAGE)
    documents = [make.order(number, moment, make.agreement(moment, make.sale("1.00"))) for number in numbers]
    make.store_orders(make.context(1), *documents)
    synced(1, datetime.now(UTC))
    first, second = (open_page("orders.py", ALICE, page_of_2=page) for page in ("1", "2"))
    assert len(listed(first)) == orders_view.PER_PAGE and len(listed(second)) == 3
    assert "Orders 51 to 53 of 53" in words(second)
    for wrong in ("3", "0", "-1", "x"):
        assert len(listed(open_page("orders.py", ALICE, page_of_2=wrong))) == orders_view.PER_PAGE


def test_the_rarest_statuses_are_one_part_and_none_is_lost():
    counts = pd.DataFrame({"value": list("abcdef") + [""], "orders": [9, 8, 7, 6, 5, 4, 0]})
    text = orders_charts.statuses_text(counts, BREAKDOWN["financial_status"])
    assert text == "a 9 (23.1%), b 8 (20.5%), c 7 (17.9%), d 6 (15.4%), Other 9 (23.1%)."


def test_filters_offer_the_values_of_the_period_only(cast):
    refunded_order()
    (shop,) = shops_of(BOB)
    today = shop_today("America/New_York")
    counts = wanted_view.load_counts(shop, Period(today - timedelta(days=2), today))
    assert sorted(counts["financial_status"]["value"]) == ["PAID", "PARTIALLY_REFUNDED"]
    at = open_page("orders.py", ALICE)
    assert at.selectbox(key="financial_status").options == ["All", "Paid", "Partially refunded"]
    at = open_page("orders.py", ALICE, only_channel="Point of sale")
    assert at.selectbox(key="financial_status").options == ["All", "Partially refunded"]


def test_the_way_from_a_breakdown_opens_the_orders_that_it_counts(cast):
    refunded_order()
    (shop,) = shops_of(BOB)
    today = shop_today("America/New_York")
    period, opened = Period(today - timedelta(days=1), today), 0
    for of in (each for each in BREAKDOWNS if each.opens_orders):
        with shop_session(1) as session:
            found = broken_down(session, of, period, None).to_dict("records")
        for row in found:
            at = open_page("orders.py", ALICE, **drill.address(shop, period, of.slug, row["value"]))
            assert len(listed(at)) == row["orders"]
            opened += 1
    assert opened >= 8
    assert len(listed(open_page("orders.py", ALICE, **drill.address(shop, period)))) == 2


def test_the_overview_leads_to_its_orders(cast):
    at = open_page("overview.py", ALICE, period="7 days")
    [link] = [each.proto for each in at.get("page_link") if "See the orders" in str(each.proto)]
    start = shop_today("America/New_York") - timedelta(days=6)
    assert f"from={start}" in str(link)


@pytest.mark.parametrize(
    "query",
    [{"from": "2999-01-01", "to": "2999-02-01"}, {"from": "1066-10-14", "to": "1066-10-15"}, {"from": "x", "to": "y"},
     {"from": "2026-02-30"}, {"of": "channel", "value": "nope"}, {"of": "shop_id", "value": "2"}],
)  # fmt: skip
def test_a_link_made_by_hand_asks_for_nothing_that_cannot_be(cast, query):
    at = open_page("orders.py", ALICE, **query)
    assert not at.error and not re.search("2999|1066", words(at))
    if "to" not in query or query["to"] == "y":
        assert len(listed(at)) == 2


def test_the_ledger_rows_of_a_period_are_what_its_cards_are_summed_from(cast):
    refunded_order()
    at = open_page("orders.py", ALICE, list="Ledger rows")
    rows = next(table.value for table in at.dataframe if "Counts as" in table.value)
    sales = open_page("sales.py", ALICE)
    assert (rows["Total"].sum(), card(sales, "Total sales")) == (176.0, "$176.00")
    assert rows[rows["Counts as"] == "Sales reversals"]["Net"].tolist() == [-10.0]
    assert card(sales, "Sales reversals") == "-$10.00"
    assert "Rows 1 to 4 of 4, the newest day first. Together: net $160.00, taxes $16.00, in all $176.00" in words(at)
    only = open_page("orders.py", ALICE, list="Ledger rows", counts_as="Sales reversals")
    assert "Rows 1 to 1 of 1" in words(only) and "in all -$11.00" in words(only)


def test_a_page_of_ledger_rows_equals_a_slow_sort_of_all(database: Engine):
    documents = a_busy_shop(3)
    store(make.add_shop(1), documents)
    make.add_shop(2)
    store(make.context(2), a_busy_shop(9))
    period = Period(START + timedelta(3), START + timedelta(30))
    slow = []
    for document in (each for each in documents if not each["test"]):
        number = int(document["id"].rsplit("/", 1)[1])
        for position, made in enumerate(document["agreements"]):
            day = shop_day(document["processedAt"] if position == 0 else made["happenedAt"])
            for row in made["sales"]:
                cents = round(float(row["totalAmount"]["shopMoney"]["amount"]) * 100)
                slow.append((day, number, cents))
    inside = sorted(((day, number) for day, number, _ in slow if period.start <= day <= period.end), reverse=True)
    found, offset = [], 0
    with shop_session(1) as session:
        while True:
            frame, sums = booked_page(session, period, "", 7, offset)
            if frame.empty:
                break
            found += list(zip(frame["day"], frame["order_id"], strict=True))
            offset += 7
        parts = [booked_page(session, period, measure, 1, 0)[1] for measure in LEDGER_MEASURES]
    assert found == inside and len(found) > 20
    total = sum(cents for day, _, cents in slow if period.start <= day <= period.end)
    assert (sums["rows"], sums["total_amount"]) == (len(inside), total)
    assert {name: sum(part[name] for part in parts) for name in sums} == sums


def test_the_files_hold_every_row_of_their_list_and_nothing_of_other_stores(cast, monkeypatch):
    refunded_order()
    monkeypatch.setattr(orders_files, "_AT_ONCE", 1)
    (shop,) = shops_of(BOB)
    today = shop_today("America/New_York")
    period = Period(today - timedelta(days=29), today)
    orders = csv_text(orders_files.orders_table(shop, period, {}, 3), "USD").splitlines()
    assert sorted(line.split(",")[1] + " " + line.split(",")[-2] for line in orders[1:]) == [
        "#1 100.00", "#1005 10.00", "#2 50.00",
    ]  # fmt: skip
    pos = orders_files.orders_table(shop, period, {"channel": "pos"}, 1)
    assert [row[1] for row in pos.rows] == ["#1005"] and len(pos.rows[:200]) == len(pos.rows) == 1
    rows = csv_text(orders_files.rows_table(shop, period, "", 4), "USD").splitlines()
    assert sorted(line.split(",")[-1] for line in rows[1:]) == ["-11.00", "110.00", "22.00", "55.00"]


def test_order_files_are_for_those_who_may_export(cast):
    make.add_user(9, "vera@example.com", 1, role="viewer")
    for what in ("Orders placed", "Ledger rows"):
        assert open_page("orders.py", ALICE, list=what).get("download_button")
        assert not open_page("orders.py", 9, list=what).get("download_button")


def test_a_list_below_each_chart_leads_where_a_click_does(cast):
    at = open_page("overview.py", ALICE, period="7 days")
    today = shop_today("America/New_York")
    days = next(box for box in at.selectbox if (box.key or "").startswith("trend_") and box.key.endswith("_ways"))
    assert len(days.options) == 7
    days.select_index(5).run()
    assert at.title[0].value == "Orders"
    rows = next(table.value for table in at.dataframe if "Counts as" in table.value)
    assert rows["Total"].tolist() == [110.0] and set(rows["Day"]) == {today - timedelta(days=1)}
    at = open_page("overview.py", ALICE, period="7 days")
    statuses = next(box for box in at.selectbox if (box.key or "").startswith("financial_status_"))
    statuses.select("Paid").run()
    assert at.title[0].value == "Orders" and len(listed(at)) == 2


@pytest.mark.parametrize(
    ("points", "number"),
    [([{"i": 2}], 2), ([{"i": 2.0}], 2), ([], None), (None, None), ([{"i": 7}], None), ([{"i": -1}], None)],
)
def test_a_click_is_the_number_of_a_mark_that_is_there(points, number):
    event = SimpleNamespace(selection={"picked": points} if points is not None else {})
    assert drill.picked(event, 5) == number


def test_a_link_from_a_narrowed_page_opens_the_orders_narrowed_alike(cast):
    refunded_order()
    (shop,) = shops_of(BOB)
    today = shop_today("America/New_York")
    period = Period(today - timedelta(days=2), today)
    left = replace(shop, filters=Filters(channel=("web",)))
    at = open_page("orders.py", ALICE, **drill.address(left, period))
    assert listed(at)["Order"].tolist() == ["#1", "#2"]
    assert at.multiselect(key="only_channel").value == ["web"]
    at = open_page("orders.py", ALICE, **drill.address(left, period, "channel", "pos"))
    assert listed(at)["Order"].tolist() == ["#1005"]


@pytest.mark.parametrize(("label", "rows"), [("Sales reversals", [-11.0]), ("Total sales", [110.0, 55.0, 22.0, -11.0])])
def test_a_step_of_the_waterfall_leads_to_the_rows_it_is_summed_from(cast, label, rows):
    refunded_order()
    at = open_page("sales.py", ALICE)
    steps = next(box for box in at.selectbox if (box.key or "").startswith("waterfall_"))
    steps.select(label).run()
    shown = next(table.value for table in at.dataframe if "Counts as" in table.value)
    assert at.title[0].value == "Orders" and sorted(shown["Total"]) == sorted(rows)


def test_every_mark_of_discounts_and_reversals_has_a_way_of_its_own(cast):
    for grain in ("Day", "Hour"):
        at = open_page("sales.py", ALICE, range="Yesterday", by=grain)
        ways = next(box for box in at.selectbox if (box.key or "").startswith("taken_off_")).options
        assert len(ways) == len(set(ways)) == 2 * (24 if grain == "Hour" else 1)
