"""The bulk operations of one demo shop: at most five at once, finished after being asked about twice."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from graphql import GraphQLSchema

from core.demo.bulk import BulkFile, refusals, run_bulk
from core.demo.shapes import Shape, gid, moment_text
from core.demo.views import Store, take_snapshot

AT_ONCE = 5
FILES_KEPT = 6
LONGEST_RUN = timedelta(seconds=60)  # for operations nobody asks about: they must not hold a place for ever


@dataclass
class Operation:
    """One bulk operation; `key` is the secret part of its file's address."""

    number: int
    query: str
    grouped: bool
    created_at: datetime
    status: str = "CREATED"
    completed_at: datetime | None = None
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    file: BulkFile | None = None
    lock: Lock = field(default_factory=Lock)


@dataclass
class Operations:
    """All bulk operations of one shop in this process."""

    by_number: dict[int, Operation] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


def start(
    operations: Operations, schema: GraphQLSchema, query: str, now: datetime, *, grouped: bool
) -> tuple[Operation | None, list[Shape]]:
    """A new operation, or the userErrors that say why there is none."""
    if messages := refusals(schema, query):
        return None, [_user_error("INVALID", ["query"], message) for message in messages]
    with operations.lock:
        busy = [operation for operation in operations.by_number.values() if _is_busy(operation, now)]
        if len(busy) >= AT_ONCE:
            ids = ", ".join(gid("BulkOperation", operation.number) for operation in busy)
            message = f"A bulk query operation for this app and shop is already in progress: {ids}."
            return None, [_user_error("OPERATION_IN_PROGRESS", None, message)]
        operation = Operation(8_001_977_000_000 + (len(operations.by_number) + 1) * 32_768, query, grouped, now)
        operations.by_number[operation.number] = operation
        return operation, []


def advance(operations: Operations, operation: Operation, schema: GraphQLSchema, store: Store, now: datetime) -> None:
    """Take an operation one step further, as asking about it does: CREATED, RUNNING, COMPLETED."""
    with operation.lock:
        if operation.status == "CREATED":
            operation.status = "RUNNING"
        elif operation.status == "RUNNING":
            snapshot = take_snapshot(store, operation.created_at)
            operation.file = run_bulk(schema, operation.query, snapshot, grouped=operation.grouped)
            operation.completed_at, operation.status = now, "COMPLETED"
            _forget_old_files(operations)
        elif operation.status == "CANCELING":
            operation.status = "CANCELED"


def cancel(operation: Operation) -> list[Shape]:
    """Cancel an operation, or say why not."""
    with operation.lock:
        if operation.status not in ("CREATED", "RUNNING"):
            done = operation.status.lower()
            return [{"field": None, "message": f"A bulk operation cannot be canceled when it is {done}"}]
        operation.status = "CANCELING"
        return []


def show(operation: Operation, files_at: str) -> Shape:
    """An operation as Shopify shows it: counts stay 0 until it is complete, no file means no url."""
    file = operation.file if operation.status == "COMPLETED" else None
    return {
        "__typename": "BulkOperation", "id": gid("BulkOperation", operation.number), "status": operation.status,
        "type": "QUERY", "errorCode": None, "createdAt": moment_text(operation.created_at),
        "completedAt": moment_text(operation.completed_at) if operation.completed_at else None,
        "objectCount": str(file.objects) if file else "0", "rootObjectCount": str(file.roots) if file else "0",
        "fileSize": str(len(file.content)) if file and file.objects else None,
        "url": f"{files_at}/{operation.number}-{operation.key}.jsonl" if file and file.objects else None,
        "partialDataUrl": None, "query": operation.query,
    }  # fmt: skip


def _is_busy(operation: Operation, now: datetime) -> bool:
    return operation.status in ("CREATED", "RUNNING") and now - operation.created_at < LONGEST_RUN


def _forget_old_files(operations: Operations) -> None:
    with operations.lock:
        done = [operation for operation in operations.by_number.values() if operation.file is not None]
        for operation in done[:-FILES_KEPT]:
            operation.file, operation.status = None, "EXPIRED"


def _user_error(code: str, path: list[str] | None, message: str) -> Shape:
    return {"__typename": "BulkOperationUserError", "code": code, "field": path, "message": message}
