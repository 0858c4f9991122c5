"""Cards: a figure, its change against the compared period, its own line, and what it means."""

from collections.abc import Sequence
from datetime import date
from typing import Literal

import streamlit as st

from core.analytics.metrics import METRIC, Metric, Value
from core.analytics.report import Report
from core.db.money import from_minor
from core.ui import formatting

_VERSUS = {"Previous": "vs before", "Day": "vs day before", "Year": "vs last year"}
_LEFT_OUT = "Test and deleted orders are left out."


def cards(
    report: Report,
    before: Report | None,
    slugs: Sequence[str],
    currency: str,
    today: date,
    comparison: str,
    in_a_row: int = 3,
    key: str = "cards",
) -> None:
    """One card per metric, `in_a_row` side by side and two on a phone."""
    locale = formatting.reader_locale()
    with st.grid(in_a_row, min_column_width=150, gap="small", key=key):
        for slug in slugs:
            metric, number = METRIC[slug], report.totals[slug]
            previous = before.totals[slug] if before else None
            moved = metric.change(number, previous)
            st.metric(
                metric.short or metric.label,
                formatting.card_value(number, slug, currency, locale),
                delta=_delta(moved, locale) if before else None,
                delta_color=_colour(metric, moved),
                delta_arrow="off"
                if moved is None or not formatting.is_change(moved)
                else "up"
                if moved > 0
                else "down",
                delta_description=versus(comparison) if before else None,
                help=meaning(report, before, slug, currency, today),
                border=True,
                height="stretch",
                chart_data=sparkline(report, slug, currency, today),
                chart_type="area",
            )


def versus(comparison: str) -> str:
    """What a change is against, short enough for two cards beside each other on a phone; the tooltip has the dates."""
    return _VERSUS.get(comparison.split(" ", 1)[0], "vs other range")


def meaning(report: Report, before: Report | None, slug: str, currency: str, today: date) -> str:
    """A card's tooltip as Markdown: the definition, the days, the exact figures, and why one is unknown."""
    locale, metric, number = formatting.reader_locale(), METRIC[slug], report.totals[slug]
    exact = formatting.value(number, metric.unit, currency, locale)
    about = f"{metric.label}: {metric.definition}" if metric.short else metric.definition
    lines = [about, _LEFT_OUT, f"{formatting.period(report.period, today)}: {exact}."]
    if number is None:
        lines[-1] = f"{formatting.period(report.period, today)}: unknown. {metric.why_unknown}"
    if before is not None:
        there = before.totals[slug]
        exact = formatting.value(there, metric.unit, currency, locale)
        lines.append(f"{formatting.period(before.period, today)}: {exact if there is not None else 'unknown'}.")
        if number is not None and metric.change(number, there) is None:
            lines.append("There is no change in percent from nothing.")
    if report.period.end >= today:
        lines.append("Today is not over yet; the line leaves it out.")
    return "  \n".join(formatting.plain(line) for line in lines)


def sparkline(report: Report, slug: str, currency: str, today: date) -> list[float] | None:
    """A card's line: the metric of each finished bucket that has one, money in whole units; None under two points.

    It rises where there is more of it, as the arrow does: what is taken off is drawn without its minus sign.
    """
    finished = [bucket.period.end < today for bucket in report.period.buckets(report.grain)]
    numbers = [
        _plotted(number, METRIC[slug], currency)
        for number, over in zip(report.by[slug], finished, strict=True)
        if over and number is not None
    ]
    return numbers if len(numbers) > 1 else None


def _plotted(number: Value, metric: Metric, currency: str) -> float:
    size = -(number or 0) if metric.below_zero else number or 0
    if metric.unit == "money":
        return float(from_minor(int(size), currency))
    return round(float(size) * 100, 1) if metric.unit == "percent" else float(size)


def _delta(moved: float | None, locale: str) -> str:
    return formatting.DASH if moved is None else formatting.change(moved, locale)


def _colour(metric: Metric, moved: float | None) -> Literal["green", "red", "gray"]:
    if moved is None or not formatting.is_change(moved) or metric.good == "neutral":
        return "gray"
    return "green" if (moved > 0) == (metric.good == "up") else "red"
