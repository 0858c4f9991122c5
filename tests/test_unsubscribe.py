"""The link at the foot of a report: a GET asks, a POST ends it, a stranger finds nothing."""

from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine
from sqlmodel import select
from starlette.applications import Starlette

from core import config
from core.auth import audit, views
from core.db.engine import system_session
from core.db.models import ReportSchedule, User
from core.db.vault import rotate_keys
from core.reports import mailing, schedules
from core.reports.schedules import When
from core.web.middleware import MIDDLEWARE
from core.web.routes import ROUTES
from tests.event_loop import run
from tests.factories import add_shop, add_user, at
from tests.mailbox import Mailbox

PROGRAM = Starlette(routes=ROUTES, middleware=MIDDLEWARE)


@pytest.fixture(autouse=True)
def cast(database: Engine, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alice and Charlie each have a store, a view and a daily report."""
    for name, value in (
        ("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", str(mailbox.port)), ("SMTP_TLS", "off"),
        ("SMTP_FROM", "reports@example.com"), ("APP_URL", "https://numbers.example/below/a/long/path/of/its/own"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    config.get_settings.cache_clear()
    for number, name in ((1, "alice"), (2, "charlie")):
        add_shop(number)
        add_user(number, f"{name}@example.com", number)
        with system_session(write=True) as session:
            session.get_one(User, number).email_verified_at = at("2026-01-01")
        schedules.add(number, number, views.save(number, number, "View", "sales", {}), When("day", 8), "none")


def arrived(mailbox: Mailbox, user_id: int = 1) -> tuple[str, dict[str, str]]:
    """The path with the token in the mail that just arrived, and the mail's headers."""
    mailing.send_now(user_id, user_id, schedule_of(user_id).id or 0)
    message = mailbox.parsed[-1]
    address = urlsplit(str(message["List-Unsubscribe"]).strip("<>"))
    return f"{address.path.removeprefix('/below/a/long/path/of/its/own')}?{address.query}", dict(message.items())


def ask(method: str, path: str, **options: object) -> httpx2.Response:
    async def asking() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=PROGRAM)
        async with httpx2.AsyncClient(transport=transport, base_url="https://numbers.example") as client:
            return await client.request(method, path, **options)

    answer: httpx2.Response = run(asking)
    return answer


def schedule_of(user_id: int) -> ReportSchedule:
    with system_session() as session:
        return session.exec(select(ReportSchedule).where(ReportSchedule.user_id == user_id)).one()


def test_every_mail_has_the_link_in_its_text_and_in_headers_a_mail_program_can_press(mailbox: Mailbox):
    path, headers = arrived(mailbox)
    assert path.startswith("/reports/unsubscribe?token=")
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    raw = mailbox.messages[-1].split("\r\n\r\n" if "\r\n\r\n" in mailbox.messages[-1] else "\n\n")[0]
    line = next(line for line in raw.splitlines() if line.startswith("List-Unsubscribe:"))
    assert line == f"List-Unsubscribe: <https://numbers.example/below/a/long/path/of/its/own{path}>"
    body = mailbox.parsed[-1].get_body(("plain",))
    assert body is not None and path in body.get_content()


def test_one_click_is_not_promised_without_https(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("APP_URL", "http://localhost:8501/below/a/long/path/of/its/own")
    config.get_settings.cache_clear()
    headers = arrived(mailbox)[1]
    assert "List-Unsubscribe" in headers and "List-Unsubscribe-Post" not in headers


def test_opening_the_link_changes_nothing_and_pressing_the_button_ends_that_report_alone(mailbox: Mailbox):
    path, _ = arrived(mailbox)
    for method in ("GET", "HEAD"):
        answer = ask(method, path)
        assert answer.status_code == 200 and schedule_of(1).active
    page = ask("GET", path)
    assert '<form method="post">' in page.text and "alice" not in page.text
    assert page.headers["Cache-Control"] == "no-store" and page.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert ask("POST", path).status_code == 200
    assert not schedule_of(1).active and schedule_of(1).problem == schedules.UNSUBSCRIBED
    assert schedule_of(2).active
    [event] = audit.events(1, since=at("2020-01-01"), until=at("2100-01-01"), action="report_ended")
    assert event.actor == "alice@example.com"


def test_a_mail_programs_one_click_ends_it_and_twice_is_once(mailbox: Mailbox):
    path, _ = arrived(mailbox)
    body = {"content": "List-Unsubscribe=One-Click", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    assert [ask("POST", path, **body).status_code for _ in range(3)] == [200, 200, 200]
    assert not schedule_of(1).active
    assert len(audit.events(1, since=at("2020-01-01"), until=at("2100-01-01"), action="report_ended")) == 1


def test_an_old_link_works_for_ever_also_after_the_keys_were_changed(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch):
    path, _ = arrived(mailbox)
    new, old = Fernet.generate_key().decode(), config.get_settings().encryption_keys[0]
    monkeypatch.setenv("APP_ENCRYPTION_KEYS", f"{new},{old}")
    config.get_settings.cache_clear()
    assert rotate_keys().counts["links that end reports"] == 2
    monkeypatch.setenv("APP_ENCRYPTION_KEYS", new)
    config.get_settings.cache_clear()
    assert arrived(mailbox)[0] == path
    assert ask("POST", path).status_code == 200 and not schedule_of(1).active


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stranger_finds_nothing(mailbox: Mailbox, method: str):
    path, _ = arrived(mailbox)
    stored = schedule_of(1).unsubscribe_hash
    wrong = [
        "/reports/unsubscribe", "/reports/unsubscribe?token=", f"{path[:-1]}", f"{path}x",
        f"/reports/unsubscribe?token={stored}", "/reports/unsubscribe?token=%00%ff'--",
        f"/reports/unsubscribe?token={'x' * 5000}",
    ]  # fmt: skip
    assert [ask(method, address).status_code for address in wrong] == [404] * len(wrong)
    assert schedule_of(1).active and schedule_of(2).active


def test_the_token_is_stored_neither_in_clear_nor_where_a_log_would_show_it(mailbox: Mailbox):
    path, _ = arrived(mailbox)
    token, found = path.split("token=")[1], schedule_of(1)
    assert token not in str(found.model_dump()) and token not in repr(found)
    assert found.unsubscribe_hash not in repr(found)


@pytest.mark.parametrize("path", ["/reports", "/reports/", "/reports/other", "/reports/unsubscribe/x"])
def test_nothing_else_is_there(path: str):
    assert ask("GET", path).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_end_nothing(mailbox: Mailbox, method: str):
    path, _ = arrived(mailbox)
    assert ask(method, path).status_code in (404, 405)
    assert schedule_of(1).active
