"""Saved views: who keeps, sees, shares and deletes which."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.auth import audit, members, privacy, views
from core.db.engine import shop_session
from core.db.models import ReportSchedule, SavedView
from core.errors import InputError, NotPermitted
from tests.factories import add_shop, add_user, at

ALICE, BOB, CHARLIE, VERA, DORA = 1, 2, 3, 4, 5
QUERY = {"range": ["Custom"], "dates": ["2026-06-01", "2026-06-30"], "compare": ["Nothing"]}


@pytest.fixture(autouse=True)
def cast(database: Engine) -> None:
    """Alice owns shop 1, Bob is its analyst, Vera its viewer, Dora its admin; Charlie owns shop 2."""
    add_shop(1)
    add_shop(2)
    for number, name, role in ((ALICE, "alice", "owner"), (BOB, "bob", "analyst"), (VERA, "vera", "viewer"),
                               (DORA, "dora", "admin")):  # fmt: skip
        add_user(number, f"{name}@example.com", 1, role=role)
    add_user(CHARLIE, "charlie@example.com", 2)


def save(user_id: int = BOB, name: str = "June", *, shared: bool = False) -> str:
    return views.save(user_id, 1, name, "sales", QUERY, shared=shared)


def names(user_id: int, shop_id: int = 1) -> list[str]:
    return [view.name for view in views.views_of(user_id, shop_id)]


def scheduled(view_id: str, user_id: int, hashed: str) -> None:
    with shop_session(1, write=True) as session:
        session.add(
            ReportSchedule(
                shop_id=1, view_id=view_id, user_id=user_id, every="day", next_due_at=at("2026-06-01"),
                unsubscribe_sealed="x", unsubscribe_hash=hashed, created_at=at("2026-06-01"),
            )
        )  # fmt: skip


def schedules() -> dict[int, bool]:
    """Who has a schedule, and whether it is active."""
    with shop_session(1) as session:
        return {row.user_id: row.active for row in session.exec(select(ReportSchedule))}


def actions() -> list[tuple[str, str, str]]:
    found = audit.events(1, since=at("2020-01-01"), until=at("2100-01-01"))
    return [(event.actor, event.action, event.target) for event in reversed(found)]


def test_a_view_comes_back_as_it_was_kept():
    view = views.view(BOB, 1, save())
    assert (view.name, view.page, view.query) == ("June", "sales", QUERY)
    assert (view.by, view.shared, view.mine) == ("bob", False, True)


def test_a_private_view_is_seen_by_nobody_else_and_a_shared_one_by_the_whole_store():
    private, shared = save(), save(name="For all", shared=True)
    assert names(BOB) == ["For all", "June"]
    for user_id in (ALICE, VERA, DORA):
        assert names(user_id) == ["For all"]
        assert views.view(user_id, 1, shared).by == "bob"
        with pytest.raises(InputError, match="not there any more"):
            views.view(user_id, 1, private)


def test_charlie_of_another_store_neither_sees_nor_changes_anything():
    view_id = save(shared=True)
    assert names(CHARLIE, 2) == []
    with pytest.raises(InputError):
        views.view(CHARLIE, 2, view_id)
    views.delete(CHARLIE, 2, view_id)
    for work in (
        lambda: views.views_of(CHARLIE, 1),
        lambda: views.view(CHARLIE, 1, view_id),
        lambda: views.save(CHARLIE, 1, "Mine", "sales", {}),
        lambda: views.rename(CHARLIE, 1, view_id, "Mine"),
        lambda: views.rename(CHARLIE, 2, view_id, "Mine"),
        lambda: views.share(CHARLIE, 1, view_id, False),
        lambda: views.share(CHARLIE, 2, view_id, False),
        lambda: views.delete(CHARLIE, 1, view_id),
    ):
        with pytest.raises(NotPermitted):
            work()
    assert names(ALICE) == ["June"]


def test_a_viewer_opens_shared_views_and_saves_none():
    view_id = save(shared=True)
    assert views.view(VERA, 1, view_id).name == "June"
    with pytest.raises(NotPermitted, match="As viewer of this store you may not save views"):
        save(VERA)
    with pytest.raises(NotPermitted):
        views.delete(VERA, 1, view_id)
    assert names(ALICE) == ["June"]


def test_only_who_made_a_view_renames_and_shares_it_and_those_who_lead_the_store_delete_shared_ones():
    private, shared = save(), save(name="For all", shared=True)
    for work in (lambda: views.rename(ALICE, 1, shared, "x"), lambda: views.share(ALICE, 1, shared, False)):
        with pytest.raises(NotPermitted, match="Only who made this view"):
            work()
    views.delete(ALICE, 1, private)
    assert names(BOB) == ["For all", "June"], "what she does not see she does not delete"
    views.rename(BOB, 1, shared, "  For \n everybody ")
    views.share(BOB, 1, private, True)
    assert names(DORA) == ["For everybody", "June"]
    views.delete(DORA, 1, shared)
    views.delete(BOB, 1, private)
    assert names(BOB) == []


def test_what_others_see_is_written_down():
    view_id = save()
    views.share(BOB, 1, view_id, True)
    views.share(BOB, 1, view_id, True)
    views.share(BOB, 1, view_id, False)
    views.share(BOB, 1, view_id, True)
    views.delete(ALICE, 1, view_id)
    assert actions() == [
        ("bob@example.com", "view_shared", "June"), ("bob@example.com", "view_unshared", "June"),
        ("bob@example.com", "view_shared", "June"), ("alice@example.com", "view_deleted", "June"),
    ]  # fmt: skip


def test_what_others_had_sent_of_a_view_stops_when_it_is_not_shared_any_more():
    view_id = save(shared=True)
    scheduled(view_id, BOB, "a")
    scheduled(view_id, ALICE, "b")
    views.share(BOB, 1, view_id, False)
    assert schedules() == {BOB: True, ALICE: False}


def test_with_a_view_goes_what_is_sent_of_it():
    view_id, other = save(shared=True), save(name="Other", shared=True)
    scheduled(view_id, ALICE, "a")
    scheduled(other, BOB, "b")
    views.delete(BOB, 1, view_id)
    assert schedules() == {BOB: True}


def test_of_a_removed_member_shared_views_stay_and_private_ones_go_with_all_that_was_sent():
    private, shared = save(), save(name="For all", shared=True)
    mine = save(ALICE, "Alice's")
    for number, (view_id, user_id) in enumerate([(private, BOB), (shared, BOB), (shared, ALICE), (mine, ALICE)]):
        scheduled(view_id, user_id, str(number))
    members.remove(ALICE, 1, BOB)
    assert names(ALICE) == ["Alice's", "For all"]
    with shop_session(1) as session:
        assert sorted(session.exec(select(SavedView.name))) == ["Alice's", "For all"]
        rows = session.exec(select(ReportSchedule.user_id, ReportSchedule.view_id)).all()
    assert sorted(map(tuple, rows)) == sorted([(ALICE, shared), (ALICE, mine)])
    with pytest.raises(NotPermitted):
        views.views_of(BOB, 1)


def test_with_a_store_go_its_views_and_reports():
    scheduled(save(shared=True), ALICE, "a")
    counts = privacy.delete_shop(1, actor="command line")
    assert (counts["saved_view"], counts["report_schedule"]) == (1, 1)


def test_a_name_is_one_line_of_some_length_and_used_once():
    assert views.view(BOB, 1, save(name=" Sales\r\nBcc: eve@example.com\x00\u202egpj ")).name == (
        "Sales Bcc: eve@example.com gpj"
    )
    for name in ("", " \n ", "x" * 81):
        with pytest.raises(InputError, match="1 to 80 characters"):
            save(name=name)
    save()
    with pytest.raises(InputError, match="of this name already"):
        save()
    save(ALICE)
    view_id = save(name="July")
    views.rename(BOB, 1, view_id, "July")
    with pytest.raises(InputError, match="of this name already"):
        views.rename(BOB, 1, view_id, "June")


@pytest.mark.parametrize("page", ["../app", "sales.py", "", "x" * 41, "Sales"])
def test_only_pages_of_ours_are_kept(page):
    with pytest.raises(InputError):
        views.save(BOB, 1, "x", page, {})


def test_an_endless_address_and_endless_views_are_refused(monkeypatch):
    with pytest.raises(InputError, match="too long"):
        views.save(BOB, 1, "x", "sales", {"range": ["x" * 4000]})
    monkeypatch.setattr(views, "MOST", 3)
    with ThreadPoolExecutor(5) as pool:
        done = list(pool.map(lambda number: _saved(f"View {number}"), range(6)))
    assert sum(done) == 3 == len(names(BOB))
    save(ALICE)


def _saved(name: str) -> bool:
    try:
        save(name=name)
    except InputError:
        return False
    return True
