"""Whether the process lives, and whether it may be sent visitors."""

from collections.abc import Callable

from sqlalchemy import exc as sa_exc
from starlette.requests import Request
from starlette.responses import JSONResponse

from core.config import get_settings
from core.db.engine import get_engine
from core.db.migrate import is_current
from core.db.vault import keys_open
from core.errors import AppError
from core.sync.heartbeat import pulse

_NOT_KEPT = {"Cache-Control": "no-store"}


async def health(_: Request) -> JSONResponse:
    """200 as long as the process answers. It touches nothing else: restarting helps no database that is away.

    On the event loop on purpose: where that hangs, so does the dashboard.
    """
    return JSONResponse({"status": "ok"}, headers=_NOT_KEPT)


def ready(_: Request) -> JSONResponse:
    """200 when visitors can be served, else 503; each check by its name is "ok", or a word of what is wrong.

    A plain `def`: Starlette runs it off the event loop that the dashboard's connections share.
    """
    checks: dict[str, str] = {}
    for name, check in _CHECKS:
        checks[name] = check()
        if checks[name] not in _FINE:
            break  # what comes later rests on it
    served = all(said in _FINE for said in checks.values())
    status = "ready" if served else "not ready"
    return JSONResponse({"status": status, "checks": checks}, 200 if served else 503, _NOT_KEPT)


def _database() -> str:
    try:
        return "ok" if is_current(get_engine()) else "tables of another version"
    except (sa_exc.SQLAlchemyError, AppError):
        return "unavailable"


def _keys() -> str:
    try:
        return "ok" if keys_open() else "do not open what is stored"
    except AppError:
        return "unknown"


def _scheduler() -> str:
    if not get_settings().sync_worker:
        return "not asked"
    try:
        return "ok" if pulse().alive else "silent"
    except AppError:
        return "unknown"


_FINE = ("ok", "not asked")
_CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("database", _database),
    ("keys", _keys),
    ("scheduler", _scheduler),
)
