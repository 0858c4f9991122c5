"""Installing the app at Shopify, over real HTTP: there with a state, back with a code, and what may go wrong."""

import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.auth import audit, sessions, tickets
from core.auth.tickets import digest
from core.config import get_settings
from core.db.engine import system_session
from core.db.models import AuthTicket, Membership, Shop
from core.demo.install import DemoApp, signed
from core.errors import DatabaseUnavailable, Throttled
from core.shopify.queries import SHOP
from core.sync import connect, tokens
from core.sync.install import CONNECT, PROBLEMS, SAID
from core.sync.jobs import sync_status
from core.sync.tokens import Token, sealed, stored
from core.web import install as web
from core.web.middleware import COOKIE, MIDDLEWARE
from core.web.routes import ROUTES
from tests import factories as make
from tests.demo_http import HARBOR, KIOSK, serve_demo
from tests.demo_sync import NOW, OPENED_ON, sync
from tests.event_loop import run
from tests.test_oauth import TRICKS

ALICE, VERA, CHARLIE, ADAM, ANNA = 1, 2, 3, 4, 5
OURS = "http://localhost"
PATIENCE_S = 120.0
SECRET, OLD_SECRET = "client-secret-of-the-app", "client-secret-before"
STATE = re.compile(r"state=[\w-]{43}(&|$)")


