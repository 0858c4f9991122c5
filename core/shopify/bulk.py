"""Bulk operations: submit, wait, download, prove complete, read as documents; memory stays flat.

A file counts only when everything Shopify said about it holds. Asked for with groupObjects, children
follow their root and the file is streamed as it is; where that does not hold, lines are put in order
by an index on disk.
"""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from core.errors import AccessDenied, BulkFailed, GarbageAnswer, QueryRefused, ServerFault, Throttled, Unreachable
from core.log import mask
from core.shopify.client import ShopClient
from core.shopify.queries import BULK_RUN, BULK_STATUS, Connection

DEADLINE_S = 6 * 3600.0
SLOT_DEADLINE_S = 15 * 60.0
DOWNLOAD_TRIES = 4
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class BulkOperation:
    """One operation as last told; the counts stay 0 until late, so they are no progress bar."""

    id: str
    status: str
    error_code: str | None
    object_count: int
    root_object_count: int
    file_size: int | None
    url: str | None


@dataclass(frozen=True)
class BulkFile:
    """A proven file; `grouped` means that each child stands behind its parent in its root's group."""

    path: Path
    lines: int
    bytes: int
    grouped: bool


@dataclass(frozen=True)
class MalformedLine:
    """A line that cannot be used; `hangs_on` is the gid of the object that lacks it now, as far as can be told.

    It comes before the document it hangs on.
    """

    line_number: int
    reason: str
    sha256: str
    hangs_on: str | None


def submit(client: ShopClient, query: str, *, on_wait: Callable[[], None] = lambda: None) -> str:
    """Start a bulk query and return its gid, waiting while all slots are taken.

    An answer lost on the way is asked for again, so an operation may run unnoticed: it costs one of
    five slots until it ends, never rows. Raises QueryRefused, Throttled when no slot gets free.
    """
    give_up_at_s = client.clock() + SLOT_DEADLINE_S
    pause_s = 5.0
    while True:
        data = client.execute(BULK_RUN, {"query": query}).data
        try:
            payload = data["bulkOperationRunQuery"]
            errors = payload["userErrors"]
            if not errors:
                return str(payload["bulkOperation"]["id"])
            codes = {error.get("code") for error in errors}
            message = mask("; ".join(str(error["message"]) for error in errors))[:300]
        except (TypeError, KeyError, AttributeError) as fault:
            raise GarbageAnswer(f"{client.domain} did not say whether the bulk operation started.") from fault
        if not codes & {"OPERATION_IN_PROGRESS", "LIMIT_REACHED"}:
            raise QueryRefused(f"Shopify refuses the bulk query: {message}")
        if client.clock() + pause_s > give_up_at_s:
            raise Throttled(f"All bulk operations of {client.domain} are taken: {message}", retry_after_s=60.0)
        on_wait()
        client.sleep(pause_s)
        pause_s = min(20.0, pause_s * 2)  # shorter than the lease that on_wait renews


def poll(client: ShopClient, operation_id: str) -> BulkOperation:
    """How far an operation is. Raises BulkFailed when Shopify does not know it (any more)."""
    fields = client.execute(BULK_STATUS, {"id": operation_id}).data.get("bulkOperation")
    if fields is None:
        raise BulkFailed(f"Shopify does not know the bulk operation {operation_id}. Start the sync again.")
    try:
        return operation_from(fields)
    except (TypeError, KeyError, ValueError) as fault:
        raise GarbageAnswer(f"Shopify's word on the bulk operation {operation_id} makes no sense.") from fault


def operation_from(fields: dict[str, Any]) -> BulkOperation:
    """An operation from Shopify's fields; counts come as strings. Raises KeyError, TypeError, ValueError."""
    return BulkOperation(
        id=str(fields["id"]),
        status=str(fields["status"]),
        error_code=fields["errorCode"],
        object_count=int(fields["objectCount"]),
        root_object_count=int(fields["rootObjectCount"]),
        file_size=None if fields["fileSize"] is None else int(fields["fileSize"]),
        url=fields["url"],
    )


def wait(
    client: ShopClient,
    operation_id: str,
    *,
    on_poll: Callable[[BulkOperation], None] = lambda _: None,
    pause: Callable[[float], None] | None = None,
    deadline_s: float = DEADLINE_S,
) -> BulkOperation:
    """Poll until the operation is completed, every 0.1 s at first, every 10 s later; `pause` may end a pause early.

    Raises AccessDenied when a scope is missing (an empty result would be a lie), BulkFailed when the
    operation failed, was cancelled, expired, or has not ended within `deadline_s` seconds.
    """
    give_up_at_s = client.clock() + deadline_s
    pause_s = 0.1
    while True:
        operation = poll(client, operation_id)
        on_poll(operation)
        if operation.error_code == "ACCESS_DENIED":
            raise AccessDenied(
                f"{client.domain} denies the app a field of the bulk query. Grant the access to the app and sync again."
            )
        if operation.status == "COMPLETED":
            return operation
        if operation.status in ("FAILED", "CANCELED", "EXPIRED"):
            raise BulkFailed(
                f"The bulk operation {operation_id} ended as {operation.status} "
                f"({operation.error_code or 'no reason given'}). Start the sync again."
            )
        if client.clock() + pause_s > give_up_at_s:
            raise BulkFailed(f"The bulk operation {operation_id} is still {operation.status}. Sync again later.")
        (pause or client.sleep)(pause_s)
        pause_s = min(10.0, pause_s * 1.5)


