"""Rollups always equal a slow, obvious recompute in plain Python, whatever the history and its order."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import select

from core.db import isolation
from core.db.engine import get_engine, shop_session
from core.db.migrate import alembic_config
from core.db.models import (
    CohortMonth,
    CustomerMonth,
    CustomerTotals,
    DailyBreakdown,
    DailyProductSales,
    DailySales,
    DaysBetween,
    HourlySales,
    MonthlyProductSales,
)
from core.db.rollup_models import SalesSums
from core.db.rollups import DIMENSIONS, ROLLUPS, rebuild_all
from core.sync.resources.resource import ShopContext
from tests.conftest import empty
from tests.factories import add_shop, agreement, line_item, order, sale, store_orders

START = datetime(2026, 3, 1, tzinfo=UTC)  # the clock changes on 8 March in New York
MOMENTS = st.integers(0, 40 * 24).map(lambda hours: START + timedelta(hours=hours))
CENTS = st.integers(-5000, 20000)
SALES = st.tuples(
    CENTS, st.integers(0, 500), st.integers(0, 500), st.integers(-3, 5),
    st.sampled_from(["ORDER", "RETURN", "UPDATE", "NEW_ACTION"]),
    st.sampled_from([*["PRODUCT"] * 3, "SHIPPING", "TIP", "GIFT_CARD", "ADJUSTMENT", "FEE", "DUTY", "NEW"]),
)  # fmt: skip
ORDERS = st.tuples(
    st.integers(1, 6), MOMENTS, st.one_of(st.none(), st.integers(1, 3)), st.booleans(), st.sampled_from([None, 1, 2]),
    st.lists(st.tuples(MOMENTS, st.lists(SALES, max_size=3)), min_size=1, max_size=3),
)  # fmt: skip
Versions = list[tuple[Any, ...]]


def document(spec: tuple[Any, ...], version: int) -> dict[str, Any]:
    number, processed_at, customer, test, product, agreements = spec
    lines = [line_item(number, product=product, title=f"Item {number}")]
    return order(
        number,
        processed_at,
        *(
            agreement(
                happened,
                *(
                    sale(
                        f"{total / 100}", tax=f"{tax / 100}", discount=f"{discount / 100}", action=action, line=line,
                        quantity=quantity, line_item=number if line == "PRODUCT" else None,
                    )
                    for total, tax, discount, quantity, action, line in sales
                ),
            )
            for happened, sales in agreements
        ),
        customer=customer,
        lines=lines,
        test=test,
        sourceName=["web", "pos", None][number % 3],
        displayFinancialStatus="PAID" if len(agreements) == 1 else "PARTIALLY_REFUNDED",
        discountCodes=["WELCOME", "B"][: number % 3],
        shippingAddress={"countryCodeV2": "CA"} if product else None,
        updated_at=START + timedelta(days=60, minutes=version),
    )  # fmt: skip


def recompute(documents: list[dict[str, Any]], shop: ShopContext) -> dict[date, dict[str, int]]:
    """Daily measures by the definitions, one row at a time."""
    days: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    counted = [document for document in documents if not document["test"]]
    history: dict[str, list[tuple[datetime, int, date]]] = defaultdict(list)
    for document in counted:
        processed = datetime.fromisoformat(document["processedAt"])
        day = processed.astimezone(shop.zone).date()
        days[day]["orders"] += 1
        days[day]["orders_with_goods"] += 1
        if document["customer"]:
            number = int(document["id"].rsplit("/", 1)[1])
            history[document["customer"]["id"]].append((processed, number, day))
        moments = [datetime.fromisoformat(each["happenedAt"]) for each in document["agreements"]]
        first = moments.index(min(moments))
        for position, (moment, each) in enumerate(zip(moments, document["agreements"], strict=True)):
            on = days[day if position == first else moment.astimezone(shop.zone).date()]
            for row in each["sales"]:
                _book(on, row, in_first=position == first)
    for bought in history.values():
        bought.sort()
        days[bought[0][2]]["new_customers"] += 1
        for day in {day for _, _, day in bought}:
            days[day]["customers"] += 1
        for day in {day for _, _, day in bought[1:]}:
            days[day]["returning_customers"] += 1
    return {day: {name: value for name, value in sums.items() if value} for day, sums in days.items()}


def _book(on: dict[str, int], row: dict[str, Any], *, in_first: bool) -> None:
    total, tax, discount = (
        round(float(row[name]["shopMoney"]["amount"]) * 100)
        for name in ("totalAmount", "totalTaxAmount", "totalDiscountAmountBeforeTaxes")
    )
    net, line, action, units = total - tax, row["lineType"], row["actionType"], row["quantity"]
    known = line == "PRODUCT" and action in ("ORDER", "RETURN", "UPDATE")
    if line in ("GIFT_CARD", "TIP"):
        on["gift_card_sales" if line == "GIFT_CARD" else "tips"] += net
        return
    on["taxes"] += tax
    if line in ("SHIPPING", "FEE", "DUTY"):
        on[{"SHIPPING": "shipping", "FEE": "return_fees", "DUTY": "duties"}[line]] += net
    elif line == "ADJUSTMENT" or (known and action == "RETURN") or (not known and net < 0):
        on["sales_reversals"] += net
        if known:
            on["units_returned"] += abs(units)
    else:
        on["gross_sales"] += net + discount
        on["discounts"] -= discount
        if action == "ORDER":
            on["order_value"] += net if in_first else 0
            on["units_sold"] += units if known else 0
    if line not in ("SHIPPING", "FEE", "DUTY", "ADJUSTMENT") and not known:
        on["unclassified"] += 1


def stored(shop_id: int) -> dict[date, dict[str, int]]:
    with shop_session(shop_id) as session:
        rows = session.exec(select(DailySales)).all()
        return {
            row.day: {name: value for name, value in row.model_dump(exclude={"shop_id", "day"}).items() if value}
            for row in rows
        }


def everything(shop_id: int) -> list[Any]:
    with shop_session(shop_id) as session:
        return [
            sorted((row.model_dump(exclude={"shop_id"}) for row in session.exec(select(model))), key=repr)
            for model in ROLLUPS
        ]


def added_up(model: Any, *keys: str) -> dict[Any, dict[str, int]]:
    """The sums of SalesSums over the first shop's rows, by these fields."""
    sums: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    with shop_session(1) as session:
        for row in session.exec(select(model)):
            for name in SalesSums.model_fields:
                sums[tuple(getattr(row, key) for key in keys)][name] += getattr(row, name)
    return {key: {name: value for name, value in found.items() if value} for key, found in sums.items()}


