"""The soak: shops that live fast, workers that are killed, a network that lies; at the end every table equals its shop.

Only the end counts. How long it goes on is SOAK_S in the environment, else a short while for every build.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from core.sync import jobs
from tests.faults.conftest import Ground
from tests.faults.store import NOW, SHOPS, Request, one_of_many, ranged
from tests.faults.worker import KILLED

SHORT_S = 8.0
DAYS = 25  # the shops live so long, however short the soak
WORKERS = 3
FAULTS = 0.06  # of all requests
BESIDE = ("checkouts", "inventory", "deletes", "rescan", "sweep")
LIVES_S = (0.3, 3.0)  # a worker lives so long before it is killed


@dataclass
class Tally:
    """What happened, to be sure that something did."""

    kills: int = 0
    faults: int = 0
    asked: int = 0
    lock: Lock = field(default_factory=Lock)


def seconds() -> float:
    """How long to soak."""
    return float(os.environ.get("SOAK_S", SHORT_S))


def soak(ground: Ground, seed: int, length_s: float) -> Tally:
    """Let the shops live, be read and be disturbed for a while, then read what is left and compare."""
    chance, tally = random.Random(seed), Tally()
    begun_s = time.monotonic()
    ends_s = begun_s + length_s

    def now() -> datetime:
        lived = min(1.0, (time.monotonic() - begun_s) / length_s)
        return NOW + timedelta(days=DAYS) * lived

    def disturb(request: Request) -> bool:
        with tally.lock:
            faulty = chance.random() < FAULTS
            tally.faults += faulty
        if faulty:
            one_of_many(request, chance)
            return True
        return ranged(request)

    ground.workers.env["READ_S"] = "2"  # answers that stall are given up soon
    ground.start_over(SHOPS)
    ground.store.now, ground.store.tamper = now, disturb
    for left_s in _until(ends_s, tally):
        _one_generation(ground, chance, tally, left_s)
    ground.store.now, ground.store.tamper = (lambda: NOW + timedelta(days=DAYS)), lambda _: False
    tally.asked = len(ground.store.asked)
    # The first may end a whole read that began days ago: it shows the shop as it was then.
    for streams in (None, None, ("rescan", "sweep")):
        for shop_id, _ in enumerate(SHOPS, start=1):
            jobs.request_sync(shop_id, streams)
        assert ground.workers.run("work") == 0
    return tally


def _until(ends_s: float, tally: Tally) -> Iterator[float]:
    """On a busy machine it goes on until something has happened."""
    while (left_s := ends_s - time.monotonic()) > 0 or not tally.faults:
        yield max(left_s, 1.0)


def _one_generation(ground: Ground, chance: random.Random, tally: Tally, left_s: float) -> None:
    """Workers that go on for ever, and are killed one after another while shops keep asking to be read."""
    pids = [ground.workers.start("work", "for", "ever") for _ in range(WORKERS)]
    frozen = chance.choice(pids)
    for pid in chance.sample(pids, WORKERS):
        for shop_id, _ in enumerate(SHOPS, start=1):
            if chance.random() < 0.7:
                jobs.request_sync(shop_id, full=chance.random() < 0.1)
            if chance.random() < 0.2:
                jobs.request_sync(shop_id, [chance.choice(BESIDE)])
        time.sleep(min(left_s, chance.uniform(*LIVES_S)))
        if pid == frozen:  # longer than its lease, then it goes on for a moment
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.7)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
        assert ground.workers.wait(pid) == KILLED
        tally.kills += 1
