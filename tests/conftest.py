"""What all tests share: warnings are errors, and where real images are absent, that is said."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("roentgate", settings(), deadline=None)  # a busy machine that pauses has found no fault
settings.load_profile("roentgate")

TESTS = Path(__file__).resolve().parent
REAL_DATA = Path(os.environ.get("ROENTGATE_REAL_DATA") or TESTS.parents[1] / "shared" / "data").resolve()

EXEMPT = (
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",  # Keras 3.15 on NumPy 2, when it saves
)
"""Warnings that stay warnings, as pytest's filterwarnings writes them; each with the reason beside it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make warnings errors below ``tests/``, and only there: Keras itself warns while the suites train.

    pytest applies the marks in order and the last filter wins: put first, this one leaves a test's own the last word.
    """
    for item in items:
        if TESTS in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error", *EXEMPT), append=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip ``@pytest.mark.real_data("FOLDER", ...)`` where those images are absent; in CI they must be there."""
    for marker in item.iter_markers("real_data"):
        for name in marker.args or (".",):
            if not (REAL_DATA / name).is_dir():
                _absent(REAL_DATA / name)


def _absent(folder: Path) -> None:
    reason = f"no real images in {folder}; set ROENTGATE_REAL_DATA to the folder that holds them"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real images; a test that asks for it also carries ``@pytest.mark.real_data``."""
    return REAL_DATA
