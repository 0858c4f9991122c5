"""Figures, days and names as the reader of a page sees them: in the browser's language."""

from functools import cache

import streamlit as st
from babel import Locale, UnknownLocaleError

from core.reports.formatting import (
    DASH,
    ago,
    axis_value,
    card_money,
    card_value,
    change,
    city,
    count,
    day,
    decimal,
    duration,
    is_change,
    moment,
    money,
    month,
    percent,
    period,
    plain,
    short_decimal,
    value,
)


def reader_locale() -> str:
    """The browser's language as Babel writes it, "en_US" where it is unknown to us."""
    return _known_locale(st.context.locale or "en-US")


@cache
def _known_locale(tag: str) -> str:
    for candidate in (tag, tag.split("-", 1)[0]):
        try:
            return str(Locale.parse(candidate, sep="-"))
        except (UnknownLocaleError, ValueError):
            continue
    return "en_US"


__all__ = [
    "DASH",
    "ago",
    "axis_value",
    "card_money",
    "card_value",
    "change",
    "city",
    "count",
    "day",
    "decimal",
    "duration",
    "is_change",
    "moment",
    "money",
    "month",
    "percent",
    "period",
    "plain",
    "reader_locale",
    "short_decimal",
    "value",
]
