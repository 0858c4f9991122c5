"""The checkouts page's parts: how many were left, for how much, how many came back, and what was in the rest."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import cast

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics import frames_checkouts
from core.analytics.metrics import Unit, change
from core.analytics.period import Period, automatic_grain
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import exponent
from core.reports.table import Column, of_frame
from core.ui import charts, columns, downloads, formatting
from core.ui.cards import versus
from core.ui.downloads import Offer

_ROW = 36
_MOST_PRODUCTS = 50


def load_days(shop: ShopAccess, period: Period) -> pd.DataFrame:
    """Checkouts by day: see frames_checkouts.checkout_days."""
    return _days(shop.shop_id, shop.data_version, shop.filters, period.start, period.end)


def load_products(shop: ShopAccess, period: Period) -> pd.DataFrame:
    """What nobody completed: see frames_checkouts.left_products."""
    return _products(shop.shop_id, shop.data_version, shop.filters, period.start, period.end)


def cards(days: pd.DataFrame, before: pd.DataFrame, currency: str, comparison: str) -> None:
    """Sums of the period against the one before."""
    locale = formatting.reader_locale()
    now, then = _sums(days), _sums(before)
    against = versus(comparison)
    with st.grid(4, min_column_width=150, gap="small", key="cards"):
        for slug, label, shown, meaning in (
            ("left", "Abandoned", formatting.count(int(now["left"] or 0), locale), _LEFT),
            ("left_value", "Their value", formatting.card_money(int(now["left_value"] or 0), currency, locale), _VALUE),
            ("rate", "Recovery rate", formatting.percent(now["rate"], locale), _RATE),
            ("rate_by_value", "Rate by value", formatting.percent(now["rate_by_value"], locale), _BY_VALUE),
        ):  # fmt: skip
            moved = change(now[slug], then[slug])
            st.metric(
                label, shown, border=True, height="stretch", help=meaning,
                delta=formatting.change(moved, locale) if moved is not None else None,
                delta_color="normal" if slug.startswith("rate") else "inverse",
                delta_description=against,
            )  # fmt: skip


def drawn_by() -> str:
    """What is drawn over time: one of the keys of FIGURES."""
    label = st.segmented_control(
        "Figure", list(FIGURES), default=next(iter(FIGURES)), required=True, key="drawn", bind="query-params",
        label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    return label if label in FIGURES else next(iter(FIGURES))


def chart(days: pd.DataFrame, period: Period, today: date, currency: str, figure: str = "Checkouts") -> alt.LayerChart:
    """Checkouts or their value by bucket as stacked bars, recovered ones on top, or the recovery rates as lines.

    A bar that is not over is lighter.
    """
    if figure == _RATES:
        return _rates(days, period)
    locale, grain, suffix = formatting.reader_locale(), automatic_grain(period), FIGURES[figure]
    unit: Unit = "money" if suffix else "count"
    scale = 10 ** exponent(currency) if suffix else 1
    buckets = period.buckets(grain)
    rows = []
    for i, bucket in enumerate(buckets):
        part = days.loc[str(bucket.period.start) : str(bucket.period.end)]
        left, recovered = (int(part[f"{name}{suffix}"].sum()) for name in ("left", "recovered"))
        over, when = bucket.period.end < today, charts.bucket_name(bucket, grain)
        for low, high, series in ((0, left - recovered, _OPEN), (left - recovered, left, _BACK)):
            shown = formatting.value(high - low, unit, currency, locale)
            rows.append((i - 0.4, i + 0.4, low / scale, high / scale, series, over, when, shown))
    frame = pd.DataFrame(rows, columns=["i", "right", "low", "value", "series", "over", "When", figure])
    bars = (
        alt.Chart(frame)
        .mark_rect()
        .encode(
            charts.x_axis([charts.bucket_tick(bucket, grain, period.days) for bucket in buckets], bars=True),
            charts.y_axis(frame["value"], unit, currency, locale),
            x2="right:Q",
            y2="low:Q",
            color=alt.Color(
                "series:N", sort=[_OPEN, _BACK], legend=charts.legend(),
                scale=alt.Scale(domain=[_OPEN, _BACK], range=charts.palette()[:2]),
            ),
            opacity=alt.condition("datum.over", alt.value(1), alt.value(0.55)),
            tooltip=[alt.Tooltip("When:N"), alt.Tooltip("series:N", title="Kind"), alt.Tooltip(f"{figure}:N")],
        )
    )  # fmt: skip
    return cast(alt.LayerChart, alt.layer(bars).properties(height=charts.HEIGHT))


def _rates(days: pd.DataFrame, period: Period) -> alt.LayerChart:
    """Both recovery rates by bucket; a bucket without checkouts has none."""
    locale, grain = formatting.reader_locale(), automatic_grain(period)
    buckets, rows, told = period.buckets(grain), [], []
    for i, bucket in enumerate(buckets):
        sums = _sums(days.loc[str(bucket.period.start) : str(bucket.period.end)])
        rows += [(i, name, sums[slug]) for slug, name in _RATE_NAMES.items()]
        told.append([i, charts.bucket_name(bucket, grain),
                     *(formatting.percent(sums[slug], locale) for slug in _RATE_NAMES)])  # fmt: skip
    lines = pd.DataFrame(rows, columns=["i", "series", "value"]).dropna()
    hover = pd.DataFrame(told, columns=["i", "When", *_RATE_NAMES.values()])
    names = list(_RATE_NAMES.values())
    x = charts.x_axis([charts.bucket_tick(bucket, grain, period.days) for bucket in buckets])
    colour = alt.Color(
        "series:N", sort=names, legend=charts.legend(symbolType="stroke"),
        scale=alt.Scale(domain=names, range=charts.palette()[:2]),
    )  # fmt: skip
    y = charts.y_axis(lines["value"].astype("float64"), "percent", "", locale)
    drawn = alt.Chart(lines).mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=28, filled=True)).encode(
        x, y, color=colour)  # fmt: skip
    return cast(alt.LayerChart, alt.layer(drawn, charts.hover_rule(hover, x)).properties(height=charts.HEIGHT))


def days_menu(days: pd.DataFrame, drawn: alt.LayerChart, shop: ShopAccess, period: Period) -> None:
    """The chart's figures by day as files, and the chart."""
    frame = days.reset_index().assign(day=[day.date() for day in days.index])
    made = partial(of_frame, "Abandoned checkouts by day", frame, _OF_DAYS)
    downloads.menu(shop, Offer("Abandoned checkouts", "abandoned_checkouts", len(days), made, period, chart=drawn))


