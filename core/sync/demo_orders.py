"""Orders that arrive in the demo stores while somebody looks on, told by webhooks as Shopify tells them."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec
from sqlmodel import Session, col, select

from core.config import get_settings
from core.db.engine import shop_session, system_session
from core.db.models import AuthSession, DemoOrder, Shop, SyncState
from core.db.vault import derived
from core.demo.catalogue import DEMO_SHOPS, DemoShop
from core.demo.live import order_number
from core.demo.shapes import gid, moment_text
from core.shopify.webhooks import sign

TIMES_A_DAY = 3  # of a usual day's orders: more would make a day that never ends well
WATCHED = timedelta(minutes=3)  # an open page notes once a minute that it is there


@dataclass(frozen=True)
class Webhook:
    """One delivery as the demo sends it."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def secret() -> str:
    """What the demo signs with: nobody outside this installation knows it."""
    return derived("webhooks of the demo")


def secrets_for(domain: str) -> tuple[str, ...]:
    """The secrets that may have signed a delivery for this store: the app's, now and before, or the demo's."""
    settings = get_settings()
    of_app = tuple(filter(None, (settings.shopify_api_secret, settings.shopify_api_secret_old)))
    is_demo = settings.demo and any(shop.domain == domain for shop in DEMO_SHOPS)
    return (*of_app, secret()) if is_demo else of_app


def placed(shop_id: int) -> list[tuple[int, datetime]]:
    """The live orders of a demo store: number and moment."""
    with shop_session(shop_id) as session:
        return [(row.number, row.placed_at) for row in session.exec(select(DemoOrder).order_by(col(DemoOrder.number)))]


def place(now: datetime | None = None) -> list[Webhook]:
    """Let each synced demo store get one order, while somebody is signed in; the webhooks that tell of them."""
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    known = {shop.number: shop for shop in DEMO_SHOPS}
    with system_session() as session:
        if not _is_watched(session, now):
            return []
        synced = select(SyncState.shop_id).where(SyncState.stream == "orders", col(SyncState.succeeded_at).is_not(None))
        shops = session.exec(select(Shop).where(col(Shop.is_demo), col(Shop.id).in_(synced))).all()
    return [webhook for shop in shops if shop.gid in known for webhook in _place(shop, known[shop.gid], now)]


def _is_watched(session: Session, now: datetime) -> bool:
    live = select(AuthSession.id_hash).where(
        col(AuthSession.seen_at) > now - WATCHED, col(AuthSession.revoked_at).is_(None)
    )
    return session.exec(live.limit(1)).first() is not None


def _place(shop: Shop, demo: DemoShop, now: datetime) -> list[Webhook]:
    zone = ZoneInfo(demo.time_zone)
    midnight = datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(UTC)
    assert shop.opened_on is not None
    with shop_session(shop.id or 0, write=True) as session:
        session.get_one(Shop, shop.id, with_for_update=True)  # two processes would take one number
        rows = session.exec(select(DemoOrder)).all()
        today = Counter(row.placed_at >= midnight for row in rows)[True]
        if today >= math.ceil(demo.daily_orders * TIMES_A_DAY):
            return []
        number = max((row.number for row in rows), default=0) + 1
        session.add(DemoOrder(shop_id=shop.id or 0, number=number, placed_at=now))
    return [_told(demo, order_number(demo, shop.opened_on, number, now), now)]


def _told(demo: DemoShop, number: int, now: datetime) -> Webhook:
    body = msgspec.json.encode(
        {"id": number, "admin_graphql_api_id": gid("Order", number), "updated_at": moment_text(now)}
    )
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Shop-Domain": demo.domain,
        "X-Shopify-Webhook-Id": str(uuid4()),
        "X-Shopify-Triggered-At": moment_text(now),
        "X-Shopify-Hmac-Sha256": sign(body, secret()),
    }
    return Webhook(headers, body)
