"""Goals as they are stored: from a month on, by who may, in one store. On both databases."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.auth import audit, goals, members
from core.auth.goals import Target, goals_of, set_goal, targets
from core.auth.roles import ROLES
from core.errors import InputError, NotPermitted
from tests import factories as make

OWNER, ADMIN, ANALYST, VIEWER, CHARLIE = 1001, 1002, 1003, 1004, 1005
MARCH, APRIL, MAY, JUNE = (date(2026, month, 1) for month in (3, 4, 5, 6))


@pytest.fixture
def team(database: Engine) -> None:
    """Shop 1 has one member of each role; Charlie owns shop 2."""
    make.add_shop(1)
    make.add_shop(2)
    for role, user_id in zip(ROLES, (OWNER, ADMIN, ANALYST, VIEWER), strict=True):
        make.add_user(user_id, f"{role}@example.com", 1, role=role)
    make.add_user(CHARLIE, "charlie@example.com", 2)


def test_a_target_holds_from_its_month_until_the_next_one_and_ends_with_none(team):
    set_goal(1, OWNER, "net_sales", MARCH, 100)
    set_goal(1, ADMIN, "net_sales", MAY, 200)
    set_goal(1, ANALYST, "net_sales", JUNE, None)
    set_goal(1, ANALYST, "orders", APRIL, 7)
    assert goals_of(1, date(2026, 2, 1)) == {}
    assert goals_of(1, MARCH) == {"net_sales": 100}
    assert goals_of(1, APRIL) == {"net_sales": 100, "orders": 7}
    assert goals_of(1, MAY) == {"net_sales": 200, "orders": 7}
    assert goals_of(1, JUNE) == goals_of(1, date(2030, 1, 1)) == {"orders": 7}
    assert goals_of(2, MAY) == {}


def test_setting_a_month_again_replaces_it_whatever_the_day(team):
    set_goal(1, OWNER, "orders", date(2026, 3, 17), 5)
    set_goal(1, OWNER, "orders", date(2026, 3, 31), 9)
    assert targets(1) == (Target("orders", MARCH, 9),)


@pytest.mark.parametrize("actor, shop_id", [(VIEWER, 1), (CHARLIE, 1), (OWNER, 2), (99, 1), (OWNER, 99)])
@pytest.mark.parametrize("target", [500, None])
def test_a_viewer_and_a_stranger_change_nothing(team, actor, shop_id, target):
    set_goal(1, OWNER, "orders", MARCH, 5)
    with pytest.raises(NotPermitted):
        set_goal(shop_id, actor, "orders", MARCH, target)
    assert (targets(1), targets(2)) == ((Target("orders", MARCH, 5),), ())


@pytest.mark.parametrize("target", [0, -1, 10**15, 10**40])
def test_a_goal_is_above_zero_and_of_this_world(team, target):
    with pytest.raises(InputError, match="above 0"):
        set_goal(1, OWNER, "orders", MARCH, target)
    set_goal(1, OWNER, "orders", MARCH, 10**15 - 1)
    assert goals_of(1, MARCH) == {"orders": 10**15 - 1}


def test_who_set_a_goal_is_in_the_audit_list(team):
    set_goal(1, ANALYST, "net_sales", MARCH, 5_000_00, in_words="$5,000.00")
    set_goal(1, OWNER, "net_sales", MAY, None)
    found = audit.events(1, since=make.at("2020-01-01"), until=make.at("2100-01-01"), action="goal_set")
    assert [(event.actor, event.target) for event in found] == [
        ("owner@example.com", "net_sales from 2026-05: no goal"),
        ("analyst@example.com", "net_sales from 2026-03: $5,000.00"),
    ]


def test_a_goal_stays_when_who_set_it_leaves(team):
    set_goal(1, ANALYST, "orders", MARCH, 5)
    members.remove(OWNER, 1, ANALYST)
    assert goals_of(1, MARCH) == {"orders": 5}


@given(
    st.dictionaries(st.dates(date(2025, 1, 1), date(2026, 12, 31)).map(lambda day: day.replace(day=1)),
                    st.none() | st.integers(1, 9)),
    st.dates(date(2024, 1, 1), date(2027, 12, 31)),
)  # fmt: skip
def test_the_target_of_a_month_is_the_last_one_set_for_it_or_before(rows, month):
    found = tuple(Target("orders", start, target) for start, target in sorted(rows.items()))
    before = [start for start in rows if start <= month]
    expected = rows[max(before)] if before else None
    assert goals.in_month(found, month).get("orders") == expected
