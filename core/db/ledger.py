"""What a row of the sales ledger counts as: the one place of the rules in Shopify's sales reports.

For one Sale in shop currency: net = totalAmount - totalTaxAmount, discount = totalDiscountAmountBeforeTaxes,
gross = net + discount. Refunds count on the day they were made, gift cards and tips are no sales.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import itemgetter, or_
from typing import Any

from sqlalchemy import case, func, literal

from core.db.models import Sale

# A guest's number is above it, below it are those of redacted guests: the number itself is the mark.
REDACTED_BELOW = -(2**62)

# Money measures of DailySales that are sums over the ledger, in report order.
LEDGER_MEASURES = (
    "gross_sales", "discounts", "sales_reversals", "shipping", "taxes", "duties", "additional_fees",
    "return_fees", "tips", "gift_card_sales",
)  # fmt: skip

_BY_LINE_TYPE = {
    "GIFT_CARD": "gift_card_sales",
    "SHIPPING": "shipping",
    "TIP": "tips",
    "DUTY": "duties",
    "ADDITIONAL_FEE": "additional_fees",
    "FEE": "return_fees",
    "ADJUSTMENT": "sales_reversals",
}
_PRODUCT_ACTIONS = {"ORDER": "gross_sales", "UPDATE": "gross_sales", "RETURN": "sales_reversals"}


def measure_of(line_type: str, action_type: str, net: int) -> tuple[str, bool]:
    """The measure a Sale counts in, and whether it is unclassified (a type we do not know, booked by its sign)."""
    if measure := _BY_LINE_TYPE.get(line_type):
        return measure, False
    if line_type == "PRODUCT" and (measure := _PRODUCT_ACTIONS.get(action_type)):
        return measure, False
    return ("sales_reversals" if net < 0 else "gross_sales"), True


def buyer_id(customer_id: int | None, email: str | None) -> int | None:
    """Who bought: the customer's id, else a negative number from a guest's lower-cased e-mail, else None."""
    if customer_id is not None:
        return customer_id
    if email and email.strip():
        digest = hashlib.blake2b(email.strip().lower().encode(), digest_size=8).digest()
        return -1 - (int.from_bytes(digest) >> 2)
    return None


def redacted_buyer_id() -> int:
    """A random number for a guest whose e-mail is to be forgotten; no e-mail has it."""
    return REDACTED_BELOW - 1 - secrets.randbits(62)


# What decides where a ledger row counts: the first fields of LedgerSums.
kind_of: Callable[[Mapping[str, Any]], tuple[Any, ...]] = itemgetter(
    "measure", "line_type", "action_type", "in_first_agreement", "unclassified"
)


@dataclass(slots=True)
class LedgerSums:
    """Sums over ledger rows of one kind: all that decides where a row counts is equal in them."""

    measure: str
    line_type: str
    action_type: str
    in_first_agreement: bool
    unclassified: bool
    total_amount: int = 0
    tax_amount: int = 0
    discount: int = 0
    quantity: int = 0
    units: int = 0  # of quantities without their sign
    rows: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one more ledger row of this kind."""
        self.total_amount += row["total_amount"]
        self.tax_amount += row["tax_amount"]
        self.discount += row["discount"]
        self.quantity += row["quantity"]
        self.units += abs(row["quantity"])
        self.rows += 1


def sums(measures: Iterable[str]) -> list[Any]:
    """SQL sums over ledger rows, labelled by measure: those of MEASURES."""
    return [_sum(*MEASURES[name]).label(name) for name in measures]


def amounts(of: LedgerSums, measures: tuple[str, ...]) -> dict[str, int]:
    """What rows of one kind add to measures; only those that they count in."""
    kind = (of.measure, of.line_type, of.action_type, of.in_first_agreement, of.unclassified)
    return {name: value(of) for name, value in _counted_in(kind, measures)}


@lru_cache(1000)
def _counted_in(kind: tuple[Any, ...], measures: tuple[str, ...]) -> list[tuple[str, "_Rule"]]:
    example = LedgerSums(*kind)
    return [(name, MEASURES[name][0]) for name in measures if MEASURES[name][1](example)]


class _Columns:
    """The fields of LedgerSums as SQL over the ledger; SQLModel types columns as values."""

    measure: Any = Sale.measure
    line_type: Any = Sale.line_type
    action_type: Any = Sale.action_type
    in_first_agreement: Any = Sale.in_first_agreement
    unclassified: Any = Sale.unclassified
    total_amount: Any = Sale.total_amount
    tax_amount: Any = Sale.tax_amount
    discount: Any = Sale.discount
    quantity: Any = Sale.quantity
    units: Any = func.abs(Sale.quantity)
    rows: Any = literal(1)


def _sum(value: "_Rule", condition: "_Rule") -> Any:
    return func.coalesce(func.sum(case((condition(_Columns), value(_Columns)), else_=literal(0))), 0)


def _net(s: Any) -> Any:
    return s.total_amount - s.tax_amount


def _counts_as(*measures: str) -> "_Rule":
    return lambda s: reduce(or_, (s.measure == measure for measure in measures))


def _is_product(s: Any, action_type: str) -> Any:
    return (s.line_type == "PRODUCT") & (s.action_type == action_type)


_Rule = Callable[[Any], Any]
_GROSS, _REVERSAL = _counts_as("gross_sales"), _counts_as("sales_reversals")

# What a ledger row adds to a measure, and which rows do; each is read as SQL and as Python.
MEASURES: dict[str, tuple[_Rule, _Rule]] = {
    "gross_sales": (lambda s: _net(s) + s.discount, _GROSS),
    "discounts": (lambda s: -s.discount, _GROSS),
    "sales_reversals": (_net, _REVERSAL),
    "net_sales": (_net, _counts_as("gross_sales", "sales_reversals")),
    "shipping": (_net, _counts_as("shipping")),
    "taxes": (lambda s: s.tax_amount, lambda s: (s.measure != "gift_card_sales") & (s.measure != "tips")),
    "duties": (_net, _counts_as("duties")),
    "additional_fees": (_net, _counts_as("additional_fees")),
    "return_fees": (_net, _counts_as("return_fees")),
    "tips": (_net, _counts_as("tips")),
    "gift_card_sales": (_net, _counts_as("gift_card_sales")),
    "order_value": (_net, lambda s: _GROSS(s) & s.in_first_agreement & (s.action_type == "ORDER")),
    "units_sold": (lambda s: s.quantity, lambda s: _GROSS(s) & _is_product(s, "ORDER")),
    "units_returned": (lambda s: s.units, lambda s: _REVERSAL(s) & _is_product(s, "RETURN")),
    "unclassified": (lambda s: s.rows, lambda s: s.unclassified),
}
