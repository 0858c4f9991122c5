"""Tables. Numbers stay numbers so that columns sort; names of customers and products are shown as they are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.analytics.metrics import METRIC, METRICS, Value
from core.analytics.report import Report
from core.auth.accounts import ShopAccess
from core.db.money import from_minor
from core.sync.jobs import SyncStatus
from core.ui import columns, formatting

_ROW = 36


def customers(frame: pd.DataFrame, shop: ShopAccess, key: str, *, choose: bool = False) -> int | None:
    """Customers as ranked, with a bar for net sales; the buyer's number of the row that was chosen."""
    if frame.empty:
        st.caption("No known customer bought anything in this period.")
        return None
    zone = ZoneInfo(shop.time_zone)
    shown = pd.DataFrame(
        {
            "Customer": [_customer(row, shop) for row in frame.to_dict("records")],
            "Net sales": _major(frame["net_sales"], shop.currency),
            "Orders": frame["orders"],
            "Last order": [_local_day(at, zone) for at in frame["last_order_at"]],
        }
    )
    event: Any = st.dataframe(
        shown,
        hide_index=True,
        key=key,
        on_select="rerun" if choose else "ignore",
        selection_mode="single-row",
        row_height=_ROW,
        height="content" if len(shown) <= 10 else 12 * _ROW,
        placeholder=formatting.DASH,
        alt="Customers, best first, with net sales, orders and the day of the last order",
        column_config={
            "Customer": st.column_config.TextColumn(width=150, pinned=True, help=_names_help(shop)),
            "Net sales": columns.bar("Net sales", shown["Net sales"], shop.currency, "Booked in the period."),
            "Orders": columns.count(width=66, meaning="Placed in the period."),
            "Last order": st.column_config.DateColumn(
                format="D MMM YYYY", width=96, help="The latest of all time, on the store's calendar."
            ),
        },
    )
    rows = [row for row in event.selection.rows if row < len(frame)] if choose else []
    buyer = frame["buyer_id"].iloc[rows[0]] if rows else None
    return None if buyer is None else int(buyer)


def products(frame: pd.DataFrame, shop: ShopAccess, key: str) -> None:
    """Products as ranked, with a bar for net sales."""
    if frame.empty:
        st.caption("No product was sold or returned in this period.")
        return
    shown = pd.DataFrame(
        {
            "Product": frame["title"].map(lambda title: title or "Without a title"),
            "Net sales": _major(frame["net_sales"], shop.currency),
            "Units": frame["units"],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key=key,
        row_height=_ROW,
        height="content" if len(shown) <= 10 else 12 * _ROW,
        alt="Products, best first, with net sales and units sold",
        column_config={
            "Product": st.column_config.TextColumn(width=160, pinned=True),
            "Net sales": columns.bar(
                "Net sales",
                shown["Net sales"],
                shop.currency,
                "After discounts and returns, without shipping and taxes.",
            ),
            "Units": columns.count(width=70, meaning="Sold, before returns."),
        },
    )


def buckets(report: Report, slugs: Sequence[str], shop: ShopAccess, key: str) -> None:
    """One row per bucket, and the whole period as the last."""
    measures(bucket_rows(report), report.grain, slugs, shop, key)


def measures(
    rows: Sequence[tuple[str, Mapping[str, Value]]],
    head: str,
    slugs: Sequence[str],
    shop: ShopAccess,
    key: str,
    *,
    choose: bool = False,
) -> int | None:
    """Metrics of named rows; `head` says what the rows are, such as "day". The number of the row that was chosen."""
    name = head.capitalize()
    event: Any = st.dataframe(
        pd.DataFrame([{name: text} | _row(numbers, slugs, shop.currency) for text, numbers in rows]),
        hide_index=True,
        key=key,
        row_height=_ROW,
        placeholder=formatting.DASH,
        alt=f"Every measure by {head}, with totals",
        on_select="rerun" if choose else "ignore",
        selection_mode="single-row",
        column_config={
            name: st.column_config.TextColumn(pinned=True),
            **{METRIC[slug].label: column(slug, shop.currency) for slug in slugs},
        },
    )
    return next(iter(event.selection.rows), None) if choose else None


def bucket_rows(report: Report) -> list[tuple[str, Mapping[str, Value]]]:
    """Each bucket's name, sortable as text, with its metrics; the last is "Total"."""
    names = []
    for bucket in report.period.buckets(report.grain):
        start, end = bucket.period.start.isoformat(), bucket.period.end.isoformat()
        names.append(start if start == end else f"{start} to {end}")
    return [*zip(names, report.by.to_dict("records"), strict=True), ("Total", report.totals)]


def stores(shops: Sequence[ShopAccess], statuses: Sequence[SyncStatus]) -> None:
    """The stores a user may open, each with the user's role and the state of its data."""
    shown = pd.DataFrame(
        [
            {
                "Store": shop.name,
                "Address": shop.domain,
                "Your role": shop.role.capitalize(),
                "Currency": shop.currency,
                "Time zone": shop.time_zone.replace("_", " "),
                "Last sync": status.synced_at
                and status.synced_at.astimezone(ZoneInfo(shop.time_zone)).replace(tzinfo=None),
                "Names and e-mails": "Fetched" if shop.personal_data else "Left out",
                "Problem": _problem(status),
            }
            for shop, status in zip(shops, statuses, strict=True)
        ]
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="stores",
        row_height=_ROW,
        placeholder=formatting.DASH,
        alt="Your stores with role, currency, time zone and last sync",
        column_config={
            "Store": st.column_config.TextColumn(pinned=True),
            "Last sync": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", help="On the store's clock."),
            "Problem": st.column_config.TextColumn(width="large", help="Such as a permission the access token lacks."),
        },
    )


def _problem(status: SyncStatus) -> str | None:
    if status.disconnected:
        return "Disconnected: nothing new arrives until it is connected again."
    return next((stream.problem for stream in status.streams if stream.problem), None)


def _customer(row: Mapping[str, Any], shop: ShopAccess) -> str:
    if row["customer_id"] is None:
        return "Guest"
    return (row["name"] if shop.personal_data else None) or f"Customer {row['customer_id']}"


def _names_help(shop: ShopAccess) -> str:
    if shop.personal_data:
        return "Guests have no customer account; they are told apart by their e-mail address."
    return "Names are not fetched for this store. They can be switched on under Stores."


def _local_day(at: datetime | None, zone: ZoneInfo) -> Any:
    return None if at is None or pd.isna(at) else at.astimezone(zone).date()


def _major(minor: "pd.Series[int]", currency: str) -> list[float]:
    return [float(from_minor(int(amount), currency)) for amount in minor]


def _row(numbers: Mapping[str, Value], slugs: Sequence[str], currency: str) -> dict[str, float | None]:
    return {METRIC[slug].label: _cell(numbers[slug], METRIC[slug].unit, currency) for slug in slugs}


def _cell(number: Value, unit: str, currency: str) -> float | None:
    if number is None:
        return None
    if unit == "money":
        return float(from_minor(int(number), currency))
    return columns.share(float(number)) if unit == "percent" else float(number)


def column(slug: str, currency: str) -> Any:
    """A column of a metric; the page names the currency."""
    metric = METRIC[slug]
    meaning = formatting.plain(metric.definition)
    if metric.unit == "percent":
        return columns.percent(meaning=meaning)
    return columns.money(currency, meaning=meaning) if metric.unit == "money" else columns.count(meaning=meaning)


EVERY_METRIC = tuple(metric.slug for metric in METRICS)
