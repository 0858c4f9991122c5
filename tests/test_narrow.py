"""Filters on the pages: chosen in the address, said in words, and nothing else counts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from core.db.engine import shop_session
from core.db.models import Product
from tests import factories as make
from tests.test_pages import ALICE, ALICES, CHARLIE, CHARLIES, add_shop, card, no_cache, open_page, synced, tables

__all__ = ["no_cache", "tables"]
NOON = datetime.now(UTC).replace(hour=17, minute=0) - timedelta(days=3)
NARROWED = ("overview.py", "sales.py", "date_filter.py", "products.py", "customers.py", "forecast.py")
BY_FIRST_ORDER = ("cohorts.py", "lifetime.py")


@pytest.fixture(scope="module")
def two_channels() -> list[dict]:
    """Orders of 10.00 on the web with shipping of 5.00, and of 70.00 at the counter, of two kinds of goods."""
    found = []
    for number, (source, total, product) in enumerate((("web", "10.00", 1), ("pos", "70.00", 2)), 1):
        sold = make.sale(total, line_item=number)
        shipping = make.sale("5.00", line="SHIPPING", quantity=None)
        lines = [make.line_item(number, product=product, title=f"Thing {product}")]
        made = make.agreement(NOON, sold, *([shipping] if source == "web" else []))
        found.append(make.order(number, NOON, made, customer=number, lines=lines, sourceName=source))
    return found


@pytest.fixture
def shops(tables: None, two_channels: list[dict]) -> Iterator[None]:
    for shop_id, domain, user, name in ((1, ALICES, ALICE, "alice"), (2, CHARLIES, CHARLIE, "charlie")):
        add_shop(shop_id, domain)
        make.add_user(user, f"{name}@example.com", shop_id)
        make.store_orders(make.context(shop_id), *two_channels)
        with shop_session(shop_id, write=True) as session:
            for number, kind in ((1, "Mugs"), (2, "Tents")):
                facts = {"id": number, "title": f"Thing {number}", "product_type": kind, "vendor": f"{name} & sons"}
                facts |= {"handle": "x", "status": "ACTIVE", "created_at": NOON, "updated_at": NOON}
                session.add(Product(shop_id=shop_id, **facts))
        synced(shop_id, datetime.now(UTC))
    yield


def said(page: AppTest) -> str:
    return " | ".join(each.value for each in (*page.markdown, *page.info))


def fields(page: AppTest) -> dict[str, list[str]]:
    return {each.label: each.options for each in page.multiselect}


@pytest.mark.usefixtures("shops")
def test_only_the_chosen_channel_counts_and_the_page_says_so():
    page = open_page("date_filter.py", ALICE, only_channel="Online store")
    assert card(page, "Total sales") == "$15.00"
    assert card(page, "Orders") == "1"
    assert "Channel: **Online store**" in said(page)
    page = open_page("date_filter.py", ALICE, only_channel=["Online store", "Point of sale"])
    assert card(page, "Total sales") == "$85.00"


@pytest.mark.usefixtures("shops")
@pytest.mark.parametrize(("asked", "total"), [("web", "$15.00"), (["pos", "web"], "$85.00"), ("fax", "$85.00")])
def test_an_address_may_name_a_channel_as_shopify_does(asked, total):
    page = open_page("date_filter.py", ALICE, only_channel=asked)
    assert card(page, "Total sales") == total


@pytest.mark.usefixtures("shops")
def test_of_a_product_type_only_its_lines_count_and_no_shipping():
    page = open_page("sales.py", ALICE, only_product_type="Mugs")
    assert card(page, "Total sales") == "$10.00"
    assert "without shipping" in said(page)


@pytest.mark.usefixtures("shops")
def test_a_value_that_the_store_does_not_have_filters_nothing():
    page = open_page("date_filter.py", ALICE, only_channel="Nobody", only_vendor="charlie & sons")
    assert card(page, "Total sales") == "$85.00"


@pytest.mark.usefixtures("shops")
def test_what_charlies_store_has_is_not_offered_to_alice():
    offered = fields(open_page("date_filter.py", ALICE))
    assert offered["Product type"] == ["Mugs", "Tents"]
    assert "Vendor" not in offered  # there is only one
    assert "charlie" not in str(offered)


@pytest.mark.usefixtures("shops")
@pytest.mark.parametrize("name", NARROWED)
def test_every_page_opens_narrowed_and_where_nothing_is_left(name: str):
    page = open_page(name, ALICE, only_channel="Point of sale", only_product_type="Tents")
    assert "Channel: **Point of sale** · Product type: **Tents**" in said(page)
    nothing = open_page(name, ALICE, only_channel="Point of sale", only_product_type="Mugs")
    assert "NaN" not in said(nothing)
    assert name == "forecast.py" or "No orders that the filters leave in" in said(nothing)


@pytest.mark.usefixtures("shops")
@pytest.mark.parametrize("name", BY_FIRST_ORDER)
def test_customers_are_chosen_by_their_first_order(name: str):
    page = open_page(name, ALICE, only_channel="Point of sale")
    assert "Channel: **Point of sale**" in said(page)
    assert "Customers" not in fields(page)
