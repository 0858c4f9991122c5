"""Account, Team and Audit, and what links lead to, as Streamlit runs them: for each role, and for Charlie."""

import re
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.auth import accounts, audit, keys, links, members, privacy, second_factor, sessions, tickets
from core.auth.roles import ROLES, may
from core.auth.tickets import digest
from core.config import get_settings
from core.db.engine import system_session
from core.db.models import Membership, Shop, User
from core.errors import AppError
from core.sync.connect import ShopFacts, connect_shop
from core.sync.jobs import sync_status
from core.ui import audit_view, security, team
from tests import factories as make
from tests.test_pages import ROUTER, open_page, words
from tests.test_sign_in import fill_in, is_form, open_app, scripts, ticket_in

OWNER, ADMIN, ANALYST, VIEWER, CHARLIE = 1, 2, 3, 4, 5
BY_ROLE = dict(zip(ROLES, (OWNER, ADMIN, ANALYST, VIEWER), strict=True))
# Imported before a test pretends that everybody may do everything, else they would keep believing it.
IMPORTED = (audit_view, security, team)
PASSWORD, NEW = "a long sentence as password", "another sentence, quite long"


@pytest.fixture(autouse=True)
def cast(sqlite: Engine) -> None:
    """Shop 1 has a member of each role, shop 2 is Charlie's."""
    make.add_shop(1, domain="alice.myshopify.com", name="Harbor")
    make.add_shop(2, domain="charlie.myshopify.com", name="Kiosk")
    for role, user_id in BY_ROLE.items():
        make.add_user(user_id, f"{role}@example.com", 1, role=role)
    make.add_user(CHARLIE, "charlie@example.com", 2)


def role_of(user_id: int, shop_id: int = 1) -> str | None:
    with system_session() as session:
        membership = session.get(Membership, (user_id, shop_id))
        return membership.role if membership else None


@pytest.mark.parametrize("role", ROLES)
def test_team_and_audit_open_for_those_who_may_and_for_nobody_else(role):
    for page, action in (("team.py", "manage_team"), ("audit.py", "view_audit")):
        if may(role, action):
            at = open_page(page, BY_ROLE[role])
            assert at.title[0].value == page.removesuffix(".py").capitalize() and not at.error
        else:
            with pytest.raises(ValueError, match=page):
                open_page(page, BY_ROLE[role])


@pytest.mark.parametrize("page", ["team.py", "audit.py"])
@pytest.mark.parametrize("role", ["analyst", "viewer"])
def test_the_pages_refuse_by_themselves_where_the_menu_would_not(role, page, monkeypatch):
    monkeypatch.setattr("core.auth.roles.may", lambda *_: True)
    at = open_page(page, BY_ROLE[role])
    assert "you may not" in at.error[0].value
    assert not (at.title or at.dataframe or at.main.button or at.main.text_input)


@pytest.mark.parametrize("role", ROLES)
def test_buttons_that_a_role_may_not_press_are_not_there_and_do_nothing_when_forced(role, monkeypatch):
    at = open_page("sync.py", BY_ROLE[role])
    assert ("sync_now" in {button.key for button in at.button}) is may(role, "sync_now")
    monkeypatch.setattr("core.auth.roles.may", lambda *_: True)
    forced = open_page("sync.py", BY_ROLE[role])
    forced.button(key="sync_now").click().run()
    assert sync_status(1).requested is (role != "viewer")
    assert bool(forced.error) is (role == "viewer")
    assert not sync_status(2).requested


@pytest.mark.parametrize("page", ["team.py", "audit.py", "account.py"])
def test_charlie_sees_nothing_of_a_store_of_others(page):
    audit.record("owner@example.com", "export", shop_id=1, target="secret_file")
    at = open_page(page, CHARLIE, {"shop": "alice.myshopify.com", "shop_id": 1}, shop="alice.myshopify.com")
    everything = words(at) + " ".join(table.value.to_string() for table in at.dataframe)
    everything += " ".join(str(box.options) for box in at.selectbox)
    for theirs in ("Harbor", "owner@example", "viewer@example", "secret_file"):
        assert theirs not in everything


