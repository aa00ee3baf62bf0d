"""Splits made here: no group in two of them, every class in each, stratified, seeded; row order is no matter.

The method is the project's own. Scikit-learn's ``StratifiedGroupKFold`` makes equal folds, so that shares of 0.6, 0.2
and 0.2 take its fivefold answer; it breaks ties by the order of the rows, knows one label a row and no source, may
leave a class out of a fold without a word, and promises its draws for no later version. Here a group, the largest
first, goes where its classes and sources are scarcest (Sainte-Laguë's divisors); SHA-256 draws the order of equals.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from roentgate.data.class_folders import SplitName

SEARCH_STEPS = 20_000
"""How many choices are tried before a set of groups counts as one that cannot be divided."""

Stratum = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Item:
    """What a division looks at in one row.

    Attributes:
        path: Names the row.
        label: Its class.
        group: Its patient, or None: then the image is a group of its own.
        source: Where it comes from, or None.
    """

    path: str
    label: str
    group: str | None = None
    source: str | None = None


class CannotDivideError(ValueError):
    """No division gives every split an image of every class; the text says which class is the scarcest."""


@dataclass(frozen=True)
class _Group:
    """Images that stay together: how many of each stratum, and the draw that orders equals."""

    name: str
    images: Mapping[Stratum, int]
    draw: str
    size: int
    classes: frozenset[str]


@dataclass
class _Filling:
    """How full each split is, stratum by stratum: all images, each class, each class of each source."""

    shares: Mapping[SplitName, float]
    totals: Mapping[Stratum, int]
    held: dict[SplitName, Counter[Stratum]] = field(default_factory=dict)

    def put(self, group: _Group, split: SplitName) -> None:
        self.held.setdefault(split, Counter()).update(group.images)

    def emptiest(self, group: _Group) -> SplitName:
        """Return the split that lacks this group's images most, relative to what it shall hold; the first of equals."""
        return min(self.shares, key=lambda split: self._fullness(group, split))

    def _fullness(self, group: _Group, split: SplitName) -> float:
        held, share = self.held.get(split, Counter[Stratum]()), self.shares[split]
        strata = sorted(group.images.items())
        return sum(count * (2 * held[key] + count) / (share * self.totals[key]) for key, count in strata)


def divide(images: Sequence[Item], shares: Mapping[SplitName, float], *, seed: int) -> dict[str, SplitName]:
    """Give each image a split.

    Args:
        images: The rows, in any order; the answer is the same.
        shares: The part of the images that each split shall hold, above 0; the first split takes what is ambiguous.
        seed: Another one draws other splits.

    Returns:
        The split of each path. No group lies in two splits, and each split has an image of every class. Without groups
        the numbers of each class are within 2 of its shares; with groups, large ones may miss them by their own size.

    Raises:
        CannotDivideError: A split would lack a class however the groups are laid.
    """
    groups = _groups(images, seed)
    totals: Counter[Stratum] = Counter()
    for group in groups:
        totals.update(group.images)
    classes = sorted({label for group in groups for label in group.classes})
    given = _laid(groups, _Filling(shares, totals), {})
    if not _complete(groups, given, shares, classes):
        given = _laid(groups, _Filling(shares, totals), _cover(groups, tuple(shares), classes))
    return {image.path: given[_name(image)] for image in images}


def _name(image: Item) -> str:
    return image.path if image.group is None else image.group


def _groups(images: Iterable[Item], seed: int) -> list[_Group]:
    """Return the groups, the largest first, equals in the order of their draws."""
    counts: dict[str, Counter[Stratum]] = {}
    for image in images:
        strata: list[Stratum] = [(), (image.label,)]
        strata += [] if image.source is None else [(image.label, image.source)]
        counts.setdefault(_name(image), Counter()).update(strata)
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


def _laid(groups: Sequence[_Group], filling: _Filling, fixed: Mapping[str, SplitName]) -> dict[str, SplitName]:
    """Return the split of each group: of some as fixed, of the others in turn where their images are scarcest."""
    given = dict(fixed)
    for group in groups:
        if group.name in fixed:
            filling.put(group, fixed[group.name])
    for group in groups:
        if group.name not in fixed:
            given[group.name] = filling.emptiest(group)
            filling.put(group, given[group.name])
    return given


def _complete(
    groups: Sequence[_Group], given: Mapping[str, SplitName], splits: Iterable[SplitName], classes: Sequence[str]
) -> bool:
    found = {(given[group.name], label) for group in groups for label in group.classes}
    return all((split, label) in found for split in splits for label in classes)


def _cover(groups: Sequence[_Group], splits: tuple[SplitName, ...], classes: Sequence[str]) -> dict[str, SplitName]:
    """Choose small groups that give every split every class: search, of equal kinds of groups only one.

    Raises:
        CannotDivideError: There are none, or none was found in `SEARCH_STEPS`.
    """
    kinds: dict[frozenset[str], list[_Group]] = {}
    for group in reversed(groups):
        kinds.setdefault(group.classes, []).append(group)  # the smallest first
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
    """Backtracking over which kind of group, by the classes it holds, meets which split's need."""

    order: Sequence[frozenset[str]]
    left: dict[frozenset[str], int]
    chosen: list[tuple[SplitName, frozenset[str]]] = field(default_factory=list)
    hopeless: set[tuple[tuple[int, ...], frozenset[tuple[SplitName, str]]]] = field(default_factory=set)
    steps: int = 0

    def meets(self, needs: frozenset[tuple[SplitName, str]]) -> bool:
        """Whether the groups that are left meet these needs; `chosen` says how."""
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
