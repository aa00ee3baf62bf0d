"""Validate the checks and the intervals on models, data and draws with a known truth.

Run by ``make matrix`` and ``make statistics``. It needs a checkout, with ``models/known_bad`` and ``models/sound``.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roentgate.errors import ArgumentError, HarnessError
from roentgate.process import one_thread

if TYPE_CHECKING:
    from tests.validation.detection_matrix import Matrix

AFTER_INTERRUPT = {
    "matrix": "finished trainings are kept; run the same command to continue",
    "simulate": "nothing is kept; the same command starts anew",
}
"""What to do after an interrupt, by command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status, as the command line of the library does."""
    parsed = _parser().parse_args(arguments)
    one_thread()
    try:
        return _matrix(parsed) if parsed.run == "matrix" else _simulate(parsed)
    except (HarnessError, OSError) as error:
        print(f"validation: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"validation: interrupted; {AFTER_INTERRUPT[parsed.run]}", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="python -m tests.validation", description="Validate the checks and the intervals."
    )
    commands = whole.add_subparsers(dest="run", required=True)
    matrix = commands.add_parser(
        "matrix", help="judge planted-fault models and sound models by every check, and write the detection matrix"
    )
    matrix.add_argument(
        "planted_models",
        nargs="*",
        metavar="MODEL",
        help="known_bad.NAME or sound.NAME: judge only these, with doses if they read the border (default: all)",
    )
    matrix.add_argument("--seeds", type=int, default=5, metavar="N", help="trainings of each (default: 5)")
    matrix.add_argument("--no-doses", action="store_true", help="leave out the dose-response curves")
    matrix.add_argument("--render", action="store_true", help="judge nothing, and write the page again from its record")
    matrix.add_argument(
        "--out",
        metavar="DIR",
        help="the folder of the page and its record (default: reports, unless models are named)",
    )

    simulate = commands.add_parser(
        "simulate", help="try every interval and both decision rules on a known truth, and write reports/statistics.md"
    )
    simulate.add_argument(
        "--draws", type=int, metavar="N", help="draws of each setting (default: 2500, about ten minutes)"
    )
    simulate.add_argument("--seed", type=int, default=0, metavar="N")
    simulate.add_argument("--out", default="reports", metavar="DIR", help="the folder of the report (default: reports)")
    return whole


def _matrix(parsed: argparse.Namespace) -> int:
    from roentgate.session import check_seeds
    from tests.validation import detection_matrix as matrix
    from tests.validation import matrix_page

    check_seeds(0, parsed.seeds)
    if parsed.planted_models and parsed.render:
        raise ArgumentError("--render writes the page of what is recorded and judges nothing; name no models with it")
    if parsed.planted_models and not parsed.out:
        raise ArgumentError("a matrix of some models does not replace the published one; name a folder: --out DIR")
    folder = Path(parsed.out or "reports")
    record = matrix.read(folder / matrix_page.RECORD) if parsed.render else _judge_planted_models(parsed)
    print(matrix_page.publish(record, folder))
    missed = matrix.shortcomings(record)
    for line in missed:
        print(f"  {line}")
    return 1 if missed else 0


def _judge_planted_models(parsed: argparse.Namespace) -> "Matrix":
    from tqdm import tqdm

    from roentgate.data import open_store
    from tests.validation import data_matrix
    from tests.validation import detection_matrix as matrix

    root, seeds, with_doses = Path.cwd(), list(range(parsed.seeds)), not parsed.no_doses
    planted_models, store = matrix.plan(root, parsed.planted_models), open_store(root)
    arguments = ["python", "-m", "tests.validation", "matrix", *parsed.planted_models, "--seeds", str(parsed.seeds)]
    arguments += ["--no-doses"] * parsed.no_doses
    work = matrix.work(planted_models, seeds, with_doses=with_doses) + (
        0 if parsed.planted_models else data_matrix.work(seeds)
    )
    with tqdm(total=work, unit="training", desc="detection matrix") as bar:

        def step(now: str, done: int) -> None:
            bar.set_postfix_str(now)
            bar.update(done)

        reports, command = store.root / "matrix", shlex.join(arguments)
        record = matrix.run(
            root, planted_models, seeds, reports=reports, step=step, command=command, with_doses=with_doses
        )
        if not parsed.planted_models:
            record["data"] = data_matrix.judge(root, seeds, store, step)
    return record


def _simulate(parsed: argparse.Namespace) -> int:
    from tests.validation import study, study_report

    draws = study.DRAWS if parsed.draws is None else parsed.draws
    tables = study.run(draws=draws, seed=parsed.seed, policy_path=Path("suites") / "policy.toml")
    command = f"python -m tests.validation simulate --draws {draws} --seed {parsed.seed}"
    for path in study_report.write(tables, Path(parsed.out), draws=draws, seed=parsed.seed, command=command):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
