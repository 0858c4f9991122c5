"""The cohorts page's parts: what is shown of which cohorts, as heat map, lines, table and file."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, cast

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics.cohorts import Cell, Cohorts, cohorts
from core.analytics.frames_customers import cohort_cells
from core.analytics.metrics import Unit
from core.analytics.period import Period
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import exponent, from_minor
from core.reports.table import Column, Row, Table
from core.ui import charts, columns, downloads, drill, formatting, heat_maps
from core.ui.downloads import Offer

_ROW = 36


@dataclass(frozen=True)
class Measure:
    """One of cohorts.MEASURES as the page shows it; `definition` is that of the README."""

    slug: str
    label: str
    unit: Unit
    definition: str


def load_cohorts(shop: ShopAccess, today: date) -> Cohorts:
    """Every cohort of the shop, as of its last sync."""
    return _cohorts(shop.shop_id, shop.data_version, shop.filters, today)


def measure() -> Measure:
    """What to show of the cohorts."""
    by_label = {each.label: each for each in MEASURES}
    label = st.segmented_control(
        "Measure", list(by_label), default=MEASURES[0].label, required=True, key="measure", bind="query-params",
        label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    return by_label.get(label, MEASURES[0])


def how_many() -> int:
    """How many cohorts to show at most."""
    label = st.selectbox("Cohorts", list(HOW_MANY), index=0, key="cohorts", bind="query-params", width=210)
    return HOW_MANY.get(label, 12)


def first_months(found: Cohorts, at_most: int) -> tuple[date, ...]:
    """The cohorts to show: the newest with a whole month behind them."""
    known = [month for month, size, complete in zip(found.months, found.sizes, found.complete, strict=True)
             if size and complete]  # fmt: skip
    return tuple(known[-at_most:])


def cards(found: Cohorts, currency: str) -> None:
    """What all cohorts together came to after a month, three months and a year."""
    locale = formatting.reader_locale()
    with st.grid(4, min_column_width=150, gap="small", key="cards"):
        for name, k, label in CARDS:
            what = MEASURE[name]
            number = found.everyone(name, k)
            help_text = f"{what.definition} All cohorts whose month {k} is over, weighted by their size."
            if number is None:
                help_text += f" Unknown: no cohort has {k + 1} whole months behind it yet."
            st.metric(
                label, shown(number, what, currency, locale, short=True), border=True, height="stretch",
                help=formatting.plain(help_text),
            )  # fmt: skip


def heat_map(found: Cohorts, months: tuple[date, ...], what: Measure, currency: str) -> alt.LayerChart:
    """One row per cohort, one column per month since the first; months that are not over are blank.

    A click says the number of one of ways().
    """
    locale, cells = formatting.reader_locale(), _cells(found, months, what)
    width = int(cells["k"].max()) + 1
    names = {month: row_name(month, found, locale) for month in months}
    # Month 0 of a retention is everybody: it would leave the rest pale.
    rest = cells[cells["k"] > 0] if what.slug == "retention" else cells
    frame = pd.DataFrame(
        {
            "row": [names[month] for month in cells["first_month"]],
            "column": cells["k"].map(str),
            "value": cells["value"],
            "shown": [in_cell(value, what, currency, locale) for value in cells["value"]],
            "at": range(len(cells)),
            "First order": [month_name(month) for month in cells["first_month"]],
            "Customers": [formatting.count(size, locale) for size in cells["customers"]],
            "Months since": cells["k"].map(str),
            what.label: [shown(value, what, currency, locale) for value in cells["value"]],
        }
    )
    top = float(rest["value"].max()) if len(rest) else 1.0
    columns = [str(k) for k in range(width)]
    return heat_maps.heat_map(
        frame, [names[month] for month in months], columns, ("Months since the first order", ""), top
    )


def ways(found: Cohorts, months: tuple[date, ...], what: Measure, shop: ShopAccess) -> list[drill.Way]:
    """From each cell of cohorts to what it counts: orders of the cohort, or the ledger rows of its net sales.

    Retention is of one month; the other measures are of all months up to it.
    """
    opened = []
    for first, k in _cells(found, months, what)[["first_month", "k"]].itertuples(index=False, name=None):
        month, after = months_after(first, k), months_after(first, k + 1)
        days = Period(month if what.slug == "retention" else first, after - timedelta(days=1))
        rows = drill.BOOKED if what.slug == "ltv" else drill.ORDERS
        query = drill.address(shop, days, rows=rows, measure="net_sales", wanted={"first_month": first.isoformat()})
        opened.append(drill.Way(f"{month_name(first)}, month {k}", query))
    return opened


def months_of_everyone(found: Cohorts, months: tuple[date, ...], what: Measure) -> list[int]:
    """The months since the first order for which the line of all cohorts together has a dot."""
    start = 1 if what.slug == "retention" else 0  # everybody ordered in month 0
    known = sorted(set(_cells(found, months, what)["k"]))
    return [k for k in known if k >= start and found.everyone(what.slug, k) is not None]


def _cells(found: Cohorts, months: tuple[date, ...], what: Measure) -> pd.DataFrame:
    cells = found.table(what.slug)
    return cells[cells["first_month"].isin(months)]


def months_after(month: date, k: int) -> date:
    """The first day of the k-th month after a month, which is named by its first day."""
    number = month.year * 12 + month.month - 1 + k
    return date(number // 12, number % 12 + 1, 1)


def heat_map_text(months: tuple[date, ...], what: Measure) -> str:
    """The heat map as one sentence."""
    span = f"{month_name(months[0])} to {month_name(months[-1])}"
    return f"{what.label} by month of the first order, {span}, and months since; the table below has the same numbers."


def lines(found: Cohorts, months: tuple[date, ...], what: Measure, currency: str) -> alt.LayerChart:
    """A thin line for each cohort, and a thick one for all of them together.

    A click on a dot says one of ways(), and beyond them one of months_of_everyone().
    """
    locale, cells = formatting.reader_locale(), _cells(found, months, what)
    every = months_of_everyone(found, months, what)
    cells = cells.assign(at=range(len(cells)))
    beyond = len(cells)
    if what.slug == "retention":
        cells = cells[cells["k"] > 0]  # everybody ordered in month 0
    frame = pd.DataFrame(
        {
            "i": cells["k"],
            "at": cells["at"],
            "value": [_plotted(value, what, currency) for value in cells["value"]],
            "series": [month_name(month) for month in cells["first_month"]],
            what.label: [shown(value, what, currency, locale) for value in cells["value"]],
        }
    )
    numbers = [found.everyone(what.slug, k) or 0.0 for k in every]
    together = pd.DataFrame(
        {
            "i": every,
            "at": range(beyond, beyond + len(every)),
            "value": [_plotted(number, what, currency) for number in numbers],
            "series": EVERYONE,
            what.label: [shown(number, what, currency, locale) for number in numbers],
        }
    )
    tips = [
        alt.Tooltip("series:N", title="First order"), alt.Tooltip("i:Q", title="Months since"),
        alt.Tooltip(f"{what.label}:N"),
    ]  # fmt: skip
    first = 1 if what.slug == "retention" else 0
    last = max(first + 1, int(frame["i"].max()) if len(frame) else 0)
    x = alt.X(
        "i:Q", title="Months since the first order", scale=alt.Scale(domain=[first, last], nice=False, zero=False),
        axis=alt.Axis(tickMinStep=1, grid=False, labelColor=charts.label_colour(), titleColor=charts.label_colour(),
                      format="d", titleFontWeight="normal", values=list(range(first, last + 1)), labelOverlap="greedy"),
    )  # fmt: skip
    y = charts.y_axis(pd.concat([frame["value"], together["value"]]), what.unit, currency, locale)
    names = [EVERYONE, ONE]
    colour = alt.Color(
        "kind:N", sort=names, scale=alt.Scale(domain=names, range=[charts.palette()[0], charts.GREY]),
        legend=charts.legend(symbolType="stroke"),
    )  # fmt: skip
    frame, together = frame.assign(kind=ONE), together.assign(kind=EVERYONE)
    thin = alt.Chart(frame).mark_line(strokeWidth=1.2, opacity=0.55)
    # Dots of both are one layer, the last: only the uppermost mark hears a click.
    dots = alt.Chart(pd.concat([frame, together], ignore_index=True))
    ends = dots.mark_circle(opacity=0.8, cursor="pointer").add_params(charts.click("at"))
    size = alt.condition(alt.datum.kind == EVERYONE, alt.value(70), alt.value(28))
    thick = alt.Chart(together).mark_line(strokeWidth=3)
    return cast(
        alt.LayerChart,
        alt.layer(
            thin.encode(x, y, colour, detail="series:N"),
            thick.encode(x, y, colour),
            ends.encode(x, y, colour, size=size, tooltip=tips),
        ).properties(height=290),
    )


def lines_text(found: Cohorts, what: Measure, currency: str) -> str:
    """The lines as one sentence."""
    locale = formatting.reader_locale()
    known = [k for k in range(1, found.width) if found.everyone(what.slug, k) is not None]
    if not known:
        return f"{what.label} by months since the first order."
    ends = [
        f"{shown(found.everyone(what.slug, k), what, currency, locale)} in month {k}" for k in {known[0], known[-1]}
    ]
    return f"{what.label} of all cohorts by months since the first order: {', '.join(ends)}."


def column(what: Measure, currency: str) -> Any:
    """A column of in_table()'s numbers."""
    if what.unit == "percent":
        return columns.percent(width=70)
    return columns.money(currency, width=70) if what.unit == "money" else columns.number(2, width=70)


