"""A bulk file of N orders as Shopify writes it, with groupObjects: about 3.5 lines an order besides the ledger."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=UTC)


def write_orders(path: Path, orders: int, *, days: int = 730, seed: int = 7) -> int:
    """Write the file, oldest order first; the number of lines."""
    rng = random.Random(seed)
    lines = 0
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, orders + 1):
            moment = START + timedelta(seconds=days * 86400 * number / orders)
            for line in _order(number, moment, rng):
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
                lines += 1
    return lines


def _order(number: int, moment: datetime, rng: random.Random) -> list[dict[str, object]]:
    gid, at = f"gid://shopify/Order/{number}", _stamp(moment)
    count = rng.choices((1, 2, 3, 4), weights=(30, 30, 25, 15))[0]
    prices = [rng.randrange(500, 9900) for _ in range(count)]
    shipping, refunded = 595, rng.random() < 0.08
    total = sum(prices) + shipping
    back = prices[0] if refunded else 0
    header: dict[str, object] = {
        "id": gid,
        "name": f"#{number}",
        "createdAt": at,
        "processedAt": at,
        "updatedAt": at,
        "cancelledAt": None,
        "test": False,
        "currencyCode": "USD",
        "taxesIncluded": False,
        "displayFinancialStatus": "PARTIALLY_REFUNDED" if refunded else "PAID",
        "displayFulfillmentStatus": "FULFILLED",
        "sourceName": "web",
        "discountCodes": [],
        "customer": {"id": f"gid://shopify/Customer/{rng.randrange(1, max(2, number // 6 + 2))}"},
        "currentTotalPriceSet": _bag(total - back),
        "originalTotalPriceSet": _bag(total),
        "totalShippingPriceSet": _bag(shipping),
        "totalTaxSet": _bag(0),
        "totalTipReceivedSet": _bag(0),
        "refunds": [],
    }
    later = _stamp(moment + timedelta(days=5))
    if refunded:
        header["refunds"] = [
            {
                "id": f"gid://shopify/Refund/{number}",
                "createdAt": later,
                "processedAt": later,
                "updatedAt": later,
                "totalRefundedSet": _bag(back),
            }
        ]
    found = [header]
    for place, price in enumerate(prices):
        found.append(
            {
                "id": f"gid://shopify/LineItem/{number * 10 + place}",
                "title": f"Product {rng.randrange(500)}",
                "variantTitle": None,
                "sku": f"SKU-{place}",
                "vendor": "Vendor",
                "quantity": 1,
                "currentQuantity": 1,
                "isGiftCard": False,
                "product": {"id": f"gid://shopify/Product/{rng.randrange(1, 1000)}"},
                "variant": {"id": f"gid://shopify/ProductVariant/{rng.randrange(1, 3000)}"},
                "originalTotalSet": _bag(price),
                "discountAllocations": [],
                "taxLines": [],
                "__parentId": gid,
            }
        )
    sales = [("PRODUCT", "ORDER", price, number * 10 + place, 1) for place, price in enumerate(prices)]
    found += _agreement(gid, number * 4, at, "ORDER", [*sales, ("SHIPPING", "ORDER", shipping, None, None)])
    if refunded:
        found += _agreement(gid, number * 4 + 1, later, "REFUND", [("PRODUCT", "RETURN", -back, number * 10, -1)])
    return found


def _agreement(
    order: str, number: int, at: str, reason: str, sales: list[tuple[str, str, int, int | None, int | None]]
) -> list[dict[str, object]]:
    gid = f"gid://shopify/SalesAgreement/{number}"
    found: list[dict[str, object]] = [{"id": gid, "happenedAt": at, "reason": reason, "__parentId": order}]
    for place, (kind, action, amount, line, quantity) in enumerate(sales):
        row: dict[str, object] = {
            "id": f"gid://shopify/Sale/{number * 8 + place}",
            "actionType": action,
            "lineType": kind,
            "quantity": quantity,
            "totalAmount": _bag(amount),
            "totalTaxAmount": _bag(0),
            "totalDiscountAmountBeforeTaxes": _bag(0),
            "__parentId": gid,
        }
        if line is not None:
            row["lineItem"] = {"id": f"gid://shopify/LineItem/{line}"}
        found.append(row)
    return found


def _bag(cents: int) -> dict[str, dict[str, str]]:
    return {"shopMoney": {"amount": f"{cents / 100:g}" if cents % 100 else f"{cents // 100}.0", "currencyCode": "USD"}}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
