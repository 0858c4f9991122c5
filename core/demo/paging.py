"""Pages of a connection: `first`, `after` and opaque cursors that survive rows being added or moved."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from graphql import GraphQLError

from core.demo.shapes import Row, Shape, moment_text

MAX_PAGE = 250


def page_of_rows(rows: Sequence[Row], arguments: dict[str, Any]) -> Shape:
    """A page of a shop's orders, customers or products in the order of `sortKey`."""
    first = _page_size(arguments)
    sort_key = str(arguments.get("sortKey", "ID")).lower()
    backwards = bool(arguments.get("reverse"))

    def place(row: Row) -> tuple[Any, int]:
        return (row.number if sort_key == "id" else getattr(row, sort_key)), row.number

    ordered = sorted(rows, key=place, reverse=backwards)
    if arguments.get("after") is not None:
        last = _read_cursor(arguments["after"])
        if (sort_key == "id") != isinstance(last[0], int):
            raise _bad_request("The cursor in `after` belongs to another sort key.")
        ordered = [row for row in ordered if place(row) != last and (place(row) < last) == backwards]
    page = [(_write_cursor(*place(row)), row.show()) for row in ordered[:first]]
    return _connection(page, len(ordered) > first, arguments)


def page_of_children(children: Sequence[Shape], arguments: dict[str, Any]) -> Shape:
    """A page of an object's own rows, in the order it keeps them."""
    first = _page_size(arguments)
    ordered = list(reversed(children)) if arguments.get("reverse") else list(children)
    numbers = [int(child["id"].rpartition("/")[2].partition("?")[0]) for child in ordered]
    start = 0
    if arguments.get("after") is not None:
        _, number = _read_cursor(arguments["after"])
        if number not in numbers:
            raise _bad_request("The cursor in `after` belongs to another list.")
        start = numbers.index(number) + 1
    page = [(_write_cursor(number, number), child) for number, child in zip(numbers, ordered, strict=True)]
    return _connection(page[start : start + first], len(page) > start + first, arguments)


def _connection(page: list[tuple[str, Shape]], more: bool, arguments: dict[str, Any]) -> Shape:
    return {
        "edges": [{"cursor": cursor, "node": node} for cursor, node in page],
        "nodes": [node for _, node in page],
        "pageInfo": {
            "hasNextPage": more,
            "hasPreviousPage": arguments.get("after") is not None,
            "startCursor": page[0][0] if page else None,
            "endCursor": page[-1][0] if page else None,
        },
    }


def _page_size(arguments: dict[str, Any]) -> int:
    first = arguments.get("first")
    if first is None:
        raise _bad_request("you must provide one of first or last")
    if not 0 <= first <= MAX_PAGE:
        raise _bad_request(f"first must be between 0 and {MAX_PAGE}; ask for a smaller page")
    return int(first)


def _write_cursor(value: datetime | int, number: int) -> str:
    shown = moment_text(value) if isinstance(value, datetime) else str(value)
    return base64.b64encode(json.dumps({"last_id": number, "last_value": shown}).encode()).decode()


def _read_cursor(cursor: str) -> tuple[Any, int]:
    try:
        content = json.loads(base64.b64decode(cursor, validate=True))
        value = content["last_value"]
        return int(value) if value.isdigit() else datetime.fromisoformat(value), int(content["last_id"])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise _bad_request("The cursor in `after` is not one of ours.") from None


def _bad_request(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})
