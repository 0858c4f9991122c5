"""What a page is narrowed to: channels, countries, kinds of customers, product types, vendors. All in the address."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from core.analytics.breakdowns import BREAKDOWN
from core.auth.accounts import ShopAccess
from core.db.filters import Filters
from core.reports.span import FILTERS, filters_by_name
from core.ui import formatting
from core.ui.data import load_filter_values
from core.ui.session import held, preset

BY_FIRST_ORDER = "by_first_order"
ORDERS = ("channel", "country", "customer_kind")
PRODUCTS = ("product_type", "vendor")
CHECKOUTS = ("country", *PRODUCTS)
FIRST_ORDERS = ("channel", "country", *PRODUCTS)


def narrowed(
    shop: ShopAccess,
    offered: Sequence[str] = (*ORDERS, *PRODUCTS),
    *,
    first_orders: bool = False,
    either: bool = False,
) -> ShopAccess:
    """The store narrowed to what the reader chose of the fields offered; loaders take it in place of the store.

    With `first_orders` the choice is of buyers, by their first order, who stay with all that they ordered; with
    `either` the reader says whether it is.
    """
    known = load_filter_values(shop)
    # A link may ask for the only value there is: what belongs to no product is left out then.
    offered = [name for name in offered if len(known[name]) > 1 or held(f"only_{name}") is not None]
    if not offered:
        return shop
    with st.popover("Filters", icon=":material/filter_alt:", key="narrow"):
        if either:
            first_orders = st.toggle("By the customer's first order", key=BY_FIRST_ORDER, bind="query-params")
            offered = [name for name in offered if name in FIRST_ORDERS] if first_orders else offered
        st.caption(_OF_BUYERS if first_orders else _OF_ORDERS)
        chosen = {name: _choice(name, known[name]) for name in offered}
    filters = Filters(**chosen, by_first_order=first_orders)
    if filters:
        st.markdown(_in_words(filters), width="content")
    return replace(shop, filters=filters)


def from_link(shop: ShopAccess, field: str, value: str) -> tuple[dict[str, Any], dict[str, str | list[str]]]:
    """What the pickers are to hold, and the address to say, after a link to one value of a field.

    What the link itself names stays: that is what its page was narrowed to.
    """
    known = load_filter_values(shop)
    named = {name: set(st.query_params.get_all(f"only_{name}")) for name in FILTERS}
    left = {name: [each for each in known[name] if _name(name, each) in named[name]] for name in FILTERS}
    if value in known.get(field, ()):
        left[field] = [value]
    said: dict[str, str | list[str]] = {
        f"only_{name}": [_name(name, each) for each in values] for name, values in left.items() if values
    }
    by_first_order = st.query_params.get(BY_FIRST_ORDER) == "true"
    said |= {BY_FIRST_ORDER: "true"} if by_first_order else {}
    return {**{f"only_{name}": values for name, values in left.items()}, BY_FIRST_ORDER: by_first_order}, said


def to_link(filters: Filters, besides: str | None = None) -> dict[str, str | list[str]]:
    """What a link says, so that the page it opens is narrowed alike; `besides` is a field the link sets by itself."""
    chosen = filters.chosen()
    of_buyers: dict[str, str | list[str]] = {BY_FIRST_ORDER: "true"} if chosen and filters.by_first_order else {}
    only = {f"only_{name}": [_name(name, each) for each in chosen[name]] for name in chosen if name != besides}
    return {**of_buyers, **only}


def _choice(name: str, values: list[str]) -> tuple[str, ...]:
    asked = st.query_params.get_all(f"only_{name}")
    left = [each for each in values if each in asked]
    if any(_name(name, each) != each for each in left):  # a link that says it as Shopify does
        preset({f"only_{name}": left}, {f"only_{name}": [_name(name, each) for each in left]})
    chosen = st.multiselect(
        FILTERS[name], values, key=f"only_{name}", bind="query-params", placeholder=_EVERYTHING[name],
        format_func=partial(_name, name),
    )  # fmt: skip
    return tuple(value for value in values if value in chosen)  # one order, so that the cache knows it again


def _name(field: str, value: str) -> str:
    return BREAKDOWN[field].name(value)


def _in_words(filters: Filters) -> str:
    said = " · ".join(f"{label}: **{formatting.plain(values)}**" for label, values in filters_by_name(filters).items())
    lines_only = filters.of_products and not filters.by_first_order
    note = " · without shipping, duties and fees, which belong to no product" if lines_only else ""
    return f":small[{said}{note}]"


_OF_ORDERS = "Only orders like these count. New customers are those whose first order ever is such."
_OF_BUYERS = "Only customers whose first order was like this, with everything they ordered."
_EVERYTHING = {
    "channel": "All channels",
    "country": "All countries",
    "customer_kind": "New and returning",
    "product_type": "All product types",
    "vendor": "All vendors",
}
