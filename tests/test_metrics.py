"""Metrics: known answers by hand, days that add up, and unknown that is never 0."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analytics.frames import SUMS
from core.analytics.metrics import METRIC, METRICS, change, values

RATIOS = ("average_order_value", "returning_customer_rate", "refund_rate", "discount_rate")
ZEROS = dict.fromkeys(SUMS, 0)
# Money of either sign, counts never negative, as a day's row may be.
MONEY = {METRIC[slug].slug for slug in METRIC if METRIC[slug].unit == "money"} | {"order_value"}
ROWS = st.fixed_dictionaries(
    {slug: st.integers(-(10**12), 10**12) if slug in MONEY else st.integers(0, 10**6) for slug in SUMS}
)

# One day by hand, USD cents: a mug 100.00 and a cup 50.00 with 15.00 off; a bowl of 30.00 comes back; 8.00 shipping,
# 12.00 taxes, 3.00 duties, 2.00 fees, 5.00 kept of the return, a 4.00 tip, a 25.00 gift card.
DAY = ZEROS | {
    "gross_sales": 150_00, "discounts": -15_00, "sales_reversals": -30_00, "shipping": 8_00, "taxes": 12_00,
    "duties": 3_00, "additional_fees": 2_00, "return_fees": 5_00, "tips": 4_00, "gift_card_sales": 25_00,
    "order_value": 135_00, "orders": 4, "orders_with_goods": 3, "units_sold": 2, "units_returned": 1,
    "customers": 3, "new_customers": 1, "returning_customers": 3, "unclassified": 0,
}  # fmt: skip


def test_one_day_by_hand() -> None:
    assert values(DAY) == {
        "gross_sales": 150_00,
        "discounts": -15_00,
        "sales_reversals": -30_00,
        "net_sales": 105_00,
        "shipping": 8_00,
        "taxes": 12_00,
        "duties": 3_00,
        "additional_fees": 2_00,
        "return_fees": 5_00,
        "total_sales": 135_00,
        "tips": 4_00,
        "gift_card_sales": 25_00,
        "orders": 4,
        "average_order_value": 45_00,
        "units_sold": 2,
        "units_returned": 1,
        "customers": 3,
        "new_customers": 1,
        "returning_customers": 3,
        "returning_customer_rate": 0.75,
        "refund_rate": 30 / 135,
        "discount_rate": 0.1,
        "unclassified": 0,
    }


def test_metrics_come_in_report_order() -> None:
    assert [metric.slug for metric in METRICS] == list(values(DAY)) == list(METRIC)


def test_average_order_value_ignores_returns_and_gift_card_orders() -> None:
    returned = DAY | {"sales_reversals": -150_00}
    assert values(returned)["average_order_value"] == 45_00
    assert values(DAY | {"orders": 400})["average_order_value"] == 45_00


@pytest.mark.parametrize(
    ("order_value", "orders_with_goods", "rounded"),
    [
        (1_00, 3, 33),
        (2_00, 3, 67),
        (1, 2, 0),
        (3, 2, 2),
        (5, 2, 2),
        (-3, 2, -2),
        (0, 5, 0),
        (10**17 + 1, 2, 5 * 10**16),
    ],
)
def test_average_order_value_is_rounded_half_even_to_the_minor_unit(
    order_value: int, orders_with_goods: int, rounded: int
) -> None:
    sums = ZEROS | {"order_value": order_value, "orders_with_goods": orders_with_goods}
    value = values(sums)["average_order_value"]
    assert value == rounded
    assert type(value) is int


@given(st.lists(ROWS, min_size=1, max_size=8))
def test_days_add_up_to_the_period(days: list[dict[str, int]]) -> None:
    period = values({slug: sum(day[slug] for day in days) for slug in SUMS})
    each = [values(day) for day in days]
    for metric in METRICS:
        if metric.slug not in RATIOS:
            assert period[metric.slug] == sum(day[metric.slug] or 0 for day in each)


@given(ROWS)
def test_total_sales_are_net_sales_and_what_comes_on_top_without_tips_and_gift_cards(row: dict[str, int]) -> None:
    found = values(row)
    parts = ("gross_sales", "discounts", "sales_reversals", "shipping", "taxes", "duties", "additional_fees")
    assert found["total_sales"] == sum(row[part] for part in parts) + row["return_fees"]
    assert values(row | {"tips": 1, "gift_card_sales": 2})["total_sales"] == found["total_sales"]


@pytest.mark.parametrize("slug", RATIOS)
def test_a_ratio_over_nothing_is_unknown_with_a_reason(slug: str) -> None:
    assert values(ZEROS)[slug] is None
    assert METRIC[slug].why_unknown.endswith(".")


@given(ROWS)
def test_a_value_is_unknown_exactly_when_its_base_is_zero(row: dict[str, int]) -> None:
    bases = {
        "average_order_value": row["orders_with_goods"],
        "returning_customer_rate": row["returning_customers"] + row["new_customers"],
        "refund_rate": row["gross_sales"] + row["discounts"],
        "discount_rate": row["gross_sales"],
    }
    for slug, value in values(row).items():
        assert (value is None) == (bases.get(slug, 1) == 0)


def test_a_known_zero_is_zero_and_not_unknown() -> None:
    row = DAY | {"sales_reversals": 0, "discounts": 0, "returning_customers": 0, "order_value": 0}
    assert [values(row)[slug] for slug in RATIOS] == [0, 0.0, 0.0, 0.0]


@given(ROWS)
def test_money_and_counts_are_whole_numbers_and_percents_are_fractions(row: dict[str, int]) -> None:
    for slug, value in values(row).items():
        assert value is None or type(value) is (float if METRIC[slug].unit == "percent" else int)


@pytest.mark.parametrize(
    ("current", "previous", "expected"),
    [
        (150, 100, 0.5),
        (50, 100, -0.5),
        (0, 100, -1.0),
        (100, 100, 0.0),
        (-150, -100, -0.5),
        (-50, -100, 0.5),
        (50, -100, 1.5),
        (0.3, 0.2, pytest.approx(0.5)),
        (100, 0, None),
        (0, 0, None),
        (None, 100, None),
        (100, None, None),
        (None, None, None),
    ],
)
def test_change_is_against_the_size_of_the_previous_value(
    current: float | None, previous: float | None, expected: float | None
) -> None:
    assert change(current, previous) == expected


@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62).filter(bool))
def test_a_rise_is_positive_and_a_fall_negative(current: int, previous: int) -> None:
    found = change(current, previous)
    assert found is not None
    assert (found > 0, found < 0) == (current > previous, current < previous)
    exact = Fraction(current - previous, abs(previous))
    assert found == pytest.approx(float(exact))
    assert Decimal(found).is_finite()


@pytest.mark.parametrize(
    ("slug", "now", "before", "moved"),
    [
        ("discounts", -15000, -10000, 0.5),
        ("discounts", -5000, -10000, -0.5),
        ("discounts", 0, -10000, -1.0),
        ("discounts", -10000, -10000, 0.0),
        ("discounts", -10000, 0, None),
        ("sales_reversals", -24300, -10000, 1.43),
        ("sales_reversals", 2000, -10000, -1.2),
        ("net_sales", -15000, -10000, -0.5),
        ("refund_rate", 0.2, 0.1, 1.0),
    ],
)
def test_more_of_what_is_taken_off_is_a_rise(slug: str, now: float, before: float, moved: float | None) -> None:
    assert METRIC[slug].change(now, before) == (moved if moved is None else pytest.approx(moved))


def test_what_is_below_zero_is_what_its_definition_calls_negative() -> None:
    assert {metric.slug for metric in METRICS if metric.below_zero} == {"discounts", "sales_reversals"}
    assert all(("negative" in metric.definition) >= metric.below_zero for metric in METRICS)


def test_every_definition_is_one_sentence_and_every_metric_says_what_it_may_lack() -> None:
    for metric in METRICS:
        assert metric.definition[0].isupper()
        assert metric.definition.endswith(".")
        assert metric.definition.count(".") == 1
        assert bool(metric.why_unknown) == (metric.slug in RATIOS)


def test_slugs_and_labels_are_unique() -> None:
    assert len(METRIC) == len({metric.label for metric in METRICS}) == len(METRICS)
