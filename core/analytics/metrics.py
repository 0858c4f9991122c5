"""What every number means: one Metric per measure, computed from the summed columns of daily_sales.

Money is in minor units of the shop's currency, a percent is a fraction of 1 (0.25 is 25 %), and what cannot be
known is None with a reason, never 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Unit = Literal["money", "count", "percent"]
Good = Literal["up", "down", "neutral"]
Sums = Mapping[str, int]
Value = int | float | None


@dataclass(frozen=True)
class Metric:
    """One measure: its name and unit, what it means, which direction is good, and how sums become its value.

    `compute` is exact; `why_unknown` is the sentence shown when it gives None ("" if it never does). `adds_up` says
    whether the values of days add up to that of their period: ratios do not, nor do people, who come on several days.
    `below_zero` says that more of it is a lower number: what is taken off is negative. `good` and `change` go by how
    much of it there is. `short` is the label where the whole one does not fit, "" where it does.
    """

    slug: str
    label: str
    unit: Unit
    definition: str
    good: Good
    compute: Callable[[Sums], int | Fraction | None]
    why_unknown: str = ""
    adds_up: bool = True
    below_zero: bool = False
    short: str = ""

    def change(self, current: Value, previous: Value) -> float | None:
        """How much more of it there is than before, as change() says it: discounts of -150 are half more than -100."""
        moved = change(current, previous)
        return -moved if moved and self.below_zero else moved


def values(sums: Sums) -> dict[str, Value]:
    """Every metric of METRICS from summed columns of daily_sales and distinct customer counts.

    Money and counts are ints (an average is rounded half-even to the minor unit), percents floats.
    """
    return {metric.slug: _plain(metric.compute(sums), metric.unit) for metric in METRICS}


def change(current: Value, previous: Value) -> float | None:
    """The change against the previous period, as a fraction of 1: None when previous is 0 or either is unknown."""
    if current is None or previous is None or previous == 0:
        return None
    return float((Fraction(current) - Fraction(previous)) / abs(Fraction(previous)))


def net_sales(sums: Sums) -> int:
    """Net sales in minor units; discounts and reversals are negative."""
    return sums["gross_sales"] + sums["discounts"] + sums["sales_reversals"]


def total_sales(sums: Sums) -> int:
    """Total sales in minor units."""
    return net_sales(sums) + sum(sums[slug] for slug in _ON_TOP_OF_NET_SALES)


def _plain(value: int | Fraction | None, unit: Unit) -> Value:
    if value is None:
        return None
    return float(value) if unit == "percent" else round(value)


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _column(slug: str) -> Callable[[Sums], int]:
    return lambda sums: sums[slug]


_ON_TOP_OF_NET_SALES = ("shipping", "taxes", "duties", "additional_fees", "return_fees")

METRICS = (
    Metric(
        "gross_sales",
        "Gross sales",
        "money",
        "Products sold at their price before discounts, returns, taxes and shipping, on the day they were sold; "
        "gift cards do not count.",
        "up",
        _column("gross_sales"),
    ),
    Metric(
        "discounts",
        "Discounts",
        "money",
        "What was taken off the price of products, before taxes, as a negative amount.",
        "neutral",
        _column("discounts"),
        below_zero=True,
    ),
    Metric(
        "sales_reversals",
        "Sales reversals",
        "money",
        "Products returned, refunded or cancelled, after discounts and before taxes, as a negative amount "
        "on the day of the reversal.",
        "down",
        _column("sales_reversals"),
        below_zero=True,
    ),
    Metric(
        "net_sales",
        "Net sales",
        "money",
        "Gross sales plus discounts plus sales reversals, where discounts and reversals are negative.",
        "up",
        net_sales,
    ),
    Metric(
        "shipping",
        "Shipping",
        "money",
        "Shipping charged, less shipping discounted or given back, before taxes.",
        "neutral",
        _column("shipping"),
    ),
    Metric(
        "taxes",
        "Taxes",
        "money",
        "Taxes charged on everything but gift cards and tips, less taxes given back.",
        "neutral",
        _column("taxes"),
    ),
    Metric(
        "duties",
        "Duties",
        "money",
        "Import duties charged, less duties given back, before taxes.",
        "neutral",
        _column("duties"),
    ),
    Metric(
        "additional_fees",
        "Additional fees",
        "money",
        "Extra fees charged with an order, less fees given back, before taxes.",
        "neutral",
        _column("additional_fees"),
    ),
    Metric(
        "return_fees",
        "Return fees",
        "money",
        "Fees kept when goods are returned, such as restocking and return shipping, before taxes.",
        "neutral",
        _column("return_fees"),
    ),
    Metric(
        "total_sales",
        "Total sales",
        "money",
        "Net sales plus shipping, taxes, duties, additional fees and return fees; tips and gift cards are left out.",
        "up",
        total_sales,
    ),
    Metric(
        "tips",
        "Tips",
        "money",
        "Tips received, which are no part of total sales.",
        "neutral",
        _column("tips"),
    ),
    Metric(
        "gift_card_sales",
        "Gift card sales",
        "money",
        "Gift cards sold, less gift cards given back; they are owed to the customer and count in no other measure.",
        "neutral",
        _column("gift_card_sales"),
    ),
    Metric(
        "orders",
        "Orders",
        "count",
        "Orders placed in the period, including cancelled and zero-value ones, without test and deleted orders.",
        "up",
        _column("orders"),
    ),
    Metric(
        "average_order_value",
        "Average order value",
        "money",
        "Product sales after discounts when the orders were placed, divided by the orders with at least one item "
        "that is not a gift card; later returns and edits do not change it.",
        "up",
        lambda sums: _ratio(sums["order_value"], sums["orders_with_goods"]),
        "No order in this period has an item that is not a gift card.",
        adds_up=False,
        short="Avg. order value",
    ),
    Metric(
        "units_sold",
        "Units sold",
        "count",
        "Pieces of products sold, also by later edits, before returns; gift cards do not count.",
        "up",
        _column("units_sold"),
    ),
    Metric(
        "units_returned",
        "Units returned",
        "count",
        "Pieces of products returned, refunded or cancelled, on the day of the reversal.",
        "down",
        _column("units_returned"),
    ),
    Metric(
        "customers",
        "Customers",
        "count",
        "Different customers with an order in the period; guests are told apart by their e-mail address, and orders "
        "without one count for no customer.",
        "up",
        _column("customers"),
        adds_up=False,
    ),
    Metric(
        "new_customers",
        "New customers",
        "count",
        "Customers whose first order ever is in the period.",
        "up",
        _column("new_customers"),
    ),
    Metric(
        "returning_customers",
        "Returning customers",
        "count",
        "Customers with an order in the period that is not their first ever; a customer can be both new and returning "
        "in one period.",
        "up",
        _column("returning_customers"),
        adds_up=False,
        short="Returning",
    ),
    Metric(
        "returning_customer_rate",
        "Returning customer rate",
        "percent",
        "Returning customers divided by the sum of returning and new customers.",
        "up",
        lambda sums: _ratio(sums["returning_customers"], sums["returning_customers"] + sums["new_customers"]),
        "No known customer ordered in this period.",
        adds_up=False,
        short="Returning rate",
    ),
    Metric(
        "refund_rate",
        "Refund rate",
        "percent",
        "Sales reversals of the period, without their minus sign, divided by gross sales plus discounts of the period.",
        "down",
        lambda sums: _ratio(-sums["sales_reversals"], sums["gross_sales"] + sums["discounts"]),
        "Gross sales plus discounts are zero in this period.",
        adds_up=False,
    ),
    Metric(
        "discount_rate",
        "Discount rate",
        "percent",
        "Discounts of the period, without their minus sign, divided by gross sales of the period.",
        "neutral",
        lambda sums: _ratio(-sums["discounts"], sums["gross_sales"]),
        "Gross sales are zero in this period.",
        adds_up=False,
    ),
    Metric(
        "unclassified",
        "Unclassified rows",
        "count",
        "Sales of a type this app does not know yet, counted by their sign as gross sales or sales reversals.",
        "down",
        _column("unclassified"),
    ),
)
METRIC: Mapping[str, Metric] = {metric.slug: metric for metric in METRICS}
