"""A worker in a process of its own, to be killed, frozen and started again.

All are forked from one process that has the program loaded, so that a hundred of them start fast.
"""

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from threading import Event, Lock
from types import SimpleNamespace

from sqlmodel import col, select

from core import config
from core.__main__ import main
from core.db.engine import get_engine, system_session
from core.db.models import SyncState
from core.shopify.client import ShopClient
from core.sync import connect, events, failpoints, fetch, inbox, lease
from core.sync.scheduler import run_due

LEASE_S = 0.5
KILLED = -9


@dataclass
class Workers:
    """Starts workers that see the settings `env`; `start` gives the process's id, `wait` its exit code."""

    parent: subprocess.Popen[str]
    env: dict[str, str]
    lock: Lock

    def start(self, *words: str, lease_s: float = LEASE_S, batch: int = 40, **env: str) -> int:
        """Run a command as `python -m core` does, or "work" until nothing is due, or "work for ever"."""
        return self._ask(words=words, env=self.env | env, lease_s=lease_s, batch=batch)

    def wait(self, pid: int) -> int:
        """The exit code; -9 after a kill."""
        return self._ask(wait=pid)

    def stops(self, pid: int) -> bool:
        """Wait until a worker stops, frozen by FREEZE where FAIL_AT says; False where it ended without."""
        return self._ask(stops=pid) == 1

    def run(self, *words: str, **options: str) -> int:
        """Start and wait."""
        return self.wait(self.start(*words, **options))

    def _ask(self, **message: object) -> int:
        assert self.parent.stdin is not None and self.parent.stdout is not None
        with self.lock:
            self.parent.stdin.write(json.dumps(message) + "\n")
            self.parent.stdin.flush()
            return int(self.parent.stdout.readline())


@contextmanager
def warm() -> Iterator[Workers]:
    """The process workers are forked from; workers still alive at the end are killed with it."""
    words = [sys.executable, "-m", "tests.faults.worker"]
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Workers(parent, {}, Lock())
    finally:
        assert parent.stdin is not None and parent.stdout is not None
        parent.stdin.close()
        parent.wait()
        parent.stdout.close()


def _serve() -> None:
    gc.collect()
    gc.freeze()  # what is loaded is shared with every worker and never walked by one
    alive: set[int] = set()
    for line in sys.stdin:
        message = json.loads(line)
        if "wait" in message:
            alive.discard(message["wait"])
            answer = os.waitstatus_to_exitcode(os.waitpid(message["wait"], 0)[1])
        elif "stops" in message:
            answer = int(os.WIFSTOPPED(os.waitpid(message["stops"], os.WUNTRACED)[1]))
            if not answer:
                alive.discard(message["stops"])
        elif (answer := os.fork()) == 0:
            _become_worker(message)
        else:
            alive.add(answer)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for pid in alive:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _become_worker(message: dict[str, object]) -> None:
    code = 70
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):
            os.dup2(nowhere, stream)
        os.environ.update(message["env"])
        config.ROOT = Path(gettempdir())  # no .env of the developer's
        lease.LEASE = inbox.LEASE = timedelta(seconds=message["lease_s"])
        fetch.BATCH = message["batch"]
        if "FREEZE" in os.environ:
            failpoints.signal = SimpleNamespace(SIGKILL=signal.SIGSTOP)
        connect.ShopClient = partial(ShopClient, sleep=_nap, read_timeout_s=float(os.environ.get("READ_S", "60")))
        code = _do(" ".join(message["words"]), message["words"])
    except BaseException:
        logging.exception("a worker of the test failed")
    finally:
        os._exit(code)


def _nap(seconds: float) -> None:
    time.sleep(min(seconds, 0.02))


def _do(sentence: str, words: list[str]) -> int:
    if sentence == "drain":  # the inbox of webhooks
        events.drain()
        get_engine().dispose()
        return 0
    if not sentence.startswith("work"):
        return main(words)
    logging.basicConfig(level=logging.ERROR)
    stop = Event()
    while True:
        try:
            run_due(stop)
            if sentence == "work" and not _anything_left():
                get_engine().dispose()
                return 0
        except Exception:  # a soak goes on over every fault, as the scheduler does
            if sentence == "work":
                raise
            logging.exception("the worker goes on")
        time.sleep(0.02)


def _anything_left() -> bool:
    """Whether a stream is due, or held by somebody who may be dead."""
    with system_session() as session:
        now = datetime.now(UTC)
        left = select(SyncState).where((col(SyncState.due_at) <= now) | (col(SyncState.owner).is_not(None)))
        return session.exec(left).first() is not None


if __name__ == "__main__":
    _serve()
