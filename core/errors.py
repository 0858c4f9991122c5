"""Everything this app raises on purpose.

* AppError                    the message is a sentence that tells the reader what to do
  - ConfigError               a setting is missing or malformed: the start stops
  - DatabaseUnavailable       the database cannot be opened or migrated
  - UnscopedQueryError        a shop's table was touched outside its shop_session()
  - WrongKeyError             stored secrets do not open with the configured key
  - NotPermitted              the user may not see or do this
  - TooManyAttempts           sign-ins failed too often: wait
  - UnknownShop               no such shop is connected
  - InputError                what was typed cannot be used
  - LeaseLost                 another worker took over this shop's sync
  - MailNotSent               an e-mail did not go out
  - MalformedRow              one object of Shopify's cannot be stored; the rest goes on
  - ShopifyError              Shopify did not answer with data; .permanent decides about a retry
    . Unreachable             no connection, a time-out, a broken connection
    . Throttled               the rate limit is used up; .retry_after_s says for how long
    . ServerFault             Shopify answered 5xx
    . GarbageAnswer           the answer is not what the protocol promises
    . QueryTooCostly          the query asks for more than one request may cost
    . BulkFailed              a bulk operation failed, or its file is not complete
    . TokenRejected           401: the access token is wrong or revoked
    . ShopFrozen              402: the shop's plan is not paid
    . AccessDenied            403 or ACCESS_DENIED: the token lacks a scope
    . ShopNotFound            404, or a redirect: no shop at this address, or it was renamed
    . ShopLocked              423
    . QueryRefused            Shopify does not accept the query, or ignores its filter
"""


class AppError(Exception):
    """Base class: `except AppError` catches what we raise, never what we did not foresee."""


class ConfigError(AppError):
    """A setting is missing or malformed: the start stops."""


class DatabaseUnavailable(AppError):
    """The database cannot be opened or migrated."""


class UnscopedQueryError(AppError):
    """A shop's table was touched outside its shop_session()."""


class WrongKeyError(AppError):
    """Stored secrets do not open with the configured key."""


class NotPermitted(AppError):
    """The user may not see or do this."""


class TooManyAttempts(AppError):
    """Sign-ins failed too often: wait."""


class UnknownShop(AppError):
    """No such shop is connected."""


class InputError(AppError):
    """What was typed cannot be used."""


class LeaseLost(AppError):
    """Another worker took over this shop's sync."""


class MailNotSent(AppError):
    """An e-mail did not go out: no mail server is set, or it did not take the message."""


class MalformedRow(AppError):
    """One object of Shopify's cannot be stored; the rest goes on."""


class ShopifyError(AppError):
    """Shopify did not answer with data; `permanent` says that asking again will not help."""

    permanent = False


class Unreachable(ShopifyError):
    """No connection, a time-out, or a connection that broke."""


class Throttled(ShopifyError):
    """The rate limit is used up."""

    def __init__(self, message: str, retry_after_s: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerFault(ShopifyError):
    """Shopify answered 5xx."""


class GarbageAnswer(ShopifyError):
    """The answer is not what the protocol promises."""


class QueryTooCostly(ShopifyError):
    """The query asks for more than one request may cost: ask for a smaller page."""

    permanent = True


class BulkFailed(ShopifyError):
    """A bulk operation failed, or its file is not complete."""


class TokenRejected(ShopifyError):
    """401: the access token is wrong or revoked."""

    permanent = True


class ShopFrozen(ShopifyError):
    """402: the shop's plan is not paid."""

    permanent = True


class AccessDenied(ShopifyError):
    """403 or ACCESS_DENIED: the token lacks a scope."""

    permanent = True


class ShopNotFound(ShopifyError):
    """404, or a redirect: no shop at this address, or it was renamed."""

    permanent = True


class ShopLocked(ShopifyError):
    """423: Shopify has locked the shop."""

    permanent = True


class QueryRefused(ShopifyError):
    """Shopify does not accept the query, or ignores its filter."""

    permanent = True
