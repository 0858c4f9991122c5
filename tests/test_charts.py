"""Charts, cards and downloads from a report with known figures."""

import csv
import io
import itertools
import json
import re
from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analytics.metrics import METRIC, METRICS
from core.analytics.period import Grain, Period
from core.analytics.report import Report
from core.reports import overview
from core.reports.table import csv_text
from core.ui import cards, charts

TODAY = date(2026, 11, 20)
NAME = "16 Nov to 20 Nov"
BEFORE = "Previous 5 days"


def report(period: Period, grain: Grain = "day", **columns: list[float | None]) -> Report:
    """A report whose measures are 0 but for the columns given; totals are their sums."""
    buckets = period.buckets(grain)
    by = pd.DataFrame({metric.slug: [0] * len(buckets) for metric in METRICS}, dtype=object)
    for slug, numbers in columns.items():
        by[slug] = pd.Series(numbers, dtype=object)
    by.insert(0, "start", [bucket.start for bucket in buckets])
    totals = {metric.slug: sum(number or 0 for number in by[metric.slug]) for metric in METRICS}
    empty = pd.DataFrame()
    return Report(period, grain, totals, by, empty, empty)


def five_days(**columns: list[float | None]) -> Report:
    return report(Period(date(2026, 11, 16), TODAY), **columns)


def the_five_before(**columns: list[float | None]) -> Report:
    return report(Period(date(2026, 11, 11), date(2026, 11, 15)), **columns)


def drawn(lines: pd.DataFrame, series: str) -> list[tuple[int, float]]:
    rows = lines[lines["series"] == series]
    return list(zip(rows["i"], rows["value"], strict=True))


def test_the_compared_period_lies_under_this_one_bucket_by_bucket():
    lines = charts.trend_lines(
        five_days(total_sales=[1, 2, 3, 4, 5]),
        the_five_before(total_sales=[9, 8, 7, 6, 5]),
        "total_sales",
        "JPY",
        TODAY,
        BEFORE,
    )
    assert drawn(lines, BEFORE) == [(0, 9), (1, 8), (2, 7), (3, 6), (4, 5)]


def test_today_is_drawn_apart_and_joins_the_last_finished_day():
    lines = charts.trend_lines(five_days(total_sales=[1, 2, 3, 4, 5]), None, "total_sales", "JPY", TODAY, BEFORE)
    assert drawn(lines, NAME) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert drawn(lines, "Not over yet") == [(3, 4), (4, 5)]


def test_a_period_that_is_over_has_nothing_unfinished():
    lines = charts.trend_lines(
        five_days(total_sales=[1, 2, 3, 4, 5]), None, "total_sales", "JPY", date(2026, 11, 21), BEFORE
    )
    assert set(lines["series"]) == {NAME}


def test_only_today_is_a_single_unfinished_point():
    today = report(Period(TODAY, TODAY), total_sales=[7])
    assert drawn(charts.trend_lines(today, None, "total_sales", "JPY", TODAY, BEFORE), "Not over yet") == [(0, 7)]


def test_a_longer_compared_period_is_cut_to_this_one():
    february = report(Period(date(2026, 2, 1), date(2026, 2, 28)), total_sales=[1.0] * 28)
    january = report(Period(date(2026, 1, 1), date(2026, 1, 31)), total_sales=[2.0] * 31)
    assert len(drawn(charts.trend_lines(february, january, "total_sales", "JPY", TODAY, BEFORE), BEFORE)) == 28


def test_a_chart_is_drawn_in_whole_units_as_it_can_be_downloaded():
    lines = charts.trend_lines(five_days(total_sales=[123456, 0, 0, 0, 0]), None, "total_sales", "USD", TODAY, BEFORE)
    assert drawn(lines, NAME)[0] == (0, 1234.56)


def test_small_amounts_have_labels_too():
    chart = charts.trend(five_days(total_sales=[4, 0, 0, 0, 0]), None, "total_sales", "USD", TODAY, BEFORE).to_dict()
    assert labels(chart["layer"][0]["encoding"]["y"]) == ["$0", "$0.01", "$0.02", "$0.03", "$0.04"]


