"""API keys, on both databases: one store each, the role of the moment, gone when revoked."""

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.auth import accounts, keys, members
from core.db.engine import system_session
from core.db.models import ApiKey, Shop
from core.errors import InputError, NotPermitted
from tests import factories as make

ALICE, BOB, VERA, CHARLIE = 1, 2, 3, 4


@pytest.fixture(autouse=True)
def cast(database: Engine) -> None:
    """Alice owns shop 1, Bob is her analyst, Vera looks at it, Charlie owns shop 2."""
    make.add_shop(1)
    make.add_shop(2)
    make.add_user(ALICE, "alice@example.com", 1)
    make.add_user(BOB, "bob@example.com", 1, role="analyst")
    make.add_user(VERA, "vera@example.com", 1, role="viewer")
    make.add_user(CHARLIE, "charlie@example.com", 2)


def test_a_key_opens_one_store_as_its_user():
    secret = keys.make(BOB, 1, "Spreadsheet")
    assert secret.startswith("shoptally_") and len(secret) == 53
    access = keys.verify(secret)
    assert access is not None
    assert (access.user_id, access.email, access.shop_id, access.role) == (BOB, "bob@example.com", 1, "analyst")
    (shown,) = keys.keys_of(BOB)
    assert (shown.name, shown.shop_name, shown.hint) == ("Spreadsheet", "Shop 1", secret[-4:])
    assert shown.used_at is not None
    assert keys.keys_of(ALICE) == ()


@pytest.mark.parametrize(("user_id", "shop_id"), [(VERA, 1), (CHARLIE, 1), (ALICE, 2), (99, 1), (ALICE, 99)])
def test_a_key_to_a_store_one_may_not_have_is_not_made(user_id, shop_id):
    with pytest.raises(NotPermitted):
        keys.make(user_id, shop_id, "Spreadsheet")
    with system_session() as session:
        assert session.exec(select(ApiKey)).all() == []


@pytest.mark.parametrize("secret", ["", "shoptally_", "x" * 100_000, "\x00", "\ud800", "' OR 1=1 --"])
def test_garbage_is_no_key(secret):
    keys.make(BOB, 1, "Spreadsheet")
    assert keys.verify(secret) is None


def test_the_key_itself_is_not_stored():
    secret = keys.make(BOB, 1, "Spreadsheet")
    with system_session() as session:
        assert secret not in repr([key.model_dump() for key in session.exec(select(ApiKey))])


def test_a_revoked_key_opens_nothing_and_only_its_user_revokes_it():
    secret = keys.make(BOB, 1, "Spreadsheet")
    (shown,) = keys.keys_of(BOB)
    keys.revoke(ALICE, shown.key_id)
    keys.revoke(CHARLIE, shown.key_id)
    assert keys.verify(secret) is not None
    keys.revoke(BOB, shown.key_id)
    assert keys.verify(secret) is None and keys.keys_of(BOB) == ()


def test_the_role_is_read_anew_each_time():
    secret = keys.make(BOB, 1, "Spreadsheet")
    members.change_role(ALICE, 1, BOB, "viewer")
    access = keys.verify(secret)
    assert access is not None and access.role == "viewer"


def test_a_key_ends_with_the_account_or_the_membership_and_does_not_come_back():
    secret = keys.make(BOB, 1, "Spreadsheet")
    accounts.set_active(BOB, False)
    assert keys.verify(secret) is None
    accounts.set_active(BOB, True)
    assert keys.verify(secret) is not None
    members.remove(ALICE, 1, BOB)
    assert keys.verify(secret) is None
    with system_session(write=True) as session:
        accounts.grant(session, BOB, 1, "analyst")
    assert keys.verify(secret) is None


def test_where_a_second_factor_is_needed_a_key_needs_its_user_to_have_one():
    secret = keys.make(BOB, 1, "Spreadsheet")
    with system_session(write=True) as session:
        session.get_one(Shop, 1).needs_second_factor = True
    assert keys.verify(secret) is None


def test_there_are_not_endlessly_many():
    for number in range(keys.MOST):
        keys.make(BOB, 1, f"Key {number}")
    with pytest.raises(InputError, match="Revoke one"):
        keys.make(BOB, 1, "One more")


@pytest.mark.parametrize("name", ["", " ", "x" * 101])
def test_a_key_has_a_name(name):
    with pytest.raises(InputError):
        keys.make(BOB, 1, name)
