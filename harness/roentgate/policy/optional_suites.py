"""Suites that are part of a run only where an option asks for them, and what they must record then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from roentgate.policy.required import CHECKS


class Given(Protocol):
    """What is asked of a run's settings, which a higher room defines."""

    @property
    def policy(self) -> Path:
        """The policy file."""

    @property
    def root(self) -> Path:
        """The project folder."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A suite that an option brings in.

    Attributes:
        setting: The field of `roentgate.session.settings.Settings` that holds something where the option is given.
        remedy: What is wrong with naming the suite without the option, and what to do; follows the name.
    """

    setting: str
    remedy: str


SUITES: Final[Mapping[str, Asked]] = {
    "comparison": Asked(
        "reference",
        "compares with a reference: pass --reference NAME, or the folder of a scorecard",
    ),
    "robustness": Asked(
        "robustness",
        "takes as long as all others together, and so waits to be asked for: pass --robustness",
    ),
    "claims": Asked(
        "claims",
        "holds published figures: pass --claims FILE.toml",
    ),
}


def unasked(path: Path, settings: Given) -> Asked | None:
    """Return the optional suite that a file is, where the run has not asked for it; else None."""
    suite = SUITES.get(path.stem.removeprefix("test_"))
    if suite is None or path.suffix != ".py" or not path.stem.startswith("test_"):
        return None
    folders = {settings.policy.parent, settings.root / "suites"}
    return suite if not getattr(settings, suite.setting) and path.parent in folders else None


def required(named: Mapping[str, Sequence[str]], settings: Given) -> Iterator[tuple[str, str]]:
    """Yield the (suite, check) pairs without which nothing is accepted: an optional suite's if asked for.

    Args:
        named: What the policy requires of each suite.
        settings: Of the run.
    """
    yield from ((suite, check) for suite, checks in named.items() if suite not in SUITES for check in checks)
    for name, suite in SUITES.items():
        if getattr(settings, suite.setting):
            yield from ((name, check) for check in named.get(name, CHECKS[name]))
