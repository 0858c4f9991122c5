"""The Reconcile page's parts: asking Shopify for its own figures, and ours beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd
import streamlit as st

from core.analytics import reconcile as analysis
from core.analytics.frames_reconcile import unbalanced_orders
from core.analytics.metrics import METRIC
from core.analytics.period import Period
from core.analytics.reconcile import Comparison, Explanation, Verdict
from core.auth import roles
from core.auth.accounts import ShopAccess
from core.auth.roles import may
from core.db.engine import shop_session
from core.errors import AccessDenied, AppError
from core.sync import reconcile
from core.sync.jobs import request_sync, sync_status
from core.ui import drill, formatting, states
from core.ui.reconcile_tables import day_name, explained_days, written
from core.ui.session import keep, recall, run_again

_MOST_UNBALANCED = 200
_MOST_TOLD = 7


@dataclass(frozen=True)
class Found:
    """A comparison of some days with what explains its differences, and when Shopify was asked."""

    comparison: Comparison
    why: dict[date, tuple[Explanation, ...]]
    verdict: Verdict
    today: date
    asked_at: datetime
    older_names: bool


def period(today: date) -> Period:
    """The last 7, 30 or 90 days, or two dates of the reader's choice."""
    with st.container(horizontal=True, vertical_alignment="center", key="filters"):
        label = st.segmented_control(
            "Days", [*_DAYS, _CUSTOM], default="30 days", required=True, key="compared_days", bind="query-params",
            label_visibility="collapsed", wrap=True,
        )  # fmt: skip
        usual = Period(today - timedelta(days=_DAYS.get(label or "", 30) - 1), today)
        if label != _CUSTOM:
            return usual
        picked = st.date_input(
            "Dates", value=(usual.start, usual.end), max_value=today, key="compared_dates", bind="query-params",
            format="YYYY-MM-DD", width=230, label_visibility="collapsed",
        )  # fmt: skip
    # Between the two clicks there is one date.
    start, end = (min(day, today) for day in _ends(picked) or (usual.start, usual.end))
    first = end - timedelta(days=reconcile.LONGEST_DAYS - 1)
    if start < first:
        st.caption(f"At most {reconcile.LONGEST_DAYS} days are compared at once: the last of those you chose.")
    return Period(max(start, first), end)


def compared(shop: ShopAccess, span: Period) -> Found | None:
    """The comparison once it was asked for, behind its button; else None, with what is missing for it."""
    if not reconcile.may_ask(shop.shop_id):
        _what_to_grant()
        return None
    status = sync_status(shop.shop_id)
    wanted = (shop.shop_id, shop.data_version, span.start, span.end)
    asked = may(shop.role, "sync_now") and recall("compared") == wanted
    pressed = st.button(
        "Ask Shopify again" if asked else "Compare with Shopify", key="ask_shopify", icon=":material/balance:",
        type="secondary" if asked else "primary",
        disabled=not may(shop.role, "sync_now") or status.disconnected or status.reauth_since is not None,
        help="Asks Shopify for its own sales report of these days; nothing is stored.",
    )  # fmt: skip
    if not may(shop.role, "sync_now"):
        st.caption("Asking Shopify is for analysts, admins and owners of the store.")
        return None
    if pressed:
        _ask(shop, span, again=asked)
        run_again()  # the button is called otherwise now
    if problem := recall("compare_problem"):
        if problem[0] == wanted:
            _tell_problem(problem[1], denied=problem[2])
            return None
        keep("compare_problem", None)
    if not asked:
        st.info(
            "Shopify's own figures of these days are fetched when you press the button and put beside those of this "
            "app, day by day and measure by measure.",
            icon=":material/balance:",
        )
        return None
    return _found(*wanted)


def verdict(found: Found, shop: ShopAccess) -> None:
    """The result in one large line."""
    icon, colour = (":material/verified:", "green") if found.verdict.agrees else (":material/difference:", "orange")
    with st.container(border=True, key="verdict_card"):
        st.header(f":{colour}[{icon}] {found.verdict.text}", anchor=False)
        asked_at = formatting.moment(found.asked_at, shop.time_zone)
        locale, measures = formatting.reader_locale(), len(found.comparison.measures)
        both = (found.comparison.sum_of("total_sales", side) for side in ("ours", "theirs"))
        here, there = (formatting.money(number, shop.currency, locale) for number in both)
        rest = [
            found.verdict.rest,
            f"Total sales of these days: {here} here, {there} at Shopify.",
            f"{measures} measures of each day were compared. Shopify was asked at {asked_at}.",
            _OLDER_NAMES if found.older_names else "",
        ]
        st.caption(formatting.plain(" ".join(text for text in rest if text)))


