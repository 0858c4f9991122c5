"""The team of a store: its members, invitations, and what changes them."""

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import streamlit as st

from core.auth import links, members
from core.auth.accounts import Account, ShopAccess
from core.auth.members import Invitation, Member
from core.auth.roles import ACTIONS, ROLES, may
from core.config import get_settings
from core.errors import AppError
from core.ui.formatting import moment, plain
from core.ui.session import address, keep, recall, run_again

_ROW = 36
_RESET_HELP = "A link that lets this person choose a new password. It works once, for an hour."


def tell() -> None:
    """What the last click did; a link to copy is shown once."""
    if said := recall("team_said"):
        text, link = said
        st.success(text, icon=":material/check_circle:")
        if link:
            st.code(link, language=None, wrap_lines=True)
        keep("team_said", None)


def people(team: Sequence[Member]) -> None:
    """The members."""
    shown = pd.DataFrame(
        [
            {
                "Name": member.name,
                "E-mail": member.email,
                "Role": member.role.capitalize(),
                "Second factor": "On" if member.has_second_factor else "Off",
                "Account": "Active" if member.active else "Switched off",
            }
            for member in team
        ]
    )
    st.dataframe(
        shown, hide_index=True, key="team", row_height=_ROW, alt="The members of this store's team with their roles",
        column_config={"Name": st.column_config.TextColumn(pinned=True)},
    )  # fmt: skip


def what_roles_may() -> None:
    """The table of rights."""
    st.table(
        {
            "May": [what.capitalize() for what, _ in ACTIONS.values()],
            **{role.capitalize(): ["Yes" if may(role, action) else "" for action in ACTIONS] for role in ROLES},
        },
        border="horizontal",
        hide_index=True,
        alt="What each role may do",
    )


def invite(user: Account, shop: ShopAccess) -> None:
    """Address and role; the link goes out by e-mail where that is set up, else it is shown to copy."""
    by_mail = get_settings().sends_links and not user.is_demo
    with st.form("invite_form", border=False, clear_on_submit=True):
        email = st.text_input("E-mail address", key="invite_email", autocomplete="off")
        role = st.selectbox("Role", _roles_for(shop), index=None, placeholder="Choose a role", key="invite_role",
                            format_func=str.capitalize)  # fmt: skip
        pressed = st.form_submit_button("Send the invitation" if by_mail else "Make a link", type="primary")
    st.caption("Works once, for seven days, and only for this address.")
    if pressed and role is None:
        st.error("Choose a role.", icon=":material/error:")
    elif pressed:
        _try(lambda: _invite(user, shop, email, role or "", by_mail))


def change(user: Account, shop: ShopAccess, team: Sequence[Member]) -> None:
    """Another role, removal, or a link to choose a new password."""
    names = {member.user_id: f"{member.name} ({member.email})" for member in team}
    user_id = st.selectbox("Member", list(names), format_func=names.__getitem__, key="change_member")
    role = next(member.role for member in team if member.user_id == user_id)
    choices = [name for name in ROLES if name in _roles_for(shop) or name == role]
    wanted = st.selectbox(
        "Role", choices, index=choices.index(role), format_func=str.capitalize, key=f"change_role_{user_id}"
    )
    where = {"address": address()}
    with st.container(horizontal=True):
        if st.button("Save the role", key="save_role", type="primary", disabled=wanted == role):
            _try(
                lambda: members.change_role(user.user_id, shop.shop_id, user_id, wanted, **where), "The role is saved."
            )
        if st.button("Remove", key="remove_member", icon=":material/person_remove:"):
            _try(lambda: members.remove(user.user_id, shop.shop_id, user_id, **where), "Removed from the team.")
        if st.button("Password link", key="reset_member", icon=":material/lock_reset:", help=_RESET_HELP):
            _try(lambda: _reset_link(user, shop, user_id, names[user_id]))
    st.caption("Whoever gets another role or leaves is signed out everywhere.")


def invitations(user: Account, shop: ShopAccess, waiting: Sequence[Invitation]) -> None:
    """Each with a way to take it back."""
    for each in waiting:
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", border=True,
            key=f"invitation_{each.number[:16]}",
        ):  # fmt: skip
            until = moment(each.expires_at, shop.time_zone)
            st.markdown(f"**{plain(each.email)}** as {each.role}  \n:small[until {until}]", width="content")
            pressed = st.button("Withdraw", key=f"withdraw_{each.number[:16]}", icon=":material/cancel:")
        if pressed:
            _try(partial(_withdraw, user, shop, each), "The invitation is withdrawn.")


def second_factor(user: Account, shop: ShopAccess) -> None:
    """Whether members without a second factor see the store."""
    wanted = st.toggle(
        "Show this store only to members with a second factor",
        value=shop.needs_second_factor,
        key="needs_second_factor",
    )
    if wanted != shop.needs_second_factor:
        _try(
            lambda: members.require_second_factor(user.user_id, shop.shop_id, wanted, address=address()),
            "Saved. Members without a second factor are asked to set one up." if wanted else "Saved.",
        )


def _roles_for(shop: ShopAccess) -> list[str]:
    return [role for role in ROLES if role != "owner" or may(shop.role, "manage_owners")]


def _invite(user: Account, shop: ShopAccess, email: str, role: str, by_mail: bool) -> None:
    secret = members.invite(user.user_id, shop.shop_id, email, role, by_mail=by_mail, address=address())
    invited = members.invitation(secret)
    if by_mail and invited is not None:
        links.send_invitation(invited, secret, user.name)
        keep("team_said", ("The invitation is on its way.", None))
    else:
        text = "Hand this link to the person you invite. It is shown only now."
        keep("team_said", (text, links.link(members.INVITE, secret, _base())))


def _reset_link(user: Account, shop: ShopAccess, user_id: int, name: str) -> None:
    secret = links.reset_link(user.user_id, user_id, shop.shop_id, address=address())
    text = f"Hand this link to {plain(name)} and nobody else: whoever opens it chooses the password. Shown only now."
    keep("team_said", (text, links.link(links.RESET, secret, _base())))


def _withdraw(user: Account, shop: ShopAccess, each: Invitation) -> None:
    members.withdraw_invitation(user.user_id, shop.shop_id, each.number, address=address())


def _base() -> str | None:
    """The app's address as this reader's browser has it, without the page."""
    url = st.context.url
    return url.split("?")[0].removesuffix("/").removesuffix("/team") if isinstance(url, str) else None


def _try(work: Callable[[], None], said: str | None = None) -> None:
    try:
        work()
    except AppError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if said is not None:
        keep("team_said", (said, None))
    run_again()
