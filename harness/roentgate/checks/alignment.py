"""Estimates of how well a stream agrees with the rows of its split.

Each function counts the rows (or positions, or images) of a `StreamRecord` that are as they should be.
"""

from dataclasses import replace

import numpy as np

from roentgate.arrays import BoolArray, FloatArray, IntArray
from roentgate.candidates import Predictions
from roentgate.checks.stream_diagnosis import LEAST_ROWS, Story, chance, columns, diagnose, named
from roentgate.evidence import (
    Matched,
    Matcher,
    Observer,
    Pass,
    StreamRecord,
    TrainingRecord,
    fit_affine,
    observe_pass,
    thumbnails,
)
from roentgate.stats import Estimate, census, undefined

__all__ = [
    "Matched",
    "Matcher",
    "Observer",
    "Pass",
    "Story",
    "StreamRecord",
    "TrainingRecord",
    "clean",
    "columns_match",
    "complete",
    "diagnose",
    "fit_affine",
    "images_match",
    "labels_match",
    "observe_pass",
    "order_repeats",
    "predictions_match",
    "thumbnails",
    "training_apart",
]


TOLERANCE = 1e-4
"""Largest difference between two probabilities that count as the same."""
RESIDUAL = 1e-3
"""Largest unexplained share of the variance (1 - R squared) of an image that differs from its row by scale only."""
SCALE = 2e-3
"""Largest error of gain and offset, as a share of the declared range (1/256 instead of 1/255 exceeds it)."""


def training_apart(record: TrainingRecord, split: str) -> Estimate:
    """Share of held-out rows that the training stream does not deliver (1.0 is best).

    An image counts as delivered if a streamed image, altered or not, is clearly closer to it than to any image of the
    training split. Held-out images with a near-duplicate in the training split are reported by the data audit instead.

    Args:
        record: What one pass of the training stream delivered.
        split: ``validation`` or ``test``.

    Returns:
        Census over the rows of that split. NaN in [0, 1] without rows, or if the stream delivered nothing. Failing:
        the rows that were delivered.
    """
    given, ids = record.delivered[split], record.ids[split]
    if not record.seen:
        return undefined(len(ids), low=0.0, high=1.0, method="census", detail="the training stream delivered nothing")
    count = int(given.sum())
    detail = f"training is given {count} of {len(ids)} images of {split} ({record.seen} images of its stream seen)"
    return census(len(ids) - count, len(ids), detail=detail, failing=tuple(ids[row] for row in np.flatnonzero(given)))


def order_repeats(record: StreamRecord) -> Estimate:
    """Share of positions with the same image in every pass (0 to 1, higher is better).

    Images are the same if their pixels are equal, or if they show the same row: augmentation is not disorder.

    Returns:
        Census over the positions of the longest pass. NaN in [0, 1] if the stream is empty.
    """
    first, *later = record.passes
    lengths = [len(rows) for rows in record.sequences]
    shortest, longest = min(lengths), max(lengths)
    if record.passes[-1].endless:  # the labelled pass is cut at n rows; `complete` reports the length of the others
        longest = min(longest, len(record))
        shortest = min(shortest, longest)
    same = np.zeros(longest, dtype=bool)
    same[:shortest] = True
    for each in later:
        content = first.digest[:shortest] == each.digest[:shortest]
        row = (first.rows[:shortest] == each.rows[:shortest]) & (first.rows[:shortest] >= 0)
        same[:shortest] &= content | row
    return _counted(record, same, f"positions hold the same image in each of {len(record.passes)} passes")


def complete(record: StreamRecord) -> Estimate:
    """Share of rows that every pass delivers exactly once (0 to 1, higher is better).

    A pass that continues after its n rows repeats some of them. Only the labelled pass is judged by its first n images,
    because plain iteration over a Keras iterator never ends.

    Returns:
        Census over the n rows. NaN in [0, 1] without rows.
    """
    counts = [np.bincount(rows[rows >= 0], minlength=len(record)) for rows in record.sequences]
    once = np.all([count == 1 for count in counts], axis=0)
    missing = np.flatnonzero(np.any([count == 0 for count in counts], axis=0))
    repeated = np.flatnonzero(np.any([count > 1 for count in counts], axis=0))
    faults = [
        f"{len(rows)} {fault} ({named(record.ids, rows)})"
        for rows, fault in ((missing, "missing"), (repeated, "more than once"))
        if len(rows)
    ]
    return _counted(record, once, ", ".join(["rows delivered exactly once in each pass", *faults]))


def images_match(record: StreamRecord) -> Estimate:
    """Share of rows whose image is in place in every pass (0 to 1, higher is better).

    Near-duplicates count as the same image. An altered image is in place unless another row is clearly closer. An
    undeclared crop, equalisation or geometric change may still misplace a few rows. Declare it as ``prepare``.

    Returns:
        Census over the n rows. NaN in [0, 1] without rows.
    """
    positions = np.arange(len(record))
    matched = np.all([_padded(rows, len(record)) == positions for rows in record.sequences], axis=0)
    text = "images are at the position of their row in every pass"
    unknown = int(np.sum([(rows < 0).sum() for rows in record.sequences]))
    return _counted(record, matched, f"{text}, {unknown} images are like no image of this split" if unknown else text)