def table(found: Cohorts, months: tuple[date, ...], what: Measure, currency: str) -> None:
    """The cells as a table, sizes in front; what is not over yet is a dash."""
    read = {"retention": found.retention, "ltv": found.ltv, "orders_per_customer": found.orders_per_customer}[what.slug]
    width = max(found.complete[found.months.index(month)] for month in months)
    rows = [
        {"First order": month, "Customers": found.sizes[found.months.index(month)]}
        | {str(k): in_table(read(month, k), what, currency) for k in range(width)}
        for month in months
    ]
    cells = column(what, currency)
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="cells",
        row_height=_ROW,
        height="content" if len(rows) <= 12 else 13 * _ROW,
        placeholder=formatting.DASH,
        alt=f"{what.label} by month of the first order and months since",
        column_config={
            "First order": st.column_config.DateColumn(format="MMM YYYY", pinned=True, width=90),
            "Customers": st.column_config.NumberColumn(format="localized", width=80, help=_SIZES),
            **dict.fromkeys(map(str, range(width)), cells),
        },
    )


def download(found: Cohorts, shop: ShopAccess, today: date, kind: str, chart: Any = None) -> None:
    """Every cohort with every measure, not only what is shown, as files named so, for those who may have them."""
    made = partial(cohorts_table, found)
    downloads.menu(shop, Offer("Cohorts", f"{kind}_{today.isoformat()}", sum(found.complete), made, chart=chart))


