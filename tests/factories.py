"""Documents as Shopify sends them and shops as they are stored, with only what a test cares about to say."""

from datetime import UTC, datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from core.db.engine import shop_session, system_session
from core.db.models import Membership, Shop, User
from core.shopify.queries import Grants
from core.sync.lease import ensure_streams
from core.sync.resources.orders import store
from core.sync.resources.resource import Counts, ShopContext

SCOPES = frozenset({"read_orders", "read_customers", "read_products"})
_numbers = count(1)


def add_shop(shop_id: int, currency: str = "USD", time_zone: str = "America/New_York", **columns: Any) -> ShopContext:
    """A connected shop; what mapping needs to know of it."""
    names = {"domain": f"shop-{shop_id}.myshopify.com", "name": f"Shop {shop_id}", "token": "sealed", **columns}
    with system_session(write=True) as session:
        session.add(
            Shop(id=shop_id, gid=shop_id, currency=currency, time_zone=time_zone, created_at=at("2024-01-01"), **names)
        )
        session.flush()
        ensure_streams(session, shop_id)
    return context(shop_id, currency, time_zone)


def context(shop_id: int = 1, currency: str = "USD", time_zone: str = "America/New_York") -> ShopContext:
    """What mapping needs to know of a shop."""
    return ShopContext(shop_id, currency, ZoneInfo(time_zone), Grants(SCOPES, personal_data=True))


def add_user(user_id: int, email: str, *shops: int, role: str = "owner") -> None:
    """A user with a role in some shops; nobody knows the password."""
    with system_session(write=True) as session:
        session.add(
            User(id=user_id, email=email, name=email.split("@")[0], password_hash="x", created_at=at("2024-01-01"))
        )
        session.flush()
        for shop_id in shops:
            session.add(Membership(user_id=user_id, shop_id=shop_id, role=role))


def at(text: str) -> datetime:
    """A moment in UTC from "2026-11-01" or "2026-11-01T09:30"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """A moment as Shopify writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bag(amount: str, currency: str = "USD") -> dict[str, Any]:
    """A MoneyBag in shop currency."""
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def sale(
    total: str, *, tax: str = "0.0", discount: str = "0.0", action: str = "ORDER", line: str = "PRODUCT",
    quantity: int | None = 1, line_item: int | None = None, currency: str = "USD", id: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One Sale of an agreement; total after discounts and taxes."""
    return {
        "id": id or f"gid://shopify/ProductSale/{next(_numbers)}",
        "actionType": action,
        "lineType": line,
        "quantity": quantity,
        "totalAmount": bag(total, currency),
        "totalTaxAmount": bag(tax, currency),
        "totalDiscountAmountBeforeTaxes": bag(discount, currency),
        "lineItem": {"id": f"gid://shopify/LineItem/{line_item}"} if line_item else None,
    }


def agreement(happened_at: datetime, *sales: dict[str, Any], reason: str = "ORDER") -> dict[str, Any]:
    """One agreement with its sales."""
    return {
        "id": f"gid://shopify/SalesAgreement/{next(_numbers)}",
        "happenedAt": stamp(happened_at),
        "reason": reason,
        "sales": list(sales),
    }


def line_item(
    number: int, *, product: int | None = 1, title: str = "Mug", quantity: int = 1, gift_card: bool = False,
    total: str = "10.0", currency: str = "USD", **fields: Any,
) -> dict[str, Any]:  # fmt: skip
    """One line of an order."""
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "title": title,
        "variantTitle": None,
        "sku": None,
        "vendor": None,
        "quantity": quantity,
        "currentQuantity": quantity,
        "isGiftCard": gift_card,
        "product": {"id": f"gid://shopify/Product/{product}"} if product else None,
        "variant": None,
        "originalTotalSet": bag(total, currency),
        "discountAllocations": [],
        "taxLines": [],
        **fields,
    }


def order(
    number: int, processed_at: datetime, *agreements: dict[str, Any], customer: int | None = 1,
    lines: list[dict[str, Any]] | None = None, currency: str = "USD", updated_at: datetime | None = None, **fields: Any,
) -> dict[str, Any]:  # fmt: skip
    """One order in the shape of bulk.documents."""
    return {
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "createdAt": stamp(processed_at),
        "processedAt": stamp(processed_at),
        "updatedAt": stamp(updated_at or processed_at),
        "cancelledAt": None,
        "test": False,
        "currencyCode": currency,
        "taxesIncluded": False,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "FULFILLED",
        "sourceName": "web",
        "discountCodes": [],
        "customer": {"id": f"gid://shopify/Customer/{customer}"} if customer else None,
        "email": None,
        "shippingAddress": None,
        "billingAddress": None,
        "currentTotalPriceSet": bag("0.0", currency),
        "originalTotalPriceSet": bag("0.0", currency),
        "totalShippingPriceSet": bag("0.0", currency),
        "totalTaxSet": bag("0.0", currency),
        "totalTipReceivedSet": bag("0.0", currency),
        "refunds": [],
        "lineItems": lines if lines is not None else [line_item(number)],
        "agreements": list(agreements),
        **fields,
    }


def store_orders(shop: ShopContext, *documents: dict[str, Any]) -> Counts:
    """Store orders as one batch of a sync does."""
    with shop_session(shop.shop_id, write=True) as session:
        return store(session, shop, documents)
