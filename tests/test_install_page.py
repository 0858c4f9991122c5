"""Connecting by install on the pages: who is offered what, where a click leads, and what is said afterwards."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.auth import accounts, tickets
from core.auth.roles import ROLES, may
from core.config import get_settings
from core.db.engine import system_session
from core.db.models import Shop
from core.sync.connect import disconnect_shop
from core.sync.install import CONNECT, PROBLEMS, SAID
from tests import factories as make
from tests.test_pages import open_page, words
from tests.test_sign_in import fill_in, scripts, ticket_in

OWNER, ADMIN, ANALYST, VIEWER, CHARLIE, NEW = 1, 2, 3, 4, 5, 6
BY_ROLE = dict(zip(ROLES, (OWNER, ADMIN, ANALYST, VIEWER), strict=True))
DOMAIN = "harbor.myshopify.com"
PASSWORD = "a long sentence as password"


@pytest.fixture(autouse=True)
def cast(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shop 1, whose token lacks the scopes of the stock, has a member of each role; Charlie has none."""
    make.add_shop(1, domain=DOMAIN, name="Harbor *1*", scopes="read_customers,read_orders,read_products")
    for role, user_id in BY_ROLE.items():
        make.add_user(user_id, f"{role}@example.com", 1, role=role)
    make.add_user(CHARLIE, "charlie@example.com")
    for key, value in (("SHOPIFY_API_KEY", "id"), ("SHOPIFY_API_SECRET", "s"), ("APP_URL", "https://numbers.example")):
        monkeypatch.setenv(key, value)
    get_settings.cache_clear()


def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APP_URL")
    get_settings.cache_clear()


def buttons(at: AppTest) -> set[str]:
    return {button.key for button in at.main.button}


def leads_to(at: AppTest) -> str | None:
    """Where the browser is sent."""
    assert not at.exception
    found = re.search(r'window\.location\.assign\("([^"]*)"\)', scripts(at))
    return found[1] if found else None


def test_the_form_leads_to_shopify_by_the_stores_address():
    at = open_page("stores.py", CHARLIE)
    at.text_input(key="install_domain").set_value("Https://Admin.Shopify.com/store/Kiosk-1")
    at.button(key="install").click().run()
    assert leads_to(at) == "shopify/install?shop=kiosk-1.myshopify.com&names=0"
    at = open_page("stores.py", CHARLIE)
    at.text_input(key="install_domain").set_value("kiosk-1")
    at.checkbox(key="install_names").check()
    at.button(key="install").click().run()
    assert leads_to(at) == "shopify/install?shop=kiosk-1.myshopify.com&names=1"


@pytest.mark.parametrize("typed", ["", "evil.com", 'x")</script>', "kiosk.myshopify.com.evil.com", "//evil.com"])
def test_what_is_no_address_of_a_store_leads_nowhere(typed):
    at = open_page("stores.py", CHARLIE)
    at.text_input(key="install_domain").set_value(typed)
    at.button(key="install").click().run()
    assert leads_to(at) is None and "not a Shopify store address" in at.error[0].value


def test_a_token_can_be_typed_in_with_and_without_the_settings(monkeypatch):
    assert {"install", "connect_check"} <= buttons(open_page("stores.py", CHARLIE))
    without_settings(monkeypatch)
    assert buttons(open_page("stores.py", CHARLIE)) & {"install", "connect_check"} == {"connect_check"}


@pytest.mark.parametrize("page", ["stores.py", "sync.py"])
@pytest.mark.parametrize("role", ROLES)
def test_who_may_connect_the_store_is_offered_to_grant_what_is_lacking(page, role):
    at = open_page(page, BY_ROLE[role])
    assert ("install_1" in buttons(at)) is may(role, "connect_store")
    if may(role, "connect_store"):
        assert "`read_inventory`, `read_locations`" in words(at) and at.button(key="install_1").label == "Grant again"
        at.button(key="install_1").click().run()
        assert leads_to(at) == f"shopify/install?shop={DOMAIN}"


@pytest.mark.parametrize("page", ["stores.py", "sync.py"])
@pytest.mark.parametrize("how", ["disconnected", "refused"])
def test_a_store_whose_token_is_gone_is_connected_again_from_its_pages(page, how):
    if how == "disconnected":
        disconnect_shop(1)
    else:
        with system_session(write=True) as session:
            session.get_one(Shop, 1).reauth_since = datetime.now(UTC)
    at = open_page(page, ADMIN)
    assert at.button(key="install_1").label == "Connect again"
    at.button(key="install_1").click().run()
    assert leads_to(at) == f"shopify/install?shop={DOMAIN}"


