"""My board: what can be on it, how it is drawn, and how a user puts it together.

An item is stored as a slug, "kind:thing". One that this program does not know is shown as no longer available and
stays until its owner removes it: boards outlive the versions of a program.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import pandas as pd
import streamlit as st

from core.analytics.breakdowns import ADJUSTMENTS, BREAKDOWN, BREAKDOWNS, Breakdown
from core.analytics.frames_behind import NOT_LISTED, OF_NO_PRODUCT, number, titled, value_is
from core.analytics.goals import GOALS
from core.analytics.metrics import METRIC, METRICS
from core.analytics.period import CUSTOM, Comparison, Grain, Period, automatic_grain
from core.analytics.report import Report
from core.auth import goals
from core.auth.accounts import Account, ShopAccess
from core.auth.boards import MOST, board_of, save_board
from core.db.money import from_minor
from core.errors import AppError
from core.ui import (
    bars,
    behind_view,
    cards,
    charts,
    drill,
    formatting,
    goals_view,
    products_view,
    sales_view,
    states,
    tables,
)
from core.ui.data import load_report
from core.ui.session import go_to, keep, recall, run_again

_MOST_BARS = 10
_CARDS_IN_A_ROW = 4


@dataclass(frozen=True)
class View:
    """What every item of a board is drawn from; `against` is the compared period, chosen by `how`."""

    shop: ShopAccess
    today: date
    period: Period
    against: Period | None
    comparison: str
    how: Comparison = "Previous period"

    @property
    def grain(self) -> Grain:
        """Day, week or month, by the length of the period."""
        return automatic_grain(self.period)

    @cached_property
    def reports(self) -> tuple[Report, Report | None]:
        """The report of the period, and of the compared one."""
        before = load_report(self.shop, self.against, self.grain, top=0) if self.against else None
        return load_report(self.shop, self.period, self.grain), before


@dataclass(frozen=True)
class Kind:
    """What an item can be: its name in a list, the things it can show by their slugs, and what draws one.

    Neighbours without `draw` are drawn together, as a row of cards.
    """

    slug: str
    label: str
    things: Mapping[str, str]
    draw: Callable[[View, str], None] | None


def name_of(slug: str) -> str | None:
    """What an item is called; None for one that this program does not know."""
    kind, thing = split(slug)
    return f"{KIND[kind].label}: {KIND[kind].things[thing]}" if kind in KIND and thing in KIND[kind].things else None


def known(items: Sequence[str]) -> list[str]:
    """The items that this program can draw."""
    return [slug for slug in items if name_of(slug) is not None]


def toolbar(items: Sequence[str]) -> bool:
    """The button that begins and ends editing; whether the board is being edited."""
    editing = bool(recall("board_edit"))
    if editing:
        pressed = st.button("Done", key="board_done", icon=":material/check:", type="primary")
    else:
        pressed = bool(items) and st.button("Edit", key="board_edit_button", icon=":material/edit:")
    if pressed:
        keep("board_edit", not editing)
        run_again()
    return editing


def begin(user: Account, shop: ShopAccess) -> None:
    """What an empty board offers."""
    st.info(
        "This page is yours: pick the figures, charts and tables you look at most. Nobody else sees it.",
        title="An empty board", icon=":material/dashboard_customize:",
    )  # fmt: skip
    with st.container(horizontal=True, key="board_begin"):
        if st.button("Start with a good set", key="board_start", type="primary", icon=":material/auto_awesome:"):
            _save(user, shop, STARTING_SET)
        if st.button("Choose yourself", key="board_choose", icon=":material/edit:"):
            keep("board_edit", True)
            run_again()


def edit(user: Account, shop: ShopAccess, items: Sequence[str]) -> None:
    """The items in their order with what moves and removes each, and what adds another."""
    _add(user, shop, items)
    with st.container(border=True, key="board_items"):
        st.subheader(f"On your board: {len(items)} of {MOST}", anchor=False)
        if not items:
            st.caption("Nothing yet. Add something above.")
        for at, slug in enumerate(items):
            _row(user, shop, items, at, slug)


def _add(user: Account, shop: ShopAccess, items: Sequence[str]) -> None:
    with st.container(border=True, key="board_add_card"):
        left, right, end = st.columns([2, 3, 1], vertical_alignment="bottom")
        kind = left.selectbox("Add", list(KIND), key="board_kind", format_func=_KIND_LABELS.__getitem__)
        things = {f"{kind}:{thing}": name for thing, name in KIND[kind].things.items()}
        free = [slug for slug in things if slug not in items]
        chosen = right.selectbox(
            "Of", free, key=f"board_thing_{kind}", format_func=things.__getitem__, placeholder="All are on the board",
            disabled=not free,
        )  # fmt: skip
        full = len(items) >= MOST
        pressed = end.button(
            "Add", key="board_add", type="primary", icon=":material/add:", disabled=full or chosen is None,
            width="stretch",
        )  # fmt: skip
        if full:
            st.caption(f"A board has room for {MOST} items. Remove one to add another.")
    if pressed and chosen is not None:
        _save(user, shop, [*items, chosen])


def _row(user: Account, shop: ShopAccess, items: Sequence[str], at: int, slug: str) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=f"board_row_{slug}"
    ):
        name = name_of(slug)
        st.markdown(formatting.plain(name) if name else _gone(slug), width="content")
        with st.container(horizontal=True, width="content", gap="small", key=f"board_buttons_{slug}"):
            up = st.button("Up", key=f"board_up_{slug}", icon=":material/arrow_upward:", disabled=at == 0)
            down = st.button(
                "Down", key=f"board_down_{slug}", icon=":material/arrow_downward:", disabled=at == len(items) - 1
            )
            remove = st.button("Remove", key=f"board_remove_{slug}", icon=":material/close:")
    if up:
        _save(user, shop, _swapped(items, at - 1, at))
    elif down:
        _save(user, shop, _swapped(items, at, at + 1))
    elif remove:
        _save(user, shop, [*items[:at], *items[at + 1 :]])


def _swapped(items: Sequence[str], first: int, second: int) -> list[str]:
    moved = list(items)
    moved[first], moved[second] = moved[second], moved[first]
    return moved


def _save(user: Account, shop: ShopAccess, items: Sequence[str]) -> None:
    try:
        save_board(user.user_id, shop.shop_id, items)
    except AppError as error:
        st.error(formatting.plain(str(error)), icon=":material/error:")
        return
    run_again()


def load_items(user: Account, shop: ShopAccess) -> tuple[str, ...]:
    """The slugs of the user's board of this store, in their order."""
    return board_of(user.user_id, shop.shop_id)


