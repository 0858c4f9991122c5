"""What knowing who asks adds to a page: the session, the user, the stores and the role, read anew on every run.

    python -m benchmarks.access [--orders 5000] [--runs 300]

The overview is run as Streamlit runs it, with its figures in the cache, for a user with ten stores. "Access" is what
the functions of core.ui.session take within a run, the store picker included; "cpu" is what of it the script's own
thread computes; "the rest" is the same runs without access. Figures are medians in milliseconds.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.isolation import DAYS, fill, use_database

ROUTER = Path(__file__).parents[1] / "pages" / "_router.py"
SHOPS, USER = 10, 1
ACCESS = ("current_user", "require_user", "require_shop", "pick_shop", "role_in_open_shop")
WARM_UP = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=5000, help="of each store")
    parser.add_argument("--runs", type=int, default=300)
    arguments = parser.parse_args()
    print(f"{'the overview':<14}{'access':>9}{'cpu':>8}{'p95':>9}{'the rest':>10}{'ratio':>8}   calls a run")
    with _timed() as spent:
        for database in ("sqlite", "postgresql"):
            with tempfile.TemporaryDirectory() as folder:
                use_database(folder, database)
                fill(SHOPS, arguments.orders, datetime.now(UTC).date() - timedelta(days=DAYS - 1))
                _print(database, arguments.runs, spent)


def _print(database: str, runs: int, spent: dict[str, float]) -> None:
    page = _page(_signed_in())
    taken = [_run(page, spent) for _ in range(WARM_UP + runs)][WARM_UP:]
    assert not page.exception and page.metric
    access = statistics.median(run["access"] for run in taken)
    late = statistics.quantiles([run["access"] for run in taken], n=20)[-1]
    cpu = statistics.median(run["cpu"] for run in taken)
    rest = statistics.median(run["run"] - run["access"] for run in taken)
    calls = ", ".join(f"{taken[-1][name]:.0f} {name}" for name in ACCESS if taken[-1].get(name))
    print(f"{database:<14}{access:>9.2f}{cpu:>8.2f}{late:>9.2f}{rest:>10.2f}{access / rest:>8.2f}   {calls}")


def _signed_in() -> str:
    """The hash of a live session of a user who is analyst of every store."""
    from core.auth import sessions
    from core.auth.tickets import digest
    from core.db.engine import system_session
    from core.db.models import Membership, User

    with system_session(write=True) as session:
        now = datetime.now(UTC)
        session.add(User(id=USER, email="ana@example.com", name="Ana", password_hash="", created_at=now))
        session.flush()
        for shop_id in range(1, SHOPS + 1):
            session.add(Membership(user_id=USER, shop_id=shop_id, role="analyst"))
    return digest(sessions.start(USER, None, None))


def _page(session_hash: str) -> Any:
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(ROUTER, default_timeout=60)
    page.user = {"sid": session_hash}
    return page


def _run(page: Any, spent: dict[str, float]) -> dict[str, float]:
    spent.clear()
    began = time.perf_counter()
    page.run()
    return {**spent, "run": (time.perf_counter() - began) * 1000}


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """What each run spends on access, and how often each function is called; one inside another counts once."""
    from core.ui import session

    spent: dict[str, float] = {}
    depth = 0

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            nonlocal depth
            depth += 1
            began, began_cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*given, **named)
            finally:
                depth -= 1
                if depth == 0:
                    spent["access"] = spent.get("access", 0.0) + (time.perf_counter() - began) * 1000
                    spent["cpu"] = spent.get("cpu", 0.0) + (time.thread_time() - began_cpu) * 1000
                    spent[name] = spent.get(name, 0) + 1

        return call

    usual = {name: getattr(session, name) for name in ACCESS}
    try:
        for name, function in usual.items():
            setattr(session, name, timed(name, function))
        yield spent
    finally:
        for name, function in usual.items():
            setattr(session, name, function)


if __name__ == "__main__":
    main()
