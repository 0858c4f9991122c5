"""The client against scripted answers, recorded answers and a real socket that misbehaves."""

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from core.errors import (
    AccessDenied,
    BulkFailed,
    GarbageAnswer,
    InputError,
    QueryRefused,
    QueryTooCostly,
    ServerFault,
    ShopFrozen,
    ShopifyError,
    ShopLocked,
    ShopNotFound,
    Throttled,
    TokenRejected,
    Unreachable,
)
from core.shopify.client import Answer, ShopClient, shop_domain
from tests.conftest import SHARED, missing

TOKEN = "shpat_0123456789abcdef"
OK = {"data": {"shop": {"name": "Foo"}}}
RECORDED = SHARED / "recorded" / "graphql" / "2026-04"


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept_s: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


class Script:
    """Answers in order, the last one for ever; remembers requests and when they came."""

    def __init__(self, time: Time, *answers: httpx2.Response | Exception) -> None:
        self.time = time
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.at_s: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.at_s.append(self.time.now_s)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


def scripted(*answers: httpx2.Response | Exception, **options: Any) -> tuple[ShopClient, Script, Time]:
    time = Time()
    script = Script(time, *answers)
    client = ShopClient(
        "foo", TOKEN, transport=httpx2.MockTransport(script), sleep=time.sleep, clock=time.clock, **options
    )
    return client, script, time


def ok(body: Any = OK, **headers: str) -> httpx2.Response:
    return httpx2.Response(200, json=body, headers=headers)


def failed(code: str, message: str = "No.", path: list[str | int] | None = None, data: Any = None) -> httpx2.Response:
    error: dict[str, Any] = {"message": message, "extensions": {"code": code}}
    return ok({"data": data, "errors": [error | ({"path": path} if path else {})]})


def cost(requested: float, available: float, restored_per_s: float = 50.0) -> dict[str, Any]:
    status = {"maximumAvailable": 1000.0, "currentlyAvailable": available, "restoreRate": restored_per_s}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": requested, "throttleStatus": status}}


def recorded(name: str) -> Any:
    if not RECORDED.is_dir():
        missing("the recorded answers")
    return json.loads((RECORDED / name).read_text())


@pytest.mark.parametrize(
    "text",
    [
        "foo-1",
        "FOO-1",
        " foo-1 ",
        "foo-1.myshopify.com",
        "https://foo-1.myshopify.com/",
        "http://foo-1.myshopify.com/admin/products?page=2",
        "https://admin.shopify.com/store/foo-1",
        "admin.shopify.com/store/foo-1/settings/domains",
    ],
)
def test_a_shop_is_known_by_any_of_its_addresses(text: str) -> None:
    assert shop_domain(text) == "foo-1.myshopify.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evil.com",
        "foo.evil.com",
        "foo.myshopify.com.evil.com",
        "foo.myshopify.com@evil.com",
        "foo@evil.com",
        "foo:secret@foo.myshopify.com",
        "evil.com/foo.myshopify.com",
        "evil.com#.myshopify.com",
        "evil.com\\.myshopify.com",
        "foo.myshopify.com\n",
        "foo\n",
        "\tfoo",
        "foo.myshopify.com:8080",
        "a.b.myshopify.com",
        "-foo",
        "foo-",
        ".myshopify.com",
        "foo_bar",
        "f o",
        "f" * 64,
        "fоo",  # a Cyrillic o
        "foo.myshopiKy.com".replace("K", "\u212a"),  # lower-cases to k
        "foo\u3002myshopify\u3002com",
        "ｆｏｏ",
        "javascript:alert(1)",
        "admin.shopify.com/store/",
        "admin.shopify.com/store/foo@evil.com",
    ],
)
def test_anything_but_a_shop_address_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InputError, match="my-store.myshopify.com"):
        shop_domain(text)


