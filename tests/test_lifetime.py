"""BG/NBD and Gamma-Gamma against the published figures for CDNOW, and against simulated buyers."""

import json
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from core.analytics.lifetime import (
    HoldOut,
    Lifetime,
    Purchases,
    Values,
    fit_purchases,
    fit_values,
    holdout,
    holdout_split,
    lifetime,
)
from core.analytics.unknown import Unknown
from tests.conftest import SHARED, missing

CDNOW = SHARED / "oracles" / "cdnow"
SPLIT, END = date(1997, 9, 30), date(1998, 6, 30)  # weeks 1 to 39, and 40 to 78
PUBLISHED = Purchases(r=0.243, alpha=4.414, a=0.793, b=2.426, log_likelihood=-9582.4)
COLUMNS = ["buyer_id", "first_day", "last_day", "repeat_days", "repeat_value"]


def expected() -> dict[str, Any]:
    """The published figures."""
    if not (file := CDNOW / "expected.json").exists():
        missing("the published figures for CDNOW")
    return json.loads(file.read_text())


def cdnow_orders() -> pd.DataFrame:
    """The 6,919 purchases of the CDNOW sample: customer (1 to 2357), day, cents."""
    if not (file := CDNOW / "CDNOW_sample.txt").exists():
        missing("the CDNOW sample")
    rows = [line.split() for line in file.read_text().splitlines()]
    days = [date(int(day[:4]), int(day[4:6]), int(day[6:])) for _, _, day, _, _ in rows]
    cents = [round(float(dollars) * 100) for *_, dollars in rows]
    return pd.DataFrame({"customer": [int(row[1]) for row in rows], "day": days, "cents": cents})


def history(orders: pd.DataFrame, until: date) -> pd.DataFrame:
    """What repeat_history() gives, from the orders."""
    days = orders[orders["day"] <= until].groupby(["customer", "day"])["cents"].sum().reset_index()
    rows = []
    for customer, its in days.groupby("customer"):
        first, last = its["day"].min(), its["day"].max()
        rows.append((customer, first, last, len(its) - 1, int(its.loc[its["day"] > first, "cents"].sum())))
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture(scope="module")
def cdnow() -> tuple[pd.DataFrame, pd.DataFrame]:
    orders = cdnow_orders()
    return history(orders, SPLIT), history(orders, END)


def test_repeats_recency_and_age_are_those_of_the_published_table(cdnow):
    before, _ = cdnow
    table = pd.read_csv(CDNOW / "cdnow_customers_summary.csv")
    weeks = (before["last_day"] - before["first_day"]).map(lambda gone: gone.days) / 7
    assert before["buyer_id"].tolist() == table["ID"].tolist()
    assert before["repeat_days"].tolist() == table["frequency"].tolist()
    assert weeks.tolist() == pytest.approx(table["recency"].tolist(), abs=0.0051)
    age = before["first_day"].map(lambda day: (SPLIT - day).days / 7)
    assert age.tolist() == pytest.approx(table["T"].tolist(), abs=0.0051)


def test_bg_nbd_finds_the_published_parameters():
    known = expected()["bgnbd"]
    table = pd.read_csv(CDNOW / "cdnow_customers_summary.csv")
    found = fit_purchases(table["frequency"], table["recency"], table["T"])
    for name in ("r", "alpha", "a", "b"):
        assert getattr(found, name) == pytest.approx(known[name], abs=known["tol"])
    assert found.log_likelihood == pytest.approx(known["LL"], abs=0.05)


def test_expectations_are_those_of_the_published_sheets():
    known = expected()
    one = known["bgnbd_conditional_expectation"]
    assert PUBLISHED.expected(one["x"], one["t_x"], one["T"], one["t"]) == pytest.approx(one["expected"], abs=0.001)
    table = pd.read_csv(CDNOW / "cdnow_customers_summary.csv")
    fitted = fit_purchases(table["frequency"], table["recency"], table["T"])
    sheet = known["bgnbd_expectation"]
    found = [float(fitted.expected(0, 0, 0, weeks)) for weeks in sheet["t"]]
    assert found == pytest.approx(sheet["expected"], abs=0.001)


def test_gamma_gamma_finds_the_published_parameters_and_expectations(cdnow):
    before, _ = cdnow
    known, first_ten = expected()["gamma_gamma"], expected()["gamma_gamma_conditional_first10"]
    found = lifetime(before, SPLIT)
    assert isinstance(found, Lifetime)
    assert isinstance(found.values, Values)
    assert found.values.p == pytest.approx(known["p"], abs=known["tol"])
    assert found.values.q == pytest.approx(known["q"], abs=known["tol"])
    assert found.values.v / 100 == pytest.approx(known["v"], abs=known["tol"])
    dollars = found.buyers["expected_order_value"].head(10) / 100
    assert dollars.tolist() == pytest.approx(first_ten["expected"], abs=first_ten["tol"])


