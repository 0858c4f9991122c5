"""Two replicas of the app behind nginx and two workers on one PostgreSQL: any of them may be killed.

The page comes back by itself through the other replica, still signed in, and the sync that ran goes on and is whole.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from core import config
from core.auth import accounts, sessions, tickets
from core.db.engine import system_session
from core.sync import jobs, lease
from core.sync.heartbeat import pulse
from core.sync.streams import NAMES
from tests.demo_sync import add_demo_shop, state
from tests.faults.store import NOW, SHOPS, FaultyStore, Request, open_store
from tests.faults.truth import equals
from tests.ports import free_port
from tests.test_deployment import nginx_running, started_as

ROOT = Path(__file__).parents[2]
EMAIL, PASSWORD = "ana@example.com", "a long walk by the river"
PATIENCE_S = 120.0
# The command as it is, forked from one process that has loaded it.
WORKERS = """
import os, signal, sys
from core.__main__ import main
from core.reports import mailing
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os._exit(main(["worker"]))
    sys.stdout.write(f"{pid}\\n")
    sys.stdout.flush()
"""


def wait_until(happens: Callable[[], bool], what: str) -> None:
    give_up_at_s = time.monotonic() + PATIENCE_S
    while not happens():
        assert time.monotonic() < give_up_at_s, what
        time.sleep(0.05)


@dataclass
class Installation:
    """The processes by name, and the address people open."""

    url: str
    folder: Path
    ports: dict[str, int]
    env: dict[str, str]
    replicas: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)
    start_worker: Callable[[str], None] = lambda _: None

    def start(self, name: str) -> None:
        """Start a replica as its unit does; healthy() says when it is there."""
        _, *words = shlex.split(started_as("shoptally@").replace("%i", str(self.ports[name])))
        self.replicas[name] = self._run(name, *words)

    @contextmanager
    def starting_workers(self) -> Iterator[Callable[[str], None]]:
        """What starts a worker by its name; those that live at the end are killed."""
        parent = self._run("workers", "-c", WORKERS)
        assert parent.stdin is not None and parent.stdout is not None

        def start(name: str) -> None:
            parent.stdin.write(b"\n")
            parent.stdin.flush()
            self.workers[name] = int(parent.stdout.readline())

        try:
            yield start
        finally:
            for name in list(self.workers):
                self.kill(name)
            parent.communicate()

    def _run(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if name == "workers" else {"stdout": log}
            return subprocess.Popen([sys.executable, *words], cwd=ROOT, env=self.env, stderr=log, **pipes)

    def kill(self, name: str | None) -> None:
        """kill -9."""
        assert name is not None
        if name in self.workers:
            os.kill(self.workers.pop(name), signal.SIGKILL)
        else:
            self.replicas[name].kill()
            self.replicas[name].wait()

    def kill_worker(self, name: str | None) -> None:
        """The same; then the minute is over for which its lease holds, so that nobody has to wait for it."""
        assert name is not None
        pid = self.workers[name]
        self.kill(name)
        with system_session(write=True) as session:
            for row in lease.locked(session, 1):
                if row.owner is not None and _pid_of(row.owner) == pid:
                    row.lease_until = datetime.now(UTC)

    def healthy(self, name: str) -> bool:
        """Whether a replica answers."""
        assert self.replicas[name].poll() is None, (self.folder / f"{name}.log").read_text()[-2000:]
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/ready", timeout=2) as answer,
        ):
            return bool(answer.status == 200)
        return False

    def worker_at_work(self) -> str | None:
        """The living worker that holds the store."""
        owners = {state(stream, 1).owner for stream in NAMES} - {None}
        pids = {_pid_of(str(owner)) for owner in owners}
        return next((name for name, pid in self.workers.items() if pid in pids), None)

    def replica_of(self, page: Page) -> str:
        """Which replica nginx gives this browser's requests to."""
        path = f"/health?{time.monotonic_ns()}"
        before = len(self.log())
        assert page.request.get(self.url + path).status == 200
        wait_until(lambda: len(self.log()) > before, "nginx writes no log")
        port = int(self.log()[-1].rsplit(":", 1)[1])
        return next(name for name, its in self.ports.items() if its == port)

    def log(self) -> list[str]:
        """What nginx answered."""
        return [line for line in (self.folder / "access.log").read_text().splitlines() if '"GET /health"' in line]


def _pid_of(owner: str) -> int:
    return int(owner.split(":")[1])


