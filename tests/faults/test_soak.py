"""Everything at once, by chance: only what stands in the tables at the end counts."""

from collections import Counter

import pytest

from core.db.engine import get_engine
from core.sync import jobs
from core.sync.streams import STREAMS
from tests.demo_sync import quarantined, rows_of, state
from tests.faults.conftest import Ground
from tests.faults.soak import seconds, soak
from tests.faults.store import SHOPS

KINDS = ("order", "customer", "product")


def comes_out_whole(ground: Ground, seed: int, length_s: float) -> None:
    tally = soak(ground, seed, length_s)
    assert tally.kills and tally.faults, tally
    gone = Counter[str]()
    for shop_id, _ in enumerate(SHOPS, start=1):
        assert ground.equals_the_shop(shop_id)
        rows = rows_of(shop_id)
        gone.update(kind for kind in KINDS for row in rows[kind] if row["deleted_at"])
        assert rows["abandoned_checkout"] and rows["inventory_level"]
        assert quarantined(shop_id) == {}
        assert {state(one.name, shop_id).problem for one in STREAMS if not one.extra} == {None}
        runs = jobs.run_history(shop_id, limit=10_000)
        assert runs[0].outcome == "ok" and all(run.outcome != "running" and run.finished_at for run in runs)
    # In a short life an order may be destroyed before anybody has read it.
    assert set(gone) == set(KINDS) or length_s < 60, "of each kind something was destroyed"
    if ground.database.dialect.name == "sqlite":
        with get_engine().connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_whatever_happens_the_tables_equal_the_shops_in_the_end(ground: Ground):
    comes_out_whole(ground, seed=1, length_s=seconds())


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(2, 5))
def test_nor_do_other_chances_change_that(ground: Ground, seed: int):
    comes_out_whole(ground, seed, length_s=60.0)
