"""Open pages follow their store: one row is asked for, and only what changed draws the page anew."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlmodel import select
from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.testing.v1 import element_tree, local_script_runner

from core.auth import members, pulse, sessions
from core.auth.pulse import Pulse
from core.auth.tickets import digest
from core.db.engine import get_engine, shop_session, system_session
from core.db.models import AuthSession, PrivacyRequest, Shop, SyncState, User, WebhookEvent
from core.errors import InputError, NotPermitted
from core.shopify.webhooks import Delivery
from core.sync import fetch, inbox
from core.ui import live_view, session, states, webhooks_view
from core.ui.sales_view import load_hours
from tests.test_pages import (
    ALICE,
    ALICES,
    BOB,
    CHARLIE,
    CHARLIES,
    PAGES,
    add_cast,
    cast,
    open_page,
    sell,
    tables,
    words,
)  # fmt: skip

__all__ = ["cast", "tables"]


def session_of(user_id: int) -> str:
    return digest(sessions.start(user_id, None, None))


def bump(shop_id: int = 1) -> None:
    with shop_session(shop_id, write=True) as session:
        fetch.bump(session, shop_id)


def test_the_pulse_is_one_query_and_moves_with_every_commit(database: Engine):
    add_cast()
    id_hash = session_of(ALICE)
    first = pulse.pulse(id_hash, 1)
    assert first is not None and (first.role, first.busy) == ("owner", False)
    asked: list[str] = []

    def note(*given: Any) -> None:
        if given[2].startswith("SELECT") and "set_config" not in given[2]:
            asked.append(given[2])

    event.listen(get_engine(), "before_cursor_execute", note)
    try:
        assert pulse.pulse(id_hash, 1) == first
    finally:
        event.remove(get_engine(), "before_cursor_execute", note)
    assert len(asked) == 1
    bump()
    assert pulse.pulse(id_hash, 1) == Pulse(first.data_version + 1, "owner", False)
    with system_session(write=True) as session:
        session.get_one(SyncState, (1, "orders")).due_at = datetime.now(UTC)
    found = pulse.pulse(id_hash, 1)
    assert found is not None and found.busy


def ended(id_hash: str) -> None:
    sessions.end(id_hash)


def everywhere(_: str) -> None:
    sessions.sign_out_everywhere(ALICE)


def expired(id_hash: str) -> None:
    with system_session(write=True) as session:
        session.get_one(AuthSession, id_hash).expires_at = datetime.now(UTC)


def switched_off(_: str) -> None:
    with system_session(write=True) as session:
        session.get_one(User, ALICE).active = False


def second_factor_wanted(_: str) -> None:
    with system_session(write=True) as session:
        session.get_one(Shop, 1).needs_second_factor = True


def demo_hidden(_: str) -> None:
    with system_session(write=True) as session:
        session.get_one(Shop, 1).is_demo, session.get_one(User, ALICE).show_demo = True, False


@pytest.mark.parametrize("end", [ended, everywhere, expired, switched_off, second_factor_wanted, demo_hidden])
def test_who_may_not_see_the_store_any_more_has_no_pulse(database: Engine, end: Any):
    add_cast()
    id_hash = session_of(ALICE)
    assert pulse.pulse(id_hash, 1) is not None
    end(id_hash)
    assert pulse.pulse(id_hash, 1) is None


def test_charlie_never_feels_alices_pulse(database: Engine):
    add_cast()
    assert pulse.pulse(session_of(CHARLIE), 1) is None
    assert pulse.pulse("no session", 1) is None


def test_a_removed_member_has_no_pulse_and_a_new_role_is_another(database: Engine):
    add_cast()
    id_hash = session_of(BOB)
    before = pulse.pulse(id_hash, 1)
    members.change_role(ALICE, 1, BOB, "viewer")
    assert before is not None and pulse.pulse(id_hash, 1) is None  # every session of Bob's ended with the role
    again = pulse.pulse(session_of(BOB), 1)
    assert again is not None and again.role == "viewer"


def test_a_page_that_is_current_is_not_drawn_again_and_says_for_a_moment_that_it_is_new(
    database: Engine, monkeypatch: pytest.MonkeyPatch
):
    add_cast()
    at = open_page("overview.py", ALICE)
    assert "Updated just now" not in words(at)
    runs: list[int] = []
    clock = SimpleNamespace(now_s=0.0, monotonic=lambda: clock.now_s)
    honest = states.run_again

    def run_again() -> Any:
        runs.append(1)
        clock.now_s += 2 * states.NEW_FOR_S  # a page that is slow to draw
        honest()

    monkeypatch.setattr(states, "run_again", run_again)
    monkeypatch.setattr(states, "time", clock)
    at.run()
    assert runs == []
    real = states.pulse_of

    def behind(shop_id: int) -> Pulse | None:
        """Something is stored between the page's first line and its fragment."""
        found = real(shop_id)
        if not runs:
            bump()
            found = real(shop_id)
        return found

    monkeypatch.setattr(states, "pulse_of", behind)
    at.run()
    assert len(runs) >= 1 and "Updated just now" in words(at)
    clock.now_s += 2 * states.NEW_FOR_S
    at.run()
    assert "Updated just now" not in words(at)


