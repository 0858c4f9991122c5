"""The sign-in as the script that Streamlit runs: what it lets in, keeps, forgets, and is not fooled by."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.auth import accounts, sessions, tickets
from core.auth.tickets import digest
from core.config import get_settings
from core.db.engine import system_session
from core.db.models import AuditEvent, AuthSession, User
from core.errors import DatabaseUnavailable
from core.sync.connect import ensure_demo_shops
from tests import factories as make

ROUTER = Path(__file__).parents[1] / "pages" / "_router.py"
PASSWORD = "a long sentence as password"


@pytest.fixture(autouse=True)
def dora(database: Engine) -> int:
    """Dora has a password, Alice has a store."""
    make.add_shop(1000)
    make.add_user(1000, "alice@example.com", 1000)
    return accounts.add_user("dora@example.com", "Dora", PASSWORD)


def open_app(id_hash: str | None = None) -> AppTest:
    """The app as it starts for a connection with this identity."""
    at = AppTest.from_file(ROUTER, default_timeout=120)
    if id_hash is not None:
        at.user = {"sid": id_hash}
    return at.run()


def begin(user_id: int) -> str:
    return digest(sessions.start(user_id, None, None))


def fill_in(at: AppTest, email: str, password: str) -> AppTest:
    at.text_input[0].set_value(email)
    at.text_input[1].set_value(password)
    return at.button[0].click().run()


def scripts(at: AppTest) -> str:
    """What the browser is asked to do."""
    return " ".join(element.proto.body for element in at.get("html"))


def ticket_in(at: AppTest) -> str:
    """The ticket that the browser is handed."""
    found = re.search(r'ticket: "([\w-]+)"', scripts(at))
    assert found
    return found[1]


def is_form(at: AppTest) -> bool:
    assert not at.exception, at.exception
    return at.title[0].value == "Shoptally" and [field.label for field in at.text_input] == [
        "E-mail address", "Password",
    ] and not at.metric and not at.sidebar.button  # fmt: skip


def who(at: AppTest) -> str | None:
    assert not at.exception, at.exception
    captions = [caption.value for caption in at.sidebar.caption]
    return next((text.removeprefix("Signed in as ") for text in captions if text.startswith("Signed in as")), None)


def test_the_form_hands_the_browser_a_ticket_that_becomes_a_session():
    at = fill_in(open_app(), "Dora@Example.com", "wrong password")
    assert "do not belong together" in at.error[0].value
    fill_in(at, "Dora@Example.com", PASSWORD)
    assert who(at) is None
    assert "fetch('auth/session')" in scripts(at)
    ticket = tickets.redeem(ticket_in(at), sessions.COOKIE_TICKET)
    assert ticket is not None and ticket.user_id is not None
    connected = open_app(begin(ticket.user_id))
    assert who(connected) == "Dora"
    assert not connected.sidebar.warning


def test_until_the_browser_connects_anew_nobody_is_signed_in():
    at = fill_in(open_app(), "dora@example.com", PASSWORD)
    tickets.redeem(ticket_in(at), sessions.COOKIE_TICKET)
    assert is_form(at.run())


def test_an_empty_form_says_what_is_missing():
    at = open_app()
    at.button[0].click().run()
    assert at.error[0].value == "Enter your e-mail address and your password."


def test_after_five_failures_the_right_password_is_told_to_wait():
    at = open_app()
    for _ in range(5):
        fill_in(at, "dora@example.com", "wrong password")
    again = fill_in(open_app(), "dora@example.com", PASSWORD)
    assert "Wait 15 minutes" in again.error[0].value
    assert "ticket" not in scripts(again)
    with system_session() as session:
        actions = session.exec(select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert actions == ["sign_in_failed"] * 5 + ["sign_in_locked"]


def test_what_was_typed_as_an_unknown_address_is_not_audited():
    fill_in(open_app(), "my secret password", "x")
    with system_session() as session:
        (event,) = session.exec(select(AuditEvent))
    assert (event.actor, event.action, event.result) == ("unknown", "sign_in_failed", "refused")
    assert "secret" not in repr(event)


def test_demo_users_are_shown_with_their_passwords_and_sign_in_with_one_click():
    accounts.ensure_demo_users(ensure_demo_shops())
    at = open_app()
    shown = {code.value for code in at.code}
    people = accounts.demo_sign_ins()
    assert {person.password for person in people} | {person.email for person in people} == shown
    at.button(key=f"enter_{people[0].email}").click().run()
    at.button(key="tab_only").click().run()
    assert who(at) == people[0].name


def test_without_the_demo_no_user_is_shown(monkeypatch):
    accounts.ensure_demo_users(ensure_demo_shops())
    monkeypatch.setenv("DEMO", "0")
    get_settings.cache_clear()
    at = open_app()
    assert not at.code and len(at.button) == 1


def test_where_the_cookie_cannot_be_kept_the_tab_stays_signed_in_and_says_so():
    at = fill_in(open_app(), "dora@example.com", PASSWORD)
    at.button(key="tab_only").click().run()
    assert who(at) == "Dora"
    assert "until you reload" in at.sidebar.warning[0].value
    assert who(at.run()) == "Dora"
    assert is_form(open_app())  # another tab, or this one reloaded


def test_a_session_of_the_tab_ends_like_any_other():
    def signed_in() -> AppTest:
        at = fill_in(open_app(), "dora@example.com", PASSWORD)
        return at.button(key="tab_only").click().run()

    at = signed_in()
    sessions.end_all(accounts.user_id_of("dora@example.com"))
    assert is_form(at.run())
    at = signed_in()
    at.button(key="sign_out").click().run()
    assert is_form(at)
    with system_session() as session:
        assert session.exec(select(AuthSession).where(AuthSession.revoked_at.is_(None))).one().token_version == 1


def test_the_button_for_the_tab_works_once_in_time_and_only_without_another_identity(monkeypatch):
    at = fill_in(open_app(), "dora@example.com", PASSWORD)
    with system_session(write=True) as session:
        session.get_one(User, accounts_id()).active = False
    at.button(key="tab_only").click().run()
    assert is_form(at)
    with system_session(write=True) as session:
        session.get_one(User, accounts_id()).active = True
    monkeypatch.setattr("core.ui.session._SIGN_IN_TIME", timedelta(seconds=-1))
    at = fill_in(open_app(), "dora@example.com", PASSWORD)
    at.button(key="tab_only").click().run()
    assert is_form(at)


def accounts_id() -> int:
    return accounts.user_id_of("dora@example.com")


def test_a_connection_of_somebody_is_not_taken_over_by_the_state_of_a_tab(dora):
    """As after a take-over of a tab by its id: the state is Dora's, the connection is not."""
    at = fill_in(open_app(), "dora@example.com", PASSWORD)
    at.button(key="tab_only").click().run()
    assert who(at) == "Dora"
    at.user = {"sid": begin(1000)}
    assert who(at.run()) == "alice"
    at.user = {"sid": "0" * 64}
    assert is_form(at.run())


