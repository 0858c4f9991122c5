"""Installing an app on a demo shop: the page that asks the merchant, the signed way back, tokens for the code."""

import hashlib
import hmac
import secrets
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qsl, urlencode

import httpx2
import msgspec

from core.demo.catalogue import DEMO_SHOPS, DemoShop

_TOKEN = "X-Shopify-Access-Token"


@dataclass
class DemoApp:
    """An app as Shopify knows it, and what the shops gave it; `refresh` is the one good refresh token of each shop.

    With `asks` a page asks the merchant first; `grants_at_most` are scopes the merchant gives, None for all.
    """

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    asks: bool = True
    grants_at_most: tuple[str, ...] | None = None
    codes: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    tokens: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def uninstall(self, domain: str) -> None:
        """The merchant removes the app: none of its tokens is good any more."""
        with self.lock:
            self.tokens = {token: given for token, given in self.tokens.items() if given[0] != domain}
            self.refresh.pop(domain, None)


def signed(given: dict[str, str], secret: str) -> str:
    """The parameters as Shopify writes them into an address, with their `hmac`."""
    text = "&".join(f"{name}={value}".replace("%", "%25").replace("&", "%26") for name, value in sorted(given.items()))
    return urlencode({**given, "hmac": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()})


class InstallableShop(httpx2.BaseTransport):
    """A demo shop on which an app can be installed; requests with the app's tokens go on to `behind`."""

    def __init__(self, domain: str, app: DemoApp, behind: httpx2.BaseTransport) -> None:
        self._shop = next((shop for shop in DEMO_SHOPS if shop.domain == domain), None)
        self._app = app
        self._behind = behind

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Shopify's answer."""
        path = request.url.path
        if self._shop is not None and request.method == "GET" and path.endswith("/admin/oauth/authorize"):
            return self._authorize(self._shop.domain, dict(parse_qsl(request.url.query.decode())))
        if self._shop is not None and request.method == "POST" and path.endswith("/admin/oauth/access_token"):
            status, answer = self._grant(self._shop, dict(parse_qsl(request.read().decode())))
            return httpx2.Response(status, json=answer)
        domain, scopes = self._app.tokens.get(request.headers.get(_TOKEN, ""), ("", ()))
        if self._shop is None or domain != self._shop.domain:
            return self._behind.handle_request(request)
        request.headers[_TOKEN] = self._shop.token
        return _limited(self._behind.handle_request(request), scopes)

    def _authorize(self, domain: str, asked: dict[str, str]) -> httpx2.Response:
        if asked.get("client_id") != self._app.client_id:
            return _page(400, "Oauth error invalid_client: This app does not exist.")
        if asked.get("redirect_uri") not in self._app.redirect_uris:
            return _page(400, "Oauth error invalid_request: The redirect_uri is not whitelisted")
        scopes = tuple(asked.get("scope", "").split(","))
        if self._app.asks and "answer" not in asked:
            return _page(200, "Install Shoptally?", scopes, urlencode(asked))
        back = {"shop": domain, "state": asked.get("state", ""), "timestamp": str(int(time.time()))}
        if asked.get("answer") == "cancel":
            back |= {"error": "access_denied", "error_description": "The merchant did not agree"}
        else:
            most = self._app.grants_at_most
            back |= {"code": secrets.token_hex(16), "host": b64encode(f"{domain}/admin".encode()).decode()}
            with self._app.lock:
                granted = tuple(scope for scope in scopes if most is None or scope in most)
                self._app.codes[back["code"]] = (domain, granted)
        location = f"{asked['redirect_uri']}?{signed(back, self._app.client_secret)}"
        return httpx2.Response(302, headers={"Location": location})

    def _grant(self, shop: DemoShop, asked: dict[str, str]) -> tuple[int, dict[str, object]]:
        app, domain = self._app, shop.domain
        if (asked.get("client_id"), asked.get("client_secret")) != (app.client_id, app.client_secret):
            return 401, {"error": "invalid_client"}
        if asked.get("grant_type") == "client_credentials":  # the app and the store are one organisation's
            return 200, {"access_token": shop.token, "expires_in": 86_399}
        with app.lock:
            if asked.get("grant_type") == "refresh_token":
                if asked.get("refresh_token") != app.refresh.get(domain, ""):
                    return 400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
                scopes = next(scopes for of, scopes in reversed(app.tokens.values()) if of == domain)
            else:
                of, scopes = app.codes.pop(asked.get("code", ""), ("", ()))
                if of != domain:
                    gone = "The authorization code was not found or was already used"
                    return 400, {"error": "invalid_request", "error_description": gone}
            access = f"shpat_{secrets.token_hex(16)}"
            app.tokens[access] = (domain, scopes)
            answer: dict[str, object] = {"access_token": access, "scope": ",".join(scopes)}
            if asked.get("expiring") != "1" and "grant_type" not in asked:
                return 200, answer
            app.refresh[domain] = f"shprt_{secrets.token_hex(16)}"
            lifetimes = {"expires_in": 3600, "refresh_token_expires_in": 7_776_000}
            return 200, answer | lifetimes | {"refresh_token": app.refresh[domain]}


def _limited(response: httpx2.Response, scopes: tuple[str, ...]) -> httpx2.Response:
    """The answer, whose installation has these scopes."""
    content = response.read()
    if b'"currentAppInstallation"' in content:
        body = msgspec.json.decode(content)
        body["data"]["currentAppInstallation"]["accessScopes"] = [{"handle": scope} for scope in scopes]
        content = msgspec.json.encode(body)
    headers = [(name, value) for name, value in response.headers.items() if name.lower() != "content-length"]
    return httpx2.Response(response.status_code, headers=headers, content=content)


def _page(status: int, title: str, scopes: tuple[str, ...] = (), query: str = "") -> httpx2.Response:
    listed = "".join(f"<li>{escape(scope)}</li>" for scope in scopes)
    ways = "".join(
        f'<p><a href="?{escape(query)}&amp;answer={answer}">{label}</a></p>'
        for answer, label in (("install", "Install app"), ("cancel", "Cancel")) if query
    )  # fmt: skip
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    # Without an icon of its own a browser asks for one that is not there.
    icon = '<link rel="icon" href="data:,">'
    return httpx2.Response(status, html=f"{head}{icon}<h1>{escape(title)}</h1><ul>{listed}</ul>{ways}</html>")
