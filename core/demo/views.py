"""What a demo shop shows at a moment: plain dicts shaped like Shopify's objects.

A field holds its value, a list (of rows, also for connections) or a Reference that is looked up when read.
Both readers, GraphQL (answers.py) and bulk (bulk.py), read these dicts, so they cannot disagree.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from threading import Lock

from core.demo.catalogue import SCOPES, DemoShop, Product, products_of
from core.demo.checkouts import LeftCheckout, checkout_row, left_on
from core.demo.destroyed import customer_destroyed_at, destroyed_event, order_destroyed_at
from core.demo.history import Customer, History, write_through
from core.demo.ledger import NOTHING, Agreement, Line, Refund, sum_tax, sum_total
from core.demo.live import Placed, live_order
from core.demo.mutations import Made, MadeProduct, write
from core.demo.orders import ID_STEP, Order
from core.demo.shapes import Reference, Row, Shape, gid, moment_text, money_in, show_address
from core.demo.stock import inventory_row, item_number


@dataclass
class Store:
    """One demo shop's history with the orders already shown; asked by several threads at once."""

    history: History
    shown: dict[int, tuple[int, Shape]] = field(default_factory=dict)
    left: dict[date, tuple[LeftCheckout, ...]] = field(default_factory=dict)
    live: dict[int, Order] = field(default_factory=dict)
    made: Made = field(default_factory=Made)
    last: "Snapshot | None" = None
    lock: Lock = field(default_factory=Lock)


