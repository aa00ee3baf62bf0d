"""The bounds of each suite, typed, with their defaults."""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Literal

import pydantic

from roentgate.data import Interpolation
from roentgate.errors import ArgumentError, PolicyError, did_you_mean
from roentgate.perturbations import GROUPS, INFILLS, KINDS, Group, check_kind, group_of
from roentgate.policy.required import CHECKS, CORE

Share = Annotated[float, pydantic.Field(ge=0, le=1)]
BorderWidth = Annotated[float, pydantic.Field(gt=0, lt=0.5)]
Infill = Literal["black", "mean", "edge", "blur"]
Severity = Annotated[int, pydantic.Field(ge=1, le=5)]

Explanation = Literal["grad_cam", "integrated_gradients", "occlusion"]

ARROW = " -> "

NORMAL_NAMES = frozenset({"normal", "healthy", "negative", "nofinding", "nofindings"})
"""Names of a class without a finding, in small letters and without spaces, ``_`` and ``-``."""


def normal_class(classes: tuple[str, ...]) -> str | None:
    """Return the class whose name says that nothing was found.

    None if no class, or more than one, has such a name.
    """
    found = [label for label in classes if re.sub(r"[\s_-]", "", label).casefold() in NORMAL_NAMES]
    return found[0] if len(found) == 1 else None


class Table(pydantic.BaseModel):
    """The bounds of one suite.

    A suite of your own declares a subclass named ``Bounds`` in its file.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Raise `PolicyError` if the table names an unknown class.

        ``classes`` are those of the data set. A table that names no classes accepts any.
        """


class AlignmentBounds(Table):
    """``[alignment]``: does prediction i belong to row i?"""

    columns_p: Share = 0.01
    """``class_columns_match`` fails if the whole interval of the p-value of a better assignment lies below this."""


class InferenceBounds(Table):
    """``[inference]``: is augmentation off when it should be, and on when it should be?"""

    tolerance: Annotated[float, pydantic.Field(gt=0, lt=0.1)] = 1e-4
    """Largest difference between two probabilities that are counted as equal."""