def placed(documents: list[dict[str, Any]], shop: ShopContext) -> dict[str, dict[tuple[date, str], int]]:
    """Orders that count, by day and the value of each dimension, by the definitions."""
    counted = sorted(
        (
            datetime.fromisoformat(document["processedAt"]).astimezone(shop.zone),
            int(document["id"].rsplit("/", 1)[1]),
            document,
        )
        for document in documents
        if not document["test"]
    )
    found: dict[str, dict[tuple[date, str], int]] = defaultdict(lambda: defaultdict(int))
    known: set[str] = set()
    for at, _, document in counted:
        buyer = (document["customer"] or {}).get("id")
        for dimension, value in (
            ("hour", str(at.hour)),
            ("channel", document["sourceName"]),
            ("country", (document["shippingAddress"] or {}).get("countryCodeV2")),
            ("discount_code", ", ".join(document["discountCodes"])),
            ("financial_status", document["displayFinancialStatus"]),
            ("fulfillment_status", "FULFILLED"),
            ("customer_kind", None if buyer is None else "returning" if buyer in known else "new"),
        ):
            found[dimension][at.date(), value or ""] += 1
        known.add(buyer)
    return found


def check_what_adds_up(documents: list[dict[str, Any]], shop: ShopContext) -> None:
    """Hours and every dimension add up to the days, months to the buyers' totals; orders are where they belong."""
    days = added_up(DailySales, "day")
    assert added_up(HourlySales, "day") == days
    by_dimension = added_up(DailyBreakdown, "dimension", "day")
    for dimension in DIMENSIONS:
        assert {(day,): sums for (name, day), sums in by_dimension.items() if name == dimension} == days
    truth = placed(documents, shop)
    orders = {
        "hour": {(day, str(hour)): sums for (day, hour), sums in added_up(HourlySales, "day", "hour").items()},
        **{
            dimension: {(day, value): sums for (name, day, value), sums in values.items() if name == dimension}
            for values in [added_up(DailyBreakdown, "dimension", "day", "value")]
            for dimension in DIMENSIONS
        },
    }
    for dimension, values in orders.items():
        assert {key: sums["orders"] for key, sums in values.items() if "orders" in sums} == truth[dimension]
    with shop_session(1) as session:
        months = session.exec(select(CustomerMonth)).all()
        totals = session.exec(select(CustomerTotals)).all()
    for row in totals:
        mine = [month for month in months if month.buyer_id == row.buyer_id]
        assert (sum(month.orders for month in mine), sum(month.net_sales for month in mine)) == (
            row.orders,
            row.net_sales,
        )
        assert {month.first_month for month in mine} == {row.first_day.replace(day=1)}
        assert min(month.month for month in mine if month.orders) == row.first_day.replace(day=1)
    assert {month.buyer_id for month in months} == {row.buyer_id for row in totals}
    check_buyers_by_days(documents, shop)
    products, cohorts = defaultdict(int), defaultdict(int)
    with shop_session(1) as session:
        for day in session.exec(select(DailyProductSales)):
            products[day.day.replace(day=1), day.product_id, day.title] += day.gross_sales + day.units_sold * 10**9
        by_month = {
            (row.month, row.product_id, row.title): row.gross_sales + row.units_sold * 10**9
            for row in session.exec(select(MonthlyProductSales))
        }
        assert by_month == products
        for month in months:
            cohorts[month.first_month, month.month, "customers"] += month.orders > 0
            cohorts[month.first_month, month.month, "orders"] += month.orders
            cohorts[month.first_month, month.month, "net_sales"] += month.net_sales
        for cohort in session.exec(select(CohortMonth)):
            for name in ("customers", "orders", "net_sales"):
                assert getattr(cohort, name) == cohorts.pop((cohort.first_month, cohort.month, name))
    assert not any(cohorts.values())


