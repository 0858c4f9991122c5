"""How objects of a demo shop are shown: plain dicts, references between them, texts as Shopify writes them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from core.demo.people import Place

Shape = dict[str, Any]


class Reference(NamedTuple):
    """Another object, looked up in the snapshot when read."""

    kind: str
    number: int


class Row(NamedTuple):
    """One object of a list: what it can be searched and sorted by, and how to show it."""

    number: int
    created_at: datetime
    updated_at: datetime
    processed_at: datetime
    show: Callable[[], Shape]
    words: Mapping[str, str] = {}


def decimal_text(minor: int) -> str:
    """Minor units as Shopify writes decimals: 1500 -> "15.0", -1235 -> "-12.35"."""
    whole, cents = divmod(abs(minor), 100)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{cents // 10}" if cents % 10 == 0 else f"{sign}{whole}.{cents:02d}"


def moment_text(moment: datetime) -> str:
    """A moment as Shopify writes it: UTC, whole seconds, Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def gid(kind: str, number: int | str) -> str:
    """The global id of an object."""
    return f"gid://shopify/{kind}/{number}"


def money_in(currency: str) -> Callable[[int], Shape]:
    """A function that shows minor units of a currency as a MoneyBag."""

    def money(minor: int) -> Shape:
        amount = {"__typename": "MoneyV2", "amount": decimal_text(minor), "currencyCode": currency}
        return {"__typename": "MoneyBag", "shopMoney": amount}

    return money


def show_address(number: int, place: Place) -> Shape:
    """An address of the object with this number."""
    return {
        "__typename": "MailingAddress", "id": gid("MailingAddress", f"{number}?model_name=Address"),
        "city": place.city, "countryCodeV2": place.country, "provinceCode": place.province,
    }  # fmt: skip
