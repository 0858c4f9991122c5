"""What happens when the program starts and stops."""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio.to_thread
from starlette.routing import Router

from core import log
from core.auth.accounts import ensure_demo_users
from core.config import get_settings
from core.db.migrate import migrate
from core.db.vault import check_keys
from core.errors import AppError
from core.reports.mailing import JOBS
from core.sync.connect import ensure_demo_shops
from core.sync.scheduler import start_inbox, start_worker
from core.web.assistants import answering_assistants
from core.web.demo import order_every
from core.web.routes import ROUTES

logger = logging.getLogger(__name__)


def prepare() -> bool:
    """Tables, key, and while DEMO is on the demo stores and users; whether demo users are new. Raises AppError."""
    settings = get_settings()
    log.configure(settings.log_level, settings.log_format)
    migrate()
    check_keys()
    return ensure_demo_users(ensure_demo_shops()) if settings.demo else False


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Prepare, run the workers while the program runs, and let them finish their batches at the end."""
    try:
        await anyio.to_thread.run_sync(prepare)
    except AppError as error:
        # The sentence is the message; a traceback would bury it.
        sys.stderr.write(f"\nShoptally cannot start: {error}\n\n")
        raise SystemExit(3) from None
    stop = threading.Event()
    settings = get_settings()
    workers = [start_worker(stop, more=JOBS), start_inbox(stop)] if settings.sync_worker else []
    every = settings.demo_order_seconds if settings.demo else 0
    orders = asyncio.create_task(order_every(every, Router(routes=ROUTES))) if every else None
    try:
        async with answering_assistants():
            yield
    finally:
        stop.set()
        if orders is not None:
            orders.cancel()
            with suppress(asyncio.CancelledError):
                await orders
        for worker in workers:
            await anyio.to_thread.run_sync(worker.join, 10.0)
