"""Orders that arrive while somebody looks on, beside those of the history: placed by guests, so no customer changes."""

from collections.abc import Iterable
from datetime import date, datetime
from random import Random

from core.demo.catalogue import DemoShop, products_of
from core.demo.orders import Buyer, Occasion, Order, place_order
from core.demo.people import invent_person

FIRST = 90_000  # the history would need thirty years to number its orders so far
Placed = Iterable[tuple[int, datetime]]


def live_order(shop: DemoShop, opened_on: date, number: int, at: datetime) -> Order:
    """The live order with this number, counted from 1: the same in every process that knows when it was placed."""
    rng = Random(f"{shop.domain} {opened_on} live {number}")
    age = (at.astimezone(shop.zone).date() - opened_on).days
    products = [product for product in products_of(shop) if product.listed_on_day <= age and not product.deleted]
    buyer = Buyer(None, invent_person(shop, rng, FIRST + number), True)
    return place_order(shop, rng, FIRST + number, buyer, Occasion(at, at, "web", 0, None), products)


def order_number(shop: DemoShop, opened_on: date, number: int, at: datetime) -> int:
    """Shopify's number of the live order."""
    return live_order(shop, opened_on, number, at).number
