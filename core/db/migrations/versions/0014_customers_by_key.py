"""On SQLite the totals of customers stand in the order of their key: all of them were read a page for each."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.drop_index("ix_customer_totals_bought", "customer_totals")
    op.rename_table("customer_totals", "known_totals")
    op.create_table(
        "customer_totals",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("buyer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("net_sales", sa.BigInteger(), nullable=False),
        sa.Column("bought", sa.BigInteger(), nullable=False),
        sa.Column("first_order_id", sa.BigInteger(), nullable=False),
        sa.Column("first_order_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_order_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_customer_totals_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "buyer_id", name=op.f("pk_customer_totals")),
        sqlite_with_rowid=False,
    )
    op.get_bind().exec_driver_sql(
        f"INSERT INTO customer_totals ({_NAMES}) SELECT {_NAMES} FROM known_totals ORDER BY shop_id, buyer_id"
    )
    op.drop_table("known_totals")
    op.create_index("ix_customer_totals_bought", "customer_totals", ["shop_id", "bought", "buyer_id"])


_NAMES = (
    "shop_id, buyer_id, orders, net_sales, bought, first_order_id, first_order_at, first_day, last_order_at, last_day"
)
