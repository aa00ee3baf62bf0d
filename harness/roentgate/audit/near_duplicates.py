"""Finds images that are in a data set more than once.

They have identical bytes or identical pixels, or are copies that were re-encoded, resized, cropped or mirrored. Copies
are looked for among each image's nearest neighbours in the low frequencies of its thumbnail, which is also cropped by
2.5 and 5 % on each side and mirrored. Each candidate is then laid over its neighbour, and their detail is compared.
Where copies are found in two splits, others may have been turned or zoomed further, and are looked for as well.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse
from scipy.sparse import csgraph
from tqdm import tqdm

from roentgate.arrays import FloatArray, IntArray
from roentgate.audit import further_search
from roentgate.audit.scan import Survey
from roentgate.code_key import code_digest
from roentgate.data import COPY, SPLITS, registration
from roentgate.store import Arrays, Store, digest

Kind = Literal["identical bytes", "identical pixels", "near-duplicate"]

KINDS: tuple[Kind, ...] = ("identical bytes", "identical pixels", "near-duplicate")
ALIKE = 0.96
"""Agreement from which detail is compared."""
CROPS = (0.0, 0.025, 0.05)
"""Shares that are cut from each side of an image to find its neighbours."""
NEIGHBOURS = 4
"""Number of images that each image is laid over."""

_FREQUENCIES = 8
_SIDE = 32
_NEAR = 0.93
_OPPOSITE = -0.3
_STRETCHES = 64
_LONGEST_STRETCH = 256
_BLOCK = 256
_PAIRS = 512
_FLAT = 1.0  # deviation in grey levels of 255, below which there is nothing to compare


@dataclass(frozen=True, kw_only=True, eq=False)
class Duplicates:
    """Pairs of images that are the same: k pairs of n rows.

    Attributes:
        first: int64 (k,) row.
        second: int64 (k,) a later row.
        kind: int64 (k,) index into `KINDS`.
        similarity: float32 (k,) correlation of detail, 1 for identical images.
        mirrored: bool (k,) whether one is the mirror image of the other.
        almost: int64 (m, 2) the most similar pairs that do not count as the same, by similarity.
        almost_similarity: float32 (m,) their correlation of detail.
        likeness: float32 (n,) correlation of each image's low frequencies with those of the most similar image. It is 1
            for an image that is identical to another, or that has nothing to compare.
        inverted: bool (n,) whether an image is the opposite of the average image.
        clusters: int64 (n,) a number for each set of images that are the same. Two images may be so through a third.
        further: Whether copies were found in two splits. Others were then looked for that are turned by up to 25
            degrees each, zoomed by 0.8 to 1.25 or shifted, unless there are too many pairs (`further_search`).
            Copies that are altered further than that may be missed.
    """

    first: IntArray
    second: IntArray
    kind: IntArray
    similarity: FloatArray
    mirrored: NDArray[np.bool_]
    almost: IntArray
    almost_similarity: FloatArray
    likeness: FloatArray
    inverted: NDArray[np.bool_]
    clusters: IntArray
    further: bool = False

    def __len__(self) -> int:
        return len(self.first)


def find_duplicates(seen: Survey, store: Store) -> Duplicates:
    """Return all pairs of images that are the same.

    A set of files is searched once, and the result is kept in the store. If more than two images are identical, each is
    paired with the first.
    """
    key = digest("duplicates", seen.fingerprint, code_digest(__name__))
    found = store.arrays(key, lambda: _search(seen))
    rows = len(seen)
    links = sparse.coo_matrix((np.ones(len(found["first"])), (found["first"], found["second"])), shape=(rows, rows))
    clusters = csgraph.connected_components(links, directed=False)[1].astype(np.int64)
    further = bool(found.pop("further"))
    return Duplicates(**found, further=further, clusters=clusters)


def _search(seen: Survey) -> Arrays:
    exact = [*_identical(seen)]
    repeated = {second for _, second, _ in exact}
    flat = [image.deviation * 255 < _FLAT for image in seen.images]
    rows = np.array(
        [row for row in range(len(seen)) if seen.readable[row] and row not in repeated and not flat[row]], np.int64
    )
    plain, views = _features(seen, rows)
    candidates, closest = _candidates(plain, views)
    pairs, similarity, mirrored = _compared(seen, rows, candidates)
    copied = np.concatenate(
        [np.array([pair[:2] for pair in exact], np.int64).reshape(-1, 2), pairs[similarity >= COPY]]
    )
    further = bool((seen.split[copied[:, 0]] != seen.split[copied[:, 1]]).any())
    if further:
        pairs, similarity, mirrored = _further(seen, rows, pairs, similarity, mirrored)
    likeness, inverted = np.ones(len(seen), np.float32), np.zeros(len(seen), np.bool_)
    likeness[rows] = closest
    inverted[rows] = plain @ _unit(plain.mean(axis=0, keepdims=True))[0] < _OPPOSITE if len(rows) else False
    copies = similarity >= COPY
    almost = np.flatnonzero(~copies & (similarity > 0))
    almost = almost[np.argsort(-similarity[almost], kind="stable")][:12]
    first = np.concatenate([np.array([row for row, _, _ in exact], np.int64), pairs[copies, 0]])
    second = np.concatenate([np.array([row for _, row, _ in exact], np.int64), pairs[copies, 1]])
    order = np.lexsort((second, first))
    kinds = [KINDS.index(kind) for _, _, kind in exact] + [KINDS.index("near-duplicate")] * int(copies.sum())
    return {
        "first": first[order],
        "second": second[order],
        "kind": np.array(kinds, np.int64)[order],
        "similarity": np.concatenate([np.ones(len(exact), np.float32), similarity[copies]])[order],
        "mirrored": np.concatenate([np.zeros(len(exact), np.bool_), mirrored[copies]])[order],
        "almost": pairs[almost],
        "almost_similarity": similarity[almost],
        "likeness": likeness,
        "inverted": inverted,
        "further": np.array(further),
    }


def _further(
    seen: Survey, rows: IntArray, pairs: IntArray, similarity: FloatArray, mirrored: NDArray[np.bool_]
) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """Return the pairs with those of the further search, each once.

    It is made for the images of test and validation.
    """
    queries = rows[seen.split[rows] != SPLITS.index("train")]
    if len(queries) * len(rows) > further_search.MOST_PAIRS:
        return pairs, similarity, mirrored
    more, detail, flipped = further_search.search(seen, queries, rows, at_least=ALIKE)
    return _once(
        np.concatenate([pairs, np.sort(more, axis=1)]),
        np.concatenate([similarity, detail]),
        np.concatenate([mirrored, flipped == 1]),
    )


def _identical(seen: Survey) -> Iterator[tuple[int, int, Kind]]:
    """Yield (first row, later row, kind) of images with equal bytes or pixels."""
    by_bytes: dict[str, int] = {}
    by_pixels: dict[str, int] = {}
    for row, image in enumerate(seen.images):
        if image.fault or image.header is None:
            continue
        same_bytes = by_bytes.setdefault(image.header.digest, row)
        same_pixels = by_pixels.setdefault(image.pixels, row)
        if same_bytes != row:
            yield same_bytes, row, "identical bytes"
        elif same_pixels != row:
            yield same_pixels, row, "identical pixels"


def _compared(seen: Survey, rows: IntArray, candidates: IntArray) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """Return each candidate pair once, with similarity and mirroring.

    Returns:
        int64 (k, 2) pairs of rows, first < second, float32 (k,) correlation of their detail, 0 if they are unlike, and
        bool (k,) whether one is mirrored.
    """
    image, neighbour, view = rows[candidates[:, 0]], rows[candidates[:, 1]], candidates[:, 2]
    similarity = np.zeros(len(image), np.float32)
    zooms = np.array([1 - 2 * crop for crop in CROPS for _ in (0, 1)], np.float32)
    blocks = [slice(start, start + _PAIRS) for start in range(0, len(image), _PAIRS)]
    with ThreadPoolExecutor(2) as pool, _bar(len(image), "comparing images", "pair") as bar:

        def compare(block: slice) -> None:
            cut = seen.thumbnails(image[block]).astype(np.float32)
            mirrored = view[block] % 2 == 1
            cut[mirrored] = cut[mirrored, :, ::-1]
            whole = seen.thumbnails(neighbour[block]).astype(np.float32)
            found = registration.align(whole, cut, zooms[view[block]], at_least=ALIKE)
            similarity[block] = np.nan_to_num(found.detail, nan=0.0)
            bar.update(len(cut))

        list(pool.map(compare, blocks))
    return _once(np.sort(np.stack([image, neighbour], axis=1), axis=1), similarity, view % 2 == 1)


def _once(
    pairs: IntArray, similarity: FloatArray, mirrored: NDArray[np.bool_]
) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """Return each pair once, at its highest similarity."""
    order = np.lexsort((-similarity, pairs[:, 1], pairs[:, 0]))
    pairs, similarity, mirrored = pairs[order], similarity[order], mirrored[order]
    new = np.ones(len(pairs), np.bool_)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[new], similarity[new], mirrored[new]


def _features(seen: Survey, rows: IntArray) -> tuple[FloatArray, list[FloatArray]]:
    """Return low frequencies (n, 63) of unit length, of images and of their views.

    The views are the crops of `CROPS`, each plain and mirrored.
    """
    views: list[list[FloatArray]] = [[] for _ in range(2 * len(CROPS))]
    for start in range(0, len(rows), _BLOCK):
        thumbnails = seen.thumbnails(rows[start : start + _BLOCK]).astype(np.float32)
        for index, crop in enumerate(CROPS):
            low = _low(_cropped(thumbnails, crop))
            views[2 * index].append(_unit(low))
            views[2 * index + 1].append(_unit(low * _MIRROR))
    joined = [np.concatenate([np.zeros((0, _MIRROR.size), np.float32), *parts]) for parts in views]
    return joined[0], joined


def _cropped(images: FloatArray, crop: float) -> FloatArray:
    """Return the middle of images (n, 128, 128), averaged to (n, 32, 32)."""
    side = images.shape[1]
    edges = np.linspace(crop * side, (1 - crop) * side, _SIDE + 1)
    pixels = np.arange(side)
    overlap = np.clip(np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels), 0, None)
    weights = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    smaller: FloatArray = weights @ images @ weights.T
    return smaller


def _low(images: FloatArray) -> FloatArray:
    """Return the lowest frequencies (n, 63) of images (n, 32, 32) without their mean."""
    waves = fft.dctn(images, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES]
    low: FloatArray = waves.reshape(len(images), -1)[:, 1:]
    return low


_MIRROR: FloatArray = np.tile(np.where(np.arange(_FREQUENCIES) % 2, -1, 1), _FREQUENCIES)[1:].astype(np.float32)
"""Factor by which mirroring changes each of these frequencies.