@pytest.mark.parametrize("token", ["", "shpat_a\r\nX-Evil: 1", "shpat a", "shpat_ä"])
def test_a_token_that_cannot_be_a_header_is_refused(token: str) -> None:
    with pytest.raises(InputError, match="Copy it again"):
        ShopClient("foo", token)


def test_a_request_carries_the_token_the_version_and_the_variables() -> None:
    client, script, _ = scripted(ok())
    assert client.execute("query Q { shop { name } }", {"a": 1}, "Q").data == OK["data"]
    (request,) = script.requests
    assert str(request.url) == "https://foo.myshopify.com/admin/api/2026-10/graphql.json"
    assert request.headers["X-Shopify-Access-Token"] == TOKEN
    assert json.loads(request.content) == {
        "query": "query Q { shop { name } }",
        "variables": {"a": 1},
        "operationName": "Q",
    }


def test_two_clients_share_neither_address_nor_token() -> None:
    seen = []
    transport = httpx2.MockTransport(
        lambda request: seen.append((request.url.host, request.headers["X-Shopify-Access-Token"])) or ok()
    )
    one, two = ShopClient("one", "token-1", transport=transport), ShopClient("two", "token-2", transport=transport)
    for client in (one, two, one):
        client.execute("{ shop { name } }")
    shops = [("one.myshopify.com", "token-1"), ("two.myshopify.com", "token-2")]
    assert seen == [*shops, shops[0]]


@pytest.mark.parametrize(
    ("base_url", "endpoint"),
    [
        ("http://localhost:8080", "http://localhost:8080/admin/api/2026-10/graphql.json"),
        ("http://localhost:8080/{shop}/", "http://localhost:8080/foo.myshopify.com/admin/api/2026-10/graphql.json"),
        ("https://{shop}.test", "https://foo.myshopify.com.test/admin/api/2026-10/graphql.json"),
    ],
)
def test_a_base_url_takes_the_place_of_the_shop(base_url: str, endpoint: str) -> None:
    client, script, _ = scripted(ok(), base_url=base_url)
    client.execute("{ shop { name } }")
    assert str(script.requests[0].url) == endpoint


def test_the_answer_tells_its_cost_and_the_servers_time_in_utc() -> None:
    client, _, _ = scripted(ok(OK | {"extensions": cost(7, 993)}, Date="Fri, 20 Nov 2026 08:00:00 GMT"))
    answer = client.execute("{ shop { name } }")
    assert answer == Answer(OK["data"], (), 7, datetime(2026, 11, 20, 8, tzinfo=UTC))


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_without_a_readable_date_the_servers_time_is_unknown(headers: dict[str, str]) -> None:
    client, _, _ = scripted(ok(**headers))
    answer = client.execute("{ shop { name } }")
    assert answer.server_time is None
    assert answer.requested_cost is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, QueryRefused),
        (401, TokenRejected),
        (402, ShopFrozen),
        (403, AccessDenied),
        (404, ShopNotFound),
        (406, QueryRefused),
        (422, QueryRefused),
        (423, ShopLocked),
    ],
)
def test_a_lasting_refusal_is_told_apart_and_not_asked_again(status: int, kind: type[ShopifyError]) -> None:
    client, script, time = scripted(httpx2.Response(status, text=f"secret {TOKEN}"))
    with pytest.raises(kind) as raised:
        client.execute("{ shop { name } }")
    assert type(raised.value) is kind
    assert raised.value.permanent
    assert TOKEN not in str(raised.value)
    assert len(script.requests) == 1
    assert time.slept_s == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_so_the_token_stays(status: int) -> None:
    client, script, _ = scripted(httpx2.Response(status, headers={"Location": "https://evil.com/"}))
    with pytest.raises(ShopNotFound, match="renamed"):
        client.execute("{ shop { name } }")
    assert [request.url.host for request in script.requests] == ["foo.myshopify.com"]


