"""Is row i's answer really about row i? Each question to a `StreamRecord` answered as a census of its rows."""

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
"""Largest unexplained share of the variance (1 - R squared) of an image that is its image on another scale."""
SCALE = 2e-3
"""Largest error of gain and offset, relative to the declared range (1/256 instead of 1/255 is more)."""


def training_apart(record: TrainingRecord, split: str) -> Estimate:
    """Share of the rows of a held-out split that one pass of the training stream does not deliver (1.0 is best).

    An image counts as delivered where a streamed image, altered or not, is clearly closer to it than to any image of
    the training split; a held-out image that has a near-duplicate in the training split is for the audit of the data to
    name.

    Args:
        record: From one pass of the training stream.
        split: ``validation`` or ``test``.

    Returns:
        Census over the rows of that split; NaN in [0, 1] where there is none, or where the stream delivered nothing.
        Failing: the rows that were delivered.
    """
    given, ids = record.delivered[split], record.ids[split]
    if not record.seen:
        return undefined(len(ids), low=0.0, high=1.0, method="census", detail="the training stream delivered nothing")
    count = int(given.sum())
    detail = f"training is given {count} of {len(ids)} images of {split} ({record.seen} images of its stream seen)"
    return census(len(ids) - count, len(ids), detail=detail, failing=tuple(ids[row] for row in np.flatnonzero(given)))


