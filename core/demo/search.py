"""Shopify's search syntax, with its traps: what it cannot read it drops, and then every row is returned.

Understood are `field:value`, `field:>=value` and the like, joined by AND or a blank. A date without quotes
loses what follows its first colon and is read in the shop's time zone, as recorded from a real shop.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.demo.shapes import Row

_TERM = re.compile(
    r"""(?P<field>\w+):(?P<operator>>=|<=|>|<)?(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s:]+)):?|(?P<word>\S+)"""
)


@dataclass(frozen=True)
class Search:
    """A search, understood as far as possible: `keep` says which rows match."""

    keep: Callable[[Row], bool]
    parsed: dict[str, Any]
    warnings: tuple[dict[str, str], ...]


def read_search(query: str | None, fields: tuple[str, ...], zone: ZoneInfo) -> Search:
    """What a search string means for rows that can be searched by `fields`."""
    tests: list[Callable[[Row], bool]] = []
    parsed: list[dict[str, Any]] = []
    warnings: list[dict[str, str]] = []
    for match in _TERM.finditer(query or ""):
        if match["word"]:
            if match["word"].upper() != "AND":
                parsed.append({"match_all": match["word"]})
                warnings.append(_warning("default", "Search term must name a field.", "missing_named_field"))
            continue
        name, operator = match["field"], match["operator"] or ""
        quoted = match["single"] if match["single"] is not None else match["double"]
        value = match["bare"] if quoted is None else quoted
        test = _test(name, operator, value, zone) if name in fields else None
        shown = value
        if name not in fields:
            warnings.append(_warning(name, "Invalid search field for this query.", "invalid_field"))
        elif test is None:
            warnings.append(_warning(name, f"Input `{value}` is not an accepted value.", "invalid_value"))
        else:
            tests.append(test)
            shown = _shown(name, value, zone)
        parsed.append({"field": name, _PARSED_NAMES[operator]: shown})
    whole = parsed[0] if len(parsed) == 1 else {"and": parsed}
    return Search(lambda row: all(test(row) for test in tests), whole, tuple(warnings))


def read_moment(text: str, zone: ZoneInfo) -> datetime | None:
    """An ISO moment or day; without an offset it is the shop's own time. None when it is neither."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _test(name: str, operator: str, value: str, zone: ZoneInfo) -> Callable[[Row], bool] | None:
    if name == "tag":
        return lambda row: value.lower() in row.words.get("tag", "").lower().split(",")
    if name in ("action", "subject_type"):
        return lambda row: row.words[name].lower() == value.lower()
    if name == "id":
        number = value.rpartition("/")[2]
        return _compare(operator, lambda row: row.number, int(number)) if number.isdigit() else None
    moment = read_moment(value, zone)
    if moment is None:
        return None
    if not operator and len(value) == len("2026-01-01"):
        start, stop = moment, moment + timedelta(days=1)
        return lambda row: start <= getattr(row, name) < stop
    return _compare(operator, lambda row: getattr(row, name), moment.astimezone(UTC))


def _compare(operator: str, read: Callable[[Row], Any], value: Any) -> Callable[[Row], bool]:
    if operator == ">=":
        return lambda row: bool(read(row) >= value)
    if operator == "<=":
        return lambda row: bool(read(row) <= value)
    if operator == ">":
        return lambda row: bool(read(row) > value)
    if operator == "<":
        return lambda row: bool(read(row) < value)
    return lambda row: bool(read(row) == value)


def _shown(name: str, value: str, zone: ZoneInfo) -> str:
    moment = None if name in ("id", "tag", "action", "subject_type") else read_moment(value, zone)
    return value if moment is None else moment.isoformat()


def _warning(name: str, message: str, code: str) -> dict[str, str]:
    return {"field": name, "message": message, "code": code}


_PARSED_NAMES = {"": "match_all", ">=": "range_gte", ">": "range_gt", "<=": "range_lte", "<": "range_lt"}
