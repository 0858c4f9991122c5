"""Lifetime value: how often a buyer will come back and for how much, from the shop's own history.

Purchases by BG/NBD (Fader, Hardie & Lee 2005, "Counting Your Customers" the Easy Way, Marketing Science 24(2)): buyers
order at rates that are gamma distributed (r, alpha), and after each order leave for good with probabilities that are
beta distributed (a, b). Values by Gamma-Gamma (Fader & Hardie 2013, note 025): order values of one buyer are gamma
distributed around a mean that is itself gamma distributed over buyers (p, q, v).

In the formulas x is the number of days with another order, t_x the weeks from the first to the last of them, and age
(T in the papers) the weeks since the first. Time is in weeks, so that alpha compares with published ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, digamma, expit, gammaln, hyp2f1

from core.analytics.unknown import Unknown

LEAST_DAYS = 91
LEAST_BUYERS = 100
LEAST_REPEATERS = 30
MOST_HOLDOUT_DAYS = 182
YEAR_DAYS = 365
_MOST_LOG = 7.0  # parameters end at e^7: beyond, buyers are as good as alike, and the likelihood is flat

Floats = np.ndarray


@dataclass(frozen=True)
class Purchases:
    """A fitted BG/NBD; alpha is in weeks. Arguments of its methods are numbers or arrays of one shape."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    def alive(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        """The probability that a buyer will order again at some time; 1 for who ordered on one day only."""
        x, t_x, age = np.asarray(x, float), np.asarray(t_x, float), np.asarray(age, float)
        later = np.maximum(x, 1)
        odds = np.log(self.a / (self.b + later - 1)) + (self.r + x) * np.log((self.alpha + age) / (self.alpha + t_x))
        return np.asarray(np.where(x > 0, expit(-odds), 1.0))

    def expected(self, x: Floats, t_x: Floats, age: Floats, weeks: float) -> Floats:
        """Expected days with an order in the next weeks; of a buyer not yet seen with x, t_x and age 0."""
        x, t_x, age = np.broadcast_arrays(*(np.asarray(values, float) for values in (x, t_x, age)))
        share = weeks / (self.alpha + age + weeks)
        a = self.a if abs(self.a - 1) > 1e-5 else 1 + 1e-5  # the formula divides by a - 1, its limit does not
        with np.errstate(all="ignore"):
            # Equation 10 after Euler's transformation: as printed it multiplies a huge number with a tiny one.
            rest = (1 - share) ** (a - 1) * hyp2f1(a + self.b - 1 - self.r, a - 1, a + self.b + x - 1, share)
            found = np.atleast_1d((a + self.b + x - 1) / (a - 1) * (1 - rest))
        most = (self.r + x) * weeks / (self.alpha + age)  # of who never leaves
        lost = np.atleast_1d(~((found >= 0) & (found <= most * (1 + 1e-9))))  # parameters beyond the series, NaN too
        found[lost] = self._by_integral(np.atleast_1d(x)[lost], np.atleast_1d(age)[lost], weeks)
        return np.asarray(found.reshape(x.shape) * self.alive(x, t_x, age))

    def _by_integral(self, x: Floats, age: Floats, weeks: float) -> Floats:
        """What living buyers order, averaged over the quantiles of their probability to leave; slow and rough."""
        node, weight = np.polynomial.legendre.leggauss(64)
        leaves = np.maximum(betaincinv(self.a, self.b + x[:, None], (node + 1) / 2), 1e-12)
        orders = -np.expm1(-(self.r + x[:, None]) * np.log1p(leaves * weeks / (self.alpha + age[:, None]))) / leaves
        return np.asarray(orders @ weight / 2)


@dataclass(frozen=True)
class Values:
    """A fitted Gamma-Gamma; v is in minor units."""

    p: float
    q: float
    v: float
    log_likelihood: float

    def expected(self, x: Floats, mean: Floats) -> Floats:
        """Expected value of a buyer's next order in (fractions of) minor units, from x orders of this mean value."""
        x, mean = np.asarray(x, float), np.asarray(mean, float)
        return np.asarray(self.p * (self.v + x * mean) / (self.p * x + self.q - 1))


