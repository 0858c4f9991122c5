"""From a figure to the orders and ledger rows behind it: by a link, by a click into a chart, or by keyboard."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import altair as alt
import streamlit as st

from core.analytics.breakdowns import Breakdown
from core.analytics.metrics import METRIC
from core.analytics.period import Grain, Period
from core.auth.accounts import ShopAccess
from core.db.ledger import LEDGER_MEASURES
from core.ui import charts, formatting, narrow
from core.ui.session import follow, keep, recall, run_again

ORDERS, BOOKED = "Orders placed", "Ledger rows"
_EVERYTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Way:
    """Where one mark of a chart leads: what it is called, and what opens the Orders page with its rows.

    With `here` the rows are opened on the page of the chart itself; see behind_view.
    """

    label: str
    query: Mapping[str, str | list[str]]
    here: bool = False


def address(
    shop: ShopAccess,
    period: Period,
    dimension: str | None = None,
    value: str = "",
    rows: str = ORDERS,
    measure: str = "total_sales",
    wanted: Mapping[str, str] = _EVERYTHING,
) -> dict[str, str | list[str]]:
    """What opens the Orders page with these orders, or ledger rows, narrowed alike; see orders_view.follow_link().

    `measure` is what the ledger rows are to count in, `wanted` what else they are narrowed to: an hour of the week, or
    the month of the first order; see frames_orders.orders_by_day().
    """
    days = {"from": period.start.isoformat(), "to": period.end.isoformat()}
    chosen = {"of": dimension, "value": value} if dimension else {}
    return {
        "shop": shop.domain, **days, **narrow.to_link(shop.filters, dimension), **chosen, **wanted,
        **({"list": rows, "counting": measure} if rows != ORDERS else {}),
    }  # fmt: skip


def link(
    shop: ShopAccess,
    period: Period,
    label: str,
    dimension: str | None = None,
    value: str = "",
    key: str = "to_orders",
    rows: str = ORDERS,
) -> None:
    """A way to the orders of a period, to those of one value of a dimension, or to what was booked in it."""
    query, icon = address(shop, period, dimension, value, rows), _ICONS[rows]
    with st.container(key=key, width="content"):
        st.page_link("orders.py", label=formatting.plain(label), icon=icon, query_params=query)


def below_cards(shop: ShopAccess, period: Period, of: str = "") -> None:
    """The two ways from a page's cards: to the orders, and to each row that their amounts are sums of.

    `of` tells them from those below other cards of the page.
    """
    with st.container(horizontal=True, key=f"behind_cards{of}"):
        link(shop, period, "See the orders", key=f"to_orders{of}")
        link(shop, period, "See the ledger rows", key=f"to_rows{of}", rows=BOOKED)


def chart(drawn: alt.LayerChart, text: str, key: str, ways: Sequence[Way], *, here: bool = False) -> None:
    """A chart whose marks lead to their rows; below it the same ways as a list, for those without a pointer.

    The chart says by charts.PICKED which of `ways` was clicked, as a number from 0. On the page of the rows itself
    (`here`) its address changes.
    """
    event: Any = st.altair_chart(drawn, alt=text, key=fresh(key), on_select="rerun", selection_mode=charts.PICKED)
    listed(key, ways, picked(event, len(ways)), here=here)


def listed(key: str, ways: Sequence[Way], clicked: int | None = None, *, here: bool = False) -> None:
    """Ways as a list to choose from; what was `clicked` beside it goes first."""
    key = fresh(key)
    chosen = st.selectbox(
        _HINT, range(len(ways)), index=None, format_func=[way.label for way in ways].__getitem__, key=f"{key}_ways",
        placeholder=_HINT, label_visibility="collapsed", width=200,
    )  # fmt: skip
    number = chosen if clicked is None else clicked
    before = recall(f"drilled_{key}")
    keep(f"drilled_{key}", number)
    if number is None or number == before:  # a mark stays marked where its chart stays
        return
    _go(ways[number], here=here)


def open_once(way: Way | None, source: str) -> None:
    """Go the way of what was just chosen in one of the page's tables or charts; None where nothing is."""
    label = way.label if way else None
    before = recall(f"opened_{source}")
    keep(f"opened_{source}", label)
    if way is not None and label != before:
        _go(way)


