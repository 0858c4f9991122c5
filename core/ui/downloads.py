"""The export menu: a table as CSV and Excel, a chart as PNG and SVG, an overview as PDF.

A file is made when it is clicked, of the figures on the page, for who still has the role by then; the audit list says
who took it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from threading import Thread
from typing import Any

import pandas as pd
import streamlit as st
from streamlit import runtime
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import ScriptRunContext, add_script_run_ctx, get_script_run_ctx

from core.analytics.period import Period
from core.analytics.report import Report
from core.auth import audit, members, roles, sessions
from core.auth.accounts import ShopAccess
from core.errors import NotPermitted
from core.reports import images, overview, pdf
from core.reports.about import About, Store, file_name
from core.reports.span import filters_by_name
from core.reports.table import Table, csv_text
from core.reports.workbook import workbook
from core.ui import charts, formatting, heat_maps
from core.ui.session import address, recall, require_user, session_hash


@dataclass(frozen=True)
class Offer:
    """What a menu offers: `kind` names the file, `rows` is how many `table` has when it is made, `which` says which.

    `chart` is an Altair chart that shows the same figures; `filters` are choices beside those of narrow.py, by label.
    """

    title: str
    kind: str
    rows: int
    table: Callable[[], Table]
    period: Period | None = None
    against: Period | None = None
    chart: Any = None
    filters: Mapping[str, str] = field(default_factory=dict)
    which: str = "all there are"


def head(title: str, about: str | None = None) -> DeltaGenerator:
    """The first line of a card: its title with a tooltip, and at its end what is put into it."""
    line = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
    line.subheader(title, anchor=False, help=about, width="content")
    return line


def menu(shop: ShopAccess, offer: Offer) -> None:
    """The menu, for those whose role may export and where there are rows."""
    if not offer.rows or not roles.may(shop.role, "export"):
        return
    about = About(_store(shop), offer.title, offer.period, offer.against, _filters(shop, offer.filters))
    with st.popover("Export", icon=":material/download:", key=f"export_{offer.kind}"):
        count = formatting.count(offer.rows, formatting.reader_locale())
        st.caption(f"{count} row{'' if offer.rows == 1 else 's'}, {offer.which}, with exact amounts.")
        with st.container(horizontal=True):
            button(shop, offer.kind, offer.period, "csv", lambda: csv_text(offer.table(), shop.currency).encode())
            button(shop, offer.kind, offer.period, "xlsx", lambda: workbook(about, [offer.table()]))
        if offer.chart is not None:
            drawn = partial(_drawn, offer.chart, about, dark=st.context.theme.type == "dark")
            with st.container(horizontal=True):
                button(shop, offer.kind, offer.period, "png", partial(drawn, images.png))
                button(shop, offer.kind, offer.period, "svg", partial(drawn, images.svg))


def trend(
    shop: ShopAccess, report: Report, before: Report | None, slugs: Sequence[str], title: str, chart: Any
) -> None:
    """The menu of a chart of metrics over time."""
    made = partial(overview.compared, report, before, slugs)
    rows, against = len(report.by), before.period if before else None
    kind = f"{'_and_'.join(slugs)}_by_{report.grain}"
    menu(shop, Offer(title, kind, rows, made, report.period, against, chart))


def customers(shop: ShopAccess, frame: pd.DataFrame, period: Period, title: str = "Top customers") -> None:
    """The menu of a list of customers."""
    made = partial(overview.customers, frame, shop.time_zone)
    menu(shop, Offer(title, "top_customers", len(frame), made, period, which="those of this list"))


def products(shop: ShopAccess, frame: pd.DataFrame, period: Period) -> None:
    """The menu of a list of products."""
    made = partial(overview.products, frame)
    menu(shop, Offer("Top products", "top_products", len(frame), made, period, which="those of this list"))


def buckets(shop: ShopAccess, report: Report) -> None:
    """The menu of the table with every metric by day, week or month."""
    made = partial(overview.buckets, report)
    menu(shop, Offer(f"Sales by {report.grain}", f"sales_by_{report.grain}", len(report.by), made, report.period))


def overview_menu(shop: ShopAccess, report: Report, before: Report | None, today: date) -> None:
    """The menu of a page that shows a whole report: all of it as one Excel file or as PDF."""
    if not roles.may(shop.role, "export"):
        return
    locale, against = formatting.reader_locale(), before.period if before else None
    about = About(_store(shop), "Overview", report.period, against, _filters(shop, {}))
    with st.popover("Export", icon=":material/download:", key="export_overview"):
        st.caption("All figures, days, customers and products of this page, with what they mean.")
        with st.container(horizontal=True):
            button(shop, "overview", report.period, "pdf", lambda: pdf.pdf(about, report, before, today, locale))
            button(
                shop, "overview", report.period, "xlsx",
                lambda: workbook(about, overview.tables(report, before, shop.time_zone)),
            )  # fmt: skip


def book(
    shop: ShopAccess,
    title: str,
    periods: tuple[Period, Period | None],
    told: str,
    tables: Callable[[], Sequence[Table]],
) -> None:
    """The menu of a page that is one Excel file, for those whose role may export; `told` says what is in it."""
    if not roles.may(shop.role, "export"):
        return
    kind, about = title.lower().replace(" ", "_"), About(_store(shop), title, *periods, _filters(shop, {}))
    with st.popover("Export", icon=":material/download:", key=f"export_{kind}"):
        st.caption(told)
        button(shop, kind, periods[0], "xlsx", lambda: workbook(about, tables()))


def button(shop: ShopAccess, kind: str, period: Period | None, ending: str, make: Callable[[], bytes]) -> None:
    """One file of a menu. Raises NotPermitted."""
    roles.require(shop.role, "export")
    label, mime, about = _FILES[ending]
    name = file_name(_store(shop), kind, period, ending)
    st.download_button(
        label, data=permitted(shop, name, mime, make), file_name=name, mime=mime, key=f"{kind}_{ending}",
        on_click="ignore", help=about,
    )  # fmt: skip


def permitted(shop: ShopAccess, name: str, mime: str, make: Callable[[], bytes]) -> Callable[[], bytes]:
    """`make` for the signed-in user, with a note in the audit list; raises NotPermitted when it is called too late."""
    user_id, id_hash, where, run = require_user().user_id, session_hash(), address(), get_script_run_ctx()

    def made() -> bytes:
        # The click may come long after the page was shown: who signed out or left the team gets nothing.
        if id_hash is None or sessions.check(id_hash) is None:
            raise NotPermitted("The session ended. Sign in again.")
        email = members.permitted(user_id, shop.shop_id, "export")
        content = make()
        if runtime.exists():
            _hold(content, mime, name, run)
        audit.record(email, "export", shop_id=shop.shop_id, target=name, address=where)
        return content

    return made


def _hold(content: bytes, mime: str, name: str, run: ScriptRunContext | None) -> None:
    """Keep a file for its tab until the page runs again.

    Streamlit itself forgets it once two runs of anybody's page or fragment have ended, often before it was fetched.
    """
    files = runtime.get_instance().media_file_mgr
    # A thread of its own, as whose tab it is belongs to the thread, and the one of this call is shared.
    keeper = Thread(target=partial(files.add, content, mime, "export", name, is_for_static_download=True))
    add_script_run_ctx(keeper, run)
    keeper.start()
    keeper.join()


def taken(shop_id: int, name: str) -> None:
    """Note in the audit list that the signed-in user took a file of the store."""
    audit.record(require_user().email, "export", shop_id=shop_id, target=name, address=address())


def _drawn(chart: Any, about: About, draw: Callable[..., bytes], *, dark: bool) -> bytes:
    facts = dict(about.lines())
    lines = [facts["Store"], *(facts[label] for label in ("Period",) if label in facts)]
    lines += [f"{label}: {text}" for label, text in about.filters.items()]
    colours = {**charts.on_paper(), **heat_maps.on_paper()} if dark else {}
    return draw(chart.to_dict(), about.title, [" · ".join(lines), f"Data as of {facts['Data as of']}"], colours)


def _filters(shop: ShopAccess, more: Mapping[str, str]) -> dict[str, str]:
    return {**filters_by_name(shop.filters), **more}


def _store(shop: ShopAccess) -> Store:
    synced_at = recall("synced_at")
    return Store(shop.shop_id, shop.name, shop.domain, shop.currency, shop.time_zone, synced_at)


# Ending: label, type, what it is.
_FILES = {
    "csv": ("CSV", "text/csv", "Plain rows for any program; unknown is empty."),
    "xlsx": (
        "Excel", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "With a sheet that says the period, the currency and what each column means.",
    ),
    "pdf": ("PDF", "application/pdf", "To read, print and pass on."),
    "png": ("PNG", "image/png", "The chart as a picture, in light colours."),
    "svg": ("SVG", "image/svg+xml", "The chart as lines that stay sharp at any size."),
}  # fmt: skip
