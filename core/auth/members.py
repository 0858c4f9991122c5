"""Who belongs to a store's team. Whoever changes it is looked up again, in the same transaction as the change."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session, col, select

from core.auth import accounts, audit, roles, sessions, tickets
from core.auth.sessions import may_sign_in
from core.db.engine import system_session
from core.db.models import ApiKey, AuthTicket, Membership, Shop, User
from core.errors import InputError, NotPermitted

INVITE = "invite"
INVITE_LASTS = timedelta(days=7)

_GONE = "This invitation was used already, was withdrawn, or is older than 7 days. Ask for a new one."


@dataclass(frozen=True)
class Member:
    """Somebody of the team, as plain values."""

    user_id: int
    email: str
    name: str
    role: str
    active: bool
    has_second_factor: bool


@dataclass(frozen=True)
class Invitation:
    """An invitation that nobody has taken yet; `number` names it and opens nothing."""

    number: str
    shop_id: int
    shop_name: str
    email: str
    role: str
    expires_at: datetime


def permit(session: Session, user_id: int, shop_id: int, action: str) -> tuple[User, str]:
    """The user and their role in the store, if it allows this action now. Raises NotPermitted."""
    query = (
        select(User, Membership.role, Shop.needs_second_factor)
        .join(Membership, col(Membership.user_id) == col(User.id))
        .join(Shop, col(Shop.id) == col(Membership.shop_id))
        .where(User.id == user_id, Membership.shop_id == shop_id)
    )
    row = session.exec(query).first()
    if row is None or not may_sign_in(row[0]):
        raise NotPermitted("This store is not among yours. Ask an owner of it to invite you.")
    user, role, needs_second_factor = row
    if needs_second_factor and user.totp_secret is None:
        raise NotPermitted("This store asks for a second factor. Set it up on the Account page.")
    roles.require(role, action)
    return user, role


def permitted(user_id: int, shop_id: int, action: str) -> str:
    """The e-mail of the user, if their role in the store allows this action now. Raises NotPermitted."""
    with system_session() as session:
        return permit(session, user_id, shop_id, action)[0].email


def members_of(user_id: int, shop_id: int) -> tuple[Member, ...]:
    """The team, owners first, for who may change it. Raises NotPermitted."""
    query = select(User, Membership.role).join(Membership, col(Membership.user_id) == col(User.id))
    with system_session() as session:
        permit(session, user_id, shop_id, "manage_team")
        rows = session.exec(query.where(Membership.shop_id == shop_id)).all()
    found = [
        Member(user.id or 0, user.email, user.name, role, user.active, user.totp_secret is not None)
        for user, role in rows
    ]
    return tuple(sorted(found, key=lambda member: (roles.ROLES.index(member.role), member.name, member.user_id)))


def change_role(actor_id: int, shop_id: int, user_id: int, role: str, *, address: str | None = None) -> None:
    """Give a member another role, which ends the member's sessions. Raises NotPermitted, InputError."""
    with system_session(write=True) as session:
        actor, user, before = _change(session, actor_id, shop_id, user_id, to=role)
        if before == role:
            return
        accounts.grant(session, user_id, shop_id, role)
        target = f"{user.email}: {before} to {role}"
        audit.record(actor.email, "role_change", shop_id=shop_id, target=target, address=address, session=session)


def remove(actor_id: int, shop_id: int, user_id: int, *, address: str | None = None) -> None:
    """Take somebody off the team: their sessions end, their keys to the store too. Raises NotPermitted, InputError."""
    with system_session(write=True) as session:
        actor, user, _ = _change(session, actor_id, shop_id, user_id, to="")
        session.delete(session.get_one(Membership, (user_id, shop_id)))
        session.flush()
        sessions.end_all(user_id, session=session)
        keys = update(ApiKey).where(col(ApiKey.user_id) == user_id, col(ApiKey.shop_id) == shop_id)
        session.exec(keys.where(col(ApiKey.revoked_at).is_(None)).values(revoked_at=datetime.now(UTC)))
        audit.record(
            actor.email, "member_removed", shop_id=shop_id, target=user.email, address=address, session=session
        )


def require_second_factor(actor_id: int, shop_id: int, on: bool, *, address: str | None = None) -> None:
    """Let only members with a second factor see the store, or everybody again. Raises NotPermitted, InputError."""
    with system_session(write=True) as session:
        actor, _ = permit(session, actor_id, shop_id, "require_second_factor")
        if on and actor.totp_secret is None:
            raise InputError("Set up your own second factor on the Account page first, or you would lock yourself out.")
        session.get_one(Shop, shop_id, with_for_update=True).needs_second_factor = on
        target = f"second factor {'required' if on else 'not required'}"
        audit.record(actor.email, "store_settings", shop_id=shop_id, target=target, address=address, session=session)


def invite(actor_id: int, shop_id: int, email: str, role: str, *, by_mail: bool, address: str | None = None) -> str:
    """The secret of an invitation for one address, in place of an older one. Raises NotPermitted, InputError.

    `by_mail` says that it goes to that address and is shown to nobody, so taking it proves the address.
    """
    email = accounts.as_email(email)
    with system_session(write=True) as session:
        actor = _may_hand_out(session, actor_id, shop_id, role)
        if by_mail and actor.demo_password is not None:
            raise NotPermitted("The demo's users send no e-mails. Sign in with an account of your own.")
        user = accounts.by_email(session, email)
        if user is not None and session.get(Membership, (user.id, shop_id)) is not None:
            raise InputError("This person is on the team already. Change the role instead.")
        for ticket in _invitations(session, shop_id):
            if ticket.details["email"] == email:
                session.delete(ticket)
        details = {"shop_id": shop_id, "email": email, "role": role, "by": actor_id, "by_mail": by_mail}
        secret = tickets.issue(INVITE, details=details, lifetime=INVITE_LASTS, session=session)
        target = f"{email} as {role}"
        audit.record(actor.email, "invite", shop_id=shop_id, target=target, address=address, session=session)
    return secret


