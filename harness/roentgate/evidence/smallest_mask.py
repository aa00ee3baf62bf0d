"""Search for the smallest mask outside the lungs that changes answers.

Hypothesis draws masks (size, place and infill) until one changes enough answers. It then shrinks that mask, first to
the mildest infill and then to the smallest area that still changes enough answers. Each mask is tried on all test
images at once, and the number of masks is bounded. The result is therefore an upper bound: the smallest mask that the
search met. For each image that it flips, bisection then finds the smallest mask inside it that flips this image.

A single image with an uncertain answer may flip under any mask and says little about the model. The search therefore
requires that a share of the images flips, and at least one image. A share of 0 accepts any single image.
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
"""Families of masks, in the order in which they are searched."""

BAND = 0.15
"""Width of the outer band, as a share of the side, in which masks lie if the lungs are unknown."""

RARELY_LUNG = 0.05
"""A pixel counts as outside the lungs if it is lung on less than this share of the images."""

SPILL = 0.01
"""Largest share of a mask's pixels that may lie in the lungs."""

TITLE = "smallest mask"
_TURNS = {"border": 6, "strip": 6, "rectangle": 1}
"""Divisor per family: it may try this fraction of the masks that are left when its search begins."""

_BATCH = 32


class LungFields(Protocol):
    """Lung masks of the images of one split."""

    @property
    def trusted(self) -> BoolArray:
        """Whether the mask of each row is trusted, bool (n,)."""
        ...

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> BoolArray:
        """Return the lung masks of these rows: bool (k, H, W)."""
        ...


@dataclass(frozen=True)
class Found:
    """The smallest mask of one family and the images that it flips.

    Attributes:
        mask: The mask.
        rows: Test rows that it flips, int64 (k,).
        after: Their probabilities under the mask, float32 (k, K).
        own: For each of these rows the smallest mask inside ``mask`` that flips it, found by bisection.
    """

    mask: Mask
    rows: NDArray[np.int64]
    after: Probabilities
    own: tuple[Mask, ...]


@dataclass(frozen=True)
class SmallestRecord:
    """Result of the search for the smallest flipping mask.

    Attributes:
        clean: Answers on unchanged images.
        shape: Height and width of the images.
        fingerprint: Fingerprint of the model.
        found: The smallest mask of each family, or None if no mask that was tried flips enough images.
        tried: Number of masks of each family that were tried on the test images.
        most: Largest number of rows that one mask of each family flipped.
        wanted: Number of rows that a mask must flip.
        passes: Number of images sent through the model when the search was computed.
        where: Text that says which region masks could lie in.
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
        """The smallest mask of all families by area, or None."""
        found = [result for result in self.found.values() if result is not None]
        return min(found, key=lambda result: result.mask.area(self.shape), default=None)


def search(evidence: Evidence, bounds: BorderBounds, lungs: LungFields | None = None) -> SmallestRecord:
    """Return the smallest masks outside the lungs that flip enough test images.

    They are computed once and then stored.

    Args:
        evidence: Evidence on the model.
        bounds: ``smallest_share`` of the images to flip, ``most_masks`` to try, and ``infills``.
        lungs: The lung fields of the test images. With None, masks lie within the outer `BAND`.

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
    facts = unpack(kept["facts"])
    found: dict[Family, Found | None] = {
        family: Found(
            mask=masks.parse(facts["found"][family]["mask"]),
            rows=kept[f"{family} rows"],
            after=kept[f"{family} after"],
            own=tuple(masks.parse(name) for name in facts["found"][family]["own"]),
        )
        if family in facts["found"]
        else None
        for family in FAMILIES
    }
    return SmallestRecord(
        clean=clean,
        shape=shape,
        fingerprint=evidence.candidate.fingerprint,
        found=found,
        tried=facts["tried"],
        most=facts["most"],
        wanted=wanted,
        passes=facts["passes"],
        where=where,
    )


def of(evidence: Evidence, bounds: BorderBounds) -> SmallestRecord:
    """Return `search` outside the lung fields of the test images.

    The lung fields are the data set's own masks, or else the segmenter's.

    Raises:
        DataError: An image or a mask cannot be decoded.
        ModelError: As `search`.
    """
    candidate = evidence.candidate
    return search(evidence, bounds, lung_fields(candidate.splits.test, candidate.store))


