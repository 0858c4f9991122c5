"""The forecast page's parts: the next days with their interval, how good such forecasts were, and unusual days."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import cast
from zoneinfo import ZoneInfo

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics.anomalies import Anomaly, anomalies, explained
from core.analytics.breakdowns import BREAKDOWN, Breakdown
from core.analytics.forecast import INTERVAL, Forecast, forecast
from core.analytics.frames_sales import ProductField, products_by_day, values_by_day
from core.analytics.metrics import METRIC, change
from core.analytics.period import Period
from core.analytics.report import daily_series
from core.analytics.unknown import Unknown
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import exponent
from core.reports.table import Column, Row, Table
from core.reports.table import measure as measure_column
from core.sync.jobs import sync_status
from core.ui import charts, downloads, formatting
from core.ui.downloads import Offer

HOW = (
    "The level of the last weeks, their weekdays and, from two full years on, the season, carried on; no growth is "
    "assumed. A day falls into the band with a probability of 80 %."
)
_SHOWN_DAYS = 90
_MEASURES = {"Net sales": "net_sales", "Orders": "orders"}
_HORIZONS = {"30 days": 30, "90 days": 90}
# Kept as sums by day, and no status: that changes with an order's age, so that it would explain each recent day.
_OF_ORDERS = ("channel", "country", "discount_code", "customer_kind")
_OF_PRODUCTS: dict[str, ProductField] = {"product_type": "product_type", "vendor": "vendor"}
_ANY = "What explains most"


def measure() -> str:
    """What to forecast."""
    label = st.segmented_control(
        "Measure", list(_MEASURES), default="Net sales", required=True, key="measure", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    return _MEASURES.get(label, "net_sales")


def horizon() -> int:
    """How many days ahead."""
    label = st.segmented_control(
        "Ahead", list(_HORIZONS), default="30 days", required=True, key="ahead", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    return _HORIZONS.get(label, 30)


def last_whole_day(shop: ShopAccess, today: date) -> date | None:
    """The last day that was over when the data was fetched; None before the first sync."""
    synced_at = sync_status(shop.shop_id).synced_at
    if synced_at is None:
        return None
    return min(synced_at.astimezone(ZoneInfo(shop.time_zone)).date(), today) - timedelta(days=1)


def load_daily(shop: ShopAccess, slug: str, last: date) -> pd.Series:
    """The measure of every day up to the last."""
    return _daily(shop.shop_id, shop.data_version, shop.filters, slug, last)


def load_forecast(shop: ShopAccess, slug: str, days: int, last: date) -> Forecast | Unknown:
    """The forecast from the day after the last."""
    return _forecast(shop.shop_id, shop.data_version, shop.filters, slug, days, last)


def cards(found: Forecast, daily: pd.Series, slug: str, days: int, currency: str) -> None:
    """What is expected in all, against as many days before, and how good such forecasts were."""
    locale, metric = formatting.reader_locale(), METRIC[slug]
    total, before, test = round(found.total), int(daily.iloc[-days:].sum()), found.back_test
    moved = change(total, before) if len(daily) >= days else None
    with st.grid(3, min_column_width=150, gap="small", key="cards"):
        st.metric(
            f"Expected, {days} days",
            formatting.card_value(total, slug, currency, locale),
            delta=formatting.change(moved, locale) if moved is not None else None,
            delta_description="vs before",
            help=formatting.plain(f"{metric.label} in {days} days, against the last {days}. {metric.definition} {HOW}"),
            border=True, height="stretch",
        )  # fmt: skip
        st.metric(
            "Usual error of a day",
            formatting.percent(test.mean_absolute_error / test.typical if test.typical else None, locale),
            border=True, height="stretch",
            help="How far forecasts made in the past were off on a day, on average, as a part of a usual day.",
        )  # fmt: skip
        st.metric(
            "Days in the band",
            formatting.percent(test.within, locale),
            border=True, height="stretch",
            help=f"Of the days that were forecast in the past; it should be near {INTERVAL:.0%}.",
        )  # fmt: skip


def chart(found: Forecast, daily: pd.Series, slug: str, currency: str) -> alt.LayerChart:
    """The last days as they were, unusual ones marked, the next ones dashed with their band."""
    locale, unit = formatting.reader_locale(), METRIC[slug].unit
    scale = 10 ** exponent(currency) if unit == "money" else 1
    past, ahead = daily.iloc[-_SHOWN_DAYS:] / scale, found.by_day / scale
    days = [*past.index, *ahead.index]
    rows = [
        *({"i": i, "series": _PAST, "value": value} for i, value in enumerate(past)),
        {"i": len(past) - 1, "series": _AHEAD, "value": past.iloc[-1]},
        *({"i": len(past) + i, "series": _AHEAD, "value": value} for i, value in enumerate(ahead["expected"])),
    ]
    lines = pd.DataFrame(rows)
    band = pd.DataFrame({"i": range(len(past), len(days)), "low": ahead["low"], "high": ahead["high"]})
    shown = [formatting.day(day.date(), year=True) for day in days]
    hover = pd.DataFrame(
        {
            "i": range(len(days)),
            "Day": shown,
            METRIC[slug].label: [
                *(formatting.value(int(value), unit, currency, locale) for value in daily.iloc[-_SHOWN_DAYS:]),
                *(formatting.value(round(value), unit, currency, locale) for value in found.by_day["expected"]),
            ],
            "Between": ["" for _ in past]
            + [
                " and ".join(formatting.value(round(edge), unit, currency, locale) for edge in (low, high))
                for low, high in zip(found.by_day["low"], found.by_day["high"], strict=True)
            ],
        }
    )
    place, scaled = {day.date(): i for i, day in enumerate(past.index)}, dict(zip(past.index.date, past, strict=True))
    odd = [day for day in unusual_days(daily) if day in place]
    hover["Note"] = ["Unusual" if i < len(past) and day.date() in odd else "" for i, day in enumerate(days)]
    marked = pd.DataFrame({"i": [place[day] for day in odd], "value": [scaled[day] for day in odd], "kind": _ODD})
    colour, other = charts.palette()[:2]
    x = charts.x_axis([formatting.day(day.date()) for day in days])
    edges = pd.concat([lines["value"], band["low"], band["high"]])
    y = charts.y_axis(edges, unit, currency, locale)
    area = alt.Chart(band).mark_area(opacity=0.18, color=colour).encode(x, alt.Y("low:Q", title=None), alt.Y2("high:Q"))
    line = (
        alt.Chart(lines)
        .mark_line(strokeWidth=2.2, color=colour)
        .encode(
            x,
            y,
            strokeDash=alt.StrokeDash(
                "series:N", legend=charts.legend(symbolType="stroke"), sort=[_PAST, _AHEAD],
                scale=alt.Scale(domain=[_PAST, _AHEAD], range=[[1, 0], [4, 4]]),
            ),
        )
    )  # fmt: skip
    layers = [line, area, charts.hover_rule(hover, x)]
    if odd:
        fill = alt.Color("kind:N", legend=charts.legend(), scale=alt.Scale(domain=[_ODD], range=[other]))
        layers.insert(2, alt.Chart(marked).mark_circle(size=90, opacity=1).encode(x, y, color=fill))
    return cast(alt.LayerChart, alt.layer(*layers).properties(height=charts.HEIGHT))


def unusual_days(daily: pd.Series) -> list[date]:
    """The days of the last year outside their band: those of unusual()."""
    return [each.day for each in anomalies(daily.iloc[-_YEAR - 56 :]).found]


def days_table(found: Forecast, daily: pd.Series, slug: str) -> Table:
    """Every day so far as it was, and the days to come as they are expected, with their band."""
    rows: list[Row] = [[day.date(), int(number), None, None, None] for day, number in daily.items()]
    ahead = found.by_day[["expected", "low", "high"]].round()
    rows += [[at.date(), None, *map(int, numbers)] for at, numbers in zip(ahead.index, ahead.to_numpy(), strict=True)]
    unit, band = METRIC[slug].unit, "A day falls between low and high with a probability of 80 %."
    columns = (
        Column("day", "date"), measure_column(slug), Column("expected", unit), Column("low", unit, "Low", band),
        Column("high", unit, "High", band),
    )  # fmt: skip
    return Table(f"{METRIC[slug].label} so far and expected", columns, rows)


def days_menu(found: Forecast, daily: pd.Series, slug: str, drawn: alt.LayerChart, shop: ShopAccess) -> None:
    """The chart's figures and the chart as files."""
    made, title = partial(days_table, found, daily, slug), f"{METRIC[slug].label} so far and expected"
    downloads.menu(shop, Offer(title, f"forecast_{slug}", len(daily) + len(found.by_day), made, chart=drawn))


