"""The demo store's front: answers over HTTP what the client would ask Shopify."""

import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any

import httpx2
import msgspec
from graphql import DocumentNode, FragmentDefinitionNode, OperationDefinitionNode, get_operation_ast

from core.demo.answers import Asked, answer, demo_schema, read_query
from core.demo.catalogue import DEMO_SHOPS, DemoShop
from core.demo.costs import selection_cost
from core.demo.live import Placed
from core.demo.operations import Operations
from core.demo.shapes import Shape
from core.demo.subscriptions import Subscriptions
from core.demo.views import Store, open_store, place_live, take_snapshot
from core.shopify.queries import API_VERSION

FILES_HOST = "storage.demo.shoptally.invalid"
BUCKET_POINTS = 2_000.0
RESTORED_PER_S = 100.0
MAX_QUERY_COST = 1_000


def utc_now() -> datetime:
    """This moment, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def demo_transport(
    domain: str,
    *,
    opened_on: date,
    now: Callable[[], datetime] = utc_now,
    files_at: str = f"https://{FILES_HOST}",
    placed: Placed = (),
) -> httpx2.BaseTransport:
    """A transport that answers as Shopify would for the demo shop `domain`, whose first day is `opened_on`.

    All transports of one (domain, opened_on) share its history and bulk operations; each has a rate limit of
    its own. `now` is the moment the shop is seen at; `files_at` is where bulk files are said to be; `placed` are live
    orders that the shop has, too.
    """
    return DemoTransport(domain, opened_on, now, files_at, placed)


@dataclass
class _Place:
    """What all transports of one shop share."""

    store: Store
    operations: Operations = field(default_factory=Operations)
    subscriptions: Subscriptions = field(default_factory=Subscriptions)


@dataclass
class _Bucket:
    """The leaky bucket of one installed app; it refills in real time."""

    points: float = BUCKET_POINTS
    filled_at_s: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)


class DemoTransport(httpx2.BaseTransport):
    """An httpx2 transport in front of one demo shop."""

    def __init__(
        self, domain: str, opened_on: date, now: Callable[[], datetime], files_at: str, placed: Placed = ()
    ) -> None:
        self._shop = next((shop for shop in DEMO_SHOPS if shop.domain == domain), None)
        self._opened_on = opened_on
        self._now = now
        self._files_at = f"{files_at}/{domain}/bulk"
        self._placed = tuple(placed)
        self._bucket = _Bucket()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Shopify's answer to a GraphQL request or to a bulk file's address."""
        shop, at = self._shop, self._now().astimezone(UTC)
        if shop is None:
            return _respond(404, {"errors": "Not Found"}, at)
        place = _place(shop, self._opened_on)
        place_live(place.store, self._placed)
        if request.method == "GET" and (file := re.search(r"/bulk/(\d+)-([0-9a-f]{32})\.jsonl$", request.url.path)):
            return _respond_file(place.operations, int(file[1]), file[2])
        if request.method != "POST" or not re.search(r"/admin/api/[^/]+/graphql\.json$", request.url.path):
            return _respond(404, {"errors": "Not Found"}, at)
        if request.headers.get("X-Shopify-Access-Token") != shop.token:
            message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return _respond(401, {"errors": message}, at)
        status, answered = self._answer(place, request.read(), at)
        return _respond(status, answered, at)

    def _answer(self, place: _Place, body: bytes, at: datetime) -> tuple[int, Shape]:
        try:
            asked = msgspec.json.decode(body, type=_Body)
        except msgspec.DecodeError:
            return 400, {"errors": {"query": "Required parameter missing or invalid"}}
        document, errors = read_query(asked.query)
        operation = get_operation_ast(document, asked.operation_name) if document else None
        if document is None or operation is None:
            return 200, {"errors": errors or [{"message": "An operation name is required"}]}
        variables = asked.variables or {}
        requested = _cost(document, operation, variables)
        if requested > MAX_QUERY_COST:
            return 200, _too_costly(requested)
        if not _draw(self._bucket, requested):
            error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": _LIMITS_PAGE}}
            return 200, {"errors": [error], "extensions": {"cost": self._spent(requested, None)}}
        snapshot = take_snapshot(place.store, at)
        question = Asked(snapshot, place.operations, self._files_at, place.subscriptions)
        result = answer(question, document, variables, asked.operation_name)
        actual = min(requested, _cost(document, operation, variables, result.get("data"), answered=True))
        _draw(self._bucket, actual - requested)
        result["extensions"] = {"cost": self._spent(requested, actual), **result.get("extensions", {})}
        return 200, result

    def _spent(self, requested: int, actual: int | None) -> Shape:
        return {
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": int(BUCKET_POINTS),
                "currentlyAvailable": int(self._bucket.points),
                "restoreRate": int(RESTORED_PER_S),
            },
        }


class _Body(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")


_PLACES: dict[tuple[str, date], _Place] = {}
_PLACES_LOCK = threading.Lock()


def _place(shop: DemoShop, opened_on: date) -> _Place:
    with _PLACES_LOCK:
        return _PLACES.setdefault((shop.domain, opened_on), _Place(open_store(shop, opened_on)))


def _cost(
    document: DocumentNode, operation: OperationDefinitionNode, variables: dict[str, Any], data: object = None,
    *, answered: bool = False,
) -> int:  # fmt: skip
    schema = demo_schema()
    root = schema.get_root_type(operation.operation)
    assert root is not None
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    return selection_cost(schema, operation.selection_set, root, variables, fragments, data, answered=answered)


def _draw(bucket: _Bucket, points: float) -> bool:
    """Take points out (or, negative, put them back); False when there are not enough."""
    with bucket.lock:
        moment_s = time.monotonic()
        bucket.points = min(BUCKET_POINTS, bucket.points + (moment_s - bucket.filled_at_s) * RESTORED_PER_S)
        bucket.filled_at_s = moment_s
        if points > bucket.points:
            return False
        bucket.points = min(BUCKET_POINTS, bucket.points - points)
        return True


def _too_costly(requested: int) -> Shape:
    message = f"Query cost is {requested}, which exceeds the single query max cost limit ({MAX_QUERY_COST})."
    extensions = {
        "code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": MAX_QUERY_COST, "documentation": _LIMITS_PAGE,
    }  # fmt: skip
    return {"errors": [{"message": message, "extensions": extensions}]}


def _respond_file(operations: Operations, number: int, key: str) -> httpx2.Response:
    operation = operations.by_number.get(number)
    if operation is None or operation.file is None or operation.key != key:
        return httpx2.Response(404, content=b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>")
    return httpx2.Response(200, headers={"Content-Type": "application/jsonl"}, content=operation.file.content)


def _respond(status: int, body: Shape, at: datetime) -> httpx2.Response:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Shopify-API-Version": API_VERSION,
        "X-Request-ID": str(uuid.uuid4()),
        "Date": format_datetime(at, usegmt=True),
    }
    return httpx2.Response(status, headers=headers, content=msgspec.json.encode(body))


_LIMITS_PAGE = "https://shopify.dev/api/usage/rate-limits"