@pytest.mark.parametrize("state", ["whole", "unknown", "demo", "no settings"])
def test_where_nothing_is_to_be_granted_nothing_is_offered(state, monkeypatch):
    whole = "write_orders,read_customers,read_products,read_inventory,read_locations"
    columns = {"whole": {"scopes": whole}, "unknown": {"scopes": ""}, "demo": {"is_demo": True}}.get(state, {})
    with system_session(write=True) as session:
        for name, value in columns.items():
            setattr(session.get_one(Shop, 1), name, value)
    if state == "no settings":
        without_settings(monkeypatch)
    for page in "stores.py", "sync.py":
        assert "install_1" not in buttons(open_page(page, OWNER))


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("user_id", [None, CHARLIE], ids=["signed out", "signed in"])
def test_what_went_wrong_is_said_once_with_the_next_step(problem, user_id):
    at = open_page("overview.py", user_id, **{SAID: problem})
    assert at.error[0].value == PROBLEMS[problem] and SAID not in at.query_params
    assert PROBLEMS[problem] not in words(at.run())


def left_for(user_id: int, sentence: str, *, good: bool = True) -> str:
    details = {"sentence": sentence, "good": good}
    return tickets.issue(SAID, user_id=user_id, details=details, lifetime=timedelta(minutes=10))


def test_a_sentence_that_was_left_for_a_user_is_said_once_as_plain_text():
    at = open_page("overview.py", OWNER, **{SAID: left_for(OWNER, "[Harbor](https://evil.example) is connected.")})
    [said] = [each.value for each in at.success]
    assert "](https" not in said and "Harbor" in said
    assert SAID not in at.query_params and not at.run().success
    at = open_page("overview.py", OWNER, **{SAID: left_for(OWNER, "It was refused.", good=False)})
    assert at.error[0].value.replace("\\", "") == "It was refused." and not at.success


@pytest.mark.parametrize("user_id", [None, CHARLIE], ids=["signed out", "somebody else"])
def test_a_sentence_is_said_to_nobody_else(user_id):
    at = open_page("overview.py", user_id, **{SAID: left_for(OWNER, "Harbor is connected.")})
    assert "Harbor" not in words(at) and SAID not in at.query_params


@pytest.mark.parametrize("text", ["nonsense", "", "<b>x</b>", "x" * 5000])
def test_an_address_puts_no_words_into_our_mouth(text):
    at = open_page("stores.py", CHARLIE, **{SAID: text})
    assert not at.error and not at.success and SAID not in at.query_params


def test_who_came_from_shopify_signs_in_first_and_then_goes_on():
    accounts.add_user("new@example.com", "New", PASSWORD)
    at = open_page("overview.py", None, **{CONNECT: DOMAIN})
    assert f"Sign in to connect **{DOMAIN}**" in words(at) and CONNECT not in at.query_params
    fill_in(at, "new@example.com", PASSWORD)
    assert ticket_in(at) and at.query_params[CONNECT] == DOMAIN  # the address that is loaded anew

    at = open_page("stores.py", CHARLIE, **{CONNECT: DOMAIN})
    assert leads_to(at) is None, "nobody is sent off without a click"
    at.button(key="install_go_on").click().run()
    assert leads_to(at) == f"shopify/install?shop={DOMAIN}"

    at = open_page("stores.py", CHARLIE, **{CONNECT: DOMAIN})
    at.button(key="install_not_now").click().run()
    assert "install_go_on" not in buttons(at) and leads_to(at) is None


@pytest.mark.parametrize("text", ["evil.com", "https://evil.example", "", "[x](https://evil.example)"])
def test_a_link_that_names_no_store_offers_nothing(text):
    for user_id in None, CHARLIE:
        at = open_page("overview.py", user_id, **{CONNECT: text})
        assert not {"install_go_on", "install_not_now"} & buttons(at) and "Sign in to connect" not in words(at)
        assert CONNECT not in at.query_params


def test_a_tab_without_a_cookie_is_not_sent_off_because_nobody_would_know_who_comes_back(monkeypatch):
    monkeypatch.setattr("core.ui.session.has_cookie", lambda: False)
    at = open_page("stores.py", OWNER, **{CONNECT: DOMAIN})
    for key in "install", "install_1", "install_go_on":
        assert at.button(key=key).disabled
    assert "Use a token" in words(at)