@pytest.mark.usefixtures("cast")
@pytest.mark.parametrize("name", (*PAGES, "a store that syncs"))
def test_a_fragment_stands_in_no_container(name: str, monkeypatch: pytest.MonkeyPatch):
    """Where a click cuts off one that does, the browser gets the next page's parts for a container that is gone."""
    found: dict[str, int] = {}

    def read(messages: list[Any]) -> Any:
        for message in messages:
            if message.WhichOneof("type") == "delta" and (fragment := message.delta.fragment_id):
                found[fragment] = min(found.get(fragment, 99), len(message.metadata.delta_path))
        return element_tree.parse_tree_from_messages(messages)

    monkeypatch.setattr(local_script_runner, "parse_tree_from_messages", read)
    if name not in PAGES:
        with system_session(write=True) as session:
            session.get_one(SyncState, (1, "orders")).due_at = datetime.now(UTC)
    open_page(name if name in PAGES else "sync.py", ALICE)
    follows = name not in ("views.py", "stores.py", "team.py", "audit.py", "account.py")
    assert len(found) == follows + (name not in PAGES) + (name == "overview.py")
    assert set(found.values()) <= {2}


def test_what_refreshes_itself_ends_with_its_page(monkeypatch: pytest.MonkeyPatch):
    """The browser asks for it until the next page is announced, and would be sent back to the page before."""
    run = SimpleNamespace(page_script_hash="overview", fragment_storage=MemoryFragmentStorage())
    monkeypatch.setattr(session, "get_script_run_ctx", lambda: run)
    kept: dict[str, Any] = {}
    monkeypatch.setattr(session, "keep", kept.__setitem__)
    monkeypatch.setattr(session, "recall", kept.get)
    session.leave_page_before()
    run.fragment_storage.register("follow", lambda: None)
    session.leave_page_before()
    assert run.fragment_storage.contains("follow")
    run.page_script_hash = "sync"
    session.leave_page_before()
    assert not run.fragment_storage.contains("follow")


def test_the_live_card_counts_today_and_shows_the_latest_orders_first(database: Engine):
    add_cast()
    sell(1, 3, "20.00", days_ago=0)
    sell(1, 4, "30.00", days_ago=0)
    sell(1, 5, "70.00", days_ago=7)
    at = open_page("overview.py", ALICE)
    assert "2 orders for $50.00 so far today." in words(at).replace("\\", "")
    table = next(one.value for one in at.dataframe if "Placed" in one.value.columns)
    assert set(table["Order"]) >= {"#3", "#4", "#1"} and "#5" not in set(table["Order"])
    assert "7,777" not in words(at)
    at.button_group(key="live_figure").set_value(["Total sales"]).run()
    assert not at.exception


