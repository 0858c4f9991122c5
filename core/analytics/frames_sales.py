"""The same door for sales taken apart: by hour, by what orders have in common, by product.

Every function takes a shop_session() first and reads rollups only (source() says what they are where the session has
filters). Money is in minor units of the shop's currency.
"""

from typing import Any, Literal

import pandas as pd
from sqlalchemy import and_, case, extract, func, literal, select, union_all
from sqlmodel import Session, col

from core.analytics.frames import COUNTED, read, sold_products
from core.analytics.period import Period
from core.db import ledger
from core.db.models import (
    Customer,
    DailyBreakdown,
    DailyProductSales,
    HourlySales,
    LineItem,
    Order,
    Product,
    Sale,
    Shop,
)
from core.db.narrowed import source

HOURLY_SUMS = tuple(name for name in HourlySales.model_fields if name not in ("shop_id", "day", "hour"))
PRODUCT_SUMS = ("gross_sales", "discounts", "sales_reversals", "units_sold")

OTHERS = "All others"

ProductField = Literal["title", "vendor", "product_type", "category"]


def hours(session: Session, period: Period) -> pd.DataFrame:
    """Every hour of the shop's clock on every day of the period, zeros where nothing happened.

    Index `day` (datetime64) and `hour` (0 to 23), int64 columns HOURLY_SUMS.
    """
    hourly = source(session, HourlySales, period.start, period.end)
    statement = select(hourly.day, hourly.hour, *(getattr(hourly, name) for name in HOURLY_SUMS))
    frame = read(session, statement.where(hourly.day.between(period.start, period.end)))
    frame["day"] = frame["day"].astype("datetime64[s]")
    days = pd.date_range(period.start, period.end, unit="s")
    every = pd.MultiIndex.from_product([days, range(24)], names=["day", "hour"])
    return frame.astype({"hour": "int64"}).set_index(["day", "hour"]).reindex(every, fill_value=0).astype("int64")


def weekday_hours(session: Session, period: Period) -> pd.DataFrame:
    """Orders placed and net sales booked by weekday (0 is Monday) and hour of the shop's clock, all 168 of them.

    int64 columns weekday, hour, orders, net_sales.
    """
    hourly = source(session, HourlySales, period.start, period.end)
    sunday_first = extract("dow", hourly.day)
    sums = (func.sum(hourly.orders).label("orders"), func.sum(_net(hourly)).label("net_sales"))
    statement = (
        select(sunday_first.label("weekday"), hourly.hour, *sums)
        .where(hourly.day.between(period.start, period.end))
        .group_by(sunday_first, hourly.hour)
    )
    frame = read(session, statement).astype("int64")
    frame["weekday"] = (frame["weekday"] + 6) % 7
    every = pd.MultiIndex.from_product([range(7), range(24)], names=["weekday", "hour"])
    return frame.set_index(["weekday", "hour"]).reindex(every, fill_value=0).reset_index()


def by_dimension(session: Session, dimension: str, period: Period) -> pd.DataFrame:
    """The sums of each value of one of rollups.DIMENSIONS: column value ("" where unknown), int64 HOURLY_SUMS."""
    days = source(session, DailyBreakdown, period.start, period.end, dimension)
    statement = (
        select(days.value, *(func.sum(getattr(days, name)).label(name) for name in HOURLY_SUMS))
        .where(days.dimension == dimension, days.day.between(period.start, period.end))
        .group_by(days.value)
    )
    return read(session, statement).astype(dict.fromkeys(HOURLY_SUMS, "int64"))


def values_by_day(session: Session, dimension: str, period: Period) -> pd.DataFrame:
    """Orders and net sales by day and value of a dimension: columns day (date), value, int64 orders and net_sales."""
    days = source(session, DailyBreakdown, period.start, period.end, dimension)
    statement = select(days.day, days.value, days.orders, _net(days).label("net_sales")).where(
        days.dimension == dimension, days.day.between(period.start, period.end)
    )
    return read(session, statement).astype({"orders": "int64", "net_sales": "int64"})


