"""One run of a shop's sync: what is due, stream by stream, from Shopify into the tables.

First by bulk operation, later by pages of what changed. Rows, ledger, rollups, cursor and data_version move in
one transaction, so a run can be stopped anywhere. One failing stream does not stop the others.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from core.db.engine import system_session
from core.db.models import Shop, SyncState
from core.errors import (
    AccessDenied,
    AppError,
    DatabaseUnavailable,
    LeaseLost,
    ShopFrozen,
    ShopifyError,
    ShopLocked,
    ShopNotFound,
    TokenRejected,
)
from core.log import about
from core.shopify.queries import Grants
from core.sync import checks, connect, deletes, fetch, lease, notices, runs, tokens
from core.sync.lease import Claim
from core.sync.resources.resource import Counts, Resource, ShopContext
from core.sync.runs import Run, Stopped
from core.sync.streams import SHOP_STREAM, STREAM, STREAMS, Stream

log = logging.getLogger(__name__)


_OF_THE_WHOLE_SHOP = (TokenRejected, ShopFrozen, ShopNotFound, ShopLocked)  # no stream can go on
_STALE = timedelta(hours=1)  # what is read whole each time and shows an older shop is read once more
_UNFORESEEN = "The sync failed for a reason this program does not know. The log says more; it will be tried again."


def run_claim(
    claim: Claim,
    *,
    trigger: str,
    stopping: Callable[[], bool] = lambda: False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> str:
    """Sync the claimed streams; the outcome: ok, partial, failed or interrupted. Problems are kept in the run's row."""
    run_id = runs.start(claim.shop_id, claim.asked_by or trigger)
    with about(shop_id=claim.shop_id, run_id=run_id):
        return _run(claim, run_id, stopping, on_progress)


def _run(claim: Claim, run_id: int, stopping: Callable[[], bool], on_progress: Callable[[str], None]) -> str:
    counts: dict[str, Counts] = {}
    run: Run | None = None
    try:
        with system_session() as session:
            shop = session.get_one(Shop, claim.shop_id)
        with connect.client_for(shop) as client:
            run = Run(claim, run_id, client, stopping, on_progress, counts)
            outcome = _run_streams(run, shop)
        problem = " ".join(run.problems.values()) or None
        runs.finish(run_id, outcome, problem, counts, error_class=run.error_class, **run.spent())
    except (Stopped, LeaseLost) as error:
        lease.give_back(claim)
        runs.finish(run_id, "interrupted", str(error), counts, **(run.spent() if run else {}))
        return "interrupted"
    except AppError as error:
        _fail(claim, run_id, run, error, counts)
        outcome = "failed"
    except Exception as error:  # whatever it is, no run may say "running" for ever; the log has the traceback
        log.exception("sync of shop %s failed in run %s", claim.shop_id, run_id)
        _fail(claim, run_id, run, error, counts)
        outcome = "failed"
    log.info("sync of shop %s, run %s: %s %s", claim.shop_id, run_id, outcome, counts)
    notices.tell(claim.shop_id)
    return outcome


def _fail(claim: Claim, run_id: int, run: Run | None, error: Exception, counts: dict[str, Counts]) -> None:
    known, kind = isinstance(error, AppError), type(error).__name__
    problem = str(error) if known else _UNFORESEEN
    permanent = known and not isinstance(error, DatabaseUnavailable)
    for stream in claim.epochs:
        lease.release(
            claim, stream, problem=problem, due_again=None, succeeded=False, permanent=permanent, error_class=kind
        )
    runs.finish(run_id, "failed", problem, counts, error_class=kind, **(run.spent() if run else {}))


def _run_streams(run: Run, shop: Shop) -> str:
    try:
        context = _sync_shop(run, shop)
    except ShopifyError as error:
        for name in run.claim.epochs:
            _give_up(run, name, error)
        run.problems = {SHOP_STREAM: str(error)}
        return "failed"
    due = [stream for stream in STREAMS if stream.name in run.claim.epochs and stream.name != SHOP_STREAM]
    for position, stream in enumerate(due):
        try:
            withheld = _sync_stream(run, stream, context)
            if withheld:
                run.problems[stream.name] = withheld
            lease.release(
                run.claim,
                stream.name,
                problem=withheld,
                due_again=stream.every,
                succeeded=True,
                whole_again=withheld is not None,
            )
        except (LeaseLost, Stopped):
            raise
        except _OF_THE_WHOLE_SHOP as error:
            run.problems[stream.name] = f"{stream.label}: {error}"
            for given_up in due[position:]:
                _give_up(run, given_up.name, error)
            return "failed"
        except Exception as error:  # whatever it is, the other streams go on
            if stream.extra and isinstance(error, AccessDenied):
                _leave_out(run, stream, error)
                continue
            fault = error if isinstance(error, AppError) else AppError(_UNFORESEEN)
            log.warning("shop %s, %s: %s", run.claim.shop_id, stream.name, fault, exc_info=fault is not error)
            run.problems[stream.name] = f"{stream.label}: {fault}"
            _give_up(run, stream.name, fault)
    if not run.problems:
        return "ok"
    needed = [stream.name for stream in due if not stream.extra] or [stream.name for stream in due]
    return "failed" if run.problems.keys() >= set(needed) else "partial"


