"""Reports as they arrive in a mailbox: right figures, only to who may have them, once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.analytics.period import USUAL, Period, shop_today
from core.auth import members, views
from core.db.engine import shop_session, system_session
from core.db.models import Membership, ReportSchedule, SavedView, Shop, SyncState, User
from core.errors import InputError, MailNotSent, NotPermitted
from core.reports import mailing, schedules, span
from core.reports.schedules import Attached, When
from core.sync import scheduler
from tests import factories as make
from tests.mailbox import Mailbox

ALICE, BOB, CHARLIE = 1, 2, 3
STOP = threading.Event()
NEW_YORK = "America/New_York"


@pytest.fixture(autouse=True)
def cast(database: Engine, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alice owns shop 1 and Bob is its analyst: 220.00 in the last 30 days, 110.00 before; Charlie owns shop 2."""
    monkeypatch.setattr(mailing, "TURN_S", 600.0)  # one turn sends all, however slow the machine
    settings(
        monkeypatch, SMTP_HOST="127.0.0.1", SMTP_PORT=str(mailbox.port), SMTP_TLS="off",
        SMTP_FROM="reports@example.com", APP_URL="https://numbers.example",
    )  # fmt: skip
    for shop_id in (1, 2):
        make.add_shop(shop_id)
    make.add_user(ALICE, "alice@example.com", 1)
    make.add_user(BOB, "bob@example.com", 1, role="analyst")
    make.add_user(CHARLIE, "charlie@example.com", 2)
    now = datetime.now(UTC)
    for number, days_ago in enumerate((1, 2, 40), start=1):
        sold = now - timedelta(days=days_ago)
        make.store_orders(
            make.context(1), make.order(number, sold, make.agreement(sold, make.sale("110.00", tax="10.00")))
        )
    with system_session(write=True) as session:
        for user in session.exec(select(User)):
            user.email_verified_at = now
        for state in session.exec(select(SyncState)):
            state.succeeded_at = now


def settings(monkeypatch: pytest.MonkeyPatch, **values: str | None) -> None:
    for name, value in values.items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    config.get_settings.cache_clear()


def schedule(user_id: int = BOB, attachment: Attached = "none", name: str = "Thirty days", **query: list[str]) -> int:
    """A report that is due now."""
    view_id = views.save(user_id, 1, name, "sales", query, shared=True)
    schedule_id = schedules.add(user_id, 1, view_id, When("day", 8), attachment)
    make_due(schedule_id)
    return schedule_id


def make_due(schedule_id: int) -> None:
    with system_session(write=True) as session:
        session.get_one(ReportSchedule, schedule_id).next_due_at = datetime.now(UTC) - timedelta(minutes=1)


def row(schedule_id: int) -> ReportSchedule:
    with system_session() as session:
        return session.get_one(ReportSchedule, schedule_id)


def change(model: Any, key: Any, **columns: Any) -> None:
    with system_session(write=True) as session:
        for name, value in columns.items():
            setattr(session.get_one(model, key), name, value)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


def files(message: EmailMessage) -> dict[str | None, bytes]:
    return {file.get_filename(): file.get_content() for file in message.iter_attachments()}


# What it says


def test_a_due_report_has_the_views_figures_and_their_change_as_text_and_as_html(mailbox: Mailbox):
    schedule_id = schedule()
    mailing.send_due(STOP)
    [message] = mailbox.parsed
    assert mailbox.envelopes == [("reports@example.com", ["bob@example.com"])]
    assert str(message["Subject"]).startswith("Thirty days: Shop 1, ")
    text, html = part(message, "plain"), part(message, "html")
    for told in ("Total sales", "$220.00", "up 100% from $110.00", "Net sales", "$200.00", "unchanged from $100.00",
                 "Today is not over yet.", "Data as of", "(New York)",
                 "bob@example.com gets this every day at 08:00 (New York)."):  # fmt: skip
        assert told in text and told in html
    assert "Total sales: $220.00, up 100% from $110.00\n" in text
    assert "https://numbers.example/sales?shop=shop-1.myshopify.com\n" in text
    assert row(schedule_id).last_sent_at is not None


