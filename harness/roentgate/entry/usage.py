"""Errors in a pytest command line, and options that narrow a run."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roentgate.errors import ArgumentError, HarnessError
from roentgate.policy import unasked

if TYPE_CHECKING:
    from roentgate.session import Settings


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a harness error into a usage error.

    pytest then shows the message without a traceback and exits with status 4.
    """
    try:
        yield
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None


def refuse_idle(config: pytest.Config, settings: "Settings") -> None:
    """Refuse a command line that names a suite without its option.

    Raises:
        ArgumentError: A suite is named and its option is missing; the message names the option.
    """
    for argument in config.args:
        path = Path(config.invocation_params.dir, str(argument).partition("::")[0])
        if (suite := unasked(path, settings)) is not None:
            raise ArgumentError(f"'{argument}' {suite.remedy}")


def left_out_by(config: pytest.Config) -> list[str]:
    """Return a text for each option that leaves tests out."""
    option = config.option
    asked = {
        "-k": option.keyword,
        "-m": option.markexpr,
        "--deselect": option.deselect,
        "--last-failed": getattr(option, "lf", False),
        "--stepwise": getattr(option, "stepwise", False),
        "--runxfail": getattr(option, "runxfail", False),
    }
    reasons = [f"filtered by {name}" for name, value in asked.items() if value]
    if any("::" in str(argument) for argument in config.args):
        reasons.append("single tests were named")
    return reasons
