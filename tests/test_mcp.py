"""Assistants at /mcp, asked by the SDK's own client over HTTP in the process: the same keys and figures, read only."""

import json
import logging
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from sqlalchemy import Engine
from starlette.applications import Starlette

from core import config
from core.auth import audit, keys, members
from core.db.engine import system_session
from core.db.models import Shop
from core.web import api_door, assistants
from core.web.api_door import Limiter
from core.web.middleware import MIDDLEWARE
from core.web.routes import ROUTES
from tests import factories as make
from tests.api_shop import ALICE, BOB, CHARLIE, NOON, cast, client, fill
from tests.event_loop import run

TOOLS = ["list_metrics", "query_metric", "top_customers", "top_products", "cohorts", "sync_status"]
PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
TAKES = {"Accept": "application/json, text/event-stream"}
# What is stored is asked for by the API's functions, which are tried on both.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def people(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP", "on")
    config.get_settings.cache_clear()
    monkeypatch.setattr(api_door, "LIMITER", Limiter())
    cast()


def http(**named: Any) -> httpx2.AsyncClient:
    app = Starlette(routes=ROUTES, middleware=MIDDLEWARE)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), **named)


def post(body: Any = PING, base: str = "http://localhost", method: str = "POST", **headers: str) -> httpx2.Response:
    """One request to /mcp while the program runs."""

    async def ask() -> httpx2.Response:
        sent = TAKES | {name.replace("_", "-"): value for name, value in headers.items()}
        async with assistants.answering_assistants(), http(headers=sent) as asking:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await asking.request(
                method, f"{base}/mcp", content=content, headers={"Content-Type": "application/json"}
            )

    answer: httpx2.Response = run(ask)
    return answer


def call(secret: str, *calls: tuple[str, dict[str, Any]], mode: str = "auto") -> list[Any]:
    """The results of tool calls by the SDK's client; the tools' names where there are none."""

    async def ask() -> list[Any]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(assistants.answering_assistants())
            asking = await stack.enter_async_context(http(headers={"Authorization": f"Bearer {secret}"}))
            transport = streamable_http_client("http://localhost/mcp", http_client=asking)
            asker = await stack.enter_async_context(Client(transport, mode=mode))
            if not calls:
                return list((await asker.list_tools()).tools)
            return [await asker.call_tool(name, arguments) for name, arguments in calls]

    found: list[Any] = run(ask)
    return found


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_tools_are_told_with_their_arguments_and_only_read(mode):
    tools = call(keys.make(BOB, 1, "Assistant"), mode=mode)
    assert [tool.name for tool in tools] == TOOLS
    for tool in tools:
        assert tool.annotations.read_only_hint and not tool.annotations.destructive_hint and tool.description
    (query,) = (tool for tool in tools if tool.name == "query_metric")
    assert query.input_schema["required"] == ["metric"]
    assert {"from", "to", "period", "compare", "breakdown", "channel"} <= set(query.input_schema["properties"])


def test_the_figures_are_those_of_the_rest_api():
    fill(make.context(1, time_zone="UTC"))
    found = call(
        keys.make(BOB, 1, "Assistant"),
        ("list_metrics", {}),
        ("query_metric", {"metric": "net_sales", "period": "90d", "compare": "previous", "grain": "week"}),
        ("query_metric", {"metric": "net_sales", "period": "all", "breakdown": "channel", "channel": ["web"]}),
        ("top_customers", {"period": "all", "limit": 3, "by": "orders"}),
        ("top_products", {"from": (NOON - timedelta(days=100)).date().isoformat(), "to": NOON.date().isoformat()}),
        ("cohorts", {"measure": "ltv"}),
        ("sync_status", {}),
    )
    asking = client(BOB)
    span = f"from={(NOON - timedelta(days=100)).date()}&to={NOON.date()}"
    theirs = [
        asking.get(path).json()
        for path in (
            "metrics", "metrics/net_sales?period=90d&compare=previous&grain=week",
            "metrics/net_sales?period=all&breakdown=channel&channel=web", "customers/top?period=all&limit=3&by=orders",
            f"products/top?{span}", "cohorts?measure=ltv", "sync",
        )
    ]  # fmt: skip
    assert [each.structured_content for each in found] == theirs
    assert [json.loads(each.content[0].text) for each in found] == theirs
    assert not any(each.is_error for each in found) and all(each["data"] for each in theirs)


