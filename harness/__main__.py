"""The command line: thin, over the same functions as the suites."""

import argparse
import ast
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import claim
from harness.claim import DEFAULT_POLICY
from harness.errors import ArgumentError, HarnessError
from harness.process import one_thread

DESCRIPTION = """Acceptance tests for medical image classifiers.

The main job is pytest's:  pytest suites/ --model NAME [--data NAME]
It writes reports/<data>/<model>/scorecard.md and exits 0 only when the evidence is complete and accepted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status (0 done, 1 found wanting, 2 refused with a sentence)."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.print_help()
        return 2
    one_thread()
    try:
        return int(parsed.run(parsed))
    except (HarnessError, OSError) as error:
        print(f"roentgate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("roentgate: interrupted; what was finished is kept, run the same command to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="roentgate", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")

    models = commands.add_parser("models", help="list the model files, with what they say of themselves")
    models.set_defaults(run=_models)

    data = commands.add_parser("data", help="list the data cards: where each set lies and how to obtain it")
    data.add_argument(
        "name", nargs="?", metavar="NAME", help="one card, or NAME=PATH or a folder, whole: classes and counts"
    )
    data.add_argument("--montage", metavar="FILE", help="also draw one row of films a class into this PNG")
    data.set_defaults(run=_data)

    train = commands.add_parser("train", help="train a model and write a weights artefact a team can keep")
    train.add_argument("model", metavar="MODEL", help="as for pytest's --model")
    train.add_argument("--data", default="phantom", metavar="NAME", help="as for pytest (default: phantom)")
    train.add_argument("--out", required=True, metavar="FILE.keras", help="where the weights go")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--image-size", metavar="N or HxW")
    train.add_argument("--epochs", type=int, metavar="N")
    train.set_defaults(run=_train)

    scorecard = commands.add_parser(
        "scorecard", help="render scorecards again from their JSON; side by side where several"
    )
    scorecard.add_argument("folders", nargs="+", metavar="DIR", help="a folder that holds scorecard.json")
    scorecard.add_argument(
        "--summary", action="store_true", help="print a bounded markdown summary, for a CI job's page"
    )
    scorecard.add_argument("--picture", metavar="FILE", help="draw the scorecards side by side into this PNG")
    scorecard.set_defaults(run=_scorecard)

    seeds = commands.add_parser("seeds", help="judge one model over several seeds and write a table of its figures")
    seeds.add_argument("model", metavar="MODEL")
    seeds.add_argument("--data", default="phantom", metavar="NAME")
    seeds.add_argument("--seed", type=int, default=0, metavar="N", help="the first seed (default: 0)")
    seeds.add_argument("--seeds", type=int, default=3, metavar="N", help="how many, from the first on (default: 3)")
    seeds.add_argument("--image-size", metavar="N or HxW")
    seeds.add_argument("--epochs", type=int, metavar="N")
    seeds.add_argument("--out", metavar="FILE.md", help="the table (default: reports/<data>/seeds.md)")
    seeds.set_defaults(run=_seeds)

    _add_proofs(commands)
    return parser


def _add_proofs(commands: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Add the commands that judge the checks and the gate, and no model."""
    matrix = commands.add_parser(
        "matrix", help="judge every faulty and every sound twin by every check, and write the detection matrix"
    )
    matrix.add_argument(
        "twins", nargs="*", metavar="TWIN", help="only these (known_bad.NAME, sound.NAME); default: all"
    )
    matrix.add_argument("--seeds", type=int, default=5, metavar="N", help="trainings of each (default: 5)")
    matrix.add_argument("--no-doses", action="store_true", help="leave out the curves of dose and response")
    matrix.add_argument("--out", metavar="DIR", help="where it goes (default: reports, unless twins are named)")
    matrix.set_defaults(run=_matrix)

    null = commands.add_parser("null", help="how often the gate refuses a candidate exactly as good as a model (A/A)")
    null.add_argument("--model", required=True, metavar="NAME", help="as for pytest")
    null.add_argument("--data", default="phantom", metavar="NAME", help="as for pytest (default: phantom)")
    null.add_argument("--policy", default=DEFAULT_POLICY, metavar="FILE", help="default: suites/policy.toml")
    null.add_argument("--draws", type=int, default=200, metavar="N", help="candidates to draw (default: 200)")
    null.add_argument("--seed", type=int, default=0, help="of training and of the draws")
    null.add_argument("--image-size", metavar="N or HxW")
    null.add_argument("--out", metavar="FILE.md", help="the page (default: reports/<data>/<model>/null.md)")
    null.set_defaults(run=_null)

    claim.add_to(commands).set_defaults(run=_claim)

    simulate = commands.add_parser(
        "simulate", help="try every interval and both gates where the truth is known; write reports/statistics.md"
    )
    simulate.add_argument(
        "--draws", type=int, metavar="N", help="draws of each setting (default: 2500, about five minutes)"
    )
    simulate.add_argument("--seed", type=int, default=0, metavar="N")
    simulate.add_argument("--out", default="reports", metavar="DIR", help="where the report goes (default: reports)")
    simulate.set_defaults(run=_simulate)


