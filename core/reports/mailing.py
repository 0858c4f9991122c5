"""Sends views as e-mails: when they are due, or at once. Who may get what is asked anew for each of them."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from sqlmodel import Session, col, select

from core.analytics import frames, frames_sales
from core.analytics.period import Period, shop_today
from core.analytics.report import totals
from core.auth import attempts, members, roles
from core.auth.views import GONE, visible
from core.config import get_settings
from core.db.engine import shop_session
from core.db.models import ReportSchedule, SavedView, Shop, SyncState
from core.db.vault import unseal
from core.errors import AppError, InputError, MailNotSent, NotPermitted, TooManyAttempts
from core.mail import Attachment, send_mail
from core.reports import schedules, span
from core.reports.about import Store, file_name
from core.reports.letter import Figures, Footing, Letter, letter
from core.reports.overview import CARDS
from core.reports.pdf import overview_pdf
from core.reports.schedules import NO_MAIL, Claim
from core.reports.workbook import overview_workbook

log = logging.getLogger(__name__)

TURN_S = 30.0  # then the worker's other jobs have their turn
UNSUBSCRIBE = "/reports/unsubscribe"

_NOT_MADE = "The report could not be made. Whoever runs this app finds the reason in its log."
_OF_BUYERS = ("cohorts", "lifetime")  # pages that are narrowed to customers by their first order


@dataclass(frozen=True)
class Parcel:
    """What goes to the mail server."""

    to: str
    letter: Letter
    attachments: tuple[Attachment, ...]


def preview(user_id: int, shop_id: int, view_id: str) -> Letter:
    """A view as its e-mail, without the link that ends it. Raises NotPermitted, InputError."""
    with shop_session(shop_id) as session:
        members.permit(session, user_id, shop_id, "view")
        return _written(session, _view(session, user_id, view_id), Footing())[0]


def send_now(user_id: int, shop_id: int, schedule_id: int) -> str:
    """Send one of the user's reports at once, whenever it is due; the address. Raises an AppError saying why not."""
    if not get_settings().sends_links:
        raise MailNotSent(NO_MAIL)
    try:
        attempts.admit(f"reports sent by {user_id}", None)
    except TooManyAttempts as error:
        raise InputError("You sent several reports a moment ago. Wait 15 minutes.") from error
    parcel, headers = _packed(user_id, shop_id, schedule_id)
    _deliver(parcel, headers)
    schedules.note_sent(schedule_id)
    return parcel.to


def send_due(stop: threading.Event) -> None:
    """Send the reports that are due, the longest waiting first."""
    if not get_settings().sends_links:
        return
    give_way_at_s = time.monotonic() + TURN_S
    while not stop.is_set() and (claim := schedules.claim()) is not None:
        send_claimed(claim)
        if time.monotonic() >= give_way_at_s:
            return


def send_claimed(claim: Claim) -> None:
    """Send a report that this worker holds, and say in its row how it went."""
    try:
        parcel, headers = _packed(claim.user_id, claim.shop_id, claim.schedule_id)
        if not schedules.is_held(claim):
            return
        _deliver(parcel, headers | {"Message-ID": _message_id(claim)})
    except (NotPermitted, InputError) as error:
        schedules.failed(claim, str(error), for_good=True)
    except AppError as error:
        log.warning("report %s of shop %s: %s", claim.schedule_id, claim.shop_id, error)
        schedules.failed(claim, str(error))
    except Exception:  # whatever is wrong with this one, the others are due too
        log.exception("report %s of shop %s could not be made", claim.schedule_id, claim.shop_id)
        schedules.failed(claim, _NOT_MADE)
    else:
        schedules.sent(claim)


def view_url(view: SavedView, shop: Shop) -> str | None:
    """Where a view opens; None while nobody said where this app is reached."""
    base = get_settings().app_url
    page = "" if view.page == "overview" else view.page
    return f"{base}/{page}?{urlencode({'shop': shop.domain, **view.query}, doseq=True)}" if base else None


