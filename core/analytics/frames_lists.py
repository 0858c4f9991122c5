"""The same door for whole lists, a page after another: what comes after a row never shifts while others are added.

Every function takes a shop_session() first. Money is in minor units of the shop's currency. Test and deleted orders
are left out.
"""

from datetime import date

import pandas as pd
from sqlalchemy import and_, case, func, or_, select
from sqlmodel import Session, col

from core.analytics.frames import COUNTED, read, sold_products
from core.analytics.frames_orders import orders_by_day, with_sums
from core.analytics.period import Period
from core.db.models import Customer, Order, Product
from core.db.narrowed import totals

_ORDER = (
    "id", "name", "processed_at", "day", "customer_id", "source", "country", "discount_codes", "financial_status",
    "fulfillment_status", "cancelled_at", "updated_at", "current_total",
)  # fmt: skip
_PRODUCT = ("id", "title", "status", "product_type", "vendor", "category", "updated_at")


def orders_after(session: Session, period: Period, after: tuple[date, int] | None, limit: int) -> pd.DataFrame:
    """The next orders of a period by day and id, after that day and id.

    Columns: those of _ORDER, units (sold) and net_sales (booked up to today).
    """
    start = max(period.start, after[0]) if after else period.start
    if start > period.end:
        return pd.DataFrame(columns=[*_ORDER, "units", "net_sales"])
    # Only the days that hold the next orders are read: the sums know them.
    days = orders_by_day(session, Period(start, period.end), {}).sort_values("day")
    enough = days.loc[days["orders"].cumsum() >= limit + int(days["orders"].iloc[0] if len(days) else 0), "day"]
    until = enough.iloc[0] if len(enough) else period.end
    statement = (
        select(*(getattr(Order, name) for name in _ORDER))
        .where(col(Order.day).between(start, until), *COUNTED[:2])
        .order_by(col(Order.day), col(Order.id))
        .limit(limit)
    )
    if after:
        beyond = and_(col(Order.day) == after[0], col(Order.id) > after[1])
        statement = statement.where(or_(col(Order.day) > after[0], beyond))
    return with_sums(session, read(session, statement))


def customers_after(session: Session, after: int | None, limit: int) -> pd.DataFrame:
    """The next buyers by their number, after that one, with what they ordered in all of time.

    Columns: buyer_id, customer_id (None for guests), name (None if unknown), orders, net_sales, last_order_at.
    """
    known = totals(session)
    customer_id = case((known.buyer_id > 0, known.buyer_id)).label("customer_id")
    statement = (
        select(known.buyer_id, customer_id, col(Customer.name), known.orders, known.net_sales, known.last_order_at)
        .outerjoin(Customer, col(Customer.id) == known.buyer_id)
        .order_by(known.buyer_id)
        .limit(limit)
    )
    frame = read(session, statement if after is None else statement.where(known.buyer_id > after))
    return frame.astype({"orders": "int64", "net_sales": "int64"})


def products_after(session: Session, period: Period, after: int | None, limit: int) -> pd.DataFrame:
    """The next products of the catalogue by their number, after that one, with what was sold of them in a period.

    Columns: id, title, status, product_type, vendor, category, updated_at, units, net_sales. Those that are gone are
    not in it.
    """
    sums = {"units": ("units_sold",), "net_sales": ("gross_sales", "discounts", "sales_reversals")}
    sold = sold_products(session, period, sums)
    statement = (
        select(
            *(getattr(Product, name) for name in _PRODUCT),
            *(func.coalesce(sold.c[name], 0).label(name) for name in sums),
        )
        .outerjoin(sold, sold.c.product_id == col(Product.id))
        .where(col(Product.deleted_at).is_(None))
        .order_by(col(Product.id))
        .limit(limit)
    )
    frame = read(session, statement if after is None else statement.where(col(Product.id) > after))
    return frame.astype(dict.fromkeys(sums, "int64"))  # PostgreSQL's sums are decimals
