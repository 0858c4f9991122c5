"""The rows behind a figure on the page of the figure itself, for what the Orders page cannot be narrowed to.

Which figure it is stands in the address, so that a link opens the rows too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import pandas as pd
import streamlit as st

from core.analytics import frames_behind, frames_products
from core.analytics.breakdowns import ADJUSTMENTS, BREAKDOWN
from core.analytics.frames_behind import NOT_LISTED, OF_NO_PRODUCT, Behind, OfBuyers, OfSales
from core.analytics.metrics import METRIC
from core.analytics.period import Period
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import from_minor
from core.reports.table import Column, Row, Table
from core.ui import columns, downloads, drill, formatting, ledger_view, order_view
from core.ui.data import load_span
from core.ui.downloads import Offer
from core.ui.drill import Way
from core.ui.orders_files import DayByDay
from core.ui.session import follow

PER_PAGE = 50
UNLISTED = "Not in the catalogue"
_ROW = 36
_AT_ONCE = 10_000
_OF, _AT, _NOT = "rows_of", "rows_at", "not "
_VALUE = re.compile(f"[=~].*|#[0-9]{{1,18}}|{NOT_LISTED}|{OF_NO_PRODUCT}", re.DOTALL)
_WORDS = {NOT_LISTED: UNLISTED.lower(), OF_NO_PRODUCT: ADJUSTMENTS.lower()}


@dataclass(frozen=True)
class Figure:
    """A figure whose rows are to be shown: what it is called, its rows, and whether they are orders or ledger rows."""

    name: str
    behind: Behind
    of_orders: bool = False


class _MonthByMonth(DayByDay):
    """Rows of months, the last one first: asked of what buyers do, a day costs as much as a month."""

    def __iter__(self) -> Iterator[Row]:
        for bucket in reversed(self.period.buckets("month")):
            for at in count(0, _AT_ONCE):
                with shop_session(self.shop.shop_id, self.shop.filters) as session:
                    rows = list(self.read(session, bucket.period, at))
                yield from rows
                if len(rows) < _AT_ONCE:
                    break


def way(label: str, of: str, at: Sequence[str]) -> Way:
    """A way to rows on the same page: what they are `of`, and which of them, as asked() says both again."""
    return Way(label, {_OF: of, _AT: list(at)}, here=True)


def asked() -> tuple[str, list[str]]:
    """Of what the address asks for rows, and for which; "" for none."""
    return st.query_params.get(_OF, ""), st.query_params.get_all(_AT)


def ways_of_bars(
    dimension: str, bars: Sequence[str], every: Sequence[str], values: Mapping[str, Iterable[str]]
) -> dict[str, Way]:
    """The ways from bars of net sales by a dimension, by label; where there are not `every`, the last is the rest.

    `values` are those behind each label, written for OfSales; a bar without any leads nowhere.
    """
    rest = bars[-1] if len(bars) < len(every) else None
    shown = [label for label in bars if label != rest]
    found = {label: way(label, dimension, sorted(values[label])) for label in shown if label in values}
    if rest is not None:
        besides = sorted({each for label in shown for each in values.get(label, ())})
        found[rest] = way(rest, f"{_NOT}{dimension}", besides)
    return found


def of_sales(shop: ShopAccess, period: Period, dimensions: Sequence[str]) -> None:
    """The rows of a bar of net sales by one of these dimensions, where the address asks for one of the period."""
    of, at = asked()
    if of.removeprefix(_NOT) not in dimensions or not at or not all(map(_VALUE.fullmatch, at)):
        return
    behind = sales_of(period, of, at)
    label = BREAKDOWN[behind.dimension].label.lower()
    named = ", ".join(_named(shop, behind.dimension, each) for each in at)
    card(
        shop, Figure(f"net sales of every other {label}" if behind.besides else f"net sales of {label} {named}", behind)
    )


def sales_of(period: Period, of: str, at: Sequence[str]) -> OfSales:
    """The rows that a way of ways_of_bars() asks for, of a period."""
    return OfSales(period, of.removeprefix(_NOT), tuple(at), besides=of.startswith(_NOT))


def _named(shop: ShopAccess, dimension: str, value: str) -> str:
    """A value that is written for OfSales, in words."""
    if value in _WORDS:
        return _WORDS[value]
    if value.startswith("#"):
        with shop_session(shop.shop_id) as session:
            titles = frames_products.product_title(session, int(value[1:]))["title"]
        return next(iter(titles), None) or value
    return BREAKDOWN[dimension].name(value[1:])


def card(shop: ShopAccess, figure: Figure) -> None:
    """A page of the rows behind a figure, and what all of them come to."""
    title = f"The rows of {figure.name}"
    with st.container(border=True, key="behind_card"):
        total = _load(shop, figure, 1)[1]["orders" if figure.of_orders else "rows"]
        with downloads.head(formatting.plain(title)):
            days = _days(shop, figure.behind)
            downloads.menu(shop, Offer(title, "rows_behind", total, partial(table, shop, figure, days, total), days))
        pages = max(1, -(-total // PER_PAGE))
        number = st.pagination(pages, key=f"behind_page_of_{pages}") if pages > 1 else 1
        found, sums = _load(shop, figure, number)
        st.caption(formatting.plain(_words(sums, len(found), number, shop, of_orders=figure.of_orders)))
        chosen = None
        if len(found):
            chosen = order_view.listed(found, shop) if figure.of_orders else _rows_table(found, shop)
        is_closed = st.button("Close", key="close_behind", icon=":material/close:")
    if chosen is not None:
        follow("orders.py", {"shop": shop.domain, "order": str(chosen)})
    if is_closed:
        drill.closed(_OF, _AT)


def table(shop: ShopAccess, figure: Figure, days: Period, total: int) -> Table:
    """All rows behind a figure as a file has them, the newest day first; `days` are those they may be of."""
    shown = _ORDER if figure.of_orders else _BOOKED

    def read(session: Any, days: Period, at: int) -> Iterator[Row]:
        found = _read(session, figure, _AT_ONCE, at, days)[0]
        if figure.of_orders:
            found = found.assign(processed_at=[moment.isoformat() for moment in found["processed_at"]])
        else:
            found = found.assign(net=found["total_amount"] - found["tax_amount"])
        yield from found[[column.slug for column in shown]].astype(object).itertuples(index=False, name=None)

    return Table("Orders" if figure.of_orders else "Ledger rows", shown, _MonthByMonth(shop, days, read, total))


def _words(sums: dict[str, int], shown: int, number: int, shop: ShopAccess, *, of_orders: bool) -> str:
    if not of_orders:
        return ledger_view.sums_text(sums, shown, number, shop.currency)
    if not shown:
        return "No order counts in this figure."
    locale, first = formatting.reader_locale(), (number - 1) * PER_PAGE + 1
    orders, customers = (formatting.count(sums[name], locale) for name in ("orders", "customers"))
    span = f"{formatting.count(first, locale)} to {formatting.count(first + shown - 1, locale)}"
    return f"Orders {span} of {orders}, the newest first, by {customers} customers. Choose a row to see it in full."


def _rows_table(found: pd.DataFrame, shop: ShopAccess) -> int | None:
    records = found.to_dict("records")
    amounts = {
        "Discount": found["discount"], "Net": found["total_amount"] - found["tax_amount"],
        "Taxes": found["tax_amount"], "Total": found["total_amount"],
    }  # fmt: skip
    shown = pd.DataFrame(
        {
            "Day": found["day"],
            "Order": [row["name"] or str(row["order_id"]) for row in records],
            "Counts as": [METRIC[row["measure"]].label for row in records],
            "Of": [row["title"] or None for row in records],
            "Quantity": found["quantity"],
            **{name: [float(from_minor(int(each), shop.currency)) for each in column]
               for name, column in amounts.items()},
        }
    )  # fmt: skip
    event: Any = st.dataframe(
        shown, hide_index=True, row_height=_ROW, height="content" if len(shown) <= 10 else 12 * _ROW,
        # Of these very rows: a choice must not move on to another order.
        key=f"behind_{records[0]['order_id']}_{records[-1]['order_id']}_{len(records)}",
        placeholder=formatting.DASH, on_select="rerun", selection_mode="single-row",
        alt="Ledger rows, the newest day first, with order, measure and amounts",
        column_config={
            "Day": st.column_config.DateColumn(format="D MMM YYYY", pinned=True, help="On the store's calendar."),
            "Of": st.column_config.TextColumn(width=160),
            "Quantity": columns.count(),
            **dict.fromkeys(amounts, columns.money(shop.currency)),
        },
    )  # fmt: skip
    chosen = event.selection.rows
    return int(records[chosen[0]]["order_id"]) if chosen and chosen[0] < len(records) else None


def _days(shop: ShopAccess, behind: Behind) -> Period:
    """The days that the rows may be of."""
    if not isinstance(behind, OfBuyers):
        return behind.period
    span = load_span(shop)
    return span if span is not None else Period(behind.last, behind.last)


def _load(shop: ShopAccess, figure: Figure, number: int) -> tuple[pd.DataFrame, dict[str, int]]:
    return _page(shop.shop_id, shop.data_version, shop.filters, figure, number)


def _read(
    session: Any, figure: Figure, limit: int, offset: int, within: Period | None = None
) -> tuple[pd.DataFrame, dict[str, int]]:
    if figure.of_orders and isinstance(figure.behind, OfBuyers):
        return frames_behind.orders_behind(session, figure.behind, limit, offset, within)
    return frames_behind.rows_behind(session, figure.behind, limit, offset, within)


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _page(
    shop_id: int, data_version: int, filters: Filters, figure: Figure, number: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    with shop_session(shop_id, filters) as session:
        return _read(session, figure, PER_PAGE, (number - 1) * PER_PAGE)


_ORDER = (
    Column("id", "id", "Shopify's number"), Column("name", "text", "Order"),
    Column("processed_at", "text", "Placed", "In UTC; its day on the store's calendar decides the month."),
    Column("customer_id", "id", "Customer's number", "Empty for guests."), Column("source", "text", "Channel"),
    Column("country", "text", "Country"), Column("units", "count", "Units", "Pieces sold, before returns."),
    Column("net_sales", "money", "Net sales", "From the ledger, returns and later changes included, on whatever day."),
    Column("current_total", "money", "Current total", "Shopify's own, with shipping, taxes and tips, after returns."),
)  # fmt: skip
_BOOKED = (
    Column("day", "date", "Day", "On which the row counts, on the store's calendar."),
    Column("order_id", "id", "Shopify's number"), Column("name", "text", "Order"), Column("reason", "text", "Reason"),
    Column("measure", "text", "Counts as"), Column("title", "text", "Of"), Column("quantity", "count", "Quantity"),
    Column("discount", "money", "Discount", "Taken off before taxes; the net amount is after it."),
    Column("net", "money", "Net", "Total less taxes."), Column("tax_amount", "money", "Taxes", "Part of the total."),
    Column("total_amount", "money", "Total", "After discounts, with taxes."),
)  # fmt: skip
