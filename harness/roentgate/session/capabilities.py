"""What a model or its data may lack, and why.

A check that needs a capability is skipped with this reason.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from roentgate.audit import leakage
from roentgate.candidates import Candidate
from roentgate.checks import LEAST_IMAGES, declares_augmentation
from roentgate.errors import ArgumentError
from roentgate.evidence import Evidence, resizes
from roentgate.lungs import lung_fields


def lacking(evidence: Evidence, capability: str) -> str:
    """Return why a model or its data lack ``capability``, or "" if they have it.

    Args:
        evidence: The evidence on the model. Predictions are computed only if they decide.
        capability: A name that checks use in their mark ``needs``.

    Raises:
        ArgumentError: An unknown capability.
    """
    if capability in leakage.LACKING:
        return leakage.lacking(evidence.candidate.splits, capability)
    if capability not in _REASONS:
        known = ", ".join([*_REASONS, *leakage.LACKING])
        raise ArgumentError(f"needs('{capability}'): unknown; known: {known}")
    return _REASONS[capability](evidence)


def lungs_lacking(candidate: Candidate) -> str:
    """Return why checks that need lung fields do not apply, or "".

    They apply if every class has enough test images, and any class enough with a trusted lung field. If another class
    has too few of these, the checks are undefined: lungs that are missing in one class are a finding about the data,
    and no reason to skip.
    """
    test = candidate.splits.test
    if reason := anatomy_lacking(candidate):
        return reason
    if small := [f"{count} of {label}" for label, count in test.counts().items() if count < LEAST_IMAGES]:
        return f"too few test images: {', '.join(small)}, and {LEAST_IMAGES} of each class are needed"
    trusted = np.bincount(test.labels[lung_fields(test, candidate.store).trusted], minlength=len(test.classes))
    if trusted.max(initial=0) >= LEAST_IMAGES:
        return ""
    counts = ", ".join(f"{count} images of {label}" for label, count in zip(test.classes, trusted, strict=True))
    return f"a trusted lung field was found on {counts}, fewer than {LEAST_IMAGES} of every class"


def anatomy_lacking(candidate: Candidate) -> str:
    """Return why no check can ask for the lungs, or ""."""
    none = candidate.splits.test.region == "none"
    return "the data card says that the findings do not lie in the lungs" if none else ""


def _layers_lacking(evidence: Evidence) -> str:
    return "" if evidence.candidate.has_layers else "the model has no layers to look at"


def _training_lacking(evidence: Evidence) -> str:
    built = evidence.candidate.facts.kind == "build"
    return "" if built else "the model is not built here, so its training is unknown"


def _curve_lacking(evidence: Evidence) -> str:
    history = evidence.candidate.history
    if history is None:
        return "the model was loaded, so its training curve is unknown"
    return "" if {"loss", "val_loss"} <= history.keys() else "its training recorded no validation loss"


def _gradients_lacking(evidence: Evidence) -> str:
    return "" if evidence.candidate.has_layers else "the model gives no gradients"


def _augmentation_lacking(evidence: Evidence) -> str:
    declared = not evidence.candidate.has_layers or declares_augmentation(evidence.inference)
    return "" if declared else "the network declares no augmentation layer"


def _resizing_lacking(evidence: Evidence) -> str:
    return "" if resizes(evidence.candidate.splits.test) else "every image has the size that the model wants"


_REASONS: Final[Mapping[str, Callable[[Evidence], str]]] = {
    "layers": _layers_lacking,
    "training": _training_lacking,
    "training curve": _curve_lacking,
    "gradients": _gradients_lacking,
    "augmentation": _augmentation_lacking,
    "anatomy": lambda evidence: anatomy_lacking(evidence.candidate),
    "lesions": lambda evidence: "" if evidence.candidate.splits.test.lesions else "the data has no known lesions",
    "lungs": lambda evidence: lungs_lacking(evidence.candidate),
    "resizing": _resizing_lacking,
}
