"""Marked secrets and marked people: nowhere in logs, on pages, in exports or in the database, also once redacted.

Every place is searched for a mark that is there, too, or the search would prove nothing.
"""

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import streamlit as st
from sqlalchemy import Engine, inspect
from sqlmodel import select

from core.__main__ import main
from core.analytics.period import Period
from core.auth import accounts, audit, keys, links, members, privacy, second_factor, sessions
from core.config import get_settings
from core.db import ledger
from core.db.engine import shop_session, system_session
from core.db.models import Customer, Order, QuarantinedRow, Shop
from core.db.upsert import upsert
from core.errors import AppError
from core.reports import overview
from core.reports.table import csv_text
from core.sync import connect, tokens
from core.sync.tokens import Token, sealed
from core.ui import data
from tests import factories as make
from tests.demo_http import HARBOR
from tests.demo_sync import ALICE, add_demo_shop, stage_demo, sync
from tests.demo_tokens import CLIENT_ID, CLIENT_SECRET, serve_tokens
from tests.test_connect import facts_of
from tests.test_pages import PAGES, everything, open_page
from tests.test_privacy import customer, loud_logs, store_customers

EMAIL, PASSWORD = "alice@owners.example", "a marked sentence of hers 4711"
REDACTED, CLOSED = 2, 3
# Of today, because pages show the last days.
NOW = datetime.now(UTC)
NOON = NOW.replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=9)
OPENED_ON = (NOW - timedelta(days=45)).date()
GUEST = "marked.guest@aviary.example"
MARKED = "Wilhelmina Markworth"


@dataclass
class Marks:
    """What must not be found, and the customers' names that were fetched while the merchant wanted it."""

    secrets: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)

    def found_in(self, text: str) -> list[str]:
        return [mark for mark in (*self.secrets, *self.people) if mark.lower() in text.lower()]


def live(stage: Any, user_id: int, monkeypatch: pytest.MonkeyPatch) -> Marks:
    """Secrets of every kind are made and used, rightly and wrongly; people come and are forgotten in three ways."""
    marks = Marks([PASSWORD, HARBOR.token, CLIENT_SECRET, *get_settings().encryption_keys])
    _use_secrets(marks, user_id)
    _renew_a_token(marks, monkeypatch)
    _switch_names_off(marks, stage)
    _redact(marks)
    _close(marks)
    return marks


def _use_secrets(marks: Marks, user_id: int) -> None:
    totp = second_factor.new_secret()
    codes = second_factor.switch_on(user_id, totp, pyotp.TOTP(totp).now())
    cookie = sessions.start(user_id, "192.0.2.7", "Firefox")
    key = keys.make(user_id, ALICE, "spreadsheet")
    invited = members.invite(user_id, ALICE, "new@owners.example", "viewer", by_mail=False)
    taken = members.invite(user_id, ALICE, "bob@owners.example", "viewer", by_mail=False)
    members.accept(taken, accounts.add_user("bob@owners.example", "Bob", PASSWORD + " too"))
    reset = links.reset_link(user_id, accounts.user_id_of("bob@owners.example"), ALICE)
    marks.secrets += [totp, *codes, cookie, key, invited, taken, reset, PASSWORD + " too"]
    assert keys.verify(key) is not None and accounts.verify(EMAIL, PASSWORD) == user_id
    for wrong in (lambda: accounts.verify(PASSWORD, PASSWORD), lambda: accounts.verify(EMAIL, PASSWORD + "!"),
                  lambda: links.reset(cookie, PASSWORD), lambda: second_factor.check(user_id, codes[0])):  # fmt: skip
        try:
            wrong()
        except AppError:
            logging.getLogger("core").exception("refused")


