"""Rollups follow the rows in the same transaction, and always equal a recompute from orders and ledger.

take_away() and add() subtract what orders added before a change and add what they add after it, so the cost grows
with the change and not with the day. Test and deleted orders count nowhere; rows of nothing but zeros are not kept.

The rows at hand are summed here and not by a statement: that would have to find them again, and a database that knows
nothing yet about a table that fills reads all of it each time.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Delete, and_, delete, select
from sqlmodel import Session, col

from core.db import models
from core.db.buyer_days import follow_days, rebuild_days
from core.db.buyers import (
    GOODS,
    CountedOrder,
    First,
    Firsts,
    Months,
    MonthSums,
    first_orders,
    follow,
    follow_months,
    month_of,
)
from core.db.ledger import LEDGER_MEASURES, LedgerSums, amounts, kind_of
from core.db.models import (
    CohortMonth,
    CustomerMonth,
    CustomerTotals,
    DailyBreakdown,
    DailyProductSales,
    DailySales,
    DaysBetween,
    HourlySales,
    MonthlyProductSales,
)
from core.db.upsert import chunks, fetch, upsert

# SQLModel types columns as values; here they are SQL expressions.
Order: Any = models.Order
Stored = Mapping[str, Any]

_SUMS = (*LEDGER_MEASURES, "order_value", "units_sold", "units_returned", "unclassified")
_MEASURES: dict[Any, tuple[str, ...]] = {
    HourlySales: _SUMS,
    DailyBreakdown: _SUMS,
    DailyProductSales: ("gross_sales", "discounts", "sales_reversals", "units_sold", "units_returned"),
}
_ORDER_FIELDS = (
    "id", "buyer_id", "processed_at", "day", "hour", "has_goods", "test", "deleted_at", "source", "country",
    "discount_codes", "financial_status", "fulfillment_status",
)  # fmt: skip
_SALE_FIELDS = (
    "order_id", "day", "hour", "measure", "line_type", "action_type", "in_first_agreement", "unclassified",
    "product_id", "product_title", "total_amount", "tax_amount", "discount", "quantity",
)  # fmt: skip

# What orders are broken down by, with the field of an order that says the value; the kind of customer is known apart.
DIMENSIONS = {
    "channel": "source",
    "country": "country",
    "discount_code": "discount_codes",
    "financial_status": "financial_status",
    "fulfillment_status": "fulfillment_status",
    "customer_kind": None,
}
_CUSTOMER_KIND = {"customer_kind": None}
_UNSEEN = {"synchronize_session": False}  # no objects of the session are concerned


@dataclass(frozen=True)
class Counted:
    """Orders that count, by id, the days and products that their ledger touches, and the months of their buyers."""

    orders: dict[int, CountedOrder] = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    products: set[int] = field(default_factory=set)
    months: Months = field(default_factory=dict)


def take_away(session: Session, order_ids: Collection[int]) -> Counted:
    """Take what these orders add out of the daily rollups, before they are overwritten; give the answer to add()."""
    orders, sales = _stored(session, order_ids)
    firsts = first_orders(session, {order["buyer_id"] for order in orders if order["buyer_id"] is not None})
    change = _Change(orders, sales)
    if orders:
        change.sum(firsts)
        change.write(session, -1)
    return change.counted


def add(session: Session, before: Counted, orders: Sequence[Stored], sales: Sequence[Stored]) -> None:
    """Add what these orders, with their ledger, add now, and bring everything after that follows from the change."""
    after, firsts = _add_but_days(session, before, orders, sales)
    touched = follow_days(session, before.orders, after.orders, firsts.known) | before.days | after.days
    for model in (DailySales, HourlySales, DailyBreakdown, DailyProductSales):
        _drop_empty(session, model, touched)
    _drop_empty_months(session, {month_of(day) for day in touched}, before.products | after.products)


def _add_but_days(
    session: Session, before: Counted, orders: Sequence[Stored], sales: Sequence[Stored]
) -> tuple[Counted, Firsts]:
    """All that add() does but for the counts of buyers by their days."""
    change = _Change(orders, sales)
    after = change.counted
    firsts = follow(session, before.orders, after.orders)
    change.sum(firsts.after)
    change.write(session, 1)
    follow_months(session, before.months, after.months, firsts)
    changed = {*before.orders, *(order["id"] for order in orders)}
    both = [first for pair in firsts.moved().values() for first in pair if first is not None]
    others = {first.order_id for first in both} - changed
    if others:  # orders that did not change, but are their buyer's first now, or no more
        for known, sign in ((firsts.before, -1), (firsts.after, 1)):
            moved = _Change(*_stored(session, others))
            moved.sum(known, _CUSTOMER_KIND)
            moved.write(session, sign, only=DailyBreakdown)
        _drop_empty(session, DailyBreakdown, _days_of(session, others))
    return after, firsts


def rebuild_all(session: Session) -> None:
    """Recompute every rollup of the session's shop from orders and ledger."""
    for model in ROLLUPS:
        session.execute(delete(model), execution_options={"synchronize_session": False})
    for chunk in chunks(session.execute(select(Order.id).order_by(Order.id)).scalars()):
        _add_but_days(session, Counted(), *_stored(session, chunk))
    rebuild_days(session)
    days = set(session.execute(select(col(DailySales.day))).scalars())
    for model in (DailySales, HourlySales, DailyBreakdown, DailyProductSales):
        _drop_empty(session, model, days)
    products = set(session.execute(select(col(MonthlyProductSales.product_id)).distinct()).scalars())
    _drop_empty_months(session, {month_of(day) for day in days}, products)


