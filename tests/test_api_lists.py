"""Lists page by page and whole tables as Parquet: every row once, whatever happens meanwhile, on both databases."""

import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.__main__ import main
from core.analytics.frames_tables import TABLES
from core.db.engine import shop_session, system_session
from core.db.models import Customer, Order, Shop, SyncRun, SyncState
from core.db.privacy import forget_old
from core.reports import parquet
from core.sync.deletes import soft_delete
from core.sync.resources.resource import ShopContext
from core.web import api_door
from core.web.api_door import Limiter
from tests import factories as make
from tests.api_shop import ALICE, CHARLIE, NOON, client, data, fill

TODAY = NOON.date()


@pytest.fixture(autouse=True)
def shop(database: Engine, monkeypatch: pytest.MonkeyPatch) -> ShopContext:
    """Alice's shop with orders, beside Charlie's with the same ids."""
    monkeypatch.setattr(api_door, "LIMITER", Limiter(most=100_000))
    made = make.add_shop(1, time_zone="UTC", personal_data=True)
    make.add_user(ALICE, "alice@example.com", 1)
    make.add_user(CHARLIE, "charlie@example.com", 2 if make.add_shop(2, time_zone="UTC") else 0)
    fill(made, orders=30)
    fill(make.context(2, time_zone="UTC"), orders=4, seed=2)
    return made


def pages(asking: Any, path: str, limit: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of every page, by the Link to the next, which has the cursor of the body."""
    query = f"{path}&limit={limit}"
    while True:
        answer = asking.get(query)
        yield data(answer)
        after = answer.json()["next"]
        assert ("link" in answer.headers) is (after is not None)
        if after is None:
            return
        linked = re.fullmatch(r'<(\?.+)>; rel="next"', answer.headers["link"])
        assert linked is not None and linked[1].endswith(f"&cursor={after}")
        query = path.partition("?")[0] + linked[1]


def test_pages_of_orders_hold_every_order_once_by_day():
    asking = client(ALICE)
    with shop_session(1) as session:
        names = {order.id: (order.name, order.day.isoformat()) for order in session.exec(select(Order))}
    for limit in (2, 7, 30, 500):
        found = [row for page in pages(asking, "orders?period=all", limit) for row in page]
        assert [(row["day"], row["id"]) for row in found] == sorted((row["day"], row["id"]) for row in found)
        assert len(found) == 30 and {row["id"]: (row["name"], row["day"]) for row in found} == names


def test_orders_that_arrive_meanwhile_shift_no_page(shop):
    seen: list[int] = []
    for number, page in enumerate(pages(client(ALICE), "orders?period=365d", 4)):
        seen += [row["id"] for row in page]
        days = (NOON - timedelta(days=199), NOON - timedelta(days=100), NOON)  # before, about and after the cursor
        new = [make.order(1000 + 10 * number + n, at, customer=1) for n, at in enumerate(days)]
        if number < 5:
            make.store_orders(shop, *new)
    assert len(seen) == len(set(seen))
    assert set(range(1, 31)) <= set(seen)


def test_orders_without_meaning_for_sales_are_not_listed(shop):
    make.store_orders(shop, make.order(500, NOON, test=True))
    with shop_session(1, write=True) as session:
        soft_delete(session, "orders", [1, 2], NOON)
    found = [row["id"] for page in pages(client(ALICE), "orders?period=all", 10) for row in page]
    assert sorted(found) == list(range(3, 31))
    for gone in (1, 500, 99_999, 2**63 - 1):
        assert client(ALICE).get(f"orders/{gone}").status_code == 404


def test_pages_of_customers_and_products_hold_each_once(shop):
    asking, seen = client(ALICE), []
    for number, page in enumerate(pages(asking, "customers?", 3)):
        seen += [row["buyer_id"] for row in page]
        if number == 1:
            make.store_orders(shop, make.order(600, NOON, customer=None, email="late@example.com"))
            make.store_orders(shop, make.order(601, NOON, customer=77))
    assert seen == sorted(set(seen)) and 77 in seen and min(seen) < 0
    whole = data(asking.get("customers?limit=500"))
    assert sum(row["orders"] for row in whole) == 32
    products = [row for page in pages(asking, "products?period=all", 2) for row in page]
    assert [(row["id"], row["title"]) for row in products] == [(1, "Mug"), (2, "=SUM(A1)"), (3, "Tent")]


def test_one_order_has_its_lines_and_its_whole_ledger(shop):
    make.store_orders(
        shop,
        make.order(
            700, NOON, make.agreement(NOON, make.sale("11.00", tax="1.00", line_item=700)),
            lines=[make.line_item(700, title="Bowl", total="11.0")], currentTotalPriceSet=make.bag("11.00"), customer=1,
        ),
    )  # fmt: skip
    found = client(ALICE).get("orders/700").json()
    assert (found["name"], found["current_total"], found["customer_name"]) == ("#700", "11.00", "Customer 1")
    assert [(line["title"], line["quantity"]) for line in found["lines"]] == [("Bowl", 1)]
    (row,) = found["ledger"]
    assert (row["measure"], row["total_amount"], row["tax_amount"]) == ("gross_sales", "11.00", "1.00")


def read_file(content: bytes) -> list[dict[str, Any]]:
    return pq.read_table(io.BytesIO(content)).to_pylist()


def stored(table: str, *hidden: str) -> list[dict[str, Any]]:
    """The rows of Alice's table as the database has them."""
    of = TABLES[table]
    with shop_session(1) as session:
        rows = session.exec(select(of.model)).all()
    return [{name: None if name in hidden else getattr(row, name) for name in of.columns} for row in rows]


def by_content(rows: list[dict[str, Any]]) -> list[str]:
    """Rows that can be compared: a moment is the same with any name of its zone, and the order does not matter."""
    return sorted(
        repr(sorted((name, cell.timestamp() if isinstance(cell, datetime) else cell) for name, cell in row.items()))
        for row in rows
    )


def test_whole_tables_are_those_of_the_database(monkeypatch):
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 7)  # more than one piece
    asking = client(ALICE)
    with shop_session(1, write=True) as session:
        soft_delete(session, "orders", [3], NOON)
    for table in TABLES:
        answer = asking.get(f"export/{table}")
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"
        assert answer.headers["content-disposition"] == f'attachment; filename="{table}.parquet"'
        found, ours = read_file(answer.content), stored(table)
        assert by_content(found) == by_content(ours) and len(found) == int(answer.headers["x-row-count"])
        assert not {"shop_id", "fingerprint"} & set(pq.read_schema(io.BytesIO(answer.content)).names)
    schema = pq.read_schema(io.BytesIO(asking.get("export/sales").content))
    types = [str(schema.field(name).type) for name in ("total_amount", "day", "happened_at")]
    assert types == ["int64", "date32[day]", "timestamp[us, tz=UTC]"]
    assert {row["id"] for row in read_file(asking.get("export/orders").content) if row["deleted_at"]} == {3}


