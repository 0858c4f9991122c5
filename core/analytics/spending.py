"""Spending: how much customers brought in all, how it is spread over them, and how soon they buy again."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.db.money import exponent

_BINS = 10
_ORDERS_BINS = ("orders_low", "orders_high")
# From how many orders to how many, None is open.
_ORDERS: tuple[tuple[int, int | None], ...] = (
    (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 7), (8, 10), (11, 15), (16, 25), (26, None),
)  # fmt: skip


@dataclass(frozen=True)
class Spending:
    """Customers by their net sales of all time; amounts in minor units.

    `bins` has a row per bin, ascending: low and high (low < net sales <= high; None is open), customers, net_sales.
    `best_tenth` is the part of all net sales that the best tenth of customers brought (rounded up to whole
    customers), as a fraction of 1; None where net sales are not above 0. `median` is None without customers.
    """

    bins: pd.DataFrame
    customers: int
    median: int | None
    best_tenth: float | None


def spending(net_sales: "pd.Series[int]", currency: str) -> Spending:
    """The distribution of net sales per customer (whole minor units, a value per customer).

    The first bin is for those who brought nothing or less, then ten bins of one round width up to where 95 % of the
    customers are, the last one for all above; bins at either end without customers are left out.
    """
    if not len(net_sales):
        return Spending(pd.DataFrame(columns=["low", "high", "customers", "net_sales"], dtype=object), 0, None, None)
    ordered = np.sort(net_sales.to_numpy(np.int64))
    step = _round_step(int(ordered[(len(ordered) - 1) * 95 // 100]), 10 ** exponent(currency))
    edges = [0, *(step * i for i in range(1, _BINS + 1))]
    bin_of = np.searchsorted(edges, ordered, side="left")
    counts = np.bincount(bin_of, minlength=len(edges) + 1)
    sums = np.zeros(len(edges) + 1, dtype=np.int64)
    np.add.at(sums, bin_of, ordered)
    rows = list(zip([None, *edges], [*edges, None], counts.tolist(), sums.tolist(), strict=True))
    filled = np.flatnonzero(counts)
    total, best = int(ordered.sum()), -(-len(ordered) // 10)
    return Spending(
        bins=pd.DataFrame(
            rows[filled[0] : filled[-1] + 1], columns=["low", "high", "customers", "net_sales"], dtype=object
        ),
        customers=len(ordered),
        median=round(float(np.median(ordered))),
        best_tenth=int(ordered[-best:].sum()) / total if total > 0 else None,
    )


def orders_and_spending(buyers: pd.DataFrame, currency: str) -> pd.DataFrame:
    """How many customers have so many orders and brought so much: a row per pair of bins that has customers.

    `buyers` has a row each: orders, net_sales (minor units). Columns: orders_low and orders_high (None is open), low
    and high (low < net sales <= high, as in spending()), customers, net_sales. A million customers are some dozens of
    rows.
    """
    bins = spending(buyers["net_sales"], currency).bins
    if bins.empty:
        return pd.DataFrame(columns=[*_ORDERS_BINS, "low", "high", "customers", "net_sales"], dtype=object)
    edges = [high for high in bins["high"] if high is not None]
    lows = np.array([low for low, _ in _ORDERS])
    row = np.searchsorted(edges, buyers["net_sales"].to_numpy(np.int64), side="left")
    column = np.searchsorted(lows, buyers["orders"].to_numpy(np.int64), side="right") - 1
    cell = row * len(_ORDERS) + column
    counts = np.bincount(cell, minlength=len(bins) * len(_ORDERS))
    sums = np.zeros(len(counts), dtype=np.int64)
    np.add.at(sums, cell, buyers["net_sales"].to_numpy(np.int64))
    found = [
        (*_ORDERS[at % len(_ORDERS)], bins["low"].iloc[at // len(_ORDERS)], bins["high"].iloc[at // len(_ORDERS)],
         int(counts[at]), int(sums[at]))
        for at in np.flatnonzero(counts).tolist()
    ]  # fmt: skip
    return pd.DataFrame(found, columns=[*_ORDERS_BINS, "low", "high", "customers", "net_sales"], dtype=object)


def median_days(gaps: pd.DataFrame) -> float | None:
    """The median of days counted by how often they occur (columns days, orders); None where there are none."""
    ordered = gaps.sort_values("days")
    reached = ordered["orders"].to_numpy(np.int64).cumsum()
    if not len(reached):
        return None
    middle = ((reached[-1] - 1) // 2, reached[-1] // 2)
    low, high = (int(ordered["days"].iloc[int(np.searchsorted(reached, place, side="right"))]) for place in middle)
    return (low + high) / 2


def _round_step(most: int, one: int) -> int:
    """The smallest of 1, 2, 2.5 or 5 times a power of ten of the currency's unit that covers `most` in ten steps."""
    size = one
    while True:
        for step in (size, size * 2, size * 5 // 2, size * 5):
            if step * _BINS >= most:
                return step
        size *= 10
