"""Who is signed in, and which of their shops is open. The only module that touches st.session_state.

Who is signed in belongs to the connection (st.user): the middleware names the verified session of the cookie there.
The browser's state only says which domain is meant; whether the session lives, the user exists and may open that
shop is read from the database on every run, once.

Where the cookie cannot be kept (some hosts filter cookies), a session belongs to the tab until it is reloaded. Its
secret is then in the tab's state on this side, so no widget can name another's; a tab counts as the same only with the
XSRF cookie it began with. Only who has that cookie and the tab's id, or the id alone on a host that filters that
cookie too, could take such a tab over.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn

import streamlit as st
from streamlit.errors import StreamlitAPIException, StreamlitPageNotFoundError
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.auth import accounts, second_factor, sessions, tickets
from core.auth.accounts import Account, ShopAccess
from core.auth.pulse import Pulse, pulse
from core.auth.sessions import SessionView
from core.errors import AppError, InputError
from core.ui.formatting import plain

# No widget may have one of these keys: the browser can write the state of every widget.
_TAB = "tab_session"
_TICKET = "tab_ticket"
_SECOND_FACTOR = "second_factor_ticket"
_SHOP = "shop"

# What no view keeps, and no view takes away: whose page it is, and what links say once.
_CHOICES_KEPT = ("kept_range_dates", "kept_range_against")
_NO_CHOICES = {
    _TAB, _TICKET, _SECOND_FACTOR, _SHOP, "open", "invite", "reset", "verify",
    "from", "to", "of", "value", "weekday", "hour", "first_month", "counting",
}  # fmt: skip

_READ = "shoptally_signed_in"
_ONE_RUN_S = 1.0

_SIGN_IN_TIME = timedelta(minutes=1)
_SECOND_FACTOR_TIME = timedelta(minutes=5)


def sign_in(user_id: int) -> None:
    """Sign in who proved to be this user, after the second factor where there is one. Stops the run."""
    if second_factor.is_on(user_id):
        st.session_state[_SECOND_FACTOR] = tickets.issue(
            sessions.SECOND_FACTOR_TICKET, user_id=user_id, lifetime=_SECOND_FACTOR_TIME
        )
        run_again()
    _begin(user_id)


def waits_for_second_factor() -> bool:
    """Whether this visitor's password was right a moment ago, and the second factor is still to be given."""
    secret = st.session_state.get(_SECOND_FACTOR)
    return isinstance(secret, str) and tickets.peek(secret, sessions.SECOND_FACTOR_TICKET) is not None


def give_second_factor(code: str) -> None:
    """Sign in with the code that was asked for; returns when it is wrong. Raises TooManyAttempts."""
    secret = st.session_state.get(_SECOND_FACTOR)
    asked = tickets.peek(secret, sessions.SECOND_FACTOR_TICKET) if isinstance(secret, str) else None
    if not isinstance(secret, str) or asked is None or asked.user_id is None:
        return
    if not second_factor.check(asked.user_id, code, address=address()):
        return
    st.session_state.pop(_SECOND_FACTOR)
    if tickets.redeem(secret, sessions.SECOND_FACTOR_TICKET) is not None:
        _begin(asked.user_id)


def forget_second_factor() -> None:
    """Back to the form for the password."""
    st.session_state.pop(_SECOND_FACTOR, None)


def _begin(user_id: int) -> None:
    """The browser fetches its cookie and reloads the page; where that fails, the hidden button is pressed instead."""
    if (link := recall("link")) is not None:  # an invitation is taken up after the reload
        st.query_params[link[0]] = link[1]
    st.session_state[_TICKET] = tickets.issue(sessions.TAB_TICKET, user_id=user_id, lifetime=_SIGN_IN_TIME)
    ticket = tickets.issue(sessions.COOKIE_TICKET, user_id=user_id, lifetime=_SIGN_IN_TIME)
    st.button("Go on in this tab", key="tab_only", on_click=_stay_in_this_tab)
    st.caption("Signing in…")
    _run_in_browser(
        f"""post('auth/session', {{ticket: {json.dumps(ticket)}}})
        .then(answer => answer.ok ? fetch('auth/session') : Promise.reject())
        .then(answer => answer.json())
        .then(answer => answer.signed_in ? window.location.reload() : Promise.reject())
        .catch(() => document.querySelector('.st-key-tab_only button').click())"""
    )
    st.stop()


