"""The same door for whole tables, in pieces: what a warehouse loads.

Every function takes a shop_session() first. Money is in minor units of the shop's currency.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, Boolean, Date, Integer, and_, inspect, null, or_, select
from sqlmodel import Session, col

from core.db.engine import shop_of
from core.db.models import (
    Customer,
    DailyProductSales,
    DailySales,
    LineItem,
    Order,
    Product,
    Refund,
    Sale,
    UtcDateTime,
    Variant,
)

Kind = Literal["whole", "text", "yes_no", "day", "moment"]
_OURS = ("shop_id", "fingerprint")
_PERSONAL = ("name", "email")  # of a customer


@dataclass(frozen=True)
class Exported:
    """A table that can be exported, and the stream of the sync that fills it.

    `changes` says that its rows tell when they changed, `of_order` that their orders do.
    """

    model: Any
    stream: str
    changes: bool = True
    of_order: bool = False

    @property
    def columns(self) -> dict[str, Kind]:
        """Its columns by name, without those that are only ours."""
        return {column.name: _kind(column.type) for column in inspect(self.model).columns if column.name not in _OURS}


def pieces(
    session: Session, table: str, since: datetime | None, rows: int, *, personal: bool
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a table of TABLES by their key, so many at once, or only those changed at `since` or later.

    Deleted and test orders are in it, with deleted_at and test to tell; a table of days is always whole. Names and
    e-mails of customers are empty unless `personal`.
    """
    of = TABLES[table]
    hidden = _PERSONAL if of.model is Customer and not personal else ()
    keys = [getattr(of.model, column.name) for column in inspect(of.model).primary_key if column.name != "shop_id"]
    columns = (null().label(name) if name in hidden else getattr(of.model, name) for name in of.columns)
    statement = select(*columns).order_by(*keys)
    if since is not None and of.of_order:
        statement = statement.join(Order, and_(col(Order.id) == of.model.order_id, _changed(Order, since)))
    elif since is not None and of.changes:
        statement = statement.where(_changed(of.model, since))
    shop_of(session)
    result = session.execute(statement, execution_options={"yield_per": rows})
    for part in result.partitions():
        yield [tuple(row) for row in part]


def _changed(model: Any, since: datetime) -> Any:
    """What is deleted, erased or forgotten keeps the moment of its last change, and has one of its own.

    Unknown is changed.
    """
    gone = ("deleted_at", "redacted_at", "forgotten_at")
    moments = [getattr(model, name) for name in gone if name in model.model_fields]
    return or_(model.updated_at.is_(None), *(moment >= since for moment in (model.updated_at, *moments)))


def _kind(column_type: Any) -> Kind:
    if isinstance(column_type, UtcDateTime):
        return "moment"
    if isinstance(column_type, Boolean):
        return "yes_no"
    if isinstance(column_type, Integer | BigInteger):
        return "whole"
    return "day" if isinstance(column_type, Date) or column_type.python_type is date else "text"


TABLES = {
    "orders": Exported(Order, "orders"),
    "line_items": Exported(LineItem, "orders", of_order=True),
    "sales": Exported(Sale, "orders", of_order=True),
    "refunds": Exported(Refund, "orders", of_order=True),
    "customers": Exported(Customer, "customers"),
    "products": Exported(Product, "products"),
    "variants": Exported(Variant, "products"),
    "daily_sales": Exported(DailySales, "orders", changes=False),
    "daily_product_sales": Exported(DailyProductSales, "orders", changes=False),
}