def test_an_invitation_is_made_shown_once_and_taken():
    at = open_page("team.py", ADMIN)
    at.text_input(key="invite_email").set_value("new@example.com")
    at.selectbox(key="invite_role").set_value("analyst")
    press(at, "Make a link")
    (shown,) = [code.value for code in at.code]
    secret = re.search(r"\?invite=([\w-]{43})$", shown)
    assert secret
    assert "new@example.com" in words(at)
    assert not at.run().code
    visitor = open_link(invite=secret[1])
    assert "invite" not in visitor.query_params
    assert "You are invited to **Harbor** as analyst" in words(visitor)
    register(visitor, "Ann", "Lee", "new@example.com", NEW)
    ticket = tickets.redeem(ticket_in(visitor), sessions.COOKIE_TICKET)
    assert ticket is not None and ticket.user_id is not None
    assert role_of(ticket.user_id) == "analyst"
    assert accounts.verify("new@example.com", NEW) == ticket.user_id


def press(at: AppTest, label: str) -> AppTest:
    return next(button for button in at.button if button.label == label).click().run()


def open_link(**query: str) -> AppTest:
    """The app as a visitor opens it by a link."""
    at = AppTest.from_file(ROUTER, default_timeout=120)
    at.query_params.update(query)
    return at.run()


def register(at: AppTest, *typed: str) -> AppTest:
    for field, text in zip(at.text_input, (*typed, typed[-1]), strict=True):
        field.set_value(text)
    return press(at, "Create the account")


def test_an_admin_is_offered_no_owner_and_changes_none():
    at = open_page("team.py", ADMIN)
    assert "Owner" not in at.selectbox(key="invite_role").options
    at.selectbox(key="change_member").set_value(OWNER).run()
    at.selectbox(key=f"change_role_{OWNER}").set_value("viewer").run()
    at.button(key="save_role").click().run()
    assert "you may not make or change owners" in at.error[0].value
    at.button(key="remove_member").click().run()
    assert role_of(OWNER) == "owner"


def test_an_owner_changes_a_role_and_removes_a_member():
    at = open_page("team.py", OWNER)
    at.selectbox(key="change_member").set_value(VIEWER).run()
    at.selectbox(key=f"change_role_{VIEWER}").set_value("analyst").run()
    at.button(key="save_role").click().run()
    assert role_of(VIEWER) == "analyst" and "saved" in at.success[0].value
    at.selectbox(key="change_member").set_value(ANALYST).run()
    at.button(key="remove_member").click().run()
    assert role_of(ANALYST) is None and not at.exception


def test_the_last_owner_is_told_why_they_stay():
    at = open_page("team.py", OWNER)
    at.selectbox(key="change_member").set_value(OWNER).run()
    at.button(key="remove_member").click().run()
    assert "needs an owner" in at.error[0].value


def test_a_link_for_a_new_password_is_handed_over_and_works():
    user_id = accounts.add_user("dora@example.com", "Dora", PASSWORD)
    with system_session(write=True) as session:
        accounts.grant(session, user_id, 1, "viewer")
    at = open_page("team.py", OWNER)
    at.selectbox(key="change_member").set_value(user_id).run()
    at.button(key="reset_member").click().run()
    secret = at.code[0].value.rpartition("=")[2]
    visitor = open_link(reset=secret)
    assert "reset" not in visitor.query_params
    visitor.text_input(key="new_password").set_value(NEW)
    visitor.text_input(key="new_password_again").set_value(NEW + "x")
    press(visitor, "Save")
    assert "differ" in visitor.error[0].value
    visitor.text_input(key="new_password").set_value(NEW)
    visitor.text_input(key="new_password_again").set_value(NEW)
    press(visitor, "Save")
    assert "is saved" in visitor.success[0].value
    assert accounts.verify("dora@example.com", NEW) == user_id


