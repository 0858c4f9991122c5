"""Connecting a store: asked who it is before anything is saved, known by its number, its token sealed."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.db.engine import system_session
from core.db.models import Membership, Shop, SyncState
from core.db.vault import unseal
from core.errors import AppError, GarbageAnswer, InputError, NotPermitted, UnknownShop
from core.shopify.client import ShopClient
from core.sync import connect, jobs
from core.sync.connect import ShopFacts
from core.sync.streams import NAMES as STREAMS
from tests.demo_http import HARBOR, KIOSK
from tests.demo_sync import ALICE, Stage, add_demo_shop, changed_body, rows_of, shop_row, stage_demo, state, sync
from tests.factories import add_user


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


def facts_of(stage: Stage, **changes: Any) -> ShopFacts:
    """What the harbor shop says of itself, with some answers changed."""
    stage.after = lambda _, response: changed_body(response, lambda body: body["data"]["shop"].update(changes))
    with ShopClient(HARBOR.domain, HARBOR.token, transport=stage.transport(HARBOR.domain)) as client:
        facts = connect.read_facts(client)
    stage.tell_truth()
    return facts


def test_the_shop_tells_its_currency_zone_and_scopes(stage: Stage):
    facts = facts_of(stage)
    assert (facts.gid, facts.domain, facts.name) == (HARBOR.number, HARBOR.domain, HARBOR.name)
    assert (facts.currency, facts.time_zone, facts.missing_scopes) == ("USD", "America/New_York", ())
    assert facts.asked_at == stage.now


def test_missing_scopes_are_named_and_a_write_scope_is_enough(stage: Stage):
    def scopes(*handles: str) -> ShopFacts:
        installed = {"accessScopes": [{"handle": handle} for handle in handles]}
        stage.after = lambda _, r: changed_body(r, lambda body: body["data"].update(currentAppInstallation=installed))
        with ShopClient(HARBOR.domain, HARBOR.token, transport=stage.transport(HARBOR.domain)) as client:
            return connect.read_facts(client)

    assert scopes("write_orders", "read_products").missing_scopes == ("read_customers",)
    assert scopes().missing_scopes == ("read_customers", "read_orders", "read_products")


@pytest.mark.parametrize(
    "changes", [{"ianaTimezone": "Mars/Olympus"}, {"id": None}, {"id": "gid://shopify/Shop/"}, {"myshopifyDomain": 5}]
)
def test_an_answer_that_cannot_be_a_shop_is_refused(stage: Stage, changes: dict[str, Any]):
    with pytest.raises(GarbageAnswer, match="could not be read"):
        facts_of(stage, **changes)


def test_connecting_saves_the_token_sealed_and_every_stream(database: Engine, stage: Stage):
    add_user(1, "alice@example.com")
    shop_id = connect.connect_shop(facts_of(stage), HARBOR.token, owner_user_id=1, personal_data=False)
    shop = shop_row(shop_id)
    assert HARBOR.token not in repr(shop.model_dump()) and unseal(shop.token, str(shop.gid)) == HARBOR.token
    with system_session() as session:
        assert set(session.exec(select(SyncState.stream))) == set(STREAMS)
        assert session.get_one(Membership, (1, shop_id)).role == "owner"


def test_connecting_again_finds_the_shop_by_its_number_and_keeps_its_rows(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    sync()
    before = rows_of()
    renamed = facts_of(stage, myshopifyDomain="harbor-new.myshopify.com", name="Harbor New")
    assert connect.connect_shop(renamed, "shpat_new", owner_user_id=None, personal_data=True) == ALICE
    shop = shop_row()
    assert (shop.domain, shop.name, unseal(shop.token, str(shop.gid))) == (
        "harbor-new.myshopify.com", "Harbor New", "shpat_new",
    )  # fmt: skip
    assert rows_of() == before
    assert connect.find_shop("harbor-new") == ALICE
    assert not state("orders").full, "nothing that shapes the rows has changed"


def test_an_address_that_belongs_to_another_store_is_a_sentence(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    other = facts_of(stage, id="gid://shopify/Shop/4711")
    with pytest.raises(InputError, match="Another store, Harbor & Pine, was connected"):
        connect.connect_shop(other, "shpat_x", owner_user_id=None, personal_data=False)
    with system_session() as session:
        assert [shop.gid for shop in session.exec(select(Shop))] == [HARBOR.number]


def test_a_token_alone_does_not_open_a_store_that_others_own(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    add_user(1, "alice@example.com", ALICE)
    add_user(2, "charlie@example.com")
    token = shop_row().token
    with pytest.raises(NotPermitted, match="connected already"):
        connect.connect_shop(facts_of(stage), "shpat_other", owner_user_id=2, personal_data=False)
    assert shop_row().token == token
    with system_session() as session:
        assert session.get(Membership, (2, ALICE)) is None


@pytest.mark.parametrize(
    "typed",
    ["harbor-and-pine", "harbor-and-pine.myshopify.com",
     "https://harbor-and-pine.myshopify.com/admin", "Harbor-And-Pine",
     "admin.shopify.com/store/harbor-and-pine"],
)  # fmt: skip
def test_a_shop_is_found_however_its_address_is_typed(database: Engine, typed: str):
    add_demo_shop(ALICE, HARBOR)
    assert connect.find_shop(typed) == ALICE


@pytest.mark.parametrize("typed", ["", "  ", "example.com", "a b", "https://evil.example/harbor-and-pine", "ä"])
def test_what_is_no_address_of_a_store_is_said(database: Engine, typed: str):
    with pytest.raises(InputError, match="not a Shopify store address"):
        connect.find_shop(typed)


def test_an_unknown_store_says_how_to_connect_it(database: Engine):
    with pytest.raises(UnknownShop, match="python -m core shop add --domain kiosk.myshopify.com"):
        connect.find_shop("kiosk")


def test_the_demo_shops_are_made_once(database: Engine):
    first = connect.ensure_demo_shops()
    assert connect.ensure_demo_shops() == first and len(first) == 2
    with system_session() as session:
        assert [shop.gid for shop in session.exec(select(Shop).order_by("id"))] == [HARBOR.number, KIOSK.number]


def test_a_shop_that_is_connected_but_never_synced_says_so(database: Engine):
    add_demo_shop(ALICE, HARBOR)
    status = jobs.sync_status(ALICE)
    assert (status.synced_at, status.running, status.last, status.requested) == (None, None, None, False)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 423, 500])
def test_a_store_that_refuses_is_a_sentence_without_the_token(stage: Stage, status: int):
    stage.instead = lambda _: httpx2.Response(status, json={"errors": "no"})
    client = connect.ShopClient(HARBOR.domain, HARBOR.token, transport=stage.transport(HARBOR.domain))
    with client, pytest.raises(AppError) as caught:
        connect.read_facts(client)
    assert HARBOR.token not in str(caught.value) and str(caught.value).endswith(".")
