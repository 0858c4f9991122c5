"""Users and stores on the command line, on both databases."""

import io

import pytest
from sqlalchemy import Engine

from core.__main__ import main
from core.auth import accounts, links, sessions
from core.auth.tickets import digest
from core.db.engine import system_session
from core.db.models import Shop, User
from tests import factories as make

PASSWORD, NEW = "a sentence is fine", "another sentence, quite long"


@pytest.fixture(autouse=True)
def dora(database: Engine) -> int:
    make.add_shop(1, domain="dora.myshopify.com")
    return accounts.add_user("dora@example.com", "Dora", PASSWORD)


def test_a_user_is_switched_off_and_on(dora):
    id_hash = digest(sessions.start(dora, None, None))
    assert main(["user", "disable", "--email", "dora@example.com"]) == 0
    assert sessions.check(id_hash) is None and accounts.verify("dora@example.com", PASSWORD) is None
    assert main(["user", "enable", "--email", "dora@example.com"]) == 0
    assert accounts.verify("dora@example.com", PASSWORD) == dora


def test_a_link_for_a_new_password_is_all_that_is_printed(dora, capsys):
    assert main(["user", "reset-password", "--email", "dora@example.com"]) == 0
    link = capsys.readouterr().out.strip()
    assert link.startswith("http://localhost:8501/?reset=")
    links.reset(link.partition("=")[2], NEW)
    assert accounts.verify("dora@example.com", NEW) == dora


def test_a_password_on_standard_input_is_set_and_the_lost_second_factor_goes(dora, monkeypatch):
    with system_session(write=True) as session:
        session.get_one(User, dora).totp_secret = "sealed"
    monkeypatch.setattr("sys.stdin", io.StringIO(NEW + "\n"))
    words = ["user", "reset-password", "--email", "dora@example.com", "--password-stdin", "--without-second-factor"]
    assert main(words) == 0
    assert accounts.verify("dora@example.com", NEW) == dora
    found = accounts.account(dora)
    assert found is not None and not found.has_second_factor


@pytest.mark.parametrize("command", ["disable", "enable", "reset-password"])
def test_somebody_who_is_not_there_is_answered_with_a_sentence(command, capsys):
    assert main(["user", command, "--email", "nobody@example.com"]) == 1
    assert "There is no user" in capsys.readouterr().err


def test_a_store_is_deleted_only_when_it_is_really_meant(capsys):
    assert main(["shop", "delete", "--shop", "dora.myshopify.com"]) == 1
    with system_session() as session:
        assert session.get(Shop, 1) is not None
    assert main(["shop", "delete", "--shop", "dora.myshopify.com", "--yes"]) == 0
    assert "shop " in capsys.readouterr().out
    with system_session() as session:
        assert session.get(Shop, 1) is None