def test_an_empty_table_is_a_file_with_its_columns():
    answer = client(ALICE).get("export/variants")
    assert answer.headers["x-row-count"] == "0"
    assert set(pq.read_schema(io.BytesIO(answer.content)).names) == set(TABLES["variants"].columns)


def test_customers_of_a_store_without_personal_data_have_no_names():
    assert any(row["email"] for row in read_file(client(ALICE).get("export/customers").content))
    with system_session(write=True) as session:
        session.get_one(Shop, 1).personal_data = False
    found = read_file(client(ALICE).get("export/customers").content)
    assert by_content(found) == by_content(stored("customers", "name", "email")) and found


def test_what_changed_since_is_all_that_changed(shop):
    asking, moment = client(ALICE), NOON + timedelta(hours=1)
    later = moment + timedelta(minutes=5)
    make.store_orders(shop, make.order(4, NOON, make.agreement(NOON, make.sale("1.00")), updated_at=later))
    with shop_session(1, write=True) as session:
        soft_delete(session, "orders", [5], later)
        customers = {row.id: row for row in session.exec(select(Customer))}
        customers[1].updated_at, customers[2].redacted_at, customers[3].updated_at = later, later, None
        session.add_all(customers.values())
    since = {"since": moment.isoformat()}

    def changed(table: str, name: str = "order_id") -> set[int]:
        return {row[name] for row in read_file(asking.get(f"export/{table}", params=since).content)}

    assert changed("orders", "id") == {4, 5}
    assert changed("sales") == changed("line_items") == {4, 5}
    assert changed("customers", "id") == {1, 2, 3}
    assert changed("products", "id") == set()
    assert len(read_file(asking.get("export/daily_sales", params=since).content)) == len(stored("daily_sales"))
    # A moment without its zone is one of UTC.
    plain = {"since": later.replace(tzinfo=None).isoformat()}
    assert len(read_file(asking.get("export/orders", params=plain).content)) == 2
    after = {"since": (later + timedelta(microseconds=1)).isoformat()}
    assert read_file(asking.get("export/orders", params=after).content) == []


