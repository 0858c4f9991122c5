"""My board: what one user chose to see of a store, in their own order."""

import streamlit as st

from core.analytics.period import shop_today
from core.ui import board_file, board_view, filters, states
from core.ui.session import require_shop, require_user

shop = require_shop()
user, today = require_user(), shop_today(shop.time_zone)
span = states.start("My board", shop)

items = board_view.load_items(user, shop)
with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="filters"):
    with filters.fold(by=False):
        period = filters.any_period(today, span.start)
        how = filters.comparison()
    editing = board_view.toolbar(items)
    against = filters.compared_period(period, how)
    view = board_view.View(shop, today, period, against, filters.comparison_name(period, how), how)
    if not editing:
        board_file.menu(view, items)
st.caption(filters.in_words(period, against, today))

if editing:
    board_view.edit(user, shop, items)
elif items:
    with states.coming("Drawing the board", 110, 320):
        board_view.show(view, items, span)
else:
    board_view.begin(user, shop)
