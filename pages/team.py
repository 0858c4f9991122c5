"""Team: who may see this store and as what."""

import streamlit as st

from core.auth import members, roles
from core.ui import states, team
from core.ui.formatting import plain
from core.ui.session import require_shop, require_user

shop = require_shop()
roles.require(shop.role, "manage_team")
user = require_user()
people = members.members_of(user.user_id, shop.shop_id)

states.plain_heading("Team")
st.caption(f"Who may see {plain(shop.name)}, and as what.")
team.tell()
team.people(people)
with st.expander("What each role may do", icon=":material/key:", key="roles_box"):
    team.what_roles_may()

left, right = st.columns(2)
with left.container(border=True, height="stretch", key="invite_card"):
    st.subheader("Invite somebody", anchor=False)
    team.invite(user, shop)
with right.container(border=True, height="stretch", key="change_card"):
    st.subheader("Change a member", anchor=False)
    team.change(user, shop, people)

waiting = members.invitations_of(user.user_id, shop.shop_id)
if waiting:
    st.subheader("Invitations not taken yet", anchor=False)
    team.invitations(user, shop, waiting)

if roles.may(shop.role, "require_second_factor") and not shop.is_demo:
    st.subheader("Second factor", anchor=False)
    team.second_factor(user, shop)
