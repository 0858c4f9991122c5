"""Users, their shops and roles: read from the database on every run, never from a browser's state."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from core.auth import attempts, audit, passwords, sessions, tickets
from core.auth.passwords import hash_password, new_password
from core.auth.roles import ROLES
from core.auth.sessions import may_sign_in
from core.config import get_settings
from core.db.engine import system_session
from core.db.filters import EVERYTHING, Filters
from core.db.models import Membership, Shop, User
from core.db.vault import seal, unseal
from core.errors import InputError, NotPermitted

_SHARED = "The demo's users belong to everybody here and stay as they are. Make an account of your own."


@dataclass(frozen=True)
class Account:
    """Who is signed in, as plain values."""

    user_id: int
    email: str
    name: str
    show_demo: bool
    has_second_factor: bool
    is_verified: bool
    is_demo: bool


@dataclass(frozen=True)
class ShopAccess:
    """A shop a user may open, as plain values: safe to pass to a cached function."""

    shop_id: int
    domain: str
    name: str
    currency: str
    time_zone: str
    data_version: int
    is_demo: bool
    personal_data: bool
    needs_second_factor: bool
    role: str
    filters: Filters = EVERYTHING


def verify(email: str, password: str, address: str | None = None) -> int | None:
    """The id of the active user with this e-mail and password, else None; unknown users take as long.

    `address` is the network address it came from. Raises TooManyAttempts, before anything is compared.
    """
    attempt = attempts.admit(email.strip().lower(), address)
    with system_session() as session:
        user = by_email(session, email)
    allowed = user if user is not None and may_sign_in(user) else None
    matches = passwords.matches(password, allowed.password_hash if allowed else None)
    if allowed is None or not matches:
        # What was typed may be a password, so only a known address is written down.
        actor = user.email if user is not None else "unknown"
        audit.record(actor, "sign_in_failed", address=address, result="refused")
        if attempt.last:
            audit.record(actor, "sign_in_locked", address=address, result="refused")
        return None
    attempts.forgive(attempt)
    return allowed.id


def account(user_id: int) -> Account | None:
    """The user, unless unknown or switched off."""
    with system_session() as session:
        user = session.get(User, user_id)
        return _account(user) if user is not None and may_sign_in(user) else None


def signed_in(id_hash: str) -> tuple[Account, tuple[ShopAccess, ...]] | None:
    """The user of a live session with the shops the user may open, in one transaction; None once it ended."""
    with system_session() as session:
        found = sessions.find(session, id_hash)
        if found is None:
            return None
        view, user = found
        known = _account(user), _shops_of(session, view.user_id)
    sessions.note_seen(view)
    return known


def shops_of(user_id: int) -> tuple[ShopAccess, ...]:
    """The shops the user may open, by name; demo stores only where the user wants to see them."""
    with system_session() as session:
        return _shops_of(session, user_id)


def _shops_of(session: Session, user_id: int) -> tuple[ShopAccess, ...]:
    query = (
        select(Shop, Membership.role)
        .join(Membership, col(Membership.shop_id) == Shop.id)
        .join(User, col(User.id) == Membership.user_id)
        .where(User.id == user_id, col(User.active))
        .where(col(User.show_demo) | ~col(Shop.is_demo))
        .order_by(col(Shop.is_demo), col(Shop.name), col(Shop.id))
    )
    return tuple(access(shop, role) for shop, role in session.exec(query))


def show_demo(user_id: int, on: bool) -> None:
    """Show the demo store among the user's shops, or hide it; whoever is in none joins the first as analyst."""
    with system_session(write=True) as session:
        user = session.get_one(User, user_id)
        user.show_demo = on
        demo = session.exec(select(Shop).where(col(Shop.is_demo)).order_by(col(Shop.id))).all()
        if on and demo and not any(session.get(Membership, (user_id, shop.id)) for shop in demo):
            session.add(Membership(user_id=user_id, shop_id=demo[0].id or 0, role="analyst"))


def add_user(email: str, name: str, password: str) -> int:
    """Create a user; the new id. Raises InputError for an address in use, or a password too easy to guess."""
    email = as_email(email)
    passwords.check(password, email)
    password_hash = hash_password(password)
    with system_session(write=True) as session:
        return create(session, email, name, password_hash)


def as_email(text: str) -> str:
    """An address as it is stored. Raises InputError."""
    email = text.strip().lower()
    if len(email) > 254 or not re.fullmatch(r"[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+", email):
        raise InputError("That is not an e-mail address. Write it as name@example.com.")
    return email


def as_name(text: str) -> str:
    """A name as it is stored. Raises InputError."""
    name = " ".join(text.replace("\x00", " ").split())
    if not 1 <= len(name) <= 100:
        raise InputError("Enter a name of 1 to 100 characters.")
    return name


def create(session: Session, email: str, name: str, password_hash: str) -> int:
    """Add a user to a write session; the new id. Raises InputError for an address in use."""
    if by_email(session, email) is not None:
        raise InputError("There is already a user with this e-mail address.")
    user = User(email=email, name=name, password_hash=password_hash, created_at=datetime.now(UTC))
    session.add(user)
    session.flush()
    return user.id or 0


def own(session: Session, user_id: int) -> User:
    """The user, locked, to change what is theirs. Raises NotPermitted for the demo's users, who belong to everybody."""
    user = session.get_one(User, user_id, with_for_update=True)
    if user.demo_password is not None:
        raise NotPermitted(_SHARED)
    return user