@pytest.mark.parametrize("status", [430, 500, 502, 503, 504, 540])
def test_a_server_fault_is_retried_with_growing_jittered_pauses_and_then_told(status: int) -> None:
    client, script, time = scripted(httpx2.Response(status, text="<html>Bad Gateway</html>"))
    with pytest.raises(ServerFault, match=str(status)):
        client.execute("{ shop { name } }")
    assert len(script.requests) == 6
    assert len(time.slept_s) == 5
    for number, slept_s in enumerate(time.slept_s, start=1):
        assert min(30.0, 2.0**number) / 2 <= slept_s <= min(30.0, 2.0**number)


def test_a_passing_fault_is_not_noticed() -> None:
    client, script, _ = scripted(
        httpx2.Response(502, text="<html>"),
        httpx2.ReadTimeout("slow"),
        httpx2.Response(200, text="<html>"),
        failed("INTERNAL_SERVER_ERROR", "Internal error."),
        failed("THROTTLED", "Throttled"),
        ok(),
    )
    assert client.execute("{ shop { name } }").data == OK["data"]
    assert len(script.requests) == 6


def test_an_unreachable_shop_is_told_after_six_tries() -> None:
    client, script, _ = scripted(httpx2.ConnectError(f"no route with {TOKEN}"))
    with pytest.raises(Unreachable) as raised:
        client.execute("{ shop { name } }")
    assert TOKEN not in str(raised.value)
    assert len(script.requests) == 6


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "7"},
        {"Retry-After": "7.0"},
        {"Retry-After": "Fri, 20 Nov 2026 08:00:07 GMT", "Date": "Fri, 20 Nov 2026 08:00:00 GMT"},
    ],
)
def test_no_request_leaves_before_retry_after(headers: dict[str, str]) -> None:
    client, script, _ = scripted(httpx2.Response(429, headers=headers), ok())
    client.execute("{ shop { name } }")
    first_s, second_s = script.at_s
    assert 7.0 <= second_s - first_s <= 8.0


@pytest.mark.parametrize("text", ["", "soon", "-5", "nan", "inf", "1e9"])
def test_an_unreadable_retry_after_means_a_short_pause(text: str) -> None:
    client, script, _ = scripted(httpx2.Response(429, headers={"Retry-After": text}), ok())
    client.execute("{ shop { name } }")
    first_s, second_s = script.at_s
    assert 2.0 <= second_s - first_s <= 3.0


def test_a_long_retry_after_gives_the_worker_back_and_silences_the_client() -> None:
    client, script, time = scripted(httpx2.Response(429, headers={"Retry-After": "3600"}), ok())
    for _ in range(2):
        with pytest.raises(Throttled) as raised:
            client.execute("{ shop { name } }")
        assert 3500 <= raised.value.retry_after_s <= 4000
    assert len(script.requests) == 1
    assert time.slept_s == []
    time.now_s += 4000
    assert client.execute("{ shop { name } }").data == OK["data"]


def test_endless_throttling_ends_as_throttled() -> None:
    client, script, _ = scripted(failed("THROTTLED"))
    with pytest.raises(Throttled):
        client.execute("{ shop { name } }")
    assert 6 <= len(script.requests) <= 30


def test_a_request_waits_until_its_cost_is_restored() -> None:
    client, script, _ = scripted(ok(OK | {"extensions": cost(260, 10)}))
    client.execute("{ shop { name } }")
    client.execute("{ shop { name } }")
    first_s, second_s = script.at_s
    assert second_s - first_s == pytest.approx((260 - 10) / 50)


def test_a_throttled_query_comes_back_when_its_cost_is_restored() -> None:
    throttled = {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}
    client, script, _ = scripted(ok(throttled | {"extensions": cost(510, 10)}), ok())
    client.execute("{ shop { name } }")
    first_s, second_s = script.at_s
    assert second_s - first_s == pytest.approx((510 - 10) / 50)


