"""The report of a data set's audit: record, page and pictures.

No model is involved.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NotRequired, cast

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from roentgate.audit import KINDS, DataRecord, leakage, probe_skill, probes
from roentgate.checks import adjusted_balanced_accuracy
from roentgate.data import SPLITS
from roentgate.errors import ArgumentError
from roentgate.policy import Policy
from roentgate.report import audit_figures
from roentgate.report.render import fenced, table
from roentgate.scorecard import Row, StudyEntry, bound, counted, escape, measured, outcome, shorten, study_lines
from roentgate.session import row_of, suite_runner
from roentgate.store import atomic

SCHEMA: Final = "roentgate.audit/2"
RECORD, PAGE = "audit.json", "audit.md"
PROBES, NEAR_DUPLICATES, ODD = "audit-probes.png", "audit-near-duplicates.png", "audit-odd.png"
SUITE: Final = "data"
_SHOWN = 24
_LISTED = 60
_DOUBTED = 15


class Pair(TypedDict):
    """Two images that are the same or almost the same."""

    first: str
    second: str
    splits: list[str]
    how: str
    similarity: float
    mirrored: bool


class ProbeResult(TypedDict):
    """A probe's adjusted balanced accuracy on the test images, with its interval."""

    probe: str
    family: str
    value: float | None
    low: float
    high: float


class AuditRecord(TypedDict):
    """The record of an audit, whose bytes depend on the images only."""

    schema: str
    accepted: bool
    dataset: str
    study: NotRequired[StudyEntry]
    fingerprint: str
    classes: list[str]
    counts: dict[str, dict[str, int]]
    policy: str
    rows: list[Row]
    pairs: list[Pair]
    almost: list[Pair]
    probes: list[ProbeResult]
    rules: list[str]
    files: list[tuple[str, str, list[int]]]
    odd: dict[str, str]
    doubtful: list[str] | None


def _lacking(record: DataRecord, need: str) -> str:
    return leakage.lacking(record.splits, need) if need in leakage.LACKING else "there is no model"


def judge(record: DataRecord, policy: Policy, suite: Path) -> list[Row]:
    """Return the rows of the data suite that need no model.

    Rows are in the order of the suite.

    Raises:
        ArgumentError: The suite file is missing.
    """
    module = suite_runner.load_suite(suite)
    found = suite_runner.verdicts(
        module,
        {"data_record": record},
        policy,
        record.seen.classes,
        lacks=lambda need: _lacking(record, need),
        absent=["evidence"],
    )
    return [
        row_of(verdict, suite=SUITE, check=check, subject=subject, gate="simple") for check, subject, verdict in found
    ]


def build(record: DataRecord, policy: Policy, suite: Path) -> AuditRecord:
    """Judge a data set and return the record."""
    seen, found = record.seen, record.duplicates
    rows = judge(record, policy, suite)

    def pair(first: int, second: int, how: str, similarity: float, *, mirrored: bool) -> Pair:
        return {
            "first": seen.ids[first],
            "second": seen.ids[second],
            "splits": [SPLITS[seen.split[first]], SPLITS[seen.split[second]]],
            "how": how,
            "similarity": round(float(similarity), 4),
            "mirrored": bool(mirrored),
        }

    pairs = [
        pair(first, second, KINDS[kind], similarity, mirrored=mirrored)
        for first, second, kind, similarity, mirrored in zip(
            found.first, found.second, found.kind, found.similarity, found.mirrored, strict=True
        )
    ]
    almost = [
        pair(first, second, "not called the same", similarity, mirrored=False)
        for (first, second), similarity in zip(found.almost, found.almost_similarity, strict=True)
    ]
    return {
        "schema": SCHEMA,
        "accepted": all(row["accepted"] for row in rows),
        "dataset": record.splits.name,
        "study": cast("StudyEntry", record.splits.study.model_dump()),
        "fingerprint": seen.fingerprint,
        "classes": list(seen.classes),
        "counts": {split.name: split.counts() for split in (getattr(record.splits, name) for name in SPLITS)},
        "policy": policy.fingerprint,
        "rows": rows,
        "pairs": sorted(pairs, key=lambda each: (len(set(each["splits"])) == 1, each["first"], each["second"])),
        "almost": almost,
        "probes": _probe_results(record),
        "rules": probes.rules(seen),
        "files": leakage.kinds_of_files(record),
        "doubtful": probe_skill.label_issues(record),
        "odd": {seen.ids[row]: reason for row, reason in leakage.odd_reasons(record).items()},
    }


