"""Disconnecting a store: the token is forgotten, nothing is asked any more, the data stays, connecting goes on."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import Engine

from core.__main__ import main
from core.db.engine import system_session
from core.db.models import Shop
from core.db.vault import rotate_keys, seal
from core.errors import InputError, LeaseLost, UnknownShop
from core.shopify.queries import SHOP
from core.sync import connect, engine, jobs, lease, tokens
from core.sync.streams import NAMES as STREAMS
from tests.demo_http import HARBOR, KIOSK
from tests.demo_sync import ALICE, CHARLIE, Asked, Stage, add_demo_shop, rows_of, shop_row, stage_demo, state
from tests.kept_shop import add_synced_shop
from tests.test_connect import facts_of


@pytest.fixture
def stage(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Two stores that count as real ones, behind a stage; Alice's is synced."""
    stage = stage_demo(monkeypatch)
    add_synced_shop(stage)
    add_demo_shop(CHARLIE, KIOSK, is_demo=False)
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).is_demo = False
    return stage


def test_the_token_is_gone_and_the_data_stays(stage: Stage):
    before = rows_of()
    assert connect.disconnect_shop(ALICE) == HARBOR.domain
    assert shop_row().token == "" and rows_of() == before
    assert shop_row(CHARLIE).token, "the other store keeps its own"
    status = jobs.sync_status(ALICE)
    assert status.disconnected and {row.state for row in status.streams} == {"disconnected"}
    assert not jobs.sync_status(CHARLIE).disconnected
    assert stage.asked == []


def test_nothing_makes_a_disconnected_store_due(stage: Stage):
    connect.disconnect_shop(ALICE)
    with pytest.raises(InputError, match="Connect it again"):
        jobs.request_sync(ALICE, asked_by="button")
    with pytest.raises(InputError, match="Connect it again"):
        jobs.sync_now(ALICE, full=True)
    jobs.set_schedule(ALICE, "orders", 3600)
    with system_session(write=True) as session:
        lease.ensure_streams(session, ALICE)
    far = datetime.now(UTC) + timedelta(days=400)
    assert [state(stream).due_at for stream in STREAMS] == [None] * len(STREAMS)
    assert lease.claim(ALICE, now=far) is None
    assert stage.asked == []


def test_the_command_line_refuses_with_a_sentence(stage: Stage, capsys: pytest.CaptureFixture[str]):
    connect.disconnect_shop(ALICE)
    assert main(["sync", "--shop", HARBOR.domain]) == 1
    assert "disconnected" in capsys.readouterr().err
    assert stage.asked == []


@pytest.mark.parametrize("requests", [1, 2, 5, 9])
def test_a_sync_that_runs_sends_no_request_after_it_and_stores_nothing(stage: Stage, requests: int):
    connect.connect_shop(facts_of(stage), HARBOR.token, owner_user_id=None, personal_data=False)  # everything anew
    stage.asked.clear()
    before = rows_of()

    def cut(_: Asked) -> httpx2.Response | None:
        if len(stage.asked) == requests:
            connect.disconnect_shop(ALICE)
        return None

    stage.instead = cut
    jobs.request_sync(ALICE, full=True)
    claim = lease.claim(ALICE)
    assert claim is not None
    assert engine.run_claim(claim, trigger="worker") == "interrupted"
    assert "disconnected" in (jobs.run_history(ALICE)[0].problem or "")
    assert len([asked for asked in stage.asked if asked.query]) <= requests
    assert [state(stream).due_at for stream in STREAMS] == [None] * len(STREAMS)
    if requests == 1:
        assert rows_of() == before
    assert shop_row().token == ""


def test_a_client_that_has_the_token_already_sends_nothing_more(stage: Stage):
    with connect.client_for(shop_row()) as client:
        client.execute(SHOP)
        connect.disconnect_shop(ALICE)
        with pytest.raises(LeaseLost, match="disconnected"):
            client.execute(SHOP)
    assert len(stage.asked) == 1


def test_a_token_that_was_asked_for_meanwhile_is_not_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    ended = tokens.Token("shpat_old", "offline", datetime.now(UTC) - timedelta(hours=1), "shprt_1")
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).token = tokens.sealed(ended, HARBOR.number)

    def renewed(_old: tokens.Token, _domain: str) -> tokens.Token:
        connect.disconnect_shop(ALICE)
        return tokens.Token("shpat_new", "offline", datetime.now(UTC) + timedelta(hours=1), "shprt_2")

    monkeypatch.setattr(tokens, "_app", lambda *_: None)
    monkeypatch.setattr(tokens, "_renewed", renewed)
    with pytest.raises(LeaseLost, match="disconnected"):
        tokens.source(ALICE)(None)
    assert shop_row().token == ""


def test_connecting_again_goes_on_where_it_stopped(stage: Stage):
    before = rows_of()
    connect.disconnect_shop(ALICE)
    assert connect.connect_shop(facts_of(stage), HARBOR.token, owner_user_id=None, personal_data=True) == ALICE
    assert not jobs.sync_status(ALICE).disconnected
    claim = lease.claim(ALICE)
    assert claim is not None and set(claim.epochs) == set(STREAMS) and "orders" not in claim.full
    assert engine.run_claim(claim, trigger="worker") == "ok"
    assert rows_of()["order"] == before["order"]


def test_disconnecting_twice_changes_nothing_and_other_keys_still_rotate(stage: Stage):
    for _ in range(2):
        connect.disconnect_shop(ALICE)
    done = rotate_keys()
    assert done.counts["access tokens"] == 1 and done.lost == ()
    assert shop_row().token == ""


def test_a_token_shopify_refused_is_forgotten_too(stage: Stage):
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).reauth_since = datetime.now(UTC)
    connect.disconnect_shop(ALICE)
    status = jobs.sync_status(ALICE)
    assert status.disconnected and status.reauth_since is None


def test_a_demo_store_and_one_that_is_not_there_are_not_disconnected(stage: Stage):
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).is_demo = True
    with pytest.raises(InputError, match="Hide it"):
        connect.disconnect_shop(ALICE)
    assert shop_row().token
    with pytest.raises(UnknownShop):
        connect.disconnect_shop(99)


def test_an_empty_token_is_no_secret(stage: Stage):
    """Negative: what is sealed opens, what is empty says that the store is disconnected, not that a key is wrong."""
    shop = shop_row()
    assert tokens.stored(shop).access == HARBOR.token
    shop.token = seal("", str(shop.gid))
    assert tokens.stored(shop).access == ""
    shop.token = ""
    with pytest.raises(LeaseLost):
        tokens.stored(shop)
