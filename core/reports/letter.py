"""A view as an e-mail: its figures in words and as simple HTML, which loads nothing from anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from html import escape

from core.analytics.metrics import METRIC, Metric, Value
from core.analytics.period import Period
from core.db.filters import EVERYTHING, Filters
from core.mail import one_line
from core.reports import formatting
from core.reports.about import Store
from core.reports.overview import CARDS

LOCALE = "en_US"
_OLD = timedelta(days=1)


@dataclass(frozen=True)
class Figures:
    """What an e-mail tells: metrics of a period and, where there is one, of the compared period."""

    period: Period
    against: Period | None
    totals: Mapping[str, Value]
    before: Mapping[str, Value] | None
    slugs: Sequence[str] = CARDS
    filters: Filters = EVERYTHING


@dataclass(frozen=True)
class Footing:
    """What stands below the figures: sentences, where the view opens, why the reader gets it and how that ends."""

    notes: Sequence[str] = ()
    view_url: str | None = None
    why: str = ""
    end_url: str | None = None


@dataclass(frozen=True)
class Letter:
    """An e-mail; `html` says the same as `text`."""

    subject: str
    text: str
    html: str = field(repr=False)


def letter(name: str, store: Store, figures: Figures, footing: Footing, today: date) -> Letter:
    """The e-mail of a view that has this name."""
    name, shop = one_line(name), one_line(store.name)
    days = formatting.period(figures.period, today)
    if figures.against is not None:
        days += f", compared with {formatting.period(figures.against, today)}"
    lines = [_line(METRIC[slug], figures, store.currency) for slug in figures.slugs]
    notes = [*_own_notes(store, figures, today), *footing.notes]
    subject = f"{name}: {shop}, {formatting.period(figures.period, today)}"
    return Letter(
        subject, _text(name, shop, days, lines, notes, footing), _html(name, shop, days, lines, notes, footing)
    )


@dataclass(frozen=True)
class _Line:
    label: str
    figure: str
    change: str
    colour: str


def _line(metric: Metric, figures: Figures, currency: str) -> _Line:
    now = figures.totals[metric.slug]
    shown = formatting.value(now, metric.unit, currency, LOCALE)
    if now is None:
        return _Line(metric.label, "unknown", metric.why_unknown, _GREY)
    if figures.before is None:
        return _Line(metric.label, shown, "", _GREY)
    there = figures.before[metric.slug]
    before = "unknown" if there is None else formatting.value(there, metric.unit, currency, LOCALE)
    moved = metric.change(now, there)
    if moved is None:
        return _Line(metric.label, shown, f"{before} before", _GREY)
    if not formatting.is_change(moved):
        return _Line(metric.label, shown, f"unchanged from {before}", _GREY)
    word, good = ("up", metric.good == "up") if moved > 0 else ("down", metric.good == "down")
    colour = _GREY if metric.good == "neutral" else _GREEN if good else _RED
    return _Line(
        metric.label, shown, f"{word} {formatting.change(abs(moved), LOCALE).lstrip('+')} from {before}", colour
    )


def _own_notes(store: Store, figures: Figures, today: date) -> list[str]:
    notes = []
    if figures.period.end >= today:
        notes.append("Today is not over yet.")
    if store.synced_at is None:
        notes.append("This store was not synced yet.")
    else:
        notes.append(f"Data as of {formatting.moment(store.synced_at, store.time_zone)}.")
        if datetime.now(UTC) - store.synced_at > _OLD:
            notes.append("That is more than a day ago: the Sync page says why.")
    if figures.totals["unclassified"]:
        notes.append("Some sales are of a type that is new to this app, so figures may differ from Shopify's.")
    return notes


def _text(name: str, shop: str, days: str, lines: Sequence[_Line], notes: Sequence[str], footing: Footing) -> str:
    figures = [f"{line.label}: {line.figure}" + (f", {line.change}" if line.change else "") for line in lines]
    parts = [f"{name}\n{shop}, {days}", "\n".join(figures), "\n".join(notes)]
    if footing.view_url:
        parts.append(f"Open the view:\n{footing.view_url}")
    if footing.why:
        parts.append(footing.why)
    if footing.end_url:
        parts.append(f"Get no more of these e-mails:\n{footing.end_url}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(name: str, shop: str, days: str, lines: Sequence[_Line], notes: Sequence[str], footing: Footing) -> str:
    rows = "".join(
        f'<tr><td style="{_CELL}">{escape(line.label)}</td>'
        f'<td style="{_CELL};text-align:right;white-space:nowrap"><strong>{escape(line.figure)}</strong></td>'
        f'<td style="{_CELL};color:{line.colour}">{escape(line.change)}</td></tr>'
        for line in lines
    )
    below = "".join(f"<p {_SMALL}>{escape(note)}</p>" for note in (" ".join(notes), footing.why) if note)
    opens = f'<p><a href="{escape(footing.view_url)}">Open the view</a></p>' if footing.view_url else ""
    ends = (
        f'<p {_SMALL}><a href="{escape(footing.end_url)}">Get no more of these e-mails</a></p>'
        if footing.end_url
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(name)}</title></head>"
        f'<body style="margin:0;background:{_PAPER}"><div style="max-width:600px;margin:0 auto;padding:16px;'
        "font-family:system-ui,-apple-system,Segoe UI,Roboto,sans-serif;"
        f'font-size:16px;line-height:1.4;color:{_INK};background:{_PAPER}">'
        f'<h1 style="font-size:22px;margin:0 0 4px" dir="auto">{escape(name)}</h1>'
        f'<p style="margin:0 0 16px;color:{_GREY}"><span dir="auto">{escape(shop)}</span>, {escape(days)}</p>'
        f'<table style="border-collapse:collapse;width:100%">{rows}</table>{opens}{below}{ends}</div></body></html>\n'
    )


# On white each of them has a contrast of at least 4.5. Both are said, or a dark program would mix them with its own.
_INK, _PAPER = "#1a1c1f", "#ffffff"
_GREY, _GREEN, _RED = "#5c6169", "#1a7f37", "#b3261e"
_CELL = "padding:8px 12px 8px 0;border-bottom:1px solid #e3e5e8;vertical-align:top"
_SMALL = f'style="font-size:13px;color:{_GREY}"'
