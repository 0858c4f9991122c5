"""The command line against a store behind a real socket: connect, sync, metrics; sentences and exit codes."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from core import config
from core.__main__ import main
from core.db import engine as db
from core.db.engine import system_session
from core.db.models import SyncState
from core.demo import server
from core.shopify.client import ShopClient
from core.shopify.queries import Grants, orders_bulk
from core.sync import connect, jobs, lease
from tests.conftest import empty
from tests.demo_http import HARBOR, KIOSK, DemoClient, demo_client, serve_demo
from tests.demo_sync import NOW
from tests.factories import context
from tests.forked import forks
from tests.test_rollups import recompute

ROOT = Path(__file__).parents[1]
OPENED_ON, FIRST, LAST = date(2026, 11, 1), "2026-11-01", "2026-11-20"
MEASURES = (
    "gross_sales", "discounts", "sales_reversals", "net_sales", "shipping", "taxes", "duties", "additional_fees",
    "return_fees", "total_sales", "tips", "gift_card_sales", "orders", "average_order_value", "units_sold",
    "units_returned", "customers", "new_customers", "returning_customers", "returning_customer_rate", "refund_rate",
    "discount_rate", "unclassified",
)  # fmt: skip
MONEY = frozenset(MEASURES[:12]) | {"average_order_value"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Both demo shops behind a socket; a shop's part of the path is its full domain."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "RESTORED_PER_S", 1e6)
        with serve_demo(OPENED_ON, lambda: NOW) as base_url:
            yield base_url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Settings for the store behind the socket; on SQLite even the tables are still to be made."""
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("migrated_postgres"))
    monkeypatch.setenv("SHOPIFY_BASE_URL", f"{address}/{{shop}}")
    monkeypatch.setenv("DEMO", "0")
    monkeypatch.setenv("HARBOR_TOKEN", HARBOR.token)
    monkeypatch.setenv("KIOSK_TOKEN", KIOSK.token)
    config.get_settings.cache_clear()
    db.get_engine.cache_clear()
    if request.param == "postgresql":
        empty(db.get_engine())
    return address


@pytest.fixture
def sqlite_store(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHOPIFY_BASE_URL", f"{address}/{{shop}}")
    monkeypatch.setenv("DEMO", "0")
    monkeypatch.setenv("HARBOR_TOKEN", HARBOR.token)
    config.get_settings.cache_clear()
    return address


def add(domain: str = HARBOR.domain, variable: str = "HARBOR_TOKEN", *more: str) -> int:
    return main(["shop", "add", "--domain", domain, "--token-env", variable, *more])


def figures(capsys: pytest.CaptureFixture[str], *words: str, shop: str = HARBOR.domain) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["metrics", "--shop", shop, "--from", FIRST, "--to", LAST, "--json", *words]) == 0
    out = capsys.readouterr()
    found: dict[str, Any] = json.loads(out.out)
    return found


