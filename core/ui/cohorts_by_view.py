"""Cohorts by what the first order was: its product, country, discount code or channel, months since then across."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.analytics.breakdowns import BREAKDOWN
from core.analytics.cohorts import Cohorts, cohorts
from core.analytics.frames_customers import cohort_cells_by
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.reports.table import Column, Row, Table
from core.ui import cohorts_rows, cohorts_view, downloads, drill, formatting, heat_maps
from core.ui.cohorts_view import Measure
from core.ui.downloads import Offer
from core.ui.session import held

_ROW = 36
_MOST = 12


@dataclass(frozen=True)
class OfValue:
    """One value of the first orders, as it is stored and named, and the cohorts of its buyers by month."""

    value: str
    name: str
    found: Cohorts

    @property
    def buyers(self) -> int:
        """How many buyers have a whole month behind them."""
        return sum(size for size, over in zip(self.found.sizes, self.found.complete, strict=True) if over)


def fold() -> DeltaGenerator:
    """The button that how_many() and grouped_by() unfold from; it says what is chosen in them."""
    many, by = held("cohorts"), held("cohorts_by")
    said = [many if many in cohorts_view.HOW_MANY else next(iter(cohorts_view.HOW_MANY))]
    said += [f"by {by[:1].lower()}{by[1:]}"] if by in _BY else []
    return st.popover(", ".join(said), icon=":material/group:", key="cohorts_fold", wrap=False)


def grouped_by() -> str | None:
    """What cohorts are grouped by; None for the month of the first order alone."""
    label = st.selectbox("By", [_MONTH, *_BY], index=0, key="cohorts_by", bind="query-params", width=210)
    return _BY.get(label)


def load_values(shop: ShopAccess, by: str, since: date, today: date) -> list[OfValue]:
    """The most frequent values of the first orders since a month, those with most buyers first."""
    return _values(shop.shop_id, shop.data_version, shop.filters, by, since, today)


def card(shop: ShopAccess, by: str, months: tuple[date, ...], what: Measure, today: date) -> None:
    """The heat map and the table of cohorts by value, of first orders in the months shown; a cell opens its rows."""
    found = [each for each in load_values(shop, by, months[0], today) if each.buyers]
    label = next(label for label, slug in _BY.items() if slug == by)
    with st.container(border=True, key="by_value_card"):
        with downloads.head(f"{what.label} by {label[:1].lower()}{label[1:]}", what.definition):
            if found:
                drawn = heat_map(found, what, shop.currency)
                offer = Offer(f"Cohorts by {label.lower()}", f"cohorts_by_{by}", sum(_width(each) for each in found),
                              partial(values_table, found, label), chart=drawn)  # fmt: skip
                downloads.menu(shop, offer)
        if not found:
            st.caption("Unknown: no first order of these months has a whole month behind it.")
            return
        text = f"{what.label} by {label.lower()} and months since; the table below has the same numbers."
        ways = [
            cohorts_rows.way(f"{name}, month {k}", by, what, k, each.value) for name, each, k in _cells(found, what)
        ]
        drill.chart(drawn, text, f"by_value_{by}_{what.slug}_{months[0]}_{today}", ways)
        each = " A customer counts in each product of the first order." if by == "product" else ""
        st.caption(
            f"First orders since {cohorts_view.month_name(months[0])}, the {_MOST} most frequent at most. A cell takes "
            f"in the customers whose month is over, so columns to the right have fewer of them.{each}"
        )
        _table(found, what, shop.currency, label)
    cohorts_rows.asked_for(shop, by, today, months[0])


def heat_map(found: list[OfValue], what: Measure, currency: str) -> alt.LayerChart:
    """One row per value, one column per month since the first order."""
    locale, names, rows = formatting.reader_locale(), _names(found), []
    for name, each, k in _cells(found, what):
        number = each.found.everyone(what.slug, k) or 0.0
        shown = cohorts_view.shown(number, what, currency, locale)
        rows.append((name, str(k), number, cohorts_view.in_cell(number, what, currency, locale), str(k), shown))
    frame = pd.DataFrame(rows, columns=["row", "column", "value", "shown", "Months since", what.label])
    frame["at"] = range(len(frame))
    rest = frame[frame["column"] != "0"] if what.slug == "retention" else frame
    top = float(rest["value"].max()) if len(rest) else 1.0
    columns = [str(k) for k in range(max(map(_width, found)))]
    return heat_maps.heat_map(frame, names, columns, ("Months since the first order", ""), top)


def _cells(found: list[OfValue], what: Measure) -> list[tuple[str, OfValue, int]]:
    """The cells that are known, row after row: the row's name, its value, months since the first order."""
    return [
        (name, each, k)
        for name, each in zip(_names(found), found, strict=True)
        for k in range(_width(each))
        if each.found.everyone(what.slug, k) is not None
    ]


