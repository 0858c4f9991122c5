"""One customer in full, found by search or address, and one product's buyers: against slow sums, and across stores."""

from datetime import UTC, datetime, timedelta
from statistics import median

import pandas as pd
import pytest
from sqlalchemy import Engine

from core.analytics import frames_history
from core.analytics.period import Period
from core.analytics.spending import orders_and_spending
from core.db.engine import shop_session
from core.db.ledger import buyer_id
from core.db.models import Customer
from core.ui import customer_view
from tests import factories as make
from tests.test_frames_customers import a_busy_shop, shop_day, store
from tests.test_orders_page import one_shop, read_aloud
from tests.test_pages import ALICE, CHARLIE, NAMES, card, cast, no_cache, open_page, sell, synced, tables, words

__all__ = ["cast", "no_cache", "tables"]


def test_each_customers_orders_and_days_equal_a_slow_sum(database: Engine) -> None:
    documents = a_busy_shop(6)
    store(make.add_shop(1), documents)
    make.add_shop(2)
    store(make.context(2), a_busy_shop(60))
    slow: dict[int, dict[str, list]] = {}
    for document in documents:
        if document["test"] or not document["customer"]:
            continue
        who = slow.setdefault(int(document["customer"]["id"].rsplit("/", 1)[1]), {"days": [], "cents": [], "gaps": []})
        who["days"].append(shop_day(document["processedAt"]))
        who["cents"].append(sum(
            round(float(row["totalAmount"]["shopMoney"]["amount"]) * 100)
            for made in document["agreements"] for row in made["sales"]
        ))  # fmt: skip
    assert len(slow) > 3
    with shop_session(1) as session:
        for number, its in slow.items():
            orders = frames_history.customer_orders(session, number)
            assert sorted(orders["day"]) == sorted(its["days"]) and orders["day"].is_monotonic_increasing
            assert sorted(orders["net_sales"]) == sorted(its["cents"])
            assert frames_history.customer_days(session, number)["net_sales"].sum() == sum(its["cents"])
            (totals,) = frames_history.one_customer(session, number).to_dict("records")
            assert (totals["orders"], totals["net_sales"]) == (len(its["days"]), sum(its["cents"]))
            days = sorted(its["days"])
            gaps = [(later - earlier).days for earlier, later in zip(days, days[1:], strict=False)]
            assert customer_view.between_orders(orders) == (median(gaps) if gaps else None)


def test_buyers_and_variants_of_a_product_add_up_to_what_it_sold(database: Engine) -> None:
    make.add_shop(1)
    noon = make.at("2026-03-01T17:00")
    documents = []
    for number, (customer, products) in enumerate([(1, (1, 2)), (2, (1,)), (1, (1, 3)), (None, (1,)), (3, (2,))], 1):
        lines = [make.line_item(10 * number + at, product=product, variantTitle=f"Size {at}") for at, product in
                 enumerate(products)]  # fmt: skip
        rows = [make.sale(f"{number}.00", line_item=10 * number + at) for at in range(len(products))]
        documents.append(make.order(number, noon, make.agreement(noon, *rows), customer=customer, lines=lines))
    make.store_orders(make.context(1), *documents)
    period = Period(noon.date(), noon.date())
    with shop_session(1) as session:
        frame, buyers = frames_history.product_buyers(session, period, 1, 10)
        variants = frames_history.product_variants(session, period, 1)
        short, _ = frames_history.product_buyers(session, period, 1, 1)
    assert frame[["buyer_id", "orders", "net_sales", "units_sold"]].values.tolist() == [[1, 2, 400, 2], [2, 1, 200, 1]]
    assert buyers == 2 and len(short) == 1
    assert variants["net_sales"].sum() == 100 + 200 + 300 + 400 and variants["units_sold"].sum() == 4


def test_a_customer_in_the_address_is_shown_in_full(cast) -> None:
    sell(1, 3, "20.00", days_ago=8, customer=1)
    at = open_page("customers.py", ALICE, customer="1")
    assert (card(at, "Net sales"), card(at, "Days between orders")) == ("$120.00", "7")
    assert "Segment: " in words(at)
    orders = next(each.value for each in at.dataframe if list(each.value)[:2] == ["Order", "Day"])
    assert orders["Net sales"].tolist() == [100.0, 20.0]
    at.button(key="close_customer").click().run()
    assert "customer" not in at.query_params and "Segment: " not in words(at)


