"""Is augmentation off when it should be, and on when it should be? From a record of predictions to estimates."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import RealArray
from roentgate.evidence import InferenceRecord, LayerReport, declared
from roentgate.stats import Estimate, census, undefined


def predictions_repeat(record: InferenceRecord, *, tolerance: float) -> Estimate:
    """Share of probe rows whose five predictions agree within ``tolerance`` (1.0 is best)."""
    return _agreement(record, {"a repeated prediction": record.repeats}, record.repeats[0], tolerance, margin=False)


def predictions_batch_invariant(record: InferenceRecord, *, tolerance: float) -> Estimate:
    """Share of probe rows answered alike alone, in pairs, in batches of 32 and reversed, within ``tolerance``."""
    runs = {name: values[None] for name, values in record.batchings.items()}
    return _agreement(record, runs, record.repeats[0], tolerance, margin=True)


def reload_preserves_predictions(record: InferenceRecord, *, tolerance: float) -> Estimate:
    """Share of probe rows that a saved and freshly loaded model answers alike; 0 where it cannot be loaded."""
    if record.reloaded is None:
        return census(0, len(record.ids), detail=record.reload_error or "could not be loaded", failing=record.ids)
    runs = {"the reloaded model": record.reloaded[None]}
    return _agreement(record, runs, record.before_saving, tolerance, margin=False)


def augmentation_identity(record: InferenceRecord) -> Estimate:
    """Share of layers that leave the image alone at inference and answer alike from call to call.

    Judged: every layer before the first with trainable weights (bit for bit, fixed geometry and scaling aside), all
    layers for wavering, and operations outside layers as one part.
    """
    layers = record.layers or ()
    faults = [_fault(report) for report in layers if report["moves"] or report["wavers"]]
    sound = len(layers) - len(faults)
    if record.displacement:
        faults.append(f"an operation outside the layers {record.displacement}")
    total = sound + len(faults)
    if not total:
        return undefined(0, low=0.0, high=1.0, method="census", unit="layer", detail="no layer was seen")
    return census(sound, total, unit="layer", detail="; ".join(faults))


def _fault(report: LayerReport) -> str:
    deeds = {"changes the image": report["moves"], "answers differently each time": report["wavers"]}
    words = [f"{what} under {' and '.join(ways)}" for what, ways in deeds.items() if ways]
    return f"{report['name']} ({report['type']}) {', and '.join(words)}"


def augmentation_active(record: InferenceRecord) -> Estimate:
    """Share of the layers that declare an augmentation which do change the image in training mode."""
    reports = declared(record.layers or ())
    idle = [report for report in reports if not report["augments"]]
    names = ", ".join(f"{report['name']} ({report['type']})" for report in idle)
    detail = f"no effect in training: {names}" if idle else ""
    return census(len(reports) - len(idle), len(reports), unit="layer", detail=detail)


def outputs_are_probabilities(probabilities: RealArray, ids: tuple[str, ...]) -> Estimate:
    """Share of rows whose outputs are finite, in [0, 1] and sum to 1 within 1e-3.

    Args:
        probabilities: Raw outputs (n, K).
        ids: Row ids (n,).
    """
    finite = np.isfinite(probabilities).all(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        inside = (probabilities >= 0).all(axis=1) & (probabilities <= 1).all(axis=1)
        sums = np.abs(np.asarray(probabilities, np.float64).sum(axis=1) - 1) <= 1e-3
    good = finite & inside & sums
    words = [
        f"{int(count)} {what}"
        for what, count in (
            ("with NaN or infinity", (~finite).sum()),
            ("outside [0, 1] (logits?)", (finite & ~inside).sum()),
            ("not summing to 1", (finite & inside & ~sums).sum()),
        )
        if count
    ]
    return census(
        int(good.sum()), len(ids), detail="rows " + ", ".join(words) if words else "", failing=_rows(ids, ~good)
    )


def _rows(ids: tuple[str, ...], chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(ids[i] for i in np.flatnonzero(chosen))


def _agreement(
    record: InferenceRecord,
    runs: Mapping[str, NDArray[np.float32]],
    reference: NDArray[np.float32],
    tolerance: float,
    *,
    margin: bool,
) -> Estimate:
    """Share of rows alike in all runs; with ``margin``, a row of a small top-two margin may also change its class."""
    good = np.ones(len(record.ids), dtype=bool)
    largest = 0.0
    unlike: list[str] = []
    top = np.sort(reference, axis=1)
    narrow = top[:, -1] - top[:, -2] <= tolerance if reference.shape[1] > 1 else np.ones(len(reference), dtype=bool)
    for name, values in runs.items():
        apart = np.abs(values.astype(np.float64) - reference).max(axis=(0, 2))
        apart = np.where(
            np.isnan(values).any(axis=(0, 2)) == np.isnan(reference).any(axis=1), np.nan_to_num(apart), np.inf
        )
        same_class = (values.argmax(axis=2) == reference.argmax(axis=1)).all(axis=0)
        good &= (apart <= tolerance) & (same_class | (narrow if margin else same_class))
        furthest = float(apart.max(initial=0))
        largest = max(largest, furthest)
        unlike += [name] if furthest > tolerance else []
    detail = f"largest difference {largest:.1e}" + (f" ({', '.join(unlike)})" if unlike else "")
    return census(int(good.sum()), len(good), detail=detail, failing=_rows(record.ids, ~good))


def declares_augmentation(record: InferenceRecord) -> bool:
    """Whether any layer before the first trainable weight declares an augmentation."""
    return bool(declared(record.layers or ()))
