"""The same door for rows behind figures that days and filters alone do not describe: of cohorts, and of any breakdown.

Every function takes a shop_session() first. Money is in minor units of the shop's currency. Test and deleted orders
are left out.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Select, and_, case, distinct, extract, func, literal, not_, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from core.analytics.frames import COUNTED, read
from core.analytics.frames_orders import with_sums
from core.analytics.period import Period
from core.db.models import Customer, CustomerTotals, LineItem, Order, Product, Sale
from core.db.rollups import DIMENSIONS

# What a value of a breakdown by products can be beside one of the catalogue: of products that it does not have (they
# are gone, or were not fetched yet), or of no product at all.
NOT_LISTED, OF_NO_PRODUCT = "not listed", "of no product"
OF_CATALOGUE = ("vendor", "product_type", "category")
_HEADER = (
    "id", "name", "processed_at", "customer_id", "source", "country", "financial_status", "fulfillment_status",
    "current_total",
)  # fmt: skip
_BOOKED = (
    "order_id", "day", "reason", "measure", "quantity", "discount", "tax_amount", "total_amount",
)  # fmt: skip
_SUMS = ("discount", "tax_amount", "total_amount")
_OF_GOODS = col(Sale.measure).in_(("gross_sales", "sales_reversals"))


@dataclass(frozen=True)
class OfBuyers:
    """What buyers did so many months after the month of their first order ever; with `up_to`, in all months until then.

    Their first orders fell in the months from `first` (None for the earliest) to `last`, each named by its first day;
    with `first`, nothing before it counts. `dimension` and `value` say what the first order was like, see
    frames_customers.cohort_cells_by(); "" for all.
    """

    first: date | None
    last: date
    months_since: int
    up_to: bool = False
    dimension: str = ""
    value: str = ""


@dataclass(frozen=True)
class OfSales:
    """The net sales of a period by what they have in common: any of `values`, with `besides` everything else.

    `dimension` is one of rollups.DIMENSIONS or OF_CATALOGUE, with values written is(), or "product", with values
    written number() and titled(). Of products there are NOT_LISTED and OF_NO_PRODUCT, too.
    """

    period: Period
    dimension: str
    values: tuple[str, ...]
    besides: bool = False


Behind = OfBuyers | OfSales


def value_is(value: str) -> str:
    """A value as it is stored, written for OfSales."""
    return f"={value}"


def number(product_id: int) -> str:
    """A product, written for OfSales."""
    return f"#{product_id}"


def titled(title: str) -> str:
    """Products that are gone and were sold under a title, written for OfSales."""
    return f"~{title}"


def orders_behind(
    session: Session, behind: OfBuyers, limit: int, offset: int, within: Period | None = None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Orders `offset` to `offset + limit`, the newest first, and how many orders and customers there are in all.

    Columns: those of an order's header, customer_name (None if unknown), units (sold), net_sales (booked up to today).
    """
    of_buyers = (*_days(col(Order.day), within), *_of_buyers(col(Order.day), behind))
    counts = select(func.count().label("orders"), func.count(distinct(col(Order.buyer_id))).label("customers"))
    counts = counts.select_from(Order).join(CustomerTotals, _OF_BUYER).where(*COUNTED, *of_buyers)
    columns = (getattr(Order, name) for name in _HEADER)
    header: Select[Any] = select(*columns, col(Customer.name).label("customer_name")).select_from(Order)
    statement = (
        header.join(CustomerTotals, _OF_BUYER)
        .outerjoin(Customer, col(Customer.id) == col(Order.customer_id))
        .where(*COUNTED, *of_buyers)
        .order_by(col(Order.day).desc(), col(Order.processed_at).desc(), col(Order.id).desc())
    )
    found = with_sums(session, read(session, statement.limit(limit).offset(offset)))
    return found, {str(name): int(count) for name, count in read(session, counts).iloc[0].items()}


