"""Splits keep groups whole and shares close, and have every class.

They do not depend on the order of the rows.
"""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roentgate.data.class_folders import SplitName
from roentgate.data.splitting import CannotDivideError, Item, divide

SHARES: dict[SplitName, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}
SEEDS = st.integers(0, 2**32 - 1)


def grouped(labels_of_groups: Sequence[Sequence[str]]) -> list[Item]:
    """Return one image for each label of each group.

    Images are f0, f1, ... and groups g0, g1, ...
    """
    numbers = itertools.count()
    return [
        Item(path=f"f{next(numbers)}", label=label, group=f"g{group}")
        for group, labels in enumerate(labels_of_groups)
        for label in labels
    ]


def single(**counts: int) -> list[Item]:
    return [Item(path=f"{label}-{i}", label=label) for label, count in counts.items() for i in range(count)]


GROUPS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), min_size=1, max_size=40).map(grouped)


def classes_of(images: Sequence[Item], splits: dict[str, SplitName]) -> dict[SplitName, set[str]]:
    found: dict[SplitName, set[str]] = {split: set() for split in SHARES}
    for image in images:
        found[splits[image.path]].add(image.label)
    return found


@given(GROUPS, SEEDS)
def test_no_group_lies_in_two_splits_and_every_image_in_one(images: list[Item], seed: int) -> None:
    try:
        splits = divide(images, SHARES, seed=seed)
    except CannotDivideError:
        return
    splits_of_group = defaultdict(set)
    for image in images:
        splits_of_group[image.group].add(splits[image.path])
    assert all(len(found) == 1 for found in splits_of_group.values())
    assert splits.keys() == {image.path for image in images}


def possible(images: Sequence[Item]) -> bool:
    """Return whether any of the 3^n divisions gives each split every class."""
    labels = defaultdict(set)
    for image in images:
        labels[image.group].add(image.label)
    classes = set().union(*labels.values())
    kinds = list(labels.values())
    for choice in itertools.product(range(3), repeat=len(kinds)):
        if all(set().union(*(k for k, c in zip(kinds, choice, strict=True) if c == s)) == classes for s in range(3)):
            return True
    return False


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), min_size=1, max_size=7).map(grouped), SEEDS)
def test_every_class_reaches_every_split_exactly_where_that_is_possible(images: list[Item], seed: int) -> None:
    classes = {image.label for image in images}
    if possible(images):
        assert classes_of(images, divide(images, SHARES, seed=seed)) == dict.fromkeys(SHARES, classes)
    else:
        with pytest.raises(CannotDivideError):
            divide(images, SHARES, seed=seed)


@given(GROUPS, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_is_no_matter(images: list[Item], seed: int, chance: random.Random) -> None:
    shuffled = chance.sample(images, len(images))

    def answer(rows: list[Item]) -> dict[str, SplitName] | str:
        try:
            return divide(rows, SHARES, seed=seed)
        except CannotDivideError as refusal:
            return str(refusal)

    assert answer(shuffled) == answer(images)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=3, max_size=150),
    st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.34, 0.33, 0.33), (0.1, 0.2, 0.7)]),
    SEEDS,
)
def test_without_groups_each_class_keeps_its_shares_to_within_two_images(
    rows: list[tuple[str, str]], parts: tuple[float, float, float], seed: int
) -> None:
    images = [Item(path=f"f{i}", label=label, source=source) for i, (label, source) in enumerate(rows)]
    shares: dict[SplitName, float] = dict(zip(SHARES, parts, strict=True))
    try:
        splits = divide(images, shares, seed=seed)
    except CannotDivideError:
        assert min(Counter(label for label, _ in rows).values()) < 3
        return
    counts = Counter((image.label, splits[image.path]) for image in images)
    for label, total in Counter(label for label, _ in rows).items():
        for split, share in shares.items():
            assert abs(counts[label, split] - share * total) <= 2


@given(GROUPS, SEEDS)
def test_with_groups_the_shares_are_missed_by_no_more_than_two_of_the_largest(images: list[Item], seed: int) -> None:
    try:
        splits = divide(images, SHARES, seed=seed)
    except CannotDivideError:
        return
    largest = max(Counter(image.group for image in images).values())
    counts = Counter(splits.values())
    for split, share in SHARES.items():
        assert abs(counts[split] - share * len(images)) <= 2 * largest


def test_sources_are_spread_alike() -> None:
    images = [
        Item(path=f"{source}{label}{i}", label=label, source=source)
        for source, label, n in (("A", "ill", 100), ("A", "well", 50), ("B", "ill", 20), ("B", "well", 30))
        for i in range(n)
    ]
    counts = Counter((image.source, image.label, divide(images, SHARES, seed=3)[image.path]) for image in images)
    assert [counts["A", "ill", s] for s in SHARES] == [60, 20, 20]
    assert [counts["A", "well", s] for s in SHARES] == [30, 10, 10]
    assert [counts["B", "ill", s] for s in SHARES] == [12, 4, 4]
    assert [counts["B", "well", s] for s in SHARES] == [18, 6, 6]


def test_another_seed_draws_other_splits_of_the_same_sizes() -> None:
    images = single(ill=30, well=20)
    first, second = (divide(images, SHARES, seed=seed) for seed in (0, 1))
    assert first != second
    assert Counter(first.values()) == Counter(second.values()) == {"train": 30, "validation": 10, "test": 10}


def test_the_splits_of_a_seed_are_these_on_every_machine() -> None:
    splits = divide(single(ill=5, well=5), SHARES, seed=0)
    assert " ".join(splits[path] for path in sorted(splits)) == (
        "train train test train validation train test train train validation"
    )


def test_two_splits_can_be_asked_for() -> None:
    counts = Counter(divide(single(ill=40, well=8), {"train": 0.75, "validation": 0.25}, seed=0).values())
    assert counts == {"train": 36, "validation": 12}


def test_a_class_that_is_too_scarce_is_named() -> None:
    message = "class 'well' has images of no more than 2 groups, and no division of the groups gives each of train, val"
    with pytest.raises(CannotDivideError, match=message):
        divide(single(ill=9, well=2), SHARES, seed=0)
    with pytest.raises(CannotDivideError, match=r"class 'a' has images of no more than 2 groups"):
        divide(grouped(["aaaa", "ab", "b", "b", "b"]), SHARES, seed=0)


def test_groups_that_must_be_chosen_with_care_are() -> None:
    images = grouped(["ab", "ab", "ab"] + ["a"] * 20)
    assert classes_of(images, divide(images, SHARES, seed=0)) == {split: {"a", "b"} for split in SHARES}
