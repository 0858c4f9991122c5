"""Views on the pages: saved, opened as they were, and sent, by who may."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import streamlit as st
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core import config
from core.analytics.period import USUAL, shop_today
from core.auth import views
from core.db.engine import system_session
from core.db.migrate import migrate
from core.db.models import ReportSchedule, User
from core.reports import schedules, span
from core.reports.schedules import When
from core.ui import filters
from tests import factories as make
from tests.mailbox import Mailbox, mail_server
from tests.test_pages import ALICE, ALICES, BOB, CHARLIE, add_cast, card, open_page, sell, words

VERA = 4
NEW_YORK = "America/New_York"


@pytest.fixture(autouse=True)
def cast() -> Iterator[None]:
    """Alice's shop with Bob, and Vera as viewer; Charlie's beside it."""
    st.cache_data.clear()
    migrate()
    add_cast()
    sell(1, 3, "11.00", days_ago=40)
    make.add_user(VERA, "vera@example.com", 1, role="viewer")
    yield
    st.cache_data.clear()


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """Mail goes out, to confirmed addresses."""
    with mail_server() as box:
        for name, value in (("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", str(box.port)), ("SMTP_TLS", "off"),
                            ("SMTP_FROM", "reports@example.com"), ("APP_URL", "https://numbers.example")):  # fmt: skip
            monkeypatch.setenv(name, value)
        config.get_settings.cache_clear()
        with system_session(write=True) as session:
            for user in session.exec(select(User)):
                user.email_verified_at = make.at("2026-01-01")
        yield box


def figures(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def button(at: AppTest, label: str) -> AppTest:
    return next(each for each in at.button if each.label == label).click().run()


def choose(at: AppTest, key: str, action: str) -> AppTest:
    return at.menu_button(key=key).click(action).run()


def saved(user_id: int = BOB, page: str = "sales", *, shared: bool = False, **query: list[str]) -> str:
    return views.save(user_id, 1, "Mine", page, query, shared=shared)


def test_what_is_saved_is_the_address_and_it_opens_again_with_the_same_figures():
    chosen = {"range": "Last 90 days", "compare": "Nothing", "split": "Country", "shop": ALICES}
    at = open_page("sales.py", BOB, **chosen)
    there = figures(at)
    at.text_input(key="view_name").set_value("Ninety days")
    at = button(at, "Save this view")
    [view] = views.views_of(BOB, 1)
    assert (view.name, view.page, view.shared) == ("Ninety days", "sales", False)
    assert view.query == {"range": ["Last 90 days"], "compare": ["Nothing"], "split": ["Country"]}
    assert "The view is saved." in words(at)
    for page, elsewhere in (("date_filter.py", {"range": "Last 7 days", "compare": "Previous year", "by": "Week"}),
                            ("sales.py", {"range": "Today", "split": "Channel", "by": "Month"}),
                            ("customers.py", {"period": "7 days"}), ("views.py", {})):  # fmt: skip
        at = open_page(page, BOB, **elsewhere)
        at.switch_page("views.py")
        at.query_params["open"] = view.view_id
        at.run()
        assert not at.exception and at.title[0].value == "Sales"
        assert figures(at) == there and card(at, "Orders") == "3"
        assert at.query_params == chosen


def test_a_view_of_fixed_days_and_one_of_the_first_page_open_too():
    day = (shop_today(NEW_YORK) - timedelta(days=2)).isoformat()
    for page, title, query, total in (
        ("sales", "Sales", {"range": ["Custom"], "dates": [day, day]}, "$55.00"),
        ("overview", "Overview", {"period": ["90 days"]}, "$176.00"),
    ):
        view_id = views.save(BOB, 1, title, page, query)
        at = open_page("date_filter.py", BOB, range="Last 7 days", compare="Nothing")
        at.switch_page("views.py")
        at.query_params["open"] = view_id
        at.run()
        assert not at.exception and at.title[0].value == title
        assert card(at, "Total sales") == total


@pytest.mark.parametrize("label", USUAL)
def test_an_e_mails_days_are_those_the_page_shows(label):
    at = open_page("overview.py", BOB, period=label)
    today = shop_today(NEW_YORK)
    period = span.period_of({"period": [label]}, today, None)
    assert filters.in_words(period, span.against({}, period, today), today) in [each.value for each in at.caption]


@pytest.mark.parametrize("gone", ["none such", "private", "foreign", "page"])
def test_a_link_to_a_view_that_is_not_theirs_or_gone_says_so_and_opens_nothing(gone):
    view_id = {
        "private": lambda: saved(ALICE), "none such": lambda: "none such",
        "foreign": lambda: views.save(CHARLIE, 2, "Charlie's", "sales", {}, shared=True),
        "page": lambda: saved(BOB, "nowhere"),
    }[gone]()  # fmt: skip
    at = open_page("views.py", BOB, open=view_id)
    assert at.title[0].value == "Views and reports" and at.error
    assert "not there any more" in words(at) and "Charlie's" not in words(at)
    assert "open" not in at.query_params


def test_a_viewer_opens_shared_views_and_is_offered_nothing_else():
    view_id = saved(shared=True)
    at = open_page("sales.py", VERA)
    assert "Save this view" not in [each.label for each in at.button]
    at = open_page("views.py", VERA)
    assert at.menu_button(key=f"more_{view_id}").options == ["Preview the e-mail"]


def test_strangers_see_no_view_of_another_store():
    saved(ALICE, shared=True)
    at = open_page("views.py", CHARLIE, shop=ALICES)
    assert "Mine" not in words(at) and not at.menu_button


def test_a_view_is_renamed_shared_and_deleted_from_its_menu():
    view_id = saved()
    at = choose(open_page("views.py", BOB), f"more_{view_id}", "Rename")
    at.text_input(key=f"name_{view_id}").set_value("[x](https://example.com) **y**")
    at = button(at, "Save the name")
    assert "[x](https://example.com) **y**" in words(at)
    at = choose(at, f"more_{view_id}", "Share in this store")
    assert [view.shared for view in views.views_of(ALICE, 1)] == [True]
    at = choose(open_page("views.py", ALICE), f"more_{view_id}", "Delete")
    assert len(views.views_of(BOB, 1)) == 1, "not before it is confirmed"
    at = button(at, "Cancel")
    at = button(choose(at, f"more_{view_id}", "Delete"), "Delete the view")
    assert views.views_of(BOB, 1) == () and "The view is deleted." in words(at)


def test_where_no_mail_goes_out_the_page_says_what_to_set_and_still_previews():
    view_id = saved(range=["Last 90 days"])
    at = open_page("views.py", BOB)
    assert "SMTP_HOST, SMTP_FROM and APP_URL" in words(at)
    assert "Send by e-mail" not in at.menu_button(key=f"more_{view_id}").options
    at = choose(at, f"more_{view_id}", "Preview the e-mail")
    assert "Total sales: $176.00" in at.code[0].value
    assert button(at, "Close").code == []


def test_who_did_not_confirm_an_address_is_led_there(mailbox: Mailbox):
    with system_session(write=True) as session:
        session.get_one(User, BOB).email_verified_at = None
    view_id = saved()
    at = open_page("views.py", BOB)
    assert "Reports go to a confirmed address only." in words(at)
    at = button(choose(at, f"more_{view_id}", "Send by e-mail"), "Send it from now on")
    assert "Confirm your e-mail address" in words(at) and schedules.schedules_of(BOB, 1) == ()


def test_a_view_is_scheduled_changed_sent_paused_and_ended_on_the_page(mailbox: Mailbox):
    view_id = saved()
    at = choose(open_page("views.py", BOB), f"more_{view_id}", "Send by e-mail")
    at.selectbox(key=f"every_{view_id}").select("Every month").run()
    at.selectbox(key=f"month_day_{view_id}").select(31)
    at.selectbox(key=f"hour_{view_id}").select(6)
    at.selectbox(key=f"attached_{view_id}").select("Excel")
    at = button(at, "Send it from now on")
    [one] = schedules.schedules_of(BOB, 1)
    assert (one.when, one.attachment) == (When("month", 6, month_day=31), "excel")
    assert "on day 31 of every month, or on the last day of a shorter one, at 06:00 (New York)" in words(at)
    menu = f"schedule_more_{one.schedule_id}"
    at = choose(at, menu, "Send now")
    assert mailbox.envelopes == [("reports@example.com", ["bob@example.com"])]
    assert "on its way to bob@example.com" in words(at) and "last sent" in words(at)
    at = choose(at, menu, "Change")
    at.selectbox(key=f"every_{one.schedule_id}").select("Every day")
    at = button(at, "Save")
    assert schedules.schedules_of(BOB, 1)[0].when.every == "day"
    at = choose(at, menu, "Pause")
    assert not schedules.schedules_of(BOB, 1)[0].active and "Paused" in words(at)
    at = choose(at, menu, "Resume")
    assert schedules.schedules_of(BOB, 1)[0].active
    choose(at, menu, "End")
    assert schedules.schedules_of(BOB, 1) == ()


def test_why_a_report_stopped_is_told_to_its_reader(mailbox: Mailbox):
    schedules.add(BOB, 1, saved(), When("day", 8), "none")
    with system_session(write=True) as session:
        row = session.exec(select(ReportSchedule)).one()
        row.active, row.problem = False, "The mail server said no. It was tried 5 times and is not tried any more."
    assert "It was tried 5 times" in words(open_page("views.py", BOB))
    assert "It was tried" not in words(open_page("views.py", ALICE))
