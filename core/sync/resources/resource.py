"""What a resource is, and how its rows reach the tables without overwriting newer ones or touching equal ones."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import delete
from sqlmodel import Session, col

from core.db.models import QuarantinedRow, ShopScoped
from core.db.money import to_minor
from core.db.upsert import delete_where, fetch, upsert
from core.errors import MalformedRow
from core.shopify.bulk import MalformedLine
from core.shopify.client import ShopClient
from core.shopify.queries import Connection, Grants

Document = dict[str, Any]
INCOMPLETE = "incomplete"  # key put into a document whose child could not be read: it must not be stored without it


class PagesOf(Protocol):
    """Pages of changed objects, children drained; names of withheld fields are collected in `degraded`."""

    def __call__(
        self, client: ShopClient, grants: Grants, filter: str | None, *, degraded: set[str] | None = None
    ) -> Iterator[list[Document]]: ...


@dataclass(frozen=True)
class ShopContext:
    """What mapping needs to know of a shop."""

    shop_id: int
    currency: str
    zone: ZoneInfo
    grants: Grants


class ObjectsOf(Protocol):
    """The objects with these numbers as they are now, children drained; those that are gone are left out."""

    def __call__(self, client: ShopClient, grants: Grants, ids: Sequence[int]) -> list[Document]: ...


@dataclass(frozen=True)
class Topic:
    """A kind of webhook: under which key its body names the object; `fields` are all it is to hold, () is everything.

    What is left out of a body cannot leak from it; without `updated_at` Shopify would drop changes as repetitions.
    """

    name: str
    key: str = "id"
    fields: tuple[str, ...] = ("id", "updated_at")


@dataclass
class Counts:
    """What became of the objects received: read = inserted + updated + unchanged + quarantined.

    `deleted` are objects that were stored and are gone at Shopify: they are counted apart.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0
    deleted: int = 0

    def add(self, other: "Counts") -> None:
        """Add another batch's counts to these."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def changed(self) -> bool:
        """Whether any row of the shop is different now."""
        return bool(self.inserted or self.updated or self.deleted)


@dataclass(frozen=True)
class Resource:
    """A kind of object of Shopify's: what may be asked, how to ask, how to store.

    Without `pages` it is read whole by bulk operation each time; `prune` then removes what the file did not hold.
    With `reread` it has no sort key for changes: what was created in this time before the cursor is read again.
    `limited` names a scope, and how far back a token without it can see. Webhooks of `topics` say that an object
    changed: it is read by its id then, `at_once` in a request, and `gone` forgets it where Shopify has it no more.
    """

    stream: str
    label: str
    scopes: tuple[str, ...]
    bulk_query: Callable[[Grants, str | None], str]
    connections: tuple[Connection, ...]
    store: Callable[[Session, ShopContext, Sequence[Document | MalformedLine]], Counts]
    pages: PagesOf | None = None
    count_query: str | None = None
    count_field: str = ""
    complete: Callable[[ShopClient, Sequence[Document | MalformedLine]], None] = lambda *_: None
    prune: Callable[[Session, Sequence[int]], int] | None = None
    whole_days: bool = False
    reread: timedelta | None = None
    limited: tuple[str, timedelta] | None = None
    more_scopes: tuple[str, ...] = ()  # with these it holds more, and it does without
    topics: tuple[Topic, ...] = ()
    by_id: ObjectsOf | None = None
    at_once: int = 50
    gone: Callable[[Session, Sequence[int]], int] | None = None


T = TypeVar("T")


@dataclass
class Batch(Generic[T]):
    """Mapped rows by Shopify id, sorted by what the database says about each."""

    counts: Counts
    inserted: dict[int, T] = field(default_factory=dict)
    updated: dict[int, T] = field(default_factory=dict)

    @property
    def changed(self) -> dict[int, T]:
        """Rows to write."""
        return {**self.inserted, **self.updated}


def sort_batch(
    session: Session,
    stream: str,
    model: type[ShopScoped],
    documents: Sequence[Document | MalformedLine],
    map_row: Callable[[Document], T],
    header: Callable[[T], dict[str, Any]],
) -> Batch[T]:
    """Map documents and compare them with what is stored, by updated_at and fingerprint.

    Equal rows count as unchanged and are not written; older ones never overwrite newer ones; what cannot be
    mapped goes to quarantine with its reason.
    """
    counts = Counts(read=len(documents))
    mapped: dict[int, T] = {}
    for document in documents:
        try:
            if isinstance(document, MalformedLine):
                raise MalformedRow(f"line {document.line_number} of the bulk file: {document.reason}")
            if INCOMPLETE in document:
                raise MalformedRow(document[INCOMPLETE])
            row = _mapped(map_row, document)
        except MalformedRow as error:
            _quarantine(session, stream, document, str(error))
            counts.quarantined += 1
            continue
        if (previous := mapped.get(header(row)["id"])) is not None:
            counts.unchanged += 1
            if header(previous)["updated_at"] > header(row)["updated_at"]:
                continue
        mapped[header(row)["id"]] = row
    delete_where(session, QuarantinedRow, "key", [f"{stream}/{key}" for key in mapped])
    stored = {row.id: row for row in fetch(session, model, ("id", "updated_at", "fingerprint"), "id", mapped)}
    batch: Batch[T] = Batch(counts)
    for key, row in mapped.items():
        known = stored.get(key)
        if known is None:
            batch.inserted[key] = row
        elif known.updated_at is not None and (
            known.fingerprint == header(row)["fingerprint"] or known.updated_at > header(row)["updated_at"]
        ):
            counts.unchanged += 1
        elif known.updated_at is None:
            batch.inserted[key] = row  # a placeholder made for a foreign key
        else:
            batch.updated[key] = row
    counts.inserted, counts.updated = len(batch.inserted), len(batch.updated)
    return batch


def _mapped(map_row: Callable[[Document], T], document: Document) -> T:
    try:
        return map_row(document)
    except (TypeError, LookupError, AttributeError, ValueError, ArithmeticError) as error:
        raise MalformedRow(f"it is not built as expected ({type(error).__name__}: {error})") from error


def forget_quarantined(session: Session, stream: str, *, before: datetime) -> None:
    """Forget what was set aside earlier and did not turn up again when everything was read."""
    old = delete(QuarantinedRow).where(col(QuarantinedRow.stream) == stream, col(QuarantinedRow.seen_at) < before)
    session.execute(old, execution_options={"synchronize_session": False})


def _quarantine(session: Session, stream: str, document: Document | MalformedLine, reason: str) -> None:
    if isinstance(document, MalformedLine):
        payload_hash, gid = document.sha256, document.hangs_on
    else:
        payload_hash, gid = fingerprint(document), document.get("id")
    try:
        key = f"{stream}/{gid_number(gid)}"  # a good version of the object will clear it
    except MalformedRow:
        key = f"{stream}/{payload_hash}"
    row = {"stream": stream, "key": key, "reason": reason, "payload_hash": payload_hash, "seen_at": datetime.now(UTC)}
    upsert(session, QuarantinedRow, [row])


def fingerprint(value: Any) -> str:
    """A short hash of a row and its children: equal content, equal fingerprint."""
    return hashlib.blake2b(msgspec.json.encode(value), digest_size=12).hexdigest()


def gid_number(gid: Any) -> int:
    """The number of "gid://shopify/Order/123". Raises MalformedRow."""
    if isinstance(gid, str):
        number = gid.partition("?")[0].rpartition("/")[2]
        if number.isdigit() and number.isascii() and (found := int(number)) < 2**63:
            return found
    raise MalformedRow(f"{gid!r} is not an id of Shopify's")


def linked(document: Document, field_name: str) -> int | None:
    """The id of an object this one points to; None where it points to nothing, or the field was not granted."""
    target = document.get(field_name)
    return gid_number(target["id"]) if target else None


def moment(text: Any) -> datetime:
    """An aware moment from Shopify's "2026-11-01T00:00:00Z". Raises MalformedRow."""
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise MalformedRow(f"{text!r} is not a moment with its zone")


