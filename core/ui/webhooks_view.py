"""What a store tells by itself: which webhooks are set, when each last came, and those that were given up."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.auth import roles
from core.auth.accounts import ShopAccess
from core.sync import inbox, subscriptions
from core.sync.inbox import DeadLetter
from core.ui import formatting
from core.ui.session import keep, run_again, tell

_ROW = 36
_MOMENT = "D MMM YYYY, HH:mm:ss"


def overview(shop: ShopAccess) -> None:
    """The section of the Sync page."""
    st.subheader("What the store tells by itself", anchor=False)
    tell("webhooks_said")
    topics = subscriptions.status(shop.shop_id)
    heard = max((topic.received_at for topic in topics if topic.received_at is not None), default=None)
    st.caption(_how(shop, heard))
    counts = inbox.counts(shop.shop_id)
    if not shop.is_demo and subscriptions.address() is None and heard is None:
        return
    _topics(topics, shop)
    if waiting := counts.get("waiting"):
        st.caption(f"{waiting:,} waiting to be applied.")
    if counts.get("dead"):
        _dead(shop, counts["dead"])


def _how(shop: ShopAccess, heard: datetime | None) -> str:
    told = "Shopify sends a webhook when something changes; the object is read anew within seconds."
    if shop.is_demo:
        told = "While somebody is signed in, the demo gets an order now and then and tells of it by a signed webhook."
    elif subscriptions.address() is None:
        return (
            "Changes arrive with the next sync. For changes within seconds set APP_URL to an https:// address that "
            "Shopify reaches, and SHOPIFY_API_KEY with SHOPIFY_API_SECRET."
        )
    last = f"Last one {formatting.moment(heard, shop.time_zone)}." if heard else "None came so far."
    return f"{told} {last} What gets lost on its way is found by the next sync."


def _topics(topics: tuple[subscriptions.TopicStatus, ...], shop: ShopAccess) -> None:
    zone = ZoneInfo(shop.time_zone)
    shown = pd.DataFrame(
        {
            "Webhook": [topic.label for topic in topics],
            "State": [_STATES[topic.state] for topic in topics],
            "Last received": [_local(topic.received_at, zone) for topic in topics],
            "It was": [_OUTCOMES.get(topic.outcome or "") for topic in topics],
            "Problem": [topic.problem for topic in topics],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="webhooks",
        row_height=_ROW,
        height="content" if len(shown) <= 8 else 9 * _ROW,
        placeholder=formatting.DASH,
        alt="The webhooks of this store and when each last came",
        column_config={
            "Webhook": st.column_config.TextColumn(pinned=True),
            "Last received": st.column_config.DatetimeColumn(format=_MOMENT, help="On the store's clock; of 30 days."),
            "It was": st.column_config.TextColumn(help="What became of the last one."),
            "Problem": st.column_config.TextColumn(width="large"),
        },
    )


def _dead(shop: ShopAccess, number: int) -> None:
    with st.expander(f"Given up: {number:,}", icon=":material/mark_email_unread:", key="dead_box"):
        st.markdown(
            "These webhooks could not be applied although they were tried for hours, or hold nothing that can be "
            "applied. No figure is wrong for it once a sync has read the same changes."
        )
        letters = inbox.dead_letters(shop.shop_id)
        chosen = _letters(letters, shop)
        if not roles.may(shop.role, "sync_now"):
            return
        label = f"Try {len(chosen):,} again" if chosen else "Try all again"
        if st.button(label, key="replay", icon=":material/replay:"):
            replay(shop, [letter.webhook_id for letter in chosen] or None)


def _letters(letters: list[DeadLetter], shop: ShopAccess) -> list[DeadLetter]:
    zone = ZoneInfo(shop.time_zone)
    event = st.dataframe(
        pd.DataFrame(
            {
                "Received": [_local(letter.received_at, zone) for letter in letters],
                "Webhook": [subscriptions.LABELS.get(letter.topic, letter.topic) for letter in letters],
                "About": [letter.about or None for letter in letters],
                "Attempts": [letter.attempts for letter in letters],
                "Problem": [letter.problem for letter in letters],
            }
        ),
        hide_index=True,
        # Of these very rows: a choice must not move on to another one.
        key=f"dead_{letters[0].webhook_id}_{len(letters)}",
        row_height=_ROW,
        placeholder=formatting.DASH,
        on_select="rerun",
        selection_mode="multi-row",
        alt="Webhooks that were given up, the latest first",
        column_config={
            "Received": st.column_config.DatetimeColumn(format=_MOMENT, pinned=True, help="On the store's clock."),
            "Problem": st.column_config.TextColumn(width="large"),
        },
    )
    return [letters[place] for place in event.selection.rows if 0 <= place < len(letters)]


def replay(shop: ShopAccess, ids: list[str] | None) -> None:
    """Let given up webhooks, these or all, be tried again, and run the page again. Raises NotPermitted."""
    roles.require(shop.role, "sync_now")
    number = inbox.replay(shop.shop_id, ids)
    keep("webhooks_said", f"{number:,} will be tried again in a moment.")
    run_again()


def _local(when: datetime | None, zone: ZoneInfo) -> datetime | None:
    return when and when.astimezone(zone).replace(tzinfo=None)


_STATES = {
    "subscribed": "Set",
    "missing": "Not set yet",
    "demo": "The demo's own",
    "other": "Not asked for",
}
_OUTCOMES = {"waiting": "Waiting", "done": "Applied", "dead": "Given up", "ignored": "Not needed"}