def _probe_results(record: DataRecord) -> list[ProbeResult]:
    results: list[ProbeResult] = []
    for probe in record.allowed:
        skill = adjusted_balanced_accuracy(record.judged(record.answers(probe)))
        results.append(
            {
                "probe": probe.name,
                "family": probe.family,
                "value": round(skill.value, 4) if skill.defined else None,
                "low": round(skill.low, 4),
                "high": round(skill.high, 4),
            }
        )
    return results


def publish(record: DataRecord, findings: AuditRecord, folder: Path, command: str) -> Path:
    """Write record, pictures and page, and return the page's path.

    Args:
        record: What was found of the images.
        findings: From `build`.
        folder: Folder of the files.
        command: The command that made the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / RECORD, json.dumps(_plain(findings), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    audit_figures.probes_chart(findings["probes"], findings["dataset"], len(findings["classes"]), folder / PROBES)
    index = {name: row for row, name in enumerate(record.seen.ids)}
    near_duplicates = [*findings["pairs"][:_SHOWN], *findings["almost"][:3]]
    if near_duplicates:
        audit_figures.pairs_sheet(
            record.seen,
            [(index[each["first"]], index[each["second"]], _caption(each)) for each in near_duplicates],
            folder / NEAR_DUPLICATES,
        )
    if findings["odd"]:
        shown = list(findings["odd"].items())[:_SHOWN]
        audit_figures.odd_sheet(record.seen, [(index[name], reason) for name, reason in shown], folder / ODD)
    _write(folder / PAGE, markdown(findings, command))
    return folder / PAGE


def _plain(value: object) -> object:
    """Return a record with None for each number that is not finite."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(path: Path) -> AuditRecord:
    """Read a record that `publish` wrote.

    Raises:
        ArgumentError: The file is missing, damaged, or something else; the message names it.
    """
    try:
        return TypeAdapter(AuditRecord).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ArgumentError(f"'{path}': no audit ({type(error).__name__}); run the command anew") from error


def sentences(findings: AuditRecord) -> list[str]:
    """Return one sentence per gating row that is not accepted and has a value."""
    rows = [row for row in _refused(findings) if row["value"] is not None and math.isfinite(row["value"])]
    return [f"{_QUESTIONS.get(row['check'], row['check'])}: {row['detail']}" for row in rows]


def unjudged(findings: AuditRecord) -> list[str]:
    """Return one sentence per gating row that is not accepted because nothing could be measured."""
    rows = [row for row in _refused(findings) if row["value"] is None or not math.isfinite(row["value"])]
    return [f"Not judged: {row['check']} ({row['subject']}): {row['detail']}" for row in rows]


def _refused(findings: AuditRecord) -> list[Row]:
    return [row for row in findings["rows"] if row["gates"] and not row["accepted"]]


_QUESTIONS: Final = {
    "images_in_two_splits": "The same image in two splits",
    "patients_in_two_splits": "The same patient in two splits",
    "images_in_two_classes": "The same image in two classes",
    "unreadable_images": "Images that cannot be read",
    "metadata_probe": "The file alone predicts the class",
    "border_probe": "The border alone predicts the class",
    "source_confounding": "The source alone predicts the class",
}


def markdown(findings: AuditRecord, command: str) -> str:
    """Return the page as markdown."""
    gating = [row for row in findings["rows"] if row["gates"] or row["outcome"] == "skipped"]
    descriptive = [row for row in findings["rows"] if not row["gates"] and row["outcome"] != "skipped"]
    against, silent = sentences(findings), unjudged(findings)
    verdict = (
        f"**PROBLEMS FOUND**: {len(against)} of {sum(row['gates'] for row in gating)} rows are not accepted."
        if against
        else "**NOTHING FOUND** against this data set by these checks."
        if not silent
        else "**NOT ACCEPTED**: nothing was found, but not every check could be made."
    )
    counts = "\n".join(f"- {name}: {escape(counted(images))}" for name, images in findings["counts"].items())
    text = [
        f"# Audit of {escape(findings['dataset'])}",
        *_study(findings),
        f"{verdict} No model is involved: only the images, their files and their splits are examined.",
        *(["\n".join(f"- {escape(line)}" for line in [*against, *silent])] if [*against, *silent] else []),
        f"![What can be scored without the lungs: each probe's skill with its interval]({PROBES})",
        "Skill is balanced accuracy above chance, as a share of what lies above chance: 0 is guessing, 1 is perfect. "
        "Probes are linear models on 64x64 thumbnails (or the nearest image), fitted on train and validation, judged "
        "on the test images that have no near-duplicate in train. A label shortcut in the data need not be one that a "
        "model uses: the border suite judges that.",
        "## Rows",
        table(["check", "subject", "outcome", "measured", "n", "must be", "detail"], [_line(row) for row in gating]),
        "## Descriptive rows",
        table(["check", "subject", "measured", "n", "detail"], [_line(row, bounded=False) for row in descriptive]),
        *_near_duplicates(findings),
        *_files(findings),
        *_labels(findings),
        "## Images",
        counts,
        _imbalance(findings),
        "Made by:",
        fenced([command]),
        "Research software, not a medical device.",
    ]
    return "\n\n".join(text) + "\n"


