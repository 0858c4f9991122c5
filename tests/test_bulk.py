"""Bulk operations: recorded answers, proofs that must fail, and documents that no order of lines changes."""

import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import AccessDenied, BulkFailed, GarbageAnswer, QueryRefused, ShopifyError, Throttled, Unreachable
from core.shopify.bulk import (
    BulkFile,
    BulkOperation,
    MalformedLine,
    documents,
    download,
    operation_from,
    poll,
    prove,
    submit,
    wait,
)
from core.shopify.client import ShopClient
from core.shopify.queries import CUSTOMER_CONNECTIONS, ORDER_CONNECTIONS, PRODUCT_CONNECTIONS, Connection
from tests.conftest import SHARED, missing

RECORDED = SHARED / "recorded" / "graphql" / "2026-04" / "bulk-operations"
GID = "gid://shopify/BulkOperation/1"
Row = dict[str, Any]

ORDERS: list[Row] = [
    {"id": "gid://shopify/Order/1", "name": "#1"},
    {"id": "gid://shopify/LineItem/11", "originalTotalSet": 1, "__parentId": "gid://shopify/Order/1"},
    {"id": "gid://shopify/LineItem/12", "originalTotalSet": 2, "__parentId": "gid://shopify/Order/1"},
    {"id": "gid://shopify/SalesAgreement/1", "happenedAt": "2026-01-01", "__parentId": "gid://shopify/Order/1"},
    {"id": "gid://shopify/Sale/1", "actionType": "ORDER", "__parentId": "gid://shopify/SalesAgreement/1"},
    {"actionType": "RETURN", "__parentId": "gid://shopify/SalesAgreement/1"},
    {"id": "gid://shopify/Order/2", "name": "#2"},
    {"id": "gid://shopify/SalesAgreement/2", "happenedAt": "2026-01-02", "__parentId": "gid://shopify/Order/2"},
]
ORDER_DOCUMENTS: list[Row] = [
    {
        "id": "gid://shopify/Order/1",
        "name": "#1",
        "lineItems": [
            {"id": "gid://shopify/LineItem/11", "originalTotalSet": 1},
            {"id": "gid://shopify/LineItem/12", "originalTotalSet": 2},
        ],
        "agreements": [
            {
                "id": "gid://shopify/SalesAgreement/1",
                "happenedAt": "2026-01-01",
                "sales": [{"id": "gid://shopify/Sale/1", "actionType": "ORDER"}, {"actionType": "RETURN"}],
            }
        ],
    },
    {
        "id": "gid://shopify/Order/2",
        "name": "#2",
        "lineItems": [],
        "agreements": [{"id": "gid://shopify/SalesAgreement/2", "happenedAt": "2026-01-02", "sales": []}],
    },
]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


def answering(*answers: Any) -> tuple[ShopClient, Time, list[httpx2.Request]]:
    """A client that gets these bodies in turn (JSON, or a ready response), the last one for ever."""
    queue, time, requests = list(answers), Time(), []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        body = queue.pop(0) if len(queue) > 1 else queue[0]
        if callable(body):
            body = body()
        return body if isinstance(body, httpx2.Response) else httpx2.Response(200, json=body)

    client = ShopClient("foo", "t", transport=httpx2.MockTransport(answer), sleep=time.sleep, clock=time.clock)
    return client, time, requests


def recorded(name: str) -> Any:
    if not RECORDED.is_dir():
        missing("the recorded answers")
    return json.loads((RECORDED / name).read_text())


def status(**fields: Any) -> Any:
    known = {"id": GID, "status": "RUNNING", "errorCode": None, "createdAt": "2026-11-20T08:00:00Z"}
    known |= {"completedAt": None, "objectCount": "0", "rootObjectCount": "0", "fileSize": None, "url": None}
    return {"data": {"bulkOperation": known | fields}}


def completed(rows: list[Row] | bytes, **fields: Any) -> BulkOperation:
    """What Shopify says of a file of these rows."""
    content = rows if isinstance(rows, bytes) else jsonl(rows)
    lines = content.splitlines()
    known = {"id": GID, "status": "COMPLETED", "errorCode": None, "createdAt": "2026-11-20T08:00:00Z"}
    known |= {"completedAt": "2026-11-20T08:00:09Z", "objectCount": str(len(lines)), "fileSize": str(len(content))}
    known |= {"rootObjectCount": str(sum(b"__parentId" not in line for line in lines)), "url": "https://s.test/1"}
    return operation_from(known | fields)


