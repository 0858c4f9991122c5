"""One-time links: make an account, choose a new password, confirm an e-mail address. Sent where mail is set up."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select

from core.auth import accounts, attempts, audit, members, passwords, roles, tickets
from core.auth.sessions import may_sign_in
from core.config import get_settings
from core.db.engine import system_session
from core.db.models import Membership, Shop, User
from core.errors import AppError, InputError, NotPermitted, TooManyAttempts
from core.mail import send_mail

logger = logging.getLogger(__name__)

RESET, VERIFY = "reset", "verify"
RESET_LASTS, VERIFY_LASTS = timedelta(hours=1), timedelta(days=2)

_OLD_RESET = "This link was used already, or is older than an hour. Ask for a new one."


def link(purpose: str, secret: str, base: str | None = None) -> str:
    """Where a secret is redeemed; `base` is the app's address as the reader sees it, APP_URL wins."""
    return f"{get_settings().app_url or (base or 'http://localhost:8501').rstrip('/')}/?{purpose}={secret}"


def register(email: str, name: str, password: str, *, invite: str | None, address: str | None = None) -> int:
    """Make an account as far as REGISTRATION allows, and join the team of the invitation; the new id.

    Raises NotPermitted, InputError, TooManyAttempts.
    """
    registration = get_settings().registration
    if registration == "OFF" or (registration == "INVITE" and invite is None):
        raise NotPermitted("Accounts are made by invitation here. Ask an owner of your store to invite you.")
    email, name = accounts.as_email(email), accounts.as_name(name)
    passwords.check(password, email)
    if invite is None:  # an answer tells whether an address has an account, so there are few of them
        attempts.admit(f"registration of {email}", address)
    password_hash = passwords.hash_password(password)
    with system_session(write=True) as session:
        user_id = accounts.create(session, email, name, password_hash)
        audit.record(email, "registered", address=address, session=session)
        if invite is not None:
            members.join(session, invite, session.get_one(User, user_id), address)
    if invite is None:
        send_verification(user_id)
    return user_id


def ask_for_reset(email: str, address: str | None = None) -> None:
    """Send a link to choose a new password, if somebody here has this address; neither answer nor time tells."""
    _later(lambda: _send_reset(email.strip().lower(), address))


def reset_link(actor_id: int, user_id: int, shop_id: int, *, address: str | None = None) -> str:
    """The secret of a link that lets a member of the actor's store choose a new password. Raises NotPermitted.

    Whoever holds it can become that user, so the actor must be allowed to change the team of every store the user is
    in, and be an owner wherever the user is one.
    """
    with system_session(write=True) as session:
        actor, _ = members.permit(session, actor_id, shop_id, "manage_team")
        user = accounts.own(session, user_id)
        query = select(Membership).join(Shop, col(Shop.id) == col(Membership.shop_id))
        theirs = session.exec(query.where(Membership.user_id == user_id, ~col(Shop.is_demo))).all()
        if session.get(Membership, (user_id, shop_id)) is None:
            raise NotPermitted("This person is not on the team any more.")
        for membership in theirs:
            own = session.get(Membership, (actor_id, membership.shop_id))
            action = "manage_owners" if membership.role == "owner" else "manage_team"
            if own is None or not roles.may(own.role, action):
                raise NotPermitted(
                    "This person also belongs to a store whose team you may not change: you cannot reset the password. "
                    "They can on the sign-in page, or whoever runs this app: python -m core user reset-password"
                )
        secret = tickets.issue(RESET, user_id=user_id, lifetime=RESET_LASTS, session=session)
        target = f"link for {user.email}"
        audit.record(actor.email, "password_reset", shop_id=shop_id, target=target, address=address, session=session)
    return secret


def reset(secret: str, password: str, *, address: str | None = None) -> None:
    """Choose a new password by a link, which ends every session. Raises InputError."""
    ticket = tickets.peek(secret, RESET)
    user = accounts.account(ticket.user_id) if ticket is not None and ticket.user_id is not None else None
    if user is None:
        raise InputError(_OLD_RESET)
    passwords.check(password, user.email)  # before the link is used up
    taken = tickets.redeem(secret, RESET)
    if taken is None:
        raise InputError(_OLD_RESET)
    accounts.set_password(user.user_id, password)
    if taken.details.get("by_mail"):
        with system_session(write=True) as session:
            session.get_one(User, user.user_id).email_verified_at = datetime.now(UTC)
    audit.record(user.email, "password_reset", address=address)


