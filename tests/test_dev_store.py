"""A development store filled and emptied by command: over HTTP, against the demo store, which keeps Shopify's rules."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import func, select

from core import config, dev_store
from core.__main__ import main
from core.db.engine import shop_session, system_session
from core.db.models import AuditEvent, Order, Product, Shop
from core.db.vault import check_keys
from core.demo import answers, invented, mutations, server
from core.demo.catalogue import DEMO_SHOPS, DemoShop
from core.demo.invented import TAG, Money
from core.demo.ledger import sum_total
from core.demo.shapes import gid
from core.shopify.client import ShopClient
from core.sync import connect, jobs
from tests.demo_http import HARBOR, demo_client, serve_demo
from tests.demo_sync import ALICE, Rows, add_demo_shop, living, rows_of

OPENED_ON = date(2026, 11, 10)
ORDERS = """{ orders(first: 250, query: "tag:'shoptally-seed'") { nodes {
  id tags processedAt email customer { id tags } displayFinancialStatus
  lineItems(first: 9) { nodes { product { tags } } }
} } }"""
OTHERS = "{ %s(first: 250, query: \"tag:'shoptally-seed'\") { nodes { id tags } } }"


@dataclass
class Store:
    """The demo store behind a socket, whose time passes only while the client sleeps; `asked` counts its mutations."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    slept_s: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    fail_after: int | None = None

    def now(self) -> datetime:
        """The store's clock: real orders are never of the future for the command, so it is close to the real one."""
        return self.began + timedelta(seconds=round(self.slept_s))

    def sleep(self, seconds: float) -> None:
        """Time passes for the store and its client, and not for the test."""
        self.slept_s += seconds

    def clock(self) -> float:
        """The client's clock."""
        return self.slept_s

    def made(self, root: str = "orders") -> list[dict[str, Any]]:
        """What the store holds of what was made."""
        query = ORDERS if root == "orders" else OTHERS % root
        nodes: list[dict[str, Any]] = demo_client(HARBOR, OPENED_ON, self.now).ask(query)[root]["nodes"]
        return nodes


