"""What a suite asks of explanations: estimates that inform, in words that say which explainer may not speak.

An explainer without a licence has no numbers: its rows are undefined and give the reason. So are those of an image set
without lungs. Nothing here is a ground for refusing a model: a map shows where, never why.
"""

import math
from dataclasses import replace

from roentgate.evidence import (
    DIRECTIONS,
    NULLS,
    ORDERS,
    AttributionRecord,
    Direction,
    Null,
    Order,
    faithfulness,
    localisation,
    sanity_check,
)
from roentgate.stats import Estimate, undefined

__all__ = [
    "DIRECTIONS",
    "NULLS",
    "ORDERS",
    "deletion_gain",
    "in_lungs",
    "randomisation_correlation",
    "pointing",
    "pointing_beyond",
]


def randomisation_correlation(record: AttributionRecord, method: str) -> Estimate:
    """Rank correlation of maps before and after all learned weights are random (-1 to 1, lower is better).

    Args:
        record: The attributions of a model.
        method: One of ``record.methods``.

    Returns:
        As `roentgate.evidence.attribution.sanity_check.survives`; the words say whether the explainer is licensed, and
        how its maps were made.
    """
    found = sanity_check.survives(record.sanity_check(method))
    told = record.attributions(method).told
    return replace(found, detail="; ".join(part for part in (found.detail, told) if part))


def in_lungs(record: AttributionRecord, method: str, null: Null) -> Estimate:
    """Positive attribution in the lungs over their share of the image, less that of a null (0: the null; more, better).

    Returns:
        As `roentgate.evidence.attribution.localisation.energy_beyond`; NaN between minus and plus infinity of an
        unlicensed explainer.
    """
    if reason := record.silence(method):
        return undefined(0, low=-math.inf, high=math.inf, method="Student's t", detail=reason)
    return _spoken(record, localisation.energy_beyond(record.located(method), null))


def pointing(record: AttributionRecord, method: str) -> Estimate:
    """Share of images whose strongest pixel lies in the lungs (0 to 1).

    See `roentgate.evidence.attribution.localisation.pointing`.

    Returns:
        Value and Clopper-Pearson interval; NaN in [0, 1] of an unlicensed explainer.
    """
    if reason := record.silence(method):
        return undefined(0, low=0.0, high=1.0, method="Clopper-Pearson", detail=reason)
    return _spoken(record, localisation.pointing(record.located(method)))


def pointing_beyond(record: AttributionRecord, method: str, null: Null) -> Estimate:
    """Hits of the pointing game less those of a null (-1 to 1).

    See `roentgate.evidence.attribution.localisation.pointing_beyond`.

    Returns:
        Mean of the paired differences and t interval; NaN in [-1, 1] of an unlicensed explainer.
    """
    if reason := record.silence(method):
        return undefined(0, low=-1.0, high=1.0, method="Student's t", detail=reason)
    return _spoken(record, localisation.pointing_beyond(record.located(method), null))


def deletion_gain(record: AttributionRecord, method: str, direction: Direction, order: Order) -> Estimate:
    """How much faster the answer follows a map's order than another (-1 to 1).

    See `roentgate.evidence.attribution.faithfulness.gain`.

    Returns:
        Mean of the paired differences and t interval; NaN in [-1, 1] of an unlicensed explainer.
    """
    if reason := record.silence(method):
        return undefined(0, low=-1.0, high=1.0, method="Student's t", detail=reason)
    return _spoken(record, faithfulness.gain(record.curves(method), direction, order))


def _spoken(record: AttributionRecord, estimate: Estimate) -> Estimate:
    """Say where an explainer spoke without a licence, as one of a black box does."""
    if record.candidate.has_layers:
        return estimate
    told = "a black box, so unlicensed: a measurement of its answers, not an explanation"
    return replace(estimate, detail="; ".join(part for part in (estimate.detail, told) if part))
