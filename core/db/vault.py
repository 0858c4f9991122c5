"""Secrets at rest: access tokens are stored only encrypted, with the owner inside the ciphertext.

Keys come from APP_ENCRYPTION_KEYS (comma separated, the first one encrypts, all open). Beside a local SQLite file
without secrets a key is made on first start; anywhere else that would strand the data, so the start stops instead.
"""

import hashlib
import hmac
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import exc as sa_exc
from sqlalchemy import inspect
from sqlmodel import Session, select

from core.config import Settings, get_settings
from core.db.engine import get_engine, system_session
from core.db.models import KeyCanary, ReportSchedule, Shop, User
from core.errors import ConfigError, WrongKeyError

_MAKE_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
_WRONG_KEY = (
    "Stored secrets do not open with this encryption key. Set APP_ENCRYPTION_KEYS to the key they were written with "
    "(or restore data/secret.key)."
)
_CANARY = "the keys of this database"


def seal(secret: str, owner: str) -> str:
    """The secret encrypted for its owner (a shop's GID number, a user's e-mail)."""
    return _fernet(get_settings()).encrypt(f"{owner}\n{secret}".encode()).decode()


def unseal(sealed: str, owner: str) -> str:
    """The secret again. Raises WrongKeyError when the key is another, or the ciphertext is somebody else's."""
    try:
        sealed_for, secret = _fernet(get_settings()).decrypt(sealed.encode()).decode().split("\n", 1)
    except InvalidToken as error:
        raise WrongKeyError(_WRONG_KEY) from error
    if sealed_for != owner:
        raise WrongKeyError("A stored access token belongs to another shop. Connect the store again.")
    return secret


def derived(purpose: str) -> str:
    """A secret for one purpose, made from the first encryption key: the same in every process, and stored nowhere."""
    key = _first_key(get_settings())
    return hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def check_keys() -> None:
    """Refuse to go on with keys that do not open what is stored; a fresh database remembers the keys it began with.

    Needs the newest tables. Raises WrongKeyError, ConfigError.
    """
    with system_session() as session:
        canary = session.get(KeyCanary, 1)
        if canary is None and _names_that_do_not_open(session, _fernet(get_settings())):
            raise WrongKeyError(_WRONG_KEY)
    if canary is None:
        sealed = seal(_CANARY, _CANARY)
        with suppress(sa_exc.IntegrityError), system_session(write=True) as session:  # another process was quicker
            session.add(KeyCanary(sealed=sealed))
        with system_session() as session:
            canary = session.get_one(KeyCanary, 1)
    unseal(canary.sealed, _CANARY)


def keys_open() -> bool:
    """Whether the keys open what is stored, by the canary alone; changes nothing. Raises ConfigError."""
    with system_session() as session:
        canary = session.get(KeyCanary, 1)
    try:
        return canary is None or unseal(canary.sealed, _CANARY) == _CANARY
    except WrongKeyError:
        return False


def closed_secrets() -> int:
    """How many stored secrets no key opens. Raises ConfigError."""
    with system_session() as session:
        return len(_names_that_do_not_open(session, _fernet(get_settings())))


@dataclass(frozen=True)
class Rotation:
    """How many secrets of each kind were encrypted anew, and the names of those the first key does not open."""

    counts: dict[str, int]
    lost: tuple[str, ...]


def rotate_keys() -> Rotation:
    """Encrypt every stored secret anew with the first key, each in a transaction of its own; may run any time again.

    Afterwards the other keys may be forgotten, if nothing is lost and no process runs with the old order of keys.
    """
    settings = get_settings()
    fernet, counts = _fernet(settings), dict[str, int]()
    for model, column, label, _ in _SECRETS:
        with system_session() as session:
            found = session.exec(select(model.id).where(getattr(model, column) != "")).all()
        counts[label] = sum(_rotate(fernet, model, row_id, column) for row_id in found)
    with system_session() as session:
        return Rotation(counts, tuple(_names_that_do_not_open(session, _fernets(settings)[0])))


def _rotate(fernet: MultiFernet, model: Any, row_id: int, column: str) -> bool:
    with suppress(InvalidToken), system_session(write=True) as session:
        row = session.get(model, row_id, with_for_update=True)
        if row is not None and (sealed := getattr(row, column)):
            setattr(row, column, fernet.rotate(sealed.encode()).decode())
            return True
    return False


def _names_that_do_not_open(session: Session, fernet: Fernet | MultiFernet) -> list[str]:
    names: list[str] = []
    for model, column, label, name in _SECRETS:
        stored = getattr(model, column)
        for named, sealed in session.exec(select(getattr(model, name), stored).where(stored != "")):
            try:
                fernet.decrypt(sealed.encode())
            except InvalidToken:
                names.append(f"{named} ({label})")
    return names


def _fernet(settings: Settings) -> MultiFernet:
    return MultiFernet(_fernets(settings))


def _first_key(settings: Settings) -> str:
    return settings.encryption_keys[0] if settings.encryption_keys else _key_from_file(settings)


def _fernets(settings: Settings) -> list[Fernet]:
    try:
        return [Fernet(key) for key in settings.encryption_keys or (_key_from_file(settings),)]
    except ValueError as error:
        where = "APP_ENCRYPTION_KEYS" if settings.encryption_keys else "The key file secret.key in DATA_DIR"
        raise ConfigError(f"{where} holds something that is no key. Make one with: {_MAKE_KEY}") from error


def _key_from_file(settings: Settings) -> str:
    if not settings.is_sqlite:
        raise ConfigError(f"APP_ENCRYPTION_KEYS is not set, and a server database needs it. Make one with: {_MAKE_KEY}")
    path = settings.secret_key_file
    if not path.exists():
        if _holds_secrets() and not path.exists():  # another process may have made both just now
            raise WrongKeyError(
                f"The database holds secrets, and the key that opens them is missing. Restore {path.name} to DATA_DIR, "
                "or set APP_ENCRYPTION_KEYS to the key they were written with."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and linked into place: a second process sees no key or a whole one, and only one wins.
        mine = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        handle = os.open(mine, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(mine, path)
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text().strip()


def _holds_secrets() -> bool:
    """Whether anything was encrypted before; false too while the tables are still to be made."""
    if not inspect(get_engine()).has_table(str(KeyCanary.__tablename__)):
        return False
    with system_session() as session:
        return any(
            session.exec(select(model.id).where(getattr(model, column) != "").limit(1)).first() is not None
            for model, column, _, _ in _SECRETS
        )


# Every stored secret: table, column, what it is, the column that names whose it is; null and "" are none. The canary
# comes last: until every secret has the new key it does not open with that key alone.
_SECRETS: tuple[tuple[Any, str, str, str], ...] = (
    (Shop, "token", "access tokens", "domain"),
    (User, "demo_password", "demo passwords", "email"),
    (User, "totp_secret", "second factors", "email"),
    (ReportSchedule, "unsubscribe_sealed", "links that end reports", "id"),
    (KeyCanary, "sealed", "key check", "id"),
)
