"""The first steps with a real store, on the Stores page."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.config import get_settings
from core.sync.connect import disconnect_shop
from tests import factories as make
from tests.test_pages import open_page, synced, words

OWNER, ANALYST, NEW = 1, 2, 3


@pytest.fixture(autouse=True)
def cast(sqlite: Engine) -> None:
    """Shop 1 has an owner and an analyst; a newcomer has no shop."""
    make.add_shop(1, domain="harbor.myshopify.com", name="Harbor", scopes="read_customers,read_orders,read_products")
    make.add_user(OWNER, "owner@example.com", 1)
    make.add_user(ANALYST, "analyst@example.com", 1, role="analyst")
    make.add_user(NEW, "new@example.com")


def steps(at: AppTest) -> dict[str, bool]:
    """Which steps are shown, and whether each is done."""
    assert not at.exception
    shown = [each.value for each in at.main.markdown if "check_circle" in each.value or "radio_button" in each.value]
    return {text.split("**")[1]: "check_circle" in text for text in shown}


def test_the_list_says_what_is_done_and_what_is_next():
    at = open_page("stores.py", OWNER)
    assert "First steps of Harbor" in words(at) and "`read_inventory`" in words(at)
    assert steps(at) == {
        "Connect the store": True, "Grant the scopes": False, "First sync": False, "Webhooks": False, "Team": True,
    }  # fmt: skip
    synced(1, datetime.now(UTC))
    assert steps(open_page("stores.py", OWNER))["First sync"]
    disconnect_shop(1)
    assert not steps(open_page("stores.py", OWNER))["Connect the store"]


def test_the_list_is_for_who_may_connect_a_store():
    assert steps(open_page("stores.py", ANALYST)) == {}


def test_the_list_is_gone_once_all_is_done():
    make.add_shop(2, domain="kiosk.myshopify.com", name="Kiosk")
    make.add_user(4, "kiosk@example.com", 2)
    assert "First sync" in steps(open_page("stores.py", 4))
    synced(2, datetime.now(UTC))
    assert steps(open_page("stores.py", 4)) == {}


def test_who_has_no_store_sees_the_steps_where_the_app_is_set_up_for_shopify(monkeypatch):
    assert steps(open_page("stores.py", NEW)) == {}
    monkeypatch.setenv("SHOPIFY_API_KEY", "id")
    monkeypatch.setenv("SHOPIFY_API_SECRET", "s")
    get_settings.cache_clear()
    assert list(steps(open_page("stores.py", NEW)).values()) == [False] * 5
