"""One product in full: its days, its variants, who bought it and what else was in their orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, cast

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics import frames_history, frames_products
from core.analytics.period import Grain, Period
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import from_minor
from core.reports.table import Column, Row, Table, measure, of_frame
from core.ui import charts, columns, customer_view, downloads, drill, formatting
from core.ui.downloads import Offer

_ROW = 36
_MOST = 10


@dataclass(frozen=True)
class OneProduct:
    """One product in a period: frames of frames_products and frames_history, and how many buyers and orders it has.

    `title` is None where the catalogue has no such product.
    """

    title: str | None
    days: pd.DataFrame
    variants: pd.DataFrame
    buyers: pd.DataFrame
    known_buyers: int
    companions: pd.DataFrame
    orders: int


def load_product(shop: ShopAccess, period: Period, number: int) -> OneProduct:
    """What is known of a product in a period."""
    return _product(shop.shop_id, shop.data_version, shop.filters, period.start, period.end, number)


def asked_for(now: pd.DataFrame, shop: ShopAccess, period: Period, grain: Grain) -> None:
    """The product that the address names, in full; `now` has the products of the period."""
    number = drill.asked("product")
    if number is None:
        return
    with st.container(border=True, key="detail_card"):
        found = load_product(shop, period, number)
        if found.title is None:
            st.info("The link names a product that is not in this store's catalogue.", icon=":material/search_off:")
        else:
            in_full(number, found, now, shop, period, grain)
        drill.close("product")


def in_full(number: int, found: OneProduct, now: pd.DataFrame, shop: ShopAccess, period: Period, grain: Grain) -> None:
    """One product with its figures of the period."""
    name, locale = found.title or _UNTITLED, formatting.reader_locale()
    drawn = over_time(found.days, period, grain, shop.currency)
    made = partial(days_table, found.days, period, grain, name)
    with downloads.head(formatting.plain(name)):
        downloads.menu(shop, Offer(name, f"product_{number}", len(period.buckets(grain)), made, period, chart=drawn))
    sums = now[now["product_id"] == number].sum(numeric_only=True)
    whole = int(sums["gross_sales"] + sums["discounts"])
    rate = -int(sums["sales_reversals"]) / whole if whole > 0 else None
    facts = (
        ("Net sales", formatting.card_money(int(sums["net_sales"]), shop.currency, locale), "After returns."),
        ("Units sold", formatting.count(int(sums["units_sold"]), locale), "Before returns."),
        ("Units returned", formatting.count(int(sums["units_returned"]), locale), "On the day of the return."),
        ("Refund rate", formatting.percent(rate, locale), "Reversals divided by gross sales plus discounts."),
        ("Orders", formatting.count(found.orders, locale), "Placed in the period with this product."),
        ("Customers", formatting.count(found.known_buyers, locale), "Known ones with a sale or return of it."),
    )  # fmt: skip
    with st.grid(6, min_column_width=130, gap="small", key="product_cards"):
        for label, shown, meaning in facts:
            st.metric(label, shown, border=True, height="stretch", help=meaning)
    st.altair_chart(drawn, alt=f"Net sales of {name} by {grain}.", key="detail_chart")
    _variants(number, name, found.variants, shop, period)
    left, right = st.columns(2)
    with left:
        _buyers(number, found, shop, period)
    with right:
        _companions(number, found, shop, period)


def over_time(days: pd.DataFrame, period: Period, grain: Grain, currency: str) -> alt.LayerChart:
    """Net sales of the product by bucket, with units sold and returned on touch."""
    locale, buckets, rows = formatting.reader_locale(), period.buckets(grain), []
    for i, (bucket, (net, sold, returned)) in enumerate(zip(buckets, _by_bucket(days, period, grain), strict=True)):
        rows.append(
            (i - 0.4, i + 0.4, 0.0, float(from_minor(net, currency)), charts.bucket_name(bucket, grain),
             formatting.money(net, currency, locale), formatting.count(sold, locale),
             formatting.count(returned, locale))
        )  # fmt: skip
    told = ["When", "Net sales", "Units sold", "Units returned"]
    frame = pd.DataFrame(rows, columns=["i", "right", "low", "value", *told])
    x = charts.x_axis([charts.bucket_tick(bucket, grain, period.days) for bucket in buckets], bars=True)
    drawn = (
        alt.Chart(frame)
        .mark_rect(color=charts.palette()[0])
        .encode(
            x, charts.y_axis(frame["value"], "money", currency, locale), x2="right:Q", y2="low:Q",
            tooltip=[alt.Tooltip(f"{column}:N") for column in told],
        )
    )  # fmt: skip
    return cast(alt.LayerChart, alt.layer(drawn).properties(height=220))


def days_table(days: pd.DataFrame, period: Period, grain: Grain, title: str) -> Table:
    """One product by day, week or month."""
    rows: list[Row] = [
        [bucket.period.start, bucket.period.end, *sums]
        for bucket, sums in zip(period.buckets(grain), _by_bucket(days, period, grain), strict=True)
    ]
    sums = (measure(slug) for slug in ("net_sales", "units_sold", "units_returned"))
    return Table(title, (Column("from", "date"), Column("to", "date"), *sums), rows)


def _by_bucket(days: pd.DataFrame, period: Period, grain: Grain) -> list[tuple[int, int, int]]:
    found = []
    for bucket in period.buckets(grain):
        part = days[[bucket.period.start <= day <= bucket.period.end for day in days["day"]]]
        net, sold, returned = (int(part[name].sum()) for name in ("net_sales", "units_sold", "units_returned"))
        found.append((net, sold, returned))
    return found


def _variants(number: int, name: str, found: pd.DataFrame, shop: ShopAccess, period: Period) -> None:
    if found.empty:
        return
    made = partial(of_frame, f"Variants of {name}", found, _VARIANT)
    with downloads.head("Variants"):
        downloads.menu(shop, Offer(f"Variants of {name}", f"variants_{number}", len(found), made, period))
    money, count = _money(shop), st.column_config.NumberColumn(format="localized", width=80)
    shown = pd.DataFrame(
        {
            "Variant": [title or _GONE for title in found["title"]],
            "SKU": found["sku"],
            "Net sales": [_major(net, shop) for net in found["net_sales"]],
            "Units": found["units_sold"],
            "Returned": found["units_returned"],
            "Price": [_major(price, shop) for price in found["price"]],
            "Available": found["available"],
        }
    )
    st.dataframe(
        shown, hide_index=True, key="variants", row_height=_ROW, placeholder=formatting.DASH,
        height="content" if len(shown) <= 10 else 12 * _ROW,
        alt="Variants with net sales, units sold and returned, price and stock",
        column_config={
            "Variant": st.column_config.TextColumn(pinned=True),
            "Net sales": money, "Units": count, "Returned": count, "Price": money,
            "Available": st.column_config.NumberColumn(format="localized", width=80, help=_AVAILABLE),
        },
    )  # fmt: skip


def _buyers(number: int, found: OneProduct, shop: ShopAccess, period: Period) -> None:
    made = partial(of_frame, "Who bought it", found.buyers, _BUYER)
    with downloads.head("Who bought most of it"):
        which = f"the first {_MOST} at most"
        downloads.menu(shop, Offer("Who bought it", f"buyers_{number}", len(found.buyers), made, period, which=which))
    if found.buyers.empty:
        st.caption("No known customer bought it in this period.")
        return
    rows = found.buyers.to_dict("records")
    shown = pd.DataFrame(
        {
            "Customer": [customer_view.name(row, shop) for row in rows],
            "Net sales": [_major(row["net_sales"], shop) for row in rows],
            "Units": [row["units_sold"] for row in rows],
            "Returned": [row["units_returned"] for row in rows],
        }
    )
    event: Any = st.dataframe(
        shown, hide_index=True, key=f"buyers_{number}_{period.start}", row_height=_ROW, height="content",
        on_select="rerun", selection_mode="single-row", alt="Customers with net sales, units sold and returned of it",
        column_config={"Customer": st.column_config.TextColumn(pinned=True), "Net sales": _money(shop)},
    )  # fmt: skip
    st.caption("Choose a row to see the customer.")
    chosen = [row for row in event.selection.rows if row < len(rows)]
    if chosen:
        buyer = str(rows[chosen[0]]["buyer_id"])
        st.switch_page("customers.py", query_params={"shop": shop.domain, "customer": buyer})


def _companions(number: int, found: OneProduct, shop: ShopAccess, period: Period) -> None:
    made = partial(of_frame, "Bought with it", found.companions, _COMPANION)
    with downloads.head("Bought with it", f"In the same order, of {found.orders} orders with this product."):
        which = f"the first {_MOST} at most"
        offer = Offer("Bought with it", f"bought_with_{number}", len(found.companions), made, period, which=which)
        downloads.menu(shop, offer)
    if found.companions.empty:
        st.caption("Nothing else was in the orders with it.")
        return
    shown = pd.DataFrame(
        {
            "Product": [title or _UNTITLED for title in found.companions["title"]],
            "Orders": found.companions["orders"],
            "Share": columns.shares(found.companions["orders"] / found.orders),
        }
    )
    st.dataframe(
        shown, hide_index=True, key="companions", row_height=_ROW, height="content",
        alt="Products in the same orders, most frequent first",
        column_config={
            "Product": st.column_config.TextColumn(pinned=True),
            "Orders": st.column_config.NumberColumn(format="localized", help="With both."),
            "Share": columns.percent(meaning="Of the orders with this product."),
        },
    )  # fmt: skip


def _with_sales(variants: pd.DataFrame, sold: pd.DataFrame) -> pd.DataFrame:
    """The catalogue's variants with what they sold, then those that are gone from it."""
    sums = ("net_sales", "units_sold", "units_returned")
    by_id: Mapping[Any, Any] = sold.set_index("variant_id")[list(sums)].to_dict("index")
    frame = variants.assign(**{
        name: [by_id.get(number, {}).get(name, 0) for number in variants["variant_id"]] for name in sums
    })  # fmt: skip
    gone = sold[~sold["variant_id"].isin(list(variants["variant_id"]))].assign(sku=None, price=None, available=None)
    return pd.concat([frame, gone.astype(object)[frame.columns]], ignore_index=True) if len(gone) else frame


