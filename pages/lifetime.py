"""Lifetime value: how often customers will come back, and for how much, with a check against what happened."""

import streamlit as st

from core.analytics.period import shop_today
from core.analytics.unknown import Unknown
from core.ui import forecast_view, lifetime_view, narrow, states
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
span = states.start("Lifetime value", shop)

shop = narrow.narrowed(shop, narrow.FIRST_ORDERS, first_orders=True)
last = forecast_view.last_whole_day(shop, today)
if last is None or last < span.start:
    st.info("No whole day of sales is known yet. Come back tomorrow.", icon=":material/hourglass_empty:")
    st.stop()
with states.coming("Looking at every customer's history", 110, 420):
    found = lifetime_view.load_lifetime(shop, last)
st.caption(
    "What known customers are expected to order in the next 12 months, from how often, how recently and for how much "
    "they ordered so far. Who comes first in these months is not in it."
)
if isinstance(found, Unknown):
    st.info(found.reason, icon=":material/hourglass_empty:")
    st.stop()

lifetime_view.cards(found, shop.currency)

left, right = st.columns(2)
with left.container(border=True, height="stretch", key="best_card"):
    lifetime_view.best(found, shop, last)
with right.container(border=True, height="stretch", key="check_card"):
    lifetime_view.check(shop, last)
