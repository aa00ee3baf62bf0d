"""The commands of the command line and their options.

``roentgate.__main__`` implements them.
"""

import argparse
from collections.abc import Callable
from importlib import metadata

DESCRIPTION = """Acceptance tests for medical image classifiers.

The main job is pytest's:  pytest suites/ --model NAME [--data NAME]
It writes reports/<data>/<model>/scorecard.md and exits 0 only when the evidence is complete and accepted.
"""

DEFAULT_POLICY = "suites/policy.toml"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Parsed arguments name the command as ``run``.
    """
    whole = argparse.ArgumentParser(
        prog="roentgate", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {metadata.version('roentgate')}")
    whole.set_defaults(command=None)
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", dest="command")

    audit = commands.add_parser(
        "audit", help="look for leakage and label shortcuts in a data set: duplicates, patients, files, borders"
    )
    audit.add_argument("folder", nargs="?", metavar="DIR", help="a folder of class folders; or name a card with --data")
    audit.add_argument("--data", metavar="NAME", help="as for pytest: a card, or NAME=PATH")
    audit.add_argument("--policy", default=DEFAULT_POLICY, metavar="FILE", help="default: suites/policy.toml")
    audit.add_argument("--out", metavar="DIR", help="where the pages go (default: reports/<data>)")
    audit.set_defaults(run="audit")

    models = commands.add_parser("models", help="list the model files with their descriptions")
    models.set_defaults(run="models")

    data = commands.add_parser("data", help="list the data cards: where each set lies and how to obtain it")
    data.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="one card, or NAME=PATH or a folder, whole: classes, counts, groups, sources",
    )
    data.add_argument(
        "--splits", metavar="FILE.csv", help="also write its rows with their splits, as a manifest that a card can name"
    )
    data.add_argument("--montage", metavar="FILE", help="also draw one row of images a class into this PNG")
    data.set_defaults(run="data")

    train = commands.add_parser("train", help="train a model and write a weights artefact a team can keep")
    train.add_argument("model", metavar="MODEL", help="as for pytest's --model")
    train.add_argument("--data", default="phantom", metavar="NAME", help="as for pytest (default: phantom)")
    train.add_argument("--out", required=True, metavar="FILE.keras", help="where the weights go")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--image-size", metavar="N or HxW")
    train.add_argument("--epochs", type=int, metavar="N")
    train.set_defaults(run="train")

    scorecard = commands.add_parser(
        "scorecard", help="render scorecards again from their JSON, and side by side if there are several"
    )
    scorecard.add_argument("folders", nargs="+", metavar="DIR", help="a folder that holds scorecard.json")
    scorecard.add_argument(
        "--summary", action="store_true", help="print a bounded markdown summary, for a CI job's page"
    )
    scorecard.add_argument("--picture", metavar="FILE", help="draw the scorecards side by side into this PNG")
    scorecard.set_defaults(run="scorecard")

    _add_replay(commands.add_parser)

    evaluations = commands.add_parser(
        "ledger", help="list the evaluations on each test set: which models, when, and their figures"
    )
    evaluations.add_argument(
        "where",
        nargs="?",
        default="reports",
        metavar="DIR or DATA",
        help="a ledger.jsonl, a folder that holds some, or a data set with reports (default: reports)",
    )
    evaluations.set_defaults(run="ledger")

    _add_self_tests(commands.add_parser)
    return whole


_Add = Callable[..., argparse.ArgumentParser]
"""A function that adds a command, given its name and the arguments of its parser."""


def _add_replay(add: _Add) -> None:
    """Add the command that applies one mask again."""
    summary = "apply one mask again: which answers change, from what to what, and a picture of images before and after"
    parser = add("replay", help=summary, description=f"{summary.capitalize()}.")
    parser.add_argument(
        "id",
        metavar="ID",
        help="as the row smallest_flipping_mask prints it, such as 5a58245f:rectangle-edge-10x5-0-91",
    )
    parser.add_argument(
        "--reports",
        default="reports",
        metavar="DIR",
        help="where the scorecard that printed it lies, at any depth (default: reports)",
    )
    parser.add_argument(
        "--data", metavar="NAME=PATH", help="as for pytest, if the data lie elsewhere than the card says"
    )
    parser.add_argument("--weights", metavar="FILE", help="as for pytest, if the scorecard judged such a file")
    parser.add_argument("--out", metavar="FILE.png", help="the picture (default: replay.png beside the scorecard)")
    parser.set_defaults(run="replay")


def _add_self_tests(add: _Add) -> None:
    """Add the commands that judge the decision rule or published figures."""
    aa_test = add("aa-test", help="how often chance alone refuses a candidate exactly as good as a model (A/A test)")
    aa_test.add_argument("--model", required=True, metavar="NAME", help="as for pytest")
    aa_test.add_argument("--data", default="phantom", metavar="NAME", help="as for pytest (default: phantom)")
    aa_test.add_argument("--policy", default=DEFAULT_POLICY, metavar="FILE", help="default: suites/policy.toml")
    aa_test.add_argument("--draws", type=int, default=200, metavar="N", help="candidates to draw (default: 200)")
    aa_test.add_argument("--seed", type=int, default=0, help="of training and of the draws")
    aa_test.add_argument("--image-size", metavar="N or HxW")
    aa_test.add_argument("--out", metavar="FILE.md", help="the page (default: reports/<data>/<model>/aa-test.md)")
    aa_test.set_defaults(run="aa-test")

    _add_claim(add)


def _add_claim(add: _Add) -> None:
    """Add the command that checks published figures."""
    parser = add(
        "claim", help="can published figures all be true, and are they true of a model? (exit status 0 yes, 1 no)"
    )
    parser.add_argument("file", metavar="FILE.toml", help="the figures as printed; see data/claims/article.toml")
    parser.add_argument("--model", metavar="NAME", help="as for pytest; without one, only the arithmetic is checked")
    parser.add_argument("--data", metavar="NAME", help="as for pytest (default: what the file names)")
    parser.add_argument("--weights", metavar="FILE", help="as for pytest")
    parser.add_argument("--policy", default=DEFAULT_POLICY, metavar="FILE", help="default: suites/policy.toml")
    parser.add_argument(
        "--gate", choices=("simple", "guarded"), default="simple", help="as for pytest (default: simple)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of training (default: 0)")
    parser.add_argument("--image-size", metavar="N or HxW")
    parser.add_argument("--out", metavar="FILE.md", help="also write the report here")
    parser.set_defaults(run="claim")
