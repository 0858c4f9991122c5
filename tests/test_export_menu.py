"""The export menu of the pages: every file it offers is whole, and made only for who may have it by then."""

import io
import re
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.auth import audit, sessions
from core.auth.accounts import shops_of
from core.db.engine import system_session
from core.db.models import Membership
from core.errors import NotPermitted
from core.reports import pdf
from core.reports.table import csv_text
from core.ui import downloads
from core.ui.downloads import Offer
from tests import factories as make
from tests.test_pages import ALICE, BOB, CHARLIE, cast, no_cache, open_page, sell, tables

__all__ = ["cast", "no_cache", "tables"]
pytestmark = pytest.mark.usefixtures("cast")
WITH_MENUS = (
    "overview.py", "sales.py", "orders.py", "date_filter.py", "products.py", "customers.py", "cohorts.py",
    "forecast.py",
)  # fmt: skip
VIEWER = 9
Files = dict[str, Callable[[], bytes]]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Files, list[Offer]]]:
    """What the pages offer: each file by its name, and each menu."""
    files: Files = {}
    menus: list[Offer] = []
    drawn, shown = downloads.st.download_button, downloads.menu

    def button(label: str, data: Any, file_name: str, **more: Any) -> Any:
        files[file_name] = data
        return drawn(label, data=data, file_name=file_name, **more)

    def menu(shop: Any, offer: Offer) -> None:
        menus.append(offer)
        shown(shop, offer)

    monkeypatch.setattr(downloads.st, "download_button", button)
    monkeypatch.setattr(downloads, "menu", menu)
    yield files, menus


def kinds(at: AppTest) -> set[str]:
    return {str(button.key) for button in at.download_button}


@pytest.mark.parametrize("page", WITH_MENUS)
def test_every_file_of_a_page_is_whole_and_offered_to_who_may_export_only(offered, page):
    sell(1, 3, "33.00", days_ago=70, name="张伟", title="=1+1")
    files, menus = offered
    make.add_user(VIEWER, "vera@example.com", 1, role="viewer")
    assert not open_page(page, VIEWER).download_button
    menus.clear()
    at = open_page(page, ALICE)
    assert menus and all(each.rows for each in menus if f"{each.kind}_csv" in kinds(at))
    for each in menus:
        table = each.table()
        assert len(table.rows) == each.rows, each.title
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert csv_text(table, "USD").count("\n") == each.rows + 1 + (table.total is not None)
    files = {name: made for name, made in files.items() if page == "overview.py" or not name.endswith("png")}
    for name, made in files.items():
        content = made()
        if name.endswith("xlsx"):
            book = openpyxl.load_workbook(io.BytesIO(content))
            assert len(book.sheetnames) > 1 and book["About"]["B2"].value == "Alice (alice.myshopify.com)"
        elif name.endswith("svg"):
            assert "Data as of" in "".join(ET.fromstring(content.decode()).itertext())
        else:
            assert content.startswith((b"%PDF", b"\x89PNG")) or not re.search(rb"\bnan\b", content.lower())
    taken = {event.target for event in events()}
    assert taken == set(files) and all(name.startswith("alice_") for name in files)


def events(shop_id: int = 1) -> list[audit.Event]:
    every = audit.events(shop_id, since=make.at("2020-01-01"), until=make.at("2100-01-01"), action="export")
    assert {event.actor for event in every} <= {"alice@example.com", "bob@example.com"}
    return every


def test_a_page_makes_no_file_before_it_is_asked_for_one(offered, monkeypatch):
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("made on a run of the page")

    for room, name in ((downloads, "csv_text"), (downloads, "workbook"), (downloads.images, "png"), (pdf, "pdf")):
        monkeypatch.setattr(room, name, never)
    assert open_page("sales.py", ALICE).download_button
    assert events() == []


def test_the_code_refuses_who_may_not():
    shop = replace(shops_of(ALICE)[0], role="viewer")
    with pytest.raises(NotPermitted, match="download figures"):
        downloads.button(shop, "x", None, "csv", bytes)


def test_a_file_is_refused_after_the_role_is_gone_and_after_the_session_ended(offered):
    files, _ = offered
    open_page("date_filter.py", BOB)
    name, made = next((name, made) for name, made in files.items() if name.endswith(".csv"))
    assert made() and events()[0].actor == "bob@example.com"
    with system_session(write=True) as session:
        session.exec(select(Membership).where(Membership.user_id == BOB)).one().role = "viewer"
    with pytest.raises(NotPermitted, match="download figures"):
        made()
    with system_session(write=True) as session:
        session.delete(session.exec(select(Membership).where(Membership.user_id == BOB)).one())
    with pytest.raises(NotPermitted):
        made()
    files.clear()
    open_page("date_filter.py", ALICE)
    sessions.end_all(ALICE)
    with pytest.raises(NotPermitted, match="session ended"):
        files[name]()
    assert len(events()) == 1


def test_charlies_files_are_of_his_own_shop(offered):
    files, _ = offered
    at = open_page("date_filter.py", CHARLIE, shop="alice.myshopify.com")
    assert at.download_button and all(name.startswith("charlie_") for name in files)
    text = next(made for name, made in files.items() if name.startswith("charlie_sales_by_day"))().decode()
    assert "7777.00" in text and "165.00" not in text
    assert events() == []


def test_tables_and_charts_offer_no_download_of_their_own():
    chosen = tomllib.loads((Path(__file__).parents[1] / ".streamlit" / "config.toml").read_text())
    assert chosen["client"]["disableDataExport"] is True
