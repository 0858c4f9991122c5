"""How long a store keeps what: the days, and what each number means."""

from collections.abc import Sequence

import streamlit as st

from core.auth import privacy
from core.auth.accounts import Account, ShopAccess
from core.auth.privacy import AUDIT_DAYS, PERSONAL_DAYS, QUARANTINE_DAYS, Retention
from core.errors import AppError
from core.ui.formatting import plain
from core.ui.session import address, keep, run_again

_YEAR = 365


def form(user: Account, shops: Sequence[ShopAccess]) -> None:
    """Which store, its days, and the button."""
    st.markdown(
        "What is older is forgotten every night, for good. Orders and amounts are kept until the store is deleted."
    )
    names = {shop.shop_id: shop.name for shop in shops}
    shop_id = st.selectbox("Store", list(names), format_func=names.__getitem__, key="retention_which")
    try:
        now = privacy.retention_of(user.user_id, shop_id)
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    left, right = st.columns(2)
    with left:
        audit_days = _days(
            "Audit list, days", "audit", shop_id, now.audit_days, AUDIT_DAYS,
            "Who did what in this store and when its members signed in. It names people, so never is no choice.",
        )  # fmt: skip
    with right:
        quarantine_days = _days(
            "Set aside, days", "quarantine", shop_id, now.quarantine_days, QUARANTINE_DAYS,
            "Notes on what Shopify sent and could not be stored, counted from the last time it turned up. Never is no "
            "choice: a full refresh finds again what is still wrong.",
        )  # fmt: skip
    forgets = st.toggle(
        "Forget names and e-mails of customers nothing happens to",
        value=now.personal_days is not None,
        key=f"keep_personal_ends_{shop_id}_{now.personal_days}",
        help="Off means never: they are kept until the customer is redacted or the store is deleted.",
    )
    personal_days: int | None = None
    if forgets:
        personal_days = _days(
            "Names and e-mails, days", "personal", shop_id, now.personal_days or 2 * _YEAR, PERSONAL_DAYS,
            "Counted from the last change of the customer in Shopify. The customer's number, orders and amounts stay, "
            "and the next change brings the name back.",
        )  # fmt: skip
    wanted = Retention(audit_days, quarantine_days, personal_days)
    if st.button("Save the days", key="save_retention", icon=":material/save:", disabled=wanted == now):
        _save(user, shop_id, wanted, names[shop_id])


def _days(label: str, name: str, shop_id: int, days: int, bounds: tuple[int, int], meaning: str) -> int:
    least, most = bounds
    # What is stored is shown, also where it was set otherwise than here; what somebody else saves makes it anew.
    chosen: int = st.number_input(
        label, min(least, days), max(most, days), days, key=f"keep_{name}_{shop_id}_{days}", width=200
    )
    st.caption(f"{meaning} From {least} to {most:,} days.")
    return chosen


def _save(user: Account, shop_id: int, wanted: Retention, name: str) -> None:
    try:
        privacy.set_retention(user.user_id, shop_id, wanted, address=address())
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    keep("store_said", f"Saved for {plain(name)}. What is older is forgotten tonight.")
    run_again()
