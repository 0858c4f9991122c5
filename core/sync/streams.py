"""What is done for each shop, and how often: STREAMS is the menu, in the order of one run.

When each is due for which shop stands in sync_state; a shop may have another interval there, or none.
"""

from dataclasses import dataclass
from datetime import timedelta

from core.sync.resources import RESOURCES
from core.sync.resources.resource import Resource

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Stream:
    """One stream of a shop's sync and how often it is due.

    A sync is whole without an `extra` one that the token does not allow. What is not `asked` for by Sync now checks
    the others on its own schedule.
    """

    name: str
    label: str
    every: timedelta
    extra: bool = False
    asked: bool = True

    def interval(self, every_s: int | None) -> timedelta | None:
        """The time between two runs where a shop chose `every_s` seconds (None: the stream's own); None is never."""
        if every_s is None:
            return self.every
        return timedelta(seconds=every_s) if every_s > 0 else None

    @property
    def resource(self) -> Resource | None:
        """What it reads, where it reads one kind of object."""
        return next((resource for resource in RESOURCES if resource.stream == self.name), None)


SHOP_STREAM = "shop"
STREAMS: tuple[Stream, ...] = (
    Stream(SHOP_STREAM, "Store", 12 * _HOUR),
    Stream("products", "Products", 12 * _HOUR),
    Stream("customers", "Customers", 12 * _HOUR),
    Stream("orders", "Orders", _HOUR),
    Stream("checkouts", "Abandoned checkouts", 12 * _HOUR, extra=True),
    Stream("inventory", "Inventory", 12 * _HOUR, extra=True),
    Stream("deletes", "Deletions", _HOUR, extra=True),
    Stream("rescan", "Last 3 days again", _DAY, extra=True, asked=False),
    Stream("sweep", "Check of all ids", 7 * _DAY, extra=True, asked=False),
)
STREAM: dict[str, Stream] = {stream.name: stream for stream in STREAMS}
NAMES: tuple[str, ...] = tuple(STREAM)
