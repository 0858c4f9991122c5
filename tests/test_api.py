"""Who may ask the API, how often and how much, and the shapes of its answers and refusals, on both databases."""

import csv
import io
import logging
from datetime import timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import Engine
from sqlmodel import select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.auth import audit, keys, members
from core.db.engine import shop_session, system_session
from core.db.models import ApiKey, Order, Shop
from core.errors import DatabaseUnavailable, Unreachable
from core.sync import jobs, subscriptions
from core.web import api_door
from core.web.api import ENDPOINTS
from core.web.api_door import LARGEST_BODY, PER_MINUTE, Limiter
from core.web.api_problems import Refused
from core.web.routes import ROUTES, served_below
from tests import factories as make
from tests.api_shop import ALICE, API, BOB, CHARLIE, NOON, VERA, cast, client, data, fill, with_key

PATHS = [
    path.strip("/").replace("{metric}", "net_sales").replace("{order_id}", "1").replace("{table}", "orders")
    for path, _, method in ENDPOINTS
    if method == "GET"
]


@pytest.fixture(autouse=True)
def people(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cast, and nobody counted yet."""
    monkeypatch.setattr(api_door, "LIMITER", Limiter())
    cast()


def refused(answer, status):
    """Whether this is a problem with a sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status and answer.json()["detail"]
    return answer.json()["detail"]


def test_without_a_key_nothing_is_told():
    asking = with_key(None)
    for secret in (None, "", "shoptally_", "shoptally_" + "x" * 43, "é", "' OR 1=1 --", "x" * 9_000):
        headers = {} if secret is None else {"Authorization": b"Bearer " + secret.encode()}
        for path in ("/shops", "/users", "/export/orders", "/metrics/nonsense", "/orders?limit=x"):
            answer = asking.get(path.lstrip("/"), headers=headers)
            refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        refused(asking.post("sync", headers=headers), 401)


def test_a_key_is_shown_as_a_bearer():
    secret = keys.make(BOB, 1, "Warehouse")
    for shown in (f"Basic {secret}", secret, f"Token {secret}"):
        refused(with_key(None).get("shops", headers={"Authorization": shown}), 401)
    refused(with_key(None).get("shops?key={secret}&Authorization=Bearer%20{secret}"), 401)


def test_a_revoked_or_ended_key_opens_nothing():
    secret = keys.make(BOB, 1, "Warehouse", lifetime=timedelta(days=1))
    asking = with_key(secret)
    assert data(asking.get("shops"))[0]["shop"] == "shop-1.myshopify.com"
    with system_session(write=True) as session:
        key = session.exec(select(ApiKey)).one()
        key.expires_at = NOON - timedelta(days=1)
    refused(asking.get("shops"), 401)
    other = client(BOB)
    (shown,) = keys.keys_of(BOB)
    keys.revoke(BOB, shown.key_id)
    refused(other.get("shops"), 401)
    removed = client(BOB)
    members.remove(ALICE, 1, BOB)
    refused(removed.get("shops"), 401)


def test_a_key_opens_its_own_store_and_no_other():
    fill(make.context(1, time_zone="UTC"), orders=5)
    theirs = client(CHARLIE, 2)
    assert [row["shop"] for row in data(theirs.get("shops"))] == ["shop-2.myshopify.com"]
    for path in ("orders?period=all", "customers", "products", "customers/top?period=all", "products/top?period=all"):
        assert data(theirs.get(path)) == []
        assert data(client(ALICE).get(path)) != []
    assert theirs.get("metrics/orders?period=all").json()["total"] == 0
    refused(theirs.get("orders/1"), 404)
    assert client(ALICE).get("orders/1").json()["name"] == "#1"
    assert [row["email"] for row in data(theirs.get("users"))] == ["charlie@example.com"]
    assert theirs.get("export/orders").headers["x-row-count"] == "0"
    # Whatever is sent along about the other store changes nothing.
    for sent in ("shop=shop-1.myshopify.com", "shop_id=1"):
        assert theirs.get(f"shops?{sent}").json() == theirs.get("shops").json()


def test_a_role_may_what_it_may_on_the_pages():
    owner, analyst, viewer = client(ALICE), client(BOB), client(VERA)
    members.change_role(ALICE, 1, VERA, "viewer")
    for path in ("metrics/net_sales", "report", "orders", "customers", "cohorts", "sync"):
        assert viewer.get(path).status_code == 200
    assert "start a sync" in refused(viewer.post("sync"), 403)
    assert "download" in refused(viewer.get("export/orders"), 403)
    assert "download" in refused(viewer.get("orders", headers={"Accept": "text/csv"}), 403)
    for path in ("users", "webhooks"):
        refused(viewer.get(path), 403)
        refused(analyst.get(path), 403)
        assert owner.get(path).status_code == 200
    refused(analyst.post("webhooks"), 403)
    assert owner.post("webhooks").json() == {"problems": {}}
    assert analyst.get("export/orders").status_code == 200


def test_where_a_second_factor_is_needed_a_key_of_who_has_none_is_shut():
    asking = client(BOB)
    with system_session(write=True) as session:
        session.get_one(Shop, 1).needs_second_factor = True
    refused(asking.get("shops"), 401)


def test_a_sync_is_asked_for_by_stream_or_whole():
    def due() -> set[str]:
        return {each.stream for each in jobs.sync_status(1).streams if each.due_at and each.due_at <= each_now}

    asking = client(BOB)
    answer = asking.post("sync", json={"streams": ["products"], "full": True})
    assert (answer.status_code, answer.json()) == (202, {"requested": True})
    each_now = NOON + timedelta(days=1)
    assert "products" in due()
    assert asking.get("sync").json()["requested"]
    assert asking.post("sync").status_code == 202
    for wrong in ({"streams": ["lunch"]}, {"full": "perhaps"}, {"other": 1}, [], "x", {"streams": ["orders"] * 99}):
        refused(asking.post("sync", json=wrong), 422)
    with system_session(write=True) as session:
        session.get_one(Shop, 1).token = ""
    assert "disconnected" in refused(asking.post("sync"), 422)


def test_what_shopify_does_not_answer_is_said(monkeypatch):
    def away(_: int) -> dict[str, str]:
        raise Unreachable("Shopify does not answer. Try again later.")

    monkeypatch.setattr(subscriptions, "ensure", away)
    assert refused(client(ALICE).post("webhooks"), 502) == "Shopify does not answer. Try again later."


def test_every_answer_says_what_is_left_and_too_many_are_refused():
    asking = client(BOB)
    left = [asking.get("metrics").headers["ratelimit-remaining"] for _ in range(3)]
    assert left == [str(PER_MINUTE - 1), str(PER_MINUTE - 2), str(PER_MINUTE - 3)]
    (key_id,) = api_door.LIMITER._used
    while True:
        try:
            api_door.LIMITER.admit(key_id)
        except Refused:
            break
    answer = asking.get("metrics")
    refused(answer, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-limit"] == "120" and answer.headers["ratelimit-remaining"] == "0"
    assert client(ALICE).get("metrics").status_code == 200  # another key has its own


def test_an_etag_is_answered_until_the_data_change():
    shop = make.context(1, time_zone="UTC")
    fill(shop, orders=5)
    asking = client(BOB)
    first = asking.get("metrics/orders?period=all")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"] == "Accept, Authorization"
    for sent in (tag, f'"other", W/{tag}', "*"):
        again = asking.get("metrics/orders?period=all", headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag and "ratelimit-remaining" in again.headers
    for other in ('"x"', tag.strip('"'), ""):
        assert asking.get("metrics/orders?period=all", headers={"If-None-Match": other}).status_code == 200
    assert asking.get("metrics/units_sold?period=all", headers={"If-None-Match": tag}).status_code == 200
    make.store_orders(shop, make.order(99, NOON - timedelta(days=1), make.agreement(NOON, make.sale("5.00"))))
    with system_session(write=True) as session:
        session.get_one(Shop, 1).data_version += 1
    changed = asking.get("metrics/orders?period=all", headers={"If-None-Match": tag})
    assert changed.status_code == 200 and changed.json()["total"] == first.json()["total"] + 1


def test_csv_has_the_rows_of_the_json():
    fill(make.context(1, time_zone="UTC"), orders=20)
    asking = client(BOB)
    for path in ("report?period=90d", "orders?period=all", "customers", "products/top?period=all", "sync"):
        answer = asking.get(path, headers={"Accept": "text/csv"})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        read = list(csv.DictReader(io.StringIO(answer.text)))
        rows = data(asking.get(path))
        assert read == [
            {name: "" if cell is None else str(cell).replace("=SUM", "'=SUM") for name, cell in row.items()}
            for row in rows
        ]
        assert rows and answer.headers["etag"] != asking.get(path).headers["etag"]


def test_head_answers_as_get_does():
    fill(make.context(1, time_zone="UTC"), orders=1)
    asking = client(ALICE)
    for path in PATHS:
        head, get = asking.head(path), asking.get(path)
        assert head.status_code == get.status_code == 200
        for name in ("content-type", "etag", "content-length"):
            assert head.headers.get(name) == get.headers.get(name)


def test_what_is_not_there_is_a_problem():
    asking = with_key(None)
    for path in ("", "/", "/v2", "/v1", "/v1/", "/v1/nonsense", "/v1/orders/1/lines", "/v1//shops"):
        for method in ("GET", "POST", "OPTIONS"):
            refused(asking.request(method, f"http://localhost/api{path}"), 404)


def test_another_method_is_refused_with_those_there_are():
    answer = client(ALICE).delete("shops")
    refused(answer, 405)
    assert "GET" in answer.headers["allow"]


def test_a_body_is_small_whole_and_json():
    asking = client(BOB)
    for asker in (asking, with_key(None)):  # refused before anybody asks who it is
        refused(asker.post("sync", content=b"x" * (LARGEST_BODY + 1)), 413)
        refused(asker.post("sync", content=iter([b"x" * 9_000] * 3)), 413)
        refused(asker.post("sync", headers={"Content-Length": "300000000"}, content=b"{}"), 413)
    for wrong in (b"{", b"\xff\xfe", b'{"full": NaN}', b"[" * 9_000, b'{"full": 1e999}'):
        answer = asking.post("sync", content=wrong, headers={"Content-Type": "application/json"})
        refused(answer, 400 if wrong.startswith(b"[") else 422)


ATTACKS = (
    "'; DROP TABLE \"order\"; --", "1 OR 1=1", "\x00", "%00", "١٢", "9" * 30, "-" + "9" * 30, "\ufffd", "é" * 300,
    "2026-13-45", "{}", "../../etc", "NaN", "1e400", "0x10",
)  # fmt: skip
WORST = (ATTACKS[0], "\x00", "9" * 30)
PARAMETERS = (
    "from", "to", "period", "compare", "grain", "channel", "country", "customer_kind", "product_type", "vendor",
    "limit", "cursor", "by", "breakdown", "since", "measure",
)  # fmt: skip


def test_whatever_a_parameter_is_the_answer_is_one_or_a_refusal():
    fill(make.context(1, time_zone="UTC"), orders=3)
    asking = client(ALICE)
    everywhere = [(path, PARAMETERS[(i + k) % len(PARAMETERS)], attack)
                  for i, path in enumerate(PATHS) for k, attack in enumerate(ATTACKS)]  # fmt: skip
    for path, name, attack in [*everywhere, *(("orders", name, attack) for name in PARAMETERS for attack in WORST)]:
        api_door.LIMITER._used.clear()
        answer = asking.get(path, params={name: attack})
        assert answer.status_code in (200, 422), (path, name, attack, answer.text)
    with shop_session(1) as session:
        assert len(session.exec(select(Order.id)).all()) == 3


def test_whatever_a_name_in_the_address_is_it_is_not_there_or_refused():
    asking = client(ALICE)
    for attack in ATTACKS:
        for path in ("metrics/{}", "orders/{}", "export/{}"):
            assert asking.get(path.format(quote(attack, safe=""))).status_code in (404, 422)


RANGES = [
    "from=2026-02-01", "to=2026-02-01", "from=2026-02-02&to=2026-02-01", "from=0001-01-01&to=9999-12-31",
    "from=2006-06-01&to=2006-06-30", "from=9999-12-31&to=9999-12-31", "period=century", "compare=lunch",
    "channel=" + "&channel=".join(["web"] * 51), "unknown=1", "from=0&to=1e10",
]  # fmt: skip


def test_a_range_that_is_none_is_refused():
    asking = client(BOB)
    paths = ("metrics/net_sales", "report", "orders", "customers/top", "products", "checkouts")
    for number, query in enumerate(RANGES):
        for path in (paths[number % len(paths)], "metrics/net_sales"):
            refused(asking.get(f"{path}?{query}"), 422)


def test_the_longest_range_is_answered():
    asking = client(BOB)
    today = NOON.date()
    for grain in ("day", "week", "month"):
        answer = asking.get(f"report?from=2006-06-02&to={today}&grain={grain}&compare=year")
        assert len(data(answer)) > 200


def test_an_unknown_metric_names_those_there_are():
    assert "net_sales" in refused(client(BOB).get("metrics/profit"), 422)
    said = refused(client(BOB).get("metrics/taxes?breakdown=vendor"), 422)
    assert "Taxes is not known by vendor" in said


def test_an_absurd_moment_is_refused():
    asking = client(BOB)
    for since in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+14:00", "2005-01-01", "1e20", "-1"):
        refused(asking.get("export/orders", params={"since": since}), 422)


CURSORS = ["0.0", "2026-01-01", "2026-01-01.", "2026-01-01.9223372036854775808", "2026-01-01.-1", "2026-13-01.1",
           "٢٠٢٦-01-01.1", "x" * 41, "9223372036854775808", "-9223372036854775809", "1.5", "", " 1"]  # fmt: skip


def test_a_cursor_of_nobody_is_refused():
    asking = client(BOB)
    for cursor in CURSORS:
        for path in ("orders", "customers", "products"):
            refused(asking.get(path, params={"cursor": cursor}), 422)


def test_a_database_that_is_away_is_said_without_its_name(monkeypatch, caplog):
    asking = client(BOB)

    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("The database does not answer (connection to db.internal as admin failed).")

    monkeypatch.setattr(keys, "verify", away)
    monkeypatch.setattr(logging.getLogger("core"), "propagate", True)
    answer = asking.get("shops")
    assert "internal" not in refused(answer, 503) and answer.headers["retry-after"] == "30"
    assert "db.internal" in caplog.text


def test_what_nobody_foresaw_tells_nothing(monkeypatch):
    def broken(_: int) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(jobs, "sync_status", broken)
    secret = keys.make(BOB, 1, "Warehouse")
    quiet = TestClient(Starlette(routes=ROUTES), raise_server_exceptions=False)
    answer = quiet.get(f"{API}/shops", headers={"Authorization": f"Bearer {secret}"})
    assert "secret" not in refused(answer, 500)


def test_a_key_is_in_no_log_and_its_first_use_of_a_day_is_in_the_audit_list(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("core"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    secret = keys.make(BOB, 1, "Warehouse")
    asking = with_key(secret)
    for _ in range(3):
        asking.get("shops")
    asking.get("nonsense")
    asking.get("export/orders")
    assert secret not in caplog.text
    span = {"since": NOON - timedelta(days=2), "until": NOON + timedelta(days=2)}
    used = audit.events(1, action="key_used", **span)
    (first,) = used
    assert (first.actor, first.target, first.address) == ("bob@example.com", "Warehouse", "testclient")
    assert [each.target for each in audit.events(1, action="export", **span)] == ["orders.parquet"]
    with system_session(write=True) as session:
        session.exec(select(ApiKey)).one().used_at = NOON - timedelta(days=1)
    asking.get("shops")
    assert len(audit.events(1, action="key_used", **span)) == 2


def test_the_description_is_open_and_asks_no_other_host():
    page = with_key(None).get("http://localhost/api/docs")
    assert page.status_code == 200 and page.text.count("<section>") == len(ENDPOINTS)
    assert "http://localhost/api/v1/metrics/net_sales" in page.text
    below = TestClient(Starlette(routes=served_below("/shops", ROUTES))).get("http://localhost/shops/api/docs?x=1")
    assert "http://localhost/shops/api/v1/metrics/net_sales" in below.text
    assert "src=" not in page.text and "default-src 'none'" in page.headers["content-security-policy"]
    assert with_key(None).get("openapi.json").json()["openapi"].startswith("3.")
