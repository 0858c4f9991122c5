"""Stock on the products page: what runs out, what is sold out, what lies idle."""

from datetime import date, timedelta
from functools import partial

import pandas as pd
import streamlit as st

from core.analytics import frames_products
from core.analytics.period import Period
from core.analytics.stock import COVER_DAYS, DEAD_AFTER_DAYS, stock
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.reports.table import Column, Table, of_frame
from core.sync.jobs import sync_status
from core.ui import downloads, formatting
from core.ui.downloads import Offer

_ROW = 36


def load_stock(shop: ShopAccess, today: date) -> pd.DataFrame:
    """See analytics.stock; as of the shop's last sync."""
    return _stock(shop.shop_id, shop.data_version, shop.filters, today)


def card(shop: ShopAccess, today: date) -> None:
    """Stock and how long it lasts, or why it is not known."""
    found = load_stock(shop, today)
    with downloads.head("Stock", _HELP):
        if len(found):
            downloads.menu(shop, Offer("Stock", f"stock_{today.isoformat()}", len(found), partial(stock_table, found)))
    problem = next(
        (stream.problem for stream in sync_status(shop.shop_id).streams if stream.stream == "inventory"), None
    )
    if problem:
        st.warning(formatting.plain(problem), icon=":material/key:")
    if found.empty:
        st.caption("Unknown: no stock of any product was fetched. It needs the scope read_inventory and a sync.")
        return
    locale, counts = formatting.reader_locale(), found["state"].value_counts()
    with st.grid(4, min_column_width=150, gap="small", key="stock_cards"):
        pieces = int(found["available"].clip(lower=0).sum())
        for label, number, text in (
            ("Pieces in stock", pieces, "Available over all products and locations."),
            ("Sold out", int(counts.get("sold_out", 0)), "Products of which no variant is available anywhere."),
            ("Sold-out variants", int(found["sold_out_variants"].sum()), "Variants not available at any location."),
            ("Dead stock", int(counts.get("dead", 0)), f"Available, but not sold in {DEAD_AFTER_DAYS} days."),
        ):
            st.metric(label, formatting.count(number, locale), border=True, height="stretch", help=text)
    picked = st.segmented_control(
        "Show", list(_SHOW), default=next(iter(_SHOW)), required=True, key="stock", bind="query-params", wrap=True,
        label_visibility="collapsed",
    )  # fmt: skip
    state = _SHOW.get(picked, "selling")
    _table(found[found["state"] == state] if state else found)


def stock_table(found: pd.DataFrame) -> Table:
    """A row per product; an infinite cover is the word inf."""
    named = found.rename(columns={"sold": _SOLD, "cover": "days_of_cover"})
    return of_frame("Stock", named, _COLUMNS)


def _table(found: pd.DataFrame) -> None:
    if found.empty:
        st.caption("No product is in this state.")
        return
    shown = pd.DataFrame(
        {
            "Product": [title or "Without a title" for title in found["title"]],
            "Available": found["available"],
            "Sold": found["sold"],
            "Days of cover": found["cover"].round(1),
            "State": [_STATES[state] for state in found["state"]],
            "Sold-out variants": [f"{row.sold_out_variants} of {row.variants}" for row in found.itertuples()],
            "In the shop": [status.capitalize() for status in found["status"]],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="stock_table",
        row_height=_ROW,
        height="content" if len(shown) <= 10 else 12 * _ROW,
        alt="Products with stock, units sold in the last 30 days and days of cover",
        column_config={
            "Product": st.column_config.TextColumn(pinned=True, width=190),
            "Available": st.column_config.NumberColumn(format="localized", width=84, help="Over all locations."),
            "Sold": st.column_config.NumberColumn(
                format="localized", width=70, help=f"In the last {COVER_DAYS} days, less what was returned."
            ),
            "Days of cover": st.column_config.NumberColumn(format="localized", width=106, help=_HELP),
            "State": st.column_config.TextColumn(width=100),
            "Sold-out variants": st.column_config.TextColumn(width=124),
            "In the shop": st.column_config.TextColumn(width=96, help="Its status in Shopify."),
        },
    )


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _stock(shop_id: int, data_version: int, filters: Filters, today: date) -> pd.DataFrame:
    spans = [Period(today - timedelta(days=days - 1), today) for days in (COVER_DAYS, DEAD_AFTER_DAYS)]
    with shop_session(shop_id, filters) as session:
        month, quarter = (frames_products.product_sales(session, span) for span in spans)
        return stock(frames_products.stock_levels(session), month, quarter)


_HELP = (
    f"Days of cover: what is available divided by the net units sold a day in the last {COVER_DAYS} days; infinite "
    "when nothing was sold. As of the last sync, whatever the period above."
)
_STATES = {"sold_out": "Sold out", "selling": "Selling", "dead": "Dead stock"}
_SHOW: dict[str, str | None] = {
    "Runs out first": "selling", "Sold out": "sold_out", "Dead stock": "dead", "All products": None,
}  # fmt: skip
_SOLD = f"net_units_sold_in_{COVER_DAYS}_days"
_COLUMNS = (
    Column("product_id", "id", "Product id"), Column("title", "text", "Product"),
    Column("status", "text", "Status", "Its status in Shopify."), Column("variants", "count"),
    Column("sold_out_variants", "count", "Sold-out variants", "Not available at any location."),
    Column("available", "count", "Available", "Over all locations."),
    Column(_SOLD, "count", f"Net units sold in {COVER_DAYS} days", "Sold less returned."),
    Column("days_of_cover", "number", "Days of cover", _HELP), Column("state", "text"),
)  # fmt: skip
