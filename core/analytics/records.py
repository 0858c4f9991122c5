"""Frames and rows as JSON has them: exact money, ISO days and moments, null for what is unknown."""

from collections.abc import Collection
from datetime import date
from typing import Any

import pandas as pd

from core.analytics.report import written


def records(frame: pd.DataFrame, currency: str, money: Collection[str] = ()) -> list[dict[str, Any]]:
    """A dict for each row; the columns of `money` are in minor units, and become decimal strings of the currency."""
    return [
        {str(name): written(_known(value), "money", currency) if name in money else plain(value)
         for name, value in row.items()}
        for row in frame.to_dict("records")
    ]  # fmt: skip


def plain(value: Any) -> Any:
    """One value: days and moments as ISO texts, tuples as lists, what pandas has as missing as None."""
    known = _known(value)
    if isinstance(known, date):  # a moment is one, too
        return known.isoformat()
    return list(known) if isinstance(known, tuple) else known


def _known(value: Any) -> Any:
    return None if value is pd.NaT or (isinstance(value, float) and value != value) else value
