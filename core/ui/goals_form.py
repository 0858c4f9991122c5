"""What sets a goal: a measure, from when on, and an amount as the reader writes it."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import streamlit as st
from babel.numbers import NumberFormatError, get_currency_symbol, parse_decimal

from core.analytics.goals import GOALS
from core.analytics.metrics import METRIC, Unit
from core.auth import goals
from core.auth.accounts import Account, ShopAccess
from core.auth.roles import may
from core.db.money import exponent
from core.errors import AppError, InputError
from core.ui import formatting
from core.ui.session import address, keep, run_again

_MONTHS = 12
_LONGEST = 40
_TOO_LARGE = 10**15
_EXAMPLE = 12_500
# A language may set groups apart by a sign that is on no keyboard, and that looks like a space or an apostrophe.
_APOSTROPHES = {ord(each): None for each in "'\N{RIGHT SINGLE QUOTATION MARK}"}
_SLUGS = tuple(metric.slug for metric in GOALS)
_LABELS = {metric.slug: metric.label for metric in GOALS}


def change(user: Account, shop: ShopAccess, found: Mapping[str, int], today: date, first: date) -> None:
    """What sets a goal or ends one, for who may."""
    if not may(shop.role, "set_goals"):
        return
    months = _months(today, first)
    with (
        st.expander("Set a goal", icon=":material/flag:", expanded=not found, key="set_goal"),
        st.form("goal_form", border=False),
    ):
        left, middle, right = st.columns(3)
        slug = left.selectbox(
            "Measure", _SLUGS, index=_SLUGS.index("net_sales"), key="goal_metric", format_func=_LABELS.__getitem__
        )
        month = middle.selectbox(
            "From", months, index=months.index(today.replace(day=1)), key="goal_month", format_func=formatting.month,
            help="It holds for this month and every later one, until another goal begins.",
        )  # fmt: skip
        text = right.text_input(f"Goal a month, money in {shop.currency}", key="goal_target", max_chars=_LONGEST)
        with st.container(horizontal=True):
            save = st.form_submit_button("Save", type="primary", key="goal_save")
            end = st.form_submit_button("No goal from then on", key="goal_end")
    if save or end:
        _change(user, shop, slug, month, text if save else None)


def _change(user: Account, shop: ShopAccess, slug: str, month: date, text: str | None) -> None:
    metric, locale = METRIC[slug], formatting.reader_locale()
    try:
        target = None if text is None else target_of(text, metric.unit, shop.currency, locale)
        shown = "no goal" if target is None else formatting.value(target, metric.unit, shop.currency, locale)
        goals.set_goal(shop.shop_id, user.user_id, slug, month, target, in_words=shown, address=address())
    except AppError as error:
        st.error(formatting.plain(str(error)), icon=":material/error:")
        return
    keep("goal_said", formatting.plain(f"{metric.label} from {formatting.month(month)}: {shown}."))
    run_again()


def target_of(text: str, unit: Unit, currency: str, locale: str) -> int:
    """What somebody typed in the way of their language, in minor units or as a count. Raises InputError."""
    bare = text.replace(get_currency_symbol(currency, locale=locale), "").replace(currency, "")
    try:
        number: Decimal = parse_decimal("".join(bare.split()).translate(_APOSTROPHES), locale=locale, strict=True)
    except NumberFormatError as error:
        example = formatting.value(_EXAMPLE if unit == "count" else _EXAMPLE * 100, unit, currency, locale)
        raise InputError(f"This is no number that can be read. Write it like {example}.") from error
    if not number.is_finite() or not 0 < number < _TOO_LARGE:
        raise InputError("A goal is an amount above 0. Enter what a month is to reach.")
    decimals = exponent(currency) if unit == "money" else 0
    minor = number.scaleb(decimals)
    if minor != minor.to_integral_value():
        raise InputError(
            f"{currency} has {decimals} decimals. Leave out the others." if decimals
            else "This is counted in whole numbers. Leave out the decimals."
        )  # fmt: skip
    return int(minor)


def _months(today: date, first: date) -> list[date]:
    """From a year ago, if there was data, to a year ahead."""
    now = today.year * 12 + today.month - 1
    begin = max(now - _MONTHS, min(first.year * 12 + first.month - 1, now))
    return [date(n // 12, n % 12 + 1, 1) for n in range(begin, now + _MONTHS + 1)]
