"""The customers page's parts beyond the period's report: segments, spending, and how soon customers buy again."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, cast

import altair as alt
import pandas as pd
import streamlit as st

from core.analytics import frames_customers
from core.analytics.period import Period
from core.analytics.report import Report
from core.analytics.rfm import SEGMENTS, rfm
from core.analytics.spending import Spending, median_days, orders_and_spending, spending
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.db.money import from_minor
from core.reports.table import Column, Table, measure, of_frame
from core.ui import bars, charts, columns, downloads, drill, formatting, heat_maps
from core.ui.downloads import Offer
from core.ui.filters import comparison_name

_ROW = 36


@dataclass(frozen=True)
class Base:
    """All customers of a shop in few numbers: rfm's segments and grid, how their spending is spread, and by orders."""

    segments: pd.DataFrame
    grid: pd.DataFrame
    spending: Spending
    scatter: pd.DataFrame


def load_base(shop: ShopAccess, today: date) -> Base:
    """All known customers of the shop, as of its last sync."""
    return _base(shop.shop_id, shop.data_version, shop.filters, today, shop.currency)


def load_gaps(shop: ShopAccess, period: Period) -> pd.DataFrame:
    """See frames_customers.repurchase_gaps."""
    return _gaps(shop.shop_id, shop.data_version, shop.filters, period.start, period.end)


def over_time(report: Report, before: Report, shop: ShopAccess, today: date) -> None:
    """The card with new and returning customers, or those won against the period before."""
    comparison = comparison_name(report.period, "Previous period")
    with st.container(border=True, key="new_and_returning"):
        head = downloads.head(f"Customers by {report.grain}", charts.LIGHTER)
        label = st.segmented_control(
            "Customers", [_BOTH, _WON], default=_BOTH, required=True, key="customers_drawn", bind="query-params",
            label_visibility="collapsed",
        )  # fmt: skip
        kinds: tuple[str, ...]
        if label == _WON:
            kinds, given = ("new_customers",), (report, before, "new_customers", shop.currency, today, comparison)
            drawn, text = charts.trend(*given), charts.trend_text(*given)
            ways = drill.of_values_by_bucket(shop, report.period, report.grain, "customer_kind", "new")
        else:
            kinds = ("returning_customers", "new_customers")
            drawn, text = charts.stacked_counts(report, kinds, today), charts.stacked_text(report, kinds, today)
            ways = drill.of_buckets(shop, report.period, report.grain)
        with head:
            downloads.trend(shop, report, before, kinds, f"{label} by {report.grain}", drawn)
        drill.chart(drawn, text, f"customers_{label == _WON}_{report.period.start}_{report.period.end}", ways)
        st.caption(
            "Who orders for the first time and again within one bar counts as both. Guests without e-mail are left out."
        )


def spending_card(base: Base, shop: ShopAccess) -> None:
    """How many customers brought how much."""
    found, locale, currency = base.spending, formatting.reader_locale(), shop.currency
    head = downloads.head("Net sales per customer", "Of all time, after discounts and returns.")
    if not found.customers:
        st.caption(_NOBODY)
        return
    drawn = spending_chart(found, currency, locale)
    made = partial(of_frame, "Net sales per customer", found.bins, _BINS)
    with head:
        downloads.menu(shop, Offer("Net sales per customer", "spending", len(found.bins), made, chart=drawn))
    st.altair_chart(drawn, alt=spending_text(found, currency, locale), key="spending")
    st.caption(formatting.plain(spending_text(found, currency, locale)))


def spending_chart(found: Spending, currency: str, locale: str) -> alt.LayerChart:
    """Customers by what they brought."""
    rows = found.bins.to_dict("records")
    frame = pd.DataFrame(
        {
            "label": [_between(row["low"], row["high"], currency, locale) for row in rows],
            "value": [float(row["customers"]) for row in rows],
            "shown": [formatting.count(row["customers"], locale) for row in rows],
            "Customers": [formatting.count(row["customers"], locale) for row in rows],
            "Net sales": [formatting.money(row["net_sales"], currency, locale) for row in rows],
        }
    )
    return bars.bars(frame)


