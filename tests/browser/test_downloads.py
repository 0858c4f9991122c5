"""Downloads of a running app: for the session whose page offered them, and for nobody who has the address only."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import streamlit
from playwright.sync_api import Page

from core import config
from core.auth import audit, sessions
from core.auth.tickets import digest
from core.db.engine import get_engine
from core.web.middleware import COOKIE
from tests import factories as make
from tests.browser.conftest import RunningApp
from tests.browser.test_take_over import XSRF, connect, cookie_of, in_this_tab, play
from tests.browser.test_whole_path import sign_in
from tests.test_pages import synced

OTHER = XSRF.replace("aa11|1", "aa12|1")


@pytest.fixture(autouse=True)
def same_database(app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process reads and writes what the app does."""
    monkeypatch.setenv("DATA_DIR", str(app.data_dir))
    monkeypatch.delenv("APP_ENCRYPTION_KEYS")
    config.get_settings.cache_clear()
    get_engine.cache_clear()


def get(
    app: RunningApp, address: str, cookie: str | None = None, method: str = "GET", **headers: str
) -> httpx2.Response:
    sent = {**headers, **({"cookie": cookie} if cookie else {})}
    return httpx2.request(method, app.url + address, headers=sent, timeout=120)


def test_a_download_is_served_to_the_session_that_was_offered_it_and_to_nobody_else(app: RunningApp):
    async def story() -> None:
        cookie = cookie_of(app, "alice")
        sessions.end(digest(cookie_of(app, "alice").removeprefix(f"{COOKIE}=")))  # something to list
        alice = await connect(app, cookie, page="audit")
        charlie_cookie = cookie_of(app, "charlie")
        charlie = await connect(app, charlie_cookie, page="audit")
        (address,) = [file for file in alice.files if file.endswith(".csv")]
        assert address not in charlie.files

        served = get(app, address, cookie)
        assert served.status_code == 200 and served.text.startswith("at,actor,action")
        assert "attachment" in served.headers["content-disposition"]

        stem = address.rsplit(".", 1)[0]
        for asked in (address, stem, f"{stem}.png", address.replace("/media/", "//media//"), f"{address}?title=x"):
            for stranger in (None, charlie_cookie, XSRF, f"{COOKIE}={digest(cookie)}", f"{COOKIE}=x", f"{COOKIE}="):
                assert get(app, asked, stranger).status_code == 404
        sid = digest(cookie.removeprefix(f"{COOKIE}="))
        assert get(app, address, f"_streamlit_xsrf=2|00000000|{sid}|1").status_code == 404
        assert get(app, address, method="HEAD").status_code == 404
        assert get(app, address, Range="bytes=0-10").status_code == 404
        assert get(app, address, **{"X-App-Sid": sid}).status_code == 404
        assert get(app, address, cookie_of(app, "alice")).status_code == 404  # another browser of hers was not shown it

        sessions.end(sid)
        assert get(app, address, cookie).status_code == 404

    play(story)


def test_a_file_that_two_sessions_were_offered_is_served_to_both(app: RunningApp):
    async def story() -> None:
        first, second = cookie_of(app, "alice"), cookie_of(app, "alice")
        address = (await connect(app, first, page="audit")).files[-1]
        assert [get(app, address, cookie).status_code for cookie in (first, second)] == [200, 404]
        assert (await connect(app, second, page="audit")).files[-1] == address
        assert [get(app, address, cookie).status_code for cookie in (first, second)] == [200, 200]

    play(story)


def test_a_tab_without_a_cookie_of_ours_gets_its_downloads_by_streamlits_own(app: RunningApp):
    async def story() -> None:
        alice = await in_this_tab(app, XSRF)
        await alice.run("audit")
        (address,) = [file for file in alice.files if file.endswith(".csv")][-1:]
        assert get(app, address, XSRF).status_code == 200
        for stranger in (None, OTHER, cookie_of(app, "charlie")):
            assert get(app, address, stranger).status_code == 404

    play(story)


@pytest.mark.browser
def test_a_file_of_the_export_menu_is_made_on_a_click_and_is_nobody_elses(page: Page, app: RunningApp):
    noon = datetime.now(UTC) - timedelta(days=2)
    make.store_orders(make.context(1), make.order(1, noon, make.agreement(noon, make.sale("41.50"))))
    synced(1, datetime.now(UTC))
    sign_in(page, app, "alice")
    page.get_by_role("button", name="Export").first.click()
    menu = page.get_by_test_id("stPopoverBody")
    for label, start in (("PDF", b"%PDF"), ("Excel", b"PK")):
        with page.expect_download() as waiting:
            menu.get_by_role("button", name=label, exact=True).click()
        assert Path(waiting.value.path()).read_bytes().startswith(start)
    address = urlsplit(waiting.value.url).path
    cookie = next(each["value"] for each in page.context.cookies() if each["name"] == COOKIE)
    page.wait_for_timeout(4_000)  # the page asks for news meanwhile, which ends runs, and runs that end clear files up
    assert get(app, address, f"{COOKIE}={cookie}").status_code == 200
    for stranger in (None, cookie_of(app, "charlie"), XSRF):
        assert get(app, address, stranger).status_code == 404
    since = datetime.now(UTC) - timedelta(minutes=5)
    taken = audit.events(1, since=since, until=since + timedelta(days=1), action="export")
    assert [event.target.rsplit(".")[-1] for event in taken] == ["xlsx", "pdf"]
    assert {event.actor for event in taken} == {app.passwords["alice"][0]}

    page.keyboard.press("Escape")
    page.get_by_role("button", name="Export").nth(1).click()
    for label, start in (("CSV", b"day,total_sales USD"), ("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as waiting:
            menu.get_by_role("button", name=label, exact=True).click()
        assert Path(waiting.value.path()).read_bytes().startswith(start)


def test_streamlits_own_fonts_are_still_there(app: RunningApp):
    folder = Path(streamlit.__file__).parent / "static"
    font = next((folder / "static" / "media").glob("*.woff2"))
    assert get(app, f"/{font.relative_to(folder)}").content == font.read_bytes()
