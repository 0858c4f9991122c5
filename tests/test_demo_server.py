"""The demo answers over HTTP as Shopify would: data, refusals, costs, searches and pages."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from core.demo.catalogue import DEMO_SHOPS, SCOPES, DemoShop
from core.demo.server import demo_transport
from core.shopify import queries
from core.shopify.client import ShopClient
from core.shopify.queries import API_VERSION, Grants, updated_since
from tests.demo_http import HARBOR, KIOSK, DemoClient, demo_client, serve_demo

PATIENCE_S = 120.0
OPENED_ON, NOW = date(2026, 9, 21), datetime(2026, 11, 20, 15, tzinfo=UTC)
ALL = Grants(frozenset(SCOPES), personal_data=True)
UPDATED = "query($q: String, $first: Int!, $after: String) { orders(first: $first, after: $after, query: $q, \
sortKey: UPDATED_AT) { edges { cursor node { id updatedAt } } pageInfo { hasNextPage endCursor } } }"


@pytest.fixture
def harbor() -> DemoClient:
    return demo_client(HARBOR, OPENED_ON, lambda: NOW)


def walk(client: DemoClient, query: str | None, first: int, after: str | None = None) -> Iterator[dict[str, Any]]:
    while True:
        page = client.ask(UPDATED, {"q": query, "first": first, "after": after})["orders"]
        yield from (edge["node"] for edge in page["edges"])
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


@pytest.mark.parametrize("shop", DEMO_SHOPS, ids=lambda shop: shop.name)
def test_a_shop_tells_who_it_is_and_what_may_be_read(shop: DemoShop) -> None:
    data = demo_client(shop, OPENED_ON, lambda: NOW).ask(queries.SHOP)
    assert data["shop"] == {
        "id": shop.gid, "name": shop.name, "myshopifyDomain": shop.domain, "currencyCode": shop.currency,
        "ianaTimezone": shop.time_zone, "taxesIncluded": shop.taxes_included,
        "plan": {"publicDisplayName": "Development"},
    }  # fmt: skip
    assert tuple(scope["handle"] for scope in data["currentAppInstallation"]["accessScopes"]) == SCOPES


def test_a_wrong_token_is_401_and_an_unknown_shop_404(harbor: DemoClient) -> None:
    assert harbor.post(queries.SHOP, token=KIOSK.token).status_code == 401
    nobody = httpx2.Client(transport=demo_transport("nobody.myshopify.com", opened_on=OPENED_ON))
    assert nobody.post("https://nobody.myshopify.com/admin/api/2026-10/graphql.json", json={}).status_code == 404


def test_another_version_is_answered_with_the_one_that_was_used(harbor: DemoClient) -> None:
    address = f"https://{HARBOR.domain}/admin/api/2020-01/graphql.json"
    headers = {"X-Shopify-Access-Token": HARBOR.token}
    response = harbor.http.post(address, json={"query": queries.SHOP}, headers=headers)
    assert response.status_code == 200
    assert response.headers["X-Shopify-API-Version"] == API_VERSION
    assert response.headers["Date"] == "Fri, 20 Nov 2026 15:00:00 GMT"
    assert response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("query", "variables", "cost"),
    (
        ("query($n: Int!) { products(first: $n) { nodes { id } pageInfo { hasNextPage } } }", {"n": 250}, 13),
        ("query($n: Int!) { products(first: $n) { edges { node { id title tags } } } }", {"n": 20}, 7),
        ("{ products(first: 10) { nodes { id } } }", {}, 6),
        ("{ products(first: 1) { nodes { id } } }", {}, 3),
        ("{ productsCount { count precision } }", {}, 10),
        ("{ shop { plan { partnerDevelopment } } currentAppInstallation { accessScopes { handle } } }", {}, 4),
        ('{ order(id: "gid://shopify/Order/1") { id totalPriceSet { shopMoney { amount } } } }', {}, 1),
        ('{ order(id: "gid://shopify/Order/1") { id email customer { id displayName } } }', {}, 2),
        (
            '{ order(id: "gid://shopify/Order/1") { id lineItems(first: 50) { nodes { id variant { id title sku } '
            "originalUnitPriceSet { shopMoney { amount } } } } } }",
            {},
            17,
        ),
        (
            'query($q: String!) { order(id: "gid://shopify/Order/1") { id email } orders(first: 5, query: $q) '
            "{ nodes { id email } } ordersCount(query: $q) { count precision } }",
            {"q": "id:1"},
            16,
        ),
    ),
)
def test_a_query_costs_what_a_real_shop_was_recorded_to_charge(
    harbor: DemoClient, query: str, variables: dict[str, Any], cost: int
) -> None:
    assert harbor.post(query, variables).json()["extensions"]["cost"]["requestedQueryCost"] == cost


def test_the_schema_can_be_asked_for(harbor: DemoClient) -> None:
    assert harbor.ask("{ __schema { queryType { name } } }") == {"__schema": {"queryType": {"name": "QueryRoot"}}}


def test_the_unused_part_of_a_cost_comes_back(harbor: DemoClient) -> None:
    body = harbor.post('{ orders(first: 250, query: "id:1") { nodes { id } } }').json()
    assert body["extensions"]["cost"]["requestedQueryCost"] == 13
    assert body["extensions"]["cost"]["actualQueryCost"] == 2
    assert body["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] >= 1_998
    assert body["extensions"]["cost"]["throttleStatus"]["maximumAvailable"] == 2_000


def test_a_query_over_1000_points_is_refused_and_an_empty_bucket_throttles(harbor: DemoClient) -> None:
    page = queries.orders_page(ALL)
    sizes = {"lines": 50, "agreements": 20, "sales": 50, "query": None, "after": None}
    refused = harbor.post(page, {**sizes, "first": 250}).json()
    assert refused["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    for _ in range(60):
        body = harbor.post(page, {**sizes, "first": 10}).json()
        if "errors" in body:
            break
    assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
    cost = body["extensions"]["cost"]
    assert cost["actualQueryCost"] is None
    assert cost["throttleStatus"]["currentlyAvailable"] < cost["requestedQueryCost"]


def test_an_unknown_field_is_a_graphql_error_in_shopifys_words(harbor: DemoClient) -> None:
    error = harbor.post("{ shop { colour } }").json()["errors"][0]
    assert error["message"] == "Field 'colour' doesn't exist on type 'Shop'"
    assert error["extensions"]["code"] == "undefinedField"


@pytest.mark.parametrize("first", (7, 250))
def test_pages_by_updated_at_hold_every_order_once_in_order(harbor: DemoClient, first: int) -> None:
    rows = list(walk(harbor, None, first))
    assert len({row["id"] for row in rows}) == len(rows) == harbor.ask(queries.ORDERS_COUNT)["ordersCount"]["count"]
    assert [row["updatedAt"] for row in rows] == sorted(row["updatedAt"] for row in rows)


def test_a_cursor_stays_good_while_orders_are_added_and_moved() -> None:
    clock = [datetime(2026, 11, 10, tzinfo=UTC)]
    client = demo_client(HARBOR, OPENED_ON, lambda: clock[0])
    start = client.ask(UPDATED, {"first": 100})["orders"]
    clock[0] = NOW
    rest = list(walk(client, None, 200, start["pageInfo"]["endCursor"]))
    last = start["edges"][-1]["node"]["updatedAt"]
    assert {row["id"] for row in walk(client, f"updated_at:>'{last}'", 200)} <= {row["id"] for row in rest}
    assert [row["updatedAt"] for row in rest] == sorted(row["updatedAt"] for row in rest)


def test_a_page_over_250_rows_or_without_a_size_is_an_error(harbor: DemoClient) -> None:
    for variables in ({"first": 251}, {"first": -1}):
        assert "errors" in harbor.post(UPDATED, variables).json()
    error = harbor.post("{ orders { nodes { id } } }").json()["errors"][0]
    assert error["message"] == "you must provide one of first or last"


def test_quoted_dates_with_a_zone_filter_exactly(harbor: DemoClient) -> None:
    everything = list(walk(harbor, None, 250))
    since, until = datetime(2026, 11, 1, 8, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
    found = list(walk(harbor, f"{updated_since(since)} AND updated_at:<'2026-11-09T00:00:00Z'", 250))
    assert found == [r for r in everything if since <= datetime.fromisoformat(r["updatedAt"]) < until]
    number = found[0]["id"].rpartition("/")[2]
    assert list(walk(harbor, f"id:{number}", 10)) == found[:1]


def test_an_unquoted_date_loses_its_zone_and_warns(harbor: DemoClient) -> None:
    body = harbor.post(UPDATED, {"first": 250, "q": "updated_at:>=2026-11-01T00:00:00Z"}).json()
    assert body["extensions"]["search"] == [
        {
            "path": ["orders"],
            "query": "updated_at:>=2026-11-01T00:00:00Z",
            "parsed": {
                "and": [
                    {"field": "updated_at", "range_gte": "2026-11-01T00:00:00-04:00"},
                    {"field": "00", "match_all": "00Z"},
                ]
            },
            "warnings": [{"field": "00", "message": "Invalid search field for this query.", "code": "invalid_field"}],
        }
    ]
    assert body["data"]["orders"]["edges"] == harbor.post(
        UPDATED, {"first": 250, "q": "updated_at:>='2026-11-01T04:00:00Z'"}
    ).json()["data"]["orders"]["edges"]  # fmt: skip


def test_an_unknown_search_field_is_dropped_and_everything_comes_back(harbor: DemoClient) -> None:
    body = harbor.post('{ ordersCount(query: "colour:red", limit: null) { count } }').json()
    assert body["data"]["ordersCount"]["count"] == harbor.ask(queries.ORDERS_COUNT)["ordersCount"]["count"]
    assert body["extensions"]["search"][0]["warnings"][0]["code"] == "invalid_field"


def test_objects_are_found_by_id_alone_and_many_at_once(harbor: DemoClient) -> None:
    order = next(walk(harbor, None, 1))["id"]
    data = harbor.ask(
        "query($id: ID!, $ids: [ID!]!) { order(id: $id) { id name customer { id } lineItems(first: 1) { nodes "
        "{ product { id title variants(first: 1) { nodes { id product { id } } } } } } } "
        "node(id: $id) { id } nodes(ids: $ids) { __typename id } }",
        {"id": order, "ids": [order, "gid://shopify/Order/1", HARBOR.gid]},
    )
    assert data["node"]["id"] == data["order"]["id"] == order
    assert data["nodes"] == [{"__typename": "Order", "id": order}, None, {"__typename": "Shop", "id": HARBOR.gid}]


def test_a_refund_gives_at_most_the_worth_of_its_lines_shipping_and_tip(harbor: DemoClient) -> None:
    money = "{ shopMoney { amount } }"
    refunds = f"refunds {{ id totalRefundedSet {money} }}"
    query = f"{{ orders(first: 250) {{ nodes {{ totalTipReceivedSet {money} {refunds} }} }} }}"
    orders = [order for order in harbor.ask(query)["orders"]["nodes"] if order["refunds"]]
    assert orders
    for order in orders[:8]:
        refund = order["refunds"][0]
        found = harbor.ask(queries.REFUND_LINES, {"id": refund["id"], "first": 50})["node"]
        rows = found["refundLineItems"]["nodes"] + found["refundShippingLines"]["nodes"]
        names = ("subtotalSet", "totalTaxSet", "subtotalAmountSet", "taxAmountSet")
        worth = sum(Decimal(row[name]["shopMoney"]["amount"]) for row in rows for name in names if name in row)
        tip = Decimal(order["totalTipReceivedSet"]["shopMoney"]["amount"])
        assert not rows or Decimal(refund["totalRefundedSet"]["shopMoney"]["amount"]) <= worth + tip


def test_lines_agreements_and_sales_can_be_drained_one_by_one(harbor: DemoClient) -> None:
    sizes = {"first": 20, "lines": 250, "agreements": 20, "sales": 250}
    big = {**sizes, "first": 1, "agreements": 5}
    order = harbor.ask(queries.orders_page(ALL), {**big, "query": None})["orders"]["nodes"][0]
    drained: list[str] = []
    after = None
    while True:
        page = harbor.ask(queries.order_lines(ALL), {"id": order["id"], "first": 1, "after": after})["order"][
            "lineItems"
        ]
        drained += [line["id"] for line in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert drained == [line["id"] for line in order["lineItems"]["nodes"]]
    agreement = order["agreements"]["edges"][0]["node"]
    sale = agreement["sales"]["nodes"][0]
    found = harbor.ask(queries.agreement_sales(ALL), {"id": order["id"], "first": 1, "after": None, "salesAfter": None})
    assert found["order"]["agreements"]["nodes"][0]["sales"]["nodes"] == [sale]


def test_many_threads_may_ask_at_once() -> None:
    client = demo_client(HARBOR, date(2026, 9, 22), lambda: NOW)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.ask(UPDATED, {"first": 5}), range(12)))
    assert all(answer == answers[0] for answer in answers)


def test_the_apps_own_client_reads_a_demo_shop_over_real_http() -> None:
    with serve_demo(OPENED_ON, lambda: NOW) as base_url:
        client = ShopClient(KIOSK.domain, KIOSK.token, base_url=f"{base_url}/{{shop}}")
        assert client.execute(queries.SHOP).data["shop"]["name"] == KIOSK.name
        plain = DemoClient(KIOSK, httpx2.Client(timeout=PATIENCE_S), f"{base_url}/{KIOSK.domain}")
        operation = plain.run_bulk(queries.customers_bulk(ALL))
        content = plain.http.get(operation["url"]).content
        assert len(content) == int(operation["fileSize"])
        plain.http.close()
        client.close()
