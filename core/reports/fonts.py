"""Free fonts that come as Python packages, so that a file looks alike on every machine and names keep their letters.

FiraGO (SIL Open Font License) has Latin, Cyrillic, Greek, Arabic, Hebrew, Thai, Georgian and Devanagari; Noto Sans CJK
(the same licence) has Chinese, Japanese and Korean.
"""

import atexit
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pymupdf_fonts
from fontTools.ttLib import TTFont
from noto_cjk_sans_jp_regular import FONT_PATH

# Stands for a letter that none of the fonts has.
BOX = "\N{WHITE SQUARE}"
FAMILY = "FiraGO"


@cache
def folder() -> Path:
    """A folder with FiraGO, regular and bold, as files while the process lives: the package has them as bytes."""
    path = Path(mkdtemp(prefix="shoptally-fonts-"))
    atexit.register(rmtree, path, ignore_errors=True)
    for code, name in (("figo", _REGULAR), ("figbo", _BOLD)):
        (path / name).write_bytes(pymupdf_fonts.myfont(code))
    return path


def regular() -> Path:
    """FiraGO, for text."""
    return folder() / _REGULAR


def bold() -> Path:
    """FiraGO, for headings."""
    return folder() / _BOLD


def eastern() -> Path:
    """Noto Sans CJK."""
    return Path(str(FONT_PATH))


def needs_eastern(texts: Iterable[str]) -> bool:
    """Whether some letter is in Noto Sans CJK only, which takes a while to load."""
    return any(ord(letter) not in _letters("regular") for text in texts for letter in plain(text))


def plain(text: str) -> str:
    """A text in one line, with ordinary spaces, without what has no shape of its own."""
    spaced = re.sub(r"\s+", " ", text.replace("\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"))
    return "".join(letter for letter in spaced if unicodedata.category(letter) != "Cf" or letter in _JOINERS)


def writable(text: str) -> str:
    """A text with a box for every letter that no font here has: nothing vanishes unseen."""
    known = _letters("regular")
    return "".join(
        letter if ord(letter) in known or letter in _JOINERS or ord(letter) in _letters("eastern") else BOX
        for letter in plain(text)
    )


@cache
def _letters(which: str) -> frozenset[int]:
    with TTFont(regular() if which == "regular" else eastern(), lazy=True) as font:
        return frozenset(font.getBestCmap())


_REGULAR, _BOLD = "FiraGO-Regular.ttf", "FiraGO-Bold.ttf"
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
