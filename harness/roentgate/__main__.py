"""The command line of Roentgate.

Each command calls the same functions as the suites.
"""

import argparse
import ast
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roentgate.entry import DEFAULT_POLICY, cli_claim, parser
from roentgate.errors import ArgumentError, HarnessError
from roentgate.process import one_thread

if TYPE_CHECKING:
    from roentgate.data import Dataset


BEGINS_ANEW = "the same command begins anew"
"""What an interrupted command prints if it has kept nothing."""

GOING_ON = {
    **dict.fromkeys(("audit", "train"), "what was finished is kept, run the same command to go on"),
    **dict.fromkeys(
        ("claim", "aa-test", "replay"), "what was trained is kept, the rest begins anew with the same command"
    ),
}
"""What an interrupted command prints if it has kept something, by command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status.

    Args:
        arguments: The command line without the program; None reads ``sys.argv``.

    Returns:
        0 if the command is done, 1 if what it judged is not accepted, 2 if it was refused with a message, and 130 if
        it was interrupted.
    """
    whole = parser()
    parsed = whole.parse_args(arguments)
    if parsed.command is None:
        whole.print_help()
        return 2
    one_thread()
    try:
        return int(COMMANDS[parsed.run](parsed))
    except (HarnessError, OSError) as error:
        print(f"roentgate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"roentgate: interrupted; {GOING_ON.get(parsed.run, BEGINS_ANEW)}", file=sys.stderr)
        return 130


def _models(_: argparse.Namespace) -> int:
    from roentgate.candidates import model_names

    folder = Path("models")
    names = model_names(folder)
    if not names:
        raise ArgumentError(
            f"no model files in {folder.resolve()}; run this in the project's folder, or write models/NAME.py"
        )
    for name in names:
        text = folder.joinpath(*name.split(".")).with_suffix(".py").read_text("utf-8")
        try:
            summary = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
        except SyntaxError as error:
            summary = f"(not valid Python: {error.msg}, line {error.lineno})"
        print(f"{name:32} {summary}")
    return 0


def _data(parsed: argparse.Namespace) -> int:
    from roentgate.data import (
        find_card,
        open_card,
        open_store,
        read_splits,
        write_manifest,
    )
    from roentgate.scorecard import study_lines

    if parsed.name is None:
        if parsed.splits or parsed.montage:
            raise ArgumentError("--splits and --montage show one data set; name it: python -m roentgate data NAME ...")
        for path in sorted(Path("data").glob("*.toml")):
            card = find_card(path.stem, path.parent)
            place = "drawn here" if card.generator else str(card.root or "no root; pass --data NAME=PATH")
            print(f"{card.name:26} {card.title}\n{'':26} {place}; {card.licence or 'no licence stated'}")
        return 0
    store = open_store(Path.cwd())
    card = open_card(parsed.name, Path("data"), store)
    splits = read_splits(card, image_shape=(*card.image_size, 1), cache=None, store=store)
    print(f"{card.name}: {card.title or splits.root}")
    for field in ("licence", "citation", "source"):
        if getattr(card, field):
            print(f"  {field}: {getattr(card, field)}")
    for term, text in study_lines(card.study.model_dump()):
        print(f"  {term}: {text}")
    for split in (splits.train, splits.validation, splits.test):
        print(f"  {split.name:11} {_described(split)}")
    if parsed.splits:
        write_manifest(splits, Path(parsed.splits))
        print(f"  splits: {parsed.splits}")
    if parsed.montage:
        from roentgate.report import montage

        montage(splits.test, Path(parsed.montage))
        print(f"  montage: {parsed.montage}")
    return 0


def _audit(parsed: argparse.Namespace) -> int:
    from roentgate.audit import DataRecord
    from roentgate.data import (
        open_card,
        open_store,
        read_splits,
    )
    from roentgate.policy import load_policy
    from roentgate.report import audit_report

    if (parsed.folder is None) == (parsed.data is None):
        raise ArgumentError("audit: name either a folder, or a card with --data NAME")
    store, spec = open_store(Path.cwd()), parsed.data or parsed.folder
    card = open_card(spec, Path("data"), store)
    splits = read_splits(card, image_shape=(*card.image_size, 1), cache=None, store=store)
    policy = load_policy(Path(parsed.policy), data=card.name, classes=splits.classes, normal=card.normal)
    record = DataRecord(splits, store)
    findings = audit_report.build(record, policy, Path(parsed.policy).parent / "test_data.py")
    command = ["roentgate", "audit", *(["--data", spec] if parsed.data else [spec])]
    command += [] if parsed.policy == DEFAULT_POLICY else ["--policy", parsed.policy]
    folder = Path(parsed.out) if parsed.out else Path("reports") / card.name
    page = audit_report.publish(record, findings, folder, shlex.join(command))
    against = audit_report.sentences(findings)
    for line in [*against, *audit_report.unjudged(findings)]:
        print(f"  {line}")
    found = "problems found" if against else "nothing found" if findings["accepted"] else "not all could be judged"
    print(f"{card.name}: {found}; {page}")
    return 0 if findings["accepted"] else 1


def _described(split: "Dataset") -> str:
    parts = [", ".join(f"{label} {count}" for label, count in split.counts().items())]
    if split.groups is not None:
        parts.append(f"{len(set(split.groups))} groups")
    if split.sources is not None:
        parts.append(
            "sources " + ", ".join(f"{name} {count}" for name, count in sorted(Counter(split.sources).items()))
        )
    if split.ignored:
        parts.append(f"{len(split.ignored)} other files")
    return f"{len(split):6} images: {'; '.join(parts)}"


def _train(parsed: argparse.Namespace) -> int:
    from roentgate.candidates import (
        Options,
        ready,
    )
    from roentgate.data import open_card, open_store
    from roentgate.session import new_run_id, parse_size
    from roentgate.store import atomic

    out = Path(parsed.out)
    if out.suffix != ".keras":
        raise ArgumentError(f"--out {out}: must end in .keras")
    store = open_store(Path.cwd())
    options = Options(
        models=Path("models"),
        seed=parsed.seed,
        image_size=parse_size(parsed.image_size),
        epochs=parsed.epochs,
        run_id=new_run_id(),
    )
    candidate = ready(parsed.model, open_card(parsed.data, Path("data"), store), options, store)
    if candidate.weights is None:
        raise ArgumentError(f"model '{parsed.model}' loads itself (load(task)); there are no weights to write")
    with atomic(out) as temporary:
        shutil.copyfile(candidate.weights, temporary)
    judge = shlex.join(["--model", parsed.model, "--weights", str(out)])
    print(f"{out}: {candidate.name} on {parsed.data}, seed {parsed.seed}; judge: {judge}")
    return 0


def _scorecard(parsed: argparse.Namespace) -> int:
    from roentgate.report import render
    from roentgate.report import write as report
    from roentgate.scorecard import record as scorecard

    folders = [Path(name) for name in parsed.folders]
    records = [scorecard.read(folder / scorecard.SCORECARD_FILE) for folder in folders]
    for folder, record in zip(folders, records, strict=True):
        if parsed.summary:
            print(render.summary_markdown(record))
        else:
            report.render_again(folder)
            print(f"{folder / 'scorecard.md'}: {scorecard.headline(record)}")
    if len(records) > 1 and not parsed.summary:
        print(render.comparison_markdown(records))
    if parsed.picture:
        from roentgate.report import figures

        evidence = [scorecard.read_evidence(folder / scorecard.EVIDENCE_FILE) for folder in folders]
        print(figures.side_by_side(records, Path(parsed.picture), evidence))
    return 0


def _replay(parsed: argparse.Namespace) -> int:
    from roentgate.report import mask_replay

    record, folder, mask = mask_replay.find_record(parsed.id, Path(parsed.reports))
    weights = Path(parsed.weights) if parsed.weights else None
    evidence = mask_replay.evidence_of(record, Path.cwd(), data=parsed.data, weights=weights)
    found = mask_replay.replay(evidence, mask)
    height, width, _ = record["task"]["image_shape"]
    print(f"{record['model']['name']} on {record['dataset']['name']}, seed {record['task']['seed']}")
    for line in mask_replay.lines(found, (height, width)):
        print(line)
    if found.rows.size:
        print(mask_replay.draw(evidence, found, Path(parsed.out) if parsed.out else folder / mask_replay.REPLAYED))
    return 0


def _ledger(parsed: argparse.Namespace) -> int:
    from roentgate.data import find_card
    from roentgate.scorecard import ledger, test_set_reuse

    place = Path(parsed.where)
    paths = [place] if place.is_file() else sorted({*place.glob(ledger.FILE), *place.glob(f"*/{ledger.FILE}")})
    if not paths and not place.exists():
        paths = [path for path in [Path("reports") / parsed.where / ledger.FILE] if path.exists()]
    if not paths:
        raise ArgumentError(f"no {ledger.FILE} in '{place}'; a run writes one beside its reports, as DIR/<data>/")
    for path in paths:
        entries, name = ledger.read(path), path.resolve().parent.name
        has_card = Path("data", f"{name}.toml").is_file()
        prior = find_card(name, Path("data")).prior_evaluations if has_card else 0
        print(f"{path}\n")
        for line in [*test_set_reuse.table(entries, prior=prior), *filter(None, [ledger.damage_words(entries)])]:
            print(f"  {line}".rstrip())
        print()
    return 0


def _aa_test(parsed: argparse.Namespace) -> int:
    from tqdm import tqdm

    from roentgate.candidates import Options
    from roentgate.entry import aa_test
    from roentgate.session import Settings, new_run_id, open_session, parse_size

    root = Path.cwd()
    options = Options(
        models=root / "models", seed=parsed.seed, image_size=parse_size(parsed.image_size), run_id=new_run_id()
    )
    settings = Settings(
        models=(parsed.model,),
        data=parsed.data,
        root=root,
        policy=Path(parsed.policy).resolve(),
        gate="simple",
        reports=root / "reports",
        options=options,
    )
    session = open_session(settings)
    if parsed.out and Path(parsed.out).is_dir():
        raise ArgumentError(f"--out '{parsed.out}': is a folder; name the file to write")
    session.candidate(parsed.model)
    with tqdm(total=parsed.draws, unit="candidate", desc="A/A") as bar:
        counts = aa_test.false_alarms(session, parsed.model, draws=parsed.draws, seed=parsed.seed, step=bar.update)
    fewer = max(parsed.draws // 4, 1)
    with tqdm(unit="candidate", desc="with more images") as bar:
        sizes = aa_test.by_size(session, parsed.model, draws=fewer, seed=parsed.seed, step=bar.update)
    command = ["roentgate", "aa-test", "--model", parsed.model, "--data", parsed.data, "--draws", str(parsed.draws)]
    command += ["--seed", str(parsed.seed)] + (["--image-size", parsed.image_size] if parsed.image_size else [])
    command += [] if parsed.policy == DEFAULT_POLICY else ["--policy", parsed.policy]
    path = Path(parsed.out) if parsed.out else session.folder(parsed.model) / aa_test.PAGE
    name, test = session.candidate(parsed.model).name, session.evidence(parsed.model).test
    blind = aa_test.blind_spots(session.unseen(test))
    text = aa_test.page(name, session.card.name, counts, shlex.join(command), blind=blind, sizes=sizes)
    aa_test.write_page(path, text)
    last = counts[-1]
    rules = f"{last.simple} of {last.draws} draws under the simple rule, in {last.guarded} under the guarded rule"
    print(f"an equally good candidate is refused in {rules}; {path}")
    for sentence in aa_test.usable_words(sizes):
        print(f"  {sentence}")
    for line in blind:
        print(f"  {line.replace('**', '')}")
    return 0


def _claim(parsed: argparse.Namespace) -> int:
    from roentgate.store import atomic

    text, holds = cli_claim.report(parsed)
    print(text, end="")
    if parsed.out:
        with atomic(Path(parsed.out)) as draft:
            draft.write_text(text, "utf-8")
    return 0 if holds else 1


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "audit": _audit,
    "models": _models,
    "data": _data,
    "train": _train,
    "scorecard": _scorecard,
    "replay": _replay,
    "ledger": _ledger,
    "aa-test": _aa_test,
    "claim": _claim,
}


if __name__ == "__main__":
    sys.exit(main())
