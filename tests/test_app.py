"""The program as it starts and stops: found by Streamlit, healthy, and clear about why it cannot start."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, inspect, make_url
from sqlmodel import col, select
from starlette.applications import Starlette
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.server.app_discovery import discover_asgi_app

import app as program
from core import config, log
from core.__main__ import parser
from core.auth.accounts import demo_sign_ins
from core.db.engine import get_engine, system_session
from core.db.migrate import is_current, migrate
from core.db.models import Shop
from core.errors import DatabaseUnavailable
from core.web.routes import ROUTES
from core.web.startup import lifespan, prepare
from tests.event_loop import run
from tests.forked import Ended, Forks, forks

HERE = Path(__file__).parents[1]
PATIENCE_S = 180.0


@pytest.fixture(autouse=True)
def logs_stay_as_they_are(monkeypatch):
    """A start configures the process's logs, and other tests listen to them."""
    monkeypatch.setattr(log, "configure", lambda *_: None)


@contextmanager
def tables_of_version(version: str) -> Iterator[None]:
    """The database says that it has other tables, and the truth again afterwards: PostgreSQL's are shared."""

    def say(version: str) -> str:
        with get_engine().execution_options(writes=True).begin() as connection:
            before: str = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
        return before

    truth = say(version)
    try:
        yield
    finally:
        say(truth)


def get(path: str) -> tuple[int, Any]:
    """Status and JSON of a route, asked over ASGI."""

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=Starlette(routes=ROUTES))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    response = run(ask)
    return response.status_code, response.json()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with forks(tmp_path_factory.mktemp("said")) as found:
        yield found


