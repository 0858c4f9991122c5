"""When a report is due, who may have one sent, and that of any number of workers one sends it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.auth import members, views
from core.db.engine import shop_session, system_session
from core.db.models import ReportSchedule, Shop, User
from core.errors import InputError, MailNotSent, NotPermitted
from core.reports import schedules
from core.reports.schedules import LEASE, MOST_TRIES, TRY_AGAIN_AFTER, When
from tests.factories import add_shop, add_user, at

ALICE, BOB, CHARLIE, VERA = 1, 2, 3, 4
DAILY = When("day", 8)
# With and without summer time, by half hours, around the whole world, and one that skipped a day.
ZONES = (
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Kiritimati",
    "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca", "America/Santiago",
)  # fmt: skip


def local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M")


# When


@given(
    some.builds(
        When, every=some.sampled_from(["day", "week", "month"]), hour=some.integers(0, 23),
        weekday=some.integers(0, 6), month_day=some.integers(1, 31),
    ),
    some.datetimes(datetime(2011, 1, 1), datetime(2038, 1, 1), timezones=some.just(UTC)),
    some.sampled_from(ZONES),
)  # fmt: skip
def test_the_next_time_is_in_the_future_and_at_the_hour_of_the_right_day(when: When, now: datetime, zone: str):
    due = when.next_after(now, zone)
    there = due.astimezone(ZoneInfo(zone))
    assert now < due <= now + timedelta(days={"day": 2, "week": 8, "month": 33}[when.every])
    exists = datetime(there.year, there.month, there.day, when.hour, tzinfo=there.tzinfo)
    if exists.astimezone(UTC).astimezone(there.tzinfo).hour == when.hour:  # the clock does not skip it that day
        assert (there.hour, there.minute) == (when.hour, 0) or not when.falls_on(there.date())
    if when.falls_on(there.date()):
        earlier = {"day": 1, "week": 7, "month": 28}[when.every]
        assert when.next_after(due, zone) >= due + timedelta(days=earlier, hours=-3)
    else:
        assert zone == "Pacific/Apia" and there.date() == date(2011, 12, 31), "only a day that was skipped is made up"


@pytest.mark.parametrize(
    ("when", "now", "zone", "expected"),
    [
        (When("day", 8), "2026-06-10T11:59", "America/New_York", "Wed 2026-06-10 08:00"),
        (When("day", 8), "2026-06-10T12:00", "America/New_York", "Thu 2026-06-11 08:00"),
        (When("day", 0), "2026-06-10T12:00", "Asia/Kathmandu", "Thu 2026-06-11 00:00"),
        (When("week", 9, weekday=0), "2026-11-20T12:00", "Europe/Berlin", "Mon 2026-11-23 09:00"),
        (When("month", 7, month_day=31), "2026-02-01T12:00", "UTC", "Sat 2026-02-28 07:00"),
        (When("month", 7, month_day=31), "2028-02-01T12:00", "UTC", "Tue 2028-02-29 07:00"),
        (When("month", 7, month_day=30), "2026-04-30T07:00", "UTC", "Sat 2026-05-30 07:00"),
        (When("month", 7, month_day=31), "2026-12-31T07:00", "UTC", "Sun 2027-01-31 07:00"),
        # The clock skips from 2 to 3, and repeats from 1 to 2.
        (When("day", 2), "2026-03-08T05:00", "America/New_York", "Sun 2026-03-08 03:00"),
        (When("day", 2), "2026-03-08T07:00", "America/New_York", "Mon 2026-03-09 02:00"),
        (When("day", 1), "2026-11-01T04:00", "America/New_York", "Sun 2026-11-01 01:00"),
        (When("day", 1), "2026-11-01T05:00", "America/New_York", "Mon 2026-11-02 01:00"),
        (When("day", 8), "2026-03-08T05:00", "America/New_York", "Sun 2026-03-08 08:00"),
    ],
)
def test_known_times(when: When, now: str, zone: str, expected: str):
    assert local(when.next_after(at(now), zone), zone) == expected


@pytest.mark.parametrize(
    "wrong", [("year", 8, 0, 1), ("day", 24, 0, 1), ("day", -1, 0, 1), ("week", 8, 7, 1), ("month", 8, 0, 0),
              ("month", 8, 0, 32), ("", 8, 0, 1)]
)  # fmt: skip
def test_what_is_no_time_is_refused(wrong):
    with pytest.raises(InputError):
        When(*wrong)


def test_times_in_words():
    words = [
        schedules.in_words(when, "America/New_York")
        for when in (DAILY, When("week", 17, 4), When("month", 0, month_day=5), When("month", 0, month_day=31))
    ]
    assert words == [
        "every day at 08:00 (New York)", "every Friday at 17:00 (New York)",
        "on day 5 of every month at 00:00 (New York)",
        "on day 31 of every month, or on the last day of a shorter one, at 00:00 (New York)",
    ]  # fmt: skip


# Who


@pytest.fixture
def cast(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alice owns shop 1, Bob is its analyst, Vera its viewer; Charlie owns shop 2. All addresses are confirmed."""
    for name, value in (("SMTP_HOST", "mail.example"), ("APP_URL", "https://numbers.example")):
        monkeypatch.setenv(name, value)
    config.get_settings.cache_clear()
    add_shop(1)
    add_shop(2)
    for number, name, shop_id, role in (
        (ALICE, "alice", 1, "owner"), (BOB, "bob", 1, "analyst"), (VERA, "vera", 1, "viewer"),
        (CHARLIE, "charlie", 2, "owner"),
    ):  # fmt: skip
        add_user(number, f"{name}@example.com", shop_id, role=role)
    with system_session(write=True) as session:
        for user in session.exec(select(User)):
            user.email_verified_at = at("2026-01-01")


