"""RFM scores against the R package rfm, segments against all 125 combinations."""

from collections import Counter
from datetime import date, timedelta
from fractions import Fraction
from itertools import product

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analytics.rfm import SCORES, SEGMENTS, rfm, segment_of
from tests.conftest import SHARED, missing

DAY = date(2006, 12, 31)
ORACLE = SHARED / "oracles" / "rfm" / "rfm_data_orders.csv"
PUBLISHED = {  # recency in days, orders, dollars, scores
    "Abbey O'Reilly": (205, 6, 472, 343),
    "Add Senger": (140, 3, 340, 412),
    "Aden Lesch": (194, 4, 405, 323),
    "Aden Murphy": (98, 7, 596, 544),
    "Admiral Senger": (132, 5, 448, 433),
}


def oracle_orders() -> pd.DataFrame:
    """The 4,906 orders of the package: customer_id, order_date, revenue in dollars."""
    if not ORACLE.exists():
        missing("the orders of the R package rfm")
    orders = pd.read_csv(ORACLE)
    return orders.assign(order_date=pd.to_datetime(orders["order_date"]).dt.date)


def buyers(*rows: tuple[int, int, int]) -> pd.DataFrame:
    """From (days ago, orders, net sales)."""
    made = [(n, orders, net, DAY - timedelta(days=ago)) for n, (ago, orders, net) in enumerate(rows)]
    return pd.DataFrame(made, columns=["buyer_id", "orders", "net_sales", "last_day"], dtype=object)


def scores(frame: pd.DataFrame, currency: str = "USD") -> list[int]:
    found = rfm(frame, DAY, currency).buyers
    return (found[list(SCORES)].to_numpy() @ [100, 10, 1]).tolist()


@pytest.mark.parametrize("currency, cents", [("JPY", 1), ("USD", 100), ("KWD", 1000)])
def test_scores_are_those_of_the_r_package_in_every_currency(currency, cents):
    by = oracle_orders().groupby("customer_id")
    frame = pd.DataFrame(
        {"orders": by.size(), "net_sales": by["revenue"].sum() * cents, "last_day": by["order_date"].max()}
    ).rename_axis("buyer_id").reset_index()  # fmt: skip
    assert len(frame) == 995
    found = rfm(frame, DAY, currency).buyers.set_index("buyer_id").loc[list(PUBLISHED)]
    rows = zip(found["recency_days"], found["orders"], found["net_sales"] // cents,
               found[list(SCORES)].to_numpy() @ [100, 10, 1], strict=True)  # fmt: skip
    assert list(rows) == list(PUBLISHED.values())


def quantile(ordered: list[int], part: Fraction) -> Fraction:
    """R's default (type 7): linear between the two values around the place."""
    place = (len(ordered) - 1) * part
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def as_r_writes_it(values: list[int]) -> list[int]:
    """Scores by the loop of the R package, in fractions."""
    inner = [quantile(sorted(values), Fraction(n, 5)) + 1 for n in range(1, 5)]
    lower, upper = [min(values), *inner], [*inner, max(values) + 1]
    found = [0] * len(values)
    for score in range(5):
        for i, value in enumerate(values):
            if lower[score] <= value < upper[score]:
                found[i] = score + 1
    return found


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(-20, 90)), min_size=1, max_size=40))
def test_scores_equal_the_loop_of_the_r_package(rows):
    recency, frequency, monetary = (as_r_writes_it(list(values)) for values in zip(*rows, strict=True))
    expected = [100 * (6 - r) + 10 * f + m for r, f, m in zip(recency, frequency, monetary, strict=True)]
    assert scores(buyers(*rows), "JPY") == expected


def test_a_combination_of_scores_falls_into_exactly_one_segment():
    for combination in product(range(1, 6), repeat=3):
        assert [segment for segment in SEGMENTS if segment.holds(*combination)] == [segment_of(*combination)]


def test_every_segment_can_be_reached_and_says_what_to_do():
    reached = {segment_of(*combination).slug for combination in product(range(1, 6), repeat=3)}
    assert reached == {segment.slug for segment in SEGMENTS}
    assert len({segment.name for segment in SEGMENTS}) == len(SEGMENTS) == 11
    assert all(segment.meaning.endswith(".") and segment.action.endswith(".") for segment in SEGMENTS)


@pytest.mark.parametrize(
    "score, slug",
    [
        ((5, 5, 5), "champions"), ((5, 1, 5), "new"), ((1, 1, 1), "hibernating"), ((1, 1, 5), "lost_spenders"),
        ((2, 5, 1), "cannot_lose"), ((2, 4, 4), "at_risk"), ((3, 3, 3), "need_attention"), ((4, 1, 3), "promising"),
    ],
)  # fmt: skip
def test_known_scores_have_their_segment(score, slug):
    assert segment_of(*score).slug == slug


def test_the_score_does_not_depend_on_who_is_listed_first():
    rows = [(3, 9, 900), (40, 1, 100), (3, 9, 900), (100, 4, -50), (7, 2, 300), (7, 2, 300)]
    assert scores(buyers(*rows)) == scores(buyers(*reversed(rows)))[::-1]
    assert scores(buyers(*rows))[0] == scores(buyers(*rows))[2]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 50), st.integers(-10_000, 10**12)), max_size=30))
def test_segments_add_up_to_all_customers(rows):
    found = rfm(buyers(*rows), DAY, "USD")
    assert found.segments["customers"].sum() == len(rows) == found.grid().to_numpy().sum()
    assert found.segments["orders"].sum() == sum(orders for _, orders, _ in rows)
    assert found.segments["net_sales"].sum() == sum(net for *_, net in rows)
    if rows:
        assert sum(found.segments["share"]) == pytest.approx(1)
    assert Counter(found.buyers["segment"]) == {
        row["segment"]: row["customers"] for row in found.segments.to_dict("records") if row["customers"]
    }
    assert all(set(found.buyers[name]) <= {1, 2, 3, 4, 5} for name in SCORES)


def test_nobody_is_eleven_empty_segments_without_share_or_recency():
    found = rfm(buyers(), DAY, "USD")
    assert found.buyers.empty
    assert len(found.segments) == 11
    assert set(found.segments["customers"]) == {0}
    assert set(found.segments["share"]) == set(found.segments["median_recency_days"]) == {None}


@pytest.mark.parametrize("many", [1, 7])
def test_where_all_are_equal_nothing_tells_them_apart(many):
    assert set(scores(buyers(*[(10, 2, 500)] * many))) == {511}


def test_a_segment_tells_the_middle_of_its_recency():
    found = rfm(buyers((10, 2, 500), (10, 2, -700)), DAY, "USD").segments.set_index("segment")
    assert found.loc["new", ["customers", "share", "orders", "net_sales", "median_recency_days"]].tolist() == [
        2, 1.0, 4, -200, 10.0,
    ]  # fmt: skip
    assert found.loc["champions", "share"] == 0.0
    assert found.loc["champions", "median_recency_days"] is None


def test_an_order_after_the_day_is_refused():
    with pytest.raises(ValueError, match="later than 2006-12-31"):
        rfm(buyers((-1, 1, 1)), DAY, "USD")
