"""The demo's past never changes, and whatever changes says so in updatedAt."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.demo.catalogue import DEMO_SHOPS, DemoShop
from core.demo.history import History, expected_orders, write_through
from core.demo.shapes import Row, gid, moment_text
from core.demo.views import Snapshot, open_store, take_snapshot
from tests.demo_http import HARBOR, KIOSK

OPENED_ON = date(2026, 9, 21)
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
both_shops = pytest.mark.parametrize("shop", DEMO_SHOPS, ids=lambda shop: shop.name)


def seen_at(shop: DemoShop, moment: datetime) -> Snapshot:
    return take_snapshot(open_store(shop, OPENED_ON), moment)


def shown(rows: dict[int, Row]) -> dict[int, dict[str, Any]]:
    return {number: row.show() for number, row in rows.items()}


@both_shops
def test_the_same_shop_first_day_and_moment_give_the_same_orders(shop: DemoShop) -> None:
    assert shown(seen_at(shop, NOW).orders) == shown(seen_at(shop, NOW).orders)


@both_shops
def test_growing_into_the_present_gives_the_same_as_starting_there(shop: DemoShop) -> None:
    store = open_store(shop, OPENED_ON)
    for days in range(30, -1, -3):
        snapshot = take_snapshot(store, NOW - timedelta(days=days))
        assert max(row.updated_at for row in snapshot.orders.values()) <= snapshot.now
    assert shown(snapshot.orders) == shown(seen_at(shop, NOW).orders)
    assert shown(snapshot.customers) == shown(seen_at(shop, NOW).customers)


@both_shops
@pytest.mark.parametrize("hours", (1, 9, 24, 24 * 12))
def test_exactly_what_changed_since_then_has_a_newer_updated_at(shop: DemoShop, hours: int) -> None:
    then = NOW - timedelta(hours=hours)
    before, after = seen_at(shop, then), seen_at(shop, NOW)
    events = shown({number: row for number, row in after.events.items() if row.created_at > then})
    for kind, old, new in (
        ("Order", before.orders, after.orders),
        ("Customer", before.customers, after.customers),
        ("Product", before.products, after.products),
        ("AbandonedCheckout", before.checkouts, after.checkouts),
    ):
        old_shapes, new_shapes = shown(old), shown(new)
        changed = {number for number, shape in new_shapes.items() if old_shapes.get(number) != shape}
        assert changed == {number for number, shape in new_shapes.items() if shape["updatedAt"] > moment_text(then)}
        gone = {gid(kind, number) for number in old.keys() - new.keys() if kind != "AbandonedCheckout"}
        assert gone == {event["subjectId"] for event in events.values() if f"/{kind}/" in event["subjectId"]} & {
            gid(kind, number) for number in old
        }


def test_late_events_move_an_orders_updated_at_when_their_time_has_come() -> None:
    orders = seen_at(HARBOR, NOW).all_orders
    refunded = next(order for order in orders if order.refunds and order.refunds[0].created_at < NOW)
    at = refunded.refunds[0].created_at
    before, after = (seen_at(HARBOR, moment).orders[refunded.number] for moment in (at - timedelta(seconds=1), at))
    assert before.show()["refunds"] == []
    assert len(after.show()["refunds"]) == 1
    assert before.updated_at < after.updated_at == at


def test_new_orders_keep_appearing_through_the_day() -> None:
    day = datetime(2026, 11, 20, tzinfo=ZoneInfo(HARBOR.time_zone))
    counts = [len(seen_at(HARBOR, day + timedelta(hours=hour)).orders) for hour in (0, 8, 16, 24)]
    assert counts == sorted(set(counts))


@both_shops
def test_every_moment_has_whole_seconds_and_ids_are_unique(shop: DemoShop) -> None:
    snapshot = seen_at(shop, NOW)
    assert all(moment.microsecond == 0 for order in snapshot.all_orders for moment in order.moments)
    for ids in (
        [line.number for order in snapshot.all_orders for line in order.lines],
        [agreement.number for order in snapshot.all_orders for agreement in order.agreements],
        [refund.number for order in snapshot.all_orders for refund in order.refunds],
        [sale.number for order in snapshot.all_orders for agreement in order.agreements for sale in agreement.sales],
        [variant["id"] for row in snapshot.products.values() for variant in row.show()["variants"]],
    ):
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("shop", "orders"), ((HARBOR, 6_000), (KIOSK, 1_500)), ids=lambda value: str(value)[:5])
def test_two_years_hold_about_as_many_orders_as_the_shop_is_meant_to_have(shop: DemoShop, orders: int) -> None:
    history = History(shop, date(2024, 11, 20))
    write_through(history, date(2026, 11, 20))
    assert orders * 0.9 < len(history.orders) < orders * 1.1
    buyers = [customer for customer in history.customers.values() if customer.orders]
    returning = sum(len(customer.orders) > 1 for customer in buyers) / len(buyers)
    assert 0.35 < returning < 0.45
    scripts = "".join(c.person.first_name + c.person.last_name for c in history.customers.values())
    assert all(any(first <= letter <= last for letter in scripts) for first, last in ("את", "اي", "अह", "가힣", "一龥"))


def test_black_friday_is_the_busiest_day_of_its_year() -> None:
    days = [date(2025, 1, 1) + timedelta(days=day) for day in range(365)]
    assert max(days, key=lambda day: expected_orders(HARBOR, date(2024, 1, 1), day)) == date(2025, 11, 28)
