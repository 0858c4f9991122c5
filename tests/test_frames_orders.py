"""Orders as rows: pages without gaps, filters, a search, and one order with its ledger; two shops use the same ids."""

import random
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.analytics.frames_orders import (
    find_orders,
    one_order,
    order_ledger,
    order_lines,
    order_refunds,
    orders_by_day,
    orders_page,
)
from core.analytics.period import Period
from core.db.engine import shop_session
from core.db.models import Order, Sale
from core.sync.resources.resource import ShopContext
from tests.factories import add_shop, agreement, at, bag, context, line_item, order, sale, stamp, store_orders
from tests.kept_shop import keep
from tests.test_sales import PERIOD, VALUES, a_busy_shop

ALL: dict[str, str] = {}


@pytest.fixture
def shop(database: Engine) -> ShopContext:
    keep("busy shops", _two_busy_shops)
    return context(1)


def _two_busy_shops() -> None:
    for shop_id in (1, 2):
        store_orders(add_shop(shop_id), *a_busy_shop(shop_id))


def placed(period: Period = PERIOD, wanted: dict[str, str] = ALL) -> list[Order]:
    """The orders themselves, the newest first, filtered in Python."""
    with shop_session(1) as session:
        every = [each for each in session.exec(select(Order)) if not each.test and each.deleted_at is None]
    found = [each for each in every if period.start <= each.day <= period.end]
    found = [each for each in found if all(VALUES[name](each) == value for name, value in wanted.items())]
    return sorted(found, key=lambda each: (each.day, each.processed_at, each.id), reverse=True)


FILTERS: list[dict[str, str]] = [
    {}, {"channel": "web"}, {"country": ""}, {"financial_status": "STATUS_OF_TOMORROW"}, {"customer_kind": "new"},
    {"customer_kind": ""}, {"channel": "pos", "customer_kind": "returning"},
    {"channel": "web", "country": "US", "fulfillment_status": "PAID"}, {"channel": "no such channel"},
]  # fmt: skip


@pytest.mark.parametrize("wanted", FILTERS, ids=lambda wanted: " ".join(wanted.values()) or "all")
@pytest.mark.parametrize("limit", [7, 500])
def test_pages_have_every_order_once_and_say_how_many_there_are(shop: ShopContext, wanted: dict[str, str], limit: int):
    expected = [each.id for each in placed(wanted=wanted)]
    found: list[int] = []
    with shop_session(1) as session:
        for offset in range(0, len(expected) + limit, limit):
            page, total = orders_page(session, PERIOD, wanted, limit, offset)
            assert total == len(expected) and len(page) <= limit
            found += page["id"].tolist()
    assert found == expected


@pytest.mark.parametrize("wanted", [FILTERS[0], FILTERS[1], FILTERS[6]], ids=["all", "one", "two"])
def test_counts_by_day_are_those_of_the_orders(shop: ShopContext, wanted: dict[str, str]):
    slow: dict[date, int] = {}
    for each in placed(wanted=wanted):
        slow[each.day] = slow.get(each.day, 0) + 1
    with shop_session(1) as session:
        found = orders_by_day(session, PERIOD, wanted)
    assert list(zip(found["day"], found["orders"], strict=True)) == list(slow.items())


def test_a_row_has_the_net_sales_and_units_of_its_ledger(shop: ShopContext):
    with shop_session(1) as session:
        page, _ = orders_page(session, PERIOD, {}, 30, 10)
        for row in page.to_dict("records"):
            ledger = session.exec(select(Sale).where(Sale.order_id == row["id"])).all()
            goods = [each for each in ledger if each.line_type in ("PRODUCT", "ADJUSTMENT")]
            assert row["net_sales"] == sum(each.total_amount - each.tax_amount for each in goods)
            sold = [each for each in goods if (each.line_type, each.action_type) == ("PRODUCT", "ORDER")]
            assert row["units"] == sum(each.quantity for each in sold)


