"""What Shopify has: customers, catalogue, stock, orders with their ledger, abandoned checkouts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "abandoned_checkout",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("discount_codes", sa.String(), nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=False),
        sa.Column("total_discount", sa.BigInteger(), nullable=False),
        sa.Column("total_tax", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_abandoned_checkout_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_abandoned_checkout")),
    )
    op.create_index("ix_abandoned_checkout_customer", "abandoned_checkout", ["shop_id", "customer_id"], unique=False)
    op.create_index("ix_abandoned_checkout_day", "abandoned_checkout", ["shop_id", "day"], unique=False)
    op.create_table(
        "customer",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("redacted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_customer_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_customer")),
    )
    op.create_index(
        "ix_customer_redacted",
        "customer",
        ["shop_id", "id"],
        unique=False,
        postgresql_where=sa.text("redacted_at IS NOT NULL"),
        sqlite_where=sa.text("redacted_at IS NOT NULL"),
    )
    op.create_table(
        "inventory_item",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.String(), nullable=True),
        sa.Column("tracked", sa.Boolean(), nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_inventory_item_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_inventory_item")),
    )
    op.create_table(
        "location",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_location_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_location")),
    )
    op.create_table(
        "product",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("product_type", sa.String(), nullable=False),
        sa.Column("vendor", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=True),
        sa.Column("tags", sa.String(), nullable=False),
        sa.Column("is_gift_card", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_product_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_product")),
    )
    op.create_table(
        "abandoned_checkout_line",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("checkout_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=True),
        sa.Column("variant_id", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("variant_title", sa.String(), nullable=True),
        sa.Column("sku", sa.String(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id", "checkout_id"],
            ["abandoned_checkout.shop_id", "abandoned_checkout.id"],
            name="fk_abandoned_checkout_line_checkout",
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_abandoned_checkout_line_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "checkout_id", "id", name=op.f("pk_abandoned_checkout_line")),
    )
    op.create_table(
        "inventory_level",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("inventory_item_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("location_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("available", sa.Integer(), nullable=True),
        sa.Column("on_hand", sa.Integer(), nullable=True),
        sa.Column("committed", sa.Integer(), nullable=True),
        sa.Column("incoming", sa.Integer(), nullable=True),
        sa.Column("reserved", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["shop_id", "inventory_item_id"],
            ["inventory_item.shop_id", "inventory_item.id"],
            name="fk_inventory_level_item",
        ),
        sa.ForeignKeyConstraint(
            ["shop_id", "location_id"], ["location.shop_id", "location.id"], name="fk_inventory_level_location"
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_inventory_level_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "inventory_item_id", "location_id", name=op.f("pk_inventory_level")),
    )
    op.create_table(
        "order",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=True),
        sa.Column("buyer_id", sa.BigInteger(), nullable=True),
        sa.Column("financial_status", sa.String(), nullable=True),
        sa.Column("fulfillment_status", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("discount_codes", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("has_goods", sa.Boolean(), nullable=False),
        sa.Column("derived", sa.Boolean(), nullable=False),
        sa.Column("original_total", sa.BigInteger(), nullable=False),
        sa.Column("current_total", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["shop_id", "customer_id"], ["customer.shop_id", "customer.id"], name=op.f("fk_order_shop_id_customer_id")
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_order_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_order")),
    )
    op.create_index("ix_order_buyer", "order", ["shop_id", "buyer_id", "processed_at"], unique=False)
    op.create_index("ix_order_customer", "order", ["shop_id", "customer_id"], unique=False)
    op.create_index("ix_order_day", "order", ["shop_id", "day", "buyer_id"], unique=False)
    op.create_index("ix_order_name", "order", ["shop_id", "name"], unique=False)
    op.create_table(
        "variant",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=True),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("inventory_item_id", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id", "product_id"], ["product.shop_id", "product.id"], name=op.f("fk_variant_shop_id_product_id")
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_variant_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "id", name=op.f("pk_variant")),
    )
    op.create_index("ix_variant_product", "variant", ["shop_id", "product_id"], unique=False)
    op.create_table(
        "line_item",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=True),
        sa.Column("variant_id", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("variant_title", sa.String(), nullable=True),
        sa.Column("sku", sa.String(), nullable=True),
        sa.Column("vendor", sa.String(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("current_quantity", sa.Integer(), nullable=False),
        sa.Column("is_gift_card", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id", "order_id"], ["order.shop_id", "order.id"], name=op.f("fk_line_item_shop_id_order_id")
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_line_item_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "order_id", "id", name=op.f("pk_line_item")),
    )
    op.create_table(
        "refund",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("total_refunded", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id", "order_id"], ["order.shop_id", "order.id"], name=op.f("fk_refund_shop_id_order_id")
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_refund_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "order_id", "id", name=op.f("pk_refund")),
    )
    op.create_table(
        "sale",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("in_first_agreement", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("action_type", sa.String(), nullable=False),
        sa.Column("line_type", sa.String(), nullable=False),
        sa.Column("measure", sa.String(), nullable=False),
        sa.Column("unclassified", sa.Boolean(), nullable=False),
        sa.Column("line_item_id", sa.BigInteger(), nullable=True),
        sa.Column("product_id", sa.BigInteger(), nullable=True),
        sa.Column("product_title", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("total_amount", sa.BigInteger(), nullable=False),
        sa.Column("tax_amount", sa.BigInteger(), nullable=False),
        sa.Column("discount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id", "order_id"], ["order.shop_id", "order.id"], name=op.f("fk_sale_shop_id_order_id")
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_sale_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "order_id", "id", name=op.f("pk_sale")),
    )
    op.create_index("ix_sale_day", "sale", ["shop_id", "day", "order_id"], unique=False)