def cohorts_table(found: Cohorts) -> Table:
    """A row per cohort and month that is over, with exact sums: what a measure is divided from."""
    rows: list[Row] = []
    for i, month in enumerate(found.months):
        for k in range(found.complete[i]):
            sums = (int(each[i, k]) for each in (found.customers, found.orders, found.net_sales))
            ltv = found.ltv(month, k)
            each = (found.retention(month, k), None if ltv is None else round(ltv), found.orders_per_customer(month, k))
            rows.append([month, k, found.sizes[i], *sums, *each])
    return Table("Cohorts", _COLUMNS, rows)


def still_running(found: Cohorts, today: date) -> str:
    """Who is not in the picture yet, as a sentence; empty if nobody."""
    month = today.replace(day=1)
    size = found.sizes[found.months.index(month)] if month in found.months else 0
    if not size:
        return ""
    count = formatting.count(size, formatting.reader_locale())
    return f"{month_name(month)} is not over: its {count} first-time customers so far follow next month."


def row_name(month: date, found: Cohorts, locale: str) -> str:
    """A cohort with its size: "Nov 2025 (123)"."""
    return f"{month_name(month)} ({formatting.count(found.sizes[found.months.index(month)], locale)})"


def month_name(month: date) -> str:
    """A month as "Nov 2026"."""
    return formatting.day(month, year=True).split(" ", 1)[1]


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _cohorts(shop_id: int, data_version: int, filters: Filters, today: date) -> Cohorts:
    with shop_session(shop_id, filters) as session:
        return cohorts(cohort_cells(session), today)


