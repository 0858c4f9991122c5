"""Connecting a store as merchants do: they install the app at Shopify, which sends them back with a code for a token.

https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.config import get_settings
from core.errors import ConfigError, NotPermitted
from core.shopify import oauth
from core.shopify.client import shop_domain
from core.sync import connect, tokens
from core.sync.jobs import request_sync

# What the address of a page says: a problem or the ticket of a sentence, and a store to go on with after the sign-in.
SAID, CONNECT = "said", "connect"


@dataclass(frozen=True)
class Installed:
    """A store that was connected, and what its token lacks of what was asked for."""

    shop_id: int
    name: str
    domain: str
    lacking_scopes: tuple[str, ...]


def address(typed: str) -> str:
    """The store's domain for what somebody typed. Raises InputError."""
    return shop_domain(typed)


def consent_url(domain: str, state: str) -> str:
    """Where the merchant is asked for everything this app reads. Raises ConfigError, InputError."""
    settings = get_settings()
    if not settings.installs:
        raise ConfigError("Stores are installed only with SHOPIFY_API_KEY, SHOPIFY_API_SECRET and APP_URL. Set them.")
    app = oauth.App(settings.shopify_api_key or "", settings.shopify_api_secret or "")
    back = f"{settings.app_url}/shopify/callback"
    return oauth.authorize_url(
        domain, app, connect.wanted_scopes(), back, state, base_url=settings.shopify_base_url
    )  # fmt: skip


def problem_of(query: Sequence[tuple[str, str]]) -> str | None:
    """A key of PROBLEMS for what speaks against an address that Shopify is said to have made, None for nothing."""
    if not oauth.is_signed(query, get_settings().shopify_secrets):
        return "forged"
    given = dict(query)
    if not oauth.is_fresh(given.get("timestamp", ""), datetime.now(UTC)):
        return "late"
    return "address" if oauth.shop_host(given.get("shop", "")) is None else None


def finish(domain: str, code: str, *, user_id: int, personal_data: bool | None) -> Installed:
    """Exchange the code, remember the store with its token, and ask for its first sync.

    A store that others own here is not touched, whoever installs the app on it at Shopify; nobody's role changes.
    Raises NotPermitted, InputError, ConfigError, ShopifyError.
    """
    connect.refuse_strangers(domain, user_id)  # before the exchange, which ends the tokens the store lives on
    token, scopes = tokens.exchange(domain, code)
    facts = connect.inspect_shop(domain, token)
    try:
        shop_id = connect.connect_shop(facts, token, owner_user_id=user_id, personal_data=personal_data)
    except NotPermitted:  # known here by another address
        tokens.carry_on(facts.gid, token)
        raise
    request_sync(shop_id, asked_by="button")
    return Installed(shop_id, facts.name, facts.domain, connect.lacking(scopes))


_AGAIN = "Begin again here: enter the store's address."
PROBLEMS: dict[str, str] = {
    "denied": "Shopify was told not to give access, so nothing has changed. Connect the store whenever you want to.",
    "forged": f"What came back does not carry Shopify's signature, so it was not used. {_AGAIN}",
    "late": f"What came back was signed too long ago, or this server's clock is wrong. {_AGAIN}",
    "address": "This is not the address of a Shopify store. It looks like my-store.myshopify.com.",
    "used": f"This connection was finished already, or begun more than 10 minutes ago. {_AGAIN}",
    "elsewhere": f"This connection was begun in another browser or by another sign-in. {_AGAIN}",
    "other": "Shopify answered for another store than the one asked for. If it was renamed, enter its new address.",
}