def chart_text(days: pd.DataFrame, period: Period, today: date) -> str:
    """The bars as one sentence."""
    locale = formatting.reader_locale()
    left, recovered = (formatting.count(int(days[name].sum()), locale) for name in ("left", "recovered"))
    rates = (f"{formatting.percent(_sums(days)[slug], locale)} {name.lower()}" for slug, name in _RATE_NAMES.items())
    return (
        f"{left} checkouts left, {formatting.period(period, today)}, of which {recovered} were completed later: "
        f"{', '.join(rates)}."
    )


def products(frame: pd.DataFrame, shop: ShopAccess, period: Period) -> None:
    """What was in checkouts that nobody completed, as a table and a file."""
    title, about = "Most often left behind", "What was in checkouts that nobody completed"
    with downloads.head(title, f"{about}; the first {_MOST_PRODUCTS} by value."):
        which, made = f"at most {_MOST_PRODUCTS}, most valuable first", partial(of_frame, title, frame, OF_PRODUCTS)
        downloads.menu(shop, Offer(title, "abandoned_products", len(frame), made, period, which=which))
    scale = 10 ** exponent(shop.currency)
    shown = pd.DataFrame(
        {
            "Product": frame["title"],
            "Value": [value / scale for value in frame["value"]],
            "Units": frame["units"],
            "Checkouts": frame["checkouts"],
        }
    )
    st.dataframe(
        shown, hide_index=True, key="left_products", row_height=_ROW,
        height="content" if len(shown) <= 10 else 12 * _ROW,
        alt="Products in checkouts that nobody completed, most valuable first",
        column_config={
            "Product": st.column_config.TextColumn(width=240, pinned=True),
            "Value": columns.amount("Value", shop.currency, meaning="After discounts."),
            "Units": st.column_config.NumberColumn(format="localized"),
            "Checkouts": st.column_config.NumberColumn(format="localized"),
        },
    )  # fmt: skip


def _sums(days: pd.DataFrame) -> Mapping[str, int | float | None]:
    sums = {name: int(days[name].sum()) for name in frames_checkouts.CHECKOUT_SUMS}
    return {
        **sums,
        "rate": sums["recovered"] / sums["left"] if sums["left"] else None,
        "rate_by_value": sums["recovered_value"] / sums["left_value"] if sums["left_value"] else None,
    }


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _days(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> pd.DataFrame:
    with shop_session(shop_id, filters) as session:
        return frames_checkouts.checkout_days(session, Period(start, end))


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _products(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> pd.DataFrame:
    with shop_session(shop_id, filters) as session:
        return frames_checkouts.left_products(session, Period(start, end), _MOST_PRODUCTS)


_RATES = "Recovery rate"
# What is drawn, with what its columns of checkout_days() end in.
FIGURES = {"Checkouts": "", "Value": "_value", _RATES: ""}
_RATE_NAMES = {"rate": "By count", "rate_by_value": "By value"}
_OPEN, _BACK = "Not completed", "Completed later"
_LEFT = "Checkouts made in the period whose customer left before paying. Shopify keeps them for three months."
_VALUE = "What these checkouts came to, with taxes and shipping as far as they were known. It is no part of any sales."
_RATE = "Checkouts completed later, divided by all that were left."
_BY_VALUE = "The value of checkouts completed later, divided by the value of all that were left."
OF_PRODUCTS = (
    Column("product_id", "id", "Product id", "0 where the product is gone."), Column("title", "text", "Product"),
    Column("checkouts", "count"), Column("units", "count"), Column("value", "money", "Value", "After discounts."),
)  # fmt: skip
_OF_DAYS = (
    Column("day", "date"), Column("left", "count", "Abandoned checkouts", _LEFT),
    Column("left_value", "money", "Their value", _VALUE), Column("recovered", "count", "Completed later"),
    Column("recovered_value", "money", "Their value, completed later"),
)  # fmt: skip
