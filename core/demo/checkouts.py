"""Checkouts that are left without buying, about eight for five orders; one in twelve of them is completed later."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from core.demo.catalogue import DemoShop, Product, Variant, products_of
from core.demo.history import Customer, expected_orders
from core.demo.ledger import Amounts, price_amounts
from core.demo.people import PLACES, Place
from core.demo.shapes import Reference, Row, Shape, gid, moment_text, money_in, show_address

_AN_ORDER = 1.6
_RECOVERED = 0.08


@dataclass(frozen=True, slots=True)
class LeftCheckout:
    """A checkout that was left; lines are (product, variant, quantity, amounts)."""

    number: int
    created_at: datetime
    completed_at: datetime | None
    customer_number: int | None
    place: Place
    code: str | None
    lines: tuple[tuple[Product, Variant, int, Amounts], ...]


def left_on(shop: DemoShop, opened_on: date, day: date, customers: dict[int, Customer]) -> tuple[LeftCheckout, ...]:
    """The checkouts left on a day of the shop's calendar; who comes back was a customer the day before."""
    rng = Random(f"{shop.domain} {opened_on} {day} checkouts")
    midnight = datetime.combine(day, time(), shop.zone).astimezone(UTC)
    known = [customer for customer in customers.values() if customer.created_at < midnight]
    age = (day - opened_on).days
    products = [product for product in products_of(shop) if product.listed_on_day <= age and not product.deleted]
    count = math.floor(expected_orders(shop, opened_on, day) * _AN_ORDER * rng.uniform(0.7, 1.3) + rng.random())
    first = 20_000_000_000_000 + shop.number % 1_000 * 1_000_000_000 + age * 4_096
    return tuple(_left(shop, rng, first + place, midnight, known, products) for place in range(count))


def _left(
    shop: DemoShop, rng: Random, number: int, midnight: datetime, known: list[Customer], products: list[Product]
) -> LeftCheckout:
    created_at = midnight + timedelta(seconds=rng.randrange(6 * 3_600, 23 * 3_600))
    customer = rng.choice(known) if known and rng.random() < 0.55 else None
    place = customer.person.place if customer else rng.choices(*PLACES[shop.country])[0]
    code = "WELCOME10" if rng.random() < 0.12 else None
    chosen = rng.choices(products, [product.popularity for product in products], k=rng.choice((1, 1, 1, 2, 2, 3, 5)))
    lines = []
    for product in dict.fromkeys(chosen):
        variant, quantity = rng.choice(product.variants), rng.choice((1, 1, 1, 1, 2, 3))
        price = variant.price * quantity
        off = price // 10 if code and not product.is_gift_card else 0
        rates = () if product.is_gift_card else place.tax_rates
        lines.append((product, variant, quantity, price_amounts(price, off, rates, included=shop.taxes_included)[0]))
    back = timedelta(seconds=rng.randrange(1_800, 5 * 86_400)) if rng.random() < _RECOVERED else None
    return LeftCheckout(
        number=number, created_at=created_at, completed_at=created_at + back if back else None,
        customer_number=customer.number if customer else None, place=place, code=code, lines=tuple(lines),
    )  # fmt: skip


def checkout_row(shop: DemoShop, left: LeftCheckout, now: datetime) -> Row:
    """A checkout as it is at a moment."""
    completed_at = left.completed_at if left.completed_at and left.completed_at <= now else None
    return Row(
        left.number, left.created_at, completed_at or left.created_at, left.created_at,
        lambda: _show(shop, left, completed_at),
    )  # fmt: skip


def _show(shop: DemoShop, left: LeftCheckout, completed_at: datetime | None) -> Shape:
    money, address = money_in(shop.currency), show_address(left.number, left.place)
    tax, total = (sum(getattr(amounts, name) for *_, amounts in left.lines) for name in ("tax", "total"))
    prices = sum(variant.price * quantity for _, variant, quantity, _ in left.lines)
    subtotal = total if shop.taxes_included else total - tax
    return {
        "__typename": "AbandonedCheckout", "id": gid("AbandonedCheckout", left.number), "name": f"#{left.number}",
        "createdAt": moment_text(left.created_at), "updatedAt": moment_text(completed_at or left.created_at),
        "completedAt": moment_text(completed_at) if completed_at else None,
        "discountCodes": [left.code] if left.code else [], "taxesIncluded": shop.taxes_included,
        "customer": Reference("Customer", left.customer_number) if left.customer_number else None,
        "shippingAddress": address, "billingAddress": address, "subtotalPriceSet": money(subtotal),
        "totalPriceSet": money(total), "totalTaxSet": money(tax), "totalDiscountSet": money(prices - subtotal),
        "totalLineItemsPriceSet": money(prices),
        "lineItems": [
            {
                "__typename": "AbandonedCheckoutLineItem",
                "id": gid("AbandonedCheckoutLineItem", left.number * 8 + place), "title": product.title,
                "variantTitle": None if variant.title == "Default Title" else variant.title, "sku": variant.sku,
                "quantity": quantity, "product": Reference("Product", product.number),
                "variant": Reference("ProductVariant", variant.number),
                "originalUnitPriceSet": money(variant.price),
                "originalTotalPriceSet": money(variant.price * quantity),
                "discountedTotalPriceSet": money(
                    amounts.total if shop.taxes_included else amounts.total - amounts.tax
                ),
            }
            for place, (product, variant, quantity, amounts) in enumerate(left.lines)
        ],
    }  # fmt: skip