def test_today_is_compared_with_the_hours_that_are_over(database: Engine):
    from core.analytics.period import Period, shop_today
    from core.auth.accounts import shops_of

    add_cast()
    sell(1, 5, "70.00", days_ago=7)  # at noon
    (shop,) = shops_of(ALICE)
    day = shop_today(shop.time_zone)
    today, before = Period(day, day), Period(day - timedelta(days=7), day - timedelta(days=7))
    hours, there = load_hours(shop, today), load_hours(shop, before)
    noon = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    assert live_view.so_far(hours, there, noon, "USD", "Friday").endswith("Friday had 0 orders for $0.00 by 12:00.")
    later = noon + timedelta(hours=1)
    assert live_view.so_far(hours, there, later, "USD", "Friday").endswith("Friday had 1 order for $70.00 by 13:00.")
    assert "had" not in live_view.so_far(hours, there, noon.replace(hour=0), "USD", "Friday")


# Webhooks and requests on the pages


def dead(domain: str, id: str) -> None:
    inbox.receive([(Delivery(id, "orders/create", domain, None, ""), b"{}")])
    with system_session(write=True) as session:
        row = session.get_one(WebhookEvent, id)
        row.state, row.problem, row.about = "dead", f"gave up on {id}", "orders/1"


def test_the_sync_page_tells_what_came_and_replays_what_was_given_up(database: Engine):
    add_cast()
    dead(ALICES, "alices")
    dead(CHARLIES, "charlies")
    at = open_page("sync.py", ALICE)
    tables = " ".join(str(one.value.to_dict()) for one in at.dataframe)
    assert "gave up on alices" in tables and "charlies" not in tables
    at.button(key="replay").click().run()
    assert not at.exception and "1 will be tried again" in words(at)
    assert inbox.counts(1) == {"waiting": 1} and inbox.counts(2) == {"dead": 1}


def test_a_viewer_sees_what_was_given_up_and_may_not_replay_it(database: Engine):
    add_cast()
    dead(ALICES, "alices")
    members.change_role(ALICE, 1, BOB, "viewer")
    at = open_page("sync.py", BOB)
    assert not [button for button in at.button if button.key == "replay"]
    from core.auth.accounts import shops_of

    with pytest.raises(NotPermitted):
        webhooks_view.replay(shops_of(BOB)[0], None)


def ask_for_data(shop_id: int, customer_id: int) -> int:
    with system_session(write=True) as session:
        request = PrivacyRequest(
            shop_gid=shop_id, kind="customers/data_request", customer_id=customer_id, received_at=datetime.now(UTC),
            due_at=datetime.now(UTC) + timedelta(days=30), order_ids=[2], webhook_id=f"w-{shop_id}",
        )  # fmt: skip
        session.add(request)
        session.flush()
        return request.id or 0


def test_an_owner_downloads_a_customers_data_and_the_request_is_answered(database: Engine):
    import json

    from core.auth.privacy_requests import export_customer, requests_of

    add_cast()
    number = ask_for_data(1, 1)
    at = open_page("audit.py", ALICE)
    assert "Requests about personal data" in words(at) or any("Request" in one.value.columns for one in at.dataframe)
    (before,) = requests_of(ALICE, 1)
    assert before.done_at is None
    data = json.loads(export_customer(ALICE, 1, number))
    assert [row["id"] for row in data["customer"]] == [1] and {row["id"] for row in data["order"]} == {1, 2}
    assert data["line_item"] and "7777" not in json.dumps(data)
    (after,) = requests_of(ALICE, 1)
    assert after.done_at is not None and after.proof["order"] == 2


@pytest.mark.parametrize("user", [BOB, CHARLIE])
def test_nobody_else_sees_or_answers_a_request(database: Engine, user: int):
    from core.auth.privacy_requests import export_customer, requests_of

    add_cast()
    number = ask_for_data(1, 1)
    with pytest.raises(NotPermitted):
        requests_of(user, 1)
    with pytest.raises(NotPermitted):
        export_customer(user, 1, number)
    if user == CHARLIE:
        with pytest.raises(InputError):
            export_customer(CHARLIE, 2, number)
    with system_session() as session:
        assert session.exec(select(PrivacyRequest)).one().done_at is None
