"""The webhook subscriptions of one demo shop; a topic may be sent to an address once."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from core.demo.shapes import Shape, gid

_FIRST, _STEP = 1_500_000_000_000, 32_768


@dataclass
class Subscriptions:
    """All subscriptions of one shop in this process, by number."""

    by_number: dict[int, Shape] = field(default_factory=dict)
    made: int = 0
    lock: Lock = field(default_factory=Lock)


def subscribe(subscriptions: Subscriptions, topic: str, wanted: dict[str, Any]) -> Shape:
    """The payload of webhookSubscriptionCreate."""
    uri = wanted.get("uri") or ""
    with subscriptions.lock:
        taken = any((known["topic"], known["uri"]) == (topic, uri) for known in subscriptions.by_number.values())
        if taken or not uri.startswith("https://"):
            why = "Address for this topic has already been taken" if taken else "Address is not an https:// address"
            errors = [{"__typename": "UserError", "field": ["webhookSubscription", "uri"], "message": why}]
            return {"webhookSubscription": None, "userErrors": errors}
        subscriptions.made += 1
        number = _FIRST + subscriptions.made * _STEP
        made = {
            "__typename": "WebhookSubscription", "id": gid("WebhookSubscription", number), "topic": topic, "uri": uri,
            "format": wanted.get("format") or "JSON", "includeFields": wanted.get("includeFields") or [],
            "filter": wanted.get("filter"),
        }  # fmt: skip
        subscriptions.by_number[number] = made
    return {"webhookSubscription": made, "userErrors": []}


def unsubscribe(subscriptions: Subscriptions, text: str) -> Shape:
    """The payload of webhookSubscriptionDelete."""
    tail = text.rpartition("/")[2]
    with subscriptions.lock:
        gone = subscriptions.by_number.pop(int(tail), None) if tail.isdigit() else None
    if gone is None:
        errors = [{"__typename": "UserError", "field": ["id"], "message": "Webhook subscription does not exist"}]
        return {"deletedWebhookSubscriptionId": None, "userErrors": errors}
    return {"deletedWebhookSubscriptionId": gone["id"], "userErrors": []}
