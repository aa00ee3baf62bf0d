"""Perturbations that show which part of an image a model uses.

Regions are hidden, backgrounds are exchanged, and burned-in annotations are moved.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from roentgate.arrays import BoolArray, Images, IntArray
from roentgate.data import Dataset
from roentgate.errors import ArgumentError, did_you_mean
from roentgate.lungs import burned_in_annotations
from roentgate.lungs.burned_in_annotations import Annotation
from roentgate.lungs.lung_masks import LungFields
from roentgate.perturbations import Infill, donors
from roentgate.perturbations import regions as interventions
from roentgate.store import Store

REGIONS: Final = {
    "lungs": "without lungs",
    "common": "without the usual lung region, alike on every image",
    "another": "without another patient's lung region",
    "region": "without a random region as large as the lungs",
    "background": "without all but the lungs",
}
"""The regions that can be hidden, and their descriptions in the scorecard."""
CHANGES: Final = ("swapped", "same_class", "annotated", "plain", "letter", "patch", "inverted")
"""All other changes.

``swapped`` and ``same_class`` set the lungs onto the background of another class or of the same class. ``annotated``
pastes a burned-in annotation, ``plain`` a flat patch in its place. ``letter`` draws a letter, ``patch`` a flat patch
of the same brightness. ``inverted`` exchanges black and white.
"""


USUAL: Final = 0.10
"""Least share of the trusted fields that hold a pixel of the usual lung region.