def test_a_full_bucket_makes_nobody_wait() -> None:
    client, _, time = scripted(ok(OK | {"extensions": cost(500, 1000)}))
    for _ in range(3):
        client.execute("{ shop { name } }")
    assert time.slept_s == []


def test_a_cost_beyond_the_bucket_does_not_wait_for_ever() -> None:
    client, script, time = scripted(ok(OK | {"extensions": cost(5000, 900)}))
    client.execute("{ shop { name } }")
    client.execute("{ shop { name } }")
    assert time.slept_s == pytest.approx([2.0])


@pytest.mark.parametrize("extensions", [[], "x", {"cost": 3}, {"cost": {"throttleStatus": {"restoreRate": None}}}])
def test_odd_extensions_do_no_harm(extensions: Any) -> None:
    client, _, _ = scripted(ok(OK | {"extensions": extensions}))
    assert client.execute("{ shop { name } }").requested_cost is None


def test_a_query_above_the_limit_is_told_as_too_costly() -> None:
    client, script, _ = scripted(failed("MAX_COST_EXCEEDED", "Query cost is 2103."))
    with pytest.raises(QueryTooCostly, match="2103"):
        client.execute("{ shop { name } }")
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "name", ["taxSummaryCreate-access-denied-parity", "orderCreateManualPayment-warm-access-denied-parity"]
)
def test_a_recorded_denied_field_is_told_with_the_access_it_needs(name: str) -> None:
    body = recorded(f"orders/{name}.json")["mutation"]["response"]
    client, script, _ = scripted(ok(body))
    with pytest.raises(AccessDenied, match="Required access: `write_"):
        client.execute("mutation { x }")
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("missingWindow", "one of first or last"),
        ("invalidCreatedAt", "Invalid timestamp"),
        ("malformedInlineId", "Invalid global id"),
        ("nonBulkOperationGid", "Invalid id"),
    ],
)
def test_a_recorded_refused_query_is_told_in_shopifys_words(case: str, message: str) -> None:
    body = recorded("bulk-operations/bulk-operations-read-arg-validation.json")["cases"][case]["response"]
    client, _, _ = scripted(ok(body))
    with pytest.raises(QueryRefused, match=message):
        client.execute("{ x }")


def test_a_denied_field_inside_keeps_the_rest_and_is_reported_once() -> None:
    errors = [
        {"message": "Access denied for email field.", "path": ["orders", "nodes", at, "email"]}
        | {"extensions": {"code": "ACCESS_DENIED"}}
        for at in (0, 1)
    ]
    data = {"orders": {"nodes": [{"email": None}, {"email": None}]}}
    client, _, _ = scripted(ok({"data": data, "errors": errors}))
    answer = client.execute("{ orders }")
    assert answer.data == data
    assert answer.degraded == ("orders.nodes.email: Access denied for email field.",)


def test_a_denial_that_empties_the_whole_root_field_is_no_answer() -> None:
    client, _, _ = scripted(
        failed("ACCESS_DENIED", "Denied.", ["orders", "nodes", 0, "total"], {"orders": None, "shop": {"id": "1"}})
    )
    with pytest.raises(AccessDenied, match="Denied"):
        client.execute("{ orders }")


def test_an_error_without_a_path_refuses_the_query_even_with_data() -> None:
    client, _, _ = scripted(failed("undefinedField", "Field 'nam' doesn't exist", data={"shop": {"id": "1"}}))
    with pytest.raises(QueryRefused, match="'nam'"):
        client.execute("{ shop { nam } }")


def test_errors_as_bare_text_are_understood() -> None:
    client, _, _ = scripted(ok({"errors": "[API] Not Found for jane@example.com"}))
    with pytest.raises(QueryRefused, match="Not Found") as raised:
        client.execute("{ shop { name } }")
    assert "jane" not in str(raised.value)


def test_an_internal_error_of_one_field_is_retried_not_stored_as_missing() -> None:
    broken = failed("INTERNAL_SERVER_ERROR", "Internal error", ["shop", "plan"], {"shop": {"plan": None}})
    client, script, _ = scripted(broken, ok())
    assert client.execute("{ shop { name } }").data == OK["data"]
    assert len(script.requests) == 2


