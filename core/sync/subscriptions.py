"""What each store tells by webhooks: made, compared with what should be once a day, and repaired.

Shopify removes a subscription after eight failures in a row, so one that was made need not be there any more.
"""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import or_, update
from sqlmodel import col, select

from core.config import get_settings
from core.db.engine import shop_session, system_session
from core.db.models import Shop, WebhookSubscription, connected_shop
from core.db.upsert import delete_where, upsert
from core.errors import AppError, GarbageAnswer, MalformedRow, QueryRefused
from core.shopify.client import ShopClient
from core.shopify.pages import paged
from core.shopify.queries import SUBSCRIBE, SUBSCRIPTIONS, UNSUBSCRIBE, Grants
from core.shopify.webhooks import enum_of
from core.sync import connect, inbox
from core.sync.duties import APP_TOPICS
from core.sync.resources import RESOURCES
from core.sync.resources.resource import Topic, gid_number

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
PATH = "/webhooks/shopify"


@dataclass(frozen=True)
class TopicStatus:
    """How one topic stands: `state` is subscribed, missing or demo; `outcome` is what became of the last delivery."""

    topic: str
    label: str
    state: str
    problem: str | None
    received_at: datetime | None
    outcome: str | None


def address() -> str | None:
    """Where Shopify delivers to; None where it cannot: without APP_URL on https, or without the app's own secret."""
    settings = get_settings()
    if settings.app_url is None or not settings.app_url.startswith("https://") or not settings.has_shopify_app:
        return None
    return settings.app_url + PATH


def wanted(grants: Grants) -> dict[str, tuple[str, ...]]:
    """The topics a store should tell, with the fields each body is to hold; () is all of them."""
    readable = [resource for resource in RESOURCES if all(grants.has(scope) for scope in resource.scopes)]
    topics = [topic for resource in readable for topic in resource.topics]
    return {topic.name: topic.fields for topic in (*topics, *(Topic(name, fields=()) for name in APP_TOPICS))}


def ensure(shop_id: int) -> dict[str, str]:
    """Make the subscriptions of a store that are missing, remove others of ours; problems by topic, {} if all is well.

    Nothing is asked of a demo store, nor where Shopify could not reach this app: see address(). Raises UnknownShop,
    and ShopifyError when the store cannot be asked at all.
    """
    uri, now = address(), datetime.now(UTC)
    with system_session(write=True) as session:
        shop = connected_shop(session, shop_id, locked=True)
        shop.webhooks_checked_at = now  # whoever comes now finds it done
    if uri is None or shop.is_demo or not shop.token or shop.reauth_since is not None:
        return {}
    try:
        with connect.client_for(shop) as client:
            known, problems = _repair(client, wanted(Grants(_scopes(shop, client))), uri)
    except AppError as error:
        _note(shop_id, str(error))
        raise
    _store(shop_id, known, problems, now)
    _note(shop_id, None)
    return problems


def _scopes(shop: Shop, client: ShopClient) -> frozenset[str]:
    return frozenset(shop.scopes.split(",")) if shop.scopes else connect.read_facts(client).scopes


def _repair(client: ShopClient, topics: dict[str, tuple[str, ...]], uri: str) -> tuple[dict[str, int], dict[str, str]]:
    """The numbers of the subscriptions that are there afterwards, and why others are not; both by topic."""
    by_enum = {enum_of(topic): topic for topic in topics}
    known: dict[str, int] = {}
    problems: dict[str, str] = {}
    for there in [one for page in paged(client, SUBSCRIPTIONS, filter=None, sizes={"first": 100},
                                        root="webhookSubscriptions") for one in page]:  # fmt: skip
        topic = by_enum.get(there.get("topic", ""))
        if topic is not None and topic not in known and _is_right(there, uri, topics[topic]):
            known[topic] = _number(there)
        else:  # of an earlier address or version of this program: what it brings would be done twice or refused
            _asked(client, UNSUBSCRIBE, "webhookSubscriptionDelete", {"id": there.get("id")})
    for topic, fields in topics.items():
        if topic in known:
            continue
        subscription: dict[str, Any] = {"uri": uri, "format": "JSON"} | ({"includeFields": fields} if fields else {})
        try:
            made = _asked(
                client,
                SUBSCRIBE,
                "webhookSubscriptionCreate",
                {"topic": enum_of(topic), "webhookSubscription": subscription},
            )
            known[topic] = _number(made.get("webhookSubscription") or {})
        except QueryRefused as error:  # one topic that is refused, perhaps for a scope, keeps back no other
            problems[topic] = str(error)
    return known, problems


def _is_right(there: dict[str, Any], uri: str, fields: tuple[str, ...]) -> bool:
    same = there.get("uri") == uri and there.get("format") == "JSON" and not there.get("filter")
    return same and sorted(there.get("includeFields") or ()) == sorted(fields)


