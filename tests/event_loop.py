"""Run what is asynchronous from a test that is not."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio


def run(task: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """What a task returns or raises; in its own thread, for a browser's event loop may hold this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, task, *args).result()