@dataclass
class Held:
    """Holds every download of a bulk file until it is let go."""

    go: Event = field(default_factory=Event)
    asked: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request) -> bool:
        """Whether it answered itself: never, but it may take its time."""
        if request.is_file and not self.go.is_set():
            with self.lock:
                self.asked.append(request.path)
            assert self.go.wait(PATIENCE_S)
        return False


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    with open_store(monkeypatch) as store:
        monkeypatch.setenv("SHOPIFY_BASE_URL", f"{store.url}/{{shop}}")
        monkeypatch.setenv("DEMO", "0")
        config.get_settings.cache_clear()
        yield store


@pytest.fixture
def installation(database: Engine, store: FaultyStore, tmp_path: Path) -> Iterator[Installation]:
    add_demo_shop(1, SHOPS[0], is_demo=False, opened_on=None)
    user_id = accounts.add_user(EMAIL, "Ana", PASSWORD)
    with system_session(write=True) as session:
        accounts.grant(session, user_id, 1, "owner")
    ports = {"replica one": free_port(), "replica two": free_port()}
    env = {**os.environ, "DATABASE_URL": config.get_settings().database_url, "SYNC_WORKER": "0", "LOG_LEVEL": "WARNING"}
    with ExitStack() as stack:
        url = stack.enter_context(nginx_running(tmp_path, free_port(), *ports.values()))
        found = Installation(url, tmp_path, ports, env)
        stack.callback(lambda: [found.kill(name) for name in found.replicas])
        for name in ports:
            found.start(name)
        found.start_worker = stack.enter_context(found.starting_workers())
        for name in ("worker one", "worker two"):
            found.start_worker(name)
        wait_until(lambda: all(found.healthy(name) for name in ports), "a replica does not start")
        wait_until(lambda: pulse().workers == 2, "a worker does not start")
        yield found


@contextmanager
def signed_in(browser: Browser, url: str) -> Iterator[Page]:
    """A page of a visitor of one's own; that connections break off is what happens here."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(f"{url}/sync")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("Signed in as Ana")).to_be_visible()
    yield page
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_any_replica_and_any_worker_may_be_killed(installation: Installation, store: FaultyStore, browser: Browser):
    store.tamper = held = Held()
    with signed_in(browser, installation.url) as page:
        assert address_of_a_sign_in_through(installation.url) == "127.0.0.9"
        page.get_by_role("button", name="Sync now").click()
        wait_until(lambda: bool(held.asked), "nobody syncs")
        expect(page.get_by_text("Syncing", exact=True)).to_be_visible()
        page.wait_for_load_state("networkidle")  # what is on its way when a replica dies needs a reload

        first, here = installation.worker_at_work(), installation.replica_of(page)
        installation.kill_worker(first)
        other = comes_back(page, installation, without=here)
        wait_until(lambda: installation.worker_at_work() is not None, "no worker took over")
        second = installation.worker_at_work()
        assert {first, second} == {"worker one", "worker two"}
        installation.start_worker("worker three")
        installation.start(here)
        wait_until(lambda: installation.healthy(here), "a replica does not come back")

        installation.kill_worker(second)
        held.go.set()
        assert comes_back(page, installation, without=other) == here
        expect(page.get_by_text("Last sync complete")).to_be_visible(timeout=120_000)
        page.reload()
        expect(page.get_by_text("Signed in as Ana")).to_be_visible()
    assert [run.outcome for run in jobs.run_history(1)] == ["ok", "interrupted", "interrupted"]
    assert set(Counter(store.submitted()).values()) == {1}
    assert equals(1, SHOPS[0], NOW)


def address_of_a_sign_in_through(url: str) -> str | None:
    """What the app takes for the address of a visitor from 127.0.0.9, who opens it by another name and lies."""
    user_id = accounts.user_id_of(EMAIL)
    ticket = tickets.issue(sessions.COOKIE_TICKET, user_id=user_id, lifetime=timedelta(minutes=1))
    said = {"Host": "numbers.example", "Origin": "http://numbers.example", "X-Forwarded-For": "8.8.8.8"}
    with httpx2.Client(transport=httpx2.HTTPTransport(local_address="127.0.0.9"), timeout=PATIENCE_S) as client:
        answer = client.post(
            f"{url}/auth/session".replace("localhost", "127.0.0.1"), json={"ticket": ticket}, headers=said
        )
    assert answer.json() == {"signed_in": True}
    return next(
        one.address for one in sessions.sessions_of(user_id) if one.browser == answer.request.headers["user-agent"]
    )


def comes_back(page: Page, installation: Installation, *, without: str) -> str:
    """Kill a replica under an open page, which connects to another one by itself; its name."""
    with page.expect_websocket():
        installation.kill(without)
    expect(page.get_by_text("Signed in as Ana")).to_be_visible()
    expect(page.get_by_role("heading", name="Sync", exact=True)).to_be_visible()
    name = installation.replica_of(page)
    assert name != without
    return name