def show(view: View, items: Sequence[str], span: Period) -> None:
    """The board. Where nothing was sold in the period it says so, unless it shows goals only."""
    if any(split(slug)[0] != "goal" for slug in known(items)):
        report, _ = view.reports
        states.stop_without_sales(report, span, view.shop)
        states.warn_of_unclassified(report)
    for group in grouped(items):
        if _is_card(group[0]):
            _cards(view, group)
            continue
        places = st.columns(len(group))
        for place, slug in zip(places, group, strict=True):
            with place:
                _draw(view, slug)
        behind_view.of_sales(view.shop, view.period, [thing for kind, thing in map(split, group) if kind == "bars"])


def grouped(items: Sequence[str]) -> list[list[str]]:
    """Items that stand side by side: cards that follow each other, and all others by two."""
    groups: list[list[str]] = []
    for slug in items:
        last = groups[-1] if groups else []
        fits = bool(last) and _is_card(last[0]) == _is_card(slug) and (_is_card(slug) or len(last) < 2)
        if fits:
            last.append(slug)
        else:
            groups.append([slug])
    return groups


def _is_card(slug: str) -> bool:
    return name_of(slug) is not None and split(slug)[0] == "card"


def _cards(view: View, slugs: Sequence[str]) -> None:
    report, before = view.reports
    of = [split(slug)[1] for slug in slugs]
    in_a_row = 3 if len(of) in (3, 5, 6, 9) else _CARDS_IN_A_ROW
    cards.cards(
        report, before, of, view.shop.currency, view.today, view.comparison, in_a_row, key=f"board_cards_{of[0]}"
    )
    drill.below_cards(view.shop, view.period, f"_{of[0]}")


