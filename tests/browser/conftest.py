"""A running app and a real Chromium for the tests of this folder."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.conftest import missing
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
# As long as a click waits: these tests are for what appears, not for how fast on a machine that runs others too.
expect.set_options(timeout=30_000)
# Without these, Chromium looks for its maker's servers at every start.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass(frozen=True)
class RunningApp:
    """A started app: where it answers, where its data is, and its demo sign-ins by name."""

    url: str
    data_dir: Path
    passwords: dict[str, tuple[str, str]]

    @property
    def database(self) -> Path:
        """The SQLite file, to compare the pages with."""
        return self.data_dir / "shoptally.db"


def chromium() -> str | None:
    """Where the system keeps Chromium."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def settled(page: Page) -> None:
    """Wait until the page is drawn: the script has ended, nothing is greyed out and no chart is still to come."""
    page.evaluate("window.stillFor = 0")
    page.wait_for_timeout(250)  # what was clicked reaches the server, and the script begins
    page.wait_for_function(
        """() => {
            const app = document.querySelector('[data-testid=stApp]');
            const still = app && app.dataset.testScriptState === 'notRunning' && document.querySelector('h1')
                && !document.querySelector('[data-stale=true], [data-testid=stSkeleton], [data-testid=stSpinner]');
            window.stillFor = still ? (window.stillFor || 0) + 1 : 0;  // between two runs it is still for a moment
            return window.stillFor > 2;
        }""",
        polling=100,
        timeout=90_000,  # the first forecast of a process takes long where others run too
    )


def open_page(page: Page, name: str, query: str = "") -> None:
    """Go to another page as the back button does: without loading everything anew, and with the menu folded away."""
    before = page.title()
    moved = page.evaluate(
        """address => {
            const moved = location.pathname !== address.split('?')[0];
            history.pushState(null, '', address);
            window.dispatchEvent(new PopStateEvent('popstate'));
            return moved;
        }""",
        f"/{name}{query}",
    )
    if moved:
        page.wait_for_function("before => document.title !== before", arg=before, polling=100)
    settled(page)


def unfold(page: Page, title: str) -> None:
    """Open what is folded, and wait until nothing in it moves: a button that slides away misses a click."""
    folded = page.locator("details", has=page.get_by_text(title, exact=True))
    folded.get_by_text(title, exact=True).click()
    folded.evaluate(
        """async box => {
            for (let moving; (moving = box.getAnimations({subtree: true})).length;)
                await Promise.allSettled(moving.map(one => one.finished));
        }"""
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it."""
    found = chromium()
    if found is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One app for all tests of a file."""
    with running_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@contextmanager
def running_app(data_dir: Path, port: int | None = None, **settings: str) -> Iterator[RunningApp]:
    """The app as `make run` starts it, on a free port, with the demo unless the settings say otherwise."""
    port = port or free_port()
    kept = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "SHOPIFY_BASE_URL")}
    environment = {**kept, "DATA_DIR": str(data_dir), "DEMO": "1", "DEMO_ORDER_SECONDS": "0", "APP_ENCRYPTION_KEYS": ""}
    environment |= settings
    welcome = subprocess.run(
        [sys.executable, "-m", "core", "welcome", "--port", str(port)],
        cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    signs = [line.split() for line in welcome.stderr.splitlines() if "@" in line]
    log = (data_dir / "app.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"],
        cwd=ROOT, env=environment, stdout=log, stderr=log,
    )  # fmt: skip
    url = f"http://localhost:{port}"
    try:
        _wait_until_healthy(f"{url}/health", process, data_dir / "app.log")
        yield RunningApp(url, data_dir, {email.split("@")[0]: (email, password) for email, password, *_ in signs})
    finally:
        process.terminate()
        process.wait(120)
        log.close()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(720):
        if process.poll() is not None:
            pytest.fail(f"the app stopped: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"the app did not answer: {log.read_text()[-2000:]}")


def _ours(message: ConsoleMessage) -> bool:
    """An error that is not Streamlit's own: on a deep link it looks for its server below the page's path first."""
    return message.type == "error" and not re.search(r"/[a-z_]+/_stcore/(health|host-config)$", message.location["url"])


@pytest.fixture(scope="session")
def visitor(browser: Browser) -> BrowserContext:
    """The visitor of all tests; the browser keeps Streamlit's files, which take longer to read than most tests."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-US")
    context.set_default_timeout(30_000)
    return context


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    """A visitor without cookies and storage, who fails the test on any error in the console."""
    page = visitor.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(f"{message.text} {message.location}") if _ours(message) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    for each in visitor.pages:
        if each.url.startswith("http"):
            each.evaluate("localStorage.clear()")
        each.close()
    visitor.clear_cookies()
    assert errors == []
