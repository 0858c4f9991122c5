"""The door of /mcp: assistants ask by the Model Context Protocol with the same keys as the REST API, where MCP is on.

One POST, one JSON answer: nothing is kept between two of them, so any replica may answer.
"""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import Request
from starlette.types import ASGIApp

from core.config import get_settings
from core.errors import AppError
from core.web.api_door import FEW, admit
from core.web.api_problems import Refused, not_there, problem, refused
from core.web.middleware import own_origin

LARGEST_BODY = 65_536  # bytes
_running: list[ASGIApp] = []


@asynccontextmanager
async def answering_assistants() -> AsyncIterator[None]:
    """While the program runs, /mcp answers, if the setting MCP is on."""
    if not get_settings().mcp:
        yield
        return
    from core.web.mcp import running  # it takes a second to load, and few switch it on

    async with running(LARGEST_BODY) as app:
        _running.append(app)
        try:
            yield
        finally:
            _running.remove(app)


async def serve_assistants(request: Request) -> ASGIApp:
    """What answers a request to /mcp: 401 without a key, 403 for a foreign page, 405 but for POST, 404 while off."""
    if not _running:
        return not_there(request)
    if request.method != "POST":
        return problem(405, "Assistants ask by POST here; there is no stream to listen to.", {"Allow": "POST"})
    if "origin" in request.headers and not _is_ours(request):
        return problem(403, "Pages of other addresses may not ask here.")
    scheme, secret = get_authorization_scheme_param(request.headers.get("authorization"))
    try:
        known = secret if scheme.lower() == "bearer" else None
        request.state.caller = await anyio.to_thread.run_sync(partial(admit, request, known), limiter=FEW)
    except (Refused, AppError) as error:
        said = refused(error)
        return problem(said.status, said.detail, said.headers)
    return _running[-1]


def _is_ours(request: Request) -> bool:
    """Whether the page that asks came from here, and from no name that was bent to this machine (DNS rebinding)."""
    if own_origin(request.headers) is None:
        return False
    host = request.url.hostname or ""
    app_url = get_settings().app_url
    if host == "localhost" or (app_url is not None and host == urlsplit(app_url).hostname):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
