"""The products page's parts: products ranked and compared, types and vendors, returns, and what is bought together."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any, Literal

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics import frames_behind, frames_customers, frames_products
from core.analytics.affinity import LEAST_ORDERS, MOST_PRODUCTS, Affinity, affinity
from core.analytics.breakdowns import ADJUSTMENTS
from core.analytics.frames_behind import NOT_LISTED, OF_NO_PRODUCT, number, titled, value_is
from core.analytics.metrics import change
from core.analytics.period import Period
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import from_minor
from core.reports.table import Column, Table, measure, of_frame
from core.ui import bars, behind_view, charts, columns, downloads, drill, formatting
from core.ui.data import load_filter_values
from core.ui.downloads import Offer

_ROW = 36
_MOST_BARS = 10
_PAIRS = 15


def load_products(shop: ShopAccess, period: Period) -> pd.DataFrame:
    """See frames_products.product_sales; the column `listed` says whether the catalogue has the product."""
    return _products(shop.shop_id, shop.data_version, shop.filters, period.start, period.end)


def ranked_card(now: pd.DataFrame, before: pd.DataFrame, shop: ShopAccess, period: Period) -> int | None:
    """Products, best or worst first, with a choice of what that means; the id of the chosen row's product."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader("Products", anchor=False, width="content", help="Choose a row to see the product in full.")
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            by = _choice("Ranked by", _BY, "ranked")
            highest = _choice("Order", {"Highest first": True, "Lowest first": False}, "order")
            made = partial(products_table, now, before)
            downloads.menu(shop, Offer("Products", "products", len(now), made, period, period.previous()))
    ranked = ranking(now, before, by, highest=highest)
    # A choice is a row's number, so another order or period is another table.
    key = drill.fresh(f"products_{by}_{highest}_{period.start}_{period.end}")
    row = _ranked_table(ranked, shop, key)
    chosen, opened = _chosen(None if row is None else ranked.iloc[row])
    drill.open_once(opened, key)
    rest = int(now.loc[_adjustments(now), "net_sales"].sum())
    if rest:
        amount = formatting.money(rest, shop.currency, formatting.reader_locale())
        st.caption(formatting.plain(f"{ADJUSTMENTS}, not listed: {amount}."))
    return chosen


def ranking(now: pd.DataFrame, before: pd.DataFrame, by: str, *, highest: bool) -> pd.DataFrame:
    """Products of a period by one of their columns, ties by title, with net sales before and refund rate.

    Columns added: before (None where it was not sold then), change (a fraction of 1 or None), refund_rate (the same).
    """
    known = now[~_adjustments(now)]
    there = before.set_index(["product_id", "title"])["net_sales"].to_dict()
    rows = known.to_dict("records")
    earlier = [there.get((row["product_id"], row["title"])) for row in rows]
    added = {
        "before": earlier,
        "change": [change(row["net_sales"], old) for row, old in zip(rows, earlier, strict=True)],
        "refund_rate": [_refund_rate(row) for row in rows],
    }
    frame = known.assign(**{name: pd.Series(column, index=known.index, dtype=object) for name, column in added.items()})
    order = frame.sort_values([by, "title", "product_id"], ascending=[not highest, True, True])
    return order.reset_index(drop=True)


def products_table(now: pd.DataFrame, before: pd.DataFrame) -> Table:
    """A row per product, best first, and one for what belongs to none: they add up to net sales."""
    rest = now[_adjustments(now)].assign(title=ADJUSTMENTS, before=None, change=None, refund_rate=None)
    frame = pd.concat([ranking(now, before, "net_sales", highest=True), rest.astype(object)])
    columns = (
        Column("product_id", "id", "Product id"), Column("title", "text", "Product"),
        Column("product_type", "text", "Type"), Column("vendor", "text"),
        *map(measure, ("gross_sales", "discounts", "sales_reversals", "net_sales")),
        Column("net_sales_before", "money", "Net sales before", "In the compared period."),
        *map(measure, ("units_sold", "units_returned", "refund_rate")),
    )  # fmt: skip
    frame["product_id"] = frame["product_id"].astype(object).where(frame["product_id"] != 0, None)
    return of_frame("Products", frame.rename(columns={"before": "net_sales_before"}), columns)


