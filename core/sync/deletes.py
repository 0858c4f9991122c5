"""What was deleted at Shopify: found by events, marked here with the day's and the buyer's sums following.

Rows stay, with deleted_at. A deleted customer's orders go on counting. Variants go with their product's next change.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from core.db.engine import shop_session, system_session
from core.db.models import Customer, Order, Product, Shop, SyncState
from core.db.rollups import add, take_away
from core.db.upsert import chunks
from core.errors import MalformedRow
from core.shopify import pages
from core.sync import lease
from core.sync.failpoints import reached
from core.sync.fetch import OVERLAP, bump
from core.sync.resources import RESOURCES
from core.sync.resources.resource import Counts, Document, ShopContext, gid_number, moment
from core.sync.runs import Run, Stopped

STREAM = "deletes"


def sync(run: Run, context: ShopContext) -> None:
    """Mark what was destroyed since the last time; the cursor follows when all kinds are read."""
    run.stage("Looking for what was deleted", stream=STREAM, done=0, expected=None)
    newest = _since(context.shop_id)
    # A kind that could not be read for a while was passed over; a full read looks for all that Shopify tells of.
    since = _connected_at(context.shop_id) if STREAM in run.claim.full else newest
    for subject_type, stream in SUBJECTS:
        if not all(context.grants.has(scope) for scope in _scopes(stream)):
            continue
        for events in pages.destroyed(run.client, subject_type, since - OVERLAP):
            newest = max((newest, *(moment(event["createdAt"]) for event in events)))
            mark(run, context, STREAM, stream, set(_subjects(events)))
            reached("between_pages")
    with system_session(write=True) as session:
        lease.hold(session, run.claim, STREAM, synced_until=min(newest, max(run.started_at, since)))


def _since(shop_id: int) -> datetime:
    """The cursor; at first when the store was connected, as nothing was stored before."""
    with system_session() as session:
        state = session.get_one(SyncState, (shop_id, STREAM))
        return state.synced_until or session.get_one(Shop, shop_id).created_at


def _connected_at(shop_id: int) -> datetime:
    with system_session() as session:
        return session.get_one(Shop, shop_id).created_at


def _scopes(stream: str) -> tuple[str, ...]:
    return next(resource.scopes for resource in RESOURCES if resource.stream == stream)


def _subjects(events: list[Document]) -> Iterator[int]:
    for event in events:
        try:
            yield gid_number(event.get("subjectId"))
        except MalformedRow:
            continue  # the check of all ids will find it


def mark(run: Run, context: ShopContext, held: str, stream: str, ids: Collection[int]) -> None:
    """Mark objects of `stream` as deleted while the stream `held` is ours: rows, sums and data_version at once."""
    if run.stopping():
        raise Stopped("The program stops; this sync goes on at its next start.")
    with shop_session(context.shop_id, write=True) as session:
        lease.hold(session, run.claim, held)
        gone = soft_delete(session, stream, ids, run.started_at)
        reached("mid_transaction")
        if gone:
            bump(session, context.shop_id)
    reached("after_commit")
    run.counts[held].add(Counts(deleted=gone))


def soft_delete(session: Session, stream: str, ids: Collection[int], at: datetime) -> int:
    """Set deleted_at of the rows that are there and not deleted yet; how many. Without a fingerprint, an object that
    comes back is stored again."""
    model = MODELS[stream]
    living = [
        key
        for chunk in chunks(ids)
        for key in session.exec(select(model.id).where(col(model.id).in_(chunk), col(model.deleted_at).is_(None)))
    ]
    before = take_away(session, living) if stream == "orders" else None
    for chunk in chunks(living):
        marked = update(model).where(col(model.id).in_(chunk)).values(deleted_at=at, fingerprint="")
        session.execute(marked, execution_options={"synchronize_session": False})
    if before is not None:
        add(session, before, (), ())
    return len(living)


SUBJECTS: tuple[tuple[str, str], ...] = (("ORDER", "orders"), ("CUSTOMER", "customers"), ("PRODUCT", "products"))
MODELS: dict[str, Any] = {"orders": Order, "customers": Customer, "products": Product}
