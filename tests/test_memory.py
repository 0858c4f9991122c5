"""Memory does not grow with the size of a bulk file: ten times the orders, the same peak."""

import json
import tracemalloc
import weakref
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import func, select

from core.db.engine import get_engine, shop_session
from core.db.migrate import migrate
from core.db.models import Order
from core.shopify import bulk
from core.shopify.bulk import BulkOperation
from core.shopify.queries import ORDER_CONNECTIONS
from core.sync import fetch
from core.sync.fetch import batches, few_collections
from core.sync.resources.orders import store
from tests.conftest import empty
from tests.factories import add_shop, agreement, at, line_item, order, sale

BATCH = fetch.BATCH // 10
START = at("2026-01-01")


def lines_of(number: int, *, apart: bool) -> list[dict[str, Any]]:
    """An order as the lines of a bulk file, spread over a month and 50 customers; `apart` puts children first."""
    moment = START + timedelta(hours=number % 700)
    document = order(number, moment, customer=1 + number % 50)
    root = f"gid://shopify/Order/{number}"
    item = line_item(number) | {"__parentId": root}
    sold = agreement(moment)
    one = sale("10.0", line_item=number) | {"__parentId": sold["id"]}
    del document["lineItems"], document["agreements"], sold["sales"]
    rows = [document, item, sold | {"__parentId": root}, one]
    return rows[::-1] if apart else rows


def written(path: Path, count: int, *, apart: bool) -> BulkOperation:
    with path.open("w") as file:
        for number in range(1, count + 1):
            file.writelines(json.dumps(row) + "\n" for row in lines_of(number, apart=apart))
    return BulkOperation("x", "COMPLETED", None, count * 4, count, path.stat().st_size, None)


def peak_bytes(path: Path, count: int, *, apart: bool) -> int:
    """The most memory that proving, reading and storing a file of `count` orders takes."""
    empty(get_engine())
    shop, operation = add_shop(1), written(path, count, apart=apart)
    tracemalloc.start()
    try:
        documents = bulk.documents(bulk.prove(path, operation), ORDER_CONNECTIONS)
        for batch in batches(documents):
            with shop_session(1, write=True) as session:
                store(session, shop, batch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    with shop_session(1) as session:
        assert session.exec(select(func.count()).select_from(Order)).one() == count
    return peak


@pytest.fixture
def sqlite() -> Engine:
    migrate()
    return get_engine()


@pytest.mark.parametrize("apart", [False, True], ids=["grouped", "children first"])
def test_ten_times_the_orders_take_the_same_memory(
    sqlite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: bool
):
    monkeypatch.setattr(fetch, "BATCH", BATCH)
    peak_bytes(tmp_path / "warm.jsonl", 2 * BATCH, apart=apart)  # caches fill
    small = peak_bytes(tmp_path / "small.jsonl", 2 * BATCH, apart=apart)
    large = peak_bytes(tmp_path / "large.jsonl", 20 * BATCH, apart=apart)
    assert large < 1.5 * small, (small, large)


class Left:
    """What a batch leaves behind, in a cycle: only the collector finds it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_batch_leaves_in_cycles_is_gone_with_the_next(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch, "BATCH", 1)
    left: list[weakref.ref[Left]] = []
    with few_collections():
        for _ in batches(iter([{}, {}, {}])):
            assert not [one for one in left if one() is not None]
            left.append(weakref.ref(Left()))
    assert len(left) == 3