def groups_card(now: pd.DataFrame, shop: ShopAccess, field: Literal["product_type", "vendor"], period: Period) -> None:
    """Net sales by product type or vendor, the smaller ones summed up."""
    name = _FIELDS[field]
    rows, every = grouped(now, field), groups(now, field)
    locale = formatting.reader_locale()
    frame = pd.DataFrame(
        {
            "label": [label for label, _, _ in rows],
            "value": [float(from_minor(net, shop.currency)) for _, net, _ in rows],
            "shown": [formatting.axis_value(net, "money", shop.currency, locale) for _, net, _ in rows],
            "Net sales": [formatting.money(net, shop.currency, locale) for _, net, _ in rows],
            "Units sold": [formatting.count(units, locale) for _, _, units in rows],
        }
    )
    openable = group_ways(now, shop, field, period)
    listed = [label for label, _, _ in rows if label in openable]
    frame["at"] = [listed.index(label) if label in openable else -1 for label in frame["label"]]
    drawn, title = bars.bars(frame), f"Net sales by {name}"
    made = partial(Table, title, (Column(field, "text"), measure("net_sales"), measure("units_sold")), every)
    with downloads.head(title):
        downloads.menu(shop, Offer(title, f"sales_by_{field}", len(every), made, period, chart=drawn))
    ways = [openable[label] for label in listed]
    drill.chart(drawn, f"{title}, highest first.", f"by_{field}_{period.start}_{period.end}", ways)


def group_ways(
    now: pd.DataFrame, shop: ShopAccess, field: Literal["product_type", "vendor"], period: Period
) -> dict[str, drill.Way]:
    """From the bars of grouped() to the ledger rows that each is the sum of, by label.

    Where only what the catalogue has is behind a bar, on the Orders page; else here, see behind_view.
    """
    bars_of, every = [row[0] for row in grouped(now, field)], [row[0] for row in groups(now, field)]
    parts = {label: [label] for label in bars_of}
    if len(bars_of) < len(every):
        parts[bars_of[-1]] = every[_MOST_BARS - 1 :]
    values = _values(now, field)
    found = behind_view.ways_of_bars(field, bars_of, every, values)
    offered = {value_is(value): value for value in load_filter_values(shop)[field]}
    for label, named in parts.items():
        behind = [value for each in named for value in values[each]]
        if all(value in offered for value in behind):
            asked = tuple(sorted(offered[value] for value in behind))
            types, vendors = (
                (asked, shop.filters.vendor) if field == "product_type" else (shop.filters.product_type, asked)
            )
            narrowed = replace(shop, filters=replace(shop.filters, product_type=types, vendor=vendors))
            found[label] = drill.Way(label, drill.address(narrowed, period, rows=drill.BOOKED, measure="net_sales"))
    return found


def _values(now: pd.DataFrame, field: str) -> dict[str, list[str]]:
    """What is behind each label of groups(), written for frames_behind.OfSales."""
    written = now[field].map(value_is).where(now["listed"], NOT_LISTED).mask(_adjustments(now), OF_NO_PRODUCT)
    return {str(label): sorted(set(each)) for label, each in written.groupby(_labels(now, field))}


def grouped(now: pd.DataFrame, field: str) -> list[tuple[str, int, int]]:
    """As groups(); above ten the rest is one."""
    rows = groups(now, field)
    if len(rows) <= _MOST_BARS:
        return rows
    rest = rows[_MOST_BARS - 1 :]
    other = (f"{len(rest)} others", sum(net for _, net, _ in rest), sum(units for _, _, units in rest))
    return [*rows[: _MOST_BARS - 1], other]


def groups(now: pd.DataFrame, field: str) -> list[tuple[str, int, int]]:
    """Name, net sales and units sold by a column, highest first. They add up to all."""
    summed = now.groupby(_labels(now, field))[["net_sales", "units_sold"]].sum().reset_index(names="label")
    summed = summed.sort_values(["net_sales", "label"], ascending=[False, True])
    return [(str(row.label), int(row.net_sales), int(row.units_sold)) for row in summed.itertuples()]


def _labels(now: pd.DataFrame, field: str) -> "pd.Series[str]":
    labels = now[field].where(now[field] != "", f"Without a {_FIELDS[field]}")
    labels = labels.where(now["listed"], behind_view.UNLISTED)
    return labels.mask(_adjustments(now), ADJUSTMENTS)


