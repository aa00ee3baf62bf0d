"""The rows of train, validation and test, read from class folders or from a manifest."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roentgate.data.card import Card
from roentgate.data.class_folders import Listing, SplitName, Tree
from roentgate.data.dataset import Dataset, Splits
from roentgate.data.link_tree import lay_out
from roentgate.data.manifest import SPLITS, Manifest
from roentgate.errors import ArgumentError
from roentgate.store import Store


def read_classes(card: Card, *, root: Path | None = None) -> tuple[str, ...]:
    """Return the class names without reading any image.

    They are those of the card, or else the sorted folder names of train or the sorted labels of the manifest.

    Args:
        card: The data card.
        root: The data root, if it is not the card's own.

    Raises:
        ArgumentError: The card has neither classes nor a root, and none is given.
        DataError: There is no train folder or manifest, a line of it is wrong, or there are fewer than two classes.
    """
    return card.classes or _rows_origin(card, root).classes


def read_splits(
    card: Card,
    *,
    image_shape: tuple[int, int, int],
    cache: Path | None,
    root: Path | None = None,
    store: Store | None = None,
) -> Splits:
    """List the rows of train, validation and test without decoding.

    The order is that of Keras' ``flow_from_directory``: by class, then by sub-folder, then by file name, each sorted.
    Without ``validation/`` the first ``int(0.2 n)`` train rows of each class are validation rows. The rows of a
    manifest have the same order. Its splits are given in it, or are made (`roentgate.data.splitting`).

    Args:
        card: The data card.
        image_shape: (H, W, C) of the pixels. C is 1 or 3.
        cache: The folder that keeps decoded pixels, or None.
        root: The data root, if it is not the card's own: the folder that the card's generator has written.
        store: Keeps the splits made for a manifest, and its class folders. None makes no folders.

    Raises:
        ArgumentError: ``image_shape`` has another number of channels, or the card has no root and none is given.
        DataError: A split, class folder or mask is missing, a class is extra or empty, a link is broken, a row has no
            group, or a line of a manifest is wrong. The message says what to do.
    """
    if min(image_shape) < 1 or image_shape[2] not in (1, 3):
        raise ArgumentError(f"image shape {image_shape}: must be (height, width, 1) or (height, width, 3)")
    origin = _rows_origin(card, root)
    if isinstance(origin, Manifest):
        parts = _parts_of_manifest(origin, store)
    else:
        listings = origin.listings()
        parts = {name: _part_of_folders(origin, card, name, listings[name]) for name in SPLITS}

    def split(name: SplitName) -> Dataset:
        return Dataset(
            name=name,
            classes=origin.classes,
            image_shape=image_shape,
            interpolation=card.interpolation,
            cache=cache,
            region=card.anatomy.region,
            **parts[name],
        )

    return Splits(
        train=split("train"),
        validation=split("validation"),
        test=split("test"),
        classes=origin.classes,
        name=card.name,
        root=origin.root,
        study=card.study,
    )


def _rows_origin(card: Card, root: Path | None) -> Tree | Manifest:
    found = root or card.root
    if found is None:
        hint = f" (get it from {card.source})" if card.source else ""
        raise ArgumentError(f"data {card.name!r}: the card has no root; pass --data {card.name}=PATH{hint}")
    if card.manifest is not None:
        return Manifest(card=card, root=found)
    return Tree(name=card.name, root=found, expected=card.classes)


def _part_of_folders(tree: Tree, card: Card, name: SplitName, listing: Listing) -> dict[str, Any]:
    ids = tuple(row for rows in listing.rows for row in rows)
    return {
        "ids": ids,
        "paths": tuple(tree.root / row for row in ids),
        "labels": _labels([len(rows) for rows in listing.rows]),
        "root": listing.folder,
        "groups": None if card.group is None else tree.patients(name, ids, card.group),
        "masks": None if card.masks is None else _masks(tree, name, ids, card.masks),
        "lesions": None if card.lesion_masks is None else _masks(tree, name, ids, card.lesion_masks),
        "ignored": listing.ignored,
    }


def _parts_of_manifest(manifest: Manifest, store: Store | None) -> dict[SplitName, dict[str, Any]]:
    splits, card, first = manifest.divided(store), manifest.card, manifest.rows[0]
    roots = dict.fromkeys(SPLITS, manifest.images)
    if store is not None:
        files = {name: [(row.label, manifest.images / row.path) for row in rows] for name, rows in splits.items()}
        roots = lay_out(store, files)
    parts = {}
    for name, rows in splits.items():
        ids, counts = tuple(row.path for row in rows), Counter(row.label for row in rows)
        masks = None if first.mask is None else tuple(manifest.root / str(row.mask) for row in rows)
        parts[name] = {
            "ids": ids,
            "paths": tuple(manifest.images / row for row in ids),
            "labels": _labels([counts[label] for label in manifest.classes]),
            "root": roots[name],
            "groups": None if first.group is None else tuple(row.group for row in rows),
            "sources": None if first.source is None else tuple(row.source for row in rows),
            "masks": masks if card.masks is None else _masks(manifest, name, ids, card.masks),
        }
    return parts


def _labels(counts: Sequence[int]) -> NDArray[np.int64]:
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    labels.setflags(write=False)
    return labels


def _masks(tree: Tree | Manifest, split: SplitName, ids: tuple[str, ...], pattern: str) -> tuple[Path, ...]:
    masks = [_mask(row, pattern) for row in ids]
    for row, mask in zip(ids, masks, strict=True):
        if not (tree.root / mask).is_file():
            fault = f"mask {mask!r} of image {row!r} is missing; restore it, or drop 'masks' from the card"
            raise tree.refusal(fault, split)
    return tuple(tree.root / mask for mask in masks)


def _mask(row: str, pattern: str) -> str:
    return re.sub("{id}|{stem}", lambda key: row if key[0] == "{id}" else str(Path(row).with_suffix("")), pattern)
