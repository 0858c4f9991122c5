"""What a demo shop destroys now and then: cancelled orders, and accounts that never bought anything."""

from datetime import datetime, timedelta

from core.demo.history import Customer
from core.demo.orders import Order
from core.demo.shapes import Row, gid, moment_text


def order_destroyed_at(order: Order) -> datetime | None:
    """When an order is destroyed: every other one that was cancelled, some days later."""
    if order.cancelled_at is None or order.sequence % 2:
        return None
    return order.cancelled_at + timedelta(days=1 + order.sequence % 13, seconds=order.number % 40_000)


def customer_destroyed_at(customer: Customer) -> datetime | None:
    """When an account is destroyed: one in three of those that signed up and never bought."""
    count = customer.number // 32_768
    if customer.orders or count % 3:
        return None
    return customer.created_at + timedelta(days=3 + count % 17, seconds=count % 40_000)


def destroyed_event(kind: str, number: int, at: datetime) -> Row:
    """The event that tells of it."""
    return Row(
        number + 512, at, at, at,
        lambda: {
            "__typename": "BasicEvent", "id": gid("BasicEvent", number + 512), "action": "destroy",
            "createdAt": moment_text(at), "subjectId": gid(kind, number), "subjectType": kind.upper(),
        },
        {"action": "destroy", "subject_type": kind.upper()},
    )  # fmt: skip
