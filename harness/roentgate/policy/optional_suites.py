"""Suites that are part of a run only if an option asks for them.

Each of them says which option that is. The checks it must then record follow from the policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from roentgate.policy.required import CHECKS


class RunSettings(Protocol):
    """The settings of a run, as far as they are needed here.

    They are defined in `roentgate.session`, which this package must not import.
    """

    @property
    def policy(self) -> Path:
        """The policy file."""

    @property
    def root(self) -> Path:
        """The project folder."""


@dataclass(frozen=True, slots=True)
class OptionalSuite:
    """A suite that an option brings in.

    Attributes:
        setting: The field of `roentgate.session.settings.Settings` that is set if the option is given.
        remedy: What is wrong with naming the suite without the option, and what to do. The text follows the name.
    """

    setting: str
    remedy: str


SUITES: Final[Mapping[str, OptionalSuite]] = {
    "comparison": OptionalSuite(
        "reference",
        "compares with a reference: pass --reference NAME, or the folder of a scorecard",
    ),
    "robustness": OptionalSuite(
        "robustness",
        "takes as long as all others together, and so waits to be asked for: pass --robustness",
    ),
    "claims": OptionalSuite(
        "claims",
        "holds published figures: pass --claims FILE.toml",
    ),
}


def unasked(path: Path, settings: RunSettings) -> OptionalSuite | None:
    """Return the optional suite in a file that the run has not asked for.

    Return None for any other file.
    """
    suite = SUITES.get(path.stem.removeprefix("test_"))
    if suite is None or path.suffix != ".py" or not path.stem.startswith("test_"):
        return None
    folders = {settings.policy.parent, settings.root / "suites"}
    return suite if not getattr(settings, suite.setting) and path.parent in folders else None


def required(named: Mapping[str, Sequence[str]], settings: RunSettings) -> Iterator[tuple[str, str]]:
    """Yield the (suite, check) pairs that a run must record.

    Those of an optional suite are among them if the run asks for it.

    Args:
        named: The required checks of each suite, from the policy.
        settings: The settings of the run.
    """
    yield from ((suite, check) for suite, checks in named.items() if suite not in SUITES for check in checks)
    for name, suite in SUITES.items():
        if getattr(settings, suite.setting):
            yield from ((name, check) for check in named.get(name, CHECKS[name]))
