"""What Prometheus reads at /metrics, and who may."""

import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine
from starlette.applications import Starlette

from core import config
from core.db.engine import system_session
from core.db.models import SyncRun, SyncState, WebhookEvent
from core.sync import gauges, heartbeat
from core.ui import timing
from core.web.routes import ROUTES
from tests import factories as make
from tests.event_loop import run

TOKEN = "sixteen-letters-or-more"
SHOP, OTHER = 1, 2


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    config.get_settings.cache_clear()
    return TOKEN


def scrape(authorization: str | None = f"Bearer {TOKEN}", **headers: str) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=Starlette(routes=ROUTES))
        sent = {**headers, **({"Authorization": authorization} if authorization is not None else {})}
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/metrics", headers=sent)

    return run(ask)


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Every sample of ours by its name and labels."""
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("shoptally_")
    }


def test_without_a_token_there_are_no_metrics(database: Engine):
    assert scrape().status_code == 404
    assert scrape(None).status_code == 404


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer %C3%A9"]
)
def test_only_who_sends_the_token_reads_them(token: str, authorization: str | None):
    answer = scrape(authorization)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "shoptally_" not in answer.text and TOKEN not in answer.text


def test_syncs_are_told_by_store_stream_and_outcome(token: str, database: Engine):
    now = datetime.now(UTC)
    make.add_shop(SHOP, reauth_since=now, name="Nobody's Business")
    make.add_shop(OTHER)
    with system_session(write=True) as session:
        orders = session.get_one(SyncState, (SHOP, "orders"))
        orders.succeeded_at, orders.due_at, orders.failures = now - timedelta(hours=3), now - timedelta(minutes=2), 4
        held = session.get_one(SyncState, (OTHER, "orders"))
        held.due_at, held.lease_until = now - timedelta(days=1), now + timedelta(minutes=1)
        for outcome, cost in (("ok", 100), ("ok", 20), ("failed", 3)):
            run = {"trigger": "worker", "requests": 2, "bytes": 5_000_000_000, "started_at": now, "updated_at": now}
            session.add(SyncRun(shop_id=SHOP, outcome=outcome, cost=cost, **run))
    heartbeat.beat()
    found = figures(scrape().text)
    assert 10_800 <= found["shoptally_sync_age_seconds", "shop=1", "stream=orders"] < 10_900
    assert ("shoptally_sync_age_seconds", "shop=2", "stream=orders") not in found  # never: no number
    assert found["shoptally_sync_failures_in_a_row", "shop=1", "stream=orders"] == 4
    assert found["shoptally_sync_runs_total", "outcome=ok", "shop=1"] == 2
    assert found["shoptally_sync_runs_total", "outcome=failed", "shop=1"] == 1
    assert found["shoptally_api_cost_points_total", "outcome=ok", "shop=1"] == 120
    assert found["shoptally_api_received_bytes_total", "outcome=ok", "shop=1"] == 10_000_000_000
    assert found["shoptally_sync_due_streams",] == 1  # what a worker holds does not wait
    assert 120 <= found["shoptally_sync_due_longest_seconds",] < 220
    assert found["shoptally_shop_token_refused", "shop=1"] == 1
    assert found["shoptally_workers",] == 1
    assert (found["shoptally_shops",], found["shoptally_database_up",]) == (2, 1)


def test_the_inbox_is_told_by_state_and_age(token: str, database: Engine):
    now = datetime.now(UTC)
    make.add_shop(SHOP)
    with system_session(write=True) as session:
        for name, state, minutes in (("a", "waiting", 9), ("b", "waiting", 5), ("c", "dead", 60), ("d", "done", 1)):
            received_at = now - timedelta(minutes=minutes)
            kept = {"domain": "x.myshopify.com", "topic": "orders/create", "shop_id": SHOP}
            session.add(WebhookEvent(webhook_id=name, state=state, received_at=received_at, **kept))
    found = figures(scrape().text)
    assert {state: found["shoptally_webhooks", f"state={state}"] for state in ("waiting", "dead", "done")} == {
        "waiting": 2,
        "dead": 1,
        "done": 1,
    }
    assert 540 <= found["shoptally_webhook_oldest_waiting_seconds",] < 640
    assert 60 <= found["shoptally_webhook_age_seconds", "shop=1"] < 160


def test_figures_name_stores_by_id_alone_and_no_people(token: str, database: Engine):
    make.add_shop(SHOP, name="Nobody's Business", domain="private-store.myshopify.com")
    make.add_user(1, "alice@owners.example", SHOP)
    text = scrape().text
    assert 'shop="1"' in text
    assert not re.search("private-store|Nobody|alice|@", text)


def test_an_empty_installation_has_figures_too(token: str, database: Engine):
    found = figures(scrape().text)
    assert found["shoptally_shops",] == 0
    assert found["shoptally_webhooks", "state=dead"] == 0
    assert gauges.read_gauges().longest_due_s == 0.0


def test_a_database_that_is_away_is_a_figure_and_no_error(token: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    config.get_settings.cache_clear()
    answer = scrape()
    assert (answer.status_code, figures(answer.text)["shoptally_database_up",]) == (200, 0)
    assert "hunter2" not in answer.text


def test_pages_are_measured_also_when_they_stop_before_their_end(token: str, database: Engine):
    def counted() -> float:
        return figures(scrape().text).get(("shoptally_page_seconds_count", "page=measured-here"), 0)

    before = counted()
    with timing.measured("measured-here"):
        pass
    with pytest.raises(KeyError), timing.measured("measured-here"):
        raise KeyError
    assert counted() == before + 2


def test_prometheus_gets_the_format_it_asks_for(token: str, database: Engine):
    assert scrape(Accept="text/plain").headers["content-type"].startswith("text/plain; version=0.0.4")
    answer = scrape(Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert answer.headers["cache-control"] == "no-store"
