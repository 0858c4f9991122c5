"""Sales by bucket, by hour and broken down, against a slow sum over the ledger's own rows; shops share the same ids."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.analytics import frames, frames_sales
from core.analytics.breakdowns import ADJUSTMENTS, BREAKDOWN, BREAKDOWNS, broken_down
from core.analytics.period import GRAINS, Period
from core.analytics.report import report
from core.analytics.sales import sales_hours, sales_report
from core.db.engine import shop_session, system_session
from core.db.models import Customer, LineItem, Order, Product, Sale, Shop
from core.sync.resources.resource import ShopContext
from tests.factories import add_shop, agreement, context, line_item, order, sale, store_orders
from tests.kept_shop import keep

ZONE = ZoneInfo("America/New_York")
START = date(2026, 10, 20)  # the clocks go back on 1 November
PERIOD = Period(START, START + timedelta(days=29))
ZERO = dict.fromkeys(
    ("orders", "units_sold", "gross_sales", "discounts", "sales_reversals", "net_sales", "total_sales"), 0
)
SOURCES, COUNTRIES = ("web", "pos", "app of tomorrow", None), ("US", "CA", None)
CODES, STATUSES = ([], ["TEN"], ["TEN", "SHIP"]), ("PAID", "REFUNDED", "STATUS_OF_TOMORROW", None)


def a_busy_shop(seed: int) -> list[dict[str, Any]]:
    """Orders at any hour with tax, shipping, discounts, tips, gift cards, fees, adjustments and later refunds."""
    chance, documents = random.Random(seed), []

    def price(low: int, high: int) -> str:
        return f"{chance.randrange(low, high) / 100:.2f}"

    for number in range(1, 120):
        at = datetime(2026, 10, 20, tzinfo=UTC) + timedelta(minutes=chance.randrange(40 * 24 * 60))
        product, item = chance.choice([1, 2, 3, 4, None]), 10 * number
        sales = [sale(price(100, 9000), tax=price(0, 90), discount=price(0, 500), line_item=item, quantity=2)]
        for line in ("SHIPPING", "TIP", "GIFT_CARD", "DUTY", "ADDITIONAL_FEE"):
            if chance.random() < 0.3:
                sales.append(sale(price(100, 900), tax="0.50", line=line))
        made = [agreement(at, *sales)]
        if chance.random() < 0.4:
            back = sale(f"-{price(100, 5000)}", tax="-0.10", action="RETURN", quantity=-1, line_item=item)
            also = sale(f"-{price(100, 500)}", line="ADJUSTMENT", action="RETURN")
            made.append(agreement(at + timedelta(hours=chance.randrange(300)), back, also, reason="RETURN"))
        country = chance.choice(COUNTRIES)
        documents.append(
            order(
                number,
                at,
                *made,
                customer=chance.choice([1, 2, 3, 4, 5, 6, 7, 8, None]),
                test=chance.random() < 0.1,
                lines=[line_item(item, product=product, title=f"Thing {product}")],
                sourceName=chance.choice(SOURCES),
                discountCodes=chance.choice(CODES),
                shippingAddress={"countryCodeV2": country} if country else None,
                displayFinancialStatus=chance.choice(STATUSES),
                displayFulfillmentStatus=chance.choice(STATUSES),
            )  # fmt: skip
        )
    return documents


@pytest.fixture
def shop(database: Engine) -> ShopContext:
    """A busy shop beside another one; of its products the fourth is not in the catalogue, two have one title."""
    keep("busy shops with a catalogue", _two_busy_shops)
    return context(1)


def _two_busy_shops() -> None:
    for shop_id in (1, 2):
        store_orders(add_shop(shop_id), *a_busy_shop(shop_id))
        now = datetime(2026, 10, 1, tzinfo=UTC)
        with shop_session(shop_id, write=True) as session:
            for number, title, vendor in ((1, "Mug", "Kiln"), (2, "Mug", ""), (3, "Tent", "Kiln")):
                session.add(
                    Product(
                        shop_id=shop_id,
                        id=number,
                        title=title,
                        vendor=vendor,
                        product_type=f"{title}s",
                        handle="x",
                        status="ACTIVE",
                        category=None if number == 3 else "Home",
                        created_at=now,
                        updated_at=now,
                    )  # fmt: skip
                )


def rows() -> list[tuple[Sale, Order]]:
    """Every ledger row of the first shop that counts, with its order."""
    with shop_session(1) as session:
        orders = {each.id: each for each in session.exec(select(Order)) if not each.test}
        return [(each, orders[each.order_id]) for each in session.exec(select(Sale)) if each.order_id in orders]


def products() -> tuple[dict[int, LineItem], dict[int, Product]]:
    with shop_session(1) as session:
        return {each.id: each for each in session.exec(select(LineItem))}, {
            each.id: each for each in session.exec(select(Product))
        }


def slowly(
    key: Callable[[Sale, Order], Any], placed: Callable[[Order], Any] | None, period: Period = PERIOD
) -> dict[Any, dict[str, int]]:
    """Sums by key as the definitions have them, without the app's own rules; orders by another key."""
    found: dict[Any, dict[str, int]] = defaultdict(lambda: dict(ZERO))
    for row, of in rows():
        if not period.start <= row.day <= period.end:
            continue
        sums, net = found[key(row, of)], row.total_amount - row.tax_amount
        if row.line_type == "PRODUCT" and row.action_type == "ORDER":
            sums["gross_sales"] += net + row.discount
            sums["discounts"] -= row.discount
            sums["units_sold"] += row.quantity
        elif row.line_type in ("PRODUCT", "ADJUSTMENT"):
            sums["sales_reversals"] += net
        if row.line_type in ("PRODUCT", "ADJUSTMENT"):
            sums["net_sales"] += net
        if row.line_type not in ("TIP", "GIFT_CARD"):
            sums["total_sales"] += row.total_amount
    with shop_session(1) as session:
        for each in session.exec(select(Order)) if placed else ():
            if not each.test and period.start <= each.day <= period.end:
                found[placed(each)]["orders"] += 1
    return {name: sums for name, sums in found.items() if any(sums.values())}


