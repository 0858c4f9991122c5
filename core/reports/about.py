"""What a file says of itself: whose figures, of which days, in which currency, and how old."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from core.analytics.period import Period


@dataclass(frozen=True)
class Store:
    """A shop's own facts; `synced_at` is when its data was fetched last, None before the first sync."""

    shop_id: int
    name: str
    domain: str
    currency: str
    time_zone: str
    synced_at: datetime | None


@dataclass(frozen=True)
class About:
    """One file: its title, its days on the store's calendar, what they are compared with, and what is left out.

    `period` is None for figures that do not depend on one. `filters` are names and chosen values as the page says them.
    """

    store: Store
    title: str
    period: Period | None
    against: Period | None = None
    filters: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> list[tuple[str, str]]:
        """Label and text of every fact, in the order a reader asks for them."""
        found = [("Report", self.title), ("Store", f"{self.store.name} ({self.store.domain})")]
        if self.period is not None:
            found.append(("Period", days(self.period)))
            found.append(("Compared with", days(self.against) if self.against else "Nothing"))
        found += [
            ("Time zone", f"{self.store.time_zone}: days and hours are the store's"),
            ("Currency", self.store.currency),
            ("Data as of", data_age(self.store)),
            *self.filters.items(),
            ("Left out", "Test orders and deleted orders"),
        ]
        return found


def days(period: Period) -> str:
    """A period by its dates: "2026-10-22 to 2026-11-20 (30 days)"."""
    if period.days == 1:
        return period.start.isoformat()
    return f"{period.start.isoformat()} to {period.end.isoformat()} ({period.days} days)"


def data_age(store: Store) -> str:
    """When the data was fetched, on the store's clock."""
    if store.synced_at is None:
        return "Not synced yet"
    return f"{store.synced_at.astimezone(ZoneInfo(store.time_zone)):%Y-%m-%d %H:%M} ({store.time_zone})"


def file_name(store: Store, kind: str, period: Period | None, ending: str) -> str:
    """Named after the shop and its own calendar days, such as "harbor_products_2026-10-22_2026-11-20.csv"."""
    shop = store.domain.removesuffix(".myshopify.com")
    span = f"_{period.start.isoformat()}_{period.end.isoformat()}" if period else ""
    return f"{shop}_{kind}{span}.{ending}"
