"""Every refusal of the API as application/problem+json (RFC 9457), in sentences that say what to do."""

import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from core.errors import (
    AppError,
    DatabaseUnavailable,
    InputError,
    LeaseLost,
    NotPermitted,
    ShopifyError,
    TooManyAttempts,
    UnknownShop,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Refused(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal as application/problem+json."""
    body = {"type": "about:blank", "title": TITLES.get(status, "Refused"), "status": status, "detail": detail}
    return JSONResponse(body, status, dict(headers or {}), media_type=MEDIA_TYPE)


def not_there(_: Request) -> JSONResponse:
    """404 for what is below /api and no address of it."""
    return problem(404, _DETAILS[404])


def refused(error: Refused | AppError) -> Refused:
    """What the app refuses, with its status and what may be told of it."""
    if isinstance(error, Refused):
        return error
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    if isinstance(error, DatabaseUnavailable):  # its sentence names hosts and users
        log.warning("the API cannot answer: %s", error)
        return Refused(503, "The database does not answer now. Ask again in a moment.", {"Retry-After": "30"})
    if status == 500:
        log.error("the API failed: %s", error)
        return Refused(500, _FAILED)
    return Refused(status, str(error))


async def on_refused(_: Request, error: Refused | AppError) -> Response:
    """What the door or the app refuses."""
    known = refused(error)
    return problem(known.status, known.detail, known.headers)


async def on_invalid(_: Request, error: RequestValidationError) -> Response:
    """A parameter that cannot be read, by its name; what was sent is not repeated."""
    return problem(422, "; ".join(f"{_name(each['loc'])}: {each['msg']}" for each in error.errors()))


def _name(place: Sequence[str | int]) -> str:
    """Where in a request something is: `limit`, `streams.0`, or the body itself."""
    return ".".join(map(str, place[1:])) if len(place) > 1 and isinstance(place[1], str) else str(place[0])


async def on_http(_: Request, error: HTTPException) -> Response:
    """An address or a method that is not there, or a body that cannot be read."""
    return problem(error.status_code, _DETAILS.get(error.status_code, str(error.detail)), error.headers)


async def on_any(_: Request, error: Exception) -> Response:
    """What nobody foresaw: the log knows more, the answer says nothing of it."""
    log.error("the API failed", exc_info=error)
    return problem(500, _FAILED)


_FAILED = "Something went wrong here; the log of the program says what."
_STATUS: tuple[tuple[type[AppError], int], ...] = (
    (NotPermitted, 403), (UnknownShop, 404), (InputError, 422), (LeaseLost, 409), (TooManyAttempts, 429),
    (ShopifyError, 502), (DatabaseUnavailable, 503),
)  # fmt: skip
TITLES = {
    400: "Not understood", 401: "No key", 403: "Not permitted", 404: "Not found", 405: "Method not allowed",
    408: "Too slow", 409: "Not now", 413: "Too large", 422: "Not understood", 429: "Too many requests", 500: "Failed",
    502: "Shopify did not answer", 503: "Not now",
}  # fmt: skip
_DETAILS = {
    400: "The body is no JSON in UTF-8.",
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
}

HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    Refused: on_refused, AppError: on_refused, RequestValidationError: on_invalid, HTTPException: on_http,
    Exception: on_any,
}  # fmt: skip
