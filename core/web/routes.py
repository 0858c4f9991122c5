"""HTTP routes served next to the dashboard."""

from collections.abc import Sequence

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route

from core.web import webhooks
from core.web.api import served
from core.web.api_docs import docs
from core.web.api_problems import not_there
from core.web.assistants import serve_assistants
from core.web.auth import begin_session, end_session, read_session
from core.web.health import health, ready
from core.web.install import begin_install, finish_install, open_from_shopify
from core.web.metrics import metrics
from core.web.reports import ask_to_unsubscribe, unsubscribe


def not_found(_: Request) -> JSONResponse:
    """404: without it Streamlit answers every unknown address with the dashboard's HTML and 200."""
    return JSONResponse({"error": "There is nothing at this address."}, 404)


def served_below(path: str, routes: Sequence[BaseRoute]) -> list[BaseRoute]:
    """The routes at the root, and also below the path that Streamlit is configured to serve at, if there is one."""
    below = path.strip("/")
    return [*routes, *(_moved(f"/{below}", route) for route in routes)] if below else list(routes)


def _moved(below: str, route: BaseRoute) -> BaseRoute:
    """One by one, because a single mount would swallow the pages, too."""
    if isinstance(route, Mount):
        return Mount(below + route.path, app=route.app)
    assert isinstance(route, Route)
    return Route(below + route.path, route.endpoint, methods=sorted(route.methods or ()))


class _NotStreamlits(Convertor[str]):
    regex = "(?!log(?:in|out)$).*"  # it serves these two itself, for providers of sign-in

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("ours", _NotStreamlits())

_EVERY = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

ROUTES: list[BaseRoute] = [
    Route("/health", health),
    Route("/ready", ready),
    Route("/metrics", metrics),
    Route("/auth/session", begin_session, methods=["POST"]),
    Route("/auth/session", read_session),
    Route("/auth/end", end_session, methods=["POST"]),
    Route("/shopify", open_from_shopify),
    Route("/shopify/install", begin_install),
    Route("/shopify/callback", finish_install),
    Route("/reports/unsubscribe", ask_to_unsubscribe),
    Route("/reports/unsubscribe", unsubscribe, methods=["POST"]),
    Route("/webhooks/shopify", webhooks.receive, methods=["POST"]),
    Route("/api/docs", docs),
    Mount("/api/v1", app=served),
    Route("/mcp", serve_assistants, methods=_EVERY),
    # Last: what is not above does not exist.
    Route("/auth/{rest:ours}", not_found, methods=_EVERY),
    *(
        Route(f"/{room}{rest}", not_there if room in ("api", "mcp") else not_found, methods=_EVERY)
        for room in ("api", "mcp", "webhooks", "shopify", "reports")
        for rest in ("", "/{rest:path}")
    ),
]