def test_a_tab_is_only_the_same_with_the_cookie_of_its_browser(monkeypatch):
    browser = ["2|00000000|aa11aa11aa11aa11|1"]
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.cookies", property(lambda _: cookies(browser[0])))
    at = fill_in(open_app(), "dora@example.com", PASSWORD)
    at.button(key="tab_only").click().run()
    browser[0] = "2|ffffffff|55ee55ee55ee55ee|2"  # the same, masked anew
    assert who(at.run()) == "Dora"
    browser[0] = "2|00000000|aa11aa11aa11aa12|1"
    assert is_form(at.run())
    browser[0] = ""
    assert is_form(at.run())


def cookies(xsrf: str) -> dict[str, str]:
    return {"_streamlit_xsrf": xsrf}


def test_each_run_asks_whether_the_session_still_lives(dora):
    id_hash = begin(dora)
    at = open_app(id_hash)
    assert who(at) == "Dora"
    sessions.end(id_hash)
    assert is_form(at.run())
    assert "window.location.reload()" in scripts(at) and "auth/end" not in scripts(at)


@pytest.mark.parametrize("change", [{"active": False}, {"token_version": 2}])
def test_a_user_changed_in_the_database_is_out_with_the_next_run(dora, change):
    at = open_app(begin(dora))
    with system_session(write=True) as session:
        user = session.get_one(User, dora)
        for name, value in change.items():
            setattr(user, name, value)
    assert is_form(at.run())


@pytest.mark.parametrize("id_hash", ["", "x", "0" * 64, "' OR 1=1 --", "a" * 100_000])
def test_an_identity_that_is_no_session_brings_the_form_and_no_error(id_hash):
    assert is_form(open_app(id_hash))


def test_signing_out_ends_the_session_in_every_tab_and_forgets_the_visitor(dora):
    id_hash = begin(dora)
    first, second = open_app(id_hash), open_app(id_hash)
    first.session_state["kept_anything"] = "mine"
    first.button(key="sign_out").click().run()
    assert "post('auth/end', {})" in scripts(first)
    assert sessions.check(id_hash) is None
    assert is_form(first.run()) and is_form(second.run())
    assert "kept_anything" not in first.session_state


def test_signing_out_in_one_browser_leaves_the_other_signed_in(dora):
    here, there = open_app(begin(dora)), open_app(begin(dora))
    here.button(key="sign_out").click().run()
    assert who(there.run()) == "Dora"


def test_signing_out_everywhere_ends_every_browser(dora):
    def everywhere() -> None:
        from core.ui import session

        session.sign_out_everywhere()

    id_hash = begin(dora)
    there, other = open_app(begin(dora)), open_app(begin(1000))
    here = AppTest.from_function(everywhere, default_timeout=120)
    here.user = {"sid": id_hash}
    here.run()
    assert "post('auth/end', {})" in scripts(here)
    assert is_form(there.run())
    assert who(other.run()) == "alice"
    with system_session() as session:
        assert session.exec(select(AuditEvent).order_by(AuditEvent.id.desc())).first().action == "sign_out_everywhere"


KEYS = ("tab_session", "tab_ticket", "signed_in_user_id", "sid", "uid", "username", "user", "authentication_status")


@pytest.mark.parametrize("typed", ["1", "1000", "alice@example.com", "alice", "the hash", "True"])
def test_a_widget_named_like_an_identity_key_makes_nobody_somebody(typed):
    def page(keys: tuple[str, ...]) -> None:
        import streamlit as st

        from core.ui import session

        for key in keys:
            st.text_input(key, key=key)
        user = session.current_user()
        st.caption(f"user: {user.name if user else None}")

    id_hash = begin(1000)
    at = AppTest.from_function(page, default_timeout=120, args=(KEYS,)).run()
    for field in at.text_input:
        field.set_value(id_hash if typed == "the hash" else typed)
    at.run()
    assert [caption.value for caption in at.caption] == ["user: None"]
    at.user = {"sid": id_hash}
    assert [caption.value for caption in at.run().caption] == ["user: alice"]  # the page can tell


def test_while_the_database_is_away_there_is_a_sentence(dora, monkeypatch):
    def away(*_: object) -> None:
        raise DatabaseUnavailable("The database does not answer. Try again in a minute.")

    at = open_app(begin(dora))
    monkeypatch.setattr(sessions, "find", away)
    at.run()
    assert at.error[0].value.replace("\\", "") == "The database does not answer. Try again in a minute."
