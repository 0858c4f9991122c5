"""RFM: buyers scored 1 to 5 by recency, frequency and monetary value, and the segments that follow.

Scores are those of the R package rfm: the thresholds of a measure are its quantiles at 20, 40, 60 and 80 % (linear
between two values) plus 1; a value is in the first of five bins whose threshold is above it. Fresh recency scores high.
Source: https://github.com/rsquaredacademy/rfm
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from core.db.money import exponent

SCORES = ("recency_score", "frequency_score", "monetary_score")


@dataclass(frozen=True)
class Segment:
    """Buyers with scores in three ranges (both ends included): who they are, and what to do about them."""

    slug: str
    name: str
    recency: tuple[int, int]
    frequency: tuple[int, int]
    monetary: tuple[int, int]
    meaning: str
    action: str

    def holds(self, recency: int, frequency: int, monetary: int) -> bool:
        """Whether a buyer with these scores belongs here."""
        ranges = (self.recency, self.frequency, self.monetary)
        return all(
            low <= score <= high for score, (low, high) in zip((recency, frequency, monetary), ranges, strict=True)
        )


@dataclass(frozen=True)
class Rfm:
    """Every buyer with scores and segment, and every segment in numbers.

    `buyers`: buyer_id, orders, net_sales (minor units), last_day, recency_days, the columns SCORES, segment (slug).
    `segments`: one row per segment of SEGMENTS in its order: segment (slug), customers, share (of all customers, a
    fraction of 1), orders, net_sales (minor units), median_recency_days; share and median are None where nobody is.
    """

    buyers: pd.DataFrame
    segments: pd.DataFrame

    def grid(self) -> pd.DataFrame:
        """Buyers by recency score (rows, 1 to 5) and frequency score (columns, 1 to 5), zeros included."""
        counts = np.zeros((5, 5), dtype=np.int64)
        recency, frequency = (self.buyers[name].to_numpy() - 1 for name in SCORES[:2])
        np.add.at(counts, (recency, frequency), 1)
        scores = range(1, 6)
        return pd.DataFrame(counts, index=pd.Index(scores, name=SCORES[0]), columns=pd.Index(scores, name=SCORES[1]))


def rfm(buyers: pd.DataFrame, day: date, currency: str) -> Rfm:
    """Score and segment the buyers with at least one order up to `day`.

    `buyers` has one row per buyer: buyer_id, orders, net_sales (minor units), last_day (date of the latest order). The
    1 that is added to a threshold is a day, an order and one unit of the currency. Raises ValueError for an order after
    `day`: its loader is to leave such out.
    """
    recency = day.toordinal() - np.fromiter(map(date.toordinal, buyers["last_day"]), np.int64, len(buyers))
    if (recency < 0).any():
        raise ValueError(f"an order is later than {day}")
    frequency, monetary = buyers["orders"].to_numpy(np.int64), buyers["net_sales"].to_numpy(np.int64)
    scores = (6 - _bins(recency, 1), _bins(frequency, 1), _bins(monetary, 10 ** exponent(currency)))
    scored = buyers[["buyer_id", "orders", "net_sales", "last_day"]].assign(
        recency_days=recency, **dict(zip(SCORES, scores, strict=True))
    )
    number = _SEGMENT_OF[scores]
    slugs = np.array([segment.slug for segment in SEGMENTS], dtype=object)
    scored["segment"] = slugs[number]
    return Rfm(scored, _summary(scored, number))


def segment_of(recency: int, frequency: int, monetary: int) -> Segment:
    """The one segment of three scores from 1 to 5."""
    return SEGMENTS[_SEGMENT_OF[recency, frequency, monetary]]


def _bins(values: np.ndarray, one: int) -> np.ndarray:
    """The bin of each value, 1 to 5; quantiles lie between values, so all is times 5 and nothing is rounded."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    ordered = np.sort(values)
    place, fifths = np.divmod((len(values) - 1) * np.arange(1, 5), 5)
    low, high = ordered[place], ordered[np.minimum(place + 1, len(values) - 1)]
    thresholds = 5 * low + fifths * (high - low) + 5 * one
    return np.searchsorted(thresholds, 5 * values, side="right") + 1


