"""A demo shop synced by the app in a test: the moment is the test's, answers may be tampered with, nobody waits."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache, partial
from typing import Any

import httpx2
import pytest
from sqlalchemy import inspect
from sqlmodel import select

from core.db.engine import shop_session, system_session
from core.db.models import (
    AbandonedCheckout,
    AbandonedCheckoutLine,
    Customer,
    InventoryItem,
    InventoryLevel,
    LineItem,
    Location,
    Order,
    Product,
    QuarantinedRow,
    Refund,
    Sale,
    Shop,
    SyncState,
    Variant,
)
from core.db.rollups import ROLLUPS
from core.db.vault import seal
from core.demo import bulk, operations, server, views
from core.demo.answers import demo_schema
from core.demo.catalogue import DEMO_SHOPS, DemoShop
from core.demo.checkouts import LeftCheckout, left_on
from core.demo.views import Snapshot, open_store, take_snapshot
from core.shopify.client import ShopClient
from core.sync import connect, jobs
from core.sync.jobs import RunView
from core.sync.lease import ensure_streams
from tests.demo_http import HARBOR, KIOSK

OPENED_ON, NOW = date(2026, 10, 6), datetime(2026, 11, 20, 15, tzinfo=UTC)
ALICE, CHARLIE = 1, 2
TABLES = (
    Customer, Product, Variant, Location, InventoryItem, InventoryLevel, Order, LineItem, Sale, Refund,
    AbandonedCheckout, AbandonedCheckoutLine, *ROLLUPS,
)  # fmt: skip
Rows = dict[str, list[dict[str, Any]]]


@dataclass
class Asked:
    """One request the app made: the query and its variables, or the address of a file."""

    query: str
    variables: dict[str, Any]
    address: str

    def about(self, name: str) -> bool:
        """Whether it is the named operation, such as "Orders", or a bulk submission whose query begins so."""
        return f"query {name}" in self.query or (self.variables.get("query") or "").lstrip("{ ").startswith(name)


@dataclass
class Stage:
    """The demo as the app sees it: `instead` may answer a request itself, `after` may change an answer."""

    now: datetime = NOW
    opened_on: date = OPENED_ON
    asked: list[Asked] = field(default_factory=list)
    slept_s: float = 0.0
    instead: Callable[[Asked], httpx2.Response | None] = lambda _: None
    after: Callable[[Asked, httpx2.Response], httpx2.Response] = lambda _, response: response

    def sleep(self, seconds: float) -> None:
        """Time passes for the client, not for the test."""
        self.slept_s += seconds

    def clock(self) -> float:
        """The client's clock."""
        return time.monotonic() + self.slept_s

    def read_by_bulk(self) -> list[str]:
        """What was asked for by bulk operation, by its root field; the stock always is."""
        queries = [asked.variables["query"] for asked in self.asked if "bulkOperationRunQuery" in asked.query]
        return [re.split(r"[ ({]+", query.lstrip("{ "))[0] for query in queries]

    def tell_truth(self) -> None:
        """Stop tampering, forget what was asked."""
        self.instead, self.after = lambda _: None, lambda _, response: response
        self.asked.clear()

    def transport(self, domain: str, **options: Any) -> httpx2.BaseTransport:
        """What the app gets for demo_transport()."""
        honest = server.DemoTransport(domain, self.opened_on, lambda: self.now, "https://files.invalid")
        return _Tampering(self, domain, honest)


class _Tampering(httpx2.BaseTransport):
    def __init__(self, stage: Stage, domain: str, honest: httpx2.BaseTransport) -> None:
        self._stage, self._domain, self._honest = stage, domain, honest

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.read() or b"{}")
        asked = Asked(body.get("query", ""), body.get("variables") or {}, str(request.url))
        self._stage.asked.append(asked)
        answer = self._stage.instead(asked)
        return answer or self._stage.after(asked, self._honest_answer(request, asked))

    def _honest_answer(self, request: httpx2.Request, asked: Asked) -> httpx2.Response:
        """The demo's answer; what only reads is answered once for all tests, since a shop never says two things."""
        if not asked.query.startswith("query") or re.search("bulkOperation|webhookSubscription", asked.query):
            return self._honest.handle_request(request)
        token = request.headers.get("X-Shopify-Access-Token")
        key = (self._domain, self._stage.opened_on, self._stage.now, *_kind_of_shop(), token, request.read())
        if key not in _ANSWERS:
            if len(_ANSWERS) > 1000:
                _ANSWERS.clear()
            answer = self._honest.handle_request(request)
            _ANSWERS[key] = (answer.status_code, dict(answer.headers), answer.content)
        status, headers, content = _ANSWERS[key]
        return httpx2.Response(status, headers=headers, content=content)