def area(record: SmallestRecord, family: Family) -> Estimate:
    """Share of the image that a family's smallest flipping mask hides.

    It lies between 0 and 1, and higher is better.

    Args:
        record: From `search`.
        family: ``border``, ``strip`` or ``rectangle``.

    Returns:
        The share, with the interval from one pixel to the share itself, since the search gives an upper bound. n is
        the number of images. NaN in [0, 1] if no mask of the family that was tried flips enough images. The flipped
        rows are the failing ones, those with the smallest mask of their own first.
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
    mask = found.mask.description(record.shape)
    detail = (
        f"{mask} flips {len(found.rows)} of {n} images ({record.wanted} wanted), the first of "
        f"them {_part(first, found.mask, record.shape)}; {searched}; replay {replay_id(record, found.mask)}"
    )
    failing = tuple(record.clean.ids[found.rows[index]] for index in order)
    return Estimate(value=share, low=1 / pixels, high=share, n=n, method="search", detail=detail, failing=failing)


def _part(mask: Mask, whole: Mask, shape: Shape) -> str:
    """Return text that says how much of a mask flips an image."""
    if mask == whole:
        return "by no less than all of it"
    if mask.family == "rectangle":
        return f"by {mask.height}x{mask.width} px of it"
    return f"by the outermost {mask.depth(shape)} px of it"


def replay_id(record: SmallestRecord, mask: Mask) -> str:
    """Return the id of a mask for ``python -m roentgate replay``.

    It holds the start of the model's fingerprint and all parameters of the mask.
    """
    return f"{record.fingerprint:.8}:{mask.name}"


def _outside(shape: Shape, lungs: LungFields | None) -> tuple[BoolArray, str]:
    """Return where masks may lie, bool [H, W], and its description."""
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
    """Search each family, then bisect for each row that was flipped."""
    before, arrays, shape = evidence.candidate.passes, Arrays(), (outside.shape[0], outside.shape[1])
    facts: dict[str, Any] = {"found": {}, "tried": {}, "most": {}}
    left = most_masks
    bar = tqdm(total=most_masks, desc=f"{TITLE}, {evidence.candidate.name}", unit="mask", leave=False, delay=1.0)
    for family in FAMILIES:
        trial = _Trial(evidence, outside, wanted, bar.update)
        best, tried = hunt(
            family, shape, infills=infills, allowed=trial.allowed, flips=trial.flips, most=-(-left // _TURNS[family])
        )
        left -= tried
        facts["tried"][family], facts["most"][family] = tried, trial.most
        if best is not None:
            rows = np.flatnonzero(changed(evidence.test, trial.after))
            arrays |= {f"{family} rows": rows, f"{family} after": trial.after[rows]}
            own = [mask.name for mask in _own(evidence, best.steps(shape), rows)]
            facts["found"][family] = {"mask": best.name, "own": own}
    bar.close()
    facts["passes"] = evidence.candidate.passes - before
    return {**arrays, "facts": pack(facts)}


@dataclass
class _Trial:
    """Tests whether masks spare the lungs and flip enough images.

    Attributes:
        most: Largest number of rows that one mask flipped.
        after: Probabilities (n, K) of all rows under the last mask that flipped enough images.
    """

    evidence: Evidence
    outside: BoolArray
    wanted: int
    step: Callable[[int], object]
    most: int = 0
    after: Probabilities = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def allowed(self, mask: Mask) -> bool:
        """Whether at most `SPILL` of a mask lies outside the allowed region."""
        hidden = mask.hidden((self.outside.shape[0], self.outside.shape[1]))
        return bool((hidden & ~self.outside).sum() <= SPILL * hidden.sum())

    def flips(self, mask: Mask) -> bool:
        """Whether a mask flips enough images."""
        after = predicted(self.evidence, mask)
        flips = int(changed(self.evidence.test, after).sum())
        self.step(1)
        self.most = max(self.most, flips)
        if flips >= self.wanted:
            self.after = after
        return flips >= self.wanted


def predicted(evidence: Evidence, mask: Mask, rows: NDArray[np.int64] | None = None) -> Probabilities:
    """Return the probabilities of test rows under a mask, float32 (n, K).

    Args:
        evidence: Evidence on the model.
        mask: The mask to apply.
        rows: Test rows to predict, by default all.

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
    """Return whether each row has another answer than before.

    A row without an answer on the unchanged image does not count as changed.

    Args:
        clean: Answers on unchanged images.
        after: Probabilities float32 (k, K) of the rows under a mask.
        rows: The rows int64 (k,), by default all.
    """
    chosen = np.arange(len(clean)) if rows is None else rows
    finite = np.isfinite(after).all(axis=1)
    now = np.where(finite, np.argmax(after, axis=1), -1)
    before = clean.answers[chosen]
    flipped: BoolArray = (before >= 0) & (now != before)
    return flipped


def _own(evidence: Evidence, steps: Sequence[Mask], rows: NDArray[np.int64]) -> list[Mask]:
    """Return for each row the smallest of nested masks that flips it.

    The masks in ``steps`` grow, and the last one flips all rows. Bisection assumes that a larger mask does not flip a
    row back. If one does, the result is a size that flips the row while the next smaller one does not.
    """
    kept, flips = np.full(len(rows), -1), np.full(len(rows), len(steps) - 1)
    while (open_ := flips - kept > 1).any():
        middle = (kept + flips) // 2
        for step in np.unique(middle[open_]):
            tested = np.flatnonzero(open_ & (middle == step))
            flipped = changed(evidence.test, predicted(evidence, steps[step], rows[tested]), rows[tested])
            flips[tested[flipped]], kept[tested[~flipped]] = step, step
    return [steps[index] for index in flips]
