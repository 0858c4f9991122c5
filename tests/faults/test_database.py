"""The database goes away, is locked or full: rows and cursor stay together, and the next sync completes them."""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text

from core.config import get_settings
from core.db.engine import get_engine, unavailable
from core.db.migrate import migrate
from core.errors import DatabaseUnavailable
from core.sync import fetch, lease
from core.sync.resources import orders
from tests.demo_sync import ALICE, HARBOR, Asked, Rows, Stage, add_demo_shop, rows_of, stage_demo, state, sync
from tests.faults.store import NOW, OPENED_ON
from tests.faults.truth import equals, rollups_are_whole

HEAVY = pytest.mark.faults
POINTS = (
    *("mid_transaction", "between_pages"),
    *(pytest.param(point, marks=HEAVY) for point in ("during_rollups", "after_commit")),
)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = stage_demo(monkeypatch, opened_on=OPENED_ON)
    monkeypatch.setattr(lease, "LEASE", timedelta(0))  # nobody else is there, and nobody waits for the end of a lease
    monkeypatch.setattr(fetch, "BATCH", 20)
    stage.now = NOW
    return stage


def at_point(monkeypatch: pytest.MonkeyPatch, point: str, times: int, action: Callable[[], object]) -> None:
    """Act when the worker comes by a point for the n-th time."""
    left = iter(range(times - 1, -1, -1))

    def reached(name: str) -> None:
        if name == point and next(left, None) == 0:
            action()

    monkeypatch.setattr(fetch, "reached", reached)
    monkeypatch.setattr(orders, "reached", reached)


def integrity() -> str:
    with get_engine().connect() as connection:
        return str(connection.execute(text("PRAGMA integrity_check")).scalar())


@pytest.mark.parametrize("times", [1, *(pytest.param(n, marks=HEAVY) for n in range(2, 22))])
@pytest.mark.parametrize("point", POINTS)
def test_a_connection_terminated_in_a_sync_takes_nothing_half_with_it(
    migrated_postgres: str, stage: Stage, monkeypatch: pytest.MonkeyPatch, point: str, times: int
):
    full = times % 2 == 1 and point != "between_pages"
    with on_postgres(monkeypatch, migrated_postgres) as terminate:
        add_demo_shop(ALICE, HARBOR)
        sync()
        stage.now = NOW + timedelta(days=3 + times)
        at_point(monkeypatch, point, times, terminate)
        run = sync(full=full)
        assert rollups_are_whole(ALICE)
        assert run.outcome in ("ok", "partial"), run.problem
        assert run.outcome == "ok" or "database" in (run.problem or "").lower()
        at_point(monkeypatch, point, 0, terminate)  # a run with fewer batches left it to the next one
        assert sync().outcome == "ok"
        assert equals(ALICE, HARBOR, stage.now)


@contextmanager
def on_postgres(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[Callable[[], object]]:
    """Work on PostgreSQL; yields what terminates every connection of the app's."""
    from tests.conftest import empty

    monkeypatch.setenv("DATABASE_URL", url)
    get_settings.cache_clear()
    get_engine.cache_clear()
    empty(get_engine())
    executioner = create_engine(url, isolation_level="AUTOCOMMIT")
    others = "pid <> pg_backend_pid() AND datname = current_database()"

    def terminate() -> None:
        with executioner.connect() as connection:
            assert connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))

    yield terminate
    executioner.dispose()


@pytest.mark.parametrize("about", ["orders", *(pytest.param(one, marks=HEAVY) for one in ("Shop", "Bulk(", "Orders("))])
def test_a_database_locked_too_long_ends_the_run_and_the_next_one_completes_it(
    database: Engine, stage: Stage, about: str
):
    add_demo_shop(ALICE, HARBOR)
    sync()
    before, were = rows_of(), state("orders").synced_until
    stage.now = NOW + timedelta(days=3)
    hurried(database)
    blocker = database.execution_options(writes=True).connect()

    def lock(asked: Asked) -> None:
        if asked.about(about) and not blocker.in_transaction():
            blocker.begin()
            if database.dialect.name == "postgresql":
                blocker.execute(text("SET LOCAL lock_timeout = '120s'"))  # the server may be cleaning a table up
                blocker.execute(text('LOCK TABLE sync_state, sync_run, product, customer, "order" IN EXCLUSIVE MODE'))

    stage.instead = lock
    with pytest.raises(DatabaseUnavailable, match=r"busy|does not answer"):
        sync(full=about != "Orders(")
    blocker.close()
    stage.tell_truth()
    assert rollups_are_whole(ALICE)
    if about != "Orders(":
        assert (rows_of()["order"], state("orders").synced_until) == (before["order"], were)
    assert sync().outcome == "ok"
    assert equals(ALICE, HARBOR, stage.now)