@dataclass(frozen=True)
class Lifetime:
    """What to expect of each buyer in the `days` after `day`.

    `buyers` has one row per buyer: buyer_id, repeats (x), alive (a probability), expected_orders, and in (fractions
    of) minor units expected_order_value and expected_value, both None where `values` is unknown. Sums are over all
    buyers so far: who comes first in these days is not in them.
    """

    day: date
    days: int
    purchases: Purchases
    values: Values | Unknown
    buyers: pd.DataFrame
    expected_orders: float
    expected_value: float | None


@dataclass(frozen=True)
class HoldOut:
    """A forecast made at `split` from what was known then, beside what happened up to `day`.

    `customers` are the buyers known at the split. Values in (fractions of) minor units; the expected one is None where
    order values could not be modelled. `by_repeats` compares means: repeats ("0" to "6", "7+"), customers,
    expected_orders, actual_orders per buyer. `mean_absolute_error` is of the orders of one buyer.
    """

    split: date
    day: date
    customers: int
    expected_orders: float
    actual_orders: int
    mean_absolute_error: float
    expected_value: float | None
    actual_value: int
    by_repeats: pd.DataFrame


def lifetime(history: pd.DataFrame, day: date, days: int = YEAR_DAYS) -> Lifetime | Unknown:
    """Fit both models on the shop's history up to `day`, and what to expect in the next `days`.

    `history` has one row per buyer with an order up to `day`: buyer_id, first_day and last_day (dates of orders),
    repeat_days (ints: distinct days with an order after the first), repeat_value (minor units of the orders of those
    days). Raises ValueError for an order after `day`.
    """
    x = history["repeat_days"].to_numpy(np.int64)
    first, last = (_day_numbers(history[name]) for name in ("first_day", "last_day"))
    today = day.toordinal() - date(1970, 1, 1).toordinal()
    if (last > today).any():
        raise ValueError(f"an order is later than {day}")
    if missing := _too_little(x, today - first):
        return Unknown(missing)
    shapes, _, weights = _distinct(x, last - first, today - first)
    fitted = fit_purchases(*shapes, weights)
    if isinstance(fitted, Unknown):
        return fitted
    mean, usable = _order_values(history)
    values = fit_values(x[usable], mean[usable])
    buyers = expected_of(history, day, fitted, values, days)
    total = None if isinstance(values, Unknown) else float(buyers["expected_value"].sum())
    return Lifetime(day, days, fitted, values, buyers, float(buyers["expected_orders"].sum()), total)


def expected_of(
    history: pd.DataFrame, day: date, purchases: Purchases, values: Values | Unknown, days: int = YEAR_DAYS
) -> pd.DataFrame:
    """What to expect of some buyers by models fitted on all: `history` is as for lifetime(), the answer its buyers."""
    x = history["repeat_days"].to_numpy(np.int64)
    first, last = (_day_numbers(history[name]) for name in ("first_day", "last_day"))
    shapes, group, _ = _distinct(x, last - first, day.toordinal() - date(1970, 1, 1).toordinal() - first)
    expected = purchases.expected(*shapes, days / 7)[group]
    buyers = pd.DataFrame(
        {
            "buyer_id": history["buyer_id"].to_numpy(),
            "repeats": x,
            "alive": purchases.alive(*shapes)[group],
            "expected_orders": expected,
        }
    )
    if isinstance(values, Unknown):
        buyers["expected_order_value"] = buyers["expected_value"] = pd.Series([None] * len(buyers), dtype=object)
        return buyers
    mean, usable = _order_values(history)
    each = values.expected(np.where(usable, x, 0), np.where(usable, mean, 0.0))
    return buyers.assign(expected_order_value=each, expected_value=each * expected)


