"""Products, customers and orders for a development store, as Shopify's mutations take them.

Each follows from the seed and its own number alone, so more of them can be made later, and a run that was killed goes
on as if it had not been. Amounts are minor units; `Money` writes them in the store's currency.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from core.demo.catalogue import DEMO_SHOPS
from core.demo.ledger import taxes_on
from core.demo.people import invent_person
from core.demo.shapes import moment_text

TAG = "shoptally-seed"
_HARBOR = DEMO_SHOPS[0]
_GOODS = [row for row in _HARBOR.catalogue if ":" not in row[2] and row[3] != "gift"]
_TAX = ("Sales tax", 0.08)
_MONTH_DAYS = 30.4
Input = dict[str, Any]


@dataclass(frozen=True)
class Money:
    """The store's currency, how its minor units are written, and whether prices contain taxes."""

    currency: str
    written: Callable[[int], str]
    taxes_included: bool

    def bag(self, minor: int) -> Input:
        """A MoneyBagInput."""
        return {"shopMoney": {"amount": self.written(minor), "currencyCode": self.currency}}


@dataclass(frozen=True)
class Priced:
    """A variant of a made product: its GID, and its price in minor units."""

    variant_id: str
    price: int


def tags(seed: int, number: int) -> list[str]:
    """What marks a made object: that it was made here, and which one it is."""
    return [TAG, f"{TAG}-{seed}-{number}"]


def product_input(seed: int, number: int, money: Money) -> Input:
    """A ProductSetInput with a variant for each size."""
    round_, place = divmod(number - 1, len(_GOODS))
    title, vendor, kind, _, sizes = _GOODS[place]
    options = [size.rsplit(" ", 1) for size in sizes.split("|")]
    plain = len(options) == 1 and options[0][0] == "Default Title"
    option = "Title" if plain else "Size"
    return {
        "title": title if round_ == 0 else f"{title} {round_ + 1}",
        "handle": f"{TAG}-{seed}-{number}",
        "vendor": vendor,
        "productType": kind,
        "status": "ACTIVE",
        "tags": tags(seed, number),
        "productOptions": [{"name": option, "values": [{"name": name} for name, _ in options]}],
        "variants": [
            {
                "optionValues": [{"optionName": option, "name": name}],
                "price": money.written(round(float(price) * 100)),
                "sku": f"SEED-{seed}-{number}-{position}",
            }
            for position, (name, price) in enumerate(options, start=1)
        ],
    }


def customer_input(seed: int, number: int) -> Input:
    """A CustomerSetInput; its e-mail address reaches nobody, and tells which customer it is."""
    person = invent_person(_HARBOR, Random(f"{seed} customer {number}"), number)
    return {
        "email": f"{TAG}-{seed}-{number}@example.com",
        "firstName": person.first_name,
        "lastName": person.last_name,
        "tags": tags(seed, number),
    }


def order_input(
    seed: int, number: int, money: Money, products: Sequence[Sequence[Priced]], customers: Sequence[str],
    now: datetime, months: int,
) -> Input:  # fmt: skip
    """An OrderCreateOrderInput for one of the `customers` (GIDs) or a guest, processed in the months before `now`.

    A few customers buy often, and there are more orders lately than long ago.
    """
    rng = Random(f"{seed} order {number}")
    person = invent_person(_HARBOR, rng, number)
    chosen = rng.sample(range(len(products)), k=min(len(products), rng.choices((1, 2, 3, 4), (50, 28, 14, 8))[0]))
    code = ("SEED20", 20) if rng.random() < 0.15 else None
    lines, goods = [], 0
    for place in chosen:
        variant = rng.choice(products[place])
        quantity = rng.choices((1, 2, 3), (80, 15, 5))[0]
        worth = variant.price * quantity
        worth -= (worth * code[1] + 50) // 100 if code else 0
        [(_, _, tax)] = taxes_on(worth, [_TAX], included=money.taxes_included)
        goods += worth if money.taxes_included else worth + tax
        tax_line = {"title": _TAX[0], "rate": str(_TAX[1]), "priceSet": money.bag(tax)}
        lines.append({"variantId": variant.variant_id, "quantity": quantity, "taxLines": [tax_line]})
    shipping = 795 if goods < 7_500 else 0
    paid = rng.random() < 0.93
    buyer = None if not customers or rng.random() < 0.12 else customers[int(len(customers) * rng.random() ** 2)]
    guest = {"email": f"{TAG}-guest-{seed}-{number}@example.com"}
    order: Input = {
        "currency": money.currency,
        "processedAt": moment_text(_moment(rng, now, months)),
        "tags": tags(seed, number),
        "taxesIncluded": money.taxes_included,
        "lineItems": lines,
        "shippingLines": [{"title": "Standard", "priceSet": money.bag(shipping)}] if shipping else [],
        "shippingAddress": {
            "firstName": person.first_name, "lastName": person.last_name, "address1": f"{number} Seed Street",
            "city": person.place.city, "countryCode": person.place.country, "provinceCode": person.place.province,
        },
        "financialStatus": "PAID" if paid else "PENDING",
        **({"customer": {"toAssociate": {"id": buyer}}} if buyer else guest),
    }  # fmt: skip
    if code:
        order["discountCode"] = {"itemPercentageDiscountCode": {"code": code[0], "percentage": float(code[1])}}
    if paid:
        amount = money.bag(goods + shipping)
        order["transactions"] = [{"kind": "SALE", "status": "SUCCESS", "gateway": "manual", "amountSet": amount}]
    return order


def _moment(rng: Random, now: datetime, months: int) -> datetime:
    days = math.floor(months * _MONTH_DAYS * (1 - rng.random() ** 0.6))
    at = (now - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    at += timedelta(seconds=round(rng.triangular(6, 23.9, 19) * 3600))
    return min(at, now - timedelta(minutes=1))
