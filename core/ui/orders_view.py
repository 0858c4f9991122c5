"""What the Orders page shows: its filters, its cached rows, and one order in full."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.analytics import frames_orders
from core.analytics.breakdowns import BREAKDOWN
from core.analytics.metrics import METRIC, change
from core.analytics.period import FIRST_DAY, Period
from core.analytics.report import Report
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.reports import sales
from core.reports.table import Column, measure, of_frame
from core.ui import (
    cards,
    charts,
    downloads,
    drill,
    formatting,
    ledger_view,
    narrow,
    order_view,
    orders_charts,
    orders_files,
    wanted_view,
)
from core.ui.downloads import Offer
from core.ui.order_view import OneOrder
from core.ui.session import keep, preset, recall, run_again
from core.ui.wanted_view import Wanted, load_counts

PER_PAGE = 50
_MOST_FOUND = 100
_ROW = 36


def search() -> str:
    """The name or number of an order to look for, "" for none."""
    text = st.text_input(
        "Find an order", key="find", bind="query-params", placeholder="#1001", width=190, max_chars=60,
        icon=":material/search:",
        help="The whole name, such as #1001, or Shopify's own number of the order. It is looked for in all of time.",
    )  # fmt: skip
    return (text or "").strip()[:60]


def metric_cards(report: Report, before: Report | None, shop: ShopAccess, today: date, comparison: str) -> None:
    """Orders, their average value, units sold and returned, and units per order."""
    left, right = st.columns([4, 1])
    with left:
        cards.cards(report, before, _CARDS, shop.currency, today, comparison, in_a_row=4)
    now, there = _units_per_order(report), _units_per_order(before) if before else None
    moved, locale = change(now, there), formatting.reader_locale()
    right.metric(
        orders_charts.UNITS_PER_ORDER,
        formatting.decimal(now, locale),
        delta=None if before is None else formatting.DASH if moved is None else formatting.change(moved, locale),
        delta_color="normal" if moved is not None and formatting.is_change(moved) else "off",
        delta_arrow="off" if moved is None or not formatting.is_change(moved) else "up" if moved > 0 else "down",
        delta_description=cards.versus(comparison) if before else None,
        help="Units sold divided by orders; gift cards do not count, later returns do not lower it. "
        "Unknown where there are no orders.",
        border=True,
        height="stretch",
    )


def over_time(report: Report, before: Report | None, shop: ShopAccess, today: date, comparison: str) -> None:
    """The card with one figure of orders over time."""
    with _card("trend_card"):
        with _line():
            st.subheader(f"Over time, by {report.grain}", anchor=False, help=charts.LIGHTER, width="content")
            with st.container(horizontal=True, width="content", vertical_alignment="center"):
                label = st.segmented_control(
                    "Figure", list(_DRAWN), default="Orders", required=True, key="figure", bind="query-params",
                    label_visibility="collapsed", wrap=True,
                )  # fmt: skip
                menu = st.container(width="content")
        slug = _DRAWN.get(label, "orders")
        if slug is None:
            drawn = orders_charts.units_over_time(report, before, today, comparison)
            text = orders_charts.units_text(report)
        else:
            drawn = charts.trend(report, before, slug, shop.currency, today, comparison)
            text = charts.trend_text(report, before, slug, shop.currency, today, comparison)
        with menu:
            if slug is None:
                made, against = partial(sales.units_per_order, report, before), before.period if before else None
                title, rows = f"{orders_charts.UNITS_PER_ORDER} by {report.grain}", len(report.by)
                downloads.menu(shop, Offer(title, "units_per_order", rows, made, report.period, against, drawn))
            else:
                downloads.trend(shop, report, before, (slug,), f"{METRIC[slug].label} by {report.grain}", drawn)
        ways = drill.of_buckets(shop, report.period, report.grain)
        drill.chart(drawn, text, f"trend_{report.period.start}_{report.period.end}_{report.grain}", ways, here=True)


def by_status(shop: ShopAccess, period: Period) -> None:
    """The two distributions side by side."""
    for slug, column in zip(_STATUSES, st.columns(2), strict=True):
        with column.container(border=True, height="stretch", key=f"{slug}_card"):
            _status(shop, period, slug, here=True)


def statuses_card(shop: ShopAccess, period: Period) -> None:
    """The two distributions one below the other."""
    with st.container(border=True, height="stretch", key="statuses_card"):
        for slug in _STATUSES:
            _status(shop, period, slug)


def _status(shop: ShopAccess, period: Period, slug: str, *, here: bool = False) -> None:
    of, counts = BREAKDOWN[slug], load_counts(shop, period)[slug]
    title, text = f"Orders by {of.label.lower()}", orders_charts.statuses_text(counts, of)
    head = downloads.head(title)
    st.caption(formatting.plain(text))
    if not counts.empty:
        drawn = orders_charts.statuses(counts, of)
        named = counts.assign(value=[of.name(value) for value in counts["value"]])
        columns = (Column("value", "text", of.label), measure("orders"))
        with head:
            made = partial(of_frame, title, named, columns)
            downloads.menu(shop, Offer(title, f"orders_by_{slug}", len(named), made, period, chart=drawn))
        ways = drill.of_values(shop, period, of, orders_charts.status_values(counts, of))
        drill.chart(drawn, text, f"{slug}_{period.start}_{period.end}", ways, here=here)


def rows(shop: ShopAccess, period: Period, text: str) -> None:
    """A page of the orders, or what was found; a chosen row opens the order."""
    with _card("orders_card"):
        if text:
            found = _find(shop.shop_id, shop.data_version, text)
            st.subheader("Found", anchor=False)
            _said(_found_words(len(found), text))
            chosen = None if found.empty else order_view.listed(found, shop)
        else:
            with _line():
                st.subheader("The rows", anchor=False, width="content", help=_LISTS)
                what = st.segmented_control(
                    "List", (drill.ORDERS, drill.BOOKED), default=drill.ORDERS, required=True, key="list",
                    bind="query-params", label_visibility="collapsed",
                )  # fmt: skip
            chosen = ledger_view.rows(shop, period) if what == drill.BOOKED else _orders(shop, period)
    if chosen != recall("order_of_row"):
        keep("order_of_row", chosen)
        _open(chosen)


def _orders(shop: ShopAccess, period: Period) -> int | None:
    """A page of the orders placed in a period; the id of the chosen one."""
    wanted = wanted_view.of_orders(shop, period)
    total = _load_page(shop, period, wanted, 1)[1]
    with _line():
        number = _page_number(total)
        if total:
            orders_files.orders_menu(shop, period, wanted.values, wanted.named(), total)
    found = _load_page(shop, period, wanted, number)[0]
    _said(f"{_page_words(len(found), total, number)} {wanted_view.in_words(wanted, 'placed')}")
    return None if found.empty else order_view.listed(found, shop)


def one_order(shop: ShopAccess, *, by_row: bool) -> None:
    """The order in the address in full: where it was chosen by a row below the rows, where by a link on top."""
    asked = st.query_params.get("order")
    if not asked or by_row != (recall("order_of_row") is not None):
        return
    with _card("order_card"):
        order = load_order(shop, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None
        if order is None:
            st.info(
                "The link names an order that is not in this store, or is a test or deleted order.",
                icon=":material/search_off:",
            )
        else:
            order_view.in_full(order, shop)
        if not by_row and st.button("Close", key="close_order", icon=":material/close:"):
            _open(None)


def follow_link(shop: ShopAccess, today: date) -> None:
    """Before any filter is drawn: set the filters to what a link of ours asks for.

    The names of the widgets themselves would not do: those that other pages have too keep what they were set to there.
    """
    start, end, of, value = (st.query_params.pop(name, "") for name in ("from", "to", "of", "value"))
    counts_as = {slug: label for label, slug in ledger_view.COUNTS_AS.items()}
    measure = counts_as.get(st.query_params.pop("counting", ""), "Total sales")
    what = drill.BOOKED if st.query_params.get("list") == drill.BOOKED else drill.ORDERS
    try:
        days = sorted(min(max(date.fromisoformat(day), FIRST_DAY), today) for day in (start, end))
    except ValueError:
        return
    chosen: dict[str, Any] = {"range": "Custom", "dates": tuple(days), "find": "", "list": what}
    wanted, told = wanted_view.from_link(shop, Period(*days), of, value)
    left, said = narrow.from_link(shop, of, value)
    days_said = [day.isoformat() for day in days]
    preset(chosen | {"counts_as": measure} | wanted | left, {"range": "Custom", "dates": days_said, **told, **said})


def load_order(shop: ShopAccess, order_id: int) -> OneOrder | None:
    """One order of the shop, None where there is no such order."""
    return _order(shop.shop_id, shop.data_version, order_id)


def _open(order_id: int | None) -> None:
    """Put an order into the address, or take it out, and run again."""
    if order_id is None:
        st.query_params.pop("order", None)
    else:
        st.query_params["order"] = str(order_id)
    run_again()


def _page_number(total: int) -> int:
    """The page that is shown, from 1; pages exist only as far as there are orders."""
    pages = max(1, -(-total // PER_PAGE))
    return st.pagination(pages, key=f"page_of_{pages}", bind="query-params") if pages > 1 else 1


def _load_page(shop: ShopAccess, period: Period, wanted: Wanted, number: int) -> tuple[pd.DataFrame, int]:
    return _page(shop.shop_id, shop.data_version, shop.filters, period.start, period.end, wanted, number)


def _page_words(shown: int, total: int, number: int) -> str:
    locale = formatting.reader_locale()
    whole = formatting.count(total, locale)
    if not total:
        return "No order has all of these values in this period. Choose another value, or a longer range."
    first = (number - 1) * PER_PAGE + 1
    each = f"Orders {formatting.count(first, locale)} to {formatting.count(first + shown - 1, locale)}"
    return f"{each} of {whole}, the newest first. Choose a row to see the order in full."


def _found_words(shown: int, text: str) -> str:
    if not shown:
        return f"No order is named {text} or has this number. Test and deleted orders are left out."
    if shown == _MOST_FOUND:
        return f"The newest {shown} orders of this name; there may be more."
    return f"{shown} order{'' if shown == 1 else 's'} in all of time. Choose a row to see the order in full."


def _said(text: str) -> None:
    st.caption(formatting.plain(text))


def _units_per_order(report: Report) -> float | None:
    return orders_charts.units_per_order(int(report.totals["orders"] or 0), int(report.totals["units_sold"] or 0))


def _card(key: str) -> DeltaGenerator:
    return st.container(border=True, key=key)


def _line() -> DeltaGenerator:
    """A line with something at each end."""
    return st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _page(
    shop_id: int, data_version: int, filters: Filters, start: date, end: date, wanted: Wanted, number: int
) -> tuple[pd.DataFrame, int]:
    with shop_session(shop_id, filters) as session:
        return frames_orders.orders_page(session, Period(start, end), wanted.values, PER_PAGE, (number - 1) * PER_PAGE)


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _find(shop_id: int, data_version: int, text: str) -> pd.DataFrame:
    with shop_session(shop_id) as session:
        return frames_orders.find_orders(session, text, _MOST_FOUND)


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _order(shop_id: int, data_version: int, order_id: int) -> OneOrder | None:
    with shop_session(shop_id) as session:
        header = frames_orders.one_order(session, order_id)
        if header.empty:
            return None
        return OneOrder(
            header.to_dict("records")[0],
            frames_orders.order_lines(session, order_id),
            frames_orders.order_refunds(session, order_id),
            frames_orders.order_ledger(session, order_id),
        )


_LISTS = (
    "Orders placed are what orders and customers are counted from. Ledger rows are what amounts are summed from: "
    "sales, discounts, refunds and later changes, each on the day it was booked."
)
_STATUSES = ("financial_status", "fulfillment_status")
_CARDS = ("orders", "average_order_value", "units_sold", "units_returned")
_DRAWN: Mapping[str, str | None] = {
    "Orders": "orders", "Average order value": "average_order_value", orders_charts.UNITS_PER_ORDER: None,
}  # fmt: skip
