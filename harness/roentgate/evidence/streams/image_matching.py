"""Matching of streamed images to canonical rows by thumbnail.

The images may have any size and range of values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import acos, cos

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from roentgate.arrays import BoolArray, FloatArray, IntArray
from roentgate.data import COPY, area_matrix, registration
from roentgate.errors import ArgumentError

SIDE = 32
NEAR_DUPLICATE = 0.985
"""Least correlation of two canonical rows that thumbnails cannot distinguish, so that one may stand for the other."""
SURE = cos(acos(NEAR_DUPLICATE) / 2)
"""Least correlation at which an image is certainly of a row. Any row that is closer is a near-duplicate of that row."""
RECOGNISED = 0.5
"""Least correlation of an image with a row of its split. Below it, the image is not of the split."""
CANDIDATES = 16
"""Number of rows that an altered image is registered against, besides the row of its position."""

_MARGIN = 5
_WINDOW = SIDE - 2 * _MARGIN
_ROTATIONS = (-12, -6, 0, 6, 12)
_ZOOMS = (0.9, 1.0, 1.12, 1.25)
_SHIFTS = (-3.0, -1.5, 0.0, 1.5, 3.0)
_BLOCK = 32


def thumbnails(images: NDArray[np.generic]) -> FloatArray:
    """Return the thumbnails of images that matching compares.

    A thumbnail is the channel mean, area-averaged to 32x32, centred and of unit length.

    Args:
        images: [N, H, W, C] of any size, range and number type.

    Returns:
        float32 [N, 1024]. Zeros for an image that is constant or not finite.

    Raises:
        ArgumentError: The array is not [N, H, W, C] with at least one pixel.
    """
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ArgumentError(
            f"images of shape {images.shape}: not [N, H, W, C]; stream batches of images with channels last"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        grey = images.mean(axis=3, dtype=np.float32)
        small = area_matrix(SIDE, grey.shape[1]) @ grey @ area_matrix(SIDE, grey.shape[2]).T
        return _unit(small.reshape(len(images), SIDE * SIDE))


def near(value: NDArray[np.floating], best: NDArray[np.floating]) -> BoolArray:
    """Return whether correlations are about as good as the best ones.

    The tolerance is 0.01, or half of the distance from ``best`` to 1 if that is more. The second case is for altered
    images (rotated, shifted, noisy), whose correlations are uncertain.
    """
    close: BoolArray = value >= best - np.maximum(0.01, (1 - best) / 2)
    return close


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Matches of N consecutive streamed images.

    Attributes:
        best: Row of the split that agrees best, int64 [N]. -1 if that correlation is below 0.5.
        correlation: Correlation with that row, float32 [N]. Mirrored and inverted images count as the same image. An
            image without a sure match is first registered (rotated up to 12 degrees, shifted up to 10 %, zoomed).
        own: Correlation with the row of the image's position, float32 [N]. NaN past the split's end.
        near_duplicate: Correlation of the best row with the row of the position, float32 [N]. NaN past the end or
            without a best row.
        foreign: Index of another split whose best row is clearly closer, int64 [N]. -1 for none.
    """

    best: IntArray
    correlation: FloatArray
    own: FloatArray
    near_duplicate: FloatArray
    foreign: IntArray