@dataclass
class Snapshot:
    """A demo shop at one moment."""

    store: Store
    now: datetime
    all_orders: tuple[Order, ...]
    all_customers: dict[int, Customer]
    found: dict[tuple[str, int], Shape | None] = field(default_factory=dict)

    @property
    def shop(self) -> DemoShop:
        """The shop this is a picture of."""
        return self.store.history.shop

    def rows(self, root: str) -> dict[int, Row]:
        """The objects of a root field of the schema, by number."""
        rows: dict[int, Row] = getattr(
            self, {"abandonedCheckouts": "checkouts", "inventoryItems": "stock"}.get(root, root)
        )
        return rows

    @cached_property
    def orders(self) -> dict[int, Row]:
        """The orders placed so far and not destroyed, by number."""
        placed = (order for order in self.all_orders if order.created_at <= self.now)
        return {order.number: self._order_row(order) for order in placed if self._is_there(order_destroyed_at(order))}

    @cached_property
    def customers(self) -> dict[int, Row]:
        """The customers known so far and not destroyed, by number."""
        known = (customer for customer in self.all_customers.values() if customer.created_at <= self.now)
        there = [customer for customer in known if self._is_there(customer_destroyed_at(customer))]
        return {c.number: self._customer_row(c) for c in (*there, *self.store.made.customers.values())}

    def _is_there(self, destroyed_at: datetime | None) -> bool:
        return destroyed_at is None or self.now < destroyed_at

    @cached_property
    def products(self) -> dict[int, Row]:
        """The products on sale so far, by number; a deleted one is gone."""
        rows = (self._product_row(product) for product in products_of(self.shop) if not product.deleted)
        made = [made_product_row(one) for one in tuple(self.store.made.products.values())]
        return {row.number: row for row in (*rows, *made) if row.created_at <= self.now}

    @cached_property
    def checkouts(self) -> dict[int, Row]:
        """The checkouts left in the last three months, by number: Shopify forgets older ones."""
        last = self.now.astimezone(self.shop.zone).date()
        first = max(self.store.history.opened_on, last - timedelta(days=90))
        left: list[LeftCheckout] = []
        for day in (first + timedelta(days=count) for count in range((last - first).days + 1)):
            if day not in self.store.left:
                self.store.left[day] = left_on(self.shop, self.store.history.opened_on, day, self.all_customers)
            left += self.store.left[day]
        return {one.number: checkout_row(self.shop, one, self.now) for one in left if one.created_at <= self.now}

    @cached_property
    def stock(self) -> dict[int, Row]:
        """The inventory items of the variants on sale, by number."""
        day = (self.now.astimezone(self.shop.zone).date() - self.store.history.opened_on).days
        rows = (
            inventory_row(self.shop, product, variant, self.products[product.number].created_at, day)
            for product in (*products_of(self.shop), *(one.product for one in self.store.made.products.values()))
            if product.number in self.products
            for variant in product.variants
        )
        return {row.number: row for row in rows}

    @cached_property
    def events(self) -> dict[int, Row]:
        """What was destroyed so far, by the event's number."""
        gone = [("Order", order.number, order_destroyed_at(order)) for order in self.all_orders]
        gone += [("Customer", one.number, customer_destroyed_at(one)) for one in self.all_customers.values()]
        gone += self.store.made.gone
        rows = (destroyed_event(kind, number, at) for kind, number, at in gone if at is not None and at <= self.now)
        return {row.number: row for row in rows}

    def find(self, kind: str, number: int) -> Shape | None:
        """The object with this number, or None."""
        if (kind, number) not in self.found:
            if kind == "ProductVariant":
                shape = self._variants.get(number)
            elif kind == "Refund":
                shape = self._find_refund(number)
            else:
                row = self.rows(_ROOTS[kind]).get(number) if kind in _ROOTS else None
                shape = row.show() if row else None
            self.found[kind, number] = shape
        return self.found[kind, number]

    @cached_property
    def _variants(self) -> dict[int, Shape]:
        variants = (variant for number in self.products for variant in (self.find("Product", number) or {})["variants"])
        return {int(variant["legacyResourceId"]): variant for variant in variants}

    def _find_refund(self, number: int) -> Shape | None:
        """An order numbers its refunds a little above itself, so its own number is the next one below."""
        row = next((row for order, row in self.orders.items() if order < number < order + ID_STEP), None)
        refunds = row.show()["refunds"] if row else []
        return next((refund for refund in refunds if refund["legacyResourceId"] == str(number)), None)

    def _order_row(self, order: Order) -> Row:
        seen = bisect_right(order.moments, self.now)
        return Row(
            order.number, order.created_at, order.moments[seen - 1], order.processed_at,
            lambda: self._show(order, seen), {"tag": ",".join(order.tags)},
        )  # fmt: skip

    def _show(self, order: Order, seen: int) -> Shape:
        known = self.store.shown.get(order.number)
        if known is None or known[0] != seen:
            known = seen, show_order(self.shop, order, order.moments[seen - 1])
            self.store.shown[order.number] = known
        return known[1]

    def _customer_row(self, customer: Customer) -> Row:
        bought = [order.created_at for order in customer.orders if order.created_at <= self.now]
        updated_at = bought[-1] if bought else customer.created_at
        return Row(
            customer.number, customer.created_at, updated_at, customer.created_at,
            lambda: show_customer(customer, updated_at, len(bought)), {"tag": ",".join(customer.tags)},
        )  # fmt: skip

    def _product_row(self, product: Product) -> Row:
        opened_on = self.store.history.opened_on
        created_at = product.created_at(self.shop, opened_on)
        updated_at = product.updated_at(self.shop, opened_on, self.now)
        return Row(
            product.number, created_at, updated_at, created_at, lambda: show_product(product, created_at, updated_at),
            {"tag": product.product_type},
        )  # fmt: skip


def take_snapshot(store: Store, now: datetime) -> Snapshot:
    """The shop as it is at `now` (aware); writes the history up to that day first."""
    with store.lock:
        write_through(store.history, now.astimezone(store.history.shop.zone).date())
        if store.last is None or store.last.now != now:
            orders = (*store.history.orders, *store.live.values(), *store.made.orders.values())
            store.last = Snapshot(store, now, orders, dict(store.history.customers))
        return store.last


def place_live(store: Store, placed: Placed) -> None:
    """Let the shop have these live orders, by number and moment, too."""
    with store.lock:
        for number, at in placed:
            if number not in store.live:
                store.live[number] = live_order(store.history.shop, store.history.opened_on, number, at)
                store.last = None