def sign_out() -> None:
    """End the session in every tab of this browser, and forget everything about this visitor. Stops the run."""
    if (view := current_session()) is not None:
        sessions.end(view.id_hash, address=address())
    _leave()


def sign_out_everywhere() -> None:
    """End every session of the signed-in user, in every browser. Stops the run."""
    if (view := current_session()) is not None:
        sessions.sign_out_everywhere(view.user_id, address=address())
    _leave()


def current_session() -> SessionView | None:
    """The session of this connection while it lives, else None."""
    id_hash = session_hash()
    return sessions.check(id_hash) if id_hash is not None else None


def current_user() -> Account | None:
    """The signed-in user, or None when nobody is, the session ended, or the user was switched off."""
    return known[0] if (known := _signed_in()) is not None else None


def session_hash() -> str | None:
    """The hash of the session that this connection shows, whether it still lives or not; None where it shows none."""
    id_hash = st.user.get("sid")
    if isinstance(id_hash, str):
        return id_hash
    kept = st.session_state.get(_TAB)  # only where the connection says nothing of its own
    return tickets.digest(kept[0]) if isinstance(kept, tuple) and kept[1:] == (_xsrf(),) else None


def _signed_in() -> tuple[Account, tuple[ShopAccess, ...]] | None:
    """Who is signed in and what they may open: read once in each run of the script or of a fragment of it."""
    id_hash = session_hash()
    if id_hash is None:
        return None
    run = get_script_run_ctx()
    held: Any = getattr(run, _READ, None)
    # Streamlit makes new cursors for each run. The time is for the day on which it would not.
    known: tuple[Account, tuple[ShopAccess, ...]] | None
    if run is not None and held is not None:
        cursors, whose, read_at_s, known = held
        if cursors is run.cursors and whose == id_hash and time.monotonic() - read_at_s < _ONE_RUN_S:
            return known
    known = accounts.signed_in(id_hash)
    if run is not None:
        setattr(run, _READ, (run.cursors, id_hash, time.monotonic(), known))
    return known


def _shops() -> tuple[ShopAccess, ...]:
    return known[1] if (known := _signed_in()) is not None else ()


def reload_if_ended() -> None:
    """Where the connection's session ended, in this tab or another: let the browser connect anew, as it is now."""
    if st.user.get("sid") is not None:
        st.session_state.clear()
        _run_in_browser("window.location.reload()")


def has_cookie() -> bool:
    """Whether the browser keeps the session: without that nobody is signed in outside of this tab's page."""
    return st.user.get("sid") is not None


def leave_for(path: str) -> NoReturn:
    """Send the browser to an address of this app that is no page, relative to the pages. Stops the run."""
    _run_in_browser(f"window.location.assign({json.dumps(path)})")
    st.caption("Going on…")
    st.stop()


def pulse_of(shop_id: int) -> Pulse | None:
    """The store's pulse for this connection, in one query; None once it may not be seen any more."""
    id_hash = session_hash()
    return pulse(id_hash, shop_id) if id_hash is not None else None


def account_corner(user: Account) -> None:
    """Who is signed in and the way out; and where the browser did not keep the cookie, that a reload signs out."""
    st.sidebar.caption(f"Signed in as {plain(user.name)}")
    if st.user.get("sid") is None:
        st.sidebar.warning(
            "Your browser or this host did not keep the sign-in. It lasts until you reload or close this tab.",
            icon=":material/cookie_off:",
        )
    if st.sidebar.button("Sign out", key="sign_out", icon=":material/logout:"):
        sign_out()


