"""One customer in full: what they brought, when, how often; found by a row, a search, or the address."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics import frames_customers, frames_history
from core.analytics.rfm import SEGMENTS, rfm
from core.analytics.spending import median_days
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.money import from_minor
from core.reports.table import Column, Table, measure, of_frame
from core.ui import charts, columns, downloads, drill, formatting, lifetime_view
from core.ui.downloads import Offer
from core.ui.forecast_view import last_whole_day

_ROW = 36
_MOST_FOUND = 20
_MOST_TICKS = 8


@dataclass(frozen=True)
class OneCustomer:
    """A row of frames_history.one_customer() with the frames of their orders and days."""

    totals: dict[str, Any]
    orders: pd.DataFrame
    days: pd.DataFrame


def load_customer(shop: ShopAccess, number: int) -> OneCustomer | None:
    """All time of one buyer, whatever the page is narrowed to; None where nobody has this number."""
    return _customer(shop.shop_id, shop.data_version, number)


def search(shop: ShopAccess) -> None:
    """A field to find customers by, and who was found; a chosen row opens the customer."""
    about = "A name, an e-mail address or Shopify's number." if shop.personal_data else (
        "Shopify's number of the customer. Names are not fetched for this store; they can be switched on under Stores."
    )  # fmt: skip
    text = st.text_input(
        "Find a customer", key="who", bind="query-params", placeholder="Find a customer", width=230, max_chars=80,
        icon=":material/search:", label_visibility="collapsed", help=about,
    )  # fmt: skip
    text = (text or "").strip()[:80]
    if not text:
        return
    found = _found(shop.shop_id, shop.data_version, text, shop.personal_data)
    if found.empty:
        st.caption(formatting.plain(f"No customer with an order has {text} as number" +
                                    (", or in name or e-mail." if shop.personal_data else ".")))  # fmt: skip
        return
    more = " at most" if len(found) == _MOST_FOUND else ""
    st.caption(f"{len(found)} found{more}, highest net sales first. Choose a row to see the customer.")
    shown = pd.DataFrame(
        {
            "Customer": [name(row, shop) for row in found.to_dict("records")],
            "Net sales": [float(from_minor(int(net), shop.currency)) for net in found["net_sales"]],
            "Orders": found["orders"],
        }
    )
    event: Any = st.dataframe(
        shown, hide_index=True, key=f"found_{text}", row_height=_ROW,
        height="content" if len(shown) <= 10 else 12 * _ROW, on_select="rerun", selection_mode="single-row",
        alt="Customers found, with net sales and orders of all time",
        column_config={
            "Customer": st.column_config.TextColumn(pinned=True),
            "Net sales": columns.money(shop.currency),
            "Orders": st.column_config.NumberColumn(format="localized"),
        },
    )  # fmt: skip
    rows = [row for row in event.selection.rows if row < len(found)]
    drill.choose("customer", int(found["buyer_id"].iloc[rows[0]]) if rows else None, "found")


def asked_for(shop: ShopAccess, today: date) -> None:
    """The customer that the address names, in full."""
    number = drill.asked("customer")
    if number is None:
        return
    with st.container(border=True, key="customer_card"):
        customer = load_customer(shop, number)
        if customer is None:
            st.info("The link names a customer without an order in this store.", icon=":material/person_off:")
        else:
            _in_full(customer, shop, today)
        drill.close("customer")


def name(row: dict[str, Any], shop: ShopAccess) -> str:
    """Who it is, as far as the store has names fetched."""
    if row["buyer_id"] < 0:
        return "Guest"
    return (row["name"] if shop.personal_data else None) or f"Customer {row['buyer_id']}"


def between_orders(orders: pd.DataFrame) -> float | None:
    """The median of days between one order and the next; None with one order."""
    days = pd.DatetimeIndex(orders["day"].astype("datetime64[s]"))
    gaps = pd.Series((days[1:] - days[:-1]).days, dtype="int64").value_counts()
    return median_days(pd.DataFrame({"days": gaps.index, "orders": gaps.to_numpy()}))


def _in_full(customer: OneCustomer, shop: ShopAccess, today: date) -> None:
    totals, locale, zone = customer.totals, formatting.reader_locale(), ZoneInfo(shop.time_zone)
    who = name(totals, shop)
    made = partial(orders_table, customer.orders)
    with downloads.head(formatting.plain(who), _ABOUT):
        kind = f"customer_{totals['buyer_id']}"
        downloads.menu(shop, Offer("Orders of one customer", kind, len(customer.orders), made))
    gap, net, count = between_orders(customer.orders), int(totals["net_sales"]), int(totals["orders"])
    segment = _segment(shop.shop_id, shop.data_version, today, shop.currency, totals["buyer_id"])
    last = totals["last_order_at"].astimezone(zone).date()
    facts = (
        ("Net sales", formatting.card_money(net, shop.currency, locale), "Of all time, after discounts and returns."),
        ("Orders", formatting.count(count, locale), "Of all time, cancelled ones too."),
        ("Net sales per order", formatting.card_money(round(net / count), shop.currency, locale),
         "Net sales of all time divided by orders."),
        ("Days between orders", formatting.DASH if gap is None else formatting.short_decimal(gap, locale),
         "The median. Unknown with a single order."),
    )  # fmt: skip
    first, latest = (formatting.day(day, year=True) for day in (totals["first_day"], last))
    ago = f"{(today - last).days} days ago"
    st.caption(f"First order {first}, last order {latest} ({ago}). Segment: {segment or 'unknown'}.")
    with st.grid(4, min_column_width=150, gap="small", key="customer_cards"):
        for label, shown, meaning in facts:
            st.metric(label, shown, border=True, height="stretch", help=meaning)
    ahead = st.container(key="customer_ahead")
    text = f"Net sales of {who} since the first order: {formatting.money(net, shop.currency, locale)} by today."
    if len(customer.days):
        st.altair_chart(spent_chart(customer.days, shop.currency, today), alt=text, key="customer_chart")
    _orders(customer.orders, shop)
    with ahead:  # last, because a new fit of the models takes long
        lifetime_view.cards_of_one(shop, totals["buyer_id"], last_whole_day(shop, today))


def spent_chart(days: pd.DataFrame, currency: str, today: date) -> alt.LayerChart:
    """What a customer brought in all, by day from the first to today, as steps."""
    locale, running = formatting.reader_locale(), days["net_sales"].cumsum()
    first = days["day"].iloc[0]
    passed = [(day - first).days for day in days["day"]]
    at = [*passed, max(1, passed[-1], (today - first).days)]
    amounts = [*running, running.iloc[-1]]
    frame = pd.DataFrame({"i": at, "value": [float(from_minor(int(amount), currency)) for amount in amounts]})
    frame["Day"] = [formatting.day(day, year=True) for day in days["day"]] + ["Today"]
    frame["Net sales so far"] = [formatting.money(int(amount), currency, locale) for amount in amounts]
    step = max(1, -(-at[-1] // _MOST_TICKS))
    labels = {i: formatting.day(date.fromordinal(first.toordinal() + i), year=True) for i in range(0, at[-1] + 1, step)}
    x = alt.X(
        "i:Q", title=None, scale=alt.Scale(domain=[0, at[-1]], nice=False),
        axis=alt.Axis(values=list(labels), labelColor=charts.label_colour(), grid=False, labelOverlap="greedy",
                      labelExpr=charts.lookup({str(i): label for i, label in labels.items()})),
    )  # fmt: skip
    y = charts.y_axis(frame["value"], "money", currency, locale)
    line = alt.Chart(frame).mark_line(interpolate="step-after", strokeWidth=2.2, color=charts.palette()[0]).encode(x, y)
    tips = [alt.Tooltip("Day:N"), alt.Tooltip("Net sales so far:N")]
    dots = alt.Chart(frame).mark_circle(size=40, color=charts.palette()[0]).encode(x, y, tooltip=tips)
    return cast(alt.LayerChart, alt.layer(line, dots).properties(height=220))


def orders_table(orders: pd.DataFrame) -> Table:
    """The orders of one customer, the oldest first."""
    columns = (
        Column("id", "id", "Shopify's number"), Column("name", "text", "Order"), Column("day", "date", "Day"),
        Column("financial_status", "text"), Column("fulfillment_status", "text"), Column("units", "count"),
        measure("net_sales"),
    )  # fmt: skip
    return of_frame("Orders of one customer", orders, columns)


def _orders(orders: pd.DataFrame, shop: ShopAccess) -> None:
    newest = orders.iloc[::-1].to_dict("records")
    shown = pd.DataFrame(
        {
            "Order": [row["name"] or str(row["id"]) for row in newest],
            "Day": [row["day"] for row in newest],
            "Units": [row["units"] for row in newest],
            "Net sales": [float(from_minor(int(row["net_sales"]), shop.currency)) for row in newest],
        }
    )
    event: Any = st.dataframe(
        shown, hide_index=True, key=f"orders_of_{newest[0]['id']}", row_height=_ROW, on_select="rerun",
        selection_mode="single-row", height="content" if len(shown) <= 10 else 12 * _ROW,
        alt="The customer's orders, the newest first, with units and net sales",
        column_config={
            "Order": st.column_config.TextColumn(pinned=True),
            "Day": st.column_config.DateColumn(format="D MMM YYYY", help="On the store's calendar."),
            "Units": st.column_config.NumberColumn(format="localized", help="Sold, before returns."),
            "Net sales": columns.money(shop.currency, meaning="Returns and changes included."),
        },
    )  # fmt: skip
    st.caption("Choose a row to see the order with its ledger.")
    rows = [row for row in event.selection.rows if row < len(newest)]
    if rows:
        st.switch_page("orders.py", query_params={"shop": shop.domain, "order": str(newest[rows[0]]["id"])})


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _customer(shop_id: int, data_version: int, number: int) -> OneCustomer | None:
    with shop_session(shop_id) as session:
        totals = frames_history.one_customer(session, number)
        if totals.empty:
            return None
        orders, days = (
            read(session, number) for read in (frames_history.customer_orders, frames_history.customer_days)
        )
    return OneCustomer(totals.to_dict("records")[0], orders, days)


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _found(shop_id: int, data_version: int, text: str, personal: bool) -> pd.DataFrame:
    with shop_session(shop_id) as session:
        return frames_history.find_customers(session, text, personal, _MOST_FOUND)


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _segment(shop_id: int, data_version: int, today: date, currency: str, number: int) -> str | None:
    with shop_session(shop_id) as session:
        scored = rfm(frames_customers.buyers(session, today), today, currency).buyers
    slugs = scored.loc[scored["buyer_id"] == number, "segment"]
    return next((each.name for each in SEGMENTS if each.slug == slugs.iloc[0]), None) if len(slugs) else None


_ABOUT = "All time, whatever the period and the filters above. Guests are known by their e-mail address."