class Matcher:
    """Matcher of streamed images to the rows of a split.

    Args:
        canonical: `thumbnails` of the rows in order, float32 [n, 1024].
        others: Thumbnails of the other splits, by name. ``foreign`` is an index in their order.
    """

    def __init__(self, canonical: FloatArray, others: Mapping[str, FloatArray] | None = None) -> None:
        self.canonical = canonical
        self._others = list((others or {}).values())

    def __len__(self) -> int:
        return len(self.canonical)

    def match(self, images: NDArray[np.generic], start: int) -> Matched:
        """Return the matches of the next streamed images.

        Args:
            images: Images [N, H, W, C] as the stream delivered them.
            start: Position of the first image in the pass.

        Raises:
            ArgumentError: As `thumbnails`.
        """
        seen = thumbnails(images)
        position = np.arange(start, start + len(seen))
        inside = position < len(self)
        own = np.full(len(seen), np.nan, dtype=np.float32)
        own[inside] = _agreement_by_row(seen[inside], self.canonical[position[inside]])
        best, correlation = position.copy(), own.copy()
        foreign = np.full(len(seen), -1, dtype=np.int64)
        unsure = np.flatnonzero(~(own >= SURE) & (len(self) > 0))
        for block in (unsure[first : first + _BLOCK] for first in range(0, len(unsure), _BLOCK)):
            plain = np.abs(seen[block] @ self.canonical.T)
            best[block], correlation[block] = plain.argmax(axis=1), plain.max(axis=1)
            altered = block[~(correlation[block] >= SURE)]
            scores = [_agreement(seen[altered], rows) for rows in (self.canonical, *self._others)]
            for place, index in enumerate(altered):
                row = int(position[index]) if inside[index] else None
                found = self._closest(seen[index], [score[place] for score in scores], row)
                best[index], correlation[index], own[index], foreign[index] = found
        best[~(correlation >= RECOGNISED)] = -1
        return Matched(
            best=best,
            correlation=correlation,
            own=own,
            near_duplicate=self.near_duplicates(best, position),
            foreign=foreign,
        )

    def settle(self, best: IntArray) -> IntArray:
        """Return the best rows after an exchange of near-duplicates.

        If a row is matched twice and a near-duplicate of it is not matched, one of the two images is given to the
        near-duplicate.
        """
        settled = best.copy()
        counts = np.bincount(best[best >= 0], minlength=len(self))
        missing, repeated = np.flatnonzero(counts == 0), np.flatnonzero(counts > 1)
        for start in range(0, len(missing) if len(repeated) else 0, _BLOCK):
            block = missing[start : start + _BLOCK]
            first, second = np.nonzero(self.canonical[block] @ self.canonical[repeated].T >= NEAR_DUPLICATE)
            for row, donor in zip(block[first], repeated[second], strict=True):
                if counts[row] == 0 and counts[donor] > 1:
                    places = np.flatnonzero(settled == donor)
                    settled[row if row in places else places[-1]] = row
                    counts[row], counts[donor] = 1, counts[donor] - 1
        return settled

    def near_duplicates(self, best: IntArray, position: IntArray) -> FloatArray:
        """Return the correlation of best rows with the rows of their positions.

        float32 [N]. NaN if one of the two does not exist.
        """
        near_duplicate = np.full(len(best), np.nan, dtype=np.float32)
        known = (best >= 0) & (position < len(self))
        near_duplicate[known] = np.einsum("ij,ij->i", self.canonical[best[known]], self.canonical[position[known]])
        near_duplicate[known & (best == position)] = 1
        return near_duplicate

    def _closest(self, seen: FloatArray, scores: list[FloatArray], row: int | None) -> tuple[int, float, float, int]:
        """Return the match of one altered image.

        Args:
            seen: Its thumbnail [1024].
            scores: Correlations with the rows of its own split and of each other split.
            row: Row of its position, or None past the split's end.

        Returns:
            Best row, correlation with it, correlation with ``row``, and index of the foreign split (-1 for none).
        """
        highest = max(float(score.max(initial=0)) for score in scores)
        own_is_best = row is not None and scores[0][row] == highest
        if seen.any() and not own_is_best and highest < SURE:
            scores = self._registered(seen, scores, row)
        best = int(scores[0].argmax())
        correlation = float(scores[0][best])
        elsewhere = np.array([float(score.max(initial=0)) for score in scores[1:]])
        foreign = -1
        if len(elsewhere) and not near(np.array(correlation), elsewhere.max()):
            foreign = int(elsewhere.argmax())
        return best, correlation, np.nan if row is None else float(scores[0][row]), foreign

    def _registered(self, seen: FloatArray, scores: list[FloatArray], row: int | None) -> list[FloatArray]:
        """Return the scores of the best candidates after registration.

        The candidates of each split are registered, and ``row`` as well. All other scores are 0.
        """
        warped = _unit((_warps() @ seen).reshape(-1, _WINDOW * _WINDOW))
        registered = []
        for index, (rows, score) in enumerate(zip((self.canonical, *self._others), scores, strict=True)):
            candidates = np.argsort(-score, kind="stable")[:CANDIDATES]
            if index == 0 and row is not None:
                candidates = np.union1d(candidates, [row])
            windows = rows[candidates].reshape(-1, SIDE, SIDE)[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
            refined = np.zeros_like(score)
            refined[candidates] = (warped @ _unit(windows.reshape(len(candidates), -1)).T).max(axis=0)
            registered.append(refined)
        return registered


def fit_affine(streamed: NDArray[np.generic], canonical: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit each streamed image as ``gain`` * canonical + ``offset``.

    The fit is by least squares over the pixels. If heights or widths differ, the canonical image is area-averaged to
    the streamed size. If the numbers of channels differ, channel means are compared.

    Args:
        streamed: Images [N, H, W, C] as delivered.
        canonical: The same images from the data set, with ``prepare`` applied, float32 [N, H', W', C'].

    Returns:
        Gain, offset and residual (1 - R squared, 0 for an exact fit), float32 [N] each. For a constant canonical image
        gain and offset are NaN, and the residual is 0 if the streamed image is constant too, else 1. If only the
        streamed image is constant, the residual is 1. If it is not finite, the residual is NaN.
    """
    source: NDArray[np.floating] = canonical
    target: NDArray[np.floating] = streamed.astype(np.float32)
    if source.shape[3] != target.shape[3]:
        source, target = source.mean(axis=3, keepdims=True), target.mean(axis=3, keepdims=True)
    if source.shape[1:3] != target.shape[1:3]:
        source = np.moveaxis(source, 3, 1)
        rows, columns = (area_matrix(target.shape[axis], source.shape[axis + 1]) for axis in (1, 2))
        source = np.moveaxis(rows @ source @ columns.T, 1, 3)
    x, y = (pixels.reshape(len(pixels), -1).astype(np.float64) for pixels in (source, target))
    with np.errstate(invalid="ignore", divide="ignore"):
        middle_x, middle_y = x.mean(axis=1), y.mean(axis=1)
        x, y = x - middle_x[:, None], y - middle_y[:, None]
        spread_x, spread_y, shared = (np.einsum("ij,ij->i", a, b) for a, b in ((x, x), (y, y), (x, y)))
        flat_x, flat_y = spread_x <= 1e-12 * x.shape[1], spread_y <= 1e-12 * y.shape[1] * np.maximum(1, middle_y**2)
        gain = np.where(flat_x, np.nan, shared / spread_x)
        residual = 1 - shared**2 / (spread_x * spread_y)
    residual = np.where(flat_x | flat_y, np.where(flat_x & flat_y, 0.0, 1.0), np.maximum(residual, 0))
    parts = (gain, middle_y - gain * middle_x, residual)
    gain32, offset32, residual32 = (part.astype(np.float32) for part in parts)
    return gain32, offset32, residual32


def same_images(streamed: NDArray[np.generic], canonical: FloatArray) -> BoolArray:
    """Return whether each streamed image is its canonical image, bool (n,).

    A mirrored image is the same image.

    Args:
        streamed: Images [n, H, W, C] as delivered.
        canonical: Prepared images of the rows, [n, H', W', C'].
    """
    pair: tuple[NDArray[np.generic], NDArray[np.generic]] = streamed, canonical
    seen, known = (registration.standard_size(images) for images in pair)
    details = [
        registration.align(seen, images, np.ones(len(seen), np.float32), at_least=RECOGNISED).detail
        for images in (known, known[:, :, ::-1])
    ]
    same: BoolArray = np.nan_to_num(np.max(details, axis=0), nan=-1) >= COPY
    return same


def _unit(vectors: FloatArray) -> FloatArray:
    """Return vectors [N, d], centred and of unit length.

    Zeros for a vector that is constant or not finite.
    """
    size = np.abs(vectors).max(axis=1, initial=0)
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    usable = np.isfinite(length) & (length > 1e-5 * size * np.sqrt(vectors.shape[1])) & (length > 0)
    unit: FloatArray = np.where(usable[:, None], centred / np.where(usable, length, 1)[:, None], np.float32(0))
    return unit


def _orientations(seen: FloatArray) -> tuple[FloatArray, ...]:
    """Return thumbnails [N, 1024] mirrored, upside down, and both."""
    square = seen.reshape(len(seen), SIDE, SIDE)
    return tuple(each.reshape(seen.shape) for each in (square[:, :, ::-1], square[:, ::-1], square[:, ::-1, ::-1]))


def _agreement_by_row(seen: FloatArray, rows: FloatArray) -> FloatArray:
    """Return `_agreement` of each thumbnail with its own row, [N].

    Args:
        seen: Thumbnails [N, 1024].
        rows: Thumbnail of the row that belongs to each, [N, 1024].
    """
    best: FloatArray = np.abs(np.einsum("ij,ij->i", seen, rows))
    for mirrored in _orientations(seen):
        np.maximum(best, np.einsum("ij,ij->i", mirrored, rows), out=best)
    best[~seen.any(axis=1) & ~rows.any(axis=1)] = 1
    return best


def _agreement(seen: FloatArray, rows: FloatArray) -> FloatArray:
    """Return the best correlation of thumbnails with rows, [N, n].

    Mirrored and inverted thumbnails are tried too. A blank image agrees with blank rows only.

    Args:
        seen: Thumbnails [N, 1024].
        rows: Thumbnails of rows, [n, 1024].
    """
    best: FloatArray = np.abs(seen @ rows.T)
    for mirrored in _orientations(seen):
        np.maximum(best, mirrored @ rows.T, out=best)
    best[np.ix_(~seen.any(axis=1), ~rows.any(axis=1))] = 1
    return best


@lru_cache(maxsize=1)
def _warps() -> sparse.csr_matrix:
    """Return the matrix that maps a thumbnail to its 1000 warped inner windows.

    Windows are mirrored, rotated, zoomed and shifted.
    """
    centre = (SIDE - 1) / 2
    grid = np.arange(_WINDOW) + _MARGIN - centre
    y, x = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    columns, weights = [], []
    for mirror, angle, zoom, down, right in product((1, -1), np.deg2rad(_ROTATIONS), _ZOOMS, _SHIFTS, _SHIFTS):
        row = np.clip(zoom * (np.cos(angle) * y - np.sin(angle) * x) + centre + down, 0, SIDE - 1)
        column = np.clip(mirror * (zoom * (np.sin(angle) * y + np.cos(angle) * x) + right) + centre, 0, SIDE - 1)
        top, left = np.minimum(row.astype(int), SIDE - 2), np.minimum(column.astype(int), SIDE - 2)
        below, after = row - top, column - left
        columns.append(np.stack([(top + i) * SIDE + left + j for i, j in product((0, 1), (0, 1))], axis=1))
        weights.append(np.stack([a * b for a, b in product((1 - below, below), (1 - after, after))], axis=1))
    flat = np.concatenate(columns)
    pointers = np.arange(0, flat.size + 1, flat.shape[1])
    shape = (len(flat), SIDE * SIDE)
    return sparse.csr_matrix((np.concatenate(weights).astype(np.float32).ravel(), flat.ravel(), pointers), shape=shape)
