"""The products page: its figures against a slow count of ledger rows, its stock, and what it says of little."""

import csv
import io
import math
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import Engine
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.analytics.affinity import affinity
from core.analytics.frames_behind import marked
from core.analytics.frames_products import product_days, product_sales, stock_levels, variants
from core.analytics.period import Period
from core.analytics.report import totals
from core.analytics.stock import stock
from core.db.engine import shop_session, system_session
from core.db.models import InventoryItem, InventoryLevel, Location, Product, Shop, SyncState, Variant
from core.reports.table import csv_text
from core.ui import products_view, stock_view
from tests import factories as make
from tests.test_cohorts_page import add_one_shop, read_aloud
from tests.test_customers_page import captions
from tests.test_frames_customers import a_busy_shop, late, shop_day, store
from tests.test_pages import ALICE, CHARLIE, NAMES, cast, no_cache, open_page, sell, synced, tables

__all__ = ["cast", "no_cache", "tables"]
NOON = datetime(2026, 3, 1, 17, tzinfo=UTC)
EMPTY = pd.DataFrame(columns=["product_id", "units_sold", "units_returned"], dtype="int64")


def add_product(shop_id: int, number: int, title: str, *levels: int | None, **columns: object) -> None:
    """A product with one variant per stock level, at one place; None is a variant that is not tracked."""
    fields = {"product_type": "Cups", "vendor": "Forge", "status": "ACTIVE", **columns}
    with shop_session(shop_id, write=True) as session:
        session.merge(Location(shop_id=shop_id, id=1))
        product = Product(
            shop_id=shop_id, id=number, title=title, handle=title, created_at=NOON, updated_at=NOON, **fields
        )
        session.merge(product)
        session.flush()
        for position, level in enumerate(levels):
            item = number * 100 + position
            stocked = InventoryItem(shop_id=shop_id, id=item, tracked=level is not None, updated_at=NOON)
            session.add(stocked)
            session.flush()
            session.add(
                Variant(
                    shop_id=shop_id, id=item, product_id=number, title=f"Size {position}", price=1250,
                    position=position, inventory_item_id=item, updated_at=NOON,
                )
            )  # fmt: skip
            available = 9 if level is None else level
            session.add(InventoryLevel(shop_id=shop_id, inventory_item_id=item, location_id=1, available=available))


def a_shop_of_products(seed: int) -> list[dict]:
    """Busy orders whose ledger rows belong to lines of three products, to a line without one, or to none."""
    documents = a_busy_shop(seed)
    for number, document in enumerate(documents, 1):
        products = (1, 2, 3, None)
        line = make.line_item(5000 + number, product=products[number % 4], title=f"Title {number % 4}", quantity=2)
        document["lineItems"] = [line]
        for made in document["agreements"]:
            for row in made["sales"]:
                row["quantity"] = 2 if row["actionType"] == "ORDER" else -1
                if number % 7:
                    row["lineItem"] = {"id": line["id"]}
                else:
                    row["lineType"] = "ADJUSTMENT"
    return documents


@pytest.mark.parametrize("seed", range(2))
def test_products_equal_a_slow_count_of_ledger_rows_and_add_up_to_net_sales(database: Engine, seed: int) -> None:
    documents = a_shop_of_products(seed)
    make.add_shop(1)
    make.add_shop(2)
    for shop_id in (1, 2):
        for number in (1, 2, 3):
            add_product(shop_id, number, f"Product {number}", product_type=f"Type {number % 2}")
    store(make.context(1), documents)
    store(make.context(2), a_shop_of_products(seed + 70))
    period = Period(date(2026, 1, 5), date(2026, 2, 12))
    slow: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for document in documents:
        line = document["lineItems"][0]
        product = int(line["product"]["id"].split("/")[-1]) if line["product"] else 0
        for made in document["agreements"]:
            if document["test"] or not period.start <= shop_day(made["happenedAt"]) <= period.end:
                continue
            for row in made["sales"]:
                adjusted = row["lineType"] == "ADJUSTMENT"
                title = "" if adjusted else f"Product {product}" if product else line["title"]
                slow[title][0] += round(float(row["totalAmount"]["shopMoney"]["amount"]) * 100)
                if not adjusted:
                    slow[title][1 if row["actionType"] == "ORDER" else 2] += abs(row["quantity"])
    with shop_session(1) as session:
        found, whole = marked(session, product_sales(session, period)), totals(session, period)
        days = product_days(session, period, 1)
    got = {row.title: [row.net_sales, row.units_sold, row.units_returned] for row in found.itertuples()}
    assert got == {title: numbers for title, numbers in slow.items() if title in got or any(numbers)}
    for name in ("net_sales", "units_sold", "units_returned"):
        assert found[name].sum() == whole[name]
        assert days[name].sum() == found.loc[found["product_id"] == 1, name].sum()
    for field in ("product_type", "vendor"):
        assert sum(net for _, net, _ in products_view.grouped(found, field)) == whole["net_sales"]
    rows = list(csv.DictReader(io.StringIO(csv_text(products_view.products_table(found, found), "USD"))))
    assert sum(round(float(row["net_sales USD"]) * 100) for row in rows) == whole["net_sales"]