def write_to(store: Store, name: str, given: Shape, now: datetime) -> Shape:
    """The payload of one of the mutations; who reads afterwards sees what it did."""
    with store.lock:
        store.last = None
        return write(name, store.made, store.history.shop, given, now)


def open_store(shop: DemoShop, opened_on: date) -> Store:
    """An empty store of a shop whose first day is `opened_on`."""
    return Store(History(shop, opened_on))


def show_shop(shop: DemoShop) -> Shape:
    """The shop itself."""
    return {
        "__typename": "Shop", "id": shop.gid, "name": shop.name, "myshopifyDomain": shop.domain,
        "currencyCode": shop.currency, "ianaTimezone": shop.time_zone, "taxesIncluded": shop.taxes_included,
        "plan": {"__typename": "ShopPlan", "publicDisplayName": "Development", "partnerDevelopment": True},
    }  # fmt: skip


def show_installation(shop: DemoShop) -> Shape:
    """The app's installation with its granted scopes."""
    scopes = [{"__typename": "AccessScope", "handle": handle, "description": handle} for handle in SCOPES]
    number = shop.number + 77
    return {"__typename": "AppInstallation", "id": gid("AppInstallation", number), "accessScopes": scopes}


def show_customer(customer: Customer, updated_at: datetime, orders: int) -> Shape:
    """A customer with the number of orders so far."""
    person = customer.person
    email = {"__typename": "CustomerEmailAddress", "emailAddress": person.email} if person.email else None
    return {
        "__typename": "Customer", "id": gid("Customer", customer.number), "legacyResourceId": str(customer.number),
        "createdAt": moment_text(customer.created_at), "updatedAt": moment_text(updated_at), "state": customer.state,
        "numberOfOrders": str(orders), "displayName": f"{person.first_name} {person.last_name}",
        "firstName": person.first_name, "lastName": person.last_name, "tags": list(customer.tags),
        "defaultEmailAddress": email,
    }  # fmt: skip


def show_product(product: Product, created_at: datetime, updated_at: datetime) -> Shape:
    """A product with its variants."""
    code, full_name = product.category
    return {
        "__typename": "Product", "id": gid("Product", product.number), "legacyResourceId": str(product.number),
        "title": product.title, "handle": _handle(product.title), "status": "ACTIVE",
        "productType": product.product_type, "vendor": product.vendor, "tags": [product.product_type],
        "isGiftCard": product.is_gift_card, "createdAt": moment_text(created_at), "updatedAt": moment_text(updated_at),
        "category": {"__typename": "TaxonomyCategory", "id": gid("TaxonomyCategory", code),
                     "name": full_name.rsplit(" > ", 1)[-1], "fullName": full_name},
        "variantsCount": {"__typename": "Count", "count": len(product.variants), "precision": "EXACT"},
        "variants": [
            {"__typename": "ProductVariant", "id": gid("ProductVariant", variant.number),
             "legacyResourceId": str(variant.number), "title": variant.title, "sku": variant.sku,
             "price": f"{variant.price // 100}.{variant.price % 100:02d}", "position": position,
             "createdAt": moment_text(created_at), "updatedAt": moment_text(updated_at),
             "product": Reference("Product", product.number),
             "inventoryItem": Reference("InventoryItem", item_number(variant))}
            for position, variant in enumerate(product.variants, start=1)
        ],
    }  # fmt: skip


def made_product_row(made: MadeProduct) -> Row:
    """A product that was made by productSet."""
    product, at = made.product, made.created_at
    own = {"handle": made.handle, "tags": list(made.tags), "category": None}
    return Row(product.number, at, at, at, lambda: show_product(product, at, at) | own, {"tag": ",".join(made.tags)})


def _handle(title: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in title.lower()).split())


