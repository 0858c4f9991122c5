"""The same door for one customer or one product: what they ordered, who bought it, what was bought with it.

Every function takes a shop_session() first. Money is in minor units of the shop's currency. Test and deleted orders
count nowhere.
"""

import re

import pandas as pd
from sqlalchemy import ColumnElement, and_, desc, distinct, func, or_, select
from sqlmodel import Session, col

from core.analytics.frames import COUNTED, read
from core.analytics.period import Period
from core.db import ledger
from core.db.models import Customer, CustomerTotals, LineItem, Order, Product, Sale

_OF_PRODUCTS = col(Sale.measure).in_(("gross_sales", "sales_reversals"))
# Orders of nobody known, too.
_OF_ANYBODY = (col(Order.test).is_(False), col(Order.deleted_at).is_(None))
_PRODUCT_SUMS = ("net_sales", "units_sold", "units_returned")


def one_customer(session: Session, buyer_id: int) -> pd.DataFrame:
    """The totals of one buyer over all time; no row where nobody has this number.

    Columns: buyer_id (negative for guests), name (None where unknown), orders, net_sales, first_day,
    first_order_at, last_order_at.
    """
    names = ("buyer_id", "orders", "net_sales", "first_day", "first_order_at", "last_order_at")
    statement = select(*(getattr(CustomerTotals, name) for name in names), col(Customer.name))
    statement = statement.outerjoin(Customer, col(Customer.id) == col(CustomerTotals.buyer_id))
    return read(session, statement.where(col(CustomerTotals.buyer_id) == buyer_id))


def customer_orders(session: Session, buyer_id: int) -> pd.DataFrame:
    """The orders of one buyer, the oldest first; columns id, name, day, financial_status, fulfillment_status, units,
    net_sales (booked up to today).
    """
    names = ("id", "name", "day", "processed_at", "financial_status", "fulfillment_status")
    columns = [getattr(Order, name) for name in names]
    sums = ledger.sums(["units_sold", "net_sales"])
    statement = (
        select(*columns, *sums)
        .outerjoin(Sale, col(Sale.order_id) == col(Order.id))
        .where(col(Order.buyer_id) == buyer_id, *COUNTED)
        .group_by(*columns)
        .order_by(col(Order.processed_at), col(Order.id))
    )
    frame = read(session, statement).astype({"units_sold": "int64", "net_sales": "int64"})
    return frame.rename(columns={"units_sold": "units"}).drop(columns="processed_at")


def customer_days(session: Session, buyer_id: int) -> pd.DataFrame:
    """Net sales of one buyer by the day they were booked, ascending: day (date), net_sales."""
    statement = (
        select(col(Sale.day), *ledger.sums(["net_sales"]))
        .join(Order, col(Order.id) == col(Sale.order_id))
        .where(col(Order.buyer_id) == buyer_id, _OF_PRODUCTS, *COUNTED)
        .group_by(col(Sale.day))
        .order_by(col(Sale.day))
    )
    return read(session, statement).astype({"net_sales": "int64"})


def find_customers(session: Session, text: str, personal: bool, limit: int) -> pd.DataFrame:
    """Buyers with this number, or `personal` data that has the text: as one_customer(), most net sales first."""
    names = ("buyer_id", "orders", "net_sales", "last_order_at")
    columns = [*(getattr(CustomerTotals, name) for name in names), col(Customer.name)]
    statement = select(*columns).outerjoin(Customer, col(Customer.id) == col(CustomerTotals.buyer_id))
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        statement = statement.where(col(CustomerTotals.buyer_id) == int(text))
    elif personal and text:
        fields = (Customer.name, Customer.email)
        statement = statement.where(or_(*(func.lower(each).contains(text.lower(), autoescape=True) for each in fields)))
    else:
        statement = statement.where(col(CustomerTotals.buyer_id).in_(()))
    best_first = (col(CustomerTotals.net_sales).desc(), col(CustomerTotals.buyer_id))
    return read(session, statement.order_by(*best_first).limit(limit))


