"""Which days, at which hour, and with which file a view goes out."""

from calendar import day_name
from collections.abc import Mapping

import streamlit as st

from core.auth.accounts import ShopAccess
from core.auth.roles import may
from core.reports.schedules import Attached, Every, Schedule, When
from core.ui import formatting

_EVERY: dict[str, Every] = {"Every day": "day", "Every week": "week", "Every month": "month"}
_ATTACHED: dict[str, Attached] = {"Nothing": "none", "Excel": "excel", "PDF": "pdf"}


def choices(shop: ShopAccess, key: str, now: Schedule | None = None) -> tuple[When, Attached]:
    """When, and what is attached; `now` is what a schedule has already."""
    before = now.when if now else When("week", 8)
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"when_{key}"):
        label = st.selectbox(
            "How often", list(_EVERY), index=_place(_EVERY, before.every), key=f"every_{key}", width=150
        )
        every, weekday, month_day = _EVERY.get(label, "week"), before.weekday, before.month_day
        if every == "week":
            weekday = st.selectbox(
                "Weekday", range(7), index=before.weekday, key=f"weekday_{key}", format_func=day_name.__getitem__,
                width=150,
            )  # fmt: skip
        elif every == "month":
            month_day = st.selectbox(
                "Day", range(1, 32), index=before.month_day - 1, key=f"month_day_{key}", width=90,
                help="Where a month is shorter, its last day.",
            )  # fmt: skip
        hour = st.selectbox(
            f"At ({formatting.city(shop.time_zone)})", range(24), index=before.hour, key=f"hour_{key}",
            format_func="{:02}:00".format, width=130,
        )  # fmt: skip
        attached: Attached = now.attachment if now else "none"
        if may(shop.role, "export"):
            label = st.selectbox(
                "Attached", list(_ATTACHED), index=_place(_ATTACHED, attached), key=f"attached_{key}", width=130,
                help="The overview of the view's days, complete.",
            )  # fmt: skip
            attached = _ATTACHED.get(label, "none")
        else:
            attached = "none"
    return When(every, hour, weekday, month_day), attached


def _place(options: Mapping[str, str], value: str) -> int:
    return list(options.values()).index(value)
