"""Stores: the stores a user may open; connect another one or cut it off, how long data is kept, the demo."""

import streamlit as st

from core.auth.accounts import shops_of, show_demo
from core.auth.roles import may
from core.config import get_settings
from core.sync.jobs import sync_status
from core.ui import checklist, connect, delete_store, disconnect_store, install, retention, states, tables
from core.ui.session import require_user, run_again, tell

user = require_user()
shops = shops_of(user.user_id)

states.plain_heading("Stores")
tell("store_said")
statuses = {shop.shop_id: sync_status(shop.shop_id) for shop in shops}
if shops:
    tables.stores(shops, list(statuses.values()))
else:
    demo = ", or switch on the demo store" if get_settings().demo else ""
    st.info(f"No store yet. Connect one below{demo}.", icon=":material/storefront:")
checklist.card(user, shops, statuses)
for shop in shops:
    install.repair(shop, statuses[shop.shop_id])

if get_settings().demo or any(shop.is_demo for shop in shops):
    shown = st.toggle(
        "Show the demo store",
        value=user.show_demo,
        key="show_demo",
        help="An invented store with two years of orders, to look around in. Hiding it deletes nothing.",
    )
    if shown != user.show_demo:
        show_demo(user.user_id, shown)
        run_again()

kept = [shop for shop in shops if may(shop.role, "keep_data") and not shop.is_demo]
if kept:
    with st.expander("How long data is kept", icon=":material/auto_delete:", key="retention_box"):
        retention.form(user, kept)

connected = [shop for shop in shops if may(shop.role, "connect_store") and not shop.is_demo]
connected = [shop for shop in connected if not statuses[shop.shop_id].disconnected]
if connected:
    with st.expander("Disconnect a store", icon=":material/link_off:", key="disconnect_box"):
        disconnect_store.form(user, connected)

deletable = [shop for shop in shops if may(shop.role, "delete_store") and not shop.is_demo]
if deletable:
    with st.expander("Delete a store", icon=":material/delete_forever:", key="delete_box"):
        delete_store.form(user, deletable)

if install.offered():
    with st.expander("Connect a store", expanded=not shops, icon=":material/add_business:", key="install_box"):
        install.form()
    with st.expander("Connect with an access token", icon=":material/key:", key="connect_box"):
        connect.form(user)
else:
    with st.expander("Connect a store", expanded=not shops, icon=":material/add_business:", key="connect_box"):
        connect.form(user)
