"""The inbox drained: whatever comes, in whatever order and how often, the tables end up as the store is."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import select

from core.db.engine import shop_session, system_session
from core.db.models import AuditEvent, Customer, Order, PrivacyRequest, Shop, SyncState, WebhookEvent
from core.demo import server
from core.demo.views import take_snapshot
from core.errors import LeaseLost
from core.shopify.webhooks import Delivery
from core.sync import events, inbox
from core.sync.events import drain
from core.sync.inbox import RETRY_AFTER
from tests.demo_http import HARBOR
from tests.demo_sync import (
    ALICE,
    CHARLIE,
    NOW,
    Asked,
    Stage,
    quarantined,
    rows_of,
    shop_row,
    stage_demo,
)
from tests.factories import add_shop
from tests.faults.truth import equals
from tests.kept_shop import add_synced_shop
from tests.still import stop_clock

OPENED_ON = date(2026, 11, 5)  # that of tests.faults.truth
_ids = count(1)
KINDS = {
    "orders": ("orders/create", "orders/updated", "orders/delete"),
    "customers": ("customers/create", "customers/update", "customers/delete"),
    "products": ("products/create", "products/update", "products/delete"),
    "abandonedCheckouts": ("checkouts/update",) * 3,
    "inventoryItems": ("inventory_items/update",) * 3,
}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(events, "PATIENCE_S", 0.0)
    return stage_demo(monkeypatch, opened_on=OPENED_ON)


def deliver(topic: str, body: Any, *, domain: str = HARBOR.domain, id: str | None = None) -> str:
    """A verified delivery; its id."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    id = id or f"w-{next(_ids)}"
    inbox.receive([(Delivery(id, topic, domain, None, ""), content)])
    return id


def event(id: str) -> WebhookEvent:
    """A delivery as it stands."""
    with system_session() as session:
        return session.get_one(WebhookEvent, id)


def requests() -> list[PrivacyRequest]:
    """What was asked about personal data, in its order."""
    with system_session() as session:
        return list(session.exec(select(PrivacyRequest).order_by(PrivacyRequest.id)).all())


def later(id: str) -> None:
    """Time passes until a delivery is tried again."""
    with system_session(write=True) as session:
        session.get_one(WebhookEvent, id).due_at = inbox.datetime.now(UTC)  # by its clock, which may stand still


def asked_by_id(stage: Stage) -> list[list[int]]:
    """The numbers of each request for objects by their ids."""
    return [
        [int(gid.rsplit("/", 1)[1]) for gid in asked.variables["ids"]]
        for asked in stage.asked
        if "nodes(" in asked.query
    ]


def happened(since: datetime, until: datetime) -> list[tuple[str, dict[str, int]]]:
    """What Shopify would tell of a time, each object once."""
    store = server._place(HARBOR, OPENED_ON).store
    shown = [
        {kind: {number: row.show() for number, row in snapshot.rows(kind).items()} for kind in KINDS}
        for snapshot in (take_snapshot(store, since), take_snapshot(store, until))
    ]
    told = []
    for kind, (created, updated, deleted) in KINDS.items():
        before, after = (each[kind] for each in shown)
        told += [(created if n not in before else updated, {"id": n}) for n in after if before.get(n) != after[n]]
        told += [(deleted, {"id": number}) for number in before.keys() - after.keys()]
    return told


def orders_of(now: datetime) -> list[int]:
    """The numbers of the orders there are."""
    return sorted(take_snapshot(server._place(HARBOR, OPENED_ON).store, now).orders)


@pytest.fixture
def synced(database: Engine, stage: Stage) -> Stage:
    """Alice's demo store, synced."""
    add_synced_shop(stage)
    return stage


