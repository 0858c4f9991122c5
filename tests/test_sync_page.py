"""The Sync page: how each kind of data stands, what a past run did, what was set aside, and a refused token."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from core.auth import roles
from core.db.engine import shop_session, system_session
from core.db.migrate import migrate
from core.db.models import QuarantinedRow, Shop, SyncState
from core.errors import AccessDenied
from core.sync import engine, jobs, lease
from core.sync.jobs import StreamStatus, quarantined, run_history, sync_status
from core.sync.streams import NAMES, STREAMS
from core.ui import sync_tables
from tests.demo_sync import ALICE as SHOP
from tests.demo_sync import Asked, Stage, add_demo_shops, changed_body, stage_demo, sync
from tests.factories import add_user
from tests.test_pages import (
    ALICE,
    ALICES,
    ANALYTICS,
    CHARLIE,
    CHARLIES,
    add_cast,
    add_run,
    open_page,
    synced,
    words,
)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_demo(monkeypatch)


def set_state(stream: str = "orders", **columns: Any) -> None:
    """Change a stream's row of the queue."""
    with system_session(write=True) as session:
        row = session.exec(select(SyncState).where(SyncState.shop_id == 1, SyncState.stream == stream)).one()
        for name, value in columns.items():
            setattr(row, name, value)


def streams_shown(at: AppTest) -> dict[str, Any]:
    """The Orders row of the table of streams."""
    frame = next(table.value for table in at.dataframe if "State" in table.value.columns)
    return dict(frame.set_index("Data").loc["Orders"])


NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=1)  # read once, and a slow machine takes its time until a test comes
STATES: list[tuple[dict[str, Any], str]] = [
    ({}, "Up to date"),
    ({"lease_until": LATER}, "Running"),
    ({"problem": "Orders: Shopify withheld order.note."}, "Some fields withheld"),
    ({"problem": "The access token lacks read_orders.", "error_class": AccessDenied.__name__}, "Blocked: a permission"),
    ({"problem": "503", "failures": 2, "due_at": LATER}, "Retrying at "),
    ({"problem": "404", "failures": 2, "due_at": None}, "Failed: sync again"),
    ({"every_s": 0}, "Only when asked"),
    ({"succeeded_at": None}, "Not synced yet"),
]


@pytest.mark.parametrize("columns, said", STATES, ids=[said for _, said in STATES])
def test_each_state_of_a_stream_is_said_in_words(database: Engine, columns: dict[str, Any], said: str):
    add_cast()
    set_state(**columns)
    at = open_page("sync.py", ALICE)
    row = streams_shown(at)
    assert row["State"].startswith(said)
    assert not columns.get("problem") or row["Problem"] == columns["problem"]


def test_a_retry_is_told_on_the_stores_clock():
    due = datetime(2026, 11, 20, 17, 5, tzinfo=UTC)
    row = StreamStatus("orders", "Orders", None, due, 1, "503", state="retrying")
    assert sync_tables.state(row, "America/New_York") == "Retrying at 12:05"


def test_lag_is_the_time_since_the_last_success_and_coverage_how_far_back(database: Engine):
    add_cast()
    set_state(
        succeeded_at=datetime.now(UTC) - timedelta(hours=2, minutes=4), history_from=datetime(2026, 9, 1, tzinfo=UTC)
    )
    row = streams_shown(open_page("sync.py", ALICE))
    assert row["Lag"].startswith("2 h 4 min")
    assert row["Goes back to"].date().isoformat() == "2026-08-31"  # on the store's clock


@pytest.mark.parametrize("page", [*ANALYTICS, "sync.py"])
def test_a_refused_token_is_said_on_every_page_of_the_store_and_nothing_can_be_asked(database: Engine, page: str):
    add_cast()
    with system_session(write=True) as session:
        session.get_one(Shop, 1).reauth_since = datetime.now(UTC)
    at = open_page(page, ALICE)
    assert "Shopify no longer accepts the access token" in words(at)
    if page == "sync.py":
        assert at.button(key="sync_now").disabled and at.button(key="full_refresh").disabled
        assert streams_shown(at)["State"] == "Needs a new access token"
    charlie = open_page(page, 3)
    assert "no longer accepts" not in words(charlie)