@pytest.fixture(autouse=True)
def people(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has a store yet; the app can be installed."""
    for user_id, name in ((ALICE, "alice"), (VERA, "vera"), (CHARLIE, "charlie"), (ADAM, "adam"), (ANNA, "anna")):
        make.add_user(user_id, f"{name}@example.com")
    for key, value in (("KEY", "client-id"), ("SECRET", SECRET), ("SECRET_OLD", OLD_SECRET)):
        monkeypatch.setenv(f"SHOPIFY_API_{key}", value)
    monkeypatch.setenv("APP_URL", OURS)
    monkeypatch.setenv("DEMO", "0")
    get_settings.cache_clear()


@pytest.fixture
def shopify(monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoApp]:
    """Shopify, where merchants agree at once."""
    app = DemoApp("client-id", SECRET, (f"{OURS}/shopify/callback",), asks=False)
    with serve_demo(OPENED_ON, lambda: NOW, app) as base_url:
        monkeypatch.setenv("SHOPIFY_BASE_URL", f"{base_url}/{{shop}}")
        get_settings.cache_clear()
        yield app


class Browser:
    """A browser that is signed in as somebody, or as nobody; it follows redirects by hand."""

    def __init__(self, user_id: int | None = None) -> None:
        self.cookie = sessions.start(user_id, "192.0.2.1", "Firefox") if user_id is not None else None

    def get(self, address: str, method: str = "GET", **headers: str) -> httpx2.Response:
        if self.cookie is not None:
            headers["cookie"] = f"{COOKIE}={self.cookie}"
        if not address.startswith(OURS):
            return httpx2.get(address, timeout=PATIENCE_S)
        pages = Route("/{rest:path}", lambda _: PlainTextResponse("page"))
        program = Starlette(routes=[*ROUTES, pages], middleware=MIDDLEWARE)

        async def send() -> httpx2.Response:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=program), base_url=OURS) as client:
                return await client.request(method, address, headers=headers)

        answer: httpx2.Response = run(send)
        return answer

    def to(self, address: str, **headers: str) -> str:
        """Where it is sent on to."""
        answer = self.get(address, **headers)
        assert answer.status_code in (302, 303), answer.text
        return answer.headers["location"]

    def install(self, shop: str = HARBOR.domain, **more: str) -> str:
        """The whole way; where it ends."""
        return self.to(self.back_from_shopify(shop, **more))

    def back_from_shopify(self, shop: str = HARBOR.domain, **more: str) -> str:
        """The address that Shopify sends it back to."""
        headers = {"sec-fetch-site": "same-origin"} if more else {}
        at_shopify = self.to(f"{OURS}/shopify/install?{urlencode({'shop': shop, **more})}", **headers)
        return self.to(at_shopify)


def said(address: str) -> str:
    """What the page at this address is to say: a problem, or the sentence left for a user."""
    words = dict(parse_qsl(urlsplit(address).query))[SAID]
    if words in PROBLEMS:
        return words
    ticket = tickets.peek(words, SAID)
    assert ticket is not None
    return ticket.details["sentence"]


def shop_now() -> Shop:
    """The harbor shop as it is stored."""
    with system_session() as session:
        return session.exec(select(Shop).where(Shop.gid == HARBOR.number)).one()


def members() -> dict[int, str]:
    """Who may open the harbor shop, and as what."""
    shop_id = shop_now().id
    with system_session() as session:
        return {
            each.user_id: each.role for each in session.exec(select(Membership).where(Membership.shop_id == shop_id))
        }


def works() -> bool:
    """Whether Shopify answers with the token that is stored."""
    with connect.client_for(shop_now()) as client:
        return bool(client.execute(SHOP).data)


def no_shops() -> bool:
    with system_session() as session:
        return session.exec(select(Shop)).first() is None


def call_back(state: str, secret: str = SECRET, **more: str | None) -> str:
    """An address as Shopify makes it, for a code that it never gave."""
    given = {"code": "0" * 32, "shop": HARBOR.domain, "state": state, "timestamp": str(int(time.time()))} | more
    return f"{OURS}/shopify/callback?{signed({k: v for k, v in given.items() if v is not None}, secret)}"


def state_of(browser: Browser, shop: str = HARBOR.domain) -> str:
    return dict(parse_qsl(urlsplit(browser.to(f"{OURS}/shopify/install?shop={shop}")).query))["state"]


# The whole way


def test_a_merchant_connects_a_store_by_installing_the_app(shopify):
    alice = Browser(ALICE)
    at_shopify = alice.to(f"{OURS}/shopify/install?shop=Harbor-and-Pine")
    asked = dict(parse_qsl(urlsplit(at_shopify).query))
    assert f"/{HARBOR.domain}/admin/oauth/authorize?" in at_shopify
    assert (asked["client_id"], asked["redirect_uri"]) == ("client-id", f"{OURS}/shopify/callback")
    assert asked["scope"].split(",") == list(connect.wanted_scopes())
    assert re.fullmatch(r"[\w-]{43}", asked["state"], re.ASCII)

    end = alice.to(alice.to(at_shopify))
    assert end.startswith(f"{OURS}/sync?shop={HARBOR.domain}&{SAID}=")
    assert said(end) == "Harbor & Pine is connected, and its sync has been asked for."
    shop = shop_now()
    assert (shop.domain, shop.currency, shop.time_zone) == (HARBOR.domain, HARBOR.currency, HARBOR.time_zone)
    assert set(shop.scopes.split(",")) == set(connect.wanted_scopes()) and not shop.personal_data
    assert members() == {ALICE: "owner"} and sync_status(shop.id).requested
    token = stored(shop)
    assert (token.kind, token.client_id) == ("offline", "client-id") and token.refresh == shopify.refresh[HARBOR.domain]
    left = token.expires_at - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    assert token.access not in shop.token and token.access in shopify.tokens
    [event] = [each for each in events(shop.id) if each.action == "store_connect"]
    assert (event.actor, event.target, event.result) == ("alice@example.com", HARBOR.domain, "ok")
    assert sync(shop.id).outcome == "ok" and not sync_status(shop.id).lacking_scopes


def events(shop_id: int) -> list[audit.Event]:
    return audit.events(shop_id, since=make.at("2020-01-01"), until=make.at("2100-01-01"))


def test_webhooks_are_made_after_each_install_and_a_failure_of_theirs_harms_nothing(shopify, monkeypatch, caplog):
    made: list[int] = []
    monkeypatch.setattr(web.subscriptions, "ensure", made.append)
    Browser(ALICE).install()
    Browser(ALICE).install()
    assert made == [shop_now().id] * 2
    for error in Throttled("Shopify asks to wait."), RuntimeError("unforeseen"):

        def fail(_: int, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(web.subscriptions, "ensure", fail)
        assert said(Browser(ALICE).install()).startswith(HARBOR.name) and works()
        assert f"webhooks of shop {shop_now().id} are not made yet: {error}" in caplog.text


def test_what_is_asked_for_follows_from_what_is_read():
    assert connect.wanted_scopes() == (
        "read_customers", "read_inventory", "read_locations", "read_orders", "read_products",
    )  # fmt: skip
    assert connect.lacking(("write_orders", "read_products", "read_customers")) == ("read_inventory", "read_locations")


def test_the_readme_says_which_scopes_and_addresses_the_app_needs():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    needed = (*connect.wanted_scopes(), "https://your-address/shopify", "https://your-address/shopify/callback")
    assert [each for each in needed if f"`{each}`" not in readme] == []


def test_nothing_secret_stays_in_the_address_or_is_told_to_the_next_page_or_the_log(shopify, caplog):
    caplog.set_level(logging.DEBUG)
    alice = Browser(ALICE)
    back = alice.back_from_shopify()
    refused = alice.get(call_back("x" * 43))
    done = alice.get(back)
    again = alice.get(back)
    token = stored(shop_now())
    given = dict(parse_qsl(urlsplit(back).query))
    secrets = [given["code"], given["state"], given["hmac"], SECRET, OLD_SECRET, token.access, token.refresh]
    for answer in refused, done, again:
        assert answer.headers["cache-control"] == "no-store" and answer.headers["referrer-policy"] == "no-referrer"
        assert not [secret for secret in secrets if secret in answer.headers["location"] + answer.text]
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("core"))
    assert "an install was not gone on with: used" in ours
    # The test's own client logs the addresses it asks for; nothing of the app's does.
    assert not [secret for secret in secrets if secret in ours]
    with system_session() as session:
        kept = repr([row.model_dump() for row in session.exec(select(AuthTicket))])
        kept += repr([row.model_dump() for row in session.exec(select(Shop))])
    assert not [secret for secret in secrets if secret in kept]


@pytest.mark.parametrize(("word", "wanted"), [("1", True), ("0", False), ("yes", False)])
def test_names_are_fetched_where_the_form_says_so(shopify, word, wanted):
    Browser(ALICE).install(names=word)
    assert shop_now().personal_data is wanted


def test_a_link_from_elsewhere_cannot_switch_names_on_or_off(shopify):
    alice = Browser(ALICE)
    for word, site in (("1", "cross-site"), ("1", "none"), ("1", "same-site")):
        at_shopify = alice.to(f"{OURS}/shopify/install?shop={HARBOR.domain}&names={word}", **{"sec-fetch-site": site})
        alice.to(alice.to(at_shopify))
        assert not shop_now().personal_data
    alice.install(names="1")
    alice.install()
    assert shop_now().personal_data


def test_without_the_settings_there_is_nothing(monkeypatch):
    monkeypatch.delenv("APP_URL")
    get_settings.cache_clear()
    for path in ("/shopify", "/shopify/install?shop=kiosk", call_back("x").removeprefix(OURS)):
        assert Browser(ALICE).get(OURS + path).status_code == 404
    assert Browser(ALICE).get(f"{OURS}/?hmac=1").text == "page"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/shopify", "/shopify/install", "/shopify/callback"])
def test_only_a_get_is_answered(path, method):
    assert Browser(ALICE).get(f"{OURS}{path}?shop=kiosk", method).status_code == 404


# The state


def test_a_state_is_good_once(shopify):
    alice = Browser(ALICE)
    back = alice.back_from_shopify()
    alice.to(back)
    before = shop_now().token
    assert said(alice.to(back)) == "used" and shop_now().token == before


def test_a_code_is_good_once_whatever_the_state(shopify):
    alice = Browser(ALICE)
    back = dict(parse_qsl(urlsplit(alice.back_from_shopify()).query))
    alice.to(call_back(back["state"], code=back["code"]))
    before = shop_now().token
    end = alice.to(call_back(state_of(alice), code=back["code"]))
    assert "only once and soon" in said(end) and shop_now().token == before


def test_only_the_hash_of_a_state_is_kept_for_ten_minutes(shopify):
    alice = Browser(ALICE)
    state = state_of(alice)
    with system_session(write=True) as session:
        [row] = session.exec(select(AuthTicket).where(AuthTicket.purpose == web.STATE)).all()
        assert row.hash == digest(state) and state not in repr(row.model_dump())
        left = row.expires_at - datetime.now(UTC)
        assert timedelta(minutes=9) < left <= timedelta(minutes=10)
        row.expires_at = datetime.now(UTC)
    assert said(alice.to(call_back(state))) == "used" and no_shops()


@pytest.mark.parametrize("state", ["", "x" * 43, "é", "' OR 1=1 --", "\ufffd", "a" * 5000])
def test_an_invented_state_is_none(shopify, state):
    assert said(Browser(ALICE).to(call_back(state))) == "used" and no_shops()


def test_a_state_of_another_purpose_is_none(shopify):
    other = tickets.issue("reset", user_id=ALICE, lifetime=timedelta(hours=1))
    assert said(Browser(ALICE).to(call_back(other))) == "used"
    assert tickets.peek(other, "reset") is not None


def test_charlie_cannot_go_on_with_what_alice_began_nor_she_with_what_he_did(shopify):
    alice, charlie = Browser(ALICE), Browser(CHARLIE)
    assert said(charlie.to(alice.back_from_shopify())) == "elsewhere"
    assert said(alice.to(charlie.back_from_shopify())) == "elsewhere" and no_shops()


def test_an_install_goes_on_only_in_the_browser_it_was_begun_in(shopify):
    back = Browser(ALICE).back_from_shopify()
    assert said(Browser(ALICE).to(back)) == "elsewhere" and no_shops()
    assert said(Browser().to(Browser(ALICE).back_from_shopify())) == "elsewhere" and no_shops()


def test_a_session_that_ended_meanwhile_connects_nothing(shopify):
    alice = Browser(ALICE)
    back = alice.back_from_shopify()
    sessions.end(digest(alice.cookie))
    assert said(alice.to(back)) == "elsewhere" and no_shops()


def test_an_answer_for_another_store_is_refused(shopify):
    alice = Browser(ALICE)
    assert said(alice.to(call_back(state_of(alice), shop=KIOSK.domain))) == "other" and no_shops()


# What comes back


@pytest.mark.parametrize("spoil", ["code", "shop", "state", "timestamp", "more", "hmac", "twice", "none"])
def test_what_was_changed_on_the_way_is_refused_and_the_state_is_still_good(shopify, spoil):
    alice = Browser(ALICE)
    back = alice.back_from_shopify()
    address, _, query = back.partition("?")
    given = dict(parse_qsl(query))
    if spoil == "more":
        given["x"] = "1"
    elif spoil == "none":
        del given["hmac"]
    elif spoil != "twice":
        given[spoil] = given[spoil][:-1] + ("1" if given[spoil][-1] != "1" else "2")
    forged = urlencode(given) + (f"&shop={KIOSK.domain}" if spoil == "twice" else "")
    assert said(alice.to(f"{address}?{forged}")) == "forged" and no_shops()
    assert said(alice.to(back)).startswith(HARBOR.name)


def test_a_signature_of_another_app_is_none_and_one_of_the_secret_before_is_one(shopify):
    alice = Browser(ALICE)
    assert said(alice.to(call_back(state_of(alice), "another-secret"))) == "forged"
    back = dict(parse_qsl(urlsplit(alice.back_from_shopify()).query))
    del back["hmac"]
    assert said(alice.to(f"{OURS}/shopify/callback?{signed(back, OLD_SECRET)}")).startswith(HARBOR.name)


@pytest.mark.parametrize("off_s", [-7 * 86_400, -3600, 3600, None])
def test_an_answer_of_another_time_is_refused(shopify, off_s):
    alice = Browser(ALICE)
    timestamp = None if off_s is None else str(int(time.time()) + off_s)
    assert said(alice.to(call_back(state_of(alice), timestamp=timestamp))) == "late" and no_shops()


@pytest.mark.parametrize("host", TRICKS, ids=range(len(TRICKS)))
def test_no_trick_with_the_host_gets_a_code_sent_anywhere(shopify, host):
    alice = Browser(ALICE)
    assert said(alice.to(call_back(state_of(alice), shop=host))) == "address"
    there = urlsplit(alice.to(f"{OURS}/shopify/install?{urlencode({'shop': host})}"))
    ours = there.netloc == urlsplit(OURS).netloc and there.path == "/stores"
    assert ours or re.fullmatch(rf"/{re.escape(HARBOR.domain)}/admin/oauth/authorize", there.path)
    assert no_shops()


def test_an_answer_without_a_code_connects_nothing(shopify):
    alice = Browser(ALICE)
    assert "Begin again" in said(alice.to(call_back(state_of(alice), code=None))) and no_shops()


def test_a_merchant_who_does_not_agree_changes_nothing(shopify):
    alice = Browser(ALICE)
    at_shopify = alice.to(f"{OURS}/shopify/install?shop={HARBOR.domain}")
    shopify.asks = True
    page = alice.get(at_shopify)
    assert page.status_code == 200 and "read_orders" in page.text
    assert said(alice.to(alice.to(f"{at_shopify}&answer=cancel"))) == "denied" and no_shops()


def test_a_shopify_that_does_not_answer_is_a_sentence(shopify, monkeypatch):
    alice = Browser(ALICE)
    state = state_of(alice)
    monkeypatch.setenv("SHOPIFY_BASE_URL", "http://127.0.0.1:9")
    get_settings.cache_clear()
    end = alice.to(call_back(state))
    assert end.startswith(f"{OURS}/stores?") and "could not be reached" in said(end) and no_shops()


def test_while_the_database_is_away_nothing_is_used_up(shopify, monkeypatch):
    def away(_: str) -> None:
        raise DatabaseUnavailable("The database does not answer. Try again in a minute.")

    alice = Browser(ALICE)
    back = alice.back_from_shopify()
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "check", away)
        for address in back, opened(), f"{OURS}/shopify/install?shop=kiosk":
            answer = alice.get(address)
            assert (answer.status_code, answer.text) == (503, "The database does not answer. Try again in a minute.")
    assert said(alice.to(back)).startswith(HARBOR.name)


def test_every_way_leads_to_shopify_or_to_a_page_of_ours(shopify, monkeypatch):
    alice, evil = Browser(ALICE), {"host": "evil.example", "x-forwarded-host": "evil.example", "origin": "evil.example"}
    for path in ("install?shop=evil.com", f"install?shop={HARBOR.domain}&next=https://evil.example", "callback?error=x",
                 "callback?return_to=//evil.example", "install?shop=//evil.example", "install",
                 "install?shop=a&shop=evil.com"):  # fmt: skip
        for browser in alice, Browser():
            there = urlsplit(browser.to(f"{OURS}/shopify/{path}", **evil))
            assert "evil" not in there.netloc + there.path and "evil.example" not in there.query
            assert there.netloc in (urlsplit(OURS).netloc, urlsplit(get_settings().shopify_base_url).netloc)


# Scopes


def test_scopes_that_were_not_granted_are_told_and_can_be_granted_later(shopify):
    shopify.grants_at_most = ("read_orders", "read_products", "read_customers")
    alice = Browser(ALICE)
    end = alice.install()
    assert "What needs read_inventory, read_locations is left out" in said(end)
    shop = shop_now()
    assert sync_status(shop.id).lacking_scopes == ("read_inventory", "read_locations")
    shopify.grants_at_most = None
    assert said(alice.install()).endswith("has been asked for.")
    assert sync_status(shop.id).lacking_scopes == () and shop_now().id == shop.id


# Again


def test_installing_again_replaces_the_token_and_keeps_data_names_and_members(shopify):
    alice = Browser(ALICE)
    alice.install(names="1")
    shop, first = shop_now(), stored(shop_now())
    make.store_orders(make.context(shop.id), make.order(7, NOW))
    with system_session(write=True) as session:
        session.add(Membership(user_id=ADAM, shop_id=shop.id, role="admin"))
        session.add(Membership(user_id=VERA, shop_id=shop.id, role="viewer"))
    before = members()
    for who in ALICE, ADAM:
        shopify.uninstall(HARBOR.domain)
        end = Browser(who).install()
        assert said(end).startswith(HARBOR.name)
        token = stored(shop_now())
        assert token.access != first.access and token.access in shopify.tokens
    assert (members(), shop_now().id, shop_now().personal_data) == (before, shop.id, True)
    assert works()


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_who_may_not_connect_the_store_is_refused_before_shopify_is_asked(shopify, role):
    Browser(ALICE).install()
    shop = shop_now()
    with system_session(write=True) as session:
        session.add(Membership(user_id=VERA, shop_id=shop.id, role=role))
    end = Browser(VERA).to(f"{OURS}/shopify/install?shop={HARBOR.domain}")
    assert end.startswith(f"{OURS}/stores?") and f"As {role} of this store you may not connect" in said(end)
    assert shop_now().token == shop.token


def test_who_was_made_a_viewer_meanwhile_is_refused_too(shopify):
    Browser(ALICE).install()
    adam = Browser(ADAM)
    with system_session(write=True) as session:
        session.add(Membership(user_id=ADAM, shop_id=shop_now().id, role="admin"))
    back = adam.back_from_shopify()
    with system_session(write=True) as session:
        session.get_one(Membership, (ADAM, shop_now().id)).role = "viewer"
    before = shop_now().token
    assert "connected already" in said(adam.to(back)) and shop_now().token == before
    assert members()[ADAM] == "viewer"


def test_charlie_cannot_take_a_store_even_with_the_right_to_install_there(shopify):
    """Somebody of the store's staff, in Shopify; here its owner decides who is let in."""
    Browser(ALICE).install()
    before, granted = shop_now(), dict(shopify.tokens)
    end = Browser(CHARLIE).install()
    assert "Ask its owner to let you in" in said(end) and members() == {ALICE: "owner"}
    assert shop_now().token == before.token and shopify.tokens == granted, "the code was not exchanged"
    assert works()
    with system_session() as session:
        assert session.exec(select(Membership).where(Membership.user_id == CHARLIE)).first() is None


def test_whether_a_store_is_connected_here_is_told_to_nobody_who_cannot_install_there(shopify):
    Browser(ALICE).install()
    known, unknown = (Browser(CHARLIE).to(f"{OURS}/shopify/install?shop={each}") for each in (HARBOR.domain, "nobody"))
    other = unknown.replace("nobody.myshopify.com", HARBOR.domain)
    assert STATE.sub("", known) == STATE.sub("", other)


def renamed_from(domain: str) -> Shop:
    """The harbor shop was connected by another address."""
    with system_session(write=True) as session:
        shop = session.exec(select(Shop).where(Shop.gid == HARBOR.number)).one()
        shop.domain = domain
    return shop_now()


def test_a_renamed_store_is_found_by_its_number(shopify):
    alice = Browser(ALICE)
    alice.install()
    before = renamed_from("harbor-before.myshopify.com")
    alice.install()
    assert (shop_now().id, shop_now().domain) == (before.id, HARBOR.domain) and members() == {ALICE: "owner"}


def test_charlie_cannot_take_a_renamed_store_and_does_not_stop_its_sync(shopify):
    """Only the token tells that it is the same store; giving it ended the refresh token the store lives on."""
    Browser(ALICE).install()
    shop = renamed_from("harbor-before.myshopify.com")
    end = Browser(CHARLIE).install()
    assert "connected already" in said(end) and members() == {ALICE: "owner"}
    assert shop_now().domain == "harbor-before.myshopify.com"
    token = stored(shop_now())
    assert token.refresh == shopify.refresh[HARBOR.domain] and token != stored(shop)


@pytest.mark.parametrize("kept", ["", "permanent", "of another app", "refused"])
def test_a_store_that_does_not_live_on_the_token_gets_none_from_charlie(shopify, kept):
    Browser(ALICE).install()
    renamed_from("harbor-before.myshopify.com")
    with system_session(write=True) as session:
        shop = session.exec(select(Shop)).one()
        if kept == "refused":
            shop.reauth_since = datetime.now(UTC)
        else:
            other = {"permanent": Token("shpat_1"), "of another app": Token("shpat_1", "offline", client_id="other")}
            shop.token = sealed(other[kept], shop.gid) if kept else ""
    before = shop_now().token
    Browser(CHARLIE).install()
    assert shop_now().token == before


def test_a_disconnected_store_and_one_whose_token_was_refused_are_connected_again(shopify):
    alice = Browser(ALICE)
    alice.install()
    shop_id = shop_now().id
    connect.disconnect_shop(shop_id)
    alice.install()
    assert not sync_status(shop_id).disconnected and sync_status(shop_id).requested
    shopify.uninstall(HARBOR.domain)
    assert sync(shop_id).outcome == "failed" and sync_status(shop_id).reauth_since is not None
    alice.install()
    assert sync_status(shop_id).reauth_since is None and works()


def test_the_token_of_an_install_is_renewed_when_it_ends(shopify):
    Browser(ALICE).install()
    shop = shop_now()
    with system_session(write=True) as session:
        old = stored(shop)
        ended = Token(old.access, old.kind, datetime.now(UTC), old.refresh, old.refresh_expires_at, old.client_id)
        session.get_one(Shop, shop.id).token = sealed(ended, shop.gid)
    assert tokens.source(shop.id)(None) in shopify.tokens and stored(shop_now()).access != old.access


def test_a_demo_store_is_not_installed(shopify, monkeypatch):
    connect.ensure_demo_shops()
    before = shop_now().token
    assert "comes with the program" in said(Browser(CHARLIE).install()) and shop_now().token == before


# From Shopify's side


def opened(secret: str = SECRET, path: str = "/shopify", **more: str) -> str:
    given = {"shop": HARBOR.domain, "timestamp": str(int(time.time())), "host": "YWRtaW4", **more}
    return f"{OURS}{path}?{signed(given, secret)}"


def test_who_comes_from_shopify_goes_on_to_the_install(shopify):
    alice = Browser(ALICE)
    assert f"/{HARBOR.domain}/admin/oauth/authorize?" in alice.to(opened())
    root = alice.to(opened(path="/"))
    assert root.startswith("shopify?")
    assert said(alice.to(alice.to(alice.to(f"{OURS}/{root}")))).startswith(HARBOR.name)


def test_who_is_signed_out_keeps_the_store_through_the_sign_in(shopify):
    for address in opened(), f"{OURS}/shopify/install?shop={HARBOR.domain}":
        assert Browser().to(address) == f"{OURS}/stores?{CONNECT}={HARBOR.domain}"


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_a_store_that_is_connected_is_just_opened_for_its_members(shopify, role):
    Browser(ALICE).install()
    with system_session(write=True) as session:
        session.get_one(Membership, (ALICE, shop_now().id)).role = role
    assert Browser(ALICE).to(opened()) == f"{OURS}/?shop={HARBOR.domain}"
    assert "/admin/oauth/authorize?" in Browser(CHARLIE).to(opened())
    connect.disconnect_shop(shop_now().id)
    there = Browser(ALICE).to(opened())
    assert "/admin/oauth/authorize?" in there if role == "owner" else "may not connect" in said(there)


def test_what_only_says_to_come_from_shopify_is_refused(shopify):
    alice = Browser(ALICE)
    assert said(alice.to(opened("another-secret"))) == "forged"
    assert said(alice.to(opened(timestamp=str(int(time.time()) - 7 * 86_400)))) == "late"
    assert said(alice.to(opened(shop="evil.com"))) == "address"
    assert alice.to(f"{OURS}/shopify") == f"{OURS}/"
    assert alice.get(f"{OURS}/?shop={HARBOR.domain}").text == "page"
