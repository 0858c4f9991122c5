"""Bulk operations of the demo: refusals as recorded, states, exact counts, the same values as pages."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from core.demo.catalogue import SCOPES
from core.shopify import queries
from core.shopify.queries import BULK_RUN, BULK_STATUS, Grants
from tests.demo_http import HARBOR, KIOSK, DemoClient, demo_client

OPENED_ON, NOW = date(2026, 9, 21), datetime(2026, 11, 20, 15, tzinfo=UTC)
ALL = Grants(frozenset(SCOPES), personal_data=True)


@pytest.fixture
def kiosk() -> DemoClient:
    return demo_client(KIOSK, OPENED_ON, lambda: NOW)


def user_errors(client: DemoClient, query: str) -> list[dict[str, Any]]:
    payload = client.ask(BULK_RUN, {"query": query})["bulkOperationRunQuery"]
    assert payload["bulkOperation"] is None
    found: list[dict[str, Any]] = payload["userErrors"]
    return found


@pytest.mark.parametrize(
    ("query", "messages"),
    (
        ("{ products { nodes { id title } } }", [
            "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: 'products "
            "{ edges { node {'. Selecting via 'nodes' is not supported. Invalid connection fields: 'products'."]),
        ('{ node(id: "gid://shopify/Product/0") { id } }', [
            "Bulk queries cannot contain a top level `node` field.",
            "Bulk queries must contain at least one connection."]),
        ("{ shop { id } }", ["Bulk queries must contain at least one connection."]),
        ("", ["Invalid bulk query: syntax error, unexpected end of file"]),
        ("mutation { bulkOperationCancel(id: 1) { userErrors { message } } }", [
            "Invalid operation type. Only `query` operations are supported."]),
        ("{ products { edges { node { title variants { edges { node { id } } } } } } }", [
            "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be "
            "of 'ID' return type. Connection fields without 'id': products."]),
        ("{ orders { edges { node { id refunds { refundLineItems { edges { node { id } } } } } } } }", [
            "Queries that contain a connection field within a list field are not currently supported."]),
        ("{ orders { edges { node { id lineItems { edges { node { id } } } agreements { edges { node { id sales "
         "{ edges { node { id } } } } } } } } } products { edges { node { id variants { edges { node { id } } } } } } "
         "}", [
            "Bulk queries cannot contain more than 5 connections."]),
        ("{ orders { edges { node { id lineItems { edges { node { id product { id variants { edges { node { id product "
         "{ variants { edges { node { id } } } } } } } } } } } } } } }", [
            "Bulk queries cannot contain connections with a nesting depth greater than 2."]),
    ),
)  # fmt: skip
def test_a_bulk_query_is_refused_in_shopifys_words(kiosk: DemoClient, query: str, messages: list[str]) -> None:
    expected = [{"code": "INVALID", "field": ["query"], "message": message} for message in messages]
    assert user_errors(kiosk, query) == expected


def test_an_operation_goes_from_created_over_running_to_completed(kiosk: DemoClient) -> None:
    payload = kiosk.ask(BULK_RUN, {"query": queries.products_bulk(ALL)})["bulkOperationRunQuery"]
    assert payload["bulkOperation"]["status"] == "CREATED"
    running, done = (kiosk.ask(BULK_STATUS, {"id": payload["bulkOperation"]["id"]})["bulkOperation"] for _ in range(2))
    assert (running["status"], running["objectCount"], running["url"]) == ("RUNNING", "0", None)
    assert (done["status"], done["errorCode"], done["completedAt"]) == ("COMPLETED", None, "2026-11-20T15:00:00Z")
    lines = kiosk.http.get(done["url"]).content.splitlines()
    assert int(done["objectCount"]) == len(lines)
    assert int(done["rootObjectCount"]) == sum("__parentId" not in json.loads(line) for line in lines)
    assert int(done["fileSize"]) == sum(len(line) + 1 for line in lines)


def test_a_file_needs_its_whole_address_but_no_token(kiosk: DemoClient) -> None:
    url = kiosk.run_bulk("{ customers { edges { node { id } } } }")["url"]
    assert kiosk.http.get(url).status_code == 200
    last = "0" if url[-7] != "0" else "1"
    assert kiosk.http.get(f"{url[:-7]}{last}.jsonl").status_code == 404


def test_nothing_found_means_no_url_and_no_size(kiosk: DemoClient) -> None:
    done = kiosk.run_bulk("{ orders(query: \"created_at:<'2020-01-01T00:00:00Z'\") { edges { node { id } } } }")
    assert (done["objectCount"], done["rootObjectCount"], done["url"], done["fileSize"]) == ("0", "0", None, None)


def test_a_filter_limits_a_bulk_query_as_it_limits_pages(kiosk: DemoClient) -> None:
    query = "created_at:>='2026-11-01T00:00:00Z'"
    rows = kiosk.bulk_rows(f'{{ orders(query: "{query}") {{ edges {{ node {{ id }} }} }} }}')
    count = kiosk.ask("query($q: String) { ordersCount(query: $q) { count } }", {"q": query})["ordersCount"]["count"]
    assert len(rows) == count > 0


def test_a_sixth_operation_at_once_has_to_wait() -> None:
    client = demo_client(KIOSK, date(2026, 11, 1), lambda: NOW)
    ids = [
        client.ask(BULK_RUN, {"query": queries.products_bulk(ALL)})["bulkOperationRunQuery"]["bulkOperation"]["id"]
        for _ in range(5)
    ]
    error = user_errors(client, queries.products_bulk(ALL))[0]
    assert (error["code"], error["field"]) == ("OPERATION_IN_PROGRESS", None)
    assert all(each in error["message"] for each in ids)
    cancelled = client.ask(
        "mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status } userErrors { message } } }",
        {"id": ids[0]},
    )["bulkOperationCancel"]
    assert cancelled == {"bulkOperation": {"status": "CANCELING"}, "userErrors": []}
    assert client.run_bulk(queries.products_bulk(ALL))["status"] == "COMPLETED"
    running = client.ask('{ bulkOperations(first: 10, query: "status:created operation_type:query") { nodes { id } } }')
    assert [node["id"] for node in running["bulkOperations"]["nodes"]] == ids[1:]


def test_children_follow_their_parent_when_grouped_and_only_then(kiosk: DemoClient) -> None:
    grouped = kiosk.bulk_rows(queries.products_bulk(ALL))
    run = BULK_RUN.replace("groupObjects: true", "groupObjects: false")
    operation = kiosk.ask(run, {"query": queries.products_bulk(ALL)})["bulkOperationRunQuery"]["bulkOperation"]
    kiosk.ask(BULK_STATUS, {"id": operation["id"]})
    done = kiosk.ask(BULK_STATUS, {"id": operation["id"]})["bulkOperation"]
    loose = [json.loads(line) for line in kiosk.http.get(done["url"]).content.splitlines()]
    assert sorted(map(str, loose)) == sorted(map(str, grouped))
    parent = None
    for row in grouped:
        if "__parentId" in row:
            assert row["__parentId"] == parent
        else:
            parent = row["id"]
    seen: set[str] = set()
    for row in loose:
        assert row.get("__parentId", row["id"]) in seen | {row["id"]}
        seen.add(row["id"])
    assert [row["id"] for row in loose] != [row["id"] for row in grouped]


def rebuilt(rows: list[dict[str, Any]], lists: dict[str, str]) -> list[dict[str, Any]]:
    """Bulk rows as a page would nest them; `lists` names the list a kind of child belongs to."""
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        for name in (name for kind, name in lists.items() if PARENTS[kind] == row["id"].split("/")[3]):
            row[name] = []
    for row in rows:
        if parent := row.pop("__parentId", None):
            by_id[parent][lists[row["id"].split("/")[3]]].append(row)
    return [row for row in rows if row["id"].split("/")[3] in ("Order", "Product", "Customer")]


PARENTS = {"LineItem": "Order", "SalesAgreement": "Order", "Sale": "SalesAgreement", "ProductVariant": "Product"}


def unpaged(value: Any) -> Any:
    """An answer with its connections replaced by plain lists."""
    if isinstance(value, list):
        return [unpaged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "pageInfo" in value:
        assert value["pageInfo"]["hasNextPage"] is False
        return [unpaged(node) for node in value.get("nodes") or [edge["node"] for edge in value.get("edges", [])]]
    return {key: unpaged(item) for key, item in value.items()}


@pytest.mark.parametrize("personal_data", (False, True))
def test_a_bulk_file_holds_the_same_values_as_the_pages(personal_data: bool) -> None:
    grants = Grants(frozenset(SCOPES), personal_data)
    client = demo_client(HARBOR, date(2026, 10, 20), lambda: NOW)
    lists = {"LineItem": "lineItems", "SalesAgreement": "agreements", "Sale": "sales", "ProductVariant": "variants"}
    orders = {o["id"]: o for o in rebuilt(client.bulk_rows(queries.orders_bulk(grants)), lists)}
    sizes = {"first": 2, "lines": 60, "agreements": 4, "sales": 60}
    ids = sorted(orders)[:: max(1, len(orders) // 25)]
    for order_id in ids:
        found = client.ask(queries.orders_page(grants), {**sizes, "query": f"id:{order_id.rpartition('/')[2]}"})
        assert unpaged(found["orders"]["nodes"]) == [orders[order_id]]
    products = rebuilt(client.bulk_rows(queries.products_bulk(grants)), lists)
    found = client.ask(queries.products_page(grants), {"first": 50, "variants": 10, "query": None})
    assert sorted(unpaged(found["products"]), key=str) == sorted(products, key=str)
    customers = client.bulk_rows(queries.customers_bulk(grants))
    found = client.ask(queries.customers_page(grants), {"first": 250, "query": None})
    assert sorted(unpaged(found["customers"]), key=str) == sorted(customers, key=str)
