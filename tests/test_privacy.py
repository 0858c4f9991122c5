"""Forgetting: a customer, a store, what is old; and what must never be written to a log."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core import __main__ as command_line
from core import log
from core.analytics.period import Period
from core.analytics.report import as_json, report
from core.auth import accounts, audit, privacy
from core.db import ledger, upsert
from core.db import privacy as forgetting
from core.db.engine import shop_session, system_session
from core.db.models import (
    AuthSession,
    AuthTicket,
    Customer,
    CustomerTotals,
    LoginAttempt,
    Order,
    PrivacyRequest,
    QuarantinedRow,
    Shop,
)
from core.db.rollups import rebuild_all
from core.errors import InputError, LeaseLost, UnknownShop
from core.sync import jobs, lease, scheduler
from core.sync.resources import customers
from core.sync.streams import NAMES as STREAMS
from tests import every_table
from tests.demo_sync import ALICE, add_demo_shops, stage_demo, sync
from tests.factories import add_shop, add_user, agreement, at, context, order, sale, stamp, store_orders

NOON = at("2026-06-10T16:00")
JUNE = Period(NOON.date().replace(day=1), NOON.date().replace(day=30))


def customer(number: int, name: str, updated_at: datetime = NOON) -> dict[str, object]:
    return {
        "id": f"gid://shopify/Customer/{number}",
        "createdAt": stamp(NOON),
        "updatedAt": stamp(updated_at),
        "state": "ENABLED",
        "displayName": name,
        "defaultEmailAddress": {"emailAddress": f"{name.lower()}@mail.example"},
    }


def store_customers(shop_id: int, *documents: dict[str, object]) -> None:
    with shop_session(shop_id, write=True) as session:
        customers.store(session, context(shop_id), documents)


def stored(shop_id: int, number: int) -> Customer:
    with shop_session(shop_id) as session:
        return session.get_one(Customer, (shop_id, number))


def figures(shop_id: int) -> object:
    with shop_session(shop_id) as session:
        return as_json(report(session, JUNE, "day", 10), "a", "USD", "UTC")


@pytest.fixture
def shops(database: Engine) -> None:
    """Two shops with the same orders: of Ann (customer 1), Ben (customer 2), and a guest."""
    for shop_id in (1, 2):
        shop = add_shop(shop_id)
        store_customers(shop_id, customer(1, "Ann"), customer(2, "Ben"))
        bought = [agreement(NOON, sale(amount)) for amount in ("10.0", "20.0", "30.0", "40.0")]
        store_orders(
            shop,
            order(1, NOON, bought[0], customer=1),
            order(2, NOON, bought[1], customer=2),
            order(3, NOON, bought[2], customer=None, email="Ann@mail.example"),
            order(4, NOON, bought[3], customer=None, email="other@mail.example"),
        )


@pytest.mark.usefixtures("shops")
def test_a_redacted_customer_has_no_name_and_every_amount_stays():
    before = figures(1)
    privacy.redact_customer(1, 1)
    ann = stored(1, 1)
    assert (ann.name, ann.email, ann.fingerprint) == (None, None, "")
    assert ann.redacted_at is not None
    assert stored(1, 2).name == "Ben"
    assert stored(2, 1).name == "Ann", "the same number in another shop is another customer"
    after = str(figures(1)).replace("None", "'Ann'")
    assert after == str(before).replace("None", "'Ann'")


@pytest.mark.usefixtures("shops")
def test_no_later_sync_fills_a_redacted_customer_again():
    privacy.redact_customer(1, 1)
    for later in (0, 1, 1):
        store_customers(1, customer(1, "Ann", NOON + timedelta(days=later)), customer(2, "Ben"))
        assert (stored(1, 1).name, stored(1, 1).email) == (None, None)
    with shop_session(1, write=True) as session:
        again = customers.store(session, context(1), [customer(1, "Ann", NOON + timedelta(days=1))])
    assert again.unchanged == 1, "and it costs no write"


@pytest.mark.usefixtures("shops")
def test_a_customer_redacted_before_the_first_sync_never_gets_a_name():
    privacy.redact_customer(1, 99)
    store_customers(1, customer(99, "Zoe"))
    assert stored(1, 99).name is None
    assert stored(1, 99).state == "ENABLED"


@pytest.mark.usefixtures("shops")
def test_orders_made_as_a_guest_lose_the_number_made_from_the_address():
    with shop_session(1) as session:
        before = dict(session.exec(select(Order.id, Order.buyer_id)).all())
    figures_before = figures(1)
    counts = privacy.redact_customer(1, 1, email="ann@mail.example")
    with shop_session(1, write=True) as session:
        after = dict(session.exec(select(Order.id, Order.buyer_id)).all())
        rebuilt = {row.buyer_id: row.net_sales for row in session.exec(select(CustomerTotals))}
        assert after[3] != before[3] and after[3] < 0
        assert {key: after[key] for key in (1, 2, 4)} == {key: before[key] for key in (1, 2, 4)}
        rebuild_all(session)
        assert {row.buyer_id: row.net_sales for row in session.exec(select(CustomerTotals))} == rebuilt
    assert (counts["order"], counts["customer_totals"]) == (1, 1)
    assert figures(1)["totals"] == figures_before["totals"]


def guests_order(number: int, paid: str, changed_after: timedelta, **fields: object) -> dict[str, object]:
    """Ann's order as a guest, as Shopify sends it once more after a change."""
    bought = [agreement(NOON, sale(paid))]
    return order(
        number, NOON, *bought, customer=None, email="Ann@mail.example", updated_at=NOON + changed_after, **fields
    )


