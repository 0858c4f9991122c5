"""Stock of a demo shop: what sells well is bought in more often and in larger lots, so levels rise and fall."""

import math
from datetime import datetime

from core.demo.catalogue import DemoShop, Product, Variant, products_of
from core.demo.shapes import Row, Shape, decimal_text, gid, moment_text

_UNITS_AN_ORDER = 2.2
LOCATIONS: dict[str, tuple[tuple[int, str, int], ...]] = {  # number, name, share of the stock in percent
    "US": ((71_100_000_001, "Warehouse Portland", 70), (71_100_000_002, "Harbor Street shop", 30)),
    "DE": ((71_200_000_001, "Lager Neukölln", 100),),
}


def item_number(variant: Variant) -> int:
    """The number of a variant's inventory item."""
    return variant.number + 16_384


def inventory_row(shop: DemoShop, product: Product, variant: Variant, created_at: datetime, day: int) -> Row:
    """A variant's inventory item as it is on the shop's day number `day`; nobody counts gift cards."""
    number = item_number(variant)
    levels = [] if product.is_gift_card else _levels(shop, product, variant, day)
    cost = variant.price * (35 + number // 7 % 26) // 100
    money = {"__typename": "MoneyV2", "amount": decimal_text(cost), "currencyCode": shop.currency}
    return Row(
        number, created_at, created_at, created_at,
        lambda: {
            "__typename": "InventoryItem", "id": gid("InventoryItem", number), "sku": variant.sku,
            "tracked": not product.is_gift_card, "createdAt": moment_text(created_at),
            "updatedAt": moment_text(created_at), "unitCost": None if product.is_gift_card else money,
            "inventoryLevels": levels,
        },
    )  # fmt: skip


def _levels(shop: DemoShop, product: Product, variant: Variant, day: int) -> list[Shape]:
    popularity = sum(other.popularity for other in products_of(shop))
    sold_a_day = shop.daily_orders * _UNITS_AN_ORDER * product.popularity / popularity / len(product.variants)
    bought_every = 12 + variant.number // 5 % 19  # days
    lot = math.ceil(sold_a_day * bought_every * 1.1) + 2
    since = (day + variant.number // 11) % bought_every
    left = max(0, lot - math.floor(sold_a_day * since * (0.8 + variant.number // 13 % 5 / 10)))
    coming = lot if since > bought_every - 4 else 0
    return [
        _level(
            variant, number, name, left * percent // 100, math.ceil(sold_a_day * percent / 100), coming * percent // 100
        )
        for number, name, percent in LOCATIONS[shop.country]
    ]


def _level(variant: Variant, number: int, name: str, available: int, committed: int, incoming: int) -> Shape:
    quantities = {
        "available": available, "on_hand": available + committed, "committed": committed, "incoming": incoming,
        "reserved": 0,
    }  # fmt: skip
    place = f"{number}?inventory_item_id={item_number(variant)}"
    return {
        "__typename": "InventoryLevel", "id": gid("InventoryLevel", place),
        "location": {"__typename": "Location", "id": gid("Location", number), "name": name, "isActive": True},
        "quantities": [
            {"__typename": "InventoryQuantity", "name": kind, "quantity": quantity}
            for kind, quantity in quantities.items()
        ],
    }  # fmt: skip
