"""Shared by all tests: warnings as errors, and real images."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("roentgate", settings(), deadline=None)  # a slow machine is no fault
settings.load_profile("roentgate")

TESTS = Path(__file__).resolve().parent
REAL_DATA = Path(os.environ.get("ROENTGATE_REAL_DATA") or TESTS.parents[1] / "shared" / "data").resolve()

EXEMPT = (
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",  # Keras 3.15 on NumPy 2, when it saves
)
"""Warnings that stay warnings, in the syntax of pytest's filterwarnings, each with its reason."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Turn warnings into errors in all tests below ``tests/``.

    The suites are left out because Keras itself warns while they train. The last filter wins, so the mark is put first
    and a test's own filters override it.
    """
    for item in items:
        if TESTS in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error", *EXEMPT), append=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``real_data("FOLDER", ...)`` without its images.

    In CI the test fails instead.
    """
    for marker in item.iter_markers("real_data"):
        for name in marker.args or (".",):
            if not (REAL_DATA / name).is_dir():
                _skip_or_fail(REAL_DATA / name)


def _skip_or_fail(folder: Path) -> None:
    reason = f"no real images in {folder}; set ROENTGATE_REAL_DATA to the folder that holds them"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real images.

    A test that uses it also needs ``@pytest.mark.real_data``.
    """
    return REAL_DATA
