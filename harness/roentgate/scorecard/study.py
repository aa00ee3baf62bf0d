"""What is known of the study behind a data set, in words."""

from collections.abc import Mapping
from typing import Final

from roentgate.scorecard.shape import StudyEntry

NOT_STATED: Final = "not stated"


def study_lines(study: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return what is known of a study, as (term, text).

    Args:
        study: A `StudyEntry` of a record.

    Returns:
        One pair for each of its fields, with ``not stated`` for an empty one. If all are empty, a single pair that
        names them.

    Examples:
        >>> study_lines({"ages": "adults"})[:2]
        [('ages', 'adults'), ('sexes', 'not stated')]
        >>> study_lines({})
        [('study', 'not stated: ages, sexes, sites, dates, view, devices, reference standard')]
    """
    terms = {name: name.replace("_", " ") for name in StudyEntry.__annotations__}
    if not any(study.get(name) for name in terms):
        return [("study", f"{NOT_STATED}: {', '.join(terms.values())}")]
    return [(term, str(study.get(name) or NOT_STATED)) for name, term in terms.items()]
