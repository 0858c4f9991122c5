"""The lifetime page's parts: what is expected of all customers and of each, and how such a forecast did."""

from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import pandas as pd
import streamlit as st

from core.analytics import frames_customers
from core.analytics.lifetime import (
    HoldOut,
    Lifetime,
    Purchases,
    Values,
    expected_of,
    holdout,
    holdout_split,
    lifetime,
)
from core.analytics.unknown import Unknown
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import EVERYTHING, Filters
from core.db.money import exponent
from core.reports.table import Column, Table, of_frame
from core.ui import columns, downloads, formatting, states
from core.ui.downloads import Offer

_SHOWN = 100
_ROW = 36


@dataclass(frozen=True)
class Expected:
    """What is expected of all customers, and of those with the highest expected value.

    `best` has columns buyer_id, name (None where unknown), repeats, alive, expected_orders and expected_value (floats
    of minor units, None where order values could not be modelled). `unknown_value` says why that is. The models are
    those that all of it was computed by.
    """

    customers: int
    orders: float
    value: float | None
    unknown_value: str
    best: pd.DataFrame
    purchases: Purchases
    values: Values | Unknown


@dataclass(frozen=True)
class OfOne:
    """What is expected of one customer: `alive` is None of who ordered on one day, `value` where it has no model."""

    orders: float
    value: float | None
    alive: float | None
    unknown_value: str


def load_lifetime(shop: ShopAccess, last: date) -> Expected | Unknown:
    """What is expected from the day after `last` on, as of the last sync."""
    return _expected(shop.shop_id, shop.data_version, shop.filters, last)


def load_of_one(shop: ShopAccess, number: int, last: date) -> OfOne | Unknown:
    """What is expected of one customer from the day after `last` on, by the models of all customers."""
    with st.spinner("Looking at every customer's history"):
        everybody = load_lifetime(replace(shop, filters=EVERYTHING), last)
    if isinstance(everybody, Unknown):
        return everybody
    history = _history(shop.shop_id, shop.data_version, number, last)
    if history.empty:
        return Unknown("The first order is not a whole day old yet.")
    [row] = expected_of(history, last, everybody.purchases, everybody.values).to_dict("records")
    alive = float(row["alive"]) if row["repeats"] else None
    return OfOne(row["expected_orders"], row["expected_value"], alive, everybody.unknown_value)


def cards_of_one(shop: ShopAccess, number: int, last: date | None) -> None:
    """The next 12 months of one customer, or why nothing is expected."""
    found = Unknown("No whole day of sales is known yet.") if last is None else load_of_one(shop, number, last)
    if isinstance(found, Unknown):
        st.caption(formatting.plain(f"What to expect in the next 12 months is unknown. {found.reason}"))
        return
    locale = formatting.reader_locale()
    with st.grid(3, min_column_width=150, gap="small", key="expected_cards"):
        for label, shown, meaning in (
            ("Expected sales, 12 months", _money(found.value, shop.currency, locale), _OF_VALUE + found.unknown_value),
            ("Expected orders, 12 months", formatting.decimal(found.orders, locale), _OF_ORDERS),
            ("Still active", formatting.percent(found.alive, locale), _ALIVE),
        ):
            st.metric(label, shown, border=True, height="stretch", help=formatting.plain(meaning))


def cards(found: Expected, currency: str) -> None:
    """Sums over all customers."""
    locale = formatting.reader_locale()
    each = found.value / found.customers if found.value is not None else None
    with st.grid(4, min_column_width=150, gap="small", key="cards"):
        for label, shown, meaning in (
            ("Expected sales", _money(found.value, currency, locale), _OF_VALUE + found.unknown_value),
            ("Per customer", _money(each, currency, locale), "The same, divided by the customers."),
            ("Expected orders", formatting.count(round(found.orders), locale), _OF_ORDERS),
            ("Customers", formatting.count(found.customers, locale), "All who ever ordered, guests by their e-mail."),
        ):  # fmt: skip
            st.metric(label, shown, border=True, height="stretch", help=formatting.plain(meaning))


def best(found: Expected, shop: ShopAccess, last: date) -> None:
    """The customers of whom most is expected, as a table and a file."""
    frame, scale = found.best, 10 ** exponent(shop.currency)
    with downloads.head("Most expected of", f"The first {_SHOWN} customers."):
        which, made = f"the first {_SHOWN} customers at most", partial(best_table, frame)
        kind = f"lifetime_value_{last.isoformat()}"
        downloads.menu(shop, Offer("Expected in the next 12 months", kind, len(frame), made, which=which))
    shown = pd.DataFrame(
        {
            "Customer": [_who(row.buyer_id, row.name) for row in frame.itertuples(index=False)],
            "Expected sales": [None if value is None else round(value) / scale for value in frame["expected_value"]],
            "Expected orders": frame["expected_orders"].round(1),
            "Still active": pd.Series(
                [row.alive * 100 if row.repeats else None for row in frame.itertuples(index=False)], dtype=object
            ),
        }
    )
    st.dataframe(
        shown, hide_index=True, key="best", row_height=_ROW, height=12 * _ROW, placeholder=formatting.DASH,
        alt="Customers by what is expected of them in the next 12 months, with orders and how likely they are active",
        column_config={
            "Customer": st.column_config.TextColumn(width=150, pinned=True),
            "Expected sales": columns.amount("Expected sales", shop.currency, meaning=_OF_VALUE),
            "Expected orders": columns.number(1, width=110, meaning=_OF_ORDERS),
            "Still active": st.column_config.NumberColumn(
                format="%.0f %%", width=96, help=_ALIVE,
            ),
        },
    )  # fmt: skip