def invitations_of(user_id: int, shop_id: int) -> tuple[Invitation, ...]:
    """The invitations nobody has taken yet, for who may change the team. Raises NotPermitted."""
    with system_session() as session:
        permit(session, user_id, shop_id, "manage_team")
        name = session.get_one(Shop, shop_id).name
        found = [_as_invitation(ticket, name) for ticket in _invitations(session, shop_id)]
    return tuple(sorted(found, key=lambda each: each.email))


def withdraw_invitation(actor_id: int, shop_id: int, number: str, *, address: str | None = None) -> None:
    """Void an invitation of this store. Raises NotPermitted."""
    with system_session(write=True) as session:
        actor, _ = permit(session, actor_id, shop_id, "manage_team")
        for ticket in _invitations(session, shop_id):
            if ticket.hash == number:
                session.delete(ticket)
                target = f"{ticket.details['email']} not any more"
                audit.record(actor.email, "invite", shop_id=shop_id, target=target, address=address, session=session)


def invitation(secret: str) -> Invitation | None:
    """What a link invites to, without taking it."""
    ticket = tickets.peek(secret, INVITE)
    if ticket is None:
        return None
    with system_session() as session:
        shop = session.get(Shop, ticket.details["shop_id"])
        row = session.get(AuthTicket, tickets.digest(secret))
    return _as_invitation(row, shop.name) if shop is not None and row is not None else None


def accept(secret: str, user_id: int, *, address: str | None = None) -> None:
    """Join the team that the signed-in user was invited to. Raises InputError, NotPermitted."""
    with system_session(write=True) as session:
        join(session, secret, session.get_one(User, user_id), address)


def join(session: Session, secret: str, user: User, address: str | None) -> None:
    """Take an invitation in the caller's transaction; who made it must still be allowed to. Raises InputError."""
    ticket = tickets.redeem(secret, INVITE, session=session)
    if ticket is None:
        raise InputError(_GONE)
    shop_id, role = ticket.details["shop_id"], ticket.details["role"]
    if ticket.details["email"] != user.email.lower():
        raise InputError(f"This invitation is for {ticket.details['email']}. Sign in as that, or ask for another one.")
    try:
        _may_hand_out(session, ticket.details["by"], shop_id, role)
    except NotPermitted as error:
        raise InputError("Who invited you may not do so any more. Ask an owner for a new invitation.") from error
    if session.get(Membership, (user.id, shop_id)) is not None:
        raise InputError("You are on this team already.")
    accounts.grant(session, user.id or 0, shop_id, role)
    if ticket.details["by_mail"] and user.email_verified_at is None:
        user.email_verified_at = datetime.now(UTC)
    audit.record(user.email, "invite_accepted", shop_id=shop_id, target=role, address=address, session=session)


def _may_hand_out(session: Session, actor_id: int, shop_id: int, role: str) -> User:
    """The actor, who may give somebody this role."""
    actor, own = permit(session, actor_id, shop_id, "manage_team")
    if role == "owner":
        roles.require(own, "manage_owners")
    if role not in roles.ROLES:
        raise InputError(f"There is no such role. Choose one of {', '.join(roles.ROLES)}.")
    return actor


def _change(session: Session, actor_id: int, shop_id: int, user_id: int, *, to: str) -> tuple[User, User, str]:
    """Actor, member and the member's role, once the actor may change it to this one, or to none.

    The shop's row is locked: of two owners who demote each other at once, the second one finds no other owner.
    """
    session.get(Shop, shop_id, with_for_update=True)
    actor, own = permit(session, actor_id, shop_id, "manage_team")
    membership = session.get(Membership, (user_id, shop_id), populate_existing=True)
    if membership is None:
        raise InputError("This person is not on the team any more.")
    before = membership.role
    if "owner" in (before, to):
        roles.require(own, "manage_owners")
    user = accounts.own(session, user_id)
    if before == "owner" and to != "owner" and not _other_owners(session, shop_id, user_id):
        raise InputError("A store needs an owner. Make somebody else owner first.")
    return actor, user, before


def _other_owners(session: Session, shop_id: int, user_id: int) -> bool:
    query = select(User).join(Membership, col(Membership.user_id) == col(User.id))
    owners = session.exec(query.where(Membership.shop_id == shop_id, Membership.role == "owner", User.id != user_id))
    return any(may_sign_in(owner) for owner in owners)


def _invitations(session: Session, shop_id: int) -> list[AuthTicket]:
    now = datetime.now(UTC)
    tickets_of_all = session.exec(select(AuthTicket).where(AuthTicket.purpose == INVITE, AuthTicket.expires_at > now))
    return [ticket for ticket in tickets_of_all if ticket.details["shop_id"] == shop_id]


def _as_invitation(ticket: AuthTicket, shop_name: str) -> Invitation:
    told = ticket.details
    return Invitation(ticket.hash, told["shop_id"], shop_name, told["email"], told["role"], ticket.expires_at)