def view(user_id: int = BOB, shop_id: int = 1, *, shared: bool = True) -> str:
    return views.save(user_id, shop_id, f"View {len(views.views_of(user_id, shop_id))}", "sales", {}, shared=shared)


def add(user_id: int = BOB, view_id: str | None = None, when: When = DAILY, shop_id: int = 1) -> int:
    return schedules.add(user_id, shop_id, view_id or view(user_id, shop_id), when, "none")


def row(schedule_id: int) -> ReportSchedule:
    with system_session() as session:
        return session.get_one(ReportSchedule, schedule_id)


def make_due(schedule_id: int, ago: timedelta = timedelta(minutes=1)) -> None:
    with system_session(write=True) as session:
        session.get_one(ReportSchedule, schedule_id).next_due_at = datetime.now(UTC) - ago


@pytest.mark.usefixtures("cast")
def test_a_new_schedule_waits_for_its_next_time_in_the_stores_zone():
    schedule_id = add(when=When("week", 7, 2))
    [one] = schedules.schedules_of(BOB, 1)
    assert local(one.next_due_at, "America/New_York")[:3] == "Wed" and one.next_due_at > datetime.now(UTC)
    assert local(one.next_due_at, "America/New_York")[-5:] == "07:00"
    assert (one.schedule_id, one.when, one.active, one.last_sent_at) == (schedule_id, When("week", 7, 2), True, None)
    assert schedules.claim() is None


@pytest.mark.usefixtures("cast")
def test_only_members_who_may_save_views_have_something_sent_of_views_they_see_to_an_address_they_confirmed():
    private, shared = view(shared=False), view()
    add(ALICE, shared)
    for user_id, shop_id, view_id in ((CHARLIE, 1, shared), (VERA, 1, shared)):
        with pytest.raises(NotPermitted):
            add(user_id, view_id, shop_id=shop_id)
    for user_id, shop_id, view_id in ((ALICE, 1, private), (CHARLIE, 2, shared), (BOB, 1, "none such")):
        with pytest.raises(InputError, match="not there any more"):
            add(user_id, view_id, shop_id=shop_id)
    with system_session(write=True) as session:
        session.get_one(User, BOB).email_verified_at = None
        session.get_one(User, ALICE).demo_password = "sealed"
    with pytest.raises(NotPermitted, match="Confirm your e-mail address"):
        add(BOB, shared)
    with pytest.raises(NotPermitted, match="demo"):
        add(ALICE, shared)