def _draw(view: View, slug: str) -> None:
    kind, thing = split(slug)
    if name_of(slug) is None:
        with st.container(border=True, height="stretch", key=f"board_gone_{slug}"):
            st.caption(f"{_gone(slug)} Remove it with Edit.")
    elif draw := KIND[kind].draw:
        draw(view, thing)


def _gone(slug: str) -> str:
    return f"No longer available: {formatting.plain(slug)}."


def split(slug: str) -> tuple[str, str]:
    """The kind of an item, and its thing."""
    kind, _, thing = slug.partition(":")
    return kind, thing


def _trend(view: View, slug: str) -> None:
    report, before = view.reports
    with st.container(border=True, height="stretch", key=f"board_trend_{slug}"):
        st.subheader(f"{METRIC[slug].label} by {view.grain}", anchor=False, help=charts.LIGHTER)
        given = (report, before, slug, view.shop.currency, view.today, view.comparison)
        key = f"board_trend_chart_{slug}_{view.period.start}_{view.period.end}"
        ways = drill.of_metric(view.shop, view.period, view.grain, slug)
        drill.chart(charts.trend(*given), charts.trend_text(*given), key, ways)


def _bars(view: View, slug: str) -> None:
    of, currency, locale = BREAKDOWN[slug], view.shop.currency, formatting.reader_locale()
    rows = bar_rows(sales_view.load_breakdown(view.shop, of, view.period, view.against))
    with st.container(border=True, height="stretch", key=f"board_bars_{slug}"):
        st.subheader(f"Net sales by {of.label.lower()}", anchor=False, help=formatting.plain(of.definition))
        frame = pd.DataFrame(
            {
                "label": [name for name, _ in rows],
                "value": [float(from_minor(net, currency)) for _, net in rows],
                "shown": [formatting.axis_value(net, "money", currency, locale) for _, net in rows],
                "Net sales": [formatting.money(net, currency, locale) for _, net in rows],
            }
        )
        text, ways = f"Net sales by {of.label.lower()}, highest first.", bar_ways(view, of)
        if not ways:
            st.altair_chart(bars.bars(frame), alt=text, key=f"board_bars_chart_{slug}")
        else:
            listed = [name for name, _ in rows if name in ways]
            frame["at"] = [listed.index(name) if name in ways else -1 for name, _ in rows]
            key = f"board_bars_chart_{slug}_{view.period.start}_{view.period.end}"
            drill.chart(bars.bars(frame), text, key, [ways[name] for name in listed])
        _open_on(view, "Sales", f"bars_{slug}", split=of.label)


def bar_ways(view: View, of: Breakdown) -> dict[str, drill.Way]:
    """From the bars of a breakdown to the ledger rows that each is the sum of, by name; none for customers, variants.

    In a breakdown, what the catalogue does not have is without a type or vendor, too.
    """
    if of.slug in ("customer", "variant"):
        return {}
    frame = sales_view.load_breakdown(view.shop, of, view.period, view.against)
    values: dict[str, list[str]] = {}
    if of.slug == "product":
        for row in products_view.load_products(view.shop, view.period).to_dict("records"):
            alone = row["product_id"] == 0 and row["title"] == ""
            name = ADJUSTMENTS if alone else of.name(row["title"])
            written = number(row["product_id"]) if row["product_id"] else titled(row["title"])
            values.setdefault(name, []).append(OF_NO_PRODUCT if alone else written)
    else:
        for name, value in zip(frame["name"], frame["value"], strict=True):
            of_none = of.of_products and value == "" and name == ADJUSTMENTS
            unlisted = of.of_products and value == "" and not of_none
            written = OF_NO_PRODUCT if of_none else value_is(value)
            values.setdefault(name, []).extend([written, NOT_LISTED] if unlisted else [written])
    shown = [name for name, _ in bar_rows(frame)]
    return behind_view.ways_of_bars(of.slug, shown, list(dict.fromkeys(frame["name"])), values)


