"""The session's cookie over HTTP: given for a ticket to a page of ours, taken away, never to a stranger."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from core.auth import sessions, tickets
from core.auth.tickets import digest
from core.db.engine import system_session
from core.db.models import AuditEvent, User
from core.errors import DatabaseUnavailable
from core.web import middleware
from core.web.middleware import COOKIE, MIDDLEWARE
from core.web.routes import ROUTES, served_below
from tests import factories as make
from tests.event_loop import run

ALICE, BOB = 1, 2
OURS = {"origin": "http://localhost", "content-type": "application/json"}


@pytest.fixture(autouse=True)
def people(database: Engine) -> None:
    make.add_user(ALICE, "alice@example.com")
    make.add_user(BOB, "bob@example.com")


def ask(method: str, path: str, routes: list[BaseRoute] = ROUTES, base: str = "http://localhost", **more: Any) -> Any:
    """The answer of the app's routes behind its middleware; pages are stood in for by everything else."""
    pages = Route("/{rest:path}", lambda request: PlainTextResponse(f"page {dict(request.headers)}"))
    program = Starlette(routes=[*routes, pages], middleware=MIDDLEWARE)

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=program)
        async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, **more)

    return run(send)


def ticket(user_id: int = ALICE, seconds: int = 60) -> str:
    return tickets.issue(sessions.COOKIE_TICKET, user_id=user_id, lifetime=timedelta(seconds=seconds))


def exchange(secret: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    return ask("POST", "/auth/session", json={"ticket": secret}, headers={**OURS, **(headers or {})}, **more)


def signed_in(secret: str | None) -> bool:
    headers = {"cookie": f"{COOKIE}={secret}"} if secret else {}
    answer: bool = ask("GET", "/auth/session", headers=headers).json()["signed_in"]
    return answer


def cookie_of(answer: Any) -> str:
    value: str = answer.headers["set-cookie"].split(";")[0].removeprefix(f"{COOKIE}=")
    return value


def test_a_ticket_becomes_a_cookie_that_only_the_server_reads():
    answer = exchange(ticket())
    assert answer.status_code == 200
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=43200"} <= attributes
    assert "secure" not in attributes and not any(each.startswith("domain") for each in attributes)
    view = sessions.check(digest(cookie_of(answer)))
    assert view is not None and view.user_id == ALICE
    assert signed_in(cookie_of(answer)) and not signed_in(None)


def test_under_https_the_cookie_is_secure_also_behind_a_proxy_that_does_not_say_so():
    for base in ("https://shop.example", "http://shop.example"):
        answer = exchange(ticket(), {"origin": "https://shop.example"}, base=base)
        assert "secure" in answer.headers["set-cookie"].lower()


def test_a_ticket_is_good_once():
    secret = ticket()
    assert exchange(secret).status_code == 200
    again = exchange(secret)
    assert again.status_code == 401 and "set-cookie" not in again.headers


@pytest.mark.parametrize(
    "secret",
    [
        lambda: ticket(seconds=-1),
        lambda: "nonsense",
        lambda: "",
        lambda: tickets.issue("reset", user_id=ALICE, lifetime=timedelta(hours=1)),
        lambda: tickets.issue(sessions.TAB_TICKET, user_id=ALICE, lifetime=timedelta(hours=1)),
        lambda: tickets.issue(sessions.COOKIE_TICKET, lifetime=timedelta(hours=1)),
    ],
)
def test_a_late_invented_or_other_ticket_gives_no_cookie(secret):
    answer = exchange(secret())
    assert answer.status_code == 401 and "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://localhost:8080"},
        {"origin": "http://evil.example@localhost.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://[localhost"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
    ],
)
@pytest.mark.parametrize("path", ["/auth/session", "/auth/end"])
def test_only_a_page_of_this_address_may_ask_and_only_with_json(path, headers):
    secret, session = ticket(), sessions.start(ALICE, None, None)
    cookie = {"cookie": f"{COOKIE}={session}"}
    answer = ask("POST", path, json={"ticket": secret}, headers={**OURS, **cookie, **headers})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    assert signed_in(session)
    assert exchange(secret).status_code == 200  # the ticket was not used up


