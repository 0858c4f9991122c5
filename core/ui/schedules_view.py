"""The list of reports that go out by e-mail."""

from collections.abc import Callable

import streamlit as st

from core.auth.accounts import Account, ShopAccess
from core.config import get_settings
from core.reports import mailing, schedules
from core.reports.schedules import NO_MAIL, Schedule
from core.ui import schedule_form
from core.ui.formatting import moment, plain
from core.ui.session import address, keep, recall
from core.ui.views_view import attempt

NOW, CHANGE, PAUSE, RESUME, END = "Send now", "Change", "Pause", "Resume", "End"


def way(user: Account) -> None:
    """Where nothing can be sent to this user: why, and what to do."""
    if not get_settings().sends_links:
        st.info(NO_MAIL, icon=":material/mail_off:", title="No mail server is set")
    elif user.is_demo:
        st.info("The demo's users get no e-mails: sign in with an account of your own.", icon=":material/mail_off:")
    elif not user.is_verified:
        st.warning("Reports go to a confirmed address only.", icon=":material/mark_email_unread:")
        st.page_link("account.py", label="Confirm yours on Account", icon=":material/person:")


def listed(user: Account, shop: ShopAccess) -> None:
    """A row for each schedule of the user's; below it what was chosen from its menu."""
    found = schedules.schedules_of(user.user_id, shop.shop_id)
    if not found:
        st.caption("None yet. Where e-mails go out, the menu of a view has Send by e-mail.")
    for one in found:
        with st.container(border=True, key=f"schedule_{one.schedule_id}"):
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                with st.container(width="content", gap="xsmall"):
                    st.markdown(f"**{plain(one.view_name)}** {plain(schedules.in_words(one.when, shop.time_zone))}")
                    st.caption(_about(one, shop))
                chosen = st.menu_button(
                    "More", [NOW, CHANGE, PAUSE if one.active else RESUME, END], key=f"schedule_more_{one.schedule_id}",
                    icon=":material/more_horiz:", type="tertiary",
                )  # fmt: skip
            if one.problem:
                st.warning(plain(one.problem), icon=":material/warning:")
            if chosen == CHANGE:
                keep("view_action", (one.schedule_id, CHANGE))
            elif chosen:
                _do(chosen, user, shop, one)
            if recall("view_action") == (one.schedule_id, CHANGE):
                _change(user, shop, one)


def _about(one: Schedule, shop: ShopAccess) -> str:
    next_one = f"Next: {moment(one.next_due_at, shop.time_zone)}" if one.active else "Paused"
    last = f"last sent: {moment(one.last_sent_at, shop.time_zone)}" if one.last_sent_at else "not sent yet"
    files = {"none": "nothing attached", "excel": "with an Excel file", "pdf": "with a PDF"}[one.attachment]
    return plain(f"{next_one} · {last} · {files}")


def _do(action: str, user: Account, shop: ShopAccess, one: Schedule) -> None:
    ids = (user.user_id, shop.shop_id, one.schedule_id)
    ways: dict[str, tuple[Callable[[], object], str]] = {
        NOW: (lambda: mailing.send_now(*ids), f"It is on its way to {plain(user.email)}."),
        PAUSE: (lambda: schedules.pause(*ids), "It is paused."),
        RESUME: (lambda: schedules.change(*ids, one.when, one.attachment, address=address()), "It goes out again."),
        END: (lambda: schedules.end(*ids, address=address()), "The report is ended."),
    }
    attempt(*ways[action])


def _change(user: Account, shop: ShopAccess, one: Schedule) -> None:
    when, attachment = schedule_form.choices(shop, str(one.schedule_id), one)
    if st.button("Save", key=f"save_schedule_{one.schedule_id}", type="primary"):
        ids = (user.user_id, shop.shop_id, one.schedule_id)
        attempt(lambda: schedules.change(*ids, when, attachment, address=address()), "The times are saved.")