def _stored(session: Session, order_ids: Collection[int]) -> tuple[list[Stored], list[Stored]]:
    """Orders and their ledger rows, as they are in the tables."""
    orders = fetch(session, models.Order, _ORDER_FIELDS, "id", order_ids)
    sales = fetch(session, models.Sale, _SALE_FIELDS, "order_id", order_ids)
    return [row._mapping for row in orders], [row._mapping for row in sales]


def _days_of(session: Session, order_ids: Collection[int]) -> set[date]:
    return {row.day for row in fetch(session, models.Sale, ("day",), "order_id", order_ids)}


class _Change:
    """What some orders with their ledger rows add to the rollups."""

    def __init__(self, orders: Sequence[Stored], sales: Sequence[Stored]) -> None:
        self._orders = {order["id"]: order for order in orders if not order["test"] and order["deleted_at"] is None}
        self._sales = [sale for sale in sales if sale["order_id"] in self._orders]
        self._rollups = {model: _Rollup(model) for model in (DailySales, *_MEASURES, MonthlyProductSales)}
        net_sales: dict[int, int] = defaultdict(int)
        bought: dict[int, int] = defaultdict(int)
        products: set[int] = set()
        months: defaultdict[tuple[date, int], MonthSums] = defaultdict(MonthSums)
        for sale in self._sales:
            if sale["measure"] in GOODS:
                net = sale["total_amount"] - sale["tax_amount"]
                net_sales[sale["order_id"]] += net
                bought[sale["order_id"]] += max(net, 0)
                products.add(sale["product_id"] or 0)
                if (buyer := self._orders[sale["order_id"]]["buyer_id"]) is not None:
                    month = months[month_of(sale["day"]), buyer]
                    month.net_sales += net
                    month.bought += max(net, 0)
        for order in self._orders.values():
            if order["buyer_id"] is not None:
                months[month_of(order["day"]), order["buyer_id"]].orders += 1
        found = {
            key: CountedOrder(order["buyer_id"], order["processed_at"], order["day"], net_sales[key], bought[key])
            for key, order in self._orders.items()
        }
        days = {sale["day"] for sale in self._sales} | {order["day"] for order in self._orders.values()}
        self.counted = Counted(found, days, products, dict(months))

    def sum(self, firsts: Mapping[int, First], dimensions: Mapping[str, str | None] = DIMENSIONS) -> None:
        """Sum up; whether an order is its buyer's first decides the kind of customer."""
        groups: dict[tuple[tuple[str, str], ...], int] = {}  # orders that are alike are summed up together
        group_of = {
            key: groups.setdefault(_values(order, firsts, dimensions), len(groups))
            for key, order in self._orders.items()
        }
        kinds: dict[tuple[Any, ...], int] = {}
        found_at: dict[tuple[Any, ...], LedgerSums] = {}
        for sale in self._sales:
            kind, day = kind_of(sale), sale["day"]
            number = kinds.setdefault(kind, len(kinds))  # quicker to look up by
            places = [
                (DailyBreakdown, day, group_of[sale["order_id"]], number),
                (HourlySales, day, sale["hour"], number),
            ]
            if sale["measure"] in GOODS:
                product = (sale["product_id"] or 0, sale["product_title"])
                places.append((DailyProductSales, day, product, number))
            for place in places:
                known = found_at.get(place)
                if known is None:
                    known = found_at[place] = LedgerSums(*kind)
                known.add(sale)
        values_of = list(groups)
        hours, breakdown, products = (self._rollups[model] for model in _MEASURES)
        for (model, day, key, _), sums in found_at.items():
            found = amounts(sums, _MEASURES[model])
            if model is HourlySales:
                hours.add((day, key), found)
            elif model is DailyProductSales:
                products.add((day, *key), found)
            else:
                for name, value in values_of[key]:
                    breakdown.add((name, day, value), found)
        placed = Counter(
            (order["day"], order["hour"], group_of[key], order["has_goods"]) for key, order in self._orders.items()
        )
        for (day, at, group, has_goods), count in placed.items():
            found = {"orders": count, "orders_with_goods": count if has_goods else 0}
            hours.add((day, at), found)
            for name, value in values_of[group]:
                breakdown.add((name, day, value), found)
        for (day, _), hour in hours.sums.items():
            self._rollups[DailySales].add((day,), hour)
        for (day, *of_product), found in products.sums.items():
            self._rollups[MonthlyProductSales].add((month_of(day), *of_product), found)

    def write(self, session: Session, sign: int, *, only: Any = None) -> None:
        """Add the sums to the tables, or subtract them."""
        for model, rollup in self._rollups.items():
            if only is None or model is only:
                rollup.write(session, sign)


