"""Alembic's entry: runs on the connection handed over by core.db.migrate, in its transaction."""

from typing import Any, Literal

from alembic import context
from sqlmodel.sql.sqltypes import AutoString

from core.db.models import Model, UtcDateTime


def plain_types(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Migrations name only SQLAlchemy's own types: they must still run when ours have changed."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    transactional_ddl=True,
    render_item=plain_types,
)
context.run_migrations()