def spending_text(found: Spending, currency: str, locale: str) -> str:
    """The distribution in a sentence or two."""
    half = formatting.money(found.median, currency, locale)
    text = f"Half of {formatting.count(found.customers, locale)} customers brought {half} or less."
    if found.best_tenth is None:
        return text
    return f"{text} The best tenth brought {formatting.percent(found.best_tenth, locale)} of net sales."


def scatter_card(base: Base, shop: ShopAccess) -> None:
    """Orders against net sales of each customer, those that are alike as one dot."""
    head = downloads.head("Orders against net sales", _SCATTER)
    if base.scatter.empty:
        st.caption(_NOBODY)
        return
    drawn, text = scatter_chart(base, shop.currency), scatter_text(base, formatting.reader_locale())
    made = partial(of_frame, "Orders against net sales", base.scatter, _DOTS)
    with head:
        offer = Offer("Orders against net sales", "orders_and_spending", len(base.scatter), made, chart=drawn)
        downloads.menu(shop, offer)
    st.altair_chart(drawn, alt=text, key="scatter")
    st.caption(formatting.plain(text))


def scatter_chart(base: Base, currency: str) -> alt.LayerChart:
    """Dots by orders (across) and net sales (up); their area says how many customers each is."""
    locale, rows = formatting.reader_locale(), base.scatter.to_dict("records")
    spent = [_between(row["low"], row["high"], currency, locale) for row in base.spending.bins.to_dict("records")]
    frame = pd.DataFrame(
        {
            "Orders": [_orders(row) for row in rows],
            "Net sales each": [_between(row["low"], row["high"], currency, locale) for row in rows],
            "number": [row["customers"] for row in rows],
            "Customers": [formatting.count(row["customers"], locale) for row in rows],
            "Together": [formatting.money(row["net_sales"], currency, locale) for row in rows],
        }
    )
    across = list(dict.fromkeys(_orders(row) for row in sorted(rows, key=lambda row: row["orders_low"])))
    ink = charts.label_colour()
    axis: dict[str, Any] = {"labelColor": ink, "titleColor": ink, "titleFontWeight": "normal"}
    dots = (
        alt.Chart(frame)
        .mark_circle(color=charts.palette()[0], opacity=0.8)
        .encode(
            alt.X("Orders:N", sort=across, axis=alt.Axis(labelAngle=0, grid=False, **axis)),
            alt.Y("Net sales each:N", sort=spent[::-1], title=None, axis=alt.Axis(labelLimit=130, grid=True, **axis)),
            size=alt.Size("number:Q", scale=alt.Scale(range=[25, 900]), legend=None),
            tooltip=[alt.Tooltip(f"{name}:N") for name in ("Orders", "Net sales each", "Customers", "Together")],
        )
    )
    return cast(alt.LayerChart, alt.layer(dots).properties(height=max(170, 27 * len(spent) + 50)))


def scatter_text(base: Base, locale: str) -> str:
    """The dots in a sentence."""
    rows = base.scatter.to_dict("records")
    whole = sum(row["customers"] for row in rows)
    once = sum(row["customers"] for row in rows if row["orders_high"] == 1)
    often = sum(row["customers"] for row in rows if row["orders_low"] >= 4)
    shares = [formatting.percent(part / whole, locale) for part in (once, often)]
    return f"{shares[0]} of customers ordered once, {shares[1]} four times or more."


def repurchase_card(shop: ShopAccess, period: Period) -> None:
    """How long after the order before customers ordered again."""
    head = downloads.head("Days until the next order", _REPURCHASE)
    gaps, locale = load_gaps(shop, period), formatting.reader_locale()
    if gaps.empty:
        st.caption("Unknown: in this period no known customer ordered who had ordered before.")
        return
    drawn, made = repurchase_chart(gaps, locale), partial(of_frame, "Days until the next order", gaps, _GAP)
    with head:
        offer = Offer("Days until the next order", "repurchase", len(gaps), made, period, chart=drawn)
        downloads.menu(shop, offer)
    st.altair_chart(drawn, alt=repurchase_text(gaps, locale), key="repurchase")
    st.caption(formatting.plain(repurchase_text(gaps, locale)))