def _models(_: argparse.Namespace) -> int:
    from harness.source import model_names  # noqa: PLC0415

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
    from harness.card import find_card  # noqa: PLC0415
    from harness.dataset import read_splits  # noqa: PLC0415
    from harness.gate import open_card, open_store  # noqa: PLC0415

    if parsed.name is None:
        for path in sorted(Path("data").glob("*.toml")):
            card = find_card(path.stem, path.parent)
            where = "drawn here" if card.generator else str(card.root or "no root; pass --data NAME=PATH")
            print(f"{card.name:26} {card.title}\n{'':26} {where}; {card.licence or 'no licence stated'}")
        return 0
    card = open_card(parsed.name, Path("data"), open_store(Path.cwd()))
    splits = read_splits(card, image_shape=(*card.image_size, 1), cache=None)
    print(f"{card.name}: {card.title or splits.root}")
    for field in ("licence", "citation", "source"):
        if getattr(card, field):
            print(f"  {field}: {getattr(card, field)}")
    for split in (splits.train, splits.validation, splits.test):
        counts = ", ".join(f"{label} {count}" for label, count in split.counts().items())
        print(
            f"  {split.name:11} {len(split):6} films: {counts}"
            + (f"; {len(split.ignored)} other files" if split.ignored else "")
        )
    if parsed.montage:
        from harness.figures import montage  # noqa: PLC0415

        montage(splits.test, Path(parsed.montage))
        print(f"  montage: {parsed.montage}")
    return 0


def _train(parsed: argparse.Namespace) -> int:
    from harness.candidate import Options  # noqa: PLC0415
    from harness.gate import new_run_id, open_card, open_store, parse_size  # noqa: PLC0415
    from harness.store import atomic  # noqa: PLC0415
    from harness.training import ready  # noqa: PLC0415

    out = Path(parsed.out)
    if out.suffix != ".keras":
        raise ArgumentError(f"--out {out}: must end in .keras")
    store = open_store(Path.cwd())
    options = Options(
        models=Path("models"), seed=parsed.seed, image_size=parse_size(parsed.image_size), epochs=parsed.epochs,
        run_id=new_run_id(),
    )  # fmt: skip
    candidate = ready(parsed.model, open_card(parsed.data, Path("data"), store), options, store)
    if candidate.weights is None:
        raise ArgumentError(f"model '{parsed.model}' loads itself (load(task)); there are no weights to write")
    with atomic(out) as temporary:
        shutil.copyfile(candidate.weights, temporary)
    print(
        f"{out}: {candidate.name} on {parsed.data}, seed {parsed.seed}; judge: --model {parsed.model} --weights {out}"
    )
    return 0


def _scorecard(parsed: argparse.Namespace) -> int:
    from harness import render, report, scorecard  # noqa: PLC0415

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
        from harness import figures  # noqa: PLC0415

        evidence = [scorecard.read_evidence(folder / scorecard.EVIDENCE_FILE) for folder in folders]
        print(figures.side_by_side(records, Path(parsed.picture), evidence))
    return 0


def _seeds(parsed: argparse.Namespace) -> int:
    from harness import seeds, trial  # noqa: PLC0415
    from harness.gate import open_card, open_store  # noqa: PLC0415

    store = open_store(Path.cwd())
    name = open_card(parsed.data, Path("data"), store).name
    out = Path(parsed.out) if parsed.out else Path("reports") / name / "seeds.md"
    extra = [
        word
        for option in ("image_size", "epochs")
        if (value := getattr(parsed, option)) is not None
        for word in (f"--{option.replace('_', '-')}", str(value))
    ]
    records = []
    if parsed.seeds < 1:
        raise ArgumentError(f"--seeds {parsed.seeds}: give 1 or more")
    for seed in range(parsed.seed, parsed.seed + parsed.seeds):
        reports = store.root / "seeds" / f"{seed}-{'-'.join(extra).strip('-') or 'card'}"
        records += trial.run([parsed.model], parsed.data, seed, reports=reports, name=name, extra=extra)
    words = [
        "roentgate",
        "seeds",
        parsed.model,
        "--data",
        parsed.data,
        *(["--seed", str(parsed.seed)] * bool(parsed.seed)),
    ]
    words += ["--seeds", str(parsed.seeds), *extra]
    seeds.write_table(records, out, command=shlex.join(words))
    print(out)
    return 0