def test_an_ignored_filter_is_an_error() -> None:
    warning = {"field": "00", "message": "Invalid search field for this query.", "code": "invalid_field"}
    search = [{"path": ["orders"], "query": "updated_at:>=2026-01-01T00:00:00Z", "warnings": [warning]}]
    client, _, _ = scripted(ok(OK | {"extensions": {"search": search}}))
    with pytest.raises(QueryRefused, match="Invalid search field"):
        client.execute("{ orders }")


@pytest.mark.parametrize("search", [[], [{"path": ["orders"], "parsed": {}}], [{"warnings": []}]])
def test_an_understood_filter_is_none(search: Any) -> None:
    client, _, _ = scripted(ok(OK | {"extensions": {"search": search}}))
    assert client.execute("{ orders }").data == OK["data"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b'{"data": {"shop"',
        b"\xff\xfe{}",
        b"[]",
        b"null",
        b"3",
        b"{}",
        b'{"data": null}',
        b'{"data": [1]}',
        b'{"data": null, "errors": []}',
        b"[" * 100_000,
        b'{"data": {"shop": "\xff"}}',
    ],
)
def test_garbage_is_tried_a_few_times_and_then_told(body: bytes) -> None:
    client, script, _ = scripted(httpx2.Response(200, content=body))
    with pytest.raises(GarbageAnswer):
        client.execute("{ shop { name } }")
    assert len(script.requests) == 3


def test_an_answer_without_end_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.shopify.client.LARGEST_ANSWER_BYTES", 10)
    client, _, _ = scripted(ok())
    with pytest.raises(GarbageAnswer, match="larger"):
        client.execute("{ shop { name } }")


def test_an_internal_error_without_a_code_is_retried() -> None:
    message = "Internal error. Looks like something went wrong on our end. Request ID: abc"
    client, script, _ = scripted(ok({"errors": [{"message": message}]}), ok())
    assert client.execute("{ shop { name } }").data == OK["data"]
    assert len(script.requests) == 2


def test_a_damaged_compression_is_garbage() -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx2.ByteStream(b"not gzip at all"))

    client = ShopClient("foo", TOKEN, transport=httpx2.MockTransport(answer), sleep=lambda _: None)
    with pytest.raises(GarbageAnswer):
        client.execute("{ shop { name } }")


def test_another_version_in_the_answer_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    client, _, _ = scripted(ok(OK, **{"X-Shopify-API-Version": "2027-01"}))
    with caplog.at_level(logging.WARNING, "core.shopify.client"):
        client.execute("{ shop { name } }")
        client.execute("{ shop { name } }")
    assert [record.getMessage() for record in caplog.records if "2027-01" in record.getMessage()] != []
    assert len(caplog.records) == 1


def test_the_token_is_in_no_log_no_message_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    client, _, _ = scripted(
        httpx2.Response(502, text=TOKEN, headers={"X-Request-ID": "abc-123"}),
        failed("SOMETHING", f"The token {TOKEN} is no good"),
    )
    with caplog.at_level(logging.DEBUG), pytest.raises(QueryRefused) as raised:
        client.execute("{ shop { name } }", {"after": TOKEN})
    said = caplog.text + str(raised.value) + repr(client)
    assert TOKEN not in said
    assert "abc-123" in caplog.text
    assert "foo.myshopify.com" in caplog.text


def test_a_download_gets_no_token_and_its_address_as_given() -> None:
    url = "https://storage.test/out/1?Signature=kz%2F1v5%2BO%3D%3D&t=application%2Fjsonl"
    client, script, _ = scripted(httpx2.Response(200, content=b"{}\n"))
    with client.download(url) as response:
        assert b"".join(response.iter_bytes()) == b"{}\n"
    (request,) = script.requests
    assert str(request.url) == url
    assert TOKEN not in str(request.headers)


