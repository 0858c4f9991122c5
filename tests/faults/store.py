"""The demo shops over real HTTP, with a clock of the test's, and faults between them and the app."""

import json
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from core.demo import server, views
from core.demo.catalogue import DemoShop, Product, products_of
from core.demo.destroyed import destroyed_event
from core.demo.shapes import Row
from tests.demo_http import HARBOR, KIOSK

OPENED_ON, NOW = date(2026, 11, 5), datetime(2026, 11, 20, 15, tzinfo=UTC)
NORTH = replace(KIOSK, domain="north-demo.myshopify.com", name="North", number=KIOSK.number + 2)
SHOPS = (HARBOR, KIOSK, NORTH)


@dataclass
class Request:
    """One request on its way, with the honest answer."""

    path: str
    body: bytes
    answer: httpx2.Response
    content: bytes
    handler: BaseHTTPRequestHandler

    @property
    def is_file(self) -> bool:
        """Whether it asks for the result of a bulk operation."""
        return self.path.endswith(".jsonl")

    def about(self, name: str) -> bool:
        """Whether it is the named query, such as "Orders(" or "bulkOperationRunQuery"."""
        return name.encode() in self.body

    def send(self, status: int, content: bytes, cut_to: int | None = None, **headers: str) -> None:
        """Send an answer; cut, it ends too early although its length was announced."""
        self.handler.send_response_only(status)
        for name, value in ({"Date": self.answer.headers.get("Date", "")} | headers).items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Content-Length", str(len(content)))
        self.handler.end_headers()
        self.handler.wfile.write(content[:cut_to])
        if cut_to is not None:
            self.handler.wfile.flush()
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection."""
        self.handler.close_connection = True

    def reset(self) -> None:
        """Break the connection off."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.shutdown(socket.SHUT_RD)
        self.hang_up()

    def stall(self) -> None:
        """Half an answer, then nothing until the other side hangs up."""
        self.handler.connection.settimeout(10)
        self.handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"data": ')
        self.handler.wfile.flush()
        with suppress(OSError):
            self.handler.connection.recv(1)
        self.hang_up()


@dataclass
class FaultyStore:
    """What the test holds of the running store; `tamper` answers a request itself and says so."""

    url: str = ""
    now: Callable[[], datetime] = lambda: NOW
    tamper: Callable[[Request], bool] = lambda _: False
    asked: list[Request] = field(default_factory=list)

    def submitted(self) -> list[str]:
        """The bulk queries the app asked for."""
        return [
            json.loads(request.body)["variables"]["query"]
            for request in self.asked
            if request.about("bulkOperationRunQuery")
        ]


def product_destroyed_at(product: Product) -> datetime | None:
    """When a product is destroyed: every third one, within the days the shops of a test live."""
    row = product.number // 32_768
    return NOW + timedelta(days=1 + row % 17, seconds=row * 997 % 80_000) if row % 3 == 0 else None


def destroy_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo shops destroy products too, with the events that tell of it."""
    for name, read in _destroying().items():
        monkeypatch.setattr(views.Snapshot, name, read)


@cache
def _destroying() -> dict[str, Any]:
    """The same ones each time: they tell whether an answer was given by a shop that destroys products."""
    honest_products, honest_events = views.Snapshot.products.func, views.Snapshot.events.func

    def gone(snapshot: views.Snapshot) -> dict[int, datetime]:
        moments = {one.number: product_destroyed_at(one) for one in products_of(snapshot.shop) if not one.deleted}
        return {number: at for number, at in moments.items() if at is not None and at <= snapshot.now}

    def products(snapshot: views.Snapshot) -> dict[int, Row]:
        found, left_out = honest_products(snapshot), gone(snapshot)
        return {number: row for number, row in found.items() if number not in left_out}

    def events(snapshot: views.Snapshot) -> dict[int, Row]:
        rows = [destroyed_event("Product", number, at) for number, at in gone(snapshot).items()]
        return honest_events(snapshot) | {row.number: row for row in rows}

    patched: dict[str, Any] = {"products": cached_property(products), "events": cached_property(events)}
    for name, read in patched.items():
        read.__set_name__(views.Snapshot, name)
    return patched


@contextmanager
def open_store(monkeypatch: pytest.MonkeyPatch, shops: tuple[DemoShop, ...] = SHOPS) -> Iterator[FaultyStore]:
    """Serve the shops on a free loopback port; points of the rate limit come back at once."""
    monkeypatch.setattr(server, "DEMO_SHOPS", shops)
    monkeypatch.setattr(server, "RESTORED_PER_S", 1e6)
    monkeypatch.setattr(server, "_PLACES", {})
    destroy_products(monkeypatch)
    store = FaultyStore()
    transports: dict[str, httpx2.BaseTransport] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            self._pass_on(b"")

        def do_POST(self) -> None:
            self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _pass_on(self, body: bytes) -> None:
            domain = self.path.split("/")[1]
            transport = transports.setdefault(
                domain,
                server.DemoTransport(domain, OPENED_ON, lambda: store.now().replace(microsecond=0), store.url),
            )
            asked = httpx2.Request(
                self.command, store.url + self.path, headers=dict(self.headers.items()), content=body
            )
            answer = transport.handle_request(asked)
            request = Request(self.path, body, answer, answer.read(), self)
            store.asked.append(request)
            try:
                if not store.tamper(request):
                    request.send(answer.status_code, request.content, Content_Type=answer.headers["Content-Type"])
            except OSError:
                request.hang_up()  # the worker was killed

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A worker that was killed hangs up; the test's output stays clean."""

    http = Server(("127.0.0.1", 0), Handler)
    store.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def ranged(request: Request) -> bool:
    """Answer as a store of files that serves parts."""
    start = re.fullmatch(r"bytes=(\d+)-", request.handler.headers.get("Range", ""))
    if not request.is_file or start is None:
        return False
    first, size = int(start[1]), len(request.content)
    request.send(206, request.content[first:], Content_Range=f"bytes {first}-{size - 1}/{size}")
    return True


def one_of_many(request: Request, chance: random.Random) -> None:
    """Any of the faults a network or an overloaded shop has."""
    throttled = {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}
    faults: tuple[Callable[[], object], ...] = (
        request.hang_up,
        request.reset,
        request.stall,
        lambda: request.send(200, request.content, cut_to=chance.randrange(len(request.content) + 1)),
        lambda: request.send(502, b"<html><h1>Bad gateway</h1></html>"),
        lambda: request.send(200, request.content[: len(request.content) // 2] if not request.is_file else b"<html>"),
        lambda: request.send(429, b"", Retry_After="0"),
        lambda: request.send(200, json.dumps(throttled).encode()),
        lambda: request.send(404 if request.is_file else 503, b"gone"),
        lambda: request.send(200, request.content, Content_Encoding="gzip"),
    )
    chance.choice(faults)()
