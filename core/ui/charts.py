"""Charts as Altair specifications, each with a sentence for readers who cannot see it.

Axes carry labels written here, by bucket number: the browser's time zone and language cannot move a day
or change a currency.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, cast

import altair as alt
import pandas as pd
import streamlit as st
from altair.utils.schemapi import disable_debug_mode

from core.analytics.metrics import METRIC, Unit, Value
from core.analytics.report import Report
from core.db.money import exponent, from_minor
from core.reports.axes import bucket_name as bucket_name
from core.reports.axes import bucket_tick as bucket_tick
from core.reports.axes import ticks as ticks
from core.ui import formatting
from core.ui.formatting import axis_value

# A chart is checked against its schema when it is drawn; every part of it when it is made cost a tenth of a page.
disable_debug_mode()

HEIGHT = 290
# The selection that says which mark was clicked, by its number.
PICKED = "picked"
# With fewer buckets each one is a dot that can be pointed at; with one, the dot is all there is.
_MOST_DOTS = 14


def trend(
    report: Report, before: Report | None, slug: str, currency: str, today: date, comparison: str
) -> alt.LayerChart:
    """One metric by bucket as a line, the compared period dashed grey behind it.

    Buckets are compared by their number. The stretch to the bucket that contains `today` is lighter: it is not over.
    """
    locale, unit = formatting.reader_locale(), METRIC[slug].unit
    buckets = report.period.buckets(report.grain)
    lines = trend_lines(report, before, slug, currency, today, comparison)
    hover = _hover(report, before, slug, currency, comparison, locale)
    names = list(dict.fromkeys(lines["series"]))
    shades = {name: _shade(name, comparison) for name in names}
    encoding = {
        "color": alt.Color(
            "series:N",
            sort=names,
            scale=alt.Scale(domain=names, range=[shades[name][0] for name in names]),
            legend=legend(symbolType="stroke", values=[name for name in names if name != _SO_FAR]) if before else None,
        ),
        "strokeDash": alt.StrokeDash(
            "series:N",
            sort=names,
            legend=None,
            scale=alt.Scale(domain=names, range=[shades[name][1] for name in names]),
        ),
    }
    x = x_axis([bucket_tick(bucket, report.grain, report.period.days) for bucket in buckets])
    y = y_axis(lines["value"], unit, currency, locale)
    line = (
        alt.Chart(lines)
        .mark_line(strokeWidth=2.2, strokeCap="round", point=_dots(len(buckets)))
        .encode(x, y, **encoding)
    )
    return cast(alt.LayerChart, alt.layer(line, hover_rule(hover, x)).properties(height=HEIGHT))


def hover_rule(hover: pd.DataFrame, x: alt.X) -> alt.Chart:
    """A line at the bucket nearest to the pointer that shows the row of `hover` of its number `i` and takes a click."""
    clicked = alt.selection_point(name=PICKED, fields=["i"], nearest=True, on="click", toggle=False, empty=False)
    pointed = alt.selection_point(fields=["i"], nearest=True, on="pointerover", empty=False, clear="pointerout")
    tooltip = [alt.Tooltip(f"{column}:N") for column in hover.columns if column != "i"]
    opacity = alt.condition(pointed, alt.value(0.7), alt.value(0))
    rule = alt.Chart(hover).mark_rule(color=GREY, strokeWidth=1).encode(x, opacity=opacity, tooltip=tooltip)
    return cast(alt.Chart, rule.add_params(pointed, clicked))


def click(field: str) -> alt.Parameter:
    """What makes a mark's click say the number in its field."""
    return alt.selection_point(name=PICKED, fields=[field], on="click", toggle=False, empty=False)


