"""The same door for what explains a difference from Shopify's own figures, and for the check of every order.

Every function takes a shop_session() first. Money is in minor units of the shop's currency.
"""

from collections.abc import Collection
from datetime import date
from typing import Any

import pandas as pd
from sqlalchemy import and_, case, func, or_, select
from sqlmodel import Session, col

from core.analytics.frames import read
from core.analytics.period import Period
from core.db import ledger
from core.db.models import Order, QuarantinedRow, Sale

LEDGER_SUMS = (
    "gross_sales", "discounts", "sales_reversals", "net_sales", "shipping", "taxes", "duties", "additional_fees",
    "return_fees",
)  # fmt: skip
_COUNTED = (col(Order.test).is_(False), col(Order.deleted_at).is_(None))
_IN_ONE_STATEMENT = 500


def left_out(session: Session, days: Collection[date]) -> pd.DataFrame:
    """Test and deleted orders with what each would add to these days, were it counted.

    Columns: day (date), order_id, name, test (bool), int64 orders (1 on the day it was placed) and LEDGER_SUMS.
    """
    counts_nowhere = or_(col(Order.test), col(Order.deleted_at).is_not(None))
    of_order: tuple[Any, ...] = (col(Order.id).label("order_id"), col(Order.name), col(Order.test))
    booked = (
        select(col(Sale.day), *of_order, *ledger.sums(LEDGER_SUMS))
        .join(Sale, col(Sale.order_id) == col(Order.id))
        .where(col(Sale.day).in_(days), counts_nowhere)
        .group_by(col(Sale.day), col(Order.id), col(Order.name), col(Order.test))
    )
    placed = select(col(Order.day), *of_order).where(col(Order.day).in_(days), counts_nowhere)
    keys = ["day", "order_id", "name", "test"]
    frame = read(session, placed).assign(orders=1).merge(read(session, booked), on=keys, how="outer")
    numbers = ["orders", *LEDGER_SUMS]
    frame[numbers] = frame[numbers].astype("Int64").fillna(0).astype("int64")
    return frame.astype({"test": bool})[[*keys, *numbers]]


def derived_orders(session: Session, days: Collection[date]) -> pd.DataFrame:
    """How many orders of each day have a ledger made from lines and refunds, as Shopify gave none: day, orders."""
    statement = (
        select(col(Order.day), func.count().label("orders"))
        .where(col(Order.day).in_(days), col(Order.derived), *_COUNTED)
        .group_by(col(Order.day))
    )
    return read(session, statement).astype({"orders": "int64"})


def set_aside_orders(session: Session) -> pd.DataFrame:
    """Orders that could not be stored: order_id, day of the older version that is stored (None without one)."""
    keys = read(session, select(col(QuarantinedRow.key)).where(col(QuarantinedRow.stream) == "orders"))["key"]
    numbers = [key.partition("/")[2] for key in keys]
    ids = [int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0 for number in numbers]
    known: dict[int, date] = {}
    for start in range(0, len(ids), _IN_ONE_STATEMENT):
        chunk = ids[start : start + _IN_ONE_STATEMENT]
        stored = read(session, select(col(Order.id), col(Order.day)).where(col(Order.id).in_(chunk)))
        known |= dict(zip(stored["id"], stored["day"], strict=True))
    return pd.DataFrame({"order_id": ids, "day": [known.get(number) for number in ids]}, dtype=object)


def unbalanced_orders(session: Session, period: Period, limit: int) -> tuple[pd.DataFrame, int]:
    """Orders of a period whose ledger does not add up to Shopify's own totals of the order, and how many were checked.

    Columns: order_id, name, day, booked (all rows), current_total, booked_at_first (of the purchase), original_total.
    """
    of_purchase = and_(col(Sale.in_first_agreement), col(Sale.action_type) == "ORDER")
    booked = func.coalesce(func.sum(Sale.total_amount), 0)
    at_first = func.coalesce(func.sum(case((of_purchase, Sale.total_amount), else_=0)), 0)
    columns: tuple[Any, ...] = (col(Order.id).label("order_id"), col(Order.name), col(Order.day))
    totals = (col(Order.current_total), col(Order.original_total))
    placed = (col(Order.day).between(period.start, period.end), *_COUNTED)
    statement = (
        select(*columns, booked.label("booked"), totals[0], at_first.label("booked_at_first"), totals[1])
        .outerjoin(Sale, col(Sale.order_id) == col(Order.id))
        .where(*placed)
        .group_by(*(getattr(Order, name) for name in ("id", "name", "day", "current_total", "original_total")))
        .having(or_(booked != totals[0], at_first != totals[1]))
        .order_by(col(Order.day).desc(), col(Order.id).desc())
        .limit(limit)
    )
    numbers = ("order_id", "booked", "current_total", "booked_at_first", "original_total")
    found = read(session, statement).astype(dict.fromkeys(numbers, "int64"))
    checked: Any = read(session, select(func.count(col(Order.id)).label("orders")).where(*placed))
    return found, int(checked["orders"].iloc[0])