def address() -> str | None:
    """The visitor's network address, None on this machine; behind a proxy as FORWARDED_ALLOW_IPS lets it be told."""
    known = st.context.ip_address
    return known if isinstance(known, str) else None


def require_user() -> Account:
    """First line of a page that needs no shop: the signed-in user, or stop here."""
    user = current_user()
    if user is None:
        st.error("Sign in to see this page.", icon=":material/lock:")
        st.stop()
    return user


def require_shop() -> ShopAccess:
    """First line of every other page: the open shop of the signed-in user, or stop here with the next step."""
    user = require_user()
    shops = _shops()
    if not shops:
        st.title("No store yet", anchor=False)
        st.info("Connect your first store, or switch on the demo store to look around.", icon=":material/storefront:")
        st.page_link("stores.py", label="Go to Stores", icon=":material/add_business:")
        st.stop()
    shop = _open(shops)
    if shop.needs_second_factor and not user.has_second_factor:
        st.title("One more step", anchor=False)
        note = f"{plain(shop.name)} is shown only to members with a second factor. Set yours up, then come back."
        st.warning(note, icon=":material/encrypted:")
        st.page_link("account.py", label="Set it up on Account", icon=":material/person:")
        st.stop()
    return shop


def role_in_open_shop() -> str:
    """The user's role in the open shop, "" where there is none: what the menu shows depends on it."""
    shops = _shops()
    return _open(shops).role if shops else ""


def pick_shop() -> None:
    """The store picker, kept in the address as ?shop=domain so that a link opens the same store.

    A domain that is none of theirs opens their first store with a note: whether it exists here is not told.
    """
    shops = {shop.domain: shop for shop in _shops()}
    if not shops:
        return
    asked = st.query_params.get(_SHOP)
    linked = asked is not None and asked != recall("shop_in_address")  # opened by a link, or by going back
    if linked and asked in shops:
        st.session_state[_SHOP] = asked
    elif linked or st.session_state.get(_SHOP) not in shops:
        st.session_state[_SHOP] = next(iter(shops))
    count = Counter(shop.name for shop in shops.values())
    names = {domain: _name(shop, unique=count[shop.name] == 1) for domain, shop in shops.items()}
    picked = st.sidebar.selectbox(
        "Store",
        list(shops),
        key=_SHOP,
        format_func=names.__getitem__,  # a lambda could not be moved with the session
    )
    st.query_params[_SHOP] = picked
    keep("shop_in_address", picked)
    if linked and asked not in shops:
        note = f"The link names a store that is not among yours. This is {plain(shops[picked].name)}."
        st.info(note, icon=":material/link_off:")


def run_again() -> NoReturn:
    """Run the page again; a click that came meanwhile goes first, for a plain st.rerun() drops it."""
    _SHOP in st.session_state  # noqa: B015  looking is a point where a waiting click takes over
    st.rerun()


def preset(widgets: Mapping[str, Any], in_address: Mapping[str, str | list[str]]) -> None:
    """Set widgets by their keys before they are drawn, and what the address is to say of them."""
    for key, value in widgets.items():
        st.session_state[key] = value
    for key, text in in_address.items():
        # Of a widget that another page has too Streamlit lets nobody write; it is there after the next choice.
        with suppress(StreamlitAPIException):
            st.query_params[key] = text


def held(key: str) -> Any:
    """What a widget that is not drawn yet is going to hold: its state, else the address; None for its usual value."""
    return st.session_state.get(key) or st.query_params.get(key)


def leave_page_before() -> None:
    """First line of a run: what refreshes itself on another page is not there any more.

    Asked for it, Streamlit would announce that page once more, and the browser throw away what it has of this one.
    """
    if (run := get_script_run_ctx()) is not None and run.page_script_hash != recall("page_hash"):
        run.fragment_storage.clear()
        keep("page_hash", run.page_script_hash)


def page_name() -> str | None:
    """What the last part of the open page's address is ("overview" for the first one); None where it runs alone."""
    name = recall("page")
    return name if isinstance(name, str) else None


