"""Cached figures for the pages, keyed by (shop_id, data_version, filters, scalars): a sync makes new keys.

Nothing about the visitor may become part of what is cached, and no argument may be left out of the key: the
cache is shared by everybody.
"""

from datetime import date
from typing import Literal

import pandas as pd
import streamlit as st

from core.analytics import frames, frames_sales
from core.analytics.period import Grain, Period
from core.analytics.report import Report, report
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.db.filters import Filters


def load_report(shop: ShopAccess, period: Period, grain: Grain, top: int = 10) -> Report:
    """The report of a period, as of the shop's last sync."""
    return _report(shop.shop_id, shop.data_version, shop.filters, period.start, period.end, grain, top)


def load_top_customers(
    shop: ShopAccess, period: Period, limit: int, by: Literal["net_sales", "orders"]
) -> pd.DataFrame:
    """The best customers of a period: see frames.top_customers."""
    return _top_customers(shop.shop_id, shop.data_version, shop.filters, period.start, period.end, limit, by)


def load_filter_values(shop: ShopAccess) -> dict[str, list[str]]:
    """What the store's figures can be narrowed to, by field of Filters."""
    return _filter_values(shop.shop_id, shop.data_version)


def load_span(shop: ShopAccess) -> Period | None:
    """The first to the last day with anything, None if there is nothing yet."""
    return _span(shop.shop_id, shop.data_version)


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _report(
    shop_id: int, data_version: int, filters: Filters, start: date, end: date, grain: Grain, top: int
) -> Report:
    with shop_session(shop_id, filters) as session:
        return report(session, Period(start, end), grain, top)


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _top_customers(
    shop_id: int,
    data_version: int,
    filters: Filters,
    start: date,
    end: date,
    limit: int,
    by: Literal["net_sales", "orders"],
) -> pd.DataFrame:
    with shop_session(shop_id, filters) as session:
        return frames.top_customers(session, Period(start, end), limit, by)


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _filter_values(shop_id: int, data_version: int) -> dict[str, list[str]]:
    with shop_session(shop_id) as session:
        return frames_sales.filter_values(session)


@st.cache_data(ttl="1h", max_entries=256, show_spinner=False)
def _span(shop_id: int, data_version: int) -> Period | None:
    with shop_session(shop_id) as session:
        return frames.data_span(session)
