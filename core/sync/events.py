"""What a webhook leads to. It is a hint: the object it names is read by its id, as it is now, and stored or forgotten.

So neither the order of deliveries nor a repeated one, an old one, or one for another store matters.
"""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from core.db.engine import shop_session, system_session
from core.db.models import Shop
from core.db.upsert import chunks
from core.errors import AppError, LeaseLost, MalformedRow, Throttled, TokenRejected
from core.log import about
from core.shopify.client import ShopClient
from core.shopify.queries import Grants
from core.sync import connect, deletes, duties, fetch, inbox, lease, tokens
from core.sync.failpoints import reached
from core.sync.inbox import Event, Held
from core.sync.resources import RESOURCES
from core.sync.resources.resource import Resource, ShopContext, Topic, gid_number

log = logging.getLogger(__name__)

PATIENCE_S = 10.0  # so long one batch waits for Shopify's rate limit before others have their turn
_Objects = dict[int, list[Event]]  # what tells of each object, by its number
_Named = dict[str, _Objects]  # by stream
_UNFORESEEN = "It failed for a reason this program does not know; the log says more."


def drain(stopping: Callable[[], bool] = lambda: False) -> int:
    """Settle what waits in the inbox, shop by shop; how many deliveries were taken."""
    taken = 0
    while not stopping() and (held := inbox.claim()) is not None:
        taken += len(held.events)
        try:
            with about(shop_id=held.shop_id):
                _take(held)
        except LeaseLost as error:
            log.info("webhooks of shop %s: %s", held.shop_id, error)
        finally:
            inbox.give_back(held)
    return taken


def _take(held: Held) -> None:
    with system_session() as session:
        shop = session.get(Shop, held.shop_id) if held.shop_id is not None else None
    named: _Named = {}
    for event in held.events:
        try:
            body = parsed(event.body)
            if event.topic in duties.DUTIES:
                duties.DUTIES[event.topic](held, event, body, shop)
            elif shop is None:
                _take_in(held, event)
            elif (found := TOPICS.get(event.topic)) is None:
                _ignore(held, [event], "This program has no use for this topic.")
            else:
                resource, topic = found
                named.setdefault(resource.stream, {}).setdefault(_number(body, topic), []).append(event)
        except LeaseLost:
            raise
        except MalformedRow as error:
            inbox.postpone(held, [event], f"The body cannot be used: {error}.", for_good=True)
        except Exception as error:  # whatever it is, the other deliveries go on
            inbox.postpone(held, [event], _in_words(error, held))
    if shop is not None and named:
        _refresh(held, shop, named)


def parsed(body: bytes) -> dict[str, Any]:
    """The object a body holds. Raises MalformedRow."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedRow("it is not JSON") from None
    if not isinstance(document, dict):
        raise MalformedRow("it is not an object")
    return document


def _number(body: dict[str, Any], topic: Topic) -> int:
    try:
        value: Any = reduce(lambda part, key: part[key], topic.key.split("."), body)
    except (KeyError, TypeError):
        value = None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63:
        return value
    raise MalformedRow(f"it has no {topic.key}")


def _take_in(held: Held, event: Event) -> None:
    """A store that was not known here when the delivery came."""
    try:
        inbox.adopt(held, event, connect.find_shop(event.domain))
    except LeaseLost:
        raise
    except AppError:
        _ignore(held, [event], "No such store is connected here.")


def _ignore(held: Held, events: Iterable[Event], why: str, about: str = "") -> None:
    with system_session(write=True) as session:
        inbox.settle(session, held, _ids(events), "ignored", problem=why, about=about)


def _refresh(held: Held, shop: Shop, named: _Named) -> None:
    if why := _no_use(shop):
        for stream, objects in named.items():
            _ignore(held, _all(objects), why, about=stream)
        return
    context = ShopContext(
        shop_id=shop.id or 0,
        currency=shop.currency,
        zone=ZoneInfo(shop.time_zone),
        grants=Grants(frozenset(shop.scopes.split(",")), shop.personal_data),
    )
    with connect.client_for(shop, sleep=_patience()) as client:
        for stream, objects in named.items():
            resource = _BY_STREAM[stream]
            if not all(context.grants.has(scope) for scope in resource.scopes):
                _ignore(held, _all(objects), "The access token may not read this.")
                continue
            # What failed is tried alone: one object that cannot be read must not keep back the others.
            tried = any(event.attempts > 1 for event in _all(objects))
            for ids in chunks(sorted(objects), 1 if tried else resource.at_once):
                inbox.let_burst_in()
                held = inbox.keep(held)
                _attempt(held, {number: objects[number] for number in ids}, resource, context, client)


def _no_use(shop: Shop) -> str | None:
    if not shop.token:
        return "The store is disconnected. The sync reads what changed once it is connected again."
    if shop.reauth_since is not None:
        return "Shopify refuses the store's access token. The sync reads what changed once it is connected again."
    return None if shop.scopes else "The store was never synced. Its first sync reads everything."


def _attempt(held: Held, objects: _Objects, resource: Resource, context: ShopContext, client: ShopClient) -> None:
    try:
        _store(held, objects, resource, context, client)
    except LeaseLost:
        raise
    except Exception as error:  # whatever it is, the other objects go on
        problem = _in_words(error, held)
        for number, events in objects.items():
            inbox.postpone(held, events, problem, about=f"{resource.stream}/{number}")
        if isinstance(error, TokenRejected):
            tokens.stop_asking(context.shop_id, client)


def _store(held: Held, objects: _Objects, resource: Resource, context: ShopContext, client: ShopClient) -> None:
    """One transaction: the objects as they are now, what follows from them, and that the deliveries are settled."""
    assert resource.by_id is not None
    documents = resource.by_id(client, context.grants, list(objects))
    resource.complete(client, documents)
    gone = sorted(set(objects) - {gid_number(document["id"]) for document in documents})
    with inbox.writing, shop_session(context.shop_id, write=True) as session:
        lease.locked(session, context.shop_id)  # one writer of a shop's rows at a time: a sync stores behind it, too
        inbox.settle(session, held, _ids(_all(objects)))
        counts = resource.store(session, context, documents)
        if resource.gone is not None:
            counts.deleted = resource.gone(session, gone)
        elif resource.stream in deletes.MODELS:
            counts.deleted = deletes.soft_delete(session, resource.stream, gone, datetime.now(UTC))
        reached("mid_transaction")
        if counts.changed:
            fetch.bump(session, context.shop_id)
    reached("after_commit")


def _patience() -> Callable[[float], None]:
    """A client's way to wait that gives up after a while in all: the deliveries are tried again later instead."""
    left_s = PATIENCE_S

    def sleep(seconds: float) -> None:
        nonlocal left_s
        left_s -= seconds
        if left_s < 0:
            raise Throttled("Shopify did not answer in time.", seconds)
        time.sleep(seconds)

    return sleep


def _in_words(error: Exception, held: Held) -> str:
    if isinstance(error, AppError):
        return str(error)
    log.error("webhooks of shop %s failed", held.shop_id, exc_info=error)
    return _UNFORESEEN


def _all(objects: _Objects) -> list[Event]:
    return [event for events in objects.values() for event in events]


def _ids(events: Iterable[Event]) -> list[str]:
    return [event.webhook_id for event in events]


_BY_STREAM: dict[str, Resource] = {resource.stream: resource for resource in RESOURCES}
TOPICS: dict[str, tuple[Resource, Topic]] = {
    topic.name: (resource, topic) for resource in RESOURCES for topic in resource.topics
}
