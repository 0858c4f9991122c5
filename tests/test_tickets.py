"""One-time secrets, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.auth import tickets
from core.db.engine import system_session
from core.db.models import AuthTicket
from tests import factories as make

HOUR = timedelta(hours=1)


@pytest.fixture
def user(database: Engine) -> int:
    make.add_user(1, "alice@example.com")
    return 1


def stored() -> list[AuthTicket]:
    with system_session() as session:
        return list(session.exec(select(AuthTicket)))


def test_a_ticket_brings_back_what_it_stood_for_once(user):
    secret = tickets.issue("invite", user_id=user, details={"role": "analyst"}, lifetime=HOUR)
    assert tickets.redeem(secret, "invite") == tickets.Ticket("invite", user, {"role": "analyst"})
    assert tickets.redeem(secret, "invite") is None
    assert stored() == []


def test_looking_at_a_ticket_does_not_take_it(user):
    secret = tickets.issue("invite", details={"shop": 1}, lifetime=HOUR)
    expected = tickets.Ticket("invite", None, {"shop": 1})
    assert tickets.peek(secret, "invite") == tickets.peek(secret, "invite") == expected
    assert tickets.redeem(secret, "invite") == expected
    assert tickets.peek(secret, "invite") is None


def test_a_ticket_opens_nothing_else_and_is_still_there_afterwards(user):
    secret = tickets.issue("verify", user_id=user, lifetime=HOUR)
    assert tickets.redeem(secret, "reset") is None and tickets.peek(secret, "reset") is None
    assert tickets.redeem(secret + "x", "verify") is None
    assert tickets.redeem(secret, "verify") is not None


def test_a_ticket_that_expired_is_refused_and_cleared_away_by_the_next(user):
    late = tickets.issue("reset", user_id=user, lifetime=timedelta(seconds=-1))
    assert tickets.redeem(late, "reset") is None and tickets.peek(late, "reset") is None
    assert len(stored()) == 1
    tickets.issue("reset", user_id=user, lifetime=HOUR)
    assert len(stored()) == 1


def test_the_secret_itself_is_not_stored(user):
    secret = tickets.issue("reset", user_id=user, lifetime=HOUR)
    assert len(secret) == 43
    assert secret not in repr(stored()[0].model_dump())


def test_of_eight_who_ask_at_once_one_gets_the_ticket(user):
    secret = tickets.issue("sign-in", user_id=user, lifetime=HOUR)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tickets.redeem(secret, "sign-in"), range(8)))
    assert sum(answer is not None for answer in answers) == 1


def test_a_ticket_taken_in_a_transaction_that_fails_can_be_taken_again(user):
    secret = tickets.issue("invite", user_id=user, lifetime=HOUR)
    with pytest.raises(ZeroDivisionError), system_session(write=True) as session:
        assert tickets.redeem(secret, "invite", session=session) is not None
        raise ZeroDivisionError
    assert tickets.redeem(secret, "invite") is not None


def test_withdrawing_voids_only_this_users_tickets_of_this_purpose(user):
    make.add_user(2, "bob@example.com")
    mine, other, bobs = (
        tickets.issue(purpose, user_id=who, lifetime=HOUR)
        for purpose, who in (("reset", user), ("verify", user), ("reset", 2))
    )
    tickets.withdraw(user, "reset")
    assert tickets.redeem(mine, "reset") is None
    assert tickets.redeem(other, "verify") is not None and tickets.redeem(bobs, "reset") is not None


@pytest.mark.parametrize("garbage", ["", "\x00", "x" * 100_000, "\ud800", "' OR 1=1 --", "😀"])
def test_garbage_is_no_ticket(user, garbage):
    assert tickets.redeem(garbage, "sign-in") is None
