"""Named places where a test may kill the worker, to prove that a run can be cut off anywhere.

FAIL_AT=point:n kills the process, as kill -9 does, when the point is reached for the n-th time.
"""

import os
import signal
from collections import Counter

from core.config import get_settings

POINTS = (
    "after_submit",
    "while_polling",
    "mid_download",
    "between_pages",
    "mid_transaction",
    "during_rollups",
    "after_commit",
    "token_renewed",
)
_reached: Counter[str] = Counter()


def reached(point: str) -> None:
    """Die here if this is where FAIL_AT says so."""
    fail_at = get_settings().fail_at
    if fail_at is None:
        return
    _reached[point] += 1
    if fail_at == (point, _reached[point]):
        os.kill(os.getpid(), signal.SIGKILL)
