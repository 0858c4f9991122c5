"""Lists for other programs, a page or a file at a time: orders, customers, products, whole tables; and the sync."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from core.analytics import frames_lists, frames_orders
from core.analytics.frames_tables import TABLES
from core.analytics.period import FIRST_DAY
from core.analytics.records import plain, records
from core.auth import audit, members
from core.db.engine import shop_session
from core.errors import InputError
from core.reports import parquet
from core.sync import jobs, subscriptions
from core.sync.streams import STREAM
from core.web.api_door import Asked, Found
from core.web.api_figures import MOST_ROWS, Range, about, any_of, nameless, periods, read
from core.web.api_problems import Refused

Table = Annotated[str, any_of(TABLES)]
StreamName = Annotated[str, any_of(STREAM)]
Cursor = Annotated[str | None, Query(description="`next` of the page before.", max_length=40)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]
_MOST = 2**63 - 1  # what a column of the database holds
_OVERLAP = timedelta(hours=1)  # a deletion is dated with the start of the run that found it


class Listed(Range):
    """A period, and which page of its rows."""

    limit: Limit = 100
    cursor: Cursor = None


def shops(who: Asked) -> Found:
    """The store that this key opens."""
    shop = who.shop
    row = {
        "shop": shop.domain, "name": shop.name, "currency": shop.currency, "time_zone": shop.time_zone,
        "role": who.key.role, "data_version": shop.data_version,
        "synced_at": plain(jobs.sync_status(shop.shop_id).synced_at),
    }  # fmt: skip
    return Found({}, [row])


def orders(who: Asked, asked: Annotated[Listed, Query()]) -> Found:
    """Orders placed in a period, the oldest day first, a page at a time: ask again with `next` as cursor."""
    period, _, _ = periods(who, asked)
    after = _order_cursor(asked.cursor) if asked.cursor is not None else None
    frame = read(who, asked, lambda session: frames_lists.orders_after(session, period, after, asked.limit))
    last = frame.iloc[-1] if len(frame) == asked.limit else None
    body = {**about(who, period, None), "next": None if last is None else f"{last['day'].isoformat()}.{last['id']}"}
    return Found(body, records(frame, who.shop.currency, ["current_total", "net_sales"]))


def order(who: Asked, order_id: Annotated[int, Path(ge=1, le=_MOST)]) -> Found:
    """One order with its lines and every row of its ledger."""
    with shop_session(who.shop.shop_id) as session:
        found = frames_orders.one_order(session, order_id)
        lines = frames_orders.order_lines(session, order_id)
        booked = frames_orders.order_ledger(session, order_id)
    if found.empty:
        raise Refused(404, "There is no such order, or it is a test order or deleted.")
    currency = who.shop.currency
    if not who.shop.personal_data:
        found["customer_name"] = None
    (header,) = records(found, currency, ["current_total", "original_total"])
    ledger = records(booked, currency, ["discount", "tax_amount", "total_amount"])
    return Found({**header, "lines": records(lines, currency), "ledger": ledger})


def customers(who: Asked, limit: Limit = 100, cursor: Cursor = None) -> Found:
    """Everybody who ordered, with what they ordered in all of time, by their number."""
    with shop_session(who.shop.shop_id) as session:
        frame = frames_lists.customers_after(session, _number_cursor(cursor), limit)
    after = str(frame["buyer_id"].iloc[-1]) if len(frame) == limit else None
    rows = nameless(who, records(frame, who.shop.currency, ["net_sales"]))
    return Found({"shop": who.shop.domain, "currency": who.shop.currency, "next": after}, rows)


def products(who: Asked, asked: Annotated[Listed, Query()]) -> Found:
    """The products of the catalogue by their number, with what was sold of them in a period."""
    period, _, _ = periods(who, asked)
    after = _number_cursor(asked.cursor)
    frame = read(who, asked, lambda session: frames_lists.products_after(session, period, after, asked.limit))
    last = str(frame["id"].iloc[-1]) if len(frame) == asked.limit else None
    return Found({**about(who, period, None), "next": last}, records(frame, who.shop.currency, ["net_sales"]))


def sync(who: Asked) -> Found:
    """How the store's sync stands, by stream."""
    status = jobs.sync_status(who.shop.shop_id)
    rows = [{name: plain(value) for name, value in vars(each).items()} for each in status.streams]
    running = status.running is not None
    return Found({"synced_at": plain(status.synced_at), "running": running, "requested": status.requested}, rows)


class SyncAsked(BaseModel, extra="forbid"):
    """What to sync: everything that holds data by default, and only what changed unless it is `full`."""

    full: bool = False
    streams: Annotated[list[StreamName], Field(max_length=len(STREAM))] = []


