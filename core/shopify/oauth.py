"""Installing the app at Shopify, and access tokens: for the code it sends, by a refresh token, by the app's own secret.

https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import shopify

from core.errors import (
    AccessDenied,
    GarbageAnswer,
    InputError,
    QueryRefused,
    ServerFault,
    ShopifyError,
    ShopNotFound,
    Throttled,
    TokenRejected,
    Unreachable,
)
from core.shopify.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, address_of, shop_domain
from core.shopify.queries import API_VERSION

FRESH = timedelta(minutes=5)  # clocks differ; Shopify's own library allows a minute and a half
_LARGEST_ANSWER_BYTES = 100_000


@dataclass(frozen=True)
class App:
    """The app's own credentials, from its page in Shopify's Dev Dashboard."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Grant:
    """What Shopify handed out; lifetimes in seconds from the request on, None for ever."""

    access: str = field(repr=False)
    expires_in_s: int | None
    refresh: str | None = field(repr=False)
    refresh_expires_in_s: int | None
    scopes: frozenset[str] = frozenset()


def authorize_url(
    domain: str, app: App, scopes: Sequence[str], redirect_uri: str, state: str, *, base_url: str | None = None
) -> str:
    """Where a merchant is asked to install the app, or to grant it more; Shopify sends them on to `redirect_uri`."""
    domain = shop_domain(domain)
    session = shopify.Session(domain, API_VERSION)
    session.api_key = app.client_id
    url: str = session.create_permission_url(list(scopes), redirect_uri, state)
    return address_of(domain, base_url) + url.removeprefix(f"https://{domain}")


def is_signed(query: Sequence[tuple[str, str]], secrets: Sequence[str]) -> bool:
    """Whether Shopify signed these parameters of an address, by their `hmac`, with one of the app's secrets.

    A name that comes twice is refused, unless it is a list (`ids[]`).
    https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant
    """
    signed: dict[str, Any] = {}
    for name, value in query:
        if name.endswith("[]"):
            signed.setdefault(name, []).append(value)
        elif name in signed:
            return False
        else:
            signed[name] = value
    signed.pop("signature", None)  # the older signature, which the SDK would count in
    # The SDK keeps the secret on the class; one class for each keeps callers apart.
    sessions: list[Any] = [type("Session", (shopify.Session,), {"secret": secret}) for secret in secrets]
    return any(session.validate_hmac(signed) for session in sessions)


def is_fresh(timestamp: str, now: datetime) -> bool:
    """Whether Shopify signed a moment ago: `timestamp` in whole seconds, by its clock. The SDK would allow a day."""
    if not re.fullmatch(r"\d{1,11}", timestamp, re.ASCII):
        return False
    return abs(now - datetime.fromtimestamp(int(timestamp), UTC)) <= FRESH


def shop_host(text: str) -> str | None:
    """The domain of a store, where Shopify's `shop` parameter is nothing but that, else None."""
    try:
        domain = shop_domain(text)
    except InputError:
        return None
    return domain if domain == text.lower() else None


def exchange(domain: str, app: App, code: str, *, base_url: str | None = None) -> Grant:
    """An access token that expires, and its refresh token, for a code; good once. Raises ShopifyError with a sentence.

    It ends the store's refresh tokens from before.
    """
    return _ask(domain, app, base_url, code=code, expiring="1")


def refresh(domain: str, app: App, refresh_token: str, *, base_url: str | None = None) -> Grant:
    """A new access token and the next refresh token; the old one serves again only until the new one is used.

    Raises TokenRejected when the refresh token is used up, expired or revoked; other ShopifyErrors.
    """
    return _ask(domain, app, base_url, grant_type="refresh_token", refresh_token=refresh_token)


def client_credentials(domain: str, app: App, *, base_url: str | None = None) -> Grant:
    """A token for a store of the app's own organization, for 24 hours. Raises ShopifyError with a sentence."""
    return _ask(domain, app, base_url, grant_type="client_credentials")


def _ask(domain: str, app: App, base_url: str | None, **words: str) -> Grant:
    domain = shop_domain(domain)
    fields = {"client_id": app.client_id, "client_secret": app.client_secret, **words}
    try:
        status, raw = _post(f"{address_of(domain, base_url)}/admin/oauth/access_token", fields)
    except httpx2.RequestError as fault:
        # The exception's own text can quote what was sent: only its name goes on.
        raise Unreachable(
            f"{domain} could not be reached for an access token ({type(fault).__name__}). "
            "Check the connection and try again."
        ) from fault
    if status != 200:
        raise _refusal(domain, status, raw)
    try:
        answer = msgspec.json.decode(raw, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise GarbageAnswer(f"The answer of {domain} holds no access token. Try again later.") from fault
    scopes = frozenset(filter(None, map(str.strip, answer.scope.split(","))))
    return Grant(answer.access_token, answer.expires_in, answer.refresh_token, answer.refresh_token_expires_in, scopes)


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: int | None = None
    refresh_token: str | None = None
    refresh_token_expires_in: int | None = None
    scope: str = ""


def _post(url: str, fields: dict[str, str]) -> tuple[int, bytes]:
    deadline_s = time.monotonic() + CONNECT_TIMEOUT_S + READ_TIMEOUT_S
    timeout = httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    with (
        httpx2.Client(timeout=timeout, follow_redirects=False) as http,
        http.stream("POST", url, data=fields, headers={"Accept": "application/json"}) as response,
    ):
        raw = bytearray()
        for chunk in response.iter_bytes():
            raw += chunk
            if len(raw) > _LARGEST_ANSWER_BYTES or time.monotonic() > deadline_s:
                raise Unreachable("The answer of the token endpoint takes too long. Try again later.")
        return response.status_code, bytes(raw)


def _refusal(domain: str, status: int, raw: bytes) -> ShopifyError:
    code = _code(raw)
    if code in _REFUSALS:
        kind, sentence = _REFUSALS[code]
        return kind(sentence.format(domain=domain))
    if status == 429:
        return Throttled(f"Shopify asks to wait before the next access token for {domain}.")
    if status >= 500:
        return ServerFault(f"Shopify answered {status} for an access token of {domain}. Try again later.")
    if status == 404 or 300 <= status < 400:
        return ShopNotFound(f"There is no store at {domain}. Check the address; it may have been renamed or closed.")
    return QueryRefused(f"Shopify refused an access token for {domain} (HTTP {status}). {_CHECK_THE_APP}")


def _code(raw: bytes) -> str:
    """The error's name: from JSON, or from the page that Shopify answers with instead."""
    try:
        answer: Any = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = re.search(rb"Oauth error (\w{1,60})", raw)
        return found[1].decode() if found else ""
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""


_CHECK_THE_APP = "Check SHOPIFY_API_KEY and SHOPIFY_API_SECRET."
_REVOKED = "Shopify no longer accepts the access token of {domain}. Connect the store again."
_UNKNOWN_APP = f"Shopify does not know this app at {{domain}}. {_CHECK_THE_APP}"
_REFUSALS: dict[str, tuple[type[ShopifyError], str]] = {
    "invalid_grant": (TokenRejected, _REVOKED),
    "app_not_installed": (TokenRejected, "The app is not installed on {domain}. Install it, then connect the store."),
    "shop_not_permitted": (
        AccessDenied,
        "The app may not ask for a token of {domain}: both have to belong to one organization in Shopify.",
    ),
    "invalid_request": (QueryRefused, "Shopify takes its code for {domain} only once and soon. Begin again."),
    "invalid_client": (QueryRefused, _UNKNOWN_APP),
    "application_cannot_be_found": (QueryRefused, _UNKNOWN_APP),
}