def labels_match(record: StreamRecord) -> Estimate:
    """Share of rows whose streamed label is their class (0 to 1, higher is better).

    Returns:
        Census over the n rows. NaN in [0, 1] without rows.
    """
    given = _padded(record.stream_labels[: record.labelled], len(record))
    text = "labels are the class of the row at their position"
    rows = record.sequences[-1]
    if not (given == record.labels).all() and len(rows) == len(record.stream_labels[: record.labelled]):
        paired = (record.labels[rows] == record.stream_labels[: len(rows)]) & (rows >= 0)
        text += f", {int(paired.sum())} of {len(rows)} that of the image they come with"
    return _counted(record, given == record.labels, text)


def predictions_match(record: StreamRecord) -> Estimate:
    """Share of rows answered alike streamed and row by row (higher is better).

    Answers are alike if their probabilities agree within `TOLERANCE`. If they do not, the detail says whether the model
    is better than chance row by row, but at chance when the stream's answers are compared with the rows in order (the
    shuffle trap).

    Returns:
        Census over the n rows (0 to 1). NaN in [0, 1] without rows. Also NaN if the stream's pixels are not those of
        the rows (see `clean`), so that answers need not agree, and there is no shuffle trap. Also NaN if all rows get
        the same probabilities, which agree in any order.
    """
    n = len(record)
    through = record.stream_probabilities[:n]
    same = np.zeros(n, dtype=bool)
    by_row = record.probabilities if record.by_kernel is None else record.by_kernel
    gap = np.abs(through - by_row[: len(through)]).max(axis=1, initial=0)
    same[: len(through)] = gap <= TOLERANCE
    if n > 1 and (record.probabilities == record.probabilities[0]).all():
        text = "all rows get the same probabilities, which agree in any order"
        return undefined(n, low=0.0, high=1.0, method="census", detail=text)
    if same.all():
        resized = f" to rows resized by {record.kernels[0]}" if record.by_kernel is not None else ""
        return _counted(record, same, f"answers agree{resized}, largest difference {gap.max(initial=0):.1g}")
    text = f"answers agree within {TOLERANCE:g}"
    trapped = _trap(record)
    if not trapped and not _clean_rows(record).any():
        text = "the stream's pixels are not those of the rows, so answers cannot be compared"
        return undefined(n, low=0.0, high=1.0, method="census", detail=text)
    return _counted(record, same, f"{text}; {trapped}" if trapped else text)


def columns_match(
    predictions: Predictions, other_split: Predictions | None = None, *, draws: int = 2000, seed: int = 0
) -> Estimate:
    """P-value for columns in their right places (small: they are permuted).

    The statistic is the number of rows that the best assignment of columns to classes gets right beyond those right
    with the columns as they stand. It is compared with its values under random labels.

    Args:
        predictions: Answers on the canonical rows.
        other_split: Answers of the same model on another split, added if a class has fewer than 10 rows.
        draws: Number of random orders of the labels.
        seed: Seed of these draws.

    Returns:
        Permutation p-value over ``draws``. NaN in [0, 1] if a class still has fewer than 10 rows, or if even the best
        assignment is no better than chance.
    """
    labels, answers, classes = predictions.labels, predictions.answers, predictions.classes
    if other_split is None or np.bincount(labels, minlength=len(classes)).min() >= LEAST_ROWS:
        return columns(labels, answers, classes, draws=draws, seed=seed)
    labels = np.concatenate([labels, other_split.labels])
    answers = np.concatenate([answers, other_split.answers])
    found = columns(labels, answers, classes, draws=draws, seed=seed)
    return replace(found, detail=f"with the rows of the other split, since this one is small: {found.detail}")


def clean(record: StreamRecord) -> Estimate:
    """Share of recognised images unaltered but for the declared scale (higher is better).

    An unaltered image differs from its row by no geometry and no noise (at most `RESIDUAL`), and by nothing that
    changes from pass to pass. Its gain and offset are those of the declared input range (within `SCALE`). Any usual
    resizing kernel will do, unless training is seen to use another one.

    Returns:
        Census (0 to 1) over the images of the labelled pass that are recognised as images of this split rather than of
        another. NaN in [0, 1] without such images.
    """
    last = record.passes[-1]
    known = np.flatnonzero((last.best[: record.labelled] >= 0) & (last.foreign[: record.labelled] < 0))
    rows = last.best[known]
    sound = (_clean_rows(record) & ~_varying(record))[known] & (not record.other_kernel)
    text = f"{int(sound.sum())} of {len(known)} images are their image on the declared scale"
    notes = (_kernel_note(record), _scale_fault(record, known), _shape_fault(record, known))
    faults = [note for note in notes if note]
    failing = tuple(record.ids[row] for row in rows[~sound])
    return census(int(sound.sum()), len(known), detail="; ".join([text, *faults]), failing=failing)