@pytest.mark.parametrize("text", ["#17", "17", " 17 ", "5000017"])
def test_an_order_is_found_by_its_name_with_or_without_the_sign_and_by_its_number(database: Engine, text: str):
    shop, moment = add_shop(1), at("2020-02-02T12:00")
    store_orders(shop, order(5000017, moment, agreement(moment, sale("1.00")), name="#17"))
    with shop_session(1) as session:
        found = find_orders(session, text, 10)
    assert found["id"].tolist() == [5000017]


@pytest.mark.parametrize("text", ["", "#", "999", "1%", "_", "' OR 1=1 --", "9" * 30, "²"])
def test_nothing_is_found_by_a_part_of_a_name_or_by_nonsense(database: Engine, text: str):
    shop, moment = add_shop(1), at("2020-02-02T12:00")
    store_orders(shop, order(5000017, moment, agreement(moment, sale("1.00")), name="#17"))
    with shop_session(1) as session:
        assert find_orders(session, text, 10).empty


def test_test_orders_are_in_no_page_and_not_found(database: Engine):
    shop, moment = add_shop(1), at("2026-06-02T12:00")
    store_orders(shop, order(1, moment, agreement(moment, sale("1.00")), test=True))
    with shop_session(1) as session:
        assert orders_page(session, Period(moment.date(), moment.date()), {}, 10, 0)[1] == 0
        assert find_orders(session, "#1", 10).empty and one_order(session, 1).empty


def test_one_order_comes_with_its_lines_refunds_and_every_ledger_row(database: Engine):
    shop, moment = add_shop(1), at("2026-06-02T03:00")
    add_shop(2)
    back = moment + timedelta(days=2)
    refund = {"id": "gid://shopify/Refund/3", "createdAt": stamp(back), "processedAt": stamp(back),
              "totalRefundedSet": bag("11.0")}  # fmt: skip
    document = order(
        7, moment, agreement(moment, sale("22.0", tax="2.0", line_item=1), sale("3.0", line="TIP")),
        agreement(back, sale("-11.0", tax="-1.0", action="RETURN", quantity=-1, line_item=1), reason="RETURN"),
        lines=[line_item(1, title="Tent")], currentTotalPriceSet=bag("14.0"), originalTotalPriceSet=bag("25.0"),
        refunds=[refund],
    )  # fmt: skip
    store_orders(shop, document)
    with shop_session(1) as session:
        header = one_order(session, 7).to_dict("records")[0]
        lines, refunds, ledger = (read(session, 7) for read in (order_lines, order_refunds, order_ledger))
    assert (header["current_total"], header["original_total"]) == (1400, 2500)
    assert lines["title"].tolist() == ["Tent"] and refunds["total_refunded"].tolist() == [1100]
    assert sorted(ledger["measure"]) == ["gross_sales", "sales_reversals", "tips"]
    assert ledger["total_amount"].sum() == 1400
    assert ledger["day"].tolist() == [date(2026, 6, 1)] * 2 + [date(2026, 6, 3)]
    assert sorted(ledger["title"]) == ["", "Tent", "Tent"]
    with shop_session(2) as session:
        for read in (one_order, order_lines, order_refunds, order_ledger):
            assert read(session, 7).empty


def test_a_deep_page_reads_only_its_own_days(shop: ShopContext, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []
    with shop_session(1) as session:
        execute = session.execute

        def noted(statement: Any, *args: Any, **more: Any) -> Any:
            asked.append(str(statement))
            return execute(statement, *args, **more)

        monkeypatch.setattr(session, "execute", noted)
        orders_page(session, PERIOD, {"channel": "web"}, 5, 20)
    assert len(asked) == 3, "the daily counts, the rows of the page, their ledger"
    assert '"order"' not in asked[0].split("WHERE")[0]


def test_many_orders_of_one_moment_are_in_one_order_on_every_page(database: Engine):
    shop, moment = add_shop(1), at("2026-06-02T12:00")
    numbers = list(range(1, 31))
    random.Random(1).shuffle(numbers)
    store_orders(shop, *(order(number, moment, agreement(moment, sale("1.00"))) for number in numbers))
    day = Period(moment.date(), moment.date())
    with shop_session(1) as session:
        pages = [orders_page(session, day, {}, 7, offset)[0]["id"].tolist() for offset in range(0, 35, 7)]
    assert [number for page in pages for number in page] == sorted(numbers, reverse=True)
