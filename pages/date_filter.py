"""Date filter: every measure for any range of days."""

import streamlit as st

from core.analytics.period import shop_today
from core.ui import cards, charts, downloads, drill, filters, narrow, ranges_view, states, tables
from core.ui.data import load_report
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
span = states.start("Date filter", shop)

bar = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="filters")
with bar:
    with filters.fold():
        period = filters.any_period(today, span.start)
        how = ranges_view.comparison()
        against = ranges_view.second_range(period, how, today)
        grain = filters.grain(period)
    shop = narrow.narrowed(shop)
comparison = ranges_view.name(period, against, how, today)
report = load_report(shop, period, grain)
before = load_report(shop, against, grain, top=0) if against else None
st.caption(filters.in_words(period, against, today))
states.stop_without_sales(report, span, shop)
states.warn_of_unclassified(report)
with bar:
    downloads.overview_menu(shop, report, before, today)

CARDS = (
    "total_sales", "net_sales", "gross_sales", "discounts", "sales_reversals", "shipping",
    "taxes", "orders", "average_order_value", "customers", "returning_customer_rate", "refund_rate",
)  # fmt: skip
cards.cards(report, before, CARDS, shop.currency, today, comparison, in_a_row=4)
drill.below_cards(shop, period)

if how is None and before:
    ranges_view.side_by_side(report, before, shop, today)
else:
    with st.container(border=True, key="trend_card"):
        drawn = charts.trend(report, before, "total_sales", shop.currency, today, comparison)
        with downloads.head(f"Total sales by {grain}", charts.LIGHTER):
            downloads.trend(shop, report, before, ("total_sales",), f"Total sales by {grain}", drawn)
        text = charts.trend_text(report, before, "total_sales", shop.currency, today, comparison)
        ways = drill.of_buckets(shop, period, grain, drill.BOOKED)
        drill.chart(drawn, text, f"trend_{period.start}_{period.end}", ways)

left, right = st.columns(2)
with left.container(border=True, height="stretch", key="customers_card"):
    with downloads.head("Top customers"):
        downloads.customers(shop, report.top_customers, period)
    tables.customers(report.top_customers, shop, key="top_customers")
with right.container(border=True, height="stretch", key="products_card"):
    with downloads.head("Top products"):
        downloads.products(shop, report.top_products, period)
    tables.products(report.top_products, shop, key="top_products")

with st.container(border=True, key="table_card"):
    with downloads.head(f"By {grain}, amounts in {shop.currency}"):
        downloads.buckets(shop, report)
    tables.buckets(report, tables.EVERY_METRIC, shop, key="by_bucket")
