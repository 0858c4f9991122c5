"""The account page: name, e-mail and password."""

from collections.abc import Callable

import streamlit as st

from core.auth import accounts, links
from core.auth.accounts import Account
from core.config import get_settings
from core.errors import AppError
from core.ui.formatting import plain
from core.ui.session import address, keep, run_again


def profile(user: Account) -> None:
    """The name, and the e-mail address, which changes with the password only."""
    with st.form("name_form", border=False):
        name = st.text_input("Name", value=user.name, key="account_name", autocomplete="name")
        if st.form_submit_button("Save the name"):
            attempt(lambda: accounts.rename(user.user_id, name), "The name is saved.")
    with st.form("email_form", border=False):
        email = st.text_input("E-mail address", value=user.email, key="account_email", autocomplete="email")
        present = st.text_input(
            "Present password", key="email_password", type="password", autocomplete="current-password"
        )
        if st.form_submit_button("Change the e-mail address"):
            said = (
                "Open the link that was sent to the new address; until then the old one stays."
                if get_settings().sends_links
                else "The e-mail address is changed. Sign in with it from now on."
            )
            attempt(lambda: links.change_email(user.user_id, present, email, address=address()), said)
    if not user.is_verified and get_settings().sends_links:
        st.caption("This address is not confirmed yet.")
        if st.button("Send the link again", key="verify_again", icon=":material/mail:"):
            attempt(lambda: links.send_verification(user.user_id), "A link to confirm the address is on its way.")


def password(user: Account) -> None:
    """A new password, for who knows the old one."""
    with st.form("password_form", border=False):
        old = st.text_input("Present password", key="old_password", type="password", autocomplete="current-password")
        new = st.text_input(
            "New password", key="account_password", type="password", autocomplete="new-password",
            help="12 to 128 characters; a sentence is fine.",
        )  # fmt: skip
        again = st.text_input(
            "Repeat the new password", key="account_password_again", type="password", autocomplete="new-password"
        )
        pressed = st.form_submit_button("Change the password", type="primary")
    st.caption("It signs you out everywhere, here too.")
    if pressed and new != again:
        st.error("The two passwords differ. Enter the same one twice.", icon=":material/error:")
    elif pressed:
        attempt(lambda: accounts.change_password(user.user_id, old, new, address=address()), None)


def attempt(work: Callable[[], object], said: str | None) -> None:
    """Do it and run the page again saying so, or say why not."""
    try:
        work()
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    keep("account_said", said)
    run_again()
