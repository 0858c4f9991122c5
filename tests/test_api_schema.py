"""The description of the API holds: nothing it allows breaks the program, and its examples are true answers."""

import re
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema
import pytest
import uvicorn
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode, openapi
from sqlalchemy import Engine
from starlette.applications import Starlette

from core.auth import keys
from core.db.engine import shop_session, system_session
from core.db.models import AbandonedCheckout, SyncRun
from core.web import api_door
from core.web.api import ENDPOINTS, api
from core.web.api_docs import curl_examples, python_example
from core.web.api_door import Limiter
from core.web.api_examples import EXAMPLES
from core.web.routes import ROUTES
from tests import factories as make
from tests.api_shop import ALICE, NOON, cast, client, fill, with_key
from tests.test_docs import README

HERE = "https://numbers.example"
SCHEMA = openapi.from_dict(api.openapi())


@pytest.fixture(autouse=True)
def shop(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_door, "LIMITER", Limiter(most=100_000))
    cast()
    fill(make.context(1, time_zone="UTC"), orders=20)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_whatever_the_description_allows_or_not_is_answered():
    """By schemathesis: values that fit the description, and values that do not; PostgreSQL minds more of them."""
    asking, told = client(ALICE), set()

    def attack(case: Any) -> None:
        sent = case.as_transport_kwargs(base_url="http://localhost/api/v1")
        known = {name: sent[name] for name in ("method", "url", "params", "json") if name in sent}
        answer = asking.request(**known, content=sent.get("data"))
        documented = case.operation.definition.raw["responses"]
        assert str(answer.status_code) in documented and answer.status_code < 500, (case, answer.text)
        told.add(answer.status_code)

    bounded = settings(max_examples=8, deadline=None, database=None, phases=[Phase.generate],
                       suppress_health_check=list(HealthCheck))  # fmt: skip
    for operation in SCHEMA.get_all_operations():
        for mode in GenerationMode:
            seed(20261120)(bounded(given(operation.ok().as_strategy(mode))(attack)))()
    assert {200, 202, 404, 422} <= told


def fields(example: Any, found: Any) -> None:
    """Both have the same names and kinds of values everywhere, as far as they are known."""
    if isinstance(example, dict) and isinstance(found, dict) and not set(example) & {"orders", "customers/update"}:
        assert list(found) == list(example)
        for name, value in example.items():
            fields(value, found[name])
    elif isinstance(example, list) and isinstance(found, list):
        assert found, "nothing to compare"
        fields(example[0], found[0])
    elif None not in (example, found):
        assert isinstance(found, type(example) | int if isinstance(example, float) else type(example))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_examples_have_the_shape_of_the_answers():
    asking = client(ALICE)
    with shop_session(1, write=True) as session:
        session.add(AbandonedCheckout(shop_id=1, id=1, name="#1", created_at=NOON, day=NOON.date(), updated_at=NOON,
                                      subtotal=0, total_discount=0, total=1))  # fmt: skip
    with system_session(write=True) as session:
        session.add(SyncRun(shop_id=1, trigger="button", outcome="ok", started_at=NOON, updated_at=NOON))
    assert set(EXAMPLES) == {(method, path) for path, _, method in ENDPOINTS if path != "/export/{table}"}
    for (method, path), example in EXAMPLES.items():
        asked = path.strip("/").replace("{metric}", "net_sales").replace("{order_id}", "1")
        ranged = {"period": "all", "compare": "previous"} if "from" in example else {}
        if "next" in example:
            ranged["limit"] = "1"
        found = asking.request(method, asked, params=ranged).json()
        fields(example, found)
        status = "202" if (method, path) == ("POST", "/sync") else "200"
        described = api.openapi()["paths"][path][method.lower()]["responses"][status]["content"]["application/json"]
        jsonschema.validate(found, described["schema"])
        jsonschema.validate(example, described["schema"])


@contextmanager
def served() -> Iterator[str]:
    """The routes on a free port of this machine; yields their address."""
    # Without its own set-up of logging, whose handler would stay for other tests.
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=ROUTES), port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def block(language: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (found,) = (block for block in blocks if "SHOPTALLY_KEY" in block)
    return str(found)


def test_the_readme_shows_the_examples_of_the_program():
    assert block("bash").strip() == curl_examples(HERE)
    assert block("python") == python_example(HERE)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_script_of_the_readme_prints_the_figure_and_every_order_of_its_days(monkeypatch, capsys):
    monkeypatch.setenv("SHOPTALLY_KEY", keys.make(ALICE, 1, "Script"))
    with served() as address:
        exec(compile(block("python").replace(HERE, address), "README", "exec"), {})
    first, *orders = capsys.readouterr().out.splitlines()
    found = client(ALICE).get("metrics/net_sales?period=90d&compare=previous").json()
    assert first == f"{found['total']} USD {found['change']}"
    listed = client(ALICE).get("orders?period=90d&limit=500").json()["data"]
    assert orders == [f"{order['name']} {order['net_sales']}" for order in listed] and orders


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_requests_by_curl_are_answered():
    secret, statuses = keys.make(ALICE, 1, "curl"), []
    for line in block("bash").splitlines():
        words = shlex.split(line.replace("$SHOPTALLY_KEY", secret))
        options = dict(zip(words[1:-1:2], words[2:-1:2], strict=True))  # the last -H wins, the first is the key
        assert words[:3] == ["curl", "-H", f"Authorization: Bearer {secret}"] and words[-1].startswith(HERE)
        headers, url = dict(word.split(": ", 1) for word in words if ": " in word), words[-1]
        method, url = options.get("-X", "GET"), url.replace(HERE, "http://localhost")
        answer = with_key(None).request(method, url, headers=headers)
        statuses.append(answer.status_code)
    assert statuses == [200, 200, 200, 200, 202]