def test_an_order_that_is_told_of_is_there_at_once_and_every_page_knows(synced: Stage):
    before, version = set(orders_of(NOW)), shop_row().data_version
    synced.now = NOW + timedelta(days=1)
    new = next(number for number in orders_of(synced.now) if number not in before)
    id = deliver("orders/create", {"id": new, "email": "secret@example.com"})
    assert drain() == 1
    with shop_session(ALICE) as session:
        assert session.get(Order, (ALICE, new)) is not None
    assert shop_row().data_version == version + 1
    done = event(id)
    assert (done.state, done.body, done.owner) == ("done", b"", None)
    deliver("orders/updated", {"id": new})
    drain()
    assert shop_row().data_version == version + 1  # nothing was different


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False), hours=st.integers(1, 60), at_once=st.integers(1, 40))
def _in_any_order(stage: Stage, chance: Any, hours: int, at_once: int) -> None:
    since, stage.now = stage.now, stage.now + timedelta(hours=hours)
    told = happened(since, stage.now)
    repeated = chance.choices(told, k=len(told) // 3) if told else []
    old = [("orders/updated", {"id": number}) for number in chance.sample(orders_of(since), 3)]
    everything = [*told, *repeated, *old]
    chance.shuffle(everything)
    inbox.AT_ONCE = at_once
    for place, (topic, body) in enumerate(everything):
        deliver(topic, body)
        if place % 17 == 16:
            drain()
    drain()
    assert inbox.counts(ALICE).keys() == {"done"}
    assert equals(ALICE, HARBOR, stage.now)


def test_in_whatever_order_and_however_often_they_come_the_tables_equal_the_store(
    synced: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(inbox, "AT_ONCE", 200)
    _in_any_order(synced)


def test_many_webhooks_about_one_object_are_one_request(synced: Stage):
    number = orders_of(NOW)[-1]
    for topic in ("orders/create", "orders/updated", "orders/cancelled", "orders/updated"):
        deliver(topic, {"id": number})
    deliver("orders/edited", {"order_edit": {"id": 1, "order_id": number}})
    deliver("refunds/create", {"id": 2, "order_id": number})
    assert drain() == 6
    assert asked_by_id(synced) == [[number]]
    assert inbox.counts(ALICE) == {"done": 6}


def test_many_objects_of_a_kind_are_few_requests(synced: Stage):
    numbers = orders_of(NOW)[:25]
    for number in numbers:
        deliver("orders/updated", {"id": number})
    drain()
    assert [len(asked) for asked in asked_by_id(synced)] == [10, 10, 5]


def test_what_an_event_claims_to_be_deleted_is_deleted_only_if_it_is_gone(synced: Stage):
    number = orders_of(NOW)[0]
    deliver("orders/delete", {"id": number})
    drain()
    with shop_session(ALICE) as session:
        assert session.get_one(Order, (ALICE, number)).deleted_at is None


def test_a_week_old_delivery_changes_nothing_that_is_newer(synced: Stage):
    """A signature has no time, and Shopify repeats with the old body: what counts is what the store says now."""
    rows = rows_of()
    number = orders_of(NOW)[-1]
    deliver("orders/updated", {"id": number, "updated_at": "2026-11-06T00:00:00Z", "total_price": "0.01"})
    drain()
    assert rows_of() == rows


def test_a_delivery_for_another_store_leads_nowhere(synced: Stage):
    add_shop(CHARLIE, domain="charlie.myshopify.com")
    before = rows_of(CHARLIE)
    id = deliver("orders/delete", {"id": orders_of(NOW)[0]}, domain="charlie.myshopify.com")
    drain()
    assert event(id).state == "ignored" and rows_of(CHARLIE) == before
    with shop_session(ALICE) as session:
        assert session.get_one(Order, (ALICE, orders_of(NOW)[0])).deleted_at is None


IGNORED = {
    "an unknown topic": ("moon/rises", HARBOR.domain, "no use"),
    "an unknown store": ("orders/create", "nobody.myshopify.com", "No such store"),
    "no store": ("orders/create", "", "No such store"),
}


@pytest.mark.parametrize("topic, domain, why", IGNORED.values(), ids=IGNORED)
def test_what_nobody_needs_is_settled_with_its_reason(synced: Stage, topic: str, domain: str, why: str):
    id = deliver(topic, {"id": 1}, domain=domain)
    drain()
    assert event(id).state == "ignored" and why in (event(id).problem or "") and event(id).body == b""
    assert synced.asked == []


def test_a_store_that_was_connected_meanwhile_gets_what_came_before(synced: Stage):
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).domain = "before.myshopify.com"
    id = deliver("orders/updated", {"id": orders_of(NOW)[0]})
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).domain = HARBOR.domain
    drain()
    assert (event(id).state, event(id).shop_id) == ("done", ALICE)