def test_above_ten_groups_the_rest_is_one_bar_and_nothing_is_lost() -> None:
    rows = [(n, f"P{n}", f"T{n:02}", "", 100 * n, n) for n in range(1, 15)]
    frame = pd.DataFrame(rows, columns=["product_id", "title", "product_type", "vendor", "net_sales", "units_sold"])
    frame["listed"] = True
    found = products_view.grouped(frame, "product_type")
    assert [label for label, _, _ in found] == [*(f"T{n:02}" for n in range(14, 5, -1)), "5 others"]
    assert sum(net for _, net, _ in found) == frame["net_sales"].sum()
    assert products_view.grouped(frame, "vendor") == [("Without a vendor", 10_500, 105)]


def test_cover_is_what_is_available_by_the_pace_of_the_last_thirty_days() -> None:
    levels = pd.DataFrame(
        [(1, "A", 30), (2, "B", 5), (3, "C", 0), (4, "D", -2), (5, "E", 7), (6, "F", 7)],
        columns=["product_id", "title", "available"],
    )
    month = pd.DataFrame([(1, 12, 2), (3, 4, 0), (6, 1, 3)], columns=EMPTY.columns)
    quarter = pd.DataFrame([(1, 30, 2), (2, 9, 0), (3, 4, 0), (6, 2, 2)], columns=EMPTY.columns)
    found = stock(levels, month, quarter).set_index("title")
    assert found["cover"].to_dict() == {"A": 90.0, "B": math.inf, "C": 0.0, "D": 0.0, "E": math.inf, "F": math.inf}
    states = found["state"].to_dict()
    assert states == {"A": "selling", "B": "selling", "C": "sold_out", "D": "sold_out", "E": "dead", "F": "selling"}
    assert found["sold"].to_dict() == {"A": 10, "B": 0, "C": 4, "D": 0, "E": 0, "F": -2}
    assert list(found.index) == ["C", "D", "A", "B", "E", "F"]


def test_stock_is_summed_over_variants_and_places_and_leaves_out_what_is_not_tracked(database: Engine) -> None:
    for shop_id, factor in ((1, 1), (2, 10)):
        make.add_shop(shop_id)
        add_product(shop_id, 1, "Mug", 3 * factor, 0, None)
        add_product(shop_id, 2, "Card", 5, is_gift_card=True)
        add_product(shop_id, 3, "Ghost", None)
        add_product(shop_id, 4, "Gone", 8, deleted_at=NOON)
        with shop_session(shop_id, write=True) as session:
            session.add(Location(shop_id=shop_id, id=2))
            session.flush()
            session.add(InventoryLevel(shop_id=shop_id, inventory_item_id=100, location_id=2, available=4))
    with shop_session(1) as session:
        levels, found = stock_levels(session), variants(session, 1)
    assert levels.drop(columns="status").values.tolist() == [[1, "Mug", 2, 1, 7]]
    assert found["available"].tolist() == [7, 0, None]


def test_the_best_and_the_worst_by_each_measure(tables) -> None:
    add_one_shop()
    names = {1: "Mug", 2: "Bowl", 3: "Jug"}
    for number, name in names.items():
        add_product(1, number, name)
    moment = late(shop_day(datetime.now(UTC).isoformat()) - timedelta(2))
    lines = {1: (30, 3, 0), 2: (20, 1, 1), 3: (10, 5, 2)}
    documents = []
    for number, (total, units, back) in lines.items():
        sold = make.sale(f"{total}.00", quantity=units, line_item=number)
        returned = make.sale(f"-{back}.00", action="RETURN", quantity=-back, line_item=number)
        made = make.agreement(moment, *([sold, returned] if back else [sold]))
        line = make.line_item(number, product=number, title=names[number], quantity=units)
        documents.append(make.order(number, moment, made, lines=[line]))
    store(make.context(1), documents)
    for ranked, order, expected in (
        ("Net sales", "Highest first", ["Mug", "Bowl", "Jug"]),
        ("Net sales", "Lowest first", ["Jug", "Bowl", "Mug"]),
        ("Units", "Highest first", ["Jug", "Mug", "Bowl"]),
        ("Returns", "Highest first", ["Jug", "Bowl", "Mug"]),
        ("Nonsense", "Nonsense", ["Mug", "Bowl", "Jug"]),
    ):
        shown = open_page("products.py", ALICE, ranked=ranked, order=order).dataframe[0].value
        assert list(shown["Product"]) == expected
    assert shown["Refund rate"].tolist() == [0.0, 0.05, 0.2]
    assert shown["Change"].isna().all()


