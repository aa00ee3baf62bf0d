"""The errors of Roentgate, one class for each cause."""

import difflib
from collections.abc import Iterable
from typing import Final

UNFINISHED: Final = "the check did not finish"
"""Start of the detail of a row whose check ended in an error."""


class HarnessError(Exception):
    """Base class of all errors that stop a run.

    The message says what was wrong, in which place, and what to do. Users see it without a traceback.
    """


class DataError(HarnessError):
    """The data set is at fault, such as a missing class folder."""


class ModelError(HarnessError):
    """The model is at fault, such as a wrong output shape."""


class PolicyError(HarnessError):
    """The policy file is at fault, such as an unknown key."""


class ArgumentError(HarnessError):
    """A command-line option or a function argument is at fault."""


class UnknownClassError(ArgumentError):
    """A class name that the data set does not have."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the known entries closest to a name.

    If no entry is close, all of them are named.

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
