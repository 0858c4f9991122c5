"""Which role may do what in a store: the one table that pages ask what to show, and functions what to refuse."""

from core.errors import NotPermitted

ROLES = ("owner", "admin", "analyst", "viewer")


def may(role: str, action: str) -> bool:
    """Whether a role may do something. Raises KeyError for an action that is not in ACTIONS."""
    return role in ACTIONS[action][1]


def require(role: str, action: str) -> None:
    """Raises NotPermitted with who may do it."""
    what, allowed = ACTIONS[action]
    if role not in allowed:
        who = " or ".join(f"an {name}" for name in allowed[:2])
        raise NotPermitted(f"As {role or 'a stranger'} of this store you may not {what}. Ask {who} of the store.")


# action: what a sentence calls it, and who may
ACTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "view": ("see it", ("owner", "admin", "analyst", "viewer")),
    "sync_now": ("start a sync", ("owner", "admin", "analyst")),
    "export": ("download figures", ("owner", "admin", "analyst")),
    "save_view": ("save views", ("owner", "admin", "analyst")),
    "set_goals": ("set goals", ("owner", "admin", "analyst")),
    "delete_shared_view": ("delete views of others", ("owner", "admin")),
    "make_key": ("make API keys", ("owner", "admin", "analyst")),
    "connect_store": ("connect or disconnect it", ("owner", "admin")),
    "sync_settings": ("change how it is synced", ("owner", "admin")),
    "keep_data": ("change how long its data is kept", ("owner", "admin")),
    "manage_team": ("change its team", ("owner", "admin")),
    "view_audit": ("read what its team did", ("owner", "admin")),
    "manage_owners": ("make or change owners", ("owner",)),
    "manage_privacy": ("answer requests about personal data", ("owner",)),
    "require_second_factor": ("say who needs a second factor", ("owner",)),
    "delete_store": ("delete it", ("owner",)),
}