def order_repeats(record: StreamRecord) -> Estimate:
    """Share of positions at which every pass gives the same image (0 to 1, higher is better).

    The same content, or the same row where the content varies (augmentation is not disorder).

    Returns:
        Census over the positions of the longest pass; with an empty stream, NaN in [0, 1].
    """
    first, *later = record.passes
    lengths = [len(rows) for rows in record.sequences]
    shortest, longest = min(lengths), max(lengths)
    if record.passes[-1].endless:  # of an endless stream the labelled pass is cut at n; `complete` tells its length
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

    A pass that goes on after its n rows repeats some of them; only the labelled pass, which plain iteration over a
    Keras iterator never ends, is judged by its first n images.

    Returns:
        Census over the n rows; with no row, NaN in [0, 1].
    """
    counts = [np.bincount(rows[rows >= 0], minlength=len(record)) for rows in record.sequences]
    once = np.all([count == 1 for count in counts], axis=0)
    missing = np.flatnonzero(np.any([count == 0 for count in counts], axis=0))
    repeated = np.flatnonzero(np.any([count > 1 for count in counts], axis=0))
    faults = [
        f"{len(rows)} {word} ({named(record.ids, rows)})"
        for rows, word in ((missing, "missing"), (repeated, "more than once"))
        if len(rows)
    ]
    return _counted(record, once, ", ".join(["rows delivered exactly once in each pass", *faults]))


def images_match(record: StreamRecord) -> Estimate:
    """Share of rows whose image is at the row's position in every pass (0 to 1, higher is better).

    Near-twins stand for each other, and an altered image is in place unless another row is clearly closer. An
    undeclared crop, equalisation or geometry may still misplace a few rows; declare it as ``prepare``.

    Returns:
        Census over the n rows; with no row, NaN in [0, 1].
    """
    positions = np.arange(len(record))
    matched = np.all([_padded(rows, len(record)) == positions for rows in record.sequences], axis=0)
    words = "images are at the position of their row in every pass"
    unknown = int(np.sum([(rows < 0).sum() for rows in record.sequences]))
    return _counted(record, matched, f"{words}, {unknown} images are like no image of this split" if unknown else words)


def labels_match(record: StreamRecord) -> Estimate:
    """Share of rows whose label in the stream is the class of the row (0 to 1, higher is better).

    Returns:
        Census over the n rows; with no row, NaN in [0, 1].
    """
    given = _padded(record.stream_labels[: record.labelled], len(record))
    words = "labels are the class of the row at their position"
    rows = record.sequences[-1]
    if not (given == record.labels).all() and len(rows) == len(record.stream_labels[: record.labelled]):
        paired = (record.labels[rows] == record.stream_labels[: len(rows)]) & (rows >= 0)
        words += f", {int(paired.sum())} of {len(rows)} that of the image they come with"
    return _counted(record, given == record.labels, words)


def predictions_match(record: StreamRecord) -> Estimate:
    """Share of rows with the same answer through the stream and row by row (0 to 1, higher is better).

    The same: probabilities within `TOLERANCE`. Where answers differ, the words say whether this is the shuffle trap:
    answers better than chance row by row, and at chance when the stream's are held against the rows in order.

    Returns:
        Census over the n rows; NaN in [0, 1] with no row, or where the stream's pixels are not those of the rows
        (see `clean`), so that answers need not agree, and the shuffle trap does not show.
    """
    n = len(record)
    through = record.stream_probabilities[:n]
    same = np.zeros(n, dtype=bool)
    gap = np.abs(through - record.probabilities[: len(through)]).max(axis=1, initial=0)
    same[: len(through)] = gap <= TOLERANCE
    if same.all():
        return _counted(record, same, f"answers agree, largest difference {gap.max(initial=0):.1g}")
    words = f"answers agree within {TOLERANCE:g}"
    trapped = _trap(record)
    if not trapped and not _clean_rows(record).any():
        words = "the stream's pixels are not those of the rows, so answers cannot be compared"
        return undefined(n, low=0.0, high=1.0, method="census", detail=words)
    return _counted(record, same, f"{words}; {trapped}" if trapped else words)


def columns_match(
    predictions: Predictions, beside: Predictions | None = None, *, draws: int = 2000, seed: int = 0
) -> Estimate:
    """Chance that columns in their right places look as permuted as these (0 to 1, small: they are permuted).

    How many more rows the best assignment of columns to classes gets right than the columns as they stand, held
    against random labels.

    Args:
        predictions: Answers on the canonical rows.
        beside: Answers of the same model on another split, which join in where a class has fewer than 10 rows.
        draws: Random orders of the labels.
        seed: Of these draws.

    Returns:
        Permutation p-value over ``draws``; NaN in [0, 1] with fewer than 10 rows of a class even so, or where even the
        best assignment is no better than chance.
    """
    labels, answers, classes = predictions.labels, predictions.answers, predictions.classes
    if beside is None or np.bincount(labels, minlength=len(classes)).min() >= LEAST_ROWS:
        return columns(labels, answers, classes, draws=draws, seed=seed)
    labels, answers = np.concatenate([labels, beside.labels]), np.concatenate([answers, beside.answers])
    found = columns(labels, answers, classes, draws=draws, seed=seed)
    return replace(found, detail=f"with the rows of the other split, since this one is small: {found.detail}")


def clean(record: StreamRecord) -> Estimate:
    """Share of recognised images that are their image on the declared scale (0 to 1, higher is better).

    No geometry and no noise (`RESIDUAL`; none at all that differs from pass to pass), and gain and offset as the
    declared input range has them (`SCALE`).

    Returns:
        Census over the images of the labelled pass that are an image of the split, and not rather of another one;
        without one, NaN in [0, 1].
    """
    last = record.passes[-1]
    known = np.flatnonzero((last.best[: record.labelled] >= 0) & (last.foreign[: record.labelled] < 0))
    rows = last.best[known]
    sound = (_clean_rows(record) & ~_wavering(record))[known]
    words = f"{int(sound.sum())} of {len(known)} images are their image on the declared scale"
    faults = [fault for fault in (_scale_fault(record, known), _shape_fault(record, known)) if fault]
    failing = tuple(record.ids[row] for row in rows[~sound])
    return census(int(sound.sum()), len(known), detail="; ".join([words, *faults]), failing=failing)


def _counted(record: StreamRecord, hits: BoolArray, words: str) -> Estimate:
    """Return the census of ``hits`` by row (or position), with the story of the stream where one fails."""
    count = int(hits.sum())
    detail = f"{count} of {len(hits)} {words}"
    if count < len(hits):
        detail += f"; {diagnose(record).text}"
    failing = tuple(record.ids[row] for row in np.flatnonzero(~hits) if row < len(record))
    return census(count, len(hits), detail=detail, failing=failing)


def _padded(values: IntArray, n: int) -> IntArray:
    """Return the first n values, -1 where there are fewer: int64 [n]."""
    padded = np.full(n, -1, dtype=np.int64)
    padded[: len(values)] = values[:n]
    return padded


def _clean_rows(record: StreamRecord) -> BoolArray:
    """Whether each image of the labelled pass is its best row on the declared scale: bool [m]."""
    return (record.residual <= RESIDUAL) & ~_off_scale(record)


def _wavering(record: StreamRecord) -> BoolArray:
    """Whether each image of the labelled pass is the image of its position in the first pass, with other pixels."""
    first, last = record.passes[0], record.passes[-1]
    wavers = np.zeros(len(last), dtype=bool)
    shared = min(len(first), len(last))
    same = (first.rows[:shared] == last.rows[:shared]) & (first.rows[:shared] >= 0)
    wavers[:shared] = same & (first.digest[:shared] != last.digest[:shared])
    return wavers


def _off_scale(record: StreamRecord) -> BoolArray:
    """Whether gain or offset differ from the declared range; a constant image (NaN) shows neither: bool [m]."""
    low, high = record.input_range
    error = np.maximum(np.abs(record.gain - (high - low)), np.abs(record.offset - low))
    off: BoolArray = error > SCALE * (high - low)
    return off


def _scale_fault(record: StreamRecord, known: IntArray) -> str:
    """Return in words the usual scale of images that are their image, but not on the declared scale; '' without any."""
    off = known[(record.residual[known] <= RESIDUAL) & _off_scale(record)[known]]
    if not len(off):
        return ""
    low, high = record.input_range
    gain, offset = float(np.median(record.gain[off])), float(np.median(record.offset[off]))
    ratio = gain / (high - low)
    offset = 0.0 if abs(offset) < SCALE * abs(gain) else offset
    if abs(ratio / 255 - 1) < 0.01:
        name = "rescale missing"
    elif abs(ratio * 255 - 1) < 0.01:
        name = "rescale applied twice"
    else:
        name = "inverted" if ratio < 0 else "another constant"
    return (
        f"{name} in {len(off)}: pixels are {gain:.4g} x image {offset:+.4g}, in {record.lowest:.4g} to "
        f"{record.highest:.4g}, where the declared range is {low:g} to {high:g}"
    )


def _shape_fault(record: StreamRecord, known: IntArray) -> str:
    """Return in words how many images are no affine rescale of their image, and whether that varies; '' without any."""
    wavers = _wavering(record)
    off = known[~(record.residual[known] <= RESIDUAL) | wavers[known]]
    if not len(off):
        return ""
    varies = bool(wavers[off].any())
    how = "differently in every pass (augmentation?)" if varies else "alike in every pass (resizing? preprocessing?)"
    worst = float(np.nanmedian(record.residual[off])) if np.isfinite(record.residual[off]).any() else np.nan
    return f"altered by geometry or noise in {len(off)}, {how}; usual residual {worst:.2g}"


def _trap(record: StreamRecord, draws: int = 2000, seed: int = 0) -> str:
    """Return in words the shuffle trap, if this stream is one; else ''."""
    if not len(record.stream_probabilities):
        return ""

    def accuracy(probabilities: FloatArray) -> tuple[float, float]:
        """Return the share of right answers, and the chance that random labels are met as often."""
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
        "when the stream's answers are held against the rows"
    )
