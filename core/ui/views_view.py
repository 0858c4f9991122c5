"""The list of saved views, and what may be done with each."""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.analytics.period import CUSTOM
from core.auth import views
from core.auth.accounts import Account, ShopAccess
from core.auth.roles import may
from core.auth.views import View
from core.config import get_settings
from core.errors import AppError
from core.reports import mailing, schedules, span
from core.ui import schedule_form, views_bar
from core.ui.formatting import plain
from core.ui.session import address, go_to, keep, recall, run_again

SEND, PREVIEW, RENAME, SHARE, UNSHARE, DELETE = (
    "Send by e-mail", "Preview the e-mail", "Rename", "Share in this store", "Share no longer", "Delete",
)  # fmt: skip


def follow_link(user: Account, shop: ShopAccess) -> None:
    """Before anything is drawn: open the view that the address names."""
    view_id = st.query_params.get("open")
    if view_id is None:
        return
    try:
        view = views.view(user.user_id, shop.shop_id, view_id)
        go_to(f"{view.page}.py", {"shop": [shop.domain], **view.query})
    except AppError as error:
        del st.query_params["open"]
        st.error(plain(str(error)), icon=":material/link_off:")


def listed(user: Account, shop: ShopAccess, found: Sequence[View]) -> None:
    """A row for each view; below it what was chosen from its menu."""
    for view in found:
        with st.container(border=True, key=f"view_{view.view_id}"):
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                with st.container(width="content", gap="xsmall"):
                    views_bar.link(view, shop)
                    st.caption(_about(view))
                chosen = st.menu_button(
                    "More", _actions(view, shop), key=f"more_{view.view_id}", icon=":material/more_horiz:",
                    type="tertiary",
                )  # fmt: skip
            if chosen in (SHARE, UNSHARE):
                _share(user, shop, view, on=chosen == SHARE)
            elif chosen:
                keep("view_action", (view.view_id, chosen))
            if (asked := recall("view_action")) and asked[0] == view.view_id:
                _FORMS[asked[1]](user, shop, view)


def attempt(work: Callable[[], object], said: str) -> None:
    """Do it and run the page again saying so, or say why not."""
    try:
        work()
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    keep("view_action", None)
    keep("view_said", said)
    run_again()


def _actions(view: View, shop: ShopAccess) -> list[str]:
    keeps = may(shop.role, "save_view")
    actions = [SEND] if keeps and get_settings().sends_links else []
    actions.append(PREVIEW)
    if view.mine and keeps:
        actions += [RENAME, UNSHARE if view.shared else SHARE]
    if view.mine or may(shop.role, "delete_shared_view"):
        actions.append(DELETE)
    return actions


def _about(view: View) -> str:
    parts = [view.page.replace("_", " ").capitalize(), *in_words(view.query)]
    if view.shared:
        parts.append("shared by you" if view.mine else f"shared by {view.by}")
    return " · ".join(map(plain, parts))


def in_words(query: Mapping[str, Sequence[str]]) -> list[str]:
    """What an address chooses, one text for each; the days first."""
    if not query:
        return ["as it opens by itself"]
    named = {name: ", ".join(values) for name, values in query.items()}
    days = [" to ".join(query["dates"])] if named.pop("dates", None) else []
    days += [text for name in ("range", "period") if (text := named.pop(name, CUSTOM)) != CUSTOM]
    if "by" in named:
        days.append(f"by {named.pop('by').lower()}")
    if "compare" in named:
        days.append(f"compared with {named.pop('compare').lower()}")
    return days + [f"{name.replace('_', ' ')}: {text}" for name, text in named.items()]


def _share(user: Account, shop: ShopAccess, view: View, *, on: bool) -> None:
    said = f"Everybody in this store can open {plain(view.name)} now." if on else "Only you can open it now."
    attempt(lambda: views.share(user.user_id, shop.shop_id, view.view_id, on, address=address()), said)


def _rename(user: Account, shop: ShopAccess, view: View) -> None:
    with st.form(f"rename_{view.view_id}", border=False):
        name = st.text_input("Name", value=view.name, key=f"name_{view.view_id}", max_chars=80, autocomplete="off")
        saves, cancels = _two("Save the name")
    _close(cancels)
    if saves:
        attempt(lambda: views.rename(user.user_id, shop.shop_id, view.view_id, name), "The name is saved.")


def _delete(user: Account, shop: ShopAccess, view: View) -> None:
    with st.form(f"delete_{view.view_id}", border=False):
        whose = "" if view.mine else f" It was made by {plain(view.by)}."
        st.markdown(f"Delete **{plain(view.name)}**, and what is sent of it?{whose}")
        deletes, cancels = _two("Delete the view")
    _close(cancels)
    if deletes:
        attempt(
            lambda: views.delete(user.user_id, shop.shop_id, view.view_id, address=address()), "The view is deleted."
        )


def _send(user: Account, shop: ShopAccess, view: View) -> None:
    st.markdown(f"Send the figures of **{plain(view.name)}** to {plain(user.email)}:")
    if span.has_fixed_days(view.query):
        st.caption(
            "This view has fixed days, so each e-mail shows the same ones. Views of a range follow the calendar."
        )
    when, attachment = schedule_form.choices(shop, view.view_id)
    with st.container(horizontal=True):
        sends = st.button("Send it from now on", key=f"send_{view.view_id}", type="primary", icon=":material/schedule:")
        cancels = st.button("Cancel", key=f"send_not_{view.view_id}")
    _close(cancels)
    if sends:
        ids = (user.user_id, shop.shop_id, view.view_id)
        said = f"It goes out {schedules.in_words(when, shop.time_zone)}."
        attempt(lambda: schedules.add(*ids, when, attachment, address=address()), plain(said))


def _preview(user: Account, shop: ShopAccess, view: View) -> None:
    try:
        letter = mailing.preview(user.user_id, shop.shop_id, view.view_id)
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.markdown(f"**Subject:** {plain(letter.subject)}")
    looks, reads = st.tabs(["As it looks", "As text"], key=f"preview_{view.view_id}")
    looks.html(letter.html)
    reads.code(letter.text, language=None, wrap_lines=True)
    _close(st.button("Close", key=f"close_{view.view_id}"))


def _two(label: str) -> tuple[bool, bool]:
    with st.container(horizontal=True):
        return st.form_submit_button(label, type="primary"), st.form_submit_button("Cancel")


def _close(pressed: bool) -> None:
    if pressed:
        keep("view_action", None)
        run_again()


_FORMS: dict[str, Callable[[Account, ShopAccess, View], None]] = {
    SEND: _send, PREVIEW: _preview, RENAME: _rename, DELETE: _delete,
}  # fmt: skip
