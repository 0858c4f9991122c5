"""My board as one Excel file: a sheet for all cards together, and one for each other item, in the board's order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from core.analytics.breakdowns import BREAKDOWN
from core.analytics.metrics import METRIC
from core.analytics.unknown import Unknown
from core.auth import goals
from core.reports import overview, sales
from core.reports.table import Column, Measured, Row, Table
from core.ui import downloads, goals_view, sales_view
from core.ui.board_view import View, known, split


def menu(view: View, items: Sequence[str]) -> None:
    """The export menu, for those whose role may export and where there is something on the board."""
    if known(items):
        told = "Everything on your board: all cards on one sheet, and a sheet for each other item."
        downloads.book(view.shop, "My board", (view.period, view.against), told, partial(sheets, view, items))


def sheets(view: View, items: Sequence[str]) -> list[Table]:
    """A table for each item that this program can draw, cards together where the first of them stands."""
    found: list[Table] = []
    cards = [thing for kind, thing in map(split, known(items)) if kind == "card"]
    for kind, thing in map(split, known(items)):
        if kind != "card":
            found.append(_TABLES[kind](view, thing))
        elif thing == cards[0]:
            found.append(_cards(view, cards))
    return found


def _cards(view: View, slugs: Sequence[str]) -> Table:
    every = overview.figures(*view.reports)
    rows = dict(zip(METRIC, every.rows, strict=True))
    return replace(every, rows=[rows[slug] for slug in slugs])


def _trend(view: View, slug: str) -> Table:
    return replace(overview.compared(*view.reports, (slug,)), title=f"{METRIC[slug].label} by {view.grain}")


def _breakdown(view: View, slug: str) -> Table:
    """Of bars every value, too: on the page those above ten are one."""
    of = BREAKDOWN[slug]
    frame = sales_view.load_breakdown(view.shop, of, view.period, view.against)
    return sales.breakdown([*frame.to_dict("records"), sales_view.breakdown_total(frame, of)], of)


def _top(view: View, slug: str) -> Table:
    report, _ = view.reports
    if slug == "products":
        return overview.products(report.top_products)
    return overview.customers(report.top_customers, view.shop.time_zone)


def _goal(view: View, slug: str) -> Table:
    """One goal of this month, whatever the period: unknown is empty."""
    metric, month = METRIC[slug], view.today.replace(day=1)
    target = goals.goals_of(view.shop.shop_id, month).get(slug)
    pace = goals_view.load_pace(view.shop, slug, target, view.today) if target is not None else None
    known_pace = None if pace is None or isinstance(pace, Unknown) else pace
    landing = known_pace.landing if known_pace else None
    figures: tuple[tuple[str, float | None], ...] = (
        ("Goal", target),
        ("Until yesterday", known_pace.so_far if known_pace else None),
        ("Today so far", known_pace.today if known_pace else None),
        ("Due by now", known_pace.due if known_pace else None),
        ("Expected landing", None if isinstance(landing, Unknown) else landing),
        ("Needed per day", known_pace.needed_per_day if known_pace else None),
    )
    rows: list[Row] = [
        [month, label, Measured(None if number is None else round(number), metric.unit)] for label, number in figures
    ]
    columns = (Column("month", "date"), Column("figure", "text"), Column("value", "number", "Value", metric.definition))
    return Table(f"Goal {metric.label}", columns, rows)


_TABLES: Mapping[str, Callable[[View, str], Table]] = {
    "trend": _trend, "bars": _breakdown, "table": _breakdown, "top": _top, "goal": _goal,
}  # fmt: skip
