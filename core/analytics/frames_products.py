"""The same door for products: what each sold, day by day, and what is in stock of it.

Every function takes a shop_session() first. Money is in minor units of the shop's currency.
"""

from typing import Any

import pandas as pd
from sqlalchemy import Select, and_, case, func, select
from sqlmodel import Session, col

from core.analytics.frames import read, sold_products
from core.analytics.period import Period
from core.db.models import DailyProductSales, InventoryItem, InventoryLevel, Product, Variant
from core.db.narrowed import source

SUMS = ("gross_sales", "discounts", "sales_reversals", "units_sold", "units_returned")


def product_sales(session: Session, period: Period) -> pd.DataFrame:
    """Every product that was sold or returned in a period; the rows add up to its net sales.

    Columns: product_id (0 where the product is gone or never was: then each title is a row, and the empty title holds
    what belongs to no product), title (the catalogue's, else the one sold under), product_type and vendor ("" where
    unknown), int64 SUMS and net_sales.
    """
    sold = sold_products(session, period, {name: (name,) for name in SUMS})
    statement = (
        select(
            sold.c.product_id,
            func.coalesce(Product.title, sold.c.title).label("title"),
            func.coalesce(Product.product_type, "").label("product_type"),
            func.coalesce(Product.vendor, "").label("vendor"),
            *(sold.c[name] for name in SUMS),
        )
        .outerjoin(Product, col(Product.id) == sold.c.product_id)
        .order_by(sold.c.product_id, sold.c.title)
    )
    frame = read(session, statement).astype({"product_id": "int64", **dict.fromkeys(SUMS, "int64")})
    return frame.assign(net_sales=frame["gross_sales"] + frame["discounts"] + frame["sales_reversals"])


def product_days(session: Session, period: Period, number: int) -> pd.DataFrame:
    """The days of a period on which one product of the catalogue was sold or returned, ascending.

    Columns: day (date), int64 units_sold, units_returned, net_sales.
    """
    days = source(session, DailyProductSales, period.start, period.end)
    sums = {
        "units_sold": days.units_sold,
        "units_returned": days.units_returned,
        "net_sales": days.gross_sales + days.discounts + days.sales_reversals,
    }
    statement = (
        select(days.day, *(func.sum(measure).label(name) for name, measure in sums.items()))
        .where(days.day.between(period.start, period.end), days.product_id == number)
        .group_by(days.day)
        .order_by(days.day)
    )
    return read(session, statement).astype(dict.fromkeys(sums, "int64"))


def product_title(session: Session, number: int) -> pd.DataFrame:
    """The catalogue's title of a product: column title, no row where there is no such product."""
    return read(session, select(col(Product.title)).where(col(Product.id) == number))


def stock_levels(session: Session) -> pd.DataFrame:
    """What is available of every product whose stock is tracked, over all its variants and locations, by product.

    Columns: product_id, title, status, int64 variants (those with a known level), sold_out_variants (of these, those
    with nothing available) and available (it may be negative). Deleted products and gift cards are left out.
    """
    available = func.sum(InventoryLevel.available)
    each = (
        select(col(Variant.product_id), col(Variant.id), available.label("available"))
        .join(
            InventoryItem,
            and_(col(InventoryItem.id) == col(Variant.inventory_item_id), col(InventoryItem.tracked).is_(True)),
        )
        .join(InventoryLevel, col(InventoryLevel.inventory_item_id) == col(InventoryItem.id))
        .where(col(InventoryLevel.available).is_not(None))
        .group_by(col(Variant.product_id), col(Variant.id))
        .subquery()
    )
    counts = {
        "variants": func.count(),
        "sold_out_variants": func.sum(case((each.c.available <= 0, 1), else_=0)),
        "available": func.sum(each.c.available),
    }
    statement: Select[*tuple[Any, ...]] = (
        select(
            col(Product.id).label("product_id"),
            col(Product.title),
            col(Product.status),
            *(count.label(name) for name, count in counts.items()),
        )
        .join(each, each.c.product_id == col(Product.id))
        .where(col(Product.deleted_at).is_(None), col(Product.is_gift_card).is_(False))
        .group_by(col(Product.id), col(Product.title), col(Product.status))
        .order_by(col(Product.id))
    )
    return read(session, statement).astype({"product_id": "int64", **dict.fromkeys(counts, "int64")})


def variants(session: Session, number: int) -> pd.DataFrame:
    """The variants of one product in its own order, with what is available of each over all locations.

    Columns: variant_id, title, sku (None if it has none), price (minor units), available (None where nothing is known).
    """
    known = (
        select(
            col(InventoryLevel.inventory_item_id),
            func.sum(InventoryLevel.available).label("available"),
        )
        .join(InventoryItem, col(InventoryItem.id) == col(InventoryLevel.inventory_item_id))
        .join(Variant, col(Variant.inventory_item_id) == col(InventoryItem.id))
        .where(col(Variant.product_id) == number, col(InventoryItem.tracked).is_(True))
        .group_by(col(InventoryLevel.inventory_item_id), col(Variant.id))
        .subquery()
    )
    statement: Select[*tuple[Any, ...]] = (
        select(
            col(Variant.id).label("variant_id"),
            col(Variant.title),
            col(Variant.sku),
            col(Variant.price),
            func.max(known.c.available).label("available"),
        )
        .outerjoin(known, known.c.inventory_item_id == col(Variant.inventory_item_id))
        .where(col(Variant.product_id) == number)
        .group_by(col(Variant.id), col(Variant.title), col(Variant.sku), col(Variant.price), col(Variant.position))
        .order_by(col(Variant.position), col(Variant.id))
    )
    return read(session, statement)
