"""What a query costs, fitted to answers recorded from a real shop.

An object or a list costs 1, money and scalars nothing, a count of the whole shop 10, a mutation 10.
A connection costs 2 + max(1, floor(2 ln n)) for each of its nodes' own cost, n being the page size: that
meets the recorded 3, 4, 5, 6, 7 and 13 for pages of 1, 3, 5, 10, 20 and 250 plain nodes, and nested ones.
"""

import math
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

_FREE = frozenset({"MoneyBag", "MoneyV2", "PageInfo", "BulkOperationUserError", "UserError"})


def selection_cost(
    schema: GraphQLSchema, selection: SelectionSetNode, parent: GraphQLCompositeType, variables: dict[str, Any],
    fragments: dict[str, FragmentDefinitionNode], answer: object = None, *, answered: bool = False,
) -> int:  # fmt: skip
    """Points for a validated selection: as requested, or, when `answered`, for what `answer` really holds."""
    total = 0
    for node in selection.selections:
        if isinstance(node, FieldNode):
            total += _field_cost(schema, node, parent, variables, fragments, answer, answered=answered)
            continue
        fragment = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
        assert isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode)
        on = schema.get_type(fragment.type_condition.name.value) if fragment.type_condition else parent
        assert isinstance(on, GraphQLObjectType | GraphQLInterfaceType)
        total += selection_cost(schema, fragment.selection_set, on, variables, fragments, answer, answered=answered)
    return total


def _field_cost(
    schema: GraphQLSchema, node: FieldNode, parent: GraphQLCompositeType, variables: dict[str, Any],
    fragments: dict[str, FragmentDefinitionNode], answer: object, *, answered: bool,
) -> int:  # fmt: skip
    if node.selection_set is None or not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
        return 0
    if node.name.value.startswith("__"):
        return 1
    value = answer.get(node.alias.value if node.alias else node.name.value) if isinstance(answer, dict) else None
    if answered and value is None:
        return 1 if parent.name == "QueryRoot" else 0
    kind = get_named_type(parent.fields[node.name.value].type)
    assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    if parent.name == "Mutation" or (parent.name == "QueryRoot" and kind.name == "Count"):
        return 10
    rows = value if isinstance(value, list) else [value]
    inner = max(
        selection_cost(schema, node.selection_set, kind, variables, fragments, row, answered=answered) for row in rows
    ) if rows else 0  # fmt: skip
    if kind.name.endswith("Connection"):
        size = len(_nodes(value)) if answered else _page_size(node, variables)
        return 2 + max(1, math.floor(2 * math.log(size))) * max(1, inner) if size else 2
    if kind.name.endswith("Edge") or (kind.name in _FREE):
        return inner
    return 1 + inner


def _nodes(connection: object) -> list[Any]:
    values = connection.values() if isinstance(connection, dict) else ()
    return next((value for value in values if isinstance(value, list)), [])


def _page_size(node: FieldNode, variables: dict[str, Any]) -> int:
    for argument in node.arguments or ():
        if argument.name.value == "first":
            if isinstance(argument.value, VariableNode):
                value = variables.get(argument.value.name.value)
                return max(0, value) if isinstance(value, int) else 0
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
    return 0