def _packed(user_id: int, shop_id: int, schedule_id: int) -> tuple[Parcel, dict[str, str]]:
    """The e-mail of a schedule as it may go out now, and its headers. Raises NotPermitted, InputError."""
    with shop_session(shop_id) as session:
        user, role = members.permit(session, user_id, shop_id, "view")
        schedules.may_receive(user)
        query = select(ReportSchedule).where(ReportSchedule.id == schedule_id, ReportSchedule.user_id == user_id)
        row = session.exec(query).first()
        if row is None:
            raise InputError("This report is ended already.")
        view, shop = _view(session, user_id, row.view_id), session.get_one(Shop, shop_id)
        secret = unseal(row.unsubscribe_sealed, row.unsubscribe_hash)
        end_url = f"{get_settings().app_url}{UNSUBSCRIBE}?{urlencode({'token': secret})}"
        attachment, notes = _may_attach(row.attachment, role)
        why = f"{user.email} gets this {schedules.in_words(schedules.when_of(row), shop.time_zone)}."
        footing = Footing(notes, view_url(view, shop), why, end_url)
        written, store, figures = _written(session, view, footing)
        make = _ATTACHMENTS.get(attachment)
        with shop_session(shop_id, figures.filters) as narrowed:
            files = (make(narrowed, store, figures.period, figures.against),) if make else ()
    return Parcel(user.email, written, files), _headers(end_url)


def _headers(end_url: str) -> dict[str, str]:
    """RFC 2369, and one click by RFC 8058, which wants HTTPS; Auto-Submitted (RFC 3834) keeps absence notes away."""
    headers = {"List-Unsubscribe": f"<{end_url}>", "Auto-Submitted": "auto-generated"}
    one_click = {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return headers | (one_click if end_url.startswith("https:") else {})


def _message_id(claim: Claim) -> str:
    """The same each time this one is tried, and another for the next: see the docstring of schedules."""
    number = int(claim.after.timestamp()) if claim.after else 0
    return f"<report-{claim.schedule_id}-{number}@{urlsplit(get_settings().app_url or '').hostname}>"


def _deliver(parcel: Parcel, headers: dict[str, str]) -> None:
    mail = parcel.letter
    send_mail(parcel.to, mail.subject, mail.text, html=mail.html, attachments=parcel.attachments, headers=headers)


def _may_attach(wanted: str, role: str) -> tuple[str, list[str]]:
    """What the role lets go out now, and what is to be said of the rest."""
    if wanted == "none" or roles.may(role, "export"):
        return wanted, []
    return "none", [f"Nothing is attached: as {role} of this store you may not download figures."]


def _view(session: Session, user_id: int, view_id: str) -> SavedView:
    found = session.exec(visible(user_id).where(col(SavedView.id) == view_id)).first()
    if found is None:
        raise InputError(GONE)
    return found[0]


def _written(session: Session, view: SavedView, footing: Footing) -> tuple[Letter, Store, Figures]:
    shop = session.exec(select(Shop)).one()
    store = Store(shop.id or 0, shop.name, shop.domain, shop.currency, shop.time_zone, _synced_at(session))
    today, known = shop_today(shop.time_zone), frames.data_span(session)
    period = span.period_of(view.query, today, known.start if known else None)
    against = span.against(view.query, period, today)
    values = frames_sales.filter_values(session)
    of_buyers = view.page in _OF_BUYERS or "true" in view.query.get("by_first_order", ())
    filters = span.filters_of(view.query, values, of_buyers=of_buyers)
    with shop_session(store.shop_id, filters) as narrowed:
        before = totals(narrowed, against) if against else None
        figures = Figures(period, against, totals(narrowed, period), before, _CARDS.get(view.page, CARDS), filters)
    only = [f"Only {span.filters_in_words(filters)}."] if filters else []
    footing = Footing([*only, *footing.notes], footing.view_url, footing.why, footing.end_url)
    return letter(view.name, store, figures, footing, today), store, figures


def _synced_at(session: Session) -> datetime | None:
    """The orders' last success, once everything that figures are made of was there."""
    rows = {row.stream: row.succeeded_at for row in session.exec(select(SyncState))}
    found = [rows.get(stream) for stream in ("products", "customers", "orders")]
    return found[-1] if all(found) else None


def _excel(session: Session, store: Store, period: Period, against: Period | None) -> Attachment:
    content = overview_workbook(session, store, period, against)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return Attachment(file_name(store, "overview", period, "xlsx"), kind, content)


def _pdf(session: Session, store: Store, period: Period, against: Period | None) -> Attachment:
    content = overview_pdf(session, store, period, against)
    return Attachment(file_name(store, "overview", period, "pdf"), "application/pdf", content)


_ATTACHMENTS: dict[str, Callable[[Session, Store, Period, Period | None], Attachment]] = {"excel": _excel, "pdf": _pdf}

# The figures of a page that has other ones than the overview, as its own cards have them.
_CARDS = {
    "products": ("net_sales", "units_sold", "units_returned", "refund_rate"),
    "customers": ("customers", "new_customers", "returning_customers", "returning_customer_rate"),
}

# Seconds between two runs, for core.sync.scheduler.
JOBS: tuple[tuple[int, Callable[[threading.Event], None]], ...] = ((60, send_due),)
