"""The audit list: what is written stays, and each shop reads its own."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy import exc as sa_exc

from core.auth import audit
from core.db import privacy
from core.db.engine import shop_session, system_session
from core.db.isolation import KEEP_AUDIT_DAYS
from core.db.models import AuditEvent, Shop
from tests.factories import add_shop, add_user, at

pytestmark = pytest.mark.usefixtures("database")
ALWAYS = {"since": at("2020-01-01"), "until": at("2100-01-01")}


@pytest.fixture(autouse=True)
def cast(database: Engine) -> None:
    """Alice owns shop 1, Charlie shop 2."""
    for shop_id, user_id, email in ((1, 1, "alice@one.example"), (2, 3, "charlie@two.example")):
        add_shop(shop_id)
        add_user(user_id, email, shop_id)


def test_a_shop_reads_its_own_events_the_newest_first():
    audit.record("alice@one.example", "export", shop_id=1, target="orders", address="192.0.2.7")
    audit.record("charlie@two.example", "export", shop_id=2)
    audit.record("alice@one.example", "key_made", shop_id=1, result="refused")
    newest, oldest = audit.events(1, **ALWAYS)
    assert (newest.action, newest.result) == ("key_made", "refused")
    assert (oldest.actor, oldest.target, oldest.address) == ("alice@one.example", "orders", "192.0.2.7")
    assert [event.actor for event in audit.events(2, **ALWAYS)] == ["charlie@two.example"]


def test_sign_ins_show_where_their_user_is_a_member():
    audit.record("alice@one.example", "sign_in")
    audit.record("mallory@else.example", "sign_in_failed")
    assert [event.action for event in audit.events(1, **ALWAYS)] == ["sign_in"]
    assert audit.events(2, **ALWAYS) == []


def test_events_are_found_by_time_and_action_and_limited():
    before = datetime.now(UTC)
    for action in ("export", "invite", "export"):
        audit.record("alice@one.example", action, shop_id=1)
    after = datetime.now(UTC) + timedelta(seconds=1)
    assert len(audit.events(1, since=before, until=after)) == 3
    assert len(audit.events(1, since=before, until=after, limit=2)) == 2
    assert len(audit.events(1, since=before, until=after, action="export")) == 2
    assert audit.events(1, since=after, until=after + timedelta(days=1)) == []
    assert audit.events(1, since=before - timedelta(days=1), until=before) == []


def test_an_event_is_rolled_back_with_what_it_tells_of():
    with pytest.raises(ZeroDivisionError), system_session(write=True) as session:
        audit.record("alice@one.example", "role_change", shop_id=1, session=session)
        raise ZeroDivisionError
    assert audit.events(1, **ALWAYS) == []
    with system_session(write=True) as session:
        audit.record("alice@one.example", "role_change", shop_id=1, session=session)
    assert len(audit.events(1, **ALWAYS)) == 1


def test_an_action_that_is_not_registered_is_refused():
    with pytest.raises(ValueError, match="ACTIONS"):
        audit.record("alice@one.example", "something", shop_id=1)


def test_a_spreadsheet_runs_nothing_of_the_csv():
    audit.record("=cmd()", "invite", shop_id=1, target='+1,"quoted"', address="@x")
    rows = list(csv.reader(StringIO(audit.as_csv(audit.events(1, **ALWAYS)))))
    assert rows[0] == ["at", "actor", "action", "target", "address", "result"]
    assert rows[1][1:] == ["'=cmd()", "invite", '\'+1,"quoted"', "'@x", "ok"]


@pytest.mark.parametrize(
    "statement", [update(AuditEvent).values(actor="nobody"), delete(AuditEvent)], ids=["update", "delete"]
)
@pytest.mark.parametrize(
    "session_of", [system_session, lambda **_: shop_session(1, write=True)], ids=["system", "shop"]
)
def test_an_event_can_be_neither_changed_nor_deleted(statement, session_of):
    audit.record("alice@one.example", "export", shop_id=1)
    with pytest.raises(sa_exc.DBAPIError, match="permission denied|cannot be"), session_of(write=True) as session:
        session.execute(statement, execution_options={"synchronize_session": False})
    assert [event.actor for event in audit.events(1, **ALWAYS)] == ["alice@one.example"]


def test_retention_forgets_events_when_their_days_are_over():
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        session.get_one(Shop, 1).keep_audit_days = 10
        for shop_id, days in ((1, 9), (1, 11), (2, 11), (None, 11), (None, KEEP_AUDIT_DAYS + 1)):
            session.add(AuditEvent(at=now - timedelta(days=days), actor="x", shop_id=shop_id, action="export"))
    assert privacy.forget_old(now)["audit_event"] == 2
    assert privacy.forget_old(now)["audit_event"] == 0
    with system_session() as session:
        kept = session.execute(select(AuditEvent.shop_id, func.count()).group_by(AuditEvent.shop_id)).all()
    assert sorted(map(tuple, kept), key=str) == [(1, 1), (2, 1), (None, 1)]
