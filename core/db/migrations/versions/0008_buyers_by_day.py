"""The index over orders by day holds all that counting buyers reads."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.drop_index("ix_order_day", table_name="order")
    op.create_index("ix_order_day", "order", ["shop_id", "day", "buyer_id", "id", "test", "deleted_at"])