def refused(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    """What a failing command says: nothing on standard output, no traceback, no token."""
    capsys.readouterr()
    assert main(list(words)) == code
    out = capsys.readouterr()
    assert out.out == "" and "Traceback" not in out.err and "shpat_" not in out.err
    return out.err.strip()


def test_connect_sync_and_read_the_figures(store, capsys, caplog):
    assert add() == 0
    assert main(["sync", "--shop", HARBOR.domain]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "Connected Harbor & Pine" in said.err and "objects in" in said.err and said.err.strip().endswith("ok.")
    assert f"Next: python -m core sync --shop {HARBOR.domain}" in said.err
    found = figures(capsys)
    assert list(found) == [
        "shop",
        "currency",
        "time_zone",
        "from",
        "to",
        "totals",
        "by",
        "top_customers",
        "top_products",
    ]
    assert (found["shop"], found["currency"], found["time_zone"]) == (HARBOR.domain, "USD", "America/New_York")
    assert (found["from"], found["to"]) == (FIRST, LAST)
    days = [OPENED_ON + timedelta(days=number) for number in range(20)]
    assert [row["day"] for row in found["by"]] == [day.isoformat() for day in days]
    for row in (found["totals"], *found["by"]):
        assert set(row) - {"day"} == set(MEASURES)
        for name in MEASURES:
            assert row[name] is None or isinstance(row[name], str if name in MONEY else int | float), name
            assert name not in MONEY or row[name] is None or row[name] == f"{Decimal(row[name]):.2f}"
    for name in MEASURES[:12]:
        assert sum(Decimal(row[name]) for row in found["by"]) == Decimal(found["totals"][name]), name
    for name in ("orders", "units_sold", "units_returned", "unclassified"):
        assert sum(row[name] for row in found["by"]) == found["totals"][name], name
    assert 0 < len(found["top_customers"]) <= 10 and set(found["top_customers"][0]) == {
        "id", "name", "orders", "net_sales",
    }  # fmt: skip
    assert set(found["top_products"][0]) == {"id", "title", "units", "net_sales"}
    assert HARBOR.token not in caplog.text


def test_the_figures_equal_a_recompute_from_the_stores_own_documents(store, capsys):
    assert add(KIOSK.domain, "KIOSK_TOKEN") == 0
    assert main(["sync", "--shop", KIOSK.domain]) == 0
    found = figures(capsys, shop=KIOSK.domain)
    client = demo_client(KIOSK, OPENED_ON, lambda: NOW)
    expected = recompute(documents(client), context(1, KIOSK.currency, KIOSK.time_zone))
    for row in found["by"]:
        sums = expected.get(date.fromisoformat(row["day"]), {})
        for name in ("gross_sales", "discounts", "sales_reversals", "shipping", "taxes", "tips", "gift_card_sales"):
            assert Decimal(row[name]) * 100 == sums.get(name, 0), (row["day"], name)
        for name in ("orders", "units_sold", "units_returned", "unclassified"):
            assert row[name] == sums.get(name, 0), (row["day"], name)
        net = sum(sums.get(name, 0) for name in ("gross_sales", "discounts", "sales_reversals"))
        assert Decimal(row["net_sales"]) * 100 == net
        total = net + sum(sums.get(name, 0) for name in ("shipping", "taxes", "return_fees", "duties"))
        assert Decimal(row["total_sales"]) * 100 == total


def documents(client: DemoClient) -> list[dict[str, Any]]:
    """Every order by the bulk operation, its children joined here by __parentId."""
    rows = client.bulk_rows(orders_bulk(Grants(frozenset({"read_orders", "read_customers", "read_products"}))))
    by_id: dict[str, dict[str, Any]] = {row["id"]: row | {"agreements": [], "sales": []} for row in rows}
    for row in rows:
        if parent := row.get("__parentId"):
            kind = "agreements" if "happenedAt" in row else "sales" if "actionType" in row else None
            if kind:
                by_id[parent][kind].append(by_id[row["id"]])
    return [by_id[row["id"]] for row in rows if "__parentId" not in row]


def test_weeks_and_months_have_the_same_totals(store, capsys):
    add()
    main(["sync", "--shop", "harbor-and-pine"])
    day, week, month = (figures(capsys, "--by", by, shop="harbor-and-pine") for by in ("day", "week", "month"))
    assert day["totals"] == week["totals"] == month["totals"]
    assert [row["day"] for row in month["by"]] == ["2026-11-01"]
    assert [row["day"] for row in week["by"]] == ["2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]
    for name in MEASURES[:12]:
        assert sum(Decimal(row[name]) for row in week["by"]) == Decimal(day["totals"][name])


def test_top_says_how_many(store, capsys):
    add()
    main(["sync", "--shop", HARBOR.domain])
    three = figures(capsys, "--top", "3")
    assert (len(three["top_customers"]), len(three["top_products"])) == (3, 3)
    assert three["top_products"] == figures(capsys, "--top", "9")["top_products"][:3]


@pytest.mark.parametrize("number", ["-1", "0", "many"])
def test_an_impossible_top_is_wrong_words(store, capsys, number):
    add()
    with pytest.raises(SystemExit) as stopped:
        main(["metrics", "--shop", HARBOR.domain, "--from", FIRST, "--to", LAST, "--top", number])
    assert stopped.value.code == 2


def test_a_shop_that_was_never_synced_has_unknown_rates_and_every_day(store, capsys):
    add()
    found = figures(capsys)
    assert found["totals"]["returning_customer_rate"] is None and found["totals"]["average_order_value"] is None
    assert found["totals"]["orders"] == 0 and len(found["by"]) == 20
    assert found["top_customers"] == found["top_products"] == []


@pytest.mark.parametrize("typed", ["harbor-and-pine", HARBOR.domain, f"https://{HARBOR.domain}/", "HARBOR-AND-PINE"])
def test_a_shop_may_be_typed_in_any_way(store, capsys, typed):
    assert add(typed) == 0
    assert figures(capsys, shop=typed)["shop"] == HARBOR.domain


def test_the_token_may_come_by_standard_input(sqlite_store, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(HARBOR.token + "\n"))
    assert main(["shop", "add", "--domain", HARBOR.domain]) == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert "--token-env" in refused(capsys, 1, "shop", "add", "--domain", HARBOR.domain)


def test_bad_input_is_a_sentence_and_exit_code_1(sqlite_store, capsys, monkeypatch):
    monkeypatch.setenv("WRONG", "shpat_wrong")
    shop_add = ("shop", "add", "--domain")
    assert "Connect the shop again" in refused(capsys, 1, *shop_add, HARBOR.domain, "--token-env", "WRONG")
    assert "no shop at" in refused(capsys, 1, *shop_add, "nobody", "--token-env", "HARBOR_TOKEN")
    assert "store address" in refused(capsys, 1, *shop_add, "example.com", "--token-env", "HARBOR_TOKEN")
    assert "UNSET_NAME" in refused(capsys, 1, *shop_add, HARBOR.domain, "--token-env", "UNSET_NAME")
    assert "shop add --domain" in refused(capsys, 1, "sync", "--shop", HARBOR.domain)
    assert "shop add" in refused(capsys, 1, "metrics", "--shop", HARBOR.domain, "--from", FIRST, "--to", LAST)
    add()
    backwards = ("metrics", "--shop", HARBOR.domain, "--from", LAST, "--to", FIRST)
    assert refused(capsys, 1, *backwards)
    for words in ((), ("nonsense",), ("metrics", "--shop", "x", "--from", "yesterday", "--to", LAST), ("sync",)):
        with pytest.raises(SystemExit) as stopped:
            main(list(words))
        assert stopped.value.code == 2


@pytest.fixture
def empty_postgres(postgres_url: str) -> Iterator[str]:
    """A database without tables."""
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE bare")
    yield postgres_url.replace("/postgres?", "/bare?")
    db.get_engine().dispose()
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE bare WITH (FORCE)")
    engine.dispose()


def test_metrics_of_an_empty_postgresql_is_a_sentence(capsys, monkeypatch, empty_postgres):
    monkeypatch.setenv("DATABASE_URL", empty_postgres)
    config.get_settings.cache_clear()
    assert "shop add" in refused(capsys, 1, "metrics", "--shop", "harbor-and-pine", "--from", FIRST, "--to", LAST)


def test_a_stream_that_fails_is_exit_code_1_and_the_others_go_on(sqlite_store, capsys, monkeypatch):
    add()
    real = connect.read_facts

    def lean(client: Any) -> connect.ShopFacts:
        return replace(real(client), scopes=frozenset({"read_orders", "read_products"}))

    monkeypatch.setattr(connect, "read_facts", lean)
    assert "read_customers" in refused(capsys, 1, "sync", "--shop", HARBOR.domain)
    assert figures(capsys)["totals"]["orders"] > 0


def test_an_unreachable_store_keeps_what_was_synced(sqlite_store, capsys, monkeypatch):
    add()
    main(["sync", "--shop", HARBOR.domain])
    before = figures(capsys)
    monkeypatch.setenv("SHOPIFY_BASE_URL", "http://127.0.0.1:9/{shop}")
    config.get_settings.cache_clear()
    monkeypatch.setattr(connect, "ShopClient", partial(ShopClient, sleep=lambda _: None))
    assert "could not be reached" in refused(capsys, 1, "sync", "--shop", HARBOR.domain)
    assert figures(capsys) == before


def test_syncing_while_another_sync_runs_says_so(sqlite_store, capsys):
    add()
    shop_id = connect.find_shop(HARBOR.domain)
    jobs.request_sync(shop_id)
    assert lease.claim(shop_id) is not None
    assert "running already" in refused(capsys, 1, "sync", "--shop", HARBOR.domain)
    with system_session() as session:
        assert session.get_one(SyncState, (shop_id, "orders")).owner is not None


def run_core(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "core", *words], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=120, check=False, **options,
    )  # fmt: skip


def test_the_whole_way_in_processes_of_their_own(sqlite_store):
    added = run_core("shop", "add", "--domain", "harbor-and-pine", input=HARBOR.token + "\n")
    assert (added.returncode, added.stdout) == (0, "") and HARBOR.token not in added.stderr
    synced = run_core("sync", "--shop", HARBOR.domain, env={"LOG_LEVEL": "DEBUG"})
    assert (synced.returncode, synced.stdout) == (0, "") and HARBOR.token not in synced.stderr, synced.stderr
    shown = run_core("metrics", "--shop", HARBOR.domain, "--from", FIRST, "--to", LAST, "--json")
    assert shown.returncode == 0 and json.loads(shown.stdout)["totals"]["orders"] > 0


def test_a_wrong_setting_is_one_sentence(sqlite_store, tmp_path):
    with forks(tmp_path) as loaded:
        for name, value in (
            ("DATABASE_URL", "mysql://x"), ("SHOPIFY_BASE_URL", "nowhere"), ("DATA_DIR", "/proc/nowhere"),
            ("DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:9/x"),
        ):  # fmt: skip
            ended = loaded.run("sync", "--shop", HARBOR.domain, env={**os.environ, name: value})
            assert ended.code == 1 and ended.out == "", name
            assert "Traceback" not in ended.err and "secret" not in ended.err and ended.err.strip(), ended.err


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """main() configures the process's logs."""
    root = logging.getLogger("core")
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = before[0], before[1], before[2]
