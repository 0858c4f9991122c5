"""Our figures beside Shopify's own: where they differ, by how much, and what is known to explain it.

A difference is ours less Shopify's, in minor units (orders: a count). An explanation is given only where the data
bears it; the rest is called unexplained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlmodel import Session

from core.analytics import frames, frames_reconcile
from core.analytics.metrics import METRIC, total_sales
from core.analytics.period import Period
from core.db.money import exponent

# In the order of Shopify's report; the slugs are those of METRICS.
MEASURES = (
    "orders", "gross_sales", "discounts", "sales_reversals", "net_sales", "shipping", "taxes", "duties",
    "additional_fees", "return_fees", "total_sales",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Both sides by day and measure.

    `rows` has day (date), measure, ours, theirs, difference; theirs and difference are None where Shopify's answer has
    no figure. `measures` are those that were compared.
    """

    measures: tuple[str, ...]
    rows: pd.DataFrame

    @property
    def days(self) -> tuple[date, ...]:
        """Every day that was compared, in order."""
        return tuple(dict.fromkeys(self.rows["day"]))

    @property
    def differing(self) -> dict[date, dict[str, int]]:
        """The measures that differ on each day that has one, with the difference."""
        found: dict[date, dict[str, int]] = {}
        for row in self.rows.to_dict("records"):
            if row["difference"]:
                found.setdefault(row["day"], {})[row["measure"]] = row["difference"]
        return found

    def sum_of(self, measure: str, side: str) -> int | None:
        """The sum of a measure over all days, of ours or theirs; None where a day is unknown."""
        numbers = self.rows[self.rows["measure"] == measure][side]
        return None if numbers.isna().any() else sum(numbers)

    @property
    def unanswered(self) -> frozenset[date]:
        """Days of which Shopify's answer lacks a figure."""
        return frozenset(row["day"] for row in self.rows.to_dict("records") if row["theirs"] is None)


@dataclass(frozen=True)
class Verdict:
    """The comparison in a sentence; `agrees` where no finished day differs and none lacks an answer."""

    text: str
    rest: str
    agrees: bool


@dataclass(frozen=True)
class Known:
    """What is known about how both sides came to be.

    `today` is the shop's day when Shopify was asked, `synced_until` how far orders are read. `history_from` is the
    first day of orders where the access token sees only a part of them, else None.
    """

    today: date
    time_zone: str
    their_time_zone: str
    synced_until: datetime | None = None
    history_from: date | None = None


@dataclass(frozen=True)
class LeftOut:
    """A test or deleted order, and what it would add to the measures of one day."""

    name: str
    test: bool
    amounts: Mapping[str, int]


@dataclass(frozen=True)
class Evidence:
    """All that can explain the differences of one day."""

    day: date
    differences: Mapping[str, int]  # those that are not 0
    measures: Sequence[str]  # all that were compared
    known: Known
    sums: Mapping[str, int]  # of daily_sales
    left_out: Sequence[LeftOut] = ()
    derived: int = 0
    set_aside: int = 0  # orders of this day
    set_aside_somewhere: int = 0  # orders whose day nobody knows


@dataclass(frozen=True)
class Cause:
    """What may make the sides differ: a sentence where it applies to a day.

    One that is `sure` explains the day; another only says what the difference may come from.
    """

    slug: str
    sure: bool
    tell: Callable[[Evidence], str | None]


@dataclass(frozen=True)
class Explanation:
    """One reason for a day's differences."""

    cause: str
    sure: bool
    text: str


def known_at(
    asked_at: datetime,
    time_zone: str,
    their_time_zone: str,
    synced_until: datetime | None,
    history_from: datetime | None,
) -> Known:
    """What is known, from moments (aware): when Shopify was asked, and between which its orders are read here."""
    zone = ZoneInfo(time_zone)
    return Known(
        today=asked_at.astimezone(zone).date(),
        time_zone=time_zone,
        their_time_zone=their_time_zone,
        synced_until=synced_until,
        history_from=history_from.astimezone(zone).date() if history_from is not None else None,
    )


def our_days(session: Session, period: Period) -> pd.DataFrame:
    """Our figures: a row per day (index, date) with the sums of daily_sales and every one of MEASURES."""
    days = frames.daily_sales(session, period)
    rows = [{**row, **{slug: METRIC[slug].compute(row) for slug in MEASURES}} for row in days.to_dict("records")]
    return pd.DataFrame(rows, index=pd.Index([day.date() for day in days.index], name="day", dtype=object))


