"""Forecast: what the next weeks may bring, and which days were unlike what was to be expected."""

import streamlit as st

from core.analytics.period import shop_today
from core.analytics.unknown import Unknown
from core.ui import downloads, forecast_view, narrow, states
from core.ui.session import require_shop

shop = require_shop()
today = shop_today(shop.time_zone)
span = states.start("Forecast", shop)

with st.container(horizontal=True, vertical_alignment="center", key="filters"):
    slug = forecast_view.measure()
    days = forecast_view.horizon()
    shop = narrow.narrowed(shop)
last = forecast_view.last_whole_day(shop, today)
if last is None or last < span.start:
    st.info("No whole day of sales is known yet. Come back tomorrow.", icon=":material/hourglass_empty:")
    st.stop()
with states.coming("Computing the forecast", 110, 420):
    found = forecast_view.load_forecast(shop, slug, days, last)
if isinstance(found, Unknown):
    st.info(found.reason, icon=":material/hourglass_empty:")
    st.stop()

daily = forecast_view.load_daily(shop, slug, last)
forecast_view.cards(found, daily, slug, days, shop.currency)

with st.container(border=True, key="forecast_card"):
    drawn = forecast_view.chart(found, daily, slug, shop.currency)
    with downloads.head("The next days", forecast_view.HOW):
        forecast_view.days_menu(found, daily, slug, drawn, shop)
    text = forecast_view.chart_text(found, slug, days, shop.currency)
    st.altair_chart(drawn, alt=text, key="forecast_chart")
    st.caption(forecast_view.how_good(found, slug, shop.currency))

with st.container(border=True, key="unusual_card"):
    forecast_view.unusual(shop, daily, slug, last)
