"""Charts of sales taken apart: by hour, from gross to total, and what was taken off, each with its sentence."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

import altair as alt
import pandas as pd

from core.analytics.metrics import METRIC, Value
from core.analytics.report import Report
from core.analytics.sales import Hours
from core.db.money import from_minor
from core.reports.sales import DAYS
from core.ui import formatting
from core.ui.charts import (
    GREY,
    HEIGHT,
    bucket_name,
    bucket_tick,
    click,
    label_colour,
    legend,
    palette,
    x_axis,
    y_axis,
)
from core.ui.heat_maps import heat_map


@dataclass(frozen=True)
class Stretches:
    """Buckets or hours as a chart writes them: on the axis, in full, and whether each is over."""

    ticks: tuple[str, ...]
    names: tuple[str, ...]
    over: tuple[bool, ...]


def of_buckets(report: Report, today: date) -> Stretches:
    """The buckets of a report."""
    buckets = report.period.buckets(report.grain)
    return Stretches(
        tuple(bucket_tick(bucket, report.grain, report.period.days) for bucket in buckets),
        tuple(bucket_name(bucket, report.grain) for bucket in buckets),
        tuple(bucket.period.end < today for bucket in buckets),
    )


def of_hours(hours: Hours, now: datetime) -> Stretches:
    """The hours of a few days; `now` on the shop's clock says which are over."""
    at = list(zip(hours.by["day"], hours.by["hour"], strict=True))
    many = hours.period.days > 1
    return Stretches(
        tuple(f"{hour:02}:00" if hour or not many else formatting.day(day) for day, hour in at),
        tuple(f"{day:%a} {formatting.day(day, year=True)}, {hour:02}:00 to {hour:02}:59" for day, hour in at),
        tuple((day, hour) < (now.date(), now.hour) for day, hour in at),
    )


def by_hour(
    hours: Hours, before: Hours | None, slug: str, currency: str, at: Stretches, comparison: str
) -> alt.LayerChart:
    """One metric by hour as bars, those of the compared days as a dashed grey line; hours to come are empty."""
    locale, metric = formatting.reader_locale(), METRIC[slug]
    there = list(before.by[slug])[: len(at.ticks)] if before else []
    there += [None] * (len(at.ticks) - len(there))
    frame = pd.DataFrame(
        {
            "at": range(len(at.ticks)),
            "i": [i - 0.4 for i in range(len(at.ticks))],
            "right": [i + 0.4 for i in range(len(at.ticks))],
            "low": 0.0,
            "value": [_plotted(number, slug, currency) for number in hours.by[slug]],
            "over": at.over,
            "When": at.names,
            metric.label: [formatting.value(number, metric.unit, currency, locale) for number in hours.by[slug]],
        }
    )
    told = ["When", metric.label]
    line = pd.DataFrame({"i": range(len(there)), "value": [_plotted(number, slug, currency) for number in there]})
    if before is not None:
        frame[comparison] = [formatting.value(number, metric.unit, currency, locale) for number in there]
        told.append(comparison)
    x = x_axis(at.ticks, bars=True)
    y = y_axis(pd.concat([frame["value"], line["value"]]), metric.unit, currency, locale)
    bars = (
        alt.Chart(frame)
        .mark_rect(color=palette()[0], cursor="pointer")
        .encode(
            x, y, x2="right:Q", y2="low:Q", tooltip=[alt.Tooltip(f"{name}:N") for name in told],
            opacity=alt.condition("datum.over", alt.value(1), alt.value(0.55)),
        )
        .add_params(click("at"))
    )  # fmt: skip
    layers = [bars]
    if before is not None:
        shown = line.dropna().assign(series=comparison)
        colour = alt.Color("series:N", scale=alt.Scale(range=[GREY]), legend=legend(symbolType="stroke"))
        layers.append(alt.Chart(shown).mark_line(strokeDash=[4, 4], strokeWidth=2).encode(x, y, color=colour))
    return cast(alt.LayerChart, alt.layer(*layers).properties(height=HEIGHT))


