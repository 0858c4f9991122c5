"""Tables of what people keep of their own beside what Shopify has: goals, boards, views, and what is sent of them."""

from datetime import date, datetime

import sqlalchemy as sa
from sqlmodel import Field

from core.db.base import Model, ShopScoped, moment, money


class Goal(ShopScoped, Model, table=True):
    """A metric's monthly target, from `month` (its first day) until a later row replaces it.

    `target` is in minor units or a count by the metric's unit; None ends the goal.
    """

    metric: str = Field(primary_key=True)
    month: date = Field(primary_key=True)
    target: int | None = money(None)
    created_by: int | None = None
    changed_at: datetime = moment(nullable=False)


class Board(ShopScoped, Model, table=True):
    """What one user put on their board of a shop, in their order: slugs, of which a newer program may not know all.

    It goes with the membership.
    """

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["shop_id", "user_id"], ["membership.shop_id", "membership.user_id"],
            name="fk_board_membership", ondelete="CASCADE",
        ),
    )  # fmt: skip

    user_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    items: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    changed_at: datetime = moment(nullable=False)


class SavedView(ShopScoped, Model, table=True):
    """An address of a page that somebody kept under a name: its query as lists of texts.

    `private_to` is None once it is shared in the shop. A private one goes with the membership of who made it, a
    shared one stays.
    """

    __tablename__ = "saved_view"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["shop_id", "private_to"], ["membership.shop_id", "membership.user_id"],
            name="fk_saved_view_membership", ondelete="CASCADE",
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    name: str
    page: str
    query: dict[str, list[str]] = Field(default_factory=dict, sa_type=sa.JSON)
    created_by: int
    private_to: int | None = None
    created_at: datetime = moment(nullable=False)
    changed_at: datetime = moment(nullable=False)


class ReportSchedule(Model, table=True):
    """A view as an e-mail to one member, again and again; the row is the queue, and goes with view and membership.

    `weekday` counts from Monday (0), `month_day` to 31 (the last day where a month is shorter), `hour` is the shop's.
    `next_due_at` moves on when a worker takes the row. `failures` counts attempts since the last success; `problem`
    is for the member to read, also about why it is not `active` any more. The link that ends it is sealed to write it
    into the next e-mail, and hashed to find the row by it.
    """

    __tablename__ = "report_schedule"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["shop_id", "user_id"], ["membership.shop_id", "membership.user_id"],
            name="fk_report_schedule_membership", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["shop_id", "view_id"], ["saved_view.shop_id", "saved_view.id"],
            name="fk_report_schedule_view", ondelete="CASCADE",
        ),
        sa.Index("ix_report_schedule_due", "active", "next_due_at"),
        sa.Index("ix_report_schedule_view", "shop_id", "view_id"),
    )  # fmt: skip

    id: int | None = Field(default=None, primary_key=True)
    shop_id: int = Field(foreign_key="shop.id")
    view_id: str
    user_id: int
    every: str
    weekday: int = 0
    month_day: int = 1
    hour: int = 8
    attachment: str = "none"
    active: bool = True
    next_due_at: datetime = moment(nullable=False)
    last_sent_at: datetime | None = moment()
    failures: int = 0
    problem: str | None = None
    unsubscribe_sealed: str = Field(repr=False)
    unsubscribe_hash: str = Field(unique=True, repr=False)
    created_at: datetime = moment(nullable=False)