def show_order(shop: DemoShop, order: Order, now: datetime) -> Shape:
    """An order as its events up to `now` made it."""
    agreements = [agreement for agreement in order.agreements if agreement.happened_at <= now]
    agreed = [agreement for agreement in agreements if agreement.reason != "REFUND"]
    refunds = [refund for refund in order.refunds if refund.created_at <= now]
    lines = [line for line in order.lines if line.added_at is None or line.added_at <= now]
    returned: dict[int | None, int] = {}
    for sale in (sale for agreement in agreements for sale in agreement.sales if sale.action == "RETURN"):
        returned[sale.line_number] = returned.get(sale.line_number, 0) - (sale.quantity or 0)
    cancelled_at = order.cancelled_at if order.cancelled_at and order.cancelled_at <= now else None
    fulfilled_at = order.fulfilled_at if order.fulfilled_at and order.fulfilled_at <= now else None
    closed_at = cancelled_at or fulfilled_at
    money = money_in(shop.currency)
    line_shapes = {line.number: _show_line(line, line.quantity - returned.get(line.number, 0), money) for line in lines}
    refund_shapes = {refund.number: _show_refund(order, refund, line_shapes, money) for refund in refunds}
    given_back = sum(refund.money for refund in refunds)
    paid = sum_total(agreed) + sum(refund.money for refund in refunds if not refund.lines)
    off = sum(sum(line.discounts) for line in lines) + order.shipping_off
    address = show_address(order.number, order.place) if order.place else None
    return {
        "__typename": "Order", "id": gid("Order", order.number), "legacyResourceId": str(order.number),
        "name": f"#{1000 + order.sequence}", "number": 1000 + order.sequence,
        "createdAt": moment_text(order.created_at), "processedAt": moment_text(order.processed_at),
        "updatedAt": moment_text(now), "cancelledAt": moment_text(cancelled_at) if cancelled_at else None,
        "cancelReason": order.cancel_reason if cancelled_at else None,
        "closedAt": moment_text(closed_at) if closed_at else None, "test": order.test,
        "edited": any(agreement.reason == "ORDER_EDIT" for agreement in agreements),
        "currencyCode": shop.currency, "taxesIncluded": shop.taxes_included,
        "displayFinancialStatus": _financial_status(order, now, paid, given_back, cancelled=cancelled_at is not None),
        "displayFulfillmentStatus": "FULFILLED" if fulfilled_at else "UNFULFILLED",
        "sourceName": order.source, "discountCodes": list(order.discount_codes), "tags": list(order.tags),
        "email": order.email,
        "customer": Reference("Customer", order.customer_number) if order.customer_number else None,
        "shippingAddress": address, "billingAddress": address,
        "subtotalLineItemsQuantity": sum(line.quantity for line in lines),
        "totalPriceSet": money(sum_total(agreed)), "currentTotalPriceSet": money(sum_total(agreements)),
        "originalTotalPriceSet": money(sum_total(agreements[:1])),
        "totalShippingPriceSet": money(order.shipping_price), "totalTaxSet": money(sum_tax(agreed)),
        "currentTotalTaxSet": money(sum_tax(agreements)), "totalDiscountsSet": money(off),
        "totalRefundedSet": money(given_back), "totalTipReceivedSet": money(order.tip),
        "refunds": list(refund_shapes.values()), "lineItems": list(line_shapes.values()),
        "agreements": [_show_agreement(order, each, line_shapes, refund_shapes, money) for each in agreements],
    }  # fmt: skip


def _financial_status(order: Order, now: datetime, paid: int, given_back: int, *, cancelled: bool) -> str:
    if order.paid_at > now:
        return "PENDING"
    if cancelled and not paid:
        return "VOIDED"
    if given_back:
        return "REFUNDED" if given_back >= paid else "PARTIALLY_REFUNDED"
    return "PAID"


