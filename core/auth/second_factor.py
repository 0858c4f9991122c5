"""The second factor: six digits of an authenticator app (RFC 6238), or a recovery code in its place."""

import re
import secrets
from datetime import UTC, datetime

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlmodel import Session

from core.auth import accounts, attempts, audit
from core.auth.tickets import digest
from core.db.engine import system_session
from core.db.models import User
from core.db.vault import seal, unseal
from core.errors import InputError

RECOVERY_CODES = 10

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
# A phone's clock may be off by half a minute.
_STEPS_AROUND = 1
_WRONG = "This code is not right, or was used before. Wait for the next one your app shows, and enter it."


def new_secret() -> str:
    """A secret for an authenticator app, in base32; nothing is stored before switch_on()."""
    return pyotp.random_base32()


def setup_uri(secret: str, email: str) -> str:
    """The address that an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Shoptally")


def switch_on(user_id: int, secret: str, code: str, *, address: str | None = None) -> tuple[str, ...]:
    """Ask for a second factor from now on, once a code shows that the app has the secret; the recovery codes.

    They are stored hashed and never shown again. Raises InputError, NotPermitted, TooManyAttempts.
    """
    attempt = attempts.admit(_key(user_id), address)
    step = _step(secret, code, datetime.now(UTC))
    if step is None:
        raise InputError(_WRONG)
    attempts.forgive(attempt)
    with system_session(write=True) as session:
        user = accounts.own(session, user_id)
        if user.totp_secret is not None:
            raise InputError("The second factor is on already. Switch it off first.")
        user.totp_secret, user.totp_last_step = seal(secret, _owner(user_id)), step
        codes = _new_codes(user)
        audit.record(user.email, "second_factor_on", address=address, session=session)
    return codes


def renew_recovery_codes(user_id: int, password: str, *, address: str | None = None) -> tuple[str, ...]:
    """Ten new recovery codes in place of the old ones. Raises InputError, NotPermitted, TooManyAttempts."""
    accounts.confirm(user_id, password, address)
    with system_session(write=True) as session:
        user = accounts.own(session, user_id)
        codes = _new_codes(user)
        audit.record(user.email, "second_factor_on", target="new recovery codes", address=address, session=session)
    return codes


def switch_off(user_id: int, password: str, *, address: str | None = None) -> None:
    """Ask for no second factor any more; the password is needed. Raises InputError, NotPermitted, TooManyAttempts."""
    email = accounts.confirm(user_id, password, address)
    forget(user_id, actor=email, address=address)


def forget(user_id: int, *, actor: str, address: str | None = None) -> None:
    """Switch it off for a user who lost it."""
    with system_session(write=True) as session:
        user = session.get_one(User, user_id, with_for_update=True)
        user.totp_secret, user.recovery_hashes = None, []
        target = "" if actor == user.email else user.email
        audit.record(actor, "second_factor_off", target=target, address=address, session=session)


def is_on(user_id: int) -> bool:
    """Whether the user has to give a second factor to sign in."""
    with system_session() as session:
        return session.get_one(User, user_id).totp_secret is not None


def codes_left(user_id: int) -> int:
    """How many recovery codes were not used yet."""
    with system_session() as session:
        return len(session.get_one(User, user_id).recovery_hashes)


def check(user_id: int, code: str, *, address: str | None = None, now: datetime | None = None) -> bool:
    """Whether this is the user's code of now, or a recovery code; each counts once. Raises TooManyAttempts.

    Counted apart from passwords: who knows the password could clear those failures at will.
    """
    attempt = attempts.admit(_key(user_id), address)
    with system_session(write=True) as session:
        # Locked, so that of two who send one code at once the second sees it used.
        user = session.get_one(User, user_id, with_for_update=True)
        right = _take(session, user, code, now or datetime.now(UTC))
        if not right:
            actor, action = user.email, "sign_in_locked" if attempt.last else "sign_in_failed"
            audit.record(actor, action, target="second factor", address=address, result="refused", session=session)
    if right:
        attempts.forgive(attempt)
    return right


def _take(session: Session, user: User, code: str, now: datetime) -> bool:
    if user.totp_secret is None:
        return False
    step = _step(unseal(user.totp_secret, _owner(user.id or 0)), code, now)
    if step is not None and step > user.totp_last_step:
        user.totp_last_step = step
        session.flush()
        return True
    hashed = digest(re.sub(r"[\s-]", "", code).lower())
    if hashed not in user.recovery_hashes:
        return False
    user.recovery_hashes = [each for each in user.recovery_hashes if each != hashed]
    session.flush()
    return True


def _step(secret: str, code: str, now: datetime) -> int | None:
    """The half minute that a code belongs to, if that is about now."""
    digits = re.sub(r"\s", "", code)
    if not re.fullmatch(r"\d{6}", digits, re.ASCII):
        return None
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(digits, for_time=now, valid_window=_STEPS_AROUND)
    except OTPVerificationError:
        return None


def _new_codes(user: User) -> tuple[str, ...]:
    """Of 74 bits each, so a plain hash keeps them."""
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(15)) for _ in range(RECOVERY_CODES)]
    user.recovery_hashes = [digest(code) for code in codes]
    return tuple("-".join(code[at : at + 5] for at in (0, 5, 10)) for code in codes)


def _owner(user_id: int) -> str:
    return f"second factor of {user_id}"


def _key(user_id: int) -> str:
    return f"second factor of {user_id}"
