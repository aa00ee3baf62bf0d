"""The audit of a data set, written: its verdicts as a record, a page to read, and pictures; no model is asked."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from roentgate.audit import KINDS, DataRecord, leakage, probe_skill, probes
from roentgate.checks import adjusted_balanced_accuracy
from roentgate.data import SPLITS
from roentgate.errors import ArgumentError
from roentgate.policy import Policy
from roentgate.report import audit_figures
from roentgate.report.render import fenced, table
from roentgate.scorecard import Row, bound, counted, escape, measured, outcome, shorten
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
    """Two images that are the same, where they lie, and how they were found."""

    first: str
    second: str
    splits: list[str]
    how: str
    similarity: float
    mirrored: bool


class Told(TypedDict):
    """What a probe reads of the test images: adjusted balanced accuracy with its interval, and what it is shown."""

    probe: str
    family: str
    value: float | None
    low: float
    high: float


class AuditRecord(TypedDict):
    """The record: equal images give equal bytes."""

    schema: str
    accepted: bool
    dataset: str
    fingerprint: str
    classes: list[str]
    counts: dict[str, dict[str, int]]
    policy: str
    rows: list[Row]
    pairs: list[Pair]
    almost: list[Pair]
    probes: list[Told]
    rules: list[str]
    files: list[tuple[str, str, list[int]]]
    odd: dict[str, str]
    doubtful: list[str] | None


def _lacking(record: DataRecord, need: str) -> str:
    return leakage.lacking(record.splits, need) if need in leakage.LACKING else "there is no model"


def judge(record: DataRecord, policy: Policy, suite: Path) -> list[Row]:
    """Return the rows of the data suite that ask for no model, in the suite's order.

    Raises:
        ArgumentError: The suite is not there.
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
    return [row_of(told, suite=SUITE, check=check, subject=subject, gate="simple") for check, subject, told in found]


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
        pair(one, two, KINDS[kind], similarity, mirrored=mirrored)
        for one, two, kind, similarity, mirrored in zip(
            found.first, found.second, found.kind, found.similarity, found.mirrored, strict=True
        )
    ]
    almost = [
        pair(one, two, "not called the same", similarity, mirrored=False)
        for (one, two), similarity in zip(found.almost, found.almost_similarity, strict=True)
    ]
    return {
        "schema": SCHEMA,
        "accepted": all(row["accepted"] for row in rows),
        "dataset": record.splits.name,
        "fingerprint": seen.fingerprint,
        "classes": list(seen.classes),
        "counts": {split.name: split.counts() for split in (getattr(record.splits, name) for name in SPLITS)},
        "policy": policy.fingerprint,
        "rows": rows,
        "pairs": sorted(pairs, key=lambda each: (len(set(each["splits"])) == 1, each["first"], each["second"])),
        "almost": almost,
        "probes": _told(record),
        "rules": probes.rules(seen),
        "files": leakage.kinds_of_files(record),
        "doubtful": probe_skill.label_issues(record),
        "odd": {seen.ids[row]: reason for row, reason in leakage.odd_reasons(record).items()},
    }


def _told(record: DataRecord) -> list[Told]:
    told: list[Told] = []
    for probe in record.allowed:
        skill = adjusted_balanced_accuracy(record.judged(record.answers(probe)))
        told.append(
            {
                "probe": probe.name,
                "family": probe.family,
                "value": round(skill.value, 4) if skill.defined else None,
                "low": round(skill.low, 4),
                "high": round(skill.high, 4),
            }
        )
    return told


