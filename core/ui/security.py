"""The account page: second factor, sessions and API keys."""

from collections.abc import Callable
from datetime import timedelta

import segno
import streamlit as st

from core.auth import keys, roles, second_factor, sessions
from core.auth.accounts import Account, shops_of
from core.errors import AppError
from core.ui.account import attempt
from core.ui.formatting import ago, plain
from core.ui.session import address, current_session, keep, recall, run_again, sign_out_everywhere


def second_factor_box(user: Account) -> None:
    """Set it up, or switch it off; recovery codes are shown once."""
    if codes := recall("recovery_codes"):
        _codes(codes)
    elif user.has_second_factor:
        _is_on(user)
    elif recall("new_second_factor"):
        _set_up(user, recall("new_second_factor"))
    else:
        st.markdown("With it, a password alone opens nothing: signing in also asks for a code of your phone.")
        if st.button("Set up", key="second_factor_start", icon=":material/encrypted:"):
            keep("new_second_factor", second_factor.new_secret())
            run_again()


def signed_in(user: Account) -> None:
    """Every live session with a way to end it, and all of them at once."""
    here = current_session()
    for view in sessions.sessions_of(user.user_id):
        mine = here is not None and view.id_hash == here.id_hash
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", border=True,
            key=f"session_{view.id_hash[:16]}",
        ):  # fmt: skip
            seen = "this browser" if mine else f"seen {ago(view.seen_at)}"
            st.markdown(
                f"**{plain(_browser(view.browser))}**  \n:small[from {plain(_place(view.address))}, {seen}]",
                width="content",
            )
            pressed = not mine and st.button("End", key=f"end_{view.id_hash[:16]}", icon=":material/logout:")
        if pressed:
            sessions.end(view.id_hash, user_id=user.user_id, action="session_revoked", address=address())
            run_again()
    if st.button("Sign out everywhere", key="sign_out_everywhere", icon=":material/logout:"):
        sign_out_everywhere()


def _place(address: str | None) -> str:
    return address if address not in (None, "::1", "127.0.0.1") else "this machine"


def api_keys(user: Account) -> None:
    """The keys there are, and a new one; it is shown once."""
    if made := recall("made_key"):
        st.success("Copy the key now: it is not shown again.", icon=":material/key:")
        st.code(made, language=None, wrap_lines=True)
        keep("made_key", None)
    for key in keys.keys_of(user.user_id):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", border=True,
            key=f"api_key_{key.key_id}",
        ):  # fmt: skip
            used = f"used {ago(key.used_at)}" if key.used_at else "never used"
            ends = f", until {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
            st.markdown(
                f"**{plain(key.name)}**  \n:small[{plain(key.shop_name)}, ends in {plain(key.hint)}, {used}{ends}]",
                width="content",
            )
            pressed = st.button("Revoke", key=f"revoke_{key.key_id}", icon=":material/key_off:")
        if pressed:
            keys.revoke(user.user_id, key.key_id, address=address())
            run_again()
    shops = {shop.shop_id: shop.name for shop in shops_of(user.user_id) if roles.may(shop.role, "make_key")}
    if not shops:
        st.caption("Your role in your stores does not allow keys.")
        return
    with st.form("key_form"), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", key="key_name", placeholder="What it is for", autocomplete="off")
        shop_id = st.selectbox("Store", list(shops), format_func=shops.__getitem__, key="key_shop")
        lifetime = st.selectbox("Opens it for", list(_LIFETIMES), index=2, key="key_lifetime", width=150)
        pressed = st.form_submit_button("Make a key", icon=":material/key:")
    if pressed:
        days = _LIFETIMES.get(lifetime, _LIFETIMES["1 year"])
        attempt(
            lambda: keep("made_key", keys.make(user.user_id, shop_id, name, lifetime=days, address=address())), None
        )


def _set_up(user: Account, secret: str) -> None:
    st.markdown("Scan this with an authenticator app, or type the secret there. Then enter the code it shows.")
    left, right = st.columns([1, 2])
    with left:
        # Black on white in the dark too, or phones do not read it.
        picture = segno.make(second_factor.setup_uri(secret, user.email)).svg_inline(scale=4, light="#fff")
        st.image(picture, width=220)
    with right:
        st.code(secret, language=None)
        with st.form("second_factor_setup", border=False):
            code = st.text_input("Code", key="setup_code", autocomplete="one-time-code", max_chars=10)
            pressed = st.form_submit_button("Switch on", type="primary")
        if st.button("Not now", key="second_factor_cancel"):
            keep("new_second_factor", None)
            run_again()
    if pressed:
        _codes_of(lambda: second_factor.switch_on(user.user_id, secret, code, address=address()))


def _is_on(user: Account) -> None:
    left = second_factor.codes_left(user.user_id)
    st.markdown(f"It is on. Recovery codes left: {left}." + (" Make new ones." if left < 3 else ""))
    with st.form("second_factor_off", border=False):
        password = st.text_input(
            "Present password", key="second_factor_password", type="password", autocomplete="current-password"
        )
        with st.container(horizontal=True):
            renew = st.form_submit_button("New recovery codes", key="renew_codes", icon=":material/autorenew:")
            off = st.form_submit_button("Switch off", key="switch_off", icon=":material/no_encryption:")
    if renew:
        _codes_of(lambda: second_factor.renew_recovery_codes(user.user_id, password, address=address()))
    elif off:
        said = "The second factor is off."
        attempt(lambda: second_factor.switch_off(user.user_id, password, address=address()), said)


def _codes_of(work: Callable[[], tuple[str, ...]]) -> None:
    try:
        codes = work()
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    keep("new_second_factor", None)
    keep("recovery_codes", codes)
    run_again()


def _codes(codes: tuple[str, ...]) -> None:
    st.success(
        "The second factor is on. Keep these recovery codes where you find them without your phone: each signs you "
        "in once. They are not shown again.",
        icon=":material/check_circle:",
    )
    st.code("\n".join(codes), language=None)
    if st.button("I have kept them", key="codes_kept", type="primary"):
        keep("recovery_codes", None)
        run_again()


def _browser(agent: str | None) -> str:
    """A browser and its system, from what it says of itself."""
    said = agent or ""
    browser = next((name for mark, name in _BROWSERS if mark in said), "A browser")
    system = next((name for mark, name in _SYSTEMS if mark in said), None)
    return f"{browser} on {system}" if system else browser


_LIFETIMES = {
    "30 days": timedelta(days=30), "90 days": timedelta(days=90), "1 year": timedelta(days=365), "Until revoked": None,
}  # fmt: skip

# The first that is found counts: most claim to be some of those below, too.
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip
