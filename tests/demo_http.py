"""The demo shops for tests: asked in the process, or over real HTTP on a loopback port."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

from core.demo.catalogue import DEMO_SHOPS, DemoShop
from core.demo.install import DemoApp, InstallableShop
from core.demo.server import demo_transport
from core.shopify.queries import BULK_RUN, BULK_STATUS

HARBOR, KIOSK = DEMO_SHOPS


@dataclass
class DemoClient:
    """Asks one demo shop the plain way: no pacing, no retries, answers as they come."""

    shop: DemoShop
    http: httpx2.Client
    base_url: str

    def post(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx2.Response:
        """The raw response to a GraphQL request; keyword `token` replaces the right one."""
        return self.http.post(
            f"{self.base_url}/admin/api/2026-10/graphql.json",
            json={"query": query, "variables": variables or {}},
            headers={"X-Shopify-Access-Token": headers.get("token", self.shop.token)},
        )

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of an answer that has no errors."""
        body = self.post(query, variables).json()
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    def run_bulk(self, query: str) -> dict[str, Any]:
        """The finished bulk operation for a query."""
        started = self.ask(BULK_RUN, {"query": query})["bulkOperationRunQuery"]
        assert started["userErrors"] == []
        for _ in range(5):
            operation: dict[str, Any] = self.ask(BULK_STATUS, {"id": started["bulkOperation"]["id"]})["bulkOperation"]
            if operation["status"] == "COMPLETED":
                return operation
        raise AssertionError(operation["status"])

    def bulk_rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a bulk query's file."""
        operation = self.run_bulk(query)
        content = self.http.get(operation["url"]).content if operation["url"] else b""
        return [json.loads(line) for line in content.splitlines()]


def demo_client(shop: DemoShop, opened_on: date, now: Callable[[], datetime]) -> DemoClient:
    """A client inside the process."""
    transport = demo_transport(shop.domain, opened_on=opened_on, now=now)
    return DemoClient(shop, httpx2.Client(transport=transport), f"https://{shop.domain}")


class QuietServer(ThreadingHTTPServer):
    """A server of these tests, whose output stays clean when a client hangs up."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """What went wrong shows in the answer that is missing."""


@contextmanager
def serve_demo(opened_on: date, now: Callable[[], datetime], app: DemoApp | None = None) -> Iterator[str]:
    """Serve every demo shop on a free loopback port; yields the base URL, to be followed by /{shop}.

    With `app` it can be installed there.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on(b"")

        def do_POST(self) -> None:
            self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _pass_on(self, body: bytes) -> None:
            host = f"http://127.0.0.1:{self.server.server_address[1]}"
            request = httpx2.Request(self.command, host + self.path, headers=dict(self.headers.items()), content=body)
            response = transport_for(self.path.split("/")[1], host).handle_request(request)
            content = response.read()
            self.send_response_only(response.status_code)
            for name, value in response.headers.items():
                if name.lower() not in ("content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    @cache
    def transport_for(domain: str, host: str) -> httpx2.BaseTransport:
        shop = demo_transport(domain, opened_on=opened_on, now=now, files_at=host)
        return shop if app is None else InstallableShop(domain, app, shop)

    server = QuietServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
