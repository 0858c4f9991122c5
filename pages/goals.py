"""Goals: what each month is to reach, whether it is on its way, and how earlier months ended."""

import streamlit as st

from core.analytics.period import shop_today
from core.auth import goals
from core.auth.roles import may
from core.ui import goals_form, goals_view, session, states
from core.ui.session import require_shop, require_user

shop = require_shop()
user, today = require_user(), shop_today(shop.time_zone)
span = states.start("Goals", shop)

session.tell("goal_said")
targets = goals.targets(shop.shop_id)
now = goals.in_month(targets, today.replace(day=1))
current = {slug: now[slug] for slug in goals_view.SLUGS if slug in now}
goals_form.change(user, shop, current, today, span.start)

if not current:
    who = "Set one above." if may(shop.role, "set_goals") else "Owners, admins and analysts of the store can set one."
    st.info(f"No goal is set for this month. {who}", icon=":material/flag:")
for slug, target in current.items():
    goals_view.card(shop, slug, target, today)
goals_view.upcoming(targets, today, shop)
goals_view.past(goals_view.ended(shop, targets, today), shop)
