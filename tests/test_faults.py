"""Shopify answers badly: nothing is lost, nothing half is stored, the rest goes on, and a sentence says what to do."""

import json
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine

from core.db.engine import shop_session
from core.db.rollups import rebuild_all
from core.db.vault import seal
from core.demo.server import demo_transport
from core.shopify.client import ShopClient
from core.sync import connect, fetch
from core.sync.jobs import RunView
from core.sync.resources import customers
from tests.demo_http import HARBOR
from tests.demo_sync import (
    ALICE,
    NOW,
    OPENED_ON,
    Asked,
    Stage,
    add_demo_shop,
    changed_body,
    living,
    quarantined,
    rows_of,
    shop_row,
    stage_demo,
    state,
    sync,
)
from tests.kept_shop import add_synced_shop
from tests.test_sync import fresh

Lines = list[bytes]
TABLES_OF = {
    "orders": ("order", "line_item", "sale", "refund", "daily_sales", "daily_product_sales", "customer_totals"),
    "products": ("product", "variant"),
}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch, opened_on=date(2026, 11, 10))


def tamper_bulk(
    stage: Stage,
    stream: str,
    *,
    fields: Callable[[dict[str, Any]], object] = lambda _: None,
    content: Callable[[bytes], bytes] = lambda content: content,
    honest_counts: bool = False,
) -> None:
    """Change what is said of a stream's finished bulk operation, and its file; counts may follow the file."""
    streams: dict[str, str] = {}
    files: dict[str, bytes] = {}

    def after(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        if "bulkOperationRunQuery" in asked.query:
            number = json.loads(response.read())["data"]["bulkOperationRunQuery"]["bulkOperation"]["id"]
            streams[number] = stream if asked.about(stream) else ""
        elif asked.about("Bulk(") and streams[asked.variables["id"]] == stream:
            return changed_body(response, change)
        elif asked.address in files:
            return httpx2.Response(200, content=files[asked.address])
        return response

    def change(body: dict[str, Any]) -> None:
        operation = body["data"]["bulkOperation"]
        if operation["status"] != "COMPLETED":
            return
        address = operation["url"]
        honest = server_file(stage, address)
        files[address] = content(honest)
        if honest_counts:
            lines = files[address].splitlines()
            roots = sum(b'"__parentId"' not in line for line in lines)
            operation.update(objectCount=str(len(lines)), rootObjectCount=str(roots), fileSize=str(len(files[address])))
        fields(operation)

    stage.after = after


def server_file(stage: Stage, address: str) -> bytes:
    honest = stage.transport(HARBOR.domain)._honest
    content: bytes = honest.handle_request(httpx2.Request("GET", address)).read()
    return content


def problem_of(run: RunView) -> str:
    assert run.problem, "a problem needs a sentence"
    assert HARBOR.token not in run.problem and "Traceback" not in run.problem
    return run.problem


BAD_RESULTS: dict[str, tuple[dict[str, Any], str]] = {
    "cut in a line": ({"content": lambda content: content[:-30]}, "cut off"),
    "cut after a line": ({"content": lambda content: b"".join(content.splitlines(True)[:-1])}, "holds"),
    "empty": ({"content": lambda _: b""}, "holds 0 bytes"),
    "too many lines": ({"fields": lambda o: o.update(objectCount=str(int(o["objectCount"]) + 1))}, "lines"),
    "too few roots": ({"fields": lambda o: o.update(rootObjectCount=str(int(o["rootObjectCount"]) - 1))}, "objects"),
    "another size": ({"fields": lambda o: o.update(fileSize="1")}, "bytes"),
    "no file": ({"fields": lambda o: o.update(url=None)}, "no result"),
    "failed": ({"fields": lambda o: o.update(status="FAILED", errorCode="INTERNAL_SERVER_ERROR")}, "FAILED"),
    "timed out": ({"fields": lambda o: o.update(status="FAILED", errorCode="TIMEOUT")}, "TIMEOUT"),
    "cancelled": ({"fields": lambda o: o.update(status="CANCELED")}, "CANCELED"),
    "expired": ({"fields": lambda o: o.update(status="EXPIRED")}, "EXPIRED"),
    "denied": ({"fields": lambda o: o.update(status="FAILED", errorCode="ACCESS_DENIED")}, "Grant the access"),
    "nonsense": ({"fields": lambda o: o.update(objectCount="many")}, "makes no sense"),
    "forgotten": ({"fields": lambda o: o.clear()}, "makes no sense"),
    "a page of HTML": ({"content": lambda content: b"<html>".ljust(len(content), b" ")}, "cut off"),
    "address gone": ({"fields": lambda o: o.update(url=o["url"] + "x")}, "Start the sync again"),
}


@pytest.mark.parametrize(("tampered", "words"), BAD_RESULTS.values(), ids=BAD_RESULTS)
def test_a_bad_bulk_result_changes_nothing_of_its_stream_and_the_next_sync_recovers(sqlite, stage, tampered, words):
    add_demo_shop(ALICE, HARBOR)
    tamper_bulk(stage, "orders", **tampered)
    run = sync()
    assert run.outcome == "partial" and words in problem_of(run)
    rows = rows_of()
    assert all(rows[table] == [] for table in TABLES_OF["orders"]) and rows["product"] and rows["customer"]
    assert (state("orders").synced_until, state("orders").failures) == (None, 1)
    assert words in (state("orders").problem or "") and state("products").problem is None
    assert quarantined() == {}
    stage.tell_truth()
    assert sync().outcome == "ok"
    assert rows_of()["order"] and state("orders").problem is None and state("orders").failures == 0


def test_a_bad_bulk_result_of_a_full_read_leaves_rows_cursor_and_other_streams_alone(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before, cursor, version = rows_of(), state("products").synced_until, shop_row().data_version
    tamper_bulk(stage, "products", content=lambda content: content[:-30])
    run = sync(full=True)
    assert run.outcome == "partial" and "Products: " in problem_of(run)
    assert (rows_of(), state("products").synced_until, shop_row().data_version) == (before, cursor, version)
    assert state("products").full and not state("orders").full


def damage(pick: Callable[[dict[str, Any]], bool], how: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Damage the first line that `pick` picks."""

    def content(honest: bytes) -> bytes:
        lines: Lines = honest.splitlines()
        position = next(number for number, line in enumerate(lines) if pick(json.loads(line)))
        lines[position] = how(lines[position])
        return b"".join(line + b"\n" for line in lines)

    return content


def rewritten(**fields: Any) -> Callable[[bytes], bytes]:
    return lambda line: json.dumps(json.loads(line) | fields).encode()


def lacking(name: str) -> Callable[[bytes], bytes]:
    return lambda line: json.dumps({key: value for key, value in json.loads(line).items() if key != name}).encode()


def is_root(node: dict[str, Any]) -> bool:
    return "__parentId" not in node


def is_sale(node: dict[str, Any]) -> bool:
    return "actionType" in node


BAD_LINES: dict[str, tuple[Callable[[dict[str, Any]], bool], Callable[[bytes], bytes], str]] = {
    "order: half a line": (is_root, lambda line: line[: len(line) // 2], "not a JSON object"),
    "order: wrong bytes": (is_root, lambda line: line.replace(b'"name"', b'"na\xff\xfe"'), "not a JSON object"),
    "order: amount": (
        is_root, rewritten(currentTotalPriceSet={"shopMoney": {"amount": "12.345", "currencyCode": "USD"}}), "12.345",
    ),
    "order: another currency": (
        is_root, rewritten(currentTotalPriceSet={"shopMoney": {"amount": "12.3", "currencyCode": "CAD"}}), "CAD",
    ),
    "order: no zone": (is_root, rewritten(processedAt="2026-11-01T12:00:00"), "moment"),
    "order: no zone in updatedAt": (is_root, rewritten(updatedAt="2026-11-01T12:00:00"), "moment"),
    "line: half a line": (lambda node: "variantTitle" in node, lambda line: line[:-20], "cannot be read"),
    "line: no quantity": (lambda node: "variantTitle" in node, lacking("quantity"), "quantity"),
    "agreement: half a line": (lambda node: "happenedAt" in node, lambda line: line[:-3], "cannot be read"),
    "sale: half a line": (is_sale, lambda line: line[:-3], "cannot be read"),
    "sale: not an object": (is_sale, lambda line: line.replace(b'"actionType"', b"actionType"), "cannot be read"),
    "sale: amount": (is_sale, rewritten(totalAmount={"shopMoney": {"amount": "x", "currencyCode": "USD"}}), "'x'"),
    "sale: not marked": (is_sale, lacking("actionType"), "fits no connection"),
}  # fmt: skip


@pytest.mark.parametrize(("pick", "how", "reason"), BAD_LINES.values(), ids=BAD_LINES)
def test_one_damaged_line_sets_its_order_aside_whole_and_a_good_version_clears_it(database, stage, pick, how, reason):
    add_demo_shop(ALICE, HARBOR)
    tamper_bulk(stage, "orders", content=damage(pick, how), fields=lambda o: None, honest_counts=False)
    honest_numbers(stage)
    run = sync()
    assert run.outcome == "ok", run.problem
    counts = run.counts["orders"]
    [key] = quarantined()
    assert key.startswith("orders/") and reason in quarantined()[key]
    number = int(key.removeprefix("orders/"))
    rows = rows_of()
    assert counts["read"] == counts["inserted"] + counts["quarantined"] and counts["quarantined"] >= 1
    assert number not in {row["id"] for row in rows["order"]}
    assert not any(row["order_id"] == number for table in ("line_item", "sale", "refund") for row in rows[table])
    with shop_session(ALICE, write=True) as session:
        rebuild_all(session)
    assert rows_of() == rows
    stage.tell_truth()
    assert sync(full=True).outcome == "ok"
    assert quarantined() == {}
    assert len(rows_of()["order"]) == len(rows["order"]) + 1


def honest_numbers(stage: Stage) -> None:
    """The damaged file's size is the announced one: the damage was done at the source."""
    tampered = stage.after

    def after(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        answer = tampered(asked, response)
        if answer is response or not asked.about("Bulk("):
            return answer
        return changed_body(answer, lambda body: body["data"]["bulkOperation"].update(fileSize=None))

    stage.after = after


def test_a_good_version_that_comes_by_pages_clears_what_a_damaged_line_set_aside(database: Engine, stage: Stage):
    add_synced_shop(stage)
    newest = max(rows_of()["order"], key=lambda row: row["updated_at"])["id"]
    before = rows_of()
    tamper_bulk(
        stage, "orders", content=damage(lambda node: str(newest) in str(node.get("id")), lambda line: line[:-20])
    )
    honest_numbers(stage)
    sync(full=True)
    assert list(quarantined()) == [f"orders/{newest}"]
    assert rows_of() == before, "what was stored of it stays"
    stage.tell_truth()
    sync()
    assert quarantined() == {} and rows_of() == before


def test_a_line_that_says_nothing_of_itself_harms_nobody_for_good(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    tamper_bulk(stage, "orders", content=lambda content: b"\x00\n" + content)
    honest_numbers(stage)
    tampered = stage.after

    def one_more(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        answer = tampered(asked, response)
        if answer is response or not asked.about("Bulk("):
            return answer

        def change(body: dict[str, Any]) -> None:
            operation = body["data"]["bulkOperation"]
            if operation["status"] == "COMPLETED":
                operation.update(objectCount=str(int(operation["objectCount"]) + 1))

        return changed_body(answer, change)

    stage.after = one_more
    run = sync()
    assert (run.outcome, run.counts["orders"]["quarantined"]) == ("ok", 1)
    stage.tell_truth()
    sync(full=True)
    assert quarantined() == {}


def test_a_file_damaged_from_some_line_on_is_refused(database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch):
    def ruin(content: bytes) -> bytes:
        return re.sub(rb'(?m)^\{"id":"gid:\\?/\\?/shopify\\?/Order', rb'x{"id":"gid://shopify/Order', content)

    add_demo_shop(ALICE, HARBOR)
    tamper_bulk(stage, "orders", content=ruin)
    honest_numbers(stage)
    run = sync()
    read = run.counts["orders"]
    assert read["inserted"] == 0 and (run.outcome == "partial" or read["quarantined"] == read["read"] > 0)
    assert rows_of()["order"] == []


SCOPES = ("read_orders", "read_customers", "read_products")


def granted(*scopes: str) -> Callable[[Asked, httpx2.Response], httpx2.Response]:
    def change(body: dict[str, Any]) -> None:
        body["data"]["currentAppInstallation"]["accessScopes"] = [{"handle": scope} for scope in scopes]

    return lambda asked, response: changed_body(response, change) if asked.about("Shop") else response


@pytest.mark.parametrize("lost", SCOPES)
def test_a_token_without_a_scope_blocks_one_stream_and_names_the_scope(database: Engine, stage: Stage, lost: str):
    add_demo_shop(ALICE, HARBOR)
    stage.after = granted(*(scope for scope in SCOPES if scope != lost))
    run = sync()
    stream = lost.removeprefix("read_")
    assert run.outcome == "partial" and lost in problem_of(run) and "sync again" in problem_of(run)
    assert state(stream).due_at is None, "asking again by itself would not help"
    rows = rows_of()
    assert bool(rows["order"]) is (lost != "read_orders") and bool(rows["product"]) is (lost != "read_products")
    asked = "\n".join(asked.query + str(asked.variables.get("query")) for asked in stage.asked)
    assert ("product { id }" in asked) is (lost == "read_customers")
    assert ("customer { id }" in asked) is (lost == "read_products")


def test_orders_sync_alone_when_nothing_else_is_granted(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    stage.after = granted("write_orders")
    assert sync().outcome == "partial"
    rows = rows_of()
    assert rows["order"] and rows["sale"] and all(row["customer_id"] is None for row in rows["order"])
    assert sum(row["gross_sales"] for row in rows["daily_sales"]) > 0


def answering(response: Callable[[], httpx2.Response], *names: str) -> Callable[[Asked], httpx2.Response | None]:
    return lambda asked: response() if not names or any(asked.about(name) for name in names) else None


def unreachable() -> httpx2.Response:
    raise httpx2.ConnectError("connection refused")


def graphql_error(code: str, message: str = "no") -> httpx2.Response:
    return httpx2.Response(200, json={"errors": [{"message": message, "extensions": {"code": code}}]})


NO_ANSWERS: dict[str, tuple[Callable[[], httpx2.Response], str, bool]] = {
    "unreachable": (unreachable, "could not be reached", False),
    "500": (lambda: httpx2.Response(500, content=b"<html>oops"), "answered 500", False),
    "503": (lambda: httpx2.Response(503), "answered 503", False),
    "garbage": (lambda: httpx2.Response(200, content=b"<html>hello"), "not JSON", False),
    "nothing": (lambda: httpx2.Response(200, content=b""), "not JSON", False),
    "a list": (lambda: httpx2.Response(200, content=b"[]"), "not an object", False),
    "no shop": (lambda: httpx2.Response(200, json={"data": {"shop": None}}), "could not be read", False),
    "throttled": (lambda: graphql_error("THROTTLED", "Throttled"), "rate limit", False),
    "429": (lambda: httpx2.Response(429, headers={"Retry-After": "3600"}), "wait", False),
    "401": (lambda: httpx2.Response(401), "Connect the shop again", True),
    "402": (lambda: httpx2.Response(402), "frozen", True),
    "403": (lambda: httpx2.Response(403), "may not read", True),
    "404": (lambda: httpx2.Response(404), "no shop", True),
    "423": (lambda: httpx2.Response(423), "locked", True),
    "redirect": (lambda: httpx2.Response(302, headers={"Location": "https://evil.example"}), "renamed", True),
}


@pytest.mark.parametrize(("response", "words", "permanent"), NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_a_shop_that_does_not_answer_keeps_its_rows_and_is_tried_again_when_that_helps(
    sqlite, stage, response, words, permanent
):
    add_synced_shop(stage)
    before, version = rows_of(), shop_row().data_version
    cursors = [state(stream).synced_until for stream in ("orders", "products", "customers")]
    stage.instead = answering(response)
    run = sync()
    assert run.outcome == "failed" and words in problem_of(run)
    assert (rows_of(), shop_row().data_version) == (before, version)
    assert [state(stream).synced_until for stream in ("orders", "products", "customers")] == cursors
    assert (state("orders").due_at is None) is permanent
    assert all(state(stream).owner is None for stream in ("shop", "orders", "products", "customers"))
    stage.tell_truth()
    if shop_row().reauth_since is not None:
        connect_again()
    assert sync().outcome == "ok"
    assert rows_of() == before


def connect_again() -> None:
    """The merchant enters the token anew."""
    transport = demo_transport(HARBOR.domain, opened_on=OPENED_ON)
    with ShopClient(HARBOR.domain, HARBOR.token, transport=transport) as client:
        facts = connect.read_facts(client)
    connect.connect_shop(facts, HARBOR.token, owner_user_id=None, personal_data=True)


def test_a_token_revoked_on_the_way_ends_the_run_without_another_call(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    revoked = False

    def after_products(asked: Asked) -> httpx2.Response | None:
        nonlocal revoked
        revoked = revoked or asked.about("CustomersCount")
        return httpx2.Response(401) if revoked else None

    stage.instead = after_products
    run = sync()
    assert run.outcome == "failed" and "Connect the shop again" in problem_of(run)
    assert rows_of()["product"], "what was stored stays"
    assert stage.asked[-1].about("CustomersCount")
    assert all(state(stream).due_at is None for stream in ("customers", "orders"))
    assert "Connect the shop again" in (state("orders").problem or "")
    stage.tell_truth()
    assert sync().outcome == "failed" and stage.asked == []
    connect_again()
    assert sync().outcome == "ok"


@pytest.mark.parametrize("name", ["Orders(", "Products(", "Customers("])
def test_pages_that_fail_leave_the_other_streams_alone(database: Engine, stage: Stage, name: str):
    add_synced_shop(stage)
    before = state(stream := name.lower().rstrip("(")).synced_until
    stage.instead = answering(lambda: httpx2.Response(502), name)
    run = sync()
    assert run.outcome == "partial" and "502" in problem_of(run)
    assert state(stream).synced_until == before and state(stream).failures == 1 and state(stream).due_at is not None
    stage.tell_truth()
    assert sync().outcome == "ok"


def test_a_short_fault_is_ridden_out(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    faults = iter([unreachable, lambda: httpx2.Response(502), lambda: graphql_error("THROTTLED")] * 8)
    wait = iter(range(10**6))

    def now_and_then(asked: Asked) -> httpx2.Response | None:
        if not asked.query or next(wait) % 3 != 1:
            return None
        return next(faults, lambda: None)()

    stage.instead = now_and_then
    assert sync().outcome == "ok"
    assert rows_of()["order"] and stage.slept_s > 0


class Withheld:
    """Shopify keeps the customer of orders back: pages go without it, a whole file fails for it, and stays failed."""

    def __init__(self, stage: Stage) -> None:
        self.denied = True
        self.operations: dict[str, bool] = {}  # by id: whether it was denied
        stage.after = self.answer

    def answer(self, asked: Asked, response: httpx2.Response) -> httpx2.Response:
        if "bulkOperationRunQuery" in asked.query:
            number = json.loads(response.read())["data"]["bulkOperationRunQuery"]["bulkOperation"]["id"]
            query = asked.variables["query"]
            self.operations[number] = self.denied and asked.about("orders") and "customer {" in query
        elif asked.about("Bulk(") and self.operations[asked.variables["id"]]:
            return changed_body(response, self.fail)
        elif asked.about("Orders(") and self.denied:
            return changed_body(response, self.keep_back)
        return response

    def fail(self, body: dict[str, Any]) -> None:
        body["data"]["bulkOperation"].update(status="FAILED", errorCode="ACCESS_DENIED", url=None)

    def keep_back(self, body: dict[str, Any]) -> None:
        nodes = body["data"]["orders"]["nodes"]
        for node in nodes:
            node["customer"] = None
        body["errors"] = [
            {"message": "Access denied for customer field.", "path": ["orders", "nodes", number, "customer"],
             "extensions": {"code": "ACCESS_DENIED"}}
            for number, _ in enumerate(nodes)
        ]  # fmt: skip


def is_told(run: RunView) -> bool:
    return run.outcome == "partial" and "orders.nodes.customer" in problem_of(run)


def buyers() -> list[int | None]:
    return [row["customer_id"] for row in rows_of()["order"]]


def test_withheld_fields_are_said_and_the_rest_is_stored(database: Engine, stage: Stage):
    add_synced_shop(stage)
    before = len(buyers())
    stage.now = NOW.replace(day=25)
    Withheld(stage)
    assert is_told(run := sync())
    assert len(buyers()) > before and state("orders").due_at is not None
    assert state("orders").problem == run.problem and state("orders").succeeded_at is not None


@pytest.mark.parametrize("meanwhile", ["nothing", "a sync", "a full refresh", "many changes", "a fault"])
def test_what_was_withheld_for_a_while_is_read_when_it_is_granted(
    sqlite: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch, meanwhile: str
):
    add_synced_shop(stage)
    stage.now = NOW.replace(day=23)
    shopify = Withheld(stage)
    assert is_told(sync())
    lacking = buyers()
    stage.now = NOW.replace(day=25)
    if meanwhile == "a fault":
        stage.instead = answering(lambda: httpx2.Response(502), "Bulk(", "Orders(")
        assert "502" in problem_of(sync())
        stage.instead = lambda _: None
    elif meanwhile != "nothing":
        monkeypatch.setattr(fetch, "BULK_ABOVE", 3 if meanwhile == "many changes" else 10**6)
        assert is_told(sync(full=meanwhile == "a full refresh"))
        assert len(buyers()) > len(lacking), "what can be had goes on coming"
    stage.now = NOW.replace(day=27)
    shopify.denied = False
    assert sync().outcome == "ok" and state("orders").problem is None
    stage.asked.clear()
    monkeypatch.setattr(fetch, "BULK_ABOVE", 10**6)
    assert sync().outcome == "ok"
    assert "orders" not in stage.read_by_bulk(), "once is enough"
    found = living(rows_of())
    assert found == fresh(HARBOR, stage)


def test_what_the_nightly_check_read_without_a_withheld_field_is_read_again(sqlite: Engine, stage: Stage):
    add_synced_shop(stage)
    before = buyers()
    shopify = Withheld(stage)
    sync(ALICE, "rescan")
    assert buyers() != before
    shopify.denied = False
    assert sync().outcome == "ok"
    assert buyers() == before


def test_a_scope_lost_and_granted_again_leaves_no_gap(database: Engine, stage: Stage):
    add_synced_shop(stage)
    stage.now = NOW.replace(day=24)
    stage.after = granted("read_orders", "read_all_orders", "read_products")
    sync()
    assert buyers()[-1] is None
    stage.now = NOW.replace(day=25)
    stage.tell_truth()
    assert sync(ALICE, "shop").outcome == "ok", "any run sees that more may be read now"
    assert sync().outcome == "ok"
    found = living(rows_of())
    assert found == fresh(HARBOR, stage)


def test_a_first_read_that_was_denied_is_asked_for_anew_once_it_is_granted(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    shopify = Withheld(stage)
    assert "Grant the access" in problem_of(sync())
    assert buyers() == [] and state("orders").synced_until is None
    shopify.denied = False
    assert sync().outcome == "ok"
    assert buyers()


def test_an_ignored_filter_stores_nothing(database: Engine, stage: Stage):
    """Shopify drops a filter it cannot read, and sends every row with a warning."""
    add_synced_shop(stage)
    before = rows_of()
    stage.now = NOW.replace(day=25)

    def warn(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        search = [{"path": ["orders"], "query": "x", "warnings": [{"field": "updated_at", "message": "Invalid."}]}]
        return (
            changed_body(response, lambda body: body["extensions"].update(search=search))
            if asked.about("Orders(")
            else response
        )

    stage.after = warn
    run = sync()
    assert run.outcome == "partial" and "updated_at" in problem_of(run)
    assert rows_of()["order"] == before["order"]


MALFORMED_NODES: dict[str, dict[str, Any]] = {
    "amount": {"currentTotalPriceSet": {"shopMoney": {"amount": "0.001", "currencyCode": "USD"}}},
    "no id": {"id": None},
    "no zone": {"processedAt": "2026-11-21T00:00:00"},
    "a word for a list": {"refunds": "none"},
}


@pytest.mark.parametrize("fields", MALFORMED_NODES.values(), ids=MALFORMED_NODES)
def test_a_malformed_order_in_a_page_is_set_aside_and_the_rest_goes_on(database, stage, fields):
    add_synced_shop(stage)
    stage.now = NOW.replace(day=25)

    def spoil(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        if not asked.about("Orders(") or asked.variables["after"]:
            return response
        return changed_body(response, lambda body: body["data"]["orders"]["nodes"][-1].update(fields))

    stage.after = spoil
    run = sync()
    counts = run.counts["orders"]
    assert run.outcome == "ok" and counts["quarantined"] == 1 and counts["inserted"] > 0, run.problem
    assert counts["read"] == counts["inserted"] + counts["updated"] + counts["unchanged"] + counts["quarantined"]
    assert len(quarantined()) == 1
    stage.tell_truth()
    sync(full=True)
    assert quarantined() == {}


def test_what_nobody_foresaw_stops_one_stream_only(
    database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def explode(*_: Any, **__: Any) -> Any:
        raise RuntimeError("boom")

    monkeypatch.setattr(customers, "upsert", explode)
    add_demo_shop(ALICE, HARBOR)
    run = sync()
    assert run.outcome == "partial" and "The log says more" in problem_of(run) and "boom" not in problem_of(run)
    assert rows_of()["order"] and rows_of()["product"]
    assert state("customers").due_at is not None and state("customers").synced_until is None


def test_no_token_in_any_row_of_the_history(database: Engine, stage: Stage):
    add_demo_shop(ALICE, HARBOR)
    stage.instead = answering(lambda: graphql_error("X", f"bad token {HARBOR.token} given"))
    run = sync()
    assert HARBOR.token not in repr(run) and "[token]" in problem_of(run)


def test_a_token_that_does_not_open_any_more_is_a_sentence(
    database: Engine, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    add_demo_shop(ALICE, HARBOR, token=seal(HARBOR.token, "somebody else"))
    run = sync()
    assert run.outcome == "failed" and "another shop" in problem_of(run)
    assert stage.asked == [] and state("orders").due_at is None