def test_sums_are_over_all_buyers(cdnow):
    found = lifetime(cdnow[0], SPLIT)
    assert found.buyers["expected_orders"].sum() == pytest.approx(found.expected_orders)
    assert found.buyers["expected_value"].sum() == pytest.approx(found.expected_value)
    assert found.buyers["alive"].between(0, 1).all()
    assert set(found.buyers.loc[found.buyers["repeats"] == 0, "alive"]) == {1.0}


def test_the_hold_out_compares_with_what_was_bought(cdnow):
    found = holdout(*cdnow, SPLIT, END)
    assert isinstance(found, HoldOut)
    facts = expected()["dataset_facts"]
    assert found.customers == 2357
    assert found.actual_orders == facts["repeat_transactions_in_holdout_weeks_40_78"]
    assert found.by_repeats["customers"].sum() == 2357
    assert found.by_repeats["customers"][0] == facts["customers_with_zero_repeat"]
    assert found.by_repeats["repeats"].tolist() == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    means = found.by_repeats
    assert (means["actual_orders"] * means["customers"]).sum() == pytest.approx(found.actual_orders)
    assert (means["expected_orders"] * means["customers"]).sum() == pytest.approx(found.expected_orders)
    # Published as a good, slightly low fit: figure 3 of the paper.
    assert 0.8 < found.expected_orders / found.actual_orders < 1
    assert 0.7 < found.expected_value / found.actual_value < 1


def by_integration(model: Purchases, x: float, t_x: float, age: float, weeks: float) -> float:
    """The expectation as the integral over what a living buyer's probability to leave may be."""
    leaving = beta(model.a, model.b + x)

    def orders(quantile: float) -> float:
        p = max(leaving.ppf(quantile), 1e-12)
        return -np.expm1(-(model.r + x) * np.log1p(p * weeks / (model.alpha + age))) / p

    return quad(orders, 0, 1, limit=200)[0] * float(model.alive(x, t_x, age))


@settings(deadline=None, max_examples=50)
@given(
    st.builds(
        Purchases, r=st.floats(0.1, 5), alpha=st.floats(0.5, 50), a=st.floats(0.2, 4), b=st.floats(1.1, 5),
        log_likelihood=st.just(0.0),
    ),
    st.integers(0, 300), st.floats(0.1, 1), st.floats(1, 200), st.floats(0.1, 200),
)  # fmt: skip
def test_the_expectation_equals_the_integral_it_stands_for(model, x, part, age, weeks):
    t_x = age * part if x else 0.0
    found = float(model.expected(x, t_x, age, weeks))
    assert found == pytest.approx(by_integration(model, x, t_x, age, weeks), rel=1e-3, abs=1e-9)
    assert 0 <= found <= float(model.expected(x, t_x, age, weeks + 1)) + 1e-12


@pytest.mark.parametrize("a, b", [(1, 2), (148, 22026), (22026, 1), (0.001, 1100), (20, 2.5)])
@pytest.mark.parametrize("x, t_x, age, weeks", [(0, 0, 0, 200), (10, 30, 31, 52), (1000, 100, 100, 52)])
def test_where_the_series_breaks_down_the_integral_takes_over(a, b, x, t_x, age, weeks):
    model = Purchases(3, 0.5, a, b, 0)
    found = float(model.expected(x, t_x, age, weeks))
    assert found == pytest.approx(by_integration(model, x, t_x, age, weeks), rel=0.01, abs=1e-6)
    assert found <= (model.r + x) * weeks / (model.alpha + age)


def test_a_drop_out_parameter_of_one_is_no_hole():
    near, at = (Purchases(0.5, 5, a, 2.5, 0) for a in (1.0001, 1.0))
    assert float(at.expected(3, 20, 30, 52)) == pytest.approx(float(near.expected(3, 20, 30, 52)), rel=1e-3)


