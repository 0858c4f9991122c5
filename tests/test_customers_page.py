"""What the customers page shows of all customers: segments, spending, days until the next order."""

from datetime import timedelta
from statistics import median

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.analytics.frames_customers import repurchase_gaps
from core.analytics.period import Period, shop_today
from core.db.engine import shop_session
from core.ui import customers_view
from tests.factories import add_shop, add_user, agreement, context, order, sale
from tests.test_cohorts_page import add_one_shop, read_aloud
from tests.test_frames_customers import START, a_busy_shop, late, shop_day, store
from tests.test_pages import ALICE, NAMES, cast, no_cache, open_page, sell, tables

__all__ = ["cast", "no_cache", "tables"]


def captions(at: AppTest) -> str:
    return " | ".join(caption.value.replace("\\", "") for caption in at.caption)


@pytest.mark.parametrize("seed", range(2))
def test_gaps_equal_a_slow_walk_through_each_buyers_orders(database: Engine, seed: int) -> None:
    documents = a_busy_shop(seed)
    store(add_shop(1), documents)
    add_shop(2)
    store(context(2), a_busy_shop(seed + 50))
    period = Period(START + timedelta(5), START + timedelta(35))
    days_of: dict[str, list] = {}
    for document in documents:
        who = (document["customer"] or {}).get("id") or (document["email"] or "").lower()
        if who and not document["test"]:
            days_of.setdefault(who, []).append(shop_day(document["processedAt"]))
    slow = [
        (later - earlier).days
        for days in days_of.values()
        for earlier, later in zip(sorted(days), sorted(days)[1:], strict=False)
        if period.start <= later <= period.end
    ]
    with shop_session(1) as session:
        found = repurchase_gaps(session, period)
    assert {row.days: row.orders for row in found.itertuples()} == {day: slow.count(day) for day in set(slow)}
    assert customers_view.median_days(found) == median(slow)


def test_two_orders_of_one_moment_are_no_day_apart(database: Engine) -> None:
    moment = late(START)
    store(add_shop(1), [order(n, moment, agreement(moment, sale("1.00"))) for n in (1, 2, 3)])
    with shop_session(1) as session:
        found = repurchase_gaps(session, Period(START, START))
    assert found.values.tolist() == [[0, 2]]


def test_segments_hold_everybody_and_all_they_spent(tables) -> None:
    add_one_shop()
    for number in range(1, 13):
        sell(1, number, f"{number * 10}.00", days_ago=number * 3, customer=(number + 1) // 2)
    at = open_page("customers.py", ALICE)
    segments = at.dataframe[1].value
    assert segments["Customers"].sum() == 6
    assert segments["Net sales"].sum() == 780.0
    assert segments["Share"].tolist() == [round(number / 6, 3) for number in segments["Customers"]]
    advice = at.table[0].value
    assert list(advice.index) == list(segments["Segment"]) and advice["What to do"].str.len().min() > 10
    assert "Half of 6 customers brought $130.00 or less. The best tenth brought 29.5% of net sales." in captions(at)
    assert "Median of 5 repeat orders: 3 days after the order before." in captions(at)


def test_where_nobody_came_back_the_days_until_the_next_order_are_unknown(cast) -> None:
    assert "Unknown: in this period no known customer ordered who had ordered before." in captions(
        open_page("customers.py", ALICE)
    )


def test_where_nobody_is_known_there_are_no_segments(tables) -> None:
    add_one_shop()
    moment = late(shop_today("America/New_York") - timedelta(3))
    document = order(1, moment, agreement(moment, sale("9.00")), customer=None)
    store(context(1), [document])
    at = open_page("customers.py", ALICE)
    assert "Unknown: no customer is known yet." in captions(at)
    assert not at.dataframe
    assert {button.key.split("_")[0] for button in at.download_button} == {"returning"}


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1000"), ("KWD", "1.234")])
def test_every_currency_name_and_a_full_refund_are_shown_without_nan(tables, currency, amount) -> None:
    add_one_shop(currency=currency, name="**bold** [x](https://example.com)", taxes_included=True)
    for number, name in enumerate(NAMES, 1):
        sell(1, number, amount, days_ago=number, customer=number, name=name)
    sell(1, 50, f"-{amount}", days_ago=1, customer=1, kind="ADJUSTMENT", name=NAMES[0])
    at = open_page("customers.py", ALICE)
    assert len(at.dataframe) == 2 and "nan" not in read_aloud(at)


def test_the_file_of_segments_is_for_those_who_may_export(cast) -> None:
    add_user(9, "vera@example.com", 1, role="viewer")
    assert open_page("customers.py", ALICE).get("download_button")
    assert not open_page("customers.py", 9).get("download_button")
