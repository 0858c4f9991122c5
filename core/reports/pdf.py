"""The overview of a period as a PDF: figures, trend, best customers and products, and what all of it means."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import pandas as pd
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import TTFFont
from sqlmodel import Session

from core.analytics.metrics import METRIC, Metric
from core.analytics.period import Period, automatic_grain, shop_today
from core.analytics.report import Report, report
from core.db.narrowed import filters_of
from core.reports import fonts, formatting, overview
from core.reports.about import About, Store
from core.reports.axes import bucket_tick, ticks
from core.reports.span import filters_by_name

_TREND = "total_sales"
_MARGIN, _WIDTH = 15.0, 180.0  # millimetres of A4
_INK, _FAINT, _LINE = (11, 18, 25), (86, 97, 112), (213, 220, 229)
_BLUE, _PALE, _GREY = (11, 92, 173), (90, 150, 208), (127, 138, 153)
_GOOD, _BAD = (21, 105, 59), (163, 34, 27)


class _Pages(FPDF):
    """Pages with a line at their foot; the name is fpdf's hook."""

    foot = ""

    def footer(self) -> None:
        """Whose figures these are, and the page."""
        self.set_y(-12)
        _font(self, 8, _FAINT)
        self.cell(_WIDTH / 2, 5, self.foot)
        self.cell(_WIDTH / 2, 5, f"Page {self.page_no()} of {{nb}}", align="R")


def overview_pdf(
    session: Session, store: Store, period: Period, against: Period | None, locale: str = "en_US"
) -> bytes:
    """The overview of a period as a PDF. The session is a shop_session() of the store, narrowed or not."""
    grain = automatic_grain(period)
    now = report(session, period, grain)
    before = report(session, against, grain) if against else None
    return pdf(
        About(store, "Overview", period, against, filters_by_name(filters_of(session))),
        now,
        before,
        shop_today(store.time_zone),
        locale,
    )


def pdf(about: About, now: Report, before: Report | None, today: date, locale: str) -> bytes:
    """A report as a PDF, in A4. Letters that no font here has are boxes, and the file says so."""
    customers, products = _customers(now.top_customers), list(now.top_products["title"])
    named = [about.store.name, *customers, *products, *about.filters.values()]
    with _paper(eastern=fonts.needs_eastern(named)) as paper:
        paper.set_title(f"{about.title}, {fonts.plain(about.store.name)}")
        paper.foot = fonts.writable(f"{about.store.name} · {about.store.domain}")
        paper.add_page()
        _heading(paper, about, today)
        _cards(paper, now, before, about.store.currency, locale)
        _trend(paper, now, before, about.store.currency, today, locale)
        _tops(paper, now, customers, products, about.store.currency, locale)
        _meanings(paper, about, boxes=any(fonts.BOX in fonts.writable(text) for text in named))
        return bytes(paper.output())


@contextmanager
def _paper(*, eastern: bool) -> Iterator[_Pages]:
    paper = _Pages(format="A4")
    paper.set_margins(_MARGIN, 14)
    paper.c_margin = 0
    paper.set_auto_page_break(auto=True, margin=16)
    paper.add_font(fonts.FAMILY, "", fonts.regular())
    paper.add_font(fonts.FAMILY, "B", fonts.bold())
    if eastern:
        paper.add_font("CJK", "", fonts.eastern())
        paper.set_fallback_fonts(["CJK"], exact_match=False)
    paper.set_text_shaping(True)
    paper.set_creator("Shoptally")
    try:
        yield paper
    finally:
        for font in paper.fonts.values():  # fpdf leaves their files open
            if isinstance(font, TTFFont):
                font.close()


def _heading(paper: FPDF, about: About, today: date) -> None:
    _font(paper, 20, _INK, bold=True)
    _line(paper, 9, f"{about.title} of {about.store.name}")
    period = about.period
    if period is not None:
        _font(paper, 11, _INK)
        text = f"{formatting.period(period, today)} {period.end.year}" if period.end.year == today.year else ""
        text = text or formatting.period(period, today)
        against = f", compared with {formatting.period(about.against, today)}" if about.against else ""
        _line(paper, 6, text + against)
    _font(paper, 9, _FAINT)
    synced = about.store.synced_at
    age = f"Data as of {formatting.moment(synced, about.store.time_zone)}" if synced else "Not synced yet"
    _line(paper, 5, f"{age} · {about.store.currency} · days of {about.store.time_zone}")
    for name, chosen in about.filters.items():
        _line(paper, 5, f"{name}: {chosen}")
    if period is not None and period.end >= today:
        _line(paper, 5, "Today is not over yet.")
    paper.ln(3)


