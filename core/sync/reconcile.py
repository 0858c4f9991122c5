"""Shopify's own figures, asked for while somebody waits, so that ours can be compared with them. Nothing is stored."""

import sys
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.db.engine import system_session
from core.db.models import Shop, connected_shop
from core.db.money import exponent, to_minor
from core.errors import GarbageAnswer, InputError, MalformedRow, ShopifyError, Throttled, TokenRejected
from core.shopify.client import ShopClient
from core.shopify.queries import Grants
from core.shopify.shopifyql import COLUMNS, LONGEST_DAYS, SCOPE, sales_report
from core.sync import connect, jobs, tokens

__all__ = ["COLUMNS", "LONGEST_DAYS", "SCOPE", "Theirs", "fetch", "may_ask", "orders_read"]

PATIENCE_S = 10.0
_NOISE = Decimal("0.001")  # of a minor unit: what sums of floats are off by


@dataclass(frozen=True)
class Theirs:
    """Shopify's figures by day and measure: money in minor units of `currency`, orders as a count.

    What its answer lacks is missing here: it is not known to be 0. `measures` are those asked for; `older_names` says
    that Shopify knew the report's columns only by their names before 2026-04. `time_zone` is the store's now,
    `stored_zone` the one that days are stored by.
    """

    asked_at: datetime
    currency: str
    time_zone: str
    stored_zone: str
    measures: tuple[str, ...]
    older_names: bool
    days: dict[date, dict[str, int]]


def may_ask(shop_id: int) -> bool:
    """Whether the shop's token was allowed to read reports when the store was last synced."""
    return Grants(frozenset(_shop(shop_id).scopes.split(","))).has(SCOPE)


def orders_read(shop_id: int) -> tuple[datetime | None, datetime | None]:
    """Up to which moment orders are read, and from when on where the token sees only a part of them (else None).

    The cursor alone says less: it stands at the last change that was seen, and a run that read on found no later one.
    """
    orders = next((stream for stream in jobs.sync_status(shop_id).streams if stream.stream == "orders"), None)
    if orders is None or orders.synced_until is None:
        return None, None
    runs = (run for run in jobs.run_history(shop_id) if run.outcome in ("ok", "partial") and "orders" in run.counts)
    last = next((run.started_at for run in runs if orders.failures == 0), orders.synced_until)
    return max(orders.synced_until, last), orders.history_from if orders.scope_for_more is not None else None


def fetch(shop_id: int, start: date, end: date) -> Theirs:
    """Ask Shopify for its figures from `start` to `end`, both included.

    Nothing is tried again once PATIENCE_S are over, as somebody waits. Raises AccessDenied without read_reports,
    another ShopifyError, InputError for too many days or a store whose currency is another now, LeaseLost for one that
    was disconnected, WrongKeyError, ConfigError.
    """
    shop = _shop(shop_id)
    with connect.client_for(shop) as client:
        _hurry(client)
        try:
            report = sales_report(client, start, end)
        except TokenRejected:
            tokens.stop_asking(shop_id, client)
            raise
    if report.currency != shop.currency:
        raise InputError(
            f"The store's currency is {report.currency} now, and what is stored is in {shop.currency}. Sync the store, "
            "so that everything is read again, then compare."
        )
    return Theirs(
        asked_at=report.asked_at,
        currency=report.currency,
        time_zone=report.time_zone,
        stored_zone=shop.time_zone,
        measures=report.measures,
        older_names=report.older_names,
        days={
            day: {name: _number(name, text, report.currency) for name, text in row.items()}
            for day, row in report.days.items()
        },
    )


def _shop(shop_id: int) -> Shop:
    with system_session() as session:
        return connected_shop(session, shop_id)


def _hurry(client: ShopClient) -> None:
    """Let the client wait no longer than PATIENCE_S from now on; then it says what it would have waited for."""
    wait, ends_at_s = client.sleep, client.clock() + PATIENCE_S

    def sleep(seconds: float) -> None:
        if client.clock() + seconds > ends_at_s:
            fault = sys.exception()
            if isinstance(fault, ShopifyError):
                raise fault
            raise Throttled(f"Shopify asks to wait for {seconds:.0f} s. Compare again then.", seconds)
        wait(seconds)

    client.sleep = sleep


def _number(measure: str, text: str, currency: str) -> int:
    try:
        if measure == "orders":
            whole = Decimal(text)
            if whole != int(whole):
                raise MalformedRow(f"{text} is no number of orders")
            return int(whole)
        minor = Decimal(text).scaleb(exponent(currency))
        near = minor.to_integral_value()
        exact = near if abs(minor - near) < _NOISE else minor
        return to_minor(f"{exact.scaleb(-exponent(currency)):f}", currency)
    except (MalformedRow, ArithmeticError) as error:
        raise GarbageAnswer(f"Shopify's report has {text} as {measure}, which this app cannot read: {error}.") from None
