"""The commands that copy the database into one file, and fill an empty database from such a file.

The file holds every row of every store, and no keys: without APP_ENCRYPTION_KEYS (or the key file beside a local
database) the tokens in it open nowhere. Backups of SQLite and of PostgreSQL are of their own kind each.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import exc as sa_exc
from sqlalchemy import inspect

from core.config import get_settings
from core.db.engine import get_engine, unavailable
from core.db.migrate import migrate
from core.db.vault import keys_open
from core.errors import AppError, ConfigError, DatabaseUnavailable, InputError
from core.log import mask

# How such files begin.
_SQLITE, _POSTGRESQL = b"SQLite format 3\0", b"PGDMP"
_BUSY_S = 30.0


def run_backup(arguments: argparse.Namespace) -> int:
    """Copy the whole database into a file while everything goes on; the encryption keys are not in it."""
    target = Path(arguments.file)
    if target.exists():
        raise InputError(f"{target} is there already. Choose another name, or move that file away.")
    if not target.absolute().parent.is_dir():
        raise InputError(f"There is no folder {target.absolute().parent}. Make it, or choose another one.")
    if not _tables():
        raise InputError("There is nothing to back up: the database has no tables yet.")
    copy = _copy_sqlite if get_settings().is_sqlite else _dump_postgresql
    with _beside(target) as unfinished:
        copy(unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        size = unfinished.stat().st_size
        unfinished.replace(target)
    _say(f"{target} holds the whole database ({size:,} bytes). Only its owner may read it; it is not encrypted.")
    _say(_about_keys())
    return 0


def run_restore(arguments: argparse.Namespace) -> int:
    """Fill an empty database from a backup, and bring it to the newest tables."""
    source = Path(arguments.file)
    kind = _kind_of(source)
    if (kind == _SQLITE) != get_settings().is_sqlite:
        its = "SQLite" if kind == _SQLITE else "PostgreSQL"
        raise InputError(f"{source} is a backup of {its}, and DATABASE_URL names another kind of database.")
    if found := _tables():
        raise InputError(
            f"The database is not empty ({len(found)} tables), and nothing was changed. Set DATA_DIR or DATABASE_URL "
            "to a new one, or move the old one away."
        )
    (_fill_sqlite if kind == _SQLITE else _fill_postgresql)(source)
    migrate()
    _say(f"The database holds what {source} held, in the newest tables.")
    if not _opens():
        _say(
            "The keys set here do not open its tokens: put back APP_ENCRYPTION_KEYS or the key file "
            f"{get_settings().secret_key_file.name} of the database it was made from, before anything starts."
        )
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _about_keys() -> str:
    settings = get_settings()
    if settings.is_sqlite and not settings.encryption_keys:
        return (
            f"The key that opens its tokens is not in it. Keep a copy of {settings.secret_key_file} too, in another "
            "place: who has both can read the tokens, who has only the backup cannot use them."
        )
    return "The keys that open its tokens are not in it. Keep APP_ENCRYPTION_KEYS too, in another place."


def _opens() -> bool:
    try:
        return keys_open()
    except AppError:
        return False


def _tables() -> list[str]:
    """The tables that are there; a local file is not made by looking for it."""
    database = get_engine().url.database or ""
    if get_settings().is_sqlite and not Path(database).exists():
        return []
    try:
        return inspect(get_engine()).get_table_names()
    except sa_exc.DatabaseError as error:
        raise unavailable(error.orig) from error


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty file of its owner's alone, to become `target` when it is whole; gone where it did not."""
    handle, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=f".{target.name}.")
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def _kind_of(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            begins = file.read(len(_SQLITE))
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror}).") from error
    kind = next((kind for kind in (_SQLITE, _POSTGRESQL) if begins.startswith(kind)), None)
    if kind is None:
        raise InputError(f"{source} is no backup: python -m core backup makes them.")
    return kind


def _copy_sqlite(unfinished: Path) -> None:
    """One moment of the database, however much is written meanwhile."""
    try:
        with closing(sqlite3.connect(str(get_engine().url.database), timeout=_BUSY_S)) as connection:
            connection.execute("VACUUM INTO ?", (str(unfinished),))
    except sqlite3.Error as error:
        raise unavailable(error) from error


def _fill_sqlite(source: Path) -> None:
    """In one transaction, after the file was read whole and found sound."""
    get_engine().dispose()
    try:
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as backup:
            ours = backup.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            sound = backup.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            if ours is None or not sound:
                raise InputError(f"{source} is {'damaged' if ours else 'no backup of ours'}. Nothing was changed.")
            with closing(sqlite3.connect(str(get_engine().url.database), timeout=_BUSY_S)) as empty:
                backup.backup(empty)
    except sqlite3.DatabaseError as error:
        raise InputError(f"{source} is damaged ({error}). Nothing was changed.") from error


def _dump_postgresql(unfinished: Path) -> None:
    _run_client("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}")


def _fill_postgresql(source: Path) -> None:
    _run_client("pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", str(source))


def _run_client(program: str, *words: str) -> None:
    """Run one of PostgreSQL's programs on the database. Raises ConfigError, DatabaseUnavailable."""
    found = shutil.which(program)
    if found is None:
        raise ConfigError(
            f"{program} is not here. Install PostgreSQL's client programs, of the server's version or newer; "
            "on Debian: apt install postgresql-client"
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [found, f"--dbname={_address(Path(folder))}", "--no-password", *words]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    if "row-level security" in done.stderr:  # its own refusal to leave rows out silently
        raise DatabaseUnavailable(
            "This database user may not see the rows of every store, so the backup would not be whole. Run the command "
            "with DATABASE_URL of a superuser, or of a user with BYPASSRLS."
        )
    lines = [line for line in done.stderr.splitlines() if "error:" in line] or done.stderr.splitlines() or ["no reason"]
    raise DatabaseUnavailable(f"{program} did not succeed, and nothing was changed: {mask(lines[0].strip())}")


def _address(folder: Path) -> str:
    """The database for PostgreSQL's programs; the password in a file, because everybody can read their arguments."""
    url = get_engine().url.set(drivername="postgresql")
    if url.password:
        escaped = str(url.password).replace("\\", "\\\\").replace(":", "\\:")
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        passwords.write_text(f"*:*:*:*:{escaped}\n")
        url = url.update_query_dict({"passfile": str(passwords)})
    return url.set(password=None).render_as_string(hide_password=False)