def values_table(found: list[OfValue], label: str) -> Table:
    """A row per value and month since, with every measure."""
    rows: list[Row] = []
    for each in found:
        for k in range(_width(each)):
            numbers = [each.found.everyone(slug, k) for slug in ("retention", "ltv", "orders_per_customer")]
            known = sum(size for size, over in zip(each.found.sizes, each.found.complete, strict=True) if over > k)
            ltv = None if numbers[1] is None else round(numbers[1])
            rows.append([each.name, k, known, numbers[0], ltv, numbers[2]])
    measures = (
        Column(slug, unit, measure.label, measure.definition)
        for (slug, unit), measure in zip(_UNITS, cohorts_view.MEASURES, strict=True)
    )
    columns = (Column("value", "text", label), Column("months_since", "count"))
    size = Column("customers", "count", "Customers", _KNOWN)
    return Table(f"Cohorts by {label.lower()}", (*columns, size, *measures), rows)


def _table(found: list[OfValue], what: Measure, currency: str, label: str) -> None:
    width = max(map(_width, found))
    rows: list[dict[str, Any]] = [
        {label: each.name, "Customers": each.buyers}
        | {str(k): cohorts_view.in_table(each.found.everyone(what.slug, k), what, currency) for k in range(width)}
        for each in found
    ]
    cells = cohorts_view.column(what, currency)
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, key="values", row_height=_ROW, height="content",
        placeholder=formatting.DASH, alt=f"{what.label} by {label.lower()} and months since the first order",
        column_config={
            label: st.column_config.TextColumn(pinned=True, width=170),
            "Customers": st.column_config.NumberColumn(format="localized", width=80, help=_KNOWN),
            **dict.fromkeys(map(str, range(width)), cells),
        },
    )  # fmt: skip


def _width(each: OfValue) -> int:
    return each.found.width


def _names(found: list[OfValue]) -> list[str]:
    """Names with sizes; two of one name are told apart by a number."""
    names: list[str] = []
    locale = formatting.reader_locale()
    for each in found:
        name = f"{each.name[:32]} ({formatting.count(each.buyers, locale)})"
        names.append(name if name not in names else f"{name} {names.count(name) + 1}")
    return names


@st.cache_data(ttl="1h", max_entries=64, show_spinner="Following the customers")
def _values(shop_id: int, data_version: int, filters: Filters, by: str, since: date, today: date) -> list[OfValue]:
    with shop_session(shop_id, filters) as session:
        cells = cohort_cells_by(session, by, since, _MOST)
    found = []
    for value in dict.fromkeys(cells["value"]):
        own = cells[cells["value"] == value]
        name = str(own["name"].iloc[0])
        name = name if by == "product" else BREAKDOWN[by].name(name)
        found.append(OfValue(str(value), name or "Without a title", cohorts(own, today)))
    return found


_MONTH = "By month of first order"
_BY = {
    "First product": "product", "First country": "country", "First discount code": "discount_code",
    "First channel": "channel",
}  # fmt: skip
_KNOWN = "Known customers whose first order was like this and whose month is over."
_UNITS: Any = (("retention", "percent"), ("net_sales_per_customer", "money"), ("orders_per_customer", "number"))
