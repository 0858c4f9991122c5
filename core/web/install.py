"""Installing the app at Shopify: there with a one-time state, back with a code; or begun at Shopify, from its admin.

https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant

Every answer is a redirect, to Shopify or to a page of ours, so that no code and no state stays in an address. Pages
know what happened by a key of PROBLEMS, or by a ticket that opens one sentence to one user.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from urllib.parse import urlencode

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse

from core.auth import accounts, audit, roles, sessions, tickets
from core.auth.accounts import Account, ShopAccess
from core.auth.tickets import Ticket, digest
from core.config import get_settings
from core.errors import AppError, DatabaseUnavailable, InputError, NotPermitted
from core.sync import install, subscriptions
from core.sync.install import CONNECT, SAID
from core.sync.jobs import sync_status
from core.web.middleware import session_secret

log = logging.getLogger(__name__)

STATE = "shopify-install"  # the ticket's purpose
STATE_LASTS = timedelta(minutes=10)
_SAID_LASTS = timedelta(minutes=10)


@dataclass(frozen=True)
class _Visitor:
    user: Account
    session: str  # its hash
    address: str | None


_Handler = Callable[[Request], RedirectResponse]


def _or_later(handler: _Handler) -> _Handler:
    """503 with the sentence while the database is away: code and state stay good for the next try."""

    @wraps(handler)
    def call(request: Request) -> RedirectResponse:
        try:
            return handler(request)
        except DatabaseUnavailable as error:
            raise HTTPException(503, str(error)) from error

    return call


@_or_later
def open_from_shopify(request: Request) -> RedirectResponse:
    """GET, the App URL: opens the store that Shopify's signature names, or goes on to install the app on it."""
    _need_app(request)
    query = request.query_params.multi_items()
    if "hmac" not in request.query_params:
        return _to("")
    if (problem := install.problem_of(query)) is not None:
        return _problem(problem)
    domain = request.query_params["shop"].lower()
    visitor = _visitor(request)
    if visitor is None:
        return _to("stores", **{CONNECT: domain})
    known = _access(visitor, domain)
    if known is not None and _is_live(known.shop_id):
        return _to("", shop=domain)
    return _begin(visitor, domain, known, personal_data=None)


@_or_later
def begin_install(request: Request) -> RedirectResponse:
    """GET ?shop=: to Shopify, which asks the merchant; who is signed out signs in first.

    `names` 1 or 0 says whether names and e-mails are to be fetched, and counts only from a page of ours.
    """
    _need_app(request)
    try:
        domain = install.address(request.query_params.get("shop", ""))
    except InputError:
        return _problem("address")
    visitor = _visitor(request)
    if visitor is None:
        return _to("stores", **{CONNECT: domain})
    names = request.query_params.get("names")
    ours = request.headers.get("sec-fetch-site") == "same-origin"
    personal_data = names == "1" if ours and names in ("0", "1") else None
    return _begin(visitor, domain, _access(visitor, domain), personal_data=personal_data)


@_or_later
def finish_install(request: Request) -> RedirectResponse:
    """GET, where Shopify sends the merchant back: the store is connected, its first sync asked for."""
    _need_app(request)
    given = request.query_params
    if "error" in given:
        return _problem("denied")
    if (problem := install.problem_of(given.multi_items())) is not None:
        return _problem(problem)
    visitor = _visitor(request)
    if visitor is None:
        return _problem("elsewhere")
    ticket = tickets.redeem(given.get("state", ""), STATE)
    if ticket is None:
        return _problem("used")
    if (ticket.user_id, ticket.details["session"]) != (visitor.user.user_id, visitor.session):
        return _problem("elsewhere")
    if ticket.details["shop"] != given["shop"].lower():
        return _problem("other")
    return _finish(visitor, ticket, given.get("code", ""))


def _begin(visitor: _Visitor, domain: str, known: ShopAccess | None, *, personal_data: bool | None) -> RedirectResponse:
    try:
        if known is not None:
            roles.require(known.role, "connect_store")
        state = tickets.issue(
            STATE,
            user_id=visitor.user.user_id,
            details={"shop": domain, "session": visitor.session, "personal_data": personal_data},
            lifetime=STATE_LASTS,
        )
        return RedirectResponse(install.consent_url(domain, state), 303, headers=_HEADERS)
    except AppError as error:
        return _say(visitor, "stores", str(error), good=False)


def _finish(visitor: _Visitor, ticket: Ticket, code: str) -> RedirectResponse:
    user, domain, asked_for = visitor.user, ticket.details["shop"], ticket.details["personal_data"]
    try:
        done = install.finish(domain, code, user_id=user.user_id, personal_data=asked_for)
    except AppError as error:
        if isinstance(error, NotPermitted):
            audit.record(user.email, "store_connect", target=domain, address=visitor.address, result="refused")
        log.warning("user %s could not connect %s: %s", user.user_id, domain, error)
        return _say(visitor, "stores", str(error), good=False)
    audit.record(user.email, "store_connect", shop_id=done.shop_id, target=done.domain, address=visitor.address)
    said = f"{done.name} is connected, and its sync has been asked for."
    if done.lacking_scopes:
        said += f" What needs {', '.join(done.lacking_scopes)} is left out: that was not granted."
    answer = _say(visitor, "sync", said, good=True, shop=done.domain)
    answer.background = BackgroundTask(_subscribe, done.shop_id)
    return answer


def _subscribe(shop_id: int) -> None:
    """Webhooks go with the app when it is uninstalled, so they are made now, while the merchant is on the way back."""
    try:
        subscriptions.ensure(shop_id)
    except Exception as error:  # whatever it is, the store is connected, and they are looked after once a day
        log.warning("webhooks of shop %s are not made yet: %s", shop_id, error)


def _need_app(request: Request) -> None:
    """A HEAD would use up a code that its GET still needs."""
    if request.method != "GET" or not get_settings().installs:
        raise HTTPException(404, "There is nothing at this address.")


def _visitor(request: Request) -> _Visitor | None:
    secret = session_secret(request.scope)
    view = sessions.check(digest(secret)) if secret is not None else None
    user = accounts.account(view.user_id) if view is not None else None
    if view is None or user is None:
        return None
    return _Visitor(user, view.id_hash, request.client.host if request.client else None)


def _access(visitor: _Visitor, domain: str) -> ShopAccess | None:
    return next((shop for shop in accounts.shops_of(visitor.user.user_id) if shop.domain == domain), None)


def _is_live(shop_id: int) -> bool:
    status = sync_status(shop_id)
    return not status.disconnected and status.reauth_since is None


def _problem(key: str) -> RedirectResponse:
    log.info("an install was not gone on with: %s", key)
    return _to("stores", **{SAID: key})


def _say(visitor: _Visitor, page: str, sentence: str, *, good: bool, **words: str) -> RedirectResponse:
    details = {"sentence": sentence, "good": good}
    said = tickets.issue(SAID, user_id=visitor.user.user_id, details=details, lifetime=_SAID_LASTS)
    return _to(page, **words, **{SAID: said})


def _to(page: str, **words: str) -> RedirectResponse:
    """To a page of ours, wherever the request came by."""
    query = f"?{urlencode(words)}" if words else ""
    return RedirectResponse(f"{get_settings().app_url}/{page}{query}", 303, headers=_HEADERS)


# The next page must not learn of the code or the state from the address before.
_HEADERS = {"Referrer-Policy": "no-referrer"}
