"""Boards as they are stored: one of each user in each store, out of reach of everybody else. On both databases."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.auth import members
from core.auth.boards import MOST, board_of, save_board
from core.db.engine import shop_session, system_session
from core.db.models import Board, Membership
from core.errors import InputError, NotPermitted
from tests import factories as make

ALICE, VERA, CHARLIE = 1001, 1002, 1003


@pytest.fixture(autouse=True)
def team(database: Engine) -> None:
    """Alice owns shops 1 and 3, Vera only looks at shop 1, Charlie owns shop 2."""
    for shop_id in (1, 2, 3):
        make.add_shop(shop_id)
    make.add_user(ALICE, "alice@example.com", 1, 3)
    make.add_user(VERA, "vera@example.com", 1, role="viewer")
    make.add_user(CHARLIE, "charlie@example.com", 2)


def rows(shop_id: int) -> list[Any]:
    with shop_session(shop_id) as session:
        return [(row.user_id, row.items) for row in session.exec(select(Board).order_by(Board.user_id))]


def test_each_user_has_a_board_of_their_own_in_each_store_and_needs_no_role_for_it():
    save_board(ALICE, 1, ["card:net_sales", "trend:orders"])
    save_board(ALICE, 3, ["card:orders"])
    save_board(VERA, 1, ["top:products"])
    assert board_of(ALICE, 1) == ("card:net_sales", "trend:orders")
    assert board_of(ALICE, 3) == ("card:orders",)
    assert board_of(VERA, 1) == ("top:products",)
    assert board_of(CHARLIE, 2) == ()


def test_saving_again_replaces_the_board_and_its_order():
    for items in (["a", "b", "c"], ["c", "a"], []):
        save_board(VERA, 1, items)
        assert board_of(VERA, 1) == tuple(items)


def test_what_is_named_twice_is_there_once():
    save_board(VERA, 1, ["a", "b", "a"])
    assert board_of(VERA, 1) == ("a", "b")


def test_a_board_has_room_for_so_many_items_and_no_long_ones():
    save_board(VERA, 1, [f"item {number}" for number in range(MOST)])
    for items in ([f"item {number}" for number in range(MOST + 1)], ["x" * 61]):
        with pytest.raises(InputError):
            save_board(VERA, 1, items)
    assert len(board_of(VERA, 1)) == MOST


@pytest.mark.parametrize("user_id, shop_id", [(CHARLIE, 1), (ALICE, 2), (99, 1), (ALICE, 99)])
def test_a_stranger_neither_reads_nor_writes_a_board(user_id, shop_id):
    save_board(ALICE, 1, ["a"])
    for attempt in (lambda: board_of(user_id, shop_id), lambda: save_board(user_id, shop_id, ["b"])):
        with pytest.raises(NotPermitted):
            attempt()
    assert (rows(1), rows(2)) == ([(ALICE, ["a"])], [])


def test_who_is_removed_from_the_team_leaves_no_board_there():
    save_board(ALICE, 1, ["a"])
    save_board(VERA, 1, ["b"])
    members.remove(ALICE, 1, VERA)
    assert rows(1) == [(ALICE, ["a"])]


def test_a_board_needs_a_member():
    with pytest.raises(Exception, match=r"(?i)foreign key"), shop_session(1, write=True) as session:
        session.add(Board(shop_id=1, user_id=CHARLIE, items=["a"], changed_at=make.at("2026-01-01")))
    with system_session() as session:
        assert session.get(Membership, (CHARLIE, 1)) is None


def test_two_first_saves_at_once_both_end():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda item: save_board(VERA, 1, [item]), ["a", "b"]))
    assert board_of(VERA, 1) in (("a",), ("b",))
