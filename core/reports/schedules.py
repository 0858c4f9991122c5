"""When views go out by e-mail: to one member each, daily, weekly or monthly at an hour of the shop's day.

The row is the queue. Who takes it moves `next_due_at` on by LEASE in the same transaction, so no two workers hold
it, and sets it to the next regular time once the mail server took the message. A worker that dies before that loses
nothing: another one takes the row when the lease is over. One that dies between the server's answer and its commit
makes it go out a second time, with the same Message-ID, by which mailboxes know a message they have. That is at least
once: of a monthly report, one that is late or double does less harm than one that never comes. A taken row counts as
failed until it is sent, so what kills the worker is not tried for ever.
"""

import secrets
from calendar import day_name, monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from core.auth import audit, members, roles
from core.auth.tickets import digest
from core.auth.views import GONE, visible
from core.config import get_settings
from core.db.engine import shop_session, system_session
from core.db.models import Membership, ReportSchedule, SavedView, Shop, User
from core.db.vault import seal
from core.errors import InputError, MailNotSent, NotPermitted
from core.reports import formatting

Every = Literal["day", "week", "month"]
Attached = Literal["none", "excel", "pdf"]

MOST = 20
LEASE = timedelta(minutes=10)
TRY_AGAIN_AFTER = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=6))
MOST_TRIES = len(TRY_AGAIN_AFTER) + 1
UNSUBSCRIBED = "Ended by the link in an e-mail."
NO_MAIL = (
    "No e-mails go out from here. Whoever runs this app sets SMTP_HOST, SMTP_FROM and APP_URL; the README says how."
)
_UNFINISHED = "Sending ended midway."


@dataclass(frozen=True)
class When:
    """At an hour of the shop's day: every day, every `weekday` (Monday is 0), or every `month_day`.

    Where a month is shorter it is its last day. Raises InputError for what is no such time.
    """

    every: Every
    hour: int
    weekday: int = 0
    month_day: int = 1

    def __post_init__(self) -> None:
        fits = self.hour in range(24) and self.weekday in range(7) and self.month_day in range(1, 32)
        if self.every not in get_args(Every) or not fits:
            raise InputError("Choose every day, a weekday or a day of the month from 1 to 31, and a full hour.")

    def falls_on(self, day: date) -> bool:
        """Whether it is that day's turn."""
        if self.every == "week":
            return day.weekday() == self.weekday
        return self.every == "day" or day.day == min(self.month_day, monthrange(day.year, day.month)[1])

    def next_after(self, moment: datetime, time_zone: str) -> datetime:
        """The first time after a moment, in UTC.

        An hour that the clock skips is the first moment after the gap; of an hour that it repeats, the first one.
        """
        zone = ZoneInfo(time_zone)
        # From the day before: where a zone skips a day, that day's hour is on the next.
        first = moment.astimezone(zone).date() - timedelta(days=1)
        days = (first + timedelta(days=number) for number in count())
        times = (datetime.combine(day, time(self.hour), zone).astimezone(UTC) for day in days if self.falls_on(day))
        return next(at for at in times if at > moment)


@dataclass(frozen=True)
class Schedule:
    """A schedule as plain values; `problem` says why it failed last, or why it is not active any more."""

    schedule_id: int
    view_id: str
    view_name: str
    when: When
    attachment: Attached
    active: bool
    next_due_at: datetime
    last_sent_at: datetime | None
    problem: str | None


@dataclass(frozen=True)
class Claim:
    """A due report that this worker holds until `until`; `after` is when the one before it went out."""

    schedule_id: int
    shop_id: int
    user_id: int
    until: datetime
    after: datetime | None


def add(
    user_id: int, shop_id: int, view_id: str, when: When, attachment: Attached, *, address: str | None = None
) -> int:
    """Send a view to the user's own address from now on; the new id. Raises NotPermitted, InputError, MailNotSent."""
    secret = secrets.token_urlsafe(32)
    hashed = digest(secret)
    sealed, now = seal(secret, hashed), datetime.now(UTC)
    with shop_session(shop_id, write=True) as session:
        actor = _receiver(session, user_id, shop_id, attachment)
        # The lock lets the second of two at once count the schedule of the first.
        session.get_one(Membership, (user_id, shop_id), with_for_update=True)
        if len(session.exec(select(ReportSchedule.id).where(ReportSchedule.user_id == user_id)).all()) >= MOST:
            raise InputError(f"You have {MOST} reports of this store already. End one you do not need any more.")
        if session.exec(visible(user_id).where(SavedView.id == view_id)).first() is None:
            raise InputError(GONE)
        row = ReportSchedule(
            shop_id=shop_id, user_id=user_id, view_id=view_id, next_due_at=now, created_at=now,
            every=when.every, unsubscribe_sealed=sealed, unsubscribe_hash=hashed,
        )  # fmt: skip
        session.add(row)
        _set(session, row, when, attachment, now)
        _record(session, actor, row, "report_scheduled", address)
        return row.id or 0


