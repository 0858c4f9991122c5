"""One resource of one shop, from Shopify into the tables: everything by bulk operation, or what changed by pages.

Rows, ledger, rollups, cursor and data_version move in one transaction, so a run can be stopped anywhere.
"""

import gc
import hashlib
import logging
import math
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from sqlmodel import Session

from core.db.engine import shop_session, system_session
from core.db.models import Shop, SyncState
from core.errors import AccessDenied, BulkFailed, MalformedRow, ShopifyError, TokenRejected
from core.shopify import bulk
from core.shopify.bulk import BulkFile, BulkOperation, MalformedLine
from core.shopify.client import ShopClient
from core.shopify.queries import created_since, updated_since
from core.sync import inbox, lease, runs
from core.sync.failpoints import reached
from core.sync.resources.resource import (
    INCOMPLETE,
    Counts,
    Document,
    Resource,
    ShopContext,
    forget_quarantined,
    gid_number,
)
from core.sync.runs import Run, Stopped

log = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=15)  # a parent may be stamped before its children, and clocks disagree by ten
BATCH = 1000
BULK_ABOVE = 2000  # so many changed objects are read by bulk operation: pages of them would take longer and cost points
_KEPT_FOR = timedelta(days=7)  # Shopify keeps the result of a bulk operation as long


def by_bulk(run: Run, resource: Resource, context: ShopContext, since: datetime | None = None) -> datetime:
    """Read everything, or what changed since a moment, in one file; a moment after which its snapshot was taken.

    Raises BulkFailed unless the file is proven complete: then nothing has changed.
    """
    what, began = resource.label.lower(), datetime.now(UTC)
    before = state_of(run, resource.stream).synced_until
    expected = counted(run.client, resource, _window(resource, since), None)
    run.stage(f"Shopify prepares the {what}", stream=resource.stream, done=0, expected=expected)
    query = resource.bulk_query(context.grants, _window(resource, since))
    newest: datetime | None = None
    oldest: datetime | None = None
    found = array("q")
    with received(run, resource.stream, what, query) as (file, operation, snapshot_after):
        run.stage(f"Storing the {what}", expected=operation.root_object_count)
        for batch in batches(_marked(bulk.documents(file, resource.connections))):
            newest = max(_moments(batch, "updatedAt", newest), default=None)
            oldest = min(_moments(batch, "processedAt", oldest), default=None)
            store(run, resource, context, batch)
            if resource.prune is not None:
                found.extend(_ids(batch))
    counts = run.counts[resource.stream]
    # The snapshot was taken after that moment: what changed meanwhile has to be read again.
    follows = resource.pages is not None and resource.reread is None
    until = min(newest or since or snapshot_after, snapshot_after) if follows else snapshot_after
    with shop_session(context.shop_id, write=True) as session:
        lease.hold(session, run.claim, resource.stream, synced_until=max(until, since or until))
        if resource.prune is not None and not counts.quarantined:  # an item that could not be read is not gone
            gone = resource.prune(session, found)
            counts.deleted += gone
            if gone:
                bump(session, context.shop_id)
        set_operation(session, context.shop_id, resource.stream, None)
        _cover(session, run, resource, context, before, oldest)
        _look_for_deletes_again(session, context.shop_id, snapshot_after)
        if since is None:
            forget_quarantined(session, resource.stream, before=began)  # the file held everything there is
    return snapshot_after


def _ids(documents: Iterable[Document | MalformedLine]) -> Iterator[int]:
    for document in documents:
        if isinstance(document, dict):
            with suppress(MalformedRow):
                yield gid_number(document["id"])


def _look_for_deletes_again(session: Session, shop_id: int, snapshot_after: datetime) -> None:
    """A file may hold, and so bring back, what was deleted since its snapshot was taken."""
    state = session.get(SyncState, (shop_id, "deletes"))
    if state is not None and state.synced_until is not None:
        state.synced_until = min(state.synced_until, snapshot_after)


@contextmanager
def received(run: Run, stream: str, what: str, query: str) -> Iterator[tuple[BulkFile, BulkOperation, datetime]]:
    """The proven file of a bulk query, its operation, and a moment before its snapshot was taken.

    An operation that an earlier worker submitted for the same query is gone on with.
    """
    operation, snapshot_after = _finished_operation(run, stream, query)
    with tempfile.TemporaryDirectory(prefix="shoptally-") as folder:
        run.stage(f"Receiving the {what}")
        try:
            file = bulk.download(run.client, operation, Path(folder), on_bytes=_throttled(lambda: run.check(stream)))
        except BulkFailed:
            _remember(run, stream, None)  # its file is no good: the next run asks for a new one
            raise
        run.bytes += file.bytes
        yield file, operation, snapshot_after


