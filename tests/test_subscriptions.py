"""Webhook subscriptions: made, repaired, removed, and told on the Sync page; and the demo's live orders."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select
from starlette.applications import Starlette

from core import config
from core.db.engine import shop_session, system_session
from core.db.models import DemoOrder, Order, Shop, WebhookEvent
from core.demo import bulk, operations
from core.errors import Throttled, UnknownShop
from core.shopify.queries import Grants
from core.sync import demo_orders, events, inbox, subscriptions
from core.sync.events import drain
from core.web.routes import ROUTES
from tests.demo_http import HARBOR
from tests.demo_sync import ALICE, NOW, Asked, Stage, add_demo_shop, changed_body, shop_row, stage_demo, sync
from tests.event_loop import run
from tests.factories import add_user

URI = "https://numbers.example/webhooks/shopify"


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(events, "PATIENCE_S", 0.0)
    return stage_demo(monkeypatch)


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("APP_URL", "https://numbers.example"), ("SHOPIFY_API_KEY", "k"), ("SHOPIFY_API_SECRET", "s")):
        monkeypatch.setenv(name, value)
    config.get_settings.cache_clear()


@pytest.fixture
def store(database: Engine, stage: Stage, reachable: None) -> Stage:
    """A real store, as far as the app can tell."""
    scopes = "read_customers,read_inventory,read_orders,read_products"
    add_demo_shop(ALICE, HARBOR, is_demo=False, scopes=scopes)
    return stage


def states() -> dict[str, str]:
    return {topic.topic: topic.state for topic in subscriptions.status(ALICE)}


def asked(stage: Stage, name: str) -> list[dict[str, Any]]:
    found = [one.variables for one in stage.asked if name in one.query]
    stage.asked.clear()
    return found


def test_every_topic_is_subscribed_once_with_as_little_in_its_body_as_is_needed(store: Stage):
    assert set(states().values()) == {"missing"}
    assert subscriptions.ensure(ALICE) == {}
    made = {one["topic"]: one["webhookSubscription"] for one in asked(store, "webhookSubscriptionCreate")}
    assert set(made) == {topic.upper().replace("/", "_") for topic in states()}
    assert made["ORDERS_CREATE"] == {"uri": URI, "format": "JSON", "includeFields": ["id", "updated_at"]}
    assert made["APP_UNINSTALLED"] == {"uri": URI, "format": "JSON"}
    assert set(states().values()) == {"subscribed"}
    subscriptions.ensure(ALICE)
    assert asked(store, "webhookSubscriptionCreate") == []


def test_what_was_removed_or_points_elsewhere_is_repaired(store: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("APP_URL", "https://before.example")
    config.get_settings.cache_clear()
    subscriptions.ensure(ALICE)
    monkeypatch.setenv("APP_URL", "https://numbers.example")
    config.get_settings.cache_clear()
    store.asked.clear()
    subscriptions.ensure(ALICE)
    created = [one for one in store.asked if "webhookSubscriptionCreate" in one.query]
    deleted = [one for one in store.asked if "webhookSubscriptionDelete" in one.query]
    assert len(created) == len(deleted) == len(states()) and set(states().values()) == {"subscribed"}


def test_only_what_the_token_may_read_is_asked_for():
    everything = subscriptions.wanted(Grants(frozenset({"read_orders", "read_customers", "read_products"})))
    assert "customers/create" in everything and "inventory_levels/update" not in everything
    assert set(subscriptions.wanted(Grants(frozenset()))) == {
        "app/uninstalled", "app/scopes_update", "shop/update", "bulk_operations/finish",
    }  # fmt: skip
    assert set(events.TOPICS) | set(everything) <= set(subscriptions.LABELS)


def test_one_topic_that_is_refused_keeps_back_no_other_and_is_told(store: Stage):
    def refuse(body: dict[str, Any]) -> None:
        error = {"field": ["topic"], "message": "This app may not subscribe to it"}
        body["data"]["webhookSubscriptionCreate"] = {"webhookSubscription": None, "userErrors": [error]}

    def after(one: Asked, response: httpx2.Response) -> httpx2.Response:
        return changed_body(response, refuse) if one.variables.get("topic") == "REFUNDS_CREATE" else response

    store.after = after
    problems = subscriptions.ensure(ALICE)
    assert list(problems) == ["refunds/create"] and "may not subscribe" in problems["refunds/create"]
    assert states()["refunds/create"] == "missing" and states()["orders/create"] == "subscribed"
    store.tell_truth()
    assert subscriptions.ensure(ALICE) == {} and states()["refunds/create"] == "subscribed"


def test_every_day_each_store_is_compared_once_whoever_looks(store: Stage):
    for _ in range(2):
        subscriptions.ensure_due(threading.Event())
    assert len([one for one in store.asked if "webhookSubscriptions(" in one.query]) == 1
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).webhooks_checked_at = datetime.now(UTC) - timedelta(days=1, minutes=1)
    subscriptions.ensure_due(threading.Event())
    assert len([one for one in store.asked if "webhookSubscriptions(" in one.query]) == 2


def test_a_store_that_cannot_be_asked_says_why_and_the_worker_goes_on(store: Stage, monkeypatch: pytest.MonkeyPatch):
    store.instead = lambda _: httpx2.Response(429, headers={"Retry-After": "999"})
    with pytest.raises(Throttled):
        subscriptions.ensure(ALICE)
    assert shop_row().webhooks_problem
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).webhooks_checked_at = None
    subscriptions.ensure_due(threading.Event())
    store.tell_truth()
    subscriptions.ensure(ALICE)
    assert shop_row().webhooks_problem is None


@pytest.mark.parametrize(
    "columns, url", [({"is_demo": True}, "https://a.example"), ({"token": ""}, "https://a.example"),
                     ({"reauth_since": NOW}, "https://a.example"), ({}, "http://localhost:8501"), ({}, "")],
)  # fmt: skip
def test_where_shopify_cannot_deliver_nothing_is_asked(
    store: Stage, monkeypatch: pytest.MonkeyPatch, columns: dict[str, Any], url: str
):
    monkeypatch.setenv("APP_URL", url)
    config.get_settings.cache_clear()
    with system_session(write=True) as session:
        for name, value in columns.items():
            setattr(session.get_one(Shop, ALICE), name, value)
    assert subscriptions.ensure(ALICE) == {} and store.asked == []
    subscriptions.ensure_due(threading.Event())
    assert store.asked == []


def test_an_unknown_store_is_said(database: Engine):
    with pytest.raises(UnknownShop):
        subscriptions.ensure(99)


# The demo's live orders


def watched() -> None:
    from core.auth import sessions

    add_user(1, "alice@example.com", ALICE)
    sessions.start(1, None, None)


def post(webhook: demo_orders.Webhook) -> int:
    async def ask() -> int:
        transport = httpx2.ASGITransport(app=Starlette(routes=ROUTES))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/webhooks/shopify", content=webhook.body, headers=webhook.headers)
            return answer.status_code

    status: int = run(ask)
    return status


@pytest.fixture
def demo(database: Engine, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The demo store as the app itself asks it, synced; a moment a little later."""
    stage_demo(monkeypatch).opened_on = datetime.now(UTC).date() - timedelta(days=40)
    monkeypatch.setattr("core.sync.connect.demo_transport", _honest)
    monkeypatch.setattr(operations, "run_bulk", bulk.run_bulk)
    add_demo_shop(ALICE, HARBOR, opened_on=datetime.now(UTC).date() - timedelta(days=40))
    assert sync().outcome == "ok"
    return datetime.now(UTC)