def _number(there: dict[str, Any]) -> int:
    try:
        return gid_number(there.get("id"))
    except MalformedRow:
        raise GarbageAnswer("Shopify sent a webhook subscription without its id. Try again later.") from None


def _asked(client: ShopClient, mutation: str, name: str, variables: dict[str, Any]) -> dict[str, Any]:
    answer = client.execute(mutation, variables).data.get(name)
    if not isinstance(answer, dict):
        raise GarbageAnswer("Shopify's answer about webhooks could not be read. Try again later.")
    errors = answer.get("userErrors") or []
    if errors:
        raise QueryRefused(f"Shopify refused the webhook: {'; '.join(str(one.get('message')) for one in errors)}")
    return answer


def _store(shop_id: int, known: dict[str, int], problems: dict[str, str], now: datetime) -> None:
    rows = [{"topic": topic, "id": number, "checked_at": now, "problem": None} for topic, number in known.items()]
    rows += [{"topic": topic, "id": None, "checked_at": now, "problem": why} for topic, why in problems.items()]
    with shop_session(shop_id, write=True) as session:
        old = set(session.exec(select(WebhookSubscription.topic)).all()) - known.keys() - problems.keys()
        delete_where(session, WebhookSubscription, "topic", old)
        upsert(session, WebhookSubscription, rows)


def _note(shop_id: int, problem: str | None) -> None:
    with system_session(write=True) as session:
        session.get_one(Shop, shop_id).webhooks_problem = problem


def ensure_due(stop: threading.Event) -> None:
    """Compare the subscriptions of every store that was not compared for a day; any number of workers may do it."""
    if address() is None:
        return
    now = datetime.now(UTC)
    late = or_(col(Shop.webhooks_checked_at).is_(None), col(Shop.webhooks_checked_at) < now - EVERY)
    due = (late, col(Shop.is_demo).is_(False), col(Shop.token) != "", col(Shop.reauth_since).is_(None))
    with system_session() as session:
        shops = session.exec(select(Shop.id).where(*due)).all()
    for shop_id in shops:
        if stop.is_set() or shop_id is None:
            return
        with system_session(write=True) as session:
            mine: Any = session.execute(
                update(Shop).where(col(Shop.id) == shop_id, *due).values(webhooks_checked_at=now),
                execution_options={"synchronize_session": False},
            )
        if mine.rowcount:
            try:
                ensure(shop_id)
            except AppError as error:
                log.warning("webhooks of shop %s: %s", shop_id, error)


def status(shop_id: int) -> tuple[TopicStatus, ...]:
    """Every topic that a store should tell, and the others that were heard of, each as it stands."""
    with system_session() as session:
        shop = session.get_one(Shop, shop_id)
    with shop_session(shop_id) as session:
        made = {row.topic: row for row in session.exec(select(WebhookSubscription))}
    heard = inbox.last_received(shop_id)
    grants = Grants(frozenset(shop.scopes.split(",")))
    topics = ["orders/create"] if shop.is_demo else list(wanted(grants))
    return tuple(
        TopicStatus(
            topic=topic,
            label=LABELS.get(topic, topic),
            state=_state(topic, topics, made.get(topic), shop),
            problem=made[topic].problem if topic in made else None,
            received_at=heard.get(topic, (None, None))[0],
            outcome=heard.get(topic, (None, None))[1],
        )
        for topic in dict.fromkeys((*topics, *heard))
    )


def _state(topic: str, topics: list[str], made: WebhookSubscription | None, shop: Shop) -> str:
    if shop.is_demo:
        return "demo"
    if topic not in topics:
        return "other"
    return "subscribed" if made is not None and made.id is not None else "missing"


# What a page calls a topic.
LABELS: dict[str, str] = {
    "orders/create": "Order placed",
    "orders/updated": "Order changed",
    "orders/edited": "Order edited",
    "orders/cancelled": "Order cancelled",
    "orders/delete": "Order deleted",
    "refunds/create": "Refund made",
    "customers/create": "Customer made",
    "customers/update": "Customer changed",
    "customers/delete": "Customer deleted",
    "products/create": "Product made",
    "products/update": "Product changed",
    "products/delete": "Product deleted",
    "checkouts/update": "Checkout changed",
    "inventory_levels/update": "Stock changed",
    "inventory_items/update": "Stock item changed",
    "inventory_items/delete": "Stock item deleted",
    "app/uninstalled": "App uninstalled",
    "app/scopes_update": "Permissions changed",
    "shop/update": "Store changed",
    "bulk_operations/finish": "Bulk file ready",
    "customers/data_request": "Customer asks for data",
    "customers/redact": "Customer to be erased",
    "shop/redact": "Store to be erased",
}
