"""Products: what sells and what comes back, what is bought together, and what is in stock."""

import streamlit as st

from core.analytics.period import automatic_grain, shop_today
from core.ui import behind_view, cards, drill, filters, narrow, product_view, products_view, states, stock_view
from core.ui.data import load_report
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
span = states.start("Products", shop)

with st.container(horizontal=True, vertical_alignment="center", key="filters"):
    period = filters.short_period(today)
    shop = narrow.narrowed(shop)
grain = automatic_grain(period)
report = load_report(shop, period, grain)
before = load_report(shop, period.previous(), grain, top=0)
st.caption(filters.in_words(period, period.previous(), today))
states.stop_without_sales(report, span, shop)
states.warn_of_unclassified(report)

CARDS = ("net_sales", "units_sold", "units_returned", "refund_rate")
cards.cards(report, before, CARDS, shop.currency, today, filters.comparison_name(period, "Previous period"), 4)

now = products_view.load_products(shop, period)
earlier = products_view.load_products(shop, period.previous())
with st.container(border=True, key="products_card"):
    chosen = products_view.ranked_card(now, earlier, shop, period)
drill.choose("product", chosen, "ranked")
product_view.asked_for(now, shop, period, grain)
behind_view.of_sales(shop, period, ("product",))

left, right = st.columns(2)
with left.container(border=True, height="stretch", key="types_card"):
    products_view.groups_card(now, shop, "product_type", period)
with right.container(border=True, height="stretch", key="vendors_card"):
    products_view.groups_card(now, shop, "vendor", period)
behind_view.of_sales(shop, period, ("product_type", "vendor"))

left, right = st.columns(2)
with left.container(border=True, height="stretch", key="returns_card"):
    products_view.returns_card(now, shop, period)
with right.container(border=True, height="stretch", key="together_card"):
    products_view.together_card(now, shop, period)

with st.container(border=True, key="stock_card"):
    stock_view.card(shop, today)