@pytest.mark.parametrize("purpose", ["invite", "reset", "verify"])
@pytest.mark.parametrize("secret", ["", "x", "x" * 5000, "<script>"])
def test_a_link_that_is_worth_nothing_says_so(purpose, secret):
    at = open_link(**{purpose: secret})
    assert not at.exception
    if purpose == "verify":
        at.button(key="confirm_email").click().run()
    elif purpose == "reset":
        at.text_input(key="new_password").set_value(NEW)
        at.text_input(key="new_password_again").set_value(NEW)
        press(at, "Save")
    assert "used already" in at.error[0].value
    at.button(key="back").click().run()
    assert is_form(at)


def test_who_is_signed_in_joins_by_the_link():
    secret = members.invite(OWNER, 1, "charlie@example.com", "viewer", by_mail=False)
    at = open_page("overview.py", CHARLIE, invite=secret)
    assert "invite" not in at.query_params
    assert role_of(CHARLIE) is None
    at.button(key="join").click().run()
    assert role_of(CHARLIE) == "viewer"


def test_an_invitation_for_somebody_else_is_not_taken():
    secret = members.invite(OWNER, 1, "somebody@example.com", "owner", by_mail=False)
    at = open_page("overview.py", CHARLIE, invite=secret)
    at.button(key="join").click().run()
    assert "is for" in at.error[0].value and role_of(CHARLIE) is None


@pytest.mark.parametrize(("setting", "offered"), [("open", True), ("invite", False), ("off", False)])
def test_the_form_for_an_account_is_offered_where_registration_is_open(setting, offered, monkeypatch):
    monkeypatch.setenv("REGISTRATION", setting)
    get_settings.cache_clear()
    at = open_app()
    assert ("register" in {button.key for button in at.button}) is offered
    at.session_state["kept_way"] = "register"
    at.run()
    assert (len(at.text_input) == 5) is offered
    if offered:
        register(at, "Ann", "Lee", "new@example.com", "short")
        assert "12 to 128" in at.error[0].value
        register(at, "Ann", "Lee", "new@example.com", NEW)
        assert ticket_in(at)


def test_forgot_the_password_answers_alike_for_everybody(monkeypatch):
    assert "An owner of your store can make a link" in words(open_app())
    sent: list[str] = []
    monkeypatch.setattr(links, "send_mail", lambda to, *_: sent.append(to))
    monkeypatch.setattr(links, "_later", lambda work: work())
    monkeypatch.setenv("SMTP_HOST", "mail.example")
    monkeypatch.setenv("APP_URL", "https://numbers.example")
    get_settings.cache_clear()
    answers = set()
    for email in ("owner@example.com", "nobody@example.com", "", "no address"):
        at = open_app()
        at.button(key="forgot").click().run()
        at.text_input(key="forgot_email").set_value(email)
        press(at, "Send a link")
        answers.add((at.success[0].value, len(at.error)))
    assert len(answers) == 1 and sent == ["owner@example.com"]


@pytest.fixture
def dora() -> int:
    """Dora knows her password and looks at shop 1."""
    user_id = accounts.add_user("dora@example.com", "Dora", PASSWORD)
    with system_session(write=True) as session:
        accounts.grant(session, user_id, 1, "viewer")
    return user_id


