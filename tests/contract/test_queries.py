"""Every query the app sends, for every kind of access, against the real schema and the rules of bulk queries."""

import gzip
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    build_schema,
    get_named_type,
    is_list_type,
    is_object_type,
    parse,
    validate,
    visit,
)
from graphql.type import GraphQLNullableType, get_nullable_type

from core.shopify.queries import (
    BULK_QUERIES,
    CHECKOUT_CONNECTIONS,
    CUSTOMER_CONNECTIONS,
    ID_QUERIES,
    INVENTORY_CONNECTIONS,
    ORDER_CONNECTIONS,
    PAGE_QUERIES,
    PRODUCT_CONNECTIONS,
    STATIC_QUERIES,
    Connection,
    Grants,
    checkouts_bulk,
    customers_bulk,
    inventory_bulk,
    orders_bulk,
    products_bulk,
    updated_since,
)
from core.shopify.seeding import SEEDING_QUERIES
from core.shopify.shopifyql import SALES_REPORT
from tests.conftest import SHARED, missing

SCOPES = ("read_orders", "read_customers", "read_products", "write_products", "read_inventory", "read_locations")
ALL_GRANTS = [
    Grants(frozenset(itertools.compress(SCOPES, chosen)), personal)
    for chosen in itertools.product((True, False), repeat=len(SCOPES))
    for personal in (True, False)
]
FILTER = updated_since(datetime(2026, 11, 20, 9, 30, tzinfo=UTC))
BULK_TEXTS = sorted(
    {
        *ID_QUERIES.values(),
        *(query(grants) for query in BULK_QUERIES for grants in ALL_GRANTS),
        *(query(ALL_GRANTS[0], FILTER) for query in BULK_QUERIES),
    }
)
PAGE_TEXTS = {query(grants) for query in PAGE_QUERIES for grants in ALL_GRANTS}
TEXTS = sorted({*STATIC_QUERIES, *SEEDING_QUERIES, SALES_REPORT, *BULK_TEXTS, *PAGE_TEXTS})


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    path = SHARED / "schema" / "admin_2026-10.json.gz"
    if not path.is_file():
        missing("Shopify's schema")
    # Shopify deprecates fields of a type that its interface does not: not valid by the letter.
    return build_client_schema(json.loads(gzip.decompress(path.read_bytes()))["data"], assume_valid=True)


