"""POST /webhooks/shopify: a delivery is checked and stored, and only then acknowledged. Nothing of it is done here.

Shopify waits five seconds, repeats what got no 2xx for four hours, then removes the subscription.
https://shopify.dev/docs/apps/build/webhooks
"""

import logging
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from core.errors import DatabaseUnavailable
from core.shopify.webhooks import Delivery, is_signed, read_headers
from core.sync import inbox
from core.sync.demo_orders import secrets_for

log = logging.getLogger(__name__)

LARGEST_BODY = 1_000_000  # bytes; Shopify's own largest orders stay below
BODY_WITHIN_S = 5.0
AT_ONCE = 100
_FEW = CapacityLimiter(4)  # the shared pool also serves files


@dataclass(eq=False)
class _Waiting:
    delivery: Delivery
    body: bytes
    settled: bool = False
    problem: BaseException | None = None


_waiting: list[_Waiting] = []
_turn = anyio.Lock()


class _TooLarge(Exception):
    """More was sent than any delivery holds."""


async def receive(request: Request) -> JSONResponse:
    """200 once the delivery is stored, a repeated one too.

    401 without a signature of ours, 408 for a body that drips, 413 for one that is too large, 415 for another type,
    503 while the database cannot store it: then Shopify sends it again.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return _refusal(415, "Only application/json is taken here.")
    try:
        with anyio.fail_after(BODY_WITHIN_S):
            body = await _body(request)
    except _TooLarge:
        return _refusal(413, f"More than {LARGEST_BODY:,} bytes are not taken.")
    except TimeoutError:
        return _refusal(408, "The body did not come in time.")
    except ClientDisconnect:
        return _refusal(400, "The body broke off.")
    delivery = read_headers(request.headers, body)
    # Making the demo's secret reads a key; everything that may wait happens off the event loop.
    secrets = await anyio.to_thread.run_sync(secrets_for, delivery.domain, limiter=_FEW)
    if not is_signed(body, delivery.signature, secrets):
        if not secrets:
            log.warning("a webhook came, and SHOPIFY_API_SECRET is not set: it cannot be checked")
        return _refusal(401, "The signature is not right.")
    try:
        await _store(delivery, body)
    except DatabaseUnavailable as error:
        log.warning("a webhook was not stored, it will be sent again: %s", error)
        return JSONResponse({"error": "It cannot be stored now. Send it again."}, 503, {"Retry-After": "30"})
    return JSONResponse({"stored": True})


async def _store(delivery: Delivery, body: bytes) -> None:
    """Store a delivery with all that wait at this moment: one by one each would wait for the disk."""
    mine = _Waiting(delivery, body)
    _waiting.append(mine)
    async with _turn:
        while not mine.settled:
            batch, _waiting[:] = _waiting[:AT_ONCE], _waiting[AT_ONCE:]
            stored = [(one.delivery, one.body) for one in batch]
            problem: BaseException | None = None
            try:
                await anyio.to_thread.run_sync(inbox.receive, stored, limiter=_FEW)
            except BaseException as error:  # whatever it is, each of them has to hear of it
                problem = error
                raise
            finally:
                for one in batch:
                    one.settled, one.problem = True, problem
    if mine.problem is not None:
        raise mine.problem


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:12]) > LARGEST_BODY:
        raise _TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise _TooLarge
    return bytes(body)


def _refusal(status: int, why: str) -> JSONResponse:
    """An answer that also ends the connection: what is still on its way is not read."""
    return JSONResponse({"error": why}, status, {"Connection": "close"} if status in (400, 408, 413) else None)