def rename(user_id: int, name: str) -> None:
    """Change a user's name. Raises InputError, NotPermitted."""
    name = as_name(name)
    with system_session(write=True) as session:
        own(session, user_id).name = name


def change_password(user_id: int, old: str, new: str, *, address: str | None = None) -> None:
    """Change one's own password, which ends every session. Raises InputError, NotPermitted, TooManyAttempts."""
    email = confirm(user_id, old, address)
    set_password(user_id, new)
    audit.record(email, "password_changed", address=address)


def confirm(user_id: int, password: str, address: str | None = None) -> str:
    """The user's e-mail, once the password is shown to be theirs. Raises InputError, NotPermitted, TooManyAttempts.

    Whoever finds an open browser must not guess it here, so it counts as a sign-in does.
    """
    with system_session() as session:
        user = session.get_one(User, user_id)
    if user.demo_password is not None:
        raise NotPermitted(_SHARED)
    attempt = attempts.admit(user.email, address)
    if not passwords.matches(password, user.password_hash):
        raise InputError("That is not your present password. Try again.")
    attempts.forgive(attempt)
    return user.email


def user_id_of(email: str) -> int:
    """The id of the user with this e-mail. Raises InputError."""
    with system_session() as session:
        user = by_email(session, email)
        if user is None or user.id is None:
            raise InputError("There is no user with this e-mail address. Create one with: python -m core user add")
        return user.id


def set_password(user_id: int, password: str) -> None:
    """Change a password: every session of the user ends, links to reset it too, a lock is lifted. Raises InputError."""
    with system_session() as session:
        email = session.get_one(User, user_id).email
    passwords.check(password, email)
    password_hash = hash_password(password)  # takes a while, so not while others wait to write
    with system_session(write=True) as session:
        session.get_one(User, user_id).password_hash = password_hash
        session.flush()
        sessions.end_all(user_id, session=session)
        tickets.withdraw(user_id, "reset", session=session)
    attempts.forget(email.strip().lower())


def set_active(user_id: int, on: bool) -> None:
    """Switch a user on or off; off ends every session."""
    with system_session(write=True) as session:
        session.get_one(User, user_id).active = on
        session.flush()
        sessions.end_all(user_id, session=session)


def grant(session: Session, user_id: int, shop_id: int, role: str) -> None:
    """Let a user open a shop, or change the role, which ends the user's sessions. Raises InputError."""
    if role not in ROLES:
        raise InputError(f"There is no role {role}. Choose one of {', '.join(ROLES)}.")
    before = session.get(Membership, (user_id, shop_id))
    if before is None:
        session.add(Membership(user_id=user_id, shop_id=shop_id, role=role))
    elif before.role != role:
        before.role = role
        session.flush()
        sessions.end_all(user_id, session=session)


def by_email(session: Session, email: str) -> User | None:
    """The user with this e-mail in whatever case."""
    if "\x00" in email:  # PostgreSQL refuses such a text, and nobody has it
        return None
    return session.exec(select(User).where(func.lower(User.email) == email.strip().lower())).first()


def _account(user: User) -> Account:
    return Account(
        user_id=user.id or 0,
        email=user.email,
        name=user.name,
        show_demo=user.show_demo,
        has_second_factor=user.totp_secret is not None,
        is_verified=user.email_verified_at is not None,
        is_demo=user.demo_password is not None,
    )


def access(shop: Shop, role: str) -> ShopAccess:
    """A shop as somebody with this role may open it."""
    return ShopAccess(
        shop_id=shop.id or 0,
        domain=shop.domain,
        name=shop.name,
        currency=shop.currency,
        time_zone=shop.time_zone,
        data_version=shop.data_version,
        is_demo=shop.is_demo,
        personal_data=shop.personal_data,
        needs_second_factor=shop.needs_second_factor,
        role=role,
    )


@dataclass(frozen=True)
class DemoSignIn:
    """A user of the demo stores, shown with the password to whoever opens the sign-in page."""

    email: str
    name: str
    password: str
    about: str


# name, e-mail, position of the demo shop, role, what the sign-in page says
_DEMO_USERS = (
    ("Alice", "alice@harbor-and-pine.example", 0, "owner", "Owner of the first demo store"),
    ("Bob", "bob@harbor-and-pine.example", 0, "analyst", "Analyst of the first demo store"),
    ("Charlie", "charlie@kiosk-berlin.example", 1, "owner", "Owner of the second demo store"),
)


def ensure_demo_users(shop_ids: Sequence[int]) -> bool:
    """Create the demo users of the demo shops with passwords of their own; whether any was new."""
    created = False
    with system_session(write=True) as session:
        for name, email, position, role, _ in _DEMO_USERS:
            if by_email(session, email) is not None:
                continue
            password = new_password()
            user = User(
                email=email,
                name=name,
                password_hash=hash_password(password),
                demo_password=seal(password, email),
                created_at=datetime.now(UTC),
            )
            session.add(user)
            session.flush()
            grant(session, user.id or 0, shop_ids[position], role)
            created = True
    return created


def demo_sign_ins() -> tuple[DemoSignIn, ...]:
    """The demo users with their passwords while DEMO is on, else none."""
    if not get_settings().demo:
        return ()
    shown = []
    with system_session() as session:
        for name, email, _, _, about in _DEMO_USERS:
            user = by_email(session, email)
            if user is not None and user.active and user.demo_password:
                shown.append(DemoSignIn(email, name, unseal(user.demo_password, email), about))
    return tuple(shown)
