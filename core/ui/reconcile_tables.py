"""Ours and Shopify's figures side by side: the table by day, the chart of differences, what each measure means."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, cast

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics.metrics import METRIC
from core.analytics.period import Bucket, Period
from core.analytics.reconcile import Comparison, Explanation, is_explained
from core.auth.accounts import ShopAccess
from core.db.money import from_minor
from core.reports.table import Column, Measured, Row, Table
from core.sync.reconcile import COLUMNS
from core.ui import charts, columns, downloads, formatting
from core.ui.downloads import Offer

_ROW = 36
Why = Mapping[date, Sequence[Explanation]]


def label(slug: str) -> str:
    """What a measure is called."""
    return METRIC[slug].label


def day_name(day: date) -> str:
    """A day in words: "Wed 18 Nov 2026"."""
    return f"{day:%a} {formatting.day(day, year=True)}"


def written(number: int | None, slug: str, currency: str, locale: str) -> str:
    """A figure in full; a dash where Shopify gave none."""
    return formatting.value(number, METRIC[slug].unit, currency, locale)


def explained_days(comparison: Comparison, why: Why) -> list[date]:
    """The days that differ, those nothing explains first, then the latest first."""
    days = sorted(comparison.differing, reverse=True)
    return sorted(days, key=lambda day: is_explained(why.get(day, ())))


def by_day(comparison: Comparison, why: Why, today: date, shop: ShopAccess, span: Period) -> None:
    """A row per day, the latest first: whether it agrees, the difference of each measure or both sides of one."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader(f"By day, amounts in {shop.currency}", anchor=False, width="content")
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            labels = {METRIC[slug].label: slug for slug in reversed(comparison.measures)}
            label = st.selectbox(
                "Show", [*labels, _ALL], index=0, key="compared_measure", bind="query-params", width=190,
                label_visibility="collapsed",
            )  # fmt: skip
            menu(comparison, why, shop, span)
    slug = None if label == _ALL else labels.get(label or "", "total_sales")
    sides = ("difference",) if slug is None else ("ours", "theirs", "difference")
    slugs = comparison.measures if slug is None else (slug,)
    rows = [_row(day, figures, slugs, sides, why, today, shop.currency) for day, figures in _days(comparison)]
    numbers = [name for name in rows[0] if name not in ("Day", "Result", "Differs in", "Why")]
    st.dataframe(
        _highlighted(pd.DataFrame(rows), [name for name in numbers if name not in ("Here", "Shopify")]),
        hide_index=True, key="by_day", row_height=_ROW, height=min(len(rows) + 1, 13) * _ROW + 2,
        placeholder=formatting.DASH,
        alt="Whether each day agrees with Shopify, with the differences and what explains them",
        column_config={
            "Day": st.column_config.DateColumn(format="ddd, D MMM YYYY", pinned=True),
            "Result": st.column_config.TextColumn(pinned=True, help="= both sides agree, \u00d7 they differ."),
            "Differs in": st.column_config.TextColumn(width="medium"),
            "Why": st.column_config.TextColumn(width="large"),
            **{name: _number_column(name, slugs, shop.currency) for name in numbers},
        },
    )  # fmt: skip


def menu(comparison: Comparison, why: Why, shop: ShopAccess, span: Period, drawn: Any = None) -> None:
    """Every day and measure as files, with the chart where there is one."""
    made, title = partial(table_of, comparison, why, shop.currency), "Compared with Shopify"
    kind = "differences" if drawn is not None else "reconcile"
    downloads.menu(shop, Offer(title, kind, len(comparison.rows), made, span, chart=drawn))


def table_of(comparison: Comparison, why: Why, currency: str) -> Table:
    """Every day and measure with both sides and the difference, exact; unknown is empty."""
    reasons = {day: " ".join(one.text for one in found) for day, found in why.items()}
    rows: list[Row] = [
        [row["day"], row["measure"], COLUMNS[row["measure"]],
         *(Measured(row[side], METRIC[row["measure"]].unit) for side in ("ours", "theirs", "difference")),
         reasons.get(row["day"]) if row["difference"] else None]
        for row in comparison.rows.to_dict("records")
    ]  # fmt: skip
    columns = (
        Column("day", "date"), Column("measure", "text"), Column("shopify_column", "text", "Column of Shopify's"),
        Column(f"ours {currency}", "number", "Ours"), Column(f"shopify {currency}", "number", "Shopify"),
        Column("difference", "number", "Difference", SIGN),
        Column("why", "text"),
    )  # fmt: skip
    return Table("Compared with Shopify", columns, rows)


def drawn_measure(comparison: Comparison) -> str:
    """The measure whose differences are drawn: total sales, or the first that differs where that one does not."""
    found = {slug for differences in comparison.differing.values() for slug in differences}
    return next(slug for slug in ("total_sales", *comparison.measures) if slug in found)