def test_products_in_five_orders_are_a_pair_and_in_four_are_none(tables) -> None:
    add_one_shop()
    moment = late(shop_day(datetime.now(UTC).isoformat()) - timedelta(3))

    def together(number: int) -> dict:
        lines = [make.line_item(10 * number + n, product=n, title=f"P{n}") for n in (1, 2)]
        rows = [make.sale("5.00", line_item=10 * number + n) for n in (1, 2)]
        return make.order(number, moment, make.agreement(moment, *rows), lines=lines)

    for n in (1, 2):
        add_product(1, n, f"P{n}")
    store(make.context(1), [together(n) for n in range(1, 5)])
    assert "No two products share 5 orders in this period." in captions(open_page("products.py", ALICE))
    store(make.context(1), [together(5)])
    with system_session(write=True) as session:
        session.get_one(Shop, 1).data_version += 1
    pairs = open_page("products.py", ALICE).dataframe[1].value
    assert pairs.values.tolist() == [["P1", "P2", 5, 1.0, 1.0, 1.0]]


def test_each_pair_is_listed_once_by_its_surer_direction() -> None:
    baskets = [(order, product) for order in range(5) for product in (1, 2, 3)]
    baskets += [(order, 2) for order in range(5, 9)] + [(order, 3) for order in range(9, 12)]
    found = products_view.best_pairs(affinity(pd.DataFrame(baskets, columns=["order_id", "product"])))
    assert found[["product_a", "product_b"]].values.tolist() == [[1, 3], [1, 2], [3, 2]]
    assert found["confidence"].tolist() == [1.0, 1.0, 5 / 8]


def test_stock_is_shown_by_state_with_infinite_cover_where_nothing_sells(tables) -> None:
    add_one_shop()
    sell(1, 1, "10.00", days_ago=2)
    add_product(1, 1, "Mug", 10)
    add_product(1, 2, "Dusty", 4)
    add_product(1, 3, "Out", 0, 0)
    at = open_page("products.py", ALICE, stock="All products")
    shown = at.dataframe[-1].value
    assert list(shown["Product"]) == ["Out", "Mug", "Dusty"]
    assert shown["Days of cover"].tolist() == [0.0, 300.0, math.inf]
    cards = {metric.label: metric.value for metric in at.metric}
    assert (cards["Pieces in stock"], cards["Sold out"], cards["Sold-out variants"], cards["Dead stock"]) == (
        "14", "1", "2", "1",
    )  # fmt: skip
    for state, product in (("Runs out first", "Mug"), ("Sold out", "Out"), ("Dead stock", "Dusty")):
        shown = open_page("products.py", ALICE, stock=state).dataframe[-1].value
        assert list(shown["Product"]) == [product]


def test_without_the_scope_the_page_says_what_is_missing(cast) -> None:
    with system_session(write=True) as session:
        state = session.exec(select(SyncState).where(SyncState.shop_id == 1, SyncState.stream == "inventory")).one()
        state.problem = "The access token lacks the scope read_inventory."
    at = open_page("products.py", ALICE)
    assert at.warning[0].value.replace("\\", "") == "The access token lacks the scope read_inventory."
    assert "Unknown: no stock of any product was fetched." in captions(at)


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1000"), ("KWD", "1.234")])
def test_every_currency_title_and_a_full_refund_are_shown_without_nan(tables, currency, amount) -> None:
    add_one_shop(currency=currency, name="**bold** [x](https://example.com)", taxes_included=True)
    for number, name in enumerate(NAMES, 1):
        add_product(1, number, name, number, product_type=name, vendor=name)
        sell(1, number, amount, days_ago=number, customer=number, title=name)
    sell(1, 50, f"-{amount}", days_ago=1, customer=1, kind="ADJUSTMENT")
    at = open_page("products.py", ALICE)
    assert len(at.dataframe) == 2 and "nan" not in read_aloud(at)


