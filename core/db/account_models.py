"""Tables of people: who signs in, which shops they may open, and what they did."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from core.db.base import Model, moment


class User(Model, table=True):
    """Somebody who signs in with an e-mail address and a password."""

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    name: str
    password_hash: str = Field(repr=False)
    active: bool = True
    token_version: int = 1
    email_verified_at: datetime | None = moment()
    totp_secret: str | None = Field(default=None, repr=False)
    totp_last_step: int = 0
    recovery_hashes: list[str] = Field(default_factory=list, sa_type=sa.JSON, repr=False)
    show_demo: bool = True
    demo_password: str | None = Field(default=None, repr=False)
    created_at: datetime = moment(nullable=False)


class Membership(Model, table=True):
    """Which user may open which shop, and as what: owner, admin, analyst or viewer."""

    user_id: int = Field(primary_key=True, foreign_key="user.id")
    shop_id: int = Field(primary_key=True, foreign_key="shop.id")
    role: str


class AuthSession(Model, table=True):
    """A signed-in browser, by the hash of its cookie; valid while neither revoked nor expired nor of an old version."""

    __tablename__ = "auth_session"
    __table_args__ = (sa.Index("ix_auth_session_user_id", "user_id"),)

    id_hash: str = Field(primary_key=True, repr=False)
    user_id: int = Field(foreign_key="user.id")
    token_version: int
    created_at: datetime = moment(nullable=False)
    seen_at: datetime = moment(nullable=False)
    expires_at: datetime = moment(nullable=False)
    revoked_at: datetime | None = moment()
    address: str | None = None
    browser: str | None = None
    tour_over_at: datetime | None = moment()


class AuthTicket(Model, table=True):
    """A one-time secret for one purpose (sign-in, invite, reset, verify), by its hash; taken means deleted."""

    __tablename__ = "auth_ticket"

    hash: str = Field(primary_key=True, repr=False)
    purpose: str
    user_id: int | None = Field(default=None, foreign_key="user.id")
    details: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    expires_at: datetime = moment(nullable=False)


class LoginAttempt(Model, table=True):
    """A failed sign-in, counted by account and by address."""

    __tablename__ = "login_attempt"
    __table_args__ = (sa.Index("ix_login_attempt_key", "key", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    key: str
    at: datetime = moment(nullable=False)


class ApiKey(Model, table=True):
    """A key for other programs, by its hash; `hint` is what its owner recognises it by."""

    __tablename__ = "api_key"
    __table_args__ = (sa.Index("ix_api_key_user_id", "user_id"),)

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id")
    shop_id: int = Field(foreign_key="shop.id")
    name: str
    hash: str = Field(unique=True, repr=False)
    hint: str
    created_at: datetime = moment(nullable=False)
    used_at: datetime | None = moment()
    revoked_at: datetime | None = moment()
    expires_at: datetime | None = moment()


class AuditEvent(Model, table=True):
    """Something somebody did, append-only; without a shop where it concerns an account only."""

    __tablename__ = "audit_event"
    __table_args__ = (sa.Index("ix_audit_event_shop_id", "shop_id", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = moment(nullable=False)
    actor: str
    shop_id: int | None = None
    action: str
    target: str = ""
    address: str | None = None
    result: str = "ok"


class PrivacyRequest(Model, table=True):
    """A request to export or erase personal data, with its due date and the proof of what was done.

    `done_at` is null until it is answered; `note` says why it waits. `order_ids` are those a customer asks about.
    """

    __tablename__ = "privacy_request"
    __table_args__ = (
        sa.Index("ix_privacy_request_webhook_id", "webhook_id", unique=True),
        sa.Index("ix_privacy_request_shop_gid", "shop_gid"),
    )

    id: int | None = Field(default=None, primary_key=True)
    shop_gid: int = Field(sa_type=sa.BigInteger)
    kind: str
    customer_id: int | None = Field(default=None, sa_type=sa.BigInteger)
    received_at: datetime = moment(nullable=False)
    due_at: datetime = moment(nullable=False)
    done_at: datetime | None = moment()
    proof: dict[str, int] = Field(default_factory=dict, sa_type=sa.JSON)
    webhook_id: str | None = None
    order_ids: list[int] = Field(default_factory=list, sa_type=sa.JSON, sa_column_kwargs={"server_default": "[]"})
    note: str = Field(default="", sa_column_kwargs={"server_default": ""})