def shop_day(at: datetime, zone: ZoneInfo) -> date:
    """The shop's calendar day of a moment."""
    return at.astimezone(zone).date()


def shop_money(bag: Any, currency: str) -> int:
    """Minor units of a MoneyBag in the shop's currency. Raises MalformedRow, also for another currency."""
    try:
        amount, code = bag["shopMoney"]["amount"], bag["shopMoney"]["currencyCode"]
    except (TypeError, KeyError):
        raise MalformedRow("an amount of money is missing") from None
    if code != currency:
        raise MalformedRow(f"an amount is in {code}, the shop's currency is {currency}")
    return to_minor(amount, currency)


def required(document: Document, name: str, kind: type[T]) -> T:
    """A field that must be there with this type. Raises MalformedRow."""
    value = document.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MalformedRow(f"{name} is missing or of the wrong type")
    if isinstance(value, int) and abs(value) >= 2**31:
        raise MalformedRow(f"{name} is too large")
    return value


def text_of(document: Document, name: str) -> str | None:
    """A field that may be null; NUL characters, which PostgreSQL cannot store, are dropped."""
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise MalformedRow(f"{name} is of the wrong type")
    if value.isascii() and "\x00" not in value:
        return value
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


def joined(values: Iterable[Any] | None) -> str:
    """A list of words as one text, separated by commas."""
    return ", ".join(str(value).replace("\x00", "") for value in values or ())
