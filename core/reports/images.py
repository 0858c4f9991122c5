"""Charts as pictures: SVG and PNG, drawn here without a browser, in light colours whatever the page looks like.

Nothing is fetched from anywhere: data is in the chart, fonts come as Python packages, every address is refused.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import vl_convert

from core.reports import fonts

_WIDTH = 860
_SCALE = 2.0  # pixels of a PNG for each one of the page, so that it is sharp in print


def svg(spec: Mapping[str, Any], title: str, lines: Sequence[str], colours: Mapping[str, str]) -> bytes:
    """A Vega-Lite chart as SVG under its title and lines; `colours` says what to paint in place of which colour."""
    _register()
    text: str = vl_convert.vegalite_to_svg(
        _on_paper(spec, title, lines, colours), config=_CONFIG, allowed_base_urls=_NOWHERE
    )
    return text.encode()


def png(spec: Mapping[str, Any], title: str, lines: Sequence[str], colours: Mapping[str, str]) -> bytes:
    """The same as PNG."""
    _register()
    picture: bytes = vl_convert.vegalite_to_png(
        _on_paper(spec, title, lines, colours), scale=_SCALE, config=_CONFIG, allowed_base_urls=_NOWHERE
    )
    return picture


def _on_paper(spec: Mapping[str, Any], title: str, lines: Sequence[str], colours: Mapping[str, str]) -> dict[str, Any]:
    drawn: dict[str, Any] = _repainted(spec, colours)
    drawn.pop("config", None)
    heading = {"text": fonts.plain(title), "subtitle": [fonts.plain(line) for line in lines]}
    return {**drawn, "width": _WIDTH, "title": heading, "autosize": {"type": "fit-x", "contains": "padding"}}


def _repainted(part: Any, colours: Mapping[str, str]) -> Any:
    if isinstance(part, Mapping):
        return {name: _repainted(value, colours) for name, value in part.items()}
    if isinstance(part, list):
        return [_repainted(value, colours) for value in part]
    return colours.get(part, part) if isinstance(part, str) else part


@cache
def _register() -> None:
    for folder in (fonts.folder(), fonts.eastern().parent):
        vl_convert.register_font_directory(str(folder))


_NOWHERE: list[str] = []
_FONTS = f"{fonts.FAMILY}, Noto Sans CJK JP, Noto Sans, sans-serif"
_CONFIG = {
    "background": "#FFFFFF",
    "padding": 16,
    "font": _FONTS,
    "view": {"stroke": None},
    "title": {
        "anchor": "start", "frame": "group", "fontSize": 17, "fontWeight": "bold", "color": "#0B1219",
        "subtitleFontSize": 12, "subtitleColor": "#566170", "subtitlePadding": 6, "offset": 14,
    },
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "gridColor": "#E6EAF0", "domainColor": "#D5DCE5",
             "tickColor": "#D5DCE5"},
    "legend": {"labelFontSize": 12, "titleFontSize": 12},
}  # fmt: skip