def test_percents_have_an_axis_of_their_own():
    rates = five_days(refund_rate=[0.5, 0.1, 0, 0, 0])
    chart = charts.trend(rates, None, "refund_rate", "USD", TODAY, BEFORE).to_dict()
    assert labels(chart["layer"][0]["encoding"]["y"]) == ["0%", "10%", "20%", "30%", "40%", "50%"]


def test_what_is_unknown_is_a_gap_and_never_zero():
    lines = charts.trend_lines(
        five_days(average_order_value=[100, None, 300, None, None]), None, "average_order_value", "JPY", TODAY, BEFORE
    )
    assert drawn(lines, NAME) == [(0, 100), (2, 300)]


def test_axes_carry_our_own_labels_so_no_browser_can_move_a_day():
    chart = charts.trend(
        five_days(total_sales=[100_000, 0, 0, 0, 0]), None, "total_sales", "USD", TODAY, BEFORE
    ).to_dict()
    axes = chart["layer"][0]["encoding"]
    assert labels(axes["x"]) == ["16 Nov", "17 Nov", "18 Nov", "19 Nov", "20 Nov"]
    assert labels(axes["y"]) == ["$0", "$200", "$400", "$600", "$800", "$1K"]
    assert not re.search(r'"type": "temporal"', json.dumps(chart))


def test_the_tooltip_has_the_exact_figures_of_both_periods():
    chart = charts.trend(
        five_days(total_sales=[123456, 0, 0, 0, 0]), the_five_before(total_sales=[5, 0, 0, 0, 0]),
        "total_sales", "USD", TODAY, BEFORE,
    )  # fmt: skip
    shown = chart.layer[1].data.to_dict("records")[0]
    assert shown["When"] == "Mon 16 Nov 2026"
    assert shown["Total sales"] == "$1,234.56"
    assert shown[BEFORE] == "$0.05 (Wed 11 Nov 2026)"


def test_the_sentence_for_those_who_cannot_see_the_chart_says_what_it_shows():
    now, before = five_days(total_sales=[100, 0, 0, 0, 10]), the_five_before(total_sales=[100, 0, 0, 0, 0])
    text = charts.trend_text(now, before, "total_sales", "USD", TODAY, BEFORE)
    assert text == "Total sales by day, 16 Nov to 20 Nov: $1.10 in all, +10.0% against previous 5 days."


def test_stacked_bars_stand_on_each_other():
    now = five_days(returning_customers=[3, 0, 0, 0, 1], new_customers=[2, 0, 0, 0, 1])
    bars = charts.stacked_counts(now, ("returning_customers", "new_customers"), TODAY).data
    first = bars[bars["When"] == "Mon 16 Nov 2026"]
    assert list(zip(first["series"], first["low"], first["value"], strict=True)) == [
        ("Returning customers", 0, 3),
        ("New customers", 3, 5),
    ]
    assert list(bars[~bars["over"]]["When"].unique()) == ["Fri 20 Nov 2026"]


@given(
    st.floats(min_value=-1e15, max_value=1e15, allow_nan=False),
    st.floats(min_value=-1e15, max_value=1e15, allow_nan=False),
)
def test_ticks_cover_the_figures_in_a_few_even_steps(one, other):
    low, high = min(one, other), max(one, other)
    at = charts.ticks(low, high)
    assert 2 <= len(at) <= 8
    assert at[0] - 1e-6 <= min(low, 0) and at[-1] + 1e-6 >= max(high, 0)
    assert all(tick == int(tick) for tick in at)
    steps = {round((b - a) / (at[1] - at[0]), 6) for a, b in itertools.pairwise(at)}
    assert steps == {1}


def test_every_grain_draws_from_one_bucket_to_many():
    for grain, days in itertools.product(("day", "week", "month"), (1, 2, 40, 800)):
        period = Period(TODAY - timedelta(days=days - 1), TODAY)
        now = report(period, grain, total_sales=[1.0] * len(period.buckets(grain)))
        assert charts.trend(now, None, "total_sales", "JPY", TODAY, BEFORE).to_dict()["layer"]
        assert charts.stacked_counts(now, ("new_customers",), TODAY).to_dict()["layer"]