def compare(
    ours: pd.DataFrame, theirs: Mapping[date, Mapping[str, int]], measures: Sequence[str] = MEASURES
) -> Comparison:
    """Put both sides beside each other, for each day of `ours` and each of these measures.

    A day or a measure that `theirs` lacks is unknown, not 0: Shopify answers with every day of a range.
    """
    slugs = tuple(slug for slug in MEASURES if slug in measures)
    rows = []
    for day, row in zip(ours.index, ours.to_dict("records"), strict=True):
        for slug in slugs:
            mine, there = int(row[slug]), theirs.get(day, {}).get(slug)
            rows.append((day, slug, mine, there, None if there is None else mine - there))
    columns = ["day", "measure", "ours", "theirs", "difference"]
    return Comparison(slugs, pd.DataFrame(rows, columns=columns, dtype=object))


def verdict(comparison: Comparison, today: date, currency: str) -> Verdict:
    """How many days agree; a day that is not over is left out where it does not."""
    differing, unanswered = comparison.differing, comparison.unanswered
    wrong = {day for day in comparison.days if day in differing or day in unanswered}
    over = [day for day in comparison.days if day < today or day not in wrong]
    agreeing = [day for day in over if day not in wrong]
    exactly = "to the cent" if exponent(currency) == 2 else "exactly"
    rest = []
    if missing := [day for day in over if day in unanswered]:
        rest.append(f"Shopify's answer lacks figures of {_days(len(missing))}.")
    if len(over) < len(comparison.days):
        rest.append("Today is not over yet and is left out.")
    if not over:
        return Verdict("No finished day was compared", " ".join(rest), agrees=False)
    text = f"{len(agreeing)} of {_days(len(over))} agree{'s' if len(over) == 1 else ''} {exactly}"
    return Verdict(text, " ".join(rest), agrees=len(agreeing) == len(over))


def explain(session: Session, comparison: Comparison, known: Known) -> dict[date, tuple[Explanation, ...]]:
    """What explains the differences of each day that has one; nothing for a day that stays unexplained."""
    differing = comparison.differing
    if not differing:
        return {}
    days = sorted(differing)
    sums = our_days(session, Period(days[0], days[-1]))
    orders = frames_reconcile.left_out(session, days)
    derived = frames_reconcile.derived_orders(session, days).set_index("day")["orders"]
    aside = frames_reconcile.set_aside_orders(session)["day"]
    return {
        day: explanations(
            Evidence(
                day=day,
                differences=differing[day],
                measures=comparison.measures,
                known=known,
                sums=sums.loc[day].to_dict(),
                left_out=[_left_out(row) for row in orders[orders["day"] == day].to_dict("records")],
                derived=int(derived.get(day, 0)),
                set_aside=int((aside == day).sum()),
                set_aside_somewhere=int(aside.isna().sum()),
            )
        )
        for day in days
    }


def explanations(evidence: Evidence) -> tuple[Explanation, ...]:
    """The causes that apply to one day: the sure ones, or else what it may be."""
    told = [(cause, cause.tell(evidence)) for cause in CAUSES]
    found = tuple(Explanation(cause.slug, cause.sure, text) for cause, text in told if text is not None)
    return tuple(one for one in found if one.sure) or found


def is_explained(found: Sequence[Explanation]) -> bool:
    """Whether one of them is sure."""
    return any(one.sure for one in found)


def _left_out(row: Mapping[Any, Any]) -> LeftOut:
    amounts = {slug: int(row[slug]) for slug in ("orders", *frames_reconcile.LEDGER_SUMS)}
    return LeftOut(row["name"], row["test"], {**amounts, "total_sales": total_sales(amounts)})


def _days(number: int) -> str:
    return f"{number:,} day{'' if number == 1 else 's'}"


def _not_over(evidence: Evidence) -> str | None:
    return None if evidence.day < evidence.known.today else "The day is not over yet: both sides still change."


def _not_synced(evidence: Evidence) -> str | None:
    known, zone = evidence.known, ZoneInfo(evidence.known.time_zone)
    ends_at = datetime.combine(evidence.day + timedelta(days=1), time(), zone).astimezone(UTC)
    if known.synced_until is not None and known.synced_until >= ends_at:
        return None
    if known.synced_until is None:
        return "Orders were never synced to their end. Sync, then compare again."
    until = known.synced_until.astimezone(zone)
    return f"Orders are synced up to {until:%H:%M} on {until:%Y-%m-%d}. Sync, then compare again."


