"""The policy file: read, checked key by key, and resolved for one data set.

All bounds are in one TOML file that can be reviewed.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pydantic

from roentgate.errors import PolicyError, did_you_mean
from roentgate.policy.bounds import (
    AlignmentBounds,
    AttentionBounds,
    AttributionBounds,
    AuditBounds,
    BorderBounds,
    CalibrationBounds,
    ClaimsBounds,
    ComparisonBounds,
    GateBounds,
    InferenceBounds,
    LedgerBounds,
    RecallBounds,
    RobustnessBounds,
    Table,
)
from roentgate.store import digest

CORE: Mapping[str, type[Table]] = {
    "gate": GateBounds,
    "alignment": AlignmentBounds,
    "inference": InferenceBounds,
    "recall": RecallBounds,
    "border": BorderBounds,
    "robustness": RobustnessBounds,
    "comparison": ComparisonBounds,
    "audit": AuditBounds,
    "attributions": AttributionBounds,
    "attention": AttentionBounds,
    "calibration": CalibrationBounds,
    "ledger": LedgerBounds,
    "claims": ClaimsBounds,
}


class Policy:
    """The bounds of one run, resolved for one data set.

    A bound is read as in ``policy.recall.floor("Covid")``.

    Args:
        source: The file it came from, for messages.
        tables: The raw tables after the data set's overrides.
        classes: The classes of the data set.
        normal: The class without a finding, or None to know it by its name.
    """

    gate: GateBounds
    alignment: AlignmentBounds
    inference: InferenceBounds
    recall: RecallBounds
    border: BorderBounds
    robustness: RobustnessBounds
    comparison: ComparisonBounds
    audit: AuditBounds
    attributions: AttributionBounds
    attention: AttentionBounds
    calibration: CalibrationBounds
    ledger: LedgerBounds
    claims: ClaimsBounds
    _OVERRIDES: ClassVar[str] = "data"

    def __init__(
        self, source: Path, tables: Mapping[str, object], classes: tuple[str, ...], normal: str | None = None
    ) -> None:
        self.source = source
        self._raw = dict(tables)
        self._classes, self._normal = classes, normal
        self._tables: dict[str, Table] = {}
        for name, kind in CORE.items():
            self.add(name, kind)

    def add(self, name: str, kind: type[Table]) -> None:
        """Parse the table of one suite.

        A suite file asks for this by declaring ``class Bounds(Table)``.
        """
        table = _parse(kind, self._raw.get(name, {}), f"{self.source}, table [{name}]")
        table.check_classes(self._classes)
        if isinstance(table, RecallBounds):
            table = table.resolved(self._classes, self._normal)
        self._tables[name] = table

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a suite of one's own has its own table type
        tables = self.__dict__.get("_tables", {})
        if name in tables:
            return tables[name]
        raise AttributeError(f"the policy has no table '{name}'")

    def check_owned(self, suites: Iterable[str]) -> None:
        """Raise `PolicyError` for a table that no suite owns.

        ``suites`` are the names of further suites that exist.
        """
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


def load_policy(
    path: Path, *, data: str, classes: tuple[str, ...], known: Iterable[str] = (), normal: str | None = None
) -> Policy:
    """Read a policy file and resolve it for one data set.

    Args:
        path: The TOML file.
        data: Name of the data set. Its ``[data.NAME.SUITE]`` tables override the general ones, key by key.
        classes: The classes of the data set, against which class names are checked.
        known: Names of other data sets. A table whose name is none of these but similar to one is refused as a
            misspelling.
        normal: The class without a finding, as the data card names it. None looks for a class with a usual name.

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
    return Policy(path, _merge(raw, overrides.get(data, {})), classes, normal)


def _check_shape(path: Path, raw: Mapping[str, object], name: str, table: Mapping[str, object]) -> None:
    """Refuse a mistyped key in the overrides of another data set.

    It is found before a run on that data set needs it.
    """
    merged = _merge(raw, table)
    for suite in table:
        if suite in CORE:
            _parse(CORE[suite], merged[suite], f"{path}, table [data.{name}.{suite}]")


def _merge(base: Mapping[str, object], override: Mapping[str, object]) -> dict[str, object]:
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
        raise PolicyError(
            "; ".join(_sentence(kind, where, item["loc"], item["type"], item["msg"]) for item in error.errors())
        ) from None


def _sentence(kind: type[Table], where: str, place: tuple[int | str, ...], fault: str, text: str) -> str:
    key = ".".join(map(str, place))
    if fault == "extra_forbidden":
        return f"{where}: unknown key '{key}'; {did_you_mean(key, kind.model_fields)}"
    message = text.removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"
