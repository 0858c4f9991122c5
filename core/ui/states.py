"""The top of a page, and what it says when there is nothing to show: each case with the next step."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.analytics.period import Period, shop_today
from core.analytics.report import Report
from core.auth.accounts import ShopAccess
from core.auth.pulse import Pulse
from core.auth.roles import may
from core.errors import AppError
from core.sync.jobs import SyncStatus, sync_status
from core.ui import formatting, sync_view, views_bar
from core.ui.data import load_span
from core.ui.session import keep, pulse_of, recall, run_again

# Scheduled syncs run far more often; data older than this means that they fail.
STALE_AFTER = timedelta(hours=3)
FOLLOW_EVERY_S = 1.5
NEW_FOR_S = 10.0


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show an error of ours as the sentence it is, and end the run."""
    try:
        yield
    except AppError as error:
        st.error(formatting.plain(str(error)), icon=":material/error:")
        st.stop()


def start(title: str, shop: ShopAccess) -> Period:
    """The title with the age of the data; the days that have data, or stop here saying why there are none."""
    status = sync_status(shop.shop_id)
    corner = heading(title, status, shop)
    follow(shop)
    span = load_span(shop)
    if span is None:
        _nothing_yet(status, shop)
        st.stop()
    with corner:
        views_bar.corner(shop)
    if status.synced_at is None:
        st.warning(
            "The first sync has not come to its end: figures lack what it has not fetched.",
            icon=":material/sync_problem:",
        )
    return span


@contextmanager
def coming(text: str, *heights_px: int) -> Iterator[None]:
    """What stands for a slow part of a page from half a second on: what is done, and shapes as high as what comes."""
    with ExitStack() as shown:
        shown.enter_context(st.spinner(text))
        for height_px in heights_px:
            shown.enter_context(st.skeleton(height=height_px))
        yield


def plain_heading(text: str) -> None:
    """The title of a page that is not about a store's data, as high as where `heading` sets it."""
    with st.container(horizontal=True):
        st.title(text, anchor=False, width="content")


def heading(title: str, status: SyncStatus, shop: ShopAccess) -> DeltaGenerator:
    """The title line: the page, its store, how old its data is; below it, where nothing new can arrive.

    There is room for more at its end, in the container that is returned.
    """
    keep("synced_at", status.synced_at)  # files say it too
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.title(title, anchor=False, width="content")
        corner = st.container(horizontal=True, vertical_alignment="center", width="content", key="heading_corner")
    age = freshness(status, shop.time_zone)
    if age.startswith(":orange"):  # a caption would fade the warning
        corner.markdown(f":small[{formatting.plain(shop.name)} · {age}]", width="content")
    else:
        corner.caption(f"{formatting.plain(shop.name)} · {age}", width="content")
    if status.disconnected:
        st.warning(
            "Its access token is forgotten, so nothing new arrives and nothing can be synced. What was fetched so far "
            "is kept. Connect the store again to go on.",
            title="This store is disconnected",
            icon=":material/link_off:",
        )
        st.page_link("stores.py", label="Go to Stores", icon=":material/storefront:")
    elif status.reauth_since is not None:
        st.error(
            "Shopify no longer accepts the access token. Connect the store again. What was fetched so far is kept; "
            "nothing new arrives until then.",
            title=f"Not synced since {formatting.moment(status.reauth_since, shop.time_zone)}",
            icon=":material/key_off:",
        )
        st.page_link("stores.py", label="Go to Stores", icon=":material/storefront:")
    return corner


def freshness(status: SyncStatus, time_zone: str, now: datetime | None = None) -> str:
    """How old the data is, as Markdown; a warning when it is too old."""
    as_of = f"Data as of {formatting.moment(status.synced_at, time_zone)}" if status.synced_at else "Not synced yet"
    if status.disconnected:
        return f"{as_of} · Disconnected"
    if _busy(status):
        return ":material/sync: Syncing now" + (f" · {as_of}" if status.synced_at else "")
    if status.synced_at is None:
        return as_of if status.last is None else ":orange[:material/warning: Last sync did not finish]"
    age = (now or datetime.now(UTC)) - status.synced_at
    if age <= STALE_AFTER:
        return as_of
    return f":orange[:material/warning: {as_of}, {formatting.ago(status.synced_at, now)}: sync again]"