@pytest.mark.parametrize("path", ["/auth/session", "/auth/end"])
def test_without_an_origin_nothing_is_given_or_taken(path):
    secret = ticket()
    answer = ask("POST", path, json={"ticket": secret}, headers={"content-type": "application/json"})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"null", 400), (b"[]", 400), (b'{"ticket": 1}', 400), (b"\xff", 400), (b"{" * 900, 400),
        (b"[" * 2000, 400), (b'{"ticket": "' + b"x" * 10_000 + b'"}', 413),
    ],
)  # fmt: skip
def test_a_malformed_body_is_refused(body, status):
    assert ask("POST", "/auth/session", content=body, headers=OURS).status_code == status


def test_a_cookie_is_worth_nothing_after_the_sign_out():
    secret = cookie_of(exchange(ticket()))
    answer = ask("POST", "/auth/end", json={}, headers={**OURS, "cookie": f"{COOKIE}={secret}"})
    assert answer.status_code == 200
    assert 'shoptally_session=""' in answer.headers["set-cookie"] and "Max-Age=0" in answer.headers["set-cookie"]
    assert not signed_in(secret)


def test_signing_in_again_ends_the_browsers_session_before():
    first = cookie_of(exchange(ticket()))
    other = cookie_of(exchange(ticket()))
    second = cookie_of(exchange(ticket(BOB), {"cookie": f"{COOKIE}={first}"}))
    assert [signed_in(each) for each in (first, other, second)] == [False, True, True]


def test_who_was_switched_off_on_the_way_gets_no_cookie():
    secret = ticket()
    with system_session(write=True) as session:
        session.get_one(User, ALICE).active = False
    assert exchange(secret).status_code == 401


@pytest.mark.parametrize(
    "cookie",
    [
        "x", '""', "eyJhbGciOiJub25lIn0.eyJ1c2VybmFtZSI6ImFsaWNlIn0.", "%00", "a" * 5000,
        "1", "' OR 1=1 --",
    ],
)  # fmt: skip
def test_a_cookie_of_garbage_is_nobody(cookie):
    assert not signed_in(cookie)
    assert ask("GET", "/", headers={"cookie": cookie}).status_code == 200
    assert exchange(ticket(), {"cookie": f"{COOKIE}={cookie}"}).status_code == 200


def test_signing_in_and_out_is_audited_with_the_address_and_without_secrets():
    secret = cookie_of(exchange(ticket()))
    for _ in range(2):
        ask("POST", "/auth/end", json={}, headers={**OURS, "cookie": f"{COOKIE}={secret}"})
    with system_session() as session:
        events = session.exec(select(AuditEvent).order_by(AuditEvent.id)).all()
    assert [(event.actor, event.action, event.address) for event in events] == [
        ("alice@example.com", "sign_in", "127.0.0.1"),
        ("alice@example.com", "sign_out", "127.0.0.1"),
    ]
    assert secret not in repr(events) and digest(secret) not in repr(events)


