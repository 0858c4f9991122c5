"""A session sees one shop, whatever is asked of it; Charlie's rows have the same ids as Alice's."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, exists, func, insert, select, union_all, update
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel

from core.db import upsert
from core.db.engine import shop_of, shop_session, system_session
from core.db.models import SHOP_SCOPED, Customer, CustomerTotals, Membership, Model, Order, Sale, Shop, ShopScoped
from core.errors import UnscopedQueryError
from tests.factories import add_shop, agreement, at, order, sale, store_orders
from tests.kept_shop import keep

NOON = at("2026-06-10T16:00")


@pytest.fixture(autouse=True)
def two_shops(database: Engine) -> None:
    """Alice's shop 1 and Charlie's shop 2, with equal ids and different money."""
    keep("two shops of equal ids", _two_shops)


def _two_shops() -> None:
    for shop_id, amount in ((1, "10.0"), (2, "77.0")):
        store_orders(add_shop(shop_id), order(5, NOON, agreement(NOON, sale(amount, id="gid://shopify/Sale/1"))))


Other: Any = aliased(Order)
STATEMENTS: dict[str, Any] = {
    "rows": select(Order.shop_id),
    "an entity": select(Order),
    "a count": select(func.count()).select_from(Order),
    "an alias": select(Other.shop_id),
    "a join": select(Sale.shop_id).join(Order, Sale.order_id == Order.id),
    "a subquery": select(func.count()).select_from(select(Order.buyer_id).subquery()),
    "a scalar subquery": select(select(func.count(Order.id)).scalar_subquery()),
    "a common table expression": select(select(Order.shop_id).cte().c.shop_id),
    "a union": union_all(select(Order.shop_id), select(CustomerTotals.shop_id)),
    "exists": select(Shop.id).where(exists().where(Order.shop_id == Shop.id)),
    "a join from a free table": select(Shop.id).join(Order, Order.shop_id == Shop.id),
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_without_a_shop_a_shops_table_cannot_be_read(statement):
    with system_session() as session, pytest.raises(UnscopedQueryError):
        session.execute(statement)


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_alices_session_never_sees_charlies_rows(statement):
    with shop_session(1) as session:
        found = session.execute(statement).all()
    assert found, "the statement finds Alice's own row"
    assert all(getattr(row[0], "shop_id", row[0]) == 1 for row in found)


def test_charlies_row_cannot_be_fetched_by_its_key():
    with shop_session(1) as session:
        assert session.get(Order, (2, 5)) is None
        assert session.get(Order, (1, 5)) is not None


def test_updates_and_deletes_reach_only_the_sessions_shop():
    with shop_session(1, write=True) as session:
        session.execute(update(Customer).values(name="changed"))
        session.execute(delete(Sale))
    with shop_session(2) as session:
        assert session.execute(select(Customer.name)).scalars().all() == [None]
        assert session.execute(select(func.count(Sale.id))).scalar() == 1


def test_rows_of_another_shop_cannot_be_added():
    with pytest.raises(UnscopedQueryError), shop_session(1, write=True) as session:
        session.add(Customer(shop_id=2, id=99))
    with pytest.raises(UnscopedQueryError), shop_session(1, write=True) as session:
        session.execute(insert(Customer), [{"shop_id": 1, "id": 98}, {"shop_id": 2, "id": 99}])
    with pytest.raises(UnscopedQueryError), system_session(write=True) as session:
        session.add(Customer(shop_id=2, id=99))
    with shop_session(2) as session:
        assert session.get(Customer, (2, 99)) is None


def test_a_batch_belongs_to_the_sessions_shop_and_needs_one():
    with shop_session(1, write=True) as session:
        upsert.upsert(session, Customer, [{"id": 1, "name": "Ann", "fingerprint": ""}])
    with shop_session(2) as session:
        assert session.execute(select(Customer.name)).scalars().all() == [None]
    with pytest.raises(UnscopedQueryError), system_session(write=True) as session:
        upsert.upsert(session, Customer, [{"id": 1, "name": "Ann", "fingerprint": ""}])
    with pytest.raises(UnscopedQueryError), system_session() as session:
        shop_of(session)


def test_free_tables_need_no_shop():
    with system_session() as session:
        assert session.execute(select(Shop.id).outerjoin(Membership).order_by(Shop.id)).scalars().all() == [1, 2]


def test_every_table_with_a_shop_is_guarded_or_part_of_the_account_or_queue():
    free = {"membership", "sync_state", "sync_run", "api_key", "audit_event", "webhook_event", "report_schedule"}
    with_shop = {name for name, table in Model.metadata.tables.items() if "shop_id" in table.c}
    assert with_shop - free == {model.__tablename__ for model in SHOP_SCOPED}


@pytest.mark.parametrize("model", SHOP_SCOPED, ids=lambda model: model.__name__)
def test_keys_and_indexes_lead_with_the_shop(model: type[ShopScoped]):
    table = SQLModel.metadata.tables.get("") or Model.metadata.tables[str(model.__tablename__)]
    assert next(iter(table.primary_key)).name == "shop_id"
    for index in table.indexes:
        assert next(iter(index.columns)).name == "shop_id", index.name
    for key in table.foreign_key_constraints:
        assert key.column_keys[0] == "shop_id", key.name


def test_an_order_cannot_point_to_another_shops_customer():
    with shop_session(2, write=True) as session:
        upsert.upsert(session, Customer, [{"id": 500, "fingerprint": ""}])
    with pytest.raises(Exception, match=r"(?i)foreign key"), shop_session(1, write=True) as session:
        session.execute(update(Order).values(customer_id=500))


@given(st.datetimes(timezones=st.timezones()))
def test_a_naive_moment_is_refused_and_an_aware_one_comes_back_in_utc(moment: datetime):
    from sqlalchemy.dialects import sqlite

    from core.db.models import UtcDateTime

    kind, dialect = UtcDateTime(), sqlite.dialect()
    stored = kind.process_bind_param(moment, dialect) if moment.year > 1 and moment.year < 9999 else None
    if stored is not None:
        assert kind.process_result_value(stored, dialect) == moment.astimezone(UTC)
    with pytest.raises(ValueError, match="zone"):
        kind.process_bind_param(moment.replace(tzinfo=None), dialect)