def jsonl(rows: list[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@contextmanager
def proven(rows: list[Row] | bytes, **fields: Any) -> Iterator[BulkFile]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "1.jsonl"
        path.write_bytes(rows if isinstance(rows, bytes) else jsonl(rows))
        yield prove(path, completed(rows, **fields))


def read(rows: list[Row] | bytes, connections: tuple[Connection, ...] = ORDER_CONNECTIONS) -> list[Any]:
    with proven(rows) as file:
        return list(documents(file, connections))


def lines_with(line: bytes, at: int, instead: bool = True) -> bytes:
    """The orders with one damaged line."""
    lines = [json.dumps(row).encode() for row in ORDERS]
    lines[at : at + int(instead)] = [line]
    return b"\n".join(lines) + b"\n"


def test_a_started_operation_is_known_by_its_gid() -> None:
    run = recorded("bulk-operation-run-query-concurrency-limit.json")["successfulRuns"][0]
    client, _, requests = answering(run["response"])
    assert submit(client, "{ products { edges { node { id } } } }") == "gid://shopify/BulkOperation/7933223797042"
    sent = json.loads(requests[0].content)
    assert sent["variables"] == {"query": "{ products { edges { node { id } } } }"}
    assert "groupObjects: true" in sent["query"]


def recorded_refusal(text: str) -> Any:
    """The recorded answer whose user error says `text`."""

    def search(value: Any) -> Any:
        if isinstance(value, dict):
            payload = ((value.get("data") or {}).get("bulkOperationRunQuery") or {}) if "data" in value else {}
            if any(text in error["message"] for error in payload.get("userErrors", [])):
                return value
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return next((found for child in children if (found := search(child)) is not None), None)

    for name in ("concurrency-limit", "user-error-codes", "validators"):
        found = search(recorded(f"bulk-operation-run-query-{name}.json"))
        if found is not None:
            return found
    raise AssertionError(text)


def test_the_sixth_operation_waits_for_a_slot() -> None:
    busy = recorded_refusal("already in progress")
    started = recorded("bulk-operation-run-query-concurrency-limit.json")["successfulRuns"][0]["response"]
    client, time, requests = answering(busy, busy, started)
    assert submit(client, "{ x }").startswith("gid://shopify/BulkOperation/")
    assert len(requests) == 3
    assert time.slept_s == [5.0, 10.0]


def test_a_slot_that_never_gets_free_is_told_as_throttled() -> None:
    client, time, _ = answering(recorded_refusal("already in progress"))
    with pytest.raises(Throttled, match="already in progress"):
        submit(client, "{ x }")
    assert max(time.slept_s) <= 60.0
    assert time.now_s <= 15 * 60


@pytest.mark.parametrize("message", ["at least one connection", "'nodes' is not supported", "syntax error"])
def test_a_query_the_bulk_runner_refuses_is_told_in_its_words(message: str) -> None:
    client, _, requests = answering(recorded_refusal(message))
    with pytest.raises(QueryRefused, match=message):
        submit(client, "{ x }")
    assert len(requests) == 1


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"userErrors": []},
        {"userErrors": [], "bulkOperation": None},
        {"userErrors": [3]},
        {"userErrors": [{}]},
    ],
)
def test_an_unclear_start_is_garbage(payload: Any) -> None:
    client, _, _ = answering({"data": {"bulkOperationRunQuery": payload}})
    with pytest.raises(GarbageAnswer):
        submit(client, "{ x }")


def test_recorded_counts_come_as_text_and_are_read_as_numbers() -> None:
    run = recorded("bulk-operation-run-query-group-objects.json")["runs"]["runQueryGroupObjectsTrue"]
    client, _, _ = answering(*(one["response"] for one in run["statusPolls"]))
    states = []
    operation = wait(client, run["id"], on_poll=lambda seen: states.append((seen.status, seen.object_count)))
    assert states == [("CREATED", 0), ("COMPLETED", 1456)]
    assert (operation.object_count, operation.root_object_count, operation.file_size) == (1456, 1456, 115969)
    assert operation.url is not None


