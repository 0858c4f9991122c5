"""What the Sales page shows: its choices, its cached figures, its tables and their files."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.analytics import frames_sales
from core.analytics.breakdowns import BREAKDOWN, BREAKDOWNS, Breakdown, broken_down
from core.analytics.metrics import METRIC, METRICS, Value, change
from core.analytics.period import GRAINS, Grain, Period, automatic_grain, shop_today
from core.analytics.report import Report
from core.analytics.sales import Hours, sales_hours, sales_report
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import from_minor
from core.reports import overview, sales
from core.reports.sales import DAYS
from core.reports.table import Column, Table
from core.ui import charts, columns, downloads, drill, formatting, sales_charts, tables
from core.ui.downloads import Offer

SalesGrain = Literal["hour", "day", "week", "month"]

_ROW = 36
_MOST_DAYS_BY_HOUR = 2
_AUTOMATIC = "Automatic"


def grain(period: Period) -> SalesGrain:
    """Day, week or month, and hour for one or two days; automatic goes by the length of the period."""
    short = period.days <= _MOST_DAYS_BY_HOUR
    fine: tuple[SalesGrain, ...] = ("hour",) if short else ()
    grains: dict[str, SalesGrain] = {each.capitalize(): each for each in (*fine, *GRAINS)}
    label = st.segmented_control(
        "By", [_AUTOMATIC, *grains], default=_AUTOMATIC, required=True, key="by", bind="query-params", wrap=True
    )
    return grains.get(label) or ("hour" if short else automatic_grain(period))


def measure() -> str:
    """The slug of the metric that is drawn over time."""
    return _metric("Measure", _MEASURES, "measure")


def heat_measure() -> str:
    """The slug of the metric in the heat map."""
    return _metric("In the cells", ("orders", "net_sales"), "heat")


def breakdown() -> Breakdown:
    """What sales are broken down by."""
    labels = {each.label: each for each in BREAKDOWNS}
    label = st.selectbox(
        "Broken down by", list(labels), index=0, key="split", bind="query-params", label_visibility="collapsed",
        width=250,
    )  # fmt: skip
    return labels.get(label, BREAKDOWNS[0])


def load_sales(shop: ShopAccess, period: Period, grain: SalesGrain) -> Report:
    """The report of a period without customers; by day where hours are asked for."""
    return _sales(
        shop.shop_id, shop.data_version, shop.filters, period.start, period.end, "day" if grain == "hour" else grain
    )


def load_hours(shop: ShopAccess, period: Period) -> Hours:
    """The hours of a period."""
    return _hours(shop.shop_id, shop.data_version, shop.filters, period.start, period.end)


def load_weekday_hours(shop: ShopAccess, period: Period) -> pd.DataFrame:
    """See frames_sales.weekday_hours()."""
    return _weekday_hours(shop.shop_id, shop.data_version, shop.filters, period.start, period.end)


def load_breakdown(shop: ShopAccess, of: Breakdown, period: Period, against: Period | None) -> pd.DataFrame:
    """See breakdowns.broken_down()."""
    compared = (against.start, against.end) if against else (None, None)
    return _breakdown(shop.shop_id, shop.data_version, shop.filters, of.slug, period.start, period.end, *compared)


def over_time(
    shop: ShopAccess, report: Report, before: Report | None, grain: SalesGrain, today: date, comparison: str
) -> None:
    """The card with one metric over time."""
    with _card("trend_card"):
        with _line():
            st.subheader(f"Over time, by {grain}", anchor=False, help=charts.LIGHTER, width="content")
            with st.container(horizontal=True, width="content", vertical_alignment="center"):
                slug = measure()
                menu = st.container(width="content")
        title = f"{METRIC[slug].label} by {grain}"
        if grain != "hour":
            drawn = charts.trend(report, before, slug, shop.currency, today, comparison)
            text = charts.trend_text(report, before, slug, shop.currency, today, comparison)
            with menu:
                downloads.trend(shop, report, before, (slug,), title, drawn)
        else:
            hours = load_hours(shop, report.period)
            there = load_hours(shop, before.period) if before else None
            at = sales_charts.of_hours(hours, _now(shop))
            drawn = sales_charts.by_hour(hours, there, slug, shop.currency, at, comparison)
            text = sales_charts.by_hour_text(report, slug, shop.currency)
            with menu:
                made = partial(sales.hours, hours, report.totals, (slug,))
                downloads.menu(shop, Offer(title, f"{slug}_by_hour", len(hours.by), made, report.period, chart=drawn))
        ways = drill.of_measures(shop, _parts(report, grain), (slug,), "{part}")
        if slug == "orders":
            ways = [drill.Way(name, drill.address(shop, days)) for name, days in _parts(report, grain)]
        drill.chart(drawn, text, f"trend_{grain}_{slug}_{report.period.start}_{report.period.end}", ways)


def _parts(report: Report, grain: SalesGrain) -> list[tuple[str, Period]]:
    """What the buckets of a chart are called, with their days; an hour leads to its day."""
    buckets = report.period.buckets(report.grain)
    names = [(charts.bucket_name(bucket, report.grain), bucket.period) for bucket in buckets]
    return [(f"{name}, {hour:02}:00", days) for name, days in names for hour in range(24)] if grain == "hour" else names


def from_gross_to_total(report: Report, shop: ShopAccess) -> None:
    """The waterfall."""
    with st.container(border=True, height="stretch", key="waterfall_card"):
        drawn, title = sales_charts.waterfall(report, shop.currency), "From gross to total sales"
        rows = [(label, amount) for label, *_, amount in sales_charts.steps(report)]
        with downloads.head(title):
            made = partial(Table, title, (Column("step", "text"), Column("amount", "money")), rows)
            downloads.menu(shop, Offer(title, "gross_to_total", len(rows), made, report.period, chart=drawn))
        text, slugs = sales_charts.waterfall_text(report, shop.currency), sales_charts.step_slugs(report)
        ways = drill.of_measures(shop, [("", report.period)], slugs, "{measure}")
        drill.chart(drawn, text, f"waterfall_{report.period.start}_{report.period.end}", ways)


def taken_off(report: Report, shop: ShopAccess, grain: SalesGrain, today: date) -> None:
    """Discounts and reversals over time."""
    with st.container(border=True, height="stretch", key="taken_off_card"):
        title, slugs = f"Discounts and reversals by {grain}", sales_charts.TAKEN_OFF
        head, made = downloads.head(title, charts.LIGHTER), partial(overview.buckets, report, slugs)
        if grain == "hour":
            hours = load_hours(shop, report.period)
            by, at = hours.by, sales_charts.of_hours(hours, _now(shop))
            made = partial(sales.hours, hours, report.totals, slugs)
        else:
            by, at = report.by, sales_charts.of_buckets(report, today)
        drawn = sales_charts.taken_off(by, shop.currency, at)
        with head:
            downloads.menu(shop, Offer(title, "taken_off", len(by), made, report.period, chart=drawn))
        ways = drill.of_measures(shop, _parts(report, grain), slugs)
        text = sales_charts.taken_off_text(report, shop.currency, grain)
        drill.chart(drawn, text, f"taken_off_{grain}_{report.period.start}_{report.period.end}", ways)


def by_weekday_and_hour(shop: ShopAccess, period: Period) -> None:
    """The heat map, on the shop's clock."""
    with _card("heat_card"):
        with _line():
            st.subheader("By weekday and hour", anchor=False, width="content")
            slug = heat_measure()
        frame = load_weekday_hours(shop, period)
        text = sales_charts.weekday_hours_text(frame, slug, shop.currency)
        drawn = sales_charts.weekday_hours(frame, slug, shop.currency)
        ways = weekday_hour_ways(shop, period, frame, slug)
        drill.chart(drawn, text, f"heat_map_{slug}_{period.start}_{period.end}", ways)
        with _line():
            city = formatting.city(shop.time_zone)
            st.caption(f"{formatting.plain(text)} Hours are those of the store's clock ({city}).", width="content")
            kind, made = "sales_by_weekday_and_hour", partial(sales.weekday_hours, frame)
            downloads.menu(shop, Offer("By weekday and hour", kind, len(frame), made, period, chart=drawn))