def _open_on(view: View, page: str, key: str, **chosen: str) -> None:
    """What opens another page with exactly the days and comparison of the board, and what is `chosen` there."""
    if st.button(f"Open on {page}", key=f"board_open_{key}", icon=":material/arrow_forward:", type="tertiary"):
        days = [view.period.start.isoformat(), view.period.end.isoformat()]
        query = {name: [each] for name, each in {"shop": view.shop.domain, "compare": view.how, **chosen}.items()}
        go_to(f"{page.lower().replace(' ', '_')}.py", {**query, "range": [CUSTOM], "dates": days})


def bar_rows(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """Name and net sales of a breakdown, highest first; above ten the rest is one. They add up to all of it."""
    sums = frame.groupby("name", sort=False)["net_sales"].sum().sort_values(ascending=False, kind="stable")
    rows = [(str(name), int(net)) for name, net in sums.items()]
    if len(rows) <= _MOST_BARS:
        return rows
    rest = rows[_MOST_BARS - 1 :]
    return [*rows[: _MOST_BARS - 1], (f"{len(rest)} others", sum(net for _, net in rest))]


def _table(view: View, slug: str) -> None:
    of = BREAKDOWN[slug]
    frame = sales_view.load_breakdown(view.shop, of, view.period, view.against)
    rows = [(row["name"], row) for row in (*frame.to_dict("records"), sales_view.breakdown_total(frame, of))]
    with st.container(border=True, height="stretch", key=f"board_table_{slug}"):
        title = f"By {of.label.lower()}, amounts in {view.shop.currency}"
        st.subheader(title, anchor=False, help=formatting.plain(of.definition))
        tables.measures(rows, of.label.lower(), of.columns, view.shop, f"board_table_rows_{slug}")
        _open_on(view, "Sales", f"table_{slug}", split=of.label)


def _top(view: View, slug: str) -> None:
    report, _ = view.reports
    with st.container(border=True, height="stretch", key=f"board_top_{slug}"):
        st.subheader(f"Top {slug}", anchor=False)
        if slug == "customers":
            tables.customers(report.top_customers, view.shop, key="board_top_customers_rows")
        else:
            tables.products(report.top_products, view.shop, key="board_top_products_rows")
        _open_on(view, "Date filter", f"top_{slug}")


def _goal(view: View, slug: str) -> None:
    target = goals.goals_of(view.shop.shop_id, view.today.replace(day=1)).get(slug)
    if target is not None:
        goals_view.card(view.shop, slug, target, view.today, small=True)
        return
    with st.container(border=True, height="stretch", key=f"goal_{slug}"):
        st.subheader(f"{METRIC[slug].label}, {formatting.month(view.today)}", anchor=False)
        st.caption("No goal is set for this month.")
        st.page_link("goals.py", label="Go to Goals", icon=":material/flag:")


_TOP = {"customers": "Customers", "products": "Products"}
_OF_METRICS = {metric.slug: metric.label for metric in METRICS}
_OF_BREAKDOWNS = {breakdown.slug: breakdown.label for breakdown in BREAKDOWNS}
KINDS = (
    Kind("card", "Card", _OF_METRICS, None),
    Kind("trend", "Trend", _OF_METRICS, _trend),
    Kind("bars", "Bars", _OF_BREAKDOWNS, _bars),
    Kind("table", "Table", _OF_BREAKDOWNS, _table),
    Kind("top", "Top list", _TOP, _top),
    Kind("goal", "Goal", {metric.slug: metric.label for metric in GOALS}, _goal),
)
KIND: Mapping[str, Kind] = {kind.slug: kind for kind in KINDS}
_KIND_LABELS = {kind.slug: kind.label for kind in KINDS}
STARTING_SET = (
    "card:total_sales", "card:orders", "card:average_order_value", "card:new_customers", "trend:total_sales",
    "goal:net_sales", "bars:channel", "bars:customer_kind", "top:products", "top:customers",
)  # fmt: skip
