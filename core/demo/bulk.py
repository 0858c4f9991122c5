"""Bulk operations: what Shopify refuses, and the JSONL it writes for the rest.

The file is written by walking the parsed query over the shown objects, because a GraphQL executor would
need a minute for a big shop; tests hold both readers to the same values.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_list_type,
    parse,
    validate,
)
from graphql.type import get_nullable_type

from core.demo.search import read_search
from core.demo.shapes import Reference, Row, Shape
from core.demo.views import Snapshot

MAX_CONNECTIONS = 5
MAX_DEPTH = 2


@dataclass(frozen=True)
class BulkFile:
    """The result of a bulk query; the counts are lines, and lines without a parent."""

    content: bytes
    objects: int
    roots: int


_Value = Callable[[Any, Snapshot], Any]


@dataclass(frozen=True)
class _Plan:
    """How to write one kind of object: its fields by object type, and its child lists."""

    typename: str
    values: tuple[tuple[str, _Value], ...]
    children: tuple[tuple[str, "_Planner"], ...]


_Planner = Callable[[str], _Plan]


@lru_cache(maxsize=256)
def refusals(schema: GraphQLSchema, query: str) -> list[str]:
    """Why Shopify would not run this bulk query, in its own words; empty when it would."""
    try:
        document = parse(query)
    except GraphQLError as error:
        what = "unexpected end of file" if "<EOF>" in error.message else error.message
        return [f"Invalid bulk query: syntax error, {what}"]
    operation = document.definitions[0]
    if not isinstance(operation, OperationDefinitionNode) or operation.operation != OperationType.QUERY:
        return ["Invalid operation type. Only `query` operations are supported."]
    if errors := validate(schema, document):
        return [f"Invalid bulk query: {error.message}" for error in errors]
    assert schema.query_type is not None
    found = list(_connections(operation.selection_set, schema.query_type, schema, 0, in_list=False))
    messages = [
        f"Bulk queries cannot contain a top level `{name}` field."
        for name in ("node", "nodes")
        if any(isinstance(root, FieldNode) and root.name.value == name for root in operation.selection_set.selections)
    ]
    if not found:
        messages.append("Bulk queries must contain at least one connection.")
    if with_nodes := [c.name for c in found if c.selects_nodes]:
        messages.append(
            "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: "
            f"'{with_nodes[0]} {{ edges {{ node {{'. Selecting via 'nodes' is not supported. "
            f"Invalid connection fields: '{', '.join(with_nodes)}'."
        )
    if any(connection.depth > MAX_DEPTH for connection in found):
        messages.append(f"Bulk queries cannot contain connections with a nesting depth greater than {MAX_DEPTH}.")
    if len(found) > MAX_CONNECTIONS:
        messages.append(f"Bulk queries cannot contain more than {MAX_CONNECTIONS} connections.")
    if without_id := [c.name for c in found if c.has_children and not c.selects_id]:
        messages.append(
            "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be "
            f"of 'ID' return type. Connection fields without 'id': {', '.join(without_id)}."
        )
    if any(connection.in_list for connection in found):
        messages.append("Queries that contain a connection field within a list field are not currently supported.")
    return messages


@dataclass(frozen=True)
class _Connection:
    name: str
    depth: int
    in_list: bool
    selects_nodes: bool
    selects_id: bool
    has_children: bool


def _connections(
    selection: SelectionSetNode, parent: GraphQLObjectType | GraphQLInterfaceType, schema: GraphQLSchema, depth: int,
    *, in_list: bool,
) -> Iterator[_Connection]:  # fmt: skip
    for field, kind, is_list in _object_fields(selection, parent, schema):
        assert field.selection_set is not None
        if not kind.name.endswith("Connection"):
            yield from _connections(field.selection_set, kind, schema, depth, in_list=in_list or is_list)
            continue
        node, node_kind = _node_selection(field, kind, schema)
        inner = list(_connections(node, node_kind, schema, depth + 1, in_list=False)) if node else []
        names = [f.name.value for f in node.selections if isinstance(f, FieldNode) and not f.alias] if node else []
        yield _Connection(field.name.value, depth, in_list, node is None, "id" in names, bool(inner))
        yield from inner


def _object_fields(
    selection: SelectionSetNode, parent: GraphQLObjectType | GraphQLInterfaceType, schema: GraphQLSchema
) -> Iterator[tuple[FieldNode, GraphQLObjectType | GraphQLInterfaceType, bool]]:
    for node in selection.selections:
        if isinstance(node, InlineFragmentNode):
            yield from _object_fields(node.selection_set, _condition(node, parent, schema), schema)
        elif isinstance(node, FieldNode) and node.selection_set:
            declared = parent.fields[node.name.value].type
            kind = get_named_type(declared)
            assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
            yield node, kind, is_list_type(get_nullable_type(declared))


def _condition(
    node: InlineFragmentNode, parent: GraphQLObjectType | GraphQLInterfaceType, schema: GraphQLSchema
) -> GraphQLObjectType | GraphQLInterfaceType:
    kind = schema.get_type(node.type_condition.name.value) if node.type_condition else parent
    assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    return kind


def _node_selection(
    field: FieldNode, kind: GraphQLObjectType | GraphQLInterfaceType, schema: GraphQLSchema
) -> tuple[SelectionSetNode | None, GraphQLObjectType | GraphQLInterfaceType]:
    """What a connection field selects of each node by way of edges, or None."""
    assert field.selection_set is not None
    for edges, edge_kind, _ in _object_fields(field.selection_set, kind, schema):
        if edges.name.value == "edges" and edges.selection_set:
            for node, node_kind, _ in _object_fields(edges.selection_set, edge_kind, schema):
                return node.selection_set, node_kind
    return None, kind


def run_bulk(schema: GraphQLSchema, query: str, snapshot: Snapshot, *, grouped: bool) -> BulkFile:
    """The file of a bulk query that was not refused: parents before children, next to each other when grouped."""
    operation = parse(query).definitions[0]
    assert isinstance(operation, OperationDefinitionNode) and schema.query_type is not None
    levels: list[list[bytes]] = [[], [], []]
    roots = 0
    for field, kind, _ in _object_fields(operation.selection_set, schema.query_type, schema):
        node, node_kind = _node_selection(field, kind, schema)
        if node is None:
            continue
        planner = _planner(node, node_kind, schema)
        for row in _searched(field, snapshot):
            _write(row.show(), None, planner, snapshot, levels, 0, grouped=grouped)
            roots += 1
    lines = [line for level in levels for line in level]
    return BulkFile(b"".join(line + b"\n" for line in lines), len(lines), roots)


def _searched(field: FieldNode, snapshot: Snapshot) -> list[Row]:
    rows = snapshot.rows(field.name.value)
    texts = [a.value.value for a in field.arguments or () if a.name.value == "query" and hasattr(a.value, "value")]
    search = read_search(texts[0] if texts else None, SEARCH_FIELDS[field.name.value], snapshot.shop.zone)
    return [rows[number] for number in sorted(rows) if search.keep(rows[number])]


def _write(
    shape: Shape, parent_id: str | None, planner: _Planner, snapshot: Snapshot, levels: list[list[bytes]], depth: int,
    *, grouped: bool,
) -> None:  # fmt: skip
    plan = planner(shape["__typename"])
    record = {key: value(shape, snapshot) for key, value in plan.values}
    if parent_id is not None:
        record["__parentId"] = parent_id
    levels[0 if grouped else depth].append(_encode(record))
    for name, child_planner in plan.children:
        for child in shape[name]:
            _write(child, shape["id"], child_planner, snapshot, levels, depth + 1, grouped=grouped)


def _planner(
    selection: SelectionSetNode, kind: GraphQLObjectType | GraphQLInterfaceType, schema: GraphQLSchema
) -> _Planner:
    """Plans by concrete type, made once each."""
    plans: dict[str, _Plan] = {}

    def plan(typename: str) -> _Plan:
        if typename not in plans:
            values: list[tuple[str, _Value]] = []
            children: list[tuple[str, _Planner]] = []
            _collect(selection, kind, typename, schema, values, children)
            plans[typename] = _Plan(typename, tuple(values), tuple(children))
        return plans[typename]

    return plan


def _collect(
    selection: SelectionSetNode, kind: GraphQLObjectType | GraphQLInterfaceType, typename: str, schema: GraphQLSchema,
    values: list[tuple[str, _Value]], children: list[tuple[str, _Planner]],
) -> None:  # fmt: skip
    for node in selection.selections:
        if isinstance(node, InlineFragmentNode):
            on = _condition(node, kind, schema)
            concrete = schema.get_type(typename)
            if on.name == typename or (isinstance(concrete, GraphQLObjectType) and on in concrete.interfaces):
                _collect(node.selection_set, on, typename, schema, values, children)
        elif isinstance(node, FieldNode):
            name, key = node.name.value, node.alias.value if node.alias else node.name.value
            if node.selection_set is None:
                values.append((key, _scalar(name)))
                continue
            child_kind = get_named_type(kind.fields[name].type)
            assert isinstance(child_kind, GraphQLObjectType | GraphQLInterfaceType)
            if child_kind.name.endswith("Connection"):
                inner, inner_kind = _node_selection(node, child_kind, schema)
                if inner is not None:
                    children.append((name, _planner(inner, inner_kind, schema)))
            else:
                values.append((key, _nested(name, _planner(node.selection_set, child_kind, schema))))


def _scalar(name: str) -> _Value:
    return lambda shape, _: shape[name]


def _nested(name: str, planner: _Planner) -> _Value:
    def one(value: Any, snapshot: Snapshot) -> Any:
        if isinstance(value, Reference):
            value = snapshot.find(*value)
        if value is None:
            return None
        return {key: read(value, snapshot) for key, read in planner(value["__typename"]).values}

    def read(shape: Shape, snapshot: Snapshot) -> Any:
        value = shape[name]
        return [one(item, snapshot) for item in value] if isinstance(value, list) else one(value, snapshot)

    return read


_encode = msgspec.json.Encoder().encode

SEARCH_FIELDS: dict[str, tuple[str, ...]] = {
    "orders": ("id", "created_at", "updated_at", "processed_at", "tag"),
    "customers": ("id", "updated_at", "tag"),
    "products": ("id", "created_at", "updated_at", "tag"),
    "abandonedCheckouts": ("id", "created_at", "updated_at"),
    "inventoryItems": ("id", "created_at", "updated_at"),
    "events": ("id", "created_at", "action", "subject_type"),
}