def weekday_hour_ways(shop: ShopAccess, period: Period, frame: pd.DataFrame, slug: str) -> list[drill.Way]:
    """From each hour of the week to its orders, or to the ledger rows that its net sales are summed from."""
    rows = drill.ORDERS if slug == "orders" else drill.BOOKED
    return [
        drill.Way(
            f"{DAYS[day]}, {hour:02}:00 to {hour:02}:59",
            drill.address(shop, period, rows=rows, measure=slug, wanted={"weekday": str(day), "hour": str(hour)}),
        )
        for day, hour in zip(frame["weekday"], frame["hour"], strict=True)
    ]


def broken_down_table(shop: ShopAccess, period: Period, against: Period | None) -> None:
    """The breakdown with its picker, its table and what it adds up to."""
    with _card("breakdown_card"):
        with _line():
            st.subheader(f"Broken down, amounts in {shop.currency}", anchor=False, width="content")
            of = breakdown()
        frame = load_breakdown(shop, of, period, against)
        rows = [*frame.to_dict("records"), breakdown_total(frame, of)]
        chosen = _breakdown_table(rows, of, shop, compared=against is not None)
        adds_up = "net sales: shipping, taxes and fees belong to no product" if of.of_products else "total sales"
        with _line():
            how = " Choose a row to see its orders." if of.opens_orders else ""
            st.caption(f"{of.definition} The rows add up to {adds_up}.{how}", width="content")
            made, title = partial(sales.breakdown, rows, of), f"Sales by {of.label.lower()}"
            downloads.menu(shop, Offer(title, f"sales_by_{of.slug}", len(frame), made, period, against))
        if chosen is not None:
            _to_orders_of_value(shop, period, of, chosen)


