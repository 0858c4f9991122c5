"""Bought together: the groceries of arules, and a slow count in plain Python."""

import csv
from collections import Counter
from itertools import permutations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analytics.affinity import LEAST_ORDERS, affinity
from tests.conftest import SHARED, missing

ORACLE = SHARED / "oracles" / "groceries" / "groceries.csv"
HEAD_COUNTS = {
    "whole milk": 2513, "other vegetables": 1903, "rolls/buns": 1809, "soda": 1715, "yogurt": 1372,
}  # fmt: skip
PUBLISHED = {  # count, support, confidence, lift
    ("herbs", "root vegetables"): (69, 0.007015760, 0.4312500, 3.956477),
    ("berries", "whipped/sour cream"): (89, 0.009049314, 0.2721713, 3.796886),
}


def groceries() -> list[list[str]]:
    """The 9,835 baskets of arules' Groceries; two items of the file end in a space now and then."""
    if not ORACLE.exists():
        missing("the groceries of arules")
    with ORACLE.open(newline="") as file:
        return [[item.strip() for item in row if item] for row in csv.reader(file)]


def frame(baskets: list[list[str]]) -> pd.DataFrame:
    rows = [(number, item) for number, items in enumerate(baskets) for item in items]
    return pd.DataFrame(rows, columns=["order_id", "product"], dtype=object)


def test_the_groceries_have_their_published_supports_and_lifts():
    found = affinity(frame(groceries()))
    assert (found.orders, found.products, found.left_out) == (9_835, 169, 0)
    pairs = found.pairs.set_index(["product_a", "product_b"])
    for pair, figures in PUBLISHED.items():
        assert pairs.loc[pair, ["n", "support", "confidence", "lift"]].tolist() == pytest.approx(figures, rel=1e-6)
    for item, count in HEAD_COUNTS.items():
        row = pairs.loc[item].iloc[0]
        assert row["n"] / row["confidence"] == pytest.approx(count)


BASKETS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4), max_size=60)


@settings(deadline=None)
@given(BASKETS)
def test_counts_equal_a_slow_count(baskets):
    sets = [set(basket) for basket in baskets]
    single = Counter(item for basket in sets for item in basket)
    both = Counter(pair for basket in sets for pair in permutations(sorted(basket), 2))
    expected = {
        (a, b): (n, n / len(sets), n / single[a], n * len(sets) / (single[a] * single[b]))
        for (a, b), n in both.items()
        if n >= LEAST_ORDERS
    }
    found = affinity(frame(baskets)).pairs
    assert {(a, b): tuple(figures) for a, b, *figures in found.itertuples(index=False)} == expected


@settings(deadline=None)
@given(BASKETS)
def test_both_directions_have_the_same_lift_and_support(baskets):
    pairs = affinity(frame(baskets)).pairs.set_index(["product_a", "product_b"])
    for (a, b), row in pairs.iterrows():
        assert row["lift"] == pairs.loc[(b, a), "lift"]
        assert row["support"] == pairs.loc[(b, a), "support"] <= row["confidence"] <= 1


def test_four_orders_are_chance_and_five_are_shown():
    assert affinity(frame([["a", "b"]] * 4)).pairs.empty
    assert affinity(frame([["a", "b"]] * 5)).pairs["n"].tolist() == [5, 5]


def test_the_strongest_comes_first_by_lift_or_by_count():
    often, rare = [["a", "b"]] * 20 + [["a"]] * 20, [["c", "d"]] * 6
    by_lift, by_n = (affinity(frame(often + rare), by=by).pairs for by in ("lift", "n"))
    assert by_lift[["product_a", "product_b"]].head(2).to_numpy().tolist() == [["c", "d"], ["d", "c"]]
    assert by_n[["product_a", "product_b"]].head(2).to_numpy().tolist() == [["a", "b"], ["b", "a"]]


def test_ties_are_in_the_order_of_their_keys():
    pairs = affinity(frame([["b", "a"], ["d", "c"]] * 9)).pairs
    assert pairs["product_a"].tolist() == ["a", "b", "c", "d"]


def test_only_so_many_products_are_compared_and_the_rest_is_counted():
    found = affinity(frame([["a", "b"]] * 9 + [["a", "c"]] * 6 + [["d"]]), most_products=2)
    assert found.pairs[["product_a", "product_b"]].to_numpy().tolist() == [["a", "b"], ["b", "a"]]
    assert (found.products, found.left_out) == (4, 1)
    assert found.pairs["support"].tolist() == [9 / 16, 9 / 16]


@pytest.mark.parametrize("baskets", [[], [["a"]], [["a"]] * 10, [["a", "b", "c"]]])
def test_few_orders_and_single_products_have_no_pairs(baskets):
    found = affinity(frame(baskets))
    assert found.pairs.empty
    assert found.orders == len(baskets)


def test_keys_may_be_ids_larger_than_a_float_holds():
    big = 2**53 + 1
    baskets = pd.DataFrame([(n, key) for n in range(5) for key in (big, big + 1)], columns=["order_id", "product"])
    assert affinity(baskets).pairs["product_a"].tolist() == [big, big + 1]