def test_the_second_factor_is_set_up_and_asked_for_and_each_code_counts_once(dora):
    at = open_page("account.py", dora)
    at.button(key="second_factor_start").click().run()
    secret = next(code.value for code in at.code if re.fullmatch("[A-Z2-7]{32}", code.value))
    at.text_input(key="setup_code").set_value("000000")
    press(at, "Switch on")
    assert "not right" in at.error[0].value and not second_factor.is_on(dora)
    at.text_input(key="setup_code").set_value(pyotp.TOTP(secret).now())
    press(at, "Switch on")
    codes = at.code[0].value.split("\n")
    assert len(codes) == 10
    at.button(key="codes_kept").click().run()
    assert not any(codes[0] in code.value for code in at.code)
    visitor = fill_in(open_app(), "dora@example.com", PASSWORD)
    assert "ticket:" not in scripts(visitor) and not visitor.metric
    visitor.text_input(key="second_factor_code").set_value("000000")
    press(visitor, "Sign in")
    assert "not right" in visitor.error[0].value and "ticket:" not in scripts(visitor)
    visitor.text_input(key="second_factor_code").set_value(codes[0])
    press(visitor, "Sign in")
    assert ticket_in(visitor)
    again = fill_in(open_app(), "dora@example.com", PASSWORD)
    again.text_input(key="second_factor_code").set_value(codes[0])
    press(again, "Sign in")
    assert "ticket:" not in scripts(again)


def test_the_step_after_the_password_does_not_wait_for_ever_and_ends_with_a_change_of_password(dora, monkeypatch):
    secret = second_factor.new_secret()
    codes = second_factor.switch_on(dora, secret, pyotp.TOTP(secret).now())
    at = fill_in(open_app(), "dora@example.com", PASSWORD)
    accounts.set_password(dora, NEW)
    at.text_input(key="second_factor_code").set_value(codes[0])
    press(at, "Sign in")
    assert "ticket:" not in scripts(at)
    monkeypatch.setattr("core.ui.session._SECOND_FACTOR_TIME", timedelta(seconds=-1))
    assert is_form(fill_in(open_app(), "dora@example.com", NEW))


def test_a_store_that_needs_a_second_factor_shows_nothing_without_it(dora):
    with system_session(write=True) as session:
        session.get_one(Shop, 1).needs_second_factor = True
    for page in ("overview.py", "sync.py", "customers.py"):
        at = open_page(page, dora)
        assert at.title[0].value == "One more step" and not (at.metric or at.dataframe)
    with system_session(write=True) as session:
        session.get_one(User, dora).totp_secret = "sealed"
    assert open_page("sync.py", dora).title[0].value == "Sync"


def test_the_password_changes_with_the_old_one_and_signs_out(dora):
    at = open_page("account.py", dora)
    for old, new, again, said in (
        ("wrong", NEW, NEW, "present password"),
        (PASSWORD, NEW, NEW + "x", "differ"),
        (PASSWORD, "short", "short", "12 to 128"),
    ):
        type_passwords(at, old, new, again)
        assert said in at.error[0].value
    type_passwords(at, PASSWORD, NEW, NEW)
    assert at.title[0].value == "Shoptally"
    assert accounts.verify("dora@example.com", NEW) == dora


def type_passwords(at: AppTest, old: str, new: str, again: str) -> None:
    at.text_input(key="old_password").set_value(old)
    at.text_input(key="account_password").set_value(new)
    at.text_input(key="account_password_again").set_value(again)
    press(at, "Change the password")


def test_name_and_address_change(dora):
    at = open_page("account.py", dora)
    at.text_input(key="account_name").set_value("Dora **Bold**")
    press(at, "Save the name")
    at.text_input(key="account_email").set_value("dora@new.example")
    at.text_input(key="email_password").set_value(PASSWORD)
    press(at, "Change the e-mail address")
    found = accounts.account(dora)
    assert found is not None and (found.name, found.email) == ("Dora **Bold**", "dora@new.example")


def test_another_session_is_ended_and_nobody_elses_shown(dora):
    there = digest(sessions.start(dora, "192.0.2.7", "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"))
    foreign = digest(sessions.start(CHARLIE, "198.51.100.9", None))
    at = open_page("account.py", dora)
    assert "Firefox on Windows" in words(at) and "198.51.100.9" not in words(at)
    assert f"end_{foreign[:16]}" not in {button.key for button in at.button}
    at.button(key=f"end_{there[:16]}").click().run()
    assert sessions.check(there) is None and sessions.check(foreign) is not None
    assert at.title[0].value == "Account"