def trend_lines(
    report: Report, before: Report | None, slug: str, currency: str, today: date, comparison: str
) -> pd.DataFrame:
    """Rows i (bucket number from 0), series, value: the period, what is not over yet, and the comparison.

    Money is in whole units of the currency: the reader can open and download what a chart is drawn from.
    """
    buckets, unit = report.period.buckets(report.grain), METRIC[slug].unit
    current = [_plotted(number, unit, currency) for number in report.by[slug]]
    over = [bucket.period.end < today for bucket in buckets]
    name = formatting.period(report.period, today)
    rows = [
        (i, comparison, _plotted(number, unit, currency)) for i, number in enumerate(before.by[slug] if before else [])
    ][: len(buckets)]
    rows += [(i, name, number) for i, number in enumerate(current) if over[i]]
    unfinished = [i for i, done in enumerate(over) if not done]
    if unfinished:
        # From the last finished bucket on, so that the lighter stretch joins the line.
        rows += [(i, _SO_FAR, current[i]) for i in range(max(0, unfinished[0] - 1), len(buckets))]
    frame = pd.DataFrame(rows, columns=["i", "series", "value"]).dropna()
    order = [series for series in (name, _SO_FAR, comparison) if series in set(frame["series"])]
    return frame.sort_values("series", key=lambda names: names.map(order.index), kind="stable", ignore_index=True)


def trend_text(report: Report, before: Report | None, slug: str, currency: str, today: date, comparison: str) -> str:
    """The trend as one sentence."""
    locale, metric = formatting.reader_locale(), METRIC[slug]
    total = formatting.value(report.totals[slug], metric.unit, currency, locale)
    text = f"{metric.label} by {report.grain}, {formatting.period(report.period, today)}: {total} in all"
    moved = METRIC[slug].change(report.totals[slug], before.totals[slug]) if before else None
    if moved is None:
        return f"{text}."
    return f"{text}, {formatting.change(moved, locale)} against {comparison[:1].lower()}{comparison[1:]}."


def stacked_counts(report: Report, slugs: Sequence[str], today: date) -> alt.LayerChart:
    """Counts by bucket as stacked bars, one colour per metric; a bucket that is not over is lighter."""
    locale = formatting.reader_locale()
    buckets = report.period.buckets(report.grain)
    labels = [METRIC[slug].label for slug in slugs]
    stack = [0] * len(buckets)
    rows = []
    for slug, label in zip(slugs, labels, strict=True):
        for i, (bucket, number) in enumerate(zip(buckets, report.by[slug], strict=True)):
            top, over = stack[i] + int(number), bucket.period.end < today
            shown = formatting.count(int(number), locale)
            rows.append((i - 0.4, i + 0.4, stack[i], top, label, over, bucket_name(bucket, report.grain), shown))
            stack[i] = top
    frame = pd.DataFrame(rows, columns=["i", "right", "low", "value", "series", "over", "When", "Customers"])
    frame["at"] = [i for _ in slugs for i in range(len(buckets))]
    bars = (
        alt.Chart(frame)
        .mark_rect(cursor="pointer")
        .encode(
            x_axis([bucket_tick(bucket, report.grain, report.period.days) for bucket in buckets], bars=True),
            y_axis(frame["value"], "count", "", locale),
            x2="right:Q",
            y2="low:Q",
            color=alt.Color(
                "series:N",
                sort=labels,
                scale=alt.Scale(domain=labels, range=palette()[: len(labels)]),
                legend=legend(),
            ),
            opacity=alt.condition("datum.over", alt.value(1), alt.value(0.55)),
            tooltip=[alt.Tooltip("When:N"), alt.Tooltip("series:N", title="Kind"), alt.Tooltip("Customers:N")],
        )
        .add_params(click("at"))
    )
    # A layer, like the trend: the theme leaves more air above the legend of a single chart.
    return cast(alt.LayerChart, alt.layer(bars).properties(height=HEIGHT))


def stacked_text(report: Report, slugs: Sequence[str], today: date) -> str:
    """The stacked bars as one sentence."""
    locale = formatting.reader_locale()
    parts = [
        f"{formatting.value(report.totals[slug], 'count', '', locale)} {METRIC[slug].label.lower()}" for slug in slugs
    ]
    return f"{' and '.join(parts)} by {report.grain}, {formatting.period(report.period, today)}."


def x_axis(labels: Sequence[str], *, bars: bool = False) -> alt.X:
    """The axis of buckets by their number, some ten of them labelled."""
    every = max(1, math.ceil(len(labels) / 10))
    shown = {str(i): label for i, label in enumerate(labels) if i % every == 0}
    margin = 0.6 if bars or len(labels) == 1 else 0.0
    return alt.X(
        "i:Q",
        title=None,
        scale=alt.Scale(domain=[-margin, len(labels) - 1 + margin], nice=False, zero=False),
        axis=alt.Axis(
            values=[int(i) for i in shown],
            labelColor=label_colour(),
            labelExpr=lookup(shown),
            grid=False,
            labelOverlap="greedy",
            labelFlush=not bars,
        ),
    )