def choices() -> dict[str, list[str]]:
    """What the address says of the page: period, comparison, filters, each with its values; not which store."""
    return {name: st.query_params.get_all(name) for name in st.query_params if name not in _NO_CHOICES}


def go_to(page: str, query: Mapping[str, list[str]]) -> NoReturn:
    """Open another page so that it shows exactly what its address says. Raises InputError where there is no such page.

    Call it from a page that is never opened so: only where the page changes do widgets read the address again.
    """
    for key in list(st.session_state):
        ours = isinstance(key, str) and key.startswith("kept_") and key not in _CHOICES_KEPT
        if not ours and key not in _NO_CHOICES:
            del st.session_state[key]
    try:
        follow(page, query)
    except StreamlitPageNotFoundError as error:
        raise InputError("The page of this view is not there any more. Delete the view.") from error


def follow(page: str, query: Mapping[str, str | list[str]]) -> NoReturn:
    """Open another page with an address, which may name widgets that this page has too."""
    if (run := get_script_run_ctx()) is not None:
        # What belongs to widgets of the page before is written by nobody else, also when they are gone.
        with run.session_state.query_params() as params:
            for widget_id in list(params._bindings_by_widget):
                params.unbind_widget(widget_id)
    st.switch_page(page, query_params=query)


def recall(key: str) -> Any:
    """What this visitor's session keeps under a name of ours, or None."""
    return st.session_state.get(f"kept_{key}")


def keep(key: str, value: Any) -> None:
    """Keep a plain value for this visitor's session."""
    st.session_state[f"kept_{key}"] = value


def tell(key: str) -> None:
    """Say once, as a success, what the last click kept under a name of ours."""
    if said := recall(key):
        st.success(said, icon=":material/check_circle:")
        keep(key, None)


def _stay_in_this_tab() -> None:
    """The cookie could not be set: a session for this tab, for who just proved who they are and nobody else."""
    secret = st.session_state.pop(_TICKET, None)
    ticket = tickets.redeem(secret, sessions.TAB_TICKET) if isinstance(secret, str) else None
    if ticket is None or ticket.user_id is None or st.user.get("sid") is not None:
        return
    browser = st.context.headers.get("User-Agent")
    try:
        begun = sessions.start(ticket.user_id, address(), browser if isinstance(browser, str) else None)
    except AppError:
        return  # switched off a moment ago: the form comes back
    st.session_state[_TAB] = (begun, _xsrf())


def _leave() -> None:
    has_cookie, has_provider = st.user.get("sid") is not None, st.user.get("is_logged_in")
    st.session_state.clear()
    st.query_params.pop(_SHOP, None)
    if not has_cookie and not has_provider:
        run_again()
    # Streamlit's own address forgets what a provider said, and comes back.
    then = "window.location.assign('auth/logout')" if has_provider else "window.location.reload()"
    _run_in_browser(f"post('auth/end', {{}}).finally(() => {then})")
    st.stop()


def _run_in_browser(script: str) -> None:
    """Addresses are relative, so that the app may be served below any path."""
    st.html(
        f"""<style>.st-key-tab_only {{ display: none }}</style><script>{{
        const post = (path, body) => fetch(path, {{method: 'POST', body: JSON.stringify(body),
            credentials: 'same-origin', headers: {{'content-type': 'application/json'}}}})
        {script}
        }}</script>""",
        unsafe_allow_javascript=True,
    )


def _xsrf() -> str | None:
    cookie = st.context.cookies.get(sessions.XSRF_COOKIE)
    return sessions.browser_of(cookie if isinstance(cookie, str) else None)


def _name(shop: ShopAccess, *, unique: bool) -> str:
    return shop.name if unique else f"{shop.name} ({shop.domain})"


def _open(shops: tuple[ShopAccess, ...]) -> ShopAccess:
    asked = st.session_state.get(_SHOP)
    return next((shop for shop in shops if shop.domain == asked), shops[0])
