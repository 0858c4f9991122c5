"""Which days a saved view shows, and of what: what its address says, as the pages read it."""

from collections.abc import Mapping, Sequence
from datetime import date

from core.analytics.breakdowns import BREAKDOWN
from core.analytics.period import ANOTHER, COMPARISONS, CUSTOM, PRESET, PRESETS, USUAL, Period, compared, custom
from core.db.filters import Filters

Query = Mapping[str, Sequence[str]]
FILTERS = {
    "channel": "Channel", "country": "Country", "customer_kind": "Customers", "product_type": "Product type",
    "vendor": "Vendor",
}  # fmt: skip


def period_of(query: Query, today: date, first_day: date | None) -> Period:
    """The days of a view; the last 30 where its page has no period, or the address says what no page would."""
    if has_fixed_days(query):
        return _between(query, "dates", today) or PRESET["30d"].resolve(today)
    chosen = _BY_LABEL.get(_only(query, "range")) or USUAL.get(_only(query, "period")) or PRESET["30d"]
    return chosen.resolve(today, first_day)


def against(query: Query, period: Period, today: date) -> Period | None:
    """What a view compares its days with."""
    if _only(query, "compare") == ANOTHER:
        return _between(query, "against", today) or PRESET["30d"].resolve(today).previous()
    return compared(period, next((how for how in COMPARISONS if how == _only(query, "compare")), COMPARISONS[0]))


def has_fixed_days(query: Query) -> bool:
    """Whether a view shows the same days whenever it is opened."""
    return _only(query, "range") == CUSTOM


def filters_of(query: Query, known: Mapping[str, Sequence[str]], *, of_buyers: bool) -> Filters:
    """What a view is narrowed to, of the values that there are to choose from; see core/ui/narrow.py."""
    chosen = {
        name: tuple(
            value for value in values if {value, BREAKDOWN[name].name(value)} & set(query.get(f"only_{name}", ()))
        )
        for name, values in known.items()
    }
    return Filters(**chosen, by_first_order=of_buyers)


def filters_by_name(filters: Filters) -> dict[str, str]:
    """What is left in, by the label of each field."""
    named = {FILTERS[name]: ", ".join(map(BREAKDOWN[name].name, values)) for name, values in filters.chosen().items()}
    return {**named, "Chosen by": "the customer's first order"} if named and filters.by_first_order else named


def filters_in_words(filters: Filters) -> str:
    """What is left in: "Channel: Online Store; Country: Canada, France"; "" for everything."""
    return "; ".join(f"{label}: {values}" for label, values in filters_by_name(filters).items())


def _between(query: Query, name: str, today: date) -> Period | None:
    try:
        days = [date.fromisoformat(day) for day in query.get(name, ())]
    except ValueError:
        return None
    return custom(days, today) if days else None


def _only(query: Query, name: str) -> str:
    return next(iter(query.get(name, ())), "")


_BY_LABEL = {preset.label: preset for preset in PRESETS}