def products_by_day(session: Session, field: ProductField, period: Period) -> pd.DataFrame:
    """Net sales by day and vendor, product type or category of products: columns day (date), value, int64 net_sales.

    The value is "" where it is unknown; what belongs to no product is left out.
    """
    days = source(session, DailyProductSales, period.start, period.end)
    value = func.coalesce(getattr(Product, field), "").label("value")
    of_products = (days.day.between(period.start, period.end), (days.product_id != 0) | (days.title != ""))
    statement = select(days.day, value, func.sum(_net(days)).label("net_sales")).where(*of_products)
    statement = statement.outerjoin(Product, col(Product.id) == days.product_id).group_by(days.day, value)
    return read(session, statement).astype({"net_sales": "int64"})


def by_product(session: Session, field: ProductField, period: Period) -> pd.DataFrame:
    """The sums of products by title, vendor, product type or category; the rows add up to net sales.

    Columns: product_id (of the product when by title, else 0; 0 where it is gone too), value (the catalogue's, by
    title else the one sold under, "" where unknown), is_adjustment (whether the row belongs to no product at all),
    int64 PRODUCT_SUMS.
    """
    sold = sold_products(session, period, {name: (name,) for name in PRODUCT_SUMS})
    known: Any = getattr(Product, field)
    value = func.coalesce(known, sold.c.title if field == "title" else literal(""))
    number = sold.c.product_id if field == "title" else literal(0)
    is_adjustment = case(((sold.c.product_id == 0) & (sold.c.title == ""), 1), else_=0)
    named = (
        select(
            number.label("product_id"),
            value.label("value"),
            is_adjustment.label("is_adjustment"),
            *(sold.c[name] for name in PRODUCT_SUMS),
        )
        .select_from(sold)
        .outerjoin(Product, col(Product.id) == sold.c.product_id)
        .subquery()
    )
    keys = (named.c.product_id, named.c.value, named.c.is_adjustment)
    statement = select(*keys, *(func.sum(named.c[name]).label(name) for name in PRODUCT_SUMS)).group_by(*keys)
    frame = read(session, statement).astype({"product_id": "int64", **dict.fromkeys(PRODUCT_SUMS, "int64")})
    return frame.assign(is_adjustment=frame["is_adjustment"].astype(bool))


def _net(of: Any) -> Any:
    return of.gross_sales + of.discounts + of.sales_reversals


def by_variant(session: Session, period: Period) -> pd.DataFrame:
    """The sums of variants, read from the ledger; the rows add up to net sales. Columns: as by_product()."""
    variant = func.coalesce(LineItem.variant_id, 0)
    own = func.coalesce(LineItem.variant_title, "")
    sold_as: Any = func.coalesce(LineItem.title, Sale.product_title)
    title = case((own.in_(("", "Default Title")), sold_as), else_=sold_as + " / " + own)
    is_adjustment = case((col(Sale.product_id).is_(None) & (col(Sale.product_title) == ""), 1), else_=0)
    of_line = and_(col(LineItem.order_id) == col(Sale.order_id), col(LineItem.id) == col(Sale.line_item_id))
    each = (
        select(variant.label("product_id"), title.label("value"), is_adjustment.label("is_adjustment"))
        .add_columns(*ledger.sums(PRODUCT_SUMS))
        .select_from(Sale)
        .join(Order, col(Order.id) == col(Sale.order_id))
        .outerjoin(LineItem, of_line)
        .where(col(Sale.day).between(period.start, period.end), *COUNTED[:2])
        .where(col(Sale.measure).in_(("gross_sales", "sales_reversals")))
        .group_by(variant, title, is_adjustment)
        .subquery()
    )
    # A variant that was renamed is one row; without a variant each title is one.
    own_title = case((each.c.product_id == 0, each.c.value), else_=literal(""))
    names = [func.sum(each.c[name]).label(name) for name in PRODUCT_SUMS]
    statement = select(each.c.product_id, func.max(each.c.value).label("value"), each.c.is_adjustment, *names)
    frame = read(session, statement.group_by(each.c.product_id, own_title, each.c.is_adjustment))
    frame = frame.astype({"product_id": "int64", **dict.fromkeys(PRODUCT_SUMS, "int64")})
    return frame.assign(is_adjustment=frame["is_adjustment"].astype(bool))