def change(
    user_id: int, shop_id: int, schedule_id: int, when: When, attachment: Attached, *, address: str | None = None
) -> None:
    """Send it at other times, and again where it had stopped. Raises NotPermitted, InputError, MailNotSent."""
    with shop_session(shop_id, write=True) as session:
        actor = _receiver(session, user_id, shop_id, attachment)
        row = _own(session, user_id, schedule_id)
        _set(session, row, when, attachment, datetime.now(UTC))
        _record(session, actor, row, "report_changed", address)


def pause(user_id: int, shop_id: int, schedule_id: int) -> None:
    """Send it no more until it is changed or resumed. Raises NotPermitted, InputError."""
    with shop_session(shop_id, write=True) as session:
        members.permit(session, user_id, shop_id, "view")
        row = _own(session, user_id, schedule_id)
        row.active, row.failures, row.problem = False, 0, None


def end(user_id: int, shop_id: int, schedule_id: int, *, address: str | None = None) -> None:
    """Delete a schedule of one's own. Raises NotPermitted, InputError."""
    with shop_session(shop_id, write=True) as session:
        actor, _ = members.permit(session, user_id, shop_id, "view")
        row = _own(session, user_id, schedule_id)
        _record(session, actor, row, "report_ended", address)
        session.delete(row)


def schedules_of(user_id: int, shop_id: int) -> tuple[Schedule, ...]:
    """The user's own schedules of a store, the next one first. Raises NotPermitted."""
    query = select(ReportSchedule, SavedView.name).join(SavedView, col(SavedView.id) == col(ReportSchedule.view_id))
    with shop_session(shop_id) as session:
        members.permit(session, user_id, shop_id, "view")
        rows = session.exec(query.where(ReportSchedule.user_id == user_id)).all()
    found = [_as_schedule(row, name) for row, name in rows]
    return tuple(sorted(found, key=lambda one: (not one.active, one.next_due_at, one.schedule_id)))


def exists(secret: str) -> bool:
    """Whether a link of an e-mail belongs to a schedule."""
    with system_session() as session:
        return session.exec(_by_link(secret)).first() is not None


def unsubscribe(secret: str, *, address: str | None = None) -> bool:
    """End the schedule that a link of an e-mail belongs to; False for a link of no schedule. Twice is once."""
    with system_session(write=True) as session:
        row = session.exec(_by_link(secret).with_for_update()).first()
        if row is None:
            return False
        if row.active:
            row.active, row.problem = False, UNSUBSCRIBED
            actor = session.get_one(User, row.user_id)
            _record(session, actor, row, "report_ended", address)
    return True


