"""Paged reading in order of updatedAt or createdAt, each nested connection drained: the shape of bulk.documents.

Pages shrink when the query costs too much or Shopify fails on it. An object that disappears while its
children are read is left out: deletions are found elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from core.errors import GarbageAnswer, MalformedRow, QueryTooCostly, ServerFault, Unreachable
from core.shopify.client import ShopClient
from core.shopify.queries import (
    DELETE_EVENTS,
    REFUND_LINES,
    Grants,
    agreement_sales,
    checkout_lines,
    checkouts_by_id,
    checkouts_page,
    customers_by_id,
    customers_page,
    destroyed_since,
    inventory_by_id,
    item_levels,
    order_agreements,
    order_lines,
    orders_by_id,
    orders_page,
    product_variants,
    products_by_id,
    products_page,
)

SMALLER_AFTER_FAULTS = 3  # a query that is too slow gets smaller, a Shopify that is down gets left alone

Sizes = dict[str, int]  # page-size variables of a query, "first" among them; halved in place
_Page = tuple[list[dict[str, Any]], str | None]  # rows, and the cursor of the next page
_Ask = Callable[[str, dict[str, Any], Sizes], dict[str, Any]]


class _Gone(Exception):
    """The object was deleted while its children were read."""


def paged(
    client: ShopClient,
    query: str,
    *,
    filter: str | None,
    sizes: Sizes,
    root: str,
    degraded: set[str] | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """Pages of raw nodes of the root field `root`; `degraded` collects the fields Shopify left out.

    Raises GarbageAnswer when a cursor is missing or repeats, QueryTooCostly when even pages of one cost
    too much, else what ShopClient.execute raises.
    """
    ask = partial(_ask, client, degraded)
    yield from _follow(lambda after: _page(ask(query, {"after": after, "query": filter}, sizes).get(root)))


def order_documents(
    client: ShopClient, grants: Grants, filter: str | None, *, degraded: set[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Pages of orders with `lineItems`, and `agreements` with `sales`. Raises like `paged`."""
    complete = _order_completed(partial(_ask, client, degraded), grants)
    sizes = {"first": 50, "lines": 10, "agreements": 3, "sales": 10}
    for orders in paged(client, orders_page(grants), filter=filter, sizes=sizes, root="orders", degraded=degraded):
        yield _completed(orders, complete)