def chart(comparison: Comparison, slug: str, currency: str) -> alt.LayerChart:
    """The difference of one measure by day as bars, above zero where ours is more."""
    locale, unit = formatting.reader_locale(), METRIC[slug].unit
    rows = comparison.rows[comparison.rows["measure"] == slug].to_dict("records")
    buckets = [Bucket(row["day"], Period(row["day"], row["day"])) for row in rows]
    numbers = [_number(row["difference"] or 0, slug, currency) for row in rows]
    frame = pd.DataFrame(
        {
            "i": [i - 0.4 for i in range(len(rows))],
            "right": [i + 0.4 for i in range(len(rows))],
            "low": 0.0,
            "value": numbers,
            "When": [day_name(row["day"]) for row in rows],
            "Here": [written(row["ours"], slug, currency, locale) for row in rows],
            "Shopify": [written(row["theirs"], slug, currency, locale) for row in rows],
            "Difference": [written(row["difference"], slug, currency, locale) for row in rows],
        }
    )
    bars = (
        alt.Chart(frame)
        .mark_rect(color=charts.palette()[1])
        .encode(
            charts.x_axis([charts.bucket_tick(bucket, "day", len(rows)) for bucket in buckets], bars=True),
            charts.y_axis(frame["value"], unit, currency, locale),
            x2="right:Q",
            y2="low:Q",
            tooltip=[alt.Tooltip(f"{name}:N") for name in ("When", "Here", "Shopify", "Difference")],
        )
    )
    return cast(alt.LayerChart, alt.layer(bars).properties(height=200))


def chart_text(comparison: Comparison, slug: str, currency: str) -> str:
    """The bars as one sentence."""
    rows = [row for row in comparison.rows.to_dict("records") if row["measure"] == slug and row["difference"]]
    worst = max(rows, key=lambda row: abs(row["difference"]))
    largest = written(worst["difference"], slug, currency, formatting.reader_locale())
    days = f"{len(rows)} day{'' if len(rows) == 1 else 's'}"
    return f"{METRIC[slug].label} differs on {days}, most on {day_name(worst['day'])}: {largest}."


def definitions() -> None:
    """What each measure is here, and which column of Shopify's report it is held against."""
    shown = {
        "Measure": [METRIC[slug].label for slug in COLUMNS],
        "Here": [METRIC[slug].definition for slug in COLUMNS],
        "In Shopify's report": [f"sales.{name}" for name in COLUMNS.values()],
    }
    st.dataframe(
        pd.DataFrame(shown), hide_index=True, key="definitions", row_height=_ROW, height="content",
        alt="Each measure, what it means here, and the column of Shopify's report it is compared with",
        column_config={
            "Measure": st.column_config.TextColumn(pinned=True),
            "Here": st.column_config.TextColumn(width="large"),
        },
    )  # fmt: skip
    st.caption(
        "Left out on both sides: test and deleted orders, gift cards and tips. A refund counts on the day it was made, "
        "a purchase on the day it was processed, on the store's own clock."
    )


def _days(comparison: Comparison) -> list[tuple[date, dict[str, dict[str, Any]]]]:
    """The rows of each day by measure, the latest day first."""
    found: dict[date, dict[str, dict[str, Any]]] = {}
    for row in comparison.rows.to_dict("records"):
        found.setdefault(row["day"], {})[row["measure"]] = {str(name): value for name, value in row.items()}
    return sorted(found.items(), reverse=True)


def _row(
    day: date, figures: Mapping[str, Mapping[str, Any]], slugs: Sequence[str], sides: Sequence[str],
    why: Why, today: date, currency: str,
) -> dict[str, Any]:  # fmt: skip
    differs = any(row["difference"] for row in figures.values())
    unknown = any(row["theirs"] is None for row in figures.values())
    agrees = _UNKNOWN if unknown else _AGREES
    result = (_OPEN if day >= today else _DIFFERS) if differs else agrees
    cells = {
        (METRIC[slug].label if len(sides) == 1 else _SIDES[side]): _number(figures[slug][side], slug, currency)
        for slug in slugs
        for side in sides
    }
    found = " ".join(one.text for one in why.get(day, ())) or "Unexplained."
    wrong = ", ".join(METRIC[name].label for name, row in figures.items() if row["difference"])
    told = {"Differs in": wrong, "Why": found if differs else ""}
    return {"Day": day, "Result": result, **cells, **told}


def _highlighted(frame: pd.DataFrame, names: Sequence[str]) -> Any:
    """The frame with every difference on a tinted ground; what it says stands in the text too."""
    tint = "background-color: #6B4A12" if st.context.theme.type == "dark" else "background-color: #FFE8C2"
    return frame.style.map(lambda number: tint if number and not pd.isna(number) else "", subset=list(names))


def _number(minor: int | None, slug: str, currency: str) -> float | None:
    if minor is None:
        return None
    return float(from_minor(minor, currency)) if METRIC[slug].unit == "money" else float(minor)


def _number_column(name: str, slugs: Sequence[str], currency: str) -> Any:
    slug = next((slug for slug in slugs if METRIC[slug].label == name), slugs[0])
    about = formatting.plain(f"{METRIC[slug].label}: {METRIC[slug].definition}")
    is_money = METRIC[slug].unit == "money"
    return columns.money(currency, meaning=about) if is_money else columns.count(meaning=about)


SIGN = "What is counted here less what Shopify counts: above zero, this app has more."
_ALL = "Every difference"
_AGREES, _DIFFERS, _OPEN, _UNKNOWN = "= Agrees", "\u00d7 Differs", "\u2026 Not over yet", "? No answer"
_SIDES = {"ours": "Here", "theirs": "Shopify", "difference": "Difference"}
