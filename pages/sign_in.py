"""Sign in: one click into the demo where there is one, the form, and what one-time links lead to."""

import streamlit as st

from core.auth.accounts import demo_sign_ins
from core.ui import links, sign_in

st.title("Shoptally", anchor=False)
st.markdown(
    "Sales, orders and customers of your Shopify stores, in numbers that agree with Shopify's own, to the cent. "
    "Every figure says what it counts, what it leaves out and how old it is."
)
people = demo_sign_ins()
if people and links.is_plain():
    sign_in.demo_door(people)
links.door()
if people:
    with st.expander("The demo's users and their passwords", icon=":material/group:", key="demo_box"):
        sign_in.demo_users(people)
