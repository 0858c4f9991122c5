"""Sign-in with a provider (OpenID Connect): what it says about a person, mapped to an account that is here already."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from core.auth.sessions import may_sign_in
from core.db.engine import system_session
from core.db.models import User
from core.errors import InputError

# Streamlit keeps the provider's answer in a cookie for 30 days. Ours are the sessions that can be ended, so an
# answer only counts right after it was given.
FRESH = timedelta(minutes=5)
_CLOCKS_DIFFER = timedelta(minutes=1)


def user_of(claims: Mapping[str, Any], now: datetime | None = None) -> int | None:
    """The id of the account with the verified e-mail of these claims; None when they are not fresh.

    The claims are those of an ID token whose signature was checked: email, email_verified, iat. Raises InputError
    where the provider did not verify the address, or nobody here has it.
    """
    issued_at, now = claims.get("iat"), now or datetime.now(UTC)
    if not isinstance(issued_at, int | float):
        return None
    if not -_CLOCKS_DIFFER <= now - datetime.fromtimestamp(issued_at, UTC) <= FRESH:
        return None
    email = claims.get("email")
    # Some providers let anybody claim any address, and say so only here.
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        raise InputError("Your provider has not verified your e-mail address. Verify it there and sign in again.")
    with system_session() as session:
        user = session.exec(select(User).where(func.lower(col(User.email)) == email.strip().lower())).first()
    if user is None or not may_sign_in(user):
        raise InputError("There is no account with your e-mail address here. Ask an owner of your store to invite you.")
    return user.id
