"""Attributions of one model, computed once and stored.

They cover a sample of the test rows, taken evenly from each class, so that the cost does not grow with the data. No
framework is imported unless something must be computed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roentgate.arrays import Array, BoolArray, FloatArray, IntArray
from roentgate.evidence.attribution import faithfulness, known_lesions, sanity_check
from roentgate.evidence.attribution.explainers import BLACK_BOX, Explainer
from roentgate.evidence.attribution.faithfulness import Curves
from roentgate.evidence.attribution.localisation import Located, Lungs, located
from roentgate.evidence.attribution.sanity_check import SanityCheck
from roentgate.evidence.evidence import Evidence
from roentgate.policy import AttributionBounds
from roentgate.stats import Estimate, undefined
from roentgate.store import Arrays, file_digest, pack, unpack

_BATCH = 8


@dataclass(frozen=True, eq=False)
class Attributions:
    """Attribution maps of one explainer, keyed by row id.

    Attributes:
        method: One of `roentgate.evidence.attribution.explainers.METHODS`.
        ids: The n row ids.
        rows: Rows of the test split, int64 (n,).
        predicted: Class indices that are explained, int64 (n,).
        maps: Signed maps in units of the score, float32 (n, H, W). Empty if the model lacks the method.
        lacks: Why there are no maps, or "".
        description: How the maps were made: the differentiated score, the layer, and the completeness of integrated
            gradients.
    """

    method: str
    ids: tuple[str, ...]
    rows: IntArray
    predicted: IntArray
    maps: FloatArray
    lacks: str
    description: str


class AttributionRecord:
    """The attributions of one model and the tests of its explainers.

    Args:
        evidence: Evidence on the model. Its test answers give the class that is explained on each image.
        bounds: ``[attributions]`` of the policy.
        lungs: Lung masks of the test images, or None if they are unknown.
    """

    def __init__(self, evidence: Evidence, bounds: AttributionBounds, lungs: Lungs | None = None) -> None:
        self.candidate = evidence.candidate
        self._evidence = evidence
        self._bounds = bounds
        self._lungs = lungs
        self._explainer = Explainer(evidence.candidate, bounds)

    @property
    def methods(self) -> tuple[str, ...]:
        """The policy's explainers, or occlusion alone for a model without gradients."""
        return tuple(self._bounds.methods) if self.candidate.has_layers else BLACK_BOX

    @cached_property
    def rows(self) -> IntArray:
        """Test rows that are explained, in order.

        They are taken evenly from each class. Rows without an answer are left out.
        """
        return balanced(self._evidence.test.labels, self._evidence.test.answers >= 0, self._bounds.images)

    def attributions(self, method: str) -> Attributions:
        """Return the maps of one explainer."""
        kept = self._keep("maps", method, lambda: self._explain(method), images=self._bounds.images)
        facts, rows = unpack(kept["facts"]), self.rows[: len(kept["maps"])]
        test = self._evidence.test
        return Attributions(
            method=method,
            ids=tuple(test.ids[row] for row in rows),
            rows=rows,
            predicted=test.answers[rows],
            maps=kept["maps"],
            lacks=facts["lacks"],
            description=facts["description"],
        )

    def sanity_check(self, method: str) -> SanityCheck:
        """Return the sanity check of an explainer on this model.

        See `roentgate.evidence.attribution.sanity_check`.
        """
        ceiling = self._bounds.rank_ceiling
        if not self.candidate.has_layers:
            reason = "the parameters of this model are out of reach, so they cannot be made random"
            return sanity_check.untested(method, reason, ceiling=ceiling)
        settings = {
            "draws": self._bounds.random_networks(method),
            "images": self._bounds.sanity_check_images,
            "seed": self.candidate.task.seed,
        }
        kept = self._keep("sanity_check", method, lambda: self._test(method), **settings)
        if lacks := unpack(kept["facts"])["lacks"]:
            return sanity_check.untested(method, lacks, ceiling=ceiling)
        return SanityCheck(
            method=method,
            similarity=kept["similarity"],
            correlation=kept["correlation"],
            others=kept["others"],
            cascade=tuple(tuple(step) for step in kept["cascade"].tolist()),
            ceiling=ceiling,
        )

    def unusable_reason(self, method: str) -> str:
        """Return why an explainer's maps are not used for this model, or "".

        An explainer must find lesions where they are known and decide. Occlusion needs no more: it is an intervention
        on the input that measures the model's own answers, so that random weights say little about it. The maps of a
        black box are not drawn.
        """
        if lacks := self.attributions(method).lacks:
            return lacks
        if known_lesions.missed(self.lesions_found(method)):
            return "does not find the known lesions: see attribution_known_lesions"
        if method in BLACK_BOX:
            return ""
        if self.sanity_check(method).passed:
            return ""
        return "sanity check not passed on this model: see attribution_sanity_check"

    def lesions_found(self, method: str) -> Estimate:
        """Density of attribution in known lesions that decide, minus another image's.

        Returns:
            As `roentgate.evidence.attribution.known_lesions.found_by`. NaN between minus and plus infinity if no
            lesions are known or the method cannot explain this model.
        """
        found, test = self.attributions(method), self.candidate.splits.test
        if test.lesions is None or found.lacks:
            detail = found.lacks or "no lesions are known"
            return undefined(0, low=-math.inf, high=math.inf, method="Student's t", detail=detail)
        lesions, deciding = self._lesions
        groups = found.ids if test.units is None else tuple(test.units[row] for row in found.rows)
        return known_lesions.found_by(found.maps, lesions, deciding, groups, self._unit)

    @cached_property
    def _lesions(self) -> tuple[BoolArray, BoolArray]:
        """The known lesions of `rows`, and whether the answer changes without them."""
        test, rows = self.candidate.splits.test, self.rows
        paths = [] if test.lesions is None else [test.lesions[row] for row in rows]
        lesions = known_lesions.read(paths, (test.image_shape[0], test.image_shape[1]))

        def compute() -> Mapping[str, Array]:
            answers = self._evidence.test.answers[rows]
            return {"decide": known_lesions.decide(self.candidate, test.take(rows), answers, lesions)}

        key = [self._bounds.images, [file_digest(path) for path in paths]]
        return lesions, self._evidence.keep("known lesions", compute, of=key)["decide"]

    def located(self, method: str) -> Located:
        """Return an explainer's maps with the lungs of the same images.

        Images without a trusted lung mask are left out.
        """
        found, test = self.attributions(method), self.candidate.splits.test
        lungs, trusted = self.lungs(found.rows)
        groups = found.ids if test.units is None else tuple(test.units[row] for row in found.rows)
        return located(found.maps, lungs, trusted, groups, unit=self._unit)

    def lungs(self, rows: IntArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the lung masks of test rows and whether each is trusted.

        Returns:
            Masks bool (k, H, W) and trust bool (k,). If the lungs are unknown, the masks are empty and not trusted.
        """
        if self._lungs is None:
            height, width, _ = self.candidate.task.image_shape
            return np.zeros((len(rows), height, width), dtype=bool), np.zeros(len(rows), dtype=bool)
        return self._lungs.take(rows), self._lungs.trusted[rows]

    def answers(self, rows: IntArray) -> NDArray[np.float32]:
        """Return the probabilities of test rows, float32 (k, K)."""
        return self._evidence.test.probabilities[rows]

    def curves(self, method: str) -> Curves:
        """Return how the answers follow a map's order and two others.

        See `roentgate.evidence.attribution.faithfulness`.
        """
        rows = self._subset(self._bounds.deletion_images)
        own = self._keep("deletion", method, lambda: self._follow(method, rows), images=len(rows))
        controls = self._keep("deletion", "other orders", lambda: self._follow_others(rows), images=len(rows))
        test = self.candidate.splits.test
        groups = [test.ids[row] if test.units is None else test.units[row] for row in self.rows[rows]]
        return faithfulness.curves_from({**own, **controls}, groups, unit=self._unit)

    @property
    def _unit(self) -> str:
        return self.candidate.splits.test.unit

    def _subset(self, images: int) -> IntArray:
        """Return positions in `rows` of at most ``images``, evenly from each class."""
        return balanced(self._evidence.test.labels[self.rows], np.ones(len(self.rows), dtype=bool), images)

    def _explain(self, method: str) -> Mapping[str, Array]:
        if lacks := self._lacks(method):
            height, width, _ = self.candidate.task.image_shape
            no_maps = np.zeros((0, height, width), np.float32)
            return {"maps": no_maps, "facts": pack({"lacks": lacks, "description": ""})}
        predicted = self._evidence.test.answers[self.rows]
        maps = self._maps(method, self.rows, predicted, title=f"{method}, {self.candidate.name}")
        return {"maps": maps, "facts": pack({"lacks": "", "description": self._description(method, predicted, maps)})}

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

    def _description(self, method: str, predicted: IntArray, maps: FloatArray) -> str:
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
        """Return the similarity of maps before and after randomisation."""
        if lacks := self._lacks(method):
            return {"facts": pack({"lacks": lacks})}
        chosen = self._subset(self._bounds.sanity_check_images)
        rows, predicted = self.rows[chosen], self._evidence.test.answers[self.rows[chosen]]
        before = sanity_check.shown(self.attributions(method).maps[chosen])
        weighted, seed = len(self._explainer.insight.weighted), self.candidate.task.seed

        def similarity_after(layers: int, draw: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            with self._explainer.randomised(layers, seed=seed * 1000 + draw):
                maps = self._maps(method, rows, predicted, title=f"{method} of random networks, {self.candidate.name}")
            after = sanity_check.shown(maps)
            return sanity_check.structural_similarity(before, after), sanity_check.rank_correlation(before, after)

        depths = sorted({1, -(-weighted // 2)} - {weighted})
        cascade = [(layers / weighted, *map(_mean, similarity_after(layers, 0))) for layers in depths]
        draws = [similarity_after(weighted, draw) for draw in range(self._bounds.random_networks(method))]
        cascade.append((1.0, *map(_mean, draws[0])))
        return {
            "similarity": np.stack([similarity for similarity, _ in draws]),
            "correlation": np.stack([correlation for _, correlation in draws]),
            "others": sanity_check.between_images(before),
            "cascade": np.array(cascade),
            "facts": pack({"lacks": ""}),
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

    def _keep(self, title: str, method: str, compute: Callable[[], Mapping[str, Array]], **settings: int) -> Arrays:
        """Return the arrays for these settings, stored or computed now."""
        bounds = self._bounds
        key = {**settings, "sample": bounds.images, "steps": bounds.steps, "patch": bounds.patch}
        return self._evidence.keep(f"{title}, {method}", compute, of=key)


def balanced(labels: IntArray, allowed: NDArray[np.bool_], images: int) -> IntArray:
    """Return an evenly spaced sample of each class's rows, in order.

    Args:
        labels: Class of each row, int64 (n,).
        allowed: Whether each row may be taken, bool (n,).
        images: Number of rows to take. Each class has an equal share. A class with fewer rows leaves its share
            unfilled.
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
    """Return the mean of the finite values, or NaN."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")
