"""The one door from analytics to SQL: one shop's rows as small pandas frames.

Every function takes a shop_session() first. Money is in minor units of the shop's currency. Statements select
columns of the models, so that the tenant guard filters them.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import reduce
from operator import add
from typing import Any, Literal

import numpy as np
import pandas as pd
from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    desc,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlmodel import Session, col

from core.analytics.period import Period
from core.db import ledger
from core.db.engine import shop_of
from core.db.models import (
    Customer,
    CustomerMonth,
    CustomerTotals,
    DailyProductSales,
    DailySales,
    MonthlyProductSales,
    Order,
    Product,
    Sale,
)
from core.db.narrowed import filters_of, source

_FEW_DAYS, _MANY_DAYS, _FEW_MONTHS, _SOME_MONTHS = 14, 100, 4, 15
_FIRST, _FEW_BUYERS, _AT_ONCE = 250, 5_000, 200
SUMS = tuple(name for name in DailySales.model_fields if name not in ("shop_id", "day"))

COUNTED: tuple[ColumnElement[bool], ...] = (
    col(Order.test).is_(False),
    col(Order.deleted_at).is_(None),
    col(Order.buyer_id).is_not(None),
)


def daily_sales(session: Session, period: Period) -> pd.DataFrame:
    """Every day of the period, zeros where nothing happened: index `day` (datetime64), int64 columns SUMS."""
    days = source(session, DailySales, period.start, period.end)
    statement = select(days.day, *(getattr(days, name) for name in SUMS))
    statement = statement.where(days.day.between(period.start, period.end))
    sums = np.zeros((period.days, len(SUMS)), dtype=np.int64)
    for day, *found in rows(session, statement):
        sums[(day - period.start).days] = found
    every = pd.date_range(period.start, period.end, unit="s", name="day")
    return pd.DataFrame(sums, index=every, columns=list(SUMS))


def top_customers(
    session: Session, period: Period, limit: int, by: Literal["net_sales", "orders"] = "net_sales"
) -> pd.DataFrame:
    """The best buyers of a period, best first, ties by buyer_id.

    Columns: buyer_id, customer_id (None for guests), name (None if unknown), orders (placed in the period),
    net_sales (booked in the period), last_order_at (the latest of all time).
    """
    of_many = by == "net_sales" and period.days > _FEW_DAYS and not filters_of(session)
    best = _best_of_few(session, period, limit) if of_many else None
    if best is None:
        best = rows(session, _sums(session, period).order_by(desc(by), "buyer_id").limit(limit))
    last_order_at = col(CustomerTotals.last_order_at)
    of_best = select(col(CustomerTotals.buyer_id), col(Customer.name), last_order_at).outerjoin(
        Customer, col(Customer.id) == col(CustomerTotals.buyer_id)
    )
    found = rows(session, of_best.where(col(CustomerTotals.buyer_id).in_([buyer for buyer, *_ in best])))
    known = {buyer: (name, at) for buyer, name, at in found}
    columns = ["buyer_id", "customer_id", "name", "orders", "net_sales", "last_order_at"]
    listed = []
    for buyer, orders, net_sales in best:
        name, at = known.get(buyer, (None, None))
        listed.append((buyer, buyer if buyer > 0 else None, name, orders, net_sales, at))  # guests are below 0
    frame = pd.DataFrame(listed, columns=columns, dtype=object)
    return frame.astype({"buyer_id": "int64", "orders": "int64", "net_sales": "int64"})


def _sums(session: Session, period: Period, few: Sequence[int] | None = None) -> Select[Any]:
    """Buyers with their orders and net sales in a period, of all or of a few; without those who had nothing in it."""
    months, edges = (None, [period]) if filters_of(session) else _whole_months(period)
    buyer: Any = col(Order.buyer_id)
    booked_on: Any = col(Sale.day)
    placed_on: Any = col(Order.day)
    if few is not None:  # so that no index over days is taken instead of those over buyers and orders
        booked_on, placed_on = func.coalesce(booked_on, None), func.coalesce(placed_on, None)
    goods = col(Sale.measure).in_(("gross_sales", "sales_reversals"))  # the rest adds 0: spares its look-ups
    # For a few, one look at all of their orders; else each edge by the index over days.
    parts: list[Any] = []
    for at_once in [edges] if few is not None and edges else [[edge] for edge in edges]:
        sold = select(buyer, literal(0).label("orders"), *ledger.sums(["net_sales"])).select_from(Order)
        booked = (col(Sale.order_id) == col(Order.id), goods, _on(booked_on, at_once))
        # Of a few, the outer join makes SQLite begin with the orders: it knows nothing of how much a shop has sold.
        sold = sold.join(Sale, and_(*booked), isouter=few is not None).where(*COUNTED)
        placed = select(buyer, func.count().label("orders"), literal(0).label("net_sales"))
        placed = placed.where(_on(placed_on, at_once), *COUNTED)
        parts += [part.where(_among(buyer, few)).group_by(buyer) for part in (sold, placed)]
    if months is not None:
        names = (col(CustomerMonth.buyer_id), col(CustomerMonth.orders), col(CustomerMonth.net_sales))
        of_month: Any = col(CustomerMonth.month)
        if few is not None or months.days > _MANY_DAYS:  # then by buyer as they stand, and not by the index over months
            of_month = func.coalesce(of_month, None)
        whole = select(*names).where(of_month.between(months.start, months.end))
        parts.append(whole.where(_among(col(CustomerMonth.buyer_id), few)))
    both = union_all(*parts).subquery()
    orders, net_sales = func.sum(both.c.orders).label("orders"), func.sum(both.c.net_sales).label("net_sales")
    statement = select(both.c.buyer_id, orders, net_sales).group_by(both.c.buyer_id)
    return statement.having((func.sum(both.c.orders) != 0) | (func.sum(both.c.net_sales) != 0))


def _among(buyer: Any, few: Sequence[int] | None) -> ColumnElement[bool]:
    found: ColumnElement[bool] = true() if few is None else buyer.in_(few)
    return found


def _best_of_few(session: Session, period: Period, limit: int) -> list[tuple[int, int, int]] | None:
    """The `limit` best of a period by net sales with their sums, found among few; None where that are too many.

    No buyer has more net sales in a period than they bought in its months, or ever. So it is enough to look at those
    who bought as much as the last one of the best so far, the likeliest first.
    """
    months = _months(period)
    buyer, of_month = col(CustomerMonth.buyer_id), col(CustomerMonth.bought)
    in_months = [select(buyer).where(col(CustomerMonth.month) == month) for month in months]
    ever, of_all = select(col(CustomerTotals.buyer_id)), col(CustomerTotals.bought)
    if len(months) <= _SOME_MONTHS:
        first = -(-_FIRST * limit // len(months))
        most = [block.order_by(of_month.desc()).limit(first).subquery() for block in in_months]
    else:
        most = [ever.order_by(of_all.desc()).limit(_FIRST * limit).subquery()]
    # In a long period the days that are not in it weigh little: fewer are enough to have the best among them.
    times = 5 if len(months) <= _FEW_MONTHS else 2
    likely = rows(session, _at_most(months, [select(each.c.buyer_id) for each in most]).limit(times * limit))
    sums = _sums_of(session, period, [number for number, _ in likely])
    least = _last_of(sums, limit)
    if least <= 0:
        return None
    # Who comes to so much in all comes to a fair part of it in one of the months.
    parts = [block.where(of_month >= -(-least // len(months))) for block in in_months]
    able = parts if len(months) <= _FEW_MONTHS else [ever.where(of_all >= least)]
    few = rows(session, _at_most(months, able, least).limit(_FEW_BUYERS + 1))
    if len(few) > _FEW_BUYERS:
        return None
    few = [(number, at_most) for number, at_most in few if number not in sums]
    while few := [(number, at_most) for number, at_most in few if at_most >= least]:
        sums |= _sums_of(session, period, [number for number, _ in few[:_AT_ONCE]])
        few, least = few[_AT_ONCE:], _last_of(sums, limit)
    return sorted(sums.values(), key=lambda each: (-each[2], each[0]))[:limit]


def _sums_of(session: Session, period: Period, few: Sequence[int]) -> dict[int, tuple[int, int, int]]:
    found = rows(session, _sums(session, period, few)) if few else []
    return {buyer: (buyer, int(orders), int(net_sales)) for buyer, orders, net_sales in found}


def _last_of(sums: Mapping[int, tuple[int, int, int]], limit: int) -> int:
    """The net sales of the last of the best; 0 where there are fewer."""
    best = sorted((net_sales for _, _, net_sales in sums.values()), reverse=True)
    return best[limit - 1] if len(best) >= limit else 0


def _at_most(months: Sequence[date], buyers: Sequence[Select[Any]], least: int = 1) -> Select[*tuple[Any, ...]]:
    """What some buyers bought in the months of a period, if it is so much, the most first."""
    buyer, at_most = col(CustomerMonth.buyer_id), func.sum(CustomerMonth.bought)
    statement = select(buyer, at_most).where(col(CustomerMonth.month).between(months[0], months[-1]))
    of_some = statement.where(buyer.in_(union_all(*buyers))).group_by(buyer)
    return of_some.having(at_most >= least).order_by(at_most.desc())


def _months(period: Period) -> list[date]:
    """The calendar months that a period touches, by their first days."""
    found = [period.start.replace(day=1)]
    while (following := end_of_month(found[-1]) + timedelta(days=1)) <= period.end:
        found.append(following)
    return found


def top_products(session: Session, period: Period, limit: int) -> pd.DataFrame:
    """The products with the highest net sales of a period, best first, ties by title.

    Columns: product_id (0 where the product is gone or never was: then each title is one row), title (the
    catalogue's, else the one sold under), units (sold), net_sales. Adjustments belong to no product.
    """
    sold = sold_products(
        session, period, {"units": ("units_sold",), "net_sales": ("gross_sales", "discounts", "sales_reversals")}
    )
    shown = func.coalesce(Product.title, sold.c.title)
    # By code point, so that both databases break a tie alike.
    collation = "BINARY" if session.get_bind().dialect.name == "sqlite" else "C"
    statement = (
        select(sold.c.product_id, shown.label("title"), sold.c.units, sold.c.net_sales)
        .outerjoin(Product, col(Product.id) == sold.c.product_id)
        .where((sold.c.product_id != 0) | (sold.c.title != ""))
        .order_by(desc(sold.c.net_sales), shown.collate(collation), sold.c.product_id)
        .limit(limit)
    )
    return read(session, statement).astype({"product_id": "int64", "units": "int64", "net_sales": "int64"})


def _whole_months(period: Period) -> tuple[Period | None, list[Period]]:
    """The whole calendar months within a period, and the days of it before and after them."""
    day = timedelta(days=1)
    first = period.start if period.start.day == 1 else (period.start.replace(day=1) + 32 * day).replace(day=1)
    after = (period.end + day).replace(day=1)  # the month that the period does not end
    if first >= after:
        return None, [period]
    edges = [(period.start, first - day), (after, period.end)]
    return Period(first, after - day), [Period(start, end) for start, end in edges if start <= end]


def end_of_month(day: date) -> date:
    """The last day of a day's month."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def _on(day: Any, periods: Sequence[Period]) -> ColumnElement[bool]:
    return or_(false(), *(day.between(period.start, period.end) for period in periods))


def sold_products(session: Session, period: Period, sums: Mapping[str, Sequence[str]]) -> Subquery:
    """Sums of product measures in a period by product_id and title, each under its name.

    A title is kept apart only where the product is gone (product_id 0): a renamed product is one row.
    """
    whole, added, taken = (None, [period], []) if filters_of(session) else _by_months(period)
    names = tuple(dict.fromkeys(part for parts in sums.values() for part in parts))
    days = source(session, DailyProductSales, period.start, period.end)
    parts = []
    for edges, sign in ((added, 1), (taken, -1)):
        if edges:
            of_days = (sign * getattr(days, name) if sign < 0 else getattr(days, name) for name in names)
            parts.append(select(days.product_id, days.title, *of_days).where(_on(days.day, edges)))
    if whole is not None:
        of_months = select(*(getattr(MonthlyProductSales, name) for name in ("product_id", "title", *names)))
        parts.append(of_months.where(col(MonthlyProductSales.month).between(whole.start, whole.end)))
    each = union_all(*parts).subquery()
    product_id, title, *found = each.c
    by_name = dict(zip(names, found, strict=True))
    own_title = case((product_id == 0, title), else_=literal(""))
    measures = {name: func.sum(reduce(add, (by_name[part] for part in parts))) for name, parts in sums.items()}
    statement = select(product_id, func.max(title).label("title"), *(m.label(name) for name, m in measures.items()))
    # What a month had only on the days taken away again leaves zeros.
    something = or_(*(measure != 0 for measure in measures.values()))
    return statement.group_by(product_id, own_title).having(something).subquery()


def _by_months(period: Period) -> tuple[Period | None, list[Period], list[Period]]:
    """Months that make a period with the fewest single days: days to be added to them, and days to be taken away."""
    found: list[date] = []
    added: list[Period] = []
    taken: list[Period] = []
    for month in _months(period):
        last, day = end_of_month(month), timedelta(days=1)
        inside = Period(max(month, period.start), min(last, period.end))
        edges = [(month, inside.start - day), (inside.end + day, last)]
        outside = [Period(start, end) for start, end in edges if start <= end]
        if sum(each.days for each in outside) < inside.days:
            found.append(month)
            taken += outside
        else:
            added.append(inside)
    return (Period(found[0], end_of_month(found[-1])) if found else None), added, taken


def data_span(session: Session) -> Period | None:
    """The first to the last day with anything, None if there is nothing yet."""
    frame = read(session, select(func.min(col(DailySales.day)), func.max(col(DailySales.day))))
    start, end = frame.iloc[0]
    return None if start is None else Period(start, end)


def read(session: Session, statement: Select[*tuple[Any, ...]]) -> pd.DataFrame:
    """The rows of a statement as a frame of objects, by the names of its columns."""
    shop_of(session)  # the guard does not see a statement that reads from nothing but a subquery
    result = session.execute(statement)
    # As objects: None stays None, and a 64-bit id never passes through a float.
    return pd.DataFrame(list(map(tuple, result)), columns=list(result.keys()), dtype=object)


def rows(session: Session, statement: Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows of a statement as they are: where there are few, a frame of them takes longer than reading them."""
    shop_of(session)
    return list(map(tuple, session.execute(statement)))
