"""The tenant guard: what a session may ask and write, checked before it reaches the database.

A shop's session is filtered to that shop, in every table with a shop_id and in `shop` itself. A session without a
shop may not touch a ShopScoped table. What the filter cannot see is refused: text, literal columns, tables not
asked for through their model, rows inside the statement, bulk_* methods. `session.connection()` goes around it:
that stays in core/db and core/analytics/frames.py, and PostgreSQL filters it by row-level security.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NoReturn, cast

from sqlalchemy import Column, Delete, Join, Select, Table, TableClause, TextClause, Update, event
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria
from sqlalchemy.orm import Session as AnySession
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.visitors import iterate
from sqlmodel import Session

from core.db import filters
from core.db.models import SHOP_SCOPED, Model, Shop, ShopScoped
from core.errors import UnscopedQueryError

# Queue, memberships, keys, audit: a shop's session sees its own rows, a session without a shop sees all.
SHARED: tuple[type[Any], ...] = tuple(
    model for model in Model.__subclasses__() if "shop_id" in model.model_fields and not issubclass(model, ShopScoped)
)
_SCOPED_TABLES = {str(model.__tablename__) for model in SHOP_SCOPED}
_GUARDED_TABLES = _SCOPED_TABLES | {str(model.__tablename__) for model in SHARED} | {str(Shop.__tablename__)}


class GuardedSession(Session):
    """A session without the old bulk methods, which no event announces."""

    def _refuse_bulk(self, *_: Any, **__: Any) -> NoReturn:
        raise UnscopedQueryError("bulk methods go around the tenant guard; use core.db.upsert")

    bulk_save_objects = bulk_insert_mappings = bulk_update_mappings = _refuse_bulk


@event.listens_for(AnySession, "do_orm_execute")
def _check_statement(state: ORMExecuteState) -> None:
    shop_id = state.session.info.get("shop_id")
    parts: list[Any] = list(iterate(cast("Any", state.statement)))
    # Every table named anywhere: the statement's own mappers miss one inside a subquery.
    named = {part.name for part in parts if isinstance(part, TableClause)}
    if shop_id is None:
        if touched := named & _SCOPED_TABLES:
            raise UnscopedQueryError(f"{', '.join(sorted(touched))} can only be reached through shop_session()")
        return
    # Only a look-up by key has plain columns, and looking where they stand takes long.
    with_columns = any(isinstance(part, Column) and _is_plain(part) for part in parts)
    for part in parts:
        _refuse_unseen(part, with_columns)
    if state.is_insert or state.is_update:
        _refuse_foreign_rows(state, shop_id)
    if not state.is_insert and not state.is_column_load:
        own = criteria(shop_id)
        narrower = filters.criteria(shop_id, state.session.info["filters"]) if state.is_select else {}
        options = [own[name] for name in sorted(named & _GUARDED_TABLES)]
        options += [narrower[name] for name in sorted(named & narrower.keys())]
        state.statement = state.statement.options(*options)


@lru_cache(maxsize=1024)
def criteria(shop_id: int) -> dict[str, Any]:
    """By table, what filters its class to one shop wherever it occurs; made once a shop, because making is slow."""
    shops: Any = Shop.id == shop_id
    return {
        str(model.__tablename__): with_loader_criteria(model, _own(model, shop_id), include_aliases=True)
        for model in (*SHOP_SCOPED, *SHARED)
    } | {str(Shop.__tablename__): with_loader_criteria(Shop, shops, include_aliases=True)}


def _own(model: Any, shop_id: int) -> Any:
    return model.shop_id == shop_id


def _refuse_unseen(part: Any, with_columns: bool) -> None:
    """The filter works on models: whatever names a table without its model would pass it by."""
    if isinstance(part, TextClause) or (isinstance(part, ColumnClause) and part.is_literal and part.name != "*"):
        raise UnscopedQueryError("text goes around the tenant guard; select columns of the models")
    for table in _tables_without_model(part, with_columns):
        if table.name in _GUARDED_TABLES:
            raise UnscopedQueryError(f"{table.name} can only be reached through its model, in a select")


def _tables_without_model(part: Any, with_columns: bool) -> Iterator[Any]:
    """Tables that a select reads from, or a write goes to, without the mark of a model."""
    if isinstance(part, TableClause) and not isinstance(part, Table):
        yield part
    if getattr(part, "is_dml", False) and not _marked(part.table):
        yield part.table
    if isinstance(part, (Update, Delete)):
        yield from _tables_beside(part)
    if not isinstance(part, Select):
        return
    sources: list[Any] = [*part._raw_columns, *part._from_obj, *(join[0] for join in part._setup_joins)]
    sources += [getattr(source, side) for source in sources if isinstance(source, Join) for side in ("left", "right")]
    yield from (_table_of(source) for source in sources if not isinstance(source, Column) and _is_plain(source))
    if with_columns:
        # Not in its conditions, where a look-up by key has them, of the table that is selected by its model.
        by_model = {source.name for source in sources if isinstance(source, Table) and _marked(source)}
        columns = (one for outer in part._raw_columns for one in iterate(outer) if isinstance(one, Column))
        yield from (
            _table_of(column.table)
            for column in columns
            if _is_plain(column) and _table_of(column.table).name not in by_model
        )


def _tables_beside(write: Any) -> Iterator[Any]:
    """UPDATE .. FROM and DELETE .. USING: the filter reaches the table that is written and subqueries, not these."""
    clauses = (*write._where_criteria, *(getattr(write, "_values", None) or {}).values())
    for source in (source for clause in clauses for source in clause._from_objects):
        table = _table_of(source)
        if isinstance(table, Table) and (source is not table or table.name != write.table.name):
            yield table


def _is_plain(part: Any) -> bool:
    """Whether this is a table, a table's alias, or a column of either, without the mark of a model."""
    source = part.table if isinstance(part, Column) else part
    table = _table_of(source)
    return isinstance(table, Table) and not any(map(_marked, (part, source, table)))


