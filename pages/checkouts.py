"""Abandoned checkouts: how many customers left before paying, how many came back, and what stayed behind."""

import streamlit as st

from core.analytics.period import automatic_grain, shop_today
from core.ui import checkouts_view, downloads, filters, formatting, narrow, states
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
states.start("Abandoned checkouts", shop)

with st.container(horizontal=True, vertical_alignment="center", key="filters"):
    period = filters.short_period(today)
    shop = narrow.narrowed(shop, narrow.CHECKOUTS)
days = checkouts_view.load_days(shop, period)
before = checkouts_view.load_days(shop, period.previous())
st.caption(filters.in_words(period, period.previous(), today))
if not days["left"].sum():
    st.info(
        f"No abandoned checkout from {formatting.period(period, today)}. Shopify keeps them for three months; the Sync "
        "page says whether they are synced.",
        icon=":material/shopping_cart_off:",
    )
    st.stop()

checkouts_view.cards(days, before, shop.currency, filters.comparison_name(period, "Previous period"))

with st.container(border=True, key="checkouts_card"):
    head = downloads.head(f"Checkouts left, by {automatic_grain(period)}")
    figure = checkouts_view.drawn_by()
    drawn = checkouts_view.chart(days, period, today, shop.currency, figure)
    with head:
        checkouts_view.days_menu(days, drawn, shop, period)
    st.altair_chart(drawn, alt=checkouts_view.chart_text(days, period, today), key="checkouts")

with st.container(border=True, key="products_card"):
    checkouts_view.products(checkouts_view.load_products(shop, period), shop, period)
