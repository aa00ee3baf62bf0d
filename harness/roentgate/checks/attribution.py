"""Estimates of attribution maps, all descriptive.

The estimates of an explainer that failed the sanity check are undefined and give the reason. So are those of images
without lungs. None of them can refuse a model: a map shows where the evidence lies, never why.
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
    "known_lesions",
    "pointing",
    "pointing_beyond",
    "randomisation_correlation",
]


def randomisation_correlation(record: AttributionRecord, method: str) -> Estimate:
    """Rank correlation of maps before and after randomising all weights.

    It lies between -1 and 1, and lower is better.

    Args:
        record: The attributions of a model.
        method: One of ``record.methods``.

    Returns:
        As `roentgate.evidence.attribution.sanity_check.survives`. The detail says whether the explainer passed the
        sanity check, and how its maps were made.
    """
    found = sanity_check.survives(record.sanity_check(method))
    made = record.attributions(method).description
    if method == "occlusion" and record.candidate.has_layers:
        made = f"occlusion changes the input, so it is used whatever random weights give; {made}"
    return replace(found, detail="; ".join(part for part in (found.detail, made) if part))


def known_lesions(record: AttributionRecord, method: str) -> Estimate:
    """Density of positive attribution in known lesions minus another image's.

    More is better. An explainer whose interval does not lie above 0 is not used for this model.

    Returns:
        As `roentgate.evidence.AttributionRecord.lesions_found`.
    """
    return record.lesions_found(method)


def in_lungs(record: AttributionRecord, method: str, null: Null) -> Estimate:
    """Density of positive attribution in the lungs minus a null's.

    The density is the share of the attribution in the lungs over their share of the image. 0 equals the null, and more
    is better.

    Returns:
        As `roentgate.evidence.attribution.localisation.energy_beyond`. NaN between minus and plus infinity if the
        explainer failed the sanity check.
    """
    if reason := record.unusable_reason(method):
        return undefined(0, low=-math.inf, high=math.inf, method="Student's t", detail=reason)
    return _noted(record, localisation.energy_beyond(record.located(method), null))


def pointing(record: AttributionRecord, method: str) -> Estimate:
    """Share of images whose strongest pixel lies in the lungs (0 to 1).

    See `roentgate.evidence.attribution.localisation.pointing`.

    Returns:
        Value and Clopper-Pearson interval. NaN in [0, 1] if the explainer failed the sanity check.
    """
    if reason := record.unusable_reason(method):
        return undefined(0, low=0.0, high=1.0, method="Clopper-Pearson", detail=reason)
    return _noted(record, localisation.pointing(record.located(method)))


def pointing_beyond(record: AttributionRecord, method: str, null: Null) -> Estimate:
    """Hit rate of the pointing game minus that of a null (-1 to 1).

    See `roentgate.evidence.attribution.localisation.pointing_beyond`.

    Returns:
        Mean of the paired differences and t interval. NaN in [-1, 1] if the explainer failed the sanity check.
    """
    if reason := record.unusable_reason(method):
        return undefined(0, low=-1.0, high=1.0, method="Student's t", detail=reason)
    return _noted(record, localisation.pointing_beyond(record.located(method), null))


def deletion_gain(record: AttributionRecord, method: str, direction: Direction, order: Order) -> Estimate:
    """How much faster answers follow a map's order than another (-1 to 1).

    See `roentgate.evidence.attribution.faithfulness.gain`.

    Returns:
        Mean of the paired differences and t interval. NaN in [-1, 1] if the explainer failed the sanity check.
    """
    if reason := record.unusable_reason(method):
        return undefined(0, low=-1.0, high=1.0, method="Student's t", detail=reason)
    return _noted(record, faithfulness.gain(record.curves(method), direction, order))


def _noted(record: AttributionRecord, estimate: Estimate) -> Estimate:
    """Add to the detail that a black box has no sanity check."""
    if record.candidate.has_layers:
        return estimate
    caveat = "a black box, so without a sanity check: a measurement of its answers, not an explanation"
    return replace(estimate, detail="; ".join(part for part in (estimate.detail, caveat) if part))
