"""Cohorts: buyers by the month of their first order, and what they did in the months after.

Month k of a cohort is the k-th calendar month after the first one; month 0 is the first itself. A cell whose month is
not over yet is unknown: None, never 0.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

Cell = float | None


@dataclass(frozen=True)
class Cohorts:
    """Sums by cohort and month; `complete[i]` is how many months, from 0 on, are over for cohort i.

    `months` are the cohorts' first months, ascending. `sizes` are buyers per cohort, so far where the first month is
    still running. The arrays have the shape (cohorts, months since the first): `customers` distinct buyers of a month,
    `orders` and `net_sales` (minor units) cumulative up to and with a month. Read cells by the methods, which know
    the blank ones.
    """

    months: tuple[date, ...]
    sizes: tuple[int, ...]
    complete: tuple[int, ...]
    customers: np.ndarray
    orders: np.ndarray
    net_sales: np.ndarray

    @property
    def width(self) -> int:
        """How many months the longest cohort has behind it: k runs from 0 to width - 1."""
        return int(self.customers.shape[1])

    def retention(self, cohort: date, k: int) -> Cell:
        """The part of a cohort that ordered in month k, as a fraction of 1; None while the month is not over."""
        return self._per_buyer(self.customers, cohort, k)

    def ltv(self, cohort: date, k: int) -> Cell:
        """Net sales per buyer of a cohort up to and with month k, in (fractions of) minor units; None while blank."""
        return self._per_buyer(self.net_sales, cohort, k)

    def orders_per_customer(self, cohort: date, k: int) -> Cell:
        """Orders per buyer of a cohort up to and with month k; None while the month is not over."""
        return self._per_buyer(self.orders, cohort, k)

    def everyone(self, measure: str, k: int) -> Cell:
        """A measure of MEASURES over all cohorts for which month k is over, weighted by their sizes; None if none."""
        array = getattr(self, MEASURES[measure])
        known = [i for i in range(len(self.months)) if 0 <= k < self.complete[i]]
        buyers = sum(self.sizes[i] for i in known)
        return int(array[known, k].sum()) / buyers if buyers else None

    def table(self, measure: str) -> pd.DataFrame:
        """A measure of MEASURES as a heat map needs it: one row per cohort and month, blank cells left out.

        Columns: first_month (date), k (int), value (float), customers (the cohort's size).
        """
        read: Callable[[date, int], Cell] = getattr(self, measure)
        rows = [(month, k, read(month, k), size) for month, size, k in self._known()]
        return pd.DataFrame(rows, columns=["first_month", "k", "value", "customers"])

    def _known(self) -> Iterator[tuple[date, int, int]]:
        for month, size, complete in zip(self.months, self.sizes, self.complete, strict=True):
            if size:
                yield from ((month, size, k) for k in range(complete))

    def _per_buyer(self, array: np.ndarray, cohort: date, k: int) -> Cell:
        i = self.months.index(cohort)
        if not 0 <= k < self.complete[i] or not self.sizes[i]:
            return None
        return int(array[i, k]) / self.sizes[i]


def cohorts(cells: pd.DataFrame, today: date) -> Cohorts:
    """Cohorts from sums per month, as of the shop's `today`.

    `cells` has one row per cohort and month in which anything happened: first_month and month (dates, the first of a
    month), customers (distinct buyers with an order in that month), orders, net_sales (minor units), all ints. What
    was booked before a cohort's first month counts in month 0.
    """
    first, month = _month_numbers(cells["first_month"]), _month_numbers(cells["month"])
    found, row = np.unique(first, return_inverse=True)
    running = today.year * 12 + today.month - 1
    complete = np.maximum(running - found, 0)
    width = int(complete.max(initial=0))
    k = month - first
    sizes = np.zeros(len(found), dtype=np.int64)
    np.add.at(sizes, row[k == 0], cells["customers"].to_numpy(np.int64)[k == 0])
    k = np.maximum(k, 0)
    over = k < complete[row]
    sums = {}
    for name in ("customers", "orders", "net_sales"):
        sums[name] = np.zeros((len(found), width), dtype=np.int64)
        np.add.at(sums[name], (row[over], k[over]), cells[name].to_numpy(np.int64)[over])
    return Cohorts(
        months=tuple(date(number // 12, number % 12 + 1, 1) for number in found.tolist()),
        sizes=tuple(sizes.tolist()),
        complete=tuple(complete.tolist()),
        customers=sums["customers"],
        orders=sums["orders"].cumsum(axis=1),
        net_sales=sums["net_sales"].cumsum(axis=1),
    )


def _month_numbers(days: pd.Series) -> np.ndarray:
    """Months counted from the year 0, so that their difference is a number of months."""
    found = pd.DatetimeIndex(days.astype("datetime64[s]"))
    return np.asarray(found.year * 12 + found.month - 1, dtype=np.int64)


# What a heat map can show, and where its sums are.
MEASURES = {"retention": "customers", "ltv": "net_sales", "orders_per_customer": "orders"}
