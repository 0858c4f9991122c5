"""Shopify's sales report: the question that is asked, and the answers it may get."""

import json
from datetime import date
from typing import Any

import httpx2
import pytest

from core.errors import AccessDenied, GarbageAnswer, InputError, QueryRefused
from core.shopify.client import ShopClient
from core.shopify.shopifyql import COLUMNS, LONGEST_DAYS, SalesReport, question, sales_report

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 2)
TYPES = {name: "INTEGER" if name == "orders" else "MONEY" for name in COLUMNS.values()}
ZEROS = dict.fromkeys(COLUMNS.values(), "0.0") | {"orders": "0"}


def table(*rows: Any, **types: str) -> dict[str, Any]:
    """A table of the answer; a type changes or adds a column."""
    columns = {"day": "DAY_TIMESTAMP", **TYPES, **types}
    return {
        "parseErrors": [],
        "tableData": {"columns": [{"name": n, "dataType": t} for n, t in columns.items()], "rows": list(rows)},
    }


def ask(*answers: Any, start: date = FIRST, end: date = LAST) -> tuple[SalesReport, list[str]]:
    """The report from these answers of Shopify, in turn, and the questions that were asked for it."""
    asked: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(json.loads(request.content)["variables"]["query"])
        shop = {"currencyCode": "USD", "ianaTimezone": "America/New_York"}
        answer = answers[len(asked) - 1]
        body = answer if "errors" in answer else {"data": {"shop": shop, "shopifyqlQuery": answer}}
        return httpx2.Response(200, json=body)

    with ShopClient("a-shop", "shpat_x", transport=httpx2.MockTransport(handle)) as client:
        return sales_report(client, start, end), asked


def test_the_question_names_every_measure_and_both_days():
    assert question(COLUMNS, FIRST, LAST) == (
        "FROM sales SHOW orders, gross_sales, discounts, sales_reversals, net_sales, shipping_charges, taxes, duties, "
        "additional_fees, return_fees, total_sales TIMESERIES day SINCE 2026-11-01 UNTIL 2026-11-02 ORDER BY day ASC"
    )


@pytest.mark.parametrize("start, end, said", [
    (LAST, FIRST, "Swap the two dates"), (date(2025, 1, 1), LAST, f"at most {LONGEST_DAYS} days"),
])  # fmt: skip
def test_days_that_cannot_be_asked_for_are_refused_before_anything_is_sent(start, end, said):
    with pytest.raises(InputError, match=said):
        ask(start=start, end=end)


def test_every_day_has_its_figures_by_our_names():
    rows = (
        ZEROS | {"day": "2026-11-01", "orders": "3", "shipping_charges": "7.95", "sales_reversals": "-12.5"},
        ZEROS | {"day": "2026-11-02", "total_sales": 0.1},
    )
    report, asked = ask(table(*rows))
    assert (report.currency, report.time_zone, report.older_names) == ("USD", "America/New_York", False)
    assert list(report.days) == [FIRST, LAST] and len(asked) == 1
    first = report.days[FIRST]
    assert (first["orders"], first["shipping"], first["sales_reversals"]) == ("3", "7.95", "-12.5")
    assert report.days[LAST]["total_sales"] == "0.1"


def test_rows_may_come_as_lists_with_columns_nobody_asked_for():
    row = ["2026-11-01", *ZEROS.values(), "7"]
    report, _ = ask(table(row, customers="INTEGER"))
    assert report.days[FIRST].keys() == COLUMNS.keys()


def test_a_day_without_a_row_is_missing_and_one_of_other_days_is_left_out():
    report, _ = ask(table(ZEROS | {"day": "2026-11-02"}, ZEROS | {"day": "2026-11-03"}))
    assert list(report.days) == [LAST]


def test_an_empty_row_of_the_series_is_a_day_on_which_nothing_happened_but_one_empty_cell_is_unknown():
    empty, half = dict.fromkeys(COLUMNS.values()), ZEROS | {"orders": "1", "taxes": None}
    report, _ = ask(table(empty | {"day": "2026-11-01"}, half | {"day": "2026-11-02T00:00:00Z"}))
    assert set(report.days[FIRST].values()) == {"0"}
    assert report.days[LAST].keys() == COLUMNS.keys() - {"taxes"}


REFUSED = {"parseErrors": ["Column Not Found: `duties` is not a column of `sales`."], "tableData": None}


def test_where_the_newest_names_are_not_known_fewer_and_older_ones_are_tried():
    row = {"day": "2026-11-01", "orders": "1", "returns": "-5.0", "gross_sales": "9.0"}
    report, asked = ask(REFUSED, REFUSED, table(row, returns="MONEY"))
    assert report.older_names and report.days[FIRST]["sales_reversals"] == "-5.0"
    assert "duties" in asked[0] and "duties" not in asked[1] and "sales_reversals" in asked[1]
    assert "returns, net_sales" in asked[2] and "duties" not in report.measures


def test_what_shopify_never_understands_is_said_with_its_words():
    with pytest.raises(QueryRefused, match="Column Not Found: `duties`.*compare with the report in Shopify's admin"):
        ask(REFUSED, REFUSED, REFUSED)


def test_without_the_scope_access_is_denied():
    denied = {
        "data": {"shop": {"currencyCode": "USD", "ianaTimezone": "UTC"}, "shopifyqlQuery": None},
        "errors": [{
            "message": "Access denied for shopifyqlQuery field. Required access: `read_reports` access scope.",
            "path": ["shopifyqlQuery"], "extensions": {"code": "ACCESS_DENIED"},
        }],
    }  # fmt: skip
    with pytest.raises(AccessDenied, match="read_reports"):
        ask(denied)


@pytest.mark.parametrize(
    "answer",
    [
        {"parseErrors": [], "tableData": None},
        table(ZEROS),
        table(ZEROS | {"day": None}),
        table(ZEROS | {"day": "Sunday"}),
        table(ZEROS | {"day": "2026-11-31"}),
        table(["2026-11-01"]),
        table(ZEROS | {"day": "2026-11-01", "taxes": "1,234.00"}),
        table(ZEROS | {"day": "2026-11-01", "taxes": "NaN"}),
        table(ZEROS | {"day": "2026-11-01", "taxes": {"amount": "1"}}),
        table(ZEROS | {"day": "2026-11-01"}, taxes="STRING"),
        table(7),
    ],
)
def test_an_answer_that_is_no_table_of_figures_is_never_taken_for_zeros(answer):
    with pytest.raises(GarbageAnswer):
        ask(answer)
