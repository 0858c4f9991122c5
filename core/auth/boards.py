"""Boards: what a user put on a page of their own, one in each store, seen and changed by nobody else."""

from collections.abc import Sequence
from datetime import UTC, datetime

from core.auth import members
from core.db.engine import shop_session
from core.db.models import Board, Membership
from core.errors import InputError

MOST = 24
_LONGEST = 60


def board_of(user_id: int, shop_id: int) -> tuple[str, ...]:
    """The slugs of the items in their order; empty where there is no board yet. Raises NotPermitted."""
    with shop_session(shop_id) as session:
        members.permit(session, user_id, shop_id, "view")
        board = session.get(Board, (shop_id, user_id))
        return tuple(board.items) if board is not None else ()


def save_board(user_id: int, shop_id: int, items: Sequence[str]) -> None:
    """Replace the board by these items; one that is named twice is there once. Raises NotPermitted, InputError."""
    unique = list(dict.fromkeys(items))
    if len(unique) > MOST:
        raise InputError(f"A board has room for {MOST} items. Remove one first.")
    if any(len(slug) > _LONGEST for slug in unique):
        raise InputError("This is no item of a board. Choose one from the list.")
    now = datetime.now(UTC)
    with shop_session(shop_id, write=True) as session:
        members.permit(session, user_id, shop_id, "view")
        # The lock lets the second of two first saves find the board of the other.
        session.get_one(Membership, (user_id, shop_id), with_for_update=True)
        board = session.get(Board, (shop_id, user_id), populate_existing=True)
        if board is None:
            session.add(Board(shop_id=shop_id, user_id=user_id, items=unique, changed_at=now))
        else:
            board.items, board.changed_at = unique, now
