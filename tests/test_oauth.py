"""What Shopify signs into an address, judged as other libraries do; and which hosts are a store."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.shopify import oauth
from tests.conftest import SHARED, missing
from tests.demo_http import HARBOR

SECRET = "client-secret-of-the-app"


def vectors() -> list[dict[str, Any]]:
    file = SHARED / "oracles" / "hmac" / "vectors.json"
    return json.loads(file.read_text())["oauth"] if file.exists() else []


def test_the_vectors_of_other_libraries_are_there():
    if not vectors():
        missing("the oracle of signatures")
    assert len(vectors()) >= 14


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["id"])
def test_a_signature_that_others_know_is_judged_as_they_do(vector):
    digest = vector["hmac"] or hmac.new(vector["secret"].encode(), vector["canonical"].encode(), hashlib.sha256)
    text = digest if isinstance(digest, str) else digest.hexdigest()
    values = {name: value if isinstance(value, list) else [value] for name, value in vector["query"].items()}
    query = [(name, str(value)) for name, each in values.items() for value in each]
    for order in (query, query[::-1]) if not any(name.endswith("[]") for name in values) else (query,):
        assert oauth.is_signed([*order, ("hmac", text)], [vector["secret"]]) is vector["valid"]
        assert oauth.is_signed([*order, ("hmac", text), ("signature", "x")], ["y", vector["secret"]]) is vector["valid"]
    assert not oauth.is_signed(query, [vector["secret"]]) and not oauth.is_signed([*query, ("hmac", text)], [])


def test_the_order_of_a_list_is_signed_and_a_name_that_comes_twice_is_refused():
    [vector] = [each for each in vectors() if each["id"] == "py-ids-list"] or [None]
    if vector is None:
        missing("the oracle of signatures")
    pairs = [("shop", "some-shop.myshopify.com"), ("ids[]", "2"), ("ids[]", "1"), ("hmac", vector["hmac"])]
    assert oauth.is_signed(pairs, ["hush"])
    assert not oauth.is_signed([pairs[0], pairs[2], pairs[1], pairs[3]], ["hush"])
    for again in pairs[0], pairs[3], ("shop", "evil.myshopify.com"):
        assert not oauth.is_signed([*pairs, again], ["hush"])


@pytest.mark.parametrize("hmac_sent", ["", "x", "é", "\ufffd", "0" * 64, "0" * 10_000])
def test_a_signature_of_garbage_is_none(hmac_sent):
    assert not oauth.is_signed([("shop", HARBOR.domain), ("hmac", hmac_sent)], [SECRET])


@pytest.mark.parametrize(
    ("timestamp", "fresh"),
    [
        (0, True), (-299, True), (299, True), (-301, False), (301, False), (-7 * 86_400, False), (86_400, False),
        ("", False), ("oops", False), ("-1", False), ("1e9", False), ("٣", False), ("9" * 5000, False), ("1.5", False),
    ],
)  # fmt: skip
def test_an_answer_is_believed_for_five_minutes_by_either_clock(timestamp, fresh):
    now = datetime(2026, 11, 20, tzinfo=UTC)
    text = str(int(now.timestamp()) + timestamp) if isinstance(timestamp, int) else timestamp
    assert oauth.is_fresh(text, now) is fresh


TRICKS = [
    "", "evil.com", "harbor-and-pine.myshopify.com.evil.com", "harbor-and-pine.myshopify.com\n", "-.myshopify.com",
    "harbor-and-pine.myshopify.com/", " harbor-and-pine.myshopify.com", "evil.com/harbor-and-pine.myshopify.com",
    "https://harbor-and-pine.myshopify.com", "evil.com#.myshopify.com", "a@harbor-and-pine.myshopify.com",
    "harbor-and-pine.myshopify.com:443", "harbor-and-pine.myshopify.io", "hаrbor-and-pine.myshopify.com",
    "harbor-and-pine.myshopify.com\u212a", "\u212aiosk-berlin.myshopify.com", "harbor-and-pine\u3002myshopify.com",
    "harbor-and-pinemyshopify.com", "a.b.myshopify.com", "harbor-and-pine.myshopify.com?x=.myshopify.com", "[::1]",
    "harbor-and-pine", "harbor_and_pine.myshopify.com", "x" * 5000 + ".myshopify.com", "evil.com\\.myshopify.com",
]  # fmt: skip


@pytest.mark.parametrize("host", TRICKS, ids=range(len(TRICKS)))
def test_only_the_plain_domain_of_a_store_is_one(host):
    assert oauth.shop_host(host) is None


def test_a_domain_in_capitals_is_the_same_store():
    assert oauth.shop_host("Harbor-And-Pine.MyShopify.com") == HARBOR.domain
