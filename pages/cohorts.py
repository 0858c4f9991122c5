"""Cohorts: customers by the month of their first order, and what they did in the months after."""

import streamlit as st

from core.analytics.period import shop_today
from core.ui import cohorts_by_view, cohorts_rows, cohorts_view, downloads, drill, narrow, states
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
states.start("Cohorts", shop)

with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="filters"):
    with cohorts_by_view.fold():
        at_most = cohorts_view.how_many()
        by = cohorts_by_view.grouped_by()
    shop = narrow.narrowed(shop, narrow.FIRST_ORDERS, first_orders=True)
    what = cohorts_view.measure()
found = cohorts_view.load_cohorts(shop, today)
months = cohorts_view.first_months(found, at_most)
st.caption(
    "A cohort is everybody known whose first order ever was in one month; guests without e-mail are left out. "
    "Month 0 is that month itself. Months that are not over are blank."
)
waiting = cohorts_view.still_running(found, today)
if not months:
    st.info(f"No cohort has a whole month behind it yet. {waiting}", icon=":material/hourglass_empty:")
    st.stop()

cohorts_view.cards(found, shop.currency)
cohorts_rows.below_cards(shop, today)
if by:
    cohorts_by_view.card(shop, by, months, what, today)
    st.stop()

with st.container(border=True, key="heat_map_card"):
    drawn = cohorts_view.heat_map(found, months, what, shop.currency)
    with downloads.head(f"{what.label} by cohort", what.definition):
        cohorts_view.download(found, shop, today, "cohorts_map", drawn)
    ways = cohorts_view.ways(found, months, what, shop)
    drill.chart(drawn, cohorts_view.heat_map_text(months, what), f"heat_map_{what.slug}_{months[0]}_{today}", ways)
    st.caption(f"In parentheses: how many customers a cohort has. {waiting}")

with st.container(border=True, key="lines_card"):
    every = cohorts_view.months_of_everyone(found, months, what)
    with downloads.head(f"{what.label} over the months", what.definition):
        if every:
            drawn = cohorts_view.lines(found, months, what, shop.currency)
            cohorts_view.download(found, shop, today, "cohorts_lines", drawn)
    if every:
        text = cohorts_view.lines_text(found, what, shop.currency)
        opened = [*ways, *cohorts_rows.of_line(every, what)]
        drill.chart(drawn, text, f"lines_{what.slug}_{months[0]}_{today}", opened)
    else:
        st.caption("No cohort has a second whole month behind it yet.")
cohorts_rows.asked_for(shop, cohorts_rows.LINE, today)

with st.container(border=True, key="table_card"):
    unit = f", amounts in {shop.currency}" if what.unit == "money" else ""
    with downloads.head(f"By months since the first order{unit}"):
        cohorts_view.download(found, shop, today, "cohorts")
    cohorts_view.table(found, months, what, shop.currency)
