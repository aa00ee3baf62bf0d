"""Splits rows into train, validation and test.

No group is in two splits, and every class is in each. Splits are stratified and seeded, and do not depend on the order
of the rows.

The method is the project's own. Scikit-learn's ``StratifiedGroupKFold`` makes equal folds, so that shares of 0.6, 0.2
and 0.2 need five of them. It breaks ties by the order of the rows, takes one label per row and no source, may silently
leave a class out of a fold, and does not promise the same draws in later versions. Here the groups are placed one by
one, the largest first. Each goes to the split that lacks its classes and sources most (Sainte-Laguë's divisors).
SHA-256 orders groups of equal size.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from roentgate.data.class_folders import SplitName

SEARCH_STEPS = 20_000
"""Choices that are tried before a set of groups counts as indivisible."""

Stratum = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Item:
    """The properties of a row that a division uses.

    Attributes:
        path: Names the row.
        label: Its class.
        group: Its patient, or None. Without one the image is a group of its own.
        source: Its origin, or None.
    """

    path: str
    label: str
    group: str | None = None
    source: str | None = None


class CannotDivideError(ValueError):
    """No division gives every split an image of every class.

    The message names the scarcest class.
    """


@dataclass(frozen=True)
class _Group:
    """Images that stay together.

    Attributes:
        name: The group's name.
        images: How many images belong to each stratum.
        draw: Orders groups of equal size.
        size: The number of images.
        classes: Their classes.
    """

    name: str
    images: Mapping[Stratum, int]
    draw: str
    size: int
    classes: frozenset[str]


@dataclass
class _Fullness:
    """How full each split is in each stratum.

    The strata are all images, each class, and each class of each source.
    """

    shares: Mapping[SplitName, float]
    totals: Mapping[Stratum, int]
    placed: dict[SplitName, Counter[Stratum]] = field(default_factory=dict)

    def put(self, group: _Group, split: SplitName) -> None:
        self.placed.setdefault(split, Counter()).update(group.images)

    def emptiest(self, group: _Group) -> SplitName:
        """Return the split that lacks this group's images most.

        It is measured relative to the split's share. The first of equals is taken.
        """
        return min(self.shares, key=lambda split: self._of_split(group, split))

    def _of_split(self, group: _Group, split: SplitName) -> float:
        placed, share = self.placed.get(split, Counter[Stratum]()), self.shares[split]
        strata = sorted(group.images.items())
        return sum(count * (2 * placed[key] + count) / (share * self.totals[key]) for key, count in strata)


def divide(images: Sequence[Item], shares: Mapping[SplitName, float], *, seed: int) -> dict[str, SplitName]:
    """Return a split for each image.

    Args:
        images: The rows, in any order.
        shares: The part of the images that each split shall hold, above 0. The first split wins ties.
        seed: Another seed draws other splits.

    Returns:
        The split of each path. No group lies in two splits, and each split has an image of every class. Without groups
        the numbers of each class are within 2 of its shares. A large group may make a split miss its share by the
        group's size.

    Raises:
        CannotDivideError: A split would lack a class however the groups are placed.
    """
    groups = _groups(images, seed)
    totals: Counter[Stratum] = Counter()
    for group in groups:
        totals.update(group.images)
    classes = sorted({label for group in groups for label in group.classes})
    placed = _place(groups, _Fullness(shares, totals), {})
    if not _complete(groups, placed, shares, classes):
        placed = _place(groups, _Fullness(shares, totals), _cover(groups, tuple(shares), classes))
    return {image.path: placed[_group_name(image)] for image in images}


def _group_name(image: Item) -> str:
    return image.path if image.group is None else image.group


def _groups(images: Iterable[Item], seed: int) -> list[_Group]:
    """Return the groups, the largest first, equal ones in the order of their draws."""
    counts: dict[str, Counter[Stratum]] = {}
    for image in images:
        strata: list[Stratum] = [(), (image.label,)]
        strata += [] if image.source is None else [(image.label, image.source)]
        counts.setdefault(_group_name(image), Counter()).update(strata)
    groups = [
        _Group(
            name=name,
            images=strata,
            draw=hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest(),
            size=strata[()],
            classes=frozenset(key[0] for key in strata if len(key) == 1),
        )
        for name, strata in counts.items()
    ]
    return sorted(groups, key=lambda group: (-group.size, group.draw))


def _place(groups: Sequence[_Group], fullness: _Fullness, fixed: Mapping[str, SplitName]) -> dict[str, SplitName]:
    """Return the split of each group.

    Fixed groups are placed first. Then each other group goes to the split that lacks its images most.
    """
    placed = dict(fixed)
    for group in groups:
        if group.name in fixed:
            fullness.put(group, fixed[group.name])
    for group in groups:
        if group.name not in fixed:
            placed[group.name] = fullness.emptiest(group)
            fullness.put(group, placed[group.name])
    return placed


def _complete(
    groups: Sequence[_Group], placed: Mapping[str, SplitName], splits: Iterable[SplitName], classes: Sequence[str]
) -> bool:
    found = {(placed[group.name], label) for group in groups for label in group.classes}
    return all((split, label) in found for split in splits for label in classes)


def _cover(groups: Sequence[_Group], splits: tuple[SplitName, ...], classes: Sequence[str]) -> dict[str, SplitName]:
    """Return splits of small groups that give every split every class.

    Of groups with the same classes the search tries only one.

    Raises:
        CannotDivideError: There are no such groups, or none were found in `SEARCH_STEPS`.
    """
    kinds: dict[frozenset[str], list[_Group]] = {}
    for group in reversed(groups):
        kinds.setdefault(group.classes, []).append(group)  # reversed, so that the smallest comes first
    order = sorted(kinds, key=lambda kind: (-len(kind), -len(kinds[kind]), sorted(kind)))
    search = _Search(order, {kind: len(kinds[kind]) for kind in order})
    if not search.meets(frozenset((split, label) for split in splits for label in classes)):
        holders = Counter(label for group in groups for label in group.classes)
        scarcest = min(classes, key=lambda label: (holders[label], label))
        raise CannotDivideError(
            f"class {scarcest!r} has images of no more than {holders[scarcest]} groups, and no division of the groups "
            f"gives each of {', '.join(splits)} an image of every class"
        )
    return {kinds[kind].pop(0).name: split for split, kind in search.chosen}


@dataclass
class _Search:
    """Backtracking search for kinds of groups that meet the splits' needs.

    A kind is the set of classes that a group holds. A need is a split that lacks a class.
    """

    order: Sequence[frozenset[str]]
    left: dict[frozenset[str], int]
    chosen: list[tuple[SplitName, frozenset[str]]] = field(default_factory=list)
    hopeless: set[tuple[tuple[int, ...], frozenset[tuple[SplitName, str]]]] = field(default_factory=set)
    steps: int = 0

    def meets(self, needs: frozenset[tuple[SplitName, str]]) -> bool:
        """Return whether the remaining groups meet these needs.

        The solution is in `chosen`.
        """
        state = (tuple(self.left[kind] for kind in self.order), needs)
        if not needs:
            return True
        if state in self.hopeless or self.steps >= SEARCH_STEPS:
            return False
        self.steps += 1
        holders = {label: sum(n for kind, n in self.left.items() if label in kind) for _, label in needs}
        split, label = min(needs, key=lambda need: (holders[need[1]], need))
        for kind in self.order:
            if label in kind and self.left[kind]:
                self.left[kind] -= 1
                self.chosen.append((split, kind))
                if self.meets(needs - {(split, each) for each in kind}):
                    return True
                self.chosen.pop()
                self.left[kind] += 1
        self.hopeless.add(state)
        return False