def _renew_a_token(marks: Marks, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_tokens() as shopify:
        shopify.refresh = "shprt_marked00000000000"
        for name, value in (("BASE_URL", shopify.base_url), ("API_KEY", CLIENT_ID), ("API_SECRET", CLIENT_SECRET)):
            monkeypatch.setenv(f"SHOPIFY_{name}", value)
        get_settings.cache_clear()
        old = Token("shpat_marked00000000000", "offline", NOW - timedelta(days=400), shopify.refresh)
        with system_session(write=True) as session:
            session.get_one(Shop, REDACTED).token = sealed(old, REDACTED)
        new = tokens.source(REDACTED)(None)
        marks.secrets += [old.access, old.refresh or "", new, shopify.refresh]
        shopify.revoke()
        with pytest.raises(AppError):
            tokens.source(REDACTED)(new)


def _switch_names_off(marks: Marks, stage: Any) -> None:
    """A store is synced with names, and again after its owner wanted none."""
    assert sync().outcome == "ok"
    with shop_session(ALICE) as session:
        fetched = session.exec(select(Customer.name, Customer.email)).all()
        guests = [
            number for number in session.exec(select(Order.buyer_id).distinct()) if number is not None and number < 0
        ]
    found = [mark for row in fetched for mark in row if mark]
    assert len(found) > 50 and guests
    connect.connect_shop(facts_of(stage), HARBOR.token, owner_user_id=None, personal_data=False)
    assert sync().outcome == "ok"
    marks.people += [*found, *map(str, guests)]


def _redact(marks: Marks) -> None:
    """A customer and a guest of a store that fetches names, before and after which Shopify sends them."""
    shop = make.context(REDACTED)
    for _ in range(2):
        store_customers(REDACTED, _person(901, MARKED), customer(902, "Kept", NOON))
        make.store_orders(shop, _order(1, 901), _order(2, None, email=GUEST), _order(3, 902))
        with shop_session(REDACTED, write=True) as session:
            row = {"key": "customers/901", "stream": "customers", "payload_hash": "", "seen_at": NOON}
            upsert(session, QuarantinedRow, [{**row, "reason": f"{MARKED} is odd"}])
        privacy.redact_customer(REDACTED, 901, email=GUEST)
        make.store_orders(shop, _order(2, None, email=GUEST, name="#2 again", updated_at=NOON + timedelta(days=1)))
    marks.people += [MARKED, "marked.person@aviary.example", "+4930901820", GUEST, str(ledger.buyer_id(None, GUEST))]


def _person(number: int, name: str) -> dict[str, object]:
    address = {"emailAddress": "marked.person@aviary.example"}
    return customer(number, name, NOON) | {"defaultEmailAddress": address, "phone": "+4930901820"}


def _order(number: int, buyer: int | None, **fields: Any) -> dict[str, Any]:
    bought = make.agreement(NOON, make.sale("10.0", id=f"gid://shopify/ProductSale/{number}"))
    return make.order(number, NOON, bought, customer=buyer, phone="+4930901820", **fields)


def _close(marks: Marks) -> None:
    """A store that uninstalled the app."""
    shop = make.add_shop(CLOSED, name="Marked Closing Shop", domain="marked-closing.myshopify.com")
    store_customers(CLOSED, customer(77, "Ottoline-Marked", NOON))
    make.store_orders(shop, _order(7, 77))
    privacy.delete_shop(CLOSED, actor="Shopify")
    marks.people += ["Marked Closing Shop", "marked-closing", "Ottoline-Marked"]


def pages(user_id: int) -> str:
    """Every page of both stores, as the browser is sent them."""
    st.cache_data.clear()
    domains = (HARBOR.domain, "shop-2.myshopify.com")
    return " | ".join(everything(open_page(page, user_id, shop=domain)) for page in PAGES for domain in domains)


def exports(user_id: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Every file there is to take, of both stores."""
    parts = []
    for shop in accounts.shops_of(user_id):
        month = Period(NOON.date() - timedelta(days=20), NOW.date())
        parts.append(csv_text(overview.buckets(data.load_report(shop, month, "day", 50)), shop.currency))
        parts.append(data.load_top_customers(shop, month, 500, "orders").to_csv())
        parts.append(audit.as_csv(audit.events(shop.shop_id, since=make.at("2020-01-01"), until=make.at("2100-01-01"))))
        words = ["--from", month.start.isoformat(), "--to", month.end.isoformat(), "--top", "500", "--json"]
        assert main(["metrics", "--shop", shop.domain, *words]) == 0
        parts.append(capsys.readouterr().out)
    return " | ".join(parts)


def dump(engine: Engine) -> str:
    """Every row of every table as text, by somebody whom no policy holds."""
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(get_settings().database_url.removeprefix("sqlite:///"))) as connection:
            return "\n".join(connection.iterdump())
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT set_config('role', 'none', false)")
        tables = inspect(connection).get_table_names()
        assert len(tables) > 25
        rows = [connection.exec_driver_sql(f'SELECT t::text FROM "{table}" t').scalars().all() for table in tables]
        connection.exec_driver_sql("RESET ROLE")
    return "\n".join(row for found in rows for row in found)


@pytest.fixture
def owner(database: Engine, monkeypatch: pytest.MonkeyPatch) -> int:
    """Alice owns a store as the demo tells it and another one."""
    add_demo_shop(ALICE, HARBOR, is_demo=False, opened_on=OPENED_ON)
    make.add_shop(REDACTED, personal_data=True)
    user_id = accounts.add_user(EMAIL, "Alice", PASSWORD)
    with system_session(write=True) as session:
        for shop_id in (ALICE, REDACTED):
            accounts.grant(session, user_id, shop_id, "owner")
    return user_id


def test_no_mark_is_found_anywhere(
    owner: int, database: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    stage = stage_demo(monkeypatch, OPENED_ON)
    stage.now = NOW
    with loud_logs():
        marks = live(stage, owner, monkeypatch)
        shown = pages(owner)
    told = capsys.readouterr()
    places = {
        "logs": told.out + told.err,
        "pages": shown,
        "exports": exports(owner, capsys),
        "dump": dump(database),
    }
    for place, known in (("logs", "sync of shop"), ("pages", "Kept"), ("exports", "Kept"), ("dump", "Kept")):
        assert known in places[place], f"{place} were searched"
    assert len(marks.secrets) > 20 and len(marks.people) > 60
    assert {place: found for place, text in places.items() if (found := marks.found_in(text))} == {}


def test_each_search_finds_a_mark_that_is_there(
    owner: int, database: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """What keeps the other test from being green for nothing."""
    marks = Marks(["marked secret"], [MARKED])
    store_customers(REDACTED, _person(901, MARKED))
    make.store_orders(make.context(REDACTED), _order(1, 901))
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).name = "marked secret"
    with loud_logs():
        logging.getLogger("core.sync").info("%s and a %s", MARKED, "marked secret")
        shown = pages(owner)
    assert marks.found_in(capsys.readouterr().err) == ["marked secret", MARKED]
    assert marks.found_in(shown) == ["marked secret", MARKED]
    assert marks.found_in(dump(database)) == ["marked secret", MARKED]
    assert marks.found_in(exports(owner, capsys)) == [MARKED]
