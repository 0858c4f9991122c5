"""Cohorts by what the first order was: against a slow count, and on the page in every state of a store."""

import random
from collections import defaultdict
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine

from core.analytics import period
from core.analytics.cohorts import cohorts
from core.analytics.frames_customers import cohort_cells_by
from core.db.engine import shop_session
from tests import factories as make
from tests.factories import add_shop, context
from tests.still import stop_clock
from tests.test_cohorts_page import add_one_shop, days_ago, read_aloud
from tests.test_frames_customers import START, a_busy_shop, shop_day, store
from tests.test_pages import ALICE, CHARLIE, NAMES, add_cast, cast, no_cache, open_page, sell, tables, words

__all__ = ["cast", "no_cache", "tables"]
BY = ("First product", "First country", "First discount code", "First channel")


def documents_of(seed: int) -> list[dict]:
    """A busy shop whose orders come from three countries, with and without a code."""
    chance, documents = random.Random(seed), a_busy_shop(seed)
    for document in documents:
        document["shippingAddress"] = chance.choice([None, {"countryCodeV2": "DE"}, {"countryCodeV2": "US"}])
        document["discountCodes"] = chance.choice([[], ["HELLO"]])
    return documents


def values_of(document: dict, dimension: str) -> set:
    if dimension == "product":
        products = (line["product"] for line in document["lineItems"] if line["product"])
        return {int(product["id"].rsplit("/", 1)[1]) for product in products}
    if dimension == "country":
        return {(document["shippingAddress"] or {}).get("countryCodeV2", "")}
    return {",".join(document["discountCodes"])}


@pytest.mark.parametrize("dimension", ["product", "country", "discount_code"])
@pytest.mark.parametrize("seed", [4, 5])
def test_cells_by_value_equal_a_slow_walk_from_each_first_order(database: Engine, dimension: str, seed: int) -> None:
    documents = documents_of(seed)
    store(add_shop(1), documents)
    add_shop(2)
    store(context(2), documents_of(seed + 50))
    of_buyer = defaultdict(list)
    for document in documents:
        who = (document["customer"] or {}).get("id") or (document["email"] or "").lower()
        if who and not document["test"]:
            number = int(document["id"].rsplit("/", 1)[1])
            of_buyer[who].append((document["processedAt"], number, document))
    slow: dict = defaultdict(lambda: [set(), 0, 0])
    for who, its in of_buyer.items():
        first = min(its, key=lambda each: each[:2])[2]
        month = shop_day(first["processedAt"]).replace(day=1)
        for value in values_of(first, dimension):
            for _, _, document in its:
                placed = slow[value, month, shop_day(document["processedAt"]).replace(day=1)]
                placed[0].add(who)
                placed[1] += 1
                for made in document["agreements"]:
                    cents = sum(round(float(row["totalAmount"]["shopMoney"]["amount"]) * 100) for row in made["sales"])
                    slow[value, month, shop_day(made["happenedAt"]).replace(day=1)][2] += cents
    with shop_session(1) as session:
        found = cohort_cells_by(session, dimension, date(2020, 1, 1), 100)
        best = cohort_cells_by(session, dimension, date(2020, 1, 1), 1)
    rows = {(row.value, row.first_month, row.month): (row.customers, row.orders, row.net_sales)
            for row in found.itertuples()}  # fmt: skip
    assert rows == {key: (len(who), orders, net) for key, (who, orders, net) in slow.items() if orders or net}
    assert set(best["value"]) == {found["value"].iloc[0]} and len(set(found["value"])) > 1
    sizes = [cohorts(found[found["value"] == value], START + timedelta(400)).sizes for value in
             dict.fromkeys(found["value"])]  # fmt: skip
    assert sorted(map(sum, sizes), reverse=True) == [sum(each) for each in sizes]


def test_the_page_shows_who_came_back_by_their_first_product(tables) -> None:
    add_one_shop()
    sell(1, 1, "100.00", days_ago(3), customer=1)
    sell(1, 2, "50.00", days_ago(3), customer=2)
    sell(1, 3, "30.00", days_ago(2), customer=1)
    shown = open_page("cohorts.py", ALICE, cohorts_by="First channel").dataframe[0].value
    assert shown["First channel"].tolist() == ["Online store"] and shown["Customers"].tolist() == [2]
    assert shown[["0", "1", "2"]].values.tolist() == [[1.0, 0.5, 0.0]]
    money = open_page("cohorts.py", ALICE, cohorts_by="First channel", measure="Net sales per customer")
    assert money.dataframe[0].value[["0", "1", "2"]].values.tolist() == [[75.0, 90.0, 90.0]]


@pytest.mark.parametrize("by", [*BY, "Nonsense"])
@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1000"), ("KWD", "1.234")])
def test_each_way_and_currency_is_shown_without_nan(tables, by, currency, amount) -> None:
    add_one_shop(currency=currency, name="**bold** [x](https://example.com)", taxes_included=True)
    for number, name in enumerate(NAMES, 1):
        sell(1, number, amount, days_ago(number % 4), customer=number, name=name, title=name)
    sell(1, 50, f"-{amount}", days_ago(2), customer=2, kind="ADJUSTMENT")
    for measure in ("Retention", "Net sales per customer", "Orders per customer"):
        at = open_page("cohorts.py", ALICE, cohorts_by=by, measure=measure, cohorts="All cohorts")
        assert at.dataframe and not at.error and "nan" not in read_aloud(at)


def test_charlies_cohorts_are_his_own_by_every_way(tables, monkeypatch) -> None:
    stop_clock(monkeypatch, period, at=make.at("2026-06-10T16:00"))  # all that he sold is of a month that goes on
    add_cast()
    sell(1, 9, "10.00", 70, customer=9)
    for by in BY:
        at = open_page("cohorts.py", CHARLIE, cohorts_by=by)
        assert not at.dataframe and "No cohort has a whole month" in words(at)