def breakdown_total(frame: pd.DataFrame, of: Breakdown) -> dict[str, Any]:
    """The row that all others add up to."""
    before = None if frame["before"].isna().any() else int(frame["before"].sum())
    net_sales = int(frame["net_sales"].sum())
    return {
        "name": "Total", **{slug: int(frame[slug].sum()) for slug in of.columns},
        "share": 1.0 if net_sales > 0 else None, "before": before, "change": change(net_sales, before),
    }  # fmt: skip


def table_over_time(report: Report, shop: ShopAccess, grain: SalesGrain) -> None:
    """Every measure by bucket, with the total that the cards show."""
    with _card("table_card"):
        with _line():
            st.subheader(f"By {grain}, amounts in {shop.currency}", anchor=False, width="content")
            rows = tables.bucket_rows(report)
            made = partial(overview.buckets, report, SLUGS)
            if grain == "hour":
                hours = load_hours(shop, report.period)
                rows = [*hour_rows(hours), rows[-1]]
                made = partial(sales.hours, hours, report.totals, SLUGS)
            offer = Offer(f"Sales by {grain}", f"sales_by_{grain}", len(rows) - 1, made, report.period)
            downloads.menu(shop, offer)
        # A choice belongs to the rows of one period.
        key = f"by_{grain}_{report.period.start}_{report.period.end}"
        chosen = tables.measures(rows, grain, SLUGS, shop, key, choose=True)
        if chosen is None or chosen >= len(rows):
            st.caption("Choose a row to see its orders.")
        else:
            part = days_of_row(report, grain, chosen, len(rows))
            label = f"Show the orders placed {formatting.period(part, shop_today(shop.time_zone))}"
            drill.link(shop, part, label, key="to_orders_of_bucket")


