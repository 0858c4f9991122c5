"""Connecting a store in two steps: check what the access token opens, then save."""

import streamlit as st

from core.auth import audit
from core.auth.accounts import Account
from core.config import get_settings
from core.errors import AppError
from core.sync.connect import ShopFacts, connect_shop, inspect_shop, token_for_owner
from core.sync.jobs import request_sync
from core.sync.tokens import Token
from core.ui import formatting
from core.ui.session import address, keep, recall, run_again

_SCOPES = "read_orders, read_customers, read_products"


def form(user: Account) -> None:
    """Address and token, a check that asks the store who it is, and a button that saves what was checked."""
    st.markdown(
        "Enter the Admin API access token of an app that is installed on the store: one from Shopify's "
        "[Dev Dashboard](https://dev.shopify.com/dashboard), or a custom app made in the store's admin before 2026. "
        f"It needs the scopes `{_SCOPES}`."
    )
    domain = st.text_input(
        "Store address", key="connect_domain", placeholder="your-store.myshopify.com", autocomplete="off"
    )
    own = get_settings().has_shopify_app and st.toggle(
        "Without a token",
        key="connect_own",
        help="This app asks Shopify for the token, and renews it. For stores you own or administer here already.",
    )
    token = st.text_input(
        "Admin API access token", key="connect_token", type="password", autocomplete="off", disabled=own
    )
    personal_data = names_and_emails("connect_personal_data")
    if st.button("Check", key="connect_check", icon=":material/fact_check:"):
        keep("checked_store", None)
        with st.spinner("Asking Shopify about the store"):
            asked = _inspect(user, domain, None if own else token)
        keep("checked_store", asked and (domain, asked[0]))
    checked = recall("checked_store")
    if checked and checked[0] == domain:
        _show(checked[1])
        if st.button("Save and sync", key="connect_save", type="primary", icon=":material/save:"):
            _save(user, domain, None if own else token, personal_data)


def names_and_emails(key: str) -> bool:
    """Whether customers' names and e-mails are to be fetched, and what that means."""
    wanted = st.checkbox("Fetch customer names and e-mails", key=key)
    st.caption(
        "Names and e-mails are protected customer data: Shopify gives them only to apps that were granted access, "
        "and you answer for them under your privacy policy. Without them customers are told apart by their number, "
        "and every figure is the same."
    )
    return wanted


def _inspect(user: Account, domain: str, typed: str | None) -> tuple[ShopFacts, Token | str] | None:
    """What the store says of itself, and the token that opened it; without one that was typed the app asks for it."""
    if not domain.strip() or (typed is not None and not typed.strip()):
        st.error("Enter the store's address and its access token.", icon=":material/error:")
        return None
    try:
        token = token_for_owner(domain, user.user_id) if typed is None else typed.strip()
        return inspect_shop(domain, token), token
    except AppError as error:
        st.error(formatting.plain(str(error)), icon=":material/error:")
        return None


def _show(facts: ShopFacts) -> None:
    st.table(
        {
            "Store": formatting.plain(facts.name),
            "Address": formatting.plain(facts.domain),
            "Currency": formatting.plain(facts.currency),
            "Time zone": formatting.plain(facts.time_zone),
            "Prices": "include taxes" if facts.taxes_included else "without taxes",
            "Granted": formatting.plain(", ".join(sorted(facts.scopes)) or "nothing"),
            "Missing": formatting.plain(", ".join(facts.missing_scopes) or "nothing"),
        },
        border="horizontal",
        width="content",
        alt="What Shopify says about the store",
    )
    if facts.missing_scopes:
        note = "What needs these scopes stays empty until the app is given them. You can save now and add them later."
        st.warning(note, title="Some scopes are missing", icon=":material/warning:")


def _save(user: Account, domain: str, typed: str | None, personal_data: bool) -> None:
    # Asked again: the fields may have changed since the check.
    asked = _inspect(user, domain, typed)
    if asked is None:
        return
    facts, token = asked
    try:
        shop_id = connect_shop(facts, token, owner_user_id=user.user_id, personal_data=personal_data)
    except AppError as error:
        st.error(formatting.plain(str(error)), icon=":material/error:")
        return
    audit.record(user.email, "store_connect", shop_id=shop_id, target=facts.domain, address=address())
    request_sync(shop_id, asked_by="button")
    keep("checked_store", None)
    keep("store_said", f"{formatting.plain(facts.name)} is connected, and its first sync has been asked for.")
    run_again()
