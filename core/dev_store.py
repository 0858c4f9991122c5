"""The commands that fill a development store with invented customers, products and orders, and take them out again.

What was made carries two tags: that it was made here, and which one it is. So a run that was stopped goes on where it
was, and only what was made is ever deleted.
"""

import argparse
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from core.auth import audit
from core.db.engine import system_session
from core.db.migrate import migrate
from core.db.models import Shop
from core.db.money import from_minor, to_minor
from core.db.vault import check_keys
from core.demo.invented import TAG, Money, Priced, customer_input, order_input, product_input
from core.errors import GarbageAnswer, InputError, QueryRefused, ShopifyError, Throttled
from core.shopify import seeding
from core.shopify.client import ShopClient
from core.shopify.pages import paged
from core.sync import connect

ORDERS_A_MINUTE = 5  # of a development store or a trial, by Shopify's description of orderCreate
_A_MINUTE_S = 61.0
_TRIES = 20
_VARIANTS = 10
_Made = TypeVar("_Made")


@dataclass
class Filling:
    """One run: the client, how the store writes money, whether it takes five orders a minute, when it took the last."""

    client: ShopClient
    money: Money
    is_development: bool
    taken_at_s: deque[float] = field(default_factory=lambda: deque(maxlen=ORDERS_A_MINUTE))


def run_seed(arguments: argparse.Namespace) -> int:
    """Fill a development store with invented products, customers and orders; run it again to go on or to make more."""
    shop_id, shop = _shop(arguments.shop)
    with connect.client_for(shop) as client:
        run = _begin(client, arguments.force_name)
        try:
            counts = seed(
                run, arguments.seed, arguments.products, arguments.customers, arguments.orders, arguments.months
            )
        except ShopifyError as error:
            return _stopped(error)
    target = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    audit.record("command line", "dev_store_seeded", shop_id=shop_id, target=target)
    _say(f"Made: {target}. {_next(shop)}")
    return 0


def run_clean(arguments: argparse.Namespace) -> int:
    """Delete from a development store what was made by seed, and nothing else; exit 1 when some of it stays."""
    shop_id, shop = _shop(arguments.shop)
    with connect.client_for(shop) as client:
        run = _begin(client, arguments.force_name)
        try:
            counts, refused = clean(run)
        except ShopifyError as error:
            return _stopped(error)
    target = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    audit.record("command line", "dev_store_cleaned", shop_id=shop_id, target=target)
    _say(f"Deleted: {target}. {_next(shop)}")
    for why, number in refused.items():
        _say(f"{number:,} stay: {why}")
    return 1 if refused else 0


def seed(run: Filling, seed_: int, products: int, customers: int, orders: int, months: int) -> dict[str, int]:
    """Make what is missing of so many of each; how many were made now, by kind. Raises ShopifyError."""
    catalogue = {number: _priced(node, run.money) for number, node in _made(run, "products", seed_)}
    people = {number: str(node["id"]) for number, node in _made(run, "customers", seed_)}
    placed: dict[int, str] = {}
    for number, node in _made(run, "orders", seed_):
        if number in placed:  # its answer was lost once, and it was asked for again
            _mutate(run, seeding.ORDER_DELETE, "orderDelete", {"id": node["id"]})
        placed[number] = node["id"]
    counts = {
        "products": _fill("products", products, catalogue, lambda number: _set_product(run, seed_, number)),
        "customers": _fill("customers", customers, people, lambda number: _set_customer(run, seed_, number)),
    }
    goods = [catalogue[number] for number in range(1, products + 1)]
    buyers = [people[number] for number in range(1, customers + 1)]
    if not goods and orders > len(placed):
        raise InputError("Orders need products. Ask for at least one: --products 1.")
    now = datetime.now(UTC)

    def place(number: int) -> str:
        order = order_input(seed_, number, run.money, goods, buyers, now, months)
        _wait_for_orders(run)
        created = _mutate(run, seeding.ORDER_CREATE, "orderCreate", {"order": order})
        run.taken_at_s.append(run.client.clock())
        return str(created["order"]["id"])

    pace = ORDERS_A_MINUTE if run.is_development else None
    return {**counts, "orders": _fill("orders", orders, placed, place, a_minute=pace)}


def clean(run: Filling) -> tuple[dict[str, int], dict[str, int]]:
    """Delete all that was made, by any seed: how many by kind, and how many stay by the reason. Raises ShopifyError."""
    counts: dict[str, int] = {}
    refused: dict[str, int] = {}
    for kind, text, name in _DELETES:
        nodes = [node for _, node in _made(run, kind, None)]
        counts[kind] = 0
        for node in _shown(f"Deleting {kind}", nodes):
            try:
                _mutate(run, text, name, {"id": node["id"]})
                counts[kind] += 1
            except QueryRefused as error:
                refused[str(error)] = refused.get(str(error), 0) + 1
    return counts, refused


def _shop(domain: str) -> tuple[int, Shop]:
    migrate()
    check_keys()
    shop_id = connect.find_shop(domain)
    with system_session() as session:
        return shop_id, session.get_one(Shop, shop_id)


def _begin(client: ShopClient, forced: str | None) -> Filling:
    """Ask what kind of store this is. Raises InputError for a real one, and for a token that may not write."""
    data = client.execute(seeding.PLAN).data
    try:
        shop, scopes = data["shop"], {scope["handle"] for scope in data["currentAppInstallation"]["accessScopes"]}
        name, currency, development = shop["name"], shop["currencyCode"], bool(shop["plan"]["partnerDevelopment"])
        taxes_included = bool(shop["taxesIncluded"])
    except (KeyError, TypeError) as error:
        raise GarbageAnswer("Shopify's answer about the store could not be read. Try again later.") from error
    if not development and forced != name:
        raise InputError(
            f"{name} is no development store: invented orders would stand among its real ones. To do it all the same, "
            "name the store exactly: --force-name NAME"
        )
    if missing := sorted(set(seeding.WRITE_SCOPES) - scopes):
        raise InputError(
            f"The token lacks {', '.join(missing)}. Add that to the app's version in Shopify, approve it in the store, "
            "and connect the store again."
        )
    money = Money(currency, lambda minor: f"{from_minor(minor, currency):f}", taxes_included)
    return Filling(client, money, development)


