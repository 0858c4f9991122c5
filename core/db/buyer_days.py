"""On which days buyers order, and on which they did before: what every count of distinct buyers follows from.

A change is what the histories of the buyers concerned add now, less what they added before. For orders that come
after all others of their buyer, the buyer's totals say enough of the history; of other buyers all orders are read.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from core.db import models
from core.db.buyers import CountedOrder, Known, add_to_cohorts, month_of
from core.db.models import CustomerTotals, DailySales, DaysBetween
from core.db.upsert import chunks, fetch, upsert

# SQLModel types columns as values; here they are SQL expressions.
Order: Any = models.Order

Placed = tuple[datetime, int, date]  # moment, number and day of an order
_COUNTS = ("customers", "new_customers", "returning_customers")
_HISTORIES = 16  # read at a time: a batch does not say how long they are
_ORDER = ("buyer_id", "processed_at", "id", "day", "test", "deleted_at")


@dataclass
class _Counts:
    """What histories add: by day the buyers, new and again; by two days those between; by cohort and month."""

    days: defaultdict[date, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    between: defaultdict[tuple[str, date, date], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    cohorts: defaultdict[tuple[date, date], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, history: Sequence[Placed], sign: int) -> None:
        """Add what the orders of one buyer add, or take it away."""
        if not history:
            return
        _, first_id, first_day = min(history)
        every = sorted({day for _, _, day in history})
        again = sorted({day for _, order_id, day in history if order_id != first_id})
        self.days[first_day][1] += sign
        for place, days in enumerate((every, again)):
            self._add_days(place, None, days, sign)
        for month in {month_of(day) for day in every}:
            self.cohorts[month_of(first_day), month] += sign

    def add_later(self, known: Known, orders: Sequence[Placed]) -> None:
        """Add what orders add that come after all others of their buyer."""
        days, last = sorted({day for _, _, day in orders}), known.last_day
        for place, before in ((0, last), (1, last if known.orders > 1 else None)):
            self._add_days(place, before, days[1:] if days[0] == before else days, 1)
        for month in {month_of(day) for day in days} - {month_of(last)}:
            self.cohorts[month_of(known.first_day), month] += 1

    def _add_days(self, place: int, before: date | None, days: Sequence[date], sign: int) -> None:
        """Add days that follow on each other and on the one before: of all orders (0), or but for the first (1)."""
        for day in days:
            self.days[day][2 * place] += sign
            if before is not None:
                self.between["day", day, before][place] += sign
                self.between["month", day, month_of(before)][place] += sign
                if (week := _week_of(day)) <= before:
                    self.between["week", day, week][place] += sign
            before = day

    def write(self, session: Session) -> set[date]:
        """Add it to the tables; the days on which something changed."""
        zeros = {name: 0 for name in DailySales.model_fields if name not in ("shop_id", "day", *_COUNTS)}
        days = {day: counts for day, counts in self.days.items() if any(counts)}
        rows = [{"day": day, **zeros, **dict(zip(_COUNTS, counts, strict=True))} for day, counts in days.items()]
        upsert(session, DailySales, rows, only=_COUNTS, add=True)
        names = ("grain", "day", "before", "customers", "returning_customers")
        between = [
            dict(zip(names, (*key, *counts), strict=True)) for key, counts in self.between.items() if any(counts)
        ]
        upsert(session, DaysBetween, between, add=True)
        for chunk in chunks({day for (_, day, _), counts in self.between.items() if min(counts) < 0}):
            empty = delete(DaysBetween).where(
                col(DaysBetween.grain).in_(("day", "week", "month")),
                col(DaysBetween.day).in_(chunk),
                col(DaysBetween.customers) == 0,
                col(DaysBetween.returning_customers) == 0,
            )
            session.execute(empty, execution_options={"synchronize_session": False})
        add_to_cohorts(session, {key: (count, 0, 0) for key, count in self.cohorts.items()})
        return set(days)


def follow_days(
    session: Session,
    before: Mapping[int, CountedOrder],
    after: Mapping[int, CountedOrder],
    known: Mapping[int, Known],
) -> set[date]:
    """Bring the counts of buyers after the change of some orders, by their ids; the days on which they changed.

    `known` has the totals that stood before the change, of buyers of whom orders only came.
    """
    moved = {key for key in {**before, **after} if _when(before.get(key)) != _when(after.get(key))}
    gone, come = _placed(before, moved), _placed(after, moved)
    counts, unknown, had = _Counts(), set(), {order.buyer_id for order in before.values()}
    for buyer in {**gone, **come}:
        if buyer in had or not _comes_after(known.get(buyer), come[buyer]):
            unknown.add(buyer)
        elif buyer in known:
            counts.add_later(known[buyer], come[buyer])
        else:
            counts.add(come[buyer], 1)
    for buyers in chunks(unknown, _HISTORIES):
        for buyer, orders in _stored(session, buyers).items():
            new = {order_id for _, order_id, _ in come.get(buyer, ())}
            counts.add([*(order for order in orders if order[1] not in new), *gone.get(buyer, ())], -1)
            counts.add(orders, 1)
    return counts.write(session)


def rebuild_days(session: Session) -> None:
    """Count the buyers of every day anew, where nothing is counted yet."""
    for chunk in chunks(session.execute(select(CustomerTotals.buyer_id)).scalars()):
        counts = _Counts()
        for orders in _stored(session, chunk).values():
            counts.add(orders, 1)
        counts.write(session)


@lru_cache(4096)
def _week_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _when(order: CountedOrder | None) -> tuple[int, datetime, date] | None:
    if order is None or order.buyer_id is None:
        return None
    return order.buyer_id, order.processed_at, order.day


def _placed(orders: Mapping[int, CountedOrder], wanted: Iterable[int]) -> dict[int, list[Placed]]:
    """By buyer the wanted ones of these orders."""
    found: dict[int, list[Placed]] = {}
    for key in wanted:
        order = orders.get(key)
        if order is not None and order.buyer_id is not None:
            found.setdefault(order.buyer_id, []).append((order.processed_at, key, order.day))
    return found


def _comes_after(known: Known | None, orders: Sequence[Placed]) -> bool:
    if known is None:
        return True
    first = (known.first_order_at, known.first_order_id)
    return all(day >= known.last_day and (at, order_id) > first for at, order_id, day in orders)


def _stored(session: Session, buyers: Collection[int]) -> dict[int, list[Placed]]:
    """Every order that counts of these buyers, as it is in the table; of each buyer, if only an empty list."""
    found: dict[int, list[Placed]] = {buyer: [] for buyer in buyers}
    for buyer, at, order_id, day, test, deleted_at in fetch(session, Order, _ORDER, "buyer_id", buyers):
        if not test and deleted_at is None:
            found[buyer].append((at, order_id, day))
    return found