def _money(shop: ShopAccess) -> Any:
    return columns.money(shop.currency, width=96)


def _major(minor: int | None, shop: ShopAccess) -> float | None:
    return None if minor is None else float(from_minor(int(minor), shop.currency))


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _product(shop_id: int, data_version: int, filters: Filters, start: date, end: date, number: int) -> OneProduct:
    period = Period(start, end)
    with shop_session(shop_id, filters) as session:
        title = next(iter(frames_products.product_title(session, number)["title"]), None)
        days = frames_products.product_days(session, period, number)
        variants = frames_products.variants(session, number)
        sold = frames_history.product_variants(session, period, number)
        buyers, known = frames_history.product_buyers(session, period, number, _MOST)
        companions = frames_history.product_companions(session, period, number, _MOST)
        orders = int(frames_history.product_orders(session, period, number)["orders"].iloc[0])
    return OneProduct(title, days, _with_sales(variants, sold), buyers, known, companions, orders)


_GONE = "No longer in the catalogue"
_UNTITLED = "Without a title"
_AVAILABLE = "Over all locations; a dash where it is not tracked or not known."
_SUMS = tuple(measure(slug) for slug in ("net_sales", "units_sold", "units_returned"))
_VARIANT = (
    Column("title", "text", "Variant"), Column("sku", "text", "SKU"), *_SUMS, Column("price", "money"),
    Column("available", "count", "Available", _AVAILABLE),
)  # fmt: skip
_BUYER = (Column("buyer_id", "id", "Customer's number", "Negative for guests."), Column("orders", "count"), *_SUMS)
_COMPANION = (Column("product_id", "id"), Column("title", "text", "Product"), Column("orders", "count", "Orders"))
