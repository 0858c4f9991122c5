"""Breakdowns: the sales of a period by one thing that orders or products have in common.

Breakdowns of orders add up to total sales; those of products leave out shipping, taxes and fees, so that they add up
to net sales.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import pandas as pd
from sqlmodel import Session

from core.analytics import frames_sales
from core.analytics.metrics import change, net_sales, total_sales
from core.analytics.period import Period

ADJUSTMENTS = "Adjustments of no product"
_ORDER_COLUMNS = ("orders", "units_sold", "gross_sales", "discounts", "sales_reversals", "net_sales", "total_sales")
_PRODUCT_COLUMNS = ("units_sold", "gross_sales", "discounts", "sales_reversals", "net_sales")


@dataclass(frozen=True)
class Breakdown:
    """What sales are broken down by: its name, where its sums come from, and its values in words.

    `empty` stands for the value that is not there. A value that `words` does not know is shown as it came.
    """

    slug: str
    label: str
    definition: str
    empty: str
    read: Callable[[Session, Period], pd.DataFrame]
    of_products: bool = False
    of_people: bool = False
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The measures of a row; products have no orders and no total sales of their own."""
        return _PRODUCT_COLUMNS if self.of_products else _ORDER_COLUMNS

    @property
    def opens_orders(self) -> bool:
        """Whether the orders of one value can be listed."""
        return not (self.of_products or self.of_people)

    def name(self, value: str) -> str:
        """A value as it is shown."""
        return self.words.get(value, value) or self.empty


def broken_down(session: Session, breakdown: Breakdown, period: Period, against: Period | None) -> pd.DataFrame:
    """Every value of a breakdown in a period, highest net sales first, ties by name.

    Columns: value (as stored), name (as shown), the ints of `breakdown.columns`, share (of net sales, a fraction of
    1), before (net sales of the compared period) and change (against it); the last three are None where unknown.
    Values that only the compared period has are there with zeros.
    """
    now = _summed(breakdown, breakdown.read(session, period))
    there = _summed(breakdown, breakdown.read(session, against)) if against else now.iloc[:0]
    frame = now.reindex(now.index.union(there.index, sort=False), fill_value=0)
    whole = int(frame["net_sales"].sum())
    before = there["net_sales"].reindex(frame.index, fill_value=0) if against else None
    frame["share"] = _objects(frame, [_share(int(part), whole) for part in frame["net_sales"]])
    frame["before"] = _objects(frame, [None] * len(frame) if before is None else before.tolist())
    changes = [change(new, old) for new, old in zip(frame["net_sales"].tolist(), frame["before"], strict=True)]
    frame["change"] = _objects(frame, changes)
    frame = frame.reset_index()
    keys = zip(frame["value"], frame["is_adjustment"], strict=True)
    frame.insert(1, "name", [ADJUSTMENTS if alone else breakdown.name(value) for value, alone in keys])
    frame = frame.sort_values(["net_sales", "name"], ascending=[False, True], ignore_index=True)
    return frame.drop(columns=["product_id", "is_adjustment"])


def _summed(breakdown: Breakdown, sums: pd.DataFrame) -> pd.DataFrame:
    """Measures by key. Two products may share a title, so that the name alone is no key."""
    frame = sums.assign(net_sales=net_sales(sums))
    if not breakdown.of_products:
        frame = frame.assign(total_sales=total_sales(sums), product_id=0, is_adjustment=False)
    return frame.set_index(["value", "product_id", "is_adjustment"])[list(breakdown.columns)]


def _share(part: int, whole: int) -> float | None:
    return float(Fraction(part, whole)) if whole > 0 else None


def _objects(frame: pd.DataFrame, values: list[float | int | None]) -> pd.Series:
    return pd.Series(values, index=frame.index, dtype=object)


def _of_orders(dimension: str) -> Callable[[Session, Period], pd.DataFrame]:
    return lambda session, period: frames_sales.by_dimension(session, dimension, period)


