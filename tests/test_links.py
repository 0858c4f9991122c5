"""One-time links and registration, on both databases: each once, in time, for its purpose, telling nothing."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.auth import accounts, links, members, sessions, tickets
from core.auth.tickets import digest
from core.config import get_settings
from core.db.engine import system_session
from core.db.models import AuditEvent, AuthTicket, Membership, User
from core.errors import InputError, NotPermitted, TooManyAttempts
from tests import factories as make

OLD, NEW = "the password of before", "another sentence, quite long"


@pytest.fixture(autouse=True)
def dora(database: Engine) -> int:
    """Dora works in shop 1, which Alice owns; she knows her password."""
    make.add_shop(1)
    make.add_shop(2)
    make.add_user(1000, "alice@example.com", 1)
    make.add_user(1001, "charlie@example.com", 2)
    user_id = accounts.add_user("dora@example.com", "Dora", OLD)
    join(user_id, 1, "analyst")
    return user_id


def join(user_id: int, shop_id: int, role: str) -> None:
    with system_session(write=True) as session:
        accounts.grant(session, user_id, shop_id, role)


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every e-mail sent, as address and text; sent at once."""
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(links, "send_mail", lambda to, _, text: sent.append((to, text)))
    monkeypatch.setattr(links, "_later", lambda work: work())
    configure(monkeypatch, SMTP_HOST="mail.example", APP_URL="https://numbers.example/")
    return sent


