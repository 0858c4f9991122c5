"""The report and its JSON, over hand-made rows of two shops that use the same ids."""

import json
import random
from datetime import date, timedelta

import pytest

from core.analytics.frames import SUMS
from core.analytics.metrics import METRIC
from core.analytics.period import GRAINS, Grain, Period
from core.analytics.report import Report, as_json, report, totals
from core.db import engine as db
from core.db.models import Customer, DailySales
from tests.test_frames import ALICE, BIG, CHARLIE, GUEST, JAN_1, a_sale, an_order, store
from tests.test_frames import shops as shops

NOT_ADDITIVE = {slug for slug, metric in METRIC.items() if not metric.adds_up}
D2, D4 = JAN_1 + timedelta(days=1), JAN_1 + timedelta(days=3)
FOUR_DAYS = Period(JAN_1, D4)
RETURNED = {"action_type": "RETURN", "quantity": -1, "total_amount": -12_57, "tax_amount": -7}


@pytest.fixture
def two_days(shops: None) -> None:
    """Alice's shop sells on 2 and 4 January: Ada buys on both days, a guest on the fourth, 0.07 of taxes a row."""
    mug, cup = {"product_id": BIG, "product_title": "Mug"}, {"product_title": "Gone cup"}
    store(
        ALICE,
        Customer(shop_id=ALICE, id=BIG, name="Ada"),
        an_order(ALICE, 1, D2, BIG),
        an_order(ALICE, 2, D4, BIG),
        an_order(ALICE, 3, D4, GUEST),
        a_sale(ALICE, 1, D2, 100_00, quantity=2, **mug),
        a_sale(ALICE, 2, D4, 50_00, discount=5_00, quantity=2, **cup),
        a_sale(ALICE, 3, D4, 40_05, **cup),
        a_sale(ALICE, 1, D4, -12_50, "sales_reversals", **RETURNED, **mug),
    )
    store(
        CHARLIE,
        Customer(shop_id=CHARLIE, id=BIG, name="Mallory"),
        an_order(CHARLIE, 1, D2, BIG),
        a_sale(CHARLIE, 1, D2, 9_000_00, product_id=BIG, product_title="Gold", unclassified=True),
    )


def read(period: Period, grain: Grain = "day", top: int = 10) -> Report:
    with db.shop_session(ALICE) as session:
        return report(session, period, grain, top)


@pytest.mark.usefixtures("two_days")
def test_four_days_by_hand() -> None:
    assert as_json(read(FOUR_DAYS), "alice.myshopify.com", "USD", "Europe/Berlin") == {
        "shop": "alice.myshopify.com",
        "currency": "USD",
        "time_zone": "Europe/Berlin",
        "from": "2026-01-01",
        "to": "2026-01-04",
        "totals": {
            "gross_sales": "195.05",
            "discounts": "-5.00",
            "sales_reversals": "-12.50",
            "net_sales": "177.55",
            "shipping": "0.00",
            "taxes": "0.14",
            "duties": "0.00",
            "additional_fees": "0.00",
            "return_fees": "0.00",
            "total_sales": "177.69",
            "tips": "0.00",
            "gift_card_sales": "0.00",
            "orders": 3,
            "average_order_value": "63.35",  # 190.05 / 3
            "units_sold": 5,
            "units_returned": 1,
            "customers": 2,  # Ada counts once
            "new_customers": 2,
            "returning_customers": 1,
            "returning_customer_rate": 1 / 3,
            "refund_rate": 1250 / 19005,
            "discount_rate": 500 / 19505,
            "unclassified": 0,
        },
        "by": [
            NOTHING | {"day": "2026-01-01"},
            NOTHING
            | {
                "day": "2026-01-02",
                "gross_sales": "100.00",
                "net_sales": "100.00",
                "taxes": "0.07",
                "total_sales": "100.07",
                "orders": 1,
                "average_order_value": "100.00",
                "units_sold": 2,
                "customers": 1,
                "new_customers": 1,
                "returning_customer_rate": 0.0,
                "refund_rate": 0.0,
                "discount_rate": 0.0,
            },
            NOTHING | {"day": "2026-01-03"},
            NOTHING
            | {
                "day": "2026-01-04",
                "gross_sales": "95.05",
                "discounts": "-5.00",
                "sales_reversals": "-12.50",
                "net_sales": "77.55",
                "taxes": "0.07",
                "total_sales": "77.62",
                "orders": 2,
                "average_order_value": "45.02",  # 45.025: half to even
                "units_sold": 3,
                "units_returned": 1,
                "customers": 2,
                "new_customers": 1,
                "returning_customers": 1,
                "returning_customer_rate": 0.5,
                "refund_rate": 1250 / 9005,
                "discount_rate": 500 / 9505,
            },
        ],
        "top_customers": [
            {"id": BIG, "name": "Ada", "orders": 2, "net_sales": "137.50"},
            {"id": None, "name": None, "orders": 1, "net_sales": "40.05"},
        ],
        "top_products": [
            {"id": None, "title": "Gone cup", "units": 3, "net_sales": "90.05"},
            {"id": BIG, "title": "Mug", "units": 2, "net_sales": "87.50"},
        ],
    }


