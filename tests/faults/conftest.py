"""The ground of the fault tests: real worker processes, a real database, the demo shops over real HTTP."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine

from core import config
from core.demo.catalogue import DemoShop
from core.sync import jobs
from tests.conftest import empty
from tests.demo_sync import add_demo_shop
from tests.faults.store import SHOPS, FaultyStore, open_store
from tests.faults.truth import equals
from tests.faults.worker import Workers, warm


@dataclass
class Ground:
    """What a fault test stands on; shop n of SHOPS has the id n, from 1."""

    database: Engine
    store: FaultyStore
    workers: Workers

    def start_over(self, shops: tuple[DemoShop, ...] = SHOPS[:1]) -> None:
        """Empty tables, and these shops connected, never synced."""
        empty(self.database)
        for number, shop in enumerate(shops, start=1):
            add_demo_shop(number, shop, is_demo=False, opened_on=None)

    def sync(self, *, full: bool = False) -> None:
        """Sync the first shop whole, by a worker process."""
        jobs.request_sync(1, full=full)
        assert self.workers.run("work") == 0
        assert self.outcomes()[0] == "ok", jobs.run_history(1)[0].problem

    def equals_the_shop(self, shop_id: int = 1) -> bool:
        """Whether every table equals the shop as it is now, row by row, and the rollups a recompute."""
        return equals(shop_id, SHOPS[shop_id - 1], self.store.now())

    def outcomes(self, shop_id: int = 1) -> list[str]:
        """How the runs ended, the newest first."""
        return [run.outcome for run in jobs.run_history(shop_id)]


@pytest.fixture(scope="session")
def warm_workers() -> Iterator[Workers]:
    with warm() as workers:
        yield workers


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    with open_store(monkeypatch) as store:
        yield store


@pytest.fixture
def ground(
    database: Engine, store: FaultyStore, warm_workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ground]:
    monkeypatch.setenv("SHOPIFY_BASE_URL", f"{store.url}/{{shop}}")
    config.get_settings.cache_clear()
    names = ("DATA_DIR", "APP_ENCRYPTION_KEYS", "SHOPIFY_BASE_URL")
    warm_workers.env = {name: os.environ[name] for name in names} | {
        "DATABASE_URL": config.get_settings().database_url,
        "LOG_LEVEL": "ERROR",
        "DEMO": "0",
        "FAIL_AT": "",
    }
    found = Ground(database, store, warm_workers)
    found.start_over()
    yield found