def orders_of(client: ShopClient, grants: Grants, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The orders with these numbers, in the same shape; those that are gone are left out. Raises like `paged`."""
    ask = partial(_ask, client, None)
    sizes = {"lines": 10, "agreements": 3, "sales": 10}
    return _completed(_nodes(ask, orders_by_id(grants), sizes, "Order", ids), _order_completed(ask, grants))


def _order_completed(ask: _Ask, grants: Grants) -> Callable[[dict[str, Any]], None]:
    lines: Sizes = {"first": 100}
    agreements: Sizes = {"first": 10, "sales": 20}
    sales: Sizes = {"first": 100}

    def complete(order: dict[str, Any]) -> None:
        _drain(ask, order_lines(grants), lines, "order", order, "lineItems")
        key = {"id": order["id"]}
        edges = _rest(
            _page(order.get("agreements"), "edges"),
            lambda after: _page(
                _object(ask(order_agreements(grants), {**key, "after": after}, agreements), "order").get("agreements"),
                "edges",
            ),
        )
        before = None  # an agreement is addressed by the cursor of the one before it
        for edge in edges:
            _drain_sales(ask, agreement_sales(grants), sales, {**key, "after": before}, edge["node"])
            before = edge["cursor"]
        order["agreements"] = [edge["node"] for edge in edges]

    return complete


def product_documents(
    client: ShopClient, grants: Grants, filter: str | None, *, degraded: set[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Pages of products with `variants`. Raises like `paged`."""
    complete = _children_completed(partial(_ask, client, degraded), product_variants(grants), "product", "variants")
    sizes = {"first": 100, "variants": 20}
    for products in paged(
        client, products_page(grants), filter=filter, sizes=sizes, root="products", degraded=degraded
    ):
        yield _completed(products, complete)


def products_of(client: ShopClient, grants: Grants, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The products with these numbers; those that are gone are left out. Raises like `paged`."""
    ask = partial(_ask, client, None)
    complete = _children_completed(ask, product_variants(grants), "product", "variants")
    return _completed(_nodes(ask, products_by_id(grants), {"variants": 20}, "Product", ids), complete)


def customer_documents(
    client: ShopClient, grants: Grants, filter: str | None, *, degraded: set[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Pages of customers. Raises like `paged`."""
    return paged(
        client, customers_page(grants), filter=filter, sizes={"first": 250}, root="customers", degraded=degraded
    )


def customers_of(client: ShopClient, grants: Grants, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The customers with these numbers; those that are gone are left out. Raises like `paged`."""
    return _nodes(partial(_ask, client, None), customers_by_id(grants), {}, "Customer", ids)


def checkout_documents(
    client: ShopClient, grants: Grants, filter: str | None, *, degraded: set[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Pages of abandoned checkouts with `lineItems`, by createdAt. Raises like `paged`."""
    complete = _children_completed(partial(_ask, client, degraded), checkout_lines(grants), "node", "lineItems")
    sizes = {"first": 100, "lines": 10}
    for checkouts in paged(
        client, checkouts_page(grants), filter=filter, sizes=sizes, root="abandonedCheckouts", degraded=degraded
    ):
        yield _completed(checkouts, complete)


def checkouts_of(client: ShopClient, grants: Grants, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The abandoned checkouts with these numbers; those that are none (yet) are left out. Raises like `paged`."""
    ask = partial(_ask, client, None)
    complete = _children_completed(ask, checkout_lines(grants), "node", "lineItems")
    return _completed(_nodes(ask, checkouts_by_id(grants), {"lines": 10}, "AbandonedCheckout", ids), complete)


def items_of(client: ShopClient, grants: Grants, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The inventory items with these numbers and all their `inventoryLevels`; those that are gone are left out.

    Raises like `paged`.
    """
    ask = partial(_ask, client, None)
    complete = _children_completed(ask, item_levels(grants), "node", "inventoryLevels")
    return _completed(_nodes(ask, inventory_by_id(grants), {"levels": 10}, "InventoryItem", ids), complete)


def destroyed(client: ShopClient, subject_type: str, since: datetime) -> Iterator[list[dict[str, Any]]]:
    """Pages of events that tell of destroyed objects of one type (ORDER, CUSTOMER, PRODUCT), the oldest first.

    Each has `subjectId` and `createdAt`. What the filter let through by mistake is left out. Raises like `paged`.
    """
    filter = destroyed_since(subject_type, since)
    for events in paged(client, DELETE_EVENTS, filter=filter, sizes={"first": 250}, root="events"):
        yield [e for e in events if (e.get("action"), e.get("subjectType")) == ("destroy", subject_type)]


def refund_details(client: ShopClient, refund_gid: str) -> dict[str, Any]:
    """A refund's id with all `refundLineItems` and `refundShippingLines`.

    Raises MalformedRow when Shopify no longer has the refund.
    """
    ask = partial(_ask, client, None)
    sizes: Sizes = {"first": 50}

    def lines(name: str, cursor: str) -> list[dict[str, Any]]:
        def fetch(after: str | None) -> _Page:
            return _page(_object(ask(REFUND_LINES, {"id": refund_gid, cursor: after}, sizes), "node").get(name))

        return [line for page in _follow(fetch) for line in page]

    try:
        return {
            "id": refund_gid,
            "refundLineItems": lines("refundLineItems", "after"),
            "refundShippingLines": lines("refundShippingLines", "shippingAfter"),
        }
    except _Gone:
        raise MalformedRow(f"Shopify no longer has {refund_gid}; the next sync will leave it out.") from None


def _nodes(ask: _Ask, query: str, sizes: Sizes, kind: str, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What there is of some objects, asked for by their ids: a search may not know yet what changed a moment ago."""
    found = ask(query, {"ids": [f"gid://shopify/{kind}/{number}" for number in ids]}, sizes).get("nodes")
    if not isinstance(found, list) or len(found) != len(ids):
        raise GarbageAnswer("Shopify sent other objects than those that were asked for. Sync again later.")
    return [node for node in found if isinstance(node, dict) and node.get("id")]


def _children_completed(ask: _Ask, query: str, root: str, name: str) -> Callable[[dict[str, Any]], None]:
    sizes: Sizes = {"first": 100}
    return lambda node: _drain(ask, query, sizes, root, node, name)


def _completed(nodes: list[dict[str, Any]], complete: Callable[[dict[str, Any]], None]) -> list[dict[str, Any]]:
    kept = []
    for node in nodes:
        try:
            complete(node)
        except _Gone:
            continue
        kept.append(node)
    return kept


def _drain(ask: _Ask, query: str, sizes: Sizes, root: str, node: dict[str, Any], name: str) -> None:
    def fetch(after: str | None) -> _Page:
        return _page(_object(ask(query, {"id": node["id"], "after": after}, sizes), root).get(name))

    node[name] = _rest(_page(node.get(name)), fetch)


def _drain_sales(ask: _Ask, query: str, sizes: Sizes, address: dict[str, Any], agreement: dict[str, Any]) -> None:
    def fetch(after: str | None) -> _Page:
        order = _object(ask(query, {**address, "salesAfter": after}, sizes), "order")
        found, _ = _page(order.get("agreements"))
        if [one["id"] for one in found] != [agreement["id"]]:
            raise GarbageAnswer("The agreements of an order changed while they were read. Sync again.")
        return _page(found[0].get("sales"))

    agreement["sales"] = _rest(_page(agreement.get("sales")), fetch)


def _rest(first: _Page, fetch: Callable[[str | None], _Page]) -> list[dict[str, Any]]:
    rows, after = first
    if after is not None:
        rows = [*rows, *(row for page in _follow(fetch, after) for row in page)]
    return rows


def _follow(fetch: Callable[[str | None], _Page], after: str | None = None) -> Iterator[list[dict[str, Any]]]:
    seen = {after}
    while True:
        rows, after = fetch(after)
        yield rows
        if after is None:
            return
        if after in seen:
            raise GarbageAnswer("Shopify sends the same page again and again. Sync again later.")
        seen.add(after)


def _page(connection: Any, rows: str = "nodes") -> _Page:
    try:
        found, info = connection[rows], connection["pageInfo"]
        after = info["endCursor"] if info["hasNextPage"] else None
        nodes = [row["node"] if row["cursor"] else None for row in found] if rows == "edges" else found
        complete = all(isinstance(node, dict) for node in nodes)
    except (TypeError, KeyError) as fault:
        raise GarbageAnswer("Shopify sent a page without rows or without its place. Sync again later.") from fault
    if not complete or (after is None and info["hasNextPage"]):
        raise GarbageAnswer("Shopify sent a page with holes or without the cursor of the next one. Sync again later.")
    return found, after


def _object(data: dict[str, Any], root: str) -> dict[str, Any]:
    found = data.get(root)
    if found is None:
        raise _Gone
    if not isinstance(found, dict):
        raise GarbageAnswer(f"Shopify sent a {root} that is not an object. Sync again later.")
    return found


def _ask(
    client: ShopClient, degraded: set[str] | None, query: str, variables: dict[str, Any], sizes: Sizes
) -> dict[str, Any]:
    faults = 0
    while True:
        try:
            answer = client.execute(query, {**variables, **sizes})
        except QueryTooCostly:
            if not _shrink(sizes):
                raise
        except (ServerFault, Unreachable):
            faults += 1
            if faults > SMALLER_AFTER_FAULTS or not _shrink(sizes):
                raise
        else:
            if degraded is not None:
                degraded.update(answer.degraded)
            return answer.data


def _shrink(sizes: Sizes) -> bool:
    name = "first" if sizes.get("first", 1) > 1 else max(sizes, key=lambda one: sizes[one], default="")
    if sizes.get(name, 1) == 1:
        return False
    sizes[name] //= 2
    return True
