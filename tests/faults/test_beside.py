"""The network and files at their worst where something could be called deleted: nothing that is there ever is."""

import itertools
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from core.sync import jobs
from tests.demo_sync import ALICE, Asked, Stage, add_demo_shop, changed_body, rows_of, stage_demo, state, sync
from tests.faults.conftest import Ground
from tests.faults.store import HARBOR, NOW, OPENED_ON, Request, destroy_products, one_of_many, ranged
from tests.faults.truth import equals, living_ids, still_there, stored, truth
from tests.test_faults import BAD_RESULTS, tamper_bulk

HEAVY = pytest.mark.faults
ON_ONE = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=HEAVY)], indirect=True)
FAULTS = 0.3  # of all requests
TABLES = {
    "checkouts": ("abandoned_checkout", "abandoned_checkout_line"),
    "inventory": ("inventory_item", "inventory_level", "location"),
}
STREAMS = (*TABLES, "deletes", "rescan", "sweep")


@ON_ONE
@pytest.mark.parametrize("stream", ["sweep", *(pytest.param(s, marks=HEAVY) for s in STREAMS if s != "sweep")])
@pytest.mark.parametrize("seeds", [1, pytest.param(7, marks=HEAVY)])
def test_a_lying_network_deletes_nothing_that_is_there_and_what_is_gone_is_found_in_the_end(
    ground: Ground, stream: str, seeds: int
):
    chance = random.Random(f"{stream} {seeds}")
    at, requests = NOW, itertools.count()

    def still() -> datetime:
        return at

    def passing() -> datetime:  # operations whose answer was lost end by themselves, after a minute
        return at + timedelta(seconds=next(requests))

    def disturb(request: Request) -> bool:
        if chance.random() < FAULTS:
            one_of_many(request, chance)
            return True
        return ranged(request)

    ground.workers.env["READ_S"] = "2"  # answers that stall are given up soon
    ground.store.now = still
    ground.sync()
    for _ in range(seeds):
        at += timedelta(hours=chance.randrange(5, 60))
        before = living_ids(stored(1))
        ground.store.now, ground.store.tamper = passing, disturb
        for _ in range(3):
            jobs.request_sync(1, [stream], full=stream == "checkouts" and chance.random() < 0.3)
            assert ground.workers.run("work") == 0
            assert living_ids(stored(1)) >= before & living_ids(truth(HARBOR, passing()))
        at = passing()
        ground.store.now, ground.store.tamper = still, ranged
        jobs.request_sync(1, [stream])
        assert ground.workers.run("work") == 0
        assert ground.outcomes()[0] == "ok", jobs.run_history(1)[0].problem
        if stream in TABLES:
            jobs.request_sync(1, [stream])  # an operation gone on with may be from before
            assert ground.workers.run("work") == 0
            assert equals(1, HARBOR, at, *TABLES[stream])
        elif stream != "rescan":
            assert not still_there(1, HARBOR, at)
    ground.sync()
    assert ground.equals_the_shop()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = stage_demo(monkeypatch, opened_on=OPENED_ON)
    destroy_products(monkeypatch)
    stage.now = NOW
    return stage


ROOTS = {"sweep": "orders", "inventory": "inventoryItems"}
_OFTEN = ("cut after a line", "no file", "denied")


@ON_ONE
@pytest.mark.parametrize("stream", ROOTS)
@pytest.mark.parametrize("what", [pytest.param(what, marks=() if what in _OFTEN else HEAVY) for what in BAD_RESULTS])
def test_a_bad_file_takes_nothing_away(database: Engine, stage: Stage, stream: str, what: str):
    add_demo_shop(ALICE, HARBOR)
    sync()
    before, cursor = rows_of(), state(stream).synced_until
    tampered: dict[str, Any] = BAD_RESULTS[what][0]
    tamper_bulk(stage, ROOTS[stream], **tampered)
    run = sync(ALICE, stream)
    assert run.problem or state(stream).problem, "it is said"
    assert (rows_of(), state(stream).synced_until) == (before, cursor)
    stage.tell_truth()
    assert sync(ALICE, stream).outcome == "ok"
    assert rows_of() == before


def lacking(number: int) -> Callable[[bytes], bytes]:
    """A file whose line of this number is no JSON; counts and size agree with it."""

    def content(honest: bytes) -> bytes:
        lines = honest.splitlines(True)
        lines[number] = b"x" * (len(lines[number]) - 1) + b"\n"
        return b"".join(lines)

    return content


@ON_ONE
@pytest.mark.parametrize("stream", ROOTS)
@pytest.mark.parametrize("number", [0, pytest.param(7, marks=HEAVY), pytest.param(-1, marks=HEAVY)])
def test_a_line_that_cannot_be_read_is_not_taken_for_something_gone(
    database: Engine, stage: Stage, stream: str, number: int
):
    add_demo_shop(ALICE, HARBOR)
    sync()
    before = living_ids(stored(ALICE))
    tamper_bulk(stage, ROOTS[stream], content=lacking(number))
    sync(ALICE, stream)
    assert living_ids(stored(ALICE)) == before
    stage.tell_truth()
    assert sync().outcome == "ok"
    assert equals(ALICE, HARBOR, stage.now)


ANSWERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "denied": lambda body: body.update(data={"events": None}, errors=[_error("ACCESS_DENIED", ["events"])]),
    "nothing": lambda body: body.update(data=None),
    "no list": lambda body: body["data"].update(events=None),
    "no end": lambda body: body["data"]["events"]["pageInfo"].update(hasNextPage=True, endCursor=None),
    "a filter that was ignored": lambda body: body.setdefault("extensions", {}).update(
        search=[{"path": ["events"], "warnings": [{"field": "subject_type", "message": "Invalid search field."}]}]
    ),
    "no moments": lambda body: [one.pop("createdAt") for one in body["data"]["events"]["nodes"]],
    "ids of something else": lambda body: [one.update(subjectId=7) for one in body["data"]["events"]["nodes"]],
}


def _error(code: str, path: list[str]) -> dict[str, Any]:
    return {"message": "Access denied.", "path": path, "extensions": {"code": code}}


@ON_ONE
@pytest.mark.parametrize("what", ANSWERS)
def test_events_that_cannot_be_read_delete_nothing_and_are_asked_for_again(database: Engine, stage: Stage, what: str):
    add_demo_shop(ALICE, HARBOR)
    sync()
    before, cursor = rows_of(), state("deletes").synced_until
    stage.now = NOW + timedelta(days=9)
    assert still_there(ALICE, HARBOR, stage.now), "something is gone by then"

    def after(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        return changed_body(response, ANSWERS[what]) if asked.about("DeleteEvents") else response

    stage.after = after
    sync(ALICE, "deletes")
    assert rows_of() == before
    if what != "ids of something else":  # whose events were read; the check of all ids finds them
        assert state("deletes").problem and state("deletes").synced_until == cursor
    stage.tell_truth()
    assert sync(ALICE, "deletes").outcome == "ok"
    assert bool(still_there(ALICE, HARBOR, stage.now)) is (what == "ids of something else")
    assert sync(ALICE, "sweep").outcome == "ok"
    assert not still_there(ALICE, HARBOR, stage.now)
