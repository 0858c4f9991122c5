"""What the Goals page shows, and one goal wherever it is shown: its pace, its chart, and how earlier months ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from math import ceil
from typing import cast
from zoneinfo import ZoneInfo

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics.goals import GOALS, Pace, month_sums, pace
from core.analytics.metrics import METRIC, Unit
from core.analytics.period import Period
from core.analytics.unknown import Unknown
from core.auth import goals
from core.auth.accounts import ShopAccess
from core.auth.goals import Target
from core.db.money import exponent
from core.reports.table import Column, Measured, Row, Table
from core.sync.jobs import sync_status
from core.ui import charts, columns, downloads, formatting
from core.ui.downloads import Offer
from core.ui.forecast_view import last_whole_day, load_daily

_SMALL = 180
SLUGS = tuple(metric.slug for metric in GOALS)
_HOW = (
    "Days differ in what they bring: each day of the month weighs as much as its weekday brought in the last eight "
    "weeks. The month lands where the days that are over point to."
)
_HOW_EVENLY = "Every day since the first one with sales weighs the same, because there are no eight weeks of sales yet."


@dataclass(frozen=True)
class Ended:
    """A month that is over: what it was to reach and what it brought, None where that is not known."""

    month: date
    slug: str
    target: int
    reached: int | None


def load_pace(shop: ShopAccess, slug: str, target: int, today: date) -> Pace | Unknown:
    """Where this month is on its way to a target, as of the day the data was fetched."""
    last = last_whole_day(shop, today)
    as_of = last + timedelta(days=1) if last is not None else None
    if as_of is None or as_of.replace(day=1) != today.replace(day=1):
        return Unknown("Nothing of this month was fetched yet. It shows after the next sync.")
    return pace(load_daily(shop, slug, as_of), target, as_of)


def card(shop: ShopAccess, slug: str, target: int, today: date, *, small: bool = False) -> None:
    """One goal of this month: what is reached, what is expected, what is needed, and the way there as a chart.

    A `small` one fits into half of a page.
    """
    metric = METRIC[slug]
    found = load_pace(shop, slug, target, today)
    with st.container(border=True, height="stretch", key=f"goal_{slug}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            name = f"{metric.label}, {formatting.month(today)}"
            st.subheader(name, anchor=False, width="content", help=formatting.plain(metric.definition))
            if isinstance(found, Pace):
                _verdict(found)
        if isinstance(found, Unknown):
            locale = formatting.reader_locale()
            goal = formatting.value(target, metric.unit, shop.currency, locale)
            st.markdown(f"The goal is {formatting.plain(goal)}.")
            st.caption(found.reason)
            return
        _progress(found, metric.unit, shop.currency)
        _figures(found, slug, shop.currency, border=not small)
        text = chart_text(found, slug, shop.currency)
        drawn = chart(found, slug, shop.currency).properties(height=_SMALL if small else charts.HEIGHT)
        st.altair_chart(drawn, alt=text, key=f"goal_chart_{slug}")


def _verdict(found: Pace) -> None:
    if found.so_far + found.today >= found.target:
        st.badge("Reached", icon=":material/flag:", color="green")
    elif found.ahead is None:
        st.badge("Just begun", icon=":material/hourglass_empty:", color="gray")
    elif found.ahead:
        st.badge("On track", icon=":material/check:", color="green")
    else:
        st.badge("Behind", icon=":material/trending_down:", color="orange")


def _progress(found: Pace, unit: Unit, currency: str) -> None:
    locale, now = formatting.reader_locale(), found.so_far + found.today
    amounts = (formatting.plain(formatting.value(each, unit, currency, locale)) for each in (now, found.target))
    share = formatting.plain(formatting.percent(now / found.target, locale))
    st.progress(min(max(now / found.target, 0.0), 1.0), text=f"{' of '.join(amounts)}, {share}, today included")


def _figures(found: Pace, slug: str, currency: str, *, border: bool) -> None:
    locale, unit, over = formatting.reader_locale(), METRIC[slug].unit, len(found.reached)
    days = len(found.path) - over
    known = None if isinstance(found.landing, Unknown) else found.landing
    off = found.so_far - round(found.due)
    with st.grid(3, min_column_width=145, gap="small", key=f"goal_figures_{slug}"):
        st.metric(
            f"Until {formatting.day(found.month + timedelta(days=over - 1))}" if over else "Until yesterday",
            formatting.card_value(found.so_far if over else None, slug, currency, locale),
            delta=_signed(off, unit, currency, locale) if known is not None else None,
            delta_color="gray" if off == 0 else "normal", delta_arrow="off" if off == 0 else "auto",
            delta_description="vs due",
            border=border, height="stretch", help=_told(found, unit, currency),
        )  # fmt: skip
        gap = None if known is None else (known - found.target) / found.target
        st.metric(
            "Expected landing",
            formatting.card_value(None if known is None else round(known), slug, currency, locale),
            delta=None if gap is None else formatting.change(gap, locale),
            delta_color="normal" if gap and formatting.is_change(gap) else "gray",
            delta_arrow="auto" if gap and formatting.is_change(gap) else "off",
            delta_description="vs goal",
            border=border, height="stretch",
            help=formatting.plain(found.landing.reason if isinstance(found.landing, Unknown) else _how(found)),
        )  # fmt: skip
        needed = ceil(found.needed_per_day)
        st.metric(
            "Needed per day",
            formatting.card_value(needed, slug, currency, locale) if unit == "money"
            else formatting.short_decimal(found.needed_per_day, locale),
            border=border, height="stretch",
            help=f"On average over {days} {'days' if days > 1 else 'day'}, today included; 0 once it is reached.",
        )  # fmt: skip


def _told(found: Pace, unit: Unit, currency: str) -> str:
    if not found.reached:
        return "No day of this month is over yet."
    locale, day = formatting.reader_locale(), found.month + timedelta(days=len(found.reached))
    exact, due, now = (
        formatting.value(each, unit, currency, locale) for each in (found.so_far, round(found.due), found.today)
    )
    return formatting.plain(
        f"{exact} on the days that are over; {due} was due. {formatting.day(day)} has {now} so far, which is left out."
    )


def _how(found: Pace) -> str:
    return _HOW if found.by_weekday else _HOW_EVENLY


def _signed(number: int, unit: Unit, currency: str, locale: str) -> str:
    text = formatting.value(abs(number), unit, currency, locale)
    return f"{'+' if number > 0 else '-' if number < 0 else ''}{text}"


def chart(found: Pace, slug: str, currency: str) -> alt.LayerChart:
    """The month added up day by day: as it was, as it is expected, and the way to exactly the goal."""
    locale, unit = formatting.reader_locale(), METRIC[slug].unit
    scale = 10 ** exponent(currency) if unit == "money" else 1
    start = max(len(found.reached) - 1, 0)
    series: dict[str, tuple[int, Sequence[float]]] = {
        _REACHED: (0, found.reached), _EXPECTED: (start, found.expected), _PATH: (0, found.path),
    }  # fmt: skip
    rows = [
        (first + i, name, value / scale) for name, (first, values) in series.items() for i, value in enumerate(values)
    ]
    lines = pd.DataFrame(rows, columns=["i", "series", "value"])
    names = [name for name, (_, values) in series.items() if values]
    days = [found.month + timedelta(days=i) for i in range(len(found.path))]
    hover = pd.DataFrame({"i": range(len(days)), "Day": [f"{day:%a} {formatting.day(day)}" for day in days]})
    for name, (first, values) in series.items():
        if values:
            shown = [formatting.value(round(value), unit, currency, locale) for value in values]
            after = [formatting.DASH] * (len(days) - first - len(shown))
            hover[name] = [*[formatting.DASH] * first, *shown, *after]
    x = charts.x_axis([formatting.day(day) for day in days])
    legend = charts.legend(symbolType="stroke")
    looks = _looks()
    line = (
        alt.Chart(lines)
        .mark_line(strokeWidth=2.2, strokeCap="round", point=len(found.reached) == 1)
        .encode(
            x,
            charts.y_axis(lines["value"], unit, currency, locale),
            color=alt.Color(
                "series:N", sort=names, legend=legend,
                scale=alt.Scale(domain=names, range=[looks[name][0] for name in names]),
            ),
            strokeDash=alt.StrokeDash(
                "series:N", sort=names, legend=legend,
                scale=alt.Scale(domain=names, range=[looks[name][1] for name in names]),
            ),
        )
    )  # fmt: skip
    return cast(alt.LayerChart, alt.layer(line, charts.hover_rule(hover, x)))


def _looks() -> dict[str, tuple[str, list[int]]]:
    main, second = charts.palette()[:2]
    return {_REACHED: (main, [1, 0]), _EXPECTED: (main, [4, 4]), _PATH: (second, [2, 3])}


def chart_text(found: Pace, slug: str, currency: str) -> str:
    """The chart as one sentence."""
    locale, metric = formatting.reader_locale(), METRIC[slug]
    landing = None if isinstance(found.landing, Unknown) else round(found.landing)
    so_far, goal, expected = (
        formatting.value(each, metric.unit, currency, locale) for each in (found.so_far, found.target, landing)
    )
    end = f"{expected} expected" if landing is not None else "the landing is not known yet"
    return f"{metric.label} added up over {formatting.month(found.month)}: {so_far} of {goal} reached, {end}."


def upcoming(found: Sequence[Target], today: date, shop: ShopAccess) -> None:
    """What changes from a later month on."""
    locale = formatting.reader_locale()
    for each in sorted(found, key=lambda target: (target.month, target.metric)):
        if each.month > today and each.metric in SLUGS:
            metric = METRIC[each.metric]
            goal = formatting.value(each.target, metric.unit, shop.currency, locale)
            text = f"a goal of {goal}" if each.target is not None else "no goal"
            st.caption(formatting.plain(f"From {formatting.month(each.month)}: {metric.label.lower()}, {text}."))


def ended(shop: ShopAccess, found: Sequence[Target], today: date) -> list[Ended]:
    """Every month that is over and had a goal, the newest first."""
    last = last_whole_day(shop, today)
    if last is None or not found:
        return []
    as_of, known_from = (last + timedelta(days=1)).replace(day=1), _known_from(shop)
    rows = []
    for slug in SLUGS:
        sums = month_sums(load_daily(shop, slug, last))
        month = min(each.month for each in found)
        while month < today.replace(day=1):
            target = goals.in_month(tuple(found), month).get(slug)
            if target is not None:
                known = known_from <= month < as_of
                rows.append(Ended(month, slug, target, sums.get(month) if known else None))
            month = (month + timedelta(days=32)).replace(day=1)
    return sorted(rows, key=lambda row: (-row.month.toordinal(), SLUGS.index(row.slug)))


def _known_from(shop: ShopAccess) -> date:
    """From which day on the token sees orders; without such a limit every month is known."""
    froms = [stream.history_from for stream in sync_status(shop.shop_id).streams if stream.stream == "orders"]
    since = [each.astimezone(ZoneInfo(shop.time_zone)).date() for each in froms if each is not None]
    return max(since, default=date.min)


def past(rows: Sequence[Ended], shop: ShopAccess) -> None:
    """How earlier months ended, with the file."""
    with st.container(border=True, key="past_card"):
        head = downloads.head("Months that are over")
        if not rows:
            st.markdown("No month with a goal is over yet.")
            return
        locale = formatting.reader_locale()
        shown = {
            "Month": [formatting.month(row.month) for row in rows],
            "Measure": [METRIC[row.slug].label for row in rows],
            "Goal": [formatting.value(row.target, METRIC[row.slug].unit, shop.currency, locale) for row in rows],
            "Reached": [formatting.value(row.reached, METRIC[row.slug].unit, shop.currency, locale) for row in rows],
            "Of the goal": columns.shares(row.reached and row.reached / row.target for row in rows),
            "Result": [_result(row) or formatting.DASH for row in rows],
        }
        st.dataframe(
            pd.DataFrame(shown), hide_index=True, key="past", placeholder=formatting.DASH,
            alt="Months that are over with their goal, what was reached, and whether that was enough",
            column_config={
                "Month": st.column_config.TextColumn(pinned=True),
                "Goal": st.column_config.TextColumn(alignment="right"),
                "Reached": st.column_config.TextColumn(
                    alignment="right", help="A dash where the month was not fetched as a whole."
                ),
                "Of the goal": columns.percent(),
            },
        )  # fmt: skip
        with head:
            days = Period(rows[-1].month, (rows[0].month + timedelta(days=32)).replace(day=1) - timedelta(days=1))
            downloads.menu(shop, Offer("Goals", "goals", len(rows), partial(past_table, rows, shop.currency), days))


def past_table(rows: Sequence[Ended], currency: str) -> Table:
    """The months with the first day of each; unknown is empty."""
    heads = (
        Column("month", "date"), Column("measure", "text"), Column("unit", "text"), Column("goal", "number"),
        Column("reached", "number"), Column("result", "text"),
    )  # fmt: skip
    written: list[Row] = [
        [row.month, row.slug, currency if METRIC[row.slug].unit == "money" else "",
         *(Measured(each, METRIC[row.slug].unit) for each in (row.target, row.reached)),
         (_result(row) or "").lower() or None]
        for row in rows
    ]  # fmt: skip
    return Table("Goals", heads, written)


def _result(row: Ended) -> str | None:
    if row.reached is None:
        return None
    return "Hit" if row.reached >= row.target else "Missed"


_REACHED, _EXPECTED, _PATH = "Reached", "Expected", "Path to the goal"
