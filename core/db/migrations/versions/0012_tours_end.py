"""A tour that was closed stays closed."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("auth_session", sa.Column("tour_over_at", sa.DateTime(timezone=True), nullable=True))