def repurchase_chart(gaps: pd.DataFrame, locale: str) -> alt.LayerChart:
    """Orders by the days since their customer's order before."""
    days, orders = gaps["days"].to_numpy(), gaps["orders"].to_numpy()
    total = int(orders.sum())
    counts = [int(orders[(days >= low) & (days <= high)].sum()) for _, low, high in _GAPS]
    return bars.bars(
        pd.DataFrame(
            {
                "label": [label for label, _, _ in _GAPS],
                "value": [float(number) for number in counts],
                "shown": [formatting.count(number, locale) for number in counts],
                "Orders": [formatting.count(number, locale) for number in counts],
                "Share": [formatting.percent(number / total, locale) for number in counts],
            }
        )
    )


def repurchase_text(gaps: pd.DataFrame, locale: str) -> str:
    """The repurchase interval in a sentence."""
    middle, orders = median_days(gaps), formatting.count(int(gaps["orders"].sum()), locale)
    number = "unknown" if middle is None else formatting.short_decimal(middle, locale)
    return f"Median of {orders} repeat orders: {number} {'day' if middle == 1 else 'days'} after the order before."


def segments_card(base: Base, shop: ShopAccess, today: date) -> None:
    """Customers in segments by how recently, how often and for how much they bought."""
    head = downloads.head("Segments", _RFM)
    if not base.spending.customers:
        st.caption(_NOBODY)
        return
    with head:
        made = partial(segments_table_of, base)
        downloads.menu(shop, Offer("Segments", f"segments_{today.isoformat()}", len(base.segments), made))
    st.caption("All known customers by all their orders up to today, whatever the period above.")
    left, right = st.columns([5, 4])
    with left:
        segments_table(base, shop.currency)
    with right:
        drawn = grid_chart(base)
        st.altair_chart(drawn, alt=_GRID_TEXT, key="rfm_grid")
        made = partial(scores_table, base)
        title = "Customers by recency and frequency"
        downloads.menu(shop, Offer(title, f"scores_{today.isoformat()}", base.grid.size, made, chart=drawn))
    advice = [_SEGMENT[row["segment"]] for row in base.segments.to_dict("records") if row["customers"]]
    rows = [(each.name, each.meaning, each.action) for each in advice]
    st.table(
        pd.DataFrame(rows, columns=["Segment", "Who they are", "What to do"]).set_index("Segment"), border="horizontal"
    )


