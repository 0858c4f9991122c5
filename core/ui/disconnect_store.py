"""Disconnecting a store: its access token is forgotten, its data stays."""

from collections.abc import Sequence

import streamlit as st

from core.auth import audit, members
from core.auth.accounts import Account, ShopAccess
from core.errors import AppError
from core.sync.connect import disconnect_shop
from core.ui.formatting import plain
from core.ui.session import address, keep, run_again


def form(user: Account, shops: Sequence[ShopAccess]) -> None:
    """Which store, and the button."""
    st.markdown(
        "Its access token is forgotten and nothing is asked of Shopify any more, neither by the schedule nor by Sync "
        "now. What was fetched so far stays and can be looked at. To go on, connect the store again. To make the token "
        "worthless everywhere, uninstall the app in Shopify too."
    )
    names = {shop.shop_id: shop.name for shop in shops}
    shop_id = st.selectbox("Store", list(names), format_func=names.__getitem__, key="disconnect_which")
    if st.button("Disconnect this store", key="disconnect_store", icon=":material/link_off:"):
        _disconnect(user, shop_id, names[shop_id])


def _disconnect(user: Account, shop_id: int, name: str) -> None:
    try:
        actor = members.permitted(user.user_id, shop_id, "connect_store")
        domain = disconnect_shop(shop_id)
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    audit.record(actor, "store_disconnect", shop_id=shop_id, target=domain, address=address())
    keep("store_said", f"{plain(name)} is disconnected. What was fetched of it is kept.")
    run_again()