def _values(
    order: Stored, firsts: Mapping[int, First], dimensions: Mapping[str, str | None]
) -> tuple[tuple[str, str], ...]:
    """An order's value of each dimension; empty where it is not known."""
    first = firsts.get(order["buyer_id"]) if order["buyer_id"] is not None else None
    kind = "" if first is None else "new" if first.order_id == order["id"] else "returning"
    return tuple((name, (order[source] or "") if source else kind) for name, source in dimensions.items())


class _Rollup:
    """Sums of one rollup's measures by its key."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.keys = [column.name for column in model.__table__.primary_key if column.name != "shop_id"]
        self.zeros = {name: 0 for name in model.model_fields if name not in ("shop_id", *self.keys)}
        self.sums: dict[tuple[Any, ...], dict[str, int]] = {}

    def add(self, key: tuple[Any, ...], found: Mapping[str, int]) -> None:
        """Add to the sums of a key."""
        known = self.sums.get(key)
        if known is None:
            known = self.sums[key] = self.zeros.copy()
        for name, value in found.items():
            known[name] += value

    def write(self, session: Session, sign: int) -> None:
        """Add the sums to the table, or subtract them."""
        rows = [
            {**dict(zip(self.keys, key, strict=True)), **{name: sign * value for name, value in found.items()}}
            for key, found in self.sums.items()
        ]
        upsert(session, self.model, rows, add=True)


def _drop_empty(session: Session, model: Any, days: Collection[date]) -> None:
    """Delete rows of these days that are nothing but zeros: a recompute would not make them."""
    for chunk in chunks(days):
        session.execute(_empty(model).where(col(model.day).in_(chunk)), execution_options=_UNSEEN)


def _drop_empty_months(session: Session, months: Collection[date], products: Collection[int]) -> None:
    """The same for the months of these products; a month stands as long as one of its days does."""
    for month in months:
        end = month_of(month + timedelta(days=31)) - timedelta(days=1)
        of_days = select(col(DailyProductSales.day)).where(
            col(DailyProductSales.day).between(month, end),
            col(DailyProductSales.product_id) == MonthlyProductSales.product_id,
            col(DailyProductSales.title) == MonthlyProductSales.title,
        )
        empty = _empty(MonthlyProductSales).where(
            col(MonthlyProductSales.month) == month, ~of_days.correlate(MonthlyProductSales).exists()
        )
        for chunk in chunks(products):
            session.execute(empty.where(col(MonthlyProductSales.product_id).in_(chunk)), execution_options=_UNSEEN)


def _empty(model: Any) -> Delete:
    return delete(model).where(and_(*(getattr(model, name) == 0 for name in _Rollup(model).zeros)))


ROLLUPS: tuple[Any, ...] = (
    DailySales, *_MEASURES, MonthlyProductSales, DaysBetween, CustomerTotals, CustomerMonth, CohortMonth,
)  # fmt: skip
