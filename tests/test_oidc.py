"""Sign-in with a provider: which account its claims open. The provider itself is not asked here."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.auth import accounts, oidc, sessions, tickets
from core.errors import InputError
from core.ui import sign_in
from tests import factories as make
from tests.test_sign_in import scripts, ticket_in

ROUTER = Path(__file__).parents[1] / "pages" / "_router.py"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALICE = 1


@pytest.fixture(autouse=True)
def people(database: Engine) -> None:
    make.add_user(ALICE, "Alice@example.com")
    make.add_user(2, "off@example.com")
    accounts.set_active(2, False)


def claims(age_s: int = 10, **more: Any) -> dict[str, Any]:
    issued_at = int((NOW - timedelta(seconds=age_s)).timestamp())
    return {"email": "alice@example.com", "email_verified": True, "iat": issued_at, **more}


@pytest.mark.parametrize("verified", [True, "true"])
def test_a_verified_address_opens_the_account_that_has_it(verified):
    assert oidc.user_of(claims(email="ALICE@Example.com ", email_verified=verified), NOW) == ALICE


@pytest.mark.parametrize("verified", [False, None, "false", "", 0, "yes"])
def test_an_address_that_the_provider_did_not_verify_opens_nothing(verified):
    with pytest.raises(InputError, match="has not verified"):
        oidc.user_of(claims(email_verified=verified), NOW)
    unsaid = claims()
    del unsaid["email_verified"]
    with pytest.raises(InputError, match="has not verified"):
        oidc.user_of(unsaid, NOW)


@pytest.mark.parametrize("email", ["nobody@example.com", "off@example.com"])
def test_nobody_gets_an_account_this_way_and_who_is_switched_off_stays_out(email):
    with pytest.raises(InputError, match="invite you"):
        oidc.user_of(claims(email=email), NOW)


@pytest.mark.parametrize("age_s", [301, 30 * 86400, -61])
def test_what_was_said_earlier_or_will_be_said_does_not_count(age_s):
    assert oidc.user_of(claims(age_s), NOW) is None


@pytest.mark.parametrize("issued_at", [None, "now", []])
def test_without_a_moment_nothing_counts(issued_at):
    assert oidc.user_of(claims(iat=issued_at), NOW) is None


def open_app(user: dict[str, Any]) -> AppTest:
    at = AppTest.from_file(ROUTER, default_timeout=120)
    at.user = user
    at.run()
    assert not at.exception
    return at


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_has_provider", lambda: True)
    monkeypatch.setattr(sign_in, "find_spec", lambda _: object())


def test_who_comes_back_from_the_provider_gets_a_session_of_ours(provider):
    at = open_app({"is_logged_in": True, **claims(), "iat": datetime.now(UTC).timestamp()})
    ticket = tickets.redeem(ticket_in(at), sessions.COOKIE_TICKET)
    assert ticket is not None and ticket.user_id == ALICE


def test_an_old_answer_shows_the_button_again(provider):
    at = open_app({"is_logged_in": True, **claims()})
    assert at.button(key="sign_in_provider") and "ticket" not in scripts(at)


def test_an_unknown_address_is_told_what_to_do(provider):
    user = {"is_logged_in": True, **claims(email="nobody@example.com"), "iat": datetime.now(UTC).timestamp()}
    assert "invite you" in open_app(user).error[0].value


def test_without_the_package_there_is_a_sentence(provider, monkeypatch):
    monkeypatch.setattr(sign_in, "find_spec", lambda _: None)
    assert "pip install Authlib" in open_app({}).warning[0].value


def test_without_a_provider_claims_open_nothing():
    at = open_app({"is_logged_in": True, **claims(), "iat": datetime.now(UTC).timestamp()})
    assert "ticket" not in scripts(at) and not at.warning
    with pytest.raises(KeyError):
        at.button(key="sign_in_provider")


def test_signing_out_forgets_what_the_provider_said(provider):
    id_hash = tickets.digest(sessions.start(ALICE, None, None))
    at = open_app({"sid": id_hash, "is_logged_in": True, **claims()})
    at.button(key="sign_out").click().run()
    assert "auth/logout" in scripts(at)
    assert sessions.check(id_hash) is None
