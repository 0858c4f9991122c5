"""Strangers at the websocket of a running app: stolen tab ids, forged headers, old cookies, foreign pages.

What a browser would send is sent by hand here, because a browser would refuse most of it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection

from core import config
from core.auth import accounts, sessions
from core.auth.tickets import digest
from core.db.engine import get_engine
from core.web.middleware import COOKIE
from tests.browser.conftest import RunningApp, running_app
from tests.event_loop import run

PAGES = (
    "", "overview", "date_filter", "customers", "sync", "stores", "team", "audit", "account", "sign_in", "_router",
    "nonsense",
)  # fmt: skip
PATIENCE_S = 120.0
XSRF = "_streamlit_xsrf=2|00000000|aa11aa11aa11aa11aa11aa11aa11aa11|1"


@pytest.fixture(autouse=True)
def same_database(app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process reads and writes what the app does."""
    monkeypatch.setenv("DATA_DIR", str(app.data_dir))
    monkeypatch.delenv("APP_ENCRYPTION_KEYS")
    config.get_settings.cache_clear()
    get_engine.cache_clear()


@dataclass
class Tab:
    """A connection, the id of its tab, and what its last run showed."""

    socket: ClientConnection
    id: str = ""
    shown: list[str] = field(default_factory=list)
    widgets: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    async def run(self, page: str = "", **widgets: str | bool) -> "Tab":
        """Run the script as a browser asks for it, with these widgets set by their labels."""
        message = BackMsg()
        message.rerun_script.page_name = page
        for label, value in widgets.items():
            state = message.rerun_script.widget_states.widgets.add(id=self.widgets.get(label, label))
            if isinstance(value, bool):
                state.trigger_value = value
            else:
                state.string_value = value
        await self.socket.send(message.SerializeToString())
        self.shown.clear()
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                self.id = answer.new_session.initialize.session_id or self.id
            elif kind == "delta":
                self._see(answer.delta.new_element)
            elif kind == "script_finished" and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return self

    def _see(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        part = getattr(element, kind) if kind else None
        if "/media/" in (address := str(getattr(part, "url", ""))):
            self.files.append(address)
        self.shown += [str(getattr(part, name)) for name in ("body", "label") if getattr(part, name, "")]
        if getattr(part, "id", "") and getattr(part, "label", ""):
            self.widgets[part.label] = part.id

    @property
    def who(self) -> str | None:
        """Whom the page greets; None where it is the form."""
        name = next((text for text in self.shown if text.startswith("Signed in as ")), None)
        assert (name is None) == ("E-mail address" in self.shown), self.shown
        return name.removeprefix("Signed in as ") if name else None


async def connect(
    app: RunningApp, cookie: str | None = None, tab_id: str | None = None, page: str = "", **headers: str
) -> Tab:
    """A tab that ran its page; with `tab_id` it says to be that tab."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if cookie:
        sent["Cookie"] = cookie
    protocols = ["streamlit", "null", tab_id] if tab_id else ["streamlit"]
    socket = await websockets.connect(
        f"{app.url.replace('http', 'ws')}/_stcore/stream",
        subprotocols=protocols, additional_headers=sent, max_size=None, open_timeout=PATIENCE_S, ping_timeout=None,
    )  # fmt: skip
    OPEN.append(socket)
    return await Tab(socket).run(page)


async def resumed(app: RunningApp, cookie: str, tab_id: str) -> Tab:
    """That tab again; until the server has noticed that its connection is gone, it gives another one."""
    give_up_at_s = time.monotonic() + PATIENCE_S
    while (tab := await connect(app, cookie, tab_id=tab_id)).id != tab_id and time.monotonic() < give_up_at_s:
        await asyncio.sleep(0.1)
    return tab


OPEN: list[ClientConnection] = []


def play(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Tell the story and hang up."""

    async def tell() -> None:
        try:
            await story()
        finally:
            while OPEN:
                await OPEN.pop().close()

    run(tell)


def cookie_of(app: RunningApp, name: str) -> str:
    return f"{COOKIE}={sessions.start(accounts.user_id_of(app.passwords[name][0]), None, None)}"


def test_the_id_of_a_tab_opens_nothing_without_the_cookie(app: RunningApp):
    async def story() -> None:
        alice = await connect(app, cookie_of(app, "alice"))
        assert alice.who == "Alice"
        thief = await connect(app, tab_id=alice.id)
        assert (thief.who, thief.id == alice.id) == (None, False)
        await alice.run()
        assert alice.who == "Alice"  # and she was not thrown out
        await alice.socket.close()
        await asyncio.sleep(0.3)
        late = await connect(app, tab_id=alice.id)
        assert (late.who, late.id == alice.id) == (None, False)

    play(story)


def test_the_owner_of_the_cookie_resumes_the_tab(app: RunningApp):
    """What the others are refused does exist."""

    async def story() -> None:
        cookie = cookie_of(app, "alice")
        alice = await connect(app, cookie)
        await alice.socket.close()
        again = await resumed(app, cookie, alice.id)
        assert (again.who, again.id) == ("Alice", alice.id)

    play(story)


def test_a_cookie_of_ones_own_and_the_id_of_anothers_tab_open_ones_own(app: RunningApp):
    async def story() -> None:
        alice = await connect(app, cookie_of(app, "alice"))
        charlie = await connect(app, cookie_of(app, "charlie"), tab_id=alice.id)
        assert (charlie.who, charlie.id == alice.id) == ("Charlie", False)
        assert not any("Harbor" in text for text in charlie.shown)

    play(story)


def test_forged_identity_headers_open_nothing(app: RunningApp):
    async def story() -> None:
        cookie = cookie_of(app, "alice")
        id_hash = digest(cookie.removeprefix(f"{COOKIE}="))
        alice = await connect(app, cookie)
        forged = {"X_App_Sid": id_hash, "x_app_uid": "1"}
        assert (await connect(app, **forged)).who is None
        assert (await connect(app, tab_id=alice.id, **forged)).who is None
        assert (await connect(app, f"{COOKIE}={id_hash}", **forged)).who is None
        assert (await connect(app, cookie_of(app, "charlie"), **forged)).who == "Charlie"

    play(story)


def test_a_cookie_after_its_sign_out_opens_nothing_and_its_open_tabs_are_out(app: RunningApp):
    async def story() -> None:
        cookie = cookie_of(app, "alice")
        first, second = await connect(app, cookie), await connect(app, cookie)
        assert (first.who, second.who) == ("Alice", "Alice")
        sessions.end(digest(cookie.removeprefix(f"{COOKIE}=")))
        await second.run()
        assert second.who is None
        assert (await connect(app, cookie)).who is None
        assert (await connect(app, cookie, tab_id=first.id)).who is None

    play(story)


@pytest.mark.parametrize(
    "cookie", ["", "x", "eyJhbGciOiJub25lIn0.eyJ1c2VybmFtZSI6ImFsaWNlIn0.", "%00", "a" * 4000, '"', "\\", "=", "; ;="]
)
def test_a_malformed_cookie_brings_the_form(app: RunningApp, cookie):
    async def story() -> None:
        assert (await connect(app, f"{COOKIE}={cookie}")).who is None

    play(story)


def test_the_first_requests_after_a_start_to_any_page_without_a_session_are_the_form(tmp_path: Path):
    """Streamlit decides with its first runs which scripts are pages."""

    async def story() -> None:
        tabs = await asyncio.gather(*(connect(fresh, page=page) for page in PAGES))
        assert [tab.who for tab in tabs] == [None] * len(PAGES)
        assert not any("Harbor" in text for tab in tabs for text in tab.shown)

    with running_app(tmp_path) as fresh:
        play(story)


def test_a_page_of_another_origin_gets_no_connection_or_nobodys(app: RunningApp):
    async def story() -> None:
        cookie = cookie_of(app, "alice")
        assert (await connect(app, cookie, Origin=app.url)).who == "Alice"
        for origin in ("https://evil.example", "null"):
            with pytest.raises(websockets.InvalidStatus, match="403"):
                await connect(app, cookie, Origin=origin)
        for origin in ("http://localhost:1", f"{app.url}.evil.example", "http://127.0.0.1"):
            assert (await connect(app, cookie, Origin=origin)).who is None

    play(story)


@pytest.mark.parametrize("key", ["tab_session", "tab_ticket", "sid", "signed_in_user_id", "user_id", "shop"])
def test_a_widget_state_named_like_an_identity_key_makes_nobody_somebody(app: RunningApp, key):
    async def story() -> None:
        secret = cookie_of(app, "alice").removeprefix(f"{COOKIE}=")
        tab = await connect(app)
        for value in ("1", secret, digest(secret), "alice"):
            await tab.run(**{key: value})
            assert not any("Signed in" in text or "Harbor" in text for text in tab.shown)

    play(story)


async def in_this_tab(app: RunningApp, cookie: str | None) -> Tab:
    """Alice signs in where the session's cookie cannot be set."""
    email, password = app.passwords["alice"]
    tab = await connect(app, cookie)
    submitted = {"E-mail address": email, "Password": password, "Sign in": True}
    await tab.run(**submitted)
    await tab.run(**{"Go on in this tab": True})
    assert tab.who == "Alice"
    return tab


def test_a_session_of_the_tab_is_not_taken_over_from_another_browser(app: RunningApp):
    async def story() -> None:
        alice = await in_this_tab(app, XSRF)
        other = XSRF.replace("aa11|1", "aa12|1")
        assert (await connect(app, other, tab_id=alice.id)).who is None

    play(story)


def test_where_no_cookie_at_all_arrives_the_id_of_the_tab_is_all_there_is(app: RunningApp):
    """The risk that is left, and the proof that the tests above would see a take-over."""

    async def story() -> None:
        alice = await in_this_tab(app, None)
        thief = await connect(app, tab_id=alice.id)
        assert (thief.who, thief.id) == ("Alice", alice.id)

    play(story)
