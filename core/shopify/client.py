"""One shop, spoken to over HTTP: requests paced and retried, answers classified, the token kept in."""

import logging
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self, TypeGuard

import httpx2
import msgspec
import shopify

from core.errors import (
    AccessDenied,
    BulkFailed,
    GarbageAnswer,
    InputError,
    QueryRefused,
    QueryTooCostly,
    ServerFault,
    ShopFrozen,
    ShopifyError,
    ShopLocked,
    ShopNotFound,
    Throttled,
    TokenRejected,
    Unreachable,
)
from core.log import mask
from core.shopify.queries import API_VERSION

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
LONGEST_BACKOFF_S = 30.0
LONGEST_PAUSE_S = 120.0  # told to wait longer, we give the worker back and raise Throttled
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
_TOKEN = "X-Shopify-Access-Token"
# The access token to use now; given the one that was just rejected, another one, or the same where there is none.
TokenSource = Callable[[str | None], str]


@dataclass(frozen=True)
class Answer:
    """Data of one answer; `degraded` tells which fields Shopify left out and why ("shop.plan: Access denied ...")."""

    data: dict[str, Any]
    degraded: tuple[str, ...]
    requested_cost: int | None
    server_time: datetime | None


@dataclass(frozen=True)
class _Bucket:
    """Points of the rate limit as last told, on the client's clock."""

    available: float
    maximum: float
    restored_per_s: float
    seen_at_s: float


def shop_domain(text: str) -> str:
    """The full myshopify domain for what a merchant types or pastes. Raises InputError."""
    match = _SHOP.fullmatch(text.strip(" ").lower()) if text.isascii() else None
    if match is None:
        raise InputError(
            "This is not a Shopify store address. Write the name before .myshopify.com, for example my-store or "
            "my-store.myshopify.com; you find it in the admin under Settings, Domains."
        )
    return f"{match['bare'] or match['shop'] or match['admin']}.myshopify.com"


def address_of(domain: str, base_url: str | None) -> str:
    """Where a shop is asked: https and its domain, or what stands in for it."""
    return (base_url or "https://{shop}").replace("{shop}", domain).rstrip("/")


