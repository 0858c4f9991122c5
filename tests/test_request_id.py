"""Every request has an id, in its answer and in the lines it writes."""

import logging
import re
from collections.abc import Iterator

import httpx2
import pytest
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core import log
from core.sync import jobs
from core.web.middleware import MIDDLEWARE
from tests.demo_sync import ALICE, add_demo_shops, stage_demo
from tests.event_loop import run


def _speak(_: Request) -> PlainTextResponse:
    logging.getLogger("core.web").warning("said")
    return PlainTextResponse("done")


def ask(**headers: str) -> httpx2.Response:
    async def send() -> httpx2.Response:
        program = Starlette(routes=[Route("/speak", _speak)], middleware=MIDDLEWARE)
        transport = httpx2.ASGITransport(app=program)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/speak", headers=headers)

    return run(send)


def about(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """What the captured lines are about."""
    return [dict(record.about) for record in caplog.records]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.LogCaptureFixture]:
    """Lines with what they are about, as configure() makes them."""
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(log._record_with_masked_traceback)
    monkeypatch.setattr(logging.getLogger("core"), "propagate", True)
    yield caplog
    logging.setLogRecordFactory(factory)


def test_a_request_keeps_the_id_it_came_with(lines):
    assert ask(**{"X-Request-ID": "edge-01.a_B"}).headers["x-request-id"] == "edge-01.a_B"
    assert about(lines) == [{"request_id": "edge-01.a_B"}]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "-begins", 'quoted"', "[31m", "ana@mail.example"])
def test_another_id_is_made_where_that_could_not_stand_in_a_log(lines, given):
    made = ask(**({"X-Request-ID": given} if given else {})).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert about(lines) == [{"request_id": made}]


def test_two_requests_have_two_ids():
    assert ask().headers["x-request-id"] != ask().headers["x-request-id"]


def test_lines_of_a_sync_tell_its_shop_and_its_run(database: Engine, monkeypatch, lines):
    stage_demo(monkeypatch)
    add_demo_shops()
    with lines.at_level("INFO", logger="core.sync"):
        found = jobs.sync_now(ALICE, ["shop"])
    assert {"shop_id": ALICE, "run_id": found.run_id} in about(lines)