def chart_text(found: Forecast, slug: str, days: int, currency: str) -> str:
    """The forecast as one sentence."""
    total = formatting.value(round(found.total), METRIC[slug].unit, currency, formatting.reader_locale())
    return f"{METRIC[slug].label} of the last {_SHOWN_DAYS} days and of the next {days}: {total} expected in all."


def how_good(found: Forecast, slug: str, currency: str) -> str:
    """The error of forecasts made in the past beside that of the simplest one, as Markdown."""
    locale, unit, test = formatting.reader_locale(), METRIC[slug].unit, found.back_test
    ours, naive = (
        formatting.plain(formatting.value(round(error), unit, currency, locale))
        for error in (test.mean_absolute_error, test.naive_error)
    )
    verdict = "closer than" if test.better_than_naive else "no better than"
    return (
        f"{test.origins} forecasts of {test.days} days, made for the past, were off by {ours} a day on average: "
        f"{verdict} repeating the last week, which was off by {naive}."
    )


def unusual(shop: ShopAccess, daily: pd.Series, slug: str, last: date) -> None:
    """Days outside their band in the last year, newest first, with what explains most of each."""
    searched = [BREAKDOWN[name] for name in explained_by(slug)]
    of = {_ANY: None, **{f"By {each.label[:1].lower()}{each.label[1:]}": each for each in searched}}
    head = downloads.head("Unusual days", _UNUSUAL)
    with head:
        label = st.selectbox(
            "Explained by", list(of), key="explained_by", bind="query-params", width=190, label_visibility="collapsed",
        )  # fmt: skip
    chosen = of.get(label)
    found = _unusual(shop.shop_id, shop.data_version, shop.filters, slug, chosen.slug if chosen else "", last)
    if not found:
        st.markdown("No day of the last year was unusual.")
        return
    made = partial(unusual_table, found, slug, chosen)
    named = {"Explained by": chosen.label if chosen else _ANY}
    offer = Offer("Unusual days", f"unusual_days_{slug}", len(found), made, filters=named)
    with head:
        downloads.menu(shop, offer)
    locale, unit = formatting.reader_locale(), METRIC[slug].unit
    shown = {
        "Day": [day.day for day in found],
        METRIC[slug].label: [formatting.value(day.actual, unit, shop.currency, locale) for day in found],
        "Expected": [formatting.value(round(day.expected), unit, shop.currency, locale) for day in found],
        "Difference": [formatting.value(round(day.difference), unit, shop.currency, locale) for day in found],
        "Most of it": [
            formatting.DASH if day.explained is None
            else f"{reason(day, chosen)}: {formatting.value(round(day.explained), unit, shop.currency, locale)}"
            for day in found
        ],
    }  # fmt: skip
    st.dataframe(
        pd.DataFrame(shown), hide_index=True, key="unusual",
        column_config={"Day": st.column_config.DateColumn("Day", format="ddd, D MMM YYYY", pinned=True)},
        alt=f"Days of the last year with unusual {METRIC[slug].label.lower()}, with what explains most of each",
    )  # fmt: skip
    if chosen is None:
        names = ", ".join(each.label[:1].lower() + each.label[1:] for each in searched)
        st.caption(f"{_MOST_OF_IT} Searched: {names}.")


