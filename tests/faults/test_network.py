"""The network and Shopify's files at their worst, over real sockets: nothing is lost, and nothing half is stored."""

import gzip
import itertools
import random
from bisect import insort
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from core.config import get_settings
from core.db.engine import make_engine
from core.demo import operations, server
from core.demo.views import take_snapshot
from core.errors import Unreachable
from core.shopify.client import ShopClient
from core.sync import jobs
from tests.demo_sync import ALICE, Asked, Stage, add_demo_shop, quarantined, rows_of, stage_demo, state, sync
from tests.faults.conftest import Ground
from tests.faults.store import HARBOR, NOW, OPENED_ON, Request, ranged
from tests.faults.truth import equals, stored, truth

HEAVY = pytest.mark.faults
# What has little to do with the database is tried on the other one by make faults.
ON_ONE = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=HEAVY)], indirect=True)
LONGEST_BLOCK_S = 35.0
Lines = list[bytes]


def test_nothing_blocks_a_thread_longer_than_promised():
    client = ShopClient("foo", "shpat_0")
    limits = client._http.timeout
    assert None not in (limits.connect, limits.read, limits.write, limits.pool)
    assert limits.connect + limits.read <= LONGEST_BLOCK_S
    assert max(limits.write, limits.pool) <= LONGEST_BLOCK_S
    with make_engine(get_settings()).connect() as connection:
        assert 0 < connection.exec_driver_sql("PRAGMA busy_timeout").scalar() <= LONGEST_BLOCK_S * 1000


def test_a_name_that_leads_nowhere_is_unreachable():
    client = ShopClient("foo", "shpat_0", base_url="http://no-such-host.invalid", sleep=lambda _: None)
    with client, pytest.raises(Unreachable, match="ConnectError"):
        client.execute("{ shop { name } }")


def once(condition: Callable[[Request], bool], act: Callable[[Request], object]) -> Callable[[Request], bool]:
    """Disturb the first request that fits; files are served in parts to whoever asks."""
    left = iter([True])

    def tamper(request: Request) -> bool:
        if condition(request) and next(left, False):
            act(request)
            return True
        return ranged(request)

    return tamper


@ON_ONE
@pytest.mark.parametrize("parts", [True, False], ids=["from a server that serves parts", "from one that does not"])
def test_a_download_that_breaks_off_goes_on_where_it_was(ground: Ground, parts: bool):
    asked: list[tuple[str | None, int]] = []

    def tamper(request: Request) -> bool:
        if not request.is_file:
            return False
        asked.append((request.handler.headers.get("Range"), len(request.content)))
        if len(asked) == 1:
            request.send(200, request.content, cut_to=len(request.content) // 2)
            return True
        return parts and ranged(request)

    ground.store.tamper = tamper
    ground.sync()
    assert asked[1][0] == f"bytes={asked[0][1] // 2}-" and asked[2][0] is None
    assert ground.equals_the_shop()


BAD_FILES: dict[str, tuple[Callable[[Request], object], str]] = {
    "403": (lambda request: request.send(403, b"<Error><Code>ExpiredToken</Code></Error>"), "expire"),
    "404": (lambda request: request.send(404, b"<Error><Code>NoSuchKey</Code></Error>"), "expire"),
    "compressed and cut": (
        lambda request: request.send(200, gzip.compress(request.content)[:-400], Content_Encoding="gzip"), "",
    ),
    "not compressed at all": (lambda request: request.send(200, request.content, Content_Encoding="gzip"), ""),
}  # fmt: skip


@ON_ONE
@pytest.mark.parametrize(
    "what", ["404", "compressed and cut", *(pytest.param(w, marks=HEAVY) for w in ("403", "not compressed at all"))]
)
def test_a_file_that_cannot_be_had_is_asked_for_anew(ground: Ground, what: str):
    act, words = BAD_FILES[what]
    ground.store.tamper = once(lambda request: request.is_file, act)
    jobs.request_sync(1)
    assert ground.workers.run("work") == 0
    [run] = jobs.run_history(1)
    assert (run.outcome == "ok" and not words) or (run.outcome == "partial" and words in (run.problem or ""))
    if run.outcome == "partial":
        assert rows_of(1)["product"] == [] and state("products", 1).bulk_operation_id is None
    ground.sync()
    assert ground.equals_the_shop()


@ON_ONE
def test_a_compressed_file_and_compressed_answers_are_read(ground: Ground):
    def compress(request: Request) -> bool:
        request.send(200, gzip.compress(request.content), Content_Encoding="gzip", Content_Type="application/json")
        return True

    ground.store.tamper = compress
    ground.sync()
    assert ground.equals_the_shop()


def files_are(monkeypatch: pytest.MonkeyPatch, change: Callable[[Lines], Lines]) -> None:
    """Change the lines of every bulk file at its source; counts and size follow."""
    honest = operations.run_bulk

    def run_bulk(*arguments: Any, **options: Any) -> Any:
        file = honest(*arguments, **options)
        lines = change(file.content.splitlines())
        roots = sum(b'"__parentId"' not in line for line in lines)
        return replace(file, content=b"".join(line + b"\n" for line in lines), objects=len(lines), roots=roots)

    monkeypatch.setattr(operations, "run_bulk", run_bulk)


def shuffled(lines: Lines) -> Lines:
    return random.Random(7).sample(lines, len(lines))


def doubled(lines: Lines) -> Lines:
    return [line for line in lines for _ in range(2)]


def huge(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1][:-1] + b', "padding": "' + b"x" * 10_000_000 + b'"}']


