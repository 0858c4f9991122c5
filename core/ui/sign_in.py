"""The sign-in and the registration form: streamlit-authenticator's, over the users in the database.

Only its forms are used. Its cookie cannot be revoked and its credentials live in memory, so both are replaced;
core.ui.session gives the browser a cookie of ours.
"""

from importlib.util import find_spec
from typing import Any

import streamlit as st
from streamlit_authenticator.controllers import AuthenticationController
from streamlit_authenticator.utilities import Validator
from streamlit_authenticator.views import Authenticate

from core.auth import links
from core.auth.accounts import DemoSignIn, verify
from core.auth.oidc import user_of
from core.errors import AppError, InputError, TooManyAttempts
from core.ui import session
from core.ui.formatting import plain

_WRONG = "This e-mail address and password do not belong together. Check both and try again."


class _NoCookie:
    def get_cookie(self) -> None:
        return None

    def set_cookie(self) -> None:
        return None


class _DatabaseUsers(AuthenticationController):  # type: ignore[misc]  # the library has no types
    def __init__(self, invite: str | None = None) -> None:
        super().__init__({"usernames": {}}, Validator(), auto_hash=False)
        self.invite = invite
        self.problem: str | None = None
        self.user_id: int | None = None

    def login(self, username: str | None = None, password: str | None = None, *_: Any, **__: Any) -> bool:
        """Check against the database; the library would also cut spaces off the password."""
        if not username or not password:
            self.problem = "Enter your e-mail address and your password."
            return False
        try:
            self.user_id = verify(username, password, session.address())
        except TooManyAttempts as error:
            self.problem = str(error)
        else:
            self.problem = _WRONG if self.user_id is None else None
        return self.user_id is not None

    def register_user(
        self, first: str, last: str, email: str, _: str, password: str, again: str, *__: Any
    ) -> tuple[None, None, None]:
        """Make the account in the database; the library would ask for kinds of characters and cut spaces off."""
        try:
            if password != again:
                raise InputError("The two passwords differ. Enter the same one twice.")
            name, address = f"{first} {last}", session.address()
            self.user_id = links.register(email, name, password, invite=self.invite, address=address)
        except AppError as error:
            self.problem = plain(str(error))
        return None, None, None


class _Form(Authenticate):  # type: ignore[misc]  # the library has no types
    def __init__(self, users: _DatabaseUsers) -> None:
        self.authentication_controller = users
        self.cookie_controller = _NoCookie()
        # The library would wait for its cookie on every run.
        self.attrs = {"login_sleep_time": 0, "password_instructions": "12 to 128 characters; a sentence is fine."}
        self.path = None


def form() -> None:
    """The sign-in form; once the visitor proved who they are, the browser signs in."""
    users = _DatabaseUsers()
    fields = {"Form name": "Sign in", "Username": "E-mail address", "Password": "Password", "Login": "Sign in"}
    _Form(users).login(fields=fields, key="sign_in")
    _go_on(users)


def registration(invite: str | None) -> None:
    """The form for a new account; once it is made, the browser signs in."""
    users = _DatabaseUsers(invite)
    fields = {"Form name": "New account", "Email": "E-mail address", "Register": "Create the account"}
    _Form(users).register_user(
        fields=fields, captcha=False, password_hint=False, merge_username_email=True, key="registration"
    )
    if users.user_id is not None and invite is not None:
        session.keep("link", None)  # it is used
    _go_on(users)


def _go_on(users: _DatabaseUsers) -> None:
    if users.problem is not None:
        st.error(users.problem, icon=":material/error:")
    elif users.user_id is not None:
        session.sign_in(users.user_id)


def provider() -> None:
    """Where st.login has a provider (auth in Streamlit's secrets): its button, and who comes back from it."""
    if not _has_provider():
        return
    if find_spec("authlib") is None:
        st.warning("Sign-in with a provider needs the package Authlib. Install it: pip install Authlib")
        return
    if st.user.get("is_logged_in"):
        try:
            user_id = user_of(st.user.to_dict())
        except InputError as error:
            st.error(str(error), icon=":material/error:")
        else:
            if user_id is not None:
                session.sign_in(user_id)
    if st.button("Sign in with your organisation", key="sign_in_provider", icon=":material/passkey:"):
        st.login()


def _has_provider() -> bool:
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def demo_door(people: tuple[DemoSignIn, ...]) -> None:
    """One click into the demo, as its first user.

    It opens nothing that is not open: while DEMO is on, this page shows the passwords of the demo's users to everybody.
    """
    first = people[0]
    icon, key = ":material/play_circle:", "enter_demo"
    if st.button("Look around in the demo", key=key, type="primary", icon=icon, width="stretch"):
        _enter(first)
    st.caption(
        f"An invented store with two years of orders, as its owner {plain(first.name)}. No account, and nothing real."
    )


def demo_users(people: tuple[DemoSignIn, ...]) -> None:
    """The demo's users with their passwords, and a button that signs in as each."""
    for person in people:
        with st.container(border=True, key=f"demo_{person.email}"):
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.markdown(f"**{plain(person.name)}**  \n{plain(person.about)}", width="content")
                pressed = st.button(
                    f"Sign in as {plain(person.name)}", key=f"enter_{person.email}", icon=":material/login:"
                )
            with st.container(horizontal=True, gap="small"):
                st.code(person.email, language=None, width="content")
                st.code(person.password, language=None, width="content")
        if pressed:
            _enter(person)


def _enter(person: DemoSignIn) -> None:
    users = _DatabaseUsers()
    users.login(person.email, person.password)
    _go_on(users)
