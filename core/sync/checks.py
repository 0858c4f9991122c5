"""What is checked beside the regular reading: the last days again every night, every id once a week.

Neither moves the cursor of what it checks.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import col, select

from core.db.engine import shop_session, system_session
from core.db.models import QuarantinedRow, SyncState
from core.db.upsert import chunks, fetch
from core.errors import BulkFailed
from core.shopify import bulk
from core.shopify.bulk import MalformedLine
from core.shopify.queries import ID_QUERIES
from core.sync import deletes, lease
from core.sync.fetch import changed, received, set_operation, state_of
from core.sync.resources.customers import CUSTOMERS
from core.sync.resources.orders import ORDERS
from core.sync.resources.products import PRODUCTS
from core.sync.resources.resource import Counts, Resource, ShopContext, gid_number, moment
from core.sync.runs import Run

AGAIN = timedelta(days=3)
_EDGE = timedelta(days=1)  # what is about to leave the token's sight is not called gone
_ROWS_A_READ = 10_000


def rescan(run: Run, context: ShopContext) -> None:
    """Read again what changed in the last days, whatever the cursors say."""
    for resource in _readable(run, context):
        if changed(run, replace(resource, stream="rescan", limited=None), context, run.started_at - AGAIN):
            with system_session(write=True) as session:
                lease.hold(session, run.claim, "rescan")
                session.get_one(SyncState, (context.shop_id, resource.stream)).full = True  # fields were withheld
    _done(run, "rescan")


def sweep(run: Run, context: ShopContext) -> None:
    """Compare every id: what is gone is marked as deleted, and a stream that lacks some is read anew.

    Where the token sees a part of the orders, older ones are never called gone.
    """
    for resource in _readable(run, context):
        _sweep(run, resource, context)
    _done(run, "sweep")


def _readable(run: Run, context: ShopContext) -> Iterator[Resource]:
    for resource in CHECKED:
        granted = all(context.grants.has(scope) for scope in resource.scopes)
        if granted and state_of(run, resource.stream).synced_until is not None:
            yield resource


def _done(run: Run, stream: str) -> None:
    with system_session(write=True) as session:
        lease.hold(session, run.claim, stream, synced_until=run.started_at)
        set_operation(session, run.claim.shop_id, stream, None)


def _sweep(run: Run, resource: Resource, context: ShopContext) -> None:
    what = f"ids of {resource.label.lower()}"
    run.stage(f"Shopify lists the {what}", stream="sweep", done=0, expected=None)
    read_until = state_of(run, resource.stream).synced_until
    ids, settled = array("q"), array("q")
    with received(run, "sweep", what, ID_QUERIES[resource.stream]) as (file, _, snapshot_after):
        for document in bulk.documents(file, ()):
            if isinstance(document, MalformedLine):
                raise BulkFailed(f"Line {document.line_number} of the {what} cannot be read. Start the sync again.")
            ids.append(gid_number(document["id"]))
            # What changed after the cursor is still to be read: it is not missing.
            if read_until is not None and moment(document.get("updatedAt")) <= read_until:
                settled.append(ids[-1])
    run.check("sweep")
    theirs = array("q", sorted(ids))
    gone, ours = array("q"), array("q")
    since = _seen_since(resource, context, snapshot_after)
    for row in _living(context.shop_id, resource):
        if row.updated_at is not None:
            ours.append(row.id)
        dates = [at for at in (row.created_at, getattr(row, "processed_at", row.created_at)) if at is not None]
        if dates and since <= min(dates) and max(dates) < snapshot_after and not _has(theirs, row.id):
            gone.append(row.id)
    run.counts["sweep"].add(Counts(read=len(ids), unchanged=len(ids)))
    for chunk in chunks(gone):
        deletes.mark(run, context, "sweep", resource.stream, chunk)
    _read_anew(run, resource, context, [number for number in settled if not _has(ours, number)])


def _seen_since(resource: Resource, context: ShopContext, snapshot_after: datetime) -> datetime:
    if resource.limited is None or context.grants.has(resource.limited[0]):
        return datetime.min.replace(tzinfo=UTC)
    return snapshot_after - resource.limited[1] + _EDGE


def _living(shop_id: int, resource: Resource) -> Iterator[Any]:
    """Rows that are not deleted, by id."""
    model = deletes.MODELS[resource.stream]
    dates = [model.processed_at] if resource is ORDERS else []
    last = 0
    while True:
        query: Any = select(model.id, model.created_at, model.updated_at, *dates)
        query = query.where(col(model.id) > last, col(model.deleted_at).is_(None)).order_by(model.id)
        with shop_session(shop_id) as session:
            rows = session.exec(query.limit(_ROWS_A_READ)).all()
        if not rows:
            return
        yield from rows
        last = rows[-1].id


def _has(numbers: Sequence[int], number: int) -> bool:
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number


def _read_anew(run: Run, resource: Resource, context: ShopContext, missing: list[int]) -> None:
    """Let the stream read everything, unless all it lacks is what could not be stored."""
    with shop_session(context.shop_id, write=True) as session:
        lease.hold(session, run.claim, "sweep")
        keys = [f"{resource.stream}/{number}" for number in missing]
        if len(fetch(session, QuarantinedRow, ("key",), "key", keys)) == len(keys):
            return
        state = session.get_one(SyncState, (context.shop_id, resource.stream))
        state.full = True
        if state.every_s != 0:
            state.due_at = datetime.now(UTC)


CHECKED: tuple[Resource, ...] = (PRODUCTS, CUSTOMERS, ORDERS)