def test_a_cards_line_is_its_own_series_without_today():
    now = five_days(total_sales=[100, 200, 300, 400, 999], returning_customer_rate=[0.5, None, 0.25, None, 1.0])
    assert cards.sparkline(now, "total_sales", "USD", TODAY) == [1.0, 2.0, 3.0, 4.0]
    assert cards.sparkline(now, "total_sales", "JPY", TODAY) == [100.0, 200.0, 300.0, 400.0]
    assert cards.sparkline(now, "returning_customer_rate", "USD", TODAY) == [50.0, 25.0]
    assert cards.sparkline(report(Period(TODAY, TODAY)), "orders", "USD", TODAY) is None
    taken = five_days(discounts=[-100, -200, 0, 300, 0])
    assert cards.sparkline(taken, "discounts", "USD", TODAY) == [1.0, 2.0, 0.0, -3.0]


def test_a_cards_help_has_the_definition_the_days_and_both_exact_figures():
    now, before = five_days(net_sales=[123456789] + [0] * 4), the_five_before(net_sales=[100] + [0] * 4)
    text = cards.meaning(now, before, "net_sales", "USD", TODAY).replace("\\", "")
    assert METRIC["net_sales"].definition in text
    assert "16 Nov to 20 Nov: $1,234,567.89." in text
    assert "11 Nov to 15 Nov: $1.00." in text
    assert "Test and deleted orders are left out." in text
    assert "Today is not over yet" in text


def test_a_cards_help_says_why_a_figure_is_unknown_and_why_there_is_no_change():
    now, before = five_days(), the_five_before()
    now.totals["average_order_value"] = None
    now.totals["orders"] = 3
    unknown = cards.meaning(now, before, "average_order_value", "USD", TODAY).replace("\\", "")
    assert METRIC["average_order_value"].why_unknown in unknown
    assert "no change in percent" in cards.meaning(now, before, "orders", "USD", TODAY)


@pytest.mark.parametrize(
    ("slug", "moved", "colour"),
    [
        ("total_sales", 0.1, "green"),
        ("total_sales", -0.1, "red"),
        ("refund_rate", 0.1, "red"),
        ("refund_rate", -0.1, "green"),
        ("sales_reversals", 0.1, "red"),
        ("sales_reversals", -0.1, "green"),
        ("discounts", 0.5, "gray"),
        ("shipping", 0.5, "gray"),
        ("total_sales", 0.0, "gray"),
        ("total_sales", 0.0004, "gray"),
        ("total_sales", None, "gray"),
    ],
)
def test_a_change_is_green_where_it_is_good(slug, moved, colour):
    assert cards._colour(METRIC[slug], moved) == colour


def test_a_download_has_every_bucket_exactly_and_the_totals():
    now = five_days(
        net_sales=[-1250, 0, 100, 0, 0], returning_customer_rate=[0.5, None, 0, 0, 0], orders=[2, 0, 1, 0, 0]
    )
    rows = list(csv.DictReader(io.StringIO(csv_text(overview.buckets(now), "USD"))))
    assert [row["day"] for row in rows] == [*(f"2026-11-{n}" for n in range(16, 21)), "Total"]
    assert rows[0]["net_sales USD"] == "-12.50" and rows[-1]["net_sales USD"] == "-11.50"
    assert rows[1]["returning_customer_rate"] == ""
    assert rows[-1]["orders"] == "3"
    assert set(rows[0]) == {"day", *(f"{m.slug} USD" if m.unit == "money" else m.slug for m in METRICS)}


def test_a_download_of_yen_has_no_decimals_and_one_of_dinars_three():
    now = five_days(net_sales=[1000, 0, 0, 0, 0])
    assert "1000," in csv_text(overview.buckets(now), "JPY").splitlines()[1]
    assert ",1.000," in csv_text(overview.buckets(now), "KWD").splitlines()[1]


def labels(axis: dict) -> list[str]:
    """The texts an axis shows, in order."""
    texts = json.loads(re.match(r"(\{.*\})\[", axis["axis"]["labelExpr"]).group(1))
    return [texts[repr(tick) if tick != int(tick) else str(int(tick))] for tick in axis["axis"]["values"]]
