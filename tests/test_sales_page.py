"""The Sales page: its cards, tables and files agree, whatever the store, the currency and the address."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.analytics.breakdowns import BREAKDOWN, BREAKDOWNS, broken_down
from core.analytics.period import Period, shop_today
from core.analytics.sales import Hours, sales_hours, sales_report
from core.db.engine import shop_session, system_session
from core.db.models import AuditEvent, LineItem, Sale
from core.db.rollups import rebuild_all
from core.reports import sales
from core.reports.table import csv_text
from core.ui import sales_charts, sales_view
from tests.factories import add_user
from tests.test_pages import ALICE, ALICES, NAMES, add_shop, card, cast, no_cache, open_page, sell, tables, words

__all__ = ["cast", "no_cache", "tables"]
BY_BREAKDOWN, BY_BUCKET = 0, 1


def read_aloud(at: AppTest) -> str:
    """What the browser is sent, but for tables: their empty cells are dashes there."""
    return " ".join(str(part.proto) for part in (*at.main, *at.sidebar) if part.type != "arrow_data_frame").lower()


def one_shop(**columns: Any) -> None:
    add_shop(1, ALICES, **columns)
    add_user(ALICE, "alice@example.com", 1)


def dollars(text: str) -> float:
    return float(text.replace("$", "").replace(",", ""))


@pytest.mark.parametrize("grain", ["Automatic", "Day", "Week", "Month"])
def test_the_last_row_of_the_table_is_what_the_cards_say(cast, grain):
    at = open_page("sales.py", ALICE, by=grain)
    table = at.dataframe[BY_BUCKET].value
    assert table.iloc[-1, 0] == "Total"
    for label in ("Total sales", "Gross sales", "Discounts", "Sales reversals", "Net sales", "Orders", "Units sold"):
        assert table.iloc[:-1][label].sum() == table.iloc[-1][label] == dollars(card(at, label))


@pytest.mark.parametrize("of", BREAKDOWNS, ids=lambda of: of.slug)
def test_every_breakdown_ends_with_the_total_of_the_cards(cast, of):
    at = open_page("sales.py", ALICE, split=of.label)
    table = at.dataframe[BY_BREAKDOWN].value
    assert table.columns[0] == of.label and table.iloc[-1, 0] == "Total"
    assert table.iloc[:-1]["Net sales"].sum() == table.iloc[-1]["Net sales"] == 150.0
    adds_up = "net sales: shipping, taxes and fees" if of.of_products else "total sales."
    assert f"The rows add up to {adds_up}" in words(at)


def test_one_day_is_shown_by_the_hour_and_longer_ranges_are_not(cast):
    at = open_page("sales.py", ALICE, range="Yesterday")
    table = at.dataframe[BY_BUCKET].value
    assert len(table) == 25 and table.iloc[12, 0].endswith(" 12:00")
    assert table.iloc[12]["Total sales"] == table.iloc[-1]["Total sales"] == dollars(card(at, "Total sales")) == 110.0
    longer = open_page("sales.py", ALICE, by="Hour")
    assert "Hour" not in longer.segmented_control(key="by").options
    assert len(longer.dataframe[BY_BUCKET].value) == 31


def test_everything_chosen_is_in_the_address(cast):
    chosen = {
        "range": "Last 7 days", "by": "Week", "compare": "Previous year", "measure": "Orders", "split": "Vendor",
        "heat": "Net sales",
    }  # fmt: skip
    at = open_page("sales.py", ALICE, **chosen)
    for key, value in chosen.items():
        kind = at.selectbox if key in ("range", "compare", "split") else at.segmented_control
        assert kind(key=key).value == value


@pytest.mark.parametrize("compare", ["Previous period", "Previous year", "Nothing"])
def test_a_change_is_shown_only_where_something_is_compared(cast, compare):
    sell(1, 3, "40.00", days_ago=40)
    at = open_page("sales.py", ALICE, compare=compare)
    table = at.dataframe[BY_BREAKDOWN].value
    if compare == "Nothing":
        assert "Change" not in table and all(metric.delta == "" for metric in at.metric)
    elif compare == "Previous period":
        assert table["Change"].tolist() == [(150 - 40) / 40] * 2
    else:
        assert table["Change"].isna().all(), "unknown, where there was nothing"


@pytest.mark.parametrize(
    "query",
    [{"split": "Nonsense"}, {"measure": "Me"}, {"heat": "x"}, {"by": "Hour"},
     {"range": "Custom", "dates": ["2999-01-01", "2999-02-01"]}],
)  # fmt: skip
def test_what_cannot_be_in_an_address_opens_the_usual_view(cast, query):
    at = open_page("sales.py", ALICE, **query)
    assert "2999" not in words(at)
    if "dates" not in query:
        assert card(at, "Total sales") == "$165.00"


@pytest.mark.parametrize("range", ["Today", "Last 30 days"])
@pytest.mark.parametrize(("currency", "total", "shown"), [("JPY", "1000", "¥1,000"), ("KWD", "1.234", "KWD\xa01.234")])
def test_one_order_in_any_currency_fills_the_page(tables, range, currency, total, shown):
    one_shop(currency=currency, taxes_included=True)
    sell(1, 1, total, days_ago=0)
    at = open_page("sales.py", ALICE, range=range)
    assert card(at, "Net sales") == shown
    assert not re.search(r"\bnan\b", read_aloud(at))


def test_where_everything_is_given_back_a_share_is_unknown(tables):
    one_shop()
    sell(1, 1, "10.00", days_ago=1)
    sell(1, 2, "-10.00", days_ago=1, kind="ADJUSTMENT")
    for of in BREAKDOWNS:
        at = open_page("sales.py", ALICE, split=of.label)
        table = at.dataframe[BY_BREAKDOWN].value
        assert table["Share of net sales"].isna().all() and table.iloc[-1]["Net sales"] == 0
        assert not re.search(r"\bnan\b", read_aloud(at))


def test_names_of_any_script_and_length_are_shown_as_they_are(tables):
    one_shop(name="[Evil](https://example.com) $a$")
    for number, name in enumerate(NAMES, 1):
        sell(1, number, f"{100 - number}.00", days_ago=1, title=name)
        with shop_session(1, write=True) as session:  # of no product, so that each title is a row
            session.get_one(LineItem, (1, number, number)).product_id = None
            for row in session.exec(select(Sale).where(Sale.order_id == number)):
                row.product_id, row.product_title = None, name
    with shop_session(1, write=True) as session:
        rebuild_all(session)
    at = open_page("sales.py", ALICE, split="Product")
    assert at.dataframe[BY_BREAKDOWN].value["Product"].tolist() == [*NAMES, "Total"]
    assert "[Evil]" not in " ".join(caption.value for caption in at.caption)


def test_who_may_not_export_is_offered_no_file_and_who_takes_one_is_noted(cast):
    add_user(9, "vera@example.com", 1, role="viewer")
    assert not open_page("sales.py", 9).get("download_button")
    at = open_page("sales.py", ALICE)
    offered = {button.key for button in at.download_button}
    assert {"sales_by_channel_csv", "total_sales_by_day_png", "gross_to_total_xlsx", "sales_by_day_csv"} <= offered
    with system_session() as session:
        before = len(session.exec(select(AuditEvent).where(AuditEvent.action == "export")).all())
    assert before == 0


def test_files_have_exact_amounts_and_end_with_the_total(cast):
    today = shop_today("America/New_York")
    period, of = Period(today - timedelta(days=29), today), BREAKDOWN["channel"]
    with shop_session(1) as session:
        frame = broken_down(session, of, period, period.previous())
        hours = sales_hours(session, Period(today - timedelta(days=1), today))
    rows = [*frame.to_dict("records"), sales_view.breakdown_total(frame, of)]
    text = csv_text(sales.breakdown(rows, of), "USD").splitlines()
    assert text == [
        "channel,orders,units_sold,gross_sales USD,discounts USD,sales_reversals USD,net_sales USD,total_sales USD,"
        "share_of_net_sales,net_sales_before USD,change",
        "Online store,2,2,150.00,0.00,0.00,150.00,165.00,1.0,0.00,",
        "Total,2,2,150.00,0.00,0.00,150.00,165.00,1.0,0.00,",
    ]
    assert [name for name, row in sales_view.hour_rows(hours) if row["orders"]] == [
        f"{period.end - timedelta(1)} 12:00"
    ]


def test_the_waterfall_goes_from_gross_to_total_without_a_gap(cast):
    today = shop_today("America/New_York")
    with shop_session(1) as session:
        steps = sales_charts.steps(sales_report(session, Period(today - timedelta(days=9), today), "day"))
    assert [label for label, *_ in steps] == [
        "Gross sales", "Discounts", "Sales reversals", "Net sales", "Shipping", "Taxes", "Total sales",
    ]  # fmt: skip
    level = 0
    for _, low, high, kind, amount in steps:
        assert (low, high) == ((0, level or amount) if kind == "Sum" else (level, level + amount))
        level = high
    assert level == 16500


def test_hours_to_come_are_not_over(cast):
    today = shop_today("America/New_York")
    with shop_session(1) as session:
        hours: Hours = sales_hours(session, Period(today, today))
    moment = datetime(today.year, today.month, today.day, 9, 30)
    at = sales_charts.of_hours(hours, moment)
    assert at.over == (True,) * 9 + (False,) * 15
    assert at.ticks[:2] == ("00:00", "01:00")


@pytest.mark.parametrize(("grain", "row", "days"), [("hour", 23, 0), ("hour", 24, 1), ("day", 1, 1)])
def test_a_row_of_the_table_stands_for_its_own_days(cast, grain, row, days):
    today = shop_today("America/New_York")
    period = Period(today - timedelta(days=1), today)
    with shop_session(1) as session:
        report = sales_report(session, period, "day")
    rows = 49 if grain == "hour" else 3
    day = period.start + timedelta(days=days)
    assert sales_view.days_of_row(report, grain, row, rows) == Period(day, day)
    assert sales_view.days_of_row(report, grain, rows - 1, rows) == period
