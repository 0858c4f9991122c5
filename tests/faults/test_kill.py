"""Kill -9 of a real worker process, wherever it hurts: the next one goes on, and the tables equal the shop."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from core.shopify.queries import ID_QUERIES
from core.sync import jobs, lease
from core.sync.failpoints import POINTS
from core.sync.streams import NAMES
from tests.demo_sync import state
from tests.faults.conftest import Ground
from tests.faults.store import HARBOR, NOW
from tests.faults.truth import equals, still_there
from tests.faults.worker import KILLED, LEASE_S

EVERYTHING, CHANGES = True, False
# Where a worker can be killed, and the reads that come by there.
KINDS: dict[str, tuple[bool, ...]] = {
    "after_submit": (EVERYTHING,),
    "while_polling": (EVERYTHING,),
    "mid_download": (EVERYTHING,),
    "between_pages": (CHANGES,),
    "mid_transaction": (EVERYTHING, CHANGES),
    "during_rollups": (EVERYTHING, CHANGES),
    "after_commit": (EVERYTHING, CHANGES),
}
HEAVY = pytest.mark.faults


def test_every_point_of_a_read_is_killed_at():
    assert set(KINDS) == set(POINTS) - {"token_renewed"}


@pytest.mark.parametrize("seeds", [1, pytest.param(20, marks=HEAVY)])
@pytest.mark.parametrize("point", KINDS)
def test_a_worker_killed_here_loses_and_doubles_nothing(ground: Ground, point: str, seeds: int):
    chance = random.Random(f"{point} {seeds}")
    at = NOW
    ground.store.now = lambda: at
    known = False
    for _ in range(seeds):
        everything = chance.choice(KINDS[point])
        if known and chance.random() < 0.2:
            ground.start_over()
            known = False
        if not known and not everything:
            ground.sync()
        killed = 0
        wanted = chance.choice((1, 2, 3, 5, 8))
        while not killed:
            at += timedelta(minutes=chance.randrange(60, 2000))
            ground.store.asked.clear()
            killed = kill_at(ground, point, wanted, full=everything)
            wanted //= 2
        for _ in range(chance.randrange(2)):  # and those that come to help, too
            killed += ground.workers.run("work", FAIL_AT=f"{point}:{chance.randrange(1, 4)}") == KILLED
        assert ground.workers.run("work") == 0
        assert ground.outcomes()[: killed + 1] == ["ok", *["interrupted"] * killed]
        assert all(run.finished_at for run in jobs.run_history(1))
        # The check of ids begins with its first kind again, the rest goes on with what was submitted.
        submitted = Counter(query for query in ground.store.submitted() if query not in ID_QUERIES.values())
        assert set(submitted.values()) <= {1}
        assert ground.equals_the_shop()
        known = True


def kill_at(ground: Ground, point: str, times: int, *, full: bool) -> int:
    """Whether the worker came by often enough to be killed; then its lease is at most one lease from its end."""
    jobs.request_sync(1, full=full)
    code = ground.workers.run("work", FAIL_AT=f"{point}:{times}")
    if code == 0:
        assert times > 1, f"no worker ever comes by {point}"
        return 0
    assert code == KILLED
    held = [state(stream, 1).lease_until for stream in NAMES]
    assert all(until <= datetime.now(UTC) + timedelta(seconds=LEASE_S) for until in held if until)
    after = max(until for until in held if until) + timedelta(milliseconds=1)
    assert lease.claim(1, now=after - timedelta(milliseconds=2)) is None, "nobody else before the lease ends"
    return 1


# Streams beside the figures, as they are read whole or as changes: where a worker can be killed in each, and the
# tables that are right when it alone has ended.
_FILE = ("after_submit", "while_polling", "mid_download", "mid_transaction", "after_commit")
_PAGES = ("between_pages", "mid_transaction", "after_commit")
_CHECKOUTS = ("abandoned_checkout", "abandoned_checkout_line")
_STOCK = ("inventory_item", "inventory_level", "location")
BESIDE: dict[tuple[str, bool], tuple[tuple[str, ...], tuple[str, ...]]] = {
    ("checkouts", EVERYTHING): (_FILE, _CHECKOUTS),
    ("checkouts", CHANGES): (_PAGES, _CHECKOUTS),
    ("inventory", EVERYTHING): (_FILE, _STOCK),
    ("deletes", CHANGES): (_PAGES, ()),
    ("sweep", CHANGES): (_FILE, ()),
    ("rescan", CHANGES): ((*_PAGES, "during_rollups"), ()),
}


@pytest.mark.parametrize(
    ("stream", "everything", "seeds"),
    [("sweep", CHANGES, 1), ("inventory", EVERYTHING, 1), *(pytest.param(*how, 20, marks=HEAVY) for how in BESIDE)],
)
def test_a_worker_killed_beside_the_figures_loses_and_doubles_nothing(
    ground: Ground, stream: str, everything: bool, seeds: int
):
    """Each time at a place of its own; only this stream is read then, so nothing else repairs what it left."""
    points, tables = BESIDE[stream, everything]
    chance = random.Random(f"{stream} {everything} {seeds}")
    at = NOW
    ground.store.now = lambda: at
    ground.sync()
    first = chance.randrange(len(points))
    for place in range(first, first + (seeds * len(points) if seeds > 1 else 1)):
        point, killed = points[place % len(points)], 0
        wanted = chance.choice((1, 1, 2, 3))
        while not killed:
            at += timedelta(minutes=chance.randrange(60, 900 if tables else 3000))
            jobs.request_sync(1, [stream], full=everything)
            killed = ground.workers.run("work", FAIL_AT=f"{point}:{wanted}") == KILLED
            wanted = 1
        for _ in range(chance.randrange(2)):
            killed += ground.workers.run("work", FAIL_AT=f"{point}:1") == KILLED
        assert ground.workers.run("work") == 0
        assert ground.outcomes()[: killed + 1] == ["ok", *["interrupted"] * killed]
        if tables:
            assert equals(1, HARBOR, at, *tables)
        elif stream != "rescan":
            assert not still_there(1, HARBOR, at)
    ground.sync()
    assert ground.equals_the_shop()


def test_the_command_line_killed_in_a_sync_can_be_run_again(ground: Ground):
    words = ("sync", "--shop", HARBOR.domain)
    assert ground.workers.run(*words, FAIL_AT="mid_transaction:3") == KILLED
    assert ground.workers.run("work") == 0
    assert ground.outcomes() == ["ok", "interrupted"]
    assert ground.workers.run(*words) == 0
    assert ground.equals_the_shop()
