"""Connecting a store by installing the app at Shopify: the form, what came back from there, and what a token lacks."""

from contextlib import suppress
from urllib.parse import urlencode

import streamlit as st

from core.auth import tickets
from core.auth.accounts import Account, ShopAccess
from core.auth.roles import may
from core.config import get_settings
from core.errors import InputError
from core.sync.install import CONNECT, PROBLEMS, SAID, address
from core.sync.jobs import SyncStatus
from core.ui import connect, session
from core.ui.formatting import plain
from core.ui.session import keep, recall, run_again


def offered() -> bool:
    """Whether stores can be connected this way here."""
    return get_settings().installs


def form() -> None:
    """The store's address, and the way to Shopify, which asks whether this app may read the store."""
    st.markdown(
        "Shopify asks you whether this app may read the store's orders, customers, products and stock. It changes "
        "nothing there."
    )
    typed = st.text_input(
        "Store address", key="install_domain", placeholder="your-store.myshopify.com", autocomplete="off"
    )
    names = connect.names_and_emails("install_names")
    pressed = st.button(
        "Connect with Shopify", key="install", type="primary", icon=":material/add_link:", disabled=not _can_leave()
    )
    if pressed:
        try:
            domain = address(typed)
        except InputError as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            _leave(domain, names="1" if names else "0")


def repair(shop: ShopAccess, status: SyncStatus) -> None:
    """For who may connect the store: a button to install anew, where its token is gone or may not read everything."""
    gone = status.disconnected or status.reauth_since is not None
    if shop.is_demo or not offered() or not may(shop.role, "connect_store") or not (gone or status.lacking_scopes):
        return
    with st.container(border=True, key=f"repair_{shop.shop_id}"):
        if gone:
            st.markdown(f"{plain(shop.name)} is not connected. What was fetched so far is kept.")
        else:
            scopes = ", ".join(f"`{scope}`" for scope in status.lacking_scopes)
            st.markdown(f"{plain(shop.name)} did not grant {scopes}. What needs that is left out.")
        label, icon = ("Connect again", ":material/link:") if gone else ("Grant again", ":material/key:")
        if st.button(label, key=f"install_{shop.shop_id}", icon=icon, disabled=not _can_leave()):
            _leave(shop.domain)


def take() -> None:
    """Take out of the address what an install left there: what to say, and the store to go on with."""
    if (said := st.query_params.get(SAID)) is not None:
        keep("install_said", said)
        del st.query_params[SAID]
    if (domain := st.query_params.get(CONNECT)) is not None:
        del st.query_params[CONNECT]
        with suppress(InputError):
            keep("link", (CONNECT, address(domain)))


def tell(user: Account | None) -> None:
    """Say once how an install ended: a known problem, or the sentence that was left for this user."""
    said = recall("install_said")
    if said is None:
        return
    keep("install_said", None)
    if said in PROBLEMS:
        st.error(PROBLEMS[said], title="The store was not connected", icon=":material/link_off:")
        return
    ticket = tickets.redeem(said, SAID) if user is not None else None
    if user is None or ticket is None or ticket.user_id != user.user_id:
        return
    if ticket.details["good"]:
        st.success(plain(ticket.details["sentence"]), icon=":material/check_circle:")
    else:
        st.error(plain(ticket.details["sentence"]), title="The store was not connected", icon=":material/link_off:")


def announce(domain: str) -> None:
    """On the sign-in page: which store is to be connected afterwards."""
    st.info(f"Sign in to connect **{plain(domain)}**.", icon=":material/add_link:")


def go_on(domain: str) -> None:
    """For who came from Shopify and has signed in: on to the install, or not."""
    st.markdown(f"You came to connect **{plain(domain)}**. Shopify asks you whether this app may read it.")
    stuck, icon = not _can_leave(), ":material/add_link:"
    with st.container(horizontal=True):
        if st.button("Go on to Shopify", key="install_go_on", type="primary", icon=icon, disabled=stuck):
            keep("link", None)
            _leave(domain)
        if st.button("Not now", key="install_not_now"):
            keep("link", None)
            run_again()


def _can_leave() -> bool:
    """Coming back, only the cookie tells who it is."""
    if session.has_cookie():
        return True
    note = "Your browser or this host does not keep the sign-in, so Shopify could not send you back. Use a token."
    st.warning(note, icon=":material/cookie_off:")
    return False


def _leave(domain: str, **words: str) -> None:
    session.leave_for(f"shopify/install?{urlencode({'shop': domain, **words})}")
