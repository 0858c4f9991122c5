"""One order with everything that will ever happen to it: edits, refunds, cancellation, fulfilment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from core.demo.catalogue import DemoShop, Product
from core.demo.ledger import NOTHING, Agreement, Amounts, Line, Refund, Sale, divide, price_amounts, share
from core.demo.people import Person, Place

ID_STEP = 1_024
_Rates = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """An order; what is visible of it at a moment are the parts dated up to then."""

    number: int
    sequence: int
    created_at: datetime
    processed_at: datetime
    customer_number: int | None
    email: str | None
    place: Place | None
    source: str
    discount_codes: tuple[str, ...]
    test: bool
    lines: tuple[Line, ...]
    shipping: Amounts
    shipping_price: int
    shipping_off: int
    tip: int
    agreements: tuple[Agreement, ...]
    refunds: tuple[Refund, ...]
    paid_at: datetime
    fulfilled_at: datetime | None
    cancelled_at: datetime | None
    cancel_reason: str | None
    moments: tuple[datetime, ...]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who places an order; `number` is None for a guest."""

    number: int | None
    person: Person | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Occasion:
    """When an order is placed, and what the shop offers then."""

    created_at: datetime
    processed_at: datetime
    source: str
    automatic_percent: int
    sale_code: tuple[str, int] | None


@dataclass
class _Books:
    """An order being written: agreements and refunds so far, and the units of each line not yet taken back."""

    order_number: int
    agreements: list[Agreement]
    refunds: list[Refund]
    taken_back: dict[int, int]
    sales_written: int = 0

    def sale(self, action: str, kind: str, quantity: int | None, amounts: Amounts, line: int | None = None) -> Sale:
        self.sales_written += 1
        return Sale(self.order_number * 8 + self.sales_written, action, kind, quantity, amounts, line)

    def agree(self, at: datetime, reason: str, sales: list[Sale], refund: int | None = None) -> None:
        number = self.order_number * 2 + len(self.agreements) + 1
        self.agreements.append(Agreement(number, at, reason, tuple(sales), refund))

    def units_left(self, line: Line) -> int:
        return line.quantity - self.taken_back.get(line.number, 0)

    def take_back(self, line: Line, quantity: int) -> Amounts:
        """Book `quantity` units of a line as returned and say what they were worth."""
        start = self.taken_back.get(line.number, 0)
        self.taken_back[line.number] = start + quantity
        return share(line.amounts, start, start + quantity, line.quantity)


def place_order(
    shop: DemoShop, rng: Random, sequence: int, buyer: Buyer, occasion: Occasion, products: list[Product]
) -> Order:
    """An order by this buyer, with its whole future decided now."""
    # Ids are spaced so that lines, agreements, sales and refunds of one order never meet the next one's.
    number = 5_600_000_000_000 + shop.number % 1_000 * 1_000_000_000 + sequence * ID_STEP
    place = None if occasion.source == "pos" or buyer.person is None else buyer.person.place
    rates = _HOME_RATES[shop.country] if place is None else place.tax_rates
    percent, fixed, free_shipping, codes = _choose_discount(rng, buyer, occasion)
    picks = _fill_basket(rng, products, wholesale=occasion.source == "shopify_draft_order" and rng.random() < 0.12)
    lines = _price_lines(shop, number, picks, rates, percent, fixed)
    goods = sum(line.original_total - sum(line.discounts) for line in lines)
    needs_shipping = occasion.source != "pos" and any(not line.product.is_gift_card for line in lines)
    price = 0 if not needs_shipping or goods >= shop.free_shipping_from or percent == 100 else shop.shipping_fee
    shipping = price_amounts(price, price if free_shipping else 0, rates[:1], included=shop.taxes_included)[0]
    tip = rng.choice((200, 300, 500)) if occasion.source == "pos" and rng.random() < 0.12 else 0

    books = _Books(number, [], [], {})
    first = [
        books.sale(
            "ORDER", "GIFT_CARD" if line.product.is_gift_card else "PRODUCT", line.quantity, line.amounts, line.number
        )
        for line in lines
    ]
    if price:
        first.append(books.sale("ORDER", "SHIPPING", 1, shipping))
    if tip:
        first.append(books.sale("ORDER", "TIP", 1, Amounts(tip, 0, 0)))
    books.agree(occasion.created_at, "ORDER", first)

    paid_at = occasion.created_at
    if occasion.source == "shopify_draft_order" and rng.random() < 0.5:
        paid_at += timedelta(days=rng.randint(1, 9), seconds=rng.randrange(30_000))
    added, cancelled_at, cancel_reason = _write_future(
        shop, rng, books, occasion, paid_at, lines, shipping, tip, products, rates
    )
    all_lines = tuple(lines) + tuple(added)
    fulfilled_at = _fulfilled_at(rng, occasion, cancelled_at, needs_shipping)
    moments = {occasion.created_at, paid_at, fulfilled_at or occasion.created_at, cancelled_at or occasion.created_at}
    moments |= {agreement.happened_at for agreement in books.agreements} | {
        refund.created_at for refund in books.refunds
    }
    return Order(
        number=number, sequence=sequence, created_at=occasion.created_at, processed_at=occasion.processed_at,
        customer_number=buyer.number, email=buyer.person.email if buyer.person else None, place=place,
        source=occasion.source, discount_codes=codes, test=rng.random() < 0.004, lines=all_lines,
        shipping=shipping, shipping_price=0 if free_shipping else price,
        shipping_off=price if free_shipping else 0, tip=tip,
        agreements=tuple(books.agreements), refunds=tuple(books.refunds), paid_at=paid_at,
        fulfilled_at=fulfilled_at, cancelled_at=cancelled_at, cancel_reason=cancel_reason,
        moments=tuple(sorted(moments)),
    )  # fmt: skip


