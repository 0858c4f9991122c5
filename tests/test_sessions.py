"""Sessions of signed-in browsers, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.auth import accounts, sessions, tickets
from core.auth.tickets import digest
from core.db.engine import system_session
from core.db.models import AuthSession, User
from core.errors import DatabaseUnavailable, NotPermitted
from tests import factories as make

ALICE, BOB = 1, 2


@pytest.fixture(autouse=True)
def people(database: Engine) -> None:
    """Alice owns shop 1 where Bob is an analyst."""
    make.add_shop(1)
    make.add_user(ALICE, "alice@example.com", 1)
    make.add_user(BOB, "bob@example.com", 1, role="analyst")


def begin(user_id: int = ALICE, **columns: Any) -> str:
    """A session's hash, with columns as they shall be."""
    id_hash = digest(sessions.start(user_id, "192.0.2.1", "Firefox"))
    with system_session(write=True) as session:
        row = session.get_one(AuthSession, id_hash)
        for name, value in columns.items():
            setattr(row, name, value)
    return id_hash


def change(user_id: int, **columns: Any) -> None:
    with system_session(write=True) as session:
        user = session.get_one(User, user_id)
        for name, value in columns.items():
            setattr(user, name, value)


def test_a_session_says_whose_it_is_and_lasts_12_hours():
    view = sessions.check(begin())
    assert view is not None
    assert (view.user_id, view.address, view.browser) == (ALICE, "192.0.2.1", "Firefox")
    assert view.expires_at - view.created_at == timedelta(hours=12)


def test_the_secret_is_not_stored_and_its_hash_opens_nothing():
    secret = sessions.start(ALICE, None, None)
    with system_session() as session:
        (row,) = session.exec(select(AuthSession))
    assert secret not in repr(row.model_dump())
    assert sessions.check(row.id_hash) is not None
    assert sessions.check(secret) is None
    assert sessions.check(digest(row.id_hash)) is None


def test_what_ended_expired_or_never_was_is_no_session():
    now = datetime.now(UTC)
    assert sessions.check(begin(expires_at=now - timedelta(seconds=1))) is None
    assert sessions.check(begin(revoked_at=now)) is None
    assert sessions.check("nonsense") is None
    assert sessions.check(begin()) is not None


def test_ending_a_session_ends_that_one_once():
    first, second = begin(), begin()
    assert sessions.end(first) == ALICE
    assert sessions.end(first) is None
    assert sessions.check(first) is None
    assert sessions.check(second) is not None


def test_nobody_ends_a_session_of_somebody_else():
    alices = begin()
    assert sessions.end(alices, user_id=BOB) is None
    assert sessions.check(alices) is not None
    assert sessions.end(alices, user_id=ALICE) == ALICE


def test_ending_all_ends_one_users_sessions_and_sign_ins_on_their_way():
    mine, bobs = (begin(), begin()), begin(BOB)
    coming = tickets.issue(sessions.COOKIE_TICKET, user_id=ALICE, lifetime=timedelta(minutes=1))
    sessions.end_all(ALICE)
    assert [sessions.check(each) for each in mine] == [None, None]
    assert tickets.redeem(coming, sessions.COOKIE_TICKET) is None
    assert sessions.check(bobs) is not None
    assert sessions.check(begin()) is not None


@pytest.mark.parametrize(
    "happens",
    [
        lambda: accounts.set_password(BOB, "a sentence is fine too"),
        lambda: accounts.set_active(BOB, False),
        lambda: change_role(BOB, "viewer"),
        lambda: change(BOB, active=False),
        lambda: change(BOB, token_version=7),
    ],
)
def test_a_changed_password_status_or_role_ends_the_sessions(happens):
    bobs, alices = begin(BOB), begin()
    assert sessions.check(bobs) is not None
    happens()
    assert sessions.check(bobs) is None
    assert sessions.check(alices) is not None


def change_role(user_id: int, role: str) -> None:
    with system_session(write=True) as session:
        accounts.grant(session, user_id, 1, role)


def test_a_further_store_or_the_same_role_again_ends_no_session():
    make.add_shop(2)
    bobs = begin(BOB)
    with system_session(write=True) as session:
        accounts.grant(session, BOB, 1, "analyst")
        accounts.grant(session, BOB, 2, "owner")
    assert sessions.check(bobs) is not None


def test_who_is_switched_off_cannot_begin_a_session():
    change(BOB, active=False)
    for nobody in (BOB, 999):
        with pytest.raises(NotPermitted, match="switched off"):
            sessions.start(nobody, None, None)


def test_demo_users_have_sessions_only_while_there_is_a_demo(monkeypatch):
    change(BOB, demo_password="sealed")
    bobs, alices = begin(BOB), begin()
    assert sessions.check(bobs) is not None
    monkeypatch.setenv("DEMO", "0")
    config.get_settings.cache_clear()
    assert sessions.check(bobs) is None
    assert sessions.check(alices) is not None
    with pytest.raises(NotPermitted):
        sessions.start(BOB, None, None)


def test_a_session_is_noted_as_seen_once_a_minute():
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    shortly = datetime.now(UTC) - timedelta(seconds=30)
    old, recent = begin(seen_at=long_ago), begin(seen_at=shortly)
    for id_hash in (old, recent):
        sessions.check(id_hash)
    seen = {view.id_hash: view.seen_at for view in sessions.sessions_of(ALICE)}
    assert seen[old] > shortly
    assert seen[recent] == shortly


def test_a_session_is_good_while_nothing_can_be_written(monkeypatch):
    old = begin(seen_at=datetime.now(UTC) - timedelta(minutes=5))

    def refuse(*, write: bool = False):
        if write:
            raise DatabaseUnavailable("The disk is full.")
        return system_session()

    monkeypatch.setattr(sessions, "system_session", refuse)
    assert sessions.check(old) is not None
    with pytest.raises(DatabaseUnavailable):
        sessions.end(old)


def test_the_list_has_only_live_sessions_of_this_user_the_last_seen_first():
    now = datetime.now(UTC)
    earlier, later = begin(seen_at=now - timedelta(hours=1)), begin()
    begin(revoked_at=now)
    begin(expires_at=now)
    begin(BOB)
    assert [view.id_hash for view in sessions.sessions_of(ALICE)] == [later, earlier]
    sessions.end_all(ALICE)
    assert sessions.sessions_of(ALICE) == ()


def test_sessions_that_expired_are_cleared_away_by_the_next():
    begin(expires_at=datetime.now(UTC))
    kept = begin()
    with system_session() as session:
        assert session.exec(select(AuthSession.id_hash)).all() == [kept]


def test_of_eight_who_end_a_session_at_once_one_did_it():
    alices = begin()
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda _: sessions.end(alices), range(8)))
    assert sorted(ended, key=str) == [ALICE, *[None] * 7]


def test_a_tour_that_was_closed_is_over_for_that_session_alone():
    closed, other = begin(), begin()
    sessions.end_tour(closed)
    over = {view.id_hash: view.tour_over for view in sessions.sessions_of(ALICE)}
    assert over == {closed: True, other: False}