def by_customer(session: Session, period: Period, most: int = 500) -> pd.DataFrame:
    """The sums of the buyers with the highest net sales, read from the ledger, and of all others in one row.

    Column value ("Ada (7)", "Customer 7" where the name is not known, "Guest 8", "" for orders of nobody known,
    OTHERS), int64 HOURLY_SUMS; the rows add up to the period.
    """
    placed = ("orders", "orders_with_goods")
    booked = [name for name in HOURLY_SUMS if name not in placed]
    zeros = {name: literal(0).label(name) for name in HOURLY_SUMS}
    counts = {"orders": func.count(), "orders_with_goods": func.sum(case((col(Order.has_goods), 1), else_=0))}
    by_ledger = {column.name: column for column in ledger.sums(booked)}
    sold = (
        select(col(Order.buyer_id), *(by_ledger.get(name, zeros[name]) for name in HOURLY_SUMS))
        .join(Sale, col(Sale.order_id) == col(Order.id))
        .where(col(Sale.day).between(period.start, period.end), *COUNTED[:2])
    )
    ordered = select(
        col(Order.buyer_id),
        *(counts[name].label(name) if name in counts else zeros[name] for name in HOURLY_SUMS),
    ).where(col(Order.day).between(period.start, period.end), *COUNTED[:2])
    both = union_all(sold.group_by(col(Order.buyer_id)), ordered.group_by(col(Order.buyer_id))).subquery()
    sums = {name: func.sum(both.c[name]) for name in HOURLY_SUMS}
    net = sums["gross_sales"] + sums["discounts"] + sums["sales_reversals"]
    best = (
        select(both.c.buyer_id, *(measure.label(name) for name, measure in sums.items()))
        .group_by(both.c.buyer_id)
        .order_by(net.desc(), both.c.buyer_id)
        .limit(most)
        .subquery()
    )
    statement = select(*best.c, col(Customer.name)).outerjoin(Customer, col(Customer.id) == best.c.buyer_id)
    frame = read(session, statement).astype(dict.fromkeys(HOURLY_SUMS, "int64"))
    named = bool(read(session, select(col(Shop.personal_data)))["personal_data"].iloc[0])
    names = frame["name"] if named else [None] * len(frame)
    frame.insert(0, "value", [_buyer(*who) for who in zip(frame["buyer_id"], names, strict=True)])
    frame = frame.drop(columns=["buyer_id", "name"])
    whole = by_dimension(session, "channel", period)[list(HOURLY_SUMS)].sum()
    rest = (whole - frame[list(HOURLY_SUMS)].sum()).astype("int64")
    return frame if not rest.any() else pd.concat([frame, pd.DataFrame([{"value": OTHERS, **rest}])], ignore_index=True)


def _buyer(number: int | None, name: str | None) -> str:
    if number is None:
        return ""
    return f"Guest {-number}" if number < 0 else f"{name} ({number})" if name else f"Customer {number}"


def filter_values(session: Session) -> dict[str, list[str]]:
    """What figures can be narrowed to, by field of Filters; the most frequent of orders first, "" where unknown."""
    of_orders = ("channel", "country", "customer_kind")
    orders = func.sum(DailyBreakdown.orders)
    ordered = (
        select(col(DailyBreakdown.dimension), col(DailyBreakdown.value))
        .where(col(DailyBreakdown.dimension).in_(of_orders))
        .group_by(col(DailyBreakdown.dimension), col(DailyBreakdown.value))
        .order_by(orders.desc(), col(DailyBreakdown.value))
    )
    found = read(session, ordered)
    values = {name: found.loc[found["dimension"] == name, "value"].tolist() for name in of_orders}
    for name in ("product_type", "vendor"):
        of_products = col(getattr(Product, name))
        values[name] = read(session, select(of_products).distinct().order_by(of_products))[name].tolist()
    return values
