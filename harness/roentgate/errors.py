"""Everything that stops a run with a sentence: one error per culprit, and the nearest names to a mistyped one."""

import difflib
from collections.abc import Iterable
from typing import Final

UNFINISHED: Final = "the check did not finish"
"""How the detail of a row begins that stands for a check which ended in an error: no verdict on anything."""


class HarnessError(Exception):
    """A run cannot go on; the message says what was wrong, where, and what to do. Users see it without a traceback."""


class DataError(HarnessError):
    """The data set is at fault: a missing class folder, an image that cannot be decoded."""


class ModelError(HarnessError):
    """The model is at fault: no such file, no ``build`` or ``load``, an output of the wrong shape."""


class PolicyError(HarnessError):
    """The policy file is at fault: an unknown key, a floor for a class that does not exist."""


class ArgumentError(HarnessError):
    """A command-line option or a function argument is at fault."""


class UnknownClassError(ArgumentError):
    """A class name that the data set does not have."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a clause that names the entries of ``known`` closest to ``name``, or all of them where none is close.

    Examples:
        >>> did_you_mean("basline", ["baseline", "compact"])
        "did you mean 'baseline'?"
        >>> did_you_mean("xyz", ["baseline", "compact"])
        'known: baseline, compact'
        >>> did_you_mean("xyz", [])
        'none is known'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(match) for match in close)}?"
    return f"known: {', '.join(names)}" if names else "none is known"
