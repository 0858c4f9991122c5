"""Goals of a store: who may set one is asked in the same transaction that writes it, which is why they live here.

Analytics only reads, and says elsewhere what a month will reach (core/analytics/goals.py).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlmodel import col, select

from core.auth import audit, members
from core.db.engine import shop_session
from core.db.models import Goal
from core.db.upsert import upsert
from core.errors import InputError

_TOO_LARGE = 10**15  # as for money: nothing real is as large, and sums stay within 64 bits


@dataclass(frozen=True)
class Target:
    """What a metric is to reach in a month and in every later one, until another target begins; None: nothing."""

    metric: str
    month: date
    target: int | None


def set_goal(
    shop_id: int,
    actor_id: int,
    metric: str,
    month: date,
    target: int | None,
    *,
    in_words: str = "",
    address: str | None = None,
) -> None:
    """From this month on a metric is to reach `target`, in minor units or a count; None ends the goal.

    `in_words` is the target as the audit list shows it. Raises NotPermitted, InputError.
    """
    if target is not None and not 0 < target < _TOO_LARGE:
        raise InputError(f"A goal is a number above 0 and below {_TOO_LARGE:,}. Enter what a month is to reach.")
    month = month.replace(day=1)
    with shop_session(shop_id, write=True) as session:
        actor, _ = members.permit(session, actor_id, shop_id, "set_goals")
        row = {"metric": metric, "month": month, "target": target}
        upsert(session, Goal, [row | {"created_by": actor_id, "changed_at": datetime.now(UTC)}])
        told = f"{metric} from {month:%Y-%m}: {in_words or target or 'no goal'}"
        audit.record(actor.email, "goal_set", shop_id=shop_id, target=told, address=address, session=session)


def targets(shop_id: int) -> tuple[Target, ...]:
    """Every target that was ever set, by metric, the oldest first."""
    query = select(Goal).order_by(col(Goal.metric), col(Goal.month))
    with shop_session(shop_id) as session:
        return tuple(Target(row.metric, row.month, row.target) for row in session.exec(query))


def goals_of(shop_id: int, month: date) -> dict[str, int]:
    """What each metric that has a goal is to reach in a month."""
    return in_month(targets(shop_id), month)


def in_month(found: tuple[Target, ...], month: date) -> dict[str, int]:
    """The same from targets that were read before, the oldest first."""
    valid = {each.metric: each.target for each in found if each.month <= month}
    return {metric: target for metric, target in valid.items() if target is not None}
