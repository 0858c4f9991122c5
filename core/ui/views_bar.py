"""The corner of a page where its address is kept as a view, and where views are opened."""

import streamlit as st

from core.auth import views
from core.auth.accounts import ShopAccess
from core.auth.roles import may
from core.auth.views import View
from core.errors import AppError
from core.ui.formatting import plain
from core.ui.session import address, choices, keep, page_name, require_user, run_again, tell

_SHOWN = 8


def corner(shop: ShopAccess) -> None:
    """The button that opens it; nothing on a page that is run alone."""
    page = page_name()
    if page is None:
        return
    user = require_user()
    found = views.views_of(user.user_id, shop.shop_id)
    with st.popover("Views", icon=":material/bookmark:", key="views_corner"):
        tell("view_kept")
        for view in found[:_SHOWN]:
            link(view, shop)
        if not found:
            st.caption("A view is this page as it is now: its period, comparison and filters, under a name.")
        st.page_link(
            "views.py", label="All views and reports", icon=":material/bookmarks:", query_params={"shop": shop.domain}
        )
        if may(shop.role, "save_view"):
            _form(shop, page, user.user_id)


def link(view: View, shop: ShopAccess) -> None:
    """What opens a view."""
    st.page_link(
        "views.py",
        label=plain(view.name),
        icon=":material/group:" if view.shared else ":material/bookmark:",
        query_params={"shop": shop.domain, "open": view.view_id},
    )


def _form(shop: ShopAccess, page: str, user_id: int) -> None:
    with st.form("save_view_form", border=False, clear_on_submit=True):
        name = st.text_input("Name of the view", key="view_name", max_chars=80, autocomplete="off")
        shared = st.checkbox("Share it with everybody in this store", key="view_shared")
        pressed = st.form_submit_button("Save this view", type="primary", icon=":material/bookmark_add:")
    if not pressed:
        return
    try:
        views.save(user_id, shop.shop_id, name, page, choices(), shared=shared, address=address())
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    keep("view_kept", "The view is saved.")
    run_again()
