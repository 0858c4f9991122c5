"""The same door for checkouts that were left: by day, and what was in them. Their amounts are no sales.

Every function takes a shop_session() first. Money is in minor units of the shop's currency.
"""

import pandas as pd
from sqlalchemy import and_, case, desc, distinct, func, select
from sqlmodel import Session, col

from core.analytics.frames import read
from core.analytics.period import Period
from core.db.models import AbandonedCheckout, AbandonedCheckoutLine

CHECKOUT_SUMS = ("left", "left_value", "recovered", "recovered_value")

_RECOVERED = col(AbandonedCheckout.completed_at).is_not(None)


def checkout_days(session: Session, period: Period) -> pd.DataFrame:
    """Checkouts by the shop day they were made, zeros where there were none: index `day`, int64 CHECKOUT_SUMS.

    `left` counts all of them, `recovered` those completed since; values are of the checkouts' totals.
    """
    total = AbandonedCheckout.total
    statement = (
        select(
            col(AbandonedCheckout.day),
            func.count().label("left"),
            func.sum(total).label("left_value"),
            func.sum(case((_RECOVERED, 1), else_=0)).label("recovered"),
            func.sum(case((_RECOVERED, total), else_=0)).label("recovered_value"),
        )
        .where(col(AbandonedCheckout.day).between(period.start, period.end))
        .group_by(col(AbandonedCheckout.day))
    )
    frame = read(session, statement).set_index("day")
    frame.index = pd.DatetimeIndex(frame.index.astype("datetime64[s]"), name="day")
    days = pd.date_range(period.start, period.end, unit="s", name="day")
    return frame.reindex(days, fill_value=0).astype("int64")


def left_products(session: Session, period: Period, limit: int) -> pd.DataFrame:
    """What was in checkouts that nobody completed, most valuable first, ties by title.

    Columns: product_id (0 where it is gone), title (as in a checkout), checkouts, units, value (after discounts).
    """
    product = func.coalesce(AbandonedCheckoutLine.product_id, 0).label("product_id")
    value, title = func.sum(AbandonedCheckoutLine.total).label("value"), func.max(AbandonedCheckoutLine.title)
    own_title = case((product == 0, AbandonedCheckoutLine.title))
    statement = (
        select(
            product,
            title.label("title"),
            func.count(distinct(col(AbandonedCheckoutLine.checkout_id))).label("checkouts"),
            func.sum(AbandonedCheckoutLine.quantity).label("units"),
            value,
        )
        .select_from(AbandonedCheckoutLine)
        .join(AbandonedCheckout, and_(col(AbandonedCheckout.id) == col(AbandonedCheckoutLine.checkout_id)))
        .where(col(AbandonedCheckout.day).between(period.start, period.end), ~_RECOVERED)
        .group_by(product, own_title)
        .order_by(desc(value), title)
        .limit(limit)
    )
    return read(session, statement).astype(
        {"product_id": "int64", "checkouts": "int64", "units": "int64", "value": "int64"}
    )
