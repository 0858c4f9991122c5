"""What every request passes through: who is connected, which headers an answer carries, what nobody may ask.

Plain ASGI, because Starlette's own base class would buffer answers and skip websockets.
"""

import re
import uuid
from collections import OrderedDict
from urllib.parse import urlsplit

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.auth import sessions
from core.auth.tickets import digest
from core.config import get_settings
from core.errors import DatabaseUnavailable
from core.log import about

COOKIE = "shoptally_session"

# Ours: .streamlit/config.toml maps x-app-sid to st.user.sid. A client's own are dropped.
_IDENTITY = re.compile(rb"x-app-.*", re.IGNORECASE | re.DOTALL)
# Streamlit serves downloads and images at media/, named by a hash of their content; static/media/ is its own fonts.
_FILE = re.compile(r"(?<!/static)/media/([^/.]*)")
_NAMED = re.compile(rb"/media/([0-9a-f]{32,})")
_KNOWN_AT_MOST = 100_000
# A proxy's name for a request is kept if it can stand in a log line as it is.
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ANYBODY = "anybody"
# Streamlit's figures and its interface for programs would answer without any sign-in.
_INTERNAL = re.compile(r"/_stcore/(metrics|agent)(/|$)", re.IGNORECASE)
# Answers that belong to one caller at one moment.
_NOT_KEPT = re.compile(r"/(api|auth|mcp|reports|shopify|webhooks)(/|$)")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'self'",
}


def name_request(app: ASGIApp) -> ASGIApp:
    """Give each request an id, X-Request-ID where it came with one that can be read: in the answer, and in our logs."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with about(request_id=request_id):
            await app(scope, receive, answer if scope["type"] == "http" else send)

    return call


def bind_identity(app: ASGIApp) -> ASGIApp:
    """Give a websocket the hash of its verified session; drop identity headers that a client sends.

    Streamlit keeps it with the connection (st.user) and resumes a tab only for the same identity, so the id of a
    tab opens nothing to somebody else. The hash is checked again on every run.
    """
    few = CapacityLimiter(4)  # the shared pool also serves files, and waits behind nobody's sign-in

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = [(name, value) for name, value in scope["headers"] if not _IDENTITY.fullmatch(name)]
            secret = session_secret(scope) if scope["type"] == "websocket" and not _is_foreign(scope) else None
            if secret is not None:
                id_hash = digest(secret)
                if await anyio.to_thread.run_sync(_is_live, id_hash, limiter=few):
                    headers.append((b"x-app-sid", id_hash.encode()))
            scope = {**scope, "headers": headers}
        await app(scope, receive, send)

    return call


def serve_files_to_their_readers(app: ASGIApp) -> ASGIApp:
    """404 for a download or an image, unless a page that was sent to the same session named it.

    Streamlit itself serves it to whoever knows its address. What a connection without a session was shown is served
    to the browser by Streamlit's XSRF cookie; where a host drops that too, the address is all there is.
    """
    shown: OrderedDict[tuple[str, str], None] = OrderedDict()  # reader and file; both live in this process only
    not_found = PlainTextResponse("Not Found", status_code=404)
    few = CapacityLimiter(4)

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            id_hash = Headers(scope=scope).get("x-app-sid")
            reader = f"session {id_hash}" if id_hash else _browser(scope)

            async def note(message: Message) -> None:
                for name in _NAMED.findall(message.get("bytes") or b""):
                    shown[reader, name.decode()] = None
                    shown.move_to_end((reader, name.decode()))
                    if len(shown) > _KNOWN_AT_MOST:
                        shown.popitem(last=False)
                await send(message)

            await app(scope, receive, note)
        elif scope["type"] == "http" and (file := _FILE.search(re.sub("/+", "/", scope["path"]))):
            readers = {_ANYBODY, _browser(scope)}
            secret = session_secret(scope)
            if secret is not None and await anyio.to_thread.run_sync(_is_live, digest(secret), limiter=few):
                readers.add(f"session {digest(secret)}")
            served = any((reader, file[1]) in shown for reader in readers)
            await (app if served else not_found)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return call


def _browser(scope: Scope) -> str:
    cookies = (cookie_parser(header) for header in Headers(scope=scope).getlist("cookie"))
    tokens = (sessions.browser_of(each.get(sessions.XSRF_COOKIE)) for each in cookies)
    return next((f"browser {token}" for token in tokens if token), _ANYBODY)


def session_secret(scope: Scope) -> str | None:
    """The session's secret as the request's cookie has it, unverified."""
    for header in Headers(scope=scope).getlist("cookie"):
        if secret := cookie_parser(header).get(COOKIE):
            return secret
    return None


def own_origin(headers: Headers) -> str | None:
    """The origin of the page that asks, if it is the address that was asked."""
    origin = headers.get("origin", "")
    try:
        return origin if origin and urlsplit(origin).netloc == headers.get("host") else None
    except ValueError:
        return None


def _is_foreign(scope: Scope) -> bool:
    """A page of another origin asks; Streamlit itself lets in those of any port of localhost, which share cookies."""
    headers = Headers(scope=scope)
    return "origin" in headers and own_origin(headers) is None


def _is_live(id_hash: str) -> bool:
    try:
        return sessions.check(id_hash) is not None
    except DatabaseUnavailable:
        return True  # the next run asks again; a visitor must not lose the tab because the database was away


def add_security_headers(app: ASGIApp) -> ASGIApp:
    """Headers that keep browsers from guessing types, telling addresses, framing pages, and using plain HTTP again."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
                if _NOT_KEPT.search(scope["path"]):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await app(scope, receive, answer if scope["type"] == "http" else send)

    return call


def refuse_internals(app: ASGIApp) -> ASGIApp:
    """404 for what Streamlit serves besides the pages."""
    not_found = PlainTextResponse("Not Found", status_code=404)

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and _INTERNAL.search(re.sub("/+", "/", scope["path"]))
        await (not_found if refused else app)(scope, receive, send)

    return call


def take_in_shopifys_visitors(app: ASGIApp) -> ASGIApp:
    """Whom Shopify sends to the app's root, with its signature, goes on to the route that reads it."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        signed = scope["type"] == "http" and scope["path"] == "/" and b"hmac=" in scope["query_string"]
        if signed and get_settings().installs:
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"shopify?{query}", 303)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return call


MIDDLEWARE: list[Middleware] = [
    Middleware(name_request),
    Middleware(add_security_headers),
    Middleware(take_in_shopifys_visitors),
    Middleware(refuse_internals),
    Middleware(bind_identity),
    Middleware(serve_files_to_their_readers),
]