def _cards(paper: FPDF, now: Report, before: Report | None, currency: str, locale: str) -> None:
    gap, height = 4.0, 24.0
    width, top = (_WIDTH - 2 * gap) / 3, paper.get_y()
    for number, slug in enumerate(overview.CARDS):
        metric, value = METRIC[slug], now.totals[slug]
        left, at = _MARGIN + number % 3 * (width + gap), top + number // 3 * (height + gap)
        paper.set_draw_color(*_LINE)
        paper.rect(left, at, width, height, round_corners=True, corner_radius=1.5)
        _font(paper, 9, _FAINT)
        _at(paper, left + 3, at + 2.5, width - 6, 5, metric.label)
        text = formatting.value(value, metric.unit, currency, locale)
        _font(paper, 16, _INK, bold=True)
        while paper.get_string_width(fonts.writable(text)) > width - 7 and paper.font_size_pt > 6:
            paper.set_font_size(paper.font_size_pt - 1)
        _at(paper, left + 3, at + 8, width - 6, 7, text)
        if value is None:
            note, colour = metric.why_unknown, _FAINT
        else:
            note, colour = _against(metric, now, before, locale)
        _font(paper, 8, colour)
        _at(paper, left + 3, at + 16.5, width - 6, 5, note)
    paper.set_xy(_MARGIN, top + 2 * (height + gap) + 2)


def _against(metric: Metric, now: Report, before: Report | None, locale: str) -> tuple[str, tuple[int, int, int]]:
    """The change in words and in its colour: good is green, bad is red, what is neither is grey."""
    if before is None:
        return "", _FAINT
    moved = metric.change(now.totals[metric.slug], before.totals[metric.slug])
    days = before.period.days
    then = formatting.period(before.period, now.period.end)
    if before.period == now.period.previous():
        then = f"previous {days} days" if days > 1 else "day before"
    if moved is None:
        return f"{formatting.DASH} vs {then}", _FAINT
    text = f"{formatting.change(moved, locale)} vs {then}"
    if not formatting.is_change(moved) or metric.good == "neutral":
        return text, _FAINT
    return text, _GOOD if (moved > 0) == (metric.good == "up") else _BAD


