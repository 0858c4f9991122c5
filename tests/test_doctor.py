"""python -m core doctor: what it finds, what it says to do, and that it changes and gives away nothing."""

import shutil
import socket
from collections import namedtuple
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import with_loader_criteria
from sqlmodel import select

from core import config, doctor
from core.__main__ import main
from core.db import probe
from core.db.engine import system_session
from core.db.models import Shop, WebhookEvent
from core.db.probe import DatabaseFacts, try_isolation
from core.db.vault import check_keys, seal
from core.sync import heartbeat
from tests import factories as make
from tests.demo_http import HARBOR, serve_demo
from tests.demo_sync import ALICE, NOW, OPENED_ON, Stage, add_demo_shop, add_demo_shops, shop_row, stage_demo
from tests.every_table import counts
from tests.mailbox import mail_server
from tests.test_app import tables_of_version


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


def use(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config.get_settings.cache_clear()


def found(capsys: pytest.CaptureFixture[str], code: int) -> dict[str, tuple[str, str]]:
    """The lines by what they are about: their state and sentence."""
    capsys.readouterr()
    assert main(["doctor"]) == code
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    return {(parts := rest.split(": ", 1))[0]: (state, parts[1]) for state, rest in lines}


def test_a_healthy_installation_has_one_line_for_each_check(database: Engine, stage: Stage, capsys):
    check_keys()
    add_demo_shops()
    heartbeat.beat()
    lines = found(capsys, 0)
    assert {state for state, _ in lines.values()} == {"ok"}
    assert set(lines) == {
        "settings", "database", "isolation", "keys", "workers", "harbor-and-pine.myshopify.com",
        "kiosk-berlin.myshopify.com", "clock", "e-mail", "disk",
    }  # fmt: skip
    assert lines["database"][1].startswith("PostgreSQL" if database.dialect.name == "postgresql" else "SQLite")


def test_it_leaves_nothing_behind(database: Engine, stage: Stage, capsys):
    check_keys()
    make.add_shop(9, token="")
    before = counts(database, 9)
    assert try_isolation() == []
    found(capsys, 0)
    assert counts(database, 9) == before
    with system_session() as session:
        assert session.exec(select(Shop.id)).all() == [9]


def test_without_a_database_it_says_so_and_checks_the_rest(monkeypatch, capsys):
    use(monkeypatch, DATABASE_URL="postgresql://nobody:hunter2@127.0.0.1:1/none")
    lines = found(capsys, 1)
    assert lines["database"][0] == "failed" and "Check DATABASE_URL" in lines["database"][1]
    assert set(lines) == {"settings", "database", "e-mail", "disk"}
    assert "hunter2" not in str(lines)


def test_old_tables_are_named_with_the_command_that_renews_them(database: Engine, capsys):
    with tables_of_version("0001"):
        lines = found(capsys, 1)
    assert lines["database"][0] == "failed"
    assert "version 0001" in lines["database"][1] and lines["database"][1].endswith("Run: python -m core migrate")


def test_isolation_that_was_loosened_is_found_by_trying(migrated_postgres: str, monkeypatch, capsys):
    use(monkeypatch, DATABASE_URL=migrated_postgres)
    engine = probe.get_engine()
    loosened = "ALTER TABLE quarantined_row DISABLE ROW LEVEL SECURITY"
    with monkeypatch.context() as patch:

        def loosen(connection: Connection) -> list[str]:
            """And what the catalogue tells is that all is well."""
            connection.exec_driver_sql(loosened)
            return []

        patch.setattr(probe.isolation, "faults", loosen)
        assert try_isolation(engine) == [
            "SQL of a store's session reads rows of another",
            "SQL of a store's session changes rows of another",
            "SQL of a store's session deletes rows of another",
            "SQL of a store's session writes rows for another",
            "a session without a store reads rows of stores",
        ]
    assert try_isolation(engine) == []  # it was rolled back, too


def test_a_guard_that_lets_go_is_found_on_both_databases(database: Engine, monkeypatch):
    monkeypatch.setattr("core.db.guard.criteria", lambda _: dict.fromkeys(("quarantined_row", "shop"), _nothing()))
    expected = database.dialect.name == "sqlite"  # PostgreSQL's own lock still holds
    assert bool(try_isolation()) is expected


def _nothing() -> object:
    """An option that narrows nothing."""
    return with_loader_criteria(WebhookEvent, WebhookEvent.state == "x")


def test_keys_that_open_nothing_fail(database: Engine, monkeypatch, capsys):
    check_keys()
    use(monkeypatch, APP_ENCRYPTION_KEYS=Fernet.generate_key().decode())
    assert found(capsys, 1)["keys"][0] == "failed"


def test_a_single_secret_that_does_not_open_fails_too(database: Engine, stage: Stage, capsys):
    check_keys()
    add_demo_shop(ALICE, HARBOR)
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).token = Fernet(Fernet.generate_key()).encrypt(b"x").decode()
    assert found(capsys, 1)["keys"] == (
        "failed",
        "1 stored secrets open with none of the keys. Add the older key behind the newer one.",
    )