def test_a_chosen_run_is_told_in_full(database: Engine, monkeypatch: pytest.MonkeyPatch):
    add_cast()
    add_run(1, "ok")
    add_run(
        1, "failed", problem="503", error_class="ServerFault", requests=1234, cost=567, bytes=98_700,
        counts={"orders": {"read": 7, "inserted": 1, "deleted": 2}},
        windows={"orders": ["2026-11-20T10:00:00+00:00", "2026-11-20T12:00:00+00:00"], "products": [None, None]},
    )  # fmt: skip
    add_run(1, "ok")
    assert "1,234" not in words_of_tables(open_page("sync.py", ALICE))
    draw = sync_tables.runs
    monkeypatch.setattr(sync_tables, "runs", lambda history, zone: draw(history, zone) or history[1])
    told = words_of_tables(open_page("sync.py", ALICE))
    for part in ("1,234", "567", "99 kB", "ServerFault", "503", "Schedule", "Products: everything",
                 "Orders: changes since 05:00, 20 Nov (New York) up to 07:00, 20 Nov (New York)"):  # fmt: skip
        assert part in told
    assert "Deleted" in told


def words_of_tables(at: AppTest) -> str:
    """What the page's tables hold, without Markdown's escapes."""
    frames = [*(table.value for table in at.dataframe), *(table.value for table in at.table)]
    return " | ".join(frame.to_csv() for frame in frames).replace("\\", "")


def test_a_row_that_does_not_exist_is_not_opened(database: Engine, monkeypatch: pytest.MonkeyPatch):
    class Event:
        class selection:
            rows = [99, -3]

    monkeypatch.setattr(sync_tables.st, "dataframe", lambda *_, **__: Event)
    add_cast()
    add_run(1, "ok")
    assert sync_tables.runs(run_history(1), "UTC") is None


def test_what_was_set_aside_is_counted_and_listed(database: Engine):
    add_cast()
    assert "Set aside:" not in words(open_page("sync.py", ALICE))
    with shop_session(1, write=True) as session:
        for number in range(3):
            session.add(
                QuarantinedRow(
                    shop_id=1, key=f"gid://shopify/Order/{number}", stream="orders" if number else "products",
                    reason="money is no number", payload_hash="x", seen_at=NOW,
                )
            )  # fmt: skip
    counts, rows = quarantined(1)
    assert counts == {"orders": 2, "products": 1} and len(rows) == 3
    at = open_page("sync.py", ALICE)
    assert any(each.label == "Set aside: 2 orders, 1 products" for each in at.expander)
    assert "gid://shopify/Order/2" in words_of_tables(at) and "money is no number" in words_of_tables(at)
    assert quarantined(2) == ({}, [])


def test_a_run_counts_requests_points_bytes_and_windows(database: Engine, stage: Stage):
    add_demo_shops()
    first = sync()
    assert first.trigger == "command line"
    posts = [asked for asked in stage.asked if asked.query]
    assert first.requests == len(posts) > 0 and first.bytes > 10_000
    assert first.windows["orders"][0] is None and first.windows["orders"][1] is not None
    charged: list[int] = []

    def charge(asked: Asked, response: httpx2.Response) -> httpx2.Response:
        if not asked.query:
            return response  # a file, for which nothing is charged
        return changed_body(response, lambda body: charged.append(body["extensions"]["cost"]["actualQueryCost"]))

    stage.after = charge
    second = sync()
    assert second.cost == sum(charged) > 0 and second.requests == len(charged)
    assert second.windows["orders"][0] == first.windows["orders"][1]
    assert (first.error_class, second.error_class) == (None, None)


