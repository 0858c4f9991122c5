"""Bars that lie: one per line, its name in front and its figure behind it, on a phone too."""

from typing import cast

import altair as alt
import pandas as pd

from core.ui import charts

_ROW = 26


def bars(frame: pd.DataFrame) -> alt.LayerChart:
    """A bar per row, in the order given.

    Columns: label (text, different in each row), value (float), shown (text); every other column is a line of the
    tooltip by its name, but for `at`: what a click on the bar says, see charts.click().
    """
    told = [name for name in frame.columns if name not in ("label", "value", "shown", "at")]
    low, high = min(float(frame["value"].min()), 0.0), max(float(frame["value"].max()), 0.0)
    room = (high - low or 1.0) * 0.22
    across = alt.Scale(domain=[low - (room if low else 0), high + room])
    base = alt.Chart(frame).encode(
        # Stacked bars with round ends are drawn in groups of their own, where no click is heard.
        alt.X("value:Q", title=None, axis=None, stack=None, scale=across),
        alt.Y(
            "label:N", title=None, sort=list(frame["label"]),
            axis=alt.Axis(domain=False, ticks=False, grid=False, labelColor=charts.label_colour(), labelLimit=150,
                          labelFlush=False),
        ),
        tooltip=[alt.Tooltip("label:N", title=" "), *(alt.Tooltip(f"{name}:N") for name in told)],
    )  # fmt: skip
    whole = base.mark_bar(color=charts.palette()[0], cornerRadiusEnd=3, height=_ROW - 9)
    if "at" in frame:
        whole = base.mark_bar(color=charts.palette()[0], cornerRadiusEnd=3, height=_ROW - 9, cursor="pointer")
        whole = whole.add_params(charts.click("at"))
    right, left = alt.datum.value >= 0, alt.datum.value < 0
    ink = charts.label_colour()
    figures = base.mark_text(align="left", dx=5, color=ink, fontSize=12).encode(text="shown:N").transform_filter(right)
    below = base.mark_text(align="right", dx=-5, color=ink, fontSize=12).encode(text="shown:N").transform_filter(left)
    return cast(alt.LayerChart, alt.layer(whole, figures, below).properties(height=_ROW * len(frame) + 12))
