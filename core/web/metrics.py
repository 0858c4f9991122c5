"""GET /metrics for Prometheus: what any replica answers alike is read from the database at each scrape.

Stores are named by their id here, never by name or address: such figures travel far. Seconds of pages, memory and
the like are this process's own. https://prometheus.io/docs/practices/naming/
"""

import hmac
from collections.abc import Iterable, Iterator

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.config import get_settings
from core.errors import AppError
from core.sync.gauges import Gauges, read_gauges

_NOT_KEPT = {"Cache-Control": "no-store"}


def metrics(request: Request) -> Response:
    """The figures for who sends METRICS_TOKEN; 401 for others, 404 while it is not set."""
    token = get_settings().metrics_token
    if token is None:
        return JSONResponse({"error": "There is nothing at this address."}, 404)
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not right:
        refused = {"error": "Send METRICS_TOKEN as Authorization: Bearer."}
        return JSONResponse(refused, 401, {**_NOT_KEPT, "WWW-Authenticate": "Bearer"})
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(_EVERYTHING), headers={**_NOT_KEPT, "Content-Type": kind})


class _FromDatabase(Collector):
    """Prometheus's door to Gauges."""

    def collect(self) -> Iterator[Metric]:
        try:
            gauges = read_gauges()
        except AppError:
            yield GaugeMetricFamily("shoptally_database_up", "Whether the database answers.", value=0)
            return
        yield GaugeMetricFamily("shoptally_database_up", "Whether the database answers.", value=1)
        yield from _of_syncs(gauges)
        yield from _of_webhooks(gauges)


class _Both(Collector):
    """This process's own figures, and those of the database."""

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
        yield from _FromDatabase().collect()


_EVERYTHING = CollectorRegistry(auto_describe=False)
_EVERYTHING.register(_Both())


def _of_syncs(gauges: Gauges) -> Iterator[Metric]:
    yield GaugeMetricFamily("shoptally_shops", "Stores that are connected.", value=gauges.shops)
    yield _gauge(
        "shoptally_shop_token_refused",
        "1 for a store whose access token Shopify refuses.",
        ("shop",),
        (((str(shop),), 1) for shop in gauges.refused),
    )
    yield _gauge(
        "shoptally_sync_age_seconds",
        "Seconds since a stream's last success; none before the first.",
        ("shop", "stream"),
        (((str(one.shop_id), one.stream), one.age_s) for one in gauges.streams if one.age_s is not None),
    )
    yield _gauge(
        "shoptally_sync_failures_in_a_row",
        "Failures of a stream since its last success.",
        ("shop", "stream"),
        (((str(one.shop_id), one.stream), one.failures) for one in gauges.streams),
    )
    for name, about, value in _COUNTERS:
        counter = CounterMetricFamily(name, about, labels=("shop", "outcome"))
        for runs in gauges.runs:
            if runs.outcome != "running":
                counter.add_metric((str(runs.shop_id), runs.outcome), getattr(runs, value))
        yield counter
    due = sum(one.due for one in gauges.streams)
    running = sum(runs.runs for runs in gauges.runs if runs.outcome == "running")
    yield GaugeMetricFamily("shoptally_sync_due_streams", "Streams that wait for a worker.", value=due)
    yield GaugeMetricFamily(
        "shoptally_sync_due_longest_seconds", "How long the longest waits.", value=gauges.longest_due_s
    )
    yield GaugeMetricFamily("shoptally_sync_running", "Runs that go on, or were cut off a moment ago.", value=running)
    yield GaugeMetricFamily("shoptally_workers", "Workers that live.", value=gauges.workers.workers)


def _of_webhooks(gauges: Gauges) -> Iterator[Metric]:
    yield _gauge(
        "shoptally_webhooks",
        "Deliveries that are kept, by what became of them; dead ones wait to be replayed.",
        ("state",),
        (((state,), gauges.inbox.get(state, 0)) for state in sorted({"waiting", "dead", *gauges.inbox})),
    )
    yield GaugeMetricFamily(
        "shoptally_webhook_oldest_waiting_seconds",
        "How long the oldest delivery waits to be settled.",
        value=gauges.oldest_waiting_s,
    )
    yield _gauge(
        "shoptally_webhook_age_seconds",
        "Seconds since a store's last delivery.",
        ("shop",),
        (((str(shop),), age_s) for shop, age_s in sorted(gauges.webhook_age_s.items())),
    )


def _gauge(
    name: str, about: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


_COUNTERS = (
    ("shoptally_sync_runs", "Runs that ended, by how.", "runs"),
    ("shoptally_api_requests", "Requests to Shopify.", "requests"),
    ("shoptally_api_cost_points", "Points of Shopify's rate limit that were used.", "cost"),
    ("shoptally_api_received_bytes", "Bytes received from Shopify, files too.", "bytes"),
)
