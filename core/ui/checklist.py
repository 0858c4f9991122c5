"""The first steps with a real store: what is done, what is next, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from core.auth.accounts import Account, ShopAccess
from core.auth.members import invitations_of, members_of
from core.auth.roles import may
from core.config import get_settings
from core.sync import subscriptions
from core.sync.jobs import SyncStatus
from core.ui.formatting import plain


@dataclass(frozen=True)
class Step:
    """One line of the list: `state` says how it stands; `page` is where it is done, None for the page it stands on."""

    title: str
    done: bool
    state: str
    page: str | None = None
    needed: bool = True


def card(user: Account, shops: Sequence[ShopAccess], statuses: Mapping[int, SyncStatus]) -> None:
    """The list of the first real store that is not ready, for who may connect stores; nothing once all is done."""
    real = [shop for shop in shops if not shop.is_demo]
    if not real and get_settings().has_shopify_app:
        _show(None, _BEFORE)
    for shop in real:
        if may(shop.role, "connect_store"):
            steps = _steps(user, shop, statuses[shop.shop_id])
            if not all(step.done or not step.needed for step in steps):
                _show(shop, steps)
                return


def _show(shop: ShopAccess | None, steps: tuple[Step, ...]) -> None:
    with st.container(border=True, key="checklist"):
        of = f" of {plain(shop.name)}" if shop is not None else ""
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.subheader(f"First steps{of}", anchor=False, width="content")
            st.caption(f"{sum(step.done for step in steps)} of {len(steps)} done", width="content")
        following = next((step for step in steps if not step.done), None)
        for step in steps:
            colour = "blue" if step is following else "gray"
            icon = ":green[:material/check_circle:]" if step.done else f":{colour}[:material/radio_button_unchecked:]"
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"{icon} **{step.title}**  :gray[{step.state}]", width="stretch")
                if step.page is not None and not step.done:
                    query = {"shop": shop.domain} if shop is not None else {}
                    st.page_link(step.page, label="Open", icon=":material/arrow_forward:", query_params=query)


def _steps(user: Account, shop: ShopAccess, status: SyncStatus) -> tuple[Step, ...]:
    connected = not status.disconnected and status.reauth_since is None
    lacking = ", ".join(f"`{scope}`" for scope in status.lacking_scopes)
    topics = subscriptions.status(shop.shop_id)
    set_up = sum(topic.state == "subscribed" for topic in topics)
    reachable = subscriptions.address() is not None
    team = len(members_of(user.user_id, shop.shop_id)) + len(invitations_of(user.user_id, shop.shop_id)) > 1
    return (
        Step("Connect the store", connected, "Connected." if connected else "Connect it again, below."),
        Step("Grant the scopes", not lacking, f"Not granted: {lacking}." if lacking else "All are granted."),
        Step(
            "First sync",
            status.synced_at is not None,
            "Orders, customers and products are here." if status.synced_at else _sync_state(status),
            "sync.py",
        ),
        Step(
            "Webhooks",
            reachable and bool(topics) and set_up == len(topics),
            f"{set_up} of {len(topics)} are set; the app sets them by itself." if reachable else _NO_WEBHOOKS,
            "sync.py",
            needed=reachable,
        ),
        Step("Team", team, "Others are let in." if team else "Let others in, if there are any.", "team.py", False),
    )


def _sync_state(status: SyncStatus) -> str:
    if status.running is not None or status.requested:
        return "It is running."
    return "The last one failed; the Sync page says why." if status.last is not None else "Not begun."


_NO_WEBHOOKS = "Changes arrive with each sync. For changes within seconds set APP_URL to an https:// address."
_BEFORE = (
    Step("Connect a store", False, "Below, under **Connect a store**."),
    Step("Grant the scopes", False, "Shopify asks while you connect."),
    Step("First sync", False, "Begins by itself once the store is connected."),
    Step("Webhooks", False, "The app sets them by itself."),
    Step("Team", False, "Let others in, once there is a store.", needed=False),
)
