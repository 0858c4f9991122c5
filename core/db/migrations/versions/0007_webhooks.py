"""The inbox of webhooks, subscriptions, the demo's live orders; what a privacy request asks for."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "webhook_event",
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=True),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("triggered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhook_event")),
    )
    op.create_index("ix_webhook_event_state", "webhook_event", ["state", "due_at"])
    op.create_index("ix_webhook_event_shop_id", "webhook_event", ["shop_id", "topic", "received_at"])
    op.create_table(
        "webhook_subscription",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_webhook_subscription_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "topic", name=op.f("pk_webhook_subscription")),
    )
    op.create_table(
        "demo_order",
        sa.Column("shop_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_demo_order_shop_id")),
        sa.PrimaryKeyConstraint("shop_id", "number", name=op.f("pk_demo_order")),
    )
    op.add_column("shop", sa.Column("webhooks_checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("shop", sa.Column("webhooks_problem", sa.String(), nullable=True))
    op.add_column("privacy_request", sa.Column("webhook_id", sa.String(), nullable=True))
    op.add_column("privacy_request", sa.Column("order_ids", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("privacy_request", sa.Column("note", sa.String(), server_default="", nullable=False))
    op.create_index("ix_privacy_request_webhook_id", "privacy_request", ["webhook_id"], unique=True)
    op.create_index("ix_privacy_request_shop_gid", "privacy_request", ["shop_gid"])
