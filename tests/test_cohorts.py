"""Cohorts, over hand-made cells and against a slow count from orders."""

from collections import defaultdict
from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analytics.cohorts import MEASURES, Cohorts, cohorts

JAN, FEB, MAR, APR = (date(2026, month, 1) for month in range(1, 5))
COLUMNS = ["first_month", "month", "customers", "orders", "net_sales"]


def cells(*rows: tuple[date, date, int, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object)


TWO = cells(
    (JAN, JAN, 4, 5, 400_00),
    (JAN, MAR, 1, 1, 100_00),
    (FEB, FEB, 2, 2, 50_00),
    (FEB, MAR, 2, 3, -10_00),
    (JAN, APR, 3, 3, 999_00),
)


def test_retention_is_the_part_that_ordered_in_the_month():
    found = cohorts(TWO, date(2026, 4, 15))
    assert found.months == (JAN, FEB)
    assert found.sizes == (4, 2)
    assert [found.retention(JAN, k) for k in range(4)] == [1.0, 0.0, 0.25, None]
    assert [found.retention(FEB, k) for k in range(3)] == [1.0, 1.0, None]


def test_lifetime_value_and_orders_add_up_over_the_months():
    found = cohorts(TWO, date(2026, 4, 15))
    assert [found.ltv(JAN, k) for k in range(4)] == [100_00, 100_00, 125_00, None]
    assert [found.ltv(FEB, k) for k in range(3)] == [25_00, 20_00, None]
    assert [found.orders_per_customer(JAN, k) for k in range(3)] == [1.25, 1.25, 1.5]


@pytest.mark.parametrize("today, known", [(date(2026, 3, 31), 2), (date(2026, 4, 1), 3), (date(2026, 4, 30), 3)])
def test_a_month_is_shown_from_the_day_after_its_last(today, known):
    found = cohorts(TWO, today)
    assert [found.retention(JAN, k) is not None for k in range(4)] == [k < known for k in range(4)]


def test_everyone_is_weighted_by_size_and_leaves_out_young_cohorts():
    found = cohorts(TWO, date(2026, 4, 15))
    assert found.everyone("retention", 1) == pytest.approx(2 / 6)
    assert found.everyone("retention", 2) == pytest.approx(1 / 4)
    assert found.everyone("ltv", 1) == pytest.approx(440_00 / 6)
    assert found.everyone("ltv", 3) is None


def test_the_heat_map_has_no_blank_cells():
    table = cohorts(TWO, date(2026, 4, 15)).table("retention")
    assert list(zip(table["first_month"], table["k"], table["value"], strict=True)) == [
        (JAN, 0, 1.0), (JAN, 1, 0.0), (JAN, 2, 0.25), (FEB, 0, 1.0), (FEB, 1, 1.0),
    ]  # fmt: skip
    assert list(table["customers"]) == [4, 4, 4, 2, 2]


def test_a_shop_without_orders_has_no_cohorts():
    found = cohorts(cells(), date(2026, 4, 15))
    assert (found.months, found.width) == ((), 0)
    assert found.everyone("ltv", 0) is None
    assert all(found.table(measure).empty for measure in MEASURES)


def test_cohorts_of_this_month_and_of_the_future_have_a_size_and_no_figures():
    found = cohorts(cells((MAR, MAR, 3, 3, 5), (APR, APR, 2, 2, 5), (FEB, APR, 1, 1, 7), (FEB, FEB, 1, 1, 1)), MAR)
    assert found.sizes == (1, 3, 2)
    assert [found.retention(month, 0) for month in found.months] == [1.0, None, None]
    assert found.ltv(FEB, 0) == 1.0
    assert found.ltv(FEB, 1) is None


def test_one_buyer_who_returned_everything_is_worth_less_than_nothing():
    found = cohorts(cells((JAN, JAN, 1, 1, 0), (JAN, FEB, 0, 0, -5)), date(2026, 3, 1))
    assert [found.ltv(JAN, k) for k in range(2)] == [0.0, -5.0]
    assert [found.retention(JAN, k) for k in range(2)] == [1.0, 0.0]


def test_months_are_counted_across_years():
    found = cohorts(cells((date(2024, 12, 1), date(2024, 12, 1), 2, 2, 2), (date(2024, 12, 1), FEB, 1, 1, 1)), MAR)
    assert found.retention(date(2024, 12, 1), 14) == 0.5
    assert found.width == 15


ORDERS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 11), st.integers(-500, 500)), max_size=40)


def of_orders(orders: list[tuple[int, int, int]], today: date) -> Cohorts:
    """From (buyer, month, net sales) in 2026."""
    first = {buyer: min(month for other, month, _ in orders if other == buyer) for buyer, _, _ in orders}
    buyers, counts, sums = defaultdict(set), defaultdict(int), defaultdict(int)
    for buyer, month, net in orders:
        key = (first[buyer], month)
        buyers[key].add(buyer)
        counts[key] += 1
        sums[key] += net
    rows = [(date(2026, f + 1, 1), date(2026, m + 1, 1), len(buyers[f, m]), counts[f, m], sums[f, m]) for f, m in sums]
    return cohorts(cells(*rows), today)


@settings(deadline=None)
@given(ORDERS)
def test_everyone_orders_in_the_first_month_and_no_more_than_everyone_later(orders):
    found = of_orders(orders, date(2027, 1, 1))
    for month in found.months:
        assert found.retention(month, 0) == 1.0
        assert all(0 <= (found.retention(month, k) or 0) <= 1 for k in range(found.width))


@settings(deadline=None)
@given(ORDERS)
def test_the_last_cells_add_up_to_all_orders_and_net_sales(orders):
    found = of_orders(orders, date(2027, 1, 1))
    last = [
        (found.orders_per_customer(month, complete - 1) * size, found.ltv(month, complete - 1) * size)
        for month, size, complete in zip(found.months, found.sizes, found.complete, strict=True)
    ]
    assert sum(count for count, _ in last) == pytest.approx(len(orders))
    assert sum(net for _, net in last) == pytest.approx(sum(net for *_, net in orders))
    assert sum(found.sizes) == len({buyer for buyer, _, _ in orders})


@settings(deadline=None)
@given(ORDERS, st.integers(1, 12))
def test_what_is_known_later_never_changes_what_was_known_before(orders, month):
    early, late = of_orders(orders, date(2026, month, 1)), of_orders(orders, date(2027, 1, 1))
    for cohort in early.months:
        for k in range(early.width):
            if (value := early.ltv(cohort, k)) is not None:
                assert value == late.ltv(cohort, k)
