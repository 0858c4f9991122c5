"""When a customer's name and e-mail were forgotten is known: an export of what changed since has to list it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("customer", sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=True))
