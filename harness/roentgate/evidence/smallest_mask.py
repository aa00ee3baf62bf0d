"""The smallest mask outside the lungs that changes answers: searched by Hypothesis over masks, never over pixels.

Hypothesis draws masks (how large, where, filled with what) until one changes enough answers, then shrinks it: to the
mildest infill, and under that infill to the smallest area, that still does. Every mask is tried on all test images at
once, and their number is bounded; so what is found is an upper bound, the smallest that the search has met. Of every
image that it flips, bisection then finds the smallest mask inside it that flips this one.

One image whose answer hangs by a thread flips under any mask and says nothing of the model. The search therefore asks
for a share of the images, and at least one; a share of 0 asks for any.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roentgate.arrays import Array, BoolArray, Probabilities
from roentgate.candidates import Predictions
from roentgate.evidence.evidence import Evidence
from roentgate.lungs import lung_fields
from roentgate.perturbations import MILDNESS, Family, Mask, Shape, border_mask, hunt, masks
from roentgate.policy import BorderBounds
from roentgate.stats import Estimate
from roentgate.stats import estimate as estimates
from roentgate.store import Arrays, pack, unpack

FAMILIES = masks.FAMILIES
"""What is searched, one after the other."""

BAND = 0.15
"""Where masks lie where the lungs are unknown: how far from the edge, as a share of the side."""

RARELY_LUNG = 0.05
"""A pixel lies outside the lungs if it is lung on less than this share of the images."""

SPILL = 0.01
"""The share of a mask's pixels that may lie in the lungs all the same."""

TITLE = "smallest mask"
_TURNS = {"border": 6, "strip": 6, "rectangle": 1}
"""A family may try one part in so many of the masks that are left when its turn comes."""

_BATCH = 32


class LungFields(Protocol):
    """Where the lungs are on the images of one split."""

    @property
    def trusted(self) -> BoolArray:
        """Whether the mask of each row may be relied on: bool (n,)."""
        ...

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> BoolArray:
        """Return the lung masks of these rows: bool (k, H, W)."""
        ...


@dataclass(frozen=True)
class Found:
    """The smallest mask of one family, and whom it flips.

    Attributes:
        mask: The mask.
        rows: int64 (k,) the test rows that it flips.
        after: float32 (k, K) their probabilities under it.
        own: For each of them the smallest mask inside ``mask`` that flips it, found by bisection.
    """

    mask: Mask
    rows: NDArray[np.int64]
    after: Probabilities
    own: tuple[Mask, ...]


@dataclass(frozen=True)
class SmallestRecord:
    """What the search found.

    Attributes:
        clean: Answers on the images as they are.
        shape: (H, W) of the images.
        fingerprint: Of the model.
        found: The smallest mask of each family; None where none that was tried flips enough.
        tried: How many masks of each family were tried on the test images.
        most: The most rows that one mask of each family flipped.
        wanted: How many rows a mask must flip.
        passes: Images sent through the model for all this, when it was computed.
        where: Where masks could lie, in words.
    """

    clean: Predictions
    shape: Shape
    fingerprint: str
    found: Mapping[Family, Found | None]
    tried: Mapping[Family, int]
    most: Mapping[Family, int]
    wanted: int
    passes: int
    where: str

    @property
    def smallest(self) -> Found | None:
        """The smallest of all families by area; None where there is none."""
        found = [each for each in self.found.values() if each is not None]
        return min(found, key=lambda each: each.mask.area(self.shape), default=None)


