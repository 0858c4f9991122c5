"""Views and reports: addresses kept under names, and which of them go out by e-mail."""

import streamlit as st

from core.auth.views import views_of
from core.ui import schedules_view, states, views_view
from core.ui.formatting import plain
from core.ui.session import require_shop, require_user, tell

shop = require_shop()
user = require_user()
views_view.follow_link(user, shop)

states.plain_heading("Views and reports")
st.caption(f"Pages of {plain(shop.name)} as you saved them, and what is sent of them.")
tell("view_said")

found = views_of(user.user_id, shop.shop_id)
own, shared = [view for view in found if view.mine], [view for view in found if not view.mine]

st.subheader("Your views", anchor=False)
views_view.listed(user, shop, own)
if not own:
    st.info(
        "Set a page as you like to see it, then press Views beside its title and save it under a name.",
        icon=":material/bookmark_add:",
    )
if shared:
    st.subheader("Shared in this store", anchor=False)
    views_view.listed(user, shop, shared)

st.subheader("Reports by e-mail", anchor=False)
schedules_view.way(user)
schedules_view.listed(user, shop)