def _before_history(evidence: Evidence) -> str | None:
    since = evidence.known.history_from
    if since is None or evidence.day > since:
        return None
    return f"Without read_all_orders Shopify shows this app no orders from before {since}."


def _returns_of_older(evidence: Evidence) -> str | None:
    since = evidence.known.history_from
    if since is None or evidence.day <= since or {"orders", "gross_sales"} & evidence.differences.keys():
        return None
    return f"It may be a return of an order from before {since}, which Shopify shows only with read_all_orders."


def _other_zone(evidence: Evidence) -> str | None:
    here, there = evidence.known.time_zone, evidence.known.their_time_zone
    if here == there:
        return None
    return f"The store's days follow {there} now, what is stored follows {here}. A sync reads everything again."


def _left_out_orders(evidence: Evidence) -> str | None:
    for test, what in ((False, "deleted at Shopify"), (True, "a test")):
        orders = [order for order in evidence.left_out if order.test is test]
        for order in orders:
            if _would_add(evidence, order.amounts):
                return (
                    f"It is exactly what order {order.name} comes to. That order is {what}, so it counts nowhere here; "
                    "Shopify's report still has it."
                )
        together = {slug: sum(order.amounts.get(slug, 0) for order in orders) for slug in MEASURES}
        if len(orders) > 1 and _would_add(evidence, together):
            return (
                f"It is exactly what {len(orders)} orders come to that are {what.replace('a test', 'tests')}, so they "
                "count nowhere here; Shopify's report still has them."
            )
    return None


def _tips(evidence: Evidence) -> str | None:
    if not _would_add(evidence, {"total_sales": evidence.sums["tips"]}):
        return None
    return "It is exactly the tips of the day, which are no part of total sales here."


def _gift_cards(evidence: Evidence) -> str | None:
    sold = evidence.sums["gift_card_sales"]
    goods = {"gross_sales": sold, "net_sales": sold, "total_sales": sold}
    if not (_would_add(evidence, goods) or _would_add(evidence, {"total_sales": sold})):
        return None
    return "It is exactly the gift cards sold on the day, which are owed to the customer and no sales here."


def _extras(evidence: Evidence) -> str | None:
    for slug in ("duties", "additional_fees", "return_fees"):
        less = -evidence.sums[slug]
        if _would_add(evidence, {"total_sales": less}) or _would_add(evidence, {slug: less, "total_sales": less}):
            return f"It is exactly the {METRIC[slug].label.lower()} of the day, which Shopify's total sales leave out."
    return None


def _set_aside(evidence: Evidence) -> str | None:
    number, elsewhere = evidence.set_aside, evidence.set_aside_somewhere
    if number:
        return f"It may be {_orders(number)} of this day set aside in a form that cannot be stored: see the Sync page."
    if elsewhere:
        return f"It may be {_orders(elsewhere)} set aside whose day is not known: see the Sync page."
    return None


def _unclassified(evidence: Evidence) -> str | None:
    number = int(evidence.sums["unclassified"])
    if not number:
        return None
    rows = f"{number} sale{'' if number == 1 else 's'}"
    return f"It may be {rows} of a type that is new to this app, counted by their sign as gross sales or reversals."


def _derived(evidence: Evidence) -> str | None:
    if not evidence.derived:
        return None
    return (
        f"It may be {_orders(evidence.derived)} of this day without a ledger at Shopify: what they count was made from "
        "their lines and refunds."
    )


def _orders(number: int) -> str:
    return f"{number} order{'' if number == 1 else 's'}"


def _would_add(evidence: Evidence, amounts: Mapping[str, int]) -> bool:
    """Whether the day would agree in every measure if we counted these amounts too."""
    added = {slug: -amount for slug, amount in amounts.items() if amount and slug in evidence.measures}
    return bool(added) and added == dict(evidence.differences)


CAUSES: tuple[Cause, ...] = (
    Cause("not_over", True, _not_over),
    Cause("other_zone", True, _other_zone),
    Cause("not_synced", True, _not_synced),
    Cause("before_history", True, _before_history),
    Cause("left_out", True, _left_out_orders),
    Cause("tips", True, _tips),
    Cause("gift_cards", True, _gift_cards),
    Cause("extras", True, _extras),
    Cause("returns_of_older", False, _returns_of_older),
    Cause("set_aside", False, _set_aside),
    Cause("unclassified", False, _unclassified),
    Cause("derived", False, _derived),
)