def reasons(found: Found, shop: ShopAccess) -> None:
    """What explains each day that differs, the latest first; for the rest its orders, and reading them again."""
    days = explained_days(found.comparison, found.why)
    unexplained = [day for day in days if not analysis.is_explained(found.why.get(day, ()))]
    st.subheader("What explains it", anchor=False)
    locale = formatting.reader_locale()
    for day in days[:_MOST_TOLD]:
        differences = found.comparison.differing.get(day, {})
        told = [f"{METRIC[slug].label} {written(n, slug, shop.currency, locale)}" for slug, n in differences.items()]
        st.markdown(f"**{day_name(day)}**: {formatting.plain(', '.join(told))}")
        for one in found.why.get(day, ()):
            st.markdown(f"- {formatting.plain(one.text)}")
        if day in unexplained:
            st.markdown("- **Unexplained.** Nothing that is known here accounts for it for certain.")
            drill.link(
                shop, Period(day, day), f"Ledger rows of {day_name(day)}", key=f"rows_of_{day}", rows=drill.BOOKED
            )
    if len(days) > _MOST_TOLD:
        st.caption(f"{len(days) - _MOST_TOLD} more days: the table above has the reason of each.")
    if unexplained and may(shop.role, "sync_now"):
        _read_again(shop, unexplained, found.today)


def check_orders(shop: ShopAccess, span: Period) -> None:
    """Whether the ledger of every order adds up to Shopify's own totals of the order; needs no permission."""
    st.subheader("Order by order", anchor=False)
    st.caption(
        "Shopify also says what each single order comes to. The ledger of every order of these days is added up and "
        "compared with that; this asks Shopify nothing and needs no further permission."
    )
    wanted = (shop.shop_id, shop.data_version, span.start, span.end)
    if st.button("Check every order", key="check_orders", icon=":material/checklist:"):
        keep("checked_orders", wanted)
    if recall("checked_orders") != wanted:
        return
    with states.coming("Adding up every order", 60):
        frame, number = _unbalanced(*wanted)
    locale = formatting.reader_locale()
    checked, wrong = formatting.count(number, locale), formatting.count(len(frame), locale)
    if number == 0:
        st.info("No order was placed on these days.", icon=":material/receipt_long:")
    elif frame.empty:
        each = "The one order adds up" if number == 1 else f"All {checked} orders add up"
        st.success(f"{each} to the totals Shopify gives, to the smallest unit.", icon=":material/verified:")
    else:
        more = " or more" if len(frame) == _MOST_UNBALANCED else ""
        note = f"{wrong}{more} of {checked} orders do not add up to the totals Shopify gives."
        st.warning(note, icon=":material/difference:")
        _unbalanced_table(frame, shop)


def _ends(picked: object) -> tuple[date, date] | None:
    days = sorted(day for day in picked if isinstance(day, date)) if isinstance(picked, tuple) else []
    return (days[0], days[-1]) if days else None


def _ask(shop: ShopAccess, span: Period, *, again: bool) -> None:
    """Ask Shopify because somebody pressed the button, and keep that there is an answer, or why not.

    Raises NotPermitted.
    """
    roles.require(shop.role, "sync_now")
    wanted = (shop.shop_id, shop.data_version, span.start, span.end)
    if again:
        _found.clear(*wanted)
    keep("compared", None)
    keep("compare_problem", None)
    try:
        with states.coming("Asking Shopify for its figures", 110, 420):
            _found(*wanted)
    except AppError as error:
        keep("compare_problem", (wanted, str(error), isinstance(error, AccessDenied)))
    else:
        keep("compared", wanted)


def _tell_problem(text: str, *, denied: bool) -> None:
    st.error(formatting.plain(text), title="Shopify did not give its figures", icon=":material/error:")
    if denied:
        _what_to_grant()