def search(evidence: Evidence, bounds: BorderBounds, lungs: LungFields | None = None) -> SmallestRecord:
    """Return the smallest masks outside the lungs that flip a share of the test images; computed once, then stored.

    Args:
        evidence: On the model.
        bounds: ``smallest_share`` of the images to flip, ``most_masks`` to try, and ``infills``.
        lungs: The lung fields of the test images; None: masks lie within the outer `BAND`.

    Raises:
        ModelError: The model cannot answer.
    """
    clean, data = evidence.test, evidence.candidate.splits.test
    shape = (data.image_shape[0], data.image_shape[1])
    outside, where = _outside(shape, lungs)
    wanted = max(1, math.ceil(bounds.smallest_share * len(clean)))
    infills = [infill for infill in MILDNESS if infill in bounds.infills]
    region = hashlib.sha256(np.packbits(outside).tobytes()).hexdigest()
    kept = evidence.keep(
        TITLE,
        lambda: _compute(evidence, infills, outside, wanted, bounds.most_masks),
        of=[infills, region, wanted, bounds.most_masks, version("hypothesis")],
    )
    words = unpack(kept["words"])
    found: dict[Family, Found | None] = {
        family: Found(
            mask=masks.parse(words["found"][family]["mask"]),
            rows=kept[f"{family} rows"],
            after=kept[f"{family} after"],
            own=tuple(masks.parse(name) for name in words["found"][family]["own"]),
        )
        if family in words["found"]
        else None
        for family in FAMILIES
    }
    return SmallestRecord(
        clean=clean,
        shape=shape,
        fingerprint=evidence.candidate.fingerprint,
        found=found,
        tried=words["tried"],
        most=words["most"],
        wanted=wanted,
        passes=words["passes"],
        where=where,
    )


def of(evidence: Evidence, bounds: BorderBounds) -> SmallestRecord:
    """Return `search` outside the lung fields of the test images: the data set's own masks, or the segmenter's.

    Raises:
        DataError: An image or a mask cannot be decoded.
        ModelError: As `search`.
    """
    candidate = evidence.candidate
    return search(evidence, bounds, lung_fields(candidate.splits.test, candidate.store))


def area(record: SmallestRecord, family: Family) -> Estimate:
    """Share of the image that the smallest flipping mask of a family hides (0 to 1; a model that needs more is
    sounder).

    Args:
        record: From `search`.
        family: ``width``, ``strip`` or ``rectangle``.

    Returns:
        The share; the true smallest lies between one pixel and it, which is the interval. n is the number of images.
        Where no mask of the family that was tried flips enough images, NaN in [0, 1]. Failing: the flipped rows, those
        that the smallest mask flips first.
    """
    n, tried, pixels = len(record.clean), record.tried[family], record.shape[0] * record.shape[1]
    searched = f"{tried} {family} masks tried {record.where}, {record.passes:,} forward passes for all families"
    found = record.found[family]
    if found is None:
        answers = "any answer" if record.wanted == 1 else f"{record.wanted} of {n} answers"
        detail = f"no mask of this family flips {answers} in {tried} tried {record.where}"
        detail += f" (at most {record.most[family]})" if tried and record.wanted > 1 else ""
        return estimates.undefined(n, low=0.0, high=1.0, method="search", detail=detail)
    sizes = [mask.area(record.shape) for mask in found.own]
    order = sorted(range(len(sizes)), key=lambda index: (sizes[index], index))
    first, share = found.own[order[0]], found.mask.area(record.shape) / pixels
    detail = (
        f"{found.mask.words(record.shape)} flips {len(found.rows)} of {n} images ({record.wanted} wanted), the first of "
        f"them {_part(first, found.mask, record.shape)}; {searched}; replay {replay_id(record, found.mask)}"
    )
    return Estimate(
        value=share, low=1 / pixels, high=share, n=n, method="search", detail=detail,
        failing=tuple(record.clean.ids[found.rows[index]] for index in order),
    )  # fmt: skip


def _part(mask: Mask, whole: Mask, shape: Shape) -> str:
    """Return in words how much of a mask flips an image."""
    if mask == whole:
        return "by no less than all of it"
    if mask.family == "rectangle":
        return f"by {mask.height}x{mask.width} px of it"
    return f"by the outermost {mask.depth(shape)} px of it"


def replay_id(record: SmallestRecord, mask: Mask) -> str:
    """Return what ``python -m roentgate replay`` takes: which model, and all of the mask."""
    return f"{record.fingerprint:.8}:{mask.name}"


def _outside(shape: Shape, lungs: LungFields | None) -> tuple[BoolArray, str]:
    """Return where masks may lie, bool [H, W], and that in words."""
    trusted = np.array([], np.int64) if lungs is None else np.flatnonzero(lungs.trusted)
    if lungs is None or not trusted.size:
        return border_mask(shape, BAND), f"within the outer {BAND:.0%} (no lung masks)"
    count = np.zeros(shape, np.int64)
    for start in range(0, len(trusted), _BATCH):
        count += lungs.take(trusted[start : start + _BATCH]).sum(axis=0)
    return count < RARELY_LUNG * len(trusted), "outside the lungs"