@pytest.mark.parametrize(
    "columns, why",
    [({"token": ""}, "disconnected"), ({"reauth_since": NOW}, "refuses"), ({"scopes": ""}, "never synced"),
     ({"scopes": "read_products"}, "may not read")],
)  # fmt: skip
def test_a_store_that_cannot_be_asked_is_not(synced: Stage, columns: dict[str, Any], why: str):
    with system_session(write=True) as session:
        for name, value in columns.items():
            setattr(session.get_one(Shop, ALICE), name, value)
    id = deliver("orders/updated", {"id": 1})
    drain()
    assert event(id).state == "ignored" and why in (event(id).problem or "")
    assert synced.asked == []


BAD_BODIES = [b"", b"\xff\xfe\x00", b"{", b"[]", b"null", b"{}", b'{"id": "7"}', b'{"id": true}', b'{"id": -1}',
              b'{"id": 99999999999999999999}', b'{"id": {"a": 1}}', b"[" * 50_000]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_a_body_that_cannot_be_used_is_a_dead_letter_at_once_and_holds_up_nothing(synced: Stage, body: bytes):
    bad, good = deliver("orders/updated", body), deliver("orders/updated", {"id": orders_of(NOW)[0]})
    drain()
    assert (event(bad).state, event(good).state) == ("dead", "done")
    (letter,) = inbox.dead_letters(ALICE)
    assert letter.webhook_id == bad and letter.problem.startswith("The body cannot be used")
    assert event(bad).body == body  # it may be replayed


def failing(status: int) -> Any:
    return lambda asked: httpx2.Response(status, content=b"<html>") if "nodes(" in asked.query else None


def test_failures_back_off_then_are_dead_letters_that_can_be_replayed(synced: Stage, monkeypatch: pytest.MonkeyPatch):
    now = stop_clock(monkeypatch, inbox)
    synced.instead = failing(503)
    id = deliver("orders/updated", {"id": orders_of(NOW)[0]})
    waits = []
    for _ in RETRY_AFTER:
        drain()
        assert event(id).state == "waiting" and inbox.claim() is None
        waits.append(event(id).due_at - now)
        later(id)
    assert waits == list(RETRY_AFTER)
    drain()
    (letter,) = inbox.dead_letters(ALICE)
    assert letter.about == f"orders/{orders_of(NOW)[0]}" and letter.attempts == len(RETRY_AFTER) + 1 and letter.problem
    assert inbox.replay(CHARLIE) == 0 and inbox.replay(CHARLIE, [id]) == 0
    synced.tell_truth()
    assert inbox.replay(ALICE, [id]) == 1
    drain()
    assert event(id).state == "done" and inbox.dead_letters(ALICE) == []


def test_one_object_that_fails_is_tried_alone_and_the_others_are_stored(synced: Stage):
    bad, *good = orders_of(NOW)[:4]
    ids = {number: deliver("orders/updated", {"id": number}) for number in (bad, *good)}

    def instead(asked: Asked) -> httpx2.Response | None:
        if any(gid.endswith(str(bad)) for gid in asked.variables.get("ids", ())):
            return httpx2.Response(200, content=b'{"data": {"nodes": "none"}}')
        return None

    synced.instead = instead
    drain()
    for id in ids.values():
        later(id)
    drain()
    assert [event(ids[number]).state for number in (bad, *good)] == ["waiting", "done", "done", "done"]