def test_every_recorded_operation_can_be_read() -> None:
    fields = {"id", "status", "errorCode", "objectCount", "rootObjectCount", "fileSize", "url", "createdAt"}
    found: list[Row] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if value.keys() >= fields | {"completedAt"}:
                found.append(value)
            value = list(value.values())
        if isinstance(value, list):
            for child in value:
                collect(child)

    for name in ("concurrency-limit", "group-objects"):
        collect(recorded(f"bulk-operation-run-query-{name}.json"))
    collect(recorded("bulk-operation-cold-catalog-hydration.json"))
    assert len(found) > 5
    for one in map(operation_from, found):
        assert one.object_count >= one.root_object_count >= 0
        assert one.id.startswith("gid://shopify/BulkOperation/")


def test_a_recorded_result_is_proven_and_read() -> None:
    run = recorded("bulk-operation-cold-catalog-hydration.json")["run"]
    operation = operation_from(run["terminalOperation"])
    client, _, _ = answering(httpx2.Response(200, content=run["result"]["body"].encode()))
    with TemporaryDirectory() as folder:
        file = download(client, operation, Path(folder))
        assert (file.lines, file.bytes, file.grouped) == (1, 95, True)
        (product,) = documents(file, PRODUCT_CONNECTIONS)
    assert product == run["result"]["records"][0] | {"variants": []}


def test_an_unknown_operation_is_not_an_empty_one() -> None:
    client, _, _ = answering({"data": {"bulkOperation": None}})
    with pytest.raises(BulkFailed, match="does not know"):
        poll(client, GID)


@pytest.mark.parametrize("fields", [{"objectCount": "many"}, {"objectCount": None}, {"fileSize": "much"}])
def test_a_status_that_makes_no_sense_is_garbage(fields: Row) -> None:
    client, _, _ = answering(status(**fields))
    with pytest.raises(GarbageAnswer):
        poll(client, GID)


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"status": "FAILED", "errorCode": "ACCESS_DENIED"}, AccessDenied, "Grant the access"),
        ({"status": "FAILED", "errorCode": "TIMEOUT"}, BulkFailed, "TIMEOUT"),
        ({"status": "FAILED", "errorCode": "INTERNAL_SERVER_ERROR"}, BulkFailed, "INTERNAL_SERVER_ERROR"),
        ({"status": "CANCELED"}, BulkFailed, "CANCELED"),
        ({"status": "EXPIRED"}, BulkFailed, "EXPIRED"),
    ],
)
def test_an_operation_that_ends_badly_is_told_never_read_as_empty(
    fields: Row, kind: type[ShopifyError], message: str
) -> None:
    client, _, _ = answering(status(), status(status="CANCELING"), status(**fields))
    with pytest.raises(kind, match=message) as raised:
        wait(client, GID)
    assert type(raised.value) is kind


def test_polls_come_often_at_first_and_every_ten_seconds_later() -> None:
    client, time, _ = answering(*[status()] * 20, status(status="COMPLETED"))
    wait(client, GID)
    assert time.slept_s[0] == 0.1
    assert time.slept_s == sorted(time.slept_s)
    assert time.slept_s[-1] == 10.0


def test_waiting_ends_at_the_deadline() -> None:
    client, time, _ = answering(status())
    with pytest.raises(BulkFailed, match="still RUNNING"):
        wait(client, GID, deadline_s=60.0)
    assert time.now_s <= 60.0


def test_what_is_heard_while_polling_can_stop_the_wait() -> None:
    def stop(_: BulkOperation) -> None:
        raise KeyboardInterrupt

    client, _, _ = answering(status())
    with pytest.raises(KeyboardInterrupt):
        wait(client, GID, on_poll=stop)


def test_a_file_is_downloaded_with_progress(tmp_path: Path) -> None:
    client, _, _ = answering(httpx2.Response(200, content=jsonl(ORDERS)))
    heard: list[int] = []
    file = download(client, completed(ORDERS), tmp_path, on_bytes=heard.append)
    assert file.path.parent == tmp_path
    assert (file.lines, file.grouped) == (len(ORDERS), True)
    assert heard[-1] == file.bytes == len(jsonl(ORDERS))


