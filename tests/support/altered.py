"""Copies of frozen dataclasses with other values in some fields."""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def altered(made: T, **changes: object) -> T:
    """Return a copy of a dataclass in which some fields have other values."""
    replace: Callable[..., T] = dataclasses.replace
    return replace(made, **changes)