def change_email(user_id: int, password: str, email: str, *, address: str | None = None) -> bool:
    """Change one's own address: with mail set up once a link sent there is opened (True), else at once (False).

    Raises InputError, NotPermitted, TooManyAttempts.
    """
    email = accounts.as_email(email)
    before = accounts.confirm(user_id, password, address)
    with system_session() as session:
        if accounts.by_email(session, email) is not None:
            raise InputError("There is already a user with this e-mail address.")
    if get_settings().sends_links:
        send_verification(user_id, email)
        return True
    with system_session(write=True) as session:
        user = accounts.own(session, user_id)
        user.email, user.email_verified_at = email, None
        audit.record(before, "email_changed", target=email, address=address, session=session)
    return False


def send_verification(user_id: int, email: str | None = None) -> None:
    """Send a link that proves an address: the user's, or one it shall be changed to. Nothing where no mail is sent."""
    if not get_settings().sends_links:
        return
    with system_session(write=True) as session:
        to = email or session.get_one(User, user_id).email
        tickets.withdraw(user_id, VERIFY, session=session)
        secret = tickets.issue(VERIFY, user_id=user_id, details={"email": to}, lifetime=VERIFY_LASTS, session=session)
    text = f"Open this link within two days to confirm your e-mail address:\n\n{link(VERIFY, secret)}\n"
    _later(lambda: send_mail(to, "Confirm your e-mail address for Shoptally", text))


def confirm_email(secret: str, *, address: str | None = None) -> str:
    """Redeem a link that proves an address; the address. Raises InputError."""
    with system_session(write=True) as session:
        ticket = tickets.redeem(secret, VERIFY, session=session)
        user = session.get(User, ticket.user_id) if ticket is not None else None
        if ticket is None or user is None or not may_sign_in(user):
            raise InputError("This link was used already, or is older than two days. Ask for a new one on Account.")
        email, before = str(ticket.details["email"]), user.email
        other = accounts.by_email(session, email)
        if other is not None and other.id != user.id:
            raise InputError("There is already a user with this e-mail address.")
        user.email, user.email_verified_at = email, datetime.now(UTC)
        if email != before:
            audit.record(before, "email_changed", target=email, address=address, session=session)
        audit.record(email, "email_verified", address=address, session=session)
    return email


def send_invitation(invited: members.Invitation, secret: str, by: str) -> None:
    """Send an invitation to its address. Raises InputError where the mail server does not take it."""
    text = (
        f"{by} invites you to see the figures of {invited.shop_name} in Shoptally, as {invited.role}.\n\n"
        f"Open this link within seven days:\n\n{link(members.INVITE, secret)}\n"
    )
    send_mail(invited.email, f"You are invited to {invited.shop_name} in Shoptally", text)


def _send_reset(email: str, address: str | None) -> None:
    try:
        attempts.admit(f"reset of {email}", address)
    except TooManyAttempts:
        return
    with system_session(write=True) as session:
        user = accounts.by_email(session, email)
        if user is None or not may_sign_in(user) or user.demo_password is not None:
            return
        secret = tickets.issue(RESET, user_id=user.id, details={"by_mail": True}, lifetime=RESET_LASTS, session=session)
    text = (
        f"Open this link within an hour to choose a new password:\n\n{link(RESET, secret)}\n\n"
        "If you did not ask for it, do nothing: your password stays as it is.\n"
    )
    send_mail(user.email, "Choose a new password for Shoptally", text)


def _later(work: Callable[[], None]) -> None:
    """In a thread: how long a mail server takes must not tell whether there was something to send."""

    def run() -> None:
        try:
            work()
        except AppError as error:
            logger.error("An e-mail was not sent: %s", error)

    threading.Thread(target=run, name="mail", daemon=True).start()