def returns_card(now: pd.DataFrame, shop: ShopAccess, period: Period) -> None:
    """Each product as a dot: how much is sold of it, and how much of that comes back."""
    head = downloads.head("Units sold and refund rate", _REFUND_RATE)
    rows = [row for row in ranking(now, now, "units_sold", highest=True).to_dict("records")
            if row["refund_rate"] is not None and row["units_sold"] > 0]  # fmt: skip
    if not rows:
        st.caption("Unknown: nothing was sold in this period, so there is nothing to divide by.")
        return
    locale = formatting.reader_locale()
    frame = pd.DataFrame(
        {
            "units": [row["units_sold"] for row in rows],
            "value": [row["refund_rate"] for row in rows],
            "Product": [row["title"] or _UNTITLED for row in rows],
            "Units sold": [formatting.count(row["units_sold"], locale) for row in rows],
            "Refund rate": [formatting.percent(row["refund_rate"], locale) for row in rows],
            "Net sales": [formatting.money(row["net_sales"], shop.currency, locale) for row in rows],
        }
    )
    x = alt.X(
        "units:Q", title="Units sold", scale=alt.Scale(zero=True, nice=True),
        axis=alt.Axis(grid=False, labelColor=charts.label_colour(), titleColor=charts.label_colour(),
                      titleFontWeight="normal", tickMinStep=1, format="~s"),
    )  # fmt: skip
    frame["at"] = range(len(rows))
    tips = [alt.Tooltip(f"{name}:N") for name in ("Product", "Units sold", "Refund rate", "Net sales")]
    dots = alt.Chart(frame).mark_circle(size=70, opacity=0.75, color=charts.palette()[0], cursor="pointer")
    points = dots.encode(x, charts.y_axis(frame["value"], "percent", "", locale), tooltip=tips)
    points = points.properties(height=300).add_params(charts.click("at"))
    with head:
        made = partial(products_table, now, now.iloc[:0])
        downloads.menu(shop, Offer("Units sold and refund rate", "refund_rates", len(now), made, period, chart=points))
    key, text = drill.fresh(f"returns_{period.start}_{period.end}"), _returns_text(rows, locale)
    event: Any = st.altair_chart(points, alt=text, key=key, on_select="rerun", selection_mode=charts.PICKED)
    st.caption(formatting.plain(f"{text} Click a dot to see the product."))
    dot = drill.picked(event, len(rows))
    chosen, opened = _chosen(None if dot is None else rows[dot])
    drill.open_once(opened, key)
    drill.choose("product", chosen, key)


def together_card(now: pd.DataFrame, shop: ShopAccess, period: Period) -> None:
    """Pairs of products that share orders."""
    head = downloads.head("Bought together", _TOGETHER)
    pairs = _together(shop.shop_id, shop.data_version, shop.filters, period.start, period.end)
    if pairs.empty:
        st.caption(f"No two products share {LEAST_ORDERS} orders in this period. {_TOO_FEW}")
        return
    titles = now.set_index("product_id")["title"].to_dict()
    with head:
        which, made = "the strongest of the period", partial(pairs_table, pairs, titles)
        downloads.menu(shop, Offer("Bought together", "bought_together", len(pairs), made, period, which=which))
    shown = pd.DataFrame(
        {
            "Who bought": [titles.get(number) or _UNTITLED for number in pairs["product_a"]],
            "also bought": [titles.get(number) or _UNTITLED for number in pairs["product_b"]],
            "Orders": pairs["n"].tolist(),
            "Lift": pairs["lift"].round(2).tolist(),
            "Confidence": columns.shares(pairs["confidence"]),
            "Support": columns.shares(pairs["support"]),
        }
    )
    st.dataframe(
        shown, hide_index=True, key="together", row_height=_ROW, height="content" if len(shown) <= 10 else 12 * _ROW,
        alt="Pairs of products with lift, confidence, support and orders",
        column_config={
            "Who bought": st.column_config.TextColumn(pinned=True),
            "Lift": columns.number(2, width=66, meaning="How many times as often as chance."),
            "Confidence": columns.percent(
                width=88, meaning="Of the orders with the first product, the part with both."
            ),
            "Support": columns.percent(width=78, meaning="The part of all orders."),
            "Orders": st.column_config.NumberColumn(format="localized", width=66, help="With both."),
        },
    )  # fmt: skip
    st.caption(_TOO_FEW)


def pairs_table(pairs: pd.DataFrame, titles: Mapping[int, str]) -> Table:
    """Pairs of products by their names."""
    named = {
        side: [titles.get(key) or _UNTITLED for key in pairs[f"product_{side[0]}"]] for side in ("a_title", "b_title")
    }
    return of_frame("Bought together", pairs.assign(**named), _PAIR)


def best_pairs(found: Affinity) -> pd.DataFrame:
    """The strongest pairs, each once: its lift is the same both ways, so the surer direction stands for it."""
    a, b = found.pairs["product_a"], found.pairs["product_b"]
    both = found.pairs.assign(low=a.where(a < b, b), high=b.where(a < b, a))
    surer = both.sort_values("confidence", ascending=False, kind="stable").drop_duplicates(["low", "high"])
    return surer.sort_index().head(_PAIRS)[list(found.pairs.columns)]