def _study(findings: AuditRecord) -> list[str]:
    """Return what the card states of the study, which an older record lacks."""
    if "study" not in findings:
        return []
    return ["\n".join(f"- {term}: {escape(text)}" for term, text in study_lines(findings["study"]))]


def _near_duplicates(findings: AuditRecord) -> list[str]:
    if not findings["pairs"]:
        return [
            "## The same image twice",
            "None found. The most alike images that are not the same:",
            _pairs(findings["almost"][:3]),
        ]
    more = f" The first {_LISTED} are listed." if len(findings["pairs"]) > _LISTED else ""
    return [
        "## The same image twice",
        f"{len(findings['pairs'])} pairs.{more} Similarity is the correlation of fine structure once one is laid over "
        "the other; 0.90 and more counts as the same image.",
        f"![Pairs of images side by side, and the most alike that are not called the same]({NEAR_DUPLICATES})",
        _pairs(findings["pairs"][:_LISTED]),
        "The most alike images that are not called the same:",
        _pairs(findings["almost"][:3]),
    ]


def _files(findings: AuditRecord) -> list[str]:
    lines = [[what, escape(value), *map(str, images)] for what, value, images in findings["files"]]
    text = ["## What the files are", table(["", "", *map(escape, findings["classes"])], lines)]
    if findings["rules"]:
        text += ["What occurs in one class only:", "\n".join(f"- {escape(rule)}" for rule in findings["rules"][:12])]
    if findings["odd"]:
        named = [f"- {escape(name)}: {escape(reason)}" for name, reason in list(findings["odd"].items())[:_LISTED]]
        text += ["## Atypical images", f"![Images that are not like the others]({ODD})", "\n".join(named)]
    return text


def _imbalance(findings: AuditRecord) -> str:
    """Return how uneven the classes are and what that means for accuracy."""
    images = findings["counts"]["train"]
    most, least = max(images.values()), min(images.values())
    test = findings["counts"]["test"]
    majority = max(test.values()) / sum(test.values())
    return (
        f"The largest class of train has {most / least:.1f} times the images of the smallest; always naming the "
        f"largest class of test is {majority:.0%} accurate."
    )


def _labels(findings: AuditRecord) -> list[str]:
    """Return the section on doubtful labels.

    Without cleanlab it says how to install it.
    """
    if findings["doubtful"] is None:
        return ["## Labels to look at again", "Not asked: `pip install roentgate[labels]` adds cleanlab, which does."]
    explanation = (
        f"{len(findings['doubtful'])} images whose class confident learning (cleanlab) doubts, by the cross-validated "
        "probe of the whole image, most doubtful first. A candidate is not an error: hard images are among them."
    )
    shown = [f"- {escape(name)}" for name in findings["doubtful"][:_DOUBTED]]
    return ["## Labels to look at again", explanation, *(["\n".join(shown)] if shown else [])]


def _pairs(pairs: Sequence[Pair]) -> str:
    lines = [[escape(each["first"]), escape(each["second"]), _caption(each)] for each in pairs]
    return table(["image", "image", "how it was found"], lines) if lines else "None."


def _caption(pair: Pair) -> str:
    how = f"{pair['how']}, {pair['similarity']:.3f}" if pair["how"] not in KINDS[:2] else pair["how"]
    return f"{how}, mirrored" if pair["mirrored"] else how


def _line(row: Row, *, bounded: bool = True) -> list[str]:
    detail = escape(shorten(row["detail"], 300))
    if not bounded:
        return [row["check"], escape(row["subject"]), measured(row), str(row["n"]), detail]
    return [row["check"], escape(row["subject"]), outcome(row), measured(row), str(row["n"]), bound(row), detail]


def _write(path: Path, text: str) -> None:
    with atomic(path) as draft:
        draft.write_text(text, "utf-8")