def test_it_loads_nothing_and_names_of_others_are_text(mailbox: Mailbox):
    change(Shop, 1, name='<img src="https://spy.example/x.png"> & "Sons"')
    schedule(name='<script>alert("x")</script>')
    mailing.send_due(STOP)
    html = part(mailbox.parsed[0], "html")
    assert "<script" not in html and "<img" not in html and "src=" not in html.replace("&quot;", "").split("&lt;img")[0]
    assert "&lt;script&gt;" in html and "&lt;img" in html
    for never in ("<link", "url(", "<iframe", "<style"):
        assert never not in html


def test_no_name_begins_a_header_of_its_own(mailbox: Mailbox):
    schedule_id = schedule()
    view_id = row(schedule_id).view_id
    with shop_session(1, write=True) as session:  # as if something had let it in
        session.get_one(SavedView, (1, view_id)).name = "Sales\r\nBcc: eve@example.com\r\n\r\n<b>hello"
    change(Shop, 1, name="Shop\nX-Spam: yes")
    mailing.send_due(STOP)
    [message] = mailbox.parsed
    assert message["Bcc"] is None and message["X-Spam"] is None
    assert mailbox.envelopes[0][1] == ["bob@example.com"]
    assert str(message["Subject"]).strip().startswith("Sales Bcc: eve@example.com <b>hello: Shop X-Spam: yes, ")


def test_it_opens_the_same_view(mailbox: Mailbox):
    schedule(range=["Custom"], dates=["2026-06-01", "2026-06-30"], compare=["Nothing"], only_country=["A & B"])
    mailing.send_due(STOP)
    text = part(mailbox.parsed[0], "plain")
    [link] = [line for line in text.splitlines() if line.startswith("https://numbers.example/sales?")]
    assert parse_qs(urlsplit(link).query) == {
        "shop": ["shop-1.myshopify.com"], "range": ["Custom"], "dates": ["2026-06-01", "2026-06-30"],
        "compare": ["Nothing"], "only_country": ["A & B"],
    }  # fmt: skip
    assert "1 Jun to 30 Jun" in text and "compared with" not in text and "from $" not in text
    assert "Average order value: unknown, No order in this period" in text


def test_data_that_is_old_or_missing_is_said(mailbox: Mailbox):
    for stream in ("orders", "products"):
        change(SyncState, (1, stream), succeeded_at=datetime.now(UTC) - timedelta(days=2))
    first, second = schedule(), schedule(ALICE)
    mailing.send_claimed(claimed(first))
    change(SyncState, (1, "products"), succeeded_at=None)
    mailing.send_claimed(claimed(second))
    old, never = (part(message, "plain") for message in mailbox.parsed)
    assert "more than a day ago" in old and "This store was not synced yet." in never


def claimed(schedule_id: int) -> schedules.Claim:
    make_due(schedule_id)
    with system_session(write=True) as session:
        for other in session.exec(select(ReportSchedule).where(ReportSchedule.id != schedule_id)):
            other.next_due_at = datetime.now(UTC) + timedelta(days=1)
    claim = schedules.claim()
    assert claim is not None and claim.schedule_id == schedule_id
    return claim


def test_the_days_of_a_view_are_those_of_its_page():
    today = shop_today(NEW_YORK)
    for label, preset in USUAL.items():
        assert span.period_of({"period": [label]}, today, None) == preset.resolve(today)
    first = today - timedelta(days=500)
    everything = span.period_of({"range": ["All time"]}, today, first)
    assert (everything.start, everything.end) == (first, today)
    for nonsense in ({}, {"range": ["x"]}, {"range": ["Custom"]}, {"range": ["Custom"], "dates": ["x", "2026-06-01"]},
                     {"range": ["Custom"], "dates": []}, {"range": []}):  # fmt: skip
        assert span.period_of(nonsense, today, None) == USUAL["30 days"].resolve(today)
    usual = USUAL["30 days"].resolve(today)
    assert span.against({"compare": ["Previous year"]}, usual, today) == usual.previous_year()
    assert span.against({"compare": ["x"]}, usual, today) == usual.previous()
    june = {"compare": ["Another range"], "against": ["2026-06-30", "2026-06-01"]}
    assert span.against(june, usual, today) == Period(date(2026, 6, 1), date(2026, 6, 30))
    assert span.against({"compare": ["Another range"]}, usual, today) == usual.previous()


