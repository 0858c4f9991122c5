"""Tables of what Shopify tells by itself: the inbox of webhooks, the subscriptions, the demo's live orders."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from core.db.base import Model, ShopScoped, gid_number, moment


class WebhookEvent(Model, table=True):
    """One delivery in the inbox, by Shopify's id of it, so that a repeated delivery is no second row.

    `state` is waiting, done, dead (given up until it is replayed) or ignored (`problem` says why). The body is emptied
    once it is settled. `shop_id` is null where no such store is known here.
    """

    __tablename__ = "webhook_event"
    __table_args__ = (
        sa.Index("ix_webhook_event_state", "state", "due_at"),
        sa.Index("ix_webhook_event_shop_id", "shop_id", "topic", "received_at"),
    )

    webhook_id: str = Field(primary_key=True)
    shop_id: int | None = None  # no foreign key: storing a delivery waits for nobody who holds the shop's row
    domain: str
    topic: str
    triggered_at: datetime | None = moment()
    received_at: datetime = moment(nullable=False)
    body: bytes = Field(default=b"", sa_type=sa.LargeBinary, repr=False)
    state: str = "waiting"
    due_at: datetime | None = moment()
    owner: str | None = None
    lease_until: datetime | None = moment()
    attempts: int = 0
    about: str = ""
    problem: str | None = None
    settled_at: datetime | None = moment()


class WebhookSubscription(ShopScoped, Model, table=True):
    """What a store tells us of by itself, as it was when last compared with what should be."""

    __tablename__ = "webhook_subscription"

    topic: str = Field(primary_key=True)
    id: int | None = Field(default=None, sa_type=sa.BigInteger)
    checked_at: datetime = moment(nullable=False)
    problem: str | None = None


class DemoOrder(ShopScoped, Model, table=True):
    """An order that the demo store got while somebody looked on: its number among these, and when."""

    __tablename__ = "demo_order"

    number: int = gid_number()
    placed_at: datetime = moment(nullable=False)