class _Deprecated(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.found: list[str] = []

    def enter_field(self, node: FieldNode, *_: object) -> None:
        field = self.info.get_field_def()
        if field is not None and field.deprecation_reason:
            self.found.append(f"field {node.name.value}")

    def enter_argument(self, node: Node, *_: object) -> None:
        argument = self.info.get_argument()
        if argument is not None and argument.deprecation_reason:
            self.found.append(f"argument {node.name.value}")

    def enter_object_field(self, node: Node, *_: object) -> None:
        parent = get_named_type(self.info.get_parent_input_type())
        if parent.fields[node.name.value].deprecation_reason:
            self.found.append(f"input field {node.name.value}")

    def enter_enum_value(self, node: Node, *_: object) -> None:
        kind = get_named_type(self.info.get_input_type())
        if isinstance(kind, GraphQLEnumType) and kind.values[node.value].deprecation_reason:
            self.found.append(f"value {node.value}")


def deprecated(schema: GraphQLSchema, text: str) -> list[str]:
    """What a query uses that will go away."""
    info = TypeInfo(schema)
    visitor = _Deprecated(info)
    visit(parse(text), TypeInfoVisitor(info, visitor))
    return visitor.found


def bulk_faults(schema: GraphQLSchema, text: str) -> list[str]:
    """What the bulk runner would refuse, which the schema cannot tell."""
    (operation,) = parse(text).definitions
    faults: list[str] = []
    connections = 0

    def fields(selections: tuple[Node, ...], kind: GraphQLNullableType) -> Iterator[tuple[FieldNode, object]]:
        for one in selections:
            if isinstance(one, InlineFragmentNode):
                narrowed = schema.get_type(one.type_condition.name.value) if one.type_condition else kind
                yield from fields(one.selection_set.selections, narrowed)
            elif one.name.value != "__typename":
                yield one, kind.fields[one.name.value].type

    def walk(node: Node, kind: GraphQLNullableType, depth: int, in_list: bool) -> bool:
        """Whether a connection is nested below this object."""
        nonlocal connections
        nested = False
        for field, of in fields(node.selection_set.selections, kind):
            name, inner = field.name.value, get_named_type(of)
            if inner.name.endswith("Connection"):
                nested = True
                connections += 1
                if in_list:
                    faults.append(f"{name}: a connection within a list")
                if depth > 2:
                    faults.append(f"{name}: deeper than 2")
                walk_rows(field, inner, depth)
            elif field.selection_set and is_object_type(inner):
                listed = in_list or is_list_type(get_nullable_type(of))
                nested = walk(field, inner, depth, listed) or nested
        return nested

    def walk_rows(field: FieldNode, kind: GraphQLNullableType, depth: int) -> None:
        asked = [one.name.value for one in field.selection_set.selections]
        if asked != ["edges"]:
            faults.append(f"{field.name.value}: asks for {asked}, not for edges")
            return
        (edges,) = field.selection_set.selections
        inside = [one.name.value for one in edges.selection_set.selections]
        if inside != ["node"]:
            faults.append(f"{field.name.value}: asks for {inside}, not for node")
            return
        (node,) = edges.selection_set.selections
        row = get_named_type(get_named_type(kind.fields["edges"].type).fields["node"].type)
        if walk_object(node, row, depth + 1) and not any(
            one.name.value == "id" and one.alias is None
            for one in node.selection_set.selections
            if isinstance(one, FieldNode)
        ):
            faults.append(f"{field.name.value}: a parent without its id")

    def walk_object(node: Node, kind: GraphQLNullableType, depth: int) -> bool:
        return walk(node, kind, depth, in_list=False)

    if any(one.name.value in ("node", "nodes") for one in operation.selection_set.selections):
        faults.append("node or nodes at the top")
    walk(operation, schema.query_type, 0, in_list=False)
    if not 1 <= connections <= 5:
        faults.append(f"{connections} connections")
    return faults


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_each_query_is_valid_and_uses_nothing_deprecated(schema: GraphQLSchema, text: str) -> None:
    assert validate(schema, parse(text)) == []
    assert deprecated(schema, text) == []


@pytest.mark.parametrize("text", BULK_TEXTS, ids=range(len(BULK_TEXTS)))
def test_each_bulk_query_keeps_the_rules(schema: GraphQLSchema, text: str) -> None:
    assert bulk_faults(schema, text) == []


def test_fields_are_asked_for_only_where_the_token_may_read_them() -> None:
    everything, nothing = Grants(frozenset(SCOPES), personal_data=True), Grants(frozenset())
    for query in (*PAGE_QUERIES, *BULK_QUERIES):
        for word in ("customer {", "product {", "variant {", "email", "Address", "displayName"):
            assert word not in query(nothing).split("customers(")[0]
    for query in (*PAGE_QUERIES, *BULK_QUERIES):
        assert "inventoryItem {" not in query(nothing) and "location { id name }" not in query(nothing)
    assert "inventoryItem { id }" in products_bulk(everything) and "location { id name }" in inventory_bulk(everything)
    for word in ("customer { id }", "product { id }", "variant { id }", "email", "shippingAddress"):
        assert word in orders_bulk(everything)
    assert "displayName" in customers_bulk(everything)
    assert "customer { id }" in orders_bulk(Grants(frozenset({"write_customers"})))


@pytest.mark.parametrize(
    ("query", "connections"),
    [
        (orders_bulk, ORDER_CONNECTIONS),
        (products_bulk, PRODUCT_CONNECTIONS),
        (customers_bulk, CUSTOMER_CONNECTIONS),
        (checkouts_bulk, CHECKOUT_CONNECTIONS),
        (inventory_bulk, INVENTORY_CONNECTIONS),
    ],
)
@pytest.mark.parametrize("grants", [ALL_GRANTS[0], ALL_GRANTS[-1]], ids=["everything", "nothing"])
def test_each_row_of_a_bulk_query_is_told_by_its_mark(
    schema: GraphQLSchema, query: object, connections: tuple[Connection, ...], grants: Grants
) -> None:
    def asked(node: Node) -> dict[str, FieldNode]:
        return {one.name.value: one for one in node.selection_set.selections if isinstance(one, FieldNode)}

    def rows(field: FieldNode) -> FieldNode:
        return asked(asked(field)["edges"])["node"]

    def compare(node: FieldNode, expected: tuple[Connection, ...]) -> None:
        nested = {name: rows(one) for name, one in asked(node).items() if one.selection_set and "edges" in asked(one)}
        assert nested.keys() == {one.name for one in expected}
        for one in expected:
            marked = [name for name, row in nested.items() if one.marked_by in asked(row)]
            assert marked == [one.name]
            compare(nested[one.name], one.nested)

    (operation,) = parse(query(grants)).definitions
    (root,) = operation.selection_set.selections
    compare(rows(root), connections)


OLD = build_schema("""
  type Query { now: Int, old: Int @deprecated, list(sort: Sort, by: Int @deprecated, where: Where): Int }
  enum Sort { NEW, OLD @deprecated }
  input Where { now: Int, old: Int @deprecated }
""")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{ now list(sort: NEW, where: {now: 1}) }", []),
        ("{ old }", ["field old"]),
        ("{ list(by: 1) }", ["argument by"]),
        ("{ list(sort: OLD) }", ["value OLD"]),
        ("{ list(where: {old: 1}) }", ["input field old"]),
    ],
)
def test_the_check_for_deprecated_things_catches_each_kind(text: str, found: list[str]) -> None:
    assert deprecated(OLD, text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{ shop { plan { displayName } } }", ["field displayName"]),
        ('{ webhookSubscriptions(first: 1, callbackUrl: "x") { nodes { id } } }', ["argument callbackUrl"]),
        ("{ currentBulkOperation { id } }", ["field currentBulkOperation"]),
    ],
)
def test_the_check_catches_what_shopify_deprecates(schema: GraphQLSchema, text: str, found: list[str]) -> None:
    assert validate(schema, parse(text)) == []
    assert deprecated(schema, text) == found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{ shop { id } }", "0 connections"),
        ('{ nodes(ids: ["x"]) { id } products { edges { node { id } } } }', "at the top"),
        ("{ products { nodes { id } } }", "not for edges"),
        ("{ products { edges { node { id } } pageInfo { hasNextPage } } }", "not for edges"),
        ("{ products { edges { cursor node { id } } } }", "not for node"),
        ("{ products { edges { node { title variants { edges { node { id } } } } } } }", "without its id"),
        ("{ products { edges { node { own: id variants { edges { node { id } } } } } } }", "without its id"),
        (
            "{ orders { edges { node { id refunds { id refundLineItems { edges { node { id } } } } } } } }",
            "within a list",
        ),
        (
            "{ products { edges { node { id variants { edges { node { id inventoryItem { id "
            "inventoryLevels { edges { node { id location { id fulfillsOnlineOrders inventoryLevels "
            "{ edges { node { id } } } } } } } } } } } } } } }",
            "deeper than 2",
        ),
        (
            "{ a: products { edges { node { id } } } b: products { edges { node { id } } } "
            "c: products { edges { node { id } } } d: products { edges { node { id } } } "
            "e: products { edges { node { id } } } f: products { edges { node { id } } } }",
            "6 connections",
        ),
    ],
)
def test_the_check_of_bulk_rules_catches_each(schema: GraphQLSchema, text: str, fault: str) -> None:
    assert validate(schema, parse(text)) == []
    (found,) = bulk_faults(schema, text)
    assert fault in found


@pytest.mark.parametrize(
    "case",
    [
        "nodesInsteadOfEdges",
        "ordersNodesInsteadOfEdges",
        "topLevelNode",
        "depthThreeNesting",
        "sixConnections",
        "nestedWithoutParentId",
        "connectionWithinList",
    ],
)
def test_what_shopify_was_recorded_to_refuse_is_caught(schema: GraphQLSchema, case: str) -> None:
    path = SHARED / "recorded/graphql/2026-04/bulk-operations/bulk-operation-run-query-validators.json"
    if not path.is_file():
        missing("the recorded answers")
    recorded = json.loads(path.read_text())["validations"][case]
    refusals = recorded["response"]["data"]["bulkOperationRunQuery"]["userErrors"]
    assert len(bulk_faults(schema, recorded["variables"]["query"])) == len(refusals) > 0