def test_a_view_that_is_narrowed_has_the_figures_of_what_is_left_and_says_of_what(mailbox: Mailbox):
    sold = datetime.now(UTC) - timedelta(days=1)
    abroad = {"shippingAddress": {"countryCodeV2": "CA"}}
    make.store_orders(make.context(1), make.order(9, sold, make.agreement(sold, make.sale("7.00")), **abroad))
    schedule(attachment="excel", only_country=["CA"])
    mailing.send_due(STOP)
    text = part(mailbox.parsed[0], "plain")
    assert "Total sales: $7.00" in text and "Orders: 1," in text
    assert "Only Country: CA." in text
    (content,) = files(mailbox.parsed[0]).values()
    about, cards, *_ = load_workbook(BytesIO(content)).worksheets
    assert ("Country", "CA") in [(row[0].value, row[1].value) for row in about.iter_rows()]
    assert 7 in [cell.value for row in cards.iter_rows() for cell in row]


# Files


def test_excel_and_pdf_go_along_complete(mailbox: Mailbox):
    schedule(attachment="excel")
    schedule(ALICE, attachment="pdf")
    mailing.send_due(STOP)
    found = {name: content for message in mailbox.parsed for name, content in files(message).items()}
    (book, workbook), (page, pdf) = sorted(found.items(), key=lambda item: str(item[0])[-3:] == "pdf")
    assert str(book).startswith("shop-1_overview_") and str(book).endswith(".xlsx") and str(page).endswith(".pdf")
    assert "xl/workbook.xml" in ZipFile(BytesIO(workbook)).namelist()
    assert pdf.startswith(b"%PDF-") and len(pdf) > 1000


def test_who_lost_the_right_to_download_gets_the_figures_without_a_file(mailbox: Mailbox):
    schedule(attachment="excel")
    change(Membership, (BOB, 1), role="viewer")
    mailing.send_due(STOP)
    [message] = mailbox.parsed
    assert files(message) == {} and "$220.00" in part(message, "plain")
    assert "Nothing is attached: as viewer of this store you may not download figures." in part(message, "plain")


# To whom


@pytest.mark.parametrize("reason", ["removed", "switched off", "unproven", "second factor", "not shared", "demo off"])
def test_who_may_not_have_it_gets_nothing_and_the_schedule_stops(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, reason: str
):
    view_id = views.save(ALICE, 1, "Alice's", "sales", {}, shared=True)
    schedule_id = schedules.add(BOB, 1, view_id, When("day", 8), "none")
    make_due(schedule_id)
    claim = schedules.claim()
    assert claim is not None
    if reason == "removed":
        members.remove(ALICE, 1, BOB)
    elif reason == "switched off":
        change(User, BOB, active=False)
    elif reason == "unproven":
        change(User, BOB, email="new@example.com", email_verified_at=None)
    elif reason == "second factor":
        change(Shop, 1, needs_second_factor=True)
    elif reason == "not shared":
        with shop_session(1, write=True) as session:
            session.get_one(SavedView, (1, view_id)).private_to = ALICE
    else:
        change(User, BOB, demo_password="sealed")
    mailing.send_claimed(claim)
    mailing.send_due(STOP)
    assert mailbox.messages == []
    if reason != "removed":
        assert not row(schedule_id).active and row(schedule_id).problem


def test_charlie_sends_and_reads_nothing_of_another_store(mailbox: Mailbox):
    schedule_id = schedule()
    view_id = row(schedule_id).view_id
    for work in (
        lambda: mailing.send_now(CHARLIE, 1, schedule_id),
        lambda: mailing.send_now(CHARLIE, 2, schedule_id),
        lambda: mailing.send_now(ALICE, 1, schedule_id),
        lambda: mailing.preview(CHARLIE, 1, view_id),
        lambda: mailing.preview(CHARLIE, 2, view_id),
    ):
        with pytest.raises((NotPermitted, InputError)):
            work()
    assert mailbox.messages == []


# Once


def test_of_many_workers_one_sends(mailbox: Mailbox):
    for number in range(3):
        schedule(name=f"View {number}")
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: mailing.send_due(STOP), range(5)))
    assert len(mailbox.messages) == 3
    assert len({str(message["Subject"]) for message in mailbox.parsed}) == 3


class Killed(BaseException):
    """The process ends here."""


def test_a_worker_that_dies_before_it_sends_loses_nothing(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch):
    schedule_id = schedule()
    with monkeypatch.context() as dying:
        dying.setattr(mailing, "send_mail", _die)
        with pytest.raises(Killed):
            mailing.send_due(STOP)
    mailing.send_due(STOP)
    assert mailbox.messages == [], "it is held for as long as the lease lasts"
    make_due(schedule_id)
    mailing.send_due(STOP)
    mailing.send_due(STOP)
    assert len(mailbox.messages) == 1 and row(schedule_id).failures == 0


