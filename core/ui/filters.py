"""What a page shows: the period, its grain and its comparison. All of it is in the address, so a link reopens the view.

What a browser sends is checked again here: limits of widgets hold only in the browser.
"""

from datetime import date
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.analytics.period import (
    ANOTHER,
    COMPARISONS,
    CUSTOM,
    FIRST_DAY,
    GRAINS,
    PRESET,
    PRESETS,
    USUAL,
    Comparison,
    Grain,
    Period,
    automatic_grain,
    compared,
    custom,
)
from core.ui import formatting
from core.ui.session import held, keep, recall


def short_period(today: date, key: str = "period") -> Period:
    """One of five usual periods, as buttons."""
    label = st.segmented_control(
        "Period",
        list(USUAL),
        default="30 days",
        required=True,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
        wrap=True,
    )
    return USUAL.get(label, PRESET["30d"]).resolve(today)


def fold(*, by: bool = True) -> DeltaGenerator:
    """The button that any_period(), comparison() and grain() unfold from; it says what is chosen in them.

    What they hold is asked for before they are drawn: the button comes first.
    """
    label, how, grain = held("range"), held("compare"), held("by") if by else None
    said = ["Chosen dates" if label == CUSTOM else label if label in _RANGES else _USUAL_RANGE]
    said += [_VERSUS[how]] if how in _VERSUS else []
    said += [f"by {grain.lower()}"] if grain in _GRAIN_LABELS else []
    return st.popover(", ".join(said), icon=":material/date_range:", key="period_fold", wrap=False)


def any_period(today: date, first_day: date | None) -> Period:
    """Any range of days up to today: every preset, or two dates of the reader's choice."""
    label = st.selectbox(
        "Range",
        [*_RANGES, CUSTOM],
        index=_RANGES.index(_USUAL_RANGE),
        key="range",
        bind="query-params",
        width=HALF_OF_A_PHONE,
    )
    if label == CUSTOM:
        return date_range("Dates", "dates", PRESET["30d"].resolve(today), today)
    preset = next((preset for preset in PRESETS if preset.label == label), PRESET["30d"])
    return preset.resolve(today, first_day)


def grain(period: Period) -> Grain:
    """Day, week or month; automatic goes by the length of the period."""
    label = st.segmented_control(
        "By", [_AUTOMATIC, *_GRAIN_LABELS], default=_AUTOMATIC, required=True, key="by", bind="query-params", wrap=True
    )
    return _GRAIN_LABELS.get(label) or automatic_grain(period)


def comparison() -> Comparison:
    """What to compare with."""
    label = st.selectbox(
        "Compare with", COMPARISONS, index=0, key="compare", bind="query-params", width=HALF_OF_A_PHONE
    )
    return label if label in COMPARISONS else "Previous period"


def compared_period(period: Period, how: Comparison) -> Period | None:
    """The period to compare with."""
    return compared(period, how)


def comparison_name(period: Period, how: Comparison) -> str:
    """The compared period in words: "Previous 30 days"."""
    if how == "Previous year":
        return "Year before"
    return f"Previous {period.days} days" if period.days > 1 else "Day before"


def in_words(period: Period, against: Period | None, today: date) -> str:
    """Both periods by their dates."""
    text = formatting.period(period, today)
    return text if against is None else f"{text}, compared with {formatting.period(against, today)}"


def ranking() -> Literal["net_sales", "orders"]:
    """What the best customers are ranked by."""
    label = st.segmented_control(
        "Ranked by",
        ["Net sales", "Orders"],
        default="Net sales",
        required=True,
        key="ranked_by",
        bind="query-params",
        label_visibility="collapsed",
    )
    return "orders" if label == "Orders" else "net_sales"


def how_many() -> int:
    """How many customers to list."""
    number = st.selectbox(
        "How many", _TOP, index=0, key="top", bind="query-params", format_func="Top {}".format,
        label_visibility="collapsed", width=110,
    )  # fmt: skip
    return number if number in _TOP else _TOP[0]


def date_range(label: str, key: str, usual: Period, today: date) -> Period:
    """Any days, picked in a calendar; the last full range until both clicks are done, which a caption says.

    `usual` must not follow what was picked: a value equal to it is left out of the address.
    """
    picked = st.date_input(
        label,
        value=(usual.start, usual.end),
        min_value=FIRST_DAY,
        max_value=today,
        key=key,
        bind="query-params",
        format="YYYY-MM-DD",
        width=230,
    )
    kept = f"range_{key}"
    # Of a single day that the address names twice Streamlit hands over one date, as between two clicks; but between
    # them there is a last full range, which stays until the second.
    if isinstance(picked, tuple) and (len(picked) == 2 or (picked and not recall(kept))):
        period = custom(picked, today)
        keep(kept, (period.start, period.end))
        return period
    period = Period(*(recall(kept) or (usual.start, usual.end)))
    st.caption(f"Pick the last day too. Until then: {formatting.period(period, today)}.")
    return period


# Two of them fit beside each other on a phone.
HALF_OF_A_PHONE = 170
_RANGES = tuple(preset.label for preset in PRESETS)
_USUAL_RANGE = PRESET["30d"].label
_AUTOMATIC = "Automatic"
_VERSUS = {"Previous year": "vs last year", "Nothing": "no comparison", ANOTHER: "vs another range"}
_GRAIN_LABELS: dict[str, Grain] = {grain.capitalize(): grain for grain in GRAINS}
_TOP = (10, 25, 50, 100)