@pytest.mark.parametrize("page", ["products.py", "cohorts.py", "customers.py"])
def test_without_orders_each_page_says_so_and_one_of_today_is_enough(tables, page) -> None:
    add_one_shop()
    synced(1, datetime.now(UTC))
    assert "has no orders" in open_page(page, ALICE).info[0].value
    sell(1, 1, "10.00", days_ago=0)
    at = open_page(page, ALICE, period="7 days")
    assert not at.error and "nan" not in read_aloud(at)
    if page == "products.py":
        assert at.dataframe[0].value["Net sales"].tolist() == [10.0]


def test_files_are_for_those_who_may_export(cast) -> None:
    add_product(1, 1, "Mug", 3)
    make.add_user(9, "vera@example.com", 1, role="viewer")
    offered = {button.key for button in open_page("products.py", ALICE).download_button}
    assert {"products_csv", "products_xlsx", "sales_by_vendor_png", "sales_by_vendor_svg"} <= offered
    assert not open_page("products.py", 9).get("download_button")


def test_the_file_of_stock_says_inf_where_cover_is_infinite() -> None:
    names = ["product_id", "title", "status", "variants", "sold_out_variants", "available"]
    levels = pd.DataFrame([(1, "A", "ACTIVE", 1, 0, 5)], columns=names)
    text = csv_text(stock_view.stock_table(stock(levels, EMPTY, EMPTY)), "USD")
    assert text.splitlines()[1] == "1,A,ACTIVE,1,0,5,0,inf,dead"


def detail_script(number: int, currency: str, start: "date", end: "date") -> None:
    """What a chosen row opens; the test harness cannot click a row of a table."""
    from core.analytics.period import Period
    from core.auth.accounts import ShopAccess
    from core.ui import product_view, products_view

    shop = ShopAccess(1, "alice.myshopify.com", "Alice", currency, "America/New_York", 1, False, True, False, "viewer")
    period = Period(start, end)
    found = product_view.load_product(shop, period, number)
    product_view.in_full(number, found, products_view.load_products(shop, period), shop, period, "day")


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1000"), ("KWD", "1.234")])
def test_a_chosen_product_shows_its_days_and_variants(tables, currency, amount) -> None:
    add_one_shop(currency=currency)
    add_product(1, 1, "**Mug**", 3, 0, None)
    sell(1, 1, amount, days_ago=1)
    sell(1, 2, amount, days_ago=3)
    end = shop_day(datetime.now(UTC).isoformat())
    given = {"number": 1, "currency": currency, "start": end - timedelta(days=6), "end": end}
    at = AppTest.from_function(detail_script, default_timeout=120, kwargs=given).run()
    assert not at.exception and at.subheader[0].value == "\\*\\*Mug\\*\\*"
    shown = at.dataframe[0].value
    assert list(shown["Variant"]) == ["Size 0", "Size 1", "Size 2", "No longer in the catalogue"]
    assert list(shown["Available"])[:2] == [3, 0] and shown["Available"].isna()[2]
    assert "nan" not in read_aloud(at)


def test_a_product_in_the_address_has_its_figures_buyers_and_companions(cast) -> None:
    add_product(1, 1, "Mug", 3)
    add_product(1, 2, "Bowl", 3)
    moment = datetime.now(UTC) - timedelta(days=2)
    lines = [make.line_item(70, product=1, title="Mug"), make.line_item(71, product=2, title="Bowl")]
    bought = make.agreement(moment, make.sale("30.00", line_item=70), make.sale("7.00", line_item=71))
    make.store_orders(make.context(1), make.order(7, moment, bought, customer=2, lines=lines))
    synced(1, datetime.now(UTC))
    at = open_page("products.py", ALICE, product="1")
    cards = {metric.label: metric.value for metric in at.metric}
    assert (cards["Net sales"], cards["Units sold"], cards["Customers"]) == ("$180.00", "3", "2")
    buyers, companions = (
        next(each.value for each in at.dataframe if list(each.value)[:2] == names)
        for names in (["Customer", "Net sales"], ["Product", "Orders"])
    )
    assert buyers["Net sales"].tolist() == [100.0, 80.0]
    assert companions.values.tolist() == [["Bowl", 1, 0.333]]
    at.button(key="close_product").click().run()
    assert "product" not in at.query_params


@pytest.mark.parametrize("asked", ["999", "x", "-1", "0", "9" * 40])
def test_a_product_that_is_not_there_is_a_sentence(cast, asked) -> None:
    at = open_page("products.py", ALICE, product=asked)
    assert "names a product that is not in this store" in " ".join(info.value for info in at.info)


def test_nobody_opens_a_product_of_another_store(cast) -> None:
    add_product(1, 88, "Zebra", 3)
    at = open_page("products.py", CHARLIE, product="88")
    assert "Zebra" not in read_aloud(at) and "names a product that is not" in " ".join(i.value for i in at.info)