def _of_products(name: frames_sales.ProductField) -> Callable[[Session, Period], pd.DataFrame]:
    return lambda session, period: frames_sales.by_product(session, name, period)


# Statuses of Shopify's schema, 2026-10.
FINANCIAL = {
    "PENDING": "Pending", "AUTHORIZED": "Authorized", "PAID": "Paid", "PARTIALLY_PAID": "Partially paid",
    "REFUNDED": "Refunded", "PARTIALLY_REFUNDED": "Partially refunded", "VOIDED": "Voided", "EXPIRED": "Expired",
}  # fmt: skip
FULFILLMENT = {
    "UNFULFILLED": "Unfulfilled", "FULFILLED": "Fulfilled", "PARTIALLY_FULFILLED": "Partially fulfilled",
    "IN_PROGRESS": "In progress", "ON_HOLD": "On hold", "OPEN": "Open", "SCHEDULED": "Scheduled",
    "RESTOCKED": "Restocked", "PENDING_FULFILLMENT": "Pending fulfillment", "REQUEST_DECLINED": "Request declined",
}  # fmt: skip
# Orders of an app carry its number: those of Shopify's own sales channels, whose names merchants know.
CHANNELS = {
    "web": "Online store", "pos": "Point of sale", "iphone": "Point of sale (iPhone)",
    "android": "Point of sale (Android)", "shopify_draft_order": "Draft order", "subscription_contract": "Subscription",
    "subscription_contract_checkout_one": "Subscription renewal", "2329312": "Facebook & Instagram",
    "1780363": "Google & YouTube", "3009811": "Pinterest", "3890849": "Shop", "4383523": "TikTok",
}  # fmt: skip
KINDS = {"new": "New customers", "returning": "Returning customers"}

BREAKDOWNS = (
    Breakdown(
        "channel", "Channel", "The app or sales channel an order came from, as Shopify names it.", "Unknown channel",
        _of_orders("channel"), words=CHANNELS,
    ),
    Breakdown(
        "country", "Country", "The country code of the shipping address, else of the billing address.",
        "Unknown country", _of_orders("country"),
    ),
    Breakdown(
        "discount_code", "Discount code", "The codes used with an order; several are one value of their own.",
        "No code", _of_orders("discount_code"),
    ),
    Breakdown(
        "financial_status", "Financial status", "Whether an order is paid, as of the last sync.", "Unknown status",
        _of_orders("financial_status"), words=FINANCIAL,
    ),
    Breakdown(
        "fulfillment_status", "Fulfillment status", "Whether an order is shipped, as of the last sync.",
        "Unknown status", _of_orders("fulfillment_status"), words=FULFILLMENT,
    ),
    Breakdown(
        "customer_kind", "New and returning customers",
        "Whether an order is the first ever of its customer; guests are told apart by their e-mail address.",
        "Unknown customer", _of_orders("customer_kind"), words=KINDS,
    ),
    Breakdown(
        "customer", "Customer",
        "Who ordered; the 500 with the highest net sales, and all others in one row. Names where they are fetched.",
        "Nobody known", frames_sales.by_customer, of_people=True,
    ),
    Breakdown(
        "product", "Product", "Products under their present title; those that are gone under the title sold.",
        "Without a title", _of_products("title"), of_products=True,
    ),
    Breakdown(
        "variant", "Variant", "Variants under the title sold; those without one under their product's.",
        "Without a title", frames_sales.by_variant, of_products=True,
    ),
    Breakdown(
        "vendor", "Vendor", "The vendor of a product today.", "Unknown vendor", _of_products("vendor"),
        of_products=True,
    ),
    Breakdown(
        "product_type", "Product type", "The type of a product today.", "Without a type", _of_products("product_type"),
        of_products=True,
    ),
    Breakdown(
        "category", "Category", "The category of a product in Shopify's taxonomy today.", "Without a category",
        _of_products("category"), of_products=True,
    ),
)  # fmt: skip
BREAKDOWN: Mapping[str, Breakdown] = {breakdown.slug: breakdown for breakdown in BREAKDOWNS}