def claim(now: datetime | None = None) -> Claim | None:
    """The report that is due longest, taken by whoever asks first; None while nothing is due."""
    now = now or datetime.now(UTC)
    due = select(ReportSchedule).where(col(ReportSchedule.active), col(ReportSchedule.next_due_at) <= now)
    due = due.order_by(col(ReportSchedule.next_due_at), col(ReportSchedule.id)).limit(1)
    while True:
        with system_session() as session:
            if session.exec(due).first() is None:  # on SQLite only one may write, so first a look
                return None
        with system_session(write=True) as session:
            row = session.exec(due.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            if row.failures < MOST_TRIES:
                row.failures, row.next_due_at = row.failures + 1, now + LEASE
                return Claim(row.id or 0, row.shop_id, row.user_id, row.next_due_at, row.last_sent_at)
            _failed(row, _UNFINISHED, now)


def is_held(claimed: Claim) -> bool:
    """Whether the claim still stands: nobody ended or changed the schedule, or took it over, in the meantime."""
    with system_session() as session:
        row = session.get(ReportSchedule, claimed.schedule_id)
        return row is not None and row.active and row.next_due_at == claimed.until


def sent(claimed: Claim, now: datetime | None = None) -> None:
    """The mail server took it: the next one is due at the next regular time from now, so none pile up."""
    now = now or datetime.now(UTC)
    with system_session(write=True) as session:
        row = session.get(ReportSchedule, claimed.schedule_id, with_for_update=True)
        if row is not None:
            row.last_sent_at, row.failures, row.problem = now, 0, None if row.active else row.problem
            if row.next_due_at == claimed.until:
                row.next_due_at = when_of(row).next_after(now, session.get_one(Shop, row.shop_id).time_zone)


def failed(claimed: Claim, problem: str, *, for_good: bool = False, now: datetime | None = None) -> None:
    """It did not go out: it is tried again later, or not any more `for_good` or after MOST_TRIES times."""
    with system_session(write=True) as session:
        row = session.get(ReportSchedule, claimed.schedule_id, with_for_update=True)
        if row is not None and row.next_due_at == claimed.until:
            _failed(row, problem, now or datetime.now(UTC), for_good=for_good)


def note_sent(schedule_id: int) -> None:
    """It went out besides its times."""
    with system_session(write=True) as session:
        row = session.get(ReportSchedule, schedule_id, with_for_update=True)
        if row is not None:
            row.last_sent_at = datetime.now(UTC)


def in_words(when: When, time_zone: str) -> str:
    """Such as "every Monday at 08:00 (New York)"."""
    at = f"at {when.hour:02}:00 ({formatting.city(time_zone)})"
    if when.every == "month":
        shorter = ", or on the last day of a shorter one," if when.month_day > 28 else ""
        return f"on day {when.month_day} of every month{shorter} {at}"
    return f"every {day_name[when.weekday] if when.every == 'week' else 'day'} {at}"


def when_of(row: ReportSchedule) -> When:
    """The times of a stored schedule."""
    return When(cast(Every, row.every), row.hour, row.weekday, row.month_day)


def may_receive(user: User) -> None:
    """Only a proven address gets mail, and none of the demo's, which belong to nobody. Raises NotPermitted."""
    if user.demo_password is not None:
        raise NotPermitted("The demo's users get no e-mails. Sign in with an account of your own.")
    if user.email_verified_at is None:
        raise NotPermitted("Confirm your e-mail address on the Account page first: reports go to no other.")


def _receiver(session: Session, user_id: int, shop_id: int, attachment: Attached) -> User:
    if not get_settings().sends_links:
        raise MailNotSent(NO_MAIL)
    user, role = members.permit(session, user_id, shop_id, "save_view")
    if attachment not in get_args(Attached):
        raise InputError("Attach nothing, an Excel file or a PDF.")
    if attachment != "none":
        roles.require(role, "export")
    may_receive(user)
    return user


def _own(session: Session, user_id: int, schedule_id: int) -> ReportSchedule:
    query = select(ReportSchedule).where(ReportSchedule.id == schedule_id, ReportSchedule.user_id == user_id)
    row = session.exec(query.with_for_update()).first()
    if row is None:
        raise InputError("This report is ended already.")
    return row


def _set(session: Session, row: ReportSchedule, when: When, attachment: Attached, now: datetime) -> None:
    row.every, row.hour, row.weekday, row.month_day = when.every, when.hour, when.weekday, when.month_day
    row.attachment, row.active, row.failures, row.problem = attachment, True, 0, None
    row.next_due_at = when.next_after(now, session.get_one(Shop, row.shop_id).time_zone)
    session.flush()


def _by_link(secret: str) -> SelectOfScalar[ReportSchedule]:
    return select(ReportSchedule).where(ReportSchedule.unsubscribe_hash == digest(secret))


def _failed(row: ReportSchedule, problem: str, now: datetime, *, for_good: bool = False) -> None:
    row.problem = problem
    if for_good:
        row.active = False
    elif row.failures >= MOST_TRIES:
        row.active, row.problem = False, f"{problem} It was tried {MOST_TRIES} times and is not tried any more."
    else:
        row.next_due_at = now + TRY_AGAIN_AFTER[row.failures - 1]


def _as_schedule(row: ReportSchedule, name: str) -> Schedule:
    return Schedule(
        row.id or 0, row.view_id, name, when_of(row), cast(Attached, row.attachment), row.active, row.next_due_at,
        row.last_sent_at, row.problem,
    )  # fmt: skip


def _record(session: Session, actor: User, row: ReportSchedule, action: str, address: str | None) -> None:
    target = f"every {row.every} to {actor.email}, attached: {row.attachment}"
    audit.record(actor.email, action, shop_id=row.shop_id, target=target, address=address, session=session)
