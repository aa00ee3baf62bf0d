"""Text that a reader can see and that no page takes for markup."""

import re
import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"  # some scripts and emoji need them


_NUMBER: Final = r"-?(?:∞|\d+(?:\.\d+)?)"
_INTERVAL: Final = re.compile(rf"(\[{_NUMBER}, {_NUMBER}\](?![\[(:]))")
"""An interval, which markdown cannot take for a link: nothing that makes one follows."""

_MARKUP: Final = re.compile(r"[&<>|`*\[\]\\~$]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)


def visible(text: str) -> str:
    r"""Return ``text`` on one line without invisible characters.

    A control character is shown as its picture (␊ for a newline). Any other character that is invisible or changes the
    direction of writing is shown as its code point.

    Examples:
        >>> visible("Covid\n19")
        'Covid␊19'
        >>> visible("a\u202eb")
        'a⟨U+202E⟩b'
    """
    return "".join(map(_seen, text))


def escape(text: str) -> str:
    """Return ``text`` escaped for a line or a table cell of markdown.

    It holds neither markup nor HTML. The brackets of an interval stay, because they make none.

    Examples:
        >>> escape("0.90 [0.68, 0.99]")
        '0.90 [0.68, 0.99]'
        >>> escape("a|b <b>c</b>")
        'a&#124;b &#60;b&#62;c&#60;/b&#62;'
        >>> escape("recall_floor")
        'recall_floor'
    """
    parts = _INTERVAL.split(visible(text))  # every second part is an interval
    return "".join(
        part if index % 2 else _MARKUP.sub(lambda found: f"&#{ord(found.group())};", part)
        for index, part in enumerate(parts)
    )


def code_point(char: str) -> str:
    """Return the name of a character that cannot be shown: ``⟨U+202E⟩``."""
    return f"⟨U+{ord(char):04X}⟩"


def shorten(text: str, limit: int) -> str:
    """Return ``text``, shortened to ``limit`` characters if it is longer.

    Both ends are kept around an ellipsis.

    Examples:
        >>> shorten("radiopaedia-2019-pneumonia", 13)
        'radiop…umonia'
    """
    if len(text) <= limit:
        return text
    kept = limit - 1
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def _seen(char: str) -> str:
    kind = unicodedata.category(char)
    if char < " ":
        return chr(0x2400 + ord(char))
    if char == "\x7f":
        return "␡"
    hidden = kind in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in _JOINERS
    return code_point(char) if hidden else char