def configure(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    get_settings.cache_clear()


def secret_in(text: str, purpose: str) -> str:
    found = re.search(rf"https://numbers\.example/\?{purpose}=([\w-]{{43}})\n", text)
    assert found, text
    return found[1]


def is_verified(user_id: int) -> bool:
    found = accounts.account(user_id)
    return found is not None and found.is_verified


def test_a_reset_link_changes_the_password_once_and_ends_every_session(dora, mails):
    id_hash = digest(sessions.start(dora, None, None))
    links.ask_for_reset(" Dora@Example.com ")
    ((to, text),) = mails
    assert to == "dora@example.com"
    secret = secret_in(text, "reset")
    links.reset(secret, NEW)
    assert accounts.verify("dora@example.com", NEW) == dora
    assert accounts.verify("dora@example.com", OLD) is None
    assert sessions.check(id_hash) is None
    assert is_verified(dora)
    with pytest.raises(InputError, match="used already"):
        links.reset(secret, OLD)
    with system_session() as session:
        assert "password_reset" in session.exec(select(AuditEvent.action)).all()


def test_an_address_that_nobody_has_gets_no_e_mail_and_the_same_answer(mails):
    assert links.ask_for_reset("nobody@example.com") == links.ask_for_reset("alice@example.com")
    assert [to for to, _ in mails] == ["alice@example.com"]


def test_asking_over_and_over_sends_few_e_mails(mails):
    for _ in range(20):
        links.ask_for_reset("dora@example.com")
    assert len(mails) == 5
    assert accounts.verify("dora@example.com", OLD) is not None  # and locks nobody out


@pytest.mark.parametrize("who", ["switched off", "demo"])
def test_who_cannot_sign_in_or_belongs_to_the_demo_gets_no_link(dora, mails, who):
    with system_session(write=True) as session:
        user = session.get_one(User, dora)
        user.active, user.demo_password = (False, None) if who == "switched off" else (True, "sealed")
    links.ask_for_reset("dora@example.com")
    assert mails == []


def test_a_password_that_is_refused_does_not_use_up_the_link(dora):
    secret = links.reset_link(1000, dora, 1)
    with pytest.raises(InputError, match="12 to 128"):
        links.reset(secret, "short")
    links.reset(secret, NEW)
    assert accounts.verify("dora@example.com", NEW) == dora
    assert not is_verified(dora)


def test_a_second_change_of_password_voids_the_links_made_before(dora):
    secret = links.reset_link(1000, dora, 1)
    accounts.change_password(dora, OLD, NEW)
    with pytest.raises(InputError):
        links.reset(secret, OLD)


@pytest.mark.parametrize("purpose", ["invite", "verify", "sign-in", "tab", "second-factor"])
def test_a_ticket_of_another_purpose_is_no_reset_link(dora, purpose):
    secret = tickets.issue(purpose, user_id=dora, details={"email": "x@y.co"}, lifetime=timedelta(hours=1))
    with pytest.raises(InputError):
        links.reset(secret, NEW)
    assert accounts.verify("dora@example.com", OLD) == dora


@pytest.mark.parametrize("secret", ["", "x", "\x00", "\ud800", "' OR 1=1 --", "x" * 100_000])
def test_garbage_is_no_link(secret):
    with pytest.raises(InputError):
        links.reset(secret, NEW)
    with pytest.raises(InputError):
        links.confirm_email(secret)
    assert members.invitation(secret) is None


def test_links_expire(dora, mails, monkeypatch):
    monkeypatch.setattr(links, "RESET_LASTS", timedelta(seconds=-1))
    monkeypatch.setattr(links, "VERIFY_LASTS", timedelta(seconds=-1))
    links.ask_for_reset("dora@example.com")
    links.send_verification(dora)
    with pytest.raises(InputError, match="older than"):
        links.reset(secret_in(mails[0][1], "reset"), NEW)
    with pytest.raises(InputError, match="older than"):
        links.confirm_email(secret_in(mails[1][1], "verify"))


def test_an_owner_cannot_take_over_a_member_who_also_belongs_to_a_store_of_others(dora):
    """Else inviting somebody would be enough to enter their stores."""
    join(1000, 2, "viewer")
    with pytest.raises(NotPermitted, match="store whose team you may not change"):
        links.reset_link(1001, 1000, 2)
    with system_session() as session:
        assert session.exec(select(AuthTicket)).all() == []
    join(dora, 2, "viewer")
    with pytest.raises(NotPermitted):
        links.reset_link(1000, dora, 1)
    join(1000, 2, "admin")
    assert links.reset_link(1000, dora, 1)


def test_whoever_has_the_address_of_an_account_is_found_by_the_verification(dora, mails):
    links.send_verification(dora)
    secret = secret_in(mails[0][1], "verify")
    assert not is_verified(dora)
    assert links.confirm_email(secret) == "dora@example.com"
    assert is_verified(dora)
    with pytest.raises(InputError):
        links.confirm_email(secret)


def test_a_new_address_counts_only_once_its_link_was_opened(dora, mails):
    assert links.change_email(dora, OLD, "Dora@new.example") is True
    assert mails[0][0] == "dora@new.example"
    assert accounts.user_id_of("dora@example.com") == dora
    links.confirm_email(secret_in(mails[0][1], "verify"))
    assert accounts.user_id_of("dora@new.example") == dora
    assert is_verified(dora)


def test_of_two_links_for_new_addresses_only_the_latest_counts(dora, mails):
    links.change_email(dora, OLD, "one@new.example")
    links.change_email(dora, OLD, "two@new.example")
    with pytest.raises(InputError):
        links.confirm_email(secret_in(mails[0][1], "verify"))
    assert links.confirm_email(secret_in(mails[1][1], "verify")) == "two@new.example"


def test_an_address_somebody_took_meanwhile_is_refused(dora, mails):
    links.change_email(dora, OLD, "taken@new.example")
    accounts.add_user("taken@new.example", "Eve", NEW)
    with pytest.raises(InputError, match="already"):
        links.confirm_email(secret_in(mails[0][1], "verify"))


def test_without_mail_an_address_changes_at_once_and_is_unverified(dora):
    assert links.change_email(dora, OLD, "dora@new.example") is False
    assert accounts.user_id_of("dora@new.example") == dora and not is_verified(dora)


def test_address_and_password_change_only_with_the_present_password(dora):
    for change in (
        lambda: links.change_email(dora, "wrong", "dora@new.example"),
        lambda: accounts.change_password(dora, "wrong", NEW),
    ):
        with pytest.raises(InputError, match="present password"):
            change()
    for _ in range(3):
        with pytest.raises(InputError):
            accounts.change_password(dora, "wrong", NEW)
    with pytest.raises(TooManyAttempts):
        accounts.change_password(dora, OLD, NEW)


@pytest.mark.parametrize(("setting", "invited", "alone"), [("open", 1, 1), ("invite", 1, 0), ("off", 0, 0)])
def test_registration_is_as_open_as_it_is_set(monkeypatch, setting, invited, alone):
    configure(monkeypatch, REGISTRATION=setting)
    made = 0
    secret = members.invite(1000, 1, "new@example.com", "viewer", by_mail=False)
    for email, invite, allowed in (("new@example.com", secret, invited), ("other@example.com", None, alone)):
        if allowed:
            user_id = links.register(email, "Ann", NEW, invite=invite)
            assert len(accounts.shops_of(user_id)) == (invite is not None)
            made += 1
        else:
            with pytest.raises(NotPermitted, match="by invitation"):
                links.register(email, "Ann", NEW, invite=invite)
    with system_session() as session:
        assert len(session.exec(select(User)).all()) == 3 + made


@pytest.mark.parametrize(
    ("email", "name", "password"),
    [
        ("no address", "Ann", NEW),
        ("a@b.co\x00", "Ann", NEW),
        ("new@example.com", " ", NEW),
        ("new@example.com", "x" * 101, NEW),
        ("new@example.com", "Ann", "short"),
        ("new@example.com", "Ann", "password1234"),
        ("Dora@example.com", "Ann", NEW),
    ],
)
def test_what_cannot_be_an_account_is_answered_with_a_sentence(monkeypatch, email, name, password):
    configure(monkeypatch, REGISTRATION="open")
    with pytest.raises(InputError, match=r"\."):
        links.register(email, name, password, invite=None)


def test_a_failed_registration_leaves_the_invitation(dora):
    secret = members.invite(1000, 1, "dora@elsewhere.example", "viewer", by_mail=False)
    with pytest.raises(InputError):
        links.register("dora@elsewhere.example", "Dora", "short", invite=secret)
    with pytest.raises(InputError, match="is for"):
        links.register("eve@example.com", "Eve", NEW, invite=secret)
    user_id = links.register("dora@elsewhere.example", "Dora", NEW, invite=secret)
    with system_session() as session:
        assert session.get_one(Membership, (user_id, 1)).role == "viewer"


def test_an_invitation_by_e_mail_proves_the_address(mails):
    secret = members.invite(1000, 1, "new@example.com", "viewer", by_mail=True)
    asked = members.invitation(secret)
    assert asked is not None
    links.send_invitation(asked, secret, "Alice")
    ((to, text),) = mails
    assert to == "new@example.com" and "Alice invites you" in text
    assert is_verified(links.register("new@example.com", "Ann", NEW, invite=secret_in(text, "invite")))


def test_links_in_e_mails_never_follow_the_address_a_visitor_asked_for(monkeypatch):
    assert links.link("reset", "s", "http://localhost:8501/") == "http://localhost:8501/?reset=s"
    configure(monkeypatch, APP_URL="https://numbers.example/below/")
    assert links.link("reset", "s", "https://evil.example") == "https://numbers.example/below/?reset=s"
    configure(monkeypatch, APP_URL="", SMTP_HOST="mail.example")
    assert not get_settings().sends_links