def y_axis(numbers: "pd.Series[float]", unit: Unit, currency: str, locale: str) -> alt.Y:
    """The axis of the field `value` with our labels; money in whole units, percents as fractions of 1."""
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (0.0, 0.0)
    scale = 10 ** exponent(currency) if unit == "money" else 100 if unit == "percent" else 1
    at = [tick / scale for tick in ticks(low * scale, high * scale)]
    labels = {
        _js_text(tick): axis_value(tick * (scale if unit == "money" else 1), unit, currency, locale) for tick in at
    }
    return alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[max(at[0], low * 1.15) if low < 0 else 0, at[-1]], nice=False),
        axis=alt.Axis(
            values=at, labelColor=label_colour(), labelExpr=lookup(labels), domain=False, ticks=False, labelPadding=6
        ),
    )


def _js_text(number: float) -> str:
    """A number as JavaScript writes it."""
    return str(int(number)) if number == int(number) else repr(number)


def legend(**options: Any) -> alt.Legend:
    """A legend above the chart, in one row."""
    return alt.Legend(
        orient="top",
        direction="horizontal",
        title=None,
        offset=4,
        labelColor=label_colour(),
        labelLimit=260,
        **options,
    )


def lookup(labels: Mapping[str, str]) -> str:
    """A Vega expression that writes our text for a tick's number."""
    return f"{json.dumps(labels)}[toString(datum.value)]"


def _hover(
    report: Report, before: Report | None, slug: str, currency: str, comparison: str, locale: str
) -> pd.DataFrame:
    unit = METRIC[slug].unit
    buckets = report.period.buckets(report.grain)
    frame = pd.DataFrame({"i": range(len(buckets)), "When": [bucket_name(bucket, report.grain) for bucket in buckets]})
    frame[METRIC[slug].label] = [formatting.value(number, unit, currency, locale) for number in report.by[slug]]
    if before is not None:
        there = [
            f"{formatting.value(number, unit, currency, locale)} ({bucket_name(bucket, before.grain)})"
            for bucket, number in zip(before.period.buckets(before.grain), before.by[slug], strict=True)
        ]
        frame[comparison] = (there + [formatting.DASH] * len(buckets))[: len(buckets)]
    return frame


def _plotted(number: Value, unit: Unit, currency: str) -> float | None:
    if number is None:
        return None
    return float(from_minor(int(number), currency)) if unit == "money" else float(number)


def _dots(buckets: int) -> alt.OverlayMarkDef | bool:
    return alt.OverlayMarkDef(size=28 if buckets > 1 else 90, filled=True) if buckets <= _MOST_DOTS else False


def _shade(series: str, comparison: str) -> tuple[str, list[int]]:
    if series == comparison:
        return GREY, [4, 4]
    return (palette()[0], [1, 0]) if series != _SO_FAR else (_PALE[st.context.theme.type == "dark"], [1, 0])


def label_colour() -> str:
    """The colour of what is written beside a chart."""
    return _LABELS[st.context.theme.type == "dark"]


def on_paper() -> dict[str, str]:
    """Which light colour stands for which dark one."""
    return {**dict(zip(_DARK, _LIGHT, strict=True)), _LABELS[True]: _LABELS[False], _PALE[True]: _PALE[False]}


def palette() -> tuple[str, ...]:
    """The colours of series, the main one first."""
    return _DARK if st.context.theme.type == "dark" else _LIGHT


LIGHTER = "The lighter part is not over yet."
_SO_FAR = "Not over yet"
# The chart colours of .streamlit/config.toml; the grey has 3:1 on both backgrounds, the pale blue stands for what
# is not over.
_LIGHT = ("#0B5CAD", "#ED6826", "#4C243F", "#C07C87")
_DARK = ("#6CB6FF", "#EDCC26", "#C7E9A5", "#BC2F75")
GREY = "#7F8A99"
_LABELS = {False: "#566170", True: "#A9B5C4"}
_PALE = {False: "#5A96D0", True: "#3F6E9E"}
