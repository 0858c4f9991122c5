"""What follows for buyers when orders change: their totals, months and cohorts, and which order is their first."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, case, delete, func, select, update
from sqlmodel import Session, col

from core.db import models
from core.db.ledger import sums
from core.db.models import CohortMonth, CustomerMonth, CustomerTotals
from core.db.upsert import Row, chunks, delete_where, fetch, insert, upsert

# SQLModel types columns as values; here they are SQL expressions.
Order: Any = models.Order
Sale: Any = models.Sale
GOODS = ("gross_sales", "sales_reversals")
COUNTED = and_(Order.test.is_(False), Order.deleted_at.is_(None))
_TOTALS = (
    "buyer_id", "orders", "net_sales", "bought", "first_order_id", "first_order_at", "first_day", "last_order_at",
    "last_day",
)  # fmt: skip


@dataclass(frozen=True)
class CountedOrder:
    """What the totals of its buyer need to know of an order."""

    buyer_id: int | None
    processed_at: datetime
    day: date
    net_sales: int
    bought: int


@dataclass(slots=True)
class MonthSums:
    """A buyer's orders placed, and net sales booked in a month, with and without what was given back."""

    orders: int = 0
    net_sales: int = 0
    bought: int = 0


@dataclass(frozen=True)
class Known:
    """The totals of a buyer, as they stood before a change."""

    orders: int
    first_order_id: int
    first_order_at: datetime
    first_day: date
    last_order_at: datetime
    last_day: date


Months = dict[tuple[date, int], MonthSums]


@dataclass(frozen=True)
class First:
    """A buyer's first order."""

    order_id: int
    day: date


@dataclass(frozen=True)
class Firsts:
    """The first orders of the buyers concerned, before a change and after it; a buyer without orders has none.

    `known` has the totals from before of those who only gained orders.
    """

    before: dict[int, First] = field(default_factory=dict)
    after: dict[int, First] = field(default_factory=dict)
    known: dict[int, Known] = field(default_factory=dict)

    def moved(self) -> dict[int, tuple[First | None, First | None]]:
        """The buyers whose first order is another one now."""
        both = {buyer: (self.before.get(buyer), self.after.get(buyer)) for buyer in {**self.before, **self.after}}
        return {buyer: (old, new) for buyer, (old, new) in both.items() if old != new}


def first_orders(session: Session, buyers: set[int]) -> dict[int, First]:
    """The first orders of these buyers, as stored."""
    rows = fetch(session, CustomerTotals, ("buyer_id", "first_order_id", "first_day"), "buyer_id", buyers)
    return {buyer: First(order_id, day) for buyer, order_id, day in rows}


@lru_cache(4096)
def month_of(day: date) -> date:
    """The first day of a day's month."""
    return day.replace(day=1)


def follow(session: Session, before: Mapping[int, CountedOrder], after: Mapping[int, CountedOrder]) -> Firsts:
    """Bring buyers' totals after the change of some orders, by their ids: what counted before, what counts now.

    A buyer of whom something was taken is summed anew from their orders; of others the new orders are added.
    """
    lost = {order.buyer_id for order in before.values() if order.buyer_id is not None}
    firsts = _sum_anew(session, lost)
    gained: dict[int, list[tuple[datetime, int, date, int, int]]] = {}
    for order_id, order in after.items():
        if order.buyer_id is not None and order.buyer_id not in lost:
            known_order = (order.processed_at, order_id, order.day, order.net_sales, order.bought)
            gained.setdefault(order.buyer_id, []).append(known_order)
    stored = {row.buyer_id: row for row in fetch(session, CustomerTotals, _TOTALS, "buyer_id", gained)}
    rows = []
    for buyer, orders in gained.items():
        known = stored.get(buyer)
        first_at, first_id, first_day, *_ = min(orders)
        count, last_at, last_day = len(orders), max(orders)[0], max(order[2] for order in orders)
        net_sales, bought = sum(order[3] for order in orders), sum(order[4] for order in orders)
        if known is not None:
            firsts.before[buyer] = First(known.first_order_id, known.first_day)
            firsts.known[buyer] = Known(known.orders, *known[4:])
            count, net_sales, bought = count + known.orders, net_sales + known.net_sales, bought + known.bought
            last_at, last_day = max(last_at, known.last_order_at), max(last_day, known.last_day)
            if (known.first_order_at, known.first_order_id) < (first_at, first_id):
                first_at, first_id, first_day = known.first_order_at, known.first_order_id, known.first_day
        firsts.after[buyer] = First(first_id, first_day)
        values = (buyer, count, net_sales, bought, first_id, first_at, first_day, last_at, last_day)
        rows.append(dict(zip(_TOTALS, values, strict=True)))
    upsert(session, CustomerTotals, rows)
    return firsts