@pytest.fixture
def command(loaded: Forks) -> Callable[..., Ended]:
    """Runs python -m core as a stranger would, with only these variables set beside what a process needs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "DATA_DIR") if name in os.environ}
    return lambda *words, **variables: loaded.run(*words, env={**kept, **variables})


def workers() -> list[threading.Thread]:
    """The sync workers that run in this process."""
    return [thread for thread in threading.enumerate() if thread.name == "sync-worker"]


def test_streamlit_finds_the_app():
    found = discover_asgi_app(HERE / "app.py")
    assert (found.is_asgi_app, found.import_string) == (True, "app:app")


def test_no_page_can_be_opened_around_the_router(monkeypatch):
    """Streamlit offers every script of a pages/ folder beside its own script to anybody."""

    def offers_pages(script: Path) -> bool | None:
        monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
        return PagesManager(str(script)).uses_pages_directory

    assert program.ROUTER.is_file()
    assert offers_pages(HERE / "app.py")  # the check notices
    assert not offers_pages(program.ROUTER)


def test_the_first_start_makes_the_demo_and_the_second_changes_nothing(database):
    assert prepare() is True
    first = demo_sign_ins()
    assert prepare() is False
    assert demo_sign_ins() == first
    assert len(first) == 3
    with system_session() as session:
        assert [shop.currency for shop in session.exec(select(Shop).order_by(col(Shop.id)))] == ["USD", "EUR"]


def test_without_the_demo_nothing_is_made_up(database, monkeypatch):
    monkeypatch.setenv("DEMO", "0")
    config.get_settings.cache_clear()
    assert prepare() is False
    with system_session() as session:
        assert session.exec(select(Shop)).all() == []
    assert demo_sign_ins() == ()


def test_the_worker_runs_while_the_program_does():
    async def live() -> None:
        async with lifespan(None):
            assert len(workers()) == 1
            assert is_current(get_engine())
        assert workers() == []

    run(live)


def test_the_worker_ends_when_the_program_fails():
    async def live() -> None:
        async with lifespan(None):
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        run(live)
    assert workers() == []


def test_without_a_worker_the_program_runs_too(monkeypatch):
    monkeypatch.setenv("SYNC_WORKER", "0")

    async def live() -> None:
        async with lifespan(None):
            assert workers() == []
            assert is_current(get_engine())

    run(live)


def test_a_start_that_fails_says_one_sentence_and_ends(monkeypatch, capsys):
    monkeypatch.setenv("LOG_LEVEL", "loud")

    async def live() -> None:
        async with lifespan(None):
            raise AssertionError("started")

    with pytest.raises(SystemExit) as caught:
        run(live)
    assert caught.value.code == 3
    assert capsys.readouterr().err.strip().startswith("Shoptally cannot start: LOG_LEVEL is not known.")


FAULTS = {
    "a database of another kind": ({"DATABASE_URL": "mysql://u:hunter2@h/n"}, "DATABASE_URL is not a database address"),
    "a server that is off": ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/n"}, "The database does not answer"),
    "a level that is none": ({"LOG_LEVEL": "hunter2"}, "LOG_LEVEL is not known"),
    "a switch that is none": ({"DEMO": "hunter2"}, "DEMO is neither on nor off"),
    "an address that is none": ({"SHOPIFY_BASE_URL": "hunter2"}, "SHOPIFY_BASE_URL is not an address"),
}


@pytest.mark.parametrize("variables, sentence", FAULTS.values(), ids=FAULTS)
def test_a_wrong_setting_stops_the_command_with_a_sentence(command, variables, sentence):
    done = command("migrate", **variables)
    assert done.code == 1
    assert done.err.startswith(sentence)
    assert done.err.count("\n") == 1
    assert "hunter2" not in done.err
    assert done.out == ""


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h:port/n", "sqlite://two-slashes.db"])
def test_an_address_that_cannot_be_read_stops_the_command_with_a_sentence(command, url):
    done = command("migrate", DATABASE_URL=url)
    assert done.code == 1
    assert done.err.startswith("DATABASE_URL cannot be read")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_a_data_folder_that_cannot_be_written_stops_the_command_with_a_sentence(command, tmp_path, inside):
    (tmp_path / "file").write_text("in the way")
    done = command("migrate", DATA_DIR=str(tmp_path / "file" / inside))
    assert done.code == 1
    assert "Set DATA_DIR to a folder this process may write to." in done.err
    assert done.err.count("\n") == 1


def test_a_database_file_that_is_none_stops_the_command_with_a_sentence(command, tmp_path):
    (tmp_path / "shoptally.db").write_text("a letter to my aunt, " * 100)
    done = command("migrate", DATA_DIR=str(tmp_path))
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err


def test_an_encryption_key_that_is_none_stops_the_start_with_a_sentence(command):
    done = command("welcome", APP_ENCRYPTION_KEYS="hunter2")
    assert done.code == 1
    assert done.err.startswith("APP_ENCRYPTION_KEYS holds something that is no key.")
    assert "hunter2" not in done.err
    assert "Traceback" not in done.err


def test_a_key_that_is_another_or_gone_stops_the_start_with_a_sentence(command):
    key = Path(os.environ["DATA_DIR"], "secret.key")
    assert command("welcome").code == 0
    key.unlink()
    gone = command("welcome")
    assert (gone.code, gone.err.count("\n")) == (1, 1)
    assert gone.err.startswith("The database holds secrets, and the key that opens them is missing.")
    assert not key.exists()
    another = command("welcome", APP_ENCRYPTION_KEYS=Fernet.generate_key().decode())
    assert (another.code, another.err.count("\n")) == (1, 1)
    assert another.err.startswith("Stored secrets do not open with this encryption key.")


def test_a_taken_port_is_said_before_anything_is_promised(command):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command("welcome", "--port", str(port))
    assert done.code == 1
    assert done.err.startswith(f"Port {port} is taken by another program. Choose another one: make run PORT=")
    assert "localhost" not in done.err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_port_that_is_none_is_refused(port, capsys):
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(["welcome", f"--port={port}"])
    assert caught.value.code == 2
    assert f"{port} is not a port; write a number from 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_start_at_once_migrate_once(kind, request, tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    if kind == "postgresql":
        url = new_database(request.getfixturevalue("postgres_url"))
    race = (
        "import sys; from core.db.migrate import migrate; sys.stdout.write('ready\\n'); sys.stdout.flush(); "
        "sys.stdin.readline(); migrate()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", race], cwd=HERE, env={**os.environ, "DATABASE_URL": url}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [(process.communicate(timeout=PATIENCE_S)[1], process.returncode) for process in processes]
    assert ended == [("", 0)] * 4
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar() == 1
        assert inspect(connection).has_table("daily_sales")
    assert is_current(engine)
    engine.dispose()


def new_database(url: str) -> str:
    """An empty database of its own on the same server."""
    name = f"fresh_{uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def test_a_database_of_a_newer_program_is_left_alone_with_a_sentence(database):
    with tables_of_version("9999"), pytest.raises(DatabaseUnavailable, match="written by a newer version of Shoptally"):
        migrate()