def _kind_of_shop() -> tuple[object, ...]:
    """What tests change about the demo shops, and their answers with it."""
    return views.left_on, views.Snapshot.products


_ANSWERS: dict[tuple[Any, ...], tuple[int, dict[str, str], bytes]] = {}


@cache
def _file_of(query: str, domain: str, opened_on: date, now: datetime, grouped: bool, _: object) -> bulk.BulkFile:
    schema, store = demo_schema(), open_store(next(shop for shop in DEMO_SHOPS if shop.domain == domain), opened_on)
    return bulk.run_bulk(schema, query, take_snapshot(store, now), grouped=grouped)


def _run_bulk_once(_: Any, query: str, snapshot: Snapshot, *, grouped: bool) -> bulk.BulkFile:
    history = snapshot.store.history
    return _file_of(query, history.shop.domain, history.opened_on, snapshot.now, grouped, _kind_of_shop())


def _a_third_left_on(*arguments: Any) -> tuple[LeftCheckout, ...]:
    return left_on(*arguments)[::3]


def stage_demo(monkeypatch: pytest.MonkeyPatch, opened_on: date = OPENED_ON, *, every_checkout: bool = False) -> Stage:
    """Put a stage between the app and the demo shops, whose points come back at once.

    Every sync reads a month of checkouts again; a third of them is enough for what is not about checkouts.
    """
    stage = Stage(opened_on=opened_on)
    if not every_checkout:
        monkeypatch.setattr(views, "left_on", _a_third_left_on)
    monkeypatch.setattr(server, "RESTORED_PER_S", 1e6)
    monkeypatch.setattr(operations, "run_bulk", _run_bulk_once)
    monkeypatch.setattr(connect, "demo_transport", stage.transport)
    monkeypatch.setattr(server, "_PLACES", {})  # bulk operations of other tests would take the places
    monkeypatch.setattr(connect, "ShopClient", partial(ShopClient, sleep=stage.sleep, clock=stage.clock))
    return stage


def add_demo_shop(shop_id: int, demo: DemoShop, **columns: Any) -> None:
    """A connected demo shop that was never synced."""
    values: dict[str, Any] = {
        "gid": demo.number, "domain": demo.domain, "name": demo.name, "currency": demo.currency,
        "time_zone": demo.time_zone, "taxes_included": demo.taxes_included,
        "token": seal(demo.token, str(columns.get("gid", demo.number))), "is_demo": True, "personal_data": True,
        "opened_on": OPENED_ON, "created_at": datetime(2026, 10, 6, tzinfo=UTC),
    }  # fmt: skip
    with system_session(write=True) as session:
        session.add(Shop(id=shop_id, **(values | columns)))
        session.flush()
        ensure_streams(session, shop_id)


def add_demo_shops() -> None:
    """Alice's shop and Charlie's."""
    add_demo_shop(ALICE, HARBOR)
    add_demo_shop(CHARLIE, KIOSK)


def sync(shop_id: int = ALICE, *streams: str, full: bool = False) -> RunView:
    """Sync as the command line does, everything or these streams; the finished run."""
    return jobs.sync_now(shop_id, streams or None, full=full)


def rows_of(shop_id: int = ALICE) -> Rows:
    """Every row of a shop's tables, comparable between shops and databases."""
    with shop_session(shop_id) as session:
        return {
            model.__tablename__: [
                row.model_dump(exclude={"shop_id"})
                for row in session.exec(select(model).order_by(*inspect(model).primary_key))
            ]
            for model in TABLES
        }


def living(rows: Rows) -> Rows:
    """Rows without what was deleted at Shopify: what a first sync would store."""
    gone = {row["id"] for row in rows["order"] if row["deleted_at"]}
    kept = {table: [row for row in found if not row.get("deleted_at")] for table, found in rows.items()}
    for table in ("line_item", "sale", "refund"):
        kept[table] = [row for row in kept[table] if row["order_id"] not in gone]
    return kept


def quarantined(shop_id: int = ALICE) -> dict[str, str]:
    """The reasons of what was set aside, by key."""
    with shop_session(shop_id) as session:
        return {row.key: row.reason for row in session.exec(select(QuarantinedRow))}


def shop_row(shop_id: int = ALICE) -> Shop:
    """The shop as it is stored."""
    with system_session() as session:
        return session.get_one(Shop, shop_id)


def state(stream: str, shop_id: int = ALICE) -> SyncState:
    """A stream's row of the queue."""
    with system_session() as session:
        return session.get_one(SyncState, (shop_id, stream))


def changed_body(response: httpx2.Response, change: Callable[[dict[str, Any]], object]) -> httpx2.Response:
    """An answer with its JSON changed in place."""
    body = json.loads(response.read())
    change(body)
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
    return httpx2.Response(response.status_code, headers=headers, content=json.dumps(body).encode())