def download(
    client: ShopClient, operation: BulkOperation, folder: Path, *, on_bytes: Callable[[int], None] = lambda _: None
) -> BulkFile:
    """Fetch the result into `folder` (the caller's, removed by the caller) and prove it complete.

    `on_bytes` hears the bytes so far. Raises BulkFailed saying what differs, Unreachable, ServerFault.
    """
    if operation.status != "COMPLETED" or operation.error_code is not None:
        raise BulkFailed(f"The bulk operation {operation.id} is {operation.status}, not completed.")
    path = folder / f"{operation.id.rpartition('/')[2] or 'bulk'}.jsonl"
    if operation.url is not None:
        _fetch(client, operation.url, path, on_bytes)
    elif operation.object_count == 0:
        path.write_bytes(b"")
    else:
        raise BulkFailed(f"The bulk operation {operation.id} has {operation.object_count} objects, but no result.")
    return prove(path, operation)


def _fetch(client: ShopClient, url: str, path: Path, on_bytes: Callable[[int], None]) -> None:
    """Read the result into a file; after a break the next try goes on where it was, if the server can."""
    path.write_bytes(b"")
    for last_try in (*[False] * (DOWNLOAD_TRIES - 1), True):
        have = path.stat().st_size
        try:
            with client.download(url, start=have) as response:
                goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
                with path.open("ab" if goes_on else "wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                        on_bytes(file.tell())
                return
        except (Unreachable, ServerFault):
            if last_try:
                raise
            client.sleep(5.0)


def prove(path: Path, operation: BulkOperation) -> BulkFile:
    """Check a downloaded file against what Shopify said about it, and whether it is grouped.

    Raises BulkFailed. A malformed line counts as a line: it is the reader's to set aside.
    """
    size = path.stat().st_size
    survey = _survey(path)
    if survey.last_line_cut:
        raise BulkFailed("The last line of the result is cut off. Start the sync again.")
    for what, found, announced in (
        ("bytes", size, size if operation.file_size is None else operation.file_size),
        ("lines", survey.lines, operation.object_count),
        # A malformed line may be a root or a child.
        ("objects", survey.roots + min(survey.malformed, max(0, operation.root_object_count - survey.roots)),
         operation.root_object_count),
    ):  # fmt: skip
        if found != announced:
            raise BulkFailed(f"The result holds {found} {what}, Shopify announced {announced}. Start the sync again.")
    if not survey.grouped:
        orphans = _build_index(path)
        if orphans and not survey.malformed:
            raise BulkFailed(f"{orphans} lines of the result belong to no object in it. Start the sync again.")
    return BulkFile(path, survey.lines, size, survey.grouped)


def documents(file: BulkFile, connections: tuple[Connection, ...]) -> Iterator[dict[str, Any] | MalformedLine]:
    """Each root object with its connections as plain lists: {"id": ..., "variants": [{...}, ...]}.

    Every connection is there, if empty. Of lines with the same id and parent the last counts. A line that
    cannot be used comes as MalformedLine, and so do the children of such a line.
    """
    root: dict[str, Any] | None = None
    open_nodes: _OpenNodes = {}
    for number, line in _lines(file):
        node, parent_id = _decode(line)
        if node is None:
            reason = "it is not a JSON object"
        elif parent_id is None:
            if isinstance(node.get("id"), str):
                if root is not None:
                    yield root
                root, open_nodes = node, {}
                _open(node, connections, open_nodes)
                continue
            reason = "it has no id"
        elif parent_id not in open_nodes:
            reason = "the line of its parent is missing or malformed"
        else:
            parent, offered = open_nodes[parent_id]
            connection = next((one for one in offered if one.marked_by in node), None)
            if connection is not None:
                parent[connection.name].append(node)
                _open(node, connection.nested, open_nodes)
                continue
            reason = "it fits no connection that was asked for"
        hangs_on = parent_id or _guess_owner(line, root["id"] if root is not None else None)
        yield MalformedLine(number, reason, hashlib.sha256(line).hexdigest(), hangs_on)
    if root is not None:
        yield root


_OpenNodes = dict[str, tuple[dict[str, Any], tuple[Connection, ...]]]


def _open(node: dict[str, Any], connections: tuple[Connection, ...], open_nodes: _OpenNodes) -> None:
    for connection in connections:
        node[connection.name] = []
    if connections and isinstance(node.get("id"), str):
        open_nodes[node["id"]] = (node, connections)


def _decode(line: bytes) -> tuple[dict[str, Any] | None, str | None]:
    try:
        node = msgspec.json.decode(line)
    except _UNREADABLE:
        return None, None
    parent_id = node.pop("__parentId", None) if isinstance(node, dict) else 0
    return (node, parent_id) if parent_id is None or isinstance(parent_id, str) else (None, None)


def _guess_owner(line: bytes, root_id: str | None) -> str | None:
    """What a damaged line hangs on: by its own words, else the group it stands in."""
    text = line.decode(errors="replace").replace("\\/", "/")
    if parent := re.search(r'"__parentId"\s*:\s*"([^"]+)"', text):
        return parent[1]
    own = re.search(r'"id"\s*:\s*"([^"]+)"', text)
    if own and (root_id is None or own[1].rpartition("/")[0] == root_id.rpartition("/")[0]):
        return own[1]  # it is a root itself
    return root_id


@dataclass
class _Survey:
    lines: int = 0
    roots: int = 0
    malformed: int = 0
    last_line_cut: bool = False
    grouped: bool = True


class _Keys(msgspec.Struct):
    id: str | None = None
    parent: str | None = msgspec.field(name="__parentId", default=None)


_KEYS = msgspec.json.Decoder(_Keys)


def _survey(path: Path) -> _Survey:
    survey = _Survey()
    with closing(sqlite3.connect("")) as seen, path.open("rb") as file:  # "" is a file of its own, gone when closed
        seen.execute("CREATE TABLE root (id TEXT PRIMARY KEY) WITHOUT ROWID")
        seen.executemany("INSERT OR IGNORE INTO root VALUES (?)", _root_ids(file, survey))
        (distinct_roots,) = seen.execute("SELECT count(*) FROM root").fetchone()
    survey.grouped = survey.grouped and distinct_roots == survey.roots
    return survey


def _root_ids(file: BinaryIO, survey: _Survey) -> Iterator[tuple[str]]:
    group: set[str] = set()
    for line in file:
        survey.lines += 1
        try:
            keys = _KEYS.decode(line)
        except _UNREADABLE:
            survey.malformed += 1
            survey.last_line_cut = not line.endswith(b"\n")
            continue
        if keys.parent is None:
            survey.roots += 1
            group = set()
        if keys.parent not in group and keys.parent is not None or keys.id in group:
            survey.grouped = False
        if keys.id is not None:
            group.add(keys.id)
        if keys.parent is None:
            yield (keys.id or "",)


def _lines(file: BulkFile) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, each after its parent and inside its root's group."""
    with file.path.open("rb") as content:
        if file.grouped:
            yield from enumerate(content, start=1)
            return
        with closing(_open_index(file.path)) as index:
            for number, offset, length in index.execute(_IN_GROUPS):
                content.seek(offset)
                yield number, content.read(length)


def _open_index(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path.with_suffix(".index"), isolation_level=None)


def _build_index(path: Path) -> int:
    """Write down which line belongs where, beside the file; returns how many belong nowhere."""
    path.with_suffix(".index").unlink(missing_ok=True)
    with closing(_open_index(path)) as index, path.open("rb") as content:
        index.execute("PRAGMA journal_mode = OFF")
        index.execute("PRAGMA synchronous = OFF")
        index.execute("PRAGMA temp_store = FILE")
        index.execute("CREATE TABLE line (number INTEGER PRIMARY KEY, offset, length, usable, id TEXT, parent TEXT)")
        index.execute("BEGIN")
        index.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?)", _places(content))
        for statement in _ORDER_LINES:
            index.execute(statement)
        index.execute("COMMIT")
        (orphans,) = index.execute(
            "SELECT count(*) FROM line WHERE usable AND number NOT IN (SELECT number FROM placed)"
        ).fetchone()
    return int(orphans)


