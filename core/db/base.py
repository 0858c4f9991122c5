"""What every table is made of: moments in UTC, money in minor units, keys that lead with the shop."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware moment, stored in UTC; SQLite keeps it without the zone. A naive one is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Model(SQLModel, registry=registry(metadata=sa.MetaData(naming_convention=_NAMES))):
    """Base of every table; its own registry survives a reload, named constraints can be migrated."""


def money(default: int | None = 0) -> Any:
    """A column of minor units of the shop's currency."""
    return Field(default=default, sa_type=sa.BigInteger)


def moment(**options: Any) -> Any:
    """A column of aware moments; null allowed unless said otherwise."""
    return Field(default=None, sa_type=UtcDateTime, **options)


def gid_number() -> Any:
    """A key column with the number of one of Shopify's ids."""
    return Field(primary_key=True, sa_type=sa.BigInteger, sa_column_kwargs={"autoincrement": False})


class ShopScoped(SQLModel):
    """Mixin: rows of this table belong to one shop."""

    shop_id: int = Field(primary_key=True, foreign_key="shop.id", sa_column_kwargs={"autoincrement": False})
