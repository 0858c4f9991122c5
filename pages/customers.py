"""Customers: who buys most, who comes back, and which segments they are in."""

import streamlit as st

from core.analytics.period import automatic_grain, shop_today
from core.ui import cards, customer_view, customers_view, downloads, drill, filters, narrow, states, tables
from core.ui.data import load_report, load_top_customers
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
span = states.start("Customers", shop)

with st.container(horizontal=True, vertical_alignment="center", key="filters"):
    period = filters.short_period(today)
    shop = narrow.narrowed(shop)
grain = automatic_grain(period)
report = load_report(shop, period, grain)
before = load_report(shop, period.previous(), grain, top=0)
st.caption(filters.in_words(period, period.previous(), today))
customer_view.search(shop)
customer_view.asked_for(shop, today)
states.stop_without_sales(report, span, shop)

CARDS = ("customers", "new_customers", "returning_customers", "returning_customer_rate")
cards.cards(report, before, CARDS, shop.currency, today, filters.comparison_name(period, "Previous period"), 4)

customers_view.over_time(report, before, shop, today)

with st.container(border=True, key="top_card"):
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader("Top customers", anchor=False, width="content")
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            by = filters.ranking()
            top = filters.how_many()
            best = load_top_customers(shop, period, top, by)
            downloads.customers(shop, best, period, f"Top {top} customers by {by.replace('_', ' ')}")
    chosen = tables.customers(best, shop, key=f"top_{period.start}_{by}_{top}", choose=True)
    st.caption("Choose a row to see the customer in full.")
drill.choose("customer", chosen, "top")

base = customers_view.load_base(shop, today)
left, right = st.columns(2)
with left.container(border=True, height="stretch", key="spending_card"):
    customers_view.spending_card(base, shop)
with right.container(border=True, height="stretch", key="repurchase_card"):
    customers_view.repurchase_card(shop, period)

with st.container(border=True, key="scatter_card"):
    customers_view.scatter_card(base, shop)

with st.container(border=True, key="segments_card"):
    customers_view.segments_card(base, shop, today)
