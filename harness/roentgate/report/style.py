"""Shared style of all figures: sheet, colours and drawable text."""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from roentgate.scorecard import Standing, code_point, visible
from roentgate.store import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH: Final = 8.0  # inches; shown 800 pixels wide, a point of text is 1.4 pixels
INK: Final = "#1F2933"
FAINT: Final = "#6B7785"
COLOURS: Final[dict[Standing, str]] = {
    "passed": "#0072B2",
    "conditional": "#E69F00",
    "refused": "#A50026",
    "skipped": "#8C96A0",
    "descriptive": "#8C96A0",
}
"""Colours for colour-blind readers, always used with a marker or a word."""

SPLIT_COLOURS: Final = ("#0072B2", "#56B4E9", "#E69F00", "#009E73", "#CC79A7")

_DPI: Final = 180
_STYLE: Final = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9.5,
    "text.parse_math": False,  # a dollar sign in a class name is a dollar sign
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#B8C0C8",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


@contextlib.contextmanager
def sheet(path: Path, *, height: float, width: float = WIDTH) -> Iterator["Figure"]:
    """Yield an empty figure that is written to ``path`` at the end.

    Height and width are in inches. The bytes of the PNG do not depend on the user's matplotlib settings, the display
    or the time. No figure stays open.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(width, height), facecolor="white")
        yield figure
        with atomic(path) as draft:
            figure.savefig(draft, format="png", dpi=_DPI, metadata={"Software": None})
            _slim(draft)


def _slim(path: Path) -> None:
    """Reduce a picture to 256 colours, which takes a third of the bytes."""
    from PIL import Image

    with Image.open(path) as picture:
        fewer = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    fewer.save(path, format="PNG", optimize=True)


def drawable(text: str) -> str:
    """Return text that the figures' font can draw.

    A character without a glyph is replaced by its code point.
    """
    return "".join(seen if _glyphs().issuperset(map(ord, seen := visible(char))) else code_point(char) for char in text)


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib import font_manager, get_data_path

    font = font_manager.get_font(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")))
    return frozenset(font.get_charmap())