def test_a_key_tells_of_its_own_store_only_and_names_only_where_they_are_kept():
    fill(make.context(1, time_zone="UTC"), orders=10)
    asked = ("top_customers", {"period": "all"})
    (theirs,) = call(keys.make(CHARLIE, 2, "Assistant"), asked)
    assert theirs.structured_content["shop"] == "shop-2.myshopify.com" and theirs.structured_content["data"] == []
    secret = keys.make(ALICE, 1, "Assistant")
    assert "Customer " in call(secret, asked)[0].content[0].text
    with system_session(write=True) as session:
        session.get_one(Shop, 1).personal_data = False
    assert "Customer " not in call(secret, asked)[0].content[0].text


def test_what_cannot_be_answered_is_said_in_a_sentence():
    wrong = (
        ("query_metric", {}), ("query_metric", {"metric": "profit"}), ("query_metric", {"metric": 7}),
        ("query_metric", {"metric": "net_sales", "from": "9999-12-31", "to": "9999-12-31"}),
        ("query_metric", {"metric": "net_sales", "channel": ["\x00"]}),
        ("query_metric", {"metric": "taxes", "breakdown": "vendor"}),
        ("query_metric", {"metric": "net_sales", "shop_id": 2}),
        ("top_customers", {"limit": 10**30}), ("top_products", {"limit": 0}), ("cohorts", {"measure": "'; DROP"}),
        ("sync_status", {"full": True}), ("delete_store", {}),
    )  # fmt: skip
    for found, asked in zip(call(keys.make(BOB, 1, "Assistant"), *wrong), wrong, strict=True):
        assert found.is_error and found.content[0].text, asked
    assert "net_sales" in call(keys.make(BOB, 1, "Other"), wrong[1])[0].content[0].text


def test_without_a_key_or_with_a_dead_one_nobody_is_heard():
    for secret in (None, "", "x", "Bearer", "Bearer x", "Basic x"):
        answer = post() if secret is None else post(Authorization=secret)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    secret = keys.make(BOB, 1, "Assistant")
    assert post(Authorization=f"Bearer {secret}").status_code == 200
    members.remove(ALICE, 1, BOB)
    assert post(Authorization=f"Bearer {secret}").status_code == 401


def test_it_is_off_unless_switched_on(monkeypatch):
    secret = keys.make(BOB, 1, "Assistant")
    monkeypatch.delenv("MCP")
    config.get_settings.cache_clear()
    for method in ("GET", "POST", "OPTIONS"):
        assert post(method=method, Authorization=f"Bearer {secret}").status_code == 404


def test_pages_of_other_addresses_are_refused_and_those_bent_to_this_machine_too(monkeypatch):
    known = f"Bearer {keys.make(BOB, 1, 'Assistant')}"

    def status(origin: str, base: str) -> int:
        return post(base=base, Authorization=known, Origin=origin).status_code

    assert status("http://localhost:3000", "http://localhost:3000") == 200
    assert status("http://127.0.0.1:8501", "http://127.0.0.1:8501") == 200
    assert status("https://evil.example", "http://localhost") == 403
    assert status("null", "http://localhost") == 403
    assert status("http://evil.example", "http://evil.example") == 403  # its name leads here (DNS rebinding)
    assert status("https://numbers.example", "https://numbers.example") == 403
    monkeypatch.setenv("APP_URL", "https://numbers.example")
    config.get_settings.cache_clear()
    assert status("https://numbers.example", "https://numbers.example") == 200


def test_only_a_small_post_of_json_is_read():
    known = f"Bearer {keys.make(BOB, 1, 'Assistant')}"
    for method in ("GET", "DELETE", "PUT"):
        answer = post(method=method, Authorization=known)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert post(b"x" * 70_000, Authorization=known).status_code == 413
    for wrong in (b"", b"{", b"[]", b"\xff", b"null", b'{"jsonrpc": "2.0", "id": 1}', b"[" * 5_000):
        assert 400 <= post(wrong, Authorization=known).status_code < 500
    answer = post(Authorization=known)
    assert answer.headers["cache-control"] == "no-store"
    assert [tool["name"] for tool in answer.json()["result"]["tools"]] == TOOLS


def test_it_counts_with_the_other_requests_of_the_key_and_its_use_is_in_the_audit_list(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("core"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    secret = keys.make(BOB, 1, "Assistant")
    monkeypatch.setattr(api_door, "LIMITER", Limiter(most=2))
    assert [post(Authorization=f"Bearer {secret}").status_code for _ in range(3)] == [200, 200, 429]
    span = {"since": NOON - timedelta(days=2), "until": NOON + timedelta(days=2)}
    assert [each.target for each in audit.events(1, action="key_used", **span)] == ["Assistant"]
    assert secret not in caplog.text
