"""Spending per customer and days between orders, over hand-made numbers."""

from itertools import repeat
from statistics import median

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analytics.spending import median_days, spending


def of(*amounts: int, currency: str = "USD"):
    return spending(pd.Series(amounts, dtype="int64"), currency)


def test_a_bin_holds_its_upper_end_and_not_its_lower():
    found = of(-500, 0, 1, 100, 101, 950)
    assert (
        found.bins.values.tolist()
        == [
            [None, 0, 2, -500],
            [0, 100, 2, 101],
            [100, 200, 1, 101],
            *([low, low + 100, 0, 0] for low in range(200, 900, 100)),
            [900, 1000, 1, 950],
        ][: len(found.bins)]
    )


def test_the_best_tenth_is_rounded_up_to_whole_customers():
    assert of(*[100] * 9, 900).best_tenth == 0.5
    assert of(*[100] * 10, 1000).best_tenth == pytest.approx(1100 / 2000)


def test_without_sales_no_share_is_known_and_without_customers_nothing_is():
    assert of(0, -100).best_tenth is None
    nobody = of()
    assert (nobody.customers, nobody.median, nobody.best_tenth, len(nobody.bins)) == (0, None, None, 0)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.sampled_from(["JPY", "USD", "KWD"]))
def test_bins_add_up_to_all_customers_and_all_sales(amounts, currency):
    found = of(*amounts, currency=currency)
    assert found.bins["customers"].sum() == found.customers == len(amounts)
    assert found.bins["net_sales"].sum() == sum(amounts)
    assert list(found.bins["high"][:-1]) == list(found.bins["low"][1:])
    assert found.median == round(float(np.median(amounts)))


@given(st.dictionaries(st.integers(0, 900), st.integers(1, 20), max_size=9))
def test_the_median_of_counted_days_is_that_of_the_days_themselves(counts):
    gaps = pd.DataFrame(list(counts.items()), columns=["days", "orders"])
    every = [day for days, orders in counts.items() for day in repeat(days, orders)]
    assert median_days(gaps) == (median(every) if every else None)
