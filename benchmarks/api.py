"""What a figure costs over the REST API of a store of N orders, while nothing happens and while a sync runs.

    python -m benchmarks.api 20000 [1000000] [--postgresql] [--requests 400] [--keep FOLDER]

One client over a kept connection on loopback, to a server in a process of its own; the sync is another process that
stores orders of another store, batch after batch. "own data change" bumps the store's data_version once a second, so
that kept figures are computed anew. Milliseconds of whole requests, the key's look-up included; every question is
asked once before. With --keep the databases are made once and found again.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.pages import LAST, SHOP, _fill, _store, _use

SYNCED = 6
QUESTIONS = (
    ("net_sales", 30, "&compare=previous"), ("total_sales", 90, "&compare=year"),
    ("customers", 365, "&compare=previous"), ("orders", 365, "&grain=day"),
    ("net_sales", 90, "&breakdown=channel"), ("net_sales", 365, "&breakdown=product"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("orders", type=int, nargs="*", default=[20_000])
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--sync", type=Path, help=argparse.SUPPRESS)  # the process that stores
    arguments = parser.parse_args()
    if arguments.sync:
        _sync(arguments.sync)
    print(f"{'orders':>10} {'while':<34} {'median':>8} {'p95':>8} {'most':>8} {'a second':>9}   load {_load()}")
    for orders in arguments.orders:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            kept = arguments.keep / str(orders) if arguments.keep else Path(folder)
            _use(kept, postgresql=arguments.postgresql)
            _fill(kept, orders)
            _measure(orders, arguments.requests, Path(folder))
    print(f"load at the end {_load()}")


def _measure(orders: int, requests: int, folder: Path) -> None:
    import httpx2

    with _server() as port, httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v1/", timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {_key()}"
        _line(orders, "nothing happens", client, requests)
        with ExitStack() as syncing:
            syncing.enter_context(_process("-m", "benchmarks.api", "--sync", str(folder)))
            time.sleep(5)  # its imports and its file are not what is measured
            _line(orders, "another store syncs", client, requests)
            syncing.enter_context(_changing())
            _line(orders, "it does, and own data change", client, requests)


def _line(orders: int, what: str, client: Any, requests: int) -> None:
    asked = [
        f"metrics/{metric}?from={LAST - timedelta(days=days - 1)}&to={LAST}{more}" for metric, days, more in QUESTIONS
    ]
    for path in asked:
        client.get(path).raise_for_status()
    taken = []
    began = time.perf_counter()
    for path in islice(cycle(asked), requests):
        start = time.perf_counter()
        client.get(path).raise_for_status()
        taken.append((time.perf_counter() - start) * 1000)
    rate = requests / (time.perf_counter() - began)
    median, p95 = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
    print(f"{orders:>10,} {what:<34} {median:>8.1f} {p95:>8.1f} {max(taken):>8.1f} {rate:>9.0f}", flush=True)


def served() -> Any:
    """The routes without a limit for one key; uvicorn asks for it."""
    from starlette.applications import Starlette

    from core.web import api_door
    from core.web.middleware import MIDDLEWARE
    from core.web.routes import ROUTES

    api_door.LIMITER = api_door.Limiter(most=10**9)
    return Starlette(routes=ROUTES, middleware=MIDDLEWARE)


@contextmanager
def _server() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    words = ("-m", "uvicorn", "--factory", "benchmarks.api:served", "--port", str(port), "--lifespan", "off")
    with _process(*words, "--log-level", "error"):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port


@contextmanager
def _process(*words: str) -> Iterator[None]:
    with subprocess.Popen([sys.executable, *words]) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def _changing() -> Iterator[None]:
    from core.db.engine import system_session
    from core.db.models import Shop

    stop = threading.Event()

    def change() -> None:
        while not stop.wait(1.0):
            with system_session(write=True) as session:
                session.get_one(Shop, SHOP).data_version += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _sync(folder: Path) -> None:
    """Store orders of another store until the process is ended."""
    from benchmarks.generate import write_orders
    from benchmarks.ingest import _fresh
    from core.shopify.bulk import BulkFile, documents
    from core.shopify.queries import ORDER_CONNECTIONS

    path = folder / "synced.jsonl"
    for shop_id in count(SYNCED):
        lines = write_orders(path, 20_000, seed=shop_id)
        file = BulkFile(path, lines, path.stat().st_size, grouped=True)
        _store(_fresh(shop_id), documents(file, ORDER_CONNECTIONS))


def _key() -> str:
    from core.auth import keys
    from core.db.engine import system_session
    from core.db.models import User
    from tests.factories import add_user

    with system_session() as session:
        known = session.get(User, 1) is not None
    if not known:
        add_user(1, "bench@example.com", SHOP)
    for old in keys.keys_of(1):
        keys.revoke(1, old.key_id)
    return keys.make(1, SHOP, "Benchmark")


def _load() -> str:
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


if __name__ == "__main__":
    main()