NOTHING = {
    slug: "0.00" if metric.unit == "money" else 0 for slug, metric in METRIC.items()
} | dict.fromkeys(("average_order_value", "returning_customer_rate", "refund_rate", "discount_rate"))  # fmt: skip


@pytest.mark.usefixtures("two_days")
@pytest.mark.parametrize(("currency", "gross", "discounts"), [("JPY", "19505", "-500"), ("KWD", "19.505", "-0.500")])
def test_money_has_the_decimals_of_its_currency(currency: str, gross: str, discounts: str) -> None:
    found = as_json(read(FOUR_DAYS), "alice.myshopify.com", currency, "UTC")
    assert (found["totals"]["gross_sales"], found["totals"]["discounts"]) == (gross, discounts)


@pytest.mark.usefixtures("two_days")
def test_the_json_survives_being_written_and_read() -> None:
    found = as_json(read(FOUR_DAYS), "alice.myshopify.com", "USD", "UTC")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.usefixtures("two_days")
def test_a_week_counts_a_customer_once_and_starts_on_its_monday() -> None:
    by = read(Period(JAN_1, date(2026, 1, 6)), "week").by
    assert by["start"].tolist() == [date(2025, 12, 29), date(2026, 1, 5)]
    assert by["customers"].tolist() == [2, 0]
    assert by["returning_customers"].tolist() == [1, 0]
    assert by["returning_customer_rate"].tolist() == [1 / 3, None]
    assert by["net_sales"].tolist() == [177_55, 0]


@pytest.mark.usefixtures("two_days")
def test_weeks_are_keyed_by_week_in_the_json() -> None:
    found = as_json(read(FOUR_DAYS, "week"), "alice.myshopify.com", "USD", "UTC")
    assert [row["day"] for row in found["by"]] == ["2025-12-29"]


@pytest.mark.usefixtures("two_days")
def test_totals_are_the_reports_totals() -> None:
    with db.shop_session(ALICE) as session:
        assert totals(session, FOUR_DAYS) == read(FOUR_DAYS).totals
        assert totals(session, Period(D4, D4)) == read(Period(D4, D4)).totals
        assert totals(session, Period(D4, D4))["customers"] == 2


@pytest.mark.usefixtures("two_days")
def test_the_rankings_hold_as_many_rows_as_asked_for() -> None:
    found = read(FOUR_DAYS, top=1)
    assert found.top_customers["name"].tolist() == ["Ada"]
    assert found.top_products["title"].tolist() == ["Gone cup"]
    none = read(FOUR_DAYS, top=0)
    assert none.top_customers.empty and none.top_products.empty and none.totals == found.totals


@pytest.mark.usefixtures("shops")
@pytest.mark.parametrize("grain", GRAINS)
def test_the_buckets_of_an_additive_measure_add_up_to_the_total(grain: Grain) -> None:
    dice = random.Random(20260101)
    days = [JAN_1 + timedelta(days=n) for n in range(100) if dice.random() < 0.7]
    store(
        ALICE,
        *(
            DailySales(shop_id=ALICE, day=day, **{slug: dice.randrange(-(10**9), 10**9) for slug in SUMS})
            for day in days
        ),
    )
    found = read(Period(days[3], days[-3]), grain)
    for slug in METRIC.keys() - NOT_ADDITIVE:
        assert found.by[slug].sum() == found.totals[slug] != 0


@pytest.mark.usefixtures("shops")
def test_a_shop_without_orders_has_a_report_of_zeros_and_unknowns() -> None:
    found = as_json(read(FOUR_DAYS), "alice.myshopify.com", "USD", "UTC")
    assert found["totals"] == NOTHING
    assert [row["day"] for row in found["by"]] == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    assert found["top_customers"] == found["top_products"] == []