def test_a_download_that_breaks_off_starts_anew(tmp_path: Path) -> None:
    def broken() -> httpx2.Response:
        def content() -> Iterator[bytes]:
            yield jsonl(ORDERS)[:100]
            raise httpx2.ReadError("reset")

        return httpx2.Response(200, content=content())

    client, _, _ = answering(broken, httpx2.Response(503), httpx2.Response(200, content=jsonl(ORDERS)))
    assert download(client, completed(ORDERS), tmp_path).lines == len(ORDERS)
    client, _, requests = answering(broken)
    with pytest.raises(Unreachable):
        download(client, completed(ORDERS), tmp_path)
    assert len(requests) == 4


def test_no_objects_need_no_address(tmp_path: Path) -> None:
    client, _, requests = answering(None)
    file = download(client, completed([], url=None, fileSize=None), tmp_path)
    assert (file.lines, list(documents(file, ORDER_CONNECTIONS)), requests) == (0, [], [])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"status": "RUNNING"}, "not completed"),
        ({"status": "FAILED"}, "not completed"),
        ({"errorCode": "TIMEOUT"}, "not completed"),
        ({"url": None}, "no result"),
        ({"objectCount": "9"}, "8 lines, Shopify announced 9"),
        ({"objectCount": "7"}, "8 lines, Shopify announced 7"),
        ({"rootObjectCount": "3"}, "2 objects, Shopify announced 3"),
        ({"rootObjectCount": "1"}, "2 objects, Shopify announced 1"),
        ({"fileSize": "1"}, "bytes, Shopify announced 1"),
        ({"objectCount": "0", "rootObjectCount": "0"}, "8 lines, Shopify announced 0"),
    ],
)
def test_a_file_that_differs_from_the_announcement_does_not_count(tmp_path: Path, fields: Row, message: str) -> None:
    client, _, _ = answering(httpx2.Response(200, content=jsonl(ORDERS)))
    with pytest.raises(BulkFailed, match=message):
        download(client, completed(ORDERS, **fields), tmp_path)


def test_no_cut_of_a_file_counts_as_the_whole(tmp_path: Path) -> None:
    content = jsonl(ORDERS)
    whole = completed(content, fileSize=None)
    for size in range(len(content) - 1):  # without its very last newline it is still whole
        path = tmp_path / "cut.jsonl"
        path.write_bytes(content[:size])
        with pytest.raises(BulkFailed):
            prove(path, whole)


def test_a_missing_newline_at_the_end_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    path.write_bytes(jsonl(ORDERS)[:-1])
    assert list(documents(prove(path, completed(ORDERS, fileSize=None)), ORDER_CONNECTIONS)) == ORDER_DOCUMENTS


def test_children_become_lists_under_the_names_of_their_connections() -> None:
    with proven(ORDERS) as file:
        assert file.grouped
        assert list(documents(file, ORDER_CONNECTIONS)) == ORDER_DOCUMENTS


def test_products_hold_variants_and_customers_nothing() -> None:
    product = {"id": "gid://shopify/Product/1", "title": "Mug"}
    variant = {"id": "gid://shopify/ProductVariant/1", "sku": None}
    assert read([product, variant | {"__parentId": product["id"]}], PRODUCT_CONNECTIONS) == [
        product | {"variants": [variant]}
    ]
    assert read([{"id": "gid://shopify/Customer/1"}], CUSTOMER_CONNECTIONS) == [{"id": "gid://shopify/Customer/1"}]


def test_a_child_before_its_parent_and_far_from_it_is_found() -> None:
    with proven(ORDERS[::-1]) as file:
        assert not file.grouped
        found = list(documents(file, ORDER_CONNECTIONS))
    assert by_id(found) == by_id(ORDER_DOCUMENTS)


def test_a_file_can_be_read_twice() -> None:
    with proven(ORDERS[::-1]) as file:
        assert list(documents(file, ORDER_CONNECTIONS)) == list(documents(file, ORDER_CONNECTIONS))


@pytest.mark.parametrize("at", [0, 3, 8])
def test_a_child_of_nobody_fails_the_file(at: int) -> None:
    stray = {"id": "gid://shopify/Sale/9", "actionType": "ORDER", "__parentId": "gid://shopify/SalesAgreement/9"}
    with pytest.raises(BulkFailed, match="1 lines of the result belong to no object"):
        read([*ORDERS[:at], stray, *ORDERS[at:]])


def test_two_lines_that_name_each_other_fail_the_file() -> None:
    circle = [{"id": one, "actionType": "ORDER", "__parentId": other} for one, other in (("a", "b"), ("b", "a"))]
    with pytest.raises(BulkFailed, match="2 lines of the result belong to no object"):
        read([*ORDERS, *circle])


