"""Account: what belongs to the signed-in person."""

import streamlit as st

from core.ui import account, security, states
from core.ui.session import require_user, tell

user = require_user()

states.plain_heading("Account")
st.caption("What belongs to you, in whichever store.")
tell("account_said")
if user.is_demo:
    note = "This user belongs to everybody who looks at the demo, so name, e-mail, password and second factor stay."
    st.info(note, icon=":material/group:")
else:
    left, right = st.columns(2)
    with left.container(border=True, height="stretch", key="profile_card"):
        st.subheader("Name and e-mail", anchor=False)
        account.profile(user)
    with right.container(border=True, height="stretch", key="password_card"):
        st.subheader("Password", anchor=False)
        account.password(user)
    with st.container(border=True, key="second_factor_card"):
        st.subheader("Second factor", anchor=False)
        security.second_factor_box(user)

st.subheader("Where you are signed in", anchor=False)
security.signed_in(user)

st.subheader("API keys", anchor=False)
st.caption("For other programs that read your figures. A key opens one store, with your role there of the moment.")
security.api_keys(user)
