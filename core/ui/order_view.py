"""Orders as rows, and one order in full: header, lines, refunds and its ledger with the check of its sums."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.analytics.breakdowns import BREAKDOWN
from core.auth.accounts import ShopAccess
from core.db.money import from_minor
from core.ui import columns, formatting

_ROW = 36


@dataclass(frozen=True)
class OneOrder:
    """The rows of one order: see frames_orders.one_order(), order_lines(), order_refunds(), order_ledger()."""

    header: Mapping[str, Any]
    lines: pd.DataFrame
    refunds: pd.DataFrame
    ledger: pd.DataFrame


@dataclass(frozen=True)
class Check:
    """A sum of ledger rows beside Shopify's own total, in minor units."""

    rows: str
    booked: int
    total_name: str
    total: int

    @property
    def difference(self) -> int:
        """What the rows have more than Shopify's total, negative where they have less."""
        return self.booked - self.total


def checks(order: OneOrder) -> tuple[Check, Check]:
    """All rows against the current total, and those of the sale itself against the original total."""
    ledger = order.ledger
    sold = ledger[ledger["in_first_agreement"].astype(bool) & (ledger["action_type"] == "ORDER")]
    return (
        Check("All rows of the ledger", int(ledger["total_amount"].sum()), "current total",
              order.header["current_total"]),
        Check("The rows of the sale itself", int(sold["total_amount"].sum()), "original total",
              order.header["original_total"]),
    )  # fmt: skip


def listed(orders: pd.DataFrame, shop: ShopAccess) -> int | None:
    """Orders as a table; the id of the chosen one."""
    zone = ZoneInfo(shop.time_zone)
    records = orders.to_dict("records")
    shown = pd.DataFrame(
        {
            "Order": [row["name"] or str(row["id"]) for row in records],
            "Placed": [_local(row["processed_at"], zone) for row in records],
            "Customer": [customer(row, shop) for row in records],
            "Financial status": [_known("financial_status", row["financial_status"]) for row in records],
            "Fulfillment": [_known("fulfillment_status", row["fulfillment_status"]) for row in records],
            "Channel": [_known("channel", row["source"]) for row in records],
            "Country": [row["country"] for row in records],
            "Units": orders["units"],
            "Net sales": [_major(amount, shop) for amount in orders["net_sales"]],
            "Current total": [_major(amount, shop) for amount in orders["current_total"]],
        }
    )
    event = st.dataframe(
        shown,
        hide_index=True,
        # Of these very rows: a choice must not move on to another order.
        key=f"orders_{records[0]['id']}_{records[-1]['id']}_{len(records)}",
        row_height=_ROW,
        height="content" if len(shown) <= 10 else 12 * _ROW,
        placeholder=formatting.DASH,
        on_select="rerun",
        selection_mode="single-row",
        alt="Orders, the newest first, with customer, statuses, units and amounts",
        column_config={
            "Order": st.column_config.TextColumn(pinned=True, width=90),
            "Placed": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", help="On the store's clock."),
            "Customer": st.column_config.TextColumn(width=150, help=_names_help(shop)),
            "Units": st.column_config.NumberColumn(format="localized", help="Pieces sold, before returns."),
            "Net sales": _money(shop, "From the ledger, returns and later changes included, on whatever day."),
            "Current total": _money(shop, "Shopify's own total with shipping, taxes and tips, after returns."),
        },
    )
    chosen = event.selection.rows
    return int(records[chosen[0]]["id"]) if chosen and chosen[0] < len(records) else None


def customer(row: Mapping[str, Any], shop: ShopAccess) -> str:
    """The customer's name where the store has names fetched, else Shopify's number."""
    if row["customer_id"] is None:
        return "Guest" if row["buyer_id"] is not None else "No customer"
    name = row["customer_name"] if shop.personal_data else None
    return name or f"Customer {row['customer_id']}"


def in_full(order: OneOrder, shop: ShopAccess) -> None:
    """One order with everything that is stored of it."""
    header = order.header
    st.subheader(f"Order {formatting.plain(header['name'] or str(header['id']))}", anchor=False)
    st.table(_facts(header, shop), border="horizontal", hide_index=True, hide_header=True, alt="What the order says")
    st.markdown("**Lines**")
    _table(
        pd.DataFrame(
            {
                "Product": [line["title"] or "Without a title" for line in order.lines.to_dict("records")],
                "Variant": order.lines["variant_title"],
                "SKU": order.lines["sku"],
                "Vendor": order.lines["vendor"],
                "Ordered": order.lines["quantity"],
                "Now": order.lines["current_quantity"],
                "Gift card": ["Yes" if gift else "" for gift in order.lines["is_gift_card"]],
            }
        ),
        "order_lines",
        "The lines of the order",
        "No lines.",
    )
    st.markdown("**Refunds**")
    zone = ZoneInfo(shop.time_zone)
    _table(
        pd.DataFrame(
            {
                "Refunded": [_local(at, zone) for at in order.refunds["processed_at"]],
                "Amount": [_major(amount, shop) for amount in order.refunds["total_refunded"]],
            }
        ),
        "order_refunds",
        "The refunds of the order",
        "No money was given back.",
        Amount=_money(shop, "Paid back, whatever for."),
        Refunded=st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", help="On the store's clock."),
    )
    st.markdown(f"**Ledger, amounts in {shop.currency}**")
    ledger_table(order, shop)
    for check in checks(order):
        _tell(check, shop)


