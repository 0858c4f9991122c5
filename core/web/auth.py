"""The session's cookie: a page's script may ask for it with a one-time ticket, but can neither read nor keep it."""

import json
from functools import partial

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from core.auth import sessions, tickets
from core.auth.tickets import digest
from core.errors import AppError
from core.web.middleware import COOKIE, own_origin, session_secret

_LARGEST_BODY = 2048


async def begin_session(request: Request) -> JSONResponse:
    """POST {"ticket": ...}: the cookie of a new session; whatever session the browser had before ends.

    403 unless asked by a page of this address, 400 for a malformed body, 401 for a ticket that is used up or too late.
    """
    origin = _asked_by_us(request)
    ticket = await _ticket(request)
    browser, address = request.headers.get("user-agent"), request.client.host if request.client else None
    secret = await anyio.to_thread.run_sync(_redeem, ticket, address, browser, session_secret(request.scope))
    if secret is None:
        return JSONResponse({"error": "The sign-in took too long. Sign in again."}, 401)
    answer = JSONResponse({"signed_in": True})
    answer.set_cookie(
        COOKIE, secret, max_age=int(sessions.LIFETIME.total_seconds()), path="/", httponly=True, samesite="lax",
        # What the browser says of itself: behind a proxy this side may look like plain HTTP.
        secure=origin.startswith("https:"),
    )  # fmt: skip
    return answer


def read_session(request: Request) -> JSONResponse:
    """GET: whether the browser sent the cookie of a live session, {"signed_in": true or false}."""
    secret = session_secret(request.scope)
    return JSONResponse({"signed_in": secret is not None and sessions.check(digest(secret)) is not None})


async def end_session(request: Request) -> JSONResponse:
    """POST {}: the browser's session ends in every tab, and its cookie goes. 403 unless asked by a page of ours."""
    _asked_by_us(request)
    secret = session_secret(request.scope)
    if secret is not None:
        address = request.client.host if request.client else None
        await anyio.to_thread.run_sync(partial(sessions.end, digest(secret), address=address))
    answer = JSONResponse({"signed_in": False})
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return answer


def _asked_by_us(request: Request) -> str:
    """The origin, which has to be the address that was asked; only JSON, which no foreign form can send."""
    origin = own_origin(request.headers)
    if origin is None or request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(403, "Only a page of this address may ask for this, with JSON.")
    return origin


async def _ticket(request: Request) -> str:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise HTTPException(413, "The body is too large.")
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        sent = None
    ticket = sent.get("ticket") if isinstance(sent, dict) else None
    if not isinstance(ticket, str):
        raise HTTPException(400, 'Send {"ticket": "..."}.')
    return ticket


def _redeem(ticket: str, address: str | None, browser: str | None, before: str | None) -> str | None:
    taken = tickets.redeem(ticket, sessions.COOKIE_TICKET)
    if taken is None or taken.user_id is None:
        return None
    if before is not None:
        sessions.end(digest(before), action="session_revoked", address=address)
    try:
        return sessions.start(taken.user_id, address, browser)
    except AppError:
        return None  # switched off a moment ago
