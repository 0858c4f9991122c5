"""Rollups where a session has filters: the same columns, summed anew from the orders that are left in.

It costs with the orders of the days asked for, and not with the days; without filters the rollups answer themselves.
"""

from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, distinct, func, literal, select, union_all
from sqlalchemy.orm import aliased
from sqlmodel import Session

from core.db import models
from core.db.filters import Filters
from core.db.ledger import LEDGER_MEASURES, sums
from core.db.models import DailyBreakdown, DailyProductSales, DailySales, HourlySales
from core.db.rollups import DIMENSIONS

# SQLModel types columns as values; here they are SQL expressions.
Order: Any = models.Order
Sale: Any = models.Sale
CustomerTotals: Any = models.CustomerTotals

_COUNTED = (Order.test.is_(False), Order.deleted_at.is_(None))
_GOODS = Sale.measure.in_(("gross_sales", "sales_reversals"))
_OF_BUYER = CustomerTotals.buyer_id == Order.buyer_id
_IS_FIRST = CustomerTotals.first_order_id == Order.id


def source(session: Session, model: Any, start: date, end: date, dimension: str = "") -> Any:
    """A rollup of days; where the session has filters, its columns of these days summed from what is left in.

    `dimension` says which one of DailyBreakdown is wanted: then there is no other.
    """
    filters = filters_of(session)
    # What only products decide, the guard narrows by itself.
    by_products_alone = model is DailyProductSales and not (filters.of_orders or filters.by_first_order)
    if not filters or by_products_alone:
        return model
    keys, booked, placed = _PARTS[model]
    names = (*booked, *placed)
    rows = [_booked(keys, booked, names, dimension).where(Sale.day.between(start, end))]
    if placed:
        rows.append(_placed(keys, placed, names, dimension).where(Order.day.between(start, end)))
    return _summed(model, rows, keys, dict.fromkeys(names, func.sum))


def totals(session: Session) -> Any:
    """CustomerTotals; where the session has filters, buyer_id, orders, net_sales and the last order of what is left."""
    filters = filters_of(session)
    if not filters or filters.by_first_order:
        return CustomerTotals
    known = (*_COUNTED, Order.buyer_id.is_not(None))
    last = (func.max(Order.processed_at).label("last_order_at"), func.max(Order.day).label("last_day"))
    placed = select(Order.buyer_id, func.count().label("orders"), literal(0).label("net_sales"), *last).where(*known)
    net_sales = (*sums(["net_sales"]), *last)
    booked = select(Order.buyer_id, literal(0).label("orders"), *net_sales).join(Sale, Sale.order_id == Order.id)
    rows = [placed.group_by(Order.buyer_id), booked.where(_GOODS, *known).group_by(Order.buyer_id)]
    ways = {"orders": func.sum, "net_sales": func.sum, "last_order_at": func.max, "last_day": func.max}
    return _summed(CustomerTotals, rows, ("buyer_id",), ways)


def filters_of(session: Session) -> Filters:
    """What the session's figures are narrowed to."""
    filters: Filters = session.info["filters"]
    return filters


def _summed(model: Any, rows: list[Select[Any]], keys: tuple[str, ...], ways: dict[str, Any]) -> Any:
    each = union_all(*rows).subquery()
    by_key = [each.c[name] for name in keys]
    both = select(*by_key, *(way(each.c[name]).label(name) for name, way in ways.items())).group_by(*by_key)
    return aliased(model, both.subquery(), adapt_on_names=True)


def _booked(keys: tuple[str, ...], measures: tuple[str, ...], names: tuple[str, ...], dimension: str) -> Select[Any]:
    """Sums over ledger rows by the day they count on, zeros for what only orders have."""
    at = {name: _key(Sale, name, dimension).label(name) for name in keys}
    found = {column.name: column for column in sums(measures)}
    columns = [found[name] if name in found else literal(0).label(name) for name in names]
    statement = select(*at.values(), *columns).join(Order, Order.id == Sale.order_id).where(*_COUNTED)
    if dimension == "customer_kind":
        statement = statement.outerjoin(CustomerTotals, _OF_BUYER)
    return (statement.where(_GOODS) if "product_id" in keys else statement).group_by(*_grouped(at))


def _placed(keys: tuple[str, ...], counts: tuple[str, ...], names: tuple[str, ...], dimension: str) -> Select[Any]:
    """Counts of orders by the day they were placed, zeros for what only the ledger has."""
    at = {name: _key(Order, name, dimension).label(name) for name in keys}
    columns = [(_COUNTS[name] if name in counts else literal(0)).label(name) for name in names]
    statement = select(*at.values(), *columns).select_from(Order).outerjoin(CustomerTotals, _OF_BUYER)
    return statement.where(*_COUNTED).group_by(*_grouped(at))


def _grouped(at: dict[str, Any]) -> list[Any]:
    return [column.element for name, column in at.items() if name != "dimension"]


def _key(of: Any, name: str, dimension: str) -> ColumnElement[Any]:
    """A key of a rollup, of an order or a ledger row."""
    keys: dict[str, Any] = {
        "dimension": literal(dimension),
        "product_id": func.coalesce(Sale.product_id, 0),
        "title": Sale.product_title,
    }
    if name == "value":
        kind = case((Order.buyer_id.is_(None), ""), (_IS_FIRST, "new"), else_="returning")
        field = DIMENSIONS[dimension]
        return kind if field is None else func.coalesce(getattr(Order, field), "")
    found: ColumnElement[Any] = keys[name] if name in keys else getattr(of, name)
    return found


_COUNTS: dict[str, Any] = {
    "orders": func.count(),
    "orders_with_goods": func.coalesce(func.sum(case((Order.has_goods, 1), else_=0)), 0),
    "customers": func.count(distinct(Order.buyer_id)),
    "new_customers": func.coalesce(func.sum(case((_IS_FIRST, 1), else_=0)), 0),
    "returning_customers": func.count(
        distinct(case((and_(Order.buyer_id.is_not(None), CustomerTotals.first_order_id != Order.id), Order.buyer_id)))
    ),
}
_SUMS = (*LEDGER_MEASURES, "order_value", "units_sold", "units_returned", "unclassified")
_ORDERS = ("orders", "orders_with_goods")

# Rollup: its keys, what it sums of the ledger, what it counts of orders.
_PARTS: dict[Any, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    DailySales: (("day",), _SUMS, (*_ORDERS, "customers", "new_customers", "returning_customers")),
    HourlySales: (("day", "hour"), _SUMS, _ORDERS),
    DailyBreakdown: (("dimension", "day", "value"), _SUMS, _ORDERS),
    DailyProductSales: (
        ("day", "product_id", "title"),
        ("gross_sales", "discounts", "sales_reversals", "units_sold", "units_returned"),
        (),
    ),
}