def test_no_worker_and_dead_letters_are_warnings(database: Engine, capsys):
    check_keys()
    with system_session(write=True) as session:
        session.add(WebhookEvent(webhook_id="1", domain="x", topic="x", state="dead", received_at=NOW))
    lines = found(capsys, 0)
    assert (lines["workers"][0], lines["inbox"][0]) == ("warning", "warning")


def test_real_stores_are_asked_by_their_tokens_and_nothing_secret_is_said(database: Engine, monkeypatch, capsys):
    check_keys()
    with serve_demo(OPENED_ON, lambda: NOW - timedelta(days=1)) as address:
        use(monkeypatch, SHOPIFY_BASE_URL=f"{address}/{{shop}}", DEMO="0")
        add_demo_shop(ALICE, HARBOR, is_demo=False, opened_on=None)
        lines = found(capsys, 1)
        assert lines[HARBOR.domain][0] == "ok"
        assert lines[f"{HARBOR.domain} clock"][0] != "ok"  # the demo's stands still
        with system_session(write=True) as session:
            session.get_one(Shop, ALICE).token = seal("shpat_wrong", str(HARBOR.number))
        refused = found(capsys, 1)[HARBOR.domain]
    assert refused[0] == "failed" and "rejects the access token" in refused[1]
    assert "shpat_" not in str(refused) + str(lines)
    assert lines[f"{HARBOR.domain} webhooks"][0] == "ok"
    away = found(capsys, 1)[HARBOR.domain]
    assert away[0] == "failed" and "could not be reached" in away[1]


def test_a_scope_that_is_missing_fails_and_one_that_only_helps_warns(database: Engine, stage: Stage, monkeypatch):
    add_demo_shop(ALICE, HARBOR)
    stage.now += timedelta(seconds=11)  # no answer of another test is repeated
    monkeypatch.setattr("core.demo.views.SCOPES", ("read_orders", "read_products"))
    [line] = doctor._shop(shop_row())
    assert line.state == "failed" and "read_customers" in line.text
    stage.now += timedelta(seconds=1)
    monkeypatch.setattr("core.demo.views.SCOPES", ("read_orders", "read_products", "read_customers"))
    [line] = doctor._shop(shop_row())
    assert line.state == "warning" and "read_inventory" in line.text


def test_the_mail_server_is_tried_and_gets_no_mail(database: Engine, monkeypatch, capsys):
    check_keys()
    with mail_server() as box:
        own = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(box.port), "SMTP_FROM": "us@numbers.example"}
        use(monkeypatch, **own, SMTP_USER="us", SMTP_PASSWORD="hunter2", SMTP_TLS="OFF", APP_URL="https://n.example")
        lines = found(capsys, 0)
        assert lines["e-mail"][0] == "ok"
        assert len(box.signed_in) == 1 and box.messages == []
    use(monkeypatch, SMTP_PORT=str(_free_port()))
    said = found(capsys, 1)["e-mail"]
    assert said[0] == "failed" and said[1].endswith("Check the SMTP settings.")


def _free_port() -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        port: int = probe_socket.getsockname()[1]
        return port


@pytest.mark.parametrize("free, code, state", [(10**8, 1, "failed"), (10**9, 0, "warning"), (10**11, 0, "ok")])
def test_little_room_warns_and_none_fails(database: Engine, monkeypatch, capsys, free, code, state):
    check_keys()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(free))
    assert found(capsys, code)["disk"][0] == state


@pytest.mark.parametrize("off, state", [(0, "ok"), (60, "warning"), (-60, "warning"), (3600, "failed")])
def test_a_clock_that_is_off_is_found(monkeypatch, off, state):
    now = doctor.datetime.now(doctor.UTC) - timedelta(seconds=off)
    monkeypatch.setattr(doctor, "database_facts", lambda: DatabaseFacts("PostgreSQL", "1", "1", now))
    [line] = doctor._clock()
    assert line.state == state
    assert off == 0 or ("ahead of" if off > 0 else "behind") in line.text


def test_demo_passwords_at_a_public_address_are_warned_of(database: Engine, monkeypatch, capsys):
    check_keys()
    use(monkeypatch, APP_URL="https://numbers.example", DEMO="1")
    assert found(capsys, 0)["settings"][0] == "warning"


def test_a_check_that_breaks_is_a_line_and_the_others_go_on(database: Engine, monkeypatch, capsys):
    check_keys()

    def broken() -> DatabaseFacts:
        raise ValueError("a row with ana@mail.example")

    monkeypatch.setattr(doctor, "try_isolation", broken)
    lines = found(capsys, 1)
    assert lines["isolation"] == ("failed", "An error this program does not know: ValueError.")
    assert lines["disk"][0] == "ok"
