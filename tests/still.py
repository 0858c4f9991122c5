"""Clocks that stand still: for what is true of one moment, however long a slow machine takes over it."""

from datetime import UTC, datetime, tzinfo
from types import ModuleType

import pytest


def stop_clock(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType, at: datetime | None = None) -> datetime:
    """For these modules it stays this moment, or the present one, which is returned."""
    moment = at or datetime.now(UTC)

    class Still(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return moment.astimezone(tz)

    for module in modules:
        monkeypatch.setattr(module, "datetime", Still)
    return moment
