"""Requests about personal data: what was asked, by when it has to be answered, and the proof of what was done."""

from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.auth import privacy_requests
from core.auth.accounts import Account, ShopAccess
from core.auth.privacy_requests import Request
from core.ui import formatting
from core.ui.session import address

_ROW = 36


def requests(user: Account, shop: ShopAccess) -> None:
    """The section for owners. Raises NotPermitted."""
    found = privacy_requests.requests_of(user.user_id, shop.shop_id)
    st.subheader("Requests about personal data", anchor=False)
    st.caption(
        "Customers ask Shopify, and Shopify passes it on. Erasing happens here by itself; a customer's copy is for you "
        "to download and hand on, within 30 days."
    )
    if not found:
        st.info("Nobody asked so far.", icon=":material/verified_user:")
        return
    _listed(found, shop)
    for request in found:
        if request.kind == "customers/data_request" and request.customer_id is not None:
            _download(request, user, shop)


def _listed(found: list[Request], shop: ShopAccess) -> None:
    zone = ZoneInfo(shop.time_zone)
    st.dataframe(
        pd.DataFrame(
            {
                "Received": [_local(one.received_at, zone) for one in found],
                "Request": [_KINDS.get(one.kind, one.kind) for one in found],
                "Customer": [str(one.customer_id) if one.customer_id is not None else None for one in found],
                "State": ["Done" if one.done_at is not None else "Open" for one in found],
                "Due": [_local(one.due_at, zone) for one in found],
                "Done": [_local(one.done_at, zone) for one in found],
                "Proof": [_proof(one) for one in found],
                "Note": [one.note or None for one in found],
            }
        ),
        hide_index=True,
        key="privacy_requests",
        row_height=_ROW,
        placeholder=formatting.DASH,
        alt="Requests about personal data, open ones first",
        column_config={
            **{
                name: st.column_config.DatetimeColumn(
                    format="D MMM YYYY", pinned=name == "Received", help="On the store's clock."
                )
                for name in ("Received", "Due", "Done")
            },
            "Proof": st.column_config.TextColumn(width="large", help="Rows exported, blanked or deleted."),
        },
    )


def _download(request: Request, user: Account, shop: ShopAccess) -> None:
    """Made when it is clicked, for who may still do so then."""
    state = "" if request.done_at is None else " again"
    st.download_button(
        f"Download what is stored of customer {request.customer_id}{state}",
        data=partial(
            privacy_requests.export_customer, user.user_id, shop.shop_id, request.request_id, address=address()
        ),
        file_name=f"customer_{request.customer_id}.json",
        mime="application/json",
        key=f"privacy_{request.request_id}",
        icon=":material/download:",
        type="primary" if request.done_at is None else "secondary",
    )


def _proof(one: Request) -> str | None:
    return ", ".join(f"{count:,} {table}" for table, count in one.proof.items() if count) or None


def _local(when: datetime | None, zone: ZoneInfo) -> datetime | None:
    return when and when.astimezone(zone).replace(tzinfo=None)


_KINDS = {
    "customers/data_request": "Copy for a customer",
    "customers/redact": "Customer erased",
    "shop/redact": "Store to be erased",
}
