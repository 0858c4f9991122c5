"""Several workers at once, and one that sleeps longer than its lease: a shop belongs to one of them at a time."""

import os
import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from core.db.engine import system_session
from core.sync import jobs, lease
from core.sync.streams import NAMES
from tests.demo_sync import rows_of, shop_row, state
from tests.faults.conftest import Ground
from tests.faults.store import NOW, SHOPS, Request
from tests.faults.worker import KILLED, LEASE_S

PATIENCE_S = 60.0
HEAVY = pytest.mark.faults


def test_many_workers_share_the_shops_and_each_is_read_once(ground: Ground):
    ground.start_over(SHOPS)
    for shop_id, _ in enumerate(SHOPS, start=1):
        jobs.request_sync(shop_id)
    pids = [ground.workers.start("work", lease_s=60) for _ in range(4)]
    assert [ground.workers.wait(pid) for pid in pids] == [0] * 4
    for shop_id, _ in enumerate(SHOPS, start=1):
        assert ground.outcomes(shop_id) == ["ok"]
        assert ground.equals_the_shop(shop_id)


def test_of_two_workers_on_one_shop_the_other_goes_on_when_one_is_killed(ground: Ground):
    jobs.request_sync(1)
    pids = {ground.workers.start("work", lease_s=600, FAIL_AT="after_commit:2") for _ in range(2)}
    first = holder(pids)
    assert ground.workers.wait(first) == KILLED
    its_lease_ends()
    [second] = pids - {first}
    assert holder(pids) == second
    assert ground.workers.wait(second) == KILLED
    its_lease_ends()
    assert ground.workers.run("work") == 0
    assert set(Counter(ground.store.submitted()).values()) == {1}
    assert ground.outcomes()[0] == "ok" and set(ground.outcomes()[1:]) == {"interrupted"}
    assert ground.equals_the_shop()


def holder(pids: set[int]) -> int:
    """Wait until one of these workers holds the shop; which one."""
    give_up_at_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at_s:
        held = [state(stream, 1) for stream in NAMES]
        owners = {int(row.owner.split(":")[1]) for row in held if row.owner and row.lease_until > datetime.now(UTC)}
        if found := owners & pids:
            return found.pop()
        time.sleep(0.02)
    raise AssertionError("nobody holds the shop")


def its_lease_ends() -> None:
    """Time passes for whoever holds the shop and is dead."""
    with system_session(write=True) as session:
        for row in lease.locked(session, 1):
            row.lease_until = row.lease_until and datetime.now(UTC)


@pytest.mark.parametrize("where", ["a file", *(pytest.param(one, marks=HEAVY) for one in ("a poll", "a page"))])
def test_a_worker_frozen_past_its_lease_writes_nothing_when_it_wakes(ground: Ground, where: str):
    ground.sync()
    started, frozen = Event(), Event()
    pids: list[int] = []

    def freeze(request: Request) -> bool:
        here = request.is_file if where == "a file" else request.about({"a poll": "Bulk(", "a page": "Orders("}[where])
        if here and not frozen.is_set():
            assert started.wait(PATIENCE_S)
            os.kill(pids[0], signal.SIGSTOP)
            frozen.set()
        return False

    ground.store.now = lambda: NOW + timedelta(days=2)
    ground.store.tamper = freeze
    jobs.request_sync(1, full=where != "a page")
    pids.append(ground.workers.start("work"))
    started.set()
    assert frozen.wait(PATIENCE_S)
    ground.store.now = lambda: NOW + timedelta(days=4)
    assert ground.workers.run("work") == 0
    after = everything()
    os.kill(pids[0], signal.SIGCONT)
    assert ground.workers.wait(pids[0]) == 0
    assert everything() == after
    assert ground.outcomes()[:2] == ["ok", "interrupted"]
    ground.sync()
    assert ground.equals_the_shop()


SEEDS = pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=HEAVY) for seed in range(1, 21))])


@SEEDS
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=HEAVY)], indirect=True)
def test_a_worker_frozen_in_a_transaction_stores_it_once_and_no_more(ground: Ground, seed: int):
    """It holds its locks, so nobody can take over before it wakes; then another one does, or it is done itself."""
    frozen = frozen_in_a_transaction(ground, seed)
    claimed = [state(stream, 1).epoch for stream in NAMES]
    helper = ground.workers.start("work")
    time.sleep(LEASE_S)
    assert [state(stream, 1).epoch for stream in NAMES] == claimed
    os.kill(frozen, signal.SIGCONT)
    assert [ground.workers.wait(pid) for pid in (frozen, helper)] == [0, 0]
    assert ground.outcomes()[0] == "ok" and set(ground.outcomes()) <= {"ok", "interrupted"}
    ground.sync()
    assert ground.equals_the_shop()


@SEEDS
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_transaction_that_the_server_ended_while_its_worker_was_frozen_is_done_by_another(ground: Ground, seed: int):
    frozen = frozen_in_a_transaction(ground, seed)
    assert ended_by_the_server(ground) == [True]
    assert ground.workers.run("work") == 0
    after = everything()
    os.kill(frozen, signal.SIGCONT)
    assert ground.workers.wait(frozen) == 0
    assert everything() == after
    assert ground.outcomes()[0] == "ok" and ground.outcomes()[1] in ("failed", "interrupted")
    ground.sync()
    assert ground.equals_the_shop()


def ended_by_the_server(ground: Ground) -> list[bool]:
    """End what waits within a transaction, as idle_in_transaction_session_timeout would in time."""
    idle = "datname = current_database() AND state = 'idle in transaction'"
    with ground.database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        ending = f"SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE {idle}"
        return list(connection.exec_driver_sql(ending).scalars())


def frozen_in_a_transaction(ground: Ground, seed: int) -> int:
    """A worker that stopped between the rows of a batch and their commit, until its lease was over."""
    chance = random.Random(seed)
    ground.sync()
    later = NOW + timedelta(hours=chance.randrange(20, 200))
    ground.store.now = lambda: later
    jobs.request_sync(1, full=chance.random() < 0.5)
    point, times = chance.choice(("mid_transaction", "during_rollups")), chance.choice((1, 1, 2, 3, 5))
    while not ground.workers.stops(pid := ground.workers.start("work", FAIL_AT=f"{point}:{times}", FREEZE="1")):
        assert times > 1, f"no worker ever comes by {point}"
        times //= 2
        later += timedelta(hours=30)
        jobs.request_sync(1)
    until = max(found for stream in NAMES if (found := state(stream, 1).lease_until) is not None)
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 0.1)
    return pid


def everything() -> object:
    """Rows, cursors and queue, data_version."""
    return rows_of(1), [state(stream, 1) for stream in NAMES], shop_row(1)
