"""The demo's schema is a part of Shopify's: what the demo answers, Shopify answers alike."""

import gzip
import json
from functools import cache
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_client_schema,
    is_introspection_type,
    is_required_argument,
    is_specified_scalar_type,
    parse,
    print_ast,
    validate,
)
from graphql.utilities import ast_from_value

from core.demo.answers import demo_schema
from core.demo.bulk import refusals
from core.demo.catalogue import SCOPES
from core.shopify.queries import BULK_QUERIES, ID_QUERIES, PAGE_QUERIES, STATIC_QUERIES, Grants
from core.shopify.seeding import SEEDING_QUERIES
from core.shopify.shopifyql import SALES_REPORT
from tests.conftest import SHARED, missing

REAL_SCHEMA = SHARED / "schema" / "admin_2026-10.json.gz"
OURS = {
    name: kind
    for name, kind in demo_schema().type_map.items()
    if not is_introspection_type(kind) and not is_specified_scalar_type(kind)
}
ALL_GRANTS = tuple(
    Grants(frozenset(SCOPES[:count]), personal_data)
    for count in range(1, len(SCOPES) + 1)
    for personal_data in (False, True)
)


@cache
def real_schema() -> GraphQLSchema:
    if not REAL_SCHEMA.exists():
        missing("Shopify's schema")
    with gzip.open(REAL_SCHEMA) as file:
        return build_client_schema(json.load(file)["data"], assume_valid=True)


def default_of(argument: GraphQLArgument) -> str | None:
    default: Any = argument.default
    if default is None:
        return None
    literal = default.literal if default.literal is not None else ast_from_value(default.value, argument.type)
    return None if literal is None else print_ast(literal)


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_type_of_the_demo_exists_alike_at_shopify(name: str) -> None:
    ours, real = OURS[name], real_schema().get_type(name)
    assert real is not None
    assert type(real) is type(ours)
    if isinstance(ours, GraphQLInputObjectType) and isinstance(real, GraphQLInputObjectType):
        assert {n: str(f.type) for n, f in ours.fields.items()}.items() <= {
            n: str(f.type) for n, f in real.fields.items()
        }.items()
        assert [name for name in ours.fields if real.fields[name].deprecation_reason] == []
    if isinstance(ours, GraphQLEnumType) and isinstance(real, GraphQLEnumType):
        assert set(ours.values) <= set(real.values)
        assert [value for value in ours.values if real.values[value].deprecation_reason] == []
    if isinstance(ours, GraphQLObjectType | GraphQLInterfaceType):
        assert isinstance(real, GraphQLObjectType | GraphQLInterfaceType)
        assert {i.name for i in ours.interfaces} <= {i.name for i in real.interfaces}


FIELDS = sorted(
    (name, field)
    for name, kind in OURS.items()
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    for field in kind.fields
)


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_every_field_and_argument_of_the_demo_exists_alike_at_shopify(name: str, field: str) -> None:
    ours_in, real_in = OURS[name], real_schema().get_type(name)
    assert isinstance(ours_in, GraphQLObjectType | GraphQLInterfaceType)
    assert isinstance(real_in, GraphQLObjectType | GraphQLInterfaceType)
    ours, real = ours_in.fields[field], real_in.fields[field]
    assert str(ours.type) == str(real.type)
    assert real.deprecation_reason is None
    for argument_name, argument in ours.args.items():
        real_argument = real.args[argument_name]
        assert str(argument.type) == str(real_argument.type)
        assert default_of(argument) == default_of(real_argument)
        assert real_argument.deprecation_reason is None
    assert [n for n, a in real.args.items() if is_required_argument(a) and n not in ours.args] == []


@pytest.mark.parametrize("query", (*STATIC_QUERIES, *SEEDING_QUERIES, SALES_REPORT))
def test_the_demo_accepts_the_fixed_queries(query: str) -> None:
    assert validate(demo_schema(), parse(query)) == []


@pytest.mark.parametrize("grants", ALL_GRANTS)
def test_the_demo_accepts_every_page_and_bulk_query_for_all_grants(grants: Grants) -> None:
    for build in (*PAGE_QUERIES, *BULK_QUERIES):
        assert validate(demo_schema(), parse(build(grants))) == []
    for build in BULK_QUERIES:
        assert refusals(demo_schema(), build(grants)) == []
    assert [refusals(demo_schema(), query) for query in ID_QUERIES.values()] == [[], [], []]