def simulated(buyers: int, seed: int, model: Purchases, days: int = 500) -> pd.DataFrame:
    """Orders of buyers who behave as the model says: customer, day, cents."""
    random = np.random.default_rng(seed)
    rows = []
    for customer in range(buyers):
        rate, leaves = random.gamma(model.r) / (model.alpha * 7), random.beta(model.a, model.b)
        when, mean = float(random.integers(0, days // 2)), random.gamma(6) * 1000
        while when < days:
            rows.append((customer, date(2024, 1, 1) + timedelta(int(when)), int(random.gamma(4) * mean / 4) + 1))
            if len(rows) > 1 and rows[-2][0] == customer and random.random() < leaves:
                break
            when += random.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["customer", "day", "cents"])


def test_buyers_who_behave_as_the_model_says_are_foretold():
    orders = simulated(2500, 5, Purchases(0.8, 6, 0.9, 3, 0))
    day = date(2024, 1, 1) + timedelta(500)
    split = holdout_split(history(orders, day), day)
    assert split == day - timedelta(182)
    found = holdout(history(orders, split), history(orders, day), split, day)
    assert found.expected_orders == pytest.approx(found.actual_orders, rel=0.08)
    assert found.expected_value == pytest.approx(found.actual_value, rel=0.12)


def some(buyers: int, repeaters: int, weeks: int = 20, value: int = 50_00) -> pd.DataFrame:
    start = date(2026, 1, 1)
    rows = [
        (n, start, start + timedelta(3 + n % (7 * weeks - 3)) if n < repeaters else start,
         1 + n % 3 if n < repeaters else 0, (1 + n % 3) * (value + 7 * n) if n < repeaters else 0)
        for n in range(buyers)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize(
    "frame, weeks, word",
    [
        (some(0, 0), 20, "100 customers"), (some(1, 1), 20, "there are 1 so far"), (some(99, 50), 20, "100 customers"),
        (some(200, 29), 20, "30 customers who came back"), (some(200, 60, weeks=4), 4, "13 weeks"),
    ],
)  # fmt: skip
def test_too_little_history_is_refused_with_a_reason(frame, weeks, word):
    day = date(2026, 1, 1) + timedelta(7 * weeks)
    for found in (lifetime(frame, day), holdout(frame, frame, day, day + timedelta(30))):
        assert isinstance(found, Unknown)
        assert word in found.reason


def test_enough_history_is_not_refused():
    assert isinstance(lifetime(some(200, 60), date(2026, 1, 1) + timedelta(140)), Lifetime)


def test_where_everything_was_returned_values_are_unknown_and_orders_are_not():
    found = lifetime(some(200, 60, value=-100_00), date(2026, 1, 1) + timedelta(140))
    assert isinstance(found.values, Unknown)
    assert found.expected_value is None
    assert set(found.buyers["expected_value"]) == {None}
    assert found.expected_orders > 0


ALIKE = some(200, 200).assign(last_day=date(2026, 3, 1), repeat_days=2, repeat_value=100_00)
LOYAL = some(200, 200).assign(last_day=date(2026, 5, 20), repeat_days=[10 + n // 2 for n in range(200)])
NEW = pd.concat([some(200, 60), some(200, 0).assign(first_day=date(2026, 5, 21), last_day=date(2026, 5, 21))])


@pytest.mark.parametrize("frame", [ALIKE, LOYAL, NEW], ids=["all alike", "nobody ever left", "half came today"])
def test_shops_that_fit_no_model_well_have_finite_figures(frame):
    found = lifetime(frame, date(2026, 1, 1) + timedelta(140))
    assert isinstance(found, Lifetime)
    assert np.isfinite(found.buyers[["alive", "expected_orders", "expected_value"]].to_numpy(float)).all()
    assert (found.buyers["expected_orders"] >= 0).all()
    assert found.buyers["alive"].between(0, 1).all()


def test_where_every_order_had_one_value_the_next_has_it_too():
    found = lifetime(ALIKE, date(2026, 1, 1) + timedelta(140))
    assert found.buyers["expected_order_value"].to_numpy() == pytest.approx(50_00, rel=0.01)


def test_an_order_after_the_day_is_refused():
    with pytest.raises(ValueError, match="later than 2026-01-01"):
        lifetime(some(200, 60), date(2026, 1, 1))


def test_a_split_at_the_end_leaves_nothing_to_check():
    day = date(2026, 1, 1) + timedelta(140)
    assert isinstance(holdout(some(200, 60), some(200, 60), day, day), Unknown)
    assert holdout_split(some(0, 0), day) is None


def test_rows_with_weights_fit_as_rows_repeated():
    x, t_x, age = np.array([0, 1, 2, 5, 0]), np.array([0, 3.0, 9, 30, 0]), np.array([10.0, 20, 30, 40, 35])
    weights = np.array([50, 9, 12, 4, 30])
    together = fit_purchases(x, t_x, age, weights)
    apart = fit_purchases(*(np.repeat(values, weights) for values in (x, t_x, age)))
    assert together.log_likelihood == pytest.approx(apart.log_likelihood)
    assert together.alpha == pytest.approx(apart.alpha, rel=1e-3)


def test_few_order_values_are_no_model():
    assert "30 customers" in fit_values(np.ones(29), np.full(29, 5.0)).reason
