"""Commands that give figures: every measure of a period, ours beside Shopify's own, and whole tables as files."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from core.analytics.metrics import METRIC
from core.analytics.period import Period
from core.analytics.reconcile import Comparison, Explanation, compare, explain, known_at, our_days, verdict
from core.analytics.report import as_json, report
from core.auth import audit
from core.db.engine import shop_session, system_session
from core.db.migrate import migrate
from core.db.models import Shop
from core.db.money import from_minor
from core.db.vault import check_keys
from core.errors import InputError
from core.reports import parquet
from core.sync import connect, reconcile


def run_metrics(arguments: argparse.Namespace) -> int:
    """Every measure of a period, by the same functions as the pages."""
    migrate()
    shop = _shop(arguments.shop)
    period = Period(arguments.start, arguments.end)
    with shop_session(shop.id or 0) as session:
        figures = report(session, period, arguments.by, arguments.top)
    data = as_json(figures, shop.domain, shop.currency, shop.time_zone)
    if arguments.json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")
        return 0
    sys.stdout.writelines(f"{name:28}{'-' if value is None else value:>20}\n" for name, value in data["totals"].items())
    return 0


def run_reconcile(arguments: argparse.Namespace) -> int:
    """Compare with Shopify's own figures, day by day; exit 0 only when every finished day agrees."""
    migrate()
    check_keys()
    shop, period = _shop(arguments.shop), Period(arguments.start, arguments.end)
    theirs = reconcile.fetch(shop.id or 0, period.start, period.end)
    read = reconcile.orders_read(shop.id or 0)
    known = known_at(theirs.asked_at, shop.time_zone, theirs.time_zone, *read)
    with shop_session(shop.id or 0) as session:
        compared = compare(our_days(session, period), theirs.days, theirs.measures)
        why = explain(session, compared, known)
    found = verdict(compared, known.today, shop.currency)
    sys.stdout.writelines(_differences(compared, why, shop.currency))
    sys.stdout.write(f"{found.text}. {found.rest}".rstrip() + "\n")
    if theirs.older_names:
        sys.stderr.write("Shopify knew the report's columns only by their names from before 2026-04.\n")
    return 0 if found.agrees else 1


def run_export(arguments: argparse.Namespace) -> int:
    """Write a table of a store as a Parquet file for a warehouse, whole or what changed since a moment."""
    migrate()
    shop = _shop(arguments.shop)
    if arguments.to == "-":
        rows = _write(shop, arguments.table, arguments.since, sys.stdout.buffer)
    else:
        rows = _write_file(shop, arguments.table, arguments.since, Path(arguments.to))
    audit.record("command line", "export", shop_id=shop.id, target=f"{arguments.table}.parquet")
    sys.stderr.write(f"{rows:,} rows of {arguments.table}.\n")
    return 0


def _write(shop: Shop, table: str, since: datetime | None, to: IO[bytes]) -> int:
    with shop_session(shop.id or 0) as session:
        return parquet.write(session, table, since, to, personal=shop.personal_data)


def _write_file(shop: Shop, table: str, since: datetime | None, path: Path) -> int:
    """Beside the file first: whoever reads it meanwhile finds the one before, or a whole one."""
    made: Any = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as made:
            rows = _write(shop, table, since, made)
        Path(made.name).replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}). Choose another file with --to.") from error
    finally:
        if made is not None:
            Path(made.name).unlink(missing_ok=True)
    return rows


def _differences(compared: Comparison, why: Mapping[date, Sequence[Explanation]], currency: str) -> Iterator[str]:
    """A line for each figure that differs, and below a day's lines what is known to explain it."""
    rows = compared.rows[compared.rows["difference"] != 0]
    for day, figures in rows.groupby("day"):
        for row in figures.to_dict("records"):
            shown = (_written(row[side], row["measure"], currency) for side in ("ours", "theirs", "difference"))
            yield "{}  {:16} ours {:>14}  Shopify's {:>14}  difference {:>12}\n".format(day, row["measure"], *shown)
        for text in [one.text for one in why.get(day, ())] or (["Unexplained."] if day in why else []):
            yield f"{day}  {text}\n"


def _written(number: int | None, measure: str, currency: str) -> str:
    if number is None:
        return "-"
    return f"{from_minor(number, currency):f}" if METRIC[measure].unit == "money" else str(number)


def _shop(domain: str) -> Shop:
    shop_id = connect.find_shop(domain)
    with system_session() as session:
        return session.get_one(Shop, shop_id)
