"""The script Streamlit runs on every interaction: signed out only the sign-in page, signed in the page asked for."""

from pathlib import Path

import streamlit as st

from core.auth.roles import may
from core.ui import links, session, states, timing

ASSETS = Path(session.__file__).parent / "assets"
session.leave_page_before()
with states.errors_in_words():
    user, role = session.current_user(), ""
st.set_page_config(page_icon=str(ASSETS / "mark.svg"), layout="wide" if user else "centered")
st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "mark.svg"), size="large")

PAGES = {
    "Analytics": [
        st.Page("overview.py", title="Overview", icon=":material/monitoring:", default=True,
                help="How the store is doing: sales, orders and customers against the previous period."),
        st.Page("board.py", title="My board", icon=":material/dashboard:", help="What you chose, in your order."),
        st.Page("sales.py", title="Sales", icon=":material/payments:",
                help="From gross to total sales over time, by channel, country, product and more, and by hour."),
        st.Page("orders.py", title="Orders", icon=":material/receipt_long:", help="How many, of what size, and each."),
        st.Page("date_filter.py", title="Date filter", icon=":material/date_range:",
                help="Every measure for any range of days, by day, week or month, with a download."),
        st.Page("products.py", title="Products", icon=":material/inventory_2:",
                help="What sells and what comes back, by type and vendor, what is bought together, and the stock."),
        st.Page("customers.py", title="Customers", icon=":material/group:",
                help="Who buys most, who is new or comes back, segments with what to do, and how spending is spread."),
        st.Page("cohorts.py", title="Cohorts", icon=":material/view_timeline:",
                help="Customers by the month of their first order: who comes back, and what they spend over time."),
        st.Page("checkouts.py", title="Abandoned checkouts", icon=":material/shopping_cart_off:",
                help="Checkouts that were left: how many, for how much, how many came back, and what was in them."),
        st.Page("lifetime.py", title="Lifetime value", icon=":material/loyalty:", help="Who will come back, checked."),
        st.Page("forecast.py", title="Forecast", icon=":material/trending_up:", help="What the next weeks may bring."),
        st.Page("reconcile.py", title="Reconcile", icon=":material/balance:", help="Shopify's figures beside ours."),
        st.Page("goals.py", title="Goals", icon=":material/flag:", help="What a month is to reach, and its pace."),
    ],
    "Store": [
        st.Page("views.py", title="Views and reports", icon=":material/bookmarks:", help="Saved pages; e-mails."),
        st.Page("sync.py", title="Sync", icon=":material/sync:", help="Fetch the newest data, and see past syncs."),
        st.Page("stores.py", title="Stores", icon=":material/storefront:", help="Your stores; connect another one."),
        st.Page("team.py", title="Team", icon=":material/groups:", help="Who may see this store, and as what."),
        st.Page("audit.py", title="Audit", icon=":material/history:", help="Who did what in this store."),
    ],
    "You": [
        st.Page("account.py", title="Account", icon=":material/person:", help="Name, password, sessions and API keys."),
    ],
}  # fmt: skip
# In the menu only for roles that may do this; the pages refuse everybody else by themselves.
NEEDS = {"team": "manage_team", "audit": "view_audit"}
# At every address, so that a link is still there after signing in.
SIGNED_OUT = [
    st.Page(
        "sign_in.py", title="Sign in", icon=":material/login:", url_path=page.url_path or "overview",
        default=not page.url_path, help="Sign in to Shoptally.",
    )
    for pages in PAGES.values() for page in pages
]  # fmt: skip

with states.errors_in_words():
    links.take()
    if user:
        session.pick_shop()
        role = session.role_in_open_shop()
menu = {
    title: [page for page in pages if page.url_path not in NEEDS or may(role, NEEDS[page.url_path])]
    for title, pages in PAGES.items()
}
page = st.navigation(menu if user else SIGNED_OUT, position="sidebar" if user else "hidden", expanded=True)
st.set_page_config(page_title=f"{page.title} · Shoptally")
with states.errors_in_words(), timing.measured(page.url_path or "overview" if user else "sign_in"):
    if user:
        session.keep("page", page.url_path or "overview")
        session.account_corner(user)
        links.answer(user)
    else:
        session.reload_if_ended()
    page.run()