The region must hide the lungs of nearly every image, or what is left of them counts as skill without lungs. Of the
lungs of an image it leaves on average 2 to 3 % on the tuberculosis images and on ``phantom``, and covers 0.42 to 0.47
of the image. With one half it left 18 to 24 %.
"""


class LungPerturbations:
    """The perturbations of the test images, with all random choices made once.

    Args:
        test: The images.
        fields: Their lung fields. An image without a trusted field stays unchanged and is no donor for others.
        store: Keeps the burned-in annotations that were found.
        seed: Of all random choices.
        lender: Images of train and their lung fields, whose burned-in annotations are pasted too. None for none.

    Attributes:
        rows: int64 (m,), test rows with a trusted lung field.
        background: int64 (n,), for each row the test row of another class that gives its background, -1 for none.
        same_class: int64 (n,), the same for a background of the same class.
        found: The burned-in annotations of each row.
        markers: For each row an annotation from an image of another class that does not overlap the lungs of the row,
            None if there is none.
        marker_rows: int64 (n,), for each row the row that gives the annotation, -1 for none. Rows of ``lender`` follow
            those of the test images.
        marker_labels: int64 (n,), the classes of these rows, -1 for none.
        lender, lender_fields: The lending images of train and their lung fields, or None.
        common: bool [H, W], the usual lung region: pixels that are lung in at least `USUAL` of the trusted fields.
    """

    def __init__(
        self,
        test: Dataset,
        fields: LungFields,
        store: Store,
        *,
        seed: int,
        lender: tuple[Dataset, LungFields] | None = None,
    ) -> None:
        self.test, self.fields, self.seed = test, fields, seed
        self.rows = np.flatnonzero(fields.trusted)
        other, same = donors(test.labels[self.rows], test.classes, seed=seed)
        self.background, self.same_class = self._of_every_row(other), self._of_every_row(same)
        self.found = burned_in_annotations.find_each(test, fields, store)
        self.lender = None if lender is None else lender[0]
        self.lender_fields = None if lender is None else lender[1]
        self.lent = [] if lender is None else burned_in_annotations.find_each(*lender, store)
        self.markers, self.marker_rows = self._markers()
        labels = test.labels if lender is None else np.concatenate([test.labels, lender[0].labels])
        self.marker_labels = np.where(self.marker_rows >= 0, labels[self.marker_rows], -1)
        self.common = self._usual()

    def changed(self, change: str | tuple[str, Infill], rows: IntArray) -> Images:
        """Return changed images as the model was given them: float32 [b, H, W, C] in [0, 1].

        Args:
            change: One of `CHANGES`, or a region of `REGIONS` with an infill.
            rows: int64 (b,), test rows.

        Raises:
            ArgumentError: There is no such change.
        """
        images = self.test.take(rows)
        if isinstance(change, str):
            return self.altered(images, rows, change)
        region, infill = change
        ((_, hidden),) = self.hidden(images, rows, region, [infill])
        return hidden

    def hidden(
        self, images: Images, rows: IntArray, region: str, infills: Iterable[Infill]
    ) -> Iterator[tuple[Infill, Images]]:
        """Yield each infill and the images with a region hidden under it.

        Args:
            images: float32 [b, H, W, C], the images of ``rows``, not modified.
            rows: int64 (b,), test rows.
            region: One of `REGIONS`.
            infills: Among `roentgate.perturbations.regions.REGION_INFILLS`.
        """
        return interventions.hide(images, self.regions(region, rows), infills, rows, self.seed)

    def altered(self, images: Images, rows: IntArray, change: str) -> Images:
        """Return images under one of `CHANGES`.

        A row without a donor or an annotation stays unchanged.

        Args:
            images: float32 [b, H, W, C], the images of ``rows``, not modified.
            rows: int64 (b,), test rows.
            change: One of `CHANGES`.

        Raises:
            ArgumentError: There is no such change.
        """
        if change == "inverted":
            return np.float32(1) - images
        if change in {"swapped", "same_class"}:
            return self._swapped(images, rows, self.background if change == "swapped" else self.same_class)
        if change in {"letter", "patch"}:
            return interventions.lettered(images, plain=change == "patch")
        if change in {"annotated", "plain"}:
            return self._marked(images, rows, plain=change == "plain")
        raise ArgumentError(f"change '{change}': unknown; {did_you_mean(change, CHANGES)}")

    def regions(self, kind: str, rows: IntArray) -> BoolArray:
        """Return the pixels to hide in each row: bool [b, H, W].

        Nothing is hidden in a row without a trusted lung field.

        Raises:
            ArgumentError: ``kind`` is none of `REGIONS`.
        """
        own = self.fields.take(rows)
        if kind not in REGIONS:
            raise ArgumentError(f"region '{kind}': unknown; {did_you_mean(kind, tuple(REGIONS))}")
        if kind == "common":
            masks = np.repeat(self.common[None], len(rows), axis=0)
        elif kind == "another":
            others = np.where(self.background >= 0, self.background, self.same_class)[rows]
            masks = self.fields.take(np.maximum(others, 0)) & (others >= 0)[:, None, None]
        elif kind == "region":
            masks = interventions.random_regions(own.sum(axis=(1, 2)), self.fields.shape, rows, self.seed)
        else:
            masks = ~own if kind == "background" else own
        return masks & self.fields.trusted[rows, None, None]

    def _of_every_row(self, partners: IntArray) -> IntArray:
        """Return partners of the trusted rows as test rows: int64 (n,), -1 for none.

        Args:
            partners: int64 (m,), indices into the trusted rows, -1 for none.
        """
        result = np.full(len(self.test), -1, dtype=np.int64)
        result[self.rows] = np.where(partners >= 0, self.rows[partners], -1)
        return result

    def _usual(self) -> BoolArray:
        """Return the pixels that are lung in at least `USUAL` of the trusted fields: bool [H, W]."""
        counts = np.zeros(self.fields.shape, dtype=np.int64)
        for start in range(0, len(self.rows), 64):
            counts += self.fields.take(self.rows[start : start + 64]).sum(axis=0)
        usual: BoolArray = counts >= max(USUAL * len(self.rows), 1)
        return usual

    def _markers(self) -> tuple[list[Annotation | None], IntArray]:
        """Return for each test row an annotation of another image, and the row of that image.

        The image is of another class, and the annotation does not overlap the lungs of the test row. Every annotated
        image is as likely: a class with few annotations is not typical of them.
        """
        found = [*self.found, *self.lent]
        labels = self.test.labels if self.lender is None else np.concatenate([self.test.labels, self.lender.labels])
        chosen: list[Annotation | None] = [None] * len(self.test)
        donor_rows = np.full(len(self.test), -1, dtype=np.int64)
        annotated = np.array([row for row, marks in enumerate(found) if marks], dtype=np.int64)
        largest = {
            row: max(found[row], key=lambda mark: (mark.bottom - mark.top) * (mark.right - mark.left))
            for row in annotated
        }
        given = np.zeros(len(found), dtype=np.int64)
        for row in self.rows:
            generator = np.random.default_rng((self.seed, int(row), 4))
            shuffled = generator.permutation(annotated[labels[annotated] != self.test.labels[row]])
            candidates = shuffled[np.argsort(given[shuffled], kind="stable")]  # who has given least comes first
            lungs = self.fields.take(np.array([row]))[0]
            for donor in candidates:
                if not lungs[largest[donor].box].any():
                    chosen[row], donor_rows[row] = largest[donor], donor
                    given[donor] += 1
                    break
        return chosen, donor_rows

    def _swapped(self, images: Images, rows: IntArray, partners: IntArray) -> Images:
        backgrounds = self.test.take(np.where(partners[rows] >= 0, partners[rows], rows))
        lungs, holes = self.fields.take(rows), self.fields.take(np.maximum(partners[rows], 0))
        return np.stack(
            [
                interventions.into_background(image, lung, background, hole) if partners[row] >= 0 else image
                for image, lung, background, hole, row in zip(images, lungs, backgrounds, holes, rows, strict=True)
            ]
        )

    def _marked(self, images: Images, rows: IntArray, *, plain: bool) -> Images:
        donor_images = self._lenders(self.marker_rows[rows])
        changed = images.copy()
        for index, row in enumerate(rows):
            marker = self.markers[row]
            if marker is not None:
                for own in [] if plain else self.found[row]:
                    changed[index][own.box] = np.float32(own.ground)
                changed[index][marker.box] = np.float32(marker.ground) if plain else donor_images[index][marker.box]
        return changed

    def _lenders(self, rows: IntArray) -> Images:
        """Return the images of ``marker_rows``, and any image for -1."""
        images = self.test.take(np.where((rows >= 0) & (rows < len(self.test)), rows, 0))
        lent = np.flatnonzero(rows >= len(self.test))
        if self.lender is not None and len(lent):
            images[lent] = self.lender.take(rows[lent] - len(self.test))
        return images