def check_buyers_by_days(documents: list[dict[str, Any]], shop: ShopContext) -> None:
    """Which days follow on each other, of every buyer, by the definitions."""
    history: dict[Any, list[tuple[datetime, int]]] = defaultdict(list)
    for each in documents:
        if each["customer"] and not each["test"]:
            at = datetime.fromisoformat(each["processedAt"]).astimezone(shop.zone)
            history[each["customer"]["id"]].append((at, int(each["id"].rsplit("/", 1)[1])))
    expected: dict[Any, int] = defaultdict(int)
    for orders in history.values():
        orders.sort()
        for name, chosen in (("customers", orders), ("returning_customers", orders[1:])):
            days = sorted({at.date() for at, _ in chosen})
            for before, day in pairwise(days):
                expected["day", day, before, name] += 1
                expected["month", day, before.replace(day=1), name] += 1
                if before.isocalendar()[:2] == day.isocalendar()[:2]:
                    expected["week", day, before - timedelta(days=before.weekday()), name] += 1
    with shop_session(1) as session:
        found = {
            (row.grain, row.day, row.before, name): getattr(row, name)
            for row in session.exec(select(DaysBetween))
            for name in ("customers", "returning_customers")
            if getattr(row, name)
        }
    assert found == expected


# An order moves to another day and becomes a test order: its buyer's first order was, and nothing is, on that day.
VANISHED = [(1, START + timedelta(hours=5), 1, False, None, [(START, [])]), (1, START, None, True, None, [(START, [])])]

# A refund of a buyer's first order comes together with their second order.
BESIDE = [
    (1, START, 1, False, None, [(START, [])]), (3, START, 2, False, None, [(START, [])]),
    (1, START, 1, False, None, [(START, [(-300, 0, 0, 1, "RETURN", "PRODUCT")])]),
    (2, START + timedelta(days=3), 1, False, None, [(START, [])]),
]  # fmt: skip

