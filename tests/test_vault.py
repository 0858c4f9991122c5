"""Secrets at rest: encrypted, bound to their owner, never lost to a new key."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.__main__ import main
from core.db import vault
from core.db.engine import system_session
from core.db.migrate import migrate
from core.db.models import AuditEvent, Shop, User
from core.db.vault import check_keys, rotate_keys, seal, unseal
from core.errors import ConfigError, WrongKeyError
from core.web.startup import prepare
from tests.factories import add_shop

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def use_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv("APP_ENCRYPTION_KEYS", ",".join(keys))
    config.get_settings.cache_clear()


def test_a_secret_comes_back_only_to_its_owner():
    sealed = seal("shpat_secret", "1")
    assert "shpat_secret" not in sealed
    assert unseal(sealed, "1") == "shpat_secret"
    with pytest.raises(WrongKeyError, match="another shop"):
        unseal(sealed, "2")


def test_a_new_key_in_front_still_reads_what_the_old_one_wrote(monkeypatch):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    use_keys(monkeypatch, old)
    sealed = seal("shpat_secret", "1")
    use_keys(monkeypatch, new, old)
    assert unseal(sealed, "1") == "shpat_secret"
    use_keys(monkeypatch, new)
    with pytest.raises(WrongKeyError, match="APP_ENCRYPTION_KEYS"):
        unseal(sealed, "1")


def test_a_key_that_is_none_names_the_setting(monkeypatch):
    use_keys(monkeypatch, "not-a-key")
    with pytest.raises(ConfigError, match="APP_ENCRYPTION_KEYS"):
        seal("x", "1")


def test_beside_a_local_database_a_key_is_made_once_and_kept_private(monkeypatch):
    use_keys(monkeypatch)
    sealed = seal("shpat_secret", "1")
    file = config.get_settings().secret_key_file
    assert file.stat().st_mode & 0o777 == 0o600
    config.get_settings.cache_clear()
    assert unseal(sealed, "1") == "shpat_secret"


def test_a_server_database_needs_a_key_from_the_environment(monkeypatch):
    use_keys(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/shoptally")
    config.get_settings.cache_clear()
    with pytest.raises(ConfigError, match="APP_ENCRYPTION_KEYS is not set"):
        seal("x", "1")


def test_processes_that_start_at_once_end_with_one_key(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("APP_ENCRYPTION_KEYS")
    code = "from core.db.vault import seal; print(seal('s', 'o'))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    sealed = [process.communicate()[0].strip() for process in running]
    config.get_settings.cache_clear()
    assert [unseal(each, "o") for each in sealed] == ["s"] * 6


def store_secrets(count: int = 3) -> dict[str, str]:
    """Shops, a demo user and a user with a second factor; every secret by its owner."""
    secrets = {}
    for number in range(1, count + 1):
        add_shop(number)
    with system_session(write=True) as session:
        for shop in session.exec(select(Shop)):
            secrets[str(shop.gid)] = f"shpat_of_{shop.gid}"
            shop.token = seal(secrets[str(shop.gid)], str(shop.gid))
        for column in ("demo_password", "totp_secret"):
            email = f"{column}@example.com"
            user = User(email=email, name="A", password_hash="x", created_at=datetime.now(UTC))
            secrets[email] = f"secret of {email}"
            setattr(user, column, seal(secrets[email], email))
            session.add(user)
    return secrets


def opened() -> dict[str, str]:
    """Every stored secret again, by its owner."""
    with system_session() as session:
        found = {str(shop.gid): unseal(shop.token, str(shop.gid)) for shop in session.exec(select(Shop))}
        for user in session.exec(select(User)):
            found[user.email] = unseal(user.demo_password or user.totp_secret or "", user.email)
    return found


def test_after_a_rotation_the_old_key_is_not_needed_any_more(database: Engine, monkeypatch, capsys):
    use_keys(monkeypatch, OLD)
    check_keys()
    secrets = store_secrets()
    use_keys(monkeypatch, NEW, OLD)
    assert main(["rotate-keys"]) == 0
    done = "3 access tokens, 1 demo passwords, 1 second factors, 0 links that end reports, 1 key check"
    assert done in capsys.readouterr().err
    use_keys(monkeypatch, NEW)
    check_keys()
    assert opened() == secrets
    assert rotate_keys().lost == ()
    with system_session() as session:
        assert session.exec(select(AuditEvent.action, AuditEvent.result)).one() == ("keys_rotated", "ok")


def test_a_rotation_that_was_stopped_goes_on_when_run_again(database: Engine, monkeypatch):
    use_keys(monkeypatch, OLD)
    check_keys()
    secrets = store_secrets()
    use_keys(monkeypatch, NEW, OLD)
    whole, done = vault._rotate, []

    def stopped(*given: object) -> bool:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(given)
        return whole(*given)

    monkeypatch.setattr(vault, "_rotate", stopped)
    assert main(["rotate-keys"]) == 130
    assert opened() == secrets
    use_keys(monkeypatch, NEW)
    with pytest.raises(WrongKeyError, match="APP_ENCRYPTION_KEYS"):
        check_keys()
    use_keys(monkeypatch, NEW, OLD)
    monkeypatch.setattr(vault, "_rotate", whole)
    assert main(["rotate-keys"]) == 0
    use_keys(monkeypatch, NEW)
    assert opened() == secrets


def test_a_secret_that_no_key_opens_is_named_and_stops_no_other(database: Engine, monkeypatch, capsys):
    use_keys(monkeypatch, OLD)
    check_keys()
    secrets = store_secrets()
    with system_session(write=True) as session:
        shop = session.exec(select(Shop).where(Shop.id == 2)).one()
        shop.token, domain, gid = "gibberish", shop.domain, str(shop.gid)
    use_keys(monkeypatch, NEW, OLD)
    assert main(["rotate-keys"]) == 1
    assert f"1 do not open with it: {domain} (access tokens)" in capsys.readouterr().err
    with system_session(write=True) as session:
        session.get_one(Shop, 2).token = seal(secrets[gid], gid)
    use_keys(monkeypatch, NEW)
    assert opened() == secrets


def test_a_wrong_key_stops_the_start_and_every_command_that_needs_secrets(database: Engine, monkeypatch, capsys):
    use_keys(monkeypatch, OLD)
    prepare()
    use_keys(monkeypatch, NEW)
    with pytest.raises(WrongKeyError, match="Set APP_ENCRYPTION_KEYS to the key they were written with"):
        prepare()
    monkeypatch.setenv("A_TOKEN", "shpat_secret")
    for words in ("rotate-keys", "sync --shop a", "shop add --domain a --token-env A_TOKEN", "welcome --port 54321"):
        assert main(words.split()) == 1
        assert "do not open with this encryption key" in capsys.readouterr().err


def test_secrets_from_before_the_canary_are_checked_too(database: Engine, monkeypatch):
    use_keys(monkeypatch, OLD)
    store_secrets()
    use_keys(monkeypatch, NEW)
    with pytest.raises(WrongKeyError, match="APP_ENCRYPTION_KEYS"):
        check_keys()
    use_keys(monkeypatch, OLD)
    check_keys()


def test_beside_a_database_with_secrets_no_key_is_made(monkeypatch):
    use_keys(monkeypatch)
    migrate()
    check_keys()
    file = config.get_settings().secret_key_file
    kept = file.read_text()
    file.unlink()
    for action in (check_keys, prepare, lambda: seal("x", "1")):
        with pytest.raises(WrongKeyError, match="Restore secret.key to DATA_DIR"):
            action()
    assert not file.exists()
    file.write_text(kept)
    check_keys()


def test_a_broken_key_file_is_named(monkeypatch):
    use_keys(monkeypatch)
    file = config.get_settings().secret_key_file
    file.parent.mkdir(parents=True)
    file.write_text("half a k")
    with pytest.raises(ConfigError, match="secret.key"):
        seal("x", "1")
