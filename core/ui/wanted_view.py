"""What the lists of the Orders page are narrowed to: values of orders, an hour of the week, when customers began."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from core.analytics import frames_orders, frames_sales
from core.analytics.breakdowns import BREAKDOWN
from core.analytics.period import Period
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters
from core.reports.sales import DAYS
from core.ui import cohorts_view


@dataclass(frozen=True)
class Wanted:
    """What the rows are filtered by, beside what the page is narrowed to: None for all.

    The first three are values of dimensions. A weekday is "0" (Monday) to "6", an hour "0" to "23" of the shop's
    clock, and the first month that of the customers' first order ever, named by its first day.
    """

    financial_status: str | None = None
    fulfillment_status: str | None = None
    discount_code: str | None = None
    weekday: str | None = None
    hour: str | None = None
    first_month: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """What is filtered, with its values."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def named(self) -> dict[str, str]:
        """The same for people, by the labels of the pickers."""
        labels = {**LABELS, **_LABELS}
        return {labels[name]: _named(name, value) for name, value in self.values.items()}


def of_orders(shop: ShopAccess, period: Period) -> Wanted:
    """A picker for each dimension, with the values that orders of the period have, and for those of ledger rows."""
    counts = load_counts(shop, period)
    with st.container(horizontal=True, vertical_alignment="bottom", key="order_filters"):
        return Wanted(**{slug: _pick(slug, counts[slug]) for slug in LABELS}, **_when_and_who(shop))


def of_rows(shop: ShopAccess) -> Wanted:
    """A picker for each thing that ledger rows can be narrowed to, in the line of whoever calls."""
    return Wanted(**_when_and_who(shop))


def load_counts(shop: ShopAccess, period: Period) -> dict[str, pd.DataFrame]:
    """Orders of a period by each value of the pickers' dimensions: columns value, orders."""
    return _counts(shop.shop_id, shop.data_version, shop.filters, period.start, period.end)


def in_words(wanted: Wanted, done: str) -> str:
    """When, and by whom, the rows were `done`, as a sentence; "" where that is not asked."""
    values, parts = wanted.values, []
    if "weekday" in values:
        parts.append(f"on {DAYS[int(values['weekday'])]}s")
    if "hour" in values:
        parts.append(f"from {int(values['hour']):02}:00 to {int(values['hour']):02}:59 of the store's clock")
    if "first_month" in values:
        began = cohorts_view.month_name(date.fromisoformat(values["first_month"]))
        parts.append(f"by customers whose first order was in {began}" if done == "placed" else
                     f"for orders of customers whose first order was in {began}")  # fmt: skip
    return f"Only what was {done} {' '.join(parts)}." if parts else ""


def from_link(shop: ShopAccess, period: Period, of: str, value: str) -> tuple[dict[str, str], dict[str, str]]:
    """What the pickers are to hold, and the address to say, after a link to one value of a dimension; takes its part
    out of the address."""
    chosen = dict.fromkeys((*LABELS, *(key for key, _ in _KEYS.values())), ALL)
    if of in LABELS and value in set(load_counts(shop, period)[of]["value"]):
        chosen[of] = BREAKDOWN[of].name(value)
    offered = _offered(shop)
    for name, (key, _) in _KEYS.items():
        asked = st.query_params.pop(name, "")
        chosen[key] = next((label for label, known in offered[name].items() if known == asked), ALL)
    return chosen, {key: label for key, label in chosen.items() if label != ALL}


def _when_and_who(shop: ShopAccess) -> dict[str, str | None]:
    """The pickers of _KEYS; one that has nothing to offer is left out."""
    found: dict[str, str | None] = {}
    for name, labels in _offered(shop).items():
        key, width = _KEYS[name]
        if labels:
            label = st.selectbox(_LABELS[name], [ALL, *labels], index=0, key=key, bind="query-params", width=width)
            found[name] = labels.get(label)
    return found


def _offered(shop: ShopAccess) -> dict[str, dict[str, str]]:
    months = [each.isoformat() for each in _first_months(shop.shop_id, shop.data_version)]
    values = {"weekday": map(str, range(7)), "hour": map(str, range(24)), "first_month": months}
    return {name: {_named(name, value): value for value in each} for name, each in values.items()}


def _named(name: str, value: str) -> str:
    if name == "weekday":
        return DAYS[int(value)]
    if name == "hour":
        return f"{int(value):02}:00"
    return cohorts_view.month_name(date.fromisoformat(value)) if name == "first_month" else BREAKDOWN[name].name(value)


def _pick(slug: str, counts: pd.DataFrame) -> str | None:
    of = BREAKDOWN[slug]
    values = sorted((of.name(value), value) for value in counts["value"][counts["orders"] > 0])
    labels: dict[str, Any] = {ALL: None} | dict(values)
    label = st.selectbox(LABELS[slug], list(labels), index=0, key=slug, bind="query-params", width=138)
    return labels.get(label)


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _counts(shop_id: int, data_version: int, filters: Filters, start: date, end: date) -> dict[str, pd.DataFrame]:
    with shop_session(shop_id, filters) as session:
        found = {slug: frames_sales.by_dimension(session, slug, Period(start, end)) for slug in LABELS}
    return {slug: frame[["value", "orders"]] for slug, frame in found.items()}


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _first_months(shop_id: int, data_version: int) -> list[date]:
    with shop_session(shop_id) as session:
        return frames_orders.first_months(session)


ALL = "All"
# Dimension: what its picker is called. The keys are also those in the address.
LABELS: Mapping[str, str] = {
    "financial_status": "Financial status", "fulfillment_status": "Fulfillment status",
    "discount_code": "Discount code",
}  # fmt: skip
# What links say: the key of its picker, and how wide that is.
_KEYS = {"weekday": ("on_weekday", 118), "hour": ("at_hour", 96), "first_month": ("first_order_in", 118)}
_LABELS = {"weekday": "Weekday", "hour": "Hour", "first_month": "First order in"}