def test_a_worker_that_dies_before_it_says_so_sends_twice_under_one_id_and_never_again(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
):
    schedule_id = schedule()
    with monkeypatch.context() as dying:
        dying.setattr(schedules, "sent", _die)
        with pytest.raises(Killed):
            mailing.send_due(STOP)
    for _ in range(2):
        make_due(schedule_id)
        mailing.send_due(STOP)
    first, second, next_one = (str(message["Message-ID"]) for message in mailbox.parsed)
    assert first == second != next_one


def _die(*_: Any, **__: Any) -> None:
    raise Killed


def test_who_ends_it_while_it_is_made_gets_it_no_more(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch):
    schedule_id, packed = schedule(), mailing._packed

    def slow(*args: Any) -> Any:
        found = packed(*args)
        schedules.pause(BOB, 1, schedule_id)
        return found

    monkeypatch.setattr(mailing, "_packed", slow)
    mailing.send_due(STOP)
    assert mailbox.messages == [] and not row(schedule_id).active


def test_a_server_that_refuses_is_tried_again_and_told_to_the_reader(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
):
    schedule_id = schedule()
    mailbox.refuse = True
    mailing.send_due(STOP)
    found = row(schedule_id)
    assert found.active and found.failures == 1 and "did not take the e-mail" in str(found.problem)
    assert "bob@example.com" not in caplog.text and "hunter2" not in caplog.text
    mailbox.refuse = False
    make_due(schedule_id)
    mailing.send_due(STOP)
    assert len(mailbox.messages) == 1 and row(schedule_id).problem is None


def test_a_report_that_cannot_be_made_keeps_no_other_waiting(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch):
    broken, whole = schedule(attachment="pdf"), schedule(ALICE)

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(mailing._ATTACHMENTS, "pdf", fail)
    mailing.send_due(STOP)
    assert [to for _, [to] in mailbox.envelopes] == ["alice@example.com"]
    assert row(broken).active and "could not be made" in str(row(broken).problem)
    assert row(whole).last_sent_at is not None


def test_where_mail_is_switched_off_schedules_rest(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch):
    schedule_id = schedule()
    for key in ("SMTP_HOST", "APP_URL"):
        settings(monkeypatch, **{key: None})
        mailing.send_due(STOP)
        with pytest.raises(MailNotSent, match="SMTP_HOST, SMTP_FROM and APP_URL"):
            mailing.send_now(BOB, 1, schedule_id)
    assert mailbox.messages == [] and (row(schedule_id).active, row(schedule_id).failures) == (True, 0)


def test_the_worker_sends_what_is_due(mailbox: Mailbox):
    schedule_id, stop = schedule(), threading.Event()
    soon = tuple((1, job) for _, job in mailing.JOBS)
    worker = scheduler.start_worker(stop, more=soon)
    give_up_at_s = time.monotonic() + 120
    while row(schedule_id).last_sent_at is None and time.monotonic() < give_up_at_s:
        stop.wait(0.1)
    stop.set()
    worker.join()
    assert len(mailbox.messages) == 1


# At once


def test_it_is_sent_at_once_besides_its_times_and_not_without_end(mailbox: Mailbox):
    schedule_id = schedule()
    schedules.change(BOB, 1, schedule_id, When("day", 8), "none")
    due = row(schedule_id).next_due_at
    assert mailing.send_now(BOB, 1, schedule_id) == "bob@example.com"
    assert row(schedule_id).next_due_at == due and row(schedule_id).last_sent_at is not None
    for _ in range(4):
        mailing.send_now(BOB, 1, schedule_id)
    with pytest.raises(InputError, match="Wait 15 minutes"):
        mailing.send_now(BOB, 1, schedule_id)
    assert len(mailbox.messages) == 5


def test_the_preview_is_what_is_sent_without_the_links(mailbox: Mailbox):
    schedule_id = schedule()
    seen = mailing.preview(BOB, 1, row(schedule_id).view_id)
    mailing.send_due(STOP)
    sent = part(mailbox.parsed[0], "plain")
    assert seen.subject == str(mailbox.parsed[0]["Subject"])
    assert sent.startswith(seen.text.rstrip("\n")) and "token=" not in seen.text
