"""Audit: who did what in this store."""

import streamlit as st

from core.auth import privacy, roles
from core.ui import audit_view, privacy_view, states
from core.ui.formatting import plain
from core.ui.session import require_shop, require_user

shop = require_shop()
roles.require(shop.role, "view_audit")
user = require_user()

states.plain_heading("Audit")
days = privacy.retention_of(user.user_id, shop.shop_id).audit_days
st.caption(
    f"What was done in {plain(shop.name)}, and when its members signed in. Nothing here can be changed; "
    f"entries are forgotten after {days:,} days, which is set on Stores."
)
with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
    found = audit_view.filtered(user, shop)
audit_view.listed(found, shop)

if roles.may(shop.role, "manage_privacy") and not shop.is_demo:
    privacy_view.requests(user, shop)
