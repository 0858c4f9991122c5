"""Orders: how many and of what size, and the rows behind every number."""

import streamlit as st

from core.analytics.period import shop_today
from core.ui import filters, narrow, orders_view, sales_view, states
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
span = states.start("Orders", shop)

orders_view.follow_link(shop, today)
with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="filters"):
    with filters.fold():
        period = filters.any_period(today, span.start)
        how = filters.comparison()
        grain = filters.grain(period)
    shop = narrow.narrowed(shop, either=True)
    text = orders_view.search()
against = filters.compared_period(period, how)
comparison = filters.comparison_name(period, how)
report = sales_view.load_sales(shop, period, grain)
before = sales_view.load_sales(shop, against, grain) if against else None
st.caption(filters.in_words(period, against, today))

orders_view.one_order(shop, by_row=False)
if text:
    orders_view.rows(shop, period, text)
    orders_view.one_order(shop, by_row=True)
    st.stop()
states.stop_without_sales(report, span, shop)
states.warn_of_unclassified(report)

orders_view.metric_cards(report, before, shop, today, comparison)
orders_view.over_time(report, before, shop, today, comparison)
orders_view.by_status(shop, period)
orders_view.rows(shop, period, text)
orders_view.one_order(shop, by_row=True)
