"""What a development store lets an app write: products, customers and orders, in memory and for this process alone.

As at Shopify a product is found by its handle and a customer by the e-mail address, a development store takes five
orders a minute, and a customer with orders cannot be deleted.
https://shopify.dev/docs/api/admin-graphql/2026-10/mutations/orderCreate
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.demo.catalogue import DemoShop, Product, Variant, products_of
from core.demo.history import Customer
from core.demo.ledger import NOTHING, Agreement, Line, Sale, price_amounts
from core.demo.orders import ID_STEP, Order
from core.demo.people import Person, Place
from core.demo.shapes import Reference, Shape

ORDERS_A_MINUTE = 5
_FIRST_ORDER = 200_000  # neither the history nor live orders come so far
_NEVER = datetime.max.replace(tzinfo=UTC)
_TOO_MANY = (
    "Exceeded order API rate limit, please try again in a minute. Upgrade to a paid account to remove this limit."
)


@dataclass(frozen=True, slots=True)
class MadeProduct:
    """A product that was made, with what only such a one has."""

    product: Product
    handle: str
    tags: tuple[str, ...]
    created_at: datetime


@dataclass
class Made:
    """All that was written into one shop; `gone` what was destroyed again, as (kind, number, moment)."""

    products: dict[int, MadeProduct] = field(default_factory=dict)
    customers: dict[int, Customer] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    gone: list[tuple[str, int, datetime]] = field(default_factory=list)
    count: int = 0
    emails: dict[int, str] = field(default_factory=dict)


class Refusal(Exception):
    """A mutation's user error: the field, the message, the code."""

    def __init__(self, place: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.shape = {"field": [place], "message": message, "code": code}


def set_product(made: Made, shop: DemoShop, given: Shape, now: datetime) -> Reference:
    """productSet: the product with this handle, made or changed. Raises Refusal."""
    wanted, handle = given["input"], (given.get("identifier") or {}).get("handle")
    known = next((n for n, one in made.products.items() if one.handle == wanted.get("handle", handle)), None)
    if known is not None and handle is None:
        raise Refusal("handle", "Handle already in use. Please provide a new handle.", "HANDLE_NOT_UNIQUE")
    if known is None:
        made.count += 1
    number = known or 8_900_000_000_000 + shop.number % 1_000 * 1_000_000_000 + made.count * 32_768
    variants = tuple(
        Variant(number * 5 + place * 32_768, " / ".join(value["name"] for value in one["optionValues"]),
                one.get("sku") or "", _cents(one.get("price") or "0"))
        for place, one in enumerate(wanted.get("variants") or (), start=1)
    )  # fmt: skip
    if not variants:
        raise Refusal("variants", "Variants input is missing", "VARIANTS_INPUT_MISSING")
    product = Product(
        number=number, title=wanted["title"], vendor=wanted.get("vendor") or "", variants=variants, popularity=1.0,
        product_type=wanted.get("productType") or "", category=("na", "Uncategorized"), listed_on_day=0, deleted=False,
    )  # fmt: skip
    made.products[number] = MadeProduct(product, wanted["handle"], tuple(wanted.get("tags") or ()), now)
    return Reference("Product", number)


def set_customer(made: Made, shop: DemoShop, given: Shape, now: datetime) -> Reference:
    """customerSet: the customer with this e-mail address, made or changed. Raises Refusal."""
    wanted, email = given["input"], (given.get("identifier") or {}).get("email")
    known = next((n for n, one in made.emails.items() if one == wanted.get("email", email)), None)
    if known is not None and email is None:
        raise Refusal("email", "Email has already been taken", "TAKEN")
    if known is None:
        made.count += 1
    number = known or 7_900_000_000_000 + shop.number % 1_000 * 1_000_000_000 + made.count * 32_768
    person = Person(
        wanted.get("firstName") or "", wanted.get("lastName") or "", wanted["email"], Place("US", None, "", ())
    )
    orders = made.customers[number].orders if known else []
    made.customers[number] = Customer(number, now, person, "DISABLED", 0.0, orders, tuple(wanted.get("tags") or ()))
    made.emails[number] = wanted["email"]
    return Reference("Customer", number)


def create_order(made: Made, shop: DemoShop, given: Shape, now: datetime) -> Reference:
    """orderCreate. Raises Refusal."""
    if sum(order.created_at > now - timedelta(minutes=1) for order in made.orders.values()) >= ORDERS_A_MINUTE:
        raise Refusal("order", _TOO_MANY)
    wanted = given["order"]
    made.count += 1
    number = 5_600_000_000_000 + shop.number % 1_000 * 1_000_000_000 + (_FIRST_ORDER + made.count) * ID_STEP
    customer = _customer(made, ((wanted.get("customer") or {}).get("toAssociate") or {}).get("id"))
    discount = (wanted.get("discountCode") or {}).get("itemPercentageDiscountCode")
    lines = tuple(
        _line(made, shop, number + place, one, Decimal(str(discount["percentage"])) if discount else Decimal(0))
        for place, one in enumerate(wanted.get("lineItems") or (), start=1)
    )
    if not lines:
        raise Refusal("lineItems", "Line items must have at least one line item", "INVALID")
    price = sum(_cents(one["priceSet"]["shopMoney"]["amount"]) for one in wanted.get("shippingLines") or ())
    shipping = price_amounts(price, 0, (), included=shop.taxes_included)[0] if price else NOTHING
    sales = [
        Sale(number * 8 + place, "ORDER", "PRODUCT", line.quantity, line.amounts, line.number)
        for place, line in enumerate(lines, start=1)
    ]
    if price:
        sales.append(Sale(number * 8 + 7, "ORDER", "SHIPPING", 1, shipping, None))
    at = wanted.get("shippingAddress")
    place = Place(at["countryCode"], at.get("provinceCode"), at.get("city") or "", ()) if at else None
    order = Order(
        number=number, sequence=_FIRST_ORDER + made.count, created_at=now, place=place, lines=lines, shipping=shipping,
        processed_at=min(datetime.fromisoformat(wanted["processedAt"]), now) if wanted.get("processedAt") else now,
        customer_number=customer.number if customer else None,
        email=customer.person.email if customer else wanted.get("email"),
        source=wanted.get("sourceName") or "app", discount_codes=(discount["code"],) if discount else (),
        test=bool(wanted.get("test")), shipping_price=price, shipping_off=0, tip=0,
        agreements=(Agreement(number * 2 + 1, now, "ORDER", tuple(sales)),), refunds=(),
        paid_at=now if wanted.get("financialStatus") == "PAID" else _NEVER, fulfilled_at=None, cancelled_at=None,
        cancel_reason=None, moments=(now,), tags=tuple(wanted.get("tags") or ()),
    )  # fmt: skip
    made.orders[number] = order
    if customer is not None:
        customer.orders.append(order)
    return Reference("Order", number)


def delete_order(made: Made, _: DemoShop, given: Shape, now: datetime) -> str:
    """orderDelete; the id. Raises Refusal for what was not made here."""
    text: str = given["orderId"]
    order = made.orders.pop(_number(text), None)
    if order is None:
        raise Refusal("orderId", "Order does not exist", "NOT_FOUND")
    if order.customer_number in made.customers:
        made.customers[order.customer_number].orders.remove(order)
    made.gone.append(("Order", order.number, now))
    return text


def delete_customer(made: Made, _: DemoShop, given: Shape, now: datetime) -> str:
    """customerDelete; the id. Raises Refusal, also for one with orders."""
    text: str = given["input"]["id"]
    customer = _customer(made, text)
    if customer is None:
        raise Refusal("id", "Customer can't be found")
    if customer.orders:
        raise Refusal("id", "Customer can't be deleted because they have associated orders")
    del made.customers[customer.number], made.emails[customer.number]
    made.gone.append(("Customer", customer.number, now))
    return text


def delete_product(made: Made, _: DemoShop, given: Shape, now: datetime) -> str:
    """productDelete; the id. Raises Refusal."""
    text: str = given["input"]["id"]
    product = made.products.pop(_number(text), None)
    if product is None:
        raise Refusal("id", "Product does not exist")
    made.gone.append(("Product", product.product.number, now))
    return text


def _customer(made: Made, text: str | None) -> Customer | None:
    return made.customers.get(_number(text)) if text is not None else None


def _line(made: Made, shop: DemoShop, number: int, given: Shape, percent: Decimal) -> Line:
    wanted = _number(given.get("variantId") or "")
    every = [*products_of(shop), *(one.product for one in made.products.values())]
    found = [(product, variant) for product in every for variant in product.variants if variant.number == wanted]
    if not found:
        raise Refusal("lineItems", "Variant does not exist", "INVALID")
    product, variant = found[0]
    quantity = given["quantity"]
    rates: Sequence[tuple[str, float]] = [(one["title"], float(one["rate"])) for one in given.get("taxLines") or ()]
    off = int((variant.price * quantity * percent + 50) // 100)
    amounts, taxes = price_amounts(variant.price * quantity, off, rates, included=shop.taxes_included)
    return Line(number * 3, product, variant, quantity, (off,) if off else (), taxes, amounts)


def _cents(amount: str) -> int:
    return int(Decimal(amount) * 100)


def _number(text: str) -> int:
    match = re.search(r"/(\d+)$", text)
    return int(match[1]) if match else 0


def write(name: str, made: Made, shop: DemoShop, given: Shape, now: datetime) -> Shape:
    """The payload of a mutation of MUTATIONS: what it made or deleted, or why it was refused."""
    key, change = MUTATIONS[name]
    try:
        return {key: change(made, shop, given, now), "userErrors": []}
    except Refusal as refusal:
        return {key: None, "userErrors": [refusal.shape]}


MUTATIONS: dict[str, tuple[str, Callable[[Made, DemoShop, Shape, datetime], Reference | str]]] = {
    "productSet": ("product", set_product),
    "customerSet": ("customer", set_customer),
    "orderCreate": ("order", create_order),
    "orderDelete": ("deletedId", delete_order),
    "customerDelete": ("deletedCustomerId", delete_customer),
    "productDelete": ("deletedProductId", delete_product),
}
