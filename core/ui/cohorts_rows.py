"""The rows behind figures of several cohorts together: the cards, the line of everybody, the cells by value."""

import re
from datetime import date

from core.analytics.breakdowns import BREAKDOWN
from core.analytics.frames_behind import OfBuyers
from core.auth.accounts import ShopAccess
from core.ui import behind_view, cohorts_view, drill
from core.ui.behind_view import Figure
from core.ui.cohorts_view import CARDS, MEASURE, Measure

CARD, LINE = "card", "line"
_ASKED = re.compile(r"(?P<what>[a-z_]+)\.(?P<k>[0-9]{1,3})\.(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile("[0-9]{1,18}")


def below_cards(shop: ShopAccess, today: date) -> None:
    """The list of cards whose rows can be opened, and the rows of the one that was."""
    ways = [way(label, CARD, MEASURE[slug], k) for slug, k, label in CARDS]
    drill.listed("behind_cohort_cards", ways)
    asked_for(shop, CARD, today)


def of_line(months_since: list[int], what: Measure) -> list[drill.Way]:
    """The ways from the dots of the line of all cohorts."""
    return [way(f"{cohorts_view.EVERYONE}, month {k}", LINE, what, k) for k in months_since]


def way(label: str, of: str, what: Measure, k: int, value: str = "") -> drill.Way:
    """The way from a figure of the month k to its rows; `of` is CARD, LINE, or what first orders are grouped by."""
    return behind_view.way(label, of, [f"{what.slug}.{k}.{value}"])


def asked_for(shop: ShopAccess, of: str, today: date, since: date | None = None) -> None:
    """The rows of the figure that the address names, where it is one of these."""
    figure = _figure(of, today, since)
    if figure is not None:
        behind_view.card(shop, figure)


def _figure(of: str, today: date, since: date | None) -> Figure | None:
    """What the address asks for; None for something else, or what no link of ours says."""
    named, at = behind_view.asked()
    found = _ASKED.fullmatch(at[0]) if named == of and len(at) == 1 else None
    if found is None or found["what"] not in MEASURE or (of == "product" and not _NUMBER.fullmatch(found["value"])):
        return None
    what, k, value = MEASURE[found["what"]], int(found["k"]), found["value"]
    # The youngest cohort whose month k is over.
    last = cohorts_view.months_after(today.replace(day=1), -k - 1)
    dimension = of if of not in (CARD, LINE) else ""
    behind = OfBuyers(since, last, k, what.slug != "retention", dimension, value)
    like = f" of {_named(of, value)}" if dimension else " of all cohorts together"
    return Figure(f"{what.label.lower()}{like}, month {k}", behind, what.slug != "ltv")


def _named(of: str, value: str) -> str:
    return f"product {value}" if of == "product" else BREAKDOWN[of].name(value)
