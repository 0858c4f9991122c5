"""Reconcile: the figures here beside Shopify's own, and what explains a difference."""

import streamlit as st

from core.analytics.period import shop_today
from core.ui import downloads, formatting, reconcile_tables, reconcile_view, states
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
states.start("Reconcile", shop)

period = reconcile_view.period(today)
st.caption(formatting.period(period, today))
found = reconcile_view.compared(shop, period)

if found is not None:
    reconcile_view.verdict(found, shop)
    compared = found.comparison
    if compared.differing:
        slug = reconcile_tables.drawn_measure(compared)
        with st.container(border=True, key="differences_card"):
            text = reconcile_tables.chart_text(compared, slug, shop.currency)
            drawn = reconcile_tables.chart(compared, slug, shop.currency)
            with downloads.head(f"Differences: {reconcile_tables.label(slug)}", reconcile_tables.SIGN):
                reconcile_tables.menu(compared, found.why, shop, period, drawn)
            st.altair_chart(drawn, alt=text, key="differences")
            st.caption(formatting.plain(text))
    with st.container(border=True, key="table_card"):
        reconcile_tables.by_day(compared, found.why, found.today, shop, period)
    if compared.differing:
        with st.container(border=True, key="reasons_card"):
            reconcile_view.reasons(found, shop)

with st.expander("What is compared", icon=":material/menu_book:", key="definitions_box"):
    reconcile_tables.definitions()

with st.container(border=True, key="orders_card"):
    reconcile_view.check_orders(shop, period)