def _finished_operation(run: Run, stream: str, query: str) -> tuple[BulkOperation, datetime]:
    digest = hashlib.sha256(query.encode()).hexdigest()
    known = state_of(run, stream)
    if known.bulk_operation_id and known.bulk_query_hash == digest and known.bulk_started_at is not None:
        age = run.started_at - known.bulk_started_at
        try:
            if age < _KEPT_FOR:
                return _waited_for(run, stream, known.bulk_operation_id), known.bulk_started_at
        except (AccessDenied, BulkFailed) as error:  # what was denied then may be granted now
            log.info("shop %s, %s: %s A new one is submitted.", run.claim.shop_id, stream, error)
    operation_id = bulk.submit(run.client, query, on_wait=lambda: run.check(stream))
    _remember(run, stream, (operation_id, digest))
    reached("after_submit")
    return _waited_for(run, stream, operation_id), run.started_at


def _waited_for(run: Run, stream: str, operation_id: str) -> BulkOperation:
    def polled(_: BulkOperation) -> None:
        reached("while_polling")
        run.check(stream)

    def pause(seconds: float) -> None:
        """Shopify may tell that it is done: that webhook need not come, so it only shortens the wait."""
        steps = math.ceil(seconds)
        for step in range(1, steps + 1):
            run.client.sleep(seconds / steps)
            if step < steps and inbox.was_told(run.claim.shop_id, inbox.BULK_FINISHED, operation_id):
                return

    return bulk.wait(run.client, operation_id, on_poll=polled, pause=pause)


def _remember(run: Run, stream: str, operation: tuple[str, str] | None) -> None:
    with system_session(write=True) as session:
        lease.hold(session, run.claim, stream)
        set_operation(session, run.claim.shop_id, stream, operation, run.started_at)


def set_operation(
    session: Session, shop_id: int, stream: str, operation: tuple[str, str] | None, started_at: datetime | None = None
) -> None:
    """Remember the id and the query's hash of an operation that was submitted, or that there is none any more."""
    state = session.get_one(SyncState, (shop_id, stream))
    state.bulk_operation_id, state.bulk_query_hash = operation or (None, None)
    state.bulk_started_at = started_at if operation else None


def state_of(run: Run, stream: str) -> SyncState:
    """A stream's row of the queue, as it is now."""
    with system_session() as session:
        return session.get_one(SyncState, (run.claim.shop_id, stream))


def changed(run: Run, resource: Resource, context: ShopContext, since: datetime) -> list[str]:
    """Read what changed since a moment, by pages or, when it is much, by bulk; the fields Shopify withheld."""
    many = counted(run.client, resource, _window(resource, since), BULK_ABOVE + 1)
    if many is not None and many > BULK_ABOVE:
        with suppress(AccessDenied):  # of one field, which pages go without
            by_bulk(run, resource, context, since)
            return []
    return _by_pages(run, resource, context, since)


def _by_pages(run: Run, resource: Resource, context: ShopContext, since: datetime) -> list[str]:
    assert resource.pages is not None
    what = resource.label.lower()
    run.stage(f"Reading changed {what}", stream=resource.stream, done=0, expected=None)
    before = state_of(run, resource.stream).synced_until
    # What changes while we read shows its new time at its old place: such a time says nothing of the pages to come.
    settled = run.started_at - OVERLAP
    settled_until = newest = since
    oldest: datetime | None = None
    degraded: set[str] = set()
    for page in resource.pages(run.client, context.grants, _window(resource, since), degraded=degraded):
        newest = max(_moments(page, "updatedAt", newest))
        settled_until = max(at for at in _moments(page, "updatedAt", settled_until) if at <= max(settled, since))
        oldest = min(_moments(page, "processedAt", oldest), default=None)
        # Pages in another order say nothing of how far the changes were read.
        store(run, resource, context, page, synced_until=settled_until if resource.reread is None else None)
        reached("between_pages")
    until = min(newest, max(run.started_at, since)) if resource.reread is None else max(run.started_at, since)
    with system_session(write=True) as session:
        lease.hold(session, run.claim, resource.stream, synced_until=until)
        _cover(session, run, resource, context, before, oldest)
    return sorted(degraded)


def _window(resource: Resource, since: datetime | None) -> str | None:
    """The filter for what changed since a moment, with an overlap; None for everything."""
    if since is None:
        return None
    if resource.reread is not None:
        return created_since(since - resource.reread)
    start = since - OVERLAP
    if resource.whole_days:
        start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return updated_since(start)


