"""The same door for single orders: a page of rows, a search by name, and one order in full.

Every function takes a shop_session() first. Money is in minor units of the shop's currency. Test and deleted orders
are left out everywhere.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Select, and_, case, extract, func, select
from sqlmodel import Session, col

from core.analytics.frames import read
from core.analytics.period import Period
from core.db import ledger
from core.db.models import (
    CohortMonth,
    Customer,
    CustomerMonth,
    CustomerTotals,
    DailyBreakdown,
    DailySales,
    HourlySales,
    LineItem,
    Order,
    Refund,
    Sale,
)
from core.db.narrowed import source
from core.db.rollups import DIMENSIONS

_COUNTED = (col(Order.test).is_(False), col(Order.deleted_at).is_(None))
_HEADER = (
    "id", "name", "processed_at", "customer_id", "buyer_id", "source", "country", "discount_codes", "financial_status",
    "fulfillment_status", "cancelled_at", "current_total",
)  # fmt: skip

_BOOKED = (
    "order_id", "day", "happened_at", "reason", "action_type", "line_type", "measure", "quantity", "discount",
    "tax_amount", "total_amount", "unclassified",
)  # fmt: skip
# Measures that are sums of others: all that their rows may count in.
_SUMMED = {
    "net_sales": ("gross_sales", "sales_reversals"),
    "total_sales": tuple(name for name in ledger.LEDGER_MEASURES if name not in ("tips", "gift_card_sales")),
}
_BOOKED_SUMS = ("discount", "tax_amount", "total_amount")
# What ledger rows can be narrowed to, too. On the shop's clock; a weekday is "0" (Monday) to "6", an hour "0" to "23".
CLOCK, COHORT = ("weekday", "hour"), "first_month"
_EVERYTHING: Mapping[str, str] = {}


def orders_by_day(session: Session, period: Period, wanted: Mapping[str, str]) -> pd.DataFrame:
    """How many orders of these values were placed on each day that has some, the newest first: day (date), orders.

    `wanted` has values of rollups.DIMENSIONS and CLOCK, and for COHORT the month (its first day, as text) in which the
    first orders ever of the buyers fell. Up to one dimension, or for the clock alone, the rollups know the answer; for
    more, the orders of the period are counted.
    """
    days: Any
    orders: Any
    if wanted and wanted.keys() <= set(CLOCK):
        hours = source(session, HourlySales, period.start, period.end)
        days, orders = hours.day, func.sum(hours.orders)
        statement = select(days.label("day"), orders.label("orders")).where(*_on_clock(hours, wanted))
    elif len(wanted) > 1 or COHORT in wanted:
        days, orders = col(Order.day), func.count()
        statement = _filtered(select(days.label("day"), orders.label("orders")), wanted)
    else:
        dimension, value = next(iter(wanted.items()), ("", ""))
        known = source(session, DailyBreakdown if wanted else DailySales, period.start, period.end, dimension)
        days, orders = known.day, func.sum(known.orders)
        statement = select(days.label("day"), orders.label("orders"))
        if wanted:
            statement = statement.where(known.dimension == dimension, known.value == value)
    statement = statement.where(days.between(period.start, period.end)).group_by(days).order_by(days.desc())
    frame = read(session, statement).astype({"orders": "int64"})
    return frame[frame["orders"] > 0].reset_index(drop=True)


def orders_page(
    session: Session, period: Period, wanted: Mapping[str, str], limit: int, offset: int
) -> tuple[pd.DataFrame, int]:
    """Orders `offset` to `offset + limit` of a period, the newest first, and how many there are in all.

    Only the days that the page lies on are read; `wanted` as for orders_by_day(). Columns: those of an order's header,
    customer_name (None if unknown), units (sold), net_sales (booked up to today).
    """
    counts = orders_by_day(session, period, wanted)
    on_page = _days_on_page(counts["day"], counts["orders"], limit, offset)
    if on_page is None:
        return with_sums(session, read(session, _header().where(col(Order.id).in_(())))), int(counts["orders"].sum())
    part, skipped = on_page
    statement = (
        _filtered(_header(), wanted)
        .where(col(Order.day).between(part.start, part.end))
        .order_by(col(Order.day).desc(), col(Order.processed_at).desc(), col(Order.id).desc())
        .limit(limit)
        .offset(skipped)
    )
    return with_sums(session, read(session, statement)), int(counts["orders"].sum())


def find_orders(session: Session, text: str, limit: int) -> pd.DataFrame:
    """Orders whose whole name ("#1001", the # may be left out) or Shopify number is `text`: as orders_page()."""
    name = text.strip()
    bare = name.removeprefix("#")
    newest_first = (col(Order.processed_at).desc(), col(Order.id).desc())
    named = select(col(Order.id)).where(col(Order.name).in_((name, bare, f"#{bare}")), *_COUNTED)
    ids = read(session, named.order_by(*newest_first).limit(limit))["id"].tolist()
    # Asked apart: for one OR over both columns SQLite would read every order of the shop.
    if re.fullmatch(r"[0-9]{1,18}", bare):
        ids.append(int(bare))
    statement = _header().where(col(Order.id).in_(ids), *_COUNTED).order_by(*newest_first)
    return with_sums(session, read(session, statement.limit(limit)))


def one_order(session: Session, order_id: int) -> pd.DataFrame:
    """The header of one order with customer_name, original_total and derived; no row where there is no such order."""
    statement = _header().add_columns(col(Order.original_total), col(Order.derived), col(Order.updated_at))
    return read(session, statement.where(col(Order.id) == order_id, *_COUNTED))


def order_lines(session: Session, order_id: int) -> pd.DataFrame:
    """The lines of one order: title, variant_title, sku, vendor, quantity, current_quantity, is_gift_card."""
    names = ("title", "variant_title", "sku", "vendor", "quantity", "current_quantity", "is_gift_card")
    statement = select(*(getattr(LineItem, name) for name in names)).where(col(LineItem.order_id) == order_id)
    return read(session, statement.order_by(col(LineItem.id)))


def order_refunds(session: Session, order_id: int) -> pd.DataFrame:
    """The refunds of one order, the oldest first: processed_at, total_refunded."""
    statement = select(col(Refund.processed_at), col(Refund.total_refunded)).where(col(Refund.order_id) == order_id)
    return read(session, statement.order_by(col(Refund.processed_at), col(Refund.id)))


def order_ledger(session: Session, order_id: int) -> pd.DataFrame:
    """Every ledger row of one order, the oldest first; amounts are signed.

    Columns: day, happened_at, reason, action_type, line_type, measure, quantity, discount, tax_amount, total_amount,
    in_first_agreement, unclassified, title (of the line; "" where it belongs to none).
    """
    names = (
        "day", "happened_at", "reason", "action_type", "line_type", "measure", "quantity", "discount", "tax_amount",
        "total_amount", "in_first_agreement", "unclassified",
    )  # fmt: skip
    line = and_(col(LineItem.order_id) == col(Sale.order_id), col(LineItem.id) == col(Sale.line_item_id))
    title = func.coalesce(LineItem.title, Sale.product_title).label("title")
    statement = select(*(getattr(Sale, name) for name in names), title).outerjoin(LineItem, line)
    in_order = (col(Sale.happened_at), col(Sale.agreement_id), col(Sale.id))
    return read(session, statement.where(col(Sale.order_id) == order_id).order_by(*in_order))


def booked_page(
    session: Session, period: Period, measure: str, limit: int, offset: int, narrowed: Mapping[str, str] = _EVERYTHING
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Ledger rows `offset` to `offset + limit` of a period, the newest day first, and what all of them come to.

    `measure` is one that rows count in, or net_sales or total_sales; "" for all. `narrowed` has values of CLOCK, for
    when rows count, and COHORT. Columns: order_id, name (of the
    order), day, happened_at, reason, action_type, line_type, measure, quantity, discount, tax_amount, total_amount,
    unclassified, title (of the line; "" where it belongs to none). In the sums: rows, discount, tax_amount,
    total_amount; all amounts are signed.
    """
    summed = [func.sum(getattr(Sale, name)).label(name) for name in _BOOKED_SUMS]
    by_day = _booked(select(col(Sale.day), func.count().label("rows"), *summed), period, measure, narrowed)
    days = read(session, by_day.group_by(col(Sale.day)).order_by(col(Sale.day).desc()))
    days = days.astype(dict.fromkeys(("rows", *_BOOKED_SUMS), "int64"))
    on_page = _days_on_page(days["day"], days["rows"], limit, offset)
    part, skipped = on_page or (period, 0)
    line = and_(col(LineItem.order_id) == col(Sale.order_id), col(LineItem.id) == col(Sale.line_item_id))
    title = func.coalesce(LineItem.title, Sale.product_title).label("title")
    columns = (getattr(Sale, name) for name in _BOOKED)
    statement = _booked(select(*columns, col(Order.name), title), part, measure, narrowed).outerjoin(LineItem, line)
    in_order = (col(Sale.day).desc(), col(Sale.order_id).desc(), col(Sale.id))
    frame = read(session, statement.order_by(*in_order).limit(limit if on_page else 0).offset(skipped))
    return frame, {name: int(days[name].sum()) for name in ("rows", *_BOOKED_SUMS)}


def first_months(session: Session) -> list[date]:
    """The months (their first days) in which somebody's first order ever fell, the newest first."""
    month = col(CohortMonth.first_month)
    known: list[date] = read(session, select(month).distinct().order_by(month.desc()))["first_month"].tolist()
    return known


def _days_on_page(
    days: "pd.Series[Any]", counts: "pd.Series[int]", limit: int, offset: int
) -> tuple[Period, int] | None:
    """The days that a page of rows lies on, the newest first in all, and how many of their rows are on pages before."""
    until = counts.cumsum()
    on_page = counts[(until > offset) & (until - counts < offset + limit)]
    if on_page.empty:
        return None
    first, last = on_page.index[-1], on_page.index[0]
    return Period(days[first], days[last]), offset - int(until[last] - counts[last])


def _booked(statement: Select[Any], period: Period, measure: str, narrowed: Mapping[str, str]) -> Select[Any]:
    statement = statement.select_from(Sale).join(Order, col(Order.id) == col(Sale.order_id)).where(*_COUNTED)
    statement = statement.where(col(Sale.day).between(period.start, period.end), *_on_clock(Sale, narrowed))
    if COHORT in narrowed:
        statement = statement.where(_of_cohort(narrowed[COHORT]))
    return statement.where(col(Sale.measure).in_(_SUMMED.get(measure, (measure,)))) if measure else statement


def _header() -> Select[Any]:
    columns = (getattr(Order, name) for name in _HEADER)
    return select(*columns, col(Customer.name).label("customer_name")).outerjoin(
        Customer, col(Customer.id) == col(Order.customer_id)
    )


def _filtered(statement: Select[Any], wanted: Mapping[str, str]) -> Select[Any]:
    statement = statement.where(*_COUNTED, *_on_clock(Order, wanted))
    if COHORT in wanted:
        statement = statement.where(_of_cohort(wanted[COHORT]))
    for dimension, value in wanted.items():
        if dimension in CLOCK or dimension == COHORT:
            continue
        if (name := DIMENSIONS[dimension]) is None:
            totals = col(CustomerTotals.buyer_id) == col(Order.buyer_id)
            statement = statement.outerjoin(CustomerTotals, totals).where(_kind() == value)
        else:
            statement = statement.where(func.coalesce(getattr(Order, name), "") == value)
    return statement


def _on_clock(of: Any, wanted: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """Conditions of rows with a day and an hour; the databases count weekdays from Sunday."""
    found: list[ColumnElement[bool]] = []
    if "weekday" in wanted:
        found.append(extract("dow", of.day) == (int(wanted["weekday"]) + 1) % 7)
    if "hour" in wanted:
        found.append(of.hour == int(wanted["hour"]))
    return found


def _of_cohort(first_month: str) -> ColumnElement[bool]:
    """The orders of buyers who began in that month: there is always a row of a buyer's first month."""
    month = date.fromisoformat(first_month)
    began = (col(CustomerMonth.month) == month, col(CustomerMonth.first_month) == month)
    return col(Order.buyer_id).in_(select(col(CustomerMonth.buyer_id)).where(*began))


def _kind() -> ColumnElement[str]:
    is_first = col(CustomerTotals.first_order_id) == col(Order.id)
    return case((col(Order.buyer_id).is_(None), ""), (is_first, "new"), else_="returning")


def with_sums(session: Session, orders: pd.DataFrame) -> pd.DataFrame:
    """Orders by their `id`, with units and net_sales from their ledger."""
    ids = orders["id"].tolist()
    sums = select(col(Sale.order_id), *ledger.sums(["units_sold", "net_sales"])).where(col(Sale.order_id).in_(ids))
    frame = read(session, sums.group_by(col(Sale.order_id))).astype("int64").set_index("order_id")
    frame = frame.rename(columns={"units_sold": "units"}).reindex(ids, fill_value=0).reset_index(drop=True)
    return pd.concat([orders, frame], axis=1)
