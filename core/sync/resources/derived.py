"""A ledger for an order that has no agreements (a very old one, or they were refused).

Made from its lines, shipping, taxes and refunds, in the shape of Shopify's agreements, and marked derived on the
order. What cannot be attributed stays visible: as an unclassified row, or as an adjustment of a refund.
"""

from collections.abc import Iterator
from typing import Any

from core.db.money import from_minor
from core.sync.resources.resource import Document, shop_money


def derived_agreements(document: Document, currency: str) -> list[Document]:
    """One ORDER agreement that adds up to the original total, and one REFUND agreement for each refund.

    Raises MalformedRow where an amount is missing.
    """
    included = bool(document.get("taxesIncluded"))
    sales = list(_ordered(document, currency, included))
    agreements = [_agreement("derived-order", document["processedAt"], "ORDER", sales)]
    for refund in document["refunds"]:
        happened_at = refund.get("processedAt") or refund.get("createdAt")
        rows = list(_refunded(refund, currency, included))
        agreements.append(_agreement(f"derived-{refund['id']}", happened_at, "REFUND", rows))
    return agreements


def _ordered(document: Document, currency: str, included: bool) -> Iterator[Document]:
    left = shop_money(document.get("originalTotalPriceSet"), currency)
    tax_left = _amount(document.get("totalTaxSet"), currency)
    for line in document["lineItems"]:
        tax = sum(shop_money(part["priceSet"], currency) for part in line.get("taxLines") or ())
        discount = sum(
            shop_money(part["allocatedAmountSet"], currency) for part in line.get("discountAllocations") or ()
        )
        paid = shop_money(line.get("originalTotalSet"), currency) - discount
        total = paid if included else paid + tax
        if included and total:  # the discount on a price with tax in it holds the same share of tax
            discount -= round(discount * tax / total)
        left, tax_left = left - total, tax_left - tax
        kind = "GIFT_CARD" if line.get("isGiftCard") else "PRODUCT"
        yield _sale("ORDER", kind, total, tax, currency, discount=discount, quantity=line["quantity"], line=line["id"])
    tip = _amount(document.get("totalTipReceivedSet"), currency)
    if tip:
        left -= tip
        yield _sale("ORDER", "TIP", tip, 0, currency)
    if left:
        shipped = _amount(document.get("totalShippingPriceSet"), currency) != 0
        tax = min(max(tax_left, 0), left) if left > 0 else 0
        yield _sale("ORDER", "SHIPPING" if shipped else "UNKNOWN", left, tax, currency)


def _refunded(refund: Document, currency: str, included: bool) -> Iterator[Document]:
    left = shop_money(refund.get("totalRefundedSet"), currency)
    details = refund.get("details") or {}
    parts = [
        ("PRODUCT", line["subtotalSet"], line["totalTaxSet"], -line["quantity"], line["lineItem"]["id"])
        for line in details.get("refundLineItems") or ()
    ] + [
        ("SHIPPING", line["subtotalAmountSet"], line["taxAmountSet"], 0, None)
        for line in details.get("refundShippingLines") or ()
    ]
    for kind, subtotal, taxes, quantity, line in parts:
        tax = shop_money(taxes, currency)
        total = shop_money(subtotal, currency) + (0 if included else tax)
        left -= total
        yield _sale("RETURN", kind, -total, -tax, currency, quantity=quantity, line=line)
    if left:
        yield _sale("RETURN", "ADJUSTMENT", -left, 0, currency)


def _agreement(gid: str, happened_at: Any, reason: str, sales: list[Document]) -> Document:
    numbered = [{**sale, "id": f"{gid}/{number}"} for number, sale in enumerate(sales)]
    return {"id": gid, "happenedAt": happened_at, "reason": reason, "sales": numbered}


def _sale(
    action: str,
    kind: str,
    total: int,
    tax: int,
    currency: str,
    *,
    discount: int = 0,
    quantity: int = 0,
    line: Any = None,
) -> Document:
    return {
        "actionType": action,
        "lineType": kind,
        "quantity": quantity,
        "totalAmount": _bag(total, currency),
        "totalTaxAmount": _bag(tax, currency),
        "totalDiscountAmountBeforeTaxes": _bag(discount, currency),
        "lineItem": {"id": line} if line else None,
    }


def _bag(minor: int, currency: str) -> Document:
    return {"shopMoney": {"amount": str(from_minor(minor, currency)), "currencyCode": currency}}


def _amount(bag: Any, currency: str) -> int:
    return shop_money(bag, currency) if bag else 0