def test_an_object_that_cannot_be_stored_is_set_aside(synced: Stage):
    number = orders_of(NOW)[0]
    node = {"id": f"gid://shopify/Order/{number}", "lineItems": {"nodes": [], "pageInfo": {"hasNextPage": False}},
            "agreements": {"edges": [], "pageInfo": {"hasNextPage": False}}}  # fmt: skip
    answer = json.dumps({"data": {"nodes": [node]}}).encode()
    synced.instead = lambda asked: httpx2.Response(200, content=answer) if "nodes(" in asked.query else None
    id = deliver("orders/updated", {"id": number})
    drain()
    assert event(id).state == "done" and list(quarantined()) == [f"orders/{number}"]


def test_a_refused_token_stops_all_asking(synced: Stage):
    synced.instead = lambda _: httpx2.Response(401)
    deliver("orders/updated", {"id": orders_of(NOW)[0]})
    drain()
    assert shop_row().reauth_since is not None


def test_two_workers_never_hold_one_store_and_a_frozen_one_settles_nothing(
    synced: Stage, monkeypatch: pytest.MonkeyPatch
):
    number = orders_of(NOW)[0]
    deliver("orders/updated", {"id": number})
    held = inbox.claim()
    assert held is not None and held.shop_id == ALICE
    deliver("orders/updated", {"id": orders_of(NOW)[1]})
    assert inbox.claim() is None
    with system_session(write=True) as session:  # it is frozen, its lease ends
        for row in session.exec(select(WebhookEvent)):
            row.lease_until = row.lease_until and datetime.now(UTC) - timedelta(seconds=1)
    assert drain() == 2
    rows = rows_of()
    with pytest.raises(LeaseLost), shop_session(ALICE, write=True) as session:
        inbox.settle(session, held, [event.webhook_id for event in held.events])
    with pytest.raises(LeaseLost):
        inbox.keep(replace(held, renew_at=held.renew_at - timedelta(hours=1)))
    assert rows_of() == rows and inbox.counts(ALICE) == {"done": 2}


# The app's own life in a store


def test_uninstalling_forgets_the_token_once_shopify_refuses_it(synced: Stage):
    id = deliver("app/uninstalled", {"id": HARBOR.number})
    drain()
    assert shop_row().token and event(id).state == "waiting"  # Shopify still answers: perhaps an old message
    synced.instead = lambda _: httpx2.Response(401)
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).is_demo = False
    later(id)
    drain()
    assert shop_row().token == "" and event(id).state == "done" and rows_of()["order"]
    with system_session() as session:
        told = session.exec(select(AuditEvent).where(AuditEvent.action == "store_disconnect")).one()
    assert (told.actor, told.shop_id) == ("Shopify", ALICE)


def test_an_old_message_of_uninstalling_cuts_nobody_off(synced: Stage):
    id = deliver("app/uninstalled", {"id": HARBOR.number})
    for _ in range(3):
        drain()
        later(id)
    assert event(id).state == "ignored" and shop_row().token


def test_uninstalling_another_store_than_the_headers_is_not_believed(synced: Stage):
    synced.instead = lambda _: httpx2.Response(401)
    id = deliver("app/uninstalled", {"id": HARBOR.number + 1})
    drain()
    assert event(id).state == "dead" and shop_row().token


@pytest.mark.parametrize("topic", ["app/scopes_update", "shop/update"])
def test_a_changed_store_is_asked_anew_at_once(synced: Stage, topic: str):
    id = deliver(topic, {"id": HARBOR.number})
    drain()
    with system_session() as session:
        state = session.get_one(SyncState, (ALICE, "shop"))
    assert event(id).state == "done" and state.due_at is not None and state.due_at <= datetime.now(UTC)
    assert state.asked_by == "webhook"