def _go(way: Way, *, here: bool = False) -> NoReturn:
    if not (here or way.here):
        follow("orders.py", way.query)
    for name, value in way.query.items():
        st.query_params[name] = value
    run_again()


def choose(name: str, chosen: int | None, source: str) -> None:
    """Put what was just chosen in one of the page's tables or charts into the address, and run again."""
    before = recall(f"chosen_{source}")
    keep(f"chosen_{source}", chosen)
    if chosen is not None and chosen != before:
        st.query_params[name] = str(chosen)
        run_again()


def asked(name: str) -> int | None:
    """The number that the address asks for under this name, None for none; -1 for what is no number."""
    text = st.query_params.get(name)
    if not text:
        return None
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) and abs(int(text)) < 2**63 else -1


def close(name: str) -> None:
    """The button that takes a number out of the address."""
    if st.button("Close", key=f"close_{name}", icon=":material/close:"):
        closed(name)


def closed(*names: str) -> NoReturn:
    """Take what was opened out of the address, and run again with nothing chosen."""
    for name in names:
        st.query_params.pop(name, None)
    keep("times_closed", (recall("times_closed") or 0) + 1)
    run_again()


def fresh(key: str) -> str:
    """The key of a table or chart to choose from: another one once the rows it opened were closed.

    Else the choice would stay, and choosing the same again say nothing.
    """
    times = recall("times_closed")
    return f"{key}_{times}" if times else key


def picked(event: Any, marks: int) -> int | None:
    """The number of the mark that was clicked; None for none, or one that is no longer there."""
    points = event.selection.get(charts.PICKED) or []
    number = next((round(value) for point in points for value in point.values()), None) if points else None
    return number if number is not None and 0 <= number < marks else None


def of_buckets(shop: ShopAccess, period: Period, grain: Grain, rows: str = ORDERS) -> list[Way]:
    """The ways of a chart by bucket."""
    return [
        Way(charts.bucket_name(bucket, grain), address(shop, bucket.period, rows=rows))
        for bucket in period.buckets(grain)
    ]


def of_metric(shop: ShopAccess, period: Period, grain: Grain, slug: str) -> list[Way]:
    """The ways of a chart of one metric by bucket: to the ledger rows of an amount, else to the orders."""
    parts = [(charts.bucket_name(bucket, grain), bucket.period) for bucket in period.buckets(grain)]
    if slug in LEDGER_MEASURES or slug in ("net_sales", "total_sales"):
        return of_measures(shop, parts, (slug,), "{part}")
    return of_buckets(shop, period, grain)


def of_measures(
    shop: ShopAccess, parts: Sequence[tuple[str, Period]], slugs: Sequence[str], name: str = "{measure}, {part}"
) -> list[Way]:
    """The ways of a chart of measures over named parts of a period, measure after measure, to their ledger rows.

    What a measure is only a part of (discounts and taxes are in rows that count as something else) shows all of it.
    """
    return [
        Way(
            name.format(measure=METRIC[slug].label, part=part),
            address(shop, days, rows=BOOKED, measure=_ROWS_OF.get(slug, slug)),
        )
        for slug in slugs
        for part, days in parts
    ]


def of_values_by_bucket(shop: ShopAccess, period: Period, grain: Grain, dimension: str, value: str) -> list[Way]:
    """The ways of a chart by bucket to the orders with one value of a dimension."""
    return [
        Way(charts.bucket_name(bucket, grain), address(shop, bucket.period, dimension, value))
        for bucket in period.buckets(grain)
    ]


def of_values(shop: ShopAccess, period: Period, of: Breakdown, values: Sequence[str]) -> list[Way]:
    """The ways of a chart by a dimension's values."""
    return [Way(of.name(value), address(shop, period, of.slug, value)) for value in values]


_ROWS_OF = {"discounts": "gross_sales", "taxes": "total_sales"}
_HINT = "See the rows of…"
_ICONS = {ORDERS: ":material/receipt_long:", BOOKED: ":material/list_alt:"}