def buyers(shop_id: int) -> dict[int, int | None]:
    with shop_session(shop_id) as session:
        return dict(session.exec(select(Order.id, Order.buyer_id)).all())


@pytest.mark.usefixtures("shops")
def test_a_redacted_guest_stays_so_when_the_order_comes_again_with_the_address():
    hashed = ledger.buyer_id(None, "ann@mail.example")
    assert buyers(1)[3] == buyers(2)[3] == hashed
    privacy.redact_customer(1, 1, email="ann@mail.example")
    redacted = buyers(1)[3]
    assert redacted is not None and redacted < ledger.REDACTED_BELOW
    for days, paid in ((0, "30.0"), (1, "31.0"), (2, "32.0")):
        for shop_id in (1, 2):
            store_orders(context(shop_id), guests_order(3, paid, timedelta(days=days), name="#3 again"))
        assert (buyers(1)[3], buyers(2)[3]) == (redacted, hashed), "another shop was not asked to forget"
    for shop_id, buyer in ((1, redacted), (2, hashed)):
        with shop_session(shop_id, write=True) as session:
            spent = {row.buyer_id: row.net_sales for row in session.exec(select(CustomerTotals))}
            rebuild_all(session)
            assert {row.buyer_id: row.net_sales for row in session.exec(select(CustomerTotals))} == spent
            assert spent[buyer or 0] == 3200


@pytest.mark.usefixtures("shops")
def test_what_the_guest_orders_after_the_redaction_and_what_a_customer_takes_over_is_no_redacted_order():
    privacy.redact_customer(1, 1, email="ann@mail.example")
    redacted = buyers(1)[3]
    store_orders(context(1), guests_order(9, "5.0", timedelta()))
    assert buyers(1)[9] == ledger.buyer_id(None, "ann@mail.example")
    store_orders(context(1), order(3, NOON, customer=2, updated_at=NOON + timedelta(days=3)))
    assert buyers(1)[3] == 2 != redacted


@pytest.mark.parametrize("email", ["a@b.example", "x" * 200, "\u00e4@b.example"])
def test_no_address_makes_the_number_of_a_redacted_guest(email: str):
    number = ledger.buyer_id(None, email)
    assert number is not None and ledger.REDACTED_BELOW <= number < 0
    assert all(-(2**63) <= ledger.redacted_buyer_id() < ledger.REDACTED_BELOW for _ in range(100))


@pytest.mark.usefixtures("shops")
def test_what_was_set_aside_of_a_redacted_customer_is_forgotten():
    keys = ("customers/1", "orders/1", "customers/2", "orders/2")
    with shop_session(1, write=True) as session:
        row = {"stream": "x", "reason": "Ann", "payload_hash": "", "seen_at": NOON}
        upsert.upsert(session, QuarantinedRow, [{"key": key, **row} for key in keys])
    assert privacy.redact_customer(1, 1)["quarantined_row"] == 2
    with shop_session(1) as session:
        assert set(session.exec(select(QuarantinedRow.key))) == {"customers/2", "orders/2"}


@pytest.mark.usefixtures("shops")
def test_a_request_is_remembered_with_its_term_its_proof_and_an_event():
    received = at("2026-07-01")
    counts = privacy.redact_customer(1, 1, received_at=received)
    with system_session() as session:
        asked = session.exec(select(PrivacyRequest)).one()
        version = session.get_one(Shop, 1).data_version
    assert (asked.kind, asked.customer_id, asked.proof) == ("customers/redact", 1, counts)
    assert asked.due_at == received + timedelta(days=30)
    assert asked.done_at is not None
    assert version == 1, "caches forget"
    (event,) = audit.events(1, since=received - timedelta(days=900), until=datetime.now(UTC) + timedelta(days=1))
    assert (event.action, event.actor, event.target) == ("privacy_request", "Shopify", "customers/redact 1")