def explained_by(slug: str) -> tuple[str, ...]:
    """The breakdowns that are searched for what explains a day; only amounts are known by product."""
    return (*_OF_ORDERS, *_OF_PRODUCTS) if slug == "net_sales" else _OF_ORDERS


def reason(day: Anomaly, of: Breakdown | None) -> str | None:
    """What explains most of a day: a value of the breakdown, or of the one that was found; None where nothing does."""
    if day.explained_by is None:
        return None
    if of is not None:
        return of.name(day.explained_by)
    found = BREAKDOWN[day.of or ""]
    return f"{found.label}, {found.name(day.explained_by)}"


def unusual_table(found: Sequence[Anomaly], slug: str, of: Breakdown | None) -> Table:
    """A row per unusual day; what is expected is rounded to the smallest unit."""
    by = f"Most of it, by {of.label.lower()}" if of else "Most of it"
    unit = METRIC[slug].unit
    columns = (
        Column("day", "date"), measure_column(slug), Column("expected", unit), Column("difference", unit),
        Column("most_of_it", "text", by, _MOST_OF_IT), Column("of_which", unit),
    )  # fmt: skip
    rows = [
        (
            day.day, int(day.actual), round(day.expected), round(day.difference),
            reason(day, of),
            None if day.explained is None else round(day.explained),
        )
        for day in found
    ]  # fmt: skip
    return Table("Unusual days", columns, rows)


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _daily(shop_id: int, data_version: int, filters: Filters, slug: str, last: date) -> pd.Series:
    with shop_session(shop_id, filters) as session:
        return daily_series(session, slug, last)


@st.cache_data(ttl="24h", max_entries=64, show_spinner=False)
def _forecast(
    shop_id: int, data_version: int, filters: Filters, slug: str, days: int, last: date
) -> Forecast | Unknown:
    return forecast(_daily(shop_id, data_version, filters, slug, last), days)


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _unusual(
    shop_id: int, data_version: int, filters: Filters, slug: str, dimension: str, last: date
) -> tuple[Anomaly, ...]:
    daily = _daily(shop_id, data_version, filters, slug, last).iloc[-_YEAR - 56 :]
    period, parts = Period(daily.index[0].date(), last), {}
    with shop_session(shop_id, filters) as session:
        for name in (dimension,) if dimension else explained_by(slug):
            of = _OF_PRODUCTS.get(name)
            known = products_by_day(session, of, period) if of else values_by_day(session, name, period)
            parts[name] = known.rename(columns={slug: "amount"})[["day", "value", "amount"]]
    return (anomalies(daily, parts[dimension]).found if dimension else explained(daily, parts))[::-1]


_UNUSUAL = (
    "Days of the last year far from the same weekday of the eight weeks before them: further than 3.5 times the usual "
    "spread."
)
_MOST_OF_IT = (
    "What explains most is, of the values that moved furthest in each breakdown, the one whose part of the difference "
    "exceeds its usual part of a day by most; the amount is its own difference from what is usual of it."
)
_ODD = "Unusual day"
_PAST, _AHEAD = "So far", "Expected"
_YEAR = 365