def _what_to_grant() -> None:
    st.info(_TO_GRANT, title="Shopify's own figures need one more permission", icon=":material/key:")
    st.page_link("sync.py", label="Go to Sync", icon=":material/sync:")


def _read_again(shop: ShopAccess, days: Sequence[date], today: date) -> None:
    recent = (today - min(days)).days < _RESCANNED_DAYS
    st.caption(
        f"If Shopify is right, reading the orders again mends it here: {_RECENT if recent else _ALL_AGAIN} "
        "Nothing is counted twice. Compare again when it is done."
    )
    label = "Read the last days again" if recent else "Read all orders again"
    if st.button(label, key="read_again", icon=":material/restart_alt:"):
        roles.require(shop.role, "sync_now")
        request_sync(shop.shop_id, ("rescan",) if recent else ("orders",), full=not recent, asked_by="button")
        run_again()


def _unbalanced_table(frame: pd.DataFrame, shop: ShopAccess) -> None:
    locale = formatting.reader_locale()
    shown = {
        "Order": frame["name"], "Day": frame["day"],
        "Ledger": [formatting.money(n, shop.currency, locale) for n in frame["booked"]],
        "Shopify's total": [formatting.money(n, shop.currency, locale) for n in frame["current_total"]],
        "Ledger of the purchase": [formatting.money(n, shop.currency, locale) for n in frame["booked_at_first"]],
        "Shopify's original total": [formatting.money(n, shop.currency, locale) for n in frame["original_total"]],
    }  # fmt: skip
    st.dataframe(
        pd.DataFrame(shown), hide_index=True, key="unbalanced",
        column_config={
            "Order": st.column_config.TextColumn(pinned=True), "Day": st.column_config.DateColumn(format="D MMM YYYY"),
        },
        alt="Orders whose ledger differs from Shopify's totals of the order, the latest first",
    )  # fmt: skip


@st.cache_data(ttl="15m", max_entries=64, show_spinner=False)
def _found(shop_id: int, data_version: int, start: date, end: date) -> Found:
    theirs, span = reconcile.fetch(shop_id, start, end), Period(start, end)
    synced_until, history_from = reconcile.orders_read(shop_id)
    with shop_session(shop_id) as session:
        compared = analysis.compare(analysis.our_days(session, span), theirs.days, theirs.measures)
        known = analysis.known_at(theirs.asked_at, theirs.stored_zone, theirs.time_zone, synced_until, history_from)
        why = analysis.explain(session, compared, known)
    result = analysis.verdict(compared, known.today, theirs.currency)
    return Found(compared, why, result, known.today, theirs.asked_at, theirs.older_names)


@st.cache_data(ttl="1h", max_entries=64, show_spinner=False)
def _unbalanced(shop_id: int, data_version: int, start: date, end: date) -> tuple[pd.DataFrame, int]:
    with shop_session(shop_id) as session:
        return unbalanced_orders(session, Period(start, end), _MOST_UNBALANCED)


_DAYS = {"7 days": 7, "30 days": 30, "90 days": 90}
_CUSTOM = "Custom"
_RESCANNED_DAYS = 3  # what the stream "rescan" reads again
_RECENT = "what changed in the last three days takes a moment."
_ALL_AGAIN = "Shopify lists no changes of one day alone, so all orders are read, as on the first day."
_OLDER_NAMES = "Shopify knew the columns of its report only by their names from before 2026-04."
_TO_GRANT = """
Shopify answers questions about its own reports only to apps with the scope `read_reports`. Nothing else here needs it:
syncing and every other page work without.

1. In Shopify's [Dev Dashboard](https://dev.shopify.com/dashboard) open the app, make a new version with the scope
   `read_reports` added to the others, and release it. (A custom app made in the store's admin: Settings, Apps, Develop
   apps, the app, Configuration.)
2. Shopify gives reports only to apps with access to protected customer data, level 2: name, address, phone and e-mail.
   A public app asks for it under API access requests; an app of your own has it on most plans.
3. Let the store's owner accept the new permission, and where you pasted an access token, connect the store again with
   the new one under Stores.
4. Press Sync now on the Sync page: it reads what the token may do. Then come back here.
"""