def _trend(paper: FPDF, now: Report, before: Report | None, currency: str, today: date, locale: str) -> None:
    _subheading(paper, f"{METRIC[_TREND].label} by {now.grain}")
    buckets, height = now.period.buckets(now.grain), 56.0
    lines = [[float(number) for number in each.by[_TREND]][: len(buckets)] for each in (now, before) if each]
    steps = ticks(min(map(min, lines)), max(map(max, lines)))
    left, top = _MARGIN + 17, paper.get_y() + 7
    width = _WIDTH - 24
    _legend(paper, now, before, today)

    def point(i: int, value: float) -> tuple[float, float]:
        across = i / (len(buckets) - 1) if len(buckets) > 1 else 0.5
        return left + across * width, top + height * (steps[-1] - value) / (steps[-1] - steps[0])

    _font(paper, 8, _FAINT)
    paper.set_draw_color(*_LINE)
    paper.set_line_width(0.15)
    for step in steps:
        y = point(0, step)[1]
        paper.line(left, y, left + width, y)
        _at(paper, _MARGIN, y - 2, 15, 4, formatting.axis_value(step, "money", currency, locale), align="R")
    every = -(-len(buckets) // 9)
    for i in range(0, len(buckets), every):
        _at(paper, point(i, 0)[0] - 10, top + height + 1, 20, 4, bucket_tick(buckets[i], now.grain, now.period.days),
            align="C")  # fmt: skip
    over = sum(bucket.period.end < today for bucket in buckets)
    if before is not None:
        _stroke(paper, [point(i, value) for i, value in enumerate(lines[1])], _GREY, dashed=True)
    points = [point(i, value) for i, value in enumerate(lines[0])]
    _stroke(paper, points[max(0, over - 1) :], _PALE)
    _stroke(paper, points[:over], _BLUE)
    paper.set_xy(_MARGIN, top + height + 8)


def _legend(paper: FPDF, now: Report, before: Report | None, today: date) -> None:
    _font(paper, 8, _FAINT)
    x, y = _MARGIN, paper.get_y()
    for each, colour in ((now, _BLUE), (before, _GREY)):
        if each is None:
            continue
        text = formatting.period(each.period, today)
        _stroke(paper, [(x, y + 2), (x + 6, y + 2)], colour, dashed=each is before)
        _at(paper, x + 7, y, 60, 4, text)
        x += paper.get_string_width(text) + 14
    if now.period.end >= today:
        _at(paper, x, y, 60, 4, "The lighter part is not over yet.")


def _stroke(
    paper: FPDF, points: Sequence[tuple[float, float]], colour: tuple[int, int, int], *, dashed: bool = False
) -> None:
    paper.set_draw_color(*colour)
    paper.set_line_width(0.5)
    paper.set_dash_pattern(*((1.2, 1.2) if dashed else ()))
    if len(points) == 1:
        paper.circle(*points[0], 0.6, style="D")
    elif points:
        paper.polyline(points)
    paper.set_dash_pattern()


def _tops(
    paper: FPDF, now: Report, customers: Sequence[str], products: Sequence[str], currency: str, locale: str
) -> None:
    def amounts(frame: pd.DataFrame) -> list[str]:
        return [formatting.money(int(net), currency, locale) for net in frame["net_sales"]]

    for title, names, frame, count in (
        ("Top customers", customers, now.top_customers, "orders"),
        ("Top products", products, now.top_products, "units"),
    ):
        if paper.get_y() + 16 + 6 * len(names) > paper.page_break_trigger:
            paper.add_page()
        _subheading(paper, title)
        if not names:
            _font(paper, 9, _FAINT)
            _line(paper, 6, "Nothing in this period.")
        else:
            counts = [formatting.count(int(number), locale) for number in frame[count]]
            _rows(paper, (title.split()[1][:-1].capitalize(), count.capitalize(), "Net sales"),
                  list(zip(names, counts, amounts(frame), strict=True)))  # fmt: skip
        paper.ln(3)


def _rows(paper: FPDF, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = (115.0, 20.0, 45.0)
    for number, row in enumerate((header, *rows)):
        _font(paper, 9, _FAINT if number == 0 else _INK)
        x, y = _MARGIN, paper.get_y()
        for at, (text, width) in enumerate(zip(row, widths, strict=True)):
            _at(paper, x, y, width, 5.5, text, align="R" if at else "L")
            x += width
        paper.set_draw_color(*_LINE)
        paper.set_line_width(0.15)
        paper.line(_MARGIN, y + 5.7, _MARGIN + _WIDTH, y + 5.7)
        paper.set_xy(_MARGIN, y + 6)


def _meanings(paper: FPDF, about: About, *, boxes: bool) -> None:
    _subheading(paper, "What the figures mean")
    for slug in overview.CARDS:
        _font(paper, 9, _INK)
        _paragraph(paper, f"{METRIC[slug].label}: {METRIC[slug].definition}")
    notes = [
        "A change compares with the compared period and is unknown where that was zero.",
        f"Test and deleted orders are left out. A day is one of the store's calendar ({about.store.time_zone}).",
    ]
    if boxes:
        notes.append(f"{fonts.BOX} stands for a letter that this file has no font for; the Excel file has it.")
    for note in notes:
        _font(paper, 9, _FAINT)
        _paragraph(paper, note)


def _customers(frame: pd.DataFrame) -> list[str]:
    return [
        "Guest" if row["customer_id"] is None else row["name"] or f"Customer {row['customer_id']}"
        for row in frame.to_dict("records")
    ]


def _font(paper: FPDF, points: float, colour: tuple[int, int, int], *, bold: bool = False) -> None:
    paper.set_font(fonts.FAMILY, "B" if bold else "", points)
    paper.set_text_color(*colour)


def _subheading(paper: FPDF, text: str) -> None:
    _font(paper, 12, _INK, bold=True)
    _line(paper, 8, text)


def _line(paper: FPDF, height: float, text: str) -> None:
    paper.cell(_WIDTH, height, _fitting(paper, text, _WIDTH), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _at(paper: FPDF, x: float, y: float, width: float, height: float, text: str, *, align: str = "L") -> None:
    paper.set_xy(x, y)
    paper.cell(width, height, _fitting(paper, text, width), align=align)


def _paragraph(paper: FPDF, text: str) -> None:
    paper.multi_cell(_WIDTH, 4.5, fonts.writable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _fitting(paper: FPDF, text: str, width: float) -> str:
    """A text as wide as its place; a longer one ends with three dots."""
    text = fonts.writable(text)
    if paper.get_string_width(text) <= width:
        return text
    while text and paper.get_string_width(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