def test_who_asked_is_what_triggered_the_run_and_the_next_one_is_the_schedules(database: Engine, stage: Stage):
    add_demo_shops()
    add_user(ALICE, "alice@example.com", SHOP)
    for asked_by, trigger in (("button", "button"), (None, "worker")):
        jobs.request_sync(SHOP, asked_by=asked_by)
        claim = lease.claim()
        assert claim is not None
        engine.run_claim(claim, trigger="worker")
        assert run_history(SHOP)[0].trigger == trigger


def test_the_button_is_written_into_the_history(database: Engine):
    add_cast()
    synced(1, datetime.now(UTC))
    open_page("sync.py", ALICE).button(key="sync_now").click().run()
    with system_session() as session:
        assert "button" in session.exec(select(SyncState.asked_by).where(SyncState.shop_id == 1)).all()
    assert sync_status(1).requested


def kept(shop_id: int) -> list[dict[str, Any]]:
    """A shop's rows of the queue."""
    with system_session() as session:
        query = select(SyncState).where(SyncState.shop_id == shop_id).order_by(SyncState.stream)
        return [row.model_dump() for row in session.exec(query)]


def asked_for(shop_id: int) -> dict[str, bool]:
    """The streams somebody asked for on the page, and whether everything of them is to be read."""
    return {row["stream"]: row["full"] for row in kept(shop_id) if row["asked_by"] == "button"}


def choose_interval(at: AppTest, stream: str, before_s: int, every_s: int) -> AppTest:
    at.selectbox(key=f"every_{stream}_{before_s}").select(every_s).run()
    assert not at.exception
    return at


def has(at: AppTest, label: str) -> bool:
    return any(each.label == label for each in at.expander)


def add_member(role: str, shop_id: int = 1) -> int:
    """Somebody of the team with this role."""
    add_user(9, "zoe@example.com", shop_id, role=role)
    return 9