def kind(each: Order) -> str:
    """Whether an order is the first of its customer, by looking at all of them."""
    if each.buyer_id is None:
        return ""
    with shop_session(1) as session:
        mine = [o for o in session.exec(select(Order)) if o.buyer_id == each.buyer_id and not o.test]
    return "new" if min(mine, key=lambda o: (o.processed_at, o.id)).id == each.id else "returning"


VALUES: dict[str, Callable[[Order], str]] = {
    "channel": lambda o: o.source or "",
    "country": lambda o: o.country or "",
    "discount_code": lambda o: o.discount_codes,
    "financial_status": lambda o: o.financial_status or "",
    "fulfillment_status": lambda o: o.fulfillment_status or "",
    "customer_kind": kind,
    "customer": lambda o: "" if o.buyer_id is None else f"Customer {o.buyer_id}",
}


def found_by(slug: str, period: Period = PERIOD) -> list[dict[str, Any]]:
    with shop_session(1) as session:
        return broken_down(session, BREAKDOWN[slug], period, None).to_dict("records")


@pytest.mark.parametrize("slug", VALUES)
def test_a_breakdown_of_orders_equals_a_slow_sum_over_the_ledger(shop: ShopContext, slug: str):
    known = {each.id: VALUES[slug](each) for _, each in rows()}
    slow = slowly(lambda _, of: known[of.id], lambda of: VALUES[slug](of))
    fast = {row["value"]: {name: row[name] for name in ZERO} for row in found_by(slug)}
    assert fast == slow
    assert len(fast) > 2 if slug != "customer_kind" else set(fast) == {"new", "returning", ""}


PARTS: dict[str, Callable[[Sale, dict[int, Product]], str]] = {
    "product": lambda row, known: known[row.product_id].title if row.product_id in known else row.product_title,
    "variant": lambda row, _: f"Thing {row.product_id}",
    "vendor": lambda row, known: known[row.product_id].vendor if row.product_id in known else "",
    "product_type": lambda row, known: known[row.product_id].product_type if row.product_id in known else "",
    "category": lambda row, known: (known[row.product_id].category or "") if row.product_id in known else "",
}


@pytest.mark.parametrize("slug", PARTS)
def test_a_breakdown_of_products_equals_a_slow_sum_over_the_ledger(shop: ShopContext, slug: str):
    _, known = products()

    def part(row: Sale, _: Order) -> str:
        if not row.product_id and not row.product_title:
            return ADJUSTMENTS
        return PARTS[slug](row, known) or BREAKDOWN[slug].empty

    columns = BREAKDOWN[slug].columns
    slow = {
        name: {column: sums[column] for column in columns}
        for name, sums in slowly(part, None).items()
        if any(sums[column] for column in columns)
    }
    fast: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(columns, 0))
    for row in found_by(slug):
        for column in columns:
            fast[row["name"]][column] += row[column]
    assert fast == slow
    assert ADJUSTMENTS in fast


