"""The REST API under /api/v1: the figures of the pages, for other programs, by the functions that the pages read.

Money is a decimal string in the store's currency, a percent a fraction of 1, what is unknown null. A key opens one
store; /api/docs describes everything.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from core.web import api_figures, api_lists
from core.web.api_door import Found, answer, few_at_once
from core.web.api_examples import EXAMPLES
from core.web.api_problems import HANDLERS, MEDIA_TYPE, TITLES

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence that says what to do."},
    },
}  # fmt: skip
_REFUSALS = (400, 401, 403, 404, 405, 408, 413, 422, 429, 500, 502, 503)
_LIMITS = {
    name: {"schema": {"type": "integer"}, "description": about}
    for name, about in (
        ("RateLimit-Limit", "How often a key may ask in a minute."),
        ("RateLimit-Remaining", "How often it still may."),
        ("RateLimit-Reset", "In how many seconds the next minute begins."),
    )
}
_TAG = {"ETag": {"schema": {"type": "string"}, "description": "Send it back as If-None-Match."}}


def _endpoint(function: Callable[..., Found | Response]) -> Callable[..., Response]:
    """The function as an endpoint: what it found is written as its caller wants it."""

    @wraps(function)
    def endpoint(**given: Any) -> Response:
        found = function(**given)
        return answer(given["who"], found) if isinstance(found, Found) else found

    return endpoint


def _responses(path: str, method: str) -> dict[int | str, dict[str, Any]]:
    """What may be answered, for the OpenAPI document."""
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": _PROBLEM}}} for status in _REFUSALS
    }
    if path.startswith("/export"):
        file = {"application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}}}
        return {200: {"description": "The file.", "content": file, "headers": _LIMITS}, **described}
    example = EXAMPLES[method, path]
    content: dict[str, Any] = {"application/json": {"schema": _schema(example), "example": example}}
    if "data" in example:
        content["text/csv"] = {"schema": {"type": "string"}}
    if method == "POST":
        status = 202 if path == "/sync" else 200
        return {status: {"description": "Done.", "content": content, "headers": _LIMITS}, **described}
    found = {"description": "What was asked for.", "content": content, "headers": {**_LIMITS, **_TAG}}
    return {200: found, 304: {"description": "Nothing changed."}, **described}


def _schema(example: Any) -> dict[str, Any]:
    """What every answer has in common with the example; a value of it may always be unknown."""
    if isinstance(example, dict):
        return {"type": "object", "properties": {name: _schema(value) for name, value in example.items()}}
    if isinstance(example, list):
        return {"type": "array", "items": _schema(example[0]) if example else {}}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": [kinds[type(example)], "null"]} if type(example) in kinds else {}


api = FastAPI(
    title="Shoptally", version="1", docs_url=None, redoc_url=None, exception_handlers=HANDLERS,
    description="The figures of the pages for other programs. Keys are made on the Account page; each opens one store.",
)  # fmt: skip

# Path, function, method.
ENDPOINTS: tuple[tuple[str, Callable[..., Found | Response], str], ...] = (
    ("/shops", api_lists.shops, "GET"),
    ("/metrics", api_figures.metrics, "GET"),
    ("/metrics/{metric}", api_figures.metric, "GET"),
    ("/report", api_figures.whole_report, "GET"),
    ("/customers/top", api_figures.top_customers, "GET"),
    ("/products/top", api_figures.top_products, "GET"),
    ("/orders", api_lists.orders, "GET"),
    ("/orders/{order_id}", api_lists.order, "GET"),
    ("/customers", api_lists.customers, "GET"),
    ("/products", api_lists.products, "GET"),
    ("/cohorts", api_figures.cohort_table, "GET"),
    ("/checkouts", api_figures.checkouts, "GET"),
    ("/sync", api_lists.sync, "GET"),
    ("/sync", api_lists.start_sync, "POST"),
    ("/sync/runs", api_lists.runs, "GET"),
    ("/users", api_lists.users, "GET"),
    ("/webhooks", api_lists.webhooks, "GET"),
    ("/webhooks", api_lists.register_webhooks, "POST"),
    ("/export/{table}", api_lists.export, "GET"),
)
for path, function, method in ENDPOINTS:
    made = _endpoint(function)
    api.add_api_route(
        path, made, methods=[method], name=function.__name__, response_class=Response,
        status_code=202 if (method, path) == ("POST", "/sync") else 200, responses=_responses(path, method),
    )  # fmt: skip
    if method == "GET":  # servers send no body to HEAD by themselves
        api.add_api_route(path, made, methods=["HEAD"], include_in_schema=False)

served = few_at_once(api)
