"""Deleting a store, by its owner, who types its name."""

from collections.abc import Sequence

import streamlit as st

from core.auth import members, privacy
from core.auth.accounts import Account, ShopAccess
from core.errors import AppError
from core.ui.formatting import plain
from core.ui.session import keep, run_again


def form(user: Account, shops: Sequence[ShopAccess]) -> None:
    """Which store, its name typed once more, and the button."""
    st.markdown(
        "Everything stored of the store goes for good: orders, customers, products, its access token and its team. "
        "Nothing changes in Shopify."
    )
    domains = {shop.domain: shop for shop in shops}
    names = {shop.domain: shop.name for shop in shops}
    domain = st.selectbox("Store", list(names), format_func=names.__getitem__, key="delete_which")
    shop = domains[domain]
    typed = st.text_input(f"Type its name: {plain(shop.name)}", key="delete_name", autocomplete="off")
    if st.button("Delete this store", key="delete_store", icon=":material/delete_forever:"):
        _delete(user, shop, typed)


def _delete(user: Account, shop: ShopAccess, typed: str) -> None:
    if typed.strip() != shop.name.strip():
        st.error("That is not the name of this store. Nothing was deleted.", icon=":material/error:")
        return
    try:
        actor = members.permitted(user.user_id, shop.shop_id, "delete_store")
        counts = privacy.delete_shop(shop.shop_id, actor=actor, kind="deleted here")
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    keep("store_said", f"{plain(shop.name)} is deleted: {sum(counts.values()):,} rows.")
    run_again()
