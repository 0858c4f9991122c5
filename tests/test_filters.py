"""Filters: what a narrowed shop shows is what a shop shows that has nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from core.analytics import (
    frames,
    frames_checkouts,
    frames_counts,
    frames_customers,
    frames_orders,
    frames_products,
    frames_sales,
)
from core.analytics.period import Period
from core.db.engine import shop_session
from core.db.filters import EVERYTHING, Filters
from core.db.models import AbandonedCheckout, AbandonedCheckoutLine, Order, Product, Sale
from core.db.rollups import DIMENSIONS
from tests.factories import add_shop, context, store_orders
from tests.kept_shop import keep
from tests.test_sales import PERIOD, a_busy_shop

ALL, LEFT, OTHER = 1, 2, 3
NOON = datetime(2026, 10, 20, 16, tzinfo=UTC)
TITLES = {1: ("Mug", "Kiln"), 2: ("Mug", ""), 3: ("Tent", "Kiln")}

FILTERS = (
    Filters(channel=("web",)),
    Filters(channel=("web", "app of tomorrow"), country=("US", "")),
    Filters(country=("CA",)),
    Filters(product_type=("Mugs",)),
    Filters(vendor=("Kiln",), product_type=("Tents", "Mugs")),
    Filters(channel=("pos", ""), vendor=("Kiln",)),
    Filters(channel=("nobody sells here",)),
)

ASKED: tuple[Callable[[Session, Period], Any], ...] = (
    lambda s, p: frames.daily_sales(s, p).drop(columns=["new_customers", "returning_customers"]),
    lambda s, p: frames_counts.customer_counts(s, [p, p.previous()])["customers"],
    lambda s, p: frames.top_customers(s, p, 5).drop(columns="last_order_at"),
    lambda s, p: frames.top_customers(s, p, 5, by="orders").drop(columns="last_order_at"),
    lambda s, p: frames.top_products(s, p, 5),
    frames_sales.hours,
    frames_sales.weekday_hours,
    *(lambda s, p, d=d: _sorted(frames_sales.by_dimension(s, d, p)) for d in DIMENSIONS if d != "customer_kind"),
    *(lambda s, p, d=d: _sorted(frames_sales.values_by_day(s, d, p)) for d in ("channel", "country")),
    *(lambda s, p, f=f: _sorted(frames_sales.by_product(s, f, p)) for f in ("title", "vendor", "product_type")),
    frames_products.product_sales,
    lambda s, p: frames_products.product_days(s, p, 1),
    lambda s, p: frames_customers.buyers(s, p.end),
    lambda s, p: frames_customers.buyers(s, p.start + timedelta(days=9)),
    frames_customers.repurchase_gaps,
    lambda s, p: frames_orders.orders_by_day(s, p, {}),
    lambda s, p: frames_orders.orders_by_day(s, p, {"channel": "web"}),
    lambda s, p: frames_orders.orders_page(s, p, {}, 7, 3),
)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(list(frame.columns), ignore_index=True)


def _catalogue(shop_id: int) -> None:
    now = datetime(2026, 10, 1, tzinfo=UTC)
    with shop_session(shop_id, write=True) as session:
        for number, (title, vendor) in TITLES.items():
            session.add(
                Product(
                    shop_id=shop_id, id=number, title=title, vendor=vendor, product_type=f"{title}s", handle="x",
                    status="ACTIVE", created_at=now, updated_at=now,
                )
            )  # fmt: skip


def _left(document: dict[str, Any], filters: Filters) -> dict[str, Any] | None:
    """An order with the lines that are left of it, None if it is not asked for."""
    address = document["shippingAddress"] or {}
    if filters.channel and (document["sourceName"] or "") not in filters.channel:
        return None
    if filters.country and address.get("countryCodeV2", "") not in filters.country:
        return None
    if not filters.of_products:
        return document
    (line,) = document["lineItems"]
    title, vendor = TITLES.get(int((line["product"] or {"id": "/0"})["id"].rpartition("/")[2]), (None, None))
    if filters.product_type and f"{title}s" not in filters.product_type:
        return None
    if filters.vendor and vendor not in filters.vendor:
        return None
    made = [{**each, "sales": [one for one in each["sales"] if one["lineItem"]]} for each in document["agreements"]]
    return {**document, "agreements": made}


@pytest.fixture
def shop(database: Engine) -> None:
    """A busy shop, and another with rows under the same ids."""
    keep("three shops to narrow", _three_shops)


def _three_shops() -> None:
    for shop_id in (ALL, LEFT, OTHER):
        add_shop(shop_id)
        _catalogue(shop_id)
    store_orders(context(ALL), *a_busy_shop(1))
    store_orders(context(OTHER), *a_busy_shop(3))


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: str(filters.chosen()))
def test_a_narrowed_shop_shows_what_a_shop_shows_that_has_nothing_else(filters: Filters) -> None:
    left = [found for document in a_busy_shop(1) if (found := _left(document, filters)) is not None]
    if left:
        store_orders(context(LEFT), *left)
    for number, ask in enumerate(ASKED):
        with shop_session(ALL, filters) as session:
            narrowed = ask(session, PERIOD)
        with shop_session(LEFT) as session:
            alone = ask(session, PERIOD)
        for mine, its in zip(_parts(narrowed), _parts(alone), strict=True):
            assert _same(mine, its), (number, mine, its)


def _parts(answer: Any) -> tuple[Any, ...]:
    return answer if isinstance(answer, tuple) else (answer,)


def _same(mine: Any, its: Any) -> bool:
    if isinstance(mine, (pd.DataFrame, pd.Series)):
        return mine.reset_index().to_dict("records") == its.reset_index().to_dict("records")
    return bool(mine == its)


def _everything() -> tuple[list[Order], list[Sale]]:
    with shop_session(ALL) as session:
        return [each for each in session.exec(select(Order)) if not each.test], list(session.exec(select(Sale)))


def _kind(order: Order, orders: list[Order]) -> str:
    if order.buyer_id is None:
        return ""
    mine = [each for each in orders if each.buyer_id == order.buyer_id]
    return "new" if min(mine, key=lambda each: (each.processed_at, each.id)).id == order.id else "returning"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("kinds", [("new",), ("returning",), ("", "new"), ("",)])
def test_new_is_the_first_order_ever_and_not_the_first_that_is_left(kinds: tuple[str, ...]) -> None:
    orders, sales = _everything()
    left = {each.id: each for each in orders if _kind(each, orders) in kinds and each.source == "web"}
    with shop_session(ALL, Filters(channel=("web",), customer_kind=kinds)) as session:
        days = frames.daily_sales(session, PERIOD)
        whole = frames_counts.customer_counts(session, [PERIOD]).iloc[0]
        kinds_found = frames_sales.by_dimension(session, "customer_kind", PERIOD)
    placed = [each for each in left.values() if PERIOD.start <= each.day <= PERIOD.end]
    first = {each.buyer_id for each in placed if _kind(each, orders) == "new"}
    again = {each.buyer_id for each in placed if _kind(each, orders) == "returning"}
    assert days["orders"].sum() == len(placed)
    assert days["new_customers"].sum() == len(first) == whole["new_customers"]
    assert whole["customers"] == len(first | again)
    assert whole["returning_customers"] == len(again)
    shipping = sum(
        each.total_amount - each.tax_amount
        for each in sales
        if each.order_id in left and each.measure == "shipping" and PERIOD.start <= each.day <= PERIOD.end
    )
    assert days["shipping"].sum() == shipping
    by_kind = {kind: sum(_kind(each, orders) == kind for each in placed) for kind in kinds}
    found = dict(zip(kinds_found["value"], kinds_found["orders"], strict=True))
    assert {kind: count for kind, count in by_kind.items() if count} == {k: n for k, n in found.items() if n}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "filters", [Filters(channel=("web",), by_first_order=True), Filters(vendor=("Kiln",), by_first_order=True)]
)
def test_buyers_are_left_with_all_their_orders_by_what_was_first(filters: Filters) -> None:
    orders, _ = _everything()
    documents = {int(each["id"].rpartition("/")[2]): each for each in a_busy_shop(1)}
    first = [each for each in orders if _kind(each, orders) == "new"]
    wanted = {each.buyer_id for each in first if _left(documents[each.id], filters) is not None}
    mine = {each.id for each in orders if each.buyer_id in wanted and each.buyer_id is not None}
    assert 0 < len(mine) < len(orders)
    store_orders(context(LEFT), *(document for number, document in documents.items() if number in mine))
    for ask in (
        frames_customers.cohort_cells,
        lambda s: frames_customers.repeat_history(s, PERIOD.end),
        lambda s: frames_customers.buyers(s, PERIOD.end),
        lambda s: frames.daily_sales(s, PERIOD),
        lambda s: frames_counts.customer_counts(s, [PERIOD]),
        lambda s: frames.top_products(s, PERIOD, 5),
    ):
        with shop_session(ALL, filters) as session:
            narrowed = ask(session)
        with shop_session(LEFT) as session:
            assert _same(narrowed, ask(session))


@pytest.mark.usefixtures("shop")
def test_checkouts_are_narrowed_by_country_and_to_what_was_in_them_of_these_products() -> None:
    day = PERIOD.start
    for number, (country, products) in enumerate((("CA", (1, 3)), ("CA", (1,)), (None, (3,))), 1):
        with shop_session(ALL, write=True) as session:
            facts = {"shop_id": ALL, "id": number, "name": "#", "created_at": NOON, "updated_at": NOON}
            session.add(AbandonedCheckout(**facts, day=day, country=country, total=30_00))
            session.flush()
            for product in products:
                line = {"shop_id": ALL, "checkout_id": number, "id": 10 * number + product, "product_id": product}
                session.add(AbandonedCheckoutLine(**line, title=TITLES[product][0], quantity=1, total=product))
    found = {}
    for filters in (Filters(country=("CA",)), Filters(country=("",)), Filters(country=("CA",), vendor=("Kiln",))):
        with shop_session(ALL, filters) as session:
            left = frames_checkouts.checkout_days(session, PERIOD)["left"].sum()
            inside = frames_checkouts.left_products(session, PERIOD, 10)
        found[filters] = (left, dict(zip(inside["product_id"], inside["value"], strict=True)))
    assert list(found.values()) == [(2, {1: 2, 3: 3}), (1, {3: 3}), (2, {1: 2, 3: 3})]
    with shop_session(ALL, Filters(country=("CA",), product_type=("Tents",))) as session:
        assert frames_checkouts.checkout_days(session, PERIOD)["left"].sum() == 1
        assert frames_checkouts.left_products(session, PERIOD, 10)["title"].tolist() == ["Tent"]


def test_who_writes_sees_everything() -> None:
    with pytest.raises(ValueError, match="sees everything"), shop_session(ALL, FILTERS[0], write=True):
        pass


def test_without_a_value_nothing_is_filtered() -> None:
    assert not EVERYTHING
    assert not Filters(by_first_order=True)
    assert Filters(country=("",))
