"""Shopify's own sales reports, asked in ShopifyQL: its figures of each day, to compare ours with.

Needs the scope read_reports and level 2 of protected customer data. The clauses and the shape of the answer are those
of https://shopify.dev/docs/api/shopifyql and https://shopify.dev/docs/apps/build/shopifyql/graphql-admin-api.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from core.errors import GarbageAnswer, InputError, QueryRefused
from core.log import mask
from core.shopify.client import ShopClient

SCOPE = "read_reports"
SALES_REPORT = """query SalesReport($query: String!) {
  shop { currencyCode ianaTimezone }
  shopifyqlQuery(query: $query) { tableData { columns { name dataType } rows } parseErrors }
}"""
LONGEST_DAYS = 366  # one answer has at most 1,000 rows


@dataclass(frozen=True)
class SalesReport:
    """Shopify's figures by day, as of `asked_at`: decimal text by measure, in the shop's currency.

    A measure is missing where its cell was empty beside others that were not, a day where the answer has no row of it.
    `measures` are those asked for; `older_names` says that only the names before 2026-04 were understood.
    """

    currency: str
    time_zone: str
    asked_at: datetime
    measures: tuple[str, ...]
    older_names: bool
    days: dict[date, dict[str, str]]


def sales_report(client: ShopClient, start: date, end: date) -> SalesReport:
    """The sales of each day from `start` to `end`, both included, on the shop's own calendar.

    TIMESERIES answers with every day of the range, also those without a sale. Where Shopify does not know a name, older
    or fewer ones are tried. Raises InputError for a range that is empty or too long, ShopifyError; AccessDenied
    without the scope.
    """
    refusals: list[str] = []
    for names in _WORDINGS:
        answer = client.execute(SALES_REPORT, {"query": question(names, start, end)})
        reported = answer.data.get("shopifyqlQuery")
        refusals = _texts(reported, "parseErrors")
        if refusals:
            continue
        shop = answer.data.get("shop")
        if not isinstance(shop, dict) or not isinstance(reported, dict):
            raise GarbageAnswer("Shopify's answer about its reports holds no report. Try again later.")
        return SalesReport(
            currency=str(shop.get("currencyCode")),
            time_zone=str(shop.get("ianaTimezone")),
            asked_at=answer.server_time or datetime.now(UTC),
            measures=tuple(names),
            older_names=names is _OLDER,
            days={day: row for day, row in _rows(reported.get("tableData"), names).items() if start <= day <= end},
        )
    raise QueryRefused(
        f"Shopify does not understand the question for its sales report: {mask(' '.join(refusals))[:300]} "
        "Update the app; until then compare with the report in Shopify's admin."
    )


def question(names: Mapping[str, str], start: date, end: date) -> str:
    """The ShopifyQL for these columns and days. Raises InputError."""
    if end < start:
        raise InputError(f"The days end on {end}, before they start on {start}. Swap the two dates.")
    if (end - start).days >= LONGEST_DAYS:
        raise InputError(f"Shopify's reports are compared for at most {LONGEST_DAYS} days at once. Choose fewer.")
    return (
        f"FROM sales SHOW {', '.join(names.values())} TIMESERIES day "
        f"SINCE {start.isoformat()} UNTIL {end.isoformat()} ORDER BY day ASC"
    )


def _rows(table: Any, names: Mapping[str, str]) -> dict[date, dict[str, str]]:
    """Decimal text by measure of each day; columns that nobody asked for are left out."""
    try:
        columns = {column["name"]: column["dataType"] for column in table["columns"]}
        rows = [row if isinstance(row, dict) else dict(zip(columns, row, strict=True)) for row in table["rows"]]
        wanted = {measure: name for measure, name in names.items() if name in columns}
        for measure, name in wanted.items():
            if columns[name] not in (_COUNTS if measure == "orders" else _AMOUNTS):
                raise GarbageAnswer(f"Shopify's report has {columns[name]} in the column {name}. Update the app.")
        return {_day(row["day"]): _cells(row, wanted) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise GarbageAnswer("Shopify's report could not be read. Try again later.") from error


def _cells(row: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, str]:
    cells = {measure: row.get(name) for measure, name in wanted.items()}
    # A day that TIMESERIES filled in: it is in the series, and nothing happened on it.
    if all(value is None for value in cells.values()):
        return dict.fromkeys(wanted, "0")
    found = {measure: _text(value) for measure, value in cells.items() if value is not None}
    if odd := [text for text in found.values() if not re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?", text, re.ASCII)]:
        raise GarbageAnswer(f"Shopify's report has {odd[0][:40]!r} where a number should be. Try again later.")
    return found


def _text(value: Any) -> str:
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value)


def _day(value: Any) -> date:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(T.*)?", value, re.ASCII)
    if match is None:
        raise ValueError("no day")
    return date.fromisoformat(match[1])


def _texts(reported: Any, field: str) -> list[str]:
    found = reported.get(field) if isinstance(reported, dict) else None
    return [str(text) for text in found] if isinstance(found, list) else []


_AMOUNTS = ("MONEY", "DECIMAL", "FLOAT")
_COUNTS = ("INTEGER", "DECIMAL", "FLOAT", "UNITLESS_SCALAR")
# Our measure: Shopify's column. `returns` became `sales_reversals` in 2026-04: see
# https://shopify.dev/changelog/shopifyql-returns-fields-deprecated-and-replaced-with-sales-reversals-fields
_CORE = {
    "orders": "orders", "gross_sales": "gross_sales", "discounts": "discounts", "sales_reversals": "sales_reversals",
    "net_sales": "net_sales", "shipping": "shipping_charges", "taxes": "taxes", "total_sales": "total_sales",
}  # fmt: skip
COLUMNS = {
    "orders": "orders", "gross_sales": "gross_sales", "discounts": "discounts", "sales_reversals": "sales_reversals",
    "net_sales": "net_sales", "shipping": "shipping_charges", "taxes": "taxes", "duties": "duties",
    "additional_fees": "additional_fees", "return_fees": "return_fees", "total_sales": "total_sales",
}  # fmt: skip
_OLDER = _CORE | {"sales_reversals": "returns"}
_WORDINGS: tuple[Mapping[str, str], ...] = (COLUMNS, _CORE, _OLDER)
