"""A short tour of the overview, for who has just entered the demo."""

from datetime import UTC, datetime, timedelta

import streamlit as st

from core.auth import sessions
from core.auth.accounts import ShopAccess
from core.ui.session import current_session, keep, recall, require_shop, run_again, session_hash

# Who signed in longer ago has seen it, or does not want it. A demo account is many people's, so that what is
# remembered of a closed tour belongs to the sign-in.
_NEW_FOR = timedelta(minutes=15)
_OVER = -1


def card(shop: ShopAccess) -> None:
    """The tour on top of the overview, until it is closed; in no container."""
    if shop.is_demo and recall("tour_step") != _OVER and _is_new():
        _card()


def _is_new() -> bool:
    view = current_session()
    return view is not None and not view.tour_over and datetime.now(UTC) - view.created_at < _NEW_FOR


def _end() -> None:
    keep("tour_step", _OVER)
    if (id_hash := session_hash()) is not None:
        sessions.end_tour(id_hash)


@st.fragment
def _card() -> None:
    step = recall("tour_step") or 0
    if step == _OVER:
        run_again()  # a fragment that draws nothing leaves what it drew before
    shop = require_shop()
    title, text, page, label = STEPS[step]
    with st.container(border=True, key="tour"):
        st.markdown(f"**{title}** :gray[:small[{step + 1} of {len(STEPS)}]]  \n{text}")
        with st.container(horizontal=True, vertical_alignment="center"):
            last = step == len(STEPS) - 1
            if last:
                st.button("Done", key="tour_next", type="primary", on_click=_end)
            else:
                st.button("Next", key="tour_next", type="primary", on_click=keep, args=("tour_step", step + 1))
                st.button("Close the tour", key="tour_close", on_click=_end)
            if page:
                st.page_link(page, label=label, icon=":material/arrow_forward:", query_params={"shop": shop.domain})


# title, text, the page it speaks of ("" for this one), the link's words
STEPS = (
    (
        "Every figure explains itself",
        "The question mark of a card says what it counts, what it leaves out, and both periods to the cent.",
        "",
        "",
    ),
    (
        "Every figure opens",
        "Click a point of the line, a bar, or **See the orders**: you get the rows that add up to it.",
        "",
        "",
    ),
    (
        "What you see is a link",
        "Period, comparison and filters are in the address. Copy it, or keep it under **Views** beside the title.",
        "views.py",
        "Views and reports",
    ),
    (
        "Do not believe us",
        "Reconcile asks Shopify for its own figures and puts them beside ours, day by day. In the demo it answers too.",
        "reconcile.py",
        "Reconcile",
    ),
)