def ledger_table(order: OneOrder, shop: ShopAccess) -> None:
    """Each row of the order's ledger, and their sum."""
    rows = order.ledger.to_dict("records")
    shown = pd.DataFrame(
        [
            {
                "Day": row["day"].isoformat(),
                "Reason": row["reason"],
                "Action": row["action_type"],
                "Line type": row["line_type"],
                "Counts as": _words(row["measure"]) + (" (unclassified)" if row["unclassified"] else ""),
                "Of": row["title"] or None,
                "Quantity": row["quantity"],
                "Discount": _major(row["discount"], shop),
                "Net": _major(row["total_amount"] - row["tax_amount"], shop),
                "Taxes": _major(row["tax_amount"], shop),
                "Total": _major(row["total_amount"], shop),
            }
            for row in rows
        ]
        + [_sums(order.ledger, shop)]
    )
    _table(
        shown,
        "order_ledger",
        "Every ledger row of the order, with totals",
        "No rows.",
        Day=st.column_config.TextColumn(pinned=True, help="On which the row counts, on the store's calendar."),
        Discount=_money(shop, "Taken off before taxes; the net amount is after it."),
        Net=_money(shop, "Total less taxes."),
        Taxes=_money(shop, "Part of the total."),
        Total=_money(shop, "After discounts, with taxes."),
    )


def _sums(ledger: pd.DataFrame, shop: ShopAccess) -> dict[str, Any]:
    total, taxes = int(ledger["total_amount"].sum()), int(ledger["tax_amount"].sum())
    return {
        "Day": "Total", "Reason": None, "Action": None, "Line type": None, "Counts as": None, "Of": None,
        "Quantity": None, "Discount": _major(int(ledger["discount"].sum()), shop), "Net": _major(total - taxes, shop),
        "Taxes": _major(taxes, shop), "Total": _major(total, shop),
    }  # fmt: skip


def _tell(check: Check, shop: ShopAccess) -> None:
    locale = formatting.reader_locale()
    booked, total, gap = (
        formatting.plain(formatting.money(amount, shop.currency, locale))
        for amount in (check.booked, check.total, check.difference)
    )
    if check.difference:
        st.warning(
            f"{check.rows} add up to {booked}, Shopify's {check.total_name} is {total}: a difference of {gap}. "
            "Nothing is smoothed; figures follow the rows.",
            icon=":material/difference:",
        )
    else:
        st.success(f"{check.rows} add up to Shopify's {check.total_name}, {total}.", icon=":material/check_circle:")


def _facts(header: Mapping[str, Any], shop: ShopAccess) -> dict[str, list[str]]:
    locale = formatting.reader_locale()
    facts = {
        "Placed": _moment(header["processed_at"], shop),
        "Customer": customer(header, shop),
        "Channel": BREAKDOWN["channel"].name(header["source"] or ""),
        "Country": BREAKDOWN["country"].name(header["country"] or ""),
        "Discount codes": BREAKDOWN["discount_code"].name(header["discount_codes"]),
        "Financial status": BREAKDOWN["financial_status"].name(header["financial_status"] or ""),
        "Fulfillment status": BREAKDOWN["fulfillment_status"].name(header["fulfillment_status"] or ""),
        "Cancelled": _moment(header["cancelled_at"], shop) if header["cancelled_at"] else "No",
        "Original total": formatting.money(header["original_total"], shop.currency, locale),
        "Current total": formatting.money(header["current_total"], shop.currency, locale),
        "Shopify's number": str(header["id"]),
    }
    if header["derived"]:
        facts["Ledger"] = "Derived from the order's lines and refunds: Shopify gave no sales agreements for it."
    return {"": list(facts), " ": [formatting.plain(fact) for fact in facts.values()]}


def _table(frame: pd.DataFrame, key: str, text: str, nothing: str, **columns: Any) -> None:
    if frame.empty:
        st.caption(nothing)
        return
    first = {str(frame.columns[0]): st.column_config.Column(pinned=True)}
    st.dataframe(
        frame, hide_index=True, key=key, row_height=_ROW, height="content" if len(frame) <= 12 else 13 * _ROW,
        placeholder=formatting.DASH, alt=text, column_config=first | columns,
    )  # fmt: skip


def _money(shop: ShopAccess, meaning: str) -> Any:
    return columns.money(shop.currency, meaning=meaning)


def _major(minor: int, shop: ShopAccess) -> float:
    return float(from_minor(int(minor), shop.currency))


def _local(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _moment(at: datetime, shop: ShopAccess) -> str:
    local = _local(at, ZoneInfo(shop.time_zone))
    return f"{formatting.day(local.date(), year=True)}, {local:%H:%M} ({formatting.city(shop.time_zone)})"


def _known(dimension: str, value: str | None) -> str | None:
    return BREAKDOWN[dimension].name(value) if value else None


def _words(slug: str) -> str:
    return slug.replace("_", " ").capitalize()


def _names_help(shop: ShopAccess) -> str:
    if shop.personal_data:
        return "Guests have no customer account."
    return "Names are not fetched for this store. They can be switched on under Stores."
