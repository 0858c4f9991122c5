"""How long pages take: measured by this process, read by /metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Histogram

_SECONDS = Histogram(
    "shoptally_page_seconds",
    "How long a page took to run, from the click to its end; the name of the page is its address.",
    labelnames=("page",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@contextmanager
def measured(page: str) -> Iterator[None]:
    """Measure a run of a page, also one that is stopped or begun anew before its end."""
    began_at_s = time.perf_counter()
    try:
        yield
    finally:
        _SECONDS.labels(page).observe(time.perf_counter() - began_at_s)