def hurried(engine: Engine) -> None:
    """Wait for a lock for a moment instead of half a minute."""
    engine.dispose()
    word = "PRAGMA busy_timeout=50" if engine.dialect.name == "sqlite" else "SET lock_timeout = '50ms'"

    @event.listens_for(engine, "connect")
    def hurry(connection: object, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(word)
        cursor.close()
        if engine.dialect.name != "sqlite":
            connection.commit()


@pytest.mark.parametrize(
    "reason", ["database or disk is full", 'could not extend file "base/1/2": No space left on device\nHINT:  Check.']
)
def test_a_full_disk_is_called_one_by_whatever_name_it_comes(reason: str):
    assert "The disk is full" in str(unavailable(Exception(reason)))


@pytest.mark.parametrize("pages", [5, pytest.param(1, marks=HEAVY), pytest.param(20, marks=HEAVY)])
def test_a_full_database_file_keeps_what_it_had(stage: Stage, pages: int):
    migrate()
    before = synced_once()
    engine = get_engine()
    limit = page_count(engine) + pages
    engine.dispose()

    def full(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={limit}")

    event.listen(engine, "connect", full)
    stage.now = NOW + timedelta(days=20)
    run = sync(full=True)
    assert run.outcome in ("partial", "failed") and "disk is full" in (run.problem or "")
    assert integrity() == "ok"
    assert rollups_are_whole(ALICE)
    assert len(rows_of()["order"]) >= len(before["order"])
    event.remove(engine, "connect", full)
    engine.dispose()
    assert sync().outcome == "ok"
    assert equals(ALICE, HARBOR, stage.now) and integrity() == "ok"


def page_count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("PRAGMA page_count")).scalar() or 0)


def synced_once() -> Rows:
    add_demo_shop(ALICE, HARBOR)
    assert sync().outcome == "ok"
    return rows_of()


@contextmanager
def mounted(folder: Path, megabytes: int, owner: int = 0) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder.mkdir()
    options = f"size={megabytes}m,uid={owner},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk; the limit of the database file stands in for it")
    try:
        yield folder
    finally:
        get_engine().dispose()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small disk with a SQLite database on it."""
    with mounted(tmp_path / "disk", 8) as folder:
        monkeypatch.setenv("DATA_DIR", str(folder))
        get_settings.cache_clear()
        get_engine.cache_clear()
        yield folder


@pytest.fixture
def small_disk_of_postgres(migrated_postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small disk with a database of the PostgreSQL server on it; the server's journal is elsewhere."""
    server = create_engine(migrated_postgres, isolation_level="AUTOCOMMIT")
    with server.connect() as connection, TemporaryDirectory(prefix="shoptally-disk-") as parent:
        Path(parent).chmod(0o755)
        owner = Path(str(connection.execute(text("SHOW data_directory")).scalar())).stat().st_uid
        with mounted(Path(parent) / "disk", 24, owner) as folder:
            connection.execute(text(f"CREATE TABLESPACE tight LOCATION '{folder}'"))
            try:
                connection.execute(text("CREATE DATABASE tight TABLESPACE tight"))
                url = make_url(migrated_postgres).set(database="tight").render_as_string(hide_password=False)
                monkeypatch.setenv("DATABASE_URL", url)
                get_settings.cache_clear()
                get_engine.cache_clear()
                yield folder
            finally:
                get_engine().dispose()
                connection.execute(text("DROP DATABASE IF EXISTS tight WITH (FORCE)"))
                connection.execute(text("DROP TABLESPACE tight"))
    server.dispose()


LEFT = pytest.mark.parametrize("left", [40_000, pytest.param(0, marks=HEAVY), pytest.param(400_000, marks=HEAVY)])


@LEFT
def test_a_full_disk_keeps_what_was_stored_and_room_is_all_it_takes_to_go_on(small_disk: Path, stage: Stage, left: int):
    migrate()
    synced_once()
    with get_engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    survives_a_full_disk(small_disk, stage, left)
    assert integrity() == "ok"


@LEFT
def test_a_full_disk_under_postgresql_keeps_what_was_stored_too(small_disk_of_postgres: Path, stage: Stage, left: int):
    migrate()
    synced_once()
    survives_a_full_disk(small_disk_of_postgres, stage, left)


def survives_a_full_disk(disk: Path, stage: Stage, left: int) -> None:
    """Fill the disk up to so many bytes and sync until it is full; then make room and sync again."""
    filler, free = disk / "filler", os.statvfs(disk)
    filler.write_bytes(b"x" * max(0, free.f_bavail * free.f_frsize - left))
    stage.now = NOW + timedelta(days=20)
    try:
        run = sync(full=True)
        outcome, told = run.outcome, run.problem or ""
    except DatabaseUnavailable as error:
        outcome, told = "failed", str(error)
    assert outcome in ("partial", "failed") and "disk is full" in told
    filler.unlink()
    assert rollups_are_whole(ALICE)
    if get_engine().dialect.name == "sqlite":
        assert integrity() == "ok"
    assert sync().outcome == "ok"
    assert equals(ALICE, HARBOR, stage.now)