# An order that comes later was made a month earlier: it is its buyer's first now, and the other no more.
EARLIER = [(2, START + timedelta(days=36), 1, False, None, [(START, [])]), (1, START, 1, False, None, [(START, [])])]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(ORDERS, min_size=1, max_size=10), batch=st.integers(1, 4))
@example(versions=VANISHED, batch=1)
@example(versions=EARLIER, batch=1)
@example(versions=BESIDE, batch=2)
@example(
    versions=[*EARLIER, (3, START, 2, False, 1, [(START, [])]), (1, START, 2, False, None, [(START, [])])], batch=1
)
def test_rollups_equal_a_recompute_on_any_history(database: Engine, versions: Versions, batch: int):
    empty(get_engine())
    shop, charlies = add_shop(1), add_shop(2)
    documents = [document(spec, version) for version, spec in enumerate(versions)]
    store_orders(charlies, *{each["id"]: each for each in documents}.values())
    of_charlie = everything(2)
    for start in range(0, len(documents), batch):
        store_orders(shop, *documents[start : start + batch])
    newest = list({each["id"]: each for each in documents}.values())
    expected = recompute(newest, shop)
    assert {day: sums for day, sums in stored(1).items() if sums} == {day: s for day, s in expected.items() if s}
    with shop_session(1) as session:
        by_product = session.exec(select(DailyProductSales)).all()
        net = sum(row.gross_sales + row.discounts + row.sales_reversals for row in by_product)
        buyers = sum(row.net_sales for row in session.exec(select(CustomerTotals)))
    names = ("gross_sales", "discounts", "sales_reversals")
    assert net == sum(sums.get(name, 0) for sums in expected.values() for name in names)
    assert isinstance(buyers, int)
    check_what_adds_up(newest, shop)
    touched = everything(1)
    with shop_session(1, write=True) as session:
        rebuild_all(session)
    assert everything(1) == touched
    assert everything(2) == of_charlie


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(ORDERS, min_size=1, max_size=8), data=st.data())
def test_the_order_in_which_versions_arrive_does_not_matter(database: Engine, versions: Versions, data: st.DataObject):
    empty(get_engine())
    documents = [document(spec, version) for version, spec in enumerate(versions)]
    shuffled = data.draw(st.permutations(documents))
    for shop, arriving in ((add_shop(1), documents), (add_shop(2), shuffled)):
        for each in arriving:
            store_orders(shop, each)
    assert everything(1) == everything(2)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(ORDERS, min_size=1, max_size=6))
def test_storing_twice_changes_nothing(database: Engine, versions: Versions):
    empty(get_engine())
    shop = add_shop(1)
    documents = list({spec[0]: document(spec, version) for version, spec in enumerate(versions)}.values())
    assert store_orders(shop, *documents).inserted == len(documents)
    before = everything(1)
    again = store_orders(shop, *documents)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, len(documents))
    assert everything(1) == before


def test_the_migration_fills_new_rollups_as_a_recompute_does(database: Engine):
    empty(get_engine())
    shop = add_shop(1)
    reversal = (-300, 0, 0, 1, "RETURN", "PRODUCT")
    bought = (2000, 100, 50, 1, "ORDER", "PRODUCT")
    specs = [
        (number, START + timedelta(hours=37 * number), number % 3 + 1, number == 6, None,
         [(START + timedelta(hours=37 * number), [bought]), (START + timedelta(days=39), [reversal])])
        for number in range(1, 20)
    ]  # fmt: skip
    store_orders(shop, *(document(spec, 0) for spec in specs))
    before = everything(1)
    with database.execution_options(writes=True).begin() as connection:
        isolation.lift(connection)
        connection.exec_driver_sql("CREATE TEMPORARY TABLE known_month AS SELECT * FROM customer_month")
        for name in ("customer_month", "monthly_product_sales", "days_between", "cohort_month"):
            connection.exec_driver_sql(f"DELETE FROM {name}")
        connection.exec_driver_sql("UPDATE customer_totals SET bought = 0, last_day = '1970-01-01'")
        ScriptDirectory.from_config(alembic_config()).get_revision("0011").module.fill(connection)
        isolation.enforce(connection)
    assert everything(1) == before
