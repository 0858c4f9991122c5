"""Access tokens that end: renewed early and on 401, by one worker, saved before used; refused for good, nobody asks."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core import config
from core.__main__ import main
from core.db.engine import system_session
from core.db.migrate import migrate
from core.db.models import Membership, Shop, SyncState
from core.db.vault import rotate_keys, seal, unseal
from core.errors import (
    AccessDenied,
    ConfigError,
    GarbageAnswer,
    NotPermitted,
    QueryRefused,
    ServerFault,
    ShopNotFound,
    Throttled,
    TokenRejected,
    Unreachable,
)
from core.shopify import oauth
from core.shopify.queries import SHOP
from core.sync import connect, jobs, lease, tokens
from core.sync.tokens import Token, sealed, source, stored
from tests.demo_http import HARBOR
from tests.demo_sync import ALICE, add_demo_shop, rows_of, shop_row, state, sync
from tests.demo_tokens import CLIENT_ID, CLIENT_SECRET, TokenShop, serve_tokens
from tests.factories import add_user
from tests.still import stop_clock

MINUTE = timedelta(minutes=1)


@pytest.fixture
def shopify(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenShop]:
    with serve_tokens() as shop:
        monkeypatch.setenv("SHOPIFY_BASE_URL", shop.base_url)
        monkeypatch.setenv("SHOPIFY_API_KEY", CLIENT_ID)
        monkeypatch.setenv("SHOPIFY_API_SECRET", CLIENT_SECRET)
        config.get_settings.cache_clear()
        yield shop


def offline(ends_in: timedelta, access: str = "shpat_0", refresh: str = "shprt_0") -> Token:
    """An expiring token as the shop gave it at first."""
    now = datetime.now(UTC)
    return Token(access, "offline", now + ends_in, refresh, now + timedelta(days=90), CLIENT_ID)


def add_shop(token: Token) -> None:
    """The harbor shop, connected with this token and asked over HTTP."""
    add_demo_shop(ALICE, HARBOR, opened_on=None, is_demo=False, token=sealed(token, HARBOR.number))


def ask() -> None:
    """One request for data, by a client of its own."""
    with connect.client_for(shop_row()) as client:
        client.execute(SHOP)


def kept() -> Token:
    """The token that is stored."""
    return stored(shop_row())


def test_a_token_with_time_left_is_used_as_it_is(database: Engine, shopify: TokenShop):
    add_shop(offline(6 * MINUTE))
    ask()
    assert (shopify.asked, shopify.calls) == ([], ["shpat_0"])


@pytest.mark.parametrize("ends_in", [4 * MINUTE, timedelta(seconds=1), timedelta(0), -timedelta(days=3)])
def test_a_token_near_its_end_is_renewed_before_it_is_used(database: Engine, shopify: TokenShop, ends_in: timedelta):
    add_shop(offline(ends_in))
    ask()
    assert [words["refresh_token"] for words in shopify.asked] == ["shprt_0"]
    assert shopify.calls == ["shpat_1"]
    assert (kept().access, kept().refresh, kept().kind, kept().client_id) == (
        "shpat_1",
        "shprt_1",
        "offline",
        CLIENT_ID,
    )
    left = (kept().expires_at or datetime.max.replace(tzinfo=UTC)) - datetime.now(UTC)
    assert 59 * MINUTE < left <= 60 * MINUTE
    ask()
    assert len(shopify.asked) == 1


def test_one_client_outlives_many_tokens(database: Engine, shopify: TokenShop):
    shopify.expires_in = 0
    add_shop(offline(MINUTE))
    with connect.client_for(shop_row()) as client:
        for _ in range(3):
            client.execute(SHOP)
    assert shopify.calls == ["shpat_1", "shpat_2", "shpat_3"]


def test_a_rejected_token_is_renewed_once_and_the_request_goes_on(database: Engine, shopify: TokenShop):
    add_shop(offline(60 * MINUTE))
    shopify.good.clear()
    assert sync().outcome == "ok"
    assert shopify.calls[:2] == ["shpat_0", "shpat_1"] and set(shopify.calls[1:]) == {"shpat_1"}
    assert len(shopify.asked) == 1 and shop_row().reauth_since is None and rows_of()["order"]


def test_a_permanent_token_is_tried_twice_before_it_counts_as_refused(database: Engine, shopify: TokenShop):
    add_shop(Token("shpat_0"))
    shopify.refuse_next = 1
    assert sync().outcome == "ok"
    assert shop_row().reauth_since is None and shopify.asked == []


@pytest.mark.parametrize("token", [Token("shpat_0"), offline(60 * MINUTE)], ids=["permanent", "offline"])
def test_a_401_that_stays_stops_everything_and_keeps_the_data(database: Engine, shopify: TokenShop, token: Token):
    add_shop(token)
    sync()
    before = rows_of()
    shopify.good.clear()
    shopify.refuse_next = 100
    run = sync()
    assert (run.outcome, run.error_class) == ("failed", "TokenRejected")
    assert shop_row().reauth_since is not None and rows_of() == before
    assert_nobody_asks_any_more(shopify)


def assert_nobody_asks_any_more(shopify: TokenShop) -> None:
    with system_session() as session:
        states = session.exec(select(SyncState).where(SyncState.shop_id == ALICE)).all()
    assert [row.due_at for row in states] == [None] * len(states)
    assert {row.state for row in jobs.sync_status(ALICE).streams} == {"reauth"}
    assert lease.claim() is None
    calls, asked = len(shopify.calls), len(shopify.asked)
    run = sync()  # even when somebody asks for it
    assert run.outcome == "failed" and "Connect the store again" in (run.problem or "")
    assert (len(shopify.calls), len(shopify.asked), run.requests) == (calls, asked, 0)


def test_a_refresh_token_that_is_not_accepted_stops_everything_at_the_first_no(database: Engine, shopify: TokenShop):
    add_shop(offline(MINUTE))
    shopify.revoke()
    run = sync()
    assert run.outcome == "failed" and "no longer accepts the access token" in (run.problem or "")
    assert (len(shopify.asked), shopify.calls) == (1, [])
    assert shop_row().reauth_since is not None and shop_row().token_lease_until is None
    assert_nobody_asks_any_more(shopify)


def test_connecting_again_goes_on_where_it_stopped(database: Engine, shopify: TokenShop):
    add_shop(offline(MINUTE))
    shopify.revoke()
    sync()
    shopify.good.add("shpat_new")
    facts = connect.inspect_shop(HARBOR.domain, "shpat_new")
    connect.connect_shop(facts, "shpat_new", owner_user_id=None, personal_data=True)
    assert shop_row().reauth_since is None and kept() == Token("shpat_new")
    claim = lease.claim()
    assert claim is not None and "orders" in claim.epochs
    lease.give_back(claim)
    assert sync().outcome == "ok" and state("orders").failures == 0


def test_a_store_connected_again_while_a_run_failed_stays_connected(database: Engine, shopify: TokenShop):
    add_shop(Token("shpat_0"))
    with connect.client_for(shop_row()) as late:
        late.execute(SHOP)
        with system_session(write=True) as session:
            session.get_one(Shop, ALICE).token = sealed(Token("shpat_new"), HARBOR.number)
        tokens.stop_asking(ALICE, late)
        assert shop_row().reauth_since is None
        shopify.good = {"shpat_new"}
        late.execute(SHOP)  # and the run that is late takes the new token
    assert shopify.calls[-1] == "shpat_new"


def at_once(count: int, rejected: str | None) -> list[str]:
    barrier = threading.Barrier(count)

    def one(_: int) -> str:
        ask_for = source(ALICE)
        barrier.wait()
        return ask_for(rejected)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_of_workers_that_all_find_the_token_over_one_renews_it_and_all_use_that(database: Engine, shopify: TokenShop):
    add_shop(offline(-MINUTE))
    assert at_once(6, None) == ["shpat_1"] * 6
    assert len(shopify.asked) == 1


def test_of_workers_whose_token_is_rejected_at_once_one_renews_it(database: Engine, shopify: TokenShop):
    add_shop(offline(60 * MINUTE))
    assert at_once(6, "shpat_0") == ["shpat_1"] * 6
    assert len(shopify.asked) == 1
    assert source(ALICE)("shpat_0") == "shpat_1"  # who comes late finds it done
    assert len(shopify.asked) == 1


def test_while_one_worker_renews_early_the_others_go_on_with_the_old_token(database: Engine, shopify: TokenShop):
    add_shop(offline(2 * MINUTE))
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).token_lease_until = datetime.now(UTC) + MINUTE
    assert source(ALICE)(None) == "shpat_0" and shopify.asked == []


def test_after_a_crash_between_renewing_and_saving_the_previous_refresh_token_serves(
    database: Engine, shopify: TokenShop, monkeypatch: pytest.MonkeyPatch
):
    add_shop(offline(-MINUTE))

    def crash(*_: Any, **__: Any) -> Token:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(tokens, "_settle", crash)
        with pytest.raises(SystemExit):
            source(ALICE)(None)
    assert shopify.refresh == "shprt_1" and kept().refresh == "shprt_0"
    with system_session(write=True) as session:
        shop = session.get_one(Shop, ALICE)
        assert shop.token_lease_until is not None
        shop.token_lease_until = datetime.now(UTC)  # its time passes
    ask()
    assert [words["refresh_token"] for words in shopify.asked] == ["shprt_0", "shprt_0"]
    assert (kept().access, kept().refresh) == ("shpat_1", "shprt_1")
    assert shopify.grant({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "grant_type": "refresh_token",
                          "refresh_token": "shprt_0"})[0] == 400  # fmt: skip


def test_a_process_killed_between_renewing_and_saving_loses_nothing(
    shopify: TokenShop, monkeypatch: pytest.MonkeyPatch
):
    migrate()
    add_shop(offline(-MINUTE))
    words = [sys.executable, "-m", "core", "sync", "--shop", HARBOR.domain]
    env = {**os.environ, "FAIL_AT": "token_renewed:1", "DEMO": "0"}
    killed = subprocess.run(words, cwd=Path(__file__).parents[1], env=env, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert kept().refresh == "shprt_0" and shopify.refresh == "shprt_1"
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).token_lease_until = None  # its time passes
        for row in session.exec(select(SyncState)):
            row.lease_until = None
    assert sync().outcome == "ok"
    assert kept().refresh == "shprt_1"


def test_a_worker_that_was_frozen_while_renewing_does_not_overwrite_a_newer_token(
    database: Engine, shopify: TokenShop, monkeypatch: pytest.MonkeyPatch
):
    add_shop(offline(-MINUTE))
    ask_shopify = tokens._renewed

    def overtaken(old: Token, domain: str) -> Token:
        grant = ask_shopify(old, domain)
        with system_session(write=True) as session:
            session.get_one(Shop, ALICE).token = sealed(
                offline(60 * MINUTE, "shpat_newer", "shprt_newer"), HARBOR.number
            )
        return grant

    monkeypatch.setattr(tokens, "_renewed", overtaken)
    assert source(ALICE)(None) == "shpat_newer"
    assert kept().refresh == "shprt_newer"


def test_the_new_token_is_committed_before_it_is_used(database: Engine, shopify: TokenShop):
    add_shop(offline(-MINUTE))
    seen = []
    admits = shopify.admits
    shopify.admits = lambda token: seen.append((token, kept().access)) or admits(token)
    ask()
    assert seen == [("shpat_1", "shpat_1")]


def test_where_it_cannot_be_renewed_early_the_old_token_goes_on(
    database: Engine, shopify: TokenShop, monkeypatch: pytest.MonkeyPatch
):
    stop_clock(monkeypatch, tokens)  # after half a minute it is tried again, and a sync may take longer
    add_shop(offline(2 * MINUTE))
    shopify.down = True
    assert sync().outcome == "ok"
    assert len(shopify.asked) == 1 and set(shopify.calls) == {"shpat_0"}  # not asked before every request
    assert kept().access == "shpat_0" and shop_row().token_lease_until is None


def test_a_token_that_is_over_and_cannot_be_renewed_now_is_tried_again(
    database: Engine, shopify: TokenShop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("core.shopify.client.LONGEST_BACKOFF_S", 0.0)
    add_shop(offline(-MINUTE))
    shopify.down = True
    run = sync()
    assert (run.outcome, run.error_class, shopify.calls) == ("failed", "ServerFault", [])
    assert shop_row().reauth_since is None and state("orders").due_at is not None
    assert {row.state for row in jobs.sync_status(ALICE).streams if row.failures} == {"retrying"}
    shopify.down = False
    assert sync().outcome == "ok"


def test_without_the_apps_credentials_a_token_is_not_renewed_and_a_sentence_says_so(
    database: Engine, shopify: TokenShop, monkeypatch: pytest.MonkeyPatch
):
    add_shop(offline(-MINUTE))
    monkeypatch.delenv("SHOPIFY_API_SECRET")
    config.get_settings.cache_clear()
    with pytest.raises(ConfigError, match="Set SHOPIFY_API_KEY and SHOPIFY_API_SECRET"):
        ask()
    monkeypatch.setenv("SHOPIFY_API_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("SHOPIFY_API_KEY", "another")
    config.get_settings.cache_clear()
    with pytest.raises(ConfigError, match="given to another app"):
        ask()
    assert shopify.asked == [] and shop_row().token_lease_until is None and shop_row().reauth_since is None


def test_a_token_by_the_apps_own_credentials_is_asked_for_again_when_it_ends(database: Engine, shopify: TokenShop):
    token = tokens.ask_for("harbor-and-pine")
    assert token.kind == "client_credentials" and token.refresh is None
    add_shop(Token(token.access, token.kind, datetime.now(UTC) + MINUTE, client_id=CLIENT_ID))
    ask()
    assert [words["grant_type"] for words in shopify.asked] == ["client_credentials"] * 2
    left = (kept().expires_at or datetime.now(UTC)) - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(seconds=86399)
    shopify.good = set()
    ask()
    assert len(shopify.asked) == 3 and shopify.calls[-1] == shopify.access


def test_the_command_line_connects_with_the_apps_own_credentials(database: Engine, shopify: TokenShop, capsys: Any):
    add_user(1, "ana@example.com")
    words = "shop add --client-credentials --domain harbor-and-pine --owner ana@example.com"
    assert main(words.split()) == 0
    said = capsys.readouterr()
    assert "Connected" in said.err
    with system_session() as session:
        shop = session.exec(select(Shop)).one()
    assert stored(shop).kind == "client_credentials"
    assert sync(shop.id or 0).outcome == "ok"
    for secret in (CLIENT_SECRET, shopify.access):
        assert secret not in said.err + said.out


def test_without_a_token_only_an_owner_connects_a_store_again(database: Engine, shopify: TokenShop):
    add_shop(Token("shpat_0"))
    for user_id, role in ((1, "owner"), (2, "admin"), (3, "analyst"), (4, "viewer")):
        add_user(user_id, f"{role}@example.com")
        with system_session(write=True) as session:
            session.add(Membership(user_id=user_id, shop_id=ALICE, role=role))
    add_user(5, "stranger@example.com")
    for user_id in (1, 2):
        assert connect.token_for_owner(HARBOR.domain, user_id).kind == "client_credentials"
    for user_id in (3, 4, 5):
        with pytest.raises(NotPermitted, match="own or administer"):
            connect.token_for_owner(HARBOR.domain, user_id)
    assert len(shopify.asked) == 2


REFUSALS: list[tuple[int, bytes, type[Exception]]] = [
    (400, b'{"error": "invalid_grant"}', TokenRejected),
    (400, b"<html><p>Oauth error app_not_installed: no</p></html>", TokenRejected),
    (400, b"<html><p>Oauth error shop_not_permitted: Client credentials cannot be performed</p></html>", AccessDenied),
    (401, b'{"error": "invalid_client"}', QueryRefused),
    (400, b"", QueryRefused),
    (302, b"", ShopNotFound),
    (404, b"Not Found", ShopNotFound),
    (429, b"", Throttled),
    (500, b"<html>", ServerFault),
    (200, b"<html>", GarbageAnswer),
    (200, b"{}", GarbageAnswer),
    (200, b'{"access_token": 5}', GarbageAnswer),
    (200, b"\xff", GarbageAnswer),
]


@pytest.mark.parametrize("status, body, kind", REFUSALS)
def test_every_answer_of_the_token_endpoint_becomes_an_error_with_a_sentence(shopify, status, body, kind):
    shopify.error = (status, body)
    app = oauth.App(CLIENT_ID, CLIENT_SECRET)
    with pytest.raises(kind) as caught:
        oauth.refresh(HARBOR.domain, app, "shprt_0", base_url=shopify.base_url)
    assert str(caught.value).endswith(".") and not {CLIENT_SECRET, "shprt_0"} & set(str(caught.value).split())


def test_a_token_endpoint_that_cannot_be_reached_is_a_sentence_without_secrets():
    app = oauth.App(CLIENT_ID, CLIENT_SECRET)
    with pytest.raises(Unreachable, match="could not be reached") as caught:
        oauth.refresh(HARBOR.domain, app, "shprt_0", base_url="http://127.0.0.1:9")
    assert CLIENT_SECRET not in str(caught.value)


def test_an_old_plain_token_is_still_read_and_a_structured_one_survives_a_rotation(database: Engine):
    add_demo_shop(ALICE, HARBOR)
    assert kept() == Token(HARBOR.token)
    token = offline(MINUTE)
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).token = sealed(token, HARBOR.number)
    rotate_keys()
    assert kept() == token
    assert json.loads(unseal(shop_row().token, str(HARBOR.number)))["refresh"] == "shprt_0"
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).token = seal("{odd", str(HARBOR.number))
    assert kept() == Token("{odd")


def test_no_token_and_no_secret_is_shown_or_logged(
    database: Engine, shopify: TokenShop, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    add_shop(offline(-MINUTE))
    sync()
    shopify.revoke()
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).token = sealed(offline(-MINUTE, refresh="shprt_secret"), HARBOR.number)
    sync()
    grant = oauth.Grant("shpat_secret", 1, "shprt_secret", 1)
    shown = [caplog.text, repr(kept()), repr(shop_row()), repr(jobs.run_history(ALICE)), repr(grant)]
    shown.append(repr(oauth.App(CLIENT_ID, CLIENT_SECRET)))
    for text in shown:
        for secret in ("shpat_0", "shpat_1", "shprt_1", "shprt_secret", "shpat_secret", CLIENT_SECRET):
            assert secret not in text
