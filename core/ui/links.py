"""What the sign-in page shows beside its form: the second factor, what one-time links lead to, how to get one."""

from collections.abc import Callable

import streamlit as st

from core.auth import links, members
from core.auth.accounts import Account
from core.config import get_settings
from core.errors import AppError, InputError
from core.sync.install import CONNECT
from core.ui import install, session, sign_in
from core.ui.formatting import plain
from core.ui.session import keep, recall, run_again

PURPOSES = (members.INVITE, links.RESET, links.VERIFY)


def take() -> None:
    """Take a link's secret out of the address, so that it is in no bookmark, history entry or picture of the screen."""
    for purpose in PURPOSES:
        if (secret := st.query_params.get(purpose)) is not None:
            keep("link", (purpose, secret))
            del st.query_params[purpose]
    install.take()


def is_plain() -> bool:
    """Whether this visitor is at the door without a link to follow or a sign-in to finish."""
    return recall("link") is None and recall("way") is None and not session.waits_for_second_factor()


def door() -> None:
    """The sign-in page: the step this visitor is at."""
    link, way = recall("link"), recall("way")
    session.tell("said")
    install.tell(None)
    if link is not None and link[0] == CONNECT:
        install.announce(link[1])
        link = None
    if session.waits_for_second_factor():
        _second_factor()
    elif link is not None:
        _show(*link)
    elif way == "forgot" and get_settings().sends_links:
        _forgot()
    elif way == "register" and get_settings().registration == "OPEN":
        sign_in.registration(None)
        _back()
    else:
        sign_in.form()
        sign_in.provider()
        _ways()


def answer(user: Account) -> None:
    """Above every page: what a link leads to that a signed-in visitor opened."""
    session.tell("said")
    install.tell(user)
    link = recall("link")
    if link is None:
        return
    with st.container(border=True, key="link_box"):
        if link[0] == members.INVITE:
            _accept(link[1], user)
        elif link[0] == CONNECT:
            install.go_on(link[1])
        else:
            _show(*link)


def _show(purpose: str, secret: str) -> None:
    if purpose == members.INVITE:
        _invited(secret)
    elif purpose == links.RESET:
        _new_password(secret)
    else:
        _confirm(secret)


def _second_factor() -> None:
    with st.form("second_factor_form"):
        st.subheader("Second factor", anchor=False)
        code = st.text_input(
            "Code of your authenticator app, or a recovery code", key="second_factor_code", autocomplete="one-time-code"
        )
        pressed = st.form_submit_button("Sign in", type="primary")
    if pressed:
        try:
            session.give_second_factor(code)
        except AppError as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            note = "This code is not right, or was used before. Wait for the next one, and enter it."
            st.error(note, icon=":material/error:")
    if st.button("Back to the password", key="back_to_password", icon=":material/arrow_back:"):
        session.forget_second_factor()
        run_again()


def _invited(secret: str) -> None:
    invited = members.invitation(secret)
    if invited is None:
        _no_longer("This invitation was used already, was withdrawn, or is older than 7 days. Ask for a new one.")
        return
    st.info(
        f"You are invited to **{plain(invited.shop_name)}** as {invited.role}. The invitation is for "
        f"{plain(invited.email)}: make an account with that address, or sign in if you have one.",
        icon=":material/mail:",
    )
    if get_settings().registration == "OFF" or recall("way") == "sign in":
        sign_in.form()
        return
    sign_in.registration(secret)
    if st.button("I have an account", key="have_account", icon=":material/login:"):
        keep("way", "sign in")
        run_again()


def _accept(secret: str, user: Account) -> None:
    invited = members.invitation(secret)
    if invited is None:
        _no_longer("This invitation was used already, was withdrawn, or is older than 7 days. Ask for a new one.")
        return
    st.markdown(f"You are invited to **{plain(invited.shop_name)}** as {invited.role}.")
    with st.container(horizontal=True):
        if st.button("Join the team", key="join", type="primary", icon=":material/group_add:"):
            _try(lambda: members.accept(secret, user.user_id, address=session.address()), "You are on the team now.")
        if st.button("Not now", key="not_now"):
            _done(None)


def _new_password(secret: str) -> None:
    with st.form("new_password_form"):
        st.subheader("Choose a new password", anchor=False)
        password = _password("Password", "new_password")
        again = _password("Repeat password", "new_password_again")
        pressed = st.form_submit_button("Save", type="primary")
    if pressed and password != again:
        st.error("The two passwords differ. Enter the same one twice.", icon=":material/error:")
    elif pressed:
        said = "The new password is saved, and you are signed out everywhere. Sign in with it."
        _try(lambda: links.reset(secret, password, address=session.address()), said)
    _back()


def _confirm(secret: str) -> None:
    st.markdown("Confirm that this e-mail address is yours.")
    if st.button("Confirm", key="confirm_email", type="primary", icon=":material/mark_email_read:"):
        _try(lambda: links.confirm_email(secret, address=session.address()), "Your e-mail address is confirmed.")
    _back()


def _forgot() -> None:
    with st.form("forgot_form"):
        st.subheader("Forgot the password?", anchor=False)
        email = st.text_input("E-mail address", key="forgot_email", autocomplete="email")
        pressed = st.form_submit_button("Send a link", type="primary")
    if pressed:
        links.ask_for_reset(email, session.address())
        note = "If there is an account with this address, a link is on its way. It works for an hour."
        st.success(note, icon=":material/mail:")
    _back()


def _ways() -> None:
    settings = get_settings()
    with st.container(horizontal=True, key="ways"):
        if settings.sends_links and st.button("Forgot the password?", key="forgot", type="tertiary"):
            keep("way", "forgot")
            run_again()
        if settings.registration == "OPEN" and st.button("Create an account", key="register", type="tertiary"):
            keep("way", "register")
            run_again()
    if not settings.sends_links:
        st.caption("Forgot the password? An owner of your store can make a link for a new one, on the Team page.")


def _password(label: str, key: str) -> str:
    return st.text_input(label, key=key, type="password", autocomplete="new-password")


def _back() -> None:
    if st.button("Back", key="back", icon=":material/arrow_back:"):
        _done(None)


def _no_longer(note: str) -> None:
    st.error(note, icon=":material/link_off:")
    _back()


def _try(work: Callable[[], object], said: str) -> None:
    try:
        work()
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        _done(said)


def _done(said: str | None) -> None:
    keep("link", None)
    keep("way", None)
    keep("said", said)
    run_again()
