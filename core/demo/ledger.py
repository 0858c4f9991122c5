"""The cent-exact books of one order: what a line is worth, what part of it comes back, what the sums are.

All amounts are integers in minor units. `total` is after discounts and taxes, `discount` before taxes,
so net = total - tax and gross = net + discount, with or without taxes inside the prices.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from core.demo.catalogue import Product, Variant


class Amounts(NamedTuple):
    """What one sale is worth, in minor units."""

    total: int
    tax: int
    discount: int

    def negated(self) -> "Amounts":
        """The same, taken back."""
        return Amounts(-self.total, -self.tax, -self.discount)


NOTHING = Amounts(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line item; `added_at` is set when an order edit brought it."""

    number: int
    product: Product
    variant: Variant
    quantity: int
    discounts: tuple[int, ...]
    tax_lines: tuple[tuple[str, float, int], ...]
    amounts: Amounts
    added_at: datetime | None = None

    @property
    def original_total(self) -> int:
        """Price times quantity, before discounts."""
        return self.variant.price * self.quantity


@dataclass(frozen=True, slots=True)
class Sale:
    """One row of the ledger; returns are negative in quantity and amounts."""

    number: int
    action: str
    line_type: str
    quantity: int | None
    amounts: Amounts
    line_number: int | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The sales that were agreed on at one moment; `refund_number` is set when a refund brought them."""

    number: int
    happened_at: datetime
    reason: str
    sales: tuple[Sale, ...]
    refund_number: int | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back, with the units and the shipping it is said to be for."""

    number: int
    created_at: datetime
    money: int
    lines: tuple[tuple[int, int, Amounts], ...]
    shipping: Amounts


def divide(amount: int, weights: Sequence[int]) -> list[int]:
    """An amount spread over weights so that the parts add up to it exactly; nothing for all-zero weights."""
    whole = sum(weights)
    if whole == 0:
        return [0 for _ in weights]
    parts, given, seen = [], 0, 0
    for weight in weights:
        seen += weight
        parts.append(amount * seen // whole - given)
        given += parts[-1]
    return parts


def share(amounts: Amounts, start: int, stop: int, units: int) -> Amounts:
    """What units start..stop of a line's `units` are worth; the shares of all units add up to the line."""
    return Amounts(*(amount * stop // units - amount * start // units for amount in amounts))


def taxes_on(amount: int, rates: Sequence[tuple[str, float]], *, included: bool) -> tuple[tuple[str, float, int], ...]:
    """(title, rate, tax) per rate on a discounted amount, which contains the taxes when `included`."""
    base = amount / (1 + sum(rate for _, rate in rates)) if included else amount
    return tuple((title, rate, int(base * rate + 0.5)) for title, rate in rates)


def price_amounts(
    original: int, discount: int, rates: Sequence[tuple[str, float]], *, included: bool
) -> tuple[Amounts, tuple[tuple[str, float, int], ...]]:
    """The amounts and taxes of something priced `original` and reduced by `discount` (both as displayed)."""
    tax_lines = taxes_on(original - discount, rates, included=included)
    tax = sum(amount for _, _, amount in tax_lines)
    if not included:
        return Amounts(original - discount + tax, tax, discount), tax_lines
    tax_in_discount = sum(amount for _, _, amount in taxes_on(discount, rates, included=True))
    return Amounts(original - discount, tax, discount - tax_in_discount), tax_lines


def sum_total(agreements: Iterable[Agreement]) -> int:
    """What the customer owes after these agreements."""
    return sum(sale.amounts.total for agreement in agreements for sale in agreement.sales)


def sum_tax(agreements: Iterable[Agreement]) -> int:
    """The taxes in these agreements."""
    return sum(sale.amounts.tax for agreement in agreements for sale in agreement.sales)
