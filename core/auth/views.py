"""Saved views: addresses of pages under names, private to who made them or shared in the store.

Who may is asked in the transaction that reads or writes, as for goals and boards.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from core.auth import audit, members, roles
from core.db.engine import shop_session
from core.db.models import Membership, ReportSchedule, SavedView, User
from core.errors import InputError, NotPermitted
from core.mail import one_line

MOST = 100
_LONGEST_NAME, _LONGEST_QUERY = 80, 4000
GONE = "This view is not there any more, or is not shared any more."


@dataclass(frozen=True)
class View:
    """A saved view as plain values; `query` is the address without the store, `by` the name of who made it."""

    view_id: str
    name: str
    page: str
    query: dict[str, list[str]]
    by: str
    shared: bool
    mine: bool


def save(
    user_id: int, shop_id: int, name: str, page: str, query: Mapping[str, Sequence[str]], *, shared: bool = False,
    address: str | None = None,
) -> str:  # fmt: skip
    """Keep an address of a page (the last part of its path) under a name; the new id. Raises NotPermitted, InputError.

    `query` is what stands in the address, each name with its values.
    """
    kept = {key: list(values) for key, values in query.items()}
    if not re.fullmatch(r"[a-z_]{1,40}", page) or len(json.dumps(kept)) > _LONGEST_QUERY:
        raise InputError("This address is too long to be kept as a view. Choose fewer filters.")
    now, view_id = datetime.now(UTC), secrets.token_urlsafe(9)
    with shop_session(shop_id, write=True) as session:
        actor, _ = members.permit(session, user_id, shop_id, "save_view")
        # The lock lets the second of two saves at once count the view of the first.
        session.get_one(Membership, (user_id, shop_id), with_for_update=True)
        name = _as_name(session, user_id, name)
        row = SavedView(
            shop_id=shop_id, id=view_id, name=name, page=page, query=kept, created_by=user_id,
            private_to=None if shared else user_id, created_at=now, changed_at=now,
        )  # fmt: skip
        session.add(row)
        if shared:
            _record(session, actor, row, "view_shared", address)
    return view_id


def views_of(user_id: int, shop_id: int) -> tuple[View, ...]:
    """The user's own views and those shared in the store, each by name, own ones first. Raises NotPermitted."""
    with shop_session(shop_id) as session:
        members.permit(session, user_id, shop_id, "view")
        rows = session.exec(visible(user_id)).all()
    found = [_as_view(row, by, user_id) for row, by in rows]
    return tuple(sorted(found, key=lambda view: (not view.mine, view.name.casefold(), view.view_id)))


def view(user_id: int, shop_id: int, view_id: str) -> View:
    """One of them. Raises NotPermitted, InputError."""
    with shop_session(shop_id) as session:
        members.permit(session, user_id, shop_id, "view")
        row = session.exec(visible(user_id).where(SavedView.id == view_id)).first()
    if row is None:
        raise InputError(GONE)
    return _as_view(*row, user_id)


def rename(user_id: int, shop_id: int, view_id: str, name: str) -> None:
    """Give a view of one's own another name. Raises NotPermitted, InputError."""
    with shop_session(shop_id, write=True) as session:
        members.permit(session, user_id, shop_id, "save_view")
        row = _own(session, user_id, view_id)
        row.name, row.changed_at = _as_name(session, user_id, name, besides=view_id), datetime.now(UTC)


def share(user_id: int, shop_id: int, view_id: str, on: bool, *, address: str | None = None) -> None:
    """Let everybody of the store open a view of one's own, or nobody else again. Raises NotPermitted, InputError.

    What others had sent of it ends with the sharing.
    """
    with shop_session(shop_id, write=True) as session:
        actor, _ = members.permit(session, user_id, shop_id, "save_view")
        row = _own(session, user_id, view_id)
        if (row.private_to is None) == on:
            return
        row.private_to, row.changed_at = None if on else user_id, datetime.now(UTC)
        if not on:
            of_others = update(ReportSchedule).where(
                col(ReportSchedule.view_id) == view_id, col(ReportSchedule.user_id) != user_id
            )
            session.exec(of_others.values(active=False, problem=GONE))
        _record(session, actor, row, "view_shared" if on else "view_unshared", address)


def delete(user_id: int, shop_id: int, view_id: str, *, address: str | None = None) -> None:
    """Delete a view of one's own, or as owner or admin a shared one, with what is sent of it. Raises NotPermitted."""
    with shop_session(shop_id, write=True) as session:
        actor, role = members.permit(session, user_id, shop_id, "view")
        found = session.exec(visible(user_id).where(SavedView.id == view_id)).first()
        if found is None:
            return
        row, _ = found
        if row.created_by != user_id:
            roles.require(role, "delete_shared_view")
        _record(session, actor, row, "view_deleted", address)
        session.delete(row)


def visible(user_id: int) -> Select[SavedView, str]:
    """Views the user sees in a shop's session, each with the name of who made it, if that is known."""
    return (
        select(SavedView, User.name)
        .outerjoin(User, col(User.id) == col(SavedView.created_by))
        .where(col(SavedView.private_to).is_(None) | (col(SavedView.private_to) == user_id))
    )


def _own(session: Session, user_id: int, view_id: str) -> SavedView:
    query = select(SavedView).where(SavedView.id == view_id, SavedView.created_by == user_id)
    row = session.exec(query.with_for_update()).first()
    if row is None:
        raise NotPermitted("Only who made this view may change it. Open it, and save it as your own.")
    return row


def _as_name(session: Session, user_id: int, text: str, besides: str = "") -> str:
    name = one_line(text)
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise InputError(f"Enter a name of 1 to {_LONGEST_NAME} characters.")
    own = session.exec(select(SavedView).where(SavedView.created_by == user_id, SavedView.id != besides)).all()
    if len(own) >= MOST:
        raise InputError(f"You have {MOST} views of this store already. Delete one you do not need any more.")
    if any(view.name == name for view in own):
        raise InputError("You have a view of this name already. Choose another name, or delete that view first.")
    return name


def _as_view(row: SavedView, by: str | None, user_id: int) -> View:
    shared = row.private_to is None
    return View(row.id, row.name, row.page, row.query, by or "somebody who left", shared, row.created_by == user_id)


def _record(session: Session, actor: User, row: SavedView, action: str, address: str | None) -> None:
    audit.record(actor.email, action, shop_id=row.shop_id, target=row.name, address=address, session=session)
