"""Every row of the table of measures, each with an example that a person can check."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import select

from core.db.engine import shop_session
from core.db.ledger import buyer_id, measure_of
from core.db.models import DailySales
from tests.factories import add_shop, agreement, at, line_item, order, sale, store_orders

NOON = at("2026-06-10T16:00")  # noon in New York
DAY = date(2026, 6, 10)

# What one Sale adds to which measures, in cents. 100.00 gross, 20.00 discount, 8.00 tax: total 88.00.
EXAMPLES = [
    ("PRODUCT", "ORDER", "88.0", "8.0", "20.0", 2,
     {"gross_sales": 10000, "discounts": -2000, "taxes": 800, "units_sold": 2}),
    ("PRODUCT", "RETURN", "-88.0", "-8.0", "-20.0", -2,
     {"sales_reversals": -8000, "taxes": -800, "units_returned": 2}),
    ("PRODUCT", "UPDATE", "-5.5", "-0.5", "5.0", 0, {"discounts": -500, "taxes": -50}),
    ("GIFT_CARD", "ORDER", "50.0", "0.0", "0.0", 1, {"gift_card_sales": 5000}),
    ("GIFT_CARD", "RETURN", "-50.0", "0.0", "0.0", -1, {"gift_card_sales": -5000}),
    ("SHIPPING", "ORDER", "10.8", "0.8", "0.0", None, {"shipping": 1000, "taxes": 80}),
    ("SHIPPING", "RETURN", "-10.8", "-0.8", "0.0", None, {"shipping": -1000, "taxes": -80}),
    ("TIP", "ORDER", "3.0", "0.0", "0.0", 1, {"tips": 300}),
    ("DUTY", "ORDER", "7.0", "0.0", "0.0", None, {"duties": 700}),
    ("ADDITIONAL_FEE", "ORDER", "2.2", "0.2", "0.0", None, {"additional_fees": 200, "taxes": 20}),
    ("FEE", "RETURN", "4.0", "0.0", "0.0", None, {"return_fees": 400}),
    ("ADJUSTMENT", "RETURN", "-6.6", "-0.6", "0.0", None, {"sales_reversals": -600, "taxes": -60}),
    ("ADJUSTMENT", "ORDER", "1.0", "0.0", "0.0", None, {"sales_reversals": 100}),
    ("UNKNOWN", "ORDER", "9.0", "0.0", "1.0", 1, {"gross_sales": 1000, "discounts": -100, "unclassified": 1}),
    ("UNKNOWN", "RETURN", "-9.0", "0.0", "0.0", -1, {"sales_reversals": -900, "unclassified": 1}),
    ("A_TYPE_OF_2027", "ORDER", "9.0", "0.0", "0.0", 1, {"gross_sales": 900, "unclassified": 1}),
    ("PRODUCT", "UNKNOWN", "-9.0", "0.0", "0.0", 1, {"sales_reversals": -900, "unclassified": 1}),
]  # fmt: skip
COUNTS = {"orders", "orders_with_goods", "customers", "new_customers", "returning_customers", "order_value"}


def day_of(shop_id: int, day: date) -> dict[str, int]:
    with shop_session(shop_id) as session:
        row = session.exec(select(DailySales).where(DailySales.day == day)).one()
        return {name: value for name, value in row.model_dump(exclude={"shop_id", "day"}).items() if value}


@pytest.mark.parametrize(
    ("line", "action", "total", "tax", "discount", "quantity", "expected"), EXAMPLES, ids=lambda v: str(v)[:20]
)
def test_a_sale_counts_in_its_measure(database, line, action, total, tax, discount, quantity, expected):
    shop = add_shop(1)
    row = sale(total, tax=tax, discount=discount, action=action, line=line, quantity=quantity)
    store_orders(shop, order(1, NOON, agreement(NOON, row)))
    figures = day_of(1, DAY)
    assert {name: value for name, value in figures.items() if name not in COUNTS} == expected
    assert figures["orders"] == 1


def test_a_refund_counts_on_the_day_it_was_made(database: Engine):
    shop = add_shop(1)
    bought = agreement(NOON, sale("20.0", line_item=1))
    given_back = agreement(
        at("2026-06-25T16:00"), sale("-20.0", action="RETURN", quantity=-1, line_item=1), reason="REFUND"
    )
    store_orders(shop, order(1, NOON, bought, given_back))
    assert day_of(1, DAY)["gross_sales"] == 2000
    assert "sales_reversals" not in day_of(1, DAY)
    assert day_of(1, date(2026, 6, 25)) == {"sales_reversals": -2000, "units_returned": 1}


def test_a_cancelled_order_is_a_sale_on_its_day_and_a_reversal_on_the_day_it_was_cancelled(database: Engine):
    shop = add_shop(1)
    cancelled = at("2026-06-11T16:00")
    store_orders(
        shop,
        order(
            1, NOON, agreement(NOON, sale("20.0")), agreement(cancelled, sale("-20.0", action="RETURN", quantity=-1)),
            cancelledAt="2026-06-11T16:00:00Z",
        ),
    )  # fmt: skip
    assert day_of(1, DAY)["gross_sales"] == 2000
    assert day_of(1, date(2026, 6, 11))["sales_reversals"] == -2000


def test_an_edit_counts_on_its_day_and_leaves_the_average_order_value_alone(database: Engine):
    shop = add_shop(1)
    edited = agreement(at("2026-06-12T16:00"), sale("5.0", discount="1.0"), reason="ORDER_EDIT")
    store_orders(shop, order(1, NOON, agreement(NOON, sale("20.0", tax="2.0", discount="2.0")), edited))
    assert day_of(1, DAY)["order_value"] == 1800  # gross 20.00 less discount 2.00
    assert day_of(1, date(2026, 6, 12)) == {"gross_sales": 600, "discounts": -100, "units_sold": 1}


def test_an_imported_order_counts_on_the_day_it_was_processed_not_booked(database: Engine):
    shop = add_shop(1)
    store_orders(shop, order(1, at("2025-03-01T16:00"), agreement(NOON, sale("20.0"))))
    assert day_of(1, date(2025, 3, 1))["gross_sales"] == 2000


def test_the_first_agreement_is_the_earliest_whatever_the_order_of_the_list(database: Engine):
    shop = add_shop(1)
    later = agreement(at("2026-06-20T16:00"), sale("5.0"), reason="ORDER_EDIT")
    store_orders(shop, order(1, NOON, later, agreement(NOON, sale("20.0"))))
    assert day_of(1, DAY)["order_value"] == 2000
    assert day_of(1, date(2026, 6, 20))["gross_sales"] == 500


def test_test_orders_count_nowhere(database: Engine):
    shop = add_shop(1)
    store_orders(
        shop, order(1, NOON, agreement(NOON, sale("20.0")), test=True), order(2, NOON, agreement(NOON, sale("1.0")))
    )
    assert day_of(1, DAY)["gross_sales"] == 100
    assert day_of(1, DAY)["orders"] == 1


def test_a_zero_value_order_counts_as_an_order(database: Engine):
    shop = add_shop(1)
    store_orders(shop, order(1, NOON, agreement(NOON, sale("0.0", discount="20.0"))))
    figures = day_of(1, DAY)
    assert (figures["orders"], figures["gross_sales"], figures["discounts"]) == (1, 2000, -2000)


def test_an_order_of_gift_cards_only_has_no_part_in_the_average_order_value(database: Engine):
    shop = add_shop(1)
    card = order(1, NOON, agreement(NOON, sale("50.0", line="GIFT_CARD")), lines=[line_item(1, gift_card=True)])
    store_orders(shop, card, order(2, NOON, agreement(NOON, sale("20.0"))))
    figures = day_of(1, DAY)
    assert (figures["orders"], figures["orders_with_goods"], figures["order_value"]) == (2, 1, 2000)


@pytest.mark.parametrize(
    ("currency", "amount", "minor"), [("JPY", "1500.0", 1500), ("KWD", "1.234", 1234), ("USD", "15.0", 1500)]
)
def test_money_has_the_decimals_of_its_currency(database, currency, amount, minor):
    shop = add_shop(1, currency=currency)
    store_orders(shop, order(1, NOON, agreement(NOON, sale(amount, currency=currency)), currency=currency))
    assert day_of(1, DAY)["gross_sales"] == minor


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-08T04:59", date(2026, 3, 7)),  # 23:59 in New York, winter time
        ("2026-03-08T05:00", date(2026, 3, 8)),  # midnight: the day has 23 hours
        ("2026-03-09T03:59", date(2026, 3, 8)),  # 23:59, summer time now
        ("2026-03-09T04:00", date(2026, 3, 9)),
        ("2026-11-01T04:00", date(2026, 11, 1)),  # midnight: the day has 25 hours
        ("2026-11-02T04:59", date(2026, 11, 1)),
        ("2026-11-02T05:00", date(2026, 11, 2)),
    ],
)
def test_a_day_is_the_shops_own_day_also_when_the_clock_changes(database, moment, day):
    shop = add_shop(1)
    store_orders(shop, order(1, at(moment), agreement(at(moment), sale("20.0"))))
    assert day_of(1, day)["gross_sales"] == 2000


def test_the_same_order_is_on_another_day_in_another_zone(database: Engine):
    moment = at("2026-06-10T23:30")
    for shop_id, zone in ((1, "America/New_York"), (2, "Asia/Tokyo")):
        store_orders(add_shop(shop_id, time_zone=zone), order(1, moment, agreement(moment, sale("20.0"))))
    assert day_of(1, date(2026, 6, 10))["gross_sales"] == 2000
    assert day_of(2, date(2026, 6, 11))["gross_sales"] == 2000


def test_new_and_returning_customers_by_day(database: Engine):
    shop = add_shop(1)
    orders = [
        (1, "2026-06-01T16:00", 7),  # 7 is new
        (2, "2026-06-03T16:00", 7),  # 7 returns
        (3, "2026-06-03T17:00", 8),  # 8 is new
        (4, "2026-06-03T18:00", 8),  # and returns the same day
        (5, "2026-06-03T19:00", None),  # nobody we know
    ]
    store_orders(shop, *(order(n, at(t), agreement(at(t), sale("1.0")), customer=c) for n, t, c in orders))
    first, third = day_of(1, date(2026, 6, 1)), day_of(1, date(2026, 6, 3))
    assert (first["new_customers"], first["customers"], first.get("returning_customers")) == (1, 1, None)
    assert (third["new_customers"], third["returning_customers"], third["customers"], third["orders"]) == (1, 2, 2, 4)


def test_an_earlier_order_that_arrives_late_moves_the_first_order(database: Engine):
    shop = add_shop(1)
    store_orders(shop, order(2, at("2026-06-03T16:00"), agreement(at("2026-06-03T16:00"), sale("1.0"))))
    assert day_of(1, date(2026, 6, 3))["new_customers"] == 1
    store_orders(shop, order(1, at("2026-06-01T16:00"), agreement(at("2026-06-01T16:00"), sale("1.0"))))
    assert day_of(1, date(2026, 6, 1))["new_customers"] == 1
    assert day_of(1, date(2026, 6, 3)).get("new_customers") is None
    assert day_of(1, date(2026, 6, 3))["returning_customers"] == 1


def test_guests_are_matched_by_lower_cased_email_and_never_summed_into_one():
    assert buyer_id(None, "Ann@Example.com ") == buyer_id(None, "ann@example.com")
    assert buyer_id(None, "ann@example.com") != buyer_id(None, "bob@example.com")
    assert buyer_id(None, None) is None and buyer_id(None, " ") is None
    assert buyer_id(12, "ann@example.com") == 12


@given(st.emails())
def test_a_guest_is_never_taken_for_a_customer(email):
    guest = buyer_id(None, email)
    assert guest is not None and -(2**63) <= guest < 0


@given(st.text(), st.text(), st.integers())
def test_every_type_of_sale_there_will_ever_be_has_a_measure(line_type, action_type, net):
    measure, _ = measure_of(line_type, action_type, net)
    assert measure in DailySales.model_fields
