"""Estimates of whether predictions are repeatable and augmentation acts as declared."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import RealArray
from roentgate.evidence import InferenceRecord, LayerReport, WatchRecord, declared
from roentgate.stats import Estimate, census, undefined


def predictions_repeat(record: InferenceRecord, *, tolerance: float) -> Estimate:
    """Share of probe rows whose five predictions agree within ``tolerance``."""
    return _agreement(record, {"a repeated prediction": record.repeats}, record.repeats[0], tolerance, margin=False)


def predictions_stay(record: InferenceRecord, watched: WatchRecord, *, tolerance: float) -> Estimate:
    """Share of probe rows answered at first as after all other evidence.

    The rows are asked again after each piece of evidence, and once more at the end of a run that asked the model.
    """
    return _agreement(record, watched.answers, record.repeats[0], tolerance, margin=False)


def steady(watched: WatchRecord, *, tolerance: float) -> bool:
    """Whether all answers to the probe rows so far agree within ``tolerance``."""
    if not watched.answers:
        return True
    given = np.nan_to_num(np.concatenate(list(watched.answers.values())).astype(np.float64), nan=-1.0)
    return bool(np.abs(given - given[:1]).max(initial=0.0) <= tolerance)


def answers_are_finite(watched: WatchRecord) -> Estimate:
    """Share of test images that get a finite answer however they are changed.

    Returns:
        Census of the test images. A model that leaves another image of the run without a finite answer, such as one
        without a chest, misses at least one. NaN in [0, 1] without images. Failing: the test images.
    """
    rows = int(watched.unanswered.sum())
    where = [f"{count} in {name}" for name, count in watched.others.items()]
    parts = [f"{rows} test images"] * bool(rows) + where
    detail = f"without a finite answer: {', '.join(parts)}" if parts else ""
    count, missed = len(watched.ids), max(rows, int(bool(where)))
    failing = tuple(watched.ids[row] for row in np.flatnonzero(watched.unanswered))
    return census(max(count - missed, 0), count, detail=detail, failing=failing)


def predictions_batch_invariant(record: InferenceRecord, *, tolerance: float) -> Estimate:
    """Share of probe rows answered alike in all batchings within ``tolerance``.

    Rows are predicted alone, in pairs, in batches of 32 and in reversed order.
    """
    runs = {name: values[None] for name, values in record.batchings.items()}
    return _agreement(record, runs, record.repeats[0], tolerance, margin=True)


def reload_preserves_predictions(record: InferenceRecord, *, tolerance: float) -> Estimate:
    """Share of probe rows that the saved and reloaded model answers alike.

    0 if the saved model cannot be loaded.
    """
    if record.reloaded is None:
        return census(0, len(record.ids), detail=record.reload_error or "could not be loaded", failing=record.ids)
    runs = {"the reloaded model": record.reloaded[None]}
    return _agreement(record, runs, record.before_saving, tolerance, margin=False)


def augmentation_identity(record: InferenceRecord) -> Estimate:
    """Share of layers that act as identity and repeat themselves at inference.

    Every layer before the first with trainable weights must leave the image as it is, bit for bit, except for fixed
    geometry and scaling. All layers must answer alike from call to call. Operations outside layers count as one layer.
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
    found = {"changes the image": report["moves"], "answers differently each time": report["wavers"]}
    faults = [f"{fault} under {' and '.join(ways)}" for fault, ways in found.items() if ways]
    return f"{report['name']} ({report['type']}) {', and '.join(faults)}"


def augmentation_active(record: InferenceRecord) -> Estimate:
    """Share of the declared augmentation layers that change images in training mode."""
    reports = declared(record.layers or ())
    idle = [report for report in reports if not report["augments"]]
    names = ", ".join(f"{report['name']} ({report['type']})" for report in idle)
    detail = f"no effect in training: {names}" if idle else ""
    return census(len(reports) - len(idle), len(reports), unit="layer", detail=detail)


def outputs_are_probabilities(probabilities: RealArray, ids: tuple[str, ...]) -> Estimate:
    """Share of rows whose outputs are probabilities.

    They must be finite, in [0, 1], and sum to 1 within 1e-3.

    Args:
        probabilities: Raw outputs (n, K).
        ids: Row ids (n,).
    """
    finite = np.isfinite(probabilities).all(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        inside = (probabilities >= 0).all(axis=1) & (probabilities <= 1).all(axis=1)
        sums = np.abs(np.asarray(probabilities, np.float64).sum(axis=1) - 1) <= 1e-3
    good = finite & inside & sums
    faults = [
        f"{int(count)} {fault}"
        for fault, count in (
            ("with NaN or infinity", (~finite).sum()),
            ("outside [0, 1] (logits?)", (finite & ~inside).sum()),
            ("not summing to 1", (finite & inside & ~sums).sum()),
        )
        if count
    ]
    return census(
        int(good.sum()), len(ids), detail="rows " + ", ".join(faults) if faults else "", failing=_rows(ids, ~good)
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
    """Share of rows answered alike in all runs.

    With ``margin``, a row whose two largest probabilities are within ``tolerance`` may change its class.
    """
    if len(reference) and not np.isfinite(reference).all(axis=1).any():
        detail = "no row has a finite answer"
        return undefined(len(reference), low=0.0, high=1.0, method="census", detail=detail)
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
        same_answer = (values.argmax(axis=2) == reference.argmax(axis=1)).all(axis=0)
        good &= (apart <= tolerance) & (same_answer | (narrow if margin else same_answer))
        furthest = float(apart.max(initial=0))
        largest = max(largest, furthest)
        unlike += [name] if furthest > tolerance else []
    detail = f"largest difference {largest:.1e}" + (f" ({', '.join(unlike)})" if unlike else "")
    return census(int(good.sum()), len(good), detail=detail, failing=_rows(record.ids, ~good))


def declares_augmentation(record: InferenceRecord) -> bool:
    """Whether a layer before the first trainable weight declares an augmentation."""
    return bool(declared(record.layers or ()))