def _leave_out(run: Run, stream: Stream, error: AccessDenied) -> None:
    """A stream the token does not allow, and the sync is whole without it; asked again, as a scope may be granted."""
    lease.release(
        run.claim,
        stream.name,
        problem=str(error),
        due_again=stream.every,
        succeeded=False,
        left_out=True,
        error_class=type(error).__name__,
    )


def _give_up(run: Run, stream: str, error: AppError) -> None:
    permanent, kind = isinstance(error, ShopifyError) and error.permanent, type(error).__name__
    run.error_class = run.error_class or kind
    lease.release(
        run.claim, stream, problem=str(error), due_again=None, succeeded=False, permanent=permanent, error_class=kind
    )
    if isinstance(error, TokenRejected):
        tokens.stop_asking(run.claim.shop_id, run.client)


def _sync_shop(run: Run, shop: Shop) -> ShopContext:
    """Read who the shop is and what the token may read now: both may have changed since the last run."""
    run.stage("Asking Shopify about the store", stream=SHOP_STREAM)
    facts = connect.read_facts(run.client)
    if facts.gid != shop.gid:
        raise ShopNotFound(f"At {shop.domain} there is another store now. Connect the store again by its new address.")
    with system_session(write=True) as session:
        lease.hold(session, run.claim, next(iter(run.claim.epochs)))
        stored = session.get_one(Shop, shop.id)
        anew = connect.reshapes(stored, facts)
        if changed := connect.update_facts(session, stored, facts):
            fetch.bump(session, shop.id or 0)
        if anew:
            lease.read_anew(session, shop.id or 0)
    if anew:
        run.claim = replace(run.claim, full=frozenset(run.claim.epochs))
    if SHOP_STREAM in run.claim.epochs:
        lease.release(run.claim, SHOP_STREAM, problem=None, due_again=STREAM[SHOP_STREAM].every, succeeded=True)
    run.started_at = facts.asked_at
    run.counts[SHOP_STREAM] = Counts(read=1, updated=int(changed), unchanged=int(not changed))
    return ShopContext(
        shop_id=shop.id or 0,
        currency=facts.currency,
        zone=ZoneInfo(facts.time_zone),
        grants=Grants(facts.scopes, shop.personal_data),
    )


def _sync_stream(run: Run, stream: Stream, context: ShopContext) -> str | None:
    """Sync one stream; a sentence where Shopify withheld fields of it."""
    resource = stream.resource
    run.counts[stream.name] = Counts()
    since = _synced_until(run, stream.name)
    full = stream.name in run.claim.full or since is None
    withheld: list[str] = []
    if resource is None:
        _CHECKS[stream.name](run, context)
    elif missing := [scope for scope in resource.scopes if not context.grants.has(scope)]:
        del run.counts[stream.name]
        raise AccessDenied(
            f"The access token lacks {', '.join(missing)}. Grant it in the app's settings in Shopify, then sync again."
        )
    elif full or since is None or resource.pages is None:
        try:
            withheld = _read_whole(run, resource, context)
        except AccessDenied:
            if since is None or resource.pages is None:
                raise
            # One denied field fails the whole file. Pages bring the rest, and the file is tried again next time.
            full, withheld = False, fetch.changed(run, resource, context, since) or ["a field of the whole file"]
    else:
        withheld = fetch.changed(run, resource, context, since)
    until = _synced_until(run, stream.name)
    run.windows[stream.name] = [
        since.isoformat() if since and not full else None,
        until.isoformat() if until else None,
    ]
    if withheld:
        return f"{stream.label}: Shopify withheld {', '.join(withheld)}. Check the app's scopes in Shopify."
    return None


def _read_whole(run: Run, resource: Resource, context: ShopContext) -> list[str]:
    """Read everything; the fields Shopify withheld."""
    snapshot_after = fetch.by_bulk(run, resource, context)
    cursor = _synced_until(run, resource.stream)
    # An operation gone on with shows the shop of that time, up to a week ago: read on to now.
    if resource.pages is not None and snapshot_after < run.started_at and cursor is not None:
        return fetch.changed(run, resource, context, cursor)
    if resource.pages is None and snapshot_after < run.started_at - _STALE:
        fetch.by_bulk(run, resource, context)
    return []


def _synced_until(run: Run, stream: str) -> datetime | None:
    with system_session() as session:
        return session.get_one(SyncState, (run.claim.shop_id, stream)).synced_until


_CHECKS: dict[str, Callable[[Run, ShopContext], None]] = {
    "deletes": deletes.sync,
    "rescan": checks.rescan,
    "sweep": checks.sweep,
}