def _made(run: Filling, kind: str, seed_: int | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """What was made of a kind, with its number, by this seed or by any; Shopify's search finds some more, perhaps."""
    sizes = {"first": 100, **({"variants": _VARIANTS} if kind == "products" else {})}
    mark = re.compile(rf"{TAG}-{seed_ if seed_ is not None else '[0-9]+'}-([0-9]+)")
    for page in paged(run.client, _LISTS[kind], filter=f"tag:'{TAG}'", sizes=sizes, root=kind):
        for node in page:
            tags = node.get("tags") or []
            found = [match for match in map(mark.fullmatch, tags) if match is not None]
            if found and TAG in tags:
                yield int(found[0][1]), node


def _fill(
    kind: str, wanted: int, known: dict[int, _Made], make: Callable[[int], _Made], *, a_minute: int | None = None
) -> int:
    """Make the numbers up to `wanted` that are missing, and keep them in `known`; how many."""
    missing = [number for number in range(1, wanted + 1) if number not in known]
    for number in _shown(f"Making {kind}", missing, a_minute):
        known[number] = make(number)
    return len(missing)


def _set_product(run: Filling, seed_: int, number: int) -> list[Priced]:
    wanted = product_input(seed_, number, run.money)
    variables = {"input": wanted, "identifier": None, "variants": _VARIANTS}
    again = {**variables, "identifier": {"handle": wanted["handle"]}}
    node = _mutate(run, seeding.PRODUCT_SET, "productSet", variables, ("HANDLE_NOT_UNIQUE", again))["product"]
    return _priced(node, run.money)


def _set_customer(run: Filling, seed_: int, number: int) -> str:
    wanted = customer_input(seed_, number)
    variables = {"input": wanted, "identifier": None}
    again = {**variables, "identifier": {"email": wanted["email"]}}
    return str(_mutate(run, seeding.CUSTOMER_SET, "customerSet", variables, ("TAKEN", again))["customer"]["id"])


def _priced(node: Mapping[str, Any], money: Money) -> list[Priced]:
    return [Priced(one["id"], to_minor(one["price"], money.currency)) for one in node["variants"]["nodes"]]


def _mutate(
    run: Filling, text: str, name: str, variables: dict[str, Any], instead: tuple[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A mutation's payload; `instead` is what to send where it is refused with that code. Raises ShopifyError.

    Where the store takes no more for a moment, it is asked again a few times.
    """
    for _ in range(_TRIES):
        payload: dict[str, Any] = run.client.execute(text, variables).data.get(name) or {}
        errors = payload.get("userErrors") or []
        if not errors:
            return payload
        if instead is not None and errors[0].get("code") == instead[0]:
            variables, instead = instead[1], None
        elif "rate limit" in str(errors[0].get("message")).lower():
            run.client.sleep(_A_MINUTE_S / ORDERS_A_MINUTE)
        else:
            raise QueryRefused(f"Shopify refused {name}: {'; '.join(str(one.get('message')) for one in errors)}")
    raise Throttled(f"The store takes no more by {name} for now.", _A_MINUTE_S)


def _wait_for_orders(run: Filling) -> None:
    """A development store takes five orders a minute; asking sooner would only be refused."""
    if run.is_development and len(run.taken_at_s) == ORDERS_A_MINUTE:
        run.client.sleep(max(0.0, run.taken_at_s[0] + _A_MINUTE_S - run.client.clock()))


def _shown(what: str, rows: list[_Made], a_minute: int | None = None) -> Iterator[_Made]:
    """The rows one by one, saying how far it is: in place on a terminal, else now and then."""
    in_place, told_at_s = sys.stderr.isatty(), time.monotonic()
    if rows and a_minute is not None and len(rows) > a_minute:
        _say(f"{what}: {len(rows):,}, which takes {len(rows) / a_minute:,.0f} minutes; stop any time and run it again.")
    for done, row in enumerate(rows, start=1):
        yield row
        if in_place:
            sys.stderr.write(f"\r{what}: {done:,} of {len(rows):,}" + ("\n" if done == len(rows) else ""))
            sys.stderr.flush()
        elif done == len(rows) or time.monotonic() - told_at_s > 10:
            told_at_s = time.monotonic()
            _say(f"{what}: {done:,} of {len(rows):,}")


def _next(shop: Shop) -> str:
    if shop.is_demo:
        return "A demo store lives in the memory of each program: what was written to it ends with this command."
    return f"Next: python -m core sync --shop {shop.domain}"


def _stopped(error: ShopifyError) -> int:
    _say(str(error))
    _say("What was done stays. Run the same command again to go on.")
    return 1


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


_LISTS: dict[str, str] = {
    "products": seeding.SEEDED_PRODUCTS,
    "customers": seeding.SEEDED_CUSTOMERS,
    "orders": seeding.SEEDED_ORDERS,
}
# Orders first: who has some cannot be deleted.
_DELETES: tuple[tuple[str, str, str], ...] = (
    ("orders", seeding.ORDER_DELETE, "orderDelete"),
    ("customers", seeding.CUSTOMER_DELETE, "customerDelete"),
    ("products", seeding.PRODUCT_DELETE, "productDelete"),
)