def test_of_two_lines_of_one_object_the_last_counts() -> None:
    newer = [row | ({"name": "#1 newer"} if "name" in row else {}) for row in ORDERS[:6]]
    found = read([*ORDERS, *newer[:5]])  # the sale without an id cannot be told from another one
    assert by_id(found) == by_id([ORDER_DOCUMENTS[0] | {"name": "#1 newer"}, ORDER_DOCUMENTS[1]])


def test_a_child_that_comes_twice_counts_once() -> None:
    assert read([*ORDERS[:5], ORDERS[2], ORDERS[4], *ORDERS[5:]]) == ORDER_DOCUMENTS


def test_a_circle_below_an_object_comes_to_an_end() -> None:
    rows = [
        {"id": "gid://shopify/Order/1"},
        {"id": "a", "happenedAt": "2026-01-01", "__parentId": "gid://shopify/Order/1"},
        {"id": "b", "actionType": "ORDER", "__parentId": "a"},
        {"id": "a", "happenedAt": "2026-01-01", "__parentId": "b"},
    ]
    found = read(rows)
    assert {one["id"] for one in found if isinstance(one, dict)} == {"gid://shopify/Order/1"}
    assert any(isinstance(one, MalformedLine) for one in found)


@pytest.mark.parametrize("step", [1, -1], ids=["grouped", "ungrouped"])
def test_memory_does_not_grow_with_the_file(step: int) -> None:
    def peak_bytes(orders: int) -> int:
        rows = [
            row | {key: f"{row[key]}-{number}" for key in ("id", "__parentId") if key in row}
            for number in range(orders)
            for row in ORDERS
        ][::step]
        with TemporaryDirectory() as folder:
            path = Path(folder) / "1.jsonl"
            path.write_bytes(jsonl(rows))
            operation = completed(rows)
            del rows
            tracemalloc.start()
            try:
                assert sum(1 for _ in documents(prove(path, operation), ORDER_CONNECTIONS)) == 2 * orders
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert peak_bytes(4000) < 2 * peak_bytes(200)


@pytest.mark.parametrize("line", [b"", b"{", b"garbage", b"\xff\xfe", b"[1]", b"3", b'{"id": 7}', b"{}", b"[" * 5000])
@pytest.mark.parametrize("at", range(9))
def test_a_damaged_line_takes_nothing_else_with_it(line: bytes, at: int) -> None:
    found = read(lines_with(line, at, instead=False))
    (malformed,) = [one for one in found if isinstance(one, MalformedLine)]
    assert malformed.line_number == at + 1
    assert malformed.sha256
    assert [one for one in found if one is not malformed] == ORDER_DOCUMENTS


def test_a_damaged_child_is_told_before_the_order_that_lacks_it() -> None:
    malformed, lacking, whole = read(lines_with(b'{"id": "gid:\\/\\/shopify\\/LineItem\\/12", "orig', 2))
    assert (malformed.line_number, malformed.hangs_on) == (3, "gid://shopify/Order/1")
    assert [line["id"] for line in lacking["lineItems"]] == ["gid://shopify/LineItem/11"]
    assert whole == ORDER_DOCUMENTS[1]


def test_a_damaged_child_is_told_before_its_order_in_any_order_of_lines() -> None:
    damaged = b'{"id": "gid:\\/\\/shopify\\/LineItem\\/12", "ori\xffg": , "__parentId":"gid:\\/\\/shopify\\/Order\\/1"}'
    content = b"\n".join(reversed(lines_with(damaged, 2).splitlines())) + b"\n"
    found = read(content)
    (malformed,) = [one for one in found if isinstance(one, MalformedLine)]
    assert malformed.hangs_on == "gid://shopify/Order/1"
    follower = found[found.index(malformed) + 1]
    assert follower["id"] == "gid://shopify/Order/1"


def test_the_children_of_a_damaged_order_are_set_aside_with_it() -> None:
    found = read(lines_with(b'{"id": "gid://shopify/Order/2", "na', 6))
    first, second, document = sorted(found, key=lambda one: isinstance(one, dict))
    assert document == ORDER_DOCUMENTS[0]
    assert [(one.line_number, one.hangs_on) for one in (first, second)] == [
        (7, "gid://shopify/Order/2"),
        (8, "gid://shopify/Order/2"),
    ]