def taken_off(by: pd.DataFrame, currency: str, at: Stretches) -> alt.LayerChart:
    """Discounts and sales reversals by bucket, stacked away from zero; a bucket that is not over is lighter."""
    locale = formatting.reader_locale()
    labels = [METRIC[slug].label for slug in TAKEN_OFF]
    ends = {True: [0] * len(by), False: [0] * len(by)}
    rows = []
    for slug, label in zip(TAKEN_OFF, labels, strict=True):
        for i, number in enumerate(by[slug]):
            stack = ends[number >= 0]
            foot, stack[i] = stack[i], stack[i] + int(number)
            low, high = _major(foot, currency), _major(stack[i], currency)
            shown = formatting.money(number, currency, locale)
            rows.append((i - 0.4, i + 0.4, low, high, label, at.over[i], at.names[i], shown))
    frame = pd.DataFrame(rows, columns=["i", "right", "low", "value", "series", "over", "When", "Amount"])
    frame["at"] = range(len(frame))
    scale = alt.Scale(domain=labels, range=palette()[: len(labels)])
    bars = (
        alt.Chart(frame)
        .mark_rect(cursor="pointer")
        .encode(
            x_axis(at.ticks, bars=True),
            y_axis(frame["value"], "money", currency, locale),
            x2="right:Q",
            y2="low:Q",
            color=alt.Color("series:N", sort=labels, scale=scale, legend=legend()),
            opacity=alt.condition("datum.over", alt.value(1), alt.value(0.55)),
            tooltip=[alt.Tooltip("When:N"), alt.Tooltip("series:N", title="Measure"), alt.Tooltip("Amount:N")],
        )
        .add_params(click("at"))
    )
    return cast(alt.LayerChart, alt.layer(bars).properties(height=HEIGHT))


def waterfall(report: Report, currency: str) -> alt.LayerChart:
    """From gross sales down to total sales, a bar for each step; sums are in the main colour."""
    locale = formatting.reader_locale()
    frame = pd.DataFrame(
        [
            (label, _major(low, currency), _major(high, currency), kind, formatting.money(amount, currency, locale))
            for label, low, high, kind, amount in steps(report)
        ],
        columns=["Step", "low", "high", "kind", "Amount"],
    )
    frame["at"] = range(len(frame))
    frame["end"] = frame[["low", "high"]].max(axis=1)
    labels = list(frame["Step"])
    low, high = min(0.0, frame[["low", "high"]].to_numpy().min()), max(0.0, frame["end"].max())
    margin = (high - low or 1.0) * 0.3  # amounts are written behind the bars
    base = alt.Chart(frame).encode(
        alt.Y(
            "Step:N", sort=labels, title=None, scale=alt.Scale(domain=labels, paddingInner=0.25),
            axis=alt.Axis(labelColor=label_colour(), ticks=False, domain=False, labelLimit=120),
        ),
        tooltip=[alt.Tooltip("Step:N"), alt.Tooltip("Amount:N")],
    )  # fmt: skip
    kinds = ("Sum", "Added", "Taken off")
    colours = (palette()[0], palette()[3], palette()[1])
    bars = (
        base.mark_bar(cornerRadius=2, cursor="pointer")
        .encode(
            alt.X("low:Q", title=None, axis=None, scale=alt.Scale(domain=[low, high + margin], nice=False)),
            x2="high:Q",
            color=alt.Color("kind:N", sort=list(kinds), legend=legend(), scale=alt.Scale(domain=kinds, range=colours)),
        )
        .add_params(click("at"))
    )
    amounts = base.mark_text(align="left", dx=6, color=label_colour()).encode(x="end:Q", text="Amount:N")
    return cast(alt.LayerChart, alt.layer(bars, amounts).properties(height=HEIGHT))


