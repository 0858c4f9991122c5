"""Webhooks at the door: what is believed, what is refused, and that what was acknowledged is stored, once."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select
from starlette.applications import Starlette

from core import config
from core.db.engine import system_session
from core.db.models import WebhookEvent
from core.errors import DatabaseUnavailable
from core.shopify.webhooks import is_signed, read_headers, sign
from core.sync import demo_orders
from core.sync.inbox import counts
from core.web import webhooks
from core.web.routes import ROUTES
from tests.conftest import SHARED, missing
from tests.event_loop import run
from tests.factories import add_shop

SECRET, BEFORE = "hush", "the secret before"
SHOP = "shop-1.myshopify.com"
ORDER = b'{"id": 7, "updated_at": "2026-11-20T12:00:00-05:00"}'


@pytest.fixture(autouse=True)
def app_secrets(settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPIFY_API_KEY", "key")
    monkeypatch.setenv("SHOPIFY_API_SECRET", SECRET)
    monkeypatch.setenv("SHOPIFY_API_SECRET_OLD", BEFORE)
    config.get_settings.cache_clear()


def headers(body: bytes = ORDER, *, secret: str = SECRET, id: str = "w-1", **changed: str | None) -> dict[str, str]:
    """What Shopify sends along; a keyword replaces a header, None leaves it out."""
    told: dict[str, str | None] = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Shop-Domain": SHOP,
        "X-Shopify-Webhook-Id": id,
        "X-Shopify-Triggered-At": "2026-11-20T12:00:00.123456789Z",
        "X-Shopify-Hmac-Sha256": sign(body, secret),
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    return {name: value for name, value in told.items() if value is not None}


def post(body: Any = ORDER, told: dict[str, str] | None = None) -> httpx2.Response:
    """A delivery to the route, over ASGI."""

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=Starlette(routes=ROUTES))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/webhooks/shopify", content=body, headers=told or headers(body))

    answer: httpx2.Response = run(ask)
    return answer


def stored() -> list[WebhookEvent]:
    """The inbox."""
    with system_session() as session:
        return list(session.exec(select(WebhookEvent).order_by(WebhookEvent.webhook_id)).all())


def test_a_signed_delivery_is_stored_as_it_came_and_then_acknowledged(database: Engine):
    add_shop(1)
    assert post().status_code == 200
    (event,) = stored()
    assert (event.webhook_id, event.shop_id, event.topic, event.body) == ("w-1", 1, "orders/create", ORDER)
    assert event.state == "waiting" and counts(1) == {"waiting": 1}
    assert event.triggered_at is not None and event.triggered_at.isoformat() == "2026-11-20T12:00:00.123456+00:00"


def test_the_same_delivery_five_times_is_one_row_and_each_is_acknowledged(database: Engine):
    add_shop(1)
    assert [post().json() for _ in range(5)] == [{"stored": True}] * 5
    assert len(stored()) == 1


def test_without_an_id_of_its_own_the_content_is_the_id(database: Engine):
    without = headers(X_Shopify_Webhook_Id=None)
    assert [post(ORDER, without).status_code for _ in range(2)] == [200, 200]
    assert len(stored()) == 1
    other = b'{"id": 8}'
    assert post(other, headers(other, X_Shopify_Webhook_Id=None)).status_code == 200
    assert len(stored()) == 2


def test_both_secrets_and_both_families_of_headers_are_taken(database: Engine):
    assert post(ORDER, headers(secret=BEFORE, id="old")).status_code == 200
    new_family = {name.replace("X-Shopify-", "Shopify-"): value for name, value in headers(id="new").items()}
    assert post(ORDER, new_family).status_code == 200
    assert [(event.webhook_id, event.topic, event.domain) for event in stored()] == [
        ("new", "orders/create", SHOP), ("old", "orders/create", SHOP),
    ]  # fmt: skip


SIGNATURES: dict[str, str | None] = {
    "none": None,
    "empty": "",
    "another secret's": sign(ORDER, "evil"),
    "another body's": sign(b"{}", SECRET),
    "no base64": "!!!",
    "not ASCII": "\xe9\xe8",
    "too long": sign(ORDER, SECRET)[:-1] + "A" * 4000 + "=",
    "too short": sign(ORDER, SECRET)[:20],
    "in hex": "00" * 32,
    "of an empty secret": sign(ORDER, ""),
}


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_what_is_not_signed_by_the_app_is_refused_and_not_stored(database: Engine, signature: str | None):
    told = [(n.encode(), v.encode("latin-1")) for n, v in headers(X_Shopify_Hmac_Sha256=signature).items()]
    assert post(ORDER, told).status_code == 401
    assert stored() == []


def test_without_a_secret_nothing_is_believed(database: Engine, monkeypatch: pytest.MonkeyPatch):
    for name in ("SHOPIFY_API_KEY", "SHOPIFY_API_SECRET", "SHOPIFY_API_SECRET_OLD"):
        monkeypatch.delenv(name)
    config.get_settings.cache_clear()
    assert post(ORDER, headers(secret="")).status_code == 401
    assert post().status_code == 401
    assert stored() == []


def test_the_demos_secret_speaks_for_the_demo_stores_only(database: Engine, monkeypatch: pytest.MonkeyPatch):
    told = headers(secret=demo_orders.secret())
    assert post(ORDER, told).status_code == 401
    told["X-Shopify-Shop-Domain"] = "harbor-and-pine.myshopify.com"
    assert post(ORDER, told).status_code == 200
    monkeypatch.setenv("DEMO", "0")
    config.get_settings.cache_clear()
    assert post(ORDER, told).status_code == 401


@pytest.mark.parametrize(
    "type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data"]
)
def test_another_content_type_is_refused(database: Engine, type: str | None):
    assert post(ORDER, headers(Content_Type=type)).status_code == 415
    assert stored() == []


def test_a_charset_beside_the_type_is_no_other_type(database: Engine):
    assert post(ORDER, headers(Content_Type="application/json; charset=utf-8")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00\x80", b"{", b"[1]", b"null", b'{"id": "\\ud800"}'])
def test_a_signed_body_that_is_no_object_is_stored_too(database: Engine, body: bytes):
    assert post(body, headers(body)).status_code == 200
    assert [event.body for event in stored()] == [body]


def test_unknown_topics_and_stores_are_stored_and_acknowledged(database: Engine):
    told = headers(X_Shopify_Topic="Moon/Rises" + "x" * 500, X_Shopify_Shop_Domain="gone.myshopify.com")
    assert post(ORDER, told).status_code == 200
    (event,) = stored()
    assert event.topic.startswith("moon/rises") and len(event.topic) == 255 and event.shop_id is None


def test_a_body_above_the_limit_is_refused_by_its_declared_length_or_while_it_streams(database: Engine):
    large = b"x" * (webhooks.LARGEST_BODY + 1)
    assert post(large, headers(large)).status_code == 413
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(300):
            sent += 1_000_000
            yield b"x" * 1_000_000

    assert post(endless(), headers(b"")).status_code == 413
    assert sent < 5_000_000
    assert post(ORDER, {**headers(), "Content-Length": "-1"}).status_code == 413
    assert stored() == []


def test_the_largest_body_that_is_taken_arrives_whole(database: Engine):
    body = b'{"id": 7, "pad": "' + b"x" * (webhooks.LARGEST_BODY - 20) + b'"}'
    assert len(body) == webhooks.LARGEST_BODY
    assert post(body, headers(body)).status_code == 200
    assert [event.body for event in stored()] == [body]


def test_a_body_that_drips_ends(database: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "BODY_WITHIN_S", 0.05)

    async def dripping() -> Any:
        for _ in range(1000):
            yield b"x"
            await anyio.sleep(0.02)

    assert post(dripping(), headers(b"")).status_code == 408
    assert stored() == []


def test_while_the_database_is_away_nothing_is_acknowledged_and_afterwards_it_is(
    database: Engine, monkeypatch: pytest.MonkeyPatch
):
    url = config.get_settings().database_url
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    config.get_settings.cache_clear()
    from core.db import engine

    engine.get_engine.cache_clear()
    answer = post()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "hunter2" not in answer.text
    monkeypatch.setenv("DATABASE_URL", url)
    config.get_settings.cache_clear()
    engine.get_engine.cache_clear()
    assert stored() == []
    assert post().json() == {"stored": True}
    assert len(stored()) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_find_nothing(method: str):
    async def ask() -> int:
        transport = httpx2.ASGITransport(app=Starlette(routes=ROUTES))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.request(method, "/webhooks/shopify")).status_code

    assert run(ask) == 404


def vectors() -> list[Any]:
    path = SHARED / "oracles" / "hmac" / "vectors.json"
    return json.loads(path.read_text())["webhook"] if path.is_file() else []


def test_the_known_answers_are_here():
    if not vectors():
        missing("the known signatures")
    assert len(vectors()) >= 11


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["id"])
def test_every_known_signature_is_judged_as_shopifys_libraries_do(vector: dict[str, Any]):
    if "body_file" in vector:
        body = Path(SHARED / "oracles" / "hmac" / vector["body_file"]).read_bytes()
    else:
        body = vector["body"].encode()
    assert is_signed(body, vector["hmac"], [vector["secret"]]) is vector["valid"]
    assert is_signed(body, vector["hmac"], ["another", vector["secret"]]) is vector["valid"]
    assert not is_signed(body + b" ", vector["hmac"], [vector["secret"]])
    assert not is_signed(body, vector["hmac"], [])


def test_headers_are_read_by_their_family_and_a_moment_that_is_none_is_none():
    told = {"shopify-hmac-sha256": "s", "shopify-topic": "Orders/Create", "x-shopify-topic": "shop/redact"}
    delivery = read_headers({**told, "shopify-triggered-at": "yesterday"}, b"")
    assert (delivery.topic, delivery.signature, delivery.triggered_at) == ("orders/create", "s", None)
    assert read_headers({"x-shopify-triggered-at": "0001-01-01T00:00:00+23:00"}, b"").triggered_at is None


@pytest.fixture
def served(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The route behind a real server; its port."""
    import uvicorn

    monkeypatch.setattr(webhooks, "BODY_WITHIN_S", 120.0)  # a body is too large here, not too slow
    # Without its own set-up of logging, whose handler would stay for other tests.
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=ROUTES), port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("chunked", [False, True])
def test_of_300_megabytes_hardly_any_are_read(served: int, chunked: bool):
    """Over a real connection, declared or in chunks: the server answers and hangs up."""
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 300000000"
    head = f"POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
    block = b"10000\r\n" + b"x" * 65536 + b"\r\n" if chunked else b"x" * 65536
    sent, answer = 0, b""
    with socket.create_connection(("127.0.0.1", served), timeout=10) as connection:
        connection.sendall(head.encode())
        try:
            while sent < 300_000_000 and not answer:
                connection.sendall(block)
                sent += len(block)
                connection.setblocking(False)
                try:
                    answer = connection.recv(200)
                except BlockingIOError:
                    pass
                finally:
                    connection.settimeout(10)
        except OSError:
            answer = b"HTTP/1.1 413"  # it hung up before we read what it said
    assert answer.startswith(b"HTTP/1.1 413")
    assert sent < 50_000_000
    assert stored() == []


def test_what_comes_at_once_is_stored_together_and_fails_together(database: Engine, monkeypatch: pytest.MonkeyPatch):
    add_shop(1)
    batches: list[int] = []
    honest, refused = webhooks.inbox.receive, {"w-13"}

    def receive(deliveries: Any) -> None:
        batches.append(len(deliveries))
        if refused & {delivery.webhook_id for delivery, _ in deliveries}:
            raise DatabaseUnavailable("The disk is full.")
        honest(deliveries)

    monkeypatch.setattr(webhooks.inbox, "receive", receive)

    async def ask() -> list[int]:
        transport = httpx2.ASGITransport(app=Starlette(routes=ROUTES))
        statuses: list[int] = []

        async def one(number: int) -> None:
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                told = headers(id=f"w-{number}")
                statuses.append((await client.post("/webhooks/shopify", content=ORDER, headers=told)).status_code)

        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(one, number)
        return statuses

    statuses = run(ask)
    assert sum(batches) == 40 and len(batches) < 40
    assert statuses.count(200) == len(stored()) and statuses.count(503) == 40 - len(stored()) > 0
    refused.clear()
    assert run(ask) == [200] * 40
    assert len(stored()) == 40
