"""Stock and cost, as the shop shows them; only where the token may read them, and never a reason to fail."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from core.demo.catalogue import SCOPES
from core.sync import jobs
from core.sync.resources.inventory import inventory_rows
from tests.demo_http import HARBOR, demo_client
from tests.demo_sync import (
    ALICE,
    CHARLIE,
    NOW,
    OPENED_ON,
    Asked,
    Stage,
    add_demo_shop,
    add_demo_shops,
    changed_body,
    rows_of,
    shop_row,
    stage_demo,
    state,
    sync,
)
from tests.factories import at, context, stamp
from tests.kept_shop import add_synced_shop

TRUTH = """query($after: String) { inventoryItems(first: 250, after: $after) { nodes {
  id sku tracked updatedAt unitCost { amount }
  inventoryLevels(first: 10) { nodes { location { id name }
    quantities(names: ["available", "on_hand", "committed", "incoming", "reserved"]) { name quantity } } } } } }"""


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


def number(gid: dict[str, Any]) -> int:
    return int(gid["id"].rsplit("/", 1)[1])


def compare(stage: Stage) -> None:
    items = demo_client(HARBOR, OPENED_ON, lambda: stage.now).ask(TRUTH)["inventoryItems"]["nodes"]
    rows = rows_of()
    assert {row["id"]: (row["sku"], row["tracked"], row["unit_cost"]) for row in rows["inventory_item"]} == {
        number(item): (
            item["sku"],
            item["tracked"],
            int(Decimal(item["unitCost"]["amount"]) * 100) if item["unitCost"] else None,
        )
        for item in items
    }
    kinds = "available", "on_hand", "committed", "incoming", "reserved"
    assert {
        (row["inventory_item_id"], row["location_id"]): tuple(row[kind] for kind in kinds)
        for row in rows["inventory_level"]
    } == {
        (number(item), number(level["location"])): tuple(
            {told["name"]: told["quantity"] for told in level["quantities"]}[kind] for kind in kinds
        )
        for item in items
        for level in item["inventoryLevels"]["nodes"]
    }


def scopes(*granted: str) -> Callable[[Asked, httpx2.Response], httpx2.Response]:
    """The token has these scopes."""

    def change(body: dict[str, Any]) -> None:
        body["data"]["currentAppInstallation"]["accessScopes"] = [{"handle": scope} for scope in granted]

    return lambda asked, response: changed_body(response, change) if asked.about("Shop") else response


def test_every_level_and_cost_is_as_the_shop_shows_it_and_each_variant_knows_its_item(database: Engine, stage: Stage):
    add_demo_shops()
    assert sync().outcome == "ok"
    compare(stage)
    rows = rows_of()
    assert {row["inventory_item_id"] for row in rows["variant"]} == {row["id"] for row in rows["inventory_item"]}
    assert {row["name"] for row in rows["location"]} == {"Warehouse Portland", "Harbor Street shop"}
    prices = {row["inventory_item_id"]: row["price"] for row in rows["variant"]}
    costs = [(row["unit_cost"], prices[row["id"]]) for row in rows["inventory_item"] if row["tracked"]]
    assert all(0.34 <= cost / price <= 0.6 for cost, price in costs)
    assert all(row["unit_cost"] is None for row in rows["inventory_item"] if not row["tracked"])
    assert rows_of(CHARLIE)["inventory_item"] == []


def test_stock_follows_the_shop_and_a_second_look_changes_nothing(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before, version = rows_of()["inventory_level"], shop_row().data_version
    run = sync(ALICE, "inventory")
    assert run.counts["inventory"]["unchanged"] == run.counts["inventory"]["read"]
    assert (rows_of()["inventory_level"], shop_row().data_version) == (before, version)
    stage.now = NOW + timedelta(days=3)
    run = sync(ALICE, "inventory")
    assert run.counts["inventory"]["updated"] > 0 and rows_of()["inventory_level"] != before
    compare(stage)


@pytest.mark.parametrize(("later", "files"), [(timedelta(minutes=5), 1), (timedelta(days=3), 2)])
def test_a_file_asked_for_days_ago_is_not_the_last_word_on_stock(
    database: Engine, stage: Stage, later: timedelta, files: int
):
    add_synced_shop(stage)
    stage.now = NOW + timedelta(days=2)
    stage.instead = lambda asked: httpx2.Response(402) if asked.about("Bulk(") else None
    assert sync(ALICE, "inventory").outcome == "failed"
    stage.now += later
    stage.instead = lambda _: None
    asked_for = len(stage.read_by_bulk())
    assert sync(ALICE, "inventory").outcome == "ok"
    assert len(stage.read_by_bulk()) - asked_for == files - 1
    if files > 1:
        compare(stage)


def test_an_item_that_is_gone_at_shopify_is_gone_here(database: Engine, stage: Stage):
    add_synced_shop(stage)
    whole, version = rows_of(), shop_row().data_version
    real = stage.transport

    def fewer(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        if asked.address.endswith(".jsonl"):
            return httpx2.Response(200, content=cut(response.read()))
        if asked.about("Bulk("):
            return changed_body(response, announce)
        return response

    def cut(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        second = next(at for at, line in enumerate(lines) if at and b"__parentId" not in line)
        return b"".join(lines[second:])

    def announce(body: dict[str, Any]) -> None:
        operation = body["data"]["bulkOperation"]
        if operation["status"] == "COMPLETED":
            honest = real(HARBOR.domain)._honest.handle_request(httpx2.Request("GET", operation["url"])).read()
            lines = cut(honest).splitlines()
            roots = sum(b"__parentId" not in line for line in lines)
            operation |= {
                "objectCount": str(len(lines)), "rootObjectCount": str(roots), "fileSize": str(len(cut(honest))),
            }  # fmt: skip

    stage.after = fewer
    run = sync(ALICE, "inventory")
    assert run.outcome == "ok" and run.counts["inventory"]["deleted"] == 1
    assert len(rows_of()["inventory_item"]) == len(whole["inventory_item"]) - 1
    assert len(rows_of()["inventory_level"]) == len(whole["inventory_level"]) - 2
    assert shop_row().data_version == version + 1
    stage.tell_truth()
    sync(ALICE, "inventory")
    assert rows_of() == whole


def test_without_the_scope_stock_is_blocked_with_a_sentence_and_the_sync_is_whole(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    stage.after = scopes("read_orders", "read_customers", "read_products")
    run = sync()
    assert run.outcome == "ok" and run.problem is None and "inventory" not in run.counts
    [status] = [one for one in jobs.sync_status(ALICE).streams if one.stream == "inventory"]
    assert status.state == "blocked" and "read_inventory" in (status.problem or "")
    assert status.due_at is not None, "the scope may be granted any time"
    assert not any("inventoryItem" in asked.query for asked in stage.asked)
    assert all(row["inventory_item_id"] is None for row in rows_of()["variant"])
    stage.tell_truth()
    assert sync().outcome == "ok"
    compare(stage)
    assert state("inventory").problem is None
    assert all(row["inventory_item_id"] for row in rows_of()["variant"])


def test_without_the_scope_for_locations_levels_have_no_names(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    stage.after = scopes(*(scope for scope in SCOPES if scope != "read_locations"))
    assert sync().outcome == "ok"
    compare(stage)
    assert {row["name"] for row in rows_of()["location"]} == {None}
    stage.tell_truth()
    sync()
    assert all(row["name"] for row in rows_of()["location"])


def test_a_required_scope_that_is_missing_is_still_a_failure(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    stage.after = scopes("read_customers", "read_products", "read_inventory")
    run = sync()
    assert run.outcome == "partial" and "read_orders" in (run.problem or "")
    assert rows_of()["inventory_item"]


def test_an_item_in_known_answers():
    level = {
        "location": {"id": "gid://shopify/Location/9"},
        "quantities": [{"name": "available", "quantity": -2}, {"name": "on_hand", "quantity": 1}],
    }
    item = {
        "id": "gid://shopify/InventoryItem/4", "sku": None, "tracked": True, "updatedAt": stamp(at("2026-11-01")),
        "unitCost": {"amount": "3.5", "currencyCode": "USD"}, "inventoryLevels": [level],
    }  # fmt: skip
    rows = inventory_rows(item, context())
    assert (rows.item["unit_cost"], rows.item["sku"]) == (350, None)
    [only] = rows.levels
    assert (only["location_id"], only["available"], only["on_hand"], only["incoming"]) == (9, -2, 1, None)
    assert rows.locations == [{"id": 9, "name": None}]