@pytest.mark.parametrize("slug", ["product_type", "vendor"])
def test_the_days_of_a_breakdown_of_products_add_up_to_it(shop: ShopContext, slug: str):
    of = BREAKDOWN[slug]
    with shop_session(1) as session:
        days = frames_sales.products_by_day(session, slug, PERIOD)
        rows = broken_down(session, of, PERIOD, None)
    assert days["day"].between(PERIOD.start, PERIOD.end).all() and days["day"].nunique() > 10
    summed = days.groupby([of.name(value) for value in days["value"]])["net_sales"].sum().to_dict()
    known = rows[rows["name"] != ADJUSTMENTS]
    assert summed == dict(zip(known["name"], known["net_sales"], strict=True))


def test_products_of_one_title_are_rows_of_their_own(shop: ShopContext):
    assert [row["name"] for row in found_by("product")].count("Mug") == 2


@pytest.mark.parametrize("of", BREAKDOWNS, ids=lambda of: of.slug)
def test_every_breakdown_adds_up_to_the_period(shop: ShopContext, of: Any):
    with shop_session(1) as session:
        totals = report(session, PERIOD).totals
    found = found_by(of.slug)
    assert {name: sum(row[name] for row in found) for name in of.columns} == {name: totals[name] for name in of.columns}
    assert sum(row["share"] for row in found) == pytest.approx(1)


@pytest.mark.parametrize("grain", GRAINS)
def test_the_report_without_customers_has_the_figures_of_the_whole_report(shop: ShopContext, grain: Any):
    with shop_session(1) as session:
        whole, ours = report(session, PERIOD, grain), sales_report(session, PERIOD, grain)
    of_customers = [name for name in whole.totals if "customer" in name]
    assert ours.totals == whole.totals | dict.fromkeys(of_customers)
    assert ours.by.drop(columns=of_customers).equals(whole.by.drop(columns=of_customers))


def test_hours_equal_a_slow_sum_and_add_up_to_the_day_when_the_clocks_change(shop: ShopContext):
    period = Period(date(2026, 10, 31), date(2026, 11, 1))
    with shop_session(1) as session:
        hours, totals = sales_hours(session, period).by, sales_report(session, period, "day").totals
    assert len(hours) == 48

    def at(moment: datetime) -> tuple[date, int]:
        local = moment.astimezone(ZONE)
        return local.date(), local.hour

    slow = slowly(lambda row, _: at(row.happened_at), lambda of: at(of.processed_at), period)
    names = list(ZERO)
    fast = {(row["day"], row["hour"]): {name: row[name] for name in names} for row in hours.to_dict("records")}
    assert {key: sums for key, sums in fast.items() if any(sums.values())} == slow
    assert {name: hours[name].sum() for name in names} == {name: totals[name] for name in names}


def test_weekdays_and_hours_equal_a_slow_sum(shop: ShopContext):
    def at(moment: datetime) -> tuple[int, int]:
        local = moment.astimezone(ZONE)
        return local.weekday(), local.hour

    slow = slowly(lambda row, _: at(row.happened_at), lambda of: at(of.processed_at))
    with shop_session(1) as session:
        frame = frames_sales.weekday_hours(session, PERIOD)
    assert len(frame) == 168
    for weekday, hour, orders, net_sales in frame.itertuples(index=False, name=None):
        sums = slow.get((weekday, hour), ZERO)
        assert (orders, net_sales) == (sums["orders"], sums["net_sales"])


def test_a_change_is_against_the_same_value_of_the_compared_period(shop: ShopContext):
    now, before = Period(START + timedelta(days=15), PERIOD.end), Period(START, START + timedelta(days=14))
    with shop_session(1) as session:
        found = broken_down(session, BREAKDOWN["country"], now, before)
    known = {row["value"]: row["net_sales"] for row in found_by("country", before)}
    for row in found.to_dict("records"):
        there = known.get(row["value"], 0)
        assert row["before"] == there
        assert row["change"] == (pytest.approx((row["net_sales"] - there) / abs(there)) if there else None)


def test_what_only_the_compared_period_has_is_there_with_zeros(database: Engine):
    shop = add_shop(1)
    for number, day, source in ((1, 1, "web"), (2, 9, "pos")):
        at = datetime(2026, 6, day, 16, tzinfo=UTC)
        store_orders(shop, order(number, at, agreement(at, sale("10.00")), sourceName=source))
    with shop_session(1) as session:
        days = Period(date(2026, 6, 1), date(2026, 6, 7)), Period(date(2026, 6, 8), date(2026, 6, 14))
        found = broken_down(session, BREAKDOWN["channel"], days[1], days[0]).to_dict("records")
    assert [(row["name"], row["orders"], row["net_sales"], row["change"]) for row in found] == [
        ("Point of sale", 1, 1000, None),
        ("Online store", 0, 0, -1.0),
    ]


