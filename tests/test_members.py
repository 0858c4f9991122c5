"""The team of a store: who may change it, invite to it, and leave it without an owner. On both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.auth import accounts, audit, links, members, sessions
from core.auth.roles import ACTIONS, ROLES, may
from core.auth.tickets import digest
from core.db.engine import system_session
from core.db.models import AuthTicket, Membership, Shop, User
from core.errors import AppError, InputError, NotPermitted
from tests import factories as make

OWNER, ADMIN, ANALYST, VIEWER, CHARLIE = 1001, 1002, 1003, 1004, 1005
BY_ROLE = dict(zip(ROLES, (OWNER, ADMIN, ANALYST, VIEWER), strict=True))
PASSWORD = "a sentence is fine"


@pytest.fixture(autouse=True)
def team(database: Engine) -> None:
    """Shop 1 has one member of each role; Charlie owns shop 2."""
    make.add_shop(1)
    make.add_shop(2)
    for role, user_id in BY_ROLE.items():
        make.add_user(user_id, f"{role}@example.com", 1, role=role)
    make.add_user(CHARLIE, "charlie@example.com", 2)


def team_of(shop_id: int = 1) -> dict[int, str]:
    with system_session() as session:
        rows = session.exec(select(Membership).where(Membership.shop_id == shop_id)).all()
    return {row.user_id: row.role for row in rows}


def actions(shop_id: int = 1) -> list[str]:
    found = audit.events(shop_id, since=make.at("2020-01-01"), until=make.at("2100-01-01"))
    return [f"{event.actor} {event.action} {event.target}" for event in found]


def refused(change: object, *arguments: object, **more: object) -> bool:
    """Whether a change is refused, and then leaves everything as it is."""
    before = team_of(), team_of(2)
    try:
        change(*arguments, **more)
    except AppError:
        assert (team_of(), team_of(2)) == before
        return True
    return False


@pytest.mark.parametrize("action", ACTIONS)
def test_the_database_is_asked_for_the_role_and_strangers_have_none(action):
    for role, user_id in BY_ROLE.items():
        if may(role, action):
            assert members.permitted(user_id, 1, action) == f"{role}@example.com"
        else:
            with pytest.raises(NotPermitted):
                members.permitted(user_id, 1, action)
    for user_id, shop_id in ((CHARLIE, 1), (OWNER, 2), (99, 1), (OWNER, 99)):
        with pytest.raises(NotPermitted, match="not among yours"):
            members.permitted(user_id, shop_id, action)


@pytest.mark.parametrize("actor", [ANALYST, VIEWER, CHARLIE, 99])
def test_who_may_not_change_the_team_can_neither_change_nor_see_it(actor):
    for change in (
        lambda: members.change_role(actor, 1, actor, "owner"),
        lambda: members.change_role(actor, 1, VIEWER, "analyst"),
        lambda: members.remove(actor, 1, OWNER),
        lambda: members.invite(actor, 1, "new@example.com", "viewer", by_mail=False),
        lambda: members.require_second_factor(actor, 1, True),
        lambda: members.members_of(actor, 1),
        lambda: members.invitations_of(actor, 1),
        lambda: links.reset_link(actor, OWNER, 1),
    ):
        with pytest.raises(NotPermitted):
            change()
    assert team_of() == {user_id: role for role, user_id in BY_ROLE.items()}
    assert actions() == []


def test_an_admin_changes_everybody_but_owners_and_makes_none():
    assert refused(members.change_role, ADMIN, 1, OWNER, "viewer")
    assert refused(members.change_role, ADMIN, 1, ADMIN, "owner")
    assert refused(members.change_role, ADMIN, 1, ANALYST, "owner")
    assert refused(members.remove, ADMIN, 1, OWNER)
    assert refused(members.invite, ADMIN, 1, "new@example.com", "owner", by_mail=False)
    assert refused(links.reset_link, ADMIN, OWNER, 1)
    assert refused(members.require_second_factor, ADMIN, 1, True)
    members.change_role(ADMIN, 1, VIEWER, "analyst", address="192.0.2.7")
    members.remove(ADMIN, 1, ANALYST)
    assert team_of() == {OWNER: "owner", ADMIN: "admin", VIEWER: "analyst"}
    assert actions() == [
        "admin@example.com member_removed analyst@example.com",
        "admin@example.com role_change viewer@example.com: viewer to analyst",
    ]


def test_an_owner_of_one_store_changes_nobody_of_another():
    assert refused(members.change_role, CHARLIE, 2, OWNER, "viewer")
    assert refused(members.remove, CHARLIE, 2, OWNER)
    assert refused(links.reset_link, CHARLIE, OWNER, 2)
    assert refused(members.change_role, OWNER, 1, CHARLIE, "owner")


@pytest.mark.parametrize("role", ["god", "", "Owner", "owner "])
def test_a_role_that_does_not_exist_is_given_to_nobody(role):
    assert refused(members.change_role, OWNER, 1, VIEWER, role)
    assert refused(members.invite, OWNER, 1, "new@example.com", role, by_mail=False)


def test_the_last_owner_can_be_neither_demoted_nor_removed():
    with pytest.raises(InputError, match="needs an owner"):
        members.change_role(OWNER, 1, OWNER, "admin")
    with pytest.raises(InputError, match="needs an owner"):
        members.remove(OWNER, 1, OWNER)
    members.change_role(OWNER, 1, ADMIN, "owner")
    accounts.set_active(ADMIN, False)
    assert refused(members.remove, OWNER, 1, OWNER)  # an owner who cannot sign in is none
    accounts.set_active(ADMIN, True)
    members.remove(OWNER, 1, OWNER)
    assert team_of()[ADMIN] == "owner" and OWNER not in team_of()


def test_of_two_owners_who_remove_each_other_at_once_one_stays():
    for _ in range(5):
        with system_session(write=True) as session:
            for user_id in (OWNER, ADMIN):
                session.merge(Membership(user_id=user_id, shop_id=1, role="owner"))
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(refused_quietly, OWNER, ADMIN),
                pool.submit(refused_quietly, ADMIN, OWNER),
            ]  # fmt: skip
        assert sorted(job.result() for job in jobs) == [False, True]
        assert list(team_of().values()).count("owner") == 1


def refused_quietly(actor: int, user_id: int) -> bool:
    try:
        members.remove(actor, 1, user_id)
    except AppError:
        return True
    return False


@pytest.mark.parametrize("change", ["role", "removal"])
def test_a_changed_member_is_signed_out_everywhere(change):
    id_hash = digest(sessions.start(ANALYST, None, None))
    other = digest(sessions.start(VIEWER, None, None))
    if change == "role":
        members.change_role(OWNER, 1, ANALYST, "viewer")
    else:
        members.remove(OWNER, 1, ANALYST)
    assert sessions.check(id_hash) is None
    assert sessions.check(other) is not None


def test_the_team_is_listed_owners_first():
    assert [member.role for member in members.members_of(OWNER, 1)] == list(ROLES)


def test_an_invitation_brings_an_account_of_its_own_with_its_role():
    secret = members.invite(ADMIN, 1, " New@Example.com ", "analyst", by_mail=False)
    asked = members.invitation(secret)
    assert asked is not None and (asked.shop_name, asked.email, asked.role) == ("Shop 1", "new@example.com", "analyst")
    assert members.invitations_of(OWNER, 1) == (asked,)
    user_id = links.register("new@example.com", "Ann", PASSWORD, invite=secret)
    assert [(shop.shop_id, shop.role) for shop in accounts.shops_of(user_id)] == [(1, "analyst")]
    assert members.invitation(secret) is None and members.invitations_of(OWNER, 1) == ()
    with system_session() as session:
        assert session.get_one(User, user_id).email_verified_at is None  # the link was handed over by hand
    assert actions()[:3] == [
        "new@example.com invite_accepted analyst",
        "new@example.com registered ",
        "admin@example.com invite new@example.com as analyst",
    ]


def test_an_invitation_works_once_and_only_for_its_address():
    secret = members.invite(OWNER, 1, "charlie@example.com", "viewer", by_mail=True)
    with pytest.raises(InputError, match="is for charlie@example.com"):
        links.register("other@example.com", "Eve", PASSWORD, invite=secret)
    with system_session() as session:
        assert session.exec(select(User).where(User.email == "other@example.com")).first() is None
    members.accept(secret, CHARLIE)
    assert team_of()[CHARLIE] == "viewer"
    with system_session() as session:
        assert session.get_one(User, CHARLIE).email_verified_at is not None
    with pytest.raises(InputError, match="used already"):
        members.accept(secret, CHARLIE)


def test_an_invitation_that_expired_was_withdrawn_or_replaced_is_refused(monkeypatch):
    first = members.invite(OWNER, 1, "charlie@example.com", "viewer", by_mail=False)
    second = members.invite(OWNER, 1, "Charlie@example.com", "analyst", by_mail=False)
    assert members.invitation(first) is None
    (pending,) = members.invitations_of(OWNER, 1)
    members.withdraw_invitation(CHARLIE, 2, pending.number)
    assert members.invitation(second) is not None  # Charlie withdraws nothing of a store of others
    members.withdraw_invitation(OWNER, 1, pending.number)
    monkeypatch.setattr(members, "INVITE_LASTS", timedelta(seconds=-1))
    late = members.invite(OWNER, 1, "charlie@example.com", "viewer", by_mail=False)
    for secret in (first, second, late, "", "nonsense", "\x00"):
        assert refused(members.accept, secret, CHARLIE)


@pytest.mark.parametrize("change", ["demoted", "removed", "switched off"])
def test_an_invitation_of_somebody_who_lost_the_right_is_void(change):
    secret = members.invite(ADMIN, 1, "charlie@example.com", "analyst", by_mail=False)
    if change == "demoted":
        members.change_role(OWNER, 1, ADMIN, "viewer")
    elif change == "removed":
        members.remove(OWNER, 1, ADMIN)
    else:
        accounts.set_active(ADMIN, False)
    with pytest.raises(InputError, match="may not do so any more"):
        members.accept(secret, CHARLIE)
    assert CHARLIE not in team_of()


def test_a_member_is_not_invited_again():
    with pytest.raises(InputError, match="already"):
        members.invite(OWNER, 1, "viewer@example.com", "admin", by_mail=False)


def test_an_invitation_holds_no_secret_that_is_stored():
    secret = members.invite(OWNER, 1, "new@example.com", "viewer", by_mail=False)
    with system_session() as session:
        assert secret not in repr([ticket.model_dump() for ticket in session.exec(select(AuthTicket))])


def test_where_a_second_factor_is_needed_nobody_does_anything_without_one():
    with pytest.raises(InputError, match="lock yourself out"):
        members.require_second_factor(OWNER, 1, True)
    with system_session(write=True) as session:
        session.get_one(User, OWNER).totp_secret = "sealed"
    members.require_second_factor(OWNER, 1, True)
    with system_session() as session:
        assert session.get_one(Shop, 1).needs_second_factor
    with pytest.raises(NotPermitted, match="second factor"):
        members.members_of(ADMIN, 1)
    members.require_second_factor(OWNER, 1, False)
    assert members.members_of(ADMIN, 1)


def test_the_demos_users_stay_as_they_are():
    with system_session(write=True) as session:
        session.get_one(User, VIEWER).demo_password = "sealed"
    for change in (
        lambda: members.change_role(OWNER, 1, VIEWER, "analyst"),
        lambda: members.remove(OWNER, 1, VIEWER),
        lambda: links.reset_link(OWNER, VIEWER, 1),
        lambda: accounts.change_password(VIEWER, "x", PASSWORD),
        lambda: accounts.rename(VIEWER, "Mallory"),
        lambda: links.change_email(VIEWER, "x", "mallory@example.com"),
    ):
        with pytest.raises(NotPermitted, match="belong to everybody"):
            change()
