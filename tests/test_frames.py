"""The frames read from SQL, over hand-made rows of two shops that use the same ids."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from core.analytics import frames, frames_counts
from core.analytics.period import Period
from core.db import engine as db
from core.db.models import (
    Customer,
    DailyProductSales,
    DailySales,
    Order,
    Product,
    Sale,
    ShopScoped,
)
from core.db.rollups import rebuild_all
from core.errors import UnscopedQueryError
from tests.factories import add_shop

ALICE, CHARLIE = 1, 2
JAN_1 = date(2026, 1, 1)
WEEK = Period(JAN_1, date(2026, 1, 7))
BIG = 2**53 + 1  # Shopify's ids do not fit a float
GUEST = -77


@pytest.fixture
def shops(database: Engine) -> None:
    add_shop(ALICE)
    add_shop(CHARLIE)


def moment(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def an_order(shop_id: int, order_id: int, day: date, buyer_id: int | None, **other: object) -> Order:
    at = moment(day)
    customer_id = buyer_id if buyer_id is not None and buyer_id > 0 else None
    return Order(
        shop_id=shop_id, id=order_id, name=f"#{order_id}", processed_at=at, day=day, hour=12, created_at=at,
        updated_at=at, buyer_id=buyer_id, customer_id=customer_id, **other,
    )  # fmt: skip


def a_sale(shop_id: int, order_id: int, day: date, net: int, measure: str = "gross_sales", **other: object) -> Sale:
    """A row of the ledger, with 0.07 of taxes."""
    columns = {
        "id": f"{day}-{measure}-{net}", "agreement_id": "1", "happened_at": moment(day), "hour": 12,
        "in_first_agreement": True, "reason": "ORDER", "action_type": "ORDER", "line_type": "PRODUCT", "quantity": 1,
        "total_amount": net + 7, "tax_amount": 7, **other,
    }  # fmt: skip
    return Sale(shop_id=shop_id, order_id=order_id, day=day, measure=measure, **columns)


def store(shop_id: int, *rows: ShopScoped) -> None:
    """Rows in this order, and the rollups of their orders and sales."""
    with db.shop_session(shop_id, write=True) as session:
        for row in rows:
            session.add(row)
            session.flush()
        if any(isinstance(row, Order | Sale) for row in rows):
            rebuild_all(session)


@pytest.fixture
def orders(shops: None) -> None:
    """Alice's shop: customer BIG buys on 30 December and 2 and 3 January, 6 once, a guest twice on one day.

    Charlie's shop uses the same ids for other buyers and larger amounts.
    """
    before, d2, d3, d5 = date(2025, 12, 30), JAN_1 + timedelta(1), JAN_1 + timedelta(2), JAN_1 + timedelta(4)
    store(
        ALICE,
        Customer(shop_id=ALICE, id=BIG, name="Ada"),
        Customer(shop_id=ALICE, id=6),
        an_order(ALICE, 1, before, BIG),
        an_order(ALICE, 2, d2, BIG),
        an_order(ALICE, 3, d3, BIG),
        an_order(ALICE, 4, d2, 6),
        an_order(ALICE, 5, d5, GUEST),
        an_order(ALICE, 6, d5, GUEST),
        an_order(ALICE, 7, d5, None),
        an_order(ALICE, 8, d5, 6, test=True),
        an_order(ALICE, 9, d5, 6, deleted_at=moment(d5)),
        a_sale(ALICE, 1, before, 100_00),
        a_sale(ALICE, 1, d2, -30_00, "sales_reversals"),
        a_sale(ALICE, 2, d2, 50_00),
        a_sale(ALICE, 2, d2, 9_00, "shipping", line_type="SHIPPING"),
        a_sale(ALICE, 3, d3, 20_00),
        a_sale(ALICE, 4, d2, 40_00),
        a_sale(ALICE, 5, d5, 25_00),
        a_sale(ALICE, 6, d5, 15_00),
        a_sale(ALICE, 7, d5, 500_00),
        a_sale(ALICE, 8, d5, 600_00),
        a_sale(ALICE, 9, d5, 700_00),
    )
    store(
        CHARLIE,
        Customer(shop_id=CHARLIE, id=BIG, name="Mallory"),
        Customer(shop_id=CHARLIE, id=6, name="Eve"),
        an_order(CHARLIE, 1, d3, 6),
        an_order(CHARLIE, 2, d3, 6),
        an_order(CHARLIE, 3, d3, GUEST),
        an_order(CHARLIE, 4, d5, BIG),
        a_sale(CHARLIE, 1, d3, 1_000_00),
        a_sale(CHARLIE, 2, d3, 2_000_00),
        a_sale(CHARLIE, 3, d3, 3_000_00),
        a_sale(CHARLIE, 4, d5, 4_000_00),
    )


@pytest.fixture
def session(shops: None) -> Iterator[Session]:
    with db.shop_session(ALICE) as session:
        yield session


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dict("records")


def test_every_day_of_the_period_is_there_and_empty_days_are_zero(session: Session) -> None:
    store(
        ALICE,
        DailySales(shop_id=ALICE, day=JAN_1, gross_sales=100, orders=1, unclassified=2),
        DailySales(shop_id=ALICE, day=JAN_1 + timedelta(2), gross_sales=2**60, orders=3),
        DailySales(shop_id=ALICE, day=JAN_1 + timedelta(3), gross_sales=5),
        DailySales(shop_id=ALICE, day=JAN_1 - timedelta(1), gross_sales=7),
    )
    store(CHARLIE, DailySales(shop_id=CHARLIE, day=JAN_1, gross_sales=11, orders=13))
    frame = frames.daily_sales(session, Period(JAN_1, JAN_1 + timedelta(2)))
    assert [day.date() for day in frame.index] == [JAN_1, JAN_1 + timedelta(1), JAN_1 + timedelta(2)]
    assert frame["gross_sales"].tolist() == [100, 0, 2**60]
    assert frame["orders"].tolist() == [1, 0, 3]
    assert frame["unclassified"].tolist() == [2, 0, 0]
    assert set(frame.dtypes.astype(str)) == {"int64"}
    assert list(frame.columns) == list(frames.SUMS)


def test_a_shop_without_sales_has_days_of_zeros(session: Session) -> None:
    store(CHARLIE, DailySales(shop_id=CHARLIE, day=JAN_1, gross_sales=11))
    frame = frames.daily_sales(session, WEEK)
    assert len(frame) == 7
    assert frame.to_numpy().sum() == 0


@pytest.mark.usefixtures("orders")
def test_new_ordered_first_in_the_period_returning_ordered_again(session: Session) -> None:
    periods = [
        WEEK,  # Ada returns, 6 is new, the guest is new and returns
        Period(JAN_1 + timedelta(1), JAN_1 + timedelta(1)),  # Ada returns, 6 is new
        Period(date(2025, 12, 30), JAN_1 + timedelta(6)),  # Ada is new and returns
        Period(date(2020, 1, 1), date(2020, 1, 31)),
    ]
    frame = frames_counts.customer_counts(session, periods)
    assert [tuple(row.values()) for row in records(frame)] == [
        (periods[0].start, periods[0].end, 3, 2, 2),
        (periods[1].start, periods[1].end, 2, 1, 1),
        (periods[2].start, periods[2].end, 3, 3, 2),
        (periods[3].start, periods[3].end, 0, 0, 0),
    ]


def test_counts_equal_a_slow_count_for_every_period_of_a_month(session: Session) -> None:
    dice = random.Random(20260101)
    placed = [(JAN_1 + timedelta(dice.randrange(30)), dice.choice([None, 1, 2, 3, 4, 5, GUEST])) for _ in range(60)]
    for shop_id, moved in ((ALICE, 0), (CHARLIE, 3)):
        store(
            shop_id,
            *(Customer(shop_id=shop_id, id=number) for number in range(1, 6)),
            *(an_order(shop_id, n, day + timedelta(moved), buyer) for n, (day, buyer) in enumerate(placed)),
        )
    first = {buyer: min((day, n) for n, (day, by) in enumerate(placed) if by == buyer) for _, buyer in placed}
    days = [JAN_1 + timedelta(n) for n in range(30)]
    periods = [Period(start, end) for start in days for end in days if start <= end]
    frame = frames_counts.customer_counts(session, periods)
    for period, row in zip(periods, records(frame), strict=True):
        inside = [
            (buyer, (day, n) == first[buyer])
            for n, (day, buyer) in enumerate(placed)
            if buyer is not None and period.start <= day <= period.end
        ]
        assert row == {
            "start": period.start,
            "end": period.end,
            "customers": len({buyer for buyer, _ in inside}),
            "new_customers": len({buyer for buyer, is_first in inside if is_first}),
            "returning_customers": len({buyer for buyer, is_first in inside if not is_first}),
        }


@pytest.mark.usefixtures("orders")
def test_counts_of_no_period_are_an_empty_frame(session: Session) -> None:
    frame = frames_counts.customer_counts(session, [])
    assert frame.empty
    assert list(frame.columns) == ["start", "end", "customers", "new_customers", "returning_customers"]


@pytest.mark.usefixtures("orders")
def test_customers_rank_by_what_was_booked_in_the_period(session: Session) -> None:
    frame = frames.top_customers(session, WEEK, 10)
    d2, d3, d5 = (moment(JAN_1 + timedelta(n)) for n in (1, 2, 4))
    # 50.00 + 20.00 less the 30.00 given back for December's order; the guest and customer 6 tie at 40.00.
    assert records(frame) == [
        {"buyer_id": GUEST, "customer_id": None, "name": None, "orders": 2, "net_sales": 40_00, "last_order_at": d5},
        {"buyer_id": 6, "customer_id": 6, "name": None, "orders": 1, "net_sales": 40_00, "last_order_at": d2},
        {"buyer_id": BIG, "customer_id": BIG, "name": "Ada", "orders": 2, "net_sales": 40_00, "last_order_at": d3},
    ]
    assert frames.top_customers(session, WEEK, 1)["buyer_id"].tolist() == [GUEST]


@pytest.mark.usefixtures("orders")
def test_customers_rank_by_orders_placed_in_the_period(session: Session) -> None:
    frame = frames.top_customers(session, WEEK, 10, by="orders")
    assert frame["buyer_id"].tolist() == [GUEST, BIG, 6]
    assert frame["orders"].tolist() == [2, 2, 1]


@pytest.mark.usefixtures("orders")
def test_a_customer_whose_order_was_only_refunded_in_the_period_is_listed_below_zero(session: Session) -> None:
    store(ALICE, a_sale(ALICE, 4, JAN_1 + timedelta(9), -12_00, "sales_reversals"))
    day = JAN_1 + timedelta(9)
    (row,) = records(frames.top_customers(session, Period(day, day), 10))
    assert (row["buyer_id"], row["orders"], row["net_sales"]) == (6, 0, -12_00)


def a_product_day(shop_id: int, n: int, product_id: int, title: str, net: int, units: int = 1) -> DailyProductSales:
    return DailyProductSales(
        shop_id=shop_id, day=JAN_1 + timedelta(n), product_id=product_id, title=title,
        gross_sales=net + 300, discounts=-100, sales_reversals=-200, units_sold=units,
    )  # fmt: skip


def test_products_rank_by_net_sales_then_title(session: Session) -> None:
    at = moment(JAN_1)
    product = {"handle": "h", "status": "ACTIVE", "product_type": "", "vendor": "", "created_at": at, "updated_at": at}
    store(
        ALICE,
        Product(shop_id=ALICE, id=BIG, title="Kettle", **product),
        a_product_day(ALICE, 0, BIG, "Kettle (old)", 10_00, 2),
        a_product_day(ALICE, 1, BIG, "Kettle", 20_00, 3),
        a_product_day(ALICE, 1, 8, "apple", 50_00),
        a_product_day(ALICE, 1, 9, "Zebra", 50_00),
        a_product_day(ALICE, 2, 0, "Gone mug", 60_00),
        a_product_day(ALICE, 3, 0, "Gone mug", 1_00),
        a_product_day(ALICE, 3, 0, "Gone cup", 2_00),
        a_product_day(ALICE, 3, 0, "", 900_00),
        a_product_day(ALICE, 9, 8, "apple", 900_00),
    )
    store(
        CHARLIE,
        Product(shop_id=CHARLIE, id=BIG, title="Mallory's", **product),
        Product(shop_id=CHARLIE, id=8, title="Mallory's too", **product),
        a_product_day(CHARLIE, 1, BIG, "Kettle", 7_000_00),
        a_product_day(CHARLIE, 1, 8, "apple", 8_000_00),
    )
    frame = frames.top_products(session, WEEK, 10)
    assert [tuple(row.values()) for row in records(frame)] == [
        (0, "Gone mug", 2, 61_00),
        (9, "Zebra", 1, 50_00),
        (8, "apple", 1, 50_00),
        (BIG, "Kettle", 5, 30_00),
        (0, "Gone cup", 1, 2_00),
    ]
    assert frames.top_products(session, WEEK, 2)["title"].tolist() == ["Gone mug", "Zebra"]


def test_data_spans_the_first_to_the_last_day_of_the_own_shop(session: Session) -> None:
    store(CHARLIE, DailySales(shop_id=CHARLIE, day=date(2000, 1, 1)))
    assert frames.data_span(session) is None
    with db.shop_session(ALICE, write=True) as writer:
        writer.add(DailySales(shop_id=ALICE, day=JAN_1))
        writer.add(DailySales(shop_id=ALICE, day=JAN_1 + timedelta(40)))
    with db.shop_session(ALICE) as fresh:
        assert frames.data_span(fresh) == Period(JAN_1, JAN_1 + timedelta(40))


def test_the_best_of_any_period_are_those_of_a_slow_sum(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole months, their edges, a few days; with refunds, so that few of many customers come into question."""
    dice = random.Random(7)
    days = [JAN_1 + timedelta(dice.randrange(200)) for _ in range(120)]
    placed = [(day, dice.choice([*range(1, 30), GUEST, None])) for day in days]
    booked = [(n, day, dice.randrange(1, 9) * 10_00, dice.randrange(1, 5)) for n, (day, _) in enumerate(placed)]
    booked += [(n, day + timedelta(20), -net, product) for n, day, net, product in booked[::3]]
    rows = [
        a_sale(ALICE, n, day, net, "gross_sales" if net > 0 else "sales_reversals", product_id=product)
        for n, day, net, product in booked
    ]
    store(ALICE, *(Customer(shop_id=ALICE, id=number) for number in range(1, 30)),
          *(an_order(ALICE, n, day, buyer) for n, (day, buyer) in enumerate(placed)), *rows)  # fmt: skip
    for name, few in (("_FEW_DAYS", 3), ("_FIRST", 2), ("_AT_ONCE", 2), ("_SOME_MONTHS", 8)):
        monkeypatch.setattr(frames, name, few)
    asked: list[int] = []
    sums_of = frames._sums_of
    monkeypatch.setattr(frames, "_sums_of", lambda *who: asked.append(len(who[-1])) or sums_of(*who))
    every = ((0, 31), (0, 59), (3, 10), (10, 95), (5, 190), (20, 3), (170, 40), (-40, 300), (3, 20), (12, 40))
    for start, length in every:
        period = Period(JAN_1 + timedelta(start), JAN_1 + timedelta(start + length - 1))
        sums: dict[int, int] = {buyer: 0 for day, buyer in placed if buyer and period.start <= day <= period.end}
        products: dict[int, int] = {}
        for n, day, net, product in booked:
            if period.start <= day <= period.end:
                products[product] = products.get(product, 0) + net
                if buyer := placed[n][1]:
                    sums[buyer] = sums.get(buyer, 0) + net
        best = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))[:5]
        frame = frames.top_customers(session, period, 5)
        assert list(zip(frame["buyer_id"], frame["net_sales"], strict=True)) == best
        found = frames.top_products(session, period, 9)
        assert dict(zip(found["product_id"], found["net_sales"], strict=True)) == products
    assert 0 < sum(asked) < 15 * len(every)  # of 31 buyers


def test_empty_shops_have_empty_rankings(session: Session) -> None:
    assert frames.top_customers(session, WEEK, 5).empty
    assert frames.top_products(session, WEEK, 5).empty


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(
    "read",
    [
        lambda session: frames.daily_sales(session, WEEK),
        lambda session: frames_counts.customer_counts(session, [WEEK]),
        lambda session: frames.top_customers(session, WEEK, 5),
        lambda session: frames.top_products(session, WEEK, 5),
        frames.data_span,
    ],
)
def test_no_frame_can_be_read_without_a_shop(read: Callable[[Session], object]) -> None:
    with db.system_session() as session, pytest.raises(UnscopedQueryError):
        read(session)
