"""Tables of the Sync page: streams, past runs, what one run did, what was set aside."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.sync.jobs import Quarantined, RunView, StreamStatus, label
from core.ui import formatting

_ROW = 36


def streams(rows: Sequence[StreamStatus], time_zone: str) -> None:
    """How each kind of data stands, in words."""
    zone, now = ZoneInfo(time_zone), datetime.now(UTC)
    shown = pd.DataFrame(
        [
            {
                "Data": row.label,
                "State": state(row, time_zone),
                "Last success": _local(row.succeeded_at, zone),
                "Lag": formatting.duration(now - row.succeeded_at) if row.succeeded_at else None,
                "Goes back to": _local(row.history_from, zone),
                "Failed attempts": row.failures,
                "Problem": row.problem,
            }
            for row in rows
        ]
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="streams",
        row_height=_ROW,
        placeholder=formatting.DASH,
        alt="The state of each kind of data",
        column_config={
            "Data": st.column_config.TextColumn(pinned=True),
            "State": st.column_config.TextColumn(width="medium"),
            "Last success": st.column_config.DatetimeColumn(format=_MOMENT, help="On the store's clock."),
            "Lag": st.column_config.TextColumn(help="Time since the last success: what is newer is not here yet."),
            "Goes back to": st.column_config.DatetimeColumn(
                format="D MMM YYYY", help="How far back Shopify let this app read; a dash means everything there is."
            ),
            "Problem": st.column_config.TextColumn(width="large"),
        },
    )


def state(row: StreamStatus, time_zone: str) -> str:
    """A stream's state in words: "Retrying at 14:03"."""
    if row.state == "retrying" and row.due_at is not None:
        return f"Retrying at {row.due_at.astimezone(ZoneInfo(time_zone)):%H:%M}"
    return _STATES.get(row.state, row.state)


def runs(history: Sequence[RunView], time_zone: str) -> RunView | None:
    """Past syncs, the newest first; the one that is chosen."""
    zone = ZoneInfo(time_zone)
    shown = pd.DataFrame(
        [
            {
                "Started": _local(run.started_at, zone),
                "Result": OUTCOMES.get(run.outcome, run.outcome),
                "Took": _took(run),
                "Rows read": run.rows,
                "Changed": _sum(run, "inserted") + _sum(run, "updated") + _sum(run, "deleted"),
                "Set aside": _sum(run, "quarantined"),
                "Problem": run.problem,
            }
            for run in history
        ]
    )
    event: Any = st.dataframe(
        shown,
        hide_index=True,
        key="runs",
        row_height=_ROW,
        placeholder=formatting.DASH,
        alt="Past syncs, the newest first",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Started": st.column_config.DatetimeColumn(format=_MOMENT, pinned=True, help="On the store's clock."),
            "Rows read": st.column_config.NumberColumn(format="localized"),
            "Changed": st.column_config.NumberColumn(
                format="localized", help="Rows that were new, different or deleted."
            ),
            "Set aside": st.column_config.NumberColumn(format="localized", help="Rows that could not be stored."),
            "Problem": st.column_config.TextColumn(width="large"),
        },
    )
    chosen = [history[at] for at in event.selection.rows if 0 <= at < len(history)]  # the browser says which
    return chosen[0] if chosen else None


def run_counts(run: RunView) -> None:
    """What one sync did, by kind of row."""
    shown = pd.DataFrame(
        [
            {"Data": label(stream), **{name: counts.get(kind, 0) for kind, name in _COUNTS.items()}}
            for stream, counts in run.counts.items()
        ]
    )
    st.dataframe(
        shown,
        hide_index=True,
        key=f"run_counts_{run.run_id}",
        row_height=_ROW,
        alt="Rows read, new, updated, unchanged, deleted and set aside",
        column_config={
            "Data": st.column_config.TextColumn(pinned=True),
            **{name: st.column_config.NumberColumn(format="localized") for name in _COUNTS.values()},
        },
    )


def set_aside(rows: Sequence[Quarantined], time_zone: str) -> None:
    """Objects that could not be stored, the latest first."""
    zone = ZoneInfo(time_zone)
    shown = pd.DataFrame(
        [
            {"Data": label(row.stream), "Object": row.key, "Reason": row.reason, "Since": _local(row.since, zone)}
            for row in rows
        ]
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="set_aside",
        row_height=_ROW,
        alt="Objects that were set aside, with the reason",
        column_config={
            "Data": st.column_config.TextColumn(pinned=True),
            "Reason": st.column_config.TextColumn(width="large"),
            "Since": st.column_config.DatetimeColumn(format=_MOMENT, help="On the store's clock."),
        },
    )


def _local(when: datetime | None, zone: ZoneInfo) -> datetime | None:
    return when and when.astimezone(zone).replace(tzinfo=None)


def _took(run: RunView) -> str:
    return formatting.duration(run.finished_at - run.started_at) if run.finished_at else formatting.DASH


def _sum(run: RunView, kind: str) -> int:
    return sum(counts.get(kind, 0) for counts in run.counts.values())


_MOMENT = "D MMM YYYY, HH:mm"
_COUNTS = {
    "read": "Read",
    "inserted": "New",
    "updated": "Updated",
    "unchanged": "Unchanged",
    "deleted": "Deleted",
    "quarantined": "Set aside",
}
_STATES = {
    "ok": "Up to date",
    "running": "Running",
    "degraded": "Some fields withheld",
    "blocked": "Blocked: a permission is missing",
    "failed": "Failed: sync again",
    "reauth": "Needs a new access token",
    "disconnected": "Disconnected",
    "off": "Only when asked",
    "new": "Not synced yet",
}
OUTCOMES = {
    "running": "Running",
    "ok": "Complete",
    "partial": "Partly failed",
    "failed": "Failed",
    "interrupted": "Interrupted",
}
TRIGGERS = {"button": "Sync now", "command line": "Command line", "worker": "Schedule", "webhook": "Webhook"}
