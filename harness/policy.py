"""Every bound, in one reviewable TOML file: read, checked key by key, and resolved for one data set."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic

from harness.errors import PolicyError, did_you_mean
from harness.perturbations import FILLS
from harness.store import digest

Share = Annotated[float, pydantic.Field(ge=0, le=1)]
RingWidth = Annotated[float, pydantic.Field(gt=0, lt=0.5)]
Fill = Literal["black", "mean", "edge", "blur"]
Explanation = Literal["grad_cam", "integrated_gradients", "occlusion"]

ARROW = " -> "


class Table(pydantic.BaseModel):
    """The bounds of one suite; a suite of your own declares a subclass named ``Bounds`` in its file."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Raise `PolicyError` if the table names a class that the data set does not have; the default names none."""


class AlignmentBounds(Table):
    """``[alignment]``: is row i's answer really about row i?"""

    columns_p: Share = 0.01
    """``class_columns_match`` fails where the chance of the better assignment is proven smaller than this."""


class InferenceBounds(Table):
    """``[inference]``: is augmentation off when it should be, and on when it should be?"""

    tolerance: Annotated[float, pydantic.Field(gt=0, lt=0.1)] = 1e-4
    """Largest difference between two probabilities that still count as the same."""


class RecallBounds(Table):
    """``[recall]``: does one class hide behind the average?"""

    recall_floor: Share = 0.80
    floors: dict[str, Share] = {}
    confusion_ceiling: Share = 0.20
    ceilings: dict[str, Share] = {}
    costly: Literal["all"] | list[str] = "all"
    macro_auroc_floor: Share = 0.90

    @pydantic.field_validator("costly")
    @classmethod
    def _some_pair(cls, costly: Literal["all"] | list[str]) -> Literal["all"] | list[str]:
        if not costly:
            raise ValueError('is empty, so nothing would be tested; name a pair, or write "all"')
        return costly

    def floor(self, label: str) -> float:
        """Return the recall floor of a class."""
        return self.floors.get(label, self.recall_floor)

    def ceiling(self, truth: str, called: str) -> float:
        """Return the largest share of ``truth`` that may be called ``called``."""
        return self.ceilings.get(f"{truth}{ARROW}{called}", self.confusion_ceiling)

    def pairs(self, classes: tuple[str, ...]) -> list[tuple[str, str]]:
        """Return the (truth, called) pairs to judge: the costly ones, or all."""
        return [
            (truth, called)
            for truth in classes
            for called in classes
            if truth != called and (self.costly == "all" or f"{truth}{ARROW}{called}" in self.costly)
        ]

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Raise `PolicyError` for a floor, a ceiling or a pair of a class that the data set does not have."""
        for label in self.floors:
            _check_known(label, classes, "recall.floors")
        for key, pairs in (("ceilings", list(self.ceilings)), ("costly", [] if self.costly == "all" else self.costly)):
            for pair in pairs:
                known = [f"{a}{ARROW}{b}" for a in classes for b in classes if a != b]
                _check_known(pair, known, f"recall.{key}")


class BorderBounds(Table):
    """``[border]``: does the frame decide?"""

    rings: list[RingWidth] = [0.05]
    stress_rings: list[RingWidth] = [0.10]
    fills: list[Fill] = list(FILLS)
    flips_ceiling: Share = 0.10
    transplant_ceiling: Share = 0.10
    only_rings: list[RingWidth] = [0.05, 0.10]
    only_stress_rings: list[RingWidth] = [0.15, 0.25]
    only_skill_ceiling: Share = 0.50

    @pydantic.model_validator(mode="after")
    def _nothing_empty(self) -> "BorderBounds":
        for key in ("rings", "fills", "only_rings"):
            if not getattr(self, key):
                raise ValueError(f"'{key}' is empty, so nothing would be tested; name at least one")
        return self


CORE_CHECKS = {
    "alignment": [
        "stream_order_repeats", "stream_complete", "images_match_rows", "labels_match_rows", "class_columns_match",
        "predictions_match_rows",
    ],
    "inference": [
        "predictions_repeat", "predictions_batch_invariant", "augmentation_identity_at_inference",
        "augmentation_active_in_training", "evaluation_streams_clean", "outputs_are_probabilities",
        "reload_preserves_predictions",
    ],
    "recall": ["recall_floor", "confusion_ceiling", "macro_auroc_floor", "beats_majority"],
    "border": [
        "border_mask_flips", "border_masked_recall", "ring_transplant", "border_only_skill", "interior_mask_control",
    ],
}  # fmt: skip
"""What is required where the policy does not say otherwise."""


class ComparisonBounds(Table):
    """``[comparison]``: how much worse than a reference a candidate may be, on the same films."""

    margin: Share = 0.05
    auroc_margin: Share = 0.05
    border_margin: Share = 0.10
    skill_margin: Share = 0.20


class AuditBounds(Table):
    """``[audit]``: what the data may give away (the suite ``data``, whose name ``[data.NAME]`` has taken)."""

    leakage_ceiling: Share = 0.0
    metadata_ceiling: Share = 0.25
    frame_ceiling: Share = 0.50
    association_ceiling: Share = 0.80
    twins: Literal["left out", "counted"] = "left out"


class AttributionBounds(Table):
    """``[attributions]``: how explainers are asked, and when they may speak (in the suite ``attention``)."""

    methods: list[Explanation] = ["grad_cam", "integrated_gradients", "occlusion"]
    films: Annotated[int, pydantic.Field(ge=2, le=1000)] = 48
    steps: Annotated[int, pydantic.Field(ge=1, le=1000)] = 32
    patch: Annotated[float, pydantic.Field(gt=0, le=0.5)] = 0.2
    draws: dict[Explanation, Annotated[int, pydantic.Field(ge=3, le=100)]] = {
        "grad_cam": 20, "integrated_gradients": 5, "occlusion": 5,
    }  # fmt: skip
    licence_films: Annotated[int, pydantic.Field(ge=2, le=100)] = 12
    rank_ceiling: Share = 0.5
    deletion_films: Annotated[int, pydantic.Field(ge=2, le=1000)] = 24

    @pydantic.field_validator("methods")
    @classmethod
    def _some_method(cls, methods: list[Explanation]) -> list[Explanation]:
        if not methods:
            raise ValueError("is empty, so nothing would be explained; name at least one")
        return list(dict.fromkeys(methods))

    def random_networks(self, method: str) -> int:
        """Return how many random networks the licence of an explainer rests on."""
        default = type(self).model_fields["draws"].default
        return int({**default, **self.draws}[method])


class LedgerBounds(Table):
    """``[ledger]``: how many models have these test films judged?"""

    most_models: Annotated[int, pydantic.Field(ge=1)] | None = None
    """A model that is judged after so many others is refused; None: their number only informs."""


class ClaimsBounds(Table):
    """``[claims]``: how far from a printed figure a model may be, and yet reproduce it."""

    tolerance: Share = 0.05
    loss_tolerance: Annotated[float, pydantic.Field(ge=0, le=10)] = 0.10


class AttentionBounds(Table):
    """``[attention]``: is it the lungs?"""

    skill_without_lungs_ceiling: Share = 0.50
    follow_floor: Annotated[float, pydantic.Field(ge=-1, le=1)] = 0.0
    marker_ceiling: Share = 0.10


class CalibrationBounds(Table):
    """``[calibration]``: do the probabilities mean what they say?"""

    temperature_gain_ceiling: Annotated[float, pydantic.Field(ge=0, le=20)] = 0.10
    """Nats of log loss that one temperature may save."""


class GateBounds(Table):
    """``[gate]``: which checks must be there, and which of them may never be skipped."""

    required: dict[str, list[str]] = CORE_CHECKS
    never_skip: list[str] = []
    seeds: Literal["worst", "first"] = "worst"

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


CORE: Mapping[str, type[Table]] = {
    "gate": GateBounds,
    "alignment": AlignmentBounds,
    "inference": InferenceBounds,
    "recall": RecallBounds,
    "border": BorderBounds,
    "comparison": ComparisonBounds,
    "audit": AuditBounds,
    "attributions": AttributionBounds,
    "attention": AttentionBounds,
    "calibration": CalibrationBounds,
    "ledger": LedgerBounds,
    "claims": ClaimsBounds,
}


class Policy:
    """The bounds of one run, resolved for one data set: ``policy.recall.floor("Covid")``.

    Args:
        source: The file it came from, for messages.
        tables: The raw tables after the data set's overrides.
        classes: The classes of the data set.
    """

    gate: GateBounds
    alignment: AlignmentBounds
    inference: InferenceBounds
    recall: RecallBounds
    border: BorderBounds
    comparison: ComparisonBounds
    audit: AuditBounds
    attributions: AttributionBounds
    attention: AttentionBounds
    calibration: CalibrationBounds
    ledger: LedgerBounds
    claims: ClaimsBounds
    _OVERRIDES: ClassVar[str] = "data"

    def __init__(self, source: Path, tables: Mapping[str, Any], classes: tuple[str, ...]) -> None:
        self.source = source
        self._raw = dict(tables)
        self._classes = classes
        self._tables: dict[str, Table] = {}
        for name, kind in CORE.items():
            self.add(name, kind)

    def add(self, name: str, kind: type[Table]) -> None:
        """Type the table of one suite; a suite file does this by declaring ``class Bounds(Table)``."""
        table = _parse(kind, self._raw.get(name, {}), f"{self.source}, table [{name}]")
        table.check_classes(self._classes)
        self._tables[name] = table

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a suite of one's own has its own table type
        tables = self.__dict__.get("_tables", {})
        if name in tables:
            return tables[name]
        raise AttributeError(f"the policy has no table '{name}'")

    def check_owned(self, suites: Iterable[str]) -> None:
        """Raise `PolicyError` for a table that no suite owns; ``suites`` are further suite names that exist."""
        known = {*self._tables, *suites}
        for name in self._raw:
            if name not in known:
                raise PolicyError(
                    f"{self.source}: no suite owns the table [{name}]; {did_you_mean(name, known)} "
                    "Remove it, or let a suite file declare 'class Bounds(Table)'"
                )

    @property
    def fingerprint(self) -> str:
        """Digest of every bound in force, defaults included."""
        return digest({name: table.model_dump(mode="json") for name, table in sorted(self._tables.items())})


def load_policy(path: Path, *, data: str, classes: tuple[str, ...], known: Iterable[str] = ()) -> Policy:
    """Read a policy file and resolve it for one data set.

    Args:
        path: The TOML file.
        data: Name of the data set; its ``[data.NAME.SUITE]`` tables override the general ones, key by key.
        classes: The classes of the data set, against which class names are checked.
        known: Names of other data sets; a table of a name that is none of these, but close to one, is a slip.

    Raises:
        PolicyError: The file is missing or not TOML, has an unknown key, or names an unknown class.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PolicyError(
            f"policy {path}: no such file; pass --policy FILE, or start from suites/policy.toml"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PolicyError(f"policy {path}: not readable as TOML ({error})") from None
    overrides = raw.pop("data", {})
    if not isinstance(overrides, dict) or not all(isinstance(table, dict) for table in overrides.values()):
        raise PolicyError(f"policy {path}: [data] holds one table a data set, as in [data.covid19.recall]")
    for name, table in overrides.items():
        names = {data, *known}
        if name not in names and difflib.get_close_matches(name, names, n=1, cutoff=0.8):
            raise PolicyError(f"policy {path}: [data.{name}]: no such data set; {did_you_mean(name, names)}")
        for suite in table:
            if suite not in raw and suite not in CORE:
                known = {*raw, *CORE}
                raise PolicyError(f"policy {path}: [data.{name}.{suite}] is unknown; {did_you_mean(suite, known)}")
        if name != data:
            _check_shape(path, raw, name, table)
    return Policy(path, _merge(raw, overrides.get(data, {})), classes)


def _check_shape(path: Path, raw: Mapping[str, Any], name: str, table: Mapping[str, Any]) -> None:
    """Refuse a mistyped key in the overrides of another data set too, before the day it matters."""
    merged = _merge(raw, table)
    for suite in table:
        if suite in CORE:
            _parse(CORE[suite], merged[suite], f"{path}, table [data.{name}.{suite}]")


def _merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in override.items():
        inner = merged.get(key)
        merged[key] = _merge(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _parse(kind: type[Table], raw: object, where: str) -> Table:
    if not isinstance(raw, dict):
        raise PolicyError(f"{where}: must be a table, not {type(raw).__name__}")
    try:
        return kind.model_validate(raw)
    except pydantic.ValidationError as error:
        raise PolicyError("; ".join(_sentence(kind, where, item) for item in error.errors())) from None


def _sentence(kind: type[Table], where: str, item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{where}: unknown key '{key}'; {did_you_mean(key, kind.model_fields)}"
    message = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _check_known(name: str, known: Iterable[str], where: str) -> None:
    names = list(known)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"the data set has: {', '.join(names)}"
        raise PolicyError(f"policy: {where} names '{name}', which this data set does not have; {hint}")
