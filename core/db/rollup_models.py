"""Rollups: sums kept beside the rows, always equal to a recompute from orders and ledger (core/db/rollups.py)."""

from datetime import date, datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from core.db.base import Model, ShopScoped, gid_number, moment, money


class SalesSums(SQLModel):
    """Mixin: every measure that adds up over ledger rows and orders."""

    gross_sales: int = money()
    discounts: int = money()
    sales_reversals: int = money()
    shipping: int = money()
    taxes: int = money()
    duties: int = money()
    additional_fees: int = money()
    return_fees: int = money()
    tips: int = money()
    gift_card_sales: int = money()
    order_value: int = money()
    orders: int = 0
    orders_with_goods: int = 0
    units_sold: int = 0
    units_returned: int = 0
    unclassified: int = 0


class DailySales(ShopScoped, SalesSums, Model, table=True):
    """One shop day, with its distinct buyers, who do not add up over days."""

    __tablename__ = "daily_sales"

    day: date = Field(primary_key=True)
    new_customers: int = 0
    returning_customers: int = 0
    customers: int = 0


class HourlySales(ShopScoped, SalesSums, Model, table=True):
    """One hour of the shop's clock, 0 to 23; an hour that comes twice on a day is one row."""

    __tablename__ = "hourly_sales"

    day: date = Field(primary_key=True)
    hour: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})


class DailyBreakdown(ShopScoped, SalesSums, Model, table=True):
    """One value of one dimension of orders (rollups.DIMENSIONS) on a day; a dimension's values add up to the day."""

    __tablename__ = "daily_breakdown"

    dimension: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    value: str = Field(primary_key=True)


class ProductSums(SQLModel):
    """What one product sold: amounts as the ledger books them, pieces."""

    gross_sales: int = money()
    discounts: int = money()
    sales_reversals: int = money()
    units_sold: int = 0
    units_returned: int = 0


class DailyProductSales(ShopScoped, ProductSums, Model, table=True):
    """One product's sales of one shop day; the rows of a day add up to its net sales.

    A line whose product is gone or never was counts under product_id 0 and its title; what belongs to no
    line (adjustments) under product_id 0 and the empty title.
    """

    __tablename__ = "daily_product_sales"

    day: date = Field(primary_key=True)
    product_id: int = gid_number()
    title: str = Field(primary_key=True)


class MonthlyProductSales(ShopScoped, ProductSums, Model, table=True):
    """DailyProductSales by month; months are named by their first day."""

    __tablename__ = "monthly_product_sales"

    month: date = Field(primary_key=True)
    product_id: int = gid_number()
    title: str = Field(primary_key=True)


class DaysBetween(ShopScoped, Model, table=True):
    """How many buyers ordered on a day and, before that, last on another: what days' buyers add up to less.

    The buyers of a period are those of its days without those who had come before on a day of it. By `grain`, "day",
    "week" or "month", the day before is told by itself or by the first of its week or month; of weeks only the day's
    own is kept. `returning_customers` is the same over orders that are not their buyer's first. A day that is its
    buyer's first has no row.
    """

    __tablename__ = "days_between"
    __table_args__ = {"sqlite_with_rowid": False}

    grain: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    before: date = Field(primary_key=True)
    customers: int = 0
    returning_customers: int = 0


class CustomerTotals(ShopScoped, Model, table=True):
    """One buyer's orders and net sales over all time.

    `bought` is net sales without what was given back: no period has more of them.
    """

    __tablename__ = "customer_totals"
    __table_args__ = (
        sa.Index("ix_customer_totals_bought", "shop_id", "bought", "buyer_id"),
        {"sqlite_with_rowid": False},
    )

    buyer_id: int = gid_number()
    orders: int = 0
    net_sales: int = money()
    bought: int = money()
    first_order_id: int = Field(sa_type=sa.BigInteger)
    first_order_at: datetime = moment(nullable=False)
    first_day: date
    last_order_at: datetime = moment(nullable=False)
    last_day: date


class CustomerMonth(ShopScoped, Model, table=True):
    """One buyer's orders placed and net sales booked in a month, and the month of their first order ever.

    Months are named by their first day. `orders` is 0 where a month has only, say, a refund. `bought` is as in
    CustomerTotals.
    """

    __tablename__ = "customer_month"
    __table_args__ = (
        sa.Index("ix_customer_month_bought", "shop_id", "month", "bought", "buyer_id"),
        {"sqlite_with_rowid": False},
    )

    buyer_id: int = gid_number()
    month: date = Field(primary_key=True)
    first_month: date
    orders: int = 0
    net_sales: int = money()
    bought: int = money()


class CohortMonth(ShopScoped, Model, table=True):
    """What the buyers with their first order in one month did in another: CustomerMonth added up.

    `customers` are those with an order in it.
    """

    __tablename__ = "cohort_month"

    first_month: date = Field(primary_key=True)
    month: date = Field(primary_key=True)
    customers: int = 0
    orders: int = 0
    net_sales: int = money()