def test_a_row_of_no_known_connection_is_set_aside() -> None:
    odd = {"id": "gid://shopify/Fulfillment/1", "trackingNumber": "1", "__parentId": "gid://shopify/Order/2"}
    found = read([*ORDERS, odd])
    (malformed,) = [one for one in found if isinstance(one, MalformedLine)]
    assert (malformed.line_number, malformed.hangs_on) == (9, "gid://shopify/Order/2")
    assert [one for one in found if isinstance(one, dict)] == ORDER_DOCUMENTS


def test_a_damaged_line_does_not_excuse_a_missing_one() -> None:
    content = lines_with(b"garbage", 2)
    with pytest.raises(BulkFailed, match="8 lines, Shopify announced 9"), proven(content, objectCount="9"):
        pass


def by_id(found: list[Any]) -> dict[str, Any]:
    """Documents without regard to order; children neither, for their connection's order is its lines' order."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return sorted((plain(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
        return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value

    assert len({one["id"] for one in found}) == len(found)
    return {one["id"]: plain(one) for one in found}


@st.composite
def grouped_orders(draw: Callable[..., Any]) -> list[Row]:
    rows: list[Row] = []
    for order in range(draw(st.integers(0, 6))):
        order_id = f"gid://shopify/Order/{order}"
        rows.append({"id": order_id, "name": draw(st.text(max_size=3))})
        for line in range(draw(st.integers(0, 3))):
            rows.append({"id": f"gid://shopify/LineItem/{order}{line}", "originalTotalSet": 1, "__parentId": order_id})
        for agreement in range(draw(st.integers(0, 2))):
            agreement_id = f"gid://shopify/SalesAgreement/{order}{agreement}"
            rows.append({"id": agreement_id, "happenedAt": "2026-01-01", "__parentId": order_id})
            for sale in range(draw(st.integers(0, 3))):
                named = {"id": f"gid://shopify/Sale/{order}{agreement}{sale}"} if draw(st.booleans()) else {}
                rows.append(named | {"actionType": f"S{sale}", "__parentId": agreement_id})
    return rows


@settings(deadline=None)
@given(grouped_orders(), st.randoms(use_true_random=False))
def test_no_order_of_lines_changes_the_documents(rows: list[Row], chance: random.Random) -> None:
    with proven(rows) as file:
        assert file.grouped
    shuffled = chance.sample(rows, len(rows))
    assert by_id(read(shuffled)) == by_id(read(rows))


@settings(deadline=None)
@given(grouped_orders(), st.randoms(use_true_random=False))
def test_parents_before_children_far_apart_give_the_same_documents(rows: list[Row], chance: random.Random) -> None:
    depth = {row.get("id"): 0 if "__parentId" not in row else 1 for row in rows}
    levels: list[list[Row]] = [[], [], []]
    for row in rows:
        levels[0 if "__parentId" not in row else 1 + depth[row["__parentId"]]].append(row)
    apart = [row for level in levels for row in chance.sample(level, len(level))]
    assert by_id(read(apart)) == by_id(read(rows))


@settings(deadline=None)
@given(grouped_orders(), st.data())
def test_no_lost_line_goes_unnoticed(rows: list[Row], data: st.DataObject) -> None:
    if not rows:
        return
    lost = data.draw(st.integers(0, len(rows) - 1))
    whole = completed(rows, fileSize=None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "1.jsonl"
        path.write_bytes(jsonl(rows[:lost] + rows[lost + 1 :]))
        with pytest.raises(BulkFailed):
            prove(path, whole)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b" ")), max_size=8), st.integers(0, 8))
def test_any_bytes_between_the_lines_leave_the_documents_alone(junk: list[bytes], at: int) -> None:
    lines = jsonl(ORDERS).splitlines()
    lines[at:at] = junk
    content = b"".join(line + b"\n" for line in lines)
    counts = {"objectCount": str(len(lines)), "rootObjectCount": str(2 + len(junk))}
    with proven(content, **counts) as file:
        found = list(documents(file, ORDER_CONNECTIONS))
    assert [one for one in found if isinstance(one, dict)] == ORDER_DOCUMENTS
    assert sum(isinstance(one, MalformedLine) for one in found) == len(junk)