def test_values_unknown_to_us_are_shown_as_they_came_and_what_is_not_there_in_words(shop: ShopContext):
    assert names(found_by("financial_status")) == {"Paid", "Refunded", "STATUS_OF_TOMORROW", "Unknown status"}
    assert names(found_by("channel")) == {"Online store", "Point of sale", "app of tomorrow", "Unknown channel"}
    assert "No code" in names(found_by("discount_code"))
    assert BREAKDOWN["channel"].name("2329312") == "Facebook & Instagram"
    assert BREAKDOWN["channel"].name("1424624") == "1424624"


def test_no_two_values_of_a_breakdown_have_one_name():
    for breakdown in BREAKDOWNS:
        assert len(set(breakdown.words.values())) == len(breakdown.words)


def test_nothing_sold_has_no_rows_and_no_share(database: Engine):
    add_shop(1)
    for of in BREAKDOWNS:
        assert found_by(of.slug) == []


def names(found: Iterable[dict[str, Any]]) -> set[str]:
    return {row["name"] for row in found}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-10-20", "2026-11-18"),
        ("2026-11-01", "2026-11-30"),
        ("2026-10-25", "2026-12-05"),
        ("2026-09-30", "2027-01-01"),
    ],
)
@pytest.mark.parametrize("by", ["net_sales", "orders"])
def test_the_best_customers_of_whole_months_and_single_days_are_those_of_the_ledger(shop, start, end, by):
    period = Period(date.fromisoformat(start), date.fromisoformat(end))
    found: dict[int, dict[str, int]] = defaultdict(lambda: {"orders": 0, "net_sales": 0})
    for row, of in rows():
        if (
            of.buyer_id is not None
            and period.start <= row.day <= period.end
            and row.line_type in ("PRODUCT", "ADJUSTMENT")
        ):
            found[of.buyer_id]["net_sales"] += row.total_amount - row.tax_amount
    with shop_session(1) as session:
        for each in session.exec(select(Order)):
            if each.buyer_id is not None and not each.test and period.start <= each.day <= period.end:
                found[each.buyer_id]["orders"] += 1
        frame = frames.top_customers(session, period, 6, by=by)
    best = sorted(
        ((-sums[by], buyer, sums) for buyer, sums in found.items() if any(sums.values())), key=lambda b: b[:2]
    )
    assert frame[["buyer_id", "orders", "net_sales"]].to_dict("records") == [
        {"buyer_id": buyer, **sums} for _, buyer, sums in best[:6]
    ]


def test_variants_of_one_product_are_rows_of_their_own_and_a_renamed_one_is_one(database: Engine):
    shop, at = add_shop(1), datetime(2026, 11, 2, 17, tzinfo=UTC)
    sold = (("Default Title", 1, "10.00"), ("Blue", 2, "20.00"), ("Red", 3, "30.00"), ("Crimson", 3, "40.00"))
    for number, (title, variant, amount) in enumerate(sold, 1):
        line = line_item(
            number, title="Mug", variantTitle=title, variant={"id": f"gid://shopify/ProductVariant/{variant}"}
        )
        store_orders(shop, order(number, at, agreement(at, sale(amount, line_item=number)), lines=[line]))
    found = {row["name"]: row["net_sales"] for row in found_by("variant")}
    assert found == {"Mug": 10_00, "Mug / Blue": 20_00, "Mug / Red": 70_00}


def test_customers_beyond_the_best_are_one_row_and_names_are_shown_where_they_are_known(shop: ShopContext):
    with shop_session(1, write=True) as session:
        session.merge(Customer(shop_id=1, id=3, name="Ada"))
    with shop_session(1) as session:
        assert "Customer 3" in frames_sales.by_customer(session, PERIOD)["value"].tolist()
    with system_session(write=True) as session:
        session.get_one(Shop, 1).personal_data = True
    with shop_session(1) as session:
        every = frames_sales.by_customer(session, PERIOD).set_index("value")
        few = frames_sales.by_customer(session, PERIOD, most=3).set_index("value")
    assert "Ada (3)" in every.index
    assert len(few) == 4
    assert few.sum().to_dict() == every.sum().to_dict()
    assert few.loc[frames_sales.OTHERS, "orders"] == every["orders"].sum() - few["orders"].iloc[:3].sum()
