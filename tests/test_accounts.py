"""Who may sign in, and which shops they see."""

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.auth import accounts
from core.db.engine import system_session
from core.db.models import Membership, Shop, User
from core.errors import InputError
from core.sync.connect import ensure_demo_shops
from tests.factories import add_shop, add_user

PASSWORD = "a sentence is fine"


@pytest.fixture
def cast(database: Engine) -> None:
    """Alice owns shop 1, Bob is her analyst, Charlie owns shop 2."""
    add_shop(1)
    add_shop(2)
    add_user(1, "alice@example.com", 1)
    add_user(2, "bob@example.com", 1, role="analyst")
    add_user(3, "charlie@example.com", 2)


def test_each_sees_the_shops_of_their_memberships(cast):
    assert [(shop.shop_id, shop.role) for shop in accounts.shops_of(1)] == [(1, "owner")]
    assert [(shop.shop_id, shop.role) for shop in accounts.shops_of(2)] == [(1, "analyst")]
    assert [(shop.shop_id, shop.role) for shop in accounts.shops_of(3)] == [(2, "owner")]
    assert accounts.shops_of(4) == ()


def test_a_user_switched_off_sees_nothing_at_once(cast):
    with system_session(write=True) as session:
        session.get_one(User, 2).active = False
    assert accounts.shops_of(2) == ()
    assert accounts.account(2) is None
    assert accounts.account(1) is not None


def test_the_right_password_signs_in_and_nothing_else_does(database: Engine):
    user_id = accounts.add_user("Ann@Example.com", "Ann", PASSWORD)
    assert accounts.verify("ann@example.com ", PASSWORD) == user_id
    assert accounts.verify("ann@example.com", PASSWORD + " ") is None
    assert accounts.verify("ann@example.com", "") is None
    assert accounts.verify("nobody@example.com", PASSWORD) is None


def test_every_character_of_a_long_password_counts(database: Engine):
    long = "é" * 60 + "\x00 and more"
    user_id = accounts.add_user("ann@example.com", "Ann", long)
    assert accounts.verify("ann@example.com", long) == user_id
    assert accounts.verify("ann@example.com", long[:-1] + "x") is None


@pytest.mark.parametrize(
    ("email", "password"), [("no address", PASSWORD), ("a@b.co", "too short"), ("a@b.co", "x" * 129)]
)
def test_a_wrong_address_or_password_is_refused_with_a_sentence(database, email, password):
    with pytest.raises(InputError, match=r"\. "):
        accounts.add_user(email, "Ann", password)


def test_an_address_is_taken_once_in_whatever_case(database: Engine):
    accounts.add_user("ann@example.com", "Ann", PASSWORD)
    with pytest.raises(InputError, match="already"):
        accounts.add_user("ANN@example.com", "Ann", PASSWORD)


def test_demo_users_come_once_and_each_opens_only_their_store(database: Engine):
    shop_ids = ensure_demo_shops()
    assert accounts.ensure_demo_users(shop_ids) is True
    assert accounts.ensure_demo_users(ensure_demo_shops()) is False
    alice, bob, charlie = accounts.demo_sign_ins()
    seen = {}
    for demo in (alice, bob, charlie):
        user_id = accounts.verify(demo.email, demo.password)
        assert user_id is not None
        seen[demo.name] = [(shop.shop_id, shop.role) for shop in accounts.shops_of(user_id)]
    first, second = shop_ids
    assert seen == {"Alice": [(first, "owner")], "Bob": [(first, "analyst")], "Charlie": [(second, "owner")]}
    assert len({alice.password, bob.password, charlie.password}) == 3


def test_with_the_demo_off_its_users_and_passwords_are_gone(database: Engine, monkeypatch: pytest.MonkeyPatch):
    accounts.ensure_demo_users(ensure_demo_shops())
    alice = accounts.demo_sign_ins()[0]
    user_id = accounts.verify(alice.email, alice.password)
    assert user_id is not None
    monkeypatch.setenv("DEMO", "0")
    config.get_settings.cache_clear()
    assert accounts.demo_sign_ins() == ()
    assert accounts.verify(alice.email, alice.password) is None
    assert accounts.account(user_id) is None


def test_the_demo_can_be_hidden_and_shown_and_opens_nothing_new_to_charlie(database: Engine):
    first, second = ensure_demo_shops()
    accounts.ensure_demo_users((first, second))
    charlie = accounts.demo_sign_ins()[2]
    user_id = accounts.verify(charlie.email, charlie.password) or 0
    accounts.show_demo(user_id, False)
    assert accounts.shops_of(user_id) == ()
    accounts.show_demo(user_id, True)
    assert [shop.shop_id for shop in accounts.shops_of(user_id)] == [second]


def test_whoever_has_no_demo_store_joins_the_first_as_analyst(database: Engine):
    first, _ = ensure_demo_shops()
    user_id = accounts.add_user("ann@example.com", "Ann", PASSWORD)
    assert accounts.shops_of(user_id) == ()
    accounts.show_demo(user_id, True)
    assert [(shop.shop_id, shop.role) for shop in accounts.shops_of(user_id)] == [(first, "analyst")]


def test_a_role_is_one_of_the_four(cast):
    with system_session(write=True) as session, pytest.raises(InputError, match="owner, admin, analyst, viewer"):
        accounts.grant(session, 2, 1, "god")
    with system_session(write=True) as session:
        accounts.grant(session, 2, 1, "viewer")
    with system_session() as session:
        assert session.exec(select(Membership.role).where(Membership.user_id == 2)).all() == ["viewer"]


def test_no_password_or_token_is_stored_as_it_is(database: Engine):
    accounts.ensure_demo_users(ensure_demo_shops())
    demo = accounts.demo_sign_ins()[0]
    with system_session() as session:
        users, shops = session.exec(select(User)).all(), session.exec(select(Shop)).all()
    stored = repr([user.model_dump() for user in users] + [shop.model_dump() for shop in shops])
    assert demo.password not in stored
    assert "shpat_" not in stored
    assert shops[0].token not in repr(shops[0]) and users[0].password_hash not in repr(users[0])