def segments_table(base: Base, currency: str) -> None:
    """A line per segment that has customers."""
    rows = [row for row in base.segments.to_dict("records") if row["customers"]]
    shown = pd.DataFrame(
        {
            "Segment": [_SEGMENT[row["segment"]].name for row in rows],
            "Customers": [row["customers"] for row in rows],
            "Share": columns.shares(row["share"] for row in rows),
            "Net sales": [float(from_minor(row["net_sales"], currency)) for row in rows],
            "Last order": [row["median_recency_days"] for row in rows],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="segments",
        row_height=_ROW,
        height="content",
        placeholder=formatting.DASH,
        alt="Segments with customers, share, net sales and days since the last order",
        column_config={
            "Segment": st.column_config.TextColumn(width=155, pinned=True),
            "Customers": st.column_config.NumberColumn(format="localized", width=78),
            "Share": columns.percent(width=70, meaning="Of all known customers."),
            "Net sales": columns.amount("Net sales", currency, width=104, meaning="Of all time."),
            "Last order": st.column_config.NumberColumn(
                format="%.0f days ago", width=100, help="The median of the segment's customers."
            ),
        },
    )  # fmt: skip


def segments_table_of(base: Base) -> Table:
    """The segments, exact, those without customers too."""
    told = [_SEGMENT[slug] for slug in base.segments["segment"]]
    named = {"segment": [each.name for each in told], "meaning": [each.meaning for each in told]}
    return of_frame("Segments", base.segments.assign(**named, action=[each.action for each in told]), _OF_SEGMENT)


def scores_table(base: Base) -> Table:
    """A row per pair of scores."""
    rows = [(int(r), int(f), int(base.grid.loc[r, f])) for r in base.grid.index for f in base.grid.columns]
    columns = (Column("recency_score", "count"), Column("frequency_score", "count"), Column("customers", "count"))
    return Table("Customers by recency and frequency", columns, rows)


def grid_chart(base: Base) -> alt.LayerChart:
    """Customers by recency score, the freshest on top, and frequency score."""
    locale = formatting.reader_locale()
    names = {5: "5, most recent", 4: "4", 3: "3", 2: "2", 1: "1, longest ago"}
    cells = [(r, f, int(base.grid.loc[r, f])) for r in names for f in range(1, 6)]
    total = sum(number for _, _, number in cells)
    frame = pd.DataFrame(
        {
            "row": [names[r] for r, _, _ in cells],
            "column": [str(f) for _, f, _ in cells],
            "value": [float(number) for _, _, number in cells],
            "shown": [formatting.count(number, locale) for _, _, number in cells],
            "Recency score": [str(r) for r, _, _ in cells],
            "Frequency score": [str(f) for _, f, _ in cells],
            "Customers": [formatting.count(number, locale) for _, _, number in cells],
            "Share": [formatting.percent(number / total, locale) for _, _, number in cells],
        }
    )
    top = float(frame["value"].max())
    titles = ("Frequency score (5: most orders)", "Recency score")
    return heat_maps.heat_map(frame, list(names.values()), [str(f) for f in range(1, 6)], titles, top, row_height=60)


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _base(shop_id: int, data_version: int, filters: Filters, today: date, currency: str) -> Base:
    with shop_session(shop_id, filters) as session:
        buyers = frames_customers.buyers(session, today)
    found = rfm(buyers, today, currency)
    return Base(found.segments, found.grid(), spending(buyers["net_sales"], currency),
                orders_and_spending(buyers, currency))  # fmt: skip


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _gaps(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> pd.DataFrame:
    with shop_session(shop_id, filters) as session:
        return frames_customers.repurchase_gaps(session, Period(start, end))


def _orders(row: dict[str, Any]) -> str:
    low, high = row["orders_low"], row["orders_high"]
    return str(low) if low == high else f"{low}+" if high is None else f"{low} to {high}"


def _between(low: int | None, high: int | None, currency: str, locale: str) -> str:
    if low is None:
        return "Nothing or less"
    start = formatting.axis_value(low, "money", currency, locale)
    if high is None:
        return f"More than {start}"
    return f"{start} to {formatting.axis_value(high, 'money', currency, locale)}"


_SEGMENT = {segment.slug: segment for segment in SEGMENTS}
_NOBODY = "Unknown: no customer is known yet. Guests without e-mail cannot be told apart."
_GRID_TEXT = "Customers by recency score (rows, the most recent on top) and frequency score (columns)."
_BOTH, _WON = "New and returning", "New customers"
_SCATTER = "All known customers by all their orders; the larger a dot, the more customers are like this."
_DOTS = (
    Column("orders_low", "count", "Orders from"), Column("orders_high", "count", "Orders to", "Empty is open."),
    Column("low", "money", "Net sales above"), Column("high", "money", "Net sales up to", "Empty is open."),
    Column("customers", "count"), measure("net_sales"),
)  # fmt: skip
_REPURCHASE = (
    "Days between an order of this period and the order before it of the same customer; first orders are left out."
)
_RFM = (
    "Each customer gets a score from 1 to 5 for how recently they ordered, how often, and for how much, by the fifths "
    "of all customers; the scores say which segment."
)
# Label, and from how many to how many days.
_GAPS = (
    ("Up to 7 days", 0, 7), ("8 to 14", 8, 14), ("15 to 30", 15, 30), ("31 to 60", 31, 60), ("61 to 90", 61, 90),
    ("91 to 180", 91, 180), ("181 to 365", 181, 365), ("More than a year", 366, 10**6),
)  # fmt: skip
_BINS = (
    Column("low", "money", "More than", "Empty where there is no lower end."),
    Column("high", "money", "Up to", "Empty where there is no upper end."),
    Column("customers", "count"), measure("net_sales"),
)  # fmt: skip
_GAP = (Column("days", "count", "Days", "Between an order and the customer's order before."), Column("orders", "count"))
_OF_SEGMENT = (
    Column("segment", "text"), Column("customers", "count"),
    Column("share", "percent", "Share", "Of all known customers."), Column("orders", "count"),
    Column("net_sales", "money", "Net sales", "Of all time."),
    Column("median_recency_days", "number", "Days since the last order", "The median of the segment's customers."),
    Column("meaning", "text", "Who they are"), Column("action", "text", "What to do"),
)  # fmt: skip
