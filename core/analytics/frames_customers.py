"""The same door for whole customer bases and baskets: frames with a row for each buyer or line, not for each day.

Every function takes a shop_session() first. Money is in minor units of the shop's currency. Test and deleted orders
count nowhere, and buyers are those who are known.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    case,
    cast,
    distinct,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from core.analytics.frames import COUNTED, read, rows
from core.analytics.period import Period
from core.db import ledger
from core.db.engine import shop_of
from core.db.models import (
    CohortMonth,
    Customer,
    CustomerMonth,
    CustomerTotals,
    DailyBreakdown,
    DailySales,
    DaysBetween,
    LineItem,
    Order,
    Product,
    Sale,
)
from core.db.narrowed import filters_of, totals
from core.db.rollups import DIMENSIONS

_WHOLE = {"orders": "int64", "net_sales": "int64"}
_ROWS_AT_ONCE = 200  # so few that Python never looks for cycles among them: looking took twice as long as reading
_EVER = datetime.min.replace(tzinfo=UTC)
_OF_PRODUCTS = col(Sale.measure).in_(("gross_sales", "sales_reversals"))


def buyers(session: Session, day: date) -> pd.DataFrame:
    """Every buyer with an order up to the end of a shop day, in the order of their ids.

    Columns: buyer_id, orders, net_sales (booked up to that day), last_day (date of the latest order up to then). It
    takes the totals of all time less what came after, so that it is quickest for a recent day.
    """
    known = totals(session)
    names = ("buyer_id", "orders", "net_sales", "last_day")
    frame = _by_buyer(session, select(*(getattr(known, name) for name in names)))
    last = read(session, select(func.max(DailySales.day).label("day")))["day"].iloc[0]
    if last is None or last <= day:  # ledger and orders have nothing after it
        return frame.reset_index()
    # Grouped by a sum: by the plain column, SQLite reads every order in the buyers' order and not only the days asked.
    buyer = col(Order.buyer_id) + 0
    after = select(buyer.label("buyer_id")).where(col(Order.day) > day, *COUNTED).group_by(buyer)
    placed_later = _by_buyer(session, after.add_columns(func.count().label("orders")))
    booked_later = _by_buyer(
        session,
        select(buyer.label("buyer_id"), *ledger.sums(["net_sales"]))
        .join(Sale, col(Sale.order_id) == col(Order.id))
        .where(col(Sale.day) > day, _OF_PRODUCTS, *COUNTED)
        .group_by(buyer),
    )
    later = after.subquery()
    placed_on = func.coalesce(col(Order.day), None)  # by the index over buyers, and not by that over days
    until = _by_buyer(
        session,
        select(col(Order.buyer_id), func.max(col(Order.day)).label("last_day"))
        .join(later, later.c.buyer_id == col(Order.buyer_id))
        .where(placed_on <= day, *COUNTED)
        .group_by(col(Order.buyer_id)),
    )
    frame["orders"] -= placed_later["orders"].reindex(frame.index, fill_value=0)
    frame["net_sales"] -= booked_later["net_sales"].reindex(frame.index, fill_value=0)
    frame.loc[until.index, "last_day"] = until["last_day"]
    return frame[frame["orders"] > 0].reset_index()


def repeat_history(session: Session, day: date, only: int | None = None) -> pd.DataFrame:
    """When buyers, or `only` one, came back, up to the end of a shop day, by their ids; orders of one day are one.

    Columns: buyer_id, first_day and last_day (dates of orders), repeat_days (distinct days with an order after the
    first), repeat_value (net sales of the orders of those days, as booked up to `day`).
    """
    # Of one, the moment is asked for only because it is in the index over buyers, and not in that over days.
    of_one = (col(Order.buyer_id) == only, col(Order.processed_at) >= _EVER) if only is not None else ()
    placed = (func.coalesce(col(Order.day), None) if of_one else col(Order.day)) <= day, *COUNTED, *of_one
    until = select(
        col(Order.buyer_id),
        func.min(col(Order.day)).label("first_day"),
        func.max(col(Order.day)).label("last_day"),
        (func.count(distinct(col(Order.day))) - 1).label("repeat_days"),
    )
    until = until.where(*placed).group_by(col(Order.buyer_id))
    frame = _by_buyer(session, until)
    first = until.subquery()
    # Outer joins keep SQLite to this way, by the keys: of itself it takes every ledger row for each order.
    again = and_(first.c.buyer_id == col(Order.buyer_id), first.c.first_day < col(Order.day))
    booked = and_(col(Sale.order_id) == col(Order.id), func.coalesce(col(Sale.day), None) <= day, _OF_PRODUCTS)
    buyer = col(Order.buyer_id) + 0  # as in buyers()
    each = select(buyer.label("buyer_id"), *ledger.sums(["net_sales"])).select_from(Order)
    each = each.outerjoin(first, again).outerjoin(Sale, and_(booked, first.c.buyer_id.is_not(None)))
    value = _by_buyer(session, each.where(*placed).group_by(buyer))
    frame["repeat_value"] = value["net_sales"].reindex(frame.index, fill_value=0)
    return frame.astype({"repeat_days": "int64", "repeat_value": "int64"}).reset_index()


def order_products(session: Session, period: Period) -> pd.DataFrame:
    """The products in each order placed in a period: int64 columns order_id, product, a row per line.

    Lines whose product is gone are left out. Orders of nobody known count too.
    """
    statement = (
        select(col(LineItem.order_id), col(LineItem.product_id))
        .join(Order, col(Order.id) == col(LineItem.order_id))
        .where(col(Order.day).between(period.start, period.end), col(LineItem.product_id).is_not(None))
        .where(col(Order.test).is_(False), col(Order.deleted_at).is_(None))
    )
    shop_of(session)
    result = session.execute(statement, execution_options={"yield_per": _ROWS_AT_ONCE})
    # Lines are many: as numbers they take a tenth of the memory of rows.
    parts = [np.fromiter(chain.from_iterable(rows), np.int64) for rows in result.partitions()]
    pairs = np.concatenate([np.empty(0, np.int64), *parts]).reshape(-1, 2)
    return pd.DataFrame(pairs, columns=["order_id", "product"])


def cohort_cells(session: Session) -> pd.DataFrame:
    """What cohorts() needs: a row per month of a first order and month in which anything happened, in their order.

    Columns: first_month and month (dates, the first of a month), customers (with an order in that month), orders,
    net_sales (booked in that month, a refund without an order too).
    """
    if filters_of(session):
        statement = _cells(col(CustomerMonth.first_month), col(CustomerMonth.month))
    else:
        names = ("first_month", "month", "customers", "orders", "net_sales")
        statement = select(*(getattr(CohortMonth, name) for name in names))
        statement = statement.order_by(col(CohortMonth.first_month), col(CohortMonth.month))
    return read(session, statement).astype({"customers": "int64", **_WHOLE})


def _cells(*keys: Any) -> Select[Any]:
    return (
        select(
            *keys,
            func.sum(case((col(CustomerMonth.orders) > 0, 1), else_=0)).label("customers"),
            func.sum(CustomerMonth.orders).label("orders"),
            func.sum(CustomerMonth.net_sales).label("net_sales"),
        )
        .group_by(*keys)
        .order_by(*keys)
    )


def cohort_cells_by(session: Session, dimension: str, since: date, limit: int) -> pd.DataFrame:
    """As cohort_cells() for first orders from the month `since` on, by what those first orders have in common.

    `dimension` is channel, country or discount_code, or product: then a buyer counts once in each product of their
    first order. Only the `limit` values with most buyers, those with most first. Columns: value ("" where unknown; of
    products the number), name (of products the title), first_month, month, customers, orders, net_sales. It reads the
    first orders and the months of every buyer since then.
    """
    field = DIMENSIONS.get(dimension) or ""
    value: Any = func.coalesce(getattr(Order, field), "") if field else col(LineItem.product_id)
    buyers = func.count().label("buyers")
    known = select(value.label("value"), buyers).select_from(CustomerTotals)
    sizes = _of_first_order(known, dimension).where(col(CustomerTotals.first_day) >= since)
    best = read(session, sizes.group_by(value).order_by(buyers.desc(), value).limit(limit))["value"].tolist()
    # From the months on, one look-up after the other: a database that joins sums first may take hours.
    each = _cells(value.label("value"), col(CustomerMonth.first_month), col(CustomerMonth.month))
    each = each.select_from(CustomerMonth).join(
        CustomerTotals, col(CustomerTotals.buyer_id) == col(CustomerMonth.buyer_id)
    )
    known_since = (col(CustomerMonth.month) >= since.replace(day=1), col(CustomerMonth.first_month) >= since)
    found = read(session, _of_first_order(each, dimension).where(*known_since, value.in_(best)))
    names = {number: number for number in best}
    if not field:
        titled = read(session, select(col(Product.id), col(Product.title)).where(col(Product.id).in_(best)))
        names |= dict(zip(titled["id"], titled["title"], strict=True))
    found.insert(1, "name", [names[number] for number in found["value"]])
    place = {number: at for at, number in enumerate(best)}
    found = found.sort_values("value", key=lambda values: values.map(place), kind="stable", ignore_index=True)
    return found.astype({"customers": "int64", **_WHOLE})


def _of_first_order(statement: Select[Any], dimension: str) -> Select[Any]:
    """With the first order of each buyer, and its lines where products are asked for, each product of it once."""
    statement = statement.join(Order, col(Order.id) == col(CustomerTotals.first_order_id))
    if dimension != "product":
        return statement
    line = and_(col(LineItem.order_id) == col(Order.id), col(LineItem.product_id).is_not(None))
    other = aliased(LineItem)
    again = select(col(other.id)).where(
        col(other.order_id) == col(LineItem.order_id),
        col(other.product_id) == col(LineItem.product_id),
        col(other.id) < col(LineItem.id),
    )
    return statement.join(LineItem, line).where(~again.correlate(LineItem).exists())


def repurchase_gaps(session: Session, period: Period) -> pd.DataFrame:
    """How many days after their buyer's order before it the orders of a period were placed.

    Columns: days (0 on the same day), orders; ascending, only what occurs. First orders are left out.
    """
    if filters_of(session):
        return _gaps_of_orders(session, period)
    gap = _days_after(session, col(DaysBetween.day), col(DaysBetween.before)).label("days")
    pairs = select(gap, func.sum(DaysBetween.customers).label("orders"))
    pairs = pairs.where(col(DaysBetween.grain) == "day", col(DaysBetween.day).between(period.start, period.end))
    frame = read(session, pairs.group_by(gap).order_by(gap)).astype("int64")
    placed_again = select(func.coalesce(func.sum(DailyBreakdown.orders), 0).label("orders")).where(
        col(DailyBreakdown.dimension) == "customer_kind",
        col(DailyBreakdown.value) == "returning",
        col(DailyBreakdown.day).between(period.start, period.end),
    )
    # Of a buyer's orders of one day, the first comes after another day, and the others after it.
    same_day = int(read(session, placed_again)["orders"].iloc[0]) - int(frame["orders"].sum())
    none = pd.DataFrame({"days": [0], "orders": [same_day]})
    return pd.concat([none, frame], ignore_index=True) if same_day else frame


def _gaps_of_orders(session: Session, period: Period) -> pd.DataFrame:
    """The same from the orders themselves, as filters leave them in."""
    before = aliased(Order)
    earlier = or_(
        col(before.processed_at) < col(Order.processed_at),
        and_(col(before.processed_at) == col(Order.processed_at), col(before.id) < col(Order.id)),
    )
    previous = (
        select(col(before.day))
        .where(col(before.buyer_id) == col(Order.buyer_id), col(before.processed_at) <= col(Order.processed_at))
        .where(earlier, col(before.test).is_(False), col(before.deleted_at).is_(None))
        .order_by(col(before.processed_at).desc(), col(before.id).desc())
        .limit(1)
        .correlate(Order)
        .scalar_subquery()
    )
    placed = select(col(Order.day), previous.label("previous"))
    pairs = placed.where(col(Order.day).between(period.start, period.end), *COUNTED).subquery()
    days = _days_after(session, pairs.c.day, pairs.c.previous)
    gaps = select(days.label("days"), func.count().label("orders")).where(pairs.c.previous.is_not(None))
    return read(session, gaps.group_by(days).order_by(days)).astype("int64")


def _days_after(session: Session, day: Any, before: Any) -> ColumnElement[int]:
    if session.get_bind().dialect.name == "sqlite":
        return cast(func.julianday(day) - func.julianday(before), Integer)
    return type_coerce(day - before, Integer)


def customer_names(session: Session, customer_ids: Sequence[int]) -> dict[int, str]:
    """The names of these customers by id, without those that have none here."""
    known = select(col(Customer.id), col(Customer.name)).where(col(Customer.id).in_(customer_ids))
    return {row.id: row.name for row in read(session, known).itertuples(index=False) if row.name}


def _by_buyer(session: Session, statement: Select[*tuple[Any, ...]]) -> pd.DataFrame:
    """The rows of a statement by buyer_id, ascending: dates where a name ends in _day, else numbers; none is null.

    There may be a row for every customer: the database writes each column as one text, because making a row of
    Python's for each takes four times as long. Every text is of the same rows in the same order.
    """
    each = statement.subquery().c
    texts = (func.aggregate_strings(cast(column, String), ",").label(column.name) for column in each)
    (row,) = rows(session, select(*texts))
    columns = {
        name: _dates(text or "") if name.endswith("_day") else np.fromstring(text or "", dtype=np.int64, sep=",")
        for name, text in zip(each.keys(), row, strict=True)
    }
    return pd.DataFrame(columns).set_index("buyer_id").sort_index()


def _dates(text: str) -> np.ndarray:
    """Dates as an array of objects, from their ISO forms with commas between."""
    digits = np.frombuffer(f"{text},".encode() if text else b"", np.uint8).reshape(-1, 11).astype(np.int64) - ord("0")
    year, month, day = (digits[:, places] @ tens for places, tens in _OF_DATE)
    months = (year - 1970) * 12 + month - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1
    if not len(days):
        return np.empty(0, object)
    first = int(days.min())
    every = np.arange(first, int(days.max()) + 1).astype("datetime64[D]").astype(object)
    return np.asarray(every[days - first])


_OF_DATE = ((slice(0, 4), [1000, 100, 10, 1]), (slice(5, 7), [10, 1]), (slice(8, 10), [10, 1]))