def _matrix(parsed: argparse.Namespace) -> int:
    from tqdm import tqdm  # noqa: PLC0415

    from harness import matrix, matrix_page  # noqa: PLC0415
    from harness.gate import open_store  # noqa: PLC0415

    if parsed.seeds < 1:
        raise ArgumentError(f"--seeds {parsed.seeds}: give 1 or more")
    if parsed.twins and not parsed.out:
        raise ArgumentError("a matrix of some twins does not replace the published one; name a folder: --out DIR")
    root, seeds, with_doses = Path.cwd(), list(range(parsed.seeds)), not parsed.no_doses
    twins = matrix.plan(root / "models", parsed.twins)
    work = matrix.work(twins, seeds, with_doses=with_doses)
    with tqdm(total=work, unit="training", desc="detection matrix") as bar:

        def step(words: str, done: int) -> None:
            bar.set_postfix_str(words)
            bar.update(done)

        reports = open_store(root).root / "matrix"
        record = matrix.run(root, twins, seeds, reports=reports, step=step, with_doses=with_doses)
    words = ["roentgate", "matrix", *parsed.twins, "--seeds", str(parsed.seeds), *(["--no-doses"] * parsed.no_doses)]
    print(matrix_page.publish(record, Path(parsed.out or "reports"), shlex.join(words)))
    missed = matrix.shortcomings(record)
    for line in missed:
        print(f"  {line}")
    return 1 if missed else 0


def _null(parsed: argparse.Namespace) -> int:
    from tqdm import tqdm  # noqa: PLC0415

    from harness import null  # noqa: PLC0415
    from harness.candidate import Options  # noqa: PLC0415
    from harness.gate import Gate, Settings, new_run_id, parse_size  # noqa: PLC0415

    root = Path.cwd()
    options = Options(
        models=root / "models", seed=parsed.seed, image_size=parse_size(parsed.image_size), run_id=new_run_id()
    )
    gate = Gate(
        Settings(
            models=(parsed.model,), data=parsed.data, root=root, policy=Path(parsed.policy).resolve(), gate="point",
            reports=root / "reports", options=options,
        )
    )  # fmt: skip
    gate.candidate(parsed.model)
    with tqdm(total=parsed.draws, unit="candidate", desc="A/A") as bar:
        counts = null.false_alarms(gate, parsed.model, draws=parsed.draws, seed=parsed.seed, step=bar.update)
    words = ["roentgate", "null", "--model", parsed.model, "--data", parsed.data, "--draws", str(parsed.draws)]
    words += ["--seed", str(parsed.seed)] + (["--image-size", parsed.image_size] if parsed.image_size else [])
    words += [] if parsed.policy == DEFAULT_POLICY else ["--policy", parsed.policy]
    path = Path(parsed.out) if parsed.out else gate.folder(parsed.model) / null.PAGE
    null.write_page(path, null.page(gate.candidate(parsed.model).name, gate.card.name, counts, shlex.join(words)))
    last = counts[-1]
    print(f"an equally good candidate is refused in {last.point} of {last.draws} draws at gate point; {path}")
    return 0


def _claim(parsed: argparse.Namespace) -> int:
    from harness.store import atomic  # noqa: PLC0415

    text, holds = claim.report(parsed)
    print(text, end="")
    if parsed.out:
        with atomic(Path(parsed.out)) as draft:
            draft.write_text(text, "utf-8")
    return 0 if holds else 1


def _simulate(parsed: argparse.Namespace) -> int:
    from harness import study, study_report  # noqa: PLC0415

    draws = study.DRAWS if parsed.draws is None else parsed.draws
    tables = study.run(draws=draws, seed=parsed.seed, policy_path=Path("suites") / "policy.toml")
    command = f"python -m harness simulate --draws {draws} --seed {parsed.seed}"
    for path in study_report.write(tables, Path(parsed.out), draws=draws, seed=parsed.seed, command=command):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