def _ranked_table(ranked: pd.DataFrame, shop: ShopAccess, key: str) -> int | None:
    """The table; the number of the chosen row."""
    if ranked.empty:
        st.caption("No product was sold or returned in this period.")
        return None
    shown = pd.DataFrame(
        {
            "Product": [title or _UNTITLED for title in ranked["title"]],
            "Net sales": [float(from_minor(int(net), shop.currency)) for net in ranked["net_sales"]],
            "Change": columns.shares(ranked["change"]),
            "Units": ranked["units_sold"],
            "Returned": ranked["units_returned"],
            "Refund rate": columns.shares(ranked["refund_rate"]),
            "Type": [name or None for name in ranked["product_type"]],
            "Vendor": [name or None for name in ranked["vendor"]],
        }
    )
    event: Any = st.dataframe(
        shown,
        hide_index=True,
        key=key,
        row_height=_ROW,
        height="content" if len(shown) <= 10 else 12 * _ROW,
        placeholder=formatting.DASH,
        on_select="rerun",
        selection_mode="single-row",
        alt="Products with net sales, change, units sold and returned, and refund rate",
        column_config={
            "Product": st.column_config.TextColumn(pinned=True, width=190),
            "Net sales": columns.money(shop.currency, width=100, meaning=_NET),
            "Change": columns.percent(width=84, meaning=_CHANGE),
            "Units": st.column_config.NumberColumn(format="localized", width=70, help="Sold, before returns."),
            "Returned": st.column_config.NumberColumn(format="localized", width=80, help="On the day of the return."),
            "Refund rate": columns.percent(width=92, meaning=_REFUND_RATE),
        },
    )
    rows = [row for row in event.selection.rows if row < len(ranked)]
    return int(rows[0]) if rows else None


def _chosen(row: Mapping[Any, Any] | None) -> tuple[int | None, drill.Way | None]:
    """The number of a chosen product, or the way to the rows of one that the catalogue does not have."""
    if row is None or row["listed"]:
        return (None if row is None else int(row["product_id"])), None
    written = number(row["product_id"]) if row["product_id"] else titled(row["title"])
    return None, behind_view.way(row["title"] or _UNTITLED, "product", [written])


def _returns_text(rows: list[dict[str, Any]], locale: str) -> str:
    """The products that come back most, of those sold at least ten times."""
    often = [row for row in rows if row["units_sold"] >= 10]
    most = max(often, key=lambda row: row["refund_rate"], default=None)
    if most is None or not most["refund_rate"]:
        return f"{len(rows)} products by units sold and refund rate."
    rate = formatting.percent(most["refund_rate"], locale)
    return (
        f"{len(rows)} products. Of those sold at least ten times, {most['title'] or _UNTITLED} comes back most: {rate}."
    )


def _refund_rate(row: dict[str, Any]) -> float | None:
    whole = row["gross_sales"] + row["discounts"]
    return -row["sales_reversals"] / whole if whole > 0 else None


def _adjustments(frame: pd.DataFrame) -> "pd.Series[bool]":
    return (frame["product_id"] == 0) & (frame["title"] == "")


def _choice(label: str, options: dict[str, Any], key: str) -> Any:
    first = next(iter(options))
    picked = st.segmented_control(
        label, list(options), default=first, required=True, key=key, bind="query-params", wrap=True,
        label_visibility="collapsed",
    )  # fmt: skip
    return options.get(picked, options[first])


@st.cache_data(ttl="1h", max_entries=128, show_spinner=False)
def _products(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> pd.DataFrame:
    with shop_session(shop_id, filters) as session:
        return frames_behind.marked(session, frames_products.product_sales(session, Period(start, end)))


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _together(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> pd.DataFrame:
    with shop_session(shop_id, filters) as session:
        return best_pairs(affinity(frames_customers.order_products(session, Period(start, end))))


_BY = {"Net sales": "net_sales", "Units": "units_sold", "Returns": "units_returned"}
_FIELDS = {"product_type": "product type", "vendor": "vendor"}
_UNTITLED = "Without a title"
_PAIR = (
    Column("a_title", "text", "Who bought"), Column("b_title", "text", "also bought"),
    Column("n", "count", "Orders", "With both."),
    Column("lift", "number", "Lift", "How many times as often as chance."),
    Column("confidence", "percent", "Confidence", "Of the orders with the first product, the part with both."),
    Column("support", "percent", "Support", "The part of all orders."),
)  # fmt: skip
_NET = "After discounts and returns, without shipping and taxes."
_CHANGE = "Of net sales, against the compared period; a dash where nothing was sold then."
_REFUND_RATE = "Sales reversals of the period divided by gross sales plus discounts of the period."
_TOGETHER = (
    f"Orders of the period with both products, the {_PAIRS} pairs farthest above chance. A lift of 1 is chance. "
    f"Compared are the {MOST_PRODUCTS:,} products found in most orders."
)
_TOO_FEW = f"Pairs in fewer than {LEAST_ORDERS} orders are left out: so few may well be chance."