def test_a_deleted_store_leaves_no_row_in_any_table_and_others_keep_theirs(shops: None, database: Engine):
    add_user(1, "alice@one.example", 1, 2)
    for shop_id in (1, 2):
        every_table.fill(database, shop_id)
    with system_session(write=True) as session:
        for shop_id in (1, 2):
            details = {"shop_id": shop_id}
            session.add(AuthTicket(hash=f"h{shop_id}", purpose="invite", details=details, expires_at=at("2100-01-01")))
    before, others = every_table.counts(database, 1), every_table.counts(database, 2)
    assert min(before.values()) > 0, "each table holds something of the shop"
    proof = privacy.delete_shop(1, actor="alice@one.example")
    assert set(every_table.counts(database, 1).values()) == {0}
    assert every_table.counts(database, 2) == others
    assert proof == before | {"shop": 1, "auth_ticket": 1}
    with system_session() as session:
        assert session.get(Shop, 1) is None
        assert [ticket.hash for ticket in session.exec(select(AuthTicket))] == ["h2"]
        assert session.exec(select(PrivacyRequest.proof)).one() == proof
    with pytest.raises(UnknownShop):
        privacy.delete_shop(1, actor="alice@one.example")


@pytest.mark.usefixtures("database")
def test_the_id_of_a_deleted_store_never_comes_back():
    ids = []
    for number in (1, 2):
        with system_session(write=True) as session:
            shop = Shop(
                gid=number, domain="one", name="One", currency="USD", time_zone="UTC", token="x", created_at=NOON
            )
            session.add(shop)
            session.flush()
            ids.append(shop.id or 0)
        privacy.delete_shop(ids[-1], actor="x")
    assert ids[0] != ids[1]


@pytest.mark.usefixtures("shops")
def test_a_sync_that_runs_while_the_store_is_deleted_stores_nothing_more():
    jobs.request_sync(1)
    held = lease.claim(1)
    assert held is not None
    privacy.delete_shop(1, actor="x")
    with pytest.raises(LeaseLost), shop_session(1, write=True) as session:
        lease.hold(session, held, STREAMS[0])


@pytest.mark.usefixtures("database")
def test_a_demo_store_is_not_deleted_while_the_demo_is_on():
    add_shop(1, is_demo=True)
    with pytest.raises(InputError, match="DEMO=0"):
        privacy.delete_shop(1, actor="x")


@pytest.mark.usefixtures("shops")
def test_each_store_forgets_by_its_own_days_and_doing_it_twice_changes_nothing():
    now = datetime.now(UTC)
    for shop_id, days in ((1, 30), (2, 400)):
        with system_session(write=True) as session:
            shop = session.get_one(Shop, shop_id)
            shop.keep_quarantine_days = shop.keep_personal_days = days
        store_customers(shop_id, customer(1, "Ann", now - timedelta(days=40)), customer(2, "Ben", now))
        with shop_session(shop_id, write=True) as session:
            rows = [
                {"key": f"orders/{age}", "stream": "orders", "reason": "", "payload_hash": "", "seen_at": now - age}
                for age in (timedelta(days=29), timedelta(days=31))
            ]
            upsert.upsert(session, QuarantinedRow, rows)
    first = forgetting.forget_old(now)
    assert (first["customer"], first["quarantined_row"]) == (1, 1)
    assert set(forgetting.forget_old(now).values()) == {0}
    assert [stored(1, 1).name, stored(1, 2).name, stored(2, 1).name] == [None, "Ben", "Ann"]
    with system_session() as session:
        assert [session.get_one(Shop, 1).data_version, session.get_one(Shop, 2).data_version] == [1, 0]


@pytest.mark.usefixtures("shops")
def test_a_forgotten_customer_is_named_again_only_by_news():
    with system_session(write=True) as session:
        session.get_one(Shop, 1).keep_personal_days = 30
    now = datetime.now(UTC)
    old, new = now - timedelta(days=40), now
    store_customers(1, customer(1, "Ann", old))
    forgetting.forget_old(now)
    store_customers(1, customer(1, "Ann", old))
    assert stored(1, 1).name is None
    store_customers(1, customer(1, "Ann", new))
    assert stored(1, 1).name == "Ann"


