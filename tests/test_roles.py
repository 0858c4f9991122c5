"""Which role may do what, told once more as a table of letters."""

import pytest

from core.auth.roles import ACTIONS, ROLES, may, require
from core.errors import NotPermitted

# A column for each role: owner, admin, analyst, viewer.
MATRIX = {
    "view": "yyyy",
    "sync_now": "yyy-",
    "export": "yyy-",
    "save_view": "yyy-",
    "set_goals": "yyy-",
    "delete_shared_view": "yy--",
    "make_key": "yyy-",
    "connect_store": "yy--",
    "sync_settings": "yy--",
    "keep_data": "yy--",
    "manage_team": "yy--",
    "view_audit": "yy--",
    "manage_owners": "y---",
    "manage_privacy": "y---",
    "require_second_factor": "y---",
    "delete_store": "y---",
}
CASES = [(role, action, row[at] == "y") for action, row in MATRIX.items() for at, role in enumerate(ROLES)]


def test_every_action_is_in_the_table():
    assert set(MATRIX) == set(ACTIONS)


@pytest.mark.parametrize(("role", "action", "allowed"), CASES)
def test_each_role_may_do_what_the_table_says_and_nothing_else(role, action, allowed):
    assert may(role, action) is allowed
    if allowed:
        require(role, action)
    else:
        with pytest.raises(NotPermitted, match=r"may not .+\. Ask an owner.* of the store\."):
            require(role, action)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", ["", "Owner", "god", "own", "owner,admin"])
def test_a_role_that_does_not_exist_may_do_nothing(role, action):
    assert may(role, action) is False
    with pytest.raises(NotPermitted):
        require(role, action)


def test_an_action_that_does_not_exist_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        may("owner", "fly")
    with pytest.raises(KeyError):
        require("owner", "fly")
