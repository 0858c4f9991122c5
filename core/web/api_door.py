"""Who asks the API, how often and how much at once, and how it answers: JSON or CSV, with an ETag."""

import csv
import io
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Any
from urllib.parse import urlencode

import anyio
from anyio import CapacityLimiter
from fastapi import Depends, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.auth import keys, roles
from core.auth.accounts import ShopAccess
from core.auth.keys import KeyAccess
from core.reports.table import harmless
from core.web.api_problems import Refused, problem

PER_MINUTE = 120
LARGEST_BODY = 16_384  # bytes
BODY_WITHIN_S = 5.0
_WINDOW_S = 60.0
# Everything here runs in the pool of threads that the pages' files use too: most of that stays free.
FEW = CapacityLimiter(4)
_bearer = HTTPBearer(auto_error=False, description="An API key of the Account page.")


@dataclass(frozen=True)
class Caller:
    """Whoever shows a key: what it opens, and how the answer is wanted."""

    key: KeyAccess
    limits: Mapping[str, str] = field(default_factory=dict)
    accept: str = ""
    if_none_match: str = ""
    query: tuple[tuple[str, str], ...] = ()

    @property
    def shop(self) -> ShopAccess:
        """The one store that the key opens."""
        return self.key.shop

    def require(self, action: str) -> None:
        """Raises NotPermitted where the key's role may not do this."""
        roles.require(self.key.role, action)


@dataclass(frozen=True)
class Found:
    """An answer before it is written: the body, and the rows of it that are also its CSV."""

    body: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] | None = None
    status: int = 200

    def as_json(self) -> dict[str, Any]:
        """The body with the rows under "data"."""
        return {**self.body, **({} if self.rows is None else {"data": list(self.rows)})}


class Limiter:
    """So many requests a minute for each key, counted by this process."""

    def __init__(self, most: int = PER_MINUTE, window_s: float = _WINDOW_S) -> None:
        self._most, self._window_s = most, window_s
        self._lock = threading.Lock()
        self._used: dict[int, tuple[float, int]] = {}

    def admit(self, key_id: int, now_s: float | None = None) -> dict[str, str]:
        """The headers that say what is left. Raises Refused with 429 and Retry-After when nothing is."""
        now_s = time.monotonic() if now_s is None else now_s
        with self._lock:
            began_s, used = self._used.get(key_id, (now_s, 0))
            if now_s - began_s >= self._window_s:
                began_s, used = now_s, 0
            self._used[key_id] = (began_s, used + 1)
            if len(self._used) > 10_000:  # of keys that are long revoked
                self._used = {key: known for key, known in self._used.items() if now_s - known[0] < self._window_s}
        reset_s = max(1, round(began_s + self._window_s - now_s))
        headers = {
            "RateLimit-Limit": str(self._most),
            "RateLimit-Remaining": str(max(0, self._most - used - 1)),
            "RateLimit-Reset": str(reset_s),
        }
        if used >= self._most:
            sentence = f"This key may ask {self._most} times a minute. Ask again in {reset_s} seconds."
            raise Refused(429, sentence, {**headers, "Retry-After": str(reset_s)})
        return headers


LIMITER = Limiter()


def admit(request: Request, secret: str | None) -> Caller:
    """Who asks; the key is looked up anew each time, so that revoking it works at once. Raises Refused."""
    address = request.client.host if request.client else None
    access = keys.verify(secret, address) if secret else None
    if access is None:
        sentence = "Send an API key of the Account page as: Authorization: Bearer shoptally_..."
        raise Refused(401, sentence, {"WWW-Authenticate": "Bearer"})
    told = request.headers
    return Caller(
        access, LIMITER.admit(access.key_id), told.get("accept", ""), told.get("if-none-match", ""),
        tuple(request.query_params.multi_items()),
    )  # fmt: skip


def caller(request: Request, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None) -> Caller:
    """Who asks by the request's Authorization. Raises Refused."""
    return admit(request, shown.credentials if shown else None)


Asked = Annotated[Caller, Depends(caller)]


def answer(who: Caller, found: Found) -> Response:
    """What was found as JSON, or only its rows as CSV where the request prefers that.

    The ETag follows from the store's data_version and the content, so a figure that did not change is 304 for who
    sends it back; Link leads to the next page. Raises NotPermitted for CSV where downloads are not allowed.
    """
    headers = {**who.limits, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization"}
    if found.rows is not None and _prefers_csv(who.accept):
        who.require("export")
        made = Response(csv_text(found.rows), media_type="text/csv; charset=utf-8")
    else:
        made = JSONResponse(found.as_json())
    made.status_code = found.status
    if after := found.body.get("next"):
        query = [(name, value) for name, value in who.query if name != "cursor"]
        headers["Link"] = f'<?{urlencode([*query, ("cursor", after)])}>; rel="next"'
    if found.status == 200:
        headers["ETag"] = f'"{who.shop.data_version}-{blake2b(bytes(made.body), digest_size=8).hexdigest()}"'
        known = [tag.strip().removeprefix("W/") for tag in who.if_none_match.split(",")]
        if headers["ETag"] in known or "*" in known:
            return Response(status_code=304, headers=headers)
    made.headers.update(headers)
    return made


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of one shape with their names on top; what is not known is empty. Amounts stay the exact text they are.

    A text that a spreadsheet would run as a formula gets an apostrophe in front: titles come from outside.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return harmless(value) if isinstance(value, str) else value


def _prefers_csv(accept: str) -> bool:
    """Whether CSV is asked for, and JSON is not asked for more, or as much and earlier (RFC 9110, 12.5.1)."""
    wanted: dict[str, tuple[float, int]] = {}
    for place, each in enumerate(accept.lower().split(",")):
        kind, *parameters = (part.strip() for part in each.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            wanted.setdefault(kind, (-float(quality), place))
        except ValueError:
            continue
    csv_at = wanted.get("text/csv", (0.0, 0))
    return csv_at[0] < 0 and csv_at < wanted.get("application/json", (1.0, 0))


def few_at_once(app: ASGIApp) -> ASGIApp:
    """Only FEW requests are worked on at a time, each with its whole body, which is small.

    Who sends or reads slowly holds up nobody: a place is taken after the body came, and given back when the answer
    begins to go out.
    """

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            with anyio.fail_after(BODY_WITHIN_S):
                body = await _body(scope, receive)
        except TimeoutError:
            body = Refused(408, "The body did not come in time.")
        if isinstance(body, Refused):
            # What is still on its way is not read.
            await problem(body.status, body.detail, {"Connection": "close"})(scope, receive, send)
            return
        if body is None:
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        holder = object()

        async def read() -> Message:
            return whole.pop() if whole else await receive()

        async def begin(message: Message) -> None:
            if holder in held:
                held.remove(holder)
                FEW.release_on_behalf_of(holder)
            await send(message)

        await FEW.acquire_on_behalf_of(holder)
        held = {holder}
        try:
            await app(scope, read, begin)
        finally:
            if held:
                FEW.release_on_behalf_of(holder)

    return call


async def _body(scope: Scope, receive: Receive) -> bytes | Refused | None:
    """The request's body, None where the client left."""
    declared = Headers(scope=scope).get("content-length", "0")
    too_large = Refused(413, f"More than {LARGEST_BODY:,} bytes are not taken.")
    if not declared.isdecimal() or int(declared[:12]) > LARGEST_BODY:
        return too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return too_large
        if not message.get("more_body", False):
            return bytes(body)
