"""Stores with two hundred days of invented orders up to today, keys to them, and a client that shows a key."""

import random
from datetime import timedelta
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.auth import keys
from core.db.engine import shop_session
from core.db.models import Customer, Product, ShopScoped
from core.db.money import exponent
from core.sync.resources.resource import ShopContext
from core.web.middleware import MIDDLEWARE
from core.web.routes import ROUTES
from tests import factories as make
from tests.conftest import STARTED

ALICE, BOB, VERA, CHARLIE = 1, 2, 3, 4
API = "/api/v1"
NOON = STARTED.replace(hour=12, minute=0, second=0, microsecond=0)


def cast() -> None:
    """Alice owns shop 1, Bob is its analyst, Vera its viewer; Charlie owns shop 2. All orders are still to come."""
    for shop_id in (1, 2):
        make.add_shop(shop_id, time_zone="UTC", personal_data=True)
    make.add_user(ALICE, "alice@example.com", 1)
    make.add_user(BOB, "bob@example.com", 1, role="analyst")
    make.add_user(VERA, "vera@example.com", 1, role="analyst")
    make.add_user(CHARLIE, "charlie@example.com", 2)


def fill(shop: ShopContext, orders: int = 45, seed: int = 1) -> None:
    """Orders of a dozen customers and guests over 200 days, some returned in part, with a small catalogue."""
    dice = random.Random(seed)
    decimals = exponent(shop.currency)

    def amount(units: float) -> str:
        return f"{units:.{decimals}f}"

    rows: list[ShopScoped] = [
        Customer(shop_id=shop.shop_id, id=number, name=f"Customer {number}", email=f"{number}@buyers.example",
                 created_at=NOON, updated_at=NOON)
        for number in range(1, 13)
    ]  # fmt: skip
    rows += [
        Product(shop_id=shop.shop_id, id=number, title=title, handle=title, status="ACTIVE", product_type=kind,
                vendor="Harbor", created_at=NOON, updated_at=NOON)
        for number, title, kind in ((1, "Mug", "Kitchen"), (2, "=SUM(A1)", "Kitchen"), (3, "Tent", "Outdoor"))
    ]  # fmt: skip
    with shop_session(shop.shop_id, write=True) as session:
        session.add_all(rows)
    make.store_orders(shop, *(_order(shop, number, dice, amount) for number in range(1, orders + 1)))


def _order(shop: ShopContext, number: int, dice: random.Random, amount: Any) -> dict[str, Any]:
    at = NOON - timedelta(days=dice.randrange(200), hours=dice.randrange(12))
    product, price = dice.randint(1, 3), dice.randint(1_000, 99_999)
    tax, total = amount(price // 10 / 100), amount(price / 100)
    item = make.line_item(number, product=product, total=total, currency=shop.currency)
    booked = [make.agreement(at, make.sale(total, tax=tax, line_item=number, currency=shop.currency))]
    if dice.random() < 0.2:
        back = make.sale(f"-{total}", tax=f"-{tax}", action="RETURN", quantity=-1, line_item=number,
                         currency=shop.currency)  # fmt: skip
        booked.append(make.agreement(min(at + timedelta(days=3), NOON), back, reason="RETURN"))
    customer = dice.randint(1, 12) if dice.random() < 0.8 else None
    return make.order(
        number, at, *booked, customer=customer, lines=[item], currency=shop.currency,
        email=None if customer else f"guest{number}@example.com", sourceName=dice.choice(["web", "pos"]),
        currentTotalPriceSet=make.bag(total, shop.currency),
    )  # fmt: skip


def client(user_id: int, shop_id: int = 1) -> TestClient:
    """A client that shows a new key of the user's at the routes as the program serves them."""
    return with_key(keys.make(user_id, shop_id, "Warehouse"))


def with_key(secret: str | None) -> TestClient:
    """A client that shows this key, or none."""
    app = Starlette(routes=ROUTES, middleware=MIDDLEWARE)
    headers = {"Authorization": f"Bearer {secret}"} if secret is not None else {}
    return TestClient(app, headers=headers, base_url=f"http://localhost{API}")


def data(answer: httpx2.Response) -> Any:
    """The rows of an answer that is one."""
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]