def stop_without_sales(report: Report, span: Period, shop: ShopAccess) -> None:
    """Where nothing was sold in the period: say so, offer the last days with data, and stop."""
    if any(report.totals[slug] for slug in ("orders", "total_sales", "gross_sales", "sales_reversals", "tips")):
        return
    today = shop_today(shop.time_zone)
    known = f"There is data from {formatting.period(span, today)}."
    missing = "No orders that the filters leave in" if shop.filters else "No orders"
    st.info(f"{missing} from {formatting.period(report.period, today)}. {known}", icon=":material/event_busy:")
    last = Period(max(span.start, span.end - timedelta(days=report.period.days - 1)), span.end)
    st.page_link(
        "date_filter.py",
        label=f"Show {formatting.period(last, today)}",
        icon=":material/date_range:",
        query_params={"shop": shop.domain, "range": "Custom", "dates": [last.start.isoformat(), last.end.isoformat()]},
    )
    st.stop()


def warn_of_unclassified(report: Report) -> None:
    """Say where figures contain sales of a type this app does not know."""
    if report.totals["unclassified"]:
        st.warning(
            f"Sales of a type that is new to this app: {report.totals['unclassified']}. They count by their sign as "
            "gross sales or sales reversals, so figures may differ from Shopify's until the app is updated.",
            icon=":material/warning:",
        )


def _nothing_yet(status: SyncStatus, shop: ShopAccess) -> None:
    if _busy(status):
        st.info("The first sync is running. This page fills in by itself.", icon=":material/sync:")
        sync_view.live(shop)
        return
    if status.disconnected:
        return
    if status.last is not None and status.last.problem:
        st.error(formatting.plain(status.last.problem), title="The last sync failed", icon=":material/error:")
    elif status.synced_at is None:
        note = "Nothing was fetched from this store so far. The first sync brings all orders, customers and products."
        st.info(note, icon=":material/cloud_download:", title="Never synced")
        if status.reauth_since is None and may(shop.role, "sync_now"):
            if st.button("Sync now", key="sync_first", type="primary", icon=":material/sync:"):
                sync_view.ask(shop)
            return
    else:
        note = "The store is synced and has no orders. They appear here after the next sync."
        st.info(note, icon=":material/receipt_long:", title="No orders yet")
    st.page_link("sync.py", label="Go to Sync", icon=":material/sync:")


def _busy(status: SyncStatus) -> bool:
    return status.running is not None or status.requested


def follow(shop: ShopAccess) -> None:
    """Show new data by itself: the page runs again within two seconds of a webhook, a sync, or another role.

    Until then one row is asked for, and nothing else is drawn. A short note says that the page is new. To be called
    in no container: where a click cuts a fragment off, Streamlit goes on drawing in the container it was called in.
    """
    now = pulse_of(shop.shop_id)
    if now is not None:
        _follow(shop.shop_id, replace(now, data_version=shop.data_version))


@st.fragment(run_every=FOLLOW_EVERY_S)
def _follow(shop_id: int, drawn: Pulse) -> None:
    now = pulse_of(shop_id)
    if now != drawn:
        if now is not None and now.data_version != drawn.data_version:
            keep("updated", (shop_id, now.data_version, None))
        run_again()
    updated = recall("updated")
    if updated is None or updated[:2] != (shop_id, drawn.data_version):
        return
    if updated[2] is None:  # from now on: a slow page must not swallow its note
        updated = (*updated[:2], time.monotonic())
        keep("updated", updated)
    if time.monotonic() - updated[2] < NEW_FOR_S:
        st.markdown(":small[:green[:material/bolt: Updated just now]]", width="content")