def days_of_row(report: Report, grain: SalesGrain, row: int, rows: int) -> Period:
    """The days that a row of the table by bucket stands for; the last one is the whole period."""
    if row == rows - 1:
        return report.period
    return report.period.buckets(report.grain)[row // 24 if grain == "hour" else row].period


def hour_rows(hours: Hours) -> list[tuple[str, Mapping[str, Value]]]:
    """Each hour's name, sortable as text, with its metrics."""
    return [(f"{row['day'].isoformat()} {row['hour']:02}:00", row) for row in hours.by.to_dict("records")]


def _to_orders_of_value(shop: ShopAccess, period: Period, of: Breakdown, row: dict[str, Any]) -> None:
    if "value" not in row:
        drill.link(shop, period, "Show all orders of the period", key="to_orders_of_value")
    elif row["orders"]:
        label = f"Show the orders of {of.label.lower()} {row['name']}"
        drill.link(shop, period, label, of.slug, row["value"], key="to_orders_of_value")
    else:
        st.caption("No such order was placed in this period: its amounts are of earlier orders.")


def _breakdown_table(
    rows: list[dict[str, Any]], of: Breakdown, shop: ShopAccess, *, compared: bool
) -> dict[str, Any] | None:
    """The table; the row that was chosen, where orders can be shown for it."""
    shown = [
        {
            of.label: row["name"],
            **{METRIC[slug].label: _shown(row[slug], slug, shop) for slug in of.columns},
            "Share of net sales": columns.share(row["share"]),
            **({"Change": columns.share(row["change"])} if compared else {}),
        }
        for row in rows
    ]
    event: Any = st.dataframe(
        pd.DataFrame(shown),
        hide_index=True,
        key=f"breakdown_{of.slug}_{len(rows)}",
        row_height=_ROW,
        height="content" if len(shown) <= 12 else 13 * _ROW,
        placeholder=formatting.DASH,
        alt=f"Sales by {of.label.lower()}, highest net sales first, with totals",
        on_select="rerun" if of.opens_orders else "ignore",
        selection_mode="single-row",
        column_config={
            of.label: st.column_config.TextColumn(width=150, pinned=True),
            **{METRIC[slug].label: tables.column(slug, shop.currency) for slug in of.columns},
            "Share of net sales": columns.percent_bar(
                width=112,
                meaning="Unknown where net sales are not above zero. Returns can push it below zero or above 100 %.",
            ),
            "Change": columns.percent(
                meaning="Of net sales, against the compared period; unknown where there were none."
            ),
        },
    )
    chosen = event.selection.rows if of.opens_orders else []
    return rows[chosen[0]] if chosen and chosen[0] < len(rows) else None


def _metric(label: str, slugs: tuple[str, ...], key: str) -> str:
    labels = {METRIC[slug].label: slug for slug in slugs}
    picked = st.segmented_control(
        label, list(labels), default=next(iter(labels)), required=True, key=key, bind="query-params",
        label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    return labels.get(picked, slugs[0])


def _card(key: str) -> DeltaGenerator:
    return st.container(border=True, key=key)


def _line() -> DeltaGenerator:
    """A line with something at each end."""
    return st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")


def _now(shop: ShopAccess) -> datetime:
    return datetime.now(ZoneInfo(shop.time_zone))


def _shown(number: int, slug: str, shop: ShopAccess) -> float:
    return float(from_minor(number, shop.currency)) if METRIC[slug].unit == "money" else number


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _sales(shop_id: int, data_version: int, filters: Filters, start: date, end: date, grain: Grain) -> Report:
    with shop_session(shop_id, filters) as session:
        return sales_report(session, Period(start, end), grain)


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _hours(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> Hours:
    with shop_session(shop_id, filters) as session:
        return sales_hours(session, Period(start, end))


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _weekday_hours(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> pd.DataFrame:
    with shop_session(shop_id, filters) as session:
        return frames_sales.weekday_hours(session, Period(start, end))


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _breakdown(
    shop_id: int,
    data_version: int,
    filters: Filters,
    slug: str,
    start: date,
    end: date,
    before: date | None,
    until: date | None,
) -> pd.DataFrame:
    against = Period(before, until) if before and until else None
    with shop_session(shop_id, filters) as session:
        return broken_down(session, BREAKDOWN[slug], Period(start, end), against)


_MEASURES = ("total_sales", "net_sales", "gross_sales", "orders")
CARDS = (
    "total_sales", "gross_sales", "discounts", "sales_reversals", "net_sales", "orders", "average_order_value",
    "units_sold",
)  # fmt: skip
# Customers do not add up over buckets: they are on the Date filter and Customers pages.
SLUGS = tuple(metric.slug for metric in METRICS if "customer" not in metric.slug)
