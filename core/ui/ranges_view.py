"""Two ranges of days side by side: what the second one is, every measure of both, and one measure drawn over both."""

from datetime import date
from typing import cast

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics.metrics import METRIC, METRICS, Value
from core.analytics.period import ANOTHER, COMPARISONS, PRESET, Comparison, Period, compared
from core.analytics.report import Report
from core.auth.accounts import ShopAccess
from core.db.money import from_minor
from core.reports.overview import figures
from core.ui import charts, downloads, filters, formatting
from core.ui.charts import GREY, HEIGHT, hover_rule, legend, palette, x_axis, y_axis
from core.ui.downloads import Offer

_ROW = 36
_DRAWN = ("total_sales", "net_sales", "orders", "average_order_value")


def comparison() -> Comparison | None:
    """What to compare with; None for a range of the reader's own."""
    options = (*COMPARISONS, ANOTHER)
    label = st.selectbox(
        "Compare with", options, index=0, key="compare", bind="query-params", width=filters.HALF_OF_A_PHONE
    )
    return None if label == ANOTHER else next((how for how in COMPARISONS if how == label), COMPARISONS[0])


def second_range(period: Period, how: Comparison | None, today: date) -> Period | None:
    """The days to compare with; where they are the reader's own, with a calendar to choose them."""
    if how is not None:
        return compared(period, how)
    usual = PRESET["30d"].resolve(today).previous()
    return filters.date_range("Dates to compare with", "against", usual, today)


def name(period: Period, against: Period | None, how: Comparison | None, today: date) -> str:
    """What the compared range is called on cards and in charts."""
    if how is None and against is not None:
        return formatting.period(against, today)
    if how == "Previous year":
        return "Year before"
    return f"Previous {period.days} days" if period.days > 1 else "Day before"


def side_by_side(report: Report, other: Report, shop: ShopAccess, today: date) -> None:
    """The card with every measure of both ranges."""
    with st.container(border=True, key="ranges_card"):
        with downloads.head("Side by side", _ABOUT):
            offer = Offer("Side by side", "two_ranges", len(METRICS), lambda: figures(report, other), report.period,
                          other.period)  # fmt: skip
            downloads.menu(shop, offer)
        slugs = {METRIC[slug].label: slug for slug in _DRAWN}
        label = st.segmented_control(
            "Measure", list(slugs), default=METRIC[_DRAWN[0]].label, required=True, key="drawn", bind="query-params",
            label_visibility="collapsed", wrap=True,
        )  # fmt: skip
        slug = slugs.get(label, _DRAWN[0])
        drawn = lines(report, other, slug, shop.currency, today)
        st.altair_chart(drawn, alt=text(report, other, slug, shop.currency, today), key="ranges")
        _table(report, other, shop, today)
        if report.period.days != other.period.days:
            st.caption(
                f"The ranges have {report.period.days} and {other.period.days} days, so that sums differ by their "
                "length too; averages and rates do not."
            )


def lines(report: Report, other: Report, slug: str, currency: str, today: date) -> alt.LayerChart:
    """One metric of both ranges, the buckets of one number below each other, however long each range is."""
    locale, unit = formatting.reader_locale(), METRIC[slug].unit
    both = ((report, formatting.period(report.period, today)), (other, formatting.period(other.period, today)))
    if both[0][1] == both[1][1]:
        both = (both[0], (other, f"{both[1][1]} again"))
    longest = max(len(report.by), len(other.by))
    rows = [
        (i, series, _plotted(number, slug, currency)) for each, series in both for i, number in enumerate(each.by[slug])
    ]
    drawn = pd.DataFrame(rows, columns=["i", "series", "value"]).dropna()
    hover = pd.DataFrame({"i": range(longest), "Number": [f"{report.grain.capitalize()} {i + 1}"
                                                          for i in range(longest)]})  # fmt: skip
    for each, series in both:
        told = [
            f"{formatting.value(number, unit, currency, locale)} ({charts.bucket_name(bucket, each.grain)})"
            for bucket, number in zip(each.period.buckets(each.grain), each.by[slug], strict=True)
        ]
        hover[series] = (told + [formatting.DASH] * longest)[:longest]
    names = [series for _, series in both]
    x = x_axis([f"{report.grain.capitalize()} {i + 1}" for i in range(longest)])
    line = (
        alt.Chart(drawn)
        .mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=28, filled=True) if longest <= 14 else False)
        .encode(
            x, y_axis(drawn["value"], unit, currency, locale),
            color=alt.Color("series:N", sort=names, legend=legend(symbolType="stroke"),
                            scale=alt.Scale(domain=names, range=[palette()[0], GREY])),
            strokeDash=alt.StrokeDash("series:N", sort=names, legend=None,
                                      scale=alt.Scale(domain=names, range=[[1, 0], [4, 4]])),
        )
    )  # fmt: skip
    return cast(alt.LayerChart, alt.layer(line, hover_rule(hover, x)).properties(height=HEIGHT))


def text(report: Report, other: Report, slug: str, currency: str, today: date) -> str:
    """Both lines as one sentence."""
    locale, metric = formatting.reader_locale(), METRIC[slug]
    told = [
        f"{formatting.value(each.totals[slug], metric.unit, currency, locale)} {formatting.period(each.period, today)}"
        for each in (report, other)
    ]
    return f"{metric.label} by {report.grain} from the first of each range: {told[0]}, {told[1]}."


def difference(now: Value, there: Value, slug: str, currency: str, locale: str) -> str:
    """What one range has more than the other, signed; percents in points; a dash where either is unknown."""
    if now is None or there is None:
        return formatting.DASH
    unit = METRIC[slug].unit
    if unit == "percent":
        points = formatting.short_decimal(abs(now - there) * 100, locale)
        return f"{_sign(round(now - there, 3))}{points} points"
    return _sign(now - there) + formatting.value(abs(now - there), unit, currency, locale)


def _table(report: Report, other: Report, shop: ShopAccess, today: date) -> None:
    locale, rows = formatting.reader_locale(), []
    first, second = formatting.period(report.period, today), formatting.period(other.period, today)
    for metric in METRICS:
        now, there = report.totals[metric.slug], other.totals[metric.slug]
        shown = (formatting.value(number, metric.unit, shop.currency, locale) for number in (now, there))
        moved = metric.change(now, there)
        rows.append(
            (metric.label, *shown, difference(now, there, metric.slug, shop.currency, locale),
             formatting.DASH if moved is None else formatting.change(moved, locale))
        )  # fmt: skip
    second = second if second != first else f"{second} again"
    frame = pd.DataFrame(rows, columns=["Measure", first, second, "Difference", "Change"])
    right = {label: st.column_config.TextColumn(alignment="right") for label in frame.columns[1:]}
    st.dataframe(
        frame, hide_index=True, key="side_by_side", row_height=_ROW, height="content",
        alt=f"Every measure {first} and {second}, with difference and change",
        column_config={
            "Measure": st.column_config.TextColumn(pinned=True, width=140), **right,
            "Change": st.column_config.TextColumn(alignment="right", help="Of discounts and reversals, by their size."),
        },
    )  # fmt: skip


def _plotted(number: Value, slug: str, currency: str) -> float | None:
    if number is None:
        return None
    return float(from_minor(int(number), currency)) if METRIC[slug].unit == "money" else float(number)


def _sign(number: float) -> str:
    return "+" if number > 0 else "-" if number < 0 else ""


_ABOUT = "Every measure of both ranges. A dash is a figure that cannot be known, or a change from nothing."