class RecallBounds(Table):
    """``[recall]``: is each class recognised, and not only the average?"""

    recall_floor: Share = 0.80
    floors: dict[str, Share] = {}
    confusion_ceiling: Share = 0.20
    ceilings: dict[str, Share] = {}
    costly: Literal["normal", "all"] | list[str] = "normal"
    """Which confusions gate: a disease predicted as normal, all, or the named pairs.

    With "normal" the policy of a data set holds the pairs themselves. If no class is known to be the normal one, all
    pairs gate.
    """

    macro_auroc_floor: Share = 0.90

    @pydantic.field_validator("costly")
    @classmethod
    def _some_pair(cls, costly: Literal["normal", "all"] | list[str]) -> Literal["normal", "all"] | list[str]:
        if not costly:
            raise ValueError('is empty, so nothing would be tested; name a pair, or write "normal" or "all"')
        return costly

    def resolved(self, classes: tuple[str, ...], normal: str | None) -> "RecallBounds":
        """Return these bounds with "normal" replaced by the pairs that it means.

        Args:
            classes: The classes of the data set.
            normal: The class without a finding, as the data card names it. None looks for a class with a usual name.

        Raises:
            PolicyError: The class that the card names does not exist.
        """
        if self.costly != "normal":
            return self
        if normal is not None:
            _check_known(normal, classes, "the data card's 'normal'")
        normal = normal or normal_class(classes)
        pairs = [f"{label}{ARROW}{normal}" for label in classes if label != normal]
        return self.model_copy(update={"costly": pairs if normal else "all"})

    def floor(self, label: str) -> float:
        """Return the recall floor of a class."""
        return self.floors.get(label, self.recall_floor)

    def ceiling(self, truth: str, predicted: str) -> float:
        """Return the largest share of ``truth`` that may be predicted as ``predicted``."""
        return self.ceilings.get(f"{truth}{ARROW}{predicted}", self.confusion_ceiling)

    def pairs(self, classes: tuple[str, ...]) -> list[tuple[str, str]]:
        """Return the (truth, predicted) pairs whose confusion gates."""
        every = [(truth, predicted) for truth in classes for predicted in classes if truth != predicted]
        return [pair for pair in every if self.is_costly(*pair)]

    def is_costly(self, truth: str, predicted: str) -> bool:
        """Whether ``truth`` predicted as ``predicted`` can refuse a model."""
        return isinstance(self.costly, str) or f"{truth}{ARROW}{predicted}" in self.costly

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Raise `PolicyError` if a floor, a ceiling or a pair names an unknown class."""
        for label in self.floors:
            _check_known(label, classes, "recall.floors")
        for key, pairs in (
            ("ceilings", list(self.ceilings)),
            ("costly", [] if isinstance(self.costly, str) else self.costly),
        ):
            for pair in pairs:
                known = [f"{a}{ARROW}{b}" for a in classes for b in classes if a != b]
                _check_known(pair, known, f"recall.{key}")


class BorderBounds(Table):
    """``[border]``: does the border of the image decide the prediction?"""

    borders: list[BorderWidth] = [0.05]
    stress_borders: list[BorderWidth] = [0.10]
    infills: list[Infill] = list(INFILLS)
    flips_ceiling: Share = 0.10
    swap_ceiling: Share = 0.10
    only_borders: list[BorderWidth] = [0.05, 0.10]
    only_stress_borders: list[BorderWidth] = [0.15, 0.25]
    only_skill_ceiling: Share = 0.50
    smallest_share: Share = 0.05
    """Share of the images that the smallest flipping mask must flip, at least one image. 0 asks for any image."""

    most_masks: Annotated[int, pydantic.Field(ge=6, le=100_000)] = 60
    """How many masks the search for the smallest flipping mask may try on all test images."""

    @pydantic.model_validator(mode="after")
    def _nothing_empty(self) -> "BorderBounds":
        for key in ("borders", "infills", "only_borders"):
            if not getattr(self, key):
                raise ValueError(f"'{key}' is empty, so nothing would be tested; name at least one")
        return self


class RobustnessBounds(Table):
    """``[robustness]``: do predictions survive what acquisition does to an image?"""

    corruptions: list[str] = list(KINDS)
    mild_severity: Severity = 1
    mild_drop_ceiling: Share = 0.05
    marked_severity: Severity = 3
    marked_drop_ceiling: Share = 0.15
    rotations: list[Annotated[float, pydantic.Field(ge=-45, le=45)]] = [-3, 3]
    shifts: list[Annotated[float, pydantic.Field(gt=0, le=0.5)]] = [0.03]
    kernels: list[Interpolation] = ["nearest", "bilinear", "box"]
    kernel_flips_ceiling: Share = 0.10

    @pydantic.field_validator("corruptions")
    @classmethod
    def _known(cls, corruptions: list[str]) -> list[str]:
        try:
            for kind in corruptions:
                check_kind(kind)
        except ArgumentError as error:
            raise ValueError(f"names {error}") from None
        return corruptions

    @pydantic.model_validator(mode="after")
    def _something_to_judge(self) -> "RobustnessBounds":
        for key in ("corruptions", "rotations", "shifts"):
            if not getattr(self, key):
                raise ValueError(f"'{key}' is empty, so nothing would be tested; name at least one")
        if len(set(self.kernels)) < 2:
            raise ValueError("'kernels' must name two or more: one of them is the data's own, which changes nothing")
        if not self.mild_severity < self.marked_severity:
            raise ValueError("'mild_severity' must be below 'marked_severity'")
        return self

    @property
    def groups(self) -> list[Group]:
        """The groups of corruptions that have a member here."""
        return [group for group in GROUPS if self.members(group)]

    def members(self, group: Group) -> list[str]:
        """Return the corruptions of a group."""
        return [kind for kind in dict.fromkeys(self.corruptions) if group_of(kind) == group]

    def drop_ceiling(self, severity: int) -> float:
        """Return how much balanced accuracy may be lost at a severity.

        ``severity`` is the mild or the marked one.
        """
        return self.mild_drop_ceiling if severity == self.mild_severity else self.marked_drop_ceiling


class ComparisonBounds(Table):
    """``[comparison]``: how much worse than a reference a candidate may be.

    Both are judged on the same images.
    """

    margin: Share = 0.05
    auroc_margin: Share = 0.05
    border_margin: Share = 0.10
    skill_margin: Share = 0.20


class AuditBounds(Table):
    """``[audit]``: how well the data may predict the label without a model.

    The suite is named ``data``. Its table is not, because ``[data.NAME]`` holds the bounds of one data set.
    """

    leakage_ceiling: Share = 0.0
    metadata_ceiling: Share = 0.25
    border_probe_ceiling: Share = 0.50
    association_ceiling: Share = 0.80
    near_duplicates: Literal["left out", "counted"] = "left out"
    whole_image_probe: Literal["descriptive", "gates"] = "descriptive"
    """Whether a model must also be better than a cheap probe that sees the lungs, or it is not worth a network."""


class AttributionBounds(Table):
    """``[attributions]``: how explainers are run, and which are shown.

    The table belongs to the suite ``attention``. An explainer is shown if it passes the sanity check.
    """

    methods: list[Explanation] = ["grad_cam", "integrated_gradients", "occlusion"]
    images: Annotated[int, pydantic.Field(ge=2, le=1000)] = 48
    steps: Annotated[int, pydantic.Field(ge=1, le=1000)] = 32
    patch: Annotated[float, pydantic.Field(gt=0, le=0.5)] = 0.2
    draws: dict[Explanation, Annotated[int, pydantic.Field(ge=3, le=100)]] = {
        "grad_cam": 20,
        "integrated_gradients": 5,
        "occlusion": 5,
    }
    sanity_check_images: Annotated[int, pydantic.Field(ge=2, le=100)] = 12
    rank_ceiling: Share = 0.5
    deletion_images: Annotated[int, pydantic.Field(ge=2, le=1000)] = 24

    @pydantic.field_validator("methods")
    @classmethod
    def _some_method(cls, methods: list[Explanation]) -> list[Explanation]:
        if not methods:
            raise ValueError("is empty, so nothing would be explained; name at least one")
        return list(dict.fromkeys(methods))

    def random_networks(self, method: str) -> int:
        """Return how many random networks the sanity check of an explainer uses."""
        default = type(self).model_fields["draws"].default
        return int({**default, **self.draws}[method])


class LedgerBounds(Table):
    """``[ledger]``: how many models were judged on these test images?"""

    most_models: Annotated[int, pydantic.Field(ge=1)] | None = None
    """Largest number of models, the judged one included. With None their number is descriptive."""


class ClaimsBounds(Table):
    """``[claims]``: how far from a published figure a reproduction may be."""

    tolerance: Share = 0.05
    loss_tolerance: Annotated[float, pydantic.Field(ge=0, le=10)] = 0.10


class AttentionBounds(Table):
    """``[attention]``: does the model use the lungs?"""

    skill_without_lungs_ceiling: Share = 0.50
    conflict_floor: Annotated[float, pydantic.Field(ge=-1, le=1)] = 0.0
    annotation_ceiling: Share = 0.10


class CalibrationBounds(Table):
    """``[calibration]``: do the probabilities match the observed frequencies?"""

    temperature_scaling_gain_ceiling: Annotated[float, pydantic.Field(ge=0, le=20)] = 0.10
    """Largest reduction of the log loss, in nats, that temperature scaling may bring."""


class GateBounds(Table):
    """``[gate]``: which checks are required, and which may never be skipped."""

    required: dict[str, list[str]] = {suite: list(CHECKS[suite]) for suite in CORE}
    """The checks that a run must record, by suite. ``"all"`` stands for all checks of one of Roentgate's suites."""

    never_skip: list[str] = []
    seeds: Literal["worst", "first"] = "worst"

    @pydantic.field_validator("required", mode="before")
    @classmethod
    def _listed(cls, named: object) -> object:
        if not isinstance(named, dict):
            return named
        for suite, checks in named.items():
            if checks == "all" and suite not in CHECKS:
                raise ValueError(
                    f"'{suite}' is no suite of Roentgate's, so \"all\" of its checks are not known; "
                    f"list them, or {did_you_mean(suite, CHECKS)}"
                )
        return {suite: list(CHECKS[suite]) if checks == "all" else checks for suite, checks in named.items()}

    @pydantic.model_validator(mode="after")
    def _something_required(self) -> "GateBounds":
        if not self.pairs:
            raise ValueError(
                "'required' names no check, so nothing would be required; leave it out for the core checks"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _skips_exist(self) -> "GateBounds":
        known = {check for _, check in self.pairs}
        for check in self.never_skip:
            if check not in known:
                raise ValueError(f"'never_skip' names '{check}', which is not required; {did_you_mean(check, known)}")
        return self

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The required (suite, check) pairs."""
        return tuple((suite, check) for suite, checks in self.required.items() for check in checks)


def _check_known(name: str, known: Iterable[str], where: str) -> None:
    names = list(known)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"the data set has: {', '.join(names)}"
        raise PolicyError(f"policy: {where} names '{name}', which this data set does not have; {hint}")
