"""How a store is synced: how often each kind of data, how far back, and single kinds on demand."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import streamlit as st

from core.auth import roles
from core.auth.accounts import ShopAccess
from core.sync.jobs import StreamStatus, request_sync, set_schedule
from core.ui import formatting
from core.ui.session import run_again


def coverage(rows: Sequence[StreamStatus], time_zone: str) -> None:
    """Where the token sees a part of the past: from when on there is data, and which permission gives more."""
    for row in rows:
        if row.scope_for_more is not None and row.history_from is not None:
            since = formatting.day(row.history_from.astimezone(ZoneInfo(time_zone)).date(), year=True)
            st.info(
                f"{row.label} since {since}: the access token sees {row.sees_days} days. "
                f"Grant the app `{row.scope_for_more}` in Shopify for more.",
                icon=":material/history:",
            )


def refresh(shop: ShopAccess, rows: Sequence[StreamStatus], *, disabled: bool) -> None:
    """Read everything again, or only some kinds of data, whole or what has changed."""
    labels = {row.stream: row.label for row in rows}
    st.markdown(
        "Reads everything from Shopify again, as on the first day. Nothing is deleted first and no figure is "
        "counted twice. It takes longer than a normal sync; use it when a figure differs from Shopify's."
    )
    chosen = st.multiselect(
        "Only these", list(labels), key="refresh_streams", format_func=labels.__getitem__, placeholder="Everything"
    )
    with st.container(horizontal=True):
        full = st.button("Start a full refresh", key="full_refresh", icon=":material/restart_alt:", disabled=disabled)
        changed = st.button(
            "Fetch what has changed", key="sync_some", icon=":material/sync:", disabled=disabled or not chosen
        )
    if full or changed:
        roles.require(shop.role, "sync_now")
        request_sync(shop.shop_id, chosen or None, full=full, asked_by="button")
        run_again()


def schedule(shop: ShopAccess, rows: Sequence[StreamStatus]) -> None:
    """How often each kind of data is fetched by itself."""
    st.markdown("How often each kind of data is fetched while the app or a worker runs. Off means only when asked.")
    with st.grid(3, min_column_width=200, gap="small", key="schedule_grid"):
        for row in rows:
            options = sorted({*INTERVALS, row.every_s}, key=lambda every_s: every_s or float("inf"))
            chosen = st.selectbox(
                row.label,
                options,
                index=options.index(row.every_s),
                key=f"every_{row.stream}_{row.every_s}",  # what somebody else sets meanwhile makes it anew
                format_func=_words,
            )
            if chosen != row.every_s:
                roles.require(shop.role, "sync_settings")
                set_schedule(shop.shop_id, row.stream, chosen)
                run_again()


def _words(every_s: int) -> str:
    return INTERVALS.get(every_s, f"every {round(every_s / 3600, 1):g} hours")


INTERVALS = {
    3600: "every hour",
    6 * 3600: "every 6 hours",
    12 * 3600: "every 12 hours",
    24 * 3600: "every day",
    7 * 24 * 3600: "every week",
    0: "off",
}