def test_customers_forgotten_by_age_are_among_what_changed():
    asking, moment = client(ALICE), datetime.now(UTC)
    with system_session(write=True) as session:
        session.get_one(Shop, 1).keep_personal_days = 30
    with shop_session(1, write=True) as session:
        for row in session.exec(select(Customer)):
            row.updated_at, row.name = moment - timedelta(days=40 if row.id == 2 else 20), "Ann"
            session.add(row)
    since = {"since": (moment - timedelta(hours=1)).isoformat()}
    assert read_file(asking.get("export/customers", params=since).content) == []
    forget_old(moment)
    rows = read_file(asking.get("export/customers", params=since).content)
    assert [(row["id"], row["name"], row["email"], row["forgotten_at"]) for row in rows] == [(2, None, None, moment)]


def test_a_file_tells_from_when_on_to_ask_next():
    asking = client(ALICE)
    assert "x-next-since" not in asking.get("export/orders").headers  # never synced
    with system_session(write=True) as session:
        for stream, hours in (("orders", 3), ("deletes", 5), ("products", 1)):
            state = session.exec(select(SyncState).where(SyncState.shop_id == 1, SyncState.stream == stream)).one()
            state.synced_until = NOON - timedelta(hours=hours)
    told = {table: asking.get(f"export/{table}").headers.get("x-next-since") for table in ("sales", "variants")}
    assert told == dict.fromkeys(told, (NOON - timedelta(hours=6)).isoformat())
    assert asking.get("export/sales", params={"since": told["sales"]}).status_code == 200


def test_runs_are_told_the_newest_first():
    with system_session(write=True) as session:
        for number in (1, 2, 3):
            session.add(SyncRun(shop_id=1, trigger="button", outcome="ok", started_at=NOON, updated_at=NOON,
                                counts={"orders": {"read": number}}))  # fmt: skip
    rows = data(client(ALICE).get("sync/runs?limit=2"))
    assert [row["counts"]["orders"]["read"] for row in rows] == [3, 2]
    assert data(client(CHARLIE, 2).get("sync/runs")) == []


def test_the_command_line_writes_the_same_file(tmp_path, capfdbinary):
    path = tmp_path / "orders.parquet"
    words = ["export", "--shop", "shop-1.myshopify.com", "--table", "orders"]
    assert main([*words, "--to", str(path)]) == 0
    assert by_content(pq.read_table(path).to_pylist()) == by_content(stored("orders"))
    assert [each.name for each in tmp_path.iterdir() if "orders" in each.name] == ["orders.parquet"]
    capfdbinary.readouterr()
    future = datetime.combine(date(2100, 1, 1), datetime.min.time(), UTC).isoformat()
    assert main([*words, "--since", future, "--to", "-"]) == 0
    out, said = capfdbinary.readouterr()
    assert read_file(out) == [] and said.endswith(b"0 rows of orders.\n")
    assert main([*words, "--to", str(tmp_path / "nowhere" / "x")]) == 1
    assert b"Choose another file with --to" in capfdbinary.readouterr().err
    for wrong in ("yesterday", "0001-01-01T00:00:00+14:00"):
        with pytest.raises(SystemExit):
            main([*words, "--since", wrong, "--to", "-"])


def test_a_file_that_was_there_stays_whole_until_the_new_one_is(tmp_path, monkeypatch):
    path = tmp_path / "orders.parquet"
    path.write_bytes(b"before")

    def broken(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet, "write", broken)
    assert main(["export", "--shop", "shop-1.myshopify.com", "--table", "orders", "--to", str(path)]) == 1
    assert path.read_bytes() == b"before"
    assert [each for each in tmp_path.iterdir() if each.name.startswith(".orders")] == []