def _table_of(source: Any) -> Any:
    return getattr(source, "element", source)  # of an alias


def _marked(part: Any) -> bool:
    return "parententity" in getattr(part, "_annotations", ())


def _refuse_foreign_rows(state: ORMExecuteState, shop_id: int) -> None:
    model = state.bind_mapper.class_ if state.bind_mapper is not None else None
    if model is None or "shop_id" not in model.model_fields:
        return
    statement: Any = state.statement
    if state.is_insert and (statement._values or statement._multi_values or statement.select is not None):
        raise UnscopedQueryError(f"rows for {model.__name__} are handed over as parameters, not in the statement")
    if state.is_update and any(getattr(key, "key", key) == "shop_id" for key in statement._values or ()):
        raise UnscopedQueryError(f"a {model.__name__} cannot be moved to another shop")
    given: Any = state.parameters or ()
    rows = given if isinstance(given, (list, tuple)) else [given]
    if any(row.get("shop_id", shop_id) != shop_id for row in rows):
        raise UnscopedQueryError(f"a row of {model.__name__} belongs to another shop")


@event.listens_for(AnySession, "before_flush")
def _refuse_foreign_objects(session: AnySession, *_: Any) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        _refuse_foreign_object(session, row)


@event.listens_for(AnySession, "before_attach")
def _refuse_foreign_guests(session: AnySession, row: Any) -> None:
    """An object of another session would be written or read anew here."""
    if getattr(row, "shop_id", None) is not None:
        _refuse_foreign_object(session, row)


def _refuse_foreign_object(session: AnySession, row: Any) -> None:
    shop_id = session.info.get("shop_id")
    if isinstance(row, ShopScoped) and row.shop_id != shop_id:
        raise UnscopedQueryError(f"a {type(row).__name__} of another shop cannot be written here")
    if shop_id is not None and isinstance(row, SHARED) and row.shop_id not in (shop_id, None):
        raise UnscopedQueryError(f"a {type(row).__name__} of another shop cannot be written here")
