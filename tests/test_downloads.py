"""Who is served a file of the pages: at every address Streamlit has it, whoever names themselves as somebody else."""

from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from core.auth import sessions
from core.auth.sessions import browser_of
from core.auth.tickets import digest
from core.web import middleware
from core.web.middleware import COOKIE, MIDDLEWARE
from tests import factories as make
from tests.event_loop import run

ALICE, CHARLIE = 1, 2
FILE = "5f" * 28


@pytest.fixture(autouse=True)
def people(database: Engine) -> None:
    make.add_user(ALICE, "alice@example.com")
    make.add_user(CHARLIE, "charlie@example.com")


async def _name_the_file(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_bytes(b"\x0a\x5a/media/" + FILE.encode() + b".csv\x12")
    await socket.close()


class Program:
    """Streamlit's part is played by a socket that names the file, and a page that answers at every address."""

    def __init__(self) -> None:
        page = Route("/{rest:path}", lambda _: PlainTextResponse("the file"))
        self.app = Starlette(routes=[WebSocketRoute("/stream", _name_the_file), page], middleware=MIDDLEWARE)

    def show(self, cookie: str | None) -> None:
        """A tab with this cookie is shown the file."""
        scope = self._scope("websocket", "/stream", cookie) | {"subprotocols": []}
        self._run(scope, [{"type": "websocket.connect"}])

    def get(self, path: str, cookie: str | None, method: str = "GET") -> int:
        scope = self._scope("http", path, cookie) | {"method": method}
        status: int = self._run(scope, [{"type": "http.request", "body": b""}])[0]["status"]
        return status

    @staticmethod
    def _scope(kind: str, path: str, cookie: str | None) -> dict[str, Any]:
        headers = [(b"host", b"localhost")] + ([(b"cookie", cookie.encode())] if cookie else [])
        return {
            "type": kind, "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers,
            "scheme": "http", "http_version": "1.1", "root_path": "", "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        }  # fmt: skip

    def _run(self, scope: dict[str, Any], received: list[dict[str, Any]]) -> list[Any]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return received.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        run(self.app, scope, receive, send)
        return sent


def cookie_for(user_id: int) -> str:
    return f"{COOKIE}={sessions.start(user_id, None, None)}"


@pytest.mark.parametrize("path", ["/media/{}.csv", "/media/{}", "/shop/media/{}.csv", "//media//{}.csv", "/media/{}/x"])
def test_only_the_session_that_was_shown_a_file_is_served_it(path: str):
    program, alice, charlie = Program(), cookie_for(ALICE), cookie_for(CHARLIE)
    program.show(alice)
    at = path.format(FILE)
    assert [program.get(at, cookie) for cookie in (alice, charlie, None, f"{COOKIE}=x")] == [200, 404, 404, 404]
    assert program.get(at, charlie, "POST") == program.get(at, None, "OPTIONS") == 404
    program.show(charlie)
    assert program.get(at, charlie) == 200 and program.get(at, None) == 404


def test_a_session_that_ended_is_served_nothing():
    program, alice = Program(), cookie_for(ALICE)
    program.show(alice)
    sessions.end_all(ALICE)
    assert program.get(f"/media/{FILE}.csv", alice) == 404


@pytest.mark.parametrize("path", ["/static/media/{}.woff2", "/shop/static/media/{}", "/media", "/overview"])
def test_what_is_no_file_of_a_page_is_open_to_everybody(path: str):
    assert Program().get(path.format(FILE), None) == 200


def test_what_was_shown_to_nobody_known_is_open_and_to_a_known_browser_is_not():
    """The risk that is left: a host that passes on no cookie at all."""
    known, other = "_streamlit_xsrf=2|00000000|aabbccdd|1", "_streamlit_xsrf=2|00000000|aabbccde|1"
    program = Program()
    program.show(known)
    at = f"/media/{FILE}.csv"
    assert [program.get(at, cookie) for cookie in (known, other, None)] == [200, 404, 404]
    program.show(None)
    assert [program.get(at, cookie) for cookie in (other, None)] == [200, 200]


def test_a_cookie_that_spells_a_session_is_a_browser_and_no_session():
    program, alice = Program(), cookie_for(ALICE)
    program.show(alice)
    spelled = digest(alice.removeprefix(f"{COOKIE}="))
    assert program.get(f"/media/{FILE}.csv", f"_streamlit_xsrf=2|00000000|{spelled}|1") == 404


def test_the_oldest_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(middleware, "_KNOWN_AT_MOST", 2)
    program, cookies = Program(), [cookie_for(ALICE) for _ in range(3)]
    for cookie in (*cookies, cookies[1]):
        program.show(cookie)
    assert [program.get(f"/media/{FILE}.csv", cookie) for cookie in cookies] == [404, 200, 200]


@pytest.mark.parametrize(
    ("cookie", "stands_for"),
    [
        ("2|00000000|aabb|1", "aabb"),
        ("2|ffffffff|5544|1", "aabb"),
        ("2|0f|zz|1", None), ("", None), ("x", None), ("2||aabb|1", None), (None, None),
    ],
)  # fmt: skip
def test_streamlits_cookie_stands_for_one_browser_under_every_mask(cookie: str | None, stands_for: str | None):
    assert browser_of(cookie) == stands_for