def steps(report: Report) -> list[tuple[str, int, int, str, int]]:
    """The bars of the waterfall in minor units: label, where it begins and ends, kind, amount; rare zeros left out."""
    found, level = [], 0
    for slug in step_slugs(report):
        amount = int(report.totals[slug] or 0)
        if slug in _SUMS:
            found.append((METRIC[slug].label, 0, amount, "Sum", amount))
            level = amount
        else:
            found.append((METRIC[slug].label, level, level + amount, "Added" if amount > 0 else "Taken off", amount))
            level += amount
    return found


def step_slugs(report: Report) -> list[str]:
    """The measures of steps(), in its order."""
    return [slug for slug in _STEPS if slug not in _RARE or report.totals[slug]]


def waterfall_text(report: Report, currency: str) -> str:
    """The waterfall as one sentence."""
    locale = formatting.reader_locale()
    parts = [f"{label.lower()} {formatting.money(amount, currency, locale)}" for label, *_, amount in steps(report)]
    return f"From gross to total: {', '.join(parts)}."


def taken_off_text(report: Report, currency: str, grain: str) -> str:
    """Discounts and reversals as one sentence."""
    locale = formatting.reader_locale()
    both = (f"{METRIC[slug].label} {_total(report, slug, currency, locale)}" for slug in TAKEN_OFF)
    return f"By {grain}: {', '.join(both)}."


def by_hour_text(report: Report, slug: str, currency: str) -> str:
    """A metric by hour as one sentence."""
    total = _total(report, slug, currency, formatting.reader_locale())
    return f"{METRIC[slug].label} by hour of the store's clock: {total} in all."


def weekday_hours(frame: pd.DataFrame, slug: str, currency: str) -> alt.LayerChart:
    """Orders or net sales of frames_sales.weekday_hours() as a heat map; a click says the number of a row."""
    locale, metric = formatting.reader_locale(), METRIC[slug]
    names = list(DAYS)
    at = zip(frame["weekday"], frame["hour"], strict=True)
    cells = pd.DataFrame(
        {
            "row": [names[day] for day in frame["weekday"]],
            "column": [f"{hour:02}" for hour in frame["hour"]],
            "value": [max(0.0, float(number)) for number in frame[slug]],
            "shown": "",
            "at": range(len(frame)),
            "When": [f"{DAYS[day]}, {hour:02}:00 to {hour:02}:59" for day, hour in at],
            metric.label: [formatting.value(number, metric.unit, currency, locale) for number in frame[slug]],
        }
    )
    hours = [f"{hour:02}" for hour in range(24)]
    return heat_map(cells, names, hours, ("", ""), float(cells["value"].max()))


def weekday_hours_text(frame: pd.DataFrame, slug: str, currency: str) -> str:
    """When most is ordered or sold, as one sentence."""
    locale, metric = formatting.reader_locale(), METRIC[slug]
    best = frame.iloc[int(frame[slug].to_numpy().argmax())]
    if best[slug] <= 0:
        return f"{metric.label} by weekday and hour: none."
    most = formatting.value(int(best[slug]), metric.unit, currency, locale)
    hour = f"{best['hour']:02}"
    return f"Most {metric.label.lower()} on {DAYS[best['weekday']]}s from {hour}:00 to {hour}:59: {most}."


def _total(report: Report, slug: str, currency: str, locale: str) -> str:
    return formatting.value(report.totals[slug], METRIC[slug].unit, currency, locale)


def _plotted(number: Value, slug: str, currency: str) -> float | None:
    if number is None:
        return None
    return _major(int(number), currency) if METRIC[slug].unit == "money" else float(number)


def _major(minor: int, currency: str) -> float:
    return float(from_minor(minor, currency))


TAKEN_OFF = ("discounts", "sales_reversals")
_STEPS = (
    "gross_sales", "discounts", "sales_reversals", "net_sales", "shipping", "taxes", "duties", "additional_fees",
    "return_fees", "total_sales",
)  # fmt: skip
_SUMS = ("gross_sales", "net_sales", "total_sales")
_RARE = ("duties", "additional_fees", "return_fees")