def _cover(
    session: Session, run: Run, resource: Resource, context: ShopContext, before: datetime | None,
    oldest: datetime | None,
) -> None:  # fmt: skip
    """Note from when on nothing is missing: what the token saw at first stays covered while no gap opens."""
    if resource.limited is None:
        return
    scope, sees = resource.limited
    state = session.get_one(SyncState, (context.shop_id, resource.stream))
    edge = run.started_at - sees
    if context.grants.has(scope):
        known = [at for at in (state.history_from, oldest) if at is not None]
        state.history_from = min(known, default=None)
    elif state.history_from is None or before is None or before < edge:
        state.history_from = edge


def store(
    run: Run,
    resource: Resource,
    context: ShopContext,
    documents: Sequence[Document | MalformedLine],
    *,
    synced_until: datetime | None = None,
) -> None:
    """One transaction: the rows, what follows from them, the cursor, the progress."""
    if run.stopping():
        raise Stopped("The program stops; this sync goes on at its next start.")
    resource.complete(run.client, documents)
    total = run.counts[resource.stream]
    with shop_session(context.shop_id, write=True) as session:
        lease.hold(session, run.claim, resource.stream, synced_until=synced_until)
        counts = resource.store(session, context, documents)
        reached("mid_transaction")
        if counts.changed:
            bump(session, context.shop_id)
        done = total.read + counts.read
        runs.note_in(session, run.run_id, done=done, counts={**_as_json(run.counts), resource.stream: vars(counts)})
    reached("after_commit")
    total.add(counts)
    run.on_progress(f"{resource.label}: {done:,}")


def _as_json(counts: dict[str, Counts]) -> dict[str, dict[str, int]]:
    return {stream: dict(vars(count)) for stream, count in counts.items()}


def bump(session: Session, shop_id: int) -> None:
    """Readers keep what they cached until this number moves."""
    shop = session.get_one(Shop, shop_id, with_for_update=True)
    shop.data_version += 1


def _moments(documents: Iterable[Document | MalformedLine], field: str, known: datetime | None) -> Iterator[datetime]:
    """A known moment, and a field of the documents where it is one; an object where it is not goes to quarantine."""
    if known is not None:
        yield known
    for document in documents:
        if isinstance(document, dict) and isinstance(text := document.get(field), str):
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                continue
            if at.tzinfo is not None:
                yield at


def _marked(documents: Iterator[Document | MalformedLine]) -> Iterator[Document | MalformedLine]:
    """Mark an object one of whose children could not be read; its malformed lines, which come before it, end here.

    What is left of an object whose own line cannot be read comes as one malformed line. Raises BulkFailed when
    hardly anything can be read.
    """
    lacking: dict[str, MalformedLine] = {}
    for document in documents:
        if isinstance(document, MalformedLine):
            if document.hangs_on is None:
                yield document
            elif len(lacking) == BATCH:
                raise BulkFailed(f"The result is damaged from line {document.line_number} on. Start the sync again.")
            else:
                lacking.setdefault(document.hangs_on, document)
            continue
        ids = {document["id"], *(agreement.get("id") for agreement in document.get("agreements", ()))}
        for gid, line in lacking.items():
            if gid in ids:
                document[INCOMPLETE] = f"line {line.line_number} of it cannot be read: {line.reason}"
            elif gid.rpartition("/")[0] == document["id"].rpartition("/")[0]:
                yield line
        lacking.clear()
        yield document
    yield from lacking.values()


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for reference cycles less often: a batch is many small objects without any, and looking cost a quarter."""
    usual = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def batches(documents: Iterator[Document | MalformedLine]) -> Iterator[list[Document | MalformedLine]]:
    """Documents in lists of BATCH, each emptied before the next; what a batch leaves behind is cleared away, too.

    Statements keep their lists of a thousand ids in reference cycles: a dozen objects, for which Python does not look
    by itself, and a megabyte.
    """
    while batch := list(islice(documents, BATCH)):
        yield batch
        batch.clear()
        gc.collect(1)


def counted(client: ShopClient, resource: Resource, filter: str | None, limit: int | None) -> int | None:
    """How many objects a filter finds, counted up to a limit; None where Shopify does not say.

    Counts know fewer filters than lists: a refusal is no failure.
    """
    if resource.count_query is None:
        return None
    try:
        answer = client.execute(resource.count_query, {"query": filter, "limit": limit})
        return int(answer.data[resource.count_field]["count"])
    except (ShopifyError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, TokenRejected):
            raise
        return None


def _throttled(action: Callable[[], None], every_s: float = 5.0) -> Callable[[int], None]:
    last = datetime.now(UTC)

    def call(_: int) -> None:
        nonlocal last
        reached("mid_download")
        if (datetime.now(UTC) - last).total_seconds() >= every_s:
            last = datetime.now(UTC)
            action()

    return call
