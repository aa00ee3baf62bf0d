"""What spoke for a model's answers, where, and whether the explainer may be believed: computed once, kept in the store.

Images are a sample of the test rows, evenly from each class, so that the cost does not grow with the data. Nothing here
imports a framework unless something must be computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roentgate.arrays import Array, FloatArray, IntArray
from roentgate.evidence.attribution import faithfulness
from roentgate.evidence.attribution import sanity_check as sanity_check
from roentgate.evidence.attribution.explainers import BLACK_BOX, Explainer
from roentgate.evidence.attribution.faithfulness import Curves
from roentgate.evidence.attribution.localisation import Located, Lungs, located
from roentgate.evidence.attribution.sanity_check import SanityCheck
from roentgate.evidence.evidence import Evidence
from roentgate.policy import AttributionBounds
from roentgate.store import Arrays, pack, unpack

_BATCH = 8


@dataclass(frozen=True, eq=False)
class Attributions:
    """What spoke for the called class of images, keyed by row id.

    Attributes:
        method: One of `roentgate.evidence.attribution.explainers.METHODS`.
        ids: n row ids.
        rows: int64 (n,) rows of the test split.
        called: int64 (n,) class indices that are explained.
        maps: float32 (n, H, W), signed, in units of the score; empty where the model lacks the method.
        lacks: Why there are no maps; "" where there are.
        told: How they were made: what was differentiated, which layer, how far integrated gradients are from complete.
    """

    method: str
    ids: tuple[str, ...]
    rows: IntArray
    predicted: IntArray
    maps: FloatArray
    lacks: str
    told: str


class AttributionRecord:
    """The attributions of one model, their licences, and what follows from them.

    Args:
        evidence: On the model; its test answers say which class each image was called.
        bounds: ``[attributions]`` of the policy.
        lungs: Where the lungs are on the test images; None where nobody knows.
    """

    def __init__(self, evidence: Evidence, bounds: AttributionBounds, lungs: Lungs | None = None) -> None:
        self.candidate = evidence.candidate
        self._evidence = evidence
        self._bounds = bounds
        self._lungs = lungs
        self._explainer = Explainer(evidence.candidate, bounds)

    @property
    def methods(self) -> tuple[str, ...]:
        """The explainers to ask: the policy's; of a model without gradients, occlusion alone."""
        return tuple(self._bounds.methods) if self.candidate.has_layers else BLACK_BOX

    @cached_property
    def rows(self) -> IntArray:
        """The test rows that are explained, in order: evenly from each class, none without an answer."""
        return balanced(self._evidence.test.labels, self._evidence.test.answers >= 0, self._bounds.images)

    def attributions(self, method: str) -> Attributions:
        """Return the maps of one explainer."""
        kept = self._keep("maps", method, lambda: self._explain(method), images=self._bounds.images)
        words, rows = unpack(kept["words"]), self.rows[: len(kept["maps"])]
        test = self._evidence.test
        return Attributions(
            method=method,
            ids=tuple(test.ids[row] for row in rows),
            rows=rows,
            predicted=test.answers[rows],
            maps=kept["maps"],
            lacks=words["lacks"],
            told=words["told"],
        )

    def sanity_check(self, method: str) -> SanityCheck:
        """Return whether an explainer may speak about this model: `roentgate.evidence.attribution.sanity_check`."""
        ceiling = self._bounds.rank_ceiling
        if not self.candidate.has_layers:
            reason = "the parameters of this model are out of reach, so they cannot be made random"
            return sanity_check.untested(method, reason, ceiling=ceiling)
        asked = {
            "draws": self._bounds.random_networks(method),
            "images": self._bounds.sanity_check_images,
            "seed": self.candidate.task.seed,
        }
        kept = self._keep("sanity_check", method, lambda: self._test(method), **asked)
        if lacks := unpack(kept["words"])["lacks"]:
            return sanity_check.untested(method, lacks, ceiling=ceiling)
        return SanityCheck(
            method=method,
            similarity=kept["similarity"],
            correlation=kept["correlation"],
            others=kept["others"],
            cascade=tuple(tuple(step) for step in kept["cascade"].tolist()),
            ceiling=ceiling,
        )

    def silence(self, method: str) -> str:
        """Return why an explainer says nothing about this model; "" where it speaks.

        Occlusion of a black box speaks without a licence: its parameters cannot be made random, and it is no
        explanation but a measurement of the model's own answers. Its words say so, and it is not drawn.
        """
        if lacks := self.attributions(method).lacks:
            return lacks
        if not self.candidate.has_layers and method in BLACK_BOX:
            return ""
        if self.sanity_check(method).granted:
            return ""
        return "no licence to speak about this model: see attribution_sanity_check"

    def located(self, method: str) -> Located:
        """Return the maps of an explainer beside the lungs of the same images; none where the masks are unknown."""
        found, test = self.attributions(method), self.candidate.splits.test
        lungs, trusted = self.lungs(found.rows)
        groups = found.ids if test.groups is None else tuple(test.groups[row] for row in found.rows)
        return located(found.maps, lungs, trusted, groups, unit="image" if test.groups is None else "patient")

    def lungs(self, rows: IntArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the lungs on test rows, bool (k, H, W), and whether each mask is to be trusted, bool (k,)."""
        if self._lungs is None:
            height, width, _ = self.candidate.task.image_shape
            return np.zeros((len(rows), height, width), dtype=bool), np.zeros(len(rows), dtype=bool)
        return self._lungs.take(rows), self._lungs.trusted[rows]

    def answers(self, rows: IntArray) -> NDArray[np.float32]:
        """Return the probabilities that the model gave for test rows: float32 (k, K)."""
        return self._evidence.test.probabilities[rows]

    def curves(self, method: str) -> Curves:
        """Return how the answers follow the order of a map, and two others.

        See `roentgate.evidence.attribution.faithfulness`.
        """
        rows = self._subset(self._bounds.deletion_images)
        own = self._keep("deletion", method, lambda: self._follow(method, rows), images=len(rows))
        others = self._keep("deletion", "other orders", lambda: self._follow_others(rows), images=len(rows))
        test = self.candidate.splits.test
        groups = [test.ids[row] if test.groups is None else test.groups[row] for row in self.rows[rows]]
        unit = "image" if test.groups is None else "patient"
        return faithfulness.curves_from({**own, **others}, groups, unit=unit)

    def _subset(self, images: int) -> IntArray:
        """Return positions in `rows` of fewer images, evenly from each class."""
        return balanced(self._evidence.test.labels[self.rows], np.ones(len(self.rows), dtype=bool), images)

    def _explain(self, method: str) -> Mapping[str, Array]:
        if lacks := self._lacks(method):
            height, width, _ = self.candidate.task.image_shape
            return {"maps": np.zeros((0, height, width), np.float32), "words": pack({"lacks": lacks, "told": ""})}
        predicted = self._evidence.test.answers[self.rows]
        maps = self._maps(method, self.rows, predicted, title=f"{method}, {self.candidate.name}")
        return {"maps": maps, "words": pack({"lacks": "", "told": self._told(method, predicted, maps)})}

    def _lacks(self, method: str) -> str:
        return self._explainer.lacks(method) if len(self.rows) else "no image has an answer to explain"

    def _maps(self, method: str, rows: IntArray, predicted: IntArray, *, title: str) -> FloatArray:
        test = self.candidate.splits.test
        found = np.empty((len(rows), *test.image_shape[:2]), np.float32)
        with tqdm(total=len(rows), desc=title, unit="image", leave=False, mininterval=0.5, delay=1.0) as bar:
            for first in range(0, len(rows), _BATCH):
                part = slice(first, first + _BATCH)
                found[part] = self._explainer.maps(method, test.take(rows[part]), predicted[part])
                bar.update(len(rows[part]))
        return found

    def _told(self, method: str, predicted: IntArray, maps: FloatArray) -> str:
        if method == "occlusion":
            return f"log-odds, patches of {self._bounds.patch:.0%} of the side"
        insight = self._explainer.insight
        if method == "grad_cam":
            return f"{insight.score}, layer {insight.feature_layer}"
        parts = [slice(first, first + _BATCH) for first in range(0, len(maps), _BATCH)]
        images = self.candidate.splits.test.take
        gaps = [self._explainer.gaps(images(self.rows[part]), predicted[part], maps[part]) for part in parts]
        wanted, missed = (np.concatenate(each) for each in zip(*gaps, strict=True))
        median = float(np.median(np.abs(missed)) / max(float(np.median(np.abs(wanted))), 1e-12))
        return f"{insight.score}, {self._bounds.steps} steps from black, adds up to within {median:.1%} (median)"

    def _test(self, method: str) -> Mapping[str, Array]:
        """Return how alike the maps are before and after the weights are made random, draw by draw."""
        if lacks := self._lacks(method):
            return {"words": pack({"lacks": lacks})}
        chosen = self._subset(self._bounds.sanity_check_images)
        rows, predicted = self.rows[chosen], self._evidence.test.answers[self.rows[chosen]]
        before = sanity_check.shown(self.attributions(method).maps[chosen])
        weighted, seed = len(self._explainer.insight.weighted), self.candidate.task.seed

        def likeness(layers: int, draw: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            with self._explainer.randomised(layers, seed=seed * 1000 + draw):
                maps = self._maps(method, rows, predicted, title=f"{method} of random networks, {self.candidate.name}")
            after = sanity_check.shown(maps)
            return sanity_check.structural_similarity(before, after), sanity_check.rank_correlation(before, after)

        ways = sorted({1, -(-weighted // 2)} - {weighted})
        cascade = [(layers / weighted, *map(_mean, likeness(layers, 0))) for layers in ways]
        whole = [likeness(weighted, draw) for draw in range(self._bounds.random_networks(method))]
        cascade.append((1.0, *map(_mean, whole[0])))
        return {
            "similarity": np.stack([similarity for similarity, _ in whole]),
            "correlation": np.stack([correlation for _, correlation in whole]),
            "others": sanity_check.between_images(before),
            "cascade": np.array(cascade),
            "words": pack({"lacks": ""}),
        }

    def _follow(self, method: str, chosen: IntArray) -> Mapping[str, Array]:
        order = faithfulness.map_order(self.attributions(method).maps[chosen])
        return {f"own {direction}": self._along(chosen, order, direction) for direction in faithfulness.DIRECTIONS}

    def _follow_others(self, chosen: IntArray) -> Mapping[str, Array]:
        return {
            f"{order} {direction}": self._along(chosen, faithfulness.other_order(order, len(chosen)), direction)
            for order in faithfulness.ORDERS
            for direction in faithfulness.DIRECTIONS
        }

    def _along(self, chosen: IntArray, order: IntArray, direction: faithfulness.Direction) -> NDArray[np.float64]:
        rows, parts = self.rows[chosen], []
        for first in range(0, len(rows), _BATCH):
            part = slice(first, first + _BATCH)
            images, predicted = self.candidate.splits.test.take(rows[part]), self._evidence.test.answers[rows[part]]
            parts.append(faithfulness.follow(self.candidate.predict, images, predicted, order[part], direction))
        return np.concatenate(parts)

    def _keep(self, title: str, method: str, compute: Callable[[], Mapping[str, Array]], **asked: int) -> Arrays:
        """Return what was computed with these settings, from memory, the store, or now."""
        bounds = self._bounds
        settings = {**asked, "sample": bounds.images, "steps": bounds.steps, "patch": bounds.patch}
        return self._evidence.keep(f"{title}, {method}", compute, of=settings)


def balanced(labels: IntArray, allowed: NDArray[np.bool_], images: int) -> IntArray:
    """Return at most ``images`` rows in order, as many of each class as there are, evenly spread over its rows.

    Args:
        labels: int64 (n,) classes.
        allowed: bool (n,) rows that may be taken.
        images: How many; each class has a like share, what a small class leaves free goes to no other.
    """
    present = np.unique(labels[allowed])
    share = max(1, images // max(len(present), 1))
    chosen = []
    for label in present:
        rows = np.flatnonzero(allowed & (labels == label))
        places = np.linspace(0, len(rows) - 1, min(share, len(rows)))
        chosen.append(rows[places.round().astype(np.int64)])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.int64)


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the mean of what is finite; NaN of nothing."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")
