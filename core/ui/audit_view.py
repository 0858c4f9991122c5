"""The audit list: by action and days, with a download."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.analytics.period import shop_today
from core.auth import audit, members
from core.auth.accounts import Account, ShopAccess
from core.auth.audit import ACTIONS, Event
from core.ui import downloads, formatting

_ROW = 36
_MOST = 5000
_DAYS = {"Today": 1, "Last 7 days": 7, "Last 30 days": 30, "Last 90 days": 90, "Last 2 years": 731}


def filtered(user: Account, shop: ShopAccess) -> list[Event]:
    """The events of the days and the action that are chosen, newest first. Raises NotPermitted."""
    members.permitted(user.user_id, shop.shop_id, "view_audit")
    name = st.selectbox("Days", list(_DAYS), index=2, key="audit_days", width=140)
    action = st.selectbox(
        "Action", list(ACTIONS), index=None, placeholder="Every action", format_func=ACTIONS.__getitem__,
        key="audit_action", width=200,
    )  # fmt: skip
    zone = ZoneInfo(shop.time_zone)
    first = shop_today(shop.time_zone) - timedelta(days=_DAYS[name] - 1)
    since = datetime.combine(first, time(), zone).astimezone(UTC)
    until = datetime.now(UTC) + timedelta(minutes=1)
    found = audit.events(shop.shop_id, since=since, until=until, action=action, limit=_MOST)
    file_name = f"{shop.domain.removesuffix('.myshopify.com')}_audit_{first.isoformat()}.csv"
    st.download_button(
        "Download as CSV", data=audit.as_csv(found), mime="text/csv", key="audit_download", file_name=file_name,
        on_click=downloads.taken, args=(shop.shop_id, file_name),
        icon=":material/download:", disabled=not found,
    )  # fmt: skip
    return found


def listed(found: Sequence[Event], shop: ShopAccess) -> None:
    """The events as a table."""
    if not found:
        st.info("Nothing of this kind happened in these days.", icon=":material/event_busy:")
        return
    if len(found) == _MOST:
        st.caption(f"These are the newest {_MOST:,}. Choose fewer days to see all of them.")
    zone = ZoneInfo(shop.time_zone)
    shown = pd.DataFrame(
        [
            {
                "When": event.at.astimezone(zone).replace(tzinfo=None),
                "Who": event.actor,
                "What": ACTIONS.get(event.action, event.action),
                "Of what": event.target or None,
                "Result": {"ok": "Done", "refused": "Refused", "failed": "Failed"}.get(event.result, event.result),
                "From": event.address,
            }
            for event in found
        ]
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="audit",
        row_height=_ROW,
        placeholder=formatting.DASH,
        alt="What was done, the newest first",
        column_config={
            "When": st.column_config.DatetimeColumn(
                format="D MMM YYYY, HH:mm:ss", pinned=True, help="On the store's clock."
            ),
            "From": st.column_config.TextColumn(help="The network address; empty on the machine that runs the app."),
        },
    )