def _honest(domain: str, **options: Any) -> httpx2.BaseTransport:
    from core.demo import server

    return server.DemoTransport(domain, options["opened_on"], server.utc_now, "https://f.invalid", options["placed"])


def test_a_live_order_arrives_by_a_signed_webhook_and_stays_after_a_full_sync(demo: datetime):
    assert demo_orders.place() == []  # nobody looks on
    watched()
    (webhook,) = demo_orders.place(demo)
    number = json.loads(webhook.body)["id"]
    assert post(webhook) == 200
    drain()
    with shop_session(ALICE) as session:
        order = session.get_one(Order, (ALICE, number))
    assert order.name == "#91001" and order.original_total > 0
    assert sync(full=True).outcome == "ok"
    with shop_session(ALICE) as session:
        assert session.get_one(Order, (ALICE, number)).fingerprint == order.fingerprint
    with system_session() as session:
        assert [event.state for event in session.exec(select(WebhookEvent))] == ["done"]


def test_a_day_gets_so_many_live_orders_and_no_more(demo: datetime):
    watched()
    told = [webhook for _ in range(40) for webhook in demo_orders.place(demo)]
    assert len(told) == 23  # three times a usual day's 7.5
    assert len({json.loads(webhook.body)["id"] for webhook in told}) == 23
    with shop_session(ALICE) as session:
        assert len(session.exec(select(DemoOrder)).all()) == 23


def test_a_store_that_was_never_synced_gets_none(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    watched()
    assert demo_orders.place() == [] and inbox.counts(ALICE) == {}