def nobody_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages show everything to everybody, by mistake."""
    monkeypatch.setattr(roles, "may", lambda *_: True)


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_an_interval_chosen_on_the_page_is_kept_for_this_store_only(database: Engine, role: str):
    add_cast()
    theirs = kept(2)
    at = choose_interval(open_page("sync.py", add_member(role)), "orders", 3600, 6 * 3600)
    assert {row["stream"]: row["every_s"] for row in kept(1) if row["every_s"] is not None} == {"orders": 6 * 3600}
    assert at.selectbox(key=f"every_orders_{6 * 3600}").value == 6 * 3600
    assert kept(2) == theirs
    again = open_page("sync.py", ALICE)
    assert again.selectbox(key=f"every_orders_{6 * 3600}").value == 6 * 3600


def test_a_stream_that_is_off_is_due_no_more_until_it_has_an_interval_again(database: Engine):
    add_cast()
    at = choose_interval(open_page("sync.py", ALICE), "orders", 3600, 0)
    [orders] = [row for row in kept(1) if row["stream"] == "orders"]
    assert (orders["every_s"], orders["due_at"]) == (0, None)
    assert streams_shown(at)["State"] == "Only when asked"
    choose_interval(at, "orders", 0, 24 * 3600)
    [orders] = [row for row in kept(1) if row["stream"] == "orders"]
    assert orders["every_s"] == 24 * 3600 and orders["due_at"] - orders["succeeded_at"] == timedelta(days=1)


def test_each_stream_has_its_interval_on_the_page_also_an_unusual_one(database: Engine):
    add_cast()
    set_state("products", every_s=5400)
    at = open_page("sync.py", ALICE)
    shown = {each.label: each for each in at.selectbox if str(each.key).startswith("every_")}
    assert set(shown) == {stream.label for stream in STREAMS}
    assert (shown["Products"].value, shown["Products"].options[1]) == (5400, "every 1.5 hours")
    assert {"off", "every hour", "every day", "every week"} <= set(shown["Orders"].options)


@pytest.mark.parametrize("role", ["analyst", "viewer"])
def test_who_may_not_change_the_schedule_does_not_see_it_and_is_refused_anyway(
    database: Engine, monkeypatch: pytest.MonkeyPatch, role: str
):
    add_cast()
    member, before = add_member(role), kept(1)
    at = open_page("sync.py", member)
    assert not has(at, "Schedule") and not any(str(each.key).startswith("every_") for each in at.selectbox)
    nobody_is_stopped(monkeypatch)
    at = open_page("sync.py", member)
    assert has(at, "Schedule")
    at.selectbox(key="every_orders_3600").select(0).run()
    assert f"As {role} of this store you may not change how it is synced" in refusal(at)
    assert kept(1) == before


def refusal(at: AppTest) -> str:
    return " ".join([words(at), *(each.message for each in at.exception)])


def test_a_stranger_changes_the_schedule_of_their_own_store_only(database: Engine):
    add_cast()
    alices = kept(1)
    at = open_page("sync.py", CHARLIE, {"shop": ALICES, "shop_id": 1, "every_orders_3600": 0}, shop=ALICES)
    assert at.selectbox(key="shop").value == CHARLIES
    choose_interval(at, "products", 12 * 3600, 0)
    assert kept(1) == alices
    assert {row["stream"] for row in kept(2) if row["every_s"] == 0} >= {"products"}


def pressed(at: AppTest, button: str, *streams: str) -> AppTest:
    at.multiselect(key="refresh_streams").set_value(list(streams)).run()
    at.button(key=button).click().run()
    assert not at.exception
    return at


@pytest.mark.parametrize("role", ["owner", "admin", "analyst"])
@pytest.mark.parametrize(
    ("button", "chosen", "asked"),
    [
        ("full_refresh", (), {name: True for name in NAMES if name != "rescan"}),
        ("full_refresh", ("orders", "inventory"), {"orders": True, "inventory": True}),
        ("sync_some", ("customers", "deletes"), {"customers": False, "deletes": False}),
    ],
    ids=["everything", "some whole", "some as changed"],
)
def test_the_request_names_the_streams_that_were_chosen(
    role: str, button: str, chosen: tuple[str, ...], asked: dict[str, bool]
):
    migrate()
    add_cast()
    theirs = kept(2)
    at = pressed(open_page("sync.py", add_member(role)), button, *chosen)
    assert asked_for(1) == asked
    assert sync_status(1).requested and at.button(key="full_refresh").disabled
    assert kept(2) == theirs


def test_only_what_was_chosen_is_read_and_in_the_way_that_was_chosen(database: Engine, stage: Stage):
    add_demo_shops()
    add_user(ALICE, "alice@example.com", SHOP)
    sync()
    for button, by_file in (("full_refresh", ["products"]), ("sync_some", [])):
        pressed(open_page("sync.py", ALICE), button, "products")
        stage.asked.clear()
        claim = lease.claim()
        assert claim is not None
        engine.run_claim(claim, trigger="worker")
        assert stage.read_by_bulk() == by_file
        assert set(run_history(SHOP)[0].counts) == {"shop", "products"}


def test_without_a_choice_only_the_full_refresh_can_be_asked_for(database: Engine):
    add_cast()
    at = open_page("sync.py", ALICE)
    assert at.button(key="sync_some").disabled and not at.button(key="full_refresh").disabled


def test_a_viewer_sees_no_refresh_and_is_refused_anyway(database: Engine, monkeypatch: pytest.MonkeyPatch):
    add_cast()
    member, before = add_member("viewer"), kept(1)
    at = open_page("sync.py", member)
    assert not has(at, "Full refresh") and not at.multiselect
    nobody_is_stopped(monkeypatch)
    for button in ("full_refresh", "sync_some"):
        at = open_page("sync.py", member)
        at.multiselect(key="refresh_streams").set_value(["orders"]).run()
        at.button(key=button).click().run()
        assert "As viewer of this store you may not start a sync" in refusal(at)
    assert kept(1) == before


def test_a_stranger_refreshes_their_own_store_only(database: Engine):
    add_cast()
    alices = kept(1)
    at = open_page("sync.py", CHARLIE, {"shop": ALICES, "refresh_streams": ["orders"]}, shop=ALICES)
    pressed(at, "full_refresh", "orders")
    assert kept(1) == alices and asked_for(2) == {"orders": True}