def _choose_discount(rng: Random, buyer: Buyer, occasion: Occasion) -> tuple[int, int, bool, tuple[str, ...]]:
    """(percent, fixed amount, free shipping, codes): at most one offer per order."""
    roll = rng.random()
    if roll < 0.004:
        return 100, 0, True, ("ONTHEHOUSE",)
    if occasion.sale_code is not None and roll < 0.6:
        return occasion.sale_code[1], 0, False, (occasion.sale_code[0],)
    if occasion.automatic_percent:
        return occasion.automatic_percent, 0, False, ()
    if buyer.is_new and roll < 0.22:
        return 10, 0, False, ("WELCOME10",)
    if roll > 0.97:
        return 0, 1_000, False, ("FRIENDS",)
    if roll > 0.945:
        return 0, 0, True, ("FREESHIP",)
    return 0, 0, False, ()


def _fill_basket(rng: Random, products: list[Product], *, wholesale: bool) -> list[tuple[Product, int, int]]:
    """(product, variant index, quantity) per line; a wholesale basket has more lines than fit one page."""
    size = rng.randint(12, 18) if wholesale else rng.choices((1, 2, 3, 4, 6), weights=(50, 27, 13, 7, 3))[0]
    chosen = rng.choices(products, cum_weights=_cumulative(products), k=size)
    picks: dict[tuple[int, int], tuple[Product, int, int]] = {}
    for product in chosen:
        index = rng.randrange(len(product.variants))
        quantity = rng.randint(1, 2) if wholesale else 1 if rng.random() < 0.82 else rng.randint(2, 4)
        picks[product.number, index] = (product, index, quantity)
    return list(picks.values())


def _cumulative(products: list[Product]) -> list[float]:
    total = 0.0
    return [total := total + product.popularity for product in products]


def _price_lines(
    shop: DemoShop, order_number: int, picks: list[tuple[Product, int, int]], rates: _Rates, percent: int, fixed: int
) -> list[Line]:
    originals = [
        0 if product.is_gift_card else product.variants[index].price * quantity for product, index, quantity in picks
    ]
    fixed_parts = divide(min(fixed, sum(originals)), originals)
    lines = []
    for place, (product, index, quantity) in enumerate(picks):
        cuts = (originals[place] * percent + 50) // 100, fixed_parts[place]
        lines.append(_line(shop, order_number + place + 1, product, index, quantity, rates, cuts))
    return lines


def _line(
    shop: DemoShop, number: int, product: Product, index: int, quantity: int, rates: _Rates,
    cuts: tuple[int, ...] = (), added_at: datetime | None = None,
) -> Line:  # fmt: skip
    variant = product.variants[index]
    discounts = tuple(cut for cut in cuts if cut)
    amounts, tax_lines = price_amounts(
        variant.price * quantity,
        sum(discounts),
        () if product.is_gift_card else rates,
        included=shop.taxes_included,
    )
    return Line(number * 3, product, variant, quantity, discounts, tax_lines, amounts, added_at)


def _fulfilled_at(
    rng: Random, occasion: Occasion, cancelled_at: datetime | None, needs_shipping: bool
) -> datetime | None:
    if cancelled_at is not None:
        return None
    if not needs_shipping or occasion.processed_at < occasion.created_at:
        return occasion.created_at
    return occasion.created_at + timedelta(hours=rng.randint(16, 90), seconds=rng.randrange(3_600))


