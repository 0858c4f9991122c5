"""GraphQL answers of a demo shop: our part of Shopify's schema, executed over one snapshot."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    execute,
    get_named_type,
    parse,
    validate,
)

from core.demo import operations
from core.demo.bulk import SEARCH_FIELDS
from core.demo.mutations import MUTATIONS
from core.demo.operations import Operations
from core.demo.paging import page_of_children, page_of_rows
from core.demo.search import read_search
from core.demo.shapes import Reference, Row, Shape
from core.demo.shopifyql import answer_shopifyql
from core.demo.subscriptions import Subscriptions, subscribe, unsubscribe
from core.demo.views import Snapshot, show_installation, show_shop, take_snapshot, write_to


@dataclass
class Asked:
    """One request: the shop at its moment, the shop's bulk operations, and the search warnings collected."""

    snapshot: Snapshot
    operations: Operations
    files_at: str
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    searches: list[Shape] = field(default_factory=list)


_Info = GraphQLResolveInfo[Any]
_Root = Callable[[Asked, _Info, dict[str, Any]], Any]


@cache
def demo_schema() -> GraphQLSchema:
    """The part of the Admin schema that the demo answers."""
    return build_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))


@lru_cache(maxsize=256)
def read_query(query: str) -> tuple[DocumentNode | None, list[Shape]]:
    """A parsed and validated query, or the errors Shopify would answer."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, [_shown_error(error, "syntaxError")]
    errors = validate(demo_schema(), document)
    return (None, [_shown_error(error, "") for error in errors]) if errors else (document, [])


def answer(asked: Asked, document: DocumentNode, variables: dict[str, Any], name: str | None) -> Shape:
    """The `data`, `errors` and search extension of one executed query."""
    result = execute(
        demo_schema(),
        document,
        context_value=asked,
        variable_values=variables,
        operation_name=name,
        field_resolver=_resolve,
    )
    assert isinstance(result, ExecutionResult)
    body: Shape = {} if result.data is None and result.errors else {"data": result.data}
    if result.errors:
        body["errors"] = [_shown_error(error, "") for error in result.errors]
    if asked.searches:
        body["extensions"] = {"search": asked.searches}
    return body


def _resolve(source: Any, info: _Info, **arguments: Any) -> Any:
    asked: Asked = info.context
    if info.parent_type.name in ("QueryRoot", "Mutation"):
        return _ROOTS[info.field_name](asked, info, arguments)
    value = source[info.field_name]
    if isinstance(value, Reference):
        return asked.snapshot.find(*value)
    if isinstance(value, list) and get_named_type(info.return_type).name.endswith("Connection"):
        return page_of_children(value, arguments)
    if isinstance(value, list) and "names" in arguments:
        return [one for one in value if one["name"] in arguments["names"]]
    if isinstance(value, list) and arguments.get("first") is not None:
        return value[: arguments["first"]]
    return value


def _searched(asked: Asked, info: _Info, name: str, arguments: dict[str, Any]) -> list[Row]:
    query = arguments.get("query")
    search = read_search(query, SEARCH_FIELDS[name], asked.snapshot.shop.zone)
    if search.warnings:
        asked.searches.append(
            {
                "path": [str(info.path.key)],
                "query": query,
                "parsed": search.parsed,
                "warnings": list(search.warnings),
            }
        )
    return [row for row in asked.snapshot.rows(name).values() if search.keep(row)]


def _list(asked: Asked, info: _Info, arguments: dict[str, Any]) -> Shape:
    return page_of_rows(_searched(asked, info, info.field_name, arguments), arguments)


def _count(asked: Asked, info: _Info, arguments: dict[str, Any]) -> Shape:
    count = len(_searched(asked, info, info.field_name.removesuffix("Count"), arguments))
    limit = arguments.get("limit")
    if limit is not None and count > limit:
        return {"count": limit, "precision": "AT_LEAST"}
    return {"count": count, "precision": "EXACT"}


def _one(asked: Asked, info: _Info, arguments: dict[str, Any]) -> Shape | None:
    kind = {"order": "Order", "customer": "Customer", "product": "Product"}[info.field_name]
    found_kind, number = _read_gid(arguments["id"])
    if found_kind != kind:
        raise GraphQLError(f"Invalid id: {arguments['id']}", extensions={"code": "RESOURCE_NOT_FOUND"})
    return asked.snapshot.find(kind, number)


def _node(asked: Asked, _: _Info, arguments: dict[str, Any]) -> Shape | None:
    return _find(asked, arguments["id"])


def _nodes(asked: Asked, _: _Info, arguments: dict[str, Any]) -> list[Shape | None]:
    if len(arguments["ids"]) > 250:
        message = "The input array size is greater than the maximum allowed of 250."
        raise GraphQLError(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"})
    return [_find(asked, each) for each in arguments["ids"]]


def _find(asked: Asked, text: str) -> Shape | None:
    kind, number = _read_gid(text)
    if kind == "Shop":
        return show_shop(asked.snapshot.shop) if number == asked.snapshot.shop.number else None
    if kind == "BulkOperation":
        operation = asked.operations.by_number.get(number)
        return operations.show(operation, asked.files_at) if operation else None
    return asked.snapshot.find(kind, number)


def _read_gid(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"gid://shopify/(\w+)/(\d+)(\?.*)?", text)
    if match is None:
        raise GraphQLError(f"Invalid global id '{text}'", extensions={"code": "argumentLiteralsIncompatible"})
    return match[1], int(match[2])


def _bulk_operation(asked: Asked, _: _Info, arguments: dict[str, Any]) -> Shape | None:
    kind, number = _read_gid(arguments["id"])
    if kind != "BulkOperation":
        raise GraphQLError(f"Invalid id: {arguments['id']}", extensions={"code": "RESOURCE_NOT_FOUND"})
    operation = asked.operations.by_number.get(number)
    if operation is None:
        return None
    operations.advance(asked.operations, operation, demo_schema(), asked.snapshot.store, asked.snapshot.now)
    return operations.show(operation, asked.files_at)


def _bulk_operations(asked: Asked, _: _Info, arguments: dict[str, Any]) -> Shape:
    wanted = dict(re.findall(r"(status|operation_type):(\w+)", (arguments.get("query") or "").lower()))
    shown = [operations.show(operation, asked.files_at) for operation in asked.operations.by_number.values()]
    kept = [s for s in shown if wanted.get("status", s["status"].lower()) == s["status"].lower()]
    return page_of_children(kept if wanted.get("operation_type", "query") == "query" else [], arguments)


def _bulk_run(asked: Asked, _: _Info, arguments: dict[str, Any]) -> Shape:
    operation, errors = operations.start(
        asked.operations, demo_schema(), arguments["query"], asked.snapshot.now, grouped=arguments["groupObjects"]
    )
    return {"bulkOperation": operations.show(operation, asked.files_at) if operation else None, "userErrors": errors}


def _bulk_cancel(asked: Asked, _: _Info, arguments: dict[str, Any]) -> Shape:
    operation = asked.operations.by_number.get(_read_gid(arguments["id"])[1])
    if operation is None:
        return {"bulkOperation": None, "userErrors": [{"field": ["id"], "message": "Bulk operation does not exist"}]}
    errors = operations.cancel(operation)
    return {"bulkOperation": operations.show(operation, asked.files_at), "userErrors": errors}


def _write(asked: Asked, info: _Info, arguments: dict[str, Any]) -> Shape:
    store, now = asked.snapshot.store, asked.snapshot.now
    shown = write_to(store, info.field_name, arguments, now)
    asked.snapshot = take_snapshot(store, now)
    return shown


def _shown_error(error: GraphQLError, code: str) -> Shape:
    message = error.message
    if unknown := re.match(r"Cannot query field '(\w+)' on type '(\w+)'", message):
        code, message = "undefinedField", f"Field '{unknown[1]}' doesn't exist on type '{unknown[2]}'"
    shown: Shape = {"message": message, "locations": [place.formatted for place in error.locations or []]}
    if error.path:
        shown["path"] = error.path
    extensions = dict(error.extensions or {})
    if code:
        extensions["code"] = code
    return {**shown, "extensions": extensions} if extensions else shown


_ROOTS: dict[str, _Root] = {
    **dict.fromkeys(MUTATIONS, _write),
    "shop": lambda asked, _info, _arguments: show_shop(asked.snapshot.shop),
    "currentAppInstallation": lambda asked, _info, _arguments: show_installation(asked.snapshot.shop),
    "node": _node,
    "nodes": _nodes,
    "order": _one,
    "orders": _list,
    "ordersCount": _count,
    "customer": _one,
    "customers": _list,
    "customersCount": _count,
    "product": _one,
    "products": _list,
    "productsCount": _count,
    "abandonedCheckouts": _list,
    "abandonedCheckoutsCount": _count,
    "inventoryItems": _list,
    "events": _list,
    "shopifyqlQuery": lambda asked, _info, arguments: answer_shopifyql(asked.snapshot, arguments["query"]),
    "bulkOperation": _bulk_operation,
    "bulkOperations": _bulk_operations,
    "bulkOperationRunQuery": _bulk_run,
    "bulkOperationCancel": _bulk_cancel,
    "webhookSubscriptions": lambda asked, _info, arguments: page_of_children(
        list(asked.subscriptions.by_number.values()), arguments
    ),
    "webhookSubscriptionCreate": lambda asked, _info, arguments: subscribe(
        asked.subscriptions, arguments["topic"], arguments["webhookSubscription"]
    ),
    "webhookSubscriptionDelete": lambda asked, _info, arguments: unsubscribe(asked.subscriptions, arguments["id"]),
}
