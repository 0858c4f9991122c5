"""Guessing passwords: how often, from where, and what it tells about who exists. On both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import bcrypt
import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.auth import accounts, attempts, passwords
from core.db.engine import system_session
from core.db.models import LoginAttempt
from core.errors import TooManyAttempts

ANN, PASSWORD = "ann@example.com", "a sentence is fine"


@pytest.fixture(autouse=True)
def compared(database: Engine, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Ann exists, and every hash that a password is compared with is noted."""
    accounts.add_user(ANN, "Ann", PASSWORD)
    noted: list[bytes] = []
    real = bcrypt.checkpw

    def note(password: bytes, hashed: bytes) -> bool:
        noted.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", note)
    return noted


def guess(email: str = ANN, password: str = "wrong", address: str | None = None) -> str:
    """What a visitor learns from one try."""
    try:
        return "in" if accounts.verify(email, password, address) is not None else "no"
    except TooManyAttempts as error:
        return str(error)


def rows() -> list[LoginAttempt]:
    with system_session() as session:
        return list(session.exec(select(LoginAttempt)))


def wait(minutes: int) -> None:
    """Time passes for what was counted."""
    with system_session(write=True) as session:
        for row in session.exec(select(LoginAttempt)):
            row.at -= timedelta(minutes=minutes)


def test_of_a_thousand_guesses_five_reach_the_password(compared):
    answers = [guess(password=f"guess {number}", address=f"198.51.{number // 200}.{number}") for number in range(1000)]
    assert answers[:5] == ["no"] * 5
    assert len(set(answers[5:])) == 1 and "Wait 15 minutes" in answers[5]
    assert len(compared) == 5


def test_the_right_password_is_refused_while_locked_from_every_address():
    assert guess(password=PASSWORD) == "in"
    for _ in range(5):
        guess(address="192.0.2.1")
    assert "Wait" in guess(password=PASSWORD, address="192.0.2.1")
    assert "Wait" in guess(password=PASSWORD, address="203.0.113.9")
    assert "Wait" in guess(password=PASSWORD)


def test_of_many_guesses_sent_at_once_five_reach_the_password(compared):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: guess(password=f"guess {number}"), range(64)))
    assert answers.count("no") == len(compared) <= 5
    assert "in" not in answers


def test_a_lock_ends_15_minutes_after_the_failures_however_often_it_was_tried_meanwhile():
    for _ in range(5):
        guess()
    wait(14)
    for _ in range(20):
        assert "Wait" in guess(password=PASSWORD)
    wait(2)
    assert guess(password=PASSWORD) == "in"


def test_a_success_forgets_the_failures_of_the_account():
    for _ in range(3):
        for _ in range(4):
            assert guess() == "no"
        assert guess(password=PASSWORD) == "in"
    assert rows() == []


def test_a_new_password_lifts_the_lock():
    for _ in range(5):
        guess()
    accounts.set_password(accounts.user_id_of(ANN), "another sentence")
    assert guess(password="another sentence") == "in"


def test_an_address_may_fail_fifty_times_whoever_it_tries(compared):
    tried = [guess(f"user-{number}@example.com", address="192.0.2.1") for number in range(60)]
    assert tried.count("no") == len(compared) == 50
    assert "Wait" in guess(password=PASSWORD, address="192.0.2.1")
    assert guess(password=PASSWORD, address="192.0.2.2") == "in"


def test_a_success_of_their_own_does_not_clear_what_an_address_tried_before():
    for number in range(49):
        guess(f"user-{number}@example.com", address="192.0.2.1")
    assert guess(password=PASSWORD, address="192.0.2.1") == "in"
    assert guess("one@example.com", address="192.0.2.1") == "no"
    assert "Wait" in guess("two@example.com", address="192.0.2.1")


def test_the_addresses_of_one_ipv6_network_count_as_one():
    for number in range(50):
        guess(f"user-{number}@example.com", address=f"2001:db8:1:2::{number:x}")
    assert "Wait" in guess(address="2001:db8:1:2:ffff::1")
    assert guess(address="2001:db8:1:3::1") == "no"


def test_known_unknown_and_locked_users_get_the_same_words_after_the_same_work(compared):
    def story(email: str) -> tuple[list[str], int]:
        compared.clear()
        return [guess(email) for _ in range(8)], len(compared)

    switched_off = accounts.add_user("off@example.com", "Off", PASSWORD)
    accounts.set_active(switched_off, False)
    known, unknown, off = story(ANN), story("nobody@example.com"), story("off@example.com")
    assert known == unknown == off
    assert known[1] == 5
    assert {hashed.split(b"$")[2] for hashed in compared} == {b"04"}


def test_the_work_would_differ_if_unknown_users_were_not_compared(compared, monkeypatch):
    monkeypatch.setattr(passwords, "matches", lambda password, known: known is not None)
    guess("nobody@example.com")
    assert compared == []


@pytest.mark.parametrize("other", ["ANN@example.com", " ann@example.com ", "Ann@Example.Com\n"])
def test_another_spelling_is_no_new_chance(other, compared):
    for _ in range(5):
        guess()
    assert "Wait" in guess(other, PASSWORD)
    assert len(compared) == 5


@pytest.mark.parametrize("email", ["\x00", "ann@example.com\x00", "x" * 100_000, "' OR 1=1 --", "😀"])
def test_garbage_is_answered_like_any_wrong_name(email):
    assert guess(email) == "no"


def test_what_was_typed_is_not_stored():
    guess("my secret password", address="192.0.2.1")
    stored = repr([row.model_dump() for row in rows()])
    assert "secret" not in stored and "192.0.2.1" not in stored


def test_old_attempts_are_cleared_away():
    for number in range(10):
        guess(f"user-{number}@example.com")
    wait(16)
    guess("last@example.com")
    assert len(rows()) == 1
    assert all(row.at > datetime.now(UTC) - timedelta(minutes=1) for row in rows())
    assert len({row.key for row in rows()} & {attempts._key("account", "last@example.com")}) == 1
