"""What Shopify sends by itself: whose signature a body bears, and what its headers say.

https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

# Subscriptions of the Admin API send the first family; Shopify's newer events have no prefix.
_FAMILIES = ("x-shopify-", "shopify-")
_LONGEST = 255


@dataclass(frozen=True)
class Delivery:
    """What a delivery's headers say; none of it is signed.

    `webhook_id` is the same in every repetition, `triggered_at` None where it is no moment.
    """

    webhook_id: str
    topic: str
    domain: str
    triggered_at: datetime | None
    signature: str


def sign(body: bytes, secret: str) -> str:
    """The signature of a body: base64 of HMAC-SHA256 over the bytes as they came."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def is_signed(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets made this signature; each is tried, and compared in the same time."""
    given = signature.encode("utf-8", "replace")
    compared = [hmac.compare_digest(sign(body, secret).encode(), given) for secret in secrets]
    return any(compared)


def read_headers(headers: Mapping[str, str], body: bytes) -> Delivery:
    """The headers of a delivery, by their lower-cased names; without an id of its own the content is the id."""
    family = next((name for name in _FAMILIES if f"{name}hmac-sha256" in headers), _FAMILIES[0])

    def told(name: str) -> str:
        return headers.get(f"{family}{name}", "").strip()[:_LONGEST]

    topic, domain = told("topic").lower(), told("shop-domain").lower()
    digest = hashlib.sha256(f"{topic}\n{domain}\n".encode() + body).hexdigest()
    return Delivery(
        webhook_id=told("webhook-id") or digest,
        topic=topic,
        domain=domain,
        triggered_at=_moment(told("triggered-at")),
        signature=headers.get(f"{family}hmac-sha256", ""),
    )


def enum_of(topic: str) -> str:
    """A topic as GraphQL names it: orders/create is ORDERS_CREATE."""
    return topic.replace("/", "_").upper()


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None and moment.year > 1 else None
