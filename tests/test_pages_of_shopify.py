"""Paged reading against a small server with cursors, a linear cost limit, and faults."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GarbageAnswer, MalformedRow, QueryRefused, QueryTooCostly, ServerFault, Unreachable
from core.shopify.client import ShopClient
from core.shopify.pages import customer_documents, order_documents, paged, product_documents, refund_details
from core.shopify.queries import Grants, customers_page

GRANTS = Grants(frozenset({"read_orders", "read_products", "read_customers"}))
Row = dict[str, Any]


def order(number: int, *, lines: int = 1, sales: tuple[int, ...] = (1,)) -> Row:
    """An order with so many lines, and one agreement for each number of sales."""
    return {
        "id": f"gid://shopify/Order/{number}",
        "lineItems": [{"id": f"line {number}/{line}"} for line in range(lines)],
        "agreements": [
            {
                "id": f"agreement {number}/{agreement}",
                "happenedAt": "2026-11-20T08:00:00Z",
                "sales": [{"id": f"sale {number}/{agreement}/{sale}"} for sale in range(count)],
            }
            for agreement, count in enumerate(sales)
        ],
    }


class Shopify:
    """Answers the paged queries from plain documents; a page costs what it could hold at most."""

    def __init__(self, documents: list[Row], *, most_points: int = 1000) -> None:
        self.documents = {document["id"]: document for document in documents}
        self.most_points = most_points
        self.asked: list[tuple[str, Row]] = []
        self.meddle: Callable[[str, Row], httpx2.Response | None] = lambda *_: None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        name = re.match(r"query (\w+)", body["query"])[1]
        given = body["variables"]
        self.asked.append((name, given))
        assert all(given[size] >= 1 for size in given.keys() & {"first", "lines", "agreements", "sales", "variants"})
        if (answer := self.meddle(name, given)) is not None:
            return answer
        points = _COSTS[name](given)
        if points > self.most_points:
            error = {"message": f"Query cost is {points}.", "extensions": {"code": "MAX_COST_EXCEEDED"}}
            return httpx2.Response(200, json={"errors": [error]})
        return httpx2.Response(200, json={"data": getattr(self, name)(given)})

    def Orders(self, given: Row) -> Row:
        def shown(document: Row) -> Row:
            lines = _connection(document["lineItems"], given["lines"])
            return document | {
                "lineItems": lines,
                "agreements": _agreements(document, None, given["agreements"], given),
            }

        return {"orders": _connection(list(self.documents.values()), given["first"], given["after"], shown)}

    def OrderLines(self, given: Row) -> Row:
        found = self.documents.get(given["id"])
        return {"order": found and {"lineItems": _connection(found["lineItems"], given["first"], given["after"])}}

    def OrderAgreements(self, given: Row) -> Row:
        found = self.documents.get(given["id"])
        return {"order": found and {"agreements": _agreements(found, given["after"], given["first"], given)}}

    def AgreementSales(self, given: Row) -> Row:
        found = self.documents.get(given["id"])

        def shown(agreement: Row) -> Row:
            return {
                "id": agreement["id"],
                "sales": _connection(agreement["sales"], given["first"], given["salesAfter"]),
            }

        return {"order": found and {"agreements": _connection(found["agreements"], 1, given["after"], shown)}}

    def Products(self, given: Row) -> Row:
        def shown(document: Row) -> Row:
            return document | {"variants": _connection(document["variants"], given["variants"])}

        return {"products": _connection(list(self.documents.values()), given["first"], given["after"], shown)}

    def ProductVariants(self, given: Row) -> Row:
        found = self.documents[given["id"]]
        return {"product": {"variants": _connection(found["variants"], given["first"], given["after"])}}

    def Customers(self, given: Row) -> Row:
        return {"customers": _connection(list(self.documents.values()), given["first"], given["after"])}

    def RefundLines(self, given: Row) -> Row:
        found = self.documents.get(given["id"])
        if found is None:
            return {"node": None}
        lines = _connection(found["refundLineItems"], given["first"], given.get("after"))
        shipping = _connection(found["refundShippingLines"], given["first"], given.get("shippingAfter"))
        return {"node": {"id": found["id"], "refundLineItems": lines, "refundShippingLines": shipping}}


def _connection(
    rows: list[Row], first: int, after: str | None = None, shown: Callable[[Row], Row] = lambda row: row
) -> Row:
    start = 0 if after is None else int(after.removeprefix("cursor-")) + 1
    page = [(f"cursor-{at}", shown(row)) for at, row in enumerate(rows)][start : start + first]
    return {
        "nodes": [row for _, row in page],
        "edges": [{"cursor": cursor, "node": row} for cursor, row in page],
        "pageInfo": {"hasNextPage": start + first < len(rows), "endCursor": page[-1][0] if page else None},
    }


def _agreements(document: Row, after: str | None, first: int, given: Row) -> Row:
    return _connection(
        document["agreements"], first, after, lambda one: one | {"sales": _connection(one["sales"], given["sales"])}
    )


_COSTS: dict[str, Callable[[Row], int]] = {
    "Orders": lambda given: given["first"] * (8 + given["lines"] * 6 + given["agreements"] * (1 + given["sales"] * 8)),
    "OrderLines": lambda given: 1 + given["first"] * 6,
    "OrderAgreements": lambda given: 1 + given["first"] * (1 + given["sales"] * 8),
    "AgreementSales": lambda given: 2 + given["first"] * 8,
    "Products": lambda given: given["first"] * (3 + given["variants"]),
    "ProductVariants": lambda given: 1 + given["first"],
    "Customers": lambda given: given["first"] * 2,
    "RefundLines": lambda given: given["first"] * 12,
}


def client_of(shopify: Callable[[httpx2.Request], httpx2.Response]) -> ShopClient:
    return ShopClient("foo", "t", transport=httpx2.MockTransport(shopify), sleep=lambda _: None)


def orders_from(shopify: Shopify) -> list[Row]:
    return [one for page in order_documents(client_of(shopify), GRANTS, None) for one in page]


def calls(shopify: Shopify) -> Counter[str]:
    return Counter(name for name, _ in shopify.asked)


def fault(_: str, __: Row) -> httpx2.Response:
    return httpx2.Response(502, text="<html>")


def test_small_orders_need_one_request() -> None:
    shopify = Shopify([order(number) for number in range(5)], most_points=1_000_000)
    assert orders_from(shopify) == list(shopify.documents.values())
    assert calls(shopify) == {"Orders": 1}


def test_orders_come_page_by_page_with_the_filter_on_each() -> None:
    shopify = Shopify([order(number) for number in range(120)], most_points=1_000_000)
    pages = list(order_documents(client_of(shopify), GRANTS, "updated_at:>='2026-11-20T00:00:00Z'"))
    assert [len(page) for page in pages] == [50, 50, 20]
    assert {given["query"] for _, given in shopify.asked} == {"updated_at:>='2026-11-20T00:00:00Z'"}


def test_every_line_agreement_and_sale_is_read_however_many_there_are() -> None:
    large = order(1, lines=257, sales=(0, 1, 10, 11, 230, 0, 20, 21, 3, 1, 1, 1, 1, 1, 150))
    shopify = Shopify([order(0), large, order(2, lines=0, sales=())])
    assert orders_from(shopify) == list(shopify.documents.values())


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.lists(st.integers(0, 40), max_size=15)), max_size=8),
    st.sampled_from([40, 100, 1000, 100_000]),
)
def test_no_size_of_an_order_and_no_limit_of_cost_loses_a_row(
    shapes: list[tuple[int, list[int]]], most_points: int
) -> None:
    orders = [order(at, lines=lines, sales=tuple(sales)) for at, (lines, sales) in enumerate(shapes)]
    shopify = Shopify(orders, most_points=most_points)
    assert orders_from(shopify) == list(shopify.documents.values())


def test_an_agreement_is_addressed_by_the_cursor_of_the_one_before_it() -> None:
    shopify = Shopify([order(1, sales=(11, 11, 1, 21))], most_points=1_000_000)
    orders_from(shopify)
    asked = [given["after"] for name, given in shopify.asked if name == "AgreementSales"]
    assert asked == [None, "cursor-0", "cursor-2"]


def test_a_strict_limit_shrinks_the_page_before_what_is_inside_it() -> None:
    shopify = Shopify([order(number) for number in range(9)])
    assert len(orders_from(shopify)) == 9
    tried = [(given["first"], given["lines"], given["agreements"], given["sales"]) for _, given in shopify.asked]
    assert tried[:5] == [(50, 10, 3, 10), (25, 10, 3, 10), (12, 10, 3, 10), (6, 10, 3, 10), (3, 10, 3, 10)]
    assert set(tried[5:]) == {(3, 10, 3, 10)}


def test_the_insides_shrink_when_one_order_is_too_costly() -> None:
    shopify = Shopify([order(1, lines=30, sales=(25, 3))], most_points=60)
    assert orders_from(shopify) == list(shopify.documents.values())


def test_a_query_too_costly_at_any_size_is_told() -> None:
    shopify = Shopify([order(1)], most_points=1)
    with pytest.raises(QueryTooCostly):
        orders_from(shopify)


def test_products_come_with_all_variants() -> None:
    products = [
        {"id": f"gid://shopify/Product/{at}", "variants": [{"id": f"{at}/{one}"} for one in range(count)]}
        for at, count in enumerate((1, 0, 20, 21, 2048, 1))
    ]
    shopify = Shopify(products)
    found = [one for page in product_documents(client_of(shopify), GRANTS, None) for one in page]
    assert found == products


def test_customers_come_in_pages() -> None:
    customers = [{"id": f"gid://shopify/Customer/{at}"} for at in range(501)]
    pages = list(customer_documents(client_of(Shopify(customers)), GRANTS, None))
    assert [len(page) for page in pages] == [250, 250, 1]
    assert [one for page in pages for one in page] == customers


@pytest.mark.parametrize(("lines", "shipping"), [(0, 0), (1, 1), (120, 0), (0, 60), (51, 101)])
def test_a_refund_comes_with_all_its_lines(lines: int, shipping: int) -> None:
    refund = {
        "id": "gid://shopify/Refund/1",
        "refundLineItems": [{"id": f"line {at}"} for at in range(lines)],
        "refundShippingLines": [{"id": f"shipping {at}"} for at in range(shipping)],
    }
    assert refund_details(client_of(Shopify([refund])), "gid://shopify/Refund/1") == refund


def test_a_refund_that_is_gone_is_told() -> None:
    with pytest.raises(MalformedRow, match="gid://shopify/Refund/1"):
        refund_details(client_of(Shopify([])), "gid://shopify/Refund/1")


def test_an_order_deleted_while_it_is_read_is_left_out() -> None:
    shopify = Shopify([order(1), order(2, lines=40), order(3)])

    def delete(name: str, _: Row) -> None:
        if name == "OrderLines":
            shopify.documents.pop("gid://shopify/Order/2", None)

    shopify.meddle = delete
    assert [one["id"] for one in orders_from(shopify)] == ["gid://shopify/Order/1", "gid://shopify/Order/3"]


def test_sales_of_another_agreement_are_never_taken() -> None:
    shopify = Shopify([order(1, sales=(40, 1))])

    def swap(name: str, _: Row) -> None:
        if name == "AgreementSales":
            shopify.documents["gid://shopify/Order/1"]["agreements"].reverse()

    shopify.meddle = swap
    with pytest.raises(GarbageAnswer, match="changed while"):
        orders_from(shopify)


def test_a_page_that_makes_shopify_fail_is_asked_for_smaller() -> None:
    shopify = Shopify([{"id": f"gid://shopify/Customer/{at}"} for at in range(10)])
    shopify.meddle = lambda name, given: fault(name, given) if given["first"] > 100 else None
    pages = list(customer_documents(client_of(shopify), GRANTS, None))
    assert [len(page) for page in pages] == [10]
    assert [given["first"] for _, given in shopify.asked] == [250] * 6 + [125] * 6 + [62]


def test_a_shopify_that_is_down_is_left_alone_after_a_while() -> None:
    shopify = Shopify([])
    shopify.meddle = fault
    with pytest.raises(ServerFault):
        list(customer_documents(client_of(shopify), GRANTS, None))
    assert len(shopify.asked) == 4 * 6


def test_a_network_that_is_down_is_told() -> None:
    def down(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("down")

    with pytest.raises(Unreachable):
        list(customer_documents(client_of(down), GRANTS, None))


@pytest.mark.parametrize(
    "connection",
    [
        None,
        {},
        {"nodes": []},
        {"nodes": [], "pageInfo": None},
        {"nodes": None, "pageInfo": {"hasNextPage": False, "endCursor": None}},
        {"nodes": [None], "pageInfo": {"hasNextPage": False, "endCursor": None}},
        {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": None}},
        {"nodes": [{"id": "1"}], "pageInfo": {"hasNextPage": True, "endCursor": "same"}},
    ],
)
def test_a_page_that_breaks_the_protocol_is_garbage_not_the_end(connection: Any) -> None:
    client = client_of(lambda _: httpx2.Response(200, json={"data": {"customers": connection}}))
    with pytest.raises(GarbageAnswer):
        list(customer_documents(client, GRANTS, None))


@pytest.mark.parametrize("edge", [None, {}, {"cursor": "1"}, {"cursor": "1", "node": None}, {"node": {"id": "1"}}])
def test_an_agreement_that_breaks_the_protocol_is_garbage(edge: Any) -> None:
    done = {"hasNextPage": False, "endCursor": None}
    broken = order(1) | {
        "lineItems": {"nodes": [], "pageInfo": done},
        "agreements": {"edges": [edge], "pageInfo": done},
    }
    orders = {"nodes": [broken], "pageInfo": done}
    client = client_of(lambda _: httpx2.Response(200, json={"data": {"orders": orders}}))
    with pytest.raises(GarbageAnswer):
        list(order_documents(client, GRANTS, None))


def test_cursors_that_go_round_in_a_circle_are_noticed() -> None:
    cursors = {None: "a", "a": "b", "b": "a"}

    def circle(request: httpx2.Request) -> httpx2.Response:
        after = json.loads(request.content)["variables"]["after"]
        page = {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": cursors[after]}}
        return httpx2.Response(200, json={"data": {"customers": page}})

    with pytest.raises(GarbageAnswer, match="same page"):
        list(customer_documents(client_of(circle), GRANTS, None))


def test_what_shopify_left_out_is_collected() -> None:
    page = {"nodes": [{"id": "1", "displayName": None}], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    error = {"message": "Access denied.", "path": ["customers", "nodes", 0, "displayName"]}
    body = {"data": {"customers": page}, "errors": [error | {"extensions": {"code": "ACCESS_DENIED"}}]}
    degraded: set[str] = set()
    client = client_of(lambda _: httpx2.Response(200, json=body))
    pages = paged(client, customers_page(GRANTS), filter=None, sizes={"first": 5}, root="customers", degraded=degraded)
    assert list(pages) == [page["nodes"]]
    assert degraded == {"customers.nodes.displayName: Access denied."}


def test_a_refused_query_is_not_made_smaller() -> None:
    shopify = Shopify([])
    shopify.meddle = lambda *_: httpx2.Response(200, json={"errors": [{"message": "Syntax error"}]})
    with pytest.raises(QueryRefused, match="Syntax error"):
        list(customer_documents(client_of(shopify), GRANTS, None))
    assert len(shopify.asked) == 1
