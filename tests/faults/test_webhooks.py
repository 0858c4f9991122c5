"""Kill -9 of a worker that drains the inbox: the next one goes on, nothing is lost or done twice."""

import json
import random
import time
from datetime import timedelta

import pytest
from sqlmodel import select

from core.db.engine import system_session
from core.db.models import WebhookEvent
from core.shopify.webhooks import Delivery
from core.sync import inbox
from tests.faults.conftest import Ground
from tests.faults.store import HARBOR, NOW
from tests.faults.truth import equals
from tests.faults.worker import KILLED, LEASE_S
from tests.test_inbox import happened

HEAVY = pytest.mark.faults


@pytest.mark.parametrize("seeds", [1, pytest.param(10, marks=HEAVY)])
@pytest.mark.parametrize("point", ["mid_transaction", "during_rollups", "after_commit"])
def test_a_worker_killed_while_it_drains_loses_and_doubles_nothing(ground: Ground, point: str, seeds: int):
    chance = random.Random(f"{point} {seeds}")
    at = NOW
    ground.store.now = lambda: at
    ground.sync()
    told = 0
    for _ in range(seeds):
        since, at = at, at + timedelta(hours=chance.randrange(30, 60))
        hints = happened(since, at)
        chance.shuffle(hints)
        for topic, body in hints:
            delivery = Delivery(f"w-{told}", topic, HARBOR.domain, None, "")
            inbox.receive([(delivery, json.dumps(body).encode())])
            told += 1
        assert ground.workers.run("drain", FAIL_AT=f"{point}:{chance.randrange(1, 3)}") == KILLED
        deadline = time.monotonic() + 120
        while inbox.counts(1).get("waiting") and time.monotonic() < deadline:
            time.sleep(LEASE_S / 5)
            assert ground.workers.run("drain") == 0
    assert inbox.counts(1) == {"done": told}
    assert equals(1, HARBOR, at)
    with system_session() as session:
        settled = session.exec(select(WebhookEvent)).all()
    assert all(event.attempts <= 2 and event.body == b"" for event in settled)
