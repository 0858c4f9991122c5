"""Overview: how the store is doing."""

import streamlit as st

from core.analytics.period import automatic_grain, shop_today
from core.ui import (
    cards,
    charts,
    downloads,
    drill,
    filters,
    live_view,
    narrow,
    orders_view,
    sales_view,
    states,
    tables,
    tour,
)
from core.ui.data import load_report
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
span = states.start("Overview", shop)
tour.card(shop)

bar = st.container(horizontal=True, vertical_alignment="center", key="filters")
with bar:
    period = filters.short_period(today)
    shop = narrow.narrowed(shop)
grain = automatic_grain(period)
comparison = filters.comparison_name(period, "Previous period")
report = load_report(shop, period, grain)
before = load_report(shop, period.previous(), grain, top=0)
st.caption(filters.in_words(period, period.previous(), today))
states.stop_without_sales(report, span, shop)
states.warn_of_unclassified(report)
with bar:
    downloads.overview_menu(shop, report, before, today)

CARDS = ("total_sales", "net_sales", "orders", "average_order_value", "customers", "returning_customer_rate")
cards.cards(report, before, CARDS, shop.currency, today, comparison)
drill.below_cards(shop, period)

with st.container(border=True, key="trend_card"):
    drawn = charts.trend(report, before, "total_sales", shop.currency, today, comparison)
    with downloads.head(f"Total sales by {grain}", charts.LIGHTER):
        downloads.trend(shop, report, before, ("total_sales",), f"Total sales by {grain}", drawn)
    drill.chart(
        drawn,
        charts.trend_text(report, before, "total_sales", shop.currency, today, comparison),
        f"trend_{period.start}_{period.end}",
        drill.of_buckets(shop, period, grain, drill.BOOKED),
    )

left, right = st.columns(2)
with left:
    sales_view.from_gross_to_total(report, shop)
with right:
    orders_view.statuses_card(shop, period)

left, right = st.columns(2)
with left.container(border=True, height="stretch", key="customers_card"):
    with downloads.head("Top customers"):
        downloads.customers(shop, report.top_customers, period)
    tables.customers(report.top_customers, shop, key="top_customers")
with right.container(border=True, height="stretch", key="products_card"):
    with downloads.head("Top products"):
        downloads.products(shop, report.top_products, period)
    tables.products(report.top_products, shop, key="top_products")

live_view.card(shop)
