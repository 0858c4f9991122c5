"""Sales: what was sold, from gross to total, over time and taken apart."""

import streamlit as st

from core.analytics.period import shop_today
from core.ui import cards, drill, filters, narrow, sales_view, states
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
span = states.start("Sales", shop)

with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="filters"):
    with filters.fold():
        period = filters.any_period(today, span.start)
        how = filters.comparison()
        grain = sales_view.grain(period)
    shop = narrow.narrowed(shop)
against = filters.compared_period(period, how)
comparison = filters.comparison_name(period, how)
report = sales_view.load_sales(shop, period, grain)
before = sales_view.load_sales(shop, against, grain) if against else None
st.caption(filters.in_words(period, against, today))
states.stop_without_sales(report, span, shop)
states.warn_of_unclassified(report)

cards.cards(report, before, sales_view.CARDS, shop.currency, today, comparison, in_a_row=4)
drill.below_cards(shop, period)
sales_view.over_time(shop, report, before, grain, today, comparison)

left, right = st.columns(2)
with left:
    sales_view.from_gross_to_total(report, shop)
with right:
    sales_view.taken_off(report, shop, grain, today)

sales_view.broken_down_table(shop, period, against)
sales_view.by_weekday_and_hour(shop, period)
sales_view.table_over_time(report, shop, grain)