def _order_values(history: pd.DataFrame) -> tuple[Floats, Floats]:
    """The mean value of each buyer's later orders, and whether Gamma-Gamma can use it."""
    x = history["repeat_days"].to_numpy(np.int64)
    mean = history["repeat_value"].to_numpy(np.int64) / np.maximum(x, 1)
    return mean, (x > 0) & (mean > 0)  # a gamma distribution has no place for what was returned in full


def holdout_split(history: pd.DataFrame, day: date) -> date | None:
    """The day up to which to fit for holdout(): half of the history, at most 26 weeks, is kept for the comparison."""
    if history.empty:
        return None
    kept = min((day - history["first_day"].min()).days // 2, MOST_HOLDOUT_DAYS)
    return day - timedelta(days=kept)


def holdout(before: pd.DataFrame, after: pd.DataFrame, split: date, day: date) -> HoldOut | Unknown:
    """Fit on the history up to `split`, and compare what it expects until `day` with what happened.

    `before` and `after` are histories as for lifetime(), of all orders up to `split` and up to `day`.
    """
    if split >= day:
        return Unknown("There is no time between the forecast and its check yet.")
    forecast = lifetime(before, split, (day - split).days)
    if isinstance(forecast, Unknown):
        return forecast
    columns = ["repeat_days", "repeat_value"]
    known = before.set_index("buyer_id")[columns].astype("int64")
    then = after.set_index("buyer_id")[columns].reindex(known.index).fillna(known).astype("int64")
    happened = then - known
    expected, actual = forecast.buyers["expected_orders"].to_numpy(), happened["repeat_days"].to_numpy()
    repeats = forecast.buyers["repeats"].clip(upper=7).astype(str).replace("7", "7+").rename("repeats")
    means = pd.DataFrame({"expected_orders": expected, "actual_orders": actual}).groupby(repeats)
    return HoldOut(
        split=split,
        day=day,
        customers=len(known),
        expected_orders=forecast.expected_orders,
        actual_orders=int(actual.sum()),
        mean_absolute_error=float(np.abs(expected - actual).mean()),
        expected_value=forecast.expected_value,
        actual_value=int(happened["repeat_value"].sum()),
        by_repeats=means.mean().assign(customers=means.size()).reset_index(),
    )


def fit_purchases(x: Floats, t_x: Floats, age: Floats, weights: Floats | None = None) -> Purchases | Unknown:
    """BG/NBD by maximum likelihood; each row stands for `weights` buyers. Times in weeks."""
    x, t_x, age = (np.asarray(values, float) for values in (x, t_x, age))
    w = np.ones(len(x)) if weights is None else np.asarray(weights, float)
    scale = float((w * age).sum() / w.sum()) or 1.0  # brings alpha near 1, where the search is quickest
    t_x, age = t_x / scale, age / scale
    often, place = np.unique(x, return_inverse=True)  # gamma functions are dear, and few numbers of orders differ
    later, again = np.maximum(often, 1), x > 0

    def loss(logs: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = np.exp(logs)
        stays = -(r + x) * np.log(alpha + age)
        goes = np.where(again, np.log(a / (b + later - 1))[place] - (r + x) * np.log(alpha + t_x), -np.inf)
        either = np.logaddexp(stays, goes)
        counts = gammaln(r + often) - gammaln(r) + r * np.log(alpha) + betaln(a, b + often) - betaln(a, b)
        left = np.exp(goes - either)  # the part of the likelihood in which the buyer has gone
        whole = digamma(a + b) - digamma(a + b + often)
        by_r = (digamma(r + often) - digamma(r) + np.log(alpha))[place]
        by_r -= (1 - left) * np.log(alpha + age) + left * np.log(alpha + t_x)
        by_alpha = r / alpha - (r + x) * ((1 - left) / (alpha + age) + left / (alpha + t_x))
        by_a = whole[place] + left / a
        by_b = (whole + digamma(b + often) - digamma(b))[place] - left * (1 / (b + later - 1))[place]
        slopes = np.array([w @ each for each in (by_r, by_alpha, by_a, by_b)]) * np.exp(logs)
        return -float(w @ (counts[place] + either)) / w.sum(), -slopes / w.sum()

    found = _search(loss, 4)
    if found is None:
        return Unknown("The history shows no pattern of returning customers that the model could learn.")
    (r, alpha, a, b), log_likelihood = found
    # The likelihood of times in weeks: each order's density changes with the unit.
    log_likelihood = log_likelihood * w.sum() - float(w @ x) * np.log(scale)
    return Purchases(float(r), float(alpha * scale), float(a), float(b), float(log_likelihood))


def fit_values(x: Floats, mean: Floats) -> Values | Unknown:
    """Gamma-Gamma by maximum likelihood, from buyers with x > 0 orders of a mean value above 0 (minor units)."""
    x, mean = np.asarray(x, float), np.asarray(mean, float)
    if len(x) < LEAST_REPEATERS:
        return Unknown(f"Order values need {LEAST_REPEATERS} customers who came back and kept something.")
    scale = float(mean.mean())
    m = mean / scale

    def loss(logs: Floats) -> tuple[float, Floats]:
        p, q, v = np.exp(logs)
        spent = np.log(x * m + v)
        likelihood = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v)
        likelihood += (p * x - 1) * np.log(m) + p * x * np.log(x) - (p * x + q) * spent
        both = digamma(p * x + q)
        by_p = x * (both - digamma(p * x) + np.log(m) + np.log(x) - spent)
        by_q = both - digamma(q) + np.log(v) - spent
        by_v = q / v - (p * x + q) / (x * m + v)
        slopes = np.array([each.mean() for each in (by_p, by_q, by_v)]) * np.exp(logs)
        return -float(likelihood.mean()), -slopes

    found = _search(loss, 3)
    if found is None:
        return Unknown("The values of repeat orders follow no pattern that the model could learn.")
    (p, q, v), log_likelihood = found
    if q <= 1:
        return Unknown("The values of repeat orders differ so widely that they have no dependable mean.")
    return Values(float(p), float(q), float(v * scale), float((log_likelihood - np.log(scale)) * len(x)))


def _search(loss: Callable[[Floats], tuple[float, Floats]], size: int) -> tuple[Floats, float] | None:
    """Positive parameters of the least loss, and minus that loss; None where the search does not settle."""
    for start in (0.0, -1.0, 1.0):
        found = minimize(
            loss, np.full(size, start), jac=True, method="L-BFGS-B", bounds=[(-_MOST_LOG, _MOST_LOG)] * size,
            options={"maxiter": 1000, "ftol": 1e-11, "gtol": 1e-8},
        )  # fmt: skip
        if found.success and np.isfinite(found.fun):
            return np.exp(found.x), -float(found.fun)
    return None


def _too_little(x: Floats, age_days: Floats) -> str:
    """What the history lacks for a fit, "" if nothing."""
    repeaters = int((x > 0).sum())
    if len(x) < LEAST_BUYERS:
        return f"The model learns from at least {LEAST_BUYERS} customers; there are {len(x)} so far."
    if repeaters < LEAST_REPEATERS:
        return (
            f"The model learns from at least {LEAST_REPEATERS} customers who came back; there are {repeaters} so far."
        )
    if age_days.max() < LEAST_DAYS:
        return (
            f"The model learns from at least {LEAST_DAYS // 7} weeks of orders; there are {age_days.max() // 7} so far."
        )
    return ""


def _distinct(x: Floats, t_x_days: Floats, age_days: Floats) -> tuple[tuple[Floats, Floats, Floats], Floats, Floats]:
    """The distinct shapes of a history (x, weeks, weeks), the shape of each buyer, and how many have each."""
    base = int(age_days.max()) + 1
    keys, group, weights = np.unique((x * base + t_x_days) * base + age_days, return_inverse=True, return_counts=True)
    rest, age = np.divmod(keys, base)
    times, t_x = np.divmod(rest, base)
    return (times.astype(float), t_x / 7, age / 7), group, weights


def _day_numbers(days: pd.Series) -> Floats:
    return np.asarray(days.astype("datetime64[s]"), "datetime64[D]").astype(np.int64)