def test_a_key_is_made_shown_once_and_revoked():
    at = open_page("account.py", ANALYST)
    at.text_input(key="key_name").set_value("Spreadsheet")
    press(at, "Make a key")
    secret = at.code[0].value
    assert keys.verify(secret) is not None
    assert not any(secret in code.value for code in at.run().code)
    press(at, "Revoke")
    assert keys.verify(secret) is None


def test_a_viewer_is_offered_no_key():
    assert "key_name" not in {field.key for field in open_page("account.py", VIEWER).text_input}


def test_the_audit_list_is_filtered_by_action():
    for action in ("export", "invite"):
        audit.record("owner@example.com", action, shop_id=1, target=f"of {action}")
    at = open_page("audit.py", OWNER)
    assert {"of export", "of invite"} <= set(at.dataframe[0].value["Of what"])
    at.selectbox(key="audit_action").set_value("export").run()
    assert list(at.dataframe[0].value["What"]) == ["Exported"]


def test_the_demos_users_are_told_that_they_stay():
    with system_session(write=True) as session:
        session.get_one(User, OWNER).demo_password = "sealed"
    at = open_page("account.py", OWNER)
    assert "belongs to everybody" in at.info[0].value
    assert "old_password" not in {field.key for field in at.text_input}


def test_an_owner_deletes_a_store_by_typing_its_name(monkeypatch):
    at = open_page("stores.py", OWNER)
    at.text_input(key="delete_name").set_value("Kiosk")
    at.button(key="delete_store").click().run()
    assert "Nothing was deleted" in at.error[0].value
    at.text_input(key="delete_name").set_value("Harbor")
    at.button(key="delete_store").click().run()
    assert "is deleted" in at.success[0].value
    assert accounts.shops_of(OWNER) == () and len(accounts.shops_of(CHARLIE)) == 1


@pytest.mark.parametrize("role", ROLES[1:])
def test_nobody_but_an_owner_deletes_a_store_even_with_the_button(role, monkeypatch):
    assert "delete_store" not in {button.key for button in open_page("stores.py", BY_ROLE[role]).button}
    monkeypatch.setattr("core.auth.roles.may", lambda *_: True)
    at = open_page("stores.py", BY_ROLE[role])
    at.text_input(key="delete_name").set_value("Harbor")
    at.button(key="delete_store").click().run()
    assert "you may not delete it" in at.error[-1].value
    assert len(accounts.shops_of(OWNER)) == 1


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_who_may_connect_a_store_disconnects_it_and_its_data_stays(role):
    at = open_page("stores.py", BY_ROLE[role])
    at.button(key="disconnect_store").click().run()
    assert "is disconnected" in at.success[0].value and not at.exception
    assert at.dataframe[0].value["Problem"][0].startswith("Disconnected")
    assert "disconnect_store" not in {button.key for button in at.button}
    assert sync_status(1).disconnected and not sync_status(2).disconnected
    [event] = [each for each in audit_events() if each.action == "store_disconnect"]
    assert (event.actor, event.target) == (f"{role}@example.com", "alice.myshopify.com")


@pytest.mark.parametrize("role", ["analyst", "viewer"])
def test_nobody_else_disconnects_a_store_or_sets_its_days_even_with_the_buttons(role, monkeypatch):
    shown = open_page("stores.py", BY_ROLE[role])
    assert not {"disconnect_store", "save_retention"} & {button.key for button in shown.button}
    monkeypatch.setattr("core.auth.roles.may", lambda *_: True)
    at = open_page("stores.py", BY_ROLE[role])
    assert "how long its data is kept" in at.error[0].value
    assert "save_retention" not in {button.key for button in at.button}
    at.button(key="disconnect_store").click().run()
    assert "you may not connect or disconnect it" in at.error[1].value
    assert not sync_status(1).disconnected and {event.action for event in audit_events()} == {"sign_in"}


