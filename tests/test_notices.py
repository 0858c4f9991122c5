"""Who is told that a sync keeps failing, and that it works again: by a real mail server and webhook, once each."""

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.db.engine import system_session
from core.db.models import Shop, SyncState
from core.errors import MailNotSent
from core.mail import send_mail
from core.sync import notices
from tests.demo_http import HARBOR
from tests.demo_sync import ALICE, CHARLIE, Stage, add_demo_shops, shop_row, stage_demo, state, sync
from tests.mailbox import Mailbox, serving


@dataclass
class Receiver:
    """What a webhook got; how it answers."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 200


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    got = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.paths.append(self.path)
            got.headers.append(dict(self.headers.items()))
            got.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(got.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        got.url = f"http://127.0.0.1:{port}/hooks/secret-path?key=secret-key"
        yield got


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))
        config.get_settings.cache_clear()

    return use


@pytest.fixture
def told(setting: Callable[..., None], mailbox: Mailbox, receiver: Receiver) -> None:
    """Both ways to be told."""
    setting(
        SMTP_HOST="127.0.0.1", SMTP_PORT=mailbox.port, SMTP_TLS="off", SMTP_FROM="shoptally@example.com",
        ALERT_EMAIL="ops@example.com", ALERT_WEBHOOK_URL=receiver.url,
    )  # fmt: skip


def out_of_order(stage: Stage) -> None:
    stage.instead = lambda _: httpx2.Response(404)


def fail(shop_id: int = ALICE, times: int = 1, **columns: Any) -> None:
    """What a run that failed leaves in the queue."""
    with system_session(write=True) as session:
        for row in session.exec(select(SyncState).where(SyncState.shop_id == shop_id)):
            row.failures += times
            row.problem, row.due_at = "orders: Shopify answered 503. Try again later.", datetime.now(UTC)
            for name, value in columns.items():
                setattr(row, name, value)
    notices.tell(shop_id)


def succeed(shop_id: int = ALICE) -> None:
    """What a run that succeeded leaves there."""
    with system_session(write=True) as session:
        for row in session.exec(select(SyncState).where(SyncState.shop_id == shop_id)):
            row.failures, row.problem, row.due_at = 0, None, datetime.now(UTC)
    notices.tell(shop_id)


@pytest.mark.usefixtures("told")
def test_the_third_failure_in_a_row_is_told_once_and_so_is_the_recovery(
    database: Engine, stage: Stage, mailbox: Mailbox, receiver: Receiver
):
    add_demo_shops()
    out_of_order(stage)
    for failures in range(1, 6):
        sync()
        assert state("orders").failures == failures
        assert len(receiver.bodies) == len(mailbox.messages) == (1 if failures >= 3 else 0)
    [body] = receiver.bodies
    assert (body["event"], body["shop"], body["name"]) == ("sync_failing", HARBOR.domain, HARBOR.name)
    assert "There is no shop at" in body["problems"]["orders"]
    assert receiver.paths == ["/hooks/secret-path?key=secret-key"]
    stage.tell_truth()
    for _ in range(2):
        sync()
        assert [body["event"] for body in receiver.bodies] == ["sync_failing", "sync_recovered"]
    first, second = mailbox.parsed
    assert mailbox.envelopes == [("shoptally@example.com", ["ops@example.com"])] * 2
    assert first["Subject"] == f"Shoptally: the sync of {HARBOR.name} keeps failing"
    assert "There is no shop at" in first.get_content() and HARBOR.domain in first.get_content()
    assert second["Subject"] == f"Shoptally: the sync of {HARBOR.name} works again"


@pytest.mark.usefixtures("told")
def test_a_success_in_between_starts_the_count_anew(database: Engine, receiver: Receiver):
    add_demo_shops()
    for _ in range(3):
        fail(times=2)
        succeed()
    assert receiver.bodies == []


@pytest.mark.usefixtures("told")
def test_each_store_is_told_of_by_itself(database: Engine, receiver: Receiver):
    add_demo_shops()
    fail(ALICE, 3)
    fail(CHARLIE, 2)
    fail(CHARLIE, 1)
    succeed(ALICE)
    assert [(body["event"], body["shop"] == HARBOR.domain) for body in receiver.bodies] == [
        ("sync_failing", True), ("sync_failing", False), ("sync_recovered", True)
    ]  # fmt: skip


@pytest.mark.usefixtures("told")
def test_it_is_not_called_a_recovery_while_something_is_still_being_retried(database: Engine, receiver: Receiver):
    add_demo_shops()
    fail(times=3)
    with system_session(write=True) as session:
        for row in session.exec(select(SyncState).where(SyncState.shop_id == ALICE)):
            row.failures = 1 if row.stream == "orders" else 0
    notices.tell(ALICE)
    assert len(receiver.bodies) == 1
    succeed()
    assert len(receiver.bodies) == 2


@pytest.mark.usefixtures("told")
def test_a_refused_token_is_told_at_once(database: Engine, stage: Stage, receiver: Receiver):
    add_demo_shops()
    stage.instead = lambda _: httpx2.Response(401)
    sync()
    assert [body["event"] for body in receiver.bodies] == ["sync_failing"]
    assert shop_row().reauth_since is not None


@pytest.mark.usefixtures("told")
def test_of_workers_that_fail_at_once_one_tells(database: Engine, receiver: Receiver):
    add_demo_shops()
    with system_session(write=True) as session:
        for row in session.exec(select(SyncState).where(SyncState.shop_id == ALICE)):
            row.failures = 3
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: notices.tell(ALICE), range(5)))
    assert len(receiver.bodies) == 1


@pytest.mark.usefixtures("told")
def test_what_is_told_holds_no_secret(database: Engine, mailbox: Mailbox, receiver: Receiver):
    add_demo_shops()
    fail(times=3, problem=f"orders: {HARBOR.token} of ana@example.com was refused")
    for text in (json.dumps(receiver.bodies), mailbox.messages[0].split("\n\n", 1)[-1]):
        assert HARBOR.token not in text and "ana@example.com" not in text


def test_nobody_is_told_who_did_not_ask(database: Engine, mailbox: Mailbox, setting: Callable[..., None]):
    setting(SMTP_HOST="127.0.0.1", SMTP_PORT=mailbox.port, SMTP_TLS="off", SMTP_FROM="shoptally@example.com")
    add_demo_shops()
    fail(times=3)
    assert mailbox.messages == [] and shop_row().alerted_at is None


def test_how_many_failures_are_worth_it_is_a_setting(
    database: Engine, receiver: Receiver, setting: Callable[..., None]
):
    setting(ALERT_WEBHOOK_URL=receiver.url, ALERT_AFTER_FAILURES=1)
    add_demo_shops()
    fail()
    assert len(receiver.bodies) == 1


@pytest.mark.parametrize("broken", ["closed port", "redirect", "500", "mail refused", "no mail server"])
def test_a_notice_that_cannot_be_sent_is_logged_without_secrets_and_fails_nothing(
    database: Engine, stage: Stage, mailbox: Mailbox, receiver: Receiver, setting: Callable[..., None],
    caplog: pytest.LogCaptureFixture, broken: str,
):  # fmt: skip
    caplog.set_level(logging.INFO)
    setting(ALERT_AFTER_FAILURES=1)
    if broken == "closed port":
        setting(ALERT_WEBHOOK_URL="http://127.0.0.1:9/hooks/secret-path")
    elif broken in ("redirect", "500"):
        receiver.status = 307 if broken == "redirect" else 500
        setting(ALERT_WEBHOOK_URL=receiver.url)
    else:
        mailbox.refuse = True
        setting(ALERT_EMAIL="ops@example.com")
        if broken == "mail refused":
            setting(SMTP_HOST="127.0.0.1", SMTP_PORT=mailbox.port, SMTP_TLS="off", SMTP_FROM="a@example.com")
    add_demo_shops()
    out_of_order(stage)
    assert sync().outcome == "failed"
    assert "notice sync_failing" in caplog.text
    assert "secret-path" not in caplog.text and "hunter2" not in caplog.text
    assert len(receiver.paths) == (1 if broken in ("redirect", "500") else 0)


def test_not_even_a_database_that_is_gone_makes_telling_fail(
    database: Engine, receiver: Receiver, setting: Callable[..., None], caplog: pytest.LogCaptureFixture
):
    setting(ALERT_WEBHOOK_URL=receiver.url)
    notices.tell(12345)
    assert "nobody could be told" in caplog.text


def test_mail_goes_out_with_sign_in_and_letters_of_every_language(mailbox: Mailbox, setting: Callable[..., None]):
    setting(
        SMTP_HOST="127.0.0.1", SMTP_PORT=mailbox.port, SMTP_TLS="off", SMTP_USER="user@example.com", SMTP_PASSWORD="pw"
    )
    send_mail("ana@example.com", "Größe\r\nBcc: eve@example.com", "Zürich\n.\nEnde\n")
    [message] = mailbox.parsed
    assert mailbox.envelopes == [("user@example.com", ["ana@example.com"])]
    assert message["Subject"] == "Größe Bcc: eve@example.com" and message["Bcc"] is None
    assert "Zürich" in message.get_content() and "Ende" in message.get_content()
    assert len(mailbox.signed_in) == 1


def test_without_a_mail_server_a_sentence_says_which_setting(setting: Callable[..., None]):
    with pytest.raises(MailNotSent, match="Set SMTP_HOST and SMTP_FROM"):
        send_mail("ana@example.com", "Hello", "Hello")
    setting(SMTP_HOST="127.0.0.1", SMTP_PORT=9)
    with pytest.raises(MailNotSent, match="Set SMTP_HOST and SMTP_FROM"):
        send_mail("ana@example.com", "Hello", "Hello")


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_server_without_encryption_gets_no_password_where_encryption_is_set(
    mailbox: Mailbox, setting: Callable[..., None], tls: str
):
    setting(SMTP_HOST="127.0.0.1", SMTP_PORT=mailbox.port, SMTP_TLS=tls, SMTP_USER="u@example.com", SMTP_PASSWORD="pw")
    with pytest.raises(MailNotSent, match="did not take the e-mail"):
        send_mail("ana@example.com", "Hello", "Hello")
    assert mailbox.messages == [] and mailbox.signed_in == []


@pytest.mark.parametrize(
    "to", ["ana@example.com\r\nBcc: eve@example.com", "ana@example.com,eve@example.com", "", "ana"]
)
def test_what_is_not_one_address_gets_nothing(mailbox: Mailbox, setting: Callable[..., None], to: str):
    setting(SMTP_HOST="127.0.0.1", SMTP_PORT=mailbox.port, SMTP_TLS="off", SMTP_FROM="a@example.com")
    with pytest.raises(MailNotSent, match="not one address"):
        send_mail(to, "Hello", "Hello")
    assert mailbox.envelopes == []


def test_the_told_moment_is_kept_with_the_shop(database: Engine, receiver: Receiver, setting: Callable[..., None]):
    setting(ALERT_WEBHOOK_URL=receiver.url)
    add_demo_shops()
    fail(times=3)
    assert shop_row().alerted_at is not None
    succeed()
    with system_session() as session:
        assert session.get_one(Shop, ALICE).alerted_at is None
