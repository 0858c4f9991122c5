"""Webhooks against the running app: how many a second, how fast they are answered, when an open page shows them.

    python -m benchmarks.webhooks [--deliveries 2600] [--distinct 1500] [--clients 32] [--orders 10] [--no-browser]

The app runs as `streamlit run app.py` on a SQLite file with its demo store synced, in a process of its own on this
machine. Signed deliveries name orders of that store, many of them twice; every distinct one has to be applied once.
Then orders are placed one by one, and a page that is open in a browser is watched. The reference is a route of the
same server that stores nothing, asked by the same clients.
"""

import argparse
import gc
import http.client
import json
import os
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).parents[1]
SECRET = "the secret of the benchmark"
SHOP = "harbor-and-pine.myshopify.com"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=2600)
    parser.add_argument("--distinct", type=int, default=1500)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--orders", type=int, default=10)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--apart", action="store_true", help="with the workers in a process of their own")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="shoptally-") as folder,
        _app(Path(folder), arguments.apart) as (port, pid, sign_in),
    ):
        _measure(port, pid, Path(folder), arguments)
        if not arguments.no_browser:
            _watch(port, Path(folder), sign_in, arguments.orders)


@contextmanager
def _app(folder: Path, apart: bool) -> Iterator[tuple[int, int, str]]:
    """The app on a free port with the demo store synced: the port, the process, its way in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ, "DATA_DIR": str(folder), "DEMO": "1", "DEMO_ORDER_SECONDS": "0", "LOG_LEVEL": "ERROR",
        "SHOPIFY_API_KEY": "benchmark", "SHOPIFY_API_SECRET": SECRET, "SYNC_WORKER": "0" if apart else "1",
    }  # fmt: skip
    for command in (["welcome", "--port", str(port)], ["sync", "--shop", SHOP]):
        subprocess.run(
            [sys.executable, "-m", "core", *command], cwd=ROOT, env=environment, check=True, capture_output=True
        )
    server = ["-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    with (folder / "app.log").open("wb") as log:
        started = [server, ["-m", "core", "worker"]] if apart else [server]
        processes = [
            subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment, stdout=log, stderr=log)
            for words in started
        ]
        try:
            _wait_for(port)
            yield port, processes[0].pid, "Look around in the demo"
        finally:
            for process in processes:
                process.terminate()
                process.wait(60)


def _wait_for(port: int) -> None:
    for _ in range(240):
        try:
            status, _ = _request(http.client.HTTPConnection("127.0.0.1", port, timeout=2), "GET", "/health")
            if status == 200:
                return
        except OSError:
            time.sleep(0.25)
    raise SystemExit("the app did not start")


def _request(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read()


def _delivery(webhook_id: str, order: int, topic: str = "orders/updated") -> tuple[bytes, dict[str, str]]:
    from core.shopify.webhooks import sign

    body = json.dumps({"id": order, "updated_at": datetime.now(UTC).isoformat(), "pad": "x" * 2000}).encode()
    return body, {
        "Content-Type": "application/json", "X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": SHOP,
        "X-Shopify-Webhook-Id": webhook_id, "X-Shopify-Hmac-Sha256": sign(body, SECRET),
    }  # fmt: skip


def _measure(port: int, pid: int, folder: Path, arguments: argparse.Namespace) -> None:
    database = folder / "shoptally.db"
    orders = [row[0] for row in _ask(database, 'SELECT id FROM "order" ORDER BY id')]
    ids = [str(uuid4()) for _ in range(arguments.distinct)]
    chosen = {id: random.choice(orders) for id in ids}
    sent = ids + random.choices(ids, k=arguments.deliveries - len(ids))
    random.shuffle(sent)
    work = [("POST", "/webhooks/shopify", *_delivery(id, chosen[id])) for id in sent]
    _send(port, work[:50], arguments.clients)  # connections and caches are warm
    gc.freeze()  # else the clients' own search for garbage counts as waiting for an answer
    nothing = [("GET", "/auth/session", b"", {})] * arguments.deliveries
    _report("nothing stored", *_send(port, nothing, arguments.clients))
    before = _memory_mb(pid)
    begun = time.perf_counter()
    _report("webhooks", *_send(port, work, arguments.clients))
    while _ask(database, "SELECT count(*) FROM webhook_event WHERE state = 'waiting'")[0][0]:
        time.sleep(0.1)
    applied = _ask(database, "SELECT count(*) FROM webhook_event WHERE state = 'done'")[0][0]
    took = time.perf_counter() - begun
    print(f"applied once {applied:,} of {arguments.distinct:,} distinct, the last after {took:.1f} s", end="; ")
    print(f"memory of the app {_memory_mb(pid) - before:+.1f} MB")


def _send(
    port: int, work: list[tuple[str, str, bytes, dict[str, str]]], clients: int
) -> tuple[list[float], float, Counter[int]]:
    """Milliseconds of each answer, seconds in all, answers by status."""
    waiting, lock = iter(work), threading.Lock()
    taken: list[float] = []
    statuses: Counter[int] = Counter()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with lock:
                one = next(waiting, None)
            if one is None:
                return
            start = time.perf_counter()
            status, _ = _request(connection, *one)
            with lock:
                taken.append((time.perf_counter() - start) * 1000)
                statuses[status] += 1

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken, time.perf_counter() - begun, statuses


def _report(name: str, taken: list[float], seconds: float, statuses: Counter[int]) -> None:
    quantiles = statistics.quantiles(taken, n=100)
    print(
        f"{name:<16}{len(taken):>6,} answers {dict(statuses)} {len(taken) / seconds:>7,.0f} a second, "
        f"p50 {quantiles[49]:.0f} p95 {quantiles[94]:.0f} p99 {quantiles[98]:.0f} max {max(taken):.0f} ms"
    )


def _watch(port: int, folder: Path, name: str, orders: int) -> None:
    """From the delivery of one new order to its number on the open overview."""
    from playwright.sync_api import sync_playwright

    from core.demo.catalogue import DEMO_SHOPS
    from core.demo.live import order_number

    database = folder / "shoptally.db"
    opened_on = date.fromisoformat(_ask(database, f"SELECT opened_on FROM shop WHERE domain = '{SHOP}'")[0][0])
    seconds = []
    with sync_playwright() as playwright:
        found = next(path for path in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(path).exists())
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(f"http://127.0.0.1:{port}")
        page.get_by_role("button", name=name).click(timeout=60_000)
        told = page.get_by_text("so far today")
        told.wait_for(timeout=60_000)
        for number in range(1, orders + 1):
            page.wait_for_timeout(2000 + random.randrange(1500))
            now = datetime.now(UTC).replace(microsecond=0)
            _tell(database, number, now)
            order = order_number(DEMO_SHOPS[0], opened_on, number, now)
            before = told.inner_text()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            start = time.perf_counter()
            _request(connection, "POST", "/webhooks/shopify", *_delivery(str(uuid4()), order, "orders/create"))
            while told.inner_text() == before:
                page.wait_for_timeout(20)
            seconds.append(time.perf_counter() - start)
        browser.close()
    print(f"from delivery to the open page: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")


def _tell(database: Path, number: int, now: datetime) -> None:
    with sqlite3.connect(database, timeout=30) as connection:
        shop_id = connection.execute(f"SELECT id FROM shop WHERE domain = '{SHOP}'").fetchone()[0]
        row = (shop_id, number, now.replace(tzinfo=None).isoformat(" "))
        connection.execute("INSERT INTO demo_order (shop_id, number, placed_at) VALUES (?, ?, ?)", row)
    connection.close()


def _ask(database: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database, timeout=30)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def _memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1000


if __name__ == "__main__":
    main()
