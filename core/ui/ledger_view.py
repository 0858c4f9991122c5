"""The ledger rows behind the amounts of a period: a page of them, and what all of them come to."""

from collections.abc import Mapping
from datetime import date

import pandas as pd
import streamlit as st

from core.analytics import frames_orders
from core.analytics.metrics import METRIC
from core.analytics.period import Period
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.ledger import LEDGER_MEASURES
from core.db.money import from_minor
from core.ui import columns, formatting, orders_files, wanted_view
from core.ui.wanted_view import Wanted

PER_PAGE = 50
_ROW = 36


def load_rows(
    shop: ShopAccess, period: Period, slug: str, wanted: Wanted, number: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    """A page of ledger rows, from 1, and the sums of all: see frames_orders.booked_page()."""
    return _rows(shop.shop_id, shop.data_version, shop.filters, period.start, period.end, slug, wanted, number)


def rows(shop: ShopAccess, period: Period) -> int | None:
    """A page of what was booked in a period; the id of the order whose row was chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="row_filters"):
        label = st.selectbox("Counts as", [*COUNTS_AS], index=0, key="counts_as", bind="query-params", width=190)
        wanted = wanted_view.of_rows(shop)
    slug = COUNTS_AS.get(label, "total_sales")
    sums = load_rows(shop, period, slug, wanted, 1)[1]
    pages = max(1, -(-sums["rows"] // PER_PAGE))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        number = st.pagination(pages, key=f"rows_of_{pages}", bind="query-params") if pages > 1 else 1
        if sums["rows"]:
            named = {"Counts as": label, **wanted.named()}
            orders_files.rows_menu(shop, period, slug, wanted.values, named, sums["rows"])
    found = load_rows(shop, period, slug, wanted, number)[0]
    told = f"{sums_text(sums, len(found), number, shop.currency)} {wanted_view.in_words(wanted, 'booked')}"
    st.caption(formatting.plain(told))
    return None if found.empty else _table(found, shop)


def sums_text(sums: Mapping[str, int], shown: int, number: int, currency: str) -> str:
    """What the rows come to, in sentences."""
    locale = formatting.reader_locale()
    if not sums["rows"]:
        return "No row of the ledger counts in this period."
    net = sums["total_amount"] - sums["tax_amount"]
    amounts = {
        "net": net, "taxes": sums["tax_amount"], "in all": sums["total_amount"], "discounts": -sums["discount"],
    }  # fmt: skip
    told = ", ".join(f"{name} {formatting.money(amount, currency, locale)}" for name, amount in amounts.items())
    first = (number - 1) * PER_PAGE + 1
    span = f"{formatting.count(first, locale)} to {formatting.count(first + shown - 1, locale)}"
    return (
        f"Rows {span} of {formatting.count(sums['rows'], locale)}, the newest day first. Together: {told}. Net amounts "
        "are after discounts. Choose a row to see its order in full."
    )


def _table(found: pd.DataFrame, shop: ShopAccess) -> int | None:
    records = found.to_dict("records")
    shown = pd.DataFrame(
        {
            "Day": [row["day"] for row in records],
            "Order": [row["name"] or str(row["order_id"]) for row in records],
            "Counts as": [_name(row["measure"]) for row in records],
            "Of": [row["title"] or None for row in records],
            "Quantity": found["quantity"],
            "Discount": [_major(row["discount"], shop) for row in records],
            "Net": [_major(row["total_amount"] - row["tax_amount"], shop) for row in records],
            "Taxes": [_major(row["tax_amount"], shop) for row in records],
            "Total": [_major(row["total_amount"], shop) for row in records],
            "Reason": [row["reason"] for row in records],
        }
    )
    money = columns.money(shop.currency)
    event = st.dataframe(
        shown,
        hide_index=True,
        # Of these very rows: a choice must not move on to another order.
        key=f"rows_{records[0]['order_id']}_{records[0]['day']}_{records[-1]['order_id']}_{len(records)}",
        row_height=_ROW,
        height="content" if len(shown) <= 10 else 12 * _ROW,
        placeholder=formatting.DASH,
        on_select="rerun",
        selection_mode="single-row",
        alt="Ledger rows, the newest day first, with order, measure and amounts",
        column_config={
            "Day": st.column_config.DateColumn(format="D MMM YYYY", pinned=True, help="On the store's calendar."),
            "Order": st.column_config.TextColumn(width=90),
            "Of": st.column_config.TextColumn(width=160),
            "Quantity": st.column_config.NumberColumn(format="localized"),
            **dict.fromkeys(("Discount", "Net", "Taxes", "Total"), money),
        },
    )
    chosen = event.selection.rows
    return int(records[chosen[0]]["order_id"]) if chosen and chosen[0] < len(records) else None


def _name(slug: str) -> str:
    return METRIC[slug].label


def _major(minor: int, shop: ShopAccess) -> float:
    return float(from_minor(int(minor), shop.currency))


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _rows(
    shop_id: int, data_version: int, filters: Filters, start: date, end: date, slug: str, wanted: Wanted, number: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    with shop_session(shop_id, filters) as session:
        at = (number - 1) * PER_PAGE
        return frames_orders.booked_page(session, Period(start, end), slug, PER_PAGE, at, wanted.values)


# Discounts and taxes are parts of rows that count as something else.
_MEASURES = ("total_sales", "net_sales", *(slug for slug in LEDGER_MEASURES if slug not in ("discounts", "taxes")))
COUNTS_AS = {**{METRIC[slug].label: slug for slug in _MEASURES}, "Everything": ""}