def websocket(cookie: str | None, *headers: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The identity headers that reach Streamlit's websocket."""
    seen: list[tuple[bytes, bytes]] = []

    async def streamlit(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(header for header in scope["headers"] if header[0].lower().startswith(b"x-app-"))

    sent = [*headers, *([(b"cookie", f"other=1; {COOKIE}={cookie}".encode())] if cookie else [])]
    scope = {"type": "websocket", "path": "/_stcore/stream", "headers": sent}

    async def nothing(*_: Any) -> None:
        return None

    run(middleware.bind_identity(streamlit), scope, nothing, nothing)
    return seen


FORGED = (b"X-App-Sid", b"0" * 64), (b"x-app-uid", b"1"), (b"X-APP-SID", b"1" * 64)


def test_a_connection_is_bound_to_the_hash_of_its_live_session():
    secret = sessions.start(ALICE, None, None)
    assert websocket(secret) == [(b"x-app-sid", digest(secret).encode())]
    assert websocket(secret, *FORGED) == [(b"x-app-sid", digest(secret).encode())]
    sessions.end(digest(secret))
    assert websocket(secret) == []


def test_a_page_of_another_origin_is_bound_to_nobody():
    secret, host = sessions.start(ALICE, None, None), (b"host", b"localhost:8501")
    for origin in (b"https://evil.example", b"http://localhost:9999", b"null", b"", b"http://[localhost"):
        assert websocket(secret, host, (b"origin", origin)) == []
    assert websocket(secret, host, (b"origin", b"http://localhost:8501")) != []


@pytest.mark.parametrize("cookie", [None, "nonsense", "é", "\\", "=;=;", '"', "x; $Path=/", "a" * 100_000])
def test_identity_that_a_client_sends_is_dropped(cookie):
    assert websocket(cookie, *FORGED) == []
    page = ask("GET", "/", headers=[(name.decode(), value.decode()) for name, value in FORGED]).text
    assert page.startswith("page {") and "x-app" not in page


def test_the_hash_of_a_session_is_no_cookie():
    id_hash = digest(sessions.start(ALICE, None, None))
    assert websocket(id_hash) == [] and not signed_in(id_hash)


def test_while_the_database_is_away_the_tab_stays_bound_and_is_checked_by_the_next_run(monkeypatch):
    def away(_: str) -> None:
        raise DatabaseUnavailable("The database does not answer.")

    secret = sessions.start(ALICE, None, None)
    monkeypatch.setattr(sessions, "check", away)
    assert websocket(secret) == [(b"x-app-sid", digest(secret).encode())]


UNKNOWN = [
    "/api", "/api/", "/api/v2/orders", "/webhooks", "/webhooks/nonsense", "/auth", "/auth/", "/auth/nonsense",
    "/auth/login/x", "/shopify", "/shopify/callback/x", "/_stcore/metrics", "/_stcore/agent", "/_stcore/agent/interact",
    "/_stcore/agent/openapi", "/_stcore/agent/mcp", "/_stcore//metrics", "/_stcore/metrics/",
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [path for path in UNKNOWN if path != "/auth"])
def test_unknown_paths_beside_the_pages_do_not_exist(path, method):
    answer = ask(method, path)
    assert answer.status_code == 404
    assert "page" not in answer.text


@pytest.mark.parametrize("path", ["/", "/overview", "/apis", "/auth/login", "/auth/logout", "/_stcore/health"])
def test_pages_and_what_they_need_are_not_refused(path):
    assert ask("GET", path).text.startswith("page")


def test_the_exchange_is_not_found_by_other_methods():
    assert ask("DELETE", "/auth/session").status_code == 404
    assert ask("GET", "/auth/end").status_code == 404


@pytest.mark.parametrize("path", ["/", "/health", "/auth/session", "/api/nonsense", "/_stcore/metrics"])
def test_every_answer_carries_the_headers(path):
    answer = ask("GET", path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert "strict-transport-security" not in answer.headers
    secure = ask("GET", path, base="https://localhost")
    assert secure.headers["strict-transport-security"] == "max-age=31536000"


def test_answers_for_one_caller_are_not_kept_and_pages_may_be():
    for path in ("/auth/session", "/api/nonsense", "/shopify/nonsense", "/webhooks/nonsense"):
        assert ask("GET", path).headers["cache-control"] == "no-store"
    assert "cache-control" not in ask("GET", "/overview").headers


def test_below_a_path_the_same_routes_answer():
    below = served_below("/shops/", ROUTES)
    assert ask("GET", "/shops/auth/session", below).json() == {"signed_in": False}
    assert ask("GET", "/auth/session", below).json() == {"signed_in": False}
    assert ask("GET", "/shops/api/nonsense", below).status_code == 404
    assert ask("GET", "/shops/_stcore/metrics", below).status_code == 404
    assert ask("GET", "/shops/overview", below).text.startswith("page")
    assert served_below("", ROUTES) == ROUTES