@pytest.mark.parametrize(
    ("text", "found"), [("ada", 2), ("1", 1), ("nobody", 0), ("%", 0), ("**x**", 0), ("9" * 30, 0)]
)
def test_customers_are_found_by_name_or_number(cast, text, found) -> None:
    at = open_page("customers.py", ALICE, who=text)
    shown = [each.value for each in at.dataframe if list(each.value) == ["Customer", "Net sales", "Orders"]]
    assert sum(map(len, shown)) == found
    if not found:
        assert f"No customer with an order has {text} as number" in words(at)


def test_without_personal_data_no_name_finds_or_shows_anybody(tables) -> None:
    one_shop(personal_data=False)
    sell(1, 1, "10.00", days_ago=1, name="Ada")
    assert "No customer with an order" in words(open_page("customers.py", ALICE, who="ada"))
    at = open_page("customers.py", ALICE, customer="1")
    assert "Customer 1" in words(at) and "Ada" not in words(at)


def test_a_guest_is_a_customer_without_a_name(tables) -> None:
    one_shop()
    moment = datetime.now(UTC) - timedelta(days=2)
    guest = make.order(1, moment, make.agreement(moment, make.sale("9.00")), customer=None, email="g@example.com")
    make.store_orders(make.context(1), guest)
    synced(1, datetime.now(UTC))
    at = open_page("customers.py", ALICE, customer=str(buyer_id(None, "G@example.com ")))
    assert "Guest" in words(at) and card(at, "Orders") == "1"


@pytest.mark.parametrize("asked", ["999", "x", "-1", "²", "9" * 40, "1; DROP TABLE sale", ""])
def test_a_customer_who_is_not_there_is_a_sentence(cast, asked) -> None:
    at = open_page("customers.py", ALICE, customer=asked)
    assert ("names a customer without an order in this store" in words(at)) == bool(asked)


def test_nobody_opens_a_customer_of_another_store(cast) -> None:
    with shop_session(1, write=True) as session:
        session.merge(Customer(shop_id=1, id=77, name="Zebedee", created_at=datetime.now(UTC)))
    sell(1, 9, "33.00", days_ago=1, customer=77, name="Zebedee")
    for query in ({"customer": "77"}, {"who": "Zebedee"}, {"who": "77"}):
        at = open_page("customers.py", CHARLIE, **query)
        assert "33.00" not in words(at) and len(at.dataframe) == 2


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1000"), ("KWD", "1.234")])
def test_every_name_and_currency_is_shown_in_full_without_nan(tables, currency, amount) -> None:
    one_shop(currency=currency, taxes_included=True)
    for number, name in enumerate(NAMES, 1):
        sell(1, number, amount, days_ago=number - 1, customer=number, name=name)
    sell(1, 50, f"-{amount}", days_ago=0, customer=1, kind="ADJUSTMENT", name=NAMES[0])
    for number, name in enumerate(NAMES, 1):
        at = open_page("customers.py", ALICE, customer=str(number))
        assert " ".join(name.split()) in words(at) and "nan" not in read_aloud(at)


@pytest.mark.parametrize("seed", range(3))
def test_the_dots_of_orders_and_spending_are_all_customers(seed: int) -> None:
    documents = a_busy_shop(seed)
    buyers: dict[str, list[int]] = {}
    for document in documents:
        who = str(document["customer"] or document["email"])
        cents = sum(round(float(row["totalAmount"]["shopMoney"]["amount"]) * 100) for made in document["agreements"]
                    for row in made["sales"])  # fmt: skip
        buyers.setdefault(who, []).append(cents)
    frame = pd.DataFrame({"orders": [len(each) for each in buyers.values()],
                          "net_sales": [sum(each) for each in buyers.values()]})  # fmt: skip
    found = orders_and_spending(frame, "USD")
    assert found["customers"].sum() == len(frame) and found["net_sales"].sum() == frame["net_sales"].sum()
    for row in found.to_dict("records"):
        inside = frame[(frame["orders"] >= row["orders_low"]) & (frame["orders"] <= (row["orders_high"] or 10**9))]
        low = -(10**18) if row["low"] is None else row["low"]
        high = 10**18 if row["high"] is None else row["high"]
        inside = inside[(inside["net_sales"] > low) & (inside["net_sales"] <= high)]
        assert (len(inside), inside["net_sales"].sum()) == (row["customers"], row["net_sales"])


def test_nobody_is_no_dot() -> None:
    empty = pd.DataFrame({"orders": [], "net_sales": []}, dtype="int64")
    assert orders_and_spending(empty, "USD").empty