def start_sync(who: Asked, wanted: SyncAsked | None = None) -> Found:
    """Ask for a sync: a worker takes it at once, GET /sync says how it stands."""
    who.require("sync_now")
    wanted = wanted or SyncAsked()
    jobs.request_sync(who.shop.shop_id, wanted.streams or None, full=wanted.full, asked_by="api")
    return Found({"requested": True}, status=202)


def runs(who: Asked, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Found:
    """The latest runs of the sync, the newest first."""
    found = jobs.run_history(who.shop.shop_id, limit)
    return Found({}, [{name: plain(value) for name, value in vars(run).items()} for run in found])


def users(who: Asked) -> Found:
    """The store's team, for who may change it."""
    rows = [
        {"id": each.user_id, "email": each.email, "name": each.name, "role": each.role, "active": each.active}
        for each in members.members_of(who.key.user_id, who.shop.shop_id)
    ]
    return Found({}, rows)


def webhooks(who: Asked) -> Found:
    """What Shopify tells about this store, and when it last did."""
    who.require("connect_store")
    topics = subscriptions.status(who.shop.shop_id)
    return Found({}, [{name: plain(value) for name, value in vars(each).items()} for each in topics])


def register_webhooks(who: Asked) -> Found:
    """Make the subscriptions that are missing; `problems` has what Shopify refused, by topic."""
    who.require("connect_store")
    return Found({"problems": subscriptions.ensure(who.shop.shop_id)})


class Changed(BaseModel, extra="forbid"):
    """Which rows of a table."""

    since: Annotated[
        datetime | None, Query(description="Only rows changed since: X-Next-Since of the file before.")
    ] = None


def export(who: Asked, table: Table, asked: Annotated[Changed, Query()]) -> Response:
    """A whole table as a Parquet file: money in minor units, test and deleted orders marked by columns."""
    who.require("export")
    since, shop = _since(asked.since), who.shop
    next_since = _next_since(shop.shop_id, table)
    file = SpooledTemporaryFile(max_size=8_000_000)  # noqa: SIM115  the answer closes it when it is sent
    try:
        with shop_session(shop.shop_id) as session:
            rows = parquet.write(session, table, since, file, personal=shop.personal_data)
        audit.record(who.key.email, "export", shop_id=shop.shop_id, target=f"{table}.parquet")
    except BaseException:  # a client that left included
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    headers = {
        **who.limits, "Content-Length": str(size), "X-Row-Count": str(rows),
        "Content-Disposition": f'attachment; filename="{table}.parquet"',
        **({"X-Next-Since": next_since.isoformat()} if next_since else {}),
    }  # fmt: skip
    parts: Iterator[bytes] = iter(partial(file.read, 1 << 16), b"")
    media_type = "application/vnd.apache.parquet"
    return StreamingResponse(parts, media_type=media_type, headers=headers, background=BackgroundTask(file.close))


def _since(since: datetime | None) -> datetime | None:
    """The moment with its zone, which is UTC where none is given. Raises InputError."""
    known = since if since is None or since.tzinfo else since.replace(tzinfo=UTC)
    if known is not None and not FIRST_DAY.year <= known.year <= datetime.now(UTC).year + 1:
        raise InputError(f"`since` lies between {FIRST_DAY} and today.")
    return known


def _next_since(shop_id: int, table: str) -> datetime | None:
    """From when on changes are not surely in a file made now: whatever happened before was read by the sync."""
    known: dict[str, Any] = {each.stream: each.synced_until for each in jobs.sync_status(shop_id).streams}
    read_until = [known.get(stream) for stream in (TABLES[table].stream, "deletes")]
    return min(until for until in read_until if until) - _OVERLAP if all(read_until) else None


def _order_cursor(cursor: str) -> tuple[date, int]:
    """Where a page of orders ended. Raises InputError."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)\.(\d{1,19})", cursor, re.ASCII)
    try:
        if match is not None and int(match[2]) <= _MOST:
            return date.fromisoformat(match[1]), int(match[2])
    except ValueError:
        pass
    raise InputError("The cursor is not one that a page of orders ended with.")


def _number_cursor(cursor: str | None) -> int | None:
    """The number that a page ended with. Raises InputError."""
    if cursor is None:
        return None
    if not re.fullmatch(r"-?\d{1,19}", cursor, re.ASCII) or not -_MOST <= int(cursor) <= _MOST:
        raise InputError("The cursor is not one that a page of this list ended with.")
    return int(cursor)
