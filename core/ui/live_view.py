"""Today as it happens: orders and sales by hour beside the same weekday before, and the latest orders."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.analytics import frames_orders
from core.analytics.metrics import METRIC
from core.analytics.period import Period
from core.analytics.sales import Hours
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import from_minor
from core.ui import columns, formatting, order_view, sales_charts
from core.ui.sales_view import load_hours

LATEST = 8
_ROW = 36
_FIGURES = {"Orders": "orders", "Total sales": "total_sales"}


@st.fragment
def card(shop: ShopAccess) -> None:
    """The card; a page that follows its store draws it anew when something arrives."""
    now = datetime.now(ZoneInfo(shop.time_zone))
    today = Period(now.date(), now.date())
    week = timedelta(days=7)
    before = Period(today.start - week, today.start - week)
    hours, there = load_hours(shop, today), load_hours(shop, before)
    name = f"{before.start:%A} a week before"
    with st.container(border=True, key="live_card"):
        with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
            st.subheader("Today, as it happens", anchor=False, width="content")
            label = st.segmented_control(
                "Figure of today", list(_FIGURES), default="Orders", required=True, key="live_figure",
                label_visibility="collapsed",
            )  # fmt: skip
        slug = _FIGURES.get(label or "Orders", "orders")
        left, right = st.columns([3, 2])
        with left:
            at = sales_charts.of_hours(hours, now)
            text = so_far(hours, there, now, shop.currency, name)
            drawn = sales_charts.by_hour(hours, there, slug, shop.currency, at, name)
            st.altair_chart(drawn, alt=f"{METRIC[slug].label} by hour today. {text}", key="live_chart")
            st.caption(text)
        with right:
            _latest(shop, today)


def so_far(hours: Hours, before: Hours, now: datetime, currency: str, name: str) -> str:
    """Today in one sentence, against the same hours of the day before; the hour that is not over counts for today."""
    locale = formatting.reader_locale()
    orders, sales = (int(sum(hours.by[slug])) for slug in ("orders", "total_sales"))
    until = before.by["hour"] < now.hour
    then = [int(sum(before.by.loc[until, slug])) for slug in ("orders", "total_sales")]
    said = f"{_orders(orders, locale)} for {formatting.money(sales, currency, locale)} so far today."
    if now.hour == 0:
        return said
    compared = f"{_orders(then[0], locale)} for {formatting.money(then[1], currency, locale)}"
    return f"{said} {name} had {compared} by {now.hour:02}:00."


def _orders(number: int, locale: str) -> str:
    return f"{formatting.count(number, locale)} order{'' if number == 1 else 's'}"


def _latest(shop: ShopAccess, today: Period) -> None:
    days = Period(today.start - timedelta(days=1), today.end)
    found = _latest_orders(shop.shop_id, shop.data_version, shop.filters, days.start, days.end)
    st.markdown("**Latest orders**")
    if found.empty:
        st.caption("No orders since yesterday. They appear here as they arrive.")
        return
    zone, records = ZoneInfo(shop.time_zone), found.to_dict("records")
    shown = pd.DataFrame(
        {
            "Placed": [row["processed_at"].astimezone(zone).replace(tzinfo=None) for row in records],
            "Order": [row["name"] or str(row["id"]) for row in records],
            "Customer": [order_view.customer(row, shop) for row in records],
            "Net sales": [float(from_minor(int(row["net_sales"]), shop.currency)) for row in records],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="latest_orders",
        row_height=_ROW,
        height="content",
        placeholder=formatting.DASH,
        alt="The latest orders, the newest first",
        column_config={
            "Placed": st.column_config.DatetimeColumn(
                format="HH:mm:ss", width=76, pinned=True, help="On the store's clock."
            ),
            "Order": st.column_config.TextColumn(width=64),
            "Customer": st.column_config.TextColumn(width=118),
            "Net sales": columns.amount(
                "Net sales", shop.currency, width=88, meaning="Returns and later changes included."
            ),
        },
    )


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _latest_orders(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> pd.DataFrame:
    with shop_session(shop_id, filters) as session:
        return frames_orders.orders_page(session, Period(start, end), {}, LATEST, 0)[0]