def _compute(
    evidence: Evidence, infills: Sequence[str], outside: BoolArray, wanted: int, most_masks: int
) -> Mapping[str, Array]:
    """Search family by family, then bisect for each row that was flipped."""
    before, arrays, shape = evidence.candidate.passes, Arrays(), (outside.shape[0], outside.shape[1])
    words: dict[str, Any] = {"found": {}, "tried": {}, "most": {}}
    left = most_masks
    bar = tqdm(total=most_masks, desc=f"{TITLE}, {evidence.candidate.name}", unit="mask", leave=False, delay=1.0)
    for family in FAMILIES:
        trial = _Trial(evidence, outside, wanted, bar.update)
        best, tried = hunt(
            family, shape, infills=infills, allowed=trial.allowed, flips=trial.flips, most=-(-left // _TURNS[family])
        )
        left -= tried
        words["tried"][family], words["most"][family] = tried, trial.most
        if best is not None:
            rows = np.flatnonzero(changed(evidence.test, trial.after))
            arrays |= {f"{family} rows": rows, f"{family} after": trial.after[rows]}
            own = [mask.name for mask in _own(evidence, best.steps(shape), rows)]
            words["found"][family] = {"mask": best.name, "own": own}
    bar.close()
    words["passes"] = evidence.candidate.passes - before
    return {**arrays, "words": pack(words)}


@dataclass
class _Trial:
    """What is asked of masks: do they spare the lungs, and do they flip enough images?"""

    evidence: Evidence
    outside: BoolArray
    wanted: int
    step: Callable[[int], object]
    most: int = 0
    after: Probabilities = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def allowed(self, mask: Mask) -> bool:
        """Whether at most `SPILL` of a mask lies where none may."""
        hidden = mask.hidden((self.outside.shape[0], self.outside.shape[1]))
        return bool((hidden & ~self.outside).sum() <= SPILL * hidden.sum())

    def flips(self, mask: Mask) -> bool:
        """Whether a mask flips enough images; of the last that does, `after` keeps the probabilities of all rows."""
        after = predicted(self.evidence, mask)
        flips = int(changed(self.evidence.test, after).sum())
        self.step(1)
        self.most = max(self.most, flips)
        if flips >= self.wanted:
            self.after = after
        return flips >= self.wanted


def predicted(evidence: Evidence, mask: Mask, rows: NDArray[np.int64] | None = None) -> Probabilities:
    """Return the probabilities float32 (n, K) of test rows (default: all) under a mask, batch by batch.

    Raises:
        ModelError: The model cannot answer.
    """
    data = evidence.candidate.splits.test
    chosen = np.arange(len(data)) if rows is None else rows
    return np.concatenate([evidence.candidate.predict(mask(data.take(part))) for part in _parts(chosen)])


def _parts(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]


def changed(clean: Predictions, after: Probabilities, rows: NDArray[np.int64] | None = None) -> BoolArray:
    """Return which rows have another answer; one without an answer on the whole image has none to lose."""
    chosen = np.arange(len(clean)) if rows is None else rows
    finite = np.isfinite(after).all(axis=1)
    now = np.where(finite, np.argmax(after, axis=1), -1)
    before = clean.answers[chosen]
    flipped: BoolArray = (before >= 0) & (now != before)
    return flipped


def _own(evidence: Evidence, steps: Sequence[Mask], rows: NDArray[np.int64]) -> list[Mask]:
    """Return for each row the smallest of nested masks that flips it, by bisection; the last flips them all.

    Where a larger mask flips a row back, this is one size at which the row flips and does not just below.
    """
    kept, flips = np.full(len(rows), -1), np.full(len(rows), len(steps) - 1)
    while (open_ := flips - kept > 1).any():
        middle = (kept + flips) // 2
        for step in np.unique(middle[open_]):
            asked = np.flatnonzero(open_ & (middle == step))
            flipped = changed(evidence.test, predicted(evidence, steps[step], rows[asked]), rows[asked])
            flips[asked[flipped]], kept[asked[~flipped]] = step, step
    return [steps[index] for index in flips]
