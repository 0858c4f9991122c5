"""Buyers, their history and their baskets as frames: known data sets through the app's own tables, and a slow count.

Orders are stored as a sync stores them. Two shops use the same ids.
"""

import random
from collections import defaultdict
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from core.analytics.affinity import affinity
from core.analytics.frames_customers import buyers, order_products, repeat_history
from core.analytics.lifetime import HoldOut, Lifetime, holdout, lifetime
from core.analytics.period import Period
from core.analytics.rfm import SCORES, rfm
from core.db.engine import shop_session, system_session
from core.errors import UnscopedQueryError
from core.sync.resources.resource import ShopContext
from tests.factories import add_shop, agreement, context, line_item, order, sale, store_orders
from tests.test_affinity import HEAD_COUNTS, groceries
from tests.test_affinity import PUBLISHED as PUBLISHED_PAIRS
from tests.test_lifetime import END, SPLIT, cdnow_orders, expected, history
from tests.test_rfm import DAY, oracle_orders
from tests.test_rfm import PUBLISHED as PUBLISHED_SCORES

ALICE, CHARLIE = 1, 2
NEW_YORK = ZoneInfo("America/New_York")
BATCH = 1000


@pytest.fixture
def shop(database: Engine) -> ShopContext:
    add_shop(CHARLIE)
    return add_shop(ALICE)


def late(day: date) -> datetime:
    """Ten in the evening of a shop day: the next day in UTC."""
    return datetime.combine(day, time(22), NEW_YORK)


def bought(number: int, day: date, customer: int | None, cents: int, **fields: Any) -> dict[str, Any]:
    """An order of one line."""
    moment = late(day)
    return order(number, moment, agreement(moment, sale(f"{cents / 100:.2f}")), customer=customer, **fields)


def store(shop: ShopContext, documents: list[dict[str, Any]]) -> None:
    for start in range(0, len(documents), BATCH):
        store_orders(shop, *documents[start : start + BATCH])


def test_the_cdnow_sample_is_fitted_and_checked_through_the_tables(shop: ShopContext) -> None:
    orders = cdnow_orders()
    rows = zip(orders["day"], orders["customer"], orders["cents"], strict=True)
    store(shop, [bought(number, *row) for number, row in enumerate(rows, 1)])
    with shop_session(ALICE) as session:
        before, after = repeat_history(session, SPLIT), repeat_history(session, END)
    assert before.to_dict("list") == history(orders, SPLIT).to_dict("list")
    found, known = lifetime(before, SPLIT), expected()
    assert isinstance(found, Lifetime)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(found.purchases, name) == pytest.approx(known["bgnbd"][name], abs=known["bgnbd"]["tol"])
    assert found.purchases.log_likelihood == pytest.approx(known["bgnbd"]["LL"], abs=0.05)
    values = (found.values.p, found.values.q, found.values.v / 100)
    assert values == pytest.approx([known["gamma_gamma"][name] for name in "pqv"], abs=known["gamma_gamma"]["tol"])
    checked = holdout(before, after, SPLIT, END)
    assert isinstance(checked, HoldOut)
    assert checked.actual_orders == known["dataset_facts"]["repeat_transactions_in_holdout_weeks_40_78"]


def test_the_orders_of_the_r_package_are_scored_through_the_tables(shop: ShopContext) -> None:
    orders = oracle_orders()
    names = sorted(set(orders["customer_id"]))
    number = {name: n for n, name in enumerate(names, 1)}
    rows = zip(orders["order_date"], orders["customer_id"], orders["revenue"], strict=True)
    store(shop, [bought(n, day, number[name], revenue * 100) for n, (day, name, revenue) in enumerate(rows, 1)])
    with shop_session(ALICE) as session:
        found = rfm(buyers(session, DAY), DAY, "USD").buyers.set_index("buyer_id")
    assert len(found) == 995
    for name, (recency, count, dollars, score) in PUBLISHED_SCORES.items():
        row = found.loc[number[name]]
        assert (row["recency_days"], row["orders"], row["net_sales"]) == (recency, count, dollars * 100)
        assert "".join(str(row[name]) for name in SCORES) == str(score)


def test_the_groceries_are_found_together_through_the_tables(shop: ShopContext) -> None:
    baskets = groceries()
    number = {item: n for n, item in enumerate(sorted({item for basket in baskets for item in basket}), 1)}
    day, line = date(2026, 3, 1), iter(range(1, 100_000))
    documents = [
        order(n, late(day), customer=None, lines=[line_item(next(line), product=number[item]) for item in basket])
        for n, basket in enumerate(baskets, 1)
    ]
    store(shop, documents)
    with shop_session(ALICE) as session:
        found = affinity(order_products(session, Period(day, day)))
    assert (found.orders, found.products) == (9_835, 169)
    pairs = found.pairs.set_index(["product_a", "product_b"])
    for (a, b), figures in PUBLISHED_PAIRS.items():
        row = pairs.loc[(number[a], number[b])]
        assert row[["n", "support", "confidence", "lift"]].tolist() == pytest.approx(figures, rel=1e-6)
    for item, count in HEAD_COUNTS.items():
        row = pairs.loc[number[item]].iloc[0]
        assert row["n"] / row["confidence"] == pytest.approx(count)


