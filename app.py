"""Start here: `streamlit run app.py`.

One process serves the dashboard (pages/), the HTTP routes (core/web/) and the sync worker (core/sync/scheduler.py).
The script Streamlit runs lives inside pages/, because a pages/ folder beside it would let visitors past the sign-in.
"""

import gc
from pathlib import Path

import altair  # noqa: F401  the last library that pages need is loaded before the first visitor comes
import streamlit as st

from core.web.middleware import MIDDLEWARE
from core.web.routes import ROUTES, served_below
from core.web.startup import lifespan

ROUTER = Path(__file__).parent / "pages" / "_router.py"

app = st.App(
    ROUTER,
    routes=served_below(st.get_option("server.baseUrlPath") or "", ROUTES),
    middleware=MIDDLEWARE,
    lifespan=lifespan,
)

# Streamlit looks for garbage after every run of a page. With the libraries among what it looks through, nobody is
# served for a fifth of a second each time, and an open page runs every other second.
gc.collect()
gc.freeze()