def publish(record: DataRecord, told: AuditRecord, folder: Path, command: str) -> Path:
    """Write record, pictures and page into a folder; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / RECORD, json.dumps(_plain(told), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    audit_figures.probes_chart(told["probes"], told["dataset"], len(told["classes"]), folder / PROBES)
    index = {name: row for row, name in enumerate(record.seen.ids)}
    near_duplicates = [*told["pairs"][:_SHOWN], *told["almost"][:3]]
    if near_duplicates:
        audit_figures.pairs_sheet(
            record.seen,
            [(index[each["first"]], index[each["second"]], _caption(each)) for each in near_duplicates],
            folder / NEAR_DUPLICATES,
        )
    if told["odd"]:
        shown = list(told["odd"].items())[:_SHOWN]
        audit_figures.odd_sheet(record.seen, [(index[name], reason) for name, reason in shown], folder / ODD)
    _write(folder / PAGE, markdown(told, command))
    return folder / PAGE


def _plain(value: object) -> object:
    """Return a record with null for every number that is none."""
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


def sentences(told: AuditRecord) -> list[str]:
    """Return what the data set gives away, a sentence each; an empty list where nothing was found."""
    rows = [row for row in told["rows"] if row["gates"] and not row["accepted"]]
    return [f"{_QUESTIONS.get(row['check'], row['check'])}: {row['detail']}" for row in rows]


_QUESTIONS: Final = {
    "images_in_two_splits": "The same image in two splits",
    "patients_in_two_splits": "The same patient in two splits",
    "images_in_two_classes": "The same image in two classes",
    "unreadable_images": "Images that cannot be read",
    "metadata_probe": "The file alone gives the class away",
    "border_probe": "The border alone gives the class away",
    "source_confounding": "The source alone gives the class away",
}


def markdown(told: AuditRecord, command: str) -> str:
    """Return the page."""
    gating = [row for row in told["rows"] if row["gates"] or row["outcome"] == "skipped"]
    informing = [row for row in told["rows"] if not row["gates"] and row["outcome"] != "skipped"]
    against = sentences(told)
    verdict_words = (
        f"**GIVES ITSELF AWAY**: {len(against)} of {sum(row['gates'] for row in gating)} rows are not accepted."
        if against
        else "**NOTHING FOUND** against this data set by these checks."
    )
    counts = "\n".join(f"- {name}: {escape(counted(images))}" for name, images in told["counts"].items())
    text = [
        f"# What {escape(told['dataset'])} gives away",
        f"{verdict_words} No model was asked: this is what the images, their files and their splits say of themselves.",
        *(["\n".join(f"- {escape(line)}" for line in against)] if against else []),
        f"![What can be scored without the lungs: each probe's skill with its interval]({PROBES})",
        "Skill is balanced accuracy above chance, as a share of what lies above chance: 0 is guessing, 1 is perfect. "
        "Probes are linear models on 64x64 thumbnails (or the nearest image), fitted on train and validation, judged on "
        "the test images that have no near-duplicate in train. What a data set gives away is not what a model uses: that is for "
        "the border suite to say.",
        "## Rows",
        table(["check", "subject", "outcome", "measured", "n", "must be", "detail"], [_line(row) for row in gating]),
        "## For reading",
        table(["check", "subject", "measured", "n", "detail"], [_line(row, bounded=False) for row in informing]),
        *_near_duplicates(told),
        *_files(told),
        *_labels(told),
        "## Images",
        counts,
        _imbalance(told),
        "Made by:",
        fenced([command]),
        "Research software, not a medical device.",
    ]
    return "\n\n".join(text) + "\n"


def _near_duplicates(told: AuditRecord) -> list[str]:
    if not told["pairs"]:
        return [
            "## The same image twice",
            "None found. The most alike images that are not the same:",
            _pairs(told["almost"][:3]),
        ]
    more = f" The first {_LISTED} are listed." if len(told["pairs"]) > _LISTED else ""
    return [
        "## The same image twice",
        f"{len(told['pairs'])} pairs.{more} Similarity is the correlation of fine structure once one is laid over "
        "the other; 0.90 and more is called the same.",
        f"![Pairs of images side by side, and the most alike that are not called the same]({NEAR_DUPLICATES})",
        _pairs(told["pairs"][:_LISTED]),
        "The most alike images that are not called the same:",
        _pairs(told["almost"][:3]),
    ]


def _files(told: AuditRecord) -> list[str]:
    lines = [[what, escape(value), *map(str, images)] for what, value, images in told["files"]]
    text = ["## What the files are", table(["", "", *map(escape, told["classes"])], lines)]
    if told["rules"]:
        text += ["What goes with one class alone:", "\n".join(f"- {escape(rule)}" for rule in told["rules"][:12])]
    if told["odd"]:
        named = [f"- {escape(name)}: {escape(reason)}" for name, reason in list(told["odd"].items())[:_LISTED]]
        text += ["## Odd images", f"![Images that are not like the others]({ODD})", "\n".join(named)]
    return text


def _imbalance(told: AuditRecord) -> str:
    """Say how uneven the classes of train are, and what that does to plain accuracy."""
    images = told["counts"]["train"]
    most, least = max(images.values()), min(images.values())
    test = told["counts"]["test"]
    majority = max(test.values()) / sum(test.values())
    return (
        f"The largest class of train has {most / least:.1f} times the images of the smallest; always naming the largest "
        f"class of test is {majority:.0%} accurate."
    )


def _labels(told: AuditRecord) -> list[str]:
    """Return the labels to look at again; a sentence on how to have them where cleanlab is not installed."""
    if told["doubtful"] is None:
        return ["## Labels to look at again", "Not asked: `pip install roentgate[labels]` adds cleanlab, which does."]
    words = (
        f"{len(told['doubtful'])} images whose class confident learning (cleanlab) doubts, by the cross-validated probe "
        "of the whole image, most doubtful first. A candidate is not an error: hard images are among them."
    )
    shown = [f"- {escape(name)}" for name in told["doubtful"][:_DOUBTED]]
    return ["## Labels to look at again", words, *(["\n".join(shown)] if shown else [])]


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