def _places(content: BinaryIO) -> Iterator[tuple[int, int, int, bool, str | None, str | None]]:
    offset = 0
    root_id: str | None = None
    for number, line in enumerate(content, start=1):
        try:
            keys = _KEYS.decode(line)
            if keys.parent is None:
                root_id = keys.id
            yield number, offset, len(line), True, keys.id, keys.parent
        except _UNREADABLE:
            yield number, offset, len(line), False, None, _guess_owner(line, root_id)
        offset += len(line)


_ORDER_LINES = (
    "CREATE INDEX line_id ON line (id, number)",
    """DELETE FROM line WHERE id IS NOT NULL AND EXISTS (
         SELECT 1 FROM line later
         WHERE later.id = line.id AND later.parent IS line.parent AND later.number > line.number)""",
    "CREATE INDEX line_parent ON line (parent)",
    "CREATE TABLE placed (number INTEGER PRIMARY KEY, root, depth)",
    # Bulk nests two levels; the limit ends the circle of two lines that name each other.
    """INSERT OR IGNORE INTO placed
       WITH RECURSIVE tree (number, id, root, depth) AS (
         SELECT number, id, number, 0 FROM line WHERE usable AND parent IS NULL
         UNION ALL
         SELECT line.number, line.id, tree.root, tree.depth + 1
         FROM tree JOIN line ON line.parent = tree.id WHERE tree.depth < 5)
       SELECT number, root, depth FROM tree""",
)
_IN_GROUPS = """SELECT line.number, offset, length FROM line LEFT JOIN placed USING (number)
                ORDER BY coalesce(root, line.number), depth, line.number"""
