"""What a load balancer asks: whether the process lives, and whether it may be sent visitors."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.db.engine import system_session
from core.db.models import SyncState, WorkerHeartbeat
from core.db.vault import check_keys
from core.sync import heartbeat
from tests import factories as make
from tests.test_app import get, tables_of_version
from tests.test_scheduler import working

ALIVE = {"database": "ok", "keys": "ok", "scheduler": "ok"}


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config.get_settings.cache_clear()


def test_a_process_is_alive_whatever_its_database_does(monkeypatch):
    settings(monkeypatch, DATABASE_URL="postgresql://nobody:hunter2@127.0.0.1:1/none")
    assert get("/health") == (200, {"status": "ok"})
    assert get("/ready") == (503, {"status": "not ready", "checks": {"database": "unavailable"}})


def test_it_is_ready_with_the_newest_tables_keys_that_open_and_a_worker(database: Engine):
    check_keys()
    heartbeat.beat()
    assert get("/ready") == (200, {"status": "ready", "checks": ALIVE})


def test_it_is_not_ready_without_tables_or_with_those_of_another_version(database: Engine, monkeypatch):
    settings(monkeypatch, SYNC_WORKER="0")
    with tables_of_version("another"):
        assert get("/ready") == (
            503,
            {"status": "not ready", "checks": {"database": "tables of another version"}},
        )
    assert get("/ready")[0] == 200


def test_it_is_not_ready_with_keys_that_open_nothing(database: Engine, monkeypatch):
    check_keys()
    heartbeat.beat()
    settings(monkeypatch, APP_ENCRYPTION_KEYS=Fernet.generate_key().decode())
    status, body = get("/ready")
    assert (status, body["checks"]) == (503, {"database": "ok", "keys": "do not open what is stored"})


def test_the_worker_is_asked_for_only_where_there_should_be_one(database: Engine, monkeypatch):
    assert get("/ready")[1]["checks"]["scheduler"] == "silent"
    settings(monkeypatch, SYNC_WORKER="0")
    assert get("/ready") == (200, {"status": "ready", "checks": {**ALIVE, "scheduler": "not asked"}})


def test_a_worker_that_died_is_missed_after_three_minutes_and_forgotten_after_a_day(database: Engine):
    heartbeat.beat()
    now = datetime.now(UTC)
    assert heartbeat.pulse(now).workers == 1
    later = heartbeat.pulse(now + timedelta(minutes=4))
    assert not later.alive and later.silent_s is not None and later.silent_s > 200
    with system_session(write=True) as session:
        old = now - timedelta(days=2)
        session.add(WorkerHeartbeat(worker="gone:1", started_at=old, seen_at=old))
    heartbeat.beat()
    with system_session() as session:
        assert [row.worker == "gone:1" for row in session.exec(select(WorkerHeartbeat))] == [False]


def test_a_worker_busy_with_a_long_sync_lives_by_its_lease(database: Engine):
    make.add_shop(1)
    assert heartbeat.pulse() == heartbeat.Pulse(0, None)
    with system_session(write=True) as session:
        row = session.get_one(SyncState, (1, "orders"))
        row.owner, row.lease_until = "elsewhere:1", datetime.now(UTC) + timedelta(seconds=60)
    assert heartbeat.pulse() == heartbeat.Pulse(1, 0.0)


def test_a_worker_says_at_once_that_it_is_there(database: Engine):
    with working():
        for _ in range(600):
            if heartbeat.pulse().alive:
                break
            threading.Event().wait(0.05)
        assert heartbeat.pulse().workers == 1
