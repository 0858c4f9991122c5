"""The orders of a period, and its ledger rows, as files: complete, read a day at a time when somebody asks for them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, overload

from core.analytics import frames_orders
from core.analytics.period import Period
from core.auth.accounts import ShopAccess
from core.db.engine import shop_session
from core.reports.table import Column, Row, Table
from core.ui import downloads
from core.ui.downloads import Offer

_AT_ONCE = 10_000
_EVERYTHING: Mapping[str, str] = {}
_Read = Callable[[Any, Period, int], Iterator[Row]]


@dataclass(frozen=True)
class DayByDay(Sequence[Row]):
    """Rows that are read while they are written, the last day first: a file of any length fits into memory.

    `read` gives those of a day from a number on, at most _AT_ONCE; `length` is how many there are in all.
    """

    shop: ShopAccess
    period: Period
    read: _Read
    length: int

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Row]:
        for back in range(self.period.days):
            day, at = self.period.end - timedelta(days=back), 0
            while at % _AT_ONCE == 0:
                with shop_session(self.shop.shop_id, self.shop.filters) as session:
                    rows = list(self.read(session, Period(day, day), at))
                yield from rows
                if not rows:
                    break
                at += len(rows)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        """The first rows, by a slice or one of them."""
        return list(islice(self, at.stop)) if isinstance(at, slice) else next(islice(self, at, None))


def orders_menu(shop: ShopAccess, period: Period, wanted: Mapping[str, str], named: Mapping[str, str], n: int) -> None:
    """The export menu of the orders with these values, of which there are `n`; `named` has them for people."""
    downloads.menu(
        shop, Offer("Orders", "orders", n, lambda: orders_table(shop, period, wanted, n), period, filters=named)
    )


def rows_menu(
    shop: ShopAccess, period: Period, measure: str, wanted: Mapping[str, str], named: Mapping[str, str], n: int
) -> None:
    """The export menu of the ledger rows of a measure ("" for all) so narrowed, of which there are `n`."""
    made = partial(rows_table, shop, period, measure, n, wanted)
    downloads.menu(shop, Offer("Ledger rows", "ledger", n, made, period, filters=named))


def orders_table(shop: ShopAccess, period: Period, wanted: Mapping[str, str], n: int) -> Table:
    """Orders, the newest first; names of customers only where the store has them fetched."""

    def read(session: Any, day: Period, at: int) -> Iterator[Row]:
        for row in _records(frames_orders.orders_page(session, day, wanted, _AT_ONCE, at)[0]):
            row["customer_name"] = row["customer_name"] if shop.personal_data else None
            row |= {name: row[name] and row[name].isoformat() for name in ("processed_at", "cancelled_at")}
            yield [row[column.slug] for column in _ORDER]

    return Table("Orders", _ORDER, DayByDay(shop, period, read, n))


def rows_table(
    shop: ShopAccess, period: Period, measure: str, n: int, wanted: Mapping[str, str] = _EVERYTHING
) -> Table:
    """Ledger rows, the newest day first."""

    def read(session: Any, day: Period, at: int) -> Iterator[Row]:
        for row in _records(frames_orders.booked_page(session, day, measure, _AT_ONCE, at, wanted)[0]):
            row |= {"net": row["total_amount"] - row["tax_amount"], "happened_at": row["happened_at"].isoformat()}
            yield [row[column.slug] for column in _BOOKED]

    return Table("Ledger rows", _BOOKED, DayByDay(shop, period, read, n))


def _records(frame: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = frame.astype(object).to_dict("records")
    return found


_ORDER = (
    Column("id", "id", "Shopify's number"),
    Column("name", "text", "Order"),
    Column("processed_at", "text", "Placed", "In UTC; its day on the store's calendar decides the period."),
    Column("customer_id", "id", "Customer's number", "Empty for guests."),
    Column("customer_name", "text", "Customer", "Only where the store has names fetched."),
    Column("source", "text", "Channel"),
    Column("country", "text", "Country"),
    Column("discount_codes", "text", "Discount codes"),
    Column("financial_status", "text", "Financial status"),
    Column("fulfillment_status", "text", "Fulfillment status"),
    Column("cancelled_at", "text", "Cancelled"),
    Column("units", "count", "Units", "Pieces sold, before returns."),
    Column("net_sales", "money", "Net sales", "From the ledger, returns and later changes included, on whatever day."),
    Column("current_total", "money", "Current total", "Shopify's own, with shipping, taxes and tips, after returns."),
)
_BOOKED = (
    Column("day", "date", "Day", "On which the row counts, on the store's calendar."),
    Column("happened_at", "text", "Booked", "In UTC."),
    Column("order_id", "id", "Shopify's number"),
    Column("name", "text", "Order"),
    Column("reason", "text", "Reason"),
    Column("action_type", "text", "Action"),
    Column("line_type", "text", "Line type"),
    Column("measure", "text", "Counts as"),
    Column("title", "text", "Of"),
    Column("unclassified", "count", "Unclassified", "1 for a type that is new to this app."),
    Column("quantity", "count", "Quantity"),
    Column("discount", "money", "Discount", "Taken off before taxes; the net amount is after it."),
    Column("net", "money", "Net", "Total less taxes."),
    Column("tax_amount", "money", "Taxes", "Part of the total."),
    Column("total_amount", "money", "Total", "After discounts, with taxes."),
)
