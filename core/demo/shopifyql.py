"""The demo store's own sales report, in the part of ShopifyQL that a report by day needs.

It is summed from the store's own books, by rules written down here once more: the app's ledger must come to the same
figures from what it was told, and shares no code with this.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from core.demo.ledger import Sale
from core.demo.orders import Order
from core.demo.shapes import Shape, decimal_text
from core.demo.views import Snapshot

_QUESTION = re.compile(
    r"FROM sales SHOW (?P<columns>\w+(?:, \w+)*) TIMESERIES day "
    r"SINCE (?P<since>\d{4}-\d\d-\d\d) UNTIL (?P<until>\d{4}-\d\d-\d\d)(?: ORDER BY day(?: ASC)?)?",
    re.ASCII,
)


def answer_shopifyql(snapshot: Snapshot, query: str) -> Shape:
    """The response to a ShopifyQL query: every day of the range with the columns asked for, or what is wrong."""
    match = _QUESTION.fullmatch(" ".join(query.split()))
    if match is None:
        return _refused("Syntax error: this store answers FROM sales SHOW ... TIMESERIES day SINCE ... UNTIL ...")
    columns = match["columns"].split(", ")
    if unknown := [name for name in columns if name not in _COLUMNS]:
        return _refused(*(f"Column Not Found: `{name}` is not a column of `sales`." for name in unknown))
    try:
        first, last = date.fromisoformat(match["since"]), date.fromisoformat(match["until"])
    except ValueError:
        return _refused("Date isn't parsable.")
    sums = sales_by_day(snapshot)
    days = [first + timedelta(days=count) for count in range((last - first).days + 1)]
    names = {"day": "DAY_TIMESTAMP", **{name: _COLUMNS[name] for name in columns}}
    return {
        "__typename": "ShopifyqlQueryResponse",
        "parseErrors": [],
        "tableData": {
            "__typename": "ShopifyqlTableData",
            "columns": [
                {"__typename": "ShopifyqlTableDataColumn", "name": name, "dataType": kind,
                 "displayName": name.replace("_", " ").capitalize()}
                for name, kind in names.items()
            ],
            "rows": [{"day": day.isoformat(), **_shown(sums[day], columns)} for day in days],
        },
    }  # fmt: skip


def sales_by_day(snapshot: Snapshot) -> Mapping[date, Counter[str]]:
    """Every column of the report by the shop's day, money in minor units."""
    zone = snapshot.shop.zone
    days: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for order in snapshot.all_orders:
        if order.test or order.number not in snapshot.orders:
            continue
        days[order.processed_at.astimezone(zone).date()]["orders"] += 1
        for at, sale in _booked(order, snapshot.now):
            _count(sale, days[at.astimezone(zone).date()])
    return days


def _booked(order: Order, now: datetime) -> list[tuple[datetime, Sale]]:
    """What was sold up to now with the moment it counts at: the purchase counts when the order was processed."""
    purchase, *later = sorted(order.agreements, key=lambda agreement: agreement.happened_at)
    dated = [(order.processed_at, purchase), *((agreement.happened_at, agreement) for agreement in later)]
    return [(at, sale) for at, agreement in dated if agreement.happened_at <= now for sale in agreement.sales]


def _count(sale: Sale, day: Counter[str]) -> None:
    total, tax, discount = sale.amounts
    worth = total - tax
    if sale.line_type in ("GIFT_CARD", "TIP"):  # owed to the customer, or not the shop's price
        return
    day["taxes"] += tax
    day["total_sales"] += total
    if sale.line_type == "SHIPPING":
        day["shipping_charges"] += worth
        return
    day["net_sales"] += worth
    if sale.line_type == "ADJUSTMENT" or sale.action == "RETURN":
        day["sales_reversals"] += worth
    else:
        day["gross_sales"] += worth + discount
        day["discounts"] -= discount


def _shown(sums: Counter[str], columns: list[str]) -> Shape:
    return {name: str(sums[name]) if name == "orders" else decimal_text(sums[name]) for name in columns}


def _refused(*errors: str) -> Shape:
    return {"__typename": "ShopifyqlQueryResponse", "parseErrors": list(errors), "tableData": None}


_COLUMNS = {"orders": "INTEGER"} | dict.fromkeys(
    (
        "gross_sales", "discounts", "sales_reversals", "net_sales", "shipping_charges", "taxes", "duties",
        "additional_fees", "return_fees", "total_sales",
    ),
    "MONEY",
)  # fmt: skip
