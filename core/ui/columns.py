"""Columns of numbers: they stay numbers so that columns sort, and the browser writes them in the reader's language.

Streamlit writes a column by a name or by printf. Printf's separators are English for every reader; "localized" has the
reader's, with as many decimals as `step` has. Of currencies it knows dollar, euro and yen by name; an amount in another
one stands without a symbol, below a heading that names the currency.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from core.db.money import exponent


def count(*, width: int | None = None, meaning: str | None = None) -> Any:
    """Whole numbers."""
    return st.column_config.NumberColumn(format="localized", width=width, help=meaning)


def number(decimals: int, *, width: int | None = None, meaning: str | None = None) -> Any:
    """Numbers of at most that many decimals, all of which are written; further ones would be cut off, not rounded."""
    return st.column_config.NumberColumn(format="localized", step=_step(decimals), width=width, help=meaning)


def money(currency: str, *, width: int | None = None, meaning: str | None = None) -> Any:
    """Amounts in whole units of the currency, which the page names beside the table."""
    return number(exponent(currency), width=width, meaning=meaning)


def percent(*, width: int | None = None, meaning: str | None = None) -> Any:
    """Fractions of 1, given by shares(), as percentages with one decimal."""
    return st.column_config.NumberColumn(format="percent", step=_step(3), width=width, help=meaning)


def percent_bar(*, width: int | None = None, meaning: str | None = None) -> Any:
    """The same with a bar, full at 100 %."""
    return st.column_config.ProgressColumn(format="percent", step=_step(3), min_value=0, max_value=1, width=width,
                                           help=meaning)  # fmt: skip


def share(number: float | None) -> float | None:
    """A fraction of 1 as a column of percentages has it: further digits would be cut off, not rounded."""
    return None if number is None or number != number else round(float(number), 3)


def shares(numbers: Iterable[float | None]) -> list[float | None]:
    """share() of a whole column."""
    return [share(number) for number in numbers]


def amount(label: str, currency: str, *, width: int | None = None, meaning: str | None = None) -> Any:
    """Amounts in whole units of the currency, with its symbol where there is one for it, else with its code above."""
    if currency in _SYMBOLS:
        return st.column_config.NumberColumn(format=_SYMBOLS[currency], width=width, help=meaning)
    step = _step(exponent(currency))
    return st.column_config.NumberColumn(f"{label}, {currency}", format="localized", step=step, width=width,
                                         help=meaning)  # fmt: skip


def bar(label: str, amounts: Sequence[float], currency: str, meaning: str) -> Any:
    """The same with a bar, as long as its part of the highest amount."""
    most = max(amounts, default=0.0)
    told: dict[str, Any] = {"width": 150, "min_value": 0, "max_value": max(most, 0.01), "help": meaning}
    if currency in _SYMBOLS:
        return st.column_config.ProgressColumn(format=_SYMBOLS[currency], **told)
    step = _step(exponent(currency))
    return st.column_config.ProgressColumn(f"{label}, {currency}", format="localized", step=step, **told)


def _step(decimals: int) -> float:
    return float(10**-decimals) if decimals else 1


_SYMBOLS: dict[str, Any] = {"USD": "dollar", "EUR": "euro", "JPY": "yen"}