def follow_months(session: Session, before: Months, after: Months, firsts: Firsts) -> None:
    """Bring buyers' months after the change, and all of them to the cohort of their buyer's first order."""
    moved = {
        buyer: (month_of(was.day), month_of(now.day))
        for buyer, (was, now) in firsts.moved().items()
        if was and now and month_of(was.day) != month_of(now.day)
    }
    none, rows, buyers_left, cohorts = MonthSums(), [], set(), _Cohorts()
    cohorts.move(session, moved, -1)
    for key in {**before, **after}:
        old, new = before.get(key, none), after.get(key, none)
        if old == new:
            continue
        (month, buyer), first = key, firsts.after.get(key[1]) or firsts.before.get(key[1])
        first_month = month_of(first.day) if first else month
        orders, net_sales = new.orders - old.orders, new.net_sales - old.net_sales
        rows.append(
            {
                "month": month,
                "buyer_id": buyer,
                "first_month": first_month,
                "orders": orders,
                "net_sales": net_sales,
                "bought": new.bought - old.bought,
            }
        )
        if buyer not in moved:
            cohorts.add(first_month, month, orders, net_sales)
        if new.orders <= old.orders:
            buyers_left.add(buyer)
    upsert(session, CustomerMonth, rows, add=True, only=("orders", "net_sales", "bought"))
    for chunk in chunks(buyers_left):
        empty = delete(CustomerMonth).where(
            col(CustomerMonth.month).in_({row["month"] for row in rows}),
            col(CustomerMonth.buyer_id).in_(chunk),
            col(CustomerMonth.orders) == 0,
            col(CustomerMonth.net_sales) == 0,
            col(CustomerMonth.bought) == 0,
        )
        session.execute(empty, execution_options={"synchronize_session": False})
    to_cohorts: dict[date, list[int]] = {}
    for buyer, (_, first_month) in moved.items():
        to_cohorts.setdefault(first_month, []).append(buyer)
    for first_month, buyers in to_cohorts.items():
        for chunk in chunks(buyers):
            of_moved = update(CustomerMonth).where(col(CustomerMonth.buyer_id).in_(chunk))
            of_moved = of_moved.values(first_month=first_month)
            session.execute(of_moved, execution_options={"synchronize_session": False})
    cohorts.move(session, moved, 1)
    add_to_cohorts(session, cohorts.sums)


class _Cohorts:
    """Sums of customers, orders and net sales by first month and month."""

    def __init__(self) -> None:
        self.sums: dict[tuple[date, date], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))

    def add(self, first_month: date, month: date, orders: int, net_sales: int) -> None:
        """Add to the sums of a cohort; its customers are counted with the days."""
        _, known_orders, known_net_sales = self.sums[first_month, month]
        self.sums[first_month, month] = (0, known_orders + orders, known_net_sales + net_sales)

    def move(self, session: Session, moved: Mapping[int, tuple[date, date]], sign: int) -> None:
        """Take the months of these buyers, as stored, out of their old cohort, or add them to the new one."""
        names = (getattr(CustomerMonth, name) for name in ("buyer_id", "month", "orders", "net_sales"))
        months = select(*names)
        for chunk in chunks(moved):
            of_moved = session.execute(months.where(col(CustomerMonth.buyer_id).in_(chunk)))
            for buyer, month, orders, net_sales in of_moved:
                was, now = moved[buyer]
                self.add(was if sign < 0 else now, month, sign * orders, sign * net_sales)


def add_to_cohorts(session: Session, sums: Mapping[tuple[date, date], tuple[int, int, int]]) -> None:
    """Add customers, orders and net sales by first month and month."""
    names = ("first_month", "month", "customers", "orders", "net_sales")
    rows = [dict(zip(names, (*key, *found), strict=True)) for key, found in sums.items() if any(found)]
    upsert(session, CohortMonth, rows, add=True)
    if any(min(found) < 0 for found in sums.values()):
        nothing = and_(*(getattr(CohortMonth, name) == 0 for name in names[2:]))
        session.execute(delete(CohortMonth).where(nothing), execution_options={"synchronize_session": False})


def _sum_anew(session: Session, buyers: set[int]) -> Firsts:
    firsts = Firsts(before=first_orders(session, buyers))
    delete_where(session, CustomerTotals, "buyer_id", buyers)
    for chunk in chunks(buyers):
        rows = _totals(session, chunk)
        insert(session, CustomerTotals, rows)
        firsts.after.update({row["buyer_id"]: First(row["first_order_id"], row["first_day"]) for row in rows})
    return firsts


def _totals(session: Session, buyers: list[int]) -> list[Row]:
    of_buyers = and_(COUNTED, Order.buyer_id.in_(buyers))
    sale_of_order = and_(Sale.shop_id == Order.shop_id, Sale.order_id == Order.id)
    net = Sale.total_amount - Sale.tax_amount
    bought = func.sum(case((and_(Sale.measure.in_(GOODS), net > 0), net), else_=0))
    spent = select(Order.buyer_id, *sums(("net_sales",)), bought).select_from(Sale).join(Order, sale_of_order)
    spent = spent.where(of_buyers).group_by(Order.buyer_id)
    amounts = {buyer: list(map(int, found)) for buyer, *found in session.execute(spent)}
    known = (
        select(
            Order.buyer_id,
            func.count().label("orders"),
            func.min(Order.processed_at).label("first_order_at"),
            func.max(Order.processed_at).label("last_order_at"),
            func.max(Order.day).label("last_day"),
        )
        .where(of_buyers)
        .group_by(Order.buyer_id)
        .subquery()
    )
    is_first = and_(Order.buyer_id == known.c.buyer_id, Order.processed_at == known.c.first_order_at, COUNTED)
    first = (func.min(Order.id).label("first_order_id"), func.min(Order.day).label("first_day"))
    found = session.execute(select(known, *first).join(Order, is_first).group_by(*known.c)).mappings()
    names = ("net_sales", "bought")
    return [{**row, **dict(zip(names, amounts.get(row["buyer_id"], (0, 0)), strict=True))} for row in found]
