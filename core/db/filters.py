"""What figures may be narrowed to: orders of some channels, countries or kinds of customers, products of some types.

A shop_session() that has filters sees only such orders, ledger rows, products and checkouts: the guard asks criteria()
for each statement. Rollups hold the sums of everything; core/db/narrowed.py sums them anew from what is left.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, exists, func, literal, or_, select
from sqlalchemy.orm import with_loader_criteria

from core.db import models

# SQLModel types columns as values; here they are SQL expressions.
Order: Any = models.Order
Sale: Any = models.Sale
Product: Any = models.Product
LineItem: Any = models.LineItem
Checkout: Any = models.AbandonedCheckout
CheckoutLine: Any = models.AbandonedCheckoutLine
CustomerTotals: Any = models.CustomerTotals
CustomerMonth: Any = models.CustomerMonth
DailyProductSales: Any = models.DailyProductSales

_FIELDS_OF_ORDERS = {"channel": "source", "country": "country"}


@dataclass(frozen=True)
class Filters:
    """What is left in: any of the values of each field; a field without values asks for nothing.

    `channel`, `country` and `customer_kind` ("new", "returning") are of orders, "" where unknown; `product_type` and
    `vendor` of products as in the catalogue today: of an order, only lines of such products are left. With
    `by_first_order` it is buyers that are left in, by their first order, with all that they ordered.
    """

    channel: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    customer_kind: tuple[str, ...] = ()
    product_type: tuple[str, ...] = ()
    vendor: tuple[str, ...] = ()
    by_first_order: bool = False

    def __bool__(self) -> bool:
        return any(self.chosen().values())

    def chosen(self) -> dict[str, tuple[str, ...]]:
        """The values by field, without fields that ask for nothing."""
        named = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "by_first_order"}
        return {name: values for name, values in named.items() if values}

    @property
    def of_orders(self) -> bool:
        """Whether only some orders are left."""
        return bool(self.channel or self.country or self.customer_kind)

    @property
    def of_products(self) -> bool:
        """Whether only lines of some products are left, so that shipping and fees of orders are not."""
        return bool(self.product_type or self.vendor)


EVERYTHING = Filters()


@lru_cache(maxsize=1024)
def criteria(shop_id: int, filters: Filters) -> dict[str, Any]:
    """By table, what narrows its class wherever it occurs. Its own subqueries are of tables, which nothing narrows."""
    if not filters:
        return {}
    if filters.by_first_order:
        buyers = _buyers(shop_id, filters)
        return {
            str(model.__tablename__): _narrowed(model, model.buyer_id.in_(buyers))
            for model in (Order, CustomerTotals, CustomerMonth)
        }
    found = {Order: _of_order(Order, shop_id, filters)}
    found[Checkout] = [func.coalesce(Checkout.country, "").in_(filters.country)] if filters.country else []
    if filters.of_products:
        wanted, lines = _products(shop_id, filters), CheckoutLine.__table__
        of_wanted = select(lines.c.checkout_id).where(lines.c.shop_id == shop_id, lines.c.product_id.in_(wanted))
        found[Checkout].append(Checkout.id.in_(of_wanted))
        found |= {model: [model.product_id.in_(wanted)] for model in (Sale, CheckoutLine, DailyProductSales)}
        found[Product] = [_of_product(Product, filters)]
    return {str(model.__tablename__): _narrowed(model, *found[model]) for model in found if found[model]}


def _narrowed(model: Any, *conditions: Any) -> Any:
    return with_loader_criteria(model, and_(*conditions), include_aliases=True)


def _of_order(order: Any, shop_id: int, filters: Filters) -> list[Any]:
    """Conditions of an order, as a model or as columns of its table."""
    found: list[Any] = [
        func.coalesce(getattr(order, name), "").in_(getattr(filters, field))
        for field, name in _FIELDS_OF_ORDERS.items()
        if getattr(filters, field)
    ]
    if filters.customer_kind:
        first = CustomerTotals.__table__.alias()
        firsts = select(first.c.first_order_id).where(first.c.shop_id == shop_id)
        kinds = {
            "": order.buyer_id.is_(None),
            "new": order.id.in_(firsts),
            "returning": and_(order.buyer_id.is_not(None), order.id.not_in(firsts)),
        }
        found.append(or_(*(kinds[kind] for kind in filters.customer_kind if kind in kinds), literal(False)))
    if filters.of_products:
        line = LineItem.__table__.alias()
        of_wanted = (line.c.order_id == order.id, line.c.product_id.in_(_products(shop_id, filters)))
        found.append(exists().where(line.c.shop_id == shop_id, *of_wanted))
    return found


def _products(shop_id: int, filters: Filters) -> Any:
    table = Product.__table__.alias()
    return select(table.c.id).where(table.c.shop_id == shop_id, _of_product(table.c, filters))


def _of_product(product: Any, filters: Filters) -> Any:
    asked = {name: getattr(filters, name) for name in ("product_type", "vendor")}
    return and_(*(getattr(product, name).in_(values) for name, values in asked.items() if values))


def _buyers(shop_id: int, filters: Filters) -> Any:
    """The buyers whose first order is wanted."""
    order, first = Order.__table__.alias(), CustomerTotals.__table__.alias()
    of_first = and_(first.c.shop_id == order.c.shop_id, first.c.first_order_id == order.c.id)
    wanted = and_(first.c.shop_id == shop_id, *_of_order(order.c, shop_id, filters))
    return select(first.c.buyer_id).select_from(first.join(order, of_first)).where(wanted)