@pytest.mark.usefixtures("cast")
@pytest.mark.parametrize("key", ["SMTP_HOST", "APP_URL"])
def test_where_no_mail_goes_out_it_says_what_to_set(monkeypatch, key):
    view_id = view()
    monkeypatch.delenv(key)
    config.get_settings.cache_clear()
    with pytest.raises(MailNotSent, match="SMTP_HOST, SMTP_FROM and APP_URL"):
        add(BOB, view_id)


@pytest.mark.usefixtures("cast")
def test_nobody_sees_changes_or_ends_the_schedule_of_another():
    schedule_id = add()
    for user_id, shop_id in ((ALICE, 1), (CHARLIE, 2)):
        assert schedules.schedules_of(user_id, shop_id) == ()
        for work in (
            lambda u=user_id, s=shop_id: schedules.change(u, s, schedule_id, DAILY, "none"),
            lambda u=user_id, s=shop_id: schedules.pause(u, s, schedule_id),
            lambda u=user_id, s=shop_id: schedules.end(u, s, schedule_id),
        ):
            with pytest.raises(InputError, match="ended already"):
                work()
    for work in (lambda: schedules.end(CHARLIE, 1, schedule_id), lambda: schedules.schedules_of(CHARLIE, 1)):
        with pytest.raises(NotPermitted):
            work()
    assert row(schedule_id).active


@pytest.mark.usefixtures("cast")
def test_a_store_has_so_many_reports_of_one_person_and_no_more(monkeypatch):
    monkeypatch.setattr(schedules, "MOST", 3)
    view_id = view()
    with ThreadPoolExecutor(5) as pool:
        done = list(pool.map(lambda _: _added(view_id), range(6)))
    assert sum(done) == 3 == len(schedules.schedules_of(BOB, 1))
    add(ALICE, view_id)
    schedules.end(BOB, 1, schedules.schedules_of(BOB, 1)[0].schedule_id)
    add(BOB, view_id)


def _added(view_id: str) -> bool:
    try:
        add(BOB, view_id)
    except InputError:
        return False
    return True


@pytest.mark.usefixtures("cast")
def test_a_paused_one_rests_and_a_changed_one_goes_on():
    schedule_id = add()
    make_due(schedule_id)
    schedules.pause(BOB, 1, schedule_id)
    assert schedules.claim() is None
    schedules.change(BOB, 1, schedule_id, When("month", 3, month_day=31), "pdf")
    [one] = schedules.schedules_of(BOB, 1)
    assert (one.active, one.when.month_day, one.attachment) == (True, 31, "pdf")
    assert one.next_due_at > datetime.now(UTC)


# The queue


@pytest.mark.usefixtures("cast")
def test_of_many_workers_each_report_has_one():
    ids = {add() for _ in range(4)}
    for schedule_id in ids:
        make_due(schedule_id)
    with ThreadPoolExecutor(6) as pool:
        claims = [claim for claim in pool.map(lambda _: schedules.claim(), range(12)) if claim is not None]
    assert sorted(claim.schedule_id for claim in claims) == sorted(ids)


@pytest.mark.usefixtures("cast")
def test_what_was_sent_is_due_at_its_next_time_however_late_it_was():
    schedule_id = add()
    make_due(schedule_id, timedelta(days=40))
    claim = schedules.claim()
    assert claim is not None
    schedules.sent(claim)
    found = row(schedule_id)
    assert found.last_sent_at is not None and found.failures == 0
    assert timedelta(0) < found.next_due_at - found.last_sent_at <= timedelta(hours=25)
    assert schedules.claim() is None