@pytest.mark.usefixtures("database")
def test_sign_ins_that_are_over_are_forgotten():
    add_user(1, "alice@one.example")
    now = datetime.now(UTC)
    with system_session(write=True) as session:
        for name, age in (("old", timedelta(days=2)), ("new", timedelta(hours=-2))):
            until = now - age
            session.add(LoginAttempt(key=name, at=until - timedelta(hours=1)))
            session.add(AuthTicket(hash=name, purpose="reset", user_id=1, expires_at=until))
            session.add(
                AuthSession(id_hash=name, user_id=1, token_version=1, created_at=until, seen_at=until, expires_at=until)
            )
    counts = forgetting.forget_old(now)
    assert [counts[name] for name in ("login_attempt", "auth_ticket", "auth_session")] == [1, 1, 1]
    with system_session() as session:
        for column in (LoginAttempt.key, AuthTicket.hash, AuthSession.id_hash):
            assert list(session.exec(select(column))) == ["new"]


def test_forgetting_is_one_of_the_workers_jobs():
    assert scheduler.forget_old in dict(map(reversed, scheduler.JOBS))


CANARY_TOKEN = "shpat_ca11a12bca11a12bca11a12bca11a12b"
CANARY_EMAIL = "canary.customer@aviary.example"
CANARY_NAME = "Canary Marked-Row"
CANARY_PASSWORD = "canary password 4711"
CANARIES = (CANARY_TOKEN, CANARY_EMAIL, CANARY_NAME, CANARY_PASSWORD, "canary.user@aviary.example")


@contextmanager
def loud_logs() -> Iterator[logging.Logger]:
    """Our logging at its loudest; another library's logger, with a handler of its own as Streamlit's have."""
    core, factory, hook = logging.getLogger("core"), logging.getLogRecordFactory(), sys.excepthook
    before = core.handlers[:], core.level, core.propagate
    other, handler = logging.getLogger("another.library"), logging.StreamHandler(sys.stderr)
    other.addHandler(handler)
    log.configure("DEBUG")
    try:
        yield other
    finally:
        other.removeHandler(handler)
        core.handlers[:], core.propagate = before[0], before[2]
        core.setLevel(before[1])
        logging.setLogRecordFactory(factory)
        sys.excepthook = hook


def test_marked_secrets_and_addresses_reach_no_log(
    database: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CANARY", CANARY_TOKEN)
    stage_demo(monkeypatch)
    with loud_logs() as other:
        sign_in_sync_and_mistype()
        store_what_the_database_refuses(other)
    out, err = capsys.readouterr()
    assert "a batch failed" in err and "Uncaught app execution" in err, "something was captured"
    for canary in (*CANARIES, *_addresses()):
        assert canary not in out + err


def sign_in_sync_and_mistype() -> None:
    accounts.add_user("canary.user@aviary.example", "Canary", CANARY_PASSWORD)
    assert accounts.verify("canary.user@aviary.example", CANARY_PASSWORD + "!") is None
    add_demo_shops()
    assert sync(ALICE).outcome == "ok"
    for words in (["shop", "add", "--domain", "no shop", "--token-env", "CANARY"], ["sync", "--shop", "no-shop"]):
        assert command_line.main(words) == 1


def store_what_the_database_refuses(other: logging.Logger) -> None:
    add_shop(7)
    store_customers(7, customer(1, CANARY_NAME) | {"state": None})
    row = {"id": 1, "name": CANARY_NAME, "email": CANARY_EMAIL, "fingerprint": ""}
    for bad in (row | {"fingerprint": None}, row | {"updated_at": CANARY_NAME}, row | {"id": CANARY_NAME}):
        try:
            with shop_session(7, write=True) as session:
                upsert.upsert(session, Customer, [bad])
                session.add(Customer(shop_id=7, id=2, name=CANARY_NAME, email=CANARY_EMAIL, fingerprint=None))
                session.flush()
        except Exception as error:  # whichever the database raises: its log is what counts
            logging.getLogger("core.sync").exception("a batch failed")
            other.exception("Uncaught app execution")
            sys.excepthook(type(error), error, error.__traceback__)


def _addresses() -> list[str]:
    with shop_session(ALICE) as session:
        found = [email for email in session.exec(select(Customer.email)) if email]
    assert found, "the demo has customers with addresses"
    return found


def test_the_canary_would_be_seen(capsys: pytest.CaptureFixture[str]):
    sys.stderr.write(f"unmasked {CANARY_EMAIL}\n")
    assert CANARY_EMAIL in capsys.readouterr().err