def rows_behind(
    session: Session, behind: Behind, limit: int, offset: int, within: Period | None = None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Ledger rows of net sales, `offset` to `offset + limit`, the newest day first, and what all of them come to.

    Columns: order_id, name (of the order), day, reason, measure, quantity, discount, tax_amount, total_amount, title
    (of the line; "" where it belongs to none). In the sums: rows, discount, tax_amount, total_amount; amounts are
    signed.
    """
    summed = (func.coalesce(func.sum(getattr(Sale, name)), 0).label(name) for name in _SUMS)
    all_of_them: Select[Any] = select(func.count().label("rows")).add_columns(*summed)
    sums = read(session, _booked(all_of_them, behind, within)).iloc[0]
    line = and_(col(LineItem.order_id) == col(Sale.order_id), col(LineItem.id) == col(Sale.line_item_id))
    title = func.coalesce(LineItem.title, Sale.product_title).label("title")
    columns = (getattr(Sale, name) for name in _BOOKED)
    each: Select[Any] = select(*columns).add_columns(col(Order.name), title)
    statement = _booked(each, behind, within).outerjoin(LineItem, line)
    statement = statement.order_by(col(Sale.day).desc(), col(Sale.order_id).desc(), col(Sale.id))
    found = read(session, statement.limit(limit).offset(offset))
    return found, {str(name): int(amount) for name, amount in sums.items()}


def marked(session: Session, sold: pd.DataFrame) -> pd.DataFrame:
    """What frames_products.product_sales() found, with `listed`: whether the catalogue has the product.

    It has those deleted in Shopify, too; not those that were gone before, and those that were not fetched yet.
    """
    # What the catalogue has nothing of has neither type nor vendor; most of the others have one.
    doubtful = sold["product_id"][(sold["product_id"] != 0) & (sold["product_type"] == "") & (sold["vendor"] == "")]
    known = select(col(Product.id)).where(col(Product.id).in_(doubtful.tolist()))
    unknown = set(doubtful) - set(read(session, known)["id"] if len(doubtful) else ())
    return sold.assign(listed=(sold["product_id"] != 0) & ~sold["product_id"].isin(unknown))


def _booked(statement: Select[Any], behind: Behind, within: Period | None) -> Select[Any]:
    statement = statement.select_from(Sale).join(Order, col(Order.id) == col(Sale.order_id))
    statement = statement.where(*COUNTED[:2], _OF_GOODS, *_days(col(Sale.day), within))
    if isinstance(behind, OfBuyers):
        return statement.join(CustomerTotals, _OF_BUYER).where(*_of_buyers(col(Sale.day), behind))
    statement = statement.where(*_days(col(Sale.day), behind.period))
    if behind.dimension == "customer_kind":
        statement = statement.outerjoin(CustomerTotals, _OF_BUYER)
    elif behind.dimension not in DIMENSIONS:
        statement = statement.outerjoin(Product, col(Product.id) == col(Sale.product_id))
    any_of = or_(literal(False), *(_is(behind.dimension, value) for value in behind.values))
    return statement.where(not_(any_of) if behind.besides else any_of)


def _is(dimension: str, value: str) -> ColumnElement[bool]:
    """Whether a ledger row has a value; never unknown, so that it can be turned round."""
    of_none = and_(col(Sale.product_id).is_(None), col(Sale.product_title) == "")
    if value == OF_NO_PRODUCT:
        return of_none
    if value == NOT_LISTED:
        return and_(col(Product.id).is_(None), not_(of_none))
    wanted = value[1:]
    if value.startswith("#"):
        return func.coalesce(Sale.product_id, 0) == int(wanted)
    if value.startswith("~"):
        return and_(col(Sale.product_id).is_(None), col(Sale.product_title) == wanted)
    if dimension in DIMENSIONS:
        field = DIMENSIONS[dimension]
        found: Any = _kind() if field is None else func.coalesce(getattr(Order, field), "")
        is_wanted: ColumnElement[bool] = found == wanted
        return is_wanted
    return and_(col(Product.id).is_not(None), func.coalesce(getattr(Product, dimension), "") == wanted)


def _kind() -> ColumnElement[str]:
    is_first = func.coalesce(CustomerTotals.first_order_id, 0) == col(Order.id)
    return case((col(Order.buyer_id).is_(None), ""), (is_first, "new"), else_="returning")


def _of_buyers(day: Any, behind: OfBuyers) -> list[ColumnElement[bool]]:
    """Conditions of what happened on a day, beside the totals of its buyer."""
    began = col(CustomerTotals.first_day)
    since = _months(day) - _months(began)
    found = [
        began < _months_after(behind.last, 1),
        day < _months_after(behind.last, behind.months_since + 1),
        since <= behind.months_since if behind.up_to else since == behind.months_since,
    ]
    if behind.first is not None:
        found += [began >= behind.first, day >= behind.first]
    if behind.dimension == "product":
        line = select(literal(1)).where(
            col(LineItem.order_id) == col(CustomerTotals.first_order_id), col(LineItem.product_id) == int(behind.value)
        )
        found.append(line.correlate(CustomerTotals).exists())
    elif behind.dimension:
        first = aliased(Order)
        like = func.coalesce(getattr(first, DIMENSIONS[behind.dimension] or ""), "") == behind.value
        order = select(literal(1)).where(col(first.id) == col(CustomerTotals.first_order_id), like)
        found.append(order.correlate(CustomerTotals).exists())
    return found


def _days(day: Any, within: Period | None) -> list[ColumnElement[bool]]:
    return [day.between(within.start, within.end)] if within else []


def _months(day: Any) -> Any:
    """Months counted from the year 0."""
    return extract("year", day) * 12 + extract("month", day)


def _months_after(month: date, count: int) -> date:
    total = month.year * 12 + month.month - 1 + count
    return date(total // 12, total % 12 + 1, 1)


_OF_BUYER: Any = col(CustomerTotals.buyer_id) == col(Order.buyer_id)
