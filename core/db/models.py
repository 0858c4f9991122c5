"""Tables. A model that mixes in ShopScoped belongs to one shop and is invisible to every other.

Keys are (shop_id, id) with Shopify's own ids, so two shops can never meet in a join and the tables
could be distributed by shop_id. Money is BIGINT minor units of the shop's currency; moments are
aware UTC; `day` and `hour` are those of the shop's clock.
"""

from datetime import date, datetime

import sqlalchemy as sa
from sqlmodel import Field, Session

from core.db.account_models import (
    ApiKey,
    AuditEvent,
    AuthSession,
    AuthTicket,
    LoginAttempt,
    Membership,
    PrivacyRequest,
    User,
)
from core.db.base import Model, ShopScoped, UtcDateTime, gid_number, moment, money
from core.db.rollup_models import (
    CohortMonth,
    CustomerMonth,
    CustomerTotals,
    DailyBreakdown,
    DailyProductSales,
    DailySales,
    DaysBetween,
    HourlySales,
    MonthlyProductSales,
)
from core.db.sync_models import QuarantinedRow, SyncRun, SyncState, WorkerHeartbeat
from core.db.view_models import Board, Goal, ReportSchedule, SavedView
from core.db.webhook_models import DemoOrder, WebhookEvent, WebhookSubscription
from core.errors import UnknownShop

__all__ = [
    "ApiKey", "AuditEvent", "AuthSession", "AuthTicket", "Board", "CohortMonth", "CustomerMonth", "CustomerTotals",
    "DailyBreakdown", "DailyProductSales", "DailySales", "DaysBetween", "DemoOrder", "Goal", "HourlySales",
    "LoginAttempt", "Membership", "Model", "MonthlyProductSales", "PrivacyRequest", "QuarantinedRow",
    "ReportSchedule", "SavedView", "ShopScoped", "SyncRun", "SyncState", "User", "UtcDateTime", "WebhookEvent",
    "WebhookSubscription", "WorkerHeartbeat", "connected_shop",
]  # fmt: skip


class Shop(Model, table=True):
    """A tenant: one Shopify store, known by its GID number; the domain may be renamed.

    The id of a deleted store never comes back: what was cached or downloaded for it cannot fit another one.
    `token` is empty once the store was disconnected. `token_lease_until` is set while somebody asks for a new access
    token, `alerted_at` while a failure is told.
    """

    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True)
    gid: int = Field(unique=True, sa_type=sa.BigInteger)
    domain: str = Field(unique=True)
    name: str
    currency: str
    time_zone: str
    taxes_included: bool = False
    scopes: str = ""
    token: str = Field(repr=False)
    is_demo: bool = False
    opened_on: date | None = None
    personal_data: bool = False
    data_version: int = 0
    reauth_since: datetime | None = moment()
    token_lease_until: datetime | None = moment()
    alerted_at: datetime | None = moment()
    webhooks_checked_at: datetime | None = moment()
    webhooks_problem: str | None = None
    needs_second_factor: bool = False
    keep_audit_days: int = 730
    keep_quarantine_days: int = 90
    keep_personal_days: int | None = None
    created_at: datetime = moment(nullable=False)


def connected_shop(session: Session, shop_id: int, *, locked: bool = False) -> Shop:
    """The shop's row, held until the transaction ends where it is to be locked. Raises UnknownShop where it is gone."""
    shop = session.get(Shop, shop_id, with_for_update=locked)
    if shop is None:
        raise UnknownShop("This store is not connected any more. What was stored of it is deleted.")
    return shop


class KeyCanary(Model, table=True):
    """One known word, encrypted: it tells at start whether the keys are those the secrets were stored with."""

    __tablename__ = "key_canary"

    id: int = Field(default=1, primary_key=True)
    sealed: str = Field(repr=False)


