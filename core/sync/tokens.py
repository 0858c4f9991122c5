"""The access token of a shop: stored encrypted, renewed early and when it is rejected, by one worker at a time.

Who renews takes a short lease on the shop's row first, so nobody holds a lock while Shopify is asked. The new token is
committed before it is used: after a crash in between, Shopify still takes the previous refresh token.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
from sqlmodel import select

from core.config import get_settings
from core.db.engine import system_session
from core.db.models import Shop, SyncState
from core.db.vault import seal, unseal
from core.errors import ConfigError, LeaseLost, ShopifyError, TokenRejected
from core.shopify import oauth
from core.shopify.client import ShopClient, TokenSource
from core.sync import lease
from core.sync.failpoints import reached

log = logging.getLogger(__name__)

EARLY = timedelta(minutes=5)
LEASE = timedelta(seconds=45)  # the request ends after 35
_LOOK_AGAIN_S = 0.2
Kind = Literal["permanent", "offline", "client_credentials"]


@dataclass(frozen=True)
class Token:
    """An access token and how to get the next one; a permanent one has no next."""

    access: str = field(repr=False)
    kind: Kind = "permanent"
    expires_at: datetime | None = None
    refresh: str | None = field(default=None, repr=False)
    refresh_expires_at: datetime | None = None
    client_id: str | None = None  # of the app it was given to; its secret is a setting


def sealed(token: Token, gid: int) -> str:
    """What is stored of a token: encrypted, with the shop's GID number inside; a permanent one is its bare text."""
    return seal(token.access if token.kind == "permanent" else msgspec.json.encode(token).decode(), str(gid))


def stored(shop: Shop) -> Token:
    """The token of a shop; a text that is no JSON is a permanent one. Raises WrongKeyError, LeaseLost without one."""
    if not shop.token:
        raise LeaseLost(f"{shop.name} was disconnected. What was fetched until then is kept.")
    text = unseal(shop.token, str(shop.gid))
    try:
        return msgspec.json.decode(text, type=Token)
    except msgspec.MsgspecError:
        return Token(text)


def ask_for(domain: str) -> Token:
    """A token by the app's own credentials, for a store of its organization. Raises ConfigError, ShopifyError."""
    return _renewed(Token("", "client_credentials"), domain)


def exchange(domain: str, code: str) -> tuple[Token, frozenset[str]]:
    """The token for the code that Shopify sent after an install, and its scopes. Raises ConfigError, ShopifyError.

    Until it is stored, a store that lived on a token of this app's installs has none that can be renewed.
    """
    app, now = _app(Token("", "client_credentials"), domain), datetime.now(UTC)
    grant = oauth.exchange(domain, app, code, base_url=get_settings().shopify_base_url)
    kind: Literal["permanent", "offline"] = "permanent" if grant.refresh is None else "offline"
    return _token(grant, kind, app, now), grant.scopes


def carry_on(gid: int, token: Token) -> None:
    """Let a store go on whose token of an install ended when somebody without a say in the store got this one.

    One that was disconnected, or whose token Shopify refused, stays so.
    """
    with system_session(write=True) as session:
        shop = session.exec(select(Shop).where(Shop.gid == gid).with_for_update()).first()
        if shop is None or not shop.token or shop.reauth_since is not None:
            return
        old = stored(shop)
        if (old.kind, old.client_id) == (token.kind, token.client_id) == ("offline", get_settings().shopify_api_key):
            shop.token = sealed(token, gid)


def source(shop_id: int) -> TokenSource:
    """For a client of this shop: the token to use now, or another one than that which was rejected.

    It raises TokenRejected, without asking, once Shopify refused the shop for good, and LeaseLost once the shop was
    disconnected: that is looked up for each request, so none goes out afterwards.
    """
    held: Token | None = None
    keep_until = datetime.min.replace(tzinfo=UTC)

    def token(rejected: str | None) -> str:
        nonlocal held, keep_until
        now = datetime.now(UTC)
        if held is None or rejected is not None or (_is_due(held, now) and now > keep_until) or not _has_token(shop_id):
            held = _current(shop_id, rejected)
            # Where it could not be renewed early the old one goes on; not every request has to try.
            keep_until = min(now + timedelta(seconds=30), held.expires_at or now)
        return held.access

    return token


def stop_asking(shop_id: int, client: ShopClient) -> None:
    """Shopify refused the shop's token for good: nothing is due until the store is connected again.

    Without effect where the store got another token than the client's meanwhile.
    """
    with system_session(write=True) as session:
        streams = lease.locked(session, shop_id)
        shop = session.get_one(Shop, shop_id, with_for_update=True)
        if not shop.token or not client.holds(stored(shop).access):
            return
        _end(shop, streams)


