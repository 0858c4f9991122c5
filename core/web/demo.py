"""The demo's live orders: placed now and then, and told to this program's own route as Shopify would tell them."""

import logging

import anyio
import anyio.to_thread
import httpx2
from starlette.types import ASGIApp

from core.errors import AppError
from core.sync import demo_orders

log = logging.getLogger(__name__)


async def order_every(seconds: int, app: ASGIApp) -> None:
    """Place orders and deliver their webhooks to `app`, until cancelled."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client:
        while True:
            await anyio.sleep(seconds)
            try:
                for webhook in await anyio.to_thread.run_sync(demo_orders.place):
                    answer = await client.post("/webhooks/shopify", content=webhook.body, headers=webhook.headers)
                    if answer.status_code != 200:  # the next sync finds the order, as it would a real one
                        log.warning("a webhook of the demo was answered %d", answer.status_code)
            except AppError as error:
                log.warning("the demo got no order: %s", error)
            except Exception:  # whatever it is, the next one comes
                log.exception("the demo got no order")