The odd horizontal ones change their sign.
"""


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return unit


def _candidates(plain: FloatArray, views: list[FloatArray]) -> tuple[IntArray, FloatArray]:
    """Return each row's nearest neighbours, and its best score.

    Only the nearest image of each stretch of consecutive images competes. If a row has two neighbours in one stretch,
    the second one is found only if the row is among its own neighbours.

    Returns:
        int64 (k, 3) of (row, neighbour, best view), and float32 (n,) of the best score.
    """
    n = len(plain)
    stretch = min(max(n // _STRETCHES, 1), _LONGEST_STRETCH)
    width = -(-n // stretch) * stretch
    closest = np.zeros(n, np.float32)
    with ThreadPoolExecutor(2) as pool, _bar(n, "looking for copies", "image") as bar:

        def nearest(start: int) -> IntArray:
            block = np.arange(start, min(start + _BLOCK, n))
            best = np.full((len(block), width), -1, np.float32)
            for features in views:
                np.maximum(best[:, :n], features[block] @ plain.T, out=best[:, :n])
            best[np.arange(len(block)), block] = -1
            closest[block] = best.max(axis=1)
            bar.update(len(block))
            rows, neighbours = _closest(best.reshape(len(block), -1, stretch))
            rows = block[rows]
            scores = [np.einsum("ij,ij->i", features[rows], plain[neighbours]) for features in views]
            return np.stack([rows, neighbours, np.argmax(scores, axis=0)], axis=1)

        found = list(pool.map(nearest, range(0, n, _BLOCK)))
    return np.concatenate([np.zeros((0, 3), np.int64), *found]), closest


def _closest(scores: FloatArray) -> tuple[IntArray, IntArray]:
    """Return (row, column) of each row's best scores from `_NEAR` on.

    Args:
        scores: float32 (m, stretches, length). Of at most `NEIGHBOURS` stretches per row the best score is taken.
    """
    column = scores.argmax(axis=2) + np.arange(scores.shape[1]) * scores.shape[2]
    score = np.take_along_axis(scores.reshape(len(scores), -1), column, axis=1)
    order = np.argsort(-score, axis=1, kind="stable")[:, :NEIGHBOURS]
    row, place = np.nonzero(np.take_along_axis(score, order, axis=1) >= _NEAR)
    return row, column[row, order[row, place]]


def _bar(total: int, title: str, unit: str) -> "tqdm[None]":
    return tqdm(total=total, desc=title, unit=unit, leave=False, mininterval=0.5, delay=1.0)
