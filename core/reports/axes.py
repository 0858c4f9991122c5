"""What stands at the axes of charts: round steps, and names of days, weeks and months."""

import math

from core.analytics.period import Bucket, Grain
from core.reports import formatting


def ticks(low: float, high: float) -> list[float]:
    """Whole round numbers from at or below `low` to at or above `high`, 0 among them, in some five even steps."""
    low, high = min(low, 0.0), max(high, 0.0)
    raw = max((high - low) / 5, 1.0)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(step for size in (1, 2, 2.5, 5, 10) if (step := size * power) >= raw * 0.999 and step == int(step))
    first, last = math.floor(low / step), max(math.ceil(high / step), 1 if low == 0 else 0)
    return [i * step for i in range(first, last + 1)]


def bucket_tick(bucket: Bucket, grain: Grain, days: int) -> str:
    """A bucket on an axis, in a period of so many days."""
    many_years = days > 366
    if grain == "month":
        name = formatting.day(bucket.start).split(" ", 1)[1]
        return f"{name} {bucket.start.year}" if many_years else name
    return formatting.day(bucket.period.start, year=many_years)


def bucket_name(bucket: Bucket, grain: Grain) -> str:
    """A bucket in words: "Fri 20 Nov 2026", "16 Nov to 22 Nov 2026"."""
    if bucket.period.start == bucket.period.end:
        return f"{bucket.period.start:%a} {formatting.day(bucket.period.start, year=True)}"
    if grain == "month" and bucket.period.start == bucket.start and bucket.period.days >= 28:
        return f"{formatting.day(bucket.start, year=True).split(' ', 1)[1]}"
    return f"{formatting.day(bucket.period.start)} to {formatting.day(bucket.period.end, year=True)}"