class Customer(ShopScoped, Model, table=True):
    """A customer; name and e-mail only where the merchant wants personal data, and never again once redacted.

    `forgotten_at` is when they were last blanked by age; news of the customer bring them back.
    """

    __table_args__ = (
        sa.Index(
            "ix_customer_redacted",
            "shop_id",
            "id",
            postgresql_where=sa.text("redacted_at IS NOT NULL"),
            sqlite_where=sa.text("redacted_at IS NOT NULL"),
        ),
    )

    id: int = gid_number()
    created_at: datetime | None = moment()
    updated_at: datetime | None = moment()
    state: str | None = None
    name: str | None = None
    email: str | None = None
    fingerprint: str = ""
    deleted_at: datetime | None = moment()
    redacted_at: datetime | None = moment()
    forgotten_at: datetime | None = moment()


class Product(ShopScoped, Model, table=True):
    """A product of the catalogue."""

    id: int = gid_number()
    title: str
    handle: str
    status: str
    product_type: str
    vendor: str
    category: str | None = None
    tags: str = ""
    is_gift_card: bool = False
    created_at: datetime = moment(nullable=False)
    updated_at: datetime = moment(nullable=False)
    fingerprint: str = ""
    deleted_at: datetime | None = moment()


class Variant(ShopScoped, Model, table=True):
    """A variant of a product; price in minor units."""

    __table_args__ = (
        sa.ForeignKeyConstraint(["shop_id", "product_id"], ["product.shop_id", "product.id"]),
        sa.Index("ix_variant_product", "shop_id", "product_id"),
    )

    id: int = gid_number()
    product_id: int = Field(sa_type=sa.BigInteger)
    title: str
    sku: str | None = None
    price: int = money()
    position: int = 0
    inventory_item_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    updated_at: datetime = moment(nullable=False)


class Location(ShopScoped, Model, table=True):
    """A place where stock is kept; the name only where the token may read locations."""

    id: int = gid_number()
    name: str | None = None


class InventoryItem(ShopScoped, Model, table=True):
    """What a variant is in stock: its cost in minor units, None where the merchant did not say."""

    __tablename__ = "inventory_item"

    id: int = gid_number()
    sku: str | None = None
    tracked: bool = True
    unit_cost: int | None = money(None)
    updated_at: datetime = moment(nullable=False)
    fingerprint: str = ""


class InventoryLevel(ShopScoped, Model, table=True):
    """An item's quantities at one location, as of the last sync; they may be negative."""

    __tablename__ = "inventory_level"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["shop_id", "inventory_item_id"], ["inventory_item.shop_id", "inventory_item.id"],
            name="fk_inventory_level_item",
        ),
        sa.ForeignKeyConstraint(
            ["shop_id", "location_id"], ["location.shop_id", "location.id"], name="fk_inventory_level_location"
        ),
    )  # fmt: skip

    inventory_item_id: int = gid_number()
    location_id: int = gid_number()
    available: int | None = None
    on_hand: int | None = None
    committed: int | None = None
    incoming: int | None = None
    reserved: int | None = None


class Order(ShopScoped, Model, table=True):
    """An order as its header shows it; money is summed from the ledger (Sale), never from here.

    `buyer_id` is the customer's id, or a negative number made from a guest's e-mail, or null: see ledger.buyer_id.
    """

    __table_args__ = (
        sa.ForeignKeyConstraint(["shop_id", "customer_id"], ["customer.shop_id", "customer.id"]),
        # All that counting the buyers of some days reads: it never looks into the rows.
        sa.Index("ix_order_day", "shop_id", "day", "buyer_id", "id", "test", "deleted_at"),
        sa.Index("ix_order_buyer", "shop_id", "buyer_id", "processed_at"),
        sa.Index("ix_order_customer", "shop_id", "customer_id"),
        sa.Index("ix_order_name", "shop_id", "name"),
    )

    id: int = gid_number()
    name: str
    processed_at: datetime = moment(nullable=False)
    day: date
    hour: int
    created_at: datetime = moment(nullable=False)
    updated_at: datetime = moment(nullable=False)
    cancelled_at: datetime | None = moment()
    test: bool = False
    customer_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    buyer_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    financial_status: str | None = None
    fulfillment_status: str | None = None
    source: str | None = None
    discount_codes: str = ""
    country: str | None = None
    has_goods: bool = True
    derived: bool = False
    original_total: int = money()
    current_total: int = money()
    fingerprint: str = ""
    deleted_at: datetime | None = moment()