def product_variants(session: Session, period: Period, product_id: int) -> pd.DataFrame:
    """What each variant of a product sold and lost to returns in a period: variant_id, title, _PRODUCT_SUMS."""
    line = and_(col(LineItem.order_id) == col(Sale.order_id), col(LineItem.id) == col(Sale.line_item_id))
    title = func.max(func.coalesce(LineItem.variant_title, "")).label("title")
    statement = (
        select(col(LineItem.variant_id), title, *ledger.sums(_PRODUCT_SUMS))
        .select_from(Sale)
        .join(Order, col(Order.id) == col(Sale.order_id))
        .join(LineItem, line)
        .where(col(Sale.day).between(period.start, period.end), col(Sale.product_id) == product_id, *_OF_ANYBODY)
        .group_by(col(LineItem.variant_id))
        .order_by(desc("net_sales"), "title")
    )
    return read(session, statement).astype(dict.fromkeys(_PRODUCT_SUMS, "int64"))


def product_buyers(session: Session, period: Period, product_id: int, limit: int) -> tuple[pd.DataFrame, int]:
    """Who bought most of a product in a period, and how many known customers did.

    Columns: buyer_id, name (None where unknown), orders (with ledger rows of it), net_sales, units_sold,
    units_returned of the product alone; best first, ties by buyer_id.
    """
    sums = ledger.sums(_PRODUCT_SUMS)
    bought = (
        select(col(Order.buyer_id), func.count(distinct(col(Order.id))).label("orders"), *sums)
        .select_from(Sale)
        .join(Order, col(Order.id) == col(Sale.order_id))
        .where(col(Sale.day).between(period.start, period.end), col(Sale.product_id) == product_id, *_OF_ANYBODY)
        .where(col(Order.buyer_id).is_not(None))
        .group_by(col(Order.buyer_id))
    ).subquery()
    best = (
        select(bought, func.count().over().label("buyers"))
        .order_by(desc(bought.c.net_sales), bought.c.buyer_id)
        .limit(limit)
        .subquery()
    )
    statement = select(best, col(Customer.name)).outerjoin(Customer, col(Customer.id) == best.c.buyer_id)
    frame = read(session, statement.order_by(desc(best.c.net_sales), best.c.buyer_id))
    buyers = int(frame["buyers"].iloc[0]) if len(frame) else 0
    return frame.drop(columns="buyers").astype(dict.fromkeys(("orders", *_PRODUCT_SUMS), "int64")), buyers


def product_orders(session: Session, period: Period, product_id: int) -> pd.DataFrame:
    """How many orders placed in a period have a product: one row, column orders."""
    return read(session, select(func.count().label("orders")).select_from(Order).where(*_with(period, product_id)))


def product_companions(session: Session, period: Period, product_id: int, limit: int) -> pd.DataFrame:
    """What else was in the orders of a period that have a product, most frequent first, ties by title.

    Columns: product_id, title (the catalogue's), orders (with both).
    """
    orders = func.count(distinct(col(LineItem.order_id))).label("orders")
    statement = (
        select(col(LineItem.product_id), func.max(Product.title).label("title"), orders)
        .select_from(Order)
        .join(LineItem, col(LineItem.order_id) == col(Order.id))
        .join(Product, col(Product.id) == col(LineItem.product_id))
        .where(*_with(period, product_id), col(LineItem.product_id) != product_id)
        .group_by(col(LineItem.product_id))
        .order_by(desc("orders"), "title")
        .limit(limit)
    )
    return read(session, statement).astype({"orders": "int64"})


def _with(period: Period, product_id: int) -> tuple[ColumnElement[bool], ...]:
    """Orders of a period that have a product: their ledger says so, order by order."""
    has_it = select(col(Sale.id)).where(col(Sale.order_id) == col(Order.id), col(Sale.product_id) == product_id)
    return (col(Order.day).between(period.start, period.end), has_it.correlate(Order).exists(), *_OF_ANYBODY)