def _has_token(shop_id: int) -> bool:
    with system_session() as session:
        return bool(session.exec(select(Shop.token).where(Shop.id == shop_id)).first())


def _current(shop_id: int, rejected: str | None) -> Token:
    until: datetime | None = None
    while until is None:
        now = datetime.now(UTC)
        with system_session(write=True) as session:
            shop = session.get_one(Shop, shop_id, with_for_update=True)
            token = stored(shop)
            if shop.reauth_since is not None:
                raise TokenRejected(
                    f"Shopify no longer accepts the access token of {shop.domain}. Connect the store again."
                )
            if token.kind == "permanent" or (token.access != rejected and not _is_due(token, now)):
                return token  # nothing to renew, or another worker was quicker
            _app(token, shop.domain)  # without credentials nobody needs to wait
            if shop.token_lease_until is None or shop.token_lease_until <= now:
                until = shop.token_lease_until = now + LEASE
            elif rejected is None and not _is_over(token, now):
                return token  # somebody is at it, and this one is still good
        if until is None:
            time.sleep(_LOOK_AGAIN_S)
    return _renew(shop, token, until, rejected)


def _renew(shop: Shop, old: Token, until: datetime, rejected: str | None) -> Token:
    shop_id = shop.id or 0
    try:
        new = _renewed(old, shop.domain)
    except ShopifyError as error:
        kept = _settle(shop_id, old, None, until, revoked=isinstance(error, TokenRejected))
        if kept != old:
            return kept
        if error.permanent or rejected is not None or _is_over(old, datetime.now(UTC)):
            raise
        log.warning("shop %s: its access token could not be renewed early: %s", shop_id, error)
        return old
    reached("token_renewed")
    return _settle(shop_id, old, new, until)


def _settle(shop_id: int, old: Token, new: Token | None, until: datetime, *, revoked: bool = False) -> Token:
    """Store the new token and end the lease; the token to use, which is another worker's where this one was late."""
    with system_session(write=True) as session:
        streams = lease.locked(session, shop_id)
        shop = session.get_one(Shop, shop_id, with_for_update=True)
        if shop.token_lease_until == until:
            shop.token_lease_until = None
        kept = stored(shop)
        if kept != old:
            return kept
        if revoked:
            _end(shop, streams)
        if new is not None:
            shop.token = sealed(new, shop.gid)
    return new or old


def _end(shop: Shop, streams: Sequence[SyncState]) -> None:
    shop.reauth_since = shop.reauth_since or datetime.now(UTC)
    for row in streams:
        row.due_at = None


def _renewed(old: Token, domain: str) -> Token:
    app, base_url, now = _app(old, domain), get_settings().shopify_base_url, datetime.now(UTC)
    if old.kind == "client_credentials":
        grant = oauth.client_credentials(domain, app, base_url=base_url)
    else:
        grant = oauth.refresh(domain, app, old.refresh or "", base_url=base_url)
    return _token(grant, old.kind, app, now)


def _token(grant: oauth.Grant, kind: Kind, app: oauth.App, now: datetime) -> Token:
    return Token(
        access=grant.access,
        kind=kind,
        expires_at=_after(now, grant.expires_in_s),
        refresh=grant.refresh,
        refresh_expires_at=_after(now, grant.refresh_expires_in_s),
        client_id=app.client_id,
    )


def _app(token: Token, domain: str) -> oauth.App:
    settings = get_settings()
    if settings.shopify_api_key is None or settings.shopify_api_secret is None:
        raise ConfigError(
            f"An access token of {domain} has to be asked for with the app's own credentials. "
            "Set SHOPIFY_API_KEY and SHOPIFY_API_SECRET."
        )
    if token.kind == "offline" and token.client_id not in (None, settings.shopify_api_key):
        raise ConfigError(
            f"The access token of {domain} was given to another app. Set SHOPIFY_API_KEY and SHOPIFY_API_SECRET to "
            "that app's, or connect the store again."
        )
    return oauth.App(settings.shopify_api_key, settings.shopify_api_secret)


def _after(now: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _is_due(token: Token, now: datetime) -> bool:
    return token.kind != "permanent" and token.expires_at is not None and now >= token.expires_at - EARLY


def _is_over(token: Token, now: datetime) -> bool:
    return token.expires_at is not None and now >= token.expires_at