@pytest.fixture
def store(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    store = Store()
    monkeypatch.setattr(server, "_PLACES", {})
    monkeypatch.setattr(server, "RESTORED_PER_S", 1e6)
    answered = answers._write

    def counted(asked: Any, info: Any, arguments: dict[str, Any]) -> Any:
        if store.fail_after is not None and store.asked.total() >= store.fail_after:
            raise httpx2.ReadError("the line broke")
        store.asked[info.field_name] += 1
        return answered(asked, info, arguments)

    monkeypatch.setattr(answers, "_ROOTS", {**answers._ROOTS, **dict.fromkeys(mutations.MUTATIONS, counted)})
    monkeypatch.setattr(connect, "ShopClient", partial(ShopClient, sleep=store.sleep, clock=store.clock))
    with serve_demo(OPENED_ON, store.now) as address:
        monkeypatch.setenv("SHOPIFY_BASE_URL", f"{address}/{{shop}}")
        monkeypatch.setenv("DEMO", "0")
        config.get_settings.cache_clear()
        check_keys()
        add_demo_shop(ALICE, HARBOR, is_demo=False, opened_on=None)
        yield store


def seed(*words: str, customers: int = 4, products: int = 3, orders: int = 12) -> int:
    counts = ("--customers", str(customers), "--products", str(products), "--orders", str(orders))
    return main(["dev-store", "seed", "--shop", HARBOR.domain, *counts, *words])


def clean(*words: str) -> int:
    return main(["dev-store", "clean", "--shop", HARBOR.domain, *words])


def numbers(nodes: list[dict[str, Any]]) -> list[int]:
    """Which ones they are, by their tags."""
    return sorted(int(re.fullmatch(rf"{TAG}-1-(\d+)", node["tags"][1])[1]) for node in nodes)


def ids(rows: list[dict[str, Any]]) -> set[Any]:
    return {row["id"] for row in rows}


def first_synced_again() -> Rows:
    """What a first sync of the same store stores now, in a row of its own."""
    with system_session(write=True) as session:
        shop = session.get_one(Shop, ALICE)
        shop.gid, shop.domain = 1, "elsewhere.myshopify.com"
        session.flush()
    add_demo_shop(9, HARBOR, is_demo=False, opened_on=None)
    assert jobs.sync_now(9).outcome == "ok"
    return rows_of(9)


def test_a_store_is_filled_synced_and_emptied_again(store: Store, capsys):
    assert jobs.sync_now(ALICE).outcome == "ok"
    before = rows_of()
    assert seed() == 0
    made = store.made()
    assert numbers(made) == list(range(1, 13))
    assert {node["displayFinancialStatus"] for node in made} <= {"PAID", "PENDING"}
    assert all(TAG in line["product"]["tags"] for node in made for line in node["lineItems"]["nodes"])
    assert all(TAG in node["customer"]["tags"] if node["customer"] else TAG in node["email"] for node in made)
    days = {node["processedAt"][:10] for node in made}
    assert min(days) < (store.began - timedelta(days=60)).date().isoformat()
    assert max(days) <= store.began.date().isoformat()
    assert jobs.sync_now(ALICE).outcome == "ok"
    with shop_session(ALICE) as session:
        number = session.exec(select(func.count()).select_from(Order)).one()
        assert number == len(before["order"]) + 12
        assert len(session.exec(select(Product).where(Product.handle.startswith(TAG))).all()) == 3
    assert clean() == 0
    assert [store.made(root) for root in ("orders", "customers", "products")] == [[], [], []]
    store.sleep(3600)
    assert jobs.sync_now(ALICE).outcome == "ok"
    after = living(rows_of())
    fresh = first_synced_again()  # the store's own next order may have come within that hour
    same = ("order", "line_item", "sale", "customer")
    assert {table: ids(after[table]) for table in same} == {table: ids(fresh[table]) for table in same}
    assert all(ids(living(before)[table]) <= ids(after[table]) for table in same)
    said = capsys.readouterr().err
    assert "Making orders: 12 of 12" in said and "Deleted: 12 orders, 4 customers, 3 products" in said
    with system_session() as session:
        actions = session.exec(select(AuditEvent.action, AuditEvent.target).order_by(AuditEvent.id)).all()
    assert actions == [
        ("dev_store_seeded", "3 products, 4 customers, 12 orders"),
        ("dev_store_cleaned", "12 orders, 4 customers, 3 products"),
    ]


def test_a_run_that_was_cut_off_goes_on_and_a_whole_one_has_nothing_left_to_do(store: Store, capsys):
    store.fail_after = 10
    assert seed() == 1
    said = capsys.readouterr().err
    assert "Run the same command again to go on." in said and "Traceback" not in said
    assert len(store.made()) == 3
    store.fail_after = None
    store.sleep(60)
    assert seed() == 0
    assert store.asked == {"productSet": 3, "customerSet": 4, "orderCreate": 12}
    assert numbers(store.made()) == list(range(1, 13))
    assert seed() == 0
    assert store.asked.total() == 19
    assert seed(orders=14) == 0
    assert numbers(store.made()) == list(range(1, 15))


def test_a_development_store_is_asked_for_five_orders_a_minute(store: Store, capsys):
    assert seed(orders=21) == 0
    assert store.asked["orderCreate"] == 21  # none was refused
    assert 240 < store.slept_s < 260
    assert "Making orders: 21, which takes 4 minutes" in capsys.readouterr().err


def test_a_store_that_takes_no_more_for_now_is_asked_again(store: Store, monkeypatch):
    monkeypatch.setattr(dev_store, "_wait_for_orders", lambda _: None)
    assert seed(orders=11) == 0
    assert numbers(store.made()) == list(range(1, 12))
    assert store.asked["orderCreate"] > 11


def test_throttled_by_cost_it_waits_and_goes_on(store: Store, monkeypatch):
    calls = count()
    with monkeypatch.context() as patch:
        patch.setattr(server, "_draw", lambda _, points: points <= 0 or next(calls) % 3 != 0)
        assert seed(orders=5, customers=10) == 0
    assert store.asked == {"productSet": 3, "customerSet": 10, "orderCreate": 5}
    assert store.slept_s > 6


def test_a_product_and_a_customer_that_are_there_already_are_taken_over(store: Store, monkeypatch):
    assert seed(orders=0) == 0
    monkeypatch.setattr(dev_store, "_made", lambda *_: iter(()))  # Shopify's search does not know them yet
    assert seed(orders=0) == 0
    assert len(store.made("products")) == 3 and len(store.made("customers")) == 4


def test_an_order_made_twice_is_made_once_by_the_next_run(store: Store, monkeypatch):
    assert seed(orders=2) == 0
    with monkeypatch.context() as patch:
        own = dev_store._made
        patch.setattr(dev_store, "_made", lambda run, kind, n: iter(()) if kind == "orders" else own(run, kind, n))
        assert seed(orders=2) == 0
    assert numbers(store.made()) == [1, 1, 2, 2]
    assert seed(orders=2) == 0
    assert numbers(store.made()) == [1, 2]


def test_a_store_that_is_no_development_store_is_left_alone_unless_named(store: Store, monkeypatch, capsys):
    shown = answers._ROOTS["shop"]

    def real(*asked: Any) -> dict[str, Any]:
        return {**shown(*asked), "plan": {"publicDisplayName": "Basic", "partnerDevelopment": False}}

    monkeypatch.setitem(answers._ROOTS, "shop", real)
    for words in ((), ("--force-name", "harbor & pine"), ("--force-name", HARBOR.domain)):
        assert seed(*words) == 1
        assert clean(*words) == 1
        said = capsys.readouterr().err
        assert "is no development store" in said and "--force-name" in said
    assert store.asked.total() == 0
    assert seed("--force-name", HARBOR.name, orders=1) == 0
    assert clean("--force-name", HARBOR.name) == 0


def test_a_token_that_may_not_write_is_told_which_scopes_it_lacks(store: Store, monkeypatch, capsys):
    monkeypatch.setattr("core.demo.views.SCOPES", ("read_orders", "write_customers"))
    assert seed() == 1
    assert "The token lacks write_orders, write_products." in capsys.readouterr().err
    assert store.asked.total() == 0


def test_what_was_not_made_here_is_never_deleted(store: Store, monkeypatch):
    """Not even when the search finds more than was asked for, or a merchant uses the same tag."""
    assert seed(orders=1) == 0
    counts = "{ ordersCount(limit: null) { count } customersCount(limit: null) { count } productsCount { count } }"
    demo = demo_client(HARBOR, OPENED_ON, store.now)
    before = demo.ask(counts)
    unfiltered = {kind: text.replace("query: $query, ", "") for kind, text in dev_store._LISTS.items()}
    unfiltered = {kind: text.replace(", $query: String", "") for kind, text in unfiltered.items()}
    monkeypatch.setattr(dev_store, "_LISTS", unfiltered)
    assert clean() == 0
    after = demo.ask(counts)
    gone = {name: before[name]["count"] - after[name]["count"] for name in before}
    assert gone == {"ordersCount": 1, "customersCount": 4, "productsCount": 3}


def test_what_the_store_does_not_delete_is_counted_with_its_reason(store: Store, capsys):
    assert seed(orders=3) == 0
    place = next(iter(server._PLACES.values()))
    number = next(iter(place.store.made.customers))
    place.store.made.customers[number].orders.append(place.store.history.orders[0])
    assert clean() == 1
    assert "1 stay: Shopify refused customerDelete" in capsys.readouterr().err
    assert len(store.made("customers")) == 1


def test_orders_need_products(store: Store, capsys):
    assert seed(products=0) == 1
    assert "Ask for at least one: --products 1." in capsys.readouterr().err


@pytest.mark.parametrize("currency, price", [("USD", "289.00"), ("JPY", "28900"), ("KWD", "28.900")])
def test_amounts_have_the_decimals_of_the_currency(currency: str, price: str):
    money = Money(currency, lambda minor: f"{dev_store.from_minor(minor, currency):f}", False)
    wanted = invented.product_input(1, 1, money)
    assert wanted["variants"][0]["price"] == price
    priced = [[invented.Priced("gid://shopify/ProductVariant/1", 28_900)]]
    now = datetime(2026, 11, 20, tzinfo=UTC)
    order = invented.order_input(1, 1, money, priced, [], now, 12)
    assert json.dumps(order)
    assert datetime.fromisoformat(order["processedAt"]) < now


@pytest.mark.parametrize("shop", DEMO_SHOPS, ids=lambda shop: shop.name)
def test_what_was_paid_is_what_the_order_comes_to(shop: DemoShop):
    """With and without taxes inside the prices, with discounts and shipping."""
    money = Money(shop.currency, lambda minor: f"{dev_store.from_minor(minor, shop.currency):f}", shop.taxes_included)
    made, at = mutations.Made(), datetime(2026, 11, 20, tzinfo=UTC)
    products = []
    for number in range(1, 8):
        wanted = invented.product_input(1, number, money)
        product = made.products[mutations.set_product(made, shop, {"input": wanted}, at).number].product
        products.append([invented.Priced(gid("ProductVariant", one.number), one.price) for one in product.variants])
    paid = 0
    for number in range(1, 121):
        at += timedelta(minutes=1)
        wanted = invented.order_input(1, number, money, products, [], at, 12)
        order = made.orders[mutations.create_order(made, shop, {"order": wanted}, at).number]
        for transaction in wanted.get("transactions", ()):
            paid += 1
            assert transaction["amountSet"] == money.bag(sum_total(order.agreements))
    assert paid > 100


def test_what_is_invented_follows_from_seed_and_number_alone():
    money = Money("USD", str, False)
    assert invented.product_input(7, 3, money) == invented.product_input(7, 3, money)
    assert invented.customer_input(7, 3) == invented.customer_input(7, 3)
    assert invented.customer_input(8, 3) != invented.customer_input(7, 3)
    emails = [invented.customer_input(7, number)["email"] for number in range(1, 200)]
    assert len(set(emails)) == len(emails)