def test_a_disconnected_store_says_so_on_its_pages_and_cannot_be_synced():
    before = open_page("sync.py", OWNER)
    open_page("stores.py", OWNER).button(key="disconnect_store").click().run()
    for page in ("sync.py", "overview.py"):
        at = open_page(page, OWNER)
        assert "access token is forgotten" in at.warning[0].value and "Disconnected" in words(at)
        assert not at.error and not any("Press Sync now" in info.value for info in at.info)
    at = open_page("sync.py", OWNER)
    assert at.button(key="sync_now").disabled and at.button(key="full_refresh").disabled
    before.button(key="sync_now").click().run()  # on a page from before
    assert not before.exception
    assert not sync_status(1).requested


def test_the_days_are_shown_and_set_and_never_is_a_choice_for_names():
    at = open_page("stores.py", ADMIN)
    assert [at.number_input(key=f"keep_{name}").value for name in ("audit_1_730", "quarantine_1_90")] == [730, 90]
    assert at.toggle(key="keep_personal_ends_1_None").value is False
    assert at.button(key="save_retention").disabled
    at.number_input(key="keep_audit_1_730").set_value(365)
    at.toggle(key="keep_personal_ends_1_None").set_value(True).run()
    at.number_input(key="keep_personal_1_730").set_value(400).run()
    at.button(key="save_retention").click().run()
    assert "Saved" in at.success[0].value and not at.exception
    assert privacy.retention_of(OWNER, 1) == privacy.Retention(365, 90, 400)
    assert privacy.retention_of(CHARLIE, 2) == privacy.Retention(730, 90, None)
    at = open_page("stores.py", OWNER)
    assert at.number_input(key="keep_personal_1_400").value == 400
    at.toggle(key="keep_personal_ends_1_400").set_value(False).run()
    at.button(key="save_retention").click().run()
    assert privacy.retention_of(OWNER, 1).personal_days is None
    assert "forgotten after 365 days" in words(open_page("audit.py", OWNER))


def test_a_demo_store_keeps_its_days_and_its_connection():
    with system_session(write=True) as session:
        session.get_one(Shop, 1).is_demo = True
    keys_shown = {button.key for button in open_page("stores.py", OWNER).button}
    assert not {"disconnect_store", "save_retention"} & keys_shown
    with pytest.raises(AppError, match="belongs to everybody"):
        privacy.set_retention(OWNER, 1, privacy.Retention(90, 90, None))


def test_the_download_of_the_audit_list_is_an_event_of_it():
    audit.record("owner@example.com", "invite", shop_id=1)
    at = open_page("audit.py", ADMIN)
    at.download_button(key="audit_download").click().run()
    assert at.dataframe[0].value["What"][0] == "Exported"
    [event] = [each for each in audit_events() if each.action == "export"]
    assert event.actor == "admin@example.com" and re.fullmatch(r"alice_audit_[\d-]{10}\.csv", event.target)
    assert [each.action for each in audit_events(2)] == []


def audit_events(shop_id: int = 1) -> list[audit.Event]:
    return audit.events(shop_id, since=make.at("2020-01-01"), until=make.at("2100-01-01"))


@pytest.mark.parametrize("role", ROLES)
def test_a_connected_store_is_connected_anew_by_those_who_may(role):
    now = make.at("2026-01-01")
    facts = ShopFacts(
        1, "alice.myshopify.com", "Harbor", "USD", "America/New_York", False, "", frozenset({"read_orders"}), (), now
    )
    if may(role, "connect_store"):
        assert connect_shop(facts, "shpat_new", owner_user_id=BY_ROLE[role], personal_data=False) == 1
    else:
        with pytest.raises(AppError, match="connected already"):
            connect_shop(facts, "shpat_new", owner_user_id=BY_ROLE[role], personal_data=False)
    with pytest.raises(AppError, match="connected already"):
        connect_shop(facts, "shpat_new", owner_user_id=CHARLIE, personal_data=False)