START = date(2026, 1, 1)


def a_busy_shop(seed: int) -> list[dict[str, Any]]:
    """Orders with refunds later, test orders, guests, people nobody knows, several on one day."""
    chance, documents = random.Random(seed), []
    for number in range(1, 90):
        day = START + timedelta(chance.randrange(40))
        moment, cents = late(day), chance.randrange(0, 9000)
        made = [agreement(moment, sale(f"{cents / 100:.2f}", tax="0.00"))]
        if chance.random() < 0.3:
            back = late(day + timedelta(chance.randrange(25)))
            made.append(agreement(back, sale(f"{-cents / 100:.2f}", action="RETURN", quantity=-1), reason="RETURN"))
        who = chance.choice([1, 2, 3, 4, 5, 6, None])
        email = chance.choice([None, "a@example.com", "B@example.com"]) if who is None else None
        lines = [
            line_item(1000 + 10 * number + n, product=chance.choice([1, 2, 3, None]))
            for n in range(chance.randrange(4))
        ]
        documents.append(
            order(number, moment, *made, customer=who, email=email, lines=lines, test=chance.random() < 0.1)
        )
    return documents


def slowly(documents: list[dict[str, Any]], until: date) -> dict[str, dict[str, Any]]:
    """Every known buyer's orders up to a day, one after the other."""
    found: dict[str, dict[str, Any]] = defaultdict(lambda: {"days": [], "net": 0, "by_day": defaultdict(int)})
    for document in documents:
        who = (document["customer"] or {}).get("id") or (document["email"] or "").lower()
        day = shop_day(document["processedAt"])
        if not who or document["test"] or day > until:
            continue
        found[who]["days"].append(day)
        for made in document["agreements"]:
            if shop_day(made["happenedAt"]) <= until:
                cents = sum(round(float(row["totalAmount"]["shopMoney"]["amount"]) * 100) for row in made["sales"])
                found[who]["net"] += cents
                found[who]["by_day"][day] += cents
    return found


def shop_day(stamp: str) -> date:
    return datetime.fromisoformat(stamp).astimezone(NEW_YORK).date()


@pytest.mark.parametrize("seed", range(3))
def test_buyers_and_their_history_equal_a_slow_count_on_every_day(shop: ShopContext, seed: int) -> None:
    documents = a_busy_shop(seed)
    store(shop, documents)
    store(context(CHARLIE), a_busy_shop(seed + 100))
    for ago in (0, 1, 10, 25, 39, 40, 70):
        day = START + timedelta(70 - ago)
        slow = slowly(documents, day)
        with shop_session(ALICE) as session:
            now, back = buyers(session, day), repeat_history(session, day)
        assert now["buyer_id"].tolist() == back["buyer_id"].tolist() == sorted(now["buyer_id"])
        rows = zip(now["orders"], now["net_sales"], now["last_day"], back["first_day"], back["last_day"],
                   back["repeat_days"], back["repeat_value"], strict=True)  # fmt: skip
        assert sorted(rows) == sorted(
            (len(its["days"]), its["net"], max(its["days"]), min(its["days"]), max(its["days"]),
             len(set(its["days"])) - 1, sum(its["by_day"].values()) - its["by_day"][min(its["days"])])
            for its in slow.values()
        )  # fmt: skip


def test_baskets_are_those_of_orders_placed_in_the_period(shop: ShopContext) -> None:
    documents = a_busy_shop(9)
    store(shop, documents)
    store(context(CHARLIE), a_busy_shop(10))
    period = Period(START + timedelta(5), START + timedelta(20))
    with shop_session(ALICE) as session:
        found = order_products(session, period)
    slow = [
        (int(document["id"].split("/")[-1]), int(line["product"]["id"].split("/")[-1]))
        for document in documents
        if period.start <= shop_day(document["processedAt"]) <= period.end and not document["test"]
        for line in document["lineItems"]
        if line["product"]
    ]
    assert sorted(found.itertuples(index=False, name=None)) == sorted(slow)
    assert slow


def test_a_shop_without_orders_has_empty_frames_that_can_be_used(shop: ShopContext) -> None:
    with shop_session(ALICE) as session:
        now, back = buyers(session, START), repeat_history(session, START)
        baskets = order_products(session, Period(START, START))
    assert (len(now), len(back), len(baskets)) == (0, 0, 0)
    assert rfm(now, START, "USD").segments["customers"].sum() == 0
    assert "100 customers" in lifetime(back, START).reason
    assert affinity(baskets).pairs.empty


def test_one_order_in_the_future_is_no_buyer_yet(shop: ShopContext) -> None:
    store(shop, [bought(1, START + timedelta(1), 1, 500)])
    for ago, count in ((0, 0), (1, 1)):
        with shop_session(ALICE) as session:
            assert len(buyers(session, START + timedelta(ago))) == count
            assert len(repeat_history(session, START + timedelta(ago))) == count


def test_no_frame_can_be_read_without_a_shop(database: Engine) -> None:
    for read in (
        lambda session: buyers(session, START),
        lambda session: repeat_history(session, START),
        lambda session: order_products(session, Period(START, START)),
    ):
        with system_session() as session, pytest.raises(UnscopedQueryError):
            read(session)