def _counted(record: StreamRecord, hits: BoolArray, text: str) -> Estimate:
    """Return the census of ``hits``, with a diagnosis if one fails."""
    count = int(hits.sum())
    detail = f"{count} of {len(hits)} {text}"
    if count < len(hits):
        detail += f"; {diagnose(record).text}"
    failing = tuple(record.ids[row] for row in np.flatnonzero(~hits) if row < len(record))
    return census(count, len(hits), detail=detail, failing=failing)


def _padded(values: IntArray, n: int) -> IntArray:
    """Return the first n values, padded with -1: int64 [n]."""
    padded = np.full(n, -1, dtype=np.int64)
    padded[: len(values)] = values[:n]
    return padded


def _clean_rows(record: StreamRecord) -> BoolArray:
    """Whether each labelled image is its best row on the declared scale: bool [m]."""
    return (record.residual <= RESIDUAL) & ~_off_scale(record)


def _varying(record: StreamRecord) -> BoolArray:
    """Whether each labelled image shows the first pass's row with other pixels: bool [m]."""
    first, last = record.passes[0], record.passes[-1]
    varying = np.zeros(len(last), dtype=bool)
    shared = min(len(first), len(last))
    same = (first.rows[:shared] == last.rows[:shared]) & (first.rows[:shared] >= 0)
    varying[:shared] = same & (first.digest[:shared] != last.digest[:shared])
    return varying


def _off_scale(record: StreamRecord) -> BoolArray:
    """Whether gain or offset differ from the declared range: bool [m].

    A constant image has neither (NaN) and counts as not different.
    """
    low, high = record.input_range
    error = np.maximum(np.abs(record.gain - (high - low)), np.abs(record.offset - low))
    off: BoolArray = error > SCALE * (high - low)
    return off


def _kernel_note(record: StreamRecord) -> str:
    """Return which kernel resizes the images, or ''."""
    if record.other_kernel:
        test, train = record.kernels[0], record.training_kernels[0]
        return f"another resizing kernel in {record.split} than in training ({test}, {train}); resize both alike"
    return "" if record.by_kernel is None else f"resized by {record.kernels[0]}, unlike the rows of the data card"


def _scale_fault(record: StreamRecord, known: IntArray) -> str:
    """Describe the usual scale of the images on another scale, or return ''."""
    off = known[(record.residual[known] <= RESIDUAL) & _off_scale(record)[known]]
    if not len(off):
        return ""
    low, high = record.input_range
    gain, offset = float(np.median(record.gain[off])), float(np.median(record.offset[off]))
    ratio = gain / (high - low)
    offset = 0.0 if abs(offset) < SCALE * abs(gain) else offset
    remedy = ""
    if abs(ratio / 255 - 1) < 0.01:
        name = "rescale missing"
        remedy = "; if the network rescales them itself, set INPUT_RANGE = (0.0, 255.0) in the model file"
    elif abs(ratio * 255 - 1) < 0.01:
        name = "rescale applied twice"
    else:
        name = "inverted" if ratio < 0 else "another constant"
    return (
        f"{name} in {len(off)}: pixels are {gain:.4g} x image {offset:+.4g}, in {record.lowest:.4g} to "
        f"{record.highest:.4g}, where the declared range is {low:g} to {high:g}{remedy}"
    )


def _shape_fault(record: StreamRecord, known: IntArray) -> str:
    """Describe the images altered by geometry or noise, or return ''."""
    varying = _varying(record)
    off = known[~(record.residual[known] <= RESIDUAL) | varying[known]]
    if not len(off):
        return ""
    varies = bool(varying[off].any())
    how = (
        "differently in every pass (augmentation?)"
        if varies
        else "alike in every pass (preprocessing? no usual resizing kernel fits)"
    )
    worst = float(np.nanmedian(record.residual[off])) if np.isfinite(record.residual[off]).any() else np.nan
    return f"altered by geometry or noise in {len(off)}, {how}; usual residual {worst:.2g}"


def _trap(record: StreamRecord, draws: int = 2000, seed: int = 0) -> str:
    """Describe the shuffle trap if this stream is one, or return ''."""
    if not len(record.stream_probabilities):
        return ""

    def accuracy(probabilities: FloatArray) -> tuple[float, float]:
        """Return the share of right answers, and its p-value against random labels."""
        ids, labels = record.ids[: len(probabilities)], record.labels[: len(probabilities)]
        answers = Predictions(ids=ids, classes=record.classes, labels=labels, probabilities=probabilities).answers

        def right(order: IntArray) -> float:
            return float((order == answers).sum())

        return right(labels) / max(len(labels), 1), chance(right, labels, draws=draws, seed=seed).value

    (by_row, p_by_row), (streamed, p_streamed) = (
        accuracy(probabilities) for probabilities in (record.probabilities, record.stream_probabilities[: len(record)])
    )
    if p_by_row > 0.05 or p_streamed <= 0.05:
        return ""
    return (
        f"shuffle trap: {by_row:.0%} right row by row, but {streamed:.0%}, no better than chance, "
        "when the stream's answers are compared with the rows"
    )