def test_a_relative_download_is_looked_up_at_the_base_url() -> None:
    client, script, _ = scripted(httpx2.Response(200), base_url="http://localhost:8080/{shop}")
    for url in ("/files/1.jsonl", "files/1.jsonl"):
        with client.download(url):
            pass
    assert [str(request.url) for request in script.requests] == [
        "http://localhost:8080/files/1.jsonl",
        "http://localhost:8080/foo.myshopify.com/files/1.jsonl",
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, BulkFailed),
        (400, BulkFailed),
        (403, BulkFailed),
        (404, BulkFailed),
        (429, ServerFault),
        (503, ServerFault),
    ],
)
def test_a_download_that_is_not_served_is_told(status: int, kind: type[ShopifyError]) -> None:
    client, script, _ = scripted(httpx2.Response(status, headers={"Location": "https://evil.com/"}))
    with pytest.raises(kind), client.download("https://storage.test/1"):
        pass
    assert len(script.requests) == 1


@pytest.mark.parametrize("url", ["http://[broken", "file:///etc/passwd", "ftp://storage.test/1"])
def test_a_download_from_no_address_is_unreachable(url: str) -> None:
    client = ShopClient("foo", TOKEN)
    with client, pytest.raises(Unreachable), client.download(url):
        pass


@contextmanager
def misbehaving(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a real server that treats each connection by `behave`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65536)
                        behave(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _close(_: socket.socket) -> None:
    """Nothing is said."""


def _say_nothing(connection: socket.socket) -> None:
    connection.recv(1)  # until the client hangs up


def _stall_in_the_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: app")
    connection.recv(1)


def _stall_in_the_body(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"data": ')
    connection.recv(1)


def _break_off_in_the_body(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"data": ')


def _speak_another_protocol(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example.com ESMTP\r\n")


def _drip(connection: socket.socket) -> None:
    connection.settimeout(0.02)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


@pytest.mark.parametrize(
    "behave",
    [
        _reset,
        _close,
        _say_nothing,
        _stall_in_the_headers,
        _stall_in_the_body,
        _break_off_in_the_body,
        _speak_another_protocol,
        _drip,
    ],
)
def test_a_broken_connection_ends_as_unreachable(behave: Callable[[socket.socket], None]) -> None:
    with (
        misbehaving(behave) as url,
        ShopClient(
            "foo", TOKEN, base_url=url, sleep=lambda _: None, connect_timeout_s=0.1, read_timeout_s=0.1
        ) as client,
        pytest.raises(Unreachable),
    ):
        client.execute("{ shop { name } }")


@pytest.mark.parametrize("behave", [_reset, _stall_in_the_body, _break_off_in_the_body])
def test_a_download_that_breaks_off_is_unreachable(behave: Callable[[socket.socket], None]) -> None:
    with (
        misbehaving(behave) as url,
        ShopClient("foo", TOKEN, base_url=url, read_timeout_s=0.1) as client,
        pytest.raises(Unreachable),
        client.download("/1.jsonl") as response,
    ):
        response.read()


def test_a_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = ShopClient("foo", TOKEN, base_url=f"http://127.0.0.1:{port}", sleep=lambda _: None)
    with client, pytest.raises(Unreachable, match="ConnectError"):
        client.execute("{ shop { name } }")


def test_a_server_that_recovers_is_read_after_all() -> None:
    body = json.dumps(OK).encode()
    behaviours = iter([_reset, _stall_in_the_body, _break_off_in_the_body])

    def behave(connection: socket.socket) -> None:
        if (broken := next(behaviours, None)) is not None:
            broken(connection)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with misbehaving(behave) as url:
        client = ShopClient("foo", TOKEN, base_url=url, sleep=lambda _: None, read_timeout_s=1.0)
        with client:
            assert client.execute("{ shop { name } }").data == OK["data"]