def best_table(frame: pd.DataFrame) -> Table:
    """The customers with what is expected of them; amounts rounded to the smallest unit of the currency."""
    rows = [
        (
            _who(row.buyer_id, row.name), row.repeats,
            None if row.expected_value is None else round(row.expected_value), row.expected_orders, row.alive,
        )
        for row in frame.itertuples(index=False)
    ]  # fmt: skip
    columns = (
        Column("customer", "text"), Column("other_order_days", "count", "Days with another order"),
        Column("expected_sales", "money", "Expected sales", _OF_VALUE),
        Column("expected_orders", "number", "Expected orders", _OF_ORDERS),
        Column("probability_alive", "percent", "Still active", "The probability that they have not left for good."),
    )  # fmt: skip
    return Table("Expected in the next 12 months", columns, rows)


def check(shop: ShopAccess, last: date) -> None:
    """A forecast made in the past beside what happened then."""
    head = downloads.head(
        "How such a forecast did",
        "The same model, fitted on the orders up to a day in the past, and what customers ordered since then.",
    )
    with states.coming("Checking a forecast of the past", 320):
        found = _check(shop.shop_id, shop.data_version, shop.filters, last)
    if isinstance(found, Unknown):
        st.markdown(f"There is no check yet. {found.reason}")
        return
    locale = formatting.reader_locale()
    off = (found.expected_orders - found.actual_orders) / found.actual_orders if found.actual_orders else None
    verdict = f", {formatting.change(off, locale)} off" if off is not None else ""
    st.markdown(
        f"Made on {formatting.day(found.split, year=True)} for {formatting.count(found.customers, locale)} customers: "
        f"**{formatting.count(round(found.expected_orders), locale)}** days with an order were expected up to "
        f"{formatting.day(found.day, year=True)}, **{formatting.count(found.actual_orders, locale)}** came{verdict}."
    )
    with head:
        made = partial(of_frame, "How such a forecast did", found.by_repeats, _OF_CHECK)
        kind = f"lifetime_check_{last.isoformat()}"
        downloads.menu(shop, Offer("How such a forecast did", kind, len(found.by_repeats), made))
    shown = found.by_repeats.rename(
        columns={
            "repeats": "Other order days by then", "customers": "Customers", "expected_orders": "Expected each",
            "actual_orders": "Came each",
        }
    ).round(2)[["Other order days by then", "Customers", "Expected each", "Came each"]]  # fmt: skip
    st.dataframe(
        shown, hide_index=True, key="check", row_height=_ROW, height="content",
        alt="Customers by how often they had ordered, with the orders expected of each and those that came",
        column_config={
            "Other order days by then": st.column_config.TextColumn(pinned=True),
            "Expected each": columns.number(2),
            "Came each": columns.number(2),
            "Customers": st.column_config.NumberColumn(format="localized"),
        },
    )  # fmt: skip


@st.cache_data(ttl="24h", max_entries=32, show_spinner=False)
def _expected(shop_id: int, data_version: int, filters: Filters, last: date) -> Expected | Unknown:
    with shop_session(shop_id, filters) as session:
        found = lifetime(frames_customers.repeat_history(session, last), last)
        if isinstance(found, Unknown):
            return found
        first = "expected_value" if found.expected_value is not None else "expected_orders"
        order = found.buyers.assign(rank=found.buyers[first].astype(float)).sort_values(
            ["rank", "buyer_id"], ascending=[False, True]
        )
        top = order.head(_SHOWN)[[*found.buyers.columns]].reset_index(drop=True)
        names = frames_customers.customer_names(session, [int(key) for key in top["buyer_id"] if key > 0])
    top.insert(1, "name", pd.Series([names.get(int(key)) for key in top["buyer_id"]], dtype=object))
    return _of(found, top)


def _of(found: Lifetime, top: pd.DataFrame) -> Expected:
    reason = f" Unknown: {found.values.reason}" if isinstance(found.values, Unknown) else ""
    sums = (len(found.buyers), found.expected_orders, found.expected_value)
    return Expected(*sums, reason, top, found.purchases, found.values)


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _history(shop_id: int, data_version: int, number: int, last: date) -> pd.DataFrame:
    with shop_session(shop_id) as session:
        return frames_customers.repeat_history(session, last, number)


@st.cache_data(ttl="24h", max_entries=32, show_spinner=False)
def _check(shop_id: int, data_version: int, filters: Filters, last: date) -> HoldOut | Unknown:
    with shop_session(shop_id, filters) as session:
        after = frames_customers.repeat_history(session, last)
        split = holdout_split(after, last)
        if split is None:
            return Unknown("There are no customers yet.")
        before = frames_customers.repeat_history(session, split)
    return holdout(before, after, split, last)


def _who(buyer_id: int, name: str | None) -> str:
    return "Guest" if buyer_id < 0 else name or f"Customer {buyer_id}"


def _money(amount: float | None, currency: str, locale: str) -> str:
    return formatting.card_money(None if amount is None else round(amount), currency, locale)


_OF_VALUE = "Net sales of the orders expected in the next 12 months: BG/NBD for how often, Gamma-Gamma for how much."
_OF_ORDERS = "Days with an order expected in the next 12 months; two orders on one day count once."
_ALIVE = "The probability that they have not left for good; of who ordered on one day it is unknown."
_OF_CHECK = (
    Column("repeats", "text", "Other order days by then"), Column("customers", "count"),
    Column("expected_orders", "number", "Expected each"), Column("actual_orders", "number", "Came each"),
)  # fmt: skip
