"""The API's door by itself: how often, how much and what kind of answer; no database is asked."""

import anyio
import pytest

from core.web import api_door
from core.web.api_door import Limiter, _prefers_csv, csv_text
from core.web.api_problems import Refused
from tests.event_loop import run


def test_a_window_ends_and_begins_anew():
    limiter = Limiter(most=2, window_s=60.0)
    assert [limiter.admit(1, now)["RateLimit-Remaining"] for now in (0.0, 1.0)] == ["1", "0"]
    with pytest.raises(Refused) as caught:
        limiter.admit(1, 59.0)
    assert caught.value.headers["Retry-After"] == "1"
    assert limiter.admit(1, 60.0)["RateLimit-Remaining"] == "1"
    for key_id in range(20_000):
        limiter.admit(key_id, 1_000.0 + key_id)
    assert len(limiter._used) < 10_001


def test_a_title_is_no_formula_in_a_csv_and_an_amount_is_no_text():
    assert csv_text([{"title": "=1+1", "net_sales": "-5.00", "found": {"a": 1}}]) == (
        'title,net_sales,found\n\'=1+1,-5.00,"{""a"": 1}"\n'
    )


@pytest.mark.parametrize(
    "accept, kind",
    [
        ("text/csv", "text/csv"), ("TEXT/CSV;q=0.9", "text/csv"), ("text/csv, application/json", "text/csv"),
        ("application/json, text/csv", "application/json"), ("text/csv;q=0.1, application/json", "application/json"),
        ("text/csv;q=0", "application/json"), ("text/csv;q=x", "application/json"), ("*/*", "application/json"),
        ("", "application/json"), (";;,,;q=", "application/json"),
    ],
)  # fmt: skip
def test_what_is_accepted_more_is_sent(accept, kind):
    assert _prefers_csv(accept) is (kind == "text/csv")


def test_a_body_that_drips_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(api_door, "BODY_WITHIN_S", 0.01)
    sent: list[dict[str, object]] = []

    async def ask() -> None:
        async def receive() -> dict[str, object]:
            await anyio.sleep(30)
            return {"type": "http.request"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/sync", "headers": [], "query_string": b""}
        await api_door.few_at_once(None)(scope, receive, send)

    run(ask)
    assert sent[0]["status"] == 408


def test_every_place_is_given_back_and_no_more_are_taken():
    seen: list[float] = []

    async def app(scope, receive, send) -> None:
        seen.append(api_door.FEW.borrowed_tokens)
        assert (await receive())["body"] == b"{}"
        if scope["path"] == "/fails":
            raise ValueError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        seen.append(api_door.FEW.borrowed_tokens)  # who reads slowly holds none

    async def ask() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"{}"}

        async def send(_: dict[str, object]) -> None: ...

        for path in ("/works", "/fails"):
            try:
                await api_door.few_at_once(app)({"type": "http", "path": path, "headers": []}, receive, send)
            except ValueError:
                seen.append(api_door.FEW.borrowed_tokens)

    run(ask)
    assert seen == [1, 0, 1, 0]