def test_the_end_of_a_bulk_operation_is_noted_for_who_waits(synced: Stage):
    gid = "gid://shopify/BulkOperation/42"
    assert not inbox.was_told(ALICE, inbox.BULK_FINISHED, gid)
    deliver(inbox.BULK_FINISHED, {"admin_graphql_api_id": gid, "status": "completed"})
    drain()
    assert inbox.was_told(ALICE, inbox.BULK_FINISHED, gid) and not inbox.was_told(CHARLIE, inbox.BULK_FINISHED, gid)


# Duties about personal data


def about_customer(number: int, **more: Any) -> dict[str, Any]:
    return {"shop_id": HARBOR.number, "shop_domain": HARBOR.domain, "customer": {"id": number, "email": None}, **more}


def a_customer() -> int:
    with shop_session(ALICE) as session:
        return next(one.id for one in session.exec(select(Customer)) if one.name)


def test_a_customer_is_really_erased_with_proof_and_due_date_and_only_once(synced: Stage):
    number = a_customer()
    for id in ("r-1", "r-1", "r-2"):
        deliver("customers/redact", about_customer(number), id=id)
        drain()
    with shop_session(ALICE) as session:
        customer = session.get_one(Customer, (ALICE, number))
        assert (customer.name, customer.email) == (None, None) and customer.redacted_at is not None
    first, again = requests()
    assert (first.kind, first.customer_id, first.shop_gid) == ("customers/redact", number, HARBOR.number)
    assert first.proof["customer"] == 1 and first.done_at is not None
    assert first.due_at - first.received_at == timedelta(days=30) and again.webhook_id == "r-2"
    assert event("r-1").body == b""
    deliver("customers/update", {"id": number})  # what Shopify still sends brings nothing back
    drain()
    with shop_session(ALICE) as session:
        assert session.get_one(Customer, (ALICE, number)).name is None


def test_a_request_for_data_waits_for_an_owner(synced: Stage):
    body = about_customer(a_customer(), orders_requested=[1, 2], data_request={"id": 9})
    deliver("customers/data_request", body)
    drain()
    (asked,) = requests()
    assert (asked.kind, asked.done_at, asked.order_ids) == ("customers/data_request", None, [1, 2])


def test_a_store_is_really_erased_once_the_app_is_gone_and_told_with_its_counts(synced: Stage):
    orders = len(rows_of()["order"])
    with system_session(write=True) as session:
        shop = session.get_one(Shop, ALICE)
        shop.is_demo, shop.token = False, ""
    id = deliver("shop/redact", {"shop_id": HARBOR.number, "shop_domain": HARBOR.domain})
    drain()
    with system_session() as session:
        assert session.get(Shop, ALICE) is None
        assert session.exec(select(WebhookEvent)).all() == []  # with the store's deliveries this one
    (done,) = requests()
    assert (done.kind, done.proof["order"], done.proof["shop"], done.webhook_id) == ("shop/redact", orders, 1, id)
    deliver("shop/redact", {"shop_id": HARBOR.number, "shop_domain": HARBOR.domain})
    drain()
    assert requests()[1].note == "Nothing of this store is kept here."


def test_a_store_that_has_the_app_again_is_not_erased_by_an_old_message(synced: Stage):
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).is_demo = False
    deliver("shop/redact", {"shop_id": HARBOR.number, "shop_domain": HARBOR.domain})
    drain()
    (waits,) = requests()
    assert waits.done_at is None and "delete the store under Stores" in waits.note and rows_of()["order"]


@pytest.mark.parametrize("topic", ["customers/redact", "customers/data_request", "shop/redact"])
def test_a_duty_for_another_store_than_the_headers_is_not_done(synced: Stage, topic: str):
    number = a_customer()
    id = deliver(topic, {"shop_id": HARBOR.number + 1, "customer": {"id": number}})
    drain()
    assert event(id).state == "dead" and requests() == []


@pytest.fixture(autouse=True)
def usual_batches() -> Iterator[None]:
    yield
    inbox.AT_ONCE = 200
