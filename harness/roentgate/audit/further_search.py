"""Finds copies that were turned, zoomed, shifted or mirrored, as augmentation libraries do.

It takes longer than the usual search, and is made where that one has found copies in two splits.
"""

from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from roentgate.arrays import FloatArray, IntArray
from roentgate.audit.scan import Survey
from roentgate.data import registration
from roentgate.process import in_threads

ANGLES: Final = tuple(range(-48, 49, 8))
"""Rotations in degrees. Two copies turned by up to 25 degrees each are up to 50 apart."""
ZOOMS: Final = (0.8, 0.9, 1.0, 1.12, 1.25)
SHIFTS: Final = tuple(range(-6, 7, 2))
"""Shifts across and down, in pixels of a thumbnail of 32."""
MOST_PAIRS: Final = 500_000
"""Most pairs of images that are searched, which takes some minutes. More are not searched."""

_SIDE = 32
_RADIUS = 10.0
_REACH = 18.0
_NEAR = 0.90
_OVERLAP = 0.5
_PAIRS = 512
_BILINEAR = 4


def search(
    seen: Survey, queries: IntArray, rows: IntArray, *, at_least: float
) -> tuple[IntArray, FloatArray, IntArray]:
    """Return pairs of images that are alike once one is turned, zoomed, shifted or mirrored.

    Args:
        seen: The images.
        queries: Rows (k,) to find copies of.
        rows: Rows (n,) among which they are looked for.
        at_least: Agreement from which detail is compared.

    Returns:
        int64 (m, 2) pairs of (row, query), float32 (m,) correlation of their detail, 0 if they are unlike, and int64
        (m,) 1 for a mirrored pair.
    """
    plain = _unit(_thumbnails(seen, rows).reshape(len(rows), -1)[:, _disc().ravel()])
    starts, warps = _warps()

    def near(query: int) -> list[tuple[int, int, int, int]]:
        (thumbnail,) = _thumbnails(seen, np.array([query]))
        found = []
        for mirrored, image in enumerate((thumbnail, thumbnail[:, ::-1])):
            views = _unit((warps @ image.ravel()).reshape(len(starts), -1))
            scores = views @ plain.T
            best = scores.argmax(axis=0)
            places = np.flatnonzero((scores[best, np.arange(len(rows))] >= _NEAR) & (rows != query))
            found += [(int(rows[place]), query, mirrored, int(best[place])) for place in places]
        return found

    found = [pair for pairs in in_threads(near, queries.tolist()) for pair in pairs]
    table = np.array(found, np.int64).reshape(-1, 4)
    blocks = [table[begin : begin + _PAIRS] for begin in range(0, len(table), _PAIRS)]
    details = in_threads(lambda block: _detail(seen, block, starts[block[:, 3]], at_least), blocks)
    return table[:, :2], np.concatenate([np.zeros(0, np.float32), *details]), table[:, 2]


def _detail(seen: Survey, pairs: IntArray, starts: FloatArray, at_least: float) -> FloatArray:
    images, partners = (seen.thumbnails(pairs[:, column]).astype(np.float32) for column in (0, 1))
    mirrored = pairs[:, 2] == 1
    partners[mirrored] = partners[mirrored, :, ::-1]
    found = registration.align(images, partners, starts, at_least=at_least, overlap=_OVERLAP)
    return np.nan_to_num(found.detail, nan=0.0)


def _thumbnails(seen: Survey, rows: IntArray) -> FloatArray:
    """Return thumbnails (n, 32, 32)."""
    parts = [np.zeros((0, _SIDE, _SIDE), np.float32)]
    for begin in range(0, len(rows), _PAIRS):
        whole = seen.thumbnails(rows[begin : begin + _PAIRS]).astype(np.float32)
        share = whole.shape[1] // _SIDE
        parts.append(whole.reshape(len(whole), _SIDE, share, _SIDE, share).mean(axis=(2, 4)))
    return np.concatenate(parts)


def _grid() -> tuple[FloatArray, FloatArray]:
    """Return y and x of a thumbnail's pixels, from its centre."""
    centres = np.arange(_SIDE, dtype=np.float32) - (_SIDE - 1) / 2
    y, x = np.meshgrid(centres, centres, indexing="ij")
    return y, x


def _disc() -> NDArray[np.bool_]:
    """Return the middle of a thumbnail that is compared, as a disc."""
    y, x = _grid()
    inside: NDArray[np.bool_] = np.hypot(x, y) <= _RADIUS
    return inside


@lru_cache(maxsize=1)
def _warps() -> tuple[FloatArray, sparse.csr_matrix]:
    """Return the maps (k, 2, 3) of all views, and the matrix that makes their discs of a thumbnail."""
    y, x = (axis[_disc()] for axis in _grid())
    maps, columns, weights = [], [], []
    for angle, zoom, down, right in product(np.deg2rad(ANGLES), ZOOMS, SHIFTS, SHIFTS):
        cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
        row, column = cosine * y - sine * x + down, sine * y + cosine * x + right
        if max(np.abs(row).max(), np.abs(column).max()) > _REACH:
            continue
        maps.append([[cosine, sine, right / (_SIDE / 2)], [-sine, cosine, down / (_SIDE / 2)]])
        row, column = (np.clip(place + (_SIDE - 1) / 2, 0, _SIDE - 1.001) for place in (row, column))
        top, left = row.astype(np.int64), column.astype(np.int64)
        below, after = row - top, column - left
        columns.append(np.stack([(top + i) * _SIDE + left + j for i, j in product((0, 1), (0, 1))], axis=1))
        weights.append(np.stack([a * b for a, b in product((1 - below, below), (1 - after, after))], axis=1))
    flat = np.concatenate(columns).ravel()
    pointers = np.arange(0, flat.size + 1, _BILINEAR)
    values = np.concatenate(weights).astype(np.float32).ravel()
    shape = (len(pointers) - 1, _SIDE * _SIDE)
    return np.array(maps, np.float32), sparse.csr_matrix((values, flat, pointers), shape=shape)


def _unit(vectors: FloatArray) -> FloatArray:
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    unit: FloatArray = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return unit
