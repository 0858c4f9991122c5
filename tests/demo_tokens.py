"""Shopify's token endpoint for tests, over real HTTP, in front of a demo shop that takes only the tokens it gave.

A refresh token is single use: a new one replaces it, and it serves again, with the same answer, only until the new
pair is used.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

import httpx2

from core.demo.server import DemoTransport
from tests.demo_http import HARBOR, QuietServer
from tests.demo_sync import NOW, OPENED_ON

CLIENT_ID, CLIENT_SECRET = "client-id", "client-secret-of-the-app"


@dataclass
class TokenShop:
    """What Shopify knows of the app's tokens for the harbor shop."""

    base_url: str = ""
    refresh: str = "shprt_0"
    access: str = "shpat_0"
    good: set[str] = field(default_factory=lambda: {"shpat_0"})
    previous: str | None = None  # serves until the newest pair is used
    expires_in: int = 3600
    asked: list[dict[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)  # the token of each request for data
    refuse_next: int = 0  # so many requests for data are answered 401, whatever their token
    down: bool = False  # the token endpoint answers 503
    error: tuple[int, bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def revoke(self) -> None:
        """The merchant uninstalls the app."""
        self.good.clear()
        self.refresh, self.previous = "gone", None

    def grant(self, words: dict[str, str]) -> tuple[int, bytes]:
        """The answer of the token endpoint."""
        with self.lock:
            self.asked.append(words)
            if self.down:
                return 503, b"<html>unavailable</html>"
            if self.error:
                return self.error
            if (words.get("client_id"), words.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
                return 401, b'{"error": "invalid_client"}'
            if words["grant_type"] == "client_credentials":
                self._next()
                return 200, json.dumps({"access_token": self.access, "scope": "", "expires_in": 86399}).encode()
            if words["refresh_token"] == self.refresh:
                self.previous = self.refresh
                self._next()
            elif words["refresh_token"] != self.previous:
                return 400, b'{"error": "invalid_grant", "error_description": "Token has been expired or revoked."}'
            answer = {
                "access_token": self.access, "expires_in": self.expires_in, "refresh_token": self.refresh,
                "refresh_token_expires_in": 7776000, "scope": "",
            }  # fmt: skip
            return 200, json.dumps(answer).encode()

    def _next(self) -> None:
        number = len(self.asked)
        self.access, self.refresh = f"shpat_{number}", f"shprt_{number}"
        self.good.add(self.access)

    def admits(self, token: str) -> bool:
        """Whether a request for data with this token is answered."""
        with self.lock:
            self.calls.append(token)
            if self.refuse_next:
                self.refuse_next -= 1
                return False
            if token == self.access:
                self.previous = None
            return token in self.good


@contextmanager
def serve_tokens() -> Iterator[TokenShop]:
    """The shop on a free loopback port; its base_url is for SHOPIFY_BASE_URL."""
    shop = TokenShop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on(b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path.endswith("/admin/oauth/access_token"):
                self._answer(*shop.grant({name: values[0] for name, values in parse_qs(body.decode()).items()}), {})
            elif not shop.admits(self.headers.get("X-Shopify-Access-Token", "")):
                self._answer(401, b'{"errors": "[API] Invalid API key or access token"}', {})
            else:
                self._pass_on(body)

        def _pass_on(self, body: bytes) -> None:
            headers = {**dict(self.headers.items()), "X-Shopify-Access-Token": HARBOR.token}
            request = httpx2.Request(self.command, shop.base_url + self.path, headers=headers, content=body)
            response = transport.handle_request(request)
            self._answer(response.status_code, response.read(), dict(response.headers.items()))

        def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    host = f"http://127.0.0.1:{server.server_address[1]}"
    shop.base_url = host
    transport = DemoTransport(HARBOR.domain, OPENED_ON, lambda: NOW, host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