def with_nul(lines: Lines) -> Lines:
    return [line.replace(b'"title":"', b'"title":"\\u0000') for line in lines]


_OFTEN = ("every line twice, anywhere", "a line of ten megabytes")
CHANGES: dict[str, Callable[[Lines], Lines]] = {
    "a child before its parent": shuffled,
    "every line twice": doubled,
    "every line twice, anywhere": lambda lines: shuffled(doubled(lines)),
    "a line of ten megabytes": huge,
    "NUL in every title": with_nul,
}


@ON_ONE
@pytest.mark.parametrize("what", [pytest.param(what, marks=() if what in _OFTEN else HEAVY) for what in CHANGES])
def test_odd_lines_store_the_same_rows(ground: Ground, monkeypatch: pytest.MonkeyPatch, what: str):
    files_are(monkeypatch, CHANGES[what])
    ground.sync()
    assert ground.equals_the_shop()
    assert quarantined(1) == {}


def test_a_lone_surrogate_harms_its_own_object_only(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    def surrogate(lines: Lines) -> Lines:
        place = next((n for n, line in enumerate(lines) if b"Product/" in line and b"__parentId" not in line), None)
        if place is not None:
            lines[place] = lines[place].replace(b'"title":"', b'"title":"\\ud800', 1)
        return with_nul(lines)

    files_are(monkeypatch, surrogate)
    ground.sync()
    expected, found, aside = truth(HARBOR, NOW), stored(1), quarantined(1)
    spoilt = [row for row in expected["product"] if row not in found["product"]]
    assert len(spoilt) == 1 and spoilt[0][0] in {
        *(int(key.removeprefix("products/")) for key in aside),
        *(row[0] for row in found["product"] if "?" in row[1] or "\ufffd" in row[1]),
    }
    assert found["order"] == expected["order"] and found["sale"] == expected["sale"]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = stage_demo(monkeypatch, opened_on=OPENED_ON)
    stage.now = NOW
    return stage


def small_pages(asked: Asked) -> httpx2.Response | None:
    """Shopify allows ten orders a page."""
    if not asked.about("Orders(") or asked.variables["first"] <= 10:
        return None
    message = "Query cost is 1001, which exceeds the single query max cost limit (1000)."
    return httpx2.Response(200, json={"errors": [{"message": message, "extensions": {"code": "MAX_COST_EXCEEDED"}}]})


@ON_ONE
@pytest.mark.parametrize("pages_before_the_end", [1, pytest.param(3, marks=HEAVY), pytest.param(7, marks=HEAVY)])
def test_changes_of_one_second_over_many_pages_are_all_read(database: Engine, stage: Stage, pages_before_the_end: int):
    add_demo_shop(ALICE, HARBOR)
    sync()
    all_at_once(NOW + timedelta(hours=1))
    stage.now = NOW + timedelta(hours=2)
    pages = itertools.count()

    def cut_off(asked: Asked) -> httpx2.Response | None:
        small = small_pages(asked)
        if small is None and asked.about("Orders(") and next(pages) >= pages_before_the_end:
            return httpx2.Response(402, json={"errors": "not paid"})
        return small

    stage.instead = cut_off
    assert sync().outcome == "failed"
    stage.instead = small_pages
    run = sync()
    assert run.outcome == "ok", run.problem
    assert equals(ALICE, HARBOR, stage.now)


def all_at_once(moment: datetime) -> None:
    """Every order of the shop is changed in one second, as a bulk edit does."""
    store = server._place(HARBOR, OPENED_ON).store
    for place, order in enumerate(store.history.orders):
        if order.created_at < moment:
            moments = list(order.moments)
            insort(moments, moment)
            store.history.orders[place] = replace(order, moments=tuple(moments))
    store.shown.clear()


@ON_ONE
@pytest.mark.parametrize("minutes", [10, -10])
def test_clocks_that_disagree_lose_nothing(database: Engine, stage: Stage, minutes: int):
    """The answers' Date, by which the app reckons, is wrong; the first read finds a shop that has sold nothing yet."""

    def skew(_: Asked, response: httpx2.Response) -> httpx2.Response:
        response.headers["Date"] = format_datetime(stage.now + timedelta(minutes=minutes), usegmt=True)
        return response

    stage.after = skew
    stage.now = first_sale() - timedelta(minutes=1)
    add_demo_shop(ALICE, HARBOR)
    sync()
    assert rows_of()["order"] == []
    for step in (2, 3, 3, 7, 300, 4, 4, 600):
        stage.now += timedelta(minutes=step)
        assert sync(full=step == 300).outcome == "ok"
        assert equals(ALICE, HARBOR, stage.now)


def first_sale() -> datetime:
    take_snapshot(store := server._place(HARBOR, OPENED_ON).store, NOW)
    return min(order.created_at for order in store.history.orders)
