"""Sync: fetch the newest data from Shopify, watch it arrive, and see past syncs."""

import streamlit as st

from core.auth.roles import may
from core.sync.jobs import run_history, sync_status
from core.ui import install, states, sync_settings, sync_tables, sync_view, webhooks_view
from core.ui.session import require_shop

shop = require_shop()
status = sync_status(shop.shop_id)
busy = status.requested or status.running is not None
closed = busy or status.reauth_since is not None or status.disconnected

states.heading("Sync", status, shop)
states.follow(shop)
install.repair(shop, status)

may_sync = may(shop.role, "sync_now")
if may_sync and st.button("Sync now", key="sync_now", type="primary", icon=":material/sync:", disabled=closed):
    sync_view.ask(shop)

if busy:
    sync_view.live(shop)
elif status.last is None:
    st.info(
        "The first sync fetches all orders, customers and products. Later ones fetch what has changed.",
        title="Never synced",
        icon=":material/cloud_download:",
    )
else:
    sync_view.finished(status.last, shop)

if status.streams:
    st.subheader("What is synced", anchor=False)
    sync_tables.streams(status.streams, shop.time_zone)
    sync_settings.coverage(status.streams, shop.time_zone)
    sync_view.quarantine(shop.shop_id, shop.time_zone)

if not status.disconnected:
    webhooks_view.overview(shop)

history = run_history(shop.shop_id)
if history:
    st.subheader("Past syncs", anchor=False)
    sync_view.history(history, shop)

if may_sync:
    with st.expander("Full refresh", icon=":material/restart_alt:", key="full_refresh_box"):
        sync_settings.refresh(shop, status.streams, disabled=closed)

if may(shop.role, "sync_settings"):
    with st.expander("Schedule", icon=":material/schedule:", key="schedule_box"):
        sync_settings.schedule(shop, status.streams)
