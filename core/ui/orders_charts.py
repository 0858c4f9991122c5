"""Charts of orders: pieces per order over time, and how many orders have which status, each with its sentence."""

from datetime import date
from fractions import Fraction
from typing import cast

import altair as alt
import pandas as pd

from core.analytics.breakdowns import Breakdown
from core.analytics.report import Report
from core.ui import formatting
from core.ui.charts import (
    GREY,
    HEIGHT,
    bucket_name,
    bucket_tick,
    click,
    hover_rule,
    label_colour,
    legend,
    palette,
    x_axis,
    y_axis,
)

_OTHER = "Other"
_MOST_PARTS = 4
_A_ROW = 3  # of the legend, on a phone too


def units_per_order(orders: int, units_sold: int) -> float | None:
    """Pieces sold divided by orders placed; None without orders."""
    return float(Fraction(units_sold, orders)) if orders else None


def units_over_time(report: Report, before: Report | None, today: date, comparison: str) -> alt.LayerChart:
    """Units per order by bucket as a line, the compared period dashed grey; buckets without orders are left out."""
    locale, buckets = formatting.reader_locale(), report.period.buckets(report.grain)
    name = formatting.period(report.period, today)
    now, there = _by_bucket(report), _by_bucket(before)[: len(buckets)] if before else []
    rows = [(i, series, number) for series, line in ((comparison, there), (name, now)) for i, number in enumerate(line)]
    lines = pd.DataFrame(rows, columns=["i", "series", "value"]).dropna()
    hover = pd.DataFrame({"i": range(len(now)), "When": [bucket_name(bucket, report.grain) for bucket in buckets]})
    hover[UNITS_PER_ORDER] = [formatting.decimal(number, locale) for number in now]
    if before:
        hover[comparison] = [formatting.decimal(number, locale) for number in (there + [None] * len(now))[: len(now)]]
    names = [name, comparison] if before else [name]
    x = x_axis([bucket_tick(bucket, report.grain, report.period.days) for bucket in buckets])
    y = y_axis(lines["value"].astype("float64"), "count", "", locale)
    colours = alt.Scale(domain=names, range=[palette()[0], GREY][: len(names)])
    dashes = alt.Scale(domain=names, range=[[1, 0], [4, 4]][: len(names)])
    line = (
        alt.Chart(lines)
        .mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=28, filled=True) if len(now) <= 14 else False)
        .encode(
            x, y, strokeDash=alt.StrokeDash("series:N", sort=names, scale=dashes, legend=None),
            color=alt.Color(
                "series:N", sort=names, scale=colours, legend=legend(symbolType="stroke") if before else None
            ),
        )
    )  # fmt: skip
    return cast(alt.LayerChart, alt.layer(line, hover_rule(hover, x)).properties(height=HEIGHT))


def units_text(report: Report) -> str:
    """Units per order as one sentence."""
    number = units_per_order(int(report.totals["orders"] or 0), int(report.totals["units_sold"] or 0))
    return f"{UNITS_PER_ORDER} by {report.grain}: {formatting.decimal(number, formatting.reader_locale())} in all."


def statuses(counts: pd.DataFrame, of: Breakdown) -> alt.LayerChart:
    """Orders by status as one stacked bar: the most frequent ones, and all others together."""
    parts = _parts(counts, of)
    locale, whole = formatting.reader_locale(), sum(number for _, number in parts)
    frame = pd.DataFrame(parts, columns=["series", "orders"])
    frame["at"] = range(len(parts))
    frame["high"] = frame["orders"].cumsum()
    frame["low"] = frame["high"] - frame["orders"]
    frame["Orders"] = [formatting.count(number, locale) for _, number in parts]
    frame["Share"] = [formatting.percent(number / whole if whole else None, locale) for _, number in parts]
    names = [name for name, _ in parts]
    colours = [GREY if name == _OTHER else palette()[i] for i, name in enumerate(names)]
    bars = (
        alt.Chart(frame)
        .mark_bar(height=34, cursor="pointer")
        .encode(
            alt.X("low:Q", axis=None, scale=alt.Scale(domain=[0, max(whole, 1)], nice=False)),
            x2="high:Q",
            color=alt.Color(
                "series:N", sort=names, scale=alt.Scale(domain=names, range=colours),
                legend=alt.Legend(
                    orient="top", title=None, columns=_A_ROW, labelColor=label_colour(), labelLimit=160, offset=6
                ),
            ),
            tooltip=[alt.Tooltip("series:N", title=of.label), alt.Tooltip("Orders:N"), alt.Tooltip("Share:N")],
        )
        .add_params(click("at"))
    )  # fmt: skip
    return cast(alt.LayerChart, alt.layer(bars).properties(height=92 if len(names) <= _A_ROW else 112))


def statuses_text(counts: pd.DataFrame, of: Breakdown) -> str:
    """Orders by status as one sentence."""
    parts = _parts(counts, of)
    locale, whole = formatting.reader_locale(), sum(number for _, number in parts)
    told = [
        f"{name} {formatting.count(number, locale)} ({formatting.percent(number / whole if whole else None, locale)})"
        for name, number in parts
    ]
    return f"{', '.join(told)}." if told else "No orders."


def status_values(counts: pd.DataFrame, of: Breakdown) -> list[str]:
    """The stored values behind the parts of statuses(), the most frequent first; none for those that are summed up."""
    rows = sorted((int(row["orders"]), of.name(row["value"]), row["value"]) for row in counts.to_dict("records"))
    found = [value for orders, _, value in reversed(rows) if orders]
    return found if len(found) <= _MOST_PARTS else found[:_MOST_PARTS]


def _parts(counts: pd.DataFrame, of: Breakdown) -> list[tuple[str, int]]:
    """Names with orders, most first; what is beyond the palette is one part."""
    rows = sorted(((int(row["orders"]), of.name(row["value"])) for row in counts.to_dict("records")), reverse=True)
    found = [(name, orders) for orders, name in rows if orders]
    if len(found) <= _MOST_PARTS:
        return found
    return [*found[:_MOST_PARTS], (_OTHER, sum(orders for _, orders in found[_MOST_PARTS:]))]


def _by_bucket(report: Report) -> list[float | None]:
    both = zip(report.by["orders"], report.by["units_sold"], strict=True)
    return [units_per_order(int(orders), int(units)) for orders, units in both]


UNITS_PER_ORDER = "Units per order"
