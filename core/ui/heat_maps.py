"""Heat maps: one hue, the figure in each cell, and what is unknown left blank."""

from collections.abc import Sequence
from typing import cast

import altair as alt
import pandas as pd
import streamlit as st

from core.ui import charts

_ROW = 27
# Narrower cells, as on a phone, show their figure on touch only.
_LABEL_FROM_PX = 8


def heat_map(
    cells: pd.DataFrame,
    rows: Sequence[str],
    columns: Sequence[str],
    titles: tuple[str, str],
    top: float,
    *,
    row_height: int = _ROW,
) -> alt.LayerChart:
    """Cells by row and column, the darker (in dark mode the brighter) the closer a value is to `top`.

    `cells` has the columns row, column (of `rows` and `columns`, which are in the order shown), value (float) and
    shown (text); every other column is a line of the tooltip by its name, but for `at`: what a click on the cell says,
    see charts.click(). `titles` are those of columns and rows.
    """
    dark = st.context.theme.type == "dark"
    ramp = _DARK if dark else _LIGHT
    shades = [min(9, max(0, int(value / top * 10))) if top > 0 else 0 for value in cells["value"]]
    frame = cells.assign(fill=[ramp[shade] for shade in shades], ink=[_ink(shade, dark=dark) for shade in shades]).drop(
        columns="value"
    )
    told = [name for name in cells.columns if name not in ("row", "column", "value", "shown", "at")]
    across, down = titles
    base = alt.Chart(frame).encode(
        alt.X(
            "column:N",
            sort=list(columns),
            scale=alt.Scale(domain=list(columns), paddingInner=0.04),
            axis=_axis(across, top=True),
        ),
        alt.Y("row:N", sort=list(rows), scale=alt.Scale(domain=list(rows), paddingInner=0.08), axis=_axis(down)),
    )
    hover = base.encode(tooltip=[alt.Tooltip(f"{name}:N") for name in told])
    widest = max((len(text) for text in frame["shown"]), default=1)
    roomy = f"width > {len(columns) * (widest * _LABEL_FROM_PX + 2)}"
    # Beside a mark that is clicked, a figure without a tooltip lets the click through to it.
    figures = (
        (base if "at" in cells else hover)
        .mark_text(fontSize=12)
        .encode(
            text="shown:N",
            color=alt.Color("ink:N", scale=None),
            opacity=alt.condition(roomy, alt.value(1), alt.value(0)),
        )
    )
    squares = hover.mark_rect(cornerRadius=3).encode(color=alt.Color("fill:N", scale=None))
    if "at" in cells:
        squares = hover.mark_rect(cornerRadius=3, cursor="pointer").encode(color=alt.Color("fill:N", scale=None))
        squares = squares.add_params(charts.click("at"))
    return cast(alt.LayerChart, alt.layer(squares, figures).properties(height=row_height * len(rows) + 40))


def on_paper() -> dict[str, str]:
    """Which light colour stands for which dark one, in cells and the figures in them."""
    inks = {_ink(shade, dark=True): _ink(shade, dark=False) for shade in (0, 9)}
    return {**dict(zip(_DARK, _LIGHT, strict=True)), **inks}


def _axis(title: str, *, top: bool = False) -> alt.Axis:
    colour = charts.label_colour()
    return alt.Axis(
        title=title or None, titleColor=colour, labelColor=colour, orient="top" if top else "left", labelAngle=0,
        labelFlush=False,
        grid=False, domain=False, ticks=False, labelOverlap="greedy" if top else False, labelLimit=160,
        titleFontWeight="normal",
    )  # fmt: skip


def _ink(shade: int, *, dark: bool) -> str:
    if dark:
        return "#0B1219" if shade >= 6 else "#FFFFFF"
    return "#FFFFFF" if shade >= 6 else "#0B1219"


# chartSequentialColors of .streamlit/config.toml.
_LIGHT = (
    "#F2F7FC", "#DCEAF7", "#BFD9F0", "#9CC3E6", "#76ABDA", "#5192CC", "#327ABC", "#1B66AE", "#0B5CAD", "#07437F",
)  # fmt: skip
_DARK = (
    "#14202F", "#17304B", "#1A4068", "#1F5288", "#2765A6", "#3579C0", "#4A8DD6", "#5FA2EA", "#6CB6FF", "#A8D4FF",
)  # fmt: skip