def shown(number: Cell, what: Measure, currency: str, locale: str, *, short: bool = False) -> str:
    """A cell in full, `short` for a card; a dash where it is blank."""
    if number is None:
        return formatting.DASH
    if what.unit == "money":
        return (formatting.card_money if short else formatting.money)(round(number), currency, locale)
    return formatting.percent(number, locale) if what.unit == "percent" else formatting.decimal(number, locale)


def in_cell(number: float, what: Measure, currency: str, locale: str) -> str:
    """A cell as short as a heat map needs it."""
    if what.unit == "count":
        return formatting.decimal(number, locale)
    return formatting.axis_value(_whole(number, what, currency), what.unit, currency, locale)


def _whole(number: float, what: Measure, currency: str) -> float:
    """Money without its decimals: a cell has no room for them."""
    one = 10 ** exponent(currency)
    return round(number / one) * one if what.unit == "money" and abs(number) >= 10 * one else number


def _plotted(number: float, what: Measure, currency: str) -> float:
    return float(from_minor(round(number), currency)) if what.unit == "money" else number


def in_table(number: Cell, what: Measure, currency: str) -> float | None:
    """A cell as a number of a table, money in whole units, orders per customer with two decimals."""
    if number is None or what.unit == "percent":
        return columns.share(number)
    return round(number, 2) if what.unit == "count" else _plotted(number, what, currency)


EVERYONE, ONE = "All cohorts together", "One cohort each"
_SIZES = "Known customers whose first order ever was in this month."
HOW_MANY = {"Last 12 cohorts": 12, "Last 24 cohorts": 24, "All cohorts": 10_000}
MEASURES = (
    Measure(
        "retention", "Retention", "percent",
        "Customers of a cohort with an order in that month, divided by all customers of the cohort.",
    ),
    Measure(
        "ltv", "Net sales per customer", "money",
        "Net sales of a cohort from its first month up to the end of that month, divided by all its customers.",
    ),
    Measure(
        "orders_per_customer", "Orders per customer", "count",
        "Orders of a cohort from its first month up to the end of that month, divided by all its customers.",
    ),
)  # fmt: skip
MEASURE = {each.slug: each for each in MEASURES}
CARDS = (
    ("retention", 1, "Back in month 1"),
    ("retention", 3, "Back in month 3"),
    ("ltv", 0, "Spent by month 0"),
    ("ltv", 12, "Spent by month 12"),
)
_COLUMNS = (
    Column("first_month", "date", "Month of the first order"), Column("months_since", "count"),
    Column("customers_of_cohort", "count", "Customers of the cohort", _SIZES),
    Column("customers_of_month", "count", "Customers of the month", "Those of them with an order in that month."),
    Column("cumulative_orders", "count"), Column("cumulative_net_sales", "money"),
    Column("retention", "percent", MEASURES[0].label, MEASURES[0].definition),
    Column("net_sales_per_customer", "money", MEASURES[1].label, MEASURES[1].definition),
    Column("orders_per_customer", "number", MEASURES[2].label, MEASURES[2].definition),
)  # fmt: skip