@pytest.mark.usefixtures("cast")
def test_what_a_dead_worker_held_is_taken_by_another_after_the_lease():
    schedule_id = add()
    make_due(schedule_id)
    dead = schedules.claim()
    assert dead is not None and schedules.claim() is None
    again = schedules.claim(datetime.now(UTC) + LEASE + timedelta(seconds=1))
    assert again is not None and again.schedule_id == schedule_id
    assert schedules.is_held(again) and not schedules.is_held(dead)
    schedules.failed(dead, "too late to say", for_good=True)
    assert row(schedule_id).active and row(schedule_id).next_due_at == again.until


@pytest.mark.usefixtures("cast")
def test_failures_wait_longer_each_time_and_end_with_a_note():
    schedule_id, now = add(), datetime.now(UTC)
    make_due(schedule_id)
    for pause in TRY_AGAIN_AFTER:
        claim = schedules.claim(now)
        assert claim is not None
        schedules.failed(claim, "The mail server said no.", now=now)
        assert row(schedule_id).next_due_at == now + pause
        now += pause
    claim = schedules.claim(now)
    assert claim is not None
    schedules.failed(claim, "The mail server said no.", now=now)
    [one] = schedules.schedules_of(BOB, 1)
    assert not one.active and one.problem == (
        f"The mail server said no. It was tried {MOST_TRIES} times and is not tried any more."
    )
    schedules.change(BOB, 1, schedule_id, DAILY, "none")
    assert (row(schedule_id).failures, row(schedule_id).problem, row(schedule_id).active) == (0, None, True)


@pytest.mark.usefixtures("cast")
def test_a_report_that_kills_its_worker_is_not_tried_for_ever():
    schedule_id, other, now = add(), add(), datetime.now(UTC)
    make_due(schedule_id)
    make_due(other, -timedelta(days=1))
    for _ in range(MOST_TRIES):
        assert schedules.claim(now) is not None
        now += LEASE
    assert schedules.claim(now) is None
    assert not row(schedule_id).active and "ended midway" in str(row(schedule_id).problem)
    assert row(other).active


@pytest.mark.usefixtures("cast")
def test_who_changes_a_schedule_while_it_is_being_sent_keeps_the_new_times():
    schedule_id = add()
    make_due(schedule_id)
    claim = schedules.claim()
    assert claim is not None
    schedules.change(BOB, 1, schedule_id, When("week", 5, 5), "none")
    wanted = row(schedule_id).next_due_at
    assert not schedules.is_held(claim)
    schedules.sent(claim)
    assert row(schedule_id).next_due_at == wanted


@pytest.mark.usefixtures("cast")
def test_a_removed_members_schedules_are_gone_at_once_also_one_that_is_being_sent():
    schedule_id = add()
    make_due(schedule_id)
    claim = schedules.claim()
    assert claim is not None
    members.remove(ALICE, 1, BOB)
    assert not schedules.is_held(claim)
    schedules.sent(claim)
    schedules.failed(claim, "x")
    with system_session() as session:
        assert session.exec(select(ReportSchedule)).all() == []


@pytest.mark.usefixtures("cast")
def test_a_store_that_moves_to_another_zone_has_its_next_report_by_the_new_clock():
    schedule_id = add()
    make_due(schedule_id)
    with system_session(write=True) as session:
        session.get_one(Shop, 1).time_zone = "Asia/Tokyo"
    claim = schedules.claim()
    assert claim is not None
    schedules.sent(claim)
    assert local(row(schedule_id).next_due_at, "Asia/Tokyo")[-5:] == "08:00"


@pytest.mark.usefixtures("cast")
def test_a_shops_session_sees_its_own_schedules_only():
    add()
    add(CHARLIE, shop_id=2)
    with shop_session(1) as session:
        assert [found.user_id for found in session.exec(select(ReportSchedule))] == [BOB]