class LineItem(ShopScoped, Model, table=True):
    """A line of an order, with the title it was sold under; the product may be gone."""

    __tablename__ = "line_item"
    __table_args__ = (sa.ForeignKeyConstraint(["shop_id", "order_id"], ["order.shop_id", "order.id"]),)

    order_id: int = gid_number()
    id: int = gid_number()
    product_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    variant_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    title: str
    variant_title: str | None = None
    sku: str | None = None
    vendor: str | None = None
    quantity: int
    current_quantity: int
    is_gift_card: bool = False


class Sale(ShopScoped, Model, table=True):
    """The sales ledger: one dated, signed row for each Sale of an order's agreements.

    `measure` is where the row counts (ledger.measure_of); net = total_amount - tax_amount; `discount` is before taxes.
    """

    __table_args__ = (
        sa.ForeignKeyConstraint(["shop_id", "order_id"], ["order.shop_id", "order.id"]),
        sa.Index("ix_sale_day", "shop_id", "day", "order_id"),
    )

    order_id: int = gid_number()
    id: str = Field(primary_key=True)
    agreement_id: str
    happened_at: datetime = moment(nullable=False)
    day: date
    hour: int
    in_first_agreement: bool
    reason: str
    action_type: str
    line_type: str
    measure: str
    unclassified: bool = False
    line_item_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    product_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    product_title: str = ""
    quantity: int = 0
    total_amount: int = money()
    tax_amount: int = money()
    discount: int = money()


class Refund(ShopScoped, Model, table=True):
    """Money given back; what it means for sales is in the ledger."""

    __table_args__ = (sa.ForeignKeyConstraint(["shop_id", "order_id"], ["order.shop_id", "order.id"]),)

    order_id: int = gid_number()
    id: int = gid_number()
    processed_at: datetime = moment(nullable=False)
    total_refunded: int = money()


class AbandonedCheckout(ShopScoped, Model, table=True):
    """A checkout that was left; `completed_at` says when it was recovered. Its amounts are no sales."""

    __tablename__ = "abandoned_checkout"
    __table_args__ = (
        sa.Index("ix_abandoned_checkout_day", "shop_id", "day"),
        sa.Index("ix_abandoned_checkout_customer", "shop_id", "customer_id"),
    )

    id: int = gid_number()
    name: str
    created_at: datetime = moment(nullable=False)
    day: date
    updated_at: datetime = moment(nullable=False)
    completed_at: datetime | None = moment()
    customer_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    country: str | None = None
    discount_codes: str = ""
    subtotal: int = money()
    total_discount: int = money()
    total_tax: int | None = money(None)
    total: int = money()
    fingerprint: str = ""


class AbandonedCheckoutLine(ShopScoped, Model, table=True):
    """A line of a checkout that was left; `total` is after discounts."""

    __tablename__ = "abandoned_checkout_line"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["shop_id", "checkout_id"], ["abandoned_checkout.shop_id", "abandoned_checkout.id"],
            name="fk_abandoned_checkout_line_checkout",
        ),
    )  # fmt: skip

    checkout_id: int = gid_number()
    id: int = gid_number()
    product_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    variant_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    title: str
    variant_title: str | None = None
    sku: str | None = None
    quantity: int
    unit_price: int = money()
    total: int = money()


SHOP_SCOPED: tuple[type[ShopScoped], ...] = (
    QuarantinedRow, Customer, Product, Variant, Location, InventoryItem, InventoryLevel,
    Order, LineItem, Sale, Refund, AbandonedCheckout, AbandonedCheckoutLine,
    DailySales, HourlySales, DailyBreakdown, DailyProductSales, MonthlyProductSales, DaysBetween,
    CustomerTotals, CustomerMonth, CohortMonth,
    Goal, Board, SavedView, WebhookSubscription, DemoOrder,
)  # fmt: skip
