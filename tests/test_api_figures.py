"""What the API tells is what the functions of the pages compute, to the cent, on both databases."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from core.analytics import breakdowns, frames, frames_checkouts, frames_customers
from core.analytics.breakdowns import BREAKDOWNS
from core.analytics.cohorts import cohorts
from core.analytics.metrics import METRIC, METRICS
from core.analytics.period import PRESETS, Period, automatic_grain
from core.analytics.records import plain, records
from core.analytics.report import as_json, report, totals
from core.db.engine import shop_session, system_session
from core.db.filters import Filters
from core.db.models import AbandonedCheckout, Shop
from core.db.money import from_minor, to_minor
from core.web import api_door, api_figures
from core.web.api_door import Limiter
from tests import factories as make
from tests.api_shop import ALICE, NOON, client, data, fill

TODAY = NOON.date()
PERIOD = Period(TODAY - timedelta(days=149), TODAY)
DAYS = f"from={PERIOD.start}&to={PERIOD.end}"


@pytest.fixture(autouse=True)
def nobody_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_door, "LIMITER", Limiter(most=100_000))
    api_figures._kept.cache_clear()
    api_figures._kept_breakdown.cache_clear()


@pytest.fixture
def shop(request: pytest.FixtureRequest, database: Engine) -> str:
    """Alice's shop with orders and checkouts; its currency."""
    currency: str = getattr(request, "param", "USD")
    made = make.add_shop(1, currency=currency, time_zone="UTC", personal_data=True)
    make.add_user(ALICE, "alice@example.com", 1)
    fill(made)
    with shop_session(1, write=True) as session:
        session.add_all(
            AbandonedCheckout(
                shop_id=1, id=number, name=f"#{number}", created_at=NOON, day=TODAY - timedelta(days=number),
                updated_at=NOON, completed_at=NOON if number % 3 else None, subtotal=0, total_discount=0, total=1005,
            )
            for number in range(9)
        )  # fmt: skip
    return currency


def amount(text: str, currency: str) -> int:
    """The minor units of an amount as the API writes it, which has just as many decimals as the currency."""
    minor = to_minor(text, currency)
    assert text == f"{from_minor(minor, currency):f}"
    return minor


def told(value: Any, metric: str, currency: str) -> Any:
    return value if value is None or METRIC[metric].unit != "money" else amount(value, currency)


def test_every_metric_range_and_grain_is_that_of_the_report(shop):
    asking = client(ALICE)
    for grain in ("day", "week", "month"):
        with shop_session(1) as session:
            ours, before = report(session, PERIOD, grain), totals(session, PERIOD.previous())
        for metric in METRICS if grain == "month" else METRICS[:1]:
            found = asking.get(f"metrics/{metric.slug}?{DAYS}&grain={grain}&compare=previous").json()
            assert told(found["total"], metric.slug, shop) == ours.totals[metric.slug]
            assert told(found["compared"], metric.slug, shop) == before[metric.slug]
            assert found["change"] == metric.change(ours.totals[metric.slug], before[metric.slug])
            assert found["why_unknown"] == (metric.why_unknown if found["total"] is None else None)
            assert [date.fromisoformat(row["start"]) for row in found["data"]] == ours.by["start"].tolist()
            values = [told(row[metric.slug], metric.slug, shop) for row in found["data"]]
            assert values == ours.by[metric.slug].tolist()


def test_the_report_is_that_of_the_pages_and_its_comparison_too(shop):
    found = client(ALICE).get(f"report?{DAYS}&compare=year").json()
    with shop_session(1) as session:
        ours = as_json(report(session, PERIOD, automatic_grain(PERIOD)), "shop-1.myshopify.com", shop, "UTC")
        before = as_json(report(session, PERIOD.previous_year(), "week"), "shop-1.myshopify.com", shop, "UTC")
    assert {name: found[name] for name in ("totals", "top_customers", "top_products", "from", "to")} == {
        name: ours[name] for name in ("totals", "top_customers", "top_products", "from", "to")
    }
    assert [{"day": row.pop("start"), **row} for row in found["data"]] == ours["by"]
    assert found["compared"] == before["totals"]
    assert found["totals"]["orders"] > 10


def test_breakdowns_are_those_of_the_pages_and_add_up(shop):
    asking = client(ALICE)
    for breakdown in BREAKDOWNS:
        with shop_session(1) as session:
            ours = breakdowns.broken_down(session, breakdown, PERIOD, None)
        rows = data(asking.get(f"metrics/net_sales?{DAYS}&breakdown={breakdown.slug}"))
        assert [row["name"] for row in rows] == ours["name"].tolist()
        assert [row["value"] for row in rows] == ours["value"].tolist()
        assert [amount(row["net_sales"], shop) for row in rows] == ours["net_sales"].tolist()
        assert [row["share_of_net_sales"] for row in rows] == ours["share"].tolist()
        whole = asking.get(f"metrics/net_sales?{DAYS}").json()["total"]
        assert sum(Decimal(row["net_sales"]) for row in rows) == Decimal(whole) != 0


