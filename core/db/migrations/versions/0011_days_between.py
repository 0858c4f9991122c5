"""Counts of buyers, products and cohorts by which figures cost with days: new rollups, filled from what is there."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_PRODUCT_SUMS = ("gross_sales", "discounts", "sales_reversals", "units_sold", "units_returned")


def upgrade() -> None:
    _tables()
    op.add_column("customer_totals", sa.Column("bought", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("customer_totals", sa.Column("last_day", sa.Date(), nullable=False, server_default="1970-01-01"))
    op.get_bind().exec_driver_sql("CREATE TEMPORARY TABLE known_month AS SELECT * FROM customer_month")
    op.drop_table("customer_month")
    _customer_month()
    fill(op.get_bind())
    op.create_index("ix_customer_totals_bought", "customer_totals", ["shop_id", "bought", "buyer_id"])
    op.create_index("ix_customer_month_bought", "customer_month", ["shop_id", "month", "bought", "buyer_id"])


def _tables() -> None:
    op.create_table(
        "monthly_product_sales",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("gross_sales", sa.BigInteger(), nullable=False),
        sa.Column("discounts", sa.BigInteger(), nullable=False),
        sa.Column("sales_reversals", sa.BigInteger(), nullable=False),
        sa.Column("units_sold", sa.Integer(), nullable=False),
        sa.Column("units_returned", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_monthly_product_sales_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "month", "product_id", "title", name=op.f("pk_monthly_product_sales")),
    )
    op.create_table(
        "days_between",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("grain", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("before", sa.Date(), nullable=False),
        sa.Column("customers", sa.Integer(), nullable=False),
        sa.Column("returning_customers", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_days_between_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "grain", "day", "before", name=op.f("pk_days_between")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cohort_month",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_month", sa.Date(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("customers", sa.Integer(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("net_sales", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_cohort_month_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "first_month", "month", name=op.f("pk_cohort_month")),
    )


def _customer_month() -> None:
    """Its key by buyer first, so that a buyer's months stand together."""
    op.create_table(
        "customer_month",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("buyer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("first_month", sa.Date(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("net_sales", sa.BigInteger(), nullable=False),
        sa.Column("bought", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_customer_month_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "buyer_id", "month", name=op.f("pk_customer_month")),
        sqlite_with_rowid=False,
    )


def fill(connection: sa.Connection) -> None:
    """Fill what is new from orders, ledger and the rollups that were there; customer_month from known_month."""
    on_sqlite = connection.dialect.name == "sqlite"
    month = "date({}, 'start of month')" if on_sqlite else "date_trunc('month', {})::date"
    week = "date(day, 'weekday 0', '-6 days')" if on_sqlite else "date_trunc('week', day)::date"
    counted = f"o.test = {0 if on_sqlite else 'false'} AND o.deleted_at IS NULL AND o.buyer_id IS NOT NULL"
    summed = ", ".join(f"sum({name})" for name in _PRODUCT_SUMS)
    for statement in (
        f"""INSERT INTO monthly_product_sales (shop_id, month, product_id, title, {", ".join(_PRODUCT_SUMS)})
            SELECT shop_id, {month.format("day")}, product_id, title, {summed}
            FROM daily_product_sales GROUP BY 1, 2, 3, 4""",
        """INSERT INTO cohort_month (shop_id, first_month, month, customers, orders, net_sales)
            SELECT shop_id, first_month, month, sum(CASE WHEN orders > 0 THEN 1 ELSE 0 END), sum(orders), sum(net_sales)
            FROM known_month GROUP BY 1, 2, 3""",
        "DELETE FROM cohort_month WHERE customers = 0 AND orders = 0 AND net_sales = 0",
        f"""CREATE TEMPORARY TABLE buyer_day AS
            SELECT o.shop_id, o.buyer_id, o.day, max(CASE WHEN o.id <> t.first_order_id THEN 1 ELSE 0 END) AS again
            FROM "order" o JOIN customer_totals t ON t.shop_id = o.shop_id AND t.buyer_id = o.buyer_id
            WHERE {counted} GROUP BY 1, 2, 3""",
        f"""INSERT INTO days_between (shop_id, grain, day, before, customers, returning_customers)
            SELECT shop_id, grain, day, before, sum(customers), sum(again) FROM (
                SELECT shop_id, 'day' AS grain, day, before, 1 AS customers, 0 AS again FROM ({_EVERY}) a
                UNION ALL SELECT shop_id, 'day', day, before, 0, 1 FROM ({_AGAIN}) b
                UNION ALL SELECT shop_id, 'month', day, {month.format("before")}, 1, 0 FROM ({_EVERY}) c
                UNION ALL SELECT shop_id, 'month', day, {month.format("before")}, 0, 1 FROM ({_AGAIN}) d
                UNION ALL SELECT shop_id, 'week', day, {week}, 1, 0 FROM ({_EVERY}) f WHERE before >= {week}
                UNION ALL SELECT shop_id, 'week', day, {week}, 0, 1 FROM ({_AGAIN}) g WHERE before >= {week}
            ) e WHERE before IS NOT NULL GROUP BY 1, 2, 3, 4""",
        """UPDATE customer_totals SET last_day = b.day
            FROM (SELECT shop_id, buyer_id, max(day) AS day FROM buyer_day GROUP BY 1, 2) b
            WHERE b.shop_id = customer_totals.shop_id AND b.buyer_id = customer_totals.buyer_id""",
        "DROP TABLE buyer_day",
        f"""CREATE TEMPORARY TABLE buyer_month AS
            SELECT o.shop_id, o.buyer_id, {month.format("s.day")} AS month, sum(s.total_amount - s.tax_amount) AS bought
            FROM sale s JOIN "order" o ON o.shop_id = s.shop_id AND o.id = s.order_id
            WHERE s.measure IN ('gross_sales', 'sales_reversals') AND s.total_amount > s.tax_amount AND {counted}
            GROUP BY 1, 2, 3""",
        """INSERT INTO customer_month (shop_id, buyer_id, month, first_month, orders, net_sales, bought)
            SELECT k.shop_id, k.buyer_id, k.month, k.first_month, k.orders, k.net_sales, coalesce(b.bought, 0)
            FROM known_month k LEFT JOIN buyer_month b
            ON b.shop_id = k.shop_id AND b.buyer_id = k.buyer_id AND b.month = k.month ORDER BY 1, 2, 3""",
        "DROP TABLE known_month",
        """UPDATE customer_totals SET bought = b.bought
            FROM (SELECT shop_id, buyer_id, sum(bought) AS bought FROM buyer_month GROUP BY 1, 2) b
            WHERE b.shop_id = customer_totals.shop_id AND b.buyer_id = customer_totals.buyer_id""",
        "DROP TABLE buyer_month",
    ):
        connection.exec_driver_sql(statement)


_STEPS = "SELECT shop_id, day, lag(day) OVER (PARTITION BY shop_id, buyer_id ORDER BY day) AS before FROM buyer_day"
_EVERY, _AGAIN = _STEPS, f"{_STEPS} WHERE again = 1"
