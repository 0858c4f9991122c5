"""For how long a store keeps what: who may say so, within which bounds, written down, and kept to at night."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from core.auth import audit, privacy
from core.auth.privacy import Retention
from core.auth.roles import ROLES, may
from core.db import privacy as forgetting
from core.db.engine import shop_session, system_session
from core.db.models import AuditEvent, Customer, Shop
from core.errors import InputError, NotPermitted
from tests.factories import add_shop, add_user, at

ALWAYS = {"since": at("2020-01-01"), "until": at("2100-01-01")}
BY_ROLE = {role: number for number, role in enumerate(ROLES, 1)}
CHARLIE = 9
DEFAULT = Retention(730, 90, None)
WANTED = Retention(365, 30, 400)


@pytest.fixture(autouse=True)
def cast(database: Engine) -> None:
    """Shop 1 has a member of each role, shop 2 is Charlie's."""
    add_shop(1)
    add_shop(2)
    for role, user_id in BY_ROLE.items():
        add_user(user_id, f"{role}@one.example", 1, role=role)
    add_user(CHARLIE, "charlie@two.example", 2)


def kept(shop_id: int) -> Retention:
    with system_session() as session:
        shop = session.get_one(Shop, shop_id)
        return Retention(shop.keep_audit_days, shop.keep_quarantine_days, shop.keep_personal_days)


@pytest.mark.parametrize("role", ROLES)
def test_the_days_are_seen_and_set_by_those_who_may_and_by_nobody_else(role: str):
    user_id = BY_ROLE[role]
    if may(role, "keep_data"):
        assert privacy.retention_of(user_id, 1) == DEFAULT
        privacy.set_retention(user_id, 1, WANTED)
        assert privacy.retention_of(user_id, 1) == WANTED and kept(2) == DEFAULT
    else:
        for refused in (lambda: privacy.retention_of(user_id, 1), lambda: privacy.set_retention(user_id, 1, WANTED)):
            with pytest.raises(NotPermitted, match="how long its data is kept"):
                refused()
        assert kept(1) == DEFAULT
    for user_id in (CHARLIE, 12345):
        with pytest.raises(NotPermitted, match="not among yours"):
            privacy.set_retention(user_id, 1, WANTED)
        with pytest.raises(NotPermitted, match="not among yours"):
            privacy.retention_of(user_id, 1)


def test_a_change_is_an_event_that_says_from_what_to_what_and_no_change_is_none():
    privacy.set_retention(BY_ROLE["admin"], 1, WANTED, address="192.0.2.7")
    privacy.set_retention(BY_ROLE["admin"], 1, WANTED)
    (event,) = audit.events(1, **ALWAYS)
    assert (event.action, event.actor, event.address) == ("store_settings", "admin@one.example", "192.0.2.7")
    assert event.target == "kept: audit_days 730 to 365, quarantine_days 90 to 30, personal_days always to 400"
    privacy.set_retention(BY_ROLE["admin"], 1, Retention(365, 30, None))
    assert audit.events(1, **ALWAYS)[0].target == "kept: personal_days 400 to always"


@pytest.mark.parametrize(
    "wanted",
    [
        Retention(days, 90, None) for days in (-1, 0, 1, 89, 3651, 10**9)
    ] + [Retention(730, days, None) for days in (-1, 0, 6, 731)]
    + [Retention(730, 90, days) for days in (-1, 0, 29, 3651)],
)  # fmt: skip
def test_days_out_of_bounds_are_refused_and_nothing_changes(wanted: Retention):
    with pytest.raises(InputError, match=r"can be kept for \d+ to [\d,]+ days"):
        privacy.set_retention(BY_ROLE["owner"], 1, wanted)
    assert kept(1) == DEFAULT and audit.events(1, **ALWAYS) == []


def test_days_that_stand_out_of_bounds_already_do_not_keep_the_others_from_changing():
    with system_session(write=True) as session:
        session.get_one(Shop, 1).keep_audit_days = 5
    privacy.set_retention(BY_ROLE["owner"], 1, Retention(5, 30, None))
    assert kept(1) == Retention(5, 30, None)


def test_the_night_keeps_to_the_days_that_were_set():
    now = datetime.now(UTC)
    for shop_id in (1, 2):
        with shop_session(shop_id, write=True) as session:
            session.add(Customer(shop_id=shop_id, id=1, name="Ann", updated_at=now - timedelta(days=401)))
            session.add(AuditEvent(at=now - timedelta(days=366), actor="x", shop_id=shop_id, action="export"))
    assert forgetting.forget_old(now)["audit_event"] == 0
    privacy.set_retention(BY_ROLE["owner"], 1, WANTED)
    counts = forgetting.forget_old(now)
    assert (counts["customer"], counts["audit_event"]) == (1, 1)
    for shop_id, name in ((1, None), (2, "Ann")):
        with shop_session(shop_id) as session:
            assert session.get_one(Customer, (shop_id, 1)).name == name