def _show_line(line: Line, current_quantity: int, money: Callable[[int], Shape]) -> Shape:
    product, variant = line.product, line.variant
    gone = product.deleted
    return {
        "__typename": "LineItem", "id": gid("LineItem", line.number), "title": product.title,
        "variantTitle": None if variant.title == "Default Title" else variant.title, "sku": variant.sku,
        "vendor": product.vendor, "quantity": line.quantity, "currentQuantity": current_quantity,
        "isGiftCard": product.is_gift_card, "product": None if gone else Reference("Product", product.number),
        "variant": None if gone else Reference("ProductVariant", variant.number),
        "originalUnitPriceSet": money(variant.price), "originalTotalSet": money(line.original_total),
        "discountAllocations": [{"__typename": "DiscountAllocation", "allocatedAmountSet": money(cut)}
                                for cut in line.discounts],
        "taxLines": [{"__typename": "TaxLine", "title": title, "rate": rate, "priceSet": money(tax)}
                     for title, rate, tax in line.tax_lines],
    }  # fmt: skip


def _show_refund(order: Order, refund: Refund, lines: dict[int, Shape], money: Callable[[int], Shape]) -> Shape:
    at = moment_text(refund.created_at)
    shipping = [] if refund.shipping == NOTHING else [
        {"__typename": "RefundShippingLine", "id": gid("RefundShippingLine", refund.number),
         "subtotalAmountSet": money(refund.shipping.total - refund.shipping.tax),
         "taxAmountSet": money(refund.shipping.tax)}
    ]  # fmt: skip
    return {
        "__typename": "Refund", "id": gid("Refund", refund.number), "legacyResourceId": str(refund.number),
        "createdAt": at, "processedAt": at, "updatedAt": at, "totalRefundedSet": money(refund.money),
        "order": Reference("Order", order.number), "refundShippingLines": shipping,
        "refundLineItems": [
            {"__typename": "RefundLineItem", "id": gid("RefundLineItem", refund.number * 64 + row),
             "quantity": quantity, "lineItem": lines[number], "subtotalSet": money(amounts.total - amounts.tax),
             "totalTaxSet": money(amounts.tax), "restockType": "CANCEL" if order.cancelled_at else "RETURN"}
            for row, (number, quantity, amounts) in enumerate(refund.lines)
        ],
    }  # fmt: skip


def _show_agreement(
    order: Order, agreement: Agreement, lines: dict[int, Shape], refunds: dict[int, Shape],
    money: Callable[[int], Shape],
) -> Shape:  # fmt: skip
    sales = []
    for sale in agreement.sales:
        shape = {
            "__typename": _SALE_TYPES[sale.line_type], "id": gid("Sale", sale.number), "actionType": sale.action,
            "lineType": sale.line_type, "quantity": sale.quantity, "totalAmount": money(sale.amounts.total),
            "totalTaxAmount": money(sale.amounts.tax), "totalDiscountAmountBeforeTaxes": money(sale.amounts.discount),
        }  # fmt: skip
        if sale.line_number is not None:
            shape["lineItem"] = lines[sale.line_number]
        sales.append(shape)
    shown: Shape = {
        "__typename": _AGREEMENT_TYPES[agreement.reason], "id": gid("SalesAgreement", agreement.number),
        "happenedAt": moment_text(agreement.happened_at), "reason": agreement.reason, "sales": sales,
    }  # fmt: skip
    if agreement.refund_number is not None:
        shown["refund"] = refunds[agreement.refund_number]
    if agreement.reason == "ORDER":
        shown["order"] = Reference("Order", order.number)
    return shown


_SALE_TYPES = {
    "PRODUCT": "ProductSale", "GIFT_CARD": "GiftCardSale", "SHIPPING": "ShippingLineSale", "TIP": "TipSale",
    "ADJUSTMENT": "AdjustmentSale",
}  # fmt: skip
_AGREEMENT_TYPES = {"ORDER": "OrderAgreement", "ORDER_EDIT": "OrderEditAgreement", "REFUND": "RefundAgreement"}
_LISTS = {
    "orders": "orders", "customers": "customers", "products": "products", "abandonedCheckouts": "checkouts",
    "inventoryItems": "stock", "events": "events",
}  # fmt: skip
_ROOTS = {
    "Order": "orders", "Customer": "customers", "Product": "products", "AbandonedCheckout": "abandonedCheckouts",
    "InventoryItem": "inventoryItems", "BasicEvent": "events",
}  # fmt: skip