def _summary(scored: pd.DataFrame, number: np.ndarray) -> pd.DataFrame:
    by = scored.groupby(number)
    summed = by[["orders", "net_sales"]].sum().astype("int64")
    sizes, recency = by.size(), by["recency_days"].median()
    rows = [
        (
            segment.slug,
            int(sizes.get(i, 0)),
            int(sizes[i]) / len(scored) if i in sizes.index else (0.0 if len(scored) else None),
            int(summed["orders"].get(i, 0)),
            int(summed["net_sales"].get(i, 0)),
            float(recency[i]) if i in sizes.index else None,
        )
        for i, segment in enumerate(SEGMENTS)
    ]
    columns = ["segment", "customers", "share", "orders", "net_sales", "median_recency_days"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


_ANY = (1, 5)

SEGMENTS = (
    Segment(
        "champions", "Champions", (5, 5), (4, 5), _ANY,
        "Bought very recently and buy often.",
        "Thank them, show them new products first, ask for reviews; they need no discount.",
    ),
    Segment(
        "loyal", "Loyal customers", (3, 4), (4, 5), _ANY,
        "Buy often, the last time not long ago.",
        "Offer a loyalty programme and matching products of higher value.",
    ),
    Segment(
        "potential_loyalists", "Potential loyalists", (4, 5), (2, 3), _ANY,
        "Bought recently, and more than a few others.",
        "Recommend what is bought together with their last order; invite them to the loyalty programme.",
    ),
    Segment(
        "new", "New customers", (5, 5), (1, 1), _ANY,
        "Bought very recently, as rarely as anyone.",
        "Welcome them, help with the first order, lead them to a second one within weeks.",
    ),
    Segment(
        "promising", "Promising", (4, 4), (1, 1), _ANY,
        "Bought a short while ago, as rarely as anyone.",
        "Remind them of the shop with what fits the first order; a small incentive for the second.",
    ),
    Segment(
        "need_attention", "Need attention", (3, 3), (3, 3), _ANY,
        "Middling in how recently and how often they bought.",
        "Make a limited offer from what they bought before, before they drift away.",
    ),
    Segment(
        "about_to_sleep", "About to sleep", (3, 3), (1, 2), _ANY,
        "Bought rarely, and a while ago.",
        "Show popular and new products; ask what kept them from coming back.",
    ),
    Segment(
        "at_risk", "At risk", (1, 2), (3, 4), (1, 4),
        "Bought several times, but not for long.",
        "Write to them personally, renew the offer of what they used to buy.",
    ),
    Segment(
        "cannot_lose", "Cannot lose them", (1, 2), (5, 5), _ANY,
        "Bought most often of all, but not for long.",
        "Win them back by hand: a call or a letter, and an offer that is only theirs.",
    ),
    Segment(
        "lost_spenders", "Big spenders gone quiet", (1, 2), (1, 4), (5, 5),
        "Spent the most in fewer orders, but nothing for long.",
        "Find out what they bought and offer its successor, accessories or service.",
    ),
    Segment(
        "hibernating", "Hibernating", (1, 2), (1, 2), (1, 4),
        "Bought rarely, long ago, and not for much.",
        "Include them in large seasonal offers only; spend no budget on single ones.",
    ),
)  # fmt: skip

# The segment's place in SEGMENTS by three scores; 0 is not a score.
_SEGMENT_OF = np.full((6, 6, 6), -1)
for _scores in np.ndindex(5, 5, 5):
    _r, _f, _m = (score + 1 for score in _scores)
    _SEGMENT_OF[_r, _f, _m] = next(i for i, segment in enumerate(SEGMENTS) if segment.holds(_r, _f, _m))
