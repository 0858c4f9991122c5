"""Connecting a store: ask Shopify who it is, then remember it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from core.config import get_settings
from core.db.engine import system_session
from core.db.models import Membership, Shop, connected_shop
from core.db.vault import seal
from core.demo.catalogue import DEMO_SHOPS
from core.demo.server import demo_transport
from core.errors import GarbageAnswer, InputError, NotPermitted, UnknownShop
from core.shopify.client import ShopClient, shop_domain
from core.shopify.queries import SHOP
from core.shopify.shopifyql import SCOPE as REPORTS_SCOPE
from core.sync import demo_orders, tokens
from core.sync.lease import ensure_streams, locked, read_anew
from core.sync.streams import STREAMS
from core.sync.tokens import Token, sealed


@dataclass(frozen=True)
class ShopFacts:
    """What Shopify says about a store, and what the token may read."""

    gid: int
    domain: str
    name: str
    currency: str
    time_zone: str
    taxes_included: bool
    plan: str
    scopes: frozenset[str]
    missing_scopes: tuple[str, ...]
    asked_at: datetime  # by Shopify's clock where its answer tells it


def client_for(shop: Shop, **options: Any) -> ShopClient:
    """A client of its own for one shop: its address, its token, which may be renewed meanwhile; `options` are its own.

    Its requests may raise WrongKeyError, ConfigError too.
    """
    token = tokens.source(shop.id or 0)
    if shop.opened_on is not None:
        transport = demo_transport(shop.domain, opened_on=shop.opened_on, placed=demo_orders.placed(shop.id or 0))
        return ShopClient(shop.domain, token, transport=transport, **options)
    return ShopClient(shop.domain, token, base_url=get_settings().shopify_base_url, **options)


def inspect_shop(domain: str, token: Token | str) -> ShopFacts:
    """Ask the store at this address who it is. Raises InputError for the address, ShopifyError with a sentence."""
    with ShopClient(shop_domain(domain), _as_token(token).access, base_url=get_settings().shopify_base_url) as client:
        return read_facts(client)


def read_facts(client: ShopClient) -> ShopFacts:
    """The store's identity, currency, zone and granted scopes. Raises ShopifyError."""
    answer = client.execute(SHOP)
    data = answer.data
    try:
        shop = data["shop"]
        time_zone = str(ZoneInfo(shop["ianaTimezone"]))
        scopes = frozenset(scope["handle"] for scope in data["currentAppInstallation"]["accessScopes"])
        return ShopFacts(
            gid=int(shop["id"].rsplit("/", 1)[-1]),
            domain=shop_domain(shop["myshopifyDomain"]),
            name=shop["name"],
            currency=shop["currencyCode"],
            time_zone=time_zone,
            taxes_included=bool(shop["taxesIncluded"]),
            plan=(shop.get("plan") or {}).get("publicDisplayName", ""),
            scopes=scopes,
            missing_scopes=tuple(sorted(scope for scope in _needed() if not _granted(scope, scopes))),
            asked_at=answer.server_time or datetime.now(UTC),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GarbageAnswer(
            "Shopify's answer about the store could not be read. Check the address; if it is right, try again later."
        ) from error


def wanted_scopes() -> tuple[str, ...]:
    """Every scope that something is read with, sorted: what an install asks for."""
    resources = [stream.resource for stream in STREAMS if stream.resource is not None]
    return tuple(sorted({scope for each in resources for scope in (*each.scopes, *each.more_scopes)}))


def lacking(scopes: Collection[str]) -> tuple[str, ...]:
    """What an install asks for and these scopes do not cover; a write scope covers reading."""
    return tuple(scope for scope in wanted_scopes() if not _granted(scope, scopes))


def _needed() -> frozenset[str]:
    needed = (stream.resource for stream in STREAMS if not stream.extra)
    return frozenset(scope for resource in needed if resource is not None for scope in resource.scopes)


def _granted(scope: str, scopes: Collection[str]) -> bool:
    return scope in scopes or scope.replace("read_", "write_") in scopes


def _as_token(token: Token | str) -> Token:
    return Token(token) if isinstance(token, str) else token


def token_for_owner(domain: str, user_id: int) -> Token:
    """A token by the app's own credentials, for a store that this user owns or administers here already.

    Nobody else has shown any right to it: whoever may sign in could otherwise open every store of the app's
    organization. Raises NotPermitted, InputError, ConfigError, ShopifyError.
    """
    query = (
        select(Membership)
        .join(Shop, col(Shop.id) == col(Membership.shop_id))
        .where(Shop.domain == shop_domain(domain), Membership.user_id == user_id)
    )
    with system_session() as session:
        member = session.exec(query).first()
    if member is None or member.role not in ("owner", "admin"):
        raise NotPermitted(
            "Without a token you can only connect a store again that you own or administer here. A new one is "
            "connected with a token, or with: python -m core shop add --client-credentials"
        )
    return tokens.ask_for(shop_domain(domain))


def connect_shop(facts: ShopFacts, token: Token | str, *, owner_user_id: int | None, personal_data: bool | None) -> int:
    """Remember a store that was inspected, with its token encrypted; connecting again replaces the token.

    The store is known by its GID, so a renamed domain finds it again. Where Shopify had refused the old token, or the
    store was disconnected, every stream is due again. Without a word on personal data it stays as it is, and off for a
    new store. Returns the shop's id. Raises NotPermitted when the store belongs to somebody else here, InputError for
    a taken address.
    """
    with system_session(write=True) as session:
        shop = _shop_of(session, facts) or Shop(
            gid=facts.gid, token="", created_at=datetime.now(UTC), **_columns(facts)
        )
        personal_data = shop.personal_data if personal_data is None else personal_data
        if shop.id is not None and owner_user_id is not None:
            _refuse_strangers(session, shop.id, owner_user_id)
        if shop.id is not None and (reshapes(shop, facts) or shop.personal_data != personal_data):
            read_anew(session, shop.id)
        if shop.id is not None and (shop.reauth_since is not None or not shop.token):
            for row in locked(session, shop.id):
                row.due_at = datetime.now(UTC)
        update_facts(session, shop, facts)
        shop.token, shop.reauth_since, shop.token_lease_until = sealed(_as_token(token), facts.gid), None, None
        shop.personal_data = personal_data
        session.add(shop)
        session.flush()
        shop_id = shop.id or 0
        ensure_streams(session, shop_id)
        if owner_user_id is not None and session.get(Membership, (owner_user_id, shop_id)) is None:
            session.add(Membership(user_id=owner_user_id, shop_id=shop_id, role="owner"))
        return shop_id


def disconnect_shop(shop_id: int) -> str:
    """Forget a store's token: nothing is asked of it until it is connected again. What was stored stays; its domain.

    A running sync stops before its next request and stores nothing more. Raises UnknownShop, InputError for a demo
    store.
    """
    with system_session(write=True) as session:
        streams = locked(session, shop_id)
        shop = connected_shop(session, shop_id, locked=True)
        if shop.is_demo:
            raise InputError("A demo store comes with the program and cannot be disconnected. Hide it instead.")
        for row in streams:
            row.due_at, row.asked_by, row.owner, row.lease_until = None, None, None, None
            row.epoch += 1  # whoever holds the stream may not write any more
        shop.token, shop.reauth_since, shop.token_lease_until = "", None, None
        return shop.domain


def refuse_strangers(domain: str, user_id: int) -> None:
    """Raises NotPermitted where the store at this address is not this user's to connect; InputError for a demo."""
    with system_session() as session:
        shop = session.exec(select(Shop).where(Shop.domain == domain)).first()
        if shop is not None and shop.is_demo:
            raise InputError("A demo store comes with the program and cannot be connected. Enter another address.")
        if shop is not None:
            _refuse_strangers(session, shop.id or 0, user_id)


def _shop_of(session: Session, facts: ShopFacts) -> Shop | None:
    return session.exec(select(Shop).where(Shop.gid == facts.gid)).first()


def _refuse_strangers(session: Session, shop_id: int, user_id: int) -> None:
    """A token alone does not let a user into a store that others here own already."""
    members = session.exec(select(Membership).where(Membership.shop_id == shop_id)).all()
    mine = [member for member in members if member.user_id == user_id]
    if members and not any(member.role in ("owner", "admin") for member in mine):
        raise NotPermitted("This store is connected already. Ask its owner to let you in.")


def _columns(facts: ShopFacts) -> dict[str, Any]:
    return {
        "domain": facts.domain,
        "name": facts.name,
        "currency": facts.currency,
        "time_zone": facts.time_zone,
        "taxes_included": facts.taxes_included,
        "scopes": ",".join(sorted(facts.scopes)),
    }


def reshapes(shop: Shop, facts: ShopFacts) -> bool:
    """Whether stored rows would look different now: other days, other money, or fields that may be read at last."""
    known = shop.scopes.split(",")
    readable = {scope.replace("write_", "read_") for scope in facts.scopes}
    gained = {scope for scope in readable if not _granted(scope, known)} - {REPORTS_SCOPE}  # no row comes from reports
    return bool(gained) or (shop.currency, shop.time_zone) != (facts.currency, facts.time_zone)


def update_facts(session: Session, shop: Shop, facts: ShopFacts) -> bool:
    """Bring what is stored of a shop up to date; whether anything changed. Raises InputError for a taken address."""
    other = session.exec(select(Shop).where(Shop.domain == facts.domain, Shop.gid != facts.gid)).first()
    if other is not None:
        raise InputError(
            f"Another store, {other.name}, was connected here as {facts.domain}. "
            "Connect that one again by its new address first; then this one gets the old address."
        )
    changed = False
    for name, value in _columns(facts).items():
        if getattr(shop, name) != value:
            setattr(shop, name, value)
            changed = True
    session.add(shop)
    return changed


def find_shop(domain: str) -> int:
    """The id of a connected shop by its domain. Raises InputError, UnknownShop."""
    wanted = shop_domain(domain)
    with system_session() as session:
        shop_id = session.exec(select(Shop.id).where(Shop.domain == wanted)).first()
    if shop_id is None:
        raise UnknownShop(
            f"The store {wanted} is not connected. Connect it with: python -m core shop add --domain {wanted}"
        )
    return shop_id


def ensure_demo_shops() -> tuple[int, ...]:
    """The ids of the demo shops, made on first start with two years of history before it."""
    ids = []
    with system_session(write=True) as session:
        for demo in DEMO_SHOPS:
            shop = session.exec(select(Shop).where(Shop.gid == demo.number)).first()
            if shop is None:
                shop = Shop(
                    gid=demo.number,
                    domain=demo.domain,
                    name=demo.name,
                    currency=demo.currency,
                    time_zone=demo.time_zone,
                    taxes_included=demo.taxes_included,
                    token=seal(demo.token, str(demo.number)),
                    is_demo=True,
                    personal_data=True,
                    opened_on=_two_years_before(datetime.now(ZoneInfo(demo.time_zone)).date()),
                    created_at=datetime.now(UTC),
                )
                session.add(shop)
                session.flush()
                ensure_streams(session, shop.id or 0)
            ids.append(shop.id or 0)
    return tuple(ids)


def _two_years_before(day: date) -> date:
    return (day.replace(day=1) - timedelta(days=365 * 2)).replace(day=1)