def _write_future(
    shop: DemoShop, rng: Random, books: _Books, occasion: Occasion, paid_at: datetime, lines: list[Line],
    shipping: Amounts, tip: int, products: list[Product], rates: _Rates,
) -> tuple[list[Line], datetime | None, str | None]:  # fmt: skip
    """Book what happens after the sale; returns the lines added by an edit, and when and why it was cancelled."""
    if occasion.processed_at < occasion.created_at:
        return [], None, None
    if rng.random() < 0.02:
        at = paid_at + timedelta(seconds=rng.randint(1_200, 108_000))
        _refund(books, at, [(line, line.quantity) for line in lines], shipping, tip, 0)
        return [], at, rng.choice(("CUSTOMER", "INVENTORY", "FRAUD", "OTHER"))
    goods = [line for line in lines if not line.product.is_gift_card]
    added: list[Line] = []
    if goods and rng.random() < 0.025:
        at = occasion.created_at + timedelta(seconds=rng.randint(600, 50_000))
        if rng.random() < 0.6 or len(goods) == 1:
            product = rng.choice([product for product in products if not product.is_gift_card])
            number = books.order_number + len(lines) + 1
            added.append(_line(shop, number, product, 0, rng.randint(1, 2), rates, added_at=at))
            sale = books.sale("ORDER", "PRODUCT", added[0].quantity, added[0].amounts, added[0].number)
        else:
            removed = goods[-1]
            amounts = books.take_back(removed, removed.quantity).negated()
            sale = books.sale("RETURN", "PRODUCT", -removed.quantity, amounts, removed.number)
            # The money for a removed line goes back as a refund of its own, which returns nothing.
            books.refunds.append(
                Refund(books.order_number + 900, at + timedelta(seconds=95), -amounts.total, (), NOTHING)
            )
        books.agree(at, "ORDER_EDIT", [sale])
    at = paid_at + timedelta(days=3)
    while rng.random() < (0.095 if not added else 0.3) and (left := [line for line in goods if books.units_left(line)]):
        at += timedelta(days=rng.randint(0, 18), seconds=rng.randrange(40_000))
        _RETURNS[rng.choices((0, 1, 2, 3), weights=(45, 25, 18, 12))[0]](rng, books, at, left, shipping)
    return added, None, None


def _return_some(rng: Random, books: _Books, at: datetime, left: list[Line], _: Amounts) -> None:
    line = rng.choice(left)
    _refund(books, at, [(line, rng.randint(1, books.units_left(line)))], NOTHING, 0, 0)


def _return_all(_: Random, books: _Books, at: datetime, left: list[Line], __: Amounts) -> None:
    _refund(books, at, [(line, books.units_left(line)) for line in left], NOTHING, 0, 0)


def _return_with_shipping(_: Random, books: _Books, at: datetime, left: list[Line], shipping: Amounts) -> None:
    given_back = any(refund.shipping != NOTHING for refund in books.refunds)
    _refund(books, at, [(line, books.units_left(line)) for line in left], NOTHING if given_back else shipping, 0, 0)


def _return_keeping_some_money(rng: Random, books: _Books, at: datetime, left: list[Line], _: Amounts) -> None:
    line = rng.choice(left)
    _refund(books, at, [(line, 1)], NOTHING, 0, rng.choice((500, 750, 1_000)))


def _refund(books: _Books, at: datetime, back: list[tuple[Line, int]], shipping: Amounts, tip: int, kept: int) -> None:
    """Refund units, shipping and tip, all but `kept` of it, and book the returns."""
    sales, lines = [], []
    for line, quantity in back:
        amounts = books.take_back(line, quantity)
        lines.append((line.number, quantity, amounts))
        kind = "GIFT_CARD" if line.product.is_gift_card else "PRODUCT"
        sales.append(books.sale("RETURN", kind, -quantity, amounts.negated(), line.number))
    if shipping != NOTHING:
        sales.append(books.sale("RETURN", "SHIPPING", -1, shipping.negated()))
    if tip:
        sales.append(books.sale("RETURN", "TIP", -1, Amounts(-tip, 0, 0)))
    money = -sum(sale.amounts.total for sale in sales)
    if kept := min(kept, money):
        sales.append(books.sale("RETURN", "ADJUSTMENT", None, Amounts(kept, 0, 0)))
    number = books.order_number + 100 + len(books.refunds)
    books.refunds.append(Refund(number, at, money - kept, tuple(lines), shipping))
    books.agree(at, "REFUND", sales, number)


_Return = Callable[[Random, _Books, datetime, list[Line], Amounts], None]
_HOME_RATES: dict[str, _Rates] = {
    "US": (("New York State Tax", 0.04), ("New York City Tax", 0.045), ("Metropolitan Commuter District", 0.00375)),
    "DE": (("MwSt", 0.19),),
}
_RETURNS: tuple[_Return, ...] = (_return_some, _return_all, _return_with_shipping, _return_keeping_some_money)
