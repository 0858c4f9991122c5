"""A shop's whole life, day by day: everything follows from (shop, first day), so the past never changes.

A day is always written in full, with the later fate of its orders; what has not happened yet is hidden by
the reader (views.py). Growing the history by a day therefore changes nothing that was visible before.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from core.demo.catalogue import DemoShop, products_of
from core.demo.orders import Buyer, Occasion, Order, place_order
from core.demo.people import Person, invent_person


@dataclass(slots=True)
class Customer:
    """A customer account and the orders placed with it so far, future ones of the written days included."""

    number: int
    created_at: datetime
    person: Person
    state: str
    loyalty: float
    orders: list[Order] = field(default_factory=list)
    tags: tuple[str, ...] = ()


@dataclass
class History:
    """The days written so far; `due` holds (day number, customer number) of the next purchases."""

    shop: DemoShop
    opened_on: date
    days: int = 0
    orders: list[Order] = field(default_factory=list)
    customers: dict[int, Customer] = field(default_factory=dict)
    due: list[tuple[int, int]] = field(default_factory=list)
    guests: int = 0


def write_through(history: History, last_day: date) -> None:
    """Write every missing day up to and including `last_day` (a day of the shop's calendar)."""
    while history.opened_on + timedelta(days=history.days) <= last_day:
        _write_day(history)
        history.days += 1


def expected_orders(shop: DemoShop, opened_on: date, day: date) -> float:
    """How many orders this day brings on average: growth, season, weekday and sales together."""
    growth = 0.5 + 0.78 * (1 - math.exp(-((day - opened_on).days) / 240))
    month = _MONTHS[day.month - 1] if (day.month, day.day) < (12, 21) else 0.7
    rush = _RUSH.get((day - _black_friday(day.year)).days, 1.0)
    promotion = 1.9 if _automatic_percent(day) else 1.0
    return shop.daily_orders * growth * month * _WEEKDAYS[day.weekday()] * rush * promotion


def _write_day(history: History) -> None:
    shop, day = history.shop, history.opened_on + timedelta(days=history.days)
    rng = Random(f"{shop.domain} {history.opened_on} {day}")
    products = [
        product
        for product in products_of(shop)
        if product.listed_on_day <= history.days and not (product.deleted and history.days > 200)
    ]
    for occasion in _occasions(history, rng, day):
        buyer = _buyer(history, rng, occasion)
        order = place_order(shop, rng, len(history.orders) + 1, buyer, occasion, products)
        history.orders.append(order)
        if buyer.number is not None:
            _plan_next(history, rng, history.customers[buyer.number], order)
    if rng.random() < 0.08:  # signs up for the newsletter and buys nothing, for now
        _new_customer(history, rng, _local_moment(shop, rng, day))


def _occasions(history: History, rng: Random, day: date) -> Iterator[Occasion]:
    shop = history.shop
    count = _poisson(rng, expected_orders(shop, history.opened_on, day))
    code = ("BLACKFRIDAY", 25) if -1 <= (day - _black_friday(day.year)).days <= 3 else None
    for created_at in sorted(_local_moment(shop, rng, day) for _ in range(count)):
        source = rng.choices(_SOURCES, weights=_SOURCE_WEIGHTS)[0]
        yield Occasion(created_at, created_at, source, _automatic_percent(day), code)
    if history.days in _IMPORT_DAYS:
        start = datetime.combine(day, time(23, 10), shop.zone).astimezone(UTC)
        for row in range(math.ceil(shop.daily_orders * 2)):
            created_at = start + timedelta(seconds=row * 7)
            age = timedelta(days=rng.randint(40, 420), seconds=rng.randrange(30_000))
            yield Occasion(created_at, created_at - age, "1424624", 0, None)


def _buyer(history: History, rng: Random, occasion: Occasion) -> Buyer:
    roll = rng.random()
    imported = occasion.processed_at < occasion.created_at
    if not imported and roll < (0.45 if occasion.source == "pos" else 0.08):
        history.guests += 1
        known = occasion.source != "pos"
        return Buyer(None, invent_person(history.shop, rng, 70_000 + history.guests) if known else None, True)
    eager = 25 if occasion.sale_code or occasion.automatic_percent else 0
    if not imported and roll < 0.58 and history.due and history.due[0][0] <= history.days + eager:
        customer = history.customers[heapq.heappop(history.due)[1]]
        if customer.created_at < occasion.created_at:
            return Buyer(customer.number, customer.person, False)
        heapq.heappush(history.due, (history.days + 1, customer.number))
    customer = _new_customer(history, rng, occasion.created_at - timedelta(seconds=4))
    return Buyer(customer.number, customer.person, True)


def _new_customer(history: History, rng: Random, created_at: datetime) -> Customer:
    count = len(history.customers) + 1
    number = 7_300_000_000_000 + history.shop.number % 1_000 * 1_000_000_000 + count * 32_768
    customer = Customer(
        number=number,
        created_at=created_at,
        person=invent_person(history.shop, rng, count),
        state="ENABLED" if rng.random() < 0.3 else "DISABLED",
        loyalty=rng.choices((0.28, 0.62, 0.87), weights=(57, 29, 14))[0],
    )
    history.customers[number] = customer
    return customer


def _plan_next(history: History, rng: Random, customer: Customer, order: Order) -> None:
    customer.orders.append(order)
    if rng.random() < customer.loyalty:
        heapq.heappush(history.due, (history.days + 1 + int(rng.lognormvariate(3.4, 0.75)), customer.number))


def _local_moment(shop: DemoShop, rng: Random, day: date) -> datetime:
    hour = rng.choices(range(24), weights=_HOURS)[0]
    local = datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60)), shop.zone)
    return local.astimezone(UTC)


def _poisson(rng: Random, mean: float) -> int:
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _black_friday(year: int) -> date:
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 22)


def _automatic_percent(day: date) -> int:
    """The percentage taken off every basket on the shop's sale days, without a code."""
    return 15 if (day.month, day.day) in _SALE_DAYS else 0


_MONTHS: tuple[float, ...] = (0.82, 0.84, 0.9, 0.95, 1.0, 1.02, 0.92, 0.9, 1.0, 1.08, 1.35, 1.6)
_WEEKDAYS: tuple[float, ...] = (0.98, 0.9, 0.92, 0.97, 1.04, 1.1, 1.14)
_RUSH: dict[int, float] = {-1: 1.6, 0: 3.6, 1: 2.2, 2: 1.9, 3: 2.8}
_SALE_DAYS: frozenset[tuple[int, int]] = frozenset({(5, 14), (5, 15), (5, 16), (8, 28), (8, 29), (1, 3), (1, 4)})
_IMPORT_DAYS: tuple[int, ...] = (3, 210)
_HOURS: tuple[int, ...] = (3, 2, 1, 1, 1, 2, 4, 8, 12, 16, 18, 19, 20, 18, 16, 16, 17, 19, 22, 25, 26, 22, 14, 7)
_SOURCES: tuple[str, ...] = ("web", "pos", "shopify_draft_order", "subscription_contract", "2329312")
_SOURCE_WEIGHTS: tuple[int, ...] = (76, 11, 3, 6, 4)
