"""A sync as it goes on, what the last one did, past ones, and what they set aside."""

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from core.auth import roles
from core.auth.accounts import ShopAccess
from core.sync.jobs import RunView, SyncStatus, label, quarantined, request_sync, sync_status
from core.ui import formatting, sync_tables
from core.ui.session import require_shop, run_again


def ask(shop: ShopAccess, *, full: bool = False) -> None:
    """Ask for a sync and run the page again. Raises NotPermitted."""
    roles.require(shop.role, "sync_now")
    request_sync(shop.shop_id, full=full, asked_by="button")
    run_again()


def live(shop: ShopAccess) -> None:
    """The progress of a requested or running sync, by itself; the page runs again when it ends. In no container."""
    _progress(shop.shop_id)


def finished(run: RunView, shop: ShopAccess) -> None:
    """The last run: when, how it ended, what it read; where it failed, the reason and the next step."""
    when = formatting.moment(run.finished_at or run.updated_at, shop.time_zone)
    took = formatting.duration((run.finished_at or run.updated_at) - run.started_at)
    if run.outcome == "ok":
        st.success(f"Finished at {when} after {took}.", title="Last sync complete", icon=":material/check_circle:")
    elif run.outcome == "partial":
        st.warning(_reason(run), title=f"Last sync partly failed, {when}", icon=":material/warning:")
    elif run.outcome == "interrupted":
        st.warning(
            "It stopped before its end. Nothing stored was lost: Sync now goes on where it stopped.",
            title=f"Last sync interrupted, {when}",
            icon=":material/warning:",
        )
    else:
        st.error(_reason(run), title=f"Last sync failed, {when}", icon=":material/error:")
    if run.counts:
        sync_tables.run_counts(run)


def history(shown: Sequence[RunView], shop: ShopAccess) -> None:
    """Past syncs, and everything about the one that is chosen."""
    st.caption("Choose a row to see what that sync did.")
    run = sync_tables.runs(shown, shop.time_zone)
    if run is None:
        return
    locale = formatting.reader_locale()
    with st.container(border=True, key="run_details"):
        st.subheader(f"Sync of {formatting.moment(run.started_at, shop.time_zone)}", anchor=False)
        st.table(
            {
                "Asked by": sync_tables.TRIGGERS.get(run.trigger, run.trigger),
                "Result": sync_tables.OUTCOMES.get(run.outcome, run.outcome),
                "Took": formatting.duration((run.finished_at or run.updated_at) - run.started_at),
                "Requests": formatting.count(run.requests, locale),
                "Points of the rate limit": formatting.count(run.cost, locale),
                "Received": f"{formatting.count(round(run.bytes / 1000), locale)} kB",
                "Read": formatting.plain(_windows(run, shop.time_zone)) or formatting.DASH,
                "Problem": formatting.plain(run.problem or "none"),
                "Kind of error": run.error_class or "none",
            },
            border="horizontal",
            width="content",
            alt="Everything about the sync that was chosen",
        )
        if run.counts and run != shown[0]:  # those of the last one stand above already
            sync_tables.run_counts(run)


def quarantine(shop_id: int, time_zone: str) -> None:
    """What could not be stored: how many of each kind, and the reasons; nothing where there is none."""
    counts, rows = quarantined(shop_id)
    if not counts:
        return
    told = ", ".join(f"{count:,} {label(stream).lower()}" for stream, count in sorted(counts.items()))
    with st.expander(f"Set aside: {told}", icon=":material/report:", key="set_aside_box"):
        st.markdown(
            "Shopify sent these objects in a form that cannot be stored. They count in no figure; the rest is stored. "
            "The next good version of an object takes it off this list."
        )
        sync_tables.set_aside(rows, time_zone)


def _windows(run: RunView, time_zone: str) -> str:
    told = []
    for stream, (since, until) in run.windows.items():
        start = (
            f"changes since {formatting.moment(datetime.fromisoformat(since), time_zone)}" if since else "everything"
        )
        end = f" up to {formatting.moment(datetime.fromisoformat(until), time_zone)}" if until else ""
        told.append(f"{label(stream)}: {start}{end}")
    return "; ".join(told)


@st.fragment(run_every="1.5s")
def _progress(shop_id: int) -> None:
    if require_shop().shop_id != shop_id:
        run_again()
    status = sync_status(shop_id)
    if status.running is None and not status.requested:
        run_again()
    with st.container(border=True, key="progress_card"):
        st.subheader("Syncing", anchor=False)
        _show(status)
        st.caption("You can leave this page: the sync goes on, and its progress is here when you come back.")


def _show(status: SyncStatus) -> None:
    run = status.running
    if run is None:
        st.progress(0.0, text="Waiting for a worker to begin. This takes a few seconds.")
        return
    locale = formatting.reader_locale()
    done = formatting.count(run.done, locale)
    of = f"{done} of {formatting.count(run.expected, locale)}" if run.expected else done
    share = min(run.done / run.expected, 1.0) if run.expected else 0.0
    st.progress(share, text=run.stage or "Starting")
    with st.grid(4, min_column_width=120, gap="small", key="sync_progress"):
        st.metric("Now", label(run.stream) if run.stream else formatting.DASH)
        st.metric("Rows of this kind", of)
        st.metric("Rows a second", formatting.count(round(run.rows_per_s), locale), help="All kinds, since the start.")
        st.metric("Elapsed", formatting.duration(run.updated_at - run.started_at))


def _reason(run: RunView) -> str:
    return formatting.plain(run.problem or "The reason was not recorded. Try again; the log has more.")