def test_figures_are_narrowed_as_on_the_pages(shop):
    asking = client(ALICE)
    for query, filters in (
        ("channel=web", Filters(channel=("web",))),
        ("customer_kind=new&customer_kind=returning&channel=pos",
         Filters(channel=("pos",), customer_kind=("new", "returning"))),
        ("product_type=Kitchen", Filters(product_type=("Kitchen",))),
        ("vendor=nobody", Filters(vendor=("nobody",))),
    ):  # fmt: skip
        with shop_session(1, filters) as session:
            ours = totals(session, PERIOD)
            best = frames.top_products(session, PERIOD, 10)
        found = asking.get(f"report?{DAYS}&{query}").json()["totals"]
        assert {name: told(value, name, shop) for name, value in found.items()} == ours
        products = data(asking.get(f"products/top?{DAYS}&{query}"))
        assert [row["product_id"] for row in products] == best["product_id"].tolist()
        booked = [amount(row["net_sales"], shop) for row in data(asking.get(f"orders?{DAYS}&{query}&limit=500"))]
        assert len(booked) == ours["orders"]


def test_the_best_are_those_of_the_pages(shop):
    asking = client(ALICE)
    for by in ("net_sales", "orders"):
        with shop_session(1) as session:
            ours = frames.top_customers(session, PERIOD, 5, by)
        assert data(asking.get(f"customers/top?{DAYS}&by={by}&limit=5")) == records(ours, shop, ["net_sales"])
    with shop_session(1) as session:
        products = frames.top_products(session, PERIOD, 500)
    assert data(asking.get(f"products/top?{DAYS}&limit=500")) == records(products, shop, ["net_sales"])
    sold = {row["id"]: (row["units"], row["net_sales"]) for row in data(asking.get(f"products?{DAYS}"))}
    best = zip(products["product_id"], products["units"], products["net_sales"], strict=True)
    assert sold == {number: (units, f"{from_minor(net, shop):f}") for number, units, net in best}


def test_cohorts_are_those_of_the_page(shop):
    asking = client(ALICE)
    with shop_session(1) as session:
        ours = cohorts(frames_customers.cohort_cells(session), TODAY)
    for measure in ("retention", "ltv", "orders_per_customer"):
        rows = data(asking.get(f"cohorts?measure={measure}"))
        assert rows and len(rows) == len(ours.table(measure))
        for row in rows:
            value = getattr(ours, measure)(date.fromisoformat(row["first_month"]), row["month"])
            assert row[measure] == (f"{from_minor(round(value), shop):f}" if measure == "ltv" else value)


def test_checkouts_are_those_of_the_page(shop):
    with shop_session(1) as session:
        ours = frames_checkouts.checkout_days(session, PERIOD)
    rows = data(client(ALICE).get(f"checkouts?{DAYS}"))
    assert [row["day"] for row in rows] == [day.date().isoformat() for day in ours.index]
    for name in ("left_value", "recovered_value"):
        assert [amount(row[name], shop) for row in rows] == ours[name].tolist()
    assert sum(row["left"] for row in rows) == 9 and sum(row["recovered"] for row in rows) == 6


def test_a_named_period_is_that_of_the_pages(shop):
    asking = client(ALICE)
    for preset in PRESETS:
        with shop_session(1) as session:
            span = frames.data_span(session)
        period = preset.resolve(TODAY, span.start if span else None)
        found = asking.get(f"products/top?period={preset.slug}").json()
        assert (found["from"], found["to"]) == (period.start.isoformat(), period.end.isoformat())


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("shop", ["JPY", "KWD"], indirect=True)
def test_money_has_the_decimals_of_its_currency(shop):
    test_the_report_is_that_of_the_pages_and_its_comparison_too(shop)
    test_every_metric_range_and_grain_is_that_of_the_report(shop)
    test_breakdowns_are_those_of_the_pages_and_add_up(shop)
    test_the_best_are_those_of_the_pages(shop)
    test_cohorts_are_those_of_the_page(shop)
    test_checkouts_are_those_of_the_page(shop)


def test_names_are_told_only_where_the_store_keeps_personal_data(shop):
    asking = client(ALICE)
    paths = (f"customers/top?{DAYS}", "customers", f"report?{DAYS}", "orders/1")
    assert all("Customer " in asking.get(path).text for path in paths if path != "orders/1")
    with system_session(write=True) as session:
        session.get_one(Shop, 1).personal_data = False
    assert not any("Customer " in asking.get(path).text for path in paths)
    assert data(asking.get("products")) != []  # of the catalogue nothing is hidden
    assert asking.get("orders/1").json()["name"] == "#1"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_figure_that_is_kept_is_computed_anew_with_the_next_version_of_the_data(shop, monkeypatch):
    asking, computed = client(ALICE), []
    measured = api_figures.measured
    monkeypatch.setattr(api_figures, "measured", lambda *given: computed.append(1) or measured(*given))
    for _ in range(3):
        asking.get(f"metrics/net_sales?{DAYS}")
    assert len(computed) == 1
    with system_session(write=True) as session:
        session.get_one(Shop, 1).data_version += 1
    asking.get(f"metrics/net_sales?{DAYS}")
    asking.get(f"metrics/net_sales?{DAYS}&channel=web")
    assert len(computed) == 3
    for _ in range(2):
        asking.get("metrics/net_sales?from=2015-01-01&to=2025-01-01")
    assert len(computed) == 5  # years by day are not kept


def test_what_is_not_known_is_null_and_moments_are_iso():
    assert plain(float("nan")) is None and plain(None) is None and plain(0.5) == 0.5
    assert plain(NOON) == NOON.isoformat() and plain(TODAY) == TODAY.isoformat() and plain((1, 2)) == [1, 2]