class ShopClient(shopify.GraphQL):  # type: ignore[misc]  # the SDK has no types
    """The SDK's GraphQL client for one shop with its own endpoint, token and transport.

    The SDK's constructor reads a global session, which mixes shops under threads, and its transport has no
    time-out and forwards the token on a redirect; both are replaced here.
    """

    def __init__(
        self,
        domain: str,
        token: str | TokenSource,
        *,
        base_url: str | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._source = token if callable(token) else None
        self.headers: dict[str, str] = {}
        if isinstance(token, str):
            self._take(token)
        self.domain = shop_domain(domain)
        self.base_url = address_of(self.domain, base_url)
        self.endpoint = f"{self.base_url}/admin/api/{API_VERSION}/graphql.json"
        self.requests = 0
        self.cost = 0  # points of the rate limit, as charged
        self.bytes_received = 0  # unpacked; downloads not counted
        self.sleep = sleep
        self.clock = clock
        self._random = random
        self._answer_within_s = connect_timeout_s + read_timeout_s
        self._http = httpx2.Client(
            transport=transport,
            timeout=httpx2.Timeout(read_timeout_s, connect=connect_timeout_s),
            follow_redirects=False,
        )
        self._bucket: _Bucket | None = None
        self._costs: dict[str, float] = {}
        self._silent_until_s = -math.inf
        self._warned_of_version = False

    def __repr__(self) -> str:
        return f"ShopClient({self.domain!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def holds(self, token: str) -> bool:
        """Whether this is the access token in use."""
        return self.headers.get(_TOKEN) == token

    def execute(
        self, query: str, variables: Mapping[str, Any] | None = None, operation_name: str | None = None
    ) -> Answer:
        """Ask, wait for the rate limit, retry what may pass; the answer has data.

        Raises a ShopifyError. A mutation may have run although its answer was lost: after Unreachable,
        ServerFault or a retry inside this call it can have run twice.
        """
        body = msgspec.json.encode({"query": query, "variables": variables or {}, "operationName": operation_name})
        tries: Counter[type[ShopifyError]] = Counter()
        while True:
            self._pace(query)
            try:
                return self._ask_with_token(query, body)
            except ShopifyError as fault:
                tries[type(fault)] += 1
                if fault.permanent or tries[type(fault)] >= _TRIES.get(type(fault), 6):
                    raise
                log.warning("%s: try %d failed: %s", self.domain, tries.total(), fault)
                if isinstance(fault, Throttled):
                    self._silent_until_s = self.clock() + fault.retry_after_s * (1 + 0.1 * self._random())
                else:
                    longest_s = min(LONGEST_BACKOFF_S, 2.0 ** tries[type(fault)])
                    self.sleep(longest_s * (1 + self._random()) / 2)

    @contextmanager
    def download(self, url: str, *, start: int = 0) -> Iterator[httpx2.Response]:
        """Open the address of a result as a stream, from a byte on; without the token, for it is another host.

        The status tells whether the server did so (206) or sends everything (200). Raises BulkFailed when the address
        does not serve the file (it expires after 7 days), Unreachable, ServerFault; also while the body is read.
        """
        try:
            # Ranges count the bytes as they are sent: unpacked ones would not fit together.
            headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"} if start else {}
            with self._http.stream("GET", httpx2.URL(self.base_url + "/").join(url), headers=headers) as response:
                if response.status_code >= 500 or response.status_code == 429:
                    raise ServerFault(f"The store of results answered {response.status_code}. Try again later.")
                if response.status_code != 200 and not (start and response.status_code == 206):
                    raise BulkFailed(
                        f"The result is not at its address (HTTP {response.status_code}); addresses expire after "
                        "7 days. Start the sync again."
                    )
                yield response
        except (httpx2.RequestError, httpx2.InvalidURL) as fault:
            raise Unreachable(f"The result could not be read to its end ({type(fault).__name__}).") from fault

    def _pace(self, query: str) -> None:
        now_s = self.clock()
        wait_s = self._silent_until_s - now_s
        if self._bucket is not None and self._bucket.restored_per_s > 0:
            bucket = self._bucket
            available = bucket.available + (now_s - bucket.seen_at_s) * bucket.restored_per_s
            needed = min(self._costs.get(query, 0.0), bucket.maximum)
            wait_s = max(wait_s, (needed - available) / bucket.restored_per_s)
        if wait_s > LONGEST_PAUSE_S:
            raise Throttled(f"Shopify asks {self.domain} to wait for {wait_s:.0f} s. Try again then.", wait_s)
        if wait_s > 0:
            self.sleep(wait_s)

    def _take(self, token: str) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise InputError("The access token is empty or holds blanks or line breaks. Copy it again.")
        self.headers = {_TOKEN: token}

    def _ask_with_token(self, query: str, body: bytes) -> Answer:
        if self._source is None:
            return self._ask(query, body)
        self._take(self._source(None))
        try:
            return self._ask(query, body)
        except TokenRejected:
            self._take(self._source(self.headers[_TOKEN]))
            return self._ask(query, body)

    def _ask(self, query: str, body: bytes) -> Answer:
        self.requests += 1
        headers = self.merge_headers({"Accept": "application/json", "Content-Type": "application/json"}, self.headers)
        deadline_s = self.clock() + self._answer_within_s
        try:
            with self._http.stream("POST", self.endpoint, content=body, headers=headers) as response:
                request_id = re.sub(r"[^\w-]", "", response.headers.get("X-Request-ID", ""))[:64] or "unknown"
                where = f"{self.domain} (request {request_id})"
                self._check_status(response, where)
                self._check_version(response)
                raw = self._read(response, where, deadline_s)
        except httpx2.DecodingError as fault:
            raise GarbageAnswer(f"The answer of {self.domain} is damaged. Try again later.") from fault
        except httpx2.RequestError as fault:
            # The exception's own text can quote what was sent: only its name goes on.
            raise Unreachable(
                f"{self.domain} could not be reached ({type(fault).__name__}). Check the connection and try again."
            ) from fault
        return self._understand(query, raw, where, _date(response.headers.get("Date")))

    def _read(self, response: httpx2.Response, where: str, deadline_s: float) -> bytes:
        # The time-outs of the transport start anew with every byte; this one ends a drip.
        raw = bytearray()
        for chunk in response.iter_bytes():
            raw += chunk
            if len(raw) > LARGEST_ANSWER_BYTES:
                raise GarbageAnswer(f"The answer of {where} is larger than any answer should be.")
            if self.clock() > deadline_s:
                raise Unreachable(f"The answer of {where} took too long. Try again later.")
        self.bytes_received += len(raw)
        return bytes(raw)

    def _check_status(self, response: httpx2.Response, where: str) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        if status == 429:
            retry_after_s = _retry_after_s(response.headers)
            raise Throttled(f"Shopify asks to wait before the next request to {where}.", retry_after_s)
        if 300 <= status < 400:
            raise ShopNotFound(f"{where} redirects elsewhere: the shop may have been renamed. Connect it again.")
        if status in _FAULTS:
            kind, sentence = _FAULTS[status]
            raise kind(sentence.format(where=where))
        if status >= 500 or status == 430:
            raise ServerFault(f"Shopify answered {status} for {where}. Try again later.")
        raise QueryRefused(f"Shopify refused the request to {where} (HTTP {status}).")

    def _check_version(self, response: httpx2.Response) -> None:
        version = response.headers.get("X-Shopify-API-Version", API_VERSION)
        if version != API_VERSION and not self._warned_of_version:
            self._warned_of_version = True
            log.warning("%s: asked for API version %s, got %s; update the app", self.domain, API_VERSION, version[:20])

    def _understand(self, query: str, raw: bytes, where: str, server_time: datetime | None) -> Answer:
        try:
            payload = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise GarbageAnswer(f"The answer of {where} is not JSON. Try again later.") from fault
        if not isinstance(payload, dict):
            raise GarbageAnswer(f"The answer of {where} is not an object. Try again later.")
        extensions = _object(payload.get("extensions"))
        requested_cost = self._note_cost(query, _object(extensions.get("cost")))
        data = payload.get("data")
        errors = [_Problem.of(error) for error in _list(payload.get("errors"))]
        degraded = self._judge(errors, _object(data), where)
        if not isinstance(data, dict):
            raise GarbageAnswer(f"The answer of {where} has neither data nor errors. Try again later.")
        for search in _list(extensions.get("search")):
            for warning in _list(_object(search).get("warnings")):
                field, message = _object(warning).get("field"), _Problem.of(warning).message
                raise QueryRefused(f"Shopify would ignore the filter on {field} and send everything: {message}")
        return Answer(data, degraded, requested_cost, server_time)

    def _judge(self, errors: "list[_Problem]", data: dict[str, Any], where: str) -> tuple[str, ...]:
        """The fields that are missing, when the rest of the data stands; else raises the error's kind."""
        for error in errors:
            if error.code == "THROTTLED":
                # Where the bucket is known, _pace waits for exactly the missing points; this is the least.
                known = self._bucket is not None and self._bucket.restored_per_s > 0
                raise Throttled(f"The rate limit of {where} is used up.", 1.0 if known else 2.0)
            if error.code in _TRANSIENT_CODES or error.message.startswith("Internal error"):
                raise ServerFault(f"Shopify failed on the query to {where}: {error.message}")
        for error in errors:
            if error.code == "MAX_COST_EXCEEDED":
                raise QueryTooCostly(f"{error.message} Ask for a smaller page.")
            if error.path and data.get(error.path[0]) is not None:
                continue
            if error.code == "ACCESS_DENIED":
                raise AccessDenied(f"{error.message} Grant the access to the app and sync again.")
            raise QueryRefused(f"Shopify refused the query: {error.message}")
        return tuple(dict.fromkeys(f"{'.'.join(error.path)}: {error.message}" for error in errors))

    def _note_cost(self, query: str, cost: dict[str, Any]) -> int | None:
        status = _object(cost.get("throttleStatus"))
        available, maximum, restored_per_s = (
            status.get(key) for key in ("currentlyAvailable", "maximumAvailable", "restoreRate")
        )
        if _is_number(available) and _is_number(maximum) and _is_number(restored_per_s):
            self._bucket = _Bucket(available, maximum, restored_per_s, seen_at_s=self.clock())
        if _is_number(actual := cost.get("actualQueryCost")):
            self.cost += math.ceil(actual)
        requested = cost.get("requestedQueryCost")
        if not _is_number(requested):
            return None
        self._costs[query] = float(requested)
        return math.ceil(requested)


@dataclass(frozen=True)
class _Problem:
    """One entry of `errors`; list positions are left out of the path."""

    code: str
    message: str
    path: tuple[str, ...]

    @classmethod
    def of(cls, error: object) -> Self:
        """From an object, or from the bare text of older answers."""
        fields = _object(error)
        message = fields.get("message", error if isinstance(error, str) else "no reason given")
        code = _object(fields.get("extensions")).get("code")
        path = tuple(str(step) for step in _list(fields.get("path")) if not isinstance(step, int))
        return cls(str(code), mask(str(message))[:300], path)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float)


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _retry_after_s(headers: httpx2.Headers) -> float:
    """Seconds to wait by Retry-After, a number or an HTTP date (measured on the server's own clock)."""
    text = headers.get("Retry-After", "")
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text.strip()):
        return float(text)
    until = _date(text)
    if until is None:
        return 2.0
    now = _date(headers.get("Date")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PATH = r"(?:/[\w./?=&%-]*)?"
_SHOP = re.compile(
    rf"(?P<bare>{_NAME})"
    rf"|(?:https?://)?(?P<shop>{_NAME})\.myshopify\.com{_PATH}"
    rf"|(?:https?://)?admin\.shopify\.com/store/(?P<admin>{_NAME}){_PATH}",
    re.ASCII,
)
_TRIES: dict[type[ShopifyError], int] = {Throttled: 20, GarbageAnswer: 3}
_TRANSIENT_CODES = ("INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE")
_FAULTS: dict[int, tuple[type[ShopifyError], str]] = {
    401: (TokenRejected, "Shopify rejects the access token of {where}. Connect the shop again."),
    402: (ShopFrozen, "{where} is frozen: its Shopify plan is not paid. Settle the bill in Shopify, then sync again."),
    403: (AccessDenied, "The access token of {where} may not read this. Grant the access to the app and sync again."),
    404: (ShopNotFound, "There is no shop at {where}. Check the address; it may have been renamed or closed."),
    423: (ShopLocked, "Shopify has locked {where}. Ask Shopify's support, then sync again."),
}
